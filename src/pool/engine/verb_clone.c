/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Volumes and the snapshots they come from: rollback, clone, promote.
 *
 * A rollback gives the head the snapshot's map, and what the head had to a volume without a name,
 * which is destroyed in the background on the volume's account. A promotion moves the snapshots up
 * to the origin from one chain to the other, with what is charged for them; no list or map changes,
 * because each list is relative to the snapshot before, and that stays.
 */
#include <errno.h>

#include "engine/checkpoint.h"
#include "engine/verb.h"

#define ROLLBACK_WAITS_MAX 10000 /* checkpoints, for newer snapshots to go */

/* --- Rollback ---------------------------------------------------------------------------- */

struct rollback {
	struct volume *volume;
	struct snapshot *snapshot;
};

/* A snapshot of the volume that is newer, in any state or only live; NULL: none. */
static struct snapshot *newer(const struct pool *pool, const struct rollback *rollback, bool live)
{
	for (uint32_t id = 1; id < pool->snapshot_limit; id++) {
		struct snapshot *snapshot = pool->snapshots[id];

		if (snapshot && snapshot->rec.volume == rollback->volume->id &&
		    snapshot->rec.epoch > rollback->snapshot->rec.epoch &&
		    (snapshot->rec.state == VOLUME_LIVE ||
		     (!live && snapshot->rec.state == VOLUME_DESTROYING)))
			return snapshot;
	}
	return NULL;
}

static int newer_check(const struct pool *pool, const struct rollback *rollback, bool destroy,
		       struct err *err)
{
	const struct snapshot *found = newer(pool, rollback, true);

	if (found && !destroy)
		return err_set(err, -EEXIST,
			       "snapshot '%s@%s' is newer than '%s'; destroy it first, or say that "
			       "newer snapshots may go",
			       rollback->volume->rec.name, found->rec.name,
			       rollback->snapshot->rec.name);
	for (uint32_t id = 1; found && id < pool->snapshot_limit; id++) {
		const struct snapshot *snapshot = pool->snapshots[id];
		int r = 0;

		if (snapshot && snapshot->rec.state == VOLUME_LIVE &&
		    snapshot->rec.volume == rollback->volume->id &&
		    snapshot->rec.epoch > rollback->snapshot->rec.epoch)
			r = snapshot_idle_check(pool, snapshot, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int newer_task(struct pool *pool, void *arg)
{
	const struct rollback *rollback = arg;

	for (uint32_t id = 1; id < pool->snapshot_limit; id++) {
		struct snapshot *snapshot = pool->snapshots[id];

		if (snapshot && snapshot->next.state == VOLUME_LIVE &&
		    snapshot->next.volume == rollback->volume->id &&
		    snapshot->next.epoch > rollback->snapshot->next.epoch)
			snapshot_let_go(snapshot);
	}
	return 0;
}

/* Newer ones must be gone: the head's map may not become that of one in the middle of a chain. */
static int newer_destroy(struct pool *pool, struct rollback *rollback, const char *name,
			 struct err *err)
{
	const struct verb_task task = {newer_task, rollback,
				       "cannot destroy what is newer than snapshot", name};
	int r = 0;

	if (newer(pool, rollback, true))
		r = verb_task(pool, &task, err);
	if (r < 0)
		return r;
	for (unsigned i = 0; r == 0 && newer(pool, rollback, false); i++) {
		if (i == ROLLBACK_WAITS_MAX)
			return err_set(err, -EBUSY,
				       "snapshots newer than '%s' are still being destroyed; try "
				       "again later",
				       name);
		r = checkpoint_wait(pool);
	}
	if (r < 0)
		return err_set(err, r,
			       "cannot destroy what is newer than snapshot '%s'; see the pool's "
			       "status",
			       name);
	return 0;
}

static int rollback_task(struct pool *pool, void *arg)
{
	const struct rollback *rollback = arg;
	struct volume_record *head = &rollback->volume->next;
	struct snapshot_record *to = &rollback->snapshot->next;
	struct volume *remains;
	int r;

	if (rollback->volume->open_count > 0 || head->last_snapshot != rollback->snapshot->id)
		return -EBUSY;
	r = volume_add(pool, &remains);
	if (r < 0)
		return r;
	remains->next = (struct volume_record){.state = VOLUME_DESTROYING,
					       .size_bytes = head->size_bytes,
					       .root = head->root,
					       .dead = head->dead,
					       .free_epoch = to->epoch,
					       .charge_to = rollback->volume->id,
					       .referenced = head->referenced,
					       .referenced_meta = head->referenced_meta,
					       .created_s = head->created_s};
	random_fill(&pool->random, remains->next.guid, sizeof(remains->next.guid));
	head->root = to->root;
	head->dead = (struct deadlist){0};
	head->size_bytes = to->size_bytes;
	head->referenced = to->referenced;
	head->referenced_meta = to->referenced_meta;
	head->unique = 0;
	to->unique = 0;
	return 0;
}

static int quiet_rollback(struct pool *pool, struct rollback *rollback, const char *name,
			  struct err *err)
{
	const struct verb_task task = {rollback_task, rollback, "cannot roll back to snapshot",
				       name};
	int r = newer_destroy(pool, rollback, name, err);

	if (r < 0)
		return r;
	r = volume_whole_check(rollback->volume, err);
	return r < 0 ? r : verb_task(pool, &task, err);
}

static int volume_rollback(struct pool *pool, const char *name, bool destroy, struct err *err)
{
	struct rollback rollback = {0};
	int r = snapshot_parse(pool, name, &rollback.snapshot, err);

	if (r < 0)
		return r;
	rollback.volume = volume_at(pool, rollback.snapshot->rec.volume);
	if (rollback.volume->open_count > 0)
		return err_set(err, -EBUSY, "volume '%s' is open; close it before rolling it back",
			       rollback.volume->rec.name);
	r = newer_check(pool, &rollback, destroy, err);
	if (r < 0)
		return r;
	r = volume_quiet_begin(rollback.volume, err);
	if (r == 0)
		r = quiet_rollback(pool, &rollback, name, err);
	if (r == 0)
		damage_forget(pool, rollback.volume);
	volume_quiet_end(rollback.volume);
	return r;
}

int pool_volume_rollback(struct pool *pool, const char *snapshot, bool destroy_later,
			 struct err *err)
{
	int r = verb_begin(pool, err);

	if (r < 0)
		return r;
	r = volume_rollback(pool, snapshot, destroy_later, err);
	admin_unlock(pool);
	return r;
}

/* --- Clones ------------------------------------------------------------------------------ */

struct cloning {
	const struct snapshot *snapshot;
	const char *name;
};

static int clone_task(struct pool *pool, void *arg)
{
	const struct cloning *cloning = arg;
	const struct snapshot_record *from = &cloning->snapshot->next;
	const struct volume *owner = volume_at(pool, from->volume);
	struct volume *volume;
	const int r = volume_add(pool, &volume);

	if (r < 0)
		return r;
	volume->next = (struct volume_record){.state = VOLUME_LIVE,
					      .policy = owner->next.policy,
					      .size_bytes = from->size_bytes,
					      .root = from->root,
					      .origin = cloning->snapshot->id,
					      .last_snapshot = cloning->snapshot->id,
					      .referenced = from->referenced,
					      .referenced_meta = from->referenced_meta,
					      .created_s = pool_wall_s(pool)};
	random_fill(&pool->random, volume->next.guid, sizeof(volume->next.guid));
	name_copy(volume->next.name, cloning->name);
	return 0;
}

int pool_volume_clone(struct pool *pool, const char *snapshot, const char *new_name,
		      struct err *err)
{
	struct cloning cloning = {.name = new_name};
	const struct verb_task task = {clone_task, &cloning, "cannot create clone", new_name};
	struct snapshot *from = NULL;
	int r = verb_begin(pool, err);

	if (r < 0)
		return r;
	r = meta_verb_check(pool, err);
	if (r == 0)
		r = snapshot_parse(pool, snapshot, &from, err);
	if (r == 0)
		r = volume_name_check(pool, new_name, err);
	cloning.snapshot = from;
	if (r == 0)
		r = verb_task(pool, &task, err);
	admin_unlock(pool);
	return r;
}

/* --- Promotion --------------------------------------------------------------------------- */

struct owned {
	struct map_walk walk;
	uint64_t data, meta;
};

static int owned_leaf(struct map_walk *walk, const struct page_ref *ref UNUSED, const uint8_t *page)
{
	struct owned *owned = container_of(walk, struct owned, walk);

	for (size_t i = 0; i < LEAF_ENTRIES; i++) {
		const uint8_t *entry = page + i * ENTRY_BYTES;

		if (entry_vaddr(entry) != 0 && entry_epoch(entry) > walk->born_after)
			owned->data++;
	}
	return 0;
}

static int owned_page(struct map_walk *walk, const struct page_ref *ref UNUSED)
{
	container_of(walk, struct owned, walk)->meta++;
	return 0;
}

/* The part of a list that belongs to its chain, and not to the origin of the chain's volume. */
static int owned_dead(struct pool *pool, const struct deadlist *dead, uint32_t born_after,
		      struct owned *owned)
{
	uint64_t data = dead->data;
	uint64_t meta = dead->meta;
	int r = 0;

	if (born_after != 0)
		r = deadlist_count(pool->pages, dead, born_after, &data, &meta);
	if (r < 0)
		return r;
	owned->data += data;
	owned->meta += meta;
	return 0;
}

/* What snapshots up to `origin` have in all, without what their volume's own origin has. */
static int owned_count(struct pool *pool, const struct snapshot *origin, struct owned *owned)
{
	const struct volume *owner = volume_at(pool, origin->next.volume);
	const uint32_t born_after = snapshot_epoch(pool, owner->next.origin);
	const struct snapshot *snapshot = origin;
	int r = 0;

	*owned = (struct owned){.walk = {.pages = pool->pages,
					 .kind = NODE_MAP,
					 .born_after = born_after,
					 .leaf = owned_leaf,
					 .page_done = owned_page}};
	if (born_after != 0) {
		r = map_walk(&owned->walk, &origin->next.root);
	} else {
		owned->data = origin->next.referenced;
		owned->meta = origin->next.referenced_meta;
	}
	for (uint32_t i = 0; r == 0 && i < pool->snapshot_limit; i++) {
		if (!snapshot || snapshot->next.volume != owner->id)
			break;
		r = owned_dead(pool, &snapshot->next.dead, born_after, owned);
		snapshot = snapshot_at(pool, snapshot->next.prev);
	}
	return r;
}

/*
 * What follows the origin in the clone's chain: its oldest own snapshot, or the head. One that this
 * checkpoint has made is still pending, and is what follows; one cut since has no `prev` yet.
 */
static const struct deadlist *first_dead(const struct pool *pool, const struct volume *clone)
{
	for (uint32_t id = 1; id < pool->snapshot_limit; id++) {
		const struct snapshot *snapshot = pool->snapshots[id];

		if (snapshot && snapshot->next.state != VOLUME_NONE &&
		    snapshot->next.volume == clone->id && snapshot->next.prev == clone->next.origin)
			return &snapshot->next.dead;
	}
	return &clone->next.dead;
}

static int promote_task(struct pool *pool, void *arg)
{
	struct volume *clone = arg;
	struct snapshot *origin = snapshot_at(pool, clone->next.origin);
	struct volume *owner = volume_at(pool, origin->next.volume);
	struct snapshot *snapshot = origin;
	const struct volume_record *limits = &clone->next;
	struct owned owned;
	uint64_t unique, meta;
	int r = owned_count(pool, origin, &owned);

	if (r == 0)
		r = deadlist_count(pool->pages, first_dead(pool, clone),
				   snapshot_epoch(pool, origin->next.prev), &unique, &meta);
	if (r < 0)
		return r;
	if (limits->quota_bytes != 0 &&
	    limits->used_data + limits->used_meta + owned.data + owned.meta >
		    limits->quota_bytes / PAGE_BYTES)
		return -EDQUOT;
	for (uint32_t i = 0; i < pool->snapshot_limit; i++) {
		if (!snapshot || snapshot->next.volume != owner->id)
			break;
		snapshot->next.volume = clone->id;
		snapshot = snapshot_at(pool, snapshot->next.prev);
	}
	origin->next.unique = unique;
	clone->next.origin = owner->next.origin;
	owner->next.origin = origin->id;
	clone->next.used_data += owned.data;
	clone->next.used_meta += owned.meta;
	count_down(&owner->next.used_data, owned.data);
	count_down(&owner->next.used_meta, owned.meta);
	return 0;
}

static int promote_check(const struct pool *pool, const struct volume *clone, struct err *err)
{
	const struct snapshot *origin = snapshot_at(pool, clone->rec.origin);
	const struct volume *owner;

	if (!origin)
		return err_set(err, -EINVAL, "volume '%s' is no clone; only clones are promoted",
			       clone->rec.name);
	owner = volume_at(pool, origin->rec.volume);
	if (!owner)
		return err_set(err, -EUCLEAN, "the origin of volume '%s' belongs to no volume",
			       clone->rec.name);
	for (uint32_t id = 1; id < pool->snapshot_limit; id++) {
		const struct snapshot *snapshot = pool->snapshots[id];

		if (snapshot && snapshot->rec.state == VOLUME_LIVE &&
		    snapshot->rec.volume == owner->id && snapshot->rec.epoch <= origin->rec.epoch &&
		    snapshot_find(pool, clone->id, snapshot->rec.name))
			return err_set(err, -EEXIST,
				       "both '%s' and '%s' have a snapshot '%s'; rename one first",
				       owner->rec.name, clone->rec.name, snapshot->rec.name);
	}
	return 0;
}

int pool_volume_promote(struct pool *pool, const char *name, struct err *err)
{
	struct verb_task task = {promote_task, NULL, "cannot promote volume", name};
	struct volume *clone = NULL;
	int r = verb_begin(pool, err);

	if (r < 0)
		return r;
	r = volume_get(pool, name, &clone, err);
	if (r == 0)
		r = promote_check(pool, clone, err);
	task.arg = clone;
	if (r == 0)
		r = verb_task(pool, &task, err);
	admin_unlock(pool);
	return r;
}
