/* SPDX-License-Identifier: Apache-2.0 */
/* quoin drive: what the drives of the pools say of themselves, and their self-tests. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <quoin/base_text.h>

#include "show.h"
#include "words.h"

#define ANSWER_TRIES 300 /* of 100 ms: as long as a drive may take, and more */

static const struct client_request drives_get = {"GET", "/v1/drives", NULL};

static void number_add(struct table *table, const json_t *drive, const char *key, const char *unit)
{
	if (json_is_integer(json_object_get(drive, key)))
		table_add(table, "%llu%s", show_number(drive, key), unit);
	else
		table_add(table, "-");
}

static void row_add(struct table *table, const json_t *drive)
{
	const char *collector = show_text(drive, "collector");

	table_add(table, "%s", show_text(drive, "path"));
	table_add(table, "%s", show_text(drive, "protocol"));
	table_add(table, "%s", show_text(drive, "verdict"));
	number_add(table, drive, "temperature_c", " C");
	number_add(table, drive, "used_percent", "%");
	number_add(table, drive, "power_on_hours", "");
	table_add(table, "%s", show_text(drive, "self_test"));
	table_add(table, "%s", collector[0] != '-' ? collector : show_text(drive, "reason"));
}

int verb_drive_list(struct invocation *in)
{
	static const char *const head[] = {"DRIVE", "KIND",	 "VERDICT", "TEMPERATURE", "USED",
					   "HOURS", "SELF-TEST", "WHY",	    NULL};
	json_t *answer = NULL;
	struct table table;
	size_t i;
	json_t *drive;
	int status = words_send(in, &drives_get, &answer);

	if (status == EXIT_DONE && !in->json) {
		show_head(&table, head);
		json_array_foreach(json_object_get(answer, "drives"), i, drive)
			row_add(&table, drive);
		table_print(&table);
		table_fini(&table);
	}
	json_decref(answer);
	return status;
}

/* --- One drive ---------------------------------------------------------------------------------
 */

/* Borrowed from the answer; NULL, with the error told, when there is none. */
static const json_t *drive_find(const json_t *answer, const char *path)
{
	size_t i;
	json_t *drive;

	json_array_foreach(json_object_get(answer, "drives"), i, drive)
	{
		if (strcmp(show_text(drive, "path"), path) == 0)
			return drive;
	}
	fail(EXIT_REFUSED, "%s is no drive of an imported pool: see quoin drive list", path);
	return NULL;
}

static void number_line(const json_t *drive, const char *key, const char *what, const char *unit)
{
	if (json_is_integer(json_object_get(drive, key)))
		show_line(what, "%llu%s", show_number(drive, key), unit);
}

static void size_line(const json_t *drive, const char *key, const char *what)
{
	char text[SIZE_TEXT_MAX];

	if (json_is_integer(json_object_get(drive, key)))
		show_line(what, "%s", show_size(drive, key, text));
}

static void attributes_print(const json_t *all)
{
	static const char *const head[] = {"ID",    "ATTRIBUTE", "VALUE", "WORST",
					   "LIMIT", "RAW",	 NULL};
	struct table table;
	size_t i;
	json_t *a;

	if (json_array_size(all) == 0)
		return;
	show_head(&table, head);
	json_array_foreach(all, i, a)
	{
		table_add(&table, "%llu", show_number(a, "id"));
		table_add(&table, "%s%s", show_text(a, "name"),
			  show_truth(a, "failing") ? " (at its limit)" : "");
		table_add(&table, "%llu", show_number(a, "value"));
		table_add(&table, "%llu", show_number(a, "worst"));
		table_add(&table, "%llu", show_number(a, "threshold"));
		table_add(&table, "%llu", show_number(a, "raw"));
	}
	printf("\n");
	table_print(&table);
	table_fini(&table);
}

static void info_print(const json_t *drive)
{
	show_line("drive", "%s", show_text(drive, "path"));
	show_line("kind", "%s, model %s, serial %s, firmware %s", show_text(drive, "protocol"),
		  show_text(drive, "model"), show_text(drive, "serial"),
		  show_text(drive, "firmware"));
	if (json_is_string(json_object_get(drive, "wwn")))
		show_line("wwn", "%s", show_text(drive, "wwn"));
	show_line("verdict", "%s%s%s", show_text(drive, "verdict"),
		  json_is_string(json_object_get(drive, "reason")) ? ": " : "",
		  json_is_string(json_object_get(drive, "reason")) ? show_text(drive, "reason")
								   : "");
	if (json_is_string(json_object_get(drive, "collector")))
		show_line("no answer", "%s", show_text(drive, "collector"));
	number_line(drive, "temperature_c", "temperature", " C");
	number_line(drive, "used_percent", "used", "% of its endurance");
	number_line(drive, "spare_percent", "spare", "%");
	number_line(drive, "power_on_hours", "powered on", " hours");
	number_line(drive, "media_errors", "media errors", "");
	if (json_is_integer(json_object_get(drive, "last_error_status")))
		show_line("last error", "status %llxh, at block %llu of %llu in its log",
			  show_number(drive, "last_error_status"),
			  show_number(drive, "last_error_lba"),
			  show_number(drive, "error_log_entries"));
	number_line(drive, "reallocated_sectors", "reallocated", " sectors");
	number_line(drive, "pending_sectors", "pending", " sectors");
	size_line(drive, "read_bytes", "read");
	size_line(drive, "written_bytes", "written");
	if (json_is_string(json_object_get(drive, "backing")))
		show_line("on", "%s", show_text(drive, "backing"));
	size_line(drive, "free_below_bytes", "free below");
	show_line("self-test", "%s", show_text(drive, "self_test"));
	number_line(drive, "self_test_percent", "done", "%");
	attributes_print(json_object_get(drive, "attributes"));
}

int verb_drive_info(struct invocation *in)
{
	const bool wants_json = in->json;
	const json_t *drive = NULL;
	json_t *answer = NULL;
	int status;

	in->json = false;
	status = words_send(in, &drives_get, &answer);
	if (status == EXIT_DONE) {
		drive = drive_find(answer, in->arguments[0]);
		status = drive ? EXIT_DONE : EXIT_REFUSED;
	}
	if (drive && wants_json)
		words_print(drive);
	else if (drive)
		info_print(drive);
	json_decref(answer);
	return status;
}

/* --- Self-tests --------------------------------------------------------------------------------
 */

/* The drive takes its time: -1 while it has not said. */
static int answer_look(struct invocation *in)
{
	json_t *answer = NULL;
	const json_t *drive;
	int status = words_send(in, &drives_get, &answer);

	if (status == EXIT_DONE) {
		drive = drive_find(answer, in->arguments[0]);
		if (!drive)
			status = EXIT_REFUSED;
		else if (show_truth(drive, "test_asked"))
			status = -1;
		else if (json_is_string(json_object_get(drive, "test_problem")))
			status = fail(EXIT_REFUSED, "%s", show_text(drive, "test_problem"));
	}
	json_decref(answer);
	return status;
}

int verb_drive_test(struct invocation *in)
{
	const bool is_long = invocation_option(in, "long") != NULL;
	const bool is_stop = invocation_option(in, "stop") != NULL;
	const bool wants_json = in->json;
	json_t *body;
	int status;

	if (is_long && is_stop)
		return fail(EXIT_USAGE, "--long and --stop exclude each other");
	body = words_named(in, "path", in->arguments[0]);
	if (!body)
		return EXIT_USAGE;
	json_object_set_new(body, "test",
			    json_string(is_stop	  ? "stop"
					: is_long ? "long"
						  : "short"));
	in->json = false;
	status = words_send(in, &(struct client_request){"POST", "/v1/drives/test", body}, NULL);
	json_decref(body);
	for (int i = 0; status == EXIT_DONE; i++) {
		status = answer_look(in);
		if (status != -1)
			break;
		if (i == ANSWER_TRIES)
			return fail(EXIT_REFUSED, "%s does not answer", in->arguments[0]);
		usleep(100000);
		status = EXIT_DONE;
	}
	if (status == EXIT_DONE && wants_json)
		printf("{}\n");
	return status;
}
