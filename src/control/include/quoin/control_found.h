/* SPDX-License-Identifier: Apache-2.0 */
/* What a look at drives finds. */
#ifndef QUOIN_CONTROL_FOUND_H
#define QUOIN_CONTROL_FOUND_H

#include <quoin/control_pool_types.h>

/* A pool that could be imported. */
struct control_pool_found {
	char name[CONTROL_NAME_MAX + 1];
	uint8_t guid[16];
	char host_name[CONTROL_NAME_MAX + 1]; /* that had it last */
	bool exported;
	bool other_host; /* and it was not exported: wants force */
	unsigned drives_found, drive_count;
	uint64_t checkpoint, time_s;
	uint64_t rewind[2]; /* older checkpoints; 0 = none */
	char paths[CONTROL_DRIVES_MAX][CONTROL_PATH_MAX + 1];
};

struct control_pool_scan {
	unsigned count;
	struct control_pool_found *found; /* the caller frees it */
};

#endif
