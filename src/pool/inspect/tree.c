/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walking the trees of records and deadlists (FORMAT.md, section 5). Every page is owned when it is
 * reached; one that has an owner already is not gone into, so that no forged tree is endless.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "inspect/fetch.h"

bool inspect_child(struct inspect *in, const uint8_t *raw, const struct node_ptr *parent,
		   const struct inspect_place *place, struct node_ptr *ret_child)
{
	struct node_ptr child;

	if (node_ptr_decode(raw, &child) < 0 ||
	    (child.vaddr != 0 && (child.kind != parent->kind || child.level + 1 != parent->level ||
				  !inspect_vaddr_valid(in, child.vaddr, SEGMENT_META)))) {
		inspect_damage(in, "pointer-bad", place,
			       "a pointer in it leads nowhere, or to something else");
		return false;
	}
	if (child.vaddr != 0 && child.ckpt > (in->super.ckpt & SEQ_MAX)) {
		inspect_damage(in, "pointer-bad", place,
			       "a page below it is of checkpoint %" PRIu64 ", which is yet to come",
			       child.ckpt);
		return false;
	}
	*ret_child = child;
	return true;
}

void inspect_record_bad(struct inspect_walk *walk, const struct inspect_place *place)
{
	inspect_damage(walk->in, "record-bad", place, "its record has fields out of range");
	walk->damaged = true;
}

struct step {
	struct node_ptr ptr;
	uint64_t index;
	uint8_t page[PAGE_BYTES];
	/* Inner pages: */
	uint64_t live;
	uint32_t epoch;
	unsigned next; /* child */
};

static struct inspect_place step_place(const struct inspect_walk *walk, const struct step *step)
{
	struct inspect_place place =
		inspect_place(walk->place.structure, "%.90s, page %" PRIu64 " of level %u",
			      walk->place.name, step->index, step->ptr.level);

	place.vaddr = step->ptr.vaddr;
	return place;
}

/* False: there is nothing to go into. */
static bool step_read(struct inspect_walk *walk, struct step *step)
{
	struct inspect *in = walk->in;
	const struct inspect_place place = step_place(walk, step);
	struct inspect_fetch fetch = {
		.kind = INSPECT_FETCH_PAGE,
		.vaddr = step->ptr.vaddr,
		.seed = node_seed(walk->kind, step->ptr.level, step->index),
		.check = step->ptr.check,
	};

	step->live = 0;
	step->epoch = 0;
	step->next = 0;
	if (!inspect_tick(in) || (!walk->again && inspect_own(in, step->ptr.vaddr, &place) < 0)) {
		walk->damaged = true;
		return false;
	}
	(*walk->pages)++;
	inspect_fetch_all(in, &fetch, 1);
	if (!inspect_fetch_judge(in, &fetch, &place)) {
		walk->damaged = true;
		return false;
	}
	memcpy(step->page, fetch.page, PAGE_BYTES);
	return true;
}

/* An inner page says how much is below it, and deadlists of which age. */
static void sums_judge(struct inspect_walk *walk, const struct step *step)
{
	const struct inspect_place place = step_place(walk, step);

	if (walk->damaged)
		return;
	if (step->live != step->ptr.live)
		inspect_damage(walk->in, "sum-wrong", &place,
			       "its pointer counts %" PRIu64 " below it, there are %" PRIu64,
			       step->ptr.live, step->live);
	if (walk->kind == NODE_DEADLIST && step->epoch != step->ptr.epoch)
		inspect_damage(walk->in, "sum-wrong", &place,
			       "its pointer says epoch %" PRIu32
			       ", the newest below it is %" PRIu32,
			       step->ptr.epoch, step->epoch);
}

static void leaf_count(struct inspect_walk *walk, const struct step *leaf, struct step *parent)
{
	const bool own = walk->kind == NODE_DEADLIST || walk->kind == NODE_MAP;
	const uint64_t live = own ? leaf->ptr.live : 1;

	if (!parent)
		return;
	parent->live += live;
	parent->epoch = MAX(parent->epoch, leaf->ptr.epoch);
}

/* The next child of an inner page that is there and can be read becomes step[1]. */
static bool descend(struct inspect_walk *walk, struct step *step)
{
	while (step->next < NODE_FANOUT && walk->in->error == 0) {
		const unsigned n = step->next++;
		const struct inspect_place place = step_place(walk, step);

		step[1].index = step->index << NODE_FANOUT_SHIFT | n;
		if (!inspect_child(walk->in, step->page + (size_t)n * NODE_PTR_BYTES, &step->ptr,
				   &place, &step[1].ptr))
			walk->damaged = true;
		else if (step[1].ptr.vaddr != 0 && step_read(walk, &step[1]))
			return true;
	}
	return false;
}

static void go(struct inspect_walk *walk, struct step *steps)
{
	struct step *at = steps;

	while (walk->in->error == 0) {
		if (at->ptr.level == 0) {
			walk->leaf(walk, at->index, &at->ptr, at->page);
			leaf_count(walk, at, at > steps ? at - 1 : NULL);
		} else if (descend(walk, at)) {
			at++;
			continue;
		} else {
			sums_judge(walk, at);
			if (at > steps) {
				at[-1].live += at->live;
				at[-1].epoch = MAX(at[-1].epoch, at->epoch);
			}
		}
		if (at == steps)
			return;
		at--;
	}
}

void inspect_walk(struct inspect_walk *walk, const struct node_ptr *root)
{
	struct step *steps;

	if (root->vaddr == 0)
		return;
	if (!inspect_vaddr_valid(walk->in, root->vaddr, SEGMENT_META)) {
		inspect_damage(walk->in, "pointer-bad", &walk->place, "its root leads nowhere");
		walk->damaged = true;
		return;
	}
	steps = calloc(NODE_LEVELS_MAX + 1, sizeof(*steps));
	if (!steps) {
		walk->in->error = -ENOMEM;
		return;
	}
	steps->ptr = *root;
	if (step_read(walk, steps))
		go(walk, steps);
	free(steps);
}
