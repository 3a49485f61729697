/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine as a whole, against a plain array: reads return what was written; after a power cut
 * every block is what was flushed last or something written since; snapshots do not change.
 * QUOIN_ENGINE_SEED runs one seed, QUOIN_ENGINE_SEEDS says how many run (default 40).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <quoin/base_assert.h>

#include "engine_rig.h"

#define BLOCKS 1024 /* of the volume: 4 MiB */
#define SIZE (BLOCKS * RIG_BLOCK)
#define OPS 600
#define SEEDS_DEFAULT 40

/* What a block may hold: 0 = zeroes, else a stamp that fills it. `flushed` and all written since.
 */
struct model {
	uint32_t now[BLOCKS];
	uint32_t flushed[BLOCKS];
	uint32_t snapshot[BLOCKS];
	bool has_snapshot;
	uint32_t stamp;
	uint32_t history[OPS * 64]; /* block of each stamp */
};

struct life {
	struct engine_rig rig;
	struct model model;
	struct rig_volume volume;
	bool cut;
	unsigned ops;
};

static void fill(uint8_t *data, uint32_t stamp)
{
	for (size_t i = 0; i < RIG_BLOCK; i += sizeof(stamp))
		memcpy(data + i, &stamp, sizeof(stamp));
}

/* The stamp a block is filled with; fails on a mixture. */
static uint32_t stamp_of(const struct life *life, uint64_t block, const uint8_t *data)
{
	uint32_t stamp;

	memcpy(&stamp, data, sizeof(stamp));
	for (size_t i = 0; i < RIG_BLOCK; i += sizeof(stamp)) {
		if (memcmp(data, data + i, sizeof(stamp)) != 0)
			fail_msg("seed %llu: block %llu is torn",
				 (unsigned long long)life->rig.seed, (unsigned long long)block);
	}
	return stamp;
}

static void read_all(struct life *life, const char *name, uint32_t *ret)
{
	struct rig_volume volume;
	uint8_t *data = aligned_alloc(RIG_BLOCK, 64 * RIG_BLOCK);

	assert_int_equal(rig_volume_open(&life->rig, name, &volume), 0);
	for (uint64_t b = 0; b < BLOCKS; b += 64) {
		memset(data, 0xee, 64 * RIG_BLOCK);
		assert_int_equal(rig_io(&volume, BLOCK_READ, b * RIG_BLOCK, data, 64 * RIG_BLOCK),
				 0);
		for (unsigned i = 0; i < 64; i++)
			ret[b + i] = stamp_of(life, b + i, data + (size_t)i * RIG_BLOCK);
	}
	rig_volume_close(&volume);
	free(data);
}

static void check_same(struct life *life, const char *what, const uint32_t *want,
		       const uint32_t *got)
{
	for (unsigned b = 0; b < BLOCKS; b++) {
		if (want[b] != got[b])
			fail_msg("seed %llu: %s block %u is %u, not %u",
				 (unsigned long long)life->rig.seed, what, b, got[b], want[b]);
	}
}

static void one_write(struct life *life)
{
	struct random *r = &life->rig.random;
	const uint64_t count = 1 + random_below(r, 48);
	const uint64_t first = random_below(r, BLOCKS - count + 1);
	const enum block_op op = random_chance(r, 1, 6) ? BLOCK_DISCARD : BLOCK_WRITE;
	uint8_t *data = aligned_alloc(RIG_BLOCK, count * RIG_BLOCK);
	int result;

	for (uint64_t i = 0; i < count; i++) {
		life->model.history[life->model.stamp + 1] = (uint32_t)(first + i);
		fill(data + i * RIG_BLOCK, ++life->model.stamp);
	}
	result = rig_io(&life->volume, op, first * RIG_BLOCK, op == BLOCK_WRITE ? data : NULL,
			count * RIG_BLOCK);
	if (result < 0 && !life->cut)
		fail_msg("seed %llu: a write failed: %d", (unsigned long long)life->rig.seed,
			 result);
	for (uint64_t i = 0; result == 0 && i < count; i++)
		life->model.now[first + i] =
			op == BLOCK_WRITE ? life->model.stamp - (uint32_t)(count - 1 - i) : 0;
	free(data);
}

static void one_flush(struct life *life)
{
	uint32_t before[BLOCKS];

	memcpy(before, life->model.now, sizeof(before));
	if (rig_io(&life->volume, BLOCK_FLUSH, 0, NULL, 0) == 0)
		memcpy(life->model.flushed, before, sizeof(before));
}

static void one_snapshot(struct life *life)
{
	const char *const name = "vol@snap";
	struct err err = {.code = 0};

	if (life->model.has_snapshot)
		return;
	if (pool_snapshot_create(life->rig.pool, &name, 1, &err) < 0) {
		if (!life->cut)
			fail_msg("snapshot: %s", err.text);
		return;
	}
	life->model.has_snapshot = true;
	memcpy(life->model.snapshot, life->model.now, sizeof(life->model.now));
	memcpy(life->model.flushed, life->model.now, sizeof(life->model.now));
}

static void work(void *arg)
{
	struct life *life = arg;
	struct random *r = &life->rig.random;

	for (unsigned i = 0; i < life->ops && !life->cut; i++) {
		const uint64_t dice = random_below(r, 100);

		if (dice < 80)
			one_write(life);
		else if (dice < 94)
			one_flush(life);
		else if (dice < 96)
			one_snapshot(life);
		else if (pool_sync(life->rig.pool) == 0)
			memcpy(life->model.flushed, life->model.now, sizeof(life->model.now));
	}
}

static void begin(void *arg)
{
	struct life *life = arg;
	const struct pool_volume_params params = {.size_bytes = SIZE};
	struct err err = {.code = 0};

	rig_format(&life->rig);
	assert_int_equal(rig_open(&life->rig), 0);
	if (pool_volume_create(life->rig.pool, "vol", &params, &err) < 0)
		fail_msg("create: %s", err.text);
	assert_int_equal(rig_volume_open(&life->rig, "vol", &life->volume), 0);
}

static void check(void *arg)
{
	struct life *life = arg;
	uint32_t got[BLOCKS];

	read_all(life, "vol", got);
	check_same(life, "volume", life->model.now, got);
	if (!life->model.has_snapshot)
		return;
	read_all(life, "vol@snap", got);
	check_same(life, "snapshot", life->model.snapshot, got);
}

static void end(void *arg)
{
	struct life *life = arg;

	if (life->volume.device)
		rig_volume_close(&life->volume);
	life->volume.device = NULL;
	rig_close(&life->rig);
}

static void again(void *arg)
{
	struct life *life = arg;

	assert_int_equal(rig_open(&life->rig), 0);
}

static void life_init(struct life *life, uint64_t seed, uint64_t delta_records)
{
	memset(life, 0, sizeof(*life));
	rig_init(&life->rig, seed, 1, 64 * MiB);
	life->rig.delta_records = delta_records;
	life->rig.autotrim = seed % 2 == 0;
	rig_run(&life->rig, begin, life);
}

static uint64_t seeds(uint64_t *ret_count)
{
	const char *one = getenv("QUOIN_ENGINE_SEED");
	const char *many = getenv("QUOIN_ENGINE_SEEDS");

	*ret_count = one ? 1 : many ? strtoull(many, NULL, 0) : SEEDS_DEFAULT;
	return one ? strtoull(one, NULL, 0) : 1;
}

static void writes_reads_and_comes_back(void **state)
{
	struct life *life = malloc(sizeof(*life));
	uint64_t count;
	const uint64_t first = seeds(&count);

	for (uint64_t seed = first; seed < first + count; seed++) {
		life_init(life, seed, BLOCKS);
		life->ops = OPS / 4;
		rig_run(&life->rig, work, life);
		rig_run(&life->rig, check, life);
		rig_run(&life->rig, end, life);
		rig_run(&life->rig, again, life);
		rig_run(&life->rig, check, life);
		rig_run(&life->rig, end, life);
		rig_fini(&life->rig);
	}
	free(life);
}

struct cutter {
	struct loop_timer timer;
	struct life *life;
};

static void cut_now(struct loop_timer *timer)
{
	struct cutter *cutter = container_of(timer, struct cutter, timer);

	cutter->life->cut = true;
	rig_power_cut(&cutter->life->rig);
}

/* Each block is what was flushed, or was written after that. */
static void check_cut(void *arg)
{
	struct life *life = arg;
	const struct model *m = &life->model;
	uint32_t got[BLOCKS];

	read_all(life, "vol", got);
	for (uint32_t b = 0; b < BLOCKS; b++) {
		const bool later =
			got[b] > m->flushed[b] && got[b] <= m->stamp && m->history[got[b]] == b;

		if (got[b] != m->flushed[b] && got[b] != 0 && !later)
			fail_msg("seed %llu: after the cut block %u is %u; flushed %u",
				 (unsigned long long)life->rig.seed, b, got[b], m->flushed[b]);
		if (got[b] == 0 && m->flushed[b] != 0 && m->now[b] == m->flushed[b])
			fail_msg("seed %llu: block %u is lost", (unsigned long long)life->rig.seed,
				 b);
	}
	if (!m->has_snapshot)
		return;
	read_all(life, "vol@snap", got);
	check_same(life, "snapshot", m->snapshot, got);
}

static void keeps_its_promise_when_power_is_cut(void **state)
{
	struct life *life = malloc(sizeof(*life));
	uint64_t count;
	const uint64_t first = seeds(&count);

	for (uint64_t seed = first; seed < first + count; seed++) {
		struct cutter cutter = {.life = life};

		life_init(life, seed, BLOCKS);
		life->ops = OPS;
		loop_timer_init(&cutter.timer, cut_now);
		loop_timer_arm(life->rig.loop, &cutter.timer,
			       loop_now_ns(life->rig.loop) +
				       random_below(&life->rig.random, 60 * NS_PER_MS));
		rig_run(&life->rig, work, life);
		loop_timer_disarm(life->rig.loop, &cutter.timer);
		if (!life->cut)
			cut_now(&cutter.timer);
		rig_run(&life->rig, end, life);
		rig_power_on(&life->rig);
		rig_run(&life->rig, again, life);
		rig_run(&life->rig, check_cut, life);
		rig_run(&life->rig, end, life);
		rig_fini(&life->rig);
	}
	free(life);
}

/* --- Parts of blocks, on a mirror, byte by byte ------------------------------------------------
 */

#define PART_BYTES (256 * 1024)

struct parts {
	struct engine_rig rig;
	struct rig_volume volume;
	uint8_t model[PART_BYTES];
};

static void parts_begin(void *arg)
{
	struct parts *p = arg;
	const struct pool_volume_params params = {.size_bytes = PART_BYTES};

	rig_format(&p->rig);
	assert_int_equal(rig_open(&p->rig), 0);
	assert_int_equal(pool_volume_create(p->rig.pool, "vol", &params, NULL), 0);
}

static void parts_check(void *arg)
{
	struct parts *p = arg;
	uint8_t *data = aligned_alloc(RIG_BLOCK, PART_BYTES);

	assert_int_equal(rig_volume_open(&p->rig, "vol", &p->volume), 0);
	assert_int_equal(rig_io(&p->volume, BLOCK_READ, 0, data, PART_BYTES), 0);
	if (memcmp(data, p->model, PART_BYTES) != 0)
		fail_msg("seed %llu: parts differ", (unsigned long long)p->rig.seed);
	free(data);
	rig_volume_close(&p->volume);
}

static void parts_work(void *arg)
{
	struct parts *p = arg;
	struct random *r = &p->rig.random;
	uint8_t *data = aligned_alloc(RIG_BLOCK, PART_BYTES);

	assert_int_equal(rig_volume_open(&p->rig, "vol", &p->volume), 0);
	for (unsigned i = 0; i < 200; i++) {
		const uint64_t length = 512 * (1 + random_below(r, 24));
		const uint64_t offset = 512 * random_below(r, (PART_BYTES - length) / 512 + 1);
		const bool zeroes = random_chance(r, 1, 5);

		random_fill(r, data, length);
		if (zeroes)
			memset(data, 0, length);
		assert_int_equal(rig_io(&p->volume, zeroes ? BLOCK_WRITE_ZEROES : BLOCK_WRITE,
					offset, zeroes ? NULL : data, length),
				 0);
		memcpy(p->model + offset, data, length);
		if (random_chance(r, 1, 20))
			assert_int_equal(rig_io(&p->volume, BLOCK_FLUSH, 0, NULL, 0), 0);
		if (random_chance(r, 1, 40))
			assert_int_equal(pool_sync(p->rig.pool), 0);
	}
	assert_int_equal(rig_io(&p->volume, BLOCK_FLUSH, 0, NULL, 0), 0);
	free(data);
	rig_volume_close(&p->volume);
}

static void parts_close(void *arg)
{
	struct parts *p = arg;

	assert_int_equal(rig_close(&p->rig), 0);
}

static void parts_open(void *arg)
{
	struct parts *p = arg;

	assert_int_equal(rig_open(&p->rig), 0);
}

static void parts_of_blocks_on_a_mirror(void **state)
{
	struct parts *p = malloc(sizeof(*p));
	uint64_t count;
	const uint64_t first = seeds(&count);

	for (uint64_t seed = first; seed < first + count; seed++) {
		memset(p, 0, sizeof(*p));
		rig_init(&p->rig, seed, 2, 64 * MiB);
		p->rig.mirror = true;
		p->rig.delta_records = 1024;
		rig_run(&p->rig, parts_begin, p);
		rig_run(&p->rig, parts_work, p);
		rig_run(&p->rig, parts_check, p);
		rig_run(&p->rig, parts_close, p);
		rig_run(&p->rig, parts_open, p);
		rig_run(&p->rig, parts_check, p);
		rig_run(&p->rig, parts_close, p);
		rig_fini(&p->rig);
	}
	free(p);
}

/* --- Going back, and other hosts ----------------------------------------------------------------
 */

#define ROUNDS 3

/* The whole volume, filled with one stamp. */
static void stamp_all(struct life *life, uint32_t stamp)
{
	uint8_t *data = aligned_alloc(RIG_BLOCK, 64 * RIG_BLOCK);
	struct rig_volume volume;

	for (unsigned i = 0; i < 64; i++)
		fill(data + (size_t)i * RIG_BLOCK, stamp);
	assert_int_equal(rig_volume_open(&life->rig, "vol", &volume), 0);
	for (uint64_t b = 0; b < BLOCKS; b += 64)
		assert_int_equal(rig_io(&volume, BLOCK_WRITE, b * RIG_BLOCK, data, 64 * RIG_BLOCK),
				 0);
	assert_int_equal(rig_io(&volume, BLOCK_FLUSH, 0, NULL, 0), 0);
	rig_volume_close(&volume);
	free(data);
}

static void assert_stamp(struct life *life, uint32_t stamp)
{
	uint32_t got[BLOCKS];

	read_all(life, "vol", got);
	for (unsigned b = 0; b < BLOCKS; b++)
		assert_int_equal(got[b], stamp);
}

static void go_back(void *arg)
{
	struct life *life = arg;
	struct pool_status status;
	uint64_t back_to;

	rig_volume_close(&life->volume);
	stamp_all(life, 1);
	assert_int_equal(pool_sync(life->rig.pool), 0);
	pool_status(life->rig.pool, &status);
	back_to = status.checkpoint;
	/* In a checkpoint, and the next one is given up too. And more of the log than comes after:
	 * it must not be taken for a lost part of that. Not so much that slots run low. */
	stamp_all(life, 2);
	stamp_all(life, 2);
	assert_int_equal(pool_sync(life->rig.pool), 0);
	assert_int_equal(rig_close(&life->rig), 0);
	life->rig.rewind_to = back_to;
	assert_int_equal(rig_open(&life->rig), 0);
	assert_stamp(life, 1);
	stamp_all(life, 3); /* in the log alone */
}

/* What was given up stays so, and what came after going back is there. */
static void stays_back(void *arg)
{
	struct life *life = arg;

	life->rig.rewind_to = 0;
	for (unsigned i = 0; i < ROUNDS; i++) {
		assert_int_equal(rig_open(&life->rig), 0);
		assert_stamp(life, 3);
		assert_int_equal(rig_close(&life->rig), 0);
	}
}

static void close_cut(void *arg)
{
	struct life *life = arg;

	rig_close(&life->rig);
}

static void goes_back_for_good(void **state)
{
	struct life *life = malloc(sizeof(*life));

	for (uint64_t seed = 1; seed <= 10; seed++) {
		/* So many that only what asks for a checkpoint makes one. */
		life_init(life, seed, 16 * BLOCKS);
		rig_run(&life->rig, go_back, life);
		rig_power_cut(&life->rig);
		rig_run(&life->rig, close_cut, life);
		rig_power_on(&life->rig);
		rig_run(&life->rig, stays_back, life);
		rig_fini(&life->rig);
	}
	free(life);
}

static void another_host(void *arg)
{
	struct life *life = arg;
	struct engine_rig other = life->rig;

	other.host = 2;
	assert_int_equal(rig_open(&other), -EBUSY);
	/* Not even by force while the first one lives. */
	other.force = true;
	assert_int_equal(rig_open(&other), -EBUSY);
	rig_volume_close(&life->volume);
	assert_int_equal(rig_close(&life->rig), 0);
	other.force = false;
	assert_int_equal(rig_open(&other), -EBUSY);
	other.force = true;
	assert_int_equal(rig_open(&other), 0);
	assert_int_equal(rig_close(&other), 0);
	assert_int_equal(rig_open(&life->rig), -EBUSY);
}

static void one_host_at_a_time(void **state)
{
	struct life *life = malloc(sizeof(*life));

	life_init(life, 1, BLOCKS);
	rig_run(&life->rig, another_host, life);
	rig_fini(&life->rig);
	free(life);
}

/* --- Where the log ends -------------------------------------------------------------------------
 */

#define END_SEEDS 60
#define END_RECORDS 4000 /* of the log alone: a few dozen blocks */

static void end_work(void *arg)
{
	struct life *life = arg;

	stamp_all(life, 1);
	/* The log says that all is durable, in a block that need not be. */
	assert_int_equal(fiber_sleep_ns(20 * NS_PER_MS), 0);
	for (unsigned i = 0; i < END_RECORDS; i++)
		assert_int_equal(rig_io(&life->volume, BLOCK_DISCARD,
					(uint64_t)(i % BLOCKS) * RIG_BLOCK, NULL, RIG_BLOCK),
				 0);
	assert_int_equal(fiber_sleep_ns(NS_PER_MS), 0);
	rig_power_cut(&life->rig);
	rig_volume_close(&life->volume);
	rig_close(&life->rig);
}

static void end_check(void *arg)
{
	struct life *life = arg;
	uint32_t got[BLOCKS];

	assert_int_equal(rig_open(&life->rig), 0);
	read_all(life, "vol", got);
	for (unsigned b = 0; b < BLOCKS; b++)
		assert_in_range(got[b], 0, 1);
	assert_int_equal(rig_close(&life->rig), 0);
}

/* Blocks of the log that a cut loses, while later ones are there, are no damage. */
static void lost_blocks_are_no_damage(void **state)
{
	struct life *life = malloc(sizeof(*life));

	for (uint64_t seed = 1; seed <= END_SEEDS; seed++) {
		life_init(life, seed, 16 * BLOCKS);
		rig_run(&life->rig, end_work, life);
		rig_power_on(&life->rig);
		rig_run(&life->rig, end_check, life);
		rig_fini(&life->rig);
	}
	free(life);
}

/* --- The process dies, the drive's cache does not
 * -------------------------------------------------
 */

struct heir {
	struct life *life;
	struct engine_rig rig; /* of the next process */
	bool flushed;
};

static void dying_flush(void *arg)
{
	struct heir *heir = arg;

	/* Never answered: its process is gone by then. */
	if (rig_io(&heir->life->volume, BLOCK_FLUSH, 0, NULL, 0) == 0)
		heir->flushed = true;
}

/*
 * The log block of a commit is on the drive, its data in the drive's cache, when the process dies.
 * The next one replays it; what it shows, and then flushes, must outlive the power.
 */
static void inherit(void *arg)
{
	struct heir *heir = arg;
	struct life *life = heir->life;
	struct rig_volume volume;
	uint8_t *data = aligned_alloc(RIG_BLOCK, RIG_BLOCK);

	fill(data, 1);
	assert_int_equal(rig_io(&life->volume, BLOCK_WRITE, 0, data, RIG_BLOCK), 0);
	assert_int_equal(fiber_start(life->rig.loop, false, dying_flush, heir, NULL), 0);
	assert_int_equal(fiber_sleep_ns(2 * NS_PER_MS), 0);
	assert_false(heir->flushed);
	heir->rig = life->rig;
	assert_int_equal(rig_open(&heir->rig), 0);
	assert_int_equal(rig_volume_open(&heir->rig, "vol", &volume), 0);
	assert_int_equal(rig_io(&volume, BLOCK_READ, 0, data, RIG_BLOCK), 0);
	assert_int_equal(stamp_of(life, 0, data), 1);
	assert_int_equal(rig_io(&volume, BLOCK_FLUSH, 0, NULL, 0), 0);
	rig_power_cut(&life->rig);
	rig_volume_close(&volume);
	rig_close(&heir->rig);
	rig_volume_close(&life->volume);
	rig_close(&life->rig);
	free(data);
}

static void inherit_check(void *arg)
{
	struct life *life = arg;
	uint32_t got[BLOCKS];

	assert_int_equal(rig_open(&life->rig), 0);
	read_all(life, "vol", got);
	assert_int_equal(got[0], 1);
	assert_int_equal(rig_close(&life->rig), 0);
}

static void replayed_is_flushed(void **state)
{
	/* So that the import's checkpoint does not do it in time. */
	const struct disk_sim_fault slow = {
		.kind = DISK_SIM_STALL, .ops = 1U << DISK_FLUSH, .argument = 20 * NS_PER_MS};
	struct life *life = malloc(sizeof(*life));
	struct disk_sim_plan plan = disk_sim_plan_default();
	struct heir heir = {.life = life};

	plan.survive_percent = 0;
	plan.write_back_percent = 0;
	life_init(life, 1, 16 * BLOCKS);
	disk_sim_plan_set(life->rig.drives[0], &plan);
	assert_int_equal(disk_sim_fault_add(life->rig.drives[0], &slow), 0);
	rig_run(&life->rig, inherit, &heir);
	disk_sim_faults_clear(life->rig.drives[0]);
	rig_power_on(&life->rig);
	rig_run(&life->rig, inherit_check, life);
	rig_fini(&life->rig);
	free(life);
}

/* Two hosts that take the pool from a third one, which is down, at the same instant. */
struct taker {
	struct engine_rig rig;
	int result;
	bool ended;
};

static void take(void *arg)
{
	struct taker *taker = arg;

	taker->result = rig_open(&taker->rig);
	taker->ended = true;
}

static void take_both(void *arg)
{
	struct life *life = arg;
	struct taker *takers = calloc(2, sizeof(*takers));
	unsigned won = 0;

	rig_volume_close(&life->volume);
	assert_int_equal(rig_close(&life->rig), 0);
	for (unsigned i = 0; i < 2; i++) {
		takers[i].rig = life->rig;
		takers[i].rig.host = (uint8_t)(2 + i);
		takers[i].rig.force = true;
		random_init(&takers[i].rig.random, random_u64(&life->rig.random));
		assert_int_equal(fiber_start(life->rig.loop, false, take, &takers[i], NULL), 0);
	}
	while (!takers[0].ended || !takers[1].ended)
		fiber_sleep_ns(NS_PER_MS);
	for (unsigned i = 0; i < 2; i++) {
		if (takers[i].result == 0)
			won++;
		else
			assert_int_equal(takers[i].result, -EBUSY);
	}
	assert_true(won <= 1);
	life->ops += won;
	for (unsigned i = 0; i < 2; i++) {
		if (takers[i].result == 0)
			assert_int_equal(rig_close(&takers[i].rig), 0);
	}
	free(takers);
}

static void two_hosts_at_once(void **state)
{
	struct life *life = malloc(sizeof(*life));
	unsigned won = 0;

	for (uint64_t seed = 1; seed <= 10; seed++) {
		life_init(life, seed, BLOCKS);
		rig_run(&life->rig, take_both, life);
		won += life->ops;
		rig_fini(&life->rig);
	}
	assert_true(won > 0);
	free(life);
}

/* A drive that hangs for a minute; the other one still says that the pool is in use. */
static void hang_and_take(void *arg)
{
	struct engine_rig *rig = arg;
	const struct disk_sim_fault hang = {.kind = DISK_SIM_STALL,
					    .ops = 1U << DISK_WRITE,
					    .argument = 60 * NS_PER_S,
					    .count = 1};
	struct engine_rig other = *rig;

	rig_format(rig);
	assert_int_equal(rig_open(rig), 0);
	assert_int_equal(disk_sim_fault_add(rig->drives[0], &hang), 0);
	fiber_sleep_ns(10 * NS_PER_S);
	other.host = 2;
	other.force = true;
	assert_int_equal(rig_open(&other), -EBUSY);
	assert_int_equal(rig_close(rig), 0);
}

static void drive_that_hangs_silences_no_other(void **state)
{
	struct engine_rig rig;

	rig_init(&rig, 1, 2, 64 * MiB);
	rig.mirror = true;
	rig_run(&rig, hang_and_take, &rig);
	rig_fini(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_reads_and_comes_back),
		cmocka_unit_test(keeps_its_promise_when_power_is_cut),
		cmocka_unit_test(parts_of_blocks_on_a_mirror),
		cmocka_unit_test(goes_back_for_good),
		cmocka_unit_test(one_host_at_a_time),
		cmocka_unit_test(lost_blocks_are_no_damage),
		cmocka_unit_test(replayed_is_flushed),
		cmocka_unit_test(two_hosts_at_once),
		cmocka_unit_test(drive_that_hangs_silences_no_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
