/* SPDX-License-Identifier: Apache-2.0 */
/* quoin target: all verbs but create and attach, list and info. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_size.h>
#include <quoin/base_text.h>

#include "words.h"

int verb_target_destroy(struct invocation *in)
{
	CLEANUP_FREE char *path = words_target_path(in->arguments[0], "");

	if (!path)
		return EXIT_REFUSED;
	return words_send(in, &(struct client_request){"DELETE", path, NULL}, NULL);
}

int verb_target_start(struct invocation *in)
{
	CLEANUP_FREE char *path = words_target_path(in->arguments[0], "/start");

	if (!path)
		return EXIT_REFUSED;
	return words_send(in, &(struct client_request){"POST", path, NULL}, NULL);
}

/* The path of the namespace that the first two arguments name, or NULL with the error told. */
static char *namespace_path(const struct invocation *in, const char *suffix, int *ret_status)
{
	CLEANUP_FREE char *tail = NULL;
	unsigned nsid = 0;
	char *path;

	*ret_status = words_number("NSID", in->arguments[1], &nsid);
	if (*ret_status != EXIT_DONE)
		return NULL;
	tail = xasprintf("/namespaces/%u%s", nsid, suffix);
	path = words_target_path(in->arguments[0], tail);
	if (!path)
		*ret_status = EXIT_REFUSED;
	return path;
}

int verb_target_detach(struct invocation *in)
{
	int status;
	CLEANUP_FREE char *path = namespace_path(in, "", &status);

	if (!path)
		return status;
	return words_send(in, &(struct client_request){"DELETE", path, NULL}, NULL);
}

static void size_print(const json_t *ns)
{
	char text[SIZE_TEXT_MAX];

	printf("namespace %lld: %s\n", json_integer_value(json_object_get(ns, "nsid")),
	       size_format((uint64_t)json_integer_value(json_object_get(ns, "capacity_bytes")),
			   text));
}

/* Sends, and tells the namespace's size. */
static int send_for_size(struct invocation *in, const struct client_request *request)
{
	json_t *answer = NULL;
	int status = words_send(in, request, &answer);

	if (status == EXIT_DONE && !in->json)
		size_print(answer);
	json_decref(answer);
	return status;
}

int verb_target_resize(struct invocation *in)
{
	int status;
	CLEANUP_FREE char *path = namespace_path(in, "", &status);
	json_t *body;
	uint64_t size = 0;

	if (!path)
		return status;
	if (size_parse(in->arguments[2], &size) < 0 || size == 0 || size > INT64_MAX)
		return fail(EXIT_USAGE, "SIZE must be a size such as 20G, not \"%s\"",
			    in->arguments[2]);
	body = json_pack("{s:I}", "size", (json_int_t)size);
	status = send_for_size(in, &(struct client_request){"PATCH", path, body});
	json_decref(body);
	return status;
}

/* The nsids of a target, or NULL with the error told. */
static json_t *namespaces_get(struct invocation *in)
{
	CLEANUP_FREE char *path = words_target_path(in->arguments[0], "/namespaces");
	json_t *answer = NULL;
	struct err err;

	if (!path)
		return NULL;
	if (client_send(&in->client, &(struct client_request){"GET", path, NULL}, &answer, &err) <
	    0) {
		fail(EXIT_REFUSED, "%s", err.text);
		return NULL;
	}
	return answer;
}

static int rescan_all(struct invocation *in)
{
	json_t *answer = namespaces_get(in);
	int status = answer ? EXIT_DONE : EXIT_REFUSED;
	size_t i;
	json_t *ns;

	json_array_foreach(json_object_get(answer, "namespaces"), i, ns)
	{
		CLEANUP_FREE char *tail = xasprintf(
			"/namespaces/%lld/rescan", json_integer_value(json_object_get(ns, "nsid")));
		CLEANUP_FREE char *path = words_target_path(in->arguments[0], tail);

		if (send_for_size(in, &(struct client_request){"POST", path, NULL}) != EXIT_DONE)
			status = EXIT_REFUSED;
	}
	json_decref(answer);
	return status;
}

int verb_target_rescan(struct invocation *in)
{
	CLEANUP_FREE char *path = NULL;
	int status;

	if (in->argument_count == 1)
		return rescan_all(in);
	path = namespace_path(in, "/rescan", &status);
	if (!path)
		return status;
	return send_for_size(in, &(struct client_request){"POST", path, NULL});
}
