/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes printed as JSON; see volume_text.h. */
#include "volume_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/api_pool_json.h>
#include <quoin/base_assert.h>

#include "parts.h"

/* As api_pool_json.h has them: no larger than a signed number. */
static void number(struct text *t, const char *key, uint64_t value)
{
	text_word(t, key);
	text_number(t, (uint64_t)part_integer(value));
}

/* Names are ASCII without anything that JSON escapes; what is not is foreign bytes. */
static void name(struct text *t, const char *key, const char *value)
{
	char clean[CONTROL_OBJECT_MAX + 1];
	size_t i;

	text_word(t, key);
	if (value[0] == '\0') {
		text_word(t, "null");
		return;
	}
	for (i = 0; value[i] && i < sizeof(clean) - 1; i++)
		clean[i] =
			value[i] >= 0x20 && value[i] < 0x7F && value[i] != '"' && value[i] != '\\'
				? value[i]
				: '?';
	text_append(t, "\"", 1);
	text_append(t, clean, i);
	text_append(t, "\"", 1);
}

static void truth(struct text *t, const char *key, bool value)
{
	text_word(t, key);
	text_word(t, value ? "true" : "false");
}

/* Few have one. */
static void deploy_print(struct text *t, const struct control_deploy_info *info)
{
	CLEANUP_FREE char *printed = NULL;
	json_t *json;

	text_word(t, ",\"deploy\":");
	if (!info) {
		text_word(t, "null");
		return;
	}
	json = api_deploy_encode(info);
	printed = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	ASSERT(printed != NULL);
	text_word(t, printed);
}

void volume_print(struct text *t, const struct control_volume_info *info,
		  const struct control_deploy_info *deploy)
{
	const struct control_volume_set *set = &info->properties;
	char guid[CONTROL_UUID_TEXT_MAX];

	name(t, "{\"name\":", info->name);
	name(t, ",\"guid\":", control_uuid_format(info->guid, guid));
	name(t, ",\"origin\":", info->origin);
	name(t, ",\"target\":", info->target);
	number(t, ",\"size_bytes\":", info->size_bytes);
	number(t, ",\"quota_bytes\":", set->quota_bytes);
	number(t, ",\"refquota_bytes\":", set->refquota_bytes);
	number(t, ",\"reservation_bytes\":", set->reservation_bytes);
	number(t, ",\"refreservation_bytes\":", set->refreservation_bytes);
	name(t, ",\"full\":", set->pause_when_full ? "pause" : "error");
	truth(t, ",\"read_only\":", set->read_only);
	number(t, ",\"referenced_bytes\":", info->referenced_bytes);
	number(t, ",\"unique_bytes\":", info->unique_bytes);
	number(t, ",\"used_bytes\":", info->used_bytes);
	number(t, ",\"snapshots_bytes\":", info->snapshots_bytes);
	number(t, ",\"available_bytes\":", info->available_bytes);
	number(t, ",\"pending_bytes\":", info->pending_bytes);
	number(t, ",\"created_s\":", info->created_s);
	number(t, ",\"snapshots\":", info->snapshot_count);
	truth(t, ",\"paused\":", info->paused);
	deploy_print(t, deploy);
	text_word(t, "}");
}

static void io_print(struct text *t, const struct control_io_sums *sums)
{
	static const char *const kinds[CONTROL_IO_KINDS] = {
		"\"reads\":{\"requests\":", ",\"writes\":{\"requests\":",
		",\"others\":{\"requests\":"};

	for (unsigned i = 0; i < CONTROL_IO_KINDS; i++) {
		number(t, kinds[i], sums->requests[i]);
		number(t, ",\"bytes\":", sums->bytes[i]);
		number(t, ",\"ns\":", sums->ns[i]);
		text_word(t, "}");
	}
	number(t, ",\"errors\":", sums->errors);
	number(t, ",\"in_flight\":", sums->in_flight);
	for (unsigned i = 0; i < CONTROL_IO_BUCKETS; i++)
		number(t, i == 0 ? ",\"latency\":[" : ",", sums->latency[i]);
	text_word(t, "]");
}

/* Of many volumes there is nothing to tell: no request since the import. */
void volume_top_print(struct text *t, const struct control_pool_health *pool,
		      const struct control_volume_health *volume)
{
	char whole[CONTROL_OBJECT_MAX + 1];

	snprintf(whole, sizeof(whole), "%s/%s", pool->info.name, volume->name);
	name(t, "{\"name\":", whole);
	number(t, ",\"age_ms\":", pool->age_ms);
	number(t, ",\"size_bytes\":", volume->size_bytes);
	number(t, ",\"used_bytes\":", volume->used_bytes);
	truth(t, ",\"paused\":", volume->paused);
	text_word(t, ",\"io\":");
	if (!control_health_volume_used(volume)) {
		text_word(t, "null}");
		return;
	}
	text_word(t, "{");
	io_print(t, volume->io);
	text_word(t, "}}");
}
