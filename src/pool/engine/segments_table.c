/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of segments. Writing it takes meta slots, and slots are what it tells of; so all slots
 * it needs are taken, and all it replaces are let go, before the first bitmap is put into bytes:
 *
 *   1 take slots for the inner pages, and let the old ones go
 *   2 the same for each bitmap page and each leaf that changed. That changes bitmaps of meta
 *     segments, and their leaves; so again, until nothing changed that has no slot
 *   3 bitmaps are final: write them, their checks go into the records
 *   4 write the leaves, then the inner pages
 *
 * An import finds the tree by the seeds alone, so its pages lie in few segments. Leaves that did
 * not change stay where they are; when they and the new ones lie in more segments than there are
 * seeds, all of them are written anew, side by side.
 *
 * Inner pages are few (one for 512 segments): all of them are written anew. A table in which
 * nothing changed is not written at all.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>

#include "engine/tables.h"

struct writer {
	struct pool *pool;
	struct super *next;
	uint32_t segment_limit;
	uint32_t leaf_count;			   /* of the new tree */
	unsigned level;				   /* of its root */
	uint64_t inner_count[NODE_LEVELS_MAX + 1]; /* pages at each level */
	struct node_ptr *leaves; /* leaf_count; new ones have their slot in vaddr */
	bool *leaf_new;		 /* leaf_count: has its new slot */
	uint8_t *bitmap_new;	 /* segment_limit: bit per bitmap page that has its new slot */
	uint64_t *slots;	 /* of the inner pages, level by level */
	uint64_t slot_count;
};

static int slot_take(struct writer *w, uint64_t *ret_vaddr)
{
	if (space_alloc(w->pool->space, SEGMENT_META, 1, ret_vaddr) == 0)
		return -ENOSPC;
	space_ref(w->pool->space, *ret_vaddr);
	return 0;
}

/* Segments that have bitmaps. */
static struct segment *segment_at(const struct writer *w, uint32_t id)
{
	struct segment *s = space_segment(w->pool->space, id);

	return s && s->class != SEGMENT_LOG ? s : NULL;
}

/* --- 1, 2: slots --------------------------------------------------------------------------- */

static int bitmaps_take(struct writer *w, struct segment *s, bool *changed)
{
	int r = 0;

	for (unsigned p = 0; r == 0 && p < segment_bitmap_pages(s); p++) {
		if (!((s->bitmap_dirty & ~w->bitmap_new[s->id]) >> p & 1))
			continue;
		w->bitmap_new[s->id] |= (uint8_t)(1U << p);
		*changed = true;
		if (s->bitmaps[p].vaddr != 0)
			space_unref(w->pool->space, s->bitmaps[p].vaddr);
		r = slot_take(w, &s->bitmaps[p].vaddr);
	}
	return r;
}

static bool leaf_dirty(const struct writer *w, uint32_t leaf)
{
	for (uint32_t i = 0; i < RECORDS_PER_PAGE; i++) {
		if (space_record_dirty(w->pool->space, leaf * RECORDS_PER_PAGE + i))
			return true;
	}
	return false;
}

static int leaf_take(struct writer *w, uint32_t leaf)
{
	w->leaf_new[leaf] = true;
	if (w->leaves[leaf].vaddr != 0)
		pages_unref(w->pool->pages, &w->leaves[leaf]);
	return slot_take(w, &w->leaves[leaf].vaddr);
}

/* What changed, or, with `all`, every leaf; and what that changes. */
static int slots_take(struct writer *w, bool all)
{
	bool changed = true;
	int r = 0;

	while (r == 0 && changed) {
		changed = false;
		for (uint32_t id = 0; r == 0 && id < w->segment_limit; id++) {
			struct segment *s = segment_at(w, id);

			if (s)
				r = bitmaps_take(w, s, &changed);
		}
		for (uint32_t leaf = 0; r == 0 && leaf < w->leaf_count; leaf++) {
			if (w->leaf_new[leaf] || (!all && !leaf_dirty(w, leaf)))
				continue;
			changed = true;
			r = leaf_take(w, leaf);
		}
	}
	return r;
}

/* --- The old tree -------------------------------------------------------------------------- */

struct reader {
	struct map_walk walk;
	struct writer *w;
};

/* Leaves are kept by pointer, unless their segments went; inner pages are all written anew. */
static int old_leaf(struct map_walk *walk, const struct page_ref *ref)
{
	struct writer *w = container_of(walk, struct reader, walk)->w;

	if (ref->ptr.level > 0 || ref->index >= w->leaf_count)
		pages_unref(w->pool->pages, &ref->ptr);
	else
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

		if (!(w->bitmap_new[s->id] >> p & 1))
			continue;
		space_bitmap_encode(s, p, page);
		ref.ptr.kind = NODE_BITMAP;
		ref.ptr.vaddr = s->bitmaps[p].vaddr;
		r = pages_write_at(w->pool->pages, &ref, page);
		memcpy(s->bitmaps[p].check, ref.ptr.check, sizeof(s->bitmaps[p].check));
	}
	s->bitmap_dirty = 0;
	return r;
}

static int leaf_write(struct writer *w, uint32_t leaf)
{
	uint8_t page[PAGE_BYTES] = {0};
	struct page_ref ref = {.kind = NODE_SEGMENTS, .index = leaf};
	int r;

	for (uint32_t i = 0; i < RECORDS_PER_PAGE; i++) {
		const uint32_t id = leaf * RECORDS_PER_PAGE + i;
		const struct segment *s = space_segment(w->pool->space, id);
		struct segment_record record;

		space_record_clean(w->pool->space, id);
		if (!s)
			continue;
		space_segment_encode(s, &record);
		segment_record_encode(&record, page + (size_t)i * RECORD_BYTES);
	}
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

/* -ENOSPC: the pages lie in more segments than there are seeds. */
static int seeds_make(struct writer *w)
{
	bool fit = true;

	memset(w->next->seeds, 0, sizeof(w->next->seeds));
	for (uint64_t i = 0; i < w->slot_count; i++)
		fit = fit && seed_add(w, w->slots[i]);
	for (uint32_t leaf = 0; leaf < w->leaf_count; leaf++) {
		if (w->leaves[leaf].vaddr != 0)
			fit = fit && seed_add(w, w->leaves[leaf].vaddr);
	}
	return fit ? 0 : -ENOSPC;
}

static int all_take(struct writer *w)
{
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < w->slot_count; i++)
		r = slot_take(w, &w->slots[i]);
	if (r == 0)
		r = slots_take(w, false);
	if (r < 0 || seeds_make(w) == 0)
		return r;
	r = slots_take(w, true);
	return r < 0 ? r : seeds_make(w);
}

static int all_write(struct writer *w)
{
	const uint64_t *slots = w->slots;
	uint64_t count = w->leaf_count;
	int r = 0;

	for (uint32_t id = 0; r == 0 && id < w->segment_limit; id++) {
		struct segment *s = segment_at(w, id);

		if (s && w->bitmap_new[id] != 0)
			r = bitmaps_write(w, s);
	}
	for (uint32_t leaf = 0; r == 0 && leaf < w->leaf_count; leaf++) {
		if (w->leaf_new[leaf])
			r = leaf_write(w, leaf);
	}
	for (unsigned level = 1; r == 0 && level <= w->level; level++) {
		r = inner_write(w, level, count, slots);
		slots += w->inner_count[level];
		count = w->inner_count[level];
	}
	return r;
}

static void sums_take(struct writer *w)
{
	struct space_sums sums;

	space_sums(w->pool->space, &sums);
	w->next->segments = w->leaves[0];
	w->next->segment_limit = w->segment_limit;
	w->next->data_slots = sums.data_refs;
	w->next->meta_slots = sums.meta_refs;
}

static void shape(struct writer *w)
{
	w->segment_limit = space_segment_limit(w->pool->space);
	w->leaf_count = (w->segment_limit + RECORDS_PER_PAGE - 1) / RECORDS_PER_PAGE;
	w->level = MAX(node_levels_for(w->leaf_count), (unsigned)w->next->segments.level);
	w->inner_count[0] = w->leaf_count;
	for (unsigned level = 1; level <= w->level; level++) {
		w->inner_count[level] = (w->inner_count[level - 1] + NODE_FANOUT - 1) / NODE_FANOUT;
		w->slot_count += w->inner_count[level];
	}
}

static bool anything_changed(const struct pool *pool)
{
	for (uint32_t id = 0; id < space_segment_limit(pool->space); id++) {
		if (space_record_dirty(pool->space, id))
			return true;
	}
	return false;
}

/* Bitmap pages that changed, all that the table itself may change, and the tree. */
uint64_t tables_segments_pages(const struct pool *pool)
{
	const uint32_t limit = space_segment_limit(pool->space);
	uint64_t pages = 0;

	for (uint32_t id = 0; id < limit; id++) {
		const struct segment *s = space_segment(pool->space, id);

		if (s && s->class == SEGMENT_META)
			pages += segment_bitmap_pages(s);
		else if (s && s->class == SEGMENT_DATA)
			pages += (unsigned)__builtin_popcount(s->bitmap_dirty);
	}
	return pages + limit / RECORDS_PER_PAGE + limit / RECORDS_PER_PAGE / (NODE_FANOUT - 1) +
	       NODE_LEVELS_MAX + 1;
}

int tables_write_segments(struct pool *pool, struct super *next)
{
	struct writer w = {.pool = pool, .next = next};
	int r = -ENOMEM;

	if (!anything_changed(pool))
		return 0;
	shape(&w);
	w.leaves = calloc(w.leaf_count, sizeof(*w.leaves));
	w.leaf_new = calloc(w.leaf_count, sizeof(*w.leaf_new));
	w.bitmap_new = calloc(w.segment_limit, sizeof(*w.bitmap_new));
	w.slots = calloc(w.slot_count + 1, sizeof(*w.slots));
	if (w.leaves && w.leaf_new && w.bitmap_new && w.slots) {
		r = old_read(&w);
		if (r == 0)
			r = all_take(&w);
		if (r == 0)
			r = all_write(&w);
		if (r == 0)
			sums_take(&w);
	}
	free(w.leaves);
	free(w.leaf_new);
	free(w.bitmap_new);
	free(w.slots);
	return r;
}
