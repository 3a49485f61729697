/* SPDX-License-Identifier: Apache-2.0 */
/* Answers on pools, volumes and snapshots. Paths and words of the engine may be no UTF-8. */
#include <string.h>

#include <quoin/api_pool_json.h>
#include <quoin/base_assert.h>
#include <quoin/base_text.h>

static json_t *number(uint64_t value)
{
	return json_integer((json_int_t)MIN(value, (uint64_t)INT64_MAX));
}

/* What is not UTF-8 is shown with '?' in place of the bytes that are no ASCII. */
static json_t *text(const char *value)
{
	char ascii[CONTROL_SOURCE_MAX + 1];
	json_t *json = json_string(value);
	size_t i;

	if (json)
		return json;
	for (i = 0; value[i] && i < sizeof(ascii) - 1; i++)
		ascii[i] = value[i] >= 0x20 && value[i] < 0x7F ? value[i] : '?';
	ascii[i] = '\0';
	return json_string(ascii);
}

static json_t *text_or_null(const char *value)
{
	return value[0] != '\0' ? text(value) : json_null();
}

static json_t *uuid(const uint8_t value[16])
{
	char words[CONTROL_UUID_TEXT_MAX];

	return json_string(control_uuid_format(value, words));
}

struct member {
	const char *key;
	json_t *value; /* taken */
};

static void put(json_t *json, const struct member *members, size_t count)
{
	for (size_t i = 0; i < count; i++)
		ASSERT(json_object_set_new(json, members[i].key, members[i].value) == 0);
}

#define PUT(json, ...)                                         \
	do {                                                   \
		const struct member members[] = {__VA_ARGS__}; \
		put((json), members, ARRAY_SIZE(members));     \
	} while (0)

/* --- Pools ---------------------------------------------------------------------------------------
 */

static json_t *drive_encode(const struct control_drive_info *drive)
{
	json_t *json = json_object();

	PUT(json, {"path", text_or_null(drive->path)}, {"guid", uuid(drive->guid)},
	    {"state", json_string(drive->state ? drive->state : "unknown")},
	    {"group", json_integer(drive->group)}, {"mirrored", json_boolean(drive->mirrored)},
	    {"size_bytes", number(drive->size_bytes)}, {"read_errors", number(drive->read_errors)},
	    {"write_errors", number(drive->write_errors)},
	    {"check_errors", number(drive->check_errors)});
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

		PUT(item, {"object", text(object)}, {"offset", number(range->offset)},
		    {"length_bytes", number(range->length_bytes)});
		ASSERT(json_array_append_new(ranges, item) == 0);
	}
	PUT(json, {"ranges", ranges}, {"more_bytes", number(damage->more_bytes)});
	return json;
}

static void pool_numbers_put(json_t *json, const struct control_pool_info *info)
{
	PUT(json, {"memory_bytes", number(info->memory_bytes)},
	    {"size_bytes", number(info->size_bytes)},
	    {"allocated_bytes", number(info->allocated_bytes)},
	    {"freeing_bytes", number(info->freeing_bytes)},
	    {"discarding_bytes", number(info->discarding_bytes)},
	    {"discarded_bytes", number(info->discarded_bytes)},
	    {"reserved_bytes", number(info->reserved_bytes)},
	    {"reserve_bytes", number(info->reserve_bytes)},
	    {"available_bytes", number(info->available_bytes)},
	    {"data_bytes", number(info->data_bytes)}, {"shared_bytes", number(info->shared_bytes)},
	    {"metadata_bytes", number(info->metadata_bytes)},
	    {"log_bytes", number(info->log_bytes)}, {"volumes", json_integer(info->volume_count)},
	    {"snapshots", json_integer(info->snapshot_count)},
	    {"checkpoint", number(info->checkpoint)}, {"created_s", number(info->created_s)},
	    {"replayed_records", number(info->replayed_records)},
	    {"held_writes", number(info->held_writes)}, {"held_ns", number(info->held_ns)},
	    {"read_errors", number(info->read_errors)},
	    {"write_errors", number(info->write_errors)},
	    {"check_errors", number(info->check_errors)}, {"healed", number(info->healed)},
	    {"bad_blocks", number(info->bad_blocks)},
	    {"refused_writes", number(info->refused_writes)},
	    {"lost_bytes", number(info->lost_bytes)}, {"damage", damage_encode(info)});
}

/* null when there was none: a pool that failed has no state of it either. */
static json_t *trim_encode(const struct control_pool_trim *trim)
{
	json_t *json;

	if (!trim->state || strcmp(trim->state, "none") == 0)
		return json_null();
	json = json_object();
	PUT(json, {"state", json_string(trim->state)}, {"total_bytes", number(trim->total_bytes)},
	    {"passed_bytes", number(trim->passed_bytes)},
	    {"trimmed_bytes", number(trim->trimmed_bytes)},
	    {"failed_bytes", number(trim->failed_bytes)}, {"began_s", number(trim->began_s)},
	    {"ended_s", trim->ended_s != 0 ? number(trim->ended_s) : json_null()});
	return json;
}

json_t *api_pool_encode(const struct control_pool_info *info)
{
	const bool failed = strcmp(info->health, "failed") == 0;
	json_t *drives = json_array();
	json_t *json = json_object();

	for (unsigned i = 0; i < info->drive_count; i++)
		ASSERT(json_array_append_new(drives, drive_encode(&info->drives[i])) == 0);
	PUT(json, {"name", text(info->name)}, {"guid", uuid(info->guid)},
	    {"health", json_string(info->health)}, {"problem", text_or_null(info->problem)},
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
		ASSERT(json_array_append_new(paths, text(found->paths[i])) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(found->rewind); i++) {
		if (found->rewind[i] != 0)
			ASSERT(json_array_append_new(rewind, number(found->rewind[i])) == 0);
	}
	PUT(json, {"name", text(found->name)}, {"guid", uuid(found->guid)},
	    {"host_name", text_or_null(found->host_name)},
	    {"exported", json_boolean(found->exported)},
	    {"other_host", json_boolean(found->other_host)},
	    {"drives_found", json_integer(found->drives_found)},
	    {"drives", json_integer(found->drive_count)}, {"checkpoint", number(found->checkpoint)},
	    {"time_s", number(found->time_s)}, {"rewind", rewind}, {"paths", paths});
	return json;
}

json_t *api_history_encode(const struct control_history_line *line)
{
	json_t *json = json_object();

	PUT(json, {"time_s", number(line->time_s)}, {"text", text(line->text)});
	return json;
}

json_t *api_export_encode(const struct control_export_info *info)
{
	json_t *json = json_object();

	PUT(json, {"id", json_integer(info->id)}, {"name", text(info->name)},
	    {"to", text(info->path)}, {"format", json_string(info->format)},
	    {"state", json_string(info->state)}, {"problem", text_or_null(info->problem)},
	    {"size_bytes", number(info->size_bytes)}, {"data_bytes", number(info->data_bytes)},
	    {"done_bytes", number(info->done_bytes)}, {"elapsed_ms", number(info->elapsed_ms)});
	return json;
}

/* --- Volumes and snapshots
 * ------------------------------------------------------------------------ */

/* Seconds to the end at the rate of now; null when that says nothing. */
static json_t *eta(const struct control_deploy_info *info)
{
	if (strcmp(info->state, "arriving") != 0 || info->rate_now == 0)
		return json_null();
	return number((info->image_bytes - info->here_bytes) / info->rate_now);
}

json_t *api_deploy_encode(const struct control_deploy_info *info)
{
	json_t *json = json_object();

	PUT(json, {"state", json_string(info->state)},
	    {"mode", json_string(info->first ? "first" : "online")},
	    {"problem", text_or_null(info->problem)}, {"source", text_or_null(info->source)},
	    {"image_bytes", number(info->image_bytes)}, {"here_bytes", number(info->here_bytes)},
	    {"fetched_bytes", number(info->fetched_bytes)},
	    {"verified_bytes", number(info->verified_bytes)},
	    {"verify_bytes", number(info->verify_bytes)}, {"rate_limit", number(info->rate_limit)},
	    {"rate", number(info->rate_now)}, {"eta_s", eta(info)},
	    {"access", info->access ? json_string(info->access) : json_null()},
	    {"original_bytes", number(info->original_bytes)},
	    {"passed_bytes", number(info->passed_bytes)}, {"again", json_boolean(info->again)});
	return json;
}

json_t *api_snapshot_encode(const struct control_snapshot_info *info)
{
	json_t *holds = json_array();
	json_t *json = json_object();

	for (unsigned i = 0; i < info->hold_count; i++)
		ASSERT(json_array_append_new(holds, text(info->holds[i])) == 0);
	PUT(json, {"name", text(info->name)}, {"guid", uuid(info->guid)},
	    {"created_s", number(info->created_s)}, {"size_bytes", number(info->size_bytes)},
	    {"referenced_bytes", number(info->referenced_bytes)},
	    {"unique_bytes", number(info->unique_bytes)},
	    {"written_bytes", number(info->written_bytes)},
	    {"counted", json_boolean(info->counted)}, {"clones", json_integer(info->clone_count)},
	    {"holds", holds}, {"template", json_boolean(info->template)});
	return json;
}
