/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What operations cost: device writes, bytes, reads, flushes, and device round trips, counted in
 * the simulator, where every request of a drive takes LATENCY_NS and nothing is left to chance. So
 * the figures are exact, and a change that makes an operation dearer fails here. The table goes to
 * the log; docs/PERFORMANCE.md has it too.
 *
 * Counted is what the drives were asked for: labels (superblocks, heartbeats) among it where it
 * says "labels". A meta or log write counts two, for it has two columns, on one drive too.
 *
 * QUOIN_COST_DELTAS: for how many of them write amplification is measured (default 4; 8 for the
 * figures of docs/PERFORMANCE.md).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <quoin/base_assert.h>

#include "engine/engine.h"
#include "engine_rig.h"

#define LATENCY_NS (100 * NS_PER_US)
#define CALM_NS (50 * NS_PER_MS) /* longer than the log takes to settle */
#define DRIVE_BYTES (384 * MiB)
#define VOLUME_BYTES (32 * MiB)
#define HUGE_BYTES (UINT64_C(2) << 40)
#define BEAT_S 4 /* seconds between heartbeats */
#define MANY 2048
#define PARALLEL 16
#define LOG_COLUMNS 2
#define DELTA_RECORDS 16384

struct cost {
	uint64_t writes, bytes, reads, flushes;
	uint64_t labels; /* writes outside segments, one page each */
	uint64_t ns;
};

struct bench {
	struct engine_rig rig;
	struct rig_volume volume;
	unsigned copies; /* of data */
	unsigned snapshots;
	uint64_t volume_bytes;
	uint8_t *data;
	uint64_t next; /* block */
	struct cost before, cost;
};

static struct disk_sim_plan plan_make(void)
{
	struct disk_sim_plan plan = disk_sim_plan_default();

	plan.latency_min_ns = LATENCY_NS;
	plan.latency_max_ns = LATENCY_NS;
	plan.write_back_percent = 0;
	return plan;
}

/* --- Counting -------------------------------------------------------------------------------- */

static uint64_t drive_writes(const struct bench *b)
{
	uint64_t writes = 0;

	for (unsigned i = 0; i < b->rig.drive_count; i++) {
		struct disk_sim_stats stats;

		disk_sim_stats_get(b->rig.drives[i], &stats);
		writes += stats.done[DISK_WRITE];
	}
	return writes;
}

static struct cost counters(struct bench *b)
{
	struct pool_status status;

	pool_status(b->rig.pool, &status);
	return (struct cost){
		.writes = status.device_writes,
		.bytes = status.device_bytes_written,
		.reads = status.device_reads,
		.flushes = status.device_flushes,
		.labels = drive_writes(b) - status.device_writes, /* none is under way */
		.ns = loop_now_ns(b->rig.loop),
	};
}

static void calm(void)
{
	assert_int_equal(fiber_sleep_ns(CALM_NS), 0);
}

static void begin(struct bench *b)
{
	calm();
	b->before = counters(b);
}

static void end(struct bench *b, const char *what, uint64_t times)
{
	const struct cost now = counters(b);

	b->cost = (struct cost){
		.writes = now.writes - b->before.writes,
		.bytes = now.bytes - b->before.bytes,
		.reads = now.reads - b->before.reads,
		.flushes = now.flushes - b->before.flushes,
		.labels = now.labels > b->before.labels ? now.labels - b->before.labels : 0,
		.ns = now.ns - b->before.ns,
	};
	print_message("%-7s %4u  %-34s %5llu  %9.3f %9.2f %8.2f %8.2f %6llu %8.2f\n",
		      b->rig.mirror ? "mirror" : "single", b->snapshots, what,
		      (unsigned long long)times, (double)b->cost.writes / (double)times,
		      (double)b->cost.bytes / 1024.0 / (double)times,
		      (double)b->cost.reads / (double)times,
		      (double)b->cost.flushes / (double)times, (unsigned long long)b->cost.labels,
		      (double)b->cost.ns / (double)LATENCY_NS / (double)times);
}

static void head(void)
{
	print_message("%-7s %4s  %-34s %5s  %9s %9s %8s %8s %6s %8s\n", "pool", "snap", "operation",
		      "times", "writes", "KiB", "reads", "flushes", "labels", "latency");
}

/* The simulated loop's own steps take a little time as well: no drive is that fast. */
static void round_trips(const struct bench *b, uint64_t trips)
{
	assert_int_equal(b->cost.ns / LATENCY_NS, trips);
}

/* Exactly these writes, reads and flushes, and `trips` device round trips. */
static void exactly(const struct bench *b, uint64_t writes, uint64_t reads, uint64_t flushes,
		    uint64_t trips)
{
	assert_int_equal(b->cost.writes, writes);
	assert_int_equal(b->cost.reads, reads);
	assert_int_equal(b->cost.flushes, flushes);
	round_trips(b, trips);
}

/* --- Requests -------------------------------------------------------------------------------- */

/* No two blocks are alike, and none is zeroes. */
static void fill(struct bench *b, size_t bytes)
{
	random_fill(&b->rig.random, b->data, bytes);
}

static void request(struct bench *b, enum block_op op, unsigned flags, uint64_t offset,
		    uint64_t length)
{
	const struct block_request like = {
		.op = op, .flags = flags, .offset = offset, .length_bytes = length};
	const bool moves = op == BLOCK_READ || op == BLOCK_WRITE;

	assert_int_equal(rig_io_flags(&b->volume, &like, moves ? b->data : NULL), 0);
}

static void write_blocks(struct bench *b, unsigned flags, uint64_t block, unsigned count)
{
	fill(b, (size_t)count * RIG_BLOCK);
	request(b, BLOCK_WRITE, flags, block * RIG_BLOCK, (uint64_t)count * RIG_BLOCK);
}

static void flush(struct bench *b)
{
	request(b, BLOCK_FLUSH, 0, 0, 0);
}

/* --- Writes ---------------------------------------------------------------------------------- */

static void writes_cost(struct bench *b)
{
	const unsigned copies = b->copies;
	const uint64_t data = (uint64_t)MANY * RIG_BLOCK * copies;

	begin(b);
	for (unsigned i = 0; i < MANY; i++)
		write_blocks(b, 0, random_below(&b->rig.random, VOLUME_BYTES / RIG_BLOCK), 1);
	end(b, "4K random write", MANY);
	/* The log: 48 bytes a record, in large writes. */
	assert_in_range(b->cost.writes, MANY * copies, MANY * copies + 8);
	assert_in_range(b->cost.bytes, data, data + data / copies * LOG_COLUMNS / 80);
	assert_int_equal(b->cost.reads + b->cost.flushes, 0);
	assert_in_range(b->cost.ns, MANY * LATENCY_NS, MANY * LATENCY_NS * 11 / 10);
	flush(b);

	begin(b);
	for (unsigned i = 0; i < 64; i++)
		write_blocks(b, 0, (uint64_t)i * 32, 32);
	end(b, "128K sequential write", 64);
	assert_in_range(b->cost.writes, 64 * copies, 64 * copies + 4 * LOG_COLUMNS);
	assert_int_equal(b->cost.reads + b->cost.flushes, 0);
	flush(b);
}

static void part_cost(struct bench *b)
{
	const unsigned copies = b->copies;

	begin(b);
	fill(b, 512);
	request(b, BLOCK_WRITE, 0, 1536, 512);
	end(b, "512-byte write, until answered", 1);
	exactly(b, 0, 0, 0, 0);

	begin(b);
	fill(b, 512);
	request(b, BLOCK_WRITE, 0, 10 * RIG_BLOCK + 512, 512);
	calm();
	end(b, "512-byte write, with its merge", 1);
	assert_int_equal(b->cost.writes, copies);
	assert_int_equal(b->cost.reads, 1);
	assert_int_equal(b->cost.flushes, 0);

	begin(b);
	fill(b, 512);
	request(b, BLOCK_WRITE, BLOCK_FUA, 20 * RIG_BLOCK, 512);
	end(b, "512-byte FUA write", 1);
	/* The merge has begun beside it. */
	exactly(b, LOG_COLUMNS + copies, 1, b->cost.flushes, 1);
	assert_in_range(b->cost.flushes, 0, copies);
}

/* --- Durability ------------------------------------------------------------------------------ */

struct party {
	struct bench *bench;
	unsigned left;
	struct fiber *fiber;
};

static void guest(void *arg)
{
	struct party *party = arg;
	uint8_t *data = aligned_alloc(RIG_BLOCK, RIG_BLOCK);

	memset(data, 1, RIG_BLOCK);
	assert_int_equal(rig_io(&party->bench->volume, BLOCK_WRITE,
				RIG_BLOCK * (uint64_t)party->left, data, RIG_BLOCK),
			 0);
	assert_int_equal(rig_io(&party->bench->volume, BLOCK_FLUSH, 0, NULL, 0), 0);
	free(data);
	if (--party->left == 0)
		fiber_wake(party->fiber);
}

static void parallel_cost(struct bench *b)
{
	struct party party = {.bench = b, .fiber = fiber_self()};

	begin(b);
	for (party.left = 0; party.left < PARALLEL; party.left++)
		assert_int_equal(fiber_start(b->rig.loop, false, guest, &party, NULL), 0);
	while (party.left > 0)
		fiber_park();
	end(b, "16 x (4K write, flush) at once", PARALLEL);
	/* One commit for all of them. */
	assert_in_range(b->cost.writes, LOG_COLUMNS + b->copies,
			LOG_COLUMNS + (uint64_t)PARALLEL * b->copies);
	assert_int_equal(b->cost.flushes, b->copies);
	round_trips(b, 2);
}

static void durable_cost(struct bench *b)
{
	const unsigned copies = b->copies;

	begin(b);
	write_blocks(b, BLOCK_FUA, 77, 1);
	end(b, "4K FUA write", 1);
	/* Data first: a record is made of what the drive has. Then the log, flushed beside. */
	exactly(b, copies + LOG_COLUMNS, 0, copies, 2);

	calm();
	write_blocks(b, 0, 78, 1);
	begin(b);
	flush(b);
	end(b, "flush after a write", 1);
	exactly(b, LOG_COLUMNS, 0, copies, 1);

	begin(b);
	flush(b);
	end(b, "flush, nothing written", 1);
	exactly(b, 0, 0, 0, 0);
	parallel_cost(b);
}

/* --- Reads ------------------------------------------------------------------------------------ */

static void reads_cost(struct bench *b)
{
	write_blocks(b, 0, 100, 1);
	begin(b);
	request(b, BLOCK_READ, 0, 100 * RIG_BLOCK, RIG_BLOCK);
	end(b, "4K read, not in a tree yet", 1);
	exactly(b, 0, 1, 0, 1);
	assert_int_equal(pool_sync(b->rig.pool), 0);
	request(b, BLOCK_READ, 0, 100 * RIG_BLOCK, RIG_BLOCK);
	begin(b);
	request(b, BLOCK_READ, 0, 100 * RIG_BLOCK, RIG_BLOCK);
	end(b, "4K read, map cached", 1);
	exactly(b, 0, 1, 0, 1);
	request(b, BLOCK_DISCARD, 0, 100 * RIG_BLOCK, RIG_BLOCK);
	begin(b);
	request(b, BLOCK_READ, 0, 100 * RIG_BLOCK, RIG_BLOCK);
	end(b, "4K read of a hole", 1);
	exactly(b, 0, 0, 0, 0);
}

/* --- Snapshots, discards ---------------------------------------------------------------------- */

static void snapshots_make(struct bench *b, unsigned count)
{
	for (; b->snapshots < count; b->snapshots++) {
		char name[32];
		const char *names = name;
		struct err err;

		snprintf(name, sizeof(name), "vol@s%u", b->snapshots);
		write_blocks(b, 0, random_below(&b->rig.random, VOLUME_BYTES / RIG_BLOCK), 1);
		if (pool_snapshot_create(b->rig.pool, &names, 1, &err) < 0)
			fail_msg("%s", err.text);
	}
	assert_int_equal(pool_sync(b->rig.pool), 0);
	assert_int_equal(pool_sync(b->rig.pool), 0);
}

static void snapshot_cost(struct bench *b)
{
	static const char *const name = "vol@measured";

	write_blocks(b, 0, 200, 1);
	flush(b);
	begin(b);
	assert_int_equal(pool_snapshot_create(b->rig.pool, &name, 1, NULL), 0);
	end(b, "snapshot", 1);
	exactly(b, LOG_COLUMNS, 0, b->copies, 1);
	assert_int_equal(pool_snapshot_destroy(b->rig.pool, name, NULL), 0);
	assert_int_equal(pool_sync(b->rig.pool), 0);
}

static void discard_cost(struct bench *b)
{
	begin(b);
	request(b, BLOCK_DISCARD, 0, UINT64_C(1) << 40, UINT64_C(1) << 40);
	flush(b);
	end(b, "discard of 1 TiB, flush", 1);
	exactly(b, LOG_COLUMNS, 0, b->cost.flushes, 1);
}

/* --- Background ------------------------------------------------------------------------------- */

static void idle_cost(struct bench *b)
{
	const unsigned seconds = 60;

	assert_int_equal(pool_sync(b->rig.pool), 0);
	begin(b);
	assert_int_equal(fiber_sleep_ns(seconds * NS_PER_S), 0);
	end(b, "60 s idle", 1);
	assert_int_equal(b->cost.writes + b->cost.reads + b->cost.flushes, 0);
	assert_in_range(b->cost.labels, b->rig.drive_count * (seconds / BEAT_S - 1),
			b->rig.drive_count * (seconds / BEAT_S + 1));
}

/* A superblock to each label, and flushes: before them all has ended. */
static void checkpointed(const struct bench *b, uint64_t writes, uint64_t pages)
{
	assert_in_range(b->cost.writes, 0, writes);
	assert_in_range(b->cost.bytes, 0, pages * LOG_COLUMNS * RIG_BLOCK);
	assert_int_equal(b->cost.flushes, b->rig.drive_count);
	assert_int_equal(b->cost.labels, 2 * b->rig.drive_count);
	assert_int_equal(b->cost.reads, 0);
}

static void checkpoint_cost(struct bench *b)
{
	const uint64_t leaves = VOLUME_BYTES / (512 * KiB);

	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pool_sync(b->rig.pool), 0);
	begin(b);
	assert_int_equal(pool_sync(b->rig.pool), 0);
	end(b, "checkpoint, nothing written", 1);
	checkpointed(b, 0, 0);
	round_trips(b, 3);

	write_blocks(b, 0, 300, 1);
	begin(b);
	assert_int_equal(pool_sync(b->rig.pool), 0);
	end(b, "checkpoint of one block", 1);
	/* The way to the leaf, volume, bitmaps, table of segments. */
	checkpointed(b, 8, 16);
	round_trips(b, 4);

	for (unsigned i = 0; i < MANY; i++)
		write_blocks(b, 0, random_below(&b->rig.random, VOLUME_BYTES / RIG_BLOCK), 1);
	begin(b);
	assert_int_equal(pool_sync(b->rig.pool), 0);
	end(b, "checkpoint of 2048 blocks", 1);
	checkpointed(b, 24, leaves + 64);
	round_trips(b, 4);
}

/* --- Opening ---------------------------------------------------------------------------------- */

static void open_cost(struct bench *b)
{
	uint64_t labels;

	rig_volume_close(&b->volume);
	begin(b);
	assert_int_equal(rig_volume_open(&b->rig, "vol", &b->volume), 0);
	end(b, "opening a volume", 1);
	exactly(b, 0, 0, 0, 0);
	rig_volume_close(&b->volume);
	assert_int_equal(rig_close(&b->rig), 0);
	labels = drive_writes(b);
	b->before = (struct cost){.labels = labels, .ns = loop_now_ns(b->rig.loop)};
	assert_int_equal(rig_open(&b->rig), 0);
	end(b, "import, closed cleanly", 1);
	/* Labels, three tables of segments and their bitmaps, records; and the claim. */
	assert_int_equal(b->cost.writes + b->cost.flushes, 0);
	assert_in_range(b->cost.reads, 1, 110 + b->snapshots / 6);
	assert_in_range(b->cost.ns, 0, 36 * LATENCY_NS);
	assert_int_equal(rig_volume_open(&b->rig, "vol", &b->volume), 0);
}

static void cut_short(void *arg)
{
	struct bench *b = arg;
	struct disk_sim_plan plan = plan_make();

	for (unsigned i = 0; i < MANY; i++)
		write_blocks(b, 0, i, 1);
	/* Nobody says that it was durable, so the data must be looked at; and it is there. */
	plan.survive_percent = 100;
	for (unsigned i = 0; i < b->rig.drive_count; i++)
		disk_sim_plan_set(b->rig.drives[i], &plan);
	flush(b);
	rig_power_cut(&b->rig);
	rig_volume_close(&b->volume);
	rig_close(&b->rig);
}

/* Each block of the log is read three times, and each copy of the data it names: all in runs. */
static void import_cost(void *arg)
{
	struct bench *b = arg;

	b->before = (struct cost){.labels = drive_writes(b), .ns = loop_now_ns(b->rig.loop)};
	assert_int_equal(rig_open(&b->rig), 0);
	end(b, "import, 2048 blocks in the log", 1);
	assert_in_range(b->cost.reads, 64 * b->copies, 86 + 64 * b->copies + b->snapshots / 6);
	assert_in_range(b->cost.flushes, b->rig.drive_count, b->rig.drive_count);
	assert_in_range(b->cost.ns, 0, 200 * LATENCY_NS);
	assert_int_equal(rig_volume_open(&b->rig, "vol", &b->volume), 0);
}

/* --- The tests -------------------------------------------------------------------------------- */

static void bench_begin(void *arg)
{
	struct bench *b = arg;
	const struct pool_volume_params params = {.size_bytes = b->volume_bytes};

	rig_format(&b->rig);
	assert_int_equal(rig_open(&b->rig), 0);
	assert_int_equal(pool_volume_create(b->rig.pool, "vol", &params, NULL), 0);
	assert_int_equal(rig_volume_open(&b->rig, "vol", &b->volume), 0);
	assert_int_equal(pool_sync(b->rig.pool), 0);
}

static void bench_end(void *arg)
{
	struct bench *b = arg;

	rig_volume_close(&b->volume);
	assert_int_equal(rig_close(&b->rig), 0);
}

static void bench_init(struct bench *b, unsigned drives, uint64_t drive_bytes)
{
	const struct disk_sim_plan plan = plan_make();

	memset(b, 0, sizeof(*b));
	rig_init(&b->rig, 1, drives, drive_bytes);
	for (unsigned i = 0; i < drives; i++)
		disk_sim_plan_set(b->rig.drives[i], &plan);
	b->rig.mirror = drives > 1;
	b->rig.delta_records = DELTA_RECORDS;
	b->copies = drives;
	b->volume_bytes = HUGE_BYTES;
	b->data = aligned_alloc(RIG_BLOCK, 1 * MiB);
	ASSERT(b->data != NULL);
}

static void bench_fini(struct bench *b)
{
	rig_fini(&b->rig);
	free(b->data);
}

static void all(void *arg)
{
	struct bench *b = arg;

	snapshots_make(b, b->next == 0 ? 0 : (unsigned)b->next);
	writes_cost(b);
	part_cost(b);
	durable_cost(b);
	reads_cost(b);
	snapshot_cost(b);
	discard_cost(b);
	idle_cost(b);
	checkpoint_cost(b);
	open_cost(b);
}

static void operations(unsigned drives, unsigned snapshots)
{
	struct bench *b = malloc(sizeof(*b));

	bench_init(b, drives, DRIVE_BYTES);
	b->next = snapshots;
	rig_run(&b->rig, bench_begin, b);
	rig_run(&b->rig, all, b);
	rig_run(&b->rig, cut_short, b);
	rig_power_on(&b->rig);
	rig_run(&b->rig, import_cost, b);
	rig_run(&b->rig, bench_end, b);
	bench_fini(b);
	free(b);
}

static void costs_on_one_drive(void **state)
{
	head();
	operations(1, 0);
}

static void costs_on_a_mirror(void **state)
{
	head();
	operations(2, 0);
}

static void costs_with_snapshots(void **state)
{
	static const unsigned counts[] = {1, 100, 1000};

	head();
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		operations(1, counts[i]);
}

/* --- Write amplification -------------------------------------------------------------------------
 * Uniform random 4K writes over a whole volume, with the checkpoints that they ask for. What counts
 * is how many records a page of the map has when it is written, so everything is scaled down alike:
 * SCALE of a volume, and SCALE of the records. A drive that is slow for pages of the map would only
 * make checkpoints later.
 */

#define SCALE 64
#define WA_DELTAS_DEFAULT 4 /* measured; half as many are written before */

struct amplification {
	struct bench bench;
	uint64_t volume_bytes;
	unsigned records;     /* of a delta */
	double log, metadata; /* device bytes for each byte written */
};

static uint64_t deltas_measured(void)
{
	const char *text = getenv("QUOIN_COST_DELTAS");

	return text ? strtoull(text, NULL, 10) : WA_DELTAS_DEFAULT;
}

static void random_writes(struct bench *b, uint64_t blocks, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		write_blocks(b, 0, random_below(&b->rig.random, blocks), 1);
}

static void amplify(void *arg)
{
	struct amplification *a = arg;
	struct bench *b = &a->bench;
	const uint64_t blocks = a->volume_bytes / RIG_BLOCK;
	const uint64_t count = deltas_measured() * a->records;
	const double data = (double)(count * RIG_BLOCK);
	uint64_t bytes, log_blocks;

	random_writes(b, blocks, count / 2);
	bytes = counters(b).bytes;
	log_blocks = b->rig.pool->log.blocks_written;
	random_writes(b, blocks, count);
	bytes = counters(b).bytes - bytes;
	log_blocks = b->rig.pool->log.blocks_written - log_blocks;
	a->log = (double)(log_blocks * LOG_COLUMNS * RIG_BLOCK) / data;
	a->metadata = (double)bytes / data - 1 - a->log;
}

/* `most`: of log and metadata, for each byte of data. */
static void amplification(uint64_t volume_gib, unsigned records, double most)
{
	struct amplification *a = malloc(sizeof(*a));

	bench_init(&a->bench, 1, 64 * GiB);
	a->volume_bytes = volume_gib * GiB / SCALE;
	a->records = records / SCALE;
	a->bench.rig.delta_records = a->records;
	a->bench.volume_bytes = a->volume_bytes;
	rig_run(&a->bench.rig, bench_begin, &a->bench);
	rig_run(&a->bench.rig, amplify, a);
	rig_run(&a->bench.rig, bench_end, &a->bench);
	print_message("%5llu GiB, %8u records: data 1, log %.3f, metadata %.3f: %.3f\n",
		      (unsigned long long)volume_gib, records, a->log, a->metadata,
		      1 + a->log + a->metadata);
	assert_true(a->log + a->metadata < most);
	bench_fini(&a->bench);
	free(a);
}

static void write_amplification(void **state)
{
	/* What pools of these sizes have with the default memory; and the first with twice as much.
	 */
	amplification(256, 725000, 0.88);
	amplification(256, 1800000, 0.45);
	amplification(1024, 270000, 2.36);
	amplification(64, 845000, 0.28);
	amplification(16, 260000, 0.24);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(costs_on_one_drive),
		cmocka_unit_test(costs_on_a_mirror),
		cmocka_unit_test(costs_with_snapshots),
		cmocka_unit_test(write_amplification),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
