/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers and the enable, reset and shutdown machine. Numbers in names are those of the
 * conformance list this room was written against (its origins: specification, Linux, Windows,
 * firmware, other emulators).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "harness.h"

static void open_default(struct harness *h)
{
	const struct harness_params params = {.seed = 1};

	harness_open(h, &params);
}

static void test_01_02_03_capabilities(void **state)
{
	struct harness h;
	uint64_t cap;

	open_default(&h);
	cap = harness_get64(&h, REG_CAP);
	assert_int_equal((uint32_t)cap, harness_get32(&h, REG_CAP));
	assert_int_equal(cap >> 32, harness_get32(&h, REG_CAP + 4));
	assert_int_equal(cap & 0xFFFF, 1023);	 /* MQES + 1 is a power of two */
	assert_int_equal((cap >> 16) & 1, 1);	 /* CQR */
	assert_true(((cap >> 24) & 0xFF) >= 1);	 /* TO: SeaBIOS gives up at 0 */
	assert_int_equal((cap >> 32) & 0xF, 0);	 /* DSTRD */
	assert_int_equal((cap >> 36) & 1, 1);	 /* NSSRS */
	assert_int_equal((cap >> 37) & 0xFF, 1); /* CSS: NVM only */
	assert_int_equal((cap >> 48) & 0xFF, 0); /* MPSMIN, MPSMAX */
	assert_int_equal(harness_get32(&h, REG_VS), 0x00010400);
	assert_int_equal(harness_get32(&h, 0x3C), 0);
	assert_int_equal(harness_get32(&h, 0xE00), 0);
	harness_close(&h);
}

static void test_04_admin_registers_read_back(void **state)
{
	struct harness h;

	open_default(&h);
	assert_int_equal(harness_enable(&h, 32, 16), 1);
	assert_int_equal(harness_get32(&h, REG_AQA), 0x000F001F);
	assert_true(harness_get64(&h, REG_ASQ) == h.queues[0].sq_iova);
	assert_true(harness_get64(&h, REG_ACQ) == h.queues[0].cq_iova);
	harness_disable(&h);
	assert_int_equal(harness_get32(&h, REG_AQA), 0x000F001F);
	assert_true(harness_get64(&h, REG_ASQ) == h.queues[0].sq_iova);
	assert_true(harness_get64(&h, REG_ACQ) == h.queues[0].cq_iova);
	harness_reset(&h, NVME_RESET_FUNCTION);
	assert_int_equal(harness_get32(&h, REG_AQA), 0);
	assert_true(harness_get64(&h, REG_ASQ) == 0);
	assert_int_equal(harness_get32(&h, REG_CC), 0);
	harness_close(&h);
}

static void test_05_10_cc_while_disabled(void **state)
{
	struct harness h;

	open_default(&h);
	harness_set32(&h, REG_CC, CC_OFF);
	assert_int_equal(harness_get32(&h, REG_CC), CC_OFF);
	assert_int_equal(harness_get32(&h, REG_CSTS), 0);
	harness_set32(&h, REG_CC, 0);
	assert_int_equal(harness_get32(&h, REG_CC), 0);
	assert_int_equal(harness_get32(&h, REG_CSTS), 0);
	harness_close(&h);
}

static void identify(struct harness *h)
{
	const struct harness_sqe sqe = harness_admin(0x06, 0, harness_alloc(h, 4096), 1, 0);

	assert_int_equal(harness_execute(h, &h->queues[0], &sqe, NULL), 0);
}

static void test_06_two_entry_admin_queues(void **state)
{
	struct harness h;
	uint64_t page;

	open_default(&h);
	assert_int_equal(harness_enable(&h, 2, 2), 1);
	page = harness_alloc(&h, 4096);
	for (unsigned i = 0; i < 1000; i++) {
		const struct harness_sqe sqe = harness_admin(0x06, 0, page, 1, 0);

		assert_int_equal(harness_execute(&h, &h.queues[0], &sqe, NULL), 0);
	}
	harness_close(&h);
}

static void enable_badly(uint32_t aqa, uint32_t cc)
{
	struct harness h;

	open_default(&h);
	harness_set32(&h, REG_AQA, aqa);
	harness_set64(&h, REG_ASQ, harness_alloc(&h, 4096));
	harness_set64(&h, REG_ACQ, harness_alloc(&h, 4096));
	harness_set32(&h, REG_CC, cc);
	harness_settle(&h);
	assert_int_equal(harness_get32(&h, REG_CSTS), 2); /* CFS, not RDY */
	harness_set32(&h, REG_CC, 0);
	assert_int_equal(harness_get32(&h, REG_CSTS), 0);
	assert_int_equal(harness_enable(&h, 8, 8), 1);
	identify(&h);
	harness_close(&h);
}

static void test_07_admin_queue_sizes_zero(void **state)
{
	enable_badly(0x00000000, CC_ON);
	enable_badly(0x00000007, CC_ON);
	enable_badly(0x00070000, CC_ON);
}

static void test_08_page_size_and_command_set(void **state)
{
	enable_badly(0x00070007, CC_ON | 1U << 7);  /* MPS */
	enable_badly(0x00070007, CC_ON | 1U << 4);  /* CSS */
	enable_badly(0x00070007, CC_ON | 1U << 11); /* AMS */
}

static void test_09_base_low_bits_masked(void **state)
{
	struct harness h;

	open_default(&h);
	harness_set64(&h, REG_ASQ, 0x123456789FFF);
	harness_set32(&h, REG_ACQ, 0xABCDEFFF);
	harness_set32(&h, REG_ACQ + 4, 7);
	assert_true(harness_get64(&h, REG_ASQ) == 0x123456789000);
	assert_true(harness_get64(&h, REG_ACQ) == 0x7ABCDE000);
	harness_close(&h);
}

static void test_11_back_to_back_cycles(void **state)
{
	struct harness h;

	open_default(&h);
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(harness_enable(&h, 16, 16), 1);
		if (i % 2)
			identify(&h);
		harness_disable(&h);
	}
	harness_close(&h);
}

/* Reads of one block each, `count` of them, without waiting. */
static void put_reads(struct harness *h, struct harness_queue *q, unsigned count, uint64_t page)
{
	for (unsigned i = 0; i < count; i++) {
		const struct harness_sqe sqe = harness_io(2, i, 1, page, 0);

		harness_put(h, q, &sqe);
	}
	harness_ring_sq(h, q);
	harness_settle(h);
}

static void test_12_13_disable_drains(void **state)
{
	struct harness h;
	struct harness_queue *q;
	struct harness_cqe cqe;
	uint64_t page;
	uint8_t *data;

	open_default(&h);
	memset(h.disk->data, 0x5A, 1 << 20);
	harness_enable(&h, 16, 16);
	q = harness_create(&h, 1, 512, 512);
	page = harness_alloc(&h, 4096);
	data = harness_ptr(&h, page);
	h.disk->mode = RAMDISK_HOLD;
	put_reads(&h, q, 256, page);
	assert_int_equal(h.disk->waiting_count, 256);
	harness_set32(&h, REG_CC, CC_OFF);
	harness_settle(&h);
	assert_int_equal(harness_get32(&h, REG_CSTS) & 1, 1); /* memory may still be touched */
	for (unsigned i = 0; i < 255; i++)
		assert_true(ramdisk_release(h.disk));
	assert_int_equal(harness_get32(&h, REG_CSTS) & 1, 1);
	assert_true(ramdisk_release(h.disk));
	assert_int_equal(harness_get32(&h, REG_CSTS), 0);
	memset(data, 0xEE, 4096);
	harness_settle(&h);
	for (unsigned i = 0; i < 4096; i++)
		assert_int_equal(data[i], 0xEE);
	assert_false(harness_take_quietly(&h, q, &cqe));
	/* The old life's completions do not show up in the new one. */
	harness_enable(&h, 16, 16);
	h.disk->mode = RAMDISK_INLINE;
	q = harness_create(&h, 1, 16, 16);
	harness_settle(&h);
	assert_false(harness_take_quietly(&h, q, &cqe));
	harness_close(&h);
}

static void pass_time(struct harness *h, uint64_t ns)
{
	(void)!loop_sim_run(h->sim, NULL, loop_sim_now_ns(h->sim) + ns, 1000000);
}

/*
 * What Linux does when a drive stalls: Abort after 30 s, a reset after 30 s more. The drive still
 * has the write then; the reset ends when the drive has let go, and the guest writes it again.
 */
static void test_96_abort_and_reset_after_a_stall(void **state)
{
	struct harness h;
	struct harness_queue *q;
	struct harness_sqe write, abort;
	struct harness_cqe cqe;
	uint64_t page;

	open_default(&h);
	harness_enable(&h, 16, 16);
	q = harness_create(&h, 1, 16, 16);
	page = harness_alloc(&h, 4096);
	memset(harness_ptr(&h, page), 0x96, 512);
	write = harness_io(1, 5, 1, page, 0);
	h.disk->mode = RAMDISK_HOLD;
	abort = harness_admin(8, 0, 0, (uint32_t)harness_put(&h, q, &write) << 16 | 1, 0);
	harness_ring_sq(&h, q);
	pass_time(&h, 30 * NS_PER_S);
	assert_int_equal(harness_execute(&h, &h.queues[0], &abort, &cqe), 0);
	assert_int_equal(cqe.dw0, 1); /* not aborted: the drive has it */
	pass_time(&h, 30 * NS_PER_S);
	harness_set32(&h, REG_CC, CC_OFF);
	pass_time(&h, 5 * NS_PER_S);
	assert_int_equal(harness_get32(&h, REG_CSTS), 1);
	ramdisk_release_all(h.disk);
	harness_disable(&h);
	assert_int_equal(h.disk->data[5 * 512], 0x96);

	h.disk->mode = RAMDISK_INLINE;
	assert_int_equal(harness_enable(&h, 16, 16), 1);
	q = harness_create(&h, 1, 16, 16);
	memset(harness_ptr(&h, page), 0x69, 512);
	assert_int_equal(harness_execute(&h, q, &write, NULL), 0);
	harness_settle(&h);
	assert_int_equal(h.disk->data[5 * 512], 0x69);
	assert_false(harness_take_quietly(&h, q, &cqe));
	harness_close(&h);
}

static void test_enable_while_draining(void **state)
{
	struct harness h;
	struct harness_queue *q;

	open_default(&h);
	harness_enable(&h, 16, 16);
	q = harness_create(&h, 1, 16, 16);
	h.disk->mode = RAMDISK_HOLD;
	put_reads(&h, q, 3, harness_alloc(&h, 4096));
	harness_set32(&h, REG_CC, CC_OFF);
	harness_set32(&h, REG_CC, CC_ON);
	harness_settle(&h);
	h.disk->mode = RAMDISK_INLINE;
	ramdisk_release_all(h.disk);
	assert_int_equal(harness_get32(&h, REG_CSTS), 1);
	h.queues[0].sq_tail = 0;
	h.queues[0].cq_head = 0;
	h.queues[0].phase = 1;
	memset(harness_ptr(&h, h.queues[0].cq_iova), 0, 4096);
	identify(&h);
	harness_close(&h);
}

static void test_14_shutdown_flushes(void **state)
{
	struct harness h;
	struct harness_queue *q;
	struct harness_sqe sqe;
	uint64_t page;

	open_default(&h);
	harness_enable(&h, 16, 16);
	q = harness_create(&h, 1, 16, 16);
	page = harness_alloc(&h, 4096);
	memset(harness_ptr(&h, page), 0x77, 4096);
	sqe = harness_io(1, 8, 8, page, 0);
	assert_int_equal(harness_execute(&h, q, &sqe, NULL), 0);
	assert_int_equal(h.disk->durable[8 * 512], 0);
	h.disk->mode = RAMDISK_HOLD;
	put_reads(&h, q, 4, page);
	harness_set32(&h, REG_CC, CC_ON | 1U << 14);
	harness_settle(&h);
	assert_int_equal((harness_get32(&h, REG_CSTS) >> 2) & 3, 1);
	for (unsigned i = 0; i < 4; i++)
		ramdisk_release(h.disk);
	harness_settle(&h);
	assert_int_equal((harness_get32(&h, REG_CSTS) >> 2) & 3, 1); /* the flush is held */
	h.disk->mode = RAMDISK_INLINE;
	ramdisk_release_all(h.disk);
	harness_settle(&h);
	assert_int_equal(harness_get32(&h, REG_CSTS), 1 | 2 << 2);
	assert_int_equal(h.disk->durable[8 * 512], 0x77);
	/* Nothing is fetched any more. */
	harness_put(&h, q, &sqe);
	harness_ring_sq(&h, q);
	harness_settle(&h);
	assert_int_equal(h.disk->counts[BLOCK_WRITE], 1);
	/* kexec, or a change of mind: restart. */
	harness_disable(&h);
	assert_int_equal(harness_get32(&h, REG_CSTS), 0);
	harness_enable(&h, 16, 16);
	identify(&h);
	harness_close(&h);
}

static void test_shutdown_taken_back(void **state)
{
	struct harness h;

	open_default(&h);
	harness_enable(&h, 16, 16);
	harness_set32(&h, REG_CC, CC_ON | 2U << 14);
	harness_settle(&h);
	assert_int_equal(harness_get32(&h, REG_CSTS), 1 | 2 << 2);
	harness_set32(&h, REG_CC, CC_ON);
	assert_int_equal(harness_get32(&h, REG_CSTS), 1);
	identify(&h);
	harness_close(&h);
}

static unsigned shutdown_status(struct harness *h)
{
	return (harness_get32(h, REG_CSTS) >> 2) & 3;
}

/* The flush of a shutdown that was taken back says nothing about writes that came after it. */
static void test_shutdown_taken_back_and_again(void **state)
{
	struct harness h;
	struct harness_queue *q;
	struct harness_sqe sqe;
	uint64_t page;

	open_default(&h);
	harness_enable(&h, 16, 16);
	q = harness_create(&h, 1, 16, 16);
	page = harness_alloc(&h, 4096);
	memset(harness_ptr(&h, page), 0x78, 4096);
	h.disk->mode = RAMDISK_HOLD;
	harness_set32(&h, REG_CC, CC_ON | 1U << 14);
	harness_settle(&h);
	harness_set32(&h, REG_CC, CC_ON);
	sqe = harness_io(1, 8, 8, page, 0);
	harness_put(&h, q, &sqe);
	harness_ring_sq(&h, q);
	harness_settle(&h);
	assert_int_equal(h.disk->waiting_count, 2);
	harness_set32(&h, REG_CC, CC_ON | 1U << 14);
	assert_true(ramdisk_release(h.disk)); /* the first flush */
	harness_settle(&h);
	assert_int_equal(shutdown_status(&h), 1);
	assert_true(ramdisk_release(h.disk)); /* the write */
	harness_settle(&h);
	assert_int_equal(shutdown_status(&h), 1);
	assert_true(ramdisk_release(h.disk)); /* the second flush */
	harness_settle(&h);
	assert_int_equal(shutdown_status(&h), 2);
	assert_int_equal(h.disk->durable[8 * 512], 0x78);
	harness_close(&h);
}

/* EN = 0 and SHN in one write: "complete" means durable here as well. */
static void test_shutdown_with_disable_flushes(void **state)
{
	struct harness h;
	struct harness_queue *q;
	struct harness_sqe sqe;
	uint64_t page;

	open_default(&h);
	harness_enable(&h, 16, 16);
	q = harness_create(&h, 1, 16, 16);
	page = harness_alloc(&h, 4096);
	memset(harness_ptr(&h, page), 0x79, 4096);
	sqe = harness_io(1, 8, 8, page, 0);
	assert_int_equal(harness_execute(&h, q, &sqe, NULL), 0);
	h.disk->mode = RAMDISK_HOLD;
	harness_set32(&h, REG_CC, CC_OFF | 1U << 14);
	harness_settle(&h);
	assert_int_equal(harness_get32(&h, REG_CSTS), 1 | 1 << 2);
	assert_true(ramdisk_release(h.disk));
	harness_settle(&h);
	assert_int_equal(harness_get32(&h, REG_CSTS), 2 << 2);
	assert_int_equal(h.disk->durable[8 * 512], 0x79);
	harness_close(&h);
}

static void test_15_shutdown_while_disabled(void **state)
{
	struct harness h;

	open_default(&h);
	harness_set32(&h, REG_CC, CC_OFF | 1U << 14);
	assert_int_equal(harness_get32(&h, REG_CSTS), 2 << 2);
	assert_int_equal(harness_enable(&h, 16, 16), 1);
	/* EN = 0 and SHN in one write. */
	harness_set32(&h, REG_CC, CC_OFF | 1U << 14);
	assert_int_equal(harness_get32(&h, REG_CSTS), 2 << 2);
	harness_close(&h);
}

static void test_16_subsystem_reset(void **state)
{
	struct harness h;

	open_default(&h);
	harness_enable(&h, 16, 16);
	harness_set32(&h, REG_NSSR, 0x12345678);
	assert_int_equal(harness_get32(&h, REG_CSTS), 1);
	harness_set32(&h, REG_NSSR, 0x4E564D65);
	assert_int_equal(harness_get32(&h, REG_CSTS), 0x10); /* NSSRO */
	assert_int_equal(harness_get32(&h, REG_AQA), 0);
	harness_set32(&h, REG_CSTS, 0x10);
	assert_int_equal(harness_get32(&h, REG_CSTS), 0);
	assert_int_equal(harness_enable(&h, 16, 16), 1);
	identify(&h);
	harness_close(&h);
}

static void test_17_access_widths(void **state)
{
	struct harness h;
	uint8_t byte = 0;
	uint8_t bytes[7];
	const uint8_t ones[8] = {255, 255, 255, 255, 255, 255, 255, 255};

	open_default(&h);
	nvme_bar_read(h.controller, REG_VS + 2, &byte, 1);
	assert_int_equal(byte, 1);
	nvme_bar_read(h.controller, REG_VS + 1, bytes, 7);
	assert_int_equal(bytes[0], 4);
	assert_int_equal(bytes[1], 1);
	assert_int_equal(bytes[2], 0);
	nvme_bar_write(h.controller, REG_AQA, ones, 1);
	nvme_bar_write(h.controller, REG_AQA, ones, 2);
	nvme_bar_write(h.controller, REG_AQA + 1, ones, 4);
	nvme_bar_write(h.controller, REG_AQA - 2, ones, 4);
	nvme_bar_write(h.controller, REG_AQA, ones, 8); /* not aligned to 8 */
	nvme_bar_write(h.controller, REG_AQA, ones, 3);
	assert_int_equal(harness_get32(&h, REG_AQA), 0);
	harness_set32(&h, REG_VS, 0);
	harness_set64(&h, REG_CAP, 0);
	assert_int_equal(harness_get32(&h, REG_VS), 0x00010400);
	harness_close(&h);
}

static void test_86_resets_under_load(void **state)
{
	struct harness h;
	const struct harness_params params = {.seed = 86};

	harness_open(&h, &params);
	h.disk->mode = RAMDISK_ASYNC;
	for (unsigned i = 0; i < 1000; i++) {
		struct harness_queue *q;
		uint64_t page;

		h.next_free = 0;
		memset(h.ram, 0, 1 << 20);
		assert_int_equal(harness_enable(&h, 16, 16), 1);
		q = harness_create(&h, 1, 64, 64);
		if (i % 3 == 0)
			assert_int_equal(harness_shadow_on(&h), 0);
		page = harness_alloc(&h, 4096);
		for (unsigned n = 0; n < 20; n++) {
			const struct harness_sqe sqe = harness_io(n % 2 + 1, n, 1, page, 0);

			harness_put(&h, q, &sqe);
		}
		harness_ring_sq(&h, q);
		for (unsigned n = i % 7; n > 0; n--)
			harness_turn(&h);
		if (i % 4 == 0)
			harness_disable(&h);
		else
			harness_reset(&h, i % 4 == 1 ? NVME_RESET_FUNCTION : NVME_RESET_DISCONNECT);
	}
	harness_close(&h);
}

static void test_lost_memory_is_fatal(void **state)
{
	struct harness h;
	struct harness_queue *q;

	guest_sigbus_install();
	open_default(&h);
	harness_enable(&h, 16, 16);
	q = harness_create(&h, 1, 16, 16);
	assert_int_equal(ftruncate(h.fd, 0), 0);
	harness_set32(&h, NVME_BAR_DOORBELLS + 8, 1);
	harness_settle(&h);
	assert_int_equal(harness_get32(&h, REG_CSTS) & 2, 2);
	(void)q;
	assert_int_equal(ftruncate(h.fd, (off_t)HARNESS_RAM_BYTES), 0);
	harness_set32(&h, REG_CC, 0);
	assert_int_equal(harness_get32(&h, REG_CSTS), 0);
	harness_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_01_02_03_capabilities),
		cmocka_unit_test(test_04_admin_registers_read_back),
		cmocka_unit_test(test_05_10_cc_while_disabled),
		cmocka_unit_test(test_06_two_entry_admin_queues),
		cmocka_unit_test(test_07_admin_queue_sizes_zero),
		cmocka_unit_test(test_08_page_size_and_command_set),
		cmocka_unit_test(test_09_base_low_bits_masked),
		cmocka_unit_test(test_11_back_to_back_cycles),
		cmocka_unit_test(test_12_13_disable_drains),
		cmocka_unit_test(test_96_abort_and_reset_after_a_stall),
		cmocka_unit_test(test_enable_while_draining),
		cmocka_unit_test(test_14_shutdown_flushes),
		cmocka_unit_test(test_shutdown_taken_back),
		cmocka_unit_test(test_shutdown_taken_back_and_again),
		cmocka_unit_test(test_shutdown_with_disable_flushes),
		cmocka_unit_test(test_15_shutdown_while_disabled),
		cmocka_unit_test(test_16_subsystem_reset),
		cmocka_unit_test(test_17_access_widths),
		cmocka_unit_test(test_86_resets_under_load),
		cmocka_unit_test(test_lost_memory_is_fatal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
