/* SPDX-License-Identifier: Apache-2.0 */
/* The log sink: what reaches stderr, read back through a pipe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <quoin/base_log.h>

static char output[4096];

/* Runs `say` with stderr in a pipe; what it wrote is in `output`. */
static void capture(void (*say)(void))
{
	const int saved = dup(STDERR_FILENO);
	int fds[2];
	ssize_t length;

	assert_true(saved >= 0);
	assert_int_equal(pipe(fds), 0);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	say();
	dup2(saved, STDERR_FILENO);
	close(saved);
	length = read(fds[0], output, sizeof(output) - 1);
	assert_true(length >= 0);
	output[length] = '\0';
	close(fds[0]);
}

static void say_all(void)
{
	log_error("e%d", 1);
	log_warning("w%d", 2);
	log_info("i%d", 3);
	log_debug("d%d", 4);
}

static void levels_filter(void **state)
{
	unsetenv("JOURNAL_STREAM");
	capture(say_all);
	assert_string_equal(output, "error: e1\nwarning: w2\ni3\n");
	log_set_level(LOG_LEVEL_DEBUG);
	capture(say_all);
	assert_string_equal(output, "error: e1\nwarning: w2\ni3\ndebug: d4\n");
	log_set_level(LOG_LEVEL_ERROR);
	capture(say_all);
	assert_string_equal(output, "error: e1\n");
	assert_false(log_enabled(LOG_LEVEL_WARNING));
	log_set_level(LOG_LEVEL_INFO);
}

static void journal_gets_priorities(void **state)
{
	setenv("JOURNAL_STREAM", "8:1", 1);
	capture(say_all);
	assert_string_equal(output, "<3>error: e1\n<4>warning: w2\n<6>i3\n");
	unsetenv("JOURNAL_STREAM");
}

static void say_hostile(void)
{
	log_info("name '%s'", "a\nerror: forged\x1b[2J\x7f");
}

/* A name that came from outside cannot begin a line of its own or steer a terminal. */
static void control_characters_are_replaced(void **state)
{
	capture(say_hostile);
	assert_string_equal(output, "name 'a?error: forged?[2J?'\n");
}

static void say_long(void)
{
	char words[3000];

	memset(words, 'w', sizeof(words) - 1);
	words[sizeof(words) - 1] = '\0';
	log_info("%s", words);
}

static void long_lines_are_cut(void **state)
{
	capture(say_long);
	assert_int_equal(strlen(output), 1023);
	assert_string_equal(output + 1020, "ww\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(levels_filter),
		cmocka_unit_test(journal_gets_priorities),
		cmocka_unit_test(control_characters_are_replaced),
		cmocka_unit_test(long_lines_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
