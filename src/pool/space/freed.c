/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Freed slots on their way. A list grows by one slot at a time, in any order; when it has waited
 * long enough it is ordered by segment, a few bits at a time, and each segment's slots are marked
 * in a bitmap, in which the runs are seen. So it takes a few steps for a slot, and no memory that
 * is not there from the start.
 *
 * What an import found used, but not ref, waits as one bitmap for each segment instead: there is no
 * bound for how many slots that are.
 */
#include <errno.h>
#include <stdlib.h>

#include <quoin/base_assert.h>
#include <quoin/base_bitmap.h>

#include "space/private.h"

#define LISTS (2 + SPACE_KEEP)

static void freed_list_init(struct freed_list *list)
{
	list_init(&list->blocks);
	list->count = 0;
}

int space_freed_init(struct freed *freed, size_t freed_max)
{
	/* Each list may end in a part of a block. Ordering reads lists with such ends, and writes
	 * others, while it holds the block it reads from. */
	const size_t spare = LISTS + 2 * FREED_FAN + 1;
	const size_t count = freed_max / FREED_BLOCK_SLOTS + 1 + spare;

	freed->max = freed_max;
	list_init(&freed->idle);
	freed_list_init(&freed->active);
	freed_list_init(&freed->frozen);
	for (unsigned i = 0; i < SPACE_KEEP; i++)
		freed_list_init(&freed->waiting[i]);
	freed->memory = calloc(count, sizeof(*freed->memory));
	if (freed->memory == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		list_append(&freed->idle, &freed->memory[i].node);
	return 0;
}

void space_freed_fini(struct freed *freed)
{
	free(freed->memory);
}

static struct freed_block *block_of(struct list *node)
{
	return container_of(node, struct freed_block, node);
}

static void freed_append(struct freed *freed, struct freed_list *list, uint64_t vaddr)
{
	struct freed_block *block = block_of(list->blocks.prev);

	if (list_empty(&list->blocks) || block->count == FREED_BLOCK_SLOTS) {
		struct list *node = list_pop(&freed->idle);

		ASSERT(node != NULL); /* space_freed_room() was not heeded */
		block = block_of(node);
		block->count = 0;
		list_append(&list->blocks, node);
	}
	block->vaddrs[block->count++] = vaddr;
	list->count++;
}

void space_freed_add(struct space *space, struct freed_list *list, uint64_t vaddr)
{
	freed_append(&space->freed, list, vaddr);
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
	const size_t count = freed_count(&space->freed);

	return count < space->freed.max ? space->freed.max - count : 0;
}

/* Moves all of `from` to `to`, which again has one block at most that is not full. */
static void freed_join(struct freed *freed, struct freed_list *to, struct freed_list *from)
{
	struct freed_block *rest = NULL;
	struct freed_block *last;

	if (!list_empty(&to->blocks) && !list_empty(&from->blocks)) {
		rest = block_of(to->blocks.prev);
		list_remove(&rest->node);
	}
	list_splice(&to->blocks, &from->blocks);
	to->count += from->count;
	from->count = 0;
	if (rest == NULL)
		return;
	last = block_of(to->blocks.prev);
	while (rest->count != 0 && last->count < FREED_BLOCK_SLOTS)
		last->vaddrs[last->count++] = rest->vaddrs[--rest->count];
	list_append(rest->count != 0 ? &to->blocks : &freed->idle, &rest->node);
}

void space_freeze(struct space *space)
{
	freed_join(&space->freed, &space->freed.frozen, &space->freed.active);
}

/* --- Release ---------------------------------------------------------------------------------- */

/* Distributes by FREED_FAN_BITS bits from `shift` on; slots alike in these keep their order. */
static void freed_distribute(struct freed *freed, struct freed_list *list, unsigned shift)
{
	struct freed_list fan[FREED_FAN];
	struct list *node;

	for (unsigned i = 0; i < FREED_FAN; i++)
		freed_list_init(&fan[i]);
	while ((node = list_pop(&list->blocks)) != NULL) {
		const struct freed_block *block = block_of(node);

		for (size_t i = 0; i < block->count; i++) {
			const uint64_t vaddr = block->vaddrs[i];

			freed_append(freed, &fan[vaddr >> shift & (FREED_FAN - 1)], vaddr);
		}
		list_append(&freed->idle, node);
	}
	for (unsigned i = 0; i < FREED_FAN; i++)
		list_splice(&list->blocks, &fan[i].blocks);
}

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

/* Ordered by segment, or it is slow. Empties the list. */
static void list_release(struct space *space, struct freed_list *list,
			 const struct released *released)
{
	uint64_t *scratch = space->freed.scratch;
	struct cell *cell = NULL;
	struct list *node;

	while ((node = list_pop(&list->blocks)) != NULL) {
		const struct freed_block *block = block_of(node);

		for (size_t i = 0; i < block->count; i++) {
			const uint64_t vaddr = block->vaddrs[i];
			struct cell *next = space_cell(space, vaddr);

			if (cell != NULL && cell != next)
				bits_release(space, cell, scratch, released);
			cell = next;
			ASSERT_U64(bitmap_test(scratch, vaddr_slot(vaddr)) ? 0 : vaddr, ==, vaddr);
			bitmap_set(scratch, vaddr_slot(vaddr));
		}
		list_append(&space->freed.idle, node);
	}
	if (cell != NULL)
		bits_release(space, cell, scratch, released);
	list->count = 0;
}

static void stale_release(struct space *space, const struct released *released)
{
	for (uint32_t id = 1; id < space->segment_limit; id++) {
		struct cell *cell = space->cells[id];

		if (cell == NULL || cell->stale_bits == NULL)
			continue;
		bits_release(space, cell, cell->stale_bits, released);
		free(cell->stale_bits);
		cell->stale_bits = NULL;
	}
}

void space_commit(struct space *space, bool (*released)(void *data, uint64_t vaddr, unsigned count),
		  void *data)
{
	struct freed *freed = &space->freed;
	struct freed_list *oldest = &freed->waiting[freed->oldest];
	const struct released call = {.call = released, .data = data};

	for (unsigned shift = 0; (space->segment_limit - 1) >> shift != 0; shift += FREED_FAN_BITS)
		freed_distribute(freed, oldest, VADDR_SLOT_BITS + shift);
	list_release(space, oldest, &call);
	freed_join(freed, oldest, &freed->frozen);
	freed->oldest = (freed->oldest + 1) % SPACE_KEEP;
	if (freed->stale_commits != 0 && --freed->stale_commits == 0)
		stale_release(space, &call);
	space_withheld_release(space);
}
