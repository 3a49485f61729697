/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache of pages: life, lookup, replacement. A slot has one page in the cache at most; a newer
 * one of a reused slot takes its place, and the check in the key keeps the two apart.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <quoin/base_assert.h>
#include <quoin/base_math.h>

#include "map/pages_private.h"

struct waiter {
	struct list node;
	struct fiber *fiber;
};

/* --- Life ------------------------------------------------------------------------------------- */

void pages_free(struct pages *pages)
{
	if (!pages)
		return;
	ASSERT_U64(pages->fetching, ==, 0);
	ASSERT_U64(pages->mending, ==, 0);
	ASSERT_U64(pages->runs_in_flight, ==, 0);
	ASSERT(!pages->run && !pages->placed);
	loop_task_cancel(&pages->known_task);
	free(pages->memory);
	free(pages->cached);
	free(pages->buckets);
	free(pages->runs);
	free(pages);
}

static size_t buckets_for(size_t cached_count)
{
	size_t buckets = 16;

	while (buckets < cached_count)
		buckets *= 2;
	return buckets;
}

uint64_t pages_memory(const struct pages_params *params)
{
	const uint64_t buffers = PAGES_READS_MAX + params->write_pages;

	return sizeof(struct pages) + (params->cache_pages + buffers) * PAGE_BYTES +
	       params->cache_pages * sizeof(struct cached_page) +
	       buckets_for(params->cache_pages) * sizeof(uint32_t) +
	       params->write_pages / PAGES_RUN * sizeof(struct page_run);
}

static int memory_take(struct pages *pages)
{
	const size_t buckets = buckets_for(pages->cached_count);

	pages->bucket_mask = buckets - 1;
	pages->buckets = calloc(buckets, sizeof(*pages->buckets));
	pages->cached = calloc(pages->cached_count, sizeof(*pages->cached));
	pages->runs = calloc(pages->run_count, sizeof(*pages->runs));
	if (!pages->buckets || !pages->cached || !pages->runs)
		return -ENOMEM;
	pages->memory = aligned_alloc(PAGE_BYTES, (pages->cached_count + PAGES_READS_MAX +
						   (size_t)pages->run_count * PAGES_RUN) *
							  PAGE_BYTES);
	return pages->memory ? 0 : -ENOMEM;
}

int pages_new(const struct pages_params *params, struct pages **ret_pages)
{
	struct pages *pages = calloc(1, sizeof(*pages));
	uint8_t *buffers;
	int r;

	ASSERT_U64(params->cache_pages, >, 0);
	ASSERT_U64(params->cache_pages, <, UINT32_MAX);
	ASSERT_U64(params->write_pages, >=, 2 * PAGES_RUN);
	if (!pages)
		return -ENOMEM;
	pages->raid = params->raid;
	pages->space = params->space;
	pages->cached_count = pages->cached_most = params->cache_pages;
	pages->run_count = params->write_pages / PAGES_RUN;
	list_init(&pages->waiters);
	r = memory_take(pages);
	buffers = pages->memory + pages->cached_count * PAGE_BYTES;
	if (r == 0) {
		pages_fetch_init(pages, buffers);
		pages_write_init(pages, buffers + (size_t)PAGES_READS_MAX * PAGE_BYTES);
		*ret_pages = pages;
		return 0;
	}
	free(pages->buckets);
	free(pages->cached);
	free(pages->runs);
	free(pages);
	return r;
}

/* --- Lookup ----------------------------------------------------------------------------------- */

static uint32_t *bucket_of(const struct pages *pages, uint64_t vaddr)
{
	/* Fibonacci hashing: adjacent slots of many segments spread well. */
	const uint64_t hash = vaddr * UINT64_C(0x9E3779B97F4A7C15);

	return &pages->buckets[hash >> 32 & pages->bucket_mask];
}

static struct cached_page *cached_find(const struct pages *pages, uint64_t vaddr)
{
	uint32_t at = *bucket_of(pages, vaddr);

	while (at != 0 && pages->cached[at - 1].key.vaddr != vaddr)
		at = pages->cached[at - 1].next;
	return at != 0 ? &pages->cached[at - 1] : NULL;
}

static uint8_t *cached_data(const struct pages *pages, const struct cached_page *cached)
{
	return pages->memory + (size_t)(cached - pages->cached) * PAGE_BYTES;
}

/* The page of the slot that is being written. */
static const uint8_t *run_find(const struct pages *pages, uint64_t vaddr,
			       const struct page_key **ret_key)
{
	list_for_each (node, &pages->runs_busy) {
		const struct page_run *run = container_of(node, struct page_run, node);
		const uint64_t index = vaddr - run->vaddr;

		if (index >= run->count)
			continue;
		*ret_key = &run->keys[index];
		return (const uint8_t *)run->iov.iov_base + index * PAGE_BYTES;
	}
	return NULL;
}

const uint8_t *pages_find(struct pages *pages, const struct page_key *key)
{
	struct cached_page *cached = cached_find(pages, key->vaddr);
	const struct page_key *written;
	const uint8_t *page;

	if (cached && page_key_equal(&cached->key, key)) {
		cached->touched = true;
		return cached_data(pages, cached);
	}
	page = run_find(pages, key->vaddr, &written);
	return page && page_key_equal(written, key) ? page : NULL;
}

bool pages_slot_reused(const struct pages *pages, const struct page_key *key)
{
	const struct cached_page *cached = cached_find(pages, key->vaddr);
	const struct page_key *written;

	if (cached && !page_key_equal(&cached->key, key))
		return true;
	return run_find(pages, key->vaddr, &written) && !page_key_equal(written, key);
}

const uint8_t *pages_peek(struct pages *pages, const struct node_ptr *ptr)
{
	struct cached_page *cached = cached_find(pages, ptr->vaddr);
	const struct page_key *key = cached ? &cached->key : NULL;
	const uint8_t *page = cached ? cached_data(pages, cached) : NULL;

	if (!key || memcmp(key->check, ptr->check, sizeof(key->check)) != 0)
		page = run_find(pages, ptr->vaddr, &key);
	if (!page || memcmp(key->check, ptr->check, sizeof(key->check)) != 0)
		return NULL;
	if (cached)
		cached->touched = true;
	pages->stats.hits++;
	return page;
}

/* --- Replacement ------------------------------------------------------------------------------ */

static void bucket_remove(struct pages *pages, struct cached_page *cached)
{
	uint32_t *link = bucket_of(pages, cached->key.vaddr);

	while (&pages->cached[*link - 1] != cached)
		link = &pages->cached[*link - 1].next;
	*link = cached->next;
}

/* The second round at the latest finds one: the first took all touches away. */
static struct cached_page *victim(struct pages *pages)
{
	for (;;) {
		struct cached_page *cached = &pages->cached[pages->hand];

		pages->hand = (pages->hand + 1) % pages->cached_count;
		if (!cached->touched)
			return cached;
		cached->touched = false;
	}
}

static void cached_drop(struct pages *pages, struct cached_page *cached)
{
	if (cached->key.vaddr != 0)
		bucket_remove(pages, cached);
	cached->key.vaddr = 0;
	cached->touched = false;
}

void pages_limit(struct pages *pages, size_t cache_pages)
{
	const size_t count = MIN(cache_pages, pages->cached_most);

	ASSERT_U64(count, >, 0);
	for (size_t i = count; i < pages->cached_count; i++)
		cached_drop(pages, &pages->cached[i]);
	if (count < pages->cached_count)
		madvise(pages->memory + count * PAGE_BYTES,
			(pages->cached_count - count) * PAGE_BYTES, MADV_DONTNEED);
	pages->cached_count = count;
	pages->hand %= count;
}

void pages_cool(struct pages *pages, const struct node_ptr *ptr)
{
	struct cached_page *cached = cached_find(pages, ptr->vaddr);

	if (cached && memcmp(cached->key.check, ptr->check, sizeof(ptr->check)) == 0)
		cached->touched = false;
}

void pages_insert(struct pages *pages, const struct page_key *key, const uint8_t *page,
		  bool touched)
{
	struct cached_page *cached = cached_find(pages, key->vaddr);

	if (!cached) {
		uint32_t *bucket = bucket_of(pages, key->vaddr);

		cached = victim(pages);
		if (cached->key.vaddr != 0)
			bucket_remove(pages, cached);
		cached->next = *bucket;
		*bucket = (uint32_t)(cached - pages->cached) + 1;
	}
	cached->key = *key;
	cached->touched = touched;
	memcpy(cached_data(pages, cached), page, PAGE_BYTES);
}

/* --- The rest --------------------------------------------------------------------------------- */

/* Apart from its caller: the compiler does not see that the waiter leaves the list in time. */
static __attribute__((noinline)) void waiter_add(struct pages *pages, struct waiter *waiter)
{
	list_append(&pages->waiters, &waiter->node);
}

void pages_wait(struct pages *pages)
{
	struct waiter waiter = {.fiber = fiber_self()};

	ASSERT(waiter.fiber);
	waiter_add(pages, &waiter);
	while (list_linked(&waiter.node))
		fiber_park();
}

void pages_wake(struct pages *pages)
{
	struct list *node;

	while ((node = list_pop(&pages->waiters)))
		fiber_wake(container_of(node, struct waiter, node)->fiber);
}

void pages_unref(struct pages *pages, const struct node_ptr *ptr)
{
	space_unref(pages->space, ptr->vaddr);
}

void pages_lost(struct pages *pages, const struct node_ptr *ptr)
{
	pages->stats.lost += 1 + ptr->live;
}

void pages_stats(const struct pages *pages, struct pages_stats *ret_stats)
{
	*ret_stats = pages->stats;
}

void pages_ckpt_set(struct pages *pages, uint64_t ckpt)
{
	pages->ckpt = ckpt;
}

struct space *pages_space(const struct pages *pages)
{
	return pages->space;
}
