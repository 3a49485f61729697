/* SPDX-License-Identifier: Apache-2.0 */
/* Drives, a loop and a pool, from a seed. */
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/pool_inspect.h>

#include "refuse.h"
#include "world.h"

#define TURNS_MAX 40000000

struct world_shape world_shape_pick(struct random *random)
{
	static const unsigned groups[][WORLD_DRIVES_MAX] = {
		{0}, {0, 1}, {0, 1, 2}, {0, 1, 2, 3}, {0, 0}, {0, 0, 0}, {0, 0, 1, 1}, {0, 0, 0, 0},
	};
	static const unsigned counts[] = {1, 2, 3, 4, 2, 3, 4, 4};
	/* One drive and one mirror are what there is most of. */
	static const unsigned often[] = {0, 0, 0, 4, 4, 4, 1, 2, 3, 5, 6, 7};
	const unsigned pick = often[random_below(random, ARRAY_SIZE(often))];
	struct world_shape shape = {
		.drives = counts[pick],
		.mirrored = pick >= 4,
		.drive_bytes = random_chance(random, 3, 4) ? 32 * MiB : 64 * MiB,
		.logical_block_bytes = random_chance(random, 4, 5) ? 512 : 4096,
		.delta_records = 512U << random_below(random, 4),
		.reserve_permille = random_chance(random, 1, 2) ? 200 : 100,
	};

	memcpy(shape.group, groups[pick], sizeof(shape.group));
	return shape;
}

static struct world *world_make(const struct sim_context *context, const struct world_shape *shape,
				uint64_t seed)
{
	struct world *world = calloc(1, sizeof(*world));

	ASSERT(world != NULL);
	world->context = context;
	world->shape = *shape;
	random_init(&world->random, seed);
	world->sequence = calloc(1, sizeof(*world->sequence));
	ASSERT(world->sequence != NULL);
	world->owns_sequence = true;
	world->sim = loop_sim_new(random_u64(&world->random));
	loop_sim_stacks_set(world->sim, context->stacks);
	world->loop = loop_sim_add(world->sim);
	return world;
}

struct world *world_new(const struct sim_context *context, const struct world_shape *shape,
			uint64_t seed, const struct disk_sim_plan *plan)
{
	struct world *world = world_make(context, shape, seed);

	for (unsigned i = 0; i < shape->drives; i++) {
		const struct disk_sim_params params = {
			.seed = random_u64(&world->random),
			.size_bytes = shape->drive_bytes,
			.logical_block_bytes = shape->logical_block_bytes,
			.tear_bytes = shape->logical_block_bytes == 4096 ? 512 : 0,
			.discard = true,
			.sequence = world->sequence,
			.plan = *plan,
		};

		world->drives[i] = disk_sim_new(&params);
		ASSERT(disk_sim_open(world->drives[i], &world->disks[i]) == 0);
	}
	return world;
}

struct world *world_new_on(const struct world *like, struct disk_sim *const *drives, uint64_t seed)
{
	struct world *world = world_make(like->context, &like->shape, seed);

	free(world->sequence);
	world->owns_sequence = false;
	world->sequence = like->sequence;
	for (unsigned i = 0; i < like->shape.drives; i++) {
		world->drives[i] = drives[i];
		ASSERT(disk_sim_open(drives[i], &world->disks[i]) == 0);
	}
	return world;
}

void world_free(struct world *world)
{
	ASSERT(world->pool == NULL);
	for (unsigned i = 0; i < world->shape.drives; i++) {
		disk_close(world->disks[i]);
		disk_sim_free(world->drives[i]);
	}
	loop_sim_free(world->sim);
	if (world->owns_sequence)
		free(world->sequence);
	free(world);
}

struct errand {
	void (*main)(void *arg);
	void *arg;
	bool ended;
};

static void errand_main(void *arg)
{
	struct errand *errand = arg;

	errand->main(errand->arg);
	errand->ended = true;
}

void world_run(struct world *world, void (*main)(void *arg), void *arg)
{
	struct errand errand = {.main = main, .arg = arg};
	bool moves;

	ASSERT(fiber_start(world->loop, false, errand_main, &errand, NULL) == 0);
	moves = loop_sim_run(world->sim, &errand.ended, UINT64_MAX, TURNS_MAX);
	if (!errand.ended)
		sim_fail(world->context, "%s",
			 moves ? "nothing moves any more" : "it goes round without an end");
	atomic_fetch_add(&world->context->report->progress, 1);
}

static void drives_of(const struct world *world, struct pool_drive_param *drives,
		      unsigned *ret_count)
{
	*ret_count = 0;
	for (unsigned i = 0; i < world->shape.drives; i++) {
		if (world->disks[i])
			drives[(*ret_count)++] = (struct pool_drive_param){
				world->disks[i], "simulated", world->shape.group[i]};
	}
}

void world_format(struct world *world)
{
	struct pool_drive_param drives[WORLD_DRIVES_MAX];
	struct pool_format_params params = {
		.name = "tank",
		.drives = drives,
		.reserve_permille = world->shape.reserve_permille,
		.time_s = 1,
		.seed = random_u64(&world->random) | 1,
		.host_name = "host",
		.host_id = {1},
	};
	struct err err = {.code = 0};

	drives_of(world, drives, &params.drive_count);
	if (pool_format(world->loop, &params, &err) < 0)
		sim_fail(world->context, "format: %s", err.text);
}

static uint64_t clock_s(void *data)
{
	struct world *world = data;

	return loop_now_ns(world->loop) / NS_PER_S;
}

int world_open(struct world *world, const struct world_opening *how, struct err *err)
{
	struct pool_drive_param drives[WORLD_DRIVES_MAX];
	struct pool_open_params params = {
		.loop = world->loop,
		.drives = drives,
		.memory_bytes = POOL_MEMORY_MIN,
		.host_name = "host",
		.host_id = {1},
		.wall_clock_s = clock_s,
		.data = world,
		.delta_records = world->shape.delta_records,
		.barriers_off = world->shape.barriers_off,
		.rewind_to = how->rewind_to,
		.read_only = how->read_only,
		.seed = random_u64(&world->random) | 1,
	};
	int r;

	world->context->report->imports++;
	drives_of(world, drives, &params.drive_count);
	refuse_window(true);
	r = pool_open(&params, &world->pool, err);
	refuse_window(false);
	return r;
}

int world_close(struct world *world, enum pool_closing how)
{
	struct err err = {.code = 0};
	const int r = pool_close(world->pool, how, &err);

	world->pool = NULL;
	return r;
}

static void inspect_found(void *context, const struct pool_inspect_finding *finding)
{
	const struct world *world = context;

	if (finding->severity == POOL_INSPECT_DAMAGE)
		sim_fail(world->context, "inspect: %s: %s: %s", finding->structure, finding->code,
			 finding->text);
}

void world_inspect(struct world *world)
{
	struct pool_drive_param drives[WORLD_DRIVES_MAX];
	struct pool_inspect_params params = {
		.loop = world->loop,
		.drives = drives,
		.finding = inspect_found,
		.context = world,
	};
	struct pool_inspect_result result;
	struct err err = {.code = 0};

	drives_of(world, drives, &params.drive_count);
	if (pool_inspect_check(&params, &result, &err) < 0)
		sim_fail(world->context, "inspect: %s", err.text);
	world->context->report->checks++;
}

void world_power_cut(struct world *world)
{
	world->cut = true;
	for (unsigned i = 0; i < world->shape.drives; i++)
		disk_sim_power_cut(world->drives[i]);
}

void world_power_on(struct world *world, unsigned drive_mask)
{
	world->cut = false;
	for (unsigned i = 0; i < world->shape.drives; i++) {
		disk_close(world->disks[i]);
		world->disks[i] = NULL;
		if (drive_mask >> i & 1 && disk_sim_open(world->drives[i], &world->disks[i]) < 0)
			world->disks[i] = NULL;
	}
}
