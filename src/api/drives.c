/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers of requests on drives: answered from what they said last. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_text.h>
#include <quoin/health_drives.h>

#include "parts.h"
#include "routes.h"

/* SMART_UNKNOWN is null. */
static json_t *number(int64_t value)
{
	return value >= 0 ? json_integer(value) : json_null();
}

static json_t *attributes_encode(const struct smart_report *report)
{
	json_t *all = json_array();

	for (unsigned i = 0; i < report->attribute_count; i++) {
		const struct smart_attribute *a = &report->attributes[i];
		json_t *json =
			json_pack("{s:i, s:s, s:i, s:i, s:i, s:I, s:b, s:b}", "id", (int)a->id,
				  "name", a->name, "value", (int)a->value, "worst", (int)a->worst,
				  "threshold", (int)a->threshold, "raw", part_integer(a->raw),
				  "prefail", a->prefail, "failing", a->failing);

		part_append(all, json);
	}
	return all;
}

static void report_put(json_t *json, const struct smart_report *report)
{
	const struct {
		const char *key;
		int64_t value;
	} numbers[] = {
		{"temperature_c", report->temperature_c},
		{"power_on_hours", report->power_on_hours},
		{"power_cycles", report->power_cycles},
		{"unsafe_shutdowns", report->unsafe_shutdowns},
		{"used_percent", report->used_percent},
		{"spare_percent", report->spare_percent},
		{"spare_threshold_percent", report->spare_threshold_percent},
		{"media_errors", report->media_errors},
		{"error_log_entries", report->error_log_entries},
		{"last_error_status", report->last_error_status},
		{"last_error_lba", report->last_error_lba},
		{"reallocated_sectors", report->reallocated},
		{"pending_sectors", report->pending},
		{"uncorrectable_sectors", report->uncorrectable},
		{"read_bytes", report->bytes_read},
		{"written_bytes", report->bytes_written},
		{"critical_warning", report->critical_warning},
		{"free_below_bytes", report->free_bytes},
		{"self_test_percent", report->self_test_percent},
		{"self_test_hours", report->self_test_hours},
	};

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		part_put(json, numbers[i].key, number(numbers[i].value));
	part_put(json, "protocol", part_words_or_null(report->protocol));
	part_put(json, "model", part_words_or_null(report->model));
	part_put(json, "serial", part_words_or_null(report->serial));
	part_put(json, "wwn", part_words_or_null(report->wwn));
	part_put(json, "firmware", part_words_or_null(report->firmware));
	part_put(json, "backing", part_words_or_null(report->backing));
	part_put(json, "self_test", json_string(smart_self_test_word(report->self_test)));
	part_put(json, "attributes", attributes_encode(report));
}

static json_t *drive_encode(const struct health_drive *drive)
{
	json_t *json = json_object();

	part_put(json, "path", part_words_or_null(drive->name.path));
	part_put(json, "object", part_words_or_null(drive->name.object));
	part_put(json, "asked_ms", number((int64_t)drive->asked_ms));
	part_put(json, "collector", part_words_or_null(drive->problem));
	part_put(json, "verdict", json_string(smart_verdict_word(drive->judgement.verdict)));
	part_put(json, "reason", part_words_or_null(drive->judgement.reason));
	part_put(json, "test_asked", json_boolean(drive->test_asked));
	part_put(json, "test_problem", part_words_or_null(drive->test_problem));
	report_put(json, &drive->report);
	return json;
}

int api_drives_list(struct call *call, struct err *err)
{
	CLEANUP_FREE struct health_drive *drive = xcalloc(1, sizeof(*drive));
	struct health_drives *drives = control_drives(call->control);
	json_t *all = json_array();

	for (unsigned i = 0; health_drives_get(drives, i, drive); i++)
		part_append(all, drive_encode(drive));
	call->answer = json_pack("{s:o}", "drives", all);
	return 0;
}

int api_drive_test(struct call *call, struct err *err)
{
	static const char *const words[] = {"short", "long", "stop"};

	for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcmp(call->ask->test, words[i]) == 0)
			return health_drives_test(control_drives(call->control), call->ask->path,
						  (enum health_drive_test)i, err);
	}
	return err_set(err, -EINVAL, "\"test\" must be \"short\", \"long\" or \"stop\"");
}
