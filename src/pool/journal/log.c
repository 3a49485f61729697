/* SPDX-License-Identifier: Apache-2.0 */
/* The log's blocks: appending, sealing, writing out. Commits are in commit.c. */
#include <errno.h>
#include <stdlib.h>

#include <quoin/base_assert.h>
#include <quoin/base_bitmap.h>
#include <quoin/loop_fiber.h>
#include <quoin/pool_types.h>

#include "journal/private.h"

static uint8_t *buffer_of(const struct log *log, uint64_t number)
{
	return log->buffers + (number % LOG_BUFFERS) * PAGE_BYTES;
}

uint64_t log_block_vaddr(const struct log *log, uint64_t number)
{
	const uint64_t at = number % log->ring_blocks;

	return vaddr_make(log->segments[at / log->blocks_per_segment],
			  at % log->blocks_per_segment);
}

void log_check(const struct log *log)
{
	ASSERT_U64(log->first_unfinished, <=, log->first_unwritten);
	ASSERT_U64(log->first_unwritten, <=, log->fill);
	ASSERT_U64(log->fill - log->first_unfinished, <, LOG_BUFFERS);
	ASSERT_U64(log->fill - log->tail, <, log->ring_blocks);
	ASSERT_U64(log->durable_upto, <, log->fill);
}

static void block_begin(struct log *log)
{
	memset(buffer_of(log, log->fill), 0, PAGE_BYTES);
	log->header = (struct log_header){
		.pool_check = log->pool_check,
		.generation = log->generation,
		.number = log->fill,
		.prev_check = log->prev_check,
		.life = log->life,
	};
}

void log_seal(struct log *log, unsigned flags)
{
	log->header.flags = (uint16_t)flags;
	log->header.durable_upto = log->durable_upto;
	log->prev_check = log_block_seal(buffer_of(log, log->fill), &log->header);
	log->fill++;
	block_begin(log);
}

bool log_has_room(const struct log *log, unsigned count)
{
	const size_t most = (size_t)count * LOG_RECORD_BYTES_MAX;
	/* Each of them may need a new block, and a commit may seal one more on the way. */
	const uint64_t blocks = most + log->header.used_bytes <= LOG_PAYLOAD_BYTES ? 1 : count + 2;

	return log->fill + blocks - log->first_unfinished < LOG_BUFFERS - 2 &&
	       ((log->barriers_off & POOL_BARRIER_LOG_WRAP) ||
		log->fill + blocks + LOG_BUFFERS - log->tail < log->ring_blocks);
}

void log_append(struct log *log, const struct log_record *record)
{
	const size_t size = log_record_size(record);

	if (log->header.used_bytes + size > LOG_PAYLOAD_BYTES)
		log_seal(log, 0);
	log_record_encode(record,
			  buffer_of(log, log->fill) + LOG_HEADER_BYTES + log->header.used_bytes);
	log->header.used_bytes = (uint16_t)(log->header.used_bytes + size);
	log->header.record_count++;
	log->records++;
	/* What a commit has not written yet is the commit's: it has to be durable. */
	if (log->committing && log->first_unwritten <= log->commit_end)
		return;
	if (log->fill - log->first_unwritten >= LOG_WRITE_OUT)
		log_write_out(log, 0);
}

/* --- Writing ------------------------------------------------------------------------------- */

/* Moves first_unfinished over what is finished. */
static void finished(struct log *log, uint64_t first, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		bitmap_set(log->finished_bits, (first + i) % LOG_BUFFERS);
	while (log->first_unfinished < log->first_unwritten &&
	       bitmap_test(log->finished_bits, log->first_unfinished % LOG_BUFFERS)) {
		bitmap_clear(log->finished_bits, log->first_unfinished % LOG_BUFFERS);
		log->first_unfinished++;
	}
}

static void write_done(struct raid_io *io)
{
	struct log_write *write = container_of(io, struct log_write, io);
	struct log *log = write->log;

	write->busy = false;
	if (io->result < 0)
		log_fail(log, io->result);
	finished(log, write->first, write->count);
	log->blocks_written += write->count;
	if (write->commit)
		log->commit_writes--;
	log_commit_step(log);
	if (log->room)
		log->room(log->data);
}

/* How many blocks from `first` lie side by side on the drives and in memory. */
static unsigned run_length(const struct log *log, uint64_t first)
{
	uint64_t most = MIN(log->fill - first, (uint64_t)LOG_RUN);

	most = MIN(most, LOG_BUFFERS - first % LOG_BUFFERS);
	most = MIN(most, log->blocks_per_segment - first % log->blocks_per_segment);
	return (unsigned)most;
}

static struct log_write *write_find(struct log *log)
{
	for (unsigned i = 0; i < LOG_WRITES_MAX; i++) {
		if (!log->writes[i].busy)
			return &log->writes[i];
	}
	return NULL;
}

bool log_write_out(struct log *log, unsigned flags)
{
	while (log->first_unwritten < log->fill) {
		struct log_write *write = write_find(log);

		if (!write)
			return false;
		write->busy = true;
		write->log = log;
		write->commit = log->committing;
		write->first = log->first_unwritten;
		write->count = run_length(log, write->first);
		write->iov.iov_base = buffer_of(log, write->first);
		write->iov.iov_len = (size_t)write->count * PAGE_BYTES;
		write->io.op = RAID_WRITE;
		write->io.columns = 0;
		write->io.flags = log->barriers_off & POOL_BARRIER_LOG_FUA ? 0 : flags;
		write->io.vaddr = log_block_vaddr(log, write->first);
		write->io.count = write->count;
		write->io.iov = &write->iov;
		write->io.iov_count = 1;
		write->io.done = write_done;
		log->first_unwritten += write->count;
		if (write->commit)
			log->commit_writes++;
		raid_submit(log->raid, &write->io);
	}
	return true;
}

/* --- Generations and the ring -------------------------------------------------------------- */

void log_freeze(struct log *log, struct log_position *ret_start)
{
	if (log->header.record_count > 0)
		log_seal(log, 0);
	log->generation++;
	block_begin(log);
	*ret_start = (struct log_position){
		.next = log->fill,
		.prev_check = log->prev_check,
		.tail = log->fill,
		.generation = log->generation,
	};
}

void log_tail_move(struct log *log, uint64_t tail)
{
	ASSERT_U64(tail, <=, log->fill);
	log->tail = tail;
	if (log->room)
		log->room(log->data);
}

bool log_idle(const struct log *log)
{
	for (unsigned i = 0; i < LOG_WRITES_MAX; i++) {
		if (log->writes[i].busy)
			return false;
	}
	return !log->committing;
}

int log_start(struct log *log, const struct log_position *position)
{
	log->buffers = aligned_alloc(PAGE_BYTES, (size_t)LOG_BUFFERS * PAGE_BYTES);
	if (!log->buffers)
		return -ENOMEM;
	log->generation = position->generation;
	log->tail = position->tail;
	log->fill = position->next;
	log->first_unwritten = position->next;
	log->first_unfinished = position->next;
	log->durable_upto = position->next - 1;
	log->prev_check = position->prev_check;
	list_init(&log->waiters);
	list_init(&log->next_waiters);
	log_commit_init(log);
	block_begin(log);
	log_check(log);
	return 0;
}

void log_fini(struct log *log)
{
	if (!log->buffers)
		return;
	ASSERT(log_idle(log));
	loop_timer_disarm(log->loop, &log->settle);
	loop_task_cancel(&log->task);
	free(log->buffers);
	log->buffers = NULL;
}

/* --- A fiber that waits for a commit -------------------------------------------------------- */

struct fiber_waiter {
	struct log_waiter waiter;
	struct fiber *fiber;
	bool done;
};

static void fiber_told(struct log_waiter *base)
{
	struct fiber_waiter *waiter = container_of(base, struct fiber_waiter, waiter);

	waiter->done = true;
	fiber_wake(waiter->fiber);
}

int log_commit_run(struct log *log)
{
	struct fiber_waiter waiter = {.waiter = {.done = fiber_told}, .fiber = fiber_self()};

	log_commit(log, &waiter.waiter);
	while (!waiter.done)
		fiber_park();
	return waiter.waiter.result;
}
