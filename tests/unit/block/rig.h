/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of this room stand on: a loop of either twin, a device with one channel, and
 * requests that can be waited for. Every failure prints the seed it can be replayed with.
 */
#ifndef TESTS_BLOCK_RIG_H
#define TESTS_BLOCK_RIG_H

#include <quoin/base_random.h>
#include <quoin/block.h>
#include <quoin/disk_sim.h>
#include <quoin/loop.h>
#include <quoin/loop_sim.h>

struct rig {
	struct loop_sim *sim; /* NULL: the real twin */
	struct loop *loop;
	struct block_device *device;
	struct block_channel *channel;
	struct disk *disk; /* closed with the device; NULL: none */
	struct random random;
	uint64_t seed;
	unsigned pending;
};

struct rig_request {
	struct block_request block;
	struct rig *rig;
	struct iovec iov[8];
	bool done;
};

void rig_init_real(struct rig *rig, uint64_t seed);
void rig_init_sim(struct rig *rig, uint64_t seed);
void rig_fini(struct rig *rig);

/* A fresh simulated drive of this size, as a device. disk_sim_free() it after rig_fini(). */
struct disk_sim *rig_open_sim(struct rig *rig, const struct disk_sim_params *params);

/* Opens the channel; takes the device, rig_fini() closes it. */
void rig_use(struct rig *rig, struct block_device *device);
void rig_open(struct rig *rig, const char *spec);

/* Closes channel and device before rig_fini(). */
void rig_close(struct rig *rig);

/* Submits without a kick; `data` is cut into pieces at random, or NULL. */
void rig_submit(struct rig *rig, struct rig_request *request, void *data);

/* Turns the loop until no request of this rig is in flight; a hang fails the test. */
void rig_wait(struct rig *rig);

/* Turns the loop for some time, whatever comes. */
void rig_pause(struct rig *rig, uint64_t duration_ns);

/* One request from submit to done: its result. `op` is an enum block_op, perhaps with a flag. */
int rig_do(struct rig *rig, unsigned op, uint64_t offset, void *data, uint64_t length);
#define RIG_FUA ((unsigned)BLOCK_FUA << 8)
#define RIG_UNMAP ((unsigned)BLOCK_UNMAP << 8)

/* Aligned for direct I/O; free() it. */
void *rig_buffer(size_t size);

/* A new file of `size` bytes in the test directory (RIG_DIR or /var/tmp); unlink and free() it. */
char *rig_file(uint64_t size);

#endif
