/* SPDX-License-Identifier: Apache-2.0 */
/* Log pages. "Item n" as in test_identify.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <quoin/block_fault.h>

#include "host.h"

#define INVALID_FIELD 0x4002
#define INVALID_LOG_PAGE 0x4109

static int setup(void **state)
{
	static struct host host;

	host_start(&host, NULL);
	host_disk_add(&host, 1, "error:off:null:64M,block=512");
	host_enable(&host);
	*state = &host;
	return 0;
}

static int teardown(void **state)
{
	host_stop(*state);
	return 0;
}

static uint16_t get_log(struct host *h, uint32_t dw10, uint32_t dw11, uint64_t offset)
{
	return host_admin(h, &(struct sqe){.opcode = 0x02,
					   .nsid = 0xFFFFFFFF,
					   .prp1 = HOST_BUFFER,
					   .prp2 = HOST_BUFFER + 0x1000,
					   .dw10 = dw10,
					   .dw11 = dw11,
					   .dw12 = (uint32_t)offset,
					   .dw13 = (uint32_t)(offset >> 32)});
}

/* Items 49 and 51: sizes of all pages, lengths beyond them, offsets; H25. */
static void lengths(void **state)
{
	struct host *h = *state;
	static const unsigned sizes[] = {1024, 4096, 512, 512, 4096, 4096};

	for (uint32_t lid = 0; lid < 6; lid++) {
		assert_int_equal(host_log(h, (uint8_t)lid, 4, true), 0);
		assert_int_equal(host_log(h, (uint8_t)lid, 512, true), 0);
		assert_int_equal(host_log(h, (uint8_t)lid, 4096, true), 0);
		for (unsigned i = sizes[lid]; i < 4096; i++)
			assert_int_equal(host_buffer(h)[i], 0);
		assert_int_equal(get_log(h, lid, 0, sizes[lid] - 4), 0);
		assert_int_equal(get_log(h, lid, 0, sizes[lid]), INVALID_FIELD);
		assert_int_equal(get_log(h, lid, 0, 2), INVALID_FIELD);
		assert_int_equal(get_log(h, lid, 0, UINT64_MAX - 3), INVALID_FIELD);
		assert_int_equal(get_log(h, lid, 0, 1ULL << 32), INVALID_FIELD);
		assert_int_equal(get_log(h, lid | 0xFFFF0000, 0xFFFF, 0), INVALID_FIELD);
		assert_int_equal(get_log(h, lid, 2, 0), INVALID_FIELD); /* 512 KiB + 4 */
	}
	assert_int_equal(host_log(h, 0x06, 512, true), INVALID_LOG_PAGE);
	assert_int_equal(host_log(h, 0xC1, 512, true), INVALID_LOG_PAGE);
}

/* H25: what is asked for beyond the end of a page is zeroes, never the memory behind it. */
static void zeroes_behind_the_end(void **state)
{
	struct host *h = *state;
	struct sqe get = {
		.opcode = 2, .nsid = 0xFFFFFFFF, .prp1 = HOST_BUFFER, .prp2 = HOST_BUFFER + 4096};

	for (uint32_t lid = 0; lid < 6; lid++) {
		memset(host_buffer(h), 0xEE, 8192);
		get.dw10 = 2047U << 16 | 1U << 15 | lid; /* 8 KiB, keep the event */
		get.dw12 = 508;
		assert_int_equal(host_admin(h, &get), 0);
		for (unsigned i = 4096 - 508; i < 8192; i++)
			assert_int_equal(host_buffer(h)[i], 0);
	}
}

/* A length that is no multiple of a page, with an offset: exactly those bytes are written. */
static void exact_bytes(void **state)
{
	struct host *h = *state;
	uint8_t whole[512];

	assert_int_equal(host_log(h, 3, 512, true), 0);
	memcpy(whole, host_buffer(h), sizeof(whole));
	memset(host_buffer(h), 0xEE, 64);
	assert_int_equal(get_log(h, 1U << 16 | 3, 0, 8), 0);
	assert_memory_equal(host_buffer(h), whole + 8, 8);
	assert_int_equal(host_buffer(h)[8], 0xEE);
	assert_int_equal(whole[0], 1);
	assert_memory_equal(whole + 8, "1.0     ", 8);
}

/* Errors: newest first, a ring of 64, numbers that go on; aborts are none. */
static void errors(void **state)
{
	struct host *h = *state;
	uint8_t *page = host_buffer(h);
	uint16_t cid;

	assert_int_equal(host_log(h, 1, 4096, false), 0);
	assert_int_equal(le64_get(page), 0);
	assert_int_equal(host_identify(h, 0xEE, 7), INVALID_FIELD);
	cid = (uint16_t)(h->next_cid - 1);
	assert_int_equal(host_log(h, 1, 4096, false), 0);
	assert_int_equal(le64_get(page), 1);
	assert_int_equal(le16_get(page + 8), 0);
	assert_int_equal(le16_get(page + 10), cid);
	assert_int_equal(le16_get(page + 12), INVALID_FIELD << 1);
	assert_int_equal(le16_get(page + 14), 0xFFFF);
	assert_int_equal(le32_get(page + 24), 7);
	assert_int_equal(le64_get(page + 64), 0);
	for (unsigned i = 0; i < 70; i++)
		assert_int_equal(host_identify(h, 0xEE, i), INVALID_FIELD);
	assert_int_equal(host_log(h, 1, 4096, false), 0);
	for (unsigned i = 0; i < 64; i++) {
		assert_int_equal(le64_get(page + i * 64), 71 - i);
		assert_int_equal(le32_get(page + i * 64 + 24), 69 - i);
	}
	assert_int_equal(host_log(h, 2, 512, false), 0);
	assert_int_equal(le64_get(page + 176), 71);
	host_disable(h);
	host_enable(h);
	assert_int_equal(host_log(h, 1, 64, false), 0);
	assert_int_equal(le64_get(page), 71);
}

static void io(struct host *h, uint8_t opcode, uint64_t lba, uint32_t blocks, uint16_t expected)
{
	const struct cqe cqe = host_execute(h, 1,
					    &(struct sqe){.opcode = opcode,
							  .nsid = 1,
							  .prp1 = HOST_BUFFER + 0x8000,
							  .dw10 = (uint32_t)lba,
							  .dw11 = (uint32_t)(lba >> 32),
							  .dw12 = blocks - 1});

	assert_int_equal(cqe.status & 0x7FF, expected);
}

/* Item 52: plausible, growing, surviving resets; media errors with their LBA. */
static void smart(void **state)
{
	struct host *h = *state;
	const struct block_error_rule fail = {
		.match = {.ops = 1U << BLOCK_READ}, .result = -EIO, .every = 1, .count = 1};
	uint8_t *page = host_buffer(h);

	host_create_queues(h, 1, 8);
	assert_int_equal(host_log(h, 2, 512, false), 0);
	assert_int_equal(page[0], 0);
	assert_int_equal(le16_get(page + 1), 303);
	assert_int_equal(page[3], 100);
	assert_int_equal(page[4], 10);
	assert_int_equal(page[5], 0);
	assert_int_equal(le64_get(page + 112), 1);
	assert_int_equal(le64_get(page + 64), 0);
	for (unsigned i = 0; i < 3; i++)
		io(h, 0x02, i, 8, 0);
	io(h, 0x01, 5, 8, 0);
	assert_int_equal(block_error_set(h->disks[1].device, &fail), 0);
	io(h, 0x02, 0x123, 1, 0x281);
	assert_int_equal(host_log(h, 2, 512, false), 0);
	assert_int_equal(le64_get(page + 32), 1); /* units of 512,000 bytes, rounded up */
	assert_int_equal(le64_get(page + 48), 1);
	assert_true(le64_get(page + 64) >= 3);
	assert_int_equal(le64_get(page + 80), 1);
	assert_int_equal(le64_get(page + 160), 1);
	assert_int_equal(host_log(h, 1, 64, false), 0);
	assert_int_equal(le64_get(page + 16), 0x123);
	assert_int_equal(le16_get(page + 8), 1);
	host_reset(h, NVME_RESET_FUNCTION);
	host_config_write(h, 0x04, 2, 6);
	host_enable(h);
	assert_int_equal(host_log(h, 2, 512, false), 0);
	assert_true(le64_get(page + 64) >= 3);
	assert_int_equal(le64_get(page + 112), 1);
	/* The client vanishes without a shutdown: power went away. */
	host_reset(h, NVME_RESET_DISCONNECT);
	host_config_write(h, 0x04, 2, 6);
	host_enable(h);
	assert_int_equal(host_log(h, 2, 512, false), 0);
	assert_int_equal(le64_get(page + 112), 2);
	assert_int_equal(le64_get(page + 144), 1);
}

static void smart_namespace(void **state)
{
	struct host *h = *state;
	struct sqe sqe = {.opcode = 2, .prp1 = HOST_BUFFER, .dw10 = 127U << 16 | 2};

	assert_int_equal(host_admin(h, &sqe), 0);
	sqe.nsid = 1;
	assert_int_equal(host_admin(h, &sqe), INVALID_FIELD);
	sqe.nsid = 77;
	assert_int_equal(host_admin(h, &sqe), INVALID_FIELD);
}

/* The effects log says yes exactly where commands do not end with Invalid Opcode. */
static void effects(void **state)
{
	struct host *h = *state;
	uint8_t log[4096];

	assert_int_equal(host_log(h, 5, 4096, false), 0);
	memcpy(log, host_buffer(h), sizeof(log));
	for (unsigned opcode = 0; opcode < 256; opcode++) {
		const bool listed = le32_get(log + 4 * opcode) & 1;
		/* PSDT is refused after the opcode was known. */
		const uint16_t status =
			host_admin(h, &(struct sqe){.opcode = (uint8_t)opcode, .flags = 0x40});

		assert_int_equal(status, listed ? INVALID_FIELD : 0x4001);
	}
	assert_int_equal(le32_get(log + 4 * 0x80), 0x10007);
	assert_int_equal(le32_get(log + 4 * 0x15), 9);
	assert_int_equal(le32_get(log + 1024 + 4 * 1), 3);
	assert_int_equal(le32_get(log + 1024 + 4 * 2), 1);
	assert_int_equal(le32_get(log + 1024 + 4 * 4), 0);
}

/* Item 73: with mapped doorbells there is no Doorbell Buffer Config. */
static void effects_mapped(void **state)
{
	struct host h;

	host_start(&h, &(struct host_options){.mapped = true});
	host_enable(&h);
	assert_int_equal(host_log(&h, 5, 4096, false), 0);
	assert_int_equal(le32_get(host_buffer(&h) + 4 * 0x7C), 0);
	assert_int_equal(host_admin(&h, &(struct sqe){.opcode = 0x7C,
						      .prp1 = HOST_SCRATCH,
						      .prp2 = HOST_SCRATCH + 4096}),
			 0x4001);
	assert_int_equal(host_identify(&h, 1, 0), 0);
	assert_int_equal(le16_get(host_buffer(&h) + 256), 0x000A);
	host_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lengths, setup, teardown),
		cmocka_unit_test_setup_teardown(zeroes_behind_the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(exact_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(errors, setup, teardown),
		cmocka_unit_test_setup_teardown(smart, setup, teardown),
		cmocka_unit_test_setup_teardown(smart_namespace, setup, teardown),
		cmocka_unit_test_setup_teardown(effects, setup, teardown),
		cmocka_unit_test(effects_mapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
