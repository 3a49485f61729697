/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that are run for us. Each leads a session of its own, which is killed as a whole: when
 * it is stopped, and when the thread that started it ends (so when the daemon does, in whatever
 * way). It gets nothing of ours but what is named here: no other descriptor, no signal that is held
 * back or ignored, no core dump, no privilege to gain. A sandbox takes more from it.
 *
 * Calls about one child come from one thread, the one that started it. A child that the kernel
 * keeps from ending, because it waits for a drive, is left behind after CHILD_KILL_MS.
 */
#ifndef QUOIN_BASE_CHILD_H
#define QUOIN_BASE_CHILD_H

#include <stdatomic.h>
#include <sys/types.h>

#include <quoin/base.h>
#include <quoin/base_err.h>

#define CHILD_WORDS_MAX 1024
#define CHILD_KILL_MS 2000

struct child {
	pid_t pid;     /* 0 = none */
	int pid_fd;    /* readable when it has ended; -1 */
	int words_fd;  /* its standard error; -1 = not wanted */
	int output_fd; /* its standard output; -1 = not wanted */
	const char *program;
	char words[CHILD_WORDS_MAX]; /* the last of what it said */
	size_t words_length;
};

/* Which sockets a child may make and connect; those that it is given it may use. */
enum child_sockets { CHILD_SOCKETS_NONE, CHILD_SOCKETS_LOCAL, CHILD_SOCKETS_INTERNET };

/* What a child is left with. It reads files, writes none, and signals nobody but itself. */
struct child_sandbox {
	enum child_sockets sockets;
	bool opens_null;       /* for writing, and nothing else; where there is Landlock */
	bool needs_null;       /* the same, and where there is none, any file for writing alone */
	const char *scratch;   /* a directory, its TMPDIR, where it makes files, writes and removes
				* them; NULL = none. See child_sandbox_scratch(). */
	uint64_t capabilities; /* a bit each; it keeps those that we have */
	uint64_t memory_bytes; /* of address space; 0 = no limit */
	unsigned cpu_s;	       /* processor time; 0 = no limit */
};

struct child_params {
	/* [0] is its path, or a name that is looked up in PATH; ends with NULL. Borrowed. */
	const char *const *argv;
	const char *package;	 /* that has the program; may be NULL */
	int stdin_fd, stdout_fd; /* -1 = /dev/null */
	int listen_fd;		 /* handed over as systemd does, descriptor 3; -1 = none */
	bool output;		 /* its standard output is wanted; stdout_fd is -1 then */
	bool words;		 /* its standard error is wanted, in English */
	const struct child_sandbox *sandbox; /* NULL: it may do what we may */
	/* Of child_run() alone. */
	unsigned timeout_ms;
	const atomic_bool *stop; /* ends it within 100 ms; may be NULL */
};

/* What the kernel does not offer, or we may not use, of what makes sandboxes; NULL = nothing. */
const char *child_sandbox_missing(void);

/* Who has a scratch directory can write there, and there alone. */
bool child_sandbox_scratch(void);

/* -ENOPKG: the program of a package is not there. */
MUST_CHECK int child_start(struct child *child, const struct child_params *params, struct err *err);

/* Reads what it said, without waiting. True when it has ended: it is stopped then. */
bool child_look(struct child *child, int *ret_status);

/* The last line it said, for a sentence; "" when it said nothing. */
const char *child_reason(struct child *child);

/* Kills it with all of its session and waits for it; nothing when there is none. */
void child_stop(struct child *child);

/*
 * Runs a program and waits for its end: 0 and *ret_status as waitpid() has it. -ETIMEDOUT,
 * -ECANCELED, or why it cannot be run.
 */
MUST_CHECK int child_run(const struct child_params *params, int *ret_status, struct err *err);

#endif
