/* SPDX-License-Identifier: Apache-2.0 */
/* A job on simulated drives, a source with faults, and a model of what guests must see. */
#ifndef TEST_IMAGE_RIG_H
#define TEST_IMAGE_RIG_H

#include <quoin/disk_sim.h>
#include <quoin/loop_sim.h>

#include "job.h"

#define RIG_BLOCK 4096
#define RIG_VOLUME (6 * MiB)
#define RIG_IMAGE (5 * MiB + 3 * 4096 + 512) /* ends within a block */
#define RIG_BLOCKS (RIG_VOLUME / RIG_BLOCK)
#define RIG_RECORD (64 * KiB)

/* What the source does wrong, per thousand of its requests. */
struct fake_plan {
	unsigned fail, die, stall, wrong;
	uint64_t only;	     /* at this one of its requests, from 1; 0 = at any */
	unsigned open_fails; /* per thousand openings */
	bool changed;	     /* every opening from now on is of another image */
	bool no_extents;
	bool in_order;	 /* it is read from the beginning on, each byte once */
	bool open_hangs; /* until it is given up */
	bool brings_sum; /* of the original, whose bytes nobody may ask for then */
	bool wrong_sum;
};

struct image_rig {
	uint64_t seed;
	struct random random;
	struct loop_sim *world;
	struct loop *loop, *other;  /* home, and one that guests are on */
	struct disk_sim *drives[2]; /* volume, record */
	struct disk *disks[2];
	struct block_device *devices[2];
	struct job *job;
	uint8_t image[RIG_VOLUME]; /* zeroes behind its end */
	struct fake_plan plan;
	uint64_t source_reads, source_bytes;
	uint64_t source_requests; /* those that failed, too */
	unsigned sources_open, sources_opened;
	bool settled;
};

void rig_init(struct image_rig *rig, uint64_t seed);
void rig_fini(struct image_rig *rig);

/* Runs main(arg) as a fiber of the home loop; a hang fails the test. */
void rig_run(struct image_rig *rig, void (*main)(void *arg), void *arg);

/* [fiber] */
void rig_create(struct image_rig *rig, const struct record *record);
int rig_start(struct image_rig *rig);
void rig_stop(struct image_rig *rig);
void rig_wait_done(struct image_rig *rig);

/* [fiber] Both drives lose power, the job ends, they are back. */
void rig_power_cut(struct image_rig *rig, void (*before_stop)(void *arg), void *arg);

struct record rig_record(const struct image_rig *rig);
void rig_image_sha256(const struct image_rig *rig, uint8_t ret[CODEC_SHA256_BYTES]);
uint8_t (*rig_digests(const struct image_rig *rig))[CODEC_SHA256_BYTES];

#endif
