/* SPDX-License-Identifier: Apache-2.0 */
/* Copy, by data and by reference. Numbers are those of the conformance list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include <quoin/base_endian.h>

#include "harness.h"

#define DNR 0x4000
#define LBA_RANGE (0x080 | DNR)
#define SIZE_LIMIT (0x183 | DNR)
#define INVALID_FIELD (0x002 | DNR)
#define COPY 0x19
#define FLUSH 0
#define FUA (1U << 30)
#define DISK_BLOCKS 32768 /* of 512 bytes */
#define PATTERN_BLOCKS 4000

struct trial {
	struct harness h;
	struct harness_queue *q;
	uint64_t page; /* the descriptors */
	uint8_t *entries, *disk;
	uint32_t dw0; /* of the last command */
};

/* Every block of the first ones is another. */
static void trial_open(struct trial *t)
{
	const struct harness_params params = {.seed = 99};

	harness_open(&t->h, &params);
	harness_enable(&t->h, 32, 32);
	t->q = harness_create(&t->h, 1, 64, 64);
	t->page = harness_alloc(&t->h, 2 * HARNESS_PAGE);
	t->entries = harness_ptr(&t->h, t->page);
	t->disk = t->h.disk->data;
	for (unsigned i = 0; i < PATTERN_BLOCKS * 512; i++)
		t->disk[i] = (uint8_t)(i / 512 * 7 + i);
}

/* A drive that copies blocks of 4 KiB, when there are four. */
static void offer(struct trial *t)
{
	t->h.disk->device.limits.copy_block_bytes = 4096;
	t->h.disk->device.limits.copy_min_bytes = 16384;
}

static void range(struct trial *t, unsigned index, uint64_t slba, unsigned blocks)
{
	uint8_t *entry = t->entries + (size_t)index * 32;

	memset(entry, 0, 32);
	le64_put(entry + 8, slba);
	le16_put(entry + 16, (uint16_t)(blocks - 1));
}

static struct harness_sqe command(struct trial *t, uint64_t to, unsigned ranges, uint32_t flags)
{
	struct harness_sqe sqe = harness_io(COPY, to, 1, t->page, 0);

	sqe.dw[12] = (ranges - 1) | flags;
	return sqe;
}

static uint16_t copy(struct trial *t, uint64_t to, unsigned ranges, uint32_t flags)
{
	const struct harness_sqe sqe = command(t, to, ranges, flags);
	struct harness_cqe cqe = {.dw0 = 0};
	const uint16_t status = harness_execute(&t->h, t->q, &sqe, &cqe);

	t->dw0 = cqe.dw0;
	return status;
}

static void same(const struct trial *t, uint64_t to, uint64_t from, uint64_t blocks)
{
	assert_memory_equal(t->disk + to * 512, t->disk + from * 512, blocks * 512);
}

static unsigned asked(const struct trial *t, enum block_op op)
{
	return t->h.disk->counts[op];
}

static void test_99_ranges_one_behind_another(void **state)
{
	struct trial t;

	trial_open(&t);
	range(&t, 0, 10, 3);
	range(&t, 1, 1000, 2000);
	range(&t, 2, 0, 1);
	assert_int_equal(copy(&t, 8000, 3, 0), 0);
	same(&t, 8000, 10, 3);
	same(&t, 8003, 1000, 2000);
	same(&t, 10003, 0, 1);
	assert_int_equal(t.disk[10004 * 512], 0);
	assert_int_equal(t.h.disk->fua_count, 0);
	assert_int_equal(copy(&t, 8000, 1, FUA), 0);
	assert_int_equal(t.h.disk->fua_count, 1);
	/* As many ranges as there may be. */
	for (unsigned i = 0; i < 128; i++)
		range(&t, i, 127 - i, 1);
	assert_int_equal(copy(&t, 20000, 128, 0), 0);
	for (unsigned i = 0; i < 128; i++)
		same(&t, 20000 + i, 127 - i, 1);
	harness_close(&t.h);
}

static void test_100_limits(void **state)
{
	struct trial t;

	trial_open(&t);
	range(&t, 0, 10, 3);
	assert_int_equal(copy(&t, 8000, 1, 1U << 8), INVALID_FIELD); /* format 1 */
	assert_int_equal(copy(&t, 8000, 129, 0), SIZE_LIMIT);
	range(&t, 0, 0, 65536);
	assert_int_equal(copy(&t, 8000, 1, 0), SIZE_LIMIT);
	for (unsigned i = 0; i < 4; i++)
		range(&t, i, 0, 20000);
	assert_int_equal(copy(&t, 8000, 4, 0), SIZE_LIMIT);
	range(&t, 0, DISK_BLOCKS - 1, 2);
	assert_int_equal(copy(&t, 8000, 1, 0), LBA_RANGE);
	range(&t, 0, UINT64_MAX, 2);
	assert_int_equal(copy(&t, 8000, 1, 0), LBA_RANGE);
	range(&t, 0, 0, 2);
	assert_int_equal(copy(&t, DISK_BLOCKS - 1, 1, 0), LBA_RANGE);
	assert_int_equal(copy(&t, UINT64_MAX, 1, 0), LBA_RANGE);
	/* Nothing was read or written for any of them, not even for the good ranges before. */
	range(&t, 0, 0, 2);
	range(&t, 1, DISK_BLOCKS, 1);
	assert_int_equal(copy(&t, 8000, 2, 0), LBA_RANGE);
	assert_int_equal(t.dw0, 0);
	assert_int_equal(asked(&t, BLOCK_READ) + asked(&t, BLOCK_WRITE), 0);
	t.h.disk->device.limits.read_only = true;
	assert_int_equal(copy(&t, 8000, 1, 0), 0x020 | DNR);
	harness_close(&t.h);
}

/* Fails the second request of a kind, counted from now. */
static uint16_t copy_failing(struct trial *t, enum block_op op)
{
	const struct harness_sqe sqe = command(t, 8000, 3, 0);
	struct harness_cqe cqe;

	t->h.disk->mode = RAMDISK_HOLD;
	harness_put(&t->h, t->q, &sqe);
	harness_ring_sq(&t->h, t->q);
	for (unsigned done = 0; done < 2;) {
		harness_settle(&t->h);
		assert_int_equal(t->h.disk->waiting_count, 1);
		if (container_of(t->h.disk->waiting.next, struct block_request, node)->op == op)
			done++;
		t->h.disk->fail_ops = done == 2 ? 1U << op : 0;
		ramdisk_release(t->h.disk);
	}
	assert_true(harness_wait(&t->h, t->q, &cqe));
	t->h.disk->fail_ops = 0;
	t->h.disk->mode = RAMDISK_INLINE;
	t->dw0 = cqe.dw0;
	return cqe.status;
}

static void test_101_first_range_that_failed(void **state)
{
	struct trial t;

	trial_open(&t);
	t.h.disk->fail = -EIO;
	range(&t, 0, 10, 3);
	range(&t, 1, 20, 3);
	range(&t, 2, 30, 3);
	assert_int_equal(copy_failing(&t, BLOCK_READ), 0x281);
	assert_int_equal(t.dw0, 1);
	assert_int_equal(copy_failing(&t, BLOCK_WRITE), 0x280);
	assert_int_equal(t.dw0, 1);
	/* The range of which the first half came is not copied. */
	range(&t, 0, 0, 2000);
	assert_int_equal(copy_failing(&t, BLOCK_WRITE), 0x280);
	assert_int_equal(t.dw0, 0);
	assert_int_equal(copy(&t, 8000, 3, 0), 0);
	assert_int_equal(t.dw0, 0);
	harness_close(&t.h);
}

static void test_102_by_reference(void **state)
{
	struct trial t;

	trial_open(&t);
	offer(&t);
	range(&t, 0, 800, 24);
	range(&t, 1, 0, 8);
	assert_int_equal(copy(&t, 8000, 2, 0), 0);
	same(&t, 8000, 800, 24);
	same(&t, 8024, 0, 8);
	assert_int_equal(asked(&t, BLOCK_COPY), 1);
	assert_int_equal(asked(&t, BLOCK_READ) + asked(&t, BLOCK_WRITE), 0);
	harness_close(&t.h);
}

/* What the drive does not take is read and written, with the same result. */
static void test_102_not_by_reference(void **state)
{
	static const struct {
		uint64_t to, from;
		unsigned blocks;
	} cases[] = {
		{8000, 800, 24}, /* too small */
		{8001, 800, 32}, /* a target that is not at a block's begin */
		{8000, 801, 32}, /* nor is the source */
		{8000, 800, 33}, /* nor the end */
		{800, 816, 32},	 /* over itself */
	};
	uint8_t before[33 * 512];
	struct trial t;

	trial_open(&t);
	offer(&t);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		memcpy(before, t.disk + cases[i].from * 512, cases[i].blocks * 512);
		range(&t, 0, cases[i].from, cases[i].blocks);
		assert_int_equal(copy(&t, cases[i].to, 1, 0), 0);
		assert_memory_equal(t.disk + cases[i].to * 512, before, cases[i].blocks * 512);
	}
	assert_int_equal(asked(&t, BLOCK_COPY), 0);
	assert_int_equal(asked(&t, BLOCK_WRITE), ARRAY_SIZE(cases));
	harness_close(&t.h);
}

static void test_102_reference_refused(void **state)
{
	struct trial t;

	trial_open(&t);
	offer(&t);
	t.h.disk->fail_ops = 1U << BLOCK_COPY;
	t.h.disk->fail = -EOPNOTSUPP;
	range(&t, 0, 800, 32);
	assert_int_equal(copy(&t, 8000, 1, 0), 0);
	same(&t, 8000, 800, 32);
	assert_int_equal(asked(&t, BLOCK_COPY), 1);
	assert_int_equal(asked(&t, BLOCK_WRITE), 1);
	/* Anything else is how it ended. */
	t.h.disk->fail = -EIO;
	assert_int_equal(copy(&t, 9000, 1, 0), 0x280);
	assert_int_equal(t.dw0, 0);
	assert_int_equal(asked(&t, BLOCK_WRITE), 1);
	harness_close(&t.h);
}

/* While the drive copies, memory may be unmapped, and the descriptors changed. */
static void test_102_memory_is_not_held(void **state)
{
	struct harness_sqe sqe;
	struct harness_cqe cqe;
	struct trial t;

	trial_open(&t);
	offer(&t);
	t.h.disk->mode = RAMDISK_HOLD;
	range(&t, 0, 800, 32);
	sqe = command(&t, 8000, 1, 0);
	harness_put(&t.h, t.q, &sqe);
	harness_ring_sq(&t.h, t.q);
	harness_settle(&t.h);
	assert_int_equal(t.h.disk->waiting_count, 1);
	range(&t, 0, 0, 32);
	harness_unmap_ram(&t.h);
	harness_settle(&t.h);
	harness_map_ram(&t.h);
	ramdisk_release(t.h.disk);
	assert_true(harness_wait(&t.h, t.q, &cqe));
	assert_int_equal(cqe.status, 0);
	same(&t, 8000, 800, 32);
	harness_close(&t.h);
}

/* A reset in the midst of either kind: it ends, and nothing follows. */
static void test_102_reset(void **state)
{
	struct trial t;

	for (unsigned reference = 0; reference < 2; reference++) {
		struct harness_sqe sqe;

		trial_open(&t);
		if (reference)
			offer(&t);
		t.h.disk->mode = RAMDISK_HOLD;
		t.h.disk->fail_ops = 1U << BLOCK_COPY;
		t.h.disk->fail = -EOPNOTSUPP;
		range(&t, 0, 800, 32);
		sqe = command(&t, 8000, 1, 0);
		harness_put(&t.h, t.q, &sqe);
		harness_ring_sq(&t.h, t.q);
		harness_settle(&t.h);
		assert_int_equal(t.h.disk->waiting_count, 1);
		t.h.disk->mode = RAMDISK_ASYNC;
		loop_task_post(t.h.disk->loop, &t.h.disk->task);
		harness_disable(&t.h);
		harness_settle(&t.h);
		assert_int_equal(asked(&t, BLOCK_READ), !reference);
		assert_int_equal(asked(&t, BLOCK_COPY), reference);
		assert_int_equal(asked(&t, BLOCK_WRITE), 0);
		harness_close(&t.h);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_99_ranges_one_behind_another),
		cmocka_unit_test(test_100_limits),
		cmocka_unit_test(test_101_first_range_that_failed),
		cmocka_unit_test(test_102_by_reference),
		cmocka_unit_test(test_102_not_by_reference),
		cmocka_unit_test(test_102_reference_refused),
		cmocka_unit_test(test_102_memory_is_not_held),
		cmocka_unit_test(test_102_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
