/* SPDX-License-Identifier: Apache-2.0 */
/* Schedules: drawn, due, missed, one of a mirror at a time, and as they are in the file. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "schedule.h"

#define DAY_S 86400
#define WEEK_S (7 * DAY_S)
#define NOW_S UINT64_C(1700000000)
#define SHORT (1U << CONTROL_SCHEDULE_SHORT_TEST)
#define LONG (1U << CONTROL_SCHEDULE_LONG_TEST)

static const uint8_t pool[16] = {42};

struct fixture {
	struct schedule schedule;
	struct random random;
	struct schedule_unit units[4];
	struct schedule_world world;
	struct schedule_run run;
};

/* Two mirrors of two drives. */
static void begin(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	random_init(&f->random, 7);
	schedule_init(&f->schedule, pool);
	for (unsigned i = 0; i < 4; i++)
		f->units[i] = (struct schedule_unit){
			.guid = {(uint8_t)(i + 1)}, .group = i / 2, .jobs = SHORT | LONG};
	f->world = (struct schedule_world){
		.units = f->units, .count = 4, .now_s = NOW_S, .random = &f->random};
}

static bool pick(struct fixture *f)
{
	return schedule_pick(&f->schedule, &f->world, &f->run);
}

static uint64_t next_s(const struct fixture *f, unsigned unit)
{
	return schedule_next_s(&f->schedule, f->units[unit].guid, CONTROL_SCHEDULE_SHORT_TEST);
}

static void drawn_within_a_quarter(void **state)
{
	struct fixture f;
	bool differ = false;

	begin(&f);
	assert_false(pick(&f));
	assert_true(f.schedule.dirty);
	assert_int_equal(f.schedule.due_count, 4); /* the long one is off */
	for (unsigned i = 0; i < 4; i++) {
		assert_in_range(next_s(&f, i), NOW_S + 1, NOW_S + WEEK_S / 4);
		differ = differ || next_s(&f, i) != next_s(&f, 0);
	}
	assert_true(differ);
	/* Looking again draws nothing. */
	f.schedule.dirty = false;
	assert_false(pick(&f));
	assert_false(f.schedule.dirty);
}

static void one_of_a_mirror_at_a_time(void **state)
{
	unsigned begun[4] = {0};
	struct fixture f;

	begin(&f);
	assert_false(pick(&f));
	f.world.now_s += WEEK_S;
	for (unsigned i = 0; i < 2; i++) {
		assert_true(pick(&f));
		begun[f.run.unit]++;
		assert_int_equal(f.run.job, CONTROL_SCHEDULE_SHORT_TEST);
		assert_true(f.units[f.run.unit].busy);
		assert_in_range(next_s(&f, f.run.unit), f.world.now_s + WEEK_S - WEEK_S / 16,
				f.world.now_s + WEEK_S + WEEK_S / 16);
	}
	assert_int_equal(begun[0] + begun[1], 1);
	assert_int_equal(begun[2] + begun[3], 1);
	assert_false(pick(&f));
	for (unsigned i = 0; i < 4; i++)
		f.units[i].busy = false;
	assert_true(pick(&f));
	assert_true(pick(&f));
	assert_false(pick(&f));
}

/* Also when somebody else made it busy. */
static void a_busy_one_is_left_alone(void **state)
{
	struct fixture f;

	begin(&f);
	assert_false(pick(&f));
	f.units[0].busy = f.units[3].busy = true;
	f.world.now_s += WEEK_S;
	assert_false(pick(&f));
}

static void what_was_missed_is_done_once(void **state)
{
	struct fixture f;

	begin(&f);
	f.world.count = 1;
	assert_false(pick(&f));
	f.world.now_s += 20 * WEEK_S;
	assert_true(pick(&f));
	f.units[0].busy = false;
	assert_false(pick(&f));
	assert_true(next_s(&f, 0) > f.world.now_s + WEEK_S / 2);
}

static void the_most_overdue_first(void **state)
{
	struct fixture f;

	begin(&f);
	f.world.count = 1;
	schedule_set(&f.schedule, CONTROL_SCHEDULE_LONG_TEST, WEEK_S);
	assert_false(pick(&f));
	assert_int_equal(f.schedule.due_count, 2);
	for (unsigned i = 0; i < 2; i++)
		f.schedule.dues[i].due_s =
			NOW_S + (f.schedule.dues[i].job == CONTROL_SCHEDULE_LONG_TEST ? 1 : 2);
	f.world.now_s += 10;
	assert_true(pick(&f));
	assert_int_equal(f.run.job, CONTROL_SCHEDULE_LONG_TEST);
	assert_false(pick(&f));
	f.units[0].busy = false;
	assert_true(pick(&f));
	assert_int_equal(f.run.job, CONTROL_SCHEDULE_SHORT_TEST);
}

static void off_and_cannot(void **state)
{
	struct fixture f;

	begin(&f);
	f.units[1].jobs = 0;
	assert_false(pick(&f));
	assert_int_equal(next_s(&f, 1), 0);
	schedule_set(&f.schedule, CONTROL_SCHEDULE_SHORT_TEST, 0);
	assert_int_equal(f.schedule.due_count, 0);
	f.world.now_s += WEEK_S;
	assert_false(pick(&f));
	/* Another interval: drawn anew. */
	schedule_set(&f.schedule, CONTROL_SCHEDULE_SHORT_TEST, DAY_S);
	assert_false(pick(&f));
	assert_in_range(next_s(&f, 0), f.world.now_s + 1, f.world.now_s + DAY_S / 4);
}

static void drives_come_and_go(void **state)
{
	struct fixture f;
	uint64_t before;

	begin(&f);
	assert_false(pick(&f));
	before = next_s(&f, 0);
	/* One that is away for a while keeps its time. */
	f.units[0].jobs = 0;
	assert_false(pick(&f));
	assert_int_equal(next_s(&f, 0), before);
	f.units[0].guid[0] = 99;
	f.units[0].jobs = SHORT;
	assert_false(pick(&f));
	assert_int_equal(f.schedule.due_count, 4);
	assert_int_not_equal(next_s(&f, 0), 0);
}

/* The clock was wrong, and is right now. */
static void a_time_far_ahead(void **state)
{
	struct fixture f;

	begin(&f);
	f.world.now_s = NOW_S + 1000 * WEEK_S;
	assert_false(pick(&f));
	f.world.now_s = NOW_S;
	assert_false(pick(&f));
	for (unsigned i = 0; i < 4; i++)
		assert_in_range(next_s(&f, i), NOW_S + 1, NOW_S + WEEK_S / 4);
}

static void there_and_back(void **state)
{
	struct schedule back;
	struct fixture f;
	json_t *json;

	begin(&f);
	schedule_set(&f.schedule, CONTROL_SCHEDULE_LONG_TEST, 30 * DAY_S);
	assert_false(pick(&f));
	json = schedule_encode(&f.schedule);
	memset(&back, 0xAA, sizeof(back));
	assert_int_equal(schedule_decode(json, &back), 0);
	json_decref(json);
	assert_memory_equal(back.pool, pool, sizeof(pool));
	assert_memory_equal(back.every_s, f.schedule.every_s, sizeof(back.every_s));
	assert_int_equal(back.due_count, 8);
	assert_false(back.dirty);
	for (unsigned i = 0; i < 8; i++) {
		assert_memory_equal(back.dues[i].unit, f.schedule.dues[i].unit, 16);
		assert_int_equal(back.dues[i].job, f.schedule.dues[i].job);
		assert_int_equal(back.dues[i].due_s, f.schedule.dues[i].due_s);
	}
}

#define UUID "2a000000-0000-0000-0000-000000000000"
#define EVERY "\"every_s\":{\"short-test\":3600,\"long-test\":0,\"trim\":0,\"scrub\":0}"

static void refused(void **state)
{
	static const char *const bad[] = {
		"[]",
		"{}",
		"{\"pool\":\"x\"," EVERY ",\"dues\":[]}",
		"{\"pool\":\"" UUID "\",\"dues\":[]}",
		"{\"pool\":\"" UUID "\"," EVERY "}",
		"{\"pool\":\"" UUID "\"," EVERY ",\"dues\":[1]}",
		"{\"pool\":\"" UUID "\"," EVERY ",\"dues\":[{\"unit\":\"" UUID
		"\",\"job\":\"none\",\"due_s\":1}]}",
		"{\"pool\":\"" UUID "\"," EVERY ",\"dues\":[{\"unit\":\"" UUID
		"\",\"job\":\"trim\",\"due_s\":-1}]}",
		"{\"pool\":\"" UUID "\",\"every_s\":{\"short-test\":1,\"long-test\":0,\"trim\":0,"
		"\"scrub\":0},\"dues\":[]}",
	};
	struct schedule schedule = {.due_count = 77};
	json_t *json = json_loads("{\"pool\":\"" UUID "\"," EVERY ",\"dues\":[]}", 0, NULL);

	assert_int_equal(schedule_decode(json, &schedule), 0);
	json_decref(json);
	schedule.due_count = 77;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		json = json_loads(bad[i], 0, NULL);
		assert_non_null(json);
		assert_int_equal(schedule_decode(json, &schedule), -EINVAL);
		assert_int_equal(schedule.due_count, 77);
		json_decref(json);
	}
	/* More than a pool can have. */
	json = json_loads("{\"pool\":\"" UUID "\"," EVERY ",\"dues\":[]}", 0, NULL);
	for (unsigned i = 0; i <= SCHEDULE_DUES_MAX; i++)
		json_array_append_new(
			json_object_get(json, "dues"),
			json_pack("{s:s, s:s, s:i}", "unit", UUID, "job", "trim", "due_s", 1));
	assert_int_equal(schedule_decode(json, &schedule), -EINVAL);
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(drawn_within_a_quarter),
		cmocka_unit_test(one_of_a_mirror_at_a_time),
		cmocka_unit_test(a_busy_one_is_left_alone),
		cmocka_unit_test(what_was_missed_is_done_once),
		cmocka_unit_test(the_most_overdue_first),
		cmocka_unit_test(off_and_cannot),
		cmocka_unit_test(drives_come_and_go),
		cmocka_unit_test(a_time_far_ahead),
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
