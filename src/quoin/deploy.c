/* SPDX-License-Identifier: Apache-2.0 */
/* quoin volume deploy, pause, resume, cancel: images that arrive, and how far they are. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <quoin/base_text.h>

#include "deploy.h"
#include "progress.h"
#include "show.h"
#include "words.h"

#define LOOK_MS 250

static bool is_state(const json_t *deploy, const char *word)
{
	return strcmp(show_text(deploy, "state"), word) == 0;
}

/* --- How far --------------------------------------------------------------------------------- */

char *deploy_words(const json_t *deploy)
{
	const unsigned long long here = show_number(deploy, "here_bytes");
	const unsigned long long all = show_number(deploy, "image_bytes");
	char a[SIZE_TEXT_MAX];
	char b[SIZE_TEXT_MAX];
	struct text t;

	text_init(&t);
	text_printf(&t, "%s", show_text(deploy, "state"));
	if (json_is_string(json_object_get(deploy, "problem")))
		text_printf(&t, ": %s", show_text(deploy, "problem"));
	if (all > 0)
		text_printf(&t, ", %u%% (%s of %s)", progress_percent(here, all),
			    size_format(here, a), size_format(all, b));
	if (is_state(deploy, "arriving")) {
		text_printf(&t, " at %s/s", show_size(deploy, "rate", a));
		if (json_is_integer(json_object_get(deploy, "eta_s")))
			progress_left(&t, show_number(deploy, "eta_s"));
	}
	return text_detach(&t);
}

char *deploy_sums(const json_t *deploy)
{
	const unsigned long long verify = show_number(deploy, "verify_bytes");
	char a[SIZE_TEXT_MAX];
	char b[SIZE_TEXT_MAX];
	struct text t;

	text_init(&t);
	text_printf(&t, "%s fetched, %s written", show_size(deploy, "fetched_bytes", a),
		    show_size(deploy, "here_bytes", b));
	if (verify > 0)
		text_printf(&t, ", %s of %s verified", show_size(deploy, "verified_bytes", a),
			    size_format(verify, b));
	else
		text_printf(&t, ", %s verified", show_size(deploy, "verified_bytes", a));
	return text_detach(&t);
}

/* What is unusual about how it is read, and what comes of that; NULL = nothing. */
char *deploy_access_words(const json_t *deploy)
{
	const char *access = show_text(deploy, "access");
	char passed[SIZE_TEXT_MAX];
	char all[SIZE_TEXT_MAX];

	show_size(deploy, "passed_bytes", passed);
	show_size(deploy, "original_bytes", all);
	if (strcmp(access, "sequential") == 0)
		return xasprintf("in order%s, %s of %s: the server has no byte ranges, so what is "
				 "further on waits for what is before it",
				 show_truth(deploy, "again") ? ", from the beginning again" : "",
				 passed, all);
	if (strcmp(access, "staged") != 0)
		return NULL;
	if (show_number(deploy, "passed_bytes") < show_number(deploy, "original_bytes"))
		return xasprintf("all of it is brought to the state directory first, %s of %s",
				 passed, all);
	return xasprintf("from the state directory, where all of it was brought first");
}

static void bar_draw(const json_t *deploy)
{
	CLEANUP_FREE char *state = deploy_words(deploy);
	CLEANUP_FREE char *access = deploy_access_words(deploy);
	CLEANUP_FREE char *words =
		xasprintf("%s%s%s", state, access ? "; " : "", access ? access : "");

	progress_draw(show_number(deploy, "here_bytes"), show_number(deploy, "image_bytes"), words);
}

/* --- Deploy ---------------------------------------------------------------------------------- */

/* What is a path here is one for the daemon, too. */
static json_t *source_word(const char *source)
{
	const bool relative = source[0] != '/' && !strstr(source, "://") &&
			      (source[0] == '.' || access(source, F_OK) == 0);

	return relative ? words_path(source) : json_string(source);
}

static int size_put(const struct invocation *in, const char *option, json_t *body)
{
	const char *text = invocation_option(in, option);
	uint64_t size = 0;

	if (!text)
		return EXIT_DONE;
	if (size_parse(text, &size) < 0 || size == 0 || size > INT64_MAX)
		return fail(EXIT_USAGE, "--%s must be a size such as 8M, not \"%s\"", option, text);
	json_object_set_new(body, option, json_integer((json_int_t)size));
	return EXIT_DONE;
}

static int mode_put(const struct invocation *in, json_t *body, bool *ret_first)
{
	const char *mode = invocation_option(in, "mode");

	*ret_first = mode && strcmp(mode, "first") == 0;
	if (mode && !*ret_first && strcmp(mode, "online") != 0)
		return fail(EXIT_USAGE, "--mode must be online or first, not \"%s\"", mode);
	json_object_set_new(body, "first", json_boolean(*ret_first));
	return EXIT_DONE;
}

static int body_make(const struct invocation *in, json_t *body, bool *ret_first)
{
	const char *source = invocation_option(in, "from");
	const char *list = invocation_option(in, "digest-list");
	int status = EXIT_DONE;

	if (!source)
		return fail(EXIT_USAGE, "volume deploy needs --from SOURCE");
	if (json_object_set_new(body, "source", source_word(source)) < 0)
		return fail(EXIT_USAGE, "the source must be UTF-8");
	if (list && json_object_set_new(body, "digest_list", words_path(list)) < 0)
		return fail(EXIT_USAGE, "--digest-list must be UTF-8");
	status = words_put_text(in, "sha256", "sha256", body);
	if (status == EXIT_DONE)
		status = size_put(in, "size", body);
	if (status == EXIT_DONE)
		status = size_put(in, "rate", body);
	return status == EXIT_DONE ? mode_put(in, body, ret_first) : status;
}

/* The answer about the deployment of the first argument; NULL with the error told. */
static json_t *ask(const struct invocation *in)
{
	json_t *body = words_named(in, "name", in->arguments[0]);
	const struct client_request request = {"POST", "/v1/volumes/deploy/info", body};
	json_t *answer = NULL;
	struct err err;

	if (body && client_send(&in->client, &request, &answer, &err) < 0)
		fail(EXIT_REFUSED, "%s", err.text);
	json_decref(body);
	return answer;
}

static bool goes_on(const json_t *deploy, bool to_the_end)
{
	if (is_state(deploy, "opening"))
		return true;
	return to_the_end && !is_state(deploy, "done") && !is_state(deploy, "none") &&
	       !is_state(deploy, "refused") && !is_state(deploy, "failed");
}

static void arriving_tell(const char *name, const json_t *deploy)
{
	CLEANUP_FREE char *access = deploy_access_words(deploy);

	printf("%s is there, and its image arrives in the background: see quoin volume info %s\n",
	       name, name);
	if (access)
		printf("It is read %s.\n", access);
}

static int told(const struct invocation *in, const json_t *deploy)
{
	if (is_state(deploy, "refused"))
		return fail(EXIT_REFUSED, "%s is not deployed: %s", in->arguments[0],
			    show_text(deploy, "problem"));
	if (is_state(deploy, "failed"))
		return fail(EXIT_REFUSED, "the image of %s did not arrive: %s", in->arguments[0],
			    show_text(deploy, "problem"));
	if (in->json)
		json_dumpf(deploy, stdout, JSON_INDENT(2));
	if (in->json)
		printf("\n");
	else if (!is_state(deploy, "done") && !is_state(deploy, "none"))
		arriving_tell(in->arguments[0], deploy);
	return EXIT_DONE;
}

static int follow(const struct invocation *in, bool to_the_end)
{
	const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
	const bool draw = progress_wanted(in);
	json_t *deploy = ask(in);
	int status;

	while (deploy && goes_on(deploy, to_the_end)) {
		if (draw)
			bar_draw(deploy);
		nanosleep(&pause, NULL);
		json_decref(deploy);
		deploy = ask(in);
	}
	if (draw)
		progress_clear();
	status = deploy ? told(in, deploy) : EXIT_REFUSED;
	json_decref(deploy);
	return status;
}

int verb_volume_deploy(struct invocation *in)
{
	json_t *body = words_named(in, "name", in->arguments[0]);
	const struct client_request request = {"POST", "/v1/volumes/deploy", body};
	bool first = false;
	int status = body ? body_make(in, body, &first) : EXIT_USAGE;
	json_t *answer = NULL;
	struct err err;

	if (status == EXIT_DONE && client_send(&in->client, &request, &answer, &err) < 0)
		status = fail(EXIT_REFUSED, "%s", err.text);
	json_decref(answer);
	json_decref(body);
	if (status != EXIT_DONE)
		return status;
	return follow(in, invocation_option(in, "wait") ||
				  (first && !invocation_option(in, "no-wait")));
}

/* --- On the way ------------------------------------------------------------------------------ */

static int change(struct invocation *in, bool paused)
{
	json_t *body = words_named(in, "name", in->arguments[0]);
	const struct client_request request = {"POST", "/v1/volumes/deploy/change", body};
	int status = body ? EXIT_DONE : EXIT_USAGE;

	if (body)
		json_object_set_new(body, "paused", json_boolean(paused));
	if (body && !paused)
		status = size_put(in, "rate", body);
	if (status == EXIT_DONE)
		status = words_send(in, &request, NULL);
	json_decref(body);
	return status;
}

int verb_volume_pause(struct invocation *in)
{
	return change(in, true);
}

int verb_volume_resume(struct invocation *in)
{
	return change(in, false);
}

int verb_volume_cancel(struct invocation *in)
{
	json_t *body = words_named(in, "name", in->arguments[0]);
	const struct client_request request = {"POST", "/v1/volumes/deploy/cancel", body};
	const int status = body ? words_send(in, &request, NULL) : EXIT_USAGE;

	json_decref(body);
	return status;
}
