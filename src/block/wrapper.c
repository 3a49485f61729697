/* SPDX-License-Identifier: Apache-2.0 */
/* What the error and delay wrappers share. */
#include <stdlib.h>

#include <quoin/base_math.h>
#include <quoin/base_text.h>

#include "wrapper.h"

static struct wrapper_device *wrapper_of(struct block_device *device)
{
	return container_of(device, struct wrapper_device, device);
}

void block_wrapper_init(struct wrapper_device *wrapper, const struct block_ops *ops,
			struct block_device *lower, const char *text)
{
	wrapper->lower = lower;
	wrapper->device.limits = lower->limits;
	block_device_init(&wrapper->device, ops, xstrdup(text));
}

void block_wrapper_close(struct block_device *device)
{
	struct wrapper_device *wrapper = wrapper_of(device);

	block_close(wrapper->lower);
	block_device_fini(device);
	free(wrapper);
}

void block_wrapper_kick(struct block_channel *channel)
{
	block_kick(container_of(channel, struct wrapper_channel, channel)->lower);
}

void block_wrapper_hurry(struct block_channel *channel, bool on)
{
	block_hurry(container_of(channel, struct wrapper_channel, channel)->lower, on);
}

int block_wrapper_resize(struct block_device *device, uint64_t capacity_bytes, struct err *err)
{
	struct wrapper_device *wrapper = wrapper_of(device);
	const uint64_t before = block_capacity(device);
	int r;

	/* The check of the capacity is up here, so a smaller one comes first. */
	if (capacity_bytes < before)
		block_capacity_set(device, capacity_bytes);
	r = block_resize(wrapper->lower, capacity_bytes, err);
	block_capacity_set(device, block_capacity(wrapper->lower));
	return r;
}

int block_wrapper_refresh(struct block_device *device, struct err *err)
{
	struct wrapper_device *wrapper = wrapper_of(device);
	const int r = block_refresh(wrapper->lower, err);

	block_capacity_set(device, block_capacity(wrapper->lower));
	return r;
}

void block_wrapper_describe(const struct block_device *device,
			    struct block_description *description)
{
	const struct wrapper_device *wrapper = container_of(device, struct wrapper_device, device);

	description->wrappers++;
	wrapper->lower->ops->describe(wrapper->lower, description);
}

struct block_device *block_wrapper_find(struct block_device *device, const struct block_ops *ops)
{
	/* Every wrapper, and nothing else, has these two functions. */
	while (device->ops != ops && device->ops->describe == block_wrapper_describe)
		device = wrapper_of(device)->lower;
	return device->ops == ops ? device : NULL;
}

bool block_wrapper_matches(const struct block_fault_match *match,
			   const struct block_request *request)
{
	uint64_t end;

	if (match->length_bytes == 0 || !u64_add(match->offset, match->length_bytes, &end))
		end = UINT64_MAX;
	if (!(match->ops & (1U << request->op)))
		return false;
	if (request->op == BLOCK_FLUSH)
		return true;
	return request->offset < end && request->offset + request->length_bytes > match->offset;
}
