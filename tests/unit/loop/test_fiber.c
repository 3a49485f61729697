/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fibers, in both twins: every test runs on the real loop and on simulated ones, of as many seeds
 * as QUOIN_FIBER_SEEDS says (default 20).
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <quoin/loop_fiber.h>
#include <quoin/loop_sim.h>

#include "real.h"

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#define POISONS
#endif
#endif

#define SEEDS_DEFAULT 20
#define FOREVER (1000 * NS_PER_S)

struct world {
	struct loop_sim *sim; /* NULL = real */
	struct loop *loop;
	char trace[64];
	bool done;
	struct fiber *other;
	unsigned count;
	uint64_t slept_ns;
	uintptr_t stack; /* where it was */
};

static void trace(struct world *w, char c)
{
	const size_t length = strlen(w->trace);

	assert_true(length + 1 < sizeof(w->trace));
	w->trace[length] = c;
}

static void world_run(struct world *w)
{
	if (w->sim != NULL)
		assert_true(loop_sim_run(w->sim, &w->done, FOREVER, TURNS_MAX));
	else
		test_turn_until(w->loop, &w->done);
	assert_true(w->done);
}

static void world_fini(struct world *w)
{
	if (w->sim != NULL)
		loop_sim_free(w->sim);
	else
		loop_free(w->loop);
}

static uint64_t seeds(void)
{
	const char *text = getenv("QUOIN_FIBER_SEEDS");

	return text ? strtoull(text, NULL, 10) : SEEDS_DEFAULT;
}

static void on_both_twins(void (*test)(struct world *w))
{
	struct world real = {.loop = test_loop_new()};

	test(&real);
	world_fini(&real);
	for (uint64_t seed = 0; seed < seeds(); seed++) {
		struct world simulated = {.sim = loop_sim_new(seed)};

		simulated.loop = loop_sim_add(simulated.sim);
		test(&simulated);
		world_fini(&simulated);
	}
}

static struct fiber *start(struct world *w, bool joinable, void (*main)(void *arg))
{
	struct fiber *fiber = NULL;

	assert_int_equal(fiber_start(w->loop, joinable, main, w, &fiber), 0);
	return fiber;
}

/* --- Park and wake -------------------------------------------------------------------------- */

static void parker(void *arg)
{
	struct world *w = arg;

	assert_ptr_equal(fiber_loop(fiber_self()), w->loop);
	trace(w, 'a');
	fiber_park();
	trace(w, 'c');
	/* Wakes before a park are remembered, as one. */
	fiber_wake(fiber_self());
	fiber_wake(fiber_self());
	fiber_park();
	trace(w, 'd');
	w->count = 1;
	fiber_park();
	trace(w, 'f');
}

static void waker(void *arg)
{
	struct world *w = arg;

	w->other = start(w, true, parker);
	while (strcmp(w->trace, "a") != 0)
		fiber_yield();
	trace(w, 'b');
	fiber_wake(w->other);
	while (w->count == 0)
		fiber_yield();
	trace(w, 'e');
	assert_false(fiber_ended(w->other));
	fiber_wake(w->other);
	fiber_wake(w->other);
	while (!fiber_ended(w->other))
		fiber_yield();
	fiber_wake(w->other);
	fiber_reap(w->other);
	w->done = true;
}

static void test_park(struct world *w)
{
	assert_null(fiber_self());
	start(w, false, waker);
	world_run(w);
	assert_null(fiber_self());
	assert_string_equal(w->trace, "abcdef");
}

static void park_and_wake(void **state)
{
	on_both_twins(test_park);
}

/* --- Sleep, cancel, join -------------------------------------------------------------------- */

static void sleeper(void *arg)
{
	struct world *w = arg;
	const uint64_t start_ns = loop_now_ns(w->loop);

	/* A wake does not end a sleep; it stays for the park that follows. */
	fiber_wake(fiber_self());
	assert_int_equal(fiber_sleep_ns(2 * NS_PER_MS), 0);
	w->slept_ns = loop_now_ns(w->loop) - start_ns;
	fiber_park();
	trace(w, 's');
	while (!fiber_cancelled()) {
		trace(w, 't');
		assert_int_equal(fiber_sleep_ns(FOREVER), -ECANCELED);
	}
	assert_int_equal(fiber_sleep_ns(FOREVER), -ECANCELED);
	trace(w, 'u');
}

static void short_lived(void *arg)
{
	trace(arg, fiber_cancelled() ? 'q' : '?');
}

static void canceller(void *arg)
{
	struct world *w = arg;

	w->other = start(w, true, sleeper);
	while (strcmp(w->trace, "st") != 0)
		assert_int_equal(fiber_sleep_ns(NS_PER_MS), 0);
	fiber_cancel(w->other);
	fiber_cancel(w->other);
	fiber_join(w->other);
	trace(w, 'j');
	/* One that has ended already. */
	w->other = start(w, true, short_lived);
	fiber_cancel(w->other);
	while (!fiber_ended(w->other))
		fiber_yield();
	fiber_join(w->other);
	w->done = true;
}

static void test_cancel(struct world *w)
{
	struct fiber *fiber = start(w, true, canceller);

	world_run(w);
	assert_true(fiber_ended(fiber));
	fiber_reap(fiber);
	assert_true(w->slept_ns >= 2 * NS_PER_MS);
	assert_string_equal(w->trace, "stujq");
}

static void sleep_cancel_join(void **state)
{
	on_both_twins(test_cancel);
}

/* --- Many, and deep stacks ------------------------------------------------------------------ */

#define MANY 200

static unsigned use_stack(struct world *w, unsigned depth)
{
	volatile char frame[256];

	memset((char *)frame, (int)depth, sizeof(frame));
	if (depth == 0)
		fiber_yield();
	return depth == 0 ? 0 : use_stack(w, depth - 1) + (unsigned)(frame[7] == (char)depth);
}

static void deep(void *arg)
{
	struct world *w = arg;

	assert_int_equal(use_stack(w, 60), 60);
	if (++w->count == MANY)
		w->done = true;
}

static void test_many(struct world *w)
{
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(fiber_start(w->loop, false, deep, w, NULL), 0);
	world_run(w);
	assert_int_equal(w->count, MANY);
}

static void many_fibers_keep_their_stacks(void **state)
{
	on_both_twins(test_many);
}

/* --- The guard page ------------------------------------------------------------------------- */

/* Far deeper than a fiber's stack. */
static unsigned descend(volatile const char *above, unsigned depth)
{
	volatile char frame[512];

	frame[0] = above[0];
	return depth == 0 ? 0 : descend(frame, depth - 1) + (unsigned)frame[0];
}

static void overflow(void *arg)
{
	const char start = 1;

	exit(descend(&start, 100000) == 0);
}

static void look_at_stack(void *arg)
{
	struct world *w = arg;

	w->stack = (uintptr_t)__builtin_frame_address(0);
	w->done = true;
}

/* Returns where the stack of its one fiber was. */
static uintptr_t short_world(struct loop_stacks *stacks)
{
	struct world w = {.sim = loop_sim_new(1)};

	loop_sim_stacks_set(w.sim, stacks);
	w.loop = loop_sim_add(w.sim);
	start(&w, false, look_at_stack);
	world_run(&w);
	world_fini(&w);
	return w.stack;
}

static void overflow_once(bool again)
{
	const struct rlimit no_core = {0};
	const pid_t pid = fork();
	int status = 0;

	assert_true(pid >= 0);
	if (pid == 0) {
		struct loop_stacks *stacks = loop_stacks_new();
		struct world w = {.sim = loop_sim_new(1)};

		signal(SIGSEGV, SIG_DFL);
		setrlimit(RLIMIT_CORE, &no_core);
		/* A stack that is used again has its guard too. */
		if (again)
			short_world(stacks);
		loop_sim_stacks_set(w.sim, stacks);
		w.loop = loop_sim_add(w.sim);
		start(&w, false, overflow);
		world_run(&w);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
}

static void overflow_ends_in_the_guard_page(void **state)
{
	overflow_once(false);
	overflow_once(true);
}

/* --- A world that ends ---------------------------------------------------------------------- */

static void parked_for_ever(void *arg)
{
	fiber_park();
}

static void sleeping_for_ever(void *arg)
{
	fiber_sleep_ns(FOREVER);
}

static void simulated_world_takes_its_fibers_along(void **state)
{
	struct world w = {.sim = loop_sim_new(1)};

	w.loop = loop_sim_add(w.sim);
	start(&w, true, parked_for_ever);
	start(&w, false, sleeping_for_ever);
	assert_false(loop_sim_run(w.sim, NULL, NS_PER_S, TURNS_MAX));
	start(&w, false, parked_for_ever);
	world_fini(&w);
}

static void stacks_are_used_again(void **state)
{
	struct loop_stacks *stacks = loop_stacks_new();
	const uintptr_t first = short_world(stacks);

	assert_int_equal(short_world(stacks), first);
	for (uint64_t seed = 0; seed < seeds(); seed++) {
		struct world w = {.sim = loop_sim_new(seed)};

		loop_sim_stacks_set(w.sim, stacks);
		w.loop = loop_sim_add(w.sim);
		test_many(&w);
		start(&w, true, parked_for_ever);
		start(&w, false, sleeping_for_ever);
		assert_false(loop_sim_run(w.sim, NULL, FOREVER / 2, TURNS_MAX));
		world_fini(&w);
	}
	loop_stacks_free(stacks);
}

/* --- What AddressSanitizer knows ---------------------------------------------------------------
 */

#ifdef POISONS
static void poisons(void *arg)
{
	struct world *w = arg;
	_Alignas(8) char bytes[64];

	ASAN_POISON_MEMORY_REGION(bytes, sizeof(bytes));
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(fiber_sleep_ns(NS_PER_MS), 0);
		assert_true(__asan_address_is_poisoned(bytes));
		assert_true(__asan_address_is_poisoned(bytes + sizeof(bytes) - 1));
	}
	ASAN_UNPOISON_MEMORY_REGION(bytes, sizeof(bytes));
	w->done = true;
}

static void test_poison(struct world *w)
{
	start(w, false, poisons);
	world_run(w);
}

static void poison_outlasts_switches(void **state)
{
	on_both_twins(test_poison);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(park_and_wake),
		cmocka_unit_test(sleep_cancel_join),
		cmocka_unit_test(many_fibers_keep_their_stacks),
		cmocka_unit_test(overflow_ends_in_the_guard_page),
		cmocka_unit_test(simulated_world_takes_its_fibers_along),
		cmocka_unit_test(stacks_are_used_again),
#ifdef POISONS
		cmocka_unit_test(poison_outlasts_switches),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
