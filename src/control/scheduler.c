/* SPDX-License-Identifier: Apache-2.0 */
/* The thread of schedules; see scheduler.h. */
#include "scheduler.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_clock.h>
#include <quoin/base_log.h>
#include <quoin/base_text.h>
#include <quoin/control_health.h>
#include <quoin/health_drives.h>

#include "private.h"

#define SETTLE_MS 60000 /* so long a drive may take until it says that a test runs */
#define TESTS ((1U << CONTROL_SCHEDULE_SHORT_TEST) | (1U << CONTROL_SCHEDULE_LONG_TEST))

/* What is known of a pool's drives now: large, and of one tick. */
struct look {
	struct control_pool_health health;
	struct health_drive drive;
	struct schedule_unit units[CONTROL_DRIVES_MAX + 1]; /* the last is the pool */
	bool able[CONTROL_DRIVES_MAX]; /* it has self-tests, as far as is known */
};

/* --- The list: with the lock ------------------------------------------------------------------
 */

static struct schedule *schedule_find(const struct control_scheduler *s, const uint8_t pool[16])
{
	for (unsigned i = 0; i < s->count; i++) {
		if (memcmp(s->schedules[i]->pool, pool, 16) == 0)
			return s->schedules[i];
	}
	return NULL;
}

/* The one that was not used for longest has to go when there are too many. */
static struct schedule *schedule_get(struct control_scheduler *s, const uint8_t pool[16])
{
	struct schedule *schedule = schedule_find(s, pool);

	if (schedule)
		return schedule;
	if (s->count == SCHEDULES_MAX) {
		free(s->schedules[0]);
		memmove(&s->schedules[0], &s->schedules[1], --s->count * sizeof(*s->schedules));
	}
	schedule = xcalloc(1, sizeof(*schedule));
	schedule_init(schedule, pool);
	s->schedules[s->count++] = schedule;
	return schedule;
}

/* --- The file ---------------------------------------------------------------------------------
 */

static void load(struct control_scheduler *s)
{
	json_t *items = NULL;
	struct err err;

	if (control_state_load(&s->control->state, CONTROL_STATE_SCHEDULES, &items, &err) < 0) {
		log_warning("schedules begin anew: %s", err.text);
		return;
	}
	for (size_t i = 0; i < json_array_size(items) && s->count < SCHEDULES_MAX; i++) {
		struct schedule *schedule = xcalloc(1, sizeof(*schedule));

		if (schedule_decode(json_array_get(items, i), schedule) == 0 &&
		    !schedule_find(s, schedule->pool)) {
			s->schedules[s->count++] = schedule;
			continue;
		}
		log_warning("%s/schedules.json: schedule %zu is none, and begins anew",
			    s->control->state.directory, i + 1);
		free(schedule);
	}
	json_decref(items);
}

/* NULL: it is saved as it is. With the lock. */
static json_t *dirty_encode(struct control_scheduler *s)
{
	json_t *items = NULL;
	bool dirty = false;

	for (unsigned i = 0; i < s->count; i++)
		dirty = dirty || s->schedules[i]->dirty;
	if (!dirty)
		return NULL;
	items = json_array();
	for (unsigned i = 0; i < s->count; i++) {
		s->schedules[i]->dirty = false;
		ASSERT(json_array_append_new(items, schedule_encode(s->schedules[i])) == 0);
	}
	return items;
}

/* Nobody who asks waits for the disk. */
static int save(struct control_scheduler *s, struct err *err)
{
	json_t *items;
	int r = 0;

	pthread_mutex_lock(&s->saving);
	pthread_mutex_lock(&s->lock);
	items = dirty_encode(s);
	pthread_mutex_unlock(&s->lock);
	if (items)
		r = control_state_save(&s->control->state, CONTROL_STATE_SCHEDULES, items, err);
	pthread_mutex_lock(&s->lock);
	/* The next tick tries again. */
	for (unsigned i = 0; r < 0 && i < s->count; i++)
		s->schedules[i]->dirty = true;
	pthread_mutex_unlock(&s->lock);
	pthread_mutex_unlock(&s->saving);
	json_decref(items);
	return r;
}

/* --- What there is ----------------------------------------------------------------------------
 */

static void drive_use(struct look *look, const struct health_drive *drive)
{
	const struct control_pool_info *info = &look->health.info;

	for (unsigned i = 0; i < info->drive_count; i++) {
		struct schedule_unit *unit = &look->units[i];

		if (strcmp(info->drives[i].path, drive->name.path) != 0)
			continue;
		unit->busy = drive->test_asked || drive->report.self_test == SMART_TEST_RUNNING;
		look->able[i] = drive->asked_ms > 0 && drive->report.self_tests != 0;
		/* One that does not answer is asked for nothing more. */
		if (look->able[i] && drive->problem[0] == '\0' &&
		    strcmp(info->drives[i].state, "online") == 0)
			unit->jobs = TESTS;
	}
}

/* The pool as a whole. */
static void pool_use(struct look *look)
{
	const struct control_pool_info *info = &look->health.info;
	struct schedule_unit *unit = &look->units[info->drive_count];

	memcpy(unit->guid, info->guid, sizeof(unit->guid));
	unit->group = SCHEDULE_GROUP_POOL;
	unit->jobs = info->read_only ? 0 : 1U << CONTROL_SCHEDULE_TRIM;
	unit->busy = info->trim.state && strcmp(info->trim.state, "running") == 0;
}

/* The index-th pool; false: there are fewer. */
static bool pool_look(struct control *control, unsigned index, struct look *look)
{
	const struct control_pool_info *info = &look->health.info;

	memset(look, 0, sizeof(*look));
	if (!control_health_pool(control, index, &look->health))
		return false;
	for (unsigned i = 0; i < info->drive_count; i++) {
		memcpy(look->units[i].guid, info->drives[i].guid, sizeof(look->units[i].guid));
		look->units[i].group = info->drives[i].group;
	}
	for (unsigned i = 0; health_drives_get(control->drives, i, &look->drive); i++)
		drive_use(look, &look->drive);
	pool_use(look);
	return true;
}

static bool is_imported(const struct look *look)
{
	return look->health.age_ms != UINT64_MAX;
}

/* --- Trims ------------------------------------------------------------------------------------ */

static void trim_ask(struct control_scheduler *s, const char *pool)
{
	for (unsigned i = 0; i < s->trim_count; i++) {
		if (strcmp(s->trims[i], pool) == 0)
			return;
	}
	if (s->trim_count == ARRAY_SIZE(s->trims))
		return;
	snprintf(s->trims[s->trim_count++], sizeof(s->trims[0]), "%s", pool);
	control_errand_ask(&s->control->errand);
}

void control_scheduler_errand(struct control_scheduler *s)
{
	char names[CONTROL_POOLS_MAX][CONTROL_NAME_MAX + 1];
	unsigned count;

	if (!s->started)
		return;
	pthread_mutex_lock(&s->lock);
	count = s->trim_count;
	memcpy(names, s->trims, count * sizeof(names[0]));
	s->trim_count = 0;
	pthread_mutex_unlock(&s->lock);
	for (unsigned i = 0; i < count; i++) {
		struct err err;

		if (control_pool_trim(s->control, names[i], false, &err) < 0)
			log_warning("the scheduled trim was not begun: %s", err.text);
	}
}

/* --- Self-tests -------------------------------------------------------------------------------
 */

static void test_begin(struct control_scheduler *s, const struct look *look,
		       const struct schedule_run *what)
{
	const struct control_drive_info *drive = &look->health.info.drives[what->unit];
	struct scheduler_run *run = &s->runs[s->run_count];

	if (health_drives_test(s->control->drives, drive->path,
			       what->job == CONTROL_SCHEDULE_LONG_TEST ? HEALTH_TEST_LONG
								       : HEALTH_TEST_SHORT,
			       NULL) < 0)
		return;
	*run = (struct scheduler_run){.job = what->job, .begun_ms = clock_now_ms(CLOCK_REALTIME)};
	snprintf(run->path, sizeof(run->path), "%s", drive->path);
	control_drive_object(look->health.info.name, drive->path, run->object);
	s->run_count++;
}

static bool is_running(const struct control_scheduler *s, const char *path)
{
	for (unsigned i = 0; i < s->run_count; i++) {
		if (strcmp(s->runs[i].path, path) == 0)
			return true;
	}
	return false;
}

static void pool_tick(struct control_scheduler *s, struct look *look)
{
	struct schedule_world world = {
		.units = look->units,
		.count = look->health.info.drive_count + 1,
		.now_s = clock_now_ms(CLOCK_REALTIME) / 1000,
		.random = &s->random,
	};
	struct schedule_run what;
	struct schedule *schedule;

	pthread_mutex_lock(&s->lock);
	schedule = schedule_get(s, look->health.info.guid);
	/* Also where the drive has not said yet that it runs. */
	for (unsigned i = 0; i < look->health.info.drive_count; i++)
		look->units[i].busy |= is_running(s, look->health.info.drives[i].path);
	while (s->run_count < SCHEDULER_RUNS_MAX && schedule_pick(schedule, &world, &what)) {
		if (what.job == CONTROL_SCHEDULE_TRIM)
			trim_ask(s, look->health.info.name);
		else
			test_begin(s, look, &what);
	}
	pthread_mutex_unlock(&s->lock);
}

static const char *test_name(const struct scheduler_run *run)
{
	return run->job == CONTROL_SCHEDULE_LONG_TEST ? "the long self-test"
						      : "the short self-test";
}

static void end_tell(struct control_scheduler *s, const struct scheduler_run *run,
		     const struct smart_report *report)
{
	const bool failed = report->self_test == SMART_TEST_FAILED;

	health_events_add(s->control->events, failed ? HEALTH_TEST_FAILED : HEALTH_TEST_ENDED,
			  run->object, "%s has ended: %s", test_name(run),
			  smart_self_test_word(report->self_test));
}

/* False: nothing more is to be told of it. */
static bool run_look(struct control_scheduler *s, struct scheduler_run *run,
		     const struct health_drive *drive)
{
	if (drive->test_asked)
		return true;
	if (!run->told && drive->test_problem[0] != '\0') {
		health_events_add(s->control->events, HEALTH_TEST_REFUSED, run->object,
				  "%s was not begun: %s", test_name(run), drive->test_problem);
		return false;
	}
	if (!run->told)
		health_events_add(s->control->events, HEALTH_TEST_STARTED, run->object,
				  "%s has begun, as scheduled", test_name(run));
	run->told = true;
	if (drive->report.self_test == SMART_TEST_RUNNING) {
		run->seen = true;
		return true;
	}
	/* What it says may still be of the test before. */
	if (!run->seen && drive->asked_ms < run->begun_ms + SETTLE_MS)
		return true;
	end_tell(s, run, &drive->report);
	return false;
}

static bool drive_find(struct control_scheduler *s, const char *path, struct health_drive *drive)
{
	for (unsigned i = 0; health_drives_get(s->control->drives, i, drive); i++) {
		if (strcmp(drive->name.path, path) == 0)
			return true;
	}
	return false;
}

static void runs_tick(struct control_scheduler *s, struct health_drive *drive)
{
	unsigned kept = 0;

	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < s->run_count; i++) {
		/* One whose drive went goes with it. */
		if (drive_find(s, s->runs[i].path, drive) && run_look(s, &s->runs[i], drive))
			s->runs[kept++] = s->runs[i];
	}
	s->run_count = kept;
	pthread_mutex_unlock(&s->lock);
}

/* --- The thread -------------------------------------------------------------------------------
 */

static void tick(struct control_scheduler *s, struct look *look)
{
	struct err err;

	for (unsigned i = 0; pool_look(s->control, i, look); i++) {
		if (is_imported(look))
			pool_tick(s, look);
	}
	runs_tick(s, &look->drive);
	if (save(s, &err) < 0)
		log_debug("%s", err.text);
}

static void *thread_main(void *arg)
{
	struct control_scheduler *s = arg;
	CLEANUP_FREE struct look *look = xcalloc(1, sizeof(*look));
	bool stopping = false;

	while (!stopping) {
		struct timespec deadline;
		uint64_t until_ns;

		tick(s, look);
		until_ns = clock_now_ns(CLOCK_MONOTONIC) + s->tick_ms * NS_PER_MS;
		deadline = (struct timespec){.tv_sec = (time_t)(until_ns / NS_PER_S),
					     .tv_nsec = (long)(until_ns % NS_PER_S)};
		pthread_mutex_lock(&s->lock);
		if (!s->stopping)
			pthread_cond_timedwait(&s->wake, &s->lock, &deadline);
		stopping = s->stopping;
		pthread_mutex_unlock(&s->lock);
	}
	return NULL;
}

int control_scheduler_start(struct control_scheduler *s, struct control *control, unsigned tick_ms,
			    struct err *err)
{
	pthread_condattr_t attributes;
	uint64_t seed;
	int r;

	memset(s, 0, sizeof(*s));
	s->control = control;
	s->tick_ms = tick_ms ? tick_ms : SCHEDULER_TICK_MS;
	random_system_fill(&seed, sizeof(seed));
	random_init(&s->random, seed);
	pthread_mutex_init(&s->saving, NULL);
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&s->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	load(s);
	s->started = true;
	r = pthread_create(&s->thread, NULL, thread_main, s);
	if (r != 0) {
		s->stopping = true;
		control_scheduler_stop(s);
		return err_set(err, -r, "cannot start the thread of schedules: %s", strerror(r));
	}
	pthread_setname_np(s->thread, "schedules");
	return 0;
}

void control_scheduler_stop(struct control_scheduler *s)
{
	bool runs;

	if (!s->started)
		return;
	pthread_mutex_lock(&s->lock);
	runs = !s->stopping;
	s->stopping = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	if (runs)
		pthread_join(s->thread, NULL);
	while (s->count > 0)
		free(s->schedules[--s->count]);
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->lock);
	pthread_mutex_destroy(&s->saving);
	s->started = false;
}

/* --- The door ---------------------------------------------------------------------------------
 */

static void drives_tell(const struct control_scheduler *s, const struct schedule *schedule,
			const struct look *look, struct control_schedule_info *info)
{
	info->drive_count = look->health.info.drive_count;
	for (unsigned i = 0; i < info->drive_count; i++) {
		const struct control_drive_info *from = &look->health.info.drives[i];
		struct control_schedule_drive *to = &info->drives[i];

		memcpy(to->path, from->path, sizeof(to->path));
		to->able = look->able[i];
		to->running = is_running(s, from->path);
		for (unsigned job = 0; job < CONTROL_SCHEDULE_TESTS; job++)
			to->next_s[job] = schedule_next_s(schedule, from->guid,
							  (enum control_schedule_job)job);
	}
}

bool control_schedule_get(struct control *control, unsigned index,
			  struct control_schedule_info *ret_info)
{
	struct control_scheduler *s = &control->scheduler;
	CLEANUP_FREE struct look *look = xcalloc(1, sizeof(*look));
	const struct schedule *schedule;

	memset(ret_info, 0, sizeof(*ret_info));
	/* Those that are not imported do not count. */
	for (unsigned i = 0;; i++) {
		if (!pool_look(control, i, look))
			return false;
		if (is_imported(look) && index-- == 0)
			break;
	}
	snprintf(ret_info->pool, sizeof(ret_info->pool), "%s", look->health.info.name);
	pthread_mutex_lock(&s->lock);
	schedule = schedule_get(s, look->health.info.guid);
	memcpy(ret_info->every_s, schedule->every_s, sizeof(ret_info->every_s));
	ret_info->next_trim_s = schedule_next_s(schedule, schedule->pool, CONTROL_SCHEDULE_TRIM);
	drives_tell(s, schedule, look, ret_info);
	pthread_mutex_unlock(&s->lock);
	return true;
}

static int change_check(const struct control_schedule_change *change, struct err *err)
{
	for (unsigned job = 0; job < CONTROL_SCHEDULE_JOBS; job++) {
		const uint64_t every_s = change->every_s[job];
		const char *word = control_schedule_word((enum control_schedule_job)job);

		if (!change->has[job] || every_s == 0)
			continue;
		if (!control_schedule_available((enum control_schedule_job)job))
			return err_set(err, -ENOTSUP, "%s by schedule is not done by this version",
				       word);
		if (every_s < CONTROL_SCHEDULE_EVERY_MIN_S ||
		    every_s > CONTROL_SCHEDULE_EVERY_MAX_S)
			return err_set(err, -EINVAL, "%s can be every hour to every 366 days",
				       word);
	}
	return 0;
}

int control_schedule_set(struct control *control, const char *name,
			 const struct control_schedule_change *change, struct err *err)
{
	struct control_scheduler *s = &control->scheduler;
	struct control_pool *pool;
	struct schedule *schedule;
	int r = control_pools_get(&control->pools, name, &pool, err);

	if (r == 0)
		r = change_check(change, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&s->lock);
	schedule = schedule_get(s, pool->guid);
	for (unsigned job = 0; job < CONTROL_SCHEDULE_JOBS; job++) {
		if (change->has[job])
			schedule_set(schedule, (enum control_schedule_job)job,
				     change->every_s[job]);
	}
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	return save(s, err);
}
