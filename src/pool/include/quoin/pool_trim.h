/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trim of a whole pool: its drives are told of all space that is free, once. It runs in the
 * background, one discard at a time, slower while guests have I/O under way, until it has been
 * everywhere, is stopped, or the pool is closed or suspended. For space that becomes free from now
 * on there is autotrim.
 */
#ifndef QUOIN_POOL_TRIM_H
#define QUOIN_POOL_TRIM_H

#include <quoin/base.h>
#include <quoin/base_err.h>

struct pool;

enum pool_trim_state {
	POOL_TRIM_NONE, /* since the import */
	POOL_TRIM_RUNNING,
	POOL_TRIM_DONE,
	POOL_TRIM_STOPPED,
};

struct pool_trim_status {
	enum pool_trim_state state;
	uint64_t total_bytes, passed_bytes; /* looked over: what is free may be less */
	uint64_t trimmed_bytes;		    /* told to drives, of all of them together */
	uint64_t failed_bytes;		    /* of them: some drive would not */
	uint64_t began_s, ended_s;	    /* wall clock; 0: not yet */
};

/* -EBUSY: one is under way; -ENOTSUP: no drive takes discards; -EROFS, -EIO, -ENOMEM. */
MUST_CHECK int pool_trim_start(struct pool *pool, struct err *err);

/* Ends it soon. -ENOENT: none is under way. */
MUST_CHECK int pool_trim_stop(struct pool *pool, struct err *err);

void pool_trim_status(const struct pool *pool, struct pool_trim_status *ret_status);

#endif
