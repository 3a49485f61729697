/* SPDX-License-Identifier: Apache-2.0 */
/* An address as a hook. Its answer is thrown away; it is not followed to another place. */
#include "hook_run.h"

#include <errno.h>
#include <string.h>

#include <curl/curl.h>

static size_t answer_drop(char *data, size_t size, size_t count, void *unused)
{
	return size * count;
}

static int is_stopped(void *data, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct hook_try *try = data;

	return atomic_load(try->stop);
}

static void prepare(CURL *curl, const struct hook_try *try, struct curl_slist *headers)
{
	curl_easy_setopt(curl, CURLOPT_URL, try->where);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, try->json);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)try->timeout_ms);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)try->timeout_ms);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, answer_drop);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, is_stopped);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, (void *)try);
}

static int outcome(const struct hook_try *try, CURLcode code, long status, struct err *err)
{
	if (code == CURLE_ABORTED_BY_CALLBACK)
		return err_set(err, -ECANCELED, "%.100s was stopped", try->where);
	if (code == CURLE_OPERATION_TIMEDOUT)
		return err_set(err, -ETIMEDOUT, "%.100s did not answer within %u s", try->where,
			       try->timeout_ms / 1000);
	if (code != CURLE_OK)
		return err_set(err, -EIO, "%.100s: %s", try->where, curl_easy_strerror(code));
	if (status < 200 || status > 299)
		return err_set(err, -EIO, "%.100s answered with %ld", try->where, status);
	return 0;
}

int hook_url_post(const struct hook_try *try, struct err *err)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	CURL *curl = curl_easy_init();
	long status = 0;
	int r = -ENOMEM;

	if (curl && headers) {
		CURLcode code;

		prepare(curl, try, headers);
		code = curl_easy_perform(curl);
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
		r = outcome(try, code, status, err);
	} else {
		err_set(err, r, "%.100s: no memory", try->where);
	}
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	return r;
}
