/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Identify: golden bytes of the controller and namespace pages, NSID rules, lists, descriptors.
 * "Item n" is a row of docs/CONFORMANCE.md.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "host.h"

#define INVALID_FIELD 0x4002
#define INVALID_NAMESPACE 0x400B

static int setup(void **state)
{
	static struct host host;

	host_start(&host, &(struct host_options){.namespaces = 4});
	host_disk_add(&host, 1, "null:64M,block=512");
	host_disk_add(&host, 3, "null:32M,block=4096");
	host_enable(&host);
	*state = &host;
	return 0;
}

static int teardown(void **state)
{
	host_stop(*state);
	return 0;
}

struct golden {
	unsigned offset;
	unsigned size;
	const char *bytes;
};

#define GOLDEN(offset, text)                   \
	{                                      \
		offset, sizeof(text) - 1, text \
	}

/* Every byte of the page is either listed or zero. */
static void check_golden(const uint8_t *page, const struct golden *golden, size_t count)
{
	uint8_t expected[4096] = {0};

	for (size_t i = 0; i < count; i++)
		memcpy(expected + golden[i].offset, golden[i].bytes, golden[i].size);
	for (unsigned i = 0; i < sizeof(expected); i++)
		if (page[i] != expected[i])
			fail_msg("byte %u is %02x, expected %02x", i, page[i], expected[i]);
}

/* Golden; items 3 and 45. */
static void controller_page(void **state)
{
	struct host *h = *state;
	static const struct golden golden[] = {
		GOLDEN(0, "\x51\x4E\x51\x4E"),
		GOLDEN(4, "SN-0123             "),
		GOLDEN(24, "Quoin test disk                         "),
		GOLDEN(64, "1.0     "),
		GOLDEN(72, "\x06"),
		GOLDEN(77, "\x07"),		     /* MDTS: 512 KiB */
		GOLDEN(78, "\x01"),		     /* CNTLID */
		GOLDEN(80, "\x00\x04\x01"),	     /* VER */
		GOLDEN(88, "\x80\x96\x98"),	     /* RTD3E */
		GOLDEN(93, "\x01"),		     /* OAES */
		GOLDEN(111, "\x01"),		     /* CNTRLTYPE */
		GOLDEN(256, "\x0A\x01"),	     /* OACS */
		GOLDEN(258, "\x03\x07\x03\x06\x3F"), /* ACL, AERL, FRMW, LPA, ELPE */
		GOLDEN(266, "\x57\x01\x75\x01"),     /* WCTEMP, CCTEMP */
		GOLDEN(283, "\x06"),		     /* TNVMCAP: 96 MiB */
		GOLDEN(512, "\x66\x44"),	     /* SQES, CQES */
		GOLDEN(516, "\x04"),		     /* NN */
		GOLDEN(520, "\xDD\x01\x01"),	     /* ONCS, FUSES */
		GOLDEN(525, "\x07"),		     /* VWC */
		GOLDEN(534, "\x01"),		     /* OCFS */
		GOLDEN(536, "\x01\x00\x01"),	     /* SGLS */
		GOLDEN(768, "nqn.2014-08.org.nvmexpress:uuid:10111213-1415-1617-1819-1a1b1c1d1e1f"),
		GOLDEN(2048, "\xC4\x09"), /* power state 0 */
	};

	assert_int_equal(host_identify(h, 1, 0), 0);
	check_golden(host_buffer(h), golden, sizeof(golden) / sizeof(golden[0]));
	assert_int_equal(le32_get(host_buffer(h) + 80), host_read32(h, 0x08));
}

/* Item 40: PRP1 at offset 18h, PRP2 for the rest, as OVMF does. */
static void page_at_offset(void **state)
{
	struct host *h = *state;
	uint8_t straight[4096];

	assert_int_equal(host_identify(h, 1, 0), 0);
	memcpy(straight, host_buffer(h), sizeof(straight));
	memset(host_buffer(h), 0xEE, 12288);
	assert_int_equal(host_admin(h, &(struct sqe){.opcode = 6,
						     .prp1 = HOST_BUFFER + 0x18,
						     .prp2 = HOST_BUFFER + 0x1000,
						     .dw10 = 1}),
			 0);
	assert_memory_equal(host_buffer(h) + 0x18, straight, sizeof(straight));
	assert_int_equal(host_buffer(h)[0x17], 0xEE);
	assert_int_equal(host_buffer(h)[0x1018], 0xEE);
}

/* Golden: a 512-byte and a 4 KiB namespace; item 41. */
static void namespace_page(void **state)
{
	struct host *h = *state;
	uint8_t nguid[16];
	uint8_t *page = host_buffer(h);

	host_nguid(1, nguid);
	assert_int_equal(host_identify(h, 0, 1), 0);
	for (unsigned offset = 0; offset <= 16; offset += 8)
		assert_int_equal(le64_get(page + offset), 64 * MiB / 512);
	assert_int_equal(page[24], 0x10);
	assert_int_equal(page[25], 0);
	assert_int_equal(page[26], 0);
	assert_int_equal(page[32], 0x80);
	assert_int_equal(page[33], 0); /* a null disk keeps nothing: no promise */
	assert_int_equal(le64_get(page + 48), 64 * MiB);
	assert_int_equal(le16_get(page + 64), 7); /* NPWG: 4 KiB */
	assert_int_equal(le16_get(page + 66), 7);
	assert_int_equal(le16_get(page + 72), 7);
	assert_int_equal(le16_get(page + 74), 65535);
	assert_int_equal(le32_get(page + 76), 65536);
	assert_int_equal(page[80], 127);
	assert_int_equal(page[99], 0);
	assert_memory_equal(page + 104, nguid, 16);
	assert_int_equal(le32_get(page + 128), 0x02090000);
	assert_int_equal(le32_get(page + 132), 0);

	assert_int_equal(host_identify(h, 0, 3), 0);
	assert_int_equal(le64_get(page), 32 * MiB / 4096);
	assert_int_equal(le32_get(page + 128), 0x000C0000);
	assert_int_equal(le16_get(page + 64), 0);
}

/* Item 41: which NSIDs exist, which are inactive, which are wrong. */
static void namespace_ids(void **state)
{
	struct host *h = *state;
	static const uint8_t zeroes[4096];

	assert_int_equal(host_identify(h, 0, 0), INVALID_NAMESPACE);
	assert_int_equal(host_identify(h, 0, 5), INVALID_NAMESPACE);
	assert_int_equal(host_identify(h, 0, 0xFFFFFFFE), INVALID_NAMESPACE);
	assert_int_equal(host_identify(h, 0, 2), 0);
	assert_memory_equal(host_buffer(h), zeroes, 4096);
	/* With namespace management: what all have in common. */
	assert_int_equal(host_identify(h, 0, 0xFFFFFFFF), 0);
	assert_int_equal(le64_get(host_buffer(h)), 0);
	assert_int_equal(host_buffer(h)[25], 1);
}

/* Item 42; also item 94: NN = 4 with holes. */
static void active_list(void **state)
{
	struct host *h = *state;
	uint8_t *page = host_buffer(h);

	assert_int_equal(host_identify(h, 2, 0), 0);
	assert_int_equal(le32_get(page), 1);
	assert_int_equal(le32_get(page + 4), 3);
	assert_int_equal(le32_get(page + 8), 0);
	assert_int_equal(host_identify(h, 2, 1), 0);
	assert_int_equal(le32_get(page), 3);
	assert_int_equal(le32_get(page + 4), 0);
	assert_int_equal(host_identify(h, 2, 64), 0);
	assert_int_equal(le32_get(page), 0);
	assert_int_equal(host_identify(h, 2, 0xFFFFFFFE), INVALID_NAMESPACE);
	assert_int_equal(host_identify(h, 2, 0xFFFFFFFF), INVALID_NAMESPACE);
}

/* Item 43: the ids of CNS 03h are those of CNS 00h and not zero. */
static void descriptors(void **state)
{
	struct host *h = *state;
	uint8_t nguid[16];
	uint8_t *page = host_buffer(h);

	host_nguid(3, nguid);
	assert_int_equal(host_identify(h, 3, 3), 0);
	assert_int_equal(page[0], 2);
	assert_int_equal(page[1], 16);
	assert_memory_equal(page + 4, nguid, 16);
	assert_int_equal(page[20], 3);
	assert_int_equal(page[21], 16);
	assert_int_equal(page[24], 3);
	assert_int_equal(page[40], 4);
	assert_int_equal(page[41], 1);
	assert_int_equal(page[44], 0);
	assert_int_equal(page[45], 0);
	assert_int_equal(host_identify(h, 3, 2), INVALID_FIELD);
	assert_int_equal(host_identify(h, 3, 0), INVALID_NAMESPACE);
	assert_int_equal(host_identify(h, 3, 5), INVALID_NAMESPACE);
}

/* Item 44. */
static void command_sets(void **state)
{
	struct host *h = *state;
	static const uint8_t zeroes[4096];
	static const uint8_t refused[] = {0x04, 0x07, 0x08, 0x09, 0x14, 0x1C, 0xC1, 0xFF};

	assert_int_equal(host_identify(h, 6, 0), 0);
	assert_memory_equal(host_buffer(h), zeroes, 4096);
	assert_int_equal(host_identify(h, 5, 1), 0);
	assert_memory_equal(host_buffer(h), zeroes, 4096);
	assert_int_equal(host_admin(h, &(struct sqe){.opcode = 6,
						     .prp1 = HOST_BUFFER,
						     .dw10 = 6,
						     .dw11 = 0x02000000}),
			 INVALID_FIELD);
	for (size_t i = 0; i < sizeof(refused); i++)
		assert_int_equal(host_identify(h, refused[i], 1), INVALID_FIELD);
}

/* Lists of namespace management: 10h, 11h, 12h, 13h. */
static void management_lists(void **state)
{
	struct host *h = *state;
	uint8_t *page = host_buffer(h);

	assert_int_equal(host_identify(h, 0x10, 0), 0);
	assert_int_equal(le32_get(page), 1);
	assert_int_equal(le32_get(page + 4), 3);
	assert_int_equal(host_identify(h, 0x11, 3), 0);
	assert_int_equal(le64_get(page), 32 * MiB / 4096);
	assert_int_equal(host_identify(h, 0x12, 1), 0);
	assert_int_equal(le32_get(page), 0x00010001);
	assert_int_equal(host_identify(h, 0x12 | 2 << 16, 1), 0);
	assert_int_equal(le32_get(page), 0);
	assert_int_equal(host_identify(h, 0x12, 2), 0);
	assert_int_equal(le32_get(page), 0);
	assert_int_equal(host_identify(h, 0x13, 0), 0);
	assert_int_equal(le32_get(page), 0x00010001);
	assert_int_equal(host_identify(h, 0x13 | 2 << 16, 0), 0);
	assert_int_equal(le32_get(page), 0);
}

/* H1, H2: a buffer that is not there, or not aligned. */
static void bad_buffers(void **state)
{
	struct host *h = *state;

	assert_int_equal(host_admin(h, &(struct sqe){.opcode = 6, .prp1 = 1ULL << 40, .dw10 = 1}),
			 0x4004);
	assert_int_equal(host_admin(h, &(struct sqe){.opcode = 6,
						     .prp1 = HOST_BUFFER + 2,
						     .prp2 = HOST_BUFFER + 4096,
						     .dw10 = 1}),
			 0x4013);
	assert_int_equal(host_admin(h, &(struct sqe){.opcode = 6,
						     .prp1 = HOST_BUFFER + 8,
						     .prp2 = HOST_BUFFER + 4104,
						     .dw10 = 1}),
			 0x4013);
	/* H26: the last page of the region, crossing its end. */
	assert_int_equal(host_admin(h, &(struct sqe){.opcode = 6,
						     .prp1 = HOST_RAM_SIZE - 64,
						     .prp2 = HOST_RAM_SIZE,
						     .dw10 = 1}),
			 0x4004);
	assert_int_equal(host_identify(h, 1, 0), 0);
}

/* Item 71, the Identify part: a read-only disk is marked so. */
static void read_only(void **state)
{
	struct host *h = *state;

	host_file_add(h, 2, 16 * MiB, ",ro");
	assert_int_equal(host_identify(h, 0, 2), 0);
	assert_int_equal(host_buffer(h)[99], 1);
}

/* DLFEAT of a disk whose deallocated blocks read as zero. */
static void deallocation(void **state)
{
	struct host *h = *state;

	host_file_add(h, 2, 16 * MiB, ",block=512");
	assert_int_equal(host_identify(h, 0, 2), 0);
	assert_int_equal(host_buffer(h)[33], 0x09);
	assert_true(le16_get(host_buffer(h) + 68) >= 7);
	assert_int_equal(le16_get(host_buffer(h) + 64), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(controller_page, setup, teardown),
		cmocka_unit_test_setup_teardown(page_at_offset, setup, teardown),
		cmocka_unit_test_setup_teardown(namespace_page, setup, teardown),
		cmocka_unit_test_setup_teardown(namespace_ids, setup, teardown),
		cmocka_unit_test_setup_teardown(active_list, setup, teardown),
		cmocka_unit_test_setup_teardown(descriptors, setup, teardown),
		cmocka_unit_test_setup_teardown(command_sets, setup, teardown),
		cmocka_unit_test_setup_teardown(management_lists, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_buffers, setup, teardown),
		cmocka_unit_test_setup_teardown(read_only, setup, teardown),
		cmocka_unit_test_setup_teardown(deallocation, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
