/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A map beside the one of the snapshot before it, page by page. What both have is passed by: it was
 * looked at with the older one. What only this one has is its own: it is read from every column,
 * judged, and its slots are owned. What only the older one has is what the deadlist must name.
 *
 * The two trees may differ in height: above a root stands, in thought, a page whose first pointer
 * leads to it.
 */
#include <inttypes.h>
#include <stdlib.h>

#include <quoin/codec.h>

#include "inspect/fetch.h"
#include "inspect/item.h"

/* One of the two trees, at one place of one level. */
struct side {
	bool root_below;     /* above the root: the first child leads on */
	struct node_ptr ptr; /* vaddr 0: nothing */
};

struct level {
	struct side before, now;
	uint64_t index;
	unsigned next; /* child */
	uint8_t before_page[PAGE_BYTES], page[PAGE_BYTES];
	uint64_t live;
	uint32_t epoch;
};

struct walker {
	struct inspect_map *map;
	struct inspect *in;
	unsigned top;
	struct level levels[NODE_LEVELS_MAX + 1];
	struct inspect_fetch fetches[INSPECT_FETCH_MAX];
	uint8_t leaves[2 * NODE_FANOUT][PAGE_BYTES]; /* read ahead: before, now */
	bool leaf_there[2 * NODE_FANOUT];
	struct node_ptr children[2 * NODE_FANOUT];
};

void inspect_bag_add(struct inspect_bag *bag, bool data, uint64_t vaddr, uint32_t epoch)
{
	const uint64_t words[2] = {vaddr, epoch};

	bag->sum += codec_check64(words, sizeof(words), 0);
	if (data)
		bag->data++;
	else
		bag->meta++;
}

static struct inspect_place page_place(const struct walker *w, unsigned level, uint64_t index,
				       uint64_t vaddr)
{
	struct inspect_place place = inspect_place("map", "%.90s, page %" PRIu64 " of level %u",
						   w->map->place.name, index, level);

	place.vaddr = vaddr;
	return place;
}

static struct inspect_place block_place(const struct walker *w, uint64_t block, uint64_t vaddr)
{
	struct inspect_place place =
		inspect_place("data", "%.100s, block %" PRIu64, w->map->place.name, block);

	place.vaddr = vaddr;
	return place;
}

/* --- Entries ------------------------------------------------------------------------------- */

static bool entry_judge(struct walker *w, uint64_t block, const struct entry *e, uint32_t birth_max)
{
	struct inspect *in = w->in;
	const struct inspect_place place = block_place(w, block, e->vaddr);
	const char *wrong = NULL;

	if (!inspect_vaddr_valid(in, e->vaddr, SEGMENT_DATA))
		wrong = "its address leads nowhere";
	else if (e->seq == 0 || e->seq >= in->super.seq_next)
		wrong = "its seq was not given yet";
	else if (e->salt != 0 || e->prop != 0)
		wrong = "it is stored in a way that this version does not know";
	else if (e->epoch <= w->map->after || e->epoch > birth_max)
		wrong = "it was born at another time than its map says";
	if (wrong)
		inspect_damage(in, "entry-bad", &place, "%s", wrong);
	return wrong == NULL;
}

static void entry_born(struct walker *w, uint64_t block, const uint8_t *raw,
		       const struct level *leaf)
{
	struct inspect_map *map = w->map;
	struct inspect_place place;
	struct entry e;

	entry_decode(raw, &e);
	/* Of a map that is being freed, what is older is others'. */
	if (map->freeing && e.epoch <= map->after)
		return;
	inspect_bag_add(&map->born, true, e.vaddr, e.epoch);
	map->unique += e.epoch > map->unique_after;
	w->in->result->map_entries++;
	place = block_place(w, block, e.vaddr);
	if (!entry_judge(w, block, &e, MIN(map->upto, leaf->now.ptr.epoch)) ||
	    inspect_own(w->in, e.vaddr, &place) < 0)
		map->damaged = true;
}

/* Blocks [first, first + count) of data that are new, read from every column. */
static void data_check(struct walker *w, const struct level *leaf, const uint8_t *before)
{
	unsigned count = 0;
	uint64_t blocks[LEAF_ENTRIES];

	for (unsigned i = 0; i < LEAF_ENTRIES; i++) {
		const uint8_t *raw = leaf->page + (size_t)i * ENTRY_BYTES;

		if (!inspect_vaddr_valid(w->in, entry_vaddr(raw), SEGMENT_DATA) ||
		    entry_epoch(raw) <= w->map->after ||
		    memcmp(raw, before + (size_t)i * ENTRY_BYTES, ENTRY_BYTES) == 0)
			continue;
		blocks[count] = leaf->index * LEAF_ENTRIES + i;
		w->fetches[count++] = (struct inspect_fetch){
			.kind = INSPECT_FETCH_BLOCK, .vaddr = entry_vaddr(raw), .check = raw};
	}
	inspect_fetch_all(w->in, w->fetches, count);
	for (unsigned i = 0; i < count; i++) {
		const struct inspect_place place = block_place(w, blocks[i], w->fetches[i].vaddr);

		/* That is the data's own: counts are not touched by it. */
		(void)inspect_fetch_judge(w->in, &w->fetches[i], &place);
	}
}

static void leaf_entry(struct walker *w, const struct level *leaf, unsigned i,
		       const uint8_t *before)
{
	static const uint8_t nothing[ENTRY_BYTES];
	struct inspect_map *map = w->map;
	const uint64_t block = leaf->index * LEAF_ENTRIES + i;
	const uint8_t *a = before + (size_t)i * ENTRY_BYTES;
	const uint8_t *b =
		leaf->now.ptr.vaddr != 0 ? leaf->page + (size_t)i * ENTRY_BYTES : nothing;
	struct inspect_place place;

	/* One block of two births at one place was copied there: the two share it, each on its own.
	 */
	if (entry_vaddr(b) != 0 && entry_vaddr(a) == entry_vaddr(b) &&
	    entry_epoch(a) == entry_epoch(b)) {
		map->shared++;
		if (memcmp(a, b, ENTRY_BYTES) == 0)
			return;
		place = block_place(w, block, entry_vaddr(b));
		inspect_damage(w->in, "entry-differs", &place,
			       "the snapshot before has it in the same slot with other words");
		map->damaged = true;
		return;
	}
	if (entry_vaddr(a) != 0)
		inspect_bag_add(&map->gone, true, entry_vaddr(a), entry_epoch(a));
	if (entry_vaddr(b) != 0)
		entry_born(w, block, b, leaf);
}

static void leaf_check(struct walker *w, struct level *leaf)
{
	static const uint8_t nothing[PAGE_BYTES];
	const uint8_t *before = leaf->before.ptr.vaddr != 0 ? leaf->before_page : nothing;

	for (unsigned i = 0; i < LEAF_ENTRIES && w->in->error == 0; i++)
		leaf_entry(w, leaf, i, before);
	if (leaf->now.ptr.vaddr == 0)
		return;
	for (unsigned i = 0; i < LEAF_ENTRIES; i++)
		leaf->live += entry_vaddr(leaf->page + (size_t)i * ENTRY_BYTES) != 0;
	if (w->in->params->data)
		data_check(w, leaf, before);
}

/* --- Pages --------------------------------------------------------------------------------- */

static bool page_judge(struct walker *w, const struct side *side, uint64_t index)
{
	const struct inspect_place place = page_place(w, side->ptr.level, index, side->ptr.vaddr);

	if (side->ptr.epoch > w->map->after && side->ptr.epoch <= w->map->upto)
		return true;
	inspect_damage(w->in, "birth-wrong", &place,
		       "it was born in epoch %" PRIu32 ", and should have been in %" PRIu32
		       " to %" PRIu32,
		       side->ptr.epoch, w->map->after + 1, w->map->upto);
	return false;
}

static struct inspect_fetch page_fetch(const struct node_ptr *ptr, uint64_t index)
{
	return (struct inspect_fetch){.kind = INSPECT_FETCH_PAGE,
				      .vaddr = ptr->vaddr,
				      .seed = node_seed(NODE_MAP, ptr->level, index),
				      .check = ptr->check};
}

/* The page of the older map went, as far as this one is concerned. */
static bool before_enter(struct walker *w, const struct side *side)
{
	inspect_bag_add(&w->map->gone, false, side->ptr.vaddr, side->ptr.epoch);
	if (++w->map->before_pages <= w->in->meta_slots_total)
		return true;
	w->map->damaged = true;
	return false;
}

/* This map's own page: owned and judged. False: it is not to be gone into. */
static bool now_enter(struct walker *w, const struct side *side, uint64_t index)
{
	const struct inspect_place place = page_place(w, side->ptr.level, index, side->ptr.vaddr);

	inspect_bag_add(&w->map->born, false, side->ptr.vaddr, side->ptr.epoch);
	w->in->result->space.maps++;
	w->in->result->map_pages++;
	if (page_judge(w, side, index) && inspect_own(w->in, side->ptr.vaddr, &place) == 0)
		return true;
	w->map->damaged = true;
	return false;
}

static bool page_read(struct walker *w, const struct side *side, const struct level *l, bool judge)
{
	const struct inspect_place place =
		page_place(w, side->ptr.level, l->index, side->ptr.vaddr);

	w->fetches[0] = page_fetch(&side->ptr, l->index);
	inspect_fetch_all(w->in, w->fetches, 1);
	/* Older pages were judged with the older map: bad copies are not told of twice. */
	return judge ? inspect_fetch_judge(w->in, w->fetches, &place) : w->fetches->page != NULL;
}

/* What cannot be read on one side is not gone into on either. */
static void level_read(struct walker *w, struct level *l)
{
	bool there = true;

	if (l->before.ptr.vaddr != 0) {
		there = page_read(w, &l->before, l, false);
		if (there)
			memcpy(l->before_page, w->fetches->page, PAGE_BYTES);
	}
	if (l->now.ptr.vaddr != 0) {
		there = page_read(w, &l->now, l, true) && there;
		if (there)
			memcpy(l->page, w->fetches->page, PAGE_BYTES);
	}
	if (there)
		return;
	w->map->damaged = true;
	l->before = (struct side){.root_below = false};
	l->now = (struct side){.root_below = false};
}

/* --- Going down ---------------------------------------------------------------------------- */

/* The child of one side in slot l->next; vaddr 0 and no root below: nothing. */
static struct side child_of(struct walker *w, const struct level *l, bool before,
			    const struct inspect_place *place)
{
	const struct side *side = before ? &l->before : &l->now;
	const struct node_ptr *root = before ? &w->map->before : &w->map->root;
	const uint8_t *page = before ? l->before_page : l->page;
	const unsigned level = (unsigned)(l - w->levels);
	struct side child = {.root_below = false};

	if (side->root_below) {
		if (l->next == 0 && level - 1 == root->level)
			child.ptr = *root;
		else
			child.root_below = l->next == 0;
		return child;
	}
	if (side->ptr.vaddr != 0 && !inspect_child(w->in, page + (size_t)l->next * NODE_PTR_BYTES,
						   &side->ptr, place, &child.ptr))
		w->map->damaged = true;
	return child;
}

/* Blocks below the cursor were freed, with the pages that have no others; so was what is old. */
static bool freed(const struct walker *w, unsigned level, uint64_t index, const struct side *side)
{
	const uint64_t end = (index + 1) * (node_span_pages(level) << LEAF_SHIFT);

	if (side->root_below)
		return false;
	return w->map->freeing && (end <= w->map->cursor || side->ptr.epoch <= w->map->after);
}

/* What the parent says of its children; shared ones are counted by what their pointer says. */
static bool child_same(struct walker *w, struct level *parent, const struct side *before,
		       const struct side *now)
{
	if (now->ptr.vaddr == 0 || before->ptr.vaddr != now->ptr.vaddr)
		return false;
	w->map->shared += now->ptr.live;
	if (memcmp(before->ptr.check, now->ptr.check, sizeof(now->ptr.check)) != 0 ||
	    before->ptr.live != now->ptr.live || before->ptr.epoch != now->ptr.epoch) {
		const struct inspect_place place = page_place(
			w, now->ptr.level, parent->index << NODE_FANOUT_SHIFT | parent->next,
			now->ptr.vaddr);

		inspect_damage(w->in, "pointer-differs", &place,
			       "the snapshot before has it in the same slot with other words");
		w->map->damaged = true;
	}
	return true;
}

static void parent_sum(struct level *parent, const struct side *now)
{
	if (now->root_below || now->ptr.vaddr == 0 || parent->now.root_below)
		return;
	parent->live += now->ptr.live;
	parent->epoch = MAX(parent->epoch, now->ptr.epoch);
}

/* The next child in which the two differ, or NULL. Its pages are not read yet. */
static struct level *child_next(struct walker *w, unsigned level)
{
	struct level *l = &w->levels[level];
	const struct inspect_place place = page_place(w, level, l->index, l->now.ptr.vaddr);

	for (; l->next < NODE_FANOUT && w->in->error == 0; l->next++) {
		struct level *child = &w->levels[level - 1];
		struct side before = child_of(w, l, true, &place);
		struct side now = child_of(w, l, false, &place);

		parent_sum(l, &now);
		child->index = l->index << NODE_FANOUT_SHIFT | l->next;
		if (now.ptr.vaddr != 0 && freed(w, level - 1, child->index, &now))
			now.ptr.vaddr = 0;
		if (child_same(w, l, &before, &now))
			continue;
		if (before.ptr.vaddr != 0 && !before_enter(w, &before))
			before.ptr.vaddr = 0;
		if (now.ptr.vaddr != 0 && !now_enter(w, &now, child->index))
			now.ptr.vaddr = 0;
		if (before.ptr.vaddr == 0 && now.ptr.vaddr == 0 && !before.root_below &&
		    !now.root_below)
			continue;
		child->before = before;
		child->now = now;
		child->next = 0;
		child->live = 0;
		child->epoch = 0;
		return child;
	}
	return NULL;
}

static void sums_judge(struct walker *w, const struct level *l)
{
	const struct inspect_place place =
		page_place(w, l->now.ptr.level, l->index, l->now.ptr.vaddr);

	if (l->now.root_below || l->now.ptr.vaddr == 0 || w->map->damaged)
		return;
	if (l->live != l->now.ptr.live) {
		inspect_damage(w->in, "sum-wrong", &place,
			       "its pointer counts %" PRIu64 " blocks below it, there are %" PRIu64,
			       l->now.ptr.live, l->live);
		w->map->damaged = true;
	}
	if (l->epoch > l->now.ptr.epoch) {
		inspect_damage(w->in, "sum-wrong", &place,
			       "a page below it is younger than its pointer says");
		w->map->damaged = true;
	}
}

static void fetch_add(struct walker *w, unsigned *count, unsigned *which, unsigned child)
{
	const struct level *l = &w->levels[1];

	which[*count] = child;
	w->fetches[(*count)++] = page_fetch(&w->children[child],
					    l->index << NODE_FANOUT_SHIFT | (child % NODE_FANOUT));
}

/* The leaves of a page of level 1 in which the two differ, and what is to be read of them. */
static unsigned leaves_list(struct walker *w, unsigned which[INSPECT_FETCH_MAX])
{
	struct level *l = &w->levels[1];
	unsigned count = 0;
	struct level *child;

	memset(w->children, 0, sizeof(w->children));
	while ((child = child_next(w, 1)) != NULL) {
		const unsigned n = l->next++;

		w->children[n] = child->before.ptr;
		w->children[NODE_FANOUT + n] = child->now.ptr;
		if (child->before.ptr.vaddr != 0)
			fetch_add(w, &count, which, n);
		if (child->now.ptr.vaddr != 0)
			fetch_add(w, &count, which, NODE_FANOUT + n);
	}
	return count;
}

/* All of them at once. Older pages were judged with the older map: they are not told of twice. */
static void leaves_read(struct walker *w)
{
	unsigned which[INSPECT_FETCH_MAX];
	const unsigned count = leaves_list(w, which);

	inspect_fetch_all(w->in, w->fetches, count);
	memset(w->leaf_there, 0, sizeof(w->leaf_there));
	for (unsigned i = 0; i < count; i++) {
		const unsigned child = which[i];
		const uint64_t index =
			w->levels[1].index << NODE_FANOUT_SHIFT | (child % NODE_FANOUT);
		const struct inspect_place place = page_place(w, 0, index, w->fetches[i].vaddr);

		w->leaf_there[child] = child < NODE_FANOUT
					       ? w->fetches[i].page != NULL
					       : inspect_fetch_judge(w->in, &w->fetches[i], &place);
		if (w->leaf_there[child])
			memcpy(w->leaves[child], w->fetches[i].page, PAGE_BYTES);
		else
			w->map->damaged = true;
	}
}

/* False: one of the two could not be read, so that nothing is known of how they differ. */
static bool leaf_take(struct walker *w, unsigned n)
{
	struct level *leaf = &w->levels[0];

	leaf->index = w->levels[1].index << NODE_FANOUT_SHIFT | n;
	leaf->before = (struct side){.ptr = w->children[n]};
	leaf->now = (struct side){.ptr = w->children[NODE_FANOUT + n]};
	leaf->live = 0;
	leaf->epoch = 0;
	if ((leaf->before.ptr.vaddr != 0 && !w->leaf_there[n]) ||
	    (leaf->now.ptr.vaddr != 0 && !w->leaf_there[NODE_FANOUT + n]))
		return false;
	if (leaf->before.ptr.vaddr != 0)
		memcpy(leaf->before_page, w->leaves[n], PAGE_BYTES);
	if (leaf->now.ptr.vaddr != 0)
		memcpy(leaf->page, w->leaves[NODE_FANOUT + n], PAGE_BYTES);
	return leaf->before.ptr.vaddr != 0 || leaf->now.ptr.vaddr != 0;
}

static void leaves_check(struct walker *w)
{
	leaves_read(w);
	for (unsigned n = 0; n < NODE_FANOUT && inspect_tick(w->in); n++) {
		if (!leaf_take(w, n))
			continue;
		leaf_check(w, &w->levels[0]);
		sums_judge(w, &w->levels[0]);
	}
	sums_judge(w, &w->levels[1]);
}

static void go(struct walker *w)
{
	unsigned level = w->top;

	level_read(w, &w->levels[level]);
	if (level == 0) {
		leaf_check(w, &w->levels[0]);
		sums_judge(w, &w->levels[0]);
		return;
	}
	while (inspect_tick(w->in)) {
		struct level *child = level > 1 ? child_next(w, level) : NULL;

		if (child) {
			w->levels[level].next++;
			level--;
			level_read(w, child);
			continue;
		}
		if (level == 1)
			leaves_check(w);
		else
			sums_judge(w, &w->levels[level]);
		if (level++ == w->top)
			return;
	}
}

/* The roots as children of nothing: the same questions are asked of them. */
static bool begin(struct walker *w)
{
	struct inspect_map *map = w->map;
	struct level *top;

	w->top = MAX(map->before.level, map->root.level);
	top = &w->levels[w->top];
	top->before = map->before.vaddr != 0 && map->before.level < w->top
			      ? (struct side){.root_below = true}
			      : (struct side){.ptr = map->before};
	top->now = map->root.vaddr != 0 && map->root.level < w->top
			   ? (struct side){.root_below = true}
			   : (struct side){.ptr = map->root};
	if (!top->now.root_below && top->now.ptr.vaddr != 0 && freed(w, w->top, 0, &top->now))
		top->now.ptr.vaddr = 0;
	if (child_same(w, top, &top->before, &top->now))
		return false;
	if (top->before.ptr.vaddr != 0 && !before_enter(w, &top->before))
		top->before.ptr.vaddr = 0;
	if (top->now.ptr.vaddr != 0 && !now_enter(w, &top->now, 0))
		top->now.ptr.vaddr = 0;
	return true;
}

static bool root_valid(struct inspect_map *map, struct node_ptr *root)
{
	if (root->vaddr == 0 ||
	    (root->kind == NODE_MAP && inspect_vaddr_valid(map->in, root->vaddr, SEGMENT_META)))
		return true;
	inspect_damage(map->in, "pointer-bad", &map->place, "its root leads nowhere");
	map->damaged = true;
	return false;
}

int inspect_map_walk(struct inspect_map *map)
{
	struct walker *w;

	if (!root_valid(map, &map->root))
		return 0;
	if (map->before.vaddr != 0 &&
	    !inspect_vaddr_valid(map->in, map->before.vaddr, SEGMENT_META)) {
		map->before = (struct node_ptr){0};
		map->damaged = true;
	}
	w = calloc(1, sizeof(*w));
	if (!w)
		return map->in->error = -ENOMEM;
	w->map = map;
	w->in = map->in;
	if (begin(w))
		go(w);
	free(w);
	return map->in->error;
}
