/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trees over pages: looking up a block, merging a generation of records into a volume's map,
 * walking and freeing what is no longer reachable, and small updates of the record trees.
 *
 * A tree is its root pointer; its level says how far it reaches. A child that is absent is a hole.
 * Pages are copied on write; the old page is let go through a `map_sink`, which knows whether a
 * snapshot still has it. All [fiber] functions park; on failure outputs are untouched and what
 * was written so far is garbage that the failed checkpoint never points to.
 */
#ifndef POOL_MAP_MAP_H
#define POOL_MAP_MAP_H

#include "map/pages.h"

/* --- Looking up ---------------------------------------------------------------------------- */

/*
 * The entry of a block, without waiting. 0: `ret_entry` (all zero: a hole). -EAGAIN: a page on the
 * way is not cached; `ret_missing` says which: fetch it and ask again. -EUCLEAN: a page with
 * contents that cannot be.
 */
MUST_CHECK int map_lookup(struct pages *pages, const struct node_ptr *root, uint64_t block,
			  uint8_t ret_entry[ENTRY_BYTES], struct page_ref *ret_missing);

/* --- Merging ------------------------------------------------------------------------------- */

/* Who hears of everything a merge or a walk changes. May park. */
struct map_sink {
	/* A data block is let go: its entry was overwritten or cut off. */
	int (*data_killed)(struct map_sink *sink, uint64_t vaddr, uint32_t epoch);
	/* A page of the map is let go; epoch is its birth. */
	int (*page_killed)(struct map_sink *sink, uint64_t vaddr, uint32_t epoch);
	/* An entry with data was put into the map. */
	void (*data_born)(struct map_sink *sink, uint64_t vaddr);
	/* A page of the map was written (its slot is refed already). */
	void (*page_born)(struct map_sink *sink, uint64_t vaddr);
};

/* Blocks [start, end) written before `seq` are cut off. */
struct merge_range {
	uint64_t start, end;
	uint64_t seq;
};

struct map_merge {
	struct pages *pages;
	struct map_sink *sink;
	uint64_t block_count; /* of the volume: how deep the new tree must be at least */
	uint32_t epoch;	      /* birth of the pages written */
	/* Points: entries to put in. By number, ascending by block, each block once. */
	size_t point_count;
	uint64_t (*point_block)(const struct map_merge *merge, size_t point);
	/* vaddr 0: the block becomes a hole. */
	void (*point_entry)(const struct map_merge *merge, size_t point,
			    uint8_t ret_entry[ENTRY_BYTES]);
	struct merge_range *ranges; /* ascending, disjoint; start moves to where it got */
	size_t range_count;
	uint64_t range_pages_max; /* leaf pages read for ranges before it stops; 0 = no limit */
	void (*pause)(struct map_merge *merge); /* called between groups of leaves; may park */
	size_t points_done;			/* by then */
};

/*
 * [fiber] root becomes the tree with the ranges cut and the points put in. An entry is cut by a
 * range only when its seq is lower, and replaced by a point always (the caller left out the
 * points that lose). What is within a range and has no entry costs nothing; where a page becomes
 * empty it goes. When the range budget ends, ranges[i].start < ranges[i].end says what is left.
 */
MUST_CHECK int map_merge(struct map_merge *merge, struct node_ptr *root);

/* --- Walking ------------------------------------------------------------------------------- */

struct map_walk {
	struct pages *pages;
	enum node_kind kind;
	uint32_t born_after; /* only pages and entries with epoch > this; 0 = all */
	uint64_t from_page;  /* leaf pages below are skipped; moves along */
	uint64_t pages_max;  /* leaf pages to visit before it stops; 0 = no limit */
	/* Negative errno ends the walk. `page` is a copy. NULL: leaf pages are not read. */
	int (*leaf)(struct map_walk *walk, const struct page_ref *ref, const uint8_t *page);
	/* Called for every page, after all below it: once, in the call in which that subtree ends.
	 */
	int (*page_done)(struct map_walk *walk, const struct page_ref *ref);
	/* A page that cannot be read: 0 goes on without it, negative ends. NULL: ends. */
	int (*broken)(struct map_walk *walk, const struct page_ref *ref, int error);
};

/* [fiber] 0 at the end of the tree, 1 when pages_max stopped it, or negative errno. */
MUST_CHECK int map_walk(struct map_walk *walk, const struct node_ptr *root);

/*
 * [fiber] Frees what was born after `born_after`, from *cursor (a block, start with 0) for about
 * `pages_max` leaf pages, through the sink (data_killed, page_killed). 1: more is left, *cursor
 * moved; 0: done, the root itself included. The tree is not changed: only the cursor says what
 * is gone. A page that cannot be read is left out (pages_lost()).
 */
MUST_CHECK int map_free(struct pages *pages, struct map_sink *sink, const struct node_ptr *root,
			uint32_t born_after, uint64_t *cursor, uint64_t pages_max);

/* --- Record trees and deadlists: pages by index ------------------------------------------------
 */

/* [fiber] Copies leaf page `index` to `page`; zeroes when it is absent. */
MUST_CHECK int array_read(struct pages *pages, enum node_kind kind, const struct node_ptr *root,
			  uint64_t index, uint8_t page[PAGE_BYTES]);

struct array_edit {
	uint64_t index;
	struct node_ptr ptr; /* the new leaf; vaddr 0 = none */
};
/*
 * [fiber] Puts the leaves in, edits ascending by index. Old inner pages are unrefed; old leaves
 * that an edit replaced are unrefed when `free_leaves`. Grows the tree as needed.
 */
MUST_CHECK int array_edit(struct pages *pages, enum node_kind kind, struct node_ptr *root,
			  const struct array_edit *edits, size_t count, bool free_leaves);

/* How many pages array_edit() will write for these edits, at most. For reserving slots. */
size_t array_edit_pages(const struct node_ptr *root, size_t count, uint64_t index_max);

/* [fiber] Appends entries (sorted by epoch, newest first, by this function; in place). */
MUST_CHECK int deadlist_append(struct pages *pages, struct deadlist *list,
			       struct dead_entry *entries, size_t count);

/*
 * [fiber] Takes out entries born after `born_after`, at most about `max`, and hands each to
 * `taken` (may park). 1: there may be more; 0: none is left.
 */
MUST_CHECK int deadlist_take(struct pages *pages, struct deadlist *list, uint32_t born_after,
			     size_t max, int (*taken)(void *data, const struct dead_entry *entry),
			     void *data);

/* [fiber] Counts data and meta entries born after `born_after`. */
MUST_CHECK int deadlist_count(struct pages *pages, const struct deadlist *list, uint32_t born_after,
			      uint64_t *ret_data, uint64_t *ret_meta);

/*
 * [fiber] Leaves out pages that cannot be read (pages_lost()), and counts anew. Who changes a list
 * has it done when it meets one; deadlist_count() does not.
 */
MUST_CHECK int deadlist_mend(struct pages *pages, struct deadlist *list);

/* [fiber] Moves all of `from` to the end of `to`; `from` becomes empty. */
MUST_CHECK int deadlist_join(struct pages *pages, struct deadlist *to, struct deadlist *from);

/* [fiber] Frees the list's own pages, not what it names; it becomes empty. */
MUST_CHECK int deadlist_drop(struct pages *pages, struct deadlist *list);

#endif
