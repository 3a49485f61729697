/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory with the newest message about each object, a file each:
 *
 *   info-device, info-volume-UUID, metrics, hardwarehealth      with .pb or .json behind
 *
 * A file is written beside and renamed, so who reads it finds a whole one. It is not made durable:
 * all are written anew at the next start. The file of a volume that is gone says so; it goes when
 * nothing more is known of that volume.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <quoin/base_text.h>
#include <quoin/control_spec.h>

#include "private.h"

#define TEMPORARY ".quoin-new"
#define VOLUME "info-volume-"

static const char *suffix(const struct eve_sink *sink)
{
	return sink->config.format == EVE_JSON ? ".json" : ".pb";
}

static int write_all(int fd, const struct eve_bytes *bytes)
{
	size_t done = 0;

	while (done < bytes->length) {
		const ssize_t n = write(fd, bytes->data + done, bytes->length - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (size_t)n;
	}
	return 0;
}

static int file_replace(int directory_fd, const char *name, const struct eve_bytes *bytes)
{
	CLEANUP_FD int fd = openat(directory_fd, TEMPORARY,
				   O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	int r = fd < 0 ? -errno : write_all(fd, bytes);

	if (r == 0 && renameat(directory_fd, TEMPORARY, directory_fd, name) < 0)
		r = -errno;
	if (r < 0 && fd >= 0)
		unlinkat(directory_fd, TEMPORARY, 0);
	return r;
}

/* --- Files of what is not known any more ---------------------------------------------------- */

/* True: it is a file about a volume, whose GUID is returned. */
static bool name_decode(const struct eve_sink *sink, const char *name, uint8_t ret_guid[16])
{
	const size_t begin = sizeof(VOLUME) - 1;
	char uuid[CONTROL_UUID_TEXT_MAX];
	const size_t length = sizeof(uuid) - 1;

	if (strncmp(name, VOLUME, begin) != 0 || strlen(name) <= begin + length ||
	    strcmp(name + begin + length, suffix(sink)) != 0)
		return false;
	snprintf(uuid, sizeof(uuid), "%s", name + begin);
	return control_uuid_parse(uuid, ret_guid) == 0;
}

static bool is_known(struct eve *eve, const uint8_t guid[16])
{
	bool known;

	pthread_mutex_lock(&eve->lock);
	known = eve_totals_find(&eve->look.totals, guid) != NULL;
	pthread_mutex_unlock(&eve->lock);
	return known;
}

static void sweep(struct eve_sink *sink, int directory_fd)
{
	const int fd = fcntl(directory_fd, F_DUPFD_CLOEXEC, 0);
	DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;
	uint8_t guid[16];

	if (!directory) {
		if (fd >= 0)
			close(fd);
		return;
	}
	rewinddir(directory);
	while ((entry = readdir(directory))) {
		if (name_decode(sink, entry->d_name, guid) && !is_known(sink->eve, guid))
			unlinkat(directory_fd, entry->d_name, 0);
	}
	closedir(directory);
}

/* --- Delivery ------------------------------------------------------------------------------- */

/* One that is missing is made, but not the one above it. */
static int directory_open(const char *path, struct err *err)
{
	int fd;

	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return err_set(err, -errno, "cannot make directory %.100s: %s", path,
			       strerror(errno));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 ? fd
		       : err_set(err, -errno, "cannot open directory %.100s: %s", path,
				 strerror(errno));
}

static enum eve_outcome file_put(void *data, const struct eve_item *item, struct err *err)
{
	struct eve_sink *sink = data;
	CLEANUP_FD int fd = directory_open(sink->config.directory, err);
	char name[NAME_MAX + 1];
	int r;

	if (fd < 0)
		return EVE_FAILED;
	if (item->object->is_volume)
		snprintf(name, sizeof(name), VOLUME "%s%s", item->key, suffix(sink));
	else
		snprintf(name, sizeof(name), "%s%s%s", item->kind == EVE_KIND_INFO ? "info-" : "",
			 item->key, suffix(sink));
	r = file_replace(fd, name, &item->message);
	if (r < 0) {
		err_set(err, r, "cannot write %.100s/%s: %s", sink->config.directory, name,
			strerror(-r));
		return EVE_FAILED;
	}
	if (item->kind == EVE_KIND_INFO && !item->object->is_volume)
		sweep(sink, fd);
	return EVE_TAKEN;
}

void *eve_directory_main(void *sink)
{
	const struct eve_delivery delivery = {file_put, sink};

	eve_sink_run(sink, &delivery);
	return NULL;
}
