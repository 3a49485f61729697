/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frozen delta into the volumes' trees. For each volume one pass per snapshot that was cut in
 * this generation, oldest first, then one for the head: a pass takes the newest version of each
 * block with an epoch up to the cut and after the one before.
 */
#include <errno.h>
#include <stdlib.h>

#include <quoin/base_assert.h>

#include "engine/checkpoint.h"

#define RANGE_PAGES 8192 /* leaf pages read for trims by one checkpoint; the rest is carried */
#define RANGE_CARRY_ROOM 64
#define POINTS_AT_ONCE 4096 /* looked at before others have a turn */

struct merger {
	struct checkpointer *c;
	struct pool *pool;
	const struct delta *frozen;
	struct merge_range *ranges;
	uint64_t *edges;
	struct snapshot **cuts; /* by volume, then epoch */
	size_t cut, cut_count;

	uint32_t count; /* of pool->order: what is merged */

	/* Of the volume under way: its part of pool->order. */
	struct volume *volume;
	uint32_t first, end;
	uint32_t done; /* records of passes that have ended */
};

static int by_value(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a;
	const uint64_t y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The seq of the newest range of the pass over the block; 0: none. */
static uint64_t cut_seq(const struct merger *m, uint64_t block, uint32_t after, uint32_t upto)
{
	uint64_t seq = 0;

	for (unsigned i = 0; i < m->frozen->range_count; i++) {
		const struct delta_range *r = &m->frozen->ranges[i];

		if (r->volume == m->volume->id && r->epoch > after && r->epoch <= upto &&
		    block >= r->start && block < r->end && r->seq > seq)
			seq = r->seq;
	}
	return seq;
}

/* The pass's ranges as ascending, disjoint ones, each with the newest seq over it. */
static size_t ranges_make(struct merger *m, uint32_t after, uint32_t upto)
{
	size_t edge_count = 0;
	size_t count = 0;

	for (unsigned i = 0; i < m->frozen->range_count; i++) {
		const struct delta_range *r = &m->frozen->ranges[i];

		if (r->volume != m->volume->id || r->epoch <= after || r->epoch > upto)
			continue;
		m->edges[edge_count++] = r->start;
		m->edges[edge_count++] = r->end;
	}
	qsort(m->edges, edge_count, sizeof(*m->edges), by_value);
	for (size_t i = 0; i + 1 < edge_count; i++) {
		const uint64_t start = m->edges[i];
		const uint64_t end = m->edges[i + 1];
		const uint64_t seq = start < end ? cut_seq(m, start, after, upto) : 0;
		struct merge_range *last = count > 0 ? &m->ranges[count - 1] : NULL;

		if (seq == 0)
			continue;
		if (last && last->end == start && last->seq == seq)
			last->end = end;
		else
			m->ranges[count++] = (struct merge_range){start, end, seq};
	}
	return count;
}

/*
 * The last version of a block within the pass: order[i] .. order[*next - 1] are of one key. There
 * are more in it where another volume's snapshot came between: nobody sees those any more.
 */
static const struct delta_record *version(const struct merger *m, uint32_t i, uint32_t *next,
					  uint32_t after, uint32_t upto)
{
	const struct delta_record *records = m->frozen->records;
	const uint32_t *order = m->pool->order;
	const uint64_t key = delta_record_key(&records[order[i]]);
	const struct delta_record *found = NULL;

	for (; i < m->end && delta_record_key(&records[order[i]]) == key; i++) {
		const uint32_t epoch = delta_record_epoch(&records[order[i]]);

		if (epoch <= after || epoch > upto)
			continue;
		if (found && delta_record_vaddr(found) != 0)
			space_supersede(m->pool->space, delta_record_vaddr(found));
		found = &records[order[i]];
	}
	*next = i;
	return found;
}

/* The numbers of the pass's records go where the sort is done. */
static size_t points_make(struct merger *m, bool cuts, uint32_t after, uint32_t upto)
{
	size_t count = 0;
	unsigned looked = 0;
	uint32_t next;

	for (uint32_t i = m->first; i < m->end; i = next) {
		const struct delta_record *r = version(m, i, &next, after, upto);
		uint64_t block;

		if (++looked % POINTS_AT_ONCE == 0)
			fiber_yield();
		if (!r)
			continue;
		block = delta_key_block(delta_record_key(r));
		if (block >= m->volume->next.size_bytes / PAGE_BYTES ||
		    (cuts && cut_seq(m, block, after, upto) > delta_record_seq(r))) {
			if (delta_record_vaddr(r) != 0)
				space_supersede(m->pool->space, delta_record_vaddr(r));
			continue;
		}
		m->pool->order_scratch[count++] = (uint32_t)(r - m->frozen->records);
	}
	return count;
}

struct pass {
	struct map_merge merge;
	const struct merger *m;
};

static const struct delta_record *pass_record(const struct map_merge *merge, size_t point)
{
	const struct merger *m = ((const struct pass *)(const void *)merge)->m;

	return &m->frozen->records[m->pool->order_scratch[point]];
}

static uint64_t pass_block(const struct map_merge *merge, size_t point)
{
	return delta_key_block(delta_record_key(pass_record(merge, point)));
}

static void pass_entry(const struct map_merge *merge, size_t point, uint8_t ret_entry[ENTRY_BYTES])
{
	delta_record_entry(pass_record(merge, point), ret_entry);
}

/* What was not done of the ranges lives on in the active delta and its log. */
static void ranges_carry(struct merger *m, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct merge_range *r = &m->ranges[i];
		const struct delta_range range = {
			.volume = m->volume->id,
			.epoch = m->c->epoch,
			.start = r->start,
			.end = r->end,
			.seq = r->seq,
			.carried = true,
		};
		const struct log_record record = {
			.type = LOG_RANGE,
			.volume = m->volume->id,
			.block = r->start,
			.block_count = r->end - r->start,
			.seq = r->seq,
			.epoch = m->c->epoch,
		};

		if (r->start >= r->end)
			continue;
		while (!log_has_room(&m->pool->log, 1))
			fiber_sleep_ns(NS_PER_MS);
		delta_range_insert(pool_delta(m->pool), &range);
		log_append(&m->pool->log, &record);
		m->c->relogged = true;
	}
}

static void give_way(struct map_merge *merge)
{
	const struct merger *m = ((const struct pass *)(const void *)merge)->m;

	pace_progress(&m->c->pace, m->done + merge->points_done);
	fiber_yield();
}

static int pass_merge(struct merger *m, uint32_t after, uint32_t upto, bool head)
{
	const size_t range_count = ranges_make(m, after, upto);
	const bool carry = head && range_count <= RANGE_CARRY_ROOM &&
			   pool_delta(m->pool)->range_count < RANGES_CARRIED_MAX;
	struct volume_sink sink;
	struct pass pass = {
		.merge =
			{
				.pages = m->pool->pages,
				.block_count = m->volume->next.size_bytes / PAGE_BYTES,
				.epoch = upto,
				.point_count = points_make(m, range_count > 0, after, upto),
				.point_block = pass_block,
				.point_entry = pass_entry,
				.ranges = m->ranges,
				.range_count = range_count,
				.range_pages_max = carry ? RANGE_PAGES : 0,
				.pause = give_way,
			},
		.m = m,
	};
	int r;

	if (pass.merge.point_count == 0 && range_count == 0)
		return 0;
	r = volume_sink_init(&sink, m->volume);
	if (r < 0)
		return r;
	pass.merge.sink = &sink.sink;
	r = map_merge(&pass.merge, &m->volume->next.root);
	if (r == 0)
		r = volume_sink_flush(&sink);
	volume_sink_fini(&sink);
	m->done += (uint32_t)pass.merge.point_count;
	if (r == 0)
		ranges_carry(m, range_count);
	return r;
}

/* The head as it is now becomes the snapshot's. */
static void materialize(struct volume *volume, struct snapshot *snapshot)
{
	struct snapshot *prev = snapshot_at(volume->pool, volume->next.last_snapshot);

	if (prev && prev->next.volume == volume->id)
		prev->after = snapshot->id;
	snapshot->next.root = volume->next.root;
	snapshot->next.dead = volume->next.dead;
	snapshot->next.referenced = volume->next.referenced;
	snapshot->next.referenced_meta = volume->next.referenced_meta;
	snapshot->next.prev = volume->next.last_snapshot;
	snapshot->next.unique = 0;
	volume->next.dead = (struct deadlist){.pages = 0};
	volume->next.unique = 0;
	volume->next.last_snapshot = snapshot->id;
}

/* --- Cuts ------------------------------------------------------------------------------------ */

static int by_volume_and_epoch(const void *a, const void *b)
{
	const struct snapshot_record *x = &(*(struct snapshot *const *)a)->rec;
	const struct snapshot_record *y = &(*(struct snapshot *const *)b)->rec;

	if (x->volume != y->volume)
		return x->volume < y->volume ? -1 : 1;
	return x->epoch < y->epoch ? -1 : x->epoch > y->epoch;
}

/* Those of this generation, of all volumes in the order in which they are merged. */
static int cuts_gather(struct merger *m)
{
	const struct pool *pool = m->pool;
	size_t count = 0;

	for (uint32_t id = 0; id < pool->volume_limit; id++)
		count += pool->volumes[id] ? pool->volumes[id]->cuts_pending : 0;
	m->cuts = calloc(count + 1, sizeof(struct snapshot *));
	if (!m->cuts)
		return -ENOMEM;
	for (uint32_t id = 0; m->cut_count < count && id < pool->snapshot_limit; id++) {
		struct snapshot *s = pool->snapshots[id];

		if (s && s->pending && s->rec.epoch < m->c->epoch)
			m->cuts[m->cut_count++] = s;
	}
	qsort(m->cuts, m->cut_count, sizeof(struct snapshot *), by_volume_and_epoch);
	return 0;
}

/* The volume's next cut; NULL: none is left. */
static struct snapshot *cut_next(struct merger *m)
{
	/* Those of volumes that are being destroyed are passed over. */
	while (m->cut < m->cut_count && m->cuts[m->cut]->rec.volume < m->volume->id)
		m->cut++;
	if (m->cut == m->cut_count || m->cuts[m->cut]->rec.volume != m->volume->id)
		return NULL;
	return m->cuts[m->cut++];
}

static int volume_merge(struct merger *m)
{
	uint32_t after = 0;
	struct snapshot *cut;
	int r;

	while ((cut = cut_next(m)) != NULL) {
		r = pass_merge(m, after, cut->rec.epoch, false);
		if (r < 0)
			return r;
		materialize(m->volume, cut);
		after = cut->rec.epoch;
	}
	return pass_merge(m, after, m->c->epoch, true);
}

static bool touched(const struct merger *m)
{
	return m->first < m->end || m->volume->cuts_pending > 0 ||
	       delta_has_range(m->frozen, m->volume->id);
}

static void sort_pause(void *data)
{
	fiber_yield();
}

static int volumes_merge(struct merger *m)
{
	uint32_t at = 0;

	for (uint32_t id = 0; id < m->pool->volume_limit; id++) {
		int r = 0;

		m->first = at;
		while (at < m->count && delta_key_volume(delta_record_key(
						&m->frozen->records[m->pool->order[at]])) == id)
			at++;
		m->end = at;
		m->volume = volume_at(m->pool, id);
		if (m->volume && m->volume->next.state == VOLUME_LIVE && touched(m))
			r = volume_merge(m);
		m->done = at;
		if (r < 0)
			return r;
	}
	return 0;
}

int checkpoint_merge(struct checkpointer *c)
{
	struct pool *pool = c->pool;
	struct merger m = {.c = c, .pool = pool, .frozen = &pool->deltas[!pool->active]};
	int r = -ENOMEM;

	m.ranges = calloc(2 * DELTA_RANGES_MAX, sizeof(*m.ranges));
	m.edges = calloc(2 * DELTA_RANGES_MAX, sizeof(*m.edges));
	if (m.ranges && m.edges)
		r = cuts_gather(&m);
	if (r == 0) {
		delta_sort(m.frozen, pool->order, pool->order_scratch, sort_pause, NULL);
		m.count = checkpoint_carry(c);
		/* What goes on has taken its room by now, and costs no time. */
		pace_begin(&c->pace, loop_now_ns(pool->loop), m.count, write_room_left(pool));
		r = volumes_merge(&m);
	}
	free(m.cuts);
	free(m.ranges);
	free(m.edges);
	return r;
}
