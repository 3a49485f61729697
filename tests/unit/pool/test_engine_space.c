/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole pool and its space: what it discards on the drives, what it does when drives refuse
 * writes, when it is full of data or of metadata, and when volumes are written over for ever.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <quoin/base_assert.h>

#include "engine_rig.h"

#define RUN 32 /* blocks of one write */

struct trial {
	struct engine_rig rig;
	struct rig_volume volume;
	struct pool_volume_params params;
	uint64_t blocks;
	uint32_t *stamps; /* of each block: what the volume holds; 0 = zeroes */
	uint32_t stamp;
	uint8_t *data; /* RUN blocks */
};

static void format_and_open(void *arg)
{
	struct trial *t = arg;
	struct err err = {.code = 0};

	t->params.size_bytes = t->blocks * RIG_BLOCK;
	rig_format(&t->rig);
	assert_int_equal(rig_open(&t->rig), 0);
	if (pool_volume_create(t->rig.pool, "vol", &t->params, &err) < 0)
		fail_msg("create: %s", err.text);
	assert_int_equal(rig_volume_open(&t->rig, "vol", &t->volume), 0);
}

/* Set what begin() needs in between: delta_records, autotrim, params ... */
static struct trial *trial_new(uint64_t seed, unsigned drives, uint64_t drive_bytes,
			       uint64_t blocks)
{
	struct trial *t = calloc(1, sizeof(*t));

	ASSERT(t != NULL);
	rig_init(&t->rig, seed, drives, drive_bytes);
	t->blocks = blocks;
	t->stamps = calloc(blocks, sizeof(*t->stamps));
	t->data = aligned_alloc(RIG_BLOCK, RUN * RIG_BLOCK);
	ASSERT(t->stamps != NULL && t->data != NULL);
	return t;
}

static void close_pool(void *arg)
{
	struct trial *t = arg;

	rig_volume_close(&t->volume);
	rig_close(&t->rig);
}

static void open_pool(void *arg)
{
	struct trial *t = arg;

	assert_int_equal(rig_open(&t->rig), 0);
	assert_int_equal(rig_volume_open(&t->rig, "vol", &t->volume), 0);
}

static void trial_free(struct trial *t)
{
	rig_fini(&t->rig);
	free(t->stamps);
	free(t->data);
	free(t);
}

static void fill(uint8_t *data, uint32_t stamp)
{
	for (size_t i = 0; i < RIG_BLOCK; i += sizeof(stamp))
		memcpy(data + i, &stamp, sizeof(stamp));
}

/* Up to RUN blocks, each with its own stamp. */
static int write_run(struct trial *t, uint64_t first, uint64_t count)
{
	int r;

	for (uint64_t i = 0; i < count; i++)
		fill(t->data + i * RIG_BLOCK, t->stamp + 1 + (uint32_t)i);
	r = rig_io(&t->volume, BLOCK_WRITE, first * RIG_BLOCK, t->data, count * RIG_BLOCK);
	for (uint64_t i = 0; r == 0 && i < count; i++)
		t->stamps[first + i] = t->stamp + 1 + (uint32_t)i;
	t->stamp += (uint32_t)count;
	return r;
}

static void check_all(void *arg)
{
	struct trial *t = arg;
	uint8_t want[RIG_BLOCK];

	for (uint64_t b = 0; b < t->blocks; b++) {
		fill(want, t->stamps[b]);
		assert_int_equal(rig_io(&t->volume, BLOCK_READ, b * RIG_BLOCK, t->data, RIG_BLOCK),
				 0);
		if (memcmp(t->data, want, RIG_BLOCK) != 0)
			fail_msg("seed %llu: block %llu is not %u", (unsigned long long)t->rig.seed,
				 (unsigned long long)b, t->stamps[b]);
	}
}

/* All is there, before an import and after it. */
static void trial_end(struct trial *t)
{
	rig_run(&t->rig, check_all, t);
	rig_run(&t->rig, close_pool, t);
	rig_run(&t->rig, open_pool, t);
	rig_run(&t->rig, check_all, t);
	rig_run(&t->rig, close_pool, t);
	trial_free(t);
}

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
		for (uint64_t b = 0; b < t->blocks; b += RUN)
			assert_int_equal(write_run(t, b, RUN), 0);
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
		rig_run(&t->rig, format_and_open, t);
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

	rig_run(&t->rig, format_and_open, t);
	rig_run(&t->rig, overwrite_rounds, t);
	assert_int_equal(drive_discards(t), 0);
	rig_run(&t->rig, close_pool, t);
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
		rig_run(&t->rig, format_and_open, t);
		rig_run(&t->rig, overwrite_rounds, t);
		assert_true(drive_discards(t) > 0);
		rig_run(&t->rig, check_all, t);
		rig_run(&t->rig, close_pool, t);
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

	while (end < t->blocks && write_run(t, end, RUN) == 0)
		end += RUN;
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
		if (write_run(t, i * 2 * RUN, RUN) != 0)
			fail_msg("seed %llu: write %u failed", (unsigned long long)t->rig.seed, i);
		disk_sim_faults_clear(t->rig.drives[0]);
	}
}

static void refused_writes_fit_into_holes(void **state)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct trial *t = trial_new(seed, 1, 64 * MiB, 16384);

		t->rig.delta_records = 1024;
		rig_run(&t->rig, format_and_open, t);
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

	while ((runs + 1) * RUN <= t->blocks && (r = write_run(t, runs * RUN, RUN)) == 0)
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
	uint8_t *data = aligned_alloc(RIG_BLOCK, RUN * RIG_BLOCK);

	for (unsigned round = 0; round < 3 && w->result == 0; round++) {
		for (uint64_t run = w->first; run < w->end && w->result == 0; run++) {
			for (uint64_t i = 0; i < RUN; i++) {
				w->t->stamps[run * RUN + i] = ++w->t->stamp;
				fill(data + i * RIG_BLOCK, w->t->stamp);
			}
			w->result = rig_io(&w->t->volume, BLOCK_WRITE, run * RUN * RIG_BLOCK, data,
					   RUN * RIG_BLOCK);
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
	uint64_t bytes = runs / 2 * RUN * RIG_BLOCK;

	assert_true(runs > 16 && (runs + 1) * RUN <= t->blocks);
	overwrite_thrice(t, runs);
	assert_int_equal(write_run(t, runs * RUN, RUN), full);
	assert_int_equal(rig_io(&t->volume, BLOCK_DISCARD, 0, NULL, bytes), 0);
	memset(t->stamps, 0, runs / 2 * RUN * sizeof(*t->stamps));
	assert_int_equal(write_run(t, runs * RUN, RUN), 0);
}

/* `quota`: the volume is full, not the pool. */
static void overwrites(bool quota)
{
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct trial *t = trial_new(seed, 1, 64 * MiB, 16384);

		t->rig.delta_records = 1024 * (seed % 2 + 1);
		t->params.quota_bytes = quota ? 8 * MiB : 0;
		rig_run(&t->rig, format_and_open, t);
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
		assert_int_equal(write_run(t, runs * RUN, RUN), -ENOSPC);
	pool_status(t->rig.pool, &after);
	assert_int_equal(after.checkpoints_made - before.checkpoints_made, 0);
	assert_int_equal(rig_io(&t->volume, BLOCK_DISCARD, 0, NULL, RUN * RIG_BLOCK), 0);
	memset(t->stamps, 0, RUN * sizeof(*t->stamps));
	assert_int_equal(write_run(t, runs * RUN, RUN), 0);
}

static void refusals_cost_no_checkpoints(void **state)
{
	struct trial *t = trial_new(1, 1, 64 * MiB, 16384);

	t->rig.delta_records = 1024;
	rig_run(&t->rig, format_and_open, t);
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
		for (uint64_t b = 0; b < params.size_bytes / RIG_BLOCK; b += RUN)
			assert_int_equal(write_run(t, b, RUN), 0);
	}
	rig_volume_close(&t->volume);
	t->volume = filled;
}

static void promised_space_is_there(void **state)
{
	struct trial *t = trial_new(1, 1, 64 * MiB, 16384);

	t->rig.delta_records = 1024;
	rig_run(&t->rig, format_and_open, t);
	rig_run(&t->rig, keep_the_promise, t);
	rig_run(&t->rig, close_pool, t);
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
	for (uint64_t b = 0; b < params.size_bytes / RIG_BLOCK; b += RUN)
		assert_int_equal(write_run(t, b, RUN), 0);
	rig_volume_close(&t->volume);
	t->volume = paused;
	w.end = t->blocks / RUN;
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
	rig_run(&t->rig, format_and_open, t);
	rig_run(&t->rig, pause_and_resume, t);
	rig_run(&t->rig, check_all, t);
	rig_run(&t->rig, close_pool, t);
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
			for (uint64_t b = 0; b < 1024; b += RUN)
				assert_int_equal(write_run(t, b, RUN), 0);
			if (part == 0)
				assert_int_equal(pool_snapshot_create(t->rig.pool, names, 1, NULL),
						 0);
		}
		assert_int_equal(pool_sync(t->rig.pool), 0);
		assert_int_equal(pool_snapshot_destroy(t->rig.pool, names[0], NULL), 0);
	}
	/* All but the reserve is there. */
	for (uint64_t b = 1024; b < t->blocks; b += RUN)
		assert_int_equal(write_run(t, b, RUN), 0);
}

static void versions_between_snapshots_of_others_go(void **state)
{
	struct trial *t = trial_new(1, 1, 64 * MiB, 6016);

	t->rig.delta_records = 4096;
	rig_run(&t->rig, format_and_open, t);
	rig_run(&t->rig, overwrite_across_snapshots, t);
	trial_end(t);
}

/* --- Metadata takes all there is ---------------------------------------------------------------
 */

#define LEAF 128 /* blocks under one leaf of the map */

static int snapshot_make(struct trial *t, unsigned number)
{
	char name[32];
	const char *names[] = {name};

	snprintf(name, sizeof(name), "vol@s%u", number);
	return pool_snapshot_create(t->rig.pool, names, 1, NULL);
}

/* A block, always one of the same few, of each leaf, so that snapshots keep as many pages as
 * blocks, each of them twice. */
static int scatter(struct trial *t, unsigned round)
{
	int r = 0;

	for (uint64_t b = round % 8; b < t->blocks && r == 0; b += LEAF)
		r = write_run(t, b, 1);
	return r;
}

/* Each part of a leaf that a snapshot has costs a new leaf; so in the end it is refused. */
static void trim_leaf_by_leaf(struct trial *t)
{
	for (uint64_t b = 0; b + RUN <= t->blocks; b += LEAF / 2) {
		const uint64_t count = b % LEAF == 0 ? 1 : RUN - 4;
		const int r =
			rig_io(&t->volume, BLOCK_DISCARD, b * RIG_BLOCK, NULL, count * RIG_BLOCK);

		if (r == 0)
			memset(t->stamps + b, 0, count * sizeof(*t->stamps));
		else
			assert_int_equal(r, -ENOSPC);
		if (b % (8 * LEAF) == 0)
			(void)write_run(t, b + 4, 4);
	}
}

/* What was destroyed is gone, and what it had may be written over. */
static void rest(struct trial *t)
{
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(pool_sync(t->rig.pool), 0);
}

static void fill_with_snapshots(void *arg)
{
	struct trial *t = arg;
	struct pool_status status;
	unsigned count = 0;
	char name[32];
	int r;

	for (r = 0; r == 0; count += (r == 0)) {
		r = scatter(t, count);
		if (r == 0)
			r = snapshot_make(t, count);
	}
	assert_int_equal(r, -ENOSPC);
	assert_true(count > 10);
	/* What is refused is refused for as long as it takes, and harms nothing. */
	for (unsigned i = 0; i < 40; i++) {
		(void)scatter(t, count + i);
		(void)snapshot_make(t, count + i);
		r = rig_io(&t->volume, BLOCK_DISCARD, (uint64_t)i * RUN * RIG_BLOCK, NULL,
			   RUN * RIG_BLOCK);
		if (r == 0)
			memset(t->stamps + (size_t)i * RUN, 0, RUN * sizeof(*t->stamps));
	}
	trim_leaf_by_leaf(t);
	pool_status(t->rig.pool, &status);
	assert_int_equal(status.health, POOL_ONLINE);
	check_all(t);
	for (unsigned i = 0; i < count + 40; i++) {
		snprintf(name, sizeof(name), "vol@s%u", i);
		r = pool_snapshot_destroy(t->rig.pool, name, NULL);
		if (r != 0 && (i < count || r != -ENOENT))
			fail_msg("seed %llu: %s is not destroyed: %d",
				 (unsigned long long)t->rig.seed, name, r);
	}
	rest(t);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(scatter(t, i), 0);
		assert_int_equal(snapshot_make(t, i), 0);
	}
}

static void snapshots_leave_room_for_their_end(void **state)
{
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct trial *t =
			trial_new(seed, (unsigned)seed % 3 + 1, 64 * MiB, seed > 2 ? 16384 : 4096);

		t->rig.mirror = seed % 2 == 0;
		t->rig.delta_records = 512U << seed % 3;
		rig_run(&t->rig, format_and_open, t);
		rig_run(&t->rig, fill_with_snapshots, t);
		trial_end(t);
	}
}

/* --- Data and metadata in turn ------------------------------------------------------------------
 */

#define FAT_BLOCKS 16384

/* Blocks of another volume until the pool is full; then the volume goes. */
static unsigned fat_come_and_go(struct trial *t)
{
	const struct pool_volume_params params = {.size_bytes = FAT_BLOCKS * RIG_BLOCK};
	struct rig_volume volume;
	unsigned runs = 0;

	assert_int_equal(pool_volume_create(t->rig.pool, "fat", &params, NULL), 0);
	assert_int_equal(rig_volume_open(&t->rig, "fat", &volume), 0);
	memset(t->data, 0x5a, (size_t)RUN * RIG_BLOCK);
	while (runs < FAT_BLOCKS / RUN &&
	       rig_io(&volume, BLOCK_WRITE, (uint64_t)runs * RUN * RIG_BLOCK, t->data,
		      RUN * RIG_BLOCK) == 0)
		runs++;
	rig_volume_close(&volume);
	assert_int_equal(pool_volume_destroy(t->rig.pool, "fat", false, NULL), 0);
	rest(t);
	return runs;
}

/* Snapshots until there are no pages for more; then they go. */
static unsigned snapshots_come_and_go(struct trial *t)
{
	unsigned count = 0;
	char name[32];

	while (scatter(t, count) == 0 && snapshot_make(t, count) == 0)
		count++;
	for (unsigned i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "vol@s%u", i);
		assert_int_equal(pool_snapshot_destroy(t->rig.pool, name, NULL), 0);
	}
	rest(t);
	return count;
}

/* Who comes first, of new pools, has all there is; how many of each then, in turn. */
struct turns {
	struct trial *t;
	bool fat_first;
	unsigned snapshots[3], runs[3];
};

static void take_turns(void *arg)
{
	struct turns *turns = arg;

	for (unsigned i = 0; i < ARRAY_SIZE(turns->runs); i++) {
		if (turns->fat_first)
			turns->runs[i] = fat_come_and_go(turns->t);
		turns->snapshots[i] = snapshots_come_and_go(turns->t);
		if (!turns->fat_first)
			turns->runs[i] = fat_come_and_go(turns->t);
	}
}

static void turns_run(uint64_t seed, struct turns *turns)
{
	turns->t = trial_new(seed, (unsigned)seed, 64 * MiB, 4096);
	turns->t->rig.mirror = seed == 2;
	turns->t->rig.delta_records = 1024;
	rig_run(&turns->t->rig, format_and_open, turns->t);
	rig_run(&turns->t->rig, take_turns, turns);
	trial_end(turns->t);
}

/* What data or metadata does not need any more is the other's. */
static void chunks_go_to_and_fro(void **state)
{
	for (uint64_t seed = 1; seed <= 2; seed++) {
		struct turns fat = {.fat_first = true};
		struct turns thin = {.fat_first = false};

		turns_run(seed, &fat);
		turns_run(seed, &thin);
		for (unsigned i = 0; i < ARRAY_SIZE(fat.runs); i++) {
			/* What a checkpoint keeps for metadata is a fifth of so small a pool. */
			if (MIN(fat.snapshots[i], thin.snapshots[i]) * 10 < thin.snapshots[0] * 8 ||
			    MIN(fat.runs[i], thin.runs[i]) * 10 < fat.runs[0] * 6)
				fail_msg("seed %llu: %u: of %u snapshots %u and %u, of %u runs %u "
					 "and %u",
					 (unsigned long long)seed, i, thin.snapshots[0],
					 thin.snapshots[i], fat.snapshots[i], fat.runs[0],
					 fat.runs[i], thin.runs[i]);
		}
	}
}

/* A quota that is full pauses its volume; the pool, which has space, says that guests wait. */
static void pause_at_a_quota(void *arg)
{
	struct trial *t = arg;
	struct writer w = {.t = t, .end = t->blocks / RUN};
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
	rig_run(&t->rig, format_and_open, t);
	rig_run(&t->rig, pause_at_a_quota, t);
	rig_run(&t->rig, check_all, t);
	rig_run(&t->rig, close_pool, t);
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
		cmocka_unit_test(snapshots_leave_room_for_their_end),
		cmocka_unit_test(chunks_go_to_and_fro),
		cmocka_unit_test(a_paused_volume_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
