/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Discards and zeroes: the same thing here. Partial blocks at the ends become patches of zeroes, a
 * few whole blocks become points, many become one range, whatever its length.
 *
 * A range is ordered against writes by seq, so the writes with lower ones must have ended when it
 * is inserted: the volume's phase flips when the range gets its seq, and the range waits until the
 * writes of the old phase are done. One flip at a time; later ranges wait for the next. Partial
 * writes wait meanwhile, for their merging would bring old content back.
 */
#include <errno.h>

#include "engine/checkpoint.h"

#define RANGE_RECORDS 4 /* whose pages are as many as those at both ends of a range */

static bool zero_part(struct block_request *request, uint64_t pos, unsigned bytes)
{
	static const uint8_t zeroes[PAGE_BYTES];

	return patch_put(request_words(request)->device->volume, pos / PAGE_BYTES,
			 (unsigned)(pos % PAGE_BYTES) / SECTOR_BYTES, bytes / SECTOR_BYTES, zeroes);
}

static bool zero_point(struct volume *volume, uint64_t block)
{
	struct pool *pool = volume->pool;
	const struct delta *delta = pool_delta(pool);
	uint8_t hole[ENTRY_BYTES] = {0};

	if (delta->count + records_coming(pool) + 1 > pool->memory.delta_records ||
	    !log_has_room(&pool->log, 1) ||
	    !meta_fits(pool, records_coming(pool) + 1, META_KEEP_TRIMS)) {
		checkpoint_request_room(pool);
		return false;
	}
	le48_put(hole + 6, pool->seq++);
	record_insert(volume, block, hole);
	return true;
}

/* --- Ranges -------------------------------------------------------------------------------- */

static void range_blocks(const struct block_request *request, uint64_t *ret_start,
			 uint64_t *ret_end)
{
	*ret_start = (request->offset + PAGE_BYTES - 1) / PAGE_BYTES;
	*ret_end = (request->offset + request->length_bytes) / PAGE_BYTES;
}

static void range_insert(struct volume *volume, struct block_request *request)
{
	struct pool *pool = volume->pool;
	struct delta_range range = {
		.volume = volume->id,
		.epoch = pool->epoch,
		.seq = request_words(request)->seq,
	};
	struct log_record record = {
		.type = LOG_RANGE,
		.volume = volume->id,
		.seq = range.seq,
		.epoch = range.epoch,
	};

	range_blocks(request, &range.start, &range.end);
	record.block = range.start;
	record.block_count = range.end - range.start;
	patches_forget_range(volume, range.start, range.end);
	delta_range_insert(pool_delta(pool), &range);
	log_append(&pool->log, &record);
	request_part_end(request, 0);
}

/* Patches of the volume that are being read or written. */
static bool merging(const struct volume *volume)
{
	for (unsigned i = 0; volume->patch_count > 0 && i < PATCHES_MAX; i++) {
		const struct patch *patch = &volume->pool->patches[i];

		if (patch->volume == volume && patch->merging)
			return true;
	}
	return false;
}

static void drain_begin(struct volume *volume)
{
	list_for_each (node, &volume->trims)
		request_words(container_of(node, struct block_request, node))->seq =
			volume->pool->seq++;
	list_splice(&volume->trims_draining, &volume->trims);
	volume->phase ^= 1;
}

/* Waiting does not help. */
static int range_error(const struct pool *pool)
{
	if (pool->error < 0)
		return -EIO;
	return meta_fits_settled(pool, RANGE_RECORDS, META_KEEP_TRIMS) ? 0 : -ENOSPC;
}

static bool range_room(const struct pool *pool)
{
	return pool_range_room(pool) && log_has_room(&pool->log, 1) &&
	       meta_fits(pool, records_coming(pool) + RANGE_RECORDS, META_KEEP_TRIMS);
}

void trims_progress(struct volume *volume)
{
	struct pool *pool = volume->pool;

	if (list_empty(&volume->trims) && list_empty(&volume->trims_draining))
		return;
	if (list_empty(&volume->trims_draining)) {
		/* The phase that is about to begin must have no writes left from before. */
		if (volume->in_flight[volume->phase ^ 1] > 0 || merging(volume))
			return;
		drain_begin(volume);
	}
	while (!list_empty(&volume->trims_draining) && volume->in_flight[volume->phase ^ 1] == 0) {
		struct list *node = volume->trims_draining.next;
		const int error = range_error(pool);

		if (error == 0 && !range_room(pool)) {
			checkpoint_request(pool);
			return;
		}
		list_remove(node);
		pool->trims_waiting--;
		if (error < 0)
			request_part_end(container_of(node, struct block_request, node), error);
		else
			range_insert(volume, container_of(node, struct block_request, node));
	}
	pool_work(pool);
}

bool trim_pending(const struct volume *volume)
{
	return !list_empty(&volume->trims) || !list_empty(&volume->trims_draining);
}

/* --- Requests ------------------------------------------------------------------------------ */

static bool part(struct block_request *request, uint64_t range_start, uint64_t range_end)
{
	struct volume_request *words = request_words(request);
	struct volume *volume = words->device->volume;
	const uint64_t pos = request->offset + words->at;
	const unsigned in = (unsigned)(pos % PAGE_BYTES);
	const unsigned bytes =
		(unsigned)MIN((uint64_t)PAGE_BYTES - in, request->length_bytes - words->at);

	if (bytes < PAGE_BYTES) {
		if (!zero_part(request, pos, bytes))
			return false;
		words->at += bytes;
		return true;
	}
	if (range_end - range_start > TRIM_POINTS_MAX) {
		words->at += (range_end - range_start) * PAGE_BYTES;
		words->seq = 1; /* there is a range to come */
		return true;
	}
	if (!zero_point(volume, pos / PAGE_BYTES))
		return false;
	words->at += PAGE_BYTES;
	return true;
}

bool trim_process(struct pool *pool, struct block_request *request)
{
	struct volume_request *words = request_words(request);
	struct volume *volume = words->device->volume;
	uint64_t start;
	uint64_t end;

	/* Not even what makes room finds any; who destroys something still does. */
	if (!meta_fits_settled(pool, TRIM_POINTS_MAX, META_KEEP_TRIMS)) {
		list_remove(&request->node);
		request_part_end(request, -ENOSPC);
		return true;
	}
	range_blocks(request, &start, &end);
	while (pool->error == 0 && words->at < request->length_bytes) {
		if (!part(request, start, end))
			return false;
	}
	list_remove(&request->node);
	if (pool->error < 0 || words->seq == 0) {
		request_part_end(request, pool->error < 0 ? -EIO : 0);
		return true;
	}
	list_append(&volume->trims, &request->node);
	pool->trims_waiting++;
	trims_progress(volume);
	return true;
}
