/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Space: which chunks of which drives form which segments, which slots of them are taken, and what
 * becomes free when. No I/O here; the checkpoint reads and writes the tables.
 *
 * Every slot of a data or meta segment has three bits:
 *   used   may not be handed out: in a tree of this or one of the last SPACE_KEEP checkpoints, in
 *          the log, being written, or being discarded on the drive
 *   ref    the trees of the checkpoint that is being made refer to it. Goes to disk
 *   stale  let go, and in no list (below)
 * A slot's way: alloc (used) -> ref when a checkpoint's trees take it in -> unref by a later one,
 * or superseded before any tree had it -> kept until SPACE_KEEP more checkpoints are committed ->
 * free.
 *
 * Freed slots are gathered in lists: `active` (superseded since the last freeze), `frozen` (what
 * the checkpoint under way frees), and one for each of the last SPACE_KEEP checkpoints. Their
 * memory is one pool of blocks, sized at start. What finds no room there is marked stale.
 *
 * A drive *group* is a set of drives that mirror each other (often just one). A data segment lies
 * in one group, with a column on each of its drives. A meta or log segment always has at least two
 * columns: on two drives where possible (any groups), else on two chunks of the only one.
 *
 * Loop's thread only. Allocates at init, and when a segment is added; never on the I/O path.
 */
#ifndef POOL_SPACE_SPACE_H
#define POOL_SPACE_SPACE_H

#include <quoin/base_list.h>

#include "format/record.h"
#include "format/super.h"
#include "space/sums.h"

#define SPACE_KEEP 2 /* committed checkpoints one may rewind over */
#define SPACE_COPIES_META 2
#define SPACE_SEGMENTS_MAX 65536
#define SPACE_GROUPS_MAX SUPER_DRIVES_MAX

struct segment {
	uint32_t id;
	uint8_t class;	 /* enum segment_class */
	uint8_t profile; /* enum segment_profile */
	uint8_t column_count;
	bool record_dirty; /* its record differs from the one on disk */
	bool closed;	   /* not handed out from (a drive of it failed writing) */
	bool withheld;	   /* nor is it: see space_segment_withhold() */
	uint16_t group;
	uint32_t slot_count;
	uint32_t used; /* bits set in used_bits */
	uint32_t refs; /* bits set in ref_bits */
	uint64_t birth_ckpt;
	uint32_t bitmap_dirty; /* bit per bitmap page whose ref bits differ from disk */
	struct segment_column columns[SEGMENT_COLUMNS_MAX];
	struct segment_bitmap bitmaps[SEGMENT_BITMAPS_MAX]; /* on disk; of the last checkpoint */
	uint64_t *used_bits;				    /* NULL for log segments */
	uint64_t *ref_bits;
};

struct space_drive {
	uint32_t chunk_count;
	uint16_t group;
	bool usable; /* new segments may have columns here */
};

struct space_params {
	uint8_t chunk_shift;
	unsigned drive_count;
	const struct space_drive *drives; /* copied */
	size_t freed_max;		  /* slots that all lists together have room for */
};

struct space;

/* Segments there can be, as long as drives of a group are online together. */
uint64_t space_segments_most(const struct space_params *params);

/* What space_new() takes, with so many. */
uint64_t space_memory(const struct space_params *params);

MUST_CHECK int space_new(const struct space_params *params, struct space **ret_space);
void space_free(struct space *space);
void space_drive_usable(struct space *space, unsigned drive, bool usable);

/* --- Segments ----------------------------------------------------------------------------- */

/* NULL: no such segment. Numbers are 1 .. space_segment_limit() - 1. */
struct segment *space_segment(const struct space *space, uint32_t id);
uint32_t space_segment_limit(const struct space *space);

/* True when the vaddr lies in a segment of the class, within its slots. For untrusted pointers. */
bool space_vaddr_valid(const struct space *space, uint64_t vaddr, enum segment_class class);

/*
 * From disk. -EUCLEAN: columns that do not exist or are taken, a number that is there, a column
 * count that does not go with profile and class; -ENOMEM.
 */
MUST_CHECK int space_segment_load(struct space *space, uint32_t id,
				  const struct segment_record *record);
void space_segment_encode(const struct segment *segment, struct segment_record *ret_record);

/*
 * A new segment from free chunks, on the group (data) or the drives with the most free chunks.
 * Chunks are given from the front of a drive. -ENOSPC, -ENOMEM.
 */
MUST_CHECK int space_segment_add(struct space *space, enum segment_class class, unsigned group,
				 uint64_t ckpt, struct segment **ret_segment);

/*
 * An empty segment goes, and its chunks may be anybody's; for the checkpoint under way, which lets
 * its bitmaps go. Its number is not given again while one may rewind to a checkpoint that knows it.
 * Who still reads what was in it finds that it is gone, or another content. False: no segment is
 * empty but those that are handed out from.
 */
bool space_segment_retire(struct space *space, enum segment_class class);

/* The record of the segment, or that there is none, differs from what the table has / no more. */
bool space_record_dirty(const struct space *space, uint32_t id);
void space_record_clean(struct space *space, uint32_t id);

/*
 * Hands out nothing of a new data segment until the next space_commit(): before a superblock has
 * it, an import would not know the segment, and so no record of the log may name it.
 */
void space_segment_withhold(struct space *space, struct segment *segment);

/* ORs a bitmap page from disk into used_bits, and into ref_bits when `current`. Bits beyond the
 * slots are ignored. */
void space_bitmap_load(struct space *space, struct segment *segment, unsigned page,
		       const uint8_t bits[PAGE_BYTES], bool current);
void space_bitmap_encode(const struct segment *segment, unsigned page, uint8_t to[PAGE_BYTES]);
static inline unsigned segment_bitmap_pages(const struct segment *segment)
{
	return (segment->slot_count + BITMAP_PAGE_SLOTS - 1) / BITMAP_PAGE_SLOTS;
}

/* After all pages of an import are in: used, but not ref -> as if the last checkpoint freed it. */
void space_loaded(struct space *space);

/* Segments that were closed are handed out from again. */
void space_segments_reopen(struct space *space);

/* --- Slots -------------------------------------------------------------------------------- */

/*
 * Takes a run of 1 .. want adjacent free slots of one segment: the emptiest segment first, then
 * along it, over its holes. Data: the group with its turn, which moves on after each
 * SPACE_STRIPE_SLOTS slots. 0: none is free in the segments that are there.
 */
#define SPACE_STRIPE_SLOTS 32
unsigned space_alloc(struct space *space, enum segment_class class, unsigned want,
		     uint64_t *ret_vaddr);

/* Gives back slots that were taken and never recorded anywhere. */
void space_unalloc(struct space *space, uint64_t vaddr, unsigned count);

/* Marks a slot used: one that a log record names. -EUCLEAN: no such data slot. */
MUST_CHECK int space_claim(struct space *space, uint64_t vaddr);

/* The trees being made take the slot in / let it go. A double ref or unref is our bug. */
void space_ref(struct space *space, uint64_t vaddr);
void space_unref(struct space *space, uint64_t vaddr);
bool space_is_ref(const struct space *space, uint64_t vaddr);

/* A recorded slot that no tree has, and now no tree will. */
void space_supersede(struct space *space, uint64_t vaddr);

/*
 * How many more slots may be freed before the lists are full. Budgeted work stops in time. What is
 * freed beyond that is not lost, but waits longer than it would have to.
 */
size_t space_freed_room(const struct space *space);

/* Who makes work for the lists asks: at SOME a checkpoint helps, at FULL nothing should begin. */
enum space_pressure { SPACE_PRESSURE_NONE, SPACE_PRESSURE_SOME, SPACE_PRESSURE_FULL };
enum space_pressure space_freed_pressure(const struct space *space);

/* The active list becomes the frozen one's beginning. */
void space_freeze(struct space *space);

/*
 * The checkpoint is committed: the frozen list waits, what has waited long enough is free, and
 * segments that were withheld are handed out from.
 * `released(data, vaddr, count)` is called for runs of >= SPACE_TRIM_SLOTS that became free, and
 * may answer true to have them used until space_unalloc() (it discards them on the drive first).
 * Such a run may begin and end with slots that were free before. May be NULL.
 */
#define SPACE_TRIM_SLOTS 32
void space_commit(struct space *space, bool (*released)(void *data, uint64_t vaddr, unsigned count),
		  void *data);

#endif
