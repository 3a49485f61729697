/* SPDX-License-Identifier: Apache-2.0 */
/* The table of segments with its bitmaps: the last thing a checkpoint writes. */
#ifndef POOL_ENGINE_TABLES_H
#define POOL_ENGINE_TABLES_H

#include "engine/engine.h"

/*
 * [fiber] Writes the segments whose record or bitmap changed, and all meta segments. Nothing may
 * allocate or unref slots after it. Sets next->segments, segment_limit, data_slots, meta_slots.
 */
MUST_CHECK int tables_write_segments(struct pool *pool, struct super *next);

#endif
