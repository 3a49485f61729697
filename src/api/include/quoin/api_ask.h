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
#include <quoin/control_pool_types.h>

#define API_NAMES_MAX 512 /* in one request */

enum api_ask_key {
	ASK_NAME = 1 << 0,
	ASK_NEW_NAME = 1 << 1,
	ASK_SNAPSHOT = 1 << 2,
	ASK_TAG = 1 << 3,
	ASK_NAMES = 1 << 4,
	ASK_PATHS = 1 << 5,
	ASK_GROUPS = 1 << 6,
	ASK_SIZE = 1 << 7,
	ASK_QUOTA = 1 << 8,
	ASK_REFQUOTA = 1 << 9,
	ASK_RESERVATION = 1 << 10,
	ASK_REFRESERVATION = 1 << 11,
	ASK_FULL = 1 << 12,
	ASK_READ_ONLY = 1 << 13,
	ASK_FORCE = 1 << 14,
	ASK_RECURSIVE = 1 << 15,
	ASK_AUTOTRIM = 1 << 16,
	ASK_RESERVE = 1 << 17,
	ASK_REWIND = 1 << 18,
	ASK_CURSOR = 1 << 19,
	ASK_SOURCE = 1 << 20,
	ASK_SHA256 = 1 << 21,
	ASK_DIGEST_LIST = 1 << 22,
	ASK_RATE = 1 << 23,
	ASK_FIRST = 1 << 24,
	ASK_PAUSED = 1 << 25,
};

#define ASK_PROPERTIES \
	(ASK_QUOTA | ASK_REFQUOTA | ASK_RESERVATION | ASK_REFRESERVATION | ASK_FULL | ASK_READ_ONLY)

/* Texts point into the JSON, which must live longer. */
struct api_ask {
	unsigned given; /* enum api_ask_key, or-ed; what is not given is zero */
	const char *name, *new_name, *snapshot, *tag, *source, *sha256, *digest_list;
	unsigned name_count;
	const char *names[API_NAMES_MAX];
	unsigned path_count;
	const char *paths[API_NAMES_MAX]; /* of "paths", or of "groups" in turn */
	unsigned groups[API_NAMES_MAX];
	uint64_t size, quota, refquota, reservation, refreservation, rewind, cursor, rate;
	unsigned reserve_permille;
	bool pause_when_full, read_only, force, recursive, autotrim, first, paused;
};

/* -EINVAL: a key that is not in `takes`, one of `needs` is missing, a value is not what it is. */
MUST_CHECK int api_ask_decode(const json_t *json, unsigned takes, unsigned needs,
			      struct api_ask *ret_ask, struct err *err);

/* The volume's properties of a request. */
struct control_volume_set api_ask_volume_set(const struct api_ask *ask);

#endif
