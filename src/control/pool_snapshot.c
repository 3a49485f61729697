/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs on snapshots. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_log.h>
#include <quoin/base_text.h>
#include <quoin/control_export.h>
#include <quoin/loop_fiber.h>

#include "pool.h"
#include "pool_use.h"
#include "sources.h"

#define LOOK_MAX 1024 /* snapshots looked at for one page, so that it ends soon */
#define YIELD_EVERY 64
#define OWN_TAGS "quoin:"
#define HISTORY_NAMES_MAX 300 /* bytes of names in a line of the history */

/* --- Looking -----------------------------------------------------------------------------------
 */

static void info_copy(const char *pool, const struct pool_snapshot_info *from,
		      struct control_snapshot_info *to)
{
	memset(to, 0, sizeof(*to));
	snprintf(to->name, sizeof(to->name), "%s/%s", pool, from->name);
	memcpy(to->guid, from->guid, sizeof(to->guid));
	to->created_s = from->created_s;
	to->size_bytes = from->size_bytes;
	to->referenced_bytes = from->referenced_bytes;
	to->unique_bytes = from->unique_bytes;
	to->written_bytes = from->written_bytes;
	to->clone_count = from->clone_count;
	for (unsigned i = 0; i < MIN(from->hold_count, (unsigned)CONTROL_HOLDS_MAX); i++) {
		char *hold = to->holds[to->hold_count];

		if (strcmp(from->holds[i], POOL_TEMPLATE_TAG) == 0) {
			to->template = true;
			continue;
		}
		snprintf(hold, sizeof(to->holds[0]), "%s", from->holds[i]);
		to->hold_count++;
	}
	to->counted = from->counted;
}

/* `other` is the volume alone that is wanted, or NULL; args->value its number. */
static int list(struct pool_args *args)
{
	struct control_snapshot_info *infos = args->out;
	struct control_page *page = args->page;
	unsigned cursor = (unsigned)page->cursor;
	int r = 0;

	for (unsigned n = 1; page->count < page->max && n <= LOOK_MAX; n++) {
		struct pool_snapshot_info info;

		r = pool_snapshot_next(args->pool, &cursor, &info);
		if (r < 0)
			break;
		if (!args->other || info.volume == args->value)
			info_copy(args->name, &info, &infos[page->count++]);
		if (n % YIELD_EVERY == 0)
			fiber_yield();
	}
	page->cursor = cursor;
	page->end = r == -ENOENT;
	return page->end ? 0 : r;
}

static int list_of_volume(struct pool_args *args)
{
	struct pool_volume_info info;
	int r = 0;

	if (args->other)
		r = pool_volume_find(args->pool, args->other, &info);
	if (r < 0)
		return err_set(args->err, r, "there is no such volume: see quoin volume list");
	args->value = args->other ? info.number : 0;
	return list(args);
}

int control_snapshot_list(struct control *control, const char *name, struct control_page *page,
			  struct control_snapshot_info *ret_infos, struct err *err)
{
	struct pool_object object = {.pool = NULL};
	struct pool_args args = {
		.verb = list_of_volume, .out = ret_infos, .page = page, .err = err};
	int r;

	page->count = 0;
	page->end = true;
	if (strchr(name, '/'))
		r = control_pool_object(&control->pools, name, OBJECT_VOLUME, &object, err);
	else
		r = control_pools_get(&control->pools, name, &object.pool, err);
	if (r < 0)
		return r;
	args.name = object.pool->name;
	args.other = object.name[0] != '\0' ? object.name : NULL;
	r = control_pool_call(object.pool, &args);
	if (r < 0)
		err_prefix(err, "%s", name);
	return r;
}

static int find(struct pool_args *args)
{
	struct pool_snapshot_info info;
	int r = pool_snapshot_find(args->pool, args->name, &info);

	if (r == -ENOENT)
		return err_set(args->err, r, "there is no such snapshot: see quoin snapshot list");
	if (r == 0)
		info_copy(args->other, &info, args->out);
	return r;
}

int control_snapshot_info(struct control *control, const char *name,
			  struct control_snapshot_info *ret_info, struct err *err)
{
	struct pool_args args = {.verb = find, .name = name, .out = ret_info, .err = err};

	return control_pool_ask(&control->pools, OBJECT_SNAPSHOT, &args);
}

/* --- Create ------------------------------------------------------------------------------------
 */

static int create(struct pool_args *args)
{
	return pool_snapshot_create(args->pool, args->names, args->count, args->err);
}

static void history_names(struct text *t, const char *const *names, unsigned count)
{
	text_printf(t, "volume snapshot");
	for (unsigned i = 0; i < count; i++) {
		if (t->length > HISTORY_NAMES_MAX) {
			text_printf(t, " and %u more", count - i);
			return;
		}
		text_printf(t, " %s", names[i]);
	}
}

/* Those of exports and copies are destroyed when nobody watches. */
static int name_check(const char *snapshot, struct err *err)
{
	const int r = control_source_name_check(snapshot, err);

	if (r < 0)
		return r;
	if (strncmp(snapshot, CONTROL_EXPORT_SNAPSHOT, strlen(CONTROL_EXPORT_SNAPSHOT)) != 0 &&
	    strncmp(snapshot, CONTROL_COPY_NAME, strlen(CONTROL_COPY_NAME)) != 0)
		return 0;
	return err_set(err, -EINVAL,
		       "names that begin with \"" CONTROL_EXPORT_SNAPSHOT
		       "\" or \"" CONTROL_COPY_NAME
		       "\" are for the snapshots of exports and copies");
}

/* From args->names to what the engine wants, without the pool; *ret_pool is the one of all. */
static int names_split(struct control *control, const struct pool_args *args,
		       const char **ret_names, struct control_pool **ret_pool, struct err *err)
{
	for (unsigned i = 0; i < args->count; i++) {
		struct pool_object object;
		int r = control_pool_object(&control->pools, args->names[i], OBJECT_SNAPSHOT,
					    &object, err);

		if (r == 0)
			r = name_check(object.object.snapshot, err);
		if (r < 0)
			return r;
		if (i > 0 && object.pool != *ret_pool)
			return err_set(err, -EINVAL,
				       "%s and %s are in different pools: a group is of one pool",
				       args->names[0], args->names[i]);
		*ret_pool = object.pool;
		ret_names[i] = strchr(args->names[i], '/') + 1;
	}
	return 0;
}

int control_snapshot_create(struct control *control, const char *const *names, unsigned count,
			    struct err *err)
{
	CLEANUP_FREE const char **inner = xcalloc(count + 1, sizeof(*inner));
	struct control_pool *pool = NULL;
	struct pool_args args = {.verb = create, .names = names, .count = count, .err = err};
	struct text history;
	int r;

	if (count == 0)
		return err_set(err, -EINVAL, "no snapshot is named");
	r = names_split(control, &args, inner, &pool, err);
	if (r < 0)
		return r;
	text_init(&history);
	history_names(&history, names, count);
	args.names = inner;
	args.history = history.data;
	args.event = HEALTH_SNAPSHOT_CREATED;
	args.event_object = names[0];
	r = control_pool_call(pool, &args);
	text_fini(&history);
	if (r < 0)
		err_prefix(err, "%s%s is not created", names[0],
			   count > 1 ? " (with the rest of its group)" : "");
	else
		log_info("%s%s created", names[0], count > 1 ? " and the rest of its group" : "");
	return r;
}

/* --- Destroy, rename, hold, release
 * --------------------------------------------------------------- */

struct change {
	int (*verb)(struct pool_args *args);
	const char *word;    /* of the command line */
	const char *outcome; /* "destroyed" */
	bool while_used;
	enum health_event_type event;
};

static int change_run(struct control *control, const struct change *change, const char *name,
		      const char *other, struct err *err)
{
	struct pool_object object;
	struct pool_args args = {.verb = change->verb, .other = other, .err = err};
	CLEANUP_FREE char *history = NULL;
	int r = control_pool_object(&control->pools, name, OBJECT_SNAPSHOT, &object, err);

	if (r == 0 && !change->while_used)
		r = control_object_free(control, &object.object, err);
	if (r == 0) {
		history = xasprintf("snapshot %s %s%s%s", change->word, name, other ? " " : "",
				    other ? other : "");
		args.name = object.name;
		args.history = history;
		args.event = change->event;
		args.event_object = name;
		r = control_pool_call(object.pool, &args);
	}
	if (r < 0)
		err_prefix(err, "%s is not %s", name, change->outcome);
	else
		log_info("%s %s", name, change->outcome);
	return r;
}

static int destroy(struct pool_args *args)
{
	return pool_snapshot_destroy(args->pool, args->name, args->err);
}

static int rename_it(struct pool_args *args)
{
	return pool_snapshot_rename(args->pool, args->name, args->other, args->err);
}

static int hold(struct pool_args *args)
{
	return pool_snapshot_hold(args->pool, args->name, args->other, args->err);
}

static int release(struct pool_args *args)
{
	return pool_snapshot_release(args->pool, args->name, args->other, args->err);
}

int control_snapshot_destroy(struct control *control, const char *name, struct err *err)
{
	static const struct change change = {destroy, "destroy", "destroyed", false,
					     HEALTH_SNAPSHOT_DESTROYED};

	return change_run(control, &change, name, NULL, err);
}

int control_snapshot_rename(struct control *control, const char *name, const char *new_name,
			    struct err *err)
{
	static const struct change change = {rename_it, "rename", "renamed", false,
					     HEALTH_SNAPSHOT_RENAMED};
	const char *at = strchr(name, '@');
	const char *new_at = strchr(new_name, '@');
	int r = name_check(new_at ? new_at + 1 : new_name, err);

	if (r < 0)
		return err_prefix(err, "%s is not renamed", name);
	if (!new_at)
		return change_run(control, &change, name, new_name, err);
	if (!at || at - name != new_at - new_name ||
	    strncmp(name, new_name, (size_t)(at - name)) != 0)
		return err_set(err, -EINVAL,
			       "%s is not renamed: %s is not a snapshot of the same volume", name,
			       new_name);
	return change_run(control, &change, name, new_at + 1, err);
}

static int tag_check(const char *tag, struct err *err)
{
	if (strncmp(tag, OWN_TAGS, strlen(OWN_TAGS)) != 0)
		return 0;
	return err_set(err, -EINVAL,
		       "tags that begin with \"" OWN_TAGS
		       "\" are the pool's own: see quoin snapshot set");
}

int control_snapshot_hold(struct control *control, const char *name, const char *tag,
			  struct err *err)
{
	static const struct change change = {hold, "hold", "held", true, HEALTH_SNAPSHOT_HELD};
	const int r = tag_check(tag, err);

	return r < 0 ? r : change_run(control, &change, name, tag, err);
}

int control_snapshot_release(struct control *control, const char *name, const char *tag,
			     struct err *err)
{
	static const struct change change = {release, "release", "released", true,
					     HEALTH_SNAPSHOT_RELEASED};
	const int r = tag_check(tag, err);

	return r < 0 ? r : change_run(control, &change, name, tag, err);
}

/* 1: it is a template, 0: it is none. */
static int is_template(struct pool_args *args)
{
	struct pool_snapshot_info info;
	const int r = pool_snapshot_find(args->pool, args->name, &info);

	if (r < 0)
		return err_set(args->err, r, "there is no such snapshot: see quoin snapshot list");
	for (unsigned i = 0; i < info.hold_count; i++) {
		if (strcmp(info.holds[i], POOL_TEMPLATE_TAG) == 0)
			return 1;
	}
	return 0;
}

static int template_on(struct pool_args *args)
{
	const int r = is_template(args);

	return r == 0 ? pool_snapshot_hold(args->pool, args->name, POOL_TEMPLATE_TAG, args->err)
		      : MIN(r, 0);
}

static int template_off(struct pool_args *args)
{
	const int r = is_template(args);

	return r == 1 ? pool_snapshot_release(args->pool, args->name, POOL_TEMPLATE_TAG, args->err)
		      : r;
}

int control_snapshot_template(struct control *control, const char *name, bool on, struct err *err)
{
	static const struct change begin = {template_on, "set", "made a template", true,
					    HEALTH_SNAPSHOT_HELD};
	static const struct change end = {template_off, "set", "made no template", true,
					  HEALTH_SNAPSHOT_RELEASED};

	return change_run(control, on ? &begin : &end, name, on ? "template=on" : "template=off",
			  err);
}

/* --- What was left -----------------------------------------------------------------------------
 */

void control_snapshots_sweep(struct pool *pool, const char *begin, const char *maker)
{
	struct pool_snapshot_info snapshot;
	struct err why;
	unsigned cursor = 0;

	while (pool_snapshot_next(pool, &cursor, &snapshot) == 0) {
		const char *at = strchr(snapshot.name, '@');

		if (strncmp(at + 1, begin, strlen(begin)) == 0 &&
		    pool_snapshot_destroy(pool, snapshot.name, &why) < 0)
			log_warning("%s, left by %s, cannot be destroyed: %s", snapshot.name, maker,
				    why.text);
	}
}
