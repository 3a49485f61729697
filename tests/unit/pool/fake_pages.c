/* SPDX-License-Identifier: Apache-2.0 */
/* Pages in memory, by slot; a slot is used once. */
#include <errno.h>
#include <stdlib.h>

#include <quoin/base_assert.h>
#include <quoin/base_random.h>
#include <quoin/base_text.h>
#include <quoin/loop_fiber.h>

#include "fake_pages.h"

#define PARK_NS_MAX 50000

struct fake_page {
	uint8_t *bytes;
	bool gone;
	bool cached;
};

struct pages {
	struct loop_sim *world;
	struct random *random;
	struct fake_page *slots; /* slot 0 is not used */
	size_t slot_count, slots_max;
	size_t live;
	uint64_t reads, writes, lost;
	uint64_t read_fails_in, write_fails_in;
	int read_error, write_error;
};

struct pages *fake_pages_new(struct loop_sim *world)
{
	struct pages *pages = xcalloc(1, sizeof(*pages));

	pages->world = world;
	pages->random = loop_sim_random(world);
	pages->slot_count = 1;
	return pages;
}

void fake_pages_free(struct pages *pages)
{
	for (size_t i = 0; i < pages->slot_count; i++)
		if (pages->slots)
			free(pages->slots[i].bytes);
	free(pages->slots);
	free(pages);
}

size_t fake_pages_count(const struct pages *pages)
{
	return pages->live;
}

uint64_t fake_pages_reads(const struct pages *pages)
{
	return pages->reads;
}

uint64_t fake_pages_writes(const struct pages *pages)
{
	return pages->writes;
}

void fake_pages_fail_read(struct pages *pages, uint64_t nth, int error)
{
	pages->read_fails_in = nth;
	pages->read_error = error;
}

void fake_pages_fail_write(struct pages *pages, uint64_t nth, int error)
{
	pages->write_fails_in = nth;
	pages->write_error = error;
}

size_t fake_pages_mark(const struct pages *pages)
{
	return pages->slot_count;
}

void fake_pages_rewind(struct pages *pages, size_t mark)
{
	for (; pages->slot_count > mark; pages->slot_count--) {
		struct fake_page *page = &pages->slots[pages->slot_count - 1];

		pages->live -= !page->gone;
		free(page->bytes);
		page->bytes = NULL;
	}
}

static struct fake_page *find(struct pages *pages, const struct node_ptr *ptr)
{
	struct fake_page *page;

	ASSERT_U64(vaddr_segment(ptr->vaddr), ==, FAKE_META_SEGMENT);
	ASSERT_U64(vaddr_slot(ptr->vaddr), <, pages->slot_count);
	page = &pages->slots[vaddr_slot(ptr->vaddr)];
	ASSERT(!page->gone);
	return page;
}

static bool fails(uint64_t *in)
{
	return *in > 0 && --*in == 0;
}

const uint8_t *pages_peek(struct pages *pages, const struct node_ptr *ptr)
{
	struct fake_page *page = find(pages, ptr);

	if (random_chance(pages->random, 1, 16))
		page->cached = false;
	return page->cached ? page->bytes : NULL;
}

int pages_read(struct pages *pages, const struct page_ref *ref, uint8_t to[PAGE_BYTES])
{
	struct fake_page *page = find(pages, &ref->ptr);

	ASSERT(fiber_self());
	if (fails(&pages->read_fails_in))
		return pages->read_error;
	ASSERT_U64(ref->ptr.kind, ==, ref->kind);
	ASSERT(node_check_matches(page->bytes, node_seed(ref->kind, ref->ptr.level, ref->index),
				  ref->ptr.check));
	if (!page->cached && random_chance(pages->random, 1, 4))
		ASSERT(fiber_sleep_ns(random_below(pages->random, PARK_NS_MAX)) == 0);
	page = find(pages, &ref->ptr);
	page->cached = true;
	pages->reads++;
	memcpy(to, page->bytes, PAGE_BYTES);
	return 0;
}

void pages_prefetch(struct pages *pages, const struct page_ref *refs, unsigned count)
{
	ASSERT_U64(count, <=, PAGES_READS_MAX);
	for (unsigned i = 0; i < count; i++)
		find(pages, &refs[i].ptr)->cached = true;
}

int pages_write(struct pages *pages, struct page_ref *ref, const uint8_t page[PAGE_BYTES])
{
	struct fake_page *slot;

	ASSERT(fiber_self());
	if (fails(&pages->write_fails_in))
		return pages->write_error;
	ASSERT_U64(ref->ptr.kind, ==, ref->kind);
	ASSERT_U64(ref->ptr.live, >, 0);
	if (random_chance(pages->random, 1, 8))
		fiber_yield();
	if (pages->slot_count == pages->slots_max || !pages->slots) {
		pages->slots_max = MAX(pages->slots_max * 2, 64);
		pages->slots = realloc(pages->slots, pages->slots_max * sizeof(*pages->slots));
		ASSERT(pages->slots);
		pages->slots[0] = (struct fake_page){0};
	}
	slot = &pages->slots[pages->slot_count];
	*slot = (struct fake_page){.bytes = xmalloc(PAGE_BYTES),
				   .cached = random_chance(pages->random, 1, 2)};
	memcpy(slot->bytes, page, PAGE_BYTES);
	ref->ptr.vaddr = vaddr_make(FAKE_META_SEGMENT, pages->slot_count++);
	node_check_make(page, node_seed(ref->kind, ref->ptr.level, ref->index), ref->ptr.check);
	pages->live++;
	pages->writes++;
	return 0;
}

void pages_cool(struct pages *pages, const struct node_ptr *ptr)
{
}

void pages_unref(struct pages *pages, const struct node_ptr *ptr)
{
	find(pages, ptr)->gone = true;
	pages->live--;
}

void pages_lost(struct pages *pages, const struct node_ptr *ptr)
{
	pages->lost += 1 + ptr->live;
}

struct space *pages_space(const struct pages *pages)
{
	return NULL;
}

struct segment *space_segment(const struct space *space, uint32_t id)
{
	static struct segment data = {.id = FAKE_DATA_SEGMENT, .class = SEGMENT_DATA};
	static struct segment meta = {.id = FAKE_META_SEGMENT, .class = SEGMENT_META};

	if (id == FAKE_DATA_SEGMENT)
		return &data;
	return id == FAKE_META_SEGMENT ? &meta : NULL;
}
