/* SPDX-License-Identifier: Apache-2.0 */
/* Crash states, and lives after a crash. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>

#include "crash.h"

#define TRACE_BYTES (64 * MiB)
#define STATES_PER_CUT 6
#define KEEP_WORDS 16 /* of changes that are kept or not, one by one */

void life_trace(struct life *life)
{
	for (unsigned i = 0; i < life->world->shape.drives; i++)
		life->traces[i] = disk_sim_trace_start(life->world->drives[i], TRACE_BYTES);
	model_copy(&life->shadow, life->model);
	life->shadow_next = 0;
	life->work->journal_count = 0;
	life->work->journaling = true;
}

static void trace_stop(struct life *life)
{
	for (unsigned i = 0; i < life->world->shape.drives; i++)
		disk_sim_trace_stop(life->traces[i]);
	life->work->journaling = false;
}

/* --- One state ------------------------------------------------------------------------------- */

struct trial {
	struct life *life; /* of its own */
	bool again;	   /* it is traced, and crashes */
	bool read_only;
	bool rewind;
	char why[CHECK_TEXT];
};

static void trial_fail(struct trial *trial, const char *what)
{
	struct pool_status status = {.problem = ""};

	if (trial->life->world->pool)
		pool_status(trial->life->world->pool, &status);
	sim_fail(trial->life->context, "%s: %s: %s (%s)", trial->life->what, what, trial->why,
		 status.problem);
}

static void steps_do(struct life *life)
{
	if (life->script) {
		life->script(life);
		return;
	}
	for (unsigned i = 0; i < life->steps; i++) {
		if (work_volume_pick(life->work) < 0)
			work_verb_step(life->work, &life->mix, WORK_CREATE);
		work_step(life->work, &life->mix);
	}
	if (life->steps == 0)
		fiber_sleep_ns(20 * NS_PER_MS);
}

#define REWIND_MOST 2 /* checkpoints back from the newest of all drives */

/* A checkpoint that this one can go back to, or 0. A drive may be one behind the others. */
static uint64_t rewind_pick(struct world *world)
{
	struct pool_label label, first = {.rewind = {0}};
	uint64_t newest = 0;
	uint64_t to;

	for (unsigned i = 0; i < world->shape.drives; i++) {
		if (pool_label_read(world->loop, world->disks[i], &label, NULL) < 0)
			return 0;
		newest = MAX(newest, label.checkpoint);
		if (i == 0)
			first = label;
	}
	to = first.rewind[random_below(&world->random, 2)];
	return to + REWIND_MOST >= newest ? to : 0;
}

static void trial_main(void *arg)
{
	struct trial *trial = arg;
	struct life *life = trial->life;
	struct world_opening how = {.read_only = trial->read_only};
	struct err err = {.code = 0};

	if (trial->rewind)
		how.rewind_to = rewind_pick(life->world);
	if (world_open(life->world, &how, &err) < 0) {
		snprintf(trial->why, sizeof(trial->why), "%.400s", err.text);
		trial_fail(trial, "it cannot be imported");
	}
	if (how.rewind_to != 0) {
		if (!check_readable(life->work, trial->why))
			trial_fail(trial, "gone back");
		return;
	}
	if (!check_after_crash(life->work, trial->why))
		trial_fail(trial, "after the crash");
	if (!trial->again)
		return;
	/* What was seen is what every crash from now on finds, those of the import included. */
	model_fini(&life->shadow);
	model_copy(&life->shadow, life->model);
	steps_do(life);
}

static void end_main(void *arg)
{
	struct life *life = arg;

	if (!life->world->pool)
		return;
	work_drain(life->work);
	work_handles_close(life->work);
	if (world_close(life->world, POOL_KEEP) == 0 && !life->world->cut)
		sim_fail(life->context, "%s: closed, though the power is cut", life->what);
}

void life_end(struct life *life)
{
	for (unsigned i = 0; i < life->world->shape.drives; i++)
		disk_sim_trace_free(life->traces[i]);
	world_power_cut(life->world);
	world_run(life->world, end_main, life);
	work_free(life->work);
	model_fini(life->model);
	free(life->model);
	world_free(life->world);
}

static struct life *life_after(const struct life *parent, struct disk_sim *const *drives)
{
	struct life *life = calloc(1, sizeof(*life));

	ASSERT(life != NULL);
	life->context = parent->context;
	life->plan = parent->plan;
	life->mix = parent->mix;
	life->depth = parent->depth + 1;
	life->world = world_new_on(parent->world, drives, random_u64(&parent->world->random));
	life->model = malloc(sizeof(*life->model));
	ASSERT(life->model != NULL);
	model_copy(life->model, &parent->shadow);
	life->work = work_new(life->world, life->model);
	life->work->names = 1000 * life->depth + parent->work->names;
	life->steps = parent->plan->steps_again
			      ? 1 + (unsigned)random_below(&life->world->random,
							   parent->plan->steps_again)
			      : 0;
	return life;
}

static void state_try(struct life *parent, struct disk_sim *const *drives, const char *what)
{
	struct random *random = &parent->world->random;
	const struct crash_plan *plan = parent->plan;
	struct life *life = life_after(parent, drives);
	struct trial trial = {.life = life};

	trial.again = life->depth < plan->depth && random_chance(random, plan->again_percent, 100);
	trial.rewind = !trial.again && random_chance(random, plan->rewind_percent, 100);
	trial.read_only = !trial.again && !trial.rewind &&
			  random_chance(random, plan->read_only_percent, 100);
	snprintf(life->what, sizeof(life->what), "%.90s%s%s", parent->what,
		 parent->what[0] ? ", then " : "", what);
	parent->context->report->states++;
	if (trial.again)
		life_trace(life);
	world_run(life->world, trial_main, &trial);
	if (trial.again) {
		trace_stop(life);
		life_crash(life, plan->states_again);
		model_fini(&life->shadow);
	}
	life_end(life);
	free(life);
}

/* --- All states ------------------------------------------------------------------------------ */

struct cut {
	struct life *life;
	size_t at[WORLD_DRIVES_MAX];
	uint64_t count[WORLD_DRIVES_MAX]; /* numbered states of each drive */
	uint64_t all;			  /* with every drive in every state, or UINT64_MAX */
	uint64_t sequence;
};

static void shadow_move(struct life *life, uint64_t sequence)
{
	const struct work *work = life->work;

	while (life->shadow_next < work->journal_count &&
	       work->journal[life->shadow_next].clock <= sequence)
		model_apply(&life->shadow, &work->journal[life->shadow_next++]);
}

static void cut_make(struct life *life, uint64_t sequence, struct cut *cut)
{
	*cut = (struct cut){.life = life, .all = 1, .sequence = sequence};
	for (unsigned i = 0; i < life->world->shape.drives; i++) {
		cut->at[i] = disk_sim_trace_cut_at(life->traces[i], sequence);
		cut->count[i] = disk_sim_crash_count(life->traces[i], cut->at[i]);
		if (__builtin_mul_overflow(cut->all, cut->count[i], &cut->all))
			cut->all = UINT64_MAX;
	}
}

/* Each change of the drive is kept or not. */
static bool chosen_make(struct cut *cut, unsigned drive, struct disk_sim_crash *crash,
			uint64_t keep[KEEP_WORDS])
{
	struct random *random = &cut->life->world->random;
	const size_t unflushed = disk_sim_crash_unflushed(cut->life->traces[drive], cut->at[drive]);
	const uint64_t dense = random_u64(random) % 3;

	if (unflushed > KEEP_WORDS * 64ULL)
		return false;
	for (unsigned i = 0; i < KEEP_WORDS; i++) {
		keep[i] = random_u64(random);
		if (dense == 1)
			keep[i] |= random_u64(random) | random_u64(random);
		if (dense == 2)
			keep[i] &= random_u64(random) & random_u64(random);
	}
	*crash = (struct disk_sim_crash){
		.cut = cut->at[drive], .kind = DISK_SIM_CRASH_CHOSEN, .keep = keep};
	return true;
}

/* The state with this number; or one by chance, for UINT64_MAX. */
static void cut_try(struct cut *cut, uint64_t number)
{
	struct life *life = cut->life;
	struct random *random = &life->world->random;
	struct disk_sim *drives[WORLD_DRIVES_MAX];
	char what[120];
	int length = snprintf(what, sizeof(what), "cut %llu", (unsigned long long)cut->sequence);

	for (unsigned i = 0; i < life->world->shape.drives; i++) {
		uint64_t keep[KEEP_WORDS];
		struct disk_sim_crash crash;
		uint64_t own = number % cut->count[i];

		if (number == UINT64_MAX)
			own = random_chance(random, 1, 4) ? random_below(random, 2) % cut->count[i]
							  : random_below(random, cut->count[i]);
		else
			number /= cut->count[i];
		disk_sim_crash_at(life->traces[i], cut->at[i], own, &crash);
		if (number == UINT64_MAX && random_chance(random, 1, 3))
			chosen_make(cut, i, &crash, keep);
		crash.seed = random_u64(random);
		drives[i] = disk_sim_crash_new(life->traces[i], &crash);
		length += snprintf(what + length, sizeof(what) - (size_t)length,
				   " state %d:%zu:%zu:%u", (int)crash.kind, crash.first,
				   crash.second, crash.tear);
		length = MIN(length, (int)sizeof(what) - 1);
	}
	state_try(life, drives, what);
}

static uint64_t sequence_first(const struct life *life)
{
	uint64_t first = UINT64_MAX;

	for (unsigned i = 0; i < life->world->shape.drives; i++) {
		if (disk_sim_trace_count(life->traces[i]) > 0)
			first = MIN(first, disk_sim_trace_event(life->traces[i], 0)->sequence);
	}
	return first;
}

static uint64_t sequence_last(const struct life *life)
{
	uint64_t last = 0;

	for (unsigned i = 0; i < life->world->shape.drives; i++) {
		const size_t count = disk_sim_trace_count(life->traces[i]);

		if (count > 0)
			last = MAX(last,
				   disk_sim_trace_event(life->traces[i], count - 1)->sequence);
	}
	return last;
}

static void cut_states(struct life *life, uint64_t sequence, uint64_t states)
{
	struct cut cut;

	shadow_move(life, sequence);
	cut_make(life, sequence, &cut);
	life->context->report->cuts++;
	if (states == 0 || cut.all <= states) {
		for (uint64_t n = 0; n < cut.all; n++)
			cut_try(&cut, n);
		return;
	}
	for (uint64_t n = 0; n < states; n++)
		cut_try(&cut, UINT64_MAX);
}

static void trace_tell(const struct life *life, unsigned drive)
{
	static const char *const ops[] = {"read", "write", "flush", "discard", "zeroes"};

	for (size_t i = 0; i < disk_sim_trace_count(life->traces[drive]); i++) {
		const struct disk_sim_event *e = disk_sim_trace_event(life->traces[drive], i);

		fprintf(stderr, "clock %llu drive %u: %s%s %llu %s: %llu+%llu\n",
			(unsigned long long)e->sequence, drive, ops[e->op],
			e->flags & DISK_FUA ? " fua" : "", (unsigned long long)e->request,
			e->end ? "ended" : "began", (unsigned long long)e->offset,
			(unsigned long long)e->length_bytes);
	}
}

void life_crash(struct life *life, uint64_t states)
{
	const uint64_t first = sequence_first(life);
	const uint64_t last = sequence_last(life);
	const uint64_t cuts = states == 0 ? last - first + 2 : 1 + states / STATES_PER_CUT;
	uint64_t at = first - 1;

	if (last == 0)
		return;
	for (unsigned i = 0; life->context->options->verbose && i < life->world->shape.drives; i++)
		trace_tell(life, i);
	/* Ascending, with as many events between two as there are for each. */
	for (uint64_t i = 0; i < cuts && at <= last; i++) {
		const uint64_t left = last - at + 1;
		const uint64_t stride = MAX(left / (cuts - i), UINT64_C(1));

		cut_states(life, at + random_below(&life->world->random, stride),
			   states == 0 ? 0 : STATES_PER_CUT);
		at += stride;
	}
}

/* --- The first life -------------------------------------------------------------------------- */

static const struct work_mix past_mix = {
	.weight = {[WORK_WRITE] = 40,
		   [WORK_TRIM] = 5,
		   [WORK_FLUSH] = 5,
		   [WORK_SYNC] = 3,
		   [WORK_SNAPSHOT] = 5,
		   [WORK_CLONE] = 2,
		   [WORK_CREATE] = 2},
	.sectors_max = 512,
	.write_max = 128,
	.volumes = 2,
};

static void past_steps(struct life *life)
{
	const unsigned steps = (unsigned)random_below(&life->world->random, 24);

	work_verb_step(life->work, &past_mix, WORK_CREATE);
	for (unsigned i = 0; i < steps; i++)
		work_step(life->work, &past_mix);
}

static void past_main(void *arg)
{
	struct life *life = arg;
	struct world *world = life->world;
	const struct world_opening how = {.read_only = false};
	struct err err = {.code = 0};

	world_format(world);
	if (world_open(world, &how, &err) < 0)
		sim_fail(life->context, "a new pool does not open: %s", err.text);
	if (life->past)
		life->past(life);
	else
		past_steps(life);
	work_handles_close(life->work);
	work_verb_step(life->work, &past_mix, WORK_SYNC);
	if (world_close(world, POOL_KEEP) < 0)
		sim_fail(life->context, "it does not close");
	world_inspect(world);
}

static void life_main(void *arg)
{
	struct life *life = arg;
	struct err err = {.code = 0};

	if (world_open(life->world, &(struct world_opening){.read_only = false}, &err) < 0)
		sim_fail(life->context, "open: %s", err.text);
	steps_do(life);
}

void life_run(const struct sim_context *context, struct life *life, const struct world_shape *shape,
	      struct random *random)
{
	struct disk_sim_plan plan = disk_sim_plan_default();

	/* The traces know all that may be lost; what the drives themselves do is of no account. */
	plan.write_back_percent = 0;
	life->context = context;
	life->world = world_new(context, shape, random_u64(random), &plan);
	life->model = malloc(sizeof(*life->model));
	ASSERT(life->model != NULL);
	model_init(life->model);
	life->work = work_new(life->world, life->model);
	if (life->work_depth > 0)
		life->work->depth = life->work_depth;
	world_run(life->world, past_main, life);
	life_trace(life);
	world_run(life->world, life_main, life);
	trace_stop(life);
	life_crash(life, life->plan->states);
	model_fini(&life->shadow);
	life_end(life);
}
