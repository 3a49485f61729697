/* SPDX-License-Identifier: Apache-2.0 */
/* A copy of what is known; see view.h. */
#include "view.h"

#include <stdlib.h>
#include <string.h>

#include <quoin/base_text.h>
#include <quoin/control.h>

const struct health_drive *eve_view_drive(const struct eve_view *view, const char *path)
{
	for (unsigned i = 0; i < view->drive_count; i++) {
		if (strcmp(view->drives[i].name.path, path) == 0)
			return &view->drives[i];
	}
	return NULL;
}

bool eve_view_suspended(const struct control_pool_health *health)
{
	return strcmp(health->info.health, "suspended") == 0;
}

static bool is_known(const struct eve_known *known, const struct control_pool_health *health)
{
	for (unsigned i = 0; known && i < known->count; i++) {
		const struct eve_known_pool *pool = &known->pools[i];

		if (memcmp(pool->guid, health->info.guid, sizeof(pool->guid)) == 0)
			return pool->born_ns == health->born_ns &&
			       pool->volumes_version == health->volumes_version &&
			       pool->suspended == eve_view_suspended(health);
	}
	return false;
}

static void pools_take(struct eve_view *view, struct control *control,
		       const struct eve_known *known)
{
	struct eve_pool_view *pool = xcalloc(1, sizeof(*pool));

	while (view->pool_count < CONTROL_POOLS_MAX &&
	       control_health_pool(control, view->pool_count, &pool->health)) {
		pool->as_known = is_known(known, &pool->health);
		/* It may have gone meanwhile: then it has none. */
		if (!pool->as_known)
			pool->volume_count = control_health_volumes(control, pool->health.info.name,
								    &pool->volumes);
		view->pools[view->pool_count++] = pool;
		pool = xcalloc(1, sizeof(*pool));
	}
	free(pool);
}

static void drives_take(struct eve_view *view, struct control *control)
{
	struct health_drives *drives = control_drives(control);
	const unsigned count = health_drives_count(drives);

	view->drives = count > 0 ? xcalloc(count, sizeof(*view->drives)) : NULL;
	while (view->drive_count < count &&
	       health_drives_get(drives, view->drive_count, &view->drives[view->drive_count]))
		view->drive_count++;
}

void eve_view_take(struct eve_view *view, struct control *control, const struct eve_known *known)
{
	memset(view, 0, sizeof(*view));
	view->all = !known;
	pools_take(view, control, known);
	drives_take(view, control);
}

void eve_view_fini(struct eve_view *view)
{
	for (unsigned i = 0; i < view->pool_count; i++) {
		free(view->pools[i]->volumes);
		free(view->pools[i]);
	}
	free(view->drives);
	memset(view, 0, sizeof(*view));
}
