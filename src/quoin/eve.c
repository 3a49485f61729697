/* SPDX-License-Identifier: Apache-2.0 */
/* quoin eve: where EVE is told how the storage is, how that goes, and what is told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_text.h>

#include "show.h"
#include "words.h"

/* As typed, as asked, and whether it is a number of seconds. */
struct setting {
	const char *name, *key;
	bool seconds;
};

static const struct setting settings[] = {
	{"device", "device", false},	   {"socket", "socket", false},
	{"directory", "directory", false}, {"controller", "controller", false},
	{"format", "format", false},	   {"info", "info_s", true},
	{"metrics", "metrics_s", true},	   {"hardware", "hardware_s", true},
};

/* --- show ----------------------------------------------------------------------------------- */

static void settings_print(const json_t *all)
{
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		const char *text = show_text(all, settings[i].key);

		if (settings[i].seconds)
			show_line(settings[i].name, "every %llu s at most",
				  show_number(all, settings[i].key));
		else
			show_line(settings[i].name, "%s", text[0] != '\0' ? text : "off");
	}
}

static void way_add(struct table *table, const json_t *way)
{
	json_t *last =
		json_pack("{s:I}", "time_s", (json_int_t)(show_number(way, "last_ms") / 1000));
	char when[SHOW_TIME_MAX];

	table_add(table, "%s", show_text(way, "way"));
	table_add(table, "%llu", show_number(way, "delivered"));
	table_add(table, "%llu", show_number(way, "pending"));
	table_add(table, "%llu", show_number(way, "failed"));
	table_add(table, "%llu", show_number(way, "refused"));
	table_add(table, "%s",
		  show_number(way, "last_ms") > 0 ? show_time(last, "time_s", when) : "-");
	table_add(table, "%s", show_text(way, "problem"));
	json_decref(last);
}

static void ways_print(const json_t *all)
{
	static const char *const head[] = {"WAY",     "TOLD", "WAITING", "FAILED",
					   "REFUSED", "LAST", "PROBLEM", NULL};
	struct table table;
	size_t i;
	json_t *way;
	unsigned on = 0;

	show_head(&table, head);
	json_array_foreach(all, i, way)
	{
		if (show_truth(way, "on")) {
			way_add(&table, way);
			on++;
		}
	}
	if (on > 0) {
		printf("\n");
		table_print(&table);
	}
	table_fini(&table);
}

static void show(const json_t *answer)
{
	const char *problem = show_text(answer, "counters_problem");

	settings_print(json_object_get(answer, "settings"));
	ways_print(json_object_get(answer, "ways"));
	if (problem[0] != '-')
		printf("\n%s\n", problem);
}

static int ask(struct invocation *in, const struct client_request *request)
{
	json_t *answer = NULL;
	int status = words_send(in, request, &answer);

	if (status == EXIT_DONE && !in->json)
		show(answer);
	json_decref(answer);
	return status;
}

int verb_eve_show(struct invocation *in)
{
	const struct client_request request = {"GET", "/v1/eve", NULL};

	return ask(in, &request);
}

/* --- set ------------------------------------------------------------------------------------ */

static const struct setting *setting_find(const char *word, size_t length)
{
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		if (strlen(settings[i].name) == length &&
		    memcmp(settings[i].name, word, length) == 0)
			return &settings[i];
	}
	return NULL;
}

/* A path of here; "none" is none. */
static json_t *text_value(const struct setting *s, const char *text)
{
	if (strcmp(text, "none") == 0)
		return json_null();
	if (strcmp(s->key, "socket") == 0 || strcmp(s->key, "directory") == 0)
		return words_path(text);
	return json_string(text);
}

static int setting_put(const char *word, json_t *body)
{
	const size_t length = strcspn(word, "=");
	const struct setting *s = setting_find(word, length);
	const char *text = word + length + 1;
	unsigned seconds = 0;
	int status;

	if (word[length] == '\0')
		return fail(EXIT_USAGE, "\"%s\" is not KEY=VALUE", word);
	if (!s)
		return fail(EXIT_USAGE, "there is no setting \"%.*s\": see quoin(1)",
			    (int)MIN(length, (size_t)64), word);
	if (s->seconds) {
		status = words_number(s->name, text, &seconds);
		if (status == EXIT_DONE)
			json_object_set_new(body, s->key, json_integer(seconds));
		return status;
	}
	if (json_object_set_new(body, s->key, text_value(s, text)) < 0)
		return fail(EXIT_USAGE, "%s must be UTF-8", s->name);
	return EXIT_DONE;
}

int verb_eve_set(struct invocation *in)
{
	json_t *body = json_object();
	const struct client_request request = {"PATCH", "/v1/eve", body};
	int status = EXIT_DONE;

	for (int i = 0; status == EXIT_DONE && i < in->argument_count; i++)
		status = setting_put(in->arguments[i], body);
	if (status == EXIT_DONE)
		status = words_send(in, &request, NULL);
	json_decref(body);
	return status;
}

/* --- send, print ---------------------------------------------------------------------------- */

int verb_eve_send(struct invocation *in)
{
	const struct client_request request = {"POST", "/v1/eve/send", NULL};

	return words_send(in, &request, NULL);
}

int verb_eve_print(struct invocation *in)
{
	const struct client_request request = {"GET", "/v1/eve/messages", NULL};
	json_t *answer = NULL;
	int status = words_send(in, &request, &answer);

	/* It is JSON in any case. */
	if (status == EXIT_DONE && !in->json) {
		json_dumpf(answer, stdout, JSON_INDENT(2));
		printf("\n");
	}
	json_decref(answer);
	return status;
}
