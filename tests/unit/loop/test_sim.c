/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated twin: one seed, one run; order, delays, time, and the ends of a run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <quoin/base.h>
#include <quoin/loop_sim.h>

#define NODES 4
#define LETTERS 50
#define CHORES 3
#define TURNS_MAX 1000000
#define FOREVER (1000 * NS_PER_S)

/* --- A busy little world whose every event goes into a hash --------------------------------- */

struct node {
	struct town *town;
	struct loop *loop;
	unsigned index;
	struct chore {
		struct loop_task task;
		struct node *node;
		unsigned index;
	} chores[CHORES];
	struct loop_timer timer;
	struct loop_job job;
	struct letter {
		struct loop_message message;
		struct node *from;
		struct node *to;
		unsigned number; /* of this pair: every sender writes to one neighbour */
	} letters[LETTERS];
	unsigned sent;
	unsigned expected[NODES]; /* next number from each sender */
};

struct town {
	struct loop_sim *sim;
	struct node nodes[NODES];
	uint64_t hash;
	unsigned received;
	unsigned jobs;
	uint64_t last_ns;
};

static void note(struct node *node, uint64_t what)
{
	struct town *town = node->town;
	const uint64_t now_ns = loop_now_ns(node->loop);
	const uint64_t words[] = {now_ns, node->index, what};

	assert_true(loop_is_current(node->loop));
	assert_true(now_ns >= town->last_ns);
	town->last_ns = now_ns;
	for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
		town->hash = (town->hash ^ words[i]) * UINT64_C(0x100000001b3);
}

static void open_letter(struct loop_message *message)
{
	struct letter *letter = container_of(message, struct letter, message);
	struct node *to = letter->to;

	note(to, 100 + letter->number);
	assert_int_equal(to->expected[letter->from->index], letter->number);
	to->expected[letter->from->index]++;
	to->town->received++;
}

static void run_task(struct loop_task *task)
{
	struct chore *chore = container_of(task, struct chore, task);

	note(chore->node, 10 + chore->index);
}

static void fire(struct loop_timer *timer)
{
	struct node *node = container_of(timer, struct node, timer);
	struct letter *letter = &node->letters[node->sent];

	note(node, 20);
	if (node->sent == LETTERS)
		return;
	*letter = (struct letter){
		.message.deliver = open_letter,
		.from = node,
		.to = &node->town->nodes[(node->index + 1) % NODES],
		.number = node->sent++,
	};
	loop_message_send(letter->to->loop, &letter->message);
	loop_timer_arm(node->loop, timer,
		       loop_now_ns(node->loop) +
			       random_below(loop_random(node->loop), 20 * NS_PER_US));
	for (unsigned i = 0; i < CHORES; i++)
		loop_task_post(node->loop, &node->chores[i].task);
}

static void job_work(struct loop_job *job)
{
	note(container_of(job, struct node, job), 30);
}

static void job_done(struct loop_job *job)
{
	struct node *node = container_of(job, struct node, job);

	note(node, 40);
	node->town->jobs++;
}

static uint64_t run_town(uint64_t seed)
{
	static struct town town;

	town = (struct town){.sim = loop_sim_new(seed), .hash = 1};
	for (unsigned i = 0; i < NODES; i++) {
		struct node *node = &town.nodes[i];

		node->town = &town;
		node->index = i;
		node->loop = loop_sim_add(town.sim);
		for (unsigned t = 0; t < CHORES; t++) {
			node->chores[t].node = node;
			node->chores[t].index = t;
			loop_task_init(&node->chores[t].task, run_task);
		}
		loop_timer_init(&node->timer, fire);
		loop_timer_arm(node->loop, &node->timer, 1000);
		node->job = (struct loop_job){.work = job_work, .done = job_done};
		loop_offload(node->loop, &node->job);
	}
	assert_true(loop_sim_run(town.sim, NULL, FOREVER, TURNS_MAX));
	assert_int_equal(town.received, NODES * LETTERS);
	assert_int_equal(town.jobs, NODES);
	loop_sim_free(town.sim);
	return town.hash;
}

static void same_seed_same_run(void **state)
{
	uint64_t previous = 0;

	for (uint64_t seed = 1; seed <= 20; seed++) {
		const uint64_t hash = run_town(seed);

		assert_int_equal(hash, run_town(seed));
		assert_int_not_equal(hash, previous);
		previous = hash;
	}
}

/* --- Order between senders ------------------------------------------------------------------ */

struct race {
	struct loop *loops[3];
	struct racer {
		struct loop_task task;
		struct loop_message message;
		struct race *race;
		unsigned index;
	} racers[2];
	unsigned arrived;
	unsigned first;
};

static void race_arrive(struct loop_message *message)
{
	struct racer *racer = container_of(message, struct racer, message);

	if (racer->race->arrived++ == 0)
		racer->race->first = racer->index;
}

static void race_start(struct loop_task *task)
{
	struct racer *racer = container_of(task, struct racer, task);

	loop_message_send(racer->race->loops[2], &racer->message);
}

static void either_sender_may_win(void **state)
{
	unsigned wins[2] = {0};

	for (uint64_t seed = 0; seed < 100; seed++) {
		struct loop_sim *sim = loop_sim_new(seed);
		struct race race = {0};

		for (unsigned i = 0; i < 3; i++)
			race.loops[i] = loop_sim_add(sim);
		for (unsigned i = 0; i < 2; i++) {
			race.racers[i] = (struct racer){
				.message.deliver = race_arrive, .race = &race, .index = i};
			loop_task_init(&race.racers[i].task, race_start);
			loop_task_post(race.loops[i], &race.racers[i].task);
		}
		assert_true(loop_sim_run(sim, NULL, FOREVER, TURNS_MAX));
		assert_int_equal(race.arrived, 2);
		wins[race.first]++;
		loop_sim_free(sim);
	}
	assert_in_range(wins[0], 20, 80);
}

/* --- Time ----------------------------------------------------------------------------------- */

struct alarm {
	struct loop_timer timer;
	struct loop *loop;
	uint64_t rang_ns;
	bool rang;
};

static void ring(struct loop_timer *timer)
{
	struct alarm *alarm = container_of(timer, struct alarm, timer);

	alarm->rang_ns = loop_clock_ns(alarm->loop);
	alarm->rang = true;
}

static void time_jumps_to_the_next_event(void **state)
{
	struct loop_sim *sim = loop_sim_new(7);
	struct alarm alarm = {.loop = loop_sim_add(sim)};
	const uint64_t deadline_ns = 3600 * NS_PER_S;

	loop_timer_init(&alarm.timer, ring);
	loop_timer_arm(alarm.loop, &alarm.timer, deadline_ns);
	/* Too early: a hang, and time stands at the limit. */
	assert_false(loop_sim_run(sim, &alarm.rang, NS_PER_S, TURNS_MAX));
	assert_int_equal(loop_sim_now_ns(sim), NS_PER_S);
	assert_true(loop_sim_run(sim, &alarm.rang, 2 * deadline_ns, 100));
	assert_int_equal(alarm.rang_ns, deadline_ns);
	loop_sim_free(sim);
}

struct busy {
	struct loop_poller poller;
	unsigned polls;
	unsigned arms;
	bool quiet;
};

static unsigned busy_poll(struct loop_poller *poller)
{
	struct busy *busy = container_of(poller, struct busy, poller);

	busy->polls++;
	return busy->quiet ? 0 : 1;
}

static bool busy_arm(struct loop_poller *poller)
{
	container_of(poller, struct busy, poller)->arms++;
	return true;
}

static void busy_poller_does_not_stop_time(void **state)
{
	struct loop_sim *sim = loop_sim_new(8);
	struct alarm alarm = {.loop = loop_sim_add(sim)};
	struct busy busy = {.poller = {.poll = busy_poll, .arm = busy_arm}};

	loop_timer_init(&alarm.timer, ring);
	loop_timer_arm(alarm.loop, &alarm.timer, NS_PER_MS);
	loop_poller_add(alarm.loop, &busy.poller);
	assert_true(loop_sim_run(sim, &alarm.rang, FOREVER, 20000));
	assert_true(alarm.rang);
	assert_in_range(busy.polls, 1000, 10001);
	assert_int_equal(busy.arms, 0);
	/* It never rests: turns_max tells. */
	assert_false(loop_sim_run(sim, NULL, FOREVER, 1000));
	busy.quiet = true;
	assert_true(loop_sim_run(sim, NULL, FOREVER, 1000));
	assert_true(busy.arms > 0);
	assert_int_equal(loop_stats_get(alarm.loop).sleeps, 1);
	loop_sim_free(sim);
}

/* A world that ends in the middle leaks nothing and touches nothing of what it held. */
static void world_may_end_in_the_middle(void **state)
{
	for (uint64_t turns = 0; turns < 50; turns++) {
		struct loop_sim *sim = loop_sim_new(turns);
		struct race race = {0};
		/* Work takes a while; this run ends before any starts. */
		struct loop_job job = {.work = NULL};

		for (unsigned i = 0; i < 3; i++)
			race.loops[i] = loop_sim_add(sim);
		race.racers[0] = (struct racer){.message.deliver = race_arrive, .race = &race};
		loop_message_send(race.loops[2], &race.racers[0].message);
		loop_offload(race.loops[0], &job);
		assert_false(loop_sim_run(sim, NULL, 0, 1));
		loop_sim_free(sim);
	}
	loop_sim_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_seed_same_run),
		cmocka_unit_test(either_sender_may_win),
		cmocka_unit_test(time_jumps_to_the_next_event),
		cmocka_unit_test(busy_poller_does_not_stop_time),
		cmocka_unit_test(world_may_end_in_the_middle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
