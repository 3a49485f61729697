/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole pool and its space: what it discards on the drives, what it does when drives refuse
 * writes, when it is full, and when volumes are written over for ever.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <quoin/base_assert.h>

#include "trial.h"

/* --- Discards on the drives --------------------------------------------------------------------
 */

static uint64_t drive_discards(const struct trial *t)
{
	struct disk_sim_stats stats;
	uint64_t sum = 0;

	for (unsigned i = 0; i < t->rig.drive_count; i++) {
		disk_sim_stats_get(t->rig.drives[i], &stats);
		sum += stats.done[DISK_DISCARD];
	}
	return sum;
}

/* Writes over everything, with checkpoints, so that slots come free and are handed out again. */
static void overwrite_rounds(void *arg)
{
	struct trial *t = arg;

	for (unsigned round = 0; round < 12; round++) {
		for (uint64_t b = 0; b < t->blocks; b += TRIAL_RUN)
			assert_int_equal(trial_write(t, b, TRIAL_RUN), 0);
		assert_int_equal(pool_sync(t->rig.pool), 0);
	}
}

static void settle(void *arg)
{
	struct trial *t = arg;
	struct pool_status status;

	for (unsigned i = 0; i < 2000; i++) {
		pool_status(t->rig.pool, &status);
		if (status.discarding_bytes == 0)
			return;
		fiber_sleep_ns(NS_PER_MS);
	}
	fail_msg("discards do not end");
}

static void free_slots_are_discarded(void **state)
{
	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct trial *t = trial_new(seed, 2, 64 * MiB, 1024);
		struct pool_status status;

		t->rig.mirror = seed % 3 == 0;
		t->rig.autotrim = true;
		rig_run(&t->rig, trial_begin, t);
		rig_run(&t->rig, overwrite_rounds, t);
		rig_run(&t->rig, settle, t);
		pool_status(t->rig.pool, &status);
		assert_true(status.discarded_bytes >= 2 * t->blocks * RIG_BLOCK);
		assert_true(drive_discards(t) > 0);
		trial_end(t);
	}
}

static void nothing_is_discarded_unasked(void **state)
{
	struct trial *t = trial_new(1, 1, 64 * MiB, 1024);

	rig_run(&t->rig, trial_begin, t);
	rig_run(&t->rig, overwrite_rounds, t);
	assert_int_equal(drive_discards(t), 0);
	rig_run(&t->rig, trial_close, t);
	trial_free(t);
}

/* Drives so slow to discard that everything else passes the discards by. */
static void late_discards_hit_nothing_new(void **state)
{
	const struct disk_sim_fault slow = {
		.kind = DISK_SIM_STALL,
		.ops = 1U << DISK_DISCARD,
		.argument = 20 * NS_PER_MS,
	};

	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct trial *t = trial_new(seed, 1, 64 * MiB, 1024);

		t->rig.autotrim = true;
		assert_int_equal(disk_sim_fault_add(t->rig.drives[0], &slow), 0);
		rig_run(&t->rig, trial_begin, t);
		rig_run(&t->rig, overwrite_rounds, t);
		assert_true(drive_discards(t) > 0);
		rig_run(&t->rig, trial_check, t);
		rig_run(&t->rig, trial_close, t);
		trial_free(t);
	}
}

/* --- Writes that a drive refuses ---------------------------------------------------------------
 */

/* Every other block is a hole then, so that what is free are single slots. */
static void fragment(void *arg)
{
	struct trial *t = arg;

	uint64_t end = 0;

	while (end < t->blocks && trial_write(t, end, TRIAL_RUN) == 0)
		end += TRIAL_RUN;
	for (uint64_t b = 0; b < end; b += 2) {
		assert_int_equal(rig_io(&t->volume, BLOCK_DISCARD, b * RIG_BLOCK, NULL, RIG_BLOCK),
				 0);
		t->stamps[b] = 0;
	}
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(pool_sync(t->rig.pool), 0);
}

static void refused_writes(void *arg)
{
	struct trial *t = arg;
	struct disk_sim_fault fault = {
		.kind = DISK_SIM_FAIL,
		.ops = 1U << DISK_WRITE,
		/* Two refusals in a row: the second place is refused, too. */
		.count = 2,
		.result = -EIO,
	};

	for (unsigned i = 0; i < 4; i++) {
		fault.after = i;
		assert_int_equal(disk_sim_fault_add(t->rig.drives[0], &fault), 0);
		if (trial_write(t, i * 2 * TRIAL_RUN, TRIAL_RUN) != 0)
			fail_msg("seed %llu: write %u failed", (unsigned long long)t->rig.seed, i);
		disk_sim_faults_clear(t->rig.drives[0]);
	}
}

static void refused_writes_fit_into_holes(void **state)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct trial *t = trial_new(seed, 1, 64 * MiB, 16384);

		t->rig.delta_records = 1024;
		rig_run(&t->rig, trial_begin, t);
		rig_run(&t->rig, fragment, t);
		rig_run(&t->rig, refused_writes, t);
		trial_end(t);
	}
}

/* --- At the limit ------------------------------------------------------------------------------
 */

/* Writes until there is no space; returns how many runs fit. */
static uint64_t fill_up(struct trial *t)
{
	uint64_t runs = 0;
	int r = 0;

	while ((runs + 1) * TRIAL_RUN <= t->blocks &&
	       (r = trial_write(t, runs * TRIAL_RUN, TRIAL_RUN)) == 0)
		runs++;
	if (r < 0 && r != -ENOSPC && r != -EDQUOT)
		fail_msg("filling ended with %d", r);
	return runs;
}

struct writer {
	struct trial *t;
	uint64_t first, end; /* runs */
	int result;
	bool ended;
};

static void writer_main(void *arg)
{
	struct writer *w = arg;
	uint8_t *data = aligned_alloc(RIG_BLOCK, TRIAL_RUN * RIG_BLOCK);

	for (unsigned round = 0; round < 3 && w->result == 0; round++) {
		for (uint64_t run = w->first; run < w->end && w->result == 0; run++) {
			for (uint64_t i = 0; i < TRIAL_RUN; i++) {
				w->t->stamps[run * TRIAL_RUN + i] = ++w->t->stamp;
				trial_fill(data + i * RIG_BLOCK, w->t->stamp);
			}
			w->result = rig_io(&w->t->volume, BLOCK_WRITE, run * TRIAL_RUN * RIG_BLOCK,
					   data, TRIAL_RUN * RIG_BLOCK);
		}
	}
	free(data);
	w->ended = true;
}

#define WRITERS 16

static void overwrite_thrice(struct trial *t, uint64_t runs)
{
	struct writer writers[WRITERS];

	for (unsigned i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){
			.t = t, .first = runs * i / WRITERS, .end = runs * (i + 1) / WRITERS};
		ASSERT(fiber_start(t->rig.loop, false, writer_main, &writers[i], NULL) == 0);
	}
	for (unsigned i = 0; i < WRITERS; i++) {
		while (!writers[i].ended)
			fiber_sleep_ns(NS_PER_MS);
		assert_int_equal(writers[i].result, 0);
	}
}

static void fill_overwrite_and_trim(void *arg)
{
	struct trial *t = arg;
	const uint64_t runs = fill_up(t);
	const int full = t->params.quota_bytes ? -EDQUOT : -ENOSPC;
	uint64_t bytes = runs / 2 * TRIAL_RUN * RIG_BLOCK;

	assert_true(runs > 16 && (runs + 1) * TRIAL_RUN <= t->blocks);
	overwrite_thrice(t, runs);
	assert_int_equal(trial_write(t, runs * TRIAL_RUN, TRIAL_RUN), full);
	assert_int_equal(rig_io(&t->volume, BLOCK_DISCARD, 0, NULL, bytes), 0);
	memset(t->stamps, 0, runs / 2 * TRIAL_RUN * sizeof(*t->stamps));
	assert_int_equal(trial_write(t, runs * TRIAL_RUN, TRIAL_RUN), 0);
}

/* `quota`: the volume is full, not the pool. */
static void overwrites(bool quota)
{
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct trial *t = trial_new(seed, 1, 64 * MiB, 16384);

		t->rig.delta_records = 1024 * (seed % 2 + 1);
		t->params.quota_bytes = quota ? 8 * MiB : 0;
		rig_run(&t->rig, trial_begin, t);
		rig_run(&t->rig, fill_overwrite_and_trim, t);
		trial_end(t);
	}
}

static void a_full_pool_is_written_over(void **state)
{
	overwrites(false);
}

static void a_full_quota_is_written_over(void **state)
{
	overwrites(true);
}

/* Who writes on into a full pool makes no checkpoints of nothing, once its numbers are exact. */
static void fill_and_insist(void *arg)
{
	struct trial *t = arg;
	const uint64_t runs = fill_up(t);
	struct pool_status before, after;

	settle(t);
	pool_status(t->rig.pool, &before);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(trial_write(t, runs * TRIAL_RUN, TRIAL_RUN), -ENOSPC);
	pool_status(t->rig.pool, &after);
	assert_int_equal(after.checkpoints_made - before.checkpoints_made, 0);
	assert_int_equal(rig_io(&t->volume, BLOCK_DISCARD, 0, NULL, TRIAL_RUN * RIG_BLOCK), 0);
	memset(t->stamps, 0, TRIAL_RUN * sizeof(*t->stamps));
	assert_int_equal(trial_write(t, runs * TRIAL_RUN, TRIAL_RUN), 0);
}

static void refusals_cost_no_checkpoints(void **state)
{
	struct trial *t = trial_new(1, 1, 64 * MiB, 16384);

	t->rig.delta_records = 1024;
	rig_run(&t->rig, trial_begin, t);
	rig_run(&t->rig, fill_and_insist, t);
	trial_end(t);
}

/* A volume of its own that is full of what was promised to it, in a pool that others filled. */
static void keep_the_promise(void *arg)
{
	struct trial *t = arg;
	const struct pool_volume_params params = {.size_bytes = 4 * MiB,
						  .refreservation_bytes = 4 * MiB};
	const struct rig_volume filled = t->volume;
	struct err err = {.code = 0};

	if (pool_volume_create(t->rig.pool, "mine", &params, &err) < 0)
		fail_msg("create: %s", err.text);
	(void)fill_up(t);
	memset(t->stamps, 0, t->blocks * sizeof(*t->stamps));
	assert_int_equal(rig_volume_open(&t->rig, "mine", &t->volume), 0);
	for (unsigned round = 0; round < 3; round++) {
		for (uint64_t b = 0; b < params.size_bytes / RIG_BLOCK; b += TRIAL_RUN)
			assert_int_equal(trial_write(t, b, TRIAL_RUN), 0);
	}
	rig_volume_close(&t->volume);
	t->volume = filled;
}

static void promised_space_is_there(void **state)
{
	struct trial *t = trial_new(1, 1, 64 * MiB, 16384);

	t->rig.delta_records = 1024;
	rig_run(&t->rig, trial_begin, t);
	rig_run(&t->rig, keep_the_promise, t);
	rig_run(&t->rig, trial_close, t);
	trial_free(t);
}

static void pause_and_resume(void *arg)
{
	struct trial *t = arg;
	const struct pool_volume_params params = {.size_bytes = 8 * MiB};
	const struct rig_volume paused = t->volume;
	struct writer w = {.t = t};
	struct pool_volume_info info;

	/* Another volume takes space first, which comes back when it goes. */
	assert_int_equal(pool_volume_create(t->rig.pool, "other", &params, NULL), 0);
	assert_int_equal(rig_volume_open(&t->rig, "other", &t->volume), 0);
	for (uint64_t b = 0; b < params.size_bytes / RIG_BLOCK; b += TRIAL_RUN)
		assert_int_equal(trial_write(t, b, TRIAL_RUN), 0);
	rig_volume_close(&t->volume);
	t->volume = paused;
	w.end = t->blocks / TRIAL_RUN;
	ASSERT(fiber_start(t->rig.loop, false, writer_main, &w, NULL) == 0);
	do {
		fiber_sleep_ns(NS_PER_MS);
		assert_false(w.ended);
		assert_int_equal(pool_volume_find(t->rig.pool, "vol", &info), 0);
	} while (!info.paused);
	assert_int_equal(pool_volume_destroy(t->rig.pool, "other", true, NULL), 0);
	while (!w.ended)
		fiber_sleep_ns(NS_PER_MS);
	assert_int_equal(w.result, 0);
}

static void paused_writes_go_on(void **state)
{
	struct trial *t = trial_new(1, 1, 64 * MiB, 4608);

	t->rig.delta_records = 1024;
	t->params.pause_when_full = true;
	rig_run(&t->rig, trial_begin, t);
	rig_run(&t->rig, pause_and_resume, t);
	rig_run(&t->rig, trial_check, t);
	rig_run(&t->rig, trial_close, t);
	trial_free(t);
}

/* --- Versions that nobody sees -----------------------------------------------------------------
 */

/* Each block is written before and after another volume's snapshot, within one checkpoint. */
static void overwrite_across_snapshots(void *arg)
{
	struct trial *t = arg;
	const struct pool_volume_params params = {.size_bytes = 1 * MiB};
	const char *names[] = {"other@s"};

	assert_int_equal(pool_volume_create(t->rig.pool, "other", &params, NULL), 0);
	for (unsigned round = 0; round < 40; round++) {
		for (unsigned part = 0; part < 2; part++) {
			for (uint64_t b = 0; b < 1024; b += TRIAL_RUN)
				assert_int_equal(trial_write(t, b, TRIAL_RUN), 0);
			if (part == 0)
				assert_int_equal(pool_snapshot_create(t->rig.pool, names, 1, NULL),
						 0);
		}
		assert_int_equal(pool_sync(t->rig.pool), 0);
		assert_int_equal(pool_snapshot_destroy(t->rig.pool, names[0], NULL), 0);
	}
	/* All but the reserve is there. */
	for (uint64_t b = 1024; b < t->blocks; b += TRIAL_RUN)
		assert_int_equal(trial_write(t, b, TRIAL_RUN), 0);
}

static void versions_between_snapshots_of_others_go(void **state)
{
	struct trial *t = trial_new(1, 1, 64 * MiB, 6016);

	t->rig.delta_records = 4096;
	rig_run(&t->rig, trial_begin, t);
	rig_run(&t->rig, overwrite_across_snapshots, t);
	trial_end(t);
}

/* A quota that is full pauses its volume; the pool, which has space, says that guests wait. */
static void pause_at_a_quota(void *arg)
{
	struct trial *t = arg;
	struct writer w = {.t = t, .end = t->blocks / TRIAL_RUN};
	struct pool_volume_info info;
	struct pool_status status;

	pool_status(t->rig.pool, &status);
	assert_false(status.full);
	ASSERT(fiber_start(t->rig.loop, false, writer_main, &w, NULL) == 0);
	do {
		fiber_sleep_ns(NS_PER_MS);
		assert_false(w.ended);
		assert_int_equal(pool_volume_find(t->rig.pool, "vol", &info), 0);
		pool_status(t->rig.pool, &status);
		assert_int_equal(status.full, info.paused);
	} while (!info.paused);
	assert_true(status.available_bytes > 0);
	assert_int_equal(pool_volume_set(t->rig.pool, "vol", POOL_VOLUME_REFQUOTA, 0, NULL), 0);
	while (!w.ended)
		fiber_sleep_ns(NS_PER_MS);
	assert_int_equal(w.result, 0);
	pool_status(t->rig.pool, &status);
	assert_false(status.full);
}

static void a_paused_volume_is_told(void **state)
{
	struct trial *t = trial_new(1, 1, 64 * MiB, 1024);

	t->rig.delta_records = 1024;
	t->params.pause_when_full = true;
	t->params.refquota_bytes = 1 * MiB;
	rig_run(&t->rig, trial_begin, t);
	rig_run(&t->rig, pause_at_a_quota, t);
	rig_run(&t->rig, trial_check, t);
	rig_run(&t->rig, trial_close, t);
	trial_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(free_slots_are_discarded),
		cmocka_unit_test(nothing_is_discarded_unasked),
		cmocka_unit_test(late_discards_hit_nothing_new),
		cmocka_unit_test(refused_writes_fit_into_holes),
		cmocka_unit_test(a_full_pool_is_written_over),
		cmocka_unit_test(a_full_quota_is_written_over),
		cmocka_unit_test(refusals_cost_no_checkpoints),
		cmocka_unit_test(promised_space_is_there),
		cmocka_unit_test(paused_writes_go_on),
		cmocka_unit_test(versions_between_snapshots_of_others_go),
		cmocka_unit_test(a_paused_volume_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
