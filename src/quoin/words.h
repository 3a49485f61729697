/* SPDX-License-Identifier: Apache-2.0 */
/* Words of the command line as the API wants them, and requests that end in an exit code. */
#ifndef QUOIN_WORDS_H
#define QUOIN_WORDS_H

#include <jansson.h>

#include "verb.h"

/* "/v1/targets/NAME" + suffix; NULL, with the error told, when NAME cannot be a name. */
char *words_target_path(const char *name, const char *suffix);

/* "/v1/pools/NAME" + suffix; NULL, with the error told, when NAME cannot be a name. */
char *words_pool_path(const char *name, const char *suffix);

/* A new string: the path made absolute. NULL when it is not UTF-8. */
json_t *words_path(const char *path);

/* {key: text}; NULL, with the error told, when it is not UTF-8. */
json_t *words_named(const struct invocation *in, const char *key, const char *text);

/* {"names": [all arguments]}, the same. */
json_t *words_all_named(const struct invocation *in);

/* A new string: file: paths made absolute, for the daemon works elsewhere. */
json_t *words_volume(const char *volume);

/*
 * Puts the option's value into `body` under `key`, when it was given. EXIT_USAGE, with the error
 * told, when it is not a number (or on/off).
 */
MUST_CHECK int words_put_text(const struct invocation *in, const char *option, const char *key,
			      json_t *body);
MUST_CHECK int words_put_number(const struct invocation *in, const char *option, const char *key,
				json_t *body);
MUST_CHECK int words_put_switch(const struct invocation *in, const char *option, const char *key,
				json_t *body);

/* EXIT_USAGE, with the error told. */
MUST_CHECK int words_number(const char *what, const char *text, unsigned *ret_number);

/* As --json prints it. */
void words_print(const json_t *json);

/*
 * Sends; with --json prints the answer. EXIT_DONE and *ret_json (a new reference or NULL; the
 * pointer may be NULL when nobody wants it), or EXIT_REFUSED with the error told.
 */
MUST_CHECK int words_send(struct invocation *in, const struct client_request *request,
			  json_t **ret_json);

/*
 * Sends, with --json, and prints the answer as words_send() does, but without reading it: one of
 * thousands of objects takes less than half of the time.
 */
MUST_CHECK int words_send_long(struct invocation *in, const struct client_request *request);

#endif
