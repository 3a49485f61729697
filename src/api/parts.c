/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of answers; see parts.h. */
#include "parts.h"

#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_text.h>
#include <quoin/control_spec.h>
#include <quoin/health_event.h>

void part_put(json_t *json, const char *key, json_t *value)
{
	ASSERT(json_object_set_new(json, key, value) == 0);
}

void part_append(json_t *array, json_t *value)
{
	ASSERT(json_array_append_new(array, value) == 0);
}

void part_put_all(json_t *json, const struct part_member *members, size_t count)
{
	for (size_t i = 0; i < count; i++)
		part_put(json, members[i].key, members[i].value);
}

json_int_t part_integer(uint64_t value)
{
	return (json_int_t)MIN(value, (uint64_t)INT64_MAX);
}

json_t *part_number(uint64_t value)
{
	return json_integer(part_integer(value));
}

json_t *part_text(const char *value)
{
	CLEANUP_FREE char *ascii = NULL;
	json_t *json = json_string(value);

	if (json)
		return json;
	ascii = xstrdup(value);
	for (char *c = ascii; *c; c++)
		*c = *c >= 0x20 && *c < 0x7F ? *c : '?';
	return json_string(ascii);
}

json_t *part_text_or_null(const char *value)
{
	return value && value[0] != '\0' ? part_text(value) : json_null();
}

json_t *part_words(const char *value)
{
	const size_t size = strlen(value) + 1;
	CLEANUP_FREE char *copy = xmalloc(size);

	health_text_copy(copy, size, value);
	return json_string(copy);
}

json_t *part_words_or_null(const char *value)
{
	return value[0] != '\0' ? part_words(value) : json_null();
}

json_t *part_uuid(const uint8_t value[16])
{
	char words[CONTROL_UUID_TEXT_MAX];

	return json_string(control_uuid_format(value, words));
}
