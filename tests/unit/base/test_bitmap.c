/* SPDX-License-Identifier: Apache-2.0 */
/* Bitmaps, held against a plain array of flags. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <quoin/base_bitmap.h>
#include <quoin/base_random.h>

#define BITS 200

static size_t plain_next(const bool *flags, size_t bit_count, size_t from, bool wanted)
{
	while (from < bit_count && flags[from] != wanted)
		from++;
	return from < bit_count ? from : bit_count;
}

static void check(const uint64_t *words, const bool *flags, size_t bit_count)
{
	size_t count = 0;

	for (size_t i = 0; i < bit_count; i++) {
		assert_int_equal(bitmap_test(words, i), flags[i]);
		count += flags[i];
	}
	assert_int_equal(bitmap_count(words, bit_count), count);
	for (size_t from = 0; from <= bit_count; from++) {
		assert_int_equal(bitmap_next_set(words, bit_count, from),
				 plain_next(flags, bit_count, from, true));
		assert_int_equal(bitmap_next_clear(words, bit_count, from),
				 plain_next(flags, bit_count, from, false));
	}
}

static void equals_plain_flags(void **state)
{
	static const size_t sizes[] = {1, 63, 64, 65, 127, 128, 129, BITS};
	struct random random;

	random_init(&random, 1);
	for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
		for (uint64_t density = 0; density <= 8; density++) {
			uint64_t words[BITMAP_WORDS(BITS)] = {0};
			bool flags[BITS] = {false};

			/* Bits beyond the size are set as well: nobody may look at them. */
			for (size_t i = 0; i < BITS; i++) {
				flags[i] = random_chance(&random, density, 8);
				if (flags[i])
					bitmap_set(words, i);
			}
			check(words, flags, sizes[s]);
		}
	}
}

static void clear_undoes_set(void **state)
{
	uint64_t words[BITMAP_WORDS(130)] = {0};

	for (size_t i = 0; i < 130; i++)
		bitmap_set(words, i);
	assert_int_equal(bitmap_next_clear(words, 130, 0), 130);
	bitmap_clear(words, 64);
	assert_false(bitmap_test(words, 64));
	assert_int_equal(bitmap_next_clear(words, 130, 0), 64);
	assert_int_equal(bitmap_count(words, 130), 129);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equals_plain_flags),
		cmocka_unit_test(clear_undoes_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
