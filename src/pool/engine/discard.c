/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Free slots to the drives, in the background.
 *
 *   space_commit() --> waiting (a ring of extents) --> one discard under way --> free
 *                          \--> free at once: space is short, the pool is suspended or closed
 *
 * Low priority: one discard at a time, of bounded length, and a pause after each, a longer one
 * while guests have I/O under way. What finds no place in the ring is free without a discard; that
 * is no loss but that the drive does not hear of it.
 *
 * Invariants: a slot in the ring or under way has its used bit, so nobody is given it, and it is
 * in no tree that an import could choose. What a drive makes of a discard is its own affair: it
 * may fail, and content after it is undefined. Only data segments: metadata must never wait.
 */
#include <errno.h>
#include <stdlib.h>

#include <quoin/base_assert.h>

#include "engine/discard.h"
#include "engine/io.h"

#define DISCARD_EXTENTS 4096
#define DISCARD_RUN_SLOTS 16384 /* of one discard: 64 MiB */
#define DISCARD_PAUSE_NS (200 * NS_PER_US)
#define DISCARD_PAUSE_BUSY_NS (5 * NS_PER_MS)

struct extent {
	uint64_t vaddr;
	unsigned count;
};

struct discards {
	struct pool *pool;
	bool stopped;
	bool busy; /* io is under way */
	struct raid_io io;
	struct loop_timer timer;
	struct discard_stats stats;
	unsigned first, count; /* of the ring */
	struct extent extents[DISCARD_EXTENTS];
};

static bool can_discard(const struct pool *pool, uint64_t vaddr)
{
	const struct segment *segment = space_segment(pool->space, vaddr_segment(vaddr));

	if (segment->class != SEGMENT_DATA)
		return false;
	for (unsigned i = 0; i < segment->column_count; i++) {
		const struct drive *drive = &pool->raid.drives[segment->columns[i].drive];

		if (raid_drive_online(drive) &&
		    disk_info(drive->disk)->discard_granularity_bytes != 0)
			return true;
	}
	return false;
}

static void give_back(struct discards *d, uint64_t vaddr, unsigned count)
{
	space_unalloc(d->pool->space, vaddr, count);
	d->stats.waiting_slots -= count;
}

static void next_later(struct discards *d)
{
	const struct pool *pool = d->pool;
	const bool guests = pool->writes_in_flight > 0 || pool->reads_in_flight > 0 ||
			    !list_empty(&pool->incoming);

	if (d->busy || d->stopped || d->count == 0 || loop_timer_armed(&d->timer))
		return;
	loop_timer_arm(pool->loop, &d->timer,
		       loop_now_ns(pool->loop) +
			       (guests ? DISCARD_PAUSE_BUSY_NS : DISCARD_PAUSE_NS));
}

static void discard_done(struct raid_io *io)
{
	struct discards *d = container_of(io, struct discards, io);

	d->busy = false;
	d->stats.done_slots += io->count;
	give_back(d, io->vaddr, io->count);
	/* Somebody may wait for slots. */
	pool_work(d->pool);
	next_later(d);
}

static void discard_next(struct loop_timer *timer)
{
	struct discards *d = container_of(timer, struct discards, timer);
	struct extent *extent = &d->extents[d->first];

	if (d->pool->error < 0)
		discards_give_up(d->pool);
	if (d->count == 0 || d->busy || d->stopped)
		return;
	d->busy = true;
	d->io = (struct raid_io){.op = RAID_DISCARD,
				 .vaddr = extent->vaddr,
				 .count = MIN(extent->count, (unsigned)DISCARD_RUN_SLOTS),
				 .done = discard_done};
	extent->vaddr += d->io.count;
	extent->count -= d->io.count;
	if (extent->count == 0) {
		d->first = (d->first + 1) % DISCARD_EXTENTS;
		d->count--;
	}
	raid_submit(&d->pool->raid, &d->io);
}

bool discards_take(void *data, uint64_t vaddr, unsigned count)
{
	struct pool *pool = data;
	struct discards *d = pool->discards;

	if (!d || !pool->super.autotrim || d->stopped || pool->error < 0 ||
	    d->count == DISCARD_EXTENTS || !can_discard(pool, vaddr))
		return false;
	d->extents[(d->first + d->count) % DISCARD_EXTENTS] = (struct extent){vaddr, count};
	d->count++;
	d->stats.waiting_slots += count;
	next_later(d);
	return true;
}

void discards_give_up(struct pool *pool)
{
	struct discards *d = pool->discards;

	if (!d)
		return;
	for (; d->count > 0; d->count--) {
		give_back(d, d->extents[d->first].vaddr, d->extents[d->first].count);
		d->first = (d->first + 1) % DISCARD_EXTENTS;
	}
}

int discards_start(struct pool *pool)
{
	struct discards *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->pool = pool;
	loop_timer_init(&d->timer, discard_next);
	pool->discards = d;
	return 0;
}

void discards_stop(struct pool *pool)
{
	struct discards *d = pool->discards;

	if (!d)
		return;
	d->stopped = true;
	loop_timer_disarm(pool->loop, &d->timer);
	discards_give_up(pool);
	while (d->busy)
		fiber_sleep_ns(100 * NS_PER_US);
	pool->discards = NULL;
	free(d);
}

void discards_stats(const struct pool *pool, struct discard_stats *ret_stats)
{
	*ret_stats = pool->discards ? pool->discards->stats : (struct discard_stats){0};
}
