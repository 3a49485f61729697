/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pure transforms over buffers. So far checks: XXH3 by Yann Collet (libxxhash), 64 and 128 bits,
 * seeded. A seed says where a block belongs, so that a block read from the wrong place does not
 * pass. Not for keys: nobody is kept from forging one.
 *
 * Any thread; no state; nothing allocates.
 */
#ifndef QUOIN_CODEC_H
#define QUOIN_CODEC_H

#include <quoin/base.h>

#define CODEC_CHECK_BYTES 16

uint64_t codec_check64(const void *data, size_t size_bytes, uint64_t seed);

/* Canonical (big-endian) form: the same bytes on every machine. */
void codec_check128(const void *data, size_t size_bytes, uint64_t seed,
		    uint8_t ret_check[CODEC_CHECK_BYTES]);

/* True when every byte is zero. */
bool codec_is_zero(const void *data, size_t size_bytes);

#endif
