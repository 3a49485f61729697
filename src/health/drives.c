/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is asked when; see quoin/health_drives.h.
 *
 *   due         wanted, not asked, its time has come: a reader begins
 *   asked       a reader has it; `late` once the limit is over
 *   idle        its answer is there; due again after the interval
 *
 * A drive that is not wanted any more, and one whose reader comes back after the end, is freed by
 * whoever lets it go last: list, reader, and the whole by the last of them.
 */
#include <quoin/health_drives.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <quoin/base_assert.h>
#include <quoin/base_clock.h>
#include <quoin/base_text.h>

#include "smart_read.h"

#define TICK_MS 250
#define STACK_BYTES (256 * 1024)

struct drive {
	struct health_drives *drives;
	struct health_drive known;
	struct smart_history history;
	bool listed, asked, late;
	enum health_drive_test test; /* when known.test_asked */
	uint64_t due_ms, begun_ms;   /* monotonic */
};

struct health_drives {
	struct smart_source source; /* its texts are owned */
	char *recorded, *smartctl;
	unsigned interval_ms, limit_ms;
	pthread_t thread;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t work;
	struct health_events *events; /* NULL: nobody hears any more */
	bool stopping;
	bool orphaned;	  /* the last reader frees it all */
	unsigned readers; /* threads */
	unsigned late;	  /* of them */
	unsigned count;
	struct drive *drives[HEALTH_DRIVES_MAX];
};

/* The list is empty and the thread has ended. */
static void all_free(struct health_drives *drives)
{
	pthread_cond_destroy(&drives->work);
	pthread_mutex_destroy(&drives->lock);
	free(drives->recorded);
	free(drives->smartctl);
	free(drives);
}

/* --- Answers: with the lock --------------------------------------------------------------------
 */

static void verdict_tell(struct health_drives *drives, const struct drive *drive,
			 enum smart_verdict before)
{
	const struct smart_judgement *j = &drive->known.judgement;
	const char *object = drive->known.name.object;

	if (!drives->events || j->verdict == before)
		return;
	if (j->verdict == SMART_FAILING)
		health_events_add(drives->events, HEALTH_DRIVE_FAILING, object, "%s", j->reason);
	else if (j->verdict == SMART_WARNING)
		health_events_add(drives->events, HEALTH_DRIVE_WARNING, object, "%s", j->reason);
	else if (before >= SMART_WARNING)
		health_events_add(drives->events, HEALTH_DRIVE_WELL, object,
				  "its S.M.A.R.T. values are well again");
}

static void answer_take(struct health_drives *drives, struct drive *drive,
			const struct smart_report *report, const struct err *err)
{
	const enum smart_verdict before = drive->known.judgement.verdict;

	if (drive->late && drives->events)
		health_events_add(drives->events, HEALTH_DRIVE_ANSWERS, drive->known.name.object,
				  "it answers again");
	drive->known.problem[0] = '\0';
	if (err->code < 0) {
		health_text_copy(drive->known.problem, sizeof(drive->known.problem), err->text);
		return;
	}
	drive->known.asked_ms = clock_now_ms(CLOCK_REALTIME);
	drive->known.report = *report;
	smart_judge(report, &drive->history, &drive->known.judgement);
	verdict_tell(drives, drive, before);
}

/* --- Readers --------------------------------------------------------------------------------- */

/* What was asked of it; taken, so that a later one is not lost. */
static void test_run(struct health_drives *drives, struct drive *drive)
{
	struct err err = {.code = 0};
	enum health_drive_test test;
	bool asked;
	int r = 0;

	pthread_mutex_lock(&drives->lock);
	asked = drive->known.test_asked;
	test = drive->test;
	pthread_mutex_unlock(&drives->lock);
	if (!asked)
		return;
	r = smart_test(&drives->source, drive->known.name.path, test, &err);
	pthread_mutex_lock(&drives->lock);
	drive->known.test_asked = false;
	health_text_copy(drive->known.test_problem, sizeof(drive->known.test_problem),
			 r < 0 ? err.text : "");
	pthread_mutex_unlock(&drives->lock);
}

static void *reader_main(void *arg)
{
	struct drive *drive = arg;
	struct health_drives *drives = drive->drives;
	struct smart_report *report = xcalloc(1, sizeof(*report));
	struct err err = {.code = 0};
	bool last;

	/* `source` and the name stay as long as a reader is there. */
	test_run(drives, drive);
	if (smart_read(&drives->source, drive->known.name.path, report, &err) == 0)
		err.code = 0;
	pthread_mutex_lock(&drives->lock);
	drives->readers--;
	drives->late -= drive->late;
	if (drive->listed)
		answer_take(drives, drive, report, &err);
	drive->asked = drive->late = false;
	drive->due_ms =
		drive->known.test_asked ? 0 : clock_now_ms(CLOCK_MONOTONIC) + drives->interval_ms;
	if (!drive->listed)
		free(drive);
	last = drives->orphaned && drives->readers == 0;
	pthread_cond_signal(&drives->work);
	pthread_mutex_unlock(&drives->lock);
	free(report);
	if (last)
		all_free(drives);
	return NULL;
}

static int reader_start(struct drive *drive)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int r;

	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	r = pthread_create(&thread, &attributes, reader_main, drive);
	pthread_attr_destroy(&attributes);
	return -r;
}

static void drive_look(struct health_drives *drives, struct drive *drive, uint64_t now)
{
	if (drive->asked && !drive->late && now - drive->begun_ms >= drives->limit_ms) {
		drive->late = true;
		drives->late++;
		snprintf(drive->known.problem, sizeof(drive->known.problem),
			 "collector: timed out");
		if (drives->events)
			health_events_add(
				drives->events, HEALTH_DRIVE_SILENT, drive->known.name.object,
				"it did not say how it is within %u s", drives->limit_ms / 1000);
	}
	if (drive->asked || now < drive->due_ms ||
	    drives->readers - drives->late >= HEALTH_READERS_MAX)
		return;
	drive->asked = true;
	drive->begun_ms = now;
	drives->readers++;
	if (reader_start(drive) < 0) {
		drive->asked = false;
		drive->due_ms = now + drives->interval_ms;
		drives->readers--;
	}
}

/* When there is something to do again. */
static uint64_t next_ms(const struct health_drives *drives, uint64_t now)
{
	uint64_t next = now + drives->interval_ms;

	for (unsigned i = 0; i < drives->count; i++) {
		const struct drive *drive = drives->drives[i];

		if (drive->asked && !drive->late)
			next = MIN(next, drive->begun_ms + drives->limit_ms);
		else if (!drive->asked)
			next = MIN(next, MAX(drive->due_ms, now + TICK_MS));
	}
	return next;
}

static void *thread_main(void *arg)
{
	struct health_drives *drives = arg;
	struct timespec deadline;

	pthread_mutex_lock(&drives->lock);
	while (!drives->stopping) {
		const uint64_t now = clock_now_ms(CLOCK_MONOTONIC);
		uint64_t next;

		for (unsigned i = 0; i < drives->count; i++)
			drive_look(drives, drives->drives[i], now);
		next = next_ms(drives, now);
		deadline.tv_sec = (time_t)(next / 1000);
		deadline.tv_nsec = (long)(next % 1000) * 1000000;
		if (drives->count == 0)
			pthread_cond_wait(&drives->work, &drives->lock);
		else
			pthread_cond_timedwait(&drives->work, &drives->lock, &deadline);
	}
	pthread_mutex_unlock(&drives->lock);
	return NULL;
}

/* --- Life ------------------------------------------------------------------------------------- */

int health_drives_new(const struct health_drives_params *params, struct health_drives **ret_drives)
{
	struct health_drives *drives = xcalloc(1, sizeof(*drives));
	pthread_condattr_t attributes;
	int r;

	drives->events = params->events;
	drives->interval_ms = params->interval_ms ? params->interval_ms : HEALTH_DRIVES_MS;
	drives->limit_ms = params->limit_ms ? params->limit_ms : HEALTH_DRIVES_LIMIT_MS;
	drives->recorded = params->recorded ? xstrdup(params->recorded) : NULL;
	drives->smartctl = params->smartctl ? xstrdup(params->smartctl) : NULL;
	drives->source = (struct smart_source){.recorded = drives->recorded,
					       .smartctl = drives->smartctl,
					       .timeout_ms = drives->limit_ms};
	pthread_mutex_init(&drives->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&drives->work, &attributes);
	pthread_condattr_destroy(&attributes);
	r = pthread_create(&drives->thread, NULL, thread_main, drives);
	if (r != 0) {
		all_free(drives);
		return -r;
	}
	pthread_setname_np(drives->thread, "drives");
	*ret_drives = drives;
	return 0;
}

/* With the lock. */
static void drive_drop(struct drive *drive)
{
	drive->listed = false;
	if (!drive->asked)
		free(drive);
}

void health_drives_free(struct health_drives *drives)
{
	bool last;

	if (!drives)
		return;
	pthread_mutex_lock(&drives->lock);
	drives->events = NULL;
	drives->stopping = true;
	pthread_cond_signal(&drives->work);
	pthread_mutex_unlock(&drives->lock);
	pthread_join(drives->thread, NULL);
	pthread_mutex_lock(&drives->lock);
	while (drives->count > 0)
		drive_drop(drives->drives[--drives->count]);
	drives->orphaned = true;
	last = drives->readers == 0;
	pthread_mutex_unlock(&drives->lock);
	if (last)
		all_free(drives);
}

/* --- The set ---------------------------------------------------------------------------------- */

static struct drive *drive_find(const struct health_drives *drives, const char *path)
{
	for (unsigned i = 0; i < drives->count; i++) {
		if (strcmp(drives->drives[i]->known.name.path, path) == 0)
			return drives->drives[i];
	}
	return NULL;
}

static bool is_wanted(const struct health_drive_name *names, unsigned count,
		      const struct drive *drive)
{
	for (unsigned i = 0; i < count; i++) {
		if (strcmp(names[i].path, drive->known.name.path) == 0 &&
		    strcmp(names[i].object, drive->known.name.object) == 0)
			return true;
	}
	return false;
}

static void drive_add(struct health_drives *drives, const struct health_drive_name *name)
{
	struct drive *drive;

	if (drive_find(drives, name->path) || drives->count == HEALTH_DRIVES_MAX)
		return;
	drive = xcalloc(1, sizeof(*drive));
	drive->drives = drives;
	drive->listed = true;
	drive->known.name = *name;
	smart_report_init(&drive->known.report);
	drives->drives[drives->count++] = drive;
}

void health_drives_set(struct health_drives *drives, const struct health_drive_name *names,
		       unsigned count)
{
	unsigned kept = 0;

	pthread_mutex_lock(&drives->lock);
	for (unsigned i = 0; i < drives->count; i++) {
		if (is_wanted(names, count, drives->drives[i]))
			drives->drives[kept++] = drives->drives[i];
		else
			drive_drop(drives->drives[i]);
	}
	drives->count = kept;
	for (unsigned i = 0; i < count; i++)
		drive_add(drives, &names[i]);
	pthread_cond_signal(&drives->work);
	pthread_mutex_unlock(&drives->lock);
}

unsigned health_drives_count(struct health_drives *drives)
{
	unsigned count;

	pthread_mutex_lock(&drives->lock);
	count = drives->count;
	pthread_mutex_unlock(&drives->lock);
	return count;
}

bool health_drives_get(struct health_drives *drives, unsigned index, struct health_drive *ret_drive)
{
	bool found;

	pthread_mutex_lock(&drives->lock);
	found = index < drives->count;
	if (found)
		*ret_drive = drives->drives[index]->known;
	pthread_mutex_unlock(&drives->lock);
	return found;
}

int health_drives_test(struct health_drives *drives, const char *path, enum health_drive_test test,
		       struct err *err)
{
	struct drive *drive;

	pthread_mutex_lock(&drives->lock);
	drive = drive_find(drives, path);
	if (drive) {
		drive->test = test;
		drive->known.test_asked = true;
		drive->due_ms = 0;
	}
	pthread_cond_signal(&drives->work);
	pthread_mutex_unlock(&drives->lock);
	return drive ? 0 : err_set(err, -ENOENT, "%.200s is no drive of a pool here", path);
}
