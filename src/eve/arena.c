/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks in a list, of which only the first is taken from; see arena.h. */
#include "arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_text.h>
#include <quoin/health_event.h>

#define BLOCK_BYTES (32 * KiB)

struct eve_arena_block {
	struct eve_arena_block *next;
	size_t used, size;
	alignas(max_align_t) unsigned char bytes[];
};

void eve_arena_fini(struct eve_arena *arena)
{
	while (arena->blocks) {
		struct eve_arena_block *next = arena->blocks->next;

		free(arena->blocks);
		arena->blocks = next;
	}
}

void *eve_arena_take(struct eve_arena *arena, size_t size_bytes)
{
	const size_t size = (size_bytes + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	struct eve_arena_block *block = arena->blocks;
	void *at;

	if (!block || block->size - block->used < size) {
		const size_t room = MAX(size, (size_t)BLOCK_BYTES);

		block = xcalloc(1, sizeof(*block) + room);
		block->size = room;
		block->next = arena->blocks;
		arena->blocks = block;
	}
	at = block->bytes + block->used;
	block->used += size;
	return at;
}

char *eve_arena_text(struct eve_arena *arena, const char *text)
{
	const size_t size = strnlen(text, EVE_TEXT_MAX) + 1;
	char *copy = eve_arena_take(arena, size);

	health_text_copy(copy, size, text);
	return copy;
}
