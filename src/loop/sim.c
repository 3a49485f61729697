/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated twin: all loops of a world take turns in one thread, in an order, with delays and
 * on a clock that come from one seed.
 *
 * A loop is ready when it is awake, or a task, a message or a timer is due. Each step of the world
 * picks one ready loop and runs one turn of it; the turn costs a little virtual time, so that a
 * poller that always finds work cannot stop the clock. When no loop is ready time jumps to the
 * next event. Messages are delayed, and so may overtake those of other senders, never those of the
 * same one. Memory comes from the heap without a thought: nothing here is measured.
 */
#include <stdlib.h>

#include <quoin/base_text.h>
#include <quoin/loop_sim.h>

#include "core.h"

#define SIM_TURN_NS_MIN 100
#define SIM_TURN_NS_MAX 1000
#define SIM_DELAY_SHORT_NS (1 * NS_PER_US)
#define SIM_DELAY_LONG_NS (50 * NS_PER_US)
#define SIM_DELAY_RARE_NS (1 * NS_PER_MS)
#define SIM_JOB_NS_MAX (5 * NS_PER_MS)

struct loop_sim {
	uint64_t now_ns;
	struct random random;
	struct list loops;
	struct loop_stacks *stacks;
};

struct sim_loop {
	struct loop core;
	struct list node;
	struct loop_sim *sim;
	struct list mail; /* struct envelope, by time of arrival */
	struct list jobs; /* struct sim_job */
	bool awake;
	bool stopped;
};

/* A message on its way. */
struct envelope {
	struct list node;
	struct loop_message *message;
	const struct loop *from; /* NULL = from outside the world */
	uint64_t arrival_ns;
};

struct sim_job {
	struct list node;
	struct loop_timer timer;
	struct loop_job *job;
	bool worked;
};

static struct sim_loop *sim_of(struct loop *loop)
{
	return container_of(loop, struct sim_loop, core);
}

/* --- What the loops ask of their twin ------------------------------------------------------ */

static uint64_t sim_clock_ns(struct loop *loop)
{
	return sim_of(loop)->sim->now_ns;
}

/* Mostly short, sometimes long enough for many turns of others. */
static uint64_t random_delay_ns(struct random *random)
{
	if (random_chance(random, 1, 100))
		return random_below(random, SIM_DELAY_RARE_NS);
	return random_below(random,
			    random_chance(random, 1, 2) ? SIM_DELAY_SHORT_NS : SIM_DELAY_LONG_NS);
}

static struct envelope *envelope_of(struct list *node)
{
	return container_of(node, struct envelope, node);
}

static void sim_message_send(struct loop *loop, struct loop_message *message)
{
	struct sim_loop *to = sim_of(loop);
	struct envelope *envelope = xcalloc(1, sizeof(*envelope));
	struct list *after = to->mail.prev;

	envelope->message = message;
	envelope->from = core_current();
	envelope->arrival_ns = to->sim->now_ns + random_delay_ns(&to->sim->random);
	/* Never before what the same sender sent earlier. */
	list_for_each (node, &to->mail)
		if (envelope_of(node)->from == envelope->from)
			envelope->arrival_ns =
				MAX(envelope->arrival_ns, envelope_of(node)->arrival_ns);
	while (after != &to->mail && envelope_of(after)->arrival_ns > envelope->arrival_ns)
		after = after->prev;
	list_prepend(after, &envelope->node);
}

static struct list *sim_task_pick(struct loop *loop, struct list *ready)
{
	struct list *picked = ready->next;
	uint64_t count = 0;

	list_for_each (node, ready)
		count++;
	for (uint64_t i = random_below(&sim_of(loop)->sim->random, count); i > 0; i--)
		picked = picked->next;
	list_remove(picked);
	return picked;
}

static void sim_stop(struct loop *loop)
{
	sim_of(loop)->stopped = true;
}

/* First the work, after one delay; then, after another, done(). */
static void job_step(struct loop_timer *timer)
{
	struct sim_job *sim_job = container_of(timer, struct sim_job, timer);
	struct loop_job *job = sim_job->job;
	struct sim_loop *loop = sim_of(job->loop);

	if (!sim_job->worked) {
		sim_job->worked = true;
		job->work(job);
		loop_timer_arm(&loop->core, timer,
			       loop->sim->now_ns + random_delay_ns(&loop->sim->random));
		return;
	}
	list_remove(&sim_job->node);
	free(sim_job);
	job->done(job);
}

static void sim_offload(struct loop *loop, struct loop_job *job)
{
	struct sim_loop *sim_loop = sim_of(loop);
	struct loop_sim *sim = sim_loop->sim;
	struct sim_job *sim_job = xcalloc(1, sizeof(*sim_job));

	sim_job->job = job;
	list_append(&sim_loop->jobs, &sim_job->node);
	loop_timer_init(&sim_job->timer, job_step);
	loop_timer_arm(loop, &sim_job->timer,
		       sim->now_ns + random_below(&sim->random, SIM_JOB_NS_MAX));
}

static const struct loop_twin sim_twin = {
	.clock_ns = sim_clock_ns,
	.message_send = sim_message_send,
	.task_pick = sim_task_pick,
	.stop = sim_stop,
	.offload = sim_offload,
};

/* --- The world ----------------------------------------------------------------------------- */

struct loop_sim *loop_sim_new(uint64_t seed)
{
	struct loop_sim *sim = xcalloc(1, sizeof(*sim));

	random_init(&sim->random, seed);
	list_init(&sim->loops);
	return sim;
}

void loop_sim_stacks_set(struct loop_sim *sim, struct loop_stacks *stacks)
{
	ASSERT(list_empty(&sim->loops));
	sim->stacks = stacks;
}

struct loop *loop_sim_add(struct loop_sim *sim)
{
	struct sim_loop *loop = xcalloc(1, sizeof(*loop));

	core_init(&loop->core, &sim_twin, random_u64(&sim->random));
	loop->core.stacks = sim->stacks;
	loop->sim = sim;
	list_init(&loop->mail);
	list_init(&loop->jobs);
	list_append(&sim->loops, &loop->node);
	return &loop->core;
}

static void sim_loop_free(struct sim_loop *loop)
{
	struct list *node;

	/* A world may end in the middle of things, as after a power cut. */
	while ((node = list_pop(&loop->mail)) != NULL)
		free(envelope_of(node));
	while ((node = list_pop(&loop->jobs)) != NULL)
		free(container_of(node, struct sim_job, node));
	core_drop_fibers(&loop->core);
	free(loop);
}

void loop_sim_free(struct loop_sim *sim)
{
	struct list *node;

	if (sim == NULL)
		return;
	while ((node = list_pop(&sim->loops)) != NULL)
		sim_loop_free(container_of(node, struct sim_loop, node));
	free(sim);
}

uint64_t loop_sim_now_ns(const struct loop_sim *sim)
{
	return sim->now_ns;
}

struct random *loop_sim_random(struct loop_sim *sim)
{
	return &sim->random;
}

/* When the loop next has something to do; UINT64_MAX = never, by itself. */
static uint64_t next_event_ns(const struct sim_loop *loop)
{
	uint64_t next_ns = core_next_deadline_ns(&loop->core);

	if (loop->stopped)
		return UINT64_MAX;
	if (loop->awake || !list_empty(&loop->core.tasks))
		return 0;
	if (!list_empty(&loop->mail))
		next_ns = MIN(next_ns, envelope_of(loop->mail.next)->arrival_ns);
	return next_ns;
}

static unsigned deliver_due(struct sim_loop *loop)
{
	/* Of one instant: messages sent from deliver() wait for a later turn. */
	struct list due;
	struct list *node;
	unsigned count = 0;

	list_init(&due);
	while (!list_empty(&loop->mail) &&
	       envelope_of(loop->mail.next)->arrival_ns <= loop->sim->now_ns)
		list_append(&due, list_pop(&loop->mail));
	while ((node = list_pop(&due)) != NULL) {
		struct loop_message *message = envelope_of(node)->message;

		free(envelope_of(node));
		message->deliver(message);
		count++;
	}
	core_count(&loop->core.counters.messages, count);
	return count;
}

static void sim_turn(struct sim_loop *loop)
{
	struct loop_sim *sim = loop->sim;
	struct loop *before = core_enter(&loop->core);
	unsigned work;

	ASSERT(before == NULL);
	core_turn_begin(&loop->core);
	core_count(&loop->core.counters.turns, 1);
	work = deliver_due(loop);
	work += core_run_tasks(&loop->core);
	work += core_fire_timers(&loop->core);
	work += core_poll(&loop->core);
	loop->awake = true;
	/* Without work it sleeps, or spins for another turn. */
	if (work == 0 && !random_chance(&sim->random, 1, 4) && core_arm(&loop->core)) {
		loop->awake = false;
		core_count(&loop->core.counters.sleeps, 1);
	}
	core_turn_end(&loop->core);
	core_enter(before);
	sim->now_ns +=
		SIM_TURN_NS_MIN + random_below(&sim->random, SIM_TURN_NS_MAX - SIM_TURN_NS_MIN + 1);
}

/* The ready loop to turn next, or NULL and the time of the next event. */
static struct sim_loop *pick_ready(struct loop_sim *sim, uint64_t *ret_next_ns)
{
	struct sim_loop *picked = NULL;
	uint64_t ready = 0;

	*ret_next_ns = UINT64_MAX;
	list_for_each (node, &sim->loops) {
		struct sim_loop *loop = container_of(node, struct sim_loop, node);
		const uint64_t next_ns = next_event_ns(loop);

		*ret_next_ns = MIN(*ret_next_ns, next_ns);
		/* Each of the ready ones is as likely as the others. */
		if (next_ns <= sim->now_ns && random_below(&sim->random, ++ready) == 0)
			picked = loop;
	}
	return picked;
}

bool loop_sim_run(struct loop_sim *sim, const bool *stop, uint64_t deadline_ns, uint64_t turns_max)
{
	uint64_t next_ns;

	/* What pollers look at may have changed between runs. */
	list_for_each (node, &sim->loops)
		container_of(node, struct sim_loop, node)->awake = true;

	for (uint64_t turns = 0; turns < turns_max;) {
		struct sim_loop *loop;

		if (stop != NULL && *stop)
			return true;
		if (sim->now_ns > deadline_ns)
			return false;
		loop = pick_ready(sim, &next_ns);
		if (loop != NULL) {
			sim_turn(loop);
			turns++;
		} else if (next_ns == UINT64_MAX) {
			/* With `stop` given it will never become true; the caller can see that. */
			return true;
		} else if (next_ns > deadline_ns) {
			sim->now_ns = deadline_ns;
			return false;
		} else {
			sim->now_ns = next_ns;
		}
	}
	return false;
}
