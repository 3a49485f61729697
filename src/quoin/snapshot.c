/* SPDX-License-Identifier: Apache-2.0 */
/* quoin snapshot list: pages of the daemon put together. The verbs that change are in volume.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_text.h>

#include "show.h"
#include "words.h"

/* All snapshots of a pool or volume, behind those that are in `all`. */
static int snapshots_get(struct invocation *in, const char *name, json_t *all)
{
	json_t *body = words_named(in, "name", name);
	bool more = body != NULL;
	int status = body ? EXIT_DONE : EXIT_USAGE;

	while (more && status == EXIT_DONE) {
		const struct client_request request = {"POST", "/v1/snapshots/list", body};
		json_t *answer = NULL;
		json_t *next;
		struct err err;

		if (client_send(&in->client, &request, &answer, &err) < 0)
			status = fail(EXIT_REFUSED, "%s", err.text);
		json_array_extend(all, json_object_get(answer, "snapshots"));
		next = json_object_get(answer, "next");
		more = json_is_integer(next);
		if (more)
			json_object_set(body, "cursor", next);
		json_decref(answer);
	}
	json_decref(body);
	return status;
}

/* Of every pool that is imported. */
static int snapshots_get_all(struct invocation *in, json_t *all)
{
	const struct client_request request = {"GET", "/v1/pools", NULL};
	json_t *pools = NULL;
	struct err err;
	size_t i;
	json_t *pool;
	int status = EXIT_DONE;

	if (client_send(&in->client, &request, &pools, &err) < 0)
		return fail(EXIT_REFUSED, "%s", err.text);
	json_array_foreach(json_object_get(pools, "pools"), i, pool)
	{
		if (status == EXIT_DONE && strcmp(show_text(pool, "health"), "failed") != 0)
			status = snapshots_get(in, show_text(pool, "name"), all);
	}
	json_decref(pools);
	return status;
}

static char *holds_join(const json_t *holds)
{
	struct text t;
	size_t i;
	json_t *hold;

	text_init(&t);
	json_array_foreach(holds, i, hold)
		text_printf(&t, "%s%s", i > 0 ? "," : "", json_string_value(hold));
	if (t.length == 0)
		text_printf(&t, "-");
	return text_detach(&t);
}

static void list_print(const json_t *snapshots)
{
	static const char *const head[] = {"NAME",    "USED",	  "REFER", "WRITTEN",
					   "CREATED", "TEMPLATE", "HOLDS", NULL};
	static const char *const keys[] = {"unique_bytes", "referenced_bytes", "written_bytes"};
	char size[SIZE_TEXT_MAX];
	char when[SHOW_TIME_MAX];
	struct table table;
	size_t i;
	json_t *snapshot;

	show_head(&table, head);
	json_array_foreach(snapshots, i, snapshot)
	{
		CLEANUP_FREE char *holds = holds_join(json_object_get(snapshot, "holds"));
		const bool counted = show_truth(snapshot, "counted");

		table_add(&table, "%s", show_text(snapshot, "name"));
		for (size_t k = 0; k < ARRAY_SIZE(keys); k++)
			table_add(&table, "%s", counted ? show_size(snapshot, keys[k], size) : "-");
		table_add(&table, "%s", show_time(snapshot, "created_s", when));
		table_add(&table, "%s", show_truth(snapshot, "template") ? "yes" : "-");
		table_add(&table, "%s", holds);
	}
	table_print(&table);
	table_fini(&table);
}

int verb_snapshot_list(struct invocation *in)
{
	json_t *all = json_array();
	int status = in->argument_count > 0 ? snapshots_get(in, in->arguments[0], all)
					    : snapshots_get_all(in, all);

	if (status == EXIT_DONE && in->json) {
		json_t *answer = json_pack("{s:O}", "snapshots", all);

		json_dumpf(answer, stdout, JSON_INDENT(2));
		printf("\n");
		json_decref(answer);
	} else if (status == EXIT_DONE) {
		list_print(all);
	}
	json_decref(all);
	return status;
}
