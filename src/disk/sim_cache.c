/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Medium and volatile cache of a simulated drive: one content, which reads return, and for the
 * units that are not on the medium yet what the medium has instead. Thus to be safe costs nothing,
 * and only a loss has to copy. A unit that is written twice has lost its first version from the
 * cache; that it could have reached the medium is what random write-backs are for.
 */
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_bitmap.h>
#include <quoin/base_math.h>
#include <quoin/base_text.h>

#include "sim.h"

static uint64_t cache_bytes(const struct sim_cache *cache)
{
	return cache->unit_count * cache->unit_bytes;
}

static void dirty_none(struct sim_cache *cache)
{
	cache->dirty_begin = cache->unit_count;
	cache->dirty_end = 0;
}

void sim_cache_init(struct sim_cache *cache, uint64_t size_bytes, uint64_t unit_bytes,
		    struct disk_sim_image *image)
{
	cache->unit_bytes = unit_bytes;
	cache->unit_count = size_bytes / unit_bytes;
	sim_content_init(&cache->now, size_bytes);
	cache->medium.pages = NULL;
	cache->dirty = xcalloc(BITMAP_WORDS(cache->unit_count), sizeof(uint64_t));
	dirty_none(cache);
	if (image)
		sim_cache_replace(cache, image);
}

void sim_cache_fini(struct sim_cache *cache)
{
	sim_content_fini(&cache->now);
	sim_content_fini(&cache->medium);
	free(cache->dirty);
}

void sim_cache_replace(struct sim_cache *cache, struct disk_sim_image *image)
{
	sim_content_over(&cache->now, image);
	sim_cache_flush(cache);
}

static void unit_soil(struct sim_cache *cache, uint64_t unit)
{
	if (bitmap_test(cache->dirty, unit))
		return;
	/* Many a drive after a crash is only looked at. */
	if (!cache->medium.pages)
		sim_content_init(&cache->medium, cache_bytes(cache));
	sim_content_copy(&cache->medium, &cache->now, unit * cache->unit_bytes, cache->unit_bytes);
	bitmap_set(cache->dirty, unit);
	cache->dirty_begin = MIN(cache->dirty_begin, unit);
	cache->dirty_end = MAX(cache->dirty_end, unit + 1);
}

void sim_cache_change(struct sim_cache *cache, uint64_t offset, uint64_t length, bool durable)
{
	const uint64_t end = offset + length;

	ASSERT(range_within(offset, length, cache_bytes(cache)));
	for (uint64_t u = offset / cache->unit_bytes; u < end / cache->unit_bytes; u++) {
		if (durable)
			bitmap_clear(cache->dirty, u);
		else
			unit_soil(cache, u);
	}
}

void sim_cache_erase(struct sim_cache *cache, uint64_t offset, uint64_t length)
{
	const uint64_t end = (offset + length) / cache->unit_bytes;
	uint64_t u = bitmap_next_set(cache->dirty, end, offset / cache->unit_bytes);

	for (; u < end; u = bitmap_next_set(cache->dirty, end, u + 1))
		bitmap_clear(cache->dirty, u);
	sim_content_put(&cache->now, offset, NULL, length);
}

static uint64_t next_dirty(const struct sim_cache *cache, uint64_t from)
{
	return bitmap_next_set(cache->dirty, cache->dirty_end, from);
}

void sim_cache_flush(struct sim_cache *cache)
{
	const uint64_t first = cache->dirty_begin / 64;

	if (cache->dirty_begin < cache->dirty_end)
		memset(cache->dirty + first, 0,
		       (BITMAP_WORDS(cache->dirty_end) - first) * sizeof(uint64_t));
	dirty_none(cache);
}

void sim_cache_write_back_some(struct sim_cache *cache, struct sim_dice *dice)
{
	uint64_t u = next_dirty(cache, cache->dirty_begin);

	for (; u < cache->dirty_end; u = next_dirty(cache, u + 1)) {
		if (sim_dice_keep(dice, u))
			bitmap_clear(cache->dirty, u);
	}
}

void sim_cache_lose(struct sim_cache *cache)
{
	uint64_t u = next_dirty(cache, cache->dirty_begin);

	for (; u < cache->dirty_end; u = next_dirty(cache, u + 1))
		sim_content_copy(&cache->now, &cache->medium, u * cache->unit_bytes,
				 cache->unit_bytes);
	sim_cache_flush(cache);
}

void sim_cache_flip(struct sim_cache *cache, uint64_t at, uint8_t bits)
{
	sim_content_flip(&cache->now, at, bits);
	if (bitmap_test(cache->dirty, at / cache->unit_bytes))
		sim_content_flip(&cache->medium, at, bits);
}
