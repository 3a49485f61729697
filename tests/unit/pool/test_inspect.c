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
#include <quoin/base_endian.h>
#include <quoin/pool_inspect.h>

#include "engine_rig.h"
#include "inspect_rig.h"
#include "tamper.h"

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
	inspect_rig_fini(&inspect);
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
		inspect_clean(use, "cut");
		use->cut = false;
		rig_run(&use->rig, use_open, use);
		rig_run(&use->rig, use_work, use);
		rig_run(&use->rig, use_close, use);
		inspect_clean(use, "after the cut");
		rig_fini(&use->rig);
	}
	free(use);
}

/* The two checkpoints before the newest are whole as well: one may go back there. */
static void finds_nothing_in_older_checkpoints(void **state)
{
	struct use *use = malloc(sizeof(*use));

	for (uint64_t seed = 100; seed < 104; seed++) {
		struct inspect_rig newest = {.data = true};

		use_init(use, seed);
		rig_run(&use->rig, use_work, use);
		rig_run(&use->rig, use_close, use);
		inspect_rig_run(&use->rig, &newest);
		for (unsigned back = 1; back <= 2; back++) {
			struct inspect_rig older = {.data = true,
						    .checkpoint = newest.result.checkpoint - back};

			inspect_rig_run(&use->rig, &older);
			if (older.result_code != 0 || !pool_inspect_clean(&older.result))
				fail_msg("seed %llu, %u back: %s", (unsigned long long)seed, back,
					 older.result_code < 0 ? older.err.text : older.first);
			assert_int_equal(older.result.checkpoint, newest.result.checkpoint - back);
			inspect_rig_fini(&older);
		}
		inspect_rig_fini(&newest);
		rig_fini(&use->rig);
	}
	free(use);
}

/* --- Pools that are damaged ---------------------------------------------------------------- */

#define VOLUME 1
#define SNAPSHOT 1
#define VOLUME_BLOCKS 300

struct hurt {
	struct engine_rig rig;
	struct tamper tamper;
	void (*damage)(struct hurt *hurt);
};

static void fill_blocks(struct engine_rig *rig, uint64_t first, uint64_t count)
{
	struct rig_volume volume;
	uint8_t *data = aligned_alloc(RIG_BLOCK, count * RIG_BLOCK);

	random_fill(&rig->random, data, count * RIG_BLOCK);
	assert_int_equal(rig_volume_open(rig, "v", &volume), 0);
	assert_int_equal(rig_io(&volume, BLOCK_WRITE, first * RIG_BLOCK, data, count * RIG_BLOCK),
			 0);
	rig_volume_close(&volume);
	free(data);
}

/* A mirror; a volume with a snapshot, and some of it written again since. */
static void hurt_begin(void *arg)
{
	struct hurt *hurt = arg;
	const struct pool_volume_params params = {.size_bytes = 1024 * RIG_BLOCK};
	const char *const snapshot = "v@s";

	rig_format(&hurt->rig);
	assert_int_equal(rig_open(&hurt->rig), 0);
	assert_int_equal(pool_volume_create(hurt->rig.pool, "v", &params, NULL), 0);
	fill_blocks(&hurt->rig, 0, 200);
	fill_blocks(&hurt->rig, 200, VOLUME_BLOCKS - 200);
	assert_int_equal(pool_snapshot_create(hurt->rig.pool, &snapshot, 1, NULL), 0);
	fill_blocks(&hurt->rig, 0, 40);
	assert_int_equal(rig_close(&hurt->rig), 0);
}

static void hurt_now(void *arg)
{
	struct hurt *hurt = arg;

	assert_true(tamper_load(&hurt->tamper, &hurt->rig));
	hurt->damage(hurt);
}

/* Nothing is found before the damage; all of `codes` (NULL ends them) are found after it. */
static void hurt_check(void (*damage)(struct hurt *hurt), const char *const *codes)
{
	struct hurt *hurt = calloc(1, sizeof(*hurt));
	struct inspect_rig before = {.data = true};
	struct inspect_rig after = {.data = true};

	hurt->damage = damage;
	rig_init(&hurt->rig, 7, 2, 32 * MiB);
	hurt->rig.mirror = true;
	rig_run(&hurt->rig, hurt_begin, hurt);
	inspect_rig_run(&hurt->rig, &before);
	assert_int_equal(before.result_code, 0);
	assert_string_equal(before.first, "");
	rig_run(&hurt->rig, hurt_now, hurt);
	inspect_rig_run(&hurt->rig, &after);
	assert_int_equal(after.result_code, 0);
	for (; *codes; codes++)
		if (!inspect_rig_found(&after, *codes))
			fail_msg("'%s' was not found, but first '%s'", *codes, after.first);
	inspect_rig_fini(&before);
	inspect_rig_fini(&after);
	rig_fini(&hurt->rig);
	free(hurt);
}

/* Some flushes more, and then power goes: the log is not empty. */
static void log_fill(void *arg)
{
	struct hurt *hurt = arg;
	struct rig_volume volume;

	assert_int_equal(rig_open(&hurt->rig), 0);
	for (unsigned i = 0; i < 6; i++) {
		fill_blocks(&hurt->rig, 10 * i, 4);
		assert_int_equal(rig_volume_open(&hurt->rig, "v", &volume), 0);
		assert_int_equal(rig_io(&volume, BLOCK_FLUSH, 0, NULL, 0), 0);
		rig_volume_close(&volume);
	}
	rig_power_cut(&hurt->rig);
	rig_close(&hurt->rig);
}

static void hurt_log(void (*damage)(struct hurt *hurt), const char *code)
{
	struct hurt *hurt = calloc(1, sizeof(*hurt));
	struct inspect_rig before = {.data = true};
	struct inspect_rig after = {.data = true};

	hurt->damage = damage;
	rig_init(&hurt->rig, 8, 2, 32 * MiB);
	hurt->rig.mirror = true;
	rig_run(&hurt->rig, hurt_begin, hurt);
	rig_run(&hurt->rig, log_fill, hurt);
	rig_power_on(&hurt->rig);
	inspect_rig_run(&hurt->rig, &before);
	assert_int_equal(before.result_code, 0);
	assert_string_equal(before.first, "");
	assert_true(before.result.log.records > 0);
	rig_run(&hurt->rig, hurt_now, hurt);
	inspect_rig_run(&hurt->rig, &after);
	assert_true(inspect_rig_found(&after, code));
	inspect_rig_fini(&before);
	inspect_rig_fini(&after);
	rig_fini(&hurt->rig);
	free(hurt);
}

#define HURT(damage, ...) hurt_check(damage, (const char *const[]){__VA_ARGS__, NULL})

/* --- What is changed ----------------------------------------------------------------------- */

static void flip(const struct tamper_change *change, uint8_t *bytes)
{
	bytes[change->at] ^= (uint8_t)change->value;
}

static void add64(const struct tamper_change *change, uint8_t *bytes)
{
	le64_put(bytes + change->at, le64_get(bytes + change->at) + change->value);
}

/* The entry in place `at` becomes that in place `value`. */
static void entry_copy(const struct tamper_change *change, uint8_t *page)
{
	memcpy(page + (size_t)change->at * ENTRY_BYTES, page + change->value * ENTRY_BYTES,
	       ENTRY_BYTES);
}

/* One that is neither empty nor full. */
static uint32_t segment_used(const struct hurt *hurt, enum segment_class class)
{
	const struct segment_record *all = hurt->tamper.segments;

	for (uint32_t id = 1; id < TAMPER_SEGMENTS; id++)
		if (all[id].class == class && all[id].used > 0 && all[id].used < all[id].slot_count)
			return id;
	fail_msg("there is no such segment");
	return 0;
}

static void bit_flip(struct hurt *hurt, enum segment_class class, bool set)
{
	const uint32_t id = segment_used(hurt, class);
	struct tamper_change change = {.apply = flip};
	uint8_t page[PAGE_BYTES];
	unsigned bit = 0;

	tamper_read(&hurt->tamper, hurt->tamper.segments[id].bitmaps[0].vaddr, page);
	while ((page[bit / 8] >> (bit % 8) & 1) == set)
		bit++;
	change.at = bit / 8;
	change.value = UINT64_C(1) << (bit % 8);
	assert_true(tamper_bitmap(&hurt->tamper, id, &change));
}

static void bit_set(struct hurt *hurt)
{
	bit_flip(hurt, SEGMENT_DATA, true);
}

static void bit_clear(struct hurt *hurt)
{
	bit_flip(hurt, SEGMENT_DATA, false);
}

static void bit_clear_meta(struct hurt *hurt)
{
	bit_flip(hurt, SEGMENT_META, false);
}

static void finds_wrong_bitmaps(void **state)
{
	HURT(bit_set, "bitmap-leak", "segment-used");
	HURT(bit_clear, "bitmap-unmarked", "segment-used");
	HURT(bit_clear_meta, "bitmap-unmarked", "segment-used");
}

/* Blocks 0..39 are the head's own. */
static void entry_twice(struct hurt *hurt)
{
	const struct tamper_change change = {.apply = entry_copy, .at = 5, .value = 6};

	assert_true(tamper_map(&hurt->tamper, NODE_VOLUMES, VOLUME, 0, &change));
}

static void finds_a_slot_with_two_owners(void **state)
{
	HURT(entry_twice, "double-owner");
}

static void volume_add64(struct hurt *hurt, unsigned at)
{
	const struct tamper_change change = {.apply = add64, .at = at, .value = 1};

	assert_true(tamper_record(&hurt->tamper, NODE_VOLUMES, VOLUME, &change));
}

static void volume_referenced(struct hurt *hurt)
{
	volume_add64(hurt, 200);
}

static void volume_unique(struct hurt *hurt)
{
	volume_add64(hurt, 208);
}

static void volume_used_data(struct hurt *hurt)
{
	volume_add64(hurt, 216);
}

static void volume_used_meta(struct hurt *hurt)
{
	volume_add64(hurt, 224);
}

static void volume_referenced_meta(struct hurt *hurt)
{
	volume_add64(hurt, 344);
}

static void volume_dead_data(struct hurt *hurt)
{
	volume_add64(hurt, 168);
}

static void snapshot_unique(struct hurt *hurt)
{
	const struct tamper_change change = {.apply = add64, .at = 208, .value = 1};

	assert_true(tamper_record(&hurt->tamper, NODE_SNAPSHOTS, SNAPSHOT, &change));
}

static void pool_used(struct hurt *hurt)
{
	hurt->tamper.super.data_slots++;
	tamper_super(&hurt->tamper);
}

static void finds_wrong_counters(void **state)
{
	HURT(volume_referenced, "counter-referenced");
	HURT(volume_referenced_meta, "counter-referenced-meta");
	HURT(volume_unique, "counter-unique");
	HURT(volume_used_data, "counter-used-data");
	HURT(volume_used_meta, "counter-used-meta");
	HURT(volume_dead_data, "deadlist-counts");
	HURT(snapshot_unique, "counter-unique");
	HURT(pool_used, "pool-used");
}

/* An entry of the deadlist names another slot of the same segment. */
static void dead_other(struct hurt *hurt)
{
	const struct tamper_change change = {.apply = flip, .at = 64, .value = 0x40};

	assert_true(tamper_deadlist(&hurt->tamper, NODE_VOLUMES, VOLUME, &change));
}

static void finds_a_wrong_deadlist(void **state)
{
	HURT(dead_other, "deadlist-wrong");
}

/* --- What rots ----------------------------------------------------------------------------- */

static void slot_rot(struct hurt *hurt, uint64_t vaddr, unsigned columns)
{
	unsigned drive;
	uint64_t offset;

	for (unsigned c = 0; tamper_place(&hurt->tamper, vaddr, c, &drive, &offset); c++)
		if (columns >> c & 1)
			disk_sim_rot(hurt->rig.drives[drive], offset, PAGE_BYTES, c + 1);
}

static void page_rots(struct hurt *hurt)
{
	slot_rot(hurt, hurt->tamper.super.volumes.vaddr, 1);
}

static void page_rots_everywhere(struct hurt *hurt)
{
	slot_rot(hurt, hurt->tamper.super.snapshots.vaddr, 3);
}

/* The first slot of a segment that is filled from its beginning. */
static void block_rots(struct hurt *hurt)
{
	slot_rot(hurt, vaddr_make(segment_used(hurt, SEGMENT_DATA), 0), 2);
}

static void block_rots_everywhere(struct hurt *hurt)
{
	slot_rot(hurt, vaddr_make(segment_used(hurt, SEGMENT_DATA), 0), 3);
}

static void superblock_torn(struct hurt *hurt)
{
	const uint64_t ckpt = hurt->tamper.super.ckpt - 1;

	disk_sim_rot(hurt->rig.drives[0],
		     super_offset(32 * MiB, false, (unsigned)(ckpt % SUPER_RING_SLOTS)), PAGE_BYTES,
		     1);
}

/* Both copies of a block of the log, behind which flushed ones follow. */
static void log_rots(struct hurt *hurt)
{
	const struct super *s = &hurt->tamper.super;

	slot_rot(hurt, vaddr_make(s->log_segments[0], s->log_head), 3);
}

static void finds_a_lost_block_of_the_log(void **state)
{
	hurt_log(log_rots, "log-lost");
}

static void finds_what_rots(void **state)
{
	HURT(page_rots, "copy-damaged");
	HURT(page_rots_everywhere, "damaged");
	HURT(block_rots, "copy-damaged");
	HURT(block_rots_everywhere, "damaged");
	HURT(superblock_torn, "label-damaged");
}

/* --- Records that contradict each other ------------------------------------------------------ */

static void name_of_nothing(struct hurt *hurt)
{
	const struct tamper_change change = {.apply = flip, .at = 272, .value = 0x20 ^ 'v'};

	assert_true(tamper_record(&hurt->tamper, NODE_VOLUMES, VOLUME, &change));
}

/* Its volume becomes another number. */
static void snapshot_strays(struct hurt *hurt)
{
	const struct tamper_change change = {.apply = flip, .at = 4, .value = 8};

	assert_true(tamper_record(&hurt->tamper, NODE_SNAPSHOTS, SNAPSHOT, &change));
}

static void chunk_twice(struct hurt *hurt)
{
	const uint32_t id = segment_used(hurt, SEGMENT_DATA);
	const struct tamper_change change = {
		.apply = flip, .at = 36, .value = hurt->tamper.segments[id].columns[0].chunk ^ 1};

	assert_true(tamper_record(&hurt->tamper, NODE_SEGMENTS, id, &change));
}

static void finds_records_that_contradict_each_other(void **state)
{
	HURT(name_of_nothing, "record-bad");
	HURT(snapshot_strays, "record-bad", "origin-wrong");
	HURT(chunk_twice, "chunk-double");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_nothing_in_a_pool_that_was_used),
		cmocka_unit_test(finds_nothing_after_a_power_cut),
		cmocka_unit_test(finds_nothing_in_older_checkpoints),
		cmocka_unit_test(finds_wrong_bitmaps),
		cmocka_unit_test(finds_a_slot_with_two_owners),
		cmocka_unit_test(finds_wrong_counters),
		cmocka_unit_test(finds_a_wrong_deadlist),
		cmocka_unit_test(finds_a_lost_block_of_the_log),
		cmocka_unit_test(finds_what_rots),
		cmocka_unit_test(finds_records_that_contradict_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
