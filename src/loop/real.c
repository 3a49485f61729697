/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real twin: life, messages and the turn.
 *
 * Messages. The inbox is one word: NULL (awake, empty), a stack of messages (awake or being
 * woken), or the address of `asleep` (the thread sleeps or is about to). A sender pushes with
 * compare-and-swap; the receiver takes the whole stack with one exchange and reverses it, which
 * keeps each sender's order. Before sleep the receiver swaps NULL for `asleep`, which fails when a
 * message came. Because "empty" and "asleep" are values of one atomic word, whose changes all
 * threads see in one order, a wake-up cannot be lost: either the sender's push comes first and
 * the receiver's swap fails, or the sender finds `asleep` under its push and, being the only one
 * that can, writes the eventfd, which a read in the ring awaits. No fence between two
 * variables is needed, and no sender makes a system call while the receiver is awake.
 *
 * Sleep. A turn in which the pollers found nothing and no task is ready may sleep: pollers are
 * armed, the inbox is marked, and what this turn prepared is submitted by the same system call
 * that waits. An idle loop has no periodic wake-up.
 */
#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <quoin/base_clock.h>
#include <quoin/base_math.h>

#include "real.h"

/* --- Life ------------------------------------------------------------------------------- */

static int real_init(struct real_loop *real, const struct loop_params *params)
{
	const unsigned entries =
		params->ring_entries ? params->ring_entries : REAL_RING_ENTRIES_DEFAULT;
	uint64_t seed;
	int r;

	ASSERT(is_power_of_two(entries) && entries <= REAL_RING_ENTRIES_MAX);
	random_system_fill(&seed, sizeof(seed));
	core_init(&real->core, &real_twin, seed);
	real->spin_ns = params->spin_us * NS_PER_US;
	real->cpu = params->cpu;
	strncpy(real->name, params->name ? params->name : "loop", sizeof(real->name) - 1);
	real->wake_fd = eventfd(0, EFD_CLOEXEC);
	if (real->wake_fd < 0)
		return -errno;
	r = watches_init(&real->watches);
	if (r < 0)
		goto fail_watches;
	r = ring_init(&real->ring, entries);
	if (r < 0)
		goto fail_ring;
	offload_init(&real->offload);
	return 0;

fail_ring:
	watches_fini(&real->watches);
fail_watches:
	base_close(&real->wake_fd);
	return r;
}

int loop_new(const struct loop_params *params, struct loop **ret_loop)
{
	struct real_loop *real = aligned_alloc(_Alignof(struct real_loop), sizeof(*real));
	int r;

	if (real == NULL)
		return -ENOMEM;
	memset(real, 0, sizeof(*real));
	r = real_init(real, params);
	if (r < 0) {
		free(real);
		return r;
	}
	*ret_loop = &real->core;
	return 0;
}

static void real_free(struct loop *loop)
{
	struct real_loop *real = real_of(loop);

	ASSERT(!real->started);
	offload_fini(&real->offload);
	ring_fini(&real->ring);
	watches_fini(&real->watches);
	base_close(&real->wake_fd);
	core_fini(loop);
	free(real);
}

static void *thread_main(void *arg)
{
	struct real_loop *real = arg;

	pthread_setname_np(pthread_self(), real->name);
	/* Timers fire when they are due, not up to 50 us later. Refusal costs only precision. */
	prctl(PR_SET_TIMERSLACK, 1UL);
	loop_run(&real->core);
	return NULL;
}

int loop_start_thread(struct loop *loop)
{
	struct real_loop *real = real_of(loop);
	cpu_set_t cpus;
	int r;

	ASSERT(loop->twin == &real_twin && !real->started);
	CPU_ZERO(&cpus);
	if (real->cpu >= 0)
		CPU_SET(real->cpu, &cpus);
	/* glibc ignores a CPU beyond its set, which must not mean "anywhere". */
	if (real->cpu >= CPU_SETSIZE)
		return -EINVAL;
	r = real_thread_start(&real->thread, &cpus, thread_main, real);
	if (r < 0)
		return r;
	real->started = true;
	return 0;
}

void loop_join(struct loop *loop)
{
	struct real_loop *real = real_of(loop);

	ASSERT(loop->twin == &real_twin && real->started);
	ASSERT(pthread_join(real->thread, NULL) == 0);
	real->started = false;
}

/* --- Messages --------------------------------------------------------------------------- */

static void wake(struct real_loop *real)
{
	const uint64_t one = 1;

	ASSERT(write(real->wake_fd, &one, sizeof(one)) == sizeof(one));
}

static void real_message_send(struct loop *loop, struct loop_message *message)
{
	struct real_loop *real = real_of(loop);
	struct loop_message *top = atomic_load_explicit(&real->inbox, memory_order_relaxed);
	struct loop_message *next;

	do {
		next = top == &real->asleep ? NULL : top;
		atomic_store_explicit(&message->next, next, memory_order_relaxed);
	} while (!atomic_compare_exchange_weak_explicit(
		&real->inbox, &top, message, memory_order_release, memory_order_relaxed));
	if (UNLIKELY(top == &real->asleep))
		wake(real);
}

static unsigned deliver_messages(struct real_loop *real)
{
	struct loop_message *stack;
	struct loop_message *queue = NULL;
	unsigned count = 0;

	if (atomic_load_explicit(&real->inbox, memory_order_relaxed) == NULL)
		return 0;
	stack = atomic_exchange_explicit(&real->inbox, NULL, memory_order_acquire);
	while (stack != NULL && stack != &real->asleep) {
		struct loop_message *next =
			atomic_load_explicit(&stack->next, memory_order_relaxed);

		atomic_store_explicit(&stack->next, queue, memory_order_relaxed);
		queue = stack;
		stack = next;
	}
	while (queue != NULL) {
		struct loop_message *message = queue;

		/* deliver() may free the message. */
		queue = atomic_load_explicit(&message->next, memory_order_relaxed);
		message->deliver(message);
		count++;
	}
	core_count(&real->core.counters.messages, count);
	return count;
}

/* True when the inbox is empty and now marked, so that the next sender wakes this thread. */
static bool mark_asleep(struct real_loop *real)
{
	struct loop_message *expected = NULL;

	return atomic_compare_exchange_strong_explicit(&real->inbox, &expected, &real->asleep,
						       memory_order_seq_cst, memory_order_relaxed);
}

void real_wake_arm(struct real_loop *real)
{
	struct io_uring_sqe *sqe;

	if (LIKELY(real->wake_armed))
		return;
	sqe = ring_sqe(real);
	if (sqe == NULL)
		return;
	io_uring_prep_read(sqe, real->wake_fd, &real->wake_value, sizeof(real->wake_value), 0);
	sqe->user_data = RING_TAG_WAKE;
	real->wake_armed = true;
}

void real_wake_done(struct real_loop *real, int result)
{
	ASSERT(result == sizeof(real->wake_value) || result == -EINTR || result == -ECANCELED);
	real->wake_armed = false;
}

struct call {
	struct loop_message message;
	void (*fn)(void *arg);
	void *arg;
	sem_t done;
};

static void deliver_call(struct loop_message *message)
{
	struct call *call = container_of(message, struct call, message);

	call->fn(call->arg);
	sem_post(&call->done);
}

void loop_call(struct loop *loop, void (*fn)(void *arg), void *arg)
{
	struct call call = {.message.deliver = deliver_call, .fn = fn, .arg = arg};

	ASSERT(loop->twin == &real_twin && !loop_is_current(loop));
	ASSERT(sem_init(&call.done, 0, 0) == 0);
	loop_message_send(loop, &call.message);
	while (sem_wait(&call.done) < 0)
		ASSERT(errno == EINTR);
	sem_destroy(&call.done);
}

/* --- The turn ---------------------------------------------------------------------------- */

static uint64_t real_clock_ns(struct loop *loop)
{
	return clock_now_ns(CLOCK_MONOTONIC);
}

static bool clock_is_due(const struct real_loop *real)
{
	return real->core.worked || real->core.now_known ||
	       real->core.counters.turns % CORE_CLOCK_TURNS == 0;
}

/* Does the work of one turn, all but handing over I/O. True when the pollers found nothing. */
static bool pass(struct real_loop *real)
{
	struct loop *loop = &real->core;
	unsigned work;
	unsigned polled;

	core_turn_begin(loop);
	core_count(&loop->counters.turns, 1);
	work = ring_reap(real);
	work += deliver_messages(real);
	work += core_run_tasks(loop);
	if (loop->timers != NULL && (work > 0 || clock_is_due(real)))
		work += core_fire_timers(loop);
	polled = core_poll(loop);
	loop->worked = work + polled > 0;
	return polled == 0;
}

/* True when the loop has been without work for spin_ns. */
static bool spun_enough(struct real_loop *real)
{
	struct loop *loop = &real->core;

	if (real->spin_ns == 0)
		return true;
	if (loop->worked) {
		real->spin_until_ns = 0;
		return false;
	}
	if (real->spin_until_ns == 0) {
		real->spin_until_ns = loop_now_ns(loop) + real->spin_ns;
		return false;
	}
	return clock_is_due(real) && loop_now_ns(loop) >= real->spin_until_ns;
}

static void hand_over(struct real_loop *real)
{
	real_wake_arm(real);
	watches_arm(real);
	if (UNLIKELY(!list_empty(&real->ring.waiting)))
		io_refill(real);
	ring_submit(real);
}

/* Sleeps when nothing is to be done. False when there was something after all. */
static bool try_sleep(struct real_loop *real, uint64_t wait_ns)
{
	struct loop *loop = &real->core;
	uint64_t deadline_ns;

	if (!core_arm(loop))
		return false;
	io_refill(real);
	real_wake_arm(real);
	watches_arm(real);
	if (!real->wake_armed || !mark_asleep(real))
		return false;
	deadline_ns = core_next_deadline_ns(loop);
	if (deadline_ns != UINT64_MAX) {
		const uint64_t now_ns = loop_clock_ns(loop);

		if (deadline_ns <= now_ns) {
			loop->worked = true; /* the next turn looks at the clock */
			return false;
		}
		wait_ns = MIN(wait_ns, deadline_ns - now_ns);
	}
	core_count(&loop->counters.sleeps, 1);
	ring_submit_and_wait(real, wait_ns);
	/* Time passed: the next turn must look at the clock. */
	loop->worked = true;
	real->spin_until_ns = 0;
	return true;
}

/* True when nothing is left that a turn without sleep could do. */
static bool may_sleep(struct real_loop *real, bool quiet)
{
	return quiet && list_empty(&real->core.tasks) && spun_enough(real) &&
	       !atomic_load_explicit(&real->stop, memory_order_relaxed);
}

void loop_turn(struct loop *loop, uint64_t wait_ns)
{
	struct real_loop *real = real_of(loop);
	struct loop *before = core_enter(loop);

	ASSERT(loop->twin == &real_twin && before != loop);
	ring_bind(&real->ring);
	/* Timers may have been armed since the last turn. */
	loop->worked = true;
	/* The caller may wait for what this pass did; what ends the sleep is handled, too. */
	if (pass(real) && !loop->worked && wait_ns > 0 && may_sleep(real, true) &&
	    try_sleep(real, wait_ns))
		pass(real);
	hand_over(real);
	core_turn_end(loop);
	core_enter(before);
}

void loop_run(struct loop *loop)
{
	struct real_loop *real = real_of(loop);
	struct loop *before = core_enter(loop);

	ASSERT(loop->twin == &real_twin && before != loop);
	ring_bind(&real->ring);
	/* Spares each system call the look-up of the descriptor; kernels that refuse do without. */
	io_uring_register_ring_fd(&real->ring.uring);
	while (!atomic_load_explicit(&real->stop, memory_order_acquire))
		if (!may_sleep(real, pass(real)) || !try_sleep(real, UINT64_MAX))
			hand_over(real);
	atomic_store_explicit(&real->stop, false, memory_order_relaxed);
	/* The registration is the thread's; loop_free() may come from another. */
	io_uring_unregister_ring_fd(&real->ring.uring);
	core_turn_end(loop);
	core_enter(before);
}

static void real_stop(struct loop *loop)
{
	struct real_loop *real = real_of(loop);

	atomic_store_explicit(&real->stop, true, memory_order_release);
	/* Unconditional: a loop about to sleep finds the eventfd readable. */
	wake(real);
}

const struct loop_twin real_twin = {
	.clock_ns = real_clock_ns,
	.message_send = real_message_send,
	.stop = real_stop,
	.offload = offload_job,
	.free = real_free,
};
