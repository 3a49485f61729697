/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies by reference: blocks of a volume or snapshot become blocks of another volume, or of
 * another place of it, and no data is moved.
 *
 * Both volumes are brought to rest, so that a checkpoint's trees are the whole truth about them;
 * within it copy.c does the work. A volume at rest has no trim under way that would cut the copy,
 * whose blocks keep their old seq; later ones are newer.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include <quoin/base_math.h>

#include "engine/checkpoint.h"
#include "engine/copy.h"
#include "engine/verb.h"

#define PIECE_MIN LEAF_ENTRIES
#define QUIET (UINT64_C(1) << 21) /* blocks copied while requests wait */
#define IDLE_MAX 16		  /* checkpoints without room for a piece */

static int copy_task(struct pool *pool, void *arg)
{
	struct copying *c = arg;
	struct copy_scratch *scratch = copy_scratch_new(pool);

	c->result = scratch ? copying_go_on(pool, c, scratch) : -ENOMEM;
	free(scratch);
	return 0;
}

/* --- The verb --------------------------------------------------------------------------------- */

static const char *reason(int error)
{
	switch (error) {
	case -ENOSPC:
		return "there is no room for it in the pool; destroy what is not needed";
	case -EDQUOT:
		return "its quota would be exceeded; raise it first";
	case -EMLINK:
		return "a block has too many copies by reference; write it anew";
	case -EAGAIN:
		return "the pool has no room for what it replaces now; try again later";
	case -EIO:
	case -EUCLEAN:
		return "a page of a map is damaged; see the pool's status";
	default:
		return strerror(-error);
	}
}

static int pieces_wait(struct pool *pool, struct copying *c, struct err *err)
{
	const struct verb_task task = {copy_task, c, "cannot copy to volume", c->to->rec.name};
	unsigned idle = 0;
	int r;

	do {
		const uint64_t before = c->done;

		r = verb_task(pool, &task, err);
		if (r < 0)
			return r;
		idle = c->done == before ? idle + 1 : 0;
		if (idle > SPACE_KEEP + 1)
			c->piece = MAX(c->piece / 2, (uint64_t)PIECE_MIN);
	} while (c->result == -EAGAIN && idle < IDLE_MAX);
	if (c->result < 0)
		return err_set(err, c->result,
			       "cannot copy to volume '%s' (%" PRIu64 " bytes are copied): %s",
			       c->to->rec.name, c->done * PAGE_BYTES, reason(c->result));
	return 0;
}

/* What is not there yet in a tree comes to be there. */
static int quiet_copy(struct pool *pool, struct copying *c, struct err *err)
{
	const bool apart = c->from != c->to && !c->snapshot;
	int r = volume_quiet_begin(c->to, err);

	if (r == 0)
		r = volume_whole_check(c->to, err);
	if (r == 0 && apart) {
		r = volume_quiet_begin(c->from, err);
		if (r == 0)
			r = volume_whole_check(c->from, err);
		if (r == 0)
			r = pieces_wait(pool, c, err);
		volume_quiet_end(c->from);
	} else if (r == 0) {
		r = pieces_wait(pool, c, err);
	}
	volume_quiet_end(c->to);
	return r;
}

static int range_check(const struct copying *c, const struct pool_copy *copy, struct err *err)
{
	const uint64_t from_bytes =
		c->snapshot ? c->snapshot->rec.size_bytes : c->from->rec.size_bytes;

	if (((copy->offset | copy->to_offset | copy->length_bytes) & (PAGE_BYTES - 1)) != 0)
		return err_set(err, -EINVAL,
			       "offsets and the length must be multiples of 4096 bytes");
	if (!range_within(copy->offset, copy->length_bytes, from_bytes))
		return err_set(err, -EINVAL, "'%s' ends before byte %" PRIu64, copy->from,
			       copy->offset + copy->length_bytes);
	if (!range_within(copy->to_offset, copy->length_bytes, c->to->rec.size_bytes))
		return err_set(err, -EINVAL, "'%s' ends before byte %" PRIu64, copy->to,
			       copy->to_offset + copy->length_bytes);
	if (c->from == c->to && !c->snapshot &&
	    copy->offset < copy->to_offset + copy->length_bytes &&
	    copy->to_offset < copy->offset + copy->length_bytes)
		return err_set(err, -EINVAL, "the two ranges of '%s' overlap", copy->to);
	return 0;
}

static int source_find(struct pool *pool, const char *name, struct copying *c, struct err *err)
{
	int r;

	if (!strchr(name, '@'))
		return volume_get(pool, name, &c->from, err);
	r = snapshot_parse(pool, name, &c->snapshot, err);
	if (r == 0 && c->snapshot->pending) {
		r = checkpoint_wait(pool);
		if (r < 0)
			return err_set(err, r, "'%s' cannot be looked at: see the pool's status",
				       name);
		r = snapshot_parse(pool, name, &c->snapshot, err);
	}
	if (r == 0)
		c->from = volume_at(pool, c->snapshot->rec.volume);
	return r;
}

static int volume_copy(struct pool *pool, const struct pool_copy *copy, struct err *err)
{
	struct copying c = {.from_block = copy->offset / PAGE_BYTES,
			    .to_block = copy->to_offset / PAGE_BYTES,
			    .piece = COPY_PIECE};
	uint64_t left = copy->length_bytes / PAGE_BYTES;
	int r = volume_get(pool, copy->to, &c.to, err);

	if (r == 0)
		r = source_find(pool, copy->from, &c, err);
	if (r == 0)
		r = volume_plain_check(c.to, err);
	if (r == 0)
		r = volume_plain_check(c.from, err);
	if (r == 0)
		r = range_check(&c, copy, err);
	if (r == 0 && c.to->rec.read_only)
		r = err_set(err, -EROFS, "volume '%s' is read-only", copy->to);
	for (; r == 0 && left > 0; left -= c.count) {
		c.from_block += c.done;
		c.to_block += c.done;
		c.done = 0;
		c.count = MIN(left, QUIET);
		r = quiet_copy(pool, &c, err);
	}
	return r;
}

int pool_volume_copy(struct pool *pool, const struct pool_copy *copy, struct err *err)
{
	int r = verb_begin(pool, err);

	if (r < 0)
		return r;
	r = volume_copy(pool, copy, err);
	admin_unlock(pool);
	return r;
}
