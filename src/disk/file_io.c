/* SPDX-License-Identifier: Apache-2.0 */
/*
 * I/O on files and block devices. A request is a small machine: each step hands one operation to
 * the loop, and its completion decides the next one.
 *
 *   operation       steps
 *   read            TRANSFER until all bytes are there
 *   write           TRANSFER (FUA: RWF_DSYNC on each)
 *   flush           SYNC
 *   discard         file: PUNCH; block device: IOCTL (BLKDISCARD, off the loop: it blocks)
 *   write zeroes    PUNCH (UNMAP only) -> ZERO_RANGE -> ZERO_WRITE, each where the one before
 *                   it is not supported; then, with FUA, SYNC
 *
 * Why discards differ: on a file a punched hole is free, certain, and reads zero. On a block
 * device the same fallocate() means "zero it", which a drive without deallocating zeroes would do
 * by writing; BLKDISCARD is the plain hint, and its result is undefined (info.discard_zeroes).
 *
 * Why a failed flush is for ever: the kernel reports a write-back error once and then marks the
 * pages clean, and a drive may drop its cache after a failed flush. A later fdatasync() that
 * returns 0 says nothing about the data lost before, so to pass its success on would be a lie.
 * Only a new open, with whoever owns the data knowing, starts afresh.
 *
 * A drive that shrinks, a file that others truncate: reads see it at once (a short transfer). A
 * write beyond the new end would grow the file again, with zeroes where data was; so before writing
 * the size is looked at, once in FILE_LOOK_NS, without asking a server. What is beyond the end
 * fails with -ENXIO.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/stat.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <quoin/base_assert.h>
#include <quoin/base_log.h>
#include <quoin/base_math.h>

#include "file.h"

enum file_step {
	STEP_TRANSFER,
	STEP_SYNC,
	STEP_PUNCH,
	STEP_ZERO_RANGE,
	STEP_ZERO_WRITE,
	STEP_IOCTL,
};

static void step_start(struct disk_request *request, enum file_step step);

static struct file_disk *disk_of(const struct disk_request *request)
{
	return container_of(request->channel->disk, struct file_disk, disk);
}

/* --- Truncation ---------------------------------------------------------------------------- */

/* The length now, as far as this machine knows it: no server is asked. */
static int size_known(const struct file_disk *disk, uint64_t *ret_bytes)
{
	struct statx st;

	if (disk->disk.info.kind == DISK_BLOCK_DEVICE)
		return disk_file_size(disk, ret_bytes);
	if (statx(disk->fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_SIZE, &st) < 0)
		return -errno;
	*ret_bytes = align_down(st.stx_size, disk->disk.info.logical_block_bytes);
	return 0;
}

/* Looks whether the drive became shorter. Never makes it longer: that is disk_refresh()'s. */
static void size_look(struct file_disk *disk)
{
	uint64_t known = atomic_load_explicit(&disk->size_now, memory_order_relaxed);
	uint64_t size;

	if (size_known(disk, &size) < 0 || size >= known)
		return;
	log_debug("%s: became shorter, %llu of %llu bytes are left", disk->disk.name,
		  (unsigned long long)size, (unsigned long long)known);
	/* Loses against a refresh at the same time, which has a newer look. */
	atomic_compare_exchange_strong(&disk->size_now, &known, size);
}

static bool beyond_end(const struct file_disk *disk, const struct disk_request *request)
{
	return !range_within(request->offset, request->length_bytes,
			     atomic_load_explicit(&disk->size_now, memory_order_relaxed));
}

/* --- The end of a request ------------------------------------------------------------------ */

static void flush_failed(struct file_disk *disk, int result)
{
	int none = 0;

	if (atomic_compare_exchange_strong(&disk->flush_error, &none, result))
		log_debug("%s: a flush failed (%d); from here on all of them will", disk->disk.name,
			  result);
}

/*
 * A write with RWF_DSYNC can also report, and thereby use up, an error of an earlier write-back
 * or of the drive's cache. A plain lack of space on the direct path is the write's own.
 */
static bool means_lost_data(const struct file_disk *disk, int result)
{
	const bool space = result == -ENOSPC || result == -EDQUOT || result == -EFBIG;

	return !(disk->disk.info.direct && (space || result == -ENXIO || result == -EINVAL));
}

static void request_finish(struct disk_request *r, int result)
{
	struct file_disk *disk = disk_of(r);

	if (UNLIKELY(result < 0) && (r->op == DISK_FLUSH || r->step == STEP_SYNC))
		flush_failed(disk, result);
	else if (UNLIKELY(result < 0) && (r->flags & DISK_FUA) && means_lost_data(disk, result))
		flush_failed(disk, result);
	disk_request_end(r, result);
}

/* The work is done; FUA of operations without RWF_DSYNC still needs its sync. */
static void request_durable(struct disk_request *r)
{
	if (r->op == DISK_WRITE_ZEROES && (r->flags & DISK_FUA))
		step_start(r, STEP_SYNC);
	else
		request_finish(r, 0);
}

/* --- Completions --------------------------------------------------------------------------- */

static void transfer_done(struct disk_request *r, int result)
{
	struct file_disk *disk = disk_of(r);

	if (result <= 0) {
		size_look(disk);
		request_finish(r, beyond_end(disk, r) ? -ENXIO : result < 0 ? result : -EIO);
		return;
	}
	ASSERT_U64(result, <=, r->length_bytes - r->progress_bytes);
	r->progress_bytes += (unsigned)result;
	if (LIKELY(r->progress_bytes == r->length_bytes)) {
		request_durable(r);
		return;
	}
	/* Short. A file that ends inside the request is refused before an odd offset is tried. */
	size_look(disk);
	if (beyond_end(disk, r))
		request_finish(r, -ENXIO);
	else
		step_start(r, r->step);
}

static bool unsupported(int result)
{
	return result == -EOPNOTSUPP || result == -ENOSYS || result == -ENODEV;
}

static void fallocate_done(struct disk_request *r, int result)
{
	struct file_disk *disk = disk_of(r);

	if (result >= 0) {
		request_durable(r);
	} else if (!unsupported(result)) {
		request_finish(r, result);
	} else if (r->op == DISK_DISCARD) {
		/* Only a hint. */
		request_finish(r, 0);
	} else if (r->step == STEP_PUNCH) {
		atomic_store_explicit(&disk->punch_refused, true, memory_order_relaxed);
		step_start(r, STEP_ZERO_RANGE);
	} else {
		atomic_store_explicit(&disk->zero_range_refused, true, memory_order_relaxed);
		step_start(r, STEP_ZERO_WRITE);
	}
}

static void io_done(struct loop_io *io)
{
	struct disk_request *r = container_of(io, struct disk_request, io);
	const int result = io->result;

	if (UNLIKELY(result == -EINTR || result == -EAGAIN) && r->retries < FILE_RETRIES_MAX) {
		r->retries++;
		step_start(r, r->step);
		return;
	}
	switch ((enum file_step)r->step) {
	case STEP_TRANSFER:
	case STEP_ZERO_WRITE:
		transfer_done(r, result);
		return;
	case STEP_SYNC:
		request_finish(r, result < 0 ? result : 0);
		return;
	case STEP_PUNCH:
	case STEP_ZERO_RANGE:
		fallocate_done(r, result);
		return;
	case STEP_IOCTL:
		break;
	}
	UNREACHABLE();
}

/* --- BLKDISCARD ---------------------------------------------------------------------------- */

static void discard_work(struct loop_job *job)
{
	struct disk_request *r = container_of(job, struct disk_request, job);
	uint64_t range[2] = {r->offset, r->length_bytes};

	r->result = ioctl(disk_of(r)->fd, BLKDISCARD, range) < 0 ? -errno : 0;
}

static void discard_done(struct loop_job *job)
{
	struct disk_request *r = container_of(job, struct disk_request, job);

	request_finish(r, unsupported(r->result) ? 0 : r->result);
}

/* --- Starting a step ----------------------------------------------------------------------- */

/* Points the I/O at what is left of the pieces after progress_bytes. */
static void transfer_aim(struct disk_request *r)
{
	uint64_t skip = r->progress_bytes;
	unsigned i = 0;

	while (skip > 0 && skip >= r->iov[i].iov_len)
		skip -= r->iov[i++].iov_len;
	if (skip == 0) {
		r->io.iov = r->iov + i;
		r->io.iov_count = r->iov_count - i;
		return;
	}
	/* The rest of a cut piece goes alone; the pieces after it follow. */
	r->partial.iov_base = (char *)r->iov[i].iov_base + skip;
	r->partial.iov_len = r->iov[i].iov_len - skip;
	r->io.iov = &r->partial;
	r->io.iov_count = 1;
}

static void zero_write_aim(struct disk_request *r)
{
	r->partial.iov_base = (void *)(uintptr_t)disk_of(r)->zeroes;
	r->partial.iov_len = MIN(r->length_bytes - r->progress_bytes, (uint64_t)FILE_ZEROES_BYTES);
	r->io.iov = &r->partial;
	r->io.iov_count = 1;
}

static void step_start(struct disk_request *r, enum file_step step)
{
	struct loop_io *io = &r->io;

	r->step = step;
	io->done = io_done;
	io->fd = disk_of(r)->fd;
	io->file = container_of(r->channel, struct file_channel, channel)->file;
	io->flags = 0;
	io->offset = r->offset + r->progress_bytes;
	io->length_bytes = r->length_bytes;
	switch (step) {
	case STEP_TRANSFER:
		io->op = r->op == DISK_READ ? LOOP_IO_READV : LOOP_IO_WRITEV;
		if (r->op == DISK_WRITE && (r->flags & DISK_FUA))
			io->flags = RWF_DSYNC;
		transfer_aim(r);
		break;
	case STEP_SYNC:
		io->op = LOOP_IO_FDATASYNC;
		break;
	case STEP_PUNCH:
		io->op = LOOP_IO_FALLOCATE;
		io->flags = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
		break;
	case STEP_ZERO_RANGE:
		io->op = LOOP_IO_FALLOCATE;
		io->flags = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;
		break;
	case STEP_ZERO_WRITE:
		io->op = LOOP_IO_WRITEV;
		zero_write_aim(r);
		break;
	case STEP_IOCTL:
		r->job.work = discard_work;
		r->job.done = discard_done;
		loop_offload(r->channel->loop, &r->job);
		return;
	}
	loop_io_submit(r->channel->loop, io);
}

static enum file_step zeroes_step(const struct file_disk *disk, unsigned flags)
{
	if ((flags & DISK_UNMAP) &&
	    !atomic_load_explicit(&disk->punch_refused, memory_order_relaxed))
		return STEP_PUNCH;
	if (!atomic_load_explicit(&disk->zero_range_refused, memory_order_relaxed))
		return STEP_ZERO_RANGE;
	return STEP_ZERO_WRITE;
}

static enum file_step first_step(const struct file_disk *disk, const struct disk_request *r)
{
	switch (r->op) {
	case DISK_READ:
	case DISK_WRITE:
		return STEP_TRANSFER;
	case DISK_FLUSH:
		return STEP_SYNC;
	case DISK_DISCARD:
		return disk->disk.info.kind == DISK_BLOCK_DEVICE ? STEP_IOCTL : STEP_PUNCH;
	case DISK_WRITE_ZEROES:
		return zeroes_step(disk, r->flags);
	}
	UNREACHABLE();
}

/* 0, or why the request is refused. */
static int refusal(struct file_channel *channel, struct file_disk *disk, struct disk_request *r)
{
	const bool changes = r->op != DISK_READ && r->op != DISK_FLUSH;

	if (r->op == DISK_FLUSH || (r->flags & DISK_FUA)) {
		const int lost = atomic_load_explicit(&disk->flush_error, memory_order_relaxed);

		if (UNLIKELY(lost < 0) && r->op != DISK_READ)
			return lost;
	}
	if (r->op == DISK_FLUSH)
		return 0;
	if (UNLIKELY(!is_aligned(r->offset | r->length_bytes, disk->disk.info.logical_block_bytes)))
		return -EINVAL;
	if (changes && disk->disk.info.read_only)
		return -EROFS;
	if (changes && loop_now_ns(channel->channel.loop) >= channel->look_again_ns) {
		channel->look_again_ns = loop_now_ns(channel->channel.loop) + FILE_LOOK_NS;
		size_look(disk);
	}
	return UNLIKELY(beyond_end(disk, r)) ? -ENXIO : 0;
}

void disk_file_submit(struct disk_channel *base, struct disk_request *request)
{
	struct file_channel *channel = container_of(base, struct file_channel, channel);
	struct file_disk *disk = container_of(base->disk, struct file_disk, disk);
	const int refused = refusal(channel, disk, request);

	request->progress_bytes = 0;
	request->retries = 0;
	if (UNLIKELY(refused < 0)) {
		disk_request_end_later(request, refused);
		return;
	}
	step_start(request, first_step(disk, request));
}
