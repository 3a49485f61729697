/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes that are not plain: nobody takes them for disks, this version or an older one. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <quoin/base_endian.h>

#include "engine_rig.h"
#include "format/super.h"

/* The features that an older version would look at: of the newest superblock. */
static uint64_t incompat(struct engine_rig *rig)
{
	static uint8_t pages[SUPER_RING_SLOTS][PAGE_BYTES];
	uint64_t newest = 0;
	uint64_t found = 0;

	disk_sim_peek(rig->drives[0], LABEL_RING, pages, sizeof(pages));
	for (unsigned slot = 0; slot < SUPER_RING_SLOTS; slot++) {
		struct super super;

		if (super_decode(pages[slot], false, slot, &super) < 0 || super.ckpt < newest)
			continue;
		newest = super.ckpt;
		found = super.incompat;
	}
	return found;
}

static void refusals(struct pool *pool)
{
	const char *const names[] = {"vol@now"};
	const struct pool_volume_params plain = {.size_bytes = 8 * MiB};
	const struct pool_copy out = {.from = "vol", .to = "plain", .length_bytes = MiB};
	const struct pool_copy in = {.from = "plain", .to = "vol", .length_bytes = MiB};
	struct block_device *device = NULL;
	struct pool_volume_info info;
	struct err err = {.code = 0};

	assert_int_equal(pool_volume_find(pool, "vol", &info), 0);
	assert_int_equal(info.params.kind, POOL_VOLUME_ARRIVING);
	assert_int_equal(pool_device_open(pool, "vol", true, &device, &err), -EBUSY);
	assert_non_null(strstr(err.text, "still arriving"));
	assert_int_equal(pool_snapshot_create(pool, names, 1, &err), -EBUSY);
	assert_int_equal(pool_volume_create(pool, "plain", &plain, &err), 0);
	assert_int_equal(pool_volume_copy(pool, &out, &err), -EBUSY);
	assert_int_equal(pool_volume_copy(pool, &in, &err), -EBUSY);
	assert_int_equal(pool_volume_destroy(pool, "plain", false, &err), 0);
	assert_int_equal(pool_device_open_raw(pool, "vol", false, &device, &err), 0);
	block_close(device);
}

static void arrives(void *arg)
{
	struct engine_rig *rig = arg;
	const struct pool_volume_params params = {.size_bytes = 8 * MiB,
						  .kind = POOL_VOLUME_ARRIVING};
	const char *const names[] = {"vol@now"};
	struct block_device *device = NULL;
	struct err err = {.code = 0};

	rig_format(rig);
	assert_int_equal(rig_open(rig), 0);
	assert_int_equal(incompat(rig), 0);
	assert_int_equal(pool_volume_create(rig->pool, "vol", &params, &err), 0);
	refusals(rig->pool);
	assert_int_equal(incompat(rig), FEATURE_KINDS);
	assert_int_equal(rig_close(rig), 0);
	assert_int_equal(rig_open(rig), 0);
	refusals(rig->pool);
	assert_int_equal(pool_volume_set(rig->pool, "vol", POOL_VOLUME_KIND, 3, &err), -EINVAL);
	assert_int_equal(
		pool_volume_set(rig->pool, "vol", POOL_VOLUME_KIND, POOL_VOLUME_PLAIN, &err), 0);
	assert_int_equal(incompat(rig), 0);
	assert_int_equal(pool_device_open(rig->pool, "vol", false, &device, &err), 0);
	block_close(device);
	assert_int_equal(pool_snapshot_create(rig->pool, names, 1, &err), 0);
	assert_int_equal(rig_close(rig), 0);
}

/* The bit goes also when the volume is destroyed. */
static void destroyed(void *arg)
{
	struct engine_rig *rig = arg;
	const struct pool_volume_params params = {.size_bytes = 8 * MiB,
						  .kind = POOL_VOLUME_HIDDEN};
	struct err err = {.code = 0};

	rig_format(rig);
	assert_int_equal(rig_open(rig), 0);
	assert_int_equal(pool_volume_create(rig->pool, "vol", &params, &err), 0);
	assert_int_equal(incompat(rig), FEATURE_KINDS);
	assert_int_equal(pool_volume_destroy(rig->pool, "vol", false, &err), 0);
	assert_int_equal(incompat(rig), 0);
	assert_int_equal(rig_close(rig), 0);
}

static void run(void (*main)(void *arg))
{
	struct engine_rig *rig = calloc(1, sizeof(*rig));

	rig_init(rig, 1, 1, 64 * MiB);
	rig_run(rig, main, rig);
	rig_fini(rig);
	free(rig);
}

static void arriving_is_no_disk(void **state)
{
	run(arrives);
}

static void hidden_goes_with_its_bit(void **state)
{
	run(destroyed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arriving_is_no_disk),
		cmocka_unit_test(hidden_goes_with_its_bit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
