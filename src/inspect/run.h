/* SPDX-License-Identifier: Apache-2.0 */
/* The drives and the loop that a command runs on. */
#ifndef INSPECT_RUN_H
#define INSPECT_RUN_H

#include <quoin/inspect.h>
#include <quoin/pool_inspect.h>

struct run {
	const struct inspect_job *job;
	struct pool_inspect_params
		params; /* drives and loop are filled; the rest is the caller's */
	struct err err;
	/* In a fiber, with the drives open. Its result is run_do()'s. */
	int (*main)(struct run *run);
	/* run_do()'s own: */
	struct pool_drive_param drives[INSPECT_DRIVES_MAX];
	int result;
	bool ended;
	bool shows; /* progress is on the screen */
	uint64_t shown_ns;
};

/* 0 or negative errno, with the sentence in run->err. */
MUST_CHECK int run_do(struct run *run);

/* Takes the progress off the screen; before anything is printed. */
void run_quiet(struct run *run);

/* "quoin: SENTENCE" of run->err on stderr; returns 1. */
int run_failed(const struct run *run);

#endif
