/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies by reference within a checkpoint: the pieces that the verb (verb_copy.c) and requests of
 * guests (copies.c) are made of.
 *
 * Entries are read from the source's tree and put into the other's, with a new birth and the seq
 * they had, which seeds their check; each counts one more reference in the table. So there is
 * nothing in the log, and a copy is there with its checkpoint or is not.
 *
 * It goes piece by piece, each at most COPY_PIECE blocks, within the room that a checkpoint has for
 * metadata and for what it frees; what is left waits for the next checkpoint. A piece changes
 * nothing unless it can be read, counted and stored as a whole.
 */
#include "engine/copy.h"

#include <errno.h>
#include <stdlib.h>

#include <quoin/base_assert.h>
#include <quoin/base_endian.h>
#include <quoin/base_math.h>

#include "engine/checkpoint.h"
#include "engine/shares.h"
#include "engine/tables.h"

#define ROOM_SPARE 512
#define META_SPARE 256

struct point {
	uint64_t block;
	const uint8_t *entry; /* vaddr 0: a hole */
};

/* What a piece works with. */
struct copy_scratch {
	struct map_walk walk;
	struct copying *copying;
	uint64_t first, count; /* blocks of the tree that is read */
	uint8_t (*entries)[ENTRY_BYTES];
	uint8_t source[COPY_PIECE][ENTRY_BYTES], target[COPY_PIECE][ENTRY_BYTES];
	struct point points[COPY_PIECE];
	unsigned point_count;
	uint64_t added;	 /* references */
	uint64_t killed; /* entries of the target that go */
	uint64_t owned;	 /* of them, those that no snapshot has */
	struct volume_sink sink;
};

/* --- Reading ---------------------------------------------------------------------------------- */

static int leaf_take(struct map_walk *walk, const struct page_ref *ref, const uint8_t *page)
{
	struct copy_scratch *p = container_of(walk, struct copy_scratch, walk);
	const uint64_t leaf = ref->index << LEAF_SHIFT;
	const uint64_t from = MAX(leaf, p->first);
	const uint64_t end = MIN(leaf + LEAF_ENTRIES, p->first + p->count);

	if (leaf >= p->first + p->count)
		return -ECANCELED;
	if (from < end)
		memcpy(p->entries[from - p->first], page + (from - leaf) * ENTRY_BYTES,
		       (end - from) * ENTRY_BYTES);
	return 0;
}

static int entries_read(struct copy_scratch *p, const struct node_ptr *root, uint64_t first,
			uint8_t (*entries)[ENTRY_BYTES])
{
	int r;

	memset(entries, 0, p->count * ENTRY_BYTES);
	p->entries = entries;
	p->first = first;
	p->walk.from_page = first >> LEAF_SHIFT;
	r = map_walk(&p->walk, root);
	return r == -ECANCELED ? 0 : r;
}

/* The first leaf at or behind `leaf` that is there; UINT64_MAX: none. */
struct finding {
	struct map_walk walk;
	uint64_t leaf, found;
};

static int page_seen(struct map_walk *walk, const struct page_ref *ref)
{
	struct finding *f = container_of(walk, struct finding, walk);

	if (ref->ptr.level != 0 || ref->index < f->leaf)
		return 0;
	f->found = ref->index;
	return -ECANCELED;
}

static int leaf_find(struct pool *pool, const struct node_ptr *root, uint64_t leaf,
		     uint64_t *ret_leaf)
{
	struct finding f = {.walk = {.pages = pool->pages, .kind = NODE_MAP},
			    .leaf = leaf,
			    .found = UINT64_MAX};
	int r;

	f.walk.from_page = leaf;
	f.walk.page_done = page_seen;
	r = map_walk(&f.walk, root);
	*ret_leaf = f.found;
	return r == -ECANCELED ? 0 : r;
}

static const struct node_ptr *source_root(const struct copying *c)
{
	return c->snapshot ? &c->snapshot->next.root : &c->from->next.root;
}

/* Holes on both sides are passed over: c->done moves to where there is something, or to the end. */
static int holes_skip(struct copying *c)
{
	const uint64_t sides[2] = {c->from_block + c->done, c->to_block + c->done};
	const struct node_ptr *roots[2] = {source_root(c), &c->to->next.root};
	uint64_t skip = c->count - c->done;

	for (unsigned i = 0; i < 2; i++) {
		uint64_t leaf = 0;
		const int r = leaf_find(c->to->pool, roots[i], sides[i] >> LEAF_SHIFT, &leaf);

		if (r < 0)
			return r;
		if (leaf == UINT64_MAX)
			continue;
		skip = MIN(skip,
			   leaf << LEAF_SHIFT > sides[i] ? (leaf << LEAF_SHIFT) - sides[i] : 0);
	}
	c->done += skip;
	return 0;
}

/* --- Room ------------------------------------------------------------------------------------- */

static bool over(uint64_t used, uint64_t more, uint64_t limit_bytes)
{
	return limit_bytes != 0 && (used + more) * PAGE_BYTES > limit_bytes;
}

/* What the quotas say, and promises to others: each reference may come to want a slot. */
static int space_judge(const struct copy_scratch *p)
{
	const struct volume *to = p->copying->to;
	const struct volume_record *next = &to->next;
	const uint64_t extra = shares_extra(to->pool) + p->added;

	if (over(next->used_data, p->added - MIN(p->added, p->owned), next->quota_bytes) ||
	    over(next->referenced, p->added - MIN(p->added, p->killed), next->refquota_bytes))
		return -EDQUOT;
	if (pool_promises(to->pool) &&
	    extra > to->pool->super.shared_extra + pool_available_slots(to->pool))
		return -ENOSPC;
	return 0;
}

static int room_judge(struct pool *pool, const struct copy_scratch *p)
{
	const uint64_t leaves = p->count / LEAF_ENTRIES + 2;
	const uint64_t meta = 4 * leaves + p->count / 64 + shares_pages(pool, 2 * p->count) +
			      tables_segments_pages(pool) + META_SPARE;
	struct space_sums sums;
	int r;

	if (space_freed_room(pool->space) / 2 < p->killed + 4 * leaves + ROOM_SPARE)
		return -EAGAIN;
	r = checkpoint_space(pool->checkpointer, meta);
	if (r < 0)
		return r;
	space_sums(pool->space, &sums);
	return sums.meta_segments + sums.meta_growth - sums.meta_used < meta + meta_kept(pool)
		       ? -ENOSPC
		       : 0;
}

/* --- A piece ---------------------------------------------------------------------------------- */

/* The reference was counted when it was added. */
static void copy_born(struct map_sink *map_sink, uint64_t vaddr UNUSED)
{
	struct volume_sink *sink = container_of(map_sink, struct volume_sink, sink);
	struct volume_record *next = &sink->volume->next;

	next->referenced++;
	next->unique++;
	volume_charged(sink->volume)->next.used_data++;
}

/* What is to change: nothing where both sides have the same. */
static void points_make(struct copy_scratch *p, uint32_t epoch)
{
	const struct volume *volume = p->copying->to;
	const uint32_t last = snapshot_epoch(volume->pool, volume->next.last_snapshot);

	p->point_count = 0;
	p->added = p->killed = p->owned = 0;
	for (uint64_t i = 0; i < p->count; i++) {
		const uint64_t from = entry_vaddr(p->source[i]);
		const uint64_t to = entry_vaddr(p->target[i]);

		if (from == to)
			continue;
		le32_put(p->source[i] + 12, epoch);
		p->points[p->point_count++] =
			(struct point){p->copying->to_block + p->copying->done + i, p->source[i]};
		p->added += from != 0;
		p->killed += to != 0;
		p->owned += to != 0 && entry_epoch(p->target[i]) > last;
	}
}

/* All or none of them. */
static int references_add(struct pool *pool, const struct copy_scratch *p)
{
	unsigned i = 0;
	int r = 0;

	for (; r == 0 && i < p->point_count; i++) {
		const uint64_t vaddr = entry_vaddr(p->points[i].entry);

		if (vaddr == 0)
			continue;
		if (!space_vaddr_valid(pool->space, vaddr, SEGMENT_DATA) ||
		    !space_is_ref(pool->space, vaddr))
			r = -EUCLEAN;
		else
			r = shares_add(pool, vaddr);
	}
	if (r == 0)
		return 0;
	/* i - 1 is the one that failed. */
	for (unsigned k = 0; k + 1 < i; k++) {
		bool last = false;

		if (entry_vaddr(p->points[k].entry) != 0 &&
		    (shares_drop(pool, entry_vaddr(p->points[k].entry), &last) < 0 || last))
			return -ENOTRECOVERABLE;
	}
	return r;
}

struct piece_merge {
	struct map_merge merge;
	const struct copy_scratch *piece;
};

static const struct copy_scratch *piece_of(const struct map_merge *merge)
{
	return ((const struct piece_merge *)(const void *)merge)->piece;
}

static uint64_t point_block(const struct map_merge *merge, size_t point)
{
	return piece_of(merge)->points[point].block;
}

static void point_entry(const struct map_merge *merge, size_t point, uint8_t ret_entry[ENTRY_BYTES])
{
	memcpy(ret_entry, piece_of(merge)->points[point].entry, ENTRY_BYTES);
}

static int piece_merge(struct pool *pool, struct copy_scratch *p)
{
	struct volume *to = p->copying->to;
	struct piece_merge m = {
		.merge = {.pages = pool->pages,
			  .block_count = to->next.size_bytes / PAGE_BYTES,
			  .epoch = pool->checkpointer->epoch,
			  .point_count = p->point_count,
			  .point_block = point_block,
			  .point_entry = point_entry},
		.piece = p,
	};
	int r = volume_sink_init(&p->sink, to);

	if (r < 0)
		return r;
	p->sink.sink.data_born = copy_born;
	m.merge.sink = &p->sink.sink;
	r = map_merge(&m.merge, &to->next.root);
	if (r == 0)
		r = volume_sink_flush(&p->sink);
	volume_sink_fini(&p->sink);
	return r;
}

/* -EAGAIN: there is no room in this checkpoint. -ENOTRECOVERABLE: it cannot be made any more. */
static int piece_copy(struct pool *pool, struct copy_scratch *p)
{
	struct copying *c = p->copying;
	int r = entries_read(p, source_root(c), c->from_block + c->done, p->source);

	if (r == 0)
		r = entries_read(p, &c->to->next.root, c->to_block + c->done, p->target);
	if (r < 0)
		return r;
	points_make(p, pool->checkpointer->epoch);
	r = space_judge(p);
	if (r == 0)
		r = room_judge(pool, p);
	if (r == 0)
		r = references_add(pool, p);
	if (r < 0 || p->point_count == 0)
		return r;
	return piece_merge(pool, p) < 0 ? -ENOTRECOVERABLE : 0;
}

static int pieces_copy(struct pool *pool, struct copy_scratch *p)
{
	struct copying *c = p->copying;
	int r = 0;

	while (r == 0 && c->done < c->count) {
		const uint64_t at = (c->to_block + c->done) & (LEAF_ENTRIES - 1);

		r = holes_skip(c);
		p->count = MIN(c->piece - at, c->count - c->done);
		if (r == 0 && p->count > 0)
			r = piece_copy(pool, p);
		if (r == 0)
			c->done += p->count;
		fiber_yield();
	}
	return r;
}

struct copy_scratch *copy_scratch_new(struct pool *pool)
{
	struct copy_scratch *p = calloc(1, sizeof(*p));

	if (p)
		p->walk = (struct map_walk){
			.pages = pool->pages, .kind = NODE_MAP, .leaf = leaf_take};
	return p;
}

int copying_go_on(struct pool *pool, struct copying *c, struct copy_scratch *scratch)
{
	int r;

	scratch->copying = c;
	r = pieces_copy(pool, scratch);
	if (r == -ENOTRECOVERABLE)
		pool_suspend(pool, -EIO, "a copy could not be made");
	return r;
}
