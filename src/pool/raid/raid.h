/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From slots to drives. A transfer of adjacent slots of one segment goes to every column of the
 * segment (write) or comes from one of them (read). Also the life of the drives of a pool, flushes,
 * discards, and the raw pages of the labels.
 *
 * A drive that fails: a write is done when at least one column has it, and the others are counted;
 * after RAID_ERRORS_MAX errors in a row, or at once for -ENXIO and -ENODEV, a drive is faulted if
 * every segment keeps a column elsewhere (`raid.may_fault` says so), and its columns are left out
 * from then on. The pool hears of it through `changed`.
 *
 * Loop's thread only. Transfers are the caller's memory; nothing allocates after raid_drive_add().
 */
#ifndef POOL_RAID_RAID_H
#define POOL_RAID_RAID_H

#include <quoin/disk.h>
#include <quoin/pool_io.h>

#include "space/space.h"

#define RAID_ERRORS_MAX 8
#define RAID_ANY_COLUMN 0xffU

struct drive {
	struct disk *disk;	      /* borrowed; NULL: missing. Kept when faulted */
	struct disk_channel *channel; /* the same; NULL after raid_fini() */
	char *path;		      /* owned; "" = unknown */
	struct super_drive info;      /* state, guid, errors ...; saved with each checkpoint */
	unsigned index;
	unsigned errors_in_row;
	bool dirty;	    /* a write ended since a flush was submitted */
	unsigned flushing;  /* flushes under way */
	uint64_t in_flight; /* transfers */
	struct pool_drive_io io;
	uint8_t *super_page; /* owned: one page, of raid_super_write() */
};

struct raid {
	struct loop *loop;
	struct space *space;
	uint8_t chunk_shift;
	unsigned drive_count;
	uint64_t
		ckpt; /* the last one that was written: set at import, then by raid_super_write() */
	struct drive drives[SUPER_DRIVES_MAX];
	uint64_t read_turn;
	unsigned super_flags; /* of writes of superblocks: DISK_FUA, but in tests */
	/* A drive's state or error counts changed. May be NULL. */
	void (*changed)(void *data, struct drive *drive);
	bool (*may_fault)(void *data, const struct drive *drive);
	void *data;
	uint64_t flushes, writes, reads, bytes_written, bytes_read; /* of the drives */
};

enum raid_op { RAID_READ, RAID_WRITE, RAID_DISCARD };

/* One transfer. Set up to `done`, then submit; yours again in done(). */
struct raid_io {
	enum raid_op op;
	unsigned flags;		 /* DISK_FUA */
	uint64_t vaddr;		 /* first slot */
	unsigned count;		 /* slots; within the segment */
	unsigned column;	 /* read: which, or RAID_ANY_COLUMN; after it: which it was */
	unsigned columns;	 /* write: only to these, bit per column; 0 = all */
	const struct iovec *iov; /* count * 4096 bytes; borrowed until done() */
	unsigned iov_count;
	int result;	 /* 0; -EIO...; -ENODATA: no column is on an online drive */
	unsigned failed; /* columns that were tried and failed; bit per column. Of discards, too */
	void (*done)(struct raid_io *io);
	struct list node; /* the caller's before submit and after done */
	/* raid's own: */
	struct raid *raid;
	struct fiber *fiber;
	unsigned pending, good;
	bool any;
	struct raid_leg {
		struct disk_request request;
		struct raid_io *io;
		struct drive *drive;
		unsigned column;
	} legs[SEGMENT_COLUMNS_MAX];
};

/* done() is never called from inside. */
void raid_submit(struct raid *raid, struct raid_io *io);

/* Submits and parks the running fiber until done. `io->done` is set by this function. */
MUST_CHECK int raid_run(struct raid *raid, struct raid_io *io);

/* The same for one buffer: read from `column` / write of `count` slots. */
MUST_CHECK int raid_read(struct raid *raid, uint64_t vaddr, unsigned count, unsigned column,
			 void *buffer);
MUST_CHECK int raid_write(struct raid *raid, uint64_t vaddr, unsigned count, unsigned flags,
			  const void *buffer);

/*
 * [fiber] Tells the drive that `length` bytes of a chunk, from `offset` of it on, are of no use. 0,
 * or what it says of it.
 */
MUST_CHECK int raid_chunk_discard(struct raid *raid, struct drive *drive, uint32_t chunk,
				  uint64_t offset, uint64_t length);

/* Columns of the segment on online drives, bit per column. */
unsigned raid_columns_online(const struct raid *raid, const struct segment *segment);

/*
 * Flushes every online drive that is dirty or has a flush under way (or all of them). A drive that
 * fails a flush may have lost what it took before, so it is faulted at once if it may be.
 */
struct raid_flush {
	void (*done)(struct raid_flush *flush);
	int result; /* 0, or the first error of a drive that is still online after it */
	unsigned pending;
	struct raid_flush_leg {
		struct disk_request request;
		struct raid_flush *flush;
		struct drive *drive;
	} legs[SUPER_DRIVES_MAX];
	struct raid *raid;
	struct fiber *fiber;
	bool waits; /* nothing was dirty: done comes from a task */
	struct loop_task task;
};
void raid_flush(struct raid *raid, struct raid_flush *flush, bool all);

/* Can all drives in use make a write durable without a flush of all they hold? */
bool raid_has_fua(const struct raid *raid);
MUST_CHECK int raid_flush_run(struct raid *raid, struct raid_flush *flush, bool all);

/* --- Drives --------------------------------------------------------------------------------- */

void raid_init(struct raid *raid, struct loop *loop, uint8_t chunk_shift);
void raid_fini(struct raid *raid); /* detaches; closes no disk */

/*
 * Appends drive `raid->drive_count` with its info. `disk` NULL: it is missing (one that was online
 * until now left at raid->ckpt). A disk of a drive that is not online is attached, but not used.
 * -ENOMEM.
 */
MUST_CHECK int raid_drive_add(struct raid *raid, const struct super_drive *info, struct disk *disk,
			      const char *path);
struct drive *raid_drive_find(struct raid *raid, const uint8_t guid[16]);

static inline bool raid_drive_online(const struct drive *drive)
{
	return drive->info.state == DRIVE_ONLINE && drive->channel;
}

/*
 * Takes the drive out of use: state, left_ckpt = raid->ckpt. I/O in flight ends as it ends; the
 * disk stays attached until raid_fini(), because some may be.
 */
void raid_drive_fault(struct raid *raid, struct drive *drive, enum drive_state state);

/* --- Raw pages of the labels (fibers) ------------------------------------------------------- */

/*
 * `length` bytes at `offset` of one drive. FUA writes. The buffer is aligned to a page. -ENODEV:
 * the drive is missing.
 */
MUST_CHECK int raid_label_read(struct raid *raid, struct drive *drive, uint64_t offset,
			       void *buffer, size_t length);
MUST_CHECK int raid_label_write(struct raid *raid, struct drive *drive, uint64_t offset,
				const void *buffer, size_t length);

/*
 * Writes the superblock to slot ckpt % 64 of all online drives: every front ring first, then every
 * back ring, with FUA. 0 when at least one whole drive (front) took it and no online drive is left
 * that did not take either copy (those are faulted if they may be, else -EIO).
 */
MUST_CHECK int raid_super_write(struct raid *raid, struct super *super);

/* A superblock that other drives have, to one that was left without it when power was cut. */
MUST_CHECK int raid_super_repeat(struct raid *raid, struct super *super, struct drive *drive);

/* The same before there is a pool: reads one drive's rings. Fiber. */
struct super_candidate {
	struct super super;
	bool back;
	unsigned slot;
};
/*
 * All superblocks of the newest SPACE_KEEP + 1 checkpoints on the drive, newest first, at most
 * `max`. Returns the number, or negative errno: -ENOENT (none), -ENOTSUP (one of a newer format;
 * candidates[0].super.version, features), -EUCLEAN (only damaged ones), -EIO.
 * `ret_lost`, when there is one: bit per slot that had a superblock, of which neither ring has a
 * copy that is whole. A torn write does not do that: a back copy is written when the front is.
 */
MUST_CHECK int raid_super_read(struct disk_channel *channel, uint64_t drive_bytes,
			       struct super_candidate *candidates, unsigned max,
			       uint64_t *ret_lost);

#endif
