/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reference table (FORMAT.md, section 6): what it grants, and what of that was found. A slot of
 * data may have as many owners beyond the first as its byte says, and must have them.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "inspect/inspect.h"

struct share_page {
	uint64_t index;
	uint8_t left[PAGE_BYTES]; /* owners that were not met yet, beyond the first */
};

struct inspect_shares {
	struct share_page *pages; /* ascending */
	size_t count, room;
	uint64_t sum;
	bool damaged; /* there may be more */
};

struct shares_walk {
	struct inspect_walk walk;
	struct inspect_shares *shares;
};

static void page_judge(struct shares_walk *w, const struct share_page *page,
		       const struct inspect_place *place)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < PAGE_BYTES; i++) {
		const uint64_t vaddr = shares_vaddr(page->index, i);

		sum += page->left[i];
		if (page->left[i] == 0 || inspect_vaddr_valid(w->walk.in, vaddr, SEGMENT_DATA))
			continue;
		inspect_damage(w->walk.in, "share-bad", place,
			       "it counts references to a slot that no data can be in");
		return;
	}
	w->shares->sum += sum;
	if (sum == 0)
		inspect_damage(w->walk.in, "share-bad", place, "nothing is in it");
}

static void page_take(struct inspect_walk *walk, uint64_t index, const struct node_ptr *ptr,
		      const uint8_t *page)
{
	struct shares_walk *w = container_of(walk, struct shares_walk, walk);
	struct inspect_shares *s = w->shares;
	struct inspect_place place =
		inspect_place("references", "the reference table, page %" PRIu64, index);

	place.vaddr = ptr->vaddr;
	if (s->count == s->room) {
		const size_t room = MAX(2 * s->room, (size_t)16);
		struct share_page *pages = realloc(s->pages, room * sizeof(*pages));

		if (!pages) {
			walk->in->error = -ENOMEM;
			return;
		}
		walk->in->result->memory_bytes += (room - s->room) * sizeof(*pages);
		s->pages = pages;
		s->room = room;
	}
	s->pages[s->count].index = index;
	memcpy(s->pages[s->count].left, page, PAGE_BYTES);
	page_judge(w, &s->pages[s->count++], &place);
}

int inspect_shares_load(struct inspect *in)
{
	const struct inspect_place super = inspect_place("superblock", "the superblock");
	const bool feature = in->super.ro_compat & FEATURE_RO_SHARES;
	struct shares_walk w = {
		.walk = {.in = in,
			 .kind = NODE_SHARES,
			 .place = inspect_place("references", "the reference table"),
			 .pages = &in->result->space.tables,
			 .leaf = page_take},
	};

	w.shares = in->shares = calloc(1, sizeof(*in->shares));
	if (!in->shares)
		return in->error = -ENOMEM;
	inspect_walk(&w.walk, &in->super.shares);
	in->shares->damaged = w.walk.damaged;
	in->incomplete |= w.walk.damaged;
	if (feature != (in->super.shares.vaddr != 0))
		inspect_damage(in, "share-feature", &super,
			       "its feature bit for the reference table is wrong");
	if (!w.walk.damaged && w.shares->sum != in->super.shared_extra)
		inspect_damage(in, "share-sum", &super,
			       "it counts %" PRIu64 " references beyond the first, the table has "
			       "%" PRIu64,
			       in->super.shared_extra, w.shares->sum);
	return in->error;
}

static int by_index(const void *key, const void *page)
{
	const uint64_t index = *(const uint64_t *)key;
	const uint64_t other = ((const struct share_page *)page)->index;

	return index < other ? -1 : index > other;
}

bool inspect_share_take(struct inspect *in, uint64_t vaddr)
{
	const uint64_t index = shares_leaf_index(vaddr);
	struct share_page *page;

	if (!in->shares || !inspect_vaddr_valid(in, vaddr, SEGMENT_DATA))
		return false;
	page = in->shares->count == 0 ? NULL
				      : bsearch(&index, in->shares->pages, in->shares->count,
						sizeof(*page), by_index);
	if (!page || page->left[shares_leaf_slot(vaddr)] == 0)
		return in->shares->damaged;
	page->left[shares_leaf_slot(vaddr)]--;
	return true;
}

void inspect_shares_check(struct inspect *in)
{
	struct inspect_place place = inspect_place("references", "the reference table");
	uint64_t left = 0;

	for (size_t p = 0; p < in->shares->count; p++) {
		for (unsigned i = 0; i < PAGE_BYTES; i++) {
			if (in->shares->pages[p].left[i] > 0 && left == 0)
				place.vaddr = shares_vaddr(in->shares->pages[p].index, i);
			left += in->shares->pages[p].left[i];
		}
	}
	in->result->space.shared = in->shares->sum;
	if (left > 0 && !in->incomplete)
		inspect_damage(in, "share-count", &place,
			       "%" PRIu64 " references that it counts are not there, the first to "
			       "this slot",
			       left);
}

void inspect_shares_free(struct inspect *in)
{
	if (in->shares)
		free(in->shares->pages);
	free(in->shares);
}
