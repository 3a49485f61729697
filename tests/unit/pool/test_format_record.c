/* SPDX-License-Identifier: Apache-2.0 */
/* Records of the trees and pages of deadlists: their bytes, and everything that is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "format/record.h"
#include "golden.h"

#define GUID                                                                                       \
	{                                                                                          \
		0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad \
	}
#define GUID_HEX "a0a1a2a3a4a5a6a7a8a9aaabacad"

static const struct segment_record segment_sample = {
	.class = SEGMENT_DATA,
	.profile = PROFILE_MIRROR,
	.column_count = 2,
	.group = 3,
	.slot_count = 65536,
	.used = 65535,
	.birth_ckpt = UINT64_C(0x0807060504030201),
	.columns = {{4, 5}, {6, 0x01020304}},
	.bitmaps = {{UINT64_C(0x0a0b0c010203), {1, 2}}, {UINT64_C(0x0a0b0c010204), {3, 4}}},
};
static const struct golden segment_golden[] = {
	{0, "01 02 02 00 0300 0000 0102030405060708 ffff0000 00000100"},
	{32, "0400 0000 05000000 0600 0000 04030201"},
	{96, "0302010c0b0a 0000 0102"},
	{120, "0402010c0b0a 0000 0304"},
};

static const struct volume_record volume_sample = {
	.state = VOLUME_LIVE,
	.policy = FULL_PAUSE,
	.read_only = 1,
	.kind = VOLUME_HIDDEN,
	.guid = GUID,
	.size_bytes = 10 * GiB,
	.root = {.vaddr = UINT64_C(0x010000000009), .level = 2, .kind = NODE_MAP},
	.dead = {.root = {.vaddr = UINT64_C(0x010000000008), .kind = NODE_DEADLIST},
		 .pages = 1,
		 .data = 2,
		 .meta = 3},
	.origin = 4,
	.last_snapshot = 5,
	.free_epoch = 6,
	.free_cursor = 7,
	.referenced = 8,
	.unique = 9,
	.used_data = 10,
	.used_meta = 11,
	.quota_bytes = 12,
	.refquota_bytes = 13,
	.reservation_bytes = 14,
	.refreservation_bytes = 15,
	.created_s = 16,
	.name = "vm/disk-0",
};
static const struct golden volume_golden[] = {
	{0, "01 01 01 02 04000000 " GUID_HEX},
	{24, "0000008002000000"},
	{32, "090000000001 02 01"},
	{96, "080000000001 00 05"},
	{160, "0100000000000000 0200000000000000 0300000000000000 05000000 06000000"},
	{192, "0700000000000000 0800000000000000 0900000000000000 0a00000000000000"},
	{224, "0b00000000000000 0c00000000000000 0d00000000000000 0e00000000000000"},
	{256, "0f00000000000000 1000000000000000 766d2f6469736b2d30"},
};

static const struct snapshot_record snapshot_sample = {
	.state = VOLUME_LIVE,
	.hold_count = 2,
	.guid = GUID,
	.volume = 2,
	.epoch = 3,
	.prev = 4,
	.created_s = 5,
	.size_bytes = 10 * GiB,
	.root = {.vaddr = UINT64_C(0x010000000009), .level = 2, .kind = NODE_MAP},
	.dead = {.root = {.vaddr = UINT64_C(0x010000000008), .kind = NODE_DEADLIST},
		 .pages = 1,
		 .data = 2,
		 .meta = 3},
	.referenced = 6,
	.unique = 7,
	.name = "day",
	.holds = {"keep", "two words"},
};
static const struct golden snapshot_golden[] = {
	{0, "01 02 0000 02000000 " GUID_HEX},
	{24, "03000000 04000000 0500000000000000 0000008002000000"},
	{48, "090000000001 02 01"},
	{112, "080000000001 00 05"},
	{176, "0100000000000000 0200000000000000 0300000000000000"},
	{200, "0600000000000000 0700000000000000 646179"},
	{280, "6b656570"},
	{312, "74776f20776f726473"},
};

static const struct history_record history_sample = {
	.time_s = UINT64_C(0x5544332211),
	.text = "pool create t\xc3\xa4nk",
};
static const struct golden history_golden[] = {
	{0, "1122334455000000"},
	{16, "706f6f6c2063726561746520 74c3a46e6b"},
};

/* The four kinds of records behind one face. */

union any_record {
	struct segment_record segment;
	struct volume_record volume;
	struct snapshot_record snapshot;
	struct history_record history;
};

enum record_type { SEGMENT, VOLUME, SNAPSHOT, HISTORY };

static void encode(enum record_type type, const void *record, uint8_t *to)
{
	switch (type) {
	case SEGMENT:
		segment_record_encode(record, to);
		break;
	case VOLUME:
		volume_record_encode(record, to);
		break;
	case SNAPSHOT:
		snapshot_record_encode(record, to);
		break;
	case HISTORY:
		history_record_encode(record, to);
		break;
	}
}

static int decode(enum record_type type, const uint8_t *from, union any_record *ret)
{
	switch (type) {
	case SEGMENT:
		return segment_record_decode(from, &ret->segment);
	case VOLUME:
		return volume_record_decode(from, &ret->volume);
	case SNAPSHOT:
		return snapshot_record_decode(from, &ret->snapshot);
	case HISTORY:
		return history_record_decode(from, &ret->history);
	}
	return -EINVAL;
}

static const void *const samples[] = {
	[SEGMENT] = &segment_sample,
	[VOLUME] = &volume_sample,
	[SNAPSHOT] = &snapshot_sample,
	[HISTORY] = &history_sample,
};

static void round_trip(enum record_type type, const struct golden *golden, size_t count)
{
	uint8_t raw[RECORD_BYTES], again[RECORD_BYTES];
	union any_record back;

	memset(&back, 0xee, sizeof(back));
	encode(type, samples[type], raw);
	golden_compare(raw, sizeof(raw), golden, count);
	assert_int_equal(decode(type, raw, &back), 0);
	encode(type, &back, again);
	assert_memory_equal(raw, again, sizeof(raw));
}

static void records_are_golden_and_come_back(void **state)
{
	round_trip(SEGMENT, segment_golden, ARRAY_SIZE(segment_golden));
	round_trip(VOLUME, volume_golden, ARRAY_SIZE(volume_golden));
	round_trip(SNAPSHOT, snapshot_golden, ARRAY_SIZE(snapshot_golden));
	round_trip(HISTORY, history_golden, ARRAY_SIZE(history_golden));
}

static void none_is_all_zero_and_nothing_else(void **state)
{
	for (enum record_type type = SEGMENT; type <= HISTORY; type++) {
		uint8_t raw[RECORD_BYTES] = {0};
		uint8_t again[RECORD_BYTES];
		union any_record record;

		memset(&record, 0xee, sizeof(record));
		assert_int_equal(decode(type, raw, &record), 0);
		encode(type, &record, again);
		assert_memory_equal(raw, again, sizeof(raw));
		if (type == HISTORY)
			continue;
		encode(type, samples[type], raw);
		raw[0] = 0;
		assert_int_equal(decode(type, raw, &record), -EUCLEAN);
	}
}

static void nothing_reads_what_has_no_name(void **state)
{
	static const struct {
		enum record_type type;
		size_t at, bytes;
	} unnamed[] = {
		{SEGMENT, 3, 1},   {SEGMENT, 6, 2},    {SEGMENT, 24, 8},    {SEGMENT, 34, 2},
		{SEGMENT, 48, 48}, {SEGMENT, 102, 2},  {SEGMENT, 288, 224}, {VOLUME, 282, 54},
		{VOLUME, 340, 4},  {VOLUME, 352, 160}, {SNAPSHOT, 2, 2},    {SNAPSHOT, 220, 60},
		{HISTORY, 8, 8},   {HISTORY, 496, 16}, {SNAPSHOT, 344, 64}, {SNAPSHOT, 416, 96},
	};

	for (size_t i = 0; i < ARRAY_SIZE(unnamed); i++) {
		uint8_t raw[RECORD_BYTES], again[RECORD_BYTES];
		union any_record record;

		encode(unnamed[i].type, samples[unnamed[i].type], raw);
		memset(raw + unnamed[i].at, 0xff, unnamed[i].bytes);
		assert_int_equal(decode(unnamed[i].type, raw, &record), 0);
		encode(unnamed[i].type, &record, again);
		encode(unnamed[i].type, samples[unnamed[i].type], raw);
		assert_memory_equal(raw, again, sizeof(raw));
	}
}

static const struct {
	enum record_type type;
	struct damage damage;
} damages[] = {
	{SEGMENT, {"class", 0, "04"}},
	{SEGMENT, {"no profile", 1, "00"}},
	{SEGMENT, {"profile", 1, "03"}},
	{SEGMENT, {"single with two columns", 1, "01"}},
	{SEGMENT, {"no columns", 2, "00"}},
	{SEGMENT, {"a mirror of one", 2, "01"}},
	{SEGMENT, {"five columns", 2, "05"}},
	{SEGMENT, {"more used than there is", 16, "01000100"}},
	{SEGMENT, {"no slots", 16, "0000000000000000"}},
	{SEGMENT, {"slots beyond the bitmaps", 20, "01000400"}},
	{SEGMENT, {"a drive beyond the table", 32, "3000"}},
	{SEGMENT, {"the last column's drive", 40, "ffff"}},
	{SEGMENT, {"a bitmap in segment 0", 99, "000000"}},
	{SEGMENT, {"a bitmap beyond the slots", 144, "0302010c0b0a"}},
	{SEGMENT, {"a log with a bitmap", 0, "03"}},
	{VOLUME, {"state", 0, "03"}},
	{VOLUME, {"policy", 1, "02"}},
	{VOLUME, {"read only", 2, "02"}},
	{VOLUME, {"kind", 3, "03"}},
	{VOLUME, {"half a sector", 24, "01"}},
	{VOLUME, {"beyond 2^40 blocks", 24, "0002000000001000"}},
	{VOLUME, {"root of another kind", 39, "05"}},
	{VOLUME, {"root's level", 38, "08"}},
	{VOLUME, {"deadlist of another kind", 103, "01"}},
	{VOLUME, {"no name", 272, "00"}},
	{VOLUME, {"a name from the root", 272, "2f"}},
	{VOLUME, {"a name to the parent", 272, "612f2e2e00"}},
	{SNAPSHOT, {"state", 0, "03"}},
	{SNAPSHOT, {"five holds", 1, "05"}},
	{SNAPSHOT, {"a hold that is not there", 1, "03"}},
	{SNAPSHOT, {"half a sector", 40, "01"}},
	{SNAPSHOT, {"root of another kind", 55, "05"}},
	{SNAPSHOT, {"deadlist of another kind", 119, "01"}},
	{SNAPSHOT, {"no name", 216, "00"}},
	{SNAPSHOT, {"a path", 217, "2f"}},
	{SNAPSHOT, {"a hold with a newline", 281, "0a"}},
	{HISTORY, {"a control character", 17, "1b"}},
};

static void records_that_no_writer_makes(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
		const struct damage *damage = &damages[i].damage;
		union any_record record, before;
		uint8_t raw[RECORD_BYTES];

		memset(&record, 0xee, sizeof(record));
		memset(&before, 0xee, sizeof(before));
		encode(damages[i].type, samples[damages[i].type], raw);
		golden_put(raw + damage->at, damage->hex);
		if (decode(damages[i].type, raw, &record) != -EUCLEAN ||
		    memcmp(&record, &before, sizeof(record)) != 0)
			fail_msg("%s", damage->what);
	}
}

static void texts_without_an_end(void **state)
{
	static const struct {
		enum record_type type;
		size_t at, bytes;
	} texts[] = {
		{VOLUME, 272, 64}, {SNAPSHOT, 216, 64}, {SNAPSHOT, 312, 32}, {HISTORY, 16, 480}};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		union any_record record;
		uint8_t raw[RECORD_BYTES];

		encode(texts[i].type, samples[texts[i].type], raw);
		memset(raw + texts[i].at, 'x', texts[i].bytes);
		assert_int_equal(decode(texts[i].type, raw, &record), -EUCLEAN);
		raw[texts[i].at + texts[i].bytes - 1] = '\0';
		assert_int_equal(decode(texts[i].type, raw, &record), 0);
	}
}

static void the_dying_need_no_name(void **state)
{
	struct volume_record volume = {.state = VOLUME_DESTROYING};
	struct snapshot_record snapshot = {.state = VOLUME_DESTROYING};
	uint8_t raw[RECORD_BYTES];

	volume_record_encode(&volume, raw);
	assert_int_equal(volume_record_decode(raw, &volume), 0);
	snapshot_record_encode(&snapshot, raw);
	assert_int_equal(snapshot_record_decode(raw, &snapshot), 0);
}

static void names(void **state)
{
	static const char *const good[] = {"a",	    "0",	 "vm1",	  "a.b_c:d-e",
					   "a/b/c", "a/.hidden", "a/...", "Z9"};
	static const char *const bad[] = {"",	 "/",	 "/a",	   "a/",       "a//b", ".",    "..",
					  "a/.", "a/..", "a/../b", "a/./b",    "-a",   ".a",   "_a",
					  "a b", "a\n",	 "a@b",	   "\xc3\xa4", "a\\b", "a\x7f"};
	const char unended[4] = {'a', 'b', 'c', 'd'};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		if (!record_name_valid(good[i], strlen(good[i]) + 1))
			fail_msg("%s", good[i]);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (record_name_valid(bad[i], strlen(bad[i]) + 1))
			fail_msg("%s", bad[i]);
	assert_false(record_name_valid(unended, sizeof(unended)));
}

/* --- Deadlists ----------------------------------------------------------------------------- */

static const struct dead_entry dead_sample[] = {
	{.vaddr = UINT64_C(0x0a0b0c010203), .epoch = 9},
	{.vaddr = UINT64_C(0x010000000001), .epoch = 0x01020304},
	{.vaddr = UINT64_C(0x010000000002), .epoch = 7},
};
static const struct golden dead_golden[] = {
	{0, "51444c31 0300 0000 07000000 04030201"},
	{64, "0302010c0b0a 0000 09000000"},
	{80, "010000000001 0000 04030201"},
	{96, "020000000001 0000 07000000"},
};

static void deadlist_is_golden_and_comes_back(void **state)
{
	struct dead_entry back[DEADLIST_ENTRIES];
	unsigned count = 99;
	uint8_t page[PAGE_BYTES], again[PAGE_BYTES];

	deadlist_page_encode(dead_sample, 3, page);
	golden_compare(page, PAGE_BYTES, dead_golden, ARRAY_SIZE(dead_golden));
	assert_int_equal(deadlist_page_decode(page, back, &count), 0);
	assert_int_equal(count, 3);
	deadlist_page_encode(back, count, again);
	assert_memory_equal(page, again, PAGE_BYTES);
	deadlist_page_encode(NULL, 0, page);
	assert_int_equal(deadlist_page_decode(page, back, &count), 0);
	assert_int_equal(count, 0);
	for (unsigned i = 0; i < DEADLIST_ENTRIES; i++)
		back[i] = (struct dead_entry){.vaddr = vaddr_make(1, i), .epoch = i};
	deadlist_page_encode(back, DEADLIST_ENTRIES, page);
	memset(back, 0, sizeof(back));
	assert_int_equal(deadlist_page_decode(page, back, &count), 0);
	assert_int_equal(back[DEADLIST_ENTRIES - 1].vaddr, vaddr_make(1, DEADLIST_ENTRIES - 1));
}

static void deadlists_that_no_writer_makes(void **state)
{
	static const struct damage pages[] = {
		{"magic", 0, "50"},
		{"253 entries", 4, "fd00"},
		{"an entry too many", 4, "0400"},
		{"an entry older than the oldest", 8, "08000000"},
		{"an entry newer than the newest", 12, "03030201"},
		{"an address in segment 0", 99, "000000"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
		struct dead_entry back[DEADLIST_ENTRIES] = {{.epoch = 99}};
		unsigned count = 99;
		uint8_t page[PAGE_BYTES];

		deadlist_page_encode(dead_sample, 3, page);
		golden_put(page + pages[i].at, pages[i].hex);
		if (deadlist_page_decode(page, back, &count) != -EUCLEAN || count != 99 ||
		    back[0].epoch != 99)
			fail_msg("%s", pages[i].what);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_are_golden_and_come_back),
		cmocka_unit_test(none_is_all_zero_and_nothing_else),
		cmocka_unit_test(nothing_reads_what_has_no_name),
		cmocka_unit_test(records_that_no_writer_makes),
		cmocka_unit_test(texts_without_an_end),
		cmocka_unit_test(the_dying_need_no_name),
		cmocka_unit_test(names),
		cmocka_unit_test(deadlist_is_golden_and_comes_back),
		cmocka_unit_test(deadlists_that_no_writer_makes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
