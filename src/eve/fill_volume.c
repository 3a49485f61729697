/* SPDX-License-Identifier: Apache-2.0 */
/* A volume, as ZInfoVolume, and the envelope of state. */
#include <string.h>

#include <quoin/base_text.h>
#include <quoin/control_spec.h>

#include "fill.h"

#define PERCENT_STEP 10

/* Told anew when it moved by so much: exact numbers are in metrics. */
static uint64_t step_bytes(uint64_t size_bytes)
{
	return MAX(1 * MiB, MIN(size_bytes / 64, 256 * MiB));
}

static uint64_t shown_bytes(uint64_t shown, const struct control_volume_health *volume)
{
	const uint64_t now = volume->referenced_bytes;
	const uint64_t moved = now > shown ? now - shown : shown - now;

	return now == 0 || moved >= step_bytes(volume->size_bytes) ? now : shown;
}

static char *guid_text(struct eve_arena *arena, const uint8_t guid[16])
{
	char *text = eve_arena_take(arena, CONTROL_UUID_TEXT_MAX);

	return control_uuid_format(guid, text);
}

static char *name_text(struct eve_arena *arena, const struct eve_pool_view *pool,
		       const struct control_volume_health *volume)
{
	CLEANUP_FREE char *name = xasprintf("%s/%s", pool->health.info.name, volume->name);

	return eve_arena_text(arena, name);
}

/* What is wrong with it, and when it may get better; NULL: nothing. */
struct trouble {
	const char *words, *retry;
};

static const struct trouble *trouble_of(const struct eve_pool_view *pool,
					const struct control_volume_health *volume)
{
	static const struct trouble paused = {"its guest waits for space in the pool",
					      "when there is more room"};
	static const struct trouble failed = {"its image did not arrive", ""};
	static const struct trouble waiting = {"its image cannot be fetched now",
					       "when its source answers"};
	static const struct trouble suspended = {"its pool is suspended",
						 "when the drives of the pool are back"};

	if (strcmp(volume->arrival, "failed") == 0)
		return &failed;
	if (eve_view_suspended(&pool->health))
		return &suspended;
	if (volume->paused)
		return &paused;
	return strcmp(volume->arrival, "waiting") == 0 ? &waiting : NULL;
}

static Eve__ErrorInfo *trouble_fill(const struct eve_fill *fill, const struct trouble *trouble,
				    const Eve__ZInfoVolume *info,
				    const struct eve_volume_memory *memory)
{
	Eve__ErrorInfo *error = eve_arena_take(fill->arena, sizeof(*error));
	Eve__DeviceEntity *entity = eve_arena_take(fill->arena, sizeof(*entity));

	eve__device_entity__init(entity);
	entity->entity = EVE__ENTITY__ENTITY_VOLUME;
	entity->entity_id = info->uuid;
	entity->entity_name = info->displayname;
	eve__error_info__init(error);
	error->description = eve_arena_text(fill->arena, trouble->words);
	error->timestamp = eve_fill_time(fill->arena, memory->error_ms);
	error->severity = EVE__SEVERITY__SEVERITY_ERROR;
	error->n_entities = 1;
	error->entities = eve_arena_take(fill->arena, sizeof(*error->entities));
	error->entities[0] = entity;
	error->retry_condition = eve_arena_text(fill->arena, trouble->retry);
	return error;
}

/* An image that arrives: how far it is, in steps. */
static void progress_fill(const struct control_volume_health *volume,
			  struct eve_volume_memory *memory, Eve__ZInfoVolume *info)
{
	const unsigned percent = MIN(volume->arrival_percent, 100U);

	if (volume->arrival[0] == '\0') {
		info->state = EVE__ZSW_STATE__CREATED_VOLUME;
		info->progresspercentage = 100;
		return;
	}
	if (percent >= memory->shown_percent + PERCENT_STEP || percent < memory->shown_percent)
		memory->shown_percent = percent / PERCENT_STEP * PERCENT_STEP;
	info->state = strcmp(volume->arrival, "failed") == 0 ? EVE__ZSW_STATE__ERROR
							     : EVE__ZSW_STATE__CREATING_VOLUME;
	info->progresspercentage = memory->shown_percent;
}

Eve__ZInfoVolume *eve_fill_volume(const struct eve_fill *fill, const struct eve_pool_view *pool,
				  const struct control_volume_health *volume,
				  struct eve_volume_memory *memory)
{
	const struct trouble *trouble = trouble_of(pool, volume);
	Eve__ZInfoVolume *info = eve_fill_gone(fill->arena, volume->guid);

	memory->shown_bytes = shown_bytes(memory->shown_bytes, volume);
	if (!trouble)
		memory->error_ms = 0;
	else if (memory->error_ms == 0)
		memory->error_ms = fill->now_ms;
	info->displayname = name_text(fill->arena, pool, volume);
	info->usage = eve_arena_take(fill->arena, sizeof(*info->usage));
	eve__usage_info__init(info->usage);
	info->usage->createtime = eve_fill_time(fill->arena, volume->created_s * 1000);
	info->usage->refcount = volume->in_use;
	info->resources = eve_arena_take(fill->arena, sizeof(*info->resources));
	eve__volume_resources__init(info->resources);
	info->resources->maxsizebytes = volume->size_bytes;
	info->resources->cursizebytes = memory->shown_bytes;
	progress_fill(volume, memory, info);
	if (trouble)
		info->volumeerr = trouble_fill(fill, trouble, info, memory);
	return info;
}

/* Members are copied one by one into zeroes: it is compared as bytes. */
bool eve_fill_volume_same(const struct control_volume_health *volume, bool suspended,
			  const struct eve_volume_memory *memory, struct eve_volume_seen *seen)
{
	struct eve_volume_seen now;
	bool same;

	memset(&now, 0, sizeof(now));
	memcpy(now.volume.name, volume->name, sizeof(now.volume.name));
	memcpy(now.volume.guid, volume->guid, sizeof(now.volume.guid));
	now.volume.paused = volume->paused;
	now.volume.in_use = volume->in_use;
	now.volume.arrival = volume->arrival;
	now.volume.arrival_percent = volume->arrival_percent;
	now.volume.size_bytes = volume->size_bytes;
	now.volume.referenced_bytes = shown_bytes(memory->shown_bytes, volume);
	now.volume.created_s = volume->created_s;
	now.suspended = suspended;
	same = memcmp(&now, seen, sizeof(now)) == 0;
	memcpy(seen, &now, sizeof(now));
	return same;
}

Eve__ZInfoVolume *eve_fill_gone(struct eve_arena *arena, const uint8_t guid[16])
{
	Eve__ZInfoVolume *info = eve_arena_take(arena, sizeof(*info));

	eve__zinfo_volume__init(info);
	info->uuid = guid_text(arena, guid);
	return info;
}

Eve__ZInfoMsg *eve_fill_info(const struct eve_fill *fill, Eve__ZInfoDevice *device,
			     Eve__ZInfoVolume *volume)
{
	Eve__ZInfoMsg *message = eve_arena_take(fill->arena, sizeof(*message));

	eve__zinfo_msg__init(message);
	message->ztype = device ? EVE__ZINFO_TYPES__ZiDevice : EVE__ZINFO_TYPES__ZiVolume;
	message->devid = eve_arena_text(fill->arena, fill->device);
	message->attimestamp = eve_fill_time(fill->arena, fill->now_ms);
	message->dinfo = device;
	message->vinfo = volume;
	return message;
}
