/* SPDX-License-Identifier: Apache-2.0 */
/* One item of a chain (a snapshot, or the head): its map and its deadlist, each walked once. */
#ifndef POOL_INSPECT_ITEM_H
#define POOL_INSPECT_ITEM_H

#include "inspect/inspect.h"

/* A multiset of (vaddr, birth), by count and sum of hashes. */
struct inspect_bag {
	uint64_t data, meta, sum;
};

void inspect_bag_add(struct inspect_bag *bag, bool data, uint64_t vaddr, uint32_t epoch);

/* What one map has that the one before has not, and the other way round. */
struct inspect_map {
	struct inspect *in;
	struct inspect_place place;
	struct node_ptr before, root; /* before: the nearest snapshot before that is whole */
	uint32_t after;		      /* its epoch: what is new was born later */
	uint32_t upto;		      /* and not later than this */
	uint32_t unique_after;	      /* `unique` counts what was born later */
	bool freeing;		      /* what was born up to `after` is others' and not looked at */
	uint64_t cursor;	      /* freeing: blocks below are gone, and pages */
	/* Found: */
	bool damaged;
	struct inspect_bag gone, born;
	uint64_t shared, unique;
	uint64_t before_pages; /* read of the map before */
};

MUST_CHECK int inspect_map_walk(struct inspect_map *map);

struct inspect_dead {
	struct inspect *in;
	struct inspect_place place;
	const struct deadlist *list;
	uint32_t split;	       /* the epoch of the nearest snapshot before that is whole */
	bool owns;	       /* entries born after it own their slots: nothing else names them */
	bool stale;	       /* entries may name slots that were freed since */
	uint32_t unique_after; /* `unique` counts data entries born later */
	/* Found: */
	bool damaged;
	struct inspect_bag old, own; /* born up to `split`, and later */
	uint64_t unique;
};

void inspect_dead_walk(struct inspect_dead *dead);

#endif
