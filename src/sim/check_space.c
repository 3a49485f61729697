/* SPDX-License-Identifier: Apache-2.0 */
/* A pool's numbers against its model. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <quoin/pool_trim.h>

#include "check.h"

#define BLOCK 4096
#define SYNCS_MAX 40 /* until what was destroyed has come back */
#define TRIM_WAITS 60

bool check_space_is_short(const struct work *work)
{
	const struct model *m = work->model;
	struct pool_status status;
	uint64_t least;
	uint64_t most;
	uint64_t blocks = 0;

	pool_status(work->world->pool, &status);
	for (unsigned i = 0; i < MODEL_VOLUMES; i++) {
		const struct model_volume *v = &m->volumes[i];

		model_blocks(m, &v->cells, &least, &most);
		blocks += most;
		for (unsigned s = 0; s < v->snapshot_count; s++) {
			model_blocks(m, &v->snapshots[s].cells, &least, &most);
			blocks += most;
		}
	}
	return 2 * (blocks * BLOCK + status.reserved_bytes) >
	       status.size_bytes - status.reserve_bytes;
}

static void volume_numbers(struct work *work, const struct model_volume *volume)
{
	const struct sim_context *context = work->world->context;
	struct pool_volume_info info;
	uint64_t least;
	uint64_t most;

	if (pool_volume_find(work->world->pool, volume->name, &info) < 0)
		sim_fail(context, "%s is not found", volume->name);
	model_blocks(work->model, &volume->cells, &least, &most);
	if (info.pending_blocks != 0)
		sim_fail(context, "%s has %llu blocks pending after a checkpoint", volume->name,
			 (unsigned long long)info.pending_blocks);
	if (info.referenced_bytes < least * BLOCK || info.referenced_bytes > most * BLOCK)
		sim_fail(context, "%s refers to %llu blocks, not %llu to %llu", volume->name,
			 (unsigned long long)info.referenced_bytes / BLOCK,
			 (unsigned long long)least, (unsigned long long)most);
	if (info.snapshot_count != volume->snapshot_count)
		sim_fail(context, "%s has %u snapshots, not %u", volume->name, info.snapshot_count,
			 volume->snapshot_count);
	if (info.unique_bytes > info.referenced_bytes)
		sim_fail(context, "%s has more of its own than it refers to", volume->name);
}

void check_numbers(struct work *work)
{
	const struct sim_context *context = work->world->context;
	struct pool_volume_info info;
	struct pool_status status;
	unsigned cursor = 0;
	uint64_t used = 0;

	work_drain(work);
	/* A partial block counts when it is whole: its rest may take longer than two checkpoints
	 * that have nothing to write, and as long as a drive stalls. */
	fiber_sleep_ns(200 * NS_PER_MS);
	for (unsigned i = 0; i < 2; i++) {
		struct model_verb verb = {.kind = VERB_SYNC, .count = 1};

		if (work_verb(work, &verb) < 0)
			return;
	}
	for (unsigned i = 0; i < MODEL_VOLUMES; i++) {
		if (work->model->volumes[i].there)
			volume_numbers(work, &work->model->volumes[i]);
	}
	pool_status(work->world->pool, &status);
	while (pool_volume_next(work->world->pool, &cursor, &info) == 0)
		used += info.unique_bytes;
	/* What copies share is everybody's own. */
	if (used > status.data_bytes + status.shared_bytes)
		sim_fail(context, "volumes have %llu bytes of their own, the pool %llu",
			 (unsigned long long)used, (unsigned long long)status.data_bytes);
	if (status.allocated_bytes > status.size_bytes + status.metadata_bytes + status.log_bytes)
		sim_fail(context, "more is allocated than there is");
}

/* --- Nothing is left ------------------------------------------------------------------------- */

static bool snapshot_go(struct work *work, unsigned volume, unsigned snapshot)
{
	struct model_verb verb = {
		.kind = VERB_RELEASE, .count = 1, .volume = {volume}, .snapshot = snapshot};

	while (work->model->volumes[volume].snapshots[snapshot].holds > 0) {
		if (work_verb(work, &verb) < 0)
			return false;
	}
	return true;
}

/* What nothing depends on goes; how many did. */
static unsigned round_go(struct work *work)
{
	unsigned gone = 0;

	for (unsigned i = 0; i < MODEL_VOLUMES; i++) {
		const struct model_volume *v = &work->model->volumes[i];
		struct model_verb verb = {.kind = VERB_DESTROY, .count = 1, .volume = {i}};
		bool free_now = v->there;

		for (unsigned s = 0; free_now && s < v->snapshot_count; s++)
			free_now = snapshot_go(work, i, s) &&
				   model_clones(work->model, v->snapshots[s].id) == 0;
		if (!free_now)
			continue;
		work_handle_close(work, i);
		gone += work_verb(work, &verb) == 0;
	}
	return gone;
}

static bool any_left(const struct work *work)
{
	for (unsigned i = 0; i < MODEL_VOLUMES; i++) {
		if (work->model->volumes[i].there)
			return true;
	}
	return false;
}

/* A trim has slots for itself while a drive discards them. */
static void trim_end(const struct work *work)
{
	struct pool *pool = work->world->pool;
	struct pool_trim_status status;

	for (unsigned i = 0; i < TRIM_WAITS; i++) {
		pool_trim_status(pool, &status);
		if (status.state != POOL_TRIM_RUNNING)
			return;
		(void)!pool_trim_stop(pool, NULL);
		fiber_sleep_ns(NS_PER_S);
	}
	sim_fail(work->world->context, "a trim of the pool does not end");
}

void check_no_leak(struct work *work, const struct pool_status *empty)
{
	const struct sim_context *context = work->world->context;
	struct model_verb sync = {.kind = VERB_SYNC, .count = 1};
	struct pool_status status = {.data_bytes = 1};

	for (unsigned i = 0; i < SYNCS_MAX && any_left(work); i++) {
		round_go(work);
		if (work_verb(work, &sync) < 0)
			return;
	}
	if (any_left(work))
		sim_fail(context, "not everything can be destroyed");
	trim_end(work);
	for (unsigned i = 0; i < SYNCS_MAX; i++) {
		if (work_verb(work, &sync) < 0)
			return;
		pool_status(work->world->pool, &status);
		if (status.data_bytes == 0 && status.freeing_bytes + status.unready_bytes == 0)
			break;
	}
	if (status.data_bytes == 0 && status.freeing_bytes == 0 && status.unready_bytes > 0)
		sim_fail(context, "%llu bytes that nobody has are not handed out again",
			 (unsigned long long)status.unready_bytes);
	/* Tables of volumes and snapshots keep their height. */
	if (status.data_bytes != 0 || status.metadata_bytes > empty->metadata_bytes + 64 * BLOCK)
		sim_fail(context,
			 "all is destroyed, and %llu bytes of data, %llu of metadata (%llu when it "
			 "was new) and %llu on their way are left",
			 (unsigned long long)status.data_bytes,
			 (unsigned long long)status.metadata_bytes,
			 (unsigned long long)empty->metadata_bytes,
			 (unsigned long long)status.freeing_bytes);
}
