/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of a drive counted: all that the pool asks of it, metadata too. The home loop's; they
 * cost some additions, as the time is that of the loop's turn.
 */
#ifndef POOL_RAID_METER_H
#define POOL_RAID_METER_H

#include "raid/raid.h"

/* Around each request: as it is given to the drive, and as it ended. */
void raid_meter_begin(const struct raid *raid, struct drive *drive,
		      const struct disk_request *request);
void raid_meter_end(const struct raid *raid, struct drive *drive,
		    const struct disk_request *request);

/* As of now, in the midst of requests. */
struct pool_drive_io raid_meter_now(const struct raid *raid, const struct drive *drive);

#endif
