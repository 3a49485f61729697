/* SPDX-License-Identifier: Apache-2.0 */
/* What of a pool's volumes and snapshots could not be read from any copy; quoin/pool_damage.h. */
#ifndef QUOIN_CONTROL_DAMAGE_H
#define QUOIN_CONTROL_DAMAGE_H

#include <quoin/base.h>

#define CONTROL_DAMAGE_MAX 32

struct control_damage_range {
	char name[128]; /* without the pool's: "NAME" or "NAME@SNAP" */
	uint64_t offset, length_bytes;
};

struct control_damage {
	unsigned count;
	uint64_t more_bytes; /* at most so many more, of unknown place */
	struct control_damage_range ranges[CONTROL_DAMAGE_MAX];
};

#endif
