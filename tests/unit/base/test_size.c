/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes and times as text. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <quoin/base_size.h>

static void parse_accepts(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} cases[] = {
		{"0", 0},
		{"4096", 4096},
		{"64K", 65536},
		{"64k", 65536},
		{"64KiB", 65536},
		{"64 kb", 65536},
		{"1.5G", 3 * GiB / 2},
		{"2TiB", 2 * TiB},
		{"18446744073709551615", UINT64_MAX},
		{"15E", UINT64_C(15) << 60},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t bytes = 1;

		assert_int_equal(size_parse(cases[i].text, &bytes), 0);
		assert_int_equal(bytes, cases[i].bytes);
	}
}

static void parse_refuses(void **state)
{
	static const struct {
		const char *text;
		int code;
	} cases[] = {
		{"", -EINVAL},
		{"x", -EINVAL},
		{"-1", -EINVAL},
		{"1.5", -EINVAL},
		{"1X", -EINVAL},
		{"1Kx", -EINVAL},
		{"16E", -ERANGE},
		{"1.K", -EINVAL},
		{"18446744073709551616", -ERANGE},
		{"1 2", -EINVAL},
		{"17179869184G", -ERANGE},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t bytes = 77;

		assert_int_equal(size_parse(cases[i].text, &bytes), cases[i].code);
		assert_int_equal(bytes, 77);
	}
}

static void formats(void **state)
{
	char text[SIZE_TEXT_MAX];

	assert_string_equal(size_format(0, text), "0 B");
	assert_string_equal(size_format(1023, text), "1023 B");
	assert_string_equal(size_format(4096, text), "4.0 KiB");
	assert_string_equal(size_format(3 * GiB / 2, text), "1.5 GiB");
	assert_string_equal(size_format(UINT64_MAX, text), "16.0 EiB");
	assert_string_equal(duration_format(850, text), "850 ns");
	assert_string_equal(duration_format(12300, text), "12.3 us");
	assert_string_equal(duration_format(4100000, text), "4.1 ms");
	assert_string_equal(duration_format(2 * NS_PER_S, text), "2.0 s");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse_accepts),
		cmocka_unit_test(parse_refuses),
		cmocka_unit_test(formats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
