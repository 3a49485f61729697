/* SPDX-License-Identifier: Apache-2.0 */
/* Two looks at a pool compared; see watch.h. */
#include "watch.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <quoin/base_size.h>
#include <quoin/control_health.h>

static void health_tell(const struct control_pool_info *before, const struct control_pool_info *now,
			struct health_events *events)
{
	const char *was = before ? before->health : "online";

	if (strcmp(was, now->health) == 0)
		return;
	if (strcmp(now->health, "suspended") == 0)
		health_events_add(events, HEALTH_POOL_SUSPENDED, now->name, "%s", now->problem);
	else if (strcmp(now->health, "degraded") == 0)
		health_events_add(events, HEALTH_POOL_DEGRADED, now->name, "%s", now->problem);
	else
		health_events_add(events, HEALTH_POOL_ONLINE, now->name,
				  "all its drives are online");
}

/* --- Drives -------------------------------------------------------------------------------- */

/* How much more it is; a counter that fell begins anew. */
void control_drive_object(const char *pool, const char *path,
			  char ret_object[HEALTH_OBJECT_MAX + 1])
{
	snprintf(ret_object, HEALTH_OBJECT_MAX + 1, "%s:%s", pool,
		 path[0] != '\0' ? path : "(a drive that was never seen)");
}

static uint64_t more(uint64_t before, uint64_t now)
{
	return now > before ? now - before : 0;
}

static void drive_tell(const struct control_pool_info *pool,
		       const struct control_drive_info *before,
		       const struct control_drive_info *now, struct health_events *events)
{
	char object[HEALTH_OBJECT_MAX + 1];
	const uint64_t reads = more(before->read_errors, now->read_errors);
	const uint64_t writes = more(before->write_errors, now->write_errors);
	const uint64_t checks = more(before->check_errors, now->check_errors);

	control_drive_object(pool->name, now->path, object);
	if (strcmp(before->state, now->state) != 0) {
		if (strcmp(now->state, "online") == 0)
			health_events_add(events, HEALTH_DRIVE_ONLINE, object, "it is back");
		else
			health_events_add(events, HEALTH_DRIVE_LOST, object, "it is %s",
					  now->state);
	}
	if (reads + writes + checks > 0)
		health_events_add(events, HEALTH_DRIVE_ERRORS, object,
				  "%" PRIu64 " read, %" PRIu64 " write and %" PRIu64
				  " check errors more",
				  reads, writes, checks);
}

static void drives_tell(const struct control_pool_info *before, const struct control_pool_info *now,
			struct health_events *events)
{
	for (unsigned i = 0; i < now->drive_count; i++) {
		const struct control_drive_info *drive = &now->drives[i];
		struct control_drive_info well = *drive;

		if (before && i < before->drive_count &&
		    memcmp(before->drives[i].guid, drive->guid, sizeof(drive->guid)) == 0) {
			drive_tell(now, &before->drives[i], drive, events);
			continue;
		}
		well.state = "online";
		drive_tell(now, &well, drive, events);
	}
}

/* --- Data ------------------------------------------------------------------------------------ */

/* How often, and the newest place; all of them are in the pool's health. */
static void bad_tell(uint64_t bad, const struct control_pool_info *now,
		     struct health_events *events)
{
	const struct control_damage *damage = &now->damage;
	const struct control_damage_range *last =
		damage->count > 0 ? &damage->ranges[damage->count - 1] : NULL;
	char where[ERR_TEXT_MAX] = "";

	if (last)
		snprintf(where, sizeof(where),
			 ", at last %" PRIu64 " bytes at %" PRIu64 " of %s/%s", last->length_bytes,
			 last->offset, now->name, last->name);
	health_events_add(events, HEALTH_POOL_DAMAGED, now->name,
			  "%" PRIu64 " times a block of a volume could not be read from any copy%s",
			  bad, where);
}

static void data_tell(const struct control_pool_info *before, const struct control_pool_info *now,
		      struct health_events *events)
{
	const uint64_t healed = more(before->healed, now->healed);
	const uint64_t bad = more(before->bad_blocks, now->bad_blocks);
	const uint64_t lost = more(before->lost_bytes, now->lost_bytes);
	const uint64_t refused = more(before->refused_writes, now->refused_writes);

	if (healed > 0)
		health_events_add(events, HEALTH_POOL_HEALED, now->name,
				  "%" PRIu64 " blocks were wrong on a drive and are mended",
				  healed);
	if (bad > 0)
		bad_tell(bad, now, events);
	if (refused > 0)
		health_events_add(events, HEALTH_POOL_REFUSED, now->name,
				  "%" PRIu64 " writes of guests were refused for want of space",
				  refused);
	if (lost > 0)
		health_events_add(events, HEALTH_POOL_DAMAGED, now->name,
				  "metadata was damaged in all copies: at most %" PRIu64
				  " bytes stay used, and nobody has them",
				  lost);
}

/* --- Space ----------------------------------------------------------------------------------- */

/* Of what guests can have, how much they have. */
static unsigned used_permille(const struct control_pool_info *info)
{
	const uint64_t all = info->size_bytes - MIN(info->size_bytes, info->reserve_bytes);
	const uint64_t left = MIN(info->available_bytes, all);

	return all == 0 ? 1000 : 1000 - (unsigned)((double)left / (double)all * 1000.0);
}

static void space_tell(struct control_watch *watch, const struct control_pool_info *before,
		       const struct control_pool_info *now, struct health_events *events)
{
	const unsigned used = used_permille(now);
	const bool was_full = before && before->full;
	const bool was_near = watch->near_full;
	char left[SIZE_TEXT_MAX];

	watch->near_full = used >= CONTROL_NEAR_FULL_PERMILLE ||
			   (was_near && used >= CONTROL_NEAR_FULL_OVER_PERMILLE);
	if (now->full && !was_full)
		health_events_add(events, HEALTH_POOL_FULL, now->name, "guests cannot write");
	else if (!now->full && watch->near_full && !was_near)
		health_events_add(events, HEALTH_POOL_NEAR_FULL, now->name,
				  "%u.%u%% of what guests can have are used, %s are left",
				  used / 10, used % 10, size_format(now->available_bytes, left));
	else if ((was_full && !now->full) || (was_near && !watch->near_full))
		health_events_add(events, HEALTH_POOL_SPACE, now->name, "guests have %s again",
				  size_format(now->available_bytes, left));
}

static bool has(const struct control_paused *all, const char *name)
{
	for (unsigned i = 0; i < all->count; i++) {
		if (strcmp(all->names[i], name) == 0)
			return true;
	}
	return false;
}

/* Those of `these` that are not among `others`. */
static void paused_tell(const char *pool, const struct control_paused *these,
			const struct control_paused *others, enum health_event_type type,
			struct health_events *events)
{
	char object[CONTROL_OBJECT_MAX + 1];

	for (unsigned i = 0; i < these->count; i++) {
		if (has(others, these->names[i]))
			continue;
		snprintf(object, sizeof(object), "%s/%s", pool, these->names[i]);
		health_events_add(events, type, object,
				  type == HEALTH_VOLUME_PAUSED ? "writes wait for space"
							       : "writes go on");
	}
}

void control_watch_compare(struct control_watch *watch, const struct control_pool_info *before,
			   const struct control_pool_info *now, const struct control_paused *paused,
			   struct health_events *events)
{
	health_tell(before, now, events);
	drives_tell(before, now, events);
	if (before)
		data_tell(before, now, events);
	space_tell(watch, before, now, events);
	paused_tell(now->name, paused, &watch->paused, HEALTH_VOLUME_PAUSED, events);
	paused_tell(now->name, &watch->paused, paused, HEALTH_VOLUME_RESUMED, events);
	watch->paused = *paused;
}
