/* SPDX-License-Identifier: Apache-2.0 */
/* The files of the journal; see events_file.h. */
#include "events_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <quoin/base_text.h>

#define NOW "events.log"
#define BEFORE "events.1"
#define READ_MAX (8 * 1024 * 1024) /* of a file; more was not written by us */

struct load {
	void (*take)(void *data, const struct health_event *event);
	void *data;
	uint64_t skipped;
	size_t whole; /* up to here lines have their ends */
};

static void lines_take(struct load *load, const char *text, size_t length)
{
	size_t at = 0;

	while (at < length) {
		const char *end = memchr(text + at, '\n', length - at);
		struct health_event event;

		if (!end)
			break;
		if (health_event_decode(text + at, (size_t)(end - text) - at, &event) == 0)
			load->take(load->data, &event);
		else
			load->skipped++;
		at = (size_t)(end - text) + 1;
	}
	load->whole = at;
}

/* As much of the file as there is, up to READ_MAX. */
static char *bytes_read(int fd, size_t *ret_length)
{
	struct stat st;
	size_t length = 0;
	size_t wanted;
	char *bytes;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > READ_MAX)
		return NULL;
	wanted = (size_t)st.st_size;
	bytes = malloc(wanted + 1);
	while (bytes && length < wanted) {
		const ssize_t n = read(fd, bytes + length, wanted - length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		length += (size_t)n;
	}
	*ret_length = length;
	return bytes;
}

static void file_load(int directory_fd, const char *name, struct load *load)
{
	CLEANUP_FD int fd =
		openat(directory_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	CLEANUP_FREE char *bytes = NULL;
	size_t length = 0;

	load->whole = 0;
	if (fd < 0)
		return;
	bytes = bytes_read(fd, &length);
	if (bytes)
		lines_take(load, bytes, length);
	else
		load->skipped++;
}

uint64_t events_file_load(struct events_file *file,
			  void (*take)(void *data, const struct health_event *event), void *data)
{
	struct load load = {.take = take, .data = data};

	file_load(file->directory_fd, BEFORE, &load);
	file_load(file->directory_fd, NOW, &load);
	file->bytes = load.whole;
	return load.skipped;
}

/* What follows the whole lines goes: it is the torn end of one, or no file of ours. */
static int file_open(struct events_file *file)
{
	struct stat st;

	file->fd = openat(file->directory_fd, NOW,
			  O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (file->fd < 0)
		return -errno;
	if (fstat(file->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		events_file_close(file);
		return -EINVAL;
	}
	file->bytes = MIN(file->bytes, (uint64_t)st.st_size);
	if ((uint64_t)st.st_size > file->bytes && ftruncate(file->fd, (off_t)file->bytes) < 0) {
		events_file_close(file);
		return -EIO;
	}
	return 0;
}

static int file_turn(struct events_file *file)
{
	events_file_close(file);
	if (renameat(file->directory_fd, NOW, file->directory_fd, BEFORE) < 0 && errno != ENOENT)
		return -errno;
	file->bytes = 0;
	return file_open(file);
}

static int all_write(int fd, const char *bytes, size_t length, off_t at)
{
	while (length > 0) {
		const ssize_t n = pwrite(fd, bytes, length, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		bytes += n;
		at += n;
		length -= (size_t)n;
	}
	return fdatasync(fd) < 0 ? -errno : 0;
}

int events_file_write(struct events_file *file, const char *lines, size_t length)
{
	int r = file->fd < 0 ? file_open(file) : 0;

	if (r == 0 && file->bytes > 0 && file->bytes + length > file->bytes_max)
		r = file_turn(file);
	if (r < 0)
		return r;
	r = all_write(file->fd, lines, length, (off_t)file->bytes);
	if (r == 0) {
		file->bytes += length;
		return 0;
	}
	/* Opened anew for the next try, which cuts off what is there of these lines. */
	if (ftruncate(file->fd, (off_t)file->bytes) < 0)
		events_file_close(file);
	return r;
}

void events_file_close(struct events_file *file)
{
	base_close(&file->fd);
}
