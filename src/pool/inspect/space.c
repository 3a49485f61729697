/* SPDX-License-Identifier: Apache-2.0 */
/* What the trees own, against what the bitmaps say (FORMAT.md, section 6), and the sums. */
#include <inttypes.h>
#include <stdlib.h>

#include <quoin/base_bitmap.h>

#include "inspect/fetch.h"

static unsigned bitmap_pages(const struct inspect *in, const struct segment_record *record)
{
	if (record->class != SEGMENT_DATA && record->class != SEGMENT_META)
		return 0;
	return (in->slot_count + BITMAP_PAGE_SLOTS - 1) / BITMAP_PAGE_SLOTS;
}

static struct inspect_place bitmap_place(uint32_t id, unsigned page, uint64_t vaddr)
{
	struct inspect_place place =
		inspect_place("bitmap", "bitmap page %u of segment %" PRIu32, page, id);

	place.vaddr = vaddr;
	return place;
}

/* They lie in slots that bitmaps tell of, so all of them come before the first is compared. */
void inspect_bitmaps_own(struct inspect *in)
{
	for (uint32_t id = 0; id < in->segment_count && in->error == 0; id++) {
		struct segment_record *record = &in->segments[id].record;

		for (unsigned p = 0; p < bitmap_pages(in, record); p++) {
			const uint64_t vaddr = record->bitmaps[p].vaddr;
			const struct inspect_place place = bitmap_place(id, p, vaddr);

			if (vaddr == 0)
				continue;
			if (!inspect_vaddr_valid(in, vaddr, SEGMENT_META)) {
				inspect_damage(in, "pointer-bad", &place,
					       "its address leads nowhere");
			} else if (inspect_own(in, vaddr, &place) == 0) {
				in->result->space.bitmaps++;
			}
		}
	}
}

struct bits {
	uint64_t marked;   /* bits on the drive */
	uint64_t leaked;   /* marked, and nobody's */
	uint64_t unmarked; /* owned, and not marked */
	uint32_t first_leaked, first_unmarked;
};

static void compare(const struct inspect *in, const struct inspect_segment *s, unsigned page,
		    const uint8_t *marks, struct bits *bits)
{
	const uint32_t first = page * BITMAP_PAGE_SLOTS;
	const uint32_t end = MIN(in->slot_count, first + BITMAP_PAGE_SLOTS);

	for (uint32_t slot = first; slot < end; slot++) {
		const bool owned = s->owned && bitmap_test(s->owned, slot);
		const bool marked = marks && (marks[(slot - first) / 8] >> (slot % 8) & 1);

		bits->marked += marked;
		if (marked && !owned && bits->leaked++ == 0)
			bits->first_leaked = slot;
		if (owned && !marked && bits->unmarked++ == 0)
			bits->first_unmarked = slot;
	}
}

/* False: what the bitmap says is not known. */
static bool page_check(struct inspect *in, uint32_t id, unsigned page, struct bits *bits)
{
	const struct inspect_segment *s = &in->segments[id];
	const struct segment_bitmap *bitmap = &s->record.bitmaps[page];
	const struct inspect_place place = bitmap_place(id, page, bitmap->vaddr);
	struct inspect_fetch fetch = {
		.kind = INSPECT_FETCH_PAGE,
		.vaddr = bitmap->vaddr,
		.seed = node_seed(NODE_BITMAP, 0, segment_bitmap_index(id, page)),
		.check = bitmap->check,
	};

	if (bitmap->vaddr == 0) {
		compare(in, s, page, NULL, bits);
		return true;
	}
	if (!inspect_vaddr_valid(in, bitmap->vaddr, SEGMENT_META))
		return false;
	inspect_fetch_all(in, &fetch, 1);
	if (!inspect_fetch_judge(in, &fetch, &place))
		return false;
	compare(in, s, page, fetch.page, bits);
	return true;
}

static void bits_judge(struct inspect *in, uint32_t id, const struct bits *bits)
{
	struct inspect_place place = inspect_place("bitmap", "the bitmap of segment %" PRIu32, id);

	/* What could not be read may have been their owner. */
	if (bits->leaked > 0 && in->incomplete) {
		place.vaddr = vaddr_make(id, bits->first_leaked);
		inspect_note(in, "bitmap-unknown", &place,
			     "%" PRIu64 " slots are marked, this one first; what they belong to "
			     "may be what could not be read",
			     bits->leaked);
	} else if (bits->leaked > 0) {
		place.vaddr = vaddr_make(id, bits->first_leaked);
		inspect_damage(in, "bitmap-leak", &place,
			       "%" PRIu64 " slots are marked and belong to nothing, this one first",
			       bits->leaked);
	}
	if (bits->unmarked > 0) {
		place.vaddr = vaddr_make(id, bits->first_unmarked);
		inspect_damage(in, "bitmap-unmarked", &place,
			       "%" PRIu64
			       " slots are used and not marked, this one first: they would be "
			       "overwritten",
			       bits->unmarked);
	}
}

static void segment_check(struct inspect *in, uint32_t id)
{
	const struct segment_record *record = &in->segments[id].record;
	const struct inspect_place place = inspect_place("segments", "segment %" PRIu32, id);
	struct pool_inspect_space *space = &in->result->space;
	struct bits bits = {0};
	bool known = true;

	for (unsigned p = 0; p < bitmap_pages(in, record); p++)
		known = page_check(in, id, p, &bits) && known;
	bits_judge(in, id, &bits);
	space->leaked += bits.leaked;
	space->unmarked += bits.unmarked;
	if (known && record->used != bits.marked)
		inspect_damage(in, "segment-used", &place,
			       "its record counts %" PRIu32 " used slots, its bitmap %" PRIu64,
			       record->used, bits.marked);
	if (in->segments[id].owned && record->class == SEGMENT_DATA)
		space->data_used += bitmap_count(in->segments[id].owned, in->slot_count);
	else if (in->segments[id].owned)
		space->meta_used += bitmap_count(in->segments[id].owned, in->slot_count);
	if (in->segments[id].logged)
		space->data_logged += bitmap_count(in->segments[id].logged, in->slot_count);
}

static void sum_judge(struct inspect *in, const char *what, uint64_t stored, uint64_t found)
{
	const struct inspect_place place = inspect_place("superblock", "the superblock");

	if (stored != found && !in->incomplete)
		inspect_damage(in, "pool-used", &place,
			       "it counts %" PRIu64 " %s slots used, the trees have %" PRIu64,
			       stored, what, found);
}

void inspect_bitmaps_check(struct inspect *in)
{
	struct pool_inspect_space *space = &in->result->space;

	for (uint32_t id = 0; id < in->segment_count; id++) {
		if (in->segments[id].record.class == SEGMENT_DATA ||
		    in->segments[id].record.class == SEGMENT_META)
			segment_check(in, id);
		if (!inspect_tick(in))
			return;
	}
	space->stored_data_used = in->super.data_slots;
	space->stored_meta_used = in->super.meta_slots;
	sum_judge(in, "data", space->stored_data_used, space->data_used);
	sum_judge(in, "meta", space->stored_meta_used, space->meta_used);
}
