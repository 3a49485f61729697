/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs on the pool and on the model, and whether the one may refuse what the other does. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <quoin/base_assert.h>

#include "check.h"
#include "refuse.h"
#include "work.h"

#define TAG "tag%u"

static void snapshot_name(const struct work *work, unsigned volume, unsigned snapshot,
			  char to[2 * MODEL_NAME])
{
	snprintf(to, 2 * MODEL_NAME, "%s@%s", work->model->volumes[volume].name,
		 work->model->volumes[volume].snapshots[snapshot].name);
}

/* --- Calls ----------------------------------------------------------------------------------- */

static int snapshot_call(struct work *work, const struct model_verb *verb, struct err *err)
{
	char text[MODEL_GROUP][2 * MODEL_NAME];
	const char *names[MODEL_GROUP];

	for (unsigned i = 0; i < verb->count; i++) {
		snprintf(text[i], sizeof(text[i]), "%s@%s",
			 work->model->volumes[verb->volume[i]].name, verb->name);
		names[i] = text[i];
	}
	return pool_snapshot_create(work->world->pool, names, verb->count, err);
}

static int on_snapshot(struct work *work, const struct model_verb *verb, struct err *err)
{
	struct pool *pool = work->world->pool;
	const struct model_snapshot *s =
		&work->model->volumes[verb->volume[0]].snapshots[verb->snapshot];
	char name[2 * MODEL_NAME];
	char tag[16];

	snapshot_name(work, verb->volume[0], verb->snapshot, name);
	snprintf(tag, sizeof(tag), TAG, verb->kind == VERB_HOLD ? s->holds : s->holds - 1);
	switch ((int)verb->kind) {
	case VERB_SNAPSHOT_DESTROY:
		return pool_snapshot_destroy(pool, name, err);
	case VERB_SNAPSHOT_RENAME:
		return pool_snapshot_rename(pool, name, verb->name, err);
	case VERB_ROLLBACK:
		return pool_volume_rollback(pool, name, true, err);
	case VERB_CLONE:
		return pool_volume_clone(pool, name, verb->name, err);
	case VERB_HOLD:
		return pool_snapshot_hold(pool, name, tag, err);
	default:
		return pool_snapshot_release(pool, name, tag, err);
	}
}

static int copy_call(struct work *work, const struct model_verb *verb, struct err *err)
{
	const struct model_volume *from = &work->model->volumes[verb->volume[0]];
	char name[2 * MODEL_NAME];
	const struct pool_copy copy = {
		.from = verb->of_snapshot ? name : from->name,
		.to = work->model->volumes[verb->target].name,
		.offset = (uint64_t)verb->first * SECTOR,
		.to_offset = (uint64_t)verb->first * SECTOR,
		.length_bytes = (uint64_t)verb->sectors * SECTOR,
	};

	if (verb->of_snapshot)
		snapshot_name(work, verb->volume[0], verb->snapshot, name);
	return pool_volume_copy(work->world->pool, &copy, err);
}

static int call(struct work *work, const struct model_verb *verb, struct err *err)
{
	struct pool *pool = work->world->pool;
	const char *name = work->model->volumes[verb->volume[0]].name;
	const struct pool_volume_params params = {.size_bytes = (uint64_t)verb->sectors * SECTOR};

	switch ((int)verb->kind) {
	case VERB_CREATE:
		return pool_volume_create(pool, verb->name, &params, err);
	case VERB_DESTROY:
		return pool_volume_destroy(pool, name, true, err);
	case VERB_RENAME:
		return pool_volume_rename(pool, name, verb->name, err);
	case VERB_RESIZE:
		return pool_volume_resize(pool, name, (uint64_t)verb->sectors * SECTOR, err);
	case VERB_PROMOTE:
		return pool_volume_promote(pool, name, err);
	case VERB_SNAPSHOT:
		return snapshot_call(work, verb, err);
	case VERB_SYNC:
		return pool_sync(pool);
	case VERB_COPY:
		return copy_call(work, verb, err);
	default:
		return on_snapshot(work, verb, err);
	}
}

/* --- What the model says to it --------------------------------------------------------------- */

static bool snapshot_free(const struct work *work, const struct model_snapshot *s)
{
	return s->holds == 0 && model_clones(work->model, s->id) == 0;
}

static bool may_destroy(const struct work *work, const struct model_volume *v, unsigned from)
{
	for (unsigned s = from; s < v->snapshot_count; s++) {
		if (!snapshot_free(work, &v->snapshots[s]))
			return false;
	}
	return true;
}

/* The volume whose snapshot the clone comes from, and how many a promotion moves; NULL: none. */
static const struct model_volume *origin_of(const struct work *work,
					    const struct model_volume *clone, unsigned *ret_moved)
{
	for (unsigned i = 0; i < MODEL_VOLUMES && clone->origin != 0; i++) {
		const struct model_volume *v = &work->model->volumes[i];

		for (unsigned s = 0; s < v->snapshot_count; s++) {
			if (v->snapshots[s].id != clone->origin)
				continue;
			*ret_moved = s + 1;
			return v;
		}
	}
	/* A snapshot with clones stays. */
	ASSERT(clone->origin == 0);
	return NULL;
}

static bool may_promote(const struct work *work, const struct model_volume *clone)
{
	unsigned moved;
	const struct model_volume *origin = origin_of(work, clone, &moved);

	for (unsigned i = 0; origin && i < moved; i++) {
		if (model_snapshot_find(clone, origin->snapshots[i].name) >= 0)
			return false;
	}
	return origin;
}

/* The model has room for what a promotion moves. The pool has, or should not need any. */
static bool promotion_fits(const struct work *work, const struct model_volume *clone)
{
	unsigned moved;

	return origin_of(work, clone, &moved) && clone->snapshot_count + moved <= MODEL_SNAPSHOTS;
}

/* The pool must do it. */
static bool legal(const struct work *work, const struct model_verb *verb)
{
	const struct model_volume *v = &work->model->volumes[verb->volume[0]];

	switch ((int)verb->kind) {
	case VERB_DESTROY:
		return may_destroy(work, v, 0);
	case VERB_SNAPSHOT_DESTROY:
		return snapshot_free(work, &v->snapshots[verb->snapshot]);
	case VERB_ROLLBACK:
		return may_destroy(work, v, verb->snapshot + 1);
	case VERB_PROMOTE:
		return may_promote(work, v);
	case VERB_HOLD:
		return v->snapshots[verb->snapshot].holds < POOL_HOLDS_MAX;
	default:
		return true;
	}
}

/* Refusals that come and go with what the engine does in the background. */
static bool passing(const struct work *work, const struct model_verb *verb, int r)
{
	switch ((int)verb->kind) {
	case VERB_DESTROY:
	case VERB_SNAPSHOT_DESTROY:
	case VERB_ROLLBACK:
		return r == -EBUSY && work->model->destroyed;
	case VERB_PROMOTE:
	case VERB_CLONE:
	case VERB_RESIZE:
	case VERB_CREATE:
		return (r == -EDQUOT || r == -ENOSPC) && work->limits;
	case VERB_COPY:
		return (r == -EDQUOT && work->limits) ||
		       ((r == -ENOSPC || r == -EAGAIN) &&
			(work->limits || check_space_is_short(work)));
	default:
		return false;
	}
}

static void result_check(struct work *work, const struct model_verb *verb, const struct err *err,
			 int r)
{
	const struct sim_context *context = work->world->context;

	if (r < 0 && err->text[0] == '\0' && verb->kind != VERB_SYNC)
		sim_fail(context, "verb %d was refused without a sentence: %d", verb->kind, r);
	if (work_failing(work) || (work->beyond && r < 0) || (work->refusing && r == -ENOMEM))
		return;
	if (r == 0 && !legal(work, verb))
		sim_fail(context, "verb %d was done and should have been refused", verb->kind);
	if (r < 0 && legal(work, verb) && !passing(work, verb, r))
		sim_fail(context, "verb %d was refused: %s (%s)", verb->kind, strerror(-r),
			 err->text);
}

int work_verb(struct work *work, struct model_verb *verb)
{
	struct model_event event = {.kind = EVENT_VERB, .verb = *verb};
	struct pool_status status;
	struct err err = {.code = 0};
	int r;

	/* It could do nothing, and one whose end is not known would be forgotten for it. */
	if (work_failing(work))
		return -EIO;
	work_event(work, &event);
	work->world->context->report->ops++;
	refuse_window(true);
	r = call(work, verb, &err);
	refuse_window(false);
	pool_status(work->world->pool, &status);
	work->dead |= status.health == POOL_SUSPENDED;
	result_check(work, verb, &err, r);
	if (status.health == POOL_SUSPENDED && !work->world->cut && !work->beyond &&
	    !work->refusing)
		sim_fail(work->world->context, "the pool is suspended: %s", status.problem);
	work->half |= r == -ENOMEM && verb->kind == VERB_ROLLBACK;
	/* An error of a pool that goes on is a refusal; of one that is dead, a question. */
	event = (struct model_event){
		.kind = EVENT_VERB_END,
		.result = r < 0 ? work->dead || work->half || work->world->cut ? -EIO : -ECANCELED
				: 0,
	};
	work_event(work, &event);
	return r;
}

/* --- Steps ----------------------------------------------------------------------------------- */

static int target_pick(const struct work *work, const struct work_mix *mix)
{
	for (unsigned i = 0; i < mix->volumes; i++) {
		if (!work->model->volumes[i].there)
			return (int)i;
	}
	return -1;
}

static uint32_t size_pick(struct work *work, const struct work_mix *mix)
{
	const uint32_t blocks = mix->sectors_max / BLOCK_SECTORS;

	return (uint32_t)(1 + random_below(&work->world->random, blocks)) * BLOCK_SECTORS;
}

static void name_make(struct work *work, char to[MODEL_NAME])
{
	snprintf(to, MODEL_NAME, "n%u", work->names++);
}

static bool snapshot_step(struct work *work, struct model_verb *verb)
{
	struct random *random = &work->world->random;

	while (verb->count < MODEL_GROUP && random_chance(random, 1, 3)) {
		const unsigned more = (unsigned)work_volume_pick(work);
		bool twice = false;

		for (unsigned i = 0; i < verb->count; i++)
			twice |= verb->volume[i] == more;
		if (twice)
			break;
		verb->volume[verb->count++] = more;
	}
	for (unsigned i = 0; i < verb->count; i++) {
		if (work->model->volumes[verb->volume[i]].snapshot_count == MODEL_SNAPSHOTS)
			return false;
	}
	return true;
}

static bool set_step(struct work *work, unsigned volume)
{
	struct random *random = &work->world->random;
	const char *name = work->model->volumes[volume].name;
	const enum pool_volume_property property =
		(enum pool_volume_property)random_below(random, POOL_VOLUME_REFRESERVATION + 1);
	const uint64_t value =
		random_chance(random, 1, 2) ? 0 : random_below(random, 2 * MiB) / 4096 * 4096;
	struct pool_volume_info info;
	struct err err = {.code = 0};
	uint64_t got;
	int r;

	work->limits = true;
	r = pool_volume_set(work->world->pool, name, property, value, &err);
	if (r < 0 && r != -EDQUOT && r != -EINVAL && r != -ENOSPC && !work_failing(work) &&
	    !work->beyond)
		sim_fail(work->world->context, "set: %s", err.text);
	if (r < 0)
		return true;
	if (pool_volume_find(work->world->pool, name, &info) < 0)
		sim_fail(work->world->context, "%s is not there after a property was set", name);
	got = property == POOL_VOLUME_QUOTA	    ? info.params.quota_bytes
	      : property == POOL_VOLUME_REFQUOTA    ? info.params.refquota_bytes
	      : property == POOL_VOLUME_RESERVATION ? info.params.reservation_bytes
						    : info.params.refreservation_bytes;
	if (got != value)
		sim_fail(work->world->context, "property %d was set and is another", property);
	return true;
}

/* Few blocks, so that it is one piece; from a volume or a snapshot to another volume. */
#define COPY_BLOCKS_MAX 512
static bool copy_step(struct work *work, struct model_verb *verb)
{
	struct random *random = &work->world->random;
	const struct model_volume *from = &work->model->volumes[verb->volume[0]];
	const struct cells *cells = &from->cells;
	uint32_t blocks;
	uint32_t count;

	verb->kind = VERB_COPY;
	verb->target = (unsigned)work_volume_pick(work);
	verb->of_snapshot = from->snapshot_count > 0 && random_chance(random, 1, 2);
	if (verb->of_snapshot) {
		verb->snapshot = (unsigned)random_below(random, from->snapshot_count);
		cells = &from->snapshots[verb->snapshot].cells;
	} else if (verb->target == verb->volume[0]) {
		return false;
	}
	blocks = MIN(cells->count, work->model->volumes[verb->target].cells.count) / BLOCK_SECTORS;
	count = 1 + (uint32_t)random_below(random, MIN(blocks, COPY_BLOCKS_MAX));
	verb->first = (uint32_t)random_below(random, blocks - count + 1) * BLOCK_SECTORS;
	verb->sectors = count * BLOCK_SECTORS;
	work_drain(work);
	/* What is copied must be known: a snapshot may have missed what was on its way. */
	if (verb->of_snapshot && !check_snapshot(work, verb->volume[0], verb->snapshot))
		return true;
	if (!work->world->cut)
		work_verb(work, verb);
	return true;
}

/* Needs nothing but a volume. */
static bool volume_step(struct work *work, const struct work_mix *mix, enum work_op op,
			struct model_verb *verb)
{
	switch ((int)op) {
	case WORK_COPY:
		return copy_step(work, verb);
	case WORK_SET:
		return set_step(work, verb->volume[0]);
	case WORK_SNAPSHOT:
		verb->kind = VERB_SNAPSHOT;
		if (!snapshot_step(work, verb))
			return false;
		break;
	case WORK_DESTROY:
		verb->kind = VERB_DESTROY;
		work_handle_close(work, verb->volume[0]);
		break;
	case WORK_RENAME:
		verb->kind = VERB_RENAME;
		work_handle_close(work, verb->volume[0]);
		break;
	case WORK_PROMOTE:
		verb->kind = VERB_PROMOTE;
		if (!promotion_fits(work, &work->model->volumes[verb->volume[0]]))
			return false;
		break;
	default:
		verb->kind = VERB_RESIZE;
		verb->sectors = size_pick(work, mix);
		work_handle_close(work, verb->volume[0]);
	}
	work_verb(work, verb);
	return true;
}

static bool old_snapshot_step(struct work *work, const struct work_mix *mix, enum work_op op,
			      struct model_verb *verb)
{
	static const enum model_verb_kind kinds[WORK_OPS] = {
		[WORK_SNAPSHOT_DESTROY] = VERB_SNAPSHOT_DESTROY,
		[WORK_SNAPSHOT_RENAME] = VERB_SNAPSHOT_RENAME,
		[WORK_ROLLBACK] = VERB_ROLLBACK,
		[WORK_CLONE] = VERB_CLONE,
		[WORK_HOLD] = VERB_HOLD,
		[WORK_RELEASE] = VERB_RELEASE,
	};
	const struct model_volume *v = &work->model->volumes[verb->volume[0]];
	const int target = target_pick(work, mix);

	if (v->snapshot_count == 0)
		return false;
	verb->kind = kinds[op];
	verb->snapshot = (unsigned)random_below(&work->world->random, v->snapshot_count);
	if ((op == WORK_CLONE && target < 0) ||
	    (op == WORK_RELEASE && v->snapshots[verb->snapshot].holds == 0))
		return false;
	verb->target = (unsigned)MAX(target, 0);
	if (op == WORK_ROLLBACK)
		work_handle_close(work, verb->volume[0]);
	/* What it holds is not known then, and a flush of the head would seem to tell. */
	if ((op == WORK_ROLLBACK || op == WORK_CLONE) &&
	    !check_snapshot(work, verb->volume[0], verb->snapshot))
		return true;
	if (!work->world->cut)
		work_verb(work, verb);
	return true;
}

bool work_verb_step(struct work *work, const struct work_mix *mix, enum work_op op)
{
	const int volume = work_volume_pick(work);
	struct model_verb verb = {.count = 1, .volume = {(unsigned)MAX(volume, 0)}};
	int target;

	name_make(work, verb.name);
	switch ((int)op) {
	case WORK_SYNC:
		verb.kind = VERB_SYNC;
		work_verb(work, &verb);
		return true;
	case WORK_CREATE:
		target = target_pick(work, mix);
		if (target < 0)
			return false;
		verb.kind = VERB_CREATE;
		verb.target = (unsigned)target;
		verb.sectors = size_pick(work, mix);
		work_verb(work, &verb);
		return true;
	case WORK_SNAPSHOT:
	case WORK_DESTROY:
	case WORK_RENAME:
	case WORK_PROMOTE:
	case WORK_RESIZE:
	case WORK_SET:
	case WORK_COPY:
		return volume >= 0 && volume_step(work, mix, op, &verb);
	default:
		return volume >= 0 && old_snapshot_step(work, mix, op, &verb);
	}
}
