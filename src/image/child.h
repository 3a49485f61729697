/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that read images for us. Each is a child in a process group of its own, killed when the
 * thread that started it ends (and so when the daemon does, in whatever way), without privileges
 * to gain, without cores, with no descriptor but its socket. As root it keeps one capability of
 * many: to read what it is told to.
 */
#ifndef IMAGE_CHILD_H
#define IMAGE_CHILD_H

#include <sys/types.h>

#include <quoin/base.h>
#include <quoin/base_err.h>

#define CHILD_WORDS_MAX 1024

struct child {
	pid_t pid;     /* 0 = none */
	int words_fd;  /* its standard error; -1 */
	int output_fd; /* its standard output; -1 = not wanted */
	const char *program;
	char words[CHILD_WORDS_MAX]; /* the last of what it said */
	size_t words_length;
};

struct child_params {
	const char *const *argv; /* ends with NULL; borrowed */
	int listen_fd;		 /* handed over as systemd does, descriptor 3; -1 = none */
	bool output;		 /* wanted */
	const char *package;	 /* that has the program */
};

/* -ENOPKG: the program is not there. */
MUST_CHECK int child_start(struct child *child, const struct child_params *params, struct err *err);

/* Reads what it said, without waiting. True when it has ended: it is stopped then. */
bool child_look(struct child *child, int *ret_status);

/* The last line it said, for a sentence; "" when it said nothing. */
const char *child_reason(struct child *child);

/* Kills and waits for it; nothing when there is none. */
void child_stop(struct child *child);

#endif
