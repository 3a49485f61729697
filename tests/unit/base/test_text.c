/* SPDX-License-Identifier: Apache-2.0 */
/* Growing text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <quoin/base_text.h>

static void grows(void **state)
{
	struct text t;

	text_init(&t);
	for (unsigned i = 0; i < 1000; i++) {
		text_printf(&t, "%03u,", i);
		assert_int_equal(t.length, 4 * (i + 1));
		assert_int_equal(strlen(t.data), t.length);
	}
	assert_memory_equal(t.data, "000,001,002,", 12);
	assert_string_equal(t.data + t.length - 4, "999,");
	text_append(&t, "a\0b", 3);
	assert_int_equal(t.length, 4003);
	assert_memory_equal(t.data + 4000, "a\0b", 4);
	text_fini(&t);
	assert_null(t.data);
	text_fini(&t);
}

/* Pieces of every length, so that each place of the end is met by the printing in place. */
static void prints_of_any_length(void **state)
{
	char dots[301];
	struct text t;
	size_t length = 0;

	memset(dots, '.', sizeof(dots));
	text_init(&t);
	for (int i = 0; i <= 300; i++) {
		text_printf(&t, "%.*s|", i, dots);
		length += (size_t)i + 1;
		assert_int_equal(t.length, length);
		assert_int_equal(strlen(t.data), length);
		assert_int_equal(t.data[length - 1], '|');
	}
	text_fini(&t);
}

static void words_and_numbers(void **state)
{
	struct text t;

	text_init(&t);
	text_word(&t, "");
	text_number(&t, 0);
	text_word(&t, " to ");
	text_number(&t, 90);
	text_word(&t, " or ");
	text_number(&t, UINT64_MAX);
	assert_string_equal(t.data, "0 to 90 or 18446744073709551615");
	text_fini(&t);
}

/* What there is stays, little or of several large pages; what fits moves nothing. */
static void reserves(void **state)
{
	const size_t large = 3 << 20;
	const char *data;
	struct text t;

	text_init(&t);
	text_reserve(&t, 100);
	data = t.data;
	assert_true(t.capacity > 100);
	text_word(&t, "first");
	text_reserve(&t, 0);
	assert_ptr_equal(t.data, data);
	text_reserve(&t, large);
	assert_string_equal(t.data, "first");
	data = t.data;
	text_reserve(&t, large);
	for (size_t i = 0; i < large / 8; i++)
		text_append(&t, "8 bytes,", 8);
	assert_ptr_equal(t.data, data);
	assert_int_equal(t.length, 5 + large);
	assert_memory_equal(t.data, "first8 bytes,8 b", 16);
	assert_string_equal(t.data + t.length - 9, ",8 bytes,");
	text_reserve(&t, large);
	assert_memory_equal(t.data, "first8 bytes,8 b", 16);
	assert_string_equal(t.data + t.length - 9, ",8 bytes,");
	text_fini(&t);
}

static void detach_gives_away(void **state)
{
	struct text t;
	char *data;

	text_init(&t);
	data = text_detach(&t);
	assert_string_equal(data, "");
	free(data);
	text_append(&t, "xyz", 2);
	data = text_detach(&t);
	assert_string_equal(data, "xy");
	free(data);
	assert_null(t.data);
	assert_int_equal(t.length, 0);
	text_append(&t, "", 0);
	assert_string_equal(t.data, "");
	text_fini(&t);
}

static void allocators(void **state)
{
	char *s = xasprintf("%s-%d", "a", 5);
	char *copy = xstrdup(s);
	unsigned char *zeroed = xcalloc(3, 5);
	void *nothing = xmalloc(0);

	assert_string_equal(copy, "a-5");
	assert_ptr_not_equal(copy, s);
	for (unsigned i = 0; i < 15; i++)
		assert_int_equal(zeroed[i], 0);
	assert_non_null(nothing);
	free(nothing);
	free(zeroed);
	free(copy);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows),
		cmocka_unit_test(prints_of_any_length),
		cmocka_unit_test(words_and_numbers),
		cmocka_unit_test(reserves),
		cmocka_unit_test(detach_gives_away),
		cmocka_unit_test(allocators),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
