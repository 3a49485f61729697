/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real twin's insides, shared by its files: ring.c (io_uring), io.c (file I/O),
 * registered.c (memory and files known to the ring), watch.c (readiness), offload.c (helper
 * threads), real.c (life, messages, the turn).
 */
#ifndef QUOIN_LOOP_REAL_H
#define QUOIN_LOOP_REAL_H

#include <liburing.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>

#include "core.h"

#define REAL_RING_ENTRIES_DEFAULT 256
#define REAL_RING_ENTRIES_MAX 4096
#define REAL_CQ_FACTOR 8 /* completion entries per submission entry */
#define REAL_BATCH_MIN 2 /* entries handed over at a time; why: io.c */
#define REAL_BATCH_MAX 32
#define REAL_BATCH_SHARE 4	 /* of what is under way */
#define REAL_CQ_RESERVED 8	 /* completions kept free for wake-up and watches */
#define REAL_WATCH_EVENTS_MAX 64 /* events taken from epoll at once */
#define REAL_NAME_MAX 16
#define OFFLOAD_THREADS_MAX 4

/* user_data of requests that are not a struct loop_io; no object lives at these addresses. */
enum ring_tag { RING_TAG_WAKE = 1, RING_TAG_WATCH = 2 };

/* A piece of memory in a slot of the ring's table. */
struct ring_chunk {
	uintptr_t base;
	size_t length; /* 0: the slot is free */
	unsigned users;
};

struct ring_registered {
	bool buffers_ready; /* the kernel has the table */
	bool files_ready;
	int buffers_refusal; /* why it will not have it, once asked; or 0 */
	int files_refusal;
	unsigned chunk_end; /* slots from here on are free */
	unsigned file_count;
	struct ring_chunk chunks[LOOP_BUFFERS_MAX];
	bool file_used[LOOP_FILES_MAX];
};

struct ring {
	struct io_uring uring;
	bool disabled;	    /* created disabled, to be enabled by its thread */
	bool single_issuer; /* the kernel takes submissions of one thread only */
	unsigned in_flight; /* I/O prepared or in the kernel */
	unsigned in_flight_max;
	struct list waiting; /* I/O that found no room */
	struct ring_registered registered;
};

struct watches {
	int epoll_fd;
	unsigned count;
	bool armed; /* a poll of epoll_fd is in the ring */
	/* The events being dispatched, so that stop can take its watch's away. */
	struct epoll_event events[REAL_WATCH_EVENTS_MAX];
	int event_count;
};

/* `lock` guards all but `threads`, which the loop's thread owns. */
struct offload {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct list jobs;
	unsigned job_count;
	unsigned idle; /* threads waiting for a job */
	bool stop;
	unsigned thread_count;
	pthread_t threads[OFFLOAD_THREADS_MAX];
	cpu_set_t cpus; /* where helpers may run; empty = where the loop does */
};

struct real_loop {
	struct loop core;
	struct ring ring;
	struct watches watches;
	struct offload offload;

	/* The inbox word; its own cache line, as other threads write it. */
	_Alignas(64) struct loop_message *_Atomic inbox;
	_Atomic bool stop;

	_Alignas(64) struct loop_message asleep; /* its address in `inbox`: the loop sleeps */
	int wake_fd;
	uint64_t wake_value; /* the kernel writes the event count here */
	bool wake_armed;
	uint64_t spin_ns;
	uint64_t spin_until_ns; /* 0 = not spinning */
	int cpu;
	pthread_t thread;
	bool started;
	char name[REAL_NAME_MAX];
};

static inline struct real_loop *real_of(struct loop *loop)
{
	return container_of(loop, struct real_loop, core);
}

extern const struct loop_twin real_twin;

/* --- ring.c --- */
MUST_CHECK int ring_init(struct ring *ring, unsigned entries);
void ring_fini(struct ring *ring);

/* Gives the ring to the calling thread. Later calls from the same thread do nothing. */
void ring_bind(struct ring *ring);

/* A blank request, or NULL when the submission queue is full even after a submit. */
struct io_uring_sqe *ring_sqe(struct real_loop *real);

/* Hands prepared requests to the kernel; a kernel short of memory takes them in a later turn. */
void ring_submit(struct real_loop *real);

/* Hands over what is prepared and sleeps until a completion or `wait_ns` passed. */
void ring_submit_and_wait(struct real_loop *real, uint64_t wait_ns);

/* Handles the completions that are there; returns their number. */
unsigned ring_reap(struct real_loop *real);

/* --- io.c --- */
void io_complete(struct real_loop *real, struct loop_io *io, int result);

/* Moves waiting I/O into the submission queue as far as there is room. */
void io_refill(struct real_loop *real);

/* --- registered.c --- */
/* The slot whose memory holds all of `iov`, or -1. */
int registered_buffer(const struct ring_registered *registered, const struct iovec *iov);

/* --- watch.c --- */
MUST_CHECK int watches_init(struct watches *watches);
void watches_fini(struct watches *watches);
void watches_arm(struct real_loop *real);
void watches_dispatch(struct real_loop *real);

/* --- real.c --- */
void real_wake_arm(struct real_loop *real);
void real_wake_done(struct real_loop *real, int result);

/* --- thread.c --- */
/*
 * Starts a thread that takes no signals but those of its own faults, on `cpus`, or on those of
 * the caller when the set is empty. Negative errno.
 */
MUST_CHECK int real_thread_start(pthread_t *thread, const cpu_set_t *cpus, void *(*run)(void *),
				 void *arg);

/* --- offload.c --- */
void offload_init(struct offload *offload);
void offload_fini(struct offload *offload);
void offload_job(struct loop *loop, struct loop_job *job);

#endif
