/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer: new pages get adjacent slots and go out a run at a time; pages that come with their
 * slots do as long as these are adjacent. A run buffer is filled, sent, and free again when its
 * write ended; while all are under way, writers park. A write that no column took is tried again,
 * and after PAGES_TRIES_MAX times no page is written any more: the checkpoint that was being made
 * cannot be.
 */
#include <errno.h>

#include <quoin/base_assert.h>

#include "map/pages_private.h"

#define PAGES_TRIES_MAX 3

static void run_release(struct page_run *run)
{
	struct pages *pages = run->pages;

	run->count = 0;
	list_remove(&run->node);
	list_append(&pages->runs_free, &run->node);
	pages_wake(pages);
}

static void run_ended(struct raid_io *io)
{
	struct page_run *run = container_of(io, struct page_run, io);
	struct pages *pages = run->pages;

	run->tries++;
	run->written |= io->result == 0;
	/* One copy is enough to go on, but the others are asked once more. */
	if (run->tries < PAGES_TRIES_MAX && (io->result < 0 || io->failed)) {
		io->columns = run->written ? io->failed : 0;
		raid_submit(pages->raid, io);
		return;
	}
	if (run->written)
		pages->stats.writes += run->count;
	else if (pages->error == 0)
		pages->error = io->result;
	pages->runs_in_flight--;
	run_release(run);
}

static void run_submit(struct page_run *run)
{
	run->iov.iov_len = (size_t)run->count * PAGE_BYTES;
	run->io.op = RAID_WRITE;
	run->io.flags = 0;
	run->io.vaddr = run->vaddr;
	run->io.count = run->count;
	run->io.columns = 0;
	run->io.iov = &run->iov;
	run->io.iov_count = 1;
	run->io.done = run_ended;
	run->tries = 0;
	run->written = false;
	run->pages->runs_in_flight++;
	raid_submit(run->pages->raid, &run->io);
}

static void run_add(struct page_run *run, struct page_ref *ref, const uint8_t page[PAGE_BYTES])
{
	struct pages *pages = run->pages;
	struct page_key *key = &run->keys[run->count];

	ref->ptr.vaddr = run->vaddr + run->count;
	ref->ptr.kind = (uint8_t)ref->kind;
	ref->ptr.ckpt = pages->ckpt;
	node_check_make(page, node_seed(ref->kind, ref->ptr.level, ref->index), ref->ptr.check);
	memcpy((uint8_t *)run->iov.iov_base + (size_t)run->count * PAGE_BYTES, page, PAGE_BYTES);
	*key = page_key_of(ref);
	run->count++;
	pages_insert(pages, key, page, true);
}

/* Parks while all buffers are under way. NULL: writing has failed for good. */
static struct page_run *run_take(struct pages *pages)
{
	while (pages->error == 0) {
		struct list *node = list_pop(&pages->runs_free);

		if (node) {
			list_append(&pages->runs_busy, node);
			return container_of(node, struct page_run, node);
		}
		pages_wait(pages);
	}
	return NULL;
}

/* A run of free slots; of a new segment, when those that are there are full. */
static unsigned slots_take(struct pages *pages, uint64_t *ret_vaddr)
{
	struct segment *segment;
	unsigned room = space_alloc(pages->space, SEGMENT_META, PAGES_RUN, ret_vaddr);

	if (room == 0 &&
	    space_segment_add(pages->space, SEGMENT_META, 0, pages->ckpt, &segment) == 0)
		room = space_alloc(pages->space, SEGMENT_META, PAGES_RUN, ret_vaddr);
	return room;
}

/* Makes `pages->run` one with room. Others may write while this fiber is parked. */
static int run_open(struct pages *pages)
{
	struct page_run *run;

	if (pages->error < 0)
		return pages->error;
	if (pages->run)
		return 0;
	run = run_take(pages);
	if (!run)
		return pages->error;
	if (pages->run) {
		run_release(run);
		return 0;
	}
	run->room = slots_take(pages, &run->vaddr);
	if (run->room == 0) {
		run_release(run);
		return -ENOSPC;
	}
	pages->run = run;
	return 0;
}

int pages_write(struct pages *pages, struct page_ref *ref, const uint8_t page[PAGE_BYTES])
{
	const int r = run_open(pages);
	struct page_run *run = pages->run;

	if (r < 0)
		return r;
	run_add(run, ref, page);
	space_ref(pages->space, ref->ptr.vaddr);
	if (run->count == run->room) {
		pages->run = NULL;
		run_submit(run);
	}
	return 0;
}

static void placed_send(struct pages *pages)
{
	struct page_run *run = pages->placed;

	pages->placed = NULL;
	if (run)
		run_submit(run);
}

static bool placed_fits(const struct pages *pages, uint64_t vaddr)
{
	const struct page_run *run = pages->placed;

	return run && run->count < PAGES_RUN && vaddr == run->vaddr + run->count;
}

int pages_write_at(struct pages *pages, struct page_ref *ref, const uint8_t page[PAGE_BYTES])
{
	/* Others may write while this fiber is parked. */
	while (!placed_fits(pages, ref->ptr.vaddr)) {
		struct page_run *run;

		placed_send(pages);
		run = run_take(pages);
		if (!run)
			return pages->error;
		if (pages->placed) {
			run_release(run);
			continue;
		}
		run->vaddr = ref->ptr.vaddr;
		pages->placed = run;
	}
	if (pages->error < 0)
		return pages->error;
	run_add(pages->placed, ref, page);
	return 0;
}

/* Sends what there is of the open run, and gives the rest of its slots back. */
static void run_close(struct pages *pages)
{
	struct page_run *run = pages->run;

	if (!run)
		return;
	pages->run = NULL;
	space_unalloc(pages->space, run->vaddr + run->count, run->room - run->count);
	if (run->count > 0)
		run_submit(run);
	else
		run_release(run);
}

int pages_drain(struct pages *pages)
{
	run_close(pages);
	placed_send(pages);
	while (pages->runs_in_flight > 0 || pages->mending > 0)
		pages_wait(pages);
	return pages->error;
}

void pages_write_init(struct pages *pages, uint8_t *memory)
{
	list_init(&pages->runs_free);
	list_init(&pages->runs_busy);
	for (unsigned i = 0; i < pages->run_count; i++) {
		struct page_run *run = &pages->runs[i];

		run->pages = pages;
		run->iov.iov_base = memory + (size_t)i * PAGES_RUN * PAGE_BYTES;
		list_append(&pages->runs_free, &run->node);
	}
}
