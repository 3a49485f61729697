/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of a loop that is the same in both twins: tasks, pollers, time, counters.
 * Timers are in timer.c; messages belong to the twins, because they differ most there.
 *
 * Every walk survives removal and addition of any node from inside a callback: tasks are taken
 * off one by one from a list of their own, and the walk over pollers keeps its next node in the
 * loop, where loop_poller_remove() moves it on.
 */
#include "core.h"

#include <stdlib.h>

#include <quoin/base_text.h>

static _Thread_local struct loop *current;

struct loop *core_current(void)
{
	return current;
}

struct loop *core_enter(struct loop *loop)
{
	struct loop *before = current;

	current = loop;
	return before;
}

bool loop_is_current(const struct loop *loop)
{
	return current == loop;
}

void core_init(struct loop *loop, const struct loop_twin *twin, uint64_t seed)
{
	*loop = (struct loop){.twin = twin};
	list_init(&loop->tasks);
	list_init(&loop->pollers);
	list_init(&loop->fibers);
	random_init(&loop->random, seed);
}

void core_fini(struct loop *loop)
{
	ASSERT(loop->timers == NULL);
	ASSERT(list_empty(&loop->fibers));
	ASSERT(current != loop);
}

void loop_free(struct loop *loop)
{
	if (loop == NULL)
		return;
	ASSERT(loop->twin->free != NULL);
	loop->twin->free(loop);
}

void loop_stop(struct loop *loop)
{
	loop->twin->stop(loop);
}

void loop_message_send(struct loop *to, struct loop_message *message)
{
	to->twin->message_send(to, message);
}

struct post {
	struct loop_message message;
	void (*fn)(void *arg);
	void *arg;
};

static void deliver_post(struct loop_message *message)
{
	struct post *post = container_of(message, struct post, message);

	post->fn(post->arg);
	free(post);
}

void loop_post(struct loop *loop, void (*fn)(void *arg), void *arg)
{
	struct post *post;

	if (loop_is_current(loop)) {
		fn(arg);
		return;
	}
	post = xmalloc(sizeof(*post));
	*post = (struct post){.message.deliver = deliver_post, .fn = fn, .arg = arg};
	loop_message_send(loop, &post->message);
}

void loop_offload(struct loop *loop, struct loop_job *job)
{
	job->loop = loop;
	loop->twin->offload(loop, job);
}

/* --- Time and chance -------------------------------------------------------------------- */

uint64_t loop_clock_ns(struct loop *loop)
{
	return loop->twin->clock_ns(loop);
}

uint64_t loop_now_ns(struct loop *loop)
{
	if (!loop->now_known) {
		loop->now_ns = loop->twin->clock_ns(loop);
		loop->now_known = loop->in_turn;
	}
	return loop->now_ns;
}

struct random *loop_random(struct loop *loop)
{
	return &loop->random;
}

struct loop_stats loop_stats_get(const struct loop *loop)
{
	const struct loop_counters *c = &loop->counters;

	return (struct loop_stats){
		.turns = atomic_load_explicit(&c->turns, memory_order_relaxed),
		.sleeps = atomic_load_explicit(&c->sleeps, memory_order_relaxed),
		.io_submitted = atomic_load_explicit(&c->io_submitted, memory_order_relaxed),
		.io_batches = atomic_load_explicit(&c->io_batches, memory_order_relaxed),
		.io_fixed_buffers =
			atomic_load_explicit(&c->io_fixed_buffers, memory_order_relaxed),
		.io_fixed_files = atomic_load_explicit(&c->io_fixed_files, memory_order_relaxed),
		.messages = atomic_load_explicit(&c->messages, memory_order_relaxed),
	};
}

/* --- Tasks ------------------------------------------------------------------------------ */

void loop_task_init(struct loop_task *task, void (*run)(struct loop_task *task))
{
	list_init(&task->node);
	task->run = run;
}

void loop_task_post(struct loop *loop, struct loop_task *task)
{
	if (!list_linked(&task->node))
		list_append(&loop->tasks, &task->node);
}

void loop_task_cancel(struct loop_task *task)
{
	list_remove(&task->node);
}

unsigned core_run_tasks(struct loop *loop)
{
	struct list ready;
	unsigned count = 0;

	if (list_empty(&loop->tasks))
		return 0;
	/* Tasks posted from now on run in the next turn: a task that posts itself starves nobody.
	 */
	list_init(&ready);
	list_splice(&ready, &loop->tasks);
	while (!list_empty(&ready)) {
		struct list *node = loop->twin->task_pick ? loop->twin->task_pick(loop, &ready)
							  : list_pop(&ready);
		struct loop_task *task = container_of(node, struct loop_task, node);

		task->run(task);
		count++;
	}
	return count;
}

/* --- Pollers ---------------------------------------------------------------------------- */

void loop_poller_add(struct loop *loop, struct loop_poller *poller)
{
	list_append(&loop->pollers, &poller->node);
}

void loop_poller_remove(struct loop *loop, struct loop_poller *poller)
{
	if (loop->poller_next == &poller->node)
		loop->poller_next = poller->node.next;
	list_remove(&poller->node);
}

/* Takes the walk's next step; NULL at its end. */
static struct loop_poller *next_poller(struct loop *loop)
{
	struct list *node = loop->poller_next;

	if (node == &loop->pollers) {
		loop->poller_next = NULL;
		return NULL;
	}
	loop->poller_next = node->next;
	return container_of(node, struct loop_poller, node);
}

unsigned core_poll(struct loop *loop)
{
	struct loop_poller *poller;
	unsigned work = 0;

	loop->poller_next = loop->pollers.next;
	while ((poller = next_poller(loop)) != NULL)
		work += poller->poll(poller);
	return work;
}

bool core_arm(struct loop *loop)
{
	struct loop_poller *poller;
	bool quiet = true;

	loop->poller_next = loop->pollers.next;
	while (quiet && (poller = next_poller(loop)) != NULL)
		quiet = poller->arm == NULL || poller->arm(poller);
	loop->poller_next = NULL;
	return quiet && list_empty(&loop->tasks);
}
