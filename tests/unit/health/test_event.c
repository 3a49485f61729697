/* SPDX-License-Identifier: Apache-2.0 */
/* The table of types, texts of any bytes, and lines of the file. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <quoin/health_event.h>

static void every_type_has_words(void **state)
{
	for (unsigned i = 0; i < HEALTH_EVENT_TYPES; i++) {
		const char *word = health_event_word((enum health_event_type)i);

		assert_non_null(word);
		assert_non_null(strchr(word, '.'));
		/* Who is told of something bad is told what to do. */
		if (health_event_severity((enum health_event_type)i) > HEALTH_NOTICE)
			assert_true(strlen(health_event_advice((enum health_event_type)i)) > 10);
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(word, health_event_word((enum health_event_type)j));
	}
}

static void severities(void **state)
{
	enum health_severity severity = HEALTH_ERROR;

	assert_int_equal(health_severity_parse("notice", &severity), 0);
	assert_int_equal(severity, HEALTH_NOTICE);
	assert_int_equal(health_severity_parse("worse", &severity), -EINVAL);
	assert_int_equal(severity, HEALTH_NOTICE);
	assert_string_equal(health_severity_word(HEALTH_WARNING), "warning");
}

static void check_copy(size_t size, const char *from, const char *expected)
{
	char to[32];

	memset(to, 'z', sizeof(to));
	health_text_copy(to, size, from);
	assert_string_equal(to, expected);
}

static void texts(void **state)
{
	check_copy(32, "plain", "plain");
	check_copy(4, "plain", "pla");
	check_copy(32, "", "");
	check_copy(32, "two\nlines\x01\x7f", "two lines  ");
	check_copy(32, "caf\xc3\xa9", "caf\xc3\xa9");
	/* A character is not cut in half. */
	check_copy(5, "caf\xc3\xa9", "caf");
	check_copy(6, "ab\xe2\x82\xac\xe2\x82\xac", "ab\xe2\x82\xac");
	check_copy(32, "disk \xff\xfe.img", "disk ??.img");
	check_copy(8, "\xff\xff\xff\xff\xff\xff\xff\xff\xff", "????");
}

static void round_trip(void **state)
{
	const struct health_event event = {.number = 7,
					   .time_ms = 1700000000123,
					   .type = HEALTH_POOL_DEGRADED,
					   .count = 3,
					   .object = "tank",
					   .text = "a \"drive\" is gone"};
	struct health_event again;
	json_t *json = health_event_encode(&event);
	char *line = json_dumps(json, JSON_COMPACT);

	assert_string_equal(json_string_value(json_object_get(json, "severity")), "warning");
	assert_int_equal(health_event_decode(line, strlen(line), &again), 0);
	assert_int_equal(again.number, 7);
	assert_int_equal(again.time_ms, 1700000000123);
	assert_int_equal(again.type, HEALTH_POOL_DEGRADED);
	assert_int_equal(again.count, 3);
	assert_string_equal(again.object, event.object);
	assert_string_equal(again.text, event.text);
	json_decref(json);
	free(line);
}

#define LINE(number, time, type, count)                                \
	"{\"number\":" number ",\"time_ms\":" time ",\"type\":\"" type \
	"\",\"object\":\"t\",\"text\":\"\",\"count\":" count "}"

static void refused_lines(void **state)
{
	static const struct {
		const char *line;
		int r;
	} lines[] = {
		{"", -EINVAL},
		{"{", -EINVAL},
		{"[]", -EINVAL},
		{LINE("1", "1", "pool.created", "1") "x", -EINVAL},
		{LINE("0", "1", "pool.created", "1"), -EINVAL},
		{LINE("1", "-1", "pool.created", "1"), -EINVAL},
		{LINE("1", "1", "pool.created", "99999999999"), -EINVAL},
		{LINE("9223372036854775807", "1", "pool.created", "1"), -EINVAL},
		{LINE("1", "1", "pool.exploded", "1"), -ENOTSUP},
		{"{\"number\":1,\"time_ms\":1,\"type\":\"pool.full\",\"count\":1}", -EINVAL},
	};
	struct health_event event = {.number = 99};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		assert_int_equal(health_event_decode(lines[i].line, strlen(lines[i].line), &event),
				 lines[i].r);
		assert_int_equal(event.number, 99);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_has_words),
		cmocka_unit_test(severities),
		cmocka_unit_test(texts),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(refused_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
