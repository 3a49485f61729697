/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is read in order: the digest of the original, taken in one pass from its beginning. When the
 * image is its original (raw), this fiber is the stream as well: what it has looked at it puts in,
 * and only pieces that guests asked for ahead of it are fetched twice. Else the original is read
 * beside the disk in it. Where it stands is kept in the record, so that a restart goes on there.
 *
 * A source that cannot be read but in order is read by this fiber alone, digest or not: from the
 * first piece to the last, whatever is here already, and anew when it failed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "job_private.h"

struct sum {
	struct loop_job job;
	struct fiber *fiber;
	struct codec_sha256 *sha;
	const void *data;
	size_t size_bytes;
	bool done;
};

static void sum_work(struct loop_job *job)
{
	struct sum *sum = container_of(job, struct sum, job);

	codec_sha256_add(sum->sha, sum->data, sum->size_bytes);
}

static void sum_done(struct loop_job *job)
{
	struct sum *sum = container_of(job, struct sum, job);

	sum->done = true;
	fiber_wake(sum->fiber);
}

void job_sha256(struct loop *loop, struct codec_sha256 *sha, const void *data, size_t size_bytes)
{
	struct sum sum = {.job = {.loop = loop, .work = sum_work, .done = sum_done},
			  .fiber = fiber_self(),
			  .sha = sha,
			  .data = data,
			  .size_bytes = size_bytes};

	loop_offload(loop, &sum.job);
	while (!sum.done)
		fiber_park();
}

bool job_hash_wanted(const struct job *job)
{
	return (job->record.flags & RECORD_SHA256) && !job->hashed;
}

static void state_keep(struct job *job)
{
	job->record.hashed_bytes = job->sha.length_bytes;
	memcpy(job->record.hash_state, job->sha.state, sizeof(job->sha.state));
}

void job_hash_judge(struct job *job, const uint8_t digest[CODEC_SHA256_BYTES])
{
	if (memcmp(digest, job->record.sha256, CODEC_SHA256_BYTES) == 0) {
		job->hashed = true;
		return;
	}
	job_fail(job,
		 "%.200s does not have the SHA-256 that it should have: nothing of it is shown; "
		 "destroy the volume",
		 job->record.source);
	arrival_condemn(&job->arrival);
}

static bool held_back(const struct job *job)
{
	return job->state == JOB_FAILED || (job->record.flags & RECORD_PAUSED) ||
	       loop_now_ns(job->loop) < job->retry_ns ||
	       (job->record.rate_bytes > 0 && job->allowance <= 0);
}

/* The next piece of the original: into the digest, and into the volume when it is the image. */
static int step_stream(struct job *job, uint8_t *data, void *scratch)
{
	const uint64_t piece = job->sha.length_bytes / ARRIVAL_PIECE_BYTES;
	bool zero = false;
	int r = job_source_take(job);

	if (r < 0)
		return r;
	r = job_piece_read(job, piece, data, &zero);
	if (r < 0)
		job_source_failed(job);
	job_source_give(job);
	if (r == 0 && !arrival_is_here(&job->arrival, piece))
		r = job_piece_put(job, piece, data, zero, scratch);
	if (r == 0)
		job_sha256(job->loop, &job->sha, data, arrival_piece_bytes(&job->arrival, piece));
	return r;
}

/* What guests wait for is behind all that comes before it. */
static bool held_back_in_order(struct job *job)
{
	if (job->state == JOB_FAILED || loop_now_ns(job->loop) < job->retry_ns)
		return true;
	return held_back(job) && !job_awaited(job);
}

static int in_order_read(struct job *job, uint8_t *data)
{
	const uint64_t offset = job->stream_next * ARRIVAL_PIECE_BYTES;
	const size_t length = arrival_piece_bytes(&job->arrival, job->stream_next);
	int r = job_source_take(job);

	if (r < 0)
		return r;
	r = job->source->ops->read(job->source, offset, data, length);
	if (r < 0)
		job_source_failed(job);
	job_source_give(job);
	if (r < 0)
		return r;
	memset(data + length, 0, ARRIVAL_PIECE_BYTES - length);
	job->fetched_bytes += length;
	job->allowance -= (int64_t)length;
	job->stream_held = true;
	return 0;
}

/* The next piece of a source that is read in order. Where it can not be put yet, it stays in data.
 */
static int step_in_order(struct job *job, uint8_t *data, void *scratch)
{
	const uint64_t piece = job->stream_next;
	int r = 0;

	if (held_back_in_order(job))
		return -EAGAIN;
	if (!job->stream_held)
		r = in_order_read(job, data);
	if (r == 0 && !arrival_is_here(&job->arrival, piece))
		r = job_piece_put(job, piece, data, false, scratch);
	if (r < 0)
		return r;
	if (job_hash_wanted(job) && job->sha.length_bytes == piece * ARRIVAL_PIECE_BYTES)
		job_sha256(job->loop, &job->sha, data, arrival_piece_bytes(&job->arrival, piece));
	job->stream_held = false;
	job->stream_next++;
	/* Who waited for it may ask for the next. */
	arrival_retry(&job->arrival);
	return 0;
}

static void original_close(struct job *job)
{
	if (job->original)
		job->original->ops->close(job->original);
	job->original = NULL;
}

static int step_beside(struct job *job, uint8_t *data)
{
	uint64_t offset;
	size_t length;
	int r = 0;

	/* It may bring the sum itself. */
	if (!job->source)
		return -EAGAIN;
	if (!job->original)
		r = job_source_original(job);
	if (r < 0)
		return r;
	offset = job->sha.length_bytes;
	length = (size_t)MIN(ARRIVAL_PIECE_BYTES, job->record.original_bytes - offset);
	r = job->original->size_bytes == job->record.original_bytes
		    ? job->original->ops->read(job->original, offset, data, length)
		    : -ESTALE;
	if (r == 0) {
		job->fetched_bytes += length;
		job->allowance -= (int64_t)length;
		job_sha256(job->loop, &job->sha, data, length);
		return 0;
	}
	if (r == -ESTALE)
		job_fail(job, "%.200s changed while it was fetched", job->record.source);
	else
		job_wait(job, job->original->problem);
	original_close(job);
	return r;
}

static bool hash_left(const struct job *job)
{
	return job_hash_wanted(job) && job->sha.length_bytes < job->record.original_bytes;
}

static bool work_left(const struct job *job)
{
	if (hash_left(job))
		return true;
	return job_source_in_order(job) && job->state != JOB_FAILED &&
	       job->arrival.here_count < job->arrival.piece_count;
}

static int step(struct job *job, uint8_t *data)
{
	uint8_t *scratch = data + ARRIVAL_PIECE_BYTES;

	if (job_source_in_order(job))
		return step_in_order(job, data, scratch);
	if (held_back(job))
		return -EAGAIN;
	return job->hashing_stream ? step_stream(job, data, scratch) : step_beside(job, data);
}

static void hasher_main(void *arg)
{
	struct job *job = arg;
	uint8_t *data = aligned_alloc(4096, 2 * ARRIVAL_PIECE_BYTES);
	uint8_t digest[CODEC_SHA256_BYTES];

	while (data && !job->stopping && work_left(job)) {
		const int r = step(job, data);

		if (r == 0 && job_hash_wanted(job) &&
		    job->sha.length_bytes % CODEC_SHA256_BLOCK_BYTES == 0)
			state_keep(job);
		if (r < 0)
			fiber_park();
	}
	original_close(job);
	free(data);
	if (!data)
		job_wait(job, "out of memory");
	else if (!job->stopping && job_hash_wanted(job) && !hash_left(job)) {
		codec_sha256_end(&job->sha, digest);
		job_hash_judge(job, digest);
	}
	job->hashing_stream = false;
	job->hasher_running = false;
	job_wake(job);
}

int job_hasher_start(struct job *job)
{
	int r;

	if (job->hasher_running || (!job_hash_wanted(job) && !work_left(job)))
		return 0;
	/* The one before has ended. */
	if (job->hasher)
		fiber_join(job->hasher);
	job->hasher = NULL;
	r = fiber_start(job->loop, true, hasher_main, job, &job->hasher);
	job->hasher_running = r == 0;
	return r;
}
