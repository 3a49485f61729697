/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Space, within: the drives and their chunks, the segments with what others need not see, the
 * lanes that hand out slots, and the lists of freed ones.
 *
 * A *lane* is where slots of one kind come from: one for each drive group's data, one for all
 * metadata. It fills its active segment along a cursor; its other segments with free slots stand
 * in a heap by how many they have, so the next one is found without a look at all of them.
 */
#ifndef POOL_SPACE_PRIVATE_H
#define POOL_SPACE_PRIVATE_H

#include "space/space.h"

#define SPACE_LANES (SPACE_GROUPS_MAX + 1)
#define SPACE_LANE_META SPACE_GROUPS_MAX
#define SPACE_HEAP_NONE UINT32_MAX
#define SPACE_CHUNK_NONE UINT32_MAX
#define MALLOC_OVERHEAD 16 /* of one allocation, at most */
#define SPACE_SLOT_WORDS (SEGMENT_BITMAPS_MAX * BITMAP_PAGE_SLOTS / 64)

#define FREED_STAGE 16384 /* slots that are put in order at a time */
#define FREED_GAPS 4048	  /* bytes; a block is 4 KiB */

struct cell {
	struct segment segment;
	uint32_t heap_index;   /* SPACE_HEAP_NONE: not in the heap */
	struct list releasing; /* freed_block.node: their next slot is here; else empty */
	uint64_t *stale_bits;  /* freed slots that are in no list; NULL where used_bits is */
};

struct lane {
	struct cell *active; /* not in the heap */
	uint32_t cursor;     /* slots of the active one below are passed */
	uint32_t segment_count;
	struct cell **heap; /* has room for all segments of the lane */
	uint32_t heap_count;
	uint32_t heap_capacity;
};

struct drive_chunks {
	struct space_drive drive;
	uint32_t free_count;
	uint32_t data_count; /* chunks in data segments */
	uint32_t first_free; /* chunks below are taken */
	uint32_t held;	     /* free, and not to be given; SPACE_CHUNK_NONE: none */
	uint64_t *taken;
};

/*
 * Ascending slots, each but the first as its distance to the one before: 7 bits a byte, the lowest
 * first, all bytes but the last with the highest bit set. A slot here is `segment << slot_bits |
 * slot`, so that slots of neighbouring segments are close.
 */
struct freed_block {
	struct list node;
	uint64_t slot; /* the first; while it is released, the next */
	uint16_t used; /* bytes of gaps */
	uint16_t at;   /* released up to here */
	uint8_t gaps[FREED_GAPS];
};

struct freed_list {
	struct list blocks;
	size_t count;	 /* slots in blocks and in `stage` */
	uint64_t *stage; /* FREED_STAGE slots, in any order; NULL for a list that only waits */
	size_t staged;
};

struct freed {
	size_t max; /* slots that surely find room */
	size_t block_count;
	size_t block_slots; /* that a block surely has room for */
	unsigned slot_bits;
	bool surely_enough; /* for all slots there are */
	bool spilled;	    /* since then stale bits have more than what an import found */
	struct freed_block *memory;
	uint64_t *stages; /* of the two lists, and one for sorting */
	struct list idle;
	size_t idle_count;
	struct freed_list active, frozen;
	struct freed_list waiting[SPACE_KEEP]; /* a ring */
	unsigned oldest;
	unsigned stale_commits;		    /* until the stale bits are free; 0: there are none */
	uint64_t scratch[SPACE_SLOT_WORDS]; /* slots of one segment that become free; else clear */
};

struct space {
	uint32_t chunk_slots;
	uint32_t segment_limit;
	uint32_t id_hint; /* lower numbers are taken */
	uint32_t withheld_count;
	uint64_t withheld_slots;
	unsigned drive_count;
	unsigned group_count; /* numbers of groups are below */
	unsigned turn;	      /* data: the group */
	unsigned turn_left;   /* slots */
	struct space_sums sums;
	uint32_t group_segments[SPACE_GROUPS_MAX]; /* data */
	uint64_t gone[SPACE_SEGMENTS_MAX / 64];	   /* retired, and the table has them still */
	/* Numbers of segments retired in the last SPACE_KEEP commits, some more, are not given. */
	uint64_t retired[2][SPACE_SEGMENTS_MAX / 64];
	unsigned retired_now, retired_commits;
	struct drive_chunks drives[SUPER_DRIVES_MAX];
	struct lane lanes[SPACE_LANES];
	struct freed freed;
	struct cell *cells[SPACE_SEGMENTS_MAX];
};

struct released {
	bool (*call)(void *data, uint64_t vaddr, unsigned count);
	void *data;
};

static inline struct cell *cell_of(struct segment *segment)
{
	return container_of(segment, struct cell, segment);
}

static inline uint64_t *space_used_sum(struct space *space, const struct segment *segment)
{
	return segment->class == SEGMENT_DATA ? &space->sums.data_used : &space->sums.meta_used;
}

static inline uint32_t *space_empty_sum(struct space *space, const struct segment *segment)
{
	return segment->class == SEGMENT_DATA ? &space->sums.data_empty : &space->sums.meta_empty;
}

static inline void space_used_add(struct space *space, struct segment *segment, uint32_t slots)
{
	*space_empty_sum(space, segment) -= segment->used == 0 && slots != 0;
	segment->used += slots;
	*space_used_sum(space, segment) += slots;
}

static inline void space_used_sub(struct space *space, struct segment *segment, uint32_t slots)
{
	segment->used -= slots;
	*space_used_sum(space, segment) -= slots;
	*space_empty_sum(space, segment) += segment->used == 0 && slots != 0;
}

static inline uint64_t *space_refs_sum(struct space *space, const struct segment *segment)
{
	return segment->class == SEGMENT_DATA ? &space->sums.data_refs : &space->sums.meta_refs;
}

/* The bits of a word of a bitmap that lie within [first, end). They must meet. */
static inline uint64_t space_word_mask(size_t word, size_t first, size_t end)
{
	const size_t low = first > word * 64 ? first - word * 64 : 0;
	const size_t high = end - word * 64;
	const uint64_t below = high >= 64 ? UINT64_MAX : (UINT64_C(1) << high) - 1;

	return below & UINT64_MAX << low;
}

/* The segment of a vaddr that our own structures hold: it is there, and has bits. */
struct cell *space_cell(const struct space *space, uint64_t vaddr);

/* segment.c: one more commit. */
void space_retired_turn(struct space *space);

/* alloc.c */
MUST_CHECK int space_lane_reserve(struct space *space, struct cell *cell);
void space_lane_join(struct space *space, struct cell *cell);  /* after space_lane_reserve() */
void space_lane_leave(struct space *space, struct cell *cell); /* it is not the active one */
void space_lane_fix(struct space *space, struct cell *cell); /* its free slots or drives changed */
/* One whose slots are all free, and which is not handed out from; NULL: none. */
struct cell *space_lane_empty(const struct space *space, enum segment_class class);
void space_withheld_release(struct space *space);
void space_lanes_fini(struct space *space);
/* Free slots [first, end) become used. Its lane is not told. */
void space_slots_set(struct space *space, struct cell *cell, size_t first, size_t end);
/* Used and not ref slots become free. */
void space_slots_clear(struct space *space, struct cell *cell, uint32_t slot, unsigned count);

/* chunk.c */
MUST_CHECK int space_drives_init(struct space *space, const struct space_params *params);
void space_drives_fini(struct space *space);
/* Fills class, group, profile and columns of a new segment; takes nothing. -ENOSPC. */
MUST_CHECK int space_columns_choose(const struct space *space, struct segment *segment);
bool space_columns_valid(const struct space *space, const struct segment_record *record);
void space_columns_take(struct space *space, const struct segment *segment);
void space_columns_give(struct space *space, const struct segment *segment);
void space_total_update(struct space *space);

/* freed.c */
MUST_CHECK int space_freed_init(struct freed *freed, const struct space_params *params);
uint64_t space_freed_memory(const struct space_params *params);
void space_freed_fini(struct freed *freed);
void space_freed_add(struct space *space, struct freed_list *list, uint64_t vaddr);

#endif
