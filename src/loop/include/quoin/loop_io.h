/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a loop asks of the kernel: readiness of descriptors, file I/O, and helper threads for
 * system calls that block. Included by quoin/loop.h; the same rules of threads hold.
 */
#ifndef QUOIN_LOOP_IO_H
#define QUOIN_LOOP_IO_H

#include <sys/uio.h>

#include <quoin/loop.h>

/* --- Watches: readiness of sockets and eventfds (real loops only) ------------------------- */

struct loop_watch {
	struct list node;
	int fd; /* borrowed; -1 = not started */
	uint32_t events;
	void (*ready)(struct loop_watch *watch,
		      uint32_t events); /* EPOLLIN, EPOLLOUT, EPOLLHUP ... */
};

/*
 * Level triggered; EPOLLHUP and EPOLLERR are reported even when not asked for. -ENOMEM, -EPERM (fd
 * cannot be watched), -EEXIST (it is watched already); the watch is untouched then.
 */
MUST_CHECK int loop_watch_start(struct loop *loop, struct loop_watch *watch, int fd,
				uint32_t events,
				void (*ready)(struct loop_watch *watch, uint32_t events));
void loop_watch_modify(struct loop *loop, struct loop_watch *watch, uint32_t events);

/*
 * No call of ready() after this returns. Call before closing the fd. Watches that are stopped, or
 * zeroed and never started, are allowed.
 */
void loop_watch_stop(struct loop *loop, struct loop_watch *watch);

/* --- File I/O (real loops only; used by `disk`) -------------------------------------------- */

enum loop_io_op {
	LOOP_IO_READV,
	LOOP_IO_WRITEV,
	LOOP_IO_FDATASYNC,
	LOOP_IO_FALLOCATE, /* mode in `flags`, range in offset and length_bytes */
};

struct loop_io {
	struct list node; /* the loop's */
	enum loop_io_op op;
	int fd;
	unsigned file;		 /* loop_file_register()'s for `fd`, or 0: not registered */
	int flags;		 /* RWF_* for reads and writes; FALLOC_FL_* for fallocate */
	const struct iovec *iov; /* borrowed until done() */
	unsigned iov_count;
	uint64_t offset;
	uint64_t length_bytes;
	int result; /* bytes, 0, or negative errno */
	void (*done)(struct loop_io *io);
};

/*
 * Queues the I/O; it reaches the kernel before the turn ends. done() is called exactly
 * once, never from inside this function. After it the kernel may refer to the open file until a
 * later turn (io_uring frees a request after completing it): close() alone then does not
 * release a lock on the file at once; unlock first.
 */
void loop_io_submit(struct loop *loop, struct loop_io *io);

/* Hands all queued I/O to the kernel now (for callers that will not return to the loop soon). */
void loop_io_flush(struct loop *loop);

/* --- Memory and files known beforehand ------------------------------------------------------ */

/*
 * All of this is for speed alone: I/O means the same with it and without. Who is refused carries
 * on. Both tables end with the loop; loop_free() gives back what is left in them.
 */
#define LOOP_BUFFERS_MAX 64 /* pieces of memory of up to 1 GiB */
#define LOOP_FILES_MAX 128

/*
 * Registers memory: I/O of one piece that lies wholly inside (or, in memory over 1 GiB, inside one
 * of the GiB it is cut into) then goes without pinning pages. Registered twice, it is unregistered
 * twice; regions may overlap. The memory is anonymous or shared and writable, and until it is
 * unregistered it stays mapped as it is: the kernel keeps the pages, so what is later mapped,
 * discarded or moved at these addresses would not be seen by I/O. It counts against
 * RLIMIT_MEMLOCK.
 * 0, or why the kernel refuses (-ENOMEM: the limit; -EINVAL: an old kernel; -ENOTSUP: a simulated
 * loop; -ENOSPC: LOOP_BUFFERS_MAX), which may be ignored.
 */
int loop_buffers_register(struct loop *loop, void *base, size_t length);

/* The same region. No I/O of it is in flight. What was refused may be unregistered: a no-op. */
void loop_buffers_unregister(struct loop *loop, void *base, size_t length);

/*
 * Registers an open file: returns what goes to loop_io.file besides the fd, or 0 when refused.
 * The loop holds on to the open file description until it is unregistered; Linux 6.1 up to a second
 * longer when other files of the loop stay registered.
 */
MUST_CHECK unsigned loop_file_register(struct loop *loop, int fd);

/* No I/O of it is in flight. 0 is allowed. */
void loop_file_unregister(struct loop *loop, unsigned file);

/* --- Blocking work off the worker ---------------------------------------------------------- */

struct loop_job {
	struct list node;
	struct loop *loop;
	struct loop_message message;
	void (*work)(struct loop_job
			     *job); /* in a helper thread; simulated: in the loop, after a delay */
	void (*done)(struct loop_job *job); /* in the loop */
};

/* For system calls that have no asynchronous form (ioctl BLKDISCARD). At most a few threads. */
void loop_offload(struct loop *loop, struct loop_job *job);

#endif
