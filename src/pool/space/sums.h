/* SPDX-License-Identifier: Apache-2.0 */
/* Sums over all segments, in slots, copies counted once. Kept, not counted when asked. */
#ifndef POOL_SPACE_SUMS_H
#define POOL_SPACE_SUMS_H

#include <stdint.h>

struct space;

struct space_sums {
	uint64_t data_total;	/* slots data could have: its segments and all free chunks */
	uint64_t data_segments; /* slots of data segments that are there */
	uint64_t data_used;	/* used bits */
	uint64_t data_refs;
	uint64_t meta_segments, meta_used, meta_refs;
	uint64_t meta_growth; /* slots that metadata could have of all free chunks */
	uint64_t log_slots;
	uint64_t freeing; /* in the lists */
	uint64_t chunks_total, chunks_free;
	unsigned group_width;		 /* drives of the widest group */
	uint32_t data_empty, meta_empty; /* segments all of whose slots are free, handed out from */
};
void space_sums(const struct space *space, struct space_sums *ret_sums); /* O(1) */

/* Slots of data that are free in the segments handed out from; those closed count too. O(1) */
uint64_t space_data_free(const struct space *space);

#endif
