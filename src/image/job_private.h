/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of a job. */
#ifndef IMAGE_JOB_PRIVATE_H
#define IMAGE_JOB_PRIVATE_H

#include "job.h"

struct job_fetcher {
	struct job *job;
	struct fiber *fiber;
	uint64_t piece; /* on its way; UINT64_MAX = none */
	uint8_t *data, *scratch;
};

struct job {
	struct loop *loop;
	struct image_opener opener;
	struct block_channel *record_channel;
	struct arrival arrival;
	struct record record;
	uint8_t (*digests)[CODEC_SHA256_BYTES]; /* NULL: not of pieces */
	int (*settle)(void *data);
	void (*changed)(void *data);
	void *data;
	enum job_state state;
	char problem[ERR_TEXT_MAX];
	bool stopping;

	/* The source, while it is open. Nobody uses it when `users` is 0. */
	struct image_source *source;
	unsigned users;
	bool bad;	   /* it failed: it is closed when its last user is gone */
	unsigned failures; /* in a row */
	uint64_t retry_ns; /* when to open the next; 0 = at once */
	uint64_t retry_ns_min, retry_ns_max;
	struct image_opening opening, opening_original; /* the keeper's, the hasher's */

	struct fiber *keeper;
	unsigned fetchers_running;
	struct job_fetcher fetchers[JOB_FETCHERS];
	struct loop_timer tick;

	/* What guests wait for, oldest first; then the rest, from `next` on. */
	unsigned demand_count;
	uint64_t demands[JOB_DEMANDS_MAX];
	uint64_t next;
	/* The kind of what is from extent_start to extent_end, as the source said. */
	uint64_t extent_start, extent_end;
	bool extent_zero;

	/* One writer of the record at a time. */
	bool persisting;
	bool failure_unrecorded;
	bool verified_same; /* the source, at the end */
	uint64_t persisted_ns, persisted_hashed;
	unsigned unrecorded; /* pieces that came since */

	/* The digest of the original, at record.hashed_bytes. */
	bool hashed; /* it was right */
	bool hasher_running;
	bool hashing_stream; /* its fiber brings the image, too */
	struct fiber *hasher;
	/* Of a source that is read in order, by the hasher too: */
	uint64_t stream_next; /* piece */
	bool stream_held;     /* it was read, and is not in the volume yet */
	bool stream_again;
	struct image_source *original; /* the hasher's, where the image is in a format */
	struct codec_sha256 sha;

	/* The rate. */
	uint64_t fetched_bytes;
	int64_t allowance; /* bytes that may be fetched now; below 0 after guests' needs */
	uint64_t allowance_ns;
	uint64_t rate_ns, rate_bytes, rate_now;
};

/* job.c */
void job_wake(struct job *job);

/* The reason stands in the record. Never to be tried again by itself. */
void job_fail(struct job *job, const char *format, ...) PRINTF_LIKE(2, 3);

/* What is wrong will be tried again, later from time to time. */
void job_wait(struct job *job, const char *problem);

/* job_source.c: [fiber] `users` is counted between the two. 0: the source may be used. */
MUST_CHECK int job_source_take(struct job *job);
void job_source_give(struct job *job);
/* The user says that it failed. */
void job_source_failed(struct job *job);
/* [fiber] By the keeper: opens, closes. */
void job_source_keep(struct job *job);
/* [fiber] Whether the image is still the one that was begun with. -ESTALE: it is not. */
MUST_CHECK int job_source_same(struct job *job);
/* [fiber] The hasher's own. */
MUST_CHECK int job_source_original(struct job *job);
/* It is open, and can only be read in order. */
bool job_source_in_order(const struct job *job);
/* What is wrong with the sum that it brought, if it did: the job has failed then. */
void job_source_sum(struct job *job);

/* job_fetch.c */
void job_fetcher_main(void *arg);
void job_demand(void *data, uint64_t piece);
/* A guest waits for a piece. */
bool job_awaited(struct job *job);
/* [fiber] Between take and give: into `data`, ARRIVAL_PIECE_BYTES. */
MUST_CHECK int job_piece_read(struct job *job, uint64_t piece, uint8_t *data, bool *ret_zero);
/* [fiber] From `data` into the volume, if it may be trusted. */
MUST_CHECK int job_piece_put(struct job *job, uint64_t piece, const uint8_t *data, bool zero,
			     void *scratch);

/* job_record.c: [fiber] */
MUST_CHECK int job_persist(struct job *job);
int job_persist_arrival(void *data);
MUST_CHECK int job_bitmap_read(struct job *job);

/* job_hash.c */
bool job_hash_wanted(const struct job *job);
/* The digest is what it must be, or the job has failed. */
void job_hash_judge(struct job *job, const uint8_t digest[CODEC_SHA256_BYTES]);
/* Starts the hasher when there is work for it and it does not run. -ENOMEM. */
MUST_CHECK int job_hasher_start(struct job *job);
/* [fiber] The digest of data, by a helper thread. */
void job_sha256(struct loop *loop, struct codec_sha256 *sha, const void *data, size_t size_bytes);

#endif
