/* SPDX-License-Identifier: Apache-2.0 */
/* The checkpointer's life, its steps in order, and who waits for it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_math.h>

#include "engine/checkpoint.h"
#include "engine/copies.h"
#include "engine/discard.h"
#include "engine/shares.h"
#include "engine/tables.h"

#define DESTROY_BUDGET 65536 /* blocks freed by one checkpoint */
#define TICK_NS NS_PER_S
#define STILL_NS (5 * NS_PER_S)	 /* no write for so long: what was written is merged */
#define DIRTY_NS (30 * NS_PER_S) /* nothing waits longer, however much comes */

/* --- Freeze and commit --------------------------------------------------------------------- */

static void records_begin(struct pool *pool)
{
	for (uint32_t i = 0; i < pool->volume_limit; i++) {
		if (pool->volumes[i])
			pool->volumes[i]->next = pool->volumes[i]->rec;
	}
	for (uint32_t i = 0; i < pool->snapshot_limit; i++) {
		if (pool->snapshots[i])
			pool->snapshots[i]->next = pool->snapshots[i]->rec;
	}
}

/* One instant: what is inserted after it belongs to the next checkpoint. */
static void freeze(struct checkpointer *c)
{
	struct pool *pool = c->pool;

	ASSERT_U64(pool->deltas[!pool->active].count, ==, 0);
	c->freezes++;
	c->requested = false;
	c->carry = c->full && !c->all && !c->task && list_empty(&c->waits);
	c->full = c->all = false;
	c->carry_from = c->freeze_seqs[c->freezes % CARRY_TIMES];
	c->freeze_seqs[c->freezes % CARRY_TIMES] = pool->seq;
	c->epoch = pool->epoch;
	pool->active = !pool->active;
	records_begin(pool);
	copies_freeze(pool, c->carry);
	space_freeze(pool->space);
	log_freeze(&pool->log, &c->start);
	c->relogged = pool->patches_used > 0 && !(pool->barriers_off & POOL_BARRIER_LOG_RELOG);
	if (c->relogged)
		patches_relog(pool);
	pages_ckpt_set(pool->pages, pool->super.ckpt + 1);
}

static void volumes_commit(struct pool *pool, unsigned frozen)
{
	for (uint32_t i = 0; i < pool->volume_limit; i++) {
		struct volume *volume = pool->volumes[i];

		if (!volume)
			continue;
		pool->pending_total -= volume->pending[frozen];
		pool->renewed_total -= volume->renewed[frozen];
		volume->pending[frozen] = volume->renewed[frozen] = 0;
		volume->rec = volume->next;
		if (volume->rec.state == VOLUME_NONE)
			volume_remove(pool, volume);
	}
}

static void snapshots_commit(struct checkpointer *c)
{
	struct pool *pool = c->pool;

	for (uint32_t i = 0; i < pool->snapshot_limit; i++) {
		struct snapshot *snapshot = pool->snapshots[i];

		/* Cut since the freeze: the next checkpoint's. */
		if (!snapshot || (snapshot->pending && snapshot->rec.epoch >= c->epoch))
			continue;
		if (snapshot->pending && volume_at(pool, snapshot->rec.volume))
			volume_at(pool, snapshot->rec.volume)->cuts_pending--;
		snapshot->pending = false;
		snapshot->rec = snapshot->next;
		if (snapshot->rec.state == VOLUME_NONE)
			snapshot_remove(pool, snapshot);
	}
}

static void commit(struct checkpointer *c)
{
	struct pool *pool = c->pool;

	snapshots_commit(c);
	volumes_commit(pool, !pool->active);
	c->records_last = pool->deltas[!pool->active].count;
	delta_clear(&pool->deltas[!pool->active]);
	memory_after_replay(pool);
	pool->super = c->super;
	space_commit(pool->space, discards_take, pool);
	if (pool->barriers_off & POOL_BARRIER_KEEP) {
		space_commit(pool->space, NULL, NULL);
		space_commit(pool->space, NULL, NULL);
	}
	c->data_free = space_data_free(pool->space);
	volumes_recount(pool);
	log_tail_move(&pool->log, c->start.next);
	c->made++;
	starved_retry(pool);
	pool_work(pool);
}

/* --- The steps ----------------------------------------------------------------------------- */

/* The bit goes with the last such volume: then older versions may have the pool again. */
static uint64_t kinds_feature(const struct pool *pool)
{
	for (uint32_t id = 1; id < pool->volume_limit; id++)
		if (pool->volumes[id] && pool->volumes[id]->next.kind != VOLUME_PLAIN)
			return FEATURE_KINDS;
	return 0;
}

static void super_prepare(struct checkpointer *c)
{
	struct pool *pool = c->pool;

	c->super = pool->super;
	c->super.ckpt = pool->super.ckpt + 1;
	c->super.time_s = pool_wall_s(pool);
	c->super.epoch = c->epoch;
	c->super.state = SUPER_ACTIVE;
	c->super.seq_next = pool->seq;
	c->super.log_head = c->start.next;
	c->super.log_prev_check = c->start.prev_check;
	c->super.log_generation = c->start.generation;
	c->super.incompat = (c->super.incompat & ~FEATURE_KINDS) | kinds_feature(pool);
	c->super.volume_limit = pool->volume_limit;
	c->super.snapshot_limit = pool->snapshot_limit;
	shares_super_put(pool, &c->super);
	super_drives_set(pool, &c->super);
}

static int durable(struct checkpointer *c)
{
	struct pool *pool = c->pool;
	struct raid_flush *flush;
	int r = 0;

	if (!(pool->barriers_off & POOL_BARRIER_CKPT_DRAIN))
		r = pages_drain(pool->pages);
	if (r == 0 && c->relogged)
		r = log_commit_run(&pool->log);
	if (r < 0 || (pool->barriers_off & POOL_BARRIER_CKPT_FLUSH))
		return r;
	flush = calloc(1, sizeof(*flush));
	if (!flush)
		return -ENOMEM;
	r = raid_flush_run(&pool->raid, flush, true);
	free(flush);
	return r;
}

static void task_run(struct checkpointer *c)
{
	if (!c->task || c->freezes < c->task_freeze)
		return;
	c->task_result = c->task(c->pool, c->task_arg);
	c->task = NULL;
}

static int steps(struct checkpointer *c)
{
	struct pool *pool = c->pool;
	int r = checkpoint_space(c, meta_merge_pages(pool) + 512);

	if (r == 0)
		r = checkpoint_merge(c);
	if (r < 0)
		return r;
	pace_merged(&c->pace, loop_now_ns(pool->loop));
	task_run(c);
	if (pool->error == 0)
		copies_run(pool);
	if (pool->error < 0)
		return pool->error; /* a task failed in the midst */
	r = destroy_step(pool, DESTROY_BUDGET, &c->destroying);
	if (r == 0)
		r = shares_flush(pool);
	if (r < 0)
		return r;
	super_prepare(c);
	r = checkpoint_tables(c);
	if (r == 0)
		r = checkpoint_space(c, tables_segments_pages(pool));
	if (r < 0)
		return r;
	checkpoint_space_return(c);
	r = tables_write_segments(pool, &c->super);
	if (r == 0)
		r = durable(c);
	if (r == 0)
		r = raid_super_write(&pool->raid, &c->super);
	return r;
}

static void waits_end(struct checkpointer *c, int result)
{
	list_for_each_safe (node, next, &c->waits) {
		struct checkpoint_wait *wait = container_of(node, struct checkpoint_wait, node);

		if (result == 0 && wait->freeze > c->freezes)
			continue;
		list_remove(node);
		wait->result = result;
		wait->done = true;
		fiber_wake(wait->fiber);
	}
}

static void run(struct checkpointer *c)
{
	const uint64_t began_ns = loop_now_ns(c->pool->loop);
	int r;

	/* The patches are logged again at the freeze, all at once. */
	while (c->pool->error == 0 && c->pool->log.fill + 2 * (uint64_t)c->pool->patches_used + 4 -
						      c->pool->log.first_unfinished >=
					      LOG_BUFFERS)
		fiber_sleep_ns(100 * NS_PER_US);
	freeze(c);
	r = steps(c);
	if (r < 0) {
		pool_suspend(c->pool, r, "a checkpoint could not be made");
		copies_settle(c->pool);
		return;
	}
	commit(c);
	pace_end(&c->pace, loop_now_ns(c->pool->loop));
	c->ns_last = loop_now_ns(c->pool->loop) - began_ns;
	waits_end(c, 0);
	copies_settle(c->pool);
}

static void main_loop(void *arg)
{
	struct checkpointer *c = arg;

	while (!c->stop) {
		if (c->pool->error < 0) {
			waits_end(c, -EIO);
			fiber_park();
		} else if (c->requested || c->destroying || !list_empty(&c->waits)) {
			run(c);
		} else {
			fiber_park();
		}
	}
	waits_end(c, -EIO);
}

/* --- Age ------------------------------------------------------------------------------------- */

static bool dirty(const struct checkpointer *c)
{
	const struct delta *delta = pool_delta(c->pool);

	return delta->count > 0 || delta->range_count > 0 || c->pool->epoch != c->epoch;
}

/* Reads what the I/O path keeps anyway, so that a write costs nothing more. */
static void age_look(struct checkpointer *c, uint64_t now_ns)
{
	const struct pool *pool = c->pool;

	if (!dirty(c)) {
		c->dirty_ns = 0;
		return;
	}
	if (c->dirty_ns == 0 || c->freezes != c->seen_freezes)
		c->dirty_ns = c->still_ns = now_ns;
	if (pool->seq != c->seen_seq || pool->epoch != c->seen_epoch)
		c->still_ns = now_ns;
	c->seen_freezes = c->freezes;
	c->seen_seq = pool->seq;
	c->seen_epoch = pool->epoch;
	if (now_ns - c->still_ns >= STILL_NS || now_ns - c->dirty_ns >= DIRTY_NS)
		checkpoint_request(c->pool);
}

static void tick(struct loop_timer *timer)
{
	struct checkpointer *c = container_of(timer, struct checkpointer, timer);
	const uint64_t now_ns = loop_now_ns(c->pool->loop);

	if (c->pool->error < 0)
		return;
	age_look(c, now_ns);
	loop_timer_arm(c->pool->loop, timer, now_ns + TICK_NS);
}

/* --- Pace ------------------------------------------------------------------------------------ */

static void held_long_enough(struct loop_timer *timer)
{
	pool_work(container_of(timer, struct checkpointer, pace_timer)->pool);
}

/* Somebody waits for its requests to end. */
static bool leaving(struct block_request *request)
{
	const struct device *device = request_words(request)->device;

	return device->hurried || device->volume->gated;
}

bool write_held(struct pool *pool, struct block_request *request)
{
	struct checkpointer *c = pool->checkpointer;
	const uint64_t now_ns = loop_now_ns(pool->loop);
	uint64_t wait_ns;

	if (!c || !c->pace.running || pool->error < 0 || leaving(request) ||
	    (pool->barriers_off & POOL_BARRIER_PACE))
		return false;
	wait_ns = pace_wait_ns(&c->pace, now_ns, write_room_left(pool));
	if (wait_ns > 0)
		loop_timer_arm(pool->loop, &c->pace_timer, now_ns + wait_ns);
	return wait_ns > 0;
}

/* --- For the rest of the engine -------------------------------------------------------------- */

int checkpointer_start(struct pool *pool)
{
	struct checkpointer *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->pool = pool;
	c->epoch = pool->super.epoch;
	c->data_free = space_data_free(pool->space);
	list_init(&c->waits);
	loop_timer_init(&c->timer, tick);
	pace_init(&c->pace);
	loop_timer_init(&c->pace_timer, held_long_enough);
	r = fiber_start(pool->loop, true, main_loop, c, &c->fiber);
	if (r < 0) {
		free(c);
		return r;
	}
	loop_timer_arm(pool->loop, &c->timer, loop_now_ns(pool->loop) + TICK_NS);
	pool->checkpointer = c;
	return 0;
}

void checkpointer_stop(struct pool *pool)
{
	if (!pool->checkpointer)
		return;
	pool->checkpointer->stop = true;
	fiber_wake(pool->checkpointer->fiber);
	fiber_join(pool->checkpointer->fiber);
	loop_timer_disarm(pool->loop, &pool->checkpointer->timer);
	loop_timer_disarm(pool->loop, &pool->checkpointer->pace_timer);
	free(pool->checkpointer);
	pool->checkpointer = NULL;
}

static void request(struct checkpointer *c)
{
	if (!c->requested)
		fiber_wake(c->fiber);
	c->requested = true;
}

void checkpoint_request(struct pool *pool)
{
	if (!pool->checkpointer)
		return;
	pool->checkpointer->all = true;
	request(pool->checkpointer);
}

void checkpoint_request_room(struct pool *pool)
{
	if (!pool->checkpointer)
		return;
	pool->checkpointer->full = true;
	request(pool->checkpointer);
}

/* Apart from its caller: the compiler does not see that the wait leaves the list in time. */
static __attribute__((noinline)) void wait_add(struct checkpointer *c, struct checkpoint_wait *wait)
{
	list_append(&c->waits, &wait->node);
}

/* Nothing is allocated: it fails only when the checkpoint does, and then the pool has stopped. */
int checkpoint_wait(struct pool *pool)
{
	struct checkpointer *c = pool->checkpointer;
	struct checkpoint_wait wait = {.fiber = fiber_self()};

	if (!c)
		return -EROFS;
	if (pool->error < 0)
		return -EIO;
	wait.freeze = c->freezes + 1;
	wait_add(c, &wait);
	fiber_wake(c->fiber);
	while (!wait.done)
		fiber_park();
	return wait.result;
}

int checkpoint_task(struct pool *pool, int (*task)(struct pool *pool, void *arg), void *arg)
{
	struct checkpointer *c = pool->checkpointer;
	int r;

	if (!c)
		return -EROFS;
	ASSERT(c->task == NULL);
	c->task = task;
	c->task_freeze = c->freezes + 1;
	c->task_arg = arg;
	c->task_result = 0;
	r = checkpoint_wait(pool);
	c->task = NULL;
	return r < 0 ? r : c->task_result;
}

void checkpoint_stats(const struct pool *pool, struct checkpoint_stats *ret_stats)
{
	const struct checkpointer *c = pool->checkpointer;

	*ret_stats = (struct checkpoint_stats){0};
	if (c)
		*ret_stats = (struct checkpoint_stats){
			.made = c->made,
			.records_last = c->records_last,
			.ns_last = c->ns_last,
			.held_count = c->pace.held_count,
			.held_ns = c->pace.held_ns,
		};
}

bool checkpoint_busy(const struct pool *pool)
{
	const struct checkpointer *c = pool->checkpointer;

	return c && c->freezes > c->made;
}

void pool_suspend(struct pool *pool, int error, const char *what)
{
	if (pool->error < 0)
		return;
	pool->error = error;
	snprintf(pool->problem, sizeof(pool->problem),
		 "%s (%s): nothing more is written; mend the drives, then export and import it",
		 what, strerror(-error));
	if (pool->checkpointer)
		fiber_wake(pool->checkpointer->fiber);
	if (pool->changed)
		pool->changed(pool->data);
	starved_retry(pool);
	pool_work(pool);
}

int pool_writable(const struct pool *pool, struct err *err)
{
	if (pool->read_only)
		return err_set(err, -EROFS, "pool '%s' is imported read-only",
			       pool->super.pool_name);
	if (pool->error < 0)
		return err_set(err, -EIO, "pool '%s' is suspended: %s", pool->super.pool_name,
			       pool->problem);
	return 0;
}

void admin_lock(struct pool *pool)
{
	while (pool->admin_owner)
		fiber_sleep_ns(100 * NS_PER_US);
	pool->admin_owner = fiber_self();
}

void admin_unlock(struct pool *pool)
{
	ASSERT(pool->admin_owner == fiber_self());
	pool->admin_owner = NULL;
}

int pool_sync(struct pool *pool)
{
	return checkpoint_wait(pool);
}
