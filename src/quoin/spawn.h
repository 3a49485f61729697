/* SPDX-License-Identifier: Apache-2.0 */
/* quoind as a process: finding it, starting it in the background, ending it. */
#ifndef QUOIN_SPAWN_H
#define QUOIN_SPAWN_H

#include <quoin/base.h>
#include <quoin/base_err.h>

#include "client.h"

/* What a quoind was, or is to be, started as. */
struct spawn {
	char *program;	  /* path, or a name to be looked up */
	char **arguments; /* ends with NULL; [0] is the program's name */
	char *directory;  /* NULL = here */
	char *log_path;	  /* its stderr */
};

void spawn_fini(struct spawn *spawn);

/* quoind beside this tool, else in PATH, with `rest` (may be NULL) and the client's socket. */
void spawn_plan(struct spawn *spawn, const struct client *client, char **rest);

/* As the process `pid` was started. -ESRCH, -EACCES. */
MUST_CHECK int spawn_plan_like(struct spawn *spawn, int pid, const struct client *client,
			       struct err *err);

/* Starts it and waits until it answers. -ECHILD: it ended; `err` has its last words. */
MUST_CHECK int spawn_start(const struct spawn *spawn, const struct client *client, struct err *err);

/* SIGTERM, and waits for the end. -EPERM, -ETIMEDOUT. */
MUST_CHECK int spawn_stop(int pid, struct err *err);

#endif
