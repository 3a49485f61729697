/* SPDX-License-Identifier: Apache-2.0 */
/* File I/O of the real loop, on a temporary file; and work in helper threads. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "real.h"

#define MANY 3000
#define BLOCK 512

struct test_io {
	struct loop_io io;
	struct iovec iov;
	unsigned *left;
	unsigned dones;
};

static int temporary_file(void)
{
	char path[] = "/tmp/quoin-loop-XXXXXX";
	const int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	return fd;
}

static void io_done(struct loop_io *io)
{
	struct test_io *t = container_of(io, struct test_io, io);

	t->dones++;
	--*t->left;
}

/* A busy loop does not sleep: how many turns it takes is the drive's affair. */
static void run_until(struct loop *loop, const unsigned *left)
{
	while (*left > 0)
		loop_turn(loop, NS_PER_S);
}

/* Runs one I/O to its end and returns its result. */
static int run_one(struct loop *loop, struct loop_io io)
{
	unsigned left = 1;
	struct test_io t = {.io = io, .left = &left};

	t.io.done = io_done;
	loop_io_submit(loop, &t.io);
	assert_int_equal(t.dones, 0);
	loop_io_flush(loop);
	assert_int_equal(t.dones, 0);
	run_until(loop, &left);
	assert_int_equal(t.dones, 1);
	return t.io.result;
}

static void reads_what_was_written(void **state)
{
	struct loop *loop = test_loop_new();
	const int fd = temporary_file();
	char head[4] = "head", tail[8] = "the tail", back[16] = {0};
	struct iovec out[] = {{head, 4}, {tail, 8}};
	struct iovec in = {back, sizeof(back)};
	struct stat st;

	assert_int_equal(run_one(loop, (struct loop_io){.op = LOOP_IO_WRITEV,
							.fd = fd,
							.iov = out,
							.iov_count = 2,
							.offset = 4096}),
			 12);
	assert_int_equal(run_one(loop, (struct loop_io){.op = LOOP_IO_FDATASYNC, .fd = fd}), 0);
	/* One piece, and less there than asked for. */
	assert_int_equal(run_one(loop, (struct loop_io){.op = LOOP_IO_READV,
							.fd = fd,
							.iov = &in,
							.iov_count = 1,
							.offset = 4096}),
			 12);
	assert_memory_equal(back, "headthe tail", 12);
	in.iov_len = 4;
	assert_int_equal(run_one(loop, (struct loop_io){.op = LOOP_IO_WRITEV,
							.fd = fd,
							.iov = &in,
							.iov_count = 1,
							.offset = 0}),
			 4);
	out[1].iov_len = 0;
	assert_int_equal(run_one(loop, (struct loop_io){.op = LOOP_IO_READV,
							.fd = fd,
							.iov = out,
							.iov_count = 2,
							.offset = 0}),
			 4);
	assert_memory_equal(head, "head", 4);
	assert_int_equal(run_one(loop, (struct loop_io){.op = LOOP_IO_FALLOCATE,
							.fd = fd,
							.offset = 0,
							.length_bytes = 65536}),
			 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 65536);
	close(fd);
	loop_free(loop);
}

static void errors_come_back(void **state)
{
	struct loop *loop = test_loop_new();
	const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	char byte = 0;
	const struct iovec iov = {&byte, 1};

	assert_int_equal(run_one(loop, (struct loop_io){.op = LOOP_IO_READV,
							.fd = -1,
							.iov = &iov,
							.iov_count = 1}),
			 -EBADF);
	assert_int_equal(run_one(loop, (struct loop_io){.op = LOOP_IO_WRITEV,
							.fd = fd,
							.iov = &iov,
							.iov_count = 1}),
			 -EBADF);
	assert_int_equal(run_one(loop, (struct loop_io){.op = LOOP_IO_FDATASYNC, .fd = fd}),
			 -EINVAL);
	assert_true(
		run_one(loop, (struct loop_io){.op = LOOP_IO_FALLOCATE,
					       .fd = fd,
					       .flags = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					       .length_bytes = 4096}) < 0);
	close(fd);
	loop_free(loop);
}

/* More at once than both rings hold: all complete, none twice. */
static void more_than_the_ring_holds(void **state)
{
	const struct loop_params params = {.name = "small", .cpu = -1, .ring_entries = 8};
	static struct test_io t[MANY];
	static char buffers[MANY][BLOCK];
	struct loop *loop = NULL;
	const int fd = temporary_file();
	unsigned left = MANY;
	struct loop_stats stats;

	assert_int_equal(loop_new(&params, &loop), 0);
	for (unsigned i = 0; i < MANY; i++) {
		memset(buffers[i], (int)(i * 7), BLOCK);
		t[i] = (struct test_io){.iov = {buffers[i], BLOCK}, .left = &left};
		t[i].io = (struct loop_io){.op = LOOP_IO_WRITEV,
					   .fd = fd,
					   .iov = &t[i].iov,
					   .iov_count = 1,
					   .offset = (uint64_t)i * BLOCK,
					   .done = io_done};
		loop_io_submit(loop, &t[i].io);
	}
	run_until(loop, &left);
	for (unsigned i = 0; i < MANY; i++) {
		char back[BLOCK];

		assert_int_equal(t[i].dones, 1);
		assert_int_equal(t[i].io.result, BLOCK);
		assert_int_equal(pread(fd, back, BLOCK, (off_t)i * BLOCK), BLOCK);
		assert_memory_equal(back, buffers[i], BLOCK);
	}
	stats = loop_stats_get(loop);
	assert_int_equal(stats.io_submitted, MANY);
	assert_true(stats.io_batches < MANY);
	close(fd);
	loop_free(loop);
}

/* --- Helper threads --------------------------------------------------------------------- */

#define JOBS 100

struct test_job {
	struct loop_job job;
	pthread_t worked_by;
	pthread_t done_by;
	unsigned *left;
};

static void work(struct loop_job *job)
{
	container_of(job, struct test_job, job)->worked_by = pthread_self();
}

static void work_done(struct loop_job *job)
{
	struct test_job *t = container_of(job, struct test_job, job);

	t->done_by = pthread_self();
	--*t->left;
}

static void offloaded_work_runs_elsewhere(void **state)
{
	struct loop *loop = test_loop_new();
	struct test_job jobs[JOBS];
	unsigned left = JOBS;

	for (unsigned i = 0; i < JOBS; i++) {
		jobs[i] =
			(struct test_job){.job = {.work = work, .done = work_done}, .left = &left};
		loop_offload(loop, &jobs[i].job);
	}
	assert_int_equal(left, JOBS);
	run_until(loop, &left);
	for (unsigned i = 0; i < JOBS; i++) {
		assert_false(pthread_equal(jobs[i].worked_by, pthread_self()));
		assert_true(pthread_equal(jobs[i].done_by, pthread_self()));
	}
	loop_free(loop);
}

struct pinned {
	struct loop *loop;
	struct loop_job job;
	cpu_set_t cpus;
};

static void look_where(struct loop_job *job)
{
	struct pinned *pinned = container_of(job, struct pinned, job);

	sched_getaffinity(0, sizeof(pinned->cpus), &pinned->cpus);
}

static void stop_pinned(struct loop_job *job)
{
	loop_stop(job->loop);
}

static void offload_pinned(void *arg)
{
	struct pinned *pinned = arg;

	loop_offload(pinned->loop, &pinned->job);
}

/* A helper would otherwise take the CPU its loop is pinned to away from it. */
static void helpers_are_not_pinned(void **state)
{
	const struct loop_params params = {.name = "pinned", .cpu = test_any_cpu()};
	struct pinned pinned = {.job = {.work = look_where, .done = stop_pinned}};
	cpu_set_t mine;

	assert_int_equal(sched_getaffinity(0, sizeof(mine), &mine), 0);
	assert_int_equal(loop_new(&params, &pinned.loop), 0);
	assert_int_equal(loop_start_thread(pinned.loop), 0);
	loop_call(pinned.loop, offload_pinned, &pinned);
	loop_join(pinned.loop);
	assert_true(CPU_EQUAL(&pinned.cpus, &mine));
	loop_free(pinned.loop);
}

/* A loop that never rests sees its completions too, and makes no call to wait for them. */
static unsigned always_busy(struct loop_poller *poller)
{
	return 1;
}

static void busy_loop_sees_completions(void **state)
{
	struct loop_poller poller = {.poll = always_busy};
	struct loop *loop = test_loop_new();
	const int fd = temporary_file();
	char byte = 'b';
	const struct iovec iov = {&byte, 1};

	loop_poller_add(loop, &poller);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(run_one(loop, (struct loop_io){.op = LOOP_IO_WRITEV,
								.fd = fd,
								.iov = &iov,
								.iov_count = 1,
								.offset = i}),
				 1);
	assert_int_equal(run_one(loop, (struct loop_io){.op = LOOP_IO_FDATASYNC, .fd = fd}), 0);
	assert_int_equal(loop_stats_get(loop).sleeps, 0);
	loop_poller_remove(loop, &poller);
	close(fd);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_was_written),
		cmocka_unit_test(errors_come_back),
		cmocka_unit_test(more_than_the_ring_holds),
		cmocka_unit_test(busy_loop_sees_completions),
		cmocka_unit_test(offloaded_work_runs_elsewhere),
		cmocka_unit_test(helpers_are_not_pinned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
