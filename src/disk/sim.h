/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated drive from inside: medium and cache (sim_cache.c), decisions (sim_plan.c), life
 * (sim.c), requests (sim_io.c). */
#ifndef DISK_SIM_H
#define DISK_SIM_H

#include <quoin/base_random.h>
#include <quoin/disk_sim.h>

#include "driver.h"

struct sim_fault {
	struct disk_sim_fault fault;
	uint64_t seen;
};

/* What reads return, what a power cut leaves, and where they may differ. */
struct sim_cache {
	uint8_t *now;
	uint8_t *medium;
	uint64_t *dirty; /* bit per block */
	uint64_t block_bytes;
	uint64_t block_count; /* of the largest size */
};

struct disk_sim {
	struct disk_sim_params params; /* params.plan is the one in force */
	struct random random;
	struct sim_cache cache;
	struct sim_fault faults[DISK_SIM_FAULTS_MAX];
	unsigned fault_count;
	uint64_t size_bytes;
	struct sim_disk *open; /* NULL: closed */
	bool powered;
	int flush_error; /* of the first flush that failed since the open */
	struct disk_sim_stats stats;
};

struct sim_disk {
	struct disk disk;
	struct disk_sim *sim;
	struct list in_flight; /* disk_request.io.node */
};

/* --- sim_cache.c --------------------------------------------------------------------------- */

void sim_cache_init(struct sim_cache *cache, uint64_t size_bytes, uint64_t block_bytes);
void sim_cache_fini(struct sim_cache *cache);

/* A new content for one block (NULL: zeroes); `durable`: on the medium at once. */
void sim_cache_put(struct sim_cache *cache, uint64_t block, const void *data, bool durable);

/* Writes one block, or all, back to the medium. */
void sim_cache_write_back(struct sim_cache *cache, uint64_t block);
void sim_cache_flush(struct sim_cache *cache);

/* Writes each dirty block back with this chance. */
void sim_cache_write_back_some(struct sim_cache *cache, struct random *random, unsigned percent);

/* What is not on the medium is gone. */
void sim_cache_lose(struct sim_cache *cache);

/* --- sim_plan.c ---------------------------------------------------------------------------- */

uint64_t sim_plan_latency_ns(struct disk_sim *sim);

/* 0, or the error this request is to end with. */
int sim_plan_result(struct disk_sim *sim, const struct disk_request *request);

/* --- sim_io.c ------------------------------------------------------------------------------ */

void sim_submit(struct disk_channel *channel, struct disk_request *request);

/* The requests in flight leave what they leave and end with -EIO. */
void sim_requests_cut(struct sim_disk *disk);

#endif
