/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does what schedules say, on a thread of its own, every SCHEDULER_TICK_MS: it knows pools from the
 * board and drives from the watch over them, asks drives to begin their self-tests, tells what
 * becomes of them, and saves the schedules when they changed. It waits for no loop, verb or drive:
 * trims are verbs, and it leaves them to the thread of the verbs.
 *
 * A file of schedules that is damaged costs the times of the next runs and what was set, with a
 * warning in the log; the daemon starts.
 */
#ifndef CONTROL_SCHEDULER_H
#define CONTROL_SCHEDULER_H

#include <pthread.h>
#include <stdatomic.h>

#include <quoin/health_event.h>

#include "schedule.h"

#define SCHEDULER_TICK_MS 30000
#define SCHEDULES_MAX 64 /* of pools that are here, and of others that were */
#define SCHEDULER_RUNS_MAX 64

/* A self-test that was begun by itself, until its end is known. */
struct scheduler_run {
	char path[CONTROL_PATH_MAX + 1];
	char object[HEALTH_OBJECT_MAX + 1];
	enum control_schedule_job job;
	uint64_t begun_ms; /* wall clock */
	bool told;	   /* that it began */
	bool seen;	   /* the drive said that it runs */
};

struct control_scheduler {
	struct control *control;
	unsigned tick_ms;
	bool started;
	pthread_t thread;
	pthread_mutex_t saving; /* before `lock`: one file at a time */
	pthread_mutex_t lock;	/* of all below */
	pthread_cond_t wake;
	bool stopping;
	struct random random;
	unsigned count;
	struct schedule *schedules[SCHEDULES_MAX]; /* the newest last */
	unsigned run_count;
	struct scheduler_run runs[SCHEDULER_RUNS_MAX];
	unsigned trim_count; /* pools whose trims are due */
	char trims[CONTROL_POOLS_MAX][CONTROL_NAME_MAX + 1];
};

/* Reads the file. `tick_ms` 0 = as above. -EAGAIN: there is no thread. */
MUST_CHECK int control_scheduler_start(struct control_scheduler *scheduler, struct control *control,
				       unsigned tick_ms, struct err *err);

/* [thread of the verbs] Begins the trims that are due. */
void control_scheduler_errand(struct control_scheduler *scheduler);

/* Nothing when it was not started, or is stopped already. */
void control_scheduler_stop(struct control_scheduler *scheduler);

#endif
