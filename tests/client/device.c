/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of a virtual machine monitor: see client_device.h. */
#include <errno.h>
#include <string.h>

#include "client_device.h"

static int fixed_call(struct client *client, uint16_t command, void *payload, size_t size)
{
	struct client_message m = {
		.command = command,
		.payload = payload,
		.payload_size = size,
		.reply = payload,
		.reply_capacity = size,
	};
	const int error = client_call(client, &m);

	if (error)
		return error;
	return m.reply_size == size ? 0 : -EPROTO;
}

int client_device_info(struct client *client, struct wire_device_info *ret)
{
	struct wire_device_info info = {.argsz = sizeof(info)};
	const int error = fixed_call(client, WIRE_GET_INFO, &info, sizeof(info));

	if (!error)
		*ret = info;
	return error;
}

static void close_fds(const struct client_message *m, unsigned from)
{
	for (unsigned i = from; i < m->reply_fd_count; i++) {
		int fd = m->reply_fds[i];

		base_close(&fd);
	}
}

int client_region_info(struct client *client, unsigned index, uint32_t argsz,
		       struct client_region *ret)
{
	const struct wire_region_info ask = {.argsz = argsz, .index = index};
	uint8_t reply[256];
	struct client_message m = {
		.command = WIRE_GET_REGION_INFO,
		.payload = &ask,
		.payload_size = sizeof(ask),
		.reply = reply,
		.reply_capacity = MIN(argsz, sizeof(reply)),
	};
	struct client_region got = {.fd = -1};
	int error = client_call(client, &m);

	if (error)
		return error;
	if (m.reply_size < sizeof(got.info) || m.reply_fd_count > 1) {
		close_fds(&m, 0);
		return -EPROTO;
	}
	memcpy(&got.info, reply, sizeof(got.info));
	if (m.reply_size >= sizeof(got.info) + sizeof(got.sparse)) {
		memcpy(&got.sparse, reply + sizeof(got.info), sizeof(got.sparse));
		got.has_sparse = got.sparse.id == 1 && got.sparse.nr_areas == 1;
	}
	if (m.reply_fd_count)
		got.fd = m.reply_fds[0];
	*ret = got;
	return 0;
}

int client_irq_info(struct client *client, unsigned index, struct wire_irq_info *ret)
{
	struct wire_irq_info info = {.argsz = sizeof(info), .index = index};
	const int error = fixed_call(client, WIRE_GET_IRQ_INFO, &info, sizeof(info));

	if (!error)
		*ret = info;
	return error;
}

int client_irq_set(struct client *client, struct wire_irq_set set, const int *fds,
		   unsigned fd_count)
{
	struct client_message m = {
		.command = WIRE_SET_IRQS,
		.payload = &set,
		.payload_size = sizeof(set),
		.fds = fds,
		.fd_count = fd_count,
	};

	set.argsz = sizeof(set);
	return client_call(client, &m);
}

int client_msix_assign(struct client *client, unsigned vector, int fd)
{
	const struct wire_irq_set set = {
		.flags = WIRE_IRQ_DATA_EVENTFD | WIRE_IRQ_TRIGGER,
		.index = WIRE_IRQ_MSIX,
		.start = vector,
		.count = 1,
	};

	return client_irq_set(client, set, &fd, fd >= 0 ? 1 : 0);
}

/* --- Regions ------------------------------------------------------------------------------ */

int client_region_read(struct client *client, struct wire_region_access at, void *data)
{
	CLEANUP_FREE uint8_t *large = NULL;
	uint8_t small[sizeof(at) + 4096];
	struct client_message m = {
		.command = WIRE_REGION_READ,
		.payload = &at,
		.payload_size = sizeof(at),
		.reply = small,
		.reply_capacity = sizeof(at) + (size_t)at.count,
	};
	int error;

	if (m.reply_capacity > sizeof(small)) {
		large = __builtin_malloc(m.reply_capacity);
		if (!large)
			return -ENOMEM;
		m.reply = large;
	}
	error = client_call(client, &m);
	if (error)
		return error;
	if (m.reply_size != m.reply_capacity || memcmp(m.reply, &at, sizeof(at)) != 0)
		return -EPROTO;
	memcpy(data, (uint8_t *)m.reply + sizeof(at), at.count);
	return 0;
}

static int region_write(struct client *client, struct wire_region_access at, const void *data,
			bool posted)
{
	struct wire_region_access echo;
	struct client_message m = {
		.command = WIRE_REGION_WRITE,
		.payload = &at,
		.payload_size = sizeof(at),
		.data = data,
		.data_size = at.count,
		.reply = &echo,
		.reply_capacity = sizeof(echo),
	};
	int error;

	if (posted)
		return client_post(client, &m);
	error = client_call(client, &m);
	if (error)
		return error;
	return m.reply_size == sizeof(echo) && echo.count == at.count ? 0 : -EPROTO;
}

int client_region_write(struct client *client, struct wire_region_access at, const void *data)
{
	return region_write(client, at, data, false);
}

int client_bar_read(struct client *client, uint64_t offset, void *data, uint32_t count)
{
	const struct wire_region_access at = {offset, WIRE_REGION_BAR0, count};

	return client_region_read(client, at, data);
}

int client_bar_write(struct client *client, uint64_t offset, const void *data, uint32_t count)
{
	const struct wire_region_access at = {offset, WIRE_REGION_BAR0, count};

	return region_write(client, at, data, client->posted);
}

int client_config_read(struct client *client, uint64_t offset, void *data, uint32_t count)
{
	const struct wire_region_access at = {offset, WIRE_REGION_CONFIG, count};

	return client_region_read(client, at, data);
}

int client_config_write(struct client *client, uint64_t offset, const void *data, uint32_t count)
{
	const struct wire_region_access at = {offset, WIRE_REGION_CONFIG, count};

	return region_write(client, at, data, false);
}

/* --- Memory ------------------------------------------------------------------------------- */

int client_dma_map_send(struct client *client, const struct client_map *map, uint16_t *ret_id)
{
	const struct wire_dma_map payload = {
		.argsz = sizeof(payload),
		.flags = map->flags,
		.offset = map->offset,
		.iova = map->iova,
		.size = map->size,
	};
	const struct client_message m = {
		.command = WIRE_DMA_MAP,
		.payload = &payload,
		.payload_size = sizeof(payload),
		.fds = &map->fd,
		.fd_count = map->fd >= 0 ? 1 : 0,
	};

	return client_send(client, &m, ret_id);
}

int client_dma_map_reply(struct client *client, uint16_t id)
{
	struct client_message m = {.command = WIRE_DMA_MAP};

	return client_receive(client, &m, id);
}

int client_dma_map(struct client *client, const struct client_map *map)
{
	uint16_t id;
	const int error = client_dma_map_send(client, map, &id);

	return error ? error : client_dma_map_reply(client, id);
}

static int dma_unmap(struct client *client, const struct wire_dma_unmap *ask)
{
	struct wire_dma_unmap payload = *ask;
	const int error = fixed_call(client, WIRE_DMA_UNMAP, &payload, sizeof(payload));

	if (error)
		return error;
	return memcmp(&payload, ask, sizeof(payload)) == 0 ? 0 : -EPROTO;
}

int client_dma_unmap(struct client *client, uint64_t iova, uint64_t size)
{
	const struct wire_dma_unmap ask = {.argsz = sizeof(ask), .iova = iova, .size = size};

	return dma_unmap(client, &ask);
}

int client_dma_unmap_all(struct client *client)
{
	const struct wire_dma_unmap ask = {.argsz = sizeof(ask), .flags = WIRE_UNMAP_ALL};

	return dma_unmap(client, &ask);
}

int client_reset(struct client *client)
{
	struct client_message m = {.command = WIRE_RESET};

	return client_call(client, &m);
}
