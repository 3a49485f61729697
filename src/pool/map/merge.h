/* SPDX-License-Identifier: Apache-2.0 */
/* A merge under way: where it is in its points and ranges, and one page of every level. */
#ifndef POOL_MAP_MERGE_H
#define POOL_MAP_MERGE_H

#include "map/map.h"
#include "map/tree.h"

#define MERGE_NONE UINT64_MAX /* no block */

/* The first point and range that may still count. Only moves on. */
struct merge_cursor {
	size_t point, range;
};

struct merger {
	struct map_merge *merge;
	struct merge_cursor at;
	uint64_t cut_end;     /* first block that is not cut, because the budget ended */
	uint64_t range_pages; /* leaf pages read only because of a range */
	bool group_before;    /* a group was done: pause before the next */
	struct page_ref prefetch[NODE_FANOUT];
	uint8_t pages[NODE_LEVELS_MAX + 1][PAGE_BYTES]; /* by level */
};

/* Of the blocks from `from` on, the first with a point, or within a range that is cut. */
uint64_t merge_next_point(const struct merger *merger, struct merge_cursor *at, uint64_t from);
uint64_t merge_next_cut(const struct merger *merger, struct merge_cursor *at, uint64_t from);

/* True when another leaf may be read for a range. */
static inline bool merge_may_cut(const struct merger *merger, uint64_t more)
{
	const uint64_t max = merger->merge->range_pages_max;

	return max == 0 || merger->range_pages + more < max;
}

/* [fiber] Cuts and puts in one leaf page; ref->ptr becomes the new one. */
MUST_CHECK int merge_leaf(struct merger *merger, struct page_ref *ref);

/* [fiber] Writes `page` in place of `ref`'s, or nothing when `live` is 0, and tells the sink. */
MUST_CHECK int merge_replace(struct merger *merger, struct page_ref *ref, const uint8_t *page,
			     uint64_t live);

#endif
