/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs share. */
#include <errno.h>
#include <inttypes.h>

#include "engine/verb.h"

#define QUIET_CHECKPOINTS_MAX 10000 /* for the trims of one volume */

int verb_begin(struct pool *pool, struct err *err)
{
	int r;

	admin_lock(pool);
	r = pool_writable(pool, err);
	if (r < 0)
		admin_unlock(pool);
	return r;
}

static const char *reason(int error)
{
	switch (error) {
	case -EROFS:
		return "the pool is imported read-only; import it for writing";
	case -EIO:
		return "the checkpoint failed and the pool takes no changes; see the pool's status";
	case -ENOSPC:
		return "there is no room for it in the pool; destroy what is not needed";
	case -ENOMEM:
		return "the pool has no memory for it: give quoind more with --memory";
	case -EBUSY:
		return "it was opened meanwhile; close it first";
	case -EDQUOT:
		return "its quota would be exceeded; raise it first";
	case -EUCLEAN:
		return "a page of the pool's tables is damaged; see the pool's status";
	default:
		return strerror(-error);
	}
}

int verb_task(struct pool *pool, const struct verb_task *task, struct err *err)
{
	const int r = checkpoint_task(pool, task->run, task->arg);

	if (r < 0)
		return err_set(err, r, "%s '%s': %s", task->what, task->object, reason(r));
	return 0;
}

/* --- Quiet volumes ----------------------------------------------------------------------- */

static bool volume_has_ranges(const struct volume *volume)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct delta *delta = &volume->pool->deltas[i];

		for (unsigned j = 0; j < delta->range_count; j++)
			if (delta->ranges[j].volume == volume->id)
				return true;
	}
	return false;
}

int volume_quiet_begin(struct volume *volume, struct err *err)
{
	int r = 0;

	/* In this order: a request that waits for partial blocks would keep the gate open. */
	volume_gate_close(volume);
	volume_patches_close(volume);
	for (unsigned i = 0; r == 0 && volume_has_ranges(volume); i++) {
		if (i == QUIET_CHECKPOINTS_MAX)
			return err_set(err, -EBUSY,
				       "volume '%s' is busy discarding blocks; try again later",
				       volume->rec.name);
		r = checkpoint_wait(volume->pool);
	}
	if (r < 0)
		return err_set(err, r, "cannot bring volume '%s' to rest: %s", volume->rec.name,
			       reason(r));
	return 0;
}

void volume_quiet_end(struct volume *volume)
{
	volume_patches_open(volume);
	volume_gate_open(volume);
}

int volume_whole_check(const struct volume *volume, struct err *err)
{
	int r;

	if (volume->patch_count == 0)
		return 0;
	r = pool_writable(volume->pool, err);
	if (r < 0)
		return r;
	if (volume->pool->slotless_commit != 0)
		return err_set(err, -ENOSPC,
			       "volume '%s' has blocks that were written in part, and its pool no "
			       "room to make them whole; destroy snapshots or volumes, or discard",
			       volume->rec.name);
	return err_set(err, -EIO,
		       "volume '%s' has damaged blocks that were written in part; write them in "
		       "full first",
		       volume->rec.name);
}

/* --- Names and their objects ------------------------------------------------------------- */

int volume_name_check(const struct pool *pool, const char *name, struct err *err)
{
	if (!record_name_valid(name, VOLUME_NAME_BYTES))
		return err_set(err, -EINVAL,
			       "'%s' cannot be the name of a volume: use at most %d of "
			       "[A-Za-z0-9._:-], and '/' between parts, a letter or digit first",
			       name, POOL_NAME_MAX);
	if (volume_find(pool, name))
		return err_set(err, -EEXIST, "volume '%s' exists; choose another name", name);
	return 0;
}

int snapshot_name_check(const struct pool *pool, const struct volume *volume, const char *name,
			struct err *err)
{
	if (!record_name_valid(name, VOLUME_NAME_BYTES) || strchr(name, '/'))
		return err_set(err, -EINVAL,
			       "'%s' cannot be the name of a snapshot: use at most %d of "
			       "[A-Za-z0-9._:-], a letter or digit first",
			       name, POOL_NAME_MAX);
	if (snapshot_find(pool, volume->id, name))
		return err_set(err, -EEXIST, "snapshot '%s@%s' exists; choose another name",
			       volume->rec.name, name);
	return 0;
}

/* "" when the clone has no name any more: it is being destroyed. */
static const char *clone_name(const struct pool *pool, const struct snapshot *snapshot)
{
	for (uint32_t id = 1; id < pool->volume_limit; id++) {
		const struct volume *volume = pool->volumes[id];

		if (volume && volume->rec.state == VOLUME_LIVE &&
		    volume->rec.origin == snapshot->id)
			return volume->rec.name;
	}
	return "";
}

int snapshot_idle_check(const struct pool *pool, const struct snapshot *snapshot, struct err *err)
{
	const struct volume *volume = volume_at(pool, snapshot->rec.volume);
	const char *volume_name = volume ? volume->rec.name : "";
	const char *name = snapshot->rec.name;
	const char *clone;

	if (snapshot->rec.hold_count > 0 && strcmp(snapshot->rec.holds[0], POOL_TEMPLATE_TAG) == 0)
		return err_set(err, -EBUSY,
			       "snapshot '%s@%s' is a template; first say template=off: see quoin "
			       "snapshot set",
			       volume_name, name);
	if (snapshot->rec.hold_count > 0)
		return err_set(err, -EBUSY, "snapshot '%s@%s' is held by '%s'; release it first",
			       volume_name, name, snapshot->rec.holds[0]);
	if (snapshot->open_count > 0)
		return err_set(err, -EBUSY, "snapshot '%s@%s' is open; close it first", volume_name,
			       name);
	if (snapshot->clones == 0)
		return 0;
	clone = clone_name(pool, snapshot);
	if (clone[0] == '\0')
		return err_set(err, -EBUSY,
			       "a clone of snapshot '%s@%s' is still being destroyed; try again "
			       "later",
			       volume_name, name);
	return err_set(err, -EBUSY,
		       "snapshot '%s@%s' has %u clone%s, '%s' among them; destroy or promote them "
		       "first",
		       volume_name, name, snapshot->clones, snapshot->clones == 1 ? "" : "s",
		       clone);
}

void snapshot_let_go(struct snapshot *snapshot)
{
	snapshot->next.state = VOLUME_DESTROYING;
	memset(snapshot->next.name, 0, sizeof(snapshot->next.name));
	snapshot->next.hold_count = 0;
	memset(snapshot->next.holds, 0, sizeof(snapshot->next.holds));
}
