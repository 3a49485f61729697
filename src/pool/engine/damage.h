/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks that no copy could serve, in ranges; see quoin/pool_damage.h. The home loop's.
 *
 * Volumes and snapshots are known by number and GUID: what is gone is dropped when somebody looks,
 * and a new one with its number has none of it.
 */
#ifndef POOL_ENGINE_DAMAGE_H
#define POOL_ENGINE_DAMAGE_H

#include <quoin/pool_damage.h>

struct pool;
struct device;
struct volume;

struct damage_range {
	uint8_t guid[16];
	uint32_t number;
	bool snapshot;
	uint64_t block, count;
};

struct damage {
	unsigned count;
	uint64_t more; /* blocks that had no place; one that is read again counts again */
	struct damage_range ranges[POOL_DAMAGE_MAX];
};

void damage_note(struct pool *pool, const struct device *device, uint64_t block);

/* So many blocks are well: they were read, or are others now. */
void damage_mend(struct pool *pool, const struct device *device, uint64_t block, uint64_t count);

/* Its content is another one. */
void damage_forget(struct pool *pool, struct volume *volume);

#endif
