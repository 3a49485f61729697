/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of digests: what is one, and what each that is not is refused for. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <quoin/image_digest.h>

#define A "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF\n"
#define B "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100\n"

static void a_list_is_read(void **state)
{
	static const char text[] = "quoin-digests 1\nsize 1048577\npiece 1048576\n" A B;
	char hex[IMAGE_DIGEST_HEX + 1];
	struct image_digests list;
	struct err err = {.code = 0};

	assert_int_equal(image_digests_parse(text, strlen(text), &list, &err), 0);
	assert_int_equal(list.image_bytes, 1048577);
	assert_int_equal(list.count, 2);
	assert_int_equal(list.digests[0][1], 0x11);
	assert_int_equal(list.digests[0][31], 0xff);
	assert_string_equal(image_digest_format(list.digests[1], hex),
			    "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100");
	image_digests_fini(&list);
}

static void others_are_refused(void **state)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{"", "no list of digests"},
		{"quoin-digests 2\nsize 1\npiece 1048576\n" A, "no list of digests"},
		{"quoin-digests 1\r\nsize 1\npiece 1048576\n" A, "no list of digests"},
		{"quoin-digests 1\nsize 0\npiece 1048576\n", "line 2"},
		{"quoin-digests 1\nsize -1\npiece 1048576\n" A, "line 2"},
		{"quoin-digests 1\nsize 4503599627370497\npiece 1048576\n" A, "line 2"},
		{"quoin-digests 1\nsize 99999999999999999999\npiece 1048576\n" A, "line 2"},
		{"quoin-digests 1\nsize 1\npiece 4096\n" A, "line 3"},
		{"quoin-digests 1\nsize 1\npiece 1048576\n", "1 digests"},
		{"quoin-digests 1\nsize 1\npiece 1048576\n" A B, "1 digests"},
		{"quoin-digests 1\nsize 4503599627370496\npiece 1048576\n" A, "4294967296 digests"},
		{"quoin-digests 1\nsize 1\npiece 1048576\nx0112233445566778899aabbccddeeff"
		 "00112233445566778899aabbccddeeff\n",
		 "line 4"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct image_digests list;
		struct err err = {.code = 0};

		assert_int_equal(image_digests_parse(bad[i].text, strlen(bad[i].text), &list, &err),
				 -EINVAL);
		if (!strstr(err.text, bad[i].why))
			fail_msg("\"%s\" is refused for \"%s\"", bad[i].text, err.text);
	}
}

static void a_digest_is_64_digits(void **state)
{
	static const char good[] = "00112233445566778899aabbccddeeff"
				   "00112233445566778899aabbccddeeff";
	uint8_t digest[IMAGE_DIGEST_BYTES];

	assert_int_equal(image_digest_parse(good, digest), 0);
	assert_int_equal(image_digest_parse(good + 1, digest), -EINVAL);
	assert_int_equal(image_digest_parse("", digest), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_is_read),
		cmocka_unit_test(others_are_refused),
		cmocka_unit_test(a_digest_is_64_digits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
