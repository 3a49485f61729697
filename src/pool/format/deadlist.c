/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages of deadlists. Header: magic, count, and the range of the births, so that a page of which
 * nothing is to be freed yet can be left alone after a look at its first bytes.
 */
#include <errno.h>

#include <quoin/base_assert.h>

#include "format/record.h"

#define DEADLIST_MAGIC UINT32_C(0x314c4451) /* "QDL1" */
#define DEADLIST_HEADER_BYTES 64

_Static_assert(DEADLIST_HEADER_BYTES + DEADLIST_ENTRIES * DEADLIST_ENTRY_BYTES == PAGE_BYTES,
	       "a page is full");

void deadlist_page_encode(const struct dead_entry *entries, unsigned count, uint8_t to[PAGE_BYTES])
{
	uint32_t low = count > 0 ? UINT32_MAX : 0;
	uint32_t high = 0;

	ASSERT_U64(count, <=, DEADLIST_ENTRIES);
	memset(to, 0, PAGE_BYTES);
	for (size_t i = 0; i < count; i++) {
		uint8_t *entry = to + DEADLIST_HEADER_BYTES + i * DEADLIST_ENTRY_BYTES;

		le48_put(entry, entries[i].vaddr);
		le32_put(entry + 8, entries[i].epoch);
		low = MIN(low, entries[i].epoch);
		high = MAX(high, entries[i].epoch);
	}
	le32_put(to, DEADLIST_MAGIC);
	le16_put(to + 4, (uint16_t)count);
	le32_put(to + 8, low);
	le32_put(to + 12, high);
}

/* Judged in full before the first entry is given out: on failure the caller's are untouched. */
static bool page_valid(const uint8_t *from, unsigned count)
{
	const uint32_t low = le32_get(from + 8);
	const uint32_t high = le32_get(from + 12);

	if (le32_get(from) != DEADLIST_MAGIC || count > DEADLIST_ENTRIES)
		return false;
	for (size_t i = 0; i < count; i++) {
		const uint8_t *entry = from + DEADLIST_HEADER_BYTES + i * DEADLIST_ENTRY_BYTES;
		const uint32_t epoch = le32_get(entry + 8);

		if (vaddr_segment(le48_get(entry)) == 0 || epoch < low || epoch > high)
			return false;
	}
	return true;
}

int deadlist_page_decode(const uint8_t from[PAGE_BYTES], struct dead_entry *ret_entries,
			 unsigned *ret_count)
{
	const unsigned count = le16_get(from + 4);

	if (!page_valid(from, count))
		return -EUCLEAN;
	for (size_t i = 0; i < count; i++) {
		const uint8_t *entry = from + DEADLIST_HEADER_BYTES + i * DEADLIST_ENTRY_BYTES;

		ret_entries[i].vaddr = le48_get(entry);
		ret_entries[i].epoch = le32_get(entry + 8);
	}
	*ret_count = count;
	return 0;
}
