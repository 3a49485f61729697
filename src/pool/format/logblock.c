/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log blocks and the records in them.
 *
 * Whether a block belongs to this pool and has this number is asked before its check: a slot of the
 * ring that was last written a lap ago is no damage, it is the end of the log.
 */
#include <errno.h>

#include <quoin/base_assert.h>
#include <quoin/codec.h>

#include "format/field.h"
#include "format/logblock.h"

#define LOG_VERSION 1
#define AT_CHECK 56
#define BLOCK_LIMIT (UINT64_C(1) << 40) /* a volume has fewer blocks */

_Static_assert(LOG_RECORD_BYTES_MAX <= LOG_PAYLOAD_BYTES, "any record fits into a block");

/* --- Records ------------------------------------------------------------------------------- */

size_t log_record_size(const struct log_record *record)
{
	switch (record->type) {
	case LOG_WRITE:
		return LOG_WRITE_BYTES;
	case LOG_PATCH:
		return LOG_PATCH_HEADER_BYTES + (size_t)record->sector_count * SECTOR_BYTES;
	case LOG_RANGE:
		return LOG_RANGE_BYTES;
	case LOG_SNAP:
		return LOG_SNAP_BYTES;
	}
	UNREACHABLE();
}

static void patch_encode(const struct log_record *record, uint8_t *to)
{
	ASSERT(record->sector_count >= 1 && record->sector_count <= LOG_PATCH_SECTORS_MAX);
	ASSERT_U64(record->sector + record->sector_count, <=, SECTORS_PER_BLOCK);
	ASSERT_U64(record->seq, <=, SEQ_MAX);
	le40_put(to + 8, record->block);
	to[13] = record->sector;
	to[14] = record->sector_count;
	le48_put(to + 16, record->seq);
	le32_put(to + 24, record->epoch);
	memcpy(to + LOG_PATCH_HEADER_BYTES, record->data,
	       (size_t)record->sector_count * SECTOR_BYTES);
}

static void range_encode(const struct log_record *record, uint8_t *to)
{
	ASSERT_U64(record->block_count, >, 0);
	ASSERT_U64(record->block_count, <=, BLOCK_LIMIT - record->block);
	ASSERT_U64(record->seq, <=, SEQ_MAX);
	le40_put(to + 8, record->block);
	le64_put(to + 16, record->block_count);
	le64_put(to + 24, record->seq);
	le32_put(to + 32, record->epoch);
}

static void snap_encode(const struct log_record *record, uint8_t *to)
{
	memcpy(to + 8, record->guid, sizeof(record->guid));
	le32_put(to + 24, record->epoch);
	le32_put(to + 28, record->snapshot);
	le64_put(to + 32, record->time_s);
	le64_put(to + 40, record->size_bytes);
	field_text_copy(to + 48, record->name, VOLUME_NAME_BYTES);
}

void log_record_encode(const struct log_record *record, uint8_t *to)
{
	const size_t size = log_record_size(record);

	ASSERT_U64(record->block, <, BLOCK_LIMIT);
	memset(to, 0, record->type == LOG_PATCH ? LOG_PATCH_HEADER_BYTES : size);
	to[0] = (uint8_t)record->type;
	le16_put(to + 2, (uint16_t)size);
	le32_put(to + 4, record->volume);
	switch (record->type) {
	case LOG_WRITE:
		le40_put(to + 8, record->block);
		memcpy(to + 16, record->entry, ENTRY_BYTES);
		break;
	case LOG_PATCH:
		patch_encode(record, to);
		break;
	case LOG_RANGE:
		range_encode(record, to);
		break;
	case LOG_SNAP:
		snap_encode(record, to);
		break;
	}
}

static int write_decode(const uint8_t *from, size_t size, struct log_record *record)
{
	const uint8_t *entry = from + 16;

	if (size != LOG_WRITE_BYTES ||
	    (entry_vaddr(entry) != 0 && vaddr_segment(entry_vaddr(entry)) == 0))
		return -EUCLEAN;
	record->block = le40_get(from + 8);
	memcpy(record->entry, entry, ENTRY_BYTES);
	return 0;
}

static int patch_decode(const uint8_t *from, size_t size, struct log_record *record)
{
	if (size < LOG_PATCH_HEADER_BYTES)
		return -EUCLEAN;
	record->block = le40_get(from + 8);
	record->sector = from[13];
	record->sector_count = from[14];
	record->seq = le48_get(from + 16);
	record->epoch = le32_get(from + 24);
	record->data = from + LOG_PATCH_HEADER_BYTES;
	if (record->sector_count < 1 || record->sector_count > LOG_PATCH_SECTORS_MAX ||
	    record->sector + record->sector_count > SECTORS_PER_BLOCK ||
	    size != log_record_size(record))
		return -EUCLEAN;
	return 0;
}

static int range_decode(const uint8_t *from, size_t size, struct log_record *record)
{
	if (size != LOG_RANGE_BYTES)
		return -EUCLEAN;
	record->block = le40_get(from + 8);
	record->block_count = le64_get(from + 16);
	record->seq = le64_get(from + 24);
	record->epoch = le32_get(from + 32);
	if (record->block_count == 0 || record->block_count > BLOCK_LIMIT - record->block ||
	    record->seq > SEQ_MAX)
		return -EUCLEAN;
	return 0;
}

static int snap_decode(const uint8_t *from, size_t size, struct log_record *record)
{
	const char *name = (const char *)from + 48;

	if (size != LOG_SNAP_BYTES || !record_name_valid(name, VOLUME_NAME_BYTES) ||
	    strchr(name, '/'))
		return -EUCLEAN;
	memcpy(record->guid, from + 8, sizeof(record->guid));
	record->epoch = le32_get(from + 24);
	record->snapshot = le32_get(from + 28);
	record->time_s = le64_get(from + 32);
	record->size_bytes = le64_get(from + 40);
	field_text_copy(record->name, name, VOLUME_NAME_BYTES);
	if (record->snapshot == 0 || record->size_bytes % SECTOR_BYTES != 0)
		return -EUCLEAN;
	return 0;
}

static int record_decode(const uint8_t *from, size_t size, struct log_record *record)
{
	record->volume = le32_get(from + 4);
	switch (from[0]) {
	case LOG_WRITE:
		record->type = LOG_WRITE;
		return write_decode(from, size, record);
	case LOG_PATCH:
		record->type = LOG_PATCH;
		return patch_decode(from, size, record);
	case LOG_RANGE:
		record->type = LOG_RANGE;
		return range_decode(from, size, record);
	case LOG_SNAP:
		record->type = LOG_SNAP;
		return snap_decode(from, size, record);
	default:
		return -EUCLEAN;
	}
}

/* An unknown flag may change what a record means, so it is no less unknown than a type. */
int log_record_decode(const uint8_t *payload, size_t used_bytes, size_t *offset,
		      struct log_record *ret_record)
{
	struct log_record record = {0};
	size_t size;
	int r;

	if (used_bytes > LOG_PAYLOAD_BYTES || *offset > used_bytes)
		return -EUCLEAN;
	if (*offset == used_bytes)
		return -ENODATA;
	if (used_bytes - *offset < LOG_PATCH_HEADER_BYTES)
		return -EUCLEAN;
	size = le16_get(payload + *offset + 2);
	if (size < LOG_PATCH_HEADER_BYTES || size > used_bytes - *offset ||
	    payload[*offset + 1] != 0)
		return -EUCLEAN;
	r = record_decode(payload + *offset, size, &record);
	if (r < 0)
		return r;
	*offset += size;
	*ret_record = record;
	return 0;
}

/* --- Blocks -------------------------------------------------------------------------------- */

uint64_t log_block_seal(uint8_t block[PAGE_BYTES], struct log_header *header)
{
	ASSERT_U64(header->used_bytes, <=, LOG_PAYLOAD_BYTES);
	ASSERT((header->record_count == 0) == (header->used_bytes == 0));
	ASSERT_U64(header->durable_upto, <, header->number);
	memset(block, 0, LOG_HEADER_BYTES);
	/* Old bytes of a reused buffer do not reach the drive. */
	memset(block + LOG_HEADER_BYTES + header->used_bytes, 0,
	       LOG_PAYLOAD_BYTES - header->used_bytes);
	le32_put(block, LOG_MAGIC);
	le16_put(block + 4, LOG_VERSION);
	le16_put(block + 6, header->flags);
	le64_put(block + 8, header->pool_check);
	le64_put(block + 16, header->generation);
	le64_put(block + 24, header->number);
	le64_put(block + 32, header->prev_check);
	le64_put(block + 40, header->durable_upto);
	le16_put(block + 48, header->used_bytes);
	le16_put(block + 50, header->record_count);
	header->check = codec_check64(block, PAGE_BYTES, header->number);
	le64_put(block + AT_CHECK, header->check);
	return header->check;
}

static uint64_t block_check(const uint8_t block[PAGE_BYTES], uint64_t number)
{
	uint8_t copy[PAGE_BYTES];

	memcpy(copy, block, PAGE_BYTES);
	le64_put(copy + AT_CHECK, 0);
	return codec_check64(copy, PAGE_BYTES, number);
}

int log_block_open(const uint8_t block[PAGE_BYTES], uint64_t pool_check, uint64_t number,
		   struct log_header *ret_header)
{
	const struct log_header header = {
		.flags = le16_get(block + 6),
		.pool_check = le64_get(block + 8),
		.generation = le64_get(block + 16),
		.number = le64_get(block + 24),
		.prev_check = le64_get(block + 32),
		.durable_upto = le64_get(block + 40),
		.used_bytes = le16_get(block + 48),
		.record_count = le16_get(block + 50),
		.check = le64_get(block + AT_CHECK),
	};

	if (le32_get(block) != LOG_MAGIC || header.pool_check != pool_check ||
	    header.number != number)
		return -ENOENT;
	if (header.check != block_check(block, number) || le16_get(block + 4) != LOG_VERSION ||
	    header.used_bytes > LOG_PAYLOAD_BYTES ||
	    (header.record_count == 0) != (header.used_bytes == 0) ||
	    header.durable_upto >= header.number)
		return -EUCLEAN;
	*ret_header = header;
	return 0;
}
