/* SPDX-License-Identifier: Apache-2.0 */
/* A whole pool on simulated drives. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>

#include "engine_rig.h"

#define TURNS_MAX 200000000

static void world_make(struct engine_rig *rig)
{
	rig->world = loop_sim_new(random_u64(&rig->random));
	rig->loop = loop_sim_add(rig->world);
	for (unsigned i = 0; i < rig->drive_count; i++)
		ASSERT(disk_sim_open(rig->drives[i], &rig->disks[i]) == 0);
}

void rig_init(struct engine_rig *rig, uint64_t seed, unsigned drives, uint64_t size_bytes)
{
	*rig = (struct engine_rig){.seed = seed, .drive_count = drives, .host = 1};
	random_init(&rig->random, seed);
	for (unsigned i = 0; i < drives; i++) {
		const struct disk_sim_params params = {
			.seed = random_u64(&rig->random),
			.size_bytes = size_bytes,
			.logical_block_bytes = 512,
			.discard = true,
			.no_fua = seed % 4 == 3,
			.plan = disk_sim_plan_default(),
		};

		rig->drives[i] = disk_sim_new(&params);
	}
	world_make(rig);
}

void rig_fini(struct engine_rig *rig)
{
	for (unsigned i = 0; i < rig->drive_count; i++) {
		disk_close(rig->disks[i]);
		disk_sim_free(rig->drives[i]);
	}
	loop_sim_free(rig->world);
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

void rig_run(struct engine_rig *rig, void (*main)(void *arg), void *arg)
{
	struct errand errand = {.main = main, .arg = arg};

	ASSERT(fiber_start(rig->loop, false, errand_main, &errand, NULL) == 0);
	ASSERT(loop_sim_run(rig->world, &errand.ended, UINT64_MAX, TURNS_MAX));
	if (!errand.ended)
		fprintf(stderr, "seed %llu: nothing moves any more\n",
			(unsigned long long)rig->seed);
	ASSERT(errand.ended);
}

static unsigned params_of(const struct engine_rig *rig, unsigned absent,
			  struct pool_drive_param *drives)
{
	static const char *const paths[RIG_DRIVES_MAX] = {"drive0", "drive1", "drive2", "drive3"};
	unsigned count = 0;

	for (unsigned i = 0; i < rig->drive_count; i++) {
		if (absent >> i & 1)
			continue;
		drives[count++] = (struct pool_drive_param){
			.disk = rig->disks[i],
			.path = paths[i],
			.group = rig->group_size ? i / rig->group_size
				 : rig->mirror	 ? 0
						 : i,
		};
	}
	return count;
}

void rig_format(struct engine_rig *rig)
{
	struct pool_drive_param drives[RIG_DRIVES_MAX];
	struct pool_format_params params = {
		.name = "tank",
		.drives = drives,
		.drive_count = rig->drive_count,
		.reserve_permille = 200,
		.autotrim = rig->autotrim,
		.time_s = 1,
		.seed = random_u64(&rig->random) | 1,
		.host_name = "host",
	};
	struct err err = {.code = 0};

	params_of(rig, 0, drives);
	params.host_id[0] = rig->host;
	if (pool_format(rig->loop, &params, &err) < 0)
		fprintf(stderr, "format: %s\n", err.text);
	ASSERT(err.code == 0);
}

static uint64_t clock_s(void *data)
{
	struct engine_rig *rig = data;

	return loop_now_ns(rig->loop) / NS_PER_S;
}

int rig_open(struct engine_rig *rig)
{
	struct pool_drive_param drives[RIG_DRIVES_MAX];
	struct pool_open_params params = {
		.loop = rig->loop,
		.drives = drives,
		.memory_bytes = rig->memory_bytes ? rig->memory_bytes : POOL_MEMORY_MIN,
		.host_name = "host",
		.wall_clock_s = clock_s,
		.data = rig,
		.delta_records = rig->delta_records,
		.barriers_off = rig->barriers_off,
		.rewind_to = rig->rewind_to,
		.force = rig->force,
		.host_id = {rig->host},
		.read_only = rig->read_only,
		.seed = rig->seed_open ? rig->seed_open : random_u64(&rig->random) | 1,
	};
	int r;

	rig->err = (struct err){.code = 0};
	params.drive_count = params_of(rig, rig->absent, drives);
	r = pool_open(&params, &rig->pool, &rig->err);
	if (r < 0 && !rig->quiet)
		fprintf(stderr, "seed %llu: open: %s\n", (unsigned long long)rig->seed,
			rig->err.text);
	return r;
}

int rig_close(struct engine_rig *rig)
{
	struct err err = {.code = 0};
	const int r = pool_close(rig->pool, POOL_KEEP, &err);

	rig->pool = NULL;
	return r;
}

void rig_power_cut(struct engine_rig *rig)
{
	for (unsigned i = 0; i < rig->drive_count; i++)
		disk_sim_power_cut(rig->drives[i]);
}

void rig_power_on(struct engine_rig *rig)
{
	for (unsigned i = 0; i < rig->drive_count; i++) {
		disk_close(rig->disks[i]);
		ASSERT(disk_sim_open(rig->drives[i], &rig->disks[i]) == 0);
	}
}

int rig_volume_open(struct engine_rig *rig, const char *name, struct rig_volume *ret)
{
	struct err err = {.code = 0};
	int r = pool_device_open(rig->pool, name, false, &ret->device, &err);

	if (r < 0) {
		fprintf(stderr, "device: %s\n", err.text);
		return r;
	}
	return block_channel_open(ret->device, rig->loop, &ret->channel);
}

void rig_volume_close(struct rig_volume *volume)
{
	block_channel_close(volume->channel);
	block_close(volume->device);
}

struct waited {
	struct block_request request;
	struct fiber *fiber;
	bool ended;
};

static void request_ended(struct block_request *request)
{
	struct waited *waited = container_of(request, struct waited, request);

	waited->ended = true;
	fiber_wake(waited->fiber);
}

int rig_io_flags(struct rig_volume *volume, const struct block_request *like, void *data)
{
	struct waited *waited = calloc(1, sizeof(*waited));
	const struct iovec iov = {data, like->length_bytes};
	int r;

	ASSERT(waited != NULL);
	waited->request = *like;
	waited->request.iov = &iov;
	waited->request.iov_count = data ? 1 : 0;
	waited->request.done = request_ended;
	waited->fiber = fiber_self();
	block_submit(volume->channel, &waited->request);
	block_kick(volume->channel);
	while (!waited->ended)
		fiber_park();
	r = waited->request.result;
	free(waited);
	return r;
}

int rig_io(struct rig_volume *volume, enum block_op op, uint64_t offset, void *data,
	   uint64_t length_bytes)
{
	const struct block_request like = {
		.op = op, .offset = offset, .length_bytes = length_bytes};

	return rig_io_flags(volume, &like, data);
}
