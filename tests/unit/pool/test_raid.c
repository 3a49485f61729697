/* SPDX-License-Identifier: Apache-2.0 */
/* Columns, failing drives, flushes and labels, over simulated drives. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "raid_rig.h"

#define VADDR(slot) vaddr_make(SEGMENT_DATA, (slot))
#define ALL_OPS 0x1fU

static void with_rig(unsigned drives, void (*main)(void *arg))
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct raid_rig rig;

		raid_rig_init(&rig, seed, drives);
		raid_rig_run(&rig, main, &rig);
		raid_rig_fini(&rig);
	}
}

static uint8_t *pages(unsigned count, int fill)
{
	uint8_t *buffer = aligned_alloc(PAGE_BYTES, (size_t)count * PAGE_BYTES);

	assert_non_null(buffer);
	memset(buffer, fill, (size_t)count * PAGE_BYTES);
	return buffer;
}

static uint8_t byte_at(struct raid_rig *rig, unsigned drive, unsigned slot)
{
	uint8_t byte;

	disk_sim_peek(rig->media[drive], raid_rig_offset(SEGMENT_DATA, slot), &byte, 1);
	return byte;
}

/* --- Transfers -------------------------------------------------------------------------------- */

static void mirror_body(void *arg)
{
	struct raid_rig *rig = arg;
	uint8_t *out = pages(4, 0x11);
	uint8_t *in = pages(4, 0);

	assert_int_equal(raid_write(&rig->raid, VADDR(7), 4, 0, out), 0);
	for (unsigned drive = 0; drive < 2; drive++) {
		assert_int_equal(byte_at(rig, drive, 6), 0);
		assert_int_equal(byte_at(rig, drive, 7), 0x11);
		assert_int_equal(byte_at(rig, drive, 10), 0x11);
		assert_int_equal(byte_at(rig, drive, 11), 0);
	}
	for (unsigned column = 0; column < 2; column++) {
		memset(in, 0, 4 * PAGE_BYTES);
		assert_int_equal(raid_read(&rig->raid, VADDR(7), 4, column, in), 0);
		assert_memory_equal(in, out, 4 * PAGE_BYTES);
	}
	assert_int_equal(rig->raid.writes, 2);
	assert_int_equal(rig->raid.bytes_written, 8 * PAGE_BYTES);
	assert_int_equal(rig->changes, 0);
	free(out);
	free(in);
}

static void mirror(void **state)
{
	with_rig(2, mirror_body);
}

static void turns_body(void *arg)
{
	struct raid_rig *rig = arg;
	struct disk_sim_stats stats;
	uint8_t *in = pages(1, 0);

	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(raid_read(&rig->raid, VADDR(0), 1, RAID_ANY_COLUMN, in), 0);
	for (unsigned drive = 0; drive < 2; drive++) {
		disk_sim_stats_get(rig->media[drive], &stats);
		assert_int_equal(stats.done[DISK_READ], 5);
	}
	free(in);
}

static void reads_take_turns(void **state)
{
	with_rig(2, turns_body);
}

static void leg_fails_body(void *arg)
{
	struct raid_rig *rig = arg;
	uint8_t *buffer = pages(1, 0x22);
	const struct iovec iov = {.iov_base = buffer, .iov_len = PAGE_BYTES};
	struct raid_io io = {
		.op = RAID_WRITE, .vaddr = VADDR(0), .count = 1, .iov = &iov, .iov_count = 1};

	raid_rig_fault(rig, 1, 1 << DISK_WRITE, 1, -EIO);
	raid_rig_fault(rig, 1, 1 << DISK_READ, 0, -EIO);
	assert_int_equal(raid_run(&rig->raid, &io), 0);
	assert_int_equal(io.failed, 2);
	assert_int_equal(rig->raid.drives[1].info.write_errors, 1);
	assert_int_equal(rig->raid.drives[1].info.state, DRIVE_ONLINE);
	/* Whichever column has its turn, the answer comes from the good one. */
	for (unsigned i = 0; i < 4; i++) {
		memset(buffer, 0, PAGE_BYTES);
		io.op = RAID_READ;
		io.column = RAID_ANY_COLUMN;
		assert_int_equal(raid_run(&rig->raid, &io), 0);
		assert_int_equal(io.column, 0);
		assert_int_equal(buffer[0], 0x22);
	}
	assert_int_equal(rig->raid.drives[1].info.read_errors, 2);
	assert_int_equal(raid_read(&rig->raid, VADDR(0), 1, 1, buffer), -EIO);
	assert_int_equal(rig->changes, 4);
	free(buffer);
}

static void leg_fails(void **state)
{
	with_rig(2, leg_fails_body);
}

static void one_column_body(void *arg)
{
	struct raid_rig *rig = arg;
	uint8_t *buffer = pages(1, 0x33);
	const struct iovec iov = {.iov_base = buffer, .iov_len = PAGE_BYTES};
	struct raid_io io = {.op = RAID_WRITE,
			     .vaddr = VADDR(5),
			     .count = 1,
			     .columns = 2,
			     .iov = &iov,
			     .iov_count = 1};

	assert_int_equal(raid_run(&rig->raid, &io), 0);
	assert_int_equal(byte_at(rig, 0, 5), 0);
	assert_int_equal(byte_at(rig, 1, 5), 0x33);
	io = (struct raid_io){.op = RAID_DISCARD, .vaddr = VADDR(5), .count = 1};
	assert_int_equal(raid_run(&rig->raid, &io), 0);
	assert_int_equal(byte_at(rig, 1, 5), 0);
	raid_rig_fault(rig, 0, 1 << DISK_DISCARD, 0, -EIO);
	assert_int_equal(raid_run(&rig->raid, &io), 0);
	assert_int_equal(rig->changes, 0);
	free(buffer);
}

static void one_column_and_discard(void **state)
{
	with_rig(2, one_column_body);
}

/* --- Drives that go --------------------------------------------------------------------------- */

static void faulted_body(void *arg)
{
	struct raid_rig *rig = arg;
	struct drive *bad = &rig->raid.drives[0];
	uint8_t *buffer = pages(1, 0x44);

	rig->raid.ckpt = 77;
	raid_rig_fault(rig, 0, 1 << DISK_WRITE, RAID_ERRORS_MAX - 1, -EIO);
	for (unsigned i = 0; i < RAID_ERRORS_MAX; i++)
		assert_int_equal(raid_write(&rig->raid, VADDR(i), 1, 0, buffer), 0);
	/* The last one went well, and wiped the slate. */
	assert_int_equal(bad->errors_in_row, 0);
	assert_int_equal(bad->info.state, DRIVE_ONLINE);
	raid_rig_fault(rig, 0, 1 << DISK_WRITE, 0, -EIO);
	rig->may_fault = false;
	for (unsigned i = 0; i < RAID_ERRORS_MAX; i++)
		assert_int_equal(raid_write(&rig->raid, VADDR(i), 1, 0, buffer), 0);
	assert_int_equal(bad->info.state, DRIVE_ONLINE);
	rig->may_fault = true;
	assert_int_equal(raid_write(&rig->raid, VADDR(0), 1, 0, buffer), 0);
	assert_int_equal(bad->info.state, DRIVE_FAULTED);
	assert_int_equal(bad->info.left_ckpt, 77);
	assert_int_equal(raid_columns_online(&rig->raid, &rig->space.segments[SEGMENT_DATA]), 2);
	disk_sim_faults_clear(rig->media[0]);
	memset(buffer, 0x55, PAGE_BYTES);
	assert_int_equal(raid_write(&rig->raid, VADDR(9), 1, 0, buffer), 0);
	assert_int_equal(byte_at(rig, 0, 9), 0);
	assert_int_equal(byte_at(rig, 1, 9), 0x55);
	assert_int_equal(raid_read(&rig->raid, VADDR(9), 1, 0, buffer), -ENODATA);
	free(buffer);
}

static void faulted_after_errors(void **state)
{
	with_rig(2, faulted_body);
}

static void gone_body(void *arg)
{
	struct raid_rig *rig = arg;
	uint8_t *buffer = pages(1, 0x66);

	raid_rig_fault(rig, 0, ALL_OPS, 0, -ENXIO);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(raid_read(&rig->raid, VADDR(0), 1, RAID_ANY_COLUMN, buffer), 0);
	assert_int_equal(rig->raid.drives[0].info.state, DRIVE_FAULTED);
	raid_drive_fault(&rig->raid, &rig->raid.drives[1], DRIVE_MISSING);
	assert_int_equal(raid_read(&rig->raid, VADDR(0), 1, RAID_ANY_COLUMN, buffer), -ENODATA);
	assert_int_equal(raid_write(&rig->raid, VADDR(0), 1, 0, buffer), -ENODATA);
	free(buffer);
}

static void gone_at_once(void **state)
{
	with_rig(2, gone_body);
}

static void missing_body(void *arg)
{
	struct raid_rig *rig = arg;
	const struct super_drive info = {.guid = {9}, .state = DRIVE_ONLINE};
	uint8_t *buffer = pages(1, 0x77);

	rig->raid.ckpt = 5;
	assert_int_equal(raid_drive_add(&rig->raid, &info, NULL, NULL), 0);
	assert_ptr_equal(raid_drive_find(&rig->raid, info.guid), &rig->raid.drives[1]);
	assert_int_equal(rig->raid.drives[1].info.state, DRIVE_MISSING);
	assert_int_equal(rig->raid.drives[1].info.left_ckpt, 5);
	rig->space.segments[SEGMENT_DATA].column_count = 2;
	rig->space.segments[SEGMENT_DATA].columns[1].drive = 1;
	assert_int_equal(raid_write(&rig->raid, VADDR(0), 1, 0, buffer), 0);
	memset(buffer, 0, PAGE_BYTES);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(raid_read(&rig->raid, VADDR(0), 1, RAID_ANY_COLUMN, buffer), 0);
	assert_int_equal(buffer[0], 0x77);
	assert_int_equal(raid_label_read(&rig->raid, &rig->raid.drives[1], 0, buffer, PAGE_BYTES),
			 -ENODEV);
	free(buffer);
}

static void missing(void **state)
{
	with_rig(1, missing_body);
}

/* --- Flushes ---------------------------------------------------------------------------------- */

static void flush_body(void *arg)
{
	struct raid_rig *rig = arg;
	struct raid_flush *flush = calloc(1, sizeof(*flush));
	struct disk_sim_stats stats;
	uint8_t *buffer = pages(1, 0x11);

	assert_int_equal(raid_flush_run(&rig->raid, flush, false), 0);
	assert_int_equal(rig->raid.flushes, 0);
	assert_int_equal(raid_write(&rig->raid, VADDR(0), 1, DISK_FUA, buffer), 0);
	assert_false(rig->raid.drives[0].dirty);
	assert_int_equal(raid_write(&rig->raid, VADDR(0), 1, 0, buffer), 0);
	assert_true(rig->raid.drives[0].dirty);
	assert_int_equal(raid_flush_run(&rig->raid, flush, false), 0);
	assert_false(rig->raid.drives[0].dirty);
	assert_int_equal(rig->raid.flushes, 2);
	disk_sim_stats_get(rig->media[1], &stats);
	assert_int_equal(stats.unflushed_blocks, 0);
	assert_int_equal(raid_flush_run(&rig->raid, flush, true), 0);
	assert_int_equal(rig->raid.flushes, 4);
	/* A drive that cannot flush is given up where another has it all ... */
	assert_int_equal(raid_write(&rig->raid, VADDR(0), 1, 0, buffer), 0);
	raid_rig_fault(rig, 0, 1 << DISK_FLUSH, 0, -EIO);
	raid_rig_fault(rig, 1, 1 << DISK_FLUSH, 0, -EIO);
	rig->raid.drives[1].dirty = false;
	assert_int_equal(raid_flush_run(&rig->raid, flush, false), 0);
	assert_int_equal(rig->raid.drives[0].info.state, DRIVE_FAULTED);
	/* ... and else stays dirty. */
	rig->may_fault = false;
	rig->raid.drives[1].dirty = true;
	assert_int_equal(raid_flush_run(&rig->raid, flush, false), -EIO);
	assert_true(rig->raid.drives[1].dirty);
	free(flush);
	free(buffer);
}

static void other_ended(struct raid_flush *flush)
{
	flush->fiber = NULL;
}

/* Somebody else's flush is under way, and has taken the marks: that does not make it safe yet. */
static void beside_body(void *arg)
{
	struct raid_rig *rig = arg;
	struct raid_flush *other = calloc(1, sizeof(*other));
	struct raid_flush *flush = calloc(1, sizeof(*flush));
	uint8_t *buffer = pages(1, 1);
	struct disk_sim_stats stats;

	assert_true(other && flush);
	assert_int_equal(raid_write(&rig->raid, VADDR(0), 1, 0, buffer), 0);
	other->done = other_ended;
	other->fiber = fiber_self();
	raid_flush(&rig->raid, other, true);
	assert_int_equal(raid_flush_run(&rig->raid, flush, false), 0);
	for (unsigned drive = 0; drive < 2; drive++) {
		disk_sim_stats_get(rig->media[drive], &stats);
		assert_int_equal(stats.unflushed_blocks, 0);
	}
	while (other->fiber)
		fiber_sleep_ns(NS_PER_MS);
	free(other);
	free(flush);
	free(buffer);
}

static void flushes(void **state)
{
	with_rig(2, flush_body);
	with_rig(2, beside_body);
}

/* --- Labels ----------------------------------------------------------------------------------- */

static void super_make(struct raid_rig *rig, struct super *super, uint64_t ckpt)
{
	memset(super, 0, sizeof(*super));
	super->version = SUPER_VERSION;
	memset(super->pool_guid, 0xAB, sizeof(super->pool_guid));
	super->ckpt = ckpt;
	super->epoch = 1;
	super->chunk_shift = RIG_CHUNK_SHIFT;
	super->state = SUPER_ACTIVE;
	super->seq_next = 1;
	super->segment_limit = 4;
	super->volume_limit = 1;
	super->snapshot_limit = 1;
	memcpy(super->pool_name, "tank", 5);
	super->drive_count = (uint8_t)rig->count;
	super->log_segment_count = 1;
	super->log_segments[0] = SEGMENT_LOG;
	for (unsigned i = 0; i < rig->count; i++)
		super->drives[i] = rig->raid.drives[i].info;
}

static int super_scan(struct raid_rig *rig, unsigned drive, struct super_candidate *candidates)
{
	uint64_t lost;

	return raid_super_read(rig->raid.drives[drive].channel, RIG_DRIVE_BYTES, candidates, 8,
			       &lost);
}

static void label_body(void *arg)
{
	struct raid_rig *rig = arg;
	struct super_candidate *found = calloc(8, sizeof(*found));
	struct super super;
	uint8_t *buffer = pages(1, 0x5A);

	assert_int_equal(raid_label_write(&rig->raid, &rig->raid.drives[1], LABEL_HEARTBEAT, buffer,
					  PAGE_BYTES),
			 0);
	memset(buffer, 0, PAGE_BYTES);
	assert_int_equal(raid_label_read(&rig->raid, &rig->raid.drives[1], LABEL_HEARTBEAT, buffer,
					 PAGE_BYTES),
			 0);
	assert_int_equal(buffer[0], 0x5A);
	assert_int_equal(super_scan(rig, 0, found), -ENOENT);
	for (uint64_t ckpt = 62; ckpt <= 67; ckpt++) {
		super_make(rig, &super, ckpt);
		assert_int_equal(raid_super_write(&rig->raid, &super), 0);
		assert_int_equal(rig->raid.ckpt, ckpt);
	}
	for (unsigned drive = 0; drive < 2; drive++) {
		assert_int_equal(super_scan(rig, drive, found), SPACE_KEEP + 1);
		for (unsigned i = 0; i < SPACE_KEEP + 1; i++) {
			assert_int_equal(found[i].super.ckpt, 67 - i);
			assert_int_equal(found[i].super.drive_guid[0], drive + 1);
			assert_int_equal(found[i].slot, (67 - i) % SUPER_RING_SLOTS);
			assert_false(found[i].back);
		}
	}
	free(found);
	free(buffer);
}

static void labels(void **state)
{
	with_rig(2, label_body);
}

static void torn_body(void *arg)
{
	struct raid_rig *rig = arg;
	struct super_candidate *found = calloc(8, sizeof(*found));
	struct super super;

	for (uint64_t ckpt = 1; ckpt <= 3; ckpt++) {
		super_make(rig, &super, ckpt);
		assert_int_equal(raid_super_write(&rig->raid, &super), 0);
	}
	raid_rig_rot(rig, 0, super_offset(RIG_DRIVE_BYTES, false, 3) + 600);
	assert_int_equal(super_scan(rig, 0, found), 3);
	assert_int_equal(found[0].super.ckpt, 3);
	assert_true(found[0].back);
	assert_false(found[1].back);
	raid_rig_rot(rig, 0, super_offset(RIG_DRIVE_BYTES, true, 3) + 600);
	assert_int_equal(super_scan(rig, 0, found), 2);
	assert_int_equal(found[0].super.ckpt, 2);
	/* A ring, or a page of it, that cannot be read is no reason to give up. */
	assert_int_equal(
		disk_sim_fault_add(rig->media[0], &(struct disk_sim_fault){.ops = 1 << DISK_READ,
									   .offset = 4 * MiB,
									   .result = -EIO}),
		0);
	assert_int_equal(super_scan(rig, 0, found), 2);
	assert_int_equal(
		disk_sim_fault_add(
			rig->media[0],
			&(struct disk_sim_fault){.ops = 1 << DISK_READ,
						 .offset = super_offset(RIG_DRIVE_BYTES, false, 2),
						 .length_bytes = 1,
						 .result = -EIO}),
		0);
	assert_int_equal(super_scan(rig, 0, found), 1);
	assert_int_equal(found[0].super.ckpt, 1);
	raid_rig_rot(rig, 0, super_offset(RIG_DRIVE_BYTES, false, 1) + 600);
	assert_int_equal(super_scan(rig, 0, found), -EUCLEAN);
	raid_rig_fault(rig, 0, 1 << DISK_READ, 0, -EIO);
	assert_int_equal(super_scan(rig, 0, found), -EIO);
	free(found);
}

static void torn_superblocks(void **state)
{
	with_rig(2, torn_body);
}

/* A newer version had the pool: what it left of our format is old. */
static void newer_body(void *arg)
{
	struct raid_rig *rig = arg;
	struct super_candidate *found = calloc(8, sizeof(*found));
	struct super super;

	super_make(rig, &super, 7);
	assert_int_equal(raid_super_write(&rig->raid, &super), 0);
	super_make(rig, &super, 8);
	super.incompat = 1;
	assert_int_equal(raid_super_write(&rig->raid, &super), 0);
	assert_int_equal(super_scan(rig, 0, found), -ENOTSUP);
	assert_int_equal(found[0].super.incompat, 1);
	free(found);
}

static void newer_superblock(void **state)
{
	with_rig(2, newer_body);
}

static void super_errors_body(void *arg)
{
	struct raid_rig *rig = arg;
	struct super_candidate *found = calloc(8, sizeof(*found));
	struct super super;
	int count;

	super_make(rig, &super, 8);
	assert_int_equal(raid_super_write(&rig->raid, &super), 0);
	/* Neither copy on drive 1, which may not go: no checkpoint. */
	rig->may_fault = false;
	raid_rig_fault(rig, 1, 1 << DISK_WRITE, 0, -EIO);
	super_make(rig, &super, 9);
	assert_int_equal(raid_super_write(&rig->raid, &super), -EIO);
	assert_int_equal(rig->raid.ckpt, 8);
	rig->may_fault = true;
	super_make(rig, &super, 9);
	assert_int_equal(raid_super_write(&rig->raid, &super), 0);
	assert_int_equal(rig->raid.ckpt, 9);
	assert_int_equal(rig->raid.drives[1].info.state, DRIVE_FAULTED);
	assert_int_equal(rig->raid.drives[1].info.left_ckpt, 8);
	/* A write that failed may have left what it was to write. */
	count = super_scan(rig, 1, found);
	assert_in_range(count, 1, 2);
	assert_int_equal(found[count - 1].super.ckpt, 8);
	/* No front copy anywhere. */
	raid_rig_fault(rig, 0, 1 << DISK_WRITE, 1, -EIO);
	super_make(rig, &super, 10);
	assert_int_equal(raid_super_write(&rig->raid, &super), -EIO);
	free(found);
}

static void super_errors(void **state)
{
	with_rig(2, super_errors_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mirror),
		cmocka_unit_test(reads_take_turns),
		cmocka_unit_test(leg_fails),
		cmocka_unit_test(one_column_and_discard),
		cmocka_unit_test(faulted_after_errors),
		cmocka_unit_test(gone_at_once),
		cmocka_unit_test(missing),
		cmocka_unit_test(flushes),
		cmocka_unit_test(labels),
		cmocka_unit_test(torn_superblocks),
		cmocka_unit_test(super_errors),
		cmocka_unit_test(newer_superblock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
