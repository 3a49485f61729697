/* SPDX-License-Identifier: Apache-2.0 */
/* Contents of the past, a chain for each block: see past.h. */
#include <stdlib.h>

#include <quoin/base_assert.h>

#include "past.h"

struct entry {
	uint64_t value, replaced;
	struct entry *older;
};

struct past {
	uint64_t block_count;
	struct entry **newest; /* per block */
};

struct past *past_new(uint64_t block_count)
{
	struct past *past = calloc(1, sizeof(*past));

	ASSERT(past != NULL);
	past->block_count = block_count;
	past->newest = calloc(block_count, sizeof(struct entry *));
	ASSERT(past->newest != NULL);
	return past;
}

void past_free(struct past *past)
{
	if (!past)
		return;
	for (uint64_t block = 0; block < past->block_count; block++)
		past_settle(past, block, PAST_NEVER);
	free((void *)past->newest);
	free(past);
}

void past_add(struct past *past, uint64_t block, uint64_t value, uint64_t replaced)
{
	struct entry *e = malloc(sizeof(*e));

	ASSERT(e != NULL);
	*e = (struct entry){value, replaced, past->newest[block]};
	past->newest[block] = e;
}

void past_settle(struct past *past, uint64_t block, uint64_t durable)
{
	struct entry **at = &past->newest[block];

	while (*at) {
		struct entry *e = *at;

		if (e->replaced > durable) {
			at = &e->older;
			continue;
		}
		*at = e->older;
		free(e);
	}
}

bool past_may(const struct past *past, uint64_t block, uint64_t value, uint64_t durable)
{
	for (const struct entry *e = past->newest[block]; e; e = e->older) {
		if (e->value == value && e->replaced > durable)
			return true;
	}
	return false;
}
