/* SPDX-License-Identifier: Apache-2.0 */
/* What is known, in EVE's words: layouts, states, S.M.A.R.T., and what EVE's own filler gets wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_text.h>

#include "json.h"
#include "rig.h"

struct test {
	struct eve_arena arena;
	struct eve_totals totals;
	struct eve_view view;
	struct eve_fill fill;
};

static int setup(void **state)
{
	struct test *t = xcalloc(1, sizeof(*t));

	t->fill = (struct eve_fill){.arena = &t->arena,
				    .view = &t->view,
				    .totals = &t->totals,
				    .device = "",
				    .version = "1",
				    .now_ms = 1700000000500};
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct test *t = *state;

	eve_arena_fini(&t->arena);
	eve_totals_fini(&t->totals);
	eve_view_fini(&t->view);
	free(t);
	return 0;
}

static Eve__StorageInfo *storage(struct test *t)
{
	return eve_fill_device(&t->fill)->storage_info[0];
}

/* --- Layouts -------------------------------------------------------------------------------- */

static void one_drive(void **state)
{
	struct test *t = *state;
	Eve__StorageInfo *info;

	rig_pool_add(&t->view, "tank", 1, 0);
	info = storage(t);
	assert_int_equal(info->current_raid, EVE__STORAGE_RAID_TYPE__STORAGE_RAID_TYPE_NORAID);
	assert_int_equal(info->n_disks, 1);
	assert_int_equal(info->n_children, 0);
	assert_string_equal(info->disks[0]->disk_name->name, "/d/0");
	/* It is neither of the types that have a number, and has no compression. */
	assert_int_equal(info->storage_type, 0);
	assert_string_equal(info->zfs_version, "quoin-1");
	assert_true(info->compression_ratio == 0);
}

static void one_mirror_is_flat(void **state)
{
	struct test *t = *state;
	Eve__StorageInfo *info;

	rig_pool_add(&t->view, "tank", 3, 1);
	info = storage(t);
	assert_int_equal(info->current_raid, EVE__STORAGE_RAID_TYPE__STORAGE_RAID_TYPE_RAID1);
	assert_int_equal(info->n_disks, 3);
	assert_int_equal(info->n_children, 0);
}

/* State and metrics name groups alike, and by numbers that stay when a group goes. */
static void mirrors_are_children(void **state)
{
	struct test *t = *state;
	struct eve_pool_view *pool = rig_pool_add(&t->view, "tank", 4, 2);
	Eve__StorageInfo *info = storage(t);
	Eve__StorageMetric *metric = eve_fill_metrics(&t->fill)->dm->storage_metrics[0];
	uint64_t guid;

	assert_int_equal(info->current_raid, EVE__STORAGE_RAID_TYPE__STORAGE_RAID_TYPE_RAID1);
	assert_int_equal(info->n_disks, 0);
	assert_int_equal(info->n_children, 2);
	assert_string_equal(info->children[1]->display_name, "mirror-1");
	assert_int_equal(info->children[1]->n_disks, 2);
	guid = info->children[1]->g_u_i_d;
	assert_true(guid != 0 && guid != info->children[0]->g_u_i_d);
	assert_int_equal(metric->n_children_datasets, 2);
	assert_true(metric->children_datasets[1]->g_u_i_d == guid);
	pool->health.info.drives[0].mirrored = pool->health.info.drives[2].mirrored = false;
	info = storage(t);
	assert_int_equal(info->n_children, 1);
	assert_true(info->children[0]->g_u_i_d == guid);
	/* Drives that mirror nothing are beside it, and the pool is as safe as they are. */
	assert_int_equal(info->n_disks, 2);
	assert_int_equal(info->current_raid, EVE__STORAGE_RAID_TYPE__STORAGE_RAID_TYPE_NORAID);
}

/* --- States --------------------------------------------------------------------------------- */

static void states_of_pools_and_drives(void **state)
{
	static const struct {
		const char *word;
		int status;
	} pools[] = {{"online", 1}, {"degraded", 2}, {"suspended", 7}, {"failed", 5}},
	  drives[] = {{"online", 1},  {"missing", 5}, {"faulted", 3}, {"stale", 5},
		      {"offline", 4}, {"removed", 6}, {"unknown", 0}};
	struct test *t = *state;
	struct control_pool_info *info = &rig_pool_add(&t->view, "tank", 4, 2)->health.info;

	for (size_t i = 0; i < ARRAY_SIZE(pools); i++) {
		info->health = pools[i].word;
		assert_int_equal(storage(t)->storage_state, pools[i].status);
	}
	/* Leaves of children have words too. */
	for (size_t i = 0; i < ARRAY_SIZE(drives); i++) {
		Eve__StorageDiskState *disk;

		info->drives[0].state = drives[i].word;
		disk = storage(t)->children[0]->disks[0];
		assert_int_equal(disk->status, drives[i].status);
		assert_int_equal(disk->state[0] != '\0',
				 i > 0 && strcmp(drives[i].word, "offline") &&
					 strcmp(drives[i].word, "removed"));
	}
}

static void words_of_a_pool(void **state)
{
	struct test *t = *state;
	struct eve_pool_view *pool = rig_pool_add(&t->view, "tank", 1, 0);

	assert_string_equal(storage(t)->pool_status_msg, "");
	snprintf(pool->health.info.problem, sizeof(pool->health.info.problem), "a\nb\xff");
	pool->health.info.bad_blocks = 1;
	pool->health.info.full = pool->health.near_full = true;
	assert_string_equal(storage(t)->pool_status_msg,
			    "a b?; blocks of volumes could not be read from any copy; "
			    "guests cannot write for want of space");
	/* Counts are in metrics: they make no other words. */
	pool->health.info.bad_blocks = 9;
	assert_non_null(strstr(storage(t)->pool_status_msg, "a b?; blocks of volumes could not"));
}

static void who_does_not_answer(void **state)
{
	struct test *t = *state;
	struct eve_pool_view *pool = rig_pool_add(&t->view, "tank", 1, 0);
	struct health_drive *drive = rig_drive_add(&t->view, "/d/0");

	assert_string_equal(storage(t)->collector_errors, "");
	pool->health.timed_out = true;
	snprintf(drive->problem, sizeof(drive->problem), "collector: timed out");
	assert_string_equal(
		storage(t)->collector_errors,
		"the pool does not say how it is: timed out; /d/0: collector: timed out");
	assert_string_equal(eve_fill_hardware(&t->fill)->disks[0]->collector_errors,
			    "collector: timed out");
}

/* The drive's own verdict and why, of leaves of children too; nothing where nothing is known. */
static void smart_status(void **state)
{
	struct test *t = *state;
	struct health_drive *drive;

	rig_pool_add(&t->view, "tank", 4, 2);
	assert_string_equal(storage(t)->children[0]->disks[0]->smart_status, "");
	drive = rig_drive_add(&t->view, "/d/0");
	snprintf(drive->report.serial, sizeof(drive->report.serial), "S1");
	assert_string_equal(storage(t)->children[0]->disks[0]->smart_status, "");
	drive->judgement.verdict = SMART_PASSED;
	assert_string_equal(storage(t)->children[0]->disks[0]->smart_status, "passed");
	drive->judgement.verdict = SMART_FAILING;
	snprintf(drive->judgement.reason, sizeof(drive->judgement.reason), "it says so");
	assert_string_equal(storage(t)->children[0]->disks[0]->smart_status, "failing: it says so");
	assert_string_equal(storage(t)->children[0]->disks[0]->disk_name->serial, "S1");
}

/* --- Counters ------------------------------------------------------------------------------- */

/* Operations are operations, bytes are bytes, ticks are milliseconds; a volume has its sizes. */
static void units(void **state)
{
	struct test *t = *state;
	struct eve_pool_view *pool = rig_pool_add(&t->view, "tank", 1, 0);
	struct control_volume_health *volume = rig_volume_add(pool, "v");
	struct eve_total_entry key = {.born = 0};
	Eve__StorageVDevMetrics *vdev;
	Eve__ZMetricMsg *message;

	volume->used_bytes = 3 * MiB;
	volume->referenced_bytes = 2 * MiB;
	*rig_volume_io(volume) = (struct control_io_sums){.requests = {10, 20, 30},
							  .bytes = {4096, 8192, 5},
							  .ns = {5000000, 7000000, 9000000},
							  .in_flight = 3,
							  .busy_ns = 15999999};
	memcpy(key.guid, volume->guid, sizeof(key.guid));
	eve_totals_note(&t->totals, &key, volume->io, 1);
	message = eve_fill_metrics(&t->fill);
	vdev = message->dm->storage_metrics[0]->zvols[0];
	assert_int_equal(vdev->ops_count_read, 10);
	assert_int_equal(vdev->ops_count_write, 20);
	assert_int_equal(vdev->bytes_read, 4096);
	assert_int_equal(vdev->bytes_write, 8192);
	assert_int_equal(vdev->read_ticks, 5);
	assert_int_equal(vdev->write_ticks, 7);
	assert_int_equal(vdev->i_os_total_ticks, 15);
	assert_int_equal(vdev->weighted_i_o_ticks, 21);
	assert_int_equal(vdev->i_os_in_progress, 3);
	assert_int_equal(vdev->alloc, 3 * MiB);
	assert_int_equal(vdev->total, 8 * MiB);
	assert_string_equal(vdev->volume_u_u_i_d, message->vm[0]->uuid);
	assert_int_equal(message->vm[0]->usedbytes, 2 * MiB);
	assert_int_equal(message->vm[0]->freebytes, 6 * MiB);
	/* When it was looked at, not when it is told. */
	pool->health.age_ms = 1500;
	assert_int_equal(
		eve_fill_metrics(&t->fill)->dm->storage_metrics[0]->collection_time->seconds,
		1699999999);
	/* A pool that is not imported counts nothing. */
	pool->health.age_ms = UINT64_MAX;
	assert_int_equal(eve_fill_metrics(&t->fill)->dm->n_storage_metrics, 0);
}

/* What a group did is what its drives did; the longest time with any request is its own. */
static void drives_and_groups(void **state)
{
	struct test *t = *state;
	struct eve_pool_view *pool = rig_pool_add(&t->view, "tank", 4, 2);
	struct control_drive_info *drives = pool->health.info.drives;
	Eve__StorageChildrenMetric *child;

	for (unsigned i = 0; i < 4; i++) {
		struct eve_total_entry key = {.is_drive = true};
		const struct control_io_sums sums = {.requests = {1, 10, 100},
						     .bytes = {4096, 8192, 5},
						     .ns = {2000000, 3000000, 4000000},
						     .busy_ns = (i + 1) * 1000000};

		memcpy(key.guid, drives[i].guid, sizeof(key.guid));
		eve_totals_note(&t->totals, &key, &sums, 1);
		drives[i].io.in_flight = 7;
	}
	child = eve_fill_metrics(&t->fill)->dm->storage_metrics[0]->children_datasets[1];
	/* Drives 1 and 3. */
	assert_int_equal(child->disks[1]->metrics->ops_count_write, 10);
	assert_int_equal(child->disks[1]->metrics->bytes_read, 4096);
	assert_int_equal(child->disks[1]->metrics->i_os_in_progress, 7);
	assert_int_equal(child->disks[1]->metrics->i_os_total_ticks, 4);
	assert_int_equal(child->metrics->ops_count_write, 20);
	assert_int_equal(child->metrics->bytes_write, 16384);
	assert_int_equal(child->metrics->read_ticks, 4);
	assert_int_equal(child->metrics->weighted_i_o_ticks, 18);
	assert_int_equal(child->metrics->i_os_in_progress, 14);
	assert_int_equal(child->metrics->i_os_total_ticks, 4);
}

/* By its path, by what it says of itself, and by what the pool knows it by. */
static void names_of_drives(void **state)
{
	struct test *t = *state;
	struct eve_pool_view *pool = rig_pool_add(&t->view, "tank", 1, 0);
	struct health_drive *drive = rig_drive_add(&t->view, "/d/0");
	const Eve__DiskDescription *disk;

	snprintf(drive->report.serial, sizeof(drive->report.serial), "S1");
	snprintf(drive->report.wwn, sizeof(drive->report.wwn), "5000c500a1b2c3d4");
	disk = storage(t)->disks[0]->disk_name;
	assert_string_equal(disk->serial, "S1");
	assert_string_equal(disk->logical_name, "6474616e-6b30-0000-0000-000000000000");
	disk = eve_fill_metrics(&t->fill)->dm->storage_metrics[0]->disks[0]->disk_name;
	assert_string_equal(disk->logical_name, "6474616e-6b30-0000-0000-000000000000");
	assert_string_equal(eve_fill_hardware(&t->fill)->disks[0]->wwn, "5000c500a1b2c3d4");
	/* Of a pool that failed only paths are known. */
	memset(pool->health.info.drives[0].guid, 0, 16);
	assert_string_equal(storage(t)->disks[0]->disk_name->logical_name, "");
}

/* --- S.M.A.R.T. ----------------------------------------------------------------------------- */

static Eve__SmartAttr *row(struct test *t, unsigned id)
{
	Eve__StorageDiskInfo *disk = eve_fill_hardware(&t->fill)->disks[0];

	for (size_t i = 0; i < disk->n_smart_attr; i++) {
		if (disk->smart_attr[i]->id == id)
			return disk->smart_attr[i];
	}
	return NULL;
}

static void ata_rows(void **state)
{
	struct test *t = *state;
	struct health_drive *drive = rig_drive_add(&t->view, "/d/0");
	const struct smart_attribute all[] = {
		{5, "Reallocated_Sector_Ct", 9, 9, 10, 3, true, true},
		{1, "Raw_Read_Error_Rate", 80, 5, 6, 0xFFFFFFFF0001, true, false},
		{190, "Airflow_Temperature_Cel", 60, 50, 0, 0x1234567828, false, false},
		{240, "Head_Flying_Hours", 100, 253, 0, 0xABCDEF001234, false, false},
	};

	snprintf(drive->report.protocol, sizeof(drive->report.protocol), "ATA");
	drive->report.attribute_count = ARRAY_SIZE(all);
	memcpy(drive->report.attributes, all, sizeof(all));
	assert_string_equal(row(t, 5)->when_failed, "FAILING_NOW");
	assert_string_equal(row(t, 5)->type, "Pre-fail");
	assert_int_equal(row(t, 5)->thresh, 10);
	assert_string_equal(row(t, 1)->when_failed, "In_the_past");
	assert_true(row(t, 1)->raw_value == 0xFFFFFFFF0001);
	assert_string_equal(row(t, 190)->when_failed, "");
	assert_string_equal(row(t, 190)->type, "Old_age");
	assert_int_equal(row(t, 190)->raw_value, 0x28);
	assert_int_equal(row(t, 240)->raw_value, 0x1234);
	assert_int_equal(row(t, 240)->worst, 253);
}

/* Degrees are Celsius in both numbers, none is taken for an attribute of ATA that it is not. */
static void nvme_rows(void **state)
{
	struct test *t = *state;
	struct health_drive *drive = rig_drive_add(&t->view, "/d/0");
	struct smart_report *r = &drive->report;

	snprintf(r->protocol, sizeof(r->protocol), "NVMe");
	r->critical_warning = 2;
	r->has_own = r->own_passed = true;
	r->temperature_c = 41;
	r->temperature_warning_c = 77;
	r->spare_percent = 9;
	r->spare_threshold_percent = 10;
	r->used_percent = 5;
	r->power_on_hours = 1000;
	r->media_errors = 7;
	r->bytes_written = INT64_MAX;
	assert_int_equal(row(t, 194)->value, 41);
	assert_int_equal(row(t, 194)->raw_value, 41);
	assert_int_equal(row(t, 194)->thresh, 77);
	assert_int_equal(row(t, 9)->raw_value, 1000);
	assert_null(row(t, 12));
	assert_null(row(t, 5));
	assert_null(row(t, 0));
	assert_int_equal(row(t, 256 + 5)->value, 5);
	assert_string_equal(row(t, 256 + 3)->when_failed, "FAILING_NOW");
	/* Heat alone, and errors of the past, are no failure. */
	assert_string_equal(row(t, 256)->when_failed, "");
	assert_string_equal(row(t, 256 + 160)->when_failed, "");
	assert_true(row(t, 256 + 48)->raw_value == INT64_MAX);
	r->own_passed = false;
	assert_string_equal(row(t, 256)->when_failed, "FAILING_NOW");
}

/* --- Volumes -------------------------------------------------------------------------------- */

static void trouble_of_volumes(void **state)
{
	struct test *t = *state;
	struct eve_pool_view *pool = rig_pool_add(&t->view, "tank", 1, 0);
	struct control_volume_health *volume = rig_volume_add(pool, "v");
	struct eve_volume_memory memory = {.error_ms = 0};
	Eve__ZInfoVolume *info = eve_fill_volume(&t->fill, pool, volume, &memory);

	assert_int_equal(info->state, EVE__ZSW_STATE__CREATED_VOLUME);
	assert_null(info->volumeerr);
	assert_int_equal(info->usage->refcount, 0);
	volume->in_use = volume->paused = true;
	info = eve_fill_volume(&t->fill, pool, volume, &memory);
	assert_int_equal(info->usage->refcount, 1);
	assert_non_null(strstr(info->volumeerr->description, "waits for space"));
	assert_string_equal(info->volumeerr->retry_condition, "when there is more room");
	assert_int_equal(info->volumeerr->entities[0]->entity, EVE__ENTITY__ENTITY_VOLUME);
	assert_string_equal(info->volumeerr->entities[0]->entity_name, "tank/v");
	assert_int_equal(info->volumeerr->timestamp->seconds, 1700000000);
	/* It began then, and not now. */
	t->fill.now_ms += 60000;
	info = eve_fill_volume(&t->fill, pool, volume, &memory);
	assert_int_equal(info->volumeerr->timestamp->seconds, 1700000000);
	volume->arrival = "failed";
	info = eve_fill_volume(&t->fill, pool, volume, &memory);
	assert_int_equal(info->state, EVE__ZSW_STATE__ERROR);
	assert_non_null(strstr(info->volumeerr->description, "did not arrive"));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(one_drive),
		CASE(one_mirror_is_flat),
		CASE(mirrors_are_children),
		CASE(states_of_pools_and_drives),
		CASE(words_of_a_pool),
		CASE(who_does_not_answer),
		CASE(smart_status),
		CASE(units),
		CASE(drives_and_groups),
		CASE(names_of_drives),
		CASE(ata_rows),
		CASE(nvme_rows),
		CASE(trouble_of_volumes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
