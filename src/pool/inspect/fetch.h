/* SPDX-License-Identifier: Apache-2.0 */
/* Reading slots from all columns of their segments, many at once. */
#ifndef POOL_INSPECT_FETCH_H
#define POOL_INSPECT_FETCH_H

#include "inspect/inspect.h"

#define INSPECT_FETCH_MAX 128 /* slots read at once */

enum inspect_fetch_kind { INSPECT_FETCH_PAGE, INSPECT_FETCH_BLOCK, INSPECT_FETCH_RAW };

struct inspect_fetch {
	enum inspect_fetch_kind kind;
	uint64_t vaddr;
	uint64_t seed;	      /* PAGE */
	const uint8_t *check; /* PAGE: 16 bytes; BLOCK: the map entry. Borrowed */
	/* After it: bits per column. `page` of each column is within the fetcher until the next. */
	unsigned online, read, good;
	const uint8_t *page; /* of the first good column; NULL = none */
	const uint8_t *column_pages[SEGMENT_COLUMNS_MAX];
};

MUST_CHECK int inspect_fetcher_new(struct inspect *in);
void inspect_fetcher_free(struct inspect *in);
/* Reads all of them, each from every column that is there. vaddrs are valid. */
void inspect_fetch_all(struct inspect *in, struct inspect_fetch *all, unsigned count);
/* Tells of copies that are bad. False: there is no good one. */
bool inspect_fetch_judge(struct inspect *in, const struct inspect_fetch *fetch,
			 const struct inspect_place *place);

#endif
