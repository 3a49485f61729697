/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What may be a name of a volume or a snapshot. Strict, because names become paths, arguments and
 * JSON on other floors: a name that came from a drive must not be able to surprise there.
 */
#include "format/record.h"

static bool alphanumeric(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool component_valid(const char *text, size_t length)
{
	if (length == 0 || (length == 1 && text[0] == '.') ||
	    (length == 2 && text[0] == '.' && text[1] == '.'))
		return false;
	for (size_t i = 0; i < length; i++)
		if (!alphanumeric(text[i]) && !strchr("._:-", text[i]))
			return false;
	return true;
}

bool record_name_valid(const char *name, size_t field_bytes)
{
	const size_t length = strnlen(name, field_bytes);
	size_t start = 0;

	if (length == field_bytes || length == 0 || !alphanumeric(name[0]))
		return false;
	for (size_t i = 0; i <= length; i++) {
		if (name[i] != '/' && name[i] != '\0')
			continue;
		if (!component_valid(name + start, i - start))
			return false;
		start = i + 1;
	}
	return true;
}
