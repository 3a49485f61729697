/* SPDX-License-Identifier: Apache-2.0 */
/* The generator: known numbers, bounds, and the same stream for the same seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <quoin/base_random.h>

/* First outputs for states made by splitmix64 of seed 0, worked out from the papers. */
static void known_numbers(void **state)
{
	struct random r;

	random_init(&r, 0);
	/* splitmix64's own published first outputs for seed 0. */
	assert_int_equal(r.state[0], UINT64_C(0xe220a8397b1dcdaf));
	assert_int_equal(r.state[1], UINT64_C(0x6e789e6aa1b965f4));
	assert_int_equal(r.state[2], UINT64_C(0x06c45d188009454f));
	assert_int_equal(r.state[3], UINT64_C(0xf88bb8a8724c81ec));
	/* xoshiro256** from the state {1, 2, 3, 4}. */
	r = (struct random){.state = {1, 2, 3, 4}};
	assert_int_equal(random_u64(&r), 11520);
	assert_int_equal(random_u64(&r), 0);
	assert_int_equal(random_u64(&r), 1509978240);
	assert_int_equal(random_u64(&r), UINT64_C(1215971899390074240));
}

static void below_is_below_and_even(void **state)
{
	unsigned counts[7] = {0};
	struct random r;

	random_init(&r, 42);
	for (unsigned i = 0; i < 70000; i++)
		counts[random_below(&r, 7)]++;
	for (unsigned i = 0; i < ARRAY_SIZE(counts); i++)
		assert_in_range(counts[i], 9500, 10500);
	assert_int_equal(random_below(&r, 1), 0);
	for (unsigned i = 0; i < 100; i++)
		assert_true(random_below(&r, UINT64_MAX) < UINT64_MAX);
}

static void chance_of_none_and_all(void **state)
{
	struct random r;

	random_init(&r, 43);
	for (unsigned i = 0; i < 100; i++) {
		assert_false(random_chance(&r, 0, 5));
		assert_true(random_chance(&r, 5, 5));
	}
}

static void fill_fills_exactly(void **state)
{
	struct random r;
	struct random same;

	for (size_t size = 0; size <= 20; size++) {
		unsigned char a[24] = {0};
		unsigned char b[24] = {0};
		unsigned char zero[24] = {0};

		random_init(&r, size);
		random_init(&same, size);
		random_fill(&r, a, size);
		random_fill(&same, b, size);
		assert_memory_equal(a, b, sizeof(a));
		assert_memory_equal(a + size, zero, sizeof(a) - size);
		if (size >= 8)
			assert_memory_not_equal(a, zero, size);
	}
}

static void system_numbers_differ(void **state)
{
	unsigned char a[300] = {0};
	unsigned char b[300] = {0};

	random_system_fill(a, sizeof(a));
	random_system_fill(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	assert_memory_not_equal(a + 284, b + 284, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_numbers),	  cmocka_unit_test(below_is_below_and_even),
		cmocka_unit_test(chance_of_none_and_all), cmocka_unit_test(fill_fills_exactly),
		cmocka_unit_test(system_numbers_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
