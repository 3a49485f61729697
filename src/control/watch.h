/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happened to a pool between two looks at it, as events. The looks are compared, so an event
 * is told once, whatever the engine did meanwhile and however often somebody looks.
 */
#ifndef CONTROL_WATCH_H
#define CONTROL_WATCH_H

#include <quoin/control_pool_types.h>
#include <quoin/health_events.h>

/* Of what guests can have; a pool that was near the end is so until it is below the second. */
#define CONTROL_NEAR_FULL_PERMILLE 850
#define CONTROL_NEAR_FULL_OVER_PERMILLE 800
#define CONTROL_PAUSED_MAX 16 /* volumes that are told of one by one */

struct control_paused {
	unsigned count;					      /* of the names; more may be paused */
	char names[CONTROL_PAUSED_MAX][CONTROL_NAME_MAX + 1]; /* without the pool's */
};

struct control_watch {
	bool near_full;
	struct control_paused paused;
};

/*
 * `before` is the look before, or NULL for the first one: then what is wrong is told, but not what
 * counters say, which began before.
 */
void control_watch_compare(struct control_watch *watch, const struct control_pool_info *before,
			   const struct control_pool_info *now, const struct control_paused *paused,
			   struct health_events *events);

#endif
