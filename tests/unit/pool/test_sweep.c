/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trim of a whole pool: that drives hear of what is free and of nothing else, whatever happens
 * meanwhile; a drive of these tests makes garbage of what is discarded. Beside guests, with power
 * cuts, and with going back to an older checkpoint.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <quoin/base_assert.h>
#include <quoin/pool_trim.h>

#include "engine/engine.h"
#include "inspect_rig.h"

#define BLOCKS 1024
#define SEEDS 8
#define LOOK_NS NS_PER_MS

struct trial {
	struct engine_rig rig;
	struct rig_volume volume;
	uint8_t *page;
	uint32_t stamp;
	uint32_t now[BLOCKS], flushed[BLOCKS];
	bool cut;
};

static void fill(uint8_t *page, uint32_t stamp)
{
	for (size_t i = 0; i < RIG_BLOCK; i += sizeof(stamp))
		memcpy(page + i, &stamp, sizeof(stamp));
}

/* A block of its own content, or none. */
static void change(struct trial *t, uint64_t block, bool discard)
{
	int r;

	fill(t->page, ++t->stamp);
	r = rig_io(&t->volume, discard ? BLOCK_DISCARD : BLOCK_WRITE, block * RIG_BLOCK,
		   discard ? NULL : t->page, RIG_BLOCK);
	if (r < 0 && !t->cut)
		fail_msg("seed %llu: a change failed: %d", (unsigned long long)t->rig.seed, r);
	if (r == 0)
		t->now[block] = discard ? 0 : t->stamp;
}

static uint32_t content(struct trial *t, uint64_t block)
{
	assert_int_equal(rig_io(&t->volume, BLOCK_READ, block * RIG_BLOCK, t->page, RIG_BLOCK), 0);
	for (unsigned i = 0; i < RIG_BLOCK; i += 4)
		assert_int_equal(le32_get(t->page + i), le32_get(t->page));
	return le32_get(t->page);
}

static void holds(struct trial *t, const uint32_t *want)
{
	for (unsigned i = 0; i < BLOCKS; i++) {
		const uint32_t got = content(t, i);

		if (got != want[i])
			fail_msg("seed %llu: block %u is %u, not %u",
				 (unsigned long long)t->rig.seed, i, got, want[i]);
	}
}

static struct pool_trim_status status_of(struct trial *t)
{
	struct pool_trim_status status;

	pool_trim_status(t->rig.pool, &status);
	return status;
}

static struct pool_trim_status trim_wait(struct trial *t)
{
	while (status_of(t).state == POOL_TRIM_RUNNING)
		fiber_sleep_ns(LOOK_NS);
	return status_of(t);
}

static void volume_open(struct trial *t)
{
	assert_int_equal(rig_volume_open(&t->rig, "a", &t->volume), 0);
}

static void again(struct trial *t)
{
	rig_volume_close(&t->volume);
	(void)!rig_close(&t->rig);
	if (t->cut)
		rig_power_on(&t->rig);
	t->cut = false;
	assert_int_equal(rig_open(&t->rig), 0);
	volume_open(t);
}

static void write_all(struct trial *t)
{
	for (unsigned i = 0; i < BLOCKS; i++)
		change(t, i, i % 3 == 2);
	assert_int_equal(pool_sync(t->rig.pool), 0);
}

static uint64_t discards(const struct trial *t)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < t->rig.drive_count; i++) {
		struct disk_sim_stats stats;

		disk_sim_stats_get(t->rig.drives[i], &stats);
		count += stats.done[DISK_DISCARD];
	}
	return count;
}

/* --- One at a time ---------------------------------------------------------------------------- */

static void tells_of_what_is_free(struct trial *t)
{
	struct pool_trim_status status = status_of(t);
	const struct pool *pool = t->rig.pool;
	struct space_sums sums;
	uint64_t chunks;

	assert_int_equal(status.state, POOL_TRIM_NONE);
	write_all(t);
	space_sums(pool->space, &sums);
	assert_int_equal(pool_trim_start(t->rig.pool, NULL), 0);
	assert_int_equal(pool_trim_start(t->rig.pool, NULL), -EBUSY);
	status = trim_wait(t);
	assert_int_equal(status.state, POOL_TRIM_DONE);
	assert_int_equal(status.failed_bytes, 0);
	assert_int_equal(status.passed_bytes, status.total_bytes);
	assert_true(status.ended_s >= status.began_s);
	assert_true(discards(t) > 0);
	/* All chunks but the few that are left, and most of what data segments have. */
	chunks = sums.chunks_free - 4 * (uint64_t)t->rig.drive_count;
	assert_true(status.trimmed_bytes >= chunks << pool->raid.chunk_shift);
	assert_true(status.trimmed_bytes - (chunks << pool->raid.chunk_shift) >=
		    (sums.data_segments - sums.data_used) * RIG_BLOCK / 2);
	holds(t, t->now);
	/* It can be done again, and the history has both ends. */
	assert_int_equal(pool_trim_start(t->rig.pool, NULL), 0);
	assert_int_equal(trim_wait(t).state, POOL_TRIM_DONE);
	again(t);
	assert_int_equal(status_of(t).state, POOL_TRIM_NONE);
	holds(t, t->now);
}

static bool history_has(struct trial *t, const char *word)
{
	struct pool_history_line line;
	uint64_t cursor = 0;

	while (pool_history_read(t->rig.pool, &cursor, &line) == 0) {
		if (strstr(line.text, word))
			return true;
	}
	return false;
}

static void stops(struct trial *t)
{
	write_all(t);
	assert_int_equal(pool_trim_stop(t->rig.pool, NULL), -ENOENT);
	assert_int_equal(pool_trim_start(t->rig.pool, NULL), 0);
	fiber_sleep_ns(LOOK_NS);
	assert_int_equal(status_of(t).state, POOL_TRIM_RUNNING);
	assert_int_equal(pool_trim_stop(t->rig.pool, NULL), 0);
	assert_int_equal(trim_wait(t).state, POOL_TRIM_STOPPED);
	assert_true(status_of(t).passed_bytes < status_of(t).total_bytes);
	assert_int_equal(pool_trim_stop(t->rig.pool, NULL), -ENOENT);
	/* The end of the pool stops it too. */
	assert_int_equal(pool_trim_start(t->rig.pool, NULL), 0);
	again(t);
	assert_true(history_has(t, "trim stopped"));
	assert_false(history_has(t, "trim done"));
	holds(t, t->now);
}

/* It is a hint: a drive that refuses it is as good as before. */
static void refused_by_a_drive(struct trial *t)
{
	const struct disk_sim_fault fault = {
		.kind = DISK_SIM_FAIL, .ops = 1U << DISK_DISCARD, .result = -EIO};
	struct pool_trim_status status;
	struct pool_status pool;

	write_all(t);
	assert_int_equal(disk_sim_fault_add(t->rig.drives[0], &fault), 0);
	assert_int_equal(pool_trim_start(t->rig.pool, NULL), 0);
	status = trim_wait(t);
	assert_int_equal(status.state, POOL_TRIM_DONE);
	assert_true(status.failed_bytes > 0);
	pool_status(t->rig.pool, &pool);
	assert_int_equal(pool.health, POOL_ONLINE);
	assert_int_equal(pool.write_errors, 0);
	holds(t, t->now);
}

/* Guests write as if nothing were: also over what was just free. */
static void beside_guests(struct trial *t)
{
	struct random *r = &t->rig.random;

	write_all(t);
	assert_int_equal(pool_trim_start(t->rig.pool, NULL), 0);
	for (unsigned i = 0; i < 1500; i++) {
		change(t, random_below(r, BLOCKS), random_chance(r, 1, 5));
		if (random_chance(r, 1, 100))
			assert_int_equal(pool_sync(t->rig.pool), 0);
	}
	assert_int_equal(trim_wait(t).state, POOL_TRIM_DONE);
	holds(t, t->now);
	again(t);
	holds(t, t->now);
}

/* A checkpoint that one may go back to is whole, though all that was free later is garbage. */
static void going_back(struct trial *t)
{
	uint32_t old[BLOCKS];
	struct pool_status status;

	write_all(t);
	memcpy(old, t->now, sizeof(old));
	pool_status(t->rig.pool, &status);
	for (unsigned i = 0; i < BLOCKS / 2; i++)
		change(t, i, i % 3 == 1);
	assert_int_equal(pool_sync(t->rig.pool), 0);
	assert_int_equal(pool_trim_start(t->rig.pool, NULL), 0);
	assert_int_equal(trim_wait(t).state, POOL_TRIM_DONE);
	t->rig.rewind_to = status.checkpoint;
	rig_power_cut(&t->rig);
	t->cut = true;
	again(t);
	t->rig.rewind_to = 0;
	holds(t, old);
}

/* --- With power cuts -------------------------------------------------------------------------- */

struct cutter {
	struct loop_timer timer;
	struct trial *trial;
};

static void cut_now(struct loop_timer *timer)
{
	struct cutter *cutter = container_of(timer, struct cutter, timer);

	cutter->trial->cut = true;
	rig_power_cut(&cutter->trial->rig);
}

/* What was flushed and not changed since is there. */
static void survives(struct trial *t)
{
	struct random *r = &t->rig.random;
	struct cutter cutter = {.trial = t};

	write_all(t);
	loop_timer_init(&cutter.timer, cut_now);
	loop_timer_arm(t->rig.loop, &cutter.timer,
		       loop_now_ns(t->rig.loop) + random_below(r, 60 * NS_PER_MS));
	memcpy(t->flushed, t->now, sizeof(t->now));
	assert_int_equal(pool_trim_start(t->rig.pool, NULL), 0);
	while (!t->cut) {
		uint32_t before[BLOCKS];
		const uint64_t block = random_below(r, BLOCKS / 2);

		change(t, block, random_chance(r, 1, 4));
		memcpy(before, t->now, sizeof(before));
		if (random_chance(r, 1, 8) &&
		    (random_chance(r, 1, 2) ? rig_io(&t->volume, BLOCK_FLUSH, 0, NULL, 0)
					    : pool_sync(t->rig.pool)) == 0)
			memcpy(t->flushed, before, sizeof(before));
	}
	again(t);
	for (unsigned i = 0; i < BLOCKS; i++) {
		const uint32_t got = content(t, i);

		if (got != t->flushed[i] && (i >= BLOCKS / 2 || (got != 0 && got < t->flushed[i])))
			fail_msg("seed %llu: block %u is %u, not %u",
				 (unsigned long long)t->rig.seed, i, got, t->flushed[i]);
	}
}

/* --- Running them ----------------------------------------------------------------------------- */

struct run {
	struct trial *trial;
	void (*test)(struct trial *t);
};

static void run_begin(void *arg)
{
	struct run *run = arg;
	const struct pool_volume_params params = {.size_bytes = BLOCKS * RIG_BLOCK};
	struct engine_rig *rig = &run->trial->rig;

	rig_format(rig);
	assert_int_equal(rig_open(rig), 0);
	assert_int_equal(pool_volume_create(rig->pool, "a", &params, NULL), 0);
	volume_open(run->trial);
	run->test(run->trial);
	rig_volume_close(&run->trial->volume);
	assert_int_equal(rig_close(rig), 0);
}

static void run(void (*test)(struct trial *t), uint64_t seed)
{
	struct trial *t = calloc(1, sizeof(*t));
	struct run run = {t, test};
	struct inspect_rig inspect = {.data = true};

	rig_init(&t->rig, seed, 1 + seed % 2, 64 * MiB);
	t->rig.mirror = seed % 4 == 1;
	t->rig.autotrim = seed % 3 == 0;
	t->rig.delta_records = BLOCKS;
	t->page = aligned_alloc(RIG_BLOCK, RIG_BLOCK);
	rig_run(&t->rig, run_begin, &run);
	inspect_rig_run(&t->rig, &inspect);
	if (!inspect_rig_sound(&inspect))
		fail_msg("seed %llu: %s", (unsigned long long)seed, inspect.first);
	inspect_rig_fini(&inspect);
	rig_fini(&t->rig);
	free(t->page);
	free(t);
}

static void each(void **state)
{
	void (*const tests[])(struct trial *) = {
		tells_of_what_is_free, stops, refused_by_a_drive, beside_guests, going_back,
	};

	for (unsigned i = 0; i < ARRAY_SIZE(tests); i++)
		run(tests[i], 40 + i);
}

static void with_power_cuts(void **state)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		run(survives, seed);
}

static void refused(void *arg)
{
	struct trial *t = arg;

	rig_format(&t->rig);
	assert_int_equal(rig_open(&t->rig), 0);
	assert_int_equal(pool_trim_start(t->rig.pool, NULL), -ENOTSUP);
	assert_int_equal(rig_close(&t->rig), 0);
	t->rig.read_only = true;
	assert_int_equal(rig_open(&t->rig), 0);
	assert_int_equal(pool_trim_start(t->rig.pool, NULL), -EROFS);
	assert_int_equal(rig_close(&t->rig), 0);
}

static void without_discards(void **state)
{
	struct trial *t = calloc(1, sizeof(*t));
	const struct disk_sim_params params = {.seed = 1,
					       .size_bytes = 64 * MiB,
					       .logical_block_bytes = 512,
					       .plan = disk_sim_plan_default()};

	rig_init(&t->rig, 5, 1, 64 * MiB);
	disk_close(t->rig.disks[0]);
	disk_sim_free(t->rig.drives[0]);
	t->rig.drives[0] = disk_sim_new(&params);
	assert_int_equal(disk_sim_open(t->rig.drives[0], &t->rig.disks[0]), 0);
	rig_run(&t->rig, refused, t);
	rig_fini(&t->rig);
	free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each),
		cmocka_unit_test(with_power_cuts),
		cmocka_unit_test(without_discards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
