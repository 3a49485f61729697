/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated drive: its checks, faults, cache, and power. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "rig.h"

static const struct disk_sim_params small = {
	.seed = 9,
	.size_bytes = MiB,
	.size_max_bytes = 2 * MiB,
	.logical_block_bytes = 512,
	.plan = {.latency_min_ns = 1000, .latency_max_ns = 9000},
};

static struct disk_sim *use(struct rig *rig, const struct disk_sim_params *params)
{
	struct disk_sim *sim = disk_sim_new(params);
	struct disk *disk;

	rig_init_sim(rig, params->seed);
	assert_int_equal(disk_sim_open(sim, &disk), 0);
	rig_use(rig, disk);
	return sim;
}

static void drop(struct rig *rig, struct disk_sim *sim)
{
	rig_fini(rig);
	disk_sim_free(sim);
}

static void checks(void **state)
{
	unsigned char data[1024] = {0};
	struct disk *second;
	struct rig rig;
	struct disk_sim *sim = use(&rig, &small);

	assert_int_equal(disk_sim_open(sim, &second), -EBUSY);
	assert_int_equal(rig_do(&rig, DISK_WRITE, 100, data, 512), -EINVAL);
	assert_int_equal(rig_do(&rig, DISK_WRITE, 0, data, 100), -EINVAL);
	assert_int_equal(rig_do(&rig, DISK_READ, MiB, data, 512), -ENXIO);
	assert_int_equal(rig_do(&rig, DISK_DISCARD, 0, NULL, 512), -EOPNOTSUPP);
	assert_int_equal(disk_resize(rig.disk, 2 * MiB), 0);
	assert_int_equal(rig_do(&rig, DISK_READ, MiB, data, 512), 0);
	assert_int_equal(disk_resize(rig.disk, 3 * MiB), -EFBIG);
	/* What is cut off is zero when it comes back. */
	memset(data, 1, sizeof(data));
	assert_int_equal(rig_do(&rig, DISK_WRITE | RIG_FUA, MiB, data, 512), 0);
	assert_int_equal(disk_resize(rig.disk, MiB), 0);
	assert_int_equal(disk_resize(rig.disk, 2 * MiB), 0);
	assert_int_equal(rig_do(&rig, DISK_READ, MiB, data, 512), 0);
	assert_int_equal(data[0], 0);
	drop(&rig, sim);
}

static void faults(void **state)
{
	const struct disk_sim_fault second_and_third = {
		.ops = 1 << DISK_READ, .after = 1, .count = 2, .result = -ETIMEDOUT};
	struct disk_sim_stats stats;
	unsigned char data[512];
	struct rig rig;
	struct disk_sim *sim = use(&rig, &small);

	assert_int_equal(disk_sim_fault_add(sim, &second_and_third), 0);
	assert_int_equal(rig_do(&rig, DISK_READ, 0, data, 512), 0);
	assert_int_equal(rig_do(&rig, DISK_READ, 0, data, 512), -ETIMEDOUT);
	assert_int_equal(rig_do(&rig, DISK_READ, 0, data, 512), -ETIMEDOUT);
	assert_int_equal(rig_do(&rig, DISK_READ, 0, data, 512), 0);
	disk_sim_stats_get(sim, &stats);
	assert_int_equal(stats.done[DISK_READ], 2);
	assert_int_equal(stats.errors[DISK_READ], 2);
	disk_sim_faults_clear(sim);
	for (unsigned i = 0; i < DISK_SIM_FAULTS_MAX; i++)
		assert_int_equal(disk_sim_fault_add(sim, &second_and_third), 0);
	assert_int_equal(disk_sim_fault_add(sim, &second_and_third), -ENOSPC);
	drop(&rig, sim);
}

static void random_errors(void **state)
{
	struct disk_sim_params params = small;
	unsigned char data[512];
	unsigned failed = 0;
	struct rig rig;
	struct disk_sim *sim;

	params.plan.error_ppm[DISK_READ] = 100000;
	sim = use(&rig, &params);
	for (unsigned i = 0; i < 2000; i++)
		failed += rig_do(&rig, DISK_READ, 0, data, 512) == -EIO;
	assert_in_range(failed, 150, 250);
	assert_int_equal(rig_do(&rig, DISK_WRITE, 0, data, 512), 0);
	drop(&rig, sim);
}

static void cache(void **state)
{
	struct disk_sim_params params = small;
	struct disk_sim_stats stats;
	unsigned char data[4096];
	struct rig rig;
	struct disk_sim *sim = use(&rig, &params);

	memset(data, 3, sizeof(data));
	assert_int_equal(rig_do(&rig, DISK_WRITE, 0, data, 4096), 0);
	disk_sim_stats_get(sim, &stats);
	assert_int_equal(stats.unflushed_blocks, 8);
	assert_int_equal(rig_do(&rig, DISK_WRITE | RIG_FUA, 512, data, 512), 0);
	disk_sim_stats_get(sim, &stats);
	assert_int_equal(stats.unflushed_blocks, 7);
	assert_int_equal(rig_do(&rig, DISK_FLUSH, 0, NULL, 0), 0);
	disk_sim_stats_get(sim, &stats);
	assert_int_equal(stats.unflushed_blocks, 0);
	assert_int_equal(rig_do(&rig, DISK_WRITE_ZEROES, 0, NULL, 4096), 0);
	/* survive_percent is 0: all of it is lost. */
	disk_sim_power_cut(sim);
	disk_sim_peek(sim, 0, data, 4096);
	assert_int_equal(data[0], 3);
	assert_int_equal(data[4095], 3);
	assert_int_equal(rig_do(&rig, DISK_FLUSH, 0, NULL, 0), -EIO);
	drop(&rig, sim);
	params.write_through = true;
	sim = use(&rig, &params);
	assert_false(disk_info(rig.disk)->volatile_cache);
	assert_int_equal(rig_do(&rig, DISK_WRITE, 0, data, 4096), 0);
	disk_sim_stats_get(sim, &stats);
	assert_int_equal(stats.unflushed_blocks, 0);
	drop(&rig, sim);
}

/* The drive runs on real loops as well. */
static void on_a_real_loop(void **state)
{
	struct disk_sim *sim = disk_sim_new(&small);
	unsigned char data[512] = {7};
	struct disk *disk;
	struct rig rig;

	rig_init_real(&rig);
	assert_int_equal(disk_sim_open(sim, &disk), 0);
	rig_use(&rig, disk);
	assert_int_equal(rig_do(&rig, DISK_WRITE, 512, data, 512), 0);
	data[0] = 0;
	assert_int_equal(rig_do(&rig, DISK_READ, 512, data, 512), 0);
	assert_int_equal(data[0], 7);
	drop(&rig, sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checks),	  cmocka_unit_test(faults),
		cmocka_unit_test(random_errors),  cmocka_unit_test(cache),
		cmocka_unit_test(on_a_real_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
