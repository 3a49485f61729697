/* SPDX-License-Identifier: Apache-2.0 */
/* Guests' requests are counted where they end: of the volume, of the pool, by time. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/io.h"
#include "engine_rig.h"

#define MINUTE_NS (60 * NS_PER_S)

struct test {
	struct engine_rig rig;
	struct rig_volume volume;
	uint8_t *data;
};

static struct pool_io io_of(struct test *t)
{
	struct pool_io io;

	pool_io(t->rig.pool, &io);
	return io;
}

static uint64_t worst_of_hour(const struct pool_io *io)
{
	uint64_t worst = 0;

	for (unsigned i = 0; i < POOL_IO_MINUTES; i++)
		worst = MAX(worst, io->worst[i].ns);
	return worst;
}

static void begin(struct test *t)
{
	const struct pool_volume_params params = {.size_bytes = 16 * MiB};
	struct err err;

	rig_format(&t->rig);
	assert_int_equal(rig_open(&t->rig), 0);
	assert_int_equal(pool_volume_create(t->rig.pool, "vol", &params, &err), 0);
	assert_int_equal(rig_volume_open(&t->rig, "vol", &t->volume), 0);
}

static void end(struct test *t)
{
	rig_volume_close(&t->volume);
	assert_int_equal(rig_close(&t->rig), 0);
}

static void count_main(void *arg)
{
	struct test *t = arg;
	struct pool_volume_info info;
	struct pool_io io;
	uint64_t counted = 0;

	begin(t);
	assert_int_equal(rig_io(&t->volume, BLOCK_WRITE, 0, t->data, 64 * KiB), 0);
	assert_int_equal(rig_io(&t->volume, BLOCK_WRITE, 64 * KiB, t->data, 4 * KiB), 0);
	assert_int_equal(rig_io(&t->volume, BLOCK_READ, 0, t->data, 8 * KiB), 0);
	assert_int_equal(rig_io(&t->volume, BLOCK_FLUSH, 0, NULL, 0), 0);
	io = io_of(t);
	assert_int_equal(io.sums.requests[POOL_IO_WRITE], 2);
	assert_int_equal(io.sums.bytes[POOL_IO_WRITE], 68 * KiB);
	assert_int_equal(io.sums.requests[POOL_IO_READ], 1);
	assert_int_equal(io.sums.bytes[POOL_IO_READ], 8 * KiB);
	assert_int_equal(io.sums.requests[POOL_IO_OTHER], 1);
	assert_int_equal(io.sums.bytes[POOL_IO_OTHER], 0);
	assert_int_equal(io.sums.errors, 0);
	assert_true(io.sums.ns[POOL_IO_WRITE] > 0);
	for (unsigned i = 0; i < POOL_IO_BUCKETS; i++)
		counted += io.latency[POOL_IO_WRITE][i];
	assert_int_equal(counted, 2);
	assert_true(worst_of_hour(&io) > 0);
	assert_int_equal(pool_volume_find(t->rig.pool, "vol", &info), 0);
	assert_memory_equal(&info.io.requests, &io.sums.requests, sizeof(io.sums.requests));
	assert_int_equal(info.io.in_flight, 0);
	/* What is refused is counted as an error. */
	assert_int_equal(rig_io(&t->volume, BLOCK_READ, 16 * MiB - 4 * KiB, t->data, 4 * KiB), 0);
	assert_int_equal(pool_volume_resize(t->rig.pool, "vol", 8 * MiB, NULL), 0);
	assert_int_equal(rig_io(&t->volume, BLOCK_READ, 12 * MiB, t->data, 4 * KiB), -ENXIO);
	assert_int_equal(io_of(t).sums.errors, 1);
	end(t);
}

/* --- Drives ------------------------------------------------------------------------------------
 */

struct drive_look {
	struct disk_sim_stats asked;
	struct pool_drive_io io;
	uint64_t now;
};

static struct drive_look drive_look(struct test *t)
{
	struct pool_drive_status status;
	struct drive_look look = {.now = loop_now_ns(t->rig.loop)};

	disk_sim_stats_get(t->rig.drives[0], &look.asked);
	pool_drive_status(t->rig.pool, 0, &status);
	look.io = status.io;
	return look;
}

static uint64_t asked(const struct drive_look *look, enum pool_io_kind kind)
{
	if (kind == POOL_IO_OTHER)
		return look->asked.done[DISK_FLUSH] + look->asked.done[DISK_DISCARD];
	return look->asked.done[kind == POOL_IO_READ ? DISK_READ : DISK_WRITE];
}

/* All that the pool asks of it: data, the log, metadata, superblocks, flushes. */
static void drive_main(void *arg)
{
	struct test *t = arg;
	struct drive_look before;
	struct drive_look after;

	begin(t);
	before = drive_look(t);
	for (uint64_t at = 0; at < 4 * MiB; at += 64 * KiB)
		assert_int_equal(rig_io(&t->volume, BLOCK_WRITE, at, t->data, 64 * KiB), 0);
	assert_int_equal(rig_io(&t->volume, BLOCK_READ, 0, t->data, 64 * KiB), 0);
	assert_int_equal(pool_sync(t->rig.pool), 0);
	after = drive_look(t);
	for (unsigned i = 0; i < POOL_IO_KINDS; i++) {
		const uint64_t ns = after.io.ns[i] - before.io.ns[i];

		assert_int_equal(after.io.requests[i] - before.io.requests[i],
				 asked(&after, i) - asked(&before, i));
		assert_int_equal(after.io.in_flight[i], 0);
		assert_in_range(ns, 1, (after.now - before.now) * 64);
	}
	assert_true(after.io.bytes[POOL_IO_WRITE] - before.io.bytes[POOL_IO_WRITE] >= 4 * MiB);
	assert_true(after.io.bytes[POOL_IO_READ] - before.io.bytes[POOL_IO_READ] >= 64 * KiB);
	assert_in_range(after.io.busy_ns - before.io.busy_ns, 1, after.now - before.now);
	end(t);
}

/* --- Times ------------------------------------------------------------------------------------ */

static uint64_t waits(const struct pool_io_sums *sums)
{
	return sums->ns[POOL_IO_READ] + sums->ns[POOL_IO_WRITE] + sums->ns[POOL_IO_OTHER];
}

static void other_main(void *arg)
{
	struct test *t = arg;

	assert_int_equal(rig_io(&t->volume, BLOCK_WRITE, 0, t->data, 64 * KiB), 0);
}

/* One after the other they take as long as all waits; together they take less. */
static void busy_main(void *arg)
{
	struct test *t = arg;
	struct pool_volume_info info;
	struct fiber *fibers[3];
	struct pool_io io;

	begin(t);
	for (unsigned i = 0; i < 3; i++)
		other_main(t);
	fiber_sleep_ns(MINUTE_NS);
	io = io_of(t);
	assert_true(io.sums.busy_ns > 0);
	assert_int_equal(io.sums.busy_ns, waits(&io.sums));
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(fiber_start(t->rig.loop, true, other_main, t, &fibers[i]), 0);
	for (unsigned turn = 0; turn < 100 && io_of(t).sums.in_flight < 3; turn++)
		fiber_yield();
	assert_int_equal(io_of(t).sums.in_flight, 3);
	for (unsigned i = 0; i < 3; i++)
		fiber_join(fibers[i]);
	io = io_of(t);
	assert_int_equal(io.sums.in_flight, 0);
	assert_true(io.sums.busy_ns < waits(&io.sums));
	assert_int_equal(pool_volume_find(t->rig.pool, "vol", &info), 0);
	assert_int_equal(info.io.busy_ns, io.sums.busy_ns);
	end(t);
}

/* The slowest of an hour is forgotten after it, and each minute has its own. */
static void hour_main(void *arg)
{
	struct test *t = arg;
	struct pool_io io;
	uint64_t worst;

	begin(t);
	assert_int_equal(rig_io(&t->volume, BLOCK_WRITE, 0, t->data, 64 * KiB), 0);
	io = io_of(t);
	worst = worst_of_hour(&io);
	assert_true(worst > 0);
	fiber_sleep_ns(30 * MINUTE_NS);
	io = io_of(t);
	assert_int_equal(worst_of_hour(&io), worst);
	fiber_sleep_ns(31 * MINUTE_NS);
	io = io_of(t);
	assert_int_equal(worst_of_hour(&io), 0);
	fiber_sleep_ns(600 * MINUTE_NS);
	assert_int_equal(rig_io(&t->volume, BLOCK_READ, 0, t->data, 4 * KiB), 0);
	io = io_of(t);
	assert_true(io.worst[io.minute % POOL_IO_MINUTES].kind == POOL_IO_READ);
	end(t);
}

/* --- Why it was slow ------------------------------------------------------------------------- */

static struct pool_io_worst slowest(struct test *t)
{
	const struct pool_io io = io_of(t);
	struct pool_io_worst found = {.ns = 0};

	for (unsigned i = 0; i < POOL_IO_MINUTES; i++) {
		if (io.worst[i].ns > found.ns)
			found = io.worst[i];
	}
	return found;
}

/* The slowest so far took at least so long, because of that. */
static void expect(struct test *t, enum pool_io_why why, uint64_t ns)
{
	const struct pool_io_worst found = slowest(t);

	assert_int_equal(found.why, why);
	assert_true(found.ns >= ns);
}

static void strike(struct test *t, const struct disk_sim_fault *fault)
{
	disk_sim_faults_clear(t->rig.drives[0]);
	if (fault)
		assert_int_equal(disk_sim_fault_add(t->rig.drives[0], fault), 0);
}

static void gate_opener(void *arg)
{
	struct volume *volume = arg;

	fiber_sleep_ns(100 * NS_PER_MS);
	volume_gate_open(volume);
}

static void quota_raiser(void *arg)
{
	struct test *t = arg;

	fiber_sleep_ns(10 * NS_PER_S);
	assert_int_equal(pool_volume_set(t->rig.pool, "vol", POOL_VOLUME_REFQUOTA, 0, NULL), 0);
}

/* Each is slower than those before it, so that it is the slowest. */
static void why_main(void *arg)
{
	const struct disk_sim_fault slow = {
		.kind = DISK_SIM_STALL, .ops = 1U << DISK_READ, .argument = 5 * NS_PER_MS};
	const struct disk_sim_fault once = {
		.kind = DISK_SIM_FAIL, .ops = 1U << DISK_READ, .count = 1, .result = -EIO};
	const struct disk_sim_fault slower = {
		.kind = DISK_SIM_STALL, .ops = 1U << DISK_READ, .argument = 20 * NS_PER_MS};
	struct test *t = arg;
	struct fiber *fiber;
	struct volume *volume;

	begin(t);
	assert_int_equal(rig_io(&t->volume, BLOCK_WRITE, 0, t->data, 64 * KiB), 0);
	strike(t, &slow);
	assert_int_equal(rig_io(&t->volume, BLOCK_READ, 0, t->data, 4 * KiB), 0);
	expect(t, POOL_WHY_DRIVES, 5 * NS_PER_MS);
	strike(t, &slower);
	assert_int_equal(disk_sim_fault_add(t->rig.drives[0], &once), 0);
	assert_int_equal(rig_io(&t->volume, BLOCK_READ, 0, t->data, 4 * KiB), 0);
	expect(t, POOL_WHY_REPAIR, 20 * NS_PER_MS);
	strike(t, NULL);
	volume = volume_find(t->rig.pool, "vol");
	volume_gate_close(volume);
	assert_int_equal(fiber_start(t->rig.loop, true, gate_opener, volume, &fiber), 0);
	assert_int_equal(rig_io(&t->volume, BLOCK_WRITE, 0, t->data, 4 * KiB), 0);
	fiber_join(fiber);
	expect(t, POOL_WHY_VERB, 99 * NS_PER_MS);
	assert_int_equal(pool_volume_set(t->rig.pool, "vol", POOL_VOLUME_PAUSE_WHEN_FULL, 1, NULL),
			 0);
	assert_int_equal(pool_volume_set(t->rig.pool, "vol", POOL_VOLUME_REFQUOTA, 64 * KiB, NULL),
			 0);
	assert_int_equal(fiber_start(t->rig.loop, true, quota_raiser, t, &fiber), 0);
	assert_int_equal(rig_io(&t->volume, BLOCK_WRITE, 1 * MiB, t->data, 64 * KiB), 0);
	fiber_join(fiber);
	expect(t, POOL_WHY_SPACE, 9 * NS_PER_S);
	end(t);
}

/* A checkpoint that is slower than the writes that fill the delta behind it. */
static void crowd(struct test *t, uint64_t flush_ns)
{
	const struct disk_sim_fault slow = {
		.kind = DISK_SIM_STALL, .ops = 1U << DISK_FLUSH, .argument = flush_ns};

	begin(t);
	strike(t, &slow);
	for (uint64_t at = 0; at < 8 * MiB; at += 4 * KiB)
		assert_int_equal(rig_io(&t->volume, BLOCK_WRITE, at, t->data, 4 * KiB), 0);
	strike(t, NULL);
}

static void checkpoint_main(void *arg)
{
	struct test *t = arg;

	crowd(t, 200 * NS_PER_MS);
	expect(t, POOL_WHY_CHECKPOINT, NS_PER_MS);
	assert_true(slowest(t).checkpoint);
	end(t);
}

static void pacing_main(void *arg)
{
	struct test *t = arg;
	struct pool_status status;

	crowd(t, 30 * NS_PER_MS);
	pool_status(t->rig.pool, &status);
	assert_true(status.held_writes > 0);
	expect(t, POOL_WHY_PACING, NS_PER_MS);
	end(t);
}

static void run_with(void (*main)(void *arg), uint64_t delta_records, unsigned barriers_off)
{
	struct test *t = calloc(1, sizeof(*t));

	t->data = aligned_alloc(RIG_BLOCK, 64 * KiB);
	memset(t->data, 7, 64 * KiB);
	rig_init(&t->rig, 1, 1, 64 * MiB);
	t->rig.delta_records = delta_records;
	t->rig.barriers_off = barriers_off;
	rig_run(&t->rig, main, t);
	rig_fini(&t->rig);
	free(t->data);
	free(t);
}

static void why_it_was_slow(void **state)
{
	run_with(why_main, 0, 0);
	run_with(checkpoint_main, 256, POOL_BARRIER_PACE);
	run_with(pacing_main, 256, 0);
}

static void run(void (*main)(void *arg))
{
	run_with(main, 0, 0);
}

static void requests_are_counted(void **state)
{
	run(count_main);
}

static void requests_of_drives(void **state)
{
	run(drive_main);
}

static void the_time_with_requests_in_flight(void **state)
{
	run(busy_main);
}

static void the_slowest_of_the_hour(void **state)
{
	run(hour_main);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_counted),
		cmocka_unit_test(requests_of_drives),
		cmocka_unit_test(the_time_with_requests_in_flight),
		cmocka_unit_test(the_slowest_of_the_hour),
		cmocka_unit_test(why_it_was_slow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
