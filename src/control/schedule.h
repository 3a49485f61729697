/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When something is done to a pool by itself: plain data and decisions, without a clock or a thread
 * of its own (scheduler.h has those).
 *
 * A unit is what a job is done to: a drive for self-tests, the whole pool for trim and scrub. Each
 * has, for each job that is on, the wall-clock time of its next run; these are kept over restarts,
 * so that a run that was missed is due, once, whatever number of them were missed.
 *
 *   new      due within the first quarter of the interval, at random: pools that were made
 *            together do not do everything together
 *   due      begun when no other unit of its group is busy, the one that is most overdue first
 *   begun    due again after the interval, give or take a sixteenth
 *
 * A time that no clock of ours can have given (further ahead than two intervals) is drawn anew.
 */
#ifndef CONTROL_SCHEDULE_H
#define CONTROL_SCHEDULE_H

#include <jansson.h>

#include <quoin/base_random.h>
#include <quoin/control_schedule.h>

#define SCHEDULE_DUES_MAX (2 * CONTROL_DRIVES_MAX + 2)
#define SCHEDULE_GROUP_POOL UINT32_MAX /* of the unit that is the pool */

struct schedule_due {
	uint8_t unit[16];
	enum control_schedule_job job;
	uint64_t due_s;
};

struct schedule {
	uint8_t pool[16];
	uint64_t every_s[CONTROL_SCHEDULE_JOBS]; /* 0 = off */
	unsigned due_count;
	struct schedule_due dues[SCHEDULE_DUES_MAX];
	bool dirty; /* it is not saved as it is */
};

struct schedule_unit {
	uint8_t guid[16];
	unsigned group; /* not two of them at once */
	unsigned jobs;	/* that it can do, bit per job */
	bool busy;
};

/* As it is for a pool of which nobody said anything. */
void schedule_init(struct schedule *schedule, const uint8_t pool[16]);

/* Its dues are drawn anew. */
void schedule_set(struct schedule *schedule, enum control_schedule_job job, uint64_t every_s);

struct schedule_world {
	struct schedule_unit *units; /* all that there are, also those that are away */
	unsigned count;
	uint64_t now_s;
	struct random *random;
};

struct schedule_run {
	unsigned unit; /* of the world's */
	enum control_schedule_job job;
};

/* What is to begin now; its unit is busy then. False: nothing. */
MUST_CHECK bool schedule_pick(struct schedule *schedule, const struct schedule_world *world,
			      struct schedule_run *ret_run);

/* Its next run; 0 = none is planned. */
uint64_t schedule_next_s(const struct schedule *schedule, const uint8_t unit[16],
			 enum control_schedule_job job);

/* A new reference. */
json_t *schedule_encode(const struct schedule *schedule);

/* From a file: -EINVAL, and *ret_schedule as it was. */
MUST_CHECK int schedule_decode(const json_t *json, struct schedule *ret_schedule);

#endif
