/* SPDX-License-Identifier: Apache-2.0 */
/* quoin pool list, status, get and history, for people. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_text.h>

#include "pool_trim.h"
#include "pool_verbose.h"
#include "property.h"
#include "show.h"
#include "words.h"

static bool is_failed(const json_t *pool)
{
	return strcmp(show_text(pool, "health"), "failed") == 0;
}

static void list_row(struct table *table, const json_t *pool)
{
	const unsigned long long size = show_number(pool, "size_bytes");
	const unsigned long long used = show_number(pool, "allocated_bytes");
	char text[SIZE_TEXT_MAX];

	table_add(table, "%s", show_text(pool, "name"));
	if (is_failed(pool)) {
		for (int i = 0; i < 4; i++)
			table_add(table, "-");
	} else {
		table_add(table, "%s", size_format(size, text));
		table_add(table, "%s", size_format(used, text));
		table_add(table, "%s", size_format(size - MIN(used, size), text));
		table_add(table, "%.0f%%", size ? 100.0 * (double)used / (double)size : 0.0);
	}
	table_add(table, "%s", show_text(pool, "health"));
}

int verb_pool_list(struct invocation *in)
{
	static const char *const head[] = {"NAME", "SIZE", "ALLOC", "FREE", "CAP", "HEALTH", NULL};
	json_t *answer = NULL;
	struct table table;
	size_t i;
	json_t *pool;
	int status = words_send(in, &(struct client_request){"GET", "/v1/pools", NULL}, &answer);

	if (status == EXIT_DONE && !in->json) {
		show_head(&table, head);
		json_array_foreach(json_object_get(answer, "pools"), i, pool)
			list_row(&table, pool);
		table_print(&table);
		table_fini(&table);
	}
	json_decref(answer);
	return status;
}

/* --- Status
 * ---------------------------------------------------------------------------------------- */

static void drives_print(const json_t *drives)
{
	static const char *const head[] = {"DRIVE", "STATE", "GROUP", "SIZE",
					   "READ",  "WRITE", "CHECK", NULL};
	char size[SIZE_TEXT_MAX];
	struct table table;
	size_t i;
	json_t *drive;

	show_head(&table, head);
	json_array_foreach(drives, i, drive)
	{
		table_add(&table, "%s", show_text(drive, "path"));
		table_add(&table, "%s", show_text(drive, "state"));
		table_add(&table, "%s %llu", show_truth(drive, "mirrored") ? "mirror" : "drive",
			  show_number(drive, "group"));
		table_add(&table, "%s", show_size(drive, "size_bytes", size));
		table_add(&table, "%llu", show_number(drive, "read_errors"));
		table_add(&table, "%llu", show_number(drive, "write_errors"));
		table_add(&table, "%llu", show_number(drive, "check_errors"));
	}
	printf("\n");
	table_print(&table);
	table_fini(&table);
}

static void trim_print(const json_t *trim)
{
	CLEANUP_FREE char *words = NULL;

	if (!json_is_object(trim))
		return;
	words = pool_trim_words(trim);
	show_line("trim", "%s", words);
}

static void space_print(const json_t *pool)
{
	char a[SIZE_TEXT_MAX];
	char b[SIZE_TEXT_MAX];
	char c[SIZE_TEXT_MAX];

	show_line("space", "%s, %s used, %s to guests%s", show_size(pool, "size_bytes", a),
		  show_size(pool, "allocated_bytes", b), show_size(pool, "available_bytes", c),
		  show_truth(pool, "full") ? " (FULL: guests cannot write)" : "");
	show_line("kept back", "%s, %s more promised to volumes",
		  show_size(pool, "reserve_bytes", a), show_size(pool, "reserved_bytes", b));
	show_line("freeing", "%s", show_size(pool, "freeing_bytes", a));
	show_line("discarded", "%s, %s more to come", show_size(pool, "discarded_bytes", a),
		  show_size(pool, "discarding_bytes", b));
	trim_print(json_object_get(pool, "trim"));
	show_line("holds", "%llu volume%s, %llu snapshot%s", show_number(pool, "volumes"),
		  show_number(pool, "volumes") == 1 ? "" : "s", show_number(pool, "snapshots"),
		  show_number(pool, "snapshots") == 1 ? "" : "s");
	show_line("memory", "%s on worker %llu", show_size(pool, "memory_bytes", a),
		  show_number(pool, "worker"));
	show_line("errors", "%llu read, %llu write, %llu check, %llu healed",
		  show_number(pool, "read_errors"), show_number(pool, "write_errors"),
		  show_number(pool, "check_errors"), show_number(pool, "healed"));
}

static void status_print(const json_t *pool, bool verbose)
{
	show_line("pool", "%s (%s)", show_text(pool, "name"), show_text(pool, "guid"));
	show_line("health", "%s%s", show_text(pool, "health"),
		  show_truth(pool, "read_only") ? ", read-only" : "");
	show_line("problem", "%s",
		  json_is_string(json_object_get(pool, "problem")) ? show_text(pool, "problem")
								   : "none");
	if (is_failed(pool))
		show_line("what to do", "quoin pool import %s, when its drives are there",
			  show_text(pool, "name"));
	else
		space_print(pool);
	if (verbose && !is_failed(pool))
		pool_verbose_print(pool);
	drives_print(json_object_get(pool, "drives"));
}

static void status_all_print(const json_t *pools, bool verbose)
{
	size_t i;
	json_t *pool;

	json_array_foreach(pools, i, pool)
	{
		if (i > 0)
			printf("\n");
		status_print(pool, verbose);
	}
	if (json_array_size(pools) == 0)
		printf("there are no pools: see quoin pool create and import\n");
}

static int status_all(struct invocation *in)
{
	json_t *answer = NULL;
	int status = words_send(in, &(struct client_request){"GET", "/v1/pools", NULL}, &answer);

	if (status == EXIT_DONE && !in->json)
		status_all_print(json_object_get(answer, "pools"), false);
	json_decref(answer);
	return status;
}

/* Borrowed from the answer; NULL, with the error told, when there is none. */
static const json_t *pool_find(const json_t *pools, const char *name)
{
	size_t i;
	json_t *pool;

	json_array_foreach(pools, i, pool)
	{
		if (strcmp(show_text(pool, "name"), name) == 0)
			return pool;
	}
	fail(EXIT_REFUSED, "there is no pool \"%s\": see quoin pool list", name);
	return NULL;
}

/* What there is more to say is not asked of the pool, but of who looks at it. */
static int status_verbose(struct invocation *in)
{
	const bool wants_json = in->json;
	const json_t *shown = NULL;
	json_t *answer = NULL;
	int status;

	in->json = false;
	status = words_send(in, &(struct client_request){"GET", "/v1/health", NULL}, &answer);
	if (status == EXIT_DONE)
		shown = json_object_get(answer, "pools");
	if (shown && in->argument_count > 0)
		shown = pool_find(shown, in->arguments[0]);
	if (!shown)
		status = EXIT_REFUSED;
	else if (wants_json)
		words_print(shown);
	else if (in->argument_count > 0)
		status_print(shown, true);
	else
		status_all_print(shown, true);
	json_decref(answer);
	return status;
}

/* GET of the pool that the first argument names. */
static int pool_get(struct invocation *in, const char *suffix, json_t **ret_answer)
{
	CLEANUP_FREE char *path = words_pool_path(in->arguments[0], suffix);

	if (!path)
		return EXIT_REFUSED;
	return words_send(in, &(struct client_request){"GET", path, NULL}, ret_answer);
}

int verb_pool_status(struct invocation *in)
{
	json_t *answer = NULL;
	int status;

	if (invocation_option(in, "verbose"))
		return status_verbose(in);
	if (in->argument_count == 0)
		return status_all(in);
	status = pool_get(in, "", &answer);
	if (status == EXIT_DONE && !in->json)
		status_print(answer, false);
	json_decref(answer);
	return status;
}

int verb_pool_get(struct invocation *in)
{
	json_t *answer = NULL;
	int status = pool_get(in, "", &answer);

	if (status == EXIT_DONE && !in->json)
		status = property_print(in, property_pool, answer);
	json_decref(answer);
	return status;
}

int verb_pool_history(struct invocation *in)
{
	json_t *answer = NULL;
	size_t i;
	json_t *line;
	int status = pool_get(in, "/history", &answer);

	if (status == EXIT_DONE && !in->json) {
		json_array_foreach(json_object_get(answer, "history"), i, line)
		{
			char when[SHOW_TIME_MAX];

			printf("%s  %s\n", show_time(line, "time_s", when),
			       show_text(line, "text"));
		}
	}
	json_decref(answer);
	return status;
}
