/* SPDX-License-Identifier: Apache-2.0 */
/* quoin volume. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <quoin/base_text.h>

#include "deploy.h"
#include "progress.h"
#include "property.h"
#include "show.h"
#include "words.h"

/* --- Looking
 * ---------------------------------------------------------------------------------------- */

static void list_print(const json_t *volumes)
{
	static const char *const head[] = {"NAME",  "SIZE",   "USED", "REFER",
					   "AVAIL", "ORIGIN", NULL};
	static const char *const keys[] = {"size_bytes", "used_bytes", "referenced_bytes",
					   "available_bytes"};
	char size[SIZE_TEXT_MAX];
	struct table table;
	size_t i;
	json_t *volume;

	show_head(&table, head);
	json_array_foreach(volumes, i, volume)
	{
		table_add(&table, "%s", show_text(volume, "name"));
		for (size_t k = 0; k < ARRAY_SIZE(keys); k++)
			table_add(&table, "%s", show_size(volume, keys[k], size));
		table_add(&table, "%s", show_text(volume, "origin"));
	}
	table_print(&table);
	table_fini(&table);
}

int verb_volume_list(struct invocation *in)
{
	CLEANUP_FREE char *path = in->argument_count > 0
					  ? words_pool_path(in->arguments[0], "/volumes")
					  : xstrdup("/v1/volumes");
	json_t *answer = NULL;
	int status = EXIT_REFUSED;

	if (path && in->json)
		return words_send_long(in, &(struct client_request){"GET", path, NULL});
	if (path)
		status = words_send(in, &(struct client_request){"GET", path, NULL}, &answer);
	if (status == EXIT_DONE)
		list_print(json_object_get(answer, "volumes"));
	json_decref(answer);
	return status;
}

/* For people at a terminal. */
static void bar_show(const json_t *deploy)
{
	struct text t;

	if (!isatty(STDOUT_FILENO))
		return;
	text_init(&t);
	progress_bar(&t, PROGRESS_BAR, show_number(deploy, "here_bytes"),
		     show_number(deploy, "image_bytes"));
	show_line("arriving", "%s", t.data);
	text_fini(&t);
}

static void deploy_print(const json_t *deploy)
{
	CLEANUP_FREE char *words = NULL;
	CLEANUP_FREE char *sums = NULL;
	CLEANUP_FREE char *access = NULL;

	if (!json_is_object(deploy))
		return;
	words = deploy_words(deploy);
	sums = deploy_sums(deploy);
	bar_show(deploy);
	show_line("image", "%s", words);
	show_line("of it", "%s", sums);
	show_line("from", "%s", show_text(deploy, "source"));
	access = deploy_access_words(deploy);
	if (access)
		show_line("read", "%s", access);
}

static void info_print(const json_t *volume)
{
	char a[SIZE_TEXT_MAX];
	char b[SIZE_TEXT_MAX];
	char c[SIZE_TEXT_MAX];
	char when[SHOW_TIME_MAX];

	show_line("name", "%s (%s)", show_text(volume, "name"), show_text(volume, "guid"));
	show_line("size", "%s%s", show_size(volume, "size_bytes", a),
		  show_truth(volume, "paused") ? ", PAUSED: requests wait for space" : "");
	show_line("used", "%s: %s referenced, %s in snapshots alone",
		  show_size(volume, "used_bytes", a), show_size(volume, "referenced_bytes", b),
		  show_size(volume, "snapshots_bytes", c));
	show_line("unique", "%s that no snapshot has", show_size(volume, "unique_bytes", a));
	show_line("pending", "%s newer than these numbers", show_size(volume, "pending_bytes", a));
	show_line("available", "%s", show_size(volume, "available_bytes", a));
	show_line("snapshots", "%llu", show_number(volume, "snapshots"));
	show_line("origin", "%s", show_text(volume, "origin"));
	show_line("target", "%s", show_text(volume, "target"));
	show_line("created", "%s", show_time(volume, "created_s", when));
	deploy_print(json_object_get(volume, "deploy"));
	printf("\n");
}

/* POST of {"name": the first argument}. */
static int info_get(struct invocation *in, json_t **ret_answer)
{
	json_t *body = words_named(in, "name", in->arguments[0]);
	int status = EXIT_USAGE;

	if (body)
		status = words_send(in, &(struct client_request){"POST", "/v1/volumes/info", body},
				    ret_answer);
	json_decref(body);
	return status;
}

int verb_volume_info(struct invocation *in)
{
	json_t *answer = NULL;
	int status = info_get(in, &answer);

	if (status == EXIT_DONE && !in->json) {
		info_print(answer);
		status = property_print(in, property_volume, answer);
	}
	json_decref(answer);
	return status;
}

int verb_volume_get(struct invocation *in)
{
	json_t *answer = NULL;
	int status = info_get(in, &answer);

	if (status == EXIT_DONE && !in->json)
		status = property_print(in, property_volume, answer);
	json_decref(answer);
	return status;
}

/* --- Changing
 * --------------------------------------------------------------------------------------- */

/* Sends `body`, which it takes, unless there is a status already. */
static int send_body(struct invocation *in, const char *path, json_t *body, int status)
{
	if (status == EXIT_DONE && !body)
		status = EXIT_USAGE;
	if (status == EXIT_DONE)
		status = words_send(in, &(struct client_request){"POST", path, body}, NULL);
	json_decref(body);
	return status;
}

static int size_put(const char *what, const char *text, json_t *body)
{
	uint64_t size = 0;

	if (size_parse(text, &size) < 0 || size == 0 || size > INT64_MAX)
		return fail(EXIT_USAGE, "%s must be a size such as 20G, not \"%s\"", what, text);
	json_object_set_new(body, "size", json_integer((json_int_t)size));
	return EXIT_DONE;
}

int verb_volume_create(struct invocation *in)
{
	const char *size = invocation_option(in, "size");
	json_t *body = words_named(in, "name", in->arguments[0]);
	int status = body ? EXIT_DONE : EXIT_USAGE;

	if (!size)
		status = fail(EXIT_USAGE, "volume create needs --size N");
	if (status == EXIT_DONE)
		status = size_put("--size", size, body);
	if (status == EXIT_DONE)
		status = property_put_options(in, property_volume, body);
	return send_body(in, "/v1/volumes", body, status);
}

int verb_volume_set(struct invocation *in)
{
	json_t *body = words_named(in, "name", in->arguments[0]);
	int status = body ? EXIT_DONE : EXIT_USAGE;

	for (int i = 1; status == EXIT_DONE && i < in->argument_count; i++)
		status = property_put(property_volume, in->arguments[i], body);
	return send_body(in, "/v1/volumes/set", body, status);
}

int verb_volume_resize(struct invocation *in)
{
	json_t *body = words_named(in, "name", in->arguments[0]);
	int status = body ? size_put("SIZE", in->arguments[1], body) : EXIT_USAGE;

	if (body && invocation_option(in, "force"))
		json_object_set_new(body, "force", json_true());
	return send_body(in, "/v1/volumes/resize", body, status);
}

/* {first key: first argument, second key: second argument}. */
static json_t *two_named(const struct invocation *in, const char *first, const char *second)
{
	json_t *body = words_named(in, first, in->arguments[0]);

	if (body && json_object_set_new(body, second, json_string(in->arguments[1])) == 0)
		return body;
	if (body)
		fail(EXIT_USAGE, "\"%s\" must be UTF-8", in->arguments[1]);
	json_decref(body);
	return NULL;
}

int verb_volume_rename(struct invocation *in)
{
	return send_body(in, "/v1/volumes/rename", two_named(in, "name", "new_name"), EXIT_DONE);
}

int verb_volume_clone(struct invocation *in)
{
	return send_body(in, "/v1/volumes/clone", two_named(in, "snapshot", "name"), EXIT_DONE);
}

/* The option's size under `key`. */
static int option_size_put(const struct invocation *in, const char *option, const char *key,
			   json_t *body)
{
	const char *text = invocation_option(in, option);
	uint64_t size = 0;

	if (!text)
		return EXIT_DONE;
	if (size_parse(text, &size) < 0 || size > INT64_MAX)
		return fail(EXIT_USAGE, "--%s must be a size such as 20G, not \"%s\"", option,
			    text);
	json_object_set_new(body, key, json_integer((json_int_t)size));
	return EXIT_DONE;
}

int verb_volume_copy(struct invocation *in)
{
	json_t *body = two_named(in, "source", "name");
	int status = body ? option_size_put(in, "offset", "offset", body) : EXIT_USAGE;

	if (status == EXIT_DONE)
		status = option_size_put(in, "length", "length", body);
	if (status == EXIT_DONE)
		status = option_size_put(in, "to-offset", "to_offset", body);
	return send_body(in, "/v1/volumes/copy", body, status);
}

int verb_volume_promote(struct invocation *in)
{
	return send_body(in, "/v1/volumes/promote", words_named(in, "name", in->arguments[0]),
			 EXIT_DONE);
}

static json_t *recursive_body(const struct invocation *in, const char *key)
{
	json_t *body = words_named(in, key, in->arguments[0]);

	if (body && invocation_option(in, "recursive"))
		json_object_set_new(body, "recursive", json_true());
	return body;
}

int verb_volume_destroy(struct invocation *in)
{
	return send_body(in, "/v1/volumes/destroy", recursive_body(in, "name"), EXIT_DONE);
}

int verb_volume_rollback(struct invocation *in)
{
	return send_body(in, "/v1/volumes/rollback", recursive_body(in, "snapshot"), EXIT_DONE);
}

int verb_volume_snapshot(struct invocation *in)
{
	return send_body(in, "/v1/snapshots", words_all_named(in), EXIT_DONE);
}

int verb_snapshot_destroy(struct invocation *in)
{
	return send_body(in, "/v1/snapshots/destroy", words_all_named(in), EXIT_DONE);
}

int verb_snapshot_hold(struct invocation *in)
{
	return send_body(in, "/v1/snapshots/hold", two_named(in, "name", "tag"), EXIT_DONE);
}

int verb_snapshot_release(struct invocation *in)
{
	return send_body(in, "/v1/snapshots/release", two_named(in, "name", "tag"), EXIT_DONE);
}

int verb_snapshot_set(struct invocation *in)
{
	json_t *body = words_named(in, "name", in->arguments[0]);
	int status = body ? property_put(property_snapshot, in->arguments[1], body) : EXIT_USAGE;

	return send_body(in, "/v1/snapshots/set", body, status);
}

int verb_snapshot_rename(struct invocation *in)
{
	return send_body(in, "/v1/snapshots/rename", two_named(in, "name", "new_name"), EXIT_DONE);
}
