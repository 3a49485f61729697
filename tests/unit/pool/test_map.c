/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps against a plain array: seeded merges of random points and ranges, with every block looked
 * up, every kill counted, and every page accounted for. QUOIN_MAP_SEEDS: how many seeds each test
 * runs (default 3).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <quoin/base_assert.h>
#include <quoin/base_random.h>
#include <quoin/base_text.h>
#include <quoin/loop_fiber.h>

#include "map/map.h"
#include "fake_pages.h"

#define SEEDS_DEFAULT 3
#define BLOCKS_MAX (LEAF_ENTRIES * 64 * 70) /* three levels */
#define POINTS_MAX 600
#define RANGES_MAX 8
#define DATA_MAX (1U << 20)
#define TURNS_MAX UINT64_C(1000000000)

struct point {
	uint64_t block;
	uint8_t entry[ENTRY_BYTES];
};

struct block {
	uint64_t vaddr, seq;
	uint32_t epoch;
};

enum data_state { DATA_NONE, DATA_LIVE, DATA_KILLED, DATA_GONE };

struct model {
	struct map_sink sink; /* first */
	struct loop_sim *world;
	struct pages *pages;
	struct random *random;
	uint64_t seed;
	struct node_ptr root;
	struct block *blocks;
	uint64_t block_count;
	uint8_t *data; /* enum data_state by slot */
	uint32_t *data_epochs;
	uint32_t data_count, born;
	uint64_t killed;
	uint64_t seq;
	uint32_t epoch, snapshot_epoch;
	size_t mark; /* pages from here on are of the merge under way */
	uint64_t groups;
	bool lenient; /* a merge that fails: nothing is judged */
	/* The points and ranges of the merge under way. */
	struct point points[POINTS_MAX];
	struct merge_range ranges[RANGES_MAX], asked[RANGES_MAX];
	size_t point_count, range_count;
};

static int sink_data_killed(struct map_sink *sink, uint64_t vaddr, uint32_t epoch)
{
	struct model *m = (struct model *)(void *)sink;
	const uint32_t slot = vaddr_slot(vaddr);

	if (m->lenient)
		return 0;
	ASSERT_U64(vaddr_segment(vaddr), ==, FAKE_DATA_SEGMENT);
	ASSERT_U64(m->data[slot], ==, DATA_LIVE);
	ASSERT_U64(m->data_epochs[slot], ==, epoch);
	m->data[slot] = DATA_KILLED;
	m->killed++;
	if (random_chance(m->random, 1, 64))
		fiber_yield();
	return 0;
}

static int sink_page_killed(struct map_sink *sink, uint64_t vaddr, uint32_t epoch)
{
	struct model *m = (struct model *)(void *)sink;

	if (m->lenient)
		return 0;
	/* A merge lets go of nothing that it wrote itself. */
	ASSERT_U64(vaddr_slot(vaddr), <, m->mark);
	if (epoch > m->snapshot_epoch)
		pages_unref(m->pages, &(struct node_ptr){.vaddr = vaddr});
	return 0;
}

static void sink_data_born(struct map_sink *sink, uint64_t vaddr)
{
	struct model *m = (struct model *)(void *)sink;

	if (m->lenient)
		return;
	ASSERT_U64(m->data[vaddr_slot(vaddr)], ==, DATA_NONE);
	m->data[vaddr_slot(vaddr)] = DATA_LIVE;
	m->born++;
}

static void sink_page_born(struct map_sink *sink, uint64_t vaddr)
{
	struct model *m = (struct model *)(void *)sink;

	ASSERT_U64(vaddr_slot(vaddr), >=, m->mark);
}

static struct model *model_new(uint64_t seed, struct loop_sim *world)
{
	struct model *m = xcalloc(1, sizeof(*m));

	m->sink = (struct map_sink){sink_data_killed, sink_page_killed, sink_data_born,
				    sink_page_born};
	m->seed = seed;
	m->world = world;
	m->random = loop_sim_random(world);
	m->pages = fake_pages_new(world);
	m->blocks = xcalloc(BLOCKS_MAX, sizeof(*m->blocks));
	m->data = xcalloc(DATA_MAX, 1);
	m->data_epochs = xcalloc(DATA_MAX, sizeof(*m->data_epochs));
	m->block_count = BLOCKS_MAX;
	m->data_count = 1;
	m->seq = 1;
	m->epoch = 1;
	return m;
}

static void model_free(struct model *m)
{
	fake_pages_free(m->pages);
	free(m->blocks);
	free(m->data);
	free(m->data_epochs);
	free(m);
}

/* Blocks cluster, so that pages fill, are emptied, and are left alone. */
static uint64_t random_block(struct model *m)
{
	const uint64_t zone = random_below(m->random, 6) * (m->block_count / 6);
	const uint64_t in = random_chance(m->random, 1, 8) ? m->block_count : LEAF_ENTRIES * 4;

	return (zone + random_below(m->random, in)) % m->block_count;
}

static int by_block(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a;
	const uint64_t y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void point_add(struct model *m, uint64_t block, bool hole)
{
	struct entry entry = {.seq = m->seq++};
	const size_t i = m->point_count++;

	if (!hole) {
		ASSERT_U64(m->data_count, <, DATA_MAX);
		m->data_epochs[m->data_count] = m->epoch;
		entry.vaddr = vaddr_make(FAKE_DATA_SEGMENT, m->data_count++);
		entry.epoch = m->epoch;
	}
	entry_encode(&entry, m->points[i].entry);
	m->points[i].block = block;
}

static void random_points(struct model *m, size_t count)
{
	uint64_t blocks[POINTS_MAX];

	m->point_count = 0;
	for (size_t i = 0; i < count; i++)
		blocks[i] = random_block(m);
	qsort(blocks, count, sizeof(blocks[0]), by_block);
	for (size_t i = 0; i < count; i++)
		if (i == 0 || blocks[i] != blocks[i - 1])
			point_add(m, blocks[i], random_chance(m->random, 1, 10));
}

static void random_ranges(struct model *m, size_t count)
{
	uint64_t edges[RANGES_MAX * 2];

	for (size_t i = 0; i < count * 2; i++)
		edges[i] = random_block(m);
	qsort(edges, count * 2, sizeof(edges[0]), by_block);
	m->range_count = count;
	for (size_t i = 0; i < count; i++)
		m->ranges[i] = (struct merge_range){edges[2 * i], edges[2 * i + 1],
						    1 + random_below(m->random, m->seq)};
	if (count > 0 && random_chance(m->random, 1, 4))
		m->ranges[count - 1].end = UINT64_MAX;
}

static void expect_kill(struct model *m, struct block *block, uint64_t *kills)
{
	if (block->vaddr != 0) {
		ASSERT_U64(m->data[vaddr_slot(block->vaddr)], ==, DATA_KILLED);
		m->data[vaddr_slot(block->vaddr)] = DATA_GONE;
		++*kills;
	}
	*block = (struct block){0};
}

/* What the merge said it did, done to the array; each kill must have been heard of once. */
static void model_apply(struct model *m)
{
	uint64_t kills = 0;
	uint64_t end;
	uint32_t born = 0;
	struct entry entry;

	for (size_t i = 0; i < m->range_count; i++) {
		ASSERT_U64(m->ranges[i].start, >=, m->asked[i].start);
		ASSERT_U64(m->ranges[i].start, <=, m->asked[i].end);
		end = MIN(m->ranges[i].start, m->block_count);
		for (uint64_t b = m->asked[i].start; b < end; b++)
			if (m->blocks[b].seq < m->asked[i].seq)
				expect_kill(m, &m->blocks[b], &kills);
	}
	for (size_t i = 0; i < m->point_count; i++) {
		entry_decode(m->points[i].entry, &entry);
		expect_kill(m, &m->blocks[m->points[i].block], &kills);
		if (entry.vaddr == 0)
			continue;
		born++;
		m->blocks[m->points[i].block] = (struct block){entry.vaddr, entry.seq, entry.epoch};
	}
	ASSERT_U64(kills, ==, m->killed);
	ASSERT_U64(born, ==, m->born);
}

static void pause_merge(struct map_merge *merge)
{
	struct model *m = (struct model *)(void *)merge->sink;

	m->groups++;
	fiber_yield();
}

static struct model *model_of(const struct map_merge *merge)
{
	return (struct model *)(void *)merge->sink;
}

static uint64_t point_block(const struct map_merge *merge, size_t point)
{
	return model_of(merge)->points[point].block;
}

static void point_entry(const struct map_merge *merge, size_t point, uint8_t ret_entry[ENTRY_BYTES])
{
	memcpy(ret_entry, model_of(merge)->points[point].entry, ENTRY_BYTES);
}

static int merge(struct model *m, uint64_t range_pages_max)
{
	struct map_merge merge = {.pages = m->pages,
				  .sink = &m->sink,
				  .block_count = m->block_count,
				  .epoch = m->epoch,
				  .point_count = m->point_count,
				  .point_block = point_block,
				  .point_entry = point_entry,
				  .ranges = m->ranges,
				  .range_count = m->range_count,
				  .range_pages_max = range_pages_max,
				  .pause = random_chance(m->random, 1, 2) ? pause_merge : NULL};

	memcpy(m->asked, m->ranges, sizeof(m->asked));
	m->mark = fake_pages_mark(m->pages);
	m->killed = 0;
	m->born = 0;
	return map_merge(&merge, &m->root);
}

static void merge_and_apply(struct model *m, uint64_t range_pages_max)
{
	ASSERT_U64(merge(m, range_pages_max), ==, 0);
	model_apply(m);
}

static void lookup(struct model *m, const struct node_ptr *root, uint64_t block,
		   uint8_t raw[ENTRY_BYTES])
{
	struct page_ref missing;
	uint8_t page[PAGE_BYTES];
	int result;

	while ((result = map_lookup(m->pages, root, block, raw, &missing)) == -EAGAIN)
		ASSERT(pages_read(m->pages, &missing, page) == 0);
	ASSERT_U64(result, ==, 0);
}

static void check_block(struct model *m, const struct node_ptr *root, const struct block *blocks,
			uint64_t block)
{
	uint8_t raw[ENTRY_BYTES];

	lookup(m, root, block, raw);
	ASSERT_U64(entry_vaddr(raw), ==, blocks[block].vaddr);
	ASSERT_U64(entry_seq(raw), ==, blocks[block].seq);
	ASSERT_U64(entry_epoch(raw), ==, blocks[block].epoch);
}

static void check_some(struct model *m)
{
	for (size_t i = 0; i < m->point_count; i++)
		check_block(m, &m->root, m->blocks, m->points[i].block);
	for (unsigned i = 0; i < 200; i++)
		check_block(m, &m->root, m->blocks, random_block(m));
}

static void check_all(struct model *m, const struct node_ptr *root, const struct block *blocks)
{
	uint64_t live = 0;

	for (uint64_t block = 0; block < m->block_count; block++) {
		check_block(m, root, blocks, block);
		live += blocks[block].vaddr != 0;
	}
	ASSERT_U64(root->live, ==, live);
}

/* --- Running a test body in a fiber of a simulated loop, once for each seed --------------------
 */

struct body {
	void (*run)(struct model *m);
	struct model *model;
	bool ended;
};

static void body_main(void *arg)
{
	struct body *body = arg;

	body->run(body->model);
	body->ended = true;
}

static void run_seed(void (*run)(struct model *m), uint64_t seed)
{
	struct loop_sim *world = loop_sim_new(seed);
	struct loop *loop = loop_sim_add(world);
	struct body body = {.run = run, .model = model_new(seed, world)};

	print_message("seed %llu\n", (unsigned long long)seed);
	ASSERT(fiber_start(loop, false, body_main, &body, NULL) == 0);
	ASSERT(loop_sim_run(world, &body.ended, UINT64_MAX, TURNS_MAX));
	ASSERT(body.ended);
	model_free(body.model);
	loop_sim_free(world);
}

static void run(void (*body)(struct model *m))
{
	const char *text = getenv("QUOIN_MAP_SEEDS");
	const unsigned long seeds = text ? strtoul(text, NULL, 10) : SEEDS_DEFAULT;

	for (unsigned long seed = 1; seed <= seeds; seed++)
		run_seed(body, seed);
}

/* --- Merging ---------------------------------------------------------------------------------- */

/* Everything goes, by one range over the whole volume: no page may be left. */
static void cut_everything(struct model *m)
{
	m->point_count = 0;
	m->range_count = 1;
	m->ranges[0] = (struct merge_range){0, m->block_count, m->seq};
	merge_and_apply(m, 0);
	ASSERT_U64(m->root.vaddr, ==, 0);
	ASSERT_U64(m->root.level, ==, 0);
	ASSERT_U64(m->ranges[0].start, ==, m->block_count);
	ASSERT_U64(fake_pages_count(m->pages), ==, 0);
}

static void body_random(struct model *m)
{
	for (unsigned i = 0; i < 300; i++) {
		random_points(m, random_below(m->random, i % 7 == 0 ? POINTS_MAX : 40));
		random_ranges(m, random_chance(m->random, 1, 2) ? 0 : random_below(m->random, 6));
		merge_and_apply(
			m, random_chance(m->random, 1, 2) ? 0 : 1 + random_below(m->random, 20));
		check_some(m);
		m->epoch += random_chance(m->random, 1, 8);
		if (i % 100 == 99)
			check_all(m, &m->root, m->blocks);
	}
	cut_everything(m);
}

static void test_random(void **state)
{
	run(body_random);
}

/* Small volumes, so that every level a tree starts with is met, and then they grow. */
static void body_grow(struct model *m)
{
	static const uint64_t sizes[] = {1, 100, 128, 129, 5000, 8192, 8193, BLOCKS_MAX};

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		m->block_count = sizes[i];
		m->range_count = 0;
		/* Nothing is put: no tree appears, and none grows. */
		m->point_count = 0;
		point_add(m, m->block_count - 1, true);
		merge_and_apply(m, 0);
		ASSERT(m->root.vaddr != 0 || fake_pages_count(m->pages) == 0);
		for (unsigned n = 0; n < 10; n++) {
			random_points(m, 1 + random_below(m->random, 30));
			random_ranges(m, random_below(m->random, 3));
			merge_and_apply(m, 0);
			check_some(m);
		}
		m->point_count = 0;
		m->range_count = 0;
		point_add(m, m->block_count - 1, false);
		merge_and_apply(m, 0);
		ASSERT_U64(m->root.level, ==, node_levels_for((sizes[i] + 127) / 128));
		check_all(m, &m->root, m->blocks);
		if (random_chance(m->random, 1, 4))
			cut_everything(m);
	}
	cut_everything(m);
}

static void test_grow(void **state)
{
	run(body_grow);
}

/* One point costs one path; nothing to do costs nothing. */
static void body_cost(struct model *m)
{
	uint64_t reads, writes;

	m->range_count = 0;
	for (unsigned i = 0; i < 20; i++) {
		random_points(m, POINTS_MAX);
		merge_and_apply(m, 0);
	}
	m->point_count = 0;
	point_add(m, 777, false);
	merge_and_apply(m, 0);
	reads = fake_pages_reads(m->pages);
	writes = fake_pages_writes(m->pages);
	m->point_count = 0;
	point_add(m, 777, false);
	merge_and_apply(m, 0);
	ASSERT_U64(fake_pages_reads(m->pages) - reads, ==, m->root.level + 1U);
	ASSERT_U64(fake_pages_writes(m->pages) - writes, ==, m->root.level + 1U);

	/* A range with nothing old enough changes nothing. */
	writes = fake_pages_writes(m->pages);
	m->point_count = 0;
	m->range_count = 1;
	m->ranges[0] = (struct merge_range){0, m->block_count, 1};
	merge_and_apply(m, 0);
	ASSERT_U64(fake_pages_writes(m->pages), ==, writes);

	/* A range over a few leaves leaves the rest alone. */
	reads = fake_pages_reads(m->pages);
	m->ranges[0] = (struct merge_range){700, 900, m->seq};
	merge_and_apply(m, 0);
	ASSERT_U64(fake_pages_reads(m->pages) - reads, <=, m->root.level + 3U);
	cut_everything(m);
}

static void test_cost(void **state)
{
	run(body_cost);
}

/* A budget stops a range, and merging again with what is left ends it; the count is kept. */
static void body_budget(struct model *m)
{
	uint64_t reads;
	unsigned rounds = 0;

	m->range_count = 0;
	for (unsigned i = 0; i < 30; i++) {
		random_points(m, POINTS_MAX);
		merge_and_apply(m, 0);
	}
	m->range_count = 2;
	m->ranges[0] = (struct merge_range){5, m->block_count / 2, m->seq};
	m->ranges[1] = (struct merge_range){m->block_count / 2 + 3, m->block_count, m->seq};
	do {
		random_points(m, random_below(m->random, 3));
		reads = fake_pages_reads(m->pages);
		merge_and_apply(m, 7);
		ASSERT_U64(fake_pages_reads(m->pages) - reads, <=,
			   7 + m->point_count + (7 + 1 + m->point_count) * 3);
		ASSERT_U64(++rounds, <, 10000);
		check_some(m);
	} while (m->ranges[1].start < m->ranges[1].end);
	ASSERT_U64(rounds, >, 3);
	ASSERT_U64(m->ranges[0].start, ==, m->ranges[0].end);
	cut_everything(m);
}

static void test_budget(void **state)
{
	run(body_budget);
}

/* Every read and every write fails once; the root stays, and the same merge then succeeds. */
static void body_fails(struct model *m)
{
	struct node_ptr root;
	struct merge_range ranges[RANGES_MAX];
	size_t mark;
	int result = -1;

	m->range_count = 0;
	for (unsigned i = 0; i < 5; i++) {
		random_points(m, POINTS_MAX);
		merge_and_apply(m, 0);
	}
	random_points(m, 30);
	random_ranges(m, 3);
	m->lenient = true;
	for (uint64_t nth = 1; result != 0; nth++) {
		root = m->root;
		memcpy(ranges, m->ranges, sizeof(ranges));
		mark = fake_pages_mark(m->pages);
		fake_pages_fail_read(m->pages, nth, -EIO);
		result = merge(m, 0);
		fake_pages_fail_read(m->pages, 0, 0);
		if (result != 0) {
			ASSERT_U64(result, ==, -EIO);
			ASSERT(memcmp(&root, &m->root, sizeof(root)) == 0);
			ASSERT(memcmp(ranges, m->ranges, sizeof(ranges)) == 0);
		}
		m->root = root;
		memcpy(m->ranges, ranges, sizeof(ranges));
		fake_pages_rewind(m->pages, mark);
	}
	result = -1;
	for (uint64_t nth = 1; result != 0; nth++) {
		mark = fake_pages_mark(m->pages);
		fake_pages_fail_write(m->pages, nth, -ENOSPC);
		result = merge(m, 0);
		fake_pages_fail_write(m->pages, 0, 0);
		ASSERT(result == 0 || memcmp(&root, &m->root, sizeof(root)) == 0);
		m->root = root;
		memcpy(m->ranges, ranges, sizeof(ranges));
		fake_pages_rewind(m->pages, mark);
	}
	m->lenient = false;
	merge_and_apply(m, 0);
	check_all(m, &m->root, m->blocks);
	cut_everything(m);
}

static void test_fails(void **state)
{
	run(body_fails);
}

/* --- Freeing ---------------------------------------------------------------------------------- */

static void free_in_steps(struct model *m, const struct node_ptr *root, uint32_t born_after)
{
	uint64_t cursor = 0;
	uint64_t before;
	int more = 1;

	m->mark = fake_pages_mark(m->pages);
	while (more) {
		before = cursor;
		more = map_free(m->pages, &m->sink, root, born_after, &cursor,
				1 + random_below(m->random, 9));
		ASSERT(more == 0 || more == 1);
		ASSERT(!more || cursor > before);
	}
	/* Done stays done. */
	ASSERT_U64(map_free(m->pages, &m->sink, root, born_after, &cursor, 1), ==, 0);
}

static void merge_some(struct model *m, unsigned merges)
{
	for (unsigned i = 0; i < merges; i++) {
		random_points(m, random_below(m->random, 100));
		random_ranges(m, random_chance(m->random, 1, 2) ? 0 : 2);
		merge_and_apply(m, 0);
		m->epoch += random_chance(m->random, 1, 4);
	}
}

/* With a snapshot: its tree reads the same while the head goes on; each frees only its own. */
static void body_snapshot(struct model *m)
{
	struct block *blocks = xcalloc(BLOCKS_MAX, sizeof(*blocks));
	struct node_ptr old;

	merge_some(m, 30);
	old = m->root;
	memcpy(blocks, m->blocks, BLOCKS_MAX * sizeof(*blocks));
	m->snapshot_epoch = m->epoch++;
	merge_some(m, 30);
	check_all(m, &m->root, m->blocks);
	check_all(m, &old, blocks);
	m->killed = 0;
	free_in_steps(m, &m->root, m->snapshot_epoch);
	check_all(m, &old, blocks);
	for (uint32_t slot = 1; slot < m->data_count; slot++)
		ASSERT(m->data_epochs[slot] <= m->snapshot_epoch || m->data[slot] != DATA_LIVE);
	/* What the head killed of the snapshot's is freed with the snapshot. */
	for (uint64_t b = 0; b < BLOCKS_MAX; b++)
		if (blocks[b].vaddr != 0)
			m->data[vaddr_slot(blocks[b].vaddr)] = DATA_LIVE;
	m->snapshot_epoch = 0;
	m->killed = 0;
	free_in_steps(m, &old, 0);
	ASSERT_U64(m->killed, ==, old.live);
	ASSERT_U64(fake_pages_count(m->pages), ==, 0);
	free(blocks);
}

static void test_snapshot(void **state)
{
	run(body_snapshot);
}

/* Pages whose contents no writer makes. */
static void body_nonsense(struct model *m)
{
	struct page_ref root = {.kind = NODE_MAP};
	struct node_ptr ptr = {.vaddr = vaddr_make(FAKE_META_SEGMENT, 1), .live = 1};
	struct page_ref missing;
	uint8_t page[PAGE_BYTES] = {0};
	uint8_t raw[ENTRY_BYTES];
	int result;

	for (unsigned i = 0; i < 4; i++) {
		ptr.kind = i == 0 ? NODE_SNAPSHOTS : NODE_MAP;
		ptr.level = (uint8_t[]){0, 1, 2, 0}[i];
		ptr.vaddr = i == 3 ? 5 : vaddr_make(FAKE_META_SEGMENT, 1);
		node_ptr_encode(&ptr, page);
		root.ptr = (struct node_ptr){.kind = NODE_MAP, .level = 1, .live = 1, .epoch = 1};
		ASSERT(pages_write(m->pages, &root, page) == 0);
		do {
			ASSERT(pages_read(m->pages, &root, page) == 0);
			result = map_lookup(m->pages, &root.ptr, 3, raw, &missing);
		} while (result == -EAGAIN);
		ASSERT_U64(result, ==, -EUCLEAN);
		ASSERT_U64(map_lookup(m->pages, &root.ptr, 8192, raw, &missing), ==, 0);
		m->root = root.ptr;
		m->point_count = 0;
		point_add(m, 3, false);
		ASSERT_U64(merge(m, 0), ==, -EUCLEAN);
		ASSERT(memcmp(&m->root, &root.ptr, sizeof(m->root)) == 0);
	}
	root.ptr.kind = NODE_VOLUMES;
	ASSERT_U64(map_lookup(m->pages, &root.ptr, 3, raw, &missing), ==, -EUCLEAN);
	m->root = root.ptr;
	ASSERT_U64(merge(m, 0), ==, -EUCLEAN);
}

static void test_nonsense(void **state)
{
	run(body_nonsense);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),	 cmocka_unit_test(test_grow),
		cmocka_unit_test(test_cost),	 cmocka_unit_test(test_budget),
		cmocka_unit_test(test_fails),	 cmocka_unit_test(test_snapshot),
		cmocka_unit_test(test_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
