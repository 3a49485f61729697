/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a loop itself costs: an empty turn, a message, and file I/O at two queue depths.
 *
 *   loop-bench [FILE]     FILE is read with O_DIRECT in random 4 KiB blocks
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <quoin/base_assert.h>
#include <quoin/loop.h>

#define POLLS 20000000
#define MESSAGES 2000000
#define BLOCK 4096
#define DEPTH_MAX 32
#define READ_NS (3 * NS_PER_S)

static struct loop *new_loop(unsigned spin_us)
{
	const struct loop_params params = {.name = "bench", .cpu = -1, .spin_us = spin_us};
	struct loop *loop = NULL;
	const int r = loop_new(&params, &loop);

	if (r < 0) {
		fprintf(stderr, "loop-bench: no io_uring: %s\n", strerror(-r));
		exit(1);
	}
	return loop;
}

/* --- Turns ------------------------------------------------------------------------------ */

struct turner {
	struct loop_poller poller;
	struct loop *loop;
	uint64_t left;
	unsigned work;
};

static unsigned poll_down(struct loop_poller *poller)
{
	struct turner *turner = container_of(poller, struct turner, poller);

	if (--turner->left == 0)
		loop_stop(turner->loop);
	return turner->work;
}

static void never(struct loop_timer *timer)
{
}

static void bench_turns(const char *what, unsigned work, bool with_timer)
{
	struct turner turner = {
		.poller.poll = poll_down,
		.loop = new_loop(1000000),
		.left = POLLS,
		.work = work,
	};
	struct loop_timer timer;
	uint64_t start_ns;
	uint64_t ns;

	loop_timer_init(&timer, never);
	loop_poller_add(turner.loop, &turner.poller);
	if (with_timer)
		loop_timer_arm(turner.loop, &timer, UINT64_MAX - 1);
	start_ns = loop_clock_ns(turner.loop);
	loop_run(turner.loop);
	ns = loop_clock_ns(turner.loop) - start_ns;
	printf("%-36s %7.1f ns\n", what, (double)ns / POLLS);
	loop_timer_disarm(turner.loop, &timer);
	loop_poller_remove(turner.loop, &turner.poller);
	loop_free(turner.loop);
}

/* --- Messages --------------------------------------------------------------------------- */

struct ball {
	struct loop_message message;
	struct loop *loops[2];
	uint64_t left;
	unsigned at;
};

static void bounce(struct loop_message *message)
{
	struct ball *ball = container_of(message, struct ball, message);

	if (--ball->left == 0) {
		loop_stop(ball->loops[0]);
		loop_stop(ball->loops[1]);
		return;
	}
	ball->at ^= 1;
	loop_message_send(ball->loops[ball->at], message);
}

/* From one loop to the other and back; with spin_us neither ever sleeps. */
static void bench_messages(const char *what, unsigned spin_us, uint64_t count)
{
	struct ball ball = {.message.deliver = bounce, .left = count};
	uint64_t start_ns;

	for (unsigned i = 0; i < 2; i++) {
		ball.loops[i] = new_loop(spin_us);
		if (loop_start_thread(ball.loops[i]) < 0)
			exit(1);
	}
	start_ns = loop_clock_ns(ball.loops[0]);
	loop_message_send(ball.loops[0], &ball.message);
	loop_join(ball.loops[0]);
	loop_join(ball.loops[1]);
	printf("%-36s %7.1f ns\n", what,
	       (double)(loop_clock_ns(ball.loops[0]) - start_ns) / (double)count);
	loop_free(ball.loops[0]);
	loop_free(ball.loops[1]);
}

/* To itself: no other thread's cache is in the way. */
static void bench_self_message(void)
{
	struct ball ball = {.message.deliver = bounce, .left = MESSAGES};
	uint64_t start_ns;

	ball.loops[0] = new_loop(1000000);
	ball.loops[1] = ball.loops[0];
	start_ns = loop_clock_ns(ball.loops[0]);
	loop_message_send(ball.loops[0], &ball.message);
	loop_run(ball.loops[0]);
	printf("%-36s %7.1f ns\n", "message to itself, turn included",
	       (double)(loop_clock_ns(ball.loops[0]) - start_ns) / MESSAGES);
	loop_free(ball.loops[0]);
}

/* --- File I/O --------------------------------------------------------------------------- */

struct reader {
	struct loop *loop;
	int fd;
	uint64_t blocks;
	uint64_t end_ns;
	uint64_t done;
	unsigned out;
	struct slot {
		struct loop_io io;
		struct iovec iov;
		struct reader *reader;
	} slots[DEPTH_MAX];
};

static void next_read(struct slot *slot)
{
	struct reader *reader = slot->reader;

	slot->io.offset = random_below(loop_random(reader->loop), reader->blocks) * BLOCK;
	reader->out++;
	loop_io_submit(reader->loop, &slot->io);
}

static void read_done(struct loop_io *io)
{
	struct slot *slot = container_of(io, struct slot, io);
	struct reader *reader = slot->reader;

	ASSERT(io->result == BLOCK);
	reader->out--;
	reader->done++;
	if (loop_now_ns(reader->loop) < reader->end_ns)
		next_read(slot);
	else if (reader->out == 0)
		loop_stop(reader->loop);
}

static double cpu_us(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void bench_reads(const char *path, unsigned depth, unsigned spin_us)
{
	struct reader reader = {.loop = new_loop(spin_us)};
	struct loop_stats stats;
	struct stat st;
	double cpu;

	reader.fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (reader.fd < 0 || fstat(reader.fd, &st) < 0 || st.st_size < BLOCK) {
		fprintf(stderr, "loop-bench: %s: cannot be used: %s\n", path, strerror(errno));
		exit(1);
	}
	reader.blocks = (uint64_t)st.st_size / BLOCK;
	reader.end_ns = loop_clock_ns(reader.loop) + READ_NS;
	for (unsigned i = 0; i < depth; i++) {
		struct slot *slot = &reader.slots[i];

		slot->reader = &reader;
		slot->iov = (struct iovec){aligned_alloc(BLOCK, BLOCK), BLOCK};
		slot->io = (struct loop_io){.op = LOOP_IO_READV,
					    .fd = reader.fd,
					    .iov = &slot->iov,
					    .iov_count = 1,
					    .done = read_done};
		next_read(slot);
	}
	cpu = cpu_us();
	loop_run(reader.loop);
	cpu = cpu_us() - cpu;
	stats = loop_stats_get(reader.loop);
	printf("read QD%-2u spin %4u us %9.0f IOPS, each %.1f us CPU, %.2f submits, %.2f sleeps\n",
	       depth, spin_us, (double)reader.done * NS_PER_S / READ_NS, cpu / (double)reader.done,
	       (double)stats.io_batches / (double)reader.done,
	       (double)stats.sleeps / (double)reader.done);
	for (unsigned i = 0; i < depth; i++)
		free(reader.slots[i].iov.iov_base);
	close(reader.fd);
	loop_free(reader.loop);
}

int main(int argc, char **argv)
{
	bench_turns("turn, poller without work", 0, false);
	bench_turns("turn, poller with work", 1, false);
	bench_turns("turn, without work, timer armed", 0, true);
	bench_turns("turn, with work, timer armed", 1, true);
	bench_self_message();
	bench_messages("message between loops awake", 1000000, MESSAGES);
	bench_messages("message between loops asleep", 0, MESSAGES / 20);
	for (int i = 1; i < argc; i++) {
		bench_reads(argv[i], 1, 0);
		bench_reads(argv[i], 1, 50);
		bench_reads(argv[i], DEPTH_MAX, 0);
		bench_reads(argv[i], DEPTH_MAX, 50);
	}
	return 0;
}
