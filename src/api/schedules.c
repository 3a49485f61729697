/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers of requests on schedules. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_text.h>
#include <quoin/control_schedule.h>
#include <quoin/health_event.h>

#include "parts.h"
#include "routes.h"

/* Of the jobs, in their order. */
static const char *const keys[CONTROL_SCHEDULE_JOBS] = {"short_test_s", "long_test_s", "trim_s",
							"scrub_s"};
static const char *const next_keys[CONTROL_SCHEDULE_TESTS] = {"next_short_test_s",
							      "next_long_test_s"};
static const uint64_t asks[CONTROL_SCHEDULE_JOBS] = {ASK_SHORT_TEST, ASK_LONG_TEST, ASK_TRIM,
						     ASK_SCRUB};

static json_t *number_or_null(uint64_t value)
{
	return value > 0 ? part_number(value) : json_null();
}

static json_t *drive_encode(const struct control_schedule_drive *drive)
{
	json_t *json = json_object();

	part_put(json, "path", part_words(drive->path));
	part_put(json, "has_self_tests", json_boolean(drive->able));
	part_put(json, "running", json_boolean(drive->running));
	for (unsigned job = 0; job < CONTROL_SCHEDULE_TESTS; job++)
		part_put(json, next_keys[job], number_or_null(drive->next_s[job]));
	return json;
}

/* What this version does not do has its place, and is null. */
static json_t *schedule_encode(const struct control_schedule_info *info)
{
	json_t *drives = json_array();
	json_t *json = json_object();

	part_put(json, "pool", json_string(info->pool));
	for (unsigned job = 0; job < CONTROL_SCHEDULE_JOBS; job++)
		part_put(json, keys[job],
			 control_schedule_available((enum control_schedule_job)job)
				 ? part_number(info->every_s[job])
				 : json_null());
	part_put(json, "next_trim_s", number_or_null(info->next_trim_s));
	for (unsigned i = 0; i < info->drive_count; i++)
		part_append(drives, drive_encode(&info->drives[i]));
	part_put(json, "drives", drives);
	return json;
}

int api_schedules_list(struct call *call, struct err *err)
{
	CLEANUP_FREE struct control_schedule_info *info = xcalloc(1, sizeof(*info));
	json_t *all = json_array();

	for (unsigned i = 0; control_schedule_get(call->control, i, info); i++)
		part_append(all, schedule_encode(info));
	call->answer = json_pack("{s:o}", "schedules", all);
	return 0;
}

int api_schedule_set(struct call *call, struct err *err)
{
	struct control_schedule_change change;

	for (unsigned job = 0; job < CONTROL_SCHEDULE_JOBS; job++) {
		change.has[job] = (call->ask->given & asks[job]) != 0;
		change.every_s[job] = call->ask->every_s[job];
	}
	return control_schedule_set(call->control, call->name, &change, err);
}
