/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of segments, found by the seeds of the superblock; and who owns which slot
 * (FORMAT.md, sections 3, 4 and 6).
 */
#include <inttypes.h>
#include <stdlib.h>

#include <quoin/base_bitmap.h>

#include "inspect/inspect.h"

const struct inspect_segment *inspect_segment(const struct inspect *in, uint64_t vaddr)
{
	const uint64_t id = vaddr >> VADDR_SLOT_BITS;

	return id < in->segment_count && in->segments[id].record.class != 0 ? &in->segments[id]
									    : NULL;
}

bool inspect_vaddr_valid(const struct inspect *in, uint64_t vaddr, enum segment_class class)
{
	const struct inspect_segment *s = inspect_segment(in, vaddr);

	return s && s->record.class == class && vaddr_slot(vaddr) < in->slot_count;
}

bool inspect_owned(const struct inspect *in, uint64_t vaddr)
{
	const struct inspect_segment *s = inspect_segment(in, vaddr);

	return s && s->owned && vaddr_slot(vaddr) < in->slot_count &&
	       bitmap_test(s->owned, vaddr_slot(vaddr));
}

/* -EEXIST: the bit was set. */
static int bit_take(struct inspect *in, uint64_t **bits, uint64_t vaddr)
{
	const size_t bytes = BITMAP_WORDS(in->slot_count) * sizeof(uint64_t);

	if (!*bits) {
		*bits = calloc(1, bytes);
		if (!*bits) {
			in->error = -ENOMEM;
			return -ENOMEM;
		}
		in->result->memory_bytes += bytes;
	}
	if (bitmap_test(*bits, vaddr_slot(vaddr)))
		return -EEXIST;
	bitmap_set(*bits, vaddr_slot(vaddr));
	return 0;
}

int inspect_own(struct inspect *in, uint64_t vaddr, const struct inspect_place *place)
{
	struct inspect_segment *s = &in->segments[vaddr_segment(vaddr)];
	struct inspect_place at = *place;
	const int r = bit_take(in, &s->owned, vaddr);

	if (r != -EEXIST)
		return r;
	if (inspect_share_take(in, vaddr))
		return 0;
	at.vaddr = vaddr;
	inspect_damage(in, "double-owner", &at, "its slot belongs to something else already");
	return r;
}

int inspect_own_logged(struct inspect *in, uint64_t vaddr, const struct inspect_place *place)
{
	struct inspect_segment *s = &in->segments[vaddr_segment(vaddr)];
	struct inspect_place at = *place;
	const int r = bit_take(in, &s->logged, vaddr);

	if (r != -EEXIST)
		return r;
	at.vaddr = vaddr;
	inspect_damage(in, "log-double", &at, "two records of the log name its slot");
	return r;
}

/* --- Loading ------------------------------------------------------------------------------- */

static int grow(struct inspect *in, uint32_t id)
{
	uint32_t capacity = MAX(in->segment_capacity, 64U);
	struct inspect_segment *segments;

	if (id < in->segment_count)
		return 0;
	while (capacity <= id)
		capacity *= 2;
	if (capacity > in->segment_capacity) {
		segments = realloc(in->segments, capacity * sizeof(*segments));
		if (!segments)
			return -ENOMEM;
		memset(segments + in->segment_capacity, 0,
		       (capacity - in->segment_capacity) * sizeof(*segments));
		in->segments = segments;
		in->segment_capacity = capacity;
	}
	in->segment_count = id + 1;
	return 0;
}

static bool chunk_exists(const struct inspect *in, const struct segment_column *c)
{
	return c->drive < in->super.drive_count &&
	       c->chunk < in->super.drives[c->drive].chunk_count;
}

/* Each chunk is in one segment. */
static void chunks_take(struct inspect *in, const struct segment_record *record,
			const struct inspect_place *place)
{
	for (unsigned c = 0; c < record->column_count; c++) {
		const struct segment_column *column = &record->columns[c];
		uint8_t **bits = &in->chunks[column->drive];

		if (!*bits)
			*bits = calloc(1, in->super.drives[column->drive].chunk_count / 8 + 1);
		if (!*bits) {
			in->error = -ENOMEM;
			return;
		}
		if ((*bits)[column->chunk / 8] >> (column->chunk % 8) & 1)
			inspect_damage(in, "chunk-double", place,
				       "chunk %" PRIu32 " of drive %u is another segment's too",
				       column->chunk, column->drive);
		else
			in->result->space.chunks_used++;
		(*bits)[column->chunk / 8] |= (uint8_t)(1U << (column->chunk % 8));
	}
}

static bool is_log(const struct inspect *in, uint32_t id)
{
	for (unsigned i = 0; i < in->super.log_segment_count; i++)
		if (in->super.log_segments[i] == id)
			return true;
	return false;
}

/* False: nothing in it can be found. */
static bool record_usable(struct inspect *in, uint32_t id, const struct segment_record *record,
			  const struct inspect_place *place)
{
	if (record->slot_count != in->slot_count) {
		inspect_damage(in, "segment-bad", place,
			       "it has %" PRIu32 " slots, a chunk has %" PRIu32, record->slot_count,
			       in->slot_count);
		return false;
	}
	for (unsigned c = 0; c < record->column_count; c++) {
		if (chunk_exists(in, &record->columns[c]))
			continue;
		inspect_damage(in, "segment-bad", place,
			       "chunk %" PRIu32 " of drive %u does not exist",
			       record->columns[c].chunk, record->columns[c].drive);
		return false;
	}
	if (id == 0 || id >= in->super.segment_limit)
		inspect_damage(in, "segment-bad", place,
			       "the superblock says that numbers are below %" PRIu32,
			       in->super.segment_limit);
	return id != 0;
}

static void record_judge(struct inspect *in, uint32_t id, const struct segment_record *record,
			 const struct inspect_place *place)
{
	if (record->birth_ckpt > in->super.ckpt)
		inspect_damage(in, "segment-bad", place,
			       "it was born at checkpoint %" PRIu64 ", which is yet to come",
			       record->birth_ckpt);
	if (record->class != SEGMENT_DATA && record->column_count < 2)
		inspect_damage(in, "segment-bad", place,
			       "it is not for data and has one column only");
	if ((record->class == SEGMENT_LOG) != is_log(in, id))
		inspect_damage(
			in, "segment-log", place,
			record->class == SEGMENT_LOG
				? "it is a log segment that the superblock does not name"
				: "the superblock names it as a log segment, and it is none");
	for (unsigned c = 0; record->class == SEGMENT_DATA && c < record->column_count; c++)
		if (in->super.drives[record->columns[c].drive].group != record->group)
			inspect_damage(in, "segment-group", place,
				       "it is of group %u, its drive %u is not", record->group,
				       record->columns[c].drive);
}

static bool columns_same(const struct segment_record *a, const struct segment_record *b)
{
	if (a->class != b->class || a->column_count != b->column_count)
		return false;
	for (unsigned c = 0; c < a->column_count; c++)
		if (a->columns[c].drive != b->columns[c].drive ||
		    a->columns[c].chunk != b->columns[c].chunk)
			return false;
	return true;
}

static void record_take(struct inspect *in, uint32_t id, const struct segment_record *record)
{
	const struct inspect_place place = inspect_place("segments", "segment %" PRIu32, id);
	struct inspect_segment *s;

	if (!record_usable(in, id, record, &place))
		return;
	if (grow(in, id) < 0) {
		in->error = -ENOMEM;
		return;
	}
	record_judge(in, id, record, &place);
	s = &in->segments[id];
	if (s->seed && !columns_same(&s->record, record)) {
		/* What was read so far was read where the superblock says. */
		inspect_damage(in, "seed-differs", &place,
			       "the superblock has it elsewhere than the table");
		return;
	}
	s->seed = false;
	s->record = *record;
	chunks_take(in, record, &place);
	in->result->segments++;
	if (record->class == SEGMENT_DATA)
		in->result->space.data_total += in->slot_count;
	else if (record->class == SEGMENT_META)
		in->result->space.meta_total += in->slot_count;
	else
		in->result->space.log_total += in->slot_count;
}

static void leaf_take(struct inspect_walk *walk, uint64_t index, const struct node_ptr *ptr,
		      const uint8_t *page)
{
	for (unsigned i = 0; i < RECORDS_PER_PAGE && walk->in->error == 0; i++) {
		const uint64_t id = index * RECORDS_PER_PAGE + i;
		struct segment_record record;
		const int r = segment_record_decode(page + (size_t)i * RECORD_BYTES, &record);
		struct inspect_place place = inspect_place("segments", "segment %" PRIu64, id);

		place.vaddr = ptr->vaddr;
		if (r < 0 || (record.class != 0 && id >= SEGMENT_MAX))
			inspect_record_bad(walk, &place);
		else if (record.class != 0)
			record_take(walk->in, (uint32_t)id, &record);
	}
}

/* Until the table is read, the seeds are all there is. */
static int seeds_take(struct inspect *in)
{
	for (unsigned i = 0; i < SUPER_SEEDS_MAX; i++) {
		const struct super_seed *seed = &in->super.seeds[i];
		struct segment_record record = {.class = SEGMENT_META,
						.column_count = seed->column_count,
						.slot_count = in->slot_count};
		const struct inspect_place place =
			inspect_place("segments", "seed %u of the superblock", i);

		if (seed->id == 0)
			continue;
		for (unsigned c = 0; c < seed->column_count; c++) {
			record.columns[c].drive = seed->columns[c].drive;
			record.columns[c].chunk = seed->columns[c].chunk;
		}
		if (!record_usable(in, seed->id, &record, &place))
			continue;
		if (grow(in, seed->id) < 0)
			return -ENOMEM;
		in->segments[seed->id].record = record;
		in->segments[seed->id].seed = true;
	}
	return 0;
}

static void seeds_judge(struct inspect *in)
{
	for (uint32_t id = 0; id < in->segment_count; id++) {
		const struct inspect_place place =
			inspect_place("segments", "segment %" PRIu32, id);

		if (in->segments[id].seed)
			inspect_damage(
				in, "seed-differs", &place,
				"the superblock knows it as one that the table does not have");
	}
	for (unsigned i = 0; i < in->super.log_segment_count; i++) {
		const uint32_t id = in->super.log_segments[i];
		const struct inspect_place place =
			inspect_place("segments", "log segment %" PRIu32, id);

		if (!inspect_segment(in, vaddr_make(id, 0)))
			inspect_damage(in, "segment-log", &place,
				       "the superblock names it, and it is not in the table");
	}
}

int inspect_segments_load(struct inspect *in)
{
	struct inspect_walk walk = {.in = in,
				    .kind = NODE_SEGMENTS,
				    .place = inspect_place("segments", "the table of segments"),
				    .pages = &in->result->space.tables,
				    .leaf = leaf_take};
	const int r = seeds_take(in);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < in->super.drive_count; i++)
		in->result->space.chunks_total += in->super.drives[i].chunk_count;
	/* Seeds bound the walk over the table, the table all that follow. */
	in->meta_slots_total = (uint64_t)SUPER_SEEDS_MAX * in->slot_count;
	inspect_walk(&walk, &in->super.segments);
	in->incomplete |= walk.damaged;
	in->meta_slots_total = MAX(in->result->space.meta_total, (uint64_t)in->slot_count);
	seeds_judge(in);
	in->result->memory_bytes += in->segment_capacity * sizeof(*in->segments);
	return in->error;
}

void inspect_segments_free(struct inspect *in)
{
	for (uint32_t id = 0; id < in->segment_count; id++) {
		free(in->segments[id].owned);
		free(in->segments[id].logged);
	}
	free(in->segments);
	for (unsigned i = 0; i < SUPER_DRIVES_MAX; i++)
		free(in->chunks[i]);
}
