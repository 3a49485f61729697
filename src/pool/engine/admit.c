/* SPDX-License-Identifier: Apache-2.0 */
/*
 * May a write begin? It must find buffers, a place in the delta and in the log's ring; and space:
 * the pool's, less the reserve and what is promised to others, and its volume's quotas. What is
 * pending counts in full, as if nothing were overwritten, unless the limit is near; so who is
 * refused is asked again after checkpoints, when the numbers are exact and what was freed is back.
 *
 * At the limit the map is asked: a write over blocks that only this volume has needs slots for a
 * while, not for good. It goes on, out of the reserve, however full the pool or the quota is.
 *
 * A checkpoint is asked for when the delta is nearly full: the more records, the more of them share
 * a page of the map. It has half a delta at least from then on, and may take as long as that. It is
 * asked for earlier when blocks are written over and over, so that the lists of freed slots fill
 * up, or half of the slots are gone that were free after the last one.
 */
#include <errno.h>

#include <quoin/base_math.h>

#include "engine/checkpoint.h"
#include "engine/shares.h"

#define RECORDS_PER_BLOCK 80 /* of the log, to be on the safe side */
#define LOG_SLACK 16	     /* blocks for commits, snapshots, trims */

static uint64_t log_used(const struct pool *pool)
{
	return pool->barriers_off & POOL_BARRIER_LOG_WRAP ? 0 : pool->log.fill - pool->log.tail;
}

static uint64_t log_need(uint64_t records)
{
	return records / RECORDS_PER_BLOCK + LOG_SLACK + LOG_BUFFERS;
}

uint64_t write_room_left(const struct pool *pool)
{
	const uint64_t coming = records_coming(pool);
	const uint64_t points = pool->deltas[pool->active].count + coming;
	const uint64_t blocks = log_used(pool) + log_need(coming);
	const uint64_t in_delta =
		pool->memory.delta_records - MIN(points, (uint64_t)pool->memory.delta_records);
	const uint64_t in_log =
		(pool->log.ring_blocks - MIN(blocks, pool->log.ring_blocks)) * RECORDS_PER_BLOCK;

	return MIN(MIN(in_delta, in_log), space_data_free(pool->space));
}

/*
 * Slots that blocks had before come back two checkpoints later, and new segments with the next one:
 * who writes the same blocks over and over would run out of slots with a delta that is half empty.
 */
static bool slots_run_low(const struct pool *pool)
{
	return space_data_free(pool->space) < pool->checkpointer->data_free / 2;
}

bool write_room(struct volume *volume, unsigned blocks)
{
	struct pool *pool = volume->pool;
	const struct delta *delta = pool_delta(pool);
	const uint32_t most = pool->memory.delta_records;
	const enum space_pressure pressure = space_freed_pressure(pool->space);
	const uint64_t coming = records_coming(pool) + blocks;
	const uint64_t log_blocks = log_used(pool) + log_need(coming);
	const bool fits = meta_fits(pool, coming, META_KEEP_RENEWALS);

	if (delta->count + coming > most - most / 16)
		checkpoint_request_room(pool);
	if (log_blocks * 2 > pool->log.ring_blocks || pressure != SPACE_PRESSURE_NONE ||
	    slots_run_low(pool) || !fits)
		checkpoint_request(pool);
	return fits && pool->buffers_free_count >= MIN(blocks, (unsigned)WIO_BLOCKS) &&
	       delta->count + coming <= most && log_blocks < pool->log.ring_blocks &&
	       pressure != SPACE_PRESSURE_FULL;
}

static bool over(uint64_t used_slots, uint64_t limit_bytes)
{
	return limit_bytes != 0 && used_slots * PAGE_BYTES > limit_bytes;
}

/* Pending blocks that take no more space than before: see record_insert(). */
static uint64_t pending_new(const struct volume *volume)
{
	return volume->pending[0] + volume->pending[1] - volume->renewed[0] - volume->renewed[1];
}

/*
 * 0, -EDQUOT or -ENOSPC for so many blocks more. `exact`: as of the last checkpoint alone, without
 * what may only be written over.
 */
static int space(const struct volume *volume, unsigned blocks, bool exact)
{
	const struct pool *pool = volume->pool;
	const struct volume_record *rec = &volume->rec;
	const uint64_t coming = blocks + (exact ? 0 : pending_new(volume));
	uint64_t all = blocks + pool->unmet_total - volume_promise_slots(volume);
	struct space_sums sums;

	if (over(rec->used_data + coming, rec->quota_bytes) ||
	    over(rec->referenced + coming, rec->refquota_bytes))
		return -EDQUOT;
	space_sums(pool->space, &sums);
	all += sums.data_refs;
	if (!exact)
		all += pool->pending_total - pool->renewed_total + pool->writes_in_flight;
	return all > pool_limit_slots(pool) ? -ENOSPC : 0;
}

/* The same, and metadata's room. */
static int all_space(const struct volume *volume, unsigned blocks, bool exact)
{
	const struct pool *pool = volume->pool;
	const int error = space(volume, blocks, exact);
	bool fits;

	if (error < 0)
		return error;
	fits = exact ? meta_fits_settled(pool, blocks, META_KEEP_WRITES)
		     : meta_fits(pool, records_coming(pool) + blocks, META_KEEP_WRITES);
	return fits ? 0 : -ENOSPC;
}

/* Not yet refused, but so near that it counts what is written over. */
bool space_near(const struct volume *volume)
{
	return space(volume, volume->pool->memory.delta_records, false) < 0;
}

/* --- Blocks that are there already ---------------------------------------------------------- */

/* The newest snapshot's epoch: what was born later is the volume's alone. */
static uint32_t shared_upto(const struct volume *volume)
{
	return volume->cuts_pending > 0 ? volume->pool->epoch - 1
					: snapshot_epoch(volume->pool, volume->rec.last_snapshot);
}

/*
 * A page that is not in memory: its pointer says that all blocks below are there, and they can only
 * be the volume's alone. Without it a full volume, whose map is larger than memory, would read a
 * page for each write.
 */
static bool all_own(const struct volume *volume, const struct page_ref *missing)
{
	const struct pool *pool = volume->pool;
	const uint64_t span = (uint64_t)LEAF_ENTRIES << missing->ptr.level * NODE_FANOUT_SHIFT;

	return missing->kind == NODE_MAP && missing->ptr.live == span && shared_upto(volume) == 0 &&
	       shares_extra(pool) == 0 &&
	       pool->deltas[0].range_count + pool->deltas[1].range_count == 0;
}

int block_renews(struct volume *volume, uint64_t block, struct page_ref *ret_missing)
{
	const struct device device = {.pool = volume->pool, .volume = volume};
	uint8_t entry[ENTRY_BYTES];
	int r = block_lookup(volume->pool, &device, block, entry, ret_missing);

	if (r == -EAGAIN && all_own(volume, ret_missing))
		return 1;
	if (r < 0)
		return r;
	if (entry_vaddr(entry) == 0 || entry_epoch(entry) <= shared_upto(volume))
		return 0;
	/* Nor does it when others have the block by reference. */
	r = shares_peek(volume->pool, entry_vaddr(entry), ret_missing);
	return r < 0 ? r : r == 0;
}

static void fetched(struct page_fetch *fetch)
{
	struct pool *pool = container_of(fetch, struct pool, admit_fetch);

	pool->admit_fetching = false;
	pool->admit_failed = fetch->result < 0 ? fetch->ref.ptr.vaddr : 0;
	if (pool->error == 0)
		pool_work(pool);
}

/*
 * At the limit: does the request write over blocks that are the volume's alone? Then it takes
 * space only until the checkpoint after the next ones, out of the reserve. 1: yes; 0: no; -EAGAIN:
 * a page of the map is being read for the answer.
 */
static int renews(struct volume *volume, const struct block_request *request)
{
	struct pool *pool = volume->pool;
	const uint64_t end = request->offset + request->length_bytes;
	struct page_ref missing;

	if (pool->admit_fetching)
		return -EAGAIN;
	for (uint64_t b = request->offset / PAGE_BYTES; b * PAGE_BYTES < end; b++) {
		const int r = block_renews(volume, b, &missing);

		if (r == -EAGAIN && missing.ptr.vaddr != pool->admit_failed) {
			pool->admit_fetching = true;
			pool->admit_fetch.ref = missing;
			pool->admit_fetch.done = fetched;
			pages_fetch(pool->pages, &pool->admit_fetch);
			return -EAGAIN;
		}
		if (r <= 0)
			return 0;
	}
	return 1;
}

/* --- The answer ----------------------------------------------------------------------------- */

/* Pages that were replaced are all that is in the way. */
static bool meta_waits(const struct pool *pool, unsigned blocks)
{
	return !meta_fits(pool, blocks, META_KEEP_WRITES) &&
	       meta_fits_settled(pool, blocks, META_KEEP_WRITES);
}

/* The numbers are exact and nothing is under way that frees anything: no checkpoint changes them.
 */
static bool space_settled(const struct pool *pool)
{
	return pool->pending_total == 0 && pool->writes_in_flight == 0 &&
	       pool->deltas[0].range_count + pool->deltas[1].range_count == 0 &&
	       !(pool->checkpointer && pool->checkpointer->destroying);
}

/*
 * No slot was to be had for a write that may go on. Metadata may have taken the chunks that data
 * counted on, and when all slots are of blocks that somebody has, no checkpoint brings one: each
 * that is made would be in vain, and who waits would wait for ever.
 */
bool slots_gone(struct pool *pool)
{
	struct space_sums sums;

	if (pool->slotless_commit == 0)
		return false;
	space_sums(pool->space, &sums);
	if (!space_settled(pool) || sums.data_used != sums.data_refs) {
		pool->slotless_commit = 0;
		return false;
	}
	return pool->super.ckpt >= pool->slotless_commit;
}

static enum admission refuse(struct volume *volume, unsigned blocks, int error, int *ret_error)
{
	struct pool *pool = volume->pool;

	if (volume->starved_commit == 0)
		volume->starved_commit = pool->super.ckpt + SPACE_KEEP + 2;
	if ((!space_settled(pool) || meta_waits(pool, blocks)) &&
	    (pool->super.ckpt < volume->starved_commit || all_space(volume, blocks, true) == 0)) {
		checkpoint_request(pool);
		pool->any_paused = true;
		return ADMIT_SPACE;
	}
	if (volume->rec.policy == FULL_PAUSE) {
		volume->paused = pool->any_paused = true;
		return ADMIT_SPACE;
	}
	volume->starved_commit = 0;
	pool->refused++;
	*ret_error = error;
	return ADMIT_NEVER;
}

enum admission write_admit(struct volume *volume, const struct block_request *request,
			   unsigned blocks, int *ret_error)
{
	struct pool *pool = volume->pool;
	const uint64_t end = request->offset + request->length_bytes;
	/* `blocks` has some to spare; space is counted to the block. */
	const unsigned touched =
		(unsigned)(div_round_up(end, PAGE_BYTES) - request->offset / PAGE_BYTES);
	const int error = all_space(volume, touched, false);
	int r;

	if (pool->error < 0) {
		*ret_error = -EIO;
		return ADMIT_NEVER;
	}
	if (error == 0) {
		volume->starved_commit = 0;
		volume->paused = false;
	} else {
		r = renews(volume, request);
		if (r == -EAGAIN)
			return ADMIT_LATER;
		if (r == 0 || !meta_fits_settled(pool, touched, META_KEEP_RENEWALS))
			return refuse(volume, touched, error, ret_error);
	}
	return write_room(volume, blocks) ? ADMIT_GO : ADMIT_LATER;
}

void starved_retry(struct pool *pool)
{
	for (uint32_t i = 0; i < pool->volume_limit; i++) {
		struct volume *volume = pool->volumes[i];

		/* Behind a closed gate they stay: starved requests are not under way. */
		while (volume && !volume->gated && !list_empty(&volume->starved)) {
			volume->requests++;
			list_append(&pool->incoming, list_pop(&volume->starved));
		}
	}
}
