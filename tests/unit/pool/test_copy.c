/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies by reference: what the other place holds, whatever becomes of where it came from; what it
 * costs; that the last who lets go frees; and what is refused. The simulator has them in all
 * orders (src/sim); there they stay in their place, here they move.
 */
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

#define BLOCKS 1024
#define BYTES ((uint64_t)BLOCKS * RIG_BLOCK)
#define SYNCS 6 /* until what was let go can be used again */

struct trial {
	struct engine_rig rig;
	uint8_t *page;
};

static void fill(uint8_t *page, uint32_t stamp)
{
	for (size_t i = 0; i < RIG_BLOCK; i += sizeof(stamp))
		memcpy(page + i, &stamp, sizeof(stamp));
}

static void put(struct trial *t, const char *name, uint64_t block, uint32_t stamp)
{
	struct rig_volume volume;

	assert_int_equal(rig_volume_open(&t->rig, name, &volume), 0);
	fill(t->page, stamp);
	assert_int_equal(rig_io(&volume, stamp ? BLOCK_WRITE : BLOCK_DISCARD, block * RIG_BLOCK,
				t->page, RIG_BLOCK),
			 0);
	rig_volume_close(&volume);
}

/* Blocks [first, first + count) hold stamp, stamp + step, ... */
static void put_many(struct trial *t, const char *name, uint64_t first, uint64_t count,
		     uint32_t stamp)
{
	struct rig_volume volume;

	assert_int_equal(rig_volume_open(&t->rig, name, &volume), 0);
	for (uint64_t i = 0; i < count; i++) {
		fill(t->page, stamp + (uint32_t)i);
		assert_int_equal(
			rig_io(&volume, BLOCK_WRITE, (first + i) * RIG_BLOCK, t->page, RIG_BLOCK),
			0);
	}
	rig_volume_close(&volume);
}

static void holds(struct trial *t, const char *name, uint64_t block, uint32_t stamp)
{
	uint8_t expected[RIG_BLOCK];
	struct rig_volume volume;

	fill(expected, stamp);
	assert_int_equal(rig_volume_open(&t->rig, name, &volume), 0);
	assert_int_equal(rig_io(&volume, BLOCK_READ, block * RIG_BLOCK, t->page, RIG_BLOCK), 0);
	assert_memory_equal(t->page, expected, RIG_BLOCK);
	rig_volume_close(&volume);
}

static void holds_many(struct trial *t, const char *name, uint64_t first, uint64_t count,
		       uint32_t stamp)
{
	for (uint64_t i = 0; i < count; i++)
		holds(t, name, first + i, stamp + (uint32_t)i);
}

/* Blocks from one place to another. */
#define RANGE(source, at, target, to_at, count)                    \
	(&(const struct pool_copy){.from = (source),               \
				   .to = (target),                 \
				   .offset = (at)*RIG_BLOCK,       \
				   .to_offset = (to_at)*RIG_BLOCK, \
				   .length_bytes = (uint64_t)(count)*RIG_BLOCK})

static int copy(struct trial *t, const struct pool_copy *range)
{
	struct err err = {.code = 0};
	const int r = pool_volume_copy(t->rig.pool, range, &err);

	assert_int_equal(err.code, r);
	return r;
}

static struct pool_status status_now(struct trial *t)
{
	struct pool_status status;

	for (unsigned i = 0; i < SYNCS; i++)
		assert_int_equal(pool_sync(t->rig.pool), 0);
	pool_status(t->rig.pool, &status);
	return status;
}

static void create(struct trial *t, const char *name)
{
	const struct pool_volume_params params = {.size_bytes = BYTES};

	assert_int_equal(pool_volume_create(t->rig.pool, name, &params, NULL), 0);
}

static void snapshot(struct trial *t, const char *name)
{
	assert_int_equal(pool_snapshot_create(t->rig.pool, &name, 1, NULL), 0);
}

static void reopen(struct trial *t)
{
	assert_int_equal(rig_close(&t->rig), 0);
	assert_int_equal(rig_open(&t->rig), 0);
}

/* --- What it holds ---------------------------------------------------------------------------- */

static void elsewhere(struct trial *t)
{
	create(t, "b");
	put_many(t, "a", 100, 300, 1000);
	/* Nothing of it is in a tree yet, and the other place is no multiple of a leaf away. */
	assert_int_equal(copy(t, RANGE("a", 0, "b", 37, 500)), 0);
	holds_many(t, "b", 137, 300, 1000);
	holds(t, "b", 136, 0);
	holds(t, "b", 437, 0);
	assert_int_equal(status_now(t).data_bytes, 300 * RIG_BLOCK);
	assert_int_equal(status_now(t).shared_bytes, 300 * RIG_BLOCK);
	/* Each goes its own way. */
	put_many(t, "a", 100, 100, 5000);
	put(t, "b", 300, 6000);
	holds_many(t, "b", 137, 163, 1000);
	holds(t, "b", 300, 6000);
	holds(t, "a", 263, 1163);
	assert_int_equal(status_now(t).data_bytes, 401 * RIG_BLOCK);
	assert_int_equal(status_now(t).shared_bytes, 199 * RIG_BLOCK);
	reopen(t);
	holds_many(t, "b", 137, 163, 1000);
	holds(t, "b", 300, 6000);
	holds_many(t, "a", 100, 100, 5000);
}

static void within_one(struct trial *t)
{
	put_many(t, "a", 0, 64, 1);
	assert_int_equal(copy(t, RANGE("a", 0, "a", 64, 64)), 0);
	assert_int_equal(copy(t, RANGE("a", 0, "a", 128, 128)), 0);
	holds_many(t, "a", 128, 64, 1);
	holds_many(t, "a", 192, 64, 1);
	assert_int_equal(status_now(t).data_bytes, 64 * RIG_BLOCK);
	assert_int_equal(status_now(t).shared_bytes, 192 * RIG_BLOCK);
	assert_int_equal(copy(t, RANGE("a", 0, "a", 63, 64)), -EINVAL);
}

static void holes_too(struct trial *t)
{
	create(t, "b");
	put_many(t, "b", 0, 300, 9);
	put(t, "a", 200, 7);
	assert_int_equal(copy(t, RANGE("a", 0, "b", 0, 300)), 0);
	holds(t, "b", 0, 0);
	holds(t, "b", 199, 0);
	holds(t, "b", 200, 7);
	holds(t, "b", 299, 0);
	assert_int_equal(status_now(t).data_bytes, RIG_BLOCK);
}

/* The block that was trimmed stays trimmed, the copy that came later stays: both by import. */
static void trims_before_and_after(struct trial *t)
{
	struct rig_volume b;

	create(t, "b");
	put_many(t, "a", 0, 256, 1);
	put_many(t, "b", 0, 256, 5000);
	assert_int_equal(rig_volume_open(&t->rig, "b", &b), 0);
	assert_int_equal(rig_io(&b, BLOCK_DISCARD, 0, NULL, 256 * RIG_BLOCK), 0);
	assert_int_equal(copy(t, RANGE("a", 0, "b", 0, 200)), 0);
	assert_int_equal(rig_io(&b, BLOCK_DISCARD, 0, NULL, 64 * RIG_BLOCK), 0);
	assert_int_equal(rig_io(&b, BLOCK_FLUSH, 0, NULL, 0), 0);
	rig_volume_close(&b);
	rig_power_cut(&t->rig);
	(void)!rig_close(&t->rig);
	rig_power_on(&t->rig);
	assert_int_equal(rig_open(&t->rig), 0);
	holds(t, "b", 63, 0);
	holds_many(t, "b", 64, 136, 65);
	holds(t, "b", 200, 0);
	holds_many(t, "a", 0, 256, 1);
}

/* --- Who frees -------------------------------------------------------------------------------- */

static void last_frees(struct trial *t)
{
	create(t, "b");
	create(t, "c");
	put_many(t, "a", 0, 200, 1);
	assert_int_equal(copy(t, RANGE("a", 0, "b", 0, 200)), 0);
	assert_int_equal(copy(t, RANGE("b", 0, "c", 10, 200)), 0);
	assert_int_equal(pool_volume_destroy(t->rig.pool, "a", true, NULL), 0);
	assert_int_equal(status_now(t).data_bytes, 200 * RIG_BLOCK);
	assert_int_equal(pool_volume_destroy(t->rig.pool, "c", true, NULL), 0);
	assert_int_equal(status_now(t).data_bytes, 200 * RIG_BLOCK);
	assert_int_equal(status_now(t).shared_bytes, 0);
	holds_many(t, "b", 0, 200, 1);
	assert_int_equal(pool_volume_destroy(t->rig.pool, "b", true, NULL), 0);
	assert_int_equal(status_now(t).data_bytes, 0);
}

/* A snapshot's block comes back to where it was: one slot, two births at one place. */
static void back_from_a_snapshot(struct trial *t)
{
	put_many(t, "a", 0, 100, 1);
	snapshot(t, "a@1");
	put_many(t, "a", 0, 100, 2000);
	snapshot(t, "a@2");
	assert_int_equal(copy(t, RANGE("a@1", 0, "a", 0, 100)), 0);
	holds_many(t, "a", 0, 100, 1);
	assert_int_equal(status_now(t).shared_bytes, 100 * RIG_BLOCK);
	/* What is there already is left alone. */
	assert_int_equal(copy(t, RANGE("a@1", 0, "a", 0, 100)), 0);
	assert_int_equal(status_now(t).shared_bytes, 100 * RIG_BLOCK);
	assert_int_equal(pool_snapshot_destroy(t->rig.pool, "a@1", NULL), 0);
	assert_int_equal(status_now(t).shared_bytes, 0);
	assert_int_equal(status_now(t).data_bytes, 200 * RIG_BLOCK);
	holds_many(t, "a", 0, 100, 1);
	holds_many(t, "a@2", 0, 100, 2000);
	assert_int_equal(pool_snapshot_destroy(t->rig.pool, "a@2", NULL), 0);
	assert_int_equal(status_now(t).data_bytes, 100 * RIG_BLOCK);
	holds_many(t, "a", 0, 100, 1);
}

/* --- What is damaged -------------------------------------------------------------------------- */

static void page_rot(struct trial *t, uint64_t vaddr)
{
	const struct pool *pool = t->rig.pool;
	const struct segment *s = space_segment(pool->space, vaddr_segment(vaddr));

	assert_non_null(s);
	for (unsigned i = 0; i < s->column_count; i++)
		disk_sim_rot(t->rig.drives[s->columns[i].drive],
			     LABEL_BYTES +
				     ((uint64_t)s->columns[i].chunk << pool->raid.chunk_shift) +
				     ((uint64_t)vaddr_slot(vaddr) << PAGE_SHIFT) + 100,
			     1, 1);
}

/* Nobody knows who else has a block: it is not freed, and nothing is copied any more. */
static void table_damaged(struct trial *t)
{
	create(t, "b");
	put_many(t, "a", 0, 100, 1);
	assert_int_equal(copy(t, RANGE("a", 0, "b", 0, 50)), 0);
	page_rot(t, t->rig.pool->super.shares.vaddr);
	reopen(t);
	put_many(t, "a", 0, 100, 1000);
	assert_int_equal(status_now(t).data_bytes, 200 * RIG_BLOCK);
	assert_true(status_now(t).problem[0] != '\0');
	holds_many(t, "b", 0, 50, 1);
	assert_true(copy(t, RANGE("a", 0, "b", 200, 50)) < 0);
	holds(t, "b", 200, 0);
	assert_int_equal(pool_volume_destroy(t->rig.pool, "b", true, NULL), 0);
	assert_int_equal(status_now(t).data_bytes, 200 * RIG_BLOCK);
	reopen(t);
	holds_many(t, "a", 0, 100, 1000);
}

/* --- What is refused -------------------------------------------------------------------------- */

static void too_many(struct trial *t)
{
	put(t, "a", 0, 77);
	for (unsigned i = 1; i <= 255; i++)
		assert_int_equal(copy(t, RANGE("a", 0, "a", i, 1)), 0);
	put(t, "a", 400, 78);
	assert_int_equal(copy(t, RANGE("a", 0, "a", 400, 1)), -EMLINK);
	/* One piece with such a block in it is not made at all. */
	put(t, "a", 500, 79);
	assert_int_equal(copy(t, RANGE("a", 254, "a", 499, 2)), -EMLINK);
	holds(t, "a", 255, 77);
	holds(t, "a", 400, 78);
	holds(t, "a", 499, 0);
	holds(t, "a", 500, 79);
	put(t, "a", 9, 80);
	assert_int_equal(pool_sync(t->rig.pool), 0);
	assert_int_equal(copy(t, RANGE("a", 0, "a", 400, 1)), 0);
	assert_int_equal(status_now(t).shared_bytes, 255 * RIG_BLOCK);
}

static void ranges(struct trial *t)
{
	struct pool_copy range = {.from = "a", .to = "b", .length_bytes = 512};
	const struct pool_volume_params params = {.size_bytes = BYTES, .read_only = true};

	create(t, "b");
	assert_int_equal(pool_volume_create(t->rig.pool, "ro", &params, NULL), 0);
	assert_int_equal(pool_volume_copy(t->rig.pool, &range, NULL), -EINVAL);
	assert_int_equal(copy(t, RANGE("a", 1, "b", 0, BLOCKS)), -EINVAL);
	assert_int_equal(copy(t, RANGE("a", 0, "b", 1, BLOCKS)), -EINVAL);
	assert_int_equal(copy(t, RANGE("a", UINT64_MAX / RIG_BLOCK, "b", 0, 2)), -EINVAL);
	assert_int_equal(copy(t, RANGE("none", 0, "b", 0, 1)), -ENOENT);
	assert_int_equal(copy(t, RANGE("a@none", 0, "b", 0, 1)), -ENOENT);
	assert_int_equal(copy(t, RANGE("a", 0, "a@none", 0, 1)), -EINVAL);
	assert_int_equal(copy(t, RANGE("a", 0, "ro", 0, 1)), -EROFS);
	assert_int_equal(copy(t, RANGE("a", 0, "b", 0, 0)), 0);
	assert_int_equal(copy(t, RANGE("a", 0, "b", 0, BLOCKS)), 0);
}

/* --- Promises --------------------------------------------------------------------------------- */

static void quotas(struct trial *t)
{
	create(t, "b");
	put_many(t, "a", 0, 200, 1);
	assert_int_equal(
		pool_volume_set(t->rig.pool, "b", POOL_VOLUME_QUOTA, 200 * RIG_BLOCK, NULL), 0);
	assert_int_equal(copy(t, RANGE("a", 0, "b", 0, 200)), 0);
	assert_int_equal(copy(t, RANGE("a", 0, "b", 300, 1)), -EDQUOT);
	/* Over its own there is room. */
	put_many(t, "a", 0, 200, 1000);
	assert_int_equal(copy(t, RANGE("a", 0, "b", 0, 200)), 0);
	holds_many(t, "b", 0, 200, 1000);
}

/* What is promised is there, although the blocks that the volume has are shared. */
static void reservations(struct trial *t)
{
	create(t, "b");
	put_many(t, "a", 0, 200, 1);
	assert_int_equal(pool_volume_set(t->rig.pool, "b", POOL_VOLUME_REFRESERVATION,
					 200 * RIG_BLOCK, NULL),
			 0);
	assert_int_equal(status_now(t).reserved_bytes, 200 * RIG_BLOCK);
	assert_int_equal(copy(t, RANGE("a", 0, "b", 0, 200)), 0);
	assert_int_equal(status_now(t).data_bytes, 200 * RIG_BLOCK);
	assert_int_equal(status_now(t).reserved_bytes, 200 * RIG_BLOCK);
	put_many(t, "b", 0, 200, 1000);
	assert_int_equal(status_now(t).data_bytes, 400 * RIG_BLOCK);
	assert_int_equal(status_now(t).reserved_bytes, 0);
	/* What cannot be kept is not begun: nothing is left to promise. */
	assert_int_equal(pool_volume_set(t->rig.pool, "b", POOL_VOLUME_REFRESERVATION,
					 200 * RIG_BLOCK + status_now(t).available_bytes /
								   RIG_BLOCK * RIG_BLOCK,
					 NULL),
			 0);
	assert_int_equal(copy(t, RANGE("a", 0, "b", 300, 200)), -ENOSPC);
	holds(t, "b", 300, 0);
}

/* --- What it costs ---------------------------------------------------------------------------- */

static void costs(struct trial *t)
{
	const struct pool_volume_params params = {.size_bytes = 512 * MiB};
	struct pool_status before;
	struct pool_status after;

	assert_int_equal(pool_volume_create(t->rig.pool, "big", &params, NULL), 0);
	assert_int_equal(pool_volume_create(t->rig.pool, "too", &params, NULL), 0);
	put_many(t, "a", 0, BLOCKS, 1);
	for (uint64_t at = 0; at < 64 * MiB / RIG_BLOCK; at += BLOCKS)
		assert_int_equal(copy(t, RANGE("a", 0, "big", at, BLOCKS)), 0);
	before = status_now(t);
	assert_int_equal(copy(t, RANGE("big", 0, "too", 0, 512 * MiB / RIG_BLOCK)), 0);
	pool_status(t->rig.pool, &after);
	assert_int_equal(after.data_bytes, before.data_bytes);
	assert_int_equal(after.shared_bytes, before.shared_bytes + 64 * MiB);
	/* A leaf of the map is 4 KiB for 512 KiB, twice; and what every checkpoint takes. */
	assert_true(after.device_bytes_written - before.device_bytes_written < 3 * MiB);
	holds_many(t, "too", 64 * MiB / RIG_BLOCK - 20, 20, BLOCKS - 19);
}

/* --- Running ---------------------------------------------------------------------------------- */

struct run {
	struct trial trial;
	void (*body)(struct trial *t);
};

static void run_fiber(void *arg)
{
	struct run *run = arg;

	rig_format(&run->trial.rig);
	assert_int_equal(rig_open(&run->trial.rig), 0);
	create(&run->trial, "a");
	run->body(&run->trial);
	assert_int_equal(rig_close(&run->trial.rig), 0);
}

static void run(void (*body)(struct trial *t))
{
	struct run *run = calloc(1, sizeof(*run));

	ASSERT(run != NULL);
	run->body = body;
	run->trial.page = aligned_alloc(RIG_BLOCK, RIG_BLOCK);
	ASSERT(run->trial.page != NULL);
	rig_init(&run->trial.rig, 1, 2, 128 * MiB);
	rig_run(&run->trial.rig, run_fiber, run);
	rig_fini(&run->trial.rig);
	free(run->trial.page);
	free(run);
}

static void test_elsewhere(void **state)
{
	run(elsewhere);
}

static void test_within_one(void **state)
{
	run(within_one);
}

static void test_holes_too(void **state)
{
	run(holes_too);
}

static void test_trims_before_and_after(void **state)
{
	run(trims_before_and_after);
}

static void test_last_frees(void **state)
{
	run(last_frees);
}

static void test_back_from_a_snapshot(void **state)
{
	run(back_from_a_snapshot);
}

static void test_table_damaged(void **state)
{
	run(table_damaged);
}

static void test_too_many(void **state)
{
	run(too_many);
}

static void test_ranges(void **state)
{
	run(ranges);
}

static void test_quotas(void **state)
{
	run(quotas);
}

static void test_reservations(void **state)
{
	run(reservations);
}

static void test_costs(void **state)
{
	run(costs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_elsewhere),     cmocka_unit_test(test_within_one),
		cmocka_unit_test(test_holes_too),     cmocka_unit_test(test_trims_before_and_after),
		cmocka_unit_test(test_last_frees),    cmocka_unit_test(test_back_from_a_snapshot),
		cmocka_unit_test(test_table_damaged), cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_ranges),	      cmocka_unit_test(test_quotas),
		cmocka_unit_test(test_reservations),  cmocka_unit_test(test_costs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
