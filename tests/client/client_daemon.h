/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A quoind of one's own: started in a directory of its own, asked for targets over its API,
 * measured through /proc, killed when the test likes. Errors: negative errno.
 */
#ifndef CLIENT_DAEMON_H
#define CLIENT_DAEMON_H

#include <sys/types.h>

#include <quoin/base.h>

#define DAEMON_VOLUMES_MAX 16
#define DAEMON_PATH_MAX 108

struct daemon {
	pid_t pid; /* 0 = not running */
	char program[512];
	char dir[DAEMON_PATH_MAX]; /* state, sockets and the log live here */
	char api[DAEMON_PATH_MAX];
	char cpus[32];	 /* "" = not pinned */
	char memory[16]; /* as in --memory; "" = its default */
	unsigned workers;
};

/*
 * Prepares `daemon`; `program` NULL: $QUOIN_QUOIND, or the one beside the running program or in
 * its build tree. Makes a fresh directory, in $QUOIN_TEST_DIR or /tmp. -ENOENT (no quoind found).
 */
MUST_CHECK int daemon_init(struct daemon *daemon, const char *program);

/* Kills what runs and removes the directory. */
void daemon_fini(struct daemon *daemon);

/* Removes a directory and what is in it, a few levels deep. */
void daemon_tree_remove(const char *path);

/* Returns when the API answers. -ECHILD (it died), -ETIMEDOUT. */
MUST_CHECK int daemon_start(struct daemon *daemon);

/*
 * Starts another program in quoind's place, its words in the directory's log; argv[0] is looked
 * for in the PATH. The functions above and below but those of the API are good for it, too.
 */
MUST_CHECK int daemon_spawn(struct daemon *daemon, const char *const argv[]);

/* Sends `signal` and waits for the end. Returns the wait status; -ETIMEDOUT after 20 s. */
int daemon_stop(struct daemon *daemon, int signal);

/* False when it died by itself. */
bool daemon_alive(struct daemon *daemon);

/* One API request. Returns the HTTP status; the body goes to `answer`, NUL terminated. */
#define DAEMON_ANSWER_MAX 16384
MUST_CHECK int daemon_call(struct daemon *daemon, const char *request, const char *body,
			   char answer[DAEMON_ANSWER_MAX]);

struct daemon_target {
	const char *name;
	const char *volumes[DAEMON_VOLUMES_MAX]; /* NULL ends */
	unsigned block_size;			 /* 0 = the volume's own */
	unsigned queues;			 /* 0 = default */
	unsigned poll_us;			 /* 0 = default */
	bool mapped;				 /* doorbells */
	bool read_only;
};

MUST_CHECK int daemon_target_create(struct daemon *daemon, const struct daemon_target *target);
MUST_CHECK int daemon_target_destroy(struct daemon *daemon, const char *name);

/* Where the target listens. Returns `path`. */
const char *daemon_target_path(const struct daemon *daemon, const char *name,
			       char path[DAEMON_PATH_MAX]);

/* A number of the target's description, 0 when it is not there: "wakeups", "errors" ... */
uint64_t daemon_target_number(struct daemon *daemon, const char *name, const char *key);

/* --- Measured from outside ------------------------------------------------------------------ */

uint64_t daemon_cpu_ns(const struct daemon *daemon);	   /* all threads, user and system */
uint64_t daemon_rss_anon_kib(const struct daemon *daemon); /* memory of its own */
uint64_t daemon_switches(const struct daemon *daemon);	   /* voluntary context switches */
unsigned daemon_fd_count(const struct daemon *daemon);

#endif
