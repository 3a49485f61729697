/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells AddressSanitizer and ThreadSanitizer of switches between stacks; empty without them.
 * Order of a switch: *_enter_fiber, swap, *_entered_fiber ... *_leave_fiber, swap,
 * *_entered_loop.
 */
#ifndef QUOIN_LOOP_SANITIZER_H
#define QUOIN_LOOP_SANITIZER_H

#include <ucontext.h>

#include <quoin/base.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZER_ADDRESS
#endif
#if __has_feature(thread_sanitizer)
#define SANITIZER_THREAD
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define SANITIZER_ADDRESS
#endif
#ifdef __SANITIZE_THREAD__
#define SANITIZER_THREAD
#endif

#ifdef SANITIZER_ADDRESS
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef SANITIZER_THREAD
#include <sanitizer/tsan_interface.h>
#endif

struct sanitizer_fiber {
	void *loop_fake; /* AddressSanitizer: frames put aside */
	void *fiber_fake;
	const void *loop_stack; /* ... and where the loop's stack is */
	size_t loop_stack_bytes;
	void *tsan_loop; /* ThreadSanitizer: the two contexts */
	void *tsan_fiber;
};

/*
 * After makecontext(). AddressSanitizer's swapcontext() forgets at each switch all that is poisoned
 * on a stack of which the context tells: that takes long, and hides what it is to find.
 */
static inline void sanitizer_fiber_init(struct sanitizer_fiber *s, ucontext_t *context)
{
	*s = (struct sanitizer_fiber){0};
#ifdef SANITIZER_ADDRESS
	context->uc_stack.ss_size = 0;
#endif
#ifdef SANITIZER_THREAD
	s->tsan_fiber = __tsan_create_fiber(0);
#endif
}

/* The last frames may never be left; the memory is used again, by a fiber or by others. */
static inline void sanitizer_fiber_fini(struct sanitizer_fiber *s, void *stack, size_t bytes)
{
#ifdef SANITIZER_ADDRESS
	__asan_unpoison_memory_region(stack, bytes);
#endif
#ifdef SANITIZER_THREAD
	__tsan_destroy_fiber(s->tsan_fiber);
#endif
}

static inline void sanitizer_enter_fiber(struct sanitizer_fiber *s, void *stack, size_t bytes)
{
#ifdef SANITIZER_ADDRESS
	__sanitizer_start_switch_fiber(&s->loop_fake, stack, bytes);
#endif
#ifdef SANITIZER_THREAD
	s->tsan_loop = __tsan_get_current_fiber();
	__tsan_switch_to_fiber(s->tsan_fiber, 0);
#endif
}

static inline void sanitizer_entered_fiber(struct sanitizer_fiber *s)
{
#ifdef SANITIZER_ADDRESS
	__sanitizer_finish_switch_fiber(s->fiber_fake, &s->loop_stack, &s->loop_stack_bytes);
#endif
}

/* A fiber that leaves for the last time lets its fake frames go. */
static inline void sanitizer_leave_fiber(struct sanitizer_fiber *s, bool last)
{
#ifdef SANITIZER_ADDRESS
	__sanitizer_start_switch_fiber(last ? NULL : &s->fiber_fake, s->loop_stack,
				       s->loop_stack_bytes);
#endif
#ifdef SANITIZER_THREAD
	__tsan_switch_to_fiber(s->tsan_loop, 0);
#endif
}

static inline void sanitizer_entered_loop(struct sanitizer_fiber *s)
{
#ifdef SANITIZER_ADDRESS
	__sanitizer_finish_switch_fiber(s->loop_fake, NULL, NULL);
#endif
}

#endif
