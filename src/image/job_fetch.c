/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fetchers: fibers that bring one piece after the other. What guests wait for comes first; then
 * the rest, on from where a guest read last, for guests read forward.
 */
#include <errno.h>
#include <string.h>

#include <quoin/base_log.h>

#include "job_private.h"

#define EXTENT_BYTES GiB /* asked for at a time */

static bool fetching(const struct job *job, uint64_t piece)
{
	for (unsigned i = 0; i < JOB_FETCHERS; i++)
		if (job->fetchers[i].piece == piece)
			return true;
	return false;
}

void job_demand(void *data, uint64_t piece)
{
	struct job *job = data;

	if (fetching(job, piece))
		return;
	for (unsigned i = 0; i < job->demand_count; i++)
		if (job->demands[i] == piece)
			return;
	/* Who finds no place asks again when the next piece comes. */
	if (job->demand_count < JOB_DEMANDS_MAX)
		job->demands[job->demand_count++] = piece;
	job_wake(job);
}

bool job_awaited(struct job *job)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < job->demand_count; i++)
		if (!arrival_is_here(&job->arrival, job->demands[i]))
			job->demands[kept++] = job->demands[i];
	job->demand_count = kept;
	return kept > 0;
}

/* --- Which one next ----------------------------------------------------------------------------
 */

static bool demand_pick(struct job *job, uint64_t *ret_piece)
{
	while (job->demand_count > 0) {
		const uint64_t piece = job->demands[0];

		job->demand_count--;
		memmove(job->demands, job->demands + 1, job->demand_count * sizeof(*job->demands));
		if (arrival_is_here(&job->arrival, piece) || fetching(job, piece))
			continue;
		*ret_piece = piece;
		job->next = piece + 1;
		return true;
	}
	return false;
}

static unsigned busy(const struct job *job)
{
	unsigned count = 0;

	for (unsigned i = 0; i < JOB_FETCHERS; i++)
		count += job->fetchers[i].piece != UINT64_MAX;
	return count;
}

/* The next that nobody fetches, from `next` on and then from the beginning. */
static bool rest_pick(struct job *job, uint64_t *ret_piece)
{
	struct arrival *arrival = &job->arrival;

	for (unsigned round = 0; round < 2; round++) {
		uint64_t piece = arrival_next_absent(arrival, round == 0 ? job->next : 0);

		while (piece < arrival->piece_count && fetching(job, piece))
			piece = arrival_next_absent(arrival, piece + 1);
		if (piece >= arrival->piece_count)
			continue;
		*ret_piece = piece;
		job->next = piece + 1;
		return true;
	}
	return false;
}

static bool pick(struct job *job, uint64_t *ret_piece)
{
	if (job->state == JOB_FAILED || loop_now_ns(job->loop) < job->retry_ns)
		return false;
	/* What comes next is not ours to choose: the hasher takes it. */
	if (job->source->access == IMAGE_SEQUENTIAL)
		return false;
	if (demand_pick(job, ret_piece))
		return true;
	/* Where the original is looked at in order, that fiber brings the rest too. */
	if ((job->record.flags & RECORD_PAUSED) || job->hashing_stream ||
	    busy(job) >= JOB_FETCHERS - 1)
		return false;
	/* What was brought to a file of ours was held back on its way there. */
	if (job->record.rate_bytes > 0 && job->allowance <= 0 &&
	    job->source->access != IMAGE_STAGED)
		return false;
	return rest_pick(job, ret_piece);
}

/* --- One piece
 * ------------------------------------------------------------------------------------ */

int job_piece_read(struct job *job, uint64_t piece, uint8_t *data, bool *ret_zero)
{
	const uint64_t offset = piece * ARRIVAL_PIECE_BYTES;
	const size_t length = arrival_piece_bytes(&job->arrival, piece);
	int r = 0;

	if (offset < job->extent_start || offset >= job->extent_end) {
		uint64_t extent = MIN(EXTENT_BYTES, job->record.image_bytes - offset);
		bool zero = false;

		r = job->source->ops->extent(job->source, offset, &extent, &zero);
		if (r < 0)
			return r;
		job->extent_start = offset;
		job->extent_end = offset + extent;
		job->extent_zero = zero;
	}
	*ret_zero = job->extent_zero && offset >= job->extent_start &&
		    offset + length <= job->extent_end;
	memset(data + (*ret_zero ? 0 : length), 0, ARRIVAL_PIECE_BYTES - (*ret_zero ? 0 : length));
	if (*ret_zero)
		return 0;
	r = job->source->ops->read(job->source, offset, data, length);
	if (r == 0) {
		job->fetched_bytes += length;
		job->allowance -= (int64_t)length;
	}
	return r;
}

/* A piece that the list of digests does not have is never shown to anybody. */
static bool trusted(struct job *job, uint64_t piece, const uint8_t *data)
{
	uint8_t digest[CODEC_SHA256_BYTES];
	struct codec_sha256 sha;

	if (!job->digests)
		return true;
	codec_sha256_init(&sha);
	job_sha256(job->loop, &sha, data, arrival_piece_bytes(&job->arrival, piece));
	codec_sha256_end(&sha, digest);
	return memcmp(digest, job->digests[piece], sizeof(digest)) == 0;
}

int job_piece_put(struct job *job, uint64_t piece, const uint8_t *data, bool zero, void *scratch)
{
	int r = 0;

	if (!trusted(job, piece, data)) {
		job_fail(job, "piece %llu of %.200s is not what the list of digests says",
			 (unsigned long long)piece, job->record.source);
		return -EBADMSG;
	}
	if (zero)
		arrival_fill_zeroes(&job->arrival, piece);
	else
		r = arrival_fill(&job->arrival, piece, data, scratch);
	if (r < 0) {
		job_wait(job, r == -ENOSPC || r == -EDQUOT
				      ? "the pool has no room for more of the image: free some"
				      : "the volume cannot be written: see quoin pool status");
		return r;
	}
	if (job->state != JOB_FAILED)
		job->problem[0] = '\0';
	job->failures = 0;
	if (++job->unrecorded >= JOB_PERSIST_PIECES)
		fiber_wake(job->keeper);
	return 0;
}

static void fetch(struct job_fetcher *f)
{
	struct job *job = f->job;
	bool zero = false;
	int r;

	r = job_piece_read(job, f->piece, f->data, &zero);
	if (r < 0)
		job_source_failed(job);
	else
		r = job_piece_put(job, f->piece, f->data, zero, f->scratch);
}

void job_fetcher_main(void *arg)
{
	struct job_fetcher *f = arg;
	struct job *job = f->job;

	while (!job->stopping && job->state != JOB_DONE) {
		/* Taken first: what is picked is fetched, or was not picked. */
		if (job_source_take(job) < 0) {
			fiber_park();
			continue;
		}
		if (!pick(job, &f->piece)) {
			job_source_give(job);
			fiber_park();
			continue;
		}
		fetch(f);
		f->piece = UINT64_MAX;
		job_source_give(job);
		/* Who waited for it may ask for the next. */
		arrival_retry(&job->arrival);
		fiber_yield();
	}
	job->fetchers_running--;
	job_wake(job);
}
