/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A volume's chain: its snapshots, oldest first, then its head. Each is laid beside the nearest one
 * before it that is whole; what is new is its own, what is gone must be what deadlists name, and
 * the numbers in the records must be what comes out.
 *
 * A snapshot that is being destroyed is not whole: part of what its map names is freed. What only
 * such ones have is named by the deadlist of the one after each, and by nothing else: those
 * entries, born after the last whole one, own their slots (FORMAT.md, "Who owns a slot").
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "inspect/item.h"

struct chain {
	struct inspect *in;
	uint32_t volume;
	uint32_t charged;	 /* the volume that pays */
	uint32_t whole;		 /* the nearest whole snapshot so far; 0 = none */
	bool own_whole;		 /* false: `whole` is not known well enough to count by */
	bool gaps;		 /* there are some being destroyed since */
	struct inspect_bag dead; /* of their deadlists, what `whole` has */
	bool dead_damaged;
};

/* A snapshot of the chain, or its head. */
struct item {
	uint32_t snapshot; /* 0: the head */
	struct inspect_place map, list;
	const struct node_ptr *root;
	const struct deadlist *dead;
	uint32_t epoch;
	bool whole;
};

static struct item item_of(const struct chain *c, uint32_t snapshot)
{
	const struct inspect *in = c->in;
	const struct volume_record *v = &in->volumes[c->volume].rec;
	char name[INSPECT_NAME_BYTES];
	struct item item = {.snapshot = snapshot,
			    .root = &v->root,
			    .dead = &v->dead,
			    .epoch = in->super.epoch,
			    .whole = true};

	if (snapshot == 0) {
		inspect_volume_name(in, c->volume, name);
	} else {
		const struct snapshot_record *s = &in->snapshots[snapshot].rec;

		inspect_snapshot_name(in, snapshot, name);
		item.root = &s->root;
		item.dead = &s->dead;
		item.epoch = s->epoch;
		item.whole = s->state == VOLUME_LIVE;
	}
	item.map = inspect_place("map", "the map of %.140s", name);
	item.list = inspect_place("deadlist", "the deadlist of %.140s", name);
	return item;
}

static void number_judge(struct inspect *in, const struct inspect_place *place, const char *what,
			 uint64_t stored, uint64_t found)
{
	char code[32] = "counter-";

	if (stored == found)
		return;
	strncat(code, what, sizeof(code) - strlen(code) - 1);
	inspect_damage(in, code, place, "its record says %s %" PRIu64 ", counted are %" PRIu64,
		       what, stored, found);
}

/* --- One of them --------------------------------------------------------------------------- */

/* What the snapshot before has alone in its own chain is in this list (and only if it is its own).
 */
static void before_unique(struct chain *c, uint32_t before, const struct inspect_dead *dead)
{
	struct inspect *in = c->in;
	struct inspect_snapshot *s;
	char name[INSPECT_NAME_BYTES];
	struct inspect_place place;

	if (!inspect_snapshot(in, before))
		return;
	s = &in->snapshots[before];
	if (s->rec.volume != c->volume)
		return;
	s->found.unique = dead->unique;
	if (s->rec.state != VOLUME_LIVE || dead->damaged)
		return;
	inspect_snapshot_name(in, before, name);
	place = inspect_place("snapshots", "%s", name);
	number_judge(in, &place, "unique", s->rec.unique, dead->unique);
}

static void dead_check(struct chain *c, const struct item *item, uint32_t before,
		       struct inspect_dead *dead)
{
	struct inspect *in = c->in;
	const struct inspect_snapshot *s = inspect_snapshot(in, before);

	*dead = (struct inspect_dead){.in = in,
				      .place = item->list,
				      .list = item->dead,
				      .split = inspect_epoch(in, c->whole),
				      .owns = c->gaps,
				      .unique_after = s ? inspect_epoch(in, s->rec.prev) : 0};
	inspect_dead_walk(dead);
	before_unique(c, before, dead);
	c->dead.data += dead->old.data;
	c->dead.meta += dead->old.meta;
	c->dead.sum += dead->old.sum;
	c->dead_damaged |= dead->damaged;
	in->incomplete |= dead->damaged;
	if (c->gaps) {
		in->volumes[c->charged].found.used_data += dead->own.data;
		in->volumes[c->charged].found.used_meta += dead->own.meta;
	} else if (!dead->damaged && dead->own.data + dead->own.meta > 0) {
		inspect_damage(in, "deadlist-young", &item->list,
			       "%" PRIu64 " entries were born after the snapshot before",
			       dead->own.data + dead->own.meta);
	}
}

/* What the map before has and this one has not must be in the deadlists, and nothing else. */
static void gone_judge(struct inspect *in, const struct item *item, const struct inspect_bag *gone,
		       const struct inspect_bag *dead)
{
	if (gone->data == dead->data && gone->meta == dead->meta && gone->sum == dead->sum)
		return;
	inspect_damage(in, "deadlist-wrong", &item->list,
		       "it names %" PRIu64 " data and %" PRIu64 " meta slots%s; since the snapshot "
		       "before, the map has lost %" PRIu64 " and %" PRIu64,
		       dead->data, dead->meta,
		       gone->data == dead->data && gone->meta == dead->meta ? ", others" : "",
		       gone->data, gone->meta);
}

static void found_take(struct chain *c, const struct item *item, const struct inspect_map *map,
		       struct pool_inspect_numbers *found)
{
	struct inspect *in = c->in;
	const struct inspect_snapshot *before = inspect_snapshot(in, c->whole);

	found->referenced = map->shared + map->born.data;
	found->referenced_meta = (before ? before->found.referenced_meta : 0) + map->born.meta -
				 MIN(map->gone.meta, before ? before->found.referenced_meta : 0);
	in->volumes[c->charged].found.used_data += map->born.data;
	in->volumes[c->charged].found.used_meta += map->born.meta;
	in->incomplete |= map->damaged;
	if (!map->damaged && !c->dead_damaged)
		gone_judge(in, item, &map->gone, &c->dead);
}

static void snapshot_check(struct chain *c, const struct item *item, const struct inspect_map *map)
{
	struct inspect *in = c->in;
	struct inspect_snapshot *s = &in->snapshots[item->snapshot];
	char name[INSPECT_NAME_BYTES];
	struct inspect_place place;

	s->damaged = map->damaged;
	found_take(c, item, map, &s->found);
	if (s->damaged)
		return;
	inspect_snapshot_name(in, item->snapshot, name);
	place = inspect_place("snapshots", "%s", name);
	number_judge(in, &place, "referenced", s->rec.referenced, s->found.referenced);
	number_judge(in, &place, "referenced-meta", s->rec.referenced_meta,
		     s->found.referenced_meta);
}

static void head_check(struct chain *c, const struct item *item, const struct inspect_map *map)
{
	struct inspect *in = c->in;
	struct inspect_volume *v = &in->volumes[c->volume];
	char name[INSPECT_NAME_BYTES];
	struct inspect_place place;

	v->damaged |= map->damaged;
	found_take(c, item, map, &v->found);
	v->found.unique = map->unique;
	if (v->damaged || v->rec.state != VOLUME_LIVE)
		return;
	inspect_volume_name(in, c->volume, name);
	place = inspect_place("volumes", "%s", name);
	number_judge(in, &place, "referenced", v->rec.referenced, v->found.referenced);
	number_judge(in, &place, "referenced-meta", v->rec.referenced_meta,
		     v->found.referenced_meta);
	number_judge(in, &place, "unique", v->rec.unique, v->found.unique);
}

/* `before`: the snapshot right before it, whole or not; 0 = none. */
static void item_check(struct chain *c, uint32_t snapshot, uint32_t before)
{
	struct inspect *in = c->in;
	const struct item item = item_of(c, snapshot);
	const struct inspect_snapshot *whole = inspect_snapshot(in, c->whole);
	struct inspect_dead dead;
	struct inspect_map map = {.in = in,
				  .place = item.map,
				  .root = *item.root,
				  .after = inspect_epoch(in, c->whole),
				  .upto = item.epoch,
				  .unique_after = inspect_epoch(in, before)};

	dead_check(c, &item, before, &dead);
	if (!item.whole) {
		c->gaps = true;
		return;
	}
	if (whole)
		map.before = whole->rec.root;
	if (inspect_map_walk(&map) < 0)
		return;
	map.damaged |= whole && whole->damaged;
	if (snapshot != 0)
		snapshot_check(c, &item, &map);
	else
		head_check(c, &item, &map);
	c->whole = snapshot;
	c->gaps = false;
	c->dead = (struct inspect_bag){0};
	c->dead_damaged = false;
}

/* A map that is being freed, without anything before it: what it still has is the volume's. */
static void freeing_check(struct chain *c)
{
	struct inspect *in = c->in;
	struct inspect_volume *v = &in->volumes[c->volume];
	const struct item item = item_of(c, 0);
	struct inspect_dead dead = {.in = in, .place = item.list, .list = item.dead, .stale = true};
	struct inspect_map map = {.in = in,
				  .place = item.map,
				  .root = *item.root,
				  .after = v->rec.free_epoch,
				  .upto = in->super.epoch,
				  .freeing = true,
				  .cursor = v->rec.free_cursor};

	inspect_dead_walk(&dead);
	if (inspect_map_walk(&map) < 0)
		return;
	v->damaged |= map.damaged;
	in->incomplete |= map.damaged || dead.damaged;
	in->volumes[c->charged].found.used_data += map.born.data;
	in->volumes[c->charged].found.used_meta += map.born.meta;
}

/* --- All of them --------------------------------------------------------------------------- */

/* The chain's own snapshots, newest first. The number, or negative errno. */
static int64_t own_list(const struct inspect *in, uint32_t volume, uint32_t **ret)
{
	uint32_t at = in->volumes[volume].rec.last_snapshot;
	uint32_t epoch = UINT32_MAX;
	int64_t count = 0;

	*ret = calloc((size_t)in->snapshot_count + 1, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	while (inspect_snapshot(in, at) && in->snapshots[at].rec.volume == volume &&
	       in->snapshots[at].rec.epoch < epoch) {
		(*ret)[count++] = at;
		epoch = in->snapshots[at].rec.epoch;
		at = in->snapshots[at].rec.prev;
	}
	return count;
}

/* The nearest whole one from here on down; epochs fall, or it ends. */
static uint32_t whole_from(const struct inspect *in, uint32_t at, bool *gaps)
{
	uint32_t epoch = UINT32_MAX;

	while (inspect_snapshot(in, at) && in->snapshots[at].rec.epoch < epoch) {
		if (in->snapshots[at].rec.state == VOLUME_LIVE)
			return at;
		*gaps = true;
		epoch = in->snapshots[at].rec.epoch;
		at = in->snapshots[at].rec.prev;
	}
	return 0;
}

static void volume_check(struct inspect *in, uint32_t id)
{
	struct inspect_volume *v = &in->volumes[id];
	struct chain c = {.in = in, .volume = id, .charged = id};
	uint32_t *own = NULL;
	int64_t count;
	uint32_t before;

	v->done = true;
	if (v->rec.state == VOLUME_DESTROYING && v->rec.charge_to < in->volume_count &&
	    in->volumes[v->rec.charge_to].rec.state != VOLUME_NONE)
		c.charged = v->rec.charge_to != 0 ? v->rec.charge_to : id;
	if (v->rec.state == VOLUME_DESTROYING && v->rec.last_snapshot == 0) {
		freeing_check(&c);
		return;
	}
	count = own_list(in, id, &own);
	if (count < 0) {
		in->error = (int)count;
		return;
	}
	before = count > 0 ? in->snapshots[own[count - 1]].rec.prev : v->rec.last_snapshot;
	c.whole = whole_from(in, before, &c.gaps);
	while (count-- > 0 && in->error == 0) {
		item_check(&c, own[count], before);
		before = own[count];
	}
	if (in->error == 0)
		item_check(&c, 0, before);
	free(own);
}

/* The chain of a clone begins at a snapshot of another volume, whose chain comes first. */
static bool ready(const struct inspect *in, uint32_t id)
{
	const struct inspect_snapshot *origin = inspect_snapshot(in, in->volumes[id].rec.origin);
	const uint32_t owner = origin ? origin->rec.volume : 0;

	return !origin || owner == id || owner >= in->volume_count ||
	       in->volumes[owner].rec.state == VOLUME_NONE || in->volumes[owner].done;
}

static void used_judge(struct inspect *in, uint32_t id)
{
	const struct inspect_volume *v = &in->volumes[id];
	char name[INSPECT_NAME_BYTES];
	struct inspect_place place;

	inspect_volume_name(in, id, name);
	place = inspect_place("volumes", "%s", name);
	number_judge(in, &place, "used-data", v->rec.used_data, v->found.used_data);
	number_judge(in, &place, "used-meta", v->rec.used_meta, v->found.used_meta);
}

void inspect_chains_check(struct inspect *in)
{
	bool progress = true;
	bool all = false;

	/* When nothing is ready any more (origins in a ring), the rest comes as it comes. */
	while (in->error == 0 && (progress || !all)) {
		all = !progress;
		progress = false;
		for (uint32_t id = 0; id < in->volume_count && in->error == 0; id++) {
			if (in->volumes[id].rec.state == VOLUME_NONE || in->volumes[id].done ||
			    !(all || ready(in, id)))
				continue;
			volume_check(in, id);
			progress = true;
		}
	}
	for (uint32_t id = 0; id < in->volume_count && !in->incomplete; id++)
		if (in->volumes[id].rec.state != VOLUME_NONE)
			used_judge(in, id);
}

static void object_tell(struct inspect *in, const struct pool_inspect_object *object)
{
	if (in->params->object)
		in->params->object(in->params->context, object);
}

static void snapshots_tell(struct inspect *in, uint32_t volume)
{
	for (uint32_t id = 0; id < in->snapshot_count; id++) {
		const struct inspect_snapshot *s = &in->snapshots[id];
		struct pool_inspect_object object = {.number = id,
						     .snapshot = true,
						     .destroying = s->rec.state != VOLUME_LIVE,
						     .size_bytes = s->rec.size_bytes};

		if (s->rec.state == VOLUME_NONE || s->rec.volume != volume)
			continue;
		object.counted = !s->damaged && !object.destroying;
		if (s->rec.name[0] != '\0')
			snprintf(object.name, sizeof(object.name), "%s@%s",
				 in->volumes[volume].rec.name, s->rec.name);
		object.stored =
			(struct pool_inspect_numbers){.referenced = s->rec.referenced,
						      .referenced_meta = s->rec.referenced_meta,
						      .unique = s->rec.unique};
		object.found = s->found;
		object_tell(in, &object);
	}
}

void inspect_objects_tell(struct inspect *in)
{
	for (uint32_t id = 0; id < in->volume_count; id++) {
		const struct inspect_volume *v = &in->volumes[id];
		const struct volume_record *rec = &v->rec;
		struct pool_inspect_object object = {.number = id,
						     .destroying = rec->state != VOLUME_LIVE,
						     .size_bytes = rec->size_bytes};

		if (rec->state == VOLUME_NONE)
			continue;
		object.counted = !v->damaged && !object.destroying && !in->incomplete;
		memcpy(object.name, rec->name, sizeof(rec->name));
		object.stored =
			(struct pool_inspect_numbers){rec->referenced, rec->referenced_meta,
						      rec->unique, rec->used_data, rec->used_meta};
		object.found = v->found;
		object_tell(in, &object);
		snapshots_tell(in, id);
	}
}
