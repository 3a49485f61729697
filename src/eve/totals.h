/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters that only grow, also over restarts. The engine counts requests from the import of a pool
 * on; what came before is kept here, by the identity of the pool or volume, and written to the
 * state directory before it is told to anybody. So a controller never sees a counter fall: not
 * after a restart, a crash, or an export and import.
 *
 * Of drives what the pool asks of them is counted in the same way.
 *
 * The file also says which volumes there were, so that one that went while nobody looked is told
 * to be gone.
 *
 * A file that is damaged or cannot be written is no reason not to tell: counters begin at zero
 * then, or fall at the next start.
 */
#ifndef EVE_TOTALS_H
#define EVE_TOTALS_H

#include <jansson.h>

#include <quoin/base_err.h>
#include <quoin/control_health.h>

#define EVE_TOTALS_FILE "eve-totals.json"
#define EVE_TOTALS_MAX 65536 /* objects */

enum eve_total {
	EVE_READS,
	EVE_WRITES,
	EVE_READ_BYTES,
	EVE_WRITTEN_BYTES,
	EVE_READ_NS,
	EVE_WRITE_NS,
	EVE_BUSY_NS,	 /* with any request in flight */
	EVE_WEIGHTED_NS, /* of all requests together */
	EVE_TOTALS	 /* how many there are */
};

struct eve_object;

struct eve_total_entry {
	uint8_t guid[16];
	uint8_t pool[16]; /* a pool's own entry has its GUID twice */
	bool is_drive;	  /* of the pool; else it is a volume, or the pool */
	uint64_t values[EVE_TOTALS];
	uint64_t last[EVE_TOTALS]; /* what the engine said, since `born` */
	uint64_t born;
	struct eve_object *object; /* of a volume, the store's; NULL = none yet */
	uint64_t absent_ms;	   /* since when its pool is not here; 0 = it is */
	bool gone;		   /* and not everybody has heard of that */
};

struct eve_totals {
	unsigned count, room;
	struct eve_total_entry *entries; /* by GUID */
	bool changed;			 /* since it was loaded or saved */
};

/* Zeroed = empty. */
void eve_totals_fini(struct eve_totals *totals);

/* NULL: nothing is known of it. */
struct eve_total_entry *eve_totals_find(const struct eve_totals *totals, const uint8_t guid[16]);

/*
 * What the engine counts now is added, by its difference to the last time; `born` tells when it
 * began to. Pointers of eve_totals_find() end here. NULL: there are too many.
 */
struct eve_total_entry *eve_totals_note(struct eve_totals *totals,
					const struct eve_total_entry *key,
					const struct control_io_sums *sums, uint64_t born);

/* It is forgotten, without its object. */
void eve_totals_drop(struct eve_totals *totals, const uint8_t guid[16]);

/* --- The file: any JSON -------------------------------------------------------------------------
 */

/* The caller frees it. */
char *eve_totals_encode(const struct eve_totals *totals);

/* -EUCLEAN: it is not what the other wrote; then `totals` is empty. */
MUST_CHECK int eve_totals_decode(struct eve_totals *totals, const json_t *root);

#endif
