/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table where front ends (nvme, vhost_user, nbd) and back ends (file, null, pool volume)
 * meet. Both know only this.
 *
 * A `block_device` is opened once; each loop that uses it opens a `block_channel`. Requests run in
 * the channel's loop. A request has one owner: the submitter until block_submit(), the driver
 * until done(), exactly once, then the submitter again.
 *
 * Contract, checked in block_submit() for every driver: offset and length are multiples of the
 * logical block size and lie within the capacity; the pieces add up to the length; length <=
 * transfer_max_bytes for operations with data. Violations are the front end's bug, except the
 * capacity, which may shrink under it: -ENXIO... through done().
 *
 * done() may be called from inside block_submit(). Requests in flight are not ordered, also when
 * they overlap; the guest orders by waiting for completions. A flush makes durable what was
 * completed before it was submitted.
 */
#ifndef QUOIN_BLOCK_H
#define QUOIN_BLOCK_H

#include <quoin/base.h>
#include <quoin/base_assert.h>
#include <quoin/base_err.h>
#include <quoin/base_list.h>
#include <quoin/loop.h>

struct block_device;
struct block_channel;
struct block_request;

enum block_op {
	BLOCK_READ,
	BLOCK_WRITE,
	BLOCK_FLUSH,
	BLOCK_DISCARD,	    /* deallocate: reads as zero after if discard_zeroes, else undefined */
	BLOCK_WRITE_ZEROES, /* reads as zero after */
	BLOCK_OP_COUNT,
};

enum block_flags {
	BLOCK_FUA = 1,	 /* write, write zeroes: durable on completion */
	BLOCK_UNMAP = 2, /* write zeroes: may release space */
};

struct block_limits {
	uint64_t capacity_bytes;
	uint32_t logical_block_bytes; /* 512 or 4096 */
	uint32_t optimal_block_bytes; /* writes of this size and alignment are cheap */
	uint32_t transfer_max_bytes;  /* per request with data; at least 128 KiB */
	uint32_t
		buffer_alignment_bytes; /* of iov_base and iov_len; front ends bounce what is not */
	uint32_t iov_max;
	uint32_t discard_granularity_bytes; /* 0 = no discard */
	bool read_only;
	bool volatile_cache; /* flush and FUA matter */
	bool discard_zeroes; /* discarded blocks read as zero */
	bool write_zeroes;   /* without transferring data */
};

#define BLOCK_DRIVER_WORDS 52

struct block_request {
	/* Set by the submitter; untouched by drivers. */
	enum block_op op;
	unsigned flags;
	uint64_t offset;
	uint64_t length_bytes;
	const struct iovec *iov; /* borrowed until done() */
	unsigned iov_count;
	void (*done)(struct block_request *request);

	/* Set by the driver before done(): 0 or negative errno. */
	int result;

	/* The driver's, from submit to done. */
	struct block_channel *channel;
	struct list node;
	uint64_t driver[BLOCK_DRIVER_WORDS];
};

struct block_ops {
	const char *name; /* "null", "file", ... */

	/* Any thread; no channel is left. */
	void (*close)(struct block_device *device);

	/* In `loop`'s thread. */
	int (*channel_open)(struct block_device *device, struct loop *loop,
			    struct block_channel **ret);
	void (*channel_close)(struct block_channel *channel); /* no request in flight */

	void (*submit)(struct block_channel *channel, struct block_request *request);

	/* End of a batch: hand over what submit() held back to merge. NULL when it holds nothing
	 * back. */
	void (*kick)(struct block_channel *channel);

	/* Control path, blocking: change the capacity / look at it again. NULL = -ENOTSUP. */
	int (*resize)(struct block_device *device, uint64_t capacity_bytes, struct err *err);
	int (*refresh)(struct block_device *device, struct err *err);
};

/* Drivers embed these two as their first member. */
struct block_device {
	const struct block_ops *ops;
	struct block_limits limits; /* capacity_bytes is written with block_capacity_set() */
	char *spec;		    /* what it was opened from, "file:/path"; owned */
};

struct block_channel {
	struct block_device *device;
	struct loop *loop;
	void (*submit)(struct block_channel *channel, struct block_request *request);
	void (*kick)(struct block_channel *channel);
	unsigned in_flight;
};

/*
 * Opens `spec`:
 *   null:SIZE[,block=512|4096]    reads zero, drops writes
 *   file:PATH[,block=512|4096][,ro][,cache=none|writeback]   regular file or block device
 *   error:KEY=VALUE...,SPEC       fails requests (tests; see block_fault.h)
 *   delay:KEY=VALUE...,SPEC       delays requests (tests)
 * -EINVAL for what it cannot parse, else as the driver says; a sentence in `err`.
 */
MUST_CHECK int block_open(const char *spec, struct block_device **ret_device, struct err *err);

/* All channels are closed. NULL is allowed. */
void block_close(struct block_device *device);

MUST_CHECK int block_channel_open(struct block_device *device, struct loop *loop,
				  struct block_channel **ret_channel);
void block_channel_close(struct block_channel *channel);

/* Control path. After 0, limits.capacity_bytes is the new one; tell the front ends. */
MUST_CHECK int block_resize(struct block_device *device, uint64_t capacity_bytes, struct err *err);
MUST_CHECK int block_refresh(struct block_device *device, struct err *err);

/* [any] The capacity now. */
uint64_t block_capacity(const struct block_device *device);
void block_capacity_set(struct block_device *device, uint64_t capacity_bytes);

/* Checks the contract, counts, hands to the driver. */
void block_submit(struct block_channel *channel, struct block_request *request);

static inline void block_kick(struct block_channel *channel)
{
	if (channel->kick)
		channel->kick(channel);
}

/* For drivers: ends a request. */
void block_complete(struct block_request *request, int result);

#endif
