/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slots: handing them out, and their used and ref bits.
 *
 * A segment with free slots is in its lane's heap, unless it is the lane's active one, or may not
 * be handed out from. `closed` is set from outside without a word to the lane: it is asked again
 * when a segment is about to be used.
 */
#include <errno.h>
#include <stdlib.h>

#include <quoin/base_assert.h>
#include <quoin/base_bitmap.h>

#include "space/private.h"

static struct lane *lane_of(struct space *space, const struct segment *segment)
{
	if (segment->class == SEGMENT_LOG)
		return NULL;
	return &space->lanes[segment->class == SEGMENT_DATA ? segment->group : SPACE_LANE_META];
}

static uint32_t free_slots(const struct cell *cell)
{
	return cell->segment.slot_count - cell->segment.used;
}

static bool eligible(const struct space *space, const struct segment *segment)
{
	if (segment->closed || segment->withheld)
		return false;
	for (unsigned i = 0; i < segment->column_count; i++) {
		if (space->drives[segment->columns[i].drive].drive.usable)
			return true;
	}
	return false;
}

/* --- The heap: most free slots first ------------------------------------------------------------
 */

static void heap_put(struct lane *lane, uint32_t index, struct cell *cell)
{
	lane->heap[index] = cell;
	cell->heap_index = index;
}

static void heap_rise(struct lane *lane, struct cell *cell)
{
	uint32_t index = cell->heap_index;

	while (index != 0) {
		struct cell *parent = lane->heap[(index - 1) / 2];

		if (free_slots(parent) >= free_slots(cell))
			break;
		heap_put(lane, index, parent);
		index = (index - 1) / 2;
	}
	heap_put(lane, index, cell);
}

static void heap_sink(struct lane *lane, struct cell *cell)
{
	uint32_t index = cell->heap_index;

	for (;;) {
		uint32_t child = 2 * index + 1;

		if (child >= lane->heap_count)
			break;
		if (child + 1 < lane->heap_count &&
		    free_slots(lane->heap[child + 1]) > free_slots(lane->heap[child]))
			child++;
		if (free_slots(lane->heap[child]) <= free_slots(cell))
			break;
		heap_put(lane, index, lane->heap[child]);
		index = child;
	}
	heap_put(lane, index, cell);
}

static void heap_insert(struct lane *lane, struct cell *cell)
{
	ASSERT_U64(lane->heap_count, <, lane->heap_capacity);
	heap_put(lane, lane->heap_count++, cell);
	heap_rise(lane, cell);
}

static void heap_remove(struct lane *lane, struct cell *cell)
{
	struct cell *last = lane->heap[--lane->heap_count];

	if (last != cell) {
		heap_put(lane, cell->heap_index, last);
		heap_rise(lane, last);
		heap_sink(lane, last);
	}
	cell->heap_index = SPACE_HEAP_NONE;
}

/* --- Lanes ------------------------------------------------------------------------------------ */

int space_lane_reserve(struct space *space, struct cell *cell)
{
	struct lane *lane = lane_of(space, &cell->segment);
	const uint32_t capacity = MAX(16, 2 * lane->heap_capacity);
	struct cell **heap;

	if (lane->segment_count < lane->heap_capacity)
		return 0;
	heap = realloc(lane->heap, capacity * sizeof(struct cell *));
	if (heap == NULL)
		return -ENOMEM;
	lane->heap = heap;
	lane->heap_capacity = capacity;
	return 0;
}

void space_lane_join(struct space *space, struct cell *cell)
{
	struct lane *lane = lane_of(space, &cell->segment);

	if (lane == NULL)
		return;
	lane->segment_count++;
	space_lane_fix(space, cell);
}

void space_lane_fix(struct space *space, struct cell *cell)
{
	struct lane *lane = lane_of(space, &cell->segment);
	bool belongs;

	if (lane == NULL || cell == lane->active)
		return;
	belongs = free_slots(cell) != 0 && eligible(space, &cell->segment);
	if (cell->heap_index == SPACE_HEAP_NONE) {
		if (belongs)
			heap_insert(lane, cell);
		return;
	}
	if (!belongs) {
		heap_remove(lane, cell);
		return;
	}
	heap_rise(lane, cell);
	heap_sink(lane, cell);
}

void space_lane_leave(struct space *space, struct cell *cell)
{
	struct lane *lane = lane_of(space, &cell->segment);

	ASSERT(lane != NULL && cell != lane->active);
	if (cell->heap_index != SPACE_HEAP_NONE)
		heap_remove(lane, cell);
	lane->segment_count--;
}

struct cell *space_lane_empty(const struct space *space, enum segment_class class)
{
	const unsigned first = class == SEGMENT_META ? SPACE_LANE_META : 0;
	const unsigned end = class == SEGMENT_META ? SPACE_LANES : space->group_count;

	for (unsigned i = first; i < end; i++) {
		struct cell *top = space->lanes[i].heap_count != 0 ? space->lanes[i].heap[0] : NULL;

		if (top != NULL && top->segment.used == 0)
			return top;
	}
	return NULL;
}

void space_segment_withhold(struct space *space, struct segment *segment)
{
	struct cell *cell = space->cells[segment->id];

	ASSERT_U64(segment->class, ==, SEGMENT_DATA);
	ASSERT_U64(segment->used, ==, 0);
	segment->withheld = true;
	space->withheld_count++;
	space->withheld_slots += segment->slot_count;
	space_lane_fix(space, cell);
}

void space_withheld_release(struct space *space)
{
	for (uint32_t id = 1; space->withheld_count != 0 && id < space->segment_limit; id++) {
		struct cell *cell = space->cells[id];

		if (cell == NULL || !cell->segment.withheld)
			continue;
		cell->segment.withheld = false;
		space->withheld_count--;
		space->withheld_slots -= cell->segment.slot_count;
		space_lane_fix(space, cell);
	}
}

void space_segments_reopen(struct space *space)
{
	for (uint32_t id = 1; id < space->segment_limit; id++) {
		struct cell *cell = space->cells[id];

		if (cell == NULL || !cell->segment.closed)
			continue;
		cell->segment.closed = false;
		space_lane_fix(space, cell);
	}
}

void space_lanes_fini(struct space *space)
{
	for (unsigned i = 0; i < SPACE_LANES; i++)
		free(space->lanes[i].heap);
}

/* The segment with the most free slots becomes active; the one that was, if there is no other. */
static bool lane_next(const struct space *space, struct lane *lane)
{
	struct cell *was = lane->active;
	struct cell *next = NULL;

	while (next == NULL && lane->heap_count != 0) {
		struct cell *top = lane->heap[0];

		heap_remove(lane, top);
		if (eligible(space, &top->segment))
			next = top;
	}
	if (was != NULL && free_slots(was) != 0 && eligible(space, &was->segment)) {
		if (next == NULL)
			next = was;
		else
			heap_insert(lane, was);
	}
	lane->active = next;
	lane->cursor = 0;
	return next != NULL;
}

static void bits_set(uint64_t *words, size_t first, size_t end)
{
	for (size_t word = first / 64; word * 64 < end; word++)
		words[word] |= space_word_mask(word, first, end);
}

void space_slots_set(struct space *space, struct cell *cell, size_t first, size_t end)
{
	struct segment *segment = &cell->segment;

	bits_set(segment->used_bits, first, end);
	space_used_add(space, segment, (uint32_t)(end - first));
}

static unsigned lane_alloc(struct space *space, struct lane *lane, unsigned want,
			   uint64_t *ret_vaddr)
{
	struct segment *segment = NULL;
	size_t slot = 0;
	size_t end;

	for (unsigned round = 0; round < 2; round++) {
		if (lane->active != NULL && eligible(space, &lane->active->segment)) {
			segment = &lane->active->segment;
			slot = bitmap_next_clear(segment->used_bits, segment->slot_count,
						 lane->cursor);
			if (slot < segment->slot_count)
				break;
		}
		segment = NULL;
		if (!lane_next(space, lane))
			return 0;
	}
	ASSERT(segment != NULL); /* the next one has a free slot, and is looked at from its start */
	end = MIN(slot + want, (size_t)segment->slot_count);
	end = bitmap_next_set(segment->used_bits, end, slot);
	space_slots_set(space, lane->active, slot, end);
	lane->cursor = (uint32_t)end;
	*ret_vaddr = vaddr_make(segment->id, slot);
	return (unsigned)(end - slot);
}

static void turn_move(struct space *space)
{
	space->turn = (space->turn + 1) % space->group_count;
	space->turn_left = SPACE_STRIPE_SLOTS;
}

unsigned space_alloc(struct space *space, enum segment_class class, unsigned want,
		     uint64_t *ret_vaddr)
{
	ASSERT_U64(want, >, 0);
	if (class == SEGMENT_META)
		return lane_alloc(space, &space->lanes[SPACE_LANE_META], want, ret_vaddr);
	ASSERT_U64(class, ==, SEGMENT_DATA);
	if (space->group_count == 1)
		return lane_alloc(space, &space->lanes[0], want, ret_vaddr);
	for (unsigned i = 0; i < space->group_count; i++) {
		const unsigned count = lane_alloc(space, &space->lanes[space->turn],
						  MIN(want, space->turn_left), ret_vaddr);

		space->turn_left -= count;
		if (count == 0 || space->turn_left == 0)
			turn_move(space);
		if (count != 0)
			return count;
	}
	return 0;
}

/* --- Bits ------------------------------------------------------------------------------------- */

static bool is_stale(const struct cell *cell, uint32_t slot)
{
	return cell->stale_bits != NULL && bitmap_test(cell->stale_bits, slot);
}

void space_slots_clear(struct space *space, struct cell *cell, uint32_t slot, unsigned count)
{
	struct segment *segment = &cell->segment;
	const size_t end = (size_t)slot + count;

	ASSERT_U64(end, <=, segment->slot_count);
	for (size_t word = slot / 64; word * 64 < end; word++) {
		const uint64_t mask = space_word_mask(word, slot, end);

		ASSERT_U64(segment->used_bits[word] & mask, ==, mask);
		ASSERT_U64(segment->ref_bits[word] & mask, ==, 0);
		if (cell->stale_bits != NULL)
			ASSERT_U64(cell->stale_bits[word] & mask, ==, 0);
		segment->used_bits[word] &= ~mask;
	}
	space_used_sub(space, segment, count);
	space_lane_fix(space, cell);
}

void space_unalloc(struct space *space, uint64_t vaddr, unsigned count)
{
	space_slots_clear(space, space_cell(space, vaddr), vaddr_slot(vaddr), count);
}

int space_claim(struct space *space, uint64_t vaddr)
{
	const uint32_t slot = vaddr_slot(vaddr);
	struct cell *cell;

	if (!space_vaddr_valid(space, vaddr, SEGMENT_DATA))
		return -EUCLEAN;
	cell = space->cells[vaddr_segment(vaddr)];
	if (is_stale(cell, slot)) { /* the record has it now */
		bitmap_clear(cell->stale_bits, slot);
		space->sums.freeing--;
	}
	if (bitmap_test(cell->segment.used_bits, slot))
		return 0;
	bitmap_set(cell->segment.used_bits, slot);
	space_used_add(space, &cell->segment, 1);
	space_lane_fix(space, cell);
	return 0;
}

static void ref_changed(struct segment *segment, uint32_t slot)
{
	segment->bitmap_dirty |= 1U << slot / BITMAP_PAGE_SLOTS;
	segment->record_dirty = true;
}

void space_ref(struct space *space, uint64_t vaddr)
{
	struct cell *cell = space_cell(space, vaddr);
	struct segment *segment = &cell->segment;
	const uint32_t slot = vaddr_slot(vaddr);

	ASSERT_U64(bitmap_test(segment->used_bits, slot) ? vaddr : 0, ==, vaddr);
	ASSERT_U64(bitmap_test(segment->ref_bits, slot) ? 0 : vaddr, ==, vaddr);
	ASSERT(!is_stale(cell, slot));
	bitmap_set(segment->ref_bits, slot);
	segment->refs++;
	(*space_refs_sum(space, segment))++;
	ref_changed(segment, slot);
}

void space_unref(struct space *space, uint64_t vaddr)
{
	struct segment *segment = &space_cell(space, vaddr)->segment;
	const uint32_t slot = vaddr_slot(vaddr);

	ASSERT_U64(bitmap_test(segment->ref_bits, slot) ? vaddr : 0, ==, vaddr);
	bitmap_clear(segment->ref_bits, slot);
	segment->refs--;
	(*space_refs_sum(space, segment))--;
	ref_changed(segment, slot);
	space_freed_add(space, &space->freed.frozen, vaddr);
}

bool space_is_ref(const struct space *space, uint64_t vaddr)
{
	return bitmap_test(space_cell(space, vaddr)->segment.ref_bits, vaddr_slot(vaddr));
}

void space_supersede(struct space *space, uint64_t vaddr)
{
	const struct cell *cell = space_cell(space, vaddr);
	const uint32_t slot = vaddr_slot(vaddr);

	ASSERT_U64(bitmap_test(cell->segment.used_bits, slot) ? vaddr : 0, ==, vaddr);
	ASSERT_U64(bitmap_test(cell->segment.ref_bits, slot) ? 0 : vaddr, ==, vaddr);
	ASSERT(!is_stale(cell, slot));
	space_freed_add(space, &space->freed.active, vaddr);
}
