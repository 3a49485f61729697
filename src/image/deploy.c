/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job and its place in a pool: the volume and its record are made, opened, and the record goes
 * when all is done. See quoin/image_deploy.h.
 *
 * In this order, so that a crash leaves what the next import can tell: the arriving volume, then
 * its record and what is in it, then the job. At the end the volume becomes plain, then the record
 * goes.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_log.h>
#include <quoin/base_math.h>
#include <quoin/base_size.h>
#include <quoin/base_text.h>
#include <quoin/image_deploy.h>
#include <quoin/loop_fiber.h>

#include "job.h"

_Static_assert(RECORD_SOURCE_MAX == IMAGE_SOURCE_MAX, "sources");
_Static_assert(ARRIVAL_PIECE_BYTES == IMAGE_PIECE_BYTES, "pieces");

struct image_deploy {
	struct pool *pool;
	struct image_opener opener;
	char name[POOL_NAME_MAX + 1];
	char record_name[POOL_NAME_MAX + 1];
	struct record record;
	struct image_digests digests; /* until the job has them */
	uint64_t size_bytes;	      /* asked for */
	const struct image_watcher *watcher;
	struct image_opening asking; /* of the source, until the job has it */
	struct fiber *opening;	     /* until it is joined */
	bool opened;		     /* it has ended */
	struct err err;		     /* why it was refused */
	struct block_device *volume, *record_device;
	struct job *job;
};

static void changed(void *data)
{
	const struct image_deploy *d = data;

	if (d->watcher)
		d->watcher->changed(d->watcher->data);
}

/* --- The end of a deployment ------------------------------------------------------------------ */

static int settle(void *data)
{
	struct image_deploy *d = data;
	int r = pool_volume_set(d->pool, d->name, POOL_VOLUME_KIND, POOL_VOLUME_PLAIN, NULL);

	if (r < 0)
		return r;
	/* What is left of it after a crash is cleared away by the next import. */
	block_close(d->record_device);
	d->record_device = NULL;
	if (pool_volume_destroy(d->pool, d->record_name, false, NULL) < 0)
		log_debug("the record of %s stays until the next import", d->name);
	log_info("the image of %s is complete", d->name);
	return 0;
}

static void devices_close(struct image_deploy *d)
{
	block_close(d->volume);
	block_close(d->record_device);
	d->volume = d->record_device = NULL;
}

static int devices_open(struct image_deploy *d, struct err *err)
{
	int r = pool_device_open_raw(d->pool, d->name, false, &d->volume, err);

	if (r == 0)
		r = pool_device_open_raw(d->pool, d->record_name, false, &d->record_device, err);
	return r;
}

static int job_start(struct image_deploy *d, struct image_source *source, struct err *err)
{
	const struct job_params params = {
		.loop = pool_loop(d->pool),
		.opener = &d->opener,
		.volume = d->volume,
		.record_device = d->record_device,
		.record = &d->record,
		.digests = (uint8_t(*)[CODEC_SHA256_BYTES])d->digests.digests,
		.source = source,
		.settle = settle,
		.changed = changed,
		.data = d,
	};
	const int r = job_new(&params, &d->job);

	if (r < 0)
		return err_set(err, r, "cannot begin with the image of %s: %s", d->name,
			       strerror(-r));
	d->digests = (struct image_digests){.digests = NULL};
	return 0;
}

/* --- The beginning -----------------------------------------------------------------------------
 */

static void record_name_make(struct image_deploy *d)
{
	size_t at =
		(size_t)snprintf(d->record_name, sizeof(d->record_name), "%s", IMAGE_RECORD_PREFIX);

	for (size_t i = 0; i < sizeof(d->record.volume_guid); i++, at += 2)
		snprintf(d->record_name + at, sizeof(d->record_name) - at, "%02x",
			 d->record.volume_guid[i]);
}

/* What of the image is no zeroes, as far as the source knows. */
static int data_count(const struct image_deploy *d, struct image_source *source,
		      uint64_t *ret_bytes, struct err *err)
{
	uint64_t sum = 0;

	*ret_bytes = source->data_bytes;
	if (source->data_bytes > 0)
		return 0;
	for (uint64_t at = 0; at < source->size_bytes;) {
		uint64_t length = MIN(GiB, source->size_bytes - at);
		bool zero = false;
		const int r = source->ops->extent(source, at, &length, &zero);

		if (r < 0)
			return err_set(err, r, "%s", source->problem);
		length = MIN(length, source->size_bytes - at);
		sum += zero ? 0 : length;
		at += MAX(length, UINT64_C(1));
	}
	*ret_bytes = sum;
	return 0;
}

static int room_check(const struct image_deploy *d, struct image_source *source, struct err *err)
{
	struct pool_status status;
	char needs[SIZE_TEXT_MAX];
	char has[SIZE_TEXT_MAX];
	uint64_t bytes = 0;
	int r = data_count(d, source, &bytes, err);

	if (r < 0)
		return r;
	memset(&status, 0, sizeof(status));
	pool_status(d->pool, &status);
	if (bytes <= status.available_bytes)
		return 0;
	return err_set(
		err, -ENOSPC, "the image has %s of data, and pool '%s' %s available: free some",
		size_format(bytes, needs), status.name, size_format(status.available_bytes, has));
}

/* The image against what was asked for. */
static int fits_check(struct image_deploy *d, const struct image_source *source, struct err *err)
{
	char image[SIZE_TEXT_MAX];

	if (source->size_bytes > POOL_VOLUME_BYTES_MAX)
		return err_set(err, -EFBIG, "the image is larger than any volume");
	if (d->size_bytes == 0)
		d->size_bytes = align_up(source->size_bytes, ARRIVAL_BLOCK_BYTES);
	if (d->size_bytes < source->size_bytes)
		return err_set(err, -EFBIG,
			       "the image has %s (%" PRIu64
			       " bytes): give a larger --size, or none",
			       size_format(source->size_bytes, image), source->size_bytes);
	if (d->digests.count > 0 && d->digests.image_bytes != source->size_bytes)
		return err_set(err, -EINVAL,
			       "the list of digests is of an image of %" PRIu64
			       " bytes, and this one has %" PRIu64,
			       d->digests.image_bytes, source->size_bytes);
	if ((d->record.flags & RECORD_SHA256) && source->original_bytes == 0)
		return err_set(err, -EINVAL, "its original cannot be read, so no SHA-256 of it");
	if ((d->record.flags & RECORD_SHA256) && source->has_sum &&
	    memcmp(source->sum, d->record.sha256, sizeof(source->sum)) != 0)
		return err_set(err, -EBADMSG, "%s does not have the SHA-256 that it should have",
			       d->record.source);
	return 0;
}

static int volume_make(struct image_deploy *d, struct err *err)
{
	const struct pool_volume_params params = {.size_bytes = d->size_bytes,
						  .kind = POOL_VOLUME_ARRIVING};
	struct pool_volume_info info;
	int r = pool_volume_create(d->pool, d->name, &params, err);

	if (r < 0)
		return r;
	r = pool_volume_find(d->pool, d->name, &info);
	if (r == 0)
		memcpy(d->record.volume_guid, info.guid, sizeof(info.guid));
	record_name_make(d);
	return r;
}

static int record_make(struct image_deploy *d, struct err *err)
{
	const struct pool_volume_params params = {
		.size_bytes = record_bytes(d->record.image_bytes, d->digests.count > 0),
		.kind = POOL_VOLUME_HIDDEN};
	int r = pool_volume_create(d->pool, d->record_name, &params, err);

	if (r == 0)
		r = devices_open(d, err);
	if (r < 0)
		return r;
	r = job_record_create(pool_loop(d->pool), d->record_device, &d->record,
			      d->digests.count > 0
				      ? (const uint8_t(*)[CODEC_SHA256_BYTES])d->digests.digests
				      : NULL);
	if (r < 0)
		return err_set(err, r, "the record of %s cannot be written: %s", d->name,
			       strerror(-r));
	return 0;
}

/* Takes back what was made of it. */
static int unmake(struct image_deploy *d, struct err *err)
{
	int r = 0;

	devices_close(d);
	if (d->record_name[0] == '\0')
		return 0;
	r = pool_volume_destroy(d->pool, d->name, false, err);
	/* An orphan goes with the next import. */
	if (r == 0 && pool_volume_destroy(d->pool, d->record_name, false, NULL) < 0)
		log_debug("the record of %s stays until the next import", d->name);
	return r;
}

static int open_source(struct image_deploy *d, struct image_source **ret_source)
{
	const struct image_ask ask = {
		.source = d->record.source,
		.format = "",
		.sum = (d->record.flags & RECORD_SHA256) != 0,
		.late = (d->record.flags & RECORD_FIRST) != 0,
		.rate_bytes = d->record.rate_bytes,
		.opening = &d->asking,
	};
	int r = d->opener.open(&d->opener, pool_loop(d->pool), &ask, ret_source, &d->err);

	/* It may be given up for some time still. */
	if (r == 0)
		d->asking.source = *ret_source;
	return r;
}

static int begin(struct image_deploy *d, struct image_source *source)
{
	struct record *record = &d->record;
	int r = fits_check(d, source, &d->err);

	if (r == 0)
		r = room_check(d, source, &d->err);
	d->asking.source = NULL;
	if (r == 0 && d->asking.given_up)
		r = err_set(&d->err, -ECANCELED, "it was given up");
	if (r < 0)
		return r;
	record->image_bytes = source->size_bytes;
	record->original_bytes = source->original_bytes;
	snprintf(record->format, sizeof(record->format), "%s", source->format);
	snprintf(record->identity, sizeof(record->identity), "%s", source->identity);
	r = volume_make(d, &d->err);
	if (r < 0)
		return r;
	r = record_make(d, &d->err);
	if (r == 0)
		r = job_start(d, source, &d->err);
	if (r < 0 && unmake(d, NULL) < 0)
		log_debug("%s, half made, stays until the next import", d->name);
	return r;
}

static void opening_main(void *arg)
{
	struct image_deploy *d = arg;
	struct image_source *source = NULL;
	int r = open_source(d, &source);

	if (r == 0)
		r = begin(d, source);
	if (r < 0 && source)
		source->ops->close(source);
	if (r < 0 && d->err.code == 0)
		err_set(&d->err, r, "%s", strerror(-r));
	d->opened = true;
	changed(d);
}

int image_deploy_new(const struct image_deploy_params *params, struct image_deploy **ret_deploy)
{
	struct image_deploy *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return -ENOMEM;
	d->pool = params->pool;
	d->opener = *params->opener;
	d->watcher = params->watcher;
	d->digests = params->digests;
	d->size_bytes = params->size_bytes;
	snprintf(d->name, sizeof(d->name), "%s", params->name);
	d->record.flags = (params->first ? RECORD_FIRST : 0U) |
			  (params->has_sha256 ? RECORD_SHA256 : 0U) |
			  (params->digests.count > 0 ? RECORD_DIGESTS : 0U);
	memcpy(d->record.sha256, params->sha256, sizeof(d->record.sha256));
	d->record.rate_bytes = params->rate_bytes;
	snprintf(d->record.source, sizeof(d->record.source), "%s", params->source);
	r = fiber_start(pool_loop(d->pool), true, opening_main, d, &d->opening);
	if (r < 0) {
		free(d);
		return r;
	}
	*ret_deploy = d;
	return 0;
}

/* --- After an import -----------------------------------------------------------------------------
 */

static int resume_it(struct image_deploy *d, struct err *err)
{
	uint8_t(*digests)[CODEC_SHA256_BYTES] = NULL;
	uint8_t guid[16];
	int r = devices_open(d, err);

	if (r < 0)
		return r;
	memcpy(guid, d->record.volume_guid, sizeof(guid));
	r = job_record_read(pool_loop(d->pool), d->record_device, &d->record, &digests);
	d->digests.digests = (uint8_t(*)[IMAGE_DIGEST_BYTES])digests;
	if (r == 0 && (memcmp(guid, d->record.volume_guid, sizeof(guid)) != 0 ||
		       d->record.image_bytes > block_capacity(d->volume)))
		r = -EUCLEAN;
	if (r < 0)
		return err_set(err, r, "the record of %s cannot be used: %s", d->name,
			       strerror(-r));
	return job_start(d, NULL, err);
}

static struct image_deploy *resumed_new(const struct image_resume *resume,
					const struct pool_volume_info *info)
{
	struct image_deploy *d = xcalloc(1, sizeof(*d));

	d->pool = resume->pool;
	d->opener = *resume->opener;
	d->watcher = resume->watcher;
	d->opened = true;
	snprintf(d->name, sizeof(d->name), "%s", info->name);
	memcpy(d->record.volume_guid, info->guid, sizeof(info->guid));
	record_name_make(d);
	return d;
}

/* A record whose volume is there, and arriving. */
static bool record_needed(struct pool *pool, const char *record_name)
{
	struct image_deploy d = {.pool = pool};
	struct pool_volume_info info;
	unsigned cursor = 0;

	while (pool_volume_next(pool, &cursor, &info) == 0) {
		if (info.params.kind != POOL_VOLUME_ARRIVING)
			continue;
		memcpy(d.record.volume_guid, info.guid, sizeof(info.guid));
		record_name_make(&d);
		if (strcmp(d.record_name, record_name) == 0)
			return true;
	}
	return false;
}

/* True when there is nothing to go on with. */
static bool clear_away(struct pool *pool, const struct pool_volume_info *info)
{
	struct image_deploy d = {.pool = pool};
	struct pool_volume_info record;

	if (info->params.kind == POOL_VOLUME_PLAIN)
		return true;
	if (info->params.kind == POOL_VOLUME_HIDDEN) {
		if (!record_needed(pool, info->name) &&
		    pool_volume_destroy(pool, info->name, false, NULL) < 0)
			log_debug("%s is not needed, and stays", info->name);
		return true;
	}
	memcpy(d.record.volume_guid, info->guid, sizeof(info->guid));
	record_name_make(&d);
	if (pool_volume_find(pool, d.record_name, &record) == 0)
		return false;
	/* It was never told of. */
	if (pool_volume_destroy(pool, info->name, false, NULL) < 0)
		log_debug("%s is half made, and stays", info->name);
	return true;
}

int image_deploy_resume(struct image_resume *resume, struct image_deploy **ret_deploy,
			struct err *err)
{
	struct pool_volume_info info;
	struct image_deploy *d;
	int r;

	do {
		r = pool_volume_next(resume->pool, &resume->cursor, &info);
		if (r < 0)
			return -ENOENT;
	} while (clear_away(resume->pool, &info));
	d = resumed_new(resume, &info);
	r = resume_it(d, err);
	if (r < 0) {
		devices_close(d);
		free(d->digests.digests);
		free(d);
		/* -ENOENT is the end of all. */
		return r == -ENOENT ? -EUCLEAN : r;
	}
	*ret_deploy = d;
	return 0;
}

/* --- For the verbs
 * --------------------------------------------------------------------------------- */

const char *image_deploy_name(const struct image_deploy *d)
{
	return d->name;
}

const char *image_deploy_source(const struct image_deploy *d)
{
	return d->record.source;
}

static enum image_state state_of(enum job_state state)
{
	static const enum image_state states[] = {
		[JOB_ARRIVING] = IMAGE_ARRIVING, [JOB_WAITING] = IMAGE_WAITING,
		[JOB_PAUSED] = IMAGE_PAUSED,	 [JOB_VERIFYING] = IMAGE_VERIFYING,
		[JOB_DONE] = IMAGE_DONE,	 [JOB_FAILED] = IMAGE_FAILED,
	};

	return states[state];
}

/* While it is opened, only what is on its way into our file is known. */
static void asking_tell(struct image_source *source, struct image_info *info)
{
	if (source->access != IMAGE_STAGED)
		return;
	info->open = true;
	info->access = IMAGE_STAGED;
	info->original_bytes = source->original_bytes;
	info->passed_bytes = source->staged_bytes;
}

void image_deploy_info(const struct image_deploy *d, struct image_info *ret_info)
{
	struct job_progress progress;

	memset(ret_info, 0, sizeof(*ret_info));
	snprintf(ret_info->source, sizeof(ret_info->source), "%s", d->record.source);
	ret_info->first = (d->record.flags & RECORD_FIRST) != 0;
	if (!d->job && d->asking.source)
		asking_tell(d->asking.source, ret_info);
	if (!d->job) {
		ret_info->state = d->opened ? IMAGE_REFUSED : IMAGE_OPENING;
		ret_info->code = d->opened ? d->err.code : 0;
		snprintf(ret_info->problem, sizeof(ret_info->problem), "%s",
			 d->opened ? d->err.text : "");
		return;
	}
	job_progress(d->job, &progress);
	ret_info->state = state_of(progress.state);
	snprintf(ret_info->problem, sizeof(ret_info->problem), "%s", progress.problem);
	ret_info->image_bytes = progress.image_bytes;
	ret_info->here_bytes = progress.here_bytes;
	ret_info->fetched_bytes = progress.fetched_bytes;
	ret_info->verified_bytes = progress.verified_bytes;
	ret_info->verify_bytes = progress.verify_bytes;
	ret_info->rate_limit = progress.rate_limit;
	ret_info->rate_now = progress.rate_now;
	ret_info->open = true;
	ret_info->access = progress.access;
	ret_info->original_bytes = progress.original_bytes;
	ret_info->passed_bytes = progress.passed_bytes;
	ret_info->again = progress.again;
}

bool image_deploy_idle(const struct image_deploy *d)
{
	return d->job && job_done(d->job) && job_arrival(d->job)->devices == 0;
}

int image_deploy_device(struct image_deploy *d, bool read_only, struct block_device **ret_device,
			struct err *err)
{
	struct image_info info;

	image_deploy_info(d, &info);
	if (info.state == IMAGE_FAILED)
		return err_set(err, -EBUSY, "its image did not arrive: %s", info.problem);
	if (!d->job || (info.first && info.state != IMAGE_DONE))
		return err_set(err, -EBUSY,
			       "its image is still arriving, and it is not attached before all of "
			       "it is here: see quoin volume info");
	*ret_device = arrival_device_new(job_arrival(d->job), read_only, d->name);
	return 0;
}

int image_deploy_pause(struct image_deploy *d, bool on)
{
	return d->job ? job_pause(d->job, on) : -EBUSY;
}

int image_deploy_rate(struct image_deploy *d, uint64_t rate_bytes)
{
	return d->job ? job_rate_set(d->job, rate_bytes) : -EBUSY;
}

void image_deploy_retry(struct image_deploy *d)
{
	if (d->job)
		job_retry(d->job);
}

static void opening_end(struct image_deploy *d)
{
	image_opening_give_up(&d->asking);
	if (d->opening)
		fiber_join(d->opening);
	d->opening = NULL;
}

static void stop(struct image_deploy *d)
{
	opening_end(d);
	job_free(d->job);
	d->job = NULL;
}

void image_deploy_free(struct image_deploy *d)
{
	if (!d)
		return;
	stop(d);
	devices_close(d);
	image_digests_fini(&d->digests);
	free(d);
}

int image_deploy_cancel(struct image_deploy *d, struct err *err)
{
	bool done;
	int r = 0;

	opening_end(d);
	done = d->job && job_done(d->job);
	if (!done && d->job) {
		stop(d);
		r = unmake(d, err);
	}
	image_deploy_free(d);
	return r;
}
