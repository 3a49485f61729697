/* SPDX-License-Identifier: Apache-2.0 */
/* A whole pool on simulated drives, and a plain model of what its volumes hold. */
#ifndef TEST_POOL_ENGINE_RIG_H
#define TEST_POOL_ENGINE_RIG_H

#include <quoin/base_err.h>
#include <quoin/disk_sim.h>
#include <quoin/loop_fiber.h>
#include <quoin/loop_sim.h>
#include <quoin/pool.h>

#define RIG_DRIVES_MAX 4
#define RIG_BLOCK 4096

struct engine_rig {
	uint64_t seed;
	struct random random;
	struct loop_sim *world;
	struct loop *loop;
	unsigned drive_count;
	bool mirror;
	unsigned group_size; /* drives that mirror each other; 0: all with `mirror`, else none */
	bool autotrim;	     /* of the pool that rig_format() makes */
	struct disk_sim *drives[RIG_DRIVES_MAX];
	struct disk *disks[RIG_DRIVES_MAX];
	struct pool *pool;
	uint64_t delta_records;
	uint64_t memory_bytes; /* 0: the least */
	unsigned barriers_off;
	uint64_t rewind_to; /* of the next rig_open() */
	uint8_t host;
	bool force;
	bool read_only;
	bool quiet;	    /* an open that fails is not told */
	uint64_t seed_open; /* of the next rig_open(); 0: another each time */
	unsigned absent;    /* drives that are not given to the next rig_open(), bit per drive */
	struct err err;	    /* of the last rig_open(): all 0 when it was well */
};

/* Drives of `size_bytes`; no pool yet. */
void rig_init(struct engine_rig *rig, uint64_t seed, unsigned drives, uint64_t size_bytes);
void rig_fini(struct engine_rig *rig);

/* Runs main(arg) as a fiber of the loop until it ends; fails the test when it hangs. */
void rig_run(struct engine_rig *rig, void (*main)(void *arg), void *arg);

/* [fiber] */
void rig_format(struct engine_rig *rig);
int rig_open(struct engine_rig *rig);
int rig_close(struct engine_rig *rig);

/* The power goes: from now on every request fails. Close the pool, then turn it on again. */
void rig_power_cut(struct engine_rig *rig);
void rig_power_on(struct engine_rig *rig);

struct rig_volume {
	struct block_device *device;
	struct block_channel *channel;
};
/* [fiber] */
int rig_volume_open(struct engine_rig *rig, const char *name, struct rig_volume *ret);
void rig_volume_close(struct rig_volume *volume);

/* [fiber] One request; its result. `data` is length_bytes, aligned as it comes. */
int rig_io(struct rig_volume *volume, enum block_op op, uint64_t offset, void *data,
	   uint64_t length_bytes);
int rig_io_flags(struct rig_volume *volume, const struct block_request *like, void *data);

#endif
