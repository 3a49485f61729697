/* SPDX-License-Identifier: Apache-2.0 */
/* Views made up for tests: pools, volumes and drives that no daemon has. */
#ifndef TESTS_UNIT_EVE_RIG_H
#define TESTS_UNIT_EVE_RIG_H

#include <quoin/base_random.h>

#include "fill.h"

/* A pool that is well, with drives "/d/0", "/d/1" ... in `groups` mirrors, or that mirror nothing.
 */
struct eve_pool_view *rig_pool_add(struct eve_view *view, const char *name, unsigned drives,
				   unsigned groups);
struct control_volume_health *rig_volume_add(struct eve_pool_view *pool, const char *name);
/* Its counters, to be changed. */
struct control_io_sums *rig_volume_io(struct control_volume_health *volume);
void rig_volume_remove(struct eve_pool_view *pool, unsigned index);
void rig_pool_remove(struct eve_view *view, unsigned index);

/* One of those that have S.M.A.R.T.; the path may be that of a pool's drive. */
struct health_drive *rig_drive_add(struct eve_view *view, const char *path);

/* Anything that a daemon may say. */
void rig_view_random(struct eve_view *view, struct random *random);

#endif
