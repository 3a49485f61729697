/* SPDX-License-Identifier: Apache-2.0 */
/* The heartbeat: a page on every drive that says the pool is in use, and who looks at it. */
#ifndef POOL_ENGINE_HEART_H
#define POOL_ENGINE_HEART_H

#include "engine/import.h"

#define HEART_BEAT_NS (4 * NS_PER_S)
#define HEART_WATCH_NS (10 * NS_PER_S) /* longer than two beats */
#define HEART_SPREAD_NS (3 * NS_PER_S)

/*
 * [fiber] Before a pool is taken by force from another host: watches the drives for a while, then
 * claims them and watches again; beats from then on. -EBUSY with a sentence when that host still
 * beats, or another one takes it too. Drives are in pool->raid; only heartbeats are written.
 */
MUST_CHECK int heart_watch(struct import *im, struct err *err);

/* Beats from the loop's next turn on, if it does not yet. Not for a pool that is read-only. */
MUST_CHECK int heart_start(struct import *im);

/* [fiber] The last beat is done; harmless when there is none. */
void heart_stop(struct pool *pool);

#endif
