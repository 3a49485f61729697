/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs on volumes of pools. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <quoin/base_log.h>
#include <quoin/base_size.h>
#include <quoin/base_text.h>
#include <quoin/loop_fiber.h>

#include "pool.h"
#include "pool_copy.h"
#include "pool_deploy.h"
#include "pool_use.h"

#define YIELD_EVERY 64 /* volumes: listing is no reason to keep guests waiting */

/* --- Looking -----------------------------------------------------------------------------------
 */

static void properties_copy(const struct pool_volume_params *from, struct control_volume_set *to)
{
	to->given = CONTROL_VOLUME_QUOTA | CONTROL_VOLUME_REFQUOTA | CONTROL_VOLUME_RESERVATION |
		    CONTROL_VOLUME_REFRESERVATION | CONTROL_VOLUME_PAUSE_WHEN_FULL |
		    CONTROL_VOLUME_READ_ONLY;
	to->quota_bytes = from->quota_bytes;
	to->refquota_bytes = from->refquota_bytes;
	to->reservation_bytes = from->reservation_bytes;
	to->refreservation_bytes = from->refreservation_bytes;
	to->pause_when_full = from->pause_when_full;
	to->read_only = from->read_only;
}

static void info_copy(const char *pool, const struct pool_volume_info *from,
		      struct control_volume_info *to)
{
	memset(to, 0, sizeof(*to));
	snprintf(to->name, sizeof(to->name), "%s/%s", pool, from->name);
	if (from->origin[0] != '\0')
		snprintf(to->origin, sizeof(to->origin), "%s/%s", pool, from->origin);
	memcpy(to->guid, from->guid, sizeof(to->guid));
	to->size_bytes = from->params.size_bytes;
	properties_copy(&from->params, &to->properties);
	to->referenced_bytes = from->referenced_bytes;
	to->unique_bytes = from->unique_bytes;
	to->used_bytes = from->used_bytes;
	to->snapshots_bytes = from->snapshots_bytes;
	to->available_bytes = from->available_bytes;
	to->created_s = from->created_s;
	to->snapshot_count = from->snapshot_count;
	to->paused = from->paused;
	to->pending_bytes = from->pending_blocks * 4096;
}

/* Which target has it; in the verbs' thread. */
static void user_fill(const struct control *control, struct control_volume_info *info)
{
	const struct control_target *target;
	struct control_object object;

	if (control_object_split(info->name, &object, NULL) < 0)
		return;
	target = control_object_user(control, &object, NULL);
	if (target)
		snprintf(info->target, sizeof(info->target), "%s", target->spec.name);
}

static bool is_user_of(const struct control_object *object, const char *pool,
		       const struct control_volume_info *info)
{
	return object->snapshot[0] == '\0' &&
	       strcmp(object->volume, info->name + strlen(pool) + 1) == 0;
}

/* The same of many: targets are few, and their words are taken apart once. */
static void users_fill(const struct control *control, const char *pool,
		       struct control_volume_info *infos, unsigned count)
{
	const struct control_target *target;
	struct control_object object;
	unsigned cursor = 0;

	while ((target = control_pool_user_next(control, pool, &cursor, &object))) {
		for (unsigned i = 0; i < count; i++) {
			if (infos[i].target[0] == '\0' && is_user_of(&object, pool, &infos[i]))
				snprintf(infos[i].target, sizeof(infos[i].target), "%s",
					 target->spec.name);
		}
	}
}

static int list(struct pool_args *args)
{
	struct control_volume_info *infos = args->out;
	struct control_page *page = args->page;
	unsigned cursor = (unsigned)page->cursor;
	int r = 0;

	while (page->count < page->max) {
		struct pool_volume_info info;

		r = pool_volume_next(args->pool, &cursor, &info);
		if (r < 0)
			break;
		if (info.params.kind == POOL_VOLUME_HIDDEN)
			continue;
		info_copy(args->name, &info, &infos[page->count]);
		infos[page->count++].deploying = control_deploys_has(args->owner, info.name);
		if (page->count % YIELD_EVERY == 0)
			fiber_yield();
	}
	page->cursor = cursor;
	page->end = r == -ENOENT;
	return page->end ? 0 : r;
}

int control_volume_list(struct control *control, const char *name, struct control_page *page,
			struct control_volume_info *ret_infos, struct err *err)
{
	struct control_pool *pool = NULL;
	struct pool_args args = {
		.verb = list, .name = name, .out = ret_infos, .page = page, .err = err};
	int r = control_pools_get(&control->pools, name, &pool, err);

	page->count = 0;
	page->end = true;
	if (r == 0)
		r = control_pool_call(pool, &args);
	if (r == 0)
		users_fill(control, name, ret_infos, page->count);
	return r;
}

static int find(struct pool_args *args)
{
	struct pool_volume_info info;
	int r = pool_volume_find(args->pool, args->name, &info);

	if (r == -ENOENT)
		return err_set(args->err, r, "there is no such volume: see quoin volume list");
	if (r < 0)
		return r;
	info_copy(args->other, &info, args->out);
	((struct control_volume_info *)args->out)->deploying =
		control_deploys_has(args->owner, args->name);
	return 0;
}

int control_volume_info(struct control *control, const char *name,
			struct control_volume_info *ret_info, struct err *err)
{
	struct pool_args args = {.verb = find, .name = name, .out = ret_info, .err = err};
	const int r = control_pool_ask(&control->pools, OBJECT_VOLUME, &args);

	if (r == 0)
		user_fill(control, ret_info);
	return r;
}

/* --- Properties --------------------------------------------------------------------------------
 */

struct property {
	enum control_volume_key key;
	enum pool_volume_property property;
	uint64_t value;
	const char *word;
};

#define PROPERTIES 6

static void properties_fill(const struct control_volume_set *set, struct property all[PROPERTIES])
{
	all[0] = (struct property){CONTROL_VOLUME_QUOTA, POOL_VOLUME_QUOTA, set->quota_bytes,
				   "quota"};
	all[1] = (struct property){CONTROL_VOLUME_REFQUOTA, POOL_VOLUME_REFQUOTA,
				   set->refquota_bytes, "refquota"};
	all[2] = (struct property){CONTROL_VOLUME_RESERVATION, POOL_VOLUME_RESERVATION,
				   set->reservation_bytes, "reservation"};
	all[3] = (struct property){CONTROL_VOLUME_REFRESERVATION, POOL_VOLUME_REFRESERVATION,
				   set->refreservation_bytes, "refreservation"};
	all[4] = (struct property){CONTROL_VOLUME_PAUSE_WHEN_FULL, POOL_VOLUME_PAUSE_WHEN_FULL,
				   set->pause_when_full, "full"};
	all[5] = (struct property){CONTROL_VOLUME_READ_ONLY, POOL_VOLUME_READ_ONLY, set->read_only,
				   "readonly"};
}

/* " --set WORD=VALUE" for each that is given. */
static void properties_print(const struct control_volume_set *set, const char *before,
			     struct text *t)
{
	struct property all[PROPERTIES];

	properties_fill(set, all);
	for (size_t i = 0; i < PROPERTIES; i++) {
		if (!(set->given & all[i].key))
			continue;
		text_printf(t, " %s%s=", before, all[i].word);
		if (all[i].key == CONTROL_VOLUME_PAUSE_WHEN_FULL)
			text_printf(t, "%s", all[i].value ? "pause" : "error");
		else if (all[i].key == CONTROL_VOLUME_READ_ONLY)
			text_printf(t, "%s", all[i].value ? "on" : "off");
		else
			text_printf(t, "%" PRIu64, all[i].value);
	}
}

static int set_all(struct pool_args *args)
{
	const struct control_volume_set *set = args->in;
	struct property all[PROPERTIES];
	int r = 0;

	properties_fill(set, all);
	for (size_t i = 0; r == 0 && i < PROPERTIES; i++) {
		if (set->given & all[i].key)
			r = pool_volume_set(args->pool, args->name, all[i].property, all[i].value,
					    args->err);
		if (r < 0)
			err_prefix(args->err, "%s", all[i].word);
	}
	return r;
}

/* One verb on one object, with its history. */
static int run(struct pool_object *object, struct pool_args *args, struct text *history,
	       struct err *err)
{
	int r;

	args->name = object->name;
	args->history = history->data;
	args->err = err;
	r = control_pool_call(object->pool, args);
	text_fini(history);
	return r;
}

static int told(int r, struct err *err, const char *name, const char *what)
{
	if (r < 0)
		err_prefix(err, "%s is not %s", name, what);
	else
		log_info("%s %s", name, what);
	return r;
}

int control_volume_set(struct control *control, const char *name,
		       const struct control_volume_set *set, struct err *err)
{
	struct pool_object object;
	struct pool_args args = {
		.verb = set_all, .event = HEALTH_VOLUME_CHANGED, .event_object = name, .in = set};
	struct text history;
	int r = control_pool_object(&control->pools, name, OBJECT_VOLUME, &object, err);

	if (r < 0)
		return r;
	text_init(&history);
	text_printf(&history, "volume set %s", name);
	properties_print(set, "", &history);
	return told(run(&object, &args, &history, err), err, name, "changed");
}

/* --- Create, resize, rename, destroy
 * -------------------------------------------------------------- */

static int create(struct pool_args *args)
{
	const struct control_volume_set *set = args->in;
	const struct pool_volume_params params = {
		.size_bytes = args->value,
		.pause_when_full = set->pause_when_full,
		.read_only = set->read_only,
		.quota_bytes = set->quota_bytes,
		.refquota_bytes = set->refquota_bytes,
		.reservation_bytes = set->reservation_bytes,
		.refreservation_bytes = set->refreservation_bytes,
	};

	return pool_volume_create(args->pool, args->name, &params, args->err);
}

static int size_check(uint64_t size_bytes, struct err *err)
{
	if (size_bytes == 0 || size_bytes % 4096 != 0 || size_bytes > POOL_VOLUME_BYTES_MAX)
		return err_set(
			err, -EINVAL,
			"the size must be a multiple of 4096 bytes, up to 4 PiB, not %" PRIu64,
			size_bytes);
	return 0;
}

int control_volume_create(struct control *control, const char *name, uint64_t size_bytes,
			  const struct control_volume_set *set, struct err *err)
{
	struct pool_object object;
	struct pool_args args = {.verb = create,
				 .event = HEALTH_VOLUME_CREATED,
				 .event_object = name,
				 .in = set,
				 .value = size_bytes};
	struct text history;
	int r = control_pool_object(&control->pools, name, OBJECT_VOLUME, &object, err);

	if (r < 0)
		return r;
	r = size_check(size_bytes, err);
	if (r == 0)
		r = control_copy_name_check(&object.object, err);
	if (r == 0) {
		text_init(&history);
		text_printf(&history, "volume create %s --size %" PRIu64, name, size_bytes);
		properties_print(set, "--set ", &history);
		r = run(&object, &args, &history, err);
	}
	r = told(r, err, name, "created");
	/* A target may have waited for it. */
	if (r == 0)
		control_pool_wake_targets(control, object.pool->name);
	return r;
}

static int resize(struct pool_args *args)
{
	struct pool_volume_info info;
	char now[SIZE_TEXT_MAX];
	int r = control_deploys_check(args);

	if (r < 0)
		return r;
	r = pool_volume_find(args->pool, args->name, &info);
	if (r < 0)
		return err_set(args->err, r, "there is no such volume: see quoin volume list");
	if (args->value < info.params.size_bytes && !args->flag)
		return err_set(args->err, -EINVAL,
			       "it has %s, and what is beyond the new end would be lost: quoin "
			       "volume resize --force does it",
			       size_format(info.params.size_bytes, now));
	return pool_volume_resize(args->pool, args->name, args->value, args->err);
}

int control_volume_resize(struct control *control, const char *name, uint64_t size_bytes,
			  bool shrink, struct err *err)
{
	struct pool_object object;
	struct pool_args args = {.verb = resize,
				 .event = HEALTH_VOLUME_RESIZED,
				 .event_object = name,
				 .value = size_bytes,
				 .flag = shrink};
	struct text history;
	int r = control_pool_object(&control->pools, name, OBJECT_VOLUME, &object, err);

	if (r < 0)
		return r;
	r = size_check(size_bytes, err);
	if (r == 0) {
		text_init(&history);
		text_printf(&history, "volume resize%s %s %" PRIu64, shrink ? " --force" : "", name,
			    size_bytes);
		r = run(&object, &args, &history, err);
	}
	r = told(r, err, name, "resized");
	if (r == 0)
		control_object_resized(control, &object.object);
	return r;
}

/* The other name of a verb on `object`, in the same pool. */
static int other_get(struct control *control, const struct pool_object *object, const char *name,
		     struct pool_object *ret_other, struct err *err)
{
	int r = control_pool_object(&control->pools, name, OBJECT_VOLUME, ret_other, err);

	if (r == 0 && ret_other->pool != object->pool)
		return err_set(err, -EINVAL, "%s is in another pool", name);
	return r < 0 ? r : control_copy_name_check(&ret_other->object, err);
}

/* No target has the volume, nor a snapshot of it. */
static int whole_free(struct control *control, const struct control_object *volume, struct err *err)
{
	const int r = control_object_free(control, volume, err);

	return r < 0 ? r : control_object_snapshots_free(control, volume, err);
}

static int rename_it(struct pool_args *args)
{
	const int r = control_deploys_check(args);

	return r < 0 ? r : pool_volume_rename(args->pool, args->name, args->other, args->err);
}

int control_volume_rename(struct control *control, const char *name, const char *new_name,
			  struct err *err)
{
	struct pool_object object;
	struct pool_object other;
	struct pool_args args = {.verb = rename_it,
				 .event = HEALTH_VOLUME_RENAMED,
				 .event_object = name,
				 .other = other.name};
	struct text history;
	int r = control_pool_object(&control->pools, name, OBJECT_VOLUME, &object, err);

	if (r < 0)
		return r;
	r = other_get(control, &object, new_name, &other, err);
	if (r == 0)
		r = whole_free(control, &object.object, err);
	if (r == 0) {
		text_init(&history);
		text_printf(&history, "volume rename %s %s", name, new_name);
		r = run(&object, &args, &history, err);
	}
	return told(r, err, name, "renamed");
}

static int destroy(struct pool_args *args)
{
	if (control_deploys_active(args->owner, args->name))
		return control_deploys_cancel(args);
	return pool_volume_destroy(args->pool, args->name, args->flag, args->err);
}

int control_volume_destroy(struct control *control, const char *name, bool recursive,
			   struct err *err)
{
	struct pool_object object;
	struct pool_args args = {.verb = destroy,
				 .event = HEALTH_VOLUME_DESTROYED,
				 .event_object = name,
				 .flag = recursive};
	struct text history;
	int r = control_pool_object(&control->pools, name, OBJECT_VOLUME, &object, err);

	if (r < 0)
		return r;
	r = whole_free(control, &object.object, err);
	if (r == 0) {
		text_init(&history);
		text_printf(&history, "volume destroy%s %s", recursive ? " --recursive" : "", name);
		r = run(&object, &args, &history, err);
	}
	return told(r, err, name, "destroyed");
}

/* --- Rollback, clone, promote
 * --------------------------------------------------------------------- */

static int rollback(struct pool_args *args)
{
	return pool_volume_rollback(args->pool, args->name, args->flag, args->err);
}

int control_volume_rollback(struct control *control, const char *snapshot, bool recursive,
			    struct err *err)
{
	struct pool_object object;
	struct pool_args args = {.verb = rollback,
				 .event = HEALTH_VOLUME_ROLLED_BACK,
				 .event_object = snapshot,
				 .flag = recursive};
	struct control_object volume;
	struct text history;
	int r = control_pool_object(&control->pools, snapshot, OBJECT_SNAPSHOT, &object, err);

	if (r < 0)
		return r;
	volume = object.object;
	volume.snapshot[0] = '\0';
	r = control_object_free(control, &volume, err);
	if (r == 0 && recursive)
		r = control_object_snapshots_free(control, &volume, err);
	if (r == 0) {
		text_init(&history);
		text_printf(&history, "volume rollback%s %s", recursive ? " --recursive" : "",
			    snapshot);
		r = run(&object, &args, &history, err);
	}
	return told(r, err, snapshot, "rolled back");
}

static int clone_it(struct pool_args *args)
{
	return pool_volume_clone(args->pool, args->name, args->other, args->err);
}

int control_volume_clone(struct control *control, const char *snapshot, const char *name,
			 struct err *err)
{
	struct pool_object object;
	struct pool_object other;
	struct pool_args args = {.verb = clone_it,
				 .event = HEALTH_VOLUME_CLONED,
				 .event_object = name,
				 .other = other.name};
	struct text history;
	int r = control_pool_object(&control->pools, snapshot, OBJECT_SNAPSHOT, &object, err);

	if (r == 0)
		r = other_get(control, &object, name, &other, err);
	if (r < 0)
		return r;
	text_init(&history);
	text_printf(&history, "volume clone %s %s", snapshot, name);
	r = told(run(&object, &args, &history, err), err, name, "cloned");
	if (r == 0)
		control_pool_wake_targets(control, object.pool->name);
	return r;
}

static int promote(struct pool_args *args)
{
	return pool_volume_promote(args->pool, args->name, args->err);
}

/* The snapshots that change hands change names: no target may have one. */
static int origin_free(struct control *control, const char *name, struct err *err)
{
	struct control_volume_info info;
	struct control_object origin;
	int r = control_volume_info(control, name, &info, err);

	if (r < 0 || info.origin[0] == '\0')
		return r;
	r = control_object_split(info.origin, &origin, err);
	return r < 0 ? r : control_object_snapshots_free(control, &origin, err);
}

int control_volume_promote(struct control *control, const char *name, struct err *err)
{
	struct pool_object object;
	struct pool_args args = {
		.verb = promote, .event = HEALTH_VOLUME_PROMOTED, .event_object = name};
	struct text history;
	int r = control_pool_object(&control->pools, name, OBJECT_VOLUME, &object, err);

	if (r == 0)
		r = origin_free(control, name, err);
	if (r < 0)
		return r;
	text_init(&history);
	text_printf(&history, "volume promote %s", name);
	return told(run(&object, &args, &history, err), err, name, "promoted");
}
