/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes of less than a block. The sectors are kept in memory and in the log, so that neither the
 * write nor a flush waits for the rest of the block; the rest is read in the background, and the
 * whole is written like any block. Until then reads overlay the sectors.
 *
 *   put --> waiting --> merging (rest is read, whole is written) --> gone
 *             ^             |
 *             +-------------+ sectors came meanwhile, or there was no room; stuck: the rest cannot
 *                             be read, so the sectors stay until the block is whole otherwise
 *
 * A block that is being written whole takes no patch (the put waits), so that a whole write always
 * ends after the sectors it replaces.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>

#include "engine/io.h"

#define WHOLE 0xffU

static struct list *bucket_of(struct pool *pool, const struct volume *volume, uint64_t block)
{
	return &pool->patch_buckets[(delta_key(volume->id, block) * UINT64_C(0x9e3779b97f4a7c15)) >>
				    58];
}

/* What a partial block is read with: behind the patches, one for each. */
struct rest {
	struct device device;
	struct patch *patch;
	uint8_t *page;
};

static struct rest *rest_of(const struct pool *pool, const struct patch *patch)
{
	struct rest *rests = (void *)(pool->patches + PATCHES_MAX);

	return &rests[patch - pool->patches];
}

int patches_init(struct pool *pool)
{
	uint8_t *pages = aligned_alloc(PAGE_BYTES, (size_t)PATCHES_MAX * PAGE_BYTES);

	pool->patches = calloc(PATCHES_MAX, sizeof(struct patch) + sizeof(struct rest));
	list_init(&pool->patches_free);
	for (size_t i = 0; i < ARRAY_SIZE(pool->patch_buckets); i++)
		list_init(&pool->patch_buckets[i]);
	if (!pages || !pool->patches) {
		free(pages);
		free(pool->patches);
		pool->patches = NULL;
		return -ENOMEM;
	}
	for (unsigned i = 0; i < PATCHES_MAX; i++) {
		pool->patches[i].page = pages + (size_t)i * PAGE_BYTES;
		list_append(&pool->patches_free, &pool->patches[i].node);
	}
	return 0;
}

void patches_fini(struct pool *pool)
{
	if (pool->patches)
		free(pool->patches[0].page);
	free(pool->patches);
	pool->patches = NULL;
}

struct patch *patch_find(struct pool *pool, const struct volume *volume, uint64_t block)
{
	if (volume->patch_count == 0)
		return NULL;
	list_for_each (node, bucket_of(pool, volume, block)) {
		struct patch *patch = container_of(node, struct patch, node);

		if (patch->volume == volume && patch->block == block)
			return patch;
	}
	return NULL;
}

static void patch_free(struct pool *pool, struct patch *patch)
{
	list_remove(&patch->node);
	patch->volume->patch_count--;
	pool->patches_used--;
	patch->volume = NULL;
	patch->mask = 0;
	patch->stuck = false;
	list_append(&pool->patches_free, &patch->node);
}

/* --- Merging ------------------------------------------------------------------------------- */

/* Puts the patch's sectors over its rest, which is in `page`, and writes the whole. */
static void whole_write(struct pool *pool, struct patch *patch, uint8_t *page)
{
	for (unsigned s = 0; s < SECTORS_PER_BLOCK; s++) {
		if (patch->mask >> s & 1)
			memcpy(page + s * SECTOR_BYTES, patch->page + s * SECTOR_BYTES,
			       SECTOR_BYTES);
	}
	if (patch_write(pool, patch, page))
		return;
	patch->merging = false;
	buffer_give(pool, page);
}

static void rest_read(struct rio *rio)
{
	struct rest *rest = rio->data;
	struct pool *pool = rio->pool;
	struct patch *patch = rest->patch;
	uint8_t *page = rest->page;
	const int result = rio->result;

	ASSERT(patch->merging);
	if (patch->volume && result == 0) {
		whole_write(pool, patch, page);
		return;
	}
	patch->merging = false;
	patch->stuck = patch->volume != NULL;
	buffer_give(pool, page);
	if (!patch->volume)
		list_append(&pool->patches_free, &patch->node);
	pool_work(pool);
}

static void merge_start(struct pool *pool, struct patch *patch)
{
	uint8_t *page = buffer_take(pool);
	struct rest *rest;

	if (!page)
		return;
	patch->merging = true;
	if (patch->mask == WHOLE) {
		whole_write(pool, patch, page);
		return;
	}
	rest = rest_of(pool, patch);
	*rest = (struct rest){
		.device = {.pool = pool, .volume = patch->volume}, .patch = patch, .page = page};
	if (read_block(&rest->device, patch->block, page, rest_read, rest))
		return;
	patch->merging = false;
	buffer_give(pool, page);
}

bool patch_in_vain(struct pool *pool, const struct patch *patch)
{
	return !patch->merging && (patch->stuck || slots_gone(pool));
}

void patches_progress(struct pool *pool)
{
	if (pool->read_only)
		return;
	for (unsigned i = 0; pool->patches_used > 0 && i < PATCHES_MAX; i++) {
		struct patch *patch = &pool->patches[i];

		if (patch->volume && !patch->merging && (!patch->stuck || patch->mask == WHOLE) &&
		    pool->error == 0 && !trim_pending(patch->volume))
			merge_start(pool, patch);
	}
}

void patch_written(struct pool *pool, const struct wio_block *b, int result)
{
	struct patch *patch = b->patch;
	uint8_t entry[ENTRY_BYTES];

	ASSERT(patch->merging);
	patch->merging = false;
	/* Sectors came, or the block was written whole, since: this content is old. */
	if (result == 0 && patch->volume && patch->seq == b->patch_seq) {
		memcpy(entry, b->entry, ENTRY_BYTES);
		record_insert(b->volume, b->block, entry);
		return;
	}
	if (result == 0)
		space_unalloc(pool->space, entry_vaddr(b->entry), 1);
	if (!patch->volume)
		list_append(&pool->patches_free, &patch->node);
}

/* --- Putting and forgetting ---------------------------------------------------------------- */

static void patch_log(struct pool *pool, const struct patch *patch, unsigned sector, unsigned count)
{
	while (count > 0) {
		const unsigned n = MIN(count, (unsigned)LOG_PATCH_SECTORS_MAX);
		const struct log_record record = {
			.type = LOG_PATCH,
			.volume = patch->volume->id,
			.block = patch->block,
			.seq = patch->seq,
			.epoch = pool->epoch,
			.sector = (uint8_t)sector,
			.sector_count = (uint8_t)n,
			.data = patch->page + sector * SECTOR_BYTES,
		};

		log_append(&pool->log, &record);
		sector += n;
		count -= n;
	}
}

struct patch *patch_take(struct volume *volume, uint64_t block)
{
	struct pool *pool = volume->pool;
	struct patch *patch = patch_find(pool, volume, block);
	struct list *node;

	if (patch)
		return patch;
	node = pool->patches_used < PATCHES_MAX ? list_pop(&pool->patches_free) : NULL;
	if (!node)
		return NULL;
	patch = container_of(node, struct patch, node);
	patch->volume = volume;
	patch->block = block;
	patch->mask = 0;
	patch->stuck = false;
	list_append(bucket_of(pool, volume, block), &patch->node);
	volume->patch_count++;
	pool->patches_used++;
	return patch;
}

/* Only the merge of this very patch may be writing the block. */
static bool block_busy(struct pool *pool, const struct volume *volume, uint64_t block)
{
	const struct patch *patch = patch_find(pool, volume, block);

	return *in_flight_bucket(pool, volume->id, block) > (patch && patch->merging ? 1 : 0);
}

bool patch_put(struct volume *volume, uint64_t block, unsigned sector, unsigned count,
	       const uint8_t *data)
{
	struct pool *pool = volume->pool;
	struct patch *patch;

	if (volume->patches_closed || trim_pending(volume) || !log_has_room(&pool->log, 2) ||
	    pool_delta(pool)->count + records_coming(pool) + 2 > pool->memory.delta_records ||
	    block_busy(pool, volume, block))
		return false;
	patch = patch_take(volume, block);
	if (!patch)
		return false;
	memcpy(patch->page + sector * SECTOR_BYTES, data, (size_t)count * SECTOR_BYTES);
	patch->mask |= (uint8_t)(((1U << count) - 1) << sector);
	patch->seq = pool->seq++;
	patch_log(pool, patch, sector, count);
	pool_work(pool);
	return true;
}

void patch_forget(struct volume *volume, uint64_t block)
{
	struct patch *patch = patch_find(volume->pool, volume, block);

	if (!patch)
		return;
	patch_free(volume->pool, patch);
	/* Who is merging it finds it without a volume, and frees it then. */
	if (patch->merging)
		list_remove(&patch->node);
}

void patches_forget_range(struct volume *volume, uint64_t start, uint64_t end)
{
	for (unsigned i = 0; volume->patch_count > 0 && i < PATCHES_MAX; i++) {
		const struct patch *patch = &volume->pool->patches[i];

		if (patch->volume == volume && patch->block >= start && patch->block < end)
			patch_forget(volume, patch->block);
	}
}

void volume_patches_drop(struct volume *volume)
{
	patches_forget_range(volume, 0, UINT64_MAX);
}

void patches_relog(struct pool *pool)
{
	for (unsigned i = 0; i < PATCHES_MAX; i++) {
		const struct patch *patch = &pool->patches[i];
		unsigned sector = 0;

		while (patch->volume && sector < SECTORS_PER_BLOCK) {
			unsigned count = 0;

			while (sector + count < SECTORS_PER_BLOCK &&
			       (patch->mask >> (sector + count) & 1))
				count++;
			if (count > 0)
				patch_log(pool, patch, sector, count);
			sector += count + 1;
		}
	}
}
