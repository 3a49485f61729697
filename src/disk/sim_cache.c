/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Medium and volatile cache of a simulated drive: two images and a bitmap of the blocks in which
 * they may differ. A block that is written twice has lost its first version from the cache; that
 * it could have reached the medium is what random write-backs are for.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <quoin/base_assert.h>
#include <quoin/base_bitmap.h>
#include <quoin/base_text.h>

#include "sim.h"

/* Zeroes that cost memory only where they are written. */
static uint8_t *image_new(uint64_t size_bytes)
{
	void *image = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	ASSERT(image != MAP_FAILED);
	return image;
}

void sim_cache_init(struct sim_cache *cache, uint64_t size_bytes, uint64_t block_bytes)
{
	cache->block_bytes = block_bytes;
	cache->block_count = size_bytes / block_bytes;
	cache->now = image_new(size_bytes);
	cache->medium = image_new(size_bytes);
	cache->dirty = xcalloc(BITMAP_WORDS(cache->block_count), sizeof(uint64_t));
}

void sim_cache_fini(struct sim_cache *cache)
{
	munmap(cache->now, cache->block_count * cache->block_bytes);
	munmap(cache->medium, cache->block_count * cache->block_bytes);
	free(cache->dirty);
}

void sim_cache_put(struct sim_cache *cache, uint64_t block, const void *data, bool durable)
{
	uint8_t *now = cache->now + block * cache->block_bytes;

	ASSERT_U64(block, <, cache->block_count);
	if (data)
		memcpy(now, data, cache->block_bytes);
	else
		memset(now, 0, cache->block_bytes);
	bitmap_set(cache->dirty, block);
	if (durable)
		sim_cache_write_back(cache, block);
}

void sim_cache_write_back(struct sim_cache *cache, uint64_t block)
{
	const uint64_t at = block * cache->block_bytes;

	memcpy(cache->medium + at, cache->now + at, cache->block_bytes);
	bitmap_clear(cache->dirty, block);
}

static uint64_t next_dirty(const struct sim_cache *cache, uint64_t from)
{
	return bitmap_next_set(cache->dirty, cache->block_count, from);
}

void sim_cache_flush(struct sim_cache *cache)
{
	for (uint64_t b = next_dirty(cache, 0); b < cache->block_count; b = next_dirty(cache, b))
		sim_cache_write_back(cache, b);
}

void sim_cache_write_back_some(struct sim_cache *cache, struct random *random, unsigned percent)
{
	uint64_t b = next_dirty(cache, 0);

	for (; b < cache->block_count; b = next_dirty(cache, b + 1)) {
		if (random_chance(random, percent, 100))
			sim_cache_write_back(cache, b);
	}
}

void sim_cache_lose(struct sim_cache *cache)
{
	uint64_t b = next_dirty(cache, 0);

	for (; b < cache->block_count; b = next_dirty(cache, b)) {
		const uint64_t at = b * cache->block_bytes;

		memcpy(cache->now + at, cache->medium + at, cache->block_bytes);
		bitmap_clear(cache->dirty, b);
	}
}
