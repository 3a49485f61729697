/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies by reference. Ranges go into a volume that is there. A whole copy is a new volume: it is
 * made under a name of its own (CONTROL_COPY_NAME), from a snapshot of one instant, and has its
 * name when it is complete; what a kill left of both is destroyed when the pool is imported.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <quoin/base_log.h>
#include <quoin/base_random.h>
#include <quoin/base_text.h>

#include "pool_copy.h"
#include "pool_use.h"

struct copying {
	const struct control_volume_copy *params;
	char from[CONTROL_SNAPSHOT_MAX + 1]; /* as the engine calls them */
	char to[CONTROL_SNAPSHOT_MAX + 1];
	char snapshot[CONTROL_SNAPSHOT_MAX + CONTROL_NAME_MAX + 2]; /* of our own; "" */
	char made[CONTROL_NAME_MAX + 1];
};

/* --- A new volume ------------------------------------------------------------------------------
 */

static int source_find(struct pool *pool, const char *name, struct pool_volume_params *ret_params,
		       struct err *err)
{
	struct pool_snapshot_info snapshot;
	struct pool_volume_info volume;
	int r;

	*ret_params = (struct pool_volume_params){.size_bytes = 0};
	if (strchr(name, '@')) {
		r = pool_snapshot_find(pool, name, &snapshot);
		ret_params->size_bytes = r == 0 ? snapshot.size_bytes : 0;
	} else {
		r = pool_volume_find(pool, name, &volume);
		ret_params->size_bytes = r == 0 ? volume.params.size_bytes : 0;
	}
	return r < 0 ? err_set(err, r, "'%s' is not there: see quoin volume list", name) : 0;
}

/* The instant of which the copy is. Guests of the source do not wait for the copy then. */
static int instant_take(struct pool *pool, struct copying *c, uint32_t number, struct err *err)
{
	const char *names[1] = {c->snapshot};
	int r;

	if (strchr(c->from, '@')) {
		snprintf(c->snapshot, sizeof(c->snapshot), "%s", c->from);
		return 0;
	}
	snprintf(c->snapshot, sizeof(c->snapshot), "%s@%s%08x", c->from, CONTROL_COPY_NAME, number);
	r = pool_snapshot_create(pool, names, 1, err);
	if (r < 0)
		c->snapshot[0] = '\0';
	return r;
}

static int made_fill(struct pool *pool, struct copying *c, uint64_t size_bytes, struct err *err)
{
	const struct pool_copy copy = {
		.from = c->snapshot, .to = c->made, .length_bytes = size_bytes};
	int r = pool_volume_copy(pool, &copy, err);

	if (r == 0)
		r = pool_volume_rename(pool, c->made, c->to, err);
	return r;
}

static int whole_copy(struct pool_args *args)
{
	struct copying *c = args->out;
	struct pool *pool = args->pool;
	struct pool_volume_params params;
	struct pool_volume_info there;
	struct err ignored;
	uint32_t number;
	int r;

	if (pool_volume_find(pool, c->to, &there) == 0)
		return err_set(args->err, -EEXIST,
			       "it is there; to copy into it, say what: --offset, --length");
	random_system_fill(&number, sizeof(number));
	snprintf(c->made, sizeof(c->made), "%s%08x", CONTROL_COPY_NAME, number);
	r = source_find(pool, c->from, &params, args->err);
	if (r == 0)
		r = pool_volume_create(pool, c->made, &params, args->err);
	if (r < 0)
		return r;
	r = instant_take(pool, c, number, args->err);
	if (r == 0)
		r = made_fill(pool, c, params.size_bytes, args->err);
	if (r < 0 && pool_volume_destroy(pool, c->made, true, &ignored) < 0)
		log_warning("%s, left by a copy, is not destroyed: %s", c->made, ignored.text);
	if (c->snapshot[0] != '\0' && !strchr(c->from, '@') &&
	    pool_snapshot_destroy(pool, c->snapshot, &ignored) < 0)
		log_warning("%s, left by a copy, is not destroyed: %s", c->snapshot, ignored.text);
	return r;
}

/* --- Ranges ------------------------------------------------------------------------------------
 */

static int range_copy(struct pool_args *args)
{
	const struct copying *c = args->out;
	struct pool_copy copy = {
		.from = c->from,
		.to = c->to,
		.offset = c->params->offset,
		.to_offset = c->params->to_offset,
		.length_bytes = c->params->length_bytes,
	};
	struct pool_volume_params source;
	int r = source_find(args->pool, c->from, &source, args->err);

	if (r == 0 && !c->params->has_length)
		copy.length_bytes = source.size_bytes - MIN(copy.offset, source.size_bytes);
	return r < 0 ? r : pool_volume_copy(args->pool, &copy, args->err);
}

/* --- The verb ----------------------------------------------------------------------------------
 */

static void history_make(struct text *history, const struct control_volume_copy *params)
{
	text_init(history);
	text_printf(history, "volume copy");
	if (params->range)
		text_printf(history, " --offset %" PRIu64 " --to-offset %" PRIu64, params->offset,
			    params->to_offset);
	if (params->has_length)
		text_printf(history, " --length %" PRIu64, params->length_bytes);
	text_printf(history, " %s %s", params->from, params->to);
}

static int copy_run(struct control *control, const struct control_volume_copy *params,
		    struct err *err)
{
	struct copying c = {.params = params};
	struct pool_args args = {
		.verb = params->range ? range_copy : whole_copy, .out = &c, .err = err};
	struct pool_object from;
	struct pool_object to;
	struct text history;
	int r = control_pool_object(&control->pools, params->from, OBJECT_ANY, &from, err);

	if (r == 0)
		r = control_pool_object(&control->pools, params->to, OBJECT_VOLUME, &to, err);
	if (r == 0 && from.pool != to.pool)
		r = err_set(err, -EINVAL,
			    "it is in another pool: by reference, a copy stays in its pool");
	if (r == 0)
		r = control_copy_name_check(&to.object, err);
	/* A guest does not expect its disk to change under it. */
	if (r == 0)
		r = control_object_free(control, &to.object, err);
	if (r < 0)
		return r;
	snprintf(c.from, sizeof(c.from), "%s", from.name);
	snprintf(c.to, sizeof(c.to), "%s", to.name);
	history_make(&history, params);
	args.history = history.data;
	r = control_pool_call(from.pool, &args);
	text_fini(&history);
	if (r == 0)
		control_pool_wake_targets(control, from.pool->name);
	return r;
}

int control_volume_copy(struct control *control, const struct control_volume_copy *params,
			struct err *err)
{
	const int r = copy_run(control, params, err);

	if (r < 0)
		return err_prefix(err, "%s is not copied to %s", params->from, params->to);
	log_info("%s copied to %s", params->from, params->to);
	return 0;
}

int control_copy_name_check(const struct control_object *volume, struct err *err)
{
	if (strncmp(volume->volume, CONTROL_COPY_NAME, strlen(CONTROL_COPY_NAME)) != 0)
		return 0;
	return err_set(err, -EINVAL,
		       "names that begin with \"" CONTROL_COPY_NAME
		       "\" are for what copies make on their way");
}

void control_copy_sweep(struct pool *pool)
{
	struct pool_volume_info volume;
	struct err why;
	unsigned cursor = 0;

	while (pool_volume_next(pool, &cursor, &volume) == 0) {
		if (strncmp(volume.name, CONTROL_COPY_NAME, strlen(CONTROL_COPY_NAME)) == 0 &&
		    pool_volume_destroy(pool, volume.name, true, &why) < 0)
			log_warning("%s, left by a copy, cannot be destroyed: %s", volume.name,
				    why.text);
	}
	control_snapshots_sweep(pool, CONTROL_COPY_NAME, "a copy");
}
