/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One event: something happened to an object that somebody who is not on site should know of.
 *
 * The type says it all for programs: its severity and its advice belong to it. The object is the
 * name of a pool, "POOL/VOLUME", "POOL/VOLUME@SNAP", "POOL:PATH" for a drive of a pool, the name of
 * a target, or "quoind". The text is for people, and has no advice in it where the type has one.
 */
#ifndef QUOIN_HEALTH_EVENT_H
#define QUOIN_HEALTH_EVENT_H

#include <jansson.h>

#include <quoin/base.h>

#define HEALTH_OBJECT_MAX 319 /* bytes; longer ones lose their end */
#define HEALTH_TEXT_MAX 383

/* In rising order. */
enum health_severity { HEALTH_NOTICE, HEALTH_WARNING, HEALTH_ERROR };

enum health_event_type {
	HEALTH_DAEMON_STARTED,
	HEALTH_DAEMON_STOPPED,
	HEALTH_DAEMON_UNCLEAN,
	HEALTH_EVENTS_LOST,
	HEALTH_HOOK_FAILING,
	HEALTH_HOOK_WELL,
	HEALTH_POOL_CREATED,
	HEALTH_POOL_IMPORTED,
	HEALTH_POOL_EXPORTED,
	HEALTH_POOL_DESTROYED,
	HEALTH_POOL_CHANGED,
	HEALTH_POOL_FAILED,
	HEALTH_POOL_ONLINE,
	HEALTH_POOL_DEGRADED,
	HEALTH_POOL_SUSPENDED,
	HEALTH_POOL_HEALED,
	HEALTH_POOL_DAMAGED,
	HEALTH_POOL_NEAR_FULL,
	HEALTH_POOL_FULL,
	HEALTH_POOL_REFUSED,
	HEALTH_POOL_SPACE,
	HEALTH_DRIVE_LOST,
	HEALTH_DRIVE_ONLINE,
	HEALTH_DRIVE_ERRORS,
	HEALTH_DRIVE_WARNING,
	HEALTH_DRIVE_FAILING,
	HEALTH_DRIVE_WELL,
	HEALTH_DRIVE_SILENT,
	HEALTH_DRIVE_ANSWERS,
	HEALTH_TEST_STARTED,
	HEALTH_TEST_ENDED,
	HEALTH_TEST_FAILED,
	HEALTH_TEST_REFUSED,
	HEALTH_VOLUME_CREATED,
	HEALTH_VOLUME_DESTROYED,
	HEALTH_VOLUME_CHANGED,
	HEALTH_VOLUME_RESIZED,
	HEALTH_VOLUME_RENAMED,
	HEALTH_VOLUME_ROLLED_BACK,
	HEALTH_VOLUME_CLONED,
	HEALTH_VOLUME_PROMOTED,
	HEALTH_VOLUME_PAUSED,
	HEALTH_VOLUME_RESUMED,
	HEALTH_SNAPSHOT_CREATED,
	HEALTH_SNAPSHOT_DESTROYED,
	HEALTH_SNAPSHOT_RENAMED,
	HEALTH_SNAPSHOT_HELD,
	HEALTH_SNAPSHOT_RELEASED,
	HEALTH_TARGET_CREATED,
	HEALTH_TARGET_DESTROYED,
	HEALTH_TARGET_FAILED,
	HEALTH_REPORT_FAILED,
	HEALTH_REPORT_WORKS,
	HEALTH_EVENT_TYPES /* how many there are */
};

struct health_event {
	uint64_t number;  /* grows, also over restarts */
	uint64_t time_ms; /* wall clock, since 1970 */
	enum health_event_type type;
	unsigned count; /* how many alike it stands for, 1 or more */
	char object[HEALTH_OBJECT_MAX + 1];
	char text[HEALTH_TEXT_MAX + 1];
};

/* "pool.degraded", what to do ("" = nothing), and how bad it is. */
const char *health_event_word(enum health_event_type type);
const char *health_event_advice(enum health_event_type type);
enum health_severity health_event_severity(enum health_event_type type);

/* "notice", "warning", "error". -EINVAL: it is none of them. */
const char *health_severity_word(enum health_severity severity);
MUST_CHECK int health_severity_parse(const char *word, enum health_severity *ret_severity);

/* Valid UTF-8 without control characters, cut to `size` - 1 bytes. */
void health_text_copy(char *to, size_t size, const char *from);

/* With severity and advice. A new reference. */
json_t *health_event_encode(const struct health_event *event);

/* One line of a file of events, without its newline: any bytes. -EINVAL; -ENOTSUP: a type that
 * this version does not know. */
MUST_CHECK int health_event_decode(const char *line, size_t length, struct health_event *ret_event);

#endif
