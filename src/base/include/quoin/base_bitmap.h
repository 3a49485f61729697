/* SPDX-License-Identifier: Apache-2.0 */
/* Bitmaps in arrays of 64-bit words. Bit i is bit i%64 of word i/64. */
#ifndef QUOIN_BASE_BITMAP_H
#define QUOIN_BASE_BITMAP_H

#include <quoin/base.h>

#define BITMAP_WORDS(bit_count) (((bit_count) + 63) / 64)

static inline void bitmap_set(uint64_t *words, size_t bit)
{
	words[bit / 64] |= UINT64_C(1) << (bit % 64);
}

static inline void bitmap_clear(uint64_t *words, size_t bit)
{
	words[bit / 64] &= ~(UINT64_C(1) << (bit % 64));
}

static inline bool bitmap_test(const uint64_t *words, size_t bit)
{
	return (words[bit / 64] >> (bit % 64)) & 1;
}

/* Index of the first set bit at or after `from`, or bit_count. */
size_t bitmap_next_set(const uint64_t *words, size_t bit_count, size_t from);
size_t bitmap_next_clear(const uint64_t *words, size_t bit_count, size_t from);
size_t bitmap_count(const uint64_t *words, size_t bit_count);

#endif
