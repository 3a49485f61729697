/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Record trees and deadlists against plain arrays: seeded edits, appends, takings and joinings,
 * with every page accounted for. QUOIN_DEADLIST_SEEDS: how many seeds each test runs (default 4).
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

#define SEEDS_DEFAULT 4
#define TURNS_MAX UINT64_C(1000000000)
#define LEAVES_MAX 6000 /* three levels */
#define EDITS_MAX 40
#define LISTS 3
#define APPEND_MAX 2000
#define ENTRIES_MAX 300000

struct rig {
	struct pages *pages;
	struct random *random;
	/* Deadlists: of every entry ever made, by slot, the list it is in (0 = none). */
	struct deadlist lists[LISTS + 1];
	uint8_t where[ENTRIES_MAX];
	uint32_t epochs[ENTRIES_MAX];
	uint8_t segments[ENTRIES_MAX];
	uint32_t entry_count;
	/* The taking under way. */
	uint8_t from;
	uint32_t born_after;
	size_t taken;
	/* Arrays: the first byte of each leaf. */
	struct node_ptr root;
	uint8_t leaves[LEAVES_MAX];
};

/* --- Record trees ----------------------------------------------------------------------------- */

static void leaf_write(struct rig *r, struct array_edit *edit, uint8_t byte)
{
	uint8_t page[PAGE_BYTES];
	struct page_ref ref = {.kind = NODE_VOLUMES,
			       .index = edit->index,
			       .ptr = {.kind = NODE_VOLUMES, .live = 1}};

	memset(page, byte, sizeof(page));
	ASSERT(pages_write(r->pages, &ref, page) == 0);
	edit->ptr = ref.ptr;
}

static size_t leaf_count(const struct rig *r)
{
	size_t count = 0;

	for (size_t i = 0; i < LEAVES_MAX; i++)
		count += r->leaves[i] != 0;
	return count;
}

/* Up to `count` edits, ascending, below `limit`; one in three takes a leaf away. */
static void edit_some(struct rig *r, size_t count, uint64_t limit)
{
	struct array_edit edits[EDITS_MAX];
	uint64_t index = random_below(r->random, limit);
	uint64_t writes;
	size_t most;
	size_t n = 0;

	for (; n < count && index < limit; index += 1 + random_below(r->random, 90), n++) {
		edits[n] = (struct array_edit){.index = index};
		r->leaves[index] = 0;
		if (random_chance(r->random, 1, 3))
			continue;
		r->leaves[index] = (uint8_t)(1 + random_below(r->random, 255));
		leaf_write(r, &edits[n], r->leaves[index]);
	}
	writes = fake_pages_writes(r->pages);
	most = array_edit_pages(&r->root, n, n > 0 ? edits[n - 1].index : 0);
	ASSERT(array_edit(r->pages, NODE_VOLUMES, &r->root, edits, n, true) == 0);
	ASSERT_U64(fake_pages_writes(r->pages) - writes, <=, most);
	ASSERT(leaf_count(r) > 0 || r->root.vaddr == 0);
	ASSERT_U64(r->root.level == 0 && r->root.vaddr ? 1 : r->root.live, ==, leaf_count(r));
}

static void check_leaf(struct rig *r, uint64_t index)
{
	uint8_t page[PAGE_BYTES];

	ASSERT(array_read(r->pages, NODE_VOLUMES, &r->root, index, page) == 0);
	ASSERT_U64(page[0], ==, r->leaves[index]);
	ASSERT_U64(page[PAGE_BYTES - 1], ==, r->leaves[index]);
}

static void body_array(struct rig *r)
{
	static const uint64_t limits[] = {1, 10, 64, 65, 4096, 4097, LEAVES_MAX};
	struct array_edit gone;
	uint8_t page[PAGE_BYTES];

	for (unsigned i = 0; i < ARRAY_SIZE(limits); i++)
		for (unsigned n = 0; n < 25; n++) {
			edit_some(r, random_below(r->random, EDITS_MAX), limits[i]);
			for (unsigned k = 0; k < 50; k++)
				check_leaf(r, random_below(r->random, LEAVES_MAX));
		}
	for (uint64_t index = 0; index < LEAVES_MAX; index++)
		check_leaf(r, index);
	ASSERT(array_read(r->pages, NODE_VOLUMES, &r->root, UINT64_C(1) << 40, page) == 0);
	ASSERT_U64(page[0], ==, 0);
	ASSERT_U64(array_read(r->pages, NODE_SNAPSHOTS, &r->root, 0, page), ==, -EUCLEAN);
	/* What was not there may be taken away; what was goes, and the tree with it. */
	for (uint64_t index = 0; index < LEAVES_MAX + 64 * 4096; index += 1 + (index >= 4096) * 7) {
		gone = (struct array_edit){.index = index};
		ASSERT(array_edit(r->pages, NODE_VOLUMES, &r->root, &gone, 1, true) == 0);
	}
	for (uint64_t index = 0; index < LEAVES_MAX; index++) {
		gone = (struct array_edit){.index = index};
		ASSERT(array_edit(r->pages, NODE_VOLUMES, &r->root, &gone, 1, true) == 0);
	}
	ASSERT_U64(r->root.vaddr, ==, 0);
	ASSERT_U64(fake_pages_count(r->pages), ==, 0);
}

/* --- Deadlists -------------------------------------------------------------------------------- */

static bool young(const struct rig *r, uint32_t entry, uint8_t list, uint32_t born_after)
{
	return r->where[entry] == list && r->epochs[entry] > born_after;
}

/* Entries are told apart by their slots. */
static void append(struct rig *r, uint8_t list, size_t count)
{
	struct dead_entry *entries = xcalloc(count + 1, sizeof(*entries));
	uint32_t n;

	for (size_t i = 0; i < count; i++) {
		n = r->entry_count++;
		ASSERT_U64(n, <, ENTRIES_MAX);
		r->where[n] = list;
		r->epochs[n] = 1 + (uint32_t)random_below(r->random, 20 + n / 100);
		r->segments[n] =
			random_chance(r->random, 1, 5) ? FAKE_META_SEGMENT : FAKE_DATA_SEGMENT;
		entries[i] = (struct dead_entry){vaddr_make(r->segments[n], n), r->epochs[n]};
	}
	ASSERT(deadlist_append(r->pages, &r->lists[list], entries, count) == 0);
	free(entries);
}

static int taken(void *data, const struct dead_entry *entry)
{
	struct rig *r = data;
	const uint32_t n = vaddr_slot(entry->vaddr);

	ASSERT_U64(n, <, r->entry_count);
	ASSERT_U64(entry->epoch, ==, r->epochs[n]);
	ASSERT_U64(vaddr_segment(entry->vaddr), ==, r->segments[n]);
	ASSERT(young(r, n, r->from, r->born_after));
	r->where[n] = 0;
	r->taken++;
	if (random_chance(r->random, 1, 100))
		fiber_yield();
	return 0;
}

static void take(struct rig *r, uint8_t list, uint32_t born_after)
{
	const bool all = random_chance(r->random, 1, 2);
	int more = 1;
	size_t max;

	r->from = list;
	r->born_after = born_after;
	while (more == 1) {
		r->taken = 0;
		max = 1 + random_below(r->random, 1000);
		more = deadlist_take(r->pages, &r->lists[list], born_after, max, taken, r);
		ASSERT(more == 0 || (more == 1 && r->taken > 0));
		ASSERT_U64(r->taken, <=, max + DEADLIST_ENTRIES);
		if (!all)
			return;
	}
	for (uint32_t n = 0; n < r->entry_count; n++)
		ASSERT(!young(r, n, list, born_after));
}

static void join(struct rig *r, uint8_t to, uint8_t from)
{
	ASSERT(deadlist_join(r->pages, &r->lists[to], &r->lists[from]) == 0);
	ASSERT_U64(r->lists[from].root.vaddr + r->lists[from].pages, ==, 0);
	for (uint32_t n = 0; n < r->entry_count; n++)
		if (r->where[n] == from)
			r->where[n] = to;
}

static void check_list(struct rig *r, uint8_t list, uint32_t born_after)
{
	const struct deadlist *l = &r->lists[list];
	uint64_t want[3] = {0};
	uint64_t all[3] = {0};
	uint64_t data, meta;

	for (uint32_t n = 0; n < r->entry_count; n++) {
		want[r->segments[n]] += young(r, n, list, born_after);
		all[r->segments[n]] += young(r, n, list, 0);
	}
	ASSERT(deadlist_count(r->pages, l, born_after, &data, &meta) == 0);
	ASSERT_U64(data, ==, want[FAKE_DATA_SEGMENT]);
	ASSERT_U64(meta, ==, want[FAKE_META_SEGMENT]);
	ASSERT_U64(l->data, ==, all[FAKE_DATA_SEGMENT]);
	ASSERT_U64(l->meta, ==, all[FAKE_META_SEGMENT]);
	ASSERT_U64(l->root.live, ==, l->data + l->meta);
}

static void body_deadlist(struct rig *r)
{
	uint32_t epoch;
	uint8_t list;

	for (unsigned i = 0; i < 200; i++) {
		list = (uint8_t)(1 + random_below(r->random, LISTS));
		epoch = (uint32_t)random_below(r->random, 20 + r->entry_count / 100);
		switch (random_below(r->random, 6)) {
		case 0:
			take(r, list, epoch);
			break;
		case 1:
			join(r, list, (uint8_t)(list % LISTS + 1));
			break;
		case 2:
			append(r, list, random_below(r->random, APPEND_MAX));
			break;
		default:
			append(r, list, random_below(r->random, 60));
		}
		check_list(r, list, epoch);
	}
	/* One long enough for a second level, joined into an empty one and back. */
	append(r, 1, 64 * DEADLIST_ENTRIES + 1);
	ASSERT(deadlist_drop(r->pages, &r->lists[2]) == 0);
	for (uint32_t n = 0; n < r->entry_count; n++)
		if (r->where[n] == 2)
			r->where[n] = 0;
	check_list(r, 2, 0);
	join(r, 2, 1);
	check_list(r, 2, 3);
	join(r, 3, 2);
	check_list(r, 3, 0);
	while (r->lists[3].root.vaddr != 0)
		take(r, 3, 0);
	ASSERT_U64(r->lists[3].pages + r->lists[3].data + r->lists[3].meta, ==, 0);
	ASSERT_U64(fake_pages_count(r->pages), ==, 0);
}

/* Many small appends share pages, and pages with nothing young enough are not read. */
static void body_cost(struct rig *r)
{
	struct dead_entry entry = {.vaddr = vaddr_make(FAKE_DATA_SEGMENT, 1)};
	struct deadlist *list = &r->lists[1];
	uint64_t data, meta, reads;

	for (uint32_t i = 0; i < 1000; i++) {
		entry.epoch = 1 + i / 300;
		ASSERT(deadlist_append(r->pages, list, &entry, 1) == 0);
	}
	ASSERT_U64(list->pages, ==, (1000 + DEADLIST_ENTRIES - 1) / DEADLIST_ENTRIES);
	reads = fake_pages_reads(r->pages);
	ASSERT(deadlist_count(r->pages, list, 3, &data, &meta) == 0);
	ASSERT_U64(data, ==, 100);
	ASSERT_U64(fake_pages_reads(r->pages) - reads, ==, 2);
	ASSERT(deadlist_count(r->pages, list, 4, &data, &meta) == 0);
	ASSERT_U64(data, ==, 0);
	ASSERT_U64(fake_pages_reads(r->pages) - reads, ==, 2);
	/* An entry of no segment is refused, and the list stays. */
	entry.vaddr = vaddr_make(77, 1);
	ASSERT_U64(deadlist_append(r->pages, list, &entry, 1), ==, -EUCLEAN);
	ASSERT_U64(list->data, ==, 1000);
	ASSERT(deadlist_drop(r->pages, list) == 0);
	ASSERT_U64(fake_pages_count(r->pages), ==, 0);
}

/* --- Running ---------------------------------------------------------------------------------- */

struct body {
	void (*run)(struct rig *r);
	struct rig *rig;
	bool ended;
};

static void body_main(void *arg)
{
	struct body *body = arg;

	body->run(body->rig);
	body->ended = true;
}

static void run(void (*run_body)(struct rig *r))
{
	const char *text = getenv("QUOIN_DEADLIST_SEEDS");
	const unsigned long seeds = text ? strtoul(text, NULL, 10) : SEEDS_DEFAULT;

	for (unsigned long seed = 1; seed <= seeds; seed++) {
		struct loop_sim *world = loop_sim_new(seed);
		struct loop *loop = loop_sim_add(world);
		struct body body = {.run = run_body, .rig = xcalloc(1, sizeof(struct rig))};

		print_message("seed %lu\n", seed);
		body.rig->pages = fake_pages_new(world);
		body.rig->random = loop_sim_random(world);
		ASSERT(fiber_start(loop, false, body_main, &body, NULL) == 0);
		ASSERT(loop_sim_run(world, &body.ended, UINT64_MAX, TURNS_MAX));
		ASSERT(body.ended);
		fake_pages_free(body.rig->pages);
		free(body.rig);
		loop_sim_free(world);
	}
}

static void test_array(void **state)
{
	run(body_array);
}

static void test_deadlist(void **state)
{
	run(body_deadlist);
}

static void test_cost(void **state)
{
	run(body_cost);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_array),
		cmocka_unit_test(test_deadlist),
		cmocka_unit_test(test_cost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
