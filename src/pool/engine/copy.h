/* SPDX-License-Identifier: Apache-2.0 */
/* Copies by reference, within a checkpoint. */
#ifndef POOL_ENGINE_COPY_H
#define POOL_ENGINE_COPY_H

#include "engine/admin.h"

#define COPY_PIECE 8192 /* blocks: 64 leaves */

struct copying {
	struct volume *from;	   /* of the snapshot, too */
	struct snapshot *snapshot; /* NULL: the volume itself */
	struct volume *to;
	uint64_t from_block, to_block, count;
	uint64_t done;	/* blocks */
	uint64_t piece; /* the most at once: LEAF_ENTRIES to COPY_PIECE */
	int result;	/* the verb's: of the piece that could not be */
};

/* What a piece works with; free() it. NULL: no memory. */
struct copy_scratch;
struct copy_scratch *copy_scratch_new(struct pool *pool);

/*
 * [fiber, within a checkpoint, after its merge] c->done moves on as far as may be; 0: to the end.
 * What the two places hold must be in the trees by then, and no trim of older generations be left
 * that is about them: it would cut what is put there, by its seq. -EAGAIN: there is no more room in
 * this checkpoint; -EDQUOT, -ENOSPC, -EMLINK, -EUCLEAN, -EIO, -ENOMEM. -ENOTRECOVERABLE: half of a
 * piece was made, the pool is suspended.
 */
MUST_CHECK int copying_go_on(struct pool *pool, struct copying *c, struct copy_scratch *scratch);

#endif
