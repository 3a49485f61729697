/* SPDX-License-Identifier: Apache-2.0 */
/* The index of the table of volumes and snapshots: live ones by name, and the free numbers. */
#ifndef POOL_ENGINE_NAMES_H
#define POOL_ENGINE_NAMES_H

#include <quoin/base.h>

struct pool;
struct volume;
struct snapshot;

struct names {
	struct volume **volumes; /* chains of name_next; NAMES_VOLUMES of them */
	struct snapshot **snapshots;
	uint32_t snapshot_chains; /* a power of two */

	/* No number below is free. */
	uint32_t volume_free, snapshot_free;
};
#define NAMES_VOLUMES 4096

/* -ENOMEM. */
MUST_CHECK int names_volumes_init(struct pool *pool);
/* At least so many chains; the names stay. -ENOMEM: there are as many as before. */
MUST_CHECK int names_snapshots_grow(struct pool *pool, uint32_t capacity);
void names_fini(struct pool *pool);

/* All anew, after committed records changed; before that, no name may be asked for. */
void names_rebuild(struct pool *pool);

/* One snapshot that just became live. */
void names_snapshot_add(struct pool *pool, struct snapshot *snapshot);

#endif
