/* SPDX-License-Identifier: Apache-2.0 */
/* A device write of data blocks, and what belongs to each block of it. */
#ifndef POOL_ENGINE_WIO_H
#define POOL_ENGINE_WIO_H

#include "engine/engine.h"

struct wio_block {
	struct volume *volume;
	struct block_request *request; /* NULL: a patch */
	struct patch *patch;
	uint64_t block;
	uint8_t *page;
	unsigned phase;
	uint64_t patch_seq; /* a patch's content as of this seq */
	uint8_t entry[ENTRY_BYTES];
};

/* A device write of blocks that lie side by side, unless a drive refused it. */
struct wio {
	struct raid_io io;
	struct list node;
	struct pool *pool;
	unsigned count;
	/* What is written now; all of it at first. Blocks before it are on the drives. When a place
	 * is refused, the rest goes where there are free slots, a part at a time. */
	unsigned part_first, part_count, tries;
	struct wio_block blocks[WIO_BLOCKS];
	struct iovec iov[WIO_BLOCKS];
};

/* Records that will come without asking again: of writes under way, of patches once whole. */
static inline uint64_t records_coming(const struct pool *pool)
{
	return (uint64_t)pool->writes_in_flight + pool->patches_used;
}

#endif
