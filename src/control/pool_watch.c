/* SPDX-License-Identifier: Apache-2.0 */
/* When a pool is looked at; see pool_watch.h. */
#include "pool_watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_text.h>

#include "board.h"

static void paused_find(struct pool *engine, struct control_paused *paused)
{
	struct pool_volume_info info;
	unsigned cursor = 0;

	while (paused->count < CONTROL_PAUSED_MAX &&
	       pool_volume_next(engine, &cursor, &info) == 0) {
		if (info.paused)
			snprintf(paused->names[paused->count++], sizeof(paused->names[0]), "%s",
				 info.name);
	}
}

/* False: it was told to nobody who asks how the pool is. */
static bool look(struct control_pool *pool)
{
	struct control_pool_watch *w = &pool->watch;
	struct control_pool_info *old = w->before;
	struct control_paused paused = {.count = 0};
	bool told;

	control_pool_info_clear(w->now);
	snprintf(w->now->name, sizeof(w->now->name), "%s", pool->name);
	memcpy(w->now->guid, pool->guid, sizeof(w->now->guid));
	w->now->worker = pool->worker;
	control_pool_look(pool->pool, w->now);
	/* Where volumes are paused the pool says that it is full. */
	if (w->now->full)
		paused_find(pool->pool, &paused);
	control_watch_compare(&w->watch, w->looked ? w->before : NULL, w->now, &paused,
			      pool->events);
	told = control_board_put(pool->board, pool, w->now);
	w->before = w->now;
	w->now = old;
	w->looked = true;
	return told;
}

static void on_time(struct loop_timer *timer)
{
	struct control_pool *pool = container_of(timer, struct control_pool, watch.timer);
	const uint64_t wait_ms = look(pool) ? CONTROL_WATCH_MS : CONTROL_WATCH_SOON_MS;

	loop_timer_arm(pool->loop, timer, loop_now_ns(pool->loop) + wait_ms * NS_PER_MS);
}

void control_pool_watch_start(struct control_pool *pool)
{
	struct control_pool_watch *w = &pool->watch;

	memset(w, 0, sizeof(*w));
	w->before = xcalloc(1, sizeof(*w->before));
	w->now = xcalloc(1, sizeof(*w->now));
	loop_timer_init(&w->timer, on_time);
	loop_timer_arm(pool->loop, &w->timer, loop_now_ns(pool->loop));
}

void control_pool_watch_soon(struct control_pool *pool)
{
	const uint64_t soon = loop_now_ns(pool->loop) + CONTROL_WATCH_SOON_MS * NS_PER_MS;

	if (pool->watch.now && pool->watch.timer.deadline_ns > soon)
		loop_timer_arm(pool->loop, &pool->watch.timer, soon);
}

void control_pool_watch_stop(struct control_pool *pool)
{
	struct control_pool_watch *w = &pool->watch;

	if (!w->now)
		return;
	/* For its events: the board forgets the pool. */
	(void)look(pool);
	loop_timer_disarm(pool->loop, &w->timer);
	free(w->now);
	free(w->before);
	w->now = w->before = NULL;
}
