/* SPDX-License-Identifier: Apache-2.0 */
/* The record of an image that is arriving, as bytes; see record.h. */
#include "record.h"

#include <errno.h>
#include <string.h>

#include <quoin/base_endian.h>
#include <quoin/base_math.h>
#include <quoin/codec.h>

#include "arrival.h"

#define MAGIC "QUOINAR1"
#define MAGIC_BYTES 8
#define VERSION 1
#define CHECK_SEED UINT64_C(0x51554f494e415231) /* "QUOINAR1" */

#define AT_CHECK 8
#define AT_VERSION 24
#define AT_FLAGS 28
#define AT_GUID 32
#define AT_IMAGE 48
#define AT_ORIGINAL 56
#define AT_RATE 64
#define AT_PIECE 72
#define AT_HASHED 80
#define AT_STATE 88
#define AT_SHA256 120
#define AT_FORMAT 152
#define AT_IDENTITY 168
#define AT_PROBLEM 424
#define AT_SOURCE 680

_Static_assert(AT_SOURCE + RECORD_SOURCE_MAX + 1 <= RECORD_PAGE_BYTES, "the source fits");
_Static_assert(AT_PROBLEM + RECORD_PROBLEM_MAX + 1 == AT_SOURCE, "fields in a row");

uint64_t record_bitmap_pages(uint64_t image_bytes)
{
	return div_round_up(div_round_up(image_bytes, ARRIVAL_PIECE_BYTES), ARRIVAL_PAGE_PIECES);
}

uint64_t record_digest_pages(uint64_t image_bytes)
{
	return div_round_up(div_round_up(image_bytes, ARRIVAL_PIECE_BYTES) * CODEC_SHA256_BYTES,
			    RECORD_PAGE_BYTES);
}

uint64_t record_bytes(uint64_t image_bytes, bool digests)
{
	return RECORD_PAGE_BYTES * (1 + record_bitmap_pages(image_bytes) +
				    (digests ? record_digest_pages(image_bytes) : 0));
}

static void seal(const uint8_t page[RECORD_PAGE_BYTES], uint8_t check[CODEC_CHECK_BYTES])
{
	codec_check128(page + AT_VERSION, RECORD_PAGE_BYTES - AT_VERSION, CHECK_SEED, check);
}

void record_encode(const struct record *record, uint8_t to[RECORD_PAGE_BYTES])
{
	memset(to, 0, RECORD_PAGE_BYTES);
	memcpy(to, MAGIC, MAGIC_BYTES);
	le32_put(to + AT_VERSION, VERSION);
	le32_put(to + AT_FLAGS, record->flags);
	memcpy(to + AT_GUID, record->volume_guid, sizeof(record->volume_guid));
	le64_put(to + AT_IMAGE, record->image_bytes);
	le64_put(to + AT_ORIGINAL, record->original_bytes);
	le64_put(to + AT_RATE, record->rate_bytes);
	le64_put(to + AT_PIECE, ARRIVAL_PIECE_BYTES);
	le64_put(to + AT_HASHED, record->hashed_bytes);
	for (unsigned i = 0; i < 8; i++)
		le32_put(to + AT_STATE + i * 4, record->hash_state[i]);
	memcpy(to + AT_SHA256, record->sha256, sizeof(record->sha256));
	memcpy(to + AT_FORMAT, record->format, strnlen(record->format, 15));
	memcpy(to + AT_IDENTITY, record->identity, strnlen(record->identity, RECORD_IDENTITY_MAX));
	memcpy(to + AT_PROBLEM, record->problem, strnlen(record->problem, RECORD_PROBLEM_MAX));
	memcpy(to + AT_SOURCE, record->source, strnlen(record->source, RECORD_SOURCE_MAX));
	seal(to, to + AT_CHECK);
}

static bool texts_valid(const uint8_t *from)
{
	return memchr(from + AT_FORMAT, 0, 16) &&
	       memchr(from + AT_IDENTITY, 0, RECORD_IDENTITY_MAX + 1) &&
	       memchr(from + AT_PROBLEM, 0, RECORD_PROBLEM_MAX + 1) && from[AT_SOURCE] != 0 &&
	       memchr(from + AT_SOURCE, 0, RECORD_SOURCE_MAX + 1);
}

static void texts_decode(const uint8_t *from, struct record *record)
{
	memcpy(record->format, from + AT_FORMAT, sizeof(record->format));
	memcpy(record->identity, from + AT_IDENTITY, sizeof(record->identity));
	memcpy(record->problem, from + AT_PROBLEM, sizeof(record->problem));
	memcpy(record->source, from + AT_SOURCE, sizeof(record->source));
}

static bool numbers_valid(const struct record *record)
{
	return (record->flags & ~(unsigned)RECORD_FLAGS) == 0 && record->image_bytes > 0 &&
	       record->image_bytes <= UINT64_C(1) << 52 &&
	       record->hashed_bytes <= record->original_bytes &&
	       record->hashed_bytes % CODEC_SHA256_BLOCK_BYTES == 0;
}

int record_decode(const uint8_t from[RECORD_PAGE_BYTES], struct record *ret_record)
{
	struct record record = {.flags = le32_get(from + AT_FLAGS)};
	uint8_t check[CODEC_CHECK_BYTES];

	if (memcmp(from, MAGIC, MAGIC_BYTES) != 0)
		return -ENOENT;
	seal(from, check);
	if (memcmp(check, from + AT_CHECK, sizeof(check)) != 0)
		return -EUCLEAN;
	if (le32_get(from + AT_VERSION) != VERSION ||
	    le64_get(from + AT_PIECE) != ARRIVAL_PIECE_BYTES)
		return -ENOTSUP;
	memcpy(record.volume_guid, from + AT_GUID, sizeof(record.volume_guid));
	record.image_bytes = le64_get(from + AT_IMAGE);
	record.original_bytes = le64_get(from + AT_ORIGINAL);
	record.rate_bytes = le64_get(from + AT_RATE);
	record.hashed_bytes = le64_get(from + AT_HASHED);
	for (unsigned i = 0; i < 8; i++)
		record.hash_state[i] = le32_get(from + AT_STATE + i * 4);
	memcpy(record.sha256, from + AT_SHA256, sizeof(record.sha256));
	if (!numbers_valid(&record) || !texts_valid(from))
		return -EUCLEAN;
	texts_decode(from, &record);
	*ret_record = record;
	return 0;
}
