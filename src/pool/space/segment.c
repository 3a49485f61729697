/* SPDX-License-Identifier: Apache-2.0 */
/* Segments: the table of them, from and to their records. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_bitmap.h>

#include "space/private.h"

#define SEGMENT_BITS 3 /* of each slot: used, ref, stale */

/* Heaps grow by doubling, and a moment long both are there. */
uint64_t space_memory(const struct space_params *params)
{
	const uint64_t bits = BITMAP_WORDS(UINT64_C(1) << (params->chunk_shift - PAGE_SHIFT));
	const uint64_t segment = SEGMENT_BITS * bits * sizeof(uint64_t) + sizeof(struct cell) +
				 3 * sizeof(struct cell *) + 2 * MALLOC_OVERHEAD;
	uint64_t bytes = sizeof(struct space) + space_freed_memory(params);

	for (unsigned i = 0; i < params->drive_count; i++)
		bytes += params->drives[i].chunk_count / 8 + 2 * sizeof(uint64_t) + MALLOC_OVERHEAD;
	return bytes + space_segments_most(params) * segment;
}

int space_new(const struct space_params *params, struct space **ret_space)
{
	struct space *space;
	int err;

	if (params->chunk_shift < CHUNK_SHIFT_MIN || params->chunk_shift > CHUNK_SHIFT_MAX ||
	    params->drive_count == 0 || params->drive_count > SUPER_DRIVES_MAX)
		return -EINVAL;
	space = calloc(1, sizeof(*space));
	if (space == NULL)
		return -ENOMEM;
	space->chunk_slots = 1U << (params->chunk_shift - PAGE_SHIFT);
	space->segment_limit = 1;
	space->id_hint = 1;
	space->turn_left = SPACE_STRIPE_SLOTS;
	err = space_drives_init(space, params);
	if (err == 0)
		err = space_freed_init(&space->freed, params);
	if (err != 0) {
		space_free(space);
		return err;
	}
	*ret_space = space;
	return 0;
}

static void cell_free(struct cell *cell)
{
	if (cell == NULL)
		return;
	free(cell->segment.used_bits); /* the other two are behind it */
	free(cell);
}

void space_free(struct space *space)
{
	if (space == NULL)
		return;
	for (uint32_t id = 1; id < space->segment_limit; id++)
		cell_free(space->cells[id]);
	space_lanes_fini(space);
	space_freed_fini(&space->freed);
	space_drives_fini(space);
	free(space);
}

void space_drive_usable(struct space *space, unsigned drive, bool usable)
{
	ASSERT_U64(drive, <, space->drive_count);
	space->drives[drive].drive.usable = usable;
	space_total_update(space);
	for (uint32_t id = 1; id < space->segment_limit; id++) {
		if (space->cells[id] != NULL)
			space_lane_fix(space, space->cells[id]);
	}
}

struct segment *space_segment(const struct space *space, uint32_t id)
{
	if (id >= space->segment_limit || space->cells[id] == NULL)
		return NULL;
	return &space->cells[id]->segment;
}

uint32_t space_segment_limit(const struct space *space)
{
	return space->segment_limit;
}

struct cell *space_cell(const struct space *space, uint64_t vaddr)
{
	struct cell *cell;

	ASSERT_U64(vaddr >> VADDR_SLOT_BITS, <, space->segment_limit);
	cell = space->cells[vaddr_segment(vaddr)];
	if (UNLIKELY(cell == NULL || cell->segment.used_bits == NULL))
		ASSERT_U64(vaddr, ==, 0); /* prints it */
	ASSERT_U64(vaddr_slot(vaddr), <, cell->segment.slot_count);
	return cell;
}

bool space_vaddr_valid(const struct space *space, uint64_t vaddr, enum segment_class class)
{
	const uint64_t id = vaddr >> VADDR_SLOT_BITS;
	const struct segment *segment;

	if (id >= space->segment_limit)
		return false;
	segment = space_segment(space, (uint32_t)id);
	return segment != NULL && segment->class == class &&
	       vaddr_slot(vaddr) < segment->slot_count;
}

/* --- Coming to be --------------------------------------------------------------------------- */

static MUST_CHECK int cell_new(const struct space *space, bool bits, struct cell **ret_cell)
{
	struct cell *cell = calloc(1, sizeof(*cell));
	const size_t words = BITMAP_WORDS(space->chunk_slots);

	if (cell == NULL)
		return -ENOMEM;
	cell->heap_index = SPACE_HEAP_NONE;
	cell->segment.slot_count = space->chunk_slots;
	list_init(&cell->releasing);
	if (bits) {
		cell->segment.used_bits = calloc(SEGMENT_BITS * words, sizeof(uint64_t));
		if (cell->segment.used_bits == NULL) {
			cell_free(cell);
			return -ENOMEM;
		}
		cell->segment.ref_bits = cell->segment.used_bits + words;
		cell->stale_bits = cell->segment.ref_bits + words;
	}
	*ret_cell = cell;
	return 0;
}

/* From here on nothing fails. Room in its lane is reserved. */
static void cell_join(struct space *space, struct cell *cell)
{
	const struct segment *segment = &cell->segment;

	space->cells[segment->id] = cell;
	bitmap_clear(space->gone, segment->id);
	*space_empty_sum(space, segment) += segment->class != SEGMENT_LOG;
	space->segment_limit = MAX(space->segment_limit, segment->id + 1);
	if (segment->class == SEGMENT_DATA) {
		space->group_segments[segment->group]++;
		space->sums.data_segments += segment->slot_count;
	} else if (segment->class == SEGMENT_META) {
		space->sums.meta_segments += segment->slot_count;
	} else {
		space->sums.log_slots += segment->slot_count;
	}
	space_columns_take(space, segment);
	space_total_update(space);
	space_lane_join(space, cell);
}

static bool record_valid(const struct space *space, const struct segment_record *record)
{
	unsigned pages = (space->chunk_slots + BITMAP_PAGE_SLOTS - 1) / BITMAP_PAGE_SLOTS;

	if (record->class < SEGMENT_DATA || record->class > SEGMENT_LOG ||
	    record->slot_count != space->chunk_slots || record->used > record->slot_count)
		return false;
	if (record->class == SEGMENT_LOG) {
		if (record->used != 0)
			return false;
		pages = 0;
	}
	for (unsigned i = pages; i < SEGMENT_BITMAPS_MAX; i++) {
		if (record->bitmaps[i].vaddr != 0)
			return false;
	}
	return space_columns_valid(space, record);
}

int space_segment_load(struct space *space, uint32_t id, const struct segment_record *record)
{
	struct cell *cell;
	struct segment *segment;
	int err;

	if (id == 0 || id >= SPACE_SEGMENTS_MAX || space->cells[id] != NULL ||
	    !record_valid(space, record))
		return -EUCLEAN;
	err = cell_new(space, record->class != SEGMENT_LOG, &cell);
	if (err != 0)
		return err;
	segment = &cell->segment;
	segment->id = id;
	segment->class = record->class;
	segment->profile = record->profile;
	segment->column_count = record->column_count;
	segment->group = record->group;
	segment->birth_ckpt = record->birth_ckpt;
	memcpy(segment->columns, record->columns, sizeof(segment->columns));
	memcpy(segment->bitmaps, record->bitmaps, sizeof(segment->bitmaps));
	if (segment->used_bits != NULL)
		err = space_lane_reserve(space, cell);
	if (err != 0) {
		cell_free(cell);
		return err;
	}
	cell_join(space, cell);
	return 0;
}

void space_segment_encode(const struct segment *segment, struct segment_record *ret_record)
{
	*ret_record = (struct segment_record){
		.class = segment->class,
		.profile = segment->profile,
		.column_count = segment->column_count,
		.group = segment->group,
		.slot_count = segment->slot_count,
		.used = segment->refs,
		.birth_ckpt = segment->birth_ckpt,
	};
	memcpy(ret_record->columns, segment->columns, sizeof(segment->columns));
	memcpy(ret_record->bitmaps, segment->bitmaps, sizeof(segment->bitmaps));
}

static bool id_taken(const struct space *space, uint32_t id)
{
	return space->cells[id] != NULL || bitmap_test(space->retired[0], id) ||
	       bitmap_test(space->retired[1], id);
}

int space_segment_add(struct space *space, enum segment_class class, unsigned group, uint64_t ckpt,
		      struct segment **ret_segment)
{
	struct cell *cell;
	struct segment *segment;
	int err;

	ASSERT_U64(class, >=, SEGMENT_DATA);
	ASSERT_U64(class, <=, SEGMENT_LOG);
	while (space->id_hint < space->segment_limit && id_taken(space, space->id_hint))
		space->id_hint++;
	if (space->id_hint >= SPACE_SEGMENTS_MAX)
		return -ENOSPC;
	err = cell_new(space, class != SEGMENT_LOG, &cell);
	if (err != 0)
		return err;
	segment = &cell->segment;
	segment->id = space->id_hint;
	segment->class = (uint8_t) class;
	segment->birth_ckpt = ckpt;
	segment->record_dirty = true;
	if (class == SEGMENT_DATA) {
		ASSERT_U64(group, <, SPACE_GROUPS_MAX);
		segment->group = (uint16_t)group;
	}
	err = space_columns_choose(space, segment);
	if (err == 0 && class != SEGMENT_LOG)
		err = space_lane_reserve(space, cell);
	if (err != 0) {
		cell_free(cell);
		return err;
	}
	cell_join(space, cell);
	*ret_segment = segment;
	return 0;
}

/* --- Going --------------------------------------------------------------------------------- */

bool space_segment_retire(struct space *space, enum segment_class class)
{
	struct cell *cell = space_lane_empty(space, class);
	struct segment *segment;

	if (cell == NULL)
		return false;
	segment = &cell->segment;
	ASSERT_U64(segment->refs, ==, 0);
	ASSERT(list_empty(&cell->releasing));
	for (unsigned page = 0; page < segment_bitmap_pages(segment); page++) {
		if (segment->bitmaps[page].vaddr != 0)
			space_unref(space, segment->bitmaps[page].vaddr);
	}
	space_lane_leave(space, cell);
	if (class == SEGMENT_DATA) {
		space->group_segments[segment->group]--;
		space->sums.data_segments -= segment->slot_count;
	} else {
		space->sums.meta_segments -= segment->slot_count;
	}
	(*space_empty_sum(space, segment))--;
	space_columns_give(space, segment);
	space->cells[segment->id] = NULL;
	bitmap_set(space->gone, segment->id);
	bitmap_set(space->retired[space->retired_now], segment->id);
	cell_free(cell);
	space_total_update(space);
	return true;
}

/* Checkpoints that knew those of the older set cannot be had any more. */
void space_retired_turn(struct space *space)
{
	if (++space->retired_commits <= SPACE_KEEP)
		return;
	space->retired_commits = 0;
	space->retired_now = !space->retired_now;
	memset(space->retired[space->retired_now], 0, sizeof(space->retired[0]));
	space->id_hint = 1;
}

bool space_record_dirty(const struct space *space, uint32_t id)
{
	const struct segment *segment = space_segment(space, id);

	if (segment != NULL)
		return segment->record_dirty;
	return id < space->segment_limit && bitmap_test(space->gone, id);
}

void space_record_clean(struct space *space, uint32_t id)
{
	struct segment *segment = space_segment(space, id);

	if (segment != NULL)
		segment->record_dirty = false;
	else if (id < space->segment_limit)
		bitmap_clear(space->gone, id);
}

uint64_t space_data_free(const struct space *space)
{
	return space->sums.data_segments - space->withheld_slots - space->sums.data_used;
}

void space_sums(const struct space *space, struct space_sums *ret_sums)
{
	*ret_sums = space->sums;
	ret_sums->data_empty -= space->withheld_count;
}
