/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images that must be whole before they can be read: brought to a file of ours, whose room is taken
 * before the first byte is asked for. Programs read it by its name, which it loses as soon as they
 * have it open, so that it ends with them and a daemon that is killed leaves none. One that is
 * killed while the file is being written does leave it, and clears it away at its next start.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <quoin/base_size.h>
#include <quoin/base_text.h>
#include <quoin/codec_sha256.h>

#include "nbd_stream.h"

#define CHUNK_BYTES (256 * KiB)
#define ROOM_KEPT_BYTES (64 * MiB) /* for whoever else writes there */

int nbd_stage_room(struct nbd_source *source, struct err *err)
{
	const uint64_t wanted = source->source.original_bytes;
	char needs[SIZE_TEXT_MAX];
	char has[SIZE_TEXT_MAX];
	struct statvfs fs;
	uint64_t room;

	if (!source->staging)
		return err_set(err, -EOPNOTSUPP,
			       "%s: the server sends files only as a whole (no byte ranges), and "
			       "the format needs more: fetch it first, and name the file",
			       source->text);
	if (statvfs(source->staging, &fs) < 0)
		return err_set(err, -errno, "%s: %s", source->staging, strerror(errno));
	room = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (room >= ROOM_KEPT_BYTES && room - ROOM_KEPT_BYTES >= wanted)
		return 0;
	return err_set(err, -ENOSPC,
		       "%s must be brought to %s first, as a whole: it has %s, and %s are free "
		       "there; free some, or use a server with byte ranges, or convert it to raw",
		       source->text, source->staging, size_format(wanted, needs),
		       size_format(room, has));
}

static int file_make(struct nbd_source *source)
{
	char *path = xasprintf("%s/image-XXXXXX", source->staging);
	const int fd = mkostemp(path, O_CLOEXEC);
	int r;

	if (fd >= 0) {
		source->staged = path;
		return fd;
	}
	r = -errno;
	err_set(&source->err, r, "cannot make a file in %s: %s", source->staging, strerror(-r));
	free(path);
	return r;
}

static int write_all(struct nbd_source *source, int fd, const void *data, size_t length)
{
	const uint8_t *from = data;

	while (length > 0) {
		const ssize_t n = write(fd, from, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(&source->err, n < 0 ? -errno : -EIO, "%s: %s",
				       source->staged, strerror(n < 0 ? errno : EIO));
		from += n;
		length -= (size_t)n;
	}
	return 0;
}

static int all_write(struct nbd_source *source, struct nbd_stream *stream, int fd)
{
	struct image_source *base = &source->source;
	CLEANUP_FREE uint8_t *data = malloc(CHUNK_BYTES);
	struct codec_sha256 sha;
	uint64_t left = base->original_bytes;
	int r = data ? 0 : err_set(&source->err, -ENOMEM, "%s: out of memory", source->text);

	codec_sha256_init(&sha);
	while (r == 0 && left > 0) {
		const size_t part = (size_t)MIN((uint64_t)CHUNK_BYTES, left);

		r = nbd_stream_read(stream, data, part, &source->err);
		if (r == 0)
			r = write_all(source, fd, data, part);
		if (r == 0 && source->ask.sum)
			codec_sha256_add(&sha, data, part);
		left -= part;
		if (r == 0)
			atomic_store(&base->staged_bytes, base->original_bytes - left);
	}
	if (r == 0 && source->ask.sum) {
		codec_sha256_end(&sha, base->sum);
		base->has_sum = true;
	}
	return r;
}

int nbd_stage(struct nbd_source *source, struct nbd_stream *stream)
{
	CLEANUP_FD int fd = -1;
	int r = nbd_stage_room(source, &source->err);

	if (r < 0)
		return r;
	fd = file_make(source);
	if (fd < 0)
		return fd;
	/* File systems that cannot promise room are found out by writing. */
	if (fallocate(fd, 0, 0, (off_t)source->source.original_bytes) < 0 && errno == ENOSPC)
		return err_set(&source->err, -ENOSPC, "there is no room for %s in %s", source->text,
			       source->staging);
	atomic_store(&source->source.access, IMAGE_STAGED);
	nbd_stream_limit(stream, source->ask.rate_bytes);
	return all_write(source, stream, fd);
}

int nbd_stage_head(struct nbd_source *source, struct nbd_stream *stream)
{
	CLEANUP_FD int fd = -1;
	const void *data = NULL;
	size_t length = 0;
	int r = nbd_stream_peek(stream, &data, &length, &source->err);

	if (r < 0)
		return r;
	fd = file_make(source);
	return fd < 0 ? fd : write_all(source, fd, data, length);
}

void nbd_stage_forget(struct nbd_source *source)
{
	if (source->staged)
		unlink(source->staged);
	free(source->staged);
	source->staged = NULL;
}
