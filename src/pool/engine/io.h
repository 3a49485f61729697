/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The path of requests, from a volume's device to the drives: what its files promise each other.
 *
 * Order: what is inserted into the active delta later counts. Insertion happens when a data write
 * has ended, for zeroes and patches at once. Only ranges compare by seq (journal/delta.h).
 */
#ifndef POOL_ENGINE_IO_H
#define POOL_ENGINE_IO_H

#include "engine/admin.h"
#include "engine/wio.h"

/* --- device.c ------------------------------------------------------------------------------- */
/* A request of an open device begins / goes on from volume->waiting or pool->incoming. */
void request_start(struct pool *pool, struct block_request *request);

/* One part of a request ended. The last one ends it: after a log commit when it has FUA. */
void request_part_end(struct block_request *request, int result);

/* Posts pool->work: incoming writes are admitted, what waits is tried again. */
void pool_work(struct pool *pool);

/* Frees the buffers, wios, rios and runs / takes them, sized by pool->memory. -ENOMEM. */
MUST_CHECK int io_init(struct pool *pool);
void io_fini(struct pool *pool);

/* True when no request, device write, read, patch merge or discard is under way. */
bool io_idle(const struct pool *pool);

/* --- lookup.c -------------------------------------------------------------------------------- */
/*
 * Where the block is now: the volume's (or, with `snapshot`, that tree's) entry; all zero for a
 * hole. -EAGAIN: fetch *ret_missing and ask again. Partial blocks are not looked at.
 */
MUST_CHECK int block_lookup(struct pool *pool, const struct device *device, uint64_t block,
			    uint8_t ret_entry[ENTRY_BYTES], struct page_ref *ret_missing);

/* [fiber] The same, fetching what is missing. */
MUST_CHECK int block_lookup_wait(struct pool *pool, const struct device *device, uint64_t block,
				 uint8_t ret_entry[ENTRY_BYTES]);

/* --- admit.c ---------------------------------------------------------------------------------- */
enum admission {
	ADMIT_GO,
	ADMIT_LATER, /* buffers, delta or log are full: the head of the queue waits */
	ADMIT_SPACE, /* pool or quota is full: onto volume->starved, a checkpoint may help */
	ADMIT_NEVER, /* -ENOSPC or -EDQUOT (quota), by volume->starved_commit */
};

/*
 * May the request, a write, begin now? It needs room for `blocks` records. Reserves nothing.
 */
enum admission write_admit(struct volume *volume, const struct block_request *request,
			   unsigned blocks, int *ret_error);

/* The limit of the pool or of a quota is within a delta's reach. */
bool space_near(const struct volume *volume);

/* 1: the block has data that no snapshot shares; 0: it has not; else as block_lookup(). */
MUST_CHECK int block_renews(struct volume *volume, uint64_t block, struct page_ref *ret_missing);

/* The same without the question of space: for what was admitted before. */
bool write_room(struct volume *volume, unsigned blocks);

/* No slot was to be had, and there will be none until somebody gives space back. */
bool slots_gone(struct pool *pool);

/* So many blocks more can be written now: of their records, or slots, whatever is less. */
uint64_t write_room_left(const struct pool *pool);

/* After a checkpoint: the starved of all volumes are tried again. */
void starved_retry(struct pool *pool);

/* --- write.c ---------------------------------------------------------------------------------- */

/* Admits and starts what is in pool->incoming, in order, as far as resources go. */
void writes_process(struct pool *pool);

/*
 * Inserts a record: delta, log, patches, counters. There is room in both (admission saw to it; for
 * the log: log_has_room). `entry` gets the current epoch.
 */
void record_insert(struct volume *volume, uint64_t block, uint8_t entry[ENTRY_BYTES]);

/* A whole block made of a patch and its rest; `page` becomes the write's. False: no room now. */
bool patch_write(struct pool *pool, struct patch *patch, uint8_t *page);

uint8_t *buffer_take(struct pool *pool); /* NULL: none is free */
void buffer_give(struct pool *pool, uint8_t *page);

/* The log has room again. */
void writes_logged(struct pool *pool);

/* Counters of blocks being written, so that a partial write waits for them. */
static inline uint16_t *in_flight_bucket(struct pool *pool, uint32_t volume, uint64_t block)
{
	const uint64_t mixed = (delta_key(volume, block) * UINT64_C(0x9e3779b97f4a7c15)) >> 52;

	return &pool->in_flight_blocks[mixed % IN_FLIGHT_BUCKETS];
}

/* --- patch.c ---------------------------------------------------------------------------------- */

MUST_CHECK int patches_init(struct pool *pool);
void patches_fini(struct pool *pool);

/* Starts merging what can be. */
void patches_progress(struct pool *pool);

/* It will not be whole: its rest cannot be read, or there is no slot for the whole. */
bool patch_in_vain(struct pool *pool, const struct patch *patch);

/* The block's patch, or a new one without sectors; NULL: none is free. */
struct patch *patch_take(struct volume *volume, uint64_t block);

/* NULL: none. */
struct patch *patch_find(struct pool *pool, const struct volume *volume, uint64_t block);

/* True: the sectors were taken in. False: later (no patch, closed, block in flight, no log). */
bool patch_put(struct volume *volume, uint64_t block, unsigned sector, unsigned count,
	       const uint8_t *data);

/* The whole block was written or cut: what was there of it is old. */
void patch_forget(struct volume *volume, uint64_t block);
void patches_forget_range(struct volume *volume, uint64_t start, uint64_t end);

/* A wio with a patch's content ended. */
void patch_written(struct pool *pool, const struct wio_block *block, int result);

/* Appends all patches to the log again (freeze). */
void patches_relog(struct pool *pool);

/* --- trim.c ----------------------------------------------------------------------------------- */

/*
 * The discard or write-zeroes at the head of pool->incoming. Partial blocks at the ends become
 * patches of zeroes. True: it left the queue; false: it waits there.
 */
bool trim_process(struct pool *pool, struct block_request *request);

/* A range of the volume waits for its turn. */
bool trim_pending(const struct volume *volume);

/* A phase of the volume's writes ended: ranges that waited for it are inserted. */
void trims_progress(struct volume *volume);

/* --- read.c, repair.c ------------------------------------------------------------------------- */

struct run {
	struct raid_io io;
	struct list node;
	struct rio *rio;
	unsigned first, count;
	struct iovec iov[RIO_BLOCKS];
};

/* A piece of a read: up to RIO_BLOCKS blocks of one request. */
struct rio {
	struct list node;
	struct pool *pool;
	const struct device *device;
	struct block_request *request; /* NULL: a patch's rest; then `done` is called */
	void (*done)(struct rio *rio);
	void *data;
	uint64_t offset, length_bytes; /* of the piece, in the volume */
	uint64_t block;		       /* first */
	unsigned count, resolved, started, runs_pending;
	uint64_t missing; /* the map page whose fetch failed last */
	int result;
	bool bounced;	  /* into pages[], then copied */
	uint32_t bad;	  /* bit per block: its check failed, or it could not be read */
	uint32_t patched; /* bit per block: patch_pages[] has sectors of it, as of the lookup */
	struct page_fetch fetch;
	/* Not cleared when a rio is taken: most reads are of one block. */
	uint8_t patch_masks[RIO_BLOCKS];
	uint8_t *patch_pages[RIO_BLOCKS];
	uint8_t *pages[RIO_BLOCKS];
	uint8_t entries[RIO_BLOCKS][ENTRY_BYTES];
};

void read_start(struct pool *pool, struct block_request *request);

/* One whole block into `page`, for a patch. False: no rio is free now. */
bool read_block(const struct device *device, uint64_t block, uint8_t *page,
		void (*done)(struct rio *rio), void *data);

/* Tries again what waits for runs or buffers. */
void reads_retry(struct pool *pool);

/* Hands a rio with bad blocks to the repairer; it calls read_end() when done. */
void repair_start(struct rio *rio);
void read_end(struct rio *rio);

/* Copies between the request's pieces and a flat buffer, `at` bytes into the request. */
void request_copy_in(const struct block_request *request, uint64_t at, void *to, size_t bytes);
void request_copy_out(const struct block_request *request, uint64_t at, const void *from,
		      size_t bytes);

#endif
