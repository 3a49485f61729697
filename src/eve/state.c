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
#include <quoin/control_file.h>

#define VERSION 1
#define FILE_MAX (64 * 1024 * 1024)

/* NULL and *ret_error 0: there is no such file. `where` says what is wrong with its JSON. */
static json_t *file_read(int directory_fd, const char *name, json_error_t *where, int *ret_error)
{
	CLEANUP_FD int fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	json_t *root = NULL;
	struct stat st;

	*ret_error = 0;
	snprintf(where->text, sizeof(where->text), "it is no file, or too large");
	if (fd < 0)
		*ret_error = errno == ENOENT ? 0 : -errno;
	else if (fstat(fd, &st) < 0)
		*ret_error = -errno;
	else if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX)
		*ret_error = -EUCLEAN;
	else if (!(root = json_loadfd(fd, JSON_REJECT_DUPLICATES, where)))
		*ret_error = -EUCLEAN;
	return root;
}

/* --- Settings ------------------------------------------------------------------------------- */

int eve_state_decode(const json_t *root, struct eve_config *config, struct err *err)
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

int eve_state_load(int directory_fd, struct eve_config *config, struct err *err)
{
	json_error_t where;
	int r = 0;
	json_t *root = file_read(directory_fd, EVE_STATE_FILE, &where, &r);

	if (!root && r == 0)
		return 0;
	if (root)
		r = eve_state_decode(root, config, err);
	else
		err_set(err, r, "%s", r == -EUCLEAN ? where.text : strerror(-r));
	json_decref(root);
	if (r < 0)
		err_prefix(err, "cannot read " EVE_STATE_FILE " in the state directory (repair it, "
				"or move it away to start without telling EVE)");
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
	r = control_file_replace(directory_fd, EVE_STATE_FILE, text);
	if (r < 0)
		return err_set(err, r, "cannot save " EVE_STATE_FILE ": %s", strerror(-r));
	return 0;
}

/* --- Counters ------------------------------------------------------------------------------- */

void eve_state_load_totals(int directory_fd, struct eve_totals *totals, char *problem, size_t size)
{
	json_error_t where;
	int r = 0;
	json_t *root = file_read(directory_fd, EVE_TOTALS_FILE, &where, &r);

	if (root)
		r = eve_totals_decode(totals, root);
	json_decref(root);
	if (r < 0)
		snprintf(problem, size, "counters begin anew: cannot read " EVE_TOTALS_FILE ": %s",
			 r == -EUCLEAN ? "it is damaged" : strerror(-r));
}
