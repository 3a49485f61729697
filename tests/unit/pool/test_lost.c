/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Something is destroyed whose metadata is damaged in all copies: it goes all the same, the space
 * that nobody can know stays used and is told, and what is beside it is not disturbed. For every
 * page of the tree in question, one at a time.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <quoin/base_assert.h>

#include "engine/io.h"
#include "engine_rig.h"

#define DRIVE_BYTES (64 * MiB)
#define BLOCKS 600 /* of each volume: a few leaves of a map, a few pages of a deadlist */
#define BYTES (BLOCKS * RIG_BLOCK)
#define PAGES_MAX 64
#define TURNS 20 /* checkpoints until what is destroyed is gone */

struct lost {
	struct engine_rig rig;
	uint8_t *data;
	uint64_t pages[PAGES_MAX]; /* of the tree that is damaged */
	unsigned page_count;
	unsigned page; /* the one of this round */
	const struct node_ptr *(*tree)(const struct lost *lost, enum node_kind *ret_kind);
	void (*destroy)(struct lost *lost);
	bool (*gone)(const struct lost *lost);
	bool snapshots;
	unsigned told;	    /* rounds in which somebody had to do without the page */
	uint64_t data_left; /* slots that are somebody's after that */
};

/* --- The pool ----------------------------------------------------------------------------------
 */

static void stamp(uint8_t *data, uint64_t block, uint8_t round)
{
	memset(data, (int)(1 + block % 200), RIG_BLOCK);
	data[0] = round;
}

static void volume_write(struct lost *lost, const char *name, unsigned step, uint8_t round)
{
	struct rig_volume volume;

	assert_int_equal(rig_volume_open(&lost->rig, name, &volume), 0);
	for (uint64_t b = 0; b < BLOCKS; b += step) {
		stamp(lost->data, b, round);
		assert_int_equal(rig_io(&volume, BLOCK_WRITE, b * RIG_BLOCK, lost->data, RIG_BLOCK),
				 0);
	}
	rig_volume_close(&volume);
}

/* Every `step`th block is of `round`, the others of the one before. */
static void volume_check(struct lost *lost, const char *name, unsigned step, uint8_t round)
{
	struct rig_volume volume;
	uint8_t want[RIG_BLOCK];

	assert_int_equal(rig_volume_open(&lost->rig, name, &volume), 0);
	for (uint64_t b = 0; b < BLOCKS; b++) {
		stamp(want, b, b % step == 0 ? round : (uint8_t)(round - 1));
		assert_int_equal(rig_io(&volume, BLOCK_READ, b * RIG_BLOCK, lost->data, RIG_BLOCK),
				 0);
		assert_memory_equal(lost->data, want, RIG_BLOCK);
	}
	rig_volume_close(&volume);
}

static void cut(struct lost *lost, const char *name)
{
	assert_int_equal(pool_snapshot_create(lost->rig.pool, &name, 1, NULL), 0);
	assert_int_equal(pool_sync(lost->rig.pool), 0);
}

/* vol: @one has round 1, @two of every 2nd block round 2, the head of every 3rd round 3. */
static void make(void *arg)
{
	struct lost *lost = arg;
	const struct pool_volume_params params = {.size_bytes = BYTES};

	rig_format(&lost->rig);
	assert_int_equal(rig_open(&lost->rig), 0);
	assert_int_equal(pool_volume_create(lost->rig.pool, "other", &params, NULL), 0);
	assert_int_equal(pool_volume_create(lost->rig.pool, "vol", &params, NULL), 0);
	volume_write(lost, "other", 1, 1);
	volume_write(lost, "vol", 1, 1);
	if (lost->snapshots || lost->data_left > BLOCKS) {
		cut(lost, "vol@one");
		volume_write(lost, "vol", 1, 2);
		cut(lost, "vol@two");
		volume_write(lost, "vol", 2, 3);
	}
	assert_int_equal(pool_sync(lost->rig.pool), 0);
	assert_int_equal(rig_close(&lost->rig), 0);
}

/* --- A page that rots --------------------------------------------------------------------------
 */

struct finder {
	struct map_walk walk;
	struct lost *lost;
};

static int page_found(struct map_walk *walk, const struct page_ref *ref)
{
	struct lost *lost = container_of(walk, struct finder, walk)->lost;

	ASSERT_U64(lost->page_count, <, PAGES_MAX);
	lost->pages[lost->page_count++] = ref->ptr.vaddr;
	return 0;
}

static void page_rot(struct lost *lost, uint64_t vaddr)
{
	const struct pool *pool = lost->rig.pool;
	const struct segment *s = space_segment(pool->space, vaddr_segment(vaddr));

	assert_non_null(s);
	for (unsigned i = 0; i < s->column_count; i++)
		disk_sim_rot(lost->rig.drives[s->columns[i].drive],
			     LABEL_BYTES +
				     ((uint64_t)s->columns[i].chunk << pool->raid.chunk_shift) +
				     ((uint64_t)vaddr_slot(vaddr) << PAGE_SHIFT) + 100,
			     1, 1);
}

static void find_and_rot(void *arg)
{
	struct lost *lost = arg;
	struct finder finder = {.walk = {.page_done = page_found}, .lost = lost};
	const struct node_ptr *root;

	lost->rig.read_only = true;
	assert_int_equal(rig_open(&lost->rig), 0);
	lost->rig.read_only = false;
	root = lost->tree(lost, &finder.walk.kind);
	finder.walk.pages = lost->rig.pool->pages;
	lost->page_count = 0;
	assert_int_equal(map_walk(&finder.walk, root), 0);
	page_rot(lost, lost->pages[lost->page]);
	assert_int_equal(rig_close(&lost->rig), 0);
}

/* --- What comes of it --------------------------------------------------------------------------
 */

static bool told_in_history(const struct lost *lost)
{
	struct pool_history_line line;
	uint64_t cursor = 0;

	while (pool_history_read(lost->rig.pool, &cursor, &line) == 0) {
		if (strstr(line.text, "damaged"))
			return true;
	}
	return false;
}

static void destroy_it(void *arg)
{
	struct lost *lost = arg;
	struct pool_status status;

	assert_int_equal(rig_open(&lost->rig), 0);
	lost->destroy(lost);
	for (unsigned i = 0; i < TURNS && !lost->gone(lost); i++)
		assert_int_equal(pool_sync(lost->rig.pool), 0);
	assert_true(lost->gone(lost));
	pool_status(lost->rig.pool, &status);
	assert_int_not_equal(status.health, POOL_SUSPENDED);
	assert_int_equal(strstr(status.problem, "quoin inspect") != NULL, told_in_history(lost));
	lost->told += told_in_history(lost);
	assert_true(status.data_bytes >= lost->data_left * RIG_BLOCK);
	volume_write(lost, "other", 1, 5);
	assert_int_equal(pool_sync(lost->rig.pool), 0);
	volume_check(lost, "other", 1, 5);
	assert_int_equal(rig_close(&lost->rig), 0);
}

static void look_again(void *arg)
{
	struct lost *lost = arg;

	assert_int_equal(rig_open(&lost->rig), 0);
	volume_check(lost, "other", 1, 5);
	if (lost->data_left > BLOCKS) {
		volume_check(lost, "vol@one", 1, 1);
		volume_check(lost, "vol", 2, 3);
	}
	assert_int_equal(rig_close(&lost->rig), 0);
}

static void every_page(struct lost *lost, unsigned drives)
{
	unsigned count = 1;

	lost->data = aligned_alloc(RIG_BLOCK, RIG_BLOCK);
	for (lost->page = 0; lost->page < count; lost->page++) {
		rig_init(&lost->rig, 1 + lost->page, drives, DRIVE_BYTES);
		lost->rig.mirror = drives > 1;
		rig_run(&lost->rig, make, lost);
		rig_run(&lost->rig, find_and_rot, lost);
		count = lost->page_count;
		rig_run(&lost->rig, destroy_it, lost);
		rig_run(&lost->rig, look_again, lost);
		rig_fini(&lost->rig);
	}
	assert_true(count > 2);
	assert_true(lost->told > 0 && lost->told <= count);
	free(lost->data);
}

/* --- The cases ---------------------------------------------------------------------------------
 */

static const struct node_ptr *map_of_vol(const struct lost *lost, enum node_kind *ret_kind)
{
	*ret_kind = NODE_MAP;
	return &volume_find(lost->rig.pool, "vol")->rec.root;
}

static void vol_destroy(struct lost *lost)
{
	assert_int_equal(pool_volume_destroy(lost->rig.pool, "vol", true, NULL), 0);
}

/* Nothing of it is left, not even what is being destroyed. */
static bool vol_gone(const struct lost *lost)
{
	unsigned count = 0;

	for (uint32_t i = 0; i < lost->rig.pool->volume_limit; i++)
		count += lost->rig.pool->volumes[i] != NULL;
	return count == 1;
}

static void map_of_a_volume(void **state)
{
	for (unsigned drives = 1; drives <= 2; drives++) {
		struct lost lost = {.tree = map_of_vol,
				    .destroy = vol_destroy,
				    .gone = vol_gone,
				    .data_left = BLOCKS};

		every_page(&lost, drives);
		assert_int_equal(lost.told, lost.page_count);
	}
}

static const struct node_ptr *dead_of_vol(const struct lost *lost, enum node_kind *ret_kind)
{
	*ret_kind = NODE_DEADLIST;
	return &volume_find(lost->rig.pool, "vol")->rec.dead.root;
}

static const struct node_ptr *dead_of_two(const struct lost *lost, enum node_kind *ret_kind)
{
	struct snapshot *two = NULL;

	*ret_kind = NODE_DEADLIST;
	assert_int_equal(snapshot_parse(lost->rig.pool, "vol@two", &two, NULL), 0);
	return &two->rec.dead.root;
}

static void two_destroy(struct lost *lost)
{
	assert_int_equal(pool_snapshot_destroy(lost->rig.pool, "vol@two", NULL), 0);
}

static bool two_gone(const struct lost *lost)
{
	unsigned count = 0;

	for (uint32_t i = 0; i < lost->rig.pool->snapshot_limit; i++)
		count += lost->rig.pool->snapshots[i] != NULL;
	return count == 1;
}

/* The list that says what only the snapshot has; and the snapshot's own, which is joined with it.
 */
static void deadlists_of_a_snapshot(void **state)
{
	struct lost head = {.tree = dead_of_vol,
			    .destroy = two_destroy,
			    .gone = two_gone,
			    .data_left = UINT64_C(3) * BLOCKS};
	struct lost own = head;

	every_page(&head, 1);
	own.tree = dead_of_two;
	every_page(&own, 2);
}

/* Snapshots first, then the volume, with lists that have a bad page. */
static void deadlists_of_a_volume(void **state)
{
	struct lost lost = {.tree = dead_of_vol,
			    .destroy = vol_destroy,
			    .gone = vol_gone,
			    .data_left = BLOCKS,
			    .snapshots = true};

	every_page(&lost, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(map_of_a_volume),
		cmocka_unit_test(deadlists_of_a_snapshot),
		cmocka_unit_test(deadlists_of_a_volume),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
