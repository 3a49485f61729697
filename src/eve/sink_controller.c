/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A controller: HTTP POST to the three addresses of EVE's API, version 2, without the container in
 * which a device signs what it says: that is the agent's, who has the device's key.
 *
 * It has LIMIT_MS for an answer. A status of 200 to 299 has taken the message; those that are about
 * the message itself refuse it alone; any other, and no answer, is a controller that fails.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <curl/curl.h>

#include <quoin/base_text.h>

#include "private.h"

#define LIMIT_MS 8000L
#define CONNECT_MS 4000L
#define URL_MAX (EVE_URL_MAX + 128)

struct controller {
	struct eve_sink *sink;
	CURL *curl;
	struct curl_slist *headers;
	struct text answer;
};

/* The rest of a long answer is dropped. */
static size_t answer_take(char *data, size_t size, size_t count, void *arg)
{
	struct controller *c = arg;

	if (size * count <= EVE_ANSWER_MAX && c->answer.length <= EVE_ANSWER_MAX - size * count)
		text_append(&c->answer, data, size * count);
	return size * count;
}

static int is_stopped(void *arg, curl_off_t a, curl_off_t b, curl_off_t x, curl_off_t d)
{
	const struct controller *c = arg;

	return atomic_load(&c->sink->stop);
}

static void prepare(struct controller *c)
{
	const struct eve_config *config = &c->sink->config;

	c->headers = curl_slist_append(NULL, config->format == EVE_JSON
						     ? "Content-Type: application/json"
						     : "Content-Type: application/x-proto-binary");
	curl_easy_setopt(c->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, c->headers);
	curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c->curl, CURLOPT_TIMEOUT_MS, LIMIT_MS);
	curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, answer_take);
	curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, c);
	curl_easy_setopt(c->curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(c->curl, CURLOPT_XFERINFOFUNCTION, is_stopped);
	curl_easy_setopt(c->curl, CURLOPT_XFERINFODATA, c);
}

/* About what was sent, not about who sends or when: RFC 9110, 15.5. */
static bool is_about_message(long status)
{
	return status == 400 || status == 406 || status == 409 || status == 413 || status == 415 ||
	       status == 422;
}

static enum eve_outcome judge(struct controller *c, const struct eve_item *item, CURLcode code,
			      struct err *err)
{
	const char *who = c->sink->config.controller;
	long status = 0;

	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
	if (code == CURLE_OPERATION_TIMEDOUT)
		err_set(err, -ETIMEDOUT, "%.100s did not answer within %ld s", who,
			LIMIT_MS / 1000);
	else if (code != CURLE_OK)
		err_set(err, -EIO, "%.100s: %s", who, curl_easy_strerror(code));
	else if (status >= 200 && status <= 299)
		return EVE_TAKEN;
	else
		err_set(err, -EIO, "%.100s answered %ld to the message about %s", who, status,
			item->key);
	return code == CURLE_OK && is_about_message(status) ? EVE_REFUSED : EVE_FAILED;
}

static void answer_use(struct controller *c)
{
	struct eve *eve = c->sink->eve;
	struct eve_request request;

	if (c->answer.length == 0)
		return;
	eve_answer_decode(c->answer.data, c->answer.length, &request);
	pthread_mutex_lock(&eve->lock);
	if (eve_sink_heard(c->sink, &request))
		c->sink->again = true;
	pthread_mutex_unlock(&eve->lock);
}

static enum eve_outcome post(void *data, const struct eve_item *item, struct err *err)
{
	static const char *const paths[EVE_KINDS] = {"info", "metrics", "hardwarehealth"};
	struct controller *c = data;
	enum eve_outcome outcome;
	char url[URL_MAX];
	CURLcode code;

	snprintf(url, sizeof(url), "%s/api/v2/edgedevice/id/%s/%s", c->sink->config.controller,
		 c->sink->config.device, paths[item->kind]);
	curl_easy_setopt(c->curl, CURLOPT_URL, url);
	curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, item->message.data);
	curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)item->message.length);
	code = curl_easy_perform(c->curl);
	outcome = judge(c, item, code, err);
	if (outcome == EVE_TAKEN)
		answer_use(c);
	text_fini(&c->answer);
	text_init(&c->answer);
	return outcome;
}

void *eve_controller_main(void *sink)
{
	struct controller c = {.sink = sink, .curl = curl_easy_init()};
	const struct eve_delivery delivery = {post, &c};

	text_init(&c.answer);
	if (c.curl) {
		prepare(&c);
		eve_sink_run(sink, &delivery);
	}
	curl_slist_free_all(c.headers);
	curl_easy_cleanup(c.curl);
	return NULL;
}
