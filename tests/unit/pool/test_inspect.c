/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checker against the engine: whatever was done to a pool, the second reader finds nothing, and
 * counts what the engine counts; and what is damaged on purpose it finds, by name.
 * QUOIN_INSPECT_SEED runs one seed, QUOIN_INSPECT_SEEDS says how many run (default 10).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <quoin/base_assert.h>
#include <quoin/pool_inspect.h>

#include "engine_rig.h"
#include "inspect_rig.h"

#define SEEDS_DEFAULT 10
#define OPS 120
#define BLOCKS 2048

/* --- A pool that is used in every way ------------------------------------------------------ */

struct use {
	struct engine_rig rig;
	unsigned serial; /* of names */
	bool cut;
};

static void volume_write(struct use *use, const char *name)
{
	struct random *r = &use->rig.random;
	struct pool_volume_info info;
	struct rig_volume volume;
	uint8_t *data;

	if (pool_volume_find(use->rig.pool, name, &info) < 0 ||
	    rig_volume_open(&use->rig, name, &volume) < 0)
		return;
	for (unsigned i = 1 + (unsigned)random_below(r, 12); i > 0 && !use->cut; i--) {
		const uint64_t blocks = info.params.size_bytes / RIG_BLOCK;
		const uint64_t count = 1 + random_below(r, MIN(blocks, UINT64_C(64)));
		const uint64_t first = random_below(r, blocks - count + 1);
		const uint64_t cut = random_chance(r, 1, 4) ? 512 * (1 + random_below(r, 6)) : 0;
		const uint64_t dice = random_below(r, 10);

		data = aligned_alloc(RIG_BLOCK, count * RIG_BLOCK);
		random_fill(r, data, count * RIG_BLOCK);
		if (dice < 7)
			(void)!rig_io(&volume, BLOCK_WRITE, first * RIG_BLOCK + cut, data,
				      count * RIG_BLOCK - cut);
		else if (dice < 9)
			(void)!rig_io(&volume, BLOCK_DISCARD, first * RIG_BLOCK, NULL,
				      count * RIG_BLOCK);
		else
			(void)!rig_io(&volume, BLOCK_FLUSH, 0, NULL, 0);
		free(data);
	}
	rig_volume_close(&volume);
}

/* A random volume's name; false: there is none. */
static bool volume_pick(struct use *use, struct pool_volume_info *ret)
{
	unsigned cursor = 0;
	unsigned count = 0;
	struct pool_volume_info info;

	while (pool_volume_next(use->rig.pool, &cursor, &info) == 0)
		if (random_below(&use->rig.random, ++count) == 0)
			*ret = info;
	return count > 0;
}

static bool snapshot_pick(struct use *use, struct pool_snapshot_info *ret)
{
	unsigned cursor = 0;
	unsigned count = 0;
	struct pool_snapshot_info info;

	while (pool_snapshot_next(use->rig.pool, &cursor, &info) == 0)
		if (random_below(&use->rig.random, ++count) == 0)
			*ret = info;
	return count > 0;
}

static void volume_verb(struct use *use, const char *name)
{
	struct random *r = &use->rig.random;
	char text[POOL_NAME_MAX + 32];
	const char *const names = text;

	switch (random_below(r, 8)) {
	case 0:
		(void)!pool_volume_resize(use->rig.pool, name,
					  RIG_BLOCK * (1 + random_below(r, BLOCKS)), NULL);
		break;
	case 1:
		(void)!pool_volume_promote(use->rig.pool, name, NULL);
		break;
	case 2:
		if (random_chance(r, 1, 3))
			(void)!pool_volume_destroy(use->rig.pool, name, true, NULL);
		break;
	default:
		snprintf(text, sizeof(text), "%s@s%u", name, use->serial++);
		(void)!pool_snapshot_create(use->rig.pool, &names, 1, NULL);
	}
}

static void snapshot_verb(struct use *use, const char *name)
{
	char text[POOL_NAME_MAX + 32];

	switch (random_below(&use->rig.random, 4)) {
	case 0:
		snprintf(text, sizeof(text), "c%u", use->serial++);
		(void)!pool_volume_clone(use->rig.pool, name, text, NULL);
		break;
	case 1:
		(void)!pool_volume_rollback(use->rig.pool, name, true, NULL);
		break;
	default:
		(void)!pool_snapshot_destroy(use->rig.pool, name, NULL);
	}
}

static void use_work(void *arg)
{
	struct use *use = arg;
	struct random *r = &use->rig.random;
	const struct pool_volume_params params = {.size_bytes = BLOCKS * RIG_BLOCK};

	for (unsigned i = 0; i < OPS && !use->cut; i++) {
		struct pool_volume_info volume;
		struct pool_snapshot_info snapshot;
		const uint64_t dice = random_below(r, 100);
		char name[32];

		if (!volume_pick(use, &volume) || dice < 3) {
			snprintf(name, sizeof(name), "v%u", use->serial++);
			(void)!pool_volume_create(use->rig.pool, name, &params, NULL);
		} else if (dice < 55) {
			volume_write(use, volume.name);
		} else if (dice < 80) {
			volume_verb(use, volume.name);
		} else if (dice < 92 && snapshot_pick(use, &snapshot)) {
			snapshot_verb(use, snapshot.name);
		} else if (dice < 96) {
			(void)!pool_sync(use->rig.pool);
		} else {
			(void)!pool_history_add(use->rig.pool, "something was done");
		}
	}
}

static void use_begin(void *arg)
{
	struct use *use = arg;

	rig_format(&use->rig);
	assert_int_equal(rig_open(&use->rig), 0);
}

static void use_open(void *arg)
{
	struct use *use = arg;

	assert_int_equal(rig_open(&use->rig), 0);
}

static void use_close(void *arg)
{
	struct use *use = arg;

	rig_close(&use->rig);
}

static void use_init(struct use *use, uint64_t seed)
{
	*use = (struct use){.cut = false};
	rig_init(&use->rig, seed, seed % 3 == 0 ? 2 : 1, 64 * MiB);
	use->rig.mirror = seed % 6 == 0;
	use->rig.delta_records = 2048;
	rig_run(&use->rig, use_begin, use);
}

static uint64_t seeds(uint64_t *ret_count)
{
	const char *one = getenv("QUOIN_INSPECT_SEED");
	const char *many = getenv("QUOIN_INSPECT_SEEDS");

	*ret_count = one ? 1 : many ? strtoull(many, NULL, 0) : SEEDS_DEFAULT;
	return one ? strtoull(one, NULL, 0) : 1;
}

static void inspect_clean(struct use *use, const char *when)
{
	struct inspect_rig inspect = {.data = true};

	inspect_rig_run(&use->rig, &inspect);
	if (inspect.result_code != 0 || !pool_inspect_clean(&inspect.result))
		fail_msg("seed %llu, %s: %d: %s", (unsigned long long)use->rig.seed, when,
			 inspect.result_code,
			 inspect.result_code < 0 ? inspect.err.text : inspect.first);
}

static void finds_nothing_in_a_pool_that_was_used(void **state)
{
	struct use *use = malloc(sizeof(*use));
	uint64_t count;
	const uint64_t first = seeds(&count);

	for (uint64_t seed = first; seed < first + count; seed++) {
		use_init(use, seed);
		rig_run(&use->rig, use_work, use);
		rig_run(&use->rig, use_close, use);
		inspect_clean(use, "closed");
		rig_run(&use->rig, use_open, use);
		rig_run(&use->rig, use_work, use);
		rig_run(&use->rig, use_close, use);
		inspect_clean(use, "closed again");
		rig_fini(&use->rig);
	}
	free(use);
}

struct cutter {
	struct loop_timer timer;
	struct use *use;
};

static void cut_now(struct loop_timer *timer)
{
	struct cutter *cutter = container_of(timer, struct cutter, timer);

	cutter->use->cut = true;
	rig_power_cut(&cutter->use->rig);
}

/* Right after the cut, with a log to replay; and after the pool came back. */
static void finds_nothing_after_a_power_cut(void **state)
{
	struct use *use = malloc(sizeof(*use));
	uint64_t count;
	const uint64_t first = seeds(&count);

	for (uint64_t seed = first; seed < first + count; seed++) {
		struct cutter cutter = {.use = use};

		use_init(use, seed);
		loop_timer_init(&cutter.timer, cut_now);
		loop_timer_arm(use->rig.loop, &cutter.timer,
			       loop_now_ns(use->rig.loop) +
				       random_below(&use->rig.random, 300 * NS_PER_MS));
		rig_run(&use->rig, use_work, use);
		loop_timer_disarm(use->rig.loop, &cutter.timer);
		if (!use->cut)
			cut_now(&cutter.timer);
		rig_run(&use->rig, use_close, use);
		rig_power_on(&use->rig);
		if (use->rig.drive_count == 1)
			inspect_clean(use, "cut");
		use->cut = false;
		rig_run(&use->rig, use_open, use);
		rig_run(&use->rig, use_work, use);
		rig_run(&use->rig, use_close, use);
		if (use->rig.drive_count == 1)
			inspect_clean(use, "after the cut");
		rig_fini(&use->rig);
	}
	free(use);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_nothing_in_a_pool_that_was_used),
		cmocka_unit_test(finds_nothing_after_a_power_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
