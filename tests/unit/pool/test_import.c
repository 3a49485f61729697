/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Imports that find something amiss: what is refused, with which sentence, and what goes on all
 * the same. A volume filled with one stamp shows that what came back is the pool it was.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <quoin/base_assert.h>

#include <quoin/codec.h>

#include "engine_rig.h"
#include "format/super.h"
#include "raid/private.h"

#define AT_CHECK 4080 /* docs/FORMAT.md, section 4 */
#define CHECK_SEED UINT64_C(0x51554f494e534231)
#define DRIVE_BYTES (64 * MiB)
#define SIZE (1 * MiB)

/* --- What the tests are made of ----------------------------------------------------------------
 */

static void stamp(struct engine_rig *rig, uint8_t value)
{
	uint8_t *data = aligned_alloc(RIG_BLOCK, SIZE);
	struct rig_volume volume;

	memset(data, value, SIZE);
	assert_int_equal(rig_volume_open(rig, "vol", &volume), 0);
	assert_int_equal(rig_io(&volume, BLOCK_WRITE, 0, data, SIZE), 0);
	assert_int_equal(rig_io(&volume, BLOCK_FLUSH, 0, NULL, 0), 0);
	rig_volume_close(&volume);
	free(data);
}

static void assert_stamp(struct engine_rig *rig, uint8_t value)
{
	uint8_t *data = aligned_alloc(RIG_BLOCK, SIZE);
	struct rig_volume volume;

	assert_int_equal(rig_volume_open(rig, "vol", &volume), 0);
	assert_int_equal(rig_io(&volume, BLOCK_READ, 0, data, SIZE), 0);
	rig_volume_close(&volume);
	for (size_t i = 0; i < SIZE; i++)
		assert_int_equal(data[i], value);
	free(data);
}

static uint64_t checkpoint_of(struct engine_rig *rig)
{
	struct pool_status status;

	pool_status(rig->pool, &status);
	return status.checkpoint;
}

static void assert_refused(struct engine_rig *rig, int code, const char *says)
{
	assert_int_equal(rig_open(rig), code);
	assert_int_equal(rig->err.code, code);
	if (!strstr(rig->err.text, says))
		fail_msg("'%s' does not say '%s'", rig->err.text, says);
}

/* A pool with a volume of ones, closed. */
static void made(void *arg)
{
	struct engine_rig *rig = arg;
	const struct pool_volume_params params = {.size_bytes = SIZE};
	struct err err = {.code = 0};

	rig_format(rig);
	assert_int_equal(rig_open(rig), 0);
	if (pool_volume_create(rig->pool, "vol", &params, &err) < 0)
		fail_msg("create: %s", err.text);
	stamp(rig, 1);
	assert_int_equal(rig_close(rig), 0);
}

static void with_drives(unsigned drives, bool mirror, void (*main)(void *arg))
{
	struct engine_rig rig;

	rig_init(&rig, 1, drives, DRIVE_BYTES);
	rig.mirror = mirror;
	rig_run(&rig, made, &rig);
	rig_run(&rig, main, &rig);
	rig_fini(&rig);
}

/* --- Drives -------------------------------------------------------------------------------------
 */

static void guid_of(struct engine_rig *rig, unsigned index, char text[40])
{
	struct pool_drive_status status;
	const uint8_t *g = status.guid;

	pool_drive_status(rig->pool, index, &status);
	snprintf(text, 40, "%02x%02x%02x%02x-%02x%02x-", g[0], g[1], g[2], g[3], g[4], g[5]);
}

static void stripe_without_one(void *arg)
{
	struct engine_rig *rig = arg;
	char guid[40];

	assert_int_equal(rig_open(rig), 0);
	guid_of(rig, 1, guid);
	assert_int_equal(rig_close(rig), 0);
	rig->absent = 2;
	assert_refused(rig, -ENODEV, guid);
	assert_non_null(strstr(rig->err.text, "drive 2 "));
	assert_null(strstr(rig->err.text, "drive 1 "));
	/* Nothing was written: with all drives it is what it was. */
	rig->absent = 0;
	assert_int_equal(rig_open(rig), 0);
	assert_stamp(rig, 1);
	assert_int_equal(rig_close(rig), 0);
}

static void missing_drive_of_a_stripe_is_named(void **state)
{
	with_drives(2, false, stripe_without_one);
}

/* Three of four: neither the pages of the segment table nor the log have a copy left. */
static void stripe_of_one_in_four(void *arg)
{
	struct engine_rig *rig = arg;

	for (unsigned kept = 0; kept < 4; kept++) {
		rig->absent = 15 & ~(1U << kept);
		assert_refused(rig, -ENODEV, "is missing");
	}
}

static void one_drive_of_four(void **state)
{
	with_drives(4, false, stripe_of_one_in_four);
}

static void mirror_without_one(void *arg)
{
	struct engine_rig *rig = arg;
	struct pool_drive_status drive;
	struct pool_status status;

	rig->absent = 1;
	assert_int_equal(rig_open(rig), 0);
	pool_status(rig->pool, &status);
	assert_int_equal(status.health, POOL_DEGRADED);
	assert_non_null(strstr(status.problem, "missing"));
	pool_drive_status(rig->pool, 0, &drive);
	assert_string_equal(drive.state, "missing");
	assert_stamp(rig, 1);
	stamp(rig, 2);
	assert_int_equal(rig_close(rig), 0);
	/* It comes back with an old state, and is not read. */
	rig->absent = 0;
	assert_int_equal(rig_open(rig), 0);
	pool_drive_status(rig->pool, 0, &drive);
	assert_string_equal(drive.state, "stale");
	assert_stamp(rig, 2);
	assert_int_equal(rig_close(rig), 0);
}

static void missing_drive_of_a_mirror_is_done_without(void **state)
{
	with_drives(2, true, mirror_without_one);
}

static void copied_drive(void *arg)
{
	struct engine_rig *rig = arg;
	struct disk_sim_image *image = disk_sim_image_save(rig->drives[0]);

	disk_sim_image_restore(rig->drives[1], image);
	disk_sim_image_free(image);
	assert_refused(rig, -EEXIST, "drive0");
	assert_non_null(strstr(rig->err.text, "drive1"));
}

static void two_drives_of_one_identity(void **state)
{
	with_drives(2, true, copied_drive);
}

static void reopened(struct engine_rig *rig, unsigned index)
{
	disk_close(rig->disks[index]);
	assert_int_equal(disk_sim_open(rig->drives[index], &rig->disks[index]), 0);
}

static void shrunk_drive(void *arg)
{
	struct engine_rig *rig = arg;

	disk_sim_size_set(rig->drives[1], DRIVE_BYTES / 2);
	reopened(rig, 1);
	assert_refused(rig, -EINVAL, "drive1");
	assert_non_null(strstr(rig->err.text, "33554432"));
	assert_non_null(strstr(rig->err.text, "67108864"));
	/* Its mirror will do. */
	rig->absent = 2;
	assert_int_equal(rig_open(rig), 0);
	assert_stamp(rig, 1);
	assert_int_equal(rig_close(rig), 0);
}

static void drive_that_shrank(void **state)
{
	with_drives(2, true, shrunk_drive);
}

/* --- Superblocks --------------------------------------------------------------------------------
 */

static void each_super(struct engine_rig *rig, unsigned drive,
		       void (*change)(struct engine_rig *rig, unsigned drive, uint64_t at))
{
	for (unsigned slot = 0; slot < 2 * SUPER_RING_SLOTS; slot++)
		change(rig, drive,
		       super_offset(DRIVE_BYTES, slot >= SUPER_RING_SLOTS,
				    slot % SUPER_RING_SLOTS));
}

/* Bytes of a drive, behind the pool's back. */
static void poke(struct engine_rig *rig, unsigned drive, uint64_t at, void *page)
{
	const struct iovec iov = {.iov_base = page, .iov_len = RIG_BLOCK};
	struct raid_parked parked = {
		.request = {.op = DISK_WRITE,
			    .flags = DISK_FUA,
			    .offset = at,
			    .length_bytes = RIG_BLOCK,
			    .iov = &iov,
			    .iov_count = 1},
	};
	struct disk_channel *channel;

	assert_int_equal(disk_attach(rig->disks[drive], rig->loop, &channel), 0);
	assert_int_equal(raid_park_for(channel, &parked), 0);
	disk_detach(channel);
}

static void super_empty(struct engine_rig *rig, unsigned drive, uint64_t at)
{
	_Alignas(RIG_BLOCK) uint8_t page[RIG_BLOCK] = {0};

	poke(rig, drive, at, page);
}

static void super_rot(struct engine_rig *rig, unsigned drive, uint64_t at)
{
	disk_sim_rot(rig->drives[drive], at + 100, 8, at);
}

static void super_newer(struct engine_rig *rig, unsigned drive, uint64_t at)
{
	_Alignas(RIG_BLOCK) uint8_t page[RIG_BLOCK];

	disk_sim_peek(rig->drives[drive], at, page, sizeof(page));
	if (memcmp(page, SUPER_MAGIC, 8) != 0)
		return;
	page[8] = SUPER_VERSION + 1;
	codec_check128(page, AT_CHECK, CHECK_SEED, page + AT_CHECK);
	poke(rig, drive, at, page);
}

static void superblocks(void *arg)
{
	struct engine_rig *rig = arg;

	/* A drive that comes from elsewhere, beside one of the pool. */
	each_super(rig, 1, super_empty);
	assert_refused(rig, -ENOENT, "drive1 holds no pool");
	rig->absent = 2;
	assert_int_equal(rig_open(rig), 0);
	assert_stamp(rig, 1);
	assert_int_equal(rig_close(rig), 0);
	each_super(rig, 0, super_newer);
	assert_refused(rig, -ENOTSUP, "newer");
	each_super(rig, 0, super_rot);
	assert_refused(rig, -EUCLEAN, "drive0");
	assert_non_null(strstr(rig->err.text, "damaged"));
}

static void foreign_newer_and_damaged(void **state)
{
	with_drives(2, true, superblocks);
}

static void unreadable(void *arg)
{
	struct engine_rig *rig = arg;
	const struct disk_sim_fault fault = {
		.kind = DISK_SIM_FAIL, .ops = 1U << DISK_READ, .result = -EIO};

	assert_int_equal(disk_sim_fault_add(rig->drives[1], &fault), 0);
	assert_refused(rig, -EIO, "drive1");
	disk_sim_faults_clear(rig->drives[1]);
	disk_sim_size_set(rig->drives[1], MiB);
	reopened(rig, 1);
	assert_refused(rig, -ENOENT, "drive1 holds no pool");
}

static void labels_that_cannot_be_read(void **state)
{
	with_drives(2, true, unreadable);
}

/* --- Going back ---------------------------------------------------------------------------------
 */

static void stale_checkpoint(void *arg)
{
	struct engine_rig *rig = arg;
	uint64_t old;

	assert_int_equal(rig_open(rig), 0);
	assert_int_equal(pool_sync(rig->pool), 0);
	old = checkpoint_of(rig);
	assert_int_equal(rig_close(rig), 0);
	rig->absent = 2;
	assert_int_equal(rig_open(rig), 0);
	for (uint8_t i = 2; i < 10; i++) {
		stamp(rig, i);
		assert_int_equal(pool_sync(rig->pool), 0);
	}
	assert_int_equal(rig_close(rig), 0);
	rig->absent = 0;
	rig->rewind_to = old;
	assert_refused(rig, -ENOENT, "used again");
	rig->rewind_to = 0;
	assert_int_equal(rig_open(rig), 0);
	assert_stamp(rig, 9);
	assert_int_equal(rig_close(rig), 0);
}

static void not_to_what_only_a_stale_drive_has(void **state)
{
	with_drives(2, true, stale_checkpoint);
}

/* The newest superblock on drive 0. */
static void super_newest(struct engine_rig *rig, struct super *ret)
{
	uint8_t page[RIG_BLOCK];
	struct super s;

	*ret = (struct super){0};
	for (unsigned slot = 0; slot < SUPER_RING_SLOTS; slot++) {
		disk_sim_peek(rig->drives[0], super_offset(DRIVE_BYTES, false, slot), page,
			      sizeof(page));
		if (super_decode(page, false, slot, &s) == 0 && s.ckpt > ret->ckpt)
			*ret = s;
	}
}

/* All copies of a page that lies in a seed; the copies are on drive 0. */
static void page_rot(struct engine_rig *rig, const struct super *super, uint64_t vaddr)
{
	unsigned copies = 0;

	for (unsigned i = 0; i < SUPER_SEEDS_MAX; i++) {
		const struct super_seed *seed = &super->seeds[i];

		for (unsigned c = 0; seed->id == vaddr >> 24 && c < seed->column_count; c++) {
			assert_int_equal(seed->columns[c].drive, 0);
			disk_sim_rot(
				rig->drives[0],
				LABEL_BYTES +
					((uint64_t)seed->columns[c].chunk << super->chunk_shift) +
					(vaddr & 0xffffff) * RIG_BLOCK,
				RIG_BLOCK, 7);
			copies++;
		}
	}
	assert_true(copies >= 2);
}

static void damaged_tables(void *arg)
{
	struct engine_rig *rig = arg;
	struct super newest;
	char command[80];
	uint64_t before;

	assert_int_equal(rig_open(rig), 0);
	stamp(rig, 2);
	assert_int_equal(pool_sync(rig->pool), 0);
	before = checkpoint_of(rig);
	stamp(rig, 3);
	assert_int_equal(rig_close(rig), 0);
	super_newest(rig, &newest);
	assert_int_equal(newest.ckpt, before + 1);
	page_rot(rig, &newest, newest.segments.vaddr);
	snprintf(command, sizeof(command), "quoin pool import tank --rewind %llu",
		 (unsigned long long)before);
	assert_refused(rig, -EUCLEAN, command);
	assert_non_null(strstr(rig->err.text, "lost"));
	assert_non_null(strstr(rig->err.text, "1970-01-01"));
	/* And what it says works. */
	rig->rewind_to = before;
	assert_int_equal(rig_open(rig), 0);
	assert_stamp(rig, 2);
	assert_int_equal(rig_close(rig), 0);
	rig->rewind_to = 0;
	assert_int_equal(rig_open(rig), 0);
	assert_stamp(rig, 2);
	assert_int_equal(rig_close(rig), 0);
}

static void damaged_tables_say_where_to_go_back_to(void **state)
{
	with_drives(1, false, damaged_tables);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(missing_drive_of_a_stripe_is_named),
		cmocka_unit_test(one_drive_of_four),
		cmocka_unit_test(missing_drive_of_a_mirror_is_done_without),
		cmocka_unit_test(two_drives_of_one_identity),
		cmocka_unit_test(drive_that_shrank),
		cmocka_unit_test(foreign_newer_and_damaged),
		cmocka_unit_test(labels_that_cannot_be_read),
		cmocka_unit_test(not_to_what_only_a_stale_drive_has),
		cmocka_unit_test(damaged_tables_say_where_to_go_back_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
