/* SPDX-License-Identifier: Apache-2.0 */
/* Errors with a sentence. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <quoin/base_err.h>

static void set_keeps_code_and_words(void **state)
{
	struct err err = {0};

	assert_int_equal(err_set(&err, -ENOENT, "no file '%s'", "x"), -ENOENT);
	assert_int_equal(err.code, -ENOENT);
	assert_string_equal(err.text, "no file 'x'");
	/* Who wants no words still gets the code. */
	assert_int_equal(err_set(NULL, -EIO, "lost"), -EIO);
}

static void prefix_goes_before(void **state)
{
	struct err err = {0};

	err_set(&err, -EIO, "read failed");
	assert_int_equal(err_prefix(&err, "drive %d", 3), -EIO);
	assert_string_equal(err.text, "drive 3: read failed");
	assert_int_equal(err_prefix(NULL, "nothing"), 0);
}

static void long_words_are_cut(void **state)
{
	char words[2 * ERR_TEXT_MAX];
	struct err err = {0};

	memset(words, 'w', sizeof(words) - 1);
	words[sizeof(words) - 1] = '\0';
	err_set(&err, -EIO, "%s", words);
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
	err_prefix(&err, "before");
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
	assert_memory_equal(err.text, "before: www", 11);
	err_prefix(&err, "%s", words);
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_keeps_code_and_words),
		cmocka_unit_test(prefix_goes_before),
		cmocka_unit_test(long_words_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
