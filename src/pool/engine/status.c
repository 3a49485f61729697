/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a pool says of itself, and its own settings. Numbers of volumes and snapshots are those of
 * the last checkpoint; the pool's space is as it is now.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include <quoin/base_math.h>

#include "engine/checkpoint.h"
#include "engine/discard.h"
#include "engine/meter.h"
#include "engine/verb.h"
#include "raid/meter.h"

#define RESERVE_PERMILLE_MAX 900

/* --- Space ------------------------------------------------------------------------------- */

uint64_t pool_limit_slots(const struct pool *pool)
{
	struct space_sums sums;
	uint64_t limit;
	uint64_t kept;
	uint64_t growth;

	space_sums(pool->space, &sums);
	limit = sums.data_total * (1000U - pool->super.reserve_permille) / 1000U;
	kept = MIN(CHUNKS_KEPT(sums.chunks_total), sums.chunks_free);
	growth = sums.data_total - MIN(sums.data_total, sums.data_segments);
	if (kept > 0)
		growth = growth / sums.chunks_free * (sums.chunks_free - kept);
	growth = MIN(growth, meta_leaves_data(pool)) + sums.data_segments;
	/* Some stays free, or nothing could be written over any more. */
	return MIN(limit, growth - growth / COPY_SHARE);
}

uint64_t pool_available_slots(const struct pool *pool)
{
	struct space_sums sums;
	uint64_t slots = pool_limit_slots(pool);

	space_sums(pool->space, &sums);
	count_down(&slots, sums.data_refs);
	count_down(&slots, pool->pending_total - pool->renewed_total);
	count_down(&slots, pool->unmet_total);
	return meta_fits_settled(pool, 1, META_KEEP_WRITES) ? slots : 0;
}

static uint64_t volume_available_slots(const struct volume *volume)
{
	const struct volume_record *rec = &volume->rec;
	uint64_t slots = pool_available_slots(volume->pool) + volume_promise_slots(volume);
	uint64_t quota = rec->quota_bytes / PAGE_BYTES;
	uint64_t refquota = rec->refquota_bytes / PAGE_BYTES;

	count_down(&quota, rec->used_data + rec->used_meta);
	count_down(&refquota, rec->referenced);
	if (rec->quota_bytes != 0)
		slots = MIN(slots, quota);
	if (rec->refquota_bytes != 0)
		slots = MIN(slots, refquota);
	return slots;
}

static bool volume_paused(const struct volume *volume)
{
	return volume->paused || !list_empty(&volume->starved);
}

/* There may be thousands, and this is asked all the time: once none is found, until one is. */
static bool any_paused(struct pool *pool)
{
	bool found = false;

	if (!pool->any_paused)
		return false;
	for (uint32_t id = 1; !found && id < pool->volume_limit; id++)
		found = pool->volumes[id] && volume_paused(pool->volumes[id]);
	pool->any_paused = found;
	return found;
}

static bool pool_full(struct pool *pool)
{
	return pool_available_slots(pool) == 0 || any_paused(pool);
}

static void space_status(struct pool *pool, struct pool_status *status)
{
	struct space_sums sums;
	struct discard_stats discards;

	space_sums(pool->space, &sums);
	discards_stats(pool, &discards);
	status->discarding_bytes = discards.waiting_slots * PAGE_BYTES;
	status->discarded_bytes = discards.done_slots * PAGE_BYTES;
	status->size_bytes = sums.data_total * PAGE_BYTES;
	status->data_bytes = sums.data_refs * PAGE_BYTES;
	status->metadata_bytes = sums.meta_refs * PAGE_BYTES;
	status->log_bytes = sums.log_slots * PAGE_BYTES;
	status->allocated_bytes = status->data_bytes + status->metadata_bytes + status->log_bytes;
	status->freeing_bytes = sums.freeing * PAGE_BYTES;
	status->unready_bytes = (sums.data_used - sums.data_refs) * PAGE_BYTES;
	status->shared_bytes = pool->super.shared_extra * PAGE_BYTES;
	status->reserved_bytes = pool->unmet_total * PAGE_BYTES;
	status->reserve_permille = pool->super.reserve_permille;
	status->reserve_bytes = sums.data_total * pool->super.reserve_permille / 1000U * PAGE_BYTES;
	status->available_bytes = pool_available_slots(pool) * PAGE_BYTES;
	status->full = pool_full(pool);
}

/* --- Health ------------------------------------------------------------------------------ */

static const char *drive_state_name(uint8_t state)
{
	switch (state) {
	case DRIVE_ONLINE:
		return "online";
	case DRIVE_MISSING:
		return "missing";
	case DRIVE_FAULTED:
		return "faulted";
	default:
		return "stale";
	}
}

static bool drive_away(const struct drive *drive)
{
	return drive->info.state != DRIVE_ONLINE;
}

static unsigned drives_away(const struct pool *pool, const struct drive **ret_first)
{
	unsigned count = 0;

	for (unsigned i = 0; i < pool->raid.drive_count; i++) {
		const struct drive *drive = &pool->raid.drives[i];

		if (drive_away(drive) && count++ == 0)
			*ret_first = drive;
	}
	return count;
}

/* Drives cannot be replaced, nor brought up to date, in this version. */
static const char *drive_advice(uint8_t state)
{
	return state == DRIVE_MISSING ? "connect it, then export and import the pool"
				      : "it is not used again; copy the volumes to another pool "
					"in time";
}

static void degraded_tell(const struct drive *first, unsigned count, struct pool_status *status)
{
	char name[80];
	char others[40] = "";

	if (first->path && first->path[0] != '\0')
		snprintf(name, sizeof(name), "'%.72s'", first->path);
	else
		snprintf(name, sizeof(name), "number %u", first->index);
	if (count > 1)
		snprintf(others, sizeof(others), " (and %u other%s)", count - 1,
			 count == 2 ? "" : "s");
	snprintf(status->problem, sizeof(status->problem),
		 "drive %s%s is %s; what it had is read from other copies: %s", name, others,
		 drive_state_name(first->info.state), drive_advice(first->info.state));
}

static void lost_tell(const struct pool *pool, struct pool_status *status)
{
	struct pages_stats pages;

	pages_stats(pool->pages, &pages);
	if (pages.lost > 0)
		snprintf(status->problem, sizeof(status->problem),
			 "metadata was damaged in all copies: at most %" PRIu64
			 " bytes stay used, and nobody has them; export the pool and run quoin "
			 "inspect",
			 pages.lost * PAGE_BYTES);
}

/* The limit is below what the reserve leaves where metadata needs the rest. */
static void full_tell(const struct pool *pool, struct pool_status *status)
{
	const uint64_t slots = pool_limit_slots(pool) - pool_available_slots(pool);

	snprintf(status->problem, sizeof(status->problem),
		 "the pool is full: %" PRIu64 " of %" PRIu64
		 " bytes that guests may have are used or promised; destroy snapshots or volumes, "
		 "discard, or lower the reserve",
		 slots * PAGE_BYTES, pool_limit_slots(pool) * PAGE_BYTES);
}

static void health_status(const struct pool *pool, struct pool_status *status)
{
	const struct drive *first = NULL;
	const unsigned away = drives_away(pool, &first);

	status->health = away > 0 ? POOL_DEGRADED : POOL_ONLINE;
	if (pool->error != 0) {
		status->health = POOL_SUSPENDED;
		snprintf(status->problem, sizeof(status->problem), "%s",
			 pool->problem[0] != '\0' ? pool->problem
						  : "an error of the drives: see to them, then "
						    "export and import the pool");
	} else if (away > 0) {
		degraded_tell(first, away, status);
	} else if (!meta_fits_settled(pool, 1, META_KEEP_WRITES)) {
		snprintf(status->problem, sizeof(status->problem),
			 "the pool is full of metadata, %" PRIu64
			 " bytes: destroy snapshots, which keep old maps, or add a drive",
			 status->metadata_bytes);
	} else if (status->full) {
		full_tell(pool, status);
	} else {
		lost_tell(pool, status);
	}
}

static void counter_status(const struct pool *pool, struct pool_status *status)
{
	struct checkpoint_stats checkpoints;
	struct pages_stats pages;

	checkpoint_stats(pool, &checkpoints);
	pages_stats(pool->pages, &pages);
	status->checkpoint = pool->super.ckpt;
	status->checkpoints_made = checkpoints.made;
	status->checkpoint_records = checkpoints.records_last;
	status->checkpoint_ns_last = checkpoints.ns_last;
	status->held_writes = checkpoints.held_count;
	status->held_ns = checkpoints.held_ns;
	for (unsigned i = 0; i < pool->raid.drive_count; i++) {
		const struct super_drive *info = &pool->raid.drives[i].info;

		status->read_errors += info->read_errors;
		status->write_errors += info->write_errors;
		status->check_errors += info->check_errors;
	}
	status->healed = pool->healed + pages.healed;
	status->bad_blocks = pool->bad_blocks;
	status->refused_writes = pool->refused;
	status->lost_bytes = pages.lost * PAGE_BYTES;
	status->replayed_records = pool->replayed;
	status->checkpoint_s = pool->super.time_s;
	status->pending_bytes = pool->pending_total * PAGE_BYTES;
	status->log_records = pool->deltas[0].count + pool->deltas[1].count;
	status->device_reads = pool->raid.reads;
	status->device_writes = pool->raid.writes;
	status->device_flushes = pool->raid.flushes;
	status->device_bytes_read = pool->raid.bytes_read;
	status->device_bytes_written = pool->raid.bytes_written;
}

void pool_status(struct pool *pool, struct pool_status *ret_status)
{
	struct pool_status status = {.read_only = pool->read_only,
				     .autotrim = pool->super.autotrim != 0,
				     .drive_count = pool->raid.drive_count,
				     .volume_count = pool->volume_count,
				     .snapshot_count = pool->snapshot_count,
				     .memory_bytes = pool->memory.bytes,
				     .created_s = pool->super.created_s};

	memcpy(status.name, pool->super.pool_name, sizeof(status.name));
	memcpy(status.guid, pool->super.pool_guid, sizeof(status.guid));
	space_status(pool, &status);
	health_status(pool, &status);
	counter_status(pool, &status);
	*ret_status = status;
}

static bool drive_mirrored(const struct pool *pool, const struct drive *drive)
{
	for (unsigned i = 0; i < pool->raid.drive_count; i++) {
		const struct drive *other = &pool->raid.drives[i];

		if (other != drive && other->info.group == drive->info.group)
			return true;
	}
	return false;
}

void pool_drive_status(struct pool *pool, unsigned index, struct pool_drive_status *ret_status)
{
	const struct drive *drive;

	*ret_status = (struct pool_drive_status){.path = "", .state = "missing"};
	if (index >= pool->raid.drive_count)
		return;
	drive = &pool->raid.drives[index];
	memcpy(ret_status->guid, drive->info.guid, sizeof(ret_status->guid));
	ret_status->path = drive->path ? drive->path : "";
	ret_status->state = drive_state_name(drive->info.state);
	ret_status->group = drive->info.group;
	ret_status->mirrored = drive_mirrored(pool, drive);
	ret_status->size_bytes = drive->info.size_bytes;
	ret_status->read_errors = drive->info.read_errors;
	ret_status->write_errors = drive->info.write_errors;
	ret_status->check_errors = drive->info.check_errors;
	ret_status->left_checkpoint = drive_away(drive) ? drive->info.left_ckpt : 0;
	ret_status->io = raid_meter_now(&pool->raid, drive);
}

/* --- Settings ---------------------------------------------------------------------------- */

struct setting {
	enum pool_property property;
	uint64_t value;
};

/* The checkpoint makes its superblock from the pool's after its tasks have run. */
static int setting_task(struct pool *pool, void *arg)
{
	const struct setting *setting = arg;

	if (setting->property == POOL_RESERVE_PERMILLE)
		pool->super.reserve_permille = (uint16_t)setting->value;
	else
		pool->super.autotrim = (uint8_t)setting->value;
	return 0;
}

static int setting_check(const struct pool *pool, const struct setting *setting, struct err *err)
{
	const char *name = pool->super.pool_name;

	switch (setting->property) {
	case POOL_RESERVE_PERMILLE:
		if (setting->value <= RESERVE_PERMILLE_MAX)
			return 0;
		return err_set(err, -EINVAL,
			       "pool '%s' cannot keep back %" PRIu64 " per mille; the most are %d",
			       name, setting->value, RESERVE_PERMILLE_MAX);
	case POOL_AUTOTRIM:
		if (setting->value <= 1)
			return 0;
		return err_set(err, -EINVAL,
			       "autotrim of pool '%s' is a yes (1) or no (0), not %" PRIu64, name,
			       setting->value);
	}
	return err_set(err, -EINVAL, "pool '%s' has no such property", name);
}

int pool_set(struct pool *pool, enum pool_property property, uint64_t value, struct err *err)
{
	struct setting setting = {property, value};
	const struct verb_task task = {setting_task, &setting, "cannot change pool",
				       pool->super.pool_name};
	int r = verb_begin(pool, err);

	if (r < 0)
		return r;
	r = setting_check(pool, &setting, err);
	if (r == 0)
		r = verb_task(pool, &task, err);
	admin_unlock(pool);
	return r;
}

/* --- Volumes and snapshots --------------------------------------------------------------- */

static void snapshot_name(const struct pool *pool, const struct snapshot *snapshot,
			  char to[2 * POOL_NAME_MAX + 2])
{
	const struct volume *volume = volume_at(pool, snapshot->rec.volume);

	snprintf(to, 2 * POOL_NAME_MAX + 2, "%s@%s", volume ? volume->rec.name : "",
		 snapshot->rec.name);
}

static void params_tell(const struct volume_record *rec, struct pool_volume_params *params)
{
	*params = (struct pool_volume_params){.size_bytes = rec->size_bytes,
					      .pause_when_full = rec->policy == FULL_PAUSE,
					      .read_only = rec->read_only != 0,
					      .kind = (enum pool_volume_kind)rec->kind,
					      .quota_bytes = rec->quota_bytes,
					      .refquota_bytes = rec->refquota_bytes,
					      .reservation_bytes = rec->reservation_bytes,
					      .refreservation_bytes = rec->refreservation_bytes};
}

static void volume_tell(const struct pool *pool, const struct volume *volume,
			struct pool_volume_info *info)
{
	const struct volume_record *rec = &volume->rec;
	const struct snapshot *origin = snapshot_at(pool, rec->origin);
	uint64_t snapshots = rec->used_data;

	*info = (struct pool_volume_info){
		.number = volume->id,
		.referenced_bytes = rec->referenced * PAGE_BYTES,
		.unique_bytes = rec->unique * PAGE_BYTES,
		.used_bytes = (rec->used_data + rec->used_meta) * PAGE_BYTES,
		.available_bytes = volume_available_slots(volume) * PAGE_BYTES,
		.created_s = rec->created_s,
		.snapshot_count = volume->snapshot_count,
		.open_count = volume->open_count,
		.paused = volume_paused(volume),
		.pending_blocks = volume->pending[0] + volume->pending[1],
		.io = meter_sums(pool, &volume->io)};
	memcpy(info->name, rec->name, sizeof(info->name));
	memcpy(info->guid, rec->guid, sizeof(info->guid));
	params_tell(rec, &info->params);
	if (origin)
		snapshot_name(pool, origin, info->origin);
	/* What lists name is what snapshots have and the head has not. A clone's also name blocks
	 * of its origin, which are not charged to it; no more than what is can be its own. */
	count_down(&snapshots, rec->unique);
	info->snapshots_bytes = MIN(snapshots, volume->snapshots_data) * PAGE_BYTES;
}

static void snapshot_tell(const struct pool *pool, const struct snapshot *snapshot,
			  struct pool_snapshot_info *info)
{
	const struct snapshot_record *rec = &snapshot->rec;
	const struct snapshot *prev = snapshot_at(pool, rec->prev);
	uint64_t written = rec->referenced + rec->dead.data;

	if (prev)
		count_down(&written, prev->rec.referenced);
	*info = (struct pool_snapshot_info){.number = snapshot->id,
					    .volume = rec->volume,
					    .created_s = rec->created_s,
					    .size_bytes = rec->size_bytes,
					    .referenced_bytes = rec->referenced * PAGE_BYTES,
					    .unique_bytes = rec->unique * PAGE_BYTES,
					    .written_bytes = written * PAGE_BYTES,
					    .clone_count = snapshot->clones,
					    .hold_count = rec->hold_count,
					    .counted = !snapshot->pending};
	snapshot_name(pool, snapshot, info->name);
	memcpy(info->guid, rec->guid, sizeof(info->guid));
	for (unsigned i = 0; i < rec->hold_count && i < SNAPSHOT_HOLDS_MAX; i++)
		memcpy(info->holds[i], rec->holds[i], sizeof(info->holds[i]));
}

int pool_volume_next(struct pool *pool, unsigned *cursor, struct pool_volume_info *ret_info)
{
	for (uint32_t id = *cursor; id < pool->volume_limit; id++) {
		const struct volume *volume = volume_at(pool, id);

		if (!volume || volume->rec.state != VOLUME_LIVE)
			continue;
		volume_tell(pool, volume, ret_info);
		*cursor = id + 1;
		return 0;
	}
	return -ENOENT;
}

int pool_volume_find(struct pool *pool, const char *name, struct pool_volume_info *ret_info)
{
	const struct volume *volume = volume_find(pool, name);

	if (!volume)
		return -ENOENT;
	volume_tell(pool, volume, ret_info);
	return 0;
}

int pool_snapshot_next(struct pool *pool, unsigned *cursor, struct pool_snapshot_info *ret_info)
{
	for (uint32_t id = *cursor; id < pool->snapshot_limit; id++) {
		const struct snapshot *snapshot = snapshot_at(pool, id);

		if (!snapshot || snapshot->rec.state != VOLUME_LIVE)
			continue;
		snapshot_tell(pool, snapshot, ret_info);
		*cursor = id + 1;
		return 0;
	}
	return -ENOENT;
}

int pool_snapshot_find(struct pool *pool, const char *name, struct pool_snapshot_info *ret_info)
{
	struct snapshot *snapshot;
	const int r = snapshot_parse(pool, name, &snapshot, NULL);

	if (r == 0)
		snapshot_tell(pool, snapshot, ret_info);
	return r;
}
