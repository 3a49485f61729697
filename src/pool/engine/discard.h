/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Discards on the drives of slots that became free, for pools with autotrim. Slots whose discard
 * waits or is under way stay used, so none is handed out before its discard has ended.
 */
#ifndef POOL_ENGINE_DISCARD_H
#define POOL_ENGINE_DISCARD_H

#include "engine/engine.h"

MUST_CHECK int discards_start(struct pool *pool); /* -ENOMEM */

/* [fiber] Gives back what waits, and returns when none is under way. NULL-safe, as its twins. */
void discards_stop(struct pool *pool);

/* space_commit()'s hook: true takes the slots. */
bool discards_take(void *pool, uint64_t vaddr, unsigned count);

/* Space is short: what waits is free at once, without its discard. */
void discards_give_up(struct pool *pool);

struct discard_stats {
	uint64_t waiting_slots; /* or under way; they count as used */
	uint64_t done_slots;	/* given to drives since the import */
};
void discards_stats(const struct pool *pool, struct discard_stats *ret_stats);

#endif
