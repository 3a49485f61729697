/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thousands of snapshots of one volume, with writes between them, some destroyed, the pool closed
 * and opened again: the ones that are left are found by name and hold what the volume held.
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

#define SNAPSHOTS 3000
#define BLOCKS 64
#define DESTROY_EVERY 41 /* a checkpoint each */
#define CHECK_EVERY 13

struct trial {
	struct engine_rig rig;
	struct rig_volume volume;
	uint32_t now[BLOCKS], then[SNAPSHOTS][BLOCKS]; /* what each block holds */
	uint32_t stamp;
	uint8_t *page;
};

static void fill(uint8_t *page, uint32_t stamp)
{
	for (size_t i = 0; i < RIG_BLOCK; i += sizeof(stamp))
		memcpy(page + i, &stamp, sizeof(stamp));
}

static bool destroyed(unsigned n)
{
	return n % DESTROY_EVERY == 7;
}

static void name_make(char name[32], unsigned n)
{
	snprintf(name, 32, "vol@s%u", n);
}

static void write_some(struct trial *t)
{
	for (unsigned i = 0; i < 2; i++) {
		const uint64_t block = random_below(&t->rig.random, BLOCKS);

		t->now[block] = ++t->stamp;
		fill(t->page, t->stamp);
		assert_int_equal(
			rig_io(&t->volume, BLOCK_WRITE, block * RIG_BLOCK, t->page, RIG_BLOCK), 0);
	}
}

static void snapshots_make(void *arg)
{
	const struct pool_volume_params params = {.size_bytes = BLOCKS * RIG_BLOCK};
	struct trial *t = arg;
	char name[32];
	const char *names = name;

	rig_format(&t->rig);
	assert_int_equal(rig_open(&t->rig), 0);
	assert_int_equal(pool_volume_create(t->rig.pool, "vol", &params, NULL), 0);
	assert_int_equal(rig_volume_open(&t->rig, "vol", &t->volume), 0);
	for (unsigned n = 0; n < SNAPSHOTS; n++) {
		write_some(t);
		name_make(name, n);
		assert_int_equal(pool_snapshot_create(t->rig.pool, &names, 1, NULL), 0);
		assert_int_equal(pool_snapshot_create(t->rig.pool, &names, 1, NULL), -EEXIST);
		memcpy(t->then[n], t->now, sizeof(t->now));
	}
	write_some(t);
}

static void some_destroy(void *arg)
{
	struct trial *t = arg;
	char name[32];

	for (unsigned n = 0; n < SNAPSHOTS; n++) {
		if (!destroyed(n))
			continue;
		name_make(name, n);
		assert_int_equal(pool_snapshot_destroy(t->rig.pool, name, NULL), 0);
	}
	rig_volume_close(&t->volume);
	assert_int_equal(rig_close(&t->rig), 0);
}

static void blocks_check(struct trial *t, struct rig_volume *volume, const uint32_t *want)
{
	uint8_t expected[RIG_BLOCK];

	for (uint64_t b = 0; b < BLOCKS; b++) {
		fill(expected, want[b]);
		assert_int_equal(rig_io(volume, BLOCK_READ, b * RIG_BLOCK, t->page, RIG_BLOCK), 0);
		assert_memory_equal(t->page, expected, RIG_BLOCK);
	}
}

static void all_check(void *arg)
{
	struct trial *t = arg;
	struct pool_snapshot_info info;
	struct pool_status status;
	unsigned left = 0;
	char name[32];

	assert_int_equal(rig_open(&t->rig), 0);
	for (unsigned n = 0; n < SNAPSHOTS; n++) {
		struct rig_volume snapshot;

		name_make(name, n);
		assert_int_equal(pool_snapshot_find(t->rig.pool, name, &info),
				 destroyed(n) ? -ENOENT : 0);
		left += !destroyed(n);
		if (n % CHECK_EVERY != 0 || destroyed(n))
			continue;
		assert_int_equal(rig_volume_open(&t->rig, name, &snapshot), 0);
		blocks_check(t, &snapshot, t->then[n]);
		rig_volume_close(&snapshot);
	}
	pool_status(t->rig.pool, &status);
	assert_int_equal(status.snapshot_count, left);
	assert_int_equal(rig_volume_open(&t->rig, "vol", &t->volume), 0);
	blocks_check(t, &t->volume, t->now);
	rig_volume_close(&t->volume);
	assert_int_equal(rig_close(&t->rig), 0);
}

static void thousands_of_snapshots(void **state)
{
	struct trial *t = calloc(1, sizeof(*t));

	ASSERT(t != NULL);
	rig_init(&t->rig, 1, 1, 256 * MiB);
	t->page = aligned_alloc(RIG_BLOCK, RIG_BLOCK);
	ASSERT(t->page != NULL);
	rig_run(&t->rig, snapshots_make, t);
	rig_run(&t->rig, some_destroy, t);
	rig_run(&t->rig, all_check, t);
	rig_fini(&t->rig);
	free(t->page);
	free(t);
}

/* A block that was written in part, and whose rest cannot be read, would be missing in it. */
static void part_main(void *arg)
{
	const struct pool_volume_params params = {.size_bytes = BLOCKS * RIG_BLOCK};
	const struct disk_sim_fault unreadable = {
		.kind = DISK_SIM_FAIL, .ops = 1U << DISK_READ, .result = -EIO};
	struct trial *t = arg;
	const char *names = "vol@s0";
	struct rig_volume snapshot;
	struct err err = {.code = 0};

	rig_format(&t->rig);
	assert_int_equal(rig_open(&t->rig), 0);
	assert_int_equal(pool_volume_create(t->rig.pool, "vol", &params, NULL), 0);
	assert_int_equal(rig_volume_open(&t->rig, "vol", &t->volume), 0);
	t->now[0] = 1;
	fill(t->page, 1);
	assert_int_equal(rig_io(&t->volume, BLOCK_WRITE, 0, t->page, RIG_BLOCK), 0);
	assert_int_equal(disk_sim_fault_add(t->rig.drives[0], &unreadable), 0);
	fill(t->page, 2);
	assert_int_equal(rig_io(&t->volume, BLOCK_WRITE, 512, t->page, 512), 0);
	assert_int_equal(pool_snapshot_create(t->rig.pool, &names, 1, &err), -EIO);
	assert_non_null(strstr(err.text, "'vol'"));
	assert_int_equal(pool_snapshot_find(t->rig.pool, names, &(struct pool_snapshot_info){0}),
			 -ENOENT);
	t->now[0] = 2;
	assert_int_equal(rig_io(&t->volume, BLOCK_WRITE, 0, t->page, RIG_BLOCK), 0);
	assert_int_equal(pool_snapshot_create(t->rig.pool, &names, 1, NULL), 0);
	disk_sim_faults_clear(t->rig.drives[0]);
	assert_int_equal(rig_volume_open(&t->rig, names, &snapshot), 0);
	blocks_check(t, &snapshot, t->now);
	rig_volume_close(&snapshot);
	rig_volume_close(&t->volume);
	assert_int_equal(rig_close(&t->rig), 0);
}

static void refused_when_a_block_is_in_part(void **state)
{
	struct trial *t = calloc(1, sizeof(*t));

	ASSERT(t != NULL);
	rig_init(&t->rig, 1, 1, 64 * MiB);
	t->page = aligned_alloc(RIG_BLOCK, RIG_BLOCK);
	ASSERT(t->page != NULL);
	rig_run(&t->rig, part_main, t);
	rig_fini(&t->rig);
	free(t->page);
	free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(thousands_of_snapshots),
		cmocka_unit_test(refused_when_a_block_is_in_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
