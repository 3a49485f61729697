/* SPDX-License-Identifier: Apache-2.0 */
/* Properties: words to JSON, JSON to words. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_size.h>
#include <quoin/base_text.h>

#include "property.h"
#include "show.h"
#include "suggest.h"

#define DAY_S 86400

const struct property property_pool[] = {
	{"reserve", "reserve_permille", "reserve_permille", PROPERTY_PERMILLE},
	{"autotrim", "autotrim", "autotrim", PROPERTY_SWITCH},
	{NULL, NULL, NULL, PROPERTY_SIZE},
};

const struct property property_volume[] = {
	{"quota", "quota", "quota_bytes", PROPERTY_SIZE},
	{"refquota", "refquota", "refquota_bytes", PROPERTY_SIZE},
	{"reservation", "reservation", "reservation_bytes", PROPERTY_SIZE},
	{"refreservation", "refreservation", "refreservation_bytes", PROPERTY_SIZE},
	{"full", "full", "full", PROPERTY_FULL},
	{"readonly", "read_only", "read_only", PROPERTY_SWITCH},
	{NULL, NULL, NULL, PROPERTY_SIZE},
};

const struct property property_snapshot[] = {
	{"template", "template", "template", PROPERTY_SWITCH},
	{NULL, NULL, NULL, PROPERTY_SIZE},
};

const struct property property_schedule[] = {
	{"short-test", "short_test_s", "short_test_s", PROPERTY_EVERY},
	{"long-test", "long_test_s", "long_test_s", PROPERTY_EVERY},
	{"trim", "trim_s", "trim_s", PROPERTY_EVERY},
	{"scrub", "scrub_s", "scrub_s", PROPERTY_EVERY},
	{NULL, NULL, NULL, PROPERTY_SIZE},
};

struct interval {
	const char *word;
	unsigned seconds;
};

static const struct interval intervals[] = {
	{"off", 0}, {"daily", DAY_S}, {"weekly", 7 * DAY_S}, {"monthly", 30 * DAY_S}};

static const struct property *find(const struct property *all, const char *name, size_t length)
{
	for (const struct property *p = all; p->name; p++) {
		if (strlen(p->name) == length && memcmp(p->name, name, length) == 0)
			return p;
	}
	return NULL;
}

static int unknown(const struct property *all, const char *name)
{
	struct suggest suggest;

	suggest_init(&suggest, name);
	for (const struct property *p = all; p->name; p++)
		suggest_offer(&suggest, p->name);
	if (suggest.best)
		return fail(EXIT_USAGE, "there is no property \"%s\": did you mean \"%s\"?", name,
			    suggest.best);
	return fail(EXIT_USAGE, "there is no property \"%s\": see quoin(1)", name);
}

/* "12.5%" is 125 permille. -1: it is not of this shape. */
static int permille_parse(const char *text)
{
	unsigned whole = 0;
	unsigned tenth = 0;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return -1;
	whole = (unsigned)MIN(strtoul(text, &end, 10), 1000UL);
	if (*end == '.') {
		if (end[1] < '0' || end[1] > '9')
			return -1;
		tenth = (unsigned)(end[1] - '0');
		end += 2;
	}
	if (*end == '%')
		end++;
	return *end == '\0' && whole <= 100 ? (int)(whole * 10 + tenth) : -1;
}

/* Seconds; -1: it is not of this shape. */
static long every_parse(const char *text)
{
	unsigned long count;
	char *end;

	for (size_t i = 0; i < ARRAY_SIZE(intervals); i++) {
		if (strcmp(text, intervals[i].word) == 0)
			return (long)intervals[i].seconds;
	}
	if (text[0] < '0' || text[0] > '9')
		return -1;
	count = MIN(strtoul(text, &end, 10), 100000UL);
	if (strcmp(end, "h") == 0)
		return (long)count * 3600;
	return strcmp(end, "d") == 0 ? (long)count * DAY_S : -1;
}

/* NULL when it is not a value of that kind; *ret_wanted says what is. */
static json_t *value_parse(const struct property *p, const char *text, const char **ret_wanted)
{
	uint64_t bytes = 0;
	int permille;

	switch (p->kind) {
	case PROPERTY_SIZE:
		*ret_wanted = "a size such as 20G, or none";
		if (strcmp(text, "none") == 0)
			return json_integer(0);
		if (size_parse(text, &bytes) < 0 || bytes > INT64_MAX)
			return NULL;
		return json_integer((json_int_t)bytes);
	case PROPERTY_SWITCH:
		*ret_wanted = "on or off";
		if (strcmp(text, "on") != 0 && strcmp(text, "off") != 0)
			return NULL;
		return json_boolean(strcmp(text, "on") == 0);
	case PROPERTY_FULL:
		*ret_wanted = "error or pause";
		if (strcmp(text, "error") != 0 && strcmp(text, "pause") != 0)
			return NULL;
		return json_string(text);
	case PROPERTY_PERMILLE:
		*ret_wanted = "a percentage such as 20%";
		permille = permille_parse(text);
		return permille < 0 ? NULL : json_integer(permille);
	case PROPERTY_EVERY:
		*ret_wanted =
			"off, daily, weekly, monthly, or a number of hours or days such as 36h";
		return every_parse(text) < 0 ? NULL : json_integer(every_parse(text));
	}
	UNREACHABLE();
}

int property_put(const struct property *all, const char *word, json_t *body)
{
	const size_t length = strcspn(word, "=");
	CLEANUP_FREE char *name = xasprintf("%.*s", (int)MIN(length, (size_t)64), word);
	const struct property *p = find(all, word, length);
	const char *wanted = "";
	json_t *value;

	if (word[length] == '\0')
		return fail(EXIT_USAGE, "\"%s\" is not KEY=VALUE", word);
	if (!p)
		return unknown(all, name);
	value = value_parse(p, word + length + 1, &wanted);
	if (!value)
		return fail(EXIT_USAGE, "%s must be %s, not \"%s\"", p->name, wanted,
			    word + length + 1);
	json_object_set_new(body, p->key, value);
	return EXIT_DONE;
}

int property_put_options(const struct invocation *in, const struct property *all, json_t *body)
{
	int status = EXIT_DONE;
	int cursor = 0;
	const char *word;

	while (status == EXIT_DONE && (word = invocation_next(in, "set", &cursor)))
		status = property_put(all, word, body);
	return status;
}

static char *every_print(unsigned long long seconds)
{
	for (size_t i = 0; i < ARRAY_SIZE(intervals); i++) {
		if (intervals[i].seconds == seconds)
			return xstrdup(intervals[i].word);
	}
	return seconds % DAY_S == 0 ? xasprintf("%llud", seconds / DAY_S)
				    : xasprintf("%lluh", seconds / 3600);
}

static char *value_print(const struct property *p, const json_t *answer)
{
	const unsigned long long number = show_number(answer, p->answer);
	char size[SIZE_TEXT_MAX];

	switch (p->kind) {
	case PROPERTY_SIZE:
		return xstrdup(number ? size_format(number, size) : "none");
	case PROPERTY_SWITCH:
		return xstrdup(show_truth(answer, p->answer) ? "on" : "off");
	case PROPERTY_FULL:
		return xstrdup(show_text(answer, p->answer));
	case PROPERTY_PERMILLE:
		return xasprintf("%llu.%llu%%", number / 10, number % 10);
	case PROPERTY_EVERY:
		return every_print(number);
	}
	UNREACHABLE();
}

void property_add(struct table *table, const struct property *p, const json_t *answer)
{
	CLEANUP_FREE char *value = value_print(p, answer);

	table_add(table, "%s", value);
}

int property_print(const struct invocation *in, const struct property *all, const json_t *answer)
{
	static const char *const head[] = {"PROPERTY", "VALUE", NULL};
	const char *name = in->argument_count > 1 ? in->arguments[1] : NULL;
	struct table table;

	if (name) {
		const struct property *p = find(all, name, strlen(name));
		CLEANUP_FREE char *value = p ? value_print(p, answer) : NULL;

		if (!p)
			return unknown(all, name);
		printf("%s\n", value);
		return EXIT_DONE;
	}
	show_head(&table, head);
	for (const struct property *p = all; p->name; p++) {
		table_add(&table, "%s", p->name);
		property_add(&table, p, answer);
	}
	table_print(&table);
	table_fini(&table);
	return EXIT_DONE;
}
