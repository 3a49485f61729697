/* SPDX-License-Identifier: Apache-2.0 */
/* Where a snapshot has data next: whole copies of thin volumes need not read what is not there. */
#include <errno.h>

#include "engine/io.h"

#define NOT_FOUND UINT64_MAX

struct search {
	struct map_walk walk;
	uint64_t block; /* blocks below do not count */
	uint64_t found;
};

static int search_leaf(struct map_walk *walk, const struct page_ref *ref, const uint8_t *page)
{
	struct search *search = container_of(walk, struct search, walk);
	const uint64_t first = ref->index << LEAF_SHIFT;

	for (unsigned i = 0; i < LEAF_ENTRIES; i++) {
		if (first + i < search->block || entry_vaddr(page + (size_t)i * ENTRY_BYTES) == 0)
			continue;
		search->found = first + i;
		return -ECANCELED;
	}
	return 0;
}

int pool_device_data(struct block_device *block, uint64_t offset, uint64_t *ret_offset)
{
	const struct device *device = container_of(block, struct device, block);
	struct search search = {
		.walk = {.pages = device->pool->pages, .kind = NODE_MAP, .leaf = search_leaf},
		.block = offset >> PAGE_SHIFT,
		.found = NOT_FOUND,
	};
	int r;

	*ret_offset = offset;
	if (!device->snapshot)
		return 0;
	search.walk.from_page = search.block >> LEAF_SHIFT;
	r = map_walk(&search.walk, &device->snapshot->rec.root);
	if (search.found != NOT_FOUND)
		*ret_offset = MAX(offset, search.found << PAGE_SHIFT);
	/* What cannot be looked at may be data; who reads it hears what is wrong. */
	return r == 0 && search.found == NOT_FOUND ? -ENOENT : 0;
}
