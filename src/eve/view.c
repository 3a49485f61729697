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

static void pools_take(struct eve_view *view, struct control *control)
{
	struct eve_pool_view *pool = xcalloc(1, sizeof(*pool));

	while (view->pool_count < CONTROL_POOLS_MAX &&
	       control_health_pool(control, view->pool_count, &pool->health)) {
		/* It may have gone meanwhile: then it has none. */
		pool->volume_count =
			control_health_volumes(control, pool->health.info.name, &pool->volumes);
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

void eve_view_take(struct eve_view *view, struct control *control)
{
	memset(view, 0, sizeof(*view));
	pools_take(view, control);
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
