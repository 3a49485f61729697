/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walking a tree in order, and freeing one in steps.
 *
 * The walk stops only before a leaf that it will visit next. So where it stops says all: a page
 * whose leaves all lie before has been done, in the call that left it, and is not looked at again;
 * a page that has the leaf below it is not done, so it is still there to be read.
 */
#include <stdlib.h>

#include <quoin/base_text.h>

#include "map/map.h"
#include "map/tree.h"

#define WALK_STOPPED 1

struct walker {
	struct map_walk *walk;
	uint64_t visited; /* leaf pages */
	struct page_ref prefetch[NODE_FANOUT];
	uint8_t pages[NODE_LEVELS_MAX + 1][PAGE_BYTES]; /* by level */
};

/* False for what is absent, too old, or before where the walk is. */
static bool wanted(const struct map_walk *walk, const struct page_ref *ref)
{
	const uint64_t end = (ref->index + 1) * node_span_pages(ref->ptr.level);

	if (ref->ptr.vaddr == 0 || end <= walk->from_page)
		return false;
	return walk->born_after == 0 || ref->ptr.epoch > walk->born_after;
}

static int broken(struct map_walk *walk, const struct page_ref *ref, int error)
{
	return walk->broken ? walk->broken(walk, ref, error) : error;
}

static int done(struct map_walk *walk, const struct page_ref *ref)
{
	return walk->page_done ? walk->page_done(walk, ref) : 0;
}

static bool budget_left(const struct walker *walker, uint64_t more)
{
	const uint64_t max = walker->walk->pages_max;

	return max == 0 || walker->visited + more < max;
}

static int walk_leaf(struct walker *walker, const struct page_ref *ref)
{
	struct map_walk *walk = walker->walk;
	int error;

	walk->from_page = ref->index;
	if (!budget_left(walker, 0))
		return WALK_STOPPED;
	walker->visited++;
	if (!walk->leaf)
		return done(walk, ref);
	error = pages_read(walk->pages, ref, walker->pages[0]);
	if (error)
		return broken(walk, ref, error);
	error = walk->leaf(walk, ref, walker->pages[0]);
	return error ? error : done(walk, ref);
}

/* Starts reading the leaves that come next. A bad pointer is found when it is followed. */
static void prefetch(struct walker *walker, const struct page_ref *parent)
{
	struct page_ref child;
	unsigned count = 0;

	for (unsigned slot = 0; slot < NODE_FANOUT && budget_left(walker, count); slot++)
		if (tree_child(parent, walker->pages[1], slot, &child) == 0 &&
		    wanted(walker->walk, &child))
			walker->prefetch[count++] = child;
	if (count > 0)
		pages_prefetch(walker->walk->pages, walker->prefetch, count);
}

static int walk_page(struct walker *walker, const struct page_ref *ref);

static int walk_child(struct walker *walker, const struct page_ref *parent, unsigned slot)
{
	struct page_ref child;
	const int error = tree_child(parent, walker->pages[parent->ptr.level], slot, &child);

	if (error)
		return broken(walker->walk, parent, error);
	return wanted(walker->walk, &child) ? walk_page(walker, &child) : 0;
}

static int walk_page(struct walker *walker, const struct page_ref *ref)
{
	struct map_walk *walk = walker->walk;
	int result;

	if (ref->ptr.level == 0)
		return walk_leaf(walker, ref);
	result = pages_read(walk->pages, ref, walker->pages[ref->ptr.level]);
	if (result)
		return broken(walk, ref, result);
	if (ref->ptr.level == 1 && walk->leaf)
		prefetch(walker, ref);
	for (unsigned slot = 0; slot < NODE_FANOUT; slot++) {
		result = walk_child(walker, ref, slot);
		if (result)
			return result;
	}
	return done(walk, ref);
}

int map_walk(struct map_walk *walk, const struct node_ptr *root)
{
	CLEANUP_FREE struct walker *walker = NULL;
	struct page_ref ref = {.ptr = *root, .kind = walk->kind};
	int result;

	result = tree_root_check(root, walk->kind);
	if (result)
		return result;
	if (!wanted(walk, &ref))
		return 0;
	walker = xcalloc(1, sizeof(*walker));
	walker->walk = walk;
	result = walk_page(walker, &ref);
	if (result == 0)
		walk->from_page = node_span_pages(root->level);
	return result;
}

struct freeing {
	struct map_walk walk;
	struct map_sink *sink;
};

static int free_leaf(struct map_walk *walk, const struct page_ref *ref, const uint8_t *page)
{
	struct map_sink *sink = container_of(walk, struct freeing, walk)->sink;
	const uint8_t *entry;
	int error;

	for (unsigned i = 0; i < LEAF_ENTRIES; i++) {
		entry = page + (size_t)i * ENTRY_BYTES;
		if (entry_vaddr(entry) == 0 || entry_epoch(entry) <= walk->born_after)
			continue;
		error = sink->data_killed(sink, entry_vaddr(entry), entry_epoch(entry));
		if (error)
			return error;
	}
	return 0;
}

static int free_page(struct map_walk *walk, const struct page_ref *ref)
{
	struct map_sink *sink = container_of(walk, struct freeing, walk)->sink;

	return sink->page_killed(sink, ref->ptr.vaddr, ref->ptr.epoch);
}

/* Its blocks are not known, so they are not freed. */
static int free_broken(struct map_walk *walk, const struct page_ref *ref, int error)
{
	if (!page_bad(error))
		return error;
	pages_lost(walk->pages, &ref->ptr);
	return 0;
}

int map_free(struct pages *pages, struct map_sink *sink, const struct node_ptr *root,
	     uint32_t born_after, uint64_t *cursor, uint64_t pages_max)
{
	struct freeing freeing = {.walk = {.pages = pages,
					   .kind = NODE_MAP,
					   .born_after = born_after,
					   .from_page = *cursor >> LEAF_SHIFT,
					   .pages_max = pages_max,
					   .leaf = free_leaf,
					   .page_done = free_page,
					   .broken = free_broken},
				  .sink = sink};
	int result;

	/* Only whole leaves are ever freed; anything else was not written by us. */
	if ((*cursor & (LEAF_ENTRIES - 1)) != 0)
		return -EUCLEAN;
	result = map_walk(&freeing.walk, root);
	if (result >= 0)
		*cursor = freeing.walk.from_page << LEAF_SHIFT;
	return result;
}
