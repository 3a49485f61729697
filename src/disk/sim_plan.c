/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens to a request of a simulated drive: how long it takes, whether it fails, where it
 * goes instead. All is decided when it is submitted. Times and errors, losses, and faults each draw
 * from a sequence of random numbers of their own: a loss depends on what is in the cache, and a
 * fault that is added must not move the time of anything.
 */
#include <errno.h>

#include <quoin/base_assert.h>
#include <quoin/base_bitmap.h>
#include <quoin/base_math.h>
#include <quoin/base_text.h>

#include "sim.h"

#define MILLION 1000000

#define OPS_CHANGE (1U << DISK_WRITE | 1U << DISK_DISCARD | 1U << DISK_WRITE_ZEROES)

/* The requests a kind of fault applies to. */
static const unsigned kind_ops[DISK_SIM_FAULT_KINDS] = {
	[DISK_SIM_FAIL] = DISK_SIM_OPS_ALL,
	[DISK_SIM_CORRUPT] = 1U << DISK_READ,
	[DISK_SIM_LATENT] = 1U << DISK_READ,
	[DISK_SIM_MISDIRECT_READ] = 1U << DISK_READ,
	[DISK_SIM_MISDIRECT_WRITE] = OPS_CHANGE,
	[DISK_SIM_PHANTOM] = OPS_CHANGE,
	[DISK_SIM_FLUSH_LIE] = 1U << DISK_FLUSH,
	[DISK_SIM_FUA_IGNORE] = 1U << DISK_WRITE | 1U << DISK_WRITE_ZEROES,
	[DISK_SIM_STALL] = DISK_SIM_OPS_ALL,
	[DISK_SIM_GONE] = DISK_SIM_OPS_ALL,
};

struct disk_sim_plan disk_sim_plan_default(void)
{
	return (struct disk_sim_plan){
		.latency_min_ns = 10 * NS_PER_US,
		.latency_max_ns = 200 * NS_PER_US,
		.stall_min_ns = NS_PER_MS,
		.stall_max_ns = 60 * NS_PER_S,
		.write_back_percent = 5,
		.survive_percent = 50,
		.tear_percent = 50,
	};
}

void disk_sim_plan_set(struct disk_sim *sim, const struct disk_sim_plan *plan)
{
	ASSERT_U64(plan->latency_min_ns, <=, plan->latency_max_ns);
	ASSERT_U64(plan->stall_min_ns, <=, plan->stall_max_ns);
	ASSERT_U64(plan->survive_percent, <=, 100);
	ASSERT_U64(plan->write_back_percent, <=, 100);
	ASSERT_U64(plan->tear_percent, <=, 100);
	/* That one has a chance for each operation, with an error that is always the same. */
	ASSERT_U64(plan->fault_ppm[DISK_SIM_FAIL], ==, 0);
	sim->params.plan = *plan;
}

int disk_sim_fault_add(struct disk_sim *sim, const struct disk_sim_fault *fault)
{
	const bool has_result = fault->kind == DISK_SIM_FAIL || fault->kind == DISK_SIM_GONE;

	ASSERT_U64(fault->kind, <, DISK_SIM_FAULT_KINDS);
	ASSERT(has_result ? fault->result < 0 : fault->result == 0);
	if (sim->fault_count == DISK_SIM_FAULTS_MAX)
		return -ENOSPC;
	sim->faults[sim->fault_count++] = (struct sim_fault){.fault = *fault};
	return 0;
}

void disk_sim_faults_clear(struct disk_sim *sim)
{
	sim->fault_count = 0;
}

uint64_t sim_plan_latency_ns(struct disk_sim *sim)
{
	const struct disk_sim_plan *plan = &sim->params.plan;

	return plan->latency_min_ns +
	       random_below(&sim->random, plan->latency_max_ns - plan->latency_min_ns + 1);
}

static bool applies(enum disk_sim_fault_kind kind, const struct disk_request *request)
{
	if (!(kind_ops[kind] & (1U << request->op)))
		return false;
	return kind != DISK_SIM_FUA_IGNORE || (request->flags & DISK_FUA);
}

static uint64_t fault_end(const struct disk_sim_fault *fault)
{
	return fault->length_bytes ? fault->offset + fault->length_bytes : UINT64_MAX;
}

static bool touches(const struct disk_sim_fault *fault, const struct disk_request *request)
{
	if (!(fault->ops & (1U << request->op)) || !applies(fault->kind, request))
		return false;
	return request->op == DISK_FLUSH ||
	       (request->offset < fault_end(fault) &&
		request->offset + request->length_bytes > fault->offset);
}

/* Another place for the request; its own when the drive has no other. */
static uint64_t elsewhere(struct disk_sim *sim, const struct disk_request *r, uint64_t chosen)
{
	const uint64_t block = sim->params.logical_block_bytes;
	const uint64_t places = (sim->size_bytes - r->length_bytes) / block + 1;
	uint64_t at;

	if (chosen != DISK_SIM_ANYWHERE)
		return range_within(chosen, r->length_bytes, sim->size_bytes) ? chosen : r->offset;
	if (places == 1)
		return r->offset;
	/* Each of the others with the same chance. */
	at = random_below(&sim->fault_random, places - 1) * block;
	return at < r->offset ? at : at + block;
}

/* The part of the fault's range that the request touches. */
static void range_go_bad(struct disk_sim *sim, const struct disk_request *r,
			 const struct disk_sim_fault *fault)
{
	const uint64_t block = sim->params.logical_block_bytes;
	const uint64_t begin = MAX(r->offset, align_down(fault->offset, block));
	const uint64_t stop = MIN(fault_end(fault), r->offset + r->length_bytes);

	disk_sim_latent_add(sim, begin, align_up(stop, block) - begin);
}

/* Returns by how much the request is delayed. */
static uint64_t strike(struct disk_sim *sim, struct disk_request *r,
		       const struct disk_sim_fault *fault)
{
	sim->stats.faults[fault->kind]++;
	r->step |= SIM_MARK(fault->kind);
	switch (fault->kind) {
	case DISK_SIM_FAIL:
	case DISK_SIM_GONE:
		r->result = fault->result;
		return 0;
	case DISK_SIM_LATENT:
		range_go_bad(sim, r, fault);
		return 0;
	case DISK_SIM_MISDIRECT_READ:
	case DISK_SIM_MISDIRECT_WRITE:
		r->progress_bytes = elsewhere(sim, r, fault->argument);
		return 0;
	case DISK_SIM_STALL:
		return fault->argument;
	case DISK_SIM_CORRUPT:
	case DISK_SIM_PHANTOM:
	case DISK_SIM_FLUSH_LIE:
	case DISK_SIM_FUA_IGNORE:
		return 0;
	}
	UNREACHABLE();
}

/* A fault of this kind as chance makes it, for this request. */
static struct disk_sim_fault random_fault(struct disk_sim *sim, enum disk_sim_fault_kind kind,
					  const struct disk_request *r)
{
	const struct disk_sim_plan *plan = &sim->params.plan;
	const uint64_t block = sim->params.logical_block_bytes;
	struct disk_sim_fault fault = {.kind = kind, .argument = DISK_SIM_ANYWHERE};

	if (kind == DISK_SIM_GONE) {
		fault.result = -ENXIO;
	} else if (kind == DISK_SIM_STALL) {
		fault.argument = plan->stall_min_ns +
				 random_below(&sim->fault_random,
					      plan->stall_max_ns - plan->stall_min_ns + 1);
	} else if (kind == DISK_SIM_LATENT) {
		const uint64_t blocks = MAX(r->length_bytes / block, 1);

		fault.offset = r->offset + random_below(&sim->fault_random, blocks) * block;
		fault.length_bytes = block;
	}
	return fault;
}

static uint64_t strike_by_chance(struct disk_sim *sim, struct disk_request *r)
{
	const struct disk_sim_plan *plan = &sim->params.plan;
	uint64_t delay_ns = 0;

	for (unsigned kind = DISK_SIM_FAIL + 1; kind < DISK_SIM_FAULT_KINDS; kind++) {
		struct disk_sim_fault fault;

		if (plan->fault_ppm[kind] == 0 || !applies(kind, r) ||
		    !random_chance(&sim->fault_random, plan->fault_ppm[kind], MILLION))
			continue;
		fault = random_fault(sim, kind, r);
		delay_ns += strike(sim, r, &fault);
	}
	return delay_ns;
}

uint64_t sim_plan_strike(struct disk_sim *sim, struct disk_request *r)
{
	/* The dice fall for every request, so that a fault that is added moves nothing else. */
	const bool unlucky =
		random_below(&sim->random, MILLION) < sim->params.plan.error_ppm[r->op];
	uint64_t delay_ns;

	if (unlucky)
		r->result = -EIO;
	delay_ns = strike_by_chance(sim, r);
	for (unsigned i = 0; i < sim->fault_count; i++) {
		struct sim_fault *f = &sim->faults[i];

		if (!touches(&f->fault, r))
			continue;
		f->seen++;
		if (f->seen > f->fault.after &&
		    (f->fault.count == 0 || f->seen - f->fault.after <= f->fault.count))
			delay_ns += strike(sim, r, &f->fault);
	}
	return delay_ns;
}

struct sim_dice sim_dice_of(struct disk_sim *sim, unsigned percent)
{
	return (struct sim_dice){
		.random = &sim->loss_random,
		.percent = percent,
		.tear_percent = sim->params.plan.tear_percent,
		.block_units = sim->params.logical_block_bytes / sim->cache.unit_bytes,
		.block = UINT64_MAX,
	};
}

bool sim_dice_keep(struct sim_dice *dice, uint64_t unit)
{
	if (dice->percent == 100)
		return true;
	if (unit / dice->block_units != dice->block) {
		dice->block = unit / dice->block_units;
		dice->torn = dice->block_units > 1 &&
			     random_chance(dice->random, dice->tear_percent, 100);
		dice->kept = random_chance(dice->random, dice->percent, 100);
	} else if (dice->torn) {
		dice->kept = random_chance(dice->random, dice->percent, 100);
	}
	return dice->kept;
}

void disk_sim_latent_add(struct disk_sim *sim, uint64_t offset, uint64_t length_bytes)
{
	const uint64_t unit = sim->cache.unit_bytes;

	ASSERT(is_aligned(offset | length_bytes, sim->params.logical_block_bytes));
	ASSERT(range_within(offset, length_bytes, sim->cache.unit_count * unit));
	if (!sim->bad)
		sim->bad = xcalloc(BITMAP_WORDS(sim->cache.unit_count), sizeof(uint64_t));
	for (uint64_t u = offset / unit; u < (offset + length_bytes) / unit; u++)
		bitmap_set(sim->bad, u);
}

bool sim_bad_within(const struct disk_sim *sim, uint64_t offset, uint64_t length)
{
	const uint64_t unit = sim->cache.unit_bytes;
	const uint64_t end = (offset + length) / unit;

	return sim->bad && bitmap_next_set(sim->bad, end, offset / unit) < end;
}

void sim_bad_clear(struct disk_sim *sim, uint64_t offset, uint64_t length)
{
	const uint64_t unit = sim->cache.unit_bytes;

	if (!sim->bad)
		return;
	for (uint64_t u = offset / unit; u < (offset + length) / unit; u++)
		bitmap_clear(sim->bad, u);
}
