/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Holds and the end of unmaps. See memory.h for what an epoch is.
 *
 *  1. oldest <= epoch < oldest + GUEST_EPOCHS_MAX.
 *  2. An unmap of epoch E, or a zombie region of it, may go when oldest > E.
 *  3. done() is called last, when the unmap is already forgotten: it may map, unmap and hold.
 */
#include "memory.h"

static void epochs_check(const struct guest_memory *memory)
{
	ASSERT_U64(memory->oldest, <=, memory->epoch);
	ASSERT_U64(memory->epoch - memory->oldest, <, GUEST_EPOCHS_MAX);
	ASSERT_U64(memory->sealed, <=, memory->epoch);
}

/* Moves `oldest` past the epochs without holds, and `epoch` past those an unmap waits for. */
static void epochs_advance(struct guest_memory *memory)
{
	for (;;) {
		while (memory->oldest < memory->epoch &&
		       memory->holds[memory->oldest % GUEST_EPOCHS_MAX] == 0)
			memory->oldest++;
		if (memory->sealed < memory->epoch ||
		    memory->epoch - memory->oldest == GUEST_EPOCHS_MAX - 1)
			break;
		memory->epoch++;
	}
	epochs_check(memory);
}

static void zombies_bury(struct guest_memory *memory)
{
	list_for_each_safe (node, next, &memory->zombies) {
		struct guest_region *region = container_of(node, struct guest_region, node);

		if (region->epoch >= memory->oldest)
			continue;
		list_remove(node);
		guest_region_free(region);
	}
}

static void unmaps_complete(struct guest_memory *memory)
{
	while (!list_empty(&memory->unmaps)) {
		struct guest_unmap *unmap =
			container_of(memory->unmaps.next, struct guest_unmap, node);

		if (unmap->epoch >= memory->oldest)
			return;
		list_remove(&unmap->node);
		guest_regions_free(&unmap->regions);
		unmap->done(unmap);
	}
}

static void epochs_settle(struct guest_memory *memory)
{
	epochs_advance(memory);
	zombies_bury(memory);
	unmaps_complete(memory);
}

void guest_unmap_begin(struct guest_memory *memory, struct guest_unmap *unmap)
{
	unmap->epoch = memory->epoch;
	memory->sealed = memory->epoch;
	list_append(&memory->unmaps, &unmap->node);
	epochs_settle(memory);
}

void guest_unmap_abandon(struct guest_memory *memory, struct guest_unmap *unmap)
{
	ASSERT(list_linked(&unmap->node));
	list_remove(&unmap->node);
	list_for_each (node, &unmap->regions)
		container_of(node, struct guest_region, node)->epoch = unmap->epoch;
	list_splice(&memory->zombies, &unmap->regions);
}

struct guest_hold guest_hold_take(struct guest_memory *memory)
{
	memory->holds[memory->epoch % GUEST_EPOCHS_MAX]++;
	return (struct guest_hold){.epoch = memory->epoch};
}

void guest_hold_drop(struct guest_memory *memory, struct guest_hold *hold)
{
	uint64_t epoch = hold->epoch;

	if (epoch == 0)
		return;
	ASSERT(epoch >= memory->oldest && epoch <= memory->epoch);
	ASSERT_U64(memory->holds[epoch % GUEST_EPOCHS_MAX], >, 0);
	hold->epoch = 0;
	/* Only the last hold of the oldest epoch can end anything. */
	if (--memory->holds[epoch % GUEST_EPOCHS_MAX] == 0 && epoch == memory->oldest &&
	    memory->sealed >= epoch)
		epochs_settle(memory);
}
