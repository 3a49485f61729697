/* SPDX-License-Identifier: Apache-2.0 */
/* Requests, bytes and times, of a volume and of the pool; see quoin/pool_io.h. */
#include "engine/meter.h"

#include <quoin/base_math.h>

#include "engine/checkpoint.h"

#define MINUTE_NS (60 * NS_PER_S)

static enum pool_io_kind kind_of(const struct block_request *request)
{
	if (request->op == BLOCK_READ)
		return POOL_IO_READ;
	return request->op == BLOCK_WRITE ? POOL_IO_WRITE : POOL_IO_OTHER;
}

static unsigned bucket_of(uint64_t ns)
{
	const uint64_t us = ns / NS_PER_US;

	return us == 0 ? 0 : MIN(log2_u64(us) + 1, POOL_IO_BUCKETS - 1U);
}

/* While requests are in flight busy_ns lacks the time of now, so that no other number is needed. */
static void flight_begin(struct pool_io_sums *sums, uint64_t now)
{
	if (sums->in_flight++ == 0)
		sums->busy_ns -= now;
}

static void flight_end(struct pool_io_sums *sums, uint64_t now)
{
	if (--sums->in_flight == 0)
		sums->busy_ns += now;
}

struct pool_io_sums meter_sums(const struct pool *pool, const struct pool_io_sums *sums)
{
	struct pool_io_sums now = *sums;

	if (now.in_flight > 0)
		now.busy_ns += loop_now_ns(pool->loop);
	return now;
}

void meter_begin(struct pool *pool, struct volume *volume)
{
	const uint64_t now = loop_now_ns(pool->loop);

	flight_begin(&pool->io.sums, now);
	if (volume)
		flight_begin(&volume->io, now);
}

static void sums_add(struct pool_io_sums *sums, enum pool_io_kind kind, uint64_t bytes, uint64_t ns)
{
	sums->requests[kind]++;
	sums->bytes[kind] += bytes;
	sums->ns[kind] += ns;
	sums->latency[bucket_of(ns)]++;
}

void meter_turn(struct pool *pool)
{
	const uint64_t minute = loop_now_ns(pool->loop) / MINUTE_NS;
	uint64_t from = pool->io.minute + 1;

	/* A gap of an hour or more empties all of them once. */
	if (minute >= pool->io.minute + POOL_IO_MINUTES)
		from = minute - POOL_IO_MINUTES + 1;
	for (uint64_t m = from; m <= minute; m++)
		pool->io.worst[m % POOL_IO_MINUTES] = (struct pool_io_worst){.ns = 0};
	pool->io.minute = MAX(pool->io.minute, minute);
}

void meter_admit(struct pool *pool, struct volume_request *words)
{
	words->admitted_ns = loop_now_ns(pool->loop);
	/* Nobody said that it waits: it stood in the queue behind somebody. */
	if (words->why == POOL_WHY_DRIVES)
		words->why = pool->queue_why;
}

/* What most of its time went by with. */
static enum pool_io_why why_of(const struct volume_request *words, uint64_t ns)
{
	const uint64_t waited = words->admitted_ns - MIN(words->admitted_ns, words->begun_ns);

	if (waited > ns / 2)
		return words->why;
	return words->repaired ? POOL_WHY_REPAIR : POOL_WHY_DRIVES;
}

static void worst_note(struct pool *pool, const struct pool_io_worst *request)
{
	struct pool_io_worst *worst;

	meter_turn(pool);
	worst = &pool->io.worst[pool->io.minute % POOL_IO_MINUTES];
	if (request->ns <= worst->ns)
		return;
	*worst = *request;
	worst->checkpoint = checkpoint_busy(pool);
}

void meter_end(struct pool *pool, struct volume *volume, const struct block_request *request)
{
	const struct volume_request *words = (const void *)request->driver;
	const enum pool_io_kind kind = kind_of(request);
	const uint64_t now = loop_now_ns(pool->loop);
	/* The loop that it came from may have read its clock a little later. */
	const uint64_t ns = now - MIN(now, words->begun_ns);
	const uint64_t bytes = request->op == BLOCK_FLUSH ? 0 : request->length_bytes;
	const struct pool_io_worst this_one = {
		.ns = ns, .kind = kind, .why = why_of(words, ns), .failed = words->result < 0};

	if (volume) {
		flight_end(&volume->io, now);
		volume->io.errors += words->result < 0;
		sums_add(&volume->io, kind, bytes, ns);
	}
	flight_end(&pool->io.sums, now);
	pool->io.sums.errors += words->result < 0;
	sums_add(&pool->io.sums, kind, bytes, ns);
	pool->io.latency[kind][bucket_of(ns)]++;
	worst_note(pool, &this_one);
}

void pool_io(struct pool *pool, struct pool_io *ret_io)
{
	meter_turn(pool);
	*ret_io = pool->io;
	ret_io->sums = meter_sums(pool, &pool->io.sums);
}
