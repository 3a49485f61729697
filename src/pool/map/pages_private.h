/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the page cache share. A page that was written is in a run buffer until its
 * write ended, whatever the cache does with it: who looks for a page looks in both.
 */
#ifndef POOL_MAP_PAGES_PRIVATE_H
#define POOL_MAP_PAGES_PRIVATE_H

#include <quoin/loop_fiber.h>

#include "map/pages.h"

/* What makes a page: where it is, and what it must be. */
struct page_key {
	uint64_t vaddr;
	uint64_t seed;
	uint8_t check[16];
};

struct cached_page {
	struct page_key key; /* vaddr 0: empty */
	uint32_t next;	     /* in its bucket: index + 1, 0 = the last */
	bool touched;
};

struct page_read {
	struct list node; /* in `reading` or `reads_free`; alone while mending */
	struct pages *pages;
	struct page_key key;
	struct list fetches;
	struct raid_io io;
	struct iovec iov;
	unsigned bad;	 /* columns whose copy has a wrong check */
	unsigned failed; /* columns that could not be read */
};

struct page_prefetch {
	struct page_fetch fetch;
	struct pages *pages;
};

struct page_run {
	struct list node; /* in `runs_free` or `runs_busy` */
	struct pages *pages;
	struct raid_io io;
	struct iovec iov; /* iov_base: PAGES_RUN pages */
	uint64_t vaddr;
	unsigned room, count; /* slots it has, pages in it */
	unsigned tries;
	bool written; /* to one column at least */
	struct page_key keys[PAGES_RUN];
};

struct pages {
	struct raid *raid;
	struct space *space;
	uint64_t ckpt;
	uint8_t *memory; /* cache, buffers of reads, buffers of runs */
	struct pages_stats stats;

	struct cached_page *cached; /* page i is at memory + i * PAGE_BYTES */
	size_t cached_count, hand;
	size_t cached_most; /* there is memory for */
	uint32_t *buckets;  /* index + 1, 0 = empty */
	size_t bucket_mask;

	struct page_read reads[PAGES_READS_MAX];
	struct list reads_free, reading;
	struct list fetches_waiting; /* no read is free */
	struct list fetches_known;   /* the result is there, done() comes from the task */
	struct loop_task known_task;
	struct page_prefetch prefetches[PAGES_READS_MAX];
	struct list prefetches_free;
	unsigned fetching; /* fetches not done */
	unsigned mending;

	struct page_run *runs;
	unsigned run_count, runs_in_flight;
	struct list runs_free, runs_busy;
	struct page_run *run;	 /* being filled: has room; one of runs_busy, or NULL */
	struct page_run *placed; /* the same, of pages that came with their slots */
	int error;		 /* of a write that failed for good */
	struct list waiters;	 /* fibers, for a change of anything above */
};

static inline struct page_key page_key_of(const struct page_ref *ref)
{
	struct page_key key = {
		.vaddr = ref->ptr.vaddr,
		.seed = node_seed(ref->kind, ref->ptr.level, ref->index),
	};

	memcpy(key.check, ref->ptr.check, sizeof(key.check));
	return key;
}

static inline bool page_key_equal(const struct page_key *a, const struct page_key *b)
{
	return a->vaddr == b->vaddr && a->seed == b->seed &&
	       memcmp(a->check, b->check, sizeof(a->check)) == 0;
}

/* In the cache or a run buffer; NULL: neither. */
const uint8_t *pages_find(struct pages *pages, const struct page_key *key);

/* True when the cache or a run buffer knows a newer page in the slot: a stranger's. */
bool pages_slot_reused(const struct pages *pages, const struct page_key *key);
/* `touched`: it survives the next look for a place, as if it had been asked for already. */
void pages_insert(struct pages *pages, const struct page_key *key, const uint8_t *page,
		  bool touched);

/* Parks the running fiber until pages_wake(). Wakes are shared: look again. */
void pages_wait(struct pages *pages);
void pages_wake(struct pages *pages);

void pages_fetch_init(struct pages *pages, uint8_t *memory);
void pages_write_init(struct pages *pages, uint8_t *memory);

#endif
