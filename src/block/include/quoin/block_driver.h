/* SPDX-License-Identifier: Apache-2.0 */
/* What a driver of the block room fills in: front ends have no business here. */
#ifndef QUOIN_BLOCK_DRIVER_H
#define QUOIN_BLOCK_DRIVER_H

#include <pthread.h>

#include <quoin/base_assert.h>
#include <quoin/base_err.h>
#include <quoin/block_info.h>
#include <quoin/block_types.h>
#include <quoin/loop.h>

struct block_ops {
	const char *name; /* "null", "file", ... */

	/* Any thread; no channel is left. Frees the device, block_device_fini() included. */
	void (*close)(struct block_device *device);

	/* In `loop`'s thread. The core fills in the channel's common part. */
	int (*channel_open)(struct block_device *device, struct loop *loop,
			    struct block_channel **ret);
	void (*channel_close)(struct block_channel *channel); /* no request in flight */

	/* request->channel is the outermost one, the core's; `channel` is the driver's own. */
	void (*submit)(struct block_channel *channel, struct block_request *request);

	/* End of a batch: hand over what submit() held back to merge. NULL when it holds nothing
	 * back. */
	void (*kick)(struct block_channel *channel);

	/* As block_hurry(). NULL: its requests wait for drives alone. */
	void (*hurry)(struct block_channel *channel, bool on);

	/* Control path, blocking: change the capacity / look at it again. NULL = -ENOTSUP. */
	int (*resize)(struct block_device *device, uint64_t capacity_bytes, struct err *err);
	int (*refresh)(struct block_device *device, struct err *err);

	/* Fills kind, path, cache; counts itself in wrappers. The rest is there already. */
	void (*describe)(const struct block_device *device, struct block_description *description);
};

/* Drivers embed these two as their first member. */
struct block_device {
	const struct block_ops *ops;
	struct block_limits limits; /* capacity_bytes is written with block_capacity_set() */
	char *spec;		    /* what it was opened from, "file:/path"; owned */
	pthread_mutex_t lock;	    /* of the two below; control path only */
	struct list channels;
	struct block_counters retired; /* by channels that are closed */
};

struct block_channel {
	struct block_device *device;
	struct loop *loop;
	void (*submit)(struct block_channel *channel, struct block_request *request);
	void (*kick)(struct block_channel *channel);
	unsigned in_flight;
	struct list node;
	struct block_counters counters; /* written by the loop alone, relaxed */
};

/* [any] The capacity now. */
static inline uint64_t block_capacity(const struct block_device *device)
{
	return __atomic_load_n(&device->limits.capacity_bytes, __ATOMIC_RELAXED);
}

/* [any] For drivers. */
static inline void block_capacity_set(struct block_device *device, uint64_t capacity_bytes)
{
	__atomic_store_n(&device->limits.capacity_bytes, capacity_bytes, __ATOMIC_RELAXED);
}

/* For drivers: ends a request. */
static inline void block_complete(struct block_request *request, int result)
{
	struct block_channel *channel = request->channel;
	uint64_t *counter;

	/* A request completes exactly once. */
	ASSERT(channel != NULL);
	request->channel = NULL;
	request->result = result;
	channel->in_flight--;
	counter = LIKELY(result == 0) ? channel->counters.done : channel->counters.errors;
	counter += request->op;
	/* One writer: a load and a store do, no locked instruction is needed. */
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
	if (LIKELY(result == 0)) {
		counter = &channel->counters.bytes[request->op];
		__atomic_store_n(counter, *counter + request->length_bytes, __ATOMIC_RELAXED);
	}
	request->done(request);
}

/* The common part of a device. Takes `spec`. */
void block_device_init(struct block_device *device, const struct block_ops *ops, char *spec);
void block_device_fini(struct block_device *device);

#endif
