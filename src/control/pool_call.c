/* SPDX-License-Identifier: Apache-2.0 */
/* A message starts the fiber, the fiber's end is a condition that the caller waits for. */
#include "pool_call.h"

#include <pthread.h>

#include <quoin/base_assert.h>
#include <quoin/loop_fiber.h>

struct call {
	struct loop_message message;
	struct loop *loop;
	int (*fn)(void *arg);
	void *arg;
	pthread_mutex_t lock; /* of the two below */
	pthread_cond_t ended;
	bool done;
	int result;
};

static void finish(struct call *call, int result)
{
	pthread_mutex_lock(&call->lock);
	call->result = result;
	call->done = true;
	pthread_cond_signal(&call->ended);
	/* The caller frees the call once it has the lock: nothing may follow. */
	pthread_mutex_unlock(&call->lock);
}

static void main_of_fiber(void *arg)
{
	struct call *call = arg;

	finish(call, call->fn(call->arg));
}

static void deliver(struct loop_message *message)
{
	struct call *call = container_of(message, struct call, message);
	const int r = fiber_start(call->loop, false, main_of_fiber, call, NULL);

	if (r < 0)
		finish(call, r);
}

int control_call(struct loop *loop, int (*fn)(void *arg), void *arg)
{
	struct call call = {.loop = loop, .fn = fn, .arg = arg};

	ASSERT(!loop_is_current(loop));
	pthread_mutex_init(&call.lock, NULL);
	pthread_cond_init(&call.ended, NULL);
	call.message.deliver = deliver;
	loop_message_send(loop, &call.message);
	pthread_mutex_lock(&call.lock);
	while (!call.done)
		pthread_cond_wait(&call.ended, &call.lock);
	pthread_mutex_unlock(&call.lock);
	pthread_cond_destroy(&call.ended);
	pthread_mutex_destroy(&call.lock);
	return call.result;
}
