/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The io_uring of a real loop.
 *
 * Where the kernel can, completions are deferred (IORING_SETUP_DEFER_TASKRUN, Linux 6.1): they
 * are worked on only inside io_uring_enter() of this thread, never by interrupting it. The kernel
 * raises IORING_SQ_TASKRUN in a shared word when some wait, so a turn learns from one load that
 * there is nothing, and enters the kernel only when there is something.
 */
#include <errno.h>
#include <linux/time_types.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "real.h"

static int ring_try(struct ring *ring, unsigned entries, unsigned flags)
{
	struct io_uring_params params = {
		.flags = flags | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
		.cq_entries = entries * REAL_CQ_FACTOR,
	};
	const int r = io_uring_queue_init_params(entries, &ring->uring, &params);

	if (r < 0)
		return r;
	if (!(params.features & IORING_FEAT_EXT_ARG) || !(params.features & IORING_FEAT_NODROP)) {
		io_uring_queue_exit(&ring->uring);
		return -EOPNOTSUPP;
	}
	ring->disabled = flags & IORING_SETUP_R_DISABLED;
	ring->single_issuer = flags & IORING_SETUP_SINGLE_ISSUER;
	ring->in_flight_max = params.cq_entries - REAL_CQ_RESERVED;
	return 0;
}

int ring_init(struct ring *ring, unsigned entries)
{
	static const unsigned flags[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL |
			IORING_SETUP_R_DISABLED,
		IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
		0,
	};
	int r = -EINVAL;

	*ring = (struct ring){0};
	list_init(&ring->waiting);
	/* A kernel that does not know a flag says EINVAL. */
	for (size_t i = 0; i < ARRAY_SIZE(flags) && r == -EINVAL; i++)
		r = ring_try(ring, entries, flags[i]);
	return r;
}

void ring_fini(struct ring *ring)
{
	ASSERT_U64(ring->in_flight, ==, 0);
	ASSERT(list_empty(&ring->waiting));
	io_uring_queue_exit(&ring->uring);
}

void ring_bind(struct ring *ring)
{
	if (!ring->disabled)
		return;
	/* liburing 2.3 declares io_uring_enable_rings() but does not export it. */
	ASSERT(syscall(__NR_io_uring_register, ring->uring.ring_fd, IORING_REGISTER_ENABLE_RINGS,
		       NULL, 0) == 0);
	ring->disabled = false;
}

static void check_entered(int result)
{
	/* EEXIST: another thread than the one of the first turn turned the loop. */
	ASSERT(result != -EEXIST);
	ASSERT(result >= 0 || result == -EAGAIN || result == -EBUSY || result == -EINTR ||
	       result == -ETIME);
}

void ring_submit(struct real_loop *real)
{
	struct io_uring *uring = &real->ring.uring;

	/* Before its first turn a loop has no thread yet that could submit: the I/O waits. */
	if (io_uring_sq_ready(uring) == 0 || real->ring.disabled)
		return;
	core_count(&real->core.counters.io_batches, 1);
	/* Deferred completions come along for free. */
	check_entered(io_uring_submit_and_get_events(uring));
}

struct io_uring_sqe *ring_sqe(struct real_loop *real)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&real->ring.uring);

	if (LIKELY(sqe != NULL))
		return sqe;
	ring_submit(real);
	return io_uring_get_sqe(&real->ring.uring);
}

void ring_submit_and_wait(struct real_loop *real, uint64_t wait_ns)
{
	struct io_uring *uring = &real->ring.uring;
	struct __kernel_timespec timeout = {
		.tv_sec = (int64_t)(wait_ns / NS_PER_S),
		.tv_nsec = (int64_t)(wait_ns % NS_PER_S),
	};
	struct io_uring_cqe *cqe;

	if (io_uring_sq_ready(uring) > 0)
		core_count(&real->core.counters.io_batches, 1);
	check_entered(io_uring_submit_and_wait_timeout(
		uring, &cqe, 1, wait_ns == UINT64_MAX ? NULL : &timeout, NULL));
}

static void handle(struct real_loop *real, uint64_t user_data, int result)
{
	switch (user_data) {
	case RING_TAG_WAKE:
		real_wake_done(real, result);
		break;
	case RING_TAG_WATCH:
		real->watches.armed = false;
		watches_dispatch(real);
		break;
	default:
		io_complete(real, (struct loop_io *)(uintptr_t)user_data, result);
		break;
	}
}

unsigned ring_reap(struct real_loop *real)
{
	struct io_uring *uring = &real->ring.uring;
	unsigned ready = io_uring_cq_ready(uring);

	if (ready == 0) {
		const unsigned flags = IO_URING_READ_ONCE(*uring->sq.kflags);

		if (LIKELY(!(flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW))))
			return 0;
		check_entered(io_uring_get_events(uring));
		ready = io_uring_cq_ready(uring);
	}
	/* Only what was there: completions of the callbacks' own I/O wait for the next turn. */
	for (unsigned i = 0; i < ready; i++) {
		struct io_uring_cqe *cqe = NULL;
		uint64_t user_data;
		int result;

		ASSERT(io_uring_peek_cqe(uring, &cqe) == 0);
		user_data = cqe->user_data;
		result = cqe->res;
		io_uring_cqe_seen(uring, cqe);
		handle(real, user_data, result);
	}
	return ready;
}
