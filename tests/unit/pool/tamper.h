/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes a pool on the drives of a rig behind everybody's back, with all checks made right again
 * up to the superblock: what a bug of the engine, or an attacker, would leave.
 */
#ifndef TEST_POOL_TAMPER_H
#define TEST_POOL_TAMPER_H

#include "engine_rig.h"

#include "format/record.h"
#include "format/super.h"

#define TAMPER_SEGMENTS 64

struct tamper {
	struct engine_rig *rig;
	struct super super; /* the newest; changed ones are written by tamper_super() */
	struct segment_record segments[TAMPER_SEGMENTS];
};

/* Changes bytes of a page or a record. */
struct tamper_change {
	void (*apply)(const struct tamper_change *change, uint8_t *bytes);
	unsigned at; /* for apply() */
	uint64_t value;
};

/* All of it in a fiber, with the pool closed. False: it has been changed too much to be followed.
 */
bool tamper_load(struct tamper *t, struct engine_rig *rig);
/* Location and check of a superblock. */
void tamper_super_seal(uint8_t page[PAGE_BYTES], bool back, unsigned slot);
/* To every place that has it, in both rings of every drive. */
void tamper_super(struct tamper *t);
/* Offset on the drive of one column; false: the segment has no such column, or does not exist. */
bool tamper_place(const struct tamper *t, uint64_t vaddr, unsigned column, unsigned *ret_drive,
		  uint64_t *ret_offset);
void tamper_read(const struct tamper *t, uint64_t vaddr, uint8_t page[PAGE_BYTES]);

/*
 * The page at `level` on the way to leaf `leaf` of a tree; *root and all above are made right.
 * False: it is not there.
 */
bool tamper_page(struct tamper *t, struct node_ptr *root, unsigned level, uint64_t leaf,
		 const struct tamper_change *change);

/* One record (segments, volumes, snapshots, history), and the superblock. */
bool tamper_record(struct tamper *t, enum node_kind kind, uint64_t id,
		   const struct tamper_change *change);
/* A page of the map, or of the deadlist, of a volume or snapshot, and all above. */
bool tamper_map(struct tamper *t, enum node_kind kind, uint32_t id, unsigned level,
		const struct tamper_change *change);
bool tamper_deadlist(struct tamper *t, enum node_kind kind, uint32_t id,
		     const struct tamper_change *change);
bool tamper_bitmap(struct tamper *t, uint32_t segment, const struct tamper_change *change);
bool tamper_log(struct tamper *t, uint64_t number, const struct tamper_change *change);

#endif
