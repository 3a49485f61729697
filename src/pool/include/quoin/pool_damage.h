/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of the volumes and snapshots could not be read from any copy, as guests' reads found it
 * since the import. Nothing looks for more: what nobody read is not in it, nor is what another
 * volume or snapshot has of the same blocks before it was read there too.
 *
 * A block leaves the list when it is read well, written as a whole, or gone with its volume,
 * snapshot, or what a rollback leaves.
 */
#ifndef QUOIN_POOL_DAMAGE_H
#define QUOIN_POOL_DAMAGE_H

#include <quoin/base.h>

#define POOL_DAMAGE_MAX 32		  /* ranges that are kept */
#define POOL_DAMAGE_NAME_MAX (2 * 63 + 1) /* "NAME@SNAP" */

struct pool_damage_range {
	char name[POOL_DAMAGE_NAME_MAX + 1]; /* "NAME" or "NAME@SNAP" */
	uint64_t offset, length_bytes;
};

struct pool_damage {
	unsigned count;
	uint64_t more_bytes; /* at most so many more: there was no room for their places */
	struct pool_damage_range ranges[POOL_DAMAGE_MAX];
};

#endif
