/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What both twins share: tasks, timers, pollers, messages and time. A twin embeds `struct loop`
 * as its first member, calls the core_* steps in the order of a turn, and lends its own
 * abilities through `struct loop_twin`.
 */
#ifndef QUOIN_LOOP_CORE_H
#define QUOIN_LOOP_CORE_H

#include <quoin/base_assert.h>
#include <quoin/loop.h>

/* While timers are armed, turns without work look at the clock only every so many turns. */
#define CORE_CLOCK_TURNS 16

/* What a twin does its own way. NULL = this twin cannot. */
struct loop_twin {
	uint64_t (*clock_ns)(struct loop *loop);
	void (*message_send)(struct loop *loop, struct loop_message *message);
	/* Takes the next task to run off `ready`, which is not empty. */
	struct list *(*task_pick)(struct loop *loop, struct list *ready);
	void (*stop)(struct loop *loop);
	void (*offload)(struct loop *loop, struct loop_job *job);
	void (*free)(struct loop *loop);
};

/* Written by the loop's thread, read by any. */
struct loop_counters {
	_Atomic uint64_t turns;
	_Atomic uint64_t sleeps;
	_Atomic uint64_t io_submitted;
	_Atomic uint64_t io_batches;
	_Atomic uint64_t io_fixed_buffers;
	_Atomic uint64_t io_fixed_files;
	_Atomic uint64_t messages;
};

struct loop {
	const struct loop_twin *twin;
	struct list tasks;
	struct loop_timer *timers; /* root of the pairing heap: the earliest */
	uint64_t timer_sequence;
	struct list pollers;
	struct list *poller_next; /* the walk's next node, moved on when that node is removed */
	uint64_t now_ns;
	bool in_turn;
	bool now_known;		    /* only within a turn */
	bool worked;		    /* the last turn did work */
	struct list fibers;	    /* all that were not freed */
	struct loop_stacks *stacks; /* of fibers that ended; NULL: none is kept */
	struct random random;
	struct loop_counters counters;
};

void core_init(struct loop *loop, const struct loop_twin *twin, uint64_t seed);

/* Asserts that nothing is left. */
void core_fini(struct loop *loop);

/* The loop whose turn it is in this thread, or NULL. */
struct loop *core_current(void);

/* Makes `loop` current; returns the one before, to be put back afterwards. */
struct loop *core_enter(struct loop *loop);

/* Forgets the time of the last turn. */
static inline void core_turn_begin(struct loop *loop)
{
	loop->in_turn = true;
	loop->now_known = false;
}

/* From here until the next turn the time is read anew each time. */
static inline void core_turn_end(struct loop *loop)
{
	loop->in_turn = false;
	loop->now_known = false;
}

/* The steps of a turn; each returns how much work it did. */
unsigned core_run_tasks(struct loop *loop);
unsigned core_fire_timers(struct loop *loop);
unsigned core_poll(struct loop *loop);

/* Arms every poller; false when one of them has work or a task is ready. */
bool core_arm(struct loop *loop);

/* The next deadline, or UINT64_MAX. */
uint64_t core_next_deadline_ns(const struct loop *loop);

/* Frees the loop's fibers wherever they are (fiber.c). */
void core_drop_fibers(struct loop *loop);

/* One writer: no locked instruction is needed. */
static inline void core_count(_Atomic uint64_t *counter, uint64_t by)
{
	const uint64_t old = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, old + by, memory_order_relaxed);
}

#endif
