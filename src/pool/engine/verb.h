/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs share: their beginning and end, tasks with a sentence, quiet volumes, names. */
#ifndef POOL_ENGINE_VERB_H
#define POOL_ENGINE_VERB_H

#include "engine/admin.h"

/* [fiber] Takes the admin lock when the pool takes changes; else there is a sentence. */
MUST_CHECK int verb_begin(struct pool *pool, struct err *err);

/* A task with its argument, and what it is about, e.g. "cannot rename volume 'a'". */
struct verb_task {
	int (*run)(struct pool *pool, void *arg);
	void *arg;
	const char *what;
	const char *object;
};
/* [fiber] checkpoint_task() with a sentence. */
MUST_CHECK int verb_task(struct pool *pool, const struct verb_task *task, struct err *err);

/*
 * [fiber] Nothing of the volume is under way or waits: its gate is closed, partial blocks are whole
 * (but stuck ones), and no trim is left for later generations, which would cut what a task puts in
 * its place. volume_quiet_end() in any case.
 */
MUST_CHECK int volume_quiet_begin(struct volume *volume, struct err *err);
void volume_quiet_end(struct volume *volume);

/* After its partial blocks were closed: all of them are whole. -EIO: some are stuck. */
MUST_CHECK int volume_whole_check(const struct volume *volume, struct err *err);

/* A name for a new volume. -EINVAL, -EEXIST. */
MUST_CHECK int volume_name_check(const struct pool *pool, const char *name, struct err *err);
/* "SNAP" for a new snapshot of the volume. The same. */
MUST_CHECK int snapshot_name_check(const struct pool *pool, const struct volume *volume,
				   const char *name, struct err *err);

/* Why a snapshot cannot go. -EBUSY: held, open, or it has clones. */
MUST_CHECK int snapshot_idle_check(const struct pool *pool, const struct snapshot *snapshot,
				   struct err *err);

/* Within a task: its name is free, and the background frees what it has. */
void snapshot_let_go(struct snapshot *snapshot);

static inline void name_copy(char to[VOLUME_NAME_BYTES], const char *name)
{
	memset(to, 0, VOLUME_NAME_BYTES);
	memcpy(to, name, strnlen(name, VOLUME_NAME_BYTES - 1));
}

#endif
