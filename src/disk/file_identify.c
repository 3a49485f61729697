/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an open file or block device is able to do: sizes, alignments, caches. Sources, best
 * first: statx(STATX_DIOALIGN) of Linux 6.1, the BLK* ioctls, the queue directory in sysfs, and
 * for direct I/O on older kernels one trial read.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <quoin/base_log.h>
#include <quoin/base_math.h>

#include "file.h"

#define BLOCK_MIN 512U
#define BLOCK_MAX 4096U

static bool direct_now(int fd)
{
	const int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && (flags & O_DIRECT) != 0;
}

static int direct_off(struct file_disk *disk)
{
	const int flags = fcntl(disk->fd, F_GETFL);

	log_debug("%s: direct I/O is not possible here; using the page cache", disk->disk.name);
	if (flags < 0 || fcntl(disk->fd, F_SETFL, flags & ~O_DIRECT) < 0)
		return -errno;
	return 0;
}

int disk_file_size(const struct file_disk *disk, uint64_t *ret_bytes)
{
	const uint64_t block = disk->disk.info.logical_block_bytes;
	uint64_t size;

	if (disk->disk.info.kind == DISK_BLOCK_DEVICE) {
		if (ioctl(disk->fd, BLKGETSIZE64, &size) < 0)
			return -errno;
	} else {
		struct stat st;

		if (fstat(disk->fd, &st) < 0)
			return -errno;
		size = (uint64_t)st.st_size;
	}
	*ret_bytes = align_down(size, block);
	return 0;
}

/* The alignments of direct I/O as the kernel states them. False: it does not say. */
static bool stated_alignment(int fd, uint32_t *ret_offset, uint32_t *ret_memory)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &st) < 0)
		return false;
	if (!(st.stx_mask & STATX_DIOALIGN))
		return false;
	*ret_offset = st.stx_dio_offset_align;
	*ret_memory = st.stx_dio_mem_align;
	return true;
}

/* The smallest block a direct read accepts; 0: none does. */
static uint32_t tried_alignment(int fd)
{
	CLEANUP_FREE void *buffer = NULL;

	if (posix_memalign(&buffer, BLOCK_MAX, BLOCK_MAX) != 0)
		return 0;
	for (uint32_t block = BLOCK_MIN; block <= BLOCK_MAX; block *= 2) {
		if (pread(fd, buffer, block, block) >= 0)
			return block;
	}
	return 0;
}

/* Logical block and buffer alignment. The page cache takes anything. */
static int identify_alignment(struct file_disk *disk)
{
	struct disk_info *info = &disk->disk.info;
	uint32_t offset = 0;
	uint32_t memory = 0;

	info->direct = direct_now(disk->fd);
	if (info->direct && !stated_alignment(disk->fd, &offset, &memory)) {
		offset = tried_alignment(disk->fd);
		memory = offset;
	}
	if (info->direct && (offset == 0 || memory == 0)) {
		const int r = direct_off(disk);

		if (r < 0)
			return r;
		info->direct = false;
	}
	info->logical_block_bytes = info->direct ? MAX(BLOCK_MIN, offset) : BLOCK_MIN;
	info->dma_alignment_bytes = info->direct ? memory : 1;
	return 0;
}

/* What a file of the device's queue directory says. */
static bool queue_text(dev_t device, const char *name, char *text, size_t size)
{
	/* A partition has no queue directory; its disk, one step up, has. */
	static const char *const places[] = {"queue", "../queue"};

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		CLEANUP_FD int fd = -1;
		char path[128];
		ssize_t n;

		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s/%s", major(device),
			 minor(device), places[i], name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		n = read(fd, text, size - 1);
		if (n <= 0)
			return false;
		text[n] = '\0';
		return true;
	}
	return false;
}

static uint64_t queue_number(dev_t device, const char *name)
{
	char text[32];

	if (!queue_text(device, name, text, sizeof(text)))
		return 0;
	return strtoull(text, NULL, 10);
}

static bool writes_through(dev_t device)
{
	char cache[32];

	return queue_text(device, "write_cache", cache, sizeof(cache)) &&
	       strncmp(cache, "write through", 13) == 0;
}

static bool has_fua(dev_t device)
{
	return queue_number(device, "fua") != 0 || writes_through(device);
}

static uint32_t clamp_u32(uint64_t value)
{
	return (uint32_t)MIN(value, (uint64_t)UINT32_MAX);
}

static int identify_device(struct file_disk *disk, dev_t device)
{
	struct disk_info *info = &disk->disk.info;
	unsigned physical = 0;
	int logical = 0;

	if (ioctl(disk->fd, BLKSSZGET, &logical) < 0 || ioctl(disk->fd, BLKPBSZGET, &physical) < 0)
		return -errno;
	info->logical_block_bytes = MAX(info->logical_block_bytes, (uint32_t)logical);
	info->physical_block_bytes = physical;
	info->optimal_io_bytes = clamp_u32(queue_number(device, "optimal_io_size"));
	info->rotational = queue_number(device, "rotational") != 0;
	info->write_zeroes = queue_number(device, "write_zeroes_max_bytes") != 0;
	if (!info->read_only && queue_number(device, "discard_max_bytes") != 0)
		info->discard_granularity_bytes =
			MAX(info->logical_block_bytes,
			    clamp_u32(queue_number(device, "discard_granularity")));
	/* BLKDISCARD is a hint; who needs zeroes asks for write zeroes. */
	info->discard_zeroes = false;
	info->volatile_cache = !info->direct || !writes_through(device);
	info->fua = info->direct && has_fua(device);
	return 0;
}

/* Can holes be punched? Asked beyond the end, where it changes nothing. */
static bool can_punch(const struct file_disk *disk, off_t size)
{
	const off_t beyond = (off_t)align_up((uint64_t)size, MiB) + (off_t)MiB;

	return fallocate(disk->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, beyond, BLOCK_MAX) ==
	       0;
}

static void identify_regular(struct file_disk *disk, const struct stat *st)
{
	struct disk_info *info = &disk->disk.info;
	const uint32_t unit = is_power_of_two((uint64_t)st->st_blksize)
				      ? clamp_u32((uint64_t)st->st_blksize)
				      : BLOCK_MAX;

	/* The file system's unit: smaller writes may make it read before it writes. */
	info->physical_block_bytes = MAX(info->logical_block_bytes, MIN(unit, BLOCK_MAX));
	info->optimal_io_bytes = unit > BLOCK_MAX ? unit : 0;
	/* The drive below and the file system's own metadata: both need the flush. */
	info->volatile_cache = true;
	/* Asked of the drive below; a file system of several drives has no single one: false. */
	info->fua = info->direct && has_fua(st->st_dev);
	if (info->read_only || !can_punch(disk, st->st_size))
		return;
	info->discard_granularity_bytes = info->physical_block_bytes;
	info->discard_zeroes = true;
	info->write_zeroes = true;
}

int disk_file_identify(struct file_disk *disk, struct err *err)
{
	struct disk_info *info = &disk->disk.info;
	const char *path = disk->disk.name;
	struct stat st;
	int r = identify_alignment(disk);

	if (r == 0 && fstat(disk->fd, &st) < 0)
		r = -errno;
	if (r == 0 && info->kind == DISK_BLOCK_DEVICE)
		r = identify_device(disk, st.st_rdev);
	else if (r == 0)
		identify_regular(disk, &st);
	if (r < 0)
		return err_set(err, r, "cannot identify %s: %s", path, strerror(-r));
	if (info->logical_block_bytes > BLOCK_MAX || !is_power_of_two(info->logical_block_bytes))
		return err_set(err, -ENOTSUP,
			       "cannot use %s: its blocks have %u bytes, more than 4096; use "
			       "another drive, or the page cache",
			       path, info->logical_block_bytes);
	info->iov_max = FILE_IOV_MAX;
	info->transfer_max_bytes = FILE_TRANSFER_MAX;
	r = disk_file_size(disk, &info->size_bytes);
	if (r < 0)
		return err_set(err, r, "cannot tell the size of %s: %s", path, strerror(-r));
	if (info->size_bytes == 0)
		return err_set(err, -ENODATA,
			       "cannot use %s: it is empty (less than one block of %u bytes); give "
			       "it a size first",
			       path, info->logical_block_bytes);
	if (info->kind == DISK_FILE && (uint64_t)st.st_size != info->size_bytes)
		log_debug("%s: the last %llu bytes are no whole block and stay unused", path,
			  (unsigned long long)((uint64_t)st.st_size - info->size_bytes));
	return 0;
}
