/* SPDX-License-Identifier: Apache-2.0 */
/* Requests decoded by one table of keys; see quoin/api_ask.h. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <quoin/api_ask.h>
#include <quoin/base_assert.h>
#include <quoin/base_size.h>
#include <quoin/health_event.h>

enum ask_kind { KIND_TEXT, KIND_TEXTS, KIND_GROUPS, KIND_SIZE, KIND_NUMBER, KIND_BOOL, KIND_FULL };

struct ask_field {
	const char *name;
	enum api_ask_key key;
	enum ask_kind kind;
	size_t offset;
	uint64_t max; /* characters of a text, value of a number */
};

#define AT(member) offsetof(struct api_ask, member)

static const struct ask_field fields[] = {
	{"name", ASK_NAME, KIND_TEXT, AT(name), CONTROL_OBJECT_MAX},
	{"new_name", ASK_NEW_NAME, KIND_TEXT, AT(new_name), CONTROL_OBJECT_MAX},
	{"snapshot", ASK_SNAPSHOT, KIND_TEXT, AT(snapshot), CONTROL_OBJECT_MAX},
	{"tag", ASK_TAG, KIND_TEXT, AT(tag), CONTROL_TAG_MAX},
	{"names", ASK_NAMES, KIND_TEXTS, AT(names), CONTROL_OBJECT_MAX},
	{"paths", ASK_PATHS, KIND_TEXTS, AT(paths), CONTROL_PATH_MAX},
	{"groups", ASK_GROUPS, KIND_GROUPS, AT(paths), CONTROL_PATH_MAX},
	{"size", ASK_SIZE, KIND_SIZE, AT(size), INT64_MAX},
	{"quota", ASK_QUOTA, KIND_SIZE, AT(quota), INT64_MAX},
	{"refquota", ASK_REFQUOTA, KIND_SIZE, AT(refquota), INT64_MAX},
	{"reservation", ASK_RESERVATION, KIND_SIZE, AT(reservation), INT64_MAX},
	{"refreservation", ASK_REFRESERVATION, KIND_SIZE, AT(refreservation), INT64_MAX},
	{"full", ASK_FULL, KIND_FULL, AT(pause_when_full), 0},
	{"read_only", ASK_READ_ONLY, KIND_BOOL, AT(read_only), 0},
	{"force", ASK_FORCE, KIND_BOOL, AT(force), 0},
	{"recursive", ASK_RECURSIVE, KIND_BOOL, AT(recursive), 0},
	{"autotrim", ASK_AUTOTRIM, KIND_BOOL, AT(autotrim), 0},
	{"reserve_permille", ASK_RESERVE, KIND_NUMBER, AT(reserve_permille), 1000},
	{"rewind", ASK_REWIND, KIND_SIZE, AT(rewind), INT64_MAX},
	{"cursor", ASK_CURSOR, KIND_SIZE, AT(cursor), INT64_MAX},
	{"since", ASK_SINCE, KIND_SIZE, AT(since), INT64_MAX},
	{"severity", ASK_SEVERITY, KIND_TEXT, AT(severity), 16},
	{"path", ASK_PATH, KIND_TEXT, AT(path), CONTROL_PATH_MAX},
	{"test", ASK_TEST, KIND_TEXT, AT(test), 16},
	{"object", ASK_OBJECT, KIND_TEXT, AT(object), HEALTH_OBJECT_MAX},
	{"to", ASK_TO, KIND_TEXT, AT(to), CONTROL_PATH_MAX},
	{"format", ASK_FORMAT, KIND_TEXT, AT(format), 16},
	{"source", ASK_SOURCE, KIND_TEXT, AT(source), CONTROL_SOURCE_MAX},
	{"offset", ASK_OFFSET, KIND_SIZE, AT(offset), INT64_MAX},
	{"length", ASK_LENGTH, KIND_SIZE, AT(length), INT64_MAX},
	{"to_offset", ASK_TO_OFFSET, KIND_SIZE, AT(to_offset), INT64_MAX},
	{"sha256", ASK_SHA256, KIND_TEXT, AT(sha256), 64},
	{"digest_list", ASK_DIGEST_LIST, KIND_TEXT, AT(digest_list), CONTROL_PATH_MAX},
	{"rate", ASK_RATE, KIND_SIZE, AT(rate), INT64_MAX},
	{"first", ASK_FIRST, KIND_BOOL, AT(first), 0},
	{"paused", ASK_PAUSED, KIND_BOOL, AT(paused), 0},
	{"template", ASK_TEMPLATE, KIND_BOOL, AT(template), 0},
	{"short_test_s", ASK_SHORT_TEST, KIND_SIZE, AT(every_s[0]), INT64_MAX},
	{"long_test_s", ASK_LONG_TEST, KIND_SIZE, AT(every_s[1]), INT64_MAX},
	{"trim_s", ASK_TRIM, KIND_SIZE, AT(every_s[2]), INT64_MAX},
	{"scrub_s", ASK_SCRUB, KIND_SIZE, AT(every_s[3]), INT64_MAX},
};

static int text_decode(const struct ask_field *f, const json_t *value, const char **at,
		       struct err *err)
{
	const char *text = json_string_value(value);

	if (!text || text[0] == '\0' || strlen(text) > f->max)
		return err_set(err, -EINVAL, "\"%s\" must be text%s of 1 to %" PRIu64 " characters",
			       f->name, f->kind == KIND_TEXT ? "" : "s", f->max);
	*at = text;
	return 0;
}

static int texts_decode(const struct ask_field *f, const json_t *value, const char **at,
			unsigned *count, struct err *err)
{
	if (!json_is_array(value))
		return err_set(err, -EINVAL, "\"%s\" must be an array", f->name);
	for (size_t i = 0; i < json_array_size(value); i++) {
		int r;

		if (*count == API_NAMES_MAX)
			return err_set(err, -EINVAL, "\"%s\" has more than %d entries", f->name,
				       API_NAMES_MAX);
		r = text_decode(f, json_array_get(value, i), &at[*count], err);
		if (r < 0)
			return r;
		(*count)++;
	}
	return 0;
}

/* [["/a", "/b"], ["/c"]]: the drives of one array mirror each other. */
static int groups_decode(const struct ask_field *f, const json_t *value, struct api_ask *ask,
			 struct err *err)
{
	if (!json_is_array(value))
		return err_set(err, -EINVAL, "\"%s\" must be an array", f->name);
	for (size_t g = 0; g < json_array_size(value); g++) {
		const unsigned before = ask->path_count;
		int r = texts_decode(f, json_array_get(value, g), ask->paths, &ask->path_count,
				     err);

		if (r < 0)
			return r;
		if (ask->path_count == before || ask->path_count > CONTROL_DRIVES_MAX)
			return err_set(err, -EINVAL,
				       "\"%s\" must be arrays of 1 and more drives, at most %d in "
				       "all",
				       f->name, CONTROL_DRIVES_MAX);
		for (unsigned i = before; i < ask->path_count; i++)
			ask->groups[i] = (unsigned)g;
	}
	return 0;
}

static int number_decode(const struct ask_field *f, const json_t *value, uint64_t *ret,
			 struct err *err)
{
	uint64_t number = 0;
	bool good = json_is_integer(value) && json_integer_value(value) >= 0;

	if (good)
		number = (uint64_t)json_integer_value(value);
	else if (f->kind == KIND_SIZE && json_is_string(value))
		good = size_parse(json_string_value(value), &number) == 0;
	if (!good || number > f->max)
		return err_set(err, -EINVAL,
			       f->kind == KIND_SIZE
				       ? "\"%s\" must be a number, or a text such as \"20G\""
				       : "\"%s\" must be a whole number that is not too large",
			       f->name);
	*ret = number;
	return 0;
}

static int full_decode(const struct ask_field *f, const json_t *value, bool *at, struct err *err)
{
	const char *text = json_string_value(value);

	if (!text || (strcmp(text, "error") != 0 && strcmp(text, "pause") != 0))
		return err_set(err, -EINVAL, "\"%s\" must be \"error\" or \"pause\"", f->name);
	*at = strcmp(text, "pause") == 0;
	return 0;
}

static int field_decode(const struct ask_field *f, const json_t *value, struct api_ask *ask,
			struct err *err)
{
	void *at = (char *)ask + f->offset;
	uint64_t number = 0;
	int r;

	switch (f->kind) {
	case KIND_TEXT:
		return text_decode(f, value, at, err);
	case KIND_TEXTS:
		return texts_decode(f, value, at,
				    f->key == ASK_NAMES ? &ask->name_count : &ask->path_count, err);
	case KIND_GROUPS:
		return groups_decode(f, value, ask, err);
	case KIND_SIZE:
		return number_decode(f, value, at, err);
	case KIND_NUMBER:
		r = number_decode(f, value, &number, err);
		*(unsigned *)at = (unsigned)number;
		return r;
	case KIND_BOOL:
		if (!json_is_boolean(value))
			return err_set(err, -EINVAL, "\"%s\" must be true or false", f->name);
		*(bool *)at = json_is_true(value);
		return 0;
	case KIND_FULL:
		return full_decode(f, value, at, err);
	}
	UNREACHABLE();
}

static const struct ask_field *field_find(const char *name, uint64_t takes)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if ((fields[i].key & takes) && strcmp(fields[i].name, name) == 0)
			return &fields[i];
	}
	return NULL;
}

static int needs_check(const struct api_ask *ask, uint64_t needs, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if ((fields[i].key & needs) && !(fields[i].key & ask->given))
			return err_set(err, -EINVAL, "\"%s\" is missing", fields[i].name);
	}
	return 0;
}

int api_ask_decode(const json_t *json, uint64_t takes, uint64_t needs, struct api_ask *ret_ask,
		   struct err *err)
{
	json_t *items = (json_t *)json;
	const char *key;
	json_t *value;

	memset(ret_ask, 0, sizeof(*ret_ask));
	json_object_foreach(items, key, value)
	{
		const struct ask_field *f = field_find(key, takes);
		int r;

		if (!f)
			return err_set(err, -EINVAL, "\"%.64s\" is not a known key", key);
		r = field_decode(f, value, ret_ask, err);
		if (r < 0)
			return r;
		ret_ask->given |= f->key;
	}
	return needs_check(ret_ask, needs, err);
}

struct control_volume_set api_ask_volume_set(const struct api_ask *ask)
{
	static const struct {
		enum api_ask_key key;
		enum control_volume_key property;
	} both[] = {
		{ASK_QUOTA, CONTROL_VOLUME_QUOTA},
		{ASK_REFQUOTA, CONTROL_VOLUME_REFQUOTA},
		{ASK_RESERVATION, CONTROL_VOLUME_RESERVATION},
		{ASK_REFRESERVATION, CONTROL_VOLUME_REFRESERVATION},
		{ASK_FULL, CONTROL_VOLUME_PAUSE_WHEN_FULL},
		{ASK_READ_ONLY, CONTROL_VOLUME_READ_ONLY},
	};
	struct control_volume_set set = {
		.quota_bytes = ask->quota,
		.refquota_bytes = ask->refquota,
		.reservation_bytes = ask->reservation,
		.refreservation_bytes = ask->refreservation,
		.pause_when_full = ask->pause_when_full,
		.read_only = ask->read_only,
	};

	for (size_t i = 0; i < ARRAY_SIZE(both); i++)
		set.given |= ask->given & both[i].key ? (unsigned)both[i].property : 0;
	return set;
}
