/* SPDX-License-Identifier: Apache-2.0 */
/* The list of pools, what each is given of the memory, and what there is to know of one. */
#include "pool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_text.h>
#include <quoin/pool_trim.h>

#include "private.h"

/* The room's door names its own limits, so that its users need not know the engine. */
_Static_assert(CONTROL_NAME_MAX == POOL_NAME_MAX, "names");
_Static_assert(CONTROL_DRIVES_MAX == POOL_DRIVES_MAX, "drives");
_Static_assert(CONTROL_HOLDS_MAX == POOL_HOLDS_MAX, "holds");
_Static_assert(CONTROL_TAG_MAX == POOL_TAG_MAX, "tags");
_Static_assert(CONTROL_RESERVE_DEFAULT == POOL_RESERVE_PERMILLE_DEFAULT, "reserve");
_Static_assert(CONTROL_SNAPSHOT_MAX == 2 * POOL_NAME_MAX + 1, "snapshots");
_Static_assert(CONTROL_DAMAGE_MAX == POOL_DAMAGE_MAX, "damage");

struct control_pool *control_pool_new(const char *name, const uint8_t guid[16])
{
	struct control_pool *pool = xcalloc(1, sizeof(*pool));

	snprintf(pool->name, sizeof(pool->name), "%s", name);
	memcpy(pool->guid, guid, sizeof(pool->guid));
	pool->failure = xstrdup("not imported");
	return pool;
}

void control_pool_free(struct control_pool *pool)
{
	if (!pool)
		return;
	ASSERT(pool->pool == NULL);
	control_pool_clear_paths(pool);
	free(pool->failure);
	free(pool);
}

void control_pool_add_path(struct control_pool *pool, const char *path)
{
	for (unsigned i = 0; i < pool->path_count; i++) {
		if (strcmp(pool->paths[i], path) == 0)
			return;
	}
	/* The newest knowledge counts: the oldest goes. */
	if (pool->path_count == CONTROL_DRIVES_MAX) {
		free(pool->paths[0]);
		memmove(&pool->paths[0], &pool->paths[1],
			--pool->path_count * sizeof(*pool->paths));
	}
	pool->paths[pool->path_count++] = xstrdup(path);
}

void control_pool_clear_paths(struct control_pool *pool)
{
	while (pool->path_count > 0)
		free(pool->paths[--pool->path_count]);
}

void control_pool_fail(struct control_pool *pool, const char *why)
{
	char *failure = xstrdup(why);

	free(pool->failure);
	pool->failure = failure;
}

void control_pools_append(struct control_pools *pools, struct control_pool *pool)
{
	ASSERT_U64(pools->count, <, CONTROL_POOLS_MAX);
	pools->pools[pools->count++] = pool;
}

unsigned control_pools_take(struct control_pools *pools, const struct control_pool *pool)
{
	unsigned i = 0;

	while (i < pools->count && pools->pools[i] != pool)
		i++;
	ASSERT_U64(i, <, pools->count);
	pools->count--;
	memmove(&pools->pools[i], &pools->pools[i + 1], (pools->count - i) * sizeof(*pools->pools));
	return i;
}

void control_pools_put_back(struct control_pools *pools, struct control_pool *pool, unsigned index)
{
	ASSERT_U64(pools->count, <, CONTROL_POOLS_MAX);
	memmove(&pools->pools[index + 1], &pools->pools[index],
		(pools->count - index) * sizeof(*pools->pools));
	pools->pools[index] = pool;
	pools->count++;
}

struct control_pool *control_pools_find(struct control_pools *pools, const char *name)
{
	for (unsigned i = 0; i < pools->count; i++) {
		if (strcmp(pools->pools[i]->name, name) == 0)
			return pools->pools[i];
	}
	return NULL;
}

struct control_pool *control_pools_find_guid(struct control_pools *pools, const uint8_t guid[16])
{
	for (unsigned i = 0; i < pools->count; i++) {
		if (memcmp(pools->pools[i]->guid, guid, 16) == 0)
			return pools->pools[i];
	}
	return NULL;
}

int control_pools_get(struct control_pools *pools, const char *name, struct control_pool **ret,
		      struct err *err)
{
	struct control_pool *pool = control_pools_find(pools, name);

	if (!pool)
		return err_set(err, -ENOENT,
			       "there is no pool \"%s\": see quoin pool list and quoin pool import",
			       name);
	if (!pool->pool)
		return err_set(err, -ENODEV,
			       "pool \"%s\" is not imported (%s): try quoin pool import %s", name,
			       pool->failure, name);
	*ret = pool;
	return 0;
}

uint64_t control_pools_memory(const struct control_pools *pools)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < pools->count; i++)
		sum += pools->pools[i]->pool ? pools->pools[i]->memory_bytes : 0;
	return sum;
}

uint64_t control_pool_share(uint64_t free_bytes, unsigned waiting)
{
	const uint64_t others = waiting * POOL_MEMORY_MIN;
	const uint64_t most = free_bytes > others ? free_bytes - others : 0;
	uint64_t share = free_bytes / 8 * 5;

	/* What was enough for all of them once is enough again after a restart. */
	share = MIN(share, most);
	if (share < POOL_MEMORY_MIN)
		share = most >= POOL_MEMORY_MIN ? POOL_MEMORY_MIN : 0;
	return share;
}

/* --- Looking --------------------------------------------------------------------------------- */

unsigned control_pool_count(const struct control *control)
{
	return control->pools.count;
}

const char *control_pool_name(const struct control *control, unsigned index)
{
	ASSERT_U64(index, <, control->pools.count);
	return control->pools.pools[index]->name;
}

static const char *health_word(enum pool_health health)
{
	switch (health) {
	case POOL_ONLINE:
		return "online";
	case POOL_DEGRADED:
		return "degraded";
	case POOL_SUSPENDED:
		return "suspended";
	}
	UNREACHABLE();
}

static void status_copy(const struct pool_status *from, struct control_pool_info *to)
{
	to->health = health_word(from->health);
	snprintf(to->problem, sizeof(to->problem), "%s", from->problem);
	to->read_only = from->read_only;
	to->full = from->full;
	to->autotrim = from->autotrim;
	to->reserve_permille = from->reserve_permille;
	to->memory_bytes = from->memory_bytes;
	to->size_bytes = from->size_bytes;
	to->allocated_bytes = from->allocated_bytes;
	to->freeing_bytes = from->freeing_bytes;
	to->discarding_bytes = from->discarding_bytes;
	to->discarded_bytes = from->discarded_bytes;
	to->reserved_bytes = from->reserved_bytes;
	to->reserve_bytes = from->reserve_bytes;
	to->available_bytes = from->available_bytes;
	to->data_bytes = from->data_bytes;
	to->metadata_bytes = from->metadata_bytes;
	to->shared_bytes = from->shared_bytes;
	to->log_bytes = from->log_bytes;
	to->volume_count = from->volume_count;
	to->snapshot_count = from->snapshot_count;
	to->checkpoint = from->checkpoint;
	to->created_s = from->created_s;
	to->replayed_records = from->replayed_records;
	to->held_writes = from->held_writes;
	to->held_ns = from->held_ns;
	to->read_errors = from->read_errors;
	to->write_errors = from->write_errors;
	to->check_errors = from->check_errors;
	to->healed = from->healed;
	to->bad_blocks = from->bad_blocks;
	to->refused_writes = from->refused_writes;
	to->lost_bytes = from->lost_bytes;
	to->drive_count = MIN(from->drive_count, (unsigned)CONTROL_DRIVES_MAX);
}

static void trim_copy(const struct pool_trim_status *from, struct control_pool_trim *to)
{
	static const char *const states[] = {
		[POOL_TRIM_NONE] = "none",
		[POOL_TRIM_RUNNING] = "running",
		[POOL_TRIM_DONE] = "done",
		[POOL_TRIM_STOPPED] = "stopped",
	};

	to->state = states[from->state];
	to->total_bytes = from->total_bytes;
	to->passed_bytes = from->passed_bytes;
	to->trimmed_bytes = from->trimmed_bytes;
	to->failed_bytes = from->failed_bytes;
	to->began_s = from->began_s;
	to->ended_s = from->ended_s;
}

_Static_assert(CONTROL_IO_KINDS == POOL_IO_KINDS, "kinds");

static void drive_io_copy(const struct pool_drive_io *from, struct control_drive_io *to)
{
	memcpy(to->requests, from->requests, sizeof(to->requests));
	memcpy(to->bytes, from->bytes, sizeof(to->bytes));
	memcpy(to->ns, from->ns, sizeof(to->ns));
	to->busy_ns = from->busy_ns;
	to->in_flight = 0;
	for (unsigned i = 0; i < POOL_IO_KINDS; i++)
		to->in_flight += from->in_flight[i];
}

static void drive_copy(const struct pool_drive_status *from, struct control_drive_info *to)
{
	snprintf(to->path, sizeof(to->path), "%s", from->path ? from->path : "");
	memcpy(to->guid, from->guid, sizeof(to->guid));
	to->state = from->state;
	to->group = from->group;
	to->mirrored = from->mirrored;
	to->size_bytes = from->size_bytes;
	to->read_errors = from->read_errors;
	to->write_errors = from->write_errors;
	to->check_errors = from->check_errors;
	drive_io_copy(&from->io, &to->io);
}

static void damage_copy(const struct pool_damage *from, struct control_damage *to)
{
	to->count = from->count;
	to->more_bytes = from->more_bytes;
	for (unsigned i = 0; i < from->count; i++) {
		struct control_damage_range *range = &to->ranges[i];

		snprintf(range->name, sizeof(range->name), "%s", from->ranges[i].name);
		range->offset = from->ranges[i].offset;
		range->length_bytes = from->ranges[i].length_bytes;
	}
}

void control_pool_look(struct pool *engine, struct control_pool_info *info)
{
	struct pool_drive_status drive;
	struct pool_trim_status trim;
	struct pool_damage damage;
	struct pool_status status;

	memset(&status, 0, sizeof(status));
	pool_status(engine, &status);
	status_copy(&status, info);
	pool_trim_status(engine, &trim);
	trim_copy(&trim, &info->trim);
	pool_damage(engine, &damage);
	damage_copy(&damage, &info->damage);
	for (unsigned i = 0; i < info->drive_count; i++) {
		memset(&drive, 0, sizeof(drive));
		pool_drive_status(engine, i, &drive);
		drive_copy(&drive, &info->drives[i]);
	}
}

#define DRIVES_AT offsetof(struct control_pool_info, drives)

void control_pool_info_clear(struct control_pool_info *info)
{
	memset(info, 0, DRIVES_AT);
}

void control_pool_info_copy(struct control_pool_info *to, const struct control_pool_info *from)
{
	memcpy(to, from, DRIVES_AT);
	memcpy(to->drives, from->drives, from->drive_count * sizeof(from->drives[0]));
}

static int look(struct pool_args *args)
{
	control_pool_look(args->pool, args->out);
	return 0;
}

static void look_failed(const struct control_pool *pool, struct control_pool_info *info)
{
	info->health = "failed";
	snprintf(info->problem, sizeof(info->problem), "%s", pool->failure);
	info->drive_count = pool->path_count;
	for (unsigned i = 0; i < pool->path_count; i++) {
		snprintf(info->drives[i].path, sizeof(info->drives[i].path), "%s", pool->paths[i]);
		info->drives[i].state = "unknown";
	}
}

int control_pool_info(struct control *control, const char *name, struct control_pool_info *ret_info,
		      struct err *err)
{
	struct control_pool *pool = control_pools_find(&control->pools, name);
	struct pool_args args = {.verb = look, .out = ret_info, .err = err};

	if (!pool)
		return err_set(err, -ENOENT, "there is no pool \"%s\": see quoin pool list", name);
	memset(ret_info, 0, sizeof(*ret_info));
	snprintf(ret_info->name, sizeof(ret_info->name), "%s", pool->name);
	memcpy(ret_info->guid, pool->guid, sizeof(pool->guid));
	ret_info->worker = pool->worker;
	ret_info->read_only = pool->read_only;
	if (pool->pool)
		return control_pool_call(pool, &args);
	look_failed(pool, ret_info);
	return 0;
}
