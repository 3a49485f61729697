/* SPDX-License-Identifier: Apache-2.0 */
/* Free space out of the way of everybody, for as long as the drives are told that it is free. */
#ifndef POOL_SPACE_TRIM_H
#define POOL_SPACE_TRIM_H

#include "space/space.h"

/* A walk over all data segments; begin with zeroes. */
struct space_walk {
	uint32_t segment, slot; /* what comes next */
	uint64_t passed;	/* slots before it */
};

/*
 * Takes the next run of SPACE_TRIM_SLOTS .. max free slots, to be given back by space_unalloc().
 * Segments that are withheld, or closed, are passed over. 0: there is no more.
 */
unsigned space_walk_take(struct space *space, struct space_walk *walk, unsigned max,
			 uint64_t *ret_vaddr);

/*
 * The drive's first free chunk at or behind *chunk becomes no part of a new segment until it is
 * released. One at a time on each drive, and only while SPACE_CHUNKS_LEFT others are free: who
 * makes a checkpoint may need one at once. False: there is none.
 */
#define SPACE_CHUNKS_LEFT 4
bool space_chunk_hold(struct space *space, unsigned drive, uint32_t *chunk);
void space_chunk_release(struct space *space, unsigned drive);

#endif
