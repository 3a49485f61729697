/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of the stores of a completion entry. A reader in another thread meets a wrong order
 * once in a very long time, for both stores go to one cache line. So the processor goes step by
 * step (the trap flag of x86), and after each instruction a signal handler looks at the entry.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include "harness.h"

#define ENTRIES 4
#define ROUNDS 6
#define OLD_BODY 0xAAAAAAAAU
#define OLD_CID 0xBBBBU
#define TRAP_FLAG 0x100U

/* What the handler looks at, and what it found. */
static struct {
	const volatile uint8_t *entry;
	unsigned phase;
	unsigned steps;
	bool posted;
	bool torn; /* the phase was new and something else was old */
} watched;

static void on_step(int signal)
{
	const uint32_t dw0 = *(const volatile uint32_t *)(const volatile void *)watched.entry;
	const uint64_t rest =
		*(const volatile uint64_t *)(const volatile void *)(watched.entry + 8);

	watched.steps++;
	if ((rest >> 48 & 1) != watched.phase)
		return;
	watched.posted = true;
	if (dw0 == OLD_BODY || (rest >> 32 & 0xFFFF) == OLD_CID)
		watched.torn = true;
}

static void step_by_step(bool on)
{
#if defined(__x86_64__)
	const uint64_t flags = __readeflags();

	__writeeflags(on ? flags | TRAP_FLAG : flags & ~(uint64_t)TRAP_FLAG);
#endif
}

static void need_steps(void)
{
#if !defined(__x86_64__)
	print_message("skipped: only x86 has a trap flag\n");
	skip();
#endif
}

/* The entry as it was a lap ago, but for its body and its identifier. */
static void make_old(volatile uint8_t *entry, unsigned phase)
{
	volatile uint32_t *dw = (volatile uint32_t *)(volatile void *)entry;

	dw[0] = OLD_BODY;
	dw[3] = (uint32_t)!phase << 16 | OLD_CID;
}

/* 23: at no moment has an entry the new phase and an old body. */
static void test_23_body_before_phase(void **state)
{
	const struct harness_params params = {.seed = 23};
	const struct harness_sqe sqe = harness_admin(0x0A, 0, 0, 7, 0);
	const struct sigaction action = {.sa_handler = on_step};
	struct harness h;
	struct harness_queue *admin;
	struct harness_cqe cqe;
	struct sigaction before;

	need_steps();
	harness_open(&h, &params);
	harness_enable(&h, 16, ENTRIES);
	admin = &h.queues[0];
	sigaction(SIGTRAP, &action, &before);
	for (unsigned i = 0; i < ROUNDS; i++) {
		volatile uint8_t *entry = harness_ptr(&h, admin->cq_iova + 16 * admin->cq_head);

		watched.entry = entry;
		watched.phase = admin->phase;
		watched.posted = false;
		make_old(entry, admin->phase);
		harness_put(&h, admin, &sqe);
		step_by_step(true);
		harness_ring_sq(&h, admin);
		for (unsigned turn = 0; turn < 20 && !watched.posted; turn++)
			harness_turn(&h);
		step_by_step(false);
		assert_true(watched.posted);
		assert_false(watched.torn);
		assert_true(harness_wait(&h, admin, &cqe));
		assert_int_equal(cqe.dw0, 7 << 16 | 7); /* eight queues of each kind */
	}
	sigaction(SIGTRAP, &before, NULL);
	assert_true(watched.steps > 0);
	harness_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_23_body_before_phase),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
