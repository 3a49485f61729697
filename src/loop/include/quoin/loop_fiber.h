/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fibers: long work (merge, scrub, deploy) as straight-line code on its own stack, in its
 * loop's thread. A fiber gives way only at fiber_park(), fiber_sleep_ns() and fiber_yield().
 * Not for the I/O hot path.
 */
#ifndef QUOIN_LOOP_FIBER_H
#define QUOIN_LOOP_FIBER_H

#include <quoin/loop.h>

struct fiber;

/* Of every fiber; pages count only once they are touched. */
#define FIBER_STACK_BYTES (256 * KiB)

/*
 * Starts main(arg) on the loop at its next turn. The stack has a guard page. -ENOMEM.
 * `ret_fiber` (may be NULL) is valid until main returns, unless the caller joins: with
 * `joinable` it is valid until fiber_join().
 */
MUST_CHECK int fiber_start(struct loop *loop, bool joinable, void (*main)(void *arg), void *arg,
			   struct fiber **ret_fiber);

/* The running fiber, or NULL in the loop itself. */
struct fiber *fiber_self(void);
struct loop *fiber_loop(const struct fiber *fiber);

/* Suspends the running fiber until fiber_wake(). A wake that came first is remembered: no loss. */
void fiber_park(void);

/* From the loop's thread; waking a running, ready or finished joinable fiber is harmless. */
void fiber_wake(struct fiber *fiber);

/* Lets the rest of the loop run, then continues. */
void fiber_yield(void);

/* Returns early, with -ECANCELED, when the fiber is cancelled. */
int fiber_sleep_ns(uint64_t duration_ns);

/* Asks the fiber to end: sets a flag and wakes it. The fiber decides at its next fiber_cancelled().
 */
void fiber_cancel(struct fiber *fiber);
bool fiber_cancelled(void);

/* Waits, from another fiber of the same loop, for the end of a joinable fiber and frees it. */
void fiber_join(struct fiber *fiber);

/* True when a joinable fiber has ended; then fiber_reap() frees it without waiting. */
bool fiber_ended(const struct fiber *fiber);
void fiber_reap(struct fiber *fiber);

#endif
