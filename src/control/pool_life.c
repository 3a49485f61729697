/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pools come and go: create, import, export, destroy, and what was remembered at the daemon's
 * start. What is saved first and what is done first: see the head of verbs.c.
 */
#include "pool_life.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <quoin/base_assert.h>
#include <quoin/base_log.h>
#include <quoin/base_size.h>
#include <quoin/base_text.h>
#include <quoin/disk_probe.h>

#include "events.h"
#include "pool_deploy.h"
#include "pool_scan.h"
#include "pool_state.h"
#include "pool_use.h"
#include "sources.h"

static int save(struct control *control, struct err *err)
{
	json_t *all = json_array();
	int r;

	ASSERT(all != NULL);
	for (unsigned i = 0; i < control->pools.count; i++)
		ASSERT(json_array_append_new(all, control_pool_to_json(control->pools.pools[i])) ==
		       0);
	r = control_state_save(&control->state, CONTROL_STATE_POOLS, all, err);
	json_decref(all);
	return r;
}

/* The targets there are come first, then the pools; `waiting` pools are still to come. */
static int memory_share(const struct control *control, unsigned waiting, uint64_t *ret_bytes,
			struct err *err)
{
	const uint64_t taken = control->target_count * CONTROL_TARGET_COST_BYTES +
			       control_pools_memory(&control->pools);
	const uint64_t rest = control->memory_bytes > taken ? control->memory_bytes - taken : 0;
	char rest_text[SIZE_TEXT_MAX];
	char least[SIZE_TEXT_MAX];
	const uint64_t share = control_pool_share(rest, waiting);

	if (share == 0)
		return err_set(err, -ENOSPC,
			       "a pool needs %s of memory, and %s is left: start quoind with more "
			       "--memory, or destroy targets",
			       size_format(POOL_MEMORY_MIN, least), size_format(rest, rest_text));
	*ret_bytes = share;
	return 0;
}

/* --- Create ------------------------------------------------------------------------------------
 */

static int drive_check(const char *path, bool force, struct err *err)
{
	struct disk_probe_result found;
	char text[DISK_PROBE_TEXT_MAX];
	struct stat st;
	int r;

	if (path[0] != '/' || strlen(path) > CONTROL_PATH_MAX)
		return err_set(err, -EINVAL, "drive \"%.200s\": the path must be absolute", path);
	if (stat(path, &st) < 0 && errno == ENOENT)
		return err_set(err, -ENOENT,
			       "there is no drive %s (a file for one is made with: truncate -s 10G "
			       "%s)",
			       path, path);
	if (force)
		return 0;
	r = disk_probe(path, &found, err);
	if (r < 0 || found.kind == DISK_PROBE_NOTHING)
		return r;
	disk_probe_describe(&found, text, sizeof(text));
	return err_set(err, -EEXIST, "%s holds %s: give --force to lose it", path, text);
}

static int groups_check(const struct control_pool_create *params, struct err *err)
{
	unsigned sizes[CONTROL_DRIVES_MAX] = {0};
	unsigned groups = 0;

	for (unsigned i = 0; i < params->drive_count; i++) {
		ASSERT_U64(params->groups[i], <, CONTROL_DRIVES_MAX);
		sizes[params->groups[i]]++;
		groups = MAX(groups, params->groups[i] + 1);
	}
	for (unsigned g = 1; g < groups && !params->force; g++) {
		if ((sizes[g] > 1) != (sizes[0] > 1))
			return err_set(err, -EINVAL,
				       "drives that stand alone beside mirrors: what they hold "
				       "would have one copy only; give --force if that is wanted");
	}
	return 0;
}

/* The same drive under two names is found by its lock. */
static int twice_check(const struct control_pool_create *params, struct err *err)
{
	for (unsigned i = 0; i < params->drive_count; i++) {
		for (unsigned j = 0; j < i; j++) {
			if (strcmp(params->drives[i], params->drives[j]) == 0)
				return err_set(err, -EINVAL, "%s is given twice",
					       params->drives[i]);
		}
	}
	return 0;
}

static int create_check(struct control *control, const struct control_pool_create *params,
			struct err *err)
{
	int r = control_name_check(params->name, err);

	if (r == 0 && control_pools_find(&control->pools, params->name))
		r = err_set(err, -EEXIST, "a pool of this name exists already");
	if (r == 0 && control->pools.count == CONTROL_POOLS_MAX)
		r = err_set(err, -ENOSPC, "there are %d pools, which is the most this has",
			    CONTROL_POOLS_MAX);
	if (r == 0 && (params->drive_count == 0 || params->drive_count > CONTROL_DRIVES_MAX))
		r = err_set(err, -EINVAL, "a pool has 1 to %d drives", CONTROL_DRIVES_MAX);
	if (r == 0)
		r = twice_check(params, err);
	if (r == 0)
		r = groups_check(params, err);
	for (unsigned i = 0; r == 0 && i < params->drive_count; i++)
		r = drive_check(params->drives[i], params->force, err);
	return r;
}

/* The verb as it was typed, as far as that is known. */
static char *create_history(const struct control_pool_create *params)
{
	struct text t;

	text_init(&t);
	text_printf(&t, "pool create %s%s", params->force ? "--force " : "", params->name);
	for (unsigned i = 0; i < params->drive_count; i++) {
		const bool first = i == 0 || params->groups[i] != params->groups[i - 1];
		const bool more =
			i + 1 < params->drive_count && params->groups[i + 1] == params->groups[i];

		text_printf(&t, "%s %s", first && more ? " mirror" : "", params->drives[i]);
	}
	return text_detach(&t);
}

static int create(struct control *control, const struct control_pool_create *params,
		  struct control_pool *pool, struct err *err)
{
	CLEANUP_FREE char *history = create_history(params);
	struct control_pool_opening how = {
		.format = params,
		.paths = params->drives,
		.path_count = params->drive_count,
		.history = history,
	};
	int r = memory_share(control, 0, &how.memory_bytes, err);

	if (r == 0)
		r = control_pool_start(&control->pools, pool, &how, err);
	if (r < 0)
		return r;
	control_pools_append(&control->pools, pool);
	r = save(control, err);
	if (r == 0)
		return 0;
	control_pools_take(&control->pools, pool);
	if (control_pool_wipe(&control->pools, pool, NULL) < 0)
		log_error("pool \"%s\" stays on its drives", pool->name);
	return r;
}

int control_pool_create(struct control *control, const struct control_pool_create *params,
			struct err *err)
{
	static const uint8_t unknown[16];
	struct control_pool *pool = NULL;
	int r = create_check(control, params, err);

	if (r == 0) {
		pool = control_pool_new(params->name, unknown);
		r = create(control, params, pool, err);
	}
	if (r < 0) {
		control_pool_free(pool);
		err_prefix(err, "pool \"%.64s\" is not created", params->name);
		return r;
	}
	log_info("pool \"%s\" created", pool->name);
	health_events_add(control->events, HEALTH_POOL_CREATED, pool->name, "it has %u drives",
			  params->drive_count);
	control_drives_update(control);
	control_pool_wake_targets(control, pool->name);
	return 0;
}

static void imported_tell(struct control *control, const struct control_pool *pool)
{
	health_events_add(control->events, HEALTH_POOL_IMPORTED, pool->name, "from %u drives%s",
			  pool->disk_count, pool->read_only ? ", read-only" : "");
}

/* --- Import ------------------------------------------------------------------------------------
 */

/* Opens the drives that the scan found of the pool. */
static int start_found(struct control *control, const struct control_scan *scan,
		       struct control_pool *pool, struct control_pool_opening *how, struct err *err)
{
	const char *paths[CONTROL_DRIVES_MAX];

	how->paths = paths;
	how->path_count = control_scan_paths(scan, pool->guid, paths);
	for (unsigned i = 0; how->path_count == 0 && i < pool->path_count; i++) {
		const char *trouble = control_scan_trouble(scan, pool->paths[i]);

		if (trouble)
			return err_set(err, -ENODEV, "%s", trouble);
	}
	if (how->path_count == 0)
		return err_set(err, -ENODEV, "none of its drives is there");
	return control_pool_start(&control->pools, pool, how, err);
}

static int import_new(struct control *control, const struct control_scan *scan,
		      const uint8_t guid[16], struct control_pool_opening *how, struct err *err)
{
	const char *name = control_scan_newest(scan, guid)->name;
	struct control_pool *pool;
	int r;

	if (control_pools_find(&control->pools, name))
		return err_set(err, -EEXIST, "another pool \"%s\" is there: export that one first",
			       name);
	if (control->pools.count == CONTROL_POOLS_MAX)
		return err_set(err, -ENOSPC, "there are %d pools, which is the most this has",
			       CONTROL_POOLS_MAX);
	pool = control_pool_new(name, guid);
	r = start_found(control, scan, pool, how, err);
	if (r < 0) {
		control_pool_free(pool);
		return r;
	}
	control_pools_append(&control->pools, pool);
	r = save(control, err);
	if (r == 0)
		return 0;
	control_pools_take(&control->pools, pool);
	if (control_pool_stop(&control->pools, pool, POOL_KEEP, "not saved", NULL) < 0)
		log_error("pool \"%s\" could not be closed well", pool->name);
	control_pool_free(pool);
	return r;
}

/* One that failed before, and is listed. */
static int import_again(struct control *control, const struct control_scan *scan,
			struct control_pool *pool, struct control_pool_opening *how,
			struct err *err)
{
	struct err unsaved;
	int r = start_found(control, scan, pool, how, err);

	if (r == 0 && save(control, &unsaved) < 0)
		log_warning("%s", unsaved.text);
	return r;
}

static char *import_history(const struct control_pool_import *params)
{
	struct text t;

	text_init(&t);
	text_printf(&t, "pool import%s", params->force ? " --force" : "");
	if (params->rewind_to)
		text_printf(&t, " --rewind %llu", (unsigned long long)params->rewind_to);
	text_printf(&t, " %s", params->name);
	return text_detach(&t);
}

static int import(struct control *control, const struct control_pool_import *params,
		  struct control_pool **ret_pool, struct err *err)
{
	CLEANUP_FREE char *history = import_history(params);
	struct control_pool_opening how = {
		.force = params->force,
		.read_only = params->read_only,
		.rewind_to = params->rewind_to,
		.history = history,
	};
	struct control_scan scan;
	uint8_t guid[16];
	int r = memory_share(control, 0, &how.memory_bytes, err);

	if (r == 0)
		r = control_scan_run(&scan, &control->pools, params->paths, params->path_count,
				     err);
	if (r < 0)
		return r;
	r = control_scan_choose(&scan, params->name, guid, err);
	if (r == 0) {
		*ret_pool = control_pools_find_guid(&control->pools, guid);
		if (*ret_pool && (*ret_pool)->pool)
			r = err_set(err, -EEXIST, "it is imported already");
		else if (*ret_pool)
			r = import_again(control, &scan, *ret_pool, &how, err);
		else
			r = import_new(control, &scan, guid, &how, err);
		*ret_pool = control_pools_find_guid(&control->pools, guid);
	}
	if (r == 0)
		imported_tell(control, *ret_pool);
	control_scan_fini(&scan);
	return r;
}

int control_pool_import(struct control *control, const struct control_pool_import *params,
			char ret_name[CONTROL_NAME_MAX + 1], struct err *err)
{
	struct control_pool *pool = control_pools_find(&control->pools, params->name);
	uint8_t guid[16];
	int r = 0;

	if (!pool && control_uuid_parse(params->name, guid) == 0)
		pool = control_pools_find_guid(&control->pools, guid);
	if (pool && pool->pool && params->path_count > 0)
		r = err_set(err, -EEXIST, "it is imported already");
	else if (!pool || !pool->pool)
		r = import(control, params, &pool, err);
	if (r < 0) {
		err_prefix(err, "pool \"%.64s\" is not imported", params->name);
		return r;
	}
	snprintf(ret_name, CONTROL_NAME_MAX + 1, "%s", pool->name);
	log_info("pool \"%s\" imported", pool->name);
	control_drives_update(control);
	/* Images may arrive from it, or in it. */
	control_sources_tend(control);
	control_pool_wake_targets(control, pool->name);
	return 0;
}

/* --- Export, destroy ----------------------------------------------------------------------------
 */

/* The list first: a pool that was let go must not come back by itself. */
static int let_go(struct control *control, struct control_pool *pool, unsigned *ret_index,
		  struct err *err)
{
	int r;

	*ret_index = control_pools_take(&control->pools, pool);
	r = save(control, err);
	if (r < 0)
		control_pools_put_back(&control->pools, pool, *ret_index);
	return r;
}

/* A pool that would not close is back in the list; any other is gone. Returns `r`. */
static int gone(struct control *control, struct control_pool *pool, unsigned index, int r)
{
	if (!pool->pool) {
		control_pool_free(pool);
		return r;
	}
	control_pools_put_back(&control->pools, pool, index);
	if (save(control, NULL) < 0)
		log_error("pool \"%s\" is missing after a restart", pool->name);
	return r;
}

static int export(struct control *control, struct control_pool *pool, struct err *err)
{
	unsigned index = 0;
	int r = control_pool_unused(control, pool->name, true, err);

	if (r == 0)
		r = control_sources_unused(control, pool->name, err);
	if (r == 0)
		r = let_go(control, pool, &index, err);
	if (r < 0)
		return r;
	if (pool->pool)
		r = control_pool_stop(&control->pools, pool, POOL_EXPORT, "exported", err);
	return gone(control, pool, index, r);
}

int control_pool_export(struct control *control, const char *name, struct err *err)
{
	struct control_pool *pool = control_pools_find(&control->pools, name);
	int r;

	if (!pool)
		return err_set(err, -ENOENT, "there is no pool \"%s\": see quoin pool list", name);
	r = export(control, pool, err);
	if (r < 0) {
		err_prefix(err, "pool \"%s\" is not exported%s", name,
			   control_pools_find(&control->pools, name) ? "" : " well, but let go");
		return r;
	}
	log_info("pool \"%s\" exported", name);
	control_drives_update(control);
	control_board_remove(&control->board, name);
	health_events_add(control->events, HEALTH_POOL_EXPORTED, name, "this host let it go");
	return 0;
}

static int count_volumes(struct pool_args *args)
{
	struct pool_status status;

	memset(&status, 0, sizeof(status));
	pool_status(args->pool, &status);
	args->value = status.volume_count;
	return 0;
}

static int destroy(struct control *control, struct control_pool *pool, bool force, struct err *err)
{
	struct pool_args args = {.verb = count_volumes, .err = err};
	unsigned index = 0;
	int r = control_pool_unused(control, pool->name, false, err);

	if (r == 0)
		r = control_sources_unused(control, pool->name, err);
	if (r == 0 && pool->read_only)
		r = err_set(err, -EROFS, "it is imported read-only");
	if (r == 0)
		r = control_pool_call(pool, &args);
	if (r == 0 && args.value > 0 && !force)
		r = err_set(err, -EBUSY, "it has %llu volumes: give --force to lose them",
			    (unsigned long long)args.value);
	if (r == 0)
		r = let_go(control, pool, &index, err);
	if (r < 0)
		return r;
	r = control_pool_wipe(&control->pools, pool, err);
	return gone(control, pool, index, r);
}

int control_pool_destroy(struct control *control, const char *name, bool force, struct err *err)
{
	struct control_pool *pool = NULL;
	uint8_t guid[16];
	int r = control_pools_get(&control->pools, name, &pool, err);

	if (r < 0)
		return r;
	memcpy(guid, pool->guid, sizeof(guid));
	r = destroy(control, pool, force, err);
	if (r < 0) {
		err_prefix(err, "pool \"%s\" is not destroyed", name);
		return r;
	}
	log_info("pool \"%s\" destroyed", name);
	control_sources_forget(control, guid);
	control_drives_update(control);
	control_board_remove(&control->board, name);
	health_events_add(control->events, HEALTH_POOL_DESTROYED, name, "its drives are free");
	return 0;
}

/* --- With the daemon -----------------------------------------------------------------------------
 */

static int restore_one(struct control *control, const json_t *json, struct err *err)
{
	struct control_pool *pool = NULL;
	int r = control_pool_from_json(json, &pool, err);

	if (r < 0)
		return r;
	if (control_pools_find(&control->pools, pool->name) ||
	    control_pools_find_guid(&control->pools, pool->guid)) {
		r = err_set(err, -EEXIST, "\"%s\" is there twice", pool->name);
		control_pool_free(pool);
		return r;
	}
	control_pools_append(&control->pools, pool);
	return 0;
}

int control_pools_restore(struct control *control, struct err *err)
{
	json_t *all = NULL;
	int r = control_state_load(&control->state, CONTROL_STATE_POOLS, &all, err);

	if (r < 0)
		return r;
	if (json_array_size(all) > CONTROL_POOLS_MAX)
		r = err_set(err, -EUCLEAN, "%s/pools.json has more than %d pools",
			    control->state.directory, CONTROL_POOLS_MAX);
	for (size_t i = 0; r == 0 && i < json_array_size(all); i++) {
		r = restore_one(control, json_array_get(all, i), err);
		if (r < 0) {
			err_prefix(err,
				   "%s/pools.json is damaged (repair it, or move it away), pool "
				   "%zu",
				   control->state.directory, i + 1);
			r = -EUCLEAN;
		}
	}
	json_decref(all);
	return r;
}

void control_pools_start(struct control *control)
{
	struct control_pools *pools = &control->pools;
	struct control_scan scan;
	struct err why = {.code = 0};

	if (pools->count == 0)
		return;
	if (control_scan_run(&scan, pools, NULL, 0, &why) < 0) {
		log_warning("pools are not looked for: %s", why.text);
		return;
	}
	for (unsigned i = 0; i < pools->count; i++) {
		struct control_pool *pool = pools->pools[i];
		struct control_pool_opening how = {.read_only = pool->read_only};
		int r = memory_share(control, pools->count - i - 1, &how.memory_bytes, &why);

		if (r == 0)
			r = start_found(control, &scan, pool, &how, &why);
		if (r == 0) {
			log_info("pool \"%s\" imported", pool->name);
			imported_tell(control, pool);
			continue;
		}
		control_pool_fail(pool, why.text);
		control_board_failed(&control->board, pool, why.text);
		log_warning("pool \"%s\" is not imported: %s", pool->name, why.text);
		health_events_add(control->events, HEALTH_POOL_FAILED, pool->name, "%s", why.text);
	}
	control_scan_fini(&scan);
	control_drives_update(control);
}

static int stop_arriving(struct pool_args *args)
{
	control_deploys_stop(args->owner);
	return 0;
}

void control_pools_stop(struct control *control)
{
	struct control_pools *pools = &control->pools;
	struct pool_args args = {.verb = stop_arriving};

	/* First in all of them: one may read what is in another. */
	for (unsigned i = 0; i < pools->count; i++) {
		struct control_pool *pool = pools->pools[i];

		if (pool->pool && control_pool_call(pool, &args) < 0)
			log_error("images arrive in pool \"%s\" until it is closed", pool->name);
	}
	control_sources_close(&control->sources);
	while (pools->count > 0) {
		struct control_pool *pool = pools->pools[--pools->count];
		struct err why = {.code = 0};

		if (pool->pool && control_pool_stop(pools, pool, POOL_KEEP, "stopped", &why) < 0)
			log_error("pool \"%s\" is not closed well: %s", pool->name, why.text);
		if (!pool->pool)
			control_pool_free(pool);
	}
}
