/* SPDX-License-Identifier: Apache-2.0 */
/* Members of answers as people read them. */
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "show.h"

const char *show_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "-";
}

unsigned long long show_number(const json_t *object, const char *key)
{
	return (unsigned long long)json_integer_value(json_object_get(object, key));
}

bool show_truth(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

char *show_size(const json_t *object, const char *key, char text[SIZE_TEXT_MAX])
{
	return size_format(show_number(object, key), text);
}

char *show_time(const json_t *object, const char *key, char text[SHOW_TIME_MAX])
{
	const time_t time_s = (time_t)show_number(object, key);
	struct tm parts;

	if (!localtime_r(&time_s, &parts) ||
	    strftime(text, SHOW_TIME_MAX, "%Y-%m-%d %H:%M:%S", &parts) == 0)
		snprintf(text, SHOW_TIME_MAX, "-");
	return text;
}

void show_line(const char *what, const char *format, ...)
{
	va_list args;

	printf("%-13s ", what);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

void show_head(struct table *table, const char *const *head)
{
	unsigned columns = 0;

	while (head[columns])
		columns++;
	table_init(table, columns);
	for (unsigned i = 0; i < columns; i++)
		table_add(table, "%s", head[i]);
}
