/* SPDX-License-Identifier: Apache-2.0 */
/* When an unmap is over: holds, epochs, abandoned unmaps, and a random run against a model. */
#include "memory_util.h"

#include <quoin/base_random.h>

#define RW (GUEST_READ | GUEST_WRITE)

struct counted_unmap {
	struct guest_unmap unmap;
	unsigned done;
};

static void counted_done(struct guest_unmap *unmap)
{
	container_of(unmap, struct counted_unmap, unmap)->done++;
}

static struct counted_unmap counted(void)
{
	return (struct counted_unmap){.unmap = {.done = counted_done}};
}

static void map_one(struct guest_memory *memory, uint64_t start)
{
	int fd = file_new(1);

	assert_int_equal(guest_memory_map(memory, at(start), PAGE, RW, fd, 0), 0);
	close(fd);
}

static void unmap_waits_for_older_holds_only(void **state)
{
	struct guest_memory *memory = memory_new();
	struct guest_hold none = {0}, first, second, later;
	struct counted_unmap unmap = counted();
	char *page;

	guest_hold_drop(memory, &none);
	map_one(memory, 0);
	page = guest_resolve(memory, at(0), PAGE, RW);
	first = guest_hold_take(memory);
	second = guest_hold_take(memory);
	assert_int_equal(guest_memory_unmap(memory, at(0), PAGE, &unmap.unmap), 0);
	later = guest_hold_take(memory);
	assert_null(guest_resolve(memory, at(0), 1, GUEST_READ));
	assert_int_equal(unmap.done, 0);
	page[0] = 1; /* Still there. */
	guest_hold_drop(memory, &first);
	assert_int_equal(first.epoch, 0);
	assert_int_equal(unmap.done, 0);
	guest_hold_drop(memory, &second);
	assert_int_equal(unmap.done, 1);
	guest_hold_drop(memory, &later);
	assert_int_equal(unmap.done, 1);
	guest_memory_free(memory);
}

static void unmap_all_always_ends(void **state)
{
	struct guest_memory *memory = memory_new();
	struct counted_unmap empty = counted(), full = counted();
	struct guest_hold hold;

	guest_memory_unmap_all(memory, &empty.unmap);
	assert_int_equal(empty.done, 1);
	map_one(memory, 0);
	map_one(memory, 2 * PAGE);
	hold = guest_hold_take(memory);
	guest_memory_unmap_all(memory, &full.unmap);
	assert_int_equal(guest_memory_region_count(memory), 0);
	assert_int_equal(full.done, 0);
	map_one(memory, 0); /* The same range may come again meanwhile. */
	guest_hold_drop(memory, &hold);
	assert_int_equal(full.done, 1);
	assert_non_null(guest_resolve(memory, at(0), 1, RW));
	guest_memory_free(memory);
}

static void abandoned_pages_stay_until_the_hold_goes(void **state)
{
	struct guest_memory *memory = memory_new();
	struct counted_unmap unmap = counted(), next = counted();
	struct guest_hold hold;
	unsigned char resident;
	char *page;

	map_one(memory, 0);
	page = guest_resolve(memory, at(0), PAGE, RW);
	hold = guest_hold_take(memory);
	assert_int_equal(guest_memory_unmap(memory, at(0), PAGE, &unmap.unmap), 0);
	guest_unmap_abandon(memory, &unmap.unmap);
	memset(&unmap, 0xEE, sizeof(unmap)); /* Nobody may look at it any more. */
	page[5] = 5;

	/* A younger unmap waits for the same hold: the epochs are in order. */
	map_one(memory, 0);
	assert_int_equal(guest_memory_unmap(memory, at(0), PAGE, &next.unmap), 0);
	assert_int_equal(next.done, 0);
	guest_hold_drop(memory, &hold);
	assert_int_equal(next.done, 1);
	assert_int_equal(mincore(page, PAGE, &resident), -1);
	assert_int_equal(errno, ENOMEM);
	guest_memory_free(memory);
}

/* More unmaps than epochs fit: they may wait longer than they had to, but they all end. */
static void more_epochs_than_the_ring_holds(void **state)
{
	enum { COUNT = 200 };
	struct guest_memory *memory = memory_new();
	struct counted_unmap unmaps[COUNT];
	struct guest_hold holds[COUNT];

	for (unsigned i = 0; i < COUNT; i++) {
		unmaps[i] = counted();
		map_one(memory, 0);
		holds[i] = guest_hold_take(memory);
		assert_int_equal(guest_memory_unmap(memory, at(0), PAGE, &unmaps[i].unmap), 0);
	}
	for (unsigned i = 0; i < COUNT; i++) {
		assert_int_equal(unmaps[i].done, 0);
		guest_hold_drop(memory, &holds[i]);
	}
	for (unsigned i = 0; i < COUNT; i++)
		assert_int_equal(unmaps[i].done, 1);
	guest_memory_free(memory);
}

/* --- The model: every unmap remembers which holds it must outlive ------------------------- */

#define SLOTS 24

struct world {
	struct guest_memory *memory;
	struct random random;
	struct guest_hold holds[SLOTS];
	struct counted_unmap unmaps[SLOTS];
	bool waiting[SLOTS];
	bool waits_for[SLOTS][SLOTS]; /* unmap, hold */
	unsigned finished;
};

static bool model_blocked(const struct world *world, unsigned unmap)
{
	for (unsigned i = 0; i < SLOTS; i++)
		if (world->waits_for[unmap][i])
			return true;
	return false;
}

static void world_check(struct world *world)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		if (!world->waiting[i])
			continue;
		assert_int_equal(world->unmaps[i].done, model_blocked(world, i) ? 0 : 1);
		if (world->unmaps[i].done == 0)
			continue;
		world->waiting[i] = false;
		world->finished++;
	}
}

static void world_unmap(struct world *world, unsigned slot)
{
	if (world->waiting[slot]) {
		guest_unmap_abandon(world->memory, &world->unmaps[slot].unmap);
		world->waiting[slot] = false;
		return;
	}
	world->unmaps[slot] = counted();
	world->waiting[slot] = true;
	for (unsigned i = 0; i < SLOTS; i++)
		world->waits_for[slot][i] = world->holds[i].epoch != 0;
	map_one(world->memory, slot * PAGE);
	assert_int_equal(guest_memory_unmap(world->memory, at(slot * PAGE), PAGE,
					    &world->unmaps[slot].unmap),
			 0);
}

static void world_hold(struct world *world, unsigned slot)
{
	if (world->holds[slot].epoch == 0) {
		world->holds[slot] = guest_hold_take(world->memory);
		return;
	}
	for (unsigned i = 0; i < SLOTS; i++)
		world->waits_for[i][slot] = false;
	guest_hold_drop(world->memory, &world->holds[slot]);
}

static void random_run(void **state)
{
	struct world world = {.memory = memory_new()};

	random_init(&world.random, 77);
	for (unsigned step = 0; step < 20000; step++) {
		unsigned slot = (unsigned)random_below(&world.random, SLOTS);

		if (random_chance(&world.random, 1, 4))
			world_unmap(&world, slot);
		else
			world_hold(&world, slot);
		world_check(&world);
	}
	assert_true(world.finished > 200);
	for (unsigned i = 0; i < SLOTS; i++)
		if (world.holds[i].epoch != 0)
			world_hold(&world, i);
	world_check(&world);
	guest_memory_free(world.memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unmap_waits_for_older_holds_only),
		cmocka_unit_test(unmap_all_always_ends),
		cmocka_unit_test(abandoned_pages_stay_until_the_hold_goes),
		cmocka_unit_test(more_epochs_than_the_ring_holds),
		cmocka_unit_test(random_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
