/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP client. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include <quoin/base_text.h>

#include "client.h"

/* One of the two. */
struct client_answer {
	json_t **json;
	struct text *text;
};

#define TIMEOUT_S 120L		      /* a verb waits for I/O in flight */
#define ANSWER_MAX (16 * 1024 * 1024) /* 256 targets with 64 namespaces each are less */

void client_fini(struct client *client)
{
	free(client->socket_path);
	client->socket_path = NULL;
}

static size_t answer_take(char *data, size_t size, size_t count, void *text)
{
	struct text *answer = text;

	if (size * count > ANSWER_MAX - answer->length)
		return 0;
	text_append(answer, data, size * count);
	return size * count;
}

/* The transfer failed before there was an answer. */
static int transport_error(CURL *curl, CURLcode code, const char *path, struct err *err)
{
	long number = 0;

	curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &number);
	if (code == CURLE_COULDNT_CONNECT && (number == ENOENT || number == ECONNREFUSED))
		return err_set(err, -ENOTCONN,
			       "quoind is not running (nobody listens on %s): start it with "
			       "\"quoin daemon start\", or give --socket",
			       path);
	if (code == CURLE_COULDNT_CONNECT && number == EACCES)
		return err_set(
			err, -EACCES,
			"no permission to talk to quoind on %s: use the account that runs it",
			path);
	if (code == CURLE_OPERATION_TIMEDOUT)
		return err_set(err, -ETIMEDOUT, "quoind on %s did not answer within %ld s", path,
			       TIMEOUT_S);
	if (code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR)
		return err_set(err, -ECONNRESET, "quoind on %s ended before it answered", path);
	return err_set(err, -EIO, "quoind on %s cannot be asked: %s", path,
		       number ? strerror((int)number) : curl_easy_strerror(code));
}

/* With `ret_text` its JSON is not read where all is well. */
static int answer_judge(long status, struct text *answer, const struct client_answer *ret,
			struct err *err)
{
	json_t *json = NULL;
	const char *message;

	if (status >= 200 && status < 300 && ret->text) {
		*ret->text = *answer;
		text_init(answer);
		return 0;
	}
	if (answer->length > 0)
		json = json_loadb(answer->data, answer->length, 0, NULL);
	if (status >= 200 && status < 300 && (json || answer->length == 0)) {
		*ret->json = json;
		return 0;
	}
	message = json_string_value(json_object_get(json_object_get(json, "error"), "message"));
	if (message)
		err_set(err, -EREMOTEIO, "%s", message);
	else
		err_set(err, -EPROTO, "what answered is not quoind (HTTP status %ld)", status);
	json_decref(json);
	return message ? -EREMOTEIO : -EPROTO;
}

static void prepare(CURL *curl, const struct client *client, const struct client_request *request,
		    const char *url)
{
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, client->socket_path);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, answer_take);
}

static int transfer(const struct client *client, const struct client_request *request,
		    const struct client_answer *ret, struct err *err)
{
	CLEANUP_FREE char *url = xasprintf("http://localhost%s", request->path);
	CLEANUP_FREE char *body = request->body ? json_dumps(request->body, JSON_COMPACT) : NULL;
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	CURL *curl = curl_easy_init();
	struct text answer;
	CURLcode code;
	long status = 0;
	int r;

	if (!curl || !headers) {
		curl_slist_free_all(headers);
		return err_set(err, -ENOMEM, "libcurl does not start");
	}
	text_init(&answer);
	prepare(curl, client, request, url);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
	if (body) {
		curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	}
	code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	if (code == CURLE_OK)
		r = answer_judge(status, &answer, ret, err);
	else
		r = transport_error(curl, code, client->socket_path, err);
	text_fini(&answer);
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	return r;
}

int client_send(const struct client *client, const struct client_request *request,
		json_t **ret_json, struct err *err)
{
	return transfer(client, request, &(struct client_answer){.json = ret_json}, err);
}

int client_send_for_text(const struct client *client, const struct client_request *request,
			 struct text *ret_text, struct err *err)
{
	return transfer(client, request, &(struct client_answer){.text = ret_text}, err);
}
