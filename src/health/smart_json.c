/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What smartctl --json prints, of ATA, SCSI and NVMe drives. Every member may be missing or be of
 * another kind; what is not understood is not known.
 */
#include <quoin/health_smart.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include <quoin/health_event.h>

#define DEPTH_MAX 8

/* "a.b.c" of an object, or NULL. */
static const json_t *find(const json_t *json, const char *path)
{
	char word[64];

	for (unsigned i = 0; json && i < DEPTH_MAX; i++) {
		const size_t length = strcspn(path, ".");

		snprintf(word, sizeof(word), "%.*s", (int)length, path);
		json = json_object_get(json, word);
		if (path[length] == '\0')
			return json;
		path += length + 1;
	}
	return NULL;
}

/* Whole numbers from 0 on; SMART_UNKNOWN else. */
static int64_t number(const json_t *json, const char *path)
{
	const json_t *value = find(json, path);

	return json_is_integer(value) && json_integer_value(value) >= 0 ? json_integer_value(value)
									: SMART_UNKNOWN;
}

static void text(const json_t *json, const char *path, char *to, size_t size)
{
	const char *value = json_string_value(find(json, path));

	if (value)
		health_text_copy(to, size, value);
}

/* A number that is told, of so many bits. */
static bool in_bits(int64_t value, unsigned bits)
{
	return value >= 0 && value >> bits == 0;
}

/* --- ATA
 * ------------------------------------------------------------------------------------------
 */

static void attribute_decode(const json_t *row, struct smart_report *report)
{
	struct smart_attribute *a = &report->attributes[report->attribute_count];
	const int64_t id = number(row, "id");
	const int64_t value = number(row, "value");
	const int64_t threshold = number(row, "thresh");

	if (id < 1 || id > 255 || value < 0 || value > 255)
		return;
	*a = (struct smart_attribute){
		.id = (unsigned)id,
		.value = (unsigned)value,
		.worst = (unsigned)MIN(MAX(number(row, "worst"), 0), 255),
		.threshold = (unsigned)MIN(MAX(threshold, 0), 255),
		.raw = (uint64_t)MAX(number(row, "raw.value"), 0),
		.prefail = json_is_true(find(row, "flags.prefailure")),
	};
	text(row, "name", a->name, sizeof(a->name));
	/* 0, 254 and 255 are no values; a threshold of 0 is never reached. */
	a->failing = a->threshold > 0 && a->threshold < 254 && a->value > 0 && a->value < 254 &&
		     a->value <= a->threshold;
	report->attribute_count++;
}

/* How much is left, by those that mean it; their names are smartctl's. */
static void wear_decode(const struct smart_attribute *a, struct smart_report *report)
{
	static const char *const names[] = {"Wear_Leveling_Count", "Media_Wearout_Indicator",
					    "SSD_Life_Left", "Percent_Lifetime_Remain",
					    "Remaining_Lifetime_Perc"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(a->name, names[i]) == 0 && a->value >= 1 && a->value <= 100)
			report->used_percent = 100 - (int64_t)a->value;
	}
}

/* Raw numbers of these are counts with every vendor; of most others they are not. */
static void attribute_use(const struct smart_attribute *a, struct smart_report *report)
{
	const int64_t raw = (int64_t)MIN(a->raw, (uint64_t)INT64_MAX);

	if (a->id == 5)
		report->reallocated = raw & 0xFFFFFFFF;
	else if (a->id == 197)
		report->pending = raw & 0xFFFFFFFF;
	else if (a->id == 198)
		report->uncorrectable = raw & 0xFFFFFFFF;
	/* The lowest byte; minimum and maximum are packed above it. */
	else if ((a->id == 194 || a->id == 190) && report->temperature_c < 0)
		report->temperature_c = raw & 0xFF;
	if (report->used_percent < 0)
		wear_decode(a, report);
}

static void ata_decode(const json_t *json, struct smart_report *report)
{
	const json_t *table = find(json, "ata_smart_attributes.table");
	const json_t *newest =
		json_array_get(find(json, "ata_smart_self_test_log.standard.table"), 0);
	const json_t *passed = find(newest, "status.passed");
	const int64_t left = number(json, "ata_smart_data.self_test.status.remaining_percent");
	const json_t *supported;

	for (size_t i = 0; i < json_array_size(table); i++) {
		const unsigned count = report->attribute_count;

		if (count == SMART_ATTRIBUTES_MAX)
			break;
		attribute_decode(json_array_get(table, i), report);
		if (report->attribute_count > count)
			attribute_use(&report->attributes[count], report);
	}
	if (json_is_boolean(passed))
		report->self_test = json_is_true(passed) ? SMART_TEST_PASSED : SMART_TEST_FAILED;
	else if (newest)
		report->self_test = SMART_TEST_ABORTED;
	report->self_test_hours = number(newest, "lifetime_hours");
	supported = find(json, "ata_smart_data.capabilities.self_tests_supported");
	if (json_is_boolean(supported))
		report->self_tests = json_is_true(supported);
	if (left > 0 && left <= 100) {
		report->self_test = SMART_TEST_RUNNING;
		report->self_test_percent = 100 - left;
	}
}

/* --- SCSI, NVMe
 * ----------------------------------------------------------------------------------- */

static void scsi_decode(const json_t *json, struct smart_report *report)
{
	report->reallocated = number(json, "scsi_grown_defect_list");
	report->used_percent = number(json, "scsi_percentage_used_endurance_indicator");
}

static void nvme_decode(const json_t *json, struct smart_report *report)
{
	const json_t *log = find(json, "nvme_smart_health_information_log");

	report->critical_warning = number(log, "critical_warning");
	report->spare_percent = number(log, "available_spare");
	report->spare_threshold_percent = number(log, "available_spare_threshold");
	report->used_percent = number(log, "percentage_used");
	report->unsafe_shutdowns = number(log, "unsafe_shutdowns");
	report->media_errors = number(log, "media_errors");
	report->error_log_entries = number(log, "num_err_log_entries");
}

/* --- All
 * -------------------------------------------------------------------------------------------
 */

/* ATA: 16 digits, as they are printed on the drive. NVMe: as the kernel names a namespace. */
static void wwn_decode(const json_t *json, struct smart_report *report)
{
	const json_t *namespaces = find(json, "nvme_namespaces");
	const json_t *eui = find(json_array_get(namespaces, 0), "eui64");
	const char *scsi = json_string_value(find(json, "logical_unit_id"));
	const int64_t naa = number(json, "wwn.naa");
	const int64_t oui = number(json, "wwn.oui");
	const int64_t id = number(json, "wwn.id");

	if (naa >= 0 && naa <= 0xF && in_bits(oui, 24) && in_bits(id, 36))
		snprintf(report->wwn, sizeof(report->wwn), "%" PRIx64 "%06" PRIx64 "%09" PRIx64,
			 (uint64_t)naa, (uint64_t)oui, (uint64_t)id);
	else if (in_bits(number(eui, "oui"), 24) && in_bits(number(eui, "ext_id"), 40))
		snprintf(report->wwn, sizeof(report->wwn), "eui.%06" PRIx64 "%010" PRIx64,
			 (uint64_t)number(eui, "oui"), (uint64_t)number(eui, "ext_id"));
	else if (scsi && strncmp(scsi, "0x", 2) == 0)
		health_text_copy(report->wwn, sizeof(report->wwn), scsi + 2);
}

static void common_decode(const json_t *json, struct smart_report *report)
{
	const json_t *passed = find(json, "smart_status.passed");
	const json_t *rotation = find(json, "rotation_rate");

	text(json, "device.protocol", report->protocol, sizeof(report->protocol));
	text(json, "model_name", report->model, sizeof(report->model));
	if (report->model[0] == '\0')
		text(json, "scsi_model_name", report->model, sizeof(report->model));
	text(json, "serial_number", report->serial, sizeof(report->serial));
	text(json, "firmware_version", report->firmware, sizeof(report->firmware));
	wwn_decode(json, report);
	report->has_own = json_is_boolean(passed);
	report->own_passed = json_is_true(passed);
	report->rotational = json_is_integer(rotation) && json_integer_value(rotation) > 0;
	report->temperature_c = number(json, "temperature.current");
	report->power_on_hours = number(json, "power_on_time.hours");
	report->power_cycles = number(json, "power_cycle_count");
}

/* Bits 0 and 1 of the exit status: it was called wrongly, or could not open the drive. */
static int asked_check(const json_t *json, struct err *err)
{
	const int64_t status = number(json, "smartctl.exit_status");
	const json_t *messages = find(json, "smartctl.messages");
	char why[160] = "it does not say why";

	if (status >= 0 && (status & 3) == 0)
		return 0;
	if (status < 0 && !find(json, "smartctl"))
		return err_set(err, -EINVAL, "what smartctl printed is not its JSON");
	text(json_array_get(messages, 0), "string", why, sizeof(why));
	return err_set(err, -EIO, "smartctl cannot ask it: %s", why);
}

int smart_json_decode(const char *bytes, size_t length, struct smart_report *report,
		      struct err *err)
{
	json_t *json = length <= SMART_JSON_MAX ? json_loadb(bytes, length, 0, NULL) : NULL;
	int r;

	if (!json)
		return err_set(err, -EINVAL, "what smartctl printed is not JSON");
	r = asked_check(json, err);
	if (r == 0) {
		common_decode(json, report);
		if (find(json, "nvme_smart_health_information_log"))
			nvme_decode(json, report);
		else if (strcmp(report->protocol, "SCSI") == 0)
			scsi_decode(json, report);
		else
			ata_decode(json, report);
	}
	json_decref(json);
	return r;
}
