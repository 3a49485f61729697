/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots: created through the log, changed by tasks.
 *
 * A cut is made between two insertions into the delta: records, log and epoch change in one go, in
 * which nothing parks, so all snapshots of a group are of one instant. Partial blocks are made
 * whole before, because a snapshot has whole blocks only; one whose rest cannot be read would be
 * missing, so there is no snapshot then. One commit of the log makes the group durable.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include <quoin/base_math.h>

#include "engine/checkpoint.h"
#include "engine/verb.h"

#define GROUP_MAX 256	   /* snapshots made at once */
#define ROOM_TRIES_MAX 100 /* checkpoints waited for until the log has room for a group */

struct cut {
	struct volume *volume;
	struct snapshot *snapshot;
	const char *name; /* behind the '@' */
};

/* --- Creation ---------------------------------------------------------------------------- */

static int cut_parse(const struct pool *pool, const char *name, struct cut *cut, struct err *err)
{
	char volume_name[VOLUME_NAME_BYTES];
	const char *at = strchr(name, '@');
	int r;

	if (!at || (size_t)(at - name) >= sizeof(volume_name))
		return err_set(err, -EINVAL,
			       "'%s' is not the name of a snapshot; write VOLUME@SNAPSHOT", name);
	memcpy(volume_name, name, (size_t)(at - name));
	volume_name[at - name] = '\0';
	cut->name = at + 1;
	r = volume_get(pool, volume_name, &cut->volume, err);
	if (r == 0)
		r = volume_plain_check(cut->volume, err);
	return r < 0 ? r : snapshot_name_check(pool, cut->volume, cut->name, err);
}

static int cuts_parse(const struct pool *pool, const char *const *names, unsigned count,
		      struct cut *cuts, struct err *err)
{
	for (unsigned i = 0; i < count; i++) {
		const int r = cut_parse(pool, names[i], &cuts[i], err);

		if (r < 0)
			return r;
		for (unsigned j = 0; j < i; j++)
			if (cuts[j].volume == cuts[i].volume)
				return err_set(err, -EINVAL,
					       "volume '%s' is named twice; name each volume once",
					       cuts[i].volume->rec.name);
	}
	return 0;
}

/* Waits until the log can take the whole group; nothing may park between this and the cut. */
static int log_room_wait(struct pool *pool, unsigned count, struct err *err)
{
	const unsigned records =
		(unsigned)div_round_up((uint64_t)count * LOG_SNAP_BYTES, LOG_RECORD_BYTES_MAX) + 1;
	int r = 0;

	for (unsigned i = 0; r == 0 && !log_has_room(&pool->log, records); i++) {
		if (i == ROOM_TRIES_MAX)
			return err_set(err, -EBUSY,
				       "the log of pool '%s' is busy; try again, with fewer "
				       "snapshots at once",
				       pool->super.pool_name);
		r = checkpoint_wait(pool);
	}
	if (r < 0)
		return err_set(err, r, "cannot make room in the log of pool '%s'; see its status",
			       pool->super.pool_name);
	return pool_writable(pool, err);
}

static void cuts_take_back(struct pool *pool, struct cut *cuts, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		snapshot_remove(pool, cuts[i].snapshot);
}

static int cuts_add(struct pool *pool, struct cut *cuts, unsigned count, struct err *err)
{
	for (unsigned i = 0; i < count; i++) {
		const int r = snapshot_add(pool, &cuts[i].snapshot);

		if (r < 0) {
			cuts_take_back(pool, cuts, i);
			return err_set(err, r,
				       r == -ENOSPC ? "pool '%s' has the most snapshots it can "
						      "have; destroy some first"
						    : "pool '%s' has no memory for more: give "
						      "quoind more with --memory",
				       pool->super.pool_name);
		}
	}
	return 0;
}

static void cut_make(struct pool *pool, const struct cut *cut)
{
	struct snapshot *snapshot = cut->snapshot;
	struct snapshot_record *rec = &snapshot->rec;
	struct log_record record = {.type = LOG_SNAP,
				    .volume = cut->volume->id,
				    .snapshot = snapshot->id,
				    .epoch = pool->epoch,
				    .time_s = pool_wall_s(pool),
				    .size_bytes = cut->volume->rec.size_bytes};

	*rec = (struct snapshot_record){.state = VOLUME_LIVE,
					.volume = record.volume,
					.epoch = record.epoch,
					.created_s = record.time_s,
					.size_bytes = record.size_bytes};
	random_fill(&pool->random, rec->guid, sizeof(rec->guid));
	name_copy(rec->name, cut->name);
	snapshot->next = *rec;
	snapshot->pending = true;
	names_snapshot_add(pool, snapshot);
	cut->volume->cuts_pending++;
	cut->volume->snapshot_count++;
	pool->snapshot_count++;
	memcpy(record.guid, rec->guid, sizeof(record.guid));
	memcpy(record.name, rec->name, sizeof(record.name));
	log_append(&pool->log, &record);
}

static int cuts_make(struct pool *pool, struct cut *cuts, unsigned count, struct err *err)
{
	int r = meta_verb_check(pool, err);

	if (r == 0)
		r = log_room_wait(pool, count, err);
	if (r == 0 && pool->epoch >= EPOCH_MAX)
		r = err_set(err, -ENOSPC, "pool '%s' has made all the snapshots it ever can",
			    pool->super.pool_name);
	if (r == 0)
		r = cuts_add(pool, cuts, count, err);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < count; i++)
		cut_make(pool, &cuts[i]);
	pool->epoch++;
	return 0;
}

static int snapshots_create(struct pool *pool, const char *const *names, unsigned count,
			    struct err *err)
{
	CLEANUP_FREE struct cut *cuts = calloc(count, sizeof(*cuts));
	int r;

	if (!cuts)
		return err_set(err, -ENOMEM, "cannot create snapshot '%s': out of memory",
			       names[0]);
	r = cuts_parse(pool, names, count, cuts, err);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < count; i++)
		volume_patches_close(cuts[i].volume);
	for (unsigned i = 0; r == 0 && i < count; i++)
		r = volume_whole_check(cuts[i].volume, err);
	if (r == 0)
		r = cuts_make(pool, cuts, count, err);
	for (unsigned i = 0; i < count; i++)
		volume_patches_open(cuts[i].volume);
	if (r < 0)
		return r;
	r = log_commit_run(&pool->log);
	if (r < 0)
		return err_set(err, r,
			       "cannot write the log of pool '%s', so snapshot '%s' is not safe; "
			       "see the pool's status",
			       pool->super.pool_name, names[0]);
	return 0;
}

int pool_snapshot_create(struct pool *pool, const char *const *names, unsigned count,
			 struct err *err)
{
	int r;

	if (count == 0 || count > GROUP_MAX)
		return err_set(err, -EINVAL, "%u snapshots at once are not possible; name 1 to %d",
			       count, GROUP_MAX);
	r = verb_begin(pool, err);
	if (r < 0)
		return r;
	r = snapshots_create(pool, names, count, err);
	admin_unlock(pool);
	return r;
}

/* --- Changes ----------------------------------------------------------------------------- */

struct snapshot_task {
	struct snapshot *snapshot;
	const char *text; /* a name or a tag */
};

static int destroy_task(struct pool *pool UNUSED, void *arg)
{
	const struct snapshot_task *task = arg;

	if (task->snapshot->open_count > 0)
		return -EBUSY;
	snapshot_let_go(task->snapshot);
	return 0;
}

int pool_snapshot_destroy(struct pool *pool, const char *name, struct err *err)
{
	struct snapshot_task arg = {0};
	const struct verb_task task = {destroy_task, &arg, "cannot destroy snapshot", name};
	int r = verb_begin(pool, err);

	if (r < 0)
		return r;
	r = snapshot_parse(pool, name, &arg.snapshot, err);
	if (r == 0)
		r = snapshot_idle_check(pool, arg.snapshot, err);
	if (r == 0)
		r = verb_task(pool, &task, err);
	admin_unlock(pool);
	return r;
}

static int rename_task(struct pool *pool UNUSED, void *arg)
{
	const struct snapshot_task *task = arg;

	name_copy(task->snapshot->next.name, task->text);
	return 0;
}

int pool_snapshot_rename(struct pool *pool, const char *name, const char *new_snap, struct err *err)
{
	struct snapshot_task arg = {.text = new_snap};
	const struct verb_task task = {rename_task, &arg, "cannot rename snapshot", name};
	int r = verb_begin(pool, err);

	if (r < 0)
		return r;
	r = snapshot_parse(pool, name, &arg.snapshot, err);
	if (r == 0)
		r = snapshot_name_check(pool, volume_at(pool, arg.snapshot->rec.volume), new_snap,
					err);
	if (r == 0)
		r = verb_task(pool, &task, err);
	admin_unlock(pool);
	return r;
}

/* --- Holds ------------------------------------------------------------------------------- */

/* The place of the tag, or the number of holds. */
static unsigned hold_find(const struct snapshot_record *record, const char *tag)
{
	unsigned i = 0;

	while (i < record->hold_count && strcmp(record->holds[i], tag) != 0)
		i++;
	return i;
}

static int hold_task(struct pool *pool UNUSED, void *arg)
{
	const struct snapshot_task *task = arg;
	struct snapshot_record *next = &task->snapshot->next;

	memset(next->holds[next->hold_count], 0, HOLD_TAG_BYTES);
	memcpy(next->holds[next->hold_count], task->text, strlen(task->text));
	next->hold_count++;
	return 0;
}

static int hold_check(const struct snapshot *snapshot, const char *name, const char *tag,
		      struct err *err)
{
	if (!record_name_valid(tag, HOLD_TAG_BYTES))
		return err_set(err, -EINVAL,
			       "'%s' cannot be the tag of a hold: use at most %d of "
			       "[A-Za-z0-9._:-], a letter or digit first",
			       tag, POOL_TAG_MAX);
	if (hold_find(&snapshot->rec, tag) < snapshot->rec.hold_count)
		return err_set(err, -EEXIST, "snapshot '%s' is held by '%s' already", name, tag);
	if (snapshot->rec.hold_count >= SNAPSHOT_HOLDS_MAX)
		return err_set(err, -ENOSPC,
			       "snapshot '%s' has %d holds, the most there can be; "
			       "release one first",
			       name, SNAPSHOT_HOLDS_MAX);
	return 0;
}

int pool_snapshot_hold(struct pool *pool, const char *name, const char *tag, struct err *err)
{
	struct snapshot_task arg = {.text = tag};
	const struct verb_task task = {hold_task, &arg, "cannot hold snapshot", name};
	int r = verb_begin(pool, err);

	if (r < 0)
		return r;
	r = snapshot_parse(pool, name, &arg.snapshot, err);
	if (r == 0)
		r = hold_check(arg.snapshot, name, tag, err);
	if (r == 0)
		r = verb_task(pool, &task, err);
	admin_unlock(pool);
	return r;
}

static int release_task(struct pool *pool UNUSED, void *arg)
{
	const struct snapshot_task *task = arg;
	struct snapshot_record *next = &task->snapshot->next;
	const unsigned at = hold_find(next, task->text);

	if (at == next->hold_count)
		return 0;
	next->hold_count--;
	memmove(next->holds[at], next->holds[at + 1],
		(size_t)(next->hold_count - at) * HOLD_TAG_BYTES);
	memset(next->holds[next->hold_count], 0, HOLD_TAG_BYTES);
	return 0;
}

int pool_snapshot_release(struct pool *pool, const char *name, const char *tag, struct err *err)
{
	struct snapshot_task arg = {.text = tag};
	const struct verb_task task = {release_task, &arg, "cannot release snapshot", name};
	int r = verb_begin(pool, err);

	if (r < 0)
		return r;
	r = snapshot_parse(pool, name, &arg.snapshot, err);
	if (r == 0 && hold_find(&arg.snapshot->rec, tag) == arg.snapshot->rec.hold_count)
		r = err_set(err, -ENOENT, "snapshot '%s' has no hold '%s'; see quoin snapshot list",
			    name, tag);
	if (r == 0)
		r = verb_task(pool, &task, err);
	admin_unlock(pool);
	return r;
}
