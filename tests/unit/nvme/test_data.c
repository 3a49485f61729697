/* SPDX-License-Identifier: Apache-2.0 */
/* PRP and SGL: where the data of a command is. Numbers are those of the conformance list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <quoin/base_endian.h>
#include <quoin/base_math.h>

#include "harness.h"

#define DNR 0x4000
#define WRITE 1
#define READ 2
#define BAD_OFFSET (0x013 | DNR)
#define NO_MEMORY (0x004 | DNR)
#define PSDT_SGL (1U << 14)

struct rig {
	struct harness h;
	struct harness_queue *q;
	uint64_t pages[160]; /* not neighbours of each other */
};

static void rig_open(struct rig *t)
{
	const struct harness_params params = {.seed = 59};

	harness_open(&t->h, &params);
	harness_enable(&t->h, 32, 32);
	t->q = harness_create(&t->h, 1, 64, 64);
	for (unsigned i = 0; i < 160; i++) {
		/* Even ones from below, odd ones from above: no two pieces join. */
		t->pages[i] = HARNESS_RAM_IOVA + (i % 2 ? 40U << 20 : 20U << 20) + i * 8192ULL;
	}
	for (unsigned i = 0; i < (1U << 20); i++)
		t->h.disk->data[i] = (uint8_t)(i * 31 + i / 509);
}

static uint16_t run(struct rig *t, const struct harness_sqe *sqe)
{
	return harness_execute(&t->h, t->q, sqe, NULL);
}

/*
 * Writes PRP entries 1.. of a transfer over `count` pages: a list from `offset` in a page, chained
 * to further pages when they do not fit. Returns the list's address.
 */
static uint64_t list_make(struct rig *t, unsigned count, unsigned offset)
{
	const uint64_t list = harness_alloc(&t->h, 4096) + offset;
	uint64_t at = list;

	for (unsigned i = 1; i < count; i++) {
		uint64_t *slot = harness_ptr(&t->h, at);

		if ((at + 8) % 4096 == 0 && i + 1 < count) {
			*slot = harness_alloc(&t->h, 4096);
			at = *slot;
			slot = harness_ptr(&t->h, at);
		}
		*slot = t->pages[i];
		at += 8;
	}
	return list;
}

static void data_check(struct rig *t, unsigned first_offset, uint64_t bytes)
{
	const uint8_t *want = t->h.disk->data;
	const uint8_t *page = harness_ptr(&t->h, t->pages[0] + first_offset);
	uint64_t part = MIN(bytes, 4096ULL - first_offset);

	for (unsigned i = 1; bytes > 0; i++) {
		assert_memory_equal(page, want, part);
		want += part;
		bytes -= part;
		part = MIN(bytes, (uint64_t)4096);
		page = harness_ptr(&t->h, t->pages[i]);
	}
}

static void transfer(struct rig *t, unsigned first_offset, uint64_t bytes, unsigned list_offset)
{
	const unsigned pages = (unsigned)div_round_up(first_offset + bytes, 4096);
	struct harness_sqe sqe;
	uint64_t prp2 = 0xDEAD; /* must be ignored */

	for (unsigned i = 0; i < pages; i++)
		memset(harness_ptr(&t->h, t->pages[i]), 0, 4096);
	if (pages == 2)
		prp2 = t->pages[1];
	else if (pages > 2)
		prp2 = list_make(t, pages, list_offset);
	sqe = harness_io(READ, 0, (unsigned)(bytes / 512), t->pages[0] + first_offset, prp2);
	assert_int_equal(run(t, &sqe), 0);
	data_check(t, first_offset, bytes);
}

static void test_59_offsets_and_pages(void **state)
{
	static const unsigned offsets[] = {0, 4, 512, 3584, 4092};
	static const unsigned pages[] = {1, 2, 3, 64, 127, 128};
	struct rig t;

	rig_open(&t);
	for (unsigned o = 0; o < ARRAY_SIZE(offsets); o++) {
		for (unsigned p = 0; p < ARRAY_SIZE(pages); p++) {
			transfer(&t, offsets[o], pages[p] * 4096ULL, 0);
			transfer(&t, offsets[o], 512, 0);
		}
	}
	harness_close(&t.h);
}

static void test_60_list_offsets_and_chains(void **state)
{
	struct rig t;

	rig_open(&t);
	for (unsigned offset = 8; offset < 4096; offset += offset < 3000 ? 504 : 8) {
		transfer(&t, 0, 128 * 4096, offset);
		transfer(&t, 1024, 128 * 4096, offset);
		transfer(&t, 0, 3 * 4096, offset);
	}
	transfer(&t, 0, 3 * 4096, 4080); /* two entries, two slots: no chain */
	transfer(&t, 0, 3 * 4096, 4088); /* one slot: a chain, and nothing else */
	harness_close(&t.h);
}

static uint16_t read_at(struct rig *t, unsigned blocks, uint64_t prp1, uint64_t prp2)
{
	const struct harness_sqe sqe = harness_io(READ, 0, blocks, prp1, prp2);

	return run(t, &sqe);
}

static void test_61_misaligned(void **state)
{
	struct rig t;
	uint64_t list;
	uint64_t *slots;

	rig_open(&t);
	for (unsigned i = 1; i < 4; i++)
		assert_int_equal(read_at(&t, 1, t.pages[0] + i, 0), BAD_OFFSET);
	assert_int_equal(read_at(&t, 16, t.pages[0], t.pages[1] + 512), BAD_OFFSET);
	assert_int_equal(read_at(&t, 24, t.pages[0], t.pages[1] + 4), BAD_OFFSET);
	list = list_make(&t, 4, 0);
	slots = harness_ptr(&t.h, list);
	slots[2] += 8;
	assert_int_equal(read_at(&t, 32, t.pages[0], list), BAD_OFFSET);
	list = list_make(&t, 4, 4080);
	slots = harness_ptr(&t.h, list);
	slots[1] += 8; /* the chain */
	assert_int_equal(read_at(&t, 32, t.pages[0], list), BAD_OFFSET);
	assert_int_equal(read_at(&t, 1, t.pages[0], 0), 0);
	harness_close(&t.h);
}

static void test_62_circular_list(void **state)
{
	struct rig t;
	uint64_t list;
	uint64_t *slots;
	uint16_t status;

	rig_open(&t);
	list = harness_alloc(&t.h, 4096);
	slots = harness_ptr(&t.h, list);
	for (unsigned i = 0; i < 512; i++)
		slots[i] = list; /* list page as data, and as chain */
	status = read_at(&t, 1024, t.pages[0], list + 4088);
	assert_true(status == 0 || status == BAD_OFFSET || status == NO_MEMORY);
	assert_int_equal(read_at(&t, 1, t.pages[0], 0), 0);
	harness_close(&t.h);
}

static void test_63_84_no_memory_there(void **state)
{
	const uint64_t end = HARNESS_RAM_IOVA + HARNESS_RAM_BYTES;
	const struct guest_addr hole = {0x80000000}, rom = {0x90000000};
	struct rig t;
	uint64_t list;

	rig_open(&t);
	/* A range without a descriptor (our own doorbell page, as QEMU maps it), a read-only one.
	 */
	assert_int_equal(guest_memory_map(t.h.memory, hole, 4096, GUEST_READ | GUEST_WRITE, -1, 0),
			 0);
	assert_int_equal(guest_memory_map(t.h.memory, rom, 4096, GUEST_READ, t.h.fd, 0), 0);
	nvme_controller_memory_changed(t.h.controller);
	assert_int_equal(read_at(&t, 1, 0, 0), NO_MEMORY);
	assert_int_equal(read_at(&t, 1, UINT64_MAX - 4095, 0), NO_MEMORY);
	assert_int_equal(read_at(&t, 1, end, 0), NO_MEMORY);
	assert_int_equal(read_at(&t, 16, end - 4096, end), NO_MEMORY); /* H26 */
	assert_int_equal(read_at(&t, 1, hole.value, 0), NO_MEMORY);
	assert_int_equal(read_at(&t, 1, rom.value, 0), NO_MEMORY);
	assert_int_equal(read_at(&t, 32, t.pages[0], hole.value), NO_MEMORY); /* the list */
	list = list_make(&t, 4, 0);
	((uint64_t *)harness_ptr(&t.h, list))[1] = 0;
	assert_int_equal(read_at(&t, 32, t.pages[0], list), NO_MEMORY);
	{
		/* To write from read-only memory is fine. */
		const struct harness_sqe sqe = harness_io(WRITE, 0, 1, rom.value, 0);

		assert_int_equal(run(&t, &sqe), 0);
	}
	assert_int_equal(read_at(&t, 1, t.pages[0], 0), 0);
	harness_close(&t.h);
}

/* The border between two regions lies inside the data. */
static void test_data_across_regions(void **state)
{
	const uint64_t border = HARNESS_RAM_IOVA + HARNESS_RAM_BYTES / 2;
	struct rig t;

	rig_open(&t);
	assert_int_equal(read_at(&t, 16, border - 4096, border), 0);
	assert_memory_equal(harness_ptr(&t.h, border - 4096), t.h.disk->data, 8192);
	harness_close(&t.h);
}

/* --- SGL ----------------------------------------------------------------------------------------
 */

enum { BLOCK = 0, BUCKET = 1, SEGMENT = 2, LAST = 3 };

static void descriptor_put(uint8_t *at, unsigned type, uint64_t addr, uint32_t length)
{
	le64_put(at, addr);
	le32_put(at + 8, length);
	memset(at + 12, 0, 3);
	at[15] = (uint8_t)(type << 4);
}

static struct harness_sqe sgl_command(uint8_t opcode, unsigned blocks, unsigned type, uint64_t addr,
				      uint32_t length)
{
	struct harness_sqe sqe = harness_io(opcode, 0, blocks, 0, 0);
	uint8_t first[16];

	descriptor_put(first, type, addr, length);
	memcpy(&sqe.dw[6], first, 16);
	sqe.dw[0] |= PSDT_SGL;
	return sqe;
}

static void test_sgl_blocks(void **state)
{
	struct rig t;
	struct harness_sqe sqe;
	uint64_t list, more;
	uint8_t *d;

	rig_open(&t);
	sqe = sgl_command(READ, 8, BLOCK, t.pages[0], 4096);
	assert_int_equal(run(&t, &sqe), 0);
	assert_memory_equal(harness_ptr(&t.h, t.pages[0]), t.h.disk->data, 4096);
	/* Odd pieces, empty ones, over two segments. */
	list = harness_alloc(&t.h, 4096);
	more = harness_alloc(&t.h, 4096);
	d = harness_ptr(&t.h, list);
	descriptor_put(d, BLOCK, t.pages[1] + 3, 1001);
	descriptor_put(d + 16, BLOCK, t.pages[2], 0);
	descriptor_put(d + 32, BLOCK, t.pages[2] + 1, 4096);
	descriptor_put(d + 48, LAST, more, 32);
	d = harness_ptr(&t.h, more);
	descriptor_put(d, BLOCK, t.pages[3], 3000);
	descriptor_put(d + 16, BLOCK, t.pages[4], 8192 - 1001 - 4096 - 3000);
	sqe = sgl_command(READ, 16, SEGMENT, list, 64);
	assert_int_equal(run(&t, &sqe), 0);
	assert_memory_equal(harness_ptr(&t.h, t.pages[1] + 3), t.h.disk->data, 1001);
	assert_memory_equal(harness_ptr(&t.h, t.pages[2] + 1), t.h.disk->data + 1001, 4096);
	assert_memory_equal(harness_ptr(&t.h, t.pages[3]), t.h.disk->data + 5097, 3000);
	assert_memory_equal(harness_ptr(&t.h, t.pages[4]), t.h.disk->data + 8097, 95);
	harness_close(&t.h);
}

static void test_sgl_bit_bucket(void **state)
{
	struct rig t;
	struct harness_sqe sqe;
	uint64_t list;
	uint8_t *d;

	rig_open(&t);
	list = harness_alloc(&t.h, 4096);
	d = harness_ptr(&t.h, list);
	descriptor_put(d, BLOCK, t.pages[0], 512);
	descriptor_put(d + 16, BUCKET, 0xBAD, 1024);
	descriptor_put(d + 32, BLOCK, t.pages[1], 512);
	sqe = sgl_command(READ, 4, LAST, list, 48);
	assert_int_equal(run(&t, &sqe), 0);
	assert_memory_equal(harness_ptr(&t.h, t.pages[0]), t.h.disk->data, 512);
	assert_memory_equal(harness_ptr(&t.h, t.pages[1]), t.h.disk->data + 1536, 512);
	/* In a write it stands for nothing. */
	memset(harness_ptr(&t.h, t.pages[0]), 0x99, 512);
	memset(harness_ptr(&t.h, t.pages[1]), 0x88, 512);
	sqe = sgl_command(WRITE, 2, LAST, list, 48);
	assert_int_equal(run(&t, &sqe), 0);
	assert_int_equal(t.h.disk->data[511], 0x99);
	assert_int_equal(t.h.disk->data[512], 0x88);
	harness_close(&t.h);
}

static uint16_t sgl_status(struct rig *t, unsigned type, uint64_t addr, uint32_t length)
{
	const struct harness_sqe sqe = sgl_command(READ, 8, type, addr, length);

	return run(t, &sqe);
}

static void test_sgl_refused(void **state)
{
	struct rig t;
	uint64_t list;
	uint8_t *d;

	rig_open(&t);
	list = harness_alloc(&t.h, 16384);
	d = harness_ptr(&t.h, list);
	assert_int_equal(sgl_status(&t, BLOCK, t.pages[0], 4095), 0x00F | DNR);
	assert_int_equal(sgl_status(&t, BLOCK, t.pages[0], 4097), 0x00F | DNR);
	assert_int_equal(sgl_status(&t, BLOCK, t.pages[0], 0), 0x00F | DNR);
	assert_int_equal(sgl_status(&t, BLOCK, 0, 4096), NO_MEMORY);
	assert_int_equal(sgl_status(&t, LAST, 0, 16), NO_MEMORY);
	assert_int_equal(sgl_status(&t, 4, t.pages[0], 4096), 0x011 | DNR);
	assert_int_equal(sgl_status(&t, 15, t.pages[0], 4096), 0x011 | DNR);
	assert_int_equal(sgl_status(&t, LAST, list, 0), 0x00D | DNR);
	assert_int_equal(sgl_status(&t, LAST, list, 17), 0x00D | DNR);
	/* A segment that leads to itself. */
	descriptor_put(d, SEGMENT, list, 16);
	assert_int_equal(sgl_status(&t, SEGMENT, list, 16), 0x00E | DNR);
	/* A segment in the last one; in the middle of one; none at the end of one. */
	descriptor_put(d, LAST, list, 16);
	assert_int_equal(sgl_status(&t, LAST, list, 16), 0x00D | DNR);
	descriptor_put(d, LAST, list + 64, 16);
	descriptor_put(d + 16, BLOCK, t.pages[0], 4096);
	assert_int_equal(sgl_status(&t, SEGMENT, list, 32), 0x00D | DNR);
	descriptor_put(d, BLOCK, t.pages[0], 4096);
	assert_int_equal(sgl_status(&t, SEGMENT, list, 16), 0x00D | DNR);
	/* Too many descriptors. */
	for (unsigned i = 0; i < 1024; i++)
		descriptor_put(d + (size_t)i * 16, BLOCK, t.pages[0], 0);
	assert_int_equal(sgl_status(&t, LAST, list, 16384), 0x00E | DNR);
	assert_int_equal(sgl_status(&t, LAST, list, 0xFFFFFFF0), 0x00E | DNR);
	/* Too many pieces. */
	for (unsigned i = 0; i < 256; i++)
		descriptor_put(d + (size_t)i * 16, BLOCK, t.pages[i % 2], 16);
	assert_int_equal(sgl_status(&t, LAST, list, 4096), 0x00E | DNR);
	assert_int_equal(sgl_status(&t, BLOCK, t.pages[0], 4096), 0);
	harness_close(&t.h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_59_offsets_and_pages),
		cmocka_unit_test(test_60_list_offsets_and_chains),
		cmocka_unit_test(test_61_misaligned),
		cmocka_unit_test(test_62_circular_list),
		cmocka_unit_test(test_63_84_no_memory_there),
		cmocka_unit_test(test_data_across_regions),
		cmocka_unit_test(test_sgl_blocks),
		cmocka_unit_test(test_sgl_bit_bucket),
		cmocka_unit_test(test_sgl_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
