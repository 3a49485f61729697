/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run, again and again: each time another request of a drive fails, once, or with all that come
 * after it, or the drive is gone with it. On mirrors nobody may notice. Without copies errors are
 * told, and never is wrong data read; and when the drive is well again, what was flushed is there.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <quoin/base_assert.h>

#include "check.h"

enum sweep_mode { SWEEP_NONE, SWEEP_ONCE, SWEEP_ALWAYS, SWEEP_GONE, SWEEP_MODES };

struct sweep {
	const struct sim_context *context;
	struct world_shape shape;
	uint64_t seed; /* of the run */
	struct world *world;
	struct model model;
	struct work *work;
	enum sweep_mode mode;
	unsigned victim;
	uint64_t request; /* that fails, from 1 */
	uint64_t count;	  /* there were */
	char what[64];
};

static const struct work_mix sweep_mix = {
	.weight =
		{
			[WORK_WRITE] = 100,
			[WORK_FUA] = 20,
			[WORK_READ] = 60,
			[WORK_TRIM] = 15,
			[WORK_ZEROES] = 15,
			[WORK_FLUSH] = 30,
			[WORK_SYNC] = 10,
			[WORK_SNAPSHOT] = 15,
			[WORK_SNAPSHOT_DESTROY] = 6,
			[WORK_ROLLBACK] = 5,
			[WORK_CLONE] = 5,
			[WORK_PROMOTE] = 4,
			[WORK_CREATE] = 5,
			[WORK_DESTROY] = 3,
			[WORK_RENAME] = 3,
			[WORK_RESIZE] = 5,
			[WORK_REOPEN] = 3,
		},
	.sectors_max = 1024,
	.write_max = 256,
	.volumes = 3,
};

static void fault_set(struct sweep *s)
{
	const struct disk_sim_fault fault = {
		.kind = s->mode == SWEEP_GONE ? DISK_SIM_GONE : DISK_SIM_FAIL,
		.ops = DISK_SIM_OPS_ALL,
		.after = s->request - 1,
		.count = s->mode == SWEEP_ALWAYS ? 0 : 1,
		.result = -EIO,
	};

	if (s->mode == SWEEP_NONE)
		return;
	ASSERT(disk_sim_fault_add(s->world->drives[s->victim], &fault) == 0);
	s->context->report->faults++;
}

static void work_through(struct sweep *s)
{
	for (unsigned i = 0; i < 30 && !work_failing(s->work); i++) {
		if (work_volume_pick(s->work) < 0)
			work_verb_step(s->work, &sweep_mix, WORK_CREATE);
		work_step(s->work, &sweep_mix);
	}
}

static void run_main(void *arg)
{
	struct sweep *s = arg;
	const struct world_opening how = {.read_only = false};
	struct err err = {.code = 0};
	char why[CHECK_TEXT];

	world_format(s->world);
	fault_set(s);
	if (world_open(s->world, &how, &err) < 0) {
		if (s->mode == SWEEP_NONE)
			sim_fail(s->context, "%s: open: %s", s->what, err.text);
		return;
	}
	work_through(s);
	work_drain(s->work);
	if (!work_failing(s->work) && !s->work->beyond && !check_now(s->work, why))
		sim_fail(s->context, "%s: %s", s->what, why);
	work_handles_close(s->work);
	if (world_close(s->world, POOL_KEEP) < 0 && !s->work->beyond)
		sim_fail(s->context, "%s: it does not close", s->what);
}

/* The drive is well again. */
static void again_main(void *arg)
{
	struct sweep *s = arg;
	const struct world_opening how = {.read_only = false};
	struct err err = {.code = 0};
	char why[CHECK_TEXT];

	if (world_open(s->world, &how, &err) < 0)
		sim_fail(s->context, "%s: open again: %s", s->what, err.text);
	if (!check_after_crash(s->work, why))
		sim_fail(s->context, "%s: afterwards: %s", s->what, why);
	if (world_close(s->world, POOL_KEEP) < 0)
		sim_fail(s->context, "%s: it does not close again", s->what);
}

static void run(struct sweep *s)
{
	static const char *const modes[] = {"none", "once", "always", "gone"};
	const struct disk_sim_plan plan = disk_sim_plan_default();
	struct disk_sim_stats stats;

	snprintf(s->what, sizeof(s->what), "drive %u, request %llu fails %s", s->victim,
		 (unsigned long long)s->request, modes[s->mode]);
	s->world = world_new(s->context, &s->shape, s->seed, &plan);
	model_init(&s->model);
	s->work = work_new(s->world, &s->model);
	s->work->beyond = s->mode != SWEEP_NONE && !s->shape.mirrored;
	s->work->faulty = s->mode != SWEEP_NONE;
	world_run(s->world, run_main, s);
	disk_sim_stats_get(s->world->drives[s->victim], &stats);
	s->count = stats.accepted;
	disk_sim_faults_clear(s->world->drives[s->victim]);
	disk_sim_gone_set(s->world->drives[s->victim], 0);
	world_power_on(s->world, ~0U);
	s->work->beyond = false;
	s->work->dead = false;
	world_run(s->world, again_main, s);
	s->context->report->states++;
	work_free(s->work);
	model_fini(&s->model);
	world_free(s->world);
}

void sim_sweep_run(const struct sim_context *context)
{
	struct sweep *s = calloc(1, sizeof(*s));
	struct random random;
	uint64_t most = context->options->states / 2;
	uint64_t requests;
	uint64_t stride;

	ASSERT(s != NULL);
	random_init(&random, context->seed);
	s->context = context;
	s->shape = world_shape_pick(&random);
	s->shape.drive_bytes = 32 * MiB;
	s->seed = random_u64(&random);
	s->victim = (unsigned)random_below(&random, s->shape.drives);
	run(s);
	requests = s->count;
	most = most == 0 ? requests : MAX(most / (SWEEP_MODES - 1), UINT64_C(1));
	stride = MAX(requests / most, UINT64_C(1));
	for (uint64_t n = 1 + random_below(&random, stride); n <= requests; n += stride) {
		for (unsigned mode = SWEEP_ONCE; mode < SWEEP_MODES; mode++) {
			s->mode = (enum sweep_mode)mode;
			s->request = n;
			run(s);
		}
	}
	free(s);
}
