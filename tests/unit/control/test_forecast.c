/* SPDX-License-Identifier: Apache-2.0 */
/* When a pool will be full: rates, what is too short, too slow, or going down; a ring that turns.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "forecast.h"

/* `bytes_per_s` for `seconds` from 1000 on, looked at every 2 s as the daemon does. */
static void grow(struct forecast *f, uint64_t seconds, int64_t bytes_per_s)
{
	for (uint64_t s = 0; s <= seconds; s += 2)
		forecast_add(f, 1000 + s,
			     (uint64_t)((int64_t)(100 * GiB) + (int64_t)s * bytes_per_s));
}

static void nothing_known(void **state)
{
	const struct forecast f = {.count = 0};

	assert_int_equal(forecast_full_in(&f, GiB), 0);
}

static void a_burst_says_nothing(void **state)
{
	struct forecast f = {.count = 0};

	grow(&f, FORECAST_LEAST_S - 2, 1000000);
	assert_int_equal(forecast_full_in(&f, GiB), 0);
}

static void steady(void **state)
{
	struct forecast f = {.count = 0};

	grow(&f, 2 * FORECAST_LEAST_S, 1000);
	assert_int_equal(forecast_full_in(&f, 1000 * 86400), 86400);
	assert_int_equal(forecast_full_in(&f, 0), 1);
}

static void never(void **state)
{
	struct forecast f = {.count = 0};

	grow(&f, 2 * FORECAST_LEAST_S, 0);
	assert_int_equal(forecast_full_in(&f, GiB), 0);
	f = (struct forecast){.count = 0};
	grow(&f, 2 * FORECAST_LEAST_S, -1000);
	assert_int_equal(forecast_full_in(&f, GiB), 0);
	/* In a thousand years. */
	f = (struct forecast){.count = 0};
	grow(&f, 2 * FORECAST_LEAST_S, 1);
	assert_int_equal(forecast_full_in(&f, 1000 * FORECAST_MOST_S), 0);
}

/* Only the last day counts: a week at rest, then a day of growth. */
static void the_last_day_counts(void **state)
{
	struct forecast f = {.count = 0};
	const uint64_t day = 86400;

	for (uint64_t s = 0; s <= 7 * day; s += FORECAST_INTERVAL_S)
		forecast_add(&f, 1000 + s, GiB);
	for (uint64_t s = FORECAST_INTERVAL_S; s <= 2 * day; s += FORECAST_INTERVAL_S)
		forecast_add(&f, 1000 + 7 * day + s, GiB + s * 1000);
	assert_in_range(forecast_full_in(&f, 1000 * day), day - 10, day + 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_known),
		cmocka_unit_test(a_burst_says_nothing),
		cmocka_unit_test(steady),
		cmocka_unit_test(never),
		cmocka_unit_test(the_last_day_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
