/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contents of simulated drives, page by page. A content may lie over an image, which is one at
 * rest: it has the image's pages, and a copy of those that it changes. So a drive that is made from
 * an image costs a table of pointers and what it writes, and no system call. The pages come from
 * the heap: mapped memory would fault for each page of each of a campaign's many drives.
 */
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_bitmap.h>
#include <quoin/base_math.h>
#include <quoin/base_text.h>

#include "sim.h"

static uint64_t page_count(uint64_t size_bytes)
{
	return div_round_up(size_bytes, SIM_PAGE_BYTES);
}

/* --- Contents ------------------------------------------------------------------------------ */

void sim_content_init(struct sim_content *content, uint64_t size_bytes)
{
	const uint64_t pages = page_count(size_bytes);

	content->size_bytes = size_bytes;
	content->pages = xcalloc(pages, sizeof(*content->pages));
	content->own = xcalloc(BITMAP_WORDS(pages), sizeof(uint64_t));
	content->under = NULL;
}

static void own_drop(struct sim_content *content)
{
	const uint64_t pages = page_count(content->size_bytes);
	uint64_t i = bitmap_next_set(content->own, pages, 0);

	for (; i < pages; i = bitmap_next_set(content->own, pages, i + 1))
		free(content->pages[i]);
}

void sim_content_fini(struct sim_content *content)
{
	if (!content->pages)
		return;
	own_drop(content);
	free(content->pages);
	free(content->own);
	sim_image_unref(content->under);
	content->pages = NULL;
}

void sim_content_over(struct sim_content *content, struct disk_sim_image *image)
{
	const uint64_t pages = page_count(content->size_bytes);

	ASSERT_U64(image->content.size_bytes, ==, content->size_bytes);
	sim_image_ref(image);
	own_drop(content);
	sim_image_unref(content->under);
	memcpy(content->pages, image->content.pages, pages * sizeof(*content->pages));
	memset(content->own, 0, BITMAP_WORDS(pages) * sizeof(uint64_t));
	content->under = image;
}

/* For new bytes of it; `whole`: all of it will be written. */
static uint8_t *page_own(struct sim_content *content, uint64_t page, bool whole)
{
	const uint8_t *old = content->pages[page];
	uint8_t *own;

	if (bitmap_test(content->own, page))
		return content->pages[page];
	own = xmalloc(SIM_PAGE_BYTES);
	if (!whole && old)
		memcpy(own, old, SIM_PAGE_BYTES);
	else if (!whole)
		memset(own, 0, SIM_PAGE_BYTES);
	content->pages[page] = own;
	bitmap_set(content->own, page);
	return own;
}

static void page_forget(struct sim_content *content, uint64_t page)
{
	if (bitmap_test(content->own, page))
		free(content->pages[page]);
	bitmap_clear(content->own, page);
	content->pages[page] = NULL;
}

void sim_content_put(struct sim_content *content, uint64_t offset, const void *data,
		     uint64_t length)
{
	const uint8_t *from = data;

	while (length > 0) {
		const uint64_t page = offset / SIM_PAGE_BYTES;
		const uint64_t at = offset % SIM_PAGE_BYTES;
		const uint64_t n = MIN(SIM_PAGE_BYTES - at, length);
		const bool whole = n == SIM_PAGE_BYTES;

		if (from)
			memcpy(page_own(content, page, whole) + at, from, n);
		else if (whole)
			page_forget(content, page);
		else if (content->pages[page])
			memset(page_own(content, page, false) + at, 0, n);
		from = from ? from + n : NULL;
		offset += n;
		length -= n;
	}
}

void sim_content_get(const struct sim_content *content, uint64_t offset, void *data,
		     uint64_t length)
{
	uint8_t *to = data;

	while (length > 0) {
		const uint8_t *page = content->pages[offset / SIM_PAGE_BYTES];
		const uint64_t at = offset % SIM_PAGE_BYTES;
		const uint64_t n = MIN(SIM_PAGE_BYTES - at, length);

		if (page)
			memcpy(to, page + at, n);
		else
			memset(to, 0, n);
		to += n;
		offset += n;
		length -= n;
	}
}

void sim_content_flip(struct sim_content *content, uint64_t at, uint8_t bits)
{
	page_own(content, at / SIM_PAGE_BYTES, false)[at % SIM_PAGE_BYTES] ^= bits;
}

/* Within one page; NULL: zeroes. */
static const uint8_t *bytes_of(const struct sim_content *content, uint64_t offset)
{
	const uint8_t *page = content->pages[offset / SIM_PAGE_BYTES];

	return page ? page + offset % SIM_PAGE_BYTES : NULL;
}

void sim_content_copy(struct sim_content *to, const struct sim_content *from, uint64_t offset,
		      uint64_t length)
{
	ASSERT(offset % SIM_PAGE_BYTES + length <= SIM_PAGE_BYTES);
	sim_content_put(to, offset, bytes_of(from, offset), length);
}

/* --- Images -------------------------------------------------------------------------------- */

struct disk_sim_image *sim_image_over(struct disk_sim_image *under)
{
	struct disk_sim_image *image = xcalloc(1, sizeof(*image));

	image->users = 1;
	sim_content_init(&image->content, under->content.size_bytes);
	sim_content_over(&image->content, under);
	return image;
}

struct disk_sim_image *sim_image_freeze(struct sim_content *content)
{
	struct disk_sim_image *image = xcalloc(1, sizeof(*image));

	image->users = 1;
	image->content = *content;
	sim_content_init(content, image->content.size_bytes);
	sim_content_over(content, image);
	return image;
}

void sim_image_ref(struct disk_sim_image *image)
{
	if (image)
		image->users++;
}

void sim_image_unref(struct disk_sim_image *image)
{
	/* An image may be the last that holds the one under it, and so on. */
	while (image) {
		struct disk_sim_image *under = image->content.under;

		ASSERT(image->users > 0);
		if (--image->users > 0)
			return;
		image->content.under = NULL;
		sim_content_fini(&image->content);
		free(image);
		image = under;
	}
}

struct disk_sim_image *disk_sim_image_save(struct disk_sim *sim)
{
	struct sim_cache *cache = &sim->cache;
	struct disk_sim_image *now = sim_image_freeze(&cache->now);
	struct disk_sim_image *image = sim_image_over(now);
	uint64_t u = bitmap_next_set(cache->dirty, cache->dirty_end, cache->dirty_begin);

	for (; u < cache->dirty_end; u = bitmap_next_set(cache->dirty, cache->dirty_end, u + 1))
		sim_content_copy(&image->content, &cache->medium, u * cache->unit_bytes,
				 cache->unit_bytes);
	sim_image_unref(now);
	return image;
}

void disk_sim_image_restore(struct disk_sim *sim, struct disk_sim_image *image)
{
	ASSERT(!sim->trace);
	ASSERT(!sim->open || list_empty(&sim->open->in_flight));
	sim_cache_replace(&sim->cache, image);
	/* The sectors that could not be read were those of the other content. */
	free(sim->bad);
	sim->bad = NULL;
}

void disk_sim_image_free(struct disk_sim_image *image)
{
	sim_image_unref(image);
}
