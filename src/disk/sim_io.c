/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of a simulated drive. Each takes a random time and has its effect at its end, so that
 * requests in flight pass each other. A flush covers what had ended when it was submitted: the
 * drive either does it at once or at the end, as the seed says; both are right, and a power cut
 * between tells them apart.
 */
#include <errno.h>

#include <quoin/base_assert.h>
#include <quoin/base_bitmap.h>
#include <quoin/base_math.h>

#include "sim.h"

#define FAIL_SURVIVE_PERCENT 50 /* units of a change that fails */
#define WRITE_BACK_PERCENT 50	/* of the cache, when some of it goes down */

static struct sim_disk *disk_of(const struct disk_request *request)
{
	return container_of(request->channel->disk, struct sim_disk, disk);
}

static void pieces_read(struct disk_sim *sim, const struct disk_request *r, uint64_t offset)
{
	for (unsigned i = 0; i < r->iov_count; i++) {
		sim_content_get(&sim->cache.now, offset, r->iov[i].iov_base, r->iov[i].iov_len);
		offset += r->iov[i].iov_len;
	}
}

/* Puts `length` bytes of the pieces, `skip` bytes into them, at `offset`. */
static void pieces_put(struct disk_sim *sim, const struct disk_request *r, uint64_t skip,
		       uint64_t offset, uint64_t length)
{
	for (unsigned i = 0; i < r->iov_count && length > 0; i++) {
		const uint8_t *piece = r->iov[i].iov_base;
		const uint64_t size = r->iov[i].iov_len;
		uint64_t n;

		if (skip >= size) {
			skip -= size;
			continue;
		}
		n = MIN(size - skip, length);
		sim_content_put(&sim->cache.now, offset, piece + skip, n);
		offset += n;
		length -= n;
		skip = 0;
	}
}

static bool marked(const struct disk_request *r, enum disk_sim_fault_kind kind)
{
	return r->step & SIM_MARK(kind);
}

/* Flips one bit of what a read has returned. */
static void pieces_corrupt(struct disk_sim *sim, const struct disk_request *r)
{
	uint64_t at = random_below(&sim->fault_random, r->length_bytes);
	const unsigned bit = (unsigned)random_below(&sim->fault_random, 8);

	for (unsigned i = 0; i < r->iov_count; i++) {
		uint8_t *piece = r->iov[i].iov_base;

		if (at < r->iov[i].iov_len) {
			piece[at] ^= (uint8_t)(1U << bit);
			return;
		}
		at -= r->iov[i].iov_len;
	}
}

/* A unit after a discard that promises nothing. True: it has changed. */
static bool discard_unit(struct disk_sim *sim, uint64_t offset)
{
	const uint64_t size = sim->cache.unit_bytes;
	const uint64_t dice = random_below(&sim->loss_random, 3);
	uint8_t garbage[SIM_PAGE_BYTES];

	if (dice == 0)
		return false;
	ASSERT_U64(size, <=, sizeof(garbage));
	sim_cache_change(&sim->cache, offset, size, false);
	if (dice == 2)
		random_fill(&sim->loss_random, garbage, size);
	sim_content_put(&sim->cache.now, offset, dice == 2 ? garbage : NULL, size);
	return true;
}

/* Part of a change, whole units, `skip` bytes into it. True: something has changed. */
static bool part_change(struct disk_sim *sim, const struct disk_request *r, uint64_t skip,
			uint64_t length)
{
	const bool durable = r->result == 0 && r->op != DISK_DISCARD &&
			     (sim->params.write_through ||
			      ((r->flags & DISK_FUA) && !marked(r, DISK_SIM_FUA_IGNORE)));
	const uint64_t offset = r->progress_bytes + skip;

	if (r->op == DISK_DISCARD && !sim->params.discard_zeroes)
		return discard_unit(sim, offset);
	sim_cache_change(&sim->cache, offset, length, durable);
	if (r->op == DISK_WRITE)
		pieces_put(sim, r, skip, offset, length);
	else
		sim_content_put(&sim->cache.now, offset, NULL, length);
	return true;
}

/* Gives each unit of the request its new content, with this chance. */
static void change(struct disk_sim *sim, const struct disk_request *r, unsigned percent)
{
	const uint64_t size = sim->cache.unit_bytes;
	struct sim_dice dice = sim_dice_of(sim, percent);

	if (marked(r, DISK_SIM_PHANTOM))
		return;
	if (percent == 100 && (r->op != DISK_DISCARD || sim->params.discard_zeroes)) {
		part_change(sim, r, 0, r->length_bytes);
		sim_bad_clear(sim, r->progress_bytes, r->length_bytes);
		return;
	}
	sim_trace_partial(sim, r);
	for (uint64_t done = 0; done < r->length_bytes; done += size) {
		const uint64_t at = r->progress_bytes + done;

		if (!sim_dice_keep(&dice, at / size) || !part_change(sim, r, done, size))
			continue;
		sim_bad_clear(sim, at, size);
		sim_trace_unit(sim, r, done / size);
	}
}

/* The request's effect and result. */
static int effect(struct disk_sim *sim, const struct disk_request *r)
{
	if (r->op == DISK_FLUSH) {
		if (!marked(r, DISK_SIM_FLUSH_LIE))
			sim_cache_flush(&sim->cache);
		return 0;
	}
	if (r->op != DISK_READ) {
		change(sim, r, 100);
		return 0;
	}
	if (sim_bad_within(sim, r->progress_bytes, r->length_bytes))
		return -EIO;
	pieces_read(sim, r, r->progress_bytes);
	if (marked(r, DISK_SIM_CORRUPT))
		pieces_corrupt(sim, r);
	return 0;
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
	sim_trace_ended(sim, r, result);
	digest_add(sim, r, result, loop_now_ns(r->channel->loop));
	disk_request_end(r, result);
}

/* An accepted request at the end of its time. */
static void come_true(struct disk_sim *sim, struct disk_request *r)
{
	const bool within = range_within(r->offset, r->length_bytes, sim->size_bytes) &&
			    range_within(r->progress_bytes, r->length_bytes, sim->size_bytes);

	/* The size may have shrunk since. */
	if (r->op != DISK_FLUSH && !within) {
		r->result = -ENXIO;
		sim_trace_partial(sim, r);
		return;
	}
	if (r->result == 0)
		r->result = effect(sim, r);
	else if (sim_changes(r))
		change(sim, r, FAIL_SURVIVE_PERCENT);
}

static void time_is_up(struct loop_timer *timer)
{
	struct disk_request *r = container_of(timer, struct disk_request, timer);
	struct disk_sim *sim = disk_of(r)->sim;

	list_remove(&r->io.node);
	if (r->step)
		come_true(sim, r);
	if (sim->powered &&
	    random_chance(&sim->loss_random, sim->params.plan.write_back_percent, 100)) {
		struct sim_dice dice = sim_dice_of(sim, WRITE_BACK_PERCENT);

		sim_cache_write_back_some(&sim->cache, &dice);
	}
	request_end(r, r->result);
}

/* 0, or why the drive does not take the request. */
static int refusal(const struct disk_sim *sim, const struct disk_request *r)
{
	uint64_t pieces = 0;

	if (!sim->powered)
		return -EIO;
	if (sim->gone)
		return sim->gone;
	if (sim->flush_error < 0 && (r->op == DISK_FLUSH || (r->flags & DISK_FUA)))
		return sim->flush_error;
	if (r->op == DISK_FLUSH)
		return 0;
	if (!is_aligned(r->offset | r->length_bytes, sim->params.logical_block_bytes))
		return -EINVAL;
	if (!range_within(r->offset, r->length_bytes, sim->size_bytes))
		return -ENXIO;
	if (r->op == DISK_DISCARD && !sim->params.discard)
		return -EOPNOTSUPP;
	for (unsigned i = 0; i < r->iov_count; i++)
		pieces += r->iov[i].iov_len;
	return r->op <= DISK_WRITE && pieces != r->length_bytes ? -EINVAL : 0;
}

/* Decides what becomes of a request that the drive takes. Returns how much longer it takes. */
static uint64_t accept(struct disk_sim *sim, struct disk_request *r)
{
	uint64_t delay_ns;

	sim->stats.accepted++;
	r->step = SIM_ACCEPTED;
	r->progress_bytes = r->offset;
	delay_ns = sim_plan_strike(sim, r);
	sim_trace_submitted(sim, r);
	if (r->op == DISK_FLUSH && r->result == 0 && !marked(r, DISK_SIM_FLUSH_LIE) &&
	    random_chance(&sim->loss_random, 1, 2))
		sim_cache_flush(&sim->cache);
	return delay_ns;
}

void sim_submit(struct disk_channel *channel, struct disk_request *request)
{
	struct sim_disk *disk = container_of(channel->disk, struct sim_disk, disk);
	struct disk_sim *sim = disk->sim;
	uint64_t latency_ns = sim_plan_latency_ns(sim);

	request->result = refusal(sim, request);
	request->step = 0;
	request->retries = 0;
	if (request->result == 0)
		latency_ns += accept(sim, request);
	list_append(&disk->in_flight, &request->io.node);
	loop_timer_init(&request->timer, time_is_up);
	loop_timer_arm(channel->loop, &request->timer, loop_now_ns(channel->loop) + latency_ns);
	if (marked(request, DISK_SIM_GONE))
		disk_sim_gone_set(sim, request->result);
}

void sim_requests_cut(struct sim_disk *disk, int error, unsigned percent)
{
	list_for_each (node, &disk->in_flight) {
		struct disk_request *r = container_of(node, struct disk_request, io.node);
		struct loop *loop = r->channel->loop;
		const bool leaves = r->step && sim_changes(r);

		r->result = error;
		if (leaves)
			change(disk->sim, r, percent);
		r->step = 0;
		loop_timer_arm(loop, &r->timer, loop_now_ns(loop));
	}
}
