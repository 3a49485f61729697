/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens and closes files and block devices: one open file description per drive, locked so that
 * no second writer exists, be it in this process, in another, or a mounted file system.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <quoin/base_assert.h>
#include <quoin/base_log.h>
#include <quoin/base_math.h>
#include <quoin/base_text.h>

#include "file.h"

/*
 * A drive whose last user was killed a moment ago may still look busy: the kernel lets go of a
 * dead process's io_uring, and with it of the open file, later than of the process.
 */
#define BUSY_RETRIES 100
#define BUSY_RETRY_NS 5000000
/* And Linux 6.1 keeps a file that was registered with a ring for up to a second (quoin/loop_io.h).
 */
#define EXCLUSIVE_RETRIES 300

int disk_file_open_failed(const char *path, int code, bool read_only, struct err *err)
{
	switch (code) {
	case ENOENT:
		return err_set(err, -code,
			       "cannot open %s: it does not exist; create it first, or "
			       "correct the path",
			       path);
	case EACCES:
	case EPERM:
		return err_set(err, -code,
			       "cannot open %s for %s: permission denied; change its "
			       "owner or mode, or open it read-only",
			       path, read_only ? "reading" : "writing");
	case EROFS:
		return err_set(err, -code,
			       "cannot open %s for writing: it is on a read-only file system; "
			       "open it read-only",
			       path);
	case EBUSY:
		return err_set(err, -code,
			       "cannot open %s: it is in use (mounted, part of another volume, or "
			       "open in another program); release it there first",
			       path);
	case ENXIO:
	case ENOMEDIUM:
		return err_set(err, -code,
			       "cannot open %s: there is no device or medium behind "
			       "it; attach one first",
			       path);
	default:
		return err_set(err, -code, "cannot open %s: %s; correct that first", path,
			       strerror(code));
	}
}

int disk_file_kind_check(const char *path, mode_t mode, struct err *err)
{
	if (S_ISREG(mode) || S_ISBLK(mode))
		return 0;
	if (S_ISDIR(mode))
		return err_set(err, -EISDIR,
			       "cannot use %s: it is a directory; name a file or a block device",
			       path);
	return err_set(err, -ENOTBLK,
		       "cannot use %s: it is neither a regular file nor a block device; name one "
		       "of these",
		       path);
}

static int descriptor_open(const char *path, int flags)
{
	int fd;

	do
		fd = open(path, flags | O_CLOEXEC | O_NOCTTY | O_LARGEFILE);
	while (fd < 0 && errno == EINTR);
	return fd < 0 ? -errno : fd;
}

/* Opens with O_DIRECT where wanted and possible. Returns a descriptor or negative errno. */
static int direct_open(const char *path, int flags, bool direct)
{
	int fd;

	if (!direct)
		return descriptor_open(path, flags);
	fd = descriptor_open(path, flags | O_DIRECT);
	if (fd != -EINVAL)
		return fd;
	log_debug("%s: its file system refuses direct I/O; using the page cache", path);
	return descriptor_open(path, flags);
}

/*
 * Locks the whole file. An OFD lock belongs to the open file description, so it also keeps out a
 * second open in this process, and dies with it.
 */
static int lock(int fd, const char *path, bool read_only, struct err *err)
{
	const struct timespec pause = {.tv_nsec = BUSY_RETRY_NS};
	struct flock whole = {
		.l_type = read_only ? F_RDLCK : F_WRLCK,
		.l_whence = SEEK_SET,
	};

	for (unsigned i = 0; i < BUSY_RETRIES; i++) {
		if (fcntl(fd, F_OFD_SETLK, &whole) == 0)
			return 0;
		if (errno != EAGAIN && errno != EACCES)
			break;
		nanosleep(&pause, NULL);
	}
	if (errno == EAGAIN || errno == EACCES)
		return err_set(err, -EBUSY,
			       "cannot open %s: it is in use (locked by another target, a virtual "
			       "machine or another program); release it there first",
			       path);
	return err_set(err, -errno, "cannot lock %s: %s; use a file system with locks", path,
		       strerror(errno));
}

/*
 * O_EXCL on a block device cannot be given back by hand as a lock can, so a device that was closed
 * a moment ago may still look busy: try again for a little while.
 */
static int exclusive_open(const char *path, int flags, bool direct)
{
	const struct timespec pause = {.tv_nsec = BUSY_RETRY_NS};
	int fd = direct_open(path, flags, direct);

	for (unsigned i = 0; fd == -EBUSY && i < EXCLUSIVE_RETRIES; i++) {
		nanosleep(&pause, NULL);
		fd = direct_open(path, flags, direct);
	}
	return fd;
}

static int open_and_lock(struct file_disk *disk, const struct disk_open_params *params,
			 struct err *err)
{
	const char *path = disk->disk.name;
	int flags = params->read_only ? O_RDONLY : O_RDWR;
	struct stat st;
	int r;

	if (stat(path, &st) < 0)
		return disk_file_open_failed(path, errno, params->read_only, err);
	r = disk_file_kind_check(path, st.st_mode, err);
	if (r < 0)
		return r;
	if (S_ISBLK(st.st_mode) && !params->shared)
		flags |= O_EXCL;
	r = exclusive_open(path, flags, !params->no_direct);
	if (r < 0)
		return disk_file_open_failed(path, -r, params->read_only, err);
	disk->fd = r;
	if (fstat(disk->fd, &st) < 0)
		return disk_file_open_failed(path, errno, params->read_only, err);
	r = disk_file_kind_check(path, st.st_mode, err);
	if (r < 0)
		return r;
	disk->disk.info.kind = S_ISBLK(st.st_mode) ? DISK_BLOCK_DEVICE : DISK_FILE;
	if (params->shared || disk->disk.info.kind == DISK_BLOCK_DEVICE)
		return 0;
	return lock(disk->fd, path, params->read_only, err);
}

/*
 * A close alone may come late: the kernel keeps the open file until the ring has taken leave of
 * its last I/O, which can be a turn of the loop after its completion (quoin/loop_io.h).
 */
static void unlock(int fd)
{
	struct flock whole = {.l_type = F_UNLCK, .l_whence = SEEK_SET};

	if (fd >= 0 && fcntl(fd, F_OFD_SETLK, &whole) < 0)
		log_debug("cannot unlock: %s", strerror(errno));
}

static void file_close(struct disk *base)
{
	struct file_disk *disk = container_of(base, struct file_disk, disk);

	if (disk->zeroes)
		munmap((void *)(uintptr_t)disk->zeroes, FILE_ZEROES_BYTES);
	if (disk->disk.info.kind == DISK_FILE)
		unlock(disk->fd);
	base_close(&disk->fd);
	free(disk->disk.name);
	free(disk);
}

static int file_refresh(struct disk *base)
{
	struct file_disk *disk = container_of(base, struct file_disk, disk);
	uint64_t size;
	const int r = disk_file_size(disk, &size);

	if (r < 0)
		return r;
	base->info.size_bytes = size;
	atomic_store(&disk->size_now, size);
	return 0;
}

static int file_resize(struct disk *base, uint64_t size_bytes)
{
	struct file_disk *disk = container_of(base, struct file_disk, disk);

	if (base->info.kind != DISK_FILE)
		return -ENOTSUP;
	if (base->info.read_only)
		return -EROFS;
	if (size_bytes == 0 || !is_aligned(size_bytes, base->info.logical_block_bytes))
		return -EINVAL;
	if (size_bytes > INT64_MAX)
		return -EFBIG;
	/* Shrinking: nobody may start I/O beyond the new end, or a write would undo it. */
	if (size_bytes < atomic_load(&disk->size_now))
		atomic_store(&disk->size_now, size_bytes);
	if (ftruncate(disk->fd, (off_t)size_bytes) < 0) {
		const int code = -errno;

		atomic_store(&disk->size_now, base->info.size_bytes);
		return code;
	}
	return file_refresh(base);
}

static int file_attach(struct disk *base, struct loop *loop, struct disk_channel **ret_channel)
{
	struct file_channel *channel = calloc(1, sizeof(*channel));

	if (!channel)
		return -ENOMEM;
	channel->file = loop_file_register(loop, container_of(base, struct file_disk, disk)->fd);
	*ret_channel = &channel->channel;
	return 0;
}

static void file_detach(struct disk_channel *base)
{
	struct file_channel *channel = container_of(base, struct file_channel, channel);

	loop_file_unregister(base->loop, channel->file);
	free(channel);
}

static const struct disk_ops file_ops = {
	.close = file_close,
	.refresh = file_refresh,
	.resize = file_resize,
	.attach = file_attach,
	.detach = file_detach,
	.submit = disk_file_submit,
};

static int prepare(struct file_disk *disk, const struct disk_open_params *params, struct err *err)
{
	void *zeroes;
	int r = open_and_lock(disk, params, err);

	if (r < 0)
		return r;
	disk->disk.info.read_only = params->read_only;
	r = disk_file_identify(disk, err);
	if (r < 0)
		return r;
	atomic_store(&disk->size_now, disk->disk.info.size_bytes);
	zeroes = mmap(NULL, FILE_ZEROES_BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (zeroes == MAP_FAILED)
		return err_set(err, -ENOMEM, "cannot open %s: out of memory", disk->disk.name);
	disk->zeroes = zeroes;
	return 0;
}

int disk_open(const char *path, const struct disk_open_params *params, struct disk **ret_disk,
	      struct err *err)
{
	struct file_disk *disk = xcalloc(1, sizeof(*disk));
	int r;

	disk->disk.ops = &file_ops;
	disk->disk.name = xstrdup(path);
	disk->fd = -1;
	r = prepare(disk, params, err);
	if (r < 0) {
		file_close(&disk->disk);
		return r;
	}
	*ret_disk = &disk->disk;
	return 0;
}
