/* SPDX-License-Identifier: Apache-2.0 */
/* quoind's options: command line, configuration file, and which one wins. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "options.h"

static int arguments(struct options *options, const char *a, const char *b, struct err *err)
{
	char program[] = "quoind";
	char first[64];
	char second[64];
	char *argv[] = {program, first, b ? second : NULL, NULL};

	snprintf(first, sizeof(first), "%s", a);
	if (b)
		snprintf(second, sizeof(second), "%s", b);
	options_init(options);
	return options_parse_arguments(options, b ? 3 : 2, argv, err);
}

static int config(struct options *options, const char *text, struct err *err)
{
	return options_parse_config(options, "q.conf", text, strlen(text), err);
}

static void command_line(void **state)
{
	struct options options;

	assert_int_equal(arguments(&options, "--memory", "96M", NULL), 0);
	assert_int_equal(options.memory_bytes, 96 * MiB);
	assert_int_equal(arguments(&options, "--workers=3", NULL, NULL), 0);
	assert_int_equal(options.workers, 3);
	assert_int_equal(arguments(&options, "--log-level", "debug", NULL), 0);
	assert_int_equal(options.log_level, LOG_LEVEL_DEBUG);
	assert_int_equal(arguments(&options, "--help", NULL, NULL), 0);
	assert_true(options.help);
}

static void command_line_refusals(void **state)
{
	static const struct {
		const char *first, *second;
	} bad[] = {
		{"--memroy", "96M"}, {"--memory", NULL},   {"--memory", "0"},
		{"--memory", "x"},   {"--workers", "0"},   {"--workers", "65"},
		{"--workers", "-1"}, {"--workers", "1x"},  {"--log-level", "loud"},
		{"--socket", ""},    {"--help=yes", NULL}, {"stray", NULL},
		{"--", NULL},	     {"-h", NULL},	   {"", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct options options;
		struct err err = {.code = 0};

		assert_int_equal(arguments(&options, bad[i].first, bad[i].second, &err), -EINVAL);
		assert_true(strlen(err.text) > 0);
		options_fini(&options);
	}
}

static void file(void **state)
{
	struct options options;

	options_init(&options);
	assert_int_equal(config(&options,
				"# a comment\n\n  socket =  /run/a b.sock \r\nworkers=2\n"
				"log-level = error",
				NULL),
			 0);
	assert_string_equal(options.socket, "/run/a b.sock");
	assert_int_equal(options.workers, 2);
	assert_int_equal(options.log_level, LOG_LEVEL_ERROR);
	options_fini(&options);
}

static void file_refusals_name_the_line(void **state)
{
	static const struct {
		const char *text, *where;
	} bad[] = {
		{"workers", "line 1"},
		{"\n\nworkers = 0\n", "line 3"},
		{"workers = 1\nwokers = 1\n", "line 2"},
		{"config = /etc/x\n", "line 1"},
		{"help = yes\n", "line 1"},
		{"= 1\n", "line 1"},
		{"socket =\n", "line 1"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct options options;
		struct err err = {.code = 0};

		options_init(&options);
		assert_int_equal(config(&options, bad[i].text, &err), -EINVAL);
		assert_non_null(strstr(err.text, bad[i].where));
		assert_non_null(strstr(err.text, "q.conf"));
		options_fini(&options);
	}
}

static void command_line_wins(void **state)
{
	struct options options;

	assert_int_equal(arguments(&options, "--workers", "5", NULL), 0);
	assert_int_equal(config(&options, "workers = 2\nmemory = 1G\n", NULL), 0);
	assert_int_equal(options.workers, 5);
	assert_int_equal(options.memory_bytes, GiB);
	options_fini(&options);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(command_line),
		cmocka_unit_test(command_line_refusals),
		cmocka_unit_test(file),
		cmocka_unit_test(file_refusals_name_the_line),
		cmocka_unit_test(command_line_wins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
