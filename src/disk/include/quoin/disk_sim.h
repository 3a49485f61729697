/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A simulated drive: contents in memory, time from the loop's timers, everything that could go
 * either way from one seed. Completions come in no order. Same seed, same requests: same run.
 *
 * The model of loss. A drive with a volatile cache has two images: what reads return, and what is
 * on the medium. They differ in the blocks that were written and not yet flushed. The drive may
 * write such a block back at any time. When power is cut, each of them is old or new, block by
 * block, chosen by the seed (so writes are lost, torn at block boundaries, and reordered), and so
 * is each block of a write in flight. Flushed and FUA blocks are safe. A block is never torn.
 *
 * The medium outlives the drives opened on it: cut the power, close, open again, look.
 * Everything here belongs to one thread, and so must the loops that use it.
 */
#ifndef QUOIN_DISK_SIM_H
#define QUOIN_DISK_SIM_H

#include <quoin/base.h>
#include <quoin/disk.h>

#define DISK_SIM_FAULTS_MAX 16
#define DISK_SIM_OPS 5 /* enum disk_op */

struct disk_sim;

/* Chances, all taken from the seed. */
struct disk_sim_plan {
	uint64_t latency_min_ns; /* of each request: uniform between the two */
	uint64_t latency_max_ns;
	unsigned error_ppm[DISK_SIM_OPS]; /* requests per million that fail with -EIO */
	unsigned write_back_percent;	  /* chance per request that some cached blocks go down */
	unsigned survive_percent;	  /* of unflushed blocks at a power cut */
};

/* A chosen failure. */
struct disk_sim_fault {
	unsigned ops; /* bit per enum disk_op */
	uint64_t offset;
	uint64_t length_bytes; /* 0 = to the end; flushes match whatever the range */
	uint64_t after;	       /* matching requests that pass first */
	uint64_t count;	       /* then so many fail; 0 = all */
	int result;	       /* negative errno; a failed write leaves each block old or new */
};

struct disk_sim_params {
	uint64_t seed;
	uint64_t size_bytes;
	uint64_t size_max_bytes;      /* disk_resize() up to here; 0 = size_bytes */
	uint32_t logical_block_bytes; /* 512 or 4096 */
	bool write_through;	      /* no volatile cache */
	bool discard;
	bool discard_zeroes; /* else a discarded block is old, zero or garbage */
	struct disk_sim_plan plan;
};

struct disk_sim_stats {
	uint64_t done[DISK_SIM_OPS];
	uint64_t errors[DISK_SIM_OPS];
	uint64_t unflushed_blocks; /* now */
	uint64_t power_cuts;
	uint64_t
		digest; /* of every completion, its time and its order: equal runs, equal digests */
};

/* Reasonable: 10-200 us, half of the unflushed blocks survive, no errors. */
struct disk_sim_plan disk_sim_plan_default(void);

/* All zeroes, power on. Aborts when memory is exhausted. */
struct disk_sim *disk_sim_new(const struct disk_sim_params *params);

/* No drive is open on it. NULL is allowed. */
void disk_sim_free(struct disk_sim *sim);

/* Opens the drive; turns power on. Close it with disk_close(). -EBUSY: it is open. */
MUST_CHECK int disk_sim_open(struct disk_sim *sim, struct disk **ret_disk);

/*
 * Cuts the power: unflushed blocks meet their fate, requests in flight end with -EIO, soon, and
 * so does all that comes until the drive is opened again.
 */
void disk_sim_power_cut(struct disk_sim *sim);

void disk_sim_plan_set(struct disk_sim *sim, const struct disk_sim_plan *plan);

/* -ENOSPC: there are DISK_SIM_FAULTS_MAX. */
MUST_CHECK int disk_sim_fault_add(struct disk_sim *sim, const struct disk_sim_fault *fault);
void disk_sim_faults_clear(struct disk_sim *sim);

void disk_sim_stats_get(const struct disk_sim *sim, struct disk_sim_stats *ret_stats);

/* What a read would return; the range is within the size. */
void disk_sim_peek(const struct disk_sim *sim, uint64_t offset, void *data, size_t length);

#endif
