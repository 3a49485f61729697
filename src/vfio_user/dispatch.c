/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each command does. A handler judges the payload, acts, and writes its reply.
 *
 * A region access never ends in an error reply when its message is well-formed: what is not there
 * reads as ones and ignores writes, as on a real bus. Cloud Hypervisor reads replies of the size
 * that it expects and would take an error for the beginning of the next.
 */
#include <errno.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_log.h>
#include <quoin/base_math.h>

#include "server.h"
#include "version.h"

struct reply {
	uint8_t *payload;
	size_t bytes;
	int fd;	    /* borrowed; -1 = none */
	bool later; /* somebody else answers */
};

static int handle_version(struct vfio_server *server, const struct vfio_message *message,
			  struct reply *reply)
{
	int r = vfio_version_negotiate(message->payload, message->payload_bytes, reply->payload,
				       &reply->bytes);

	if (r == 0)
		server->state = VFIO_STATE_READY;
	return r;
}

static int handle_dma_map(struct vfio_server *server, const struct vfio_message *message,
			  struct reply *reply)
{
	const uint32_t access = VFIO_MAP_READ | VFIO_MAP_WRITE;
	struct vfio_dma_map map;
	uint64_t before;
	int r;

	if (vfio_dma_map_decode(message->payload, message->payload_bytes, &map) < 0 ||
	    (map.flags & ~(access | VFIO_MAP_MMAP)) != 0)
		return -EINVAL;
	before = guest_memory_generation(server->memory);
	r = guest_memory_map(server->memory, (struct guest_addr){.value = map.address},
			     map.size_bytes, map.flags & access,
			     message->fd_count > 0 ? message->fds[0] : -1, map.fd_offset);
	if (guest_memory_generation(server->memory) != before)
		server->ops->memory_changed(server->device);
	return r;
}

static void unmap_at_once(struct guest_unmap *unmap)
{
	unmap->done = NULL;
}

static int handle_dma_unmap(struct vfio_server *server, const struct vfio_message *message,
			    struct reply *reply)
{
	struct vfio_dma_unmap unmap;
	int r = 0;

	if (vfio_dma_unmap_decode(message->payload, message->payload_bytes, &unmap) < 0 ||
	    (unmap.flags & ~(uint32_t)VFIO_UNMAP_ALL) != 0)
		return -EINVAL;
	if (unmap.flags != 0 && (unmap.address != 0 || unmap.size_bytes != 0))
		return -EINVAL;

	server->unmap.done = unmap_at_once;
	if (unmap.flags & VFIO_UNMAP_ALL)
		guest_memory_unmap_all(server->memory, &server->unmap);
	else
		r = guest_memory_unmap(server->memory, (struct guest_addr){.value = unmap.address},
				       unmap.size_bytes, &server->unmap);
	if (r < 0)
		return r;
	/* Telling the device may drop the last holds: the wait is set up before. */
	if (server->unmap.done) {
		vfio_server_wait_unmap(server, message);
		reply->later = true;
	}
	memcpy(reply->payload, message->payload, VFIO_DMA_UNMAP_BYTES);
	reply->bytes = VFIO_DMA_UNMAP_BYTES;
	server->ops->memory_changed(server->device);
	return 0;
}

static int handle_get_info(struct vfio_server *server, const struct vfio_message *message,
			   struct reply *reply)
{
	struct vfio_info info;

	if (vfio_info_decode(message->payload, message->payload_bytes, &info) < 0)
		return -EINVAL;
	info = (struct vfio_info){
		.argsz = 16,
		.flags = VFIO_DEVICE_RESET | VFIO_DEVICE_PCI,
		.index = VFIO_REGION_COUNT,
		.count = VFIO_IRQ_COUNT,
	};
	reply->bytes = vfio_info_encode(reply->payload, &info);
	return 0;
}

static int handle_get_region_info(struct vfio_server *server, const struct vfio_message *message,
				  struct reply *reply)
{
	const struct vfio_region *region;
	struct vfio_region_info info;
	uint32_t room;

	if (vfio_region_info_decode(message->payload, message->payload_bytes, &info) < 0 ||
	    info.index >= VFIO_REGION_COUNT)
		return -EINVAL;
	region = &server->regions[info.index];
	room = info.argsz;
	info.argsz = VFIO_REGION_INFO_BYTES;
	info.flags = region->flags;
	info.size_bytes = region->size_bytes;
	if (region->flags & VFIO_REGION_MMAP) {
		info.argsz = VFIO_REGION_SPARSE_BYTES;
		info.area_offset = region->area_offset;
		info.area_bytes = region->area_bytes;
	}
	/* Without room for the capability: how much it needs, and no descriptor yet. */
	if ((region->flags & VFIO_REGION_MMAP) && room >= VFIO_REGION_SPARSE_BYTES) {
		info.flags |= VFIO_REGION_CAPS;
		reply->fd = region->fd;
	}
	reply->bytes = vfio_region_info_encode(reply->payload, &info);
	return 0;
}

/* No doorbell can be an ioeventfd: none of ours is without data. */
static int handle_get_region_io_fds(struct vfio_server *server, const struct vfio_message *message,
				    struct reply *reply)
{
	struct vfio_info info;

	if (vfio_info_decode(message->payload, message->payload_bytes, &info) < 0 ||
	    info.index >= VFIO_REGION_COUNT || info.flags != 0)
		return -EINVAL;
	info.argsz = 16;
	info.count = 0;
	reply->bytes = vfio_info_encode(reply->payload, &info);
	return 0;
}

static int handle_get_irq_info(struct vfio_server *server, const struct vfio_message *message,
			       struct reply *reply)
{
	struct vfio_info info;

	if (vfio_info_decode(message->payload, message->payload_bytes, &info) < 0 ||
	    info.index >= VFIO_IRQ_COUNT)
		return -EINVAL;
	info.argsz = 16;
	info.flags = vfio_irqs_flags(&server->irqs, info.index);
	info.count = server->irqs.counts[info.index];
	reply->bytes = vfio_info_encode(reply->payload, &info);
	return 0;
}

static int handle_set_irqs(struct vfio_server *server, const struct vfio_message *message,
			   struct reply *reply)
{
	struct vfio_irq_set set;

	if (vfio_irq_set_decode(message->payload, message->payload_bytes, &set) < 0)
		return -EINVAL;
	return vfio_irqs_set(&server->irqs, &set, message->fds, message->fd_count);
}

/* True when the access hits something of the device that allows it. */
static bool access_hits(const struct vfio_server *server, const struct vfio_access *access,
			uint32_t needs)
{
	const struct vfio_region *region = &server->regions[access->region];

	return (region->flags & needs) != 0 &&
	       range_within(access->offset, access->count, region->size_bytes);
}

static int handle_region_read(struct vfio_server *server, const struct vfio_message *message,
			      struct reply *reply)
{
	struct vfio_access access;
	uint8_t *data = reply->payload + VFIO_ACCESS_BYTES;

	if (vfio_read_decode(message->payload, message->payload_bytes, &access) < 0 ||
	    access.region >= VFIO_REGION_COUNT)
		return -EINVAL;
	if (access_hits(server, &access, VFIO_REGION_R))
		server->ops->region_read(server->device, access.region, access.offset, data,
					 access.count);
	else
		memset(data, 0xFF, access.count);
	vfio_access_encode(reply->payload, &access);
	reply->bytes = VFIO_ACCESS_BYTES + access.count;
	return 0;
}

/* A guest is about to use the device with memory that we cannot see: it will hang. Say why. */
static void private_memory_tell(struct vfio_server *server)
{
	if (server->private_told || !guest_memory_is_private(server->memory))
		return;
	server->private_told = true;
	log_warning("vfio-user %s: the guest's memory is not shared with us and no I/O can work; "
		    "start QEMU with -object memory-backend-memfd,share=on and -machine "
		    "memory-backend=",
		    server->name);
}

static void region_write(struct vfio_server *server, const struct vfio_access *access)
{
	if (access->region != VFIO_REGION_CONFIG)
		private_memory_tell(server);
	if (access_hits(server, access, VFIO_REGION_W))
		server->ops->region_write(server->device, access->region, access->offset,
					  access->data, access->count);
}

static int handle_region_write(struct vfio_server *server, const struct vfio_message *message,
			       struct reply *reply)
{
	struct vfio_access access;

	if (vfio_write_decode(message->payload, message->payload_bytes, &access) < 0 ||
	    access.region >= VFIO_REGION_COUNT)
		return -EINVAL;
	region_write(server, &access);
	vfio_access_encode(reply->payload, &access);
	reply->bytes = VFIO_ACCESS_BYTES;
	return 0;
}

static int handle_region_write_multi(struct vfio_server *server, const struct vfio_message *message,
				     struct reply *reply)
{
	struct vfio_access access;
	uint64_t count;

	if (vfio_multi_decode(message->payload, message->payload_bytes, &count) < 0)
		return -EINVAL;
	for (unsigned i = 0; i < count; i++)
		if (vfio_multi_entry(message->payload, i, &access) < 0 ||
		    access.region >= VFIO_REGION_COUNT)
			return -EINVAL;
	for (unsigned i = 0; i < count; i++)
		if (vfio_multi_entry(message->payload, i, &access) == 0)
			region_write(server, &access);
	memcpy(reply->payload, &count, sizeof(count));
	reply->bytes = sizeof(count);
	return 0;
}

static int handle_reset(struct vfio_server *server, const struct vfio_message *message,
			struct reply *reply)
{
	vfio_server_wait_reset(server, message);
	reply->later = true;
	return 0;
}

/* Migration and dirty-page logging are all the features there are; we have neither. */
static int handle_feature(struct vfio_server *server, const struct vfio_message *message,
			  struct reply *reply)
{
	return message->payload_bytes < 8 ? -EINVAL : -ENOTTY;
}

struct handler {
	int (*run)(struct vfio_server *server, const struct vfio_message *message,
		   struct reply *reply);
	unsigned fds_max;
};

static const struct handler handlers[] = {
	[VFIO_VERSION] = {handle_version, 0},
	[VFIO_DMA_MAP] = {handle_dma_map, 1},
	[VFIO_DMA_UNMAP] = {handle_dma_unmap, VFIO_FDS_MAX}, /* SPDK's host sends it again */
	[VFIO_GET_INFO] = {handle_get_info, 0},
	[VFIO_GET_REGION_INFO] = {handle_get_region_info, 0},
	[VFIO_GET_REGION_IO_FDS] = {handle_get_region_io_fds, 0},
	[VFIO_GET_IRQ_INFO] = {handle_get_irq_info, 0},
	[VFIO_SET_IRQS] = {handle_set_irqs, VFIO_FDS_MAX},
	[VFIO_REGION_READ] = {handle_region_read, 0},
	[VFIO_REGION_WRITE] = {handle_region_write, 0},
	[VFIO_RESET] = {handle_reset, 0},
	[VFIO_REGION_WRITE_MULTI] = {handle_region_write_multi, 0},
	[VFIO_FEATURE] = {handle_feature, 0},
};

void vfio_server_dispatch(struct vfio_server *server, const struct vfio_message *message)
{
	struct vfio_connection *connection = &server->connection;
	struct reply reply = {.payload = vfio_connection_payload(connection), .fd = -1};
	unsigned command = message->header.command;
	int r = -EINVAL;

	if (command < ARRAY_SIZE(handlers) && handlers[command].run &&
	    message->fd_count <= handlers[command].fds_max)
		r = handlers[command].run(server, message, &reply);
	if (r == 0 && !reply.later)
		vfio_connection_reply(connection, &message->header, reply.bytes, reply.fd);
	if (r == 0)
		return;
	if (command == VFIO_VERSION) {
		vfio_connection_refuse(connection, &message->header, -r,
				       "the client's version or capabilities are not acceptable");
		return;
	}
	server->errors++;
	vfio_connection_error(connection, &message->header, -r);
}
