/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Volumes: creation, destruction, names, sizes, limits.
 *
 * A volume that is added is added within its task: a checkpoint that was under way before would
 * take an object with empty records for one that is gone.
 */
#include <errno.h>
#include <inttypes.h>

#include <quoin/base_math.h>
#include <quoin/base_size.h>

#include "engine/checkpoint.h"
#include "engine/verb.h"

#define RANGE_TRIES_MAX 100 /* checkpoints waited for until the delta has room for a range */

/* --- Judging ----------------------------------------------------------------------------- */

static int size_check(const char *name, uint64_t size_bytes, struct err *err)
{
	if (size_bytes == 0 || size_bytes % PAGE_BYTES != 0)
		return err_set(err, -EINVAL,
			       "volume '%s' cannot have %" PRIu64
			       " bytes; give a multiple of %d above 0",
			       name, size_bytes, PAGE_BYTES);
	if (size_bytes > POOL_VOLUME_BYTES_MAX)
		return err_set(err, -EINVAL,
			       "volume '%s' cannot have %" PRIu64 " bytes; the most are %" PRIu64,
			       name, size_bytes, POOL_VOLUME_BYTES_MAX);
	return 0;
}

static bool below(uint64_t limit_bytes, uint64_t slots)
{
	return limit_bytes != 0 && limit_bytes / PAGE_BYTES < slots;
}

/* Whether a volume may have the limits of `record`; `old` is what it has now, or all zero. */
static int limits_check(const struct pool *pool, const char *name,
			const struct volume_record *record, const struct volume_record *old,
			struct err *err)
{
	const uint64_t unmet = volume_unmet_slots(record);
	const uint64_t had = volume_unmet_slots(old);
	const uint64_t available = pool_available_slots(pool);
	char first[SIZE_TEXT_MAX];
	char second[SIZE_TEXT_MAX];

	if (record->quota_bytes != old->quota_bytes &&
	    below(record->quota_bytes, record->used_data + record->used_meta))
		return err_set(
			err, -EDQUOT,
			"volume '%s' uses %s, more than the quota of %s; give a larger one, or "
			"free some first",
			name,
			size_format((record->used_data + record->used_meta) * PAGE_BYTES, first),
			size_format(record->quota_bytes, second));
	if (record->refquota_bytes != old->refquota_bytes &&
	    below(record->refquota_bytes, record->referenced))
		return err_set(err, -EDQUOT,
			       "volume '%s' refers to %s, more than the refquota of %s; give a "
			       "larger one, or free some first",
			       name, size_format(record->referenced * PAGE_BYTES, first),
			       size_format(record->refquota_bytes, second));
	if (record->quota_bytes != 0 && record->reservation_bytes > record->quota_bytes)
		return err_set(err, -EINVAL,
			       "volume '%s' cannot reserve more than its quota of %s; raise the "
			       "quota first",
			       name, size_format(record->quota_bytes, first));
	if (unmet > had && unmet - had > available)
		return err_set(err, -ENOSPC,
			       "volume '%s' cannot reserve %s more: pool '%s' has %s available; "
			       "reserve less",
			       name, size_format((unmet - had) * PAGE_BYTES, first),
			       pool->super.pool_name, size_format(available * PAGE_BYTES, second));
	return 0;
}

/* --- Creation ---------------------------------------------------------------------------- */

static int create_task(struct pool *pool, void *arg)
{
	const struct volume_record *record = arg;
	struct volume *volume;
	const int r = volume_add(pool, &volume);

	if (r == 0)
		volume->next = *record;
	return r;
}

static int volume_create(struct pool *pool, const char *name,
			 const struct pool_volume_params *params, struct err *err)
{
	const struct volume_record none = {0};
	struct volume_record record = {.state = VOLUME_LIVE,
				       .policy = params->pause_when_full ? FULL_PAUSE : FULL_ERROR,
				       .read_only = params->read_only,
				       .kind = (uint8_t)params->kind,
				       .size_bytes = params->size_bytes,
				       .quota_bytes = params->quota_bytes,
				       .refquota_bytes = params->refquota_bytes,
				       .reservation_bytes = params->reservation_bytes,
				       .refreservation_bytes = params->refreservation_bytes,
				       .created_s = pool_wall_s(pool)};
	const struct verb_task task = {create_task, &record, "cannot create volume", name};
	int r = volume_name_check(pool, name, err);

	if (r == 0)
		r = size_check(name, params->size_bytes, err);
	if (r == 0)
		r = limits_check(pool, name, &record, &none, err);
	if (r == 0)
		r = meta_verb_check(pool, err);
	if (r < 0)
		return r;
	name_copy(record.name, name);
	random_fill(&pool->random, record.guid, sizeof(record.guid));
	return verb_task(pool, &task, err);
}

int pool_volume_create(struct pool *pool, const char *name, const struct pool_volume_params *params,
		       struct err *err)
{
	int r = verb_begin(pool, err);

	if (r < 0)
		return r;
	r = volume_create(pool, name, params, err);
	admin_unlock(pool);
	return r;
}

/* --- Destruction ------------------------------------------------------------------------- */

static bool snapshot_of(const struct snapshot *snapshot, const struct volume *volume)
{
	return snapshot && snapshot->rec.state == VOLUME_LIVE && snapshot->rec.volume == volume->id;
}

static int volume_destroy_task(struct pool *pool, void *arg)
{
	struct volume *volume = arg;

	if (volume->open_count > 0)
		return -EBUSY;
	for (uint32_t id = 1; id < pool->snapshot_limit; id++)
		if (snapshot_of(pool->snapshots[id], volume) && pool->snapshots[id]->open_count > 0)
			return -EBUSY;
	for (uint32_t id = 1; id < pool->snapshot_limit; id++)
		if (snapshot_of(pool->snapshots[id], volume))
			snapshot_let_go(pool->snapshots[id]);
	volume_patches_drop(volume);
	volume->next.state = VOLUME_DESTROYING;
	volume->next.kind = VOLUME_PLAIN;
	memset(volume->next.name, 0, sizeof(volume->next.name));
	volume->next.quota_bytes = volume->next.refquota_bytes = 0;
	volume->next.reservation_bytes = volume->next.refreservation_bytes = 0;
	return 0;
}

static int destroy_check(const struct pool *pool, const struct volume *volume, bool recursive,
			 struct err *err)
{
	if (volume->open_count > 0)
		return err_set(err, -EBUSY, "volume '%s' is open; close it first",
			       volume->rec.name);
	for (uint32_t id = 1; id < pool->snapshot_limit; id++) {
		const struct snapshot *snapshot = pool->snapshots[id];
		int r;

		if (!snapshot_of(snapshot, volume))
			continue;
		if (!recursive)
			return err_set(err, -EBUSY,
				       "volume '%s' has snapshots, '%s' among them; destroy them "
				       "first, or all together with --recursive",
				       volume->rec.name, snapshot->rec.name);
		r = snapshot_idle_check(pool, snapshot, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int volume_destroy(struct pool *pool, const char *name, bool recursive, struct err *err)
{
	struct verb_task task = {volume_destroy_task, NULL, "cannot destroy volume", name};
	struct volume *volume = NULL;
	uint32_t id;
	int r;

	r = volume_get(pool, name, &volume, err);
	if (r == 0)
		r = destroy_check(pool, volume, recursive, err);
	if (r < 0)
		return r;
	id = volume->id;
	task.arg = volume;
	r = volume_quiet_begin(volume, err);
	if (r == 0)
		r = verb_task(pool, &task, err);
	/* A small one is gone with this very checkpoint. */
	if (volume_at(pool, id) == volume)
		volume_quiet_end(volume);
	return r;
}

int pool_volume_destroy(struct pool *pool, const char *name, bool recursive, struct err *err)
{
	int r = verb_begin(pool, err);

	if (r < 0)
		return r;
	r = volume_destroy(pool, name, recursive, err);
	admin_unlock(pool);
	return r;
}

/* --- Names and sizes --------------------------------------------------------------------- */

struct volume_task {
	struct volume *volume;
	const char *name;
	enum pool_volume_property property;
	uint64_t value;
};

static int rename_task(struct pool *pool UNUSED, void *arg)
{
	const struct volume_task *task = arg;

	name_copy(task->volume->next.name, task->name);
	return 0;
}

int pool_volume_rename(struct pool *pool, const char *name, const char *new_name, struct err *err)
{
	struct volume_task arg = {.name = new_name};
	const struct verb_task task = {rename_task, &arg, "cannot rename volume", name};
	int r = verb_begin(pool, err);

	if (r < 0)
		return r;
	r = volume_get(pool, name, &arg.volume, err);
	if (r == 0)
		r = volume_name_check(pool, new_name, err);
	if (r == 0)
		r = verb_task(pool, &task, err);
	admin_unlock(pool);
	return r;
}

static int resize_task(struct pool *pool UNUSED, void *arg)
{
	const struct volume_task *task = arg;

	task->volume->next.size_bytes = task->value;
	return 0;
}

/*
 * What is cut off is a trim that is not in the log: it is frozen with the checkpoint that changes
 * the size, so a crash before that has neither, and one after it has both.
 */
static int cut_off(struct pool *pool, const struct volume *volume, uint64_t size_bytes,
		   struct err *err)
{
	struct delta_range range = {.volume = volume->id,
				    .start = size_bytes / PAGE_BYTES,
				    .end = volume->rec.size_bytes / PAGE_BYTES};
	int r = volume_whole_check(volume, err);

	if (r < 0)
		return r;
	for (unsigned i = 0; r == 0 && !pool_range_room(pool); i++)
		r = i < RANGE_TRIES_MAX ? checkpoint_wait(pool) : -EBUSY;
	if (r < 0)
		return err_set(err, r, "cannot shrink volume '%s': %s", volume->rec.name,
			       r == -EBUSY ? "too many discards are under way; try again later"
					   : "the checkpoint failed; see the pool's status");
	range.epoch = pool->epoch;
	range.seq = pool->seq++;
	delta_range_insert(pool_delta(pool), &range);
	return 0;
}

static int volume_shrink(struct pool *pool, struct volume *volume, const struct verb_task *task,
			 struct err *err)
{
	const struct volume_task *arg = task->arg;
	int r = volume_quiet_begin(volume, err);

	if (r == 0)
		r = cut_off(pool, volume, arg->value, err);
	if (r == 0)
		r = verb_task(pool, task, err);
	volume_quiet_end(volume);
	return r;
}

int pool_volume_resize(struct pool *pool, const char *name, uint64_t size_bytes, struct err *err)
{
	struct volume_task arg = {.value = size_bytes};
	const struct verb_task task = {resize_task, &arg, "cannot resize volume", name};
	int r = verb_begin(pool, err);

	if (r < 0)
		return r;
	r = volume_get(pool, name, &arg.volume, err);
	if (r == 0)
		r = size_check(name, size_bytes, err);
	if (r == 0 && size_bytes < arg.volume->rec.size_bytes)
		r = volume_shrink(pool, arg.volume, &task, err);
	else if (r == 0 && size_bytes > arg.volume->rec.size_bytes)
		r = verb_task(pool, &task, err);
	admin_unlock(pool);
	return r;
}

/* --- Properties -------------------------------------------------------------------------- */

static uint64_t property_max(enum pool_volume_property property)
{
	if (property == POOL_VOLUME_KIND)
		return POOL_VOLUME_HIDDEN;
	return property == POOL_VOLUME_PAUSE_WHEN_FULL || property == POOL_VOLUME_READ_ONLY
		       ? 1
		       : UINT64_MAX;
}

/* False: there is no such property. */
static bool property_put(struct volume_record *record, enum pool_volume_property property,
			 uint64_t value)
{
	switch (property) {
	case POOL_VOLUME_QUOTA:
		record->quota_bytes = value;
		return true;
	case POOL_VOLUME_REFQUOTA:
		record->refquota_bytes = value;
		return true;
	case POOL_VOLUME_RESERVATION:
		record->reservation_bytes = value;
		return true;
	case POOL_VOLUME_REFRESERVATION:
		record->refreservation_bytes = value;
		return true;
	case POOL_VOLUME_PAUSE_WHEN_FULL:
		record->policy = value != 0 ? FULL_PAUSE : FULL_ERROR;
		return true;
	case POOL_VOLUME_READ_ONLY:
		record->read_only = value != 0;
		return true;
	case POOL_VOLUME_KIND:
		record->kind = (uint8_t)value;
		return true;
	}
	return false;
}

static int set_task(struct pool *pool UNUSED, void *arg)
{
	const struct volume_task *task = arg;

	return property_put(&task->volume->next, task->property, task->value) ? 0 : -EINVAL;
}

int pool_volume_set(struct pool *pool, const char *name, enum pool_volume_property property,
		    uint64_t value, struct err *err)
{
	struct volume_task arg = {.property = property, .value = value};
	const struct verb_task task = {set_task, &arg, "cannot change volume", name};
	struct volume_record record;
	int r = verb_begin(pool, err);

	if (r < 0)
		return r;
	r = volume_get(pool, name, &arg.volume, err);
	if (r == 0) {
		record = arg.volume->rec;
		if (!property_put(&record, property, value) || value > property_max(property))
			r = err_set(err, -EINVAL,
				    "volume '%s' has no such property, or it is a yes (1) or no "
				    "(0) and not %" PRIu64,
				    name, value);
	}
	if (r == 0)
		r = limits_check(pool, name, &record, &arg.volume->rec, err);
	if (r == 0)
		r = verb_task(pool, &task, err);
	admin_unlock(pool);
	return r;
}
