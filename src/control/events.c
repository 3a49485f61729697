/* SPDX-License-Identifier: Apache-2.0 */
/* The journal, its hooks and the watch over drives; see events.h. */
#include "events.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_log.h>
#include <quoin/base_text.h>
#include <quoin/control_health.h>
#include <quoin/health_drives.h>
#include <quoin/health_hook.h>

#define TEST_DRIVES_MS 500

struct health_events *control_events(struct control *control)
{
	return control->events;
}

struct health_drives *control_drives(struct control *control)
{
	return control->drives;
}

bool control_health_hook(struct control *control, unsigned index,
			 struct health_hook_status *ret_status)
{
	ASSERT_U64(index, <, CONTROL_HOOKS);
	if (!control->hooks[index])
		return false;
	health_hook_status(control->hooks[index], ret_status);
	return true;
}

static void on_problem(void *data, const char *why)
{
	if (why)
		log_warning("%s", why);
	else
		log_info("events are saved again");
}

/* Told where it changes from well to failing and back: its own event is one that it fails on. */
static void on_hook_problem(void *data, const char *why)
{
	struct control_hook_tell *tell = data;
	const bool was_failing = tell->failing;

	tell->failing = why != NULL;
	if (why)
		log_warning("an event cannot be handed on: %s", why);
	else
		log_info("events are handed on again");
	if (why && !was_failing)
		health_events_add(tell->events, HEALTH_HOOK_FAILING, "quoind", "%s", why);
	else if (!why && was_failing)
		health_events_add(tell->events, HEALTH_HOOK_WELL, "quoind",
				  "events are handed on again");
}

static int hooks_open(struct control *control, const struct control_params *params, struct err *err)
{
	struct health_hook_params hook = {.events = control->events,
					  .directory_fd = control->state.directory_fd,
					  .severity = HEALTH_WARNING,
					  .problem = on_hook_problem};
	int r = 0;

	for (unsigned i = 0; i < CONTROL_HOOKS; i++)
		control->hook_tells[i].events = control->events;
	if (params->event_severity &&
	    health_severity_parse(params->event_severity, &hook.severity) < 0)
		return err_set(err, -EINVAL,
			       "event-severity must be notice, warning or error, not \"%s\"",
			       params->event_severity);
	if (params->event_program) {
		hook.program = params->event_program;
		hook.data = &control->hook_tells[0];
		r = health_hook_new(&hook, &control->hooks[0], err);
	}
	if (r == 0 && params->event_url) {
		hook.program = NULL;
		hook.url = params->event_url;
		hook.data = &control->hook_tells[1];
		r = health_hook_new(&hook, &control->hooks[1], err);
	}
	return r;
}

int control_events_open(struct control *control, const struct control_params *params,
			struct err *err)
{
	const struct health_events_params journal = {.directory_fd = control->state.directory_fd,
						     .problem = on_problem};
	struct health_drives_params watch = {.recorded = params->test_smart};
	int r = health_events_new(&journal, &control->events);

	watch.events = control->events;
	/* Who plays a drive does not want to wait for the next question. */
	if (params->test_smart)
		watch.interval_ms = TEST_DRIVES_MS;
	if (r == 0)
		r = health_drives_new(&watch, &control->drives);
	if (r < 0)
		return err_set(err, r, "cannot start a thread for events: %s", strerror(-r));
	control->pools.events = control->events;
	return hooks_open(control, params, err);
}

void control_events_started(struct control *control)
{
	struct health_events_status status;

	health_events_status(control->events, &status);
	if (status.unclean)
		health_events_add(control->events, HEALTH_DAEMON_UNCLEAN, "quoind",
				  "the daemon before this one did not stop, it ended");
	health_events_add(control->events, HEALTH_DAEMON_STARTED, "quoind", "it has %u workers",
			  control->workers.count);
}

void control_drives_update(struct control *control)
{
	const struct control_pools *pools = &control->pools;
	CLEANUP_FREE struct health_drive_name *names =
		xcalloc((size_t)pools->count * CONTROL_DRIVES_MAX + 1, sizeof(*names));
	unsigned count = 0;

	for (unsigned i = 0; i < pools->count; i++) {
		const struct control_pool *pool = pools->pools[i];

		for (unsigned d = 0; pool->pool && d < pool->disk_count; d++) {
			struct health_drive_name *name = &names[count++];

			snprintf(name->path, sizeof(name->path), "%s", disk_name(pool->disks[d]));
			control_drive_object(pool->name, name->path, name->object);
		}
	}
	health_drives_set(control->drives, names, count);
}

void control_events_close(struct control *control)
{
	health_drives_free(control->drives);
	for (unsigned i = 0; i < CONTROL_HOOKS; i++)
		health_hook_free(control->hooks[i]);
	health_events_free(control->events);
}
