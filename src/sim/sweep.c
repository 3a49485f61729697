/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run, again and again: each time another request of a drive fails, once, or with all that come
 * after it, or the drive is gone with it. On mirrors nobody may notice. Without copies errors are
 * told, and never is wrong data read; and when the drive is well again, what was flushed is there.
 *
 * Then again with memory: each time another allocation of an import or a verb is refused, once, or
 * with all that come after it. The import or verb says so and has done nothing; or a checkpoint
 * needed it, and the pool is suspended. Nothing leaks, and the next import finds what was there.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <quoin/base_assert.h>

#include "check.h"
#include "refuse.h"

enum sweep_mode {
	SWEEP_NONE,
	SWEEP_ONCE,
	SWEEP_ALWAYS,
	SWEEP_GONE,
	SWEEP_DRIVE_MODES,
	SWEEP_MEMORY_ONCE = SWEEP_DRIVE_MODES,
	SWEEP_MEMORY_ALWAYS,
	SWEEP_MODES,
};

struct sweep {
	const struct sim_context *context;
	struct world_shape shape;
	struct random random;
	uint64_t seed; /* of the run */
	struct world *world;
	struct model model;
	struct work *work;
	enum sweep_mode mode;
	unsigned victim;
	uint64_t nth;	/* request or allocation that fails, from 1 */
	uint64_t count; /* requests there were */
	uint64_t asked; /* allocations */
	char what[96];
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

static bool of_memory(const struct sweep *s)
{
	return s->mode >= SWEEP_MEMORY_ONCE;
}

static void fault_set(struct sweep *s)
{
	const struct disk_sim_fault fault = {
		.kind = s->mode == SWEEP_GONE ? DISK_SIM_GONE : DISK_SIM_FAIL,
		.ops = DISK_SIM_OPS_ALL,
		.after = s->nth - 1,
		.count = s->mode == SWEEP_ALWAYS ? 0 : 1,
		.result = -EIO,
	};

	refuse_plan(of_memory(s) ? s->nth : 0, s->mode == SWEEP_MEMORY_ALWAYS);
	if (s->mode == SWEEP_NONE)
		return;
	if (!of_memory(s))
		ASSERT(disk_sim_fault_add(s->world->drives[s->victim], &fault) == 0);
	s->context->report->faults++;
}

static void work_through(struct sweep *s)
{
	struct work_mix mix = sweep_mix;

	work_mix_add(&mix, s->context, 15);
	for (unsigned i = 0; i < 30 && !work_failing(s->work) && !s->work->half; i++) {
		if (work_volume_pick(s->work) < 0)
			work_verb_step(s->work, &mix, WORK_CREATE);
		work_step(s->work, &mix);
	}
}

static void open_first(struct sweep *s)
{
	struct err err = {.code = 0};
	const int r = world_open(s->world, &(struct world_opening){.read_only = false}, &err);

	if (r == 0)
		return;
	if (s->mode == SWEEP_NONE || err.text[0] == '\0' || (of_memory(s) && r != -ENOMEM))
		sim_fail(s->context, "%s: open: %s", s->what, err.text);
}

static void run_main(void *arg)
{
	struct sweep *s = arg;
	char why[CHECK_TEXT];
	bool failing;
	int r;

	world_format(s->world);
	fault_set(s);
	open_first(s);
	if (!s->world->pool)
		return;
	work_through(s);
	work_drain(s->work);
	if (!work_failing(s->work) && !s->work->beyond && !s->work->half &&
	    !check_now(s->work, why))
		sim_fail(s->context, "%s: %s", s->what, why);
	work_handles_close(s->work);
	failing = work_failing(s->work);
	r = world_close(s->world, POOL_KEEP);
	if (r < 0 && !s->work->beyond && !failing)
		sim_fail(s->context, "%s: it does not close: %d", s->what, r);
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
	static const char *const modes[SWEEP_MODES] = {
		[SWEEP_NONE] = "none",
		[SWEEP_ONCE] = "request fails once",
		[SWEEP_ALWAYS] = "request and all after it fail",
		[SWEEP_GONE] = "request finds it gone",
		[SWEEP_MEMORY_ONCE] = "allocation is refused",
		[SWEEP_MEMORY_ALWAYS] = "allocation and all after it are refused",
	};
	const struct disk_sim_plan plan = disk_sim_plan_default();
	const int64_t live = refuse_live();
	struct disk_sim_stats stats;

	snprintf(s->what, sizeof(s->what), "drive %u: %lluth %s", s->victim,
		 (unsigned long long)s->nth, modes[s->mode]);
	s->world = world_new(s->context, &s->shape, s->seed, &plan);
	model_init(&s->model);
	s->work = work_new(s->world, &s->model);
	s->work->beyond = s->mode != SWEEP_NONE && !of_memory(s) && !s->shape.mirrored;
	s->work->faulty = s->mode != SWEEP_NONE && !of_memory(s);
	s->work->refusing = of_memory(s);
	world_run(s->world, run_main, s);
	s->asked = refuse_asked();
	refuse_plan(0, false);
	disk_sim_stats_get(s->world->drives[s->victim], &stats);
	s->count = stats.accepted;
	disk_sim_faults_clear(s->world->drives[s->victim]);
	disk_sim_gone_set(s->world->drives[s->victim], 0);
	world_power_on(s->world, ~0U);
	s->work->beyond = s->work->dead = s->work->refusing = false;
	world_run(s->world, again_main, s);
	s->context->report->states++;
	work_free(s->work);
	model_fini(&s->model);
	world_free(s->world);
	if (refuse_live() != live)
		sim_fail(s->context, "%s: %lld allocations were not freed", s->what,
			 (long long)(refuse_live() - live));
}

/* Some of all requests or allocations, in these modes. */
static void run_modes(struct sweep *s, uint64_t most, uint64_t count, unsigned from, unsigned to)
{
	const uint64_t stride = MAX(count / MAX(most, UINT64_C(1)), UINT64_C(1));
	struct random *random = &s->random;

	for (s->nth = 1 + random_below(random, stride); s->nth <= count; s->nth += stride) {
		for (unsigned mode = from; mode < to; mode++) {
			s->mode = (enum sweep_mode)mode;
			run(s);
		}
	}
}

void sim_sweep_run(const struct sim_context *context)
{
	struct sweep *s = calloc(1, sizeof(*s));
	const uint64_t most = context->options->states / 2;
	uint64_t requests, asked;

	ASSERT(s != NULL);
	random_init(&s->random, context->seed);
	s->context = context;
	s->shape = world_shape_pick(&s->random);
	s->shape.drive_bytes = 32 * MiB;
	s->seed = random_u64(&s->random);
	s->victim = (unsigned)random_below(&s->random, s->shape.drives);
	run(s);
	requests = s->count;
	asked = s->asked;
	run_modes(s, most == 0 ? requests : most / (SWEEP_DRIVE_MODES - SWEEP_ONCE), requests,
		  SWEEP_ONCE, SWEEP_DRIVE_MODES);
	run_modes(s, most == 0 ? asked : most / (SWEEP_DRIVE_MODES - SWEEP_ONCE), asked,
		  SWEEP_MEMORY_ONCE, SWEEP_MODES);
	free(s);
}
