/* SPDX-License-Identifier: Apache-2.0 */
/* Pools to and from the state file; see pool_state.h. */
#include "pool_state.h"

#include <errno.h>
#include <string.h>

#include <quoin/base_assert.h>

json_t *control_pool_to_json(const struct control_pool *pool)
{
	char guid[CONTROL_UUID_TEXT_MAX];
	json_t *drives = json_array();
	json_t *json;

	ASSERT(drives != NULL);
	for (unsigned i = 0; i < pool->path_count; i++)
		ASSERT(json_array_append_new(drives, json_string(pool->paths[i])) == 0);
	json = json_pack("{s:s, s:s, s:b, s:o}", "name", pool->name, "guid",
			 control_uuid_format(pool->guid, guid), "read_only", pool->read_only,
			 "drives", drives);
	ASSERT(json != NULL);
	return json;
}

static int keys_check(const json_t *json, struct err *err)
{
	static const char *const known[] = {"name", "guid", "read_only", "drives"};
	json_t *items = (json_t *)json;
	const char *key;
	json_t *value;

	json_object_foreach(items, key, value)
	{
		size_t i = 0;

		while (i < ARRAY_SIZE(known) && strcmp(known[i], key) != 0)
			i++;
		if (i == ARRAY_SIZE(known))
			return err_set(err, -EINVAL, "\"%.64s\" is not a known key", key);
	}
	return 0;
}

static int drives_decode(const json_t *drives, struct control_pool *pool, struct err *err)
{
	if (!json_is_array(drives) || json_array_size(drives) > CONTROL_DRIVES_MAX)
		return err_set(err, -EINVAL, "\"drives\" must be an array of at most %d",
			       CONTROL_DRIVES_MAX);
	for (size_t i = 0; i < json_array_size(drives); i++) {
		const char *path = json_string_value(json_array_get(drives, i));

		if (!path || path[0] != '/' || strlen(path) > CONTROL_PATH_MAX)
			return err_set(err, -EINVAL, "a drive must be an absolute path");
		control_pool_add_path(pool, path);
	}
	return 0;
}

int control_pool_from_json(const json_t *json, struct control_pool **ret_pool, struct err *err)
{
	const char *name = json_string_value(json_object_get(json, "name"));
	const char *text = json_string_value(json_object_get(json, "guid"));
	const json_t *read_only = json_object_get(json, "read_only");
	struct control_pool *pool;
	uint8_t guid[16];
	int r;

	if (!json_is_object(json))
		return err_set(err, -EINVAL, "a pool must be an object");
	r = keys_check(json, err);
	if (r < 0)
		return r;
	if (!name || !control_object_pool_name_good(name))
		return err_set(err, -EINVAL, "\"name\" must be the name of a pool");
	if (!text || control_uuid_parse(text, guid) < 0)
		return err_set(err, -EINVAL, "\"guid\" must be a UUID: 32 hexadecimal digits");
	if (read_only && !json_is_boolean(read_only))
		return err_set(err, -EINVAL, "\"read_only\" must be true or false");
	pool = control_pool_new(name, guid);
	pool->read_only = json_is_true(read_only);
	r = drives_decode(json_object_get(json, "drives"), pool, err);
	if (r < 0) {
		control_pool_free(pool);
		return r;
	}
	*ret_pool = pool;
	return 0;
}
