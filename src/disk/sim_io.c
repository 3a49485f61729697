/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of a simulated drive. Each takes a random time and has its effect at its end, so that
 * requests in flight pass each other. A flush covers what had ended when it was submitted: the
 * drive either does it at once or at the end, as the seed says; both are right, and a power cut
 * between tells them apart.
 */
#include <errno.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_math.h>

#include "sim.h"

#define BLOCK_MAX 4096

static struct sim_disk *disk_of(const struct disk_request *request)
{
	return container_of(request->channel->disk, struct sim_disk, disk);
}

/* Copies `length` bytes between a buffer and the pieces, `skip` bytes into them. */
static void pieces_copy(const struct disk_request *r, uint64_t skip, uint8_t *data, uint64_t length)
{
	for (unsigned i = 0; i < r->iov_count && length > 0; i++) {
		uint8_t *piece = r->iov[i].iov_base;
		const uint64_t size = r->iov[i].iov_len;
		uint64_t n;

		if (skip >= size) {
			skip -= size;
			continue;
		}
		n = MIN(size - skip, length);
		if (r->op == DISK_READ)
			memcpy(piece + skip, data, n);
		else
			memcpy(data, piece + skip, n);
		data += n;
		length -= n;
		skip = 0;
	}
}

/* A block after a discard that promises nothing. */
static void discard_block(struct disk_sim *sim, uint64_t block)
{
	uint8_t garbage[BLOCK_MAX];

	switch (sim->params.discard_zeroes ? 1 : random_below(&sim->random, 3)) {
	case 0:
		return;
	case 1:
		sim_cache_put(&sim->cache, block, NULL, false);
		return;
	default:
		random_fill(&sim->random, garbage, sim->cache.block_bytes);
		sim_cache_put(&sim->cache, block, garbage, false);
		return;
	}
}

/* Gives each block of the request its new content, with this chance. */
static void blocks_change(struct disk_sim *sim, const struct disk_request *r, bool durable,
			  unsigned percent)
{
	const uint64_t size = sim->cache.block_bytes;

	for (uint64_t done = 0; done < r->length_bytes; done += size) {
		const uint64_t block = (r->offset + done) / size;
		uint8_t data[BLOCK_MAX];

		if (percent < 100 && !random_chance(&sim->random, percent, 100))
			continue;
		if (r->op == DISK_DISCARD) {
			discard_block(sim, block);
			continue;
		}
		if (r->op == DISK_WRITE)
			pieces_copy(r, done, data, size);
		sim_cache_put(&sim->cache, block, r->op == DISK_WRITE ? data : NULL, durable);
	}
}

static void effect(struct disk_sim *sim, const struct disk_request *r)
{
	const bool durable = sim->params.write_through || (r->flags & DISK_FUA);

	switch (r->op) {
	case DISK_READ:
		pieces_copy(r, 0, sim->cache.now + r->offset, r->length_bytes);
		return;
	case DISK_FLUSH:
		sim_cache_flush(&sim->cache);
		return;
	case DISK_WRITE:
	case DISK_DISCARD:
	case DISK_WRITE_ZEROES:
		blocks_change(sim, r, durable, 100);
		return;
	}
	UNREACHABLE();
}

static void digest_add(struct disk_sim *sim, const struct disk_request *r, int result,
		       uint64_t now_ns)
{
	const uint64_t words[] = {r->op, r->offset, r->length_bytes, (uint64_t)(int64_t)result,
				  now_ns};

	/* FNV-1a, 64 bits, a word at a time. */
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		sim->stats.digest = (sim->stats.digest ^ words[i]) * UINT64_C(0x100000001b3);
}

static void request_end(struct disk_request *r, int result)
{
	struct disk_sim *sim = disk_of(r)->sim;

	if (result < 0 && sim->powered && (r->op == DISK_FLUSH || (r->flags & DISK_FUA)) &&
	    sim->flush_error == 0)
		sim->flush_error = result;
	if (result < 0)
		sim->stats.errors[r->op]++;
	else
		sim->stats.done[r->op]++;
	digest_add(sim, r, result, loop_now_ns(r->channel->loop));
	disk_request_end(r, result);
}

static void time_is_up(struct loop_timer *timer)
{
	struct disk_request *r = container_of(timer, struct disk_request, timer);
	struct disk_sim *sim = disk_of(r)->sim;
	const struct disk_sim_plan *plan = &sim->params.plan;
	const bool changes = r->op != DISK_READ && r->op != DISK_FLUSH;

	list_remove(&r->io.node);
	if (!sim->powered) {
		request_end(r, -EIO);
		return;
	}
	/* The size may have shrunk since. */
	if (r->step && r->op != DISK_FLUSH &&
	    !range_within(r->offset, r->length_bytes, sim->size_bytes)) {
		r->result = -ENXIO;
		r->step = 0;
	}
	if (r->result == 0)
		effect(sim, r);
	else if (changes && r->step)
		blocks_change(sim, r, false, 50);
	if (random_chance(&sim->random, plan->write_back_percent, 100))
		sim_cache_write_back_some(&sim->cache, &sim->random, 50);
	request_end(r, r->result);
}

/* 0, or why the drive does not take the request. */
static int refusal(const struct disk_sim *sim, const struct disk_request *r)
{
	uint64_t pieces = 0;

	if (!sim->powered)
		return -EIO;
	if (sim->flush_error < 0 && (r->op == DISK_FLUSH || (r->flags & DISK_FUA)))
		return sim->flush_error;
	if (r->op == DISK_FLUSH)
		return 0;
	if (!is_aligned(r->offset | r->length_bytes, sim->cache.block_bytes))
		return -EINVAL;
	if (!range_within(r->offset, r->length_bytes, sim->size_bytes))
		return -ENXIO;
	if (r->op == DISK_DISCARD && !sim->params.discard)
		return -EOPNOTSUPP;
	for (unsigned i = 0; i < r->iov_count; i++)
		pieces += r->iov[i].iov_len;
	return r->op <= DISK_WRITE && pieces != r->length_bytes ? -EINVAL : 0;
}

void sim_submit(struct disk_channel *channel, struct disk_request *request)
{
	struct sim_disk *disk = container_of(channel->disk, struct sim_disk, disk);
	struct disk_sim *sim = disk->sim;
	const uint64_t latency_ns = sim_plan_latency_ns(sim);

	request->result = refusal(sim, request);
	request->step = request->result == 0; /* accepted: a failure may leave traces */
	if (request->result == 0)
		request->result = sim_plan_result(sim, request);
	if (request->op == DISK_FLUSH && request->result == 0 && random_chance(&sim->random, 1, 2))
		sim_cache_flush(&sim->cache);
	list_append(&disk->in_flight, &request->io.node);
	loop_timer_init(&request->timer, time_is_up);
	loop_timer_arm(channel->loop, &request->timer, loop_now_ns(channel->loop) + latency_ns);
}

void sim_requests_cut(struct sim_disk *disk)
{
	struct disk_sim *sim = disk->sim;

	list_for_each (node, &disk->in_flight) {
		struct disk_request *r = container_of(node, struct disk_request, io.node);
		struct loop *loop = r->channel->loop;

		if (r->op != DISK_READ && r->op != DISK_FLUSH && r->step)
			blocks_change(sim, r, false, sim->params.plan.survive_percent);
		loop_timer_arm(loop, &r->timer, loop_now_ns(loop));
	}
}
