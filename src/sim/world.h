/* SPDX-License-Identifier: Apache-2.0 */
/* A pool on simulated drives, with a loop of its own. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <quoin/disk_sim.h>
#include <quoin/loop_fiber.h>
#include <quoin/loop_sim.h>
#include <quoin/pool.h>

#include "sim.h"

#define WORLD_DRIVES_MAX 4

/* What a seed decides of the drives and the pool. */
struct world_shape {
	unsigned drives;
	unsigned group[WORLD_DRIVES_MAX];
	bool mirrored; /* every drive has a copy of it */
	uint64_t drive_bytes;
	uint32_t logical_block_bytes;
	uint64_t delta_records;
	unsigned reserve_permille;
	unsigned barriers_off;
};

struct world {
	const struct sim_context *context;
	struct world_shape shape;
	struct random random;
	struct loop_sim *sim;
	struct loop *loop;
	struct disk_sim *drives[WORLD_DRIVES_MAX];
	struct disk *disks[WORLD_DRIVES_MAX]; /* NULL: left out */
	struct pool *pool;
	uint64_t *sequence; /* of the drives' traces */
	bool owns_sequence;
	bool cut; /* the power is */
};

struct world_shape world_shape_pick(struct random *random);

/* With new drives. */
struct world *world_new(const struct sim_context *context, const struct world_shape *shape,
			uint64_t seed, const struct disk_sim_plan *plan);

/* With these, which become its own. */
struct world *world_new_on(const struct world *like, struct disk_sim *const *drives, uint64_t seed);

/* The pool is closed. */
void world_free(struct world *world);

/* Runs main(arg) in a fiber; fails the seed when it does not end. */
void world_run(struct world *world, void (*main)(void *arg), void *arg);

/* [fiber] */
void world_format(struct world *world);

struct world_opening {
	bool read_only;
	bool export_before;
	uint64_t rewind_to;
};
int world_open(struct world *world, const struct world_opening *how, struct err *err);
int world_close(struct world *world, enum pool_closing how);

/*
 * [fiber] The closed pool by the eyes of the offline checker, which counts everything anew: damage
 * fails the seed. Bad copies do not: drives may have faults.
 */
void world_inspect(struct world *world);

void world_power_cut(struct world *world);

/* The drives of the mask alone. */
void world_power_on(struct world *world, unsigned drive_mask);

#endif
