/* SPDX-License-Identifier: Apache-2.0 */
/* The job, its drives and its source, put together; see image_rig.h. */
#include "image_rig.h"

#include <errno.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <quoin/base_text.h>

/* --- The source ------------------------------------------------------------------------------ */

struct fake_source {
	struct image_source source;
	struct image_rig *rig;
	bool dead, stopped;
	uint64_t at; /* where it is, when it is read in order */
};

static struct fake_source *fake_of(struct image_source *source)
{
	return container_of(source, struct fake_source, source);
}

static bool chance(struct image_rig *rig, unsigned permille)
{
	return random_chance(&rig->random, permille, 1000);
}

/* What the source does wrong with this request. */
static bool mischance(struct image_rig *rig, uint64_t request, unsigned permille)
{
	return rig->plan.only == 0 ? chance(rig, permille)
				   : rig->plan.only == request && permille > 0;
}

static int fake_answer(struct fake_source *fake, uint64_t request)
{
	struct image_rig *rig = fake->rig;
	uint64_t wait_ns = 50 * NS_PER_US + random_below(&rig->random, NS_PER_MS);

	if (mischance(rig, request, rig->plan.stall))
		wait_ns = 20 * NS_PER_S;
	for (; wait_ns > 0 && !fake->stopped; wait_ns -= MIN(wait_ns, 10 * NS_PER_MS))
		fiber_sleep_ns(MIN(wait_ns, 10 * NS_PER_MS));
	if (fake->stopped)
		return -ECANCELED;
	if (mischance(rig, request, rig->plan.die))
		fake->dead = true;
	if (!fake->dead && !mischance(rig, request, rig->plan.fail))
		return 0;
	snprintf(fake->source.problem, sizeof(fake->source.problem), "the fake source failed");
	return -EIO;
}

static int fake_read(struct image_source *source, uint64_t offset, void *data, size_t length)
{
	struct fake_source *fake = fake_of(source);
	struct image_rig *rig = fake->rig;
	const uint64_t request = ++rig->source_requests;
	int r;

	assert_true(offset + length <= RIG_IMAGE);
	if (source->access == IMAGE_SEQUENTIAL)
		assert_int_equal(offset, fake->at);
	fake->at = offset + length;
	r = fake_answer(fake, request);
	/* A request that fails may have left anything in the buffer. */
	if (r < 0) {
		random_fill(&rig->random, data, length);
		return r;
	}
	memcpy(data, rig->image + offset, length);
	if (mischance(rig, request, rig->plan.wrong))
		((uint8_t *)data)[random_below(&rig->random, length)] ^= 1;
	rig->source_reads++;
	rig->source_bytes += length;
	return 0;
}

static bool block_zero(const struct image_rig *rig, uint64_t block)
{
	static const uint8_t zero[RIG_BLOCK];

	return memcmp(rig->image + block * RIG_BLOCK, zero, RIG_BLOCK) == 0;
}

static int fake_extent(struct image_source *source, uint64_t offset, uint64_t *length,
		       bool *ret_zero)
{
	struct fake_source *fake = fake_of(source);
	const uint64_t first = offset / RIG_BLOCK;
	const uint64_t limit = (offset + *length) / RIG_BLOCK;
	uint64_t end = first;
	int r = fake_answer(fake, ++fake->rig->source_requests);

	if (r < 0)
		return r;
	*ret_zero = false;
	if (fake->rig->plan.no_extents)
		return 0;
	*ret_zero = block_zero(fake->rig, first);
	while (end < limit && block_zero(fake->rig, end) == *ret_zero)
		end++;
	*length = MIN(*length, MAX(end, first + 1) * RIG_BLOCK - offset);
	return 0;
}

static void fake_stop(struct image_source *source)
{
	fake_of(source)->stopped = true;
}

static void fake_close(struct image_source *source)
{
	fake_of(source)->rig->sources_open--;
	free(fake_of(source));
}

static const struct image_source_ops fake_ops = {
	.read = fake_read, .extent = fake_extent, .stop = fake_stop, .close = fake_close};

struct fake_opener {
	struct image_opener opener;
	struct image_rig *rig;
};

/* `directory` is the opener's to use: here it leads to the rig. */
static int fake_open(const struct image_opener *opener, struct loop *loop,
		     const struct image_ask *ask, struct image_source **ret_source, struct err *err)
{
	struct image_rig *rig = (struct image_rig *)(void *)(uintptr_t)opener->directory;
	struct fake_source *fake;

	fiber_sleep_ns(NS_PER_MS);
	while (rig->plan.open_hangs && !ask->opening->given_up)
		fiber_sleep_ns(NS_PER_MS);
	if (ask->opening->given_up)
		return err_set(err, -ECANCELED, "it was given up");
	if (chance(rig, rig->plan.open_fails))
		return err_set(err, -EHOSTUNREACH, "the fake source is away");
	fake = xcalloc(1, sizeof(*fake));
	fake->rig = rig;
	fake->source.ops = &fake_ops;
	fake->source.size_bytes = fake->source.original_bytes = RIG_IMAGE;
	fake->source.original = true;
	snprintf(fake->source.format, sizeof(fake->source.format), "raw");
	snprintf(fake->source.identity, sizeof(fake->source.identity), "%s",
		 rig->plan.changed ? "two" : "one");
	if (rig->plan.in_order)
		fake->source.access = IMAGE_SEQUENTIAL;
	if (rig->plan.brings_sum)
		assert_false(ask->original);
	fake->source.has_sum = rig->plan.brings_sum && ask->sum;
	rig_image_sha256(rig, fake->source.sum);
	fake->source.sum[0] ^= rig->plan.wrong_sum ? 1 : 0;
	rig->sources_open++;
	rig->sources_opened++;
	*ret_source = &fake->source;
	return 0;
}

/* --- The world ------------------------------------------------------------------------------- */

/* Holes, single blocks and long runs. */
static void image_make(struct image_rig *rig)
{
	uint64_t at = 0;

	while (at < RIG_IMAGE) {
		const uint64_t longest = chance(rig, 300) ? 2 * MiB : 64 * KiB;
		uint64_t length = RIG_BLOCK * (1 + random_below(&rig->random, longest / RIG_BLOCK));

		length = MIN(length, RIG_IMAGE - at);
		if (chance(rig, 600))
			random_fill(&rig->random, rig->image + at, length);
		at += length;
	}
}

static void drives_open(struct image_rig *rig)
{
	struct err err;

	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(disk_sim_open(rig->drives[i], &rig->disks[i]), 0);
		assert_int_equal(block_open_disk(rig->disks[i], 0, &rig->devices[i], &err), 0);
	}
}

static void drives_close(struct image_rig *rig)
{
	for (unsigned i = 0; i < 2; i++) {
		block_close(rig->devices[i]);
		disk_close(rig->disks[i]);
	}
}

void rig_init(struct image_rig *rig, uint64_t seed)
{
	struct disk_sim_params params = {
		.logical_block_bytes = RIG_BLOCK,
		.discard = true,
		.discard_zeroes = true,
		.plan = disk_sim_plan_default(),
	};

	memset(rig, 0, sizeof(*rig));
	rig->seed = seed;
	random_init(&rig->random, seed);
	rig->world = loop_sim_new(seed);
	rig->loop = loop_sim_add(rig->world);
	rig->other = loop_sim_add(rig->world);
	for (unsigned i = 0; i < 2; i++) {
		params.seed = seed * 2 + i;
		params.size_bytes = i == 0 ? RIG_VOLUME : RIG_RECORD;
		rig->drives[i] = disk_sim_new(&params);
	}
	image_make(rig);
	drives_open(rig);
}

void rig_fini(struct image_rig *rig)
{
	drives_close(rig);
	loop_sim_free(rig->world);
	for (unsigned i = 0; i < 2; i++)
		disk_sim_free(rig->drives[i]);
}

struct runner {
	void (*main)(void *arg);
	void *arg;
	bool ended;
};

static void runner_main(void *arg)
{
	struct runner *runner = arg;

	runner->main(runner->arg);
	runner->ended = true;
}

void rig_run(struct image_rig *rig, void (*main)(void *arg), void *arg)
{
	struct runner runner = {.main = main, .arg = arg};

	assert_int_equal(fiber_start(rig->loop, false, runner_main, &runner, NULL), 0);
	if (!loop_sim_run(rig->world, &runner.ended, 100000 * NS_PER_S, 200000000) || !runner.ended)
		fail_msg("seed %llu hangs", (unsigned long long)rig->seed);
}

/* --- The job --------------------------------------------------------------------------------- */

static int settle(void *data)
{
	((struct image_rig *)data)->settled = true;
	return 0;
}

struct record rig_record(const struct image_rig *rig)
{
	return (struct record){.image_bytes = RIG_IMAGE,
			       .original_bytes = RIG_IMAGE,
			       .format = "raw",
			       .identity = "one",
			       .source = "fake"};
}

void rig_image_sha256(const struct image_rig *rig, uint8_t ret[CODEC_SHA256_BYTES])
{
	codec_sha256(rig->image, RIG_IMAGE, ret);
}

uint8_t (*rig_digests(const struct image_rig *rig))[CODEC_SHA256_BYTES]
{
	uint8_t(*all)[CODEC_SHA256_BYTES] = xcalloc(8, sizeof(*all));

	for (uint64_t i = 0; i * ARRIVAL_PIECE_BYTES < RIG_IMAGE; i++) {
		const uint64_t at = i * ARRIVAL_PIECE_BYTES;

		codec_sha256(rig->image + at, MIN(ARRIVAL_PIECE_BYTES, RIG_IMAGE - at), all[i]);
	}
	return all;
}

void rig_create(struct image_rig *rig, const struct record *record)
{
	uint8_t(*digests)[CODEC_SHA256_BYTES] = NULL;

	if (record->flags & RECORD_DIGESTS)
		digests = rig_digests(rig);
	assert_int_equal(job_record_create(rig->loop, rig->devices[1], record,
					   (const uint8_t(*)[CODEC_SHA256_BYTES])digests),
			 0);
	free(digests);
}

int rig_start(struct image_rig *rig)
{
	struct record *record = xcalloc(1, sizeof(*record));
	const struct image_opener opener = {.open = fake_open,
					    .directory = (const char *)(void *)rig};
	struct job_params params = {.loop = rig->loop,
				    .opener = &opener,
				    .volume = rig->devices[0],
				    .record_device = rig->devices[1],
				    .record = record,
				    .settle = settle,
				    .data = rig};
	int r = job_record_read(rig->loop, rig->devices[1], record, &params.digests);

	if (r == 0)
		r = job_new(&params, &rig->job);
	free(record);
	return r;
}

void rig_stop(struct image_rig *rig)
{
	job_free(rig->job);
	rig->job = NULL;
	assert_int_equal(rig->sources_open, 0);
}

void rig_wait_done(struct image_rig *rig)
{
	struct job_progress progress;

	do {
		fiber_sleep_ns(10 * NS_PER_MS);
		job_progress(rig->job, &progress);
		if (progress.state == JOB_FAILED)
			fail_msg("seed %llu: %s", (unsigned long long)rig->seed, progress.problem);
	} while (!job_done(rig->job));
	assert_true(rig->settled);
}

void rig_power_cut(struct image_rig *rig, void (*before_stop)(void *arg), void *arg)
{
	for (unsigned i = 0; i < 2; i++)
		disk_sim_power_cut(rig->drives[i]);
	before_stop(arg);
	rig_stop(rig);
	drives_close(rig);
	drives_open(rig);
}
