/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the real loop share: a loop, and turning it until something is true. */
#ifndef QUOIN_TESTS_LOOP_REAL_H
#define QUOIN_TESTS_LOOP_REAL_H

#include <sched.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <stdarg.h>
#include <cmocka.h>

#include <quoin/loop.h>

#define TURNS_MAX 1000000

static inline struct loop *test_loop_new(void)
{
	const struct loop_params params = {.name = "test", .cpu = -1};
	struct loop *loop = NULL;

	assert_int_equal(loop_new(&params, &loop), 0);
	return loop;
}

/* A CPU this process may run on; a container need not have CPU 0. */
static inline int test_any_cpu(void)
{
	const int cpu = sched_getcpu();

	assert_true(cpu >= 0);
	return cpu;
}

static inline void test_turn_until(struct loop *loop, const bool *done)
{
	for (unsigned i = 0; !*done; i++) {
		assert_true(i < TURNS_MAX);
		loop_turn(loop, NS_PER_S);
	}
}

#endif
