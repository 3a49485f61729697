/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Room for metadata. What a delta holds must find pages when it is merged, and by then it is too
 * late to refuse anything: a checkpoint that finds none suspends the pool, and so would the next
 * import. So whoever adds to the delta asks before, and counts the worst: each record in a leaf of
 * its own, below a branch of its own. Snapshots keep old leaves, up to one for every block that is
 * written after them, so metadata may take more space than data.
 *
 * A *unit* is what a checkpoint writes besides the maps, generously. Some units stay free for those
 * who have less to lose, or make room: writes keep the most, who destroys keeps nothing.
 *
 * Pages that a checkpoint replaced are free again two checkpoints later. Who finds no room because
 * of them waits, and checkpoints are made for it; who would find none even then is refused.
 */
#include <errno.h>
#include <string.h>

#include <quoin/base_math.h>

#include "engine/checkpoint.h"
#include "engine/tables.h"

#define MARGIN_MOST 1024
#define MARGIN_SHARE 256		 /* of all slots, in a small pool */
#define RECORDS_OF_LISTS 128		 /* dead blocks in a page of their list, at the least */
#define PAGES_MOST (NODE_LEVELS_MAX + 2) /* of a record: one at each level, and of a list */

/* Pages at each level that a map of so many blocks can have; once for each pass over it. */
static void map_count(struct checkpointer *c, uint64_t blocks, uint64_t passes)
{
	uint64_t pages = div_round_up(blocks, LEAF_ENTRIES);
	unsigned level = 0;

	for (; pages > 1; pages = div_round_up(pages, NODE_FANOUT))
		c->maps_pages[level++] += pages * passes;
	c->maps_pages[level++] += passes;
	c->maps_levels = MAX(c->maps_levels, level);
}

/* All maps. Counted again when volumes or cuts may have changed. */
static const struct checkpointer *maps_count(const struct pool *pool)
{
	struct checkpointer *c = pool->checkpointer;
	const uint64_t changes = c->freezes + c->made + pool->epoch;

	if (c->maps_seen == changes && c->maps_volumes == pool->volume_count)
		return c;
	c->maps_seen = changes;
	c->maps_volumes = pool->volume_count;
	c->maps_levels = 1;
	memset(c->maps_pages, 0, sizeof(c->maps_pages));
	for (uint32_t i = 0; i < pool->volume_limit; i++) {
		const struct volume *volume = pool->volumes[i];

		if (volume && volume->rec.state == VOLUME_LIVE)
			map_count(c, volume->block_count, volume->cuts_pending + 1);
	}
	return c;
}

/* Each record may write a page of its own at each level, as far as there are so many. */
static uint64_t merge_pages(const struct pool *pool, uint64_t records, unsigned passes)
{
	const struct checkpointer *c = maps_count(pool);
	uint64_t pages = records / RECORDS_OF_LISTS;

	for (unsigned level = 0; level < c->maps_levels; level++)
		pages += MIN(c->maps_pages[level] * passes, records);
	return pages;
}

/* A range is cut at both ends, at each level; between them pages only go. */
static uint64_t range_pages(const struct pool *pool, uint64_t ranges)
{
	return ranges == 0 ? 0 : ranges * 2 * maps_count(pool)->maps_levels;
}

uint64_t meta_merge_pages(const struct pool *pool)
{
	return merge_pages(pool, pool->deltas[!pool->active].count, 1);
}

/* Tables and bitmaps at their longest, and a margin for what is destroyed meanwhile. */
static uint64_t unit(const struct pool *pool, const struct space_sums *sums)
{
	const uint64_t segments = space_segment_limit(pool->space);
	const uint64_t bits = sums->data_segments + sums->meta_segments;

	return segments + bits / BITMAP_PAGE_SLOTS + segments / RECORDS_PER_PAGE +
	       MIN(sums->data_total / MARGIN_SHARE, (uint64_t)MARGIN_MOST);
}

struct wish {
	uint64_t records, ranges;
	unsigned passes; /* over each volume, at the least */
	enum meta_keep keep;
	bool settled;  /* what was let go is back */
	uint64_t lost; /* slots that data takes first */
};

static uint64_t room_now(const struct space_sums *sums, bool settled)
{
	return sums->meta_segments - (settled ? sums->meta_refs : sums->meta_used) +
	       sums->meta_growth;
}

static bool fits(const struct pool *pool, const struct wish *wish)
{
	struct space_sums sums;
	uint64_t room;
	uint64_t rest;

	if (!pool->checkpointer)
		return true;
	space_sums(pool->space, &sums);
	room = room_now(&sums, wish->settled);
	rest = range_pages(pool, wish->ranges) + (wish->keep + 1) * unit(pool, &sums) + wish->lost;
	/* Nearly always there is plenty. */
	if (room >= rest + PAGES_MOST * wish->records)
		return true;
	if (wish->lost == 0)
		room += segments_for_meta(pool, &sums);
	return room >= rest + merge_pages(pool, wish->records, wish->passes);
}

/* All that is in the deltas, and `records` more. */
static struct wish wish_now(const struct pool *pool, uint64_t records)
{
	const struct delta *deltas = pool->deltas;

	return (struct wish){
		.records = records + deltas[0].count + deltas[1].count,
		.ranges = deltas[0].range_count + deltas[1].range_count,
		.passes = 1,
		.keep = META_KEEP_WRITES,
	};
}

bool meta_fits(const struct pool *pool, uint64_t records, enum meta_keep keep)
{
	struct wish wish = wish_now(pool, records);

	wish.keep = keep;
	return fits(pool, &wish);
}

bool meta_fits_settled(const struct pool *pool, uint64_t records, enum meta_keep keep)
{
	const struct wish wish = {.records = records, .passes = 1, .keep = keep, .settled = true};

	return fits(pool, &wish);
}

uint64_t meta_kept(const struct pool *pool)
{
	struct space_sums sums;

	space_sums(pool->space, &sums);
	return META_KEEP_WRITES * unit(pool, &sums);
}

/* What metadata has less when data takes a chunk of each drive of its widest group. */
static uint64_t chunk_lost(const struct pool *pool, const struct space_sums *sums)
{
	return sums->group_width * chunk_slots(pool) / SPACE_COPIES_META;
}

bool meta_fits_without_chunk(const struct pool *pool)
{
	struct wish wish = wish_now(pool, records_coming(pool));
	struct space_sums sums;

	space_sums(pool->space, &sums);
	wish.lost = chunk_lost(pool, &sums);
	return fits(pool, &wish);
}

uint64_t meta_leaves_data(const struct pool *pool)
{
	struct space_sums sums;
	uint64_t room;
	uint64_t rest;

	space_sums(pool->space, &sums);
	room = room_now(&sums, true);
	rest = (META_KEEP_WRITES + 1) * unit(pool, &sums);
	return room < rest ? 0 : (room - rest) / chunk_lost(pool, &sums) * chunk_slots(pool);
}

/* After a snapshot its volume's records are merged in one pass more. */
static bool verb_fits(const struct pool *pool)
{
	struct wish wish = wish_now(pool, pool->writes_in_flight);

	wish.passes = 2;
	return fits(pool, &wish);
}

int meta_verb_check(struct pool *pool, struct err *err)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i <= SPACE_KEEP && !verb_fits(pool); i++)
		r = checkpoint_wait(pool);
	if (r == 0 && !verb_fits(pool))
		r = -ENOSPC;
	if (r == -ENOSPC)
		return err_set(err, r,
			       "pool '%s' has no room for more metadata; destroy snapshots or "
			       "volumes, or add a drive",
			       pool->super.pool_name);
	if (r < 0)
		return err_set(err, r, "cannot make room in pool '%s'; see its status",
			       pool->super.pool_name);
	return 0;
}
