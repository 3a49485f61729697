/* SPDX-License-Identifier: Apache-2.0 */
/* The reference table; see shares.h. */
#include "engine/shares.h"

#include <errno.h>
#include <stdlib.h>

#include <quoin/base_assert.h>

#include "engine/checkpoint.h"
#include "map/tree.h"

#define CHANGES 16384 /* a power of two */
#define CHANGES_FULL (CHANGES / 4 * 3)
#define RADIX_BITS 8
#define NO_LEAF UINT64_MAX

struct change {
	uint64_t vaddr; /* 0 = free */
	int64_t by;
};

struct shares {
	struct node_ptr root;	/* with all but the changes */
	uint64_t extra;		/* sum of the tree's bytes */
	int64_t pending;	/* and of the changes */
	struct change *changes; /* CHANGES of them; behind them, room to sort */
	unsigned count;
	bool flushing;	     /* the changes are no hash table now */
	uint64_t leaf_index; /* of the page that was read last */
	int leaf_result;
	uint8_t leaf[PAGE_BYTES];
};

static uint64_t leaf_of(uint64_t vaddr)
{
	return shares_leaf_index(vaddr);
}

/* Lent by the cache of pages, for as long as the pool is open; an import must not fail for it. */
static int changes_make(struct pool *pool, bool import)
{
	const size_t count = CHANGES + CHANGES_FULL;
	const int lent = memory_borrow(pool, count * sizeof(struct change));

	if (lent < 0 && !import)
		return lent;
	pool->shares->changes = calloc(count, sizeof(struct change));
	if (pool->shares->changes)
		return 0;
	if (lent == 0)
		memory_return(pool, count * sizeof(struct change));
	return -ENOMEM;
}

int shares_new(struct pool *pool)
{
	pool->shares = calloc(1, sizeof(*pool->shares));
	if (!pool->shares)
		return -ENOMEM;
	pool->shares->root = pool->super.shares;
	pool->shares->extra = pool->super.shared_extra;
	pool->shares->leaf_index = NO_LEAF;
	/* Who drops a reference must not find that there is no memory for it. */
	return pool->shares->root.vaddr != 0 ? changes_make(pool, true) : 0;
}

void shares_free(struct pool *pool)
{
	if (!pool->shares)
		return;
	free(pool->shares->changes);
	free(pool->shares);
	pool->shares = NULL;
}

/* --- Counts ------------------------------------------------------------------------------------
 */

/* Where the block's change is, or would be. */
static struct change *change_at(const struct shares *s, uint64_t vaddr)
{
	size_t at = (size_t)(vaddr * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (CHANGES - 1);

	while (s->changes[at].vaddr != 0 && s->changes[at].vaddr != vaddr)
		at = (at + 1) & (CHANGES - 1);
	return &s->changes[at];
}

static int64_t changed_by(const struct shares *s, uint64_t vaddr)
{
	return s->count > 0 ? change_at(s, vaddr)->by : 0;
}

static int leaf_read(struct pool *pool, uint64_t index)
{
	struct shares *s = pool->shares;

	if (s->leaf_index == index)
		return s->leaf_result;
	s->leaf_index = NO_LEAF;
	s->leaf_result = array_read(pool->pages, NODE_SHARES, &s->root, index, s->leaf);
	if (s->leaf_result != -ENOMEM)
		s->leaf_index = index;
	return s->leaf_result;
}

/* What the tree and the changes say together, or negative errno. */
static int count_of(struct pool *pool, uint64_t vaddr)
{
	const struct shares *s = pool->shares;
	int64_t count;
	int r = 0;

	if (s->root.vaddr == 0)
		return (int)changed_by(s, vaddr);
	r = leaf_read(pool, leaf_of(vaddr));
	if (r < 0)
		return r;
	count = s->leaf[shares_leaf_slot(vaddr)] + changed_by(s, vaddr);
	return count < 0 ? -EUCLEAN : (int)count;
}

static int change(struct pool *pool, uint64_t vaddr, int by)
{
	struct shares *s = pool->shares;
	struct change *c;
	int r = 0;

	if (!s->changes)
		r = changes_make(pool, false);
	if (r == 0 && s->count == CHANGES_FULL)
		r = shares_flush(pool);
	if (r < 0)
		return r;
	c = change_at(s, vaddr);
	if (c->vaddr == 0)
		s->count++;
	c->vaddr = vaddr;
	c->by += by;
	s->pending += by;
	return 0;
}

int shares_add(struct pool *pool, uint64_t vaddr)
{
	const int count = count_of(pool, vaddr);

	if (count < 0)
		return count;
	return count == SHARES_MAX ? -EMLINK : change(pool, vaddr, 1);
}

int shares_drop(struct pool *pool, uint64_t vaddr, bool *ret_last)
{
	const struct node_ptr lost = {.vaddr = vaddr};
	int count = 0;

	*ret_last = true;
	if (pool->shares->root.vaddr == 0 && pool->shares->count == 0)
		return 0;
	count = count_of(pool, vaddr);
	if (count == 0 || count == -ENOMEM)
		return count;
	*ret_last = false;
	if (count > 0)
		return change(pool, vaddr, -1);
	pages_lost(pool->pages, &lost);
	return 0;
}

int shares_peek(const struct pool *pool, uint64_t vaddr, struct page_ref *ret_missing)
{
	const struct shares *s = pool->shares;
	const uint64_t leaf = leaf_of(vaddr);
	struct page_ref ref = {.ptr = s->root, .kind = NODE_SHARES};
	int r = tree_root_check(&ref.ptr, NODE_SHARES);

	if (s->flushing || changed_by(s, vaddr) > 0)
		return 1;
	if (r < 0 || tree_index(leaf, ref.ptr.level) != 0)
		return r < 0;
	while (ref.ptr.vaddr != 0) {
		const uint8_t *page = pages_peek(pool->pages, &ref.ptr);

		if (!page) {
			*ret_missing = ref;
			return -EAGAIN;
		}
		if (ref.ptr.level == 0)
			return page[shares_leaf_slot(vaddr)] != 0;
		r = tree_child(&ref, page, tree_slot(leaf, ref.ptr.level), &ref);
		if (r < 0)
			return 1;
	}
	return 0;
}

/* --- Into the tree -----------------------------------------------------------------------------
 */

/* By RADIX_BITS bits of the address from `shift` on; those alike in them keep their order. */
static void radix_pass(const struct change *from, struct change *to, unsigned count, unsigned shift)
{
	unsigned at[1U << RADIX_BITS] = {0};
	unsigned sum = 0;

	for (unsigned i = 0; i < count; i++)
		at[from[i].vaddr >> shift & ((1U << RADIX_BITS) - 1)]++;
	for (unsigned d = 0; d < 1U << RADIX_BITS; d++) {
		const unsigned here = at[d];

		at[d] = sum;
		sum += here;
	}
	for (unsigned i = 0; i < count; i++)
		to[at[from[i].vaddr >> shift & ((1U << RADIX_BITS) - 1)]++] = from[i];
}

/* The changes to the front of their array, by address: of those of a copy there are many. */
static void changes_sort(struct shares *s)
{
	struct change *scratch = s->changes + CHANGES;
	uint64_t differ = 0;
	unsigned count = 0;

	for (unsigned i = 0; i < CHANGES; i++) {
		if (s->changes[i].vaddr != 0 && s->changes[i].by != 0)
			s->changes[count++] = s->changes[i];
	}
	s->count = count;
	for (unsigned i = 1; i < count; i++)
		differ |= s->changes[i].vaddr ^ s->changes[0].vaddr;
	for (unsigned shift = 0; differ >> shift != 0; shift += RADIX_BITS) {
		if ((differ >> shift & ((1U << RADIX_BITS) - 1)) == 0)
			continue;
		radix_pass(s->changes, scratch, count, shift);
		memcpy(s->changes, scratch, count * sizeof(*scratch));
	}
}

static unsigned leaves_count(const struct shares *s)
{
	unsigned leaves = 0;

	for (unsigned i = 0; i < s->count; i++)
		leaves +=
			i == 0 || leaf_of(s->changes[i].vaddr) != leaf_of(s->changes[i - 1].vaddr);
	return leaves;
}

/* The changes from *at on that are of one leaf: its new page. */
static int leaf_write(struct pool *pool, unsigned *at, struct array_edit *edit)
{
	struct shares *s = pool->shares;
	const uint64_t index = leaf_of(s->changes[*at].vaddr);
	struct page_ref ref = {.kind = NODE_SHARES, .index = index};
	uint8_t page[PAGE_BYTES];
	bool any = false;
	int r = leaf_read(pool, index);

	if (r < 0)
		return r;
	memcpy(page, s->leaf, sizeof(page));
	s->leaf_index = NO_LEAF;
	for (; *at < s->count && leaf_of(s->changes[*at].vaddr) == index; ++*at) {
		uint8_t *count = &page[shares_leaf_slot(s->changes[*at].vaddr)];
		const int64_t sum = *count + s->changes[*at].by;

		ASSERT(sum >= 0 && sum <= SHARES_MAX);
		*count = (uint8_t)sum;
	}
	for (unsigned i = 0; i < PAGE_BYTES && !any; i++)
		any = page[i] != 0;
	*edit = (struct array_edit){.index = index};
	if (!any)
		return 0;
	ref.ptr = (struct node_ptr){.kind = NODE_SHARES, .live = 1};
	r = pages_write(pool->pages, &ref, page);
	edit->ptr = ref.ptr;
	return r;
}

static int leaves_write(struct pool *pool, struct array_edit *edits, unsigned leaves)
{
	struct shares *s = pool->shares;
	unsigned at = 0;
	unsigned count = 0;
	int r = 0;

	while (r == 0 && at < s->count)
		r = leaf_write(pool, &at, &edits[count++]);
	ASSERT(r < 0 || count == leaves);
	if (r == 0)
		r = array_edit(pool->pages, NODE_SHARES, &s->root, edits, count, true);
	return r;
}

int shares_flush(struct pool *pool)
{
	struct shares *s = pool->shares;
	struct array_edit *edits;
	unsigned leaves;
	int r;

	if (s->count == 0)
		return 0;
	s->flushing = true;
	changes_sort(s);
	leaves = leaves_count(s);
	edits = calloc(MAX(leaves, 1U), sizeof(*edits));
	if (!edits)
		return -ENOMEM;
	r = checkpoint_space(pool->checkpointer, 6 * (uint64_t)leaves);
	if (r == 0 && leaves > 0)
		r = leaves_write(pool, edits, leaves);
	free(edits);
	if (r < 0)
		return r;
	s->extra += (uint64_t)s->pending;
	s->pending = 0;
	s->count = 0;
	s->flushing = false;
	memset(s->changes, 0, CHANGES * sizeof(*s->changes));
	return 0;
}

uint64_t shares_extra(const struct pool *pool)
{
	return pool->shares->extra + (uint64_t)pool->shares->pending;
}

uint64_t shares_pages(const struct pool *pool, uint64_t more)
{
	struct space_sums sums;
	uint64_t leaves;

	space_sums(pool->space, &sums);
	leaves = sums.data_segments / PAGE_BYTES + space_segment_limit(pool->space);
	/* A leaf each, and the pages above it; several times when the changes do not fit. */
	return 6 * MIN(leaves, pool->shares->count + more) *
	       ((pool->shares->count + more) / CHANGES_FULL + 1);
}

void shares_super_put(const struct pool *pool, struct super *super)
{
	ASSERT_U64(pool->shares->count, ==, 0);
	super->shares = pool->shares->root;
	super->shared_extra = pool->shares->extra;
	if (super->shares.vaddr != 0)
		super->ro_compat |= FEATURE_RO_SHARES;
	else
		super->ro_compat &= ~FEATURE_RO_SHARES;
}
