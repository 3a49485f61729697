/* SPDX-License-Identifier: Apache-2.0 */
/* Names taken apart; see object.h. */
#include "object.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-"

/* Copies [from, to) as text; false when it is empty, too long, or has other characters. */
static bool part_copy(char part[CONTROL_NAME_MAX + 1], const char *from, const char *to)
{
	const size_t length = (size_t)(to - from);

	if (length == 0 || length > CONTROL_NAME_MAX)
		return false;
	memcpy(part, from, length);
	part[length] = '\0';
	return true;
}

/* Parts between '/' are words that are not empty. */
static bool words_good(const char *text, bool slashes)
{
	do {
		const size_t length = strspn(text, CHARACTERS);

		text += length;
		if (length == 0 || (*text == '/' && !slashes))
			return false;
	} while (*text++ == '/');
	return text[-1] == '\0';
}

bool control_object_pool_name_good(const char *name)
{
	return strlen(name) <= CONTROL_NAME_MAX && words_good(name, false);
}

int control_object_split(const char *name, struct control_object *ret_object, struct err *err)
{
	struct control_object object = {.snapshot = ""};
	const char *end = name + strlen(name);
	const char *slash = strchr(name, '/');
	const char *at = strchr(name, '@');
	const char *volume_end = at ? at : end;

	if (slash && slash < volume_end && part_copy(object.pool, name, slash) &&
	    part_copy(object.volume, slash + 1, volume_end) &&
	    (!at || part_copy(object.snapshot, at + 1, end)) && words_good(object.pool, false) &&
	    words_good(object.volume, true) && (!at || words_good(object.snapshot, false))) {
		*ret_object = object;
		return 0;
	}
	return err_set(err, -EINVAL,
		       "\"%.200s\" is not a name: write POOL/NAME, or POOL/NAME@SNAP, of letters, "
		       "digits, '.', '_', ':' and '-', at most %d each",
		       name, CONTROL_NAME_MAX);
}

static bool is_other_kind(const char *volume)
{
	static const char *const kinds[] = {"null:", "file:", "error:", "delay:"};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strncmp(volume, kinds[i], strlen(kinds[i])) == 0)
			return true;
	}
	return volume[0] == '/' || !strchr(volume, '/');
}

int control_object_of_volume(const char *volume, struct control_object *ret_object,
			     bool *ret_read_only, struct err *err)
{
	char name[CONTROL_OBJECT_MAX + 1];
	const size_t length = strcspn(volume, ",");
	const char *options = volume + length;
	int r;

	if (is_other_kind(volume))
		return -ENOENT;
	if (options[0] != '\0' && strcmp(options, ",ro") != 0)
		return err_set(err, -EINVAL,
			       "\"%.200s\": a volume of a pool takes the option \"ro\" only",
			       volume);
	snprintf(name, sizeof(name), "%.*s", (int)MIN(length, sizeof(name) - 1), volume);
	if (length >= sizeof(name))
		return err_set(err, -EINVAL, "\"%.100s...\" is longer than any name", volume);
	r = control_object_split(name, ret_object, err);
	if (r == 0)
		*ret_read_only = options[0] != '\0' || ret_object->snapshot[0] != '\0';
	return r;
}
