/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What drives say of themselves, as ZHardwareHealth.
 *
 * ATA drives have attributes with numbers from 1 to 255. NVMe drives have none: three of their
 * values are what ATA has a number for (9, 12, 194) and get that; the others get 256 and their
 * place in the health log page, so that none is taken for something else.
 */
#include <string.h>

#include "fill.h"

#define NVME_ID(offset) (256 + (offset))
#define ROWS_NVME 16

static Eve__SmartAttr *row_new(const struct eve_fill *fill, unsigned id, const char *name)
{
	Eve__SmartAttr *row = eve_arena_take(fill->arena, sizeof(*row));

	eve__smart_attr__init(row);
	row->id = id;
	row->attribute_name = eve_arena_text(fill->arena, name);
	return row;
}

/* --- ATA ------------------------------------------------------------------------------------ */

/* Some raw numbers have others packed above them. */
static uint64_t ata_raw(const struct smart_attribute *a)
{
	if (a->id == 190 || a->id == 194)
		return a->raw & 0xFF;
	return a->id == 240 ? a->raw & 0xFFFFFF : a->raw;
}

static const char *ata_failed(const struct smart_attribute *a)
{
	if (a->failing)
		return "FAILING_NOW";
	/* As smartctl: 0 and beyond 253 are no values; a threshold of 0 is never reached. */
	return a->threshold > 0 && a->worst > 0 && a->worst < 254 && a->worst <= a->threshold
		       ? "In_the_past"
		       : "";
}

static void ata_fill(const struct eve_fill *fill, const struct smart_report *report,
		     Eve__StorageDiskInfo *disk)
{
	disk->smart_attr =
		eve_arena_take(fill->arena, report->attribute_count * sizeof(*disk->smart_attr));
	for (unsigned i = 0; i < report->attribute_count; i++) {
		const struct smart_attribute *a = &report->attributes[i];
		Eve__SmartAttr *row = row_new(fill, a->id, a->name);

		row->value = a->value;
		row->worst = a->worst;
		row->thresh = a->threshold;
		row->when_failed = eve_arena_text(fill->arena, ata_failed(a));
		row->raw_value = ata_raw(a);
		row->type = eve_arena_text(fill->arena, a->prefail ? "Pre-fail" : "Old_age");
		disk->smart_attr[disk->n_smart_attr++] = row;
	}
}

/* --- NVMe ----------------------------------------------------------------------------------- */

struct nvme_row {
	unsigned id;
	const char *name;
	int64_t value, limit; /* SMART_UNKNOWN = not told */
	bool failing;
};

static void nvme_fill(const struct eve_fill *fill, const struct smart_report *r,
		      Eve__StorageDiskInfo *disk)
{
	const bool spare_low = r->spare_percent >= 0 && r->spare_threshold_percent >= 0 &&
			       r->spare_percent < r->spare_threshold_percent;
	/* Heat alone is a bit of that number, and no failure. */
	const bool own_fails = r->has_own && !r->own_passed;
	const struct nvme_row rows[] = {
		{NVME_ID(0), "Critical_Warning", r->critical_warning, 0, own_fails},
		{194, "Temperature_Celsius", r->temperature_c, r->temperature_warning_c, false},
		{NVME_ID(3), "Available_Spare", r->spare_percent, r->spare_threshold_percent,
		 spare_low},
		{NVME_ID(5), "Percentage_Used", r->used_percent, 100, false},
		{NVME_ID(32), "Bytes_Read", r->bytes_read, 0, false},
		{NVME_ID(48), "Bytes_Written", r->bytes_written, 0, false},
		{12, "Power_Cycle_Count", r->power_cycles, 0, false},
		{9, "Power_On_Hours", r->power_on_hours, 0, false},
		{NVME_ID(144), "Unsafe_Shutdowns", r->unsafe_shutdowns, 0, false},
		{NVME_ID(160), "Media_Errors", r->media_errors, 0, false},
		{NVME_ID(176), "Error_Log_Entries", r->error_log_entries, 0, false},
	};

	_Static_assert(ARRAY_SIZE(rows) <= ROWS_NVME, "rows");
	disk->smart_attr = eve_arena_take(fill->arena, ROWS_NVME * sizeof(*disk->smart_attr));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		Eve__SmartAttr *row;

		if (rows[i].value < 0)
			continue;
		row = row_new(fill, rows[i].id, rows[i].name);
		row->value = row->raw_value = (uint64_t)rows[i].value;
		row->thresh = (uint64_t)MAX(rows[i].limit, 0);
		row->when_failed =
			eve_arena_text(fill->arena, rows[i].failing ? "FAILING_NOW" : "");
		disk->smart_attr[disk->n_smart_attr++] = row;
	}
}

/* --- All ------------------------------------------------------------------------------------ */

static Eve__StorageDiskInfo *disk_fill(const struct eve_fill *fill,
				       const struct health_drive *drive)
{
	Eve__StorageDiskInfo *disk = eve_arena_take(fill->arena, sizeof(*disk));

	eve__storage_disk_info__init(disk);
	disk->disk_name = eve_arena_text(fill->arena, drive->name.path);
	disk->wwn = eve_arena_text(fill->arena, drive->report.wwn);
	disk->serial_number = eve_arena_text(fill->arena, drive->report.serial);
	disk->model = eve_arena_text(fill->arena, drive->report.model);
	disk->collector_errors = eve_arena_text(fill->arena, drive->problem);
	if (drive->report.attribute_count > 0)
		ata_fill(fill, &drive->report, disk);
	else if (strcmp(drive->report.protocol, "NVMe") == 0)
		nvme_fill(fill, &drive->report, disk);
	return disk;
}

Eve__ZHardwareHealth *eve_fill_hardware(const struct eve_fill *fill)
{
	const unsigned count = fill->view->drive_count;
	Eve__ZHardwareHealth *health = eve_arena_take(fill->arena, sizeof(*health));

	eve__zhardware_health__init(health);
	health->dev_id = eve_arena_text(fill->arena, fill->device);
	health->at_time_stamp = eve_fill_time(fill->arena, fill->now_ms);
	health->n_disks = count;
	health->disks = eve_arena_take(fill->arena, count * sizeof(*health->disks));
	for (unsigned i = 0; i < count; i++)
		health->disks[i] = disk_fill(fill, &fill->view->drives[i]);
	return health;
}
