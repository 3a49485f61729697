/* SPDX-License-Identifier: Apache-2.0 */
/* Changes to a pool on simulated drives, with checks made right again. */
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/codec.h>

#include "tamper.h"

#include "format/logblock.h"

/* --- Drives -------------------------------------------------------------------------------- */

struct waiting {
	struct disk_request request;
	struct fiber *fiber;
	bool ended;
};

static void ended(struct disk_request *request)
{
	struct waiting *waiting = container_of(request, struct waiting, request);

	waiting->ended = true;
	fiber_wake(waiting->fiber);
}

static void drive_write(const struct engine_rig *rig, unsigned drive, uint64_t offset,
			const uint8_t page[PAGE_BYTES])
{
	uint8_t *copy = aligned_alloc(PAGE_BYTES, PAGE_BYTES);
	const struct iovec iov = {copy, PAGE_BYTES};
	struct waiting waiting = {.request = {.op = DISK_WRITE,
					      .flags = DISK_FUA,
					      .offset = offset,
					      .length_bytes = PAGE_BYTES,
					      .iov = &iov,
					      .iov_count = 1,
					      .done = ended},
				  .fiber = fiber_self()};
	struct disk_channel *channel;

	memcpy(copy, page, PAGE_BYTES);
	ASSERT(disk_attach(rig->disks[drive], rig->loop, &channel) == 0);
	disk_submit(channel, &waiting.request);
	while (!waiting.ended)
		fiber_park();
	ASSERT(waiting.request.result == 0);
	disk_detach(channel);
	free(copy);
}

bool tamper_place(const struct tamper *t, uint64_t vaddr, unsigned column, unsigned *ret_drive,
		  uint64_t *ret_offset)
{
	const uint32_t id = vaddr_segment(vaddr);

	if (id >= TAMPER_SEGMENTS || column >= t->segments[id].column_count)
		return false;
	*ret_drive = t->segments[id].columns[column].drive;
	*ret_offset = LABEL_BYTES +
		      ((uint64_t)t->segments[id].columns[column].chunk << t->super.chunk_shift) +
		      (uint64_t)vaddr_slot(vaddr) * PAGE_BYTES;
	return *ret_drive < t->rig->drive_count &&
	       *ret_offset <= disk_info(t->rig->disks[*ret_drive])->size_bytes - PAGE_BYTES;
}

void tamper_read(const struct tamper *t, uint64_t vaddr, uint8_t page[PAGE_BYTES])
{
	unsigned drive;
	uint64_t offset;

	memset(page, 0, PAGE_BYTES);
	if (tamper_place(t, vaddr, 0, &drive, &offset))
		disk_sim_peek(t->rig->drives[drive], offset, page, PAGE_BYTES);
}

static void slot_write(const struct tamper *t, uint64_t vaddr, const uint8_t page[PAGE_BYTES])
{
	unsigned drive;
	uint64_t offset;

	for (unsigned c = 0; tamper_place(t, vaddr, c, &drive, &offset); c++)
		drive_write(t->rig, drive, offset, page);
}

/* --- Superblocks and segments -------------------------------------------------------------- */

static uint64_t super_at(const struct tamper *t, unsigned drive, bool back, unsigned slot)
{
	return super_offset(disk_info(t->rig->disks[drive])->size_bytes, back, slot);
}

void tamper_super_seal(uint8_t page[PAGE_BYTES], bool back, unsigned slot)
{
	le64_put(page + 4072, le64_get(page + 56) ^ ((uint64_t)slot | (uint64_t)back << 32));
	codec_check128(page, 4080, UINT64_C(0x51554f494e534231), page + 4080);
}

static bool super_load(struct tamper *t)
{
	uint8_t page[PAGE_BYTES];
	struct super super;

	t->super.ckpt = 0;
	for (unsigned slot = 0; slot < SUPER_RING_SLOTS; slot++) {
		disk_sim_peek(t->rig->drives[0], super_at(t, 0, false, slot), page, PAGE_BYTES);
		if (super_decode(page, false, slot, &super) == 0 && super.ckpt > t->super.ckpt)
			t->super = super;
	}
	return t->super.ckpt != 0;
}

static struct node_ptr child_ptr(const uint8_t *page, uint64_t leaf, unsigned level)
{
	const unsigned n =
		(unsigned)(leaf >> (NODE_FANOUT_SHIFT * (level - 1))) & (NODE_FANOUT - 1);
	struct node_ptr child = {0};

	if (node_ptr_decode(page + (size_t)n * NODE_PTR_BYTES, &child) < 0 ||
	    child.level + 1U != level)
		return (struct node_ptr){0};
	return child;
}

/* The pointer to the page at `level` on the way to a leaf; vaddr 0: none. */
static struct node_ptr find(const struct tamper *t, const struct node_ptr *root, unsigned level,
			    uint64_t leaf)
{
	struct node_ptr at = *root;
	uint8_t page[PAGE_BYTES];

	while (at.vaddr != 0 && at.level > level) {
		tamper_read(t, at.vaddr, page);
		at = child_ptr(page, leaf, at.level);
	}
	return at.level == level ? at : (struct node_ptr){0};
}

static bool segments_load(struct tamper *t)
{
	uint8_t page[PAGE_BYTES];

	memset(t->segments, 0, sizeof(t->segments));
	for (unsigned i = 0; i < SUPER_SEEDS_MAX; i++) {
		const struct super_seed *seed = &t->super.seeds[i];

		if (seed->id == 0)
			continue;
		if (seed->id >= TAMPER_SEGMENTS)
			return false;
		t->segments[seed->id].column_count = seed->column_count;
		for (unsigned c = 0; c < seed->column_count; c++) {
			t->segments[seed->id].columns[c].drive = seed->columns[c].drive;
			t->segments[seed->id].columns[c].chunk = seed->columns[c].chunk;
		}
	}
	for (unsigned leaf = 0; leaf < TAMPER_SEGMENTS / RECORDS_PER_PAGE; leaf++) {
		const struct node_ptr ptr = find(t, &t->super.segments, 0, leaf);

		if (ptr.vaddr == 0)
			continue;
		tamper_read(t, ptr.vaddr, page);
		for (unsigned i = 0; i < RECORDS_PER_PAGE; i++)
			(void)!segment_record_decode(page + (size_t)i * RECORD_BYTES,
						     &t->segments[leaf * RECORDS_PER_PAGE + i]);
	}
	return true;
}

bool tamper_load(struct tamper *t, struct engine_rig *rig)
{
	t->rig = rig;
	return super_load(t) && segments_load(t);
}

void tamper_super(struct tamper *t)
{
	const unsigned slot = (unsigned)(t->super.ckpt % SUPER_RING_SLOTS);
	uint8_t page[PAGE_BYTES];

	for (unsigned i = 0; i < 2 * t->rig->drive_count; i++) {
		/* Drives are in the pool in the order of the rig. */
		memcpy(t->super.drive_guid, t->super.drives[i / 2].guid, 16);
		super_encode(&t->super, i % 2, page);
		drive_write(t->rig, i / 2, super_at(t, i / 2, i % 2, slot), page);
	}
}

/* --- Trees --------------------------------------------------------------------------------- */

bool tamper_page(struct tamper *t, struct node_ptr *root, unsigned level, uint64_t leaf,
		 const struct tamper_change *change)
{
	const uint64_t index = leaf >> (NODE_FANOUT_SHIFT * root->level);
	uint8_t page[PAGE_BYTES];

	if (root->vaddr == 0 || root->level < level)
		return false;
	tamper_read(t, root->vaddr, page);
	if (root->level == level) {
		change->apply(change, page);
	} else {
		struct node_ptr child = child_ptr(page, leaf, root->level);
		const unsigned n = (unsigned)(leaf >> (NODE_FANOUT_SHIFT * (root->level - 1))) &
				   (NODE_FANOUT - 1);

		if (!tamper_page(t, &child, level, leaf, change))
			return false;
		node_ptr_encode(&child, page + (size_t)n * NODE_PTR_BYTES);
	}
	slot_write(t, root->vaddr, page);
	node_check_make(page, node_seed(root->kind, root->level, index), root->check);
	return true;
}

static struct node_ptr *table_root(struct tamper *t, enum node_kind kind)
{
	switch ((int)kind) {
	case NODE_SEGMENTS:
		return &t->super.segments;
	case NODE_VOLUMES:
		return &t->super.volumes;
	case NODE_SNAPSHOTS:
		return &t->super.snapshots;
	default:
		return &t->super.history;
	}
}

struct record_change {
	struct tamper_change page;
	const struct tamper_change *record;
	unsigned n;
};

static void record_apply(const struct tamper_change *change, uint8_t *page)
{
	const struct record_change *r = container_of(change, struct record_change, page);

	r->record->apply(r->record, page + (size_t)r->n * RECORD_BYTES);
}

bool tamper_record(struct tamper *t, enum node_kind kind, uint64_t id,
		   const struct tamper_change *change)
{
	const struct record_change page = {.page = {.apply = record_apply},
					   .record = change,
					   .n = (unsigned)(id % RECORDS_PER_PAGE)};

	if (!tamper_page(t, table_root(t, kind), 0, id / RECORDS_PER_PAGE, &page.page))
		return false;
	tamper_super(t);
	return true;
}

/* Bytes that replace those of a record. */
struct bytes_change {
	struct tamper_change change;
	const uint8_t *bytes;
	size_t size;
};

static void bytes_apply(const struct tamper_change *change, uint8_t *to)
{
	const struct bytes_change *b = container_of(change, struct bytes_change, change);

	memcpy(to + change->at, b->bytes, b->size);
}

/* A root within a record: changed below, then put back. */
static bool below_record(struct tamper *t, enum node_kind kind, uint32_t id, unsigned at,
			 const struct tamper_change *change)
{
	const struct node_ptr leaf = find(t, table_root(t, kind), 0, id / RECORDS_PER_PAGE);
	const unsigned level = (unsigned)change->value;
	uint8_t page[PAGE_BYTES], raw[NODE_PTR_BYTES];
	const struct bytes_change root = {
		.change = {.apply = bytes_apply, .at = at}, .bytes = raw, .size = sizeof(raw)};
	struct node_ptr ptr = {0};

	if (leaf.vaddr == 0)
		return false;
	tamper_read(t, leaf.vaddr, page);
	if (node_ptr_decode(page + (size_t)(id % RECORDS_PER_PAGE) * RECORD_BYTES + at, &ptr) < 0 ||
	    !tamper_page(t, &ptr, level, 0,
			 container_of(change, struct record_change, page)->record))
		return false;
	node_ptr_encode(&ptr, raw);
	return tamper_record(t, kind, id, &root.change);
}

bool tamper_map(struct tamper *t, enum node_kind kind, uint32_t id, unsigned level,
		const struct tamper_change *change)
{
	const struct record_change below = {.page = {.value = level}, .record = change};

	return below_record(t, kind, id, kind == NODE_VOLUMES ? 32 : 48, &below.page);
}

bool tamper_deadlist(struct tamper *t, enum node_kind kind, uint32_t id,
		     const struct tamper_change *change)
{
	const struct record_change below = {.page = {.value = 0}, .record = change};

	return below_record(t, kind, id, kind == NODE_VOLUMES ? 96 : 112, &below.page);
}

/* --- Bitmaps and the log ------------------------------------------------------------------- */

bool tamper_bitmap(struct tamper *t, uint32_t segment, const struct tamper_change *change)
{
	const struct segment_bitmap *bitmap = &t->segments[segment].bitmaps[0];
	uint8_t page[PAGE_BYTES], check[16];
	const struct bytes_change record = {
		.change = {.apply = bytes_apply, .at = 96 + 8}, .bytes = check, .size = 16};

	if (segment >= TAMPER_SEGMENTS || bitmap->vaddr == 0)
		return false;
	tamper_read(t, bitmap->vaddr, page);
	change->apply(change, page);
	slot_write(t, bitmap->vaddr, page);
	node_check_make(page, node_seed(NODE_BITMAP, 0, segment_bitmap_index(segment, 0)), check);
	return tamper_record(t, NODE_SEGMENTS, segment, &record.change);
}

bool tamper_log(struct tamper *t, uint64_t number, const struct tamper_change *change)
{
	const uint64_t blocks = UINT64_C(1) << (t->super.chunk_shift - PAGE_SHIFT);
	const uint64_t at = number % (blocks * t->super.log_segment_count);
	const uint64_t vaddr = vaddr_make(t->super.log_segments[at / blocks], at % blocks);
	uint8_t page[PAGE_BYTES];

	tamper_read(t, vaddr, page);
	change->apply(change, page);
	le64_put(page + 56, 0);
	le64_put(page + 56, codec_check64(page, PAGE_BYTES, number));
	slot_write(t, vaddr, page);
	return true;
}
