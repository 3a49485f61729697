/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file driver: a drive of the `disk` room (regular file, block device, simulated) as a block
 * device. What the drive states becomes the limits; the path of requests is in file_merge.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_math.h>
#include <quoin/base_text.h>

#include "file.h"

static struct file_device *file_of(struct block_device *device)
{
	return container_of(device, struct file_device, device);
}

static void file_device_close(struct block_device *base)
{
	struct file_device *device = file_of(base);

	if (device->owns_disk)
		disk_close(device->disk);
	block_device_fini(base);
	free(device);
}

static int file_channel_open(struct block_device *base, struct loop *loop,
			     struct block_channel **ret_channel)
{
	struct file_channel *channel = calloc(1, sizeof(*channel));
	int r;

	if (!channel)
		return -ENOMEM;
	r = disk_attach(file_of(base)->disk, loop, &channel->disk);
	if (r < 0) {
		free(channel);
		return r;
	}
	block_file_channel_init(channel);
	*ret_channel = &channel->channel;
	return 0;
}

static void file_channel_close(struct block_channel *base)
{
	struct file_channel *channel = container_of(base, struct file_channel, channel);

	disk_detach(channel->disk);
	free(channel);
}

/* The drive's size in this device's blocks. */
static uint64_t capacity_of(const struct file_device *device)
{
	return align_down(disk_info(device->disk)->size_bytes,
			  device->device.limits.logical_block_bytes);
}

static int file_device_resize(struct block_device *base, uint64_t capacity_bytes, struct err *err)
{
	struct file_device *device = file_of(base);
	const uint64_t before = block_capacity(base);
	int r;

	/* Shrinking: stop requests beyond the new end before the drive does. */
	if (capacity_bytes < before)
		block_capacity_set(base, capacity_bytes);
	r = disk_resize(device->disk, capacity_bytes);
	if (r < 0) {
		block_capacity_set(base, before);
		return err_set(err, r, "cannot resize %s: %s; %s", disk_name(device->disk),
			       strerror(-r),
			       r == -ENOTSUP ? "resize the block device itself, then rescan it"
					     : "correct that first");
	}
	block_capacity_set(base, capacity_of(device));
	return 0;
}

static int file_device_refresh(struct block_device *base, struct err *err)
{
	struct file_device *device = file_of(base);
	const int r = disk_refresh(device->disk);

	if (r < 0)
		return err_set(err, r, "cannot tell the size of %s: %s", disk_name(device->disk),
			       strerror(-r));
	block_capacity_set(base, capacity_of(device));
	return 0;
}

static void file_device_describe(const struct block_device *base,
				 struct block_description *description)
{
	static const char *const kinds[] = {
		[DISK_FILE] = "file",
		[DISK_BLOCK_DEVICE] = "block device",
		[DISK_SIMULATED] = "simulated",
	};
	const struct file_device *device = container_of(base, struct file_device, device);
	const struct disk_info *info = disk_info(device->disk);

	description->kind = kinds[info->kind];
	description->path = disk_name(device->disk);
	description->cache = info->direct ? "none" : "writeback";
}

static const struct block_ops file_ops = {
	.name = "file",
	.close = file_device_close,
	.channel_open = file_channel_open,
	.channel_close = file_channel_close,
	.submit = block_file_submit,
	.kick = block_file_kick,
	.resize = file_device_resize,
	.refresh = file_device_refresh,
	.describe = file_device_describe,
};

/* The limits of `disk` with blocks of `block_bytes` (0: its own, 512 or 4096). */
static int limits_make(const struct disk *disk, uint32_t block_bytes, struct block_limits *ret,
		       struct err *err)
{
	const struct disk_info *info = disk_info(disk);
	const uint32_t own = info->logical_block_bytes <= 512 ? 512 : 4096;
	const uint32_t block = block_bytes ? block_bytes : own;

	if (block < info->logical_block_bytes)
		return err_set(err, -EINVAL,
			       "cannot use blocks of %u bytes on %s: its own have %u; leave "
			       "block= away or set block=4096",
			       block, disk_name(disk), info->logical_block_bytes);
	if (align_down(info->size_bytes, block) == 0)
		return err_set(err, -ENODATA,
			       "cannot use %s: it is smaller than one block of %u bytes; make it "
			       "larger",
			       disk_name(disk), block);
	*ret = (struct block_limits){
		.capacity_bytes = align_down(info->size_bytes, block),
		.logical_block_bytes = block,
		.optimal_block_bytes = MAX(MAX(info->physical_block_bytes, block), 4096U),
		.transfer_max_bytes = info->transfer_max_bytes,
		/* Direct I/O also wants each piece to be whole blocks. */
		.buffer_alignment_bytes =
			info->direct ? MAX(info->dma_alignment_bytes, info->logical_block_bytes)
				     : info->dma_alignment_bytes,
		.iov_max = info->iov_max,
		.discard_granularity_bytes = info->discard_granularity_bytes
						     ? MAX(info->discard_granularity_bytes, block)
						     : 0,
		.read_only = info->read_only,
		.volatile_cache = info->volatile_cache,
		.discard_zeroes = info->discard_zeroes,
		.write_zeroes = info->write_zeroes,
	};
	return 0;
}

/* Takes nothing on failure; on success the device has `disk` when `owns`. */
static int device_make(struct disk *disk, uint32_t block_bytes, const char *text,
		       struct block_device **ret_device, struct err *err)
{
	struct block_limits limits;
	struct file_device *device;
	const int r = limits_make(disk, block_bytes, &limits, err);

	if (r < 0)
		return r;
	device = xcalloc(1, sizeof(*device));
	device->device.limits = limits;
	device->disk = disk;
	block_device_init(&device->device, &file_ops, xstrdup(text));
	*ret_device = &device->device;
	return 0;
}

int block_open_disk(struct disk *disk, uint32_t block_bytes, struct block_device **ret_device,
		    struct err *err)
{
	return device_make(disk, block_bytes, disk_name(disk), ret_device, err);
}

int block_file_open(const struct block_spec *spec, const char *text,
		    struct block_device **ret_device, struct err *err)
{
	const struct disk_open_params params = {
		.read_only = spec->read_only,
		.no_direct = spec->writeback,
	};
	struct disk *disk;
	int r = disk_open(spec->path, &params, &disk, err);

	if (r < 0)
		return r;
	r = device_make(disk, spec->block_bytes, text, ret_device, err);
	if (r < 0) {
		disk_close(disk);
		return r;
	}
	file_of(*ret_device)->owns_disk = true;
	return 0;
}
