/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metadata pages: a cache of what was read, and the writer that gives new pages their place.
 *
 * A page never changes in its slot, so the cache needs no write-back and no invalidation: it is
 * keyed by slot and check, and a slot that was reused has another check. Replacement is CLOCK with
 * one bit: set by who asks for the page and for what was just written, not for what was just read,
 * so that one pass over a large tree does not drive out what is asked for often. All memory is
 * taken at start.
 *
 * A page is good when its check fits. A bad copy is read from the other column, the bad one is
 * rewritten from the good one and counted (drive.info.check_errors). Two bad copies: -EUCLEAN.
 *
 * Functions marked [fiber] park. Loop's thread only.
 */
#ifndef POOL_MAP_PAGES_H
#define POOL_MAP_PAGES_H

#include <errno.h>

#include "raid/raid.h"

struct pages;

struct pages_params {
	struct raid *raid;
	struct space *space;
	size_t cache_pages;
	unsigned write_pages; /* buffer of the writer, a multiple of PAGES_RUN; at least two */
};
#define PAGES_RUN 32	   /* pages of one write */
#define PAGES_READS_MAX 64 /* fetches in flight; more wait */

MUST_CHECK int pages_new(const struct pages_params *params, struct pages **ret_pages);
uint64_t pages_memory(const struct pages_params *params); /* what pages_new() takes */
void pages_free(struct pages *pages); /* nothing under way: pages_drain(), pages_quiesce() */

/* Whose slots the pages are in: for the class of a vaddr's segment. */
struct space *pages_space(const struct pages *pages);

/* What a page is, and where. */
struct page_ref {
	struct node_ptr ptr;
	enum node_kind kind;
	uint64_t index; /* page index at the pointer's level: leaf page index >> (6 * level) */
};

/* The page when it is cached, valid until the loop's next step or the next call here; else NULL. */
const uint8_t *pages_peek(struct pages *pages, const struct node_ptr *ptr);

/* Reads a page into the cache. Two fetches of one page share a read. */
struct page_fetch {
	struct page_ref ref;
	void (*done)(struct page_fetch *fetch); /* never from inside pages_fetch() */
	int result; /* 0: pages_peek() finds it now, within done(); -EUCLEAN, -EIO, -ENODATA */
	struct list node;
};
void pages_fetch(struct pages *pages, struct page_fetch *fetch);

/* [fiber] Copies the page to `to`, from the cache or the drives. */
MUST_CHECK int pages_read(struct pages *pages, const struct page_ref *ref, uint8_t to[PAGE_BYTES]);

/*
 * Starts fetches of those that are not cached; returns at once. pages_read() of them then waits
 * for the read that is under way. Bounded by PAGES_READS_MAX: what is over it is not started.
 */
void pages_prefetch(struct pages *pages, const struct page_ref *refs, unsigned count);

/*
 * [fiber] Gives the page a slot (space_alloc + space_ref), copies it into the cache and the write
 * buffer, and returns its pointer: kind, level, epoch, live, ckpt as given in `ref->ptr`, vaddr and
 * check made here. The write goes out when a run is full or pages_drain() is called; the check is
 * seeded for ref->kind, level and index. -ENOSPC; or the sticky error of a write that failed on
 * all columns (tried 3 times).
 */
MUST_CHECK int pages_write(struct pages *pages, struct page_ref *ref,
			   const uint8_t page[PAGE_BYTES]);

/*
 * [fiber] The same for a page whose slot was allocated, and ref'd if it is to be, by the caller
 * (ref->ptr.vaddr is set).
 */
MUST_CHECK int pages_write_at(struct pages *pages, struct page_ref *ref,
			      const uint8_t page[PAGE_BYTES]);

/*
 * [fiber] Waits until all pages written so far are on the drives (not flushed), and so is all that
 * is being mended: a slot is not handed out again while an old page may still be on its way to it.
 */
MUST_CHECK int pages_drain(struct pages *pages);

/* [fiber] Waits until no fetch is under way, those of pages_prefetch() included. */
void pages_quiesce(struct pages *pages);

/*
 * A newer page stands for this one, which only readers of the last checkpoint still want: its place
 * in the cache goes first.
 */
void pages_cool(struct pages *pages, const struct node_ptr *ptr);

/* Frees the page's slot in this checkpoint (space_unref). */
void pages_unref(struct pages *pages, const struct node_ptr *ptr);

/* Of pages_read(): no copy is any good. Else it may be had later (-ENODATA, -ENOMEM). */
static inline bool page_bad(int error)
{
	return error == -EIO || error == -EUCLEAN;
}

/*
 * `ptr` cannot be read, and who owns what it names goes on without it. Nobody knows what that is,
 * so it stays used: the page and the live entries it names are counted as lost.
 */
void pages_lost(struct pages *pages, const struct node_ptr *ptr);

struct pages_stats {
	uint64_t hits, misses, reads, writes, healed, bad;
	uint64_t lost; /* slots that stay used; at most so many */
};
void pages_stats(const struct pages *pages, struct pages_stats *ret_stats);

/* Caches so many pages from now on, or as many as there were to be; the system gets the rest. */
void pages_limit(struct pages *pages, size_t cache_pages);

/* The number the pointers of pages written now carry. */
void pages_ckpt_set(struct pages *pages, uint64_t ckpt);

#endif
