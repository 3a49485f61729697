/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool engine: copy-on-write volumes on drives, with checks on every byte, snapshots and
 * clones. docs/DESIGN.md tells how, docs/FORMAT.md what is on the drives.
 *
 * A pool lives on one loop, its home. Everything here is called in the home loop's thread; what is
 * marked [fiber] only from a fiber of it (it parks). Volumes are `block_device`s: their channels
 * may be opened on any loop, requests from others travel to the home loop by message.
 *
 * Names: a volume is "NAME" ([A-Za-z0-9._:-], '/' between parts, at most 63 bytes), a snapshot
 * "NAME@SNAP". All verbs are atomic: after a crash they happened or did not. They return when they
 * are durable. Errors are negative errno with a sentence: -EINVAL (bad argument or name), -ENOENT,
 * -EEXIST, -EBUSY (open, has clones, held), -ENOSPC, -EDQUOT, -EROFS (read-only import), -EIO (the
 * pool is suspended after an error it could not survive; see pool_status()).
 */
#ifndef QUOIN_POOL_H
#define QUOIN_POOL_H

#include <quoin/base.h>
#include <quoin/base_err.h>
#include <quoin/block.h>
#include <quoin/disk.h>
#include <quoin/loop.h>

#include <quoin/pool_damage.h>
#include <quoin/pool_types.h>

struct pool;

/* --- Life ---------------------------------------------------------------------------------- */

/*
 * [fiber] Writes the labels of a new, empty pool; open it with pool_open() then. What was on the
 * drives is lost: ask first (quoin/disk_probe.h). -ENOSPC: a drive is smaller than
 * POOL_DRIVE_BYTES_MIN.
 */
MUST_CHECK int pool_format(struct loop *loop, const struct pool_format_params *params,
			   struct err *err);

/*
 * [fiber] Imports: finds the newest checkpoint on the drives, replays the log, serves. The disks
 * are borrowed until pool_close(). Drives that are missing are done without where copies allow.
 *   -ENODEV   drives are away without which not all can be read (the sentence names them)
 *   -EINVAL   a drive became smaller; drives of different pools. -ENOENT: one holds no pool, or
 *             `rewind_to` is no checkpoint, or one whose space may have been used again
 *   -EBUSY    another host had it last and did not export it (`force` overrides, but not against a
 *             heartbeat that is still beating)
 *   -ENOTSUP  a newer format, or features this version does not know
 *   -EUCLEAN  damaged beyond the copies there are; -EEXIST: two drives with one identity
 *   -ENOMEM   `memory_bytes` is too small for this pool; the sentence says what it needs
 */
MUST_CHECK int pool_open(const struct pool_open_params *params, struct pool **ret_pool,
			 struct err *err);

/*
 * [fiber] Checkpoints and lets go; all devices of it are closed. `export`: marks it as given up by
 * this host. The pool is freed in any case; an error says that the last checkpoint failed (the log
 * has what was flushed).
 */
int pool_close(struct pool *pool, enum pool_closing how, struct err *err);

/* [fiber] Marks the drives as holding no pool any more. The pool is closed. */
MUST_CHECK int pool_wipe(struct loop *loop, struct disk *disk, struct err *err);

/* [fiber] What a drive's label says. -ENOENT: no label; -ENOTSUP, -EUCLEAN, -EIO. */
MUST_CHECK int pool_label_read(struct loop *loop, struct disk *disk, struct pool_label *ret_label,
			       struct err *err);

struct loop *pool_loop(const struct pool *pool);

/* [fiber] Makes a checkpoint and waits for it. */
MUST_CHECK int pool_sync(struct pool *pool);

void pool_status(struct pool *pool, struct pool_status *ret_status);
void pool_io(struct pool *pool, struct pool_io *ret_io);
void pool_damage(struct pool *pool, struct pool_damage *ret_damage);
void pool_drive_status(struct pool *pool, unsigned index, struct pool_drive_status *ret_status);

/* [fiber] */
MUST_CHECK int pool_set(struct pool *pool, enum pool_property property, uint64_t value,
			struct err *err);

/*
 * [fiber] One line for `quoin pool history`; durable with the next checkpoint. At most 479 bytes
 * are kept. The newest POOL_HISTORY_MAX lines are.
 */
MUST_CHECK int pool_history_add(struct pool *pool, const char *text);

/* [fiber] The line with number *cursor or the first after it; -ENOENT at the end. Start with 0. */
MUST_CHECK int pool_history_read(struct pool *pool, uint64_t *cursor,
				 struct pool_history_line *ret_line);

/* --- Volumes -------------------------------------------------------------------------------- */

/* [fiber] size: a multiple of 4096, up to POOL_VOLUME_BYTES_MAX. */
MUST_CHECK int pool_volume_create(struct pool *pool, const char *name,
				  const struct pool_volume_params *params, struct err *err);

/* [fiber] `recursive`: with its snapshots. Its space comes back in the background. */
MUST_CHECK int pool_volume_destroy(struct pool *pool, const char *name, bool recursive,
				   struct err *err);
MUST_CHECK int pool_volume_rename(struct pool *pool, const char *name, const char *new_name,
				  struct err *err);

/* [fiber] Devices that are open see the new capacity at block_refresh(). Shrinking discards. */
MUST_CHECK int pool_volume_resize(struct pool *pool, const char *name, uint64_t size_bytes,
				  struct err *err);
MUST_CHECK int pool_volume_set(struct pool *pool, const char *name,
			       enum pool_volume_property property, uint64_t value, struct err *err);

/* [fiber] "NAME@SNAP" becomes the content; not while it is open. `destroy_later`: newer snapshots
 * go; without it they are in the way (-EEXIST). They go first: after a crash between they are gone
 * and the content is as it was. */
MUST_CHECK int pool_volume_rollback(struct pool *pool, const char *snapshot, bool destroy_later,
				    struct err *err);
MUST_CHECK int pool_volume_clone(struct pool *pool, const char *snapshot, const char *new_name,
				 struct err *err);

/*
 * [fiber] Blocks of a volume or snapshot become those of another place, by reference: no data is
 * moved, and it takes no space but for the map. Holes too. Offsets and length are multiples of
 * 4096; ranges of one volume do not overlap. Requests on both volumes wait meanwhile. A large one
 * is made in pieces, from its beginning on: a crash may leave the first of them. -EMLINK: a block
 * has too many copies; -EINVAL, -ENOSPC (promises to others could not be kept), -EDQUOT, -EAGAIN.
 */
struct pool_copy {
	const char *from, *to; /* "NAME" or "NAME@SNAP"; "NAME" */
	uint64_t offset, to_offset, length_bytes;
};
MUST_CHECK int pool_volume_copy(struct pool *pool, const struct pool_copy *copy, struct err *err);

/* [fiber] The clone takes over the snapshots up to its origin; the old owner becomes its clone. */
MUST_CHECK int pool_volume_promote(struct pool *pool, const char *name, struct err *err);

/* The volume with a number >= *cursor, which moves behind it. -ENOENT at the end. */
MUST_CHECK int pool_volume_next(struct pool *pool, unsigned *cursor,
				struct pool_volume_info *ret_info);
MUST_CHECK int pool_volume_find(struct pool *pool, const char *name,
				struct pool_volume_info *ret_info);

/*
 * [fiber] "NAME", or "NAME@SNAP" (read-only). Close with block_close(), any thread. Limits:
 * 512-byte blocks (optimal 4096), 1 MiB transfers, discard, zeroes, volatile cache.
 */
MUST_CHECK int pool_device_open(struct pool *pool, const char *name, bool read_only,
				struct block_device **ret_device, struct err *err);

/*
 * [fiber] The first byte at or behind `offset` where a device of a snapshot may read as something
 * else than zeroes; of a volume, `offset` itself. -ENOENT: only zeroes follow.
 */
MUST_CHECK int pool_device_data(struct block_device *device, uint64_t offset, uint64_t *ret_offset);

/*
 * [fiber] The same of a volume that is not plain, which pool_device_open() refuses (-EBUSY). Who
 * opens it knows what of it may be shown.
 */
MUST_CHECK int pool_device_open_raw(struct pool *pool, const char *name, bool read_only,
				    struct block_device **ret_device, struct err *err);

/* --- Snapshots ------------------------------------------------------------------------------- */

/* [fiber] One or several "NAME@SNAP", all of one instant. Costs one log flush. */
MUST_CHECK int pool_snapshot_create(struct pool *pool, const char *const *names, unsigned count,
				    struct err *err);
MUST_CHECK int pool_snapshot_destroy(struct pool *pool, const char *name, struct err *err);
MUST_CHECK int pool_snapshot_rename(struct pool *pool, const char *name, const char *new_snap,
				    struct err *err);
/* [fiber] Not destroyed while it has tags. This one says that it is a template. */
#define POOL_TEMPLATE_TAG "quoin:template"
MUST_CHECK int pool_snapshot_hold(struct pool *pool, const char *name, const char *tag,
				  struct err *err);
MUST_CHECK int pool_snapshot_release(struct pool *pool, const char *name, const char *tag,
				     struct err *err);

/* As pool_volume_next(); in order of numbers. Those of one volume: compare info.volume. */
MUST_CHECK int pool_snapshot_next(struct pool *pool, unsigned *cursor,
				  struct pool_snapshot_info *ret_info);
MUST_CHECK int pool_snapshot_find(struct pool *pool, const char *name,
				  struct pool_snapshot_info *ret_info);

#endif
