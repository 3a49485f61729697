/* SPDX-License-Identifier: Apache-2.0 */
/* The histogram: exact where it says so, within its error elsewhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <quoin/base_histogram.h>

static struct histogram h;

static void empty(void **state)
{
	histogram_init(&h);
	assert_int_equal(histogram_permille(&h, 500), 0);
	assert_int_equal(histogram_mean(&h), 0);
	assert_int_equal(h.min, UINT64_MAX);
	assert_int_equal(h.max, 0);
}

static void single_values_within_error(void **state)
{
	for (unsigned shift = 0; shift < 64; shift++) {
		for (int delta = -1; delta <= 1; delta++) {
			const uint64_t value = (UINT64_C(1) << shift) + (uint64_t)delta;
			uint64_t bound;

			histogram_init(&h);
			histogram_add(&h, value);
			/* A larger one, so that the bucket's bound is not cut to the maximum. */
			histogram_add(&h, UINT64_MAX);
			bound = histogram_permille(&h, 0);
			assert_true(bound >= value);
			assert_true(bound - value <= value / 16);
			assert_int_equal(h.min, value);
		}
	}
}

static void permilles_of_a_ramp(void **state)
{
	histogram_init(&h);
	for (uint64_t i = 1; i <= 10000; i++)
		histogram_add(&h, i);
	assert_int_equal(h.count, 10000);
	assert_int_equal(histogram_mean(&h), 5000);
	assert_in_range(histogram_permille(&h, 500), 5000, 5313);
	assert_in_range(histogram_permille(&h, 990), 9900, 10000);
	assert_int_equal(histogram_permille(&h, 1000), 10000);
	assert_in_range(histogram_permille(&h, 0), 1, 1);
}

static void merge_adds_up(void **state)
{
	struct histogram a;

	histogram_init(&a);
	histogram_init(&h);
	for (uint64_t i = 0; i < 10; i++) {
		histogram_add(&a, i);
		histogram_add(&h, 100 + i);
	}
	histogram_merge(&a, &h);
	assert_int_equal(a.count, 20);
	assert_int_equal(a.sum, 45 + 1045);
	assert_int_equal(a.min, 0);
	assert_int_equal(a.max, 109);
	assert_int_equal(histogram_permille(&a, 400), 8);
	histogram_init(&h);
	histogram_merge(&a, &h);
	assert_int_equal(a.min, 0);
	assert_int_equal(a.count, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty),
		cmocka_unit_test(single_values_within_error),
		cmocka_unit_test(permilles_of_a_ramp),
		cmocka_unit_test(merge_adds_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
