/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record on its device. What it says is here was made durable on the volume first (A4): the
 * bits are copied, the volume is flushed, then they are written with FUA.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_bitmap.h>
#include <quoin/base_math.h>

#include "job_private.h"

#define PAGES_AT_ONCE 16
#define LOOK_NS NS_PER_MS

static int page_io(struct block_channel *channel, enum block_op op, uint64_t page, void *data,
		   size_t pages)
{
	return arrival_io(channel,
			  &(struct arrival_span){.op = op,
						 .flags = op == BLOCK_WRITE ? BLOCK_FUA : 0,
						 .offset = page * RECORD_PAGE_BYTES,
						 .data = data,
						 .length = pages * RECORD_PAGE_BYTES});
}

/* Aligned as devices want it. */
static void *pages_new(size_t count)
{
	return aligned_alloc(RECORD_PAGE_BYTES, count * RECORD_PAGE_BYTES);
}

/* --- Writing -------------------------------------------------------------------------------- */

struct batch {
	unsigned count;
	uint64_t pages[PAGES_AT_ONCE];
	uint8_t *copies; /* of the header, then of each */
};

static void batch_fill(struct job *job, struct batch *batch)
{
	struct arrival *arrival = &job->arrival;
	const uint64_t limit = arrival_pages(arrival);
	uint64_t page = bitmap_next_set(arrival->dirty, limit, 0);

	record_encode(&job->record, batch->copies);
	for (batch->count = 0; page < limit && batch->count < PAGES_AT_ONCE; batch->count++) {
		batch->pages[batch->count] = page;
		memcpy(batch->copies + (batch->count + 1) * (size_t)RECORD_PAGE_BYTES,
		       (const uint8_t *)arrival->here + page * RECORD_PAGE_BYTES,
		       RECORD_PAGE_BYTES);
		bitmap_clear(arrival->dirty, page);
		page = bitmap_next_set(arrival->dirty, limit, page + 1);
	}
}

static int batch_write(struct job *job, const struct batch *batch)
{
	int r = arrival_flush(&job->arrival);

	for (unsigned i = 0; r == 0 && i < batch->count; i++)
		r = page_io(job->record_channel, BLOCK_WRITE, 1 + batch->pages[i],
			    batch->copies + (i + 1) * (size_t)RECORD_PAGE_BYTES, 1);
	if (r == 0)
		r = page_io(job->record_channel, BLOCK_WRITE, 0, batch->copies, 1);
	for (unsigned i = 0; i < batch->count; i++) {
		if (r < 0)
			bitmap_set(job->arrival.dirty, batch->pages[i]);
		else
			memcpy((uint8_t *)job->arrival.safe + batch->pages[i] * RECORD_PAGE_BYTES,
			       batch->copies + (i + 1) * (size_t)RECORD_PAGE_BYTES,
			       RECORD_PAGE_BYTES);
	}
	return r;
}

int job_persist(struct job *job)
{
	struct batch batch = {.copies = pages_new(PAGES_AT_ONCE + 1)};
	int r = batch.copies ? 0 : -ENOMEM;

	while (job->persisting)
		fiber_sleep_ns(LOOK_NS);
	/* All was recorded, and the record is no more. */
	if (!job->record_channel) {
		free(batch.copies);
		return 0;
	}
	job->persisting = true;
	job->unrecorded = 0;
	do {
		if (r == 0)
			batch_fill(job, &batch);
		if (r == 0)
			r = batch_write(job, &batch);
	} while (r == 0 && batch.count == PAGES_AT_ONCE);
	job->persisting = false;
	free(batch.copies);
	return r;
}

int job_persist_arrival(void *data)
{
	return job_persist(data);
}

static int digests_write(struct block_channel *channel, const struct record *record,
			 const uint8_t (*digests)[CODEC_SHA256_BYTES], void *page)
{
	const uint64_t first = 1 + record_bitmap_pages(record->image_bytes);
	const uint64_t pages = record_digest_pages(record->image_bytes);
	const uint64_t bytes =
		div_round_up(record->image_bytes, ARRIVAL_PIECE_BYTES) * CODEC_SHA256_BYTES;
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < pages; i++) {
		const uint64_t at = i * RECORD_PAGE_BYTES;

		memset(page, 0, RECORD_PAGE_BYTES);
		memcpy(page, (const uint8_t *)digests + at,
		       (size_t)MIN((uint64_t)RECORD_PAGE_BYTES, bytes - at));
		r = page_io(channel, BLOCK_WRITE, first + i, page, 1);
	}
	return r;
}

int job_record_create(struct loop *loop, struct block_device *device, const struct record *record,
		      const uint8_t (*digests)[CODEC_SHA256_BYTES])
{
	struct block_channel *channel;
	void *page = pages_new(1);
	int r = page ? block_channel_open(device, loop, &channel) : -ENOMEM;

	if (r < 0) {
		free(page);
		return r;
	}
	if (digests)
		r = digests_write(channel, record, digests, page);
	/* The bitmap is all zeroes as it is. The header last: without it there is nothing. */
	record_encode(record, page);
	if (r == 0)
		r = page_io(channel, BLOCK_WRITE, 0, page, 1);
	block_channel_close(channel);
	free(page);
	return r;
}

/* --- Reading -------------------------------------------------------------------------------- */

static int digests_read(struct block_channel *channel, const struct record *record,
			uint8_t (**ret_digests)[CODEC_SHA256_BYTES])
{
	const uint64_t first = 1 + record_bitmap_pages(record->image_bytes);
	const uint64_t pages = record_digest_pages(record->image_bytes);
	uint8_t *all = pages_new(pages);
	int r = all ? 0 : -ENOMEM;

	for (uint64_t i = 0; r == 0 && i < pages; i++)
		r = page_io(channel, BLOCK_READ, first + i, all + i * RECORD_PAGE_BYTES, 1);
	if (r == 0)
		*ret_digests = (uint8_t(*)[CODEC_SHA256_BYTES])(void *)all;
	else
		free(all);
	return r;
}

static int record_load(struct block_channel *channel, uint64_t device_bytes,
		       struct record *ret_record, uint8_t (**ret_digests)[CODEC_SHA256_BYTES])
{
	struct record *record = calloc(1, sizeof(*record));
	void *page = pages_new(1);
	int r = record && page ? page_io(channel, BLOCK_READ, 0, page, 1) : -ENOMEM;

	if (r == 0)
		r = record_decode(page, record);
	if (r == 0 &&
	    device_bytes < record_bytes(record->image_bytes, (record->flags & RECORD_DIGESTS) != 0))
		r = -EUCLEAN;
	*ret_digests = NULL;
	if (r == 0 && (record->flags & RECORD_DIGESTS))
		r = digests_read(channel, record, ret_digests);
	if (r == 0)
		*ret_record = *record;
	free(page);
	free(record);
	return r;
}

int job_record_read(struct loop *loop, struct block_device *device, struct record *ret_record,
		    uint8_t (**ret_digests)[CODEC_SHA256_BYTES])
{
	struct block_channel *channel;
	int r = block_channel_open(device, loop, &channel);

	if (r < 0)
		return r;
	r = record_load(channel, block_capacity(device), ret_record, ret_digests);
	block_channel_close(channel);
	return r;
}

int job_bitmap_read(struct job *job)
{
	struct arrival *arrival = &job->arrival;
	uint8_t *page = pages_new(1);
	int r = page ? 0 : -ENOMEM;

	for (uint64_t i = 0; r == 0 && i < arrival_pages(arrival); i++) {
		r = page_io(job->record_channel, BLOCK_READ, 1 + i, page, 1);
		if (r == 0)
			memcpy((uint8_t *)arrival->here + i * RECORD_PAGE_BYTES, page,
			       RECORD_PAGE_BYTES);
	}
	free(page);
	if (r < 0)
		return r;
	/* What is beyond the image is no piece, whatever the bytes say. */
	for (uint64_t i = arrival->piece_count; i < arrival_pages(arrival) * ARRIVAL_PAGE_PIECES;
	     i++)
		bitmap_clear(arrival->here, i);
	memcpy(arrival->safe, arrival->here, arrival_pages(arrival) * RECORD_PAGE_BYTES);
	arrival->here_count = bitmap_count(arrival->here, arrival->piece_count);
	return 0;
}
