/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The delta: what was written since the last freeze, in memory. Two of them exist, the active and
 * the frozen one; truth is active, then frozen, then tree.
 *
 * Points are records of single blocks, in a hash table. The last one inserted for a block counts.
 * When a snapshot was cut between two writes of a block the older version stays, for the
 * snapshot's sake: versions differ in epoch, and insertion never goes back in epochs.
 *
 * Ranges are trims of more than a few blocks. A point counts against a range by seq: whoever
 * inserts a range sees to it that no write with a lower seq is still under way. What a checkpoint
 * could not finish of a range is carried into the next generation.
 *
 * All memory is taken at start. Loop's thread only.
 */
#ifndef POOL_JOURNAL_DELTA_H
#define POOL_JOURNAL_DELTA_H

#include "format/node.h"

#define DELTA_RANGES_MAX 1024
#define DELTA_BLOCK_BITS 40

/* Bytes, because there are so many of them: the key in 7, an entry without salt and prop. */
#define DELTA_ENTRY_HEAD 16 /* vaddr, seq, epoch: where they are in an entry; then the check */
#define DELTA_ENTRY_BYTES (DELTA_ENTRY_HEAD + CHECK_BYTES)
struct delta_record {
	uint8_t key[7]; /* volume << 40 | block */
	uint8_t entry[DELTA_ENTRY_BYTES];
};
#define DELTA_RECORDS_LIMIT ((1U << 24) - 2) /* of one delta */

struct delta_range {
	uint32_t volume;
	uint32_t epoch;
	uint64_t start, end; /* blocks */
	uint64_t seq;
	bool carried; /* from the generation before: the tree may have newer blocks under it */
};

struct delta {
	struct delta_record *records;
	uint32_t *index; /* number of a record + 1 and bits of its hash; 0: empty */
	uint32_t places; /* of the index */
	uint32_t capacity, count;
	unsigned range_count;
	struct delta_range ranges[DELTA_RANGES_MAX];
};

/* What delta_init() takes. */
uint64_t delta_memory(uint32_t capacity);

MUST_CHECK int delta_init(struct delta *delta, uint32_t capacity);
void delta_fini(struct delta *delta);
void delta_clear(struct delta *delta);

enum delta_result {
	DELTA_ADDED,	/* a new record */
	DELTA_REPLACED, /* in place; *ret_old is the vaddr it had (0: none) */
};

/* There must be room: count < capacity. */
enum delta_result delta_insert(struct delta *delta, uint32_t volume, uint64_t block,
			       const uint8_t entry[ENTRY_BYTES], uint64_t *ret_old);

/* There must be room: range_count < DELTA_RANGES_MAX. */
void delta_range_insert(struct delta *delta, const struct delta_range *range);

/* The newest entry of the block, whatever the ranges say. False: there is none. */
bool delta_point(const struct delta *delta, uint32_t volume, uint64_t block,
		 uint8_t ret_entry[ENTRY_BYTES]);

/* Some range is about the volume. */
bool delta_has_range(const struct delta *delta, uint32_t volume);

/* The newest range over the block; NULL: none. */
const struct delta_range *delta_cut(const struct delta *delta, uint32_t volume, uint64_t block);

/*
 * Fills `order` (capacity entries, as `scratch`) with record indices, ascending by key, versions
 * of one key in order of insertion. `pause` is called now and then; may be NULL.
 */
void delta_sort(const struct delta *delta, uint32_t *order, uint32_t *scratch,
		void (*pause)(void *data), void *data);

static inline uint64_t delta_key(uint32_t volume, uint64_t block)
{
	return (uint64_t)volume << DELTA_BLOCK_BITS | block;
}
static inline uint32_t delta_key_volume(uint64_t key)
{
	return (uint32_t)(key >> DELTA_BLOCK_BITS);
}
static inline uint64_t delta_key_block(uint64_t key)
{
	return key & ((UINT64_C(1) << DELTA_BLOCK_BITS) - 1);
}

/* The key is followed by more of the record, so that eight bytes can be read. */
static inline uint64_t delta_record_key(const struct delta_record *record)
{
	return le64_get((const uint8_t *)record) & ((UINT64_C(1) << 56) - 1);
}
static inline uint64_t delta_record_vaddr(const struct delta_record *record)
{
	return le48_get(record->entry);
}
static inline uint64_t delta_record_seq(const struct delta_record *record)
{
	return le48_get(record->entry + 6);
}
static inline uint32_t delta_record_epoch(const struct delta_record *record)
{
	return le32_get(record->entry + 12);
}
void delta_record_entry(const struct delta_record *record, uint8_t ret_entry[ENTRY_BYTES]);

#endif
