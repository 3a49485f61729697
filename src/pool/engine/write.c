/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blind writes. Whole blocks are copied, checked, given a slot and written side by side, as many of
 * a batch as lie together in one device write; when the drive has them, records are inserted and
 * the guest hears. Nothing is read. A write that fails is tried elsewhere, in parts if need be.
 */
#include <errno.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/codec.h>

#include "engine/checkpoint.h"
#include "engine/copies.h"
#include "engine/discard.h"
#include "engine/meter.h"

/* --- Buffers ------------------------------------------------------------------------------- */

uint8_t *buffer_take(struct pool *pool)
{
	return pool->buffers_free_count == 0 ? NULL
					     : pool->buffers_free[--pool->buffers_free_count];
}

void buffer_give(struct pool *pool, uint8_t *page)
{
	pool->buffers_free[pool->buffers_free_count++] = page;
	if (!list_empty(&pool->rios_waiting) || !list_empty(&pool->incoming))
		pool_work(pool);
}

/* --- Records ------------------------------------------------------------------------------- */

void record_insert(struct volume *volume, uint64_t block, uint8_t entry[ENTRY_BYTES])
{
	struct pool *pool = volume->pool;
	struct log_record record = {.type = LOG_WRITE, .volume = volume->id, .block = block};
	struct page_ref missing;
	uint64_t old = 0;
	bool renews;

	le32_put(entry + 12, pool->epoch);
	/* Far from any limit nobody needs to know. */
	renews = space_near(volume) && block_renews(volume, block, &missing) > 0;
	if (delta_insert(pool_delta(pool), volume->id, block, entry, &old) == DELTA_ADDED) {
		volume->pending[pool->active]++;
		pool->pending_total++;
		volume->renewed[pool->active] += renews;
		pool->renewed_total += renews;
	} else if (old != 0) {
		space_supersede(pool->space, old);
	}
	memcpy(record.entry, entry, ENTRY_BYTES);
	log_append(&pool->log, &record);
	patch_forget(volume, block);
}

/* --- The end of a device write --------------------------------------------------------------- */

static void wio_submit(struct wio *wio);

static void block_end(struct wio *wio, struct wio_block *b, int result)
{
	struct pool *pool = wio->pool;

	(*in_flight_bucket(pool, b->volume->id, b->block))--;
	b->volume->in_flight[b->phase]--;
	pool->writes_in_flight--;
	if (b->request) {
		if (result == 0)
			record_insert(b->volume, b->block, b->entry);
		buffer_give(pool, b->page);
		request_part_end(b->request, result);
	} else {
		patch_written(pool, b, result);
		buffer_give(pool, b->page);
	}
	trims_progress(b->volume);
}

/* The first `good` blocks are on the drives; the others are not, and give their slots back. */
static void wio_end(struct wio *wio, unsigned good)
{
	struct pool *pool = wio->pool;

	for (unsigned i = good; i < wio->count; i++)
		space_unalloc(pool->space, entry_vaddr(wio->blocks[i].entry), 1);
	for (unsigned i = 0; i < wio->count; i++)
		block_end(wio, &wio->blocks[i], i < good ? 0 : -EIO);
	list_append(&pool->wios_free, &wio->node);
	pool_work(pool);
}

/*
 * Another place for the rest, or as much of it as there are slots side by side; that is the part
 * then. A copy that is good on some drives is left where it is unless all of it can move.
 */
static bool elsewhere(struct wio *wio)
{
	struct pool *pool = wio->pool;
	const unsigned rest = wio->count - wio->part_first;
	struct wio_block *blocks = &wio->blocks[wio->part_first];
	uint64_t vaddr;
	unsigned got;

	got = space_alloc(pool->space, SEGMENT_DATA, rest, &vaddr);
	if (got == 0 && wio->io.result < 0) {
		space_segments_reopen(pool->space);
		got = space_alloc(pool->space, SEGMENT_DATA, rest, &vaddr);
	}
	if (got == 0 || (got < rest && wio->io.result == 0)) {
		if (got > 0)
			space_unalloc(pool->space, vaddr, got);
		return false;
	}
	for (unsigned i = 0; i < got; i++) {
		space_unalloc(pool->space, entry_vaddr(blocks[i].entry), 1);
		le48_put(blocks[i].entry, vaddr + i);
	}
	wio->part_count = got;
	wio->io.vaddr = vaddr;
	return true;
}

/* It ends when its records have room. */
static void wio_log(struct wio *wio)
{
	list_append(&wio->pool->wios_logging, &wio->node);
	writes_logged(wio->pool);
}

/* The part is where it stays; if there is a rest, its place was refused before. */
static void part_written(struct wio *wio)
{
	wio->part_first += wio->part_count;
	wio->tries = 1;
	wio->io.result = -EIO;
	if (wio->part_first < wio->count && elsewhere(wio))
		wio_submit(wio);
	else
		wio_log(wio);
}

static void wio_done(struct raid_io *io)
{
	struct wio *wio = container_of(io, struct wio, io);

	if (io->result < 0)
		space_segment(wio->pool->space, vaddr_segment(io->vaddr))->closed = true;
	else if (io->failed == 0 || wio->tries > 1) {
		part_written(wio);
		return;
	}
	if (wio->tries < WRITE_TRIES && elsewhere(wio))
		wio_submit(wio);
	else if (io->result == 0)
		part_written(wio);
	else
		wio_log(wio);
}

void writes_logged(struct pool *pool)
{
	while (!list_empty(&pool->wios_logging)) {
		struct wio *wio = container_of(pool->wios_logging.next, struct wio, node);

		if (pool->log.error == 0 && !log_has_room(&pool->log, 2))
			return;
		list_remove(&wio->node);
		wio_end(wio, pool->log.error < 0 ? 0 : wio->part_first);
	}
}

static void wio_submit(struct wio *wio)
{
	wio->tries++;
	wio->io.op = RAID_WRITE;
	wio->io.flags = 0;
	wio->io.columns = 0;
	wio->io.count = wio->part_count;
	wio->io.iov = wio->iov + wio->part_first;
	wio->io.iov_count = wio->part_count;
	wio->io.done = wio_done;
	raid_submit(&wio->pool->raid, &wio->io);
}

/* --- Gathering ------------------------------------------------------------------------------- */

/* The device write that grows; NULL: none. Lives for one writes_process(). */
struct gather {
	struct pool *pool;
	struct wio *wio;
	bool held; /* the last one, by the pace of a checkpoint */
};

static void gather_send(struct gather *g)
{
	if (g->wio) {
		g->wio->part_first = 0;
		g->wio->part_count = g->wio->count;
		wio_submit(g->wio);
	}
	g->wio = NULL;
}

static struct wio *gather_begin(struct gather *g, uint64_t vaddr)
{
	struct list *node = list_pop(&g->pool->wios_free);

	if (!node)
		return NULL;
	g->wio = container_of(node, struct wio, node);
	g->wio->pool = g->pool;
	g->wio->count = 0;
	g->wio->tries = 0;
	g->wio->io.vaddr = vaddr;
	return g->wio;
}

/* A place for one more block: at the end of the device write, or in a new one. */
static struct wio_block *gather_block(struct gather *g)
{
	struct wio *wio = g->wio;
	uint64_t vaddr;

	if (space_alloc(g->pool->space, SEGMENT_DATA, 1, &vaddr) == 0) {
		/* What refused a write once is better than nothing. */
		space_segments_reopen(g->pool->space);
		discards_give_up(g->pool);
		if (g->pool->slotless_commit == 0)
			g->pool->slotless_commit = g->pool->super.ckpt + SPACE_KEEP + 2;
		if (!slots_gone(g->pool))
			checkpoint_request(g->pool);
		return NULL;
	}
	g->pool->slotless_commit = 0;
	if (wio && (wio->count == WIO_BLOCKS || vaddr != wio->io.vaddr + wio->count)) {
		gather_send(g);
		wio = NULL;
	}
	if (!wio)
		wio = gather_begin(g, vaddr);
	if (!wio) {
		space_unalloc(g->pool->space, vaddr, 1);
		return NULL;
	}
	return &wio->blocks[wio->count];
}

static void gather_add(struct gather *g, struct wio_block *b, uint64_t seq)
{
	struct pool *pool = g->pool;
	struct wio *wio = g->wio;
	struct entry entry = {.vaddr = wio->io.vaddr + wio->count, .seq = seq};

	entry_check_make(b->page, entry.seq, entry.check);
	entry_encode(&entry, b->entry);
	wio->iov[wio->count].iov_base = b->page;
	wio->iov[wio->count].iov_len = PAGE_BYTES;
	wio->count++;
	b->phase = b->volume->phase;
	b->volume->in_flight[b->phase]++;
	(*in_flight_bucket(pool, b->volume->id, b->block))++;
	pool->writes_in_flight++;
}

bool patch_write(struct pool *pool, struct patch *patch, uint8_t *page)
{
	struct gather g = {.pool = pool};
	struct wio_block *b = gather_block(&g);

	if (!b)
		return false;
	*b = (struct wio_block){
		.volume = patch->volume,
		.patch = patch,
		.block = patch->block,
		.page = page,
		.patch_seq = patch->seq,
	};
	gather_add(&g, b, patch->seq);
	gather_send(&g);
	return true;
}

/* --- Splitting ---------------------------------------------------------------------------------
 */

static bool whole_block(struct gather *g, struct block_request *request, uint64_t block)
{
	struct volume_request *words = request_words(request);
	struct volume *volume = words->device->volume;
	struct pool *pool = g->pool;
	uint8_t *page = buffer_take(pool);
	uint8_t hole[ENTRY_BYTES] = {0};
	struct wio_block *b;

	if (!page)
		return false;
	request_copy_in(request, words->at, page, PAGE_BYTES);
	if (codec_is_zero(page, PAGE_BYTES)) {
		buffer_give(pool, page);
		if (!log_has_room(&pool->log, 1))
			return false;
		le48_put(hole + 6, pool->seq++);
		record_insert(volume, block, hole);
		return true;
	}
	b = gather_block(g);
	if (!b) {
		buffer_give(pool, page);
		return false;
	}
	*b = (struct wio_block){.volume = volume, .request = request, .block = block, .page = page};
	words->parts++;
	gather_add(g, b, pool->seq++);
	return true;
}

static bool part_block(struct block_request *request, uint64_t block, unsigned in, unsigned bytes)
{
	struct volume_request *words = request_words(request);
	uint8_t data[PAGE_BYTES];

	request_copy_in(request, words->at, data, bytes);
	return patch_put(words->device->volume, block, in / SECTOR_BYTES, bytes / SECTOR_BYTES,
			 data);
}

/* False: the rest waits, at the head of the queue. */
static bool write_split(struct gather *g, struct block_request *request)
{
	struct volume_request *words = request_words(request);

	while (words->at < request->length_bytes) {
		const uint64_t pos = request->offset + words->at;
		const unsigned in = (unsigned)(pos % PAGE_BYTES);
		const unsigned bytes =
			(unsigned)MIN((uint64_t)PAGE_BYTES - in, request->length_bytes - words->at);
		const bool done = bytes == PAGE_BYTES
					  ? whole_block(g, request, pos / PAGE_BYTES)
					  : part_block(request, pos / PAGE_BYTES, in, bytes);

		if (!done)
			return false;
		words->at += bytes;
	}
	return true;
}

static unsigned blocks_left(const struct block_request *request)
{
	const uint64_t at = request_words((struct block_request *)(uintptr_t)request)->at;

	return (unsigned)((request->length_bytes - at) / PAGE_BYTES + 2);
}

/* It waits for space, out of the others' way. Who is about to leave does not. */
static void starve(struct block_request *request)
{
	struct volume *volume = request_words(request)->device->volume;

	list_remove(&request->node);
	if (request_words(request)->device->hurried) {
		volume->paused = false;
		request_part_end(request, -ENOSPC);
		return;
	}
	request_words(request)->why = POOL_WHY_SPACE;
	list_append(&volume->starved, &request->node);
	volume->requests--;
}

/*
 * One that was admitted is not asked about space again: what it wrote already cannot be taken back.
 * Only where trims took what metadata had left in the meantime, or metadata the last slots, it ends
 * early, or waits as its volume's policy has it.
 */
static bool go_on(struct gather *g, struct block_request *request)
{
	struct volume *volume = request_words(request)->device->volume;
	const unsigned left = blocks_left(request);
	int error = 0;

	if (g->pool->error == 0 && (!write_room(volume, left) || !write_split(g, request))) {
		const bool gone = slots_gone(g->pool);

		if (!gone && meta_fits_settled(g->pool, left, META_KEEP_RENEWALS))
			return false;
		if (gone && volume->rec.policy == FULL_PAUSE) {
			volume->paused = g->pool->any_paused = true;
			starve(request);
			return true;
		}
		error = -ENOSPC;
	}
	list_remove(&request->node);
	request_part_end(request, g->pool->error < 0 ? -EIO : error);
	return true;
}

/* True: go on with the next request of the queue. */
static bool process(struct gather *g, struct block_request *request)
{
	struct volume *volume = request_words(request)->device->volume;
	int error = 0;

	if (UNLIKELY(request->op == BLOCK_COPY)) {
		copies_take(g->pool, request);
		return true;
	}
	if (UNLIKELY(!list_empty(&g->pool->copies)) && copies_delay(g->pool, request))
		return true;
	g->held = request_words(request)->at == 0 && write_held(g->pool, request);
	if (g->held)
		return false;
	meter_admit(g->pool, request_words(request));
	if (request->op != BLOCK_WRITE)
		return trim_process(g->pool, request);
	if (request_words(request)->at > 0)
		return go_on(g, request);
	switch (write_admit(volume, request, blocks_left(request), &error)) {
	case ADMIT_LATER:
		return false;
	case ADMIT_SPACE:
		starve(request);
		return true;
	case ADMIT_NEVER:
		list_remove(&request->node);
		request_part_end(request, error);
		return true;
	case ADMIT_GO:
		break;
	}
	return go_on(g, request);
}

/* Why the head of the queue waits. */
static enum pool_io_why queue_why(const struct gather *g)
{
	if (list_empty(&g->pool->incoming))
		return POOL_WHY_DRIVES;
	if (g->held)
		return POOL_WHY_PACING;
	return checkpoint_busy(g->pool) ? POOL_WHY_CHECKPOINT : POOL_WHY_MEMORY;
}

void writes_process(struct pool *pool)
{
	struct gather g = {.pool = pool};

	/* A write of zeroes ends here, and its owner may submit and kick again. */
	if (pool->working)
		return;
	pool->working = true;
	while (!list_empty(&pool->incoming) &&
	       process(&g, container_of(pool->incoming.next, struct block_request, node)))
		;
	pool->queue_why = queue_why(&g);
	gather_send(&g);
	pool->working = false;
}
