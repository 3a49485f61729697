/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list of the digests of an image's pieces: what `quoin image digest` writes and `quoin volume
 * deploy --digest-list` reads. Text of lines that end with '\n' alone:
 *
 *   quoin-digests 1
 *   size BYTES                  of the image as a disk, not of the file it came in
 *   piece 1048576
 *   64 hexadecimal digits       SHA-256 of piece 0, then of piece 1 ... of the last
 *
 * The last piece ends with the image. Nothing follows.
 */
#ifndef QUOIN_IMAGE_DIGEST_H
#define QUOIN_IMAGE_DIGEST_H

#include <quoin/base.h>
#include <quoin/base_err.h>

#define IMAGE_DIGEST_BYTES 32
#define IMAGE_DIGEST_HEX (2 * IMAGE_DIGEST_BYTES)
#define IMAGE_PIECE_BYTES (1 * MiB)

struct image_digests {
	uint64_t image_bytes;
	uint64_t count;
	uint8_t (*digests)[IMAGE_DIGEST_BYTES]; /* owned */
};

/* -EINVAL with the line that is wrong; `ret` is untouched then. Free with image_digests_fini(). */
MUST_CHECK int image_digests_parse(const char *text, size_t length, struct image_digests *ret,
				   struct err *err);
void image_digests_fini(struct image_digests *digests);

/* 64 hexadecimal digits and nothing else. -EINVAL. */
MUST_CHECK int image_digest_parse(const char *text, uint8_t ret[IMAGE_DIGEST_BYTES]);

/* Into `text`, which it returns. */
char *image_digest_format(const uint8_t digest[IMAGE_DIGEST_BYTES],
			  char text[IMAGE_DIGEST_HEX + 1]);

/* The lines before the digests. */
#define IMAGE_DIGESTS_HEAD "quoin-digests 1\nsize %llu\npiece 1048576\n"

struct image_opener;
struct loop;

/* [fiber] The list of an image, to `out`, which is a FILE. */
MUST_CHECK int image_digest_print(struct loop *loop, const struct image_opener *opener,
				  const char *source, void *out, struct err *err);

#endif
