/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a checkpoint leaves to the next one. A checkpoint that is made because the delta is full has
 * to make room, no more; and a page of the map costs the same for one record as for many. So the
 * pages with the fewest records are left: their records go on in the active delta, and into its
 * log, where a record costs a fiftieth of what its page would. With the next ones they are more.
 *
 *   sorted frozen delta --> pages counted by how many records they have --> the fewest ones' go on,
 *   a page at a time, without giving way between the look at a page and its end --> the rest merges
 *
 * Invariants: a record goes on only where it is what it was: nothing newer is there (then it is
 * superseded), no partial block lies over it (a replay would take it for older), no snapshot was
 * cut since the freeze and none is merged by this checkpoint (the epoch says so), and no range of
 * the frozen delta is about its volume. None goes on more than CARRY_TIMES times. What went on is
 * in the log before the superblock that begins there is written. At most half of the delta is left,
 * so that guests have the other half.
 */
#include <quoin/base_assert.h>

#include "engine/checkpoint.h"
#include "engine/wio.h"

#define GROUPS_AT_ONCE 64

struct carry {
	struct checkpointer *c;
	struct pool *pool;
	const struct delta *frozen;
	uint32_t count; /* of pool->order */
	uint32_t room;	/* records the active delta may have in the end */
	struct volume *volume;
	bool volume_may;
	uint32_t whole;			    /* pages with so many records go on */
	uint32_t part;			    /* records of those with one more that do */
	bool over;			    /* no more */
	uint32_t of_size[LEAF_ENTRIES + 1]; /* records in pages with so many */
};

/* The records of one page: order[first] .. order[end - 1]. */
struct group {
	uint32_t first, end;
};

static const struct delta_record *record_of(const struct carry *y, uint32_t i)
{
	return &y->frozen->records[y->pool->order[i]];
}

static bool group_next(const struct carry *y, struct group *group)
{
	uint64_t page;

	group->first = group->end;
	if (group->first == y->count)
		return false;
	page = delta_record_key(record_of(y, group->first)) >> LEAF_SHIFT;
	while (group->end < y->count &&
	       delta_record_key(record_of(y, group->end)) >> LEAF_SHIFT == page)
		group->end++;
	return true;
}

/* --- What may -------------------------------------------------------------------------------- */

static void volume_look(struct carry *y, uint32_t id)
{
	struct volume *volume = volume_at(y->pool, id);

	if (y->volume && y->volume->id == id)
		return;
	y->volume = volume;
	y->volume_may = volume && volume->rec.state == VOLUME_LIVE &&
			volume->next.state == VOLUME_LIVE && volume->cuts_pending == 0 &&
			!space_near(volume) && !delta_has_range(y->frozen, id);
}

static bool record_may(const struct carry *y, const struct delta_record *record)
{
	const uint64_t block = delta_key_block(delta_record_key(record));

	return delta_record_epoch(record) == y->c->epoch &&
	       delta_record_seq(record) >= y->c->carry_from && block < y->volume->block_count &&
	       !patch_find(y->pool, y->volume, block);
}

static bool group_may(struct carry *y, const struct group *group)
{
	volume_look(y, delta_key_volume(delta_record_key(record_of(y, group->first))));
	if (!y->volume_may || group->end - group->first > LEAF_ENTRIES)
		return false;
	for (uint32_t i = group->first; i < group->end; i++) {
		if (!record_may(y, record_of(y, i)))
			return false;
	}
	return true;
}

/* --- Which do -------------------------------------------------------------------------------- */

static void give_way(unsigned *groups)
{
	if (++*groups % GROUPS_AT_ONCE == 0)
		fiber_yield();
}

static void choose(struct carry *y)
{
	const uint32_t active = pool_delta(y->pool)->count;
	uint32_t left = y->room > active ? y->room - active : 0;
	struct group group = {0, 0};
	unsigned groups = 0;

	while (group_next(y, &group)) {
		if (group_may(y, &group))
			y->of_size[group.end - group.first] += group.end - group.first;
		give_way(&groups);
	}
	while (y->whole < LEAF_ENTRIES && y->of_size[y->whole + 1] <= left)
		left -= y->of_size[++y->whole];
	y->part = left;
}

static bool chosen(struct carry *y, const struct group *group)
{
	const uint32_t size = group->end - group->first;

	if (size <= y->whole)
		return true;
	if (size > y->whole + 1 || size > y->part)
		return false;
	y->part -= size;
	return true;
}

/* --- Going on -------------------------------------------------------------------------------- */

static void record_carry(struct carry *y, const struct delta_record *record)
{
	struct pool *pool = y->pool;
	const uint64_t block = delta_key_block(delta_record_key(record));
	struct log_record log = {.type = LOG_WRITE, .volume = y->volume->id, .block = block};
	uint64_t old = 0;

	if (delta_point(pool_delta(pool), y->volume->id, block, log.entry)) {
		if (delta_record_vaddr(record) != 0)
			space_supersede(pool->space, delta_record_vaddr(record));
		return;
	}
	delta_record_entry(record, log.entry);
	ASSERT(delta_insert(pool_delta(pool), y->volume->id, block, log.entry, &old) ==
	       DELTA_ADDED);
	/* It counts as pending twice until the commit: nobody is near a limit. */
	y->volume->pending[pool->active]++;
	pool->pending_total++;
	log_append(&pool->log, &log);
	y->c->relogged = true;
}

/* The tail moves when this checkpoint is committed, so the ring must not be waited for. */
static bool log_roomy(const struct log *log)
{
	return (log->fill - log->tail + 2 * (uint64_t)LOG_BUFFERS) * 4 < log->ring_blocks * 3;
}

static bool room_wait(struct carry *y, uint32_t records)
{
	struct pool *pool = y->pool;

	while (pool->error == 0 && log_roomy(&pool->log) && !log_has_room(&pool->log, records))
		fiber_sleep_ns(100 * NS_PER_US);
	return pool->error == 0 && log_roomy(&pool->log) && pool->epoch == y->c->epoch &&
	       pool_delta(pool)->count + records_coming(pool) + records <=
		       pool->memory.delta_records;
}

/* False: it stays. Does not park after the look. */
static bool group_carry(struct carry *y, const struct group *group)
{
	if (!chosen(y, group))
		return false;
	y->over = y->over || !room_wait(y, group->end - group->first);
	if (y->over || !group_may(y, group))
		return false;
	for (uint32_t i = group->first; i < group->end; i++)
		record_carry(y, record_of(y, i));
	return true;
}

uint32_t checkpoint_carry(struct checkpointer *c)
{
	struct pool *pool = c->pool;
	struct carry y = {
		.c = c,
		.pool = pool,
		.frozen = &pool->deltas[!pool->active],
		.room = pool->memory.delta_records / 2,
	};
	struct group group = {0, 0};
	unsigned groups = 0;
	uint32_t kept = 0;

	y.count = y.frozen->count;
	if (!c->carry || !log_roomy(&pool->log))
		return y.count;
	choose(&y);
	while (group_next(&y, &group)) {
		const bool carried = group_carry(&y, &group);

		for (uint32_t i = group.first; !carried && i < group.end; i++)
			pool->order[kept++] = pool->order[i];
		give_way(&groups);
	}
	return kept;
}
