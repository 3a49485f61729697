/* SPDX-License-Identifier: Apache-2.0 */
/* Images of a disk at one instant: see image.h. */
#include <stdio.h>
#include <stdlib.h>

#include <quoin/base_assert.h>

#include "client.h"
#include "image.h"

#define READ_BYTES (128 * KiB)

struct choice {
	uint64_t value, from, until;
	struct choice *next;
};

struct image {
	uint64_t block_count;
	unsigned block_bytes;
	struct choice **choices; /* per block */
	uint64_t not_before;	 /* while looking: bounds of the instant */
	uint64_t not_after;
};

/* --- Contents ----------------------------------------------------------------------------- */

void content_spell(uint64_t value, uint8_t *block, unsigned bytes)
{
	uint64_t *words = (uint64_t *)(void *)block;

	for (unsigned i = 0; i < bytes / 8; i++)
		words[i] = value * (2 * i + 1);
}

uint64_t content_unspell(const uint8_t *block, unsigned bytes)
{
	const uint64_t *words = (const uint64_t *)(const void *)block;

	for (unsigned i = 1; i < bytes / 8; i++) {
		if (words[i] != words[0] * (2 * i + 1))
			return UINT64_MAX;
	}
	return words[0];
}

/* --- Life --------------------------------------------------------------------------------- */

struct image *image_new(uint64_t block_count, unsigned block_bytes)
{
	struct image *image = calloc(1, sizeof(*image));

	ASSERT(image != NULL);
	image->block_count = block_count;
	image->block_bytes = block_bytes;
	image->choices = calloc(block_count, sizeof(struct choice *));
	ASSERT(image->choices != NULL);
	return image;
}

static void choices_free(struct choice *c)
{
	while (c) {
		struct choice *next = c->next;

		free(c);
		c = next;
	}
}

void image_free(struct image *image)
{
	if (!image)
		return;
	for (uint64_t i = 0; i < image->block_count; i++)
		choices_free(image->choices[i]);
	free((void *)image->choices);
	free(image);
}

void image_may(struct image *image, uint64_t block, uint64_t value, uint64_t from, uint64_t until)
{
	struct choice *c = malloc(sizeof(*c));

	ASSERT(c != NULL);
	*c = (struct choice){value, from, until, image->choices[block]};
	image->choices[block] = c;
}

/* --- Looking ------------------------------------------------------------------------------ */

/* The time in which the block had this value; several such times are taken together. */
static bool choose(const struct image *image, uint64_t block, uint64_t value, struct choice *ret)
{
	bool found = false;

	*ret = (struct choice){.value = value, .from = UINT64_MAX};
	for (const struct choice *c = image->choices[block]; c; c = c->next) {
		if (c->value != value)
			continue;
		ret->from = MIN(ret->from, c->from);
		ret->until = MAX(ret->until, c->until);
		found = true;
	}
	return found;
}

static bool take(struct image *image, uint64_t block, const uint8_t *data)
{
	const uint64_t value = content_unspell(data, image->block_bytes);
	struct choice found;

	if (!choose(image, block, value, &found)) {
		fprintf(stderr, "snapshot: block %llu reads as %#llx, not as %#llx\n",
			(unsigned long long)block, (unsigned long long)value,
			(unsigned long long)image->choices[block]->value);
		return false;
	}
	image->not_before = MAX(image->not_before, found.from);
	image->not_after = MIN(image->not_after, found.until);
	choices_free(image->choices[block]);
	image->choices[block] = NULL;
	image_may(image, block, value, 0, UINT64_MAX);
	return true;
}

static bool piece_verify(struct image *image, struct host *host, uint64_t first, uint8_t *data)
{
	const uint64_t most = READ_BYTES / image->block_bytes;
	const uint64_t count = MIN(most, image->block_count - first);
	struct nvme_sqe sqe = {
		.opcode = IO_READ,
		.nsid = 1,
		.dw10 = (uint32_t)first,
		.dw11 = (uint32_t)(first >> 32),
		.dw12 = (uint32_t)count - 1,
	};
	const uint64_t mark = ram_mark(&host->ram);
	int status;

	prp_set(&host->ram, &sqe, data, count * image->block_bytes, 0);
	status = host_run(host, 1, sqe, NULL);
	ram_release(&host->ram, mark);
	if (status != ST_OK) {
		fprintf(stderr, "snapshot: reading at %llu: status %d\n", (unsigned long long)first,
			status);
		return false;
	}
	for (uint64_t i = 0; i < count; i++) {
		if (!take(image, first + i, data + i * image->block_bytes))
			return false;
	}
	return true;
}

bool image_verify(struct image *image, struct host *host)
{
	uint8_t *data = ram_alloc(&host->ram, READ_BYTES);

	image->not_before = 0;
	image->not_after = UINT64_MAX;
	for (uint64_t first = 0; first < image->block_count;
	     first += READ_BYTES / image->block_bytes) {
		if (!piece_verify(image, host, first, data))
			return false;
	}
	if (image->not_before <= image->not_after)
		return true;
	fprintf(stderr, "snapshot: of no instant: it has a write of %llu, and lacks one of %llu\n",
		(unsigned long long)image->not_before, (unsigned long long)image->not_after);
	return false;
}
