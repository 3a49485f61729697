/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to the daemon: HTTP over its UNIX socket, by libcurl. */
#ifndef QUOIN_CLIENT_H
#define QUOIN_CLIENT_H

#include <jansson.h>

#include <quoin/base.h>
#include <quoin/base_err.h>
#include <quoin/base_text.h>

struct client {
	char *socket_path; /* owned */
};

void client_fini(struct client *client);

struct client_request {
	const char *method;
	const char *path;
	json_t *body; /* borrowed; NULL = none */
};

/*
 * 0 when the daemon did it; *ret_json is a new reference, or NULL when there was no body.
 * -ENOTCONN: it is not running; else what went wrong, in `err`, ready for a person.
 */
MUST_CHECK int client_send(const struct client *client, const struct client_request *request,
			   json_t **ret_json, struct err *err);

/* The same for an answer of megabytes, as it came: *ret_text is the caller's to free. */
MUST_CHECK int client_send_for_text(const struct client *client,
				    const struct client_request *request, struct text *ret_text,
				    struct err *err);

#endif
