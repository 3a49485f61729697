/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exports: a volume or snapshot written to an image file in the background. Of a volume, a snapshot
 * is taken and is gone at the end; its name begins with CONTROL_EXPORT_SNAPSHOT, and what a kill
 * left of them is destroyed when their pool is imported. The rules of quoin/control.h hold.
 */
#ifndef QUOIN_CONTROL_EXPORT_H
#define QUOIN_CONTROL_EXPORT_H

#include <quoin/base.h>
#include <quoin/base_err.h>
#include <quoin/control_pool_types.h>

struct control;

#define CONTROL_EXPORTS_RUNNING_MAX 4
#define CONTROL_EXPORTS_MAX 16 /* with those that ended: the oldest of them are forgotten */
#define CONTROL_EXPORT_SNAPSHOT "quoin-export."

struct control_export_params {
	const char *name;   /* POOL/NAME or POOL/NAME@SNAP */
	const char *path;   /* absolute */
	const char *format; /* "raw", "qcow2" */
	bool force;	    /* replace a file */
};

struct control_export_info {
	unsigned id;
	const char *name, *path, *format; /* until the next verb */
	const char *state;		  /* "running", "done", "failed", "cancelled" */
	char problem[ERR_TEXT_MAX];	  /* why it failed; "" */
	uint64_t size_bytes;		  /* of the disk */
	uint64_t data_bytes;		  /* of it, at most: what is to be read */
	uint64_t done_bytes;		  /* read and written so far */
	uint64_t elapsed_ms;
};

/*
 * Begins one. -EBUSY (too many run; the file is used by the daemon), what image_export_begin()
 * says of the file, -ENOSPC (there or in the pool), -ENOENT.
 */
MUST_CHECK int control_export_start(struct control *control,
				    const struct control_export_params *params, unsigned *ret_id,
				    struct err *err);

unsigned control_export_count(const struct control *control);

/* The index-th, oldest first. */
void control_export_at(struct control *control, unsigned index,
		       struct control_export_info *ret_info);
/* -ENOENT. */
MUST_CHECK int control_export_info(struct control *control, unsigned id,
				   struct control_export_info *ret_info, struct err *err);

/* It ends soon, and its file is gone. One that has ended is forgotten. -ENOENT. */
MUST_CHECK int control_export_cancel(struct control *control, unsigned id, struct err *err);

#endif
