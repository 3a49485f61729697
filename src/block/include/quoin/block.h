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
 * logical block size; the pieces add up to the length; length <= transfer_max_bytes for
 * operations with data. Violations are the front end's bug. What may change under it is answered
 * through done(): beyond the capacity -ENXIO, a write to a read-only device -EROFS. A request of
 * length 0 (but a flush, whose offset and length do not count) does nothing, with success.
 *
 * A driver may hold requests back to merge neighbours: end every batch with block_kick().
 * done() may be called from inside block_submit() and block_kick(). Requests in flight are not
 * ordered, also when they overlap; the guest orders by waiting for completions. A flush makes
 * durable what was completed before it was submitted.
 *
 * A copy makes blocks of the device those of another place of it, with no data moved, and is
 * durable when it is done. Its sources add up to the length and do not overlap where it goes.
 * -EOPNOTSUPP: not by reference, now or ever; some of it may be there. Its submitter reads and
 * writes then.
 *
 * What a read leaves in the buffers when it fails, and on `null` devices always, is undefined:
 * they may be untouched. Buffers that are the guest's own leak nothing then; a front end that
 * reads into a buffer of its own (bounce) and copies from it zeroes it first.
 */
#ifndef QUOIN_BLOCK_H
#define QUOIN_BLOCK_H

#include <quoin/base.h>
#include <quoin/base_assert.h>
#include <quoin/base_err.h>
#include <quoin/block_driver.h>
#include <quoin/block_info.h>
#include <quoin/block_types.h>
#include <quoin/loop.h>

struct disk;

/*
 * Opens `spec` (grammar: quoin/block_spec.h), for example
 *   null:SIZE[,block=512|4096]    drops writes; reads leave the buffers alone
 *   file:PATH[,block=512|4096][,ro][,cache=none|writeback]   regular file or block device
 *   error:KEY=VALUE...:SPEC       fails requests (tests; quoin/block_fault.h)
 *   delay:KEY=VALUE...:SPEC       delays requests (tests)
 * -EINVAL for what it cannot parse, else as the driver says; a sentence in `err`.
 */
MUST_CHECK int block_open(const char *spec, struct block_device **ret_device, struct err *err);

/*
 * The file driver over an open drive (simulated ones, for instance), which is borrowed until
 * block_close(). `block_bytes` is 512, 4096, or 0 for the drive's own.
 */
MUST_CHECK int block_open_disk(struct disk *disk, uint32_t block_bytes,
			       struct block_device **ret_device, struct err *err);

/* All channels are closed. NULL is allowed. */
void block_close(struct block_device *device);

/* In the loop's thread (closing too, with no request in flight). -ENOMEM. */
MUST_CHECK int block_channel_open(struct block_device *device, struct loop *loop,
				  struct block_channel **ret_channel);
void block_channel_close(struct block_channel *channel);

/*
 * In the loop's thread. While it is on, requests of the channel's device that wait for something
 * other than a drive, as space in a full pool, end with an error instead: those that wait now and
 * those that come. For front ends that wait for their requests to end.
 */
void block_hurry(struct block_channel *channel, bool on);

/*
 * Control path, blocking. After 0, block_capacity() is the new one; tell the front ends. One
 * caller at a time.
 */
MUST_CHECK int block_resize(struct block_device *device, uint64_t capacity_bytes, struct err *err);
MUST_CHECK int block_refresh(struct block_device *device, struct err *err);

/* What block_request_judge() says of a request that may go to the driver. */
#define BLOCK_GO_ON 1

/* Asserts the contract. BLOCK_GO_ON, or the result to complete the request with now. */
MUST_CHECK int block_request_judge(const struct block_device *device,
				   const struct block_request *request);

/* What the request is about lies below `capacity_bytes`. Not for a flush. */
bool block_request_within(const struct block_request *request, uint64_t capacity_bytes);

/* Checks the contract, counts, hands to the driver. */
static inline void block_submit(struct block_channel *channel, struct block_request *request)
{
	int verdict;

	ASSERT(request->channel == NULL);
	request->channel = channel;
	channel->in_flight++;
	verdict = block_request_judge(channel->device, request);
	if (LIKELY(verdict == BLOCK_GO_ON))
		channel->submit(channel, request);
	else
		block_complete(request, verdict);
}

/* Ends a batch. */
static inline void block_kick(struct block_channel *channel)
{
	if (channel->kick)
		channel->kick(channel);
}

#endif
