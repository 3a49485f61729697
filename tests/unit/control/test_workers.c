/* SPDX-License-Identifier: Apache-2.0 */
/* How many workers, and where. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "workers.h"

static void lists(void **state)
{
	static const char *const bad[] = {"",  ",",   "1,",   "-1",	     "3-1", "1-",
					  "a", "1 2", "1024", "99999999999", "1,,2"};
	struct control_cpus cpus;

	assert_int_equal(control_cpus_parse("0", &cpus, NULL), 0);
	assert_int_equal(cpus.count, 1);
	assert_int_equal(control_cpus_parse("8,0-3,2-4", &cpus, NULL), 0);
	assert_int_equal(cpus.count, 6);
	assert_int_equal(cpus.cpus[4], 4);
	assert_int_equal(cpus.cpus[5], 8);
	assert_int_equal(control_cpus_parse("1023", &cpus, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(control_cpus_parse(bad[i], &cpus, NULL), -EINVAL);
	assert_int_equal(cpus.count, 1);
}

static void counts(void **state)
{
	struct control_cpus cpus;

	assert_int_equal(control_workers_default(NULL, 1), 1);
	assert_int_equal(control_workers_default(NULL, 4), 1);
	assert_int_equal(control_workers_default(NULL, 7), 1);
	assert_int_equal(control_workers_default(NULL, 8), 2);
	assert_int_equal(control_workers_default(NULL, 1024), CONTROL_WORKERS_MAX);
	assert_int_equal(control_cpus_parse("0-2", &cpus, NULL), 0);
	assert_int_equal(control_workers_default(&cpus, 64), 3);
}

static void started_pinned_and_chosen(void **state)
{
	struct control_workers workers;

	assert_int_equal(control_workers_start(&workers, 2, "0", NULL), 0);
	assert_int_equal(workers.count, 2);
	assert_int_equal(workers.workers[1].cpu, 0);
	assert_int_equal(control_workers_choose(&workers), 0);
	workers.workers[0].targets = 1;
	assert_int_equal(control_workers_choose(&workers), 1);
	workers.workers[1].targets = 1;
	assert_int_equal(control_workers_choose(&workers), 0);
	control_workers_stop(&workers);
	assert_int_equal(control_workers_start(&workers, CONTROL_WORKERS_MAX + 1, NULL, NULL),
			 -EINVAL);
	assert_true(control_workers_start(&workers, 1, "1023", NULL) < 0);
	assert_int_equal(workers.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists),
		cmocka_unit_test(counts),
		cmocka_unit_test(started_pinned_and_chosen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
