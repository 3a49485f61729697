/* SPDX-License-Identifier: Apache-2.0 */
/* The load: see load.h. */
#include <errno.h>
#include <stdlib.h>

#include <quoin/base_histogram.h>
#include <quoin/base_math.h>
#include <quoin/base_random.h>

#include "client.h"
#include "load.h"

#define STALL_NS (30 * NS_PER_S)
/* Without an end, before a sleep. Spinning beside a deep queue only keeps kernel threads from
 * completing it. */
#define PATIENCE_SHALLOW_NS (100 * NS_PER_US)
#define PATIENCE_DEEP_NS (10 * NS_PER_US)
#define DEEP 8 /* requests in flight */

struct slot {
	uint64_t started_ns;
	bool flushing;
};

struct load {
	struct load_port *port;
	const struct load_job *job;
	struct slot slots[LOAD_QUEUES_MAX][LOAD_DEPTH_MAX];
	uint64_t next[LOAD_QUEUES_MAX]; /* sequential: block to come */
	struct random random;
	struct histogram latency;
	uint64_t blocks; /* of the region */
	uint64_t done_bytes, errors;
	unsigned in_flight;
	bool stopping;
};

static uint64_t next_block(struct load *load, unsigned queue)
{
	const uint64_t share = MAX(load->blocks / load->job->queues, UINT64_C(1));
	const uint64_t at = load->next[queue];

	if (load->job->random)
		return random_below(&load->random, load->blocks);
	load->next[queue] = (at + 1) % share;
	return queue * share + at;
}

static void submit(struct load *load, unsigned queue, unsigned slot)
{
	const struct load_job *job = load->job;
	struct load_request request = {.queue = queue, .slot = slot};
	struct slot *s = &load->slots[queue][slot];

	if (s->flushing) {
		request.op = LOAD_FLUSH;
	} else {
		request.op = job->write ? LOAD_WRITE : LOAD_READ;
		request.offset = next_block(load, queue) * job->block_bytes;
		request.length_bytes = job->block_bytes;
		s->started_ns = client_now_ns();
	}
	load->port->ops->submit(load->port, &request);
	load->in_flight++;
}

static void ended(struct load *load, unsigned queue, const struct load_done *done, uint64_t now)
{
	struct slot *s = &load->slots[queue][done->slot];

	load->in_flight--;
	load->errors += done->failed;
	if (load->job->flush && !s->flushing) {
		s->flushing = true;
		submit(load, queue, done->slot);
		return;
	}
	if (s->flushing && !load->job->flush)
		return;
	s->flushing = false;
	histogram_add(&load->latency, now - s->started_ns);
	load->done_bytes += load->job->block_bytes;
	if (!load->stopping)
		submit(load, queue, done->slot);
}

static unsigned turn(struct load *load)
{
	struct load_done done[LOAD_DEPTH_MAX];
	unsigned total = 0;

	for (unsigned queue = 0; queue < load->job->queues; queue++) {
		const unsigned count =
			load->port->ops->reap(load->port, queue, done, LOAD_DEPTH_MAX);
		const uint64_t now = count > 0 ? client_now_ns() : 0;

		for (unsigned i = 0; i < count; i++)
			ended(load, queue, &done[i], now);
		if (count > 0)
			load->port->ops->ring(load->port, queue);
		total += count;
	}
	return total;
}

/* Until `end_ns`, or until `bytes` are done or nothing is in flight any more. */
static int run_until(struct load *load, uint64_t end_ns, uint64_t bytes)
{
	const bool deep = load->job->depth * load->job->queues >= DEEP;
	const uint64_t patience_ns = deep ? PATIENCE_DEEP_NS : PATIENCE_SHALLOW_NS;
	uint64_t alive = client_now_ns();

	for (;;) {
		const bool busy = turn(load) > 0;
		const uint64_t now = client_now_ns();

		if (busy)
			alive = now;
		if (now >= end_ns || load->done_bytes >= bytes || load->in_flight == 0)
			return 0;
		if (now - alive > STALL_NS)
			return -EIO;
		if (now - alive > patience_ns)
			load->port->ops->wait(load->port, load->job->queues);
	}
}

static int drain(struct load *load)
{
	load->stopping = true;
	while (load->in_flight > 0) {
		const int error = run_until(load, client_now_ns() + STALL_NS, UINT64_MAX);

		if (error)
			return error;
	}
	return 0;
}

static void start(struct load *load)
{
	for (unsigned queue = 0; queue < load->job->queues; queue++) {
		for (unsigned slot = 0; slot < load->job->depth; slot++)
			submit(load, queue, slot);
		load->port->ops->ring(load->port, queue);
	}
}

/* What is not flushed is not written: a drive may take a second for what it took in another. */
static int flush_end(struct load *load)
{
	int error = drain(load);

	if (error)
		return error;
	load->slots[0][0].flushing = true;
	submit(load, 0, 0);
	load->port->ops->ring(load->port, 0);
	return drain(load);
}

static int run(struct load *load)
{
	const struct load_job *job = load->job;
	int error;

	if (job->total_bytes > 0)
		return run_until(load, UINT64_MAX, job->total_bytes);
	error = run_until(load, client_now_ns() + job->run_ms * NS_PER_MS, UINT64_MAX);
	return error || !load_flushes_last(job) ? error : flush_end(load);
}

static int measure(struct load *load, struct load_result *ret)
{
	const struct load_job *job = load->job;
	const uint64_t warm_ns = job->run_ms * NS_PER_MS / 5;
	uint64_t start_ns, cpu_ns;
	int error = 0;

	if (job->total_bytes == 0 && !load_flushes_last(job))
		error = run_until(load, client_now_ns() + warm_ns, UINT64_MAX);
	if (error)
		return error;
	histogram_init(&load->latency);
	start_ns = client_now_ns();
	cpu_ns = load->port->ops->cpu_ns(load->port);
	error = run(load);
	if (error)
		return error;
	cpu_ns = load->port->ops->cpu_ns(load->port) - cpu_ns;
	*ret = (struct load_result){
		.count = load->latency.count,
		.iops = (double)load->latency.count * 1e9 / (double)(client_now_ns() - start_ns),
		.p50_ns = histogram_permille(&load->latency, 500),
		.p99_ns = histogram_permille(&load->latency, 990),
		.p999_ns = histogram_permille(&load->latency, 999),
		.max_ns = load->latency.max,
		.cpu_us = (double)cpu_ns / 1e3 / (double)MAX(load->latency.count, UINT64_C(1)),
	};
	return 0;
}

int load_run(struct load_port *port, const struct load_job *job, struct load_result *ret)
{
	CLEANUP_FREE struct load *load = calloc(1, sizeof(*load));
	int error, drained;

	if (!load)
		return -ENOMEM;
	load->port = port;
	load->job = job;
	load->blocks =
		(job->region_bytes ? job->region_bytes : port->size_bytes) / job->block_bytes;
	random_init(&load->random, job->seed);
	histogram_init(&load->latency);
	start(load);
	error = measure(load, ret);
	drained = drain(load);
	ret->errors = load->errors;
	return error ? error : drained;
}
