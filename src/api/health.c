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

#include "parts.h"
#include "routes.h"

#define NAMES_MAX 64 /* of volumes that wait for space */
#define DAMAGE_SAID_MAX 4

struct verdict {
	enum smart_verdict worst;
	json_t *reasons; /* [{"object", "verdict", "reason", "advice"}] */
};

/* One thing that is not as it should be; its advice is that of the event. */
static void say(struct verdict *v, enum smart_verdict verdict, const char *object,
		enum health_event_type type, const char *reason)
{
	json_t *json = json_object();

	part_put(json, "object", part_words_or_null(object));
	part_put(json, "verdict", json_string(smart_verdict_word(verdict)));
	part_put(json, "reason", part_words_or_null(reason));
	part_put(json, "advice", part_words_or_null(health_event_advice(type)));
	part_append(v->reasons, json);
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
	part_put(json, "ns", part_number(io->worst_ns));
	part_put(json, "kind", json_string(kinds[io->worst_kind]));
	part_put(json, "why", json_string(io->worst_why));
	part_put(json, "minutes_ago", json_integer(io->worst_ago_min));
	part_put(json, "during_checkpoint", json_boolean(io->worst_checkpoint));
	part_put(json, "failed", json_boolean(io->worst_failed));
	return json;
}

json_t *api_io_encode(const struct control_io_sums *sums)
{
	static const char *const names[CONTROL_IO_KINDS] = {"reads", "writes", "others"};
	json_t *json = json_object();

	for (unsigned i = 0; i < CONTROL_IO_KINDS; i++) {
		json_t *kind = json_object();

		part_put(kind, "requests", part_number(sums->requests[i]));
		part_put(kind, "bytes", part_number(sums->bytes[i]));
		part_put(kind, "ns", part_number(sums->ns[i]));
		part_put(json, names[i], kind);
	}
	part_put(json, "errors", part_number(sums->errors));
	part_put(json, "in_flight", json_integer(sums->in_flight));
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
			part_append(all, json_string(name));
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
	part_put(json, "verdict", json_string(smart_verdict_word(v.worst)));
	part_put(json, "age_ms", failed ? json_null() : part_number(h->age_ms));
	part_put(json, "collector",
		 h->timed_out ? json_string("collector: timed out") : json_null());
	part_put(json, "near_full", json_boolean(h->near_full));
	part_put(json, "full_in_s", h->full_in_s > 0 ? part_number(h->full_in_s) : json_null());
	part_put(json, "checkpoint_s", part_number(h->checkpoint_s));
	part_put(json, "checkpoint_ns",
		 h->checkpoint_ns > 0 ? part_number(h->checkpoint_ns) : json_null());
	part_put(json, "pending_bytes", part_number(h->pending_bytes));
	part_put(json, "log_records", part_number(h->log_records));
	part_put(json, "io", api_io_encode(&h->io.sums));
	part_put(json, "worst_of_the_hour", worst_encode(&h->io));
	part_put(json, "paused_volumes", paused_encode(call->control, h->info.name));
	part_put(json, "scrub", json_null());
	part_put(json, "resilver", json_null());
	part_put(json, "squash", json_null());
	all->worst = MAX(all->worst, v.worst);
	return json;
}

static json_t *pools_encode(struct call *call, struct verdict *v)
{
	CLEANUP_FREE struct control_pool_health *h = xcalloc(1, sizeof(*h));
	json_t *all = json_array();

	for (unsigned i = 0; control_health_pool(call->control, i, h); i++)
		part_append(all, pool_encode(call, h, v));
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
	part_put(json, "newest", part_number(status.newest));
	part_put(json, "unsaved", part_number(status.unsaved));
	part_put(json, "problem", part_words_or_null(status.problem));
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
		part_put(json, "kind", json_string(kinds[i]));
		part_put(json, "delivered", part_number(status.delivered));
		part_put(json, "given_up", part_number(status.failed));
		part_put(json, "retries", part_number(status.retries));
		part_put(json, "problem", part_words_or_null(status.problem));
		part_append(all, json);
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
