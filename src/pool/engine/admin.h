/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What verbs are made of: the table of volumes and snapshots, gates, and tasks that run within a
 * checkpoint.
 *
 * A verb (1) takes the admin lock, (2) judges its arguments against the committed records, (3)
 * closes gates where requests must not run meanwhile, (4) has a task changed the `next` records
 * within a checkpoint, which makes it atomic and durable, (5) opens gates and gives the lock back.
 * Only the creation of snapshots goes through the log instead, and takes no checkpoint.
 */
#ifndef POOL_ENGINE_ADMIN_H
#define POOL_ENGINE_ADMIN_H

#include "engine/engine.h"

/* --- volume.c: the table ------------------------------------------------------------------- */

/* By number; NULL: none. */
struct volume *volume_at(const struct pool *pool, uint32_t id);
/* -EBUSY: it is arriving or hidden. */
MUST_CHECK int volume_plain_check(const struct volume *volume, struct err *err);
struct snapshot *snapshot_at(const struct pool *pool, uint32_t id);

/* names.c: live ones, by name. */
struct volume *volume_find(const struct pool *pool, const char *name);
struct snapshot *snapshot_find(const struct pool *pool, uint32_t volume, const char *name);

/* "NAME@SNAP"; -EINVAL, -ENOENT with a sentence. */
MUST_CHECK int snapshot_parse(const struct pool *pool, const char *name,
			      struct snapshot **ret_snapshot, struct err *err);
MUST_CHECK int volume_get(const struct pool *pool, const char *name, struct volume **ret_volume,
			  struct err *err);

/* A new object with the lowest free number; both records are zero (state NONE) until a task, or
 * the log, fills them. -ENOSPC (POOL_VOLUMES_MAX, POOL_SNAPSHOTS_MAX), -ENOMEM. */
MUST_CHECK int volume_add(struct pool *pool, struct volume **ret_volume);
MUST_CHECK int snapshot_add(struct pool *pool, struct snapshot **ret_snapshot);
/* The same with a given number (import). -EEXIST, -EUCLEAN (beyond the maximum), -ENOMEM. */
MUST_CHECK int volume_add_at(struct pool *pool, uint32_t id, struct volume **ret_volume);
MUST_CHECK int snapshot_add_at(struct pool *pool, uint32_t id, struct snapshot **ret_snapshot);
void volume_remove(struct pool *pool, struct volume *volume);
void snapshot_remove(struct pool *pool, struct snapshot *snapshot);
/* All of them, and the table. */
void volumes_free(struct pool *pool);

/*
 * The snapshot of the same volume whose next.prev is this one; NULL: the head follows. In the
 * records being made.
 */
struct snapshot *snapshot_after(const struct pool *pool, struct snapshot *snapshot);

/* Epoch of a snapshot by number, in the records being made; 0 for number 0. */
uint32_t snapshot_epoch(const struct pool *pool, uint32_t id);

/* After committed records changed: the names, and sums that admission uses: block_count,
 * unmet_total, counts, clones. */
void volumes_recount(struct pool *pool);

uint64_t pool_wall_s(const struct pool *pool);

/* Whose used counters shrink when blocks of the volume are freed: another's, or its own. */
struct volume *volume_charged(struct volume *volume);

/* Counters came from a drive: they stop at 0. */
static inline void count_down(uint64_t *counter, uint64_t by)
{
	*counter -= MIN(*counter, by);
}

/* --- Gates ----------------------------------------------------------------------------------- */

/* [fiber] New requests of the volume wait; returns when none is under way. */
void volume_gate_close(struct volume *volume);
void volume_gate_open(struct volume *volume);

/* [fiber] New partial writes wait; returns when all partial blocks (but stuck ones) are whole. */
void volume_patches_close(struct volume *volume);
void volume_patches_open(struct volume *volume);
/* Forgets its partial blocks, which are stuck ones: the volume goes. Does not park. */
void volume_patches_drop(struct volume *volume);

/* --- checkpoint.c ---------------------------------------------------------------------------- */

/* [fiber] One verb at a time. */
void admin_lock(struct pool *pool);
void admin_unlock(struct pool *pool);

/*
 * [fiber, lock held] Runs `task` in the next checkpoint that freezes after this call: after the
 * merge, when all `next` records (roots, counters, deadlists) are as of the freeze. It changes
 * `next` records only, and may park and do I/O. When it returns negative errno it must have changed
 * nothing; the checkpoint is made without it. Returns its result when the checkpoint is committed,
 * or -EIO when that failed. -EROFS: the pool is imported read-only.
 */
MUST_CHECK int checkpoint_task(struct pool *pool, int (*task)(struct pool *pool, void *arg),
			       void *arg);

/* [fiber] Waits for a checkpoint that freezes after this call. */
MUST_CHECK int checkpoint_wait(struct pool *pool);

/* Asks for one soon. */
void checkpoint_request(struct pool *pool);

/* The same, to make room in the delta: records may stay there that are dear to merge. */
void checkpoint_request_room(struct pool *pool);

/* 0, or why the pool takes no changes (-EROFS, -EIO), with a sentence. */
MUST_CHECK int pool_writable(const struct pool *pool, struct err *err);

struct checkpoint_stats {
	uint64_t made, records_last, ns_last;
	uint64_t held_count, held_ns; /* writes, by its pace */
};
void checkpoint_stats(const struct pool *pool, struct checkpoint_stats *ret_stats);

/* Sticky: nothing is committed any more. The first reason stays. */
void pool_suspend(struct pool *pool, int error, const char *what);

/* --- sink.c: who gets what a merge or a walk lets go -------------------------------------------
 */

/*
 * Lets go of a volume's blocks and pages by the rules of ownership: born after its last snapshot
 * -> free; else into the head's deadlist (gathered; sink_flush() appends it). Counters of the
 * volume's `next` record, and of the last snapshot's `unique`, follow.
 */
#define SINK_DEAD_MAX 8192
struct volume_sink {
	struct map_sink sink;
	struct pool *pool;
	struct volume *volume;
	uint32_t last_epoch; /* of next.last_snapshot */
	uint32_t prev_epoch; /* of the one before it, the origin included */
	bool own_last;	     /* the last snapshot is of this volume, not its origin */
	size_t dead_count;
	struct dead_entry *dead; /* SINK_DEAD_MAX */
};
MUST_CHECK int volume_sink_init(struct volume_sink *sink, struct volume *volume); /* -ENOMEM */
void volume_sink_fini(struct volume_sink *sink);
/* [fiber] Appends what was gathered to volume->next.dead. */
MUST_CHECK int volume_sink_flush(struct volume_sink *sink);

/* --- destroy.c: what goes on in the background -------------------------------------------------
 */

/*
 * [fiber, within a checkpoint] Frees some of what is being destroyed, at most about `budget`
 * blocks. *ret_more: there is more for the next checkpoint.
 */
MUST_CHECK int destroy_step(struct pool *pool, size_t budget, bool *ret_more);

/* --- status.c, history.c ---------------------------------------------------------------------- */

/* Chunks that are for metadata, whatever data wants. */
#define CHUNKS_KEPT(total) (4 + (total) / 20)

/* Of what data can have, this part is for copy on write at the least. */
#define COPY_SHARE 16

/* What guests may fill: without the reserve, and no more than there can be data segments for. */
uint64_t pool_limit_slots(const struct pool *pool);

/* Slots that guests, or new reservations, can have. */
uint64_t pool_available_slots(const struct pool *pool);

/* Slots the record's reservations promise and the volume does not use yet. */
uint64_t volume_unmet_slots(const struct volume_record *record);

/*
 * Of pool->unmet_total, what the volume may draw on. Where anything is promised, that has a slot
 * for each reference beyond a block's first too: whose is written over wants one.
 */
uint64_t volume_promise_slots(const struct volume *volume);

/* Some volume has a reservation. */
bool pool_promises(const struct pool *pool);

/* A line for the checkpoint under way, or the next. -EAGAIN: too many wait. Does not park. */
MUST_CHECK int history_note(struct pool *pool, const char *text);

/*
 * [fiber, within a checkpoint] Writes the lines that are pending into the history's tree. `root`
 * and `next` are the new superblock's; when it is committed (pool->super), the lines are not
 * pending any more.
 */
MUST_CHECK int history_flush(struct pool *pool, struct node_ptr *root, uint64_t *next);

#endif
