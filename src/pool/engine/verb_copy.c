/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies by reference: blocks of a volume or snapshot become blocks of another volume, or of
 * another place of it, and no data is moved.
 *
 * Both volumes are brought to rest, so that a checkpoint's trees are the whole truth about them.
 * Within one, entries are read from the source's tree and put into the other's, with a new birth
 * and the seq they had, which seeds their check; each counts one more reference in the table. So
 * there is nothing in the log, and a copy is there with its checkpoint or is not.
 *
 * That the seq is old does no harm: a trim that is under way would cut the copy by it, but a volume
 * at rest has none, and later ones are newer.
 *
 * It goes piece by piece, each at most PIECE blocks, within the room that a checkpoint has for
 * metadata and for what it frees; what is left waits for the next checkpoint. A piece changes
 * nothing unless it can be read, counted and stored as a whole.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include <quoin/base_assert.h>
#include <quoin/base_endian.h>
#include <quoin/base_math.h>

#include "engine/checkpoint.h"
#include "engine/tables.h"
#include "engine/shares.h"
#include "engine/verb.h"

#define PIECE 8192 /* blocks: 64 leaves */
#define PIECE_MIN LEAF_ENTRIES
#define QUIET (UINT64_C(1) << 21) /* blocks copied while requests wait */
#define ROOM_SPARE 512
#define META_SPARE 256
#define IDLE_MAX 16 /* checkpoints without room for a piece */

struct copying {
	struct volume *from;	   /* of the snapshot, too */
	struct snapshot *snapshot; /* NULL: the volume itself */
	struct volume *to;
	uint64_t from_block, to_block, count;
	uint64_t done;	/* blocks */
	uint64_t piece; /* the most at once */
	int result;	/* of the piece that could not be */
};

struct point {
	uint64_t block;
	const uint8_t *entry; /* vaddr 0: a hole */
};

/* What a piece works with. */
struct piece {
	struct map_walk walk;
	struct copying *copying;
	uint64_t first, count; /* blocks of the tree that is read */
	uint8_t (*entries)[ENTRY_BYTES];
	uint8_t source[PIECE][ENTRY_BYTES], target[PIECE][ENTRY_BYTES];
	struct point points[PIECE];
	unsigned point_count;
	uint64_t added;	 /* references */
	uint64_t killed; /* entries of the target that go */
	uint64_t owned;	 /* of them, those that no snapshot has */
	struct volume_sink sink;
};

/* --- Reading ---------------------------------------------------------------------------------- */

static int leaf_take(struct map_walk *walk, const struct page_ref *ref, const uint8_t *page)
{
	struct piece *p = container_of(walk, struct piece, walk);
	const uint64_t leaf = ref->index << LEAF_SHIFT;
	const uint64_t from = MAX(leaf, p->first);
	const uint64_t end = MIN(leaf + LEAF_ENTRIES, p->first + p->count);

	if (leaf >= p->first + p->count)
		return -ECANCELED;
	if (from < end)
		memcpy(p->entries[from - p->first], page + (from - leaf) * ENTRY_BYTES,
		       (end - from) * ENTRY_BYTES);
	return 0;
}

static int entries_read(struct piece *p, const struct node_ptr *root, uint64_t first,
			uint8_t (*entries)[ENTRY_BYTES])
{
	int r;

	memset(entries, 0, p->count * ENTRY_BYTES);
	p->entries = entries;
	p->first = first;
	p->walk.from_page = first >> LEAF_SHIFT;
	r = map_walk(&p->walk, root);
	return r == -ECANCELED ? 0 : r;
}

/* The first leaf at or behind `leaf` that is there; UINT64_MAX: none. */
struct finding {
	struct map_walk walk;
	uint64_t leaf, found;
};

static int page_seen(struct map_walk *walk, const struct page_ref *ref)
{
	struct finding *f = container_of(walk, struct finding, walk);

	if (ref->ptr.level != 0 || ref->index < f->leaf)
		return 0;
	f->found = ref->index;
	return -ECANCELED;
}

static int leaf_find(struct pool *pool, const struct node_ptr *root, uint64_t leaf,
		     uint64_t *ret_leaf)
{
	struct finding f = {.walk = {.pages = pool->pages, .kind = NODE_MAP},
			    .leaf = leaf,
			    .found = UINT64_MAX};
	int r;

	f.walk.from_page = leaf;
	f.walk.page_done = page_seen;
	r = map_walk(&f.walk, root);
	*ret_leaf = f.found;
	return r == -ECANCELED ? 0 : r;
}

static const struct node_ptr *source_root(const struct copying *c)
{
	return c->snapshot ? &c->snapshot->next.root : &c->from->next.root;
}

/* Holes on both sides are passed over: c->done moves to where there is something, or to the end. */
static int holes_skip(struct copying *c)
{
	const uint64_t sides[2] = {c->from_block + c->done, c->to_block + c->done};
	const struct node_ptr *roots[2] = {source_root(c), &c->to->next.root};
	uint64_t skip = c->count - c->done;

	for (unsigned i = 0; i < 2; i++) {
		uint64_t leaf = 0;
		const int r = leaf_find(c->to->pool, roots[i], sides[i] >> LEAF_SHIFT, &leaf);

		if (r < 0)
			return r;
		if (leaf == UINT64_MAX)
			continue;
		skip = MIN(skip,
			   leaf << LEAF_SHIFT > sides[i] ? (leaf << LEAF_SHIFT) - sides[i] : 0);
	}
	c->done += skip;
	return 0;
}

/* --- Room ------------------------------------------------------------------------------------- */

static bool over(uint64_t used, uint64_t more, uint64_t limit_bytes)
{
	return limit_bytes != 0 && (used + more) * PAGE_BYTES > limit_bytes;
}

/* What the quotas say, and promises to others: each reference may come to want a slot. */
static int space_judge(const struct piece *p)
{
	const struct volume *to = p->copying->to;
	const struct volume_record *next = &to->next;
	const uint64_t extra = shares_extra(to->pool) + p->added;

	if (over(next->used_data, p->added - MIN(p->added, p->owned), next->quota_bytes) ||
	    over(next->referenced, p->added - MIN(p->added, p->killed), next->refquota_bytes))
		return -EDQUOT;
	if (pool_promises(to->pool) &&
	    extra > to->pool->super.shared_extra + pool_available_slots(to->pool))
		return -ENOSPC;
	return 0;
}

static int room_judge(struct pool *pool, const struct piece *p)
{
	const uint64_t leaves = p->count / LEAF_ENTRIES + 2;
	const uint64_t meta = 4 * leaves + p->count / 64 + shares_pages(pool, 2 * p->count) +
			      tables_segments_pages(pool) + META_SPARE;
	struct space_sums sums;
	int r;

	if (space_freed_room(pool->space) / 2 < p->killed + 4 * leaves + ROOM_SPARE)
		return -EAGAIN;
	r = checkpoint_space(pool->checkpointer, meta);
	if (r < 0)
		return r;
	space_sums(pool->space, &sums);
	return sums.meta_segments - sums.meta_used < meta ? -ENOSPC : 0;
}

/* --- A piece ---------------------------------------------------------------------------------- */

/* The reference was counted when it was added. */
static void copy_born(struct map_sink *map_sink, uint64_t vaddr UNUSED)
{
	struct volume_sink *sink = container_of(map_sink, struct volume_sink, sink);
	struct volume_record *next = &sink->volume->next;

	next->referenced++;
	next->unique++;
	volume_charged(sink->volume)->next.used_data++;
}

/* What is to change: nothing where both sides have the same. */
static void points_make(struct piece *p, uint32_t epoch)
{
	const struct volume *volume = p->copying->to;
	const uint32_t last = snapshot_epoch(volume->pool, volume->next.last_snapshot);

	p->point_count = 0;
	p->added = p->killed = p->owned = 0;
	for (uint64_t i = 0; i < p->count; i++) {
		const uint64_t from = entry_vaddr(p->source[i]);
		const uint64_t to = entry_vaddr(p->target[i]);

		if (from == to)
			continue;
		le32_put(p->source[i] + 12, epoch);
		p->points[p->point_count++] =
			(struct point){p->copying->to_block + p->copying->done + i, p->source[i]};
		p->added += from != 0;
		p->killed += to != 0;
		p->owned += to != 0 && entry_epoch(p->target[i]) > last;
	}
}

/* All or none of them. */
static int references_add(struct pool *pool, const struct piece *p)
{
	unsigned i = 0;
	int r = 0;

	for (; r == 0 && i < p->point_count; i++) {
		const uint64_t vaddr = entry_vaddr(p->points[i].entry);

		if (vaddr == 0)
			continue;
		if (!space_vaddr_valid(pool->space, vaddr, SEGMENT_DATA) ||
		    !space_is_ref(pool->space, vaddr))
			r = -EUCLEAN;
		else
			r = shares_add(pool, vaddr);
	}
	if (r == 0)
		return 0;
	/* i - 1 is the one that failed. */
	for (unsigned k = 0; k + 1 < i; k++) {
		bool last = false;

		if (entry_vaddr(p->points[k].entry) != 0 &&
		    (shares_drop(pool, entry_vaddr(p->points[k].entry), &last) < 0 || last))
			return -ENOTRECOVERABLE;
	}
	return r;
}

struct piece_merge {
	struct map_merge merge;
	const struct piece *piece;
};

static const struct piece *piece_of(const struct map_merge *merge)
{
	return ((const struct piece_merge *)(const void *)merge)->piece;
}

static uint64_t point_block(const struct map_merge *merge, size_t point)
{
	return piece_of(merge)->points[point].block;
}

static void point_entry(const struct map_merge *merge, size_t point, uint8_t ret_entry[ENTRY_BYTES])
{
	memcpy(ret_entry, piece_of(merge)->points[point].entry, ENTRY_BYTES);
}

static int piece_merge(struct pool *pool, struct piece *p)
{
	struct volume *to = p->copying->to;
	struct piece_merge m = {
		.merge = {.pages = pool->pages,
			  .block_count = to->next.size_bytes / PAGE_BYTES,
			  .epoch = pool->checkpointer->epoch,
			  .point_count = p->point_count,
			  .point_block = point_block,
			  .point_entry = point_entry},
		.piece = p,
	};
	int r = volume_sink_init(&p->sink, to);

	if (r < 0)
		return r;
	p->sink.sink.data_born = copy_born;
	m.merge.sink = &p->sink.sink;
	r = map_merge(&m.merge, &to->next.root);
	if (r == 0)
		r = volume_sink_flush(&p->sink);
	volume_sink_fini(&p->sink);
	return r;
}

/* -EAGAIN: there is no room in this checkpoint. -ENOTRECOVERABLE: it cannot be made any more. */
static int piece_copy(struct pool *pool, struct piece *p)
{
	struct copying *c = p->copying;
	int r = entries_read(p, source_root(c), c->from_block + c->done, p->source);

	if (r == 0)
		r = entries_read(p, &c->to->next.root, c->to_block + c->done, p->target);
	if (r < 0)
		return r;
	points_make(p, pool->checkpointer->epoch);
	r = space_judge(p);
	if (r == 0)
		r = room_judge(pool, p);
	if (r == 0)
		r = references_add(pool, p);
	if (r < 0 || p->point_count == 0)
		return r;
	return piece_merge(pool, p) < 0 ? -ENOTRECOVERABLE : 0;
}

static int pieces_copy(struct pool *pool, struct piece *p)
{
	struct copying *c = p->copying;
	int r = 0;

	while (r == 0 && c->done < c->count) {
		const uint64_t at = (c->to_block + c->done) & (LEAF_ENTRIES - 1);

		r = holes_skip(c);
		p->count = MIN(c->piece - at, c->count - c->done);
		if (r == 0 && p->count > 0)
			r = piece_copy(pool, p);
		if (r == 0)
			c->done += p->count;
		fiber_yield();
	}
	return r;
}

static int copy_task(struct pool *pool, void *arg)
{
	struct copying *c = arg;
	struct piece *p = calloc(1, sizeof(*p));

	c->result = -ENOMEM;
	if (!p)
		return 0;
	p->copying = c;
	p->walk = (struct map_walk){.pages = pool->pages, .kind = NODE_MAP, .leaf = leaf_take};
	c->result = pieces_copy(pool, p);
	free(p);
	if (c->result == -ENOTRECOVERABLE)
		pool_suspend(pool, -EIO, "a copy could not be made");
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
			    .piece = PIECE};
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
