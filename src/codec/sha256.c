/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 (FIPS 180-4). Ours because the state of an image that is half here is kept in the pool:
 * no library says what its own looks like. A state between two blocks is eight words and a length.
 */
#include <string.h>

#include <quoin/codec_sha256.h>

static const uint32_t round_constants[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
	0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
	0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
	0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
	0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
	0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
	0xc67178f2};

static uint32_t be32_get(const uint8_t *from)
{
	return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

static void be32_put(uint8_t *to, uint32_t value)
{
	to[0] = (uint8_t)(value >> 24);
	to[1] = (uint8_t)(value >> 16);
	to[2] = (uint8_t)(value >> 8);
	to[3] = (uint8_t)value;
}

static uint32_t rotate(uint32_t x, unsigned by)
{
	return x >> by | x << (32 - by);
}

static void schedule_make(const uint8_t block[CODEC_SHA256_BLOCK_BYTES], uint32_t w[64])
{
	for (unsigned i = 0; i < 16; i++)
		w[i] = be32_get(block + i * 4);
	for (unsigned i = 16; i < 64; i++) {
		const uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
		const uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;

		w[i] = w[i - 16] + s0 + w[i - 7] + s1;
	}
}

/*
 * The round after `turn` others, of 8: instead of being moved, each word is found one place lower
 * after each round. With constant turns the words stay in registers.
 */
static inline void round_add(uint32_t v[8], unsigned turn, uint32_t add)
{
	const uint32_t a = v[(8 - turn) % 8], b = v[(9 - turn) % 8], c = v[(10 - turn) % 8];
	const uint32_t e = v[(12 - turn) % 8], f = v[(13 - turn) % 8], g = v[(14 - turn) % 8];
	uint32_t *const d = &v[(11 - turn) % 8], *const h = &v[(15 - turn) % 8];
	const uint32_t s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
	const uint32_t s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
	const uint32_t choice = (e & f) ^ (~e & g);
	const uint32_t majority = (a & b) ^ (a & c) ^ (b & c);
	const uint32_t t1 = *h + s1 + choice + add;

	*d += t1;
	*h = t1 + s0 + majority;
}

static void block_add(uint32_t state[8], const uint8_t block[CODEC_SHA256_BLOCK_BYTES])
{
	const uint32_t *const k = round_constants;
	uint32_t w[64];
	uint32_t v[8];

	schedule_make(block, w);
	memcpy(v, state, sizeof(v));
	for (unsigned i = 0; i < 64; i += 8) {
		round_add(v, 0, k[i] + w[i]);
		round_add(v, 1, k[i + 1] + w[i + 1]);
		round_add(v, 2, k[i + 2] + w[i + 2]);
		round_add(v, 3, k[i + 3] + w[i + 3]);
		round_add(v, 4, k[i + 4] + w[i + 4]);
		round_add(v, 5, k[i + 5] + w[i + 5]);
		round_add(v, 6, k[i + 6] + w[i + 6]);
		round_add(v, 7, k[i + 7] + w[i + 7]);
	}
	for (unsigned i = 0; i < 8; i++)
		state[i] += v[i];
}

void codec_sha256_init(struct codec_sha256 *sha)
{
	*sha = (struct codec_sha256){.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
					       0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
}

void codec_sha256_add(struct codec_sha256 *sha, const void *data, size_t size_bytes)
{
	const uint8_t *at = data;
	size_t held = sha->length_bytes % CODEC_SHA256_BLOCK_BYTES;

	sha->length_bytes += size_bytes;
	if (held > 0) {
		const size_t rest = CODEC_SHA256_BLOCK_BYTES - held;
		const size_t take = MIN(rest, size_bytes);

		memcpy(sha->held + held, at, take);
		at += take;
		size_bytes -= take;
		if (take < rest)
			return;
		block_add(sha->state, sha->held);
	}
	for (; size_bytes >= CODEC_SHA256_BLOCK_BYTES; size_bytes -= CODEC_SHA256_BLOCK_BYTES) {
		block_add(sha->state, at);
		at += CODEC_SHA256_BLOCK_BYTES;
	}
	memcpy(sha->held, at, size_bytes);
}

void codec_sha256_end(struct codec_sha256 *sha, uint8_t ret_digest[CODEC_SHA256_BYTES])
{
	static const uint8_t padding[CODEC_SHA256_BLOCK_BYTES] = {0x80};
	const uint64_t bits = sha->length_bytes * 8;
	const size_t held = sha->length_bytes % CODEC_SHA256_BLOCK_BYTES;
	uint8_t length[8];

	be32_put(length, (uint32_t)(bits >> 32));
	be32_put(length + 4, (uint32_t)bits);
	codec_sha256_add(sha, padding, held < 56 ? 56 - held : 120 - held);
	codec_sha256_add(sha, length, sizeof(length));
	for (unsigned i = 0; i < 8; i++)
		be32_put(ret_digest + i * 4, sha->state[i]);
}

void codec_sha256(const void *data, size_t size_bytes, uint8_t ret_digest[CODEC_SHA256_BYTES])
{
	struct codec_sha256 sha;

	codec_sha256_init(&sha);
	codec_sha256_add(&sha, data, size_bytes);
	codec_sha256_end(&sha, ret_digest);
}
