/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state directory from inside: its lock, and the lists it remembers: targets.json, pools.json
 * and schedules.json.
 *
 * A file is replaced, never changed: written beside, made durable, renamed over, and the
 * directory made durable. A kill or a power cut at any point leaves the old or the new list.
 */
#ifndef CONTROL_STATE_H
#define CONTROL_STATE_H

#include <jansson.h>

#include <quoin/base_err.h>
#include <quoin/control_file.h>

#define CONTROL_STATE_VERSION 1

/* One list: FILE is {"version": 1, KEY: [...]}. */
struct control_state_list {
	const char *file;
	const char *key;
};

#define CONTROL_STATE_TARGETS (&(const struct control_state_list){"targets.json", "targets"})
#define CONTROL_STATE_POOLS (&(const struct control_state_list){"pools.json", "pools"})
#define CONTROL_STATE_SCHEDULES (&(const struct control_state_list){"schedules.json", "schedules"})
#define CONTROL_STATE_SIZE_MAX (64 * 1024 * 1024)

struct control_state {
	char *directory; /* owned */
	int directory_fd;
	int lock_fd;
};

/* Makes `path` with mode 0700 when it is missing, its parents too. -ENOTDIR, -EACCES ... */
MUST_CHECK int control_directory_make(const char *path, struct err *err);

/* -EBUSY: another daemon holds the lock. */
MUST_CHECK int control_state_open(struct control_state *state, const char *directory,
				  struct err *err);

/* A state that was zeroed, with both descriptors -1, is allowed. */
void control_state_close(struct control_state *state);

/*
 * *ret_items: a new reference to the array, empty when there is no file yet.
 * -EUCLEAN: the file is not what it should be; -EPROTO: it is of a newer version.
 */
MUST_CHECK int control_state_load(const struct control_state *state,
				  const struct control_state_list *list, json_t **ret_items,
				  struct err *err);

/* `items` is borrowed. After a failure the old file is in place. */
MUST_CHECK int control_state_save(const struct control_state *state,
				  const struct control_state_list *list, json_t *items,
				  struct err *err);

#endif
