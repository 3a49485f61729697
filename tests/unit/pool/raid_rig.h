/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of drives and pages stand on: simulated drives behind a raid, and a space that is
 * as small as can be: one segment of each class, slots handed out in order.
 */
#ifndef TESTS_POOL_RAID_RIG_H
#define TESTS_POOL_RAID_RIG_H

#include <quoin/disk_sim.h>
#include <quoin/loop_fiber.h>
#include <quoin/loop_sim.h>

#include "raid/raid.h"

#define RIG_DRIVES_MAX 4
#define RIG_CHUNK_SHIFT 20
#define RIG_SLOTS 256U
#define RIG_DRIVE_BYTES (8 * MiB)

struct space {
	struct segment segments[4]; /* by class */
	bool used[4][RIG_SLOTS];
	bool ref[4][RIG_SLOTS];
	unsigned run_max; /* longest run handed out; 0 = as asked */
};

struct raid_rig {
	struct loop_sim *sim;
	struct loop *loop;
	unsigned count;
	struct disk_sim *media[RIG_DRIVES_MAX];
	struct disk *disks[RIG_DRIVES_MAX];
	struct space space;
	struct raid raid;
	bool may_fault;
	unsigned changes;
};

/* Every segment has a column on each drive: chunk (class - 1). */
void raid_rig_init(struct raid_rig *rig, uint64_t seed, unsigned drives);
void raid_rig_fini(struct raid_rig *rig);

/* Runs main(arg) as a fiber to its end; a hang aborts. */
void raid_rig_run(struct raid_rig *rig, void (*main)(void *arg), void *arg);

/* Requests of the kind (bit per disk_op) fail on the drive: `count` of them, 0 = all. */
void raid_rig_fault(struct raid_rig *rig, unsigned drive, unsigned ops, uint64_t count, int result);

/* Where a slot of a class lies on the drives. */
uint64_t raid_rig_offset(enum segment_class class, unsigned slot);

/* Changes one byte on the medium, as rot would. Within a fiber. */
void raid_rig_rot(struct raid_rig *rig, unsigned drive, uint64_t offset);

#endif
