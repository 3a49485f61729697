/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal of events: numbered, kept over restarts, bounded.
 *
 * The newest HEALTH_EVENTS_KEPT are in memory, and all questions are answered from there. A thread
 * of its own writes them to two files of the state directory, events.log and the one before it,
 * events.1: one line of JSON each. Whoever adds an event never waits for a disk.
 *
 * A flood is folded: of events of one type on one object HEALTH_FOLD_PASS a minute are told, and of
 * those beyond that one when the minute is over, with their count.
 *
 * Numbers grow by one. After a daemon that did not end well they go on HEALTH_NUMBER_GAP higher, as
 * some may have been told and not been written.
 */
#ifndef QUOIN_HEALTH_EVENTS_H
#define QUOIN_HEALTH_EVENTS_H

#include <stdatomic.h>

#include <quoin/base.h>
#include <quoin/health_event.h>

#define HEALTH_EVENTS_KEPT 2048
#define HEALTH_EVENTS_FILE_BYTES (1024 * 1024)
#define HEALTH_FOLD_PASS 5
#define HEALTH_FOLD_MS (60 * 1000)
#define HEALTH_NUMBER_GAP 1000
#define HEALTH_RETRY_MS (10 * 1000) /* a file that could not be written is tried again */

struct health_events;

struct health_events_params {
	int directory_fd;		  /* of the files; borrowed */
	uint64_t (*clock_ms)(void *data); /* wall clock; NULL: the system's */
	/* In the journal's thread: events are not saved, and why; NULL: they are again. May be
	 * NULL. */
	void (*problem)(void *data, const char *why);
	void *data;
	uint32_t file_bytes; /* 0 = HEALTH_EVENTS_FILE_BYTES */
};

/*
 * Reads what there is and starts the thread. Files that cannot be read or are damaged cost the
 * events in them, no more. -EAGAIN: there is no thread.
 */
MUST_CHECK int health_events_new(const struct health_events_params *params,
				 struct health_events **ret_events);

/* Writes what waits, as far as it can. NULL is allowed. */
void health_events_free(struct health_events *events);

/* [any thread] */
void health_events_add(struct health_events *events, enum health_event_type type,
		       const char *object, const char *format, ...) PRINTF_LIKE(4, 5);

/* [any thread] Waits until what was added before is written or cannot be. */
void health_events_flush(struct health_events *events);

struct health_events_query {
	uint64_t since;		       /* only those with higher numbers */
	enum health_severity severity; /* this or worse */
	const char
		*object; /* with what is in it: "tank" has "tank/v@1" and "tank:/dev/sdb"; NULL */
};

/*
 * [any thread] The oldest up to `max` that the query wants, in order. Returns how many.
 */
unsigned health_events_read(struct health_events *events, const struct health_events_query *query,
			    struct health_event *ret_found, unsigned max);

struct health_events_status {
	uint64_t oldest, newest; /* numbers that are kept; 0 = none */
	uint64_t folded;	 /* not told one by one */
	uint64_t unsaved;	 /* not in a file yet */
	uint64_t lost;		 /* were not saved in time */
	uint64_t skipped;	 /* lines of the files that could not be read */
	bool unclean;		 /* the last daemon did not say that it stopped */
	char problem[160];	 /* why they are not saved; "" = they are */
};

/* [any thread] */
void health_events_status(struct health_events *events, struct health_events_status *ret_status);

/*
 * [any thread] Waits until there is one with a number above `since`, `timeout_ms` are over, or
 * *stop is true (set it, then call health_events_wake()).
 */
void health_events_wait(struct health_events *events, uint64_t since, const atomic_bool *stop,
			unsigned timeout_ms);
void health_events_wake(struct health_events *events);

#endif
