/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The timer heap under random arming, moving and disarming from inside callbacks, held against
 * a plain array: whatever fires must be the earliest of all that are armed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <quoin/loop_sim.h>

#define TIMERS 64
#define FIRES 3000
#define SEEDS 10
#define FOREVER (1000 * NS_PER_S)

struct crowd {
	struct loop *loop;
	struct random random;
	unsigned fired;
	uint64_t orders; /* of arming, as the model counts it */
	struct member {
		struct loop_timer timer;
		struct crowd *crowd;
		bool armed;
		uint64_t deadline_ns;
		uint64_t order;
	} members[TIMERS];
};

static void arm(struct member *member)
{
	struct crowd *crowd = member->crowd;

	/* Coarse, so that many are equal; some in the past. */
	member->deadline_ns =
		loop_now_ns(crowd->loop) / 10000 * 10000 + random_below(&crowd->random, 20) * 10000;
	member->order = ++crowd->orders;
	member->armed = true;
	loop_timer_arm(crowd->loop, &member->timer, member->deadline_ns);
}

static void disarm(struct member *member)
{
	member->armed = false;
	loop_timer_disarm(member->crowd->loop, &member->timer);
}

static bool before(const struct member *a, const struct member *b)
{
	return a->deadline_ns < b->deadline_ns ||
	       (a->deadline_ns == b->deadline_ns && a->order < b->order);
}

static void check_earliest(const struct crowd *crowd, const struct member *fired)
{
	for (unsigned i = 0; i < TIMERS; i++) {
		const struct member *other = &crowd->members[i];

		assert_int_equal(loop_timer_armed(&other->timer), other->armed && other != fired);
		assert_false(other->armed && before(other, fired));
	}
}

static void fire(struct loop_timer *timer)
{
	struct member *member = container_of(timer, struct member, timer);
	struct crowd *crowd = member->crowd;

	assert_true(member->armed);
	assert_true(member->deadline_ns <= loop_now_ns(crowd->loop));
	check_earliest(crowd, member);
	member->armed = false;
	if (++crowd->fired > FIRES)
		return;
	for (unsigned i = 0; i < 4; i++) {
		struct member *any = &crowd->members[random_below(&crowd->random, TIMERS)];

		if (random_chance(&crowd->random, 1, 3))
			disarm(any);
		else
			arm(any);
	}
	arm(member);
}

static void fires_the_earliest_always(void **state)
{
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		static struct crowd crowd;
		struct loop_sim *sim = loop_sim_new(seed);

		print_message("seed %u\n", (unsigned)seed);
		crowd = (struct crowd){.loop = loop_sim_add(sim)};
		random_init(&crowd.random, seed);
		for (unsigned i = 0; i < TIMERS; i++) {
			crowd.members[i].crowd = &crowd;
			loop_timer_init(&crowd.members[i].timer, fire);
			disarm(&crowd.members[i]);
			arm(&crowd.members[i]);
		}
		assert_true(loop_sim_run(sim, NULL, FOREVER, 1000000));
		assert_true(crowd.fired > FIRES);
		for (unsigned i = 0; i < TIMERS; i++)
			assert_false(crowd.members[i].armed);
		loop_sim_free(sim);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fires_the_earliest_always),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
