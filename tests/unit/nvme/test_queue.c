/* SPDX-License-Identifier: Apache-2.0 */
/* Queues: rings, creation, deletion, doorbell values. Numbers are those of the conformance list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "harness.h"

#define DNR 0x4000
#define CREATE_SQ 0x01
#define CREATE_CQ 0x05
#define DELETE_SQ 0x00
#define DELETE_CQ 0x04
#define NO_SUCH_QUEUE (0x101 | DNR)
#define BAD_SIZE (0x102 | DNR)

static void open_enabled(struct harness *h, uint64_t seed)
{
	const struct harness_params params = {.seed = seed};

	harness_open(h, &params);
	assert_int_equal(harness_enable(h, 32, 32), 1);
}

static uint16_t admin(struct harness *h, uint8_t opcode, uint64_t prp1, uint32_t dw10,
		      uint32_t dw11)
{
	const struct harness_sqe sqe = harness_admin(opcode, 0, prp1, dw10, dw11);

	return harness_execute(h, &h->queues[0], &sqe, NULL);
}

static uint32_t shape(unsigned id, unsigned entries)
{
	return (entries - 1) << 16 | id;
}

static void test_02_29_30_33_34_create_cq(void **state)
{
	struct harness h;
	uint64_t page;

	open_enabled(&h, 1);
	page = harness_alloc(&h, 1024 * 16);
	assert_int_equal(admin(&h, CREATE_CQ, page, shape(0, 16), 3), NO_SUCH_QUEUE);
	assert_int_equal(admin(&h, CREATE_CQ, page, shape(9, 16), 3), NO_SUCH_QUEUE);
	assert_int_equal(admin(&h, CREATE_CQ, page, shape(0xFFFF, 16), 3), NO_SUCH_QUEUE);
	assert_int_equal(admin(&h, CREATE_CQ, page, shape(1, 1), 3), BAD_SIZE);
	assert_int_equal(admin(&h, CREATE_CQ, page, shape(1, 1025), 3), BAD_SIZE);
	assert_int_equal(admin(&h, CREATE_CQ, page, 0xFFFF0001, 3), BAD_SIZE);
	assert_int_equal(admin(&h, CREATE_CQ, page, shape(1, 16), 2), 0x002 | DNR);
	assert_int_equal(admin(&h, CREATE_CQ, page + 8, shape(1, 16), 3), 0x013 | DNR);
	assert_int_equal(admin(&h, CREATE_CQ, page, shape(1, 1024), 3), 0);
	assert_int_equal(admin(&h, CREATE_CQ, page, shape(1, 16), 3), NO_SUCH_QUEUE);
	assert_int_equal(admin(&h, CREATE_CQ, page, shape(2, 2), 3), 0);
	harness_close(&h);
}

static void test_32_interrupt_vector(void **state)
{
	struct harness h;
	uint64_t page;

	open_enabled(&h, 1);
	page = harness_alloc(&h, 4096);
	assert_int_equal(admin(&h, CREATE_CQ, page, shape(1, 16), 9U << 16 | 3), 0x108 | DNR);
	assert_int_equal(admin(&h, CREATE_CQ, page, shape(1, 16), 0xFFFFU << 16 | 3), 0x108 | DNR);
	/* Interrupts off: the vector does not count. */
	assert_int_equal(admin(&h, CREATE_CQ, page, shape(1, 16), 9U << 16 | 1), 0);
	assert_int_equal(admin(&h, CREATE_CQ, page, shape(2, 16), 8U << 16 | 3), 0);
	harness_close(&h);
}

static void test_33_34_35_create_sq(void **state)
{
	struct harness h;
	uint64_t page;

	open_enabled(&h, 1);
	page = harness_alloc(&h, 1024 * 64);
	assert_int_equal(admin(&h, CREATE_SQ, page, shape(1, 16), 1U << 16 | 1), 0x100 | DNR);
	assert_int_equal(admin(&h, CREATE_SQ, page, shape(1, 16), 0U << 16 | 1), 0x100 | DNR);
	assert_int_equal(admin(&h, CREATE_CQ, page, shape(3, 16), 3), 0);
	assert_int_equal(admin(&h, CREATE_SQ, page, shape(0, 16), 3U << 16 | 1), NO_SUCH_QUEUE);
	assert_int_equal(admin(&h, CREATE_SQ, page, shape(9, 16), 3U << 16 | 1), NO_SUCH_QUEUE);
	assert_int_equal(admin(&h, CREATE_SQ, page, shape(1, 1), 3U << 16 | 1), BAD_SIZE);
	assert_int_equal(admin(&h, CREATE_SQ, page, shape(1, 1025), 3U << 16 | 1), BAD_SIZE);
	assert_int_equal(admin(&h, CREATE_SQ, page, shape(1, 16), 3U << 16), 0x002 | DNR);
	assert_int_equal(admin(&h, CREATE_SQ, page + 4, shape(1, 16), 3U << 16 | 1), 0x013 | DNR);
	assert_int_equal(admin(&h, CREATE_SQ, page, shape(1, 1024), 3U << 16 | 1), 0);
	assert_int_equal(admin(&h, CREATE_SQ, page, shape(1, 16), 3U << 16 | 1), NO_SUCH_QUEUE);
	harness_close(&h);
}

static void test_36_delete(void **state)
{
	struct harness h;

	open_enabled(&h, 1);
	assert_int_equal(admin(&h, DELETE_SQ, 0, 0, 0), NO_SUCH_QUEUE);
	assert_int_equal(admin(&h, DELETE_SQ, 0, 1, 0), NO_SUCH_QUEUE);
	assert_int_equal(admin(&h, DELETE_SQ, 0, 0xFFFF, 0), NO_SUCH_QUEUE);
	assert_int_equal(admin(&h, DELETE_CQ, 0, 0, 0), NO_SUCH_QUEUE);
	assert_int_equal(admin(&h, DELETE_CQ, 0, 5, 0), NO_SUCH_QUEUE);
	for (unsigned i = 0; i < 5; i++) {
		harness_create(&h, 1, 16, 16);
		assert_int_equal(admin(&h, DELETE_CQ, 0, 1, 0), 0x10C | DNR);
		assert_int_equal(admin(&h, DELETE_SQ, 0, 1, 0), 0);
		assert_int_equal(admin(&h, DELETE_SQ, 0, 1, 0), NO_SUCH_QUEUE);
		assert_int_equal(admin(&h, DELETE_CQ, 0, 1, 0), 0);
		assert_int_equal(admin(&h, DELETE_CQ, 0, 1, 0), NO_SUCH_QUEUE);
	}
	harness_close(&h);
}

static uint64_t read_page(struct harness *h)
{
	return harness_alloc(h, 4096);
}

static void put_reads(struct harness *h, struct harness_queue *q, unsigned count, uint64_t page)
{
	for (unsigned i = 0; i < count; i++) {
		const struct harness_sqe sqe = harness_io(2, i, 1, page, 0);

		harness_put(h, q, &sqe);
	}
	harness_ring_sq(h, q);
	harness_settle(h);
}

static void test_37_delete_with_slow_commands(void **state)
{
	struct harness h;
	struct harness_queue *q;
	struct harness_cqe cqe;
	struct harness_sqe sqe;

	open_enabled(&h, 1);
	q = harness_create(&h, 1, 64, 64);
	h.disk->mode = RAMDISK_HOLD;
	put_reads(&h, q, 10, read_page(&h));
	sqe = harness_admin(DELETE_SQ, 0, 0, 1, 0);
	harness_put(&h, &h.queues[0], &sqe);
	harness_ring_sq(&h, &h.queues[0]);
	harness_settle(&h);
	assert_false(harness_take(&h, &h.queues[0], &cqe));
	/* Other admin commands go on meanwhile; the queue takes nothing more. */
	assert_int_equal(admin(&h, DELETE_SQ, 0, 1, 0), NO_SUCH_QUEUE);
	put_reads(&h, q, 5, read_page(&h));
	assert_int_equal(h.disk->waiting_count, 10);
	ramdisk_release_all(h.disk);
	harness_settle(&h);
	for (unsigned i = 0; i < 10; i++)
		assert_true(harness_take_quietly(&h, q, &cqe));
	assert_false(harness_take_quietly(&h, q, &cqe));
	assert_true(harness_take(&h, &h.queues[0], &cqe));
	assert_int_equal(cqe.status, 0);
	h.disk->mode = RAMDISK_INLINE;
	harness_settle(&h);
	assert_false(harness_take_quietly(&h, q, &cqe));
	assert_int_equal(admin(&h, DELETE_CQ, 0, 1, 0), 0);
	harness_create(&h, 1, 16, 16);
	harness_close(&h);
}

static void test_21_four_sqs_on_one_cq(void **state)
{
	struct harness h;
	struct harness_queue *cq;
	unsigned seen[5] = {0};
	uint64_t page;

	open_enabled(&h, 1);
	h.disk->mode = RAMDISK_ASYNC;
	cq = harness_create(&h, 1, 16, 64);
	page = read_page(&h);
	for (unsigned id = 2; id <= 4; id++) {
		struct harness_queue *q = &h.queues[id];

		*q = (struct harness_queue){.id = id, .sq_size = 16};
		q->sq_iova = harness_alloc(&h, 4096);
		assert_int_equal(admin(&h, CREATE_SQ, q->sq_iova, shape(id, 16), 1U << 16 | 1), 0);
	}
	for (unsigned id = 1; id <= 4; id++) {
		for (unsigned n = 0; n < 10; n++) {
			const struct harness_sqe sqe = harness_io(2, n, 1, page, 0);

			h.queues[id].next_cid = (uint16_t)(id * 256 + n);
			harness_put(&h, &h.queues[id], &sqe);
		}
		harness_ring_sq(&h, &h.queues[id]);
	}
	for (unsigned i = 0; i < 40; i++) {
		struct harness_cqe cqe;

		assert_true(harness_wait(&h, cq, &cqe));
		assert_in_range(cqe.sq_id, 1, 4);
		assert_int_equal(cqe.cid >> 8, cqe.sq_id);
		assert_in_range(cqe.sq_head, 1, 10);
		seen[cqe.sq_id]++;
	}
	for (unsigned id = 1; id <= 4; id++)
		assert_int_equal(seen[id], 10);
	/* The CQ lives until its last SQ is gone. */
	for (unsigned id = 1; id <= 4; id++) {
		assert_int_equal(admin(&h, DELETE_CQ, 0, 1, 0), 0x10C | DNR);
		assert_int_equal(admin(&h, DELETE_SQ, 0, id, 0), 0);
	}
	assert_int_equal(admin(&h, DELETE_CQ, 0, 1, 0), 0);
	harness_close(&h);
}

static void laps(unsigned size)
{
	struct harness h;
	struct harness_queue *q;
	uint64_t page;

	open_enabled(&h, size);
	q = harness_create(&h, 1, size, size);
	page = read_page(&h);
	for (unsigned i = 0; i < size * 10 + 1; i++) {
		const struct harness_sqe sqe = harness_io(2, i, 1, page, 0);

		assert_int_equal(harness_execute(&h, q, &sqe, NULL), 0);
	}
	harness_close(&h);
}

static void test_22_phase_over_ten_laps(void **state)
{
	laps(2);
	laps(3);
	laps(256);
	laps(1024);
}

static void test_24_25_small_cq(void **state)
{
	struct harness h;
	struct harness_queue *q;
	struct harness_cqe cqe;
	unsigned taken = 0;

	open_enabled(&h, 24);
	q = harness_create(&h, 1, 64, 8);
	put_reads(&h, q, 63, read_page(&h));
	while (taken < 63) {
		unsigned batch = 0;

		while (harness_take_quietly(&h, q, &cqe)) {
			assert_int_equal(cqe.cid, taken);
			taken++;
			batch++;
		}
		assert_in_range(batch, 1, 7);
		harness_settle(&h);
		assert_false(harness_take_quietly(&h, q, &cqe));
		harness_ring_cq(&h, q); /* no SQ doorbell: it must go on by itself */
		harness_settle(&h);
	}
	assert_int_equal(h.disk->counts[BLOCK_READ], 63);
	harness_close(&h);
}

/* SQHD is what was fetched, not what was submitted: an entry not yet fetched must not be reused. */
static void test_21_head_counts_what_was_fetched(void **state)
{
	struct harness h;
	struct harness_queue *q;
	struct harness_cqe cqe;
	unsigned taken = 0;

	open_enabled(&h, 21);
	q = harness_create(&h, 1, 64, 4);
	put_reads(&h, q, 40, read_page(&h));
	while (taken < 40) {
		const unsigned fetched_max = taken + 3; /* slots of the completion queue */

		while (harness_take_quietly(&h, q, &cqe)) {
			assert_int_equal(cqe.cid, taken);
			assert_in_range(cqe.sq_head, taken + 1, fetched_max);
			taken++;
		}
		harness_ring_cq(&h, q);
		harness_settle(&h);
	}
	harness_close(&h);
}

static void ring(struct harness *h, unsigned id, bool is_cq, uint32_t value)
{
	harness_set32(h, NVME_BAR_DOORBELLS + id * 8 + is_cq * 4, value);
	harness_settle(h);
}

static void test_26_27_bad_doorbells(void **state)
{
	struct harness h;
	struct harness_queue *q;
	struct harness_cqe cqe;
	struct harness_sqe sqe;
	uint64_t page;

	open_enabled(&h, 1);
	q = harness_create(&h, 1, 16, 16);
	page = read_page(&h);
	sqe = harness_io(2, 0, 1, page, 0);
	ring(&h, 1, false, 16);
	ring(&h, 1, false, 17);
	ring(&h, 1, false, 0xFFFF);
	ring(&h, 1, true, 16);
	ring(&h, 1, true, 1); /* an entry that was never posted */
	ring(&h, 5, false, 1);
	ring(&h, 5, true, 1);
	ring(&h, 511, true, 0xFFFFFFFF);
	assert_false(harness_take_quietly(&h, q, &cqe));
	assert_int_equal(h.disk->counts[BLOCK_READ], 0);
	/* The upper half is reserved and ignored. */
	harness_put(&h, q, &sqe);
	ring(&h, 1, false, 0xABCD0001);
	assert_true(harness_take_quietly(&h, q, &cqe));
	assert_int_equal(cqe.status, 0);
	ring(&h, 1, true, 0x12340001);
	assert_int_equal(harness_execute(&h, q, &sqe, NULL), 0);
	harness_close(&h);
}

static void test_26_bad_doorbell_event_once(void **state)
{
	struct harness h;
	struct harness_cqe cqe;
	const struct harness_sqe aer = harness_admin(0x0C, 0, 0, 0, 0);
	uint16_t cid;

	open_enabled(&h, 1);
	harness_create(&h, 1, 16, 16);
	cid = harness_put(&h, &h.queues[0], &aer);
	harness_put(&h, &h.queues[0], &aer);
	harness_ring_sq(&h, &h.queues[0]);
	harness_settle(&h);
	ring(&h, 1, false, 16);
	ring(&h, 1, false, 16);
	assert_true(harness_take(&h, &h.queues[0], &cqe));
	assert_int_equal(cqe.cid, cid);
	assert_int_equal(cqe.dw0 & 0xFFFF, 1 << 8 | 0);
	assert_false(harness_take(&h, &h.queues[0], &cqe));
	harness_close(&h);
}

static void test_28_doorbell_while_disabled(void **state)
{
	struct harness h;
	const struct harness_params params = {.seed = 1};

	harness_open(&h, &params);
	for (unsigned offset = 0; offset < 4096; offset += 4)
		harness_set32(&h, NVME_BAR_DOORBELLS + offset, 1);
	harness_settle(&h);
	assert_int_equal(harness_enable(&h, 16, 16), 1);
	harness_disable(&h);
	ring(&h, 0, false, 5);
	assert_int_equal(harness_enable(&h, 16, 16), 1);
	harness_create(&h, 1, 2, 2);
	harness_close(&h);
}

static void test_38_39_number_of_queues(void **state)
{
	struct harness h;
	struct harness_cqe cqe = {0};
	struct harness_sqe sqe = harness_admin(0x09, 0, 0, 7, 0x00030003);

	open_enabled(&h, 1);
	assert_int_equal(harness_execute(&h, &h.queues[0], &sqe, &cqe), 0);
	assert_int_equal(cqe.dw0, 0x00070007);
	assert_int_equal(harness_execute(&h, &h.queues[0], &sqe, &cqe), 0);
	assert_int_equal(cqe.dw0, 0x00070007);
	sqe.dw[11] = 0x0003FFFF;
	assert_int_equal(harness_execute(&h, &h.queues[0], &sqe, &cqe) & 0x3FFF, 0x002);
	harness_create(&h, 8, 16, 16); /* all may be made, whatever was asked for */
	sqe.dw[11] = 0x00030003;
	assert_int_equal(harness_execute(&h, &h.queues[0], &sqe, &cqe) & 0x3FFF, 0x00C);
	harness_disable(&h);
	harness_enable(&h, 16, 16);
	assert_int_equal(harness_execute(&h, &h.queues[0], &sqe, &cqe), 0);
	assert_int_equal(cqe.dw0, 0x00070007);
	harness_close(&h);
}

static void test_97_duplicate_cids(void **state)
{
	struct harness h;
	struct harness_queue *q;
	struct harness_cqe cqe;
	uint64_t page;

	open_enabled(&h, 1);
	h.disk->mode = RAMDISK_ASYNC;
	q = harness_create(&h, 1, 16, 16);
	page = read_page(&h);
	for (unsigned i = 0; i < 10; i++) {
		const struct harness_sqe sqe = harness_io(2, i, 1, page, 0);

		q->next_cid = 77;
		harness_put(&h, q, &sqe);
	}
	harness_ring_sq(&h, q);
	for (unsigned i = 0; i < 10; i++) {
		assert_true(harness_wait(&h, q, &cqe));
		assert_int_equal(cqe.cid, 77);
	}
	harness_close(&h);
}

/* More in flight than the controller has requests for: they come through in turn. */
static void test_commands_max(void **state)
{
	struct harness h;
	const struct harness_params params = {.seed = 3, .commands_max = 4};
	struct harness_queue *q;
	struct harness_cqe cqe;

	harness_open(&h, &params);
	harness_enable(&h, 16, 16);
	h.disk->mode = RAMDISK_HOLD;
	q = harness_create(&h, 1, 64, 64);
	put_reads(&h, q, 50, read_page(&h));
	assert_int_equal(h.disk->waiting_count, 4);
	/* The admin queue is not starved. */
	assert_int_equal(admin(&h, DELETE_SQ, 0, 7, 0), NO_SUCH_QUEUE);
	h.disk->mode = RAMDISK_ASYNC;
	ramdisk_release_all(h.disk);
	for (unsigned i = 0; i < 50; i++)
		assert_true(harness_wait(&h, q, &cqe));
	harness_close(&h);
}

/* The SQE is judged in the copy: what the guest writes afterwards does not matter. */
static void test_h5_entry_changed_after_fetch(void **state)
{
	struct harness h;
	struct harness_queue *q;
	struct harness_cqe cqe;

	open_enabled(&h, 1);
	h.disk->mode = RAMDISK_HOLD;
	q = harness_create(&h, 1, 16, 16);
	put_reads(&h, q, 1, read_page(&h));
	memset(harness_ptr(&h, q->sq_iova), 0xFF, 64);
	ramdisk_release_all(h.disk);
	assert_true(harness_wait(&h, q, &cqe));
	assert_int_equal(cqe.status, 0);
	assert_int_equal(cqe.cid, 0);
	harness_close(&h);
}

/* 64 pairs, all busy, in random order. */
static void test_64_pairs(void **state)
{
	const struct harness_params params = {.seed = 64, .queues = 64};
	struct harness h;
	uint64_t page;

	harness_open(&h, &params);
	harness_enable(&h, 32, 32);
	h.disk->mode = RAMDISK_ASYNC;
	page = read_page(&h);
	for (unsigned id = 1; id <= 64; id++)
		harness_create(&h, id, 16, 16);
	assert_int_equal(harness_shadow_on(&h), 0);
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned id = 1; id <= 64; id++)
			put_reads(&h, &h.queues[id], 3, page);
		for (unsigned id = 1; id <= 64; id++) {
			struct harness_cqe cqe;

			for (unsigned i = 0; i < 3; i++)
				assert_true(harness_wait(&h, &h.queues[id], &cqe));
			assert_true(h.fired[id] > 0);
		}
	}
	harness_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_02_29_30_33_34_create_cq),
		cmocka_unit_test(test_32_interrupt_vector),
		cmocka_unit_test(test_33_34_35_create_sq),
		cmocka_unit_test(test_36_delete),
		cmocka_unit_test(test_37_delete_with_slow_commands),
		cmocka_unit_test(test_21_four_sqs_on_one_cq),
		cmocka_unit_test(test_22_phase_over_ten_laps),
		cmocka_unit_test(test_24_25_small_cq),
		cmocka_unit_test(test_21_head_counts_what_was_fetched),
		cmocka_unit_test(test_26_27_bad_doorbells),
		cmocka_unit_test(test_26_bad_doorbell_event_once),
		cmocka_unit_test(test_28_doorbell_while_disabled),
		cmocka_unit_test(test_38_39_number_of_queues),
		cmocka_unit_test(test_97_duplicate_cids),
		cmocka_unit_test(test_commands_max),
		cmocka_unit_test(test_h5_entry_changed_after_fetch),
		cmocka_unit_test(test_64_pairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
