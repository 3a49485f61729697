/* SPDX-License-Identifier: Apache-2.0 */
/* When a pool makes checkpoints of its own accord. All in simulated time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <quoin/base_assert.h>

#include "engine_rig.h"

#define DRIVE_BYTES (128 * MiB)
#define VOLUME_BYTES (64 * MiB)
#define BLOCKS (VOLUME_BYTES / RIG_BLOCK)

struct trial {
	struct engine_rig rig;
	struct rig_volume volume;
	_Alignas(RIG_BLOCK) uint8_t page[RIG_BLOCK];
};

static struct trial *trial_new(void)
{
	struct trial *t = aligned_alloc(RIG_BLOCK, sizeof(*t));

	ASSERT(t != NULL);
	memset(t, 0, sizeof(*t));
	return t;
}

static void begin(void *arg)
{
	const struct pool_volume_params params = {.size_bytes = VOLUME_BYTES};
	struct trial *t = arg;

	rig_format(&t->rig);
	assert_int_equal(rig_open(&t->rig), 0);
	assert_int_equal(pool_volume_create(t->rig.pool, "vol", &params, NULL), 0);
	assert_int_equal(rig_volume_open(&t->rig, "vol", &t->volume), 0);
	assert_int_equal(pool_sync(t->rig.pool), 0);
}

static void finish(void *arg)
{
	struct trial *t = arg;

	rig_volume_close(&t->volume);
	assert_int_equal(rig_close(&t->rig), 0);
}

static void trial_run(void (*body)(void *arg), uint64_t delta_records)
{
	struct trial *t = trial_new();

	rig_init(&t->rig, 1, 1, DRIVE_BYTES);
	t->rig.delta_records = delta_records;
	rig_run(&t->rig, begin, t);
	rig_run(&t->rig, body, t);
	rig_run(&t->rig, finish, t);
	rig_fini(&t->rig);
	free(t);
}

static void write_block(struct trial *t, uint64_t block)
{
	memset(t->page, (int)(block % 255) + 1, RIG_BLOCK);
	assert_int_equal(rig_io(&t->volume, BLOCK_WRITE, block * RIG_BLOCK, t->page, RIG_BLOCK), 0);
}

static struct pool_status status(const struct trial *t)
{
	struct pool_status status;

	pool_status(t->rig.pool, &status);
	return status;
}

static void sleep_s(unsigned seconds)
{
	assert_int_equal(fiber_sleep_ns(seconds * NS_PER_S), 0);
}

/* --- Age ------------------------------------------------------------------------------------- */

static void rest(void *arg)
{
	static const char *const name = "vol@cut";
	struct trial *t = arg;
	const uint64_t made = status(t).checkpoints_made;

	write_block(t, 1);
	sleep_s(4);
	assert_int_equal(status(t).checkpoints_made, made);
	sleep_s(4);
	assert_int_equal(status(t).checkpoints_made, made + 1);
	/* A cut is something to merge, too. */
	assert_int_equal(pool_snapshot_create(t->rig.pool, &name, 1, NULL), 0);
	sleep_s(8);
	assert_int_equal(status(t).checkpoints_made, made + 2);
	assert_int_equal(rig_io(&t->volume, BLOCK_DISCARD, 0, NULL, (uint64_t)VOLUME_BYTES), 0);
	sleep_s(8);
	assert_int_equal(status(t).checkpoints_made, made + 3);
	sleep_s(600);
	assert_int_equal(status(t).checkpoints_made, made + 3);
}

static void writes_at_rest_are_merged(void **state)
{
	trial_run(rest, 4096);
}

/* One write a second: it never rests. */
static void trickle(void *arg)
{
	struct trial *t = arg;
	const uint64_t made = status(t).checkpoints_made;

	for (unsigned s = 0; s < 25; s++) {
		write_block(t, s);
		sleep_s(1);
	}
	assert_int_equal(status(t).checkpoints_made, made);
	for (unsigned s = 0; s < 100; s++) {
		write_block(t, s);
		sleep_s(1);
	}
	assert_in_range(status(t).checkpoints_made, made + 3, made + 5);
}

static void old_writes_are_merged(void **state)
{
	trial_run(trickle, 4096);
}

static void crash(void *arg)
{
	struct trial *t = arg;

	for (unsigned i = 0; i < 1000; i++)
		write_block(t, i);
	sleep_s(10);
	rig_power_cut(&t->rig);
	rig_volume_close(&t->volume);
	rig_close(&t->rig);
}

static void reopen(void *arg)
{
	struct trial *t = arg;

	assert_int_equal(rig_open(&t->rig), 0);
	assert_int_equal(status(t).replayed_records, 0);
	assert_int_equal(rig_volume_open(&t->rig, "vol", &t->volume), 0);
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(
			rig_io(&t->volume, BLOCK_READ, (uint64_t)i * RIG_BLOCK, t->page, RIG_BLOCK),
			0);
		assert_int_equal(t->page[0], i % 255 + 1);
	}
}

static void an_import_after_rest_replays_nothing(void **state)
{
	struct trial *t = trial_new();

	rig_init(&t->rig, 1, 1, DRIVE_BYTES);
	t->rig.delta_records = 4096;
	rig_run(&t->rig, begin, t);
	rig_run(&t->rig, crash, t);
	rig_power_on(&t->rig);
	rig_run(&t->rig, reopen, t);
	rig_run(&t->rig, finish, t);
	rig_fini(&t->rig);
	free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_at_rest_are_merged),
		cmocka_unit_test(old_writes_are_merged),
		cmocka_unit_test(an_import_after_rest_replays_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
