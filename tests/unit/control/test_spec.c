/* SPDX-License-Identifier: Apache-2.0 */
/* What may be asked of a target: names, volumes, numbers, identities. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <quoin/control_spec.h>

static void names(void **state)
{
	char longest[CONTROL_NAME_MAX + 2];
	static const char *const good[] = {"a", "0", "vm1", "A-b_c.d", "9..", "disk-"};
	static const char *const bad[] = {"", "-a", ".a", "_a", "a b", "a/b", "a%", "\xc3\xa9"};
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(control_name_check(good[i], NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		err.text[0] = '\0';
		assert_int_equal(control_name_check(bad[i], &err), -EINVAL);
		assert_true(strlen(err.text) > 0);
	}
	memset(longest, 'x', sizeof(longest) - 1);
	longest[CONTROL_NAME_MAX] = '\0';
	assert_int_equal(control_name_check(longest, NULL), 0);
	longest[CONTROL_NAME_MAX] = 'x';
	longest[CONTROL_NAME_MAX + 1] = '\0';
	assert_int_equal(control_name_check(longest, NULL), -EINVAL);
}

static void volumes(void **state)
{
	static const struct {
		const char *volume;
		int plain; /* without and with test volumes */
		int test;
	} cases[] = {
		{"null:1G", 0, 0},
		{"null:4096,block=4096", 0, 0},
		{"null:", -EINVAL, -EINVAL},
		{"null:0", -EINVAL, -EINVAL},
		{"null:abc", -EINVAL, -EINVAL},
		{"null:99999999999999999999999999999999999999999999999999", -EINVAL, -EINVAL},
		{"file:/dev/vg/lv", 0, 0},
		{"file:/a,ro", 0, 0},
		{"file:/a,b", -EINVAL, -EINVAL},
		{"file:/a,,b", 0, 0},
		{"file:a", -EINVAL, -EINVAL},
		{"file:", -EINVAL, -EINVAL},
		{"/a/b", -EINVAL, -EINVAL},
		{"tank/vm1", 0, 0},
		{"tank/vm/1@snap,ro", 0, 0},
		{"tank/vm1,block=4096", -EINVAL, -EINVAL},
		{"tank//vm1", -EINVAL, -EINVAL},
		{"delay:ms=5:tank/vm1", -ENOTSUP, -EINVAL},
		{"tank", -EINVAL, -EINVAL},
		{"rbd:x", -EINVAL, -EINVAL},
		{"", -EINVAL, -EINVAL},
		{"error:op=read:null:1G", -ENOTSUP, 0},
		{"delay:ms=5,us=7:file:/a=b", -ENOTSUP, 0},
		{"delay:ms=5:error:op=read:null:1G", -ENOTSUP, 0},
		{"delay:ms=5", -ENOTSUP, -EINVAL},
		{"delay:ms=5:null:0", -ENOTSUP, -EINVAL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(control_volume_check(cases[i].volume, false, NULL),
				 cases[i].plain);
		assert_int_equal(control_volume_check(cases[i].volume, true, NULL), cases[i].test);
	}
}

/* A good target with two namespaces. */
static struct control_target_spec *example(struct control_target_spec *spec)
{
	control_target_spec_init(spec);
	snprintf(spec->name, sizeof(spec->name), "vm1");
	for (int i = 0; i < 2; i++)
		snprintf(control_target_spec_add(spec)->volume, CONTROL_VOLUME_MAX + 1, "null:1G");
	return spec;
}

static void numbers(void **state)
{
	static const struct {
		unsigned queues, entries, namespaces, poll_us;
		int code;
	} cases[] = {
		{1, 2, 2, 0, 0},
		{64, 1024, 64, CONTROL_POLL_US_MAX, 0},
		{0, 1024, 16, 0, -EINVAL},
		{65, 1024, 16, 0, -EINVAL},
		{64, 1, 16, 0, -EINVAL},
		{64, 1000, 16, 0, -EINVAL},
		{64, 2048, 16, 0, -EINVAL},
		{64, 0, 16, 0, -EINVAL},
		{64, 1024, 0, 0, -EINVAL},
		{64, 1024, 65, 0, -EINVAL},
		{64, 1024, 1, 0, -EINVAL}, /* two are given */
		{64, 1024, 16, CONTROL_POLL_US_MAX + 1, -EINVAL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct control_target_spec spec;

		example(&spec);
		spec.queues = cases[i].queues;
		spec.queue_entries = cases[i].entries;
		spec.max_namespaces = cases[i].namespaces;
		spec.poll_us = cases[i].poll_us;
		assert_int_equal(control_target_spec_check(&spec, false, NULL), cases[i].code);
		control_target_spec_fini(&spec);
	}
}

static void words(void **state)
{
	struct control_target_spec spec;

	example(&spec);
	snprintf(spec.transport, sizeof(spec.transport), "nbd");
	assert_int_equal(control_target_spec_check(&spec, false, NULL), -ENOTSUP);
	snprintf(spec.transport, sizeof(spec.transport), "vfio-user");
	snprintf(spec.listen, sizeof(spec.listen), "relative.sock");
	assert_int_equal(control_target_spec_check(&spec, false, NULL), -EINVAL);
	spec.listen[0] = '\0';
	snprintf(spec.serial, sizeof(spec.serial), "tab\there");
	assert_int_equal(control_target_spec_check(&spec, false, NULL), -EINVAL);
	spec.serial[0] = '\0';
	spec.namespaces[0].block_size = 1024;
	assert_int_equal(control_target_spec_check(&spec, false, NULL), -EINVAL);
	control_target_spec_fini(&spec);
}

static void nsids_are_given_out(void **state)
{
	struct control_target_spec spec;

	example(&spec);
	control_target_spec_add(&spec)->nsid = 1;
	snprintf(spec.namespaces[2].volume, CONTROL_VOLUME_MAX + 1, "null:1G");
	assert_int_equal(control_target_spec_check(&spec, false, NULL), 0);
	assert_int_equal(spec.namespaces[0].nsid, 2);
	assert_int_equal(spec.namespaces[1].nsid, 3);
	assert_int_equal(spec.namespaces[2].nsid, 1);
	spec.namespaces[1].nsid = 1;
	assert_int_equal(control_target_spec_check(&spec, false, NULL), -EINVAL);
	control_target_spec_remove(&spec, 2);
	assert_int_equal(spec.namespace_count, 2);
	assert_null(control_target_spec_find(&spec, 2));
	control_target_spec_fini(&spec);
}

static void identities(void **state)
{
	char text[CONTROL_UUID_TEXT_MAX];
	struct control_target_spec spec;
	uint8_t uuid[16];

	example(&spec);
	control_target_spec_identify(&spec);
	assert_false(control_uuid_is_zero(spec.uuid));
	assert_false(control_uuid_is_zero(spec.namespaces[0].nguid));
	assert_memory_not_equal(spec.namespaces[0].nguid, spec.namespaces[1].nguid, 16);
	assert_int_equal(strlen(spec.serial), 18);
	assert_int_equal(control_uuid_parse(control_uuid_format(spec.uuid, text), uuid), 0);
	assert_memory_equal(uuid, spec.uuid, 16);
	/* What was chosen stays. */
	control_target_spec_identify(&spec);
	assert_memory_equal(uuid, spec.uuid, 16);
	control_target_spec_fini(&spec);
}

static void uuids(void **state)
{
	static const char *const bad[] = {"", "0123", "0123456789abcdef0123456789abcdeg",
					  "01234567-89ab-cdef-0123-456789abcde",
					  "0123456789ab-cdef-0123-456789abcdef01"};
	uint8_t uuid[16] = {7};

	assert_int_equal(control_uuid_parse("0123456789ABCDEF0123456789abcdef", uuid), 0);
	assert_int_equal(uuid[0], 0x01);
	assert_int_equal(uuid[15], 0xEF);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(control_uuid_parse(bad[i], uuid), -EINVAL);
	assert_int_equal(uuid[0], 0x01);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(volumes),
		cmocka_unit_test(numbers),
		cmocka_unit_test(words),
		cmocka_unit_test(nsids_are_given_out),
		cmocka_unit_test(identities),
		cmocka_unit_test(uuids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
