/* SPDX-License-Identifier: Apache-2.0 */
/* A pool with one volume, "vol", and what it holds: a stamp in each block. */
#ifndef TEST_POOL_TRIAL_H
#define TEST_POOL_TRIAL_H

#include "engine_rig.h"

#define TRIAL_RUN 32 /* blocks of one write, at most */

struct trial {
	struct engine_rig rig;
	struct rig_volume volume;
	struct pool_volume_params params;
	uint64_t blocks;
	uint32_t *stamps; /* of each block: what the volume holds; 0 = zeroes */
	uint32_t stamp;
	uint8_t *data; /* TRIAL_RUN blocks */
};

/* Set what trial_begin() needs in between: delta_records, autotrim, params ... */
struct trial *trial_new(uint64_t seed, unsigned drives, uint64_t drive_bytes, uint64_t blocks);
void trial_free(struct trial *t);

/* Checks all, before an import and after it; then the trial is gone. */
void trial_end(struct trial *t);

/* [fiber] Of a struct trial: mains for rig_run(). */
void trial_begin(void *arg);
void trial_close(void *arg);
void trial_open(void *arg);
void trial_check(void *arg);

/* [fiber] Up to TRIAL_RUN blocks, each with its own stamp. */
int trial_write(struct trial *t, uint64_t first, uint64_t count);

/* A block with that stamp. */
void trial_fill(uint8_t *data, uint32_t stamp);

#endif
