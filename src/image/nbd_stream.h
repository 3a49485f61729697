/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a web server sends, asked for by the thread of a source. A request for the head says what is
 * there; a stream is one request for all of it, which moves only while somebody reads from it: what
 * is not read stays with the server.
 */
#ifndef IMAGE_NBD_STREAM_H
#define IMAGE_NBD_STREAM_H

#include <curl/curl.h>

#include "source_nbd.h"

/* One request; nbd_http.c. */
struct nbd_http {
	struct nbd_source *source; /* whose thread this is */
	CURL *easy;
	CURLM *multi;
	char words[CURL_ERROR_SIZE];
	/* Of the newest answer: an earlier one was a redirect. */
	char etag[120];
	char modified[64];
	bool ranges;
};

/* To source->text, with the options of all requests. -ENOMEM. */
MUST_CHECK int nbd_http_open(struct nbd_http *http, struct nbd_source *source);
void nbd_http_close(struct nbd_http *http);

/* Moves what can be moved now. True when the request has ended. */
bool nbd_http_perform(struct nbd_http *http, CURLcode *ret_code);

/* Until something can be moved, or the source is to stop, or for NBD_LOOK_MS. */
void nbd_http_wait(struct nbd_http *http);

/* What an answer says of the version of the file. */
void nbd_http_identity(const struct nbd_http *http, uint64_t size_bytes,
		       char ret[IMAGE_IDENTITY_MAX + 1]);

/* A sentence for a request that ended so. -ENOENT (404), -EACCES (401, 403), -EHOSTUNREACH ... */
MUST_CHECK int nbd_http_judge(struct nbd_http *http, CURLcode code, struct err *err);

struct nbd_http_head {
	uint64_t size_bytes;
	bool has_size;
	bool ranges; /* it says that it has them */
	char identity[IMAGE_IDENTITY_MAX + 1];
};
MUST_CHECK int nbd_http_head(struct nbd_source *source, struct nbd_http_head *ret_head,
			     struct err *err);

/* --- Streams (nbd_stream.c) ------------------------------------------------------------------- */

#define NBD_STREAM_PEEK_MAX (64 * KiB)

struct nbd_stream;

/* The file as source->source says it is: another size or identity is an error when it comes. */
MUST_CHECK int nbd_stream_open(struct nbd_source *source, struct nbd_stream **ret_stream);
void nbd_stream_close(struct nbd_stream *stream);

/* Where it is: what was read. */
uint64_t nbd_stream_at(const struct nbd_stream *stream);

/* Not faster than so many bytes a second from now on; 0 = as fast as it comes. */
void nbd_stream_limit(struct nbd_stream *stream, uint64_t rate_bytes);

/* The first bytes, which stay: up to NBD_STREAM_PEEK_MAX, fewer when there are no more. */
MUST_CHECK int nbd_stream_peek(struct nbd_stream *stream, const void **ret_data, size_t *ret_length,
			       struct err *err);

/*
 * All of `length`, which is there. -EPIPE: it ended early; -ETIMEDOUT: nothing came for
 * NBD_STALL_MS; -ESTALE: it is another file than it was; -ECANCELED.
 */
MUST_CHECK int nbd_stream_read(struct nbd_stream *stream, void *data, size_t length,
			       struct err *err);

#endif
