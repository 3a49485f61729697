/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks at an imported pool, every CONTROL_WATCH_MS and soon after the engine says that something
 * changed, on its home loop: no request waits for it, and it waits for none.
 */
#ifndef CONTROL_POOL_WATCH_H
#define CONTROL_POOL_WATCH_H

#include "pool.h"

#define CONTROL_WATCH_MS 2000
#define CONTROL_WATCH_SOON_MS 20 /* changes come in swarms */

/* All in the home loop's thread. The pool is imported. */
void control_pool_watch_start(struct control_pool *pool);
void control_pool_watch_soon(struct control_pool *pool);

/* Looks for the last time. Nothing when it was not started. */
void control_pool_watch_stop(struct control_pool *pool);

#endif
