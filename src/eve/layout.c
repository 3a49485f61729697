/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which drives stand where. One group alone is shown flat, as are drives that mirror nothing; only
 * mirrors beside others become children.
 */
#include <string.h>

#include "fill.h"

/* FNV-1a: a number that stays, of the pool's identity and the group's place in it. */
static uint64_t group_guid(const uint8_t pool[16], unsigned group)
{
	uint64_t hash = UINT64_C(0xCBF29CE484222325);

	for (unsigned i = 0; i < 20; i++) {
		hash ^= i < 16 ? pool[i] : (group >> (8 * (i - 16))) & 0xFF;
		hash *= UINT64_C(0x100000001B3);
	}
	return hash != 0 ? hash : 1;
}

static bool is_one_group(const struct control_pool_info *info)
{
	for (unsigned i = 1; i < info->drive_count; i++) {
		if (info->drives[i].group != info->drives[0].group)
			return false;
	}
	return info->drive_count > 0;
}

static struct eve_group *group_get(const struct control_pool_info *info, unsigned number,
				   struct eve_layout *layout)
{
	const uint64_t guid = group_guid(info->guid, number);
	struct eve_group *group = layout->groups;

	while (group < layout->groups + layout->group_count && group->guid != guid)
		group++;
	if (group == layout->groups + layout->group_count) {
		*group = (struct eve_group){.guid = guid, .mirrored = true};
		layout->group_count++;
	}
	return group;
}

void eve_layout_find(const struct control_pool_info *info, struct eve_layout *ret_layout)
{
	const bool one = is_one_group(info);

	memset(ret_layout, 0, sizeof(*ret_layout));
	ret_layout->mirrored = one && info->drives[0].mirrored;
	for (unsigned i = 0; i < info->drive_count; i++) {
		struct eve_group *group;

		if (one || !info->drives[i].mirrored) {
			ret_layout->flat[ret_layout->flat_count++] = i;
			continue;
		}
		group = group_get(info, info->drives[i].group, ret_layout);
		group->drives[group->count++] = i;
	}
}
