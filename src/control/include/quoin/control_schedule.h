/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done to pools by itself, and when: drives' self-tests, and trims. Scrub has its place,
 * and is not done by this version.
 */
#ifndef QUOIN_CONTROL_SCHEDULE_H
#define QUOIN_CONTROL_SCHEDULE_H

#include <quoin/control_pool_types.h>

enum control_schedule_job {
	CONTROL_SCHEDULE_SHORT_TEST,
	CONTROL_SCHEDULE_LONG_TEST,
	CONTROL_SCHEDULE_TRIM,
	CONTROL_SCHEDULE_SCRUB,
};
#define CONTROL_SCHEDULE_JOBS 4
#define CONTROL_SCHEDULE_TESTS 2 /* the first of them */

#define CONTROL_SCHEDULE_EVERY_MIN_S 3600
#define CONTROL_SCHEDULE_EVERY_MAX_S (366 * 86400)
#define CONTROL_SCHEDULE_SHORT_TEST_S (7 * 86400) /* unless somebody says otherwise */
#define CONTROL_SCHEDULE_LONG_TEST_S 0		  /* the same: it takes hours */

struct control;

/* "short-test", "long-test", "trim", "scrub". */
const char *control_schedule_word(enum control_schedule_job job);

/* This version can do it. */
bool control_schedule_available(enum control_schedule_job job);

struct control_schedule_drive {
	char path[CONTROL_PATH_MAX + 1];
	uint64_t next_s[CONTROL_SCHEDULE_TESTS]; /* wall clock; 0 = none is planned */
	bool able;				 /* it has self-tests, as far as is known */
	bool running;				 /* one that was begun by itself */
};

struct control_schedule_info {
	char pool[CONTROL_NAME_MAX + 1];
	uint64_t every_s[CONTROL_SCHEDULE_JOBS]; /* 0 = off */
	uint64_t next_trim_s;			 /* wall clock; 0 = none is planned */
	unsigned drive_count;
	struct control_schedule_drive drives[CONTROL_DRIVES_MAX];
};

/* [any thread] Of the index-th pool that is imported; false: there are fewer. */
bool control_schedule_get(struct control *control, unsigned index,
			  struct control_schedule_info *ret_info);

/* What is given of every_s is set, for a pool that is imported. As verbs: one thread at a time. */
struct control_schedule_change {
	bool has[CONTROL_SCHEDULE_JOBS];
	uint64_t every_s[CONTROL_SCHEDULE_JOBS];
};

/* -ENOENT, -ENODEV, -EINVAL, -ENOTSUP (what is not available cannot be on), or it is not saved. */
MUST_CHECK int control_schedule_set(struct control *control, const char *pool,
				    const struct control_schedule_change *change, struct err *err);

#endif
