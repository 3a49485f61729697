/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes while checkpoints run. A drive of fixed latency, and blocks so far apart that a merge
 * reads pages of the map for each of them: it takes a hundred times as long as filling a delta.
 * All in simulated time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <quoin/base_assert.h>

#include "engine_rig.h"

#define DRIVE_BYTES (512 * MiB)
#define LATENCY_NS (100 * NS_PER_US)
#define DELTA_RECORDS 1024
#define SPOTS 4096	  /* blocks that are written */
#define STRIDE (32 * MiB) /* from one to the next: what a page of level 1 covers */
#define HOT_SPOTS 512	  /* fewer than make a checkpoint necessary */
#define STUMBLES 8
#define STUMBLE_NS (20 * NS_PER_MS)
#define GREEDY (4 * 16) /* writes at a time */
#define WRITES (4 * SPOTS)
#define WRITE_NS_MAX (40 * NS_PER_MS)
#define OTHERS_NS_MAX (2 * NS_PER_MS)

enum kind { GREEDY_WRITE, SMALL_WRITE, READ, FLUSH, KINDS };

struct job {
	struct block_request request;
	struct iovec iov;
	struct load *load;
	enum kind kind;
	uint64_t began_ns;
	_Alignas(RIG_BLOCK) uint8_t page[RIG_BLOCK];
};

struct load {
	struct engine_rig rig;
	struct rig_volume greedy, small;
	struct job jobs[GREEDY + KINDS];
	uint64_t spots; /* that are written and read */
	unsigned under_way;
	uint64_t left; /* greedy writes; nothing more is begun after the last */
	uint64_t worst_ns[KINDS];
	uint64_t ended_ns;
	struct fiber *fiber;
};

/* --- The load -------------------------------------------------------------------------------- */

static uint64_t now_ns(const struct load *load)
{
	return loop_now_ns(load->rig.loop);
}

static void ended(struct block_request *request);

static void begin(struct job *job)
{
	static const enum block_op ops[KINDS] = {BLOCK_WRITE, BLOCK_WRITE, BLOCK_READ, BLOCK_FLUSH};
	struct load *load = job->load;
	struct rig_volume *volume = job->kind == SMALL_WRITE ? &load->small : &load->greedy;
	const uint64_t spot = random_below(&load->rig.random, load->spots);

	if (job->kind == GREEDY_WRITE)
		load->left--;
	job->began_ns = now_ns(load);
	job->iov = (struct iovec){job->page, RIG_BLOCK};
	job->request = (struct block_request){.op = ops[job->kind], .done = ended};
	if (job->kind != FLUSH) {
		job->request.iov = &job->iov;
		job->request.iov_count = 1;
		job->request.offset = spot * STRIDE;
		job->request.length_bytes = RIG_BLOCK;
	}
	load->under_way++;
	block_submit(volume->channel, &job->request);
	block_kick(volume->channel);
}

static void ended(struct block_request *request)
{
	struct job *job = container_of(request, struct job, request);
	struct load *load = job->load;
	const uint64_t took_ns = now_ns(load) - job->began_ns;

	assert_int_equal(request->result, 0);
	load->worst_ns[job->kind] = MAX(load->worst_ns[job->kind], took_ns);
	load->ended_ns = now_ns(load);
	if (--load->under_way == 0 && load->left == 0)
		fiber_wake(load->fiber);
	if (load->left > 0)
		begin(job);
}

static void jobs_begin(struct load *load, unsigned others)
{
	for (unsigned i = 0; i < GREEDY + others; i++) {
		struct job *job = &load->jobs[i];

		job->load = load;
		job->kind = i < GREEDY ? GREEDY_WRITE : SMALL_WRITE + (i - GREEDY);
		memset(job->page, (int)i + 1, RIG_BLOCK);
		begin(job);
	}
}

static void jobs_wait(struct load *load)
{
	load->fiber = fiber_self();
	while (load->under_way > 0)
		fiber_park();
}

/* --- The pool -------------------------------------------------------------------------------- */

static void volume_make(struct load *load, const char *name, struct rig_volume *volume)
{
	const struct pool_volume_params params = {.size_bytes = SPOTS * STRIDE};

	assert_int_equal(pool_volume_create(load->rig.pool, name, &params, NULL), 0);
	assert_int_equal(rig_volume_open(&load->rig, name, volume), 0);
}

/* A pool whose volume has all its blocks. */
static void prepare(void *arg)
{
	struct load *load = arg;

	rig_format(&load->rig);
	assert_int_equal(rig_open(&load->rig), 0);
	volume_make(load, "greedy", &load->greedy);
	volume_make(load, "small", &load->small);
	memset(load->jobs[0].page, 1, RIG_BLOCK);
	for (uint64_t spot = 0; spot < SPOTS; spot++)
		assert_int_equal(rig_io(&load->greedy, BLOCK_WRITE, spot * STRIDE,
					load->jobs[0].page, RIG_BLOCK),
				 0);
	assert_int_equal(pool_sync(load->rig.pool), 0);
	/* And which knows what such checkpoints take. */
	load->left = SPOTS;
	jobs_begin(load, 0);
	jobs_wait(load);
	assert_int_equal(pool_sync(load->rig.pool), 0);
	memset(load->worst_ns, 0, sizeof(load->worst_ns));
}

static void finish(void *arg)
{
	struct load *load = arg;

	rig_volume_close(&load->greedy);
	rig_volume_close(&load->small);
	assert_int_equal(rig_close(&load->rig), 0);
}

static struct load *load_new(unsigned barriers_off)
{
	struct load *load = aligned_alloc(RIG_BLOCK, sizeof(*load));
	struct disk_sim_plan plan = disk_sim_plan_default();

	ASSERT(load != NULL);
	memset(load, 0, sizeof(*load));
	rig_init(&load->rig, 1, 1, DRIVE_BYTES);
	plan.latency_min_ns = plan.latency_max_ns = LATENCY_NS;
	disk_sim_plan_set(load->rig.drives[0], &plan);
	load->spots = SPOTS;
	load->rig.delta_records = DELTA_RECORDS;
	load->rig.barriers_off = barriers_off;
	rig_run(&load->rig, prepare, load);
	return load;
}

static void load_free(struct load *load)
{
	rig_run(&load->rig, finish, load);
	rig_fini(&load->rig);
	free(load);
}

static uint64_t held_writes(const struct load *load)
{
	struct pool_status status;

	pool_status(load->rig.pool, &status);
	return status.held_writes;
}

/* --- Side by side ---------------------------------------------------------------------------- */

struct outcome {
	uint64_t worst_ns[KINDS];
	uint64_t took_ns, held;
};

static void side_by_side(void *arg)
{
	struct load *load = arg;

	load->left = WRITES;
	jobs_begin(load, FLUSH - SMALL_WRITE);
	jobs_wait(load);
}

static struct outcome outcome_of(unsigned barriers_off, uint64_t spots)
{
	struct load *load = load_new(barriers_off);
	const uint64_t began_ns = loop_sim_now_ns(load->rig.world);
	struct outcome outcome;

	load->spots = spots;
	rig_run(&load->rig, side_by_side, load);
	memcpy(outcome.worst_ns, load->worst_ns, sizeof(outcome.worst_ns));
	outcome.took_ns = load->ended_ns - began_ns;
	outcome.held = held_writes(load);
	load_free(load);
	return outcome;
}

/* The same load without pacing stands still for whole checkpoints, and gets no more done. */
static void no_write_waits_for_a_whole_checkpoint(void **state)
{
	const struct outcome paced = outcome_of(0, SPOTS);
	const struct outcome wild = outcome_of(POOL_BARRIER_PACE, SPOTS);

	assert_true(wild.worst_ns[GREEDY_WRITE] > 2 * WRITE_NS_MAX);
	assert_int_equal(wild.held, 0);
	assert_true(paced.held > 0);
	assert_in_range(paced.worst_ns[GREEDY_WRITE], LATENCY_NS, WRITE_NS_MAX);
	assert_in_range(paced.worst_ns[SMALL_WRITE], LATENCY_NS, WRITE_NS_MAX);
	assert_in_range(paced.took_ns, 1, wild.took_ns + wild.took_ns / 20);
}

static void with_flushes(void *arg)
{
	struct load *load = arg;

	load->left = WRITES;
	jobs_begin(load, KINDS - 1);
	jobs_wait(load);
}

static void reads_and_flushes_are_not_held(void **state)
{
	struct load *load = load_new(0);

	rig_run(&load->rig, with_flushes, load);
	assert_true(held_writes(load) > 0);
	assert_in_range(load->worst_ns[GREEDY_WRITE], LATENCY_NS, WRITE_NS_MAX);
	assert_in_range(load->worst_ns[READ], LATENCY_NS, OTHERS_NS_MAX);
	assert_in_range(load->worst_ns[FLUSH], LATENCY_NS, OTHERS_NS_MAX);
	load_free(load);
}

/* Overwritten blocks take no place in the delta, but slots, which come back after checkpoints. */
static void nor_for_slots(void **state)
{
	const struct outcome paced = outcome_of(0, HOT_SPOTS);
	const struct outcome wild = outcome_of(POOL_BARRIER_PACE, HOT_SPOTS);

	assert_true(wild.worst_ns[GREEDY_WRITE] > WRITE_NS_MAX);
	assert_in_range(paced.worst_ns[GREEDY_WRITE], LATENCY_NS, WRITE_NS_MAX / 2);
	assert_in_range(paced.took_ns, 1, wild.took_ns + wild.took_ns / 20);
}

/* Now and then a flush at a checkpoint's end takes far longer than those before. */
static void stumble(struct load *load)
{
	for (uint64_t i = 1; i <= STUMBLES; i++) {
		const struct disk_sim_fault slow = {
			.kind = DISK_SIM_STALL,
			.ops = 1U << DISK_FLUSH,
			.after = 5 * i,
			.count = 1,
			.argument = STUMBLE_NS,
		};

		assert_int_equal(disk_sim_fault_add(load->rig.drives[0], &slow), 0);
	}
}

static void stumbling(void *arg)
{
	stumble(arg);
	side_by_side(arg);
}

/* What room is kept for the end of a checkpoint is enough for that. */
static void nor_for_a_checkpoint_that_stumbles(void **state)
{
	struct load *load = load_new(0);

	rig_run(&load->rig, stumbling, load);
	assert_in_range(load->worst_ns[GREEDY_WRITE], STUMBLE_NS, STUMBLE_NS + WRITE_NS_MAX / 2);
	load_free(load);
}

/* --- Who goes away ---------------------------------------------------------------------------- */

static void hurry(struct load *load)
{
	block_hurry(load->greedy.channel, true);
}

/* Closes the gate, and waits for what is under way. */
static void shrink(struct load *load)
{
	assert_int_equal(pool_volume_resize(load->rig.pool, "greedy", (SPOTS - 1) * STRIDE, NULL),
			 0);
}

struct departure {
	struct load *load;
	void (*leave)(struct load *load);
	uint64_t took_ns;
};

static void depart(void *arg)
{
	struct departure *departure = arg;
	struct load *load = departure->load;
	const uint64_t held = held_writes(load);
	uint64_t left_ns;

	load->fiber = fiber_self();
	load->left = UINT64_MAX;
	jobs_begin(load, 0);
	while (held_writes(load) < held + GREEDY)
		fiber_sleep_ns(LATENCY_NS);
	load->left = 0;
	left_ns = now_ns(load);
	if (departure->leave)
		departure->leave(load);
	jobs_wait(load);
	departure->took_ns = load->ended_ns - left_ns;
}

static uint64_t departure_ns(void (*leave)(struct load *load))
{
	struct departure departure = {.load = load_new(0), .leave = leave};

	rig_run(&departure.load->rig, depart, &departure);
	load_free(departure.load);
	return departure.took_ns;
}

static void who_goes_away_is_not_held(void **state)
{
	assert_true(departure_ns(NULL) > 10 * LATENCY_NS);
	assert_in_range(departure_ns(hurry), 0, 4 * LATENCY_NS);
	assert_in_range(departure_ns(shrink), 0, 4 * LATENCY_NS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_write_waits_for_a_whole_checkpoint),
		cmocka_unit_test(reads_and_flushes_are_not_held),
		cmocka_unit_test(nor_for_slots),
		cmocka_unit_test(nor_for_a_checkpoint_that_stumbles),
		cmocka_unit_test(who_goes_away_is_not_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
