/* SPDX-License-Identifier: Apache-2.0 */
/* The walk over free slots; see trim.h. */
#include "space/trim.h"

#include <quoin/base_assert.h>
#include <quoin/base_bitmap.h>

#include "space/private.h"

/* The next run within the segment from *slot on, which moves behind it, or to the end. */
static unsigned run_find(const struct segment *segment, uint32_t *slot, unsigned max,
			 uint32_t *ret_first)
{
	size_t first = *slot;
	size_t end = first;

	while (first < segment->slot_count) {
		first = bitmap_next_clear(segment->used_bits, segment->slot_count, first);
		end = MIN(first + max, (size_t)segment->slot_count);
		end = bitmap_next_set(segment->used_bits, end, first);
		if (end - first >= SPACE_TRIM_SLOTS)
			break;
		first = end;
	}
	*slot = (uint32_t)end;
	*ret_first = (uint32_t)first;
	return first < segment->slot_count ? (unsigned)(end - first) : 0;
}

unsigned space_walk_take(struct space *space, struct space_walk *walk, unsigned max,
			 uint64_t *ret_vaddr)
{
	ASSERT_U64(max, >=, SPACE_TRIM_SLOTS);
	for (; walk->segment < space->segment_limit; walk->segment++, walk->slot = 0) {
		struct cell *cell = space->cells[walk->segment];
		const uint32_t before = walk->slot;
		uint32_t first;
		unsigned count;

		if (cell == NULL || cell->segment.class != SEGMENT_DATA)
			continue;
		if (cell->segment.withheld || cell->segment.closed) {
			walk->passed += cell->segment.slot_count - before;
			continue;
		}
		count = run_find(&cell->segment, &walk->slot, max, &first);
		walk->passed += walk->slot - before;
		if (count == 0)
			continue;
		space_slots_set(space, cell, first, first + count);
		space_lane_fix(space, cell);
		*ret_vaddr = vaddr_make(cell->segment.id, first);
		return count;
	}
	return 0;
}

bool space_chunk_hold(struct space *space, unsigned drive, uint32_t *chunk)
{
	struct drive_chunks *chunks = &space->drives[drive];
	uint32_t found;

	ASSERT_U64(drive, <, space->drive_count);
	ASSERT_U64(chunks->held, ==, SPACE_CHUNK_NONE);
	if (chunks->free_count <= SPACE_CHUNKS_LEFT)
		return false;
	found = (uint32_t)bitmap_next_clear(chunks->taken, chunks->drive.chunk_count, *chunk);
	if (found == chunks->drive.chunk_count)
		return false;
	chunks->held = found;
	*chunk = found;
	return true;
}

void space_chunk_release(struct space *space, unsigned drive)
{
	space->drives[drive].held = SPACE_CHUNK_NONE;
}
