/* SPDX-License-Identifier: Apache-2.0 */
/* The state directory: lock, load, atomic save. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <quoin/base_text.h>

#include "state.h"

#define LOCK_NAME "lock"
#define JSON_FLAGS (JSON_INDENT(2) | JSON_SORT_KEYS)

static int make_parents(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		int r;

		*slash = '\0';
		r = mkdir(path, 0755);
		*slash = '/';
		if (r < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

int control_directory_make(const char *path, struct err *err)
{
	CLEANUP_FREE char *copy = xstrdup(path);
	struct stat st;
	int r;

	if (path[0] != '/')
		return err_set(err, -EINVAL, "directory \"%s\": the path must be absolute", path);
	r = make_parents(copy);
	if (r == 0 && mkdir(path, 0700) < 0 && errno != EEXIST)
		r = -errno;
	if (r < 0)
		return err_set(err, r, "cannot make directory %s: %s", path, strerror(-r));
	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
		return err_set(err, -ENOTDIR, "%s is not a directory", path);
	return 0;
}

static int lock_take(struct control_state *state, struct err *err)
{
	state->lock_fd = openat(state->directory_fd, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (state->lock_fd < 0)
		return err_set(err, -errno, "cannot open %s/%s: %s", state->directory, LOCK_NAME,
			       strerror(errno));
	if (flock(state->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return err_set(err, -EBUSY,
			       "state directory %s is used by another quoind: stop that one, or "
			       "give this one its own --state-dir and --socket",
			       state->directory);
	return err_set(err, -errno, "cannot lock %s/%s: %s", state->directory, LOCK_NAME,
		       strerror(errno));
}

int control_state_open(struct control_state *state, const char *directory, struct err *err)
{
	int r;

	memset(state, 0, sizeof(*state));
	state->directory_fd = -1;
	state->lock_fd = -1;
	r = control_directory_make(directory, err);
	if (r < 0)
		return r;
	state->directory = xstrdup(directory);
	state->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (state->directory_fd < 0)
		r = err_set(err, -errno, "cannot open %s: %s", directory, strerror(errno));
	else
		r = lock_take(state, err);
	if (r < 0)
		control_state_close(state);
	return r;
}

void control_state_close(struct control_state *state)
{
	base_close(&state->lock_fd);
	base_close(&state->directory_fd);
	free(state->directory);
	state->directory = NULL;
}

/* --- Load --------------------------------------------------------------------------------- */

/* NULL and *ret_error: what is wrong with the bytes. */
static char *file_read(int fd, size_t *ret_length, int *ret_error)
{
	struct stat st;
	size_t length = 0;
	char *data;

	*ret_error = 0;
	if (fstat(fd, &st) < 0)
		*ret_error = -errno;
	else if (st.st_size > CONTROL_STATE_SIZE_MAX)
		*ret_error = -EFBIG;
	if (*ret_error < 0)
		return NULL;
	data = xmalloc((size_t)st.st_size + 1);
	while (length < (size_t)st.st_size) {
		const ssize_t n = read(fd, data + length, (size_t)st.st_size - length);

		if (n <= 0)
			break;
		length += (size_t)n;
	}
	*ret_length = length;
	return data;
}

/* Where an error is. */
struct place {
	const struct control_state *state;
	const struct control_state_list *list;
};

static int corrupt(const struct place *place, const char *why, struct err *err)
{
	return err_set(err, -EUCLEAN,
		       "%s/%s is damaged (%s): repair it, or move it away to start without %s",
		       place->state->directory, place->list->file, why, place->list->key);
}

static int root_check(const struct place *place, const json_t *root, struct err *err)
{
	const json_t *version = json_object_get(root, "version");

	if (!json_is_integer(version) || json_integer_value(version) < 1)
		return corrupt(place, "it has no version", err);
	if (json_integer_value(version) > CONTROL_STATE_VERSION)
		return err_set(err, -EPROTO,
			       "%s/%s has version %lld, this quoind reads up to %d: use the newer "
			       "quoind",
			       place->state->directory, place->list->file,
			       (long long)json_integer_value(version), CONTROL_STATE_VERSION);
	if (!json_is_array(json_object_get(root, place->list->key)))
		return corrupt(place, "it has no list", err);
	return 0;
}

int control_state_load(const struct control_state *state, const struct control_state_list *list,
		       json_t **ret_items, struct err *err)
{
	const struct place place = {state, list};
	CLEANUP_FD int fd = openat(state->directory_fd, list->file, O_RDONLY | O_CLOEXEC);
	CLEANUP_FREE char *data = NULL;
	size_t length = 0;
	json_error_t where;
	json_t *root;
	int r;

	if (fd < 0 && errno == ENOENT) {
		*ret_items = json_array();
		return 0;
	}
	if (fd >= 0)
		data = file_read(fd, &length, &r);
	else
		r = -errno;
	if (!data)
		return err_set(err, r, "cannot read %s/%s: %s", state->directory, list->file,
			       strerror(-r));
	root = json_loadb(data, length, JSON_REJECT_DUPLICATES, &where);
	if (!root)
		return corrupt(&place, where.text, err);
	r = root_check(&place, root, err);
	if (r == 0)
		*ret_items = json_incref(json_object_get(root, list->key));
	json_decref(root);
	return r;
}

/* --- Save --------------------------------------------------------------------------------- */

static int write_all(int fd, const char *data, size_t length)
{
	while (length > 0) {
		const ssize_t n = write(fd, data, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		length -= (size_t)n;
	}
	return 0;
}

int control_file_replace(int directory_fd, const char *name, const char *data)
{
	char temporary[NAME_MAX + 1];
	CLEANUP_FD int fd = -1;
	int r;

	snprintf(temporary, sizeof(temporary), "%s.new", name);
	fd = openat(directory_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = write_all(fd, data, strlen(data));
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r == 0 && renameat(directory_fd, temporary, directory_fd, name) < 0)
		r = -errno;
	if (r < 0) {
		unlinkat(directory_fd, temporary, 0);
		return r;
	}
	return fsync(directory_fd) < 0 ? -errno : 0;
}

int control_state_save(const struct control_state *state, const struct control_state_list *list,
		       json_t *items, struct err *err)
{
	CLEANUP_FREE char *data = NULL;
	json_t *root = json_pack("{s:i, s:O}", "version", CONTROL_STATE_VERSION, list->key, items);
	int r;

	data = root ? json_dumps(root, JSON_FLAGS) : NULL;
	json_decref(root);
	r = data ? control_file_replace(state->directory_fd, list->file, data) : -ENOMEM;
	if (r < 0)
		return err_set(err, r, "cannot save %s/%s: %s", state->directory, list->file,
			       strerror(-r));
	return 0;
}
