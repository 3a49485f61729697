/* SPDX-License-Identifier: Apache-2.0 */
/* The delta: a hash table with chaining over an array that fills from the front. */
#include <errno.h>
#include <stdlib.h>

#include <quoin/base_assert.h>
#include <quoin/base_math.h>

#include "journal/delta.h"

#define RADIX_BITS 11
#define RADIX_BUCKETS (1U << RADIX_BITS)
#define RADIX_PASSES 6 /* 66 bits: the whole key */

static unsigned hash_bits(uint32_t capacity)
{
	return log2_u64(capacity) + 1;
}

int delta_init(struct delta *delta, uint32_t capacity)
{
	ASSERT_U64(capacity, >, 0);
	*delta = (struct delta){.capacity = capacity, .hash_shift = 64 - hash_bits(capacity)};
	delta->records = calloc(capacity, sizeof(*delta->records));
	delta->heads = calloc(UINT64_C(1) << hash_bits(capacity), sizeof(*delta->heads));
	if (delta->records && delta->heads)
		return 0;
	delta_fini(delta);
	return -ENOMEM;
}

void delta_fini(struct delta *delta)
{
	free(delta->records);
	free(delta->heads);
	delta->records = NULL;
	delta->heads = NULL;
}

static uint32_t *head_of(const struct delta *delta, uint64_t key)
{
	/* Multiplication by the golden ratio's bits (Knuth, TAOCP 3, 6.4). */
	return &delta->heads[(key * UINT64_C(0x9e3779b97f4a7c15)) >> delta->hash_shift];
}

void delta_clear(struct delta *delta)
{
	/* Few records: undo them one by one rather than sweep the whole table. */
	if (delta->count < delta->capacity / 16) {
		for (uint32_t i = 0; i < delta->count; i++)
			*head_of(delta, delta->records[i].key) = 0;
	} else {
		memset(delta->heads, 0, sizeof(*delta->heads) << (64 - delta->hash_shift));
	}
	delta->count = 0;
	delta->range_count = 0;
}

/* The newest version: chains grow at the front. */
static struct delta_record *newest(const struct delta *delta, uint64_t key)
{
	uint32_t at = *head_of(delta, key);

	while (at != 0 && delta->records[at - 1].key != key)
		at = delta->records[at - 1].next;
	return at == 0 ? NULL : &delta->records[at - 1];
}

enum delta_result delta_insert(struct delta *delta, uint32_t volume, uint64_t block,
			       const uint8_t entry[ENTRY_BYTES], uint64_t *ret_old)
{
	const uint64_t key = delta_key(volume, block);
	struct delta_record *record = newest(delta, key);
	uint32_t *head = head_of(delta, key);

	if (record) {
		ASSERT_U64(entry_epoch(record->entry), <=, entry_epoch(entry));
		if (entry_epoch(record->entry) == entry_epoch(entry)) {
			*ret_old = entry_vaddr(record->entry);
			memcpy(record->entry, entry, ENTRY_BYTES);
			return DELTA_REPLACED;
		}
	}
	ASSERT_U64(delta->count, <, delta->capacity);
	record = &delta->records[delta->count++];
	record->key = key;
	record->next = *head;
	memcpy(record->entry, entry, ENTRY_BYTES);
	*head = delta->count;
	return DELTA_ADDED;
}

void delta_range_insert(struct delta *delta, const struct delta_range *range)
{
	ASSERT_U64(delta->range_count, <, DELTA_RANGES_MAX);
	ASSERT_U64(range->start, <, range->end);
	delta->ranges[delta->range_count++] = *range;
}

const uint8_t *delta_point(const struct delta *delta, uint32_t volume, uint64_t block)
{
	const struct delta_record *record =
		delta->count > 0 ? newest(delta, delta_key(volume, block)) : NULL;

	return record ? record->entry : NULL;
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

static unsigned digit(const struct delta *delta, uint32_t index, unsigned pass)
{
	return (unsigned)(delta->records[index].key >> (pass * RADIX_BITS)) & (RADIX_BUCKETS - 1);
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
