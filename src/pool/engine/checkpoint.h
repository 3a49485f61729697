/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checkpointer: one fiber that turns the frozen delta into trees.
 *
 *   freeze -> some records go on -> merge each volume (a pass per snapshot that was cut, then the
 * head) -> the verb's task -> some of what is being destroyed -> tables -> all durable ->
 * superblock -> commit
 *
 * Nothing before the superblock changes what is committed; a failure suspends the pool.
 *
 * A timer looks now and then whether something has waited for long: what was written last is
 * merged soon after the guests came to rest, so that an import after a crash has little to replay,
 * and the numbers of space are exact. A clean pool is left alone.
 */
#ifndef POOL_ENGINE_CHECKPOINT_H
#define POOL_ENGINE_CHECKPOINT_H

#include "engine/io.h"
#include "engine/pace.h"

#define CARRY_TIMES 4 /* that a record may be left to the next checkpoint */

struct checkpoint_wait {
	struct list node;
	struct fiber *fiber;
	uint64_t freeze; /* the freeze it waits for */
	bool done;
	int result;
};

struct checkpointer {
	struct pool *pool;
	struct fiber *fiber;
	bool stop, requested;
	bool full; /* the delta was when it was requested */
	bool all;  /* whoever requested it wants all merged */
	uint64_t freezes, made;
	struct list waits;
	int (*task)(struct pool *pool, void *arg);
	void *task_arg;
	uint64_t task_freeze; /* the first whose checkpoint may run it */
	int task_result;

	/* Of the checkpoint under way. */
	struct super super;
	struct log_position start;
	uint32_t epoch;	     /* records of the frozen delta have at most this */
	bool relogged;	     /* something was carried into the next generation's log */
	bool carry;	     /* it has to make room, no more: carry.c */
	uint64_t carry_from; /* seq: what is older is merged */
	uint64_t freeze_seqs[CARRY_TIMES]; /* of the last freezes */
	bool destroying;		   /* more is left to free */
	uint64_t records_last, ns_last;
	uint64_t data_free; /* slots, after the last one */

	uint64_t meta_wanted; /* segments.c: slots of metadata, at a time, by this checkpoint so far
			       */

	/* meta_room.c: pages of all maps; as of which freezes, commits and cuts, and volumes. */
	uint64_t maps_pages[NODE_LEVELS_MAX + 1]; /* that all maps can have, from the leaves up */
	unsigned maps_levels;
	uint64_t maps_seen;
	unsigned maps_volumes;

	struct pace pace;
	struct loop_timer pace_timer; /* the write at the head of the queue may begin then */

	/* What the timer saw last. */
	struct loop_timer timer;
	uint64_t seen_seq, seen_freezes;
	uint32_t seen_epoch;
	uint64_t dirty_ns; /* since when something waits to be merged; 0: nothing does */
	uint64_t still_ns; /* since when nothing came */
};

/* One is under way. */
bool checkpoint_busy(const struct pool *pool);

MUST_CHECK int checkpointer_start(struct pool *pool);
void checkpointer_stop(struct pool *pool); /* [fiber] */

/*
 * True: a checkpoint is under way and the request, at the head of the queue and not begun, waits
 * so that room is left for others until the end. A timer goes round the queues in time.
 */
bool write_held(struct pool *pool, struct block_request *request);

/* [fiber] merge.c: all volumes' frozen records into their `next` roots. */
MUST_CHECK int checkpoint_merge(struct checkpointer *c);

/*
 * [fiber] carry.c: takes records out of pool->order, which is sorted, that go on in the active
 * delta. Returns how many are left in it.
 */
uint32_t checkpoint_carry(struct checkpointer *c);

/* [fiber] tables.c: changed records of volumes and snapshots, and the history. */
MUST_CHECK int checkpoint_tables(struct checkpointer *c);

/*
 * [fiber] segments.c: segments enough for the next generation; `meta` slots are free now. Before
 * the table of segments is written.
 */
MUST_CHECK int checkpoint_space(struct checkpointer *c, uint64_t meta);

/* [fiber] Then, as the last thing before that table: chunks are rare, and empty segments go. */
void checkpoint_space_return(struct checkpointer *c);

static inline uint64_t chunk_slots(const struct pool *pool)
{
	return UINT64_C(1) << (pool->super.chunk_shift - PAGE_SHIFT);
}

/* Slots that metadata could have of data segments that are empty, and not needed soon. */
uint64_t segments_for_meta(const struct pool *pool, const struct space_sums *sums);

/* --- meta_room.c ------------------------------------------------------------------------------ */

/* What is left free, for others; in units of what a checkpoint writes besides the maps. */
enum meta_keep {
	META_KEEP_TRIMS = 1,	/* by who makes room */
	META_KEEP_RENEWALS = 2, /* by who writes over what is the volume's alone */
	META_KEEP_WRITES = 3,
};

/*
 * Metadata of all that is in the deltas, and of so many records more, finds room now. False: ask
 * for a checkpoint, and again after it.
 */
bool meta_fits(const struct pool *pool, uint64_t records, enum meta_keep keep);

/* It would once the deltas are empty and all that was freed is back. False: it never will. */
bool meta_fits_settled(const struct pool *pool, uint64_t records, enum meta_keep keep);

/* All that is admitted finds room, and as much as writes leave free, if data takes a segment more.
 */
bool meta_fits_without_chunk(const struct pool *pool);

/* Slots that data can have of the chunks that are free, so that this stays true. */
uint64_t meta_leaves_data(const struct pool *pool);

/* [fiber] For a verb that makes something. 0; -ENOSPC, -EIO with its reason. */
MUST_CHECK int meta_verb_check(struct pool *pool, struct err *err);

/* Pages that the frozen delta's merge can take. */
uint64_t meta_merge_pages(const struct pool *pool);

/* Slots that writes leave free. */
uint64_t meta_kept(const struct pool *pool);

/* open.c: the states and error counts of the drives, as they are now. */
void super_drives_set(const struct pool *pool, struct super *super);

#endif
