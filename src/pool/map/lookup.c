/* SPDX-License-Identifier: Apache-2.0 */
/* Looking up a block in a map, from the cache only: the path of reads, which never parks. */
#include "map/map.h"
#include "map/tree.h"

int map_lookup(struct pages *pages, const struct node_ptr *root, uint64_t block,
	       uint8_t ret_entry[ENTRY_BYTES], struct page_ref *ret_missing)
{
	struct page_ref ref = {.ptr = *root, .kind = NODE_MAP};
	const uint64_t leaf = block >> LEAF_SHIFT;
	const uint8_t *page;
	int error;

	error = tree_root_check(root, NODE_MAP);
	if (error)
		return error;
	if (tree_index(leaf, root->level) != 0)
		ref.ptr.vaddr = 0; /* beyond what the tree reaches */
	while (ref.ptr.vaddr != 0) {
		page = pages_peek(pages, &ref.ptr);
		if (!page) {
			*ret_missing = ref;
			return -EAGAIN;
		}
		if (ref.ptr.level == 0) {
			memcpy(ret_entry, page + (block & (LEAF_ENTRIES - 1)) * ENTRY_BYTES,
			       ENTRY_BYTES);
			return 0;
		}
		error = tree_child(&ref, page, tree_slot(leaf, ref.ptr.level), &ref);
		if (error)
			return error;
	}
	memset(ret_entry, 0, ENTRY_BYTES);
	return 0;
}
