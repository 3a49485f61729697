/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What loops have to say to the thread of the verbs: "something changed that you may act on". It is
 * one bit, and that thread looks for itself what there is to do. control_errand_ask() may be called
 * from any thread.
 */
#ifndef CONTROL_ERRAND_H
#define CONTROL_ERRAND_H

#include <pthread.h>
#include <stdatomic.h>

#include <quoin/base.h>

struct control_errand {
	atomic_bool due;
	pthread_mutex_t lock; /* of the two below */
	void (*wake)(void *data);
	void *data;
};

void control_errand_init(struct control_errand *errand);
void control_errand_fini(struct control_errand *errand);
void control_errand_ask(struct control_errand *errand);

/* True when it was asked for since the last time. */
bool control_errand_take(struct control_errand *errand);

#endif
