/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of volumes and snapshots: by number, their chains, and the sums over all of them that
 * admission and status use. Numbers start at 1 and the lowest free one is given, so that the record
 * trees stay dense.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include <quoin/base_assert.h>
#include <quoin/base_math.h>

#include "engine/admin.h"

#define SNAPSHOTS_FIRST 64 /* the table begins with this many places */
#define SNAPSHOT_TABLES 2  /* by number and by name */

/* --- By number --------------------------------------------------------------------------- */

struct volume *volume_at(const struct pool *pool, uint32_t id)
{
	return id < pool->volume_limit ? pool->volumes[id] : NULL;
}

struct snapshot *snapshot_at(const struct pool *pool, uint32_t id)
{
	return id < pool->snapshot_limit ? pool->snapshots[id] : NULL;
}

int volume_add_at(struct pool *pool, uint32_t id, struct volume **ret_volume)
{
	struct volume *volume;

	if (id == 0 || id > POOL_VOLUMES_MAX)
		return -EUCLEAN;
	if (volume_at(pool, id))
		return -EEXIST;
	if (memory_borrow(pool, sizeof(*volume)) < 0)
		return -ENOMEM;
	if (!pool->volumes)
		pool->volumes = calloc(POOL_VOLUMES_MAX + 1, sizeof(struct volume *));
	volume = calloc(1, sizeof(*volume));
	if (!pool->volumes || !volume || (!pool->names.volumes && names_volumes_init(pool) < 0)) {
		free(volume);
		memory_return(pool, sizeof(*volume));
		return -ENOMEM;
	}
	volume->pool = pool;
	volume->id = id;
	list_init(&volume->waiting);
	list_init(&volume->starved);
	list_init(&volume->trims);
	list_init(&volume->trims_draining);
	pool->volumes[id] = volume;
	pool->volume_limit = MAX(pool->volume_limit, id + 1);
	*ret_volume = volume;
	return 0;
}

int volume_add(struct pool *pool, struct volume **ret_volume)
{
	uint32_t id = MAX(pool->names.volume_free, UINT32_C(1));

	while (id < pool->volume_limit && pool->volumes[id])
		id++;
	pool->names.volume_free = id;
	return id > POOL_VOLUMES_MAX ? -ENOSPC : volume_add_at(pool, id, ret_volume);
}

static int snapshots_grow(struct pool *pool, uint32_t id)
{
	uint32_t capacity = MAX(pool->snapshot_capacity, (uint32_t)SNAPSHOTS_FIRST);
	struct snapshot **snapshots;
	uint64_t bytes;

	while (capacity <= id)
		capacity *= 2;
	if (capacity == pool->snapshot_capacity)
		return 0;
	bytes = SNAPSHOT_TABLES * (capacity - pool->snapshot_capacity) * sizeof(struct snapshot *);
	if (memory_borrow(pool, bytes) < 0)
		return -ENOMEM;
	snapshots = calloc(capacity, sizeof(struct snapshot *));
	if (!snapshots || names_snapshots_grow(pool, capacity) < 0) {
		free(snapshots);
		memory_return(pool, bytes);
		return -ENOMEM;
	}
	if (pool->snapshot_limit > 0)
		memcpy(snapshots, pool->snapshots,
		       pool->snapshot_limit * sizeof(struct snapshot *));
	free(pool->snapshots);
	pool->snapshots = snapshots;
	pool->snapshot_capacity = capacity;
	return 0;
}

int snapshot_add_at(struct pool *pool, uint32_t id, struct snapshot **ret_snapshot)
{
	struct snapshot *snapshot;
	int r;

	if (id == 0 || id > POOL_SNAPSHOTS_MAX)
		return -EUCLEAN;
	if (snapshot_at(pool, id))
		return -EEXIST;
	r = snapshots_grow(pool, id);
	if (r == 0)
		r = memory_borrow(pool, sizeof(*snapshot));
	if (r < 0)
		return r;
	snapshot = calloc(1, sizeof(*snapshot));
	if (!snapshot) {
		memory_return(pool, sizeof(*snapshot));
		return -ENOMEM;
	}
	snapshot->id = id;
	pool->snapshots[id] = snapshot;
	pool->snapshot_limit = MAX(pool->snapshot_limit, id + 1);
	*ret_snapshot = snapshot;
	return 0;
}

int snapshot_add(struct pool *pool, struct snapshot **ret_snapshot)
{
	uint32_t id = MAX(pool->names.snapshot_free, UINT32_C(1));

	while (id < pool->snapshot_limit && pool->snapshots[id])
		id++;
	pool->names.snapshot_free = id;
	return id > POOL_SNAPSHOTS_MAX ? -ENOSPC : snapshot_add_at(pool, id, ret_snapshot);
}

void volume_remove(struct pool *pool, struct volume *volume)
{
	ASSERT(pool->volumes[volume->id] == volume);
	pool->volumes[volume->id] = NULL;
	pool->names.volume_free = MIN(pool->names.volume_free, volume->id);
	free(volume);
	memory_return(pool, sizeof(*volume));
}

void snapshot_remove(struct pool *pool, struct snapshot *snapshot)
{
	ASSERT(pool->snapshots[snapshot->id] == snapshot);
	pool->snapshots[snapshot->id] = NULL;
	pool->names.snapshot_free = MIN(pool->names.snapshot_free, snapshot->id);
	free(snapshot);
	memory_return(pool, sizeof(*snapshot));
}

void volumes_free(struct pool *pool)
{
	for (uint32_t id = 1; id < pool->volume_limit; id++)
		free(pool->volumes[id]);
	for (uint32_t id = 1; id < pool->snapshot_limit; id++)
		free(pool->snapshots[id]);
	names_fini(pool);
	free(pool->volumes);
	free(pool->snapshots);
	pool->volumes = NULL;
	pool->snapshots = NULL;
	pool->volume_limit = pool->snapshot_limit = pool->snapshot_capacity = 0;
}

/* --- By name ----------------------------------------------------------------------------- */

int volume_get(const struct pool *pool, const char *name, struct volume **ret_volume,
	       struct err *err)
{
	struct volume *volume = volume_find(pool, name);

	if (!volume && strchr(name, '@'))
		return err_set(err, -EINVAL, "'%s' names a snapshot; name a volume, without '@'",
			       name);
	if (!volume)
		return err_set(err, -ENOENT,
			       "there is no volume '%s' in pool '%s': see quoin volume list", name,
			       pool->super.pool_name);
	*ret_volume = volume;
	return 0;
}

int snapshot_parse(const struct pool *pool, const char *name, struct snapshot **ret_snapshot,
		   struct err *err)
{
	const char *at = strchr(name, '@');
	char volume_name[VOLUME_NAME_BYTES];
	struct snapshot *snapshot;
	struct volume *volume = NULL;
	int r;

	if (!at || at == name || at[1] == '\0' || (size_t)(at - name) >= sizeof(volume_name))
		return err_set(err, -EINVAL,
			       "'%s' is not the name of a snapshot; write VOLUME@SNAPSHOT", name);
	memcpy(volume_name, name, (size_t)(at - name));
	volume_name[at - name] = '\0';
	r = volume_get(pool, volume_name, &volume, err);
	if (r < 0)
		return r;
	snapshot = snapshot_find(pool, volume->id, at + 1);
	if (!snapshot)
		return err_set(err, -ENOENT,
			       "volume '%s' has no snapshot '%s': see quoin snapshot list",
			       volume_name, at + 1);
	*ret_snapshot = snapshot;
	return 0;
}

int volume_plain_check(const struct volume *volume, struct err *err)
{
	if (volume->rec.kind == VOLUME_PLAIN)
		return 0;
	return err_set(err, -EBUSY,
		       volume->rec.kind == VOLUME_ARRIVING
			       ? "the image of volume '%s' is still arriving: see quoin volume info"
			       : "volume '%s' is a record of the pool's own",
		       volume->rec.name);
}

/* --- Chains ------------------------------------------------------------------------------ */

/* One that this checkpoint has made is pending, and counts; one cut since has no `prev` yet. */
static bool follows(const struct snapshot *after, const struct snapshot *snapshot)
{
	return after && after->next.state != VOLUME_NONE &&
	       after->next.volume == snapshot->next.volume && after->next.prev == snapshot->id;
}

/* What was found before, or as of the last recount, is nearly always right; it is looked at. */
struct snapshot *snapshot_after(const struct pool *pool, struct snapshot *snapshot)
{
	const struct volume *volume = volume_at(pool, snapshot->next.volume);

	if (volume && volume->next.last_snapshot == snapshot->id)
		return NULL;
	if (follows(snapshot_at(pool, snapshot->after), snapshot))
		return pool->snapshots[snapshot->after];
	for (uint32_t id = 1; id < pool->snapshot_limit; id++) {
		if (!follows(pool->snapshots[id], snapshot))
			continue;
		snapshot->after = id;
		return pool->snapshots[id];
	}
	return NULL;
}

uint32_t snapshot_epoch(const struct pool *pool, uint32_t id)
{
	const struct snapshot *snapshot = snapshot_at(pool, id);

	return snapshot ? snapshot->next.epoch : 0;
}

struct volume *volume_charged(struct volume *volume)
{
	struct volume *other = NULL;

	if (volume->next.charge_to != 0)
		other = volume_at(volume->pool, volume->next.charge_to);
	return other ? other : volume;
}

/* --- Sums -------------------------------------------------------------------------------- */

static uint64_t missing(uint64_t promised_bytes, uint64_t used_slots)
{
	const uint64_t promised = div_round_up(promised_bytes, PAGE_BYTES);

	return promised > used_slots ? promised - used_slots : 0;
}

uint64_t volume_unmet_slots(const struct volume_record *record)
{
	return MAX(missing(record->refreservation_bytes, record->unique),
		   missing(record->reservation_bytes, record->used_data + record->used_meta));
}

static bool promised(const struct volume_record *record)
{
	return record->state == VOLUME_LIVE &&
	       (record->reservation_bytes != 0 || record->refreservation_bytes != 0);
}

bool pool_promises(const struct pool *pool)
{
	for (uint32_t id = 1; id < pool->volume_limit; id++) {
		if (pool->volumes[id] && promised(&pool->volumes[id]->rec))
			return true;
	}
	return false;
}

uint64_t volume_promise_slots(const struct volume *volume)
{
	const uint64_t unmet = volume_unmet_slots(&volume->rec);

	if (!promised(&volume->rec))
		return unmet;
	return unmet + MIN(volume->pool->super.shared_extra, volume->rec.unique);
}

static void snapshot_recount(struct pool *pool, const struct snapshot *snapshot)
{
	struct volume *volume = volume_at(pool, snapshot->rec.volume);
	struct snapshot *prev = snapshot_at(pool, snapshot->rec.prev);

	/* The origin of a clone's chain is of another volume, and something else follows it. */
	if (prev && prev->rec.volume == snapshot->rec.volume)
		prev->after = snapshot->id;
	if (volume)
		volume->snapshots_data += snapshot->rec.dead.data;
	if (snapshot->rec.state != VOLUME_LIVE)
		return;
	pool->snapshot_count++;
	if (volume)
		volume->snapshot_count++;
}

static void volume_recount(struct pool *pool, struct volume *volume)
{
	struct snapshot *origin = snapshot_at(pool, volume->rec.origin);

	/* A volume that is destroyed lets go of its origin as soon as it does not need it. */
	if (volume->rec.state != VOLUME_NONE && origin)
		origin->clones++;
	volume->block_count = volume->rec.size_bytes / PAGE_BYTES;
	volume->snapshot_count = 0;
	volume->snapshots_data = volume->rec.dead.data;
	if (volume->rec.state != VOLUME_LIVE)
		return;
	pool->volume_count++;
	pool->unmet_total += volume_unmet_slots(&volume->rec);
}

void volumes_recount(struct pool *pool)
{
	pool->volume_count = pool->snapshot_count = 0;
	pool->unmet_total = 0;
	for (uint32_t id = 1; id < pool->snapshot_limit; id++)
		if (pool->snapshots[id])
			pool->snapshots[id]->clones = 0;
	for (uint32_t id = 1; id < pool->volume_limit; id++)
		if (pool->volumes[id])
			volume_recount(pool, pool->volumes[id]);
	if (pool_promises(pool))
		pool->unmet_total += pool->super.shared_extra;
	for (uint32_t id = 1; id < pool->snapshot_limit; id++)
		if (pool->snapshots[id])
			snapshot_recount(pool, pool->snapshots[id]);
	names_rebuild(pool);
}

uint64_t pool_wall_s(const struct pool *pool)
{
	return pool->wall_clock_s ? pool->wall_clock_s(pool->data) : (uint64_t)time(NULL);
}
