/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deadlists: pages of entries by index, each page's pointer with the birth of its newest entry, so
 * that pages with nothing young enough are not read. New entries fill up the last page first:
 * else a page would be spent at every checkpoint. Pages move from list to list by pointer.
 *
 * A list with pages that cannot be read is made anew of those that can, when it is to be changed.
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

struct joining {
	struct map_walk walk;
	struct deadlist to;
	struct sums sums;
	bool bad; /* the leaf that was read */
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

/* Who goes on without it leaves it, and what it names, used. */
static int without(struct map_walk *walk, const struct page_ref *ref, int error)
{
	if (!page_bad(error))
		return error;
	pages_lost(walk->pages, &ref->ptr);
	return 0;
}

static int mend_leaf(struct map_walk *walk, const struct page_ref *ref UNUSED, const uint8_t *page)
{
	struct joining *mending = container_of(walk, struct joining, walk);
	struct dead_entry entries[DEADLIST_ENTRIES];
	struct sums sums = mending->sums;
	unsigned count = 0;
	int error;

	error = deadlist_page_decode(page, entries, &count);
	for (unsigned i = 0; !error && i < count; i++)
		error = sums_add(walk->pages, &sums, &entries[i]);
	mending->bad = error != 0;
	if (!error)
		mending->sums = sums;
	return 0;
}

static int mend_page(struct map_walk *walk, const struct page_ref *ref)
{
	struct joining *mending = container_of(walk, struct joining, walk);

	if (ref->ptr.level > 0 || !mending->bad)
		return join_page(walk, ref);
	return without(walk, ref, -EUCLEAN);
}

int deadlist_mend(struct pages *pages, struct deadlist *list)
{
	CLEANUP_FREE struct joining *mending = xcalloc(1, sizeof(*mending));
	int error;

	mending->walk = (struct map_walk){.pages = pages,
					  .kind = NODE_DEADLIST,
					  .leaf = mend_leaf,
					  .page_done = mend_page,
					  .broken = without};
	error = map_walk(&mending->walk, &list->root);
	if (!error)
		error = join_flush(mending);
	if (error)
		return error;
	mending->to.data = mending->sums.data;
	mending->to.meta = mending->sums.meta;
	*list = mending->to;
	return 0;
}

/* fill_last(), in what is left of a list that has bad pages. */
static int fill_mended(struct pages *pages, struct deadlist *list, const struct dead_entry *entries,
		       size_t count, struct array_edit *edit)
{
	int result = list->pages > 0 ? fill_last(pages, list, entries, count, edit) : 0;

	if (!page_bad(result))
		return result;
	result = deadlist_mend(pages, list);
	if (result == 0 && list->pages > 0)
		result = fill_last(pages, list, entries, count, edit);
	return result;
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
	error = fill_mended(pages, &new, entries, count, &edits[0]);
	if (error < 0)
		return error;
	count -= (size_t)error;
	edit_count = error > 0;
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
	bool bad; /* pages that cannot be read were left out */
	int (*taken)(void *data, const struct dead_entry *entry);
	void *data;
};

static int take_without(struct map_walk *walk, const struct page_ref *ref UNUSED, int error)
{
	if (!page_bad(error))
		return error;
	container_of(walk, struct taking, walk)->bad = true;
	return 0;
}

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
		return take_without(walk, ref, error);
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
					 .leaf = take_page,
					 .broken = take_without};
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
	else if (taking->bad)
		error = deadlist_mend(pages, &new);
	if (error)
		return error;
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

/* Reads what joining will read, before it changes anything. */
static int join_probe(struct pages *pages, const struct deadlist *longer,
		      const struct deadlist *shorter)
{
	struct map_walk walk = {.pages = pages, .kind = NODE_DEADLIST};
	struct node_ptr last;
	const int error = map_walk(&walk, &shorter->root);

	if (error || longer->pages == 0)
		return error;
	return tree_leaf_find(pages, NODE_DEADLIST, &longer->root, longer->pages - 1, &last);
}

static int join(struct pages *pages, struct deadlist *longer, const struct deadlist *shorter)
{
	CLEANUP_FREE struct joining *joining = xcalloc(1, sizeof(*joining));
	int error;

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
	*longer = joining->to;
	return 0;
}

int deadlist_join(struct pages *pages, struct deadlist *to, struct deadlist *from)
{
	/* The order of entries says nothing: the shorter list moves. */
	struct deadlist longer = to->pages >= from->pages ? *to : *from;
	struct deadlist shorter = to->pages >= from->pages ? *from : *to;
	int error = join_probe(pages, &longer, &shorter);

	if (page_bad(error)) {
		error = deadlist_mend(pages, &longer);
		if (!error)
			error = deadlist_mend(pages, &shorter);
	}
	if (!error)
		error = join(pages, &longer, &shorter);
	if (error)
		return error;
	*to = longer;
	*from = (struct deadlist){0};
	return 0;
}

static int drop_page(struct map_walk *walk, const struct page_ref *ref)
{
	pages_unref(walk->pages, &ref->ptr);
	return 0;
}

/* Pages of the list are lost, not what they name. */
static int drop_without(struct map_walk *walk, const struct page_ref *ref, int error)
{
	struct page_ref pages = *ref;

	pages.ptr.live = div_round_up(ref->ptr.live, DEADLIST_ENTRIES);
	return without(walk, &pages, error);
}

int deadlist_drop(struct pages *pages, struct deadlist *list)
{
	struct map_walk walk = {.pages = pages,
				.kind = NODE_DEADLIST,
				.page_done = drop_page,
				.broken = drop_without};
	const int error = map_walk(&walk, &list->root);

	if (!error)
		*list = (struct deadlist){0};
	return error;
}
