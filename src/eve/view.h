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
	bool as_known; /* its volumes are as who took the view knows them, and are not copied */
	unsigned volume_count;
	struct control_volume_health *volumes; /* owned */
};

struct eve_view {
	bool all; /* no pool's volumes were left out */
	unsigned pool_count;
	struct eve_pool_view *pools[CONTROL_POOLS_MAX]; /* owned */
	unsigned drive_count;
	struct health_drive *drives; /* owned */
};

/* What its drives said of themselves, or NULL. */
const struct health_drive *eve_view_drive(const struct eve_view *view, const char *path);

/* Whose volumes are known, and need not be copied before anything of them changes. */
struct eve_known_pool {
	uint8_t guid[16];
	uint64_t born_ns, volumes_version;
	bool suspended;
};

struct eve_known {
	unsigned count;
	struct eve_known_pool pools[CONTROL_POOLS_MAX];
};

bool eve_view_suspended(const struct control_pool_health *health);

/* [any thread] `known`: NULL for all volumes. */
void eve_view_take(struct eve_view *view, struct control *control, const struct eve_known *known);
void eve_view_fini(struct eve_view *view);

#endif
