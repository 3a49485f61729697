/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The delta: an array that fills from the front, and an index with open addressing, in which the
 * newest record of each block is found. A place of the index has the record's number, and some bits
 * of the hash, so that other records are seldom looked at. It is never more than three quarters
 * full, so a search ends soon at a place that is empty.
 */
#include <errno.h>
#include <stdlib.h>

#include <quoin/base_assert.h>
#include <quoin/base_math.h>

#include "journal/delta.h"

#define RADIX_BITS 11
#define RADIX_BUCKETS (1U << RADIX_BITS)
#define RADIX_PASSES 6 /* 66 bits: the whole key */

#define NUMBER_BITS 24
#define NUMBER_MASK ((1U << NUMBER_BITS) - 1)

static uint64_t index_places(uint32_t capacity)
{
	return (uint64_t)capacity + capacity / 3 + 2;
}

uint64_t delta_memory(uint32_t capacity)
{
	return capacity * sizeof(struct delta_record) + index_places(capacity) * sizeof(uint32_t);
}

int delta_init(struct delta *delta, uint32_t capacity)
{
	ASSERT_U64(capacity, >, 0);
	ASSERT_U64(capacity, <=, DELTA_RECORDS_LIMIT);
	*delta = (struct delta){.capacity = capacity, .places = (uint32_t)index_places(capacity)};
	delta->records = calloc(capacity, sizeof(*delta->records));
	delta->index = calloc(delta->places, sizeof(*delta->index));
	if (delta->records && delta->index)
		return 0;
	delta_fini(delta);
	return -ENOMEM;
}

void delta_fini(struct delta *delta)
{
	free(delta->records);
	free(delta->index);
	delta->records = NULL;
	delta->index = NULL;
}

/* --- The index ------------------------------------------------------------------------------- */

static uint64_t hash(uint64_t key)
{
	/* Multiplication by the golden ratio's bits (Knuth, TAOCP 3, 6.4). */
	return key * UINT64_C(0x9e3779b97f4a7c15);
}

/* Where the search for a key begins. */
static uint32_t home(const struct delta *delta, uint64_t key)
{
	return (uint32_t)((hash(key) >> 32) * delta->places >> 32);
}

static uint32_t place_after(const struct delta *delta, uint32_t place)
{
	return place + 1 == delta->places ? 0 : place + 1;
}

static uint32_t tag(uint64_t key)
{
	return (uint32_t)hash(key) & ~NUMBER_MASK;
}

/* The place of the block's newest record, or the empty one where it belongs. */
static uint32_t *find(const struct delta *delta, uint64_t key)
{
	uint32_t place = home(delta, key);

	for (;; place = place_after(delta, place)) {
		const uint32_t at = delta->index[place];

		if (at == 0 || ((at & ~NUMBER_MASK) == tag(key) &&
				delta_record_key(&delta->records[(at & NUMBER_MASK) - 1]) == key))
			return &delta->index[place];
	}
}

static struct delta_record *record_at(const struct delta *delta, uint32_t at)
{
	return at == 0 ? NULL : &delta->records[(at & NUMBER_MASK) - 1];
}

/* Everything goes, so whatever follows a record's home up to an empty place may go with it. */
static void index_clear(struct delta *delta, uint64_t key)
{
	for (uint32_t place = home(delta, key); delta->index[place] != 0;
	     place = place_after(delta, place))
		delta->index[place] = 0;
}

void delta_clear(struct delta *delta)
{
	/* Few records: undo them one by one rather than sweep the whole table. */
	if (delta->count < delta->capacity / 16) {
		for (uint32_t i = 0; i < delta->count; i++)
			index_clear(delta, delta_record_key(&delta->records[i]));
	} else {
		memset(delta->index, 0, delta->places * sizeof(*delta->index));
	}
	delta->count = 0;
	delta->range_count = 0;
}

/* --- Points and ranges ------------------------------------------------------------------------ */

void delta_record_entry(const struct delta_record *record, uint8_t ret_entry[ENTRY_BYTES])
{
	memcpy(ret_entry, record->entry, DELTA_ENTRY_HEAD);
	memset(ret_entry + DELTA_ENTRY_HEAD, 0, ENTRY_BYTES - DELTA_ENTRY_BYTES);
	memcpy(ret_entry + ENTRY_BYTES - CHECK_BYTES, record->entry + DELTA_ENTRY_HEAD,
	       CHECK_BYTES);
}

static void entry_put(struct delta_record *record, const uint8_t entry[ENTRY_BYTES])
{
	memcpy(record->entry, entry, DELTA_ENTRY_HEAD);
	memcpy(record->entry + DELTA_ENTRY_HEAD, entry + ENTRY_BYTES - CHECK_BYTES, CHECK_BYTES);
}

enum delta_result delta_insert(struct delta *delta, uint32_t volume, uint64_t block,
			       const uint8_t entry[ENTRY_BYTES], uint64_t *ret_old)
{
	const uint64_t key = delta_key(volume, block);
	uint32_t *place = find(delta, key);
	struct delta_record *record = record_at(delta, *place);

	ASSERT_U64(volume, <=, UINT16_MAX);
	ASSERT_U64(le32_get(entry + DELTA_ENTRY_HEAD), ==, 0); /* salt, prop: it has none */
	if (record) {
		ASSERT_U64(delta_record_epoch(record), <=, entry_epoch(entry));
		if (delta_record_epoch(record) == entry_epoch(entry)) {
			*ret_old = delta_record_vaddr(record);
			entry_put(record, entry);
			return DELTA_REPLACED;
		}
	}
	ASSERT_U64(delta->count, <, delta->capacity);
	record = &delta->records[delta->count++];
	le40_put(record->key, block);
	le16_put(record->key + 5, (uint16_t)volume);
	entry_put(record, entry);
	*place = tag(key) | delta->count;
	return DELTA_ADDED;
}

void delta_range_insert(struct delta *delta, const struct delta_range *range)
{
	ASSERT_U64(delta->range_count, <, DELTA_RANGES_MAX);
	ASSERT_U64(range->start, <, range->end);
	delta->ranges[delta->range_count++] = *range;
}

bool delta_point(const struct delta *delta, uint32_t volume, uint64_t block,
		 uint8_t ret_entry[ENTRY_BYTES])
{
	const uint64_t key = delta_key(volume, block);
	const struct delta_record *record =
		delta->count > 0 ? record_at(delta, *find(delta, key)) : NULL;

	if (record)
		delta_record_entry(record, ret_entry);
	return record != NULL;
}

bool delta_has_range(const struct delta *delta, uint32_t volume)
{
	for (unsigned i = 0; i < delta->range_count; i++) {
		if (delta->ranges[i].volume == volume)
			return true;
	}
	return false;
}

const struct delta_range *delta_cut(const struct delta *delta, uint32_t volume, uint64_t block)
{
	const struct delta_range *best = NULL;

	for (unsigned i = 0; i < delta->range_count; i++) {
		const struct delta_range *r = &delta->ranges[i];

		if (r->volume == volume && block >= r->start && block < r->end &&
		    (!best || r->seq > best->seq))
			best = r;
	}
	return best;
}

/* --- Order ------------------------------------------------------------------------------------ */

static unsigned digit(const struct delta *delta, uint32_t index, unsigned pass)
{
	return (unsigned)(delta_record_key(&delta->records[index]) >> (pass * RADIX_BITS)) &
	       (RADIX_BUCKETS - 1);
}

/* One stable pass of the radix sort. False: all records have the same digit, nothing was moved. */
static bool radix_pass(const struct delta *delta, const uint32_t *from, uint32_t *to, unsigned pass)
{
	uint32_t starts[RADIX_BUCKETS] = {0};
	uint32_t sum = 0;

	for (uint32_t i = 0; i < delta->count; i++)
		starts[digit(delta, from[i], pass)]++;
	if (starts[digit(delta, from[0], pass)] == delta->count)
		return false;
	for (unsigned b = 0; b < RADIX_BUCKETS; b++) {
		const uint32_t count = starts[b];

		starts[b] = sum;
		sum += count;
	}
	for (uint32_t i = 0; i < delta->count; i++)
		to[starts[digit(delta, from[i], pass)]++] = from[i];
	return true;
}

void delta_sort(const struct delta *delta, uint32_t *order, uint32_t *scratch,
		void (*pause)(void *data), void *data)
{
	uint32_t *from = order;
	uint32_t *to = scratch;

	for (uint32_t i = 0; i < delta->count; i++)
		order[i] = i;
	for (unsigned pass = 0; delta->count > 0 && pass < RADIX_PASSES; pass++) {
		if (radix_pass(delta, from, to, pass)) {
			uint32_t *swap = from;

			from = to;
			to = swap;
		}
		if (pause)
			pause(data);
	}
	if (from != order)
		memcpy(order, from, delta->count * sizeof(*order));
}
