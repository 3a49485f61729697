/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker: one thread, one io_uring, one world. Everything a worker owns is touched by its
 * thread alone; other threads speak to it through messages.
 *
 * Two twins stand behind this door. The real one (loop_new) runs on io_uring and the monotonic
 * clock. The simulated one (quoin/loop_sim.h) runs many loops in one thread with virtual time and
 * scheduling from a seed. Code above this room cannot tell them apart, but for file I/O and
 * watches, which only the real one has (simulated drives use timers).
 *
 * One turn of a loop: take completions, deliver messages, run tasks, fire timers, poll pollers,
 * hand what I/O is still queued to the kernel. A turn that found no work arms every poller and
 * then sleeps until a completion, a message, a watch or the next timer.
 *
 * Watches, file I/O and helper threads are in quoin/loop_io.h, which this door opens too.
 *
 * Threads: functions marked [any] may be called from any thread; all others only from the
 * loop's own thread, or before it runs / after it stopped.
 * Nothing here allocates after loop_new(), but for loop_offload's threads and fibers' stacks.
 */
#ifndef QUOIN_LOOP_H
#define QUOIN_LOOP_H

#include <stdatomic.h>

#include <quoin/base.h>
#include <quoin/base_list.h>
#include <quoin/base_random.h>

struct loop;

/* --- Life ------------------------------------------------------------------------------- */

struct loop_params {
	const char *name;      /* thread name, 15 characters count; borrowed for the call */
	int cpu;	       /* pin to this CPU, or -1 */
	unsigned ring_entries; /* io_uring submission entries, power of two; 0 = 256 */
	unsigned spin_us; /* keep turning this long after the last work before sleeping; 0 = none */
};

MUST_CHECK int loop_new(const struct loop_params *params, struct loop **ret_loop);

/* The loop must not run; no I/O, watch, timer or fiber may be left. NULL is allowed. */
void loop_free(struct loop *loop);

/* Starts / joins a thread that runs the loop. loop_join() waits for loop_stop(). */
MUST_CHECK int loop_start_thread(struct loop *loop);
void loop_join(struct loop *loop);

/*
 * Runs in the calling thread until loop_stop(). The first turn of a loop binds it to its thread:
 * it cannot be turned by another one later.
 */
void loop_run(struct loop *loop);

/* [any] Makes loop_run() return at the end of its turn. */
void loop_stop(struct loop *loop);

/* One turn, sleeping at most `wait_ns` when there is nothing to do (tests, tools). */
void loop_turn(struct loop *loop, uint64_t wait_ns);

/* True within a turn of `loop`, in the thread that runs it (simulated: the loop whose turn it is).
 */
bool loop_is_current(const struct loop *loop);

/* --- Time and chance -------------------------------------------------------------------- */

/* Monotonic nanoseconds, read at most once per turn; cheap. Outside a turn it is read each time. */
uint64_t loop_now_ns(struct loop *loop);

/* Monotonic nanoseconds, read now. */
uint64_t loop_clock_ns(struct loop *loop);

struct random *loop_random(struct loop *loop);

/* --- Tasks: run soon, in this thread ----------------------------------------------------- */

struct loop_task {
	struct list node;
	void (*run)(struct loop_task *task);
};

void loop_task_init(struct loop_task *task, void (*run)(struct loop_task *task));

/* Runs the task later in this turn or in the next. Posting a posted task is a no-op. */
void loop_task_post(struct loop *loop, struct loop_task *task);
void loop_task_cancel(struct loop_task *task);

/* --- Messages: from any thread ----------------------------------------------------------- */

struct loop_message {
	struct loop_message *_Atomic next;
	void (*deliver)(struct loop_message *message);
};

/*
 * [any] Delivers in the thread of `to`, in order per sender. The message is the receiver's until
 * deliver() is called. Wakes a sleeping loop; costs one compare-and-swap when it is awake.
 */
void loop_message_send(struct loop *to, struct loop_message *message);

/*
 * [any] Runs fn(arg) in the loop: before it returns when the caller is in that loop, else by a
 * message that it allocates, so in order with this thread's others. Not for the way of a request.
 */
void loop_post(struct loop *loop, void (*fn)(void *arg), void *arg);

/*
 * [any but the loop's own thread, real loops only] Runs fn(arg) in the loop, waits for its return.
 * The loop must be running, or about to.
 */
void loop_call(struct loop *loop, void (*fn)(void *arg), void *arg);

/* --- Timers ------------------------------------------------------------------------------ */

struct loop_timer {
	uint64_t deadline_ns;
	uint64_t sequence;	  /* 0 = not armed; equal deadlines fire in the order of arming */
	struct loop_timer *child; /* the next three: the loop's pairing heap */
	struct loop_timer *sibling;
	struct loop_timer **link; /* the pointer that points here */
	void (*fire)(struct loop_timer *timer);
};

void loop_timer_init(struct loop_timer *timer, void (*fire)(struct loop_timer *timer));

/* One shot. Arming an armed timer moves it. The deadline is on loop_now_ns()'s clock. */
void loop_timer_arm(struct loop *loop, struct loop_timer *timer, uint64_t deadline_ns);
void loop_timer_disarm(struct loop *loop, struct loop_timer *timer);
static inline bool loop_timer_armed(const struct loop_timer *timer)
{
	return timer->sequence != 0;
}

/* --- Pollers: sources without a file descriptor ------------------------------------------ */

struct loop_poller {
	struct list node;

	/* Called every turn. Returns how much work it did; 0 lets the loop think of sleep. */
	unsigned (*poll)(struct loop_poller *poller);

	/*
	 * Called before sleep: publish "wake me", fence, look at every source once more. Returns
	 * false when there is work after all (the loop then does not sleep). NULL = always true.
	 * May be called many times in a row.
	 */
	bool (*arm)(struct loop_poller *poller);
};

void loop_poller_add(struct loop *loop, struct loop_poller *poller);
void loop_poller_remove(struct loop *loop, struct loop_poller *poller);

/* --- Counters ------------------------------------------------------------------------------ */

struct loop_stats {
	uint64_t turns;
	uint64_t sleeps;	   /* times the thread went to sleep */
	uint64_t io_submitted;	   /* I/O handed to the kernel */
	uint64_t io_batches;	   /* io_uring_enter calls that submitted something */
	uint64_t io_fixed_buffers; /* of the I/O, with registered memory */
	uint64_t io_fixed_files;   /* and with a registered file */
	uint64_t messages;
};

/* [any] A snapshot; fields may be of slightly different times. */
struct loop_stats loop_stats_get(const struct loop *loop);

#include <quoin/loop_io.h>

#endif
