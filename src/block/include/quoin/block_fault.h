/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults for tests: two wrappers that stack on any device.
 *
 *   error:op=write,errno=EIO,after=10,count=1:file:/disk.img     the 11th write fails, once
 *   delay:op=flush,ms=50,jitter_us=500:null:1G                   flushes take 50 ms and a bit
 *   delay:hold:null:1G                                           requests wait for a release
 *
 * Common keys   op=read|write|flush|discard|zeroes|copy|any (op=read+write; default any)
 *               offset=SIZE,length=SIZE   only requests that touch this range (flushes have none
 *               and always match); default all
 * error         errno=NAME|NUMBER (default EIO), after=N (let N matching ones pass first),
 *               every=N (then every N-th fails; default 1), count=N (fail at most N; default all),
 *               off (no rule until one is set through this door)
 * delay         us=N | ms=N, jitter_us=N (a random part on top), hold
 *
 * A failed request is not executed. A delayed one is executed after its delay, in no order.
 * Rules may be changed while I/O runs; the wrappers take a lock per request, being for tests.
 */
#ifndef QUOIN_BLOCK_FAULT_H
#define QUOIN_BLOCK_FAULT_H

#include <quoin/base.h>
#include <quoin/block_types.h>

struct block_device;

#define BLOCK_FAULT_OPS_ALL ((1U << BLOCK_OP_COUNT) - 1)

/* Which requests a rule is for. */
struct block_fault_match {
	unsigned ops; /* bit per enum block_op; 0 = the rule is off */
	uint64_t offset;
	uint64_t length_bytes; /* 0 = to the end */
};

struct block_error_rule {
	struct block_fault_match match;
	int result;	/* negative errno */
	uint64_t after; /* matching requests to let pass first */
	uint64_t every; /* >= 1 */
	uint64_t count; /* failures to make; 0 = no limit */
};

struct block_delay_rule {
	struct block_fault_match match;
	uint64_t delay_ns;
	uint64_t jitter_ns;
	bool hold; /* keep until block_delay_release() or a rule without hold */
};

/*
 * [any] Sets the rule of the outermost wrapper of that kind in `device`'s stack, and starts its
 * counts anew. -ENOENT: there is none.
 */
MUST_CHECK int block_error_set(struct block_device *device, const struct block_error_rule *rule);
MUST_CHECK int block_delay_set(struct block_device *device, const struct block_delay_rule *rule);

/* [any] Lets all requests that are held now go on, each in its loop, soon. -ENOENT. */
MUST_CHECK int block_delay_release(struct block_device *device);

/* [any] Requests failed by the rule so far; held now. 0 when there is no such wrapper. */
uint64_t block_error_hits(struct block_device *device);
uint64_t block_delay_held(struct block_device *device);

#endif
