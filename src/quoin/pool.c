/* SPDX-License-Identifier: Apache-2.0 */
/* quoin pool: what changes one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_text.h>

#include "property.h"
#include "show.h"
#include "words.h"

/* --- Layout
 * --------------------------------------------------------------------------------------- */

static const char *const later_words[] = {"raidz1", "raidz2", "raidz3", "spare", "log", "cache"};

static bool is_word(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(later_words); i++) {
		if (strcmp(word, later_words[i]) == 0)
			return true;
	}
	return false;
}

static int mirror_close(const json_t *mirror)
{
	if (!mirror || json_array_size(mirror) >= 2)
		return EXIT_DONE;
	return fail(EXIT_USAGE, "a mirror has two drives or more");
}

/* DRIVE... or mirror DRIVE... mirror DRIVE...: an array of drives for each that mirror each other.
 */
static int layout_body(const struct invocation *in, json_t *groups)
{
	json_t *mirror = NULL;
	int status = EXIT_DONE;

	for (int i = 1; status == EXIT_DONE && i < in->argument_count; i++) {
		const char *word = in->arguments[i];
		json_t *group = mirror;

		if (is_word(word))
			return fail(EXIT_USAGE,
				    "\"%s\" comes with a later version: this one has "
				    "drives alone and mirrors",
				    word);
		if (strcmp(word, "mirror") == 0) {
			status = mirror_close(mirror);
			mirror = json_array();
			json_array_append_new(groups, mirror);
			continue;
		}
		if (!group) {
			group = json_array();
			json_array_append_new(groups, group);
		}
		if (json_array_append_new(group, words_path(word)) < 0)
			return fail(EXIT_USAGE, "\"%s\" must be UTF-8", word);
	}
	return status == EXIT_DONE ? mirror_close(mirror) : status;
}

int verb_pool_create(struct invocation *in)
{
	json_t *groups = json_array();
	json_t *body = json_pack("{s:o}", "groups", groups);
	json_t *answer = NULL;
	int status = EXIT_DONE;

	if (json_object_set_new(body, "name", json_string(in->arguments[0])) < 0)
		status = fail(EXIT_USAGE, "the name must be UTF-8");
	if (status == EXIT_DONE)
		status = layout_body(in, groups);
	if (status == EXIT_DONE)
		status = property_put_options(in, property_pool, body);
	if (invocation_option(in, "force"))
		json_object_set_new(body, "force", json_true());
	if (status == EXIT_DONE)
		status = words_send(in, &(struct client_request){"POST", "/v1/pools", body},
				    &answer);
	if (status == EXIT_DONE && !in->json) {
		char size[SIZE_TEXT_MAX];

		printf("%s is there, with room for %s\n", in->arguments[0],
		       show_size(answer, "available_bytes", size));
	}
	json_decref(answer);
	json_decref(body);
	return status;
}

/* --- Import
 * ---------------------------------------------------------------------------------------- */

static int paths_body(const struct invocation *in, json_t *body)
{
	json_t *paths = json_array();
	int bad = 0;
	int cursor = 0;
	const char *directory;

	for (int i = 1; i < in->argument_count; i++)
		bad |= json_array_append_new(paths, words_path(in->arguments[i]));
	while ((directory = invocation_next(in, "dir", &cursor))) {
		CLEANUP_FREE char *real = realpath(directory, NULL);

		bad |= json_array_append_new(paths, words_path(real ? real : directory));
	}
	if (json_array_size(paths) > 0)
		json_object_set(body, "paths", paths);
	json_decref(paths);
	return bad ? fail(EXIT_USAGE, "the paths must be UTF-8") : EXIT_DONE;
}

static void found_row(struct table *table, const json_t *pool)
{
	char when[SHOW_TIME_MAX];

	table_add(table, "%s", show_text(pool, "name"));
	table_add(table, "%s", show_text(pool, "guid"));
	table_add(table, "%llu of %llu", show_number(pool, "drives_found"),
		  show_number(pool, "drives"));
	table_add(table, "%s", show_time(pool, "time_s", when));
	table_add(table, "%s", show_text(pool, "host_name"));
	if (show_number(pool, "drives_found") < show_number(pool, "drives"))
		table_add(table, "drives are missing");
	else if (show_truth(pool, "other_host"))
		table_add(table, "not exported there: wants --force");
	else
		table_add(table, "can be imported");
}

static int importable_list(struct invocation *in)
{
	static const char *const head[] = {"NAME", "GUID",  "DRIVES", "LAST USED",
					   "HOST", "STATE", NULL};
	json_t *body = json_object();
	json_t *answer = NULL;
	struct table table;
	size_t i;
	json_t *pool;
	int status = paths_body(in, body);

	if (status == EXIT_DONE)
		status =
			words_send(in, &(struct client_request){"POST", "/v1/scan", body}, &answer);
	if (status == EXIT_DONE && !in->json) {
		show_head(&table, head);
		json_array_foreach(json_object_get(answer, "pools"), i, pool)
			found_row(&table, pool);
		table_print(&table);
		table_fini(&table);
	}
	json_decref(answer);
	json_decref(body);
	return status;
}

int verb_pool_import(struct invocation *in)
{
	CLEANUP_FREE char *path = NULL;
	json_t *body;
	int status;

	if (in->argument_count == 0)
		return importable_list(in);
	path = words_pool_path(in->arguments[0], "/import");
	if (!path)
		return EXIT_REFUSED;
	body = json_object();
	status = paths_body(in, body);
	if (invocation_option(in, "force"))
		json_object_set_new(body, "force", json_true());
	if (invocation_option(in, "read-only"))
		json_object_set_new(body, "read_only", json_true());
	if (status == EXIT_DONE)
		status = words_put_number(in, "rewind", "rewind", body);
	if (status == EXIT_DONE)
		status = words_send(in, &(struct client_request){"POST", path, body}, NULL);
	json_decref(body);
	return status;
}

/* --- The rest
 * -------------------------------------------------------------------------------------- */

int verb_pool_export(struct invocation *in)
{
	CLEANUP_FREE char *path = words_pool_path(in->arguments[0], "/export");

	if (!path)
		return EXIT_REFUSED;
	return words_send(in, &(struct client_request){"POST", path, NULL}, NULL);
}

int verb_pool_destroy(struct invocation *in)
{
	CLEANUP_FREE char *path = words_pool_path(in->arguments[0], "/destroy");
	json_t *body = json_object();
	int status = EXIT_REFUSED;

	if (invocation_option(in, "force"))
		json_object_set_new(body, "force", json_true());
	if (path)
		status = words_send(in, &(struct client_request){"POST", path, body}, NULL);
	json_decref(body);
	return status;
}

int verb_pool_set(struct invocation *in)
{
	CLEANUP_FREE char *path = words_pool_path(in->arguments[0], "");
	json_t *body = json_object();
	int status = path ? EXIT_DONE : EXIT_REFUSED;

	for (int i = 1; status == EXIT_DONE && i < in->argument_count; i++)
		status = property_put(property_pool, in->arguments[i], body);
	if (status == EXIT_DONE)
		status = words_send(in, &(struct client_request){"PATCH", path, body}, NULL);
	json_decref(body);
	return status;
}
