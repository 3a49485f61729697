/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A view compared with what was told: what differs becomes a new message. Plain functions, with
 * the time as an argument: the thread that calls them is in eve.c.
 *
 * A volume is told to be gone when its pool is here and it is not, or when its pool was here and is
 * not any more. Of a pool that cannot be imported nobody knows: nothing is said of its volumes.
 *
 * There may be ten thousand volumes, of which few change: a message is made of a volume when
 * something that it is made of changed, and a pool whose volumes are told is not looked through
 * before the board says that something of them changed.
 */
#ifndef EVE_LOOK_H
#define EVE_LOOK_H

#include "store.h"
#include "totals.h"

struct eve_look_pool {
	struct eve_known_pool known;
	bool is_known;	 /* all its volumes are told as they are */
	uint64_t number; /* of the last look that saw its volumes */
};

struct eve_look {
	struct eve_store store;
	struct eve_totals totals;
	struct eve_config config;
	const char *version; /* of this program; borrowed */
	uint64_t number;
	unsigned renewals;   /* how often eve_look_renew() was called */
	unsigned pool_count; /* that were here in the last look */
	struct eve_look_pool pools[CONTROL_POOLS_MAX];
};

struct eve_moment {
	uint64_t now_ms;  /* monotonic */
	uint64_t wall_ms; /* since 1970 */
};

/* `totals` are what was saved: what they say is gone is told again. */
void eve_look_init(struct eve_look *look, const struct eve_config *config, const char *version);
void eve_look_fini(struct eve_look *look);

/* What was told is forgotten; counters are not. The configuration is another one. */
void eve_look_renew(struct eve_look *look, const struct eve_config *config);

/* Pools of which a view need not have the volumes, as long as they stay as they are. */
void eve_look_known(const struct eve_look *look, struct eve_known *ret_known);

/* State. True when there is something to tell. */
bool eve_look_state(struct eve_look *look, const struct eve_view *view, struct eve_moment moment);

/* The heartbeat: the state of pools is told although nothing changed. */
void eve_look_heartbeat(struct eve_look *look, const struct eve_view *view,
			struct eve_moment moment);

/* The totals have to be saved before anybody is given this. */
struct eve_bytes eve_look_metrics(struct eve_look *look, const struct eve_view *view,
				  struct eve_moment moment);
void eve_look_hardware(struct eve_look *look, const struct eve_view *view,
		       struct eve_moment moment);

/* One of the two. */
struct eve_printer {
	json_t *json; /* an object, which gets "info": [...], "metrics" and "hardwarehealth" */
	struct text *frames;
};

/* All messages as of now, without a trace. */
void eve_look_print(const struct eve_look *look, const struct eve_view *view, uint64_t wall_ms,
		    const struct eve_printer *to);

#endif
