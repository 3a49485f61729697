/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All of a file from a web server, in order; see nbd_stream.h. libcurl hands over what has come,
 * which goes into a buffer; when that is full the transfer pauses.
 */
#include "nbd_stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_clock.h>
#include <quoin/base_text.h>

#define BUFFER_BYTES (1 * MiB)

_Static_assert(BUFFER_BYTES >= NBD_STREAM_PEEK_MAX + CURL_MAX_WRITE_SIZE, "a look fits");

struct nbd_stream {
	struct nbd_http http;
	uint64_t at;	     /* read by whoever reads */
	uint64_t size_bytes; /* there must be */
	size_t begin, end;   /* of what has come and was not read */
	bool begun;	     /* its head was looked at */
	bool changed;	     /* it is not what it was */
	bool paused;
	struct err why; /* it has ended: code -ENODATA when all came */
	uint8_t *buffer;
};

static size_t held(const struct nbd_stream *stream)
{
	return stream->end - stream->begin;
}

/* The head of this answer against that of the first request. */
static bool same(struct nbd_stream *stream)
{
	char identity[IMAGE_IDENTITY_MAX + 1];
	curl_off_t size = -1;

	curl_easy_getinfo(stream->http.easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &size);
	/* Some say how large it is only when they are asked for nothing else. */
	nbd_http_identity(&stream->http, size < 0 ? stream->size_bytes : (uint64_t)size, identity);
	return strcmp(identity, stream->http.source->source.identity) == 0;
}

static size_t on_data(char *data, size_t size, size_t count, void *arg)
{
	struct nbd_stream *stream = arg;
	const size_t length = size * count;

	if (!stream->begun) {
		stream->begun = true;
		stream->changed = !same(stream);
	}
	if (stream->changed)
		return length == 0 ? 1 : 0;
	if (length > BUFFER_BYTES - held(stream)) {
		stream->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	if (length > BUFFER_BYTES - stream->end) {
		memmove(stream->buffer, stream->buffer + stream->begin, held(stream));
		stream->end = held(stream);
		stream->begin = 0;
	}
	memcpy(stream->buffer + stream->end, data, length);
	stream->end += length;
	return length;
}

int nbd_stream_open(struct nbd_source *source, struct nbd_stream **ret_stream)
{
	struct nbd_stream *stream = xcalloc(1, sizeof(*stream));
	int r;

	stream->buffer = malloc(BUFFER_BYTES);
	stream->size_bytes = source->source.original_bytes;
	r = stream->buffer ? nbd_http_open(&stream->http, source) : -ENOMEM;
	if (r < 0) {
		free(stream->buffer);
		free(stream);
		return err_set(&source->err, r, "%s: out of memory", source->text);
	}
	curl_easy_setopt(stream->http.easy, CURLOPT_FAILONERROR, 1L);
	curl_easy_setopt(stream->http.easy, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(stream->http.easy, CURLOPT_WRITEDATA, stream);
	*ret_stream = stream;
	return 0;
}

void nbd_stream_close(struct nbd_stream *stream)
{
	if (!stream)
		return;
	nbd_http_close(&stream->http);
	free(stream->buffer);
	free(stream);
}

uint64_t nbd_stream_at(const struct nbd_stream *stream)
{
	return stream->at;
}

void nbd_stream_limit(struct nbd_stream *stream, uint64_t rate_bytes)
{
	curl_easy_setopt(stream->http.easy, CURLOPT_MAX_RECV_SPEED_LARGE, (curl_off_t)rate_bytes);
}

/* Why there is no more. */
static void end_judge(struct nbd_stream *stream, CURLcode code)
{
	const char *url = stream->http.source->text;
	const uint64_t came = stream->at + held(stream);

	if (stream->changed || came > stream->size_bytes)
		err_set(&stream->why, -ESTALE, "%s changed while it was asked for", url);
	else if ((code == CURLE_OK || code == CURLE_PARTIAL_FILE) && came < stream->size_bytes)
		err_set(&stream->why, -EPIPE,
			"%s: the server ended early, after %llu of %llu bytes", url,
			(unsigned long long)came, (unsigned long long)stream->size_bytes);
	else if (code == CURLE_OK)
		err_set(&stream->why, -ENODATA, "%s has no more", url);
	else if (nbd_http_judge(&stream->http, code, &stream->why) == 0)
		err_set(&stream->why, -EIO, "%s cannot be read", url);
}

/* Until there is more in the buffer than there was, or the end is known. */
static int more(struct nbd_stream *stream, struct err *err)
{
	const uint64_t start_ms = clock_now_ms(CLOCK_MONOTONIC);
	const size_t before = held(stream);
	CURLcode code = CURLE_OK;

	for (;;) {
		/* A server that is quick leaves nothing to wait for. */
		if (atomic_load(&stream->http.source->stop))
			return err_set(err, -ECANCELED, "%s: it was given up",
				       stream->http.source->text);
		if (stream->paused) {
			stream->paused = false;
			curl_easy_pause(stream->http.easy, CURLPAUSE_CONT);
		}
		if (nbd_http_perform(&stream->http, &code)) {
			end_judge(stream, code);
			return 0;
		}
		if (held(stream) > before)
			return 0;
		if (clock_now_ms(CLOCK_MONOTONIC) - start_ms > NBD_STALL_MS)
			return err_set(err, -ETIMEDOUT, "%s: nothing came for %d s",
				       stream->http.source->text, NBD_STALL_MS / 1000);
		nbd_http_wait(&stream->http);
	}
}

int nbd_stream_peek(struct nbd_stream *stream, const void **ret_data, size_t *ret_length,
		    struct err *err)
{
	int r = 0;

	while (r == 0 && stream->why.code == 0 && held(stream) < NBD_STREAM_PEEK_MAX)
		r = more(stream, err);
	if (r == 0 && stream->why.code != 0 && stream->why.code != -ENODATA)
		r = err_set(err, stream->why.code, "%s", stream->why.text);
	if (r < 0)
		return r;
	*ret_data = stream->buffer + stream->begin;
	*ret_length = MIN(held(stream), (size_t)NBD_STREAM_PEEK_MAX);
	return 0;
}

int nbd_stream_read(struct nbd_stream *stream, void *data, size_t length, struct err *err)
{
	uint8_t *to = data;
	int r = 0;

	while (r == 0 && length > 0) {
		const size_t part = MIN(held(stream), length);

		memcpy(to, stream->buffer + stream->begin, part);
		stream->begin += part;
		stream->at += part;
		to += part;
		length -= part;
		if (length > 0 && stream->why.code != 0)
			r = err_set(err, stream->why.code, "%s", stream->why.text);
		else if (length > 0)
			r = more(stream, err);
	}
	return r;
}
