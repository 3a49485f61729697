/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log into the active delta, after an import. First the chain is followed to its last whole
 * group, looking at nothing but headers; then the data of groups that may never have been
 * acknowledged are checked, and the log is cut before the first that fails; then records are
 * applied in order. Such data may be on some of their drives alone, so a copy that lacks them gets
 * them again: nothing else is written, and a crash in the midst changes nothing.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/import.h"

#define WINDOW_BYTES (LOG_RUN * PAGE_BYTES)
#define DAMAGE_BLOCKS (2 * LOG_RUN) /* in a row, that may be damaged and are noticed */

/* Slots of a column that were read at once: what is asked for next lies behind them, mostly. */
struct window {
	uint8_t *pages; /* LOG_RUN */
	uint64_t vaddr;
	unsigned count;
};

struct replay {
	struct pool *pool;
	struct window log[SEGMENT_COLUMNS_MAX], data[SEGMENT_COLUMNS_MAX];
	const uint8_t *page; /* the last block that was opened, in a window */
	uint64_t last;	     /* of the chain's last whole group; log_head - 1: none */
	uint64_t scanned;    /* `last` before data were looked at */
	uint64_t durable;
	uint64_t records; /* of the blocks up to `last`, at least */
	uint64_t max_seq;
	unsigned bad;		  /* columns that did not have the last block that was opened */
	uint64_t end;		  /* number of the first block that does not continue the chain */
	uint64_t end_generation;  /* which it would have at least */
	struct log_header header; /* of the last block that was opened */
};

static uint64_t pool_check_of(const struct pool *pool)
{
	return le64_get(pool->super.pool_guid);
}

/* The slot as a column has it. NULL: it cannot be read. */
static const uint8_t *slot_read(struct replay *r, struct window *windows, uint64_t vaddr,
				unsigned column)
{
	const struct segment *segment = space_segment(r->pool->space, vaddr_segment(vaddr));
	struct window *w = &windows[column];
	unsigned count = MIN(segment->slot_count - vaddr_slot(vaddr), (unsigned)LOG_RUN);

	if (vaddr - w->vaddr < w->count)
		return w->pages + (vaddr - w->vaddr) * PAGE_BYTES;
	w->count = 0;
	while (raid_read(&r->pool->raid, vaddr, count, column, w->pages) < 0) {
		if (count == 1)
			return NULL;
		count = 1; /* a neighbour may be to blame */
	}
	w->vaddr = vaddr;
	w->count = count;
	return w->pages;
}

/* Opens block `number` from whichever column has it; `prev_check`: only as continuing that. */
static int link_open(struct replay *r, uint64_t number, const uint64_t *prev_check)
{
	struct pool *pool = r->pool;
	const uint64_t vaddr = log_block_vaddr(&pool->log, number);
	const struct segment *segment = space_segment(pool->space, vaddr_segment(vaddr));
	const unsigned online = raid_columns_online(&pool->raid, segment);

	r->bad = 0;
	for (unsigned c = 0; c < segment->column_count; c++) {
		const uint8_t *page = online >> c & 1 ? slot_read(r, r->log, vaddr, c) : NULL;
		struct log_header header;

		if (!page || log_block_open(page, pool_check_of(pool), number, &header) < 0 ||
		    (prev_check && header.prev_check != *prev_check)) {
			r->bad |= (online & 1U << c);
			continue;
		}
		r->page = page;
		r->header = header;
		return 0;
	}
	return -ENOENT;
}

/* Calls `block` for each block of the chain up to `last`. */
static int chain(struct replay *r, uint64_t last, int (*block)(struct replay *r))
{
	const struct super *s = &r->pool->super;
	uint64_t prev = s->log_prev_check;
	uint64_t generation = s->log_generation;
	int result = 0;

	for (uint64_t n = s->log_head; result == 0 && n <= last; n++) {
		r->end = n;
		r->end_generation = generation;
		if (n - s->log_head >= r->pool->log.ring_blocks || link_open(r, n, &prev) < 0 ||
		    r->header.generation < generation)
			return 0;
		prev = r->header.check;
		generation = r->header.generation;
		result = block(r);
	}
	return result;
}

static int scan_block(struct replay *r)
{
	r->records += r->header.record_count;
	if (r->header.flags & LOG_GROUP_END)
		r->last = r->header.number;
	if (r->header.durable_upto > r->durable)
		r->durable = r->header.durable_upto;
	return 0;
}

/*
 * The chain ends where power was cut, or where a block is damaged: a later block that says that it
 * was durable tells. Blocks that come and go with the same cut say so of none behind its end, and
 * those that an import gave up are of lower generations.
 */
static bool end_damaged(struct replay *r)
{
	const uint64_t head = r->pool->super.log_head;
	unsigned missing = 0;

	for (uint64_t n = r->end + 1;
	     missing < DAMAGE_BLOCKS && n - head < r->pool->log.ring_blocks; n++) {
		missing++;
		if (link_open(r, n, NULL) < 0 || r->header.generation < r->end_generation)
			continue;
		if (r->header.durable_upto >= r->end)
			return true;
		missing = 0;
	}
	return false;
}

/* --- Groups that may never have been acknowledged ----------------------------------------------
 */

/* Content of the record's slot, from a column that has it; NULL: none does. */
static const uint8_t *data_read(struct replay *r, const struct log_record *record,
				unsigned *ret_columns)
{
	const struct pool *pool = r->pool;
	const uint64_t vaddr = entry_vaddr(record->entry);
	const struct segment *segment = space_segment(pool->space, vaddr_segment(vaddr));
	const unsigned online = raid_columns_online(&pool->raid, segment);
	const uint8_t *good = NULL;

	*ret_columns = 0;
	for (unsigned c = 0; c < segment->column_count; c++) {
		const uint8_t *page = online >> c & 1 ? slot_read(r, r->data, vaddr, c) : NULL;

		if (!page || !entry_check_matches(page, record->entry))
			continue;
		*ret_columns |= 1U << c;
		good = page;
	}
	return good;
}

/* Drives that did not have the write in time get it now. Where the log is cut, the slot is free. */
static void data_spread(struct replay *r, uint64_t vaddr, const uint8_t *page, unsigned columns)
{
	struct iovec iov = {(void *)(uintptr_t)page, PAGE_BYTES};
	struct raid_io io = {
		.op = RAID_WRITE,
		.vaddr = vaddr,
		.count = 1,
		.columns = columns,
		.iov = &iov,
		.iov_count = 1,
	};

	/* A drive that refuses it has one error more, or is out: the others have it. */
	if (raid_run(&r->pool->raid, &io) < 0)
		return;
}

static bool data_good(struct replay *r, const struct log_record *record)
{
	const uint64_t vaddr = entry_vaddr(record->entry);
	const struct segment *segment;
	const uint8_t *page;
	unsigned columns;

	if (record->type != LOG_WRITE || vaddr == 0)
		return true;
	if (!space_vaddr_valid(r->pool->space, vaddr, SEGMENT_DATA))
		return false;
	page = data_read(r, record, &columns);
	segment = space_segment(r->pool->space, vaddr_segment(vaddr));
	columns = raid_columns_online(&r->pool->raid, segment) & ~columns;
	if (page && columns != 0 && !r->pool->read_only)
		data_spread(r, vaddr, page, columns);
	return page != NULL;
}

/* 1: the group that this block is in ends the log before it. */
static int verify_block(struct replay *r)
{
	struct log_record record;
	size_t at = 0;

	if (r->header.number <= r->durable)
		return 0;
	while (log_record_decode(r->page + LOG_HEADER_BYTES, r->header.used_bytes, &at, &record) ==
	       0) {
		if (!data_good(r, &record))
			return 1;
	}
	if (r->header.flags & LOG_GROUP_END)
		r->last = r->header.number;
	return 0;
}

/* --- Applying ----------------------------------------------------------------------------------
 */

static int apply_write(struct replay *r, struct volume *volume, const struct log_record *record)
{
	struct pool *pool = r->pool;
	const uint64_t vaddr = entry_vaddr(record->entry);
	uint64_t old = 0;

	/* Of these the delta keeps nothing; no version writes any. */
	if (le32_get(record->entry + DELTA_ENTRY_HEAD) != 0)
		return -EUCLEAN;
	if (vaddr != 0 && space_claim(pool->space, vaddr) < 0)
		return -EUCLEAN;
	if (pool_delta(pool)->count == pool_delta(pool)->capacity)
		return -ENOBUFS;
	if (delta_insert(pool_delta(pool), volume->id, record->block, record->entry, &old) ==
	    DELTA_ADDED) {
		volume->pending[pool->active]++;
		pool->pending_total++;
	} else if (old != 0 && old != vaddr && !space_is_ref(pool->space, old)) {
		space_supersede(pool->space, old);
	}
	patch_forget(volume, record->block);
	return 0;
}

static int apply_patch(struct volume *volume, const struct log_record *record)
{
	struct patch *patch = patch_take(volume, record->block);

	if (!patch)
		return -ENOBUFS;
	memcpy(patch->page + record->sector * SECTOR_BYTES, record->data,
	       (size_t)record->sector_count * SECTOR_BYTES);
	patch->mask |= (uint8_t)(((1U << record->sector_count) - 1) << record->sector);
	patch->seq = record->seq;
	return 0;
}

static int apply_range(struct replay *r, struct volume *volume, const struct log_record *record)
{
	const struct delta_range range = {
		.volume = volume->id,
		.epoch = record->epoch,
		.start = record->block,
		.end = record->block + record->block_count,
		.seq = record->seq,
		/* It may have been carried: the tree tells by seq, which is right for all. */
		.carried = true,
	};

	if (pool_delta(r->pool)->range_count == DELTA_RANGES_MAX)
		return -ENOBUFS;
	patches_forget_range(volume, range.start, range.end);
	delta_range_insert(pool_delta(r->pool), &range);
	return 0;
}

static int apply_snapshot(struct replay *r, struct volume *volume, const struct log_record *record)
{
	struct snapshot *snapshot;
	int result = snapshot_add_at(r->pool, record->snapshot, &snapshot);

	if (result < 0)
		return result;
	snapshot->rec = (struct snapshot_record){
		.state = VOLUME_LIVE,
		.volume = volume->id,
		.epoch = record->epoch,
		.created_s = record->time_s,
		.size_bytes = record->size_bytes,
	};
	memcpy(snapshot->rec.guid, record->guid, sizeof(snapshot->rec.guid));
	memcpy(snapshot->rec.name, record->name, sizeof(snapshot->rec.name));
	snapshot->next = snapshot->rec;
	snapshot->pending = true;
	volume->cuts_pending++;
	r->pool->epoch = record->epoch + 1;
	return 0;
}

static int apply(struct replay *r, const struct log_record *record)
{
	struct volume *volume = volume_at(r->pool, record->volume);
	const uint64_t seq = record->type == LOG_WRITE ? entry_seq(record->entry) : record->seq;

	r->max_seq = MAX(r->max_seq, seq);
	r->pool->replayed++;
	if (!volume || volume->rec.state != VOLUME_LIVE)
		return 0;
	if (record->type != LOG_SNAP && record->block >= volume->block_count)
		return 0;
	switch (record->type) {
	case LOG_WRITE:
		return apply_write(r, volume, record);
	case LOG_PATCH:
		return apply_patch(volume, record);
	case LOG_RANGE:
		return apply_range(r, volume, record);
	case LOG_SNAP:
		return apply_snapshot(r, volume, record);
	}
	return -EUCLEAN;
}

/* A copy that is not there although the block was durable. The next checkpoint lets go of it. */
static void bad_count(struct replay *r)
{
	struct pool *pool = r->pool;
	const uint64_t vaddr = log_block_vaddr(&pool->log, r->header.number);
	const struct segment *segment = space_segment(pool->space, vaddr_segment(vaddr));

	for (unsigned c = 0; r->header.number <= r->durable && c < segment->column_count; c++) {
		if (r->bad >> c & 1)
			pool->raid.drives[segment->columns[c].drive].info.check_errors++;
	}
}

static int apply_block(struct replay *r)
{
	struct log_record record;
	size_t at = 0;
	int result;

	bad_count(r);
	do {
		result = log_record_decode(r->page + LOG_HEADER_BYTES, r->header.used_bytes, &at,
					   &record);
		if (result == 0)
			result = apply(r, &record);
	} while (result == 0);
	return result == -ENODATA ? 0 : result;
}

static int run(struct replay *r)
{
	const struct super *s = &r->pool->super;
	int result;

	r->last = s->log_head - 1;
	result = chain(r, UINT64_MAX - 1, scan_block);
	r->scanned = r->last;
	if (result == 0 && end_damaged(r))
		return -EBADMSG;
	if (result == 0 && r->last > r->durable &&
	    !(r->pool->barriers_off & POOL_BARRIER_LOG_VERIFY)) {
		const uint64_t last = r->last;

		r->last = MAX(MIN(r->durable, last), s->log_head - 1);
		result = chain(r, last, verify_block);
	}
	if (result < 0)
		return result;
	if (r->last < s->log_head)
		return 0;
	result = memory_for_replay(r->pool, r->records);
	return result < 0 ? result : chain(r, r->last, apply_block);
}

static int failure(const struct replay *r, int result, struct err *err)
{
	const struct super *s = &r->pool->super;
	char what[64];

	if (result == -ENOBUFS)
		return err_set(err, -ENOMEM,
			       "the log of pool '%s' needs more memory: give quoind more with "
			       "--memory",
			       s->pool_name);
	/* Damage in the midst: what was flushed after it cannot be had. */
	if (result == -EBADMSG)
		snprintf(what, sizeof(what), "its block %" PRIu64, r->end);
	else
		snprintf(what, sizeof(what), "%s", strerror(-result));
	return err_set(err, result == -EBADMSG ? -EUCLEAN : result,
		       "the log of pool '%s' is damaged (%s): it can be given up with: quoin pool "
		       "import %s --rewind %" PRIu64
		       " (what was written after that checkpoint is lost then)",
		       s->pool_name, what, s->pool_name, s->ckpt);
}

int replay(struct pool *pool, struct log_position *ret, struct err *err)
{
	struct replay r = {.pool = pool};
	uint8_t *memory;
	int result = -ENOMEM;

	*ret = (struct log_position){
		.next = pool->super.log_head,
		.prev_check = pool->super.log_prev_check,
		.tail = pool->super.log_head,
		.generation = pool->super.log_generation,
	};
	memory = aligned_alloc(PAGE_BYTES, (size_t)2 * SEGMENT_COLUMNS_MAX * WINDOW_BYTES);
	if (memory) {
		for (unsigned c = 0; c < SEGMENT_COLUMNS_MAX; c++) {
			r.log[c].pages = memory + (size_t)2 * c * WINDOW_BYTES;
			r.data[c].pages = r.log[c].pages + WINDOW_BYTES;
		}
		result = run(&r);
	}
	free(memory);
	if (result < 0)
		return failure(&r, result, err);
	if (r.last >= pool->super.log_head) {
		ret->next = r.last + 1;
		ret->prev_check = r.header.check;
		ret->generation = r.header.generation;
	}
	ret->stale = r.scanned > r.last;
	pool->seq = MAX(pool->super.seq_next, r.max_seq + 1) + SEQ_JUMP;
	return 0;
}
