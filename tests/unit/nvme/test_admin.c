/* SPDX-License-Identifier: Apache-2.0 */
/* The admin command set as a whole: what exists, common checks. "Item n" as in test_identify.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "host.h"

#define INVALID_OPCODE 0x4001
#define INVALID_FIELD 0x4002

static int setup(void **state)
{
	static struct host host;

	host_start(&host, NULL);
	host_disk_add(&host, 1, "null:64M");
	host_enable(&host);
	*state = &host;
	return 0;
}

static int teardown(void **state)
{
	host_stop(*state);
	return 0;
}

/* Item 1: the value (MQES of the test's host: 63), and both ways to read it. */
static void capabilities(void **state)
{
	struct host *h = *state;
	const uint64_t cap = host_read64(h, 0);

	assert_int_equal(cap, host_read32(h, 0) | (uint64_t)host_read32(h, 4) << 32);
	assert_int_equal(cap & 0xFFFF, 63);
	assert_int_equal(cap >> 16 & 1, 1);	    /* CQR */
	assert_in_range(cap >> 24 & 0xFF, 1, 0xFF); /* TO */
	assert_int_equal(cap >> 32 & 0xF, 0);	    /* DSTRD */
	assert_int_equal(cap >> 37 & 0xFF, 1);	    /* CSS: NVM only */
	assert_int_equal(cap >> 45 & 1, 0);	    /* BPS */
	assert_int_equal(cap >> 48 & 0xFF, 0);	    /* MPSMIN, MPSMAX: 4 KiB */
	assert_int_equal(cap >> 56, 0);
}

/* Item 64 for admin commands: neither SGL nor fused, and nothing is done then. */
static void no_sgl_no_fuse(void **state)
{
	struct host *h = *state;
	static const uint8_t flags[] = {0x01, 0x02, 0x03, 0x40, 0x80, 0xC0, 0x41};
	static const uint8_t opcodes[] = {0, 1, 2, 4, 5, 6, 8, 9, 0xA, 0xC, 0xD, 0x15, 0x7C, 0x80};

	for (size_t i = 0; i < sizeof(flags); i++)
		for (size_t j = 0; j < sizeof(opcodes); j++)
			assert_int_equal(host_admin(h, &(struct sqe){.opcode = opcodes[j],
								     .flags = flags[i],
								     .nsid = 1,
								     .prp1 = HOST_BUFFER}),
					 INVALID_FIELD);
	assert_int_equal(host_identify(h, 1, 0), 0);
}

/* What is not offered: firmware, self test, directives, security, sanitize, vendor's. */
static void absent(void **state)
{
	struct host *h = *state;
	static const uint8_t opcodes[] = {0x03, 0x07, 0x10, 0x11, 0x14, 0x18, 0x19, 0x1A, 0x1C,
					  0x1D, 0x1E, 0x81, 0x82, 0x84, 0x86, 0xC0, 0xFF};

	for (size_t i = 0; i < sizeof(opcodes); i++)
		assert_int_equal(host_admin(h, &(struct sqe){.opcode = opcodes[i]}),
				 INVALID_OPCODE);
}

/* Item 73: Doorbell Buffer Config wants two pages, aligned, distinct, there. */
static void doorbell_buffer(void **state)
{
	struct host *h = *state;
	struct sqe sqe = {.opcode = 0x7C, .prp1 = HOST_SHADOW, .prp2 = HOST_EVENT};

	assert_int_equal(host_identify(h, 1, 0), 0);
	assert_int_equal(le16_get(host_buffer(h) + 256) & 0x100, 0x100);
	sqe.prp1 = HOST_SHADOW + 8;
	assert_int_not_equal(host_admin(h, &sqe), 0);
	sqe.prp1 = HOST_EVENT;
	assert_int_not_equal(host_admin(h, &sqe), 0);
	sqe.prp1 = 1ULL << 40;
	assert_int_not_equal(host_admin(h, &sqe), 0);
	sqe.prp1 = HOST_SHADOW;
	sqe.prp2 = HOST_EVENT + 4;
	assert_int_not_equal(host_admin(h, &sqe), 0);
	sqe.prp2 = HOST_EVENT;
	assert_int_equal(host_admin(h, &sqe), 0);
	assert_int_equal(host_identify(h, 1, 0), 0);
}

/* H23, H25, H33: many commands with every field at its extremes: an answer each, and all works. */
static void extremes(void **state)
{
	struct host *h = *state;
	static const uint32_t values[] = {0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFF0000};
	static const uint8_t opcodes[] = {2, 6, 8, 9, 0xA, 0xD, 0x15, 0x80};

	for (size_t i = 0; i < sizeof(opcodes); i++) {
		for (unsigned n = 0; n < 216; n++) {
			const struct sqe sqe = {
				.opcode = opcodes[i],
				.nsid = values[n % 6],
				.prp1 = n % 2 ? HOST_BUFFER : UINT64_MAX,
				.prp2 = n % 3 ? HOST_BUFFER + 4096 : UINT64_MAX & ~7ULL,
				.dw10 = values[n / 6 % 6] ^ n,
				.dw11 = values[n / 36],
				.dw12 = values[(n + 1) % 6],
				.dw13 = values[n / 6 % 6],
			};

			(void)host_admin(h, &sqe);
		}
	}
	host_disable(h);
	host_enable(h);
	assert_int_equal(host_identify(h, 1, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(capabilities, setup, teardown),
		cmocka_unit_test_setup_teardown(no_sgl_no_fuse, setup, teardown),
		cmocka_unit_test_setup_teardown(absent, setup, teardown),
		cmocka_unit_test_setup_teardown(doorbell_buffer, setup, teardown),
		cmocka_unit_test_setup_teardown(extremes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
