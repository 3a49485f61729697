/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of one tree of messages: taken piece by piece, let go at once. */
#ifndef EVE_ARENA_H
#define EVE_ARENA_H

#include <quoin/base.h>

struct eve_arena_block;

/* Zeroed = empty. */
struct eve_arena {
	struct eve_arena_block *blocks;
};

void eve_arena_fini(struct eve_arena *arena);

/* Zeroes, aligned for anything. Aborts when memory is exhausted. */
void *eve_arena_take(struct eve_arena *arena, size_t size_bytes);

/* A copy that proto3 takes: valid UTF-8. Cut at EVE_TEXT_MAX bytes. */
#define EVE_TEXT_MAX 1023
char *eve_arena_text(struct eve_arena *arena, const char *text);

#endif
