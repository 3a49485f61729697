/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reference table: how many references a block of data has beyond the first. One that is copied
 * by reference is named by several map entries, each with an owner of its own; who lets go of one
 * asks here whether it was the last.
 *
 * On disk it is a tree with a byte for each slot, absent where nothing is shared, so a pool without
 * copies pays one comparison. What a checkpoint changes is gathered in a hash table of a fixed size
 * and goes to the tree when that is full, and at the end. Additions are gathered before whatever
 * the same checkpoint drops.
 *
 * Where the table cannot be read nobody knows whether a block is shared: it is not freed, and
 * counted as lost. Only within a checkpoint, but shares_peek().
 */
#ifndef POOL_ENGINE_SHARES_H
#define POOL_ENGINE_SHARES_H

#include "engine/engine.h"

/* How many references a block can have beyond the first. */
#define SHARES_MAX 255

/* As of the superblock. -ENOMEM. */
MUST_CHECK int shares_new(struct pool *pool);
void shares_free(struct pool *pool);

/* [fiber] One reference more. -EMLINK: it has too many; -EIO, -EUCLEAN: its count is lost. */
MUST_CHECK int shares_add(struct pool *pool, uint64_t vaddr);

/*
 * [fiber] One reference less. *ret_last: nothing refers to the block any more. An error ends the
 * checkpoint.
 */
MUST_CHECK int shares_drop(struct pool *pool, uint64_t vaddr, bool *ret_last);

/*
 * 1: it may have several references; 0: it has one. -EAGAIN: a page is not cached, fetch it and ask
 * again.
 */
MUST_CHECK int shares_peek(const struct pool *pool, uint64_t vaddr, struct page_ref *ret_missing);

/* [fiber] All changes into the tree. */
MUST_CHECK int shares_flush(struct pool *pool);

/* References beyond the first of all blocks, with all changes. */
uint64_t shares_extra(const struct pool *pool);

/* Pages that shares_flush() may write once `more` blocks were added or dropped. */
uint64_t shares_pages(const struct pool *pool, uint64_t more);

/* Into the superblock that is being made, after shares_flush(). */
void shares_super_put(const struct pool *pool, struct super *super);

#endif
