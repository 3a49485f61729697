/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quoin health: is everything well, and if not, what, where and what to do. Exits with 1 when
 * something is not, so that scripts can ask. With --watch it goes on: a screen is drawn every
 * second, and elsewhere all is printed again when the verdict or what is wrong changes. With
 * --format it says so in the words of EVE's protocol.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "show.h"
#include "words.h"

static void pool_row(struct table *table, const json_t *pool)
{
	const json_t *worst = json_object_get(pool, "worst_of_the_hour");
	const unsigned long long full_in_s = show_number(pool, "full_in_s");
	char a[SIZE_TEXT_MAX];

	table_add(table, "%s", show_text(pool, "name"));
	table_add(table, "%s", show_text(pool, "verdict"));
	table_add(table, "%s%s", show_text(pool, "health"),
		  json_is_string(json_object_get(pool, "collector")) ? " (old)" : "");
	table_add(table, "%s", show_size(pool, "available_bytes", a));
	if (full_in_s == 0)
		table_add(table, "-");
	else if (full_in_s < 2 * 86400)
		table_add(table, "%llu hours", full_in_s / 3600);
	else
		table_add(table, "%llu days", full_in_s / 86400);
	table_add(table, "%llu",
		  show_number(pool, "read_errors") + show_number(pool, "write_errors") +
			  show_number(pool, "check_errors"));
	if (json_is_object(worst))
		table_add(table, "%s %s, %s%s", duration_format(show_number(worst, "ns"), a),
			  show_text(worst, "kind"), show_text(worst, "why"),
			  show_truth(worst, "during_checkpoint") ? " (checkpoint)" : "");
	else
		table_add(table, "-");
}

static void pools_print(const json_t *pools)
{
	static const char *const head[] = {
		"POOL", "VERDICT", "STATE", "LEFT", "FULL IN", "ERRORS", "SLOWEST OF THE HOUR",
		NULL};
	struct table table;
	size_t i;
	json_t *pool;

	if (json_array_size(pools) == 0)
		return;
	show_head(&table, head);
	json_array_foreach(pools, i, pool) pool_row(&table, pool);
	printf("\n");
	table_print(&table);
	table_fini(&table);
}

static void print(const json_t *answer)
{
	const json_t *problems = json_object_get(answer, "problems");
	size_t i;
	json_t *problem;

	printf("verdict: %s\n", show_text(answer, "verdict"));
	json_array_foreach(problems, i, problem)
	{
		printf("%-8s %s: %s\n", show_text(problem, "verdict"), show_text(problem, "object"),
		       show_text(problem, "reason"));
		if (json_is_string(json_object_get(problem, "advice")))
			printf("         what to do: %s\n", show_text(problem, "advice"));
	}
	pools_print(json_object_get(answer, "pools"));
}

/* --- --watch -------------------------------------------------------------------------------- */

#define WATCH_US 1000000

/* What is printed again when it changes: numbers always do. */
static bool same_words(const json_t *before, const json_t *now)
{
	return before &&
	       json_equal(json_object_get(before, "verdict"), json_object_get(now, "verdict")) &&
	       json_equal(json_object_get(before, "problems"), json_object_get(now, "problems"));
}

static void watch_print(const struct invocation *in, const json_t *before, const json_t *now)
{
	const bool screen = isatty(STDOUT_FILENO);

	if (!screen && same_words(before, now))
		return;
	if (in->json) {
		json_dumpf(now, stdout, JSON_COMPACT);
		printf("\n");
	} else {
		/* A screen is drawn anew, from its top. */
		printf("%s", screen ? "\033[H\033[2J" : before ? "\n" : "");
		print(now);
	}
	fflush(stdout);
}

/* Until it is ended, also over restarts of the daemon, which must be there at first. */
static int watch(struct invocation *in)
{
	static const struct client_request request = {"GET", "/v1/health", NULL};
	json_t *before = NULL;
	struct err err;
	int r = 0;

	while (!ferror(stdout)) {
		json_t *now = NULL;

		r = client_send(&in->client, &request, &now, &err);
		if (r < 0 && (!before || (r != -ENOTCONN && r != -ECONNRESET)))
			break;
		if (r == 0) {
			watch_print(in, before, now);
			json_decref(before);
			before = now;
		}
		usleep(WATCH_US);
	}
	json_decref(before);
	return r < 0 ? fail(EXIT_REFUSED, "%s", err.text) : EXIT_DONE;
}

/* --- --format ------------------------------------------------------------------------------- */

/* What EVE would be told, framed as on its socket. */
static int frames(struct invocation *in)
{
	static const struct client_request request = {"GET", "/v1/eve/frames", NULL};
	struct text text;
	struct err err;

	if (isatty(STDOUT_FILENO))
		return fail(EXIT_REFUSED,
			    "eve-binary is not for a terminal: send it to a file or a "
			    "program");
	if (client_send_for_text(&in->client, &request, &text, &err) < 0)
		return fail(EXIT_REFUSED, "%s", err.text);
	fwrite(text.data, 1, text.length, stdout);
	text_fini(&text);
	return EXIT_DONE;
}

int verb_health(struct invocation *in)
{
	static const struct client_request request = {"GET", "/v1/health", NULL};
	const char *given = invocation_option(in, "format");
	const char *format = given ? given : "table";
	json_t *answer = NULL;
	int status;

	if (strncmp(format, "eve-", 4) == 0 && (in->json || invocation_option(in, "watch")))
		return fail(EXIT_USAGE, "--format %s excludes --json and --watch", format);
	if (strcmp(format, "eve-json") == 0)
		return verb_eve_print(in);
	if (strcmp(format, "eve-binary") == 0)
		return frames(in);
	if (strcmp(format, "json") == 0)
		in->json = true;
	else if (strcmp(format, "table") != 0)
		return fail(EXIT_USAGE, "--format is table, json, eve-json or eve-binary, not %s",
			    format);
	else if (given && in->json)
		return fail(EXIT_USAGE, "--format table excludes --json");
	if (invocation_option(in, "watch"))
		return watch(in);
	status = words_send(in, &request, &answer);
	if (status == EXIT_DONE && !in->json)
		print(answer);
	if (status == EXIT_DONE && strcmp(show_text(answer, "verdict"), "passed") != 0)
		status = EXIT_REFUSED;
	json_decref(answer);
	return status;
}
