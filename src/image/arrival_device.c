/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block device that guests have of a volume whose image is arriving. Requests of other loops
 * than the home travel there and back by message, in their own driver words. Once the image is
 * complete a request goes straight to the volume on its own loop: the device costs one test then,
 * until its target is opened anew.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_text.h>

#include "arrival_private.h"

static struct arrival_device *device_of(const struct block_device *block)
{
	return container_of(block, struct arrival_device, block);
}

static struct arrival_channel *channel_of(struct block_channel *channel)
{
	return container_of(channel, struct arrival_channel, channel);
}

static void deliver_start(struct loop_message *message)
{
	struct arrival_words *words = container_of(message, struct arrival_words, message);
	struct arrival *arrival = words->device->arrival;

	arrival->in_flight++;
	arrival_start(arrival,
		      container_of((uint64_t *)(void *)words, struct block_request, driver[0]));
	block_kick(arrival->channel);
}

static void device_submit(struct block_channel *channel, struct block_request *request)
{
	struct arrival_channel *own = channel_of(channel);
	struct arrival_device *device = device_of(channel->device);
	struct arrival *arrival = device->arrival;
	struct arrival_words *words;

	if (LIKELY(__atomic_load_n(&arrival->complete, __ATOMIC_ACQUIRE))) {
		own->lower->submit(own->lower, request);
		return;
	}
	words = arrival_words(request);
	memset(words, 0, sizeof(*words));
	words->device = device;
	words->origin = channel->loop;
	if (channel->loop == arrival->loop) {
		arrival->in_flight++;
		arrival_start(arrival, request);
		return;
	}
	words->message.deliver = deliver_start;
	loop_message_send(arrival->loop, &words->message);
}

static void device_kick(struct block_channel *channel)
{
	struct arrival *arrival = device_of(channel->device)->arrival;

	block_kick(channel_of(channel)->lower);
	if (channel->loop == arrival->loop)
		block_kick(arrival->channel);
}

/* --- Leaving ------------------------------------------------------------------------------------
 */

static void hurry_begin(void *arg)
{
	struct arrival_device *device = arg;

	device->hurried = 1;
	arrival_retry(device->arrival);
}

static void hurry_end(void *arg)
{
	struct arrival_device *device = arg;

	device->hurried = 0;
	arrival_retry(device->arrival);
}

static void device_hurry(struct block_channel *channel, bool on)
{
	struct arrival_device *device = device_of(channel->device);

	block_hurry(channel_of(channel)->lower, on);
	loop_post(device->arrival->loop, on ? hurry_begin : hurry_end, device);
}

static void device_free(void *arg)
{
	struct arrival_device *device = arg;

	device->arrival->devices--;
	block_device_fini(&device->block);
	free(device);
}

static void device_close(struct block_device *block)
{
	struct arrival_device *device = device_of(block);

	loop_post(device->arrival->loop, device_free, device);
}

/* --- Life
 * ----------------------------------------------------------------------------------------- */

static int device_channel_open(struct block_device *block, struct loop *loop,
			       struct block_channel **ret_channel)
{
	struct arrival_channel *channel = calloc(1, sizeof(*channel));
	int r;

	if (!channel)
		return -ENOMEM;
	r = block_channel_open(device_of(block)->arrival->lower, loop, &channel->lower);
	if (r < 0) {
		free(channel);
		return r;
	}
	*ret_channel = &channel->channel;
	return 0;
}

static void device_channel_close(struct block_channel *base)
{
	struct arrival_channel *channel = channel_of(base);

	block_channel_close(channel->lower);
	free(channel);
}

static int device_resize(struct block_device *block, uint64_t capacity_bytes, struct err *err)
{
	return block_resize(device_of(block)->arrival->lower, capacity_bytes, err);
}

static int device_refresh(struct block_device *block, struct err *err)
{
	struct block_device *lower = device_of(block)->arrival->lower;
	const int r = block_refresh(lower, err);

	block_capacity_set(block, block_capacity(lower));
	return r;
}

static void device_describe(const struct block_device *block, struct block_description *description)
{
	const struct block_device *lower = device_of(block)->arrival->lower;

	lower->ops->describe(lower, description);
}

static const struct block_ops device_ops = {
	.name = "arriving",
	.close = device_close,
	.channel_open = device_channel_open,
	.channel_close = device_channel_close,
	.submit = device_submit,
	.kick = device_kick,
	.hurry = device_hurry,
	.resize = device_resize,
	.refresh = device_refresh,
	.describe = device_describe,
};

struct block_device *arrival_device_new(struct arrival *arrival, bool read_only, const char *name)
{
	struct arrival_device *device = xcalloc(1, sizeof(*device));

	device->arrival = arrival;
	device->block.limits = arrival->lower->limits;
	device->block.limits.capacity_bytes = block_capacity(arrival->lower);
	device->block.limits.read_only = read_only || arrival->lower->limits.read_only;
	device->block.limits.copy_block_bytes = 0;
	block_device_init(&device->block, &device_ops, xstrdup(name));
	arrival->devices++;
	return &device->block;
}
