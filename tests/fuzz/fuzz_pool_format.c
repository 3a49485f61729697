/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every structure that a pool reads from a drive. Byte 0 selects the decoder, and with its highest
 * bit the check (and the location) is made right first: a check keeps a fuzzer out, but not an
 * attacker. Byte 1 is the superblock's place. What follows is the structure; missing bytes are 0.
 *
 * What was decoded is encoded, and must then decode and encode to the same bytes.
 */
#include <errno.h>
#include <stdlib.h>

#include <quoin/base_assert.h>
#include <quoin/base_text.h>
#include <quoin/codec.h>

#include "format/logblock.h"
#include "format/super.h"

#define FIX 0x80
#define PLACE_BACK 0x40
#define AT_LOCATION 4072
#define AT_CHECK 4080
#define AT_LOG_CHECK 56
#define SUPER_SEED UINT64_C(0x51554f494e534231)
#define HEARTBEAT_SEED UINT64_C(0x51554f494e484231)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void super_try(uint8_t *page, uint8_t place, bool fix)
{
	const unsigned slot = place % SUPER_RING_SLOTS;
	const bool back = (place & PLACE_BACK) != 0;
	uint8_t first[PAGE_BYTES], second[PAGE_BYTES];
	struct super super;

	if (fix) {
		le64_put(page + AT_LOCATION,
			 le64_get(page + 56) ^ ((uint64_t)slot | (uint64_t)back << 32));
		codec_check128(page, AT_CHECK, SUPER_SEED, page + AT_CHECK);
	}
	if (super_decode(page, back, slot, &super) < 0)
		return;
	super_encode(&super, back, first);
	ASSERT(super_decode(first, back, slot, &super) == 0);
	super_encode(&super, back, second);
	ASSERT(memcmp(first, second, PAGE_BYTES) == 0);
}

static void heartbeat_try(uint8_t *page, bool fix)
{
	uint8_t again[PAGE_BYTES];
	struct heartbeat beat;

	if (fix)
		codec_check128(page, AT_CHECK, HEARTBEAT_SEED, page + AT_CHECK);
	if (heartbeat_decode(page, &beat) < 0)
		return;
	heartbeat_encode(&beat, again);
	ASSERT(memcmp(page, again, 56) == 0);
}

/* --- Records of 512 bytes ------------------------------------------------------------------ */

static bool segment_turn(const uint8_t *from, uint8_t *to)
{
	struct segment_record record;

	if (segment_record_decode(from, &record) < 0)
		return false;
	segment_record_encode(&record, to);
	return true;
}

static bool volume_turn(const uint8_t *from, uint8_t *to)
{
	struct volume_record record;

	if (volume_record_decode(from, &record) < 0)
		return false;
	ASSERT(memchr(record.name, '\0', sizeof(record.name)) != NULL);
	volume_record_encode(&record, to);
	return true;
}

static bool snapshot_turn(const uint8_t *from, uint8_t *to)
{
	struct snapshot_record record;

	if (snapshot_record_decode(from, &record) < 0)
		return false;
	ASSERT_U64(record.hold_count, <=, SNAPSHOT_HOLDS_MAX);
	snapshot_record_encode(&record, to);
	return true;
}

static bool history_turn(const uint8_t *from, uint8_t *to)
{
	struct history_record record;

	if (history_record_decode(from, &record) < 0)
		return false;
	history_record_encode(&record, to);
	return true;
}

static bool node_ptr_turn(const uint8_t *from, uint8_t *to)
{
	struct node_ptr ptr;

	if (node_ptr_decode(from, &ptr) < 0)
		return false;
	node_ptr_encode(&ptr, to);
	return true;
}

static void record_try(bool (*turn)(const uint8_t *from, uint8_t *to), const uint8_t *page,
		       size_t bytes)
{
	/* Exactly as large as it is: a sanitizer sees the first byte too far. */
	uint8_t *raw = xmalloc(bytes);
	uint8_t first[RECORD_BYTES] = {0}, second[RECORD_BYTES] = {0};

	memcpy(raw, page, bytes);
	if (turn(raw, first)) {
		ASSERT(turn(first, second));
		ASSERT(memcmp(first, second, sizeof(first)) == 0);
	}
	free(raw);
}

static void deadlist_try(const uint8_t *page)
{
	struct dead_entry entries[DEADLIST_ENTRIES];
	uint8_t first[PAGE_BYTES], second[PAGE_BYTES];
	unsigned count;

	if (deadlist_page_decode(page, entries, &count) < 0)
		return;
	deadlist_page_encode(entries, count, first);
	ASSERT(deadlist_page_decode(first, entries, &count) == 0);
	deadlist_page_encode(entries, count, second);
	ASSERT(memcmp(first, second, PAGE_BYTES) == 0);
}

/* --- The log ------------------------------------------------------------------------------- */

static void record_again(const struct log_record *record, size_t taken)
{
	const size_t size = log_record_size(record);
	uint8_t *first = xmalloc(size);
	uint8_t *second = xmalloc(size);
	struct log_record back;
	size_t offset = 0;

	ASSERT_U64(size, ==, taken);
	log_record_encode(record, first);
	ASSERT(log_record_decode(first, size, &offset, &back) == 0);
	log_record_encode(&back, second);
	ASSERT(memcmp(first, second, size) == 0);
	free(first);
	free(second);
}

static void payload_try(const uint8_t *from, size_t used_bytes)
{
	uint8_t *payload = xmalloc(MAX(used_bytes, (size_t)1));
	size_t offset = 0;

	memcpy(payload, from, used_bytes);
	for (;;) {
		const size_t before = offset;
		struct log_record record;
		int r = log_record_decode(payload, used_bytes, &offset, &record);

		if (r < 0) {
			ASSERT(r == -EUCLEAN || (r == -ENODATA && offset == used_bytes));
			break;
		}
		ASSERT(offset > before && offset <= used_bytes);
		record_again(&record, offset - before);
	}
	free(payload);
}

static void block_try(uint8_t *page, bool fix)
{
	const uint64_t pool_check = le64_get(page + 8);
	const uint64_t number = le64_get(page + 24);
	struct log_header header;
	uint8_t again[PAGE_BYTES];

	if (fix) {
		le64_put(page + AT_LOG_CHECK, 0);
		le64_put(page + AT_LOG_CHECK, codec_check64(page, PAGE_BYTES, number));
	}
	if (log_block_open(page, pool_check, number, &header) < 0)
		return;
	payload_try(page + LOG_HEADER_BYTES, header.used_bytes);
	memcpy(again, page, PAGE_BYTES);
	log_block_seal(again, &header);
	ASSERT(log_block_open(again, pool_check, number, &header) == 0);
}

static void select_try(uint8_t *page, uint8_t select, uint8_t place)
{
	const bool fix = (select & FIX) != 0;

	switch (select & 0x0f) {
	case 0:
		super_try(page, place, fix);
		break;
	case 1:
		heartbeat_try(page, fix);
		break;
	case 2:
		record_try(segment_turn, page, RECORD_BYTES);
		break;
	case 3:
		record_try(volume_turn, page, RECORD_BYTES);
		break;
	case 4:
		record_try(snapshot_turn, page, RECORD_BYTES);
		break;
	case 5:
		record_try(history_turn, page, RECORD_BYTES);
		break;
	case 6:
		record_try(node_ptr_turn, page, NODE_PTR_BYTES);
		break;
	case 7:
		deadlist_try(page);
		break;
	case 8:
		block_try(page, fix);
		break;
	case 9:
		payload_try(page, MIN(le16_get(page + LOG_PAYLOAD_BYTES), LOG_PAYLOAD_BYTES));
		break;
	default:
		record_name_valid((const char *)page, VOLUME_NAME_BYTES);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *page;

	if (size < 2)
		return 0;
	page = xcalloc(1, PAGE_BYTES);
	memcpy(page, data + 2, MIN(size - 2, (size_t)PAGE_BYTES));
	select_try(page, data[0], data[1]);
	free(page);
	return 0;
}
