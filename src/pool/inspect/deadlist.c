/* SPDX-License-Identifier: Apache-2.0 */
/* The pages and entries of a deadlist (FORMAT.md, sections 5 and 6). */
#include <inttypes.h>

#include "inspect/item.h"

struct dead_walk {
	struct inspect_walk walk;
	struct inspect_dead *dead;
	struct dead_entry entries[DEADLIST_ENTRIES];
};

static void entry_take(struct dead_walk *d, const struct dead_entry *entry,
		       const struct inspect_place *page)
{
	struct inspect_dead *dead = d->dead;
	struct inspect *in = dead->in;
	const bool data = inspect_vaddr_valid(in, entry->vaddr, SEGMENT_DATA);
	struct inspect_place place = *page;

	in->result->deadlist_entries++;
	place.vaddr = entry->vaddr;
	if (!data && !inspect_vaddr_valid(in, entry->vaddr, SEGMENT_META)) {
		inspect_damage(in, "entry-bad", &place, "an entry's address leads nowhere");
		dead->damaged = true;
		return;
	}
	dead->unique += data && entry->epoch > dead->unique_after;
	if (entry->epoch <= dead->split)
		inspect_bag_add(&dead->old, data, entry->vaddr, entry->epoch);
	else
		inspect_bag_add(&dead->own, data, entry->vaddr, entry->epoch);
	/* A snapshot that is being destroyed has it, and nothing else names it. */
	if (!dead->stale && entry->epoch > dead->split && dead->owns) {
		if (inspect_own(in, entry->vaddr, &place) < 0)
			dead->damaged = true;
		else
			in->result->space.maps += !data;
	}
}

static void page_take(struct inspect_walk *walk, uint64_t index, const struct node_ptr *ptr,
		      const uint8_t *page)
{
	struct dead_walk *d = container_of(walk, struct dead_walk, walk);
	struct inspect_place place =
		inspect_place("deadlist", "%.100s, page %" PRIu64, walk->place.name, index);
	uint32_t newest = 0;
	unsigned count;

	place.vaddr = ptr->vaddr;
	if (deadlist_page_decode(page, d->entries, &count) < 0) {
		inspect_damage(walk->in, "record-bad", &place, "it has fields out of range");
		d->dead->damaged = true;
		return;
	}
	if (index >= d->dead->list->pages)
		inspect_damage(walk->in, "deadlist-counts", &place,
			       "the record says that pages are below %" PRIu64,
			       d->dead->list->pages);
	for (unsigned i = 0; i < count && walk->in->error == 0; i++) {
		newest = MAX(newest, d->entries[i].epoch);
		entry_take(d, &d->entries[i], &place);
	}
	if (count != ptr->live || newest != ptr->epoch)
		inspect_damage(walk->in, "sum-wrong", &place,
			       "its pointer counts %" PRIu64
			       " entries, the newest of epoch %" PRIu32
			       "; there are %u, of %" PRIu32,
			       ptr->live, ptr->epoch, count, newest);
}

void inspect_dead_walk(struct inspect_dead *dead)
{
	struct dead_walk d = {.walk = {.in = dead->in,
				       .kind = NODE_DEADLIST,
				       .place = dead->place,
				       .pages = &dead->in->result->space.deadlists,
				       .leaf = page_take},
			      .dead = dead};
	const struct deadlist *list = dead->list;
	uint64_t data, meta;

	inspect_walk(&d.walk, &list->root);
	dead->damaged |= d.walk.damaged;
	data = dead->old.data + dead->own.data;
	meta = dead->old.meta + dead->own.meta;
	if (!dead->damaged && (data != list->data || meta != list->meta))
		inspect_damage(dead->in, "deadlist-counts", &dead->place,
			       "its record counts %" PRIu64 " data and %" PRIu64
			       " meta slots, its pages have %" PRIu64 " and %" PRIu64,
			       list->data, list->meta, data, meta);
}
