/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP by libmicrohttpd through two doors, the UNIX socket and TCP, each with a polling thread and
 * clients of its own: what comes in by one keeps nobody waiting at the other. Bodies are gathered
 * up to a limit, answers are JSON or a file of the page. What takes a verb is done by another
 * thread (verbs.h), while the connection sleeps. What the library refuses by itself (garbage,
 * headers too long) never reaches this file.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <microhttpd.h>

#include <quoin/api.h>
#include <quoin/api_guard.h>
#include <quoin/api_json.h>
#include <quoin/base_assert.h>
#include <quoin/base_log.h>
#include <quoin/base_text.h>

#include "clients.h"
#include "listen.h"
#include "page.h"
#include "remote.h"
#include "verbs.h"

#define CONTENT_TEXT "text/plain; version=0.0.4; charset=utf-8"
#define CONTENT_BYTES "application/octet-stream"
#define STREAM_BLOCK_BYTES (64 * 1024)
#define CONNECTION_MEMORY_BYTES (16 * 1024) /* headers; bodies are ours */

/* What anything but TLS 1.2 and 1.3 would be. */
#define TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

struct door {
	struct api_server *server;
	const char *token; /* that is wanted; NULL = the UNIX socket */
	struct api_clients clients;
	struct MHD_Daemon *http; /* NULL = closed */
};

struct api_server {
	struct api_context context;
	struct api_listener listener;
	struct api_remote remote;
	struct api_verbs verbs;
	struct door local, tcp;
};

/* gathering -> (queued, its connection sleeps ->) answered */
struct exchange {
	struct text body;
	bool too_large;
	bool queued;
	struct MHD_Connection *connection;
	struct api_job job;
};

static const char *header(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* JSON is for who asked, at this moment. */
static void headers_add(struct MHD_Response *response, const struct api_reply *reply)
{
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(response, "Cross-Origin-Resource-Policy", "same-origin");
	if (reply->allow)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, reply->allow);
	if (reply->status == MHD_HTTP_UNAUTHORIZED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
}

static ssize_t stream_read(void *data, uint64_t position UNUSED, char *bytes, size_t room)
{
	struct api_stream *stream = data;
	const size_t length = stream->read(stream, bytes, room);

	return length > 0 ? (ssize_t)length : MHD_CONTENT_READER_END_OF_STREAM;
}

static void stream_free(void *data)
{
	struct api_stream *stream = data;

	stream->free(stream);
}

static const char *content_of(const struct api_reply *reply)
{
	return reply->text_is_json    ? "application/json"
	       : reply->text_is_bytes ? CONTENT_BYTES
				      : CONTENT_TEXT;
}

/* What of the reply becomes part of it is taken. NULL: there is no memory. */
static struct MHD_Response *response_make(struct api_reply *reply)
{
	struct MHD_Response *response;

	if (reply->stream)
		response =
			MHD_create_response_from_callback(reply->stream->length, STREAM_BLOCK_BYTES,
							  stream_read, reply->stream, stream_free);
	else
		response = MHD_create_response_from_buffer(reply->text_length, reply->text,
							   MHD_RESPMEM_MUST_FREE);
	if (!response)
		return NULL;
	if (reply->stream || reply->text_length > 0)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_of(reply));
	reply->stream = NULL;
	reply->text = NULL;
	return response;
}

/* What it holds is let go. */
static enum MHD_Result answer(struct MHD_Connection *connection, struct api_reply *reply)
{
	struct MHD_Response *response = NULL;
	enum MHD_Result result = MHD_NO;

	if (!reply->stream && !reply->text) {
		reply->text = reply->json ? json_dumps(reply->json, JSON_COMPACT) : xstrdup("");
		reply->text_length = reply->text ? strlen(reply->text) : 0;
		reply->text_is_json = true;
	}
	if (reply->stream || reply->text)
		response = response_make(reply);
	api_reply_fini(reply);
	if (!response)
		return MHD_NO;
	headers_add(response, reply);
	result = MHD_queue_response(connection, reply->status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result answer_error(struct MHD_Connection *connection, const struct err *err,
				    const char *allow)
{
	struct api_reply reply = {.status = api_error_status(err->code), .allow = allow};

	reply.json = api_error_encode(err);
	return answer(connection, &reply);
}

/* Gathers a piece. What is too large is read and dropped, so that the client gets its answer. */
static void body_take(struct exchange *exchange, const char *data, size_t length)
{
	if (exchange->too_large || length > API_BODY_MAX - exchange->body.length) {
		exchange->too_large = true;
		text_fini(&exchange->body);
		return;
	}
	text_append(&exchange->body, data, length);
}

static void on_done(struct api_job *job)
{
	MHD_resume_connection(container_of(job, struct exchange, job)->connection);
}

static struct api_client *client_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	ASSERT(info != NULL && info->socket_context != NULL);
	return info->socket_context;
}

/* The texts of the request are the connection's, and stay while it sleeps. */
static void queue(struct door *door, struct exchange *exchange, struct MHD_Connection *connection,
		  const struct api_request *request)
{
	exchange->queued = true;
	exchange->connection = connection;
	exchange->job.request = *request;
	exchange->job.done = on_done;
	api_client_turn(&door->clients, client_of(connection), true);
	MHD_suspend_connection(connection);
	api_verbs_add(&door->server->verbs, &exchange->job);
}

static int judge(const struct door *door, struct MHD_Connection *connection,
		 const struct api_request *request, struct err *err)
{
	const struct api_guard guard = {
		.token = door->token,
		.reads = api_request_reads(request),
		.host = header(connection, MHD_HTTP_HEADER_HOST),
		.origin = header(connection, MHD_HTTP_HEADER_ORIGIN),
		.authorization = header(connection, MHD_HTTP_HEADER_AUTHORIZATION),
	};

	return api_guard_judge(&guard, err);
}

static enum MHD_Result answer_page(struct MHD_Connection *connection, const char *method,
				   const struct api_page_file *file)
{
	struct err err;

	if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
		return api_page_answer(connection, file) ? MHD_YES : MHD_NO;
	err_set(&err, -EXDEV, "%s does not take %.20s, but GET, HEAD", file->path, method);
	return answer_error(connection, &err, "GET, HEAD");
}

/* The request is whole. */
static enum MHD_Result answer_request(struct door *door, struct MHD_Connection *connection,
				      struct exchange *exchange, const struct api_request *request)
{
	const struct api_page_file *file = api_page_find(request->path);
	struct api_reply reply;
	struct err err;

	if (file)
		return answer_page(connection, request->method, file);
	if (judge(door, connection, request, &err) < 0)
		return answer_error(connection, &err, NULL);
	if (exchange->too_large) {
		err_set(&err, -EMSGSIZE, "the body is larger than %d bytes", API_BODY_MAX);
		return answer_error(connection, &err, NULL);
	}
	if (!api_request_is_quick(request)) {
		queue(door, exchange, connection, request);
		return MHD_YES;
	}
	api_dispatch(&door->server->context, request, &reply);
	log_debug("%s %s: %u", request->method, request->path, reply.status);
	return answer(connection, &reply);
}

static enum MHD_Result on_request(void *data, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_size, void **exchange_slot)
{
	struct door *door = data;
	struct exchange *exchange = *exchange_slot;
	struct api_request request = {.method = method, .path = url};

	if (!exchange) {
		*exchange_slot = xcalloc(1, sizeof(*exchange));
		return MHD_YES;
	}
	if (*upload_size > 0) {
		body_take(exchange, upload, *upload_size);
		*upload_size = 0;
		return MHD_YES;
	}
	/* It is awake again: the verb is done. */
	if (exchange->queued) {
		exchange->queued = false;
		api_client_turn(&door->clients, client_of(connection), false);
		return answer(connection, &exchange->job.reply);
	}
	request.body = exchange->body.data;
	request.body_length = exchange->body.length;
	return answer_request(door, connection, exchange, &request);
}

static void on_completed(void *data, struct MHD_Connection *connection, void **exchange_slot,
			 enum MHD_RequestTerminationCode code)
{
	struct exchange *exchange = *exchange_slot;
	struct door *door = data;

	/* The next request is its turn. */
	api_client_turn(&door->clients, client_of(connection), false);
	if (!exchange)
		return;
	/* The client went before it had its answer. */
	if (exchange->queued)
		api_reply_fini(&exchange->job.reply);
	text_fini(&exchange->body);
	free(exchange);
	*exchange_slot = NULL;
}

static void on_connection(void *data, struct MHD_Connection *connection, void **context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct door *door = data;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		api_clients_remove(&door->clients, *context);
		*context = NULL;
		return;
	}
	*context = api_clients_add(
		&door->clients,
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd);
}

/* The library's own complaints are about clients: of interest to who debugs one. */
static void on_log(void *data, const char *format, va_list args) PRINTF_LIKE(2, 0);
static void on_log(void *data, const char *format, va_list args)
{
	char line[256];

	vsnprintf(line, sizeof(line), format, args);
	line[strcspn(line, "\n")] = '\0';
	log_debug("http: %s", line);
}

/* Both are shown in answers, and JSON is UTF-8. */
static int paths_check(const struct api_process *process, struct err *err)
{
	json_t *both = json_pack("[s, s]", process->state_dir, process->socket_path);

	if (!both)
		return err_set(err, -EILSEQ, "the paths %s and %s must be UTF-8",
			       process->state_dir, process->socket_path);
	json_decref(both);
	return 0;
}

/* --- Doors ------------------------------------------------------------------------------------ */

/* `fd` listens, and is the library's from then on. */
static int door_open(struct door *door, struct api_server *server, int fd, struct err *err)
{
	const struct api_remote *remote = door == &server->tcp ? &server->remote : NULL;
	const struct MHD_OptionItem tls[] = {
		{MHD_OPTION_HTTPS_MEM_CERT, 0, remote ? remote->certificate : NULL},
		{MHD_OPTION_HTTPS_MEM_KEY, 0, remote ? remote->key : NULL},
		{MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)TLS_PRIORITIES},
		{MHD_OPTION_END, 0, NULL},
	};
	const struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
	const unsigned max = remote ? API_CONNECTIONS_TCP_MAX : API_CONNECTIONS_MAX;

	door->server = server;
	door->token = remote ? remote->token : NULL;
	api_clients_init(&door->clients, max);
	door->http = MHD_start_daemon(
		MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC |
			MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
			(remote ? MHD_USE_TLS : MHD_NO_FLAG),
		0, NULL, NULL, on_request, door, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
		MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_NOTIFY_COMPLETED, on_completed, door,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, door, MHD_OPTION_CONNECTION_LIMIT,
		max + API_CLIENTS_SPARE, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)API_TIMEOUT_S,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_BYTES,
		MHD_OPTION_ARRAY, remote ? tls : none, MHD_OPTION_END);
	if (door->http)
		return 0;
	return err_set(err, -EINVAL,
		       remote ? "TLS does not start: do tls-certificate and tls-key fit together?"
			      : "cannot start the HTTP server");
}

static int doors_open(struct api_server *server, struct err *err)
{
	int r = door_open(&server->local, server, server->listener.fd, err);

	if (r < 0)
		return r;
	server->listener.fd = -1;
	if (server->remote.fd < 0)
		return 0;
	r = door_open(&server->tcp, server, server->remote.fd, err);
	if (r == 0)
		server->remote.fd = -1;
	return r;
}

/* Stops the thread and closes the listening socket too. */
static void door_close(struct door *door)
{
	if (door->http)
		MHD_stop_daemon(door->http);
}

static int verbs_start(struct api_server *server, struct err *err)
{
	int r = api_verbs_start(&server->verbs, &server->context);

	if (r < 0)
		return err_set(err, r, "cannot start the thread of the verbs: %s", strerror(-r));
	server->context.verbs = &server->verbs.running;
	return 0;
}

int api_server_new(const struct api_context *context, struct api_server **ret_server,
		   struct err *err)
{
	struct api_server *server;
	int r = paths_check(&context->process, err);

	if (r < 0)
		return r;
	server = xcalloc(1, sizeof(*server));
	server->context = *context;
	server->listener.fd = -1;
	server->listener.lock_fd = -1;
	r = api_remote_open(&server->remote, context, err);
	server->context.process.url = server->remote.url;
	if (r == 0)
		r = api_listener_open(&server->listener, context->process.socket_path, err);
	if (r == 0)
		r = verbs_start(server, err);
	if (r == 0)
		r = doors_open(server, err);
	if (r < 0) {
		api_server_free(server);
		return r;
	}
	*ret_server = server;
	return 0;
}

const char *api_server_url(const struct api_server *server)
{
	return server->remote.url;
}

void api_server_free(struct api_server *server)
{
	if (!server)
		return;
	/* First, as no connection may sleep when its server stops. */
	if (server->context.verbs)
		api_verbs_stop(&server->verbs);
	door_close(&server->tcp);
	door_close(&server->local);
	if (server->context.verbs)
		api_verbs_fini(&server->verbs);
	api_listener_close(&server->listener);
	api_remote_close(&server->remote);
	free(server);
}
