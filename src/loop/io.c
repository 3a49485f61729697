/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File I/O of a real loop: requests become submission entries at once and reach the kernel in
 * batches, the rest at the end of the turn. A batch is two while the drive has little to do: the
 * kernel prepares a large one whole before the drive sees its first request, and a drive that
 * idles meanwhile costs more than the system calls that are saved. Random 4 KiB reads at depth
 * 32 on a virtual disk: 50k per second in one batch per turn, 64k in eights, 67k in fours, 68k
 * in twos and one by one, 69k for fio. A drive that has many requests already does not wait for
 * the next, and then it is the other way round: each batch is a system call, and on a virtual
 * drive a kick. So a batch may grow to a quarter of what is under way: at depth 64 a worker spends
 * 4.2 us on a 4 KiB write of a file where it spent 5.5.
 *
 * At most `in_flight_max` are out, which is what the completion queue holds; the rest wait in a
 * list, in order.
 */
#include <quoin/base_math.h>

#include "real.h"

/* One piece needs no vector: these operations spare the kernel its copy. */
static void prepare_piece(struct real_loop *real, struct io_uring_sqe *sqe,
			  const struct loop_io *io)
{
	const bool is_read = io->op == LOOP_IO_READV;
	const int buffer = registered_buffer(&real->ring.registered, io->iov);
	unsigned op = is_read ? IORING_OP_READ : IORING_OP_WRITE;

	if (buffer >= 0)
		op = is_read ? IORING_OP_READ_FIXED : IORING_OP_WRITE_FIXED;
	io_uring_prep_rw((int)op, sqe, io->fd, io->iov->iov_base, (unsigned)io->iov->iov_len,
			 io->offset);
	if (buffer >= 0) {
		sqe->buf_index = (__u16)buffer;
		core_count(&real->core.counters.io_fixed_buffers, 1);
	}
}

static void prepare_rw(struct real_loop *real, struct io_uring_sqe *sqe, const struct loop_io *io)
{
	const bool is_read = io->op == LOOP_IO_READV;

	if (io->iov_count == 1)
		prepare_piece(real, sqe, io);
	else
		io_uring_prep_rw(is_read ? IORING_OP_READV : IORING_OP_WRITEV, sqe, io->fd, io->iov,
				 io->iov_count, io->offset);
	sqe->rw_flags = io->flags;
}

static void prepare(struct real_loop *real, struct io_uring_sqe *sqe, struct loop_io *io)
{
	switch (io->op) {
	case LOOP_IO_READV:
	case LOOP_IO_WRITEV:
		prepare_rw(real, sqe, io);
		break;
	case LOOP_IO_FDATASYNC:
		io_uring_prep_fsync(sqe, io->fd, IORING_FSYNC_DATASYNC);
		break;
	case LOOP_IO_FALLOCATE:
		io_uring_prep_fallocate(sqe, io->fd, io->flags, io->offset, io->length_bytes);
		break;
	default:
		UNREACHABLE();
	}
	if (io->file != 0) {
		sqe->fd = (int)io->file - 1;
		sqe->flags |= IOSQE_FIXED_FILE;
		core_count(&real->core.counters.io_fixed_files, 1);
	}
	sqe->user_data = (uintptr_t)io;
}

static unsigned batch(const struct ring *ring)
{
	return MIN(MAX(ring->in_flight / REAL_BATCH_SHARE, (unsigned)REAL_BATCH_MIN),
		   (unsigned)REAL_BATCH_MAX);
}

static bool try_start(struct real_loop *real, struct loop_io *io)
{
	struct io_uring_sqe *sqe;

	if (real->ring.in_flight >= real->ring.in_flight_max)
		return false;
	sqe = io_uring_get_sqe(&real->ring.uring);
	if (sqe == NULL)
		return false;
	prepare(real, sqe, io);
	real->ring.in_flight++;
	core_count(&real->core.counters.io_submitted, 1);
	if (io_uring_sq_ready(&real->ring.uring) >= batch(&real->ring))
		ring_submit(real);
	return true;
}

void loop_io_submit(struct loop *loop, struct loop_io *io)
{
	struct real_loop *real = real_of(loop);

	ASSERT(loop->twin == &real_twin);
	if (!list_empty(&real->ring.waiting) || !try_start(real, io))
		list_append(&real->ring.waiting, &io->node);
}

void io_refill(struct real_loop *real)
{
	struct list *waiting = &real->ring.waiting;

	while (!list_empty(waiting)) {
		struct loop_io *io = container_of(waiting->next, struct loop_io, node);

		/* When the submission queue is full, one submit makes room. */
		if (!try_start(real, io)) {
			ring_submit(real);
			if (!try_start(real, io))
				return;
		}
		list_remove(&io->node);
	}
}

void loop_io_flush(struct loop *loop)
{
	struct real_loop *real = real_of(loop);

	ASSERT(loop->twin == &real_twin);
	io_refill(real);
	ring_submit(real);
}

void io_complete(struct real_loop *real, struct loop_io *io, int result)
{
	real->ring.in_flight--;
	io->result = result;
	io->done(io);
}
