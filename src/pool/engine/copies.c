/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies of guests, by reference: block requests that name blocks of their own volume. All that
 * wait when a checkpoint begins are made by it, so however many come at a time, they cost one.
 *
 *   incoming --> pool->copies --freeze--> chosen --copy.c, commit--> done
 *                    ^                       |
 *                    +-----------------------+ there was no room for all of it
 *
 * Unlike the verb, a copy lets its volume work on. What makes that right:
 *
 *  1. A copy is taken from the queue of changes in its turn. From then on none begins that touches
 *     where it goes: they wait behind it (words->behind). So a partial block, whose rest would be
 *     what was there before, does not come to be there. Of the source any content is right that it
 *     had since the copy came, so changes of it go on.
 *  2. At the freeze no partial block is left in source or target, and no trim in the deltas that is
 *     about them: then what was answered before the copy came is in the trees once the checkpoint
 *     has merged. A trim would cut the copied entries, whose seq is old, if it went on.
 *  3. Whole blocks that were on their way to the target are inserted into the active delta when
 *     they are written, and hide what was copied: as if they had come later. They are not answered,
 *     so they may have.
 *  4. Near a limit nothing is copied: what counts there as written over for nothing (`renewed`)
 *     would come to be shared.
 *
 * What cannot be, or is dearer than reading and writing, ends with -EOPNOTSUPP; whoever asked
 * copies by data then, and hears what is wrong with that. A large one is made by several
 * checkpoints, so a crash may leave a part of it.
 */
#include "engine/copies.h"

#include <errno.h>
#include <stdlib.h>

#include <quoin/base_assert.h>
#include <quoin/base_math.h>

#include "engine/checkpoint.h"
#include "engine/copy.h"

#define RECORDS_PER_BLOCK 4 /* that a copy may have merged early, for each of its blocks */
#define BLOCKS_MAX (UINT64_C(1) << 18) /* copied by one checkpoint, about */
#define IDLE_MAX 16		       /* checkpoints that did nothing for it */
#define COPIES_MAX 32		       /* that wait: each is laid beside all trims at a freeze */

static bool touches(const struct block_request *copy, uint64_t offset, uint64_t length)
{
	if (ranges_overlap(copy->offset, copy->length_bytes, offset, length))
		return true;
	for (unsigned i = 0; i < copy->source_count; i++) {
		if (ranges_overlap(copy->sources[i].offset, copy->sources[i].length_bytes, offset,
				   length))
			return true;
	}
	return false;
}

static struct volume *volume_of(struct block_request *request)
{
	return request_words(request)->device->volume;
}

/* --- Beginning and end ------------------------------------------------------------------------ */

/* A checkpoint that is made anyway costs nothing; one that is made early merges records that would
 * have shared pages with later ones. */
static bool worth_it(const struct pool *pool, const struct block_request *request)
{
	const struct checkpointer *c = pool->checkpointer;

	return c->requested || !list_empty(&pool->copies) ||
	       pool->deltas[pool->active].count <=
		       request->length_bytes / PAGE_BYTES * RECORDS_PER_BLOCK;
}

static bool room(const struct pool *pool)
{
	unsigned count = 0;

	list_for_each (node, &pool->copies)
		count++;
	return count < COPIES_MAX;
}

void copies_take(struct pool *pool, struct block_request *request)
{
	list_remove(&request->node);
	if (pool->error < 0 || !worth_it(pool, request) || !room(pool)) {
		request_part_end(request, pool->error < 0 ? -EIO : -EOPNOTSUPP);
		return;
	}
	list_init(&request_words(request)->behind);
	list_append(&pool->copies, &request->node);
	pool_work(pool);
}

static void end(struct pool *pool, struct block_request *request, int result)
{
	struct list *behind = &request_words(request)->behind;

	list_remove(&request->node);
	list_splice(behind, &pool->incoming);
	list_splice(&pool->incoming, behind);
	pool_work(pool);
	request_part_end(request, result);
}

bool copies_delay(struct pool *pool, struct block_request *request)
{
	list_for_each (node, &pool->copies) {
		struct block_request *copy = container_of(node, struct block_request, node);

		if (volume_of(copy) != volume_of(request) ||
		    !ranges_overlap(copy->offset, copy->length_bytes, request->offset,
				    request->length_bytes))
			continue;
		list_remove(&request->node);
		list_append(&request_words(copy)->behind, &request->node);
		return true;
	}
	return false;
}

/* --- When it can be made ---------------------------------------------------------------------- */

enum readiness {
	READY,
	IN_PARTS, /* partial blocks are about to be whole */
	IN_VAIN,  /* they will not be */
	TRIMMED,  /* checkpoints will have done with it */
};

static enum readiness readiness(struct pool *pool, struct block_request *copy)
{
	const struct volume *volume = volume_of(copy);
	enum readiness found = READY;

	for (unsigned i = 0; volume->patch_count > 0 && i < PATCHES_MAX; i++) {
		const struct patch *patch = &pool->patches[i];

		if (patch->volume != volume ||
		    !touches(copy, patch->block * PAGE_BYTES, PAGE_BYTES))
			continue;
		if (patch_in_vain(pool, patch))
			return IN_VAIN;
		found = IN_PARTS;
	}
	for (unsigned i = 0; found == READY && i < 2; i++) {
		const struct delta *delta = &pool->deltas[i];

		for (unsigned j = 0; found == READY && j < delta->range_count; j++) {
			const struct delta_range *range = &delta->ranges[j];

			if (range->volume == volume->id &&
			    touches(copy, range->start * PAGE_BYTES,
				    (range->end - range->start) * PAGE_BYTES))
				found = TRIMMED;
		}
	}
	return found;
}

static void look(struct pool *pool, struct block_request *copy)
{
	const enum readiness now = readiness(pool, copy);

	if (now == IN_VAIN)
		end(pool, copy, -EOPNOTSUPP);
	else if (now != IN_PARTS)
		checkpoint_request(pool);
}

void copies_look(struct pool *pool)
{
	list_for_each_safe (node, next, &pool->copies) {
		struct block_request *copy = container_of(node, struct block_request, node);
		const struct volume_request *words = request_words(copy);

		if (words->chosen)
			continue;
		if (pool->error < 0)
			end(pool, copy, -EIO);
		else if (words->idle > IDLE_MAX || words->device->hurried)
			end(pool, copy, -EOPNOTSUPP);
		else if (!pool->checkpointer->requested || !pool->checkpointer->all)
			look(pool, copy);
	}
}

void copies_freeze(struct pool *pool, bool carry)
{
	uint64_t blocks = 0;

	list_for_each (node, &pool->copies) {
		struct block_request *copy = container_of(node, struct block_request, node);
		struct volume_request *words = request_words(copy);

		words->chosen = !carry && blocks < BLOCKS_MAX && readiness(pool, copy) == READY;
		if (words->chosen)
			blocks += (copy->length_bytes - words->at) / PAGE_BYTES;
		else if (!carry)
			words->idle += blocks < BLOCKS_MAX;
	}
}

/* --- Within the checkpoint -------------------------------------------------------------------- */

/* What comes next, up to the end of one source. */
static void copying_make(struct block_request *copy, struct copying *ret)
{
	const uint64_t at = request_words(copy)->at;
	const struct block_extent *source = copy->sources;
	uint64_t in = at;

	for (; in >= source->length_bytes; source++)
		in -= source->length_bytes;
	*ret = (struct copying){
		.from = volume_of(copy),
		.to = volume_of(copy),
		.from_block = (source->offset + in) / PAGE_BYTES,
		.to_block = (copy->offset + at) / PAGE_BYTES,
		.count = (source->length_bytes - in) / PAGE_BYTES,
		.piece = COPY_PIECE,
	};
}

static void copy_run(struct pool *pool, struct block_request *copy, struct copy_scratch *scratch)
{
	struct volume_request *words = request_words(copy);
	const uint64_t before = words->at;
	int r = scratch && !space_near(volume_of(copy)) ? 0 : -EOPNOTSUPP;

	while (r == 0 && words->at < copy->length_bytes) {
		struct copying c;

		copying_make(copy, &c);
		r = copying_go_on(pool, &c, scratch);
		words->at += c.done * PAGE_BYTES;
	}
	if (r == -EAGAIN)
		words->idle = words->at == before ? words->idle + 1 : 0;
	else if (r < 0)
		words->result = -EOPNOTSUPP;
}

void copies_run(struct pool *pool)
{
	struct copy_scratch *scratch;

	if (list_empty(&pool->copies))
		return;
	scratch = copy_scratch_new(pool);
	/* Who is chosen stays in the list, so the way on from it is good after a pause. */
	list_for_each (node, &pool->copies) {
		struct block_request *copy = container_of(node, struct block_request, node);

		if (!request_words(copy)->chosen)
			continue;
		copy_run(pool, copy, scratch);
		if (pool->error < 0)
			break;
	}
	free(scratch);
}

void copies_settle(struct pool *pool)
{
	list_for_each_safe (node, next, &pool->copies) {
		struct block_request *copy = container_of(node, struct block_request, node);
		struct volume_request *words = request_words(copy);

		if (!words->chosen)
			continue;
		words->chosen = false;
		if (pool->error == 0 && (words->result < 0 || words->at == copy->length_bytes))
			end(pool, copy, words->result);
	}
	/* Others have another look. */
	if (!list_empty(&pool->copies))
		pool_work(pool);
}
