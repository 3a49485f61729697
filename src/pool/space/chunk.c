/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks: which are taken, and which ones a new segment gets. */
#include <errno.h>
#include <stdlib.h>

#include <quoin/base_assert.h>
#include <quoin/base_bitmap.h>
#include <quoin/base_math.h>

#include "space/private.h"

#define GROUP_ANY SPACE_GROUPS_MAX

static unsigned group_width(const struct space *space, unsigned group)
{
	unsigned width = 0;

	for (unsigned i = 0; i < space->drive_count; i++)
		width += space->drives[i].drive.group == group;
	return width;
}

int space_drives_init(struct space *space, const struct space_params *params)
{
	for (unsigned i = 0; i < params->drive_count; i++) {
		struct drive_chunks *chunks = &space->drives[i];

		if (params->drives[i].group >= SPACE_GROUPS_MAX)
			return -EINVAL;
		chunks->drive = params->drives[i];
		chunks->free_count = chunks->drive.chunk_count;
		chunks->held = SPACE_CHUNK_NONE;
		chunks->taken = calloc(BITMAP_WORDS((size_t)chunks->drive.chunk_count) + 1,
				       sizeof(*chunks->taken));
		if (chunks->taken == NULL)
			return -ENOMEM;
		space->drive_count = i + 1;
		space->group_count = MAX(space->group_count, chunks->drive.group + 1U);
		space->sums.chunks_total += chunks->drive.chunk_count;
	}
	space->sums.chunks_free = space->sums.chunks_total;
	for (unsigned group = 0; group < space->group_count; group++)
		space->sums.group_width = MAX(space->sums.group_width, group_width(space, group));
	space_total_update(space);
	return 0;
}

void space_drives_fini(struct space *space)
{
	for (unsigned i = 0; i < space->drive_count; i++)
		free(space->drives[i].taken);
}

/* --- Choosing ----------------------------------------------------------------------------- */

/* Free chunks that may be given now. */
static uint32_t open_count(const struct drive_chunks *chunks)
{
	return chunks->free_count - (chunks->held != SPACE_CHUNK_NONE);
}

static bool drive_open(const struct drive_chunks *chunks, unsigned group)
{
	return chunks->drive.usable && open_count(chunks) != 0 &&
	       (group == GROUP_ANY || chunks->drive.group == group);
}

/* The drives of the group with the most free chunks, `max` at most. Returns how many. */
static unsigned drives_pick(const struct space *space, unsigned group, unsigned max,
			    uint16_t picked[SEGMENT_COLUMNS_MAX])
{
	uint64_t taken = 0;
	unsigned count = 0;

	while (count < max) {
		unsigned best = SUPER_DRIVES_MAX;

		for (unsigned i = 0; i < space->drive_count; i++) {
			const struct drive_chunks *chunks = &space->drives[i];

			if (taken >> i & 1 || !drive_open(chunks, group))
				continue;
			if (best == SUPER_DRIVES_MAX ||
			    chunks->free_count > space->drives[best].free_count)
				best = i;
		}
		if (best == SUPER_DRIVES_MAX)
			break;
		taken |= UINT64_C(1) << best;
		picked[count++] = (uint16_t)best;
	}
	return count;
}

/* How many drives each group has; 0 when they differ, or when the drives are single ones. */
static unsigned mirror_width(const struct space *space)
{
	unsigned common = 0;

	for (unsigned group = 0; group < space->group_count; group++) {
		const unsigned width = group_width(space, group);

		if (width == 0)
			continue;
		if (width == 1 || (common != 0 && width != common))
			return 0;
		common = width;
	}
	return common;
}

/*
 * Where all groups are mirrors of one width, metadata lies within one of them, on all its drives:
 * it is then lost only together with the data of a whole group. Two drives of two mirrors could be
 * lost while all data is still there.
 */
static unsigned mirror_pick(const struct space *space, unsigned width,
			    uint16_t picked[SEGMENT_COLUMNS_MAX])
{
	unsigned best_count = 0;
	uint32_t best_free = 0;

	for (unsigned group = 0; group < space->group_count; group++) {
		uint16_t drives[SEGMENT_COLUMNS_MAX];
		const unsigned count =
			drives_pick(space, group, MIN(width, SEGMENT_COLUMNS_MAX), drives);
		const uint32_t least = count != 0 ? space->drives[drives[count - 1]].free_count : 0;

		if (count < best_count || (count == best_count && least <= best_free))
			continue;
		best_count = count;
		best_free = least;
		for (unsigned i = 0; i < count; i++)
			picked[i] = drives[i];
	}
	return best_count;
}

/* The first free chunk at or after `from`; chunk_count: none. */
static uint32_t chunk_next(const struct drive_chunks *chunks, uint32_t from)
{
	return (uint32_t)bitmap_next_clear(chunks->taken, chunks->drive.chunk_count,
					   MAX(from, chunks->first_free));
}

static void column_set(const struct space *space, struct segment *segment, uint16_t drive,
		       uint32_t from)
{
	const struct drive_chunks *chunks = &space->drives[drive];
	uint32_t chunk = chunk_next(chunks, from);

	if (chunk == chunks->held)
		chunk = chunk_next(chunks, chunk + 1);
	segment->columns[segment->column_count++] =
		(struct segment_column){.drive = drive, .chunk = chunk};
}

static int data_choose(const struct space *space, struct segment *segment)
{
	uint16_t picked[SEGMENT_COLUMNS_MAX];
	unsigned usable = 0;
	unsigned count;

	for (unsigned i = 0; i < space->drive_count; i++) {
		const struct space_drive *drive = &space->drives[i].drive;

		usable += drive->usable && drive->group == segment->group;
	}
	usable = MIN(usable, SEGMENT_COLUMNS_MAX);
	count = drives_pick(space, segment->group, usable, picked);
	if (count == 0 || count < usable)
		return -ENOSPC;
	for (unsigned i = 0; i < count; i++)
		column_set(space, segment, picked[i], 0);
	return 0;
}

static int meta_choose(const struct space *space, struct segment *segment)
{
	const unsigned width = mirror_width(space);
	uint16_t picked[SEGMENT_COLUMNS_MAX];
	unsigned count = 0;

	if (width != 0)
		count = mirror_pick(space, width, picked);
	if (count < SPACE_COPIES_META)
		count = drives_pick(space, GROUP_ANY, SPACE_COPIES_META, picked);
	if (count == 0)
		return -ENOSPC;
	if (count < SPACE_COPIES_META && open_count(&space->drives[picked[0]]) < SPACE_COPIES_META)
		return -ENOSPC;
	for (unsigned i = 0; i < count; i++)
		column_set(space, segment, picked[i], 0);
	while (segment->column_count < SPACE_COPIES_META)
		column_set(space, segment, picked[0],
			   segment->columns[segment->column_count - 1].chunk + 1);
	return 0;
}

int space_columns_choose(const struct space *space, struct segment *segment)
{
	const int err = segment->class == SEGMENT_DATA ? data_choose(space, segment)
						       : meta_choose(space, segment);

	if (err != 0)
		return err;
	segment->profile = segment->column_count == 1 ? PROFILE_SINGLE : PROFILE_MIRROR;
	return 0;
}

/* --- Judging and taking ------------------------------------------------------------------------
 */

static bool column_valid(const struct space *space, const struct segment_record *record,
			 unsigned index)
{
	const struct segment_column *column = &record->columns[index];
	const bool data = record->class == SEGMENT_DATA;
	const struct drive_chunks *chunks;

	if (column->drive >= space->drive_count)
		return false;
	chunks = &space->drives[column->drive];
	if (column->chunk >= chunks->drive.chunk_count ||
	    bitmap_test(chunks->taken, column->chunk) ||
	    (data && chunks->drive.group != record->group))
		return false;
	for (unsigned i = 0; i < index; i++) {
		const struct segment_column *other = &record->columns[i];

		if (other->drive == column->drive && (data || other->chunk == column->chunk))
			return false;
	}
	return true;
}

bool space_columns_valid(const struct space *space, const struct segment_record *record)
{
	const bool data = record->class == SEGMENT_DATA;
	const unsigned least = data ? 1 : SPACE_COPIES_META;

	if (record->column_count < least || record->column_count > SEGMENT_COLUMNS_MAX ||
	    record->profile != (record->column_count == 1 ? PROFILE_SINGLE : PROFILE_MIRROR))
		return false;
	for (unsigned i = 0; i < record->column_count; i++) {
		if (!column_valid(space, record, i))
			return false;
	}
	return true;
}

void space_columns_take(struct space *space, const struct segment *segment)
{
	for (unsigned i = 0; i < segment->column_count; i++) {
		const struct segment_column *column = &segment->columns[i];
		struct drive_chunks *chunks = &space->drives[column->drive];

		ASSERT_U64(column->chunk, <, chunks->drive.chunk_count);
		ASSERT(!bitmap_test(chunks->taken, column->chunk));
		bitmap_set(chunks->taken, column->chunk);
		chunks->free_count--;
		chunks->data_count += segment->class == SEGMENT_DATA;
		chunks->first_free = chunk_next(chunks, 0);
		space->sums.chunks_free--;
	}
}

void space_columns_give(struct space *space, const struct segment *segment)
{
	for (unsigned i = 0; i < segment->column_count; i++) {
		const struct segment_column *column = &segment->columns[i];
		struct drive_chunks *chunks = &space->drives[column->drive];

		ASSERT(bitmap_test(chunks->taken, column->chunk));
		bitmap_clear(chunks->taken, column->chunk);
		chunks->free_count++;
		chunks->data_count -= segment->class == SEGMENT_DATA;
		chunks->first_free = MIN(chunks->first_free, column->chunk);
		space->sums.chunks_free++;
	}
}

/* What data could have on the group: the least of its drives decides. */
static uint64_t group_chunks(const struct space *space, unsigned group)
{
	uint32_t least = UINT32_MAX;

	for (unsigned i = 0; i < space->drive_count; i++) {
		const struct drive_chunks *chunks = &space->drives[i];

		if (chunks->drive.usable && chunks->drive.group == group)
			least = MIN(least, chunks->free_count + chunks->data_count);
	}
	if (least == UINT32_MAX)
		least = 0;
	/* What is there stays there, also when no drive of the group takes more. */
	return MAX(least, space->group_segments[group]);
}

static uint64_t free_chunks(const struct space *space)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < space->drive_count; i++)
		count += space->drives[i].drive.usable ? space->drives[i].free_count : 0;
	return count;
}

void space_total_update(struct space *space)
{
	uint64_t chunks = 0;

	for (unsigned group = 0; group < space->group_count; group++)
		chunks += group_chunks(space, group);
	space->sums.data_total = chunks * space->chunk_slots;
	space->sums.meta_growth = free_chunks(space) / MAX(mirror_width(space), SPACE_COPIES_META) *
				  space->chunk_slots;
}

/* A group's mirrors come to as many as its least drive has chunks; what others have more may be
 * metadata's, two chunks a segment. */
static uint64_t group_most(const struct space_params *params, unsigned group)
{
	uint64_t least = UINT64_MAX;
	uint64_t sum = 0;
	unsigned width = 0;

	for (unsigned i = 0; i < params->drive_count; i++) {
		if (params->drives[i].group != group)
			continue;
		least = MIN(least, (uint64_t)params->drives[i].chunk_count);
		sum += params->drives[i].chunk_count;
		width++;
	}
	return width == 0 ? 0 : least + div_round_up(sum - least * width, SPACE_COPIES_META);
}

uint64_t space_segments_most(const struct space_params *params)
{
	uint64_t count = 0;

	for (unsigned group = 0; group < SPACE_GROUPS_MAX; group++)
		count += group_most(params, group);
	return MIN(count, (uint64_t)SPACE_SEGMENTS_MAX);
}
