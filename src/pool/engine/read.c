/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verified reads. A request is cut into rios; each looks up its blocks, reads runs of adjacent
 * slots, checks every block, and hands what is bad to the repairer.
 *
 * Whole blocks go straight to the guest's memory, others through bounce pages. A rio takes all the
 * buffers it needs or none: those that hold some and wait for more would wait for each other.
 */
#include <errno.h>
#include <string.h>

#include <quoin/base_assert.h>

#include "engine/io.h"

static void rio_go(struct rio *rio);

/* --- Pieces of the request ----------------------------------------------------------------- */

static void copy(const struct block_request *request, uint64_t at, uint8_t *flat, size_t bytes,
		 bool out)
{
	for (unsigned i = 0; i < request->iov_count && bytes > 0; i++) {
		const struct iovec *piece = &request->iov[i];
		size_t part;

		if (at >= piece->iov_len) {
			at -= piece->iov_len;
			continue;
		}
		part = MIN(piece->iov_len - at, bytes);
		if (out)
			memcpy((uint8_t *)piece->iov_base + at, flat, part);
		else
			memcpy(flat, (const uint8_t *)piece->iov_base + at, part);
		flat += part;
		bytes -= part;
		at = 0;
	}
	ASSERT_U64(bytes, ==, 0);
}

void request_copy_in(const struct block_request *request, uint64_t at, void *to, size_t bytes)
{
	copy(request, at, to, bytes, false);
}

void request_copy_out(const struct block_request *request, uint64_t at, const void *from,
		      size_t bytes)
{
	copy(request, at, (uint8_t *)(uintptr_t)from, bytes, true);
}

/* Points pages[] into the guest's memory; false when a block does not lie in one piece. */
static bool direct_set(struct rio *rio)
{
	const struct block_request *request = rio->request;
	uint64_t at = rio->offset - request->offset;
	unsigned piece = 0;

	if ((rio->offset | rio->length_bytes) % PAGE_BYTES != 0)
		return false;
	for (unsigned i = 0; i < rio->count; i++) {
		while (piece < request->iov_count && at >= request->iov[piece].iov_len)
			at -= request->iov[piece++].iov_len;
		if (piece == request->iov_count || request->iov[piece].iov_len - at < PAGE_BYTES)
			return false;
		rio->pages[i] = (uint8_t *)request->iov[piece].iov_base + at;
		at += PAGE_BYTES;
	}
	return true;
}

/* The part of block `i` that the rio is asked for: [*ret_from, *ret_to) within it. */
static void part_of(const struct rio *rio, unsigned i, size_t *ret_from, size_t *ret_to)
{
	const uint64_t start = (rio->block + i) << PAGE_SHIFT;
	const uint64_t end = rio->offset + rio->length_bytes;

	*ret_from = rio->offset > start ? (size_t)(rio->offset - start) : 0;
	*ret_to = (size_t)MIN(end - start, (uint64_t)PAGE_BYTES);
}

/* --- Buffers and the end ------------------------------------------------------------------- */

static void buffers_drop(struct rio *rio)
{
	for (unsigned i = 0; i < rio->count; i++) {
		if (rio->patched & 1U << i)
			buffer_give(rio->pool, rio->patch_pages[i]);
		if (rio->bounced && rio->request && rio->pages[i]) {
			buffer_give(rio->pool, rio->pages[i]);
			rio->pages[i] = NULL;
		}
	}
	rio->patched = 0;
}

static bool buffers_take(struct rio *rio)
{
	if (!rio->bounced || rio->pages[0])
		return true;
	if (rio->pool->buffers_free_count < rio->count)
		return false;
	for (unsigned i = 0; i < rio->count; i++) {
		rio->pages[i] = buffer_take(rio->pool);
		ASSERT(rio->pages[i]);
	}
	return true;
}

static void patch_overlay(struct rio *rio, unsigned i)
{
	for (unsigned sector = 0; sector < SECTORS_PER_BLOCK; sector++) {
		const size_t at = sector * SECTOR_BYTES;

		if (rio->patch_masks[i] & 1U << sector)
			memcpy(rio->pages[i] + at, rio->patch_pages[i] + at, SECTOR_BYTES);
	}
}

static void copy_to_request(struct rio *rio)
{
	size_t from, to;

	for (unsigned i = 0; i < rio->count; i++) {
		if (rio->patched & 1U << i)
			patch_overlay(rio, i);
		if (!rio->bounced)
			continue;
		part_of(rio, i, &from, &to);
		request_copy_out(rio->request,
				 ((rio->block + i) << PAGE_SHIFT) + from - rio->request->offset,
				 rio->pages[i] + from, to - from);
	}
}

void read_end(struct rio *rio)
{
	struct pool *pool = rio->pool;
	struct block_request *request = rio->request;
	const int result = rio->result;

	/* After a failure the pages may hold what is not the guest's. */
	if (request && result == 0)
		copy_to_request(rio);
	buffers_drop(rio);
	if (!request)
		rio->done(rio);
	pool->reads_in_flight--;
	list_append(&pool->rios_free, &rio->node);
	if (request)
		request_part_end(request, result);
	if (!list_empty(&pool->rios_waiting) || !list_empty(&pool->reads_waiting) ||
	    !list_empty(&pool->incoming))
		pool_work(pool);
}

static void rio_wait(struct rio *rio)
{
	list_append(&rio->pool->rios_waiting, &rio->node);
}

/* --- Data ---------------------------------------------------------------------------------- */

static void rio_finish_maybe(struct rio *rio)
{
	if (rio->started < rio->count || rio->runs_pending > 0)
		return;
	if (rio->bad)
		repair_start(rio);
	else
		read_end(rio);
}

static void run_done(struct raid_io *io)
{
	struct run *run = container_of(io, struct run, io);
	struct rio *rio = run->rio;
	struct pool *pool = rio->pool;

	for (unsigned i = run->first; i < run->first + run->count; i++) {
		if (io->result < 0 || !entry_check_matches(rio->pages[i], rio->entries[i]))
			rio->bad |= 1U << i;
	}
	list_append(&pool->runs_free, &run->node);
	rio->runs_pending--;
	if (!list_empty(&pool->rios_waiting))
		pool_work(pool);
	rio_finish_maybe(rio);
}

static void run_start(struct rio *rio, struct run *run)
{
	const uint64_t vaddr = entry_vaddr(rio->entries[rio->started]);
	unsigned pieces = 0;

	run->rio = rio;
	run->first = rio->started;
	run->count = 0;
	for (unsigned i = run->first; i < rio->count; i++) {
		struct iovec *last = pieces > 0 ? &run->iov[pieces - 1] : NULL;
		const uint64_t next = vaddr + run->count;

		if (entry_vaddr(rio->entries[i]) != next ||
		    !space_vaddr_valid(rio->pool->space, next, SEGMENT_DATA))
			break;
		if (last && (uint8_t *)last->iov_base + last->iov_len == rio->pages[i])
			last->iov_len += PAGE_BYTES;
		else
			run->iov[pieces++] = (struct iovec){rio->pages[i], PAGE_BYTES};
		run->count++;
	}
	rio->started += run->count;
	rio->runs_pending++;
	/* Field by field: the legs are large, and raid's own. */
	run->io.op = RAID_READ;
	run->io.flags = 0;
	run->io.vaddr = vaddr;
	run->io.count = run->count;
	run->io.column = RAID_ANY_COLUMN;
	run->io.columns = 0;
	run->io.iov = run->iov;
	run->io.iov_count = pieces;
	run->io.done = run_done;
	raid_submit(&rio->pool->raid, &run->io);
}

static void runs_start(struct rio *rio)
{
	struct pool *pool = rio->pool;

	while (rio->started < rio->count) {
		const unsigned i = rio->started;
		const uint64_t vaddr = entry_vaddr(rio->entries[i]);
		struct list *node;

		if (vaddr == 0) {
			memset(rio->pages[i], 0, PAGE_BYTES);
			rio->started++;
			continue;
		}
		if (!space_vaddr_valid(pool->space, vaddr, SEGMENT_DATA)) {
			rio->bad |= 1U << i;
			rio->started++;
			continue;
		}
		node = list_pop(&pool->runs_free);
		if (!node) {
			rio_wait(rio);
			return;
		}
		run_start(rio, container_of(node, struct run, node));
	}
	rio_finish_maybe(rio);
}

/* --- Looking up ---------------------------------------------------------------------------- */

/* False: no buffer for the sectors of a partial block. */
static bool patch_copy(struct rio *rio, unsigned i)
{
	struct volume *volume = rio->device->volume;
	const struct patch *patch;

	if (!rio->request || !volume || rio->patched & 1U << i)
		return true;
	patch = patch_find(rio->pool, volume, rio->block + i);
	if (!patch)
		return true;
	rio->patch_pages[i] = buffer_take(rio->pool);
	if (!rio->patch_pages[i])
		return false;
	memcpy(rio->patch_pages[i], patch->page, PAGE_BYTES);
	rio->patch_masks[i] = patch->mask;
	rio->patched |= 1U << i;
	return true;
}

static void patch_copy_drop(struct rio *rio, unsigned i)
{
	if (!(rio->patched & 1U << i))
		return;
	buffer_give(rio->pool, rio->patch_pages[i]);
	rio->patched &= ~(1U << i);
}

/* All that is asked for is in the patch: a rest that cannot be read does not matter. */
static bool patch_covers(const struct rio *rio, unsigned i)
{
	size_t from, to;

	if (!(rio->patched & 1U << i))
		return false;
	part_of(rio, i, &from, &to);
	for (size_t at = from; at < to; at += SECTOR_BYTES) {
		if (!(rio->patch_masks[i] & 1U << at / SECTOR_BYTES))
			return false;
	}
	return true;
}

static void fetch_done(struct page_fetch *fetch)
{
	struct rio *rio = container_of(fetch, struct rio, fetch);

	rio->missing = fetch->result < 0 ? fetch->ref.ptr.vaddr : 0;
	rio_go(rio);
}

/* False: a page is being fetched. */
static bool resolve(struct rio *rio, unsigned i)
{
	int error;

	memset(rio->entries[i], 0, ENTRY_BYTES);
	if (patch_covers(rio, i))
		return true;
	error = block_lookup(rio->pool, rio->device, rio->block + i, rio->entries[i],
			     &rio->fetch.ref);
	if (error == -EAGAIN && rio->missing != rio->fetch.ref.ptr.vaddr) {
		/* What the patch has is taken anew with the entry that will go with it. */
		patch_copy_drop(rio, i);
		rio->fetch.done = fetch_done;
		pages_fetch(rio->pool->pages, &rio->fetch);
		return false;
	}
	if (error) {
		memset(rio->entries[i], 0, ENTRY_BYTES);
		rio->result = -EIO;
		damage_note(rio->pool, rio->device, rio->block + i);
	}
	return true;
}

static void rio_go(struct rio *rio)
{
	bool room = buffers_take(rio);

	while (room && rio->resolved < rio->count) {
		room = patch_copy(rio, rio->resolved);
		if (room && !resolve(rio, rio->resolved))
			return;
		rio->resolved += room;
	}
	if (room) {
		runs_start(rio);
		return;
	}
	buffers_drop(rio);
	rio->resolved = 0;
	rio_wait(rio);
}

/* --- Beginning ----------------------------------------------------------------------------- */

static struct rio *rio_take(struct pool *pool, const struct device *device)
{
	struct list *node = list_pop(&pool->rios_free);
	struct rio *rio;

	if (!node)
		return NULL;
	rio = container_of(node, struct rio, node);
	memset(rio, 0, offsetof(struct rio, patch_masks));
	list_init(&rio->node);
	rio->pool = pool;
	rio->device = device;
	pool->reads_in_flight++;
	return rio;
}

/* False: no rio is free; the request goes on later. */
static bool request_split(struct pool *pool, struct block_request *request)
{
	struct volume_request *words = request_words(request);

	while (words->at < request->length_bytes) {
		const uint64_t offset = request->offset + words->at;
		const uint64_t block = offset >> PAGE_SHIFT;
		const uint64_t end = MIN(request->offset + request->length_bytes,
					 (block + RIO_BLOCKS) << PAGE_SHIFT);
		struct rio *rio = rio_take(pool, words->device);

		if (!rio)
			return false;
		rio->request = request;
		rio->offset = offset;
		rio->length_bytes = end - offset;
		rio->block = block;
		rio->count = (unsigned)(((end + PAGE_BYTES - 1) >> PAGE_SHIFT) - block);
		rio->bounced = !direct_set(rio);
		if (rio->bounced)
			memset(rio->pages, 0, sizeof(rio->pages));
		words->at += rio->length_bytes;
		words->parts++;
		rio_go(rio);
	}
	return true;
}

void read_start(struct pool *pool, struct block_request *request)
{
	/* One part is the splitting itself. */
	request_words(request)->parts++;
	if (list_empty(&pool->reads_waiting) && request_split(pool, request))
		request_part_end(request, 0);
	else
		list_append(&pool->reads_waiting, &request->node);
}

bool read_block(const struct device *device, uint64_t block, uint8_t *page,
		void (*done)(struct rio *rio), void *data)
{
	struct rio *rio = rio_take(device->pool, device);

	if (!rio)
		return false;
	rio->done = done;
	rio->data = data;
	rio->offset = block << PAGE_SHIFT;
	rio->length_bytes = PAGE_BYTES;
	rio->block = block;
	rio->count = 1;
	rio->bounced = true;
	rio->pages[0] = page;
	rio_go(rio);
	return true;
}

void reads_retry(struct pool *pool)
{
	struct list waiting, *node;

	list_init(&waiting);
	list_splice(&waiting, &pool->rios_waiting);
	while ((node = list_pop(&waiting)))
		rio_go(container_of(node, struct rio, node));
	while (!list_empty(&pool->rios_free) && (node = list_pop(&pool->reads_waiting))) {
		struct block_request *request = container_of(node, struct block_request, node);

		if (request_split(pool, request))
			request_part_end(request, 0);
		else
			list_prepend(&pool->reads_waiting, &request->node);
	}
}
