/* SPDX-License-Identifier: Apache-2.0 */
/* What everything that goes along trees shares: judging a pointer before it is followed. */
#ifndef POOL_MAP_TREE_H
#define POOL_MAP_TREE_H

#include <errno.h>

#include "map/pages.h"

/* A child's slot in its parent at `level`, on the way to a leaf page. */
static inline unsigned tree_slot(uint64_t leaf, unsigned level)
{
	return (unsigned)(leaf >> (NODE_FANOUT_SHIFT * (level - 1))) & (NODE_FANOUT - 1);
}

/* The index of the page at `level` that a leaf page is below. */
static inline uint64_t tree_index(uint64_t leaf, unsigned level)
{
	return leaf >> (NODE_FANOUT_SHIFT * level);
}

/* An empty tree is good; what a record says of a tree is not to be trusted more than a page. */
MUST_CHECK static inline int tree_root_check(const struct node_ptr *root, enum node_kind kind)
{
	if (root->vaddr == 0)
		return 0;
	return root->kind == kind && root->level <= NODE_LEVELS_MAX ? 0 : -EUCLEAN;
}

/* The pointer in a slot of the inner page `parent`. */
MUST_CHECK static inline int tree_child(const struct page_ref *parent, const uint8_t *page,
					unsigned slot, struct page_ref *ret_child)
{
	struct page_ref child = {.kind = parent->kind,
				 .index = parent->index << NODE_FANOUT_SHIFT | slot};
	const int error = node_ptr_decode(page + (size_t)slot * NODE_PTR_BYTES, &child.ptr);

	if (error)
		return error;
	if (child.ptr.vaddr != 0 &&
	    (child.ptr.kind != parent->kind || child.ptr.level + 1 != parent->ptr.level))
		return -EUCLEAN;
	*ret_child = child;
	return 0;
}

static inline void tree_child_put(uint8_t *page, unsigned slot, const struct node_ptr *ptr)
{
	node_ptr_encode(ptr, page + (size_t)slot * NODE_PTR_BYTES);
}

/* [fiber] The pointer to leaf page `leaf`; vaddr 0 when it is absent. */
MUST_CHECK int tree_leaf_find(struct pages *pages, enum node_kind kind, const struct node_ptr *root,
			      uint64_t leaf, struct node_ptr *ret_ptr);

#endif
