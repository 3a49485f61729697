/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a web server says of an image before anything is fetched: is it there, may we have it, how
 * large is it, which version of it. Certificates are verified, redirects followed a few times.
 * nbdkit asks the same again, but cannot be told apart from one that is broken.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "source_nbd.h"

#define REDIRECTS_MAX 10L
#define CONNECT_S 8L

struct headers {
	char etag[120];
	char modified[64];
	bool ranges;
};

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
	struct headers *headers = data;
	const size_t length = size * count;
	char ranges[16] = "";

	/* Another answer begins, after a redirect. */
	if (length > 5 && strncmp(line, "HTTP/", 5) == 0)
		*headers = (struct headers){.ranges = false};
	header_take(line, length, "ETag:", headers->etag, sizeof(headers->etag));
	header_take(line, length, "Last-Modified:", headers->modified, sizeof(headers->modified));
	header_take(line, length, "Accept-Ranges:", ranges, sizeof(ranges));
	headers->ranges = headers->ranges || strcasecmp(ranges, "bytes") == 0;
	return length;
}

static int on_progress(void *data, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	return atomic_load((const atomic_bool *)data) ? 1 : 0;
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
	case CURLE_ABORTED_BY_CALLBACK:
		return -ECANCELED;
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

static void options_set(CURL *curl, const char *url, const atomic_bool *stop,
			struct headers *headers, char *words)
{
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(curl, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)NBD_OPEN_MS);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, words);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, headers);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, stop);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
}

static void head_fill(CURL *curl, const struct headers *headers, struct nbd_http_head *head)
{
	curl_off_t size = -1;

	curl_easy_getinfo(curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &size);
	head->has_size = size >= 0;
	head->size_bytes = size >= 0 ? (uint64_t)size : 0;
	head->ranges = headers->ranges;
	snprintf(head->identity, sizeof(head->identity), "http %s %s %lld", headers->etag,
		 headers->etag[0] ? "" : headers->modified, (long long)size);
}

int nbd_http_head(const char *url, const atomic_bool *stop, struct nbd_http_head *ret_head,
		  struct err *err)
{
	char words[CURL_ERROR_SIZE] = "";
	struct headers headers = {.ranges = false};
	CURL *curl = curl_easy_init();
	long status = 0;
	CURLcode code;
	int r;

	if (!curl)
		return err_set(err, -ENOMEM, "%s: out of memory", url);
	options_set(curl, url, stop, &headers, words);
	code = curl_easy_perform(curl);
	if (code != CURLE_OK) {
		r = err_set(err, code_of(code), "%s: %s", url,
			    words[0] ? words : curl_easy_strerror(code));
	} else {
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
		r = status_judge(url, status, err);
	}
	if (r == 0)
		head_fill(curl, &headers, ret_head);
	curl_easy_cleanup(curl);
	return r;
}
