/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wrapper that executes requests later: after a time, or when a test lets go of them.
 *
 * A waiting request keeps its timer in its own driver words; a held one is in its channel's
 * list. A release may come from any thread, so it goes to each channel's loop as a message; a
 * channel that is closed with its message still under way is freed when that arrives.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <quoin/base_text.h>

#include "wrapper.h"

struct delay_device {
	struct wrapper_device wrapper;
	struct block_delay_rule rule; /* under device.lock */
	uint64_t held;		      /* the same */
};

/* Where a channel's release message is. */
enum release_state { RELEASE_IDLE, RELEASE_SENT, RELEASE_ORPHAN };

struct delay_channel {
	struct wrapper_channel wrapper;
	struct list held; /* block_request.node */
	struct loop_message release;
	_Atomic int release_state; /* enum release_state */
};

/* What lives in block_request.driver while the request waits here. */
struct delay_words {
	struct loop_timer timer;
	struct delay_channel *channel;
};

_Static_assert(sizeof(struct delay_words) <= sizeof(uint64_t[BLOCK_DRIVER_WORDS]),
	       "a waiting request fits into the driver's words");

static const struct block_ops delay_ops;

static struct delay_device *delay_of(struct block_device *device)
{
	return container_of(device, struct delay_device, wrapper.device);
}

static struct delay_channel *channel_of(struct block_channel *channel)
{
	return container_of(channel, struct delay_channel, wrapper.channel);
}

/* --- Release ------------------------------------------------------------------------------- */

static void held_pass(struct delay_channel *channel)
{
	struct block_device *device = channel->wrapper.channel.device;
	struct list ready;
	struct list *node;

	list_init(&ready);
	list_splice(&ready, &channel->held);
	while ((node = list_pop(&ready)) != NULL) {
		pthread_mutex_lock(&device->lock);
		delay_of(device)->held--;
		pthread_mutex_unlock(&device->lock);
		block_wrapper_pass(&channel->wrapper,
				   container_of(node, struct block_request, node));
	}
	block_wrapper_kick(&channel->wrapper.channel);
}

static void release_deliver(struct loop_message *message)
{
	struct delay_channel *channel = container_of(message, struct delay_channel, release);
	if (atomic_exchange(&channel->release_state, RELEASE_IDLE) == RELEASE_ORPHAN)
		free(channel);
	else
		held_pass(channel);
}

/* Under device->lock. A message that is still under way will do. */
static void release_send(struct block_device *device)
{
	list_for_each (node, &device->channels) {
		struct block_channel *base = container_of(node, struct block_channel, node);
		struct delay_channel *channel = channel_of(base);
		int idle = RELEASE_IDLE;

		if (!atomic_compare_exchange_strong(&channel->release_state, &idle, RELEASE_SENT))
			continue;
		loop_message_send(base->loop, &channel->release);
	}
}

/* --- Requests ------------------------------------------------------------------------------ */

static void waited(struct loop_timer *timer)
{
	struct delay_words *words = container_of(timer, struct delay_words, timer);
	struct delay_channel *channel = words->channel;
	struct block_request *request =
		container_of((uint64_t *)(void *)words, struct block_request, driver[0]);

	block_wrapper_pass(&channel->wrapper, request);
	block_wrapper_kick(&channel->wrapper.channel);
}

static void wait_start(struct delay_channel *channel, struct block_request *request,
		       const struct block_delay_rule *rule)
{
	struct delay_words *words = (struct delay_words *)(void *)request->driver;
	struct loop *loop = channel->wrapper.channel.loop;
	uint64_t deadline_ns = loop_now_ns(loop) + rule->delay_ns;

	if (rule->jitter_ns > 0)
		deadline_ns += random_below(loop_random(loop), rule->jitter_ns + 1);
	words->channel = channel;
	loop_timer_init(&words->timer, waited);
	loop_timer_arm(loop, &words->timer, deadline_ns);
}

static void delay_submit(struct block_channel *base, struct block_request *request)
{
	struct delay_channel *channel = channel_of(base);
	struct delay_device *device = delay_of(base->device);
	struct block_delay_rule rule;
	bool matches;

	pthread_mutex_lock(&base->device->lock);
	rule = device->rule;
	matches = block_wrapper_matches(&rule.match, request);
	if (matches && rule.hold) {
		device->held++;
		list_append(&channel->held, &request->node);
	}
	pthread_mutex_unlock(&base->device->lock);
	if (!matches)
		block_wrapper_pass(&channel->wrapper, request);
	else if (!rule.hold)
		wait_start(channel, request, &rule);
}

/* --- Channels ------------------------------------------------------------------------------ */

static int delay_channel_open(struct block_device *device, struct loop *loop,
			      struct block_channel **ret_channel)
{
	struct delay_channel *channel = calloc(1, sizeof(*channel));
	int r;

	if (!channel)
		return -ENOMEM;
	r = block_channel_open(delay_of(device)->wrapper.lower, loop, &channel->wrapper.lower);
	if (r < 0) {
		free(channel);
		return r;
	}
	list_init(&channel->held);
	channel->release.deliver = release_deliver;
	*ret_channel = &channel->wrapper.channel;
	return 0;
}

static void delay_channel_close(struct block_channel *base)
{
	struct delay_channel *channel = channel_of(base);

	ASSERT(list_empty(&channel->held));
	block_channel_close(channel->wrapper.lower);
	/* The core took the channel off the list: no new release is sent. */
	if (atomic_exchange(&channel->release_state, RELEASE_ORPHAN) != RELEASE_SENT)
		free(channel);
}

static const struct block_ops delay_ops = {
	.name = "delay",
	.close = block_wrapper_close,
	.channel_open = delay_channel_open,
	.channel_close = delay_channel_close,
	.submit = delay_submit,
	.kick = block_wrapper_kick,
	.hurry = block_wrapper_hurry,
	.resize = block_wrapper_resize,
	.refresh = block_wrapper_refresh,
	.describe = block_wrapper_describe,
};

struct block_device *block_delay_wrap(struct block_device *lower,
				      const struct block_delay_rule *rule, const char *text)
{
	struct delay_device *device = xcalloc(1, sizeof(*device));

	device->rule = *rule;
	block_wrapper_init(&device->wrapper, &delay_ops, lower, text);
	return &device->wrapper.device;
}

int block_delay_set(struct block_device *device, const struct block_delay_rule *rule)
{
	struct block_device *found = block_wrapper_find(device, &delay_ops);

	if (!found)
		return -ENOENT;
	pthread_mutex_lock(&found->lock);
	delay_of(found)->rule = *rule;
	if (!rule->hold)
		release_send(found);
	pthread_mutex_unlock(&found->lock);
	return 0;
}

int block_delay_release(struct block_device *device)
{
	struct block_device *found = block_wrapper_find(device, &delay_ops);

	if (!found)
		return -ENOENT;
	pthread_mutex_lock(&found->lock);
	release_send(found);
	pthread_mutex_unlock(&found->lock);
	return 0;
}

uint64_t block_delay_held(struct block_device *device)
{
	struct block_device *found = block_wrapper_find(device, &delay_ops);
	uint64_t held;

	if (!found)
		return 0;
	pthread_mutex_lock(&found->lock);
	held = delay_of(found)->held;
	pthread_mutex_unlock(&found->lock);
	return held;
}
