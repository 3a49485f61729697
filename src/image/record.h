/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is kept in the pool of an image that is arriving, in a hidden volume beside its own: first
 * this header, then a bit for each piece that is here, then the digests of the pieces when there
 * is a list of them. docs/FORMAT.md, section 10. Only bytes here; no I/O.
 */
#ifndef IMAGE_RECORD_H
#define IMAGE_RECORD_H

#include <quoin/base.h>
#include <quoin/codec_sha256.h>

#define RECORD_PAGE_BYTES 4096
#define RECORD_SOURCE_MAX 3000 /* bytes of text */
#define RECORD_IDENTITY_MAX 255
#define RECORD_PROBLEM_MAX 255

enum record_flags {
	RECORD_FIRST = 1,   /* not attached before all of it is here */
	RECORD_SHA256 = 2,  /* the digest of the original stream is known */
	RECORD_DIGESTS = 4, /* so are those of the pieces */
	RECORD_PAUSED = 8,
	RECORD_FAILED = 16, /* for good; `problem` says why */
	RECORD_FLAGS = 31,
};

struct record {
	unsigned flags; /* enum record_flags, or-ed */
	uint8_t volume_guid[16];
	uint64_t image_bytes;
	uint64_t original_bytes; /* of the file that the image is in */
	uint64_t rate_bytes;	 /* a second; 0 = as fast as it comes */
	uint8_t sha256[CODEC_SHA256_BYTES];
	uint64_t hashed_bytes; /* of the original, a multiple of a block of the digest */
	uint32_t hash_state[8];
	char format[16];			/* as qemu calls it */
	char identity[RECORD_IDENTITY_MAX + 1]; /* of the source: another one is another image */
	char problem[RECORD_PROBLEM_MAX + 1];
	char source[RECORD_SOURCE_MAX + 1];
};

void record_encode(const struct record *record, uint8_t to[RECORD_PAGE_BYTES]);

/* -ENOENT: no record; -EUCLEAN: damaged, or not what this writes; -ENOTSUP: a newer one. */
MUST_CHECK int record_decode(const uint8_t from[RECORD_PAGE_BYTES], struct record *ret_record);

/* Pages of the bitmap of so many pieces, and of their digests. */
uint64_t record_bitmap_pages(uint64_t image_bytes);
uint64_t record_digest_pages(uint64_t image_bytes);

/* Of the whole hidden volume. */
uint64_t record_bytes(uint64_t image_bytes, bool digests);

#endif
