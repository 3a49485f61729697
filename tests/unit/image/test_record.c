/* SPDX-License-Identifier: Apache-2.0 */
/* The record of an image that arrives: its bytes, and what is no record. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <quoin/base_endian.h>
#include <quoin/codec.h>

#include "record.h"

static const struct record sample = {
	.flags = RECORD_FIRST | RECORD_SHA256,
	.volume_guid = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
	.image_bytes = 5 * MiB + 1,
	.original_bytes = 0x0102030405,
	.rate_bytes = 8000000,
	.sha256 = {0xaa, 0xbb},
	.hashed_bytes = 2 * MiB,
	.hash_state = {1, 2, 3, 4, 5, 6, 7, 8},
	.format = "qcow2",
	.identity = "file 1",
	.problem = "it rained",
	.source = "/images/debian.qcow2",
};

static void bytes(void **state)
{
	uint8_t page[RECORD_PAGE_BYTES];
	struct record back;

	record_encode(&sample, page);
	assert_memory_equal(page, "QUOINAR1", 8);
	assert_int_equal(le32_get(page + 24), 1);
	assert_int_equal(le32_get(page + 28), 3);
	assert_memory_equal(page + 32, sample.volume_guid, 16);
	assert_int_equal(le64_get(page + 48), 5 * MiB + 1);
	assert_int_equal(le64_get(page + 56), 0x0102030405);
	assert_int_equal(le64_get(page + 64), 8000000);
	assert_int_equal(le64_get(page + 72), 1048576);
	assert_int_equal(le64_get(page + 80), 2 * MiB);
	assert_int_equal(le32_get(page + 116), 8);
	assert_int_equal(page[121], 0xbb);
	assert_string_equal((char *)page + 152, "qcow2");
	assert_string_equal((char *)page + 168, "file 1");
	assert_string_equal((char *)page + 424, "it rained");
	assert_string_equal((char *)page + 680, "/images/debian.qcow2");
	assert_int_equal(record_decode(page, &back), 0);
	assert_memory_equal(&back, &sample, sizeof(back));
}

static void sizes(void **state)
{
	assert_int_equal(record_bytes(1, false), 2 * 4096);
	assert_int_equal(record_bytes(32768 * MiB, false), 2 * 4096);
	assert_int_equal(record_bytes(32768 * MiB + 1, false), 3 * 4096);
	assert_int_equal(record_bytes(128 * MiB, true), 3 * 4096);
	assert_int_equal(record_bytes(128 * MiB + 1, true), 4 * 4096);
}

static void seal(uint8_t *page)
{
	codec_check128(page + 24, RECORD_PAGE_BYTES - 24, UINT64_C(0x51554f494e415231), page + 8);
}

static void others(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
		bool sealed;
		int result;
	} bad[] = {
		{0, 'X', true, -ENOENT},  {100, 9, false, -EUCLEAN}, {24, 2, true, -ENOTSUP},
		{28, 32, true, -EUCLEAN}, {80, 1, true, -EUCLEAN},   {680, 0, true, -EUCLEAN},
		{74, 2, true, -ENOTSUP},  {55, 1, true, -EUCLEAN},
	};
	struct record record;
	uint8_t page[RECORD_PAGE_BYTES];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		record_encode(&sample, page);
		page[bad[i].at] = bad[i].value;
		if (bad[i].sealed)
			seal(page);
		assert_int_equal(record_decode(page, &record), bad[i].result);
	}
	record_encode(&sample, page);
	memset(page + 168, 'x', 256);
	seal(page);
	assert_int_equal(record_decode(page, &record), -EUCLEAN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes),
		cmocka_unit_test(sizes),
		cmocka_unit_test(others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
