/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests on pools, volumes and snapshots: bodies that are one object of known keys. One table
 * has all the keys; a route says which of them it takes, and which it needs.
 */
#ifndef QUOIN_API_ASK_H
#define QUOIN_API_ASK_H

#include <jansson.h>

#include <quoin/base.h>
#include <quoin/base_err.h>
#include <quoin/control_schedule.h>

#define API_NAMES_MAX 512 /* in one request */

enum api_ask_key {
	ASK_NAME = UINT64_C(1) << 0,
	ASK_NEW_NAME = UINT64_C(1) << 1,
	ASK_SNAPSHOT = UINT64_C(1) << 2,
	ASK_TAG = UINT64_C(1) << 3,
	ASK_NAMES = UINT64_C(1) << 4,
	ASK_PATHS = UINT64_C(1) << 5,
	ASK_GROUPS = UINT64_C(1) << 6,
	ASK_SIZE = UINT64_C(1) << 7,
	ASK_QUOTA = UINT64_C(1) << 8,
	ASK_REFQUOTA = UINT64_C(1) << 9,
	ASK_RESERVATION = UINT64_C(1) << 10,
	ASK_REFRESERVATION = UINT64_C(1) << 11,
	ASK_FULL = UINT64_C(1) << 12,
	ASK_READ_ONLY = UINT64_C(1) << 13,
	ASK_FORCE = UINT64_C(1) << 14,
	ASK_RECURSIVE = UINT64_C(1) << 15,
	ASK_AUTOTRIM = UINT64_C(1) << 16,
	ASK_RESERVE = UINT64_C(1) << 17,
	ASK_REWIND = UINT64_C(1) << 18,
	ASK_CURSOR = UINT64_C(1) << 19,
	ASK_SINCE = UINT64_C(1) << 20,
	ASK_SEVERITY = UINT64_C(1) << 21,
	ASK_OBJECT = UINT64_C(1) << 22,
	ASK_PATH = UINT64_C(1) << 23,
	ASK_TEST = UINT64_C(1) << 24,
	ASK_TO = UINT64_C(1) << 25,
	ASK_FORMAT = UINT64_C(1) << 26,
	ASK_SOURCE = UINT64_C(1) << 27,
	ASK_OFFSET = UINT64_C(1) << 28,
	ASK_LENGTH = UINT64_C(1) << 29,
	ASK_TO_OFFSET = UINT64_C(1) << 30,
	ASK_SHA256 = UINT64_C(1) << 31,
	ASK_DIGEST_LIST = UINT64_C(1) << 32,
	ASK_RATE = UINT64_C(1) << 33,
	ASK_FIRST = UINT64_C(1) << 34,
	ASK_PAUSED = UINT64_C(1) << 35,
	ASK_TEMPLATE = UINT64_C(1) << 36,
	ASK_SHORT_TEST = UINT64_C(1) << 37,
	ASK_LONG_TEST = UINT64_C(1) << 38,
	ASK_TRIM = UINT64_C(1) << 39,
	ASK_SCRUB = UINT64_C(1) << 40,
};

#define ASK_PROPERTIES \
	(ASK_QUOTA | ASK_REFQUOTA | ASK_RESERVATION | ASK_REFRESERVATION | ASK_FULL | ASK_READ_ONLY)

/* Texts point into the JSON, which must live longer. */
struct api_ask {
	uint64_t given; /* enum api_ask_key, or-ed; what is not given is zero */
	const char *name, *new_name, *snapshot, *tag, *severity, *object, *path, *test, *to,
		*format, *source, *sha256, *digest_list;
	unsigned name_count;
	const char *names[API_NAMES_MAX];
	unsigned path_count;
	const char *paths[API_NAMES_MAX]; /* of "paths", or of "groups" in turn */
	unsigned groups[API_NAMES_MAX];
	uint64_t size, quota, refquota, reservation, refreservation, rewind, cursor, since, offset,
		length, to_offset, rate;
	uint64_t every_s[CONTROL_SCHEDULE_JOBS];
	unsigned reserve_permille;
	bool pause_when_full, read_only, force, recursive, autotrim, first, paused, template;
};

/* -EINVAL: a key that is not in `takes`, one of `needs` is missing, a value is not what it is. */
MUST_CHECK int api_ask_decode(const json_t *json, uint64_t takes, uint64_t needs,
			      struct api_ask *ret_ask, struct err *err);

/* The volume's properties of a request. */
struct control_volume_set api_ask_volume_set(const struct api_ask *ask);

#endif
