/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Freed slots on their way. A list grows by one slot at a time, in any order. Some thousands are
 * put in order at a time, and kept as their distances: two bytes a slot, about, as there are up to
 * some thousand times as many slots as are freed at once. When a list has waited long enough, its
 * blocks go along the segments side by side, and each segment's slots are marked in a bitmap, in
 * which the runs are seen. So it takes a few steps for a slot, and no memory that is not there from
 * the start.
 *
 * What an import found used, but not ref, waits as a bitmap of each segment instead: there is no
 * bound for how many slots that are. What a list has no room for waits there as well, until it is
 * sure that it waited long enough: so nothing has to ask before it frees, and nothing is forgotten.
 * But who can wait does, while it is so (space_freed_pressure()): all of these bits are released
 * together, and each one that is added puts that off.
 */
#include <errno.h>
#include <stdlib.h>

#include <quoin/base_assert.h>
#include <quoin/base_bitmap.h>
#include <quoin/base_math.h>

#include "space/private.h"

#define LISTS (2 + SPACE_KEEP)
#define STAGES 2	/* lists that grow */
#define GAP_BYTES_MAX 9 /* of 63 bits */
#define SORT_BITS 11
#define SORT_BUCKETS (1U << SORT_BITS)

/* --- Memory --------------------------------------------------------------------------------- */

static void freed_list_init(struct freed_list *list, uint64_t *stage)
{
	list_init(&list->blocks);
	list->count = 0;
	list->stage = stage;
	list->staged = 0;
}

static uint64_t all_slots(const struct space_params *params)
{
	return space_segments_most(params) << (params->chunk_shift - PAGE_SHIFT);
}

/*
 * The distances within one stage add up to less than all slots, so only so many of them can take
 * two bytes, three and so on.
 */
static size_t block_slots(const struct space_params *params)
{
	const uint64_t slots = all_slots(params) + SPACE_SEGMENTS_MAX;
	uint64_t bytes = FREED_STAGE;

	for (unsigned bits = 7; bits < 63; bits += 7)
		bytes += MIN(slots >> bits, (uint64_t)FREED_STAGE);
	/* The last block of a stage is not full. */
	return FREED_STAGE / (size_t)(div_round_up(bytes, FREED_GAPS - GAP_BYTES_MAX) + 1);
}

/* Each time a list is closed, or goes on waiting, it may leave a block with few slots. */
static size_t block_count(const struct space_params *params)
{
	const size_t max = MIN((uint64_t)params->freed_max, all_slots(params));

	return max / block_slots(params) + 4 * LISTS;
}

uint64_t space_freed_memory(const struct space_params *params)
{
	return block_count(params) * sizeof(struct freed_block) +
	       (STAGES + 1) * FREED_STAGE * sizeof(uint64_t);
}

int space_freed_init(struct freed *freed, const struct space_params *params)
{
	const uint64_t all = all_slots(params);

	freed->surely_enough = params->freed_max >= all;
	freed->max = params->freed_max;
	freed->slot_bits = params->chunk_shift - PAGE_SHIFT;
	freed->block_slots = block_slots(params);
	freed->block_count = block_count(params);
	list_init(&freed->idle);
	freed->stages = calloc((STAGES + 1) * (size_t)FREED_STAGE, sizeof(*freed->stages));
	freed->memory = calloc(freed->block_count, sizeof(*freed->memory));
	if (freed->memory == NULL || freed->stages == NULL)
		return -ENOMEM;
	freed_list_init(&freed->active, freed->stages);
	freed_list_init(&freed->frozen, freed->stages + FREED_STAGE);
	for (unsigned i = 0; i < SPACE_KEEP; i++)
		freed_list_init(&freed->waiting[i], NULL);
	for (size_t i = 0; i < freed->block_count; i++)
		list_append(&freed->idle, &freed->memory[i].node);
	freed->idle_count = freed->block_count;
	return 0;
}

void space_freed_fini(struct freed *freed)
{
	free(freed->memory);
	free(freed->stages);
}

static struct freed_block *block_of(struct list *node)
{
	return container_of(node, struct freed_block, node);
}

static struct freed_block *block_take(struct freed *freed)
{
	struct list *node = list_pop(&freed->idle);

	if (node == NULL)
		return NULL;
	freed->idle_count--;
	return block_of(node);
}

static void block_give(struct freed *freed, struct freed_block *block)
{
	list_append(&freed->idle, &block->node);
	freed->idle_count++;
}

/* --- Blocks ---------------------------------------------------------------------------------- */

/* From an ascending array, as many as there is room for. Returns how many. */
static size_t block_fill(struct freed_block *block, const uint64_t *slots, size_t count)
{
	size_t i;

	block->slot = slots[0];
	block->used = block->at = 0;
	for (i = 1; i < count && block->used + GAP_BYTES_MAX <= FREED_GAPS; i++) {
		uint64_t gap = slots[i] - slots[i - 1];

		ASSERT_U64(gap == 0 ? slots[i] : 0, ==, 0); /* it was freed twice */
		for (; gap >> 7 != 0; gap >>= 7)
			block->gaps[block->used++] = (uint8_t)(gap | 0x80);
		block->gaps[block->used++] = (uint8_t)gap;
	}
	return i;
}

/* Moves to the next slot. False: that was the last. */
static bool block_step(struct freed_block *block)
{
	unsigned shift = 0;
	uint8_t byte;

	if (block->at == block->used)
		return false;
	do {
		byte = block->gaps[block->at++];
		block->slot += (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80);
	return true;
}

/* --- Lists ----------------------------------------------------------------------------------- */

static struct cell *cell_at(const struct space *space, uint64_t slot)
{
	return space->cells[slot >> space->freed.slot_bits];
}

static size_t slot_in(const struct space *space, uint64_t slot)
{
	return slot & ((UINT64_C(1) << space->freed.slot_bits) - 1);
}

static void sort_pass(const uint64_t *from, uint64_t *to, size_t count, unsigned shift)
{
	uint32_t starts[SORT_BUCKETS] = {0};
	uint32_t sum = 0;

	for (size_t i = 0; i < count; i++)
		starts[from[i] >> shift & (SORT_BUCKETS - 1)]++;
	for (unsigned b = 0; b < SORT_BUCKETS; b++) {
		const uint32_t bucket = starts[b];

		starts[b] = sum;
		sum += bucket;
	}
	for (size_t i = 0; i < count; i++)
		to[starts[from[i] >> shift & (SORT_BUCKETS - 1)]++] = from[i];
}

/* Returns where they are, in order. */
static const uint64_t *stage_sort(const struct space *space, struct freed_list *list)
{
	uint64_t *from = list->stage;
	uint64_t *to = space->freed.stages + (size_t)STAGES * FREED_STAGE;
	const uint64_t end = (uint64_t)space->segment_limit << space->freed.slot_bits;

	for (unsigned shift = 0; (end - 1) >> shift != 0; shift += SORT_BITS) {
		uint64_t *swap = from;

		sort_pass(from, to, list->staged, shift);
		from = to;
		to = swap;
	}
	return from;
}

/* No list has room for it. The one it is from may have to wait for one more checkpoint. */
static void spill(struct space *space, struct freed_list *list, uint64_t slot)
{
	bitmap_set(cell_at(space, slot)->stale_bits, slot_in(space, slot));
	space->freed.stale_commits = SPACE_KEEP + 2;
	space->freed.spilled = true;
	list->count--;
}

static void stage_flush(struct space *space, struct freed_list *list)
{
	const uint64_t *slots = stage_sort(space, list);
	const size_t count = list->staged;
	size_t done = 0;

	while (done < count) {
		struct freed_block *block = block_take(&space->freed);

		if (block == NULL)
			break;
		done += block_fill(block, slots + done, count - done);
		list_append(&list->blocks, &block->node);
	}
	for (; done < count; done++)
		spill(space, list, slots[done]);
	list->staged = 0;
}

void space_freed_add(struct space *space, struct freed_list *list, uint64_t vaddr)
{
	if (list->staged == FREED_STAGE)
		stage_flush(space, list);
	list->stage[list->staged++] =
		(uint64_t)vaddr_segment(vaddr) << space->freed.slot_bits | vaddr_slot(vaddr);
	list->count++;
	space->sums.freeing++;
}

static size_t freed_count(const struct freed *freed)
{
	size_t count = freed->active.count + freed->frozen.count;

	for (unsigned i = 0; i < SPACE_KEEP; i++)
		count += freed->waiting[i].count;
	return count;
}

size_t space_freed_room(const struct space *space)
{
	const struct freed *freed = &space->freed;
	const size_t staged = freed->active.staged + freed->frozen.staged;
	const size_t count = freed_count(freed);
	size_t room = 0;

	if (freed->spilled || count >= freed->max)
		return 0;
	/* Each stage may end in a block that is not full. */
	if (freed->idle_count > STAGES)
		room = (freed->idle_count - STAGES) * freed->block_slots;
	room = room > staged ? room - staged : 0;
	return MIN(room, freed->max - count);
}

enum space_pressure space_freed_pressure(const struct space *space)
{
	const struct freed *freed = &space->freed;
	const size_t room = space_freed_room(space);

	if (freed->surely_enough || room >= freed->max / 4)
		return SPACE_PRESSURE_NONE;
	return room >= freed->max / 16 ? SPACE_PRESSURE_SOME : SPACE_PRESSURE_FULL;
}

void space_freeze(struct space *space)
{
	struct freed *freed = &space->freed;

	stage_flush(space, &freed->active);
	list_splice(&freed->frozen.blocks, &freed->active.blocks);
	freed->frozen.count += freed->active.count;
	freed->active.count = 0;
}

/* --- Release ---------------------------------------------------------------------------------- */

/*
 * A run that becomes free, with what is free already in the windows of SPACE_TRIM_SLOTS at its ends
 * where all of it is: so that single slots add up to something worth a discard.
 */
static void run_widen(const struct segment *segment, size_t *first, size_t *end)
{
	const size_t low = *first / SPACE_TRIM_SLOTS * SPACE_TRIM_SLOTS;
	const size_t high = MIN((*end + SPACE_TRIM_SLOTS - 1) / SPACE_TRIM_SLOTS * SPACE_TRIM_SLOTS,
				(size_t)segment->slot_count);

	if (bitmap_next_set(segment->used_bits, *first, low) == *first)
		*first = low;
	if (bitmap_next_set(segment->used_bits, high, *end) == high)
		*end = high;
}

/* True: whoever listens took it, and keeps it used. */
static bool run_offer(struct space *space, struct cell *cell, size_t first, size_t end,
		      const struct released *released)
{
	size_t low = first;
	size_t high = end;

	if (released->call == NULL)
		return false;
	run_widen(&cell->segment, &low, &high);
	if (high - low < SPACE_TRIM_SLOTS ||
	    !released->call(released->data, vaddr_make(cell->segment.id, low),
			    (unsigned)(high - low)))
		return false;
	if (low < first)
		space_slots_set(space, cell, low, first);
	if (end < high)
		space_slots_set(space, cell, end, high);
	space_lane_fix(space, cell);
	return true;
}

/* The set bits of [first, end) become free slots. Clears them. */
static void bits_release(struct space *space, struct cell *cell, uint64_t *bits,
			 const struct released *released)
{
	const size_t limit = cell->segment.slot_count;
	size_t end = 0;

	for (;;) {
		const size_t first = bitmap_next_set(bits, limit, end);
		unsigned count;

		if (first == limit)
			return;
		end = bitmap_next_clear(bits, limit, first);
		count = (unsigned)(end - first);
		for (size_t word = first / 64; word * 64 < end; word++)
			bits[word] &= ~space_word_mask(word, first, end);
		space->sums.freeing -= count;
		if (!run_offer(space, cell, first, end, released))
			space_slots_clear(space, cell, (uint32_t)first, count);
	}
}

/* Marks the block's slots that are in the segment, and sends it on. */
static void block_mark(struct space *space, struct freed_block *block)
{
	const uint64_t segment = block->slot >> space->freed.slot_bits;
	bool more;

	do {
		const size_t slot = slot_in(space, block->slot);

		ASSERT_U64(bitmap_test(space->freed.scratch, slot) ? slot : 0, ==, 0);
		bitmap_set(space->freed.scratch, slot);
		more = block_step(block);
	} while (more && block->slot >> space->freed.slot_bits == segment);
	if (more)
		list_append(&cell_at(space, block->slot)->releasing, &block->node);
	else
		block_give(&space->freed, block);
}

/* Empties the list. */
static void list_release(struct space *space, struct freed_list *list,
			 const struct released *released)
{
	struct list *node;

	while ((node = list_pop(&list->blocks)) != NULL)
		list_append(&cell_at(space, block_of(node)->slot)->releasing, node);
	for (uint32_t id = 1; id < space->segment_limit; id++) {
		struct cell *cell = space->cells[id];

		if (cell == NULL || list_empty(&cell->releasing))
			continue;
		while ((node = list_pop(&cell->releasing)) != NULL)
			block_mark(space, block_of(node));
		bits_release(space, cell, space->freed.scratch, released);
	}
	list->count = 0;
}

static void stale_release(struct space *space, const struct released *released)
{
	for (uint32_t id = 1; id < space->segment_limit; id++) {
		struct cell *cell = space->cells[id];

		if (cell != NULL && cell->stale_bits != NULL)
			bits_release(space, cell, cell->stale_bits, released);
	}
	space->freed.spilled = false;
}

void space_commit(struct space *space, bool (*released)(void *data, uint64_t vaddr, unsigned count),
		  void *data)
{
	struct freed *freed = &space->freed;
	struct freed_list *oldest = &freed->waiting[freed->oldest];
	const struct released call = {.call = released, .data = data};

	stage_flush(space, &freed->frozen);
	list_release(space, oldest, &call);
	list_splice(&oldest->blocks, &freed->frozen.blocks);
	oldest->count = freed->frozen.count;
	freed->frozen.count = 0;
	freed->oldest = (freed->oldest + 1) % SPACE_KEEP;
	if (freed->stale_commits != 0 && --freed->stale_commits == 0)
		stale_release(space, &call);
	space_withheld_release(space);
	space_retired_turn(space);
}
