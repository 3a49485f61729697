/* SPDX-License-Identifier: Apache-2.0 */
/* Little-endian fields at any alignment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <quoin/base_endian.h>

static const unsigned char bytes[] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};

static void low_byte_first(void **state)
{
	assert_int_equal(le16_get(bytes), 0x2301);
	assert_int_equal(le32_get(bytes), 0x67452301);
	assert_int_equal(le64_get(bytes), UINT64_C(0xefcdab8967452301));
}

static void any_alignment_and_nothing_beside(void **state)
{
	for (size_t at = 1; at < 9; at++) {
		unsigned char buffer[20] = {0};

		le64_put(buffer + at, UINT64_C(0xefcdab8967452301));
		assert_memory_equal(buffer + at, bytes, 8);
		assert_int_equal(buffer[at - 1], 0);
		assert_int_equal(buffer[at + 8], 0);
		assert_int_equal(le64_get(buffer + at), UINT64_C(0xefcdab8967452301));
		le32_put(buffer + at, 0);
		assert_int_equal(le64_get(buffer + at), UINT64_C(0xefcdab8900000000));
		le16_put(buffer + at + 4, 0);
		assert_int_equal(le64_get(buffer + at), UINT64_C(0xefcd000000000000));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(low_byte_first),
		cmocka_unit_test(any_alignment_and_nothing_beside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
