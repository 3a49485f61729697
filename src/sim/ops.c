/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random operations against the model, in sessions: a pool is opened, worked on, and let go by a
 * close, an export or a power cut; then looked at again. A seed has one of these worlds:
 *
 *   honest   the drives lose nothing but what a power cut may take
 *   faulty   mirrors; one drive of each loses, rots, misplaces, goes away: nothing may be noticed
 *   beyond   no copies, and the drive fails: errors, never wrong data
 *   full     volumes larger than the pool: refusals, and space that comes back
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>

#include "check.h"

enum ops_world { OPS_HONEST, OPS_FAULTY, OPS_BEYOND, OPS_FULL };

struct ops {
	const struct sim_context *context;
	struct world *world;
	struct model model;
	struct work *work;
	enum ops_world kind;
	struct work_mix mix;
	struct pool_status empty;
	struct loop_timer timer; /* the power cut */
	unsigned steps;
	bool exported;
	bool crashed; /* the session before ended so */
	bool last;
	unsigned victims; /* drives that fail */
	unsigned away;	  /* of them, those left out from now on */
	char why[CHECK_TEXT];
};

static const struct work_mix mix_default = {
	.weight =
		{
			[WORK_WRITE] = 300,
			[WORK_FUA] = 30,
			[WORK_READ] = 120,
			[WORK_TRIM] = 40,
			[WORK_ZEROES] = 40,
			[WORK_FLUSH] = 40,
			[WORK_SYNC] = 8,
			[WORK_SNAPSHOT] = 15,
			[WORK_SNAPSHOT_DESTROY] = 8,
			[WORK_SNAPSHOT_RENAME] = 2,
			[WORK_ROLLBACK] = 4,
			[WORK_CLONE] = 6,
			[WORK_PROMOTE] = 4,
			[WORK_CREATE] = 5,
			[WORK_DESTROY] = 4,
			[WORK_RENAME] = 3,
			[WORK_RESIZE] = 5,
			[WORK_HOLD] = 2,
			[WORK_RELEASE] = 2,
			[WORK_SET] = 0,
			[WORK_REOPEN] = 5,
			[WORK_HISTORY] = 2,
			[WORK_SLEEP] = 10,
		},
	.sectors_max = 4096,
	.write_max = 2048,
	.volumes = 4,
};

/* --- Faults ---------------------------------------------------------------------------------- */

static void faults_plan(struct ops *o)
{
	struct disk_sim_plan plan = disk_sim_plan_default();
	const unsigned ppm = 500U << random_below(&o->world->random, 5);
	static const enum disk_sim_fault_kind kinds[] = {
		DISK_SIM_CORRUPT,	  DISK_SIM_LATENT,  DISK_SIM_MISDIRECT_READ,
		DISK_SIM_MISDIRECT_WRITE, DISK_SIM_PHANTOM, DISK_SIM_STALL,
	};

	plan.stall_min_ns = NS_PER_MS;
	plan.stall_max_ns = 50 * NS_PER_MS;
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (random_chance(&o->world->random, 1, 3))
			plan.fault_ppm[kinds[i]] = ppm;
	}
	for (unsigned i = 0; i < DISK_SIM_OPS; i++) {
		if (random_chance(&o->world->random, 1, 8))
			plan.error_ppm[i] = ppm;
	}
	/* A drive that lies about its one copy cannot be seen through. */
	if (o->kind == OPS_BEYOND)
		plan.fault_ppm[DISK_SIM_MISDIRECT_WRITE] = plan.fault_ppm[DISK_SIM_PHANTOM] = 0;
	for (unsigned i = 0; i < o->world->shape.drives; i++) {
		if (o->victims >> i & 1)
			disk_sim_plan_set(o->world->drives[i], &plan);
	}
}

static void fault_now(struct ops *o)
{
	struct random *random = &o->world->random;
	struct disk_sim *drive;
	unsigned index = (unsigned)random_below(random, o->world->shape.drives);
	uint64_t offset;

	if (!(o->victims >> index & 1) || o->away >> index & 1)
		return;
	drive = o->world->drives[index];
	offset = random_below(random, (o->world->shape.drive_bytes - 1 * MiB) / 4096) * 4096;
	o->context->report->faults++;
	switch (random_below(random, o->kind == OPS_FAULTY ? 12 : 8)) {
	case 0:
		disk_sim_gone_set(drive, -EIO);
		o->away |= 1U << index;
		break;
	case 1:
	case 2:
		if (o->kind == OPS_FAULTY)
			disk_sim_rot(drive, offset, 1 * MiB, random_u64(random));
		break;
	case 3:
	case 4:
		disk_sim_latent_add(drive, offset, 64 * KiB);
		break;
	default:
		disk_sim_rot(drive, offset, 4096, random_u64(random));
	}
}

/* One drive of each mirror. */
static void victims_pick(struct ops *o)
{
	const struct world_shape *shape = &o->world->shape;

	if (o->kind == OPS_BEYOND)
		o->victims = 1U << random_below(&o->world->random, shape->drives);
	for (unsigned i = 0; o->kind == OPS_FAULTY && i < shape->drives; i++) {
		if (i == 0 || shape->group[i] != shape->group[i - 1])
			o->victims |= 1U << i;
	}
	if (o->victims && random_chance(&o->world->random, 3, 4))
		faults_plan(o);
}

/* --- A session ------------------------------------------------------------------------------- */

static void cut_now(struct loop_timer *timer)
{
	struct ops *o = container_of(timer, struct ops, timer);

	world_power_cut(o->world);
}

static void first_open(struct ops *o)
{
	const struct world_opening how = {.read_only = false};
	struct err err = {.code = 0};

	world_format(o->world);
	if (world_open(o->world, &how, &err) < 0)
		sim_fail(o->context, "a new pool does not open: %s", err.text);
	for (unsigned i = 0; i < 4; i++) {
		struct model_verb verb = {.kind = VERB_SYNC, .count = 1};

		work_verb(o->work, &verb);
	}
	pool_status(o->world->pool, &o->empty);
}

static bool check(struct ops *o)
{
	return o->crashed ? check_after_crash(o->work, o->why) : check_now(o->work, o->why);
}

static void open_again(struct ops *o)
{
	const struct world_opening how = {.read_only = random_chance(&o->world->random, 1, 10)};
	struct err err = {.code = 0};
	int r;

	world_power_on(o->world, ~o->away);
	r = world_open(o->world, &how, &err);
	/* A drive that ruined its label is left out, then. */
	if (r < 0 && o->kind == OPS_FAULTY) {
		o->away |= o->victims;
		world_power_on(o->world, ~o->away);
		r = world_open(o->world, &how, &err);
	}
	if (r < 0 && o->kind == OPS_BEYOND) {
		o->last = true;
		return;
	}
	if (r < 0)
		sim_fail(o->context, "open: %s", err.text);
	if (!check(o)) {
		if (o->kind != OPS_BEYOND)
			sim_fail(o->context, "after %s: %s", o->crashed ? "a crash" : "a close",
				 o->why);
		/* What it holds is not known any more. */
		o->last = true;
		world_close(o->world, POOL_KEEP);
		return;
	}
	if (!how.read_only)
		return;
	if (world_close(o->world, POOL_KEEP) < 0)
		sim_fail(o->context, "a pool that was read only does not close");
	r = world_open(o->world, &(struct world_opening){.read_only = false}, &err);
	if (r < 0 && o->kind != OPS_BEYOND)
		sim_fail(o->context, "open: %s", err.text);
	o->last |= r < 0;
}

/* What the volumes of a full pool give back makes room for all that was refused. */
static void make_room(struct ops *o)
{
	struct work *work = o->work;
	const int volume = work_volume_pick(work);

	if (volume < 0 || random_chance(&o->world->random, 2, 3))
		return;
	if (random_chance(&o->world->random, 1, 2)) {
		struct model_verb verb = {
			.kind = VERB_DESTROY, .count = 1, .volume = {(unsigned)volume}};

		work_handle_close(work, (unsigned)volume);
		work_verb(work, &verb);
	} else {
		work_submit(work, (unsigned)volume, WORK_TRIM, 0,
			    work->model->volumes[volume].cells.count);
	}
}

static void work_through(struct ops *o)
{
	struct random *random = &o->world->random;

	for (unsigned i = 0; i < o->steps && !work_failing(o->work); i++) {
		const uint64_t refused = o->work->refused;

		if (work_volume_pick(o->work) < 0)
			work_verb_step(o->work, &o->mix, WORK_CREATE);
		work_step(o->work, &o->mix);
		if (o->victims && random_chance(random, 1, 30))
			fault_now(o);
		if (o->work->refused > refused && !work_failing(o->work))
			make_room(o);
		if (random_chance(random, 1, 100) && !work_failing(o->work) && !o->work->beyond)
			check_numbers(o->work);
	}
}

static void end_well(struct ops *o)
{
	struct model_verb verb = {.kind = VERB_SYNC, .count = 1};
	int r;

	if (!work_failing(o->work) && !check_now(o->work, o->why) && !work_failing(o->work) &&
	    o->kind != OPS_BEYOND)
		sim_fail(o->context, "in a session: %s", o->why);
	if (o->last && !work_failing(o->work) && !o->work->beyond)
		check_no_leak(o->work, &o->empty);
	if (!work_failing(o->work))
		work_verb(o->work, &verb);
	loop_timer_disarm(o->world->loop, &o->timer);
	r = world_close(o->world, o->exported ? POOL_EXPORT : POOL_KEEP);
	if (r < 0 && !o->world->cut && o->kind != OPS_BEYOND)
		sim_fail(o->context, "close: %d", r);
	if (r == 0 && !o->world->cut && !o->work->dead && !o->victims && o->kind != OPS_BEYOND)
		world_inspect(o->world);
	o->crashed = o->world->cut || o->work->dead;
}

static void session(void *arg)
{
	struct ops *o = arg;

	if (o->world->pool == NULL && o->work->names == 0)
		first_open(o);
	else
		open_again(o);
	if (o->world->pool == NULL)
		return;
	o->crashed = false;
	if (random_chance(&o->world->random, 1, 2) && o->kind != OPS_BEYOND && !o->last)
		loop_timer_arm(o->world->loop, &o->timer,
			       loop_now_ns(o->world->loop) +
				       random_below(&o->world->random, 300 * NS_PER_MS));
	o->exported = random_chance(&o->world->random, 1, 3);
	work_through(o);
	work_drain(o->work);
	work_handles_close(o->work);
	end_well(o);
}

/* --- The seed -------------------------------------------------------------------------------- */

static void kind_pick(struct ops *o, struct random *random, struct world_shape *shape)
{
	const uint64_t dice = random_below(random, 100);

	o->kind = dice < 50	    ? OPS_HONEST
		  : dice < 65	    ? OPS_FULL
		  : shape->mirrored ? OPS_FAULTY
		  : dice < 85	    ? OPS_HONEST
				    : OPS_BEYOND;
	o->mix = mix_default;
	if (random_chance(random, 1, 4))
		o->mix.weight[WORK_SET] = 10;
	if (random_chance(random, 1, 3))
		o->mix.write_max = 64;
	work_mix_add(&o->mix, o->context, 25);
	if (o->kind == OPS_FULL) {
		shape->drive_bytes = 32 * MiB;
		o->mix.sectors_max = 32768;
		o->mix.weight[WORK_FLUSH] = 10;
	}
}

void sim_ops_run(const struct sim_context *context)
{
	const struct disk_sim_plan plan = disk_sim_plan_default();
	struct ops *o = calloc(1, sizeof(*o));
	struct world_shape shape;
	struct random random;
	unsigned sessions;

	ASSERT(o != NULL);
	random_init(&random, context->seed);
	shape = world_shape_pick(&random);
	shape.barriers_off = context->options->barriers_off;
	o->context = context;
	kind_pick(o, &random, &shape);
	o->world = world_new(context, &shape, random_u64(&random), &plan);
	model_init(&o->model);
	o->work = work_new(o->world, &o->model);
	o->work->beyond = o->kind == OPS_BEYOND;
	o->work->faulty = o->kind == OPS_FAULTY;
	loop_timer_init(&o->timer, cut_now);
	sessions = 1 + (unsigned)random_below(&random, 4);
	for (unsigned i = 0; i < sessions && !(i > 0 && o->last); i++) {
		o->steps = 20 + (unsigned)random_below(&random, 200);
		o->last = i + 1 == sessions;
		o->work->dead = false;
		if (i == 1)
			victims_pick(o);
		world_run(o->world, session, o);
	}
	work_free(o->work);
	model_fini(&o->model);
	world_free(o->world);
	free(o);
}
