/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verbs on pools, their volumes and snapshots. The rules of quoin/control.h hold: one thread
 * at a time, never a worker; a verb that was answered with 0 is durable.
 *
 * A volume is "POOL/NAME", a snapshot "POOL/NAME@SNAP". Errors carry a sentence and are those of
 * the engine, above all -ENOENT, -EEXIST, -EBUSY (a target has the volume, clones, holds), -ENOSPC,
 * -EDQUOT, -EROFS, -ENODEV (the pool is not imported), -EIO (it is suspended).
 */
#ifndef QUOIN_CONTROL_POOL_H
#define QUOIN_CONTROL_POOL_H

#include <quoin/base.h>
#include <quoin/base_err.h>
#include <quoin/control_found.h>

struct control;

/* --- Pools ---------------------------------------------------------------------------------- */

unsigned control_pool_count(const struct control *control);

/* In order of import; valid until the next verb. */
const char *control_pool_name(const struct control *control, unsigned index);
MUST_CHECK int control_pool_info(struct control *control, const char *name,
				 struct control_pool_info *ret_info, struct err *err);

/*
 * Refuses drives that hold something, and mirrors beside drives that stand alone, unless `force`.
 * -ENOENT (a drive), -EEXIST (the name, or what a drive holds), -EBUSY, -ENOSPC (a drive is too
 * small, or no memory is left to give).
 */
MUST_CHECK int control_pool_create(struct control *control,
				   const struct control_pool_create *params, struct err *err);

/*
 * Looks for pools that are not imported on the given drives and in the given directories; with
 * none, on the drives remembered and, as root, in /dev/disk/by-id.
 */
MUST_CHECK int control_pool_scan(struct control *control, const char *const *paths, unsigned count,
				 struct control_pool_scan *ret_scan, struct err *err);

/* Also tries a failed one again; 0 when it is imported already and no drives are given. */
MUST_CHECK int control_pool_import(struct control *control,
				   const struct control_pool_import *params,
				   char ret_name[CONTROL_NAME_MAX + 1], struct err *err);

/* A failed one is forgotten: nothing is written to its drives. */
MUST_CHECK int control_pool_export(struct control *control, const char *name, struct err *err);

/* `force`: with the volumes in it. */
MUST_CHECK int control_pool_destroy(struct control *control, const char *name, bool force,
				    struct err *err);
MUST_CHECK int control_pool_set(struct control *control, const char *name,
				const struct control_pool_set *set, struct err *err);

/* Tells the drives of all space that is free, in the background; control_pool_info() has how far it
 * is. -EBUSY, -ENOTSUP (no drive takes it). `stop`: ends it; -ENOENT: none is under way. */
MUST_CHECK int control_pool_trim(struct control *control, const char *name, bool stop,
				 struct err *err);

/* Up to `max` lines from *cursor on, which moves behind them; start with 0. */
MUST_CHECK int control_pool_history(struct control *control, const char *name,
				    struct control_page *page,
				    struct control_history_line *ret_lines, struct err *err);

/* --- Volumes -------------------------------------------------------------------------------- */

MUST_CHECK int control_volume_list(struct control *control, const char *pool,
				   struct control_page *page, struct control_volume_info *ret_infos,
				   struct err *err);
MUST_CHECK int control_volume_info(struct control *control, const char *name,
				   struct control_volume_info *ret_info, struct err *err);
MUST_CHECK int control_volume_create(struct control *control, const char *name, uint64_t size_bytes,
				     const struct control_volume_set *set, struct err *err);
MUST_CHECK int control_volume_set(struct control *control, const char *name,
				  const struct control_volume_set *set, struct err *err);

/* Guests of running targets see it. `shrink`: what is beyond the new end may be cut off. */
MUST_CHECK int control_volume_resize(struct control *control, const char *name, uint64_t size_bytes,
				     bool shrink, struct err *err);
MUST_CHECK int control_volume_rename(struct control *control, const char *name,
				     const char *new_name, struct err *err);
MUST_CHECK int control_volume_destroy(struct control *control, const char *name, bool recursive,
				      struct err *err);

/* `recursive`: snapshots that are newer are destroyed. */
MUST_CHECK int control_volume_rollback(struct control *control, const char *snapshot,
				       bool recursive, struct err *err);
MUST_CHECK int control_volume_clone(struct control *control, const char *snapshot, const char *name,
				    struct err *err);
/* -EEXIST, -EBUSY (a target has `to`), -EMLINK, -EINVAL, and as ever. */
MUST_CHECK int control_volume_copy(struct control *control,
				   const struct control_volume_copy *params, struct err *err);
MUST_CHECK int control_volume_promote(struct control *control, const char *name, struct err *err);

/* --- Images that arrive ----------------------------------------------------------------------- */

/*
 * The source is opened in the background: ask for what becomes of it. A snapshot of the same pool
 * is cloned at once, a volume of it copied by reference. -EEXIST, -EINVAL.
 */
MUST_CHECK int control_deploy_start(struct control *control,
				    const struct control_deploy_params *params, struct err *err);
MUST_CHECK int control_deploy_info(struct control *control, const char *name,
				   struct control_deploy_info *ret_info, struct err *err);

/* Both are kept in the pool. Going on also tries at once what waits. */
MUST_CHECK int control_deploy_change(struct control *control, const char *name,
				     const struct control_deploy_change *change, struct err *err);

/* The half-made volume is destroyed; no target has it. */
MUST_CHECK int control_deploy_cancel(struct control *control, const char *name, struct err *err);

/* --- Snapshots ------------------------------------------------------------------------------- */

/* Of a pool, or of "POOL/NAME" alone; a page may be short, or empty, before the end. */
MUST_CHECK int control_snapshot_list(struct control *control, const char *name,
				     struct control_page *page,
				     struct control_snapshot_info *ret_infos, struct err *err);
MUST_CHECK int control_snapshot_info(struct control *control, const char *name,
				     struct control_snapshot_info *ret_info, struct err *err);

/* All of one pool, and of one instant. */
MUST_CHECK int control_snapshot_create(struct control *control, const char *const *names,
				       unsigned count, struct err *err);
MUST_CHECK int control_snapshot_destroy(struct control *control, const char *name, struct err *err);

/* `new_name`: "SNAP", or "POOL/NAME@SNAP" of the same volume. */
MUST_CHECK int control_snapshot_rename(struct control *control, const char *name,
				       const char *new_name, struct err *err);
MUST_CHECK int control_snapshot_hold(struct control *control, const char *name, const char *tag,
				     struct err *err);
MUST_CHECK int control_snapshot_release(struct control *control, const char *name, const char *tag,
					struct err *err);
MUST_CHECK int control_snapshot_template(struct control *control, const char *name, bool on,
					 struct err *err);

#endif
