/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a program and waits for its end, with a time limit. It gets nothing of ours: signals are as
 * at the start of a process, files are closed, and it leads a process group, so that what it
 * started ends with it. Blocking; a program that the kernel keeps from ending is left behind.
 */
#ifndef HEALTH_PROCESS_H
#define HEALTH_PROCESS_H

#include <stdatomic.h>

#include <quoin/base.h>

struct process {
	/* [0] is its path, or a name that is looked up in PATH; ends with NULL. */
	const char *const *argv;
	int stdin_fd, stdout_fd; /* -1 = /dev/null */
	unsigned timeout_ms;
	const atomic_bool *stop; /* ends it within 100 ms; may be NULL */
};

/* 0 and *ret_status as waitpid() has it. -ETIMEDOUT, -ECANCELED, or why it cannot be run. */
MUST_CHECK int process_run(const struct process *process, int *ret_status);

#endif
