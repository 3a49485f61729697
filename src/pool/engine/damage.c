/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges of blocks that cannot be read; see damage.h. */
#include "engine/damage.h"

#include <stdio.h>
#include <string.h>

#include "engine/io.h"

_Static_assert(POOL_DAMAGE_NAME_MAX == 2 * POOL_NAME_MAX + 1, "names");

static bool same_object(const struct damage_range *a, const struct damage_range *b)
{
	return a->snapshot == b->snapshot && a->number == b->number &&
	       memcmp(a->guid, b->guid, sizeof(a->guid)) == 0;
}

static struct damage_range range_of(const struct device *device, uint64_t block, uint64_t count)
{
	struct damage_range range = {
		.snapshot = device->volume == NULL, .block = block, .count = count};

	if (device->volume) {
		range.number = device->volume->id;
		memcpy(range.guid, device->volume->rec.guid, sizeof(range.guid));
	} else {
		range.number = device->snapshot->id;
		memcpy(range.guid, device->snapshot->rec.guid, sizeof(range.guid));
	}
	return range;
}

static void range_drop(struct damage *damage, unsigned index)
{
	damage->count--;
	memmove(&damage->ranges[index], &damage->ranges[index + 1],
		(damage->count - index) * sizeof(*damage->ranges));
}

/* No room: how much it is is kept, and where is not. */
static void range_add(struct damage *damage, const struct damage_range *range)
{
	if (damage->count == POOL_DAMAGE_MAX)
		damage->more += range->count;
	else
		damage->ranges[damage->count++] = *range;
}

void damage_note(struct pool *pool, const struct device *device, uint64_t block)
{
	struct damage *damage = &pool->damage;
	struct damage_range added = range_of(device, block, 1);

	for (unsigned i = 0; i < damage->count; i++) {
		const struct damage_range *range = &damage->ranges[i];
		const bool same = same_object(range, &added);

		if (same && block >= range->block && block - range->block < range->count)
			return;
		/* Those on either side become one with it. */
		if (!same || (range->block + range->count != added.block &&
			      added.block + added.count != range->block))
			continue;
		added.block = MIN(added.block, range->block);
		added.count += range->count;
		range_drop(damage, i--);
	}
	range_add(damage, &added);
}

/* What is left of `range` without [block, end). */
static void range_cut(struct damage *damage, struct damage_range range, uint64_t block,
		      uint64_t end)
{
	const uint64_t range_end = range.block + range.count;
	struct damage_range tail = range;

	if (range.block < block) {
		range.count = block - range.block;
		range_add(damage, &range);
	}
	if (range_end > end) {
		tail.block = end;
		tail.count = range_end - end;
		range_add(damage, &tail);
	}
}

void damage_mend(struct pool *pool, const struct device *device, uint64_t block, uint64_t count)
{
	struct damage *damage = &pool->damage;
	const struct damage_range mended = range_of(device, block, count);
	const uint64_t end = block + count;
	unsigned left = damage->count; /* what is added behind has been cut already */

	for (unsigned i = 0; i < left;) {
		const struct damage_range range = damage->ranges[i];

		if (!same_object(&range, &mended) || range.block >= end ||
		    range.block + range.count <= block) {
			i++;
			continue;
		}
		range_drop(damage, i);
		left--;
		range_cut(damage, range, block, end);
	}
}

void damage_forget(struct pool *pool, struct volume *volume)
{
	const struct device device = {.pool = pool, .volume = volume};

	damage_mend(pool, &device, 0, UINT64_MAX);
}

/* --- For people --------------------------------------------------------------------------- */

/* False: it is gone, or the range is beyond its end. */
static bool range_tell(const struct pool *pool, const struct damage_range *range,
		       struct pool_damage_range *told)
{
	const struct snapshot *snapshot = range->snapshot ? snapshot_at(pool, range->number) : NULL;
	const struct volume *volume =
		volume_at(pool, snapshot ? snapshot->rec.volume : range->number);
	const uint8_t *guid;
	uint64_t blocks;

	if (!volume || volume->rec.state != VOLUME_LIVE || (range->snapshot && !snapshot))
		return false;
	guid = snapshot ? snapshot->rec.guid : volume->rec.guid;
	blocks = (snapshot ? snapshot->rec.size_bytes : volume->rec.size_bytes) / PAGE_BYTES;
	if ((snapshot && snapshot->rec.state != VOLUME_LIVE) ||
	    memcmp(guid, range->guid, sizeof(range->guid)) != 0 || range->block >= blocks)
		return false;
	snprintf(told->name, sizeof(told->name), "%s%s%s", volume->rec.name, snapshot ? "@" : "",
		 snapshot ? snapshot->rec.name : "");
	told->offset = range->block * PAGE_BYTES;
	told->length_bytes = MIN(range->count, blocks - range->block) * PAGE_BYTES;
	return true;
}

void pool_damage(struct pool *pool, struct pool_damage *ret_damage)
{
	struct damage *damage = &pool->damage;
	unsigned i = 0;

	ret_damage->count = 0;
	while (i < damage->count) {
		if (range_tell(pool, &damage->ranges[i], &ret_damage->ranges[ret_damage->count])) {
			ret_damage->count++;
			i++;
		} else {
			range_drop(damage, i);
		}
	}
	ret_damage->more_bytes = damage->more * PAGE_BYTES;
}
