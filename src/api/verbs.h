/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread of the verbs. `control` is called by one thread at a time and may take long; the
 * server's thread must not wait for it, or nobody could ask how things are while a verb hangs. So
 * requests queue here, and the connection sleeps meanwhile.
 */
#ifndef API_VERBS_H
#define API_VERBS_H

#include <pthread.h>

#include <quoin/api.h>
#include <quoin/base_list.h>

struct api_job {
	struct list node;
	struct api_request request;	   /* borrowed until done() */
	struct api_reply reply;		   /* the owner's, from done() on */
	void (*done)(struct api_job *job); /* any thread; the last use of the job */
};

struct api_verbs {
	struct api_context context;
	pthread_t thread;
	pthread_mutex_t running; /* held while a verb runs */
	pthread_mutex_t lock;	 /* of all below */
	pthread_cond_t work;
	struct list jobs;
	bool errands; /* `control` has something to do that nobody asked for */
	bool stopping;
};

/* -EAGAIN: there is no thread. */
MUST_CHECK int api_verbs_start(struct api_verbs *verbs, const struct api_context *context);

/* The job is this room's until done(). After api_verbs_stop() it is refused at once. */
void api_verbs_add(struct api_verbs *verbs, struct api_job *job);

/* Ends when the verb under way has; those that wait are answered with an error. */
void api_verbs_stop(struct api_verbs *verbs);

/* It is stopped, and nobody adds any more. */
void api_verbs_fini(struct api_verbs *verbs);

#endif
