/* SPDX-License-Identifier: Apache-2.0 */
/* quoin target create and attach: from options to a specification. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_text.h>

#include "words.h"

struct put {
	int (*put)(const struct invocation *in, const char *option, const char *key, json_t *body);
	const char *option;
	const char *key;
};

static const struct put create_puts[] = {
	{words_put_text, "transport", "transport"},
	{words_put_text, "listen", "listen"},
	{words_put_number, "queues", "queues"},
	{words_put_number, "queue-entries", "queue_entries"},
	{words_put_number, "max-namespaces", "max_namespaces"},
	{words_put_text, "doorbells", "doorbells"},
	{words_put_switch, "intx", "intx"},
	{words_put_number, "poll-us", "poll_us"},
	{words_put_text, "serial", "serial"},
	{words_put_text, "model", "model"},
	{words_put_text, "uuid", "uuid"},
};

/* A namespace with the options that create and attach share. */
static int namespace_body(const struct invocation *in, const char *volume, json_t *body)
{
	if (json_object_set_new(body, "volume", words_volume(volume)) < 0)
		return fail(EXIT_USAGE, "\"%s\" must be UTF-8", volume);
	if (invocation_option(in, "read-only"))
		json_object_set_new(body, "read_only", json_true());
	return words_put_number(in, "block-size", "block_size", body);
}

static int create_body(const struct invocation *in, json_t *body)
{
	json_t *namespaces = json_array();
	int status = EXIT_DONE;

	json_object_set_new(body, "namespaces", namespaces);
	if (json_object_set_new(body, "name", json_string(in->arguments[0])) < 0)
		return fail(EXIT_USAGE, "the name must be UTF-8");
	for (size_t i = 0; status == EXIT_DONE && i < ARRAY_SIZE(create_puts); i++)
		status = create_puts[i].put(in, create_puts[i].option, create_puts[i].key, body);
	for (int i = 1; status == EXIT_DONE && i < in->argument_count; i++) {
		json_t *ns = json_object();

		json_array_append_new(namespaces, ns);
		status = namespace_body(in, in->arguments[i], ns);
	}
	return status;
}

/* A command line that can be pasted: the guest's RAM must be shared with quoind. */
static void hint_print(const json_t *target)
{
	const char *name = json_string_value(json_object_get(target, "name"));
	const char *socket = json_string_value(json_object_get(target, "socket"));

	printf("%s listens on %s\n\nQEMU 10.1 or later, in one command:\n", name, socket);
	printf("  qemu-system-x86_64 -machine q35,memory-backend=ram0 -m 2G \\\n"
	       "    -object memory-backend-memfd,id=ram0,size=2G,share=on \\\n"
	       "    -device '{\"driver\":\"vfio-user-pci\",\"socket\":{\"type\":\"unix\","
	       "\"path\":\"%s\"}}'\n",
	       socket);
}

int verb_target_create(struct invocation *in)
{
	json_t *body = json_object();
	json_t *answer = NULL;
	int status = create_body(in, body);

	if (status == EXIT_DONE)
		status = words_send(in, &(struct client_request){"POST", "/v1/targets", body},
				    &answer);
	if (status == EXIT_DONE && !in->json)
		hint_print(answer);
	json_decref(answer);
	json_decref(body);
	return status;
}

int verb_target_attach(struct invocation *in)
{
	CLEANUP_FREE char *path = words_target_path(in->arguments[0], "/namespaces");
	json_t *body = json_object();
	json_t *answer = NULL;
	int status = path ? namespace_body(in, in->arguments[1], body) : EXIT_REFUSED;

	if (status == EXIT_DONE)
		status = words_put_number(in, "nsid", "nsid", body);
	if (status == EXIT_DONE)
		status = words_send(in, &(struct client_request){"POST", path, body}, &answer);
	if (status == EXIT_DONE && !in->json)
		printf("%s attached as namespace %lld\n",
		       json_string_value(json_object_get(answer, "volume")),
		       json_integer_value(json_object_get(answer, "nsid")));
	json_decref(answer);
	json_decref(body);
	return status;
}
