/* SPDX-License-Identifier: Apache-2.0 */
/* What is due; see schedule.h. */
#include "schedule.h"

#include <errno.h>
#include <string.h>

#include <quoin/base_assert.h>

static const char *const words[CONTROL_SCHEDULE_JOBS] = {"short-test", "long-test", "trim",
							 "scrub"};

const char *control_schedule_word(enum control_schedule_job job)
{
	return words[job];
}

bool control_schedule_available(enum control_schedule_job job)
{
	return job < CONTROL_SCHEDULE_TESTS || job == CONTROL_SCHEDULE_TRIM;
}

void schedule_init(struct schedule *schedule, const uint8_t pool[16])
{
	memset(schedule, 0, sizeof(*schedule));
	memcpy(schedule->pool, pool, sizeof(schedule->pool));
	schedule->every_s[CONTROL_SCHEDULE_SHORT_TEST] = CONTROL_SCHEDULE_SHORT_TEST_S;
	schedule->every_s[CONTROL_SCHEDULE_LONG_TEST] = CONTROL_SCHEDULE_LONG_TEST_S;
}

/* --- Dues ------------------------------------------------------------------------------------ */

static void due_drop(struct schedule *schedule, unsigned index)
{
	schedule->due_count--;
	memmove(&schedule->dues[index], &schedule->dues[index + 1],
		(schedule->due_count - index) * sizeof(*schedule->dues));
	schedule->dirty = true;
}

/* due_count: there is none. */
static unsigned due_index(const struct schedule *schedule, const uint8_t unit[16],
			  enum control_schedule_job job)
{
	unsigned i = 0;

	while (i < schedule->due_count &&
	       (schedule->dues[i].job != job ||
		memcmp(schedule->dues[i].unit, unit, sizeof(schedule->dues[i].unit)) != 0))
		i++;
	return i;
}

void schedule_set(struct schedule *schedule, enum control_schedule_job job, uint64_t every_s)
{
	schedule->every_s[job] = every_s;
	schedule->dirty = true;
	for (unsigned i = 0; i < schedule->due_count;) {
		if (schedule->dues[i].job == job)
			due_drop(schedule, i);
		else
			i++;
	}
}

uint64_t schedule_next_s(const struct schedule *schedule, const uint8_t unit[16],
			 enum control_schedule_job job)
{
	const unsigned i = due_index(schedule, unit, job);

	return i < schedule->due_count ? schedule->dues[i].due_s : 0;
}

static bool is_unit(const struct schedule_world *world, const struct schedule_due *due)
{
	for (unsigned i = 0; i < world->count; i++) {
		if (memcmp(world->units[i].guid, due->unit, sizeof(due->unit)) == 0)
			return true;
	}
	return false;
}

static void forget_others(struct schedule *schedule, const struct schedule_world *world)
{
	for (unsigned i = 0; i < schedule->due_count;) {
		if (is_unit(world, &schedule->dues[i]))
			i++;
		else
			due_drop(schedule, i);
	}
}

/* NULL: there is no room, which is so for no pool. */
static struct schedule_due *due_get(struct schedule *schedule, const struct schedule_world *world,
				    const struct schedule_unit *unit, enum control_schedule_job job)
{
	const uint64_t every_s = schedule->every_s[job];
	const unsigned i = due_index(schedule, unit->guid, job);
	struct schedule_due *due = &schedule->dues[i];

	if (i < schedule->due_count && due->due_s <= world->now_s + 2 * every_s)
		return due;
	if (i == SCHEDULE_DUES_MAX)
		return NULL;
	if (i == schedule->due_count)
		schedule->due_count++;
	*due = (struct schedule_due){
		.job = job, .due_s = world->now_s + 1 + random_below(world->random, every_s / 4)};
	memcpy(due->unit, unit->guid, sizeof(due->unit));
	schedule->dirty = true;
	return due;
}

/* --- The choice -------------------------------------------------------------------------------
 */

static bool group_busy(const struct schedule_world *world, unsigned group)
{
	for (unsigned i = 0; i < world->count; i++) {
		if (world->units[i].group == group && world->units[i].busy)
			return true;
	}
	return false;
}

/* The unit's most overdue job, or NULL. */
static struct schedule_due *unit_due(struct schedule *schedule, const struct schedule_world *world,
				     const struct schedule_unit *unit)
{
	struct schedule_due *found = NULL;

	for (unsigned job = 0; job < CONTROL_SCHEDULE_JOBS; job++) {
		struct schedule_due *due;

		if (!(unit->jobs & 1U << job) || schedule->every_s[job] == 0)
			continue;
		due = due_get(schedule, world, unit, (enum control_schedule_job)job);
		if (due && due->due_s <= world->now_s && (!found || due->due_s < found->due_s))
			found = due;
	}
	return found;
}

bool schedule_pick(struct schedule *schedule, const struct schedule_world *world,
		   struct schedule_run *ret_run)
{
	struct schedule_due *chosen = NULL;
	uint64_t every_s;

	forget_others(schedule, world);
	for (unsigned i = 0; i < world->count; i++) {
		const struct schedule_unit *unit = &world->units[i];
		struct schedule_due *due = unit_due(schedule, world, unit);

		if (!due || group_busy(world, unit->group) ||
		    (chosen && chosen->due_s <= due->due_s))
			continue;
		chosen = due;
		*ret_run = (struct schedule_run){i, due->job};
	}
	if (!chosen)
		return false;
	every_s = schedule->every_s[chosen->job];
	chosen->due_s =
		world->now_s + every_s - every_s / 16 + random_below(world->random, every_s / 8);
	schedule->dirty = true;
	world->units[ret_run->unit].busy = true;
	return true;
}

/* --- The file ---------------------------------------------------------------------------------
 */

static void put(json_t *json, const char *key, json_t *value)
{
	ASSERT(json_object_set_new(json, key, value) == 0);
}

static json_t *uuid(const uint8_t value[16])
{
	char text[CONTROL_UUID_TEXT_MAX];

	return json_string(control_uuid_format(value, text));
}

json_t *schedule_encode(const struct schedule *schedule)
{
	json_t *json = json_object();
	json_t *every = json_object();
	json_t *dues = json_array();

	for (unsigned job = 0; job < CONTROL_SCHEDULE_JOBS; job++)
		put(every, words[job], json_integer((json_int_t)schedule->every_s[job]));
	for (unsigned i = 0; i < schedule->due_count; i++) {
		json_t *due = json_object();

		put(due, "unit", uuid(schedule->dues[i].unit));
		put(due, "job", json_string(words[schedule->dues[i].job]));
		put(due, "due_s", json_integer((json_int_t)schedule->dues[i].due_s));
		ASSERT(json_array_append_new(dues, due) == 0);
	}
	put(json, "pool", uuid(schedule->pool));
	put(json, "every_s", every);
	put(json, "dues", dues);
	return json;
}

static int uuid_decode(const json_t *json, const char *key, uint8_t ret_uuid[16])
{
	const char *text = json_string_value(json_object_get(json, key));

	return text && control_uuid_parse(text, ret_uuid) == 0 ? 0 : -EINVAL;
}

static int number_decode(const json_t *json, const char *key, uint64_t max, uint64_t *ret_number)
{
	const json_t *value = json_object_get(json, key);
	const json_int_t number = json_integer_value(value);

	if (!json_is_integer(value) || number < 0 || (uint64_t)number > max)
		return -EINVAL;
	*ret_number = (uint64_t)number;
	return 0;
}

static int job_decode(const json_t *json, enum control_schedule_job *ret_job)
{
	const char *word = json_string_value(json_object_get(json, "job"));

	for (unsigned job = 0; word && job < CONTROL_SCHEDULE_JOBS; job++) {
		if (strcmp(words[job], word) != 0)
			continue;
		*ret_job = (enum control_schedule_job)job;
		return 0;
	}
	return -EINVAL;
}

static int dues_decode(const json_t *all, struct schedule *schedule)
{
	int r = json_is_array(all) && json_array_size(all) <= SCHEDULE_DUES_MAX ? 0 : -EINVAL;

	for (size_t i = 0; r == 0 && i < json_array_size(all); i++) {
		const json_t *json = json_array_get(all, i);
		struct schedule_due *due = &schedule->dues[schedule->due_count++];

		r = uuid_decode(json, "unit", due->unit);
		if (r == 0)
			r = job_decode(json, &due->job);
		if (r == 0)
			r = number_decode(json, "due_s", UINT32_MAX * UINT64_C(16), &due->due_s);
	}
	return r;
}

int schedule_decode(const json_t *json, struct schedule *ret_schedule)
{
	const json_t *every = json_object_get(json, "every_s");
	struct schedule schedule = {.due_count = 0};
	int r = uuid_decode(json, "pool", schedule.pool);

	for (unsigned job = 0; r == 0 && job < CONTROL_SCHEDULE_JOBS; job++) {
		uint64_t *every_s = &schedule.every_s[job];

		r = number_decode(every, words[job], CONTROL_SCHEDULE_EVERY_MAX_S, every_s);
		if (r == 0 && *every_s != 0 && *every_s < CONTROL_SCHEDULE_EVERY_MIN_S)
			r = -EINVAL;
	}
	if (r == 0)
		r = dues_decode(json_object_get(json, "dues"), &schedule);
	if (r == 0)
		*ret_schedule = schedule;
	return r;
}
