/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does the campaign see anything at all? Each ordering that the engine relies on is left out in
 * turn, and crash states are made until one is wrong. One that is not missed is either not needed
 * or not tested: both are failures.
 */
#include <stdio.h>

#include <quoin/pool.h>

#include "crash.h"

#define SEEDS_MAX 200
#define STATES 120

struct barrier {
	unsigned bit;
	const char *name;
	uint64_t seeds_skipped; /* where it was not missed: only for it to be missed sooner */
};

static const struct barrier barriers[] = {
	{POOL_BARRIER_LOG_FLUSH, "log-flush", 0},
	{POOL_BARRIER_LOG_FUA, "log-fua", 0},
	{POOL_BARRIER_CKPT_DRAIN, "ckpt-drain", 0},
	{POOL_BARRIER_CKPT_FLUSH, "ckpt-flush", 0},
	{POOL_BARRIER_KEEP, "keep", 53},
	{POOL_BARRIER_LOG_VERIFY, "log-verify", 0},
	{POOL_BARRIER_LOG_RELOG, "log-relog", 0},
	{POOL_BARRIER_LOG_WRAP, "log-wrap", 0},
	{POOL_BARRIER_SUPER_FUA, "super-fua", 0},
	{POOL_BARRIER_LOG_GATHER, "log-gather", 0},
	{POOL_BARRIER_SUPER_LEVEL, "super-level", 0},
	{POOL_BARRIER_LOG_STALE, "log-stale", 21},
};

/* Some orderings matter in few runs only: these have more of what needs them. */
void sim_barriers_shape(const struct sim_context *context, struct life *life,
			struct crash_plan *plan, struct world_shape *shape)
{
	switch (context->options->barriers_off) {
	case POOL_BARRIER_KEEP:
		plan->rewind_percent = 70;
		life->mix.weight[WORK_SYNC] = 150;
		break;
	case POOL_BARRIER_LOG_RELOG:
		life->mix.write_max = 3;
		life->mix.weight[WORK_SYNC] = 100;
		life->mix.weight[WORK_FUA] = 200;
		break;
	case POOL_BARRIER_LOG_GATHER:
		life_of_patches(life);
		break;
	case POOL_BARRIER_LOG_WRAP:
		/* Many commits of what needs no space, so that no checkpoint comes between. */
		life->mix = (struct work_mix){
			.weight = {[WORK_ZEROES] = 10, [WORK_FLUSH] = 10, [WORK_WRITE] = 1},
			.sectors_max = 512,
			.write_max = 8,
			.volumes = 1};
		life->steps = 5500;
		life->work_depth = 1;
		plan->again_percent = 0;
		shape->delta_records = 4096;
		shape->drives = 1;
		shape->drive_bytes = 64 * MiB;
		break;
	case POOL_BARRIER_SUPER_LEVEL:
		plan->again_percent = 50;
		plan->depth = 3;
		plan->steps_again = 0;
		shape->drives = 2;
		shape->mirrored = false;
		shape->group[1] = 1;
		break;
	case POOL_BARRIER_LOG_STALE:
		/* Partial blocks, safe in the log, that are merged once more after the crash. */
		life->mix = (struct work_mix){
			.weight = {[WORK_WRITE] = 6, [WORK_FLUSH] = 4, [WORK_SLEEP] = 1},
			.sectors_max = 64,
			.write_max = 3,
			.volumes = 1};
		life->steps = 60;
		life->work_depth = 3;
		plan->again_percent = 100;
		plan->states_again = 12;
		plan->steps_again = 0;
		shape->drives = 1;
		break;
	default:
		break;
	}
}

bool sim_barriers_run(const struct sim_options *options, struct sim_report *total)
{
	bool good = true;

	for (size_t i = 0; i < ARRAY_SIZE(barriers) && !total->ended; i++) {
		struct sim_options part = *options;
		struct sim_report report = {.kind = SIM_CRASH};
		bool missed;

		part.kind = SIM_CRASH;
		part.barriers_off = barriers[i].bit;
		part.seed += barriers[i].seeds_skipped;
		part.seeds = SEEDS_MAX;
		part.seconds = 0;
		part.states = STATES;
		part.quiet = true;
		missed = !sim_jobs_run(&part, &report);
		sim_report_add(total, &report);
		if (report.ended)
			break;
		good &= missed;
		if (!options->json)
			printf("without %-12s %s after %llu crash states: %.300s\n",
			       barriers[i].name, missed ? "wrong" : "NOTHING IS WRONG",
			       (unsigned long long)report.states, report.failure);
		fflush(stdout);
	}
	return good;
}
