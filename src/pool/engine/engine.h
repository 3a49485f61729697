/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine from inside: what a pool is made of, and who does what with it.
 *
 *   volume.c, names.c  volumes and snapshots            lookup.c  where a block is now
 *   device.c    the block device in front               admit.c   may a write begin
 *   write.c     blind writes                            read.c    verified reads
 *   patch.c     writes of less than a block             trim.c    discards and zeroes
 *   repair.c    blocks whose check failed               checkpoint.c, merge.c, tables.c
 *   open.c, replay.c, create.c  import and creation     verb*.c   what people ask for
 *   heart.c     says that it is in use  discard.c  of free slots  shares.c  references to blocks
 *   copy.c, copies.c   by reference; of guests   sweep.c   trims the pool
 *   meter.c     requests are counted    damage.c   what no copy could serve
 *
 * Truth about a block: active delta, frozen delta, tree (lookup.c is the only one who asks). A
 * checkpoint works on the `next` records; `rec` is what is committed. The home loop's thread only.
 */
#ifndef POOL_ENGINE_ENGINE_H
#define POOL_ENGINE_ENGINE_H

#include <quoin/loop_fiber.h>
#include <quoin/pool.h>

#include "engine/damage.h"
#include "engine/history.h"
#include "engine/memory.h"
#include "engine/names.h"
#include "journal/delta.h"
#include "journal/log.h"
#include "map/map.h"

#define WIO_BLOCKS 32  /* blocks of one device write */
#define RIO_BLOCKS 32  /* blocks of one piece of a read */
#define WRITE_TRIES 3  /* of a data write, each elsewhere */
#define PATCHES_MAX 96 /* partial blocks waiting for their rest; all fit into the log's buffers */
#define IN_FLIGHT_BUCKETS 4096
#define TRIM_POINTS_MAX 32			  /* shorter trims are points, not ranges */
#define RANGES_MAX (DELTA_RANGES_MAX / 2)	  /* of guests, in both deltas */
#define RANGES_CARRIED_MAX (DELTA_RANGES_MAX / 4) /* that more are carried */
#define SEQ_JUMP (UINT64_C(1) << 20)		  /* at import: no seq of a lost log comes again */
#define EPOCH_MAX UINT32_C(0xfffffff0)

struct snapshot {
	uint32_t id;
	struct snapshot_record rec, next;
	struct snapshot *name_next; /* names.c */
	uint32_t after;		    /* the number of what may be snapshot_after() */
	bool pending;		    /* cut in a delta that is not merged: no root yet */
	unsigned clones;
	unsigned open_count; /* devices: it is not destroyed meanwhile */
};

struct volume {
	struct pool *pool;
	uint32_t id;
	struct volume_record rec, next;
	struct volume *name_next; /* names.c */
	uint64_t block_count;	  /* of the size in force */
	unsigned open_count;
	unsigned requests;	 /* under way: begun, and not waiting */
	bool gated;		 /* requests wait in `waiting` */
	bool paused;		 /* writes wait for space in `starved` */
	struct list waiting;	 /* block_request.node */
	struct list starved;	 /* the same */
	uint64_t starved_commit; /* checkpoint after which the starved give up */
	unsigned in_flight[2];	 /* device writes, by phase: trims wait for one phase to end */
	unsigned phase;
	struct list trims, trims_draining; /* requests whose range waits for its turn */
	unsigned patch_count;
	bool patches_closed;	 /* partial writes wait: a snapshot or a trim is about to be made */
	uint64_t pending[2];	 /* blocks in the active and the frozen delta */
	uint64_t renewed[2];	 /* of them, known to replace what is the volume's alone */
	unsigned cuts_pending;	 /* snapshots not merged */
	unsigned snapshot_count; /* live ones, as of the last recount */
	uint64_t snapshots_data; /* blocks in their deadlists and its own, at the same time */
	struct pool_io_sums io;
};

/* A partial block: sectors that were written, waiting for the rest to be read. */
struct patch {
	struct list node;      /* pool->patches_free, or patch_buckets */
	struct volume *volume; /* NULL: free */
	uint64_t block;
	uint64_t seq; /* of its newest sector */
	uint8_t mask; /* sectors that are there */
	bool merging; /* its rest is being read or the whole being written */
	bool stuck;   /* the rest cannot be read */
	uint8_t *page;
};

/* What a request keeps in its driver words. */
struct volume_request {
	struct device *device;
	struct loop_message message;
	struct loop *loop; /* where it came from */
	unsigned parts;	   /* outstanding, +1 while it is being split */
	int result;
	uint64_t at;	    /* split, or copied, up to this byte */
	struct list behind; /* of a copy: changes that wait for it; copies.c */
	unsigned idle;	    /* the same: checkpoints in vain */
	bool chosen;	    /* the same: by the checkpoint under way */
	struct log_waiter waiter;
	uint64_t seq; /* of a trim */
	uint64_t begun_ns, admitted_ns;
	enum pool_io_why why; /* it waited until it was admitted */
	bool repaired;
};

/* An open volume or snapshot. */
struct device {
	struct block_device block;
	struct pool *pool;
	struct volume *volume;	   /* NULL for a snapshot */
	struct snapshot *snapshot; /* NULL for a volume */
	bool read_only;
	bool hurried; /* its requests do not wait for space */
};

struct pool {
	struct loop *loop;
	struct raid raid;
	struct space *space;
	struct pages *pages;
	struct log log;
	struct delta deltas[2];
	unsigned active; /* deltas[active]; the other one is frozen or empty */
	uint32_t *order, *order_scratch;
	struct engine_memory memory;
	struct super super; /* as of the last commit; drives are in raid */
	uint64_t seq;	    /* the next one */
	uint32_t epoch;	    /* of what is inserted now */
	bool read_only;
	int error; /* sticky: suspended */
	char problem[256];
	unsigned barriers_off;
	uint64_t (*wall_clock_s)(void *data);
	void (*changed)(void *data);
	void *data;
	struct random random;
	struct volume **volumes; /* by number; NULL = none */
	struct snapshot **snapshots;
	uint32_t volume_limit, snapshot_limit, snapshot_capacity;
	unsigned volume_count, snapshot_count; /* live ones */
	struct names names;
	struct history history;
	uint8_t *buffers; /* bounce pages */
	uint8_t **buffers_free;
	unsigned buffers_free_count;
	struct wio *wios;
	struct rio *rios;
	struct run *runs;
	struct list wios_free, rios_free, runs_free;
	struct list incoming, copies;		 /* requests to start, in order; of copies.c */
	struct list wios_logging;		 /* written, waiting for room in the log */
	struct list rios_waiting, reads_waiting; /* for runs, buffers; requests, for rios */
	struct loop_task work;
	unsigned trims_waiting;	  /* ranges that wait for their turn, of all volumes */
	uint64_t slotless_commit; /* from then on nobody waits for slots; 0: there are some */
	bool working, any_paused; /* within writes_process(); a volume may be: status.c clears it */
	unsigned writes_in_flight, reads_in_flight; /* blocks admitted and not recorded; rios */
	uint16_t in_flight_blocks[IN_FLIGHT_BUCKETS];
	struct patch *patches;
	struct list patches_free, patch_buckets[64];
	unsigned patches_used;
	struct fiber *repairer;
	struct list repairs; /* rios */
	struct checkpointer *checkpointer;
	struct shares *shares;
	struct fiber *admin_owner;	       /* one verb at a time */
	uint64_t pending_total, renewed_total; /* of all volumes, both deltas; of them */
	struct page_fetch admit_fetch;	       /* for the write at the head of the queue */
	bool admit_fetching;
	uint64_t admit_failed; /* the page that could not be read; 0: none */
	uint64_t unmet_total;  /* promised to volumes and not used, slots */
	uint64_t replayed, healed, bad_blocks, refused;
	uint64_t lost_told; /* of pages_stats.lost, what the history has */
	struct pool_io io;
	enum pool_io_why queue_why; /* the head of `incoming` waited last */
	struct damage damage;
	struct heart *heart;
	struct discards *discards; /* NULL: nothing is discarded on the drives */
	struct sweep *sweep;	   /* NULL: all free space never was */
};

static inline struct delta *pool_delta(struct pool *pool)
{
	return &pool->deltas[pool->active];
}

static inline bool pool_range_room(const struct pool *pool)
{
	return pool->deltas[0].range_count + pool->deltas[1].range_count < RANGES_MAX;
}

static inline struct volume_request *request_words(struct block_request *request)
{
	return (struct volume_request *)(void *)request->driver;
}

#endif
