/* SPDX-License-Identifier: Apache-2.0 */
/* The examples of FIPS 180-4, and that it does not matter in which pieces data comes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <quoin/base_random.h>
#include <quoin/codec_sha256.h>

static void digest_is(const uint8_t digest[CODEC_SHA256_BYTES], const char *wanted)
{
	static const char digits[] = "0123456789abcdef";
	char text[2 * CODEC_SHA256_BYTES + 1] = "";

	for (size_t i = 0; i < CODEC_SHA256_BYTES; i++) {
		text[2 * i] = digits[digest[i] >> 4];
		text[2 * i + 1] = digits[digest[i] & 15];
	}
	assert_string_equal(text, wanted);
}

static void examples(void **state)
{
	static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
	static char million[1000000];
	uint8_t digest[CODEC_SHA256_BYTES];

	codec_sha256("", 0, digest);
	digest_is(digest, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	codec_sha256("abc", 3, digest);
	digest_is(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	codec_sha256(two_blocks, strlen(two_blocks), digest);
	digest_is(digest, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	memset(million, 'a', sizeof(million));
	codec_sha256(million, sizeof(million), digest);
	digest_is(digest, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void any_pieces(void **state)
{
	uint8_t data[1000];
	struct random random;

	random_init(&random, 7);
	random_fill(&random, data, sizeof(data));
	for (unsigned round = 0; round < 500; round++) {
		const size_t size = random_below(&random, sizeof(data) + 1);
		uint8_t whole[CODEC_SHA256_BYTES];
		uint8_t pieces[CODEC_SHA256_BYTES];
		struct codec_sha256 sha;
		size_t at = 0;

		codec_sha256(data, size, whole);
		codec_sha256_init(&sha);
		while (at < size) {
			const size_t length = 1 + random_below(&random, MIN(size - at, 200));

			codec_sha256_add(&sha, data + at, length);
			at += length;
		}
		codec_sha256_end(&sha, pieces);
		assert_memory_equal(whole, pieces, sizeof(whole));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(examples),
		cmocka_unit_test(any_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
