/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deadlists: pages of entries by index, each page's pointer with the birth of its newest entry, so
 * that pages with nothing young enough are not read. New entries fill up the last page first:
 * else a page would be spent at every checkpoint. Pages move from list to list by pointer.
 */
#include <stdlib.h>

#include <quoin/base_assert.h>
#include <quoin/base_math.h>
#include <quoin/base_text.h>

#include "map/map.h"
#include "map/tree.h"

#define TAKE_PAGES_MAX 1024 /* of one deadlist_take() */
#define JOIN_BATCH 1024	    /* pages moved by one edit of the tree */

struct sums {
	uint64_t data, meta;
};

static int sums_add(const struct pages *pages, struct sums *sums, const struct dead_entry *entry)
{
	const struct segment *segment =
		space_segment(pages_space(pages), vaddr_segment(entry->vaddr));

	if (!segment || (segment->class != SEGMENT_DATA && segment->class != SEGMENT_META))
		return -EUCLEAN;
	if (segment->class == SEGMENT_DATA)
		sums->data++;
	else
		sums->meta++;
	return 0;
}

static uint32_t newest(const struct dead_entry *entries, size_t count)
{
	uint32_t epoch = 0;

	for (size_t i = 0; i < count; i++)
		epoch = MAX(epoch, entries[i].epoch);
	return epoch;
}

/* A page of these entries, for the list's place `index`. */
static int write_page(struct pages *pages, const struct dead_entry *entries, unsigned count,
		      struct array_edit *edit)
{
	struct page_ref ref = {
		.kind = NODE_DEADLIST,
		.index = edit->index,
		.ptr = {.kind = NODE_DEADLIST, .live = count, .epoch = newest(entries, count)}};
	uint8_t page[PAGE_BYTES];
	int error;

	deadlist_page_encode(entries, count, page);
	error = pages_write(pages, &ref, page);
	if (!error)
		edit->ptr = ref.ptr;
	return error;
}

static int by_epoch_down(const void *a, const void *b)
{
	const struct dead_entry *x = a;
	const struct dead_entry *y = b;

	return x->epoch > y->epoch ? -1 : x->epoch < y->epoch;
}

/*
 * Fills the list's last page with the oldest of the new entries; the edit says with what it is
 * replaced. The number of entries it took, or negative errno.
 */
static int fill_last(struct pages *pages, const struct deadlist *list,
		     const struct dead_entry *entries, size_t count, struct array_edit *edit)
{
	struct dead_entry all[DEADLIST_ENTRIES];
	struct page_ref ref = {.kind = NODE_DEADLIST, .index = list->pages - 1};
	uint8_t page[PAGE_BYTES];
	unsigned had, more;
	int error;

	error = tree_leaf_find(pages, NODE_DEADLIST, &list->root, ref.index, &ref.ptr);
	if (error || ref.ptr.vaddr == 0 || ref.ptr.live >= DEADLIST_ENTRIES)
		return error;
	error = pages_read(pages, &ref, page);
	if (!error)
		error = deadlist_page_decode(page, all, &had);
	if (error)
		return error;
	if (had >= DEADLIST_ENTRIES)
		return 0;
	more = (unsigned)MIN(count, (size_t)DEADLIST_ENTRIES - had);
	memcpy(all + had, entries + count - more, more * sizeof(all[0]));
	edit->index = ref.index;
	error = write_page(pages, all, had + more, edit);
	return error ? error : (int)more;
}

int deadlist_append(struct pages *pages, struct deadlist *list, struct dead_entry *entries,
		    size_t count)
{
	CLEANUP_FREE struct array_edit *edits = NULL;
	struct deadlist new = *list;
	struct sums sums = {0};
	size_t edit_count = 0;
	unsigned n;
	int error = 0;

	for (size_t i = 0; i < count && !error; i++)
		error = sums_add(pages, &sums, &entries[i]);
	if (error || count == 0)
		return error;
	qsort(entries, count, sizeof(entries[0]), by_epoch_down);
	edits = xcalloc(count / DEADLIST_ENTRIES + 2, sizeof(*edits));
	if (list->pages > 0) {
		error = fill_last(pages, list, entries, count, &edits[0]);
		if (error < 0)
			return error;
		count -= (size_t)error;
		edit_count = error > 0;
	}
	for (size_t i = 0; i < count; i += n) {
		n = (unsigned)MIN(count - i, (size_t)DEADLIST_ENTRIES);
		edits[edit_count].index = new.pages++;
		error = write_page(pages, entries + i, n, &edits[edit_count++]);
		if (error)
			return error;
	}
	error = array_edit(pages, NODE_DEADLIST, &new.root, edits, edit_count, true);
	if (error)
		return error;
	new.data += sums.data;
	new.meta += sums.meta;
	*list = new;
	return 0;
}

struct taking {
	struct map_walk walk;
	struct dead_entry entries[DEADLIST_ENTRIES];
	struct sums sums;
	struct array_edit *edits;
	size_t edit_count;
	int (*taken)(void *data, const struct dead_entry *entry);
	void *data;
};

/* Hands out what is young enough, and keeps the rest at the front of `entries`. */
static int take_page(struct map_walk *walk, const struct page_ref *ref, const uint8_t *page)
{
	struct taking *taking = container_of(walk, struct taking, walk);
	struct array_edit *edit = &taking->edits[taking->edit_count];
	struct dead_entry *entries = taking->entries;
	unsigned kept = 0;
	unsigned count;
	int error;

	error = deadlist_page_decode(page, entries, &count);
	if (error)
		return error;
	for (unsigned i = 0; i < count; i++) {
		if (entries[i].epoch <= walk->born_after) {
			entries[kept++] = entries[i];
			continue;
		}
		error = sums_add(walk->pages, &taking->sums, &entries[i]);
		if (!error)
			error = taking->taken(taking->data, &entries[i]);
		if (error)
			return error;
	}
	*edit = (struct array_edit){.index = ref->index};
	taking->edit_count++;
	return kept > 0 ? write_page(walk->pages, entries, kept, edit) : 0;
}

int deadlist_take(struct pages *pages, struct deadlist *list, uint32_t born_after, size_t max,
		  int (*taken)(void *data, const struct dead_entry *entry), void *data)
{
	CLEANUP_FREE struct array_edit *edits = NULL;
	CLEANUP_FREE struct taking *taking = NULL;
	struct deadlist new = *list;
	const uint64_t pages_max =
		MIN(MAX(div_round_up(max, DEADLIST_ENTRIES), UINT64_C(1)), TAKE_PAGES_MAX);
	int more, error;

	edits = xcalloc(pages_max, sizeof(*edits));
	taking = xcalloc(1, sizeof(*taking));
	taking->walk = (struct map_walk){.pages = pages,
					 .kind = NODE_DEADLIST,
					 .born_after = born_after,
					 .pages_max = pages_max,
					 .leaf = take_page};
	taking->edits = edits;
	taking->taken = taken;
	taking->data = data;
	more = map_walk(&taking->walk, &list->root);
	if (more < 0)
		return more;
	if (taking->sums.data > list->data || taking->sums.meta > list->meta)
		return -EUCLEAN;
	error = array_edit(pages, NODE_DEADLIST, &new.root, edits, taking->edit_count, true);
	if (error)
		return error;
	new.data -= taking->sums.data;
	new.meta -= taking->sums.meta;
	if (new.root.vaddr == 0)
		new = (struct deadlist){0};
	*list = new;
	return more;
}

struct counting {
	struct map_walk walk;
	struct sums sums;
	struct dead_entry entries[DEADLIST_ENTRIES];
};

static int count_page(struct map_walk *walk, const struct page_ref *ref, const uint8_t *page)
{
	struct counting *counting = container_of(walk, struct counting, walk);
	unsigned count;
	int error;

	error = deadlist_page_decode(page, counting->entries, &count);
	for (unsigned i = 0; !error && i < count; i++)
		if (counting->entries[i].epoch > walk->born_after)
			error = sums_add(walk->pages, &counting->sums, &counting->entries[i]);
	return error;
}

int deadlist_count(struct pages *pages, const struct deadlist *list, uint32_t born_after,
		   uint64_t *ret_data, uint64_t *ret_meta)
{
	CLEANUP_FREE struct counting *counting = xcalloc(1, sizeof(*counting));
	int error;

	counting->walk = (struct map_walk){.pages = pages,
					   .kind = NODE_DEADLIST,
					   .born_after = born_after,
					   .leaf = count_page};
	error = map_walk(&counting->walk, &list->root);
	if (error)
		return error;
	*ret_data = counting->sums.data;
	*ret_meta = counting->sums.meta;
	return 0;
}

struct joining {
	struct map_walk walk;
	struct deadlist to;
	size_t count;
	struct array_edit edits[JOIN_BATCH];
};

static int join_flush(struct joining *joining)
{
	const size_t count = joining->count;

	joining->count = 0;
	return array_edit(joining->walk.pages, NODE_DEADLIST, &joining->to.root, joining->edits,
			  count, false);
}

static int join_page(struct map_walk *walk, const struct page_ref *ref)
{
	struct joining *joining = container_of(walk, struct joining, walk);

	if (ref->ptr.level > 0) {
		pages_unref(walk->pages, &ref->ptr);
		return 0;
	}
	joining->edits[joining->count++] =
		(struct array_edit){.index = joining->to.pages++, .ptr = ref->ptr};
	return joining->count == JOIN_BATCH ? join_flush(joining) : 0;
}

int deadlist_join(struct pages *pages, struct deadlist *to, struct deadlist *from)
{
	CLEANUP_FREE struct joining *joining = NULL;
	/* The order of entries says nothing: the shorter list moves. */
	const struct deadlist *longer = to->pages >= from->pages ? to : from;
	const struct deadlist *shorter = longer == to ? from : to;
	int error;

	joining = xcalloc(1, sizeof(*joining));
	joining->walk =
		(struct map_walk){.pages = pages, .kind = NODE_DEADLIST, .page_done = join_page};
	joining->to = *longer;
	error = map_walk(&joining->walk, &shorter->root);
	if (!error)
		error = join_flush(joining);
	if (error)
		return error;
	joining->to.data += shorter->data;
	joining->to.meta += shorter->meta;
	*to = joining->to;
	*from = (struct deadlist){0};
	return 0;
}

static int drop_page(struct map_walk *walk, const struct page_ref *ref)
{
	pages_unref(walk->pages, &ref->ptr);
	return 0;
}

int deadlist_drop(struct pages *pages, struct deadlist *list)
{
	struct map_walk walk = {.pages = pages, .kind = NODE_DEADLIST, .page_done = drop_page};
	const int error = map_walk(&walk, &list->root);

	if (!error)
		*list = (struct deadlist){0};
	return error;
}
