/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a pool may take. memory_plan() divides it up before anything large is taken: what every pool
 * needs, three bits for each slot there can be, and then records, with the slots that they let go,
 * against pages of the map. The cache of these has what is left; so whatever else comes later (a
 * volume, a snapshot, the log of a pool that died with both deltas full) is lent by it.
 */
#ifndef POOL_ENGINE_MEMORY_H
#define POOL_ENGINE_MEMORY_H

#include <quoin/base.h>
#include <quoin/base_err.h>

struct pool;
struct pool_open_params;
struct space_params;

/*
 * After a crash the log holds what was in both deltas, and an import has to put it into one: that
 * one is made larger until it is merged, and filled up to delta_records only afterwards, as ever.
 * Ranges have room in one for those of both.
 */
struct engine_memory {
	uint64_t bytes;		/* all of it */
	uint32_t delta_records; /* of each of the two */
	unsigned buffer_pages, wios, rios, runs;
	size_t freed_max;
	size_t cache_pages;	/* when nothing is lent */
	uint64_t objects_bytes; /* volumes and snapshots can be lent so much at least */
	uint64_t lent_bytes;
	uint64_t replay_bytes; /* of them, for the larger delta */
};

/*
 * Sizes by params->memory_bytes; `space` has no freed_max yet. -ENOMEM: it is too little for this
 * pool, and the sentence says how much would do.
 */
MUST_CHECK int memory_plan(struct pool *pool, const struct pool_open_params *params,
			   const struct space_params *space, struct err *err);

/* The cache of pages. */
MUST_CHECK int memory_pages_make(struct pool *pool);

/* The active delta, which is empty, becomes able to hold what the log has. */
MUST_CHECK int memory_for_replay(struct pool *pool, uint64_t records);

/* A checkpoint was committed: what was for a replay goes back. */
void memory_after_replay(struct pool *pool);

/* For volumes and snapshots. -ENOMEM: the cache has no more to give. Not for the I/O path. */
MUST_CHECK int memory_borrow(struct pool *pool, uint64_t bytes);
void memory_return(struct pool *pool, uint64_t bytes);

#endif
