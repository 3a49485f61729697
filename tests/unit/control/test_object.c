/* SPDX-License-Identifier: Apache-2.0 */
/* Names of volumes and snapshots: what is one, and its parts. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "object.h"

static void parts(void **state)
{
	struct control_object object;

	assert_int_equal(control_object_split("tank/a", &object, NULL), 0);
	assert_string_equal(object.pool, "tank");
	assert_string_equal(object.volume, "a");
	assert_string_equal(object.snapshot, "");
	assert_int_equal(control_object_split("t:1/vm/disk-0@2026-01-01_00:00", &object, NULL), 0);
	assert_string_equal(object.pool, "t:1");
	assert_string_equal(object.volume, "vm/disk-0");
	assert_string_equal(object.snapshot, "2026-01-01_00:00");
}

static void no_names(void **state)
{
	static const char *const bad[] = {
		"",	      "tank",	  "tank/",   "/a",	 "tank//a",
		"tank/a/",    "tank/a@",  "tank@s",  "tank@s/a", "tank/a@s@t",
		"tank/a@s/t", "tank/a b", "tank/a%", "ta nk/a",	 "tank/\xc3\xa9",
	};
	char name[256];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct control_object object = {.pool = "kept"};
		struct err err;

		assert_int_equal(control_object_split(bad[i], &object, &err), -EINVAL);
		assert_string_equal(object.pool, "kept");
	}
	memset(name, 'x', sizeof(name));
	name[4] = '/';
	name[5 + CONTROL_NAME_MAX] = '\0';
	assert_int_equal(control_object_split(name, &(struct control_object){.pool = ""}, NULL), 0);
	name[5 + CONTROL_NAME_MAX] = 'x';
	name[6 + CONTROL_NAME_MAX] = '\0';
	assert_int_equal(control_object_split(name, &(struct control_object){.pool = ""}, NULL),
			 -EINVAL);
}

static void of_volumes(void **state)
{
	struct control_object object;
	bool read_only = true;

	assert_int_equal(control_object_of_volume("tank/a", &object, &read_only, NULL), 0);
	assert_false(read_only);
	assert_int_equal(control_object_of_volume("tank/a,ro", &object, &read_only, NULL), 0);
	assert_true(read_only);
	assert_string_equal(object.volume, "a");
	assert_int_equal(control_object_of_volume("tank/a@s", &object, &read_only, NULL), 0);
	assert_true(read_only);
	assert_int_equal(control_object_of_volume("tank/a,rw", &object, &read_only, NULL), -EINVAL);
	assert_int_equal(control_object_of_volume("tank/a,ro,ro", &object, &read_only, NULL),
			 -EINVAL);
	assert_int_equal(control_object_of_volume("file:/a/b", &object, &read_only, NULL), -ENOENT);
	assert_int_equal(control_object_of_volume("null:1G", &object, &read_only, NULL), -ENOENT);
	assert_int_equal(control_object_of_volume("/a/b", &object, &read_only, NULL), -ENOENT);
	assert_int_equal(control_object_of_volume("a", &object, &read_only, NULL), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts),
		cmocka_unit_test(no_names),
		cmocka_unit_test(of_volumes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
