/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The work of bringing an image into a volume: fibers of the home loop that fetch what guests wait
 * for, then the rest, and keep the record. docs/DESIGN.md, section 7.
 *
 * Knows two block devices and a source, no pool: the simulator runs it against drives that lose
 * power and sources that stall, lie and die.
 */
#ifndef IMAGE_JOB_H
#define IMAGE_JOB_H

#include <quoin/image_source.h>

#include "arrival.h"
#include "record.h"

#define JOB_FETCHERS 4	      /* pieces on their way at a time; one is kept for guests */
#define JOB_DEMANDS_MAX 64    /* remembered; who was forgotten asks again */
#define JOB_PERSIST_PIECES 32 /* come between two writes of the record, or a second */

enum job_state {
	JOB_ARRIVING,
	JOB_WAITING, /* for the source; `problem` says why */
	JOB_PAUSED,  /* guests are still served */
	JOB_VERIFYING,
	JOB_DONE,
	JOB_FAILED, /* for good; `problem` says why */
};

struct job_params {
	struct loop *loop;
	const struct image_opener *opener;  /* copied */
	struct block_device *volume;	    /* borrowed until job_free() */
	struct block_device *record_device; /* the same; has record_bytes() */
	const struct record *record;	    /* what it begins with, or was read */
	/* Of each piece, owned by the job from now on; NULL: none. */
	uint8_t (*digests)[CODEC_SHA256_BYTES];
	struct image_source *source; /* open already, taken; NULL: to be opened */
	/*
	 * [fiber] All is here, durable and trusted: make the volume an ordinary one. The record's
	 * device is not used any more. 0, or negative errno: it is asked again later.
	 */
	int (*settle)(void *data);
	void (*changed)(void *data); /* it is done, or failed; NULL = nobody wants to know */
	void *data;
	uint64_t retry_ns_min, retry_ns_max; /* 0 = 1 s and 60 s */
};

struct job_progress {
	enum job_state state;
	const char *problem; /* valid until the loop turns; "" */
	const char *source;
	uint64_t image_bytes, here_bytes, fetched_bytes, verified_bytes, verify_bytes;
	uint64_t rate_limit; /* bytes a second; 0 = none */
	uint64_t rate_now;   /* of the last seconds */
	bool first;
	enum image_access access;
	uint64_t original_bytes;
	uint64_t passed_bytes; /* of it, in this reading: in order, or into our file */
	bool again;	       /* it is read in order, and not for the first time */
};

struct job;

/* Starts. -ENOMEM. */
MUST_CHECK int job_new(const struct job_params *params, struct job **ret_job);

/* [fiber] A new record, and the digests that go with it, written durably. */
MUST_CHECK int job_record_create(struct loop *loop, struct block_device *device,
				 const struct record *record,
				 const uint8_t (*digests)[CODEC_SHA256_BYTES]);

/* [fiber] The record of a job that was there before; *ret_digests is owned, or NULL. */
MUST_CHECK int job_record_read(struct loop *loop, struct block_device *device,
			       struct record *ret_record,
			       uint8_t (**ret_digests)[CODEC_SHA256_BYTES]);

/* [fiber] Stops its fibers and keeps what is here. No device of its arrival is left after a
 * moment: whoever had one has closed it. */
void job_free(struct job *job);

struct arrival *job_arrival(struct job *job);
void job_progress(struct job *job, struct job_progress *ret_progress);
bool job_done(const struct job *job);

/* [fiber] Kept in the record. */
MUST_CHECK int job_pause(struct job *job, bool on);
MUST_CHECK int job_rate_set(struct job *job, uint64_t rate_bytes);

/* What waits is tried at once. */
void job_retry(struct job *job);

#endif
