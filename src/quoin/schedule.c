/* SPDX-License-Identifier: Apache-2.0 */
/* quoin schedule: what is done to pools by itself, and when. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_text.h>

#include "property.h"
#include "show.h"
#include "words.h"

/* The first of the drives'; 0 = none is planned. */
static unsigned long long next_of(const json_t *drives, const char *key, const char **ret_path)
{
	unsigned long long first = 0;
	size_t i;
	json_t *drive;

	json_array_foreach(drives, i, drive)
	{
		const unsigned long long next = show_number(drive, key);

		if (next == 0 || (first != 0 && next >= first))
			continue;
		first = next;
		*ret_path = show_text(drive, "path");
	}
	return first;
}

static void job_row(struct table *table, const json_t *schedule, const struct property *p)
{
	CLEANUP_FREE char *key = xasprintf("next_%s", p->answer);
	const json_t *every = json_object_get(schedule, p->answer);
	const char *path = "-";
	json_t *next;
	char when[SHOW_TIME_MAX];
	unsigned long long next_s;

	if (!json_is_integer(every))
		return;
	next_s = show_number(schedule, key);
	if (next_s == 0)
		next_s = next_of(json_object_get(schedule, "drives"), key, &path);
	next = json_pack("{s:I}", "s", (json_int_t)next_s);
	table_add(table, "%s", show_text(schedule, "pool"));
	table_add(table, "%s", p->name);
	property_add(table, p, schedule);
	table_add(table, "%s", next_s > 0 ? show_time(next, "s", when) : "-");
	table_add(table, "%s", path);
	json_decref(next);
}

int verb_schedule_list(struct invocation *in)
{
	static const char *const head[] = {"POOL", "JOB", "EVERY", "NEXT", "DRIVE", NULL};
	static const struct client_request request = {"GET", "/v1/schedules", NULL};
	json_t *answer = NULL;
	struct table table;
	size_t i;
	json_t *schedule;
	int status = words_send(in, &request, &answer);

	if (status == EXIT_DONE && !in->json) {
		show_head(&table, head);
		json_array_foreach(json_object_get(answer, "schedules"), i, schedule)
		{
			for (const struct property *p = property_schedule; p->name; p++)
				job_row(&table, schedule, p);
		}
		table_print(&table);
		table_fini(&table);
	}
	json_decref(answer);
	return status;
}

int verb_schedule_set(struct invocation *in)
{
	CLEANUP_FREE char *suffix = words_pool_path(in->arguments[0], "");
	CLEANUP_FREE char *path = NULL;
	json_t *body = json_object();
	int status = suffix ? EXIT_DONE : EXIT_REFUSED;

	if (suffix)
		path = xasprintf("/v1/schedules/%s", in->arguments[0]);
	for (int i = 1; status == EXIT_DONE && i < in->argument_count; i++)
		status = property_put(property_schedule, in->arguments[i], body);
	if (status == EXIT_DONE)
		status = words_send(in, &(struct client_request){"PATCH", path, body}, NULL);
	json_decref(body);
	return status;
}
