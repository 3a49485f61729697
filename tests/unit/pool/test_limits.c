/* SPDX-License-Identifier: Apache-2.0 */
/* The engine where something is full: both deltas, or the superblock's list of seeds. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <quoin/base_assert.h>

#include "engine/engine.h"
#include "engine_rig.h"

/* --- Both deltas full ----------------------------------------------------------------------------
 */

#define FAST_GUESTS 32
#define FAST_BLOCKS 8192
#define FAST_DELTA 1024
#define FAST_STEP (UINT64_C(64) * RIG_BLOCK)
#define FAST_TRIM (UINT64_C(40) * RIG_BLOCK) /* so long that it is a range */
#define FAST_CUTS 30

struct fast {
	struct engine_rig rig;
	struct rig_volume volume;
	bool trims; /* else writes */
	uint64_t next;
	unsigned left;
	bool cut;
	struct fiber *fiber;
	struct loop_timer timer;
};

static void fast_guest(void *arg)
{
	struct fast *fast = arg;
	uint8_t *data = aligned_alloc(RIG_BLOCK, RIG_BLOCK);

	memset(data, 1, RIG_BLOCK);
	while (!fast->cut && fast->next < FAST_BLOCKS) {
		const uint64_t block = fast->next++;

		if (rig_io(&fast->volume, fast->trims ? BLOCK_DISCARD : BLOCK_WRITE,
			   block * FAST_STEP, fast->trims ? NULL : data,
			   fast->trims ? FAST_TRIM : RIG_BLOCK) < 0 ||
		    (block % FAST_GUESTS == 0 &&
		     rig_io(&fast->volume, BLOCK_FLUSH, 0, NULL, 0) < 0))
			break;
	}
	free(data);
	if (--fast->left == 0)
		fiber_wake(fast->fiber);
}

static void fast_work(void *arg)
{
	struct fast *fast = arg;
	const struct pool_volume_params params = {.size_bytes = FAST_BLOCKS * FAST_STEP};

	rig_format(&fast->rig);
	assert_int_equal(rig_open(&fast->rig), 0);
	assert_int_equal(pool_volume_create(fast->rig.pool, "vol", &params, NULL), 0);
	assert_int_equal(rig_volume_open(&fast->rig, "vol", &fast->volume), 0);
	fast->fiber = fiber_self();
	loop_timer_arm(fast->rig.loop, &fast->timer,
		       loop_now_ns(fast->rig.loop) +
			       random_below(&fast->rig.random, 80 * NS_PER_MS));
	for (; fast->left < FAST_GUESTS; fast->left++)
		assert_int_equal(fiber_start(fast->rig.loop, false, fast_guest, fast, NULL), 0);
	while (fast->left > 0)
		fiber_park();
	loop_timer_disarm(fast->rig.loop, &fast->timer);
	rig_volume_close(&fast->volume);
	rig_power_cut(&fast->rig);
	rig_close(&fast->rig);
}

static void fast_cut(struct loop_timer *timer)
{
	struct fast *fast = container_of(timer, struct fast, timer);

	fast->cut = true;
	rig_power_cut(&fast->rig);
}

static void fast_again(void *arg)
{
	struct fast *fast = arg;

	assert_int_equal(rig_open(&fast->rig), 0);
	assert_int_equal(rig_close(&fast->rig), 0);
}

/* What the log has of both generations must fit when it is replayed, with the same memory. */
static void full_deltas(bool trims)
{
	/* Checkpoints take long, so the other delta fills up meanwhile. */
	const struct disk_sim_fault slow = {
		.kind = DISK_SIM_STALL,
		.ops = 1U << DISK_WRITE,
		.length_bytes = 1 * MiB, /* the front label: superblocks */
		.argument = 30 * NS_PER_MS,
	};
	struct fast *fast = malloc(sizeof(*fast));
	struct disk_sim_plan plan = disk_sim_plan_default();

	plan.survive_percent = 100;
	for (uint64_t seed = 1; seed <= FAST_CUTS; seed++) {
		memset(fast, 0, sizeof(*fast));
		fast->trims = trims;
		rig_init(&fast->rig, seed, 1, 128 * MiB);
		disk_sim_plan_set(fast->rig.drives[0], &plan);
		assert_int_equal(disk_sim_fault_add(fast->rig.drives[0], &slow), 0);
		fast->rig.delta_records = FAST_DELTA;
		loop_timer_init(&fast->timer, fast_cut);
		rig_run(&fast->rig, fast_work, fast);
		rig_power_on(&fast->rig);
		rig_run(&fast->rig, fast_again, fast);
		rig_fini(&fast->rig);
	}
	free(fast);
}

static void full_deltas_are_replayed(void **state)
{
	full_deltas(false);
	full_deltas(true);
}

/* --- The table of segments ----------------------------------------------------------------------
 */

#define WIDE_BYTES (126 * MiB) /* the most with chunks of 1 MiB */
#define WIDE_BLOCKS 12288
#define LEAF_BLOCKS 2048    /* data of the segments in one page of the table */
#define ROLL_CHECKPOINTS 40 /* write more metadata than a segment has room for */

static void wide_write(struct rig_volume *volume, uint64_t first, unsigned count)
{
	uint8_t *data = aligned_alloc(RIG_BLOCK, 64 * RIG_BLOCK);

	memset(data, 7, 64 * RIG_BLOCK);
	for (uint64_t b = first; b < first + count; b += 64)
		assert_int_equal(rig_io(volume, BLOCK_WRITE, b * RIG_BLOCK, data,
					MIN(64U, count) * RIG_BLOCK),
				 0);
	free(data);
}

/*
 * Pages of the table are written at different times, so they lie in more and more segments: the
 * superblock must still name all of them, or the pool cannot be opened again.
 */
static void spread(void *arg)
{
	struct engine_rig *rig = arg;
	const struct pool_volume_params params = {.size_bytes = WIDE_BLOCKS * RIG_BLOCK};
	struct rig_volume volume;

	rig_format(rig);
	assert_int_equal(rig_open(rig), 0);
	assert_int_equal(pool_volume_create(rig->pool, "vol", &params, NULL), 0);
	for (uint64_t first = 0; first < WIDE_BLOCKS; first += LEAF_BLOCKS) {
		assert_int_equal(rig_volume_open(rig, "vol", &volume), 0);
		wide_write(&volume, first, LEAF_BLOCKS);
		for (unsigned i = 0; i < ROLL_CHECKPOINTS; i++) {
			wide_write(&volume, first, 1);
			assert_int_equal(pool_sync(rig->pool), 0);
		}
		rig_volume_close(&volume);
		assert_int_equal(rig_close(rig), 0);
		assert_int_equal(rig_open(rig), 0);
	}
	assert_int_equal(rig_close(rig), 0);
}

static void table_of_segments_is_found(void **state)
{
	struct engine_rig *rig = malloc(sizeof(*rig));

	rig_init(rig, 1, 1, WIDE_BYTES);
	rig->delta_records = 1024;
	rig_run(rig, spread, rig);
	rig_fini(rig);
	free(rig);
}

/* --- The lists of freed slots
 * ---------------------------------------------------------------------
 */

#define AGAIN_TIMES 200
#define AGAIN_BLOCKS 256 /* of 200 times: more than the lists have room for */

/*
 * Blocks that are written again and again fill no delta, but each time a slot is let go. The clock
 * has no part in this: it would make a checkpoint after 30 s.
 */
static void over_and_over(void *arg)
{
	struct engine_rig *rig = arg;
	const struct pool_volume_params params = {.size_bytes = AGAIN_BLOCKS * RIG_BLOCK};
	uint8_t *data = aligned_alloc(RIG_BLOCK, AGAIN_BLOCKS * RIG_BLOCK);
	struct pool_status before, after;
	struct rig_volume volume;

	memset(data, 5, AGAIN_BLOCKS * RIG_BLOCK);
	rig_format(rig);
	assert_int_equal(rig_open(rig), 0);
	assert_int_equal(pool_volume_create(rig->pool, "vol", &params, NULL), 0);
	assert_int_equal(rig_volume_open(rig, "vol", &volume), 0);
	pool_status(rig->pool, &before);
	for (unsigned i = 0; i < AGAIN_TIMES; i++)
		assert_int_equal(rig_io(&volume, BLOCK_WRITE, 0, data, AGAIN_BLOCKS * RIG_BLOCK),
				 0);
	pool_status(rig->pool, &after);
	assert_true(loop_now_ns(rig->loop) < 30 * NS_PER_S);
	assert_in_range(after.checkpoints_made - before.checkpoints_made, 2, AGAIN_TIMES);
	free(data);
	rig_volume_close(&volume);
	assert_int_equal(rig_close(rig), 0);
}

static void blocks_are_written_over_and_over(void **state)
{
	struct engine_rig *rig = malloc(sizeof(*rig));

	rig_init(rig, 1, 1, 1 * GiB);
	rig->delta_records = 1024;
	rig_run(rig, over_and_over, rig);
	rig_fini(rig);
	free(rig);
}

/* --- What a full checkpoint leaves
 * -----------------------------------------------------------------
 */

#define LEFT_DELTA 1024
#define LEFT_BLOCKS (LEFT_DELTA / 16 * 15 - 2) /* one more, and a checkpoint is asked for */
#define LEFT_SECTOR 512

struct left {
	struct engine_rig rig;
	struct rig_volume volume;
	uint8_t *data;
	bool part; /* of block 0 is written once more, and its rest cannot be read in time */
};

static uint64_t left_offset(unsigned i)
{
	return (uint64_t)i * LEAF_ENTRIES * RIG_BLOCK; /* each has a leaf of its own */
}

static void left_write(struct left *l, unsigned i, uint64_t bytes, uint8_t with)
{
	memset(l->data, with, RIG_BLOCK);
	assert_int_equal(rig_io(&l->volume, BLOCK_WRITE, left_offset(i), l->data, bytes), 0);
}

/* Where a block that is in no tree yet lies is read later than anything else. */
static void left_read_stalls(struct left *l, unsigned i)
{
	struct pool *pool = l->rig.pool;
	uint8_t entry[ENTRY_BYTES];
	const struct segment *segment;
	struct disk_sim_fault fault = {
		.kind = DISK_SIM_STALL,
		.ops = 1U << DISK_READ,
		.length_bytes = RIG_BLOCK,
		.argument = 10 * NS_PER_S,
	};

	assert_true(delta_point(pool_delta(pool), 1, left_offset(i) / RIG_BLOCK, entry));
	segment = space_segment(pool->space, vaddr_segment(entry_vaddr(entry)));
	fault.offset = 1 * MiB + ((uint64_t)segment->columns[0].chunk << pool->super.chunk_shift) +
		       vaddr_slot(entry_vaddr(entry)) * (uint64_t)RIG_BLOCK;
	assert_int_equal(disk_sim_fault_add(l->rig.drives[0], &fault), 0);
}

/* All but the last write are flushed; the power goes with the checkpoint's end. */
static void left_work(void *arg)
{
	struct left *l = arg;
	const struct pool_volume_params params = {.size_bytes = left_offset(LEFT_DELTA)};
	struct pool_status before, now;

	rig_format(&l->rig);
	assert_int_equal(rig_open(&l->rig), 0);
	assert_int_equal(pool_volume_create(l->rig.pool, "vol", &params, NULL), 0);
	assert_int_equal(rig_volume_open(&l->rig, "vol", &l->volume), 0);
	for (unsigned i = 0; i < LEFT_BLOCKS; i++)
		left_write(l, i, RIG_BLOCK, (uint8_t)(i | 1));
	if (l->part) {
		left_read_stalls(l, 0);
		left_write(l, 0, LEFT_SECTOR, 0xee);
	}
	assert_int_equal(rig_io(&l->volume, BLOCK_FLUSH, 0, NULL, 0), 0);
	pool_status(l->rig.pool, &before);
	left_write(l, LEFT_BLOCKS, RIG_BLOCK, 1);
	do {
		fiber_sleep_ns(100 * NS_PER_US);
		pool_status(l->rig.pool, &now);
	} while (now.checkpoints_made == before.checkpoints_made);
	assert_in_range(pool_delta(l->rig.pool)->count, LEFT_DELTA / 4, LEFT_DELTA / 2 + 2);
	rig_power_cut(&l->rig);
	rig_volume_close(&l->volume);
	rig_close(&l->rig);
}

static void left_look(void *arg)
{
	struct left *l = arg;

	assert_int_equal(rig_open(&l->rig), 0);
	assert_int_equal(rig_volume_open(&l->rig, "vol", &l->volume), 0);
	for (unsigned i = 0; i < LEFT_BLOCKS; i++) {
		assert_int_equal(rig_io(&l->volume, BLOCK_READ, left_offset(i), l->data, RIG_BLOCK),
				 0);
		assert_int_equal(l->data[0], i == 0 && l->part ? 0xee : (uint8_t)(i | 1));
		assert_int_equal(l->data[RIG_BLOCK - 1], (uint8_t)(i | 1));
	}
	rig_volume_close(&l->volume);
	assert_int_equal(rig_close(&l->rig), 0);
}

static void left_run(bool part)
{
	struct left *l = malloc(sizeof(*l));
	struct disk_sim_plan plan = disk_sim_plan_default();

	memset(l, 0, sizeof(*l));
	l->part = part;
	rig_init(&l->rig, 1, 1, 1 * GiB);
	l->data = aligned_alloc(RIG_BLOCK, RIG_BLOCK);
	plan.survive_percent = 0;
	disk_sim_plan_set(l->rig.drives[0], &plan);
	l->rig.delta_records = LEFT_DELTA;
	rig_run(&l->rig, left_work, l);
	rig_power_on(&l->rig);
	rig_run(&l->rig, left_look, l);
	rig_fini(&l->rig);
	free(l->data);
	free(l);
}

/* Records that go on are durable anew, and no newer than sectors that were written over them. */
static void what_is_left_is_durable(void **state)
{
	left_run(false);
	left_run(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_deltas_are_replayed),
		cmocka_unit_test(table_of_segments_is_found),
		cmocka_unit_test(blocks_are_written_over_and_over),
		cmocka_unit_test(what_is_left_is_durable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
