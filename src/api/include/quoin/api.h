/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP server on a UNIX socket, and with TLS and a token on TCP if that is wanted; there it
 * only reads. A thread for each of the two answers what is known already (health, events, drives,
 * metrics, the web page); another one does all other requests, one after the other, and is the only
 * one that calls the verbs of `control` while the server lives. So one that hangs keeps nobody from
 * asking how things are.
 *
 * Limits: API_BODY_MAX per body, API_CONNECTIONS_MAX clients, API_TIMEOUT_S of silence; one that
 * comes when there are as many takes the place of one that is slow.
 */
#ifndef QUOIN_API_H
#define QUOIN_API_H

#include <pthread.h>

#include <jansson.h>

#include <quoin/base.h>
#include <quoin/base_err.h>

#define API_CONNECTIONS_MAX 64
#define API_CONNECTIONS_TCP_MAX 32
#define API_TIMEOUT_S 15

struct control;
struct eve;

/* What GET /v1 tells of the process; the strings are borrowed for the server's life. */
struct api_process {
	const char *state_dir;
	const char *socket_path;
	const char *supervisor; /* "systemd" or "none" */
	uint64_t memory_bytes;
	uint64_t started_ns; /* CLOCK_BOOTTIME */
	const char *url;     /* of the TCP socket; the server's; NULL = there is none */
};

/* Where else to listen; NULL = nowhere, or what the state directory has. */
struct api_listen {
	const char *address; /* "ADDRESS:PORT" */
	const char *certificate, *key, *token_file;
};

struct api_context {
	struct control *control;
	struct eve *eve;	/* NULL: nothing is told to EVE */
	pthread_mutex_t *verbs; /* held while a verb runs; NULL: none does beside */
	struct api_process process;
	struct api_listen listen;
};

struct api_server;

/*
 * Listens on process.socket_path, mode 0600; a socket left over by a dead daemon is replaced.
 * -EADDRINUSE (somebody serves it), -EEXIST (it is not a socket), -ENAMETOOLONG ...; what is wrong
 * with the TCP socket's address or files.
 */
MUST_CHECK int api_server_new(const struct api_context *context, struct api_server **ret_server,
			      struct err *err);

/* Of the TCP socket, "https://127.0.0.1:8006"; NULL: there is none. */
const char *api_server_url(const struct api_server *server);

/* Finishes the request under way, closes all clients, removes the socket. NULL is allowed. */
void api_server_free(struct api_server *server);

/* --- The same without a socket --------------------------------------------------------------- */

struct api_request {
	const char *method;
	const char *path;
	const char *body;
	size_t body_length;
};

/* A text that is too long to be made before it is sent. */
struct api_stream {
	uint64_t length;
	/* The next bytes of it, at most `room`. Any thread, one at a time. */
	size_t (*read)(struct api_stream *stream, char *bytes, size_t room);
	void (*free)(struct api_stream *stream);
};

struct api_reply {
	unsigned status;
	json_t *json;	    /* a reference of the caller's; NULL = no body, or text */
	char *text;	    /* the caller's to free; NULL = none */
	size_t text_length; /* of the text */
	bool text_is_json;  /* else it is plain, or */
	bool text_is_bytes;
	struct api_stream *stream; /* in place of the text; the caller's to free */
	const char *allow;	   /* with 405: the methods of this path; static */
};

/* What was not handed on. */
void api_reply_fini(struct api_reply *reply);

/* It is answered from what is known: any thread may dispatch it, at any time. */
bool api_request_is_quick(const struct api_request *request);

/* It changes nothing. */
bool api_request_reads(const struct api_request *request);

void api_dispatch(const struct api_context *context, const struct api_request *request,
		  struct api_reply *ret_reply);

struct api_route_name {
	const char *method;
	const char *pattern; /* "/v1/targets/{name}" */
};

/* The index-th route; false beyond the last. */
bool api_route_at(unsigned index, struct api_route_name *ret_route);

#endif
