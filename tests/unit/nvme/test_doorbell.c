/* SPDX-License-Identifier: Apache-2.0 */
/* Shadow and mapped doorbells, memory that goes and comes. Numbers: the conformance list.
 * Wake-ups have files of their own: test_wakeup.c, test_stress.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <quoin/base_endian.h>

#include "harness.h"

#define DNR 0x4000

static void open_shadow(struct harness *h, uint64_t seed)
{
	const struct harness_params params = {.seed = seed, .poll_us = 5};

	harness_open(h, &params);
	assert_int_equal(harness_enable(h, 32, 32), 1);
	harness_create(h, 1, 16, 16);
	assert_int_equal(harness_shadow_on(h), 0);
}

static uint32_t *word(struct harness *h, uint64_t page, unsigned queue, bool is_cq)
{
	return (uint32_t *)harness_ptr(h, page) + queue * 2 + is_cq;
}

static uint16_t read_one(struct harness *h, struct harness_queue *q, uint64_t slba)
{
	const struct harness_sqe sqe = harness_io(2, slba, 1, HARNESS_RAM_IOVA + (32 << 20), 0);

	return harness_execute(h, q, &sqe, NULL);
}

static uint16_t config(struct harness *h, uint64_t shadow, uint64_t event)
{
	struct harness_sqe sqe = harness_admin(0x7C, 0, shadow, 0, 0);

	sqe.dw[8] = (uint32_t)event;
	sqe.dw[9] = (uint32_t)(event >> 32);
	return harness_execute(h, &h->queues[0], &sqe, NULL);
}

#define ONE_WAY (UINT64_C(1) << 40)

static void test_73_refused(void **state)
{
	const struct harness_params mapped = {.doorbells = NVME_DOORBELLS_MAPPED};
	const struct harness_params params = {.seed = 73};
	struct harness h;
	uint64_t page;

	harness_open(&h, &params);
	harness_enable(&h, 32, 32);
	page = harness_alloc(&h, 8192);
	assert_int_equal(config(&h, page + 4, page + 4096), 0x002 | DNR);
	assert_int_equal(config(&h, page, page + 4096 + 8), 0x002 | DNR);
	assert_int_equal(config(&h, page, page), 0x002 | DNR);
	assert_int_equal(config(&h, 0, page), 0x002 | DNR);
	assert_int_equal(config(&h, page, UINT64_MAX & ~4095ULL), 0x002 | DNR);
	/* Pages the device may only read, or only write. */
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(guest_memory_map(h.memory, (struct guest_addr){ONE_WAY + i * 4096},
						  4096, i ? GUEST_WRITE : GUEST_READ, h.fd, 0),
				 0);
	nvme_controller_memory_changed(h.controller);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(config(&h, ONE_WAY + i * 4096, page), 0x002 | DNR);
		assert_int_equal(config(&h, page, ONE_WAY + i * 4096), 0x002 | DNR);
	}
	assert_int_equal(config(&h, page, page + 4096), 0);
	harness_close(&h);

	harness_open(&h, &mapped);
	harness_enable(&h, 32, 32);
	page = harness_alloc(&h, 8192);
	assert_int_equal(config(&h, page, page + 4096), 0x001 | DNR);
	harness_close(&h);
}

static void test_74_admin_by_mmio(void **state)
{
	struct harness h;

	open_shadow(&h, 74);
	for (unsigned i = 0; i < 100; i++) {
		const struct harness_sqe sqe = harness_admin(0x0A, 0, 0, 7, 0);

		assert_int_equal(harness_execute(&h, &h.queues[0], &sqe, NULL), 0);
		assert_int_equal(*word(&h, h.shadow_iova, 0, false), 0);
		/* Who does keep the word is made to ring every time. */
		assert_int_equal(le32toh(*word(&h, h.event_iova, 0, false)), h.queues[0].sq_tail);
	}
	harness_close(&h);
}

static void test_76_old_mmio_value(void **state)
{
	struct harness h;
	struct harness_queue *q;
	struct harness_cqe cqe;

	open_shadow(&h, 76);
	q = &h.queues[1];
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(read_one(&h, q, i), 0);
	for (unsigned old = 0; old < 16; old++) {
		harness_set32(&h, NVME_BAR_DOORBELLS + 8, old);
		harness_set32(&h, NVME_BAR_DOORBELLS + 12, old);
		harness_settle(&h);
	}
	assert_false(harness_take_quietly(&h, q, &cqe));
	assert_int_equal(h.disk->counts[BLOCK_READ], 10);
	assert_int_equal(read_one(&h, q, 0), 0);
	harness_close(&h);
}

static void test_77_garbage(void **state)
{
	struct harness h;
	struct harness_queue *q;
	struct nvme_stats before, after;

	open_shadow(&h, 77);
	q = &h.queues[1];
	assert_int_equal(read_one(&h, q, 0), 0);
	for (unsigned i = 0; i < 100; i++) {
		*word(&h, h.shadow_iova, 1, false) = 16 + i;
		*word(&h, h.shadow_iova, 1, true) = 0xFFFFFFFF - i;
		*word(&h, h.shadow_iova, 5, false) = i;
		harness_settle(&h);
	}
	assert_int_equal(h.disk->counts[BLOCK_READ], 1);
	/* It sleeps although the garbage stays. */
	nvme_controller_stats(h.controller, &before);
	harness_settle(&h);
	nvme_controller_stats(h.controller, &after);
	assert_in_range(after.polls_idle - before.polls_idle, 0, 200);
	*word(&h, h.shadow_iova, 1, false) = htole32(q->sq_tail);
	*word(&h, h.shadow_iova, 1, true) = htole32(q->cq_head);
	assert_int_equal(read_one(&h, q, 1), 0);
	harness_close(&h);
}

/* One bad value is one event, however often it is looked at, also after the log was read. */
static void test_77_garbage_is_told_once(void **state)
{
	const struct harness_sqe event = harness_admin(0x0C, 0, 0, 0, 0);
	struct harness h;
	struct harness_queue *admin;
	struct harness_sqe log;
	struct harness_cqe cqe;

	open_shadow(&h, 77);
	admin = &h.queues[0];
	log = harness_admin(2, 0xFFFFFFFF, harness_alloc(&h, 4096), 15U << 16 | 1, 0);
	for (unsigned i = 0; i < 3; i++) {
		harness_put(&h, admin, &event);
		harness_ring_sq(&h, admin);
		harness_settle(&h);
		assert_false(harness_take_quietly(&h, admin, &cqe));
		*word(&h, h.shadow_iova, 1, false) = htole32(16 + i);
		harness_set32(&h, NVME_BAR_DOORBELLS + 8, 0); /* wakes it */
		assert_true(harness_wait(&h, admin, &cqe));
		assert_int_equal(cqe.dw0, 0x010100);
		assert_int_equal(harness_execute(&h, admin, &log, NULL), 0);
		harness_settle(&h);
	}
	harness_close(&h);
}

static void test_78_full_cq(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		const struct harness_params params = {.seed = seed, .poll_us = 3};
		struct harness h;
		struct harness_queue *q;
		struct harness_cqe cqe;
		unsigned taken = 0;

		harness_open(&h, &params);
		harness_enable(&h, 32, 32);
		q = harness_create(&h, 1, 64, 4);
		assert_int_equal(harness_shadow_on(&h), 0);
		for (unsigned i = 0; i < 63; i++) {
			const struct harness_sqe sqe =
				harness_io(2, i, 1, HARNESS_RAM_IOVA + (32 << 20), 0);

			harness_put(&h, q, &sqe);
		}
		harness_ring_sq(&h, q);
		while (taken < 63) {
			unsigned batch = 0;

			harness_settle(&h); /* asleep by now, with a full CQ */
			while (harness_take_quietly(&h, q, &cqe))
				batch++;
			assert_in_range(batch, 1, 3);
			taken += batch;
			harness_ring_cq(&h, q);
		}
		harness_close(&h);
	}
}

static void poison_check(struct harness *h, uint64_t page)
{
	const uint8_t *bytes = harness_ptr(h, page);

	for (unsigned i = 0; i < 4096; i++)
		assert_int_equal(bytes[i], 0xC7);
}

static void test_79_pages_are_forgotten(void **state)
{
	for (unsigned way = 0; way < 4; way++) {
		struct harness h;
		uint64_t shadow, event;

		open_shadow(&h, 79);
		shadow = h.shadow_iova;
		event = h.event_iova;
		assert_int_equal(read_one(&h, &h.queues[1], 0), 0);
		if (way == 0)
			harness_set32(&h, REG_CC, CC_OFF);
		else if (way == 1)
			harness_set32(&h, REG_NSSR, 0x4E564D65);
		else
			harness_reset(&h, way == 2 ? NVME_RESET_FUNCTION : NVME_RESET_DISCONNECT);
		h.shadow_iova = 0;
		memset(harness_ptr(&h, shadow), 0xC7, 4096);
		memset(harness_ptr(&h, event), 0xC7, 4096);
		harness_settle(&h);
		harness_config_set16(&h, 4, 6);
		harness_enable(&h, 16, 16);
		harness_create(&h, 1, 16, 16);
		for (unsigned i = 0; i < 40; i++)
			assert_int_equal(read_one(&h, &h.queues[1], i), 0);
		harness_settle(&h);
		poison_check(&h, shadow);
		poison_check(&h, event);
		harness_close(&h);
	}
}

/* The guest goes on to ring the old way for a while after it asked for the buffers. */
static void test_80_enabled_while_running(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		const struct harness_params params = {.seed = seed};
		struct harness h;
		struct harness_queue *q;

		harness_open(&h, &params);
		harness_enable(&h, 32, 32);
		h.disk->mode = RAMDISK_ASYNC;
		q = harness_create(&h, 1, 16, 16);
		for (unsigned i = 0; i < 5; i++)
			assert_int_equal(read_one(&h, q, i), 0);
		for (unsigned i = 0; i < 5; i++) {
			const struct harness_sqe sqe =
				harness_io(2, i, 1, HARNESS_RAM_IOVA + (32 << 20), 0);

			harness_put(&h, q, &sqe);
		}
		harness_ring_sq(&h, q);
		assert_int_equal(harness_shadow_on(&h), 0);
		for (unsigned i = 0; i < 25; i++) {
			const uint64_t shadow = h.shadow_iova;
			struct harness_cqe cqe;
			const struct harness_sqe sqe =
				harness_io(2, i, 1, HARNESS_RAM_IOVA + (32 << 20), 0);

			if (i < 20)
				h.shadow_iova = 0; /* the old way still */
			harness_put(&h, q, &sqe);
			harness_ring_sq(&h, q);
			assert_true(harness_wait(&h, q, &cqe));
			h.shadow_iova = shadow;
		}
		for (unsigned i = 0; i < 5; i++) {
			struct harness_cqe cqe;

			assert_true(harness_wait(&h, q, &cqe));
		}
		harness_close(&h);
	}
}

static void test_81_stale_words(void **state)
{
	struct harness h;
	struct harness_sqe sqe;

	open_shadow(&h, 81);
	for (unsigned i = 0; i < 7; i++)
		assert_int_equal(read_one(&h, &h.queues[1], i), 0);
	sqe = harness_admin(0, 0, 0, 1, 0);
	assert_int_equal(harness_execute(&h, &h.queues[0], &sqe, NULL), 0);
	sqe = harness_admin(4, 0, 0, 1, 0);
	assert_int_equal(harness_execute(&h, &h.queues[0], &sqe, NULL), 0);
	assert_int_equal(*word(&h, h.shadow_iova, 1, false), 7);
	harness_create(&h, 1, 16, 16);
	assert_int_equal(*word(&h, h.shadow_iova, 1, false), 0);
	harness_settle(&h);
	assert_int_equal(h.disk->counts[BLOCK_READ], 7);
	assert_int_equal(read_one(&h, &h.queues[1], 0), 0);
	harness_close(&h);
}

static void memory_comes_and_goes(bool shadow)
{
	struct harness h;
	struct harness_queue *q;
	struct harness_cqe cqe;

	open_shadow(&h, 82);
	if (!shadow) {
		harness_disable(&h);
		harness_enable(&h, 16, 16);
		harness_create(&h, 1, 16, 16);
	}
	q = &h.queues[1];
	for (unsigned i = 0; i < 50; i++) {
		const struct harness_sqe sqe =
			harness_io(2, i, 1, HARNESS_RAM_IOVA + (32 << 20), 0);

		assert_int_equal(read_one(&h, q, i), 0);
		harness_unmap_ram(&h);
		/* A command that is rung while nothing is there waits; no CFS. */
		harness_put(&h, q, &sqe);
		harness_ring_sq(&h, q);
		harness_settle(&h);
		assert_false(harness_take_quietly(&h, q, &cqe));
		assert_int_equal(harness_get32(&h, REG_CSTS), 1);
		harness_map_ram(&h);
		assert_true(harness_wait(&h, q, &cqe));
		assert_int_equal(cqe.status, 0);
	}
	harness_close(&h);
}

static void test_82_all_memory_mapped_anew(void **state)
{
	memory_comes_and_goes(false);
	memory_comes_and_goes(true);
}

static void unmap_done(struct guest_unmap *unmap)
{
	unmap->epoch = 0;
}

static void test_83_unmap_with_slow_commands(void **state)
{
	struct guest_unmap unmap = {.done = unmap_done};
	struct harness h;
	struct harness_queue *q;
	struct harness_cqe cqe;

	open_shadow(&h, 83);
	q = &h.queues[1];
	h.disk->mode = RAMDISK_HOLD;
	for (unsigned i = 0; i < 4; i++) {
		const struct harness_sqe sqe =
			harness_io(2, i, 1, HARNESS_RAM_IOVA + (32 << 20), 0);

		harness_put(&h, q, &sqe);
	}
	harness_ring_sq(&h, q);
	harness_settle(&h);
	guest_memory_unmap_all(h.memory, &unmap);
	nvme_controller_memory_changed(h.controller);
	harness_settle(&h);
	assert_int_not_equal(unmap.epoch, 0); /* the drive may still write there */
	ramdisk_release_all(h.disk);
	harness_settle(&h);
	assert_int_equal(unmap.epoch, 0);
	/* The completions waited for their queue. */
	assert_false(harness_take_quietly(&h, q, &cqe));
	harness_map_ram(&h);
	h.disk->mode = RAMDISK_INLINE;
	for (unsigned i = 0; i < 4; i++)
		assert_true(harness_wait(&h, q, &cqe));
	assert_int_equal(read_one(&h, q, 0), 0);
	harness_close(&h);
}

static void test_h28_bus_master_off(void **state)
{
	struct harness h;
	struct harness_queue *q;
	struct harness_cqe cqe;
	const struct harness_sqe sqe = harness_io(2, 0, 1, HARNESS_RAM_IOVA + (32 << 20), 0);

	open_shadow(&h, 28);
	q = &h.queues[1];
	harness_config_set16(&h, 4, 2);
	harness_put(&h, q, &sqe);
	harness_ring_sq(&h, q);
	harness_settle(&h);
	assert_false(harness_take_quietly(&h, q, &cqe));
	harness_config_set16(&h, 4, 6);
	assert_true(harness_wait(&h, q, &cqe));
	harness_close(&h);
}

static void test_mapped_page(void **state)
{
	const struct harness_params params = {.seed = 4, .doorbells = NVME_DOORBELLS_MAPPED};
	struct harness h;
	struct harness_queue *q;
	struct nvme_stats stats;
	uint64_t before;

	harness_open(&h, &params);
	for (unsigned life = 0; life < 3; life++) {
		harness_enable(&h, 32, 32);
		assert_int_equal(h.doorbell_page[0], 0);
		q = harness_create(&h, 1, 16, 16);
		for (unsigned i = 0; i < 200; i++) {
			for (uint64_t n = random_below(loop_sim_random(h.sim), 40); n > 0; n--)
				harness_turn(&h);
			assert_int_equal(read_one(&h, q, i), 0);
		}
		harness_disable(&h);
	}
	/* A register write lands in the page: the poller takes it from there. */
	harness_enable(&h, 32, 32);
	q = harness_create(&h, 1, 16, 16);
	{
		const struct harness_sqe sqe =
			harness_io(2, 0, 1, HARNESS_RAM_IOVA + (32 << 20), 0);
		struct harness_cqe cqe;

		harness_put(&h, q, &sqe);
		harness_set32(&h, NVME_BAR_DOORBELLS + 8, 1);
		assert_int_equal(le32toh(h.doorbell_page[2]), 1);
		assert_true(harness_wait(&h, q, &cqe));
	}
	/* Idle: it looks at most every 1 ms, and at least that often. */
	(void)!loop_sim_run(h.sim, NULL, loop_sim_now_ns(h.sim) + 50 * NS_PER_MS, 1000000);
	nvme_controller_stats(h.controller, &stats);
	before = stats.polls_idle;
	(void)!loop_sim_run(h.sim, NULL, loop_sim_now_ns(h.sim) + NS_PER_S, 1000000);
	nvme_controller_stats(h.controller, &stats);
	assert_in_range(stats.polls_idle - before, 900, 5000);
	harness_close(&h);
}

/*
 * While the drive works on all that the guest asks for at a time, we sleep; and the guest's answer
 * to what comes back costs no ring.
 */
static void test_sleeps_while_the_drive_works(void **state)
{
	const struct harness_params params = {.seed = 5, .spec = "delay:us=200:null:1G"};
	const struct harness_sqe sqe = harness_io(2, 0, 1, HARNESS_RAM_IOVA + (32 << 20), 0);
	struct harness_cqe cqe;
	struct harness h;
	struct harness_queue *q;

	harness_open(&h, &params);
	harness_enable(&h, 32, 32);
	q = harness_create(&h, 1, 16, 16);
	assert_int_equal(harness_shadow_on(&h), 0);
	/* It learns how slow the drive is. */
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(read_one(&h, q, i), 0);
	q->rings = 0;
	for (unsigned i = 0; i < 100; i++) {
		harness_put(&h, q, &sqe);
		harness_ring_sq(&h, q);
		/* Less than it would poll. */
		(void)!loop_sim_run(h.sim, NULL, loop_sim_now_ns(h.sim) + 20 * NS_PER_US, 100000);
		assert_int_equal(le32toh(*word(&h, h.event_iova, 1, false)), q->sq_tail);
		assert_true(harness_wait(&h, q, &cqe));
	}
	/* Once a lap, for submissions; and the same for completions. */
	assert_in_range(q->rings, 0, 2 * 100 / 16 + 2);
	harness_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_73_refused),
		cmocka_unit_test(test_74_admin_by_mmio),
		cmocka_unit_test(test_76_old_mmio_value),
		cmocka_unit_test(test_77_garbage),
		cmocka_unit_test(test_77_garbage_is_told_once),
		cmocka_unit_test(test_78_full_cq),
		cmocka_unit_test(test_79_pages_are_forgotten),
		cmocka_unit_test(test_80_enabled_while_running),
		cmocka_unit_test(test_81_stale_words),
		cmocka_unit_test(test_82_all_memory_mapped_anew),
		cmocka_unit_test(test_83_unmap_with_slow_commands),
		cmocka_unit_test(test_h28_bus_master_off),
		cmocka_unit_test(test_mapped_page),
		cmocka_unit_test(test_sleeps_while_the_drive_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
