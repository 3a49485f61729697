/* SPDX-License-Identifier: Apache-2.0 */
/* The records of volumes and snapshots into their trees. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/checkpoint.h"

/* --- Records ------------------------------------------------------------------------------- */

struct table {
	struct pool *pool;
	enum node_kind kind;
	struct node_ptr *root;
	uint32_t limit;
	bool (*changed)(const struct pool *pool, uint32_t id);
	void (*encode)(const struct pool *pool, uint32_t id, uint8_t to[RECORD_BYTES]);
};

static bool volume_changed(const struct pool *pool, uint32_t id)
{
	const struct volume *v = volume_at(pool, id);

	return v && memcmp(&v->rec, &v->next, sizeof(v->rec)) != 0;
}

static void volume_encode(const struct pool *pool, uint32_t id, uint8_t to[RECORD_BYTES])
{
	const struct volume *v = volume_at(pool, id);

	memset(to, 0, RECORD_BYTES);
	if (v)
		volume_record_encode(&v->next, to);
}

/* One cut since the freeze is the log's, not this checkpoint's. */
static bool snapshot_later(const struct pool *pool, const struct snapshot *s)
{
	return s->pending && s->rec.epoch >= pool->checkpointer->epoch;
}

static bool snapshot_changed(const struct pool *pool, uint32_t id)
{
	const struct snapshot *s = snapshot_at(pool, id);

	return s && !snapshot_later(pool, s) &&
	       (s->pending || memcmp(&s->rec, &s->next, sizeof(s->rec)) != 0);
}

static void snapshot_encode(const struct pool *pool, uint32_t id, uint8_t to[RECORD_BYTES])
{
	const struct snapshot *s = snapshot_at(pool, id);

	memset(to, 0, RECORD_BYTES);
	if (s && !snapshot_later(pool, s))
		snapshot_record_encode(&s->next, to);
}

static bool page_changed(const struct table *table, uint32_t page)
{
	for (uint32_t i = 0; i < RECORDS_PER_PAGE; i++) {
		if (table->changed(table->pool, page * RECORDS_PER_PAGE + i))
			return true;
	}
	return false;
}

static int page_write(const struct table *table, uint32_t page, struct array_edit *edit)
{
	uint8_t bytes[PAGE_BYTES];
	struct page_ref ref = {.kind = table->kind, .index = page};
	int r;

	for (uint32_t i = 0; i < RECORDS_PER_PAGE; i++)
		table->encode(table->pool, page * RECORDS_PER_PAGE + i,
			      bytes + (size_t)i * RECORD_BYTES);
	ref.ptr.kind = (uint8_t)table->kind;
	ref.ptr.live = 1;
	r = pages_write(table->pool->pages, &ref, bytes);
	*edit = (struct array_edit){.index = page, .ptr = ref.ptr};
	return r;
}

static int table_write(const struct table *table)
{
	const uint32_t pages = (table->limit + RECORDS_PER_PAGE - 1) / RECORDS_PER_PAGE;
	struct array_edit *edits = calloc(MAX(pages, 1U), sizeof(*edits));
	size_t count = 0;
	int r = edits ? 0 : -ENOMEM;

	for (uint32_t page = 0; r == 0 && page < pages; page++) {
		if (page_changed(table, page))
			r = page_write(table, page, &edits[count++]);
	}
	if (r == 0 && count > 0)
		r = array_edit(table->pool->pages, table->kind, table->root, edits, count, true);
	free(edits);
	return r;
}

int checkpoint_tables(struct checkpointer *c)
{
	struct pool *pool = c->pool;
	const struct table volumes = {
		.pool = pool,
		.kind = NODE_VOLUMES,
		.root = &c->super.volumes,
		.limit = pool->volume_limit,
		.changed = volume_changed,
		.encode = volume_encode,
	};
	const struct table snapshots = {
		.pool = pool,
		.kind = NODE_SNAPSHOTS,
		.root = &c->super.snapshots,
		.limit = pool->snapshot_limit,
		.changed = snapshot_changed,
		.encode = snapshot_encode,
	};
	int r = table_write(&volumes);

	if (r == 0)
		r = table_write(&snapshots);
	if (r == 0)
		r = history_flush(pool, &c->super.history, &c->super.history_next);
	return r;
}
