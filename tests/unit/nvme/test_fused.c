/* SPDX-License-Identifier: Apache-2.0 */
/* Fused Compare and Write: pairs, halves without the other, and atomicity (NVMe 1.4, 4.12). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "harness.h"

#define DNR 0x4000
#define WRITE 1
#define READ 2
#define COMPARE 5
#define FIRST (1U << 8)
#define SECOND (2U << 8)
#define MISMATCH 0x285
#define FAILED_FUSED 0x009
#define MISSING_FUSED 0x00A

struct rig {
	struct harness h;
	struct harness_queue *q;
	uint64_t old_page, new_page;
};

static void rig_open(struct rig *t)
{
	const struct harness_params params = {.seed = 12};

	harness_open(&t->h, &params);
	harness_enable(&t->h, 32, 32);
	t->q = harness_create(&t->h, 1, 64, 64);
	t->old_page = harness_alloc(&t->h, 4096);
	t->new_page = harness_alloc(&t->h, 4096);
	memset(harness_ptr(&t->h, t->new_page), 0x4E, 4096);
}

static void put(struct rig *t, uint32_t dw0, uint64_t slba, unsigned blocks, uint64_t page)
{
	struct harness_sqe sqe = harness_io((uint8_t)dw0, slba, blocks, page, 0);

	sqe.dw[0] = dw0;
	harness_put(&t->h, t->q, &sqe);
}

/* The next completion is for the command `cid` with this status. */
static void expect(struct rig *t, uint16_t cid, uint16_t status)
{
	struct harness_cqe cqe;

	assert_true(harness_wait(&t->h, t->q, &cqe));
	assert_int_equal(cqe.cid, cid);
	assert_int_equal(cqe.status, status);
}

static void pair(struct rig *t, uint64_t slba, uint16_t first, uint16_t second)
{
	const uint16_t cid = t->q->next_cid;

	put(t, COMPARE | FIRST, slba, 1, t->old_page);
	put(t, WRITE | SECOND, slba, 1, t->new_page);
	harness_ring_sq(&t->h, t->q);
	expect(t, cid, first);
	expect(t, (uint16_t)(cid + 1), second);
}

static void test_pair(void **state)
{
	struct rig t;

	rig_open(&t);
	pair(&t, 5, 0, 0);
	assert_int_equal(t.h.disk->data[5 * 512], 0x4E);
	pair(&t, 5, MISMATCH, FAILED_FUSED);
	memset(harness_ptr(&t.h, t.old_page), 0x4E, 4096);
	memset(harness_ptr(&t.h, t.new_page), 0x4F, 4096);
	pair(&t, 5, 0, 0);
	assert_int_equal(t.h.disk->data[5 * 512], 0x4F);
	assert_int_equal(t.h.disk->data[6 * 512], 0);
	/* Errors of either half. */
	pair(&t, 1U << 30, 0x080 | DNR, FAILED_FUSED);
	memset(harness_ptr(&t.h, t.old_page), 0x4F, 4096);
	t.h.disk->fail = -EIO;
	t.h.disk->fail_ops = 1U << BLOCK_WRITE;
	pair(&t, 5, 0, 0x280);
	t.h.disk->fail_ops = 1U << BLOCK_READ;
	pair(&t, 5, 0x281, FAILED_FUSED);
	t.h.disk->fail_ops = 0;
	t.h.disk->device.limits.read_only = true;
	pair(&t, 5, 0, 0x020 | DNR);
	harness_close(&t.h);
}

static void test_halves_alone(void **state)
{
	struct rig t;

	rig_open(&t);
	/* A second half without a first one. */
	put(&t, WRITE | SECOND, 5, 1, t.new_page);
	harness_ring_sq(&t.h, t.q);
	expect(&t, 0, MISSING_FUSED);
	/* A first half, then something else, which is executed. */
	put(&t, COMPARE | FIRST, 5, 1, t.old_page);
	put(&t, READ, 5, 1, t.old_page);
	harness_ring_sq(&t.h, t.q);
	expect(&t, 1, MISSING_FUSED);
	expect(&t, 2, 0);
	/* Two first halves, then a second: the later two are the pair. */
	put(&t, COMPARE | FIRST, 5, 1, t.old_page);
	put(&t, COMPARE | FIRST, 6, 1, t.old_page);
	put(&t, WRITE | SECOND, 6, 1, t.new_page);
	harness_ring_sq(&t.h, t.q);
	expect(&t, 3, MISSING_FUSED);
	expect(&t, 4, 0);
	expect(&t, 5, 0);
	assert_int_equal(t.h.disk->data[5 * 512], 0);
	assert_int_equal(t.h.disk->data[6 * 512], 0x4E);
	/* Not the same blocks; not a write. */
	put(&t, COMPARE | FIRST, 7, 1, t.old_page);
	put(&t, WRITE | SECOND, 8, 1, t.new_page);
	put(&t, COMPARE | FIRST, 7, 1, t.old_page);
	put(&t, READ | SECOND, 7, 1, t.new_page);
	harness_ring_sq(&t.h, t.q);
	for (uint16_t cid = 6; cid < 10; cid++)
		expect(&t, cid, 0x002 | DNR);
	harness_close(&t.h);
}

/* A first half waits for its second one, and everything that ends the queue ends it. */
static void test_first_half_at_the_end(void **state)
{
	struct rig t;
	struct harness_cqe cqe;
	struct harness_sqe sqe;

	rig_open(&t);
	put(&t, COMPARE | FIRST, 5, 1, t.old_page);
	harness_ring_sq(&t.h, t.q);
	harness_settle(&t.h);
	assert_false(harness_take(&t.h, t.q, &cqe));
	sqe = harness_admin(0, 0, 0, 1, 0);
	assert_int_equal(harness_execute(&t.h, &t.h.queues[0], &sqe, NULL), 0);
	expect(&t, 0, 0x008);
	sqe = harness_admin(4, 0, 0, 1, 0);
	assert_int_equal(harness_execute(&t.h, &t.h.queues[0], &sqe, NULL), 0);
	t.q = harness_create(&t.h, 1, 16, 16);
	put(&t, COMPARE | FIRST, 5, 1, t.old_page);
	harness_ring_sq(&t.h, t.q);
	harness_settle(&t.h);
	harness_set32(&t.h, REG_CC, CC_ON | 1U << 14);
	harness_settle(&t.h);
	assert_int_equal(harness_get32(&t.h, REG_CSTS), 1 | 2 << 2);
	harness_disable(&t.h);
	harness_enable(&t.h, 16, 16);
	t.q = harness_create(&t.h, 1, 16, 16);
	put(&t, COMPARE | FIRST, 5, 1, t.old_page);
	harness_ring_sq(&t.h, t.q);
	harness_settle(&t.h);
	harness_disable(&t.h);
	harness_close(&t.h);
}

/* Nobody else works on the namespace between the comparison and the end of the write. */
static void test_atomic(void **state)
{
	struct rig t;
	struct harness_queue *other;
	struct harness_cqe cqe;
	struct harness_sqe sqe;
	const uint16_t cid = 0;

	rig_open(&t);
	other = harness_create(&t.h, 2, 16, 16);
	t.h.disk->mode = RAMDISK_HOLD;
	/* In flight before the pair: the pair waits for it. */
	sqe = harness_io(WRITE, 5, 1, t.new_page, 0);
	harness_put(&t.h, other, &sqe);
	harness_ring_sq(&t.h, other);
	harness_settle(&t.h);
	put(&t, COMPARE | FIRST, 5, 1, t.new_page);
	put(&t, WRITE | SECOND, 5, 1, t.old_page);
	harness_ring_sq(&t.h, t.q);
	harness_settle(&t.h);
	assert_int_equal(t.h.disk->waiting_count, 1);
	/* After the pair: waits behind it. */
	harness_put(&t.h, other, &sqe);
	harness_ring_sq(&t.h, other);
	put(&t, COMPARE | FIRST, 5, 1, t.new_page);
	put(&t, WRITE | SECOND, 5, 1, t.old_page);
	harness_ring_sq(&t.h, t.q);
	harness_settle(&t.h);
	assert_int_equal(t.h.disk->waiting_count, 1);
	assert_true(ramdisk_release(t.h.disk));
	assert_true(harness_wait(&t.h, other, &cqe));
	harness_settle(&t.h);
	assert_int_equal(t.h.disk->waiting_count, 1); /* the comparison's read */
	assert_true(ramdisk_release(t.h.disk));
	harness_settle(&t.h);
	assert_int_equal(t.h.disk->waiting_count, 1); /* its write */
	assert_true(ramdisk_release(t.h.disk));
	expect(&t, cid, 0);
	expect(&t, cid + 1, 0);
	/* The others behind it come through now, in some order; all complete. */
	t.h.disk->mode = RAMDISK_ASYNC;
	ramdisk_release_all(t.h.disk);
	assert_true(harness_wait(&t.h, other, &cqe));
	assert_int_equal(cqe.status, 0);
	assert_true(harness_wait(&t.h, t.q, &cqe));
	assert_true(harness_wait(&t.h, t.q, &cqe));
	harness_close(&t.h);
}

/* The write was handed to the drive outside of any batch when the reset comes: it must be kicked.
 */
static void test_reset_between_halves(void **state)
{
	struct rig t;

	rig_open(&t);
	t.h.disk->mode = RAMDISK_HOLD;
	put(&t, COMPARE | FIRST, 5, 1, t.old_page);
	put(&t, WRITE | SECOND, 5, 1, t.new_page);
	harness_ring_sq(&t.h, t.q);
	harness_settle(&t.h);
	assert_true(ramdisk_release(t.h.disk));
	harness_set32(&t.h, REG_CC, CC_OFF);
	harness_settle(&t.h);
	assert_int_equal(harness_get32(&t.h, REG_CSTS), 1);
	assert_true(ramdisk_release(t.h.disk));
	assert_int_equal(harness_get32(&t.h, REG_CSTS), 0);
	harness_close(&t.h);
}

/* A pair that waits for another one is aborted: both halves end, and before the Abort does. */
static void test_abort_of_waiting_pair(void **state)
{
	struct rig t;
	struct harness_cqe cqe;
	struct harness_sqe sqe;

	rig_open(&t);
	t.h.disk->mode = RAMDISK_HOLD;
	put(&t, COMPARE | FIRST, 5, 1, t.old_page);
	put(&t, WRITE | SECOND, 5, 1, t.new_page);
	put(&t, COMPARE | FIRST, 6, 1, t.old_page);
	put(&t, WRITE | SECOND, 6, 1, t.new_page);
	harness_ring_sq(&t.h, t.q);
	harness_settle(&t.h);
	sqe = harness_admin(8, 0, 0, 2U << 16 | 1, 0);
	assert_int_equal(harness_execute(&t.h, &t.h.queues[0], &sqe, &cqe), 0);
	assert_int_equal(cqe.dw0, 0);
	expect(&t, 2, 0x007);
	expect(&t, 3, FAILED_FUSED);
	assert_true(ramdisk_release(t.h.disk));
	harness_settle(&t.h);
	assert_true(ramdisk_release(t.h.disk));
	expect(&t, 0, 0);
	expect(&t, 1, 0);
	/* The halves' places are used again, and nothing of the old pair is left on them. */
	t.h.disk->mode = RAMDISK_INLINE;
	pair(&t, 6, 0, 0);
	harness_close(&t.h);
}

/* A command that waited before the gate is not the one behind a first half that came later. */
static void test_waiting_command_parts_no_pair(void **state)
{
	struct rig t;

	rig_open(&t);
	t.h.disk->mode = RAMDISK_HOLD;
	put(&t, COMPARE | FIRST, 5, 1, t.old_page);
	put(&t, WRITE | SECOND, 5, 1, t.new_page);
	put(&t, READ, 7, 1, t.old_page);
	put(&t, COMPARE | FIRST, 6, 1, t.old_page);
	harness_ring_sq(&t.h, t.q);
	harness_settle(&t.h);
	assert_true(ramdisk_release(t.h.disk));
	harness_settle(&t.h);
	t.h.disk->mode = RAMDISK_INLINE;
	assert_true(ramdisk_release(t.h.disk));
	expect(&t, 0, 0);
	expect(&t, 2, 0);
	expect(&t, 1, 0);
	put(&t, WRITE | SECOND, 6, 1, t.new_page);
	harness_ring_sq(&t.h, t.q);
	expect(&t, 3, 0);
	expect(&t, 4, 0);
	harness_close(&t.h);
}

/* A lock in a block: every queue increments it with pairs, nobody's increment is lost. */
static void increments(uint64_t seed)
{
	const struct harness_params params = {.seed = seed};
	struct rig t;
	uint64_t pages;
	unsigned done = 0;

	harness_open(&t.h, &params);
	harness_enable(&t.h, 32, 32);
	t.h.disk->mode = RAMDISK_ASYNC;
	for (unsigned id = 1; id <= 4; id++)
		harness_create(&t.h, id, 8, 8);
	pages = harness_alloc(&t.h, 4 * 8192);
	for (unsigned round = 0; round < 50; round++) {
		for (unsigned id = 1; id <= 4; id++) {
			struct harness_queue *q = &t.h.queues[id];
			const uint64_t mine = pages + (id - 1) * 8192ULL;
			uint8_t *old_data = harness_ptr(&t.h, mine);
			struct harness_sqe sqe;

			memcpy(old_data, t.h.disk->data, 512);
			memcpy(old_data + 4096, old_data, 512);
			old_data[4096]++;
			sqe = harness_io(COMPARE, 0, 1, mine, 0);
			sqe.dw[0] |= FIRST;
			harness_put(&t.h, q, &sqe);
			sqe = harness_io(WRITE, 0, 1, mine + 4096, 0);
			sqe.dw[0] |= SECOND;
			harness_put(&t.h, q, &sqe);
			harness_ring_sq(&t.h, q);
			for (uint64_t n = random_below(loop_sim_random(t.h.sim), 6); n > 0; n--)
				harness_turn(&t.h);
		}
		for (unsigned id = 1; id <= 4; id++) {
			struct harness_cqe first, second;

			assert_true(harness_wait(&t.h, &t.h.queues[id], &first));
			assert_true(harness_wait(&t.h, &t.h.queues[id], &second));
			assert_int_equal(second.status, first.status == 0 ? 0 : FAILED_FUSED);
			done += first.status == 0;
		}
	}
	assert_int_equal(t.h.disk->data[0], (uint8_t)done);
	assert_true(done >= 50);
	harness_close(&t.h);
}

static void test_increments(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++)
		increments(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pair),
		cmocka_unit_test(test_halves_alone),
		cmocka_unit_test(test_first_half_at_the_end),
		cmocka_unit_test(test_atomic),
		cmocka_unit_test(test_reset_between_halves),
		cmocka_unit_test(test_abort_of_waiting_pair),
		cmocka_unit_test(test_waiting_command_parts_no_pair),
		cmocka_unit_test(test_increments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
