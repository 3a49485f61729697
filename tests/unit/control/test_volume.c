/* SPDX-License-Identifier: Apache-2.0 */
/* From a namespace's specification to the words the block room opens, and which are one file. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "volume.h"

static void words(void **state)
{
	static const struct {
		const char *volume;
		bool read_only;
		unsigned block_size;
		const char *expected;
	} cases[] = {
		{"null:1G", false, 0, "null:1G"},
		{"null:1G", true, 4096, "null:1G,block=4096"},
		{"file:/a", true, 0, "file:/a,ro"},
		{"file:/a", true, 512, "file:/a,ro,block=512"},
		{"delay:ms=1:file:/a", true, 0, "delay:ms=1:file:/a,ro"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct control_namespace_spec ns = {
			.read_only = cases[i].read_only,
			.block_size = cases[i].block_size,
		};
		char *got;

		snprintf(ns.volume, sizeof(ns.volume), "%s", cases[i].volume);
		got = control_volume_spec(&ns);
		assert_string_equal(got, cases[i].expected);
		free(got);
	}
}

static void sizes(void **state)
{
	char volume[CONTROL_VOLUME_MAX + 1];

	snprintf(volume, sizeof(volume), "null:1G,block=4096");
	assert_true(control_volume_set_size(volume, 8192));
	assert_string_equal(volume, "null:8192,block=4096");
	snprintf(volume, sizeof(volume), "delay:ms=1:null:1");
	assert_true(control_volume_set_size(volume, 77));
	assert_string_equal(volume, "delay:ms=1:null:77");
	snprintf(volume, sizeof(volume), "file:/a");
	assert_false(control_volume_set_size(volume, 77));
	assert_string_equal(volume, "file:/a");
}

static bool clash(const char *a, const char *b)
{
	struct control_namespace_spec na = {.nsid = 1};
	struct control_namespace_spec nb = {.nsid = 2};

	snprintf(na.volume, sizeof(na.volume), "%s", a);
	snprintf(nb.volume, sizeof(nb.volume), "%s", b);
	return control_volume_clash(&na, &nb);
}

static void same_volume_of_a_pool(void **state)
{
	struct control_namespace_spec a = {.volume = "tank/a"};
	struct control_namespace_spec b = {.volume = "tank/a"};

	assert_true(clash("tank/a", "tank/a"));
	assert_true(clash("tank/a", "tank/a,ro"));
	assert_false(clash("tank/a,ro", "tank/a,ro"));
	assert_false(clash("tank/a@s", "tank/a@s"));
	assert_false(clash("tank/a", "tank/a@s"));
	assert_false(clash("tank/a", "tank/b"));
	assert_false(clash("tank/a", "pond/a"));
	assert_false(clash("tank/a", "null:1G"));
	a.read_only = true;
	assert_true(control_volume_clash(&a, &b));
	b.read_only = true;
	assert_false(control_volume_clash(&a, &b));
}

static void in_pools(void **state)
{
	assert_true(control_volume_in_pool("tank/a"));
	assert_true(control_volume_in_pool("tank//a"));
	assert_false(control_volume_in_pool("tank"));
	assert_false(control_volume_in_pool("/tank/a"));
	assert_false(control_volume_in_pool("file:/a"));
	assert_false(control_volume_in_pool("delay:ms=1:file:/a"));
}

static void same_file(void **state)
{
	char directory[] = "/tmp/quoin-volume-XXXXXX";
	char file[64];
	char link_path[64];
	char volume[128];
	char other[128];

	assert_non_null(mkdtemp(directory));
	snprintf(file, sizeof(file), "%s/disk", directory);
	snprintf(link_path, sizeof(link_path), "%s/link", directory);
	fclose(fopen(file, "w"));
	assert_int_equal(symlink(file, link_path), 0);
	snprintf(volume, sizeof(volume), "file:%s", file);
	snprintf(other, sizeof(other), "delay:ms=1:file:%s,ro", link_path);
	assert_true(clash(volume, other));
	assert_false(clash(volume, "null:1G"));
	assert_false(clash("null:1G", "null:1G"));
	unlink(file);
	assert_false(clash(volume, other));
	unlink(link_path);
	rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words),     cmocka_unit_test(sizes),
		cmocka_unit_test(same_file), cmocka_unit_test(same_volume_of_a_pool),
		cmocka_unit_test(in_pools),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
