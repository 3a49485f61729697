/* SPDX-License-Identifier: Apache-2.0 */
/* Made-up views; see rig.h. */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_text.h>

struct eve_pool_view *rig_pool_add(struct eve_view *view, const char *name, unsigned drives,
				   unsigned groups)
{
	struct eve_pool_view *pool = xcalloc(1, sizeof(*pool));
	struct control_pool_info *info = &pool->health.info;

	view->pools[view->pool_count++] = pool;
	snprintf(info->name, sizeof(info->name), "%s", name);
	memset(info->guid, 0, sizeof(info->guid));
	snprintf((char *)info->guid, sizeof(info->guid), "pool %s", name);
	info->health = "online";
	info->size_bytes = 64 * MiB;
	info->drive_count = drives;
	for (unsigned i = 0; i < drives; i++) {
		snprintf(info->drives[i].path, sizeof(info->drives[i].path), "/d/%u", i);
		snprintf((char *)info->drives[i].guid, sizeof(info->drives[i].guid), "d%s%u", name,
			 i);
		info->drives[i].state = "online";
		info->drives[i].mirrored = groups > 0;
		info->drives[i].group = groups > 0 ? i % groups : i;
	}
	pool->health.born_ns = 1;
	pool->health.volumes_known = true;
	return pool;
}

/* Those of the volumes that live at a time are fewer. */
static struct control_io_sums rig_sums[256];
static unsigned rig_sums_next;

struct control_io_sums *rig_volume_io(struct control_volume_health *volume)
{
	return (void *)(uintptr_t)volume->io;
}

struct control_volume_health *rig_volume_add(struct eve_pool_view *pool, const char *name)
{
	struct control_volume_health *volume;

	pool->volumes = realloc(pool->volumes, (pool->volume_count + 1) * sizeof(*pool->volumes));
	ASSERT(pool->volumes != NULL);
	volume = &pool->volumes[pool->volume_count++];
	memset(volume, 0, sizeof(*volume));
	snprintf(volume->name, sizeof(volume->name), "%s", name);
	snprintf((char *)volume->guid, sizeof(volume->guid), "v %.12s", name);
	volume->arrival = "";
	volume->number = pool->volume_count;
	volume->io = &rig_sums[rig_sums_next++ % ARRAY_SIZE(rig_sums)];
	*rig_volume_io(volume) = (struct control_io_sums){.errors = 0};
	volume->size_bytes = 8 * MiB;
	volume->created_s = 1700000000;
	pool->health.info.volume_count = pool->volume_count;
	return volume;
}

void rig_volume_remove(struct eve_pool_view *pool, unsigned index)
{
	pool->volumes[index] = pool->volumes[--pool->volume_count];
	pool->health.info.volume_count = pool->volume_count;
}

void rig_pool_remove(struct eve_view *view, unsigned index)
{
	free(view->pools[index]->volumes);
	free(view->pools[index]);
	view->pools[index] = view->pools[--view->pool_count];
}

struct health_drive *rig_drive_add(struct eve_view *view, const char *path)
{
	struct health_drive *drive;

	view->drives = realloc(view->drives, (view->drive_count + 1) * sizeof(*view->drives));
	ASSERT(view->drives != NULL);
	drive = &view->drives[view->drive_count++];
	memset(drive, 0, sizeof(*drive));
	snprintf(drive->name.path, sizeof(drive->name.path), "%s", path);
	smart_report_init(&drive->report);
	return drive;
}

/* --- Random ---------------------------------------------------------------------------------- */

static uint64_t number(struct random *random)
{
	switch (random_below(random, 4)) {
	case 0:
		return 0;
	case 1:
		return random_below(random, 100);
	case 2:
		return random_below(random, UINT64_C(1) << 40);
	default:
		return random_u64(random);
	}
}

/* Of any bytes but the last, which ends it. */
static void text(struct random *random, char *to, size_t size)
{
	const size_t length = random_below(random, size);

	random_fill(random, to, length);
	to[length] = '\0';
	if (random_chance(random, 3, 4)) {
		for (size_t i = 0; i < length; i++)
			to[i] = (char)(' ' + (unsigned char)to[i] % 95);
	}
}

static const char *word(struct random *random, const char *const *words, unsigned count)
{
	return words[random_below(random, count)];
}

static void sums_random(struct control_io_sums *sums, struct random *random)
{
	for (unsigned i = 0; i < CONTROL_IO_KINDS; i++) {
		sums->requests[i] = number(random) >> 16;
		sums->bytes[i] = number(random) >> 16;
		sums->ns[i] = number(random) >> 16;
	}
	sums->busy_ns = number(random) >> 16;
	sums->in_flight = (unsigned)random_below(random, 3);
}

static void drive_random(struct control_drive_info *drive, struct random *random)
{
	static const char *const states[] = {"online",	"missing", "faulted", "stale",
					     "unknown", "offline", "removed"};

	drive->state = word(random, states, ARRAY_SIZE(states));
	drive->size_bytes = number(random);
	drive->read_errors = number(random) >> 8;
	drive->write_errors = number(random) >> 8;
	drive->check_errors = number(random) >> 8;
	if (random_chance(random, 1, 4))
		text(random, drive->path, sizeof(drive->path));
}

static void volume_random(struct control_volume_health *volume, struct random *random)
{
	static const char *const arrivals[] = {"", "", "", "arriving", "waiting", "failed"};

	random_fill(random, volume->guid, sizeof(volume->guid));
	volume->arrival = word(random, arrivals, ARRAY_SIZE(arrivals));
	volume->arrival_percent = (uint8_t)random_below(random, 110);
	volume->size_bytes = number(random);
	volume->used_bytes = number(random);
	volume->referenced_bytes = number(random);
	volume->created_s = random_below(random, UINT64_C(4000000000));
	volume->paused = random_chance(random, 1, 4);
	volume->in_use = random_chance(random, 1, 2);
	sums_random(rig_volume_io(volume), random);
}

static void pool_random(struct eve_pool_view *pool, struct random *random)
{
	static const char *const healths[] = {"online", "degraded", "suspended", "failed"};
	struct control_pool_info *info = &pool->health.info;
	const unsigned volumes = (unsigned)random_below(random, 4);

	info->health = word(random, healths, ARRAY_SIZE(healths));
	text(random, info->problem, sizeof(info->problem));
	info->size_bytes = number(random);
	info->allocated_bytes = number(random);
	info->bad_blocks = number(random);
	info->lost_bytes = number(random);
	info->full = random_chance(random, 1, 4);
	info->read_only = random_chance(random, 1, 4);
	info->read_errors = number(random);
	pool->health.near_full = random_chance(random, 1, 4);
	pool->health.timed_out = random_chance(random, 1, 4);
	pool->health.age_ms = random_chance(random, 1, 8) ? UINT64_MAX : random_below(random, 9999);
	sums_random(&pool->health.io.sums, random);
	for (unsigned i = 0; i < info->drive_count; i++)
		drive_random(&info->drives[i], random);
	for (unsigned i = 0; i < volumes; i++)
		volume_random(rig_volume_add(pool, "v"), random);
}

static void smart_random(struct health_drive *drive, struct random *random)
{
	static const char *const protocols[] = {"NVMe", "ATA", "SCSI", "file", ""};
	struct smart_report *report = &drive->report;
	int64_t *const numbers[] = {&report->critical_warning,
				    &report->temperature_c,
				    &report->power_on_hours,
				    &report->power_cycles,
				    &report->media_errors,
				    &report->bytes_read,
				    &report->used_percent,
				    &report->spare_percent,
				    &report->spare_threshold_percent,
				    &report->bytes_written,
				    &report->unsafe_shutdowns};

	snprintf(report->protocol, sizeof(report->protocol), "%s",
		 word(random, protocols, ARRAY_SIZE(protocols)));
	text(random, report->model, sizeof(report->model));
	text(random, report->serial, sizeof(report->serial));
	text(random, drive->problem, sizeof(drive->problem));
	text(random, drive->judgement.reason, sizeof(drive->judgement.reason));
	drive->judgement.verdict = (enum smart_verdict)random_below(random, 4);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		*numbers[i] = random_chance(random, 1, 4) ? SMART_UNKNOWN
							  : (int64_t)(number(random) >> 1);
	if (strcmp(report->protocol, "ATA") != 0)
		return;
	report->attribute_count = (unsigned)random_below(random, SMART_ATTRIBUTES_MAX + 1);
	for (unsigned i = 0; i < report->attribute_count; i++) {
		struct smart_attribute *a = &report->attributes[i];

		a->id = 1 + (unsigned)random_below(random, 255);
		a->value = (unsigned)random_below(random, 256);
		a->worst = (unsigned)random_below(random, 256);
		a->threshold = (unsigned)random_below(random, 256);
		a->raw = number(random);
		a->prefail = random_chance(random, 1, 2);
		a->failing = random_chance(random, 1, 8);
		text(random, a->name, sizeof(a->name));
	}
}

void rig_view_random(struct eve_view *view, struct random *random)
{
	const unsigned pools = (unsigned)random_below(random, 4);

	memset(view, 0, sizeof(*view));
	for (unsigned p = 0; p < pools; p++) {
		const unsigned drives = (unsigned)random_below(random, CONTROL_DRIVES_MAX + 1);
		char name[8];

		snprintf(name, sizeof(name), "p%u", p);
		pool_random(rig_pool_add(view, name, drives, (unsigned)random_below(random, 4)),
			    random);
	}
	for (unsigned d = 0; d < random_below(random, 6); d++) {
		char path[16];

		snprintf(path, sizeof(path), "/d/%u", d);
		smart_random(rig_drive_add(view, path), random);
	}
}
