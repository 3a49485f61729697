/* SPDX-License-Identifier: Apache-2.0 */
/* The table of segments with its bitmaps: the last thing a checkpoint writes. */
#ifndef POOL_ENGINE_TABLES_H
#define POOL_ENGINE_TABLES_H

#include "engine/engine.h"

/*
 * [fiber] Writes the segments whose record or bitmap changed, and the bitmaps that this changes.
 * Who changes what a segment's record says sets record_dirty. Nothing may allocate or unref slots
 * after it. Sets next->segments, segment_limit, seeds, data_slots, meta_slots, if anything changed.
 */
MUST_CHECK int tables_write_segments(struct pool *pool, struct super *next);

/* How many meta slots that takes at most, as things are. */
uint64_t tables_segments_pages(const struct pool *pool);

#endif
