/* SPDX-License-Identifier: Apache-2.0 */
/* One drive on one loop of either twin, and requests that are waited for one by one. */
#ifndef TESTS_DISK_RIG_H
#define TESTS_DISK_RIG_H

#include <quoin/disk.h>
#include <quoin/disk_sim.h>
#include <quoin/loop.h>
#include <quoin/loop_sim.h>

struct rig {
	struct loop_sim *world; /* NULL: the real twin */
	struct loop *loop;
	struct disk *disk;
	struct disk_channel *channel;
};

void rig_init_real(struct rig *rig);
void rig_init_sim(struct rig *rig, uint64_t seed);
void rig_fini(struct rig *rig);

/* Attaches; takes the drive. Detached and closed by rig_close() or rig_fini(). */
void rig_use(struct rig *rig, struct disk *disk);
void rig_close(struct rig *rig);

/* Runs the request to its end: its result. */
int rig_run(struct rig *rig, struct disk_request *request);

/* The same, made here. `op` may carry flags. */
int rig_do(struct rig *rig, unsigned op, uint64_t offset, void *data, uint64_t length);
#define RIG_FUA ((unsigned)DISK_FUA << 8)
#define RIG_UNMAP ((unsigned)DISK_UNMAP << 8)

#endif
