/* SPDX-License-Identifier: Apache-2.0 */
/* Floods: what passes, what is held, and that nothing is lost of the count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fold.h"

#define T0 UINT64_C(1000000)

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct folds));
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static struct health_event event_at(uint64_t time_ms, const char *object)
{
	struct health_event event = {
		.time_ms = time_ms, .type = HEALTH_POOL_HEALED, .count = 1, .text = "text"};

	snprintf(event.object, sizeof(event.object), "%s", object);
	return event;
}

/* How many passed of `count`; what came out beside is added to *other. */
static unsigned add(struct folds *folds, uint64_t time_ms, const char *object, unsigned count,
		    unsigned *other_count)
{
	unsigned passed = 0;

	for (unsigned i = 0; i < count; i++) {
		const struct health_event event = event_at(time_ms, object);
		struct health_event other;

		passed += fold_pass(folds, &event, &other);
		*other_count += other.count;
	}
	return passed;
}

static void few_pass(void **state)
{
	struct health_event out;
	unsigned other = 0;

	assert_int_equal(add(*state, T0, "tank", HEALTH_FOLD_PASS, &other), HEALTH_FOLD_PASS);
	assert_int_equal(other, 0);
	assert_false(fold_any(*state));
	assert_false(fold_take(*state, T0 + HEALTH_FOLD_MS, false, &out));
}

static void a_flood_is_one(void **state)
{
	struct folds *folds = *state;
	struct health_event out;
	unsigned other = 0;

	assert_int_equal(add(folds, T0, "tank", 100, &other), HEALTH_FOLD_PASS);
	assert_int_equal(folds->folded, 100 - HEALTH_FOLD_PASS);
	assert_true(fold_any(folds));
	assert_false(fold_take(folds, T0 + HEALTH_FOLD_MS - 1, false, &out));
	assert_true(fold_take(folds, T0 + HEALTH_FOLD_MS, false, &out));
	assert_int_equal(out.count, 100 - HEALTH_FOLD_PASS);
	assert_string_equal(out.object, "tank");
	/* It goes on: nothing passes in the next window, and that is told at its end. */
	assert_int_equal(add(folds, T0 + HEALTH_FOLD_MS + 1, "tank", 10, &other), 0);
	assert_true(fold_take(folds, T0 + 2 * HEALTH_FOLD_MS, false, &out));
	assert_int_equal(out.count, 10);
	/* A quiet window ends it. */
	assert_false(fold_take(folds, T0 + 3 * HEALTH_FOLD_MS, false, &out));
	assert_int_equal(add(folds, T0 + 3 * HEALTH_FOLD_MS, "tank", 1, &other), 1);
	assert_int_equal(other, 0);
}

static void objects_are_apart(void **state)
{
	unsigned other = 0;

	add(*state, T0, "tank", 100, &other);
	assert_int_equal(add(*state, T0, "lake", 1, &other), 1);
	assert_int_equal(other, 0);
}

/* Without a tick between: the first event after the window brings what was held before it. */
static void the_next_one_brings_it(void **state)
{
	unsigned other = 0;

	add(*state, T0, "tank", 20, &other);
	assert_int_equal(add(*state, T0 + HEALTH_FOLD_MS, "tank", 1, &other), 1);
	assert_int_equal(other, 20 - HEALTH_FOLD_PASS);
}

/* More objects than there is room for: the oldest comes out with what it held. */
static void room_for_others(void **state)
{
	unsigned other = 0;
	char object[16];

	add(*state, T0, "tank", 20, &other);
	for (unsigned i = 0; i < FOLDS_MAX; i++) {
		snprintf(object, sizeof(object), "v%u", i);
		assert_int_equal(add(*state, T0 + 1 + i, object, 1, &other), 1);
	}
	assert_int_equal(other, 20 - HEALTH_FOLD_PASS);
}

static void a_clock_set_back(void **state)
{
	struct health_event out;
	unsigned other = 0;

	add(*state, T0, "tank", 20, &other);
	assert_true(fold_take(*state, T0 - 5, false, &out));
	assert_int_equal(out.count, 20 - HEALTH_FOLD_PASS);
}

static void all_at_the_end(void **state)
{
	struct health_event out;
	unsigned other = 0;

	add(*state, T0, "tank", 20, &other);
	assert_true(fold_take(*state, T0, true, &out));
	assert_int_equal(out.count, 20 - HEALTH_FOLD_PASS);
	assert_false(fold_take(*state, T0, true, &out));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(few_pass, setup, teardown),
		cmocka_unit_test_setup_teardown(a_flood_is_one, setup, teardown),
		cmocka_unit_test_setup_teardown(objects_are_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(the_next_one_brings_it, setup, teardown),
		cmocka_unit_test_setup_teardown(room_for_others, setup, teardown),
		cmocka_unit_test_setup_teardown(a_clock_set_back, setup, teardown),
		cmocka_unit_test_setup_teardown(all_at_the_end, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
