/* SPDX-License-Identifier: Apache-2.0 */
/* What no copy could serve is known by place, until it is read well, written anew, or gone. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine_rig.h"

#define VOLUME_BYTES (4 * MiB)

struct test {
	struct engine_rig rig;
	struct rig_volume volume;
	struct pool_damage damage;
	uint8_t *data; /* 64 KiB */
};

static void begin(struct test *t)
{
	const struct pool_volume_params params = {.size_bytes = VOLUME_BYTES};

	rig_format(&t->rig);
	assert_int_equal(rig_open(&t->rig), 0);
	assert_int_equal(pool_volume_create(t->rig.pool, "vol", &params, NULL), 0);
	assert_int_equal(rig_volume_open(&t->rig, "vol", &t->volume), 0);
	for (uint64_t at = 0; at < VOLUME_BYTES; at += 64 * KiB)
		assert_int_equal(rig_io(&t->volume, BLOCK_WRITE, at, t->data, 64 * KiB), 0);
}

static void end(struct test *t)
{
	rig_volume_close(&t->volume);
	assert_int_equal(rig_close(&t->rig), 0);
}

/* From now on its drive reads nothing, or all again. */
static void drive_reads(struct test *t, bool well)
{
	const struct disk_sim_fault fault = {
		.kind = DISK_SIM_FAIL, .ops = 1U << DISK_READ, .result = -EIO};

	disk_sim_faults_clear(t->rig.drives[0]);
	if (!well)
		assert_int_equal(disk_sim_fault_add(t->rig.drives[0], &fault), 0);
}

static void reads(struct test *t, struct rig_volume *volume, uint64_t block, unsigned count,
		  int result)
{
	assert_int_equal(rig_io(volume, BLOCK_READ, block * RIG_BLOCK, t->data, count * RIG_BLOCK),
			 result);
}

static const struct pool_damage *look(struct test *t, unsigned count)
{
	pool_damage(t->rig.pool, &t->damage);
	assert_int_equal(t->damage.count, count);
	return &t->damage;
}

static bool listed(const struct pool_damage *damage, const char *name, uint64_t block,
		   uint64_t count)
{
	for (unsigned i = 0; i < damage->count; i++) {
		if (strcmp(damage->ranges[i].name, name) == 0 &&
		    damage->ranges[i].offset == block * RIG_BLOCK &&
		    damage->ranges[i].length_bytes == count * RIG_BLOCK)
			return true;
	}
	return false;
}

static void ranges_main(void *arg)
{
	struct test *t = arg;

	begin(t);
	look(t, 0);
	drive_reads(t, false);
	reads(t, &t->volume, 1, 2, -EIO);
	assert_true(listed(look(t, 1), "vol", 1, 2));
	reads(t, &t->volume, 8, 1, -EIO);
	reads(t, &t->volume, 1, 1, -EIO); /* known */
	assert_true(listed(look(t, 2), "vol", 8, 1));
	reads(t, &t->volume, 4, 1, -EIO);
	reads(t, &t->volume, 3, 1, -EIO); /* joins what is on both sides */
	assert_true(listed(look(t, 2), "vol", 1, 4));
	/* A part of a block says nothing of the rest, neither read nor written. */
	drive_reads(t, true);
	assert_int_equal(rig_io(&t->volume, BLOCK_READ, 2 * RIG_BLOCK, t->data, 512), 0);
	assert_true(listed(look(t, 2), "vol", 1, 4));
	assert_int_equal(rig_io(&t->volume, BLOCK_WRITE, 2 * RIG_BLOCK, t->data, RIG_BLOCK), 0);
	assert_true(listed(look(t, 3), "vol", 1, 1));
	assert_true(listed(&t->damage, "vol", 3, 2));
	assert_int_equal(rig_io(&t->volume, BLOCK_DISCARD, 3 * RIG_BLOCK, NULL, 6 * RIG_BLOCK), 0);
	assert_true(listed(look(t, 1), "vol", 1, 1));
	reads(t, &t->volume, 0, 4, 0);
	look(t, 0);
	end(t);
}

static void bounded_main(void *arg)
{
	struct test *t = arg;

	begin(t);
	drive_reads(t, false);
	for (unsigned i = 0; i < POOL_DAMAGE_MAX + 5; i++)
		reads(t, &t->volume, 2 * i, 1, -EIO);
	look(t, POOL_DAMAGE_MAX);
	assert_int_equal(t->damage.more_bytes, 5 * RIG_BLOCK);
	assert_true(listed(&t->damage, "vol", 2 * (POOL_DAMAGE_MAX - 1), 1));
	/* Those that are well make room for others. */
	drive_reads(t, true);
	reads(t, &t->volume, 0, 16, 0);
	look(t, POOL_DAMAGE_MAX - 8);
	end(t);
}

static void objects_main(void *arg)
{
	static const char *const name = "vol@s";
	struct rig_volume snapshot;
	struct test *t = arg;

	begin(t);
	assert_int_equal(pool_snapshot_create(t->rig.pool, &name, 1, NULL), 0);
	assert_int_equal(rig_volume_open(&t->rig, name, &snapshot), 0);
	drive_reads(t, false);
	reads(t, &snapshot, 5, 2, -EIO);
	reads(t, &t->volume, 7, 1, -EIO);
	reads(t, &t->volume, VOLUME_BYTES / RIG_BLOCK - 2, 2, -EIO);
	drive_reads(t, true);
	look(t, 3);
	assert_true(listed(&t->damage, "vol@s", 5, 2));
	assert_true(listed(&t->damage, "vol", VOLUME_BYTES / RIG_BLOCK - 2, 2));
	assert_int_equal(pool_volume_rename(t->rig.pool, "vol", "new", NULL), 0);
	assert_true(listed(look(t, 3), "new@s", 5, 2));
	/* What is beyond the end is gone with it. */
	assert_int_equal(pool_volume_resize(t->rig.pool, "new", VOLUME_BYTES - RIG_BLOCK, NULL), 0);
	assert_true(listed(look(t, 3), "new", VOLUME_BYTES / RIG_BLOCK - 2, 1));
	rig_volume_close(&t->volume);
	/* The head is the snapshot's content now: whether that is damaged is another question. */
	assert_int_equal(pool_volume_rollback(t->rig.pool, "new@s", false, NULL), 0);
	assert_true(listed(look(t, 1), "new@s", 5, 2));
	rig_volume_close(&snapshot);
	assert_int_equal(pool_snapshot_destroy(t->rig.pool, "new@s", NULL), 0);
	look(t, 0);
	assert_int_equal(rig_close(&t->rig), 0);
}

static void run(void (*main)(void *arg))
{
	struct test *t = calloc(1, sizeof(*t));

	t->data = aligned_alloc(RIG_BLOCK, 64 * KiB);
	memset(t->data, 7, 64 * KiB);
	rig_init(&t->rig, 1, 1, 64 * MiB);
	rig_run(&t->rig, main, t);
	rig_fini(&t->rig);
	free(t->data);
	free(t);
}

static void ranges(void **state)
{
	run(ranges_main);
}

static void no_more_than_there_is_room_for(void **state)
{
	run(bounded_main);
}

static void volumes_and_snapshots(void **state)
{
	run(objects_main);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges),
		cmocka_unit_test(no_more_than_there_is_room_for),
		cmocka_unit_test(volumes_and_snapshots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
