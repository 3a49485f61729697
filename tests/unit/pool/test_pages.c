/* SPDX-License-Identifier: Apache-2.0 */
/* The cache of pages and the writer, over two simulated drives. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <quoin/base_assert.h>

#include "map/pages.h"
#include "raid_rig.h"

#define CACHE_PAGES 8
#define REFS_MAX (PAGES_READS_MAX + 40)

struct bench {
	struct raid_rig rig;
	struct pages *pages;
	struct page_ref refs[REFS_MAX];
	unsigned done, failed;
};

static void pages_make(struct bench *b, size_t cache_pages)
{
	const struct pages_params params = {
		.raid = &b->rig.raid,
		.space = &b->rig.space,
		.cache_pages = cache_pages,
		.write_pages = 2 * PAGES_RUN,
	};

	ASSERT(pages_new(&params, &b->pages) == 0);
	pages_ckpt_set(b->pages, 7);
}

/* An empty cache: what is found now comes from the drives. */
static void forget(struct bench *b)
{
	pages_quiesce(b->pages);
	pages_free(b->pages);
	pages_make(b, CACHE_PAGES);
}

static void with_bench(void (*body)(void *arg))
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct bench *b = calloc(1, sizeof(*b));

		ASSERT(b);
		raid_rig_init(&b->rig, seed, 2);
		pages_make(b, CACHE_PAGES);
		raid_rig_run(&b->rig, body, b);
		pages_free(b->pages);
		raid_rig_fini(&b->rig);
		free(b);
	}
}

static void fill(uint8_t page[PAGE_BYTES], unsigned number)
{
	for (unsigned i = 0; i < PAGE_BYTES; i++)
		page[i] = (uint8_t)(number * 31 + i);
}

static int put(struct bench *b, unsigned number)
{
	struct page_ref *ref = &b->refs[number];
	uint8_t page[PAGE_BYTES];

	fill(page, number);
	*ref = (struct page_ref){.kind = NODE_MAP, .index = number};
	ref->ptr.kind = NODE_MAP;
	ref->ptr.epoch = 3;
	return pages_write(b->pages, ref, page);
}

static void put_all(struct bench *b, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(put(b, i), 0);
	assert_int_equal(pages_drain(b->pages), 0);
}

static void expect(struct bench *b, unsigned number)
{
	uint8_t wanted[PAGE_BYTES], page[PAGE_BYTES];

	fill(wanted, number);
	assert_int_equal(pages_read(b->pages, &b->refs[number], page), 0);
	assert_memory_equal(page, wanted, PAGE_BYTES);
}

static struct pages_stats stats(const struct bench *b)
{
	struct pages_stats stats;

	pages_stats(b->pages, &stats);
	return stats;
}

static uint64_t offset_of(const struct bench *b, unsigned number)
{
	return raid_rig_offset(SEGMENT_META, vaddr_slot(b->refs[number].ptr.vaddr));
}

/* --- Cache ------------------------------------------------------------------------------------ */

static void cache_body(void *arg)
{
	struct bench *b = arg;

	put_all(b, 20);
	assert_non_null(pages_peek(b->pages, &b->refs[19].ptr));
	assert_int_equal(b->refs[19].ptr.ckpt, 7);
	assert_int_equal(b->refs[19].ptr.epoch, 3);
	/* 20 pages do not fit into 8. */
	assert_null(pages_peek(b->pages, &b->refs[0].ptr));
	expect(b, 0);
	assert_int_equal(stats(b).reads, 1);
	expect(b, 0);
	assert_int_equal(stats(b).reads, 1);
	/* What is used again outlives what came later and was not. */
	for (unsigned i = 1; i < 12; i++) {
		expect(b, i);
		expect(b, 0);
	}
	assert_int_equal(stats(b).reads, 12);
	assert_int_equal(stats(b).misses, 12);
}

static void cache(void **state)
{
	with_bench(cache_body);
}

/* A tree whose leaves are rewritten by each checkpoint stays cached: old pages go, not new ones. */
static void rewritten_body(void *arg)
{
	struct bench *b = arg;
	uint8_t page[PAGE_BYTES];

	put_all(b, CACHE_PAGES - 2);
	for (unsigned round = 0; round < 10; round++) {
		for (unsigned i = 0; i < CACHE_PAGES - 2; i++) {
			const struct node_ptr old = b->refs[i].ptr;

			assert_int_equal(pages_read(b->pages, &b->refs[i], page), 0);
			assert_int_equal(put(b, i), 0);
			pages_cool(b->pages, &old);
		}
		assert_int_equal(pages_drain(b->pages), 0);
	}
	assert_int_equal(stats(b).reads, 0);
}

static void rewritten(void **state)
{
	with_bench(rewritten_body);
}

struct counted_fetch {
	struct page_fetch fetch;
	struct bench *bench;
};

static void counted_done(struct page_fetch *fetch)
{
	struct counted_fetch *counted = container_of(fetch, struct counted_fetch, fetch);
	struct bench *b = counted->bench;

	b->done++;
	if (fetch->result < 0)
		b->failed++;
	else
		ASSERT(pages_peek(b->pages, &fetch->ref.ptr));
}

static void fetch_start(struct bench *b, struct counted_fetch *counted, const struct page_ref *ref)
{
	const unsigned done = b->done;

	counted->bench = b;
	counted->fetch.ref = *ref;
	counted->fetch.done = counted_done;
	pages_fetch(b->pages, &counted->fetch);
	assert_int_equal(b->done, done);
}

static void shared_body(void *arg)
{
	struct bench *b = arg;
	struct counted_fetch fetches[5];
	struct page_ref bad;

	put_all(b, 4);
	forget(b);
	for (unsigned i = 0; i < 4; i++)
		fetch_start(b, &fetches[i], &b->refs[2]);
	pages_quiesce(b->pages);
	assert_int_equal(b->done, 4);
	assert_int_equal(b->failed, 0);
	assert_int_equal(stats(b).reads, 1);
	/* From the cache. */
	fetch_start(b, &fetches[4], &b->refs[2]);
	pages_quiesce(b->pages);
	assert_int_equal(b->done, 5);
	assert_int_equal(stats(b).reads, 1);
	/* Pointers that lead nowhere, or to a page of another kind or place. */
	bad = b->refs[1];
	bad.ptr.vaddr = vaddr_make(SEGMENT_DATA, 1);
	fetch_start(b, &fetches[0], &bad);
	bad = b->refs[1];
	bad.ptr.vaddr = vaddr_make(SEGMENT_META, RIG_SLOTS);
	fetch_start(b, &fetches[1], &bad);
	bad = b->refs[1];
	bad.kind = NODE_VOLUMES;
	fetch_start(b, &fetches[2], &bad);
	pages_quiesce(b->pages);
	assert_int_equal(b->failed, 3);
	assert_int_equal(stats(b).reads, 1);
	bad = b->refs[2];
	bad.index++;
	fetch_start(b, &fetches[3], &bad);
	pages_quiesce(b->pages);
	assert_int_equal(b->failed, 4);
}

static void shared_fetch(void **state)
{
	with_bench(shared_body);
}

static void many_body(void *arg)
{
	struct bench *b = arg;
	struct counted_fetch *fetches = calloc(REFS_MAX, sizeof(*fetches));

	put_all(b, REFS_MAX);
	forget(b);
	for (unsigned i = 0; i < REFS_MAX; i++)
		fetch_start(b, &fetches[i], &b->refs[i]);
	pages_quiesce(b->pages);
	assert_int_equal(b->done, REFS_MAX);
	assert_int_equal(b->failed, 0);
	assert_int_equal(stats(b).reads, REFS_MAX);
	free(fetches);
}

static void more_fetches_than_reads(void **state)
{
	with_bench(many_body);
}

static void prefetch_body(void *arg)
{
	struct bench *b = arg;

	put_all(b, REFS_MAX);
	forget(b);
	pages_prefetch(b->pages, b->refs, 5);
	pages_prefetch(b->pages, b->refs, 5);
	expect(b, 3);
	pages_quiesce(b->pages);
	assert_int_equal(stats(b).reads, 5);
	for (unsigned i = 0; i < 5; i++)
		assert_non_null(pages_peek(b->pages, &b->refs[i].ptr));
	forget(b);
	pages_prefetch(b->pages, b->refs, REFS_MAX);
	pages_quiesce(b->pages);
	assert_int_equal(stats(b).reads, PAGES_READS_MAX);
}

static void prefetch(void **state)
{
	with_bench(prefetch_body);
}

/* --- Bad copies ------------------------------------------------------------------------------- */

static void heal_body(void *arg)
{
	struct bench *b = arg;
	uint8_t page[PAGE_BYTES], wanted[PAGE_BYTES];

	put_all(b, 4);
	for (unsigned i = 0; i < 4; i++)
		raid_rig_rot(&b->rig, i % 2, offset_of(b, i) + 700);
	forget(b);
	for (unsigned i = 0; i < 4; i++) {
		/* So that the bad copy has the turn. */
		b->rig.raid.read_turn = i + 1;
		expect(b, i);
		pages_quiesce(b->pages);
		fill(wanted, i);
		disk_sim_peek(b->rig.media[i % 2], offset_of(b, i), page, PAGE_BYTES);
		assert_memory_equal(page, wanted, PAGE_BYTES);
	}
	assert_int_equal(stats(b).healed, 4);
	assert_int_equal(b->rig.raid.drives[0].info.check_errors, 2);
	assert_int_equal(b->rig.raid.drives[1].info.check_errors, 2);
}

static void heals_a_bad_copy(void **state)
{
	with_bench(heal_body);
}

static void unreadable_body(void *arg)
{
	struct bench *b = arg;

	put_all(b, 1);
	forget(b);
	raid_rig_fault(&b->rig, 0, 1 << DISK_READ, 1, -EIO);
	/* Drive 0 has the next turn. */
	b->rig.raid.read_turn = 1;
	expect(b, 0);
	pages_quiesce(b->pages);
	assert_int_equal(stats(b).healed, 1);
	assert_int_equal(b->rig.raid.drives[0].info.read_errors, 1);
	assert_int_equal(b->rig.raid.drives[0].info.check_errors, 0);
}

static void heals_an_unreadable_copy(void **state)
{
	with_bench(unreadable_body);
}

static void both_bad_body(void *arg)
{
	struct bench *b = arg;
	uint8_t page[PAGE_BYTES];

	put_all(b, 2);
	for (unsigned drive = 0; drive < 2; drive++)
		raid_rig_rot(&b->rig, drive, offset_of(b, 0) + 5);
	forget(b);
	assert_int_equal(pages_read(b->pages, &b->refs[0], page), -EUCLEAN);
	assert_int_equal(stats(b).bad, 1);
	assert_int_equal(stats(b).healed, 0);
	raid_rig_fault(&b->rig, 0, 1 << DISK_READ, 0, -EIO);
	raid_rig_fault(&b->rig, 1, 1 << DISK_READ, 0, -EIO);
	assert_int_equal(pages_read(b->pages, &b->refs[1], page), -EIO);
	b->rig.raid.drives[0].info.state = DRIVE_FAULTED;
	b->rig.raid.drives[1].info.state = DRIVE_FAULTED;
	assert_int_equal(pages_read(b->pages, &b->refs[1], page), -ENODATA);
}

static void no_good_copy(void **state)
{
	with_bench(both_bad_body);
}

static void reused_body(void *arg)
{
	struct bench *b = arg;
	uint8_t page[PAGE_BYTES], wanted[PAGE_BYTES];
	struct page_ref old;

	put_all(b, 1);
	old = b->refs[0];
	pages_unref(b->pages, &old.ptr);
	space_unalloc(&b->rig.space, old.ptr.vaddr, 1);
	assert_int_equal(put(b, 1), 0);
	assert_int_equal(b->refs[1].ptr.vaddr, old.ptr.vaddr);
	assert_null(pages_peek(b->pages, &old.ptr));
	assert_int_equal(pages_drain(b->pages), 0);
	assert_int_equal(pages_read(b->pages, &old, page), -EUCLEAN);
	/* The new page is untouched by all this, and no drive is blamed. */
	assert_int_equal(b->rig.raid.drives[0].info.check_errors, 0);
	forget(b);
	expect(b, 1);
	fill(wanted, 1);
	for (unsigned drive = 0; drive < 2; drive++) {
		disk_sim_peek(b->rig.media[drive], offset_of(b, 1), page, PAGE_BYTES);
		assert_memory_equal(page, wanted, PAGE_BYTES);
	}
}

static void reused_slot(void **state)
{
	with_bench(reused_body);
}

/* --- Writer ----------------------------------------------------------------------------------- */

static void runs_body(void *arg)
{
	struct bench *b = arg;
	struct page_ref at = {.kind = NODE_BITMAP, .ptr = {.kind = NODE_BITMAP}};
	uint8_t page[PAGE_BYTES] = {1};

	/* 32 + 8 pages: two writes to each drive. */
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(put(b, i), 0);
	/* Not written yet, and out of the cache: found all the same. */
	assert_non_null(pages_peek(b->pages, &b->refs[38].ptr));
	assert_int_equal(stats(b).reads, 0);
	assert_true(b->rig.space.used[SEGMENT_META][63]);
	assert_int_equal(pages_drain(b->pages), 0);
	assert_int_equal(b->rig.raid.writes, 4);
	assert_int_equal(stats(b).writes, 40);
	/* What was left of the run is free again. */
	assert_true(b->rig.space.ref[SEGMENT_META][39]);
	assert_false(b->rig.space.used[SEGMENT_META][40]);
	at.ptr.vaddr = vaddr_make(SEGMENT_META, 200);
	assert_int_equal(pages_write_at(b->pages, &at, page), 0);
	assert_int_equal(pages_drain(b->pages), 0);
	assert_int_equal(at.ptr.vaddr, vaddr_make(SEGMENT_META, 200));
	forget(b);
	for (unsigned i = 0; i < 40; i++)
		expect(b, i);
	assert_int_equal(pages_read(b->pages, &at, page), 0);
	assert_int_equal(page[0], 1);
	/* Short runs, more than there are buffers. */
	b->rig.space.run_max = 3;
	for (unsigned i = 0; i < 60; i++)
		assert_int_equal(put(b, i), 0);
	for (unsigned i = 0; i < 60; i++)
		expect(b, i);
	assert_int_equal(pages_drain(b->pages), 0);
	memset(b->rig.space.used[SEGMENT_META], 1, RIG_SLOTS);
	assert_int_equal(put(b, 0), -ENOSPC);
}

static void runs(void **state)
{
	with_bench(runs_body);
}

/* Pages that come with their slots: a write for a run of adjacent ones. */
static void placed_body(void *arg)
{
	static const unsigned slots[] = {100, 101, 102, 150, 151, 149};
	struct bench *b = arg;
	struct page_ref at[ARRAY_SIZE(slots)];
	uint8_t page[PAGE_BYTES] = {0};

	for (unsigned i = 0; i < ARRAY_SIZE(slots); i++) {
		at[i] = (struct page_ref){
			.kind = NODE_BITMAP,
			.index = i,
			.ptr = {.kind = NODE_BITMAP, .vaddr = vaddr_make(SEGMENT_META, slots[i])},
		};
		page[0] = (uint8_t)i;
		assert_int_equal(pages_write_at(b->pages, &at[i], page), 0);
		assert_non_null(pages_peek(b->pages, &at[i].ptr));
		assert_int_equal(at[i].ptr.vaddr, vaddr_make(SEGMENT_META, slots[i]));
	}
	assert_int_equal(pages_drain(b->pages), 0);
	assert_int_equal(b->rig.raid.writes, 3 * 2);
	assert_int_equal(stats(b).writes, ARRAY_SIZE(slots));
	forget(b);
	for (unsigned i = 0; i < ARRAY_SIZE(slots); i++) {
		assert_int_equal(pages_read(b->pages, &at[i], page), 0);
		assert_int_equal(page[0], i);
	}
	/* No longer than a buffer. */
	for (unsigned i = 0; i < PAGES_RUN + 1; i++) {
		at[0].ptr.vaddr = vaddr_make(SEGMENT_META, 100 + i);
		assert_int_equal(pages_write_at(b->pages, &at[0], page), 0);
	}
	assert_int_equal(pages_drain(b->pages), 0);
	assert_int_equal(b->rig.raid.writes, 3 * 2 + 2 * 2);
}

static void placed(void **state)
{
	with_bench(placed_body);
}

static void failure_body(void *arg)
{
	struct bench *b = arg;
	uint8_t page[PAGE_BYTES];

	/* Twice on both is mended by the third try. */
	b->rig.may_fault = false;
	raid_rig_fault(&b->rig, 0, 1 << DISK_WRITE, 2, -EIO);
	raid_rig_fault(&b->rig, 1, 1 << DISK_WRITE, 2, -EIO);
	put_all(b, 1);
	/* One column is enough. */
	raid_rig_fault(&b->rig, 0, 1 << DISK_WRITE, 0, -EIO);
	put_all(b, 2);
	raid_rig_fault(&b->rig, 1, 1 << DISK_WRITE, 0, -EIO);
	assert_int_equal(put(b, 2), 0);
	assert_int_equal(pages_drain(b->pages), -EIO);
	disk_sim_faults_clear(b->rig.media[0]);
	disk_sim_faults_clear(b->rig.media[1]);
	assert_int_equal(put(b, 3), -EIO);
	assert_int_equal(pages_write_at(b->pages, &b->refs[1], page), -EIO);
	assert_int_equal(pages_drain(b->pages), -EIO);
	expect(b, 1);
}

static void failure_sticks(void **state)
{
	with_bench(failure_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cache),
		cmocka_unit_test(rewritten),
		cmocka_unit_test(shared_fetch),
		cmocka_unit_test(more_fetches_than_reads),
		cmocka_unit_test(prefetch),
		cmocka_unit_test(heals_a_bad_copy),
		cmocka_unit_test(heals_an_unreadable_copy),
		cmocka_unit_test(no_good_copy),
		cmocka_unit_test(reused_slot),
		cmocka_unit_test(runs),
		cmocka_unit_test(placed),
		cmocka_unit_test(failure_sticks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
