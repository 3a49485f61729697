/* SPDX-License-Identifier: Apache-2.0 */
/* quoin pool trim: begins it, stops it, and with --wait shows how far it is. */
#include "pool_trim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "progress.h"
#include "show.h"
#include "words.h"

#define LOOK_MS 250

static bool is_state(const json_t *trim, const char *word)
{
	return strcmp(show_text(trim, "state"), word) == 0;
}

char *pool_trim_words(const json_t *trim)
{
	char size[SIZE_TEXT_MAX];
	struct text t;

	text_init(&t);
	text_printf(&t, "%s", show_text(trim, "state"));
	if (!is_state(trim, "done"))
		text_printf(&t, ", %u%% looked over",
			    progress_percent(show_number(trim, "passed_bytes"),
					     show_number(trim, "total_bytes")));
	text_printf(&t, ", %s told to drives", show_size(trim, "trimmed_bytes", size));
	if (show_number(trim, "failed_bytes") > 0)
		text_printf(&t, ", %s refused by some", show_size(trim, "failed_bytes", size));
	return text_detach(&t);
}

static void draw(const json_t *trim)
{
	CLEANUP_FREE char *words = pool_trim_words(trim);

	progress_draw(show_number(trim, "passed_bytes"), show_number(trim, "total_bytes"), words);
}

static int told(const struct invocation *in, const json_t *pool)
{
	const json_t *trim = json_object_get(pool, "trim");

	if (in->json) {
		json_dumpf(pool, stdout, JSON_INDENT(2));
		printf("\n");
	}
	if (is_state(trim, "done") || !invocation_option(in, "wait"))
		return EXIT_DONE;
	return fail(EXIT_REFUSED, "the trim of %s was stopped", in->arguments[0]);
}

/* With --wait until it has ended. */
static int follow(const struct invocation *in, const char *path, json_t *pool)
{
	const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
	const bool wanted = progress_wanted(in);
	int status;

	while (invocation_option(in, "wait") && pool &&
	       is_state(json_object_get(pool, "trim"), "running")) {
		struct err err;

		if (wanted)
			draw(json_object_get(pool, "trim"));
		nanosleep(&pause, NULL);
		json_decref(pool);
		pool = NULL;
		if (client_send(&in->client, &(struct client_request){"GET", path, NULL}, &pool,
				&err) < 0)
			fail(EXIT_REFUSED, "%s", err.text);
	}
	if (wanted)
		progress_clear();
	status = pool ? told(in, pool) : EXIT_REFUSED;
	json_decref(pool);
	return status;
}

int verb_pool_trim(struct invocation *in)
{
	CLEANUP_FREE char *path = words_pool_path(in->arguments[0], "");
	CLEANUP_FREE char *trim = words_pool_path(in->arguments[0], "/trim");
	json_t *answer = NULL;
	struct err err;

	if (!path || !trim)
		return EXIT_REFUSED;
	if (invocation_option(in, "stop"))
		return words_send(in, &(struct client_request){"DELETE", trim, NULL}, NULL);
	if (client_send(&in->client, &(struct client_request){"POST", trim, NULL}, &answer, &err) <
	    0)
		return fail(EXIT_REFUSED, "%s", err.text);
	return follow(in, path, answer);
}
