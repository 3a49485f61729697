/* SPDX-License-Identifier: Apache-2.0 */
/* What opening a pool is made of. */
#ifndef POOL_ENGINE_IMPORT_H
#define POOL_ENGINE_IMPORT_H

#include "engine/io.h"

#define IMPORT_CANDIDATES (SPACE_KEEP + 1)

/* What the labels of one drive say. */
struct import_drive {
	struct disk *disk;
	const char *path;
	int result; /* of raid_super_read(): a count, or negative errno */
	struct super_candidate candidates[IMPORT_CANDIDATES];
	uint64_t lost; /* slots of superblocks */
};

struct import {
	struct pool *pool;
	const struct pool_open_params *params;
	unsigned count;
	struct import_drive *drives;
	struct super super; /* the one that is opened */
	struct super last;  /* the newest there is: later than that when going back */
	unsigned older_count;
	struct super older[SPACE_KEEP]; /* the ones before it, newest first */
};

/* [fiber] import.c: reads all labels, chooses the checkpoint. */
MUST_CHECK int import_choose(struct import *im, struct err *err);

/* Why nothing came of reading the labels of one drive: a sentence for each case. */
int label_error(const char *path, int result, struct err *err);

/* import_drives.c: each drive is whole, and no two are one or of different pools. */
MUST_CHECK int import_drives_check(const struct import *im, struct err *err);

/* -ENODEV, naming drives: segments that were loaded have no column on a drive that is online. */
MUST_CHECK int import_columns_check(const struct import *im, struct err *err);

/* import.c: `why`, with a sentence that says where one could go back to, and what that costs. */
int import_unreadable(const struct import *im, struct err *err, int why);

/* [fiber] import_trees.c: segments, bitmaps, volumes, snapshots of the chosen checkpoint. */
MUST_CHECK int import_trees(struct import *im, struct err *err);

/* [fiber] replay.c: the log into the active delta. `ret`: where it goes on. */
MUST_CHECK int replay(struct pool *pool, struct log_position *ret, struct err *err);

#endif
