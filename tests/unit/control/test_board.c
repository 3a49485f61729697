/* SPDX-License-Identifier: Apache-2.0 */
/* What is shown of the volumes of a pool, slice by slice, while volumes come, go and are used. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_text.h>

#include "engine_rig.h"
#include "pool_watch.h"
#include "private.h"

#define DRIVE_BYTES (64 * MiB)
#define VOLUMES (BOARD_VOLUMES_LOOK + 44)
#define STEPS 60

struct test {
	struct engine_rig rig;
	struct control *control; /* its board alone */
	struct control_pool pool;
	struct control_pool_info info;
	void (*body)(struct test *t);
};

static void create(struct test *t, unsigned number, enum pool_volume_kind kind)
{
	const struct pool_volume_params params = {.size_bytes = 1 * MiB, .kind = kind};
	char name[32];

	snprintf(name, sizeof(name), "v%u", number);
	assert_int_equal(pool_volume_create(t->rig.pool, name, &params, NULL), 0);
}

static void look(struct test *t)
{
	assert_true(control_board_put(&t->control->board, &t->pool, &t->info));
}

/* Until every volume was looked at since. */
static void round_go(struct test *t)
{
	do
		look(t);
	while (t->pool.watch.cursor != 0);
}

static uint64_t version(struct test *t)
{
	CLEANUP_FREE struct control_pool_health *health = xcalloc(1, sizeof(*health));

	assert_true(control_health_pool(t->control, 0, health));
	return health->volumes_version;
}

static unsigned shown(struct test *t, struct control_volume_health **ret_all)
{
	return control_health_volumes(t->control, "tank", ret_all);
}

/* After a round all of it is as the pool says. */
static void compare(struct test *t)
{
	CLEANUP_FREE struct control_volume_health *all = NULL;
	const unsigned count = shown(t, &all);
	struct pool_volume_info info;
	unsigned cursor = 0;
	unsigned i = 0;

	while (pool_volume_next(t->rig.pool, &cursor, &info) == 0) {
		if (info.params.kind == POOL_VOLUME_HIDDEN)
			continue;
		assert_int_not_equal(i, count);
		assert_string_equal(all[i].name, info.name);
		assert_memory_equal(all[i].guid, info.guid, 16);
		assert_int_equal(all[i].number, info.number);
		assert_int_equal(all[i].size_bytes, info.params.size_bytes);
		assert_int_equal(all[i].referenced_bytes, info.referenced_bytes);
		assert_int_equal(all[i].in_use, info.open_count > 0);
		assert_int_equal(all[i].io->requests[1], info.io.requests[1]);
		assert_int_equal(all[i].io->bytes[1], info.io.bytes[1]);
		i++;
	}
	assert_int_equal(i, count);
}

static void use(struct test *t, unsigned number)
{
	uint8_t *data = aligned_alloc(RIG_BLOCK, RIG_BLOCK);
	struct rig_volume volume;
	char name[32];

	memset(data, 1, RIG_BLOCK);
	snprintf(name, sizeof(name), "v%u", number);
	assert_int_equal(rig_volume_open(&t->rig, name, &volume), 0);
	assert_int_equal(rig_io(&volume, BLOCK_WRITE, 0, data, RIG_BLOCK), 0);
	rig_volume_close(&volume);
	free(data);
}

/* --- Tests ------------------------------------------------------------------------------------ */

static void slices(struct test *t)
{
	CLEANUP_FREE struct control_volume_health *all = NULL;

	for (unsigned i = 0; i < VOLUMES; i++)
		create(t, i, POOL_VOLUME_PLAIN);
	look(t);
	assert_int_equal(shown(t, &all), BOARD_VOLUMES_LOOK);
	look(t);
	compare(t);
	/* Those of the next slice stay while this one is looked at. */
	assert_int_equal(pool_volume_destroy(t->rig.pool, "v0", false, NULL), 0);
	look(t);
	free(all);
	assert_int_equal(shown(t, &all), VOLUMES - 1);
	assert_string_equal(all[0].name, "v1");
	round_go(t);
	compare(t);
}

static void what_changes_has_a_version(struct test *t)
{
	uint64_t before;

	create(t, 0, POOL_VOLUME_PLAIN);
	create(t, 1, POOL_VOLUME_PLAIN);
	round_go(t);
	before = version(t);
	round_go(t);
	assert_int_equal(version(t), before);
	use(t, 1);
	round_go(t);
	assert_int_not_equal(version(t), before);
	before = version(t);
	assert_int_equal(pool_volume_rename(t->rig.pool, "v1", "w", NULL), 0);
	round_go(t);
	assert_int_not_equal(version(t), before);
	before = version(t);
	assert_int_equal(pool_volume_destroy(t->rig.pool, "v0", false, NULL), 0);
	round_go(t);
	assert_int_not_equal(version(t), before);
	compare(t);
}

static void ours_are_not_shown(struct test *t)
{
	CLEANUP_FREE struct control_volume_health *all = NULL;

	create(t, 0, POOL_VOLUME_HIDDEN);
	create(t, 1, POOL_VOLUME_PLAIN);
	round_go(t);
	assert_int_equal(shown(t, &all), 1);
	assert_string_equal(all[0].name, "v1");
}

/* Counters of one that went are not those of the next one with its number. */
static void any_order(struct test *t)
{
	bool there[16] = {false};
	struct random random;

	random_init(&random, 7);
	for (unsigned step = 0; step < STEPS; step++) {
		const unsigned i = (unsigned)random_below(&random, ARRAY_SIZE(there));
		char name[32];

		snprintf(name, sizeof(name), "v%u", i);
		if (!there[i])
			create(t, i, POOL_VOLUME_PLAIN);
		else if (random_chance(&random, 1, 2))
			assert_int_equal(pool_volume_destroy(t->rig.pool, name, false, NULL), 0);
		else
			use(t, i);
		there[i] = pool_volume_find(t->rig.pool, name, &(struct pool_volume_info){0}) == 0;
		if (random_chance(&random, 1, 3))
			continue;
		round_go(t);
		compare(t);
	}
}

/* Who reads keeps no loop waiting. */
static void a_reader_in_the_way(struct test *t)
{
	CLEANUP_FREE struct control_volume_health *all = NULL;

	create(t, 0, POOL_VOLUME_PLAIN);
	pthread_mutex_lock(&t->control->board.lock);
	assert_false(control_board_put(&t->control->board, &t->pool, &t->info));
	pthread_mutex_unlock(&t->control->board.lock);
	assert_int_equal(shown(t, &all), 0);
	round_go(t);
	compare(t);
}

/* --- Around them ------------------------------------------------------------------------------ */

static void in_fiber(void *arg)
{
	struct test *t = arg;

	rig_format(&t->rig);
	assert_int_equal(rig_open(&t->rig), 0);
	t->pool.pool = t->rig.pool;
	t->pool.loop = t->rig.loop;
	snprintf(t->pool.name, sizeof(t->pool.name), "tank");
	snprintf(t->info.name, sizeof(t->info.name), "tank");
	t->info.health = "online";
	t->body(t);
	assert_int_equal(rig_close(&t->rig), 0);
}

static void run(void (*body)(struct test *t))
{
	struct test *t = xcalloc(1, sizeof(*t));

	t->body = body;
	t->control = xcalloc(1, sizeof(*t->control));
	control_board_init(&t->control->board);
	rig_init(&t->rig, 1, 1, DRIVE_BYTES);
	rig_run(&t->rig, in_fiber, t);
	rig_fini(&t->rig);
	control_board_fini(&t->control->board);
	free(t->control);
	free(t);
}

#define TEST(name)                            \
	static void test_##name(void **state) \
	{                                     \
		run(name);                    \
	}

TEST(slices)
TEST(what_changes_has_a_version)
TEST(ours_are_not_shown)
TEST(any_order)
TEST(a_reader_in_the_way)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slices),
		cmocka_unit_test(test_what_changes_has_a_version),
		cmocka_unit_test(test_ours_are_not_shown),
		cmocka_unit_test(test_any_order),
		cmocka_unit_test(test_a_reader_in_the_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
