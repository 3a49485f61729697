/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One image at a time: what is fetched and when, what is never shown, and how each fault of the
 * source ends. What guests do meanwhile, and power cuts, are in test_job_crash.c.
 *
 * QUOIN_IMAGE_PLACES: at how many of all requests each fault comes, and power goes (default 2; 0:
 * at every one).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <quoin/base_text.h>

#include "image_rig.h"

#define PLACES_DEFAULT 2

struct test {
	struct image_rig rig;
	struct record record;
	uint8_t *buffer; /* a piece */
	struct block_device *device;
	struct block_channel *channel;
	uint64_t nth;	/* where it is to happen, from 1 */
	uint64_t count; /* of where it could have */
};

static void begin(struct test *t)
{
	rig_create(&t->rig, &t->record);
	assert_int_equal(rig_start(&t->rig), 0);
}

static void attach(struct test *t)
{
	t->device = arrival_device_new(job_arrival(t->rig.job), false, "vol");
	assert_int_equal(block_channel_open(t->device, t->rig.loop, &t->channel), 0);
}

static void detach(struct test *t)
{
	block_channel_close(t->channel);
	block_close(t->device);
}

static int io(struct test *t, enum block_op op, uint64_t offset, size_t length)
{
	const bool data = op == BLOCK_READ || op == BLOCK_WRITE;

	return arrival_io(t->channel, &(struct arrival_span){.op = op,
							     .offset = offset,
							     .data = data ? t->buffer : NULL,
							     .length = length});
}

static void volume_is_image(struct test *t)
{
	struct block_channel *channel;

	assert_int_equal(block_channel_open(t->rig.devices[0], t->rig.loop, &channel), 0);
	for (uint64_t at = 0; at < RIG_VOLUME; at += ARRIVAL_PIECE_BYTES) {
		assert_int_equal(
			arrival_io(channel, &(struct arrival_span){.op = BLOCK_READ,
								   .offset = at,
								   .data = t->buffer,
								   .length = ARRIVAL_PIECE_BYTES}),
			0);
		assert_memory_equal(t->buffer, t->rig.image + at, ARRIVAL_PIECE_BYTES);
	}
	block_channel_close(channel);
}

struct how {
	const struct fake_plan *plan; /* NULL = nothing goes wrong */
	unsigned flags;		      /* of the record */
	uint64_t nth;
};

/* How often it could have happened. */
static uint64_t run_how(void (*main)(void *arg), uint64_t seed, const struct how *how)
{
	struct test *t = xcalloc(1, sizeof(*t));
	uint64_t count;

	rig_init(&t->rig, seed);
	t->nth = how->nth;
	t->buffer = aligned_alloc(RIG_BLOCK, ARRIVAL_PIECE_BYTES);
	t->record = rig_record(&t->rig);
	t->record.flags = how->flags;
	rig_image_sha256(&t->rig, t->record.sha256);
	if (how->plan)
		t->rig.plan = *how->plan;
	rig_run(&t->rig, main, t);
	count = t->count;
	rig_fini(&t->rig);
	free(t->buffer);
	free(t);
	return count;
}

static void run(void (*main)(void *arg), uint64_t seed, const struct fake_plan *plan,
		unsigned flags)
{
	run_how(main, seed, &(struct how){.plan = plan, .flags = flags});
}

/* --- Arriving --------------------------------------------------------------------------------- */

static void arrives(void *arg)
{
	struct test *t = arg;

	begin(t);
	rig_wait_done(&t->rig);
	volume_is_image(t);
	/* Each byte once; holes of whole pieces never. */
	assert_true(t->rig.source_bytes <= RIG_IMAGE);
	rig_stop(&t->rig);
}

static void an_image_arrives(void **state)
{
	const struct fake_plan plain = {.no_extents = true};

	for (uint64_t seed = 1; seed <= 5; seed++) {
		run(arrives, seed, NULL, 0);
		run(arrives, seed, &plain, 0);
		run(arrives, seed, NULL, RECORD_SHA256);
		run(arrives, seed, NULL, RECORD_DIGESTS);
	}
}

static void arrives_over_faults(void *arg)
{
	struct test *t = arg;

	begin(t);
	rig_wait_done(&t->rig);
	volume_is_image(t);
	rig_stop(&t->rig);
}

static void faults_cost_time_alone(void **state)
{
	const struct fake_plan plan = {.fail = 150, .die = 50, .stall = 30, .open_fails = 400};

	for (uint64_t seed = 1; seed <= 10; seed++)
		run(arrives_over_faults, seed, &plan,
		    seed % 3 == 0   ? RECORD_SHA256
		    : seed % 3 == 1 ? RECORD_DIGESTS
				    : 0);
}

/* Stopped, and begun again: how much is here. */
static uint64_t half_way(struct test *t)
{
	struct job_progress progress;

	t->record.rate_bytes = 2 * MiB;
	begin(t);
	fiber_sleep_ns(1500 * NS_PER_MS);
	job_progress(t->rig.job, &progress);
	assert_false(progress.again);
	rig_stop(&t->rig);
	assert_int_equal(rig_start(&t->rig), 0);
	job_progress(t->rig.job, &progress);
	assert_true(progress.here_bytes >= MiB && progress.here_bytes < RIG_IMAGE);
	return progress.here_bytes;
}

static void comes_back(void *arg)
{
	struct test *t = arg;
	uint64_t here;

	t->rig.plan.no_extents = true;
	here = half_way(t);
	t->rig.source_bytes = 0;
	assert_int_equal(job_rate_set(t->rig.job, 0), 0);
	rig_wait_done(&t->rig);
	assert_int_equal(t->rig.source_bytes, RIG_IMAGE - here);
	volume_is_image(t);
	rig_stop(&t->rig);
}

static void nothing_is_fetched_twice(void **state)
{
	run(comes_back, 1, NULL, 0);
	run(comes_back, 2, NULL, RECORD_SHA256);
	run(comes_back, 3, NULL, RECORD_DIGESTS);
}

/* --- In order ----------------------------------------------------------------------------------
 */

static void an_image_is_read_in_order(void **state)
{
	const struct fake_plan plan = {.in_order = true};

	run(arrives, 1, &plan, 0);
	run(arrives, 2, &plan, RECORD_SHA256);
	run(arrives, 3, &plan, RECORD_DIGESTS);
}

/* The fake source fails a test that reads from it anywhere else. */
static void it_begins_again_after_faults(void **state)
{
	const struct fake_plan plan = {
		.fail = 60, .die = 30, .stall = 20, .open_fails = 300, .in_order = true};

	for (uint64_t seed = 1; seed <= 6; seed++)
		run(arrives_over_faults, seed, &plan,
		    seed % 3 == 0   ? RECORD_SHA256
		    : seed % 3 == 1 ? RECORD_DIGESTS
				    : 0);
}

static uint64_t volume_writes(struct test *t)
{
	struct disk_sim_stats stats;

	disk_sim_stats_get(t->rig.drives[0], &stats);
	return stats.done[DISK_WRITE];
}

static void begins_again(void *arg)
{
	struct test *t = arg;
	struct job_progress progress;
	uint64_t here;
	uint64_t writes;

	here = half_way(t);
	writes = volume_writes(t);
	t->rig.source_bytes = 0;
	assert_int_equal(job_rate_set(t->rig.job, 0), 0);
	do {
		fiber_sleep_ns(100 * NS_PER_US);
		job_progress(t->rig.job, &progress);
		/* Until it is where it was, nothing is written. */
		if (progress.passed_bytes < here)
			assert_int_equal(volume_writes(t), writes);
	} while (progress.passed_bytes < here);
	assert_int_equal(progress.access, IMAGE_SEQUENTIAL);
	assert_true(progress.again);
	rig_wait_done(&t->rig);
	assert_int_equal(t->rig.source_bytes, RIG_IMAGE);
	volume_is_image(t);
	rig_stop(&t->rig);
}

static void a_restart_begins_again_and_rewrites_nothing(void **state)
{
	const struct fake_plan plan = {.in_order = true};

	run(begins_again, 1, &plan, 0);
	run(begins_again, 2, &plan, RECORD_SHA256);
}

static void guest_is_ahead(void *arg)
{
	struct test *t = arg;

	t->record.flags |= RECORD_PAUSED;
	begin(t);
	attach(t);
	fiber_sleep_ns(NS_PER_S);
	assert_int_equal(t->rig.source_reads, 0);
	/* A pause holds nobody up, and all that is before comes with it. */
	assert_int_equal(io(t, BLOCK_READ, 3 * MiB - RIG_BLOCK, 2 * RIG_BLOCK), 0);
	assert_memory_equal(t->buffer, t->rig.image + 3 * MiB - RIG_BLOCK, 2 * RIG_BLOCK);
	fiber_sleep_ns(NS_PER_S);
	assert_int_equal(t->rig.source_reads, 4);
	assert_int_equal(job_pause(t->rig.job, false), 0);
	rig_wait_done(&t->rig);
	volume_is_image(t);
	detach(t);
	rig_stop(&t->rig);
}

static void guests_wait_for_what_is_before(void **state)
{
	const struct fake_plan plan = {.in_order = true};

	run(guest_is_ahead, 1, &plan, 0);
	run(guest_is_ahead, 2, &plan, RECORD_SHA256);
}

/* --- Sums that sources bring -------------------------------------------------------------------
 */

static void sum_comes_along(void *arg)
{
	struct test *t = arg;

	snprintf(t->record.format, sizeof(t->record.format), "qcow2");
	t->rig.plan.brings_sum = true;
	begin(t);
	rig_wait_done(&t->rig);
	volume_is_image(t);
	rig_stop(&t->rig);
}

static void wait_failed(struct test *t, const char *why);

static void wrong_sum_comes_along(void *arg)
{
	struct test *t = arg;

	snprintf(t->record.format, sizeof(t->record.format), "qcow2");
	t->rig.plan.brings_sum = t->rig.plan.wrong_sum = true;
	begin(t);
	attach(t);
	wait_failed(t, "SHA-256");
	assert_int_equal(t->rig.source_reads, 0);
	assert_int_equal(io(t, BLOCK_READ, 0, RIG_BLOCK), -EIO);
	detach(t);
	rig_stop(&t->rig);
}

static void a_sum_that_comes_along_is_enough(void **state)
{
	run(sum_comes_along, 1, NULL, RECORD_SHA256);
	run(wrong_sum_comes_along, 1, NULL, RECORD_SHA256);
}

/* --- Guests --------------------------------------------------------------------------------------
 */

static void guest_first(void *arg)
{
	struct test *t = arg;
	struct job_progress progress;

	t->record.flags |= RECORD_PAUSED;
	t->rig.plan.no_extents = true;
	begin(t);
	attach(t);
	fiber_sleep_ns(NS_PER_S);
	assert_int_equal(t->rig.source_reads, 0);
	/* A read brings its pieces and no other. */
	assert_int_equal(io(t, BLOCK_READ, 3 * MiB - RIG_BLOCK, 2 * RIG_BLOCK), 0);
	assert_memory_equal(t->buffer, t->rig.image + 3 * MiB - RIG_BLOCK, 2 * RIG_BLOCK);
	assert_int_equal(t->rig.source_reads, 2);
	/* A write of whole blocks needs nothing, and is not written over. */
	memset(t->buffer, 0x5a, RIG_BLOCK);
	assert_int_equal(io(t, BLOCK_WRITE, 0, RIG_BLOCK), 0);
	assert_int_equal(t->rig.source_reads, 2);
	/* Zeroes over a whole piece need nothing either. */
	assert_int_equal(io(t, BLOCK_WRITE_ZEROES, MiB, MiB), 0);
	assert_int_equal(t->rig.source_reads, 2);
	/* Zeroes over a part of one do. */
	assert_int_equal(io(t, BLOCK_DISCARD, 4 * MiB, RIG_BLOCK), 0);
	assert_int_equal(t->rig.source_reads, 3);
	memset(t->rig.image, 0x5a, RIG_BLOCK);
	memset(t->rig.image + MiB, 0, MiB);
	memset(t->rig.image + 4 * MiB, 0, RIG_BLOCK);
	job_progress(t->rig.job, &progress);
	assert_int_equal(progress.state, JOB_PAUSED);
	assert_int_equal(job_pause(t->rig.job, false), 0);
	rig_wait_done(&t->rig);
	volume_is_image(t);
	/* The device still works, straight through. */
	assert_int_equal(io(t, BLOCK_READ, 0, RIG_BLOCK), 0);
	assert_int_equal(t->buffer[0], 0x5a);
	detach(t);
	rig_stop(&t->rig);
}

static void guests_come_first(void **state)
{
	run(guest_first, 4, NULL, 0);
}

/* --- What must not be shown --------------------------------------------------------------------
 */

static void wait_failed(struct test *t, const char *why)
{
	struct job_progress progress;

	do {
		fiber_sleep_ns(10 * NS_PER_MS);
		job_progress(t->rig.job, &progress);
		assert_false(job_done(t->rig.job));
	} while (progress.state != JOB_FAILED);
	if (!strstr(progress.problem, why))
		fail_msg("it failed because: %s", progress.problem);
}

static void wrong_piece(void *arg)
{
	struct test *t = arg;
	struct job_progress progress;

	begin(t);
	attach(t);
	for (uint64_t at = 0; at < RIG_VOLUME; at += ARRIVAL_PIECE_BYTES)
		if (io(t, BLOCK_READ, at, ARRIVAL_PIECE_BYTES) == 0)
			assert_memory_equal(t->buffer, t->rig.image + at, ARRIVAL_PIECE_BYTES);
	wait_failed(t, "list of digests");
	detach(t);
	rig_stop(&t->rig);
	/* It is remembered, and nothing is fetched. */
	t->rig.source_reads = 0;
	assert_int_equal(rig_start(&t->rig), 0);
	fiber_sleep_ns(NS_PER_S);
	job_progress(t->rig.job, &progress);
	assert_int_equal(progress.state, JOB_FAILED);
	assert_int_equal(t->rig.source_reads, 0);
	rig_stop(&t->rig);
}

static void wrong_pieces_are_not_shown(void **state)
{
	const struct fake_plan often = {.wrong = 500, .no_extents = true};
	const struct fake_plan always = {.wrong = 1000, .no_extents = true};

	/* Seeds of worlds where one of six is wrong. */
	for (uint64_t seed = 1; seed <= 5; seed++)
		run(wrong_piece, seed, seed % 2 ? &always : &often, RECORD_DIGESTS);
}

static void wrong_whole(void *arg)
{
	struct test *t = arg;

	t->record.sha256[0] ^= 1;
	begin(t);
	attach(t);
	wait_failed(t, "SHA-256");
	assert_false(t->rig.settled);
	/* Nothing of it is shown any more, not even what a guest wrote. */
	assert_int_equal(io(t, BLOCK_READ, 0, RIG_BLOCK), -EIO);
	assert_int_equal(io(t, BLOCK_FLUSH, 0, 0), -EIO);
	detach(t);
	rig_stop(&t->rig);
}

static void a_wrong_sum_stops_it(void **state)
{
	run(wrong_whole, 1, NULL, RECORD_SHA256);
}

static void source_changes(void *arg)
{
	struct test *t = arg;

	t->record.rate_bytes = 4 * MiB;
	begin(t);
	attach(t);
	t->rig.plan.changed = true;
	wait_failed(t, "changed while it was fetched");
	assert_false(t->rig.settled);
	detach(t);
	rig_stop(&t->rig);
}

static void another_image_is_not_mixed_in(void **state)
{
	const struct fake_plan dies = {.die = 500, .no_extents = true};

	/* Seen at the end, and seen when the source is opened again. */
	run(source_changes, 1, NULL, 0);
	run(source_changes, 2, &dies, 0);
}

/* --- Waiting
 * ---------------------------------------------------------------------------------------- */

static void source_away(void *arg)
{
	struct test *t = arg;
	struct job_progress progress;

	t->rig.plan.open_fails = 1000;
	begin(t);
	attach(t);
	fiber_sleep_ns(10 * NS_PER_S);
	job_progress(t->rig.job, &progress);
	assert_int_equal(progress.state, JOB_WAITING);
	assert_string_equal(progress.problem, "the fake source is away");
	/* Who leaves does not wait with it. */
	block_hurry(t->channel, true);
	assert_int_equal(io(t, BLOCK_READ, 0, RIG_BLOCK), -EIO);
	assert_int_equal(io(t, BLOCK_WRITE_ZEROES, 0, RIG_BLOCK), -EIO);
	block_hurry(t->channel, false);
	t->rig.plan.open_fails = 0;
	job_retry(t->rig.job);
	assert_int_equal(io(t, BLOCK_READ, 0, RIG_BLOCK), 0);
	rig_wait_done(&t->rig);
	volume_is_image(t);
	detach(t);
	rig_stop(&t->rig);
}

static void a_source_that_is_away_is_waited_for(void **state)
{
	run(source_away, 1, NULL, 0);
}

/* It would hang for ever: so would this, if nobody gave it up. */
static void opening_hangs(void *arg)
{
	struct test *t = arg;

	t->rig.plan.open_hangs = true;
	begin(t);
	fiber_sleep_ns(NS_PER_S);
	assert_int_equal(t->rig.sources_opened, 0);
	rig_stop(&t->rig);
}

static void original_hangs(void *arg)
{
	struct test *t = arg;

	snprintf(t->record.format, sizeof(t->record.format), "qcow2");
	t->record.flags |= RECORD_PAUSED;
	begin(t);
	fiber_sleep_ns(NS_PER_S);
	assert_int_equal(t->rig.sources_opened, 1);
	t->rig.plan.open_hangs = true;
	assert_int_equal(job_pause(t->rig.job, false), 0);
	fiber_sleep_ns(NS_PER_S);
	rig_stop(&t->rig);
}

static void an_opening_is_given_up(void **state)
{
	run(opening_hangs, 1, NULL, 0);
	run(original_hangs, 1, NULL, RECORD_SHA256);
}

/* --- Anywhere ----------------------------------------------------------------------------------
 */

/* Once nowhere, which counts the places; then there. */
static void everywhere(void (*main)(void *arg), struct how how)
{
	const char *text = getenv("QUOIN_IMAGE_PLACES");
	const uint64_t places = text ? strtoull(text, NULL, 10) : PLACES_DEFAULT;
	uint64_t count;

	how.nth = UINT64_MAX;
	count = run_how(main, 6, &how);
	assert_true(count > RIG_IMAGE / ARRIVAL_PIECE_BYTES);
	for (how.nth = 1; how.nth <= count;
	     how.nth += places == 0 ? 1 : MAX(count / places, UINT64_C(1)))
		run_how(main, 6, &how);
}

/* The guest's own, flushed: over the image from now on. */
static void guest_changes(struct test *t)
{
	const uint64_t at = 2 * MiB + 5 * RIG_BLOCK;

	memset(t->buffer, 0x5a, 3 * RIG_BLOCK);
	assert_int_equal(io(t, BLOCK_WRITE, at, 3 * RIG_BLOCK), 0);
	assert_int_equal(io(t, BLOCK_FLUSH, 0, 0), 0);
	memset(t->rig.image + at, 0x5a, 3 * RIG_BLOCK);
}

static void guest_sees_all(struct test *t)
{
	for (uint64_t at = 0; at < RIG_VOLUME; at += ARRIVAL_PIECE_BYTES) {
		assert_int_equal(io(t, BLOCK_READ, at, ARRIVAL_PIECE_BYTES), 0);
		assert_memory_equal(t->buffer, t->rig.image + at, ARRIVAL_PIECE_BYTES);
	}
}

static void one_goes_wrong(void *arg)
{
	struct test *t = arg;

	t->rig.plan.only = t->nth;
	begin(t);
	attach(t);
	guest_sees_all(t);
	rig_wait_done(&t->rig);
	volume_is_image(t);
	detach(t);
	rig_stop(&t->rig);
	t->count = t->rig.source_requests;
}

/* It is found out for good: nothing wrong is shown before, or after. */
static void one_is_wrong(void *arg)
{
	struct test *t = arg;
	struct job_progress progress;

	t->rig.plan.only = t->nth;
	begin(t);
	attach(t);
	for (uint64_t at = 0; at < RIG_VOLUME; at += ARRIVAL_PIECE_BYTES)
		if (io(t, BLOCK_READ, at, ARRIVAL_PIECE_BYTES) == 0)
			assert_memory_equal(t->buffer, t->rig.image + at, ARRIVAL_PIECE_BYTES);
	do {
		fiber_sleep_ns(10 * NS_PER_MS);
		job_progress(t->rig.job, &progress);
	} while (!job_done(t->rig.job) && progress.state != JOB_FAILED);
	if (job_done(t->rig.job))
		volume_is_image(t);
	detach(t);
	rig_stop(&t->rig);
	t->count = t->rig.source_requests;
}

static void a_fault_at_each_request(void **state)
{
	static const struct {
		struct fake_plan plan;
		unsigned flags;
	} faults[] = {
		{{.fail = 1}, 0},
		{{.stall = 1}, 0},
		{{.die = 1}, RECORD_SHA256},
		{{.wrong = 1}, RECORD_DIGESTS},
		{{.fail = 1, .in_order = true}, 0},
		{{.die = 1, .in_order = true}, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
		everywhere(faults[i].plan.wrong ? one_is_wrong : one_goes_wrong,
			   (struct how){.plan = &faults[i].plan, .flags = faults[i].flags});
}

static uint64_t accepted(const struct test *t)
{
	struct disk_sim_stats stats[2];

	for (unsigned i = 0; i < 2; i++)
		disk_sim_stats_get(t->rig.drives[i], &stats[i]);
	return stats[0].accepted + stats[1].accepted;
}

static void cut_off(void *arg)
{
	detach(arg);
}

/* With the nth request that drives are asked for, of any kind. */
static void power_goes(void *arg)
{
	struct test *t = arg;
	uint64_t before;
	bool changed = false;

	begin(t);
	before = accepted(t);
	attach(t);
	while (accepted(t) - before < t->nth && !job_done(t->rig.job)) {
		if (!changed)
			guest_changes(t);
		changed = true;
		fiber_sleep_ns(20 * NS_PER_US);
	}
	t->count = accepted(t) - before;
	rig_power_cut(&t->rig, cut_off, t);
	assert_int_equal(rig_start(&t->rig), 0);
	attach(t);
	guest_sees_all(t);
	rig_wait_done(&t->rig);
	volume_is_image(t);
	detach(t);
	rig_stop(&t->rig);
}

static void power_goes_at_requests_of_the_drives(void **state)
{
	everywhere(power_goes, (struct how){.nth = 0});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_image_arrives),
		cmocka_unit_test(faults_cost_time_alone),
		cmocka_unit_test(nothing_is_fetched_twice),
		cmocka_unit_test(a_fault_at_each_request),
		cmocka_unit_test(power_goes_at_requests_of_the_drives),
		cmocka_unit_test(an_image_is_read_in_order),
		cmocka_unit_test(it_begins_again_after_faults),
		cmocka_unit_test(a_restart_begins_again_and_rewrites_nothing),
		cmocka_unit_test(guests_wait_for_what_is_before),
		cmocka_unit_test(a_sum_that_comes_along_is_enough),
		cmocka_unit_test(an_opening_is_given_up),
		cmocka_unit_test(guests_come_first),
		cmocka_unit_test(wrong_pieces_are_not_shown),
		cmocka_unit_test(a_wrong_sum_stops_it),
		cmocka_unit_test(another_image_is_not_mixed_in),
		cmocka_unit_test(a_source_that_is_away_is_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
