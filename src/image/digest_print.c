/* SPDX-License-Identifier: Apache-2.0 */
/* The list of digests of an image, from its first piece to its last. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/image_digest.h>

#include "job_private.h"

/* The source tells what is wrong with it itself. */
static int piece_print(struct loop *loop, struct image_source *source, uint64_t at, void *data,
		       FILE *out)
{
	const size_t length = (size_t)MIN(IMAGE_PIECE_BYTES, source->size_bytes - at);
	uint8_t digest[IMAGE_DIGEST_BYTES];
	char text[IMAGE_DIGEST_HEX + 1];
	struct codec_sha256 sha;

	if (source->ops->read(source, at, data, length) < 0)
		return -EIO;
	codec_sha256_init(&sha);
	job_sha256(loop, &sha, data, length);
	codec_sha256_end(&sha, digest);
	if (fprintf(out, "%s\n", image_digest_format(digest, text)) < 0) {
		snprintf(source->problem, sizeof(source->problem), "the list cannot be written");
		return -EIO;
	}
	return 0;
}

int image_digest_print(struct loop *loop, const struct image_opener *opener, const char *words,
		       void *out, struct err *err)
{
	const struct image_ask ask = {.source = words, .format = ""};
	struct image_source *source = NULL;
	void *data = malloc(IMAGE_PIECE_BYTES);
	int r = data ? opener->open(opener, loop, &ask, &source, err)
		     : err_set(err, -ENOMEM, "out of memory");

	if (r == 0)
		fprintf(out, IMAGE_DIGESTS_HEAD, (unsigned long long)source->size_bytes);
	for (uint64_t at = 0; r == 0 && at < source->size_bytes; at += IMAGE_PIECE_BYTES)
		r = piece_print(loop, source, at, data, out);
	if (r < 0 && source)
		err_set(err, r, "%s", source->problem);
	if (source)
		source->ops->close(source);
	free(data);
	return r;
}
