/* SPDX-License-Identifier: Apache-2.0 */
/* How a verb reaches an imported pool: names taken apart, one call on its loop, its history. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <quoin/base_log.h>
#include <quoin/base_text.h>
#include <quoin/pool_trim.h>

#include "pool.h"
#include "pool_call.h"
#include "pool_deploy.h"
#include "private.h"

#define RESERVED_PREFIX "quoin:" /* of IMAGE_RECORD_PREFIX, and whatever comes */

static int call(void *arg)
{
	struct pool_args *args = arg;
	int r;

	control_deploys_sweep(args->owner);
	r = args->verb(args);

	/* What was done is done: a history that cannot be kept does not undo it. */
	if (r == 0 && args->history && pool_history_add(args->pool, args->history) < 0)
		log_debug("the history of a pool does not have: %s", args->history);
	return r;
}

int control_pool_call(struct control_pool *pool, struct pool_args *args)
{
	struct err why = {.code = 0};
	struct err *wanted = args->err;
	int r;

	args->pool = pool->pool;
	args->owner = pool;
	args->err = &why;
	r = control_call(pool->loop, call, args);
	args->err = wanted;
	if (r == 0 && args->event)
		health_events_add(pool->events, args->event, args->event_object, "%s",
				  args->history);
	/* Some calls of the engine have a number only. */
	if (r < 0 && why.text[0] == '\0')
		return err_set(wanted, r, "%s", strerror(-r));
	return r < 0 ? err_set(wanted, r, "%s", why.text) : r;
}

int control_pool_object(struct control_pools *pools, const char *name, enum pool_object_kind kind,
			struct pool_object *ret_object, struct err *err)
{
	struct pool_object object = {.pool = NULL};
	int r;

	r = control_object_split(name, &object.object, err);
	if (r == 0 && kind == OBJECT_VOLUME && object.object.snapshot[0] != '\0')
		r = err_set(err, -EINVAL,
			    "\"%s\" is a snapshot, where a volume is wanted: POOL/NAME", name);
	if (r == 0 && kind == OBJECT_SNAPSHOT && object.object.snapshot[0] == '\0')
		r = err_set(err, -EINVAL, "\"%s\" is no snapshot: write POOL/NAME@SNAP", name);
	if (r == 0 && strncmp(object.object.volume, RESERVED_PREFIX, strlen(RESERVED_PREFIX)) == 0)
		r = err_set(err, -EINVAL,
			    "\"%s\": names that begin with " RESERVED_PREFIX " are the pool's own",
			    name);
	if (r == 0)
		r = control_pools_get(pools, object.object.pool, &object.pool, err);
	if (r < 0)
		return r;
	snprintf(object.name, sizeof(object.name), "%s", strchr(name, '/') + 1);
	*ret_object = object;
	return 0;
}

int control_pool_ask(struct control_pools *pools, enum pool_object_kind kind,
		     struct pool_args *args)
{
	const char *name = args->name;
	struct pool_object object;
	int r = control_pool_object(pools, name, kind, &object, args->err);

	if (r < 0)
		return r;
	args->name = object.name;
	args->other = object.pool->name;
	r = control_pool_call(object.pool, args);
	if (r < 0)
		err_prefix(args->err, "%s", name);
	return r;
}

int control_size_find(struct pool_args *args)
{
	struct pool_volume_info volume;
	struct pool_snapshot_info snapshot;
	int r;

	if (strchr(args->name, '@')) {
		r = pool_snapshot_find(args->pool, args->name, &snapshot);
		args->value = r == 0 ? snapshot.size_bytes : 0;
	} else {
		r = pool_volume_find(args->pool, args->name, &volume);
		args->value = r == 0 ? volume.params.size_bytes : 0;
	}
	if (r == -ENOENT)
		return err_set(args->err, r,
			       "there is no such volume or snapshot: see quoin "
			       "volume list and quoin snapshot list");
	return r;
}

/* --- Properties and history of a pool ----------------------------------------------------------
 */

static int set_reserve(struct pool_args *args)
{
	return pool_set(args->pool, POOL_RESERVE_PERMILLE, args->value, args->err);
}

static int set_autotrim(struct pool_args *args)
{
	return pool_set(args->pool, POOL_AUTOTRIM, args->value, args->err);
}

int control_pool_set(struct control *control, const char *name, const struct control_pool_set *set,
		     struct err *err)
{
	struct control_pool *pool = NULL;
	char history[128];
	struct pool_args args = {
		.history = history, .event = HEALTH_POOL_CHANGED, .event_object = name, .err = err};
	int r = control_pools_get(&control->pools, name, &pool, err);

	if (r == 0 && set->has_reserve) {
		args.verb = set_reserve;
		args.value = set->reserve_permille;
		snprintf(history, sizeof(history), "pool set %s reserve=%u.%u%%", name,
			 set->reserve_permille / 10, set->reserve_permille % 10);
		r = control_pool_call(pool, &args);
	}
	if (r == 0 && set->has_autotrim) {
		args.verb = set_autotrim;
		args.value = set->autotrim;
		snprintf(history, sizeof(history), "pool set %s autotrim=%s", name,
			 set->autotrim ? "on" : "off");
		r = control_pool_call(pool, &args);
	}
	return r;
}

static int trim_start(struct pool_args *args)
{
	return pool_trim_start(args->pool, args->err);
}

static int trim_stop(struct pool_args *args)
{
	return pool_trim_stop(args->pool, args->err);
}

int control_pool_trim(struct control *control, const char *name, bool stop, struct err *err)
{
	struct control_pool *pool = NULL;
	char history[128];
	struct pool_args args = {.verb = stop ? trim_stop : trim_start,
				 .history = history,
				 .event = HEALTH_POOL_CHANGED,
				 .event_object = name,
				 .err = err};
	int r = control_pools_get(&control->pools, name, &pool, err);

	snprintf(history, sizeof(history), "pool trim %s%s", name, stop ? " --stop" : "");
	return r < 0 ? r : control_pool_call(pool, &args);
}

static int history_read(struct pool_args *args)
{
	struct control_page *page = args->page;
	struct control_history_line *lines = args->out;
	int r = 0;

	while (page->count < page->max) {
		struct pool_history_line line = {.time_s = 0};
		struct control_history_line *to = &lines[page->count];

		r = pool_history_read(args->pool, &page->cursor, &line);
		if (r < 0)
			break;
		to->time_s = line.time_s;
		snprintf(to->text, sizeof(to->text), "%s", line.text);
		page->count++;
	}
	page->end = r == -ENOENT;
	return page->end ? 0 : r;
}

int control_pool_history(struct control *control, const char *name, struct control_page *page,
			 struct control_history_line *ret_lines, struct err *err)
{
	struct control_pool *pool = NULL;
	struct pool_args args = {.verb = history_read, .out = ret_lines, .page = page, .err = err};
	int r = control_pools_get(&control->pools, name, &pool, err);

	page->count = 0;
	page->end = true;
	return r < 0 ? r : control_pool_call(pool, &args);
}
