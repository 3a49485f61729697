/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP by libmicrohttpd: one polling thread, bodies gathered up to a limit, answers as JSON. What
 * takes a verb is done by another thread (verbs.h), while the connection sleeps.
 * What the library refuses by itself (garbage, headers too long) never reaches this file.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <microhttpd.h>

#include <quoin/api.h>
#include <quoin/api_json.h>
#include <quoin/base_log.h>
#include <quoin/base_text.h>

#include "listen.h"
#include "verbs.h"

#define CONTENT_TEXT "text/plain; version=0.0.4; charset=utf-8"
#define CONNECTION_MEMORY_BYTES (16 * 1024) /* headers; bodies are ours */

struct api_server {
	struct api_context context;
	struct api_listener listener;
	struct api_verbs verbs;
	struct MHD_Daemon *http;
};

/* gathering -> (queued, its connection sleeps ->) answered */
struct exchange {
	struct text body;
	bool too_large;
	bool queued;
	struct MHD_Connection *connection;
	struct api_job job;
};

static enum MHD_Result answer(struct MHD_Connection *connection, struct api_reply *reply)
{
	char *text = reply->text;
	struct MHD_Response *response;
	enum MHD_Result result = MHD_NO;

	if (!text)
		text = reply->json ? json_dumps(reply->json, JSON_COMPACT) : xstrdup("");
	json_decref(reply->json);
	if (!text)
		return MHD_NO;
	response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
	if (!response) {
		free(text);
		return MHD_NO;
	}
	if (text[0] != '\0')
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
					reply->text && !reply->text_is_json ? CONTENT_TEXT
									    : "application/json");
	if (reply->allow)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, reply->allow);
	result = MHD_queue_response(connection, reply->status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result answer_too_large(struct MHD_Connection *connection)
{
	struct api_reply reply = {.status = 0};
	struct err err;

	err_set(&err, -EMSGSIZE, "the body is larger than %d bytes", API_BODY_MAX);
	reply.status = api_error_status(err.code);
	reply.json = api_error_encode(&err);
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

/* The texts of the request are the connection's, and stay while it sleeps. */
static void queue(struct api_server *server, struct exchange *exchange,
		  struct MHD_Connection *connection, const struct api_request *request)
{
	exchange->queued = true;
	exchange->connection = connection;
	exchange->job.request = *request;
	exchange->job.done = on_done;
	MHD_suspend_connection(connection);
	api_verbs_add(&server->verbs, &exchange->job);
}

static enum MHD_Result on_request(void *data, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_size, void **exchange_slot)
{
	struct api_server *server = data;
	struct exchange *exchange = *exchange_slot;
	struct api_request request = {.method = method, .path = url};
	struct api_reply reply;

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
		return answer(connection, &exchange->job.reply);
	}
	if (exchange->too_large)
		return answer_too_large(connection);
	request.body = exchange->body.data;
	request.body_length = exchange->body.length;
	if (!api_request_is_quick(&request)) {
		queue(server, exchange, connection, &request);
		return MHD_YES;
	}
	api_dispatch(&server->context, &request, &reply);
	log_debug("%s %s: %u", method, url, reply.status);
	return answer(connection, &reply);
}

static void on_completed(void *data, struct MHD_Connection *connection, void **exchange_slot,
			 enum MHD_RequestTerminationCode code)
{
	struct exchange *exchange = *exchange_slot;

	if (!exchange)
		return;
	/* The client went before it had its answer. */
	if (exchange->queued) {
		json_decref(exchange->job.reply.json);
		free(exchange->job.reply.text);
	}
	text_fini(&exchange->body);
	free(exchange);
	*exchange_slot = NULL;
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

int api_server_new(const struct api_context *context, struct api_server **ret_server,
		   struct err *err)
{
	struct api_server *server;
	int r = paths_check(&context->process, err);

	if (r < 0)
		return r;
	server = xcalloc(1, sizeof(*server));
	server->context = *context;
	r = api_listener_open(&server->listener, context->process.socket_path, err);
	if (r < 0) {
		free(server);
		return r;
	}
	r = api_verbs_start(&server->verbs, context);
	if (r < 0) {
		api_listener_close(&server->listener);
		free(server);
		return err_set(err, r, "cannot start the thread of the verbs: %s", strerror(-r));
	}
	server->context.verbs = &server->verbs.running;
	server->http = MHD_start_daemon(
		MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC |
			MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG,
		0, NULL, NULL, on_request, server, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
		MHD_OPTION_LISTEN_SOCKET, server->listener.fd, MHD_OPTION_NOTIFY_COMPLETED,
		on_completed, NULL, MHD_OPTION_CONNECTION_LIMIT, (unsigned)API_CONNECTIONS_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)API_TIMEOUT_S,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_BYTES,
		MHD_OPTION_END);
	if (!server->http) {
		api_verbs_stop(&server->verbs);
		api_listener_close(&server->listener);
		free(server);
		return err_set(err, -ENOMEM, "cannot start the HTTP server");
	}
	*ret_server = server;
	return 0;
}

void api_server_free(struct api_server *server)
{
	if (!server)
		return;
	/* First, as no connection may sleep when its server stops. */
	api_verbs_stop(&server->verbs);
	/* Stops the thread and closes the listening socket too. */
	MHD_stop_daemon(server->http);
	server->listener.fd = -1;
	api_listener_close(&server->listener);
	free(server);
}
