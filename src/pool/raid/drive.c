/* SPDX-License-Identifier: Apache-2.0 */
/* Drives of a pool: how they come, how their errors are counted, and when they are given up. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>

#include "raid/private.h"

void raid_init(struct raid *raid, struct loop *loop, uint8_t chunk_shift)
{
	*raid = (struct raid){.loop = loop, .chunk_shift = chunk_shift, .super_flags = DISK_FUA};
}

void raid_fini(struct raid *raid)
{
	for (unsigned i = 0; i < raid->drive_count; i++) {
		struct drive *drive = &raid->drives[i];

		ASSERT_U64(drive->in_flight, ==, 0);
		disk_detach(drive->channel);
		drive->channel = NULL;
		free(drive->path);
		drive->path = NULL;
		free(drive->super_page);
		drive->super_page = NULL;
	}
}

int raid_drive_add(struct raid *raid, const struct super_drive *info, struct disk *disk,
		   const char *path)
{
	struct drive drive = {.disk = disk, .info = *info, .index = raid->drive_count};
	int r = -ENOMEM;

	ASSERT_U64(raid->drive_count, <, SUPER_DRIVES_MAX);
	drive.path = strdup(path ? path : "");
	drive.super_page = aligned_alloc(PAGE_BYTES, PAGE_BYTES);
	if (drive.path && drive.super_page)
		r = disk ? disk_attach(disk, raid->loop, &drive.channel) : 0;
	if (r < 0) {
		free(drive.path);
		free(drive.super_page);
		return r;
	}
	if (!disk && drive.info.state == DRIVE_ONLINE) {
		drive.info.state = DRIVE_MISSING;
		drive.info.left_ckpt = raid->ckpt;
	}
	raid->drives[raid->drive_count++] = drive;
	return 0;
}

struct drive *raid_drive_find(struct raid *raid, const uint8_t guid[16])
{
	for (unsigned i = 0; i < raid->drive_count; i++) {
		if (memcmp(raid->drives[i].info.guid, guid, 16) == 0)
			return &raid->drives[i];
	}
	return NULL;
}

void raid_drive_fault(struct raid *raid, struct drive *drive, enum drive_state state)
{
	ASSERT(state != DRIVE_ONLINE);
	if (drive->info.state == DRIVE_ONLINE)
		drive->info.left_ckpt = raid->ckpt;
	drive->info.state = (uint8_t)state;
	drive->dirty = false;
	if (raid->changed)
		raid->changed(raid->data, drive);
}

/* Beyond what a later success could make good again. */
static bool is_final(enum disk_op op, int result)
{
	return op == DISK_FLUSH || result == -ENXIO || result == -ENODEV;
}

void raid_drive_result(struct raid *raid, struct drive *drive, enum disk_op op, int result)
{
	if (result == 0) {
		drive->errors_in_row = 0;
		return;
	}
	drive->errors_in_row++;
	if (op == DISK_READ)
		drive->info.read_errors++;
	else
		drive->info.write_errors++;
	if (raid_drive_online(drive) &&
	    (is_final(op, result) || drive->errors_in_row >= RAID_ERRORS_MAX) && raid->may_fault &&
	    raid->may_fault(raid->data, drive))
		raid_drive_fault(raid, drive, DRIVE_FAULTED);
	else if (raid->changed)
		raid->changed(raid->data, drive);
}
