/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the checker over the drives of an engine rig, with the pool closed. */
#ifndef TEST_POOL_INSPECT_RIG_H
#define TEST_POOL_INSPECT_RIG_H

#include <quoin/pool_inspect.h>

#include "engine_rig.h"

#define INSPECT_RIG_CODES 32

struct inspect_rig {
	bool data;	     /* in */
	uint64_t checkpoint; /* in */
	struct pool_inspect_result result;
	int result_code;
	struct err err;
	char first[512];		/* sentence of the first problem; "" = none */
	char *codes[INSPECT_RIG_CODES]; /* of problems, as they came */
	unsigned code_count;
	bool loud; /* prints what it finds */
};

void inspect_rig_run(struct engine_rig *rig, struct inspect_rig *inspect);
void inspect_rig_fini(struct inspect_rig *inspect);

/* Nothing is wrong but superblocks that a cut tore, of which there are others. */
bool inspect_rig_sound(const struct inspect_rig *inspect);

/* Whether a problem of this code was found. */
bool inspect_rig_found(const struct inspect_rig *inspect, const char *code);

#endif
