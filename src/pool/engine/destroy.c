/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is being destroyed, a piece with each checkpoint.
 *
 * A snapshot S between P and N: blocks that only S has are those in N's deadlist born after P. When
 * they are freed the rest of that list, which P has, is joined with S's own, and S is gone. So it
 * takes time by what is freed, not by what the snapshot has.
 *
 * A volume without snapshots: a walk over its map frees what was born after the snapshot before it;
 * a cursor says how far it got. What is freed in a step is gathered first: a page that cannot be
 * had now leaves the volume as it is, and the checkpoint goes on without it.
 *
 * A page of which no copy is good costs what it names: nobody knows what that is, so it stays used,
 * which is counted (pages_lost()) and told. Nothing is freed that might be somebody's.
 *
 * Steps end before the lists of freed slots are full, with room for the rest of the checkpoint.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/admin.h"
#include "engine/shares.h"

#define ROOM_MARGIN 1024   /* freed slots left for what the step itself does not count */
#define FINISH_COST 64	   /* of a snapshot's end, in blocks */
#define BATCH_FIRST 4096   /* slots a batch begins with */
#define BATCH_MAX 67108864 /* slots of one batch: far beyond any budget */

struct batch {
	struct map_sink sink;
	struct pool *pool;
	uint64_t *vaddrs;
	size_t count, capacity;
	uint64_t data, meta;
};

struct destroyer {
	struct pool *pool;
	struct batch batch;
	size_t budget; /* left */
	bool more;
};

/* --- What a step frees ------------------------------------------------------------------- */

static int batch_grow(struct batch *batch)
{
	const size_t capacity = batch->capacity == 0 ? BATCH_FIRST : batch->capacity * 2;
	uint64_t *vaddrs;

	if (capacity > BATCH_MAX)
		return -ENOMEM;
	vaddrs = realloc(batch->vaddrs, capacity * sizeof(*vaddrs));
	if (!vaddrs)
		return -ENOMEM;
	batch->vaddrs = vaddrs;
	batch->capacity = capacity;
	return 0;
}

static int batch_add(struct batch *batch, uint64_t vaddr)
{
	const struct space *space = batch->pool->space;
	const bool data = space_vaddr_valid(space, vaddr, SEGMENT_DATA);

	if ((!data && !space_vaddr_valid(space, vaddr, SEGMENT_META)) ||
	    !space_is_ref(space, vaddr))
		return -EUCLEAN;
	if (batch->count == batch->capacity) {
		const int r = batch_grow(batch);

		if (r < 0)
			return r;
	}
	batch->vaddrs[batch->count++] = vaddr;
	if (data)
		batch->data++;
	else
		batch->meta++;
	return 0;
}

static int batch_taken(void *data, const struct dead_entry *entry)
{
	return batch_add(data, entry->vaddr);
}

static int batch_killed(struct map_sink *sink, uint64_t vaddr, uint32_t epoch UNUSED)
{
	return batch_add(container_of(sink, struct batch, sink), vaddr);
}

static void batch_clear(struct batch *batch)
{
	batch->count = 0;
	batch->data = batch->meta = 0;
}

/* The slot's owner lets go of it. */
static int slot_free(struct pool *pool, uint64_t vaddr)
{
	bool last = true;
	int r = 0;

	if (space_vaddr_valid(pool->space, vaddr, SEGMENT_DATA))
		r = shares_drop(pool, vaddr, &last);
	if (r == 0 && last)
		space_unref(pool->space, vaddr);
	return r;
}

static int batch_free(struct destroyer *destroyer, struct volume *volume)
{
	struct batch *batch = &destroyer->batch;
	struct volume_record *charged = &volume_charged(volume)->next;

	for (size_t i = 0; i < batch->count; i++) {
		const int r = slot_free(batch->pool, batch->vaddrs[i]);

		if (r < 0)
			return r;
	}
	count_down(&charged->used_data, batch->data);
	count_down(&charged->used_meta, batch->meta);
	destroyer->budget -= MIN(destroyer->budget, batch->count);
	batch_clear(batch);
	return 0;
}

/* Blocks that may be freed now. The other half of the room is for whoever else frees. */
static size_t room_left(const struct destroyer *destroyer)
{
	const size_t half = space_freed_room(destroyer->pool->space) / 2;
	const size_t room = half > ROOM_MARGIN ? half - ROOM_MARGIN : 0;

	return MIN(destroyer->budget, room);
}

/* --- Snapshots --------------------------------------------------------------------------- */

static struct deadlist *following_dead(struct volume *volume, struct snapshot *following)
{
	return following ? &following->next.dead : &volume->next.dead;
}

/* 1: there is more; 0: nothing is left that only the snapshot has. */
static int snapshot_empty(struct destroyer *destroyer, const struct snapshot *snapshot,
			  struct volume *volume, struct deadlist *dead)
{
	struct pool *pool = destroyer->pool;
	const uint32_t epoch = snapshot_epoch(pool, snapshot->next.prev);
	int r;

	do {
		const size_t max = room_left(destroyer);
		int freed;

		if (max == 0)
			return 1;
		r = deadlist_take(pool->pages, dead, epoch, max, batch_taken, &destroyer->batch);
		if (r < 0)
			return r;
		freed = batch_free(destroyer, volume);
		if (freed < 0)
			return freed;
	} while (r == 1);
	return r;
}

struct unique_change {
	uint64_t prev_more;			 /* the snapshot before */
	uint64_t following_more, following_less; /* the one behind */
};

/* Who has blocks alone now that it shared with the snapshot only. Changes nothing. */
static int unique_count(struct pool *pool, const struct snapshot *snapshot, struct volume *volume,
			struct snapshot *following, struct unique_change *ret)
{
	const struct snapshot *prev = snapshot_at(pool, snapshot->next.prev);
	const struct deadlist *dead = following_dead(volume, following);
	const struct deadlist *beyond;
	uint64_t meta;
	int r = 0;

	*ret = (struct unique_change){0};
	if (prev && prev->next.volume == snapshot->next.volume)
		r = deadlist_count(pool->pages, dead, snapshot_epoch(pool, prev->next.prev),
				   &ret->prev_more, &meta);
	if (r < 0 || !following)
		return r;
	beyond = following_dead(volume, snapshot_after(pool, following));
	r = deadlist_count(pool->pages, beyond, snapshot_epoch(pool, snapshot->next.prev),
			   &ret->following_more, &meta);
	if (r < 0)
		return r;
	return deadlist_count(pool->pages, beyond, snapshot->next.epoch, &ret->following_less,
			      &meta);
}

/* The lists that unique_count() reads. */
static int lists_mend(struct pool *pool, struct volume *volume, struct snapshot *following)
{
	int r = deadlist_mend(pool->pages, following_dead(volume, following));

	if (r == 0 && following)
		r = deadlist_mend(pool->pages,
				  following_dead(volume, snapshot_after(pool, following)));
	return r;
}

/* Of what the head maps, what no snapshot has: all but what it shares with its last one. */
static uint64_t head_unique(const struct pool *pool, const struct volume *volume)
{
	const struct snapshot *last = snapshot_at(pool, volume->next.last_snapshot);
	uint64_t unique = volume->next.referenced;
	uint64_t shared;

	if (!last)
		return unique;
	shared = last->next.referenced;
	count_down(&shared, volume->next.dead.data);
	count_down(&unique, shared);
	return unique;
}

static int snapshot_finish(struct pool *pool, struct snapshot *snapshot, struct volume *volume,
			   struct snapshot *following)
{
	struct snapshot *prev = snapshot_at(pool, snapshot->next.prev);
	struct unique_change change;
	int r;

	r = unique_count(pool, snapshot, volume, following, &change);
	if (page_bad(r)) {
		r = lists_mend(pool, volume, following);
		if (r == 0)
			r = unique_count(pool, snapshot, volume, following, &change);
	}
	if (r == 0)
		r = deadlist_join(pool->pages, following_dead(volume, following),
				  &snapshot->next.dead);
	if (r < 0)
		return r;
	if (prev)
		prev->next.unique += change.prev_more;
	if (following) {
		following->next.unique += change.following_more;
		count_down(&following->next.unique, change.following_less);
		following->next.prev = snapshot->next.prev;
		if (prev)
			prev->after = following->id;
	} else {
		volume->next.last_snapshot = snapshot->next.prev;
		volume->next.unique = head_unique(pool, volume);
	}
	/* The checkpoint removes objects that are nothing any more once that is committed. */
	snapshot->next = (struct snapshot_record){0};
	return 0;
}

static int snapshot_step(struct destroyer *destroyer, struct snapshot *snapshot)
{
	struct pool *pool = destroyer->pool;
	struct volume *volume = volume_at(pool, snapshot->next.volume);
	struct snapshot *following = snapshot_after(pool, snapshot);
	int r;

	/* A record that hangs nowhere is a drive's word: it is left alone. */
	if (!volume || (!following && volume->next.last_snapshot != snapshot->id))
		return 0;
	if (destroyer->budget == 0) {
		destroyer->more = true;
		return 0;
	}
	r = snapshot_empty(destroyer, snapshot, volume, following_dead(volume, following));
	if (r == 1)
		destroyer->more = true;
	if (r != 0)
		return r < 0 ? r : 0;
	r = snapshot_finish(pool, snapshot, volume, following);
	destroyer->budget -= MIN(destroyer->budget, (size_t)FINISH_COST);
	return r;
}

/* --- Volumes ----------------------------------------------------------------------------- */

/* Its snapshots need it, and so does what is freed on its account. */
static bool volume_needed(const struct pool *pool, const struct volume *volume)
{
	for (uint32_t id = 1; id < pool->snapshot_limit; id++) {
		const struct snapshot *snapshot = pool->snapshots[id];

		if (snapshot && snapshot->next.state != VOLUME_NONE &&
		    snapshot->next.volume == volume->id)
			return true;
	}
	for (uint32_t id = 1; id < pool->volume_limit; id++) {
		const struct volume *other = pool->volumes[id];

		if (other && other->next.state != VOLUME_NONE &&
		    other->next.charge_to == volume->id)
			return true;
	}
	return false;
}

/* Leaves to visit for so many blocks; each comes with a page, and some above it. */
static uint64_t leaves_for(size_t blocks)
{
	return blocks == 0 ? 0 : MAX(blocks / (LEAF_ENTRIES + 4), UINT64_C(1));
}

static int volume_step(struct destroyer *destroyer, struct volume *volume)
{
	struct pool *pool = destroyer->pool;
	struct volume_record *next = &volume->next;
	const uint64_t leaves = leaves_for(room_left(destroyer));
	uint64_t cursor = next->free_cursor;
	int more, r;

	if (volume_needed(pool, volume))
		return 0;
	if (next->last_snapshot != 0) {
		/* From here on the origin is not needed, and may go itself. */
		next->free_epoch = snapshot_epoch(pool, next->last_snapshot);
		next->origin = next->last_snapshot = 0;
	}
	if (leaves == 0) {
		destroyer->more = true;
		return 0;
	}
	more = map_free(pool->pages, &destroyer->batch.sink, &next->root, next->free_epoch, &cursor,
			leaves);
	if (more < 0) {
		batch_clear(&destroyer->batch);
		return more == -ENOMEM ? more : 0;
	}
	r = batch_free(destroyer, volume);
	if (r < 0)
		return r;
	next->free_cursor = cursor;
	if (more == 1) {
		destroyer->more = true;
		return 0;
	}
	r = deadlist_drop(pool->pages, &next->dead);
	if (r < 0)
		return r;
	if (next->charge_to != 0)
		destroyer->more = true; /* someone may have waited for it */
	*next = (struct volume_record){0};
	return 0;
}

/* --- The step ---------------------------------------------------------------------------- */

static int steps(struct destroyer *destroyer)
{
	struct pool *pool = destroyer->pool;
	int r = 0;

	for (uint32_t id = 1; r == 0 && id < pool->snapshot_limit; id++) {
		struct snapshot *snapshot = pool->snapshots[id];

		if (snapshot && !snapshot->pending && snapshot->next.state == VOLUME_DESTROYING)
			r = snapshot_step(destroyer, snapshot);
	}
	for (uint32_t id = 1; r == 0 && id < pool->volume_limit; id++) {
		struct volume *volume = pool->volumes[id];

		if (volume && volume->next.state == VOLUME_DESTROYING)
			r = volume_step(destroyer, volume);
	}
	return r;
}

/*
 * Also of what the merge of this checkpoint lost. The pool's state says it too, until it is closed.
 */
static void lost_note(struct pool *pool)
{
	char text[HISTORY_TEXT_BYTES];
	struct pages_stats stats;

	pages_stats(pool->pages, &stats);
	if (stats.lost == pool->lost_told)
		return;
	snprintf(text, sizeof(text),
		 "metadata was damaged in all copies: at most %" PRIu64
		 " bytes stay used, and nobody has them",
		 (stats.lost - pool->lost_told) * PAGE_BYTES);
	if (history_note(pool, text) < 0)
		return; /* too many lines wait: next time */
	pool->lost_told = stats.lost;
	if (pool->changed)
		pool->changed(pool->data);
}

int destroy_step(struct pool *pool, size_t budget, bool *ret_more)
{
	struct destroyer destroyer = {
		.pool = pool,
		.batch = {.sink = {.data_killed = batch_killed, .page_killed = batch_killed},
			  .pool = pool},
		.budget = budget};
	const int r = steps(&destroyer);

	if (r == 0)
		lost_note(pool);
	free(destroyer.batch.vaddrs);
	if (r == 0)
		*ret_more = destroyer.more;
	return r;
}
