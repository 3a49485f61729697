/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quoin events: what happened, oldest first; with --follow also what happens, until it is ended.
 * With --json and --follow each event is a line of its own, so that programs can read along.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <quoin/base_text.h>

#include "show.h"
#include "words.h"

#define FOLLOW_US 500000

struct follow {
	struct invocation *in;
	json_t *body;
	uint64_t since;
	bool follow;
	bool told; /* the daemon's problem with its file */
};

static void event_print(const json_t *event)
{
	const char *advice = show_text(event, "advice");
	const unsigned long long count = show_number(event, "count");
	json_t *time =
		json_pack("{s:I}", "time_s", (json_int_t)(show_number(event, "time_ms") / 1000));
	char when[SHOW_TIME_MAX];

	printf("%llu  %s  %-7s  %s  %s: %s", show_number(event, "number"),
	       show_time(time, "time_s", when), show_text(event, "severity"),
	       show_text(event, "type"), show_text(event, "object"), show_text(event, "text"));
	if (count > 1)
		printf(" (the last of %llu)", count);
	printf("\n");
	if (advice[0] != '\0')
		printf("    what to do: %s\n", advice);
	json_decref(time);
}

static void events_print(struct follow *f, const json_t *answer)
{
	const json_t *all = json_object_get(answer, "events");
	const json_t *problem = json_object_get(answer, "problem");
	size_t i;
	json_t *event;

	json_array_foreach(all, i, event)
	{
		f->since = show_number(event, "number");
		if (f->in->json) {
			json_dumpf(event, stdout, JSON_COMPACT);
			printf("\n");
		} else {
			event_print(event);
		}
	}
	/* A journal that was taken away begins with low numbers. */
	if (json_array_size(all) == 0 && show_number(answer, "newest") < f->since)
		f->since = 0;
	if (json_is_string(problem) && !f->told)
		fprintf(stderr, "quoin: %s\n", json_string_value(problem));
	f->told = json_is_string(problem);
	fflush(stdout);
}

/* One page; *ret_more when another may follow. */
static int page_get(struct follow *f, bool *ret_more)
{
	const struct client_request request = {"POST", "/v1/events/list", f->body};
	json_t *answer = NULL;
	struct err err;
	int r;

	json_object_set_new(f->body, "since", json_integer((json_int_t)f->since));
	r = client_send(&f->in->client, &request, &answer, &err);
	/* Who follows outlives a restart of the daemon. */
	if ((r == -ENOTCONN || r == -ECONNRESET) && f->follow)
		return EXIT_DONE;
	if (r < 0)
		return fail(EXIT_REFUSED, "%s", err.text);
	events_print(f, answer);
	*ret_more = json_array_size(json_object_get(answer, "events")) > 0;
	json_decref(answer);
	return EXIT_DONE;
}

static int pages_get(struct follow *f)
{
	int status = EXIT_DONE;

	while (status == EXIT_DONE && !ferror(stdout)) {
		bool more = false;

		status = page_get(f, &more);
		if (!more && !f->follow)
			break;
		if (!more)
			usleep(FOLLOW_US);
	}
	return status;
}

static int number_get(const struct invocation *in, uint64_t *ret)
{
	const char *text = invocation_option(in, "since");
	unsigned number = 0;
	int status = EXIT_DONE;

	if (text)
		status = words_number("--since", text, &number);
	*ret = number;
	return status;
}

int verb_events(struct invocation *in)
{
	struct follow f = {.in = in, .follow = invocation_option(in, "follow") != NULL};
	bool more = false;
	int status = number_get(in, &f.since);

	if (status != EXIT_DONE)
		return status;
	f.body = json_object();
	status = words_put_text(in, "severity", "severity", f.body);
	if (status == EXIT_DONE)
		status = words_put_text(in, "object", "object", f.body);
	/* The daemon must be there at first: a wrong socket is not waited for. */
	if (status == EXIT_DONE && f.follow) {
		f.follow = false;
		status = page_get(&f, &more);
		f.follow = true;
	}
	if (status == EXIT_DONE)
		status = pages_get(&f);
	json_decref(f.body);
	return status;
}
