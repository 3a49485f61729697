/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of the checkpoint that is opened, and the bitmaps of the two before it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/import.h"

struct loader {
	struct map_walk walk;
	struct pool *pool;
	bool current;
};

static unsigned bitmap_refs(const struct loader *l, uint32_t id,
			    const struct segment_record *record, struct page_ref *refs)
{
	const struct segment *segment = space_segment(l->pool->space, id);
	unsigned count = 0;

	if (!segment || segment->class != record->class || record->class == SEGMENT_LOG ||
	    segment->slot_count != record->slot_count)
		return 0;
	for (unsigned p = 0; p < segment_bitmap_pages(segment); p++) {
		struct page_ref ref = {.kind = NODE_BITMAP, .index = segment_bitmap_index(id, p)};

		if (record->bitmaps[p].vaddr == 0)
			continue;
		ref.ptr.vaddr = record->bitmaps[p].vaddr;
		ref.ptr.kind = NODE_BITMAP;
		memcpy(ref.ptr.check, record->bitmaps[p].check, sizeof(ref.ptr.check));
		refs[count++] = ref;
	}
	return count;
}

static int bitmap_load(struct loader *l, const struct page_ref *ref)
{
	struct segment *segment =
		space_segment(l->pool->space, (uint32_t)(ref->index / SEGMENT_BITMAPS_MAX));
	uint8_t bits[PAGE_BYTES];
	const int r = pages_read(l->pool->pages, ref, bits);

	if (r == 0)
		space_bitmap_load(l->pool->space, segment,
				  (unsigned)(ref->index % SEGMENT_BITMAPS_MAX), bits, l->current);
	return r;
}

/* A seed is there already; the table knows more of it. */
static int seed_complete(struct segment *segment, const struct segment_record *record)
{
	if (record->class != SEGMENT_META || record->slot_count != segment->slot_count ||
	    record->column_count != segment->column_count)
		return -EUCLEAN;
	segment->birth_ckpt = record->birth_ckpt;
	memcpy(segment->bitmaps, record->bitmaps, sizeof(segment->bitmaps));
	segment->record_dirty = false;
	return 0;
}

/* Twice over the table: segments first, for bitmaps lie in them. */
static int segments_leaf(struct map_walk *walk, const struct page_ref *ref, const uint8_t *page)
{
	struct loader *l = container_of(walk, struct loader, walk);
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < RECORDS_PER_PAGE; i++) {
		const uint32_t id = (uint32_t)ref->index * RECORDS_PER_PAGE + i;
		struct segment_record record;

		r = segment_record_decode(page + (size_t)i * RECORD_BYTES, &record);
		if (r < 0 || record.class == 0)
			continue;
		r = space_segment(l->pool->space, id)
			    ? seed_complete(space_segment(l->pool->space, id), &record)
			    : space_segment_load(l->pool->space, id, &record);
	}
	return r;
}

static int bitmaps_leaf(struct map_walk *walk, const struct page_ref *ref, const uint8_t *page)
{
	struct loader *l = container_of(walk, struct loader, walk);
	struct page_ref refs[RECORDS_PER_PAGE * SEGMENT_BITMAPS_MAX];
	unsigned count = 0;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < RECORDS_PER_PAGE; i++) {
		struct segment_record record;

		r = segment_record_decode(page + (size_t)i * RECORD_BYTES, &record);
		if (r == 0 && record.class != 0)
			count += bitmap_refs(l, (uint32_t)ref->index * RECORDS_PER_PAGE + i,
					     &record, refs + count);
	}
	if (count > 0)
		pages_prefetch(l->pool->pages, refs, count);
	for (unsigned i = 0; r == 0 && i < count; i++)
		r = bitmap_load(l, &refs[i]);
	return r;
}

static int volumes_leaf(struct map_walk *walk, const struct page_ref *ref, const uint8_t *page)
{
	struct loader *l = container_of(walk, struct loader, walk);
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < RECORDS_PER_PAGE; i++) {
		struct volume_record record;
		struct volume *volume;

		r = volume_record_decode(page + (size_t)i * RECORD_BYTES, &record);
		if (r < 0 || record.state == VOLUME_NONE)
			continue;
		r = volume_add_at(l->pool, (uint32_t)ref->index * RECORDS_PER_PAGE + i, &volume);
		if (r == 0) {
			volume->rec = record;
			volume->next = record;
		}
	}
	return r;
}

static int snapshots_leaf(struct map_walk *walk, const struct page_ref *ref, const uint8_t *page)
{
	struct loader *l = container_of(walk, struct loader, walk);
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < RECORDS_PER_PAGE; i++) {
		struct snapshot_record record;
		struct snapshot *snapshot;

		r = snapshot_record_decode(page + (size_t)i * RECORD_BYTES, &record);
		if (r < 0 || record.state == VOLUME_NONE)
			continue;
		r = snapshot_add_at(l->pool, (uint32_t)ref->index * RECORDS_PER_PAGE + i,
				    &snapshot);
		if (r == 0) {
			snapshot->rec = record;
			snapshot->next = record;
		}
	}
	return r;
}

static int load(struct loader *l, enum node_kind kind, const struct node_ptr *root,
		int (*leaf)(struct map_walk *, const struct page_ref *, const uint8_t *))
{
	l->walk = (struct map_walk){.pages = l->pool->pages, .kind = kind, .leaf = leaf};
	return map_walk(&l->walk, root);
}

/* The pages of the segment tree lie in the seeds, which are loaded from the superblock. */
int import_trees(struct import *im, struct err *err)
{
	struct loader l = {.pool = im->pool, .current = true};
	int r = import_columns_check(im, err);

	if (r < 0)
		return r;
	r = load(&l, NODE_SEGMENTS, &im->super.segments, segments_leaf);
	if (r == 0 && import_columns_check(im, err) < 0)
		return -ENODEV;
	if (r == 0)
		r = load(&l, NODE_SEGMENTS, &im->super.segments, bitmaps_leaf);
	if (r == 0)
		r = load(&l, NODE_VOLUMES, &im->super.volumes, volumes_leaf);
	if (r == 0)
		r = load(&l, NODE_SNAPSHOTS, &im->super.snapshots, snapshots_leaf);
	if (r < 0)
		return import_unreadable(im, err, r);
	l.current = false;
	for (unsigned i = 0; i < im->older_count; i++) {
		/* What cannot be read any more needs no protection: nobody could go back there. */
		if (load(&l, NODE_SEGMENTS, &im->older[i].segments, bitmaps_leaf) < 0)
			continue;
	}
	space_loaded(im->pool->space);
	return 0;
}
