/* SPDX-License-Identifier: Apache-2.0 */
/* A whole pool whose metadata takes all there is, and gives it back. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <quoin/base_assert.h>

#include "engine/engine.h"
#include "trial.h"

#define SCATTERERS 16

/* --- Metadata takes all there is ------------------------------------------------------------ */

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
		r = trial_write(t, b, 1);
	return r;
}

/* Each part of a leaf that a snapshot has costs a new leaf; so in the end it is refused. */
static void trim_leaf_by_leaf(struct trial *t)
{
	for (uint64_t b = 0; b + TRIAL_RUN <= t->blocks; b += LEAF / 2) {
		const uint64_t count = b % LEAF == 0 ? 1 : TRIAL_RUN - 4;
		const int r =
			rig_io(&t->volume, BLOCK_DISCARD, b * RIG_BLOCK, NULL, count * RIG_BLOCK);

		if (r == 0)
			memset(t->stamps + b, 0, count * sizeof(*t->stamps));
		else
			assert_int_equal(r, -ENOSPC);
		if (b % (8 * LEAF) == 0)
			(void)trial_write(t, b + 4, 4);
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
		r = rig_io(&t->volume, BLOCK_DISCARD, (uint64_t)i * TRIAL_RUN * RIG_BLOCK, NULL,
			   TRIAL_RUN * RIG_BLOCK);
		if (r == 0)
			memset(t->stamps + (size_t)i * TRIAL_RUN, 0,
			       TRIAL_RUN * sizeof(*t->stamps));
	}
	trim_leaf_by_leaf(t);
	pool_status(t->rig.pool, &status);
	assert_int_equal(status.health, POOL_ONLINE);
	trial_check(t);
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
		rig_run(&t->rig, trial_begin, t);
		rig_run(&t->rig, fill_with_snapshots, t);
		trial_end(t);
	}
}

#define WIDE_BYTES (1024 * GiB)

struct scatterer {
	struct trial *t;
	uint64_t seed;
	unsigned written, refused;
	bool ended;
};

/* Each block in a leaf of its own. */
static void scatterer_main(void *arg)
{
	struct scatterer *s = arg;
	uint8_t *data = aligned_alloc(RIG_BLOCK, RIG_BLOCK);
	struct random random;

	random_init(&random, s->seed);
	memset(data, 0x66, RIG_BLOCK);
	while (s->refused < 50) {
		const uint64_t at = random_below(&random, WIDE_BYTES / RIG_BLOCK) * RIG_BLOCK;
		const int r = rig_io(&s->t->volume, BLOCK_WRITE, at, data, RIG_BLOCK);

		if (r != 0 && r != -ENOSPC) {
			struct pool_status status;

			pool_status(s->t->rig.pool, &status);
			fail_msg("seed %llu: write: %d: %s", (unsigned long long)s->t->rig.seed, r,
				 status.problem);
		}
		s->written += r == 0;
		s->refused += r != 0;
	}
	free(data);
	s->ended = true;
}

static void scatter_wide(void *arg)
{
	struct trial *t = arg;
	struct scatterer writers[SCATTERERS];
	struct pool_status status;
	unsigned written = 0;

	for (unsigned i = 0; i < SCATTERERS; i++) {
		writers[i] = (struct scatterer){.t = t, .seed = t->rig.seed * SCATTERERS + i};
		ASSERT(fiber_start(t->rig.loop, false, scatterer_main, &writers[i], NULL) == 0);
	}
	for (unsigned i = 0; i < SCATTERERS; i++) {
		while (!writers[i].ended)
			fiber_sleep_ns(NS_PER_MS);
		written += writers[i].written;
	}
	pool_status(t->rig.pool, &status);
	if (status.health != POOL_ONLINE || written < 1000)
		fail_msg("seed %llu: %u written, %s", (unsigned long long)t->rig.seed, written,
			 status.problem);
}

/* Data must not take the chunks on which whoever admitted the writes had counted for their maps. */
static void scattered_writes_find_their_maps(void **state)
{
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct trial *t = trial_new(seed, (unsigned)seed % 2 + 1, 64 * MiB,
					    WIDE_BYTES / RIG_BLOCK / (64 * KiB));

		t->rig.delta_records = 512U << seed % 3;
		t->params.size_bytes = WIDE_BYTES;
		rig_run(&t->rig, trial_begin, t);
		rig_run(&t->rig, scatter_wide, t);
		rig_run(&t->rig, trial_close, t);
		rig_run(&t->rig, trial_open, t);
		rig_run(&t->rig, trial_close, t);
		trial_free(t);
	}
}

/* --- Data and metadata in turn ------------------------------------------------------------------
 */

#define FAT_BLOCKS 65536
#define TURNS_BYTES (128 * MiB)

/* Blocks of another volume until the pool is full; then the volume goes. */
static unsigned fat_come_and_go(struct trial *t)
{
	const struct pool_volume_params params = {.size_bytes = FAT_BLOCKS * RIG_BLOCK};
	struct rig_volume volume;
	unsigned runs = 0;

	assert_int_equal(pool_volume_create(t->rig.pool, "fat", &params, NULL), 0);
	assert_int_equal(rig_volume_open(&t->rig, "fat", &volume), 0);
	memset(t->data, 0x5a, (size_t)TRIAL_RUN * RIG_BLOCK);
	while (runs < FAT_BLOCKS / TRIAL_RUN &&
	       rig_io(&volume, BLOCK_WRITE, (uint64_t)runs * TRIAL_RUN * RIG_BLOCK, t->data,
		      TRIAL_RUN * RIG_BLOCK) == 0)
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
	unsigned snapshots[2], runs[2];
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
	turns->t = trial_new(seed, (unsigned)seed, TURNS_BYTES, 4096);
	turns->t->rig.delta_records = 1024;
	rig_run(&turns->t->rig, trial_begin, turns->t);
	rig_run(&turns->t->rig, take_turns, turns);
	trial_end(turns->t);
}

/* What data or metadata does not need any more is the other's. */
static void chunks_go_to_and_fro(void **state)
{
	struct turns fat = {.fat_first = true};
	struct turns thin = {.fat_first = false};

	turns_run(1, &fat);
	turns_run(1, &thin);
	for (unsigned i = 0; i < ARRAY_SIZE(fat.runs); i++) {
		/* What a checkpoint keeps for metadata is a good part of so small a pool. */
		if (MIN(fat.snapshots[i], thin.snapshots[i]) * 10 < thin.snapshots[0] * 8 ||
		    MIN(fat.runs[i], thin.runs[i]) * 10 < fat.runs[0] * 6)
			fail_msg("%u: of %u snapshots %u and %u, of %u runs %u and %u", i,
				 thin.snapshots[0], thin.snapshots[i], fat.snapshots[i],
				 fat.runs[0], fat.runs[i], thin.runs[i]);
	}
}

/* --- No slot is left, and none comes ------------------------------------------------------------
 */

#define SLOTS_MAX 65536

struct taken {
	struct trial *t;
	uint64_t *slots;
	unsigned count;
};

/* As if others had blocks in all slots that data can have. */
static void slots_take(struct taken *taken)
{
	struct pool *pool = taken->t->rig.pool;
	unsigned before;

	do {
		before = taken->count;
		while (space_alloc(pool->space, SEGMENT_DATA, 1, &taken->slots[taken->count]) > 0) {
			space_ref(pool->space, taken->slots[taken->count++]);
			assert_true(taken->count < SLOTS_MAX);
		}
		rest(taken->t);
	} while (taken->count > before);
}

static void slots_give(struct taken *taken)
{
	while (taken->count > 0)
		space_unref(taken->t->rig.pool->space, taken->slots[--taken->count]);
	rest(taken->t);
}

static void ask_for_slots(void *arg)
{
	struct taken *taken = arg;
	struct trial *t = taken->t;
	const char *name = "vol@cut";
	struct err err = {.code = 0};
	uint64_t checkpoint;

	assert_int_equal(trial_write(t, 0, TRIAL_RUN), 0);
	rest(t);
	slots_take(taken);
	/* A part of a block waits for its rest, and nobody for that. */
	assert_int_equal(rig_io(&t->volume, BLOCK_WRITE, 0, t->data, 512), 0);
	assert_int_equal(rig_io(&t->volume, BLOCK_WRITE, RIG_BLOCK, t->data, RIG_BLOCK), -ENOSPC);
	assert_int_equal(pool_snapshot_create(t->rig.pool, &name, 1, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "written in part"));
	checkpoint = t->rig.pool->super.ckpt;
	assert_int_equal(rig_io(&t->volume, BLOCK_WRITE, RIG_BLOCK, t->data, RIG_BLOCK), -ENOSPC);
	assert_int_equal(t->rig.pool->super.ckpt, checkpoint);
	slots_give(taken);
	assert_int_equal(trial_write(t, 0, 2), 0);
	assert_int_equal(pool_snapshot_create(t->rig.pool, &name, 1, NULL), 0);
}

/* A write that ends some time. */
struct patient {
	struct trial *t;
	int result;
	bool ended;
};

static void patient_main(void *arg)
{
	struct patient *patient = arg;

	patient->result = trial_write(patient->t, 2, 2);
	patient->ended = true;
}

static void wait_for_slots(void *arg)
{
	struct taken *taken = arg;
	struct trial *t = taken->t;
	struct patient patient = {.t = t};
	struct pool_status status;

	assert_int_equal(pool_volume_set(t->rig.pool, "vol", POOL_VOLUME_PAUSE_WHEN_FULL, 1, NULL),
			 0);
	assert_int_equal(trial_write(t, 0, TRIAL_RUN), 0);
	rest(t);
	slots_take(taken);
	assert_int_equal(fiber_start(t->rig.loop, false, patient_main, &patient, NULL), 0);
	rest(t);
	pool_status(t->rig.pool, &status);
	assert_true(status.full);
	assert_false(patient.ended);
	slots_give(taken);
	assert_true(patient.ended);
	assert_int_equal(patient.result, 0);
}

static void slots_run(void (*run)(void *arg))
{
	struct taken taken = {.t = trial_new(1, 1, 64 * MiB, 4096),
			      .slots = calloc(SLOTS_MAX, sizeof(*taken.slots))};

	assert_non_null(taken.slots);
	taken.t->rig.delta_records = 1024;
	rig_run(&taken.t->rig, trial_begin, taken.t);
	rig_run(&taken.t->rig, run, &taken);
	trial_end(taken.t);
	free(taken.slots);
}

static void who_waits_for_slots_in_vain_is_told(void **state)
{
	slots_run(ask_for_slots);
}

static void a_volume_pauses_until_there_are_slots(void **state)
{
	slots_run(wait_for_slots);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(snapshots_leave_room_for_their_end),
		cmocka_unit_test(scattered_writes_find_their_maps),
		cmocka_unit_test(chunks_go_to_and_fro),
		cmocka_unit_test(who_waits_for_slots_in_vain_is_told),
		cmocka_unit_test(a_volume_pauses_until_there_are_slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
