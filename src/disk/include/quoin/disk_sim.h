/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A simulated drive: contents in memory, time from the loop's timers, everything that could go
 * either way from one seed. Completions come in no order. Same seed, same requests: same run.
 *
 * The model of loss. A drive with a volatile cache has two images: what reads return, and what is
 * on the medium. They differ in the units that were written and not yet flushed. The drive may
 * write such a unit back at any time. When power is cut, each of them is old or new, chosen by the
 * seed (so writes are lost, torn, and reordered), and so is each unit of a write in flight.
 * Flushed units and those written with FUA are safe. A unit is a logical block, which then is
 * never torn; or `tear_bytes` of it, so that a block may come out as old and new in parts.
 *
 * The model of malice. A drive that keeps those rules can still fail: requests end with errors,
 * late, or never reach the medium although they were acknowledged; sectors rot, or refuse to be
 * read; the drive goes away, comes back with an old content, or is smaller than it was. All of it
 * is either chosen (a fault, a call) or a chance in the plan. Times, losses and faults draw from
 * three sequences of random numbers: a fault that is added moves the time of nothing else.
 *
 * The medium outlives the drives opened on it: cut the power, close, open again, look.
 * What it costs: opening, closing, flushing and cutting the power take time for what was written,
 * not for the size of the drive. quoin/disk_sim_trace.h makes the drives of all crash states.
 * Everything here belongs to one thread, and so must the loops that use it.
 */
#ifndef QUOIN_DISK_SIM_H
#define QUOIN_DISK_SIM_H

#include <quoin/base.h>
#include <quoin/disk.h>

#define DISK_SIM_FAULTS_MAX 16
#define DISK_SIM_OPS 5 /* enum disk_op */
#define DISK_SIM_OPS_ALL ((1U << DISK_SIM_OPS) - 1)
#define DISK_SIM_ALWAYS 1000000 /* a chance in ppm */
#define DISK_SIM_ANYWHERE UINT64_MAX

struct disk_sim;
struct disk_sim_image;

/* What can go wrong with a request, besides power. "Changes": writes, zeroes, discards. */
enum disk_sim_fault_kind {
	DISK_SIM_FAIL,		  /* ends with an error; a change leaves each unit old or new */
	DISK_SIM_CORRUPT,	  /* read: one bit of what is returned is wrong, once */
	DISK_SIM_LATENT,	  /* read: what it touches is -EIO until it is written again */
	DISK_SIM_MISDIRECT_READ,  /* returns what stands elsewhere */
	DISK_SIM_MISDIRECT_WRITE, /* changes elsewhere; what it was meant for stays */
	DISK_SIM_PHANTOM,	  /* change: acknowledged, never done */
	DISK_SIM_FLUSH_LIE,	  /* flush: acknowledged, makes nothing durable */
	DISK_SIM_FUA_IGNORE,	  /* DISK_FUA: done, but no safer than without */
	DISK_SIM_STALL,		  /* takes longer */
	DISK_SIM_GONE,		  /* the drive is lost with this request: disk_sim_gone_set() */
};
#define DISK_SIM_FAULT_KINDS 10

/* Chances, all taken from the seed. */
struct disk_sim_plan {
	uint64_t latency_min_ns; /* of each request: uniform between the two */
	uint64_t latency_max_ns;
	uint64_t stall_min_ns; /* added to the latency of a random DISK_SIM_STALL */
	uint64_t stall_max_ns;
	unsigned error_ppm[DISK_SIM_OPS];	  /* requests per million that fail with -EIO */
	unsigned fault_ppm[DISK_SIM_FAULT_KINDS]; /* of requests the kind applies to; not FAIL */
	unsigned write_back_percent; /* chance per request that some cached units go down */
	unsigned survive_percent;    /* of unflushed blocks at a power cut */
	unsigned tear_percent;	     /* of them whose units each survive on their own */
};

/* A chosen failure. A kind passes over requests that it does not apply to. */
struct disk_sim_fault {
	enum disk_sim_fault_kind kind;
	unsigned ops; /* bit per enum disk_op */
	uint64_t offset;
	uint64_t length_bytes; /* 0 = to the end; flushes match whatever the range */
	uint64_t after;	       /* matching requests that pass first */
	uint64_t count;	       /* then so many fail; 0 = all */
	int result;	       /* FAIL, GONE: negative errno */
	uint64_t argument;     /* STALL: nanoseconds. MISDIRECT: offset, or DISK_SIM_ANYWHERE */
};

struct disk_sim_params {
	uint64_t seed;
	uint64_t size_bytes;
	uint64_t size_max_bytes;      /* disk_resize() up to here; 0 = size_bytes */
	uint32_t logical_block_bytes; /* 512 or 4096 */
	uint32_t tear_bytes;	      /* 512, or 0 = a block is never torn */
	bool write_through;	      /* no volatile cache */
	bool no_fua; /* disk_info.fua is false; FUA does what it should all the same */
	bool discard;
	bool discard_zeroes; /* else a discarded block is old, zero or garbage */
	uint64_t *sequence;  /* of traced events, shared by drives; borrowed. NULL: its own */
	struct disk_sim_plan plan;
};

struct disk_sim_stats {
	uint64_t done[DISK_SIM_OPS];
	uint64_t errors[DISK_SIM_OPS];
	uint64_t faults[DISK_SIM_FAULT_KINDS]; /* that struck, chosen and random */
	uint64_t accepted; /* requests since the open: the n-th is struck by `after` = n - 1 */
	uint64_t unflushed_blocks; /* now; of tear_bytes where given */
	uint64_t power_cuts;
	uint64_t
		digest; /* of every completion, its time and its order: equal runs, equal digests */
};

/* Reasonable: 10-200 us, half of the unflushed blocks survive, no errors; stalls of 1 ms-60 s. */
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

/*
 * The drive is lost: requests in flight, all that come, and opening it end with `error`, a
 * negative errno. 0: it is back, with the content it had, unflushed or not. To bring it back
 * stale, restore an image first.
 */
void disk_sim_gone_set(struct disk_sim *sim, int error);

/* Another size behind the user's back: what is beyond ends with -ENXIO, and is back with the size.
 */
void disk_sim_size_set(struct disk_sim *sim, uint64_t size_bytes);

/* Flips an odd number of bits in the range, on the medium and in the cache. */
void disk_sim_rot(struct disk_sim *sim, uint64_t offset, uint64_t length_bytes, uint64_t seed);

/* The range, whole blocks, cannot be read (-EIO) until it is written again. */
void disk_sim_latent_add(struct disk_sim *sim, uint64_t offset, uint64_t length_bytes);

/*
 * The content of the medium, without what is unflushed; and its return, to this or to another
 * drive of the same (largest) size, with no request in flight and no trace.
 */
struct disk_sim_image *disk_sim_image_save(struct disk_sim *sim);
void disk_sim_image_restore(struct disk_sim *sim, struct disk_sim_image *image);
void disk_sim_image_free(struct disk_sim_image *image);

void disk_sim_plan_set(struct disk_sim *sim, const struct disk_sim_plan *plan);

/* -ENOSPC: there are DISK_SIM_FAULTS_MAX. */
MUST_CHECK int disk_sim_fault_add(struct disk_sim *sim, const struct disk_sim_fault *fault);
void disk_sim_faults_clear(struct disk_sim *sim);

void disk_sim_stats_get(const struct disk_sim *sim, struct disk_sim_stats *ret_stats);

/* What a read would return; the range is within the size. */
void disk_sim_peek(const struct disk_sim *sim, uint64_t offset, void *data, size_t length);

#endif
