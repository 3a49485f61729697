/* SPDX-License-Identifier: Apache-2.0 */
/* Space: where segments lie, the order slots are given in, what is refused, and the sums. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <quoin/base_bitmap.h>
#include <quoin/base_math.h>

#include "space/space.h"

#define SLOTS 256 /* of a chunk of 1 MiB */

static struct space *open_space(const struct space_drive *drives, unsigned count)
{
	const struct space_params params = {
		.chunk_shift = 20, .drive_count = count, .drives = drives, .freed_max = 2000};
	struct space *space;

	assert_int_equal(space_new(&params, &space), 0);
	return space;
}

static struct segment *add(struct space *space, enum segment_class class, unsigned group)
{
	struct segment *segment = NULL;

	assert_int_equal(space_segment_add(space, class, group, 7, &segment), 0);
	return segment;
}

static void column_is(const struct segment *segment, unsigned index, unsigned drive, uint32_t chunk)
{
	assert_true(index < segment->column_count);
	assert_int_equal(segment->columns[index].drive, drive);
	assert_int_equal(segment->columns[index].chunk, chunk);
}

static void one_drive(void **state)
{
	const struct space_drive drive = {.chunk_count = 4, .usable = true};
	struct space *space = open_space(&drive, 1);
	struct space_sums sums;
	struct segment *segment;

	space_sums(space, &sums);
	assert_int_equal(sums.data_total, 4 * SLOTS);
	segment = add(space, SEGMENT_DATA, 0);
	assert_int_equal(segment->profile, PROFILE_SINGLE);
	column_is(segment, 0, 0, 0);
	segment = add(space, SEGMENT_META, 0);
	assert_int_equal(segment->profile, PROFILE_MIRROR);
	column_is(segment, 0, 0, 1);
	column_is(segment, 1, 0, 2);
	assert_int_equal(space_segment_add(space, SEGMENT_LOG, 0, 7, &segment), -ENOSPC);
	space_sums(space, &sums);
	assert_int_equal(sums.data_total, 2 * SLOTS);
	assert_int_equal(sums.chunks_free, 1);
	space_free(space);
}

static void mirror_of_three(void **state)
{
	struct space_drive drives[3] = {
		{.chunk_count = 4, .usable = true},
		{.chunk_count = 5, .usable = true},
		{.chunk_count = 6, .usable = true},
	};
	struct space *space = open_space(drives, 3);
	struct segment *segment;

	assert_int_equal(add(space, SEGMENT_DATA, 0)->column_count, 3);
	assert_int_equal(add(space, SEGMENT_META, 0)->column_count, 3);
	space_drive_usable(space, 0, false);
	segment = add(space, SEGMENT_DATA, 0);
	assert_int_equal(segment->column_count, 2);
	column_is(segment, 0, 2, 2);
	column_is(segment, 1, 1, 2);
	space_drive_usable(space, 2, false);
	column_is(add(space, SEGMENT_DATA, 0), 0, 1, 3);
	space_drive_usable(space, 1, false);
	assert_int_equal(space_segment_add(space, SEGMENT_DATA, 0, 7, &segment), -ENOSPC);
	space_free(space);
}

static void meta_stays_in_one_mirror(void **state)
{
	const struct space_drive drives[4] = {
		{.chunk_count = 9, .group = 0, .usable = true},
		{.chunk_count = 5, .group = 0, .usable = true},
		{.chunk_count = 8, .group = 1, .usable = true},
		{.chunk_count = 8, .group = 1, .usable = true},
	};
	struct space *space = open_space(drives, 4);
	struct segment *segment = add(space, SEGMENT_META, 0);

	column_is(segment, 0, 2, 0);
	column_is(segment, 1, 3, 0);
	space_free(space);
}

static void meta_on_two_single_drives(void **state)
{
	const struct space_drive drives[3] = {
		{.chunk_count = 2, .group = 0, .usable = true},
		{.chunk_count = 9, .group = 1, .usable = true},
		{.chunk_count = 8, .group = 2, .usable = true},
	};
	struct space *space = open_space(drives, 3);
	struct segment *segment = add(space, SEGMENT_LOG, 0);
	struct space_sums sums;

	column_is(segment, 0, 1, 0);
	column_is(segment, 1, 2, 0);
	assert_null(segment->used_bits);
	space_sums(space, &sums);
	assert_int_equal(sums.log_slots, SLOTS);
	space_free(space);
}

static void records_are_judged(void **state)
{
	const struct space_drive drives[2] = {
		{.chunk_count = 4, .group = 0, .usable = true},
		{.chunk_count = 4, .group = 1, .usable = true},
	};
	struct space *space = open_space(drives, 2);
	struct segment_record good = {.class = SEGMENT_META,
				      .profile = PROFILE_MIRROR,
				      .column_count = 2,
				      .slot_count = SLOTS,
				      .columns = {{0, 1}, {1, 1}}};
	struct segment_record bad[9];

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		bad[i] = good;
	bad[0].columns[1].chunk = 4;
	bad[1].columns[1].drive = 2;
	bad[2].columns[1].drive = 0; /* the same chunk twice */
	bad[3].profile = PROFILE_SINGLE;
	bad[4].column_count = 1;
	bad[4].profile = PROFILE_SINGLE;
	bad[5].slot_count = 2 * SLOTS;
	bad[6].class = SEGMENT_DATA; /* columns in two groups */
	bad[7].used = SLOTS + 1;
	bad[8].bitmaps[1].vaddr = 5;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(space_segment_load(space, 1, &bad[i]), -EUCLEAN);
	assert_int_equal(space_segment_load(space, 0, &good), -EUCLEAN);
	assert_int_equal(space_segment_load(space, SPACE_SEGMENTS_MAX, &good), -EUCLEAN);
	assert_int_equal(space_segment_load(space, 2, &good), 0);
	assert_int_equal(space_segment_load(space, 3, &good), -EUCLEAN); /* taken */
	good.columns[0].chunk = good.columns[1].chunk = 2;
	assert_int_equal(space_segment_load(space, 2, &good), -EUCLEAN); /* is there */
	assert_int_equal(add(space, SEGMENT_DATA, 0)->id, 1);
	space_free(space);
}

static void runs_over_holes_emptiest_first(void **state)
{
	const struct space_drive drive = {.chunk_count = 4, .usable = true};
	struct space *space = open_space(&drive, 1);
	struct segment *segment = add(space, SEGMENT_DATA, 0);
	uint64_t vaddr = 0;

	assert_int_equal(space_alloc(space, SEGMENT_DATA, SLOTS, &vaddr), SLOTS);
	assert_int_equal(space_alloc(space, SEGMENT_DATA, 1, &vaddr), 0);
	space_unalloc(space, vaddr_make(1, 10), 5);
	space_unalloc(space, vaddr_make(1, 20), 3);
	assert_int_equal(space_alloc(space, SEGMENT_DATA, 9, &vaddr), 5);
	assert_int_equal(vaddr, vaddr_make(1, 10));
	space_unalloc(space, vaddr_make(1, 10), 1);
	assert_int_equal(space_alloc(space, SEGMENT_DATA, 2, &vaddr), 2);
	assert_int_equal(vaddr, vaddr_make(1, 20));
	add(space, SEGMENT_DATA, 0);
	assert_int_equal(space_alloc(space, SEGMENT_DATA, 2, &vaddr), 1); /* along it first */
	assert_int_equal(vaddr, vaddr_make(1, 22));
	assert_int_equal(space_alloc(space, SEGMENT_DATA, 2, &vaddr), 2);
	assert_int_equal(vaddr, vaddr_make(2, 0));
	space_segment(space, 2)->closed = true;
	assert_int_equal(space_alloc(space, SEGMENT_DATA, 2, &vaddr), 1);
	assert_int_equal(vaddr, vaddr_make(1, 10));
	assert_int_equal(space_alloc(space, SEGMENT_DATA, 2, &vaddr), 0);
	assert_int_equal(segment->used, SLOTS);
	space_free(space);
}

static void groups_take_turns(void **state)
{
	const struct space_drive drives[2] = {
		{.chunk_count = 4, .group = 0, .usable = true},
		{.chunk_count = 4, .group = 1, .usable = true},
	};
	struct space *space = open_space(drives, 2);
	uint64_t vaddr = 0;

	add(space, SEGMENT_DATA, 1);
	assert_int_equal(space_alloc(space, SEGMENT_DATA, 8, &vaddr), 8); /* 0 has none */
	add(space, SEGMENT_DATA, 0);
	assert_int_equal(space_alloc(space, SEGMENT_DATA, 99, &vaddr), SPACE_STRIPE_SLOTS - 8);
	assert_int_equal(vaddr, vaddr_make(1, 8));
	assert_int_equal(space_alloc(space, SEGMENT_DATA, 99, &vaddr), SPACE_STRIPE_SLOTS);
	assert_int_equal(vaddr, vaddr_make(2, 0));
	assert_int_equal(space_alloc(space, SEGMENT_DATA, 1, &vaddr), 1);
	assert_int_equal(vaddr, vaddr_make(1, SPACE_STRIPE_SLOTS));
	space_drive_usable(space, 1, false);
	assert_int_equal(space_alloc(space, SEGMENT_DATA, 1, &vaddr), 1);
	assert_int_equal(vaddr, vaddr_make(2, SPACE_STRIPE_SLOTS));
	space_free(space);
}

static void refs_make_dirty(void **state)
{
	const struct space_drive drive = {.chunk_count = 4, .usable = true};
	struct space *space = open_space(&drive, 1);
	struct segment *segment = add(space, SEGMENT_DATA, 0);
	struct segment_record record;
	uint8_t page[PAGE_BYTES];
	uint64_t vaddr = 0;

	assert_true(segment->record_dirty);
	segment->record_dirty = false;
	assert_int_equal(space_alloc(space, SEGMENT_DATA, 12, &vaddr), 12);
	assert_int_equal(segment->bitmap_dirty, 0);
	space_ref(space, vaddr + 9);
	assert_int_equal(segment->bitmap_dirty, 1);
	assert_true(segment->record_dirty);
	space_bitmap_encode(segment, 0, page);
	assert_int_equal(page[1], 2);
	space_segment_encode(segment, &record);
	assert_int_equal(record.used, 1);
	assert_int_equal(record.birth_ckpt, 7);
	segment->bitmap_dirty = 0;
	space_unref(space, vaddr + 9);
	assert_int_equal(segment->bitmap_dirty, 1);
	assert_int_equal(space_freed_room(space), 1999);
	space_free(space);
}

struct trims {
	unsigned calls;
	uint64_t vaddr;
	unsigned count;
};

static bool keep(void *data, uint64_t vaddr, unsigned count)
{
	struct trims *trims = data;

	trims->calls++;
	trims->vaddr = vaddr;
	trims->count = count;
	return true;
}

/* Alone none of them is worth it; the last one makes a window free. */
static void single_slots_add_up(void **state)
{
	const struct space_drive drive = {.chunk_count = 4, .usable = true};
	struct space *space = open_space(&drive, 1);
	struct segment *segment = add(space, SEGMENT_DATA, 0);
	struct trims trims = {0};
	uint64_t vaddr = 0;

	assert_int_equal(space_alloc(space, SEGMENT_DATA, SLOTS, &vaddr), SLOTS);
	for (unsigned i = 0; i < SPACE_TRIM_SLOTS; i++) {
		assert_int_equal(trims.calls, 0);
		space_supersede(space, vaddr + SPACE_TRIM_SLOTS + i * 5 % SPACE_TRIM_SLOTS);
		space_freeze(space);
		for (unsigned c = 0; c <= SPACE_KEEP; c++)
			space_commit(space, keep, &trims);
	}
	assert_int_equal(trims.calls, 1);
	assert_int_equal(trims.vaddr, vaddr + SPACE_TRIM_SLOTS);
	assert_int_equal(trims.count, SPACE_TRIM_SLOTS);
	/* It is used as a whole until it is given back. */
	assert_int_equal(segment->used, SLOTS);
	assert_int_equal(space_alloc(space, SEGMENT_DATA, 1, &vaddr), 0);
	space_unalloc(space, trims.vaddr, trims.count);
	assert_int_equal(space_alloc(space, SEGMENT_DATA, SLOTS, &vaddr), SPACE_TRIM_SLOTS);
	space_free(space);
}

static void long_runs_are_offered(void **state)
{
	const struct space_drive drive = {.chunk_count = 4, .usable = true};
	struct space *space = open_space(&drive, 1);
	struct segment *segment = add(space, SEGMENT_DATA, 0);
	struct trims trims = {0};
	uint64_t vaddr = 0;

	assert_int_equal(space_alloc(space, SEGMENT_DATA, SLOTS, &vaddr), SLOTS);
	for (unsigned i = 0; i < SPACE_TRIM_SLOTS; i++) /* in no order */
		space_supersede(space, vaddr + 60 + i * 5 % SPACE_TRIM_SLOTS);
	for (unsigned i = 0; i < SPACE_TRIM_SLOTS - 1; i++)
		space_supersede(space, vaddr + 100 + i);
	space_freeze(space);
	for (unsigned i = 0; i < SPACE_KEEP; i++) {
		space_commit(space, keep, &trims);
		assert_int_equal(segment->used, SLOTS);
	}
	space_commit(space, keep, &trims);
	assert_int_equal(trims.calls, 1);
	assert_int_equal(trims.vaddr, vaddr + 60);
	assert_int_equal(trims.count, SPACE_TRIM_SLOTS);
	assert_int_equal(segment->used, SLOTS - SPACE_TRIM_SLOTS + 1);
	space_unalloc(space, trims.vaddr, trims.count);
	assert_int_equal(segment->used, SLOTS - 2 * SPACE_TRIM_SLOTS + 1);
	assert_int_equal(space_freed_room(space), 2000);
	space_free(space);
}

#define LARGE_SLOTS 4096
#define LARGE_SEGMENTS 30

static void let_go_of_all(struct space *space, unsigned step)
{
	for (uint32_t id = 1; id <= LARGE_SEGMENTS; id++) {
		for (unsigned i = 0; i < LARGE_SLOTS; i++)
			space_supersede(space, vaddr_make(id, (uint64_t)i * step % LARGE_SLOTS));
	}
}

static uint64_t freeing(const struct space *space)
{
	struct space_sums sums;

	space_sums(space, &sums);
	return sums.freeing;
}

/* What the lists have no room for is not handed out too early, and not forgotten either. */
static void more_than_the_lists_hold(void **state)
{
	const struct space_drive drive = {.chunk_count = 40, .usable = true};
	const struct space_params params = {
		.chunk_shift = 24, .drive_count = 1, .drives = &drive, .freed_max = 1000};
	const uint64_t all = (uint64_t)LARGE_SLOTS * LARGE_SEGMENTS;
	struct space *space;
	uint64_t vaddr;

	assert_int_equal(space_new(&params, &space), 0);
	for (unsigned i = 0; i < LARGE_SEGMENTS; i++)
		add(space, SEGMENT_DATA, 0);
	for (unsigned times = 0; times < 2; times++) {
		while (space_alloc(space, SEGMENT_DATA, LARGE_SLOTS, &vaddr) > 0)
			;
		assert_int_equal(space_freed_room(space), 1000);
		let_go_of_all(space, times == 0 ? 1 : 997);
		assert_int_equal(freeing(space), all);
		assert_int_equal(space_freed_room(space), 0);
		assert_int_equal(space_freed_pressure(space), SPACE_PRESSURE_FULL);
		space_freeze(space);
		for (unsigned i = 0; i < SPACE_KEEP; i++)
			space_commit(space, NULL, NULL);
		assert_int_equal(space_alloc(space, SEGMENT_DATA, 1, &vaddr), 0);
		space_commit(space, NULL, NULL);
		assert_in_range(freeing(space), 1, all - 1);
		space_commit(space, NULL, NULL);
		assert_int_equal(freeing(space), 0);
		assert_int_equal(space_freed_pressure(space), SPACE_PRESSURE_NONE);
		for (uint32_t id = 1; id <= LARGE_SEGMENTS; id++)
			assert_int_equal(space_segment(space, id)->used, 0);
	}
	space_free(space);
}

/* A record that names a segment of a checkpoint to come would be damage after a crash. */
static void withheld_until_the_commit(void **state)
{
	const struct space_drive drive = {.chunk_count = 4, .usable = true};
	struct space *space = open_space(&drive, 1);
	struct segment *old = add(space, SEGMENT_DATA, 0);
	struct segment *fresh;
	uint64_t vaddr;

	assert_int_equal(space_alloc(space, SEGMENT_DATA, SLOTS - 1, &vaddr), SLOTS - 1);
	fresh = add(space, SEGMENT_DATA, 0);
	assert_int_equal(space_data_free(space), 1 + SLOTS);
	space_segment_withhold(space, fresh);
	assert_int_equal(space_data_free(space), 1);
	assert_int_equal(space_alloc(space, SEGMENT_DATA, 2, &vaddr), 1);
	assert_int_equal(vaddr_segment(vaddr), old->id);
	assert_int_equal(space_alloc(space, SEGMENT_DATA, 1, &vaddr), 0);
	assert_int_equal(space_data_free(space), 0);
	space_commit(space, NULL, NULL);
	assert_int_equal(space_data_free(space), SLOTS);
	assert_int_equal(space_alloc(space, SEGMENT_DATA, SLOTS, &vaddr), SLOTS);
	assert_int_equal(vaddr_segment(vaddr), fresh->id);
	space_free(space);
}

/* --- Empty segments --------------------------------------------------------------------------- */

static struct space_sums sums_of(const struct space *space)
{
	struct space_sums sums;

	space_sums(space, &sums);
	return sums;
}

/* ret_filled: their numbers; the last one is still the active one. */
static void fill(struct space *space, unsigned segments, uint32_t *ret_filled)
{
	uint64_t vaddr;

	for (unsigned i = 0; i < segments; i++) {
		assert_int_equal(space_alloc(space, SEGMENT_DATA, SLOTS, &vaddr), SLOTS);
		ret_filled[i] = vaddr_segment(vaddr);
	}
}

/* What data does not need any more is metadata's. */
static void empty_segments_give_their_chunks(void **state)
{
	const struct space_drive drive = {.chunk_count = 4, .usable = true};
	struct space *space = open_space(&drive, 1);
	struct segment *segment;
	uint32_t filled[4];
	uint32_t chunk;

	for (unsigned i = 0; i < 4; i++)
		add(space, SEGMENT_DATA, 0);
	assert_int_equal(space_segment_add(space, SEGMENT_META, 0, 7, &segment), -ENOSPC);
	assert_int_equal(sums_of(space).data_empty, 4);
	fill(space, 4, filled);
	assert_int_equal(sums_of(space).data_empty, 0);
	assert_false(space_segment_retire(space, SEGMENT_DATA));
	space_unalloc(space, vaddr_make(filled[0], 0), SLOTS);
	space_unalloc(space, vaddr_make(filled[1], 0), SLOTS - 1);
	assert_true(space_segment_retire(space, SEGMENT_DATA));
	assert_null(space_segment(space, filled[0]));
	assert_false(space_vaddr_valid(space, vaddr_make(filled[0], 0), SEGMENT_DATA));
	/* One slot of the other is used. */
	assert_false(space_segment_retire(space, SEGMENT_DATA));
	space_unalloc(space, vaddr_make(filled[1], SLOTS - 1), 1);
	assert_true(space_segment_retire(space, SEGMENT_DATA));
	assert_int_equal(sums_of(space).chunks_free, 2);
	assert_int_equal(sums_of(space).data_total, 4 * SLOTS);
	assert_int_equal(sums_of(space).data_segments, 2 * SLOTS);
	segment = add(space, SEGMENT_META, 0);
	assert_int_equal(segment->id, 5);
	chunk = MIN(filled[0], filled[1]) - 1; /* they were taken in order */
	column_is(segment, 0, 0, chunk);
	column_is(segment, 1, 0, MAX(filled[0], filled[1]) - 1);
	assert_int_equal(sums_of(space).meta_empty, 1);
	assert_int_equal(sums_of(space).data_total, 2 * SLOTS);
	assert_false(space_segment_retire(space, SEGMENT_DATA));
	space_free(space);
}

/* The table must not have it any more; its bitmap is let go with it. */
static void retired_segments_leave_the_table(void **state)
{
	const struct space_drive drive = {.chunk_count = 5, .usable = true};
	struct space *space = open_space(&drive, 1);
	struct segment *meta = add(space, SEGMENT_META, 0);
	struct segment *data = add(space, SEGMENT_DATA, 0);
	const uint32_t id = data->id;
	uint64_t bitmap;

	assert_int_equal(space_alloc(space, SEGMENT_META, 1, &bitmap), 1);
	space_ref(space, bitmap);
	data->bitmaps[0].vaddr = bitmap;
	space_record_clean(space, id);
	assert_false(space_record_dirty(space, id));
	assert_true(space_segment_retire(space, SEGMENT_DATA));
	assert_true(space_record_dirty(space, id));
	assert_false(space_is_ref(space, bitmap));
	assert_int_equal(meta->refs, 0);
	assert_int_equal(sums_of(space).freeing, 1);
	space_record_clean(space, id);
	assert_false(space_record_dirty(space, id));
	/* Its number is not given as long as one may rewind to a table that has it. */
	assert_int_not_equal(add(space, SEGMENT_DATA, 0)->id, id);
	for (unsigned i = 0; i <= 2 * SPACE_KEEP + 2; i++) {
		space_freeze(space);
		space_commit(space, NULL, NULL);
	}
	assert_int_equal(add(space, SEGMENT_DATA, 0)->id, id);
	assert_true(space_record_dirty(space, id));
	space_free(space);
}

/* What slots of it are used for may end only with a checkpoint; nor does the active one go. */
static void segments_in_use_stay(void **state)
{
	const struct space_drive drive = {.chunk_count = 4, .usable = true};
	struct space *space = open_space(&drive, 1);
	struct segment *fresh;
	uint64_t vaddr;

	add(space, SEGMENT_DATA, 0);
	assert_int_equal(space_alloc(space, SEGMENT_DATA, 1, &vaddr), 1);
	space_unalloc(space, vaddr, 1);
	assert_int_equal(sums_of(space).data_empty, 1);
	assert_false(space_segment_retire(space, SEGMENT_DATA)); /* active */
	fresh = add(space, SEGMENT_DATA, 0);
	space_segment_withhold(space, fresh);
	assert_int_equal(sums_of(space).data_empty, 1);
	assert_false(space_segment_retire(space, SEGMENT_DATA)); /* withheld */
	space_commit(space, NULL, NULL);
	assert_int_equal(space_alloc(space, SEGMENT_DATA, SLOTS, &vaddr), SLOTS - 1);
	assert_int_equal(space_alloc(space, SEGMENT_DATA, 1, &vaddr), 1);
	assert_int_equal(vaddr_segment(vaddr), fresh->id);
	space_supersede(space, vaddr);
	for (unsigned i = 0; i <= SPACE_KEEP; i++) {
		assert_int_equal(fresh->used, 1);
		space_freeze(space);
		space_commit(space, NULL, NULL);
	}
	assert_int_equal(fresh->used, 0);
	space_free(space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_drive),
		cmocka_unit_test(mirror_of_three),
		cmocka_unit_test(meta_stays_in_one_mirror),
		cmocka_unit_test(meta_on_two_single_drives),
		cmocka_unit_test(records_are_judged),
		cmocka_unit_test(runs_over_holes_emptiest_first),
		cmocka_unit_test(groups_take_turns),
		cmocka_unit_test(refs_make_dirty),
		cmocka_unit_test(long_runs_are_offered),
		cmocka_unit_test(more_than_the_lists_hold),
		cmocka_unit_test(withheld_until_the_commit),
		cmocka_unit_test(single_slots_add_up),
		cmocka_unit_test(empty_segments_give_their_chunks),
		cmocka_unit_test(retired_segments_leave_the_table),
		cmocka_unit_test(segments_in_use_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
