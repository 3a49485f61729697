/* SPDX-License-Identifier: Apache-2.0 */
/* Specifications as JSON: there and back, and what is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include <quoin/control_json.h>

static const char everything[] =
	"{\"name\":\"vm1\",\"transport\":\"vfio-user\",\"listen\":\"/run/a.sock\",\"queues\":4,"
	"\"queue_entries\":128,\"max_namespaces\":8,\"poll_us\":50,\"doorbells\":\"mapped\","
	"\"intx\":false,\"serial\":\"S1\",\"model\":\"M1\","
	"\"uuid\":\"01234567-89ab-cdef-0123-456789abcdef\",\"namespaces\":[{\"nsid\":3,"
	"\"volume\":\"null:1G\",\"read_only\":true,\"block_size\":4096,"
	"\"nguid\":\"11111111-2222-3333-4444-555555555555\","
	"\"uuid\":\"66666666-7777-8888-9999-aaaaaaaaaaaa\"}]}";

static void there_and_back(void **state)
{
	json_t *in = json_loads(everything, 0, NULL);
	struct control_target_spec spec;
	json_t *out;

	assert_int_equal(control_target_spec_from_json(in, &spec, NULL), 0);
	assert_string_equal(spec.name, "vm1");
	assert_int_equal(spec.queues, 4);
	assert_int_equal(spec.doorbells, CONTROL_DOORBELLS_MAPPED);
	assert_int_equal(spec.namespace_count, 1);
	assert_int_equal(spec.namespaces[0].block_size, 4096);
	out = control_target_spec_to_json(&spec);
	assert_true(json_equal(in, out));
	json_decref(out);
	json_decref(in);
	control_target_spec_fini(&spec);
}

static void defaults(void **state)
{
	json_t *in = json_loads("{\"name\":\"a\"}", 0, NULL);
	struct control_target_spec spec;

	assert_int_equal(control_target_spec_from_json(in, &spec, NULL), 0);
	assert_int_equal(spec.queues, CONTROL_QUEUES_DEFAULT);
	assert_int_equal(spec.max_namespaces, CONTROL_NAMESPACES_DEFAULT);
	assert_true(spec.intx);
	assert_int_equal(spec.namespace_count, 0);
	json_decref(in);
	control_target_spec_fini(&spec);
}

static void refusals(void **state)
{
	static const char *const bad[] = {
		"[]",
		"{\"nane\":\"a\"}",
		"{\"name\":7}",
		"{\"queues\":-1}",
		"{\"queues\":4294967296}",
		"{\"queues\":1.5}",
		"{\"queues\":\"4\"}",
		"{\"intx\":1}",
		"{\"doorbells\":\"other\"}",
		"{\"doorbells\":null}",
		"{\"uuid\":\"1\"}",
		"{\"serial\":\"123456789012345678901\"}",
		"{\"namespaces\":{}}",
		"{\"namespaces\":[1]}",
		"{\"namespaces\":[{\"volum\":\"null:1G\"}]}",
		"{\"namespaces\":[{\"namespaces\":[]}]}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct control_target_spec spec = {.queues = 77};
		json_t *in = json_loads(bad[i], 0, NULL);
		struct err err = {.code = 0};

		assert_non_null(in);
		assert_int_equal(control_target_spec_from_json(in, &spec, &err), -EINVAL);
		assert_int_equal(spec.queues, 77);
		assert_true(strlen(err.text) > 0);
		json_decref(in);
	}
}

static void too_many_namespaces(void **state)
{
	json_t *all = json_array();
	struct control_target_spec spec;
	json_t *in;

	for (int i = 0; i <= CONTROL_NAMESPACES_MAX; i++)
		json_array_append_new(all, json_pack("{s:s}", "volume", "null:1G"));
	in = json_pack("{s:s, s:o}", "name", "a", "namespaces", all);
	assert_int_equal(control_target_spec_from_json(in, &spec, NULL), -EINVAL);
	json_decref(in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(defaults),
		cmocka_unit_test(refusals),
		cmocka_unit_test(too_many_namespaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
