/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Traces of a simulated drive, and the drives after a crash. Three oracles: a slow model that
 * works from the events alone; the drive that was traced, which shows the state in which nothing
 * is lost; and the same drive after a power cut that loses all it may.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include <quoin/base_random.h>
#include <quoin/disk_sim_trace.h>

#include "rig.h"

#define BLOCK 4096
#define UNIT 512
#define BLOCKS 16
#define SIZE (BLOCKS * BLOCK)
#define SLOTS 4
#define ROOM (16 * MiB)
#define EVENTS_MAX 4096

static const struct disk_sim_params drive = {
	.seed = 3,
	.size_bytes = SIZE,
	.logical_block_bytes = BLOCK,
	.tear_bytes = UNIT,
	.discard = true,
	.plan = {.latency_min_ns = 1000, .latency_max_ns = 90000, .tear_percent = 50},
};

struct world;

struct slot {
	struct world *world;
	struct disk_request request;
	struct iovec iov;
	bool busy;
	uint8_t data[2 * BLOCK];
};

struct world {
	struct rig rig;
	struct disk_sim *sim;
	struct disk_sim_trace *trace;
	struct random random;
	struct slot slots[SLOTS];
	uint8_t value;
	bool ended; /* one of them has */
};

static void world_init(struct world *w, const struct disk_sim_params *params)
{
	struct disk *disk;

	memset(w, 0, sizeof(*w));
	w->sim = disk_sim_new(params);
	rig_init_sim(&w->rig, params->seed);
	random_init(&w->random, params->seed);
	assert_int_equal(disk_sim_open(w->sim, &disk), 0);
	rig_use(&w->rig, disk);
}

static void world_fini(struct world *w)
{
	disk_sim_trace_free(w->trace);
	rig_fini(&w->rig);
	disk_sim_free(w->sim);
}

static int put(struct world *w, unsigned flags, uint64_t block, uint8_t value)
{
	uint8_t data[BLOCK];

	memset(data, value, BLOCK);
	return rig_do(&w->rig, DISK_WRITE | flags, block * BLOCK, data, BLOCK);
}

static int flush(struct world *w)
{
	return rig_do(&w->rig, DISK_FLUSH, 0, NULL, 0);
}

static void slot_done(struct disk_request *request)
{
	struct slot *slot = container_of(request, struct slot, request);

	slot->busy = false;
	slot->world->ended = true;
}

static void slot_start(struct world *w, struct slot *slot)
{
	static const enum disk_op ops[] = {DISK_WRITE, DISK_WRITE,	  DISK_WRITE,	DISK_FLUSH,
					   DISK_READ,  DISK_WRITE_ZEROES, DISK_DISCARD, DISK_FLUSH};
	struct disk_request *r = &slot->request;
	const uint64_t blocks = 1 + random_below(&w->random, 2);

	slot->world = w;
	slot->busy = true;
	slot->iov = (struct iovec){.iov_base = slot->data, .iov_len = blocks * BLOCK};
	*r = (struct disk_request){
		.op = ops[random_below(&w->random, ARRAY_SIZE(ops))],
		.flags = random_chance(&w->random, 1, 4) ? DISK_FUA : 0,
		.iov = &slot->iov,
		.iov_count = 1,
		.done = slot_done,
	};
	if (r->op != DISK_FLUSH) {
		r->offset = random_below(&w->random, BLOCKS - 1) * BLOCK;
		r->length_bytes = blocks * BLOCK;
	}
	if (r->op != DISK_WRITE && r->op != DISK_WRITE_ZEROES)
		r->flags = 0;
	w->value++;
	for (uint64_t i = 0; i < blocks * BLOCK / UNIT; i++)
		memset(slot->data + i * UNIT, w->value * 16 + (int)i, UNIT);
	disk_submit(w->rig.channel, r);
}

/* Requests that pass each other, also on the same blocks. */
static void mix(struct world *w, unsigned count)
{
	while (count > 0) {
		for (unsigned i = 0; i < SLOTS; i++) {
			if (!w->slots[i].busy && count > 0 && random_chance(&w->random, 2, 3)) {
				slot_start(w, &w->slots[i]);
				count--;
			}
		}
		w->ended = false;
		assert_true(loop_sim_run(w->rig.world, &w->ended, UINT64_MAX, 100000));
	}
	assert_true(loop_sim_run(w->rig.world, NULL, UINT64_MAX, 100000));
}

/* One request after the other. */
static void row(struct world *w, unsigned count)
{
	for (; count > 0; count--) {
		slot_start(w, &w->slots[0]);
		assert_true(loop_sim_run(w->rig.world, NULL, UINT64_MAX, 100000));
	}
}

static void assert_content(struct disk_sim *sim, const uint8_t *expected)
{
	uint8_t *found = malloc(SIZE);

	assert_non_null(found);
	disk_sim_peek(sim, 0, found, SIZE);
	for (unsigned i = 0; i < SIZE; i += UNIT) {
		if (memcmp(found + i, expected + i, UNIT) != 0)
			fail_msg("unit %u: %u, expected %u", i / UNIT, found[i], expected[i]);
	}
	free(found);
}

static void assert_crash(struct disk_sim_trace *trace, const struct disk_sim_crash *crash,
			 const uint8_t *expected)
{
	struct disk_sim *sim = disk_sim_crash_new(trace, crash);

	assert_content(sim, expected);
	disk_sim_free(sim);
}

/* --- the model ----------------------------------------------------------------------------- */

static bool covered(const struct disk_sim_trace *trace, size_t end, size_t cut)
{
	for (size_t i = end + 1; i < cut; i++) {
		const struct disk_sim_event *submitted = disk_sim_trace_event(trace, i);

		if (submitted->op != DISK_FLUSH || submitted->end)
			continue;
		for (size_t j = i + 1; j < cut; j++) {
			const struct disk_sim_event *e = disk_sim_trace_event(trace, j);

			if (e->request == submitted->request)
				return e->result == 0 || covered(trace, i, cut);
		}
	}
	return false;
}

struct pending {
	const struct disk_sim_event *event;
	bool unflushed;
};

static size_t model_pending(const struct disk_sim_trace *trace, size_t cut,
			    struct pending *ret_pending)
{
	bool ended[EVENTS_MAX] = {false};
	size_t count = 0;

	for (size_t i = 0; i < cut; i++) {
		const struct disk_sim_event *e = disk_sim_trace_event(trace, i);

		if (!e->end || e->op == DISK_FLUSH)
			continue;
		ended[e->request] = true;
		ret_pending[count].event = e;
		ret_pending[count++].unflushed =
			!covered(trace, i, cut) && !(e->flags & DISK_FUA && e->result == 0);
	}
	for (size_t i = 0; i < cut; i++) {
		const struct disk_sim_event *e = disk_sim_trace_event(trace, i);

		if (e->end || e->op == DISK_FLUSH || ended[e->request])
			continue;
		ret_pending[count].event = e;
		ret_pending[count++].unflushed = true;
	}
	return count;
}

static bool model_keeps(const struct disk_sim_crash *c, size_t j)
{
	switch (c->kind) {
	case DISK_SIM_CRASH_NONE:
		return false;
	case DISK_SIM_CRASH_DROP:
		return j != c->first;
	case DISK_SIM_CRASH_KEEP:
		return j == c->first;
	case DISK_SIM_CRASH_DROP_PAIR:
		return j != c->first && j != c->second;
	case DISK_SIM_CRASH_CHOSEN:
		return (c->keep[j / 64] >> (j % 64)) & 1;
	case DISK_SIM_CRASH_ALL:
	case DISK_SIM_CRASH_TEAR:
		return true;
	}
	return true;
}

static void model_content(const struct pending *pending, size_t count,
			  const struct disk_sim_crash *crash, uint8_t *ret_content)
{
	size_t j = 0;

	memset(ret_content, 0, SIZE);
	for (size_t i = 0; i < count; i++) {
		const struct disk_sim_event *e = pending[i].event;
		const bool torn = pending[i].unflushed && crash->kind == DISK_SIM_CRASH_TEAR &&
				  j == crash->first;

		if (pending[i].unflushed && !model_keeps(crash, j++))
			continue;
		for (uint64_t k = 0; k < e->length_bytes; k += UNIT) {
			const uint64_t eighth = e->length_bytes / 8;

			if (torn &&
			    (crash->tear == 7 ? k < 4 * eighth : k >= (crash->tear + 1) * eighth))
				continue;
			if (e->data)
				memcpy(ret_content + e->offset + k, (const uint8_t *)e->data + k,
				       UNIT);
			else
				memset(ret_content + e->offset + k, 0, UNIT);
		}
	}
}

/* Every state of a cut, or some when there are many. */
static void check_cut(struct disk_sim_trace *trace, size_t cut, unsigned step)
{
	static struct pending pending[EVENTS_MAX];
	static uint8_t content[SIZE];
	const size_t count = model_pending(trace, cut, pending);
	const uint64_t keep[] = {0x5A5AA5A5C3C33C3C};
	struct disk_sim_crash crash = {0};
	size_t w = 0;

	for (size_t i = 0; i < count; i++)
		w += pending[i].unflushed;
	assert_int_equal(disk_sim_crash_unflushed(trace, cut), w);
	assert_int_equal(disk_sim_crash_count(trace, cut), w ? 2 + 10 * w + w * (w - 1) / 2 : 1);
	for (uint64_t n = 0; n < disk_sim_crash_count(trace, cut); n += step) {
		disk_sim_crash_at(trace, cut, n, &crash);
		model_content(pending, count, &crash, content);
		assert_crash(trace, &crash, content);
	}
	crash = (struct disk_sim_crash){.cut = cut, .kind = DISK_SIM_CRASH_CHOSEN, .keep = keep};
	assert_true(w <= 64);
	model_content(pending, count, &crash, content);
	assert_crash(trace, &crash, content);
}

static void all_states(void **state)
{
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct disk_sim_params params = drive;
		struct world w;

		params.seed = seed;
		params.discard_zeroes = true;
		world_init(&w, &params);
		w.trace = disk_sim_trace_start(w.sim, ROOM);
		mix(&w, 60);
		disk_sim_trace_stop(w.trace);
		assert_true(disk_sim_trace_count(w.trace) > 80);
		for (size_t cut = 0; cut <= disk_sim_trace_count(w.trace); cut++)
			check_cut(w.trace, cut, seed == 1 ? 1 : 7);
		world_fini(&w);
	}
}

/* Cuts in any order, with drives of other cuts alive, in another process. */
static void any_order(void **state)
{
	static struct pending pending[EVENTS_MAX];
	static uint8_t content[SIZE];
	struct disk_sim_params params = drive;
	struct disk_sim_crash crash = {.kind = DISK_SIM_CRASH_NONE};
	struct disk_sim *kept;
	struct world w;
	size_t end;
	pid_t child;
	int status;

	params.discard_zeroes = true;
	world_init(&w, &params);
	w.trace = disk_sim_trace_start(w.sim, ROOM);
	mix(&w, 100);
	end = disk_sim_trace_count(w.trace);
	for (size_t cut = end; cut > 0; cut -= MIN(cut, 20))
		check_cut(w.trace, cut, 7);
	crash.cut = end / 2;
	model_content(pending, model_pending(w.trace, crash.cut, pending), &crash, content);
	kept = disk_sim_crash_new(w.trace, &crash);
	check_cut(w.trace, end, 7); /* forward, in its sight */
	assert_content(kept, content);
	for (size_t cut = 0; cut <= end; cut += 20)
		check_cut(w.trace, cut, 7);
	assert_content(kept, content);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		check_cut(w.trace, end, 7);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_content(kept, content);
	disk_sim_free(kept);
	check_cut(w.trace, 1, 1);
	check_cut(w.trace, end / 2, 1);
	world_fini(&w);
}

/* Everything a drive can do wrong: the trace tells what it did. */
static struct disk_sim_plan hostile(void)
{
	struct disk_sim_plan plan = drive.plan;

	plan.error_ppm[DISK_WRITE] = 200000;
	plan.error_ppm[DISK_WRITE_ZEROES] = 200000;
	plan.error_ppm[DISK_DISCARD] = 200000;
	plan.fault_ppm[DISK_SIM_PHANTOM] = 100000;
	plan.fault_ppm[DISK_SIM_MISDIRECT_WRITE] = 100000;
	plan.fault_ppm[DISK_SIM_FLUSH_LIE] = 300000;
	plan.fault_ppm[DISK_SIM_FUA_IGNORE] = 300000;
	return plan;
}

static void against_the_drive(void **state)
{
	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct disk_sim_params params = drive;
		struct disk_sim_crash crash = {.kind = DISK_SIM_CRASH_ALL};
		static uint8_t content[SIZE];
		struct world w;

		params.seed = seed;
		params.plan = hostile();
		params.write_through = seed % 10 == 0;
		world_init(&w, &params);
		w.trace = disk_sim_trace_start(w.sim, ROOM);
		mix(&w, 50);
		crash.cut = disk_sim_trace_count(w.trace);
		disk_sim_peek(w.sim, 0, content, SIZE);
		assert_crash(w.trace, &crash, content);
		world_fini(&w);

		/* One by one: of requests that pass each other a flush may cover more than it must.
		 */
		world_init(&w, &params);
		w.trace = disk_sim_trace_start(w.sim, ROOM);
		row(&w, 50);
		disk_sim_power_cut(w.sim);
		crash.cut = disk_sim_trace_count(w.trace);
		crash.kind = DISK_SIM_CRASH_NONE;
		disk_sim_peek(w.sim, 0, content, SIZE);
		assert_crash(w.trace, &crash, content);
		world_fini(&w);
	}
}

static void events(void **state)
{
	struct disk_sim_params params = drive;
	const struct disk_sim_event *e;
	struct disk_sim_crash crash = {0};
	struct world a, b;
	uint64_t sequence = 0;

	params.sequence = &sequence;
	world_init(&a, &params);
	world_init(&b, &params);
	assert_int_equal(put(&a, RIG_FUA, 1, 9), 0); /* the base */
	a.trace = disk_sim_trace_start(a.sim, ROOM);
	b.trace = disk_sim_trace_start(b.sim, ROOM);
	assert_int_equal(put(&a, 0, 2, 7), 0);
	assert_int_equal(put(&b, RIG_FUA, 3, 8), 0);
	assert_int_equal(flush(&a), 0);
	assert_int_equal(disk_sim_trace_count(a.trace), 4);
	e = disk_sim_trace_event(a.trace, 0);
	assert_int_equal(e->sequence, 1);
	assert_int_equal(e->op, DISK_WRITE);
	assert_int_equal(e->offset, 2 * BLOCK);
	assert_int_equal(e->length_bytes, BLOCK);
	assert_int_equal(*(const uint8_t *)e->data, 7);
	assert_false(e->end);
	assert_true(disk_sim_trace_event(a.trace, 1)->end);
	assert_int_equal(disk_sim_trace_event(a.trace, 1)->request, e->request);
	assert_int_equal(disk_sim_trace_event(b.trace, 0)->sequence, 3);
	assert_int_equal(disk_sim_trace_event(b.trace, 0)->flags, DISK_FUA);
	assert_int_equal(disk_sim_trace_event(a.trace, 2)->op, DISK_FLUSH);
	assert_int_equal(disk_sim_trace_event(a.trace, 3)->sequence, 6);
	assert_int_equal(disk_sim_trace_cut_at(a.trace, 0), 0);
	assert_int_equal(disk_sim_trace_cut_at(a.trace, 4), 2);
	assert_int_equal(disk_sim_trace_cut_at(b.trace, 4), 2);
	assert_int_equal(disk_sim_trace_cut_at(a.trace, 6), 4);
	/* FUA: nothing to lose; in flight: it may be. */
	assert_int_equal(disk_sim_crash_unflushed(b.trace, 1), 1);
	assert_int_equal(disk_sim_crash_unflushed(b.trace, 2), 0);
	/* A flush counts when it has ended. */
	assert_int_equal(disk_sim_crash_unflushed(a.trace, 3), 1);
	assert_int_equal(disk_sim_crash_unflushed(a.trace, 4), 0);
	crash.kind = DISK_SIM_CRASH_NONE;
	for (crash.cut = 0; crash.cut <= 4; crash.cut++) {
		struct disk_sim *sim = disk_sim_crash_new(a.trace, &crash);
		uint8_t bytes[2];

		disk_sim_peek(sim, 1 * BLOCK, &bytes[0], 1);
		disk_sim_peek(sim, 2 * BLOCK, &bytes[1], 1);
		assert_int_equal(bytes[0], 9);
		assert_int_equal(bytes[1], crash.cut == 4 ? 7 : 0);
		disk_sim_free(sim);
	}
	world_fini(&a);
	world_fini(&b);
}

/* A drive after a crash is a drive: it runs, is traced, crashes. */
static void depth_two(void **state)
{
	struct disk_sim_params params = drive;
	struct disk_sim_crash crash = {.kind = DISK_SIM_CRASH_ALL};
	static uint8_t content[SIZE];
	struct disk *disk;
	struct world w, x = {0};

	params.size_max_bytes = 2 * SIZE;
	world_init(&w, &params);
	w.trace = disk_sim_trace_start(w.sim, ROOM);
	assert_int_equal(put(&w, 0, 0, 1), 0);
	assert_int_equal(put(&w, 0, 1, 1), 0);
	crash.cut = disk_sim_trace_count(w.trace);
	x.sim = disk_sim_crash_new(w.trace, &crash);
	rig_init_sim(&x.rig, 1);
	assert_int_equal(disk_sim_open(x.sim, &disk), 0);
	rig_use(&x.rig, disk);
	assert_int_equal(disk_info(disk)->size_bytes, SIZE);
	/* What the crash left is safe; what comes is not. */
	assert_int_equal(put(&x, 0, 1, 2), 0);
	disk_sim_power_cut(x.sim);
	rig_close(&x.rig);
	assert_int_equal(disk_sim_open(x.sim, &disk), 0);
	rig_use(&x.rig, disk);
	x.trace = disk_sim_trace_start(x.sim, ROOM);
	assert_int_equal(put(&x, 0, 2, 3), 0);
	crash.cut = disk_sim_trace_count(x.trace);
	memset(content, 1, 2 * BLOCK);
	memset(content + 2 * BLOCK, 3, BLOCK);
	assert_crash(x.trace, &crash, content);
	world_fini(&x);
	/* It was a copy. */
	memset(content + 2 * BLOCK, 0, BLOCK);
	assert_content(w.sim, content);
	world_fini(&w);
}

static void bounded(void **state)
{
	struct disk_sim_crash crash = {.kind = DISK_SIM_CRASH_ALL};
	static uint8_t content[SIZE];
	struct world w;

	world_init(&w, &drive);
	w.trace = disk_sim_trace_start(w.sim, 3 * BLOCK);
	for (uint8_t i = 0; i < 6; i++) {
		assert_int_equal(put(&w, 0, i, i + 1), 0);
		assert_int_equal(disk_sim_trace_full(w.trace), i >= 2);
	}
	assert_int_equal(disk_sim_trace_count(w.trace), 4);
	memset(content, 1, BLOCK);
	memset(content + BLOCK, 2, BLOCK);
	crash.cut = 4;
	assert_crash(w.trace, &crash, content);
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events),    cmocka_unit_test(all_states),
		cmocka_unit_test(any_order), cmocka_unit_test(against_the_drive),
		cmocka_unit_test(depth_two), cmocka_unit_test(bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
