/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contents at rest of simulated drives. An image is a file of memory: a drive is made from it with
 * a private mapping, which copies a page when it is written and not before. Which pages are not
 * zero is known, so that copies and zeroes cost what is in use, not what could be.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <quoin/base_assert.h>
#include <quoin/base_bitmap.h>
#include <quoin/base_math.h>
#include <quoin/base_text.h>

#include "sim.h"

static uint64_t page_count(uint64_t size_bytes)
{
	return div_round_up(size_bytes, SIM_PAGE_BYTES);
}

uint8_t *sim_memory_new(uint64_t size_bytes)
{
	void *memory = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	ASSERT(memory != MAP_FAILED);
	/* A huge page would clear 2 MiB for the first block that is written. Where there are none
	 * to be had, there is nothing to refuse. */
	(void)madvise(memory, size_bytes, MADV_NOHUGEPAGE);
	return memory;
}

struct disk_sim_image *sim_image_new(uint64_t size_bytes)
{
	struct disk_sim_image *image = xcalloc(1, sizeof(*image));
	void *bytes;

	image->users = 1;
	image->size_bytes = size_bytes;
	image->used = xcalloc(BITMAP_WORDS(page_count(size_bytes)), sizeof(uint64_t));
	image->fd = memfd_create("simulated", MFD_CLOEXEC);
	ASSERT(image->fd >= 0);
	ASSERT(ftruncate(image->fd, (off_t)size_bytes) == 0);
	bytes = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, image->fd, 0);
	ASSERT(bytes != MAP_FAILED);
	image->bytes = bytes;
	return image;
}

void sim_image_ref(struct disk_sim_image *image)
{
	if (image)
		image->users++;
}

void sim_image_unref(struct disk_sim_image *image)
{
	if (!image)
		return;
	ASSERT(image->users > 0);
	if (--image->users > 0)
		return;
	munmap(image->bytes, image->size_bytes);
	base_close(&image->fd);
	free(image->used);
	free(image);
}

/* Through the file: no page fault for each page. */
static void file_put(int fd, const uint8_t *bytes, uint64_t offset, uint64_t length)
{
	while (length > 0) {
		const ssize_t n = pwrite(fd, bytes + offset, length, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		ASSERT(n > 0);
		offset += (uint64_t)n;
		length -= (uint64_t)n;
	}
}

void sim_image_load(struct disk_sim_image *image, const uint8_t *bytes, const uint64_t *pages)
{
	const uint64_t count = page_count(image->size_bytes);
	uint64_t begin = bitmap_next_set(pages, count, 0);

	while (begin < count) {
		const uint64_t end = bitmap_next_clear(pages, count, begin);
		const uint64_t at = begin * SIM_PAGE_BYTES;

		file_put(image->fd, bytes, at, MIN(end * SIM_PAGE_BYTES, image->size_bytes) - at);
		for (uint64_t i = begin; i < end; i++)
			bitmap_set(image->used, i);
		begin = bitmap_next_set(pages, count, end);
	}
}

struct disk_sim_image *sim_image_copy(const struct disk_sim_image *image)
{
	struct disk_sim_image *copy = sim_image_new(image->size_bytes);

	sim_image_load(copy, image->bytes, image->used);
	return copy;
}

void sim_bytes_put(uint8_t *bytes, uint64_t *used, uint64_t offset, const uint8_t *data,
		   uint64_t length)
{
	while (length > 0) {
		const uint64_t page = offset / SIM_PAGE_BYTES;
		const uint64_t n = MIN((page + 1) * SIM_PAGE_BYTES - offset, length);

		if (data) {
			memcpy(bytes + offset, data, n);
			bitmap_set(used, page);
			data += n;
		} else if (bitmap_test(used, page)) {
			memset(bytes + offset, 0, n);
		}
		offset += n;
		length -= n;
	}
}

struct disk_sim_image *disk_sim_image_save(const struct disk_sim *sim)
{
	const struct sim_cache *cache = &sim->cache;
	struct disk_sim_image *image = sim_image_new(cache->unit_count * cache->unit_bytes);
	uint64_t u = bitmap_next_set(cache->dirty, cache->dirty_end, cache->dirty_begin);

	sim_image_load(image, cache->now, cache->used);
	for (; u < cache->dirty_end; u = bitmap_next_set(cache->dirty, cache->dirty_end, u + 1))
		memcpy(image->bytes + u * cache->unit_bytes, cache->medium + u * cache->unit_bytes,
		       cache->unit_bytes);
	return image;
}

void disk_sim_image_restore(struct disk_sim *sim, struct disk_sim_image *image)
{
	ASSERT(!sim->trace);
	ASSERT(!sim->open || list_empty(&sim->open->in_flight));
	ASSERT_U64(image->size_bytes, ==, sim->cache.unit_count * sim->cache.unit_bytes);
	sim_cache_replace(&sim->cache, image);
	/* The sectors that could not be read were those of the other content. */
	free(sim->bad);
	sim->bad = NULL;
}

void disk_sim_image_free(struct disk_sim_image *image)
{
	sim_image_unref(image);
}
