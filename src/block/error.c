/* SPDX-License-Identifier: Apache-2.0 */
/* The wrapper that fails requests by a rule, instead of executing them. */
#include <errno.h>
#include <stdlib.h>

#include <quoin/base_text.h>

#include "wrapper.h"

struct error_device {
	struct wrapper_device wrapper;
	struct block_error_rule rule; /* under device.lock, with the counts */
	uint64_t seen;		      /* matching requests since the rule was set */
	uint64_t hits;		      /* of these failed */
};

static const struct block_ops error_ops;

static struct error_device *error_of(struct block_device *device)
{
	return container_of(device, struct error_device, wrapper.device);
}

static int error_channel_open(struct block_device *device, struct loop *loop,
			      struct block_channel **ret_channel)
{
	struct wrapper_channel *channel = calloc(1, sizeof(*channel));
	int r;

	if (!channel)
		return -ENOMEM;
	r = block_channel_open(error_of(device)->wrapper.lower, loop, &channel->lower);
	if (r < 0) {
		free(channel);
		return r;
	}
	*ret_channel = &channel->channel;
	return 0;
}

static void error_channel_close(struct block_channel *base)
{
	struct wrapper_channel *channel = container_of(base, struct wrapper_channel, channel);

	block_channel_close(channel->lower);
	free(channel);
}

/* 0, or the error this request is to have. */
static int verdict(struct error_device *device, const struct block_request *request)
{
	const struct block_error_rule *rule = &device->rule;
	uint64_t number;

	if (!block_wrapper_matches(&rule->match, request))
		return 0;
	number = ++device->seen;
	if (number <= rule->after || (number - rule->after) % rule->every != 0)
		return 0;
	if (rule->count != 0 && device->hits >= rule->count)
		return 0;
	device->hits++;
	return rule->result;
}

static void error_submit(struct block_channel *base, struct block_request *request)
{
	struct wrapper_channel *channel = container_of(base, struct wrapper_channel, channel);
	struct error_device *device = error_of(base->device);
	int result;

	pthread_mutex_lock(&device->wrapper.device.lock);
	result = verdict(device, request);
	pthread_mutex_unlock(&device->wrapper.device.lock);
	if (result < 0)
		block_complete(request, result);
	else
		block_wrapper_pass(channel, request);
}

static const struct block_ops error_ops = {
	.name = "error",
	.close = block_wrapper_close,
	.channel_open = error_channel_open,
	.channel_close = error_channel_close,
	.submit = error_submit,
	.kick = block_wrapper_kick,
	.hurry = block_wrapper_hurry,
	.resize = block_wrapper_resize,
	.refresh = block_wrapper_refresh,
	.describe = block_wrapper_describe,
};

struct block_device *block_error_wrap(struct block_device *lower,
				      const struct block_error_rule *rule, const char *text)
{
	struct error_device *device = xcalloc(1, sizeof(*device));

	device->rule = *rule;
	block_wrapper_init(&device->wrapper, &error_ops, lower, text);
	return &device->wrapper.device;
}

int block_error_set(struct block_device *device, const struct block_error_rule *rule)
{
	struct block_device *found = block_wrapper_find(device, &error_ops);

	ASSERT(rule->result < 0 && rule->every > 0);
	if (!found)
		return -ENOENT;
	pthread_mutex_lock(&found->lock);
	error_of(found)->rule = *rule;
	error_of(found)->seen = 0;
	error_of(found)->hits = 0;
	pthread_mutex_unlock(&found->lock);
	return 0;
}

uint64_t block_error_hits(struct block_device *device)
{
	struct block_device *found = block_wrapper_find(device, &error_ops);
	uint64_t hits;

	if (!found)
		return 0;
	pthread_mutex_lock(&found->lock);
	hits = error_of(found)->hits;
	pthread_mutex_unlock(&found->lock);
	return hits;
}
