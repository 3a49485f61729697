/* SPDX-License-Identifier: Apache-2.0 */
/* Superblocks and heartbeat pages: their bytes, and everything that is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <quoin/codec.h>

#include "format/super.h"
#include "golden.h"

#define SUPER_SEED UINT64_C(0x51554f494e534231)
#define SLOT 5 /* of the sample: its checkpoint is 64 * 64 + 5 */

/* Both copies, but location and check. */
#define SUPER_COMMON                                                                     \
	{0, "51554f494e534231 01000000"}, {16, "0100000000000000 0200000000000000"},     \
		{40, "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"},                                \
		{56, "b0b1b2b3b4b5b6b7b8b9babbbcbdbebf"},                                \
		{72, "0510000000000000 1122334455000000 07000000 1c 01 02 03"},          \
		{96, "0102030405060000 1000000000000000 8877665544332211"},              \
		{120, "0900000000000000 c0c1c2c3c4c5c6c7c8c9cacbcccdcecf"},              \
		{144, "0a00000000000000 0b00000000000000"},                              \
		{160, "010000000100 01 02 07000000 0800000000000000"},                   \
		{180, "11111111111111111111111111111111"}, {216, "040000000000"},        \
		{224, "020000000100 00 03"}, {288, "030000000100 00 04"},                \
		{352, "040000000100 00 06"}, {544, "0c00000000000000 0d00000000000000"}, \
		{560, "40000000 41000000 42000000 c800 01"}, {640, "74616e6b"},          \
		{704, "65646765203031"}, {768, "02000000 03000000 05000000"},            \
		{832, "b0b1b2b3b4b5b6b7b8b9babbbcbdbebf 0000000001000000"},              \
		{872, "0000000000000000 0000000000000000 0f000000 0000 01"},             \
		{896, "d0d1d2d3d4d5d6d7d8d9dadbdcdddedf 0000000008000000"},              \
		{920, "0100000000000000 0200000000000000 0300000000000000"},             \
	{                                                                                \
		944, "0400000000000000 1f000000 0100 02"                                 \
	}

static const struct golden super_front[] = {
	SUPER_COMMON,
	{3904, "050000000100 00 08"},
	{4032, "0e00000000000000"},
	{4072, "b5b1b2b3b4b5b6b7 6b94c65916aa1668347d30f820c7dc86"},
};
static const struct golden super_back[] = {
	SUPER_COMMON,
	{3904, "050000000100 00 08"},
	{4032, "0e00000000000000"},
	{4072, "b5b1b2b3b5b5b6b7 08d126b352729115e1de22cc14cbe649"},
};

static const struct golden heartbeat_golden[] = {
	{0, "51554f494e484231"},
	{8, "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"},
	{24, "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf"},
	{40, "0908070605040302 1122334455000000"},
	{4080, "3564881be9c107ca8c664161ce88a658"},
};

static void guid_fill(uint8_t *to, unsigned first)
{
	for (unsigned i = 0; i < 16; i++)
		to[i] = (uint8_t)(first + i);
}

static void drives_fill(struct super *super)
{
	super->drives[0] = (struct super_drive){
		.size_bytes = UINT64_C(0x100000000),
		.chunk_count = 15,
		.state = DRIVE_ONLINE,
	};
	super->drives[1] = (struct super_drive){
		.size_bytes = UINT64_C(0x800000000),
		.left_ckpt = 1,
		.read_errors = 2,
		.write_errors = 3,
		.check_errors = 4,
		.chunk_count = 31,
		.group = 1,
		.state = DRIVE_MISSING,
	};
	guid_fill(super->drives[0].guid, 0xb0);
	guid_fill(super->drives[1].guid, 0xd0);
}

static void sample(struct super *super)
{
	*super = (struct super){
		.version = SUPER_VERSION,
		.compat = 1,
		.ro_compat = 2,
		.ckpt = 64 * 64 + SLOT,
		.time_s = UINT64_C(0x5544332211),
		.created_s = 10,
		.epoch = 7,
		.chunk_shift = 28,
		.state = SUPER_ACTIVE,
		.seq_next = UINT64_C(0x060504030201),
		.log_head = 16,
		.log_prev_check = UINT64_C(0x1122334455667788),
		.log_generation = 9,
		.host_name = "edge 01",
		.pool_name = "tank",
		.volumes = {.vaddr = vaddr_make(256, 1), .level = 1, .kind = NODE_VOLUMES},
		.snapshots = {.vaddr = vaddr_make(256, 2), .kind = NODE_SNAPSHOTS},
		.segments = {.vaddr = vaddr_make(256, 3), .kind = NODE_SEGMENTS},
		.history = {.vaddr = vaddr_make(256, 4), .kind = NODE_HISTORY},
		.shares = {.vaddr = vaddr_make(256, 5), .kind = NODE_SHARES},
		.shared_extra = 14,
		.history_next = 11,
		.data_slots = 12,
		.meta_slots = 13,
		.segment_limit = 64,
		.volume_limit = 65,
		.snapshot_limit = 66,
		.reserve_permille = 200,
		.autotrim = 1,
		.drive_count = 2,
		.log_segment_count = 3,
		.log_segments = {2, 3, 5},
	};
	super->volumes.epoch = 7;
	super->volumes.live = 8;
	super->volumes.ckpt = 4;
	memset(super->volumes.check, 0x11, 16);
	guid_fill(super->pool_guid, 0xa0);
	guid_fill(super->drive_guid, 0xb0);
	guid_fill(super->host_id, 0xc0);
	drives_fill(super);
}

static void seal(uint8_t *page)
{
	codec_check128(page, 4080, SUPER_SEED, page + 4080);
}

static void super_is_golden_and_comes_back(void **state)
{
	struct super super, back;
	uint8_t page[PAGE_BYTES], again[PAGE_BYTES];

	sample(&super);
	super_encode(&super, false, page);
	golden_compare(page, PAGE_BYTES, super_front, ARRAY_SIZE(super_front));
	assert_int_equal(super_decode(page, false, SLOT, &back), 0);
	assert_string_equal(back.host_name, "edge 01");
	assert_int_equal(back.drives[1].check_errors, 4);
	super_encode(&back, false, again);
	assert_memory_equal(page, again, PAGE_BYTES);
	super_encode(&super, true, page);
	golden_compare(page, PAGE_BYTES, super_back, ARRAY_SIZE(super_back));
	assert_int_equal(super_decode(page, true, SLOT, &back), 0);
}

static void a_full_super_comes_back(void **state)
{
	struct super super, back;
	uint8_t page[PAGE_BYTES], again[PAGE_BYTES];

	sample(&super);
	super.drive_count = SUPER_DRIVES_MAX;
	super.log_segment_count = SUPER_LOG_SEGMENTS_MAX;
	super.segment_limit = SEGMENT_MAX;
	super.seq_next = SEQ_MAX + 1;
	for (unsigned i = 0; i < SUPER_DRIVES_MAX; i++) {
		super.drives[i] = super.drives[0];
		guid_fill(super.drives[i].guid, i);
	}
	guid_fill(super.drives[47].guid, 0xb0);
	for (unsigned i = 0; i < SUPER_LOG_SEGMENTS_MAX; i++)
		super.log_segments[i] = SEGMENT_MAX - 1 - i;
	for (uint32_t i = 0; i < SUPER_SEEDS_MAX; i++)
		super.seeds[i] = (struct super_seed){
			.id = SEGMENT_MAX - 1 - i,
			.column_count = 4,
			.columns = {{0, i}, {1, i}, {2, i}, {UINT16_MAX, UINT32_MAX - i}},
		};
	memset(super.pool_name, 'x', POOL_NAME_BYTES - 1);
	super_encode(&super, true, page);
	assert_int_equal(super_decode(page, true, SLOT, &back), 0);
	super_encode(&back, true, again);
	assert_memory_equal(page, again, PAGE_BYTES);
	memset(page + 640, 'x', POOL_NAME_BYTES);
	seal(page);
	assert_int_equal(super_decode(page, true, SLOT, &back), -EUCLEAN);
}

static void nothing_reads_what_has_no_name(void **state)
{
	struct super super;
	uint8_t page[PAGE_BYTES];

	sample(&super);
	super_encode(&super, false, page);
	golden_put(page + 12, "ffffffff");
	for (unsigned i = 0; i < SUPER_SEEDS_MAX; i++)
		memset(page + 416 + i * 32 + 5, 0xff, 3);
	memset(page + 576, 0xff, 64);
	golden_put(page + 640 + 5, "ff01");
	memset(page + 3904 + 64, 0xff, 64);
	memset(page + 4040, 0xff, 4072 - 4040);
	seal(page);
	assert_int_equal(super_decode(page, false, SLOT, &super), 0);
	assert_int_equal(super.pool_name[5], 0);
}

static void other_pages_are_no_superblock(void **state)
{
	struct super super;
	uint8_t page[PAGE_BYTES] = {0};

	assert_int_equal(super_decode(page, false, SLOT, &super), -ENOENT);
	sample(&super);
	super_encode(&super, false, page);
	page[7] = '2';
	assert_int_equal(super_decode(page, false, SLOT, &super), -ENOENT);
}

/* Every byte that rots is seen, and a copy in a place that is not its own is none. */
static void rot_and_misplaced(void **state)
{
	struct super super;
	uint8_t page[PAGE_BYTES];

	sample(&super);
	super_encode(&super, false, page);
	for (size_t i = 8; i < PAGE_BYTES; i++) {
		page[i] ^= 0x10;
		assert_int_equal(super_decode(page, false, SLOT, &super), -EUCLEAN);
		page[i] ^= 0x10;
	}
	assert_int_equal(super_decode(page, true, SLOT, &super), -EUCLEAN);
	for (unsigned slot = 0; slot < SUPER_RING_SLOTS; slot++)
		assert_int_equal(super_decode(page, false, slot, &super),
				 slot == SLOT ? 0 : -EUCLEAN);
	/* Another drive's copy: its location goes with its guid, not with this one. */
	guid_fill(page + 56, 0xd0);
	seal(page);
	assert_int_equal(super_decode(page, false, SLOT, &super), -EUCLEAN);
}

static void what_is_newer_is_told(void **state)
{
	static const struct damage newer[] = {
		{"version", 8, "02000000"},
		{"feature", 32, "0100000000000000"},
		{"before fields", 8,
		 "02000000 00000000 0100000000000000 0200000000000000"
		 "0000000000000080"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(newer); i++) {
		struct super super, back = {.epoch = 99};
		uint8_t page[PAGE_BYTES];

		sample(&super);
		super_encode(&super, false, page);
		golden_put(page + newer[i].at, newer[i].hex);
		page[92] = 99; /* fields of a newer format are not judged */
		seal(page);
		assert_int_equal(super_decode(page, false, SLOT, &back), -ENOTSUP);
		assert_int_equal(back.version, page[8]);
		assert_int_equal(back.compat, 1);
		assert_int_equal(back.ro_compat, 2);
		assert_int_equal(back.incompat, le64_get(page + 32));
		assert_int_equal(back.epoch, 99);
	}
}

static const struct damage damages[] = {
	{"version 0", 8, "00000000"},
	{"own guid not in the table", 832, "b1"},
	{"a guid twice", 896, "b0b1b2b3b4b5b6b7b8b9babbbcbdbebf"},
	{"checkpoint of another slot", 72, "06"},
	{"chunks too small", 92, "13"},
	{"chunks too large", 92, "1f"},
	{"state 0", 93, "00"},
	{"state 4", 93, "04"},
	{"no drives", 94, "00"},
	{"too many drives", 94, "31"},
	{"no log", 95, "00"},
	{"too many log segments", 95, "11"},
	{"seq of more than 48 bits", 96, "0100000000000100"},
	{"volumes: a root of another kind", 167, "03"},
	{"volumes: level", 166, "08"},
	{"snapshots: a root of another kind", 231, "02"},
	{"segments: a root of another kind", 295, "01"},
	{"history: a root of another kind", 359, "05"},
	{"history: nothing with content", 352, "000000000000"},
	{"a seed beyond the segments", 416, "40000000"},
	{"a seed without columns", 416, "01000000"},
	{"a seed with five columns", 416, "0100000005"},
	{"columns of no seed", 420, "01"},
	{"segment limit", 560, "01000001"},
	{"segment limit below the log's", 560, "05000000"},
	{"reserve over 1000", 572, "e903"},
	{"autotrim", 574, "02"},
	{"no pool name", 640, "00"},
	{"a path", 641, "2f"},
	{"a pool name with a blank", 641, "20"},
	{"a host name with a newline", 705, "0a"},
	{"a host name beyond ASCII", 705, "c3a4"},
	{"a host name with a DEL", 705, "7f"},
	{"log segment 0", 772, "00"},
	{"a log segment twice", 772, "02"},
	{"drive state 0", 894, "00"},
	{"drive state 5", 958, "05"},
	{"more chunks than bytes", 888, "10000000"},
	{"very many chunks", 888, "ffffffff"},
};

static void fields_out_of_range(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
		struct super super, back = {.epoch = 99};
		uint8_t page[PAGE_BYTES];

		sample(&super);
		super_encode(&super, false, page);
		golden_put(page + damages[i].at, damages[i].hex);
		seal(page);
		if (super_decode(page, false, SLOT, &back) != -EUCLEAN || back.epoch != 99)
			fail_msg("%s", damages[i].what);
	}
}

static void places_of_the_ring(void **state)
{
	assert_int_equal(super_offset(UINT64_C(1) << 30, false, 3), (256 << 10) + 3 * 4096);
	assert_int_equal(super_offset((UINT64_C(1) << 30) + 512, true, 63),
			 (1 << 30) - (1 << 20) + (256 << 10) + 63 * 4096);
}

static void heartbeat(void **state)
{
	struct heartbeat beat = {.beat = UINT64_C(0x0203040506070809),
				 .time_s = UINT64_C(0x5544332211)};
	struct heartbeat back = {0};
	uint8_t page[PAGE_BYTES];

	guid_fill(beat.pool_guid, 0xa0);
	guid_fill(beat.host_id, 0xc0);
	heartbeat_encode(&beat, page);
	golden_compare(page, PAGE_BYTES, heartbeat_golden, ARRAY_SIZE(heartbeat_golden));
	assert_int_equal(heartbeat_decode(page, &back), 0);
	assert_memory_equal(&beat, &back, sizeof(beat));
	page[100] = 1;
	assert_int_equal(heartbeat_decode(page, &back), -EUCLEAN);
	page[0] = 0;
	assert_int_equal(heartbeat_decode(page, &back), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(super_is_golden_and_comes_back),
		cmocka_unit_test(a_full_super_comes_back),
		cmocka_unit_test(nothing_reads_what_has_no_name),
		cmocka_unit_test(other_pages_are_no_superblock),
		cmocka_unit_test(rot_and_misplaced),
		cmocka_unit_test(what_is_newer_is_told),
		cmocka_unit_test(fields_out_of_range),
		cmocka_unit_test(places_of_the_ring),
		cmocka_unit_test(heartbeat),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
