/* SPDX-License-Identifier: Apache-2.0 */
/* Who may ask what: tokens, hosts, origins. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include <quoin/api_guard.h>

#define TOKEN "0123456789abcdef0123456789abcdef"

static int judge(struct api_guard guard)
{
	struct err err = {.code = 0};
	int r = api_guard_judge(&guard, &err);

	assert_int_equal(r, err.code);
	assert_int_equal(r < 0, err.text[0] != '\0');
	return r;
}

static void tokens(void **state)
{
	static const char *const wrong[] = {
		NULL,
		"",
		"Bearer",
		"Bearer ",
		TOKEN,
		"Bearer " TOKEN "0",
		"Bearer 0123456789abcdef0123456789abcde",
		"Bearer 0123456789abcdef0123456789abcdeg",
		"Bearer 1123456789abcdef0123456789abcdef",
		"Basic " TOKEN,
		"Bearer  " TOKEN,
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(judge((struct api_guard){
					 .token = TOKEN, .reads = true, .authorization = wrong[i]}),
				 -EKEYREJECTED);
	assert_int_equal(judge((struct api_guard){.token = TOKEN,
						  .reads = true,
						  .host = "far.example",
						  .authorization = "bEARER " TOKEN}),
			 0);
	assert_int_equal(
		judge((struct api_guard){.token = TOKEN, .authorization = "Bearer " TOKEN}),
		-EACCES);
}

static void hosts(void **state)
{
	static const struct {
		const char *host;
		int result;
	} all[] = {
		{NULL, 0},
		{"localhost", 0},
		{"localhost:8006", 0},
		{"unix", 0},
		{"127.0.0.1", 0},
		{"127.9.9.9:1", 0},
		{"[::1]", 0},
		{"[::1]:80", 0},
		{"a.example", -EACCES},
		{"a.example:80", -EACCES},
		{"127.0.0.1.example", -EACCES},
		{"127.a", -EACCES},
		{"[::1].example", -EACCES},
		{"[::2]", -EACCES},
		{"[", -EACCES},
		{"x:80.example", -EACCES},
		{"10.0.0.1", -EACCES},
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		assert_int_equal(judge((struct api_guard){.reads = true, .host = all[i].host}),
				 all[i].result);
		assert_int_equal(judge((struct api_guard){.host = all[i].host}), all[i].result);
	}
}

static void origins(void **state)
{
	assert_int_equal(judge((struct api_guard){.origin = "http://localhost"}), -EACCES);
	assert_int_equal(judge((struct api_guard){.origin = "null"}), -EACCES);
	assert_int_equal(judge((struct api_guard){.reads = true, .origin = "null"}), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tokens),
		cmocka_unit_test(hosts),
		cmocka_unit_test(origins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
