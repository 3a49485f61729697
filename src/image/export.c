/* SPDX-License-Identifier: Apache-2.0 */
/* The file of an export: made without a name, written, made durable, named. See image_export.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <quoin/base_assert.h>
#include <quoin/base_random.h>
#include <quoin/base_size.h>
#include <quoin/base_text.h>

#include "export.h"

#define RAW_BLOCK_BYTES 4096
/* So often it is made durable on the way, so that the end does not take long and dirty pages stay
 * few. */
#define SYNC_BYTES (64 * MiB)

int image_format_parse(const char *text, enum image_format *ret_format, struct err *err)
{
	if (strcmp(text, "raw") == 0)
		*ret_format = IMAGE_RAW;
	else if (strcmp(text, "qcow2") == 0)
		*ret_format = IMAGE_QCOW2;
	else
		return err_set(err, -EINVAL, "the format must be raw or qcow2, not \"%.32s\"",
			       text);
	return 0;
}

bool image_is_zero(const uint8_t *data, size_t bytes)
{
	return data[0] == 0 && memcmp(data, data + 1, bytes - 1) == 0;
}

int image_say(const struct image_export *out, int code, const char *what, struct err *err)
{
	switch (code) {
	case -ENOSPC:
	case -EDQUOT:
		return err_set(err, code, "there is no room for %s: %s", out->path,
			       strerror(-code));
	case -EFBIG:
		return err_set(err, code, "%s would be larger than its file system takes",
			       out->path);
	case -EACCES:
	case -EPERM:
	case -EROFS:
		return err_set(err, code, "quoind may not write %s: %s", out->path,
			       strerror(-code));
	default:
		return err_set(err, code, "cannot %s %s: %s", what, out->path, strerror(-code));
	}
}

/* --- Begin -------------------------------------------------------------------------------------
 */

/* What has the name now. Links are not followed: the name is what would be replaced. */
static int name_check(const struct image_export *out, struct err *err)
{
	struct stat st;

	if (fstatat(out->directory_fd, out->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : image_say(out, -errno, "look at", err);
	if (S_ISDIR(st.st_mode))
		return err_set(err, -EISDIR, "%s is a directory: name a file in it", out->path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "%s is there and no regular file", out->path);
	if (!out->replace)
		return err_set(err, -EEXIST, "%s is there: give --force to replace it", out->path);
	return 0;
}

static int directory_open(struct image_export *out, struct err *err)
{
	char *slash = strrchr(out->path, '/');
	CLEANUP_FREE char *directory = NULL;

	if (out->path[0] != '/')
		return err_set(err, -EINVAL, "the path \"%s\" must begin with /", out->path);
	out->name = slash + 1;
	if (out->name[0] == '\0' || strcmp(out->name, ".") == 0 || strcmp(out->name, "..") == 0)
		return err_set(err, -EISDIR, "%s is a directory: name a file in it", out->path);
	directory = xstrdup(out->path);
	directory[MAX(slash - out->path, 1)] = '\0';
	out->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (out->directory_fd < 0)
		return err_set(err, -errno, "cannot open the directory %s: %s", directory,
			       strerror(errno));
	return 0;
}

static void temporary_choose(struct image_export *out)
{
	uint64_t number;

	random_system_fill(&number, sizeof(number));
	snprintf(out->temporary, sizeof(out->temporary), ".quoin-export-%016llx",
		 (unsigned long long)number);
}

static int file_make(struct image_export *out, struct err *err)
{
	out->fd = openat(out->directory_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (out->fd >= 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return image_say(out, -errno, "make", err);
	temporary_choose(out);
	out->fd = openat(out->directory_fd, out->temporary, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC,
			 0600);
	if (out->fd >= 0)
		return 0;
	out->temporary[0] = '\0';
	return image_say(out, -errno, "make", err);
}

static int begin(struct image_export *out, struct err *err)
{
	int r = directory_open(out, err);

	if (r == 0)
		r = name_check(out, err);
	if (r == 0)
		r = file_make(out, err);
	if (r < 0)
		return r;
	if (out->format == IMAGE_QCOW2)
		return image_qcow2_begin(out, err);
	if (ftruncate(out->fd, (off_t)out->size_bytes) < 0)
		return image_say(out, -errno, "make", err);
	return 0;
}

int image_export_begin(const struct image_export_params *params, struct image_export **ret_export,
		       struct err *err)
{
	struct image_export *out = xcalloc(1, sizeof(*out));
	int r;

	out->path = xstrdup(params->path);
	out->directory_fd = out->fd = -1;
	out->replace = params->replace;
	out->format = params->format;
	out->size_bytes = params->size_bytes;
	r = begin(out, err);
	if (r < 0) {
		image_export_free(out);
		return r;
	}
	*ret_export = out;
	return 0;
}

int image_export_room(const struct image_export *out, uint64_t bytes, struct err *err)
{
	char needed[SIZE_TEXT_MAX];
	char there[SIZE_TEXT_MAX];
	struct statvfs fs;
	uint64_t blocks;

	/* File systems that do not say are found out by writing. */
	if (fstatvfs(out->fd, &fs) < 0 || fs.f_frsize == 0 || fs.f_blocks == 0)
		return 0;
	blocks = geteuid() == 0 ? fs.f_bfree : fs.f_bavail;
	if (bytes / fs.f_frsize < blocks)
		return 0;
	return err_set(err, -ENOSPC, "there is no room for %s: it needs %s, and %s are free",
		       out->path, size_format(bytes, needed),
		       size_format(blocks * fs.f_frsize, there));
}

/* --- Write ------------------------------------------------------------------------------------ */

int image_write_at(struct image_export *out, uint64_t offset, const void *data, size_t bytes,
		   struct err *err)
{
	size_t done = 0;

	while (done < bytes) {
		const ssize_t n = pwrite(out->fd, (const uint8_t *)data + done, bytes - done,
					 (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return image_say(out, n < 0 ? -errno : -EIO, "write", err);
		done += (size_t)n;
	}
	out->unsynced_bytes += bytes;
	if (out->unsynced_bytes < SYNC_BYTES)
		return 0;
	out->unsynced_bytes = 0;
	return fdatasync(out->fd) < 0 ? image_say(out, -errno, "write", err) : 0;
}

static size_t run_length(const uint8_t *data, size_t bytes, bool *ret_zero)
{
	size_t end = 0;

	for (;;) {
		const size_t part = MIN((size_t)RAW_BLOCK_BYTES, bytes - end);
		const bool zero = image_is_zero(data + end, part);

		if (end > 0 && zero != *ret_zero)
			return end;
		*ret_zero = zero;
		end += part;
		if (end == bytes)
			return end;
	}
}

static int raw_write(struct image_export *out, uint64_t offset, const uint8_t *data, size_t bytes,
		     struct err *err)
{
	size_t at = 0;
	int r = 0;

	while (r == 0 && at < bytes) {
		bool zero = false;
		const size_t run = run_length(data + at, bytes - at, &zero);

		if (!zero)
			r = image_write_at(out, offset + at, data + at, run, err);
		at += run;
	}
	return r;
}

int image_export_write(struct image_export *out, uint64_t offset, const void *data, size_t bytes,
		       struct err *err)
{
	ASSERT_U64(offset % IMAGE_EXPORT_UNIT, ==, 0);
	ASSERT(offset <= out->size_bytes && bytes <= out->size_bytes - offset);
	ASSERT(bytes % IMAGE_EXPORT_UNIT == 0 || offset + bytes == out->size_bytes);
	return out->format == IMAGE_QCOW2 ? image_qcow2_write(out, offset, data, bytes, err)
					  : raw_write(out, offset, data, bytes, err);
}

/* --- Commit ----------------------------------------------------------------------------------- */

/* Gives the file without a name this one. */
static int link_as(const struct image_export *out, const char *name)
{
	char self[64];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", out->fd);
	return linkat(AT_FDCWD, self, out->directory_fd, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

static int rename_here(const struct image_export *out)
{
	const unsigned flags = out->replace ? 0 : RENAME_NOREPLACE;
	int r = renameat2(out->directory_fd, out->temporary, out->directory_fd, out->name, flags);

	/* Where that is not known, name_check() has just looked. */
	if (r < 0 && errno == EINVAL)
		r = renameat(out->directory_fd, out->temporary, out->directory_fd, out->name);
	return r < 0 ? -errno : 0;
}

static int name_it(struct image_export *out)
{
	int r = 0;

	if (out->temporary[0] == '\0' && !out->replace)
		return link_as(out, out->name);
	if (out->temporary[0] == '\0') {
		temporary_choose(out);
		r = link_as(out, out->temporary);
		if (r < 0)
			out->temporary[0] = '\0';
	}
	return r < 0 ? r : rename_here(out);
}

int image_export_commit(struct image_export *out, struct err *err)
{
	int r = 0;

	if (out->format == IMAGE_QCOW2)
		r = image_qcow2_finish(out, err);
	if (r < 0)
		return r;
	if (fsync(out->fd) < 0)
		return image_say(out, -errno, "write", err);
	r = name_check(out, err);
	if (r < 0)
		return r;
	r = name_it(out);
	if (r < 0)
		return image_say(out, r, "name", err);
	out->named = true;
	if (fsync(out->directory_fd) < 0)
		return image_say(out, -errno, "name", err);
	return 0;
}

void image_export_free(struct image_export *out)
{
	if (!out)
		return;
	if (out->temporary[0] != '\0' && !out->named)
		unlinkat(out->directory_fd, out->temporary, 0);
	base_close(&out->fd);
	base_close(&out->directory_fd);
	free(out->qcow2.l2);
	free(out->path);
	free(out);
}
