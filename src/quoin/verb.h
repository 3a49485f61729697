/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line as a table: nouns, verbs, their arguments and options. Parsing, help, the
 * completion's test and the manual's test all read this table.
 */
#ifndef QUOIN_VERB_H
#define QUOIN_VERB_H

#include <quoin/base.h>
#include <quoin/base_err.h>

#include "client.h"

#define EXIT_DONE 0
#define EXIT_REFUSED 1
#define EXIT_USAGE 2

#define OPTIONS_MAX 24
#define ARGUMENTS_MAX 80
#define GIVEN_MAX 64 /* options in one command line */

struct verb_option {
	const char *name;  /* without the dashes */
	const char *value; /* what help calls it; NULL = takes none */
	const char *help;
};

struct invocation;

struct verb {
	const char *noun;
	const char *name; /* NULL: the noun stands alone */
	const char *arguments;
	const char *help;
	int arguments_min;
	int arguments_max;
	const struct verb_option *options; /* ends with a NULL name; NULL = none of its own */
	int (*run)(struct invocation *in); /* EXIT_... */
};

/* A parsed command line. The strings are argv's. */
struct invocation {
	const struct verb *verb;
	struct client client;
	bool json;
	int argument_count;
	const char *arguments[ARGUMENTS_MAX];
	const char *values[OPTIONS_MAX]; /* by index in verb->options; "" for a given flag */
	int given_count;
	struct {
		int option;
		const char *value;
	} given[GIVEN_MAX]; /* the same in the order they came: some may be given several times */
	char **rest;	    /* what follows "--"; ends with NULL */
};

/* All verbs; ends with a NULL noun. */
extern const struct verb verb_table[];

/* Options that every verb takes. */
extern const struct verb_option verb_common_options[];

/* The value of the verb's own option, "" for a given flag, or NULL when it is not given. */
const char *invocation_option(const struct invocation *in, const char *name);

/* Its values one after the other, for an option that may be given several times; NULL ends. */
const char *invocation_next(const struct invocation *in, const char *name, int *cursor);

/* Prints "quoin: SENTENCE" on stderr and returns the exit code. */
int fail(int status, const char *format, ...) PRINTF_LIKE(2, 3);

int verb_help(struct invocation *in);
int verb_version(struct invocation *in);
int verb_daemon_status(struct invocation *in);
int verb_daemon_start(struct invocation *in);
int verb_daemon_stop(struct invocation *in);
int verb_daemon_restart(struct invocation *in);
int verb_target_create(struct invocation *in);
int verb_target_list(struct invocation *in);
int verb_target_info(struct invocation *in);
int verb_target_destroy(struct invocation *in);
int verb_target_start(struct invocation *in);
int verb_target_attach(struct invocation *in);
int verb_target_detach(struct invocation *in);
int verb_target_resize(struct invocation *in);
int verb_target_rescan(struct invocation *in);
int verb_pool_create(struct invocation *in);
int verb_pool_list(struct invocation *in);
int verb_pool_status(struct invocation *in);
int verb_pool_import(struct invocation *in);
int verb_pool_export(struct invocation *in);
int verb_pool_destroy(struct invocation *in);
int verb_pool_set(struct invocation *in);
int verb_pool_get(struct invocation *in);
int verb_pool_trim(struct invocation *in);
int verb_pool_history(struct invocation *in);
int verb_volume_create(struct invocation *in);
int verb_volume_list(struct invocation *in);
int verb_volume_info(struct invocation *in);
int verb_volume_resize(struct invocation *in);
int verb_volume_rename(struct invocation *in);
int verb_volume_destroy(struct invocation *in);
int verb_volume_set(struct invocation *in);
int verb_volume_get(struct invocation *in);
int verb_volume_snapshot(struct invocation *in);
int verb_volume_rollback(struct invocation *in);
int verb_volume_clone(struct invocation *in);
int verb_volume_promote(struct invocation *in);
int verb_volume_copy(struct invocation *in);
int verb_volume_export(struct invocation *in);
int verb_export_list(struct invocation *in);
int verb_export_cancel(struct invocation *in);
int verb_volume_deploy(struct invocation *in);
int verb_volume_pause(struct invocation *in);
int verb_volume_resume(struct invocation *in);
int verb_volume_cancel(struct invocation *in);
int verb_snapshot_list(struct invocation *in);
int verb_snapshot_destroy(struct invocation *in);
int verb_snapshot_hold(struct invocation *in);
int verb_snapshot_release(struct invocation *in);
int verb_snapshot_rename(struct invocation *in);
int verb_snapshot_set(struct invocation *in);
int verb_health(struct invocation *in);
int verb_drive_list(struct invocation *in);
int verb_drive_info(struct invocation *in);
int verb_drive_test(struct invocation *in);
int verb_schedule_list(struct invocation *in);
int verb_schedule_set(struct invocation *in);
int verb_events(struct invocation *in);
int verb_eve_show(struct invocation *in);
int verb_eve_set(struct invocation *in);
int verb_eve_send(struct invocation *in);
int verb_eve_print(struct invocation *in);
int verb_top(struct invocation *in);
int verb_image_digest(struct invocation *in);
int verb_inspect_check(struct invocation *in);
int verb_inspect_space(struct invocation *in);
int verb_inspect_dump(struct invocation *in);

/* Help for one noun, one verb of it, or (NULL, NULL) everything, on stdout. False: unknown. */
bool help_print(const char *noun, const char *verb);

#endif
