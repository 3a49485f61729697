/* SPDX-License-Identifier: Apache-2.0 */
/* What is remembered of pools, their list, and how memory is shared among them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pool.h"
#include "pool_state.h"

#define GUID "01234567-89ab-cdef-0123-456789abcdef"

static void remembered(void **state)
{
	static const uint8_t guid[16] = {1, 2, 3};
	struct control_pool *pool = control_pool_new("tank", guid);
	struct control_pool *again = NULL;
	json_t *json;
	json_t *json_again;

	control_pool_add_path(pool, "/dev/a");
	control_pool_add_path(pool, "/b");
	control_pool_add_path(pool, "/dev/a");
	pool->read_only = true;
	json = control_pool_to_json(pool);
	assert_int_equal(control_pool_from_json(json, &again, NULL), 0);
	assert_string_equal(again->name, "tank");
	assert_memory_equal(again->guid, guid, sizeof(guid));
	assert_int_equal(again->path_count, 2);
	assert_string_equal(again->paths[1], "/b");
	assert_true(again->read_only);
	assert_null(again->pool);
	json_again = control_pool_to_json(again);
	assert_true(json_equal(json, json_again));
	json_decref(json);
	json_decref(json_again);
	control_pool_free(pool);
	control_pool_free(again);
}

static void damaged(void **state)
{
	static const char *const bad[] = {
		"[]",
		"{}",
		"{\"name\": \"\", \"guid\": \"" GUID "\", \"drives\": []}",
		"{\"name\": 7, \"guid\": \"" GUID "\", \"drives\": []}",
		"{\"name\": \"a\", \"guid\": \"1\", \"drives\": []}",
		"{\"name\": \"a\", \"guid\": \"" GUID "\"}",
		"{\"name\": \"a\", \"guid\": \"" GUID "\", \"drives\": {}}",
		"{\"name\": \"a\", \"guid\": \"" GUID "\", \"drives\": [7]}",
		"{\"name\": \"a\", \"guid\": \"" GUID "\", \"drives\": [\"b\"]}",
		"{\"name\": \"a\", \"guid\": \"" GUID "\", \"drives\": [], \"x\": 1}",
		"{\"name\": \"a\", \"guid\": \"" GUID "\", \"drives\": [], \"read_only\": 1}",
	};
	json_t *many = json_pack("{s:s, s:s, s:[]}", "name", "a", "guid", GUID, "drives");
	struct control_pool *pool = NULL;
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		json_t *json = json_loads(bad[i], 0, NULL);

		assert_non_null(json);
		assert_int_equal(control_pool_from_json(json, &pool, &err), -EINVAL);
		assert_null(pool);
		json_decref(json);
	}
	for (int i = 0; i <= CONTROL_DRIVES_MAX; i++)
		json_array_append_new(json_object_get(many, "drives"), json_string("/a"));
	assert_int_equal(control_pool_from_json(many, &pool, &err), -EINVAL);
	json_decref(many);
}

static void newest_paths_stay(void **state)
{
	static const uint8_t guid[16];
	struct control_pool *pool = control_pool_new("tank", guid);
	char path[16];

	for (int i = 0; i < CONTROL_DRIVES_MAX + 3; i++) {
		snprintf(path, sizeof(path), "/%d", i);
		control_pool_add_path(pool, path);
	}
	assert_int_equal(pool->path_count, CONTROL_DRIVES_MAX);
	assert_string_equal(pool->paths[0], "/3");
	assert_string_equal(pool->paths[CONTROL_DRIVES_MAX - 1], path);
	control_pool_free(pool);
}

static void shares(void **state)
{
	/* 5/8 of what is there, at least what a pool needs, or nothing. */
	assert_int_equal(control_pool_share(256 * MiB, 0), 160 * MiB);
	assert_int_equal(control_pool_share(POOL_MEMORY_MIN, 0), POOL_MEMORY_MIN);
	assert_int_equal(control_pool_share(POOL_MEMORY_MIN - 1, 0), 0);
	assert_int_equal(control_pool_share(0, 0), 0);
	/* Pools that wait get their least. */
	assert_int_equal(control_pool_share(3 * POOL_MEMORY_MIN, 2), POOL_MEMORY_MIN);
	assert_int_equal(control_pool_share(2 * POOL_MEMORY_MIN, 2), 0);
	assert_true(control_pool_share(256 * MiB, 6) <= 256 * MiB - 6 * POOL_MEMORY_MIN);
}

static void list(void **state)
{
	static const uint8_t guid_a[16] = {1};
	static const uint8_t guid_b[16] = {2};
	struct control_pools pools = {.count = 0};
	struct control_pool *a = control_pool_new("a", guid_a);
	struct control_pool *b = control_pool_new("b", guid_b);
	struct control_pool *found = NULL;
	struct err err;

	control_pools_append(&pools, a);
	control_pools_append(&pools, b);
	assert_ptr_equal(control_pools_find(&pools, "b"), b);
	assert_ptr_equal(control_pools_find_guid(&pools, guid_a), a);
	assert_int_equal(control_pools_take(&pools, a), 0);
	assert_null(control_pools_find(&pools, "a"));
	control_pools_put_back(&pools, a, 0);
	assert_ptr_equal(pools.pools[0], a);
	assert_int_equal(control_pools_get(&pools, "c", &found, &err), -ENOENT);
	control_pool_fail(a, "its drives are gone");
	assert_int_equal(control_pools_get(&pools, "a", &found, &err), -ENODEV);
	assert_non_null(strstr(err.text, "its drives are gone"));
	assert_int_equal(control_pools_memory(&pools), 0);
	control_pool_free(a);
	control_pool_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(remembered),
		cmocka_unit_test(damaged),
		cmocka_unit_test(newest_paths_stay),
		cmocka_unit_test(shares),
		cmocka_unit_test(list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
