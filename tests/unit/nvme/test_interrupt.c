/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts: MSI-X, INTx, masks, coalescing. Numbers are those of the conformance list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "harness.h"

static void open_mode(struct harness *h, bool intx_only)
{
	const struct harness_params params = {.seed = 18, .intx_only = intx_only};

	harness_open(h, &params);
	assert_int_equal(harness_enable(h, 32, 32), 1);
}

static void read_some(struct harness *h, struct harness_queue *q, unsigned count)
{
	const uint64_t page = harness_alloc(h, 4096);

	for (unsigned i = 0; i < count; i++) {
		const struct harness_sqe sqe = harness_io(2, i, 1, page, 0);

		harness_put(h, q, &sqe);
	}
	harness_ring_sq(h, q);
	harness_settle(h);
}

static void drain(struct harness *h, struct harness_queue *q)
{
	struct harness_cqe cqe;

	while (harness_take_quietly(h, q, &cqe))
		;
	harness_ring_cq(h, q);
	harness_settle(h);
}

static void test_18_masks_ignored_with_msix(void **state)
{
	struct harness h;
	struct harness_queue *q;

	open_mode(&h, false);
	q = harness_create(&h, 1, 16, 16);
	harness_set32(&h, REG_INTMS, 0xFFFFFFFF);
	assert_int_equal(harness_get32(&h, REG_INTMS), 0);
	read_some(&h, q, 1);
	assert_int_equal(h.fired[1], 1);
	assert_int_equal(h.intx_changes, 0);
	harness_close(&h);
}

static void test_18_masks_with_intx(void **state)
{
	struct harness h;
	struct harness_queue *q;

	open_mode(&h, true);
	assert_false(h.intx_level);
	q = harness_create(&h, 1, 16, 16);
	harness_set32(&h, REG_INTMS, 1);
	assert_int_equal(harness_get32(&h, REG_INTMS), 1);
	assert_int_equal(harness_get32(&h, REG_INTMC), 1);
	read_some(&h, q, 1);
	assert_false(h.intx_level);
	harness_set32(&h, REG_INTMC, 1);
	assert_int_equal(harness_get32(&h, REG_INTMS), 0);
	assert_true(h.intx_level);
	harness_set32(&h, REG_INTMS, 1);
	assert_false(h.intx_level);
	harness_set32(&h, REG_INTMC, 1);
	drain(&h, q);
	assert_false(h.intx_level);
	assert_int_equal(h.fired[1], 0);
	harness_close(&h);
}

static void test_19_20_intx_until_all_are_drained(void **state)
{
	struct harness h;
	struct harness_queue *a, *b;

	open_mode(&h, true);
	a = harness_create(&h, 1, 16, 16);
	b = harness_create(&h, 2, 16, 16);
	read_some(&h, a, 2);
	read_some(&h, b, 2);
	assert_true(h.intx_level);
	drain(&h, a);
	assert_true(h.intx_level);
	assert_true(nvme_controller_intx_level(h.controller)); /* what an unmask asks for */
	drain(&h, b);
	assert_false(h.intx_level);
	assert_false(nvme_controller_intx_level(h.controller));
	/* A reset drops the line. */
	read_some(&h, a, 1);
	assert_true(h.intx_level);
	harness_disable(&h);
	assert_false(h.intx_level);
	harness_close(&h);
}

/* The guest takes entries without an MMIO write: it has to be asked to ring, or the line stays. */
static void test_19_intx_with_shadow_doorbells(void **state)
{
	struct harness h;
	struct harness_queue *q;

	open_mode(&h, true);
	q = harness_create(&h, 1, 16, 16);
	assert_int_equal(harness_shadow_on(&h), 0);
	for (unsigned i = 0; i < 100; i++) {
		read_some(&h, q, 1 + i % 5);
		assert_true(h.intx_level);
		drain(&h, q);
		assert_false(h.intx_level);
	}
	harness_close(&h);
}

/* A client may hold its own line up until the guest accesses a BAR: each time, not only asleep. */
static void test_intx_makes_the_guest_ring(void **state)
{
	struct harness h;
	struct harness_queue *q;
	struct harness_cqe cqe;

	open_mode(&h, true);
	q = harness_create(&h, 1, 16, 16);
	assert_int_equal(harness_shadow_on(&h), 0);
	for (unsigned i = 0; i < 100; i++) {
		const struct harness_sqe sqe = harness_io(2, i, 1, harness_alloc(&h, 4096), 0);
		unsigned rings;

		harness_put(&h, q, &sqe);
		harness_ring_sq(&h, q);
		for (unsigned turn = 0; turn < 20 && !h.intx_level; turn++)
			harness_turn(&h);
		assert_true(h.intx_level);
		rings = q->rings;
		assert_true(harness_take_quietly(&h, q, &cqe));
		harness_ring_cq(&h, q);
		assert_int_equal(q->rings, rings + 1);
		assert_false(h.intx_level);
	}
	harness_close(&h);
}

static void test_intx_disabled_by_command_register(void **state)
{
	struct harness h;
	struct harness_queue *q;

	open_mode(&h, true);
	q = harness_create(&h, 1, 16, 16);
	read_some(&h, q, 1);
	assert_true(h.intx_level);
	harness_config_set16(&h, 4, 0x0406);
	assert_false(h.intx_level);
	harness_config_set16(&h, 4, 0x0006);
	assert_true(h.intx_level);
	/* To MSI-X: the line falls, and what was untold is told. */
	harness_msix(&h, true);
	assert_false(h.intx_level);
	assert_int_equal(h.fired[1], 1);
	harness_close(&h);
}

static void test_31_interrupts_off(void **state)
{
	struct harness h;
	struct harness_queue *q = &h.queues[3];
	struct harness_sqe sqe;

	open_mode(&h, false);
	*q = (struct harness_queue){.id = 3, .sq_size = 16, .cq_size = 16, .phase = 1};
	q->sq_iova = harness_alloc(&h, 4096);
	q->cq_iova = harness_alloc(&h, 4096);
	sqe = harness_admin(5, 0, q->cq_iova, 15U << 16 | 3, 1);
	assert_int_equal(harness_execute(&h, &h.queues[0], &sqe, NULL), 0);
	sqe = harness_admin(1, 0, q->sq_iova, 15U << 16 | 3, 3U << 16 | 1);
	assert_int_equal(harness_execute(&h, &h.queues[0], &sqe, NULL), 0);
	harness_settle(&h);
	memset(h.fired, 0, sizeof(h.fired));
	read_some(&h, q, 5);
	for (unsigned i = 0; i < HARNESS_VECTORS; i++)
		assert_int_equal(h.fired[i], 0);
	harness_close(&h);
}

static void test_one_message_per_vector_and_batch(void **state)
{
	struct harness h;
	struct harness_queue *q;

	open_mode(&h, false);
	q = harness_create(&h, 1, 64, 64);
	read_some(&h, q, 20);
	assert_int_equal(h.fired[1], 1);
	drain(&h, q);
	/* The same from outside poll(): a drive that completes all in one turn. */
	h.disk->mode = RAMDISK_HOLD;
	read_some(&h, q, 20);
	assert_int_equal(h.fired[1], 1);
	ramdisk_release_all(h.disk);
	harness_settle(&h);
	assert_int_equal(h.fired[1], 2);
	harness_close(&h);
}

static uint16_t set_feature(struct harness *h, uint8_t fid, uint32_t dw11)
{
	const struct harness_sqe sqe = harness_admin(9, 0, 0, fid, dw11);

	return harness_execute(h, &h->queues[0], &sqe, NULL);
}

static uint16_t admin(struct harness *h, uint8_t opcode, uint64_t prp1, uint32_t dw10,
		      uint32_t dw11)
{
	const struct harness_sqe sqe = harness_admin(opcode, 0, prp1, dw10, dw11);

	return harness_execute(h, &h->queues[0], &sqe, NULL);
}

/* H35: what was held back for a queue goes with it; a new queue of its number fires for itself. */
static void test_h35_queue_deleted_before_its_interrupt(void **state)
{
	struct harness h;
	struct harness_queue *q;
	struct harness_sqe sqe;

	open_mode(&h, false);
	q = harness_create(&h, 1, 16, 16);
	assert_int_equal(set_feature(&h, 8, 0xFFFF), 0); /* 25.5 ms, 256 entries */
	sqe = harness_io(2, 0, 1, harness_alloc(&h, 4096), 0);
	assert_int_equal(harness_execute(&h, q, &sqe, NULL), 0);
	assert_int_equal(h.fired[1], 0);
	assert_int_equal(admin(&h, 0, 0, 1, 0), 0);
	assert_int_equal(admin(&h, 4, 0, 1, 0), 0);
	assert_int_equal(h.fired[1], 0);
	/* The same number again, on another vector. */
	assert_int_equal(admin(&h, 5, q->cq_iova, 15U << 16 | 1, 2U << 16 | 3), 0);
	for (unsigned i = 0; i < 10; i++)
		harness_settle(&h); /* the time is long over */
	assert_int_equal(h.fired[1], 0);
	assert_int_equal(h.fired[2], 0);
	harness_close(&h);
}

static void test_48_coalescing(void **state)
{
	struct harness h;
	struct harness_queue *q;
	uint64_t before;

	open_mode(&h, false);
	q = harness_create(&h, 1, 64, 64);
	/* Threshold 4 (0's based 3), time 10 x 100 us. */
	assert_int_equal(set_feature(&h, 8, 0x0A03), 0);
	before = loop_sim_now_ns(h.sim);
	read_some(&h, q, 1); /* settles: the timer has fired by then */
	assert_int_equal(h.fired[1], 1);
	assert_true(loop_sim_now_ns(h.sim) - before >= NS_PER_MS);
	drain(&h, q);
	/* Threshold reached: no waiting. */
	read_some(&h, q, 4);
	assert_int_equal(h.fired[1], 2);
	drain(&h, q);
	/* The admin queue never waits. */
	memset(h.fired, 0, sizeof(h.fired));
	assert_int_equal(set_feature(&h, 8, 0xFF03), 0);
	assert_true(h.fired[0] >= 1);
	/* A vector may be taken out (feature 09h, CD). */
	assert_int_equal(set_feature(&h, 9, 1U << 16 | 1), 0);
	before = loop_sim_now_ns(h.sim);
	harness_turn(&h);
	memset(h.fired, 0, sizeof(h.fired));
	{
		const struct harness_sqe sqe = harness_io(2, 0, 1, harness_alloc(&h, 4096), 0);

		assert_int_equal(harness_execute(&h, q, &sqe, NULL), 0);
	}
	for (unsigned i = 0; i < 20; i++)
		harness_turn(&h);
	assert_int_equal(h.fired[1], 1);
	assert_true(loop_sim_now_ns(h.sim) - before < NS_PER_MS);
	/* A reset forgets it. */
	harness_disable(&h);
	harness_close(&h);
}

/* Settings that change while an interrupt is held back: it is judged anew, once, and not lost. */
static void test_coalescing_set_again(void **state)
{
	struct harness h;
	struct harness_queue *q;
	struct harness_sqe sqe;

	open_mode(&h, false);
	q = harness_create(&h, 1, 64, 64);
	sqe = harness_io(2, 0, 1, harness_alloc(&h, 4096), 0);
	assert_int_equal(set_feature(&h, 8, 0x0AFF), 0);
	assert_int_equal(harness_execute(&h, q, &sqe, NULL), 0);
	assert_int_equal(h.fired[1], 0);
	assert_int_equal(set_feature(&h, 8, 0x0AFE), 0);
	assert_int_equal(h.fired[1], 0);
	harness_settle(&h);
	assert_int_equal(h.fired[1], 1);
	/* Switched off: what was held back is told at once. */
	assert_int_equal(harness_execute(&h, q, &sqe, NULL), 0);
	assert_int_equal(h.fired[1], 1);
	assert_int_equal(set_feature(&h, 8, 0), 0);
	assert_int_equal(h.fired[1], 2);
	harness_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_18_masks_ignored_with_msix),
		cmocka_unit_test(test_18_masks_with_intx),
		cmocka_unit_test(test_19_20_intx_until_all_are_drained),
		cmocka_unit_test(test_19_intx_with_shadow_doorbells),
		cmocka_unit_test(test_intx_makes_the_guest_ring),
		cmocka_unit_test(test_intx_disabled_by_command_register),
		cmocka_unit_test(test_31_interrupts_off),
		cmocka_unit_test(test_one_message_per_vector_and_batch),
		cmocka_unit_test(test_48_coalescing),
		cmocka_unit_test(test_h35_queue_deleted_before_its_interrupt),
		cmocka_unit_test(test_coalescing_set_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
