/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All free space to the drives: first chunks that belong to no segment, then the free slots of data
 * segments. In this order, a chunk that becomes a segment meanwhile is met there. Metadata segments
 * are left alone, for metadata must never wait, and so are runs too short for a drive to care.
 *
 * A slot that is free may be handed out and written at any moment, so nothing that an import or a
 * rewind could choose has it: what was let go is free only SPACE_KEEP checkpoints later. While it
 * is being discarded it is used, so that no write can come before the end of its discard; a chunk
 * is held for the same reason. Little is taken at a time, so a pool that is nearly full goes on.
 */
#include "engine/sweep.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <quoin/base_assert.h>
#include <quoin/base_math.h>

#include "engine/io.h"
#include "space/trim.h"

#define RUN_SLOTS 16384 /* of one discard: 64 MiB */
#define RUN_SHARE 8	/* at most this part of what is free */
#define PAUSE_NS (200 * NS_PER_US)
#define PAUSE_BUSY_NS (5 * NS_PER_MS)

struct sweep {
	struct pool *pool;
	struct fiber *fiber; /* NULL: none is under way, and none is to be joined */
	struct pool_trim_status status;
};

static bool over(const struct sweep *s)
{
	return fiber_cancelled() || s->pool->error < 0;
}

/* A discard ended: counts it, and makes way. */
static void account(struct sweep *s, uint64_t bytes, uint64_t failed)
{
	const struct pool *pool = s->pool;
	const bool guests = pool->writes_in_flight > 0 || pool->reads_in_flight > 0 ||
			    !list_empty(&pool->incoming);

	s->status.trimmed_bytes += bytes;
	s->status.failed_bytes += failed;
	(void)!fiber_sleep_ns(guests ? PAUSE_BUSY_NS : PAUSE_NS);
}

static bool takes_discards(const struct drive *drive)
{
	return raid_drive_online(drive) && disk_info(drive->disk)->discard_granularity_bytes != 0;
}

/* --- Chunks ----------------------------------------------------------------------------------- */

static void chunk_discard(struct sweep *s, struct drive *drive, uint32_t chunk)
{
	const uint64_t size = UINT64_C(1) << s->pool->raid.chunk_shift;

	for (uint64_t at = 0; at < size && !over(s);) {
		const uint64_t bytes = MIN(size - at, (uint64_t)RUN_SLOTS * PAGE_BYTES);
		const int r = raid_chunk_discard(&s->pool->raid, drive, chunk, at, bytes);

		at += bytes;
		s->status.passed_bytes += bytes;
		account(s, bytes, r < 0 ? bytes : 0);
	}
}

static void chunks_sweep(struct sweep *s)
{
	struct pool *pool = s->pool;

	for (unsigned i = 0; i < pool->raid.drive_count; i++) {
		struct drive *drive = &pool->raid.drives[i];
		uint32_t chunk = 0;

		while (!over(s) && takes_discards(drive) &&
		       space_chunk_hold(pool->space, i, &chunk)) {
			chunk_discard(s, drive, chunk);
			space_chunk_release(pool->space, i);
			chunk++;
		}
	}
}

/* --- Slots ------------------------------------------------------------------------------------ */

/* How many drives hear of a discard of the slot. */
static unsigned listeners(const struct pool *pool, uint64_t vaddr)
{
	const struct segment *segment = space_segment(pool->space, vaddr_segment(vaddr));
	unsigned count = 0;

	for (unsigned i = 0; i < segment->column_count; i++)
		count += takes_discards(&pool->raid.drives[segment->columns[i].drive]);
	return count;
}

static void slots_discard(struct sweep *s, struct raid_io *io, uint64_t vaddr, unsigned count)
{
	const uint64_t bytes = (uint64_t)count * PAGE_BYTES;
	const unsigned drives = listeners(s->pool, vaddr);

	*io = (struct raid_io){.op = RAID_DISCARD, .vaddr = vaddr, .count = count};
	if (drives == 0 || raid_run(&s->pool->raid, io) < 0)
		return;
	account(s, bytes * drives, bytes * (unsigned)__builtin_popcount(io->failed));
}

static void slots_sweep(struct sweep *s)
{
	struct pool *pool = s->pool;
	const uint64_t before = s->status.passed_bytes;
	struct raid_io *io = calloc(1, sizeof(*io));
	struct space_walk walk = {.segment = 0};

	while (io && !over(s)) {
		const uint64_t share = space_data_free(pool->space) / RUN_SHARE;
		unsigned count = 0;
		uint64_t vaddr;

		/* What is left of a full pool is wanted more by its guests. */
		if (share >= SPACE_TRIM_SLOTS)
			count = space_walk_take(pool->space, &walk,
						(unsigned)MIN(share, (uint64_t)RUN_SLOTS), &vaddr);
		if (count == 0)
			break;
		slots_discard(s, io, vaddr, count);
		space_unalloc(pool->space, vaddr, count);
		/* Somebody may wait for slots. */
		pool_work(pool);
		s->status.passed_bytes = before + walk.passed * PAGE_BYTES;
	}
	free(io);
}

/* --- Its life --------------------------------------------------------------------------------- */

static void ended(struct sweep *s, bool whole)
{
	struct pool_trim_status *status = &s->status;
	char line[128];

	status->state = whole ? POOL_TRIM_DONE : POOL_TRIM_STOPPED;
	status->ended_s = pool_wall_s(s->pool);
	if (whole)
		status->passed_bytes = status->total_bytes;
	snprintf(line, sizeof(line), "trim %s: %" PRIu64 " bytes, %" PRIu64 " of them failed",
		 whole ? "done" : "stopped", status->trimmed_bytes, status->failed_bytes);
	/* A line more or less: there are many, or the pool is suspended. */
	(void)!history_note(s->pool, line);
	if (s->pool->changed)
		s->pool->changed(s->pool->data);
}

static void sweep_main(void *arg)
{
	struct sweep *s = arg;

	chunks_sweep(s);
	slots_sweep(s);
	ended(s, !over(s));
}

static uint64_t to_look_over(const struct pool *pool)
{
	struct space_sums sums;

	space_sums(pool->space, &sums);
	return (sums.chunks_free << pool->raid.chunk_shift) + sums.data_segments * PAGE_BYTES;
}

static int trim_check(const struct pool *pool, struct err *err)
{
	const int r = pool_writable(pool, err);

	if (r < 0)
		return r;
	if (pool->sweep && pool->sweep->status.state == POOL_TRIM_RUNNING)
		return err_set(err, -EBUSY,
			       "a trim of pool '%s' is under way: see quoin pool status",
			       pool->super.pool_name);
	for (unsigned i = 0; i < pool->raid.drive_count; i++) {
		if (takes_discards(&pool->raid.drives[i]))
			return 0;
	}
	return err_set(err, -ENOTSUP, "no drive of pool '%s' takes discards",
		       pool->super.pool_name);
}

int pool_trim_start(struct pool *pool, struct err *err)
{
	struct sweep *s = pool->sweep;
	int r = trim_check(pool, err);

	if (r < 0)
		return r;
	if (!s)
		s = calloc(1, sizeof(*s));
	if (!s)
		return err_set(err, -ENOMEM, "there is no memory for a trim");
	pool->sweep = s;
	if (s->fiber)
		fiber_reap(s->fiber);
	*s = (struct sweep){.pool = pool};
	s->status.state = POOL_TRIM_RUNNING;
	s->status.total_bytes = to_look_over(pool);
	s->status.began_s = pool_wall_s(pool);
	r = fiber_start(pool->loop, true, sweep_main, s, &s->fiber);
	if (r < 0) {
		*s = (struct sweep){.pool = pool};
		return err_set(err, r, "there is no memory for a trim");
	}
	return 0;
}

int pool_trim_stop(struct pool *pool, struct err *err)
{
	if (!pool->sweep || pool->sweep->status.state != POOL_TRIM_RUNNING)
		return err_set(err, -ENOENT, "no trim of pool '%s' is under way",
			       pool->super.pool_name);
	fiber_cancel(pool->sweep->fiber);
	return 0;
}

void pool_trim_status(const struct pool *pool, struct pool_trim_status *ret_status)
{
	*ret_status = pool->sweep ? pool->sweep->status
				  : (struct pool_trim_status){.state = POOL_TRIM_NONE};
	ret_status->passed_bytes = MIN(ret_status->passed_bytes, ret_status->total_bytes);
}

void sweep_end(struct pool *pool)
{
	struct sweep *s = pool->sweep;

	if (!s)
		return;
	if (s->fiber) {
		fiber_cancel(s->fiber);
		fiber_join(s->fiber);
	}
	pool->sweep = NULL;
	free(s);
}
