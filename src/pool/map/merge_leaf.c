/* SPDX-License-Identifier: Apache-2.0 */
/* One leaf page of a merge: what it loses to ranges, then what it gains from points. */
#include "map/merge.h"

static int kill(struct merger *merger, const uint8_t *entry)
{
	struct map_sink *sink = merger->merge->sink;

	return sink->data_killed(sink, entry_vaddr(entry), entry_epoch(entry));
}

/* Blocks [from, end) of the leaf, which are all within one range. */
static int cut(struct merger *merger, uint8_t *page, uint64_t from, uint64_t end)
{
	const uint64_t seq = merger->merge->ranges[merger->at.range].seq;
	bool changed = false;
	uint8_t *entry;
	int error;

	for (uint64_t block = from; block < end; block++) {
		entry = page + (block & (LEAF_ENTRIES - 1)) * ENTRY_BYTES;
		if (entry_vaddr(entry) == 0 || entry_seq(entry) >= seq)
			continue;
		error = kill(merger, entry);
		if (error)
			return error;
		memset(entry, 0, ENTRY_BYTES);
		changed = true;
	}
	return changed;
}

static int cut_all(struct merger *merger, uint8_t *page, uint64_t first, uint64_t end)
{
	const struct map_merge *merge = merger->merge;
	uint64_t block = first;
	uint64_t stop;
	bool changed = false;
	int result;

	while ((block = merge_next_cut(merger, &merger->at, block)) < end) {
		stop = MIN(MIN(merge->ranges[merger->at.range].end, merger->cut_end), end);
		result = cut(merger, page, block, stop);
		if (result < 0)
			return result;
		changed = changed || result;
		block = stop;
	}
	return changed;
}

/* The point that is next, which is `block`'s. */
static int put(struct merger *merger, uint8_t *page, uint64_t block)
{
	struct map_sink *sink = merger->merge->sink;
	uint8_t *entry = page + (block & (LEAF_ENTRIES - 1)) * ENTRY_BYTES;
	uint8_t new[ENTRY_BYTES];
	uint64_t vaddr;
	int error;

	merger->merge->point_entry(merger->merge, merger->at.point, new);
	vaddr = entry_vaddr(new);
	if (entry_vaddr(entry) == 0 && vaddr == 0)
		return false;
	if (entry_vaddr(entry) != 0) {
		error = kill(merger, entry);
		if (error)
			return error;
	}
	if (vaddr != 0)
		memcpy(entry, new, ENTRY_BYTES);
	else
		memset(entry, 0, ENTRY_BYTES);
	if (vaddr != 0)
		sink->data_born(sink, vaddr);
	return true;
}

static int put_all(struct merger *merger, uint8_t *page, uint64_t first, uint64_t end)
{
	bool changed = false;
	uint64_t block = first;
	int result;

	while ((block = merge_next_point(merger, &merger->at, block)) < end) {
		result = put(merger, page, block);
		if (result < 0)
			return result;
		changed = changed || result;
		block++;
	}
	return changed;
}

static uint64_t count_live(const uint8_t *page)
{
	uint64_t live = 0;

	for (unsigned i = 0; i < LEAF_ENTRIES; i++)
		live += entry_vaddr(page + (size_t)i * ENTRY_BYTES) != 0;
	return live;
}

int merge_leaf(struct merger *merger, struct page_ref *ref)
{
	const uint64_t first = ref->index << LEAF_SHIFT;
	const uint64_t end = first + LEAF_ENTRIES;
	uint8_t *page = merger->pages[0];
	int was_cut = 0;
	int was_put;
	int error;

	if (ref->ptr.vaddr == 0) {
		memset(page, 0, PAGE_BYTES);
	} else {
		error = pages_read(merger->merge->pages, ref, page);
		if (error)
			return error;
		was_cut = cut_all(merger, page, first, end);
		if (was_cut < 0)
			return was_cut;
	}
	was_put = put_all(merger, page, first, end);
	if (was_put < 0)
		return was_put;
	if (!was_cut && !was_put)
		return 0;
	return merge_replace(merger, ref, page, count_live(page));
}
