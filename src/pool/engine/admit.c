/* SPDX-License-Identifier: Apache-2.0 */
/*
 * May a write begin? It must find buffers, a place in the delta and in the log's ring; and space:
 * the pool's, less the reserve and what is promised to others, and its volume's quotas. What is
 * pending counts in full, as if nothing were overwritten; so who is refused is asked again after
 * checkpoints, when the numbers are exact and what was freed is back.
 *
 * A checkpoint is asked for when the delta is full to three quarters: the more records, the more of
 * them share a page of the map. It has a whole delta from then on, and may take as long as that.
 */
#include <errno.h>

#include "engine/io.h"

#define RECORDS_PER_BLOCK 80 /* of the log, to be on the safe side */
#define LOG_SLACK 16	     /* blocks for commits, snapshots, trims */

bool write_room(struct volume *volume, unsigned blocks)
{
	struct pool *pool = volume->pool;
	const struct delta *delta = pool_delta(pool);
	const uint64_t coming = pool->writes_in_flight + blocks;
	const uint64_t log_used =
		pool->barriers_off & POOL_BARRIER_LOG_WRAP ? 0 : pool->log.fill - pool->log.tail;
	const uint64_t log_need = coming / RECORDS_PER_BLOCK + LOG_SLACK + LOG_BUFFERS;

	if (delta->count + coming > pool->memory.delta_records / 4 * 3 ||
	    (log_used + log_need) * 2 > pool->log.ring_blocks)
		checkpoint_request(pool);
	return pool->buffers_free_count >= MIN(blocks, (unsigned)WIO_BLOCKS) &&
	       delta->count + coming <= pool->memory.delta_records &&
	       log_used + log_need < pool->log.ring_blocks;
}

static bool over(uint64_t used_slots, uint64_t limit_bytes)
{
	return limit_bytes != 0 && used_slots * PAGE_BYTES > limit_bytes;
}

/* 0, -EDQUOT or -ENOSPC. */
static int space(const struct volume *volume, unsigned blocks)
{
	const struct pool *pool = volume->pool;
	const struct volume_record *rec = &volume->rec;
	const uint64_t pending = volume->pending[0] + volume->pending[1] + blocks;
	const uint64_t promised = pool->unmet_total - volume_unmet_slots(rec);
	struct space_sums sums;

	if (over(rec->used_data + pending, rec->quota_bytes) ||
	    over(rec->referenced + pending, rec->refquota_bytes))
		return -EDQUOT;
	space_sums(pool->space, &sums);
	return sums.data_refs + pool->pending_total + pool->writes_in_flight + promised + blocks >
			       sums.data_total / 1000 * (1000 - pool->super.reserve_permille)
		       ? -ENOSPC
		       : 0;
}

enum admission write_admit(struct volume *volume, unsigned blocks, int *ret_error)
{
	struct pool *pool = volume->pool;
	const int r = space(volume, blocks);

	if (pool->error < 0) {
		*ret_error = -EIO;
		return ADMIT_NEVER;
	}
	if (r == 0) {
		volume->starved_commit = 0;
		volume->paused = false;
		return write_room(volume, blocks) ? ADMIT_GO : ADMIT_LATER;
	}
	if (volume->starved_commit == 0)
		volume->starved_commit = pool->super.ckpt + SPACE_KEEP + 2;
	if (pool->super.ckpt >= volume->starved_commit) {
		if (volume->rec.policy != FULL_PAUSE) {
			volume->starved_commit = 0;
			*ret_error = r;
			return ADMIT_NEVER;
		}
		volume->paused = true;
		return ADMIT_SPACE;
	}
	checkpoint_request(pool);
	return ADMIT_SPACE;
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
