/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The source of a job: opened by its keeper, used by many fibers, closed when it failed and nobody
 * uses it any more, opened again after a while that grows from failure to failure.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <quoin/base_log.h>

#include "job_private.h"

int job_source_take(struct job *job)
{
	if (!job->source || job->bad || job->stopping)
		return -EAGAIN;
	job->users++;
	return 0;
}

void job_source_give(struct job *job)
{
	job->users--;
	if (job->users == 0 && job->bad)
		job_wake(job);
}

/* The same for what else may get better by itself: a full pool. */
void job_wait(struct job *job, const char *problem)
{
	const uint64_t shift = MIN(job->failures, 10U);
	const uint64_t wait_ns = MIN(job->retry_ns_min << shift, job->retry_ns_max);

	if (job->state == JOB_FAILED)
		return;
	if (strcmp(job->problem, problem) != 0)
		log_debug("an image waits: %s", problem);
	snprintf(job->problem, sizeof(job->problem), "%s", problem);
	job->failures++;
	job->retry_ns = loop_now_ns(job->loop) + wait_ns;
}

void job_source_failed(struct job *job)
{
	if (job->bad || job->stopping)
		return;
	job->bad = true;
	job_wait(job, job->source->problem);
}

/* Another size, or another version of the file: no piece of it fits to what is here. */
static bool same(const struct job *job, const struct image_source *source)
{
	return source->size_bytes == job->record.image_bytes &&
	       strcmp(source->identity, job->record.identity) == 0;
}

static int open_one(struct job *job, bool original, struct image_source **ret_source,
		    struct err *err)
{
	const struct image_ask ask = {
		.source = job->record.source,
		.format = job->record.format,
		.original = original,
		.sum = !original && job_hash_wanted(job),
		.late = (job->record.flags & RECORD_FIRST) != 0,
		.rate_bytes = job->record.rate_bytes,
		.opening = original ? &job->opening_original : &job->opening,
	};

	return job->opener.open(&job->opener, job->loop, &ask, ret_source, err);
}

int job_source_original(struct job *job)
{
	struct err err = {.code = 0};
	int r = open_one(job, true, &job->original, &err);

	if (r < 0 && !job->stopping)
		job_wait(job, err.text);
	/* It has no other beginning. */
	if (r == 0 && job->original->access == IMAGE_SEQUENTIAL)
		codec_sha256_init(&job->sha);
	return r;
}

bool job_source_in_order(const struct job *job)
{
	return job->source && !job->bad && job->source->access == IMAGE_SEQUENTIAL;
}

void job_source_sum(struct job *job)
{
	if (job->source && job->source->has_sum && job_hash_wanted(job))
		job_hash_judge(job, job->source->sum);
}

/* It begins at the first piece, whatever is here. */
static void in_order_begin(struct job *job)
{
	job->stream_next = 0;
	job->stream_held = false;
	job->stream_again = job->arrival.here_count > 0;
	if (job->stream_again)
		log_info("%.200s is read in order from its beginning again: what is here of it "
			 "stays",
			 job->record.source);
}

static void open_again(struct job *job)
{
	struct image_source *source = NULL;
	struct err err = {.code = 0};
	const int r = open_one(job, false, &source, &err);

	if (r < 0) {
		if (!job->stopping)
			job_wait(job, err.text);
		return;
	}
	if (!same(job, source)) {
		source->ops->close(source);
		job_fail(job,
			 "%.200s is not what it was: it changed while it was fetched; destroy the "
			 "volume and deploy it again",
			 job->record.source);
		return;
	}
	job->source = source;
	job->bad = false;
	job->extent_end = 0;
	if (job_source_in_order(job))
		in_order_begin(job);
	job_source_sum(job);
	if (job_hasher_start(job) < 0)
		job_wait(job, "out of memory");
	job_wake(job);
}

void job_source_keep(struct job *job)
{
	if (job->source && job->bad && job->users == 0) {
		job->source->ops->close(job->source);
		job->source = NULL;
	}
	if (!job->source && !job->stopping && job->state != JOB_FAILED &&
	    loop_now_ns(job->loop) >= job->retry_ns)
		open_again(job);
}

int job_source_same(struct job *job)
{
	const struct image_ask ask = {.source = job->record.source,
				      .format = job->record.format,
				      .look = true,
				      .opening = &job->opening};
	struct image_source *source = NULL;
	struct err err = {.code = 0};
	int r = job->opener.open(&job->opener, job->loop, &ask, &source, &err);

	if (r < 0) {
		if (!job->stopping)
			job_wait(job, err.text);
		return r;
	}
	r = source->original_bytes == job->record.original_bytes &&
			    strcmp(source->identity, job->record.identity) == 0
		    ? 0
		    : -ESTALE;
	source->ops->close(source);
	return r;
}
