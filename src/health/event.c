/* SPDX-License-Identifier: Apache-2.0 */
/* The table of types, and an event as JSON and back. */
#include <quoin/health_event.h>

#include <errno.h>
#include <string.h>

#include <quoin/base_assert.h>

#define LINE_MAX_BYTES 4096

struct type {
	const char *word;
	enum health_severity severity;
	const char *advice;
};

static const struct type types[HEALTH_EVENT_TYPES] = {
	[HEALTH_DAEMON_STARTED] = {"daemon.started", HEALTH_NOTICE, ""},
	[HEALTH_DAEMON_STOPPED] = {"daemon.stopped", HEALTH_NOTICE, ""},
	[HEALTH_DAEMON_UNCLEAN] = {"daemon.unclean", HEALTH_WARNING,
				   "see the system's log for a crash or a power cut; what was "
				   "flushed is there"},
	[HEALTH_EVENTS_LOST] = {"events.lost", HEALTH_WARNING,
				"make room on the file system of the state directory"},
	[HEALTH_HOOK_FAILING] = {"hook.failing", HEALTH_ERROR,
				 "see to what --event-program or --event-url names: events are not "
				 "handed on"},
	[HEALTH_HOOK_WELL] = {"hook.well", HEALTH_NOTICE, ""},
	[HEALTH_POOL_CREATED] = {"pool.created", HEALTH_NOTICE, ""},
	[HEALTH_POOL_IMPORTED] = {"pool.imported", HEALTH_NOTICE, ""},
	[HEALTH_POOL_EXPORTED] = {"pool.exported", HEALTH_NOTICE, ""},
	[HEALTH_POOL_DESTROYED] = {"pool.destroyed", HEALTH_NOTICE, ""},
	[HEALTH_POOL_CHANGED] = {"pool.changed", HEALTH_NOTICE, ""},
	[HEALTH_POOL_FAILED] = {"pool.failed", HEALTH_ERROR,
				"connect its drives, then: quoin pool import NAME"},
	[HEALTH_POOL_ONLINE] = {"pool.online", HEALTH_NOTICE, ""},
	[HEALTH_POOL_DEGRADED] = {"pool.degraded", HEALTH_WARNING,
				  "bring the drive back, or copy the volumes to another pool in "
				  "time"},
	[HEALTH_POOL_SUSPENDED] = {"pool.suspended", HEALTH_ERROR,
				   "see to its drives, then export and import it"},
	[HEALTH_POOL_HEALED] = {"pool.healed", HEALTH_WARNING,
				"a drive gave wrong data and a copy had the right ones; watch the "
				"drive's errors in quoin pool status"},
	[HEALTH_POOL_DAMAGED] = {"pool.damaged", HEALTH_ERROR,
				 "no copy was good: restore what is named from a snapshot or a "
				 "backup, and check the drives"},
	[HEALTH_POOL_NEAR_FULL] = {"pool.near_full", HEALTH_WARNING,
				   "destroy snapshots or volumes, discard in the guests, or use a "
				   "larger pool"},
	[HEALTH_POOL_FULL] = {"pool.full", HEALTH_ERROR,
			      "destroy snapshots or volumes, discard in the guests, or lower the "
			      "reserve"},
	[HEALTH_POOL_REFUSED] = {"pool.refused", HEALTH_ERROR,
				 "guests got an error: destroy snapshots or volumes, lower the "
				 "reserve, or look at the quotas"},
	[HEALTH_POOL_SPACE] = {"pool.space", HEALTH_NOTICE, ""},
	[HEALTH_DRIVE_LOST] =
		{"drive.lost", HEALTH_ERROR,
		 "connect it, then export and import the pool; one that failed is not "
		 "used again"},
	[HEALTH_DRIVE_ONLINE] = {"drive.online", HEALTH_NOTICE, ""},
	[HEALTH_DRIVE_ERRORS] =
		{"drive.errors", HEALTH_WARNING,
		 "check its cable and its S.M.A.R.T. values, and plan to replace it"},
	[HEALTH_DRIVE_WARNING] = {"drive.warning", HEALTH_WARNING,
				  "see quoin drive info, and plan to replace it"},
	[HEALTH_DRIVE_FAILING] = {"drive.failing", HEALTH_ERROR,
				  "copy what is on it in time, and replace it"},
	[HEALTH_DRIVE_WELL] = {"drive.well", HEALTH_NOTICE, ""},
	[HEALTH_DRIVE_SILENT] = {"drive.silent", HEALTH_WARNING,
				 "see whether the drive hangs, in the kernel's log"},
	[HEALTH_DRIVE_ANSWERS] = {"drive.answers", HEALTH_NOTICE, ""},
	[HEALTH_TEST_STARTED] = {"drive.test_started", HEALTH_NOTICE, ""},
	[HEALTH_TEST_ENDED] = {"drive.test_ended", HEALTH_NOTICE, ""},
	[HEALTH_TEST_FAILED] = {"drive.test_failed", HEALTH_ERROR,
				"copy what is on it in time, and replace it"},
	[HEALTH_TEST_REFUSED] = {"drive.test_refused", HEALTH_NOTICE,
				 "if it never takes one: quoin schedule set POOL short-test=off"},
	[HEALTH_VOLUME_CREATED] = {"volume.created", HEALTH_NOTICE, ""},
	[HEALTH_VOLUME_DESTROYED] = {"volume.destroyed", HEALTH_NOTICE, ""},
	[HEALTH_VOLUME_CHANGED] = {"volume.changed", HEALTH_NOTICE, ""},
	[HEALTH_VOLUME_RESIZED] = {"volume.resized", HEALTH_NOTICE, ""},
	[HEALTH_VOLUME_RENAMED] = {"volume.renamed", HEALTH_NOTICE, ""},
	[HEALTH_VOLUME_ROLLED_BACK] = {"volume.rolled_back", HEALTH_NOTICE, ""},
	[HEALTH_VOLUME_CLONED] = {"volume.cloned", HEALTH_NOTICE, ""},
	[HEALTH_VOLUME_PROMOTED] = {"volume.promoted", HEALTH_NOTICE, ""},
	[HEALTH_VOLUME_PAUSED] =
		{"volume.paused", HEALTH_ERROR,
		 "its guest waits for space: destroy snapshots or volumes, or lower "
		 "the reserve"},
	[HEALTH_VOLUME_RESUMED] = {"volume.resumed", HEALTH_NOTICE, ""},
	[HEALTH_SNAPSHOT_CREATED] = {"snapshot.created", HEALTH_NOTICE, ""},
	[HEALTH_SNAPSHOT_DESTROYED] = {"snapshot.destroyed", HEALTH_NOTICE, ""},
	[HEALTH_SNAPSHOT_RENAMED] = {"snapshot.renamed", HEALTH_NOTICE, ""},
	[HEALTH_SNAPSHOT_HELD] = {"snapshot.held", HEALTH_NOTICE, ""},
	[HEALTH_SNAPSHOT_RELEASED] = {"snapshot.released", HEALTH_NOTICE, ""},
	[HEALTH_TARGET_CREATED] = {"target.created", HEALTH_NOTICE, ""},
	[HEALTH_TARGET_DESTROYED] = {"target.destroyed", HEALTH_NOTICE, ""},
	[HEALTH_TARGET_FAILED] = {"target.failed", HEALTH_ERROR,
				  "see to its volume, then: quoin target start NAME"},
	[HEALTH_REPORT_FAILED] = {"report.failed", HEALTH_WARNING,
				  "what waits is told when it works again; see quoin eve show"},
	[HEALTH_REPORT_WORKS] = {"report.works", HEALTH_NOTICE, ""},
};

const char *health_event_word(enum health_event_type type)
{
	return types[type].word;
}

const char *health_event_advice(enum health_event_type type)
{
	return types[type].advice;
}

enum health_severity health_event_severity(enum health_event_type type)
{
	return types[type].severity;
}

/* --- Severities --------------------------------------------------------------------------- */

static const char *const severities[] = {
	[HEALTH_NOTICE] = "notice",
	[HEALTH_WARNING] = "warning",
	[HEALTH_ERROR] = "error",
};

const char *health_severity_word(enum health_severity severity)
{
	return severities[severity];
}

int health_severity_parse(const char *word, enum health_severity *ret_severity)
{
	for (unsigned i = 0; i < ARRAY_SIZE(severities); i++) {
		if (strcmp(severities[i], word) == 0) {
			*ret_severity = (enum health_severity)i;
			return 0;
		}
	}
	return -EINVAL;
}

/* --- Texts ---------------------------------------------------------------------------------- */

/* jansson is the judge of UTF-8 here: what it takes can be told as JSON. */
static bool is_utf8(const char *text)
{
	json_t *json = json_string(text);
	const bool good = json != NULL;

	json_decref(json);
	return good;
}

void health_text_copy(char *to, size_t size, const char *from)
{
	size_t length = strnlen(from, size - 1);

	memcpy(to, from, length);
	to[length] = '\0';
	/* Not half a character at the cut. */
	for (unsigned i = 0; i < 3 && from[length] != '\0' && length > 0 && !is_utf8(to); i++)
		to[--length] = '\0';
	if (!is_utf8(to)) {
		for (size_t i = 0; to[i]; i++)
			to[i] = (unsigned char)to[i] < 0x80 ? to[i] : '?';
	}
	for (size_t i = 0; to[i]; i++) {
		if ((unsigned char)to[i] < 0x20 || to[i] == 0x7F)
			to[i] = ' ';
	}
}

/* --- JSON ------------------------------------------------------------------------------------ */

json_t *health_event_encode(const struct health_event *event)
{
	const struct type *type = &types[event->type];
	json_t *json = json_pack("{s:I, s:I, s:s, s:s, s:s, s:s, s:s, s:i}", "number",
				 (json_int_t)event->number, "time_ms", (json_int_t)event->time_ms,
				 "type", type->word, "severity", severities[type->severity],
				 "object", event->object, "text", event->text, "advice",
				 type->advice, "count", (int)event->count);

	ASSERT(json != NULL);
	return json;
}

static int type_find(const char *word, enum health_event_type *ret_type)
{
	for (unsigned i = 0; i < HEALTH_EVENT_TYPES; i++) {
		if (strcmp(types[i].word, word) == 0) {
			*ret_type = (enum health_event_type)i;
			return 0;
		}
	}
	return -ENOTSUP;
}

/* A whole number from 1 to `max`. */
static bool number_get(const json_t *json, const char *key, uint64_t max, uint64_t *ret)
{
	const json_t *value = json_object_get(json, key);

	if (!json_is_integer(value) || json_integer_value(value) < 1 ||
	    (uint64_t)json_integer_value(value) > max)
		return false;
	*ret = (uint64_t)json_integer_value(value);
	return true;
}

static int members_decode(const json_t *json, struct health_event *ret_event)
{
	const char *word = json_string_value(json_object_get(json, "type"));
	const char *object = json_string_value(json_object_get(json, "object"));
	const char *text = json_string_value(json_object_get(json, "text"));
	struct health_event event = {.number = 0};
	uint64_t count = 0;
	int r;

	/* Numbers stay far from the end: the next ones must fit too. */
	if (!word || !object || !text ||
	    !number_get(json, "number", INT64_MAX / 2, &event.number) ||
	    !number_get(json, "time_ms", INT64_MAX, &event.time_ms) ||
	    !number_get(json, "count", INT32_MAX, &count))
		return -EINVAL;
	r = type_find(word, &event.type);
	if (r < 0)
		return r;
	event.count = (unsigned)count;
	health_text_copy(event.object, sizeof(event.object), object);
	health_text_copy(event.text, sizeof(event.text), text);
	*ret_event = event;
	return 0;
}

int health_event_decode(const char *line, size_t length, struct health_event *ret_event)
{
	json_t *json;
	int r;

	if (length > LINE_MAX_BYTES)
		return -EINVAL;
	json = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
	if (!json)
		return -EINVAL;
	r = members_decode(json, ret_event);
	json_decref(json);
	return r;
}
