/* SPDX-License-Identifier: Apache-2.0 */
/* Are the drives that were given those of one pool, each once, whole, and enough of them? */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <quoin/base_size.h>

#include "engine/import.h"

#define GUID_TEXT_MAX 37
#define AWAY_TEXT_MAX 320

/* --- One by one, and two by two ----------------------------------------------------------------
 */

int label_error(const char *path, int result, struct err *err)
{
	switch (result) {
	case -ENOTSUP:
		return err_set(err, result,
			       "the pool on %s has a newer format than this version knows; use a "
			       "newer quoind",
			       path);
	case -ENOENT:
		return err_set(err, result, "%s holds no pool", path);
	case -EUCLEAN:
		return err_set(
			err, result,
			"all superblocks of the pool on %s are damaged: leave it away if the "
			"pool has other copies",
			path);
	default:
		return err_set(err, result,
			       "the labels of %s cannot be read (%s): mend it, or "
			       "leave it away if the pool has other copies",
			       path, strerror(-result));
	}
}

static int pair_check(const struct import_drive *a, const struct import_drive *b, struct err *err)
{
	const struct super *one = &a->candidates[0].super;
	const struct super *other = &b->candidates[0].super;

	if (memcmp(one->drive_guid, other->drive_guid, sizeof(one->drive_guid)) == 0)
		return err_set(err, -EEXIST,
			       "%s and %s say they are the same drive: one is a copy; take it away",
			       a->path, b->path);
	if (memcmp(one->pool_guid, other->pool_guid, sizeof(one->pool_guid)) != 0)
		return err_set(err, -EINVAL, "%s and %s are of different pools", a->path, b->path);
	return 0;
}

/* Its chunks are counted to where it ended when it was added. */
static int size_check(const struct import_drive *drive, struct err *err)
{
	const struct super *s = &drive->candidates[0].super;
	const uint64_t now = disk_info(drive->disk)->size_bytes;
	char is[SIZE_TEXT_MAX], was[SIZE_TEXT_MAX];

	for (unsigned i = 0; i < s->drive_count; i++) {
		const struct super_drive *info = &s->drives[i];

		if (memcmp(info->guid, s->drive_guid, sizeof(info->guid)) != 0 ||
		    info->size_bytes <= now)
			continue;
		return err_set(err, -EINVAL,
			       "%s is smaller than pool '%s' knows it: %s (%" PRIu64
			       " bytes) instead of %s (%" PRIu64
			       "); give it its size back, or leave it away if the pool has other "
			       "copies",
			       drive->path, s->pool_name, size_format(now, is), now,
			       size_format(info->size_bytes, was), info->size_bytes);
	}
	return 0;
}

int import_drives_check(const struct import *im, struct err *err)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < im->count; i++) {
		const struct import_drive *drive = &im->drives[i];

		if (drive->result < 0)
			return label_error(drive->path, drive->result, err);
		for (unsigned j = 0; r == 0 && j < i; j++)
			r = pair_check(&im->drives[j], drive, err);
		if (r == 0)
			r = size_check(drive, err);
	}
	return r;
}

/* --- Enough of them -----------------------------------------------------------------------------
 */

static const char *guid_text(const uint8_t guid[16], char text[GUID_TEXT_MAX])
{
	char *at = text;

	for (unsigned i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*at++ = '-';
		at += snprintf(at, 3, "%02x", guid[i]);
	}
	return text;
}

static const char *away_name(const struct drive *drive)
{
	switch (drive->info.state) {
	case DRIVE_FAULTED:
		return "was given up after errors";
	case DRIVE_STALE:
		return "has an old state";
	default:
		return "is missing";
	}
}

/* Names the drives of `missing` (a bit each), as many as the text has room for. */
static void away_tell(const struct raid *raid, uint64_t missing, char text[AWAY_TEXT_MAX])
{
	size_t at = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < raid->drive_count && at < AWAY_TEXT_MAX; i++) {
		const struct drive *drive = &raid->drives[i];
		char guid[GUID_TEXT_MAX], size[SIZE_TEXT_MAX];

		if (missing >> i & 1)
			at += (size_t)snprintf(
				text + at, AWAY_TEXT_MAX - at, "%sdrive %u (%s%sGUID %s, %s) %s",
				at > 0 ? ", " : "", i + 1, drive->path, drive->path[0] ? ", " : "",
				guid_text(drive->info.guid, guid),
				size_format(drive->info.size_bytes, size), away_name(drive));
	}
}

static int away_error(const struct import *im, uint64_t missing, struct err *err)
{
	char names[AWAY_TEXT_MAX];

	away_tell(&im->pool->raid, missing, names);
	return err_set(
		err, -ENODEV,
		"pool '%s' cannot be read without drives that are away: %s; connect them and "
		"import it again",
		im->super.pool_name, names);
}

static uint64_t drives_of(const struct segment *segment)
{
	uint64_t drives = 0;

	for (unsigned c = 0; c < segment->column_count; c++)
		drives |= UINT64_C(1) << segment->columns[c].drive;
	return drives;
}

int import_columns_check(const struct import *im, struct err *err)
{
	const struct pool *pool = im->pool;
	uint64_t missing = 0;

	for (uint32_t id = 1; id < space_segment_limit(pool->space); id++) {
		const struct segment *segment = space_segment(pool->space, id);

		if (segment && raid_columns_online(&pool->raid, segment) == 0)
			missing |= drives_of(segment);
	}
	return missing == 0 ? 0 : away_error(im, missing, err);
}
