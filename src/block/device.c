/* SPDX-License-Identifier: Apache-2.0 */
/* Block devices and channels: opening by name, closing, resizing, counting, describing. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_math.h>
#include <quoin/base_text.h>

#include "driver.h"

void block_device_init(struct block_device *device, const struct block_ops *ops, char *spec)
{
	device->ops = ops;
	device->spec = spec;
	pthread_mutex_init(&device->lock, NULL);
	list_init(&device->channels);
}

void block_device_fini(struct block_device *device)
{
	ASSERT(list_empty(&device->channels));
	pthread_mutex_destroy(&device->lock);
	free(device->spec);
}

static struct block_device *wrap(struct block_device *lower, const struct block_wrapper *wrapper,
				 const char *text)
{
	if (wrapper->kind == BLOCK_WRAPPER_ERROR)
		return block_error_wrap(lower, &wrapper->error, text);
	return block_delay_wrap(lower, &wrapper->delay, text);
}

int block_open(const char *text, struct block_device **ret_device, struct err *err)
{
	struct block_device *device;
	struct block_spec spec;
	int r = block_spec_parse(text, &spec, err);

	if (r < 0)
		return r;
	if (spec.base == BLOCK_BASE_NULL)
		r = block_null_open(&spec, text, &device, err);
	else
		r = block_file_open(&spec, text, &device, err);
	if (r < 0)
		return r;
	for (unsigned i = spec.wrapper_count; i > 0; i--)
		device = wrap(device, &spec.wrappers[i - 1], text);
	*ret_device = device;
	return 0;
}

void block_close(struct block_device *device)
{
	if (device)
		device->ops->close(device);
}

int block_channel_open(struct block_device *device, struct loop *loop,
		       struct block_channel **ret_channel)
{
	struct block_channel *channel;
	const int r = device->ops->channel_open(device, loop, &channel);

	if (r < 0)
		return r;
	channel->device = device;
	channel->loop = loop;
	channel->submit = device->ops->submit;
	channel->kick = device->ops->kick;
	channel->in_flight = 0;
	memset(&channel->counters, 0, sizeof(channel->counters));
	pthread_mutex_lock(&device->lock);
	list_append(&device->channels, &channel->node);
	pthread_mutex_unlock(&device->lock);
	*ret_channel = channel;
	return 0;
}

/* Adds what `from` says now; its writer may be running. */
static void counters_add(struct block_counters *to, const struct block_counters *from)
{
	for (unsigned op = 0; op < BLOCK_OP_COUNT; op++) {
		to->done[op] += __atomic_load_n(&from->done[op], __ATOMIC_RELAXED);
		to->bytes[op] += __atomic_load_n(&from->bytes[op], __ATOMIC_RELAXED);
		to->errors[op] += __atomic_load_n(&from->errors[op], __ATOMIC_RELAXED);
	}
}

void block_channel_close(struct block_channel *channel)
{
	struct block_device *device;

	if (!channel)
		return;
	ASSERT_U64(channel->in_flight, ==, 0);
	device = channel->device;
	pthread_mutex_lock(&device->lock);
	list_remove(&channel->node);
	counters_add(&device->retired, &channel->counters);
	pthread_mutex_unlock(&device->lock);
	device->ops->channel_close(channel);
}

void block_hurry(struct block_channel *channel, bool on)
{
	if (channel->device->ops->hurry)
		channel->device->ops->hurry(channel, on);
}

int block_resize(struct block_device *device, uint64_t capacity_bytes, struct err *err)
{
	if (capacity_bytes == 0 || !is_aligned(capacity_bytes, device->limits.logical_block_bytes))
		return err_set(err, -EINVAL,
			       "cannot resize %s: the size is not a positive multiple of its "
			       "block of %u bytes; give one that is",
			       device->spec, device->limits.logical_block_bytes);
	if (!device->ops->resize)
		return err_set(err, -ENOTSUP,
			       "cannot resize %s: this kind of device cannot be "
			       "resized from here",
			       device->spec);
	return device->ops->resize(device, capacity_bytes, err);
}

int block_refresh(struct block_device *device, struct err *err)
{
	if (!device->ops->refresh)
		return 0;
	return device->ops->refresh(device, err);
}

void block_describe(struct block_device *device, struct block_description *ret_description)
{
	memset(ret_description, 0, sizeof(*ret_description));
	ret_description->path = "";
	ret_description->cache = "";
	ret_description->spec = device->spec;
	ret_description->limits = device->limits;
	ret_description->limits.capacity_bytes = block_capacity(device);
	device->ops->describe(device, ret_description);
}

void block_counters_get(struct block_device *device, struct block_counters *ret_counters)
{
	pthread_mutex_lock(&device->lock);
	*ret_counters = device->retired;
	list_for_each (node, &device->channels) {
		const struct block_channel *channel =
			container_of(node, struct block_channel, node);

		counters_add(ret_counters, &channel->counters);
	}
	pthread_mutex_unlock(&device->lock);
}
