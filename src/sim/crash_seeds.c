/* SPDX-License-Identifier: Apache-2.0 */
/* What lives crash, of seeds: crash.h does the rest. */
#include <stdlib.h>

#include <quoin/base_assert.h>

#include "crash.h"

static const struct work_mix crash_mix = {
	.weight =
		{
			[WORK_WRITE] = 200,
			[WORK_FUA] = 30,
			[WORK_READ] = 10,
			[WORK_TRIM] = 30,
			[WORK_ZEROES] = 30,
			[WORK_FLUSH] = 60,
			[WORK_SYNC] = 20,
			[WORK_SNAPSHOT] = 20,
			[WORK_SNAPSHOT_DESTROY] = 10,
			[WORK_SNAPSHOT_RENAME] = 3,
			[WORK_ROLLBACK] = 6,
			[WORK_CLONE] = 6,
			[WORK_PROMOTE] = 5,
			[WORK_CREATE] = 5,
			[WORK_DESTROY] = 4,
			[WORK_RENAME] = 3,
			[WORK_RESIZE] = 6,
			[WORK_HOLD] = 2,
			[WORK_RELEASE] = 2,
			[WORK_REOPEN] = 2,
			[WORK_SLEEP] = 15,
		},
	.sectors_max = 512,
	.write_max = 128,
	.volumes = 3,
};

void life_of_patches(struct life *life)
{
	life->mix.write_max = 7;
	life->mix.weight[WORK_WRITE] = 2000;
	life->mix.weight[WORK_FUA] = 0;
	life->steps += 150;
	life->work_depth = WORK_SLOTS;
}

static struct life *life_new(const struct crash_plan *plan)
{
	struct life *life = calloc(1, sizeof(*life));

	ASSERT(life != NULL);
	life->plan = plan;
	life->mix = crash_mix;
	return life;
}

static void seed_run(const struct sim_context *context, struct crash_plan *plan, unsigned steps)
{
	struct life *life = life_new(plan);
	struct world_shape shape;
	struct random random;

	random_init(&random, context->seed);
	shape = world_shape_pick(&random);
	shape.drive_bytes = 32 * MiB;
	shape.delta_records = 512;
	shape.barriers_off = context->options->barriers_off;
	life->steps = 1 + (unsigned)random_below(&random, steps);
	if (context->options->barriers_off == 0 && context->seed % 4 == 1)
		life_of_patches(life);
	work_mix_add(&life->mix, context, 25);
	sim_barriers_shape(context, life, plan, &shape);
	life_run(context, life, &shape, &random);
	free(life);
}

void sim_crash_run(const struct sim_context *context)
{
	struct crash_plan plan = {
		.states = context->options->states,
		.states_again = 12,
		.again_percent = 4,
		.depth = 2,
		.steps_again = 10,
		.read_only_percent = 25,
		.rewind_percent = 8,
	};

	seed_run(context, &plan, 40);
}

void sim_double_run(const struct sim_context *context)
{
	struct crash_plan plan = {
		.states = MAX(context->options->states / 40, UINT64_C(1)),
		.states_again = 40,
		.again_percent = 100,
		.depth = 2,
		.read_only_percent = 20,
	};

	seed_run(context, &plan, 20);
}
