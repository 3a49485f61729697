/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an export does: its thread asks a fiber of the pool's home loop for one window of data after
 * the other, and writes it to the file, which may block. Nothing of the I/O path waits for the
 * file. Windows begin where the snapshot has data next, so what is not there costs nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_log.h>
#include <quoin/base_math.h>
#include <quoin/base_random.h>
#include <quoin/base_text.h>
#include <quoin/loop_fiber.h>

#include "export.h"
#include "pool_call.h"

#define WINDOW_BYTES (2 * MiB)
#define PARTS_MAX 8

/* --- Opening -----------------------------------------------------------------------------------
 */

static int temporary_make(struct control_export *job, struct pool *pool, struct err *err)
{
	const char *names[1] = {job->object};
	const size_t length = strlen(job->object);
	uint32_t number;
	int r;

	random_system_fill(&number, sizeof(number));
	snprintf(job->object + length, sizeof(job->object) - length, "@%s%u.%08x",
		 CONTROL_EXPORT_SNAPSHOT, job->id, number);
	r = pool_snapshot_create(pool, names, 1, err);
	job->temporary = r == 0;
	return r;
}

/* What it refers to: an upper bound of what there is to read. */
static uint64_t data_bytes(struct pool *pool, const char *object)
{
	struct pool_snapshot_info snapshot;
	struct pool_volume_info volume;

	if (strchr(object, '@'))
		return pool_snapshot_find(pool, object, &snapshot) == 0 ? snapshot.referenced_bytes
									: 0;
	return pool_volume_find(pool, object, &volume) == 0 ? volume.params.size_bytes : 0;
}

static int open_it(struct pool_args *args)
{
	struct control_export *job = args->out;
	int r = 0;

	/* Of a pool that is read-only nothing changes. */
	if (!strchr(job->object, '@') && !job->pool->read_only)
		r = temporary_make(job, args->pool, args->err);
	if (r == 0)
		r = pool_device_open(args->pool, job->object, true, &job->device, args->err);
	if (r == 0) {
		r = block_channel_open(job->device, job->pool->loop, &job->channel);
		job->size_bytes = block_capacity(job->device);
		job->data_bytes = data_bytes(args->pool, job->object);
	}
	return r;
}

int control_export_open(struct control_export *job, struct err *err)
{
	struct pool_args args = {.verb = open_it, .out = job, .err = err};

	job->buffer = aligned_alloc(4096, WINDOW_BYTES);
	if (!job->buffer)
		return err_set(err, -ENOMEM, "there is no memory for an export");
	return control_pool_call(job->pool, &args);
}

static int close_it(struct pool_args *args)
{
	struct control_export *job = args->out;
	int r = 0;

	if (job->channel)
		block_channel_close(job->channel);
	block_close(job->device);
	job->channel = NULL;
	job->device = NULL;
	if (job->temporary)
		r = pool_snapshot_destroy(args->pool, job->object, args->err);
	job->temporary = false;
	return r;
}

void control_export_close(struct control_export *job)
{
	struct err why = {.code = 0};
	struct pool_args args = {.verb = close_it, .out = job, .err = &why};

	image_export_free(job->file);
	job->file = NULL;
	if ((job->device || job->temporary) && control_pool_call(job->pool, &args) < 0)
		log_warning("a snapshot of the export of %s is left until the next import: %s",
			    job->name, why.text);
	free(job->buffer);
	job->buffer = NULL;
}

void control_export_sweep(struct pool *pool)
{
	control_snapshots_sweep(pool, CONTROL_EXPORT_SNAPSHOT, "an export");
}

/* --- Reading -----------------------------------------------------------------------------------
 */

struct window {
	struct control_export *job;
	uint64_t offset; /* from where to look; then where it begins */
	size_t bytes;	 /* 0 = only zeroes follow */
	struct fiber *fiber;
	unsigned outstanding;
	uint64_t bad_offset;
	int result;
	struct part {
		struct block_request request;
		struct iovec iov;
		struct window *window;
	} parts[PARTS_MAX];
};

static void part_done(struct block_request *request)
{
	struct part *part = container_of(request, struct part, request);
	struct window *window = part->window;

	if (request->result < 0 && window->result == 0) {
		window->result = request->result;
		window->bad_offset = request->offset;
	}
	window->outstanding--;
	fiber_wake(window->fiber);
}

static void part_start(struct window *window, struct part *part, size_t at, size_t bytes)
{
	struct control_export *job = window->job;

	memset(part, 0, sizeof(*part));
	part->window = window;
	part->iov = (struct iovec){.iov_base = job->buffer + at, .iov_len = bytes};
	part->request.op = BLOCK_READ;
	part->request.offset = window->offset + at;
	part->request.length_bytes = bytes;
	part->request.iov = &part->iov;
	part->request.iov_count = 1;
	part->request.done = part_done;
	window->outstanding++;
	block_submit(job->channel, &part->request);
}

static void window_read(struct window *window)
{
	const size_t step = MAX((size_t)window->job->device->limits.transfer_max_bytes,
				(size_t)(WINDOW_BYTES / PARTS_MAX));
	unsigned count = 0;

	window->fiber = fiber_self();
	for (size_t at = 0; at < window->bytes; at += step)
		part_start(window, &window->parts[count++], at, MIN(step, window->bytes - at));
	block_kick(window->job->channel);
	while (window->outstanding > 0)
		fiber_park();
}

static int window_next(void *arg)
{
	struct window *window = arg;
	struct control_export *job = window->job;
	int r = pool_device_data(job->device, window->offset, &window->offset);

	window->bytes = 0;
	window->result = 0;
	if (r == -ENOENT || window->offset >= job->size_bytes)
		return 0;
	if (r < 0)
		return r;
	window->offset = align_down(window->offset, IMAGE_EXPORT_UNIT);
	window->bytes = (size_t)MIN(WINDOW_BYTES, job->size_bytes - window->offset);
	window_read(window);
	return window->result;
}

/* --- All of it ---------------------------------------------------------------------------------
 */

/* Blocks of the window that count: those that are not all zeroes. */
static uint64_t data_of(const uint8_t *data, size_t bytes)
{
	static const uint8_t zeroes[4096];
	uint64_t sum = 0;

	for (size_t at = 0; at < bytes; at += sizeof(zeroes)) {
		const size_t part = MIN(sizeof(zeroes), bytes - at);

		sum += memcmp(data + at, zeroes, part) == 0 ? 0 : part;
	}
	return sum;
}

static int copy_window(struct control_export *job, struct window *window, struct err *err)
{
	const int r = control_call(job->pool->loop, window_next, window);

	if (r == -EIO || r == -EUCLEAN)
		return err_set(err, r,
			       "the data of %s at byte %llu cannot be read: see quoin pool "
			       "status %s",
			       job->name, (unsigned long long)window->bad_offset, job->pool->name);
	if (r < 0)
		return err_set(err, r, "%s cannot be read: %s", job->name, strerror(-r));
	if (window->bytes == 0)
		return 0;
	job->done_bytes += data_of(job->buffer, window->bytes);
	return image_export_write(job->file, window->offset, job->buffer, window->bytes, err);
}

int control_export_copy(struct control_export *job, struct err *err)
{
	CLEANUP_FREE struct window *window = xcalloc(1, sizeof(*window));
	int r;

	window->job = job;
	do {
		if (job->cancelled)
			return err_set(err, -ECANCELED, "it was cancelled");
		r = copy_window(job, window, err);
		window->offset += window->bytes;
	} while (r == 0 && window->bytes > 0);
	if (r == 0 && job->cancelled)
		return err_set(err, -ECANCELED, "it was cancelled");
	return r < 0 ? r : image_export_commit(job->file, err);
}
