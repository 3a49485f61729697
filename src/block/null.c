/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The null device: any size, no contents. Writes are dropped; reads leave the buffers as they
 * are, since to fill them would measure memset() instead of the path (block.h tells front ends
 * what follows for bounce buffers). Requests complete inside submit.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include <quoin/base_math.h>
#include <quoin/base_text.h>

#include "driver.h"

#define NULL_TRANSFER_MAX (4U * 1024 * 1024)
#define NULL_IOV_MAX 4096U

static void null_close(struct block_device *device)
{
	block_device_fini(device);
	free(device);
}

static int null_channel_open(struct block_device *device, struct loop *loop,
			     struct block_channel **ret_channel)
{
	struct block_channel *channel = calloc(1, sizeof(*channel));

	if (!channel)
		return -ENOMEM;
	*ret_channel = channel;
	return 0;
}

static void null_channel_close(struct block_channel *channel)
{
	free(channel);
}

static void null_submit(struct block_channel *channel, struct block_request *request)
{
	block_complete(request, 0);
}

static int null_resize(struct block_device *device, uint64_t capacity_bytes, struct err *err)
{
	if (capacity_bytes > INT64_MAX)
		return err_set(err, -EFBIG,
			       "cannot resize %s: no device is larger than 8 EiB; "
			       "give a smaller size",
			       device->spec);
	block_capacity_set(device, capacity_bytes);
	return 0;
}

static void null_describe(const struct block_device *device, struct block_description *description)
{
	description->kind = "null";
}

static const struct block_ops null_ops = {
	.name = "null",
	.close = null_close,
	.channel_open = null_channel_open,
	.channel_close = null_channel_close,
	.submit = null_submit,
	.resize = null_resize,
	.describe = null_describe,
};

int block_null_open(const struct block_spec *spec, const char *text,
		    struct block_device **ret_device, struct err *err)
{
	const uint32_t block = spec->block_bytes ? spec->block_bytes : 512;
	const uint64_t capacity = align_down(spec->size_bytes, block);
	struct block_device *device;

	if (capacity == 0 || capacity > INT64_MAX)
		return err_set(err, -EINVAL,
			       "cannot open %s: the size is below one block of %u bytes or above "
			       "8 EiB; give another",
			       text, block);
	device = xcalloc(1, sizeof(*device));
	device->limits = (struct block_limits){
		.capacity_bytes = capacity,
		.logical_block_bytes = block,
		.optimal_block_bytes = 4096,
		.transfer_max_bytes = NULL_TRANSFER_MAX,
		.buffer_alignment_bytes = 1,
		.iov_max = NULL_IOV_MAX,
		.discard_granularity_bytes = block,
		.write_zeroes = true,
	};
	block_device_init(device, &null_ops, xstrdup(text));
	*ret_device = device;
	return 0;
}
