/* SPDX-License-Identifier: Apache-2.0 */
/* Where a block is now: the active delta, the frozen one, the tree; the only one who asks them. */
#include <errno.h>
#include <string.h>

#include "engine/io.h"

static const struct delta_range *newest_cut(const struct delta_range *a,
					    const struct delta_range *b)
{
	if (!a || !b)
		return a ? a : b;
	return a->seq >= b->seq ? a : b;
}

static int volume_lookup(struct volume *volume, uint64_t block, uint8_t ret_entry[ENTRY_BYTES],
			 struct page_ref *ret_missing)
{
	struct pool *pool = volume->pool;
	const struct delta *active = pool_delta(pool);
	const struct delta *frozen = &pool->deltas[!pool->active];
	const struct delta_range *cut = newest_cut(delta_cut(active, volume->id, block),
						   delta_cut(frozen, volume->id, block));
	int error;

	if (delta_point(active, volume->id, block, ret_entry) ||
	    delta_point(frozen, volume->id, block, ret_entry)) {
		if (entry_vaddr(ret_entry) == 0 || (cut && entry_seq(ret_entry) <= cut->seq))
			memset(ret_entry, 0, ENTRY_BYTES);
		return 0;
	}
	if (cut && !cut->carried) {
		memset(ret_entry, 0, ENTRY_BYTES);
		return 0;
	}
	error = map_lookup(pool->pages, &volume->rec.root, block, ret_entry, ret_missing);
	/* The tree may have blocks that are newer than a range of an earlier generation. */
	if (!error && (entry_vaddr(ret_entry) == 0 || (cut && entry_seq(ret_entry) < cut->seq)))
		memset(ret_entry, 0, ENTRY_BYTES);
	return error;
}

static int snapshot_lookup(struct pool *pool, const struct snapshot *snapshot, uint64_t block,
			   uint8_t ret_entry[ENTRY_BYTES], struct page_ref *ret_missing)
{
	const int error =
		map_lookup(pool->pages, &snapshot->rec.root, block, ret_entry, ret_missing);

	if (!error && entry_vaddr(ret_entry) == 0)
		memset(ret_entry, 0, ENTRY_BYTES);
	return error;
}

int block_lookup(struct pool *pool, const struct device *device, uint64_t block,
		 uint8_t ret_entry[ENTRY_BYTES], struct page_ref *ret_missing)
{
	if (device->snapshot)
		return snapshot_lookup(pool, device->snapshot, block, ret_entry, ret_missing);
	if (block >= device->volume->block_count) {
		memset(ret_entry, 0, ENTRY_BYTES);
		return 0;
	}
	return volume_lookup(device->volume, block, ret_entry, ret_missing);
}

struct fetch_wait {
	struct page_fetch fetch;
	struct fiber *fiber;
	bool ended;
};

static void fetch_ended(struct page_fetch *fetch)
{
	struct fetch_wait *wait = container_of(fetch, struct fetch_wait, fetch);

	wait->ended = true;
	fiber_wake(wait->fiber);
}

int block_lookup_wait(struct pool *pool, const struct device *device, uint64_t block,
		      uint8_t ret_entry[ENTRY_BYTES])
{
	struct fetch_wait wait = {.fiber = fiber_self()};
	uint64_t failed = 0;
	int error;

	for (;;) {
		error = block_lookup(pool, device, block, ret_entry, &wait.fetch.ref);
		if (error != -EAGAIN)
			return error;
		/* A page that failed may just have been replaced; the same one again is lost. */
		if (failed == wait.fetch.ref.ptr.vaddr)
			return wait.fetch.result;
		wait.ended = false;
		wait.fetch.done = fetch_ended;
		pages_fetch(pool->pages, &wait.fetch);
		while (!wait.ended)
			fiber_park();
		failed = wait.fetch.result < 0 ? wait.fetch.ref.ptr.vaddr : 0;
	}
}
