/* SPDX-License-Identifier: Apache-2.0 */
/* Answers on pools, volumes and snapshots. Paths and words of the engine may be no UTF-8. */
#include <string.h>

#include <quoin/api_pool_json.h>
#include <quoin/base_text.h>

#include "parts.h"

/* --- Pools ---------------------------------------------------------------------------------------
 */

static json_t *drive_encode(const struct control_drive_info *drive)
{
	json_t *json = json_object();

	PART_PUT(json, {"path", part_text_or_null(drive->path)}, {"guid", part_uuid(drive->guid)},
		 {"state", json_string(drive->state ? drive->state : "unknown")},
		 {"group", json_integer(drive->group)}, {"mirrored", json_boolean(drive->mirrored)},
		 {"size_bytes", part_number(drive->size_bytes)},
		 {"read_errors", part_number(drive->read_errors)},
		 {"write_errors", part_number(drive->write_errors)},
		 {"check_errors", part_number(drive->check_errors)});
	return json;
}

static json_t *damage_encode(const struct control_pool_info *info)
{
	const struct control_damage *damage = &info->damage;
	json_t *ranges = json_array();
	json_t *json = json_object();

	for (unsigned i = 0; i < damage->count; i++) {
		const struct control_damage_range *range = &damage->ranges[i];
		CLEANUP_FREE char *object = xasprintf("%s/%s", info->name, range->name);
		json_t *item = json_object();

		PART_PUT(item, {"object", part_text(object)},
			 {"offset", part_number(range->offset)},
			 {"length_bytes", part_number(range->length_bytes)});
		part_append(ranges, item);
	}
	PART_PUT(json, {"ranges", ranges}, {"more_bytes", part_number(damage->more_bytes)});
	return json;
}

static void pool_numbers_put(json_t *json, const struct control_pool_info *info)
{
	PART_PUT(json, {"memory_bytes", part_number(info->memory_bytes)},
		 {"size_bytes", part_number(info->size_bytes)},
		 {"allocated_bytes", part_number(info->allocated_bytes)},
		 {"freeing_bytes", part_number(info->freeing_bytes)},
		 {"discarding_bytes", part_number(info->discarding_bytes)},
		 {"discarded_bytes", part_number(info->discarded_bytes)},
		 {"reserved_bytes", part_number(info->reserved_bytes)},
		 {"reserve_bytes", part_number(info->reserve_bytes)},
		 {"available_bytes", part_number(info->available_bytes)},
		 {"data_bytes", part_number(info->data_bytes)},
		 {"shared_bytes", part_number(info->shared_bytes)},
		 {"metadata_bytes", part_number(info->metadata_bytes)},
		 {"log_bytes", part_number(info->log_bytes)},
		 {"volumes", json_integer(info->volume_count)},
		 {"snapshots", json_integer(info->snapshot_count)},
		 {"checkpoint", part_number(info->checkpoint)},
		 {"created_s", part_number(info->created_s)},
		 {"replayed_records", part_number(info->replayed_records)},
		 {"held_writes", part_number(info->held_writes)},
		 {"held_ns", part_number(info->held_ns)},
		 {"read_errors", part_number(info->read_errors)},
		 {"write_errors", part_number(info->write_errors)},
		 {"check_errors", part_number(info->check_errors)},
		 {"healed", part_number(info->healed)},
		 {"bad_blocks", part_number(info->bad_blocks)},
		 {"refused_writes", part_number(info->refused_writes)},
		 {"lost_bytes", part_number(info->lost_bytes)}, {"damage", damage_encode(info)});
}

/* null when there was none: a pool that failed has no state of it either. */
static json_t *trim_encode(const struct control_pool_trim *trim)
{
	json_t *json;

	if (!trim->state || strcmp(trim->state, "none") == 0)
		return json_null();
	json = json_object();
	PART_PUT(json, {"state", json_string(trim->state)},
		 {"total_bytes", part_number(trim->total_bytes)},
		 {"passed_bytes", part_number(trim->passed_bytes)},
		 {"trimmed_bytes", part_number(trim->trimmed_bytes)},
		 {"failed_bytes", part_number(trim->failed_bytes)},
		 {"began_s", part_number(trim->began_s)},
		 {"ended_s", trim->ended_s != 0 ? part_number(trim->ended_s) : json_null()});
	return json;
}

json_t *api_pool_encode(const struct control_pool_info *info)
{
	const bool failed = strcmp(info->health, "failed") == 0;
	json_t *drives = json_array();
	json_t *json = json_object();

	for (unsigned i = 0; i < info->drive_count; i++)
		part_append(drives, drive_encode(&info->drives[i]));
	PART_PUT(json, {"name", part_text(info->name)}, {"guid", part_uuid(info->guid)},
		 {"health", json_string(info->health)},
		 {"problem", part_text_or_null(info->problem)},
		 {"read_only", json_boolean(info->read_only)}, {"full", json_boolean(info->full)},
		 {"autotrim", json_boolean(info->autotrim)},
		 {"reserve_permille", json_integer(info->reserve_permille)},
		 {"worker", failed ? json_null() : json_integer(info->worker)}, {"drives", drives},
		 {"trim", trim_encode(&info->trim)});
	pool_numbers_put(json, info);
	return json;
}

json_t *api_pool_found_encode(const struct control_pool_found *found)
{
	json_t *paths = json_array();
	json_t *rewind = json_array();
	json_t *json = json_object();

	for (unsigned i = 0; i < found->drives_found; i++)
		part_append(paths, part_text(found->paths[i]));
	for (size_t i = 0; i < ARRAY_SIZE(found->rewind); i++) {
		if (found->rewind[i] != 0)
			part_append(rewind, part_number(found->rewind[i]));
	}
	PART_PUT(json, {"name", part_text(found->name)}, {"guid", part_uuid(found->guid)},
		 {"host_name", part_text_or_null(found->host_name)},
		 {"exported", json_boolean(found->exported)},
		 {"other_host", json_boolean(found->other_host)},
		 {"drives_found", json_integer(found->drives_found)},
		 {"drives", json_integer(found->drive_count)},
		 {"checkpoint", part_number(found->checkpoint)},
		 {"time_s", part_number(found->time_s)}, {"rewind", rewind}, {"paths", paths});
	return json;
}

json_t *api_history_encode(const struct control_history_line *line)
{
	json_t *json = json_object();

	PART_PUT(json, {"time_s", part_number(line->time_s)}, {"text", part_text(line->text)});
	return json;
}

json_t *api_export_encode(const struct control_export_info *info)
{
	json_t *json = json_object();

	PART_PUT(json, {"id", json_integer(info->id)}, {"name", part_text(info->name)},
		 {"to", part_text(info->path)}, {"format", json_string(info->format)},
		 {"state", json_string(info->state)}, {"problem", part_text_or_null(info->problem)},
		 {"size_bytes", part_number(info->size_bytes)},
		 {"data_bytes", part_number(info->data_bytes)},
		 {"done_bytes", part_number(info->done_bytes)},
		 {"elapsed_ms", part_number(info->elapsed_ms)});
	return json;
}

/* --- Volumes and snapshots
 * ------------------------------------------------------------------------ */

/* Seconds to the end at the rate of now; null when that says nothing. */
static json_t *eta(const struct control_deploy_info *info)
{
	if (strcmp(info->state, "arriving") != 0 || info->rate_now == 0)
		return json_null();
	return part_number((info->image_bytes - info->here_bytes) / info->rate_now);
}

json_t *api_deploy_encode(const struct control_deploy_info *info)
{
	json_t *json = json_object();

	PART_PUT(json, {"state", json_string(info->state)},
		 {"mode", json_string(info->first ? "first" : "online")},
		 {"problem", part_text_or_null(info->problem)},
		 {"source", part_text_or_null(info->source)},
		 {"image_bytes", part_number(info->image_bytes)},
		 {"here_bytes", part_number(info->here_bytes)},
		 {"fetched_bytes", part_number(info->fetched_bytes)},
		 {"verified_bytes", part_number(info->verified_bytes)},
		 {"verify_bytes", part_number(info->verify_bytes)},
		 {"rate_limit", part_number(info->rate_limit)},
		 {"rate", part_number(info->rate_now)}, {"eta_s", eta(info)},
		 {"access", info->access ? json_string(info->access) : json_null()},
		 {"original_bytes", part_number(info->original_bytes)},
		 {"passed_bytes", part_number(info->passed_bytes)},
		 {"again", json_boolean(info->again)});
	return json;
}

json_t *api_snapshot_encode(const struct control_snapshot_info *info)
{
	json_t *holds = json_array();
	json_t *json = json_object();

	for (unsigned i = 0; i < info->hold_count; i++)
		part_append(holds, part_text(info->holds[i]));
	PART_PUT(json, {"name", part_text(info->name)}, {"guid", part_uuid(info->guid)},
		 {"created_s", part_number(info->created_s)},
		 {"size_bytes", part_number(info->size_bytes)},
		 {"referenced_bytes", part_number(info->referenced_bytes)},
		 {"unique_bytes", part_number(info->unique_bytes)},
		 {"written_bytes", part_number(info->written_bytes)},
		 {"counted", json_boolean(info->counted)},
		 {"clones", json_integer(info->clone_count)}, {"holds", holds},
		 {"template", json_boolean(info->template)});
	return json;
}
