/* SPDX-License-Identifier: Apache-2.0 */
/* Log blocks and their records: their bytes, and everything that is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <quoin/codec.h>

#include "format/logblock.h"
#include "golden.h"

#define POOL_CHECK UINT64_C(0x1817161514131211)
#define NUMBER UINT64_C(0x0807060504030201)

static const struct golden write_golden[] = {
	{0, "01 00 3000 44332211 eeddccbbaa"},
	{16, "0302010c0b0a 665544332211"},
	{28, "07000000"},
};
static const struct golden patch_golden[] = {
	{0, "02 00 2004 44332211 eeddccbbaa 06 02 00 665544332211 0000 07000000"},
	{32, "5a"},
	{32 + 1023, "a5"},
};
static const struct golden range_golden[] = {
	{0, "03 00 3000 44332211 eeddccbbaa"},
	{16, "1122334402000000 6655443322110000 07000000"},
};
static const struct golden snap_golden[] = {
	{0, "04 00 8000 44332211 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 07000000 09000000"},
	{32, "1122334455000000 0000100000000000 646179"},
};

/* A block with the RANGE above. */
static const struct golden block_golden[] = {
	{0, "514c4731 0100 0100 1112131415161718 2122232425262728 0102030405060708"},
	{32, "3132333435363738 0002030405060708 3000 0100"},
	{64, "03 00 3000 44332211 eeddccbbaa"},
	{80, "1122334402000000 6655443322110000 07000000"},
	{56, "50c3cc9860138881"},
};

static struct log_record base(enum log_type type)
{
	return (struct log_record){
		.type = type,
		.volume = 0x11223344,
		.block = UINT64_C(0xaabbccddee),
	};
}

static struct log_record write_sample(void)
{
	struct log_record record = base(LOG_WRITE);

	le48_put(record.entry, UINT64_C(0x0a0b0c010203));
	le48_put(record.entry + 6, UINT64_C(0x112233445566));
	le32_put(record.entry + 12, 7);
	return record;
}

static struct log_record patch_sample(const uint8_t *data)
{
	struct log_record record = base(LOG_PATCH);

	record.sector = 6;
	record.sector_count = 2;
	record.seq = UINT64_C(0x112233445566);
	record.epoch = 7;
	record.data = data;
	return record;
}

static struct log_record range_sample(void)
{
	struct log_record record = base(LOG_RANGE);

	record.block_count = UINT64_C(0x244332211);
	record.seq = UINT64_C(0x112233445566);
	record.epoch = 7;
	return record;
}

static struct log_record snap_sample(void)
{
	struct log_record record = base(LOG_SNAP);

	record.block = 0;
	record.epoch = 7;
	record.snapshot = 9;
	record.time_s = UINT64_C(0x5544332211);
	record.size_bytes = 1 << 20;
	for (unsigned i = 0; i < 16; i++)
		record.guid[i] = (uint8_t)(0xa0 + i);
	memcpy(record.name, "day", 4);
	return record;
}

/* Encodes, holds against the text, decodes, encodes again. */
static void round_trip(const struct log_record *record, const struct golden *golden, size_t count)
{
	uint8_t payload[LOG_PAYLOAD_BYTES], again[LOG_PAYLOAD_BYTES];
	struct log_record back;
	const size_t size = log_record_size(record);
	size_t offset = 0;

	memset(payload, 0xee, sizeof(payload));
	log_record_encode(record, payload);
	golden_compare(payload, size, golden, count);
	assert_int_equal(payload[size], 0xee);
	assert_int_equal(log_record_decode(payload, size, &offset, &back), 0);
	assert_int_equal(offset, size);
	assert_int_equal(back.type, record->type);
	log_record_encode(&back, again);
	assert_memory_equal(payload, again, size);
	assert_int_equal(log_record_decode(payload, size, &offset, &back), -ENODATA);
	/* Cut anywhere, it is truncated. */
	for (size_t cut = 1; cut < size; cut++) {
		offset = 0;
		assert_int_equal(log_record_decode(payload, cut, &offset, &back), -EUCLEAN);
		assert_int_equal(offset, 0);
	}
}

static void records_are_golden_and_come_back(void **state)
{
	uint8_t data[1024] = {0x5a};
	struct log_record record = write_sample();

	data[1023] = 0xa5;
	round_trip(&record, write_golden, ARRAY_SIZE(write_golden));
	record = patch_sample(data);
	round_trip(&record, patch_golden, ARRAY_SIZE(patch_golden));
	record = range_sample();
	round_trip(&record, range_golden, ARRAY_SIZE(range_golden));
	record = snap_sample();
	round_trip(&record, snap_golden, ARRAY_SIZE(snap_golden));
}

static void several_follow_one_another(void **state)
{
	uint8_t payload[LOG_PAYLOAD_BYTES];
	uint8_t data[LOG_PATCH_SECTORS_MAX * SECTOR_BYTES] = {1};
	struct log_record records[3] = {range_sample(), patch_sample(data), write_sample()};
	struct log_record back;
	size_t used = 0, offset = 0;

	records[1].sector = 1;
	records[1].sector_count = LOG_PATCH_SECTORS_MAX;
	for (size_t i = 0; i < 3; i++) {
		log_record_encode(&records[i], payload + used);
		used += log_record_size(&records[i]);
	}
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(log_record_decode(payload, used, &offset, &back), 0);
		assert_int_equal(back.type, records[i].type);
	}
	assert_int_equal(log_record_decode(payload, used, &offset, &back), -ENODATA);
	offset = used + 1;
	assert_int_equal(log_record_decode(payload, used, &offset, &back), -EUCLEAN);
	offset = 0;
	assert_int_equal(log_record_decode(payload, LOG_PAYLOAD_BYTES + 1, &offset, &back),
			 -EUCLEAN);
}

/* A write of zeroes has an entry without an address. */
static void a_write_of_nothing(void **state)
{
	uint8_t payload[LOG_PAYLOAD_BYTES];
	struct log_record record = write_sample();
	size_t offset = 0;

	le48_put(record.entry, 0);
	log_record_encode(&record, payload);
	assert_int_equal(log_record_decode(payload, LOG_WRITE_BYTES, &offset, &record), 0);
}

struct record_damage {
	enum log_type type;
	struct damage damage;
};

static const struct record_damage damages[] = {
	{LOG_WRITE, {"type 0", 0, "00"}},
	{LOG_WRITE, {"type 5", 0, "05"}},
	{LOG_WRITE, {"flags", 1, "01"}},
	{LOG_WRITE, {"length 0", 2, "0000"}},
	{LOG_WRITE, {"length of another type", 2, "2000"}},
	{LOG_WRITE, {"length beyond the payload", 2, "ffff"}},
	{LOG_WRITE, {"an address in segment 0", 16, "010203000000"}},
	{LOG_PATCH, {"sectors beyond the block", 13, "07"}},
	{LOG_PATCH, {"sum that wraps in a byte", 13, "ff"}},
	{LOG_PATCH, {"no sectors", 14, "00"}},
	{LOG_PATCH, {"sector count that the length denies", 14, "01"}},
	{LOG_PATCH, {"eight sectors", 13, "0008"}},
	{LOG_PATCH, {"length without data", 2, "2000"}},
	{LOG_RANGE, {"length", 2, "2f00"}},
	{LOG_RANGE, {"no blocks", 16, "0000000000000000"}},
	{LOG_RANGE, {"beyond the last block", 16, "1322334455000000"}},
	{LOG_RANGE, {"a count that wraps", 16, "ffffffffffffffff"}},
	{LOG_RANGE, {"seq of more than 48 bits", 24, "0000000000000100"}},
	{LOG_SNAP, {"length", 2, "7f00"}},
	{LOG_SNAP, {"snapshot 0", 28, "00000000"}},
	{LOG_SNAP, {"half a sector", 40, "01"}},
	{LOG_SNAP, {"no name", 48, "00"}},
	{LOG_SNAP, {"a path", 49, "2f"}},
	{LOG_SNAP, {"a blank", 49, "20"}},
};

static void records_out_of_range(void **state)
{
	const uint8_t data[1024] = {0};
	const struct log_record records[] = {
		[LOG_WRITE] = write_sample(),
		[LOG_PATCH] = patch_sample(data),
		[LOG_RANGE] = range_sample(),
		[LOG_SNAP] = snap_sample(),
	};

	for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
		const struct log_record *record = &records[damages[i].type];
		struct log_record back = {.volume = 99};
		uint8_t payload[LOG_PAYLOAD_BYTES] = {0};
		size_t offset = 0;

		log_record_encode(record, payload);
		golden_put(payload + damages[i].damage.at, damages[i].damage.hex);
		if (log_record_decode(payload, log_record_size(record), &offset, &back) !=
			    -EUCLEAN ||
		    back.volume != 99 || offset != 0)
			fail_msg("%s", damages[i].damage.what);
	}
}

/* The last block there is may be cut. */
static void a_range_to_the_very_end(void **state)
{
	struct log_record record = range_sample();
	uint8_t payload[LOG_PAYLOAD_BYTES];
	size_t offset = 0;

	record.block_count = (UINT64_C(1) << 40) - record.block;
	log_record_encode(&record, payload);
	assert_int_equal(log_record_decode(payload, LOG_RANGE_BYTES, &offset, &record), 0);
}

/* --- Blocks -------------------------------------------------------------------------------- */

static struct log_header header_sample(void)
{
	return (struct log_header){
		.flags = LOG_GROUP_END,
		.used_bytes = LOG_RANGE_BYTES,
		.record_count = 1,
		.pool_check = POOL_CHECK,
		.generation = UINT64_C(0x2827262524232221),
		.number = NUMBER,
		.prev_check = UINT64_C(0x3837363534333231),
		.durable_upto = NUMBER - 1,
	};
}

static void block_make(uint8_t *block)
{
	struct log_header header = header_sample();
	struct log_record record = range_sample();
	uint64_t check;

	memset(block, 0xee, PAGE_BYTES);
	log_record_encode(&record, block + LOG_HEADER_BYTES);
	check = log_block_seal(block, &header);
	assert_int_equal(check, header.check);
}

static void block_is_golden_and_comes_back(void **state)
{
	const struct log_header want = header_sample();
	struct log_header header;
	uint8_t block[PAGE_BYTES], again[PAGE_BYTES];

	block_make(block);
	golden_compare(block, PAGE_BYTES, block_golden, ARRAY_SIZE(block_golden));
	assert_int_equal(log_block_open(block, POOL_CHECK, NUMBER, &header), 0);
	assert_int_equal(header.flags, want.flags);
	assert_int_equal(header.prev_check, want.prev_check);
	memcpy(again, block, PAGE_BYTES);
	log_block_seal(again, &header);
	assert_memory_equal(block, again, PAGE_BYTES);
}

static void an_empty_block(void **state)
{
	struct log_header header = header_sample();
	uint8_t block[PAGE_BYTES] = {0};

	header.used_bytes = 0;
	header.record_count = 0;
	log_block_seal(block, &header);
	assert_int_equal(log_block_open(block, POOL_CHECK, NUMBER, &header), 0);
}

/* Another pool's, another lap's, or no block at all: the end of the log, not damage. */
static void what_is_not_this_block(void **state)
{
	struct log_header header;
	uint8_t block[PAGE_BYTES];

	block_make(block);
	assert_int_equal(log_block_open(block, POOL_CHECK + 1, NUMBER, &header), -ENOENT);
	assert_int_equal(log_block_open(block, POOL_CHECK, NUMBER + 1, &header), -ENOENT);
	block[0] = 0;
	assert_int_equal(log_block_open(block, POOL_CHECK, NUMBER, &header), -ENOENT);
}

static void every_byte_that_rots_is_seen(void **state)
{
	struct log_header header;
	uint8_t block[PAGE_BYTES];

	block_make(block);
	for (size_t i = 0; i < PAGE_BYTES; i++) {
		const bool identity = i < 4 || (i >= 8 && i < 16) || (i >= 24 && i < 32);

		block[i] ^= 0x10;
		assert_int_equal(log_block_open(block, POOL_CHECK, NUMBER, &header),
				 identity ? -ENOENT : -EUCLEAN);
		block[i] ^= 0x10;
	}
}

static void headers_out_of_range(void **state)
{
	static const struct damage headers[] = {
		{"version", 4, "0200"},
		{"more used than there is", 48, "c10f"},
		{"records in no bytes", 48, "0000"},
		{"bytes of no record", 50, "0000"},
		{"durable before it was written", 40, "0102030405060708"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
		struct log_header header = {.number = 99};
		uint8_t block[PAGE_BYTES];

		block_make(block);
		golden_put(block + headers[i].at, headers[i].hex);
		le64_put(block + 56, 0);
		le64_put(block + 56, codec_check64(block, PAGE_BYTES, NUMBER));
		if (log_block_open(block, POOL_CHECK, NUMBER, &header) != -EUCLEAN ||
		    header.number != 99)
			fail_msg("%s", headers[i].what);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_are_golden_and_come_back),
		cmocka_unit_test(several_follow_one_another),
		cmocka_unit_test(a_write_of_nothing),
		cmocka_unit_test(records_out_of_range),
		cmocka_unit_test(a_range_to_the_very_end),
		cmocka_unit_test(block_is_golden_and_comes_back),
		cmocka_unit_test(an_empty_block),
		cmocka_unit_test(what_is_not_this_block),
		cmocka_unit_test(every_byte_that_rots_is_seen),
		cmocka_unit_test(headers_out_of_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
