/* SPDX-License-Identifier: Apache-2.0 */
/* Properties as words of the command line, KEY=VALUE, and back. */
#ifndef QUOIN_PROPERTY_H
#define QUOIN_PROPERTY_H

#include <jansson.h>

#include "table.h"
#include "verb.h"

enum property_kind {
	PROPERTY_SIZE,	   /* none, or a size */
	PROPERTY_SWITCH,   /* on, off */
	PROPERTY_FULL,	   /* error, pause */
	PROPERTY_PERMILLE, /* 20%, 12.5% */
	PROPERTY_EVERY	   /* off, daily, weekly, monthly, 36h, 10d: seconds */
};

struct property {
	const char *name;   /* as typed */
	const char *key;    /* in requests */
	const char *answer; /* in answers */
	enum property_kind kind;
};

/* Each ends with a NULL name. */
extern const struct property property_pool[];
extern const struct property property_volume[];
extern const struct property property_snapshot[];
extern const struct property property_schedule[];

/* Puts KEY=VALUE into the body. EXIT_USAGE, with the error told. */
MUST_CHECK int property_put(const struct property *all, const char *word, json_t *body);

/* The same for each --set that was given. */
MUST_CHECK int property_put_options(const struct invocation *in, const struct property *all,
				    json_t *body);

/* Its value, as a cell. */
void property_add(struct table *table, const struct property *p, const json_t *answer);

/* Prints the value of the one that in->arguments[1] names, or a table of all. */
MUST_CHECK int property_print(const struct invocation *in, const struct property *all,
			      const json_t *answer);

#endif
