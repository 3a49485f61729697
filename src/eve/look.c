/* SPDX-License-Identifier: Apache-2.0 */
/* What changed; see look.h. */
#include "look.h"

#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/control_spec.h>

#include "json.h"

static struct eve_fill fill_of(const struct eve_look *look, const struct eve_view *view,
			       struct eve_arena *arena, uint64_t wall_ms)
{
	return (struct eve_fill){.arena = arena,
				 .view = view,
				 .totals = &look->totals,
				 .device = look->config.device,
				 .version = look->version,
				 .now_ms = wall_ms};
}

/* --- Counters ------------------------------------------------------------------------------- */

static struct eve_total_entry *note(struct eve_look *look, const struct eve_pool_view *pool,
				    const uint8_t guid[16], const struct control_io_sums *sums)
{
	struct eve_total_entry key = {.is_drive = false};

	memcpy(key.guid, guid, sizeof(key.guid));
	memcpy(key.pool, pool->health.info.guid, sizeof(key.pool));
	return eve_totals_note(&look->totals, &key, sums, pool->health.born_ns);
}

static void drive_note(struct eve_look *look, const struct eve_pool_view *pool,
		       const struct control_drive_info *drive)
{
	struct eve_total_entry key = {.is_drive = true};
	struct control_io_sums sums = {.busy_ns = drive->io.busy_ns};

	if (control_uuid_is_zero(drive->guid))
		return;
	memcpy(key.guid, drive->guid, sizeof(key.guid));
	memcpy(key.pool, pool->health.info.guid, sizeof(key.pool));
	memcpy(sums.requests, drive->io.requests, sizeof(sums.requests));
	memcpy(sums.bytes, drive->io.bytes, sizeof(sums.bytes));
	memcpy(sums.ns, drive->io.ns, sizeof(sums.ns));
	eve_totals_note(&look->totals, &key, &sums, pool->health.born_ns);
}

static void pool_note(struct eve_look *look, const struct eve_pool_view *pool)
{
	const struct control_pool_info *info = &pool->health.info;

	note(look, pool, info->guid, &pool->health.io.sums);
	for (unsigned i = 0; i < info->drive_count; i++)
		drive_note(look, pool, &info->drives[i]);
}

/* --- What is there -------------------------------------------------------------------------- */

static void device_look(struct eve_look *look, const struct eve_fill *fill, uint64_t now_ms)
{
	Eve__ZInfoDevice *device = eve_fill_device(fill);
	struct eve_bytes body = eve_encode(&device->base, EVE_BINARY);
	struct eve_bytes message;

	if (!eve_store_differs(&look->store.device, &body, now_ms))
		return;
	message = eve_encode(&eve_fill_info(fill, device, NULL)->base, look->config.format);
	eve_store_put(&look->store, &look->store.device, &message);
	look->store.changes++;
}

static void volume_tell(struct eve_look *look, const struct eve_fill *fill,
			struct eve_object *object, Eve__ZInfoVolume *info, uint64_t now_ms)
{
	struct eve_bytes body = eve_encode(&info->base, EVE_BINARY);
	struct eve_bytes message;

	if (!eve_store_differs(object, &body, now_ms))
		return;
	message = eve_encode(&eve_fill_info(fill, NULL, info)->base, look->config.format);
	eve_store_put(&look->store, object, &message);
	look->store.changes++;
}

/* False: it is not told as it is. */
static bool volume_look(struct eve_look *look, const struct eve_fill *fill,
			const struct eve_pool_view *pool,
			const struct control_volume_health *volume, uint64_t now_ms)
{
	struct eve_total_entry *entry = note(look, pool, volume->guid, volume->io);
	struct eve_object *object;
	bool same;

	/* Beyond the most that are kept. */
	if (!entry)
		return true;
	if (!entry->object)
		entry->object = eve_store_volume(&look->store, volume->guid);
	object = entry->object;
	memcpy(object->pool, pool->health.info.guid, sizeof(object->pool));
	object->look = look->number;
	same = eve_fill_volume_same(volume, eve_view_suspended(&pool->health), &object->memory,
				    &object->seen);
	if (!same || object->gone || object->version == 0 || object->differs_ms != 0) {
		object->gone = false;
		volume_tell(look, fill, object,
			    eve_fill_volume(fill, pool, volume, &object->memory), now_ms);
	}
	return object->differs_ms == 0;
}

/* --- What is not ---------------------------------------------------------------------------- */

static const struct eve_pool_view *pool_of(const struct eve_view *view, const uint8_t guid[16])
{
	for (unsigned i = 0; i < view->pool_count; i++) {
		if (memcmp(view->pools[i]->health.info.guid, guid, 16) == 0)
			return view->pools[i];
	}
	return NULL;
}

static struct eve_look_pool *here_find(struct eve_look *look, const uint8_t pool[16])
{
	for (unsigned i = 0; i < look->pool_count; i++) {
		if (memcmp(look->pools[i].known.guid, pool, 16) == 0)
			return &look->pools[i];
	}
	return NULL;
}

static bool is_gone(struct eve_look *look, const struct eve_view *view,
		    const struct eve_total_entry *entry)
{
	const struct eve_pool_view *pool = pool_of(view, entry->pool);
	const struct eve_look_pool *here = here_find(look, entry->pool);

	if (entry->gone)
		return true;
	if (!pool)
		return here != NULL;
	return pool->health.age_ms != UINT64_MAX && pool->health.volumes_known && !pool->as_known &&
	       !(entry->object && here && entry->object->look == here->number);
}

static void gone_look(struct eve_look *look, const struct eve_fill *fill,
		      struct eve_total_entry *entry, uint64_t now_ms)
{
	struct eve_object *object = entry->object;
	Eve__ZInfoVolume *info;

	if (!object)
		object = entry->object = eve_store_volume(&look->store, entry->guid);
	info = eve_fill_gone(fill->arena, entry->guid);
	volume_tell(look, fill, object, info, now_ms);
	/* It may come back within the time in which changes settle. */
	if (object->gone || object->differs_ms != 0)
		return;
	object->gone = entry->gone = look->totals.changed = true;
	object->gone_ms = now_ms;
	object->memory = (struct eve_volume_memory){.shown_bytes = 0};
}

static bool is_volume(const struct eve_total_entry *entry)
{
	return !entry->is_drive && memcmp(entry->guid, entry->pool, sizeof(entry->guid)) != 0;
}

/* Its counters, and those of its drives, are kept for a while, for a pool that comes back. */
static bool pool_is_over(struct eve_look *look, const struct eve_view *view,
			 struct eve_total_entry *entry, uint64_t now_ms)
{
	if (pool_of(view, entry->pool) || !here_find(look, entry->pool))
		entry->absent_ms = 0;
	else if (entry->absent_ms == 0)
		entry->absent_ms = now_ms;
	return entry->absent_ms != 0 && now_ms - entry->absent_ms >= EVE_GONE_KEPT_MS;
}

static void gone_find(struct eve_look *look, const struct eve_fill *fill, uint64_t now_ms)
{
	for (unsigned i = look->totals.count; i > 0; i--) {
		struct eve_total_entry *entry = &look->totals.entries[i - 1];

		if (!is_volume(entry)) {
			if (pool_is_over(look, fill->view, entry, now_ms))
				eve_totals_drop(&look->totals, entry->guid);
			continue;
		}
		if (!is_gone(look, fill->view, entry))
			continue;
		gone_look(look, fill, entry, now_ms);
		if (!eve_store_is_over(&look->store, entry->object, now_ms))
			continue;
		eve_store_drop(&look->store, entry->object);
		eve_totals_drop(&look->totals, entry->guid);
	}
}

/* Those that are here stay in the list until all their volumes are told to be gone. */
static void pools_note(struct eve_look *look, const struct eve_view *view)
{
	for (unsigned i = 0; i < view->pool_count; i++) {
		const uint8_t *guid = view->pools[i]->health.info.guid;
		struct eve_look_pool *pool;

		if (here_find(look, guid))
			continue;
		/* The oldest of more than can be here at a time makes room. */
		if (look->pool_count == CONTROL_POOLS_MAX)
			memmove(&look->pools[0], &look->pools[1],
				--look->pool_count * sizeof(look->pools[0]));
		pool = &look->pools[look->pool_count++];
		memset(pool, 0, sizeof(*pool));
		memcpy(pool->known.guid, guid, sizeof(pool->known.guid));
	}
}

/* --- State ---------------------------------------------------------------------------------- */

void eve_look_known(const struct eve_look *look, struct eve_known *ret_known)
{
	ret_known->count = 0;
	for (unsigned i = 0; i < look->pool_count; i++) {
		if (look->pools[i].is_known)
			ret_known->pools[ret_known->count++] = look->pools[i].known;
	}
}

static void volumes_look(struct eve_look *look, const struct eve_fill *fill,
			 const struct eve_pool_view *pool, uint64_t now_ms)
{
	struct eve_look_pool *here = here_find(look, pool->health.info.guid);
	bool all_told = true;

	for (unsigned v = 0; v < pool->volume_count; v++)
		all_told = volume_look(look, fill, pool, &pool->volumes[v], now_ms) && all_told;
	here->number = look->number;
	here->known.born_ns = pool->health.born_ns;
	here->known.volumes_version = pool->health.volumes_version;
	here->known.suspended = eve_view_suspended(&pool->health);
	here->is_known = all_told;
}

bool eve_look_state(struct eve_look *look, const struct eve_view *view, struct eve_moment moment)
{
	struct eve_arena arena = {.blocks = NULL};
	const struct eve_fill fill = fill_of(look, view, &arena, moment.wall_ms);
	const uint64_t before = look->store.changes;

	look->number++;
	pools_note(look, view);
	device_look(look, &fill, moment.now_ms);
	for (unsigned p = 0; p < view->pool_count; p++) {
		const struct eve_pool_view *pool = view->pools[p];

		if (pool->health.age_ms == UINT64_MAX)
			continue;
		pool_note(look, pool);
		if (!pool->as_known)
			volumes_look(look, &fill, pool, moment.now_ms);
	}
	gone_find(look, &fill, moment.now_ms);
	eve_arena_fini(&arena);
	return look->store.changes != before;
}

void eve_look_heartbeat(struct eve_look *look, const struct eve_view *view,
			struct eve_moment moment)
{
	struct eve_arena arena = {.blocks = NULL};
	const struct eve_fill fill = fill_of(look, view, &arena, moment.wall_ms);
	Eve__ZInfoDevice *device = eve_fill_device(&fill);
	struct eve_bytes message =
		eve_encode(&eve_fill_info(&fill, device, NULL)->base, look->config.format);

	/* It says what is: a change that was about to settle is told by it. */
	eve_bytes_fini(&look->store.device.body);
	look->store.device.body = eve_encode(&device->base, EVE_BINARY);
	look->store.device.differs_ms = 0;
	eve_store_put(&look->store, &look->store.device, &message);
	eve_arena_fini(&arena);
}

struct eve_bytes eve_look_metrics(struct eve_look *look, const struct eve_view *view,
				  struct eve_moment moment)
{
	struct eve_arena arena = {.blocks = NULL};
	const struct eve_fill fill = fill_of(look, view, &arena, moment.wall_ms);
	struct eve_bytes message = eve_encode(&eve_fill_metrics(&fill)->base, look->config.format);

	eve_arena_fini(&arena);
	return message;
}

void eve_look_hardware(struct eve_look *look, const struct eve_view *view, struct eve_moment moment)
{
	struct eve_arena arena = {.blocks = NULL};
	const struct eve_fill fill = fill_of(look, view, &arena, moment.wall_ms);
	struct eve_bytes message = eve_encode(&eve_fill_hardware(&fill)->base, look->config.format);

	eve_store_put(&look->store, &look->store.hardware, &message);
	eve_arena_fini(&arena);
}

/* --- Printed -------------------------------------------------------------------------------- */

static void message_print(const struct eve_printer *to, enum eve_kind kind,
			  const ProtobufCMessage *message)
{
	json_t *json;
	struct eve_bytes bytes;

	if (to->frames) {
		bytes = eve_encode(message, EVE_BINARY);
		eve_frame_append(to->frames, kind + 1, &bytes);
		eve_bytes_fini(&bytes);
		return;
	}
	json = eve_json_encode(message);
	if (kind == EVE_KIND_INFO)
		ASSERT(json_array_append_new(json_object_get(to->json, "info"), json) == 0);
	else
		ASSERT(json_object_set_new(to->json,
					   kind == EVE_KIND_METRICS ? "metrics" : "hardwarehealth",
					   json) == 0);
}

void eve_look_print(const struct eve_look *look, const struct eve_view *view, uint64_t wall_ms,
		    const struct eve_printer *to)
{
	struct eve_arena arena = {.blocks = NULL};
	const struct eve_fill fill = fill_of(look, view, &arena, wall_ms);

	if (to->json)
		ASSERT(json_object_set_new(to->json, "info", json_array()) == 0);
	message_print(to, EVE_KIND_INFO, &eve_fill_info(&fill, eve_fill_device(&fill), NULL)->base);
	for (unsigned p = 0; p < view->pool_count; p++) {
		const struct eve_pool_view *pool = view->pools[p];

		for (unsigned v = 0; v < pool->volume_count; v++) {
			struct eve_volume_memory memory = {.shown_bytes = 0};
			Eve__ZInfoVolume *info =
				eve_fill_volume(&fill, pool, &pool->volumes[v], &memory);

			message_print(to, EVE_KIND_INFO, &eve_fill_info(&fill, NULL, info)->base);
		}
	}
	message_print(to, EVE_KIND_METRICS, &eve_fill_metrics(&fill)->base);
	message_print(to, EVE_KIND_HARDWARE, &eve_fill_hardware(&fill)->base);
	eve_arena_fini(&arena);
}

/* --- Life ----------------------------------------------------------------------------------- */

void eve_look_init(struct eve_look *look, const struct eve_config *config, const char *version)
{
	memset(look, 0, sizeof(*look));
	eve_store_init(&look->store);
	look->config = *config;
	look->version = version;
}

void eve_look_renew(struct eve_look *look, const struct eve_config *config)
{
	eve_store_fini(&look->store);
	eve_store_init(&look->store);
	for (unsigned i = 0; i < look->totals.count; i++)
		look->totals.entries[i].object = NULL;
	for (unsigned i = 0; i < look->pool_count; i++)
		look->pools[i].is_known = false;
	look->config = *config;
	look->renewals++;
}

void eve_look_fini(struct eve_look *look)
{
	eve_store_fini(&look->store);
	eve_totals_fini(&look->totals);
}
