/* SPDX-License-Identifier: Apache-2.0 */
/* Counters and descriptions of block devices, for the control plane and people. */
#ifndef QUOIN_BLOCK_INFO_H
#define QUOIN_BLOCK_INFO_H

#include <quoin/block_types.h>

struct block_device;

/* What was done on a device since it was opened. Indexed by enum block_op. */
struct block_counters {
	uint64_t done[BLOCK_OP_COUNT];
	uint64_t bytes[BLOCK_OP_COUNT]; /* of those that succeeded */
	uint64_t errors[BLOCK_OP_COUNT];
};

/* For people and the control plane. The strings are the device's. */
struct block_description {
	const char *kind;  /* "null", "file", "block device", "simulated" */
	const char *path;  /* "" = none */
	const char *cache; /* "none" (direct), "writeback", or "" */
	const char *spec;  /* what it was opened from */
	unsigned wrappers; /* error: and delay: around it */
	struct block_limits limits;
};

/* [any] */
void block_describe(struct block_device *device, struct block_description *ret_description);
void block_counters_get(struct block_device *device, struct block_counters *ret_counters);

#endif
