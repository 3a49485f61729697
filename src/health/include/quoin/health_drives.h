/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The drives of the pools, asked for their S.M.A.R.T. values every HEALTH_DRIVES_MS.
 *
 * A drive may never answer, and what asks it cannot be stopped then. So each is asked by a thread
 * of its own, at most HEALTH_READERS_MAX at a time; one that takes longer than
 * HEALTH_DRIVES_LIMIT_MS shows as "collector: timed out", is left alone until it comes back, and
 * counts no more. Nobody waits for these threads: questions are answered from what was read last.
 *
 * NVMe drives are asked by ioctl, others by smartctl. A file has no S.M.A.R.T.: it says what file
 * system it is on and how much is free there.
 */
#ifndef QUOIN_HEALTH_DRIVES_H
#define QUOIN_HEALTH_DRIVES_H

#include <quoin/base.h>
#include <quoin/health_events.h>
#include <quoin/health_smart.h>

#define HEALTH_DRIVES_MS (10 * 60 * 1000)
#define HEALTH_DRIVES_LIMIT_MS (20 * 1000)
#define HEALTH_READERS_MAX 4
#define HEALTH_DRIVES_MAX 1536
#define HEALTH_PATH_MAX 1023

struct health_drives;

struct health_drives_params {
	struct health_events *events; /* changed verdicts are told; borrowed */
	/*
	 * For tests: the directory of recorded answers, of which NAME.json is smartctl's, NAME.nvme
	 * the NVMe pages one after the other (Identify, health, self-test, and entries of the error
	 * log or none), NAME.wwid beside them the kernel's line on the namespace, and NAME.hang a
	 * drive that does not answer while it is there. What is asked of it as a self-test goes to
	 * NAME.test. NULL: drives are asked.
	 */
	const char *recorded;
	const char *smartctl;		/* NULL: the one in PATH */
	unsigned interval_ms, limit_ms; /* 0 = as above */
};

/* -EAGAIN: there is no thread. */
MUST_CHECK int health_drives_new(const struct health_drives_params *params,
				 struct health_drives **ret_drives);

/* Does not wait for drives that do not answer. Before health_events_free(). NULL is allowed. */
void health_drives_free(struct health_drives *drives);

struct health_drive_name {
	char object[HEALTH_OBJECT_MAX + 1]; /* "POOL:PATH" */
	char path[HEALTH_PATH_MAX + 1];
};

/* [any thread] These are watched from now on, and no others; new ones are asked at once. */
void health_drives_set(struct health_drives *drives, const struct health_drive_name *names,
		       unsigned count);

struct health_drive {
	struct health_drive_name name;
	uint64_t asked_ms;	    /* wall clock, of the last answer; 0 = none yet */
	char problem[192];	    /* why there is no newer one; "" = nothing */
	struct smart_report report; /* as of then */
	struct smart_judgement judgement;
	bool test_asked;	/* a self-test is to begin or end, and has not yet */
	char test_problem[192]; /* why the last one did not; "" = it did */
};

unsigned health_drives_count(struct health_drives *drives);

/* [any thread] The index-th; false: there are fewer. */
bool health_drives_get(struct health_drives *drives, unsigned index,
		       struct health_drive *ret_drive);

enum health_drive_test { HEALTH_TEST_SHORT, HEALTH_TEST_LONG, HEALTH_TEST_STOP };

/*
 * [any thread] Asks the drive to begin its own self-test, or to end it, with the next question to
 * it, which is due now. Whether it took it is in its `test_problem` when `test_asked` is gone; the
 * result is in later reports. -ENOENT: it is not watched.
 */
MUST_CHECK int health_drives_test(struct health_drives *drives, const char *path,
				  enum health_drive_test test, struct err *err);

#endif
