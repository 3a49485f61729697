/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records of volumes, snapshots, segments and the history.
 *
 * A record is judged by itself: ranges, kinds of roots, texts. What it says about others (drives,
 * chunks, numbers of volumes and snapshots) is judged by those who hold these.
 */
#include <errno.h>

#include <quoin/base_assert.h>

#include "format/field.h"
#include "format/record.h"
#include "format/super.h"

#define SEGMENT_COLUMN_BYTES 8
#define SEGMENT_BITMAP_BYTES 24
#define AT_SEGMENT_COLUMNS 32
#define AT_SEGMENT_BITMAPS 96

#define AT_VOLUME_NAME 272
#define AT_SNAPSHOT_NAME 216
#define AT_SNAPSHOT_HOLDS 280
#define AT_HISTORY_TEXT 16

/* A map addresses 2^40 blocks. */
#define VOLUME_BYTES_MAX (UINT64_C(1) << (40 + PAGE_SHIFT))

_Static_assert(AT_SEGMENT_COLUMNS + SEGMENT_COLUMNS_MAX * SEGMENT_COLUMN_BYTES <=
		       AT_SEGMENT_BITMAPS,
	       "the columns fit");
_Static_assert(AT_SNAPSHOT_HOLDS + SNAPSHOT_HOLDS_MAX * HOLD_TAG_BYTES <= RECORD_BYTES,
	       "the holds fit");
_Static_assert(AT_HISTORY_TEXT + HISTORY_TEXT_BYTES <= RECORD_BYTES, "the text fits");

/* --- Segments ------------------------------------------------------------------------------ */

static void bitmap_encode(const struct segment_bitmap *bitmap, uint8_t *to)
{
	if (bitmap->vaddr == 0)
		return;
	le48_put(to, bitmap->vaddr);
	memcpy(to + 8, bitmap->check, sizeof(bitmap->check));
}

void segment_record_encode(const struct segment_record *record, uint8_t to[RECORD_BYTES])
{
	memset(to, 0, RECORD_BYTES);
	if (record->class == 0)
		return;
	ASSERT_U64(record->column_count, <=, SEGMENT_COLUMNS_MAX);
	to[0] = record->class;
	to[1] = record->profile;
	to[2] = record->column_count;
	le16_put(to + 4, record->group);
	le64_put(to + 8, record->birth_ckpt);
	le32_put(to + 16, record->used);
	le32_put(to + 20, record->slot_count);
	for (size_t i = 0; i < record->column_count; i++) {
		uint8_t *column = to + AT_SEGMENT_COLUMNS + i * SEGMENT_COLUMN_BYTES;

		le16_put(column, record->columns[i].drive);
		le32_put(column + 4, record->columns[i].chunk);
	}
	for (size_t i = 0; i < SEGMENT_BITMAPS_MAX; i++)
		bitmap_encode(&record->bitmaps[i],
			      to + AT_SEGMENT_BITMAPS + i * SEGMENT_BITMAP_BYTES);
}

static int columns_decode(const uint8_t *from, struct segment_record *record)
{
	for (size_t i = 0; i < record->column_count; i++) {
		const uint8_t *column = from + AT_SEGMENT_COLUMNS + i * SEGMENT_COLUMN_BYTES;

		record->columns[i].drive = le16_get(column);
		record->columns[i].chunk = le32_get(column + 4);
		if (record->columns[i].drive >= SUPER_DRIVES_MAX)
			return -EUCLEAN;
	}
	return 0;
}

/* Only pages that have slots of the segment may be there, and none of a log segment. */
static int bitmaps_decode(const uint8_t *from, struct segment_record *record)
{
	const size_t pages =
		record->class == SEGMENT_LOG
			? 0
			: (record->slot_count + BITMAP_PAGE_SLOTS - 1) / BITMAP_PAGE_SLOTS;

	for (size_t i = 0; i < SEGMENT_BITMAPS_MAX; i++) {
		const uint8_t *raw = from + AT_SEGMENT_BITMAPS + i * SEGMENT_BITMAP_BYTES;
		struct segment_bitmap *bitmap = &record->bitmaps[i];

		bitmap->vaddr = le48_get(raw);
		if (bitmap->vaddr == 0)
			continue;
		if (i >= pages || vaddr_segment(bitmap->vaddr) == 0)
			return -EUCLEAN;
		memcpy(bitmap->check, raw + 8, sizeof(bitmap->check));
	}
	return 0;
}

static bool segment_valid(const struct segment_record *record)
{
	const bool counts =
		record->profile == PROFILE_SINGLE
			? record->column_count == 1
			: record->column_count >= 2 && record->column_count <= SEGMENT_COLUMNS_MAX;

	return counts && record->class <= SEGMENT_LOG && record->profile >= PROFILE_SINGLE &&
	       record->profile <= PROFILE_MIRROR && record->slot_count >= 1 &&
	       record->slot_count <= SEGMENT_BITMAPS_MAX * BITMAP_PAGE_SLOTS &&
	       record->used <= record->slot_count;
}

int segment_record_decode(const uint8_t from[RECORD_BYTES], struct segment_record *ret)
{
	struct segment_record record = {
		.class = from[0],
		.profile = from[1],
		.column_count = from[2],
		.group = le16_get(from + 4),
		.birth_ckpt = le64_get(from + 8),
		.used = le32_get(from + 16),
		.slot_count = le32_get(from + 20),
	};
	int r;

	if (record.class == 0) {
		if (!field_bytes_zero(from, RECORD_BYTES))
			return -EUCLEAN;
		*ret = record;
		return 0;
	}
	if (!segment_valid(&record))
		return -EUCLEAN;
	r = columns_decode(from, &record);
	if (r == 0)
		r = bitmaps_decode(from, &record);
	if (r == 0)
		*ret = record;
	return r;
}

/* --- What volumes and snapshots share ------------------------------------------------------ */

static void deadlist_encode(const struct deadlist *dead, uint8_t *root, uint8_t *counts)
{
	node_ptr_encode(&dead->root, root);
	le64_put(counts, dead->pages);
	le64_put(counts + 8, dead->data);
	le64_put(counts + 16, dead->meta);
}

static int deadlist_decode(const uint8_t *root, const uint8_t *counts, struct deadlist *dead)
{
	dead->pages = le64_get(counts);
	dead->data = le64_get(counts + 8);
	dead->meta = le64_get(counts + 16);
	return field_root_get(root, NODE_DEADLIST, &dead->root);
}

static bool size_valid(uint64_t size_bytes)
{
	return size_bytes % SECTOR_BYTES == 0 && size_bytes <= VOLUME_BYTES_MAX;
}

/* One that is being destroyed may have given its name away. */
static bool name_valid(const uint8_t *field, uint8_t state)
{
	const char *name = (const char *)field;

	if (state == VOLUME_DESTROYING && name[0] == '\0')
		return true;
	return record_name_valid(name, VOLUME_NAME_BYTES);
}

/* --- Volumes ------------------------------------------------------------------------------- */

static void volume_counts_encode(const struct volume_record *record, uint8_t *to)
{
	le32_put(to + 184, record->last_snapshot);
	le32_put(to + 188, record->free_epoch);
	le64_put(to + 192, record->free_cursor);
	le64_put(to + 200, record->referenced);
	le64_put(to + 208, record->unique);
	le64_put(to + 216, record->used_data);
	le64_put(to + 224, record->used_meta);
	le64_put(to + 232, record->quota_bytes);
	le64_put(to + 240, record->refquota_bytes);
	le64_put(to + 248, record->reservation_bytes);
	le64_put(to + 256, record->refreservation_bytes);
	le64_put(to + 264, record->created_s);
	le32_put(to + 336, record->charge_to);
	le64_put(to + 344, record->referenced_meta);
}

void volume_record_encode(const struct volume_record *record, uint8_t to[RECORD_BYTES])
{
	memset(to, 0, RECORD_BYTES);
	if (record->state == VOLUME_NONE)
		return;
	to[0] = record->state;
	to[1] = record->policy;
	to[2] = record->read_only;
	to[3] = record->kind;
	le32_put(to + 4, record->origin);
	memcpy(to + 8, record->guid, sizeof(record->guid));
	le64_put(to + 24, record->size_bytes);
	node_ptr_encode(&record->root, to + 32);
	deadlist_encode(&record->dead, to + 96, to + 160);
	volume_counts_encode(record, to);
	field_text_copy(to + AT_VOLUME_NAME, record->name, VOLUME_NAME_BYTES);
}

static void volume_fields_decode(const uint8_t *from, struct volume_record *record)
{
	record->state = from[0];
	record->policy = from[1];
	record->read_only = from[2];
	record->kind = from[3];
	record->origin = le32_get(from + 4);
	memcpy(record->guid, from + 8, sizeof(record->guid));
	record->size_bytes = le64_get(from + 24);
	record->last_snapshot = le32_get(from + 184);
	record->free_epoch = le32_get(from + 188);
	record->free_cursor = le64_get(from + 192);
	record->referenced = le64_get(from + 200);
	record->unique = le64_get(from + 208);
	record->used_data = le64_get(from + 216);
	record->used_meta = le64_get(from + 224);
	record->quota_bytes = le64_get(from + 232);
	record->refquota_bytes = le64_get(from + 240);
	record->reservation_bytes = le64_get(from + 248);
	record->refreservation_bytes = le64_get(from + 256);
	record->created_s = le64_get(from + 264);
	record->charge_to = le32_get(from + 336);
	record->referenced_meta = le64_get(from + 344);
}

int volume_record_decode(const uint8_t from[RECORD_BYTES], struct volume_record *ret)
{
	struct volume_record record = {0};
	int r;

	if (from[0] == VOLUME_NONE) {
		if (!field_bytes_zero(from, RECORD_BYTES))
			return -EUCLEAN;
		*ret = record;
		return 0;
	}
	volume_fields_decode(from, &record);
	if (record.state > VOLUME_DESTROYING || record.policy > FULL_PAUSE ||
	    record.read_only > 1 || record.kind > VOLUME_HIDDEN || !size_valid(record.size_bytes) ||
	    !name_valid(from + AT_VOLUME_NAME, record.state))
		return -EUCLEAN;
	field_text_copy(record.name, from + AT_VOLUME_NAME, VOLUME_NAME_BYTES);
	r = field_root_get(from + 32, NODE_MAP, &record.root);
	if (r == 0)
		r = deadlist_decode(from + 96, from + 160, &record.dead);
	if (r == 0)
		*ret = record;
	return r;
}

/* --- Snapshots ----------------------------------------------------------------------------- */

void snapshot_record_encode(const struct snapshot_record *record, uint8_t to[RECORD_BYTES])
{
	memset(to, 0, RECORD_BYTES);
	if (record->state == VOLUME_NONE)
		return;
	ASSERT_U64(record->hold_count, <=, SNAPSHOT_HOLDS_MAX);
	to[0] = record->state;
	to[1] = record->hold_count;
	le32_put(to + 4, record->volume);
	memcpy(to + 8, record->guid, sizeof(record->guid));
	le32_put(to + 24, record->epoch);
	le32_put(to + 28, record->prev);
	le64_put(to + 32, record->created_s);
	le64_put(to + 40, record->size_bytes);
	node_ptr_encode(&record->root, to + 48);
	deadlist_encode(&record->dead, to + 112, to + 176);
	le64_put(to + 200, record->referenced);
	le64_put(to + 208, record->unique);
	le64_put(to + 408, record->referenced_meta);
	field_text_copy(to + AT_SNAPSHOT_NAME, record->name, VOLUME_NAME_BYTES);
	for (size_t i = 0; i < record->hold_count; i++)
		field_text_copy(to + AT_SNAPSHOT_HOLDS + i * HOLD_TAG_BYTES, record->holds[i],
				HOLD_TAG_BYTES);
}

static void snapshot_fields_decode(const uint8_t *from, struct snapshot_record *record)
{
	record->state = from[0];
	record->hold_count = from[1];
	record->volume = le32_get(from + 4);
	memcpy(record->guid, from + 8, sizeof(record->guid));
	record->epoch = le32_get(from + 24);
	record->prev = le32_get(from + 28);
	record->created_s = le64_get(from + 32);
	record->size_bytes = le64_get(from + 40);
	record->referenced = le64_get(from + 200);
	record->unique = le64_get(from + 208);
	record->referenced_meta = le64_get(from + 408);
}

static int holds_decode(const uint8_t *from, struct snapshot_record *record)
{
	if (record->hold_count > SNAPSHOT_HOLDS_MAX)
		return -EUCLEAN;
	for (size_t i = 0; i < record->hold_count; i++) {
		const uint8_t *tag = from + AT_SNAPSHOT_HOLDS + i * HOLD_TAG_BYTES;

		if (tag[0] == '\0' || !field_text_valid(tag, HOLD_TAG_BYTES))
			return -EUCLEAN;
		field_text_copy(record->holds[i], tag, HOLD_TAG_BYTES);
	}
	return 0;
}

int snapshot_record_decode(const uint8_t from[RECORD_BYTES], struct snapshot_record *ret)
{
	struct snapshot_record record = {0};
	int r;

	if (from[0] == VOLUME_NONE) {
		if (!field_bytes_zero(from, RECORD_BYTES))
			return -EUCLEAN;
		*ret = record;
		return 0;
	}
	snapshot_fields_decode(from, &record);
	if (record.state > VOLUME_DESTROYING || !size_valid(record.size_bytes) ||
	    !name_valid(from + AT_SNAPSHOT_NAME, record.state) ||
	    strchr((const char *)from + AT_SNAPSHOT_NAME, '/') != NULL)
		return -EUCLEAN;
	field_text_copy(record.name, from + AT_SNAPSHOT_NAME, VOLUME_NAME_BYTES);
	r = holds_decode(from, &record);
	if (r == 0)
		r = field_root_get(from + 48, NODE_MAP, &record.root);
	if (r == 0)
		r = deadlist_decode(from + 112, from + 176, &record.dead);
	if (r == 0)
		*ret = record;
	return r;
}

/* --- History ------------------------------------------------------------------------------- */

void history_record_encode(const struct history_record *record, uint8_t to[RECORD_BYTES])
{
	memset(to, 0, RECORD_BYTES);
	le64_put(to, record->time_s);
	field_text_copy(to + AT_HISTORY_TEXT, record->text, HISTORY_TEXT_BYTES);
}

int history_record_decode(const uint8_t from[RECORD_BYTES], struct history_record *ret)
{
	if (!field_text_valid(from + AT_HISTORY_TEXT, HISTORY_TEXT_BYTES))
		return -EUCLEAN;
	ret->time_s = le64_get(from);
	field_text_copy(ret->text, from + AT_HISTORY_TEXT, HISTORY_TEXT_BYTES);
	return 0;
}
