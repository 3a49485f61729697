/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The room from inside: the object behind the door, and what its threads share.
 *
 *   the watcher    looks once a second, puts new messages into the store
 *   a way out      takes messages from the store and hands them on, each on a thread of its own
 *
 * One lock for all that is below it. It is held while a view is compared and while a message is
 * taken or done with, never while anything is waited for but `changed`.
 */
#ifndef EVE_PRIVATE_H
#define EVE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include <quoin/eve.h>

#include "look.h"
#include "request.h"

struct eve_sink {
	struct eve *eve;
	enum eve_way way;
	pthread_t thread;
	bool running; /* there is a thread: of who configures */
	atomic_bool stop;
	int wake_fd;		  /* of the socket: the store changed, or it is to stop */
	struct eve_config config; /* as of its start */
	struct eve_way_status status;
	bool hurry;	    /* with the lock: it need not wait until it tries again */
	bool refusing;	    /* its problem is a message that was refused */
	bool hardware_told; /* once */
	bool again;	    /* it has to hear all again */
	bool has_epoch;
	uint64_t epoch; /* of the controller that heard all */
};

struct eve {
	struct control *control;
	char *version;
	int directory_fd;
	pthread_t thread;
	bool running;
	pthread_mutex_t lock; /* of all that follows */
	pthread_cond_t changed;
	bool stopping, send;
	struct eve_look look;
	struct random random;
	uint64_t info_due_ms, metrics_due_ms, hardware_due_ms;
	char counters_problem[192];
	struct eve_sink sinks[EVE_WAYS];
};

/* --- With the lock -------------------------------------------------------------------------- */

/* Something is there for the ways out. */
void eve_changed(struct eve *eve);

/* Waits for a change, until `until_ms` (monotonic; UINT64_MAX = for ever). */
void eve_wait(struct eve *eve, uint64_t until_ms);

/* Sets or, with "", clears what is wrong with a way; told as an event where it begins and ends. */
void eve_sink_problem(struct eve_sink *sink, const char *problem);

/* A message was handed on, or not: `why` is "" when it was. */
void eve_sink_note(struct eve_sink *sink, unsigned consumer, enum eve_outcome outcome,
		   const char *why);

/* Somebody said something. True: it must hear all again. */
bool eve_sink_heard(struct eve_sink *sink, const struct eve_request *request);

/* --- Without it ----------------------------------------------------------------------------- */

/* Threads of the ways. */
void *eve_directory_main(void *sink);
void *eve_controller_main(void *sink);
void *eve_socket_main(void *sink);

/* A way that hands on one message at a time. Blocking, ended by sink->stop. */
struct eve_delivery {
	enum eve_outcome (*deliver)(void *data, const struct eve_item *item, struct err *err);
	void *data;
};

void eve_sink_run(struct eve_sink *sink, const struct eve_delivery *delivery);

#endif
