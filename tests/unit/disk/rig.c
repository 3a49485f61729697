/* SPDX-License-Identifier: Apache-2.0 */
/* Loops and drives for the tests of this room. */
#include <string.h>

#include <quoin/base_assert.h>

#include "rig.h"

#define HANG_NS (30 * NS_PER_S)
#define TURNS_MAX 10000000

void rig_init_real(struct rig *rig)
{
	const struct loop_params params = {.name = "test", .cpu = -1};

	memset(rig, 0, sizeof(*rig));
	ASSERT(loop_new(&params, &rig->loop) == 0);
}

void rig_init_sim(struct rig *rig, uint64_t seed)
{
	memset(rig, 0, sizeof(*rig));
	rig->world = loop_sim_new(seed);
	rig->loop = loop_sim_add(rig->world);
}

void rig_close(struct rig *rig)
{
	disk_detach(rig->channel);
	disk_close(rig->disk);
	rig->channel = NULL;
	rig->disk = NULL;
}

void rig_fini(struct rig *rig)
{
	rig_close(rig);
	if (rig->world)
		loop_sim_free(rig->world);
	else
		loop_free(rig->loop);
}

void rig_use(struct rig *rig, struct disk *disk)
{
	rig->disk = disk;
	ASSERT(disk_attach(disk, rig->loop, &rig->channel) == 0);
}

struct waited {
	struct disk_request request;
	bool done;
};

static void done(struct disk_request *request)
{
	struct waited *waited = container_of(request, struct waited, request);

	ASSERT(!waited->done);
	waited->done = true;
}

int rig_run(struct rig *rig, struct disk_request *request)
{
	struct waited waited = {.request = *request};
	const uint64_t end = loop_clock_ns(rig->loop) + HANG_NS;

	waited.request.done = done;
	disk_submit(rig->channel, &waited.request);
	/* The door says: never from inside. */
	ASSERT(!waited.done);
	if (rig->world)
		ASSERT(loop_sim_run(rig->world, &waited.done, UINT64_MAX, TURNS_MAX));
	while (!waited.done && loop_clock_ns(rig->loop) < end)
		loop_turn(rig->loop, 10 * NS_PER_MS);
	ASSERT(waited.done);
	return waited.request.result;
}

int rig_do(struct rig *rig, unsigned op, uint64_t offset, void *data, uint64_t length)
{
	const struct iovec iov = {.iov_base = data, .iov_len = data ? length : 0};
	struct disk_request request = {
		.op = (enum disk_op)(op & 0xFF),
		.flags = op >> 8,
		.offset = offset,
		.length_bytes = length,
		.iov = &iov,
		.iov_count = data ? 1 : 0,
	};

	return rig_run(rig, &request);
}
