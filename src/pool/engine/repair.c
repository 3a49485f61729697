/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks whose check failed, or that could not be read: one fiber per pool, while there are any.
 *
 * Each is looked up again, as it may have been written elsewhere meanwhile, and read from every
 * column into our own page, which no guest changes under us. Bad columns get the good content.
 */
#include <errno.h>
#include <string.h>

#include <quoin/base_assert.h>

#include "engine/io.h"

#define REPAIR_ROUNDS 3

/* What the columns of one block had. */
struct copies {
	uint64_t vaddr;
	unsigned good, wrong, failed; /* bit per column */
	uint8_t *page;		      /* the good content */
	uint8_t *probe;
};

static void copies_read(struct pool *pool, const uint8_t entry[ENTRY_BYTES], struct copies *copies)
{
	const struct segment *segment;
	unsigned columns;

	copies->vaddr = entry_vaddr(entry);
	copies->good = copies->wrong = copies->failed = 0;
	if (!space_vaddr_valid(pool->space, copies->vaddr, SEGMENT_DATA))
		return;
	segment = space_segment(pool->space, vaddr_segment(copies->vaddr));
	columns = raid_columns_online(&pool->raid, segment);
	for (unsigned i = 0; i < SEGMENT_COLUMNS_MAX; i++) {
		if (!(columns & 1U << i))
			continue;
		if (raid_read(&pool->raid, copies->vaddr, 1, i, copies->probe) < 0) {
			copies->failed |= 1U << i;
		} else if (!entry_check_matches(copies->probe, entry)) {
			copies->wrong |= 1U << i;
		} else {
			copies->good |= 1U << i;
			memcpy(copies->page, copies->probe, PAGE_BYTES);
		}
		/* Reading parked; a segment that went has no block any more, nor has a new one. */
		if (!space_vaddr_valid(pool->space, copies->vaddr, SEGMENT_DATA))
			return;
		segment = space_segment(pool->space, vaddr_segment(copies->vaddr));
		columns &= raid_columns_online(&pool->raid, segment);
	}
}

static void wrong_count(struct pool *pool, const struct copies *copies)
{
	const struct segment *segment = space_segment(pool->space, vaddr_segment(copies->vaddr));

	for (unsigned i = 0; segment && i < segment->column_count; i++) {
		if (copies->wrong & 1U << i)
			pool->raid.drives[segment->columns[i].drive].info.check_errors++;
	}
}

static void changed(struct pool *pool)
{
	if (pool->changed)
		pool->changed(pool->data);
}

/* The entry is still the block's, so its slot is: what is wrong there is wrong. */
static bool entry_stays(struct rio *rio, unsigned i, const uint8_t entry[ENTRY_BYTES])
{
	uint8_t now[ENTRY_BYTES];

	return !block_lookup_wait(rio->pool, rio->device, rio->block + i, now) &&
	       memcmp(now, entry, ENTRY_BYTES) == 0;
}

static void heal(struct rio *rio, const struct copies *copies)
{
	struct pool *pool = rio->pool;
	struct iovec iov = {copies->page, PAGE_BYTES};
	struct raid_io io = {
		.op = RAID_WRITE,
		.vaddr = copies->vaddr,
		.count = 1,
		.columns = (copies->wrong | copies->failed),
		.iov = &iov,
		.iov_count = 1,
	};
	const struct segment *segment = space_segment(pool->space, vaddr_segment(copies->vaddr));

	if (!segment)
		return;
	wrong_count(pool, copies);
	io.columns &= raid_columns_online(&pool->raid, segment);
	if (io.columns != 0 && raid_run(&pool->raid, &io) == 0)
		pool->healed++;
	changed(pool);
}

/* The patch as it is with the entry just looked up: a newer block may have taken it in. */
static void patch_refresh(struct rio *rio, unsigned i)
{
	const struct patch *patch;

	if (!(rio->patched & 1U << i))
		return;
	patch = patch_find(rio->pool, rio->device->volume, rio->block + i);
	if (patch) {
		memcpy(rio->patch_pages[i], patch->page, PAGE_BYTES);
		rio->patch_masks[i] = patch->mask;
		return;
	}
	buffer_give(rio->pool, rio->patch_pages[i]);
	rio->patched &= ~(1U << i);
}

static int block_repair(struct rio *rio, unsigned i, struct copies *copies)
{
	struct pool *pool = rio->pool;
	uint8_t entry[ENTRY_BYTES];

	for (unsigned round = 0; round < REPAIR_ROUNDS; round++) {
		if (block_lookup_wait(pool, rio->device, rio->block + i, entry))
			break;
		patch_refresh(rio, i);
		if (entry_vaddr(entry) == 0) {
			memset(rio->pages[i], 0, PAGE_BYTES);
			return 0;
		}
		copies_read(pool, entry, copies);
		if (copies->good != 0) {
			memcpy(rio->pages[i], copies->page, PAGE_BYTES);
			if ((copies->wrong | copies->failed) != 0 && entry_stays(rio, i, entry))
				heal(rio, copies);
			return 0;
		}
		if (entry_stays(rio, i, entry)) {
			wrong_count(pool, copies);
			break;
		}
	}
	pool->bad_blocks++;
	damage_note(pool, rio->device, rio->block + i);
	changed(pool);
	return -EIO;
}

static void repairer_main(void *arg)
{
	_Alignas(PAGE_BYTES) uint8_t pages[2][PAGE_BYTES];
	struct copies copies = {.page = pages[0], .probe = pages[1]};
	struct pool *pool = arg;
	struct list *node;

	while ((node = list_pop(&pool->repairs))) {
		struct rio *rio = container_of(node, struct rio, node);

		for (unsigned i = 0; i < rio->count; i++) {
			if (rio->bad & 1U << i && block_repair(rio, i, &copies) < 0)
				rio->result = -EIO;
		}
		read_end(rio);
	}
	pool->repairer = NULL;
}

void repair_start(struct rio *rio)
{
	struct pool *pool = rio->pool;

	if (rio->request)
		request_words(rio->request)->repaired = true;
	list_append(&pool->repairs, &rio->node);
	if (pool->repairer)
		return;
	if (fiber_start(pool->loop, false, repairer_main, pool, &pool->repairer) < 0) {
		pool->repairer = NULL;
		list_remove(&rio->node);
		rio->result = -EIO;
		read_end(rio);
	}
}
