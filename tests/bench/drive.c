/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The load: keeps `depth` random 4 KiB commands in flight on each of `queues` queue pairs from one
 * thread, and takes the time of each from submission to the moment its completion is seen.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <quoin/base_random.h>

#include "bench.h"

#define QUEUE_ENTRIES 256
#define STALL_NS (10 * NS_PER_S)
/* Without completions, before a sleep. Spinning beside a deep queue only keeps kernel threads from
 * completing it. */
#define PATIENCE_SHALLOW_NS (100 * NS_PER_US)
#define PATIENCE_DEEP_NS (10 * NS_PER_US)
#define DEEP 8 /* commands in flight */
#define INTERRUPT_WAIT_MS 10
#define CLOCK_EVERY 256 /* turns between two looks at the deadline */
#define RAM_SIZE (16 * MiB)

/* One queue under load. Index = cid of the command. */
struct lane {
	struct host_queue *queue;
	uint64_t started[BENCH_DEPTH_MAX];
	uint64_t prp[BENCH_DEPTH_MAX];
	unsigned in_flight;
};

struct drive {
	struct bench_host *bench;
	struct bench_point point;
	struct lane lanes[BENCH_QUEUES_MAX];
	struct random random;
	struct histogram latency; /* in ticks */
	uint64_t errors;
	unsigned empty_turns;
	uint64_t empty_since_ns;
	bool stopping;
};

/* --- Time --------------------------------------------------------------------------------- */

static inline uint64_t ticks(void)
{
#ifdef __x86_64__
	return __builtin_ia32_rdtsc();
#else
	return client_now_ns();
#endif
}

static double ns_per_tick(void)
{
	const uint64_t ns = client_now_ns();
	const uint64_t t = ticks();

	client_sleep_us(20000);
	return (double)(client_now_ns() - ns) / (double)(ticks() - t);
}

/* --- The hot path ------------------------------------------------------------------------- */

static inline void lane_submit(struct drive *d, struct lane *lane, unsigned cid)
{
	const unsigned shift = 12 - d->bench->lba_shift;
	const uint64_t block =
		(uint64_t)(((unsigned __int128)random_u64(&d->random) * d->bench->block_count) >>
			   64);
	const uint64_t lba = block << shift;
	struct nvme_sqe *sqe = host_sq_slot(&lane->queue->sq);

	*sqe = (struct nvme_sqe){
		.opcode = d->point.write ? IO_WRITE : IO_READ,
		.cid = (uint16_t)cid,
		.nsid = 1,
		.prp1 = lane->prp[cid],
		.dw10 = (uint32_t)lba,
		.dw11 = (uint32_t)(lba >> 32),
		.dw12 = (1U << shift) - 1,
	};
	host_sq_push(&lane->queue->sq);
	lane->started[cid] = ticks();
}

/* Takes what is there, replaces it, rings once. Returns the number of completions. */
static inline unsigned lane_turn(struct drive *d, struct lane *lane)
{
	struct host_queue *q = lane->queue;
	const struct nvme_cqe *cqe;
	unsigned count = 0;
	uint64_t now;

	if (!host_cq_peek(&q->cq))
		return 0;
	now = ticks();
	while (count < lane->in_flight && (cqe = host_cq_peek(&q->cq))) {
		const unsigned cid = cqe->cid % BENCH_DEPTH_MAX;

		d->errors += nvme_cqe_status(cqe) != 0;
		histogram_add(&d->latency, now - lane->started[cid]);
		host_cq_pop(&q->cq);
		if (!d->stopping)
			lane_submit(d, lane, cid);
		count++;
	}
	if (d->stopping)
		lane->in_flight -= count;
	else
		host_sq_ring(&q->sq);
	host_cq_ring(&q->cq);
	return count;
}

/* Sleeps until a queue interrupts. One that is left over from before ends the sleep at once. */
static void wait_interrupt(const struct drive *d)
{
	struct pollfd p[BENCH_QUEUES_MAX];
	uint64_t count;

	for (unsigned i = 0; i < d->point.queues; i++)
		p[i] = (struct pollfd){.fd = d->lanes[i].queue->cq.event_fd, .events = POLLIN};
	if (poll(p, d->point.queues, INTERRUPT_WAIT_MS) <= 0)
		return;
	for (unsigned i = 0; i < d->point.queues; i++) {
		if ((p[i].revents & POLLIN) && read(p[i].fd, &count, sizeof(count)) < 0)
			return;
	}
}

/* Called now and then while nothing completes. */
static void lose_patience(struct drive *d)
{
	const bool deep = d->point.depth * d->point.queues >= DEEP;
	const uint64_t now = client_now_ns();

	if (d->empty_turns == CLOCK_EVERY)
		d->empty_since_ns = now;
	if (now - d->empty_since_ns < (deep ? PATIENCE_DEEP_NS : PATIENCE_SHALLOW_NS))
		return;
	wait_interrupt(d);
	d->empty_turns = 0;
}

static unsigned drive_turn(struct drive *d)
{
	unsigned count = 0;

	for (unsigned i = 0; i < d->point.queues; i++)
		count += lane_turn(d, &d->lanes[i]);
	if (LIKELY(count))
		d->empty_turns = 0;
	else if (++d->empty_turns % CLOCK_EVERY == 0 && d->bench->interrupts)
		lose_patience(d);
	return count;
}

/* --- Around it ---------------------------------------------------------------------------- */

static void drive_start(struct drive *d)
{
	for (unsigned i = 0; i < d->point.queues; i++) {
		struct lane *lane = &d->lanes[i];

		lane->queue = &d->bench->host.queues[1 + i];
		for (unsigned cid = 0; cid < d->point.depth; cid++) {
			lane->prp[cid] = d->bench->data +
					 (uint64_t)(i * BENCH_DEPTH_MAX + cid) * BENCH_BLOCK;
			lane_submit(d, lane, cid);
		}
		lane->in_flight = d->point.depth;
		host_sq_ring(&lane->queue->sq);
	}
}

static int drive_run(struct drive *d, uint64_t ns)
{
	const uint64_t end = client_now_ns() + ns;
	uint64_t alive = client_now_ns();

	for (;;) {
		unsigned count = 0;
		uint64_t now;

		for (unsigned i = 0; i < CLOCK_EVERY; i++)
			count += drive_turn(d);
		now = client_now_ns();
		if (count)
			alive = now;
		if (now - alive > STALL_NS)
			return -EIO;
		if (now >= end)
			return 0;
	}
}

static int drive_drain(struct drive *d)
{
	const uint64_t end = client_now_ns() + STALL_NS;
	unsigned left;

	d->stopping = true;
	do {
		drive_turn(d);
		left = 0;
		for (unsigned i = 0; i < d->point.queues; i++)
			left += d->lanes[i].in_flight;
		if (client_now_ns() > end)
			return -EIO;
	} while (left);
	return 0;
}

static void fill_result(const struct drive *d, double seconds, struct bench_result *result)
{
	const double scale = ns_per_tick();

	result->point = d->point;
	result->count = d->latency.count;
	result->errors = d->errors;
	result->iops = (double)result->count / seconds;
	result->p50_ns = (uint64_t)((double)histogram_permille(&d->latency, 500) * scale);
	result->p99_ns = (uint64_t)((double)histogram_permille(&d->latency, 990) * scale);
	result->p999_ns = (uint64_t)((double)histogram_permille(&d->latency, 999) * scale);
	result->max_ns = (uint64_t)((double)d->latency.max * scale);
}

int bench_drive(struct bench_host *bench, struct bench_point point, unsigned run_ms,
		struct bench_result *ret)
{
	CLEANUP_FREE struct drive *d = calloc(1, sizeof(*d));
	uint64_t start_ns, cpu_ns, doorbells;
	int error;

	if (!d)
		return -ENOMEM;
	d->bench = bench;
	d->point = point;
	random_init(&d->random, 1);
	histogram_init(&d->latency);
	drive_start(d);
	error = drive_run(d, (uint64_t)run_ms * NS_PER_MS / 5);
	if (error)
		return error;
	histogram_init(&d->latency);
	start_ns = client_now_ns();
	cpu_ns = daemon_cpu_ns(bench->daemon);
	doorbells = host_doorbell_count(&bench->host);
	error = drive_run(d, (uint64_t)run_ms * NS_PER_MS);
	if (error)
		return error;
	cpu_ns = daemon_cpu_ns(bench->daemon) - cpu_ns;
	doorbells = host_doorbell_count(&bench->host) - doorbells;
	fill_result(d, (double)(client_now_ns() - start_ns) / 1e9, ret);
	ret->cpu_us = (double)cpu_ns / 1e3 / (double)MAX(ret->count, 1U);
	ret->doorbells = (double)doorbells / (double)MAX(ret->count, 1U);
	return drive_drain(d);
}

/* --- Host --------------------------------------------------------------------------------- */

static int create_queues(struct bench_host *bench)
{
	int status = host_set_feature(&bench->host, 7,
				      (BENCH_QUEUES_MAX - 1) << 16 | (BENCH_QUEUES_MAX - 1), NULL);

	const struct host_queue_options options = {
		.sq_size = QUEUE_ENTRIES,
		.interrupts = bench->interrupts,
	};

	for (unsigned i = 1; i <= BENCH_QUEUES_MAX && !status; i++)
		status = host_queue_create(&bench->host, i, options);
	return status > 0 ? -EIO : status;
}

int bench_host_open(struct bench_host *bench, const char *path, struct bench_mode mode)
{
	const struct host_options options = {
		.path = path,
		.flavour = CLIENT_QEMU,
		.ram_size = RAM_SIZE,
		.map_doorbells = mode.mapped,
		.interrupts = mode.interrupts,
	};
	struct host_namespace ns;
	int status = host_open(&bench->host, &options);
	uint8_t *data;

	if (status)
		return status;
	bench->interrupts = mode.interrupts;
	status = create_queues(bench);
	if (!status && !mode.mapped)
		status = host_shadow_enable(&bench->host);
	if (!status)
		status = host_namespace_get(&bench->host, 1, &ns);
	if (status) {
		host_close(&bench->host);
		return status > 0 ? -EIO : status;
	}
	bench->lba_shift = ns.lba_shift;
	bench->block_count = (ns.block_count << ns.lba_shift) / BENCH_BLOCK;
	data = ram_alloc(&bench->host.ram, BENCH_QUEUES_MAX * BENCH_DEPTH_MAX * BENCH_BLOCK);
	memset(data, 0x5A, BENCH_QUEUES_MAX * BENCH_DEPTH_MAX * BENCH_BLOCK);
	bench->data = ram_addr(&bench->host.ram, data);
	return 0;
}

void bench_host_close(struct bench_host *bench)
{
	host_close(&bench->host);
}
