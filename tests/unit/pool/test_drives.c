/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drives of one pool that were not left at the same checkpoint. A superblock is written to all of
 * them at once, and a crash in the midst leaves it on some: those without it have all that it names
 * nevertheless, and log and data of what came later.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <quoin/base_assert.h>

#include "engine_rig.h"
#include "format/super.h"

#define DRIVE_BYTES (64 * MiB)
#define VOLUME_BYTES (1 * MiB)

struct drives {
	struct engine_rig rig;
	unsigned checkpoints; /* that drive 1 never gets */
};

/* The drive says yes to its next superblocks and does not write them. */
static void labels_lose(struct disk_sim *sim)
{
	const uint64_t labels[] = {0, DRIVE_BYTES - LABEL_BYTES};

	for (unsigned i = 0; i < ARRAY_SIZE(labels); i++) {
		const struct disk_sim_fault fault = {
			.kind = DISK_SIM_PHANTOM,
			.ops = 1U << DISK_WRITE,
			.offset = labels[i],
			.length_bytes = LABEL_BYTES,
		};

		assert_int_equal(disk_sim_fault_add(sim, &fault), 0);
	}
}

static void volume_write(struct engine_rig *rig, uint8_t value)
{
	static _Alignas(4096) uint8_t data[VOLUME_BYTES];
	struct rig_volume volume;

	memset(data, value, sizeof(data));
	assert_int_equal(rig_volume_open(rig, "vol", &volume), 0);
	assert_int_equal(rig_io(&volume, BLOCK_WRITE, 0, data, sizeof(data)), 0);
	assert_int_equal(rig_io(&volume, BLOCK_FLUSH, 0, NULL, 0), 0);
	rig_volume_close(&volume);
}

static void volume_check(struct engine_rig *rig, uint8_t value)
{
	static _Alignas(4096) uint8_t data[VOLUME_BYTES];
	struct rig_volume volume;

	assert_int_equal(rig_volume_open(rig, "vol", &volume), 0);
	assert_int_equal(rig_io(&volume, BLOCK_READ, 0, data, sizeof(data)), 0);
	for (size_t i = 0; i < sizeof(data); i++)
		assert_int_equal(data[i], value);
	rig_volume_close(&volume);
}

static void crash(void *arg)
{
	struct drives *d = arg;
	const struct pool_volume_params params = {.size_bytes = VOLUME_BYTES};

	rig_format(&d->rig);
	assert_int_equal(rig_open(&d->rig), 0);
	assert_int_equal(pool_volume_create(d->rig.pool, "vol", &params, NULL), 0);
	volume_write(&d->rig, 1);
	labels_lose(d->rig.drives[1]);
	for (unsigned i = 0; i < d->checkpoints; i++)
		assert_int_equal(pool_set(d->rig.pool, POOL_RESERVE_PERMILLE, 100 + i, NULL), 0);
	volume_write(&d->rig, 2);
	rig_power_cut(&d->rig);
	(void)rig_close(&d->rig);
}

static enum pool_health health(struct engine_rig *rig)
{
	struct pool_status status;

	pool_status(rig->pool, &status);
	return status.health;
}

static void one_behind(void *arg)
{
	struct drives *d = arg;

	assert_int_equal(rig_open(&d->rig), 0);
	assert_int_equal(health(&d->rig), POOL_ONLINE);
	volume_check(&d->rig, 2);
	volume_write(&d->rig, 3);
	assert_int_equal(rig_close(&d->rig), 0);
	assert_int_equal(rig_open(&d->rig), 0);
	assert_int_equal(health(&d->rig), POOL_ONLINE);
	volume_check(&d->rig, 3);
	assert_int_equal(rig_close(&d->rig), 0);
}

static void two_behind(void *arg)
{
	struct drives *d = arg;

	assert_int_equal(rig_open(&d->rig), 0);
	assert_int_equal(health(&d->rig), POOL_DEGRADED);
	volume_check(&d->rig, 2);
	assert_int_equal(rig_close(&d->rig), 0);
}

static void run(bool mirror, unsigned checkpoints, void (*then)(void *))
{
	struct drives *d = calloc(1, sizeof(*d));

	ASSERT(d != NULL);
	rig_init(&d->rig, 1, 2, DRIVE_BYTES);
	d->rig.mirror = mirror;
	d->checkpoints = checkpoints;
	rig_run(&d->rig, crash, d);
	disk_sim_faults_clear(d->rig.drives[1]);
	rig_power_on(&d->rig);
	rig_run(&d->rig, then, d);
	rig_fini(&d->rig);
	free(d);
}

/* A drive that lacks the last superblock only is in use. */
static void crash_between_superblocks(void **state)
{
	run(true, 1, one_behind);
	run(false, 1, one_behind);
}

/* One that was away for longer is not, be the table right or not. */
static void drive_of_the_past(void **state)
{
	run(true, 2, two_behind);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crash_between_superblocks),
		cmocka_unit_test(drive_of_the_past),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
