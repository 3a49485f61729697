/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share. */
#ifndef POOL_RAID_PRIVATE_H
#define POOL_RAID_PRIVATE_H

#include <quoin/loop_fiber.h>

#include "raid/raid.h"

/* A request of the drive ended: counts errors, faults the drive when it is time, tells the pool. */
void raid_drive_result(struct raid *raid, struct drive *drive, enum disk_op op, int result);

/* A request that the running fiber parks for: set up all but `done`. Returns the result. */
struct raid_parked {
	struct disk_request request;
	struct fiber *fiber;
};
MUST_CHECK int raid_park_for(struct disk_channel *channel, struct raid_parked *parked);

#endif
