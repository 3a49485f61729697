/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quoin volume export, which waits for the end and shows how far it is, and quoin export. The
 * daemon does the work: Ctrl-C asks it to stop, and its words are waited for.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <quoin/base_text.h>

#include "progress.h"
#include "show.h"
#include "words.h"

#define LOOK_MS 200

/* They are waited for, between two looks, instead of ending the program. */
static void signals_take(sigset_t *ret_set)
{
	sigemptyset(ret_set);
	sigaddset(ret_set, SIGINT);
	sigaddset(ret_set, SIGTERM);
	sigprocmask(SIG_BLOCK, ret_set, NULL);
}

static void progress_show(const json_t *export)
{
	const uint64_t all = show_number(export, "data_bytes");
	const uint64_t done = MIN(show_number(export, "done_bytes"), all);
	const uint64_t elapsed_ms = show_number(export, "elapsed_ms");
	const uint64_t rate = elapsed_ms > 0 ? done * 1000 / elapsed_ms : 0;
	char a[SIZE_TEXT_MAX];
	char b[SIZE_TEXT_MAX];
	struct text t;

	text_init(&t);
	text_printf(&t, "%u%% (%s of %s)", progress_percent(done, all), size_format(done, a),
		    size_format(all, b));
	if (rate > 0) {
		text_printf(&t, " at %s/s", size_format(rate, a));
		progress_left(&t, (all - done) / rate);
	}
	progress_draw(done, all, t.data);
	text_fini(&t);
}

static bool running(const json_t *export)
{
	return strcmp(show_text(export, "state"), "running") == 0;
}

static int cancel_send(const struct invocation *in, const char *path)
{
	json_t *none = NULL;
	struct err err;
	const int r = client_send(&in->client, &(struct client_request){"DELETE", path, NULL},
				  &none, &err);

	json_decref(none);
	return r < 0 ? fail(EXIT_REFUSED, "%s", err.text) : EXIT_DONE;
}

/* Until it has ended; *export is what the daemon says of it then. */
static int wait_for_end(const struct invocation *in, const sigset_t *signals, json_t **export)
{
	const struct timespec nap = {.tv_nsec = LOOK_MS * 1000000L};
	CLEANUP_FREE char *path = xasprintf("/v1/exports/%llu", show_number(*export, "id"));
	const bool terminal = progress_wanted(in);
	bool asked = false;
	int status = EXIT_DONE;

	while (running(*export) && status == EXIT_DONE) {
		struct err err;
		json_t *now = NULL;

		if (terminal)
			progress_show(*export);
		if (sigtimedwait(signals, NULL, &nap) > 0 && !asked) {
			status = cancel_send(in, path);
			asked = true;
		}
		if (client_send(&in->client, &(struct client_request){"GET", path, NULL}, &now,
				&err) < 0)
			return fail(EXIT_REFUSED, "%s", err.text);
		json_decref(*export);
		*export = now;
	}
	if (terminal)
		progress_clear();
	return status;
}

static int end_tell(const struct invocation *in, const json_t *export)
{
	const char *state = show_text(export, "state");

	if (in->json) {
		json_dumpf(export, stdout, JSON_INDENT(2));
		printf("\n");
	}
	if (strcmp(state, "done") == 0)
		return EXIT_DONE;
	if (strcmp(state, "cancelled") == 0)
		return fail(EXIT_REFUSED, "the export of %s was cancelled; %s is not there",
			    show_text(export, "name"), show_text(export, "to"));
	return fail(EXIT_REFUSED, "%s is not exported: %s", show_text(export, "name"),
		    show_text(export, "problem"));
}

static int body_make(const struct invocation *in, json_t **ret_body)
{
	const char *to = invocation_option(in, "to");
	json_t *body = words_named(in, "name", in->arguments[0]);

	*ret_body = body;
	if (!body)
		return EXIT_USAGE;
	if (!to || to[0] == '\0')
		return fail(EXIT_USAGE, "volume export needs --to FILE");
	if (json_object_set_new(body, "to", words_path(to)) < 0)
		return fail(EXIT_USAGE, "\"%s\" must be UTF-8", to);
	if (invocation_option(in, "force"))
		json_object_set_new(body, "force", json_true());
	return words_put_text(in, "format", "format", body);
}

int verb_volume_export(struct invocation *in)
{
	json_t *body = NULL;
	json_t *export = NULL;
	sigset_t signals;
	struct err err;
	int status = body_make(in, &body);

	signals_take(&signals);
	if (status == EXIT_DONE &&
	    client_send(&in->client, &(struct client_request){"POST", "/v1/exports", body}, &export,
			&err) < 0)
		status = fail(EXIT_REFUSED, "%s", err.text);
	if (status == EXIT_DONE)
		status = wait_for_end(in, &signals, &export);
	if (status == EXIT_DONE)
		status = end_tell(in, export);
	json_decref(export);
	json_decref(body);
	return status;
}

static void list_print(const json_t *exports)
{
	static const char *const head[] = {"ID",    "VOLUME", "FILE", "FORMAT",
					   "STATE", "DONE",   "OF",   NULL};
	char size[SIZE_TEXT_MAX];
	struct table table;
	size_t i;
	json_t *export;

	show_head(&table, head);
	json_array_foreach(exports, i, export)
	{
		table_add(&table, "%llu", show_number(export, "id"));
		table_add(&table, "%s", show_text(export, "name"));
		table_add(&table, "%s", show_text(export, "to"));
		table_add(&table, "%s", show_text(export, "format"));
		table_add(&table, "%s", show_text(export, "state"));
		table_add(&table, "%s", show_size(export, "done_bytes", size));
		table_add(&table, "%s", show_size(export, "data_bytes", size));
	}
	table_print(&table);
	table_fini(&table);
}

int verb_export_list(struct invocation *in)
{
	json_t *answer = NULL;
	const int status =
		words_send(in, &(struct client_request){"GET", "/v1/exports", NULL}, &answer);

	if (status == EXIT_DONE && !in->json)
		list_print(json_object_get(answer, "exports"));
	json_decref(answer);
	return status;
}

int verb_export_cancel(struct invocation *in)
{
	CLEANUP_FREE char *path = NULL;
	unsigned id = 0;
	const int status = words_number("ID", in->arguments[0], &id);

	if (status != EXIT_DONE)
		return status;
	path = xasprintf("/v1/exports/%u", id);
	return words_send(in, &(struct client_request){"DELETE", path, NULL}, NULL);
}
