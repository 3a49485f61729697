/* SPDX-License-Identifier: Apache-2.0 */
/* Requests on pools, volumes and snapshots: the table of keys, and bodies that do not fit it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <quoin/api_ask.h>

#define ALL 0x1FFFFFFu

struct fixture {
	json_t *json;
	struct api_ask ask;
	struct err err;
};

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct fixture));
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	json_decref(f->json);
	free(f);
	return 0;
}

static int decode(struct fixture *f, const char *text, uint64_t takes, uint64_t needs)
{
	json_decref(f->json);
	f->json = json_loads(text, 0, NULL);
	assert_non_null(f->json);
	return api_ask_decode(f->json, takes, needs, &f->ask, &f->err);
}

static void every_key(void **state)
{
	struct fixture *f = *state;
	struct control_volume_set set;

	assert_int_equal(decode(f,
				"{\"name\": \"tank/a\", \"new_name\": \"b\", \"snapshot\": \"s\", "
				"\"tag\": \"t\", \"names\": [\"x\", \"y\"], \"size\": \"1M\", "
				"\"quota\": 7, \"refquota\": 8, \"reservation\": 9, "
				"\"refreservation\": 10, \"full\": \"pause\", \"read_only\": true, "
				"\"force\": true, \"recursive\": true, \"autotrim\": true, "
				"\"reserve_permille\": 125, \"rewind\": 11, \"cursor\": 12, "
				"\"since\": 13, \"severity\": \"error\", \"object\": \"tank\", "
				"\"path\": \"/d\", \"test\": \"long\"}",
				ALL, ASK_NAME),
			 0);
	assert_string_equal(f->ask.name, "tank/a");
	assert_int_equal(f->ask.name_count, 2);
	assert_string_equal(f->ask.names[1], "y");
	assert_int_equal(f->ask.size, 1 << 20);
	assert_int_equal(f->ask.reserve_permille, 125);
	assert_int_equal(f->ask.rewind, 11);
	assert_int_equal(f->ask.cursor, 12);
	assert_true(f->ask.force && f->ask.recursive && f->ask.autotrim);
	set = api_ask_volume_set(&f->ask);
	assert_int_equal(set.given, 63);
	assert_int_equal(set.refreservation_bytes, 10);
	assert_true(set.pause_when_full && set.read_only);
}

static void layouts(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(decode(f, "{\"groups\": [[\"/a\", \"/b\"], [\"/c\"]]}", ALL, ASK_GROUPS),
			 0);
	assert_int_equal(f->ask.path_count, 3);
	assert_int_equal(f->ask.groups[1], 0);
	assert_int_equal(f->ask.groups[2], 1);
	assert_string_equal(f->ask.paths[2], "/c");
}

static void refused(void **state)
{
	static const struct {
		const char *text;
		unsigned takes, needs;
	} cases[] = {
		{"{}", ALL, ASK_NAME},
		{"{\"name\": \"a\"}", ASK_SIZE, 0},
		{"{\"x\": 1}", ALL, 0},
		{"{\"name\": 7}", ALL, 0},
		{"{\"name\": \"\"}", ALL, 0},
		{"{\"names\": \"a\"}", ALL, 0},
		{"{\"names\": [7]}", ALL, 0},
		{"{\"groups\": [\"/a\"]}", ALL, 0},
		{"{\"groups\": [[]]}", ALL, 0},
		{"{\"size\": -1}", ALL, 0},
		{"{\"size\": \"1X\"}", ALL, 0},
		{"{\"size\": \"16777216T\"}", ALL, 0},
		{"{\"size\": 1.5}", ALL, 0},
		{"{\"reserve_permille\": 1001}", ALL, 0},
		{"{\"reserve_permille\": \"20\"}", ALL, 0},
		{"{\"full\": \"maybe\"}", ALL, 0},
		{"{\"force\": 1}", ALL, 0},
		{"{\"tag\": \"12345678901234567890123456789012\"}", ALL, 0},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(decode(f, cases[i].text, cases[i].takes, cases[i].needs), -EINVAL);
		assert_true(strlen(f->err.text) > 0);
	}
}

static void too_many(void **state)
{
	struct fixture *f = *state;
	json_t *names = json_array();
	json_t *group = json_array();

	for (int i = 0; i <= API_NAMES_MAX; i++)
		json_array_append_new(names, json_string("a"));
	for (int i = 0; i <= CONTROL_DRIVES_MAX; i++)
		json_array_append_new(group, json_string("/a"));
	f->json = json_pack("{s:o}", "names", names);
	assert_int_equal(api_ask_decode(f->json, ALL, 0, &f->ask, &f->err), -EINVAL);
	json_decref(f->json);
	f->json = json_pack("{s:[o]}", "groups", group);
	assert_int_equal(api_ask_decode(f->json, ALL, 0, &f->ask, &f->err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_key, setup, teardown),
		cmocka_unit_test_setup_teardown(layouts, setup, teardown),
		cmocka_unit_test_setup_teardown(refused, setup, teardown),
		cmocka_unit_test_setup_teardown(too_many, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
