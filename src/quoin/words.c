/* SPDX-License-Identifier: Apache-2.0 */
/* Words of the command line to JSON, and requests with their errors told. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <quoin/base_assert.h>
#include <quoin/base_text.h>

#include "indent.h"
#include "words.h"

#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

char *words_target_path(const char *name, const char *suffix)
{
	if (name[0] != '\0' && name[strspn(name, NAME_CHARACTERS)] == '\0')
		return xasprintf("/v1/targets/%s%s", name, suffix);
	fail(EXIT_REFUSED, "\"%s\" is not the name of a target: see quoin target list", name);
	return NULL;
}

char *words_pool_path(const char *name, const char *suffix)
{
	if (name[0] != '\0' && name[strspn(name, NAME_CHARACTERS ":")] == '\0')
		return xasprintf("/v1/pools/%s%s", name, suffix);
	fail(EXIT_REFUSED, "\"%s\" is not the name of a pool: see quoin pool list", name);
	return NULL;
}

json_t *words_path(const char *path)
{
	CLEANUP_FREE char *directory = path[0] != '/' ? getcwd(NULL, 0) : NULL;
	CLEANUP_FREE char *absolute = NULL;

	if (!directory)
		return json_string(path);
	absolute = xasprintf("%s/%s", directory, path);
	return json_string(absolute);
}

json_t *words_named(const struct invocation *in, const char *key, const char *text)
{
	json_t *body = json_object();

	if (json_object_set_new(body, key, json_string(text)) == 0)
		return body;
	fail(EXIT_USAGE, "\"%s\" must be UTF-8", text);
	json_decref(body);
	return NULL;
}

json_t *words_all_named(const struct invocation *in)
{
	json_t *names = json_array();

	for (int i = 0; i < in->argument_count; i++) {
		if (json_array_append_new(names, json_string(in->arguments[i])) == 0)
			continue;
		fail(EXIT_USAGE, "\"%s\" must be UTF-8", in->arguments[i]);
		json_decref(names);
		return NULL;
	}
	return json_pack("{s:o}", "names", names);
}

json_t *words_volume(const char *volume)
{
	CLEANUP_FREE char *directory = NULL;
	CLEANUP_FREE char *absolute = NULL;

	if (strncmp(volume, "file:", 5) == 0 && volume[5] != '/' && volume[5] != '\0')
		directory = getcwd(NULL, 0);
	if (!directory)
		return json_string(volume);
	absolute = xasprintf("file:%s/%s", directory, volume + 5);
	return json_string(absolute);
}

int words_put_text(const struct invocation *in, const char *option, const char *key, json_t *body)
{
	const char *value = invocation_option(in, option);

	if (value && json_object_set_new(body, key, json_string(value)) < 0)
		return fail(EXIT_USAGE, "--%s must be UTF-8", option);
	return EXIT_DONE;
}

int words_number(const char *what, const char *text, unsigned *ret_number)
{
	char *end;
	unsigned long long number;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno || number > UINT32_MAX)
		return fail(EXIT_USAGE, "%s must be a whole number, not \"%s\"", what, text);
	*ret_number = (unsigned)number;
	return EXIT_DONE;
}

int words_put_number(const struct invocation *in, const char *option, const char *key, json_t *body)
{
	CLEANUP_FREE char *what = xasprintf("--%s", option);
	const char *value = invocation_option(in, option);
	unsigned number = 0;
	int status;

	if (!value)
		return EXIT_DONE;
	status = words_number(what, value, &number);
	if (status == EXIT_DONE)
		json_object_set_new(body, key, json_integer(number));
	return status;
}

int words_put_switch(const struct invocation *in, const char *option, const char *key, json_t *body)
{
	const char *value = invocation_option(in, option);

	if (!value)
		return EXIT_DONE;
	if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
		return fail(EXIT_USAGE, "--%s must be on or off, not \"%s\"", option, value);
	json_object_set_new(body, key, json_boolean(strcmp(value, "on") == 0));
	return EXIT_DONE;
}

void words_print(const json_t *json)
{
	json_dumpf(json, stdout, JSON_INDENT(2));
	printf("\n");
}

int words_send(struct invocation *in, const struct client_request *request, json_t **ret_json)
{
	json_t *json = NULL;
	struct err err;

	if (client_send(&in->client, request, &json, &err) < 0)
		return fail(EXIT_REFUSED, "%s", err.text);
	if (in->json && json)
		words_print(json);
	else if (in->json)
		printf("{}\n");
	if (ret_json)
		*ret_json = json;
	else
		json_decref(json);
	return EXIT_DONE;
}

int words_send_long(struct invocation *in, const struct client_request *request)
{
	struct text answer;
	struct text lines;
	struct err err;
	int r;

	if (client_send_for_text(&in->client, request, &answer, &err) < 0)
		return fail(EXIT_REFUSED, "%s", err.text);
	text_init(&lines);
	r = indent_json(answer.data ? answer.data : "", answer.length, &lines);
	text_fini(&answer);
	if (r == 0) {
		text_append(&lines, "\n", 1);
		fwrite(lines.data, 1, lines.length, stdout);
	}
	text_fini(&lines);
	return r < 0 ? fail(EXIT_REFUSED, "what answered is not quoind") : EXIT_DONE;
}
