/* SPDX-License-Identifier: Apache-2.0 */
/* Exports from inside; see quoin/control_export.h. */
#ifndef CONTROL_EXPORT_PRIVATE_H
#define CONTROL_EXPORT_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include <quoin/block.h>
#include <quoin/control_export.h>
#include <quoin/image_export.h>

#include "pool.h"

/*
 * One export. What is above the line is set when it begins; the device and the file are its
 * thread's until that has ended.
 */
struct control_export {
	unsigned id;
	char name[CONTROL_OBJECT_MAX + 1];
	char path[CONTROL_PATH_MAX + 1];
	enum image_format format;
	struct control_pool *pool; /* not closed while it runs */
	uint64_t size_bytes, data_bytes;
	uint64_t started_ns;
	/* ------ */
	char object[CONTROL_SNAPSHOT_MAX + 1]; /* what is read, as the engine calls it */
	bool temporary;			       /* a snapshot of our own */
	struct block_device *device;
	struct block_channel *channel;
	struct image_export *file;
	uint8_t *buffer;
	pthread_t thread;
	bool joined;
	_Atomic uint64_t done_bytes;
	atomic_bool cancelled;
	atomic_bool ended; /* all below is there, and the thread touches nothing any more */
	uint64_t ended_ns;
	int result;
	struct err err;
};

struct control_exports {
	unsigned count;
	unsigned last_id;
	struct control_export *items[CONTROL_EXPORTS_MAX]; /* oldest first */
};

/* export_run.c */

/* Snapshot, device and channel; sets size_bytes and data_bytes. */
MUST_CHECK int control_export_open(struct control_export *job, struct err *err);

/* The opposite, the file included: what was not committed is gone. After a failed open too. */
void control_export_close(struct control_export *job);

/* The thread's work: all of it. */
MUST_CHECK int control_export_copy(struct control_export *job, struct err *err);

/* [fiber] Destroys what a kill left of our snapshots. */
void control_export_sweep(struct pool *pool);

/* export.c */

/* -EBUSY when one of the pool runs. */
MUST_CHECK int control_exports_unused(const struct control_exports *exports, const char *pool,
				      struct err *err);

/* Cancels all and waits for their ends. -ETIMEDOUT: one hangs, and stays. */
MUST_CHECK int control_exports_stop(struct control_exports *exports, struct err *err);

#endif
