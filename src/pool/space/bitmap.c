/* SPDX-License-Identifier: Apache-2.0 */
/* The pages of the segments' bitmaps, and what an import finds in them. */
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_bitmap.h>

#include "space/private.h"

#define PAGE_WORDS (BITMAP_PAGE_SLOTS / 64)

/* Words of the page that are slots; *ret_first: the first of them in the segment's bitmap. */
static size_t page_words(const struct segment *segment, unsigned page, size_t *ret_first)
{
	const size_t words = BITMAP_WORDS((size_t)segment->slot_count);
	const size_t first = (size_t)page * PAGE_WORDS;

	ASSERT(segment->used_bits != NULL);
	ASSERT_U64(page, <, segment_bitmap_pages(segment));
	*ret_first = first;
	return MIN(words - first, (size_t)PAGE_WORDS);
}

/* ORs into `to`; returns how many bits are new. */
static uint32_t words_load(uint64_t *to, const uint8_t *bits, size_t count)
{
	uint32_t added = 0;

	for (size_t i = 0; i < count; i++) {
		const uint64_t word = le64_get(bits + i * 8);

		added += (uint32_t)__builtin_popcountll(word & ~to[i]);
		to[i] |= word;
	}
	return added;
}

void space_bitmap_load(struct space *space, struct segment *segment, unsigned page,
		       const uint8_t bits[PAGE_BYTES], bool current)
{
	size_t first;
	const size_t count = page_words(segment, page, &first);
	uint32_t added = words_load(segment->used_bits + first, bits, count);

	space_used_add(space, segment, added);
	if (current) {
		added = words_load(segment->ref_bits + first, bits, count);
		segment->refs += added;
		*space_refs_sum(space, segment) += added;
	}
	space_lane_fix(space, cell_of(segment));
}

void space_bitmap_encode(const struct segment *segment, unsigned page, uint8_t to[PAGE_BYTES])
{
	size_t first;
	const size_t count = page_words(segment, page, &first);

	memset(to, 0, PAGE_BYTES);
	for (size_t i = 0; i < count; i++)
		le64_put(to + i * 8, segment->ref_bits[first + i]);
}

void space_loaded(struct space *space)
{
	uint64_t stale = 0;

	for (uint32_t id = 1; id < space->segment_limit; id++) {
		struct cell *cell = space->cells[id];
		const struct segment *segment = cell != NULL ? &cell->segment : NULL;

		if (segment == NULL || cell->stale_bits == NULL)
			continue;
		if (segment->used == segment->refs)
			continue;
		stale += segment->used - segment->refs;
		for (size_t i = 0; i < BITMAP_WORDS((size_t)segment->slot_count); i++)
			cell->stale_bits[i] = segment->used_bits[i] & ~segment->ref_bits[i];
	}
	space->sums.freeing += stale;
	space->freed.stale_commits = stale != 0 ? SPACE_KEEP : 0;
}
