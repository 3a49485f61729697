/* SPDX-License-Identifier: Apache-2.0 */
/* NVM commands. Numbers are those of the conformance list. */
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
#define INVALID_FIELD (0x002 | DNR)
#define FLUSH 0
#define WRITE 1
#define READ 2
#define COMPARE 5
#define ZEROES 8
#define DSM 9
#define VERIFY 0x0C
#define COPY 0x19
#define FUA (1U << 30)

struct io {
	struct harness h;
	struct harness_queue *q;
	uint64_t page; /* 2 MiB of guest memory */
	uint8_t *data;
	uint64_t blocks;
};

static void io_open_params(struct io *t, const struct harness_params *params)
{
	harness_open(&t->h, params);
	harness_enable(&t->h, 32, 32);
	t->q = harness_create(&t->h, 1, 64, 64);
	t->page = harness_alloc(&t->h, 2 << 20);
	t->data = harness_ptr(&t->h, t->page);
	t->blocks = (16 << 20) / (params->block_bytes ? params->block_bytes : 512);
}

static void io_open(struct io *t)
{
	const struct harness_params params = {.seed = 57};

	io_open_params(t, &params);
}

static uint16_t run(struct io *t, const struct harness_sqe *sqe)
{
	return harness_execute(&t->h, t->q, sqe, NULL);
}

static uint16_t simple(struct io *t, uint8_t opcode, uint64_t slba, unsigned blocks)
{
	const struct harness_sqe sqe = harness_io(opcode, slba, blocks, t->page, t->page + 4096);

	return run(t, &sqe);
}

static void test_57_first_and_last_block(void **state)
{
	struct io t;

	io_open(&t);
	memset(t.data, 0xA1, 512);
	assert_int_equal(simple(&t, WRITE, 0, 1), 0);
	memset(t.data, 0xA2, 512);
	assert_int_equal(simple(&t, WRITE, t.blocks - 1, 1), 0);
	assert_int_equal(simple(&t, READ, 0, 1), 0);
	assert_int_equal(t.data[0], 0xA1);
	assert_int_equal(simple(&t, READ, t.blocks - 1, 1), 0);
	assert_int_equal(t.data[0], 0xA2);
	for (uint8_t op = WRITE; op <= READ; op++) {
		assert_int_equal(simple(&t, op, t.blocks - 8, 8), 0);
		assert_int_equal(simple(&t, op, t.blocks - 8, 9), LBA_RANGE);
		assert_int_equal(simple(&t, op, t.blocks, 1), LBA_RANGE);
		assert_int_equal(simple(&t, op, UINT64_MAX, 1), LBA_RANGE);
		assert_int_equal(simple(&t, op, UINT64_MAX, 16), LBA_RANGE);
		assert_int_equal(simple(&t, op, UINT64_MAX - 7, 8), LBA_RANGE);
	}
	assert_int_equal(simple(&t, ZEROES, t.blocks - 1, 2), LBA_RANGE);
	assert_int_equal(simple(&t, COMPARE, t.blocks, 1), LBA_RANGE);
	assert_int_equal(simple(&t, VERIFY, t.blocks, 1), LBA_RANGE);
	assert_int_equal(simple(&t, ZEROES, UINT64_MAX, 65536), LBA_RANGE);
	harness_close(&t.h);
}

/* A PRP list over contiguous pages from `t->page`, in a page of its own. */
static uint64_t list_of(struct io *t, unsigned pages)
{
	const uint64_t list = harness_alloc(&t->h, 4096);
	uint64_t *entries = harness_ptr(&t->h, list);

	for (unsigned i = 1; i < pages; i++)
		entries[i - 1] = t->page + i * 4096ULL;
	return list;
}

static void test_58_transfer_limit(void **state)
{
	struct io t;
	struct harness_sqe sqe;

	io_open(&t);
	sqe = harness_io(WRITE, 0, 1024, t.page, list_of(&t, 130));
	assert_int_equal(run(&t, &sqe), 0);
	sqe.dw[12] = 1024;
	assert_int_equal(run(&t, &sqe), INVALID_FIELD);
	sqe.dw[0] = READ;
	assert_int_equal(run(&t, &sqe), INVALID_FIELD);
	sqe.dw[0] = COMPARE;
	assert_int_equal(run(&t, &sqe), INVALID_FIELD);
	harness_close(&t.h);
}

static void test_64_fuse_psdt_opcode_nsid(void **state)
{
	struct io t;
	struct harness_sqe sqe;

	io_open(&t);
	sqe = harness_io(READ, 0, 1, t.page, 0);
	sqe.dw[0] = READ | 1U << 8;
	assert_int_equal(run(&t, &sqe), INVALID_FIELD);
	sqe.dw[0] = READ | 3U << 8;
	assert_int_equal(run(&t, &sqe), INVALID_FIELD);
	sqe.dw[0] = READ | 3U << 14;
	assert_int_equal(run(&t, &sqe), INVALID_FIELD);
	for (unsigned op = 0; op < 256; op++) {
		static const uint8_t known[] = {0, 1, 2, 5, 8, 9, 0x0C, 0x19};

		if (memchr(known, (int)op, sizeof(known)))
			continue;
		sqe.dw[0] = op;
		assert_int_equal(run(&t, &sqe), 0x001 | DNR);
	}
	sqe.dw[0] = READ;
	sqe.dw[1] = 0;
	assert_int_equal(run(&t, &sqe), 0x00B | DNR);
	sqe.dw[1] = 2; /* not attached */
	assert_int_equal(run(&t, &sqe), 0x00B | DNR);
	sqe.dw[1] = 5; /* beyond NN */
	assert_int_equal(run(&t, &sqe), 0x00B | DNR);
	sqe.dw[1] = 0xFFFFFFFF;
	assert_int_equal(run(&t, &sqe), 0x00B | DNR);
	harness_close(&t.h);
}

static void test_65_flush(void **state)
{
	struct io t;
	struct harness_sqe sqe = {.dw = {[0] = FLUSH, [1] = 1}};

	io_open(&t);
	memset(t.data, 0x31, 512);
	assert_int_equal(simple(&t, WRITE, 3, 1), 0);
	assert_int_equal(t.h.disk->durable[3 * 512], 0);
	assert_int_equal(run(&t, &sqe), 0);
	assert_int_equal(t.h.disk->durable[3 * 512], 0x31);
	memset(t.data, 0x32, 512);
	assert_int_equal(simple(&t, WRITE, 3, 1), 0);
	sqe.dw[1] = 0xFFFFFFFF;
	assert_int_equal(run(&t, &sqe), 0);
	assert_int_equal(t.h.disk->durable[3 * 512], 0x32);
	sqe.dw[1] = 0;
	assert_int_equal(run(&t, &sqe), 0x00B | DNR);
	sqe.dw[1] = 99;
	assert_int_equal(run(&t, &sqe), 0x00B | DNR);
	t.h.disk->fail = -EIO;
	t.h.disk->fail_ops = 1U << BLOCK_FLUSH;
	sqe.dw[1] = 1;
	assert_int_equal(run(&t, &sqe), 0x006);
	sqe.dw[1] = 0xFFFFFFFF;
	assert_int_equal(run(&t, &sqe), 0x006);
	harness_close(&t.h);
}

static void test_66_67_durable_writes(void **state)
{
	struct io t;
	struct harness_sqe sqe;

	io_open(&t);
	memset(t.data, 0x41, 512);
	sqe = harness_io(WRITE, 9, 1, t.page, 0);
	assert_int_equal(run(&t, &sqe), 0);
	assert_int_equal(t.h.disk->durable[9 * 512], 0);
	sqe.dw[12] |= FUA;
	assert_int_equal(run(&t, &sqe), 0);
	assert_int_equal(t.h.disk->durable[9 * 512], 0x41);
	/* Cache off: every write, also one that was completed before. */
	memset(t.data, 0x42, 512);
	assert_int_equal(simple(&t, WRITE, 10, 1), 0);
	sqe = harness_admin(9, 0, 0, 6, 0);
	assert_int_equal(harness_execute(&t.h, &t.h.queues[0], &sqe, NULL), 0);
	assert_int_equal(t.h.disk->durable[10 * 512], 0x42);
	assert_int_equal(simple(&t, WRITE, 11, 1), 0);
	assert_int_equal(t.h.disk->durable[11 * 512], 0x42);
	assert_int_equal(simple(&t, ZEROES, 11, 1), 0);
	assert_int_equal(t.h.disk->durable[11 * 512], 0);
	harness_close(&t.h);
}

static void test_68_write_zeroes(void **state)
{
	const struct harness_params params = {.seed = 1, .disk_bytes = 40 << 20};
	struct io t;
	struct harness_sqe sqe;

	io_open_params(&t, &params);
	memset(t.h.disk->data, 0xFF, 40 << 20);
	sqe = harness_io(ZEROES, 5, 65536, 0x3, 0x7); /* no data: pointers are ignored */
	assert_int_equal(run(&t, &sqe), 0);
	assert_int_equal(t.h.disk->data[5 * 512 - 1], 0xFF);
	for (uint64_t i = 0; i < 65536 * 512; i += 97)
		assert_int_equal(t.h.disk->data[5 * 512 + i], 0);
	assert_int_equal(t.h.disk->data[(5 + 65536) * 512], 0xFF);
	sqe = harness_io(ZEROES, 70001, 3, 0, 0);
	sqe.dw[12] |= 1U << 25 | FUA;
	assert_int_equal(run(&t, &sqe), 0);
	assert_int_equal(t.h.disk->fua_count, 1);
	assert_int_equal(t.h.disk->data[70001 * 512 - 1], 0xFF);
	assert_int_equal(t.h.disk->data[70001 * 512], 0);
	assert_int_equal(t.h.disk->data[70004 * 512], 0xFF);
	harness_close(&t.h);
}

static void range_put(struct io *t, unsigned index, uint32_t blocks, uint64_t slba)
{
	uint8_t *entry = t->data + (size_t)index * 16;

	le32_put(entry, 0xFFFFFFFF); /* attributes: hints */
	le32_put(entry + 4, blocks);
	le64_put(entry + 8, slba);
}

static uint16_t deallocate(struct io *t, unsigned ranges, uint64_t prp1, uint32_t dw11)
{
	struct harness_sqe sqe = harness_io(DSM, 0, 1, prp1, 0);

	sqe.dw[10] = ranges - 1;
	sqe.dw[11] = dw11;
	sqe.dw[12] = 0;
	return run(t, &sqe);
}

static void test_69_70_deallocate(void **state)
{
	struct io t;
	uint64_t own;

	io_open(&t);
	memset(t.h.disk->data, 0xFF, 16 << 20);
	range_put(&t, 0, 8, 16);
	assert_int_equal(deallocate(&t, 1, t.page, 0), 0); /* hints only: nothing happens */
	assert_int_equal(t.h.disk->counts[BLOCK_DISCARD], 0);
	assert_int_equal(deallocate(&t, 1, t.page, 4), 0);
	assert_int_equal(t.h.disk->data[16 * 512 - 1], 0xFF);
	assert_int_equal(t.h.disk->data[16 * 512], 0);
	assert_int_equal(t.h.disk->data[24 * 512 - 1], 0);
	assert_int_equal(t.h.disk->data[24 * 512], 0xFF);
	/* 256 ranges, some empty, some overlapping. */
	for (unsigned i = 0; i < 256; i++)
		range_put(&t, i, i % 3, 100 + i * 2 - (i % 5 == 0));
	assert_int_equal(deallocate(&t, 256, t.page, 4), 0);
	assert_int_equal(t.h.disk->data[102 * 512], 0);
	/* One bad range: none is touched. */
	range_put(&t, 0, 1, 2000);
	range_put(&t, 1, 2, t.blocks - 1);
	assert_int_equal(deallocate(&t, 2, t.page, 4), LBA_RANGE);
	assert_int_equal(t.h.disk->data[2000 * 512], 0xFF);
	range_put(&t, 1, 0xFFFFFFFF, UINT64_MAX);
	assert_int_equal(deallocate(&t, 2, t.page, 4), LBA_RANGE);
	assert_int_equal(t.h.disk->data[2000 * 512], 0xFF);
	/* Exactly (NR + 1) * 16 bytes are read: the last ones of the guest's memory. */
	own = HARNESS_RAM_IOVA + HARNESS_RAM_BYTES - 16;
	memcpy(harness_ptr(&t.h, own), t.data, 16);
	assert_int_equal(deallocate(&t, 1, own, 4), 0);
	assert_int_equal(t.h.disk->data[2000 * 512], 0);
	harness_close(&t.h);
}

/* H24: ranges whose end wraps around 2^64 are out of range, and nothing before them is done. */
static void test_h24_ranges_that_wrap(void **state)
{
	static const struct {
		uint64_t slba;
		uint32_t blocks;
	} wraps[] = {{UINT64_MAX, 1}, {UINT64_MAX - 3, 4}, {UINT64_MAX - 3, 8}, {UINT64_MAX, 2}};
	struct io t;
	struct harness_sqe sqe = harness_io(DSM, 0, 1, 0, 0);

	io_open(&t);
	memset(t.h.disk->data, 0x24, 4096);
	sqe.dw[6] = (uint32_t)t.page;
	sqe.dw[7] = (uint32_t)(t.page >> 32);
	sqe.dw[10] = 1; /* two ranges */
	sqe.dw[11] = 4;
	for (unsigned i = 0; i < sizeof(wraps) / sizeof(wraps[0]); i++) {
		memset(t.data, 0, 32);
		le32_put(t.data + 4, 8); /* a good one first */
		le32_put(t.data + 16 + 4, wraps[i].blocks);
		le64_put(t.data + 16 + 8, wraps[i].slba);
		assert_int_equal(run(&t, &sqe), LBA_RANGE);
		assert_int_equal(simple(&t, READ, wraps[i].slba, wraps[i].blocks), LBA_RANGE);
		assert_int_equal(simple(&t, WRITE, wraps[i].slba, wraps[i].blocks), LBA_RANGE);
		assert_int_equal(simple(&t, ZEROES, wraps[i].slba, wraps[i].blocks), LBA_RANGE);
		assert_int_equal(simple(&t, VERIFY, wraps[i].slba, wraps[i].blocks), LBA_RANGE);
		assert_int_equal(simple(&t, COMPARE, wraps[i].slba, wraps[i].blocks), LBA_RANGE);
	}
	for (unsigned i = 0; i < 4096; i++)
		assert_int_equal(t.h.disk->data[i], 0x24);
	harness_close(&t.h);
}

static void test_71_write_protected(void **state)
{
	struct io t;

	io_open(&t);
	t.h.disk->device.limits.read_only = true;
	range_put(&t, 0, 8, 16);
	assert_int_equal(simple(&t, WRITE, 0, 1), 0x020 | DNR);
	assert_int_equal(simple(&t, ZEROES, 0, 1), 0x020 | DNR);
	assert_int_equal(deallocate(&t, 1, t.page, 4), 0x020 | DNR);
	assert_int_equal(simple(&t, COPY, 0, 1), 0x020 | DNR);
	assert_int_equal(simple(&t, READ, 0, 1), 0);
	assert_int_equal(simple(&t, FLUSH, 0, 1), 0);
	harness_close(&t.h);
}

static void test_errors_of_the_drive(void **state)
{
	static const struct {
		int error;
		uint16_t on_write, on_read;
	} cases[] = {
		{-EIO, 0x280, 0x281},		{-ENOSPC, 0x081 | DNR, 0x081 | DNR},
		{-ENXIO, LBA_RANGE, LBA_RANGE}, {-EROFS, 0x020 | DNR, 0x020 | DNR},
		{-EAGAIN, 0x082, 0x082},	{-ENOMEM, 0x006, 0x006},
	};
	struct io t;

	io_open(&t);
	t.h.disk->fail_ops = ~0U;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		t.h.disk->fail = cases[i].error;
		assert_int_equal(simple(&t, WRITE, 0, 1), cases[i].on_write);
		assert_int_equal(simple(&t, READ, 0, 1), cases[i].on_read);
		assert_int_equal(simple(&t, ZEROES, 0, 1), cases[i].on_write);
		assert_int_equal(simple(&t, COMPARE, 0, 1), cases[i].on_read);
		assert_int_equal(simple(&t, VERIFY, 0, 1), cases[i].on_read);
	}
	harness_close(&t.h);
}

/* The namespace alone is read-only: the drive would take the writes. */
static void test_71_read_only_namespace(void **state)
{
	struct nvme_namespace_params ns = {.nsid = 1, .nguid = {1}, .read_only = true};
	struct io t;

	io_open(&t);
	harness_detach(&t.h);
	ns.channel = t.h.channel;
	assert_int_equal(nvme_namespace_attach(t.h.controller, &ns), 0);
	t.h.attached = true;
	memset(t.h.disk->data, 0x71, 8192);
	range_put(&t, 0, 0, 8);
	assert_int_equal(deallocate(&t, 1, t.page, 4), 0x020 | DNR);
	assert_int_equal(simple(&t, WRITE, 0, 1), 0x020 | DNR);
	assert_int_equal(simple(&t, ZEROES, 0, 1), 0x020 | DNR);
	assert_int_equal(simple(&t, COPY, 8, 1), 0x020 | DNR);
	assert_int_equal(simple(&t, FLUSH, 0, 1), 0);
	for (unsigned i = 0; i < 8192; i++)
		assert_int_equal(t.h.disk->data[i], 0x71);
	harness_close(&t.h);
}

/* A failed flush of one namespace and of all: never success, and no media error of one block. */
static void test_flush_that_fails(void **state)
{
	struct io t;
	struct harness_sqe sqe = harness_io(FLUSH, 0, 1, 0, 0);

	io_open(&t);
	t.h.disk->fail_ops = 1U << BLOCK_FLUSH;
	t.h.disk->fail = -EIO;
	for (unsigned i = 0; i < 3; i++) {
		sqe.dw[1] = i == 1 ? 0xFFFFFFFF : 1;
		assert_int_equal(run(&t, &sqe), 0x006);
	}
	harness_close(&t.h);
}

static void test_compare(void **state)
{
	struct io t;
	struct harness_sqe sqe;

	io_open(&t);
	memset(t.data, 0x66, 1 << 20);
	sqe = harness_io(WRITE, 100, 1000, t.page, list_of(&t, 128));
	assert_int_equal(run(&t, &sqe), 0);
	sqe.dw[0] = COMPARE;
	assert_int_equal(run(&t, &sqe), 0);
	t.h.disk->data[100 * 512 + 999 * 512 + 511] ^= 1;
	assert_int_equal(run(&t, &sqe), 0x285);
	sqe.dw[12] = 998;
	assert_int_equal(run(&t, &sqe), 0);
	/* At any dword. */
	sqe = harness_io(COMPARE, 100, 3, t.page + 12, 0);
	assert_int_equal(run(&t, &sqe), 0);
	t.data[12 + 3 * 512 - 1] = 0;
	assert_int_equal(run(&t, &sqe), 0x285);
	harness_close(&t.h);
}

static void test_verify(void **state)
{
	const struct harness_params params = {.seed = 1, .disk_bytes = 40 << 20};
	struct io t;

	io_open_params(&t, &params);
	assert_int_equal(simple(&t, VERIFY, 7, 65536), 0);
	assert_int_equal(t.h.disk->counts[BLOCK_READ], 64);
	harness_close(&t.h);
}

static void test_bad_pieces_of_the_drive_are_bounced(void **state)
{
	struct io t;
	struct harness_sqe sqe;

	io_open(&t);
	for (unsigned i = 0; i < 8192; i++)
		t.data[i + 4] = (uint8_t)(i * 3);
	sqe = harness_io(WRITE, 0, 15, t.page + 4, t.page + 4096); /* dword aligned only */
	assert_int_equal(run(&t, &sqe), 0);
	memcpy(t.data + 16384, t.data, 8192);
	assert_memory_equal(t.h.disk->data, t.data + 4, 15 * 512);
	memset(t.data, 0, 8192);
	sqe.dw[0] = READ;
	assert_int_equal(run(&t, &sqe), 0);
	assert_memory_equal(t.data + 4, t.data + 16384 + 4, 15 * 512);
	/* Too many pieces for the drive. */
	t.h.disk->device.limits.iov_max = 1;
	sqe = harness_io(READ, 0, 16, t.page, t.page + 8192);
	assert_int_equal(run(&t, &sqe), 0);
	assert_memory_equal(t.data + 8192, t.h.disk->data + 4096, 4096);
	harness_close(&t.h);
}

/* H30: a drive that leaves the buffer as it was shows zeroes, not what another command wrote. */
static void test_h30_bounced_read_shows_no_other_data(void **state)
{
	struct io t;
	struct harness_sqe sqe;

	io_open(&t);
	memset(t.data, 0x5E, 4096);
	sqe = harness_io(WRITE, 0, 4, t.page + 4, 0); /* leaves its data in a bounce buffer */
	assert_int_equal(run(&t, &sqe), 0);
	t.h.disk->reads_nothing = true;
	sqe.dw[0] = READ;
	assert_int_equal(run(&t, &sqe), 0);
	for (unsigned i = 4; i < 4 + 4 * 512; i++)
		assert_int_equal(t.data[i], 0);
	harness_close(&t.h);
}

/* More commands that need a bounce buffer than there are. */
static void test_bounce_buffers_are_waited_for(void **state)
{
	struct io t;
	struct harness_cqe cqe;

	io_open(&t);
	t.h.disk->mode = RAMDISK_HOLD;
	for (unsigned i = 0; i < 40; i++) {
		const struct harness_sqe sqe = harness_io(READ, i, 1, t.page + 4096ULL * i + 4, 0);

		memset(t.h.disk->data + i * 512, (int)i, 512);
		harness_put(&t.h, t.q, &sqe);
	}
	harness_ring_sq(&t.h, t.q);
	harness_settle(&t.h);
	assert_int_equal(t.h.disk->waiting_count, 8);
	t.h.disk->mode = RAMDISK_ASYNC;
	ramdisk_release_all(t.h.disk);
	for (unsigned i = 0; i < 40; i++)
		assert_true(harness_wait(&t.h, t.q, &cqe));
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(t.data[4096 * i + 4 + 511], i);
	/* And a reset with all of them waiting. */
	t.h.disk->mode = RAMDISK_HOLD;
	for (unsigned i = 0; i < 40; i++) {
		const struct harness_sqe sqe = harness_io(READ, i, 1, t.page + 4, 0);

		harness_put(&t.h, t.q, &sqe);
	}
	harness_ring_sq(&t.h, t.q);
	harness_settle(&t.h);
	harness_set32(&t.h, REG_CC, CC_OFF);
	ramdisk_release_all(t.h.disk);
	harness_settle(&t.h);
	assert_int_equal(harness_get32(&t.h, REG_CSTS), 0);
	harness_close(&t.h);
}

/* Detaching waits for commands in flight; those behind it find nothing. */
static void test_commands_after_detach(void **state)
{
	struct io t;

	io_open(&t);
	assert_int_equal(simple(&t, READ, 0, 1), 0);
	harness_detach(&t.h);
	assert_int_equal(simple(&t, READ, 0, 1), 0x00B | DNR);
	harness_attach(&t.h);
	assert_int_equal(simple(&t, READ, 0, 1), 0);
	harness_close(&t.h);
}

static void test_4k_blocks(void **state)
{
	const struct harness_params params = {.seed = 1, .block_bytes = 4096};
	struct io t;

	io_open_params(&t, &params);
	memset(t.data, 0x12, 8192);
	assert_int_equal(simple(&t, WRITE, t.blocks - 2, 2), 0);
	assert_int_equal(simple(&t, WRITE, t.blocks - 1, 2), LBA_RANGE);
	assert_int_equal(t.h.disk->data[(16 << 20) - 1], 0x12);
	assert_int_equal(t.h.disk->data[(16 << 20) - 8193], 0);
	harness_close(&t.h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_57_first_and_last_block),
		cmocka_unit_test(test_58_transfer_limit),
		cmocka_unit_test(test_64_fuse_psdt_opcode_nsid),
		cmocka_unit_test(test_65_flush),
		cmocka_unit_test(test_66_67_durable_writes),
		cmocka_unit_test(test_68_write_zeroes),
		cmocka_unit_test(test_69_70_deallocate),
		cmocka_unit_test(test_h24_ranges_that_wrap),
		cmocka_unit_test(test_71_write_protected),
		cmocka_unit_test(test_71_read_only_namespace),
		cmocka_unit_test(test_errors_of_the_drive),
		cmocka_unit_test(test_flush_that_fails),
		cmocka_unit_test(test_compare),
		cmocka_unit_test(test_verify),
		cmocka_unit_test(test_bad_pieces_of_the_drive_are_bounced),
		cmocka_unit_test(test_h30_bounced_read_shows_no_other_data),
		cmocka_unit_test(test_bounce_buffers_are_waited_for),
		cmocka_unit_test(test_commands_after_detach),
		cmocka_unit_test(test_4k_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
