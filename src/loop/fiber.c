/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fibers: a stack with a guard page, a task that switches to it, and a state.
 *
 *   READY ---task runs---> RUNNING ---park---> PARKED ---wake---> READY
 *                             |------sleep---> SLEEPING --timer, cancel--> READY
 *                             |------yield---> READY
 *                             '--main returns-> ENDED
 *
 * A wake is one remembered bit (`woken`), taken by the park it ends, as with a binary
 * semaphore. A sleep does not take it: it ends by its timer or by cancelling.
 *
 * Switching goes through ucontext; the sanitizers are told of every switch, as they keep a
 * shadow of the stack.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <quoin/base_math.h>
#include <quoin/base_text.h>
#include <quoin/loop_fiber.h>
#include <quoin/loop_sim.h>

#include "core.h"
#include "sanitizer.h"

enum fiber_state { FIBER_READY, FIBER_RUNNING, FIBER_PARKED, FIBER_SLEEPING, FIBER_ENDED };

struct fiber {
	struct loop *loop;
	struct list node;
	enum fiber_state state;
	bool joinable;
	bool cancelled;
	bool woken;
	struct fiber *joiner;
	void (*main)(void *arg);
	void *arg;
	struct loop_task resume;
	struct loop_timer timer;
	ucontext_t context;
	ucontext_t back; /* the loop, while the fiber runs */
	char *stack;	 /* guard page first; NULL once it ended */
	size_t guard_bytes;
	size_t stack_bytes; /* without the guard */
	struct sanitizer_fiber sanitizer;
};

static _Thread_local struct fiber *running;

/* --- Stack and switch ----------------------------------------------------------------------- */

#define STACKS_KEPT 16

struct loop_stacks {
	char *stacks[STACKS_KEPT]; /* each with its guard */
	unsigned count;
};

static size_t mapping_bytes(const struct fiber *fiber)
{
	return fiber->guard_bytes + fiber->stack_bytes;
}

static int stack_new(struct fiber *fiber)
{
	const size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	struct loop_stacks *kept = fiber->loop->stacks;

	fiber->guard_bytes = page_bytes;
	fiber->stack_bytes = align_up(FIBER_STACK_BYTES, page_bytes);
	if (kept && kept->count > 0) {
		fiber->stack = kept->stacks[--kept->count];
		return 0;
	}
	fiber->stack = mmap(NULL, mapping_bytes(fiber), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
	if (fiber->stack == MAP_FAILED)
		return -ENOMEM;
	if (mprotect(fiber->stack, page_bytes, PROT_NONE) < 0) {
		munmap(fiber->stack, mapping_bytes(fiber));
		return -ENOMEM;
	}
	return 0;
}

static void stack_free(struct fiber *fiber)
{
	struct loop_stacks *kept = fiber->loop->stacks;

	if (fiber->stack == NULL)
		return;
	sanitizer_fiber_fini(&fiber->sanitizer, fiber->stack + fiber->guard_bytes,
			     fiber->stack_bytes);
	if (kept && kept->count < STACKS_KEPT)
		kept->stacks[kept->count++] = fiber->stack;
	else
		ASSERT(munmap(fiber->stack, mapping_bytes(fiber)) == 0);
	fiber->stack = NULL;
}

struct loop_stacks *loop_stacks_new(void)
{
	return xcalloc(1, sizeof(struct loop_stacks));
}

void loop_stacks_free(struct loop_stacks *kept)
{
	const size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);

	while (kept && kept->count > 0)
		ASSERT(munmap(kept->stacks[--kept->count],
			      page_bytes + align_up(FIBER_STACK_BYTES, page_bytes)) == 0);
	free(kept);
}

static void fiber_free(struct fiber *fiber)
{
	ASSERT(running != fiber);
	list_remove(&fiber->node);
	stack_free(fiber);
	free(fiber);
}

/* From the loop into the fiber, until the fiber gives way. */
static void switch_in(struct fiber *fiber)
{
	ASSERT(running == NULL);
	running = fiber;
	fiber->state = FIBER_RUNNING;
	sanitizer_enter_fiber(&fiber->sanitizer, fiber->stack + fiber->guard_bytes,
			      fiber->stack_bytes);
	ASSERT(swapcontext(&fiber->back, &fiber->context) == 0);
	sanitizer_entered_loop(&fiber->sanitizer);
	running = NULL;
}

/* From the fiber into the loop; returns when the loop switches in again. */
static void switch_out(struct fiber *fiber)
{
	sanitizer_leave_fiber(&fiber->sanitizer, fiber->state == FIBER_ENDED);
	ASSERT(swapcontext(&fiber->context, &fiber->back) == 0);
	sanitizer_entered_fiber(&fiber->sanitizer);
}

/* makecontext() passes only ints: the pointer comes in two halves. */
static void fiber_entry(unsigned high, unsigned low)
{
	struct fiber *fiber = (struct fiber *)(uintptr_t)((uint64_t)high << 32 | low);

	sanitizer_entered_fiber(&fiber->sanitizer);
	fiber->main(fiber->arg);
	fiber->state = FIBER_ENDED;
	switch_out(fiber);
	UNREACHABLE();
}

static void fiber_resume(struct loop_task *task)
{
	struct fiber *fiber = container_of(task, struct fiber, resume);

	switch_in(fiber);
	if (fiber->state != FIBER_ENDED)
		return;
	stack_free(fiber);
	if (!fiber->joinable)
		fiber_free(fiber);
	else if (fiber->joiner != NULL)
		fiber_wake(fiber->joiner);
}

static void make_ready(struct fiber *fiber)
{
	fiber->state = FIBER_READY;
	loop_task_post(fiber->loop, &fiber->resume);
}

static void sleep_over(struct loop_timer *timer)
{
	make_ready(container_of(timer, struct fiber, timer));
}

/* --- The door ------------------------------------------------------------------------------- */

int fiber_start(struct loop *loop, bool joinable, void (*main)(void *arg), void *arg,
		struct fiber **ret_fiber)
{
	struct fiber *fiber = calloc(1, sizeof(*fiber));
	uint64_t address;

	if (fiber == NULL)
		return -ENOMEM;
	fiber->loop = loop;
	fiber->joinable = joinable;
	fiber->main = main;
	fiber->arg = arg;
	if (stack_new(fiber) < 0) {
		free(fiber);
		return -ENOMEM;
	}
	loop_task_init(&fiber->resume, fiber_resume);
	loop_timer_init(&fiber->timer, sleep_over);
	list_append(&loop->fibers, &fiber->node);

	ASSERT(getcontext(&fiber->context) == 0);
	fiber->context.uc_stack.ss_sp = fiber->stack + fiber->guard_bytes;
	fiber->context.uc_stack.ss_size = fiber->stack_bytes;
	address = (uintptr_t)fiber;
	makecontext(&fiber->context, (void (*)(void))fiber_entry, 2, (unsigned)(address >> 32),
		    (unsigned)address);
	sanitizer_fiber_init(&fiber->sanitizer, &fiber->context);
	make_ready(fiber);
	if (ret_fiber != NULL)
		*ret_fiber = fiber;
	return 0;
}

struct fiber *fiber_self(void)
{
	return running;
}

struct loop *fiber_loop(const struct fiber *fiber)
{
	return fiber->loop;
}

void fiber_park(void)
{
	struct fiber *fiber = running;

	ASSERT(fiber != NULL);
	if (!fiber->woken) {
		fiber->state = FIBER_PARKED;
		switch_out(fiber);
	}
	fiber->woken = false;
}

void fiber_wake(struct fiber *fiber)
{
	fiber->woken = true;
	if (fiber->state == FIBER_PARKED)
		make_ready(fiber);
}

void fiber_yield(void)
{
	struct fiber *fiber = running;

	ASSERT(fiber != NULL);
	make_ready(fiber);
	switch_out(fiber);
}

int fiber_sleep_ns(uint64_t duration_ns)
{
	struct fiber *fiber = running;
	uint64_t deadline_ns;

	ASSERT(fiber != NULL);
	if (fiber->cancelled)
		return -ECANCELED;
	if (!u64_add(loop_now_ns(fiber->loop), duration_ns, &deadline_ns))
		deadline_ns = UINT64_MAX;
	loop_timer_arm(fiber->loop, &fiber->timer, deadline_ns);
	fiber->state = FIBER_SLEEPING;
	switch_out(fiber);
	return fiber->cancelled ? -ECANCELED : 0;
}

void fiber_cancel(struct fiber *fiber)
{
	fiber->cancelled = true;
	if (fiber->state == FIBER_SLEEPING) {
		loop_timer_disarm(fiber->loop, &fiber->timer);
		make_ready(fiber);
	}
	fiber_wake(fiber);
}

bool fiber_cancelled(void)
{
	ASSERT(running != NULL);
	return running->cancelled;
}

bool fiber_ended(const struct fiber *fiber)
{
	ASSERT(fiber->joinable);
	return fiber->state == FIBER_ENDED;
}

void fiber_reap(struct fiber *fiber)
{
	ASSERT(fiber_ended(fiber));
	fiber_free(fiber);
}

void fiber_join(struct fiber *fiber)
{
	ASSERT(running != NULL && running != fiber && running->loop == fiber->loop);
	ASSERT(fiber->joinable && fiber->joiner == NULL);
	fiber->joiner = running;
	while (!fiber_ended(fiber))
		fiber_park();
	fiber_reap(fiber);
}

void core_drop_fibers(struct loop *loop)
{
	while (!list_empty(&loop->fibers))
		fiber_free(container_of(loop->fibers.next, struct fiber, node));
}
