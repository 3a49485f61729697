/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of live volumes and snapshots in hash tables of chains, which run through the objects, so
 * that nothing is allocated when a checkpoint is committed: the tables grow with the table of
 * objects. Names change only with a commit, which makes the chains anew, or when a snapshot is cut.
 *
 * Names that a drive has twice, which we never write, are found as the lowest number.
 */
#include <errno.h>
#include <stdlib.h>

#include "engine/admin.h"

/* FNV-1a. */
static uint32_t mix(uint32_t volume, const char *name)
{
	uint32_t hash = UINT32_C(2166136261) ^ volume * UINT32_C(0x9e3779b9);

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * UINT32_C(16777619);
	return hash ^ hash >> 15;
}

static struct volume **volume_chain(const struct pool *pool, const char *name)
{
	return &pool->names.volumes[mix(0, name) % NAMES_VOLUMES];
}

static struct snapshot **snapshot_chain(const struct pool *pool, uint32_t volume, const char *name)
{
	return &pool->names.snapshots[mix(volume, name) & (pool->names.snapshot_chains - 1)];
}

int names_volumes_init(struct pool *pool)
{
	pool->names.volumes = calloc(NAMES_VOLUMES, sizeof(struct volume *));
	return pool->names.volumes ? 0 : -ENOMEM;
}

int names_snapshots_grow(struct pool *pool, uint32_t capacity)
{
	struct snapshot **chains = calloc(capacity, sizeof(struct snapshot *));

	if (!chains)
		return -ENOMEM;
	free(pool->names.snapshots);
	pool->names.snapshots = chains;
	pool->names.snapshot_chains = capacity;
	names_rebuild(pool);
	return 0;
}

void names_fini(struct pool *pool)
{
	free(pool->names.volumes);
	free(pool->names.snapshots);
	pool->names = (struct names){.volumes = NULL};
}

void names_snapshot_add(struct pool *pool, struct snapshot *snapshot)
{
	struct snapshot **chain = snapshot_chain(pool, snapshot->rec.volume, snapshot->rec.name);

	snapshot->name_next = *chain;
	*chain = snapshot;
}

/* From the highest number down, as the last one added is found first. */
void names_rebuild(struct pool *pool)
{
	struct names *names = &pool->names;

	if (names->volumes)
		memset(names->volumes, 0, NAMES_VOLUMES * sizeof(struct volume *));
	if (names->snapshots)
		memset(names->snapshots, 0, names->snapshot_chains * sizeof(struct snapshot *));
	for (uint32_t id = pool->volume_limit; id-- > 0;) {
		struct volume *volume = pool->volumes[id];
		struct volume **chain;

		if (!volume || volume->rec.state != VOLUME_LIVE)
			continue;
		chain = volume_chain(pool, volume->rec.name);
		volume->name_next = *chain;
		*chain = volume;
	}
	for (uint32_t id = pool->snapshot_limit; id-- > 0;)
		if (pool->snapshots[id] && pool->snapshots[id]->rec.state == VOLUME_LIVE)
			names_snapshot_add(pool, pool->snapshots[id]);
}

struct volume *volume_find(const struct pool *pool, const char *name)
{
	struct volume *volume = pool->names.volumes ? *volume_chain(pool, name) : NULL;

	while (volume && strcmp(volume->rec.name, name) != 0)
		volume = volume->name_next;
	return volume;
}

struct snapshot *snapshot_find(const struct pool *pool, uint32_t volume, const char *name)
{
	struct snapshot *snapshot = NULL;

	if (pool->names.snapshots)
		snapshot = *snapshot_chain(pool, volume, name);
	while (snapshot &&
	       (snapshot->rec.volume != volume || strcmp(snapshot->rec.name, name) != 0))
		snapshot = snapshot->name_next;
	return snapshot;
}
