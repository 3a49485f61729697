/* SPDX-License-Identifier: Apache-2.0 */
/* Pools and the drives in them, as StorageInfo. */
#include <stdio.h>
#include <string.h>

#include <quoin/base_text.h>
#include <quoin/control_spec.h>

#include "fill.h"

Google__Protobuf__Timestamp *eve_fill_time(struct eve_arena *arena, uint64_t time_ms)
{
	Google__Protobuf__Timestamp *stamp = eve_arena_take(arena, sizeof(*stamp));

	google__protobuf__timestamp__init(stamp);
	stamp->seconds = (int64_t)(time_ms / 1000);
	stamp->nanos = (int32_t)(time_ms % 1000) * 1000000;
	return stamp;
}

/* A path may be another drive's the next time, and a file has no serial number: what the pool knows
 * the drive by is there in any case. */
Eve__DiskDescription *eve_fill_disk(const struct eve_fill *fill,
				    const struct control_drive_info *info)
{
	const struct health_drive *drive = eve_view_drive(fill->view, info->path);
	Eve__DiskDescription *disk = eve_arena_take(fill->arena, sizeof(*disk));

	eve__disk_description__init(disk);
	disk->name = eve_arena_text(fill->arena, info->path);
	disk->serial = eve_arena_text(fill->arena, drive ? drive->report.serial : "");
	/* A pool that is not imported knows none. */
	if (!control_uuid_is_zero(info->guid))
		disk->logical_name = control_uuid_format(
			info->guid, eve_arena_take(fill->arena, CONTROL_UUID_TEXT_MAX));
	return disk;
}

/* --- Drives --------------------------------------------------------------------------------- */

static Eve__StorageStatus drive_status(const char *state)
{
	static const struct {
		const char *state;
		Eve__StorageStatus status;
	} all[] = {
		{"online", EVE__STORAGE_STATUS__STORAGE_STATUS_ONLINE},
		{"missing", EVE__STORAGE_STATUS__STORAGE_STATUS_UNAVAIL},
		{"faulted", EVE__STORAGE_STATUS__STORAGE_STATUS_FAULTED},
		{"stale", EVE__STORAGE_STATUS__STORAGE_STATUS_UNAVAIL},
		{"offline", EVE__STORAGE_STATUS__STORAGE_STATUS_OFFLINE},
		{"removed", EVE__STORAGE_STATUS__STORAGE_STATUS_REMOVED},
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (strcmp(all[i].state, state) == 0)
			return all[i].status;
	}
	return EVE__STORAGE_STATUS__STORAGE_STATUS_UNSPECIFIED;
}

static const char *drive_words(const struct control_drive_info *drive)
{
	static const struct {
		const char *state, *words;
	} all[] = {
		{"missing", "it cannot be opened"},
		{"faulted", "it failed and is not used"},
		{"stale", "what it holds is old and is not used"},
		{"unknown", "its pool is not imported"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (strcmp(all[i].state, drive->state) == 0)
			return all[i].words;
	}
	/* No numbers: they are in metrics, and would make a message each time. */
	if (drive->read_errors + drive->write_errors + drive->check_errors > 0)
		return "it had errors and is used";
	return "";
}

/* "passed", "warning: why", "failing: why"; nothing where nothing is known. */
static char *smart_words(const struct eve_fill *fill, const char *path)
{
	const struct health_drive *drive = eve_view_drive(fill->view, path);
	char text[256];

	if (!drive || drive->judgement.verdict == SMART_NOT_KNOWN)
		return eve_arena_text(fill->arena, "");
	snprintf(text, sizeof(text), "%s%s%s", smart_verdict_word(drive->judgement.verdict),
		 drive->judgement.reason[0] != '\0' ? ": " : "", drive->judgement.reason);
	return eve_arena_text(fill->arena, text);
}

static Eve__StorageDiskState *drive_fill(const struct eve_fill *fill,
					 const struct control_drive_info *drive)
{
	Eve__StorageDiskState *state = eve_arena_take(fill->arena, sizeof(*state));

	eve__storage_disk_state__init(state);
	state->disk_name = eve_fill_disk(fill, drive);
	state->status = drive_status(drive->state);
	state->state = eve_arena_text(fill->arena, drive_words(drive));
	state->smart_status = smart_words(fill, drive->path);
	return state;
}

static Eve__StorageDiskState **drives_fill(const struct eve_fill *fill,
					   const struct control_pool_info *info,
					   const unsigned *indices, unsigned count)
{
	Eve__StorageDiskState **all = eve_arena_take(fill->arena, count * sizeof(*all));

	for (unsigned i = 0; i < count; i++)
		all[i] = drive_fill(fill, &info->drives[indices[i]]);
	return all;
}

/* --- Groups ---------------------------------------------------------------------------------- */

static Eve__StorageChildren *group_fill(const struct eve_fill *fill,
					const struct control_pool_info *info,
					const struct eve_group *group, unsigned number)
{
	Eve__StorageChildren *child = eve_arena_take(fill->arena, sizeof(*child));
	char name[32];

	eve__storage_children__init(child);
	snprintf(name, sizeof(name), "mirror-%u", number);
	child->current_raid = EVE__STORAGE_RAID_TYPE__STORAGE_RAID_TYPE_RAID1;
	child->display_name = eve_arena_text(fill->arena, name);
	child->g_u_i_d = group->guid;
	child->n_disks = group->count;
	child->disks = drives_fill(fill, info, group->drives, group->count);
	return child;
}

static void layout_fill(const struct eve_fill *fill, const struct control_pool_info *info,
			Eve__StorageInfo *storage)
{
	struct eve_layout *layout = eve_arena_take(fill->arena, sizeof(*layout));

	eve_layout_find(info, layout);
	storage->n_disks = layout->flat_count;
	storage->disks = drives_fill(fill, info, layout->flat, layout->flat_count);
	storage->n_children = layout->group_count;
	storage->children =
		eve_arena_take(fill->arena, layout->group_count * sizeof(*storage->children));
	for (unsigned i = 0; i < layout->group_count; i++)
		storage->children[i] = group_fill(fill, info, &layout->groups[i], i);
	/* The pool is as safe as the weakest of them. Where no drive is known, nor is this. */
	if (layout->mirrored || (layout->flat_count == 0 && layout->group_count > 0))
		storage->current_raid = EVE__STORAGE_RAID_TYPE__STORAGE_RAID_TYPE_RAID1;
	else if (layout->flat_count > 0)
		storage->current_raid = EVE__STORAGE_RAID_TYPE__STORAGE_RAID_TYPE_NORAID;
}

/* --- The pool -------------------------------------------------------------------------------- */

static Eve__StorageStatus pool_status(const struct control_pool_info *info)
{
	static const struct {
		const char *health;
		Eve__StorageStatus status;
	} all[] = {
		{"online", EVE__STORAGE_STATUS__STORAGE_STATUS_ONLINE},
		{"degraded", EVE__STORAGE_STATUS__STORAGE_STATUS_DEGRADED},
		{"suspended", EVE__STORAGE_STATUS__STORAGE_STATUS_SUSPENDED},
		{"failed", EVE__STORAGE_STATUS__STORAGE_STATUS_UNAVAIL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (strcmp(all[i].health, info->health) == 0)
			return all[i].status;
	}
	return EVE__STORAGE_STATUS__STORAGE_STATUS_UNSPECIFIED;
}

static void words_add(struct text *t, const char *words)
{
	if (words[0] != '\0')
		text_printf(t, "%s%s", t->length > 0 ? "; " : "", words);
}

/* What is wrong, in the order of how bad it is. */
static char *pool_words(const struct eve_fill *fill, const struct control_pool_health *health)
{
	const struct control_pool_info *info = &health->info;
	struct text t;
	char *words;

	text_init(&t);
	words_add(&t, info->problem);
	if (info->bad_blocks > 0)
		words_add(&t, "blocks of volumes could not be read from any copy");
	if (info->lost_bytes > 0)
		words_add(&t, "metadata was damaged in all copies");
	if (info->full)
		words_add(&t, "guests cannot write for want of space");
	else if (health->near_full)
		words_add(&t, "it is nearly full");
	if (info->read_only)
		words_add(&t, "it is imported read only");
	words = eve_arena_text(fill->arena, t.length > 0 ? t.data : "");
	text_fini(&t);
	return words;
}

/* Who did not say how things are. */
static char *collector_words(const struct eve_fill *fill, const struct control_pool_health *health)
{
	struct text t;
	char *words;

	text_init(&t);
	if (health->timed_out)
		words_add(&t, "the pool does not say how it is: timed out");
	for (unsigned i = 0; i < health->info.drive_count; i++) {
		const char *path = health->info.drives[i].path;
		const struct health_drive *drive = eve_view_drive(fill->view, path);

		if (drive && drive->problem[0] != '\0') {
			words_add(&t, path);
			text_printf(&t, ": %s", drive->problem);
		}
	}
	words = eve_arena_text(fill->arena, t.length > 0 ? t.data : "");
	text_fini(&t);
	return words;
}

static Eve__StorageInfo *pool_fill(const struct eve_fill *fill,
				   const struct control_pool_health *health)
{
	const struct control_pool_info *info = &health->info;
	Eve__StorageInfo *storage = eve_arena_take(fill->arena, sizeof(*storage));
	char version[64];

	eve__storage_info__init(storage);
	snprintf(version, sizeof(version), "quoin-%s", fill->version);
	/* It is neither of the two types that have a number. */
	storage->pool_name = eve_arena_text(fill->arena, info->name);
	storage->zfs_version = eve_arena_text(fill->arena, version);
	storage->zpool_size = info->size_bytes;
	storage->count_zvols = info->volume_count;
	storage->storage_state = pool_status(info);
	storage->collector_errors = collector_words(fill, health);
	storage->pool_status_msg = pool_words(fill, health);
	layout_fill(fill, info, storage);
	return storage;
}

Eve__ZInfoDevice *eve_fill_device(const struct eve_fill *fill)
{
	const unsigned count = fill->view->pool_count;
	Eve__ZInfoDevice *device = eve_arena_take(fill->arena, sizeof(*device));

	eve__zinfo_device__init(device);
	device->n_storage_info = count;
	device->storage_info = eve_arena_take(fill->arena, count * sizeof(*device->storage_info));
	for (unsigned i = 0; i < count; i++)
		device->storage_info[i] = pool_fill(fill, &fill->view->pools[i]->health);
	return device;
}
