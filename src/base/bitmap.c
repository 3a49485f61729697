/* SPDX-License-Identifier: Apache-2.0 */
/* Searches and counts in bitmaps, a word at a time. */
#include <quoin/base_bitmap.h>

static size_t next_in(const uint64_t *words, size_t bit_count, size_t from, uint64_t flip)
{
	while (from < bit_count) {
		const uint64_t word = (words[from / 64] ^ flip) >> (from % 64);

		if (word != 0) {
			const size_t found = from + (size_t)__builtin_ctzll(word);

			return found < bit_count ? found : bit_count;
		}
		from = (from / 64 + 1) * 64;
	}
	return bit_count;
}

size_t bitmap_next_set(const uint64_t *words, size_t bit_count, size_t from)
{
	return next_in(words, bit_count, from, 0);
}

size_t bitmap_next_clear(const uint64_t *words, size_t bit_count, size_t from)
{
	return next_in(words, bit_count, from, UINT64_MAX);
}

size_t bitmap_count(const uint64_t *words, size_t bit_count)
{
	size_t count = 0;

	for (size_t i = 0; i < bit_count / 64; i++)
		count += (size_t)__builtin_popcountll(words[i]);
	if (bit_count % 64 != 0) {
		const uint64_t mask = (UINT64_C(1) << (bit_count % 64)) - 1;

		count += (size_t)__builtin_popcountll(words[bit_count / 64] & mask);
	}
	return count;
}
