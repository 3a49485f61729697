/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /v1/health: how everything is, from kept counters: it waits for no verb, no loop, no drive.
 * Places of what this version does not do yet are there, and null.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/api_pool_json.h>
#include <quoin/base_assert.h>
#include <quoin/base_text.h>
#include <quoin/control_health.h>
#include <quoin/eve.h>
#include <quoin/health_drives.h>
#include <quoin/health_hook.h>

#include "routes.h"

#define NAMES_MAX 64 /* of volumes that wait for space */
#define DAMAGE_SAID_MAX 4

struct verdict {
	enum smart_verdict worst;
	json_t *reasons; /* [{"object", "verdict", "reason", "advice"}] */
};

static void put(json_t *json, const char *key, json_t *value)
{
	ASSERT(json_object_set_new(json, key, value) == 0);
}

static json_t *text_or_null(const char *value)
{
	char copy[ERR_TEXT_MAX];

	health_text_copy(copy, sizeof(copy), value);
	return copy[0] != '\0' ? json_string(copy) : json_null();
}

static json_t *number(uint64_t value)
{
	return json_integer((json_int_t)MIN(value, (uint64_t)INT64_MAX));
}

/* One thing that is not as it should be; its advice is that of the event. */
static void say(struct verdict *v, enum smart_verdict verdict, const char *object,
		enum health_event_type type, const char *reason)
{
	json_t *json = json_object();

	put(json, "object", text_or_null(object));
	put(json, "verdict", json_string(smart_verdict_word(verdict)));
	put(json, "reason", text_or_null(reason));
	put(json, "advice", text_or_null(health_event_advice(type)));
	ASSERT(json_array_append_new(v->reasons, json) == 0);
	v->worst = MAX(v->worst, verdict);
}

/* --- Pools ---------------------------------------------------------------------------------- */

/* Each range by itself would be many lines: the first ones, and how much more. */
static void damage_judge(const struct control_pool_info *info, struct verdict *v)
{
	const struct control_damage *damage = &info->damage;
	char object[HEALTH_OBJECT_MAX + 1];
	char reason[160];

	for (unsigned i = 0; i < damage->count && i < DAMAGE_SAID_MAX; i++) {
		const struct control_damage_range *range = &damage->ranges[i];

		snprintf(object, sizeof(object), "%s/%s", info->name, range->name);
		snprintf(reason, sizeof(reason),
			 "%" PRIu64 " bytes at %" PRIu64 " cannot be read from any copy",
			 range->length_bytes, range->offset);
		say(v, SMART_FAILING, object, HEALTH_POOL_DAMAGED, reason);
	}
	if (damage->count > DAMAGE_SAID_MAX || damage->more_bytes > 0) {
		snprintf(reason, sizeof(reason),
			 "and %u more places cannot be read: see quoin pool status -v",
			 damage->count - MIN(damage->count, (unsigned)DAMAGE_SAID_MAX) +
				 (damage->more_bytes > 0));
		say(v, SMART_FAILING, info->name, HEALTH_POOL_DAMAGED, reason);
	}
}

static void state_judge(const struct control_pool_health *h, struct verdict *v)
{
	const struct control_pool_info *info = &h->info;

	if (h->timed_out)
		say(v, SMART_WARNING, info->name, HEALTH_DRIVE_SILENT, "collector: timed out");
	if (strcmp(info->health, "failed") == 0)
		say(v, SMART_FAILING, info->name, HEALTH_POOL_FAILED, info->problem);
	else if (strcmp(info->health, "suspended") == 0)
		say(v, SMART_FAILING, info->name, HEALTH_POOL_SUSPENDED, info->problem);
	else if (strcmp(info->health, "degraded") == 0)
		say(v, SMART_WARNING, info->name, HEALTH_POOL_DEGRADED, info->problem);
	damage_judge(info, v);
	if (info->lost_bytes > 0)
		say(v, SMART_WARNING, info->name, HEALTH_POOL_DAMAGED,
		    "metadata was damaged in all copies");
}

static void space_judge(const struct control_pool_health *h, struct verdict *v)
{
	if (h->info.full)
		say(v, SMART_FAILING, h->info.name, HEALTH_POOL_FULL, "guests cannot write");
	else if (h->near_full)
		say(v, SMART_WARNING, h->info.name, HEALTH_POOL_NEAR_FULL,
		    "guests have most of what they can have");
}

static void drives_judge(const struct control_pool_health *h, struct verdict *v)
{
	char object[HEALTH_OBJECT_MAX + 1];

	for (unsigned i = 0; i < h->info.drive_count; i++) {
		const struct control_drive_info *drive = &h->info.drives[i];
		char reason[64];

		control_drive_object(h->info.name, drive->path, object);
		snprintf(reason, sizeof(reason), "it is %s", drive->state);
		/* Of a pool that failed nobody knows. */
		if (strcmp(drive->state, "online") != 0 && strcmp(drive->state, "unknown") != 0)
			say(v, SMART_WARNING, object, HEALTH_DRIVE_LOST, reason);
		else if (drive->read_errors + drive->write_errors + drive->check_errors > 0)
			say(v, SMART_WARNING, object, HEALTH_DRIVE_ERRORS,
			    "it had errors, and is used");
	}
}

static json_t *worst_encode(const struct control_io *io)
{
	static const char *const kinds[] = {"read", "write", "other"};
	json_t *json;

	if (io->worst_ns == 0)
		return json_null();
	json = json_object();
	put(json, "ns", number(io->worst_ns));
	put(json, "kind", json_string(kinds[io->worst_kind]));
	put(json, "why", json_string(io->worst_why));
	put(json, "minutes_ago", json_integer(io->worst_ago_min));
	put(json, "during_checkpoint", json_boolean(io->worst_checkpoint));
	put(json, "failed", json_boolean(io->worst_failed));
	return json;
}

json_t *api_io_encode(const struct control_io_sums *sums)
{
	static const char *const names[CONTROL_IO_KINDS] = {"reads", "writes", "others"};
	json_t *json = json_object();

	for (unsigned i = 0; i < CONTROL_IO_KINDS; i++) {
		json_t *kind = json_object();

		put(kind, "requests", number(sums->requests[i]));
		put(kind, "bytes", number(sums->bytes[i]));
		put(kind, "ns", number(sums->ns[i]));
		put(json, names[i], kind);
	}
	put(json, "errors", number(sums->errors));
	put(json, "in_flight", json_integer(sums->in_flight));
	return json;
}

/* Volumes that wait for space; "volumes" itself is GET /v1/volumes. */
static json_t *paused_encode(struct control *control, const char *pool)
{
	CLEANUP_FREE struct control_volume_health *volumes = NULL;
	const unsigned count = control_health_volumes(control, pool, &volumes);
	json_t *all = json_array();

	for (unsigned i = 0; i < count && json_array_size(all) < NAMES_MAX; i++) {
		char name[CONTROL_OBJECT_MAX + 1];

		snprintf(name, sizeof(name), "%s/%s", pool, volumes[i].name);
		if (volumes[i].paused)
			ASSERT(json_array_append_new(all, json_string(name)) == 0);
	}
	return all;
}

static json_t *pool_encode(struct call *call, const struct control_pool_health *h,
			   struct verdict *all)
{
	struct verdict v = {.worst = SMART_PASSED, .reasons = all->reasons};
	const bool failed = h->age_ms == UINT64_MAX;
	json_t *json = api_pool_encode(&h->info);

	state_judge(h, &v);
	space_judge(h, &v);
	if (!failed)
		drives_judge(h, &v);
	put(json, "verdict", json_string(smart_verdict_word(v.worst)));
	put(json, "age_ms", failed ? json_null() : number(h->age_ms));
	put(json, "collector", h->timed_out ? json_string("collector: timed out") : json_null());
	put(json, "near_full", json_boolean(h->near_full));
	put(json, "full_in_s", h->full_in_s > 0 ? number(h->full_in_s) : json_null());
	put(json, "checkpoint_s", number(h->checkpoint_s));
	put(json, "checkpoint_ns", h->checkpoint_ns > 0 ? number(h->checkpoint_ns) : json_null());
	put(json, "pending_bytes", number(h->pending_bytes));
	put(json, "log_records", number(h->log_records));
	put(json, "io", api_io_encode(&h->io.sums));
	put(json, "worst_of_the_hour", worst_encode(&h->io));
	put(json, "paused_volumes", paused_encode(call->control, h->info.name));
	put(json, "scrub", json_null());
	put(json, "resilver", json_null());
	put(json, "squash", json_null());
	all->worst = MAX(all->worst, v.worst);
	return json;
}

static json_t *pools_encode(struct call *call, struct verdict *v)
{
	CLEANUP_FREE struct control_pool_health *h = xcalloc(1, sizeof(*h));
	json_t *all = json_array();

	for (unsigned i = 0; control_health_pool(call->control, i, h); i++)
		ASSERT(json_array_append_new(all, pool_encode(call, h, v)) == 0);
	return all;
}

/* --- The others ------------------------------------------------------------------------------- */

static void smart_judge_all(struct call *call, struct verdict *v)
{
	CLEANUP_FREE struct health_drive *drive = xcalloc(1, sizeof(*drive));
	struct health_drives *drives = control_drives(call->control);

	for (unsigned i = 0; health_drives_get(drives, i, drive); i++) {
		const struct smart_judgement *j = &drive->judgement;

		if (j->verdict == SMART_FAILING)
			say(v, SMART_FAILING, drive->name.object, HEALTH_DRIVE_FAILING, j->reason);
		else if (j->verdict == SMART_WARNING)
			say(v, SMART_WARNING, drive->name.object, HEALTH_DRIVE_WARNING, j->reason);
		if (strcmp(drive->problem, "collector: timed out") == 0)
			say(v, SMART_WARNING, drive->name.object, HEALTH_DRIVE_SILENT,
			    drive->problem);
	}
}

static json_t *events_encode(struct call *call, struct verdict *v)
{
	struct health_events_status status;
	json_t *json = json_object();

	health_events_status(control_events(call->control), &status);
	put(json, "newest", number(status.newest));
	put(json, "unsaved", number(status.unsaved));
	put(json, "problem", text_or_null(status.problem));
	if (status.problem[0] != '\0')
		say(v, SMART_WARNING, "quoind", HEALTH_EVENTS_LOST, status.problem);
	return json;
}

/* Who is told how things are, and does not hear. */
static void eve_judge(struct call *call, struct verdict *v)
{
	struct eve_status status;

	if (!call->context->eve)
		return;
	eve_status(call->context->eve, &status);
	for (unsigned i = 0; i < EVE_WAYS; i++) {
		if (status.ways[i].problem[0] != '\0')
			say(v, SMART_WARNING, "quoind", HEALTH_REPORT_FAILED,
			    status.ways[i].problem);
	}
}

static json_t *hooks_encode(struct call *call, struct verdict *v)
{
	static const char *const kinds[CONTROL_HOOKS] = {"program", "url"};
	struct health_hook_status status;
	json_t *all = json_array();

	for (unsigned i = 0; i < CONTROL_HOOKS; i++) {
		json_t *json;

		if (!control_health_hook(call->control, i, &status))
			continue;
		json = json_object();
		put(json, "kind", json_string(kinds[i]));
		put(json, "delivered", number(status.delivered));
		put(json, "given_up", number(status.failed));
		put(json, "retries", number(status.retries));
		put(json, "problem", text_or_null(status.problem));
		ASSERT(json_array_append_new(all, json) == 0);
		if (status.problem[0] != '\0')
			say(v, SMART_FAILING, "quoind", HEALTH_HOOK_FAILING, status.problem);
	}
	return all;
}

int api_health(struct call *call, struct err *err)
{
	struct verdict v = {.worst = SMART_PASSED, .reasons = json_array()};
	json_t *pools = pools_encode(call, &v);
	json_t *events = events_encode(call, &v);
	json_t *hooks = hooks_encode(call, &v);

	smart_judge_all(call, &v);
	eve_judge(call, &v);
	call->answer =
		json_pack("{s:s, s:o, s:o, s:o, s:o}", "verdict", smart_verdict_word(v.worst),
			  "problems", v.reasons, "pools", pools, "events", events, "hooks", hooks);
	ASSERT(call->answer != NULL);
	return 0;
}
