/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Merging a generation of records into a map: one pass from the first to the last block that a
 * point or a range touches, down to the leaves and up again, with one page of every level held.
 *
 * Invariants:
 * 1. A page is read only when something below it is touched, and written at most once, after all
 *    below it, and only when it changed.
 * 2. Points and ranges are consumed in order of blocks; a cursor says which come next.
 * 3. The root and the ranges change only at the end, when nothing can fail any more.
 */
#include <stdlib.h>

#include <quoin/base_assert.h>
#include <quoin/base_math.h>
#include <quoin/base_text.h>

#include "map/merge.h"

uint64_t merge_next_point(const struct merger *merger, struct merge_cursor *at, uint64_t from)
{
	const struct map_merge *merge = merger->merge;

	for (; at->point < merge->point_count; at->point++) {
		const uint64_t block = merge->point_block(merge, at->point);

		if (block >= from)
			return block;
	}
	return MERGE_NONE;
}

uint64_t merge_next_cut(const struct merger *merger, struct merge_cursor *at, uint64_t from)
{
	const struct map_merge *merge = merger->merge;
	const struct merge_range *range = NULL;
	uint64_t block;

	for (; at->range < merge->range_count; at->range++) {
		range = &merge->ranges[at->range];
		if (MAX(range->start, from) < range->end)
			break;
	}
	if (at->range == merge->range_count)
		return MERGE_NONE;
	block = MAX(range->start, from);
	return block < merger->cut_end ? block : MERGE_NONE;
}

static uint64_t next_touch(const struct merger *merger, struct merge_cursor *at, uint64_t from)
{
	const uint64_t point = merge_next_point(merger, at, from);
	const uint64_t range = merge_next_cut(merger, at, from);

	return MIN(point, range);
}

int merge_replace(struct merger *merger, struct page_ref *ref, const uint8_t *page, uint64_t live)
{
	struct map_merge *merge = merger->merge;
	const struct node_ptr old = ref->ptr;
	struct page_ref new = *ref;
	int error;

	new.ptr = (struct node_ptr){.level = old.level};
	if (live != 0) {
		new.ptr.kind = NODE_MAP;
		new.ptr.epoch = merge->epoch;
		new.ptr.live = live;
		error = pages_write(merge->pages, &new, page);
		if (error)
			return error;
		merge->sink->page_born(merge->sink, new.ptr.vaddr);
	}
	if (old.vaddr != 0) {
		pages_cool(merge->pages, &old);
		error = merge->sink->page_killed(merge->sink, old.vaddr, old.epoch);
		if (error)
			return error;
	}
	ref->ptr = new.ptr;
	return 0;
}

static uint64_t blocks_below(unsigned level)
{
	return node_span_pages(level) << LEAF_SHIFT;
}

/* A child of `parent` at a touched block. level is valid also when the child is absent. */
static int child_at(const struct merger *merger, const struct page_ref *parent, uint64_t block,
		    struct page_ref *ret_child)
{
	const unsigned level = parent->ptr.level;
	const unsigned slot = tree_slot(block >> LEAF_SHIFT, level);
	const int error = tree_child(parent, merger->pages[level], slot, ret_child);

	if (!error)
		ret_child->ptr.level = (uint8_t)(level - 1);
	return error;
}

/* Starts reading the leaves that will be touched below a page of level 1. */
static int prefetch(struct merger *merger, const struct page_ref *ref)
{
	const uint64_t end = (ref->index + 1) * blocks_below(1);
	struct merge_cursor at = merger->at;
	uint64_t block = ref->index * blocks_below(1);
	uint64_t child_end;
	struct page_ref child;
	unsigned count = 0;
	uint64_t for_ranges = 0;
	bool points;
	int error;

	while ((block = next_touch(merger, &at, block)) < end) {
		error = child_at(merger, ref, block, &child);
		if (error)
			return error;
		child_end = align_down(block, LEAF_ENTRIES) + LEAF_ENTRIES;
		points = merge_next_point(merger, &at, block) < child_end;
		if (child.ptr.vaddr != 0 && (points || merge_may_cut(merger, for_ranges))) {
			merger->prefetch[count++] = child;
			for_ranges += !points;
		}
		block = child_end;
	}
	if (count > 0)
		pages_prefetch(merger->merge->pages, merger->prefetch, count);
	return 0;
}

static int merge_inner(struct merger *merger, struct page_ref *ref);

/* The budget of ranges is asked here, so that a leaf over it is not read. */
static int merge_child(struct merger *merger, struct page_ref *child, uint64_t block, bool points)
{
	if (child->ptr.level > 0)
		return merge_inner(merger, child);
	if (!points) {
		if (!merge_may_cut(merger, 0)) {
			merger->cut_end = block;
			return 0;
		}
		merger->range_pages++;
	}
	return merge_leaf(merger, child);
}

/* Everything from `block` on that is below the page, which is in its buffer. 1: it changed. */
static int merge_children(struct merger *merger, const struct page_ref *ref, uint64_t block)
{
	const uint64_t below = blocks_below(ref->ptr.level - 1U);
	const uint64_t end = (ref->index + 1) * blocks_below(ref->ptr.level);
	struct page_ref child;
	uint64_t old, child_end;
	bool changed = false;
	bool points;
	int error;

	while ((block = next_touch(merger, &merger->at, block)) < end) {
		error = child_at(merger, ref, block, &child);
		if (error)
			return error;
		child_end = align_down(block, below) + below;
		points = merge_next_point(merger, &merger->at, block) < child_end;
		old = child.ptr.vaddr;
		if (old != 0 || points) {
			error = merge_child(merger, &child, block, points);
			if (error)
				return error;
		}
		/* A page is never rewritten into its own slot. */
		if (child.ptr.vaddr != old) {
			tree_child_put(merger->pages[ref->ptr.level],
				       child.index & (NODE_FANOUT - 1), &child.ptr);
			changed = true;
		}
		block = child_end;
	}
	return changed;
}

static int write_inner(struct merger *merger, struct page_ref *ref)
{
	const uint8_t *page = merger->pages[ref->ptr.level];
	struct page_ref child;
	uint64_t live = 0;
	int error;

	for (unsigned slot = 0; slot < NODE_FANOUT; slot++) {
		error = tree_child(ref, page, slot, &child);
		if (error)
			return error;
		/* No writer leaves a page with nothing below it. */
		if (child.ptr.vaddr != 0 && child.ptr.live == 0)
			return -EUCLEAN;
		live += child.ptr.live;
	}
	return merge_replace(merger, ref, page, live);
}

static void pause_group(struct merger *merger)
{
	merger->merge->points_done = merger->at.point;
	if (merger->group_before && merger->merge->pause)
		merger->merge->pause(merger->merge);
	merger->group_before = true;
}

static int merge_inner(struct merger *merger, struct page_ref *ref)
{
	uint8_t *page = merger->pages[ref->ptr.level];
	int changed, error;

	if (ref->ptr.level == 1)
		pause_group(merger);
	if (ref->ptr.vaddr == 0) {
		memset(page, 0, PAGE_BYTES);
	} else {
		error = pages_read(merger->merge->pages, ref, page);
		if (error)
			return error;
		error = ref->ptr.level == 1 ? prefetch(merger, ref) : 0;
		if (error)
			return error;
	}
	changed = merge_children(merger, ref, ref->index * blocks_below(ref->ptr.level));
	if (changed <= 0)
		return changed;
	return write_inner(merger, ref);
}

/* One level more: the tree so far becomes the first child of a new page, whose rest follows. */
static int merge_grown(struct merger *merger, struct page_ref *root)
{
	const unsigned level = root->ptr.level + 1U;
	int changed;

	memset(merger->pages[level], 0, PAGE_BYTES);
	tree_child_put(merger->pages[level], 0, &root->ptr);
	root->ptr = (struct node_ptr){.level = (uint8_t)level};
	changed = merge_children(merger, root, blocks_below(level - 1));
	if (changed < 0)
		return changed;
	return write_inner(merger, root);
}

/* Also holds the caller to the order of points. */
static bool puts_anything(const struct map_merge *merge)
{
	uint8_t entry[ENTRY_BYTES];
	uint64_t next = 0;
	bool any = false;

	for (size_t i = 0; i < merge->point_count; i++) {
		const uint64_t block = merge->point_block(merge, i);

		ASSERT_U64(block, >=, next);
		ASSERT_U64(block, <, merge->block_count);
		next = block + 1;
		if (any)
			continue;
		merge->point_entry(merge, i, entry);
		any = entry_vaddr(entry) != 0;
	}
	return any;
}

static int merge_tree(struct merger *merger, struct page_ref *root)
{
	const struct map_merge *merge = merger->merge;
	const unsigned needed = node_levels_for(div_round_up(merge->block_count, LEAF_ENTRIES));
	const bool grows = puts_anything(merge);
	uint64_t block;
	int error;

	if (root->ptr.vaddr == 0 && !grows)
		return 0;
	if (root->ptr.vaddr == 0)
		root->ptr = (struct node_ptr){.level = (uint8_t)needed};
	block = next_touch(merger, &merger->at, 0);
	if (block < blocks_below(root->ptr.level)) {
		error = merge_child(merger, root, block,
				    merge_next_point(merger, &merger->at, block) <
					    blocks_below(root->ptr.level));
		if (error)
			return error;
	}
	while (grows && root->ptr.level < needed) {
		error = merge_grown(merger, root);
		if (error)
			return error;
	}
	return 0;
}

int map_merge(struct map_merge *merge, struct node_ptr *root)
{
	CLEANUP_FREE struct merger *merger = NULL;
	struct page_ref ref = {.ptr = *root, .kind = NODE_MAP};
	struct merge_range *range;
	int error;

	ASSERT_U64(div_round_up(merge->block_count, LEAF_ENTRIES), <=,
		   node_span_pages(NODE_LEVELS_MAX));
	error = tree_root_check(root, NODE_MAP);
	if (error)
		return error;
	merger = xcalloc(1, sizeof(*merger));
	merger->merge = merge;
	merger->cut_end = MERGE_NONE;
	error = merge_tree(merger, &ref);
	if (error)
		return error;
	if (ref.ptr.vaddr == 0)
		ref.ptr = (struct node_ptr){0};
	*root = ref.ptr;
	for (size_t i = 0; i < merge->range_count; i++) {
		range = &merge->ranges[i];
		if (range->start < range->end)
			range->start = MAX(range->start, MIN(range->end, merger->cut_end));
	}
	return 0;
}
