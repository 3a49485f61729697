/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated twin: any number of loops in one thread, time that moves only when nobody has
 * anything to do, and every choice (which loop turns next, in which order tasks that are ready
 * together run, how long offloaded work takes) taken from one seed. A turn costs 100 to 1000 ns of
 * virtual time. Same seed, same program: same run.
 */
#ifndef QUOIN_LOOP_SIM_H
#define QUOIN_LOOP_SIM_H

#include <quoin/loop.h>

struct loop_sim;
struct loop_stacks;

/* Never fails: aborts when memory is exhausted. */
struct loop_sim *loop_sim_new(uint64_t seed);

/*
 * Frees the world and its loops in whatever state they are, as a power cut would: messages, jobs,
 * timers and tasks under way are dropped, fibers freed, ended or not (what their stacks owned is
 * lost). NULL is allowed.
 */
void loop_sim_free(struct loop_sim *sim);

/*
 * Stacks of fibers that ended, kept for others, of this world and of those after it: a program that
 * makes a world for every state it looks at would map and fault more than it runs. They belong to
 * one thread, and are freed after the worlds.
 */
struct loop_stacks *loop_stacks_new(void);
void loop_stacks_free(struct loop_stacks *stacks);

/* Before the first loop; NULL, as without: each fiber has a stack of its own. */
void loop_sim_stacks_set(struct loop_sim *sim, struct loop_stacks *stacks);

/*
 * A new loop of this world; freed with it. It turns in loop_sim_run() only: loop_run(),
 * loop_turn(), loop_free() and threads are the real loop's. After loop_stop() it turns no more.
 * Messages take virtual time, also those a loop sends to itself.
 */
struct loop *loop_sim_add(struct loop_sim *sim);

/*
 * Runs turns until nothing is ready and no timer is armed (returns true; look at `*stop` to tell
 * whether it was reached), until `*stop` becomes true (returns true), or until virtual time passes
 * `deadline_ns` or `turns_max` turns were run (returns false: a hang). `stop` may be NULL.
 */
MUST_CHECK bool loop_sim_run(struct loop_sim *sim, const bool *stop, uint64_t deadline_ns,
			     uint64_t turns_max);

/* Virtual time, ns since the world began. */
uint64_t loop_sim_now_ns(const struct loop_sim *sim);

/* The world's generator: use it for every choice that belongs to the seed. */
struct random *loop_sim_random(struct loop_sim *sim);

#endif
