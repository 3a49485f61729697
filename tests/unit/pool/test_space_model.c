/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Space against a plain model: random work, and imports from what the last checkpoints left. The
 * model keeps a state for each slot, and the ref bits of the checkpoints one may rewind over.
 * QUOIN_SPACE_SEED runs one seed; QUOIN_SPACE_SEEDS says how many (default 60).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <quoin/base_bitmap.h>
#include <quoin/base_random.h>

#include "space/space.h"

#define SLOTS 256   /* of a chunk of 1 MiB */
#define SEGMENTS 96 /* numbers; some wait until they are given again */
#define STEPS 4000
#define TREES (SPACE_KEEP + 1)
#define FREED_MAX 3000

enum state { FREE, TAKEN, REF, ACTIVE, FROZEN, WAITING, KEPT };

struct slot {
	enum state state;
	uint64_t free_at; /* WAITING: the commit */
};

struct tree {
	uint64_t commit;
	uint32_t limit;
	struct segment_record records[SEGMENTS];
	uint8_t pages[SEGMENTS][PAGE_BYTES];
};

struct model {
	struct random random;
	struct space *space;
	uint64_t commits, imported; /* the commit that was imported last */
	bool in_commit;
	struct space_drive drives[4];
	struct slot slots[SEGMENTS][SLOTS];
	struct tree trees[TREES]; /* commit n at n % TREES */
};

static struct slot *slot_at(struct model *m, uint64_t vaddr)
{
	return &m->slots[vaddr_segment(vaddr)][vaddr_slot(vaddr)];
}

static void open_space(struct model *m)
{
	const struct space_params params = {
		.chunk_shift = 20, .drive_count = 4, .drives = m->drives, .freed_max = FREED_MAX};

	assert_int_equal(space_new(&params, &m->space), 0);
}

/* A random slot in this state, or 0. */
static uint64_t find(struct model *m, enum state state)
{
	const uint32_t limit = space_segment_limit(m->space);
	const uint64_t start = random_below(&m->random, (uint64_t)limit * SLOTS);

	for (uint64_t i = 0; i < (uint64_t)limit * SLOTS; i++) {
		const uint64_t at = (start + i) % ((uint64_t)limit * SLOTS);

		if (m->slots[at / SLOTS][at % SLOTS].state == state &&
		    space_segment(m->space, (uint32_t)(at / SLOTS)) != NULL)
			return vaddr_make(at / SLOTS, at % SLOTS);
	}
	return 0;
}

static bool in_a_tree(const struct model *m, uint64_t vaddr)
{
	const uint32_t slot = vaddr_slot(vaddr);

	for (unsigned i = 0; i < TREES; i++) {
		if (m->trees[i].pages[vaddr_segment(vaddr)][slot / 8] >> (slot % 8) & 1)
			return true;
	}
	return false;
}

static void add(struct model *m, enum segment_class class)
{
	struct segment *segment;
	unsigned group = (unsigned)random_below(&m->random, 2);

	if (space_segment_limit(m->space) == SEGMENTS)
		return;
	if (space_segment_add(m->space, class, group, m->commits, &segment) < 0)
		return;
	memset(m->slots[segment->id], 0, sizeof(m->slots[0]));
	/* An import forgets which numbers were retired: none of its log's records has them. */
	for (unsigned i = 0; i < TREES; i++)
		assert_false(m->trees[i].commit > m->imported &&
			     m->trees[i].records[segment->id].class != 0);
}

/* The chunks may be written at once, so no tree may have anything there. */
static void retire(struct model *m)
{
	const enum segment_class class =
		random_chance(&m->random, 1, 2) ? SEGMENT_META : SEGMENT_DATA;
	bool there[SEGMENTS] = {false};
	unsigned gone = 0;

	for (uint32_t id = 1; id < space_segment_limit(m->space); id++)
		there[id] = space_segment(m->space, id) != NULL;
	if (!space_segment_retire(m->space, class))
		return;
	for (uint32_t id = 1; id < space_segment_limit(m->space); id++) {
		if (!there[id] || space_segment(m->space, id) != NULL)
			continue;
		gone++;
		assert_true(space_record_dirty(m->space, id));
		for (unsigned i = 0; i < SLOTS; i++) {
			assert_int_equal(m->slots[id][i].state, FREE);
			assert_false(in_a_tree(m, vaddr_make(id, i)));
		}
	}
	assert_int_equal(gone, 1);
}

static void none_is_free(struct model *m, enum segment_class class)
{
	for (uint32_t id = 1; id < space_segment_limit(m->space); id++) {
		const struct segment *segment = space_segment(m->space, id);

		if (segment == NULL || segment->class != class || segment->closed)
			continue;
		for (unsigned i = 0; i < SLOTS; i++)
			assert_int_not_equal(m->slots[id][i].state, FREE);
	}
}

static void alloc(struct model *m)
{
	const enum segment_class class =
		random_chance(&m->random, 1, 4) ? SEGMENT_META : SEGMENT_DATA;
	const unsigned want = 1 + (unsigned)random_below(&m->random, 100);
	uint64_t vaddr = 0;
	const unsigned count = space_alloc(m->space, class, want, &vaddr);

	assert_true(count <= want);
	if (count == 0) {
		none_is_free(m, class);
		add(m, class);
		return;
	}
	assert_true(space_vaddr_valid(m->space, vaddr, class));
	assert_true(space_vaddr_valid(m->space, vaddr + count - 1, class));
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(slot_at(m, vaddr + i)->state, FREE);
		assert_false(in_a_tree(m, vaddr + i));
		slot_at(m, vaddr + i)->state = TAKEN;
	}
}

static void freed(struct model *m, uint64_t vaddr, bool ref)
{
	if (vaddr == 0 || space_freed_room(m->space) == 0)
		return;
	if (ref)
		space_unref(m->space, vaddr);
	else
		space_supersede(m->space, vaddr);
	slot_at(m, vaddr)->state = ref ? FROZEN : ACTIVE;
}

static void ref(struct model *m, uint64_t vaddr)
{
	if (vaddr == 0)
		return;
	assert_false(space_is_ref(m->space, vaddr));
	space_ref(m->space, vaddr);
	assert_true(space_is_ref(m->space, vaddr));
	slot_at(m, vaddr)->state = REF;
}

static void unalloc(struct model *m, uint64_t vaddr)
{
	if (vaddr == 0)
		return;
	space_unalloc(m->space, vaddr, 1);
	slot_at(m, vaddr)->state = FREE;
}

static void freeze(struct model *m)
{
	for (unsigned i = 0; i < SEGMENTS * SLOTS; i++) {
		struct slot *slot = &m->slots[i / SLOTS][i % SLOTS];

		if (slot->state == ACTIVE)
			slot->state = FROZEN;
	}
	space_freeze(m->space);
}

static bool released(void *data, uint64_t vaddr, unsigned count)
{
	struct model *m = data;
	const bool keep = random_chance(&m->random, 1, 2);
	unsigned waited = 0;

	assert_true(m->in_commit);
	assert_true(count >= SPACE_TRIM_SLOTS);
	for (unsigned i = 0; i < count; i++) {
		struct slot *slot = slot_at(m, vaddr + i);

		if (slot->state == WAITING) {
			assert_int_equal(slot->free_at, m->commits);
			waited++;
		} else {
			assert_int_equal(slot->state, FREE);
		}
		if (slot->state == WAITING || keep)
			slot->state = keep ? KEPT : FREE;
	}
	assert_true(waited > 0);
	return keep;
}

static void tree_save(struct model *m)
{
	struct tree *tree = &m->trees[m->commits % TREES];

	memset(tree, 0, sizeof(*tree));
	tree->commit = m->commits;
	tree->limit = space_segment_limit(m->space);
	for (uint32_t id = 1; id < tree->limit; id++) {
		struct segment *segment = space_segment(m->space, id);

		space_record_clean(m->space, id);
		if (segment == NULL)
			continue;
		space_segment_encode(segment, &tree->records[id]);
		space_bitmap_encode(segment, 0, tree->pages[id]);
		segment->bitmap_dirty = 0;
	}
}

static void commit(struct model *m)
{
	m->commits++;
	tree_save(m);
	m->in_commit = true;
	space_commit(m->space, released, m);
	m->in_commit = false;
	for (unsigned i = 0; i < SEGMENTS * SLOTS; i++) {
		struct slot *slot = &m->slots[i / SLOTS][i % SLOTS];

		if (slot->state == WAITING && slot->free_at == m->commits)
			slot->state = FREE;
		if (slot->state != FROZEN)
			continue;
		slot->state = WAITING;
		slot->free_at = m->commits + SPACE_KEEP;
	}
}

/* A record of the log names a slot. What had been freed is its own again. */
static void claim(struct model *m, uint64_t vaddr)
{
	if (!space_vaddr_valid(m->space, vaddr, SEGMENT_DATA)) {
		assert_int_equal(space_claim(m->space, vaddr), -EUCLEAN);
		return;
	}
	assert_int_equal(space_claim(m->space, vaddr), 0);
	if (slot_at(m, vaddr)->state != REF)
		slot_at(m, vaddr)->state = TAKEN;
}

static void import(struct model *m)
{
	const struct tree *now = &m->trees[m->commits % TREES];

	if (m->commits == 0)
		return;
	m->imported = m->commits;
	space_free(m->space);
	open_space(m);
	memset(m->slots, 0, sizeof(m->slots));
	for (uint32_t id = 1; id < now->limit; id++) {
		struct segment *segment;

		if (now->records[id].class == 0)
			continue;
		assert_int_equal(space_segment_load(m->space, id, &now->records[id]), 0);
		segment = space_segment(m->space, id);
		for (unsigned i = 0; i < TREES; i++)
			space_bitmap_load(m->space, segment, 0, m->trees[i].pages[id],
					  &m->trees[i] == now);
		assert_int_equal(segment->refs, now->records[id].used);
		for (unsigned i = 0; i < SLOTS; i++) {
			struct slot *slot = &m->slots[id][i];

			if (in_a_tree(m, vaddr_make(id, i)))
				*slot = (struct slot){WAITING, m->commits + SPACE_KEEP};
			if (now->pages[id][i / 8] >> (i % 8) & 1)
				slot->state = REF;
		}
	}
	space_loaded(m->space);
	for (unsigned i = 0; i < 30; i++)
		claim(m, vaddr_make(random_below(&m->random, SEGMENTS + 2),
				    random_below(&m->random, SLOTS + 9)));
}

static void check_segment(struct model *m, const struct segment *segment, struct space_sums *sums)
{
	uint32_t used = 0;
	uint32_t refs = 0;

	for (unsigned i = 0; i < SLOTS; i++) {
		const enum state state = m->slots[segment->id][i].state;

		assert_int_equal(bitmap_test(segment->used_bits, i), state != FREE);
		assert_int_equal(bitmap_test(segment->ref_bits, i), state == REF);
		used += state != FREE;
		refs += state == REF;
		sums->freeing += state == ACTIVE || state == FROZEN || state == WAITING;
	}
	assert_int_equal(segment->used, used);
	assert_int_equal(segment->refs, refs);
	*(segment->class == SEGMENT_DATA ? &sums->data_segments : &sums->meta_segments) += SLOTS;
	*(segment->class == SEGMENT_DATA ? &sums->data_used : &sums->meta_used) += used;
	*(segment->class == SEGMENT_DATA ? &sums->data_refs : &sums->meta_refs) += refs;
	*(segment->class == SEGMENT_DATA ? &sums->data_empty : &sums->meta_empty) += used == 0;
}

static void check(struct model *m)
{
	struct space_sums sums;
	struct space_sums counted = {0};

	space_sums(m->space, &sums);
	for (unsigned i = 0; i < ARRAY_SIZE(m->drives); i++)
		counted.chunks_total += m->drives[i].chunk_count;
	counted.chunks_free = counted.chunks_total;
	for (uint32_t id = 1; id < space_segment_limit(m->space); id++) {
		const struct segment *segment = space_segment(m->space, id);

		if (segment == NULL)
			continue;
		counted.chunks_free -= segment->column_count;
		check_segment(m, segment, &counted);
	}
	counted.group_width = 2;
	counted.data_total = sums.data_total; /* test_space.c */
	assert_true(sums.data_total >= sums.data_segments);
	counted.meta_growth = sums.meta_growth;
	assert_true(sums.meta_growth <= sums.chunks_free / SPACE_COPIES_META * SLOTS);
	assert_memory_equal(&sums, &counted, sizeof(sums));
}

static void close_or_open(struct model *m)
{
	struct segment *segment = space_segment(
		m->space, (uint32_t)random_below(&m->random, space_segment_limit(m->space)));
	const unsigned drive = (unsigned)random_below(&m->random, 4);

	if (segment == NULL)
		return;
	segment->closed = random_chance(&m->random, 1, 3);
	/* A drive that comes back is what opens segments again. */
	space_drive_usable(m->space, drive, true);
}

static void step(struct model *m)
{
	const uint64_t dice = random_below(&m->random, 1000);

	if (dice < 300)
		alloc(m);
	else if (dice < 600)
		ref(m, find(m, TAKEN));
	else if (dice < 750)
		freed(m, find(m, REF), true);
	else if (dice < 850)
		freed(m, find(m, TAKEN), false);
	else if (dice < 900)
		unalloc(m, find(m, random_chance(&m->random, 1, 2) ? TAKEN : KEPT));
	else if (dice < 960)
		freeze(m);
	else if (dice < 985)
		commit(m);
	else if (dice < 990)
		retire(m);
	else if (dice < 997)
		close_or_open(m);
	else
		import(m);
}

/* Runs of slots go the whole way at once, so that runs are released. */
static void sweep(struct model *m)
{
	const uint32_t id = (uint32_t)random_below(&m->random, space_segment_limit(m->space));

	for (unsigned i = 0; i < SLOTS; i++) {
		const uint64_t vaddr = vaddr_make(id, i);

		if (slot_at(m, vaddr)->state == REF)
			freed(m, vaddr, true);
		else if (slot_at(m, vaddr)->state == TAKEN)
			freed(m, vaddr, false);
	}
}

static void run(uint64_t seed)
{
	struct model *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	random_init(&m->random, seed);
	for (unsigned i = 0; i < 4; i++)
		m->drives[i] = (struct space_drive){
			.chunk_count = 4 + (uint32_t)random_below(&m->random, 12),
			.group = (uint16_t)(i / 2),
			.usable = true};
	open_space(m);
	for (unsigned i = 0; i < STEPS; i++) {
		step(m);
		if (random_chance(&m->random, 1, 100))
			sweep(m);
		if (random_chance(&m->random, 1, 10))
			check(m);
	}
	check(m);
	space_free(m->space);
	free(m);
}

static void random_work(void **state)
{
	const char *one = getenv("QUOIN_SPACE_SEED");
	const char *many = getenv("QUOIN_SPACE_SEEDS");
	const uint64_t seeds = many ? strtoull(many, NULL, 10) : 60;

	if (one) {
		run(strtoull(one, NULL, 10));
		return;
	}
	for (uint64_t seed = 1; seed <= seeds; seed++) {
		print_message("seed %llu\n", (unsigned long long)seed);
		run(seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(random_work)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
