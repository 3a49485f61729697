/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The digest of the original, taken in one pass from its beginning. When the image is its original
 * (raw), this fiber is the stream as well: what it has looked at it puts in, and only pieces that
 * guests asked for ahead of it are fetched twice. Else the original is read beside the disk in it.
 * Where it stands is kept in the record, so that a restart goes on there.
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

static void judge(struct job *job)
{
	uint8_t digest[CODEC_SHA256_BYTES];

	codec_sha256_end(&job->sha, digest);
	if (memcmp(digest, job->record.sha256, sizeof(digest)) == 0) {
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

static void original_close(struct job *job)
{
	if (job->original)
		job->original->ops->close(job->original);
	job->original = NULL;
}

static int step_beside(struct job *job, uint8_t *data)
{
	const uint64_t offset = job->sha.length_bytes;
	const size_t length = (size_t)MIN(ARRIVAL_PIECE_BYTES, job->record.original_bytes - offset);
	int r = job->original ? 0 : job_source_original(job);

	if (r < 0)
		return r;
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

void job_hash_main(void *arg)
{
	struct job *job = arg;
	uint8_t *data = aligned_alloc(4096, 2 * ARRIVAL_PIECE_BYTES);

	while (data && !job->stopping && job->sha.length_bytes < job->record.original_bytes) {
		int r = -EAGAIN;

		if (!held_back(job))
			r = job->hashing_stream ? step_stream(job, data, data + ARRIVAL_PIECE_BYTES)
						: step_beside(job, data);
		if (r == 0 && job->sha.length_bytes % CODEC_SHA256_BLOCK_BYTES == 0)
			state_keep(job);
		if (r < 0)
			fiber_park();
	}
	original_close(job);
	free(data);
	if (!data)
		job_wait(job, "out of memory");
	else if (!job->stopping)
		judge(job);
	job->hashing_stream = false;
	job->hasher_running = false;
	job_wake(job);
}
