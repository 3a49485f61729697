/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segments in time for what comes, and chunks back from those that are empty. Data gets segments
 * for a generation of writes ahead, metadata what the checkpoint may write.
 *
 * Metadata comes first: nothing can be refused any more when it is written. Data takes a chunk only
 * if all that is admitted would find its pages without it; and where no chunk is left, empty data
 * segments become metadata's, but for what data itself needs.
 *
 * Slots are taken from the emptiest segment, so in time all have some. Where chunks become rare,
 * segments that are empty and not needed soon go at once, while there are some.
 */
#include <errno.h>

#include <quoin/base_math.h>

#include "engine/checkpoint.h"

#define META_MARGIN 1024 /* slots beyond what was counted */
#define RARE_SHARE 4	 /* chunks are rare when less than this part of them is free */
#define SPARE_TIMES 4	 /* what was needed at a time is free so often before a segment goes */
#define RETIRED_MOST 16	 /* by one checkpoint */
#define BEGUN_MOST 2 /* segments that are handed out from, and one that a run of slots ends in */

/* Free slots that data has at the beginning of a generation. */
static uint64_t data_wanted(const struct pool *pool)
{
	return 2 * (uint64_t)pool->memory.delta_records;
}

/* That data keeps: what was promised, too, and what blocks are written over with. */
static uint64_t data_kept(const struct pool *pool, const struct space_sums *sums)
{
	return MAX(data_wanted(pool), sums->data_segments / COPY_SHARE) + pool->unmet_total;
}

/* Segments that data can do without. */
static uint64_t data_spare(const struct pool *pool, const struct space_sums *sums, uint64_t kept)
{
	const uint64_t room = sums->data_segments - sums->data_used;

	return room < kept ? 0 : (room - kept) / chunk_slots(pool);
}

uint64_t segments_for_meta(const struct pool *pool, const struct space_sums *sums)
{
	const uint64_t begun = data_wanted(pool) / chunk_slots(pool) + BEGUN_MOST;
	const uint64_t empty = sums->data_empty - MIN(sums->data_empty, begun);
	const uint64_t spare = data_spare(pool, sums, data_kept(pool, sums));

	return MIN(empty, spare) / SPACE_COPIES_META * chunk_slots(pool);
}

/* --- More ---------------------------------------------------------------------------------- */

static int meta_add(struct checkpointer *c)
{
	struct pool *pool = c->pool;
	struct segment *segment;
	struct space_sums sums;
	int r;

	for (;;) {
		r = space_segment_add(pool->space, SEGMENT_META, 0, pool->super.ckpt + 1, &segment);
		space_sums(pool->space, &sums);
		if (r != -ENOSPC || data_spare(pool, &sums, data_kept(pool, &sums)) == 0 ||
		    !space_segment_retire(pool->space, SEGMENT_DATA))
			return r;
	}
}

static int meta_ensure(struct checkpointer *c, uint64_t wanted)
{
	struct space_sums sums;
	int r = 0;

	c->meta_wanted = MAX(c->meta_wanted, wanted);
	space_sums(c->pool->space, &sums);
	while (r == 0 && sums.meta_segments - sums.meta_used < wanted) {
		r = meta_add(c);
		space_sums(c->pool->space, &sums);
	}
	/* Fewer than wished for may do. */
	return r == -ENOSPC && sums.meta_used < sums.meta_segments ? 0 : r;
}

/* Data segments enough for a generation, as long as chunks are left. */
static int data_ensure(struct checkpointer *c)
{
	struct pool *pool = c->pool;
	const unsigned groups = pool->raid.drive_count;
	struct space_sums sums;
	struct segment *segment;
	unsigned group = 0;
	unsigned refused = 0;

	space_sums(pool->space, &sums);
	while (sums.data_segments - sums.data_used < data_wanted(pool) && refused < groups &&
	       sums.chunks_free > CHUNKS_KEPT(sums.chunks_total) && meta_fits_without_chunk(pool)) {
		const int r = space_segment_add(pool->space, SEGMENT_DATA, group,
						pool->super.ckpt + 1, &segment);

		if (r == -ENOMEM)
			return r;
		if (r == 0)
			space_segment_withhold(pool->space, segment);
		refused = r < 0 ? refused + 1 : 0;
		group = (group + 1) % groups;
		space_sums(pool->space, &sums);
	}
	return 0;
}

/* --- Fewer --------------------------------------------------------------------------------- */

static bool data_plenty(const struct pool *pool, const struct space_sums *sums)
{
	return data_spare(pool, sums, SPARE_TIMES * data_kept(pool, sums)) > 0;
}

/* The next checkpoint may want as much as this one. */
static bool meta_plenty(const struct checkpointer *c, const struct space_sums *sums)
{
	return sums->meta_segments - sums->meta_used >
	       sums->meta_used / 2 + c->meta_wanted + c->meta_wanted / 4 + chunk_slots(c->pool);
}

void checkpoint_space_return(struct checkpointer *c)
{
	struct space *space = c->pool->space;

	for (unsigned i = 0; i < RETIRED_MOST; i++) {
		struct space_sums sums;

		space_sums(space, &sums);
		if (sums.chunks_free >= sums.chunks_total / RARE_SHARE ||
		    ((!data_plenty(c->pool, &sums) || !space_segment_retire(space, SEGMENT_DATA)) &&
		     (!meta_plenty(c, &sums) || !space_segment_retire(space, SEGMENT_META))))
			break;
	}
	c->meta_wanted = 0;
}

int checkpoint_space(struct checkpointer *c, uint64_t meta)
{
	const int r = data_ensure(c);

	return r < 0 ? r : meta_ensure(c, meta + META_MARGIN);
}
