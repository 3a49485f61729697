/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the state directory: read, checked, replaced; see state.h. */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <quoin/base_assert.h>
#include <quoin/base_text.h>

#define VERSION 1
#define FILE_MAX (64 * 1024 * 1024)

/* 1: there is one, and *ret_text is the caller's. 0: there is none. */
static int file_read(int directory_fd, const char *name, char **ret_text, size_t *ret_length)
{
	CLEANUP_FD int fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	size_t length = 0;
	char *text;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX)
		return -EUCLEAN;
	text = xmalloc((size_t)st.st_size + 1);
	while (length < (size_t)st.st_size) {
		const ssize_t n = read(fd, text + length, (size_t)st.st_size - length);

		if (n <= 0)
			break;
		length += (size_t)n;
	}
	*ret_text = text;
	*ret_length = length;
	return 1;
}

int eve_state_save(int directory_fd, const char *name, const char *text)
{
	char temporary[64];
	CLEANUP_FD int fd = -1;
	const size_t length = strlen(text);
	int r = 0;

	snprintf(temporary, sizeof(temporary), "%s.new", name);
	fd = openat(directory_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	for (size_t done = 0; r == 0 && done < length;) {
		const ssize_t n = write(fd, text + done, length - done);

		if (n < 0 && errno != EINTR)
			r = -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r == 0 && renameat(directory_fd, temporary, directory_fd, name) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(directory_fd, temporary, 0);
	else if (fsync(directory_fd) < 0)
		r = -errno;
	return r;
}

/* --- Settings ------------------------------------------------------------------------------- */

static int root_decode(const json_t *root, struct eve_config *config, struct err *err)
{
	const json_t *version = json_object_get(root, "version");

	if (!json_is_integer(version) || json_integer_value(version) < 1)
		return err_set(err, -EUCLEAN, "it has no version");
	if (json_integer_value(version) > VERSION)
		return err_set(err, -EPROTO,
			       "it has version %lld, this quoind reads up to %d: use the newer "
			       "quoind",
			       (long long)json_integer_value(version), VERSION);
	return eve_config_change(config, json_object_get(root, "eve"), err) < 0 ? -EUCLEAN : 0;
}

int eve_state_decode(const char *text, size_t length, struct eve_config *config, struct err *err)
{
	json_error_t where;
	json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &where);
	int r = root ? root_decode(root, config, err) : err_set(err, -EUCLEAN, "%s", where.text);

	json_decref(root);
	return r;
}

int eve_state_load(int directory_fd, struct eve_config *config, struct err *err)
{
	CLEANUP_FREE char *text = NULL;
	size_t length = 0;
	int r = file_read(directory_fd, EVE_STATE_FILE, &text, &length);

	if (r == 0)
		return 0;
	if (r < 0)
		return err_set(err, r, "cannot read " EVE_STATE_FILE ": %s", strerror(-r));
	r = eve_state_decode(text, length, config, err);
	if (r < 0)
		err_prefix(err, EVE_STATE_FILE " in the state directory is damaged (repair it, or "
					       "move it away to start without telling EVE)");
	return r;
}

int eve_state_store(int directory_fd, const struct eve_config *config, struct err *err)
{
	json_t *root =
		json_pack("{s:i, s:o}", "version", VERSION, "eve", eve_config_encode(config));
	CLEANUP_FREE char *text = json_dumps(root, JSON_INDENT(2) | JSON_SORT_KEYS);
	int r;

	ASSERT(text != NULL);
	json_decref(root);
	r = eve_state_save(directory_fd, EVE_STATE_FILE, text);
	if (r < 0)
		return err_set(err, r, "cannot save " EVE_STATE_FILE ": %s", strerror(-r));
	return 0;
}

/* --- Counters ------------------------------------------------------------------------------- */

void eve_state_load_totals(int directory_fd, struct eve_totals *totals, char *problem, size_t size)
{
	CLEANUP_FREE char *text = NULL;
	size_t length = 0;
	int r = file_read(directory_fd, EVE_TOTALS_FILE, &text, &length);

	if (r > 0)
		r = eve_totals_decode(totals, text, length);
	if (r < 0)
		snprintf(problem, size, "counters begin anew: cannot read " EVE_TOTALS_FILE ": %s",
			 r == -EUCLEAN ? "it is damaged" : strerror(-r));
}
