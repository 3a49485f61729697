/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of blocks, and the test for zeroes. */
#include <string.h>

/* Under the same names the best code for the processor that runs, where the library has it. */
#ifdef CODEC_XXH_DISPATCH
#include <xxh_x86dispatch.h>
#else
#include <xxhash.h>
#endif

#include <quoin/codec.h>

uint64_t codec_check64(const void *data, size_t size_bytes, uint64_t seed)
{
	return XXH3_64bits_withSeed(data, size_bytes, seed);
}

void codec_check128(const void *data, size_t size_bytes, uint64_t seed,
		    uint8_t ret_check[CODEC_CHECK_BYTES])
{
	XXH128_canonical_t canonical;

	XXH128_canonicalFromHash(&canonical, XXH3_128bits_withSeed(data, size_bytes, seed));
	memcpy(ret_check, canonical.digest, CODEC_CHECK_BYTES);
}

bool codec_is_zero(const void *data, size_t size_bytes)
{
	const uint8_t *bytes = data;

	/* A buffer is zero when it begins with zero and equals itself shifted by one. */
	return size_bytes == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size_bytes - 1) == 0);
}
