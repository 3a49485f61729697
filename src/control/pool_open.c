/* SPDX-License-Identifier: Apache-2.0 */
/* From paths to a pool that serves on its home loop, and back. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <quoin/base_assert.h>
#include <quoin/base_log.h>

#include "board.h"
#include "export.h"
#include "pool.h"
#include "pool_call.h"
#include "pool_copy.h"
#include "pool_deploy.h"
#include "pool_watch.h"

static void disks_close(struct control_pool *pool)
{
	while (pool->disk_count > 0)
		disk_close(pool->disks[--pool->disk_count]);
}

static int disk_add(struct control_pool *pool, const char *path, bool read_only, struct err *err)
{
	const struct disk_open_params params = {.read_only = read_only};
	struct stat st;
	int r;

	if (stat(path, &st) < 0 && errno == ENOENT)
		return err_set(err, -ENOENT,
			       "there is no drive %s (a file for one is made with truncate -s 10G "
			       "%s)",
			       path, path);
	r = disk_open(path, &params, &pool->disks[pool->disk_count], err);
	if (r == 0)
		pool->disk_count++;
	return r;
}

static int disks_open(struct control_pool *pool, const struct control_pool_opening *how,
		      struct err *err)
{
	for (unsigned i = 0; i < how->path_count; i++) {
		int r = disk_add(pool, how->paths[i], how->read_only, err);

		if (r < 0) {
			disks_close(pool);
			return r;
		}
	}
	return 0;
}

/* --- On the home loop ------------------------------------------------------------------------- */

struct opening {
	struct control_pools *pools;
	struct control_pool *pool;
	const struct control_pool_opening *how;
	struct err *err;
};

/* The engine says that something changed: what is wrong goes to the log, once. */
static void on_changed(void *data)
{
	struct control_pool *pool = data;
	struct pool_status status;

	/* While it is being opened its verb tells. */
	if (!pool->pool)
		return;
	control_pool_watch_soon(pool);
	pool_status(pool->pool, &status);
	if (strcmp(status.problem, pool->problem) == 0)
		return;
	memcpy(pool->problem, status.problem, sizeof(pool->problem));
	if (pool->problem[0] != '\0')
		log_warning("pool \"%s\": %s", pool->name, pool->problem);
	else
		log_info("pool \"%s\" is well again", pool->name);
}

static int disk_label_check(struct loop *loop, struct disk *disk, struct err *err)
{
	struct pool_label label;
	struct err why = {.code = 0};
	const int r = pool_label_read(loop, disk, &label, &why);

	if (r == -ENOENT || (r == 0 && label.destroyed))
		return 0;
	if (r == 0)
		return err_set(err, -EEXIST,
			       "%s belongs to pool \"%s\" (last used by host %s): import it, or "
			       "give --force to lose it",
			       disk_name(disk), label.name, label.host_name);
	if (r == -EIO)
		return err_set(err, r, "%s cannot be read: %s", disk_name(disk), why.text);
	return err_set(err, -EEXIST,
		       "%s may belong to a pool (%s): give --force to overwrite it all the same",
		       disk_name(disk), why.text);
}

static int format(const struct opening *o, const struct pool_drive_param *drives)
{
	const struct control_pool_create *create = o->how->format;
	struct pool_format_params params = {
		.name = create->name,
		.drives = drives,
		.drive_count = o->pool->disk_count,
		.reserve_permille = create->reserve_permille,
		.autotrim = create->autotrim,
		.time_s = (uint64_t)time(NULL),
		.host_name = o->pools->host.name,
	};

	memcpy(params.host_id, o->pools->host.id, sizeof(params.host_id));
	for (unsigned i = 0; i < o->pool->disk_count && !create->force; i++) {
		int r = disk_label_check(o->pool->loop, o->pool->disks[i], o->err);

		if (r < 0)
			return r;
	}
	return pool_format(o->pool->loop, &params, o->err);
}

static int open_it(const struct opening *o, const struct pool_drive_param *drives)
{
	struct control_pool *pool = o->pool;
	struct pool_open_params params = {
		.loop = pool->loop,
		.drives = drives,
		.drive_count = pool->disk_count,
		.memory_bytes = o->how->memory_bytes,
		.host_name = o->pools->host.name,
		.force = o->how->force,
		.read_only = o->how->read_only,
		.rewind_to = o->how->rewind_to,
		.changed = on_changed,
		.data = pool,
	};
	struct pool_status status;
	int r;

	memcpy(params.host_id, o->pools->host.id, sizeof(params.host_id));
	r = pool_open(&params, &pool->pool, o->err);
	if (r < 0) {
		pool->pool = NULL;
		return r;
	}
	memset(&status, 0, sizeof(status));
	pool_status(pool->pool, &status);
	memcpy(pool->guid, status.guid, sizeof(pool->guid));
	memcpy(pool->problem, status.problem, sizeof(pool->problem));
	if (!o->how->read_only) {
		control_export_sweep(pool->pool);
		control_copy_sweep(pool->pool);
		control_deploys_resume(pool, &o->pools->opener);
	}
	if (o->how->history && !o->how->read_only &&
	    pool_history_add(pool->pool, o->how->history) < 0)
		log_debug("the history of pool \"%s\" does not have: %s", pool->name,
			  o->how->history);
	control_pool_watch_start(pool);
	return 0;
}

static int opening_run(void *arg)
{
	const struct opening *o = arg;
	struct pool_drive_param drives[CONTROL_DRIVES_MAX] = {{.disk = NULL}};
	int r = 0;

	for (unsigned i = 0; i < o->pool->disk_count; i++) {
		drives[i].disk = o->pool->disks[i];
		drives[i].path = disk_name(o->pool->disks[i]);
		drives[i].group = o->how->format ? o->how->format->groups[i] : 0;
	}
	if (o->how->format)
		r = format(o, drives);
	return r < 0 ? r : open_it(o, drives);
}

struct closing {
	struct control_pool *pool;
	enum pool_closing how;
	bool wipe;
	struct err *err;
};

static int closing_run(void *arg)
{
	const struct closing *c = arg;
	struct control_pool *pool = c->pool;
	struct pool *engine = pool->pool;
	int r;

	control_pool_watch_stop(pool);
	control_deploys_stop(pool);
	pool->pool = NULL;
	r = pool_close(engine, c->how, c->err);
	/* What is to be lost need not have been written. */
	if (c->wipe)
		r = 0;
	for (unsigned i = 0; c->wipe && r == 0 && i < pool->disk_count; i++)
		r = pool_wipe(pool->loop, pool->disks[i], c->err);
	return r;
}

/* --- For the verbs -----------------------------------------------------------------------------
 */

int control_pool_start(struct control_pools *pools, struct control_pool *pool,
		       const struct control_pool_opening *how, struct err *err)
{
	struct err why = {.code = 0};
	struct opening opening = {.pools = pools, .pool = pool, .how = how, .err = &why};
	int r;

	ASSERT(pool->pool == NULL);
	pool->worker = control_workers_choose_home(pools->workers);
	pool->loop = pools->workers->workers[pool->worker].loop;
	pool->memory_bytes = how->memory_bytes;
	pool->read_only = how->read_only;
	pool->events = pools->events;
	pool->board = pools->board;
	pool->errand = pools->errand;
	r = disks_open(pool, how, &why);
	if (r == 0)
		r = control_call(pool->loop, opening_run, &opening);
	if (r < 0) {
		if (why.text[0] == '\0')
			err_set(&why, r, "%s", strerror(-r));
		disks_close(pool);
		control_pool_fail(pool, why.text);
		return err_set(err, r, "%s", why.text);
	}
	pools->workers->workers[pool->worker].pools++;
	for (unsigned i = 0; i < how->path_count; i++)
		control_pool_add_path(pool, how->paths[i]);
	control_pool_fail(pool, "");
	return 0;
}

static int stop(struct control_pools *pools, struct control_pool *pool, struct closing *closing,
		const char *why)
{
	int r = control_call(pool->loop, closing_run, closing);

	/* No memory for the fiber: the pool is as it was. */
	if (pool->pool)
		return r < 0 ? r : -ENOMEM;
	disks_close(pool);
	control_board_remove(pools->board, pool->name);
	pools->workers->workers[pool->worker].pools--;
	control_pool_fail(pool, why);
	return r;
}

int control_pool_stop(struct control_pools *pools, struct control_pool *pool, enum pool_closing how,
		      const char *why, struct err *err)
{
	struct closing closing = {.pool = pool, .how = how, .err = err};

	if (err)
		err_set(err, -EIO, "the pool cannot be closed");
	return stop(pools, pool, &closing, why);
}

int control_pool_wipe(struct control_pools *pools, struct control_pool *pool, struct err *err)
{
	struct closing closing = {.pool = pool, .how = POOL_EXPORT, .wipe = true, .err = err};

	if (err)
		err_set(err, -EIO, "the pool cannot be closed");
	return stop(pools, pool, &closing, "destroyed");
}
