/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hook: events are handed on, to a program or by HTTP POST, in order, one at a time, by a thread
 * of its own.
 *
 * A program is run as PROGRAM TYPE SEVERITY OBJECT with the event as JSON on its standard input; it
 * has done its part when it exits with 0. An address gets the JSON as the body of a POST; it has
 * when it answers with a 2xx. Either has a time limit, and is killed or given up then. What failed
 * is tried again, at growing intervals, HEALTH_HOOK_TRIES times; then the next event has its turn.
 *
 * How far it came is kept in the state directory, so that what happened before a restart is handed
 * on after it. An event may come twice, after a crash; its number says so.
 */
#ifndef QUOIN_HEALTH_HOOK_H
#define QUOIN_HEALTH_HOOK_H

#include <quoin/base.h>
#include <quoin/base_err.h>
#include <quoin/health_events.h>

#define HEALTH_HOOK_TRIES 8
#define HEALTH_HOOK_TIMEOUT_MS (30 * 1000)
#define HEALTH_HOOK_RETRY_MS 1000 /* the first time; twice as long each time */
#define HEALTH_HOOK_RETRY_MAX_MS (60 * 1000)

struct health_hook;

struct health_hook_params {
	struct health_events *events;  /* borrowed */
	int directory_fd;	       /* the state directory; borrowed */
	enum health_severity severity; /* this or worse */
	const char *program; /* an absolute path, or NULL: then the next one; both are copied */
	const char *url;     /* http:// or https:// */
	/* In its thread: what is wrong with it; NULL: it is well again. May be NULL. */
	void (*problem)(void *data, const char *why);
	void *data;
	unsigned timeout_ms, retry_ms; /* 0 = as above */
};

/* -EINVAL: neither a path nor an address that it knows; -EAGAIN: there is no thread. */
MUST_CHECK int health_hook_new(const struct health_hook_params *params,
			       struct health_hook **ret_hook, struct err *err);

/* Ends what is under way. Before health_events_free(). NULL is allowed. */
void health_hook_free(struct health_hook *hook);

struct health_hook_status {
	uint64_t delivered, failed; /* events; failed ones were given up */
	uint64_t retries;
	uint64_t at;	   /* the number of the last one that is done with */
	char problem[192]; /* "" = the last try went well */
};

/* [any thread] */
void health_hook_status(struct health_hook *hook, struct health_hook_status *ret_status);

#endif
