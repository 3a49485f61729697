/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Superblocks and heartbeat pages.
 *
 * A decoder first asks whether the page is one at all, then whether it is whole and in its place,
 * then whether this version understands it, and only then looks at the fields: a newer format may
 * have moved them, but not the magic, the check, the location and the feature words.
 */
#include <errno.h>

#include <quoin/base_assert.h>
#include <quoin/codec.h>

#include "format/field.h"
#include "format/record.h"
#include "format/super.h"

#define SUPER_CHECK_SEED UINT64_C(0x51554f494e534231) /* "QUOINSB1" */
#define HEARTBEAT_MAGIC "QUOINHB1"
#define HEARTBEAT_CHECK_SEED UINT64_C(0x51554f494e484231) /* "QUOINHB1" */

#define MAGIC_BYTES 8
#define GUID_BYTES 16

/* Where things are in the page. */
#define AT_ROOTS 160
#define AT_SEEDS 416
#define SEED_BYTES 32
#define AT_POOL_NAME 640
#define AT_HOST_NAME 704
#define AT_LOG_SEGMENTS 768
#define AT_DRIVES 832
#define DRIVE_BYTES 64
#define AT_SHARES 3904 /* room for another root follows: the keys' */
#define AT_SHARED_EXTRA 4032
#define AT_LOCATION 4072
#define AT_CHECK 4080

_Static_assert(AT_LOG_SEGMENTS + SUPER_LOG_SEGMENTS_MAX * 4 == AT_DRIVES, "the log fits");
_Static_assert(AT_DRIVES + SUPER_DRIVES_MAX * DRIVE_BYTES <= AT_SHARES, "the drives fit");
_Static_assert(AT_CHECK + CODEC_CHECK_BYTES == PAGE_BYTES, "the check is last");

static void page_seal(uint8_t page[PAGE_BYTES], uint64_t seed)
{
	codec_check128(page, AT_CHECK, seed, page + AT_CHECK);
}

static bool page_whole(const uint8_t page[PAGE_BYTES], uint64_t seed)
{
	uint8_t check[CODEC_CHECK_BYTES];

	codec_check128(page, AT_CHECK, seed, check);
	return memcmp(check, page + AT_CHECK, sizeof(check)) == 0;
}

static uint64_t location_make(const uint8_t *drive_guid, bool back, unsigned slot)
{
	return le64_get(drive_guid) ^ ((uint64_t)slot | (uint64_t)back << 32);
}

/* --- Encoding ------------------------------------------------------------------------------ */

static void drive_encode(const struct super_drive *drive, uint8_t *to)
{
	memcpy(to, drive->guid, GUID_BYTES);
	le64_put(to + 16, drive->size_bytes);
	le64_put(to + 24, drive->left_ckpt);
	le64_put(to + 32, drive->read_errors);
	le64_put(to + 40, drive->write_errors);
	le64_put(to + 48, drive->check_errors);
	le32_put(to + 56, drive->chunk_count);
	le16_put(to + 60, drive->group);
	to[62] = drive->state;
}

static void tables_encode(const struct super *super, uint8_t *to)
{
	node_ptr_encode(&super->volumes, to + AT_ROOTS);
	node_ptr_encode(&super->snapshots, to + AT_ROOTS + 64);
	node_ptr_encode(&super->segments, to + AT_ROOTS + 128);
	node_ptr_encode(&super->history, to + AT_ROOTS + 192);
	node_ptr_encode(&super->shares, to + AT_SHARES);
	field_text_copy(to + AT_POOL_NAME, super->pool_name, POOL_NAME_BYTES);
	field_text_copy(to + AT_HOST_NAME, super->host_name, POOL_NAME_BYTES);
	for (size_t i = 0; i < super->log_segment_count; i++)
		le32_put(to + AT_LOG_SEGMENTS + i * 4, super->log_segments[i]);
	for (size_t i = 0; i < super->drive_count; i++)
		drive_encode(&super->drives[i], to + AT_DRIVES + i * DRIVE_BYTES);
}

static void seeds_encode(const struct super *super, uint8_t *to)
{
	for (unsigned i = 0; i < SUPER_SEEDS_MAX; i++) {
		const struct super_seed *seed = &super->seeds[i];
		uint8_t *at = to + AT_SEEDS + i * SEED_BYTES;

		le32_put(at, seed->id);
		at[4] = seed->column_count;
		for (unsigned c = 0; c < seed->column_count; c++) {
			le16_put(at + 8 + c * 6, seed->columns[c].drive);
			le32_put(at + 10 + c * 6, seed->columns[c].chunk);
		}
	}
}

static int seeds_decode(const uint8_t *from, struct super *ret_super)
{
	for (unsigned i = 0; i < SUPER_SEEDS_MAX; i++) {
		struct super_seed *seed = &ret_super->seeds[i];
		const uint8_t *at = from + AT_SEEDS + i * SEED_BYTES;

		seed->id = le32_get(at);
		seed->column_count = at[4];
		if (seed->id >= MAX(ret_super->segment_limit, 1U) ||
		    seed->column_count > ARRAY_SIZE(seed->columns) ||
		    (seed->id == 0) != (seed->column_count == 0))
			return -EUCLEAN;
		for (unsigned c = 0; c < seed->column_count; c++) {
			seed->columns[c].drive = le16_get(at + 8 + c * 6);
			seed->columns[c].chunk = le32_get(at + 10 + c * 6);
		}
	}
	return 0;
}

void super_encode(const struct super *super, bool back, uint8_t to[PAGE_BYTES])
{
	ASSERT_U64(super->drive_count, <=, SUPER_DRIVES_MAX);
	ASSERT_U64(super->log_segment_count, <=, SUPER_LOG_SEGMENTS_MAX);
	memset(to, 0, PAGE_BYTES);
	memcpy(to, SUPER_MAGIC, MAGIC_BYTES);
	le32_put(to + 8, super->version);
	le64_put(to + 16, super->compat);
	le64_put(to + 24, super->ro_compat);
	le64_put(to + 32, super->incompat);
	memcpy(to + 40, super->pool_guid, GUID_BYTES);
	memcpy(to + 56, super->drive_guid, GUID_BYTES);
	le64_put(to + 72, super->ckpt);
	le64_put(to + 80, super->time_s);
	le32_put(to + 88, super->epoch);
	to[92] = super->chunk_shift;
	to[93] = super->state;
	to[94] = super->drive_count;
	to[95] = super->log_segment_count;
	le64_put(to + 96, super->seq_next);
	le64_put(to + 104, super->log_head);
	le64_put(to + 112, super->log_prev_check);
	le64_put(to + 120, super->log_generation);
	memcpy(to + 128, super->host_id, GUID_BYTES);
	le64_put(to + 144, super->created_s);
	le64_put(to + 152, super->history_next);
	le64_put(to + 544, super->data_slots);
	le64_put(to + 552, super->meta_slots);
	le32_put(to + 560, super->segment_limit);
	le32_put(to + 564, super->volume_limit);
	le32_put(to + 568, super->snapshot_limit);
	le16_put(to + 572, super->reserve_permille);
	to[574] = super->autotrim;
	le64_put(to + AT_SHARED_EXTRA, super->shared_extra);
	seeds_encode(super, to);
	tables_encode(super, to);
	le64_put(to + AT_LOCATION,
		 location_make(super->drive_guid, back, super->ckpt % SUPER_RING_SLOTS));
	page_seal(to, SUPER_CHECK_SEED);
}

/* --- Decoding ------------------------------------------------------------------------------ */

static void drive_decode(const uint8_t *from, struct super_drive *ret_drive)
{
	memcpy(ret_drive->guid, from, GUID_BYTES);
	ret_drive->size_bytes = le64_get(from + 16);
	ret_drive->left_ckpt = le64_get(from + 24);
	ret_drive->read_errors = le64_get(from + 32);
	ret_drive->write_errors = le64_get(from + 40);
	ret_drive->check_errors = le64_get(from + 48);
	ret_drive->chunk_count = le32_get(from + 56);
	ret_drive->group = le16_get(from + 60);
	ret_drive->state = from[62];
}

static void features_decode(const uint8_t *from, struct super *ret_super)
{
	ret_super->version = le32_get(from + 8);
	ret_super->compat = le64_get(from + 16);
	ret_super->ro_compat = le64_get(from + 24);
	ret_super->incompat = le64_get(from + 32);
}

static void fields_decode(const uint8_t *from, struct super *ret_super)
{
	memcpy(ret_super->pool_guid, from + 40, GUID_BYTES);
	memcpy(ret_super->drive_guid, from + 56, GUID_BYTES);
	ret_super->ckpt = le64_get(from + 72);
	ret_super->time_s = le64_get(from + 80);
	ret_super->epoch = le32_get(from + 88);
	ret_super->chunk_shift = from[92];
	ret_super->state = from[93];
	ret_super->drive_count = from[94];
	ret_super->log_segment_count = from[95];
	ret_super->seq_next = le64_get(from + 96);
	ret_super->log_head = le64_get(from + 104);
	ret_super->log_prev_check = le64_get(from + 112);
	ret_super->log_generation = le64_get(from + 120);
	memcpy(ret_super->host_id, from + 128, GUID_BYTES);
	ret_super->created_s = le64_get(from + 144);
	ret_super->history_next = le64_get(from + 152);
	ret_super->data_slots = le64_get(from + 544);
	ret_super->meta_slots = le64_get(from + 552);
	ret_super->segment_limit = le32_get(from + 560);
	ret_super->volume_limit = le32_get(from + 564);
	ret_super->snapshot_limit = le32_get(from + 568);
	ret_super->reserve_permille = le16_get(from + 572);
	ret_super->autotrim = from[574];
	ret_super->shared_extra = le64_get(from + AT_SHARED_EXTRA);
}

static bool fields_valid(const struct super *super)
{
	return super->version != 0 && super->chunk_shift >= CHUNK_SHIFT_MIN &&
	       super->chunk_shift <= CHUNK_SHIFT_MAX && super->state >= SUPER_ACTIVE &&
	       super->state <= SUPER_DESTROYED && super->drive_count >= 1 &&
	       super->drive_count <= SUPER_DRIVES_MAX && super->log_segment_count >= 1 &&
	       super->log_segment_count <= SUPER_LOG_SEGMENTS_MAX &&
	       super->seq_next <= SEQ_MAX + 1 && super->segment_limit <= SEGMENT_MAX &&
	       super->reserve_permille <= 1000 && super->autotrim <= 1;
}

static int roots_decode(const uint8_t *from, struct super *ret_super)
{
	int r = field_root_get(from + AT_ROOTS, NODE_VOLUMES, &ret_super->volumes);

	if (r == 0)
		r = field_root_get(from + AT_ROOTS + 64, NODE_SNAPSHOTS, &ret_super->snapshots);
	if (r == 0)
		r = field_root_get(from + AT_ROOTS + 128, NODE_SEGMENTS, &ret_super->segments);
	if (r == 0)
		r = field_root_get(from + AT_ROOTS + 192, NODE_HISTORY, &ret_super->history);
	if (r == 0)
		r = field_root_get(from + AT_SHARES, NODE_SHARES, &ret_super->shares);
	if (r == 0)
		r = seeds_decode(from, ret_super);
	return r;
}

static bool host_name_valid(const uint8_t *field)
{
	for (size_t i = 0; i < POOL_NAME_BYTES && field[i] != 0; i++)
		if (field[i] > 0x7e)
			return false;
	return field_text_valid(field, POOL_NAME_BYTES);
}

static int names_decode(const uint8_t *from, struct super *ret_super)
{
	const char *name = (const char *)from + AT_POOL_NAME;

	if (!record_name_valid(name, POOL_NAME_BYTES) || strchr(name, '/') ||
	    !host_name_valid(from + AT_HOST_NAME))
		return -EUCLEAN;
	field_text_copy(ret_super->pool_name, name, POOL_NAME_BYTES);
	field_text_copy(ret_super->host_name, from + AT_HOST_NAME, POOL_NAME_BYTES);
	return 0;
}

/* A segment twice in the ring would have the log overwrite itself. */
static int log_segments_decode(const uint8_t *from, struct super *ret_super)
{
	for (unsigned i = 0; i < ret_super->log_segment_count; i++) {
		const uint32_t id = le32_get(from + AT_LOG_SEGMENTS + i * 4);

		if (id == 0 || id >= ret_super->segment_limit)
			return -EUCLEAN;
		for (unsigned j = 0; j < i; j++)
			if (ret_super->log_segments[j] == id)
				return -EUCLEAN;
		ret_super->log_segments[i] = id;
	}
	return 0;
}

/* Chunks lie between the labels. One that left for good may have none. */
static bool drive_valid(const struct super_drive *drive, uint8_t chunk_shift)
{
	const uint64_t chunks_bytes = (uint64_t)drive->chunk_count << chunk_shift;

	return drive->state >= DRIVE_ONLINE && drive->state <= DRIVE_STALE &&
	       (drive->chunk_count == 0 || drive->size_bytes >= chunks_bytes + 2 * LABEL_BYTES);
}

static int drives_decode(const uint8_t *from, struct super *ret_super)
{
	bool found = false;

	for (unsigned i = 0; i < ret_super->drive_count; i++) {
		struct super_drive *drive = &ret_super->drives[i];

		drive_decode(from + AT_DRIVES + i * DRIVE_BYTES, drive);
		if (!drive_valid(drive, ret_super->chunk_shift))
			return -EUCLEAN;
		for (unsigned j = 0; j < i; j++)
			if (memcmp(ret_super->drives[j].guid, drive->guid, GUID_BYTES) == 0)
				return -EUCLEAN;
		found |= memcmp(drive->guid, ret_super->drive_guid, GUID_BYTES) == 0;
	}
	return found ? 0 : -EUCLEAN;
}

int super_decode(const uint8_t from[PAGE_BYTES], bool back, unsigned slot, struct super *ret_super)
{
	struct super super = {0};
	int r;

	ASSERT_U64(slot, <, SUPER_RING_SLOTS);
	if (memcmp(from, SUPER_MAGIC, MAGIC_BYTES) != 0)
		return -ENOENT;
	if (!page_whole(from, SUPER_CHECK_SEED) ||
	    le64_get(from + AT_LOCATION) != location_make(from + 56, back, slot))
		return -EUCLEAN;
	features_decode(from, &super);
	if (super.version > SUPER_VERSION || (super.incompat & ~FEATURES_INCOMPAT) != 0) {
		features_decode(from, ret_super);
		return -ENOTSUP;
	}
	fields_decode(from, &super);
	if (!fields_valid(&super) || super.ckpt % SUPER_RING_SLOTS != slot)
		return -EUCLEAN;
	r = roots_decode(from, &super);
	if (r == 0)
		r = names_decode(from, &super);
	if (r == 0)
		r = log_segments_decode(from, &super);
	if (r == 0)
		r = drives_decode(from, &super);
	if (r == 0)
		*ret_super = super;
	return r;
}

/* --- Heartbeat ----------------------------------------------------------------------------- */

void heartbeat_encode(const struct heartbeat *beat, uint8_t to[PAGE_BYTES])
{
	memset(to, 0, PAGE_BYTES);
	memcpy(to, HEARTBEAT_MAGIC, MAGIC_BYTES);
	memcpy(to + 8, beat->pool_guid, GUID_BYTES);
	memcpy(to + 24, beat->host_id, GUID_BYTES);
	le64_put(to + 40, beat->beat);
	le64_put(to + 48, beat->time_s);
	page_seal(to, HEARTBEAT_CHECK_SEED);
}

int heartbeat_decode(const uint8_t from[PAGE_BYTES], struct heartbeat *ret_beat)
{
	if (memcmp(from, HEARTBEAT_MAGIC, MAGIC_BYTES) != 0)
		return -ENOENT;
	if (!page_whole(from, HEARTBEAT_CHECK_SEED))
		return -EUCLEAN;
	memcpy(ret_beat->pool_guid, from + 8, GUID_BYTES);
	memcpy(ret_beat->host_id, from + 24, GUID_BYTES);
	ret_beat->beat = le64_get(from + 40);
	ret_beat->time_s = le64_get(from + 48);
	return 0;
}
