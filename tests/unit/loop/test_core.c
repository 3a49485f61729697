/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks, timers, pollers and sleep of the real loop. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "real.h"

#define TIMERS 500

/* --- Tasks ------------------------------------------------------------------------------ */

struct counted_task {
	struct loop_task task;
	struct loop *loop;
	struct loop_task *victim;
	unsigned runs;
	bool again;
};

static void run_counted(struct loop_task *task)
{
	struct counted_task *counted = container_of(task, struct counted_task, task);

	counted->runs++;
	if (counted->victim != NULL)
		loop_task_cancel(counted->victim);
	if (counted->again)
		loop_task_post(counted->loop, task);
}

static void tasks_run_once_per_turn(void **state)
{
	struct loop *loop = test_loop_new();
	struct counted_task a = {.loop = loop, .again = true};
	struct counted_task b = {.loop = loop};

	loop_task_init(&a.task, run_counted);
	loop_task_init(&b.task, run_counted);
	loop_task_post(loop, &a.task);
	loop_task_post(loop, &b.task);
	loop_task_post(loop, &b.task);
	for (unsigned i = 1; i <= 10; i++) {
		loop_turn(loop, 0);
		assert_int_equal(a.runs, i);
		assert_int_equal(b.runs, 1);
	}
	loop_task_cancel(&a.task);
	loop_turn(loop, 0);
	assert_int_equal(a.runs, 10);
	loop_free(loop);
}

static void task_cancels_ready_task(void **state)
{
	struct loop *loop = test_loop_new();
	struct counted_task b = {.loop = loop};
	struct counted_task a = {.loop = loop, .victim = &b.task};

	loop_task_init(&a.task, run_counted);
	loop_task_init(&b.task, run_counted);
	loop_task_post(loop, &a.task);
	loop_task_post(loop, &b.task);
	loop_turn(loop, 0);
	loop_turn(loop, 0);
	assert_int_equal(a.runs, 1);
	assert_int_equal(b.runs, 0);
	loop_free(loop);
}

/* --- Timers ----------------------------------------------------------------------------- */

struct clockwork {
	struct loop *loop;
	uint64_t last_ns;
	unsigned last_index;
	unsigned fired;
	struct test_timer {
		struct loop_timer timer;
		struct clockwork *owner;
		unsigned index;
	} timers[TIMERS];
};

static void fire_in_order(struct loop_timer *timer)
{
	struct test_timer *t = container_of(timer, struct test_timer, timer);
	struct clockwork *w = t->owner;

	assert_false(loop_timer_armed(timer));
	assert_true(timer->deadline_ns <= loop_now_ns(w->loop));
	assert_true(timer->deadline_ns >= w->last_ns);
	if (timer->deadline_ns == w->last_ns)
		assert_true(t->index > w->last_index);
	w->last_ns = timer->deadline_ns;
	w->last_index = t->index;
	w->fired++;
}

/* Deadlines in few steps, so that many are equal; some timers are moved, some disarmed. */
static void timers_fire_in_order(void **state)
{
	static struct clockwork w;
	struct random random;
	unsigned armed = 0;
	uint64_t start_ns;

	w = (struct clockwork){.loop = test_loop_new()};
	start_ns = loop_now_ns(w.loop);
	random_init(&random, 1);
	for (unsigned i = 0; i < TIMERS; i++) {
		w.timers[i].owner = &w;
		w.timers[i].index = i;
		loop_timer_init(&w.timers[i].timer, fire_in_order);
		loop_timer_arm(w.loop, &w.timers[i].timer,
			       start_ns + random_below(&random, 20) * NS_PER_MS);
	}
	for (unsigned i = 0; i < TIMERS; i++)
		if (random_chance(&random, 1, 4))
			loop_timer_disarm(w.loop, &w.timers[i].timer);
	/* Moved in the order of their index, so that equal deadlines stay in that order. */
	for (unsigned i = 0; i < TIMERS; i++) {
		struct loop_timer *timer = &w.timers[i].timer;

		if (!loop_timer_armed(timer))
			continue;
		armed++;
		loop_timer_arm(w.loop, timer, start_ns + random_below(&random, 20) * NS_PER_MS);
	}
	assert_true(armed > TIMERS / 2);
	for (unsigned i = 0; w.fired < armed; i++) {
		assert_true(i < TURNS_MAX);
		loop_turn(w.loop, NS_PER_S);
	}
	loop_turn(w.loop, 0);
	assert_int_equal(w.fired, armed);
	loop_free(w.loop);
}

struct self_timer {
	struct loop_timer timer;
	struct loop *loop;
	unsigned fired;
};

static void fire_again(struct loop_timer *timer)
{
	struct self_timer *self = container_of(timer, struct self_timer, timer);

	self->fired++;
	loop_timer_arm(self->loop, timer, 0);
}

static void timer_that_rearms_starves_nobody(void **state)
{
	struct self_timer self = {.loop = test_loop_new()};

	loop_timer_init(&self.timer, fire_again);
	loop_timer_arm(self.loop, &self.timer, 0);
	for (unsigned i = 1; i <= 5; i++) {
		loop_turn(self.loop, NS_PER_S);
		assert_in_range(self.fired, i, 2 * i);
	}
	loop_timer_disarm(self.loop, &self.timer);
	loop_free(self.loop);
}

/* --- Pollers ---------------------------------------------------------------------------- */

struct test_poller {
	struct loop_poller poller;
	struct loop *loop;
	struct loop_poller *remove;
	struct loop_poller *add;
	unsigned polls;
	unsigned arms;
	unsigned refuse; /* arms that say no */
};

static unsigned poll_counted(struct loop_poller *poller)
{
	struct test_poller *p = container_of(poller, struct test_poller, poller);

	p->polls++;
	if (p->remove != NULL)
		loop_poller_remove(p->loop, p->remove);
	if (p->add != NULL)
		loop_poller_add(p->loop, p->add);
	p->remove = NULL;
	p->add = NULL;
	return 0;
}

static bool arm_counted(struct loop_poller *poller)
{
	struct test_poller *p = container_of(poller, struct test_poller, poller);

	p->arms++;
	if (p->refuse == 0)
		return true;
	p->refuse--;
	return false;
}

static void poller_init(struct test_poller *p, struct loop *loop)
{
	*p = (struct test_poller){
		.poller = {.poll = poll_counted, .arm = arm_counted},
		.loop = loop,
	};
	loop_poller_add(loop, &p->poller);
}

static void pollers_change_while_polled(void **state)
{
	struct loop *loop = test_loop_new();
	struct test_poller p[4];

	for (unsigned i = 0; i < ARRAY_SIZE(p); i++)
		poller_init(&p[i], loop);
	p[0].remove = &p[1].poller; /* the next one */
	p[2].remove = &p[2].poller; /* itself */
	loop_turn(loop, 0);
	assert_int_equal(p[0].polls, 1);
	assert_int_equal(p[1].polls, 0);
	assert_int_equal(p[2].polls, 1);
	assert_int_equal(p[3].polls, 1);
	p[3].remove = &p[0].poller; /* one before */
	p[3].add = &p[1].poller;    /* behind the last */
	loop_turn(loop, 0);
	loop_turn(loop, 0);
	assert_int_equal(p[0].polls, 2);
	assert_int_equal(p[1].polls, 1);
	assert_int_equal(p[2].polls, 1);
	assert_int_equal(p[3].polls, 3);
	loop_poller_remove(loop, &p[1].poller);
	loop_poller_remove(loop, &p[3].poller);
	loop_free(loop);
}

static void refused_arm_keeps_awake(void **state)
{
	struct loop *loop = test_loop_new();
	struct test_poller p;
	uint64_t sleeps;

	poller_init(&p, loop);
	p.refuse = 3;
	for (unsigned i = 0; i < 3; i++)
		loop_turn(loop, 1);
	assert_int_equal(p.arms, 3);
	assert_int_equal(loop_stats_get(loop).sleeps, 0);
	loop_turn(loop, 1);
	sleeps = loop_stats_get(loop).sleeps;
	assert_int_equal(sleeps, 1);
	loop_poller_remove(loop, &p.poller);
	loop_free(loop);
}

/* --- Sleep ------------------------------------------------------------------------------ */

static void nap(void)
{
	const struct timespec ts = {.tv_nsec = 20 * NS_PER_MS};

	nanosleep(&ts, NULL);
}

static void nothing(void *arg)
{
}

/* An idle loop turns no more: its counters stand still, whatever the machine's speed. */
static void idle_loop_sleeps(void **state)
{
	const struct loop_params params = {.name = "idle", .cpu = -1, .spin_us = 50};
	struct loop *loop = NULL;
	struct loop_stats before;
	struct loop_stats after;
	struct test_poller p;
	unsigned tries = 0;

	assert_int_equal(loop_new(&params, &loop), 0);
	poller_init(&p, loop);
	assert_int_equal(loop_start_thread(loop), 0);
	loop_call(loop, nothing, NULL);
	/* It falls asleep in its own time; from then on nothing may change. */
	do {
		nap();
		before = loop_stats_get(loop);
		nap();
		after = loop_stats_get(loop);
	} while (before.turns != after.turns && ++tries < 500);
	for (unsigned i = 0; i < 5; i++) {
		nap();
		after = loop_stats_get(loop);
		assert_int_equal(before.turns, after.turns);
		assert_int_equal(before.sleeps, after.sleeps);
	}
	assert_true(after.sleeps > 0);
	loop_call(loop, nothing, NULL);
	assert_true(loop_stats_get(loop).turns > after.turns);
	loop_stop(loop);
	loop_join(loop);
	loop_poller_remove(loop, &p.poller);
	loop_free(loop);
}

static void stop_before_run_is_kept(void **state)
{
	struct loop *loop = test_loop_new();

	loop_stop(loop);
	loop_run(loop);
	loop_free(loop);
	loop_free(NULL);
}

static void spinning_loop_does_not_sleep(void **state)
{
	const struct loop_params params = {.name = "spin", .cpu = -1, .spin_us = 1000000000};
	struct loop *loop = NULL;

	assert_int_equal(loop_new(&params, &loop), 0);
	for (unsigned i = 0; i < 100; i++)
		loop_turn(loop, NS_PER_S);
	assert_int_equal(loop_stats_get(loop).sleeps, 0);
	assert_int_equal(loop_stats_get(loop).turns, 100);
	loop_free(loop);
}

static void time_goes_on_outside_turns(void **state)
{
	struct loop *loop = test_loop_new();
	uint64_t first_ns;

	loop_turn(loop, 0);
	first_ns = loop_now_ns(loop);
	while (loop_now_ns(loop) == first_ns)
		nap();
	loop_free(loop);
}

/* --- Threads ---------------------------------------------------------------------------- */

struct thread_facts {
	char name[16];
	int cpu;
	sigset_t mask;
};

static void look_around(void *arg)
{
	struct thread_facts *facts = arg;

	pthread_getname_np(pthread_self(), facts->name, sizeof(facts->name));
	facts->cpu = sched_getcpu();
	pthread_sigmask(SIG_BLOCK, NULL, &facts->mask);
}

static void thread_is_named_pinned_and_deaf(void **state)
{
	const int cpu = test_any_cpu();
	const struct loop_params params = {.name = "a name too long for it", .cpu = cpu};
	struct thread_facts facts;
	struct loop *loop = NULL;
	sigset_t mine;

	assert_int_equal(loop_new(&params, &loop), 0);
	assert_int_equal(loop_start_thread(loop), 0);
	loop_call(loop, look_around, &facts);
	assert_string_equal(facts.name, "a name too long");
	assert_int_equal(facts.cpu, cpu);
	assert_true(sigismember(&facts.mask, SIGTERM));
	assert_false(sigismember(&facts.mask, SIGBUS));
	pthread_sigmask(SIG_BLOCK, NULL, &mine);
	assert_false(sigismember(&mine, SIGTERM));
	loop_stop(loop);
	loop_join(loop);
	loop_free(loop);
}

/* --- Refusals --------------------------------------------------------------------------- */

/* Every descriptor a loop needs is missing once: it says so, and loses none. */
static void without_descriptors_it_is_refused(void **state)
{
	const struct loop_params params = {.name = "poor", .cpu = -1};
	struct rlimit before;
	struct rlimit few;
	const int next_fd = dup(0);
	unsigned refusals = 0;
	struct loop *loop = NULL;
	int r;

	assert_true(next_fd >= 0);
	close(next_fd);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	do {
		few = before;
		few.rlim_cur = (rlim_t)next_fd + refusals;
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
		r = loop_new(&params, &loop);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
		if (r < 0) {
			assert_int_equal(r, -EMFILE);
			assert_null(loop);
			refusals++;
		}
	} while (r < 0 && refusals < 10);
	assert_int_equal(refusals, 3);
	loop_free(loop);
	assert_int_equal(dup(0), next_fd);
	close(next_fd);
}

static void bad_cpu_is_refused(void **state)
{
	static const int cpus[] = {1023, 1024, 1000000};

	for (unsigned i = 0; i < ARRAY_SIZE(cpus); i++) {
		const struct loop_params params = {.name = "cpu", .cpu = cpus[i]};
		struct loop *loop = NULL;

		assert_int_equal(loop_new(&params, &loop), 0);
		assert_int_equal(loop_start_thread(loop), -EINVAL);
		loop_free(loop);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tasks_run_once_per_turn),
		cmocka_unit_test(task_cancels_ready_task),
		cmocka_unit_test(timers_fire_in_order),
		cmocka_unit_test(timer_that_rearms_starves_nobody),
		cmocka_unit_test(pollers_change_while_polled),
		cmocka_unit_test(refused_arm_keeps_awake),
		cmocka_unit_test(idle_loop_sleeps),
		cmocka_unit_test(stop_before_run_is_kept),
		cmocka_unit_test(spinning_loop_does_not_sleep),
		cmocka_unit_test(time_goes_on_outside_turns),
		cmocka_unit_test(thread_is_named_pinned_and_deaf),
		cmocka_unit_test(without_descriptors_it_is_refused),
		cmocka_unit_test(bad_cpu_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
