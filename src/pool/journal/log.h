/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log: the delta's records on the drives, in order of insertion, in a ring of blocks.
 *
 * Records are appended to a block in memory. A full block is sealed; sealed blocks are written
 * when some have gathered (no promise), or when a commit wants them. A commit makes durable all
 * that was appended before it, and the data those records name: it seals the block under way as the
 * end of a group, writes what is not written yet with FUA, and flushes the drives at the same time:
 * one device round trip. Where a drive has no FUA, it would be a write and a flush of its own;
 * there the writes go first, without FUA, and one flush covers them and the data. One commit is
 * under way at a time; who comes meanwhile shares the next.
 *
 * Invariants (log_check): durable_upto < first_unwritten <= fill; fill - tail < ring_blocks;
 * fill - first_unfinished < LOG_BUFFERS.
 *
 * After an error no later commit succeeds (sticky): a record might be missing in the middle.
 * Loop's thread only; memory is taken at start.
 */
#ifndef POOL_JOURNAL_LOG_H
#define POOL_JOURNAL_LOG_H

#include "format/logblock.h"
#include "raid/raid.h"

#define LOG_BUFFERS 256		       /* blocks in memory */
#define LOG_RUN 32		       /* blocks of one write */
#define LOG_WRITES_MAX 8	       /* writes in flight */
#define LOG_WRITE_OUT 16	       /* sealed blocks that are worth a write of their own */
#define LOG_SETTLE_NS (10 * NS_PER_MS) /* idle so long: the last group is declared durable */

struct log_write {
	struct raid_io io;
	struct log *log;
	uint64_t first;
	unsigned count;
	bool busy;
	bool commit; /* part of the commit under way */
	struct iovec iov;
};

struct log_waiter {
	struct list node;
	void (*done)(struct log_waiter *waiter); /* never from inside log_commit() */
	int result;
};

struct log {
	struct raid *raid;
	struct loop *loop;
	unsigned segment_count;
	uint32_t segments[SUPER_LOG_SEGMENTS_MAX];
	uint64_t blocks_per_segment, ring_blocks;
	uint64_t pool_check;
	uint32_t life; /* of this import: in every block */
	uint64_t generation;

	uint64_t tail;		   /* blocks below may be overwritten */
	uint64_t durable_upto;	   /* last block of the last durable group */
	uint64_t settled;	   /* the empty block that says so: it need not be durable itself */
	uint64_t first_unfinished; /* all blocks below are on the drives */
	uint64_t first_unwritten;  /* all blocks below were submitted */
	uint64_t fill;		   /* the block being filled */
	struct log_header header;  /* of the block being filled */
	uint64_t prev_check;	   /* of block fill - 1 */
	uint64_t records;	   /* appended since the last group's end */
	uint64_t finished_bits[LOG_BUFFERS / 64]; /* of the window from first_unfinished */
	uint8_t *buffers;

	bool committing;
	bool beside;		/* the commit's flush goes beside its writes, not after them */
	bool flushing;		/* the commit's flush is under way */
	bool flushed;		/* it has begun at least */
	unsigned commit_writes; /* its writes that are */
	uint64_t commit_end;
	struct raid_flush flush;
	struct list waiters;	  /* of the commit under way */
	struct list next_waiters; /* of the one after */
	struct loop_task task;
	struct loop_timer settle;
	struct log_write writes[LOG_WRITES_MAX];
	int error;	       /* sticky */
	unsigned barriers_off; /* enum pool_barrier */

	void (*room)(void *data); /* blocks were written, or the tail moved */
	void (*failed)(void *data);
	void *data;
	uint64_t commits, blocks_written;
};

/* What log_start() needs beside what the caller has filled in: raid, loop, segments, the ring's
 * size, pool_check, life, room, failed, data, barriers_off. */
struct log_position {
	uint64_t next;	     /* number of the next block */
	uint64_t prev_check; /* of the one before it */
	uint64_t tail;	     /* first block that is still needed */
	uint64_t generation;
	bool stale; /* what lies at `next` continues the chain, and was given up */
};
MUST_CHECK int log_start(struct log *log, const struct log_position *position);
void log_fini(struct log *log); /* no write in flight */
bool log_idle(const struct log *log);

/* Where a block lies. */
uint64_t log_block_vaddr(const struct log *log, uint64_t number);

/* True when a record of up to LOG_RECORD_BYTES_MAX can be appended `count` times. */
bool log_has_room(const struct log *log, unsigned count);

/* There must be room. */
void log_append(struct log *log, const struct log_record *record);

/* Calls waiter->done when all appended so far is durable; -EIO (sticky) or 0. */
void log_commit(struct log *log, struct log_waiter *waiter);

/* [fiber] */
MUST_CHECK int log_commit_run(struct log *log);

/* Records after this belong to the next generation; `ret_start` is its first block. */
void log_freeze(struct log *log, struct log_position *ret_start);

/* The checkpoint whose log starts there is committed. */
void log_tail_move(struct log *log, uint64_t tail);

/* Asserts the invariants. */
void log_check(const struct log *log);

#endif
