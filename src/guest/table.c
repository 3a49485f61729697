/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of regions: sorted by guest address, without overlaps, searched by halving. Addresses
 * of last bytes are used throughout, for a region may end at 2^64.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

static uint64_t window_last(const struct guest_window *window)
{
	return window->start + (window->size_bytes - 1);
}

static void table_check(const struct guest_memory *memory)
{
	ASSERT(memory->count <= memory->capacity && memory->count <= GUEST_REGIONS_MAX);
	ASSERT(memory->large_mapped <= memory->large_count && memory->large_count <= memory->count);
}

static void table_changed(struct guest_memory *memory)
{
	memory->last_hit = (struct guest_window){0};
	memory->generation++;
	table_check(memory);
}

int guest_memory_new(struct guest_memory **ret_memory)
{
	struct guest_memory *memory = calloc(1, sizeof(*memory));

	if (!memory)
		return -ENOMEM;
	memory->generation = 1;
	memory->epoch = 1;
	memory->oldest = 1;
	list_init(&memory->unmaps);
	list_init(&memory->zombies);
	*ret_memory = memory;
	return 0;
}

void guest_memory_free(struct guest_memory *memory)
{
	if (!memory)
		return;
	for (unsigned i = 0; i < GUEST_EPOCHS_MAX; i++)
		ASSERT_U64(memory->holds[i], ==, 0);
	ASSERT(list_empty(&memory->unmaps) && list_empty(&memory->zombies));
	for (unsigned i = 0; i < memory->count; i++)
		guest_region_free(memory->entries[i].region);
	free(memory->entries);
	free(memory);
}

unsigned guest_table_find(const struct guest_memory *memory, uint64_t address)
{
	unsigned low = 0, high = memory->count;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (window_last(&memory->entries[middle].window) < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void count_region(struct guest_memory *memory, const struct guest_region *region, int by)
{
	if (region->mapping)
		memory->mapped_bytes += (uint64_t)by * region->window.size_bytes;
	if (region->window.size_bytes <= GUEST_PRIVATE_BYTES)
		return;
	memory->large_count += (unsigned)by;
	if (region->mapping)
		memory->large_mapped += (unsigned)by;
}

static int table_grow(struct guest_memory *memory)
{
	unsigned capacity = memory->capacity ? memory->capacity * 2 : 16;
	struct guest_entry *entries;

	if (memory->count < memory->capacity)
		return 0;
	if (memory->count == GUEST_REGIONS_MAX)
		return -ENOSPC;
	entries = realloc(memory->entries, capacity * sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	memory->entries = entries;
	memory->capacity = capacity;
	return 0;
}

int guest_memory_map(struct guest_memory *memory, struct guest_addr start, uint64_t size_bytes,
		     unsigned prot, int fd, uint64_t fd_offset)
{
	const struct guest_window window = {
		.start = start.value, .size_bytes = size_bytes, .prot = prot};
	struct guest_region *region = NULL;
	unsigned at;
	int r;

	if (size_bytes == 0 || !is_aligned(start.value | size_bytes, GUEST_PAGE_SIZE) ||
	    window_last(&window) < start.value)
		return -EINVAL;
	if (fd >= 0 && !is_aligned(fd_offset, GUEST_PAGE_SIZE))
		return -EINVAL;
	if (prot == 0 || (prot & ~(unsigned)(GUEST_READ | GUEST_WRITE)) != 0)
		return -EINVAL;

	at = guest_table_find(memory, start.value);
	if (at < memory->count && memory->entries[at].window.start <= window_last(&window))
		return guest_region_same(memory->entries[at].region, &window, fd, fd_offset)
			       ? 0
			       : -EEXIST;
	if (fd >= 0 && size_bytes > GUEST_BYTES_MAX - memory->mapped_bytes)
		return -ENOMEM;
	r = table_grow(memory);
	if (r < 0)
		return r;
	r = guest_region_new(memory, &window, fd, fd_offset, &region);
	if (r < 0)
		return r;

	memmove(&memory->entries[at + 1], &memory->entries[at],
		(memory->count - at) * sizeof(memory->entries[0]));
	memory->entries[at] = (struct guest_entry){.window = region->window, .region = region};
	memory->count++;
	count_region(memory, region, 1);
	table_changed(memory);
	return 0;
}

/* Moves entries [first, end) from the table to `unmap`. */
static void table_take(struct guest_memory *memory, unsigned first, unsigned end,
		       struct guest_unmap *unmap)
{
	for (unsigned i = first; i < end; i++) {
		count_region(memory, memory->entries[i].region, -1);
		list_append(&unmap->regions, &memory->entries[i].region->node);
	}
	if (end < memory->count)
		memmove(&memory->entries[first], &memory->entries[end],
			(memory->count - end) * sizeof(memory->entries[0]));
	memory->count -= end - first;
	table_changed(memory);
}

int guest_memory_unmap(struct guest_memory *memory, struct guest_addr start, uint64_t size_bytes,
		       struct guest_unmap *unmap)
{
	uint64_t last = start.value + (size_bytes - 1);
	unsigned first, end;

	if (size_bytes == 0 || last < start.value)
		return -EINVAL;
	first = guest_table_find(memory, start.value);
	end = first;
	while (end < memory->count && memory->entries[end].window.start <= last)
		end++;
	if (first == end)
		return -ENOENT;
	/* Only the outermost regions can stick out. */
	if (memory->entries[first].window.start < start.value ||
	    window_last(&memory->entries[end - 1].window) > last)
		return -EINVAL;

	list_init(&unmap->regions);
	table_take(memory, first, end, unmap);
	guest_unmap_begin(memory, unmap);
	return 0;
}

void guest_memory_unmap_all(struct guest_memory *memory, struct guest_unmap *unmap)
{
	list_init(&unmap->regions);
	table_take(memory, 0, memory->count, unmap);
	guest_unmap_begin(memory, unmap);
}

uint64_t guest_memory_generation(const struct guest_memory *memory)
{
	return memory->generation;
}

bool guest_memory_lost(const struct guest_memory *memory)
{
	return atomic_load_explicit(&memory->lost, memory_order_relaxed);
}

void guest_memory_forget_loss(struct guest_memory *memory)
{
	ASSERT(memory->count == 0 && list_empty(&memory->unmaps) && list_empty(&memory->zombies));
	atomic_store_explicit(&memory->lost, false, memory_order_relaxed);
}

unsigned guest_memory_region_count(const struct guest_memory *memory)
{
	return memory->count;
}

bool guest_memory_is_private(const struct guest_memory *memory)
{
	return memory->large_count > 0 && memory->large_mapped == 0;
}
