/* SPDX-License-Identifier: Apache-2.0 */
/* A job's life, and its keeper: the fiber that opens sources, writes the record and ends it all. */
#include "job_private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_log.h>

#define TICK_NS (100 * NS_PER_MS)
#define PERSIST_NS NS_PER_S
#define RATE_NS (2 * NS_PER_S) /* over which the rate is told */
#define RETRY_NS_MIN NS_PER_S
#define RETRY_NS_MAX (60 * NS_PER_S)
#define LEAVE_LOOK_NS NS_PER_MS

void job_wake(struct job *job)
{
	for (unsigned i = 0; i < JOB_FETCHERS; i++)
		if (job->fetchers[i].fiber)
			fiber_wake(job->fetchers[i].fiber);
	if (job->hasher && job->hasher_running)
		fiber_wake(job->hasher);
	if (job->keeper)
		fiber_wake(job->keeper);
}

void job_fail(struct job *job, const char *format, ...)
{
	va_list args;

	if (job->state == JOB_FAILED)
		return;
	va_start(args, format);
	vsnprintf(job->problem, sizeof(job->problem), format, args);
	va_end(args);
	job->state = JOB_FAILED;
	job->record.flags |= RECORD_FAILED;
	snprintf(job->record.problem, sizeof(job->record.problem), "%s", job->problem);
	job->failure_unrecorded = true;
	log_warning("an image will not arrive: %s", job->problem);
	/* Nobody reads it any more: the keeper closes it. */
	job->bad = true;
	arrival_judge(&job->arrival, -EIO);
	job_wake(job);
	if (job->changed)
		job->changed(job->data);
}

/* --- Time
 * ------------------------------------------------------------------------------------------- */

static void rate_look(struct job *job, uint64_t now_ns)
{
	const uint64_t past_ns = now_ns - job->allowance_ns;
	const uint64_t rate = job->record.rate_bytes;
	const int64_t most = (int64_t)MAX(rate / 4, ARRIVAL_PIECE_BYTES);

	job->allowance_ns = now_ns;
	job->allowance += (int64_t)((double)rate * (double)past_ns / (double)NS_PER_S);
	job->allowance = rate == 0 ? 0 : MIN(job->allowance, most);
	if (now_ns - job->rate_ns < RATE_NS)
		return;
	job->rate_now = (job->fetched_bytes - job->rate_bytes) * NS_PER_S / (now_ns - job->rate_ns);
	job->rate_ns = now_ns;
	job->rate_bytes = job->fetched_bytes;
}

static void tick(struct loop_timer *timer)
{
	struct job *job = container_of(timer, struct job, tick);
	const uint64_t now_ns = loop_now_ns(job->loop);

	rate_look(job, now_ns);
	loop_timer_arm(job->loop, timer, now_ns + TICK_NS);
	job_wake(job);
}

/* --- The keeper
 * -------------------------------------------------------------------------------------- */

static bool record_due(const struct job *job, uint64_t now_ns)
{
	if (job->failure_unrecorded || job->unrecorded >= JOB_PERSIST_PIECES)
		return true;
	return now_ns - job->persisted_ns >= PERSIST_NS &&
	       (job->unrecorded > 0 || job->record.hashed_bytes != job->persisted_hashed);
}

static void record_keep(struct job *job)
{
	const uint64_t hashed = job->record.hashed_bytes;
	const bool failure = job->failure_unrecorded;
	int r;

	if (!record_due(job, loop_now_ns(job->loop)))
		return;
	r = job_persist(job);
	job->persisted_ns = loop_now_ns(job->loop);
	if (r < 0) {
		log_debug("the record of an image is not written: %s", strerror(-r));
		job->unrecorded += job->unrecorded == 0;
		return;
	}
	job->persisted_hashed = hashed;
	job->failure_unrecorded = job->failure_unrecorded && !failure;
}

static bool whole(const struct job *job)
{
	return job->state != JOB_FAILED && job->arrival.here_count == job->arrival.piece_count &&
	       !job_hash_wanted(job) && !job->hasher_running;
}

/* All is here: is it still the same image, and is it safe? */
static void finish(struct job *job)
{
	int r;

	if (loop_now_ns(job->loop) < job->retry_ns)
		return;
	r = job->verified_same ? 0 : job_source_same(job);
	if (r == -ESTALE)
		job_fail(job, "%.200s changed while it was fetched: parts of two images are mixed",
			 job->record.source);
	if (r < 0)
		return;
	job->verified_same = true;
	r = job->record_channel ? job_persist(job) : 0;
	/* A request of a guest may have wanted it, too. */
	while (job->persisting)
		fiber_sleep_ns(LEAVE_LOOK_NS);
	if (r == 0) {
		/* Nobody writes it any more: whoever has its device may be rid of it. */
		block_channel_close(job->record_channel);
		job->record_channel = NULL;
		r = job->settle(job->data);
	}
	if (r < 0) {
		job_wait(job,
			 "the volume cannot be made an ordinary one yet: see quoin pool status");
		return;
	}
	job->problem[0] = '\0';
	job->state = JOB_DONE;
	arrival_complete(&job->arrival);
	job_wake(job);
}

static void keeper_main(void *arg)
{
	struct job *job = arg;

	while (!job->stopping && job->state != JOB_DONE) {
		if (whole(job))
			finish(job);
		else
			job_source_keep(job);
		record_keep(job);
		if (!job->stopping && job->state != JOB_DONE)
			fiber_park();
	}
	/* Programs that read the image go when it is here, not when its last user does. */
	while (job->fetchers_running > 0 || job->hasher_running)
		fiber_park();
	if (job->source)
		job->source->ops->close(job->source);
	job->source = NULL;
	loop_timer_disarm(job->loop, &job->tick);
	if (job->state == JOB_DONE && job->changed)
		job->changed(job->data);
}

/* --- Life
 * --------------------------------------------------------------------------------------------- */

static int fetcher_start(struct job *job, struct job_fetcher *f)
{
	int r;

	f->job = job;
	f->piece = UINT64_MAX;
	f->data = aligned_alloc(4096, 2 * ARRIVAL_PIECE_BYTES);
	if (!f->data)
		return -ENOMEM;
	f->scratch = f->data + ARRIVAL_PIECE_BYTES;
	r = fiber_start(job->loop, true, job_fetcher_main, f, &f->fiber);
	job->fetchers_running += r == 0;
	return r;
}

static void hash_init(struct job *job)
{
	codec_sha256_init(&job->sha);
	if (!job_hash_wanted(job))
		return;
	if (job->record.hashed_bytes > 0) {
		job->sha.length_bytes = job->record.hashed_bytes;
		memcpy(job->sha.state, job->record.hash_state, sizeof(job->sha.state));
	}
	job->hashing_stream = strcmp(job->record.format, "raw") == 0 &&
			      job->record.original_bytes == job->record.image_bytes;
	/* A state between pieces: where the stream can go on. */
	if (job->hashing_stream && job->sha.length_bytes % ARRIVAL_PIECE_BYTES != 0)
		codec_sha256_init(&job->sha);
}

static void job_init(struct job *job, const struct job_params *params)
{
	const uint64_t now_ns = loop_now_ns(params->loop);

	job->loop = params->loop;
	job->opener = *params->opener;
	job->record = *params->record;
	job->digests = params->digests;
	job->source = params->source;
	job->settle = params->settle;
	job->changed = params->changed;
	job->data = params->data;
	job->retry_ns_min = params->retry_ns_min ? params->retry_ns_min : RETRY_NS_MIN;
	job->retry_ns_max = params->retry_ns_max ? params->retry_ns_max : RETRY_NS_MAX;
	job->allowance_ns = job->rate_ns = job->persisted_ns = now_ns;
	job->persisted_hashed = job->record.hashed_bytes;
	for (unsigned i = 0; i < JOB_FETCHERS; i++)
		job->fetchers[i].piece = UINT64_MAX;
	loop_timer_init(&job->tick, tick);
	if (job->record.flags & RECORD_FAILED) {
		job->state = JOB_FAILED;
		snprintf(job->problem, sizeof(job->problem), "%s", job->record.problem);
	}
}

static int fibers_start(struct job *job)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < JOB_FETCHERS; i++)
		r = fetcher_start(job, &job->fetchers[i]);
	if (r == 0) {
		hash_init(job);
		job_source_sum(job);
		r = job_hasher_start(job);
	}
	if (r == 0)
		r = fiber_start(job->loop, true, keeper_main, job, &job->keeper);
	return r;
}

int job_new(const struct job_params *params, struct job **ret_job)
{
	struct job *job = calloc(1, sizeof(*job));
	int r;

	if (!job)
		return -ENOMEM;
	r = arrival_init(&job->arrival, params->loop, params->volume, params->record->image_bytes);
	if (r < 0) {
		free(job);
		return r;
	}
	job->arrival.demand = job_demand;
	job->arrival.persist = job_persist_arrival;
	job->arrival.data = job;
	job_init(job, params);
	r = block_channel_open(params->record_device, params->loop, &job->record_channel);
	if (r == 0)
		r = job_bitmap_read(job);
	if (job->state == JOB_FAILED)
		arrival_judge(&job->arrival, -EIO);
	if (r == 0)
		r = fibers_start(job);
	if (r < 0) {
		job->digests = NULL;
		job->source = NULL;
		job_free(job);
		return r;
	}
	loop_timer_arm(job->loop, &job->tick, loop_now_ns(job->loop) + TICK_NS);
	*ret_job = job;
	return 0;
}

static void fibers_end(struct job *job)
{
	job->stopping = true;
	image_opening_give_up(&job->opening);
	image_opening_give_up(&job->opening_original);
	if (job->source)
		job->source->ops->stop(job->source);
	if (job->original)
		job->original->ops->stop(job->original);
	job_wake(job);
	for (unsigned i = 0; i < JOB_FETCHERS; i++) {
		if (job->fetchers[i].fiber)
			fiber_join(job->fetchers[i].fiber);
		job->fetchers[i].fiber = NULL;
		free(job->fetchers[i].data);
	}
	if (job->hasher)
		fiber_join(job->hasher);
	job->hasher = NULL;
	if (job->keeper)
		fiber_join(job->keeper);
	job->keeper = NULL;
}

void job_free(struct job *job)
{
	struct arrival *arrival;

	if (!job)
		return;
	arrival = &job->arrival;
	/* Guests are gone; their goodbyes may still be on their way. */
	if (!arrival->complete)
		arrival_judge(arrival, -EIO);
	while (arrival->devices > 0 || arrival->in_flight > 0 || arrival->puncher)
		fiber_sleep_ns(LEAVE_LOOK_NS);
	fibers_end(job);
	if (job->unrecorded > 0 && job_persist(job) < 0)
		log_debug("the record of an image is not written at its end");
	loop_timer_disarm(job->loop, &job->tick);
	block_channel_close(job->record_channel);
	arrival_fini(arrival);
	free(job->digests);
	free(job);
}

/* --- For the verbs
 * -------------------------------------------------------------------------------------- */

struct arrival *job_arrival(struct job *job)
{
	return &job->arrival;
}

bool job_done(const struct job *job)
{
	return job->state == JOB_DONE;
}

static enum job_state state_told(const struct job *job)
{
	if (job->state != JOB_ARRIVING)
		return job->state;
	if (job->problem[0] != '\0')
		return JOB_WAITING;
	if (job->record.flags & RECORD_PAUSED)
		return JOB_PAUSED;
	return job->arrival.here_count == job->arrival.piece_count ? JOB_VERIFYING : JOB_ARRIVING;
}

/* How the source is read, also while it is opened. */
static void access_tell(const struct job *job, struct job_progress *progress)
{
	const struct image_source *source = job->source ? job->source : job->opening.source;

	if (!source)
		return;
	progress->access = source->access;
	progress->again = progress->access == IMAGE_SEQUENTIAL && job->stream_again;
	if (progress->access == IMAGE_STAGED)
		progress->passed_bytes = source->staged_bytes;
	else if (progress->access == IMAGE_SEQUENTIAL)
		progress->passed_bytes =
			MIN(job->stream_next * ARRIVAL_PIECE_BYTES, progress->original_bytes);
}

void job_progress(struct job *job, struct job_progress *ret_progress)
{
	const struct arrival *arrival = &job->arrival;
	const bool sha = (job->record.flags & RECORD_SHA256) != 0;

	*ret_progress = (struct job_progress){
		.state = state_told(job),
		.problem = job->problem,
		.source = job->record.source,
		.image_bytes = arrival->image_bytes,
		.here_bytes = MIN(arrival->here_count * ARRIVAL_PIECE_BYTES, arrival->image_bytes),
		.fetched_bytes = job->fetched_bytes,
		.verified_bytes = !sha		? 0
				  : job->hashed ? job->record.original_bytes
						: job->sha.length_bytes,
		.verify_bytes = sha ? job->record.original_bytes : 0,
		.rate_limit = job->record.rate_bytes,
		.rate_now = job->rate_now,
		.first = (job->record.flags & RECORD_FIRST) != 0,
		.original_bytes = job->record.original_bytes,
	};
	access_tell(job, ret_progress);
}

int job_pause(struct job *job, bool on)
{
	job->record.flags &= ~(unsigned)RECORD_PAUSED;
	job->record.flags |= on ? RECORD_PAUSED : 0;
	job_wake(job);
	return job_persist(job);
}

int job_rate_set(struct job *job, uint64_t rate_bytes)
{
	job->record.rate_bytes = rate_bytes;
	job->allowance = 0;
	return job_persist(job);
}

void job_retry(struct job *job)
{
	job->retry_ns = 0;
	job->failures = 0;
	job_wake(job);
}
