/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256, for images that come with a digest. The state may be kept and gone on from later. */
#ifndef QUOIN_CODEC_SHA256_H
#define QUOIN_CODEC_SHA256_H

#include <quoin/base.h>

#define CODEC_SHA256_BYTES 32
#define CODEC_SHA256_BLOCK_BYTES 64

/* `state` and `length_bytes` are all of it while the length is a multiple of a block. */
struct codec_sha256 {
	uint32_t state[8];
	uint64_t length_bytes;
	uint8_t held[CODEC_SHA256_BLOCK_BYTES];
};

void codec_sha256_init(struct codec_sha256 *sha);
void codec_sha256_add(struct codec_sha256 *sha, const void *data, size_t size_bytes);

/* What was added so far; add no more. */
void codec_sha256_end(struct codec_sha256 *sha, uint8_t ret_digest[CODEC_SHA256_BYTES]);

void codec_sha256(const void *data, size_t size_bytes, uint8_t ret_digest[CODEC_SHA256_BYTES]);

#endif
