/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commits of the log.
 *
 *   idle --log_commit--> gather: the group's end is sealed, blocks that were written without FUA
 *   before are waited for (a flush does not cover what has not ended) --> write: the rest goes out
 *   with FUA, the drives are flushed beside it; without FUA the flush comes after --> all ended:
 *   waiters hear --> idle, or the next
 */
#include <errno.h>

#include <quoin/base_assert.h>
#include <quoin/pool_types.h>

#include "journal/private.h"

void log_fail(struct log *log, int error)
{
	if (log->error < 0)
		return;
	log->error = error;
	if (log->failed)
		log->failed(log->data);
}

static void waiters_tell(struct log *log, int result)
{
	struct list told;
	struct list *node;

	list_init(&told);
	list_splice(&told, &log->waiters);
	while ((node = list_pop(&told)) != NULL) {
		struct log_waiter *waiter = container_of(node, struct log_waiter, node);

		waiter->result = result;
		waiter->done(waiter);
	}
}

/* Nothing was appended since the last durable group: there is nothing to wait for. */
static bool nothing_to_do(const struct log *log)
{
	const uint64_t last = log->fill - 1;

	return log->records == 0 && (log->durable_upto == last ||
				     (log->settled == last && log->durable_upto + 1 == last));
}

static void start(struct log *log)
{
	list_splice(&log->waiters, &log->next_waiters);
	if (log->error < 0 || nothing_to_do(log)) {
		waiters_tell(log, log->error);
		return;
	}
	log->committing = true;
	log->beside = raid_has_fua(log->raid);
	log->flushing = false;
	log->flushed = log->barriers_off & POOL_BARRIER_LOG_FLUSH;
	log->commit_writes = 0;
	log_seal(log, LOG_GROUP_END);
	log->commit_end = log->fill - 1;
	log->records = 0;
	log->commits++;
	log_commit_step(log);
}

static void flush_done(struct raid_flush *flush)
{
	struct log *log = container_of(flush, struct log, flush);

	log->flushing = false;
	if (flush->result < 0)
		log_fail(log, flush->result);
	log_commit_step(log);
}

static void commit_end(struct log *log)
{
	log->committing = false;
	if (log->error == 0)
		log->durable_upto = log->commit_end;
	waiters_tell(log, log->error);
	if (!list_empty(&log->next_waiters))
		loop_task_post(log->loop, &log->task);
	else if (log->error == 0)
		loop_timer_arm(log->loop, &log->settle, loop_now_ns(log->loop) + LOG_SETTLE_NS);
}

/* Blocks that were sent off before this commit and have not ended. */
static bool earlier_writes(const struct log *log)
{
	for (unsigned i = 0; i < LOG_WRITES_MAX; i++) {
		if (log->writes[i].busy && !log->writes[i].commit)
			return true;
	}
	return false;
}

static void flush(struct log *log)
{
	log->flushing = true;
	log->flushed = true;
	raid_flush(log->raid, &log->flush, false);
}

/* False: a write has to end first, and will call again. */
static bool write_rest(struct log *log)
{
	const bool begun = log->commit_writes > 0 || log->flushing;

	/* Gathering ends once: commit_end is not written yet, or the flush has begun. */
	if (!begun && !(log->barriers_off & POOL_BARRIER_LOG_GATHER) && earlier_writes(log))
		return false;
	if (!begun && log->beside && !log->flushed)
		flush(log);
	return log_write_out(log, log->beside ? DISK_FUA : 0);
}

void log_commit_step(struct log *log)
{
	if (!log->committing) {
		if (log->fill - log->first_unwritten >= LOG_WRITE_OUT)
			log_write_out(log, 0);
		return;
	}
	if (log->first_unwritten <= log->commit_end && !write_rest(log))
		return;
	if (log->commit_writes > 0 || log->flushing)
		return;
	if (log->flushed)
		commit_end(log);
	else
		flush(log);
}

static void run(struct loop_task *task)
{
	struct log *log = container_of(task, struct log, task);

	if (!log->committing && !list_empty(&log->next_waiters))
		start(log);
}

void log_commit(struct log *log, struct log_waiter *waiter)
{
	list_append(&log->next_waiters, &waiter->node);
	/* From a task: commits of one turn become one. */
	if (!log->committing)
		loop_task_post(log->loop, &log->task);
}

/* Nobody writes any more: an empty block says that the last group was durable. */
static void settle(struct loop_timer *timer)
{
	struct log *log = container_of(timer, struct log, settle);

	if (log->committing || log->error < 0 || log->records > 0 ||
	    log->durable_upto + 1 != log->fill || !log_has_room(log, 1))
		return;
	log_seal(log, LOG_GROUP_END);
	log->settled = log->fill - 1;
	log_write_out(log, 0);
}

void log_commit_init(struct log *log)
{
	loop_task_init(&log->task, run);
	loop_timer_init(&log->settle, settle);
	log->flush.done = flush_done;
}
