/* SPDX-License-Identifier: Apache-2.0 */
/* The drive in memory: a block driver of its own, nothing of the real ones is in the way. */
#include "ramdisk.h"

#include <stdlib.h>
#include <string.h>

#include <quoin/base_text.h>

static struct ramdisk *disk_of(struct block_device *device)
{
	return container_of(device, struct ramdisk, device);
}

static void write_pieces(struct ramdisk *disk, const struct block_request *request)
{
	uint64_t at = request->offset;

	for (unsigned i = 0; i < request->iov_count; i++) {
		memcpy(disk->data + at, request->iov[i].iov_base, request->iov[i].iov_len);
		at += request->iov[i].iov_len;
	}
}

static void read_pieces(struct ramdisk *disk, const struct block_request *request)
{
	uint64_t at = request->offset;

	for (unsigned i = 0; i < request->iov_count; i++) {
		memcpy(request->iov[i].iov_base, disk->data + at, request->iov[i].iov_len);
		at += request->iov[i].iov_len;
	}
}

static void copy_extents(struct ramdisk *disk, const struct block_request *request)
{
	uint64_t at = request->offset;

	for (unsigned i = 0; i < request->source_count; i++) {
		const struct block_extent *source = &request->sources[i];

		memcpy(disk->data + at, disk->data + source->offset, source->length_bytes);
		at += source->length_bytes;
	}
	memcpy(disk->durable + request->offset, disk->data + request->offset,
	       request->length_bytes);
}

static void execute(struct ramdisk *disk, const struct block_request *request)
{
	const uint64_t at = request->offset;

	switch (request->op) {
	case BLOCK_READ:
		if (!disk->reads_nothing)
			read_pieces(disk, request);
		return;
	case BLOCK_FLUSH:
		memcpy(disk->durable, disk->data, disk->device.limits.capacity_bytes);
		return;
	case BLOCK_WRITE:
		write_pieces(disk, request);
		break;
	case BLOCK_DISCARD:
	case BLOCK_WRITE_ZEROES:
		memset(disk->data + at, 0, request->length_bytes);
		break;
	case BLOCK_COPY:
		copy_extents(disk, request);
		return;
	case BLOCK_OP_COUNT:
		UNREACHABLE();
	}
	if (request->flags & BLOCK_FUA) {
		disk->fua_count++;
		memcpy(disk->durable + at, disk->data + at, request->length_bytes);
	}
}

static void finish(struct ramdisk *disk, struct block_request *request)
{
	disk->counts[request->op]++;
	if (disk->fail_ops & (1U << request->op)) {
		block_complete(request, disk->fail);
		return;
	}
	execute(disk, request);
	block_complete(request, 0);
}

static void submit(struct block_channel *channel, struct block_request *request)
{
	struct ramdisk *disk = disk_of(channel->device);

	if (disk->mode == RAMDISK_INLINE) {
		finish(disk, request);
		return;
	}
	/* As drivers that merge do: nothing happens before the batch ends. */
	list_append(&disk->held_back, &request->node);
}

bool ramdisk_release(struct ramdisk *disk)
{
	struct list *node = list_pop(&disk->waiting);

	if (!node)
		return false;
	disk->waiting_count--;
	finish(disk, container_of(node, struct block_request, node));
	return true;
}

void ramdisk_release_all(struct ramdisk *disk)
{
	while (ramdisk_release(disk))
		;
}

static void complete_some(struct loop_task *task)
{
	struct ramdisk *disk = container_of(task, struct ramdisk, task);
	struct random *random = loop_random(disk->loop);
	unsigned turn = 0;

	if (disk->mode != RAMDISK_ASYNC)
		return;
	/* The order of completion is nobody's business: rotate before taking one. */
	if (disk->waiting_count > 0)
		turn = (unsigned)random_below(random, disk->waiting_count);
	for (; turn > 0; turn--)
		list_append(&disk->waiting, list_pop(&disk->waiting));
	if (random_chance(random, 1, 2))
		ramdisk_release(disk);
	if (!list_empty(&disk->waiting))
		loop_task_post(disk->loop, task);
}

static void kick(struct block_channel *channel)
{
	struct ramdisk *disk = disk_of(channel->device);
	struct list *node;

	disk->kicks++;
	while ((node = list_pop(&disk->held_back))) {
		list_append(&disk->waiting, node);
		disk->waiting_count++;
	}
	if (disk->mode == RAMDISK_ASYNC && !list_empty(&disk->waiting))
		loop_task_post(disk->loop, &disk->task);
}

static int channel_open(struct block_device *device, struct loop *loop, struct block_channel **ret)
{
	disk_of(device)->loop = loop;
	*ret = xcalloc(1, sizeof(**ret));
	return 0;
}

static void channel_close(struct block_channel *channel)
{
	loop_task_cancel(&disk_of(channel->device)->task);
	free(channel);
}

static void device_close(struct block_device *device)
{
	struct ramdisk *disk = disk_of(device);

	ASSERT(list_empty(&disk->waiting) && list_empty(&disk->held_back));
	block_device_fini(device);
	free(disk->data);
	free(disk->durable);
	free(disk);
}

static const struct block_ops ramdisk_ops = {
	.name = "ram",
	.close = device_close,
	.channel_open = channel_open,
	.channel_close = channel_close,
	.submit = submit,
	.kick = kick,
};

struct ramdisk *ramdisk_new(uint64_t size_bytes, uint32_t block_bytes)
{
	struct ramdisk *disk = xcalloc(1, sizeof(*disk));

	disk->data = xcalloc(1, size_bytes);
	disk->durable = xcalloc(1, size_bytes);
	list_init(&disk->waiting);
	list_init(&disk->held_back);
	loop_task_init(&disk->task, complete_some);
	disk->device.limits = (struct block_limits){
		.capacity_bytes = size_bytes,
		.logical_block_bytes = block_bytes,
		.optimal_block_bytes = 4096,
		.transfer_max_bytes = 1024 * 1024,
		.buffer_alignment_bytes = 512,
		.iov_max = 64,
		.discard_granularity_bytes = block_bytes,
		.volatile_cache = true,
		.discard_zeroes = true,
		.write_zeroes = true,
	};
	block_device_init(&disk->device, &ramdisk_ops, xstrdup("ram"));
	return disk;
}
