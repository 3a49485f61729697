/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of segments. Writing it takes meta slots, and slots are what it tells of; so all slots
 * it needs are taken, and all it replaces are let go, before the first bitmap is put into bytes:
 *
 *   1 choose bitmap pages: what changed, and all of meta segments; and all leaves
 *   2 take a slot for each, and for the inner pages; let the old ones go
 *   3 bitmaps are final: write them, their checks go into the records
 *   4 write the leaves, then the inner page
 *
 * Inner pages are few (one for 512 segments): all of them are written anew.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>

#include "engine/tables.h"

struct writer {
	struct pool *pool;
	struct super *next;
	uint32_t leaf_count;			   /* of the new tree */
	unsigned level;				   /* of its root */
	uint64_t inner_count[NODE_LEVELS_MAX + 1]; /* pages at each level */
	struct node_ptr *leaves; /* leaf_count; new ones have their slot in vaddr */
};

static bool bitmap_touched(const struct segment *s, unsigned page)
{
	return s->class == SEGMENT_META || (s->bitmap_dirty >> page & 1);
}

static int slot_take(struct writer *w, uint64_t *ret_vaddr)
{
	if (space_alloc(w->pool->space, SEGMENT_META, 1, ret_vaddr) == 0)
		return -ENOSPC;
	space_ref(w->pool->space, *ret_vaddr);
	return 0;
}

/* --- 1, 2: slots --------------------------------------------------------------------------- */

static int bitmaps_take(struct writer *w, struct segment *s)
{
	int r = 0;

	for (unsigned p = 0; r == 0 && p < segment_bitmap_pages(s); p++) {
		if (!bitmap_touched(s, p))
			continue;
		if (s->bitmaps[p].vaddr != 0)
			space_unref(w->pool->space, s->bitmaps[p].vaddr);
		r = slot_take(w, &s->bitmaps[p].vaddr);
	}
	return r;
}

/* All leaves are written anew, so that they lie together, in few segments: the seeds. */
static int leaf_take(struct writer *w, uint32_t leaf)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < RECORDS_PER_PAGE; i++) {
		struct segment *s = space_segment(w->pool->space, leaf * RECORDS_PER_PAGE + i);

		if (s && s->class != SEGMENT_LOG)
			r = bitmaps_take(w, s);
	}
	if (r < 0)
		return r;
	if (w->leaves[leaf].vaddr != 0)
		pages_unref(w->pool->pages, &w->leaves[leaf]);
	return 0;
}

/* --- The old tree -------------------------------------------------------------------------- */

struct reader {
	struct map_walk walk;
	struct writer *w;
};

/* Leaves are kept by pointer; inner pages are all written anew. */
static int old_leaf(struct map_walk *walk, const struct page_ref *ref)
{
	struct writer *w = container_of(walk, struct reader, walk)->w;

	if (ref->ptr.level > 0)
		pages_unref(w->pool->pages, &ref->ptr);
	else if (ref->index < w->leaf_count)
		w->leaves[ref->index] = ref->ptr;
	return 0;
}

static int old_read(struct writer *w)
{
	struct reader reader = {
		.walk = {.pages = w->pool->pages, .kind = NODE_SEGMENTS, .page_done = old_leaf},
		.w = w,
	};

	return map_walk(&reader.walk, &w->next->segments);
}

/* --- 3, 4: bytes --------------------------------------------------------------------------- */

static int bitmaps_write(struct writer *w, struct segment *s)
{
	uint8_t page[PAGE_BYTES];
	int r = 0;

	for (unsigned p = 0; r == 0 && p < segment_bitmap_pages(s); p++) {
		struct page_ref ref = {.kind = NODE_BITMAP,
				       .index = segment_bitmap_index(s->id, p)};

		if (!bitmap_touched(s, p))
			continue;
		space_bitmap_encode(s, p, page);
		ref.ptr.kind = NODE_BITMAP;
		ref.ptr.vaddr = s->bitmaps[p].vaddr;
		r = pages_write_at(w->pool->pages, &ref, page);
		memcpy(s->bitmaps[p].check, ref.ptr.check, sizeof(s->bitmaps[p].check));
	}
	return r;
}

static int leaf_write(struct writer *w, uint32_t leaf)
{
	uint8_t page[PAGE_BYTES] = {0};
	struct page_ref ref = {.kind = NODE_SEGMENTS, .index = leaf};
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < RECORDS_PER_PAGE; i++) {
		struct segment *s = space_segment(w->pool->space, leaf * RECORDS_PER_PAGE + i);
		struct segment_record record;

		if (!s)
			continue;
		if (s->class != SEGMENT_LOG)
			r = bitmaps_write(w, s);
		space_segment_encode(s, &record);
		segment_record_encode(&record, page + (size_t)i * RECORD_BYTES);
		s->record_dirty = false;
		s->bitmap_dirty = 0;
	}
	if (r < 0)
		return r;
	ref.ptr = (struct node_ptr){.kind = NODE_SEGMENTS, .live = 1};
	ref.ptr.vaddr = w->leaves[leaf].vaddr;
	r = pages_write_at(w->pool->pages, &ref, page);
	w->leaves[leaf] = ref.ptr;
	return r;
}

/* One level of inner pages over `count` pointers, which become theirs. */
static int inner_write(struct writer *w, unsigned level, uint64_t count, const uint64_t *slots)
{
	uint8_t page[PAGE_BYTES];
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < w->inner_count[level]; i++) {
		struct page_ref ref = {.kind = NODE_SEGMENTS, .index = i};

		memset(page, 0, sizeof(page));
		ref.ptr = (struct node_ptr){.kind = NODE_SEGMENTS, .level = (uint8_t)level};
		for (uint64_t n = 0; n < NODE_FANOUT && i * NODE_FANOUT + n < count; n++) {
			const struct node_ptr *child = &w->leaves[i * NODE_FANOUT + n];

			node_ptr_encode(child, page + n * NODE_PTR_BYTES);
			ref.ptr.live += child->live;
		}
		ref.ptr.vaddr = slots[i];
		r = pages_write_at(w->pool->pages, &ref, page);
		w->leaves[i] = ref.ptr;
	}
	return r;
}

/* The meta segment that the page lies in becomes a seed. False: there are too many. */
static bool seed_add(struct writer *w, uint64_t vaddr)
{
	const struct segment *s = space_segment(w->pool->space, vaddr_segment(vaddr));
	struct super_seed *seed = w->next->seeds;

	while (seed < w->next->seeds + SUPER_SEEDS_MAX && seed->id != 0 && seed->id != s->id)
		seed++;
	if (seed == w->next->seeds + SUPER_SEEDS_MAX)
		return false;
	seed->id = s->id;
	seed->column_count = s->column_count;
	for (unsigned c = 0; c < s->column_count; c++) {
		seed->columns[c].drive = s->columns[c].drive;
		seed->columns[c].chunk = s->columns[c].chunk;
	}
	return true;
}

/* An import finds the tree by the seeds alone. */
static int seeds_make(struct writer *w, const uint64_t *slots)
{
	uint64_t inner = 0;
	bool fit = true;

	memset(w->next->seeds, 0, sizeof(w->next->seeds));
	for (unsigned level = 1; level <= w->level; level++)
		inner += w->inner_count[level];
	for (uint64_t i = 0; i < inner; i++)
		fit = fit && seed_add(w, slots[i]);
	for (uint32_t leaf = 0; leaf < w->leaf_count; leaf++) {
		if (w->leaves[leaf].vaddr != 0)
			fit = fit && seed_add(w, w->leaves[leaf].vaddr);
	}
	return fit ? 0 : -ENOSPC;
}

static void sums_take(struct writer *w)
{
	struct space_sums sums;

	space_sums(w->pool->space, &sums);
	w->next->segments = w->leaves[0];
	w->next->segment_limit = space_segment_limit(w->pool->space);
	w->next->data_slots = sums.data_refs;
	w->next->meta_slots = sums.meta_refs;
}

static int all_write(struct writer *w, uint64_t *slots)
{
	uint64_t *at = slots;
	uint64_t count = w->leaf_count;
	int r = 0;

	for (unsigned level = 1; level <= w->level; level++) {
		for (uint64_t i = 0; r == 0 && i < w->inner_count[level]; i++)
			r = slot_take(w, &slots[i]);
		slots += w->inner_count[level];
	}
	for (uint32_t leaf = 0; r == 0 && leaf < w->leaf_count; leaf++)
		r = slot_take(w, &w->leaves[leaf].vaddr);
	if (r == 0)
		r = seeds_make(w, at);
	for (uint32_t leaf = 0; r == 0 && leaf < w->leaf_count; leaf++)
		r = leaf_write(w, leaf);
	for (unsigned level = 1; r == 0 && level <= w->level; level++) {
		r = inner_write(w, level, count, at);
		at += w->inner_count[level];
		count = w->inner_count[level];
	}
	if (r == 0)
		sums_take(w);
	return r;
}

int tables_write_segments(struct pool *pool, struct super *next)
{
	struct writer w = {.pool = pool, .next = next};
	uint64_t *slots;
	int r = -ENOMEM;

	w.leaf_count = (space_segment_limit(pool->space) + RECORDS_PER_PAGE - 1) / RECORDS_PER_PAGE;
	w.level = MAX(node_levels_for(w.leaf_count), (unsigned)next->segments.level);
	w.inner_count[0] = w.leaf_count;
	for (unsigned level = 1; level <= w.level; level++)
		w.inner_count[level] = (w.inner_count[level - 1] + NODE_FANOUT - 1) / NODE_FANOUT;
	w.leaves = calloc(w.leaf_count, sizeof(*w.leaves));
	slots = calloc(w.leaf_count + NODE_LEVELS_MAX, sizeof(*slots));
	if (w.leaves && slots) {
		r = old_read(&w);
		for (uint32_t leaf = 0; r == 0 && leaf < w.leaf_count; leaf++)
			r = leaf_take(&w, leaf);
		if (r == 0)
			r = all_write(&w, slots);
	}
	free(w.leaves);
	free(slots);
	return r;
}
