/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to a web server, and the first of them: is the image there, may we have it, how large is
 * it, which version of it. Certificates are verified, redirects followed a few times. nbdkit asks
 * the same again, but cannot be told apart from one that is broken.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <quoin/base_assert.h>

#include "nbd_stream.h"

#define REDIRECTS_MAX 10L
#define CONNECT_S 8L

/* "Name: value\r\n" when it is that header; what is no printable ASCII is left out. */
static void header_take(const char *line, size_t length, const char *name, char *to,
			size_t to_bytes)
{
	const size_t name_length = strlen(name);
	size_t used = 0;

	if (length <= name_length || strncasecmp(line, name, name_length) != 0)
		return;
	for (size_t i = name_length; i < length && used + 1 < to_bytes; i++)
		if (line[i] > 0x20 && line[i] < 0x7f)
			to[used++] = line[i];
	to[used] = '\0';
}

static size_t on_header(char *line, size_t size, size_t count, void *data)
{
	struct nbd_http *http = data;
	const size_t length = size * count;
	char ranges[16] = "";

	/* Another answer begins, after a redirect. */
	if (length > 5 && strncmp(line, "HTTP/", 5) == 0) {
		http->etag[0] = http->modified[0] = '\0';
		http->ranges = false;
	}
	header_take(line, length, "ETag:", http->etag, sizeof(http->etag));
	header_take(line, length, "Last-Modified:", http->modified, sizeof(http->modified));
	header_take(line, length, "Accept-Ranges:", ranges, sizeof(ranges));
	http->ranges = http->ranges || strcasecmp(ranges, "bytes") == 0;
	return length;
}

static int code_of(CURLcode code)
{
	switch ((int)code) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_CONNECT:
		return -EHOSTUNREACH;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return -EINVAL;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
		return -EACCES;
	case CURLE_TOO_MANY_REDIRECTS:
		return -ELOOP;
	default:
		return -EIO;
	}
}

static int status_judge(const char *url, long status, struct err *err)
{
	int code = -EIO;

	if (status >= 200 && status < 300)
		return 0;
	if (status == 401 || status == 403 || status == 407)
		code = -EACCES;
	else if (status == 404 || status == 410)
		code = -ENOENT;
	return err_set(err, code, "%s: the server says %ld%s", url, status,
		       code == -EACCES	 ? " (not for us)"
		       : code == -ENOENT ? " (there is no such file)"
					 : "");
}

static void options_set(struct nbd_http *http)
{
	CURL *curl = http->easy;

	curl_easy_setopt(curl, CURLOPT_URL, http->source->text);
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(curl, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, http->words);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, http);
}

int nbd_http_open(struct nbd_http *http, struct nbd_source *source)
{
	*http = (struct nbd_http){.source = source};
	http->easy = curl_easy_init();
	http->multi = curl_multi_init();
	if (http->easy && http->multi)
		options_set(http);
	if (http->easy && http->multi && curl_multi_add_handle(http->multi, http->easy) == CURLM_OK)
		return 0;
	nbd_http_close(http);
	return -ENOMEM;
}

void nbd_http_close(struct nbd_http *http)
{
	if (http->multi && http->easy)
		curl_multi_remove_handle(http->multi, http->easy);
	curl_easy_cleanup(http->easy);
	curl_multi_cleanup(http->multi);
}

bool nbd_http_perform(struct nbd_http *http, CURLcode *ret_code)
{
	const CURLMsg *message;
	int count = 0;

	if (curl_multi_perform(http->multi, &count) != CURLM_OK) {
		*ret_code = CURLE_FAILED_INIT;
		return true;
	}
	message = curl_multi_info_read(http->multi, &count);
	if (!message || message->msg != CURLMSG_DONE)
		return false;
	*ret_code = message->data.result;
	return true;
}

void nbd_http_wait(struct nbd_http *http)
{
	const struct nbd_source *source = http->source;
	struct curl_waitfd wake = {.fd = source->wake_fd, .events = CURL_WAIT_POLLIN};
	uint64_t count;

	curl_multi_poll(http->multi, &wake, 1, NBD_LOOK_MS, NULL);
	if (wake.revents && read(source->wake_fd, &count, sizeof(count)) < 0)
		ASSERT(errno == EAGAIN || errno == EINTR);
}

void nbd_http_identity(const struct nbd_http *http, uint64_t size_bytes,
		       char ret[IMAGE_IDENTITY_MAX + 1])
{
	snprintf(ret, IMAGE_IDENTITY_MAX + 1, "http %s %s %llu", http->etag,
		 http->etag[0] ? "" : http->modified, (unsigned long long)size_bytes);
}

int nbd_http_judge(struct nbd_http *http, CURLcode code, struct err *err)
{
	const char *url = http->source->text;
	long status = 0;

	curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &status);
	if (code == CURLE_OK || code == CURLE_HTTP_RETURNED_ERROR)
		return status_judge(url, status, err);
	return err_set(err, code_of(code), "%s: %s", url,
		       http->words[0] ? http->words : curl_easy_strerror(code));
}

static void head_fill(struct nbd_http *http, struct nbd_http_head *head)
{
	curl_off_t size = -1;

	curl_easy_getinfo(http->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &size);
	head->has_size = size >= 0;
	head->size_bytes = size >= 0 ? (uint64_t)size : 0;
	head->ranges = http->ranges;
	nbd_http_identity(http, head->size_bytes, head->identity);
}

int nbd_http_head(struct nbd_source *source, struct nbd_http_head *ret_head, struct err *err)
{
	struct nbd_http http;
	CURLcode code = CURLE_OK;
	int r = nbd_http_open(&http, source);

	if (r < 0)
		return err_set(err, r, "%s: out of memory", source->text);
	curl_easy_setopt(http.easy, CURLOPT_NOBODY, 1L);
	curl_easy_setopt(http.easy, CURLOPT_TIMEOUT_MS, (long)NBD_OPEN_MS);
	while (r == 0 && !nbd_http_perform(&http, &code)) {
		nbd_http_wait(&http);
		r = atomic_load(&source->stop) ? -ECANCELED : 0;
	}
	r = r < 0 ? err_set(err, r, "%s: it was given up", source->text)
		  : nbd_http_judge(&http, code, err);
	if (r == 0)
		head_fill(&http, ret_head);
	nbd_http_close(&http);
	return r;
}
