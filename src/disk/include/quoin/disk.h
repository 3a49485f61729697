/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drives: the only room that opens them. A drive is a regular file or a block device (partition,
 * ZFS or LVM volume included), reached with O_DIRECT through the loop's io_uring; or a simulated
 * one (quoin/disk_sim.h).
 *
 * A drive is opened once (any thread, blocking calls) and then attached to the loops that use it;
 * requests go through the attachment, a `disk_channel`, in its loop's thread.
 * Offsets and lengths are multiples of the logical block size (-EINVAL otherwise). With direct I/O
 * so are the lengths of pieces, and buffer addresses of `dma_alignment_bytes`; what the kernel
 * makes of others depends on the file system: -EINVAL, or a slow path.
 */
#ifndef QUOIN_DISK_H
#define QUOIN_DISK_H

#include <quoin/base.h>
#include <quoin/base_err.h>
#include <quoin/loop.h>

struct disk;
struct disk_channel;

enum disk_kind { DISK_FILE, DISK_BLOCK_DEVICE, DISK_SIMULATED };

struct disk_info {
	enum disk_kind kind;
	uint64_t size_bytes;	      /* whole logical blocks; changes in refresh and resize only */
	uint32_t logical_block_bytes; /* smallest unit of I/O: 512..4096, a power of two */
	uint32_t physical_block_bytes; /* writes of this size and alignment avoid read-modify-write
					*/
	uint32_t dma_alignment_bytes;  /* of buffer addresses */
	uint32_t optimal_io_bytes;     /* 0 = not stated */
	uint32_t discard_granularity_bytes; /* 0 = cannot discard */
	uint32_t iov_max;		    /* pieces per request */
	uint32_t transfer_max_bytes;	    /* per request */
	bool read_only;
	bool volatile_cache; /* completed writes may be lost without a flush */
	bool fua;	     /* DISK_FUA costs no flush of the whole drive */
	bool rotational;
	bool direct;	     /* past the page cache */
	bool discard_zeroes; /* discarded blocks read as zero */
	bool write_zeroes;   /* zeroes without transferring them */
};

struct disk_open_params {
	bool read_only;
	bool no_direct; /* page cache instead of O_DIRECT; otherwise only where O_DIRECT is refused
			 */
	bool shared;	/* do not take the exclusive lock (inspection) */
};

/*
 * Opens, locks and identifies. Files: an OFD lock, exclusive for writers, shared between readers.
 * Block devices: O_EXCL. `path` is borrowed. A size that is not a multiple of the block is no
 * error: the tail is ignored (and said so in the debug log).
 * -ENOENT, -EACCES, -EROFS, -EBUSY (in use: by us, another process, a mount), -EISDIR, -ENOTBLK
 * (neither file nor block device), -ENODATA (empty), -ENOTSUP (blocks over 4 KiB) ... with a
 * sentence in `err`.
 */
MUST_CHECK int disk_open(const char *path, const struct disk_open_params *params,
			 struct disk **ret_disk, struct err *err);

/* All channels are detached. NULL is allowed. */
void disk_close(struct disk *disk);
const struct disk_info *disk_info(const struct disk *disk);

/* What it was opened from: a path, or "simulated". */
const char *disk_name(const struct disk *disk);

/* Reads the size again (live growth, shrink); returns 0 or negative errno. Blocking, control path.
 */
MUST_CHECK int disk_refresh(struct disk *disk);

/* Changes the length of a regular file. -ENOTSUP for block devices, -EROFS, -ENOSPC, -EFBIG. */
MUST_CHECK int disk_resize(struct disk *disk, uint64_t size_bytes);

/* -ENOMEM. In the loop's thread. */
MUST_CHECK int disk_attach(struct disk *disk, struct loop *loop, struct disk_channel **ret_channel);
void disk_detach(struct disk_channel *channel); /* no request in flight */

/*
 * For speed alone: makes memory that requests come from known to the loop, for all drives attached
 * to it, now and later; files are registered by attaching them. Requests of one piece inside the
 * region then spare the kernel the pinning of pages. Rules and results are those of
 * loop_buffers_register() (quoin/loop_io.h): above all the memory stays mapped as it is until it
 * is unregistered, and a refusal may be ignored. In the loop's thread. The region belongs to the
 * loop, not to a channel: detaching leaves it, loop_free() ends it.
 */
int disk_buffers_register(struct loop *loop, void *base, size_t length);
void disk_buffers_unregister(struct loop *loop, void *base, size_t length);

enum disk_op {
	DISK_READ,
	DISK_WRITE,
	DISK_FLUSH,
	DISK_DISCARD,	   /* contents undefined after, zero if `discard_zeroes` */
	DISK_WRITE_ZEROES, /* reads as zero after; space may be released when DISK_UNMAP is given */
};

enum disk_flags {
	DISK_FUA = 1,	/* write, write zeroes: durable on completion */
	DISK_UNMAP = 2, /* write zeroes may deallocate */
};

struct disk_request {
	enum disk_op op;
	unsigned flags;
	uint64_t offset;
	uint64_t length_bytes;
	const struct iovec *iov; /* borrowed until done() */
	unsigned iov_count;
	/*
	 * 0 or negative errno; never a partial success. -ENXIO: beyond the end, which may have
	 * come nearer. After a failed flush every later flush and FUA fails with the same error
	 * until the drive is opened anew.
	 */
	int result;
	void (*done)(struct disk_request *request);
	/* The driver's. */
	struct loop_io io;
	struct loop_job job;
	struct loop_timer timer;
	struct disk_channel *channel;
	uint64_t progress_bytes;
	struct iovec partial; /* a piece cut by a short transfer, or zeroes */
	unsigned step;
	unsigned retries;
};

/* done() is called exactly once, never from inside this function. */
void disk_submit(struct disk_channel *channel, struct disk_request *request);

#endif
