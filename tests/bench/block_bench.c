/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block layer's file driver beside fio (io_uring, O_DIRECT) on the same file, in turns, so
 * that both see the same machine; medians of all rounds.
 *
 *   block-bench FILE [ROUNDS [MILLISECONDS]]      FILE is overwritten; preallocate it with data
 *
 * The driver loop works as a front end does: completions of a turn are followed by one batch of
 * new requests and one kick.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_text.h>
#include <quoin/block.h>

#define BLOCK 4096
#define DEPTH_MAX 128
#define ROUNDS_MAX 64

struct slot {
	struct block_request block;
	struct iovec iov;
	struct list node;
	struct bench *bench;
};

struct bench {
	struct loop_poller poller;
	struct loop_timer end;
	struct loop *loop;
	struct block_device *device;
	struct block_channel *channel;
	struct random random;
	enum block_op op;
	bool ending;
	uint64_t completed;
	struct list ready;
	struct slot slots[DEPTH_MAX];
};

static void done(struct block_request *block)
{
	struct slot *slot = container_of(block, struct slot, block);

	ASSERT(block->result == 0);
	slot->bench->completed++;
	list_append(&slot->bench->ready, &slot->node);
}

static unsigned submit_ready(struct loop_poller *poller)
{
	struct bench *b = container_of(poller, struct bench, poller);
	const uint64_t blocks = block_capacity(b->device) / BLOCK;
	struct list *node;
	unsigned count = 0;

	if (b->ending) {
		if (b->channel->in_flight == 0)
			loop_stop(b->loop);
		return 0;
	}
	while ((node = list_pop(&b->ready)) != NULL) {
		struct slot *slot = container_of(node, struct slot, node);

		slot->block.op = b->op;
		slot->block.offset = random_below(&b->random, blocks) * BLOCK;
		block_submit(b->channel, &slot->block);
		count++;
	}
	if (count > 0)
		block_kick(b->channel);
	return count;
}

static void time_is_up(struct loop_timer *timer)
{
	container_of(timer, struct bench, end)->ending = true;
}

static void bench_init(struct bench *b, const char *path)
{
	const struct loop_params params = {.name = "bench", .cpu = -1};
	CLEANUP_FREE char *spec = xasprintf("file:%s", path);
	struct err err;

	memset(b, 0, sizeof(*b));
	if (block_open(spec, &b->device, &err) < 0) {
		fprintf(stderr, "block-bench: %s\n", err.text);
		exit(1);
	}
	ASSERT(loop_new(&params, &b->loop) == 0);
	ASSERT(block_channel_open(b->device, b->loop, &b->channel) == 0);
	random_init(&b->random, 1);
	list_init(&b->ready);
	for (unsigned i = 0; i < DEPTH_MAX; i++) {
		struct slot *slot = &b->slots[i];

		slot->bench = b;
		slot->iov.iov_len = BLOCK;
		ASSERT(posix_memalign(&slot->iov.iov_base, BLOCK, BLOCK) == 0);
		random_fill(&b->random, slot->iov.iov_base, BLOCK);
		slot->block.length_bytes = BLOCK;
		slot->block.iov = &slot->iov;
		slot->block.iov_count = 1;
		slot->block.done = done;
	}
}

static void bench_fini(struct bench *b)
{
	for (unsigned i = 0; i < DEPTH_MAX; i++)
		free(b->slots[i].iov.iov_base);
	block_channel_close(b->channel);
	block_close(b->device);
	loop_free(b->loop);
}

/* I/O per second of one round. The file is opened for it alone: fio wants it, too. */
static double round_ours(const char *path, enum block_op op, unsigned depth, unsigned run_ms)
{
	static struct bench b;
	uint64_t start;
	double seconds;

	bench_init(&b, path);
	b.op = op;
	for (unsigned i = 0; i < depth; i++)
		list_append(&b.ready, &b.slots[i].node);
	b.poller.poll = submit_ready;
	loop_timer_init(&b.end, time_is_up);
	start = loop_clock_ns(b.loop);
	loop_timer_arm(b.loop, &b.end, start + run_ms * NS_PER_MS);
	loop_poller_add(b.loop, &b.poller);
	loop_run(b.loop);
	seconds = (double)(loop_clock_ns(b.loop) - start) / 1e9;
	loop_poller_remove(b.loop, &b.poller);
	bench_fini(&b);
	return (double)b.completed / seconds;
}

static double round_fio(const char *path, enum block_op op, unsigned depth, unsigned run_ms)
{
	CLEANUP_FREE char *command = xasprintf(
		"fio --name=b --filename='%s' --ioengine=io_uring --direct=1 --bs=4k --rw=%s "
		"--iodepth=%u --time_based --runtime=%ums --randrepeat=0 --norandommap "
		"--output-format=terse --terse-version=3",
		path, op == BLOCK_READ ? "randread" : "randwrite", depth, run_ms);
	const unsigned field = op == BLOCK_READ ? 7 : 48;
	FILE *pipe = popen(command, "r");
	char line[4096] = "";
	char *at = line;
	double iops;

	ASSERT(pipe && fgets(line, sizeof(line), pipe));
	for (unsigned i = 0; i < field && at; i++)
		at = strchr(at, ';') ? strchr(at, ';') + 1 : NULL;
	iops = at ? strtod(at, NULL) : 0;
	pclose(pipe);
	return iops;
}

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a;
	const double y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, unsigned count)
{
	qsort(values, count, sizeof(values[0]), by_value);
	return values[count / 2];
}

static void compare(const char *path, enum block_op op, unsigned depth, const unsigned *how)
{
	double ours[ROUNDS_MAX];
	double theirs[ROUNDS_MAX];
	const unsigned rounds = how[0];
	double a, b;

	for (unsigned i = 0; i < rounds; i++) {
		/* Who goes first alternates: a drive remembers what it was just asked for. */
		if (i % 2 == 0)
			theirs[i] = round_fio(path, op, depth, how[1]);
		ours[i] = round_ours(path, op, depth, how[1]);
		if (i % 2 != 0)
			theirs[i] = round_fio(path, op, depth, how[1]);
	}
	a = median(ours, rounds);
	b = median(theirs, rounds);
	printf("%-5s QD%-3u  ours %9.0f  fio %9.0f IOPS  ratio %.3f  (%.0f..%.0f, %.0f..%.0f)\n",
	       op == BLOCK_READ ? "read" : "write", depth, a, b, a / b, ours[0], ours[rounds - 1],
	       theirs[0], theirs[rounds - 1]);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	unsigned how[2] = {5, 2000};

	if (argc < 2 || argc > 4) {
		fprintf(stderr, "usage: block-bench FILE [ROUNDS [MILLISECONDS]]\n");
		return 2;
	}
	for (int i = 2; i < argc; i++)
		how[i - 2] = (unsigned)strtoul(argv[i], NULL, 10);
	if (how[0] < 1 || how[0] > ROUNDS_MAX || how[1] < 100) {
		fprintf(stderr, "block-bench: 1 to %d rounds of 100 ms or more\n", ROUNDS_MAX);
		return 2;
	}
	for (unsigned depth = 1; depth <= 32; depth *= 32) {
		compare(argv[1], BLOCK_READ, depth, how);
		compare(argv[1], BLOCK_WRITE, depth, how);
	}
	return 0;
}
