/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon knows of its pools, volumes and drives at one moment, copied from the board and
 * from the watch over drives: it waits for no loop, no verb and no drive.
 */
#ifndef EVE_VIEW_H
#define EVE_VIEW_H

#include <quoin/control_health.h>
#include <quoin/health_drives.h>

struct eve_pool_view {
	struct control_pool_health health;
	unsigned volume_count;
	struct control_volume_health *volumes; /* owned */
};

struct eve_view {
	unsigned pool_count;
	struct eve_pool_view *pools[CONTROL_POOLS_MAX]; /* owned */
	unsigned drive_count;
	struct health_drive *drives; /* owned */
};

/* What its drives said of themselves, or NULL. */
const struct health_drive *eve_view_drive(const struct eve_view *view, const char *path);

/* [any thread] */
void eve_view_take(struct eve_view *view, struct control *control);
void eve_view_fini(struct eve_view *view);

#endif
