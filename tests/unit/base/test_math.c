/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic at its edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <quoin/base_math.h>

static void ranges(void **state)
{
	assert_true(range_within(0, 0, 0));
	assert_true(range_within(0, 10, 10));
	assert_true(range_within(10, 0, 10));
	assert_false(range_within(1, 10, 10));
	assert_false(range_within(11, 0, 10));
	assert_true(range_within(UINT64_MAX, 0, UINT64_MAX));
	/* A sum would wrap. */
	assert_false(range_within(UINT64_MAX, 2, 10));
	assert_false(range_within(2, UINT64_MAX, 10));
	assert_false(range_within(1, UINT64_MAX, UINT64_MAX));
}

static void sums_and_products(void **state)
{
	uint64_t r = 7;

	assert_true(u64_add(UINT64_MAX - 1, 1, &r));
	assert_int_equal(r, UINT64_MAX);
	assert_false(u64_add(UINT64_MAX, 1, &r));
	assert_true(u64_mul(UINT64_C(1) << 32, (UINT64_C(1) << 32) - 1, &r));
	assert_int_equal(r, UINT64_C(0xffffffff00000000));
	assert_false(u64_mul(UINT64_C(1) << 32, UINT64_C(1) << 32, &r));
	assert_true(u64_mul(0, UINT64_MAX, &r));
	assert_int_equal(r, 0);
}

static void powers(void **state)
{
	assert_false(is_power_of_two(0));
	for (unsigned i = 0; i < 64; i++) {
		const uint64_t x = UINT64_C(1) << i;

		assert_true(is_power_of_two(x));
		assert_int_equal(log2_u64(x), i);
		assert_int_equal(log2_u64(x | (x - 1)), i);
		if (i > 1)
			assert_false(is_power_of_two(x - 1));
	}
}

static void alignment(void **state)
{
	assert_int_equal(align_down(4097, 4096), 4096);
	assert_int_equal(align_up(4097, 4096), 8192);
	assert_int_equal(align_up(4096, 4096), 4096);
	assert_int_equal(align_up(0, 4096), 0);
	assert_true(is_aligned(8192, 4096));
	assert_false(is_aligned(8193, 4096));
	assert_true(is_aligned(8193, 1));
	assert_int_equal(div_round_up(0, 5), 0);
	assert_int_equal(div_round_up(10, 5), 2);
	assert_int_equal(div_round_up(11, 5), 3);
	assert_int_equal(div_round_up(UINT64_MAX, 2), UINT64_C(1) << 63);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges),
		cmocka_unit_test(sums_and_products),
		cmocka_unit_test(powers),
		cmocka_unit_test(alignment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
