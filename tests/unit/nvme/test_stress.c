/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two real threads: the controller on its loop, and a guest that stores shadow doorbells and looks
 * at its completion queue, as fast as it can.
 *
 * 75  No wake-up is lost. The polling window is as short as it gets and the guest waits a random
 *     moment between commands, so that its store to the shadow meets the controller's store to
 *     EventIdx; the guest rings only when EventIdx says so, and nothing else would ever wake the
 *     controller (no timer is armed). Without the fence in doorbell.c this hangs within seconds.
 * 23  No completion entry is seen half written: each one carries its own number twice, in the CID
 *     and in the head, and the guest looks at once.
 *
 * QUOIN_STRESS_COMMANDS: commands of the wake-up test (default 150000 a run, at most 20 s;
 * thorough: 100000000). QUOIN_STRESS_BENCH=1: more commands, for the rates it prints (null drive).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <quoin/base_endian.h>
#include <quoin/base_random.h>

#include "harness.h"

#define COMMANDS_DEFAULT 150000
#define HANG_NS (20 * NS_PER_S)	  /* the machine may be busy with other things */
#define ENOUGH_NS (20 * NS_PER_S) /* of one run, unless QUOIN_STRESS_COMMANDS says how many */
#define PAUSE_MAX 12000		  /* turns of an empty loop between two commands */
#define SPINS_PER_CLOCK 1024

struct bell {
	struct loop_message message;
	atomic_bool busy;
	struct harness *h;
	unsigned offset;
	uint32_t value;
};

struct side {
	struct harness h;
	struct harness_queue *q;
	struct bell bell;
	uint64_t page;
	uint64_t bells;
	struct random random;
	bool (*run)(struct side *s); /* in the guest's thread */
	uint64_t commands;
	unsigned depth;
	uint64_t start_ns;
	uint64_t failed_at; /* the command that went wrong, when run() returned false */
	bool good;
	double rate;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* An MMIO write reaches the controller as a message to its thread. */
static void bell_deliver(struct loop_message *message)
{
	struct bell *bell = container_of(message, struct bell, message);

	harness_set32(bell->h, bell->offset, bell->value);
	atomic_store_explicit(&bell->busy, false, memory_order_release);
}

static void bell_ring(struct side *s, unsigned index, uint32_t value)
{
	while (atomic_load_explicit(&s->bell.busy, memory_order_acquire))
		;
	atomic_store_explicit(&s->bell.busy, true, memory_order_relaxed);
	s->bell.offset = NVME_BAR_DOORBELLS + index * 4;
	s->bell.value = value;
	s->bells++;
	loop_message_send(s->h.loop, &s->bell.message);
}

/* What a driver does: NVMe 1.4, 7.13. */
static void guest_ring(struct side *s, unsigned index, uint32_t value)
{
	_Atomic uint32_t *shadow = harness_ptr(&s->h, s->h.shadow_iova + index * 4ULL);
	_Atomic uint32_t *event = harness_ptr(&s->h, s->h.event_iova + index * 4ULL);
	const uint32_t old = atomic_load_explicit(shadow, memory_order_relaxed);
	uint32_t passed;

	atomic_store_explicit(shadow, value, memory_order_release);
	atomic_thread_fence(memory_order_seq_cst);
	passed = atomic_load_explicit(event, memory_order_relaxed);
	if ((uint16_t)(value - passed - 1) < (uint16_t)(value - old))
		bell_ring(s, index, value);
}

static void *guest_thread(void *arg)
{
	struct side *s = arg;
	s->start_ns = now_ns();
	s->good = s->run(s);
	s->rate = (double)s->commands * 1e9 / (double)(now_ns() - s->start_ns);
	while (atomic_load(&s->bell.busy))
		;
	loop_stop(s->h.loop);
	return NULL;
}

/* Sets all up, then runs the loop here and the guest in a thread of its own. */
static void side_run(struct side *s, unsigned poll_us, unsigned entries)
{
	const struct harness_params params = {.real = true, .spec = "null:1G", .poll_us = poll_us};
	struct nvme_stats stats;
	pthread_t thread;

	harness_open(&s->h, &params);
	assert_int_equal(harness_enable(&s->h, 32, 32), 1);
	s->q = harness_create(&s->h, 1, entries, entries);
	assert_int_equal(harness_shadow_on(&s->h), 0);
	s->page = harness_alloc(&s->h, 4096 * 256);
	s->bell.message.deliver = bell_deliver;
	s->bell.h = &s->h;
	atomic_init(&s->bell.busy, false);
	random_init(&s->random, 75);
	assert_int_equal(pthread_create(&thread, NULL, guest_thread, s), 0);
	loop_run(s->h.loop);
	pthread_join(thread, NULL);
	nvme_controller_stats(s->h.controller, &stats);
	printf("depth %3u, %4u entries: %.2f M commands/s, %.4f bells a command, %llu sleeps\n",
	       s->depth, entries, s->rate / 1e6, (double)s->bells / (double)s->commands,
	       (unsigned long long)stats.wakeups);
	if (!s->good)
		fail_msg("wrong, or nothing for 20 s, at command %llu",
			 (unsigned long long)s->failed_at);
	harness_close(&s->h);
}

/* False when nothing came for HANG_NS. */
static bool wait_one(struct side *s, struct harness_cqe *cqe)
{
	uint64_t deadline = 0;

	for (uint64_t spins = 0;; spins++) {
		if (harness_take_quietly(&s->h, s->q, cqe))
			return true;
		if (spins % SPINS_PER_CLOCK != SPINS_PER_CLOCK - 1)
			continue;
		if (deadline == 0)
			deadline = now_ns() + HANG_NS;
		else if (now_ns() > deadline)
			return false;
	}
}

static void put_read(struct side *s, uint64_t slba, unsigned slot)
{
	const struct harness_sqe sqe = harness_io(2, slba, 8, s->page + slot * 4096ULL, 0);

	harness_put(&s->h, s->q, &sqe);
}

static void pause_randomly(struct side *s)
{
	const uint64_t turns = random_below(&s->random, PAUSE_MAX);

	for (uint64_t i = 0; i < turns; i++)
		__asm__ volatile("" ::: "memory");
}

static uint64_t commands_wanted(void)
{
	const char *text = getenv("QUOIN_STRESS_COMMANDS");

	return text ? strtoull(text, NULL, 10) : COMMANDS_DEFAULT;
}

/* True when a run that has no wish for a number of commands took long enough. */
static bool enough(struct side *s, uint64_t done)
{
	if (done % SPINS_PER_CLOCK != 0 || getenv("QUOIN_STRESS_COMMANDS") ||
	    now_ns() - s->start_ns < ENOUGH_NS)
		return false;
	s->commands = done;
	return true;
}

/* One command at a time, with pauses that let the controller go to sleep. */
static bool run_singly(struct side *s)
{
	for (uint64_t i = 0; i < s->commands && !(i > 0 && enough(s, i)); i++) {
		struct harness_cqe cqe;

		s->failed_at = i;
		put_read(s, i % 1000, 0);
		guest_ring(s, 2, s->q->sq_tail);
		if (!wait_one(s, &cqe) || cqe.cid != (uint16_t)i || cqe.status != 0 ||
		    cqe.sq_head != s->q->sq_tail)
			return false;
		guest_ring(s, 3, s->q->cq_head);
		pause_randomly(s);
	}
	return true;
}

static void test_75_no_lost_wakeup(void **state)
{
	struct side s = {.run = run_singly, .depth = 1, .commands = commands_wanted()};

	side_run(&s, 1, 64);
}

static void test_75_78_no_lost_wakeup_tiny_queue(void **state)
{
	struct side s = {.run = run_singly, .depth = 1, .commands = commands_wanted()};

	side_run(&s, 1, 2);
}

/* Takes what is there, at least one. */
static unsigned take_batch(struct side *s, uint64_t completed)
{
	struct harness_cqe cqe;
	unsigned taken = 0;

	if (!wait_one(s, &cqe))
		return 0;
	do {
		if (cqe.cid != (uint16_t)(completed + taken) || cqe.status != 0)
			return 0;
		taken++;
	} while (taken < s->depth && harness_take_quietly(&s->h, s->q, &cqe));
	guest_ring(s, 3, s->q->cq_head);
	return taken;
}

/* Keeps `depth` commands in flight. */
static bool run_deeply(struct side *s)
{
	uint64_t submitted = 0, completed = 0;

	while (completed < s->commands) {
		const unsigned free_slots = s->depth - (unsigned)(submitted - completed);
		const uint64_t wanted = s->commands - submitted;
		const unsigned batch = (unsigned)(wanted < free_slots ? wanted : free_slots);
		unsigned taken;

		for (unsigned i = 0; i < batch; i++, submitted++)
			put_read(s, submitted % 1000, (unsigned)(submitted % 256));
		if (batch > 0)
			guest_ring(s, 2, s->q->sq_tail);
		s->failed_at = completed;
		taken = take_batch(s, completed);
		if (taken == 0)
			return false;
		completed += taken;
	}
	return true;
}

static void test_23_entries_are_whole(void **state)
{
	static const unsigned depths[] = {1, 2, 7, 32, 128};
	const bool bench = getenv("QUOIN_STRESS_BENCH") != NULL;

	for (unsigned i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
		struct side s = {
			.run = run_deeply, .depth = depths[i], .commands = bench ? 3000000 : 50000};

		side_run(&s, 0, 256);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_75_no_lost_wakeup),
		cmocka_unit_test(test_75_78_no_lost_wakeup_tiny_queue),
		cmocka_unit_test(test_23_entries_are_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
