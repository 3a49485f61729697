/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log: the chain from the superblock on, group by group, as an import would take it
 * (FORMAT.md, sections 8 and 9). Blocks up to the highest durable_upto were on all drives when that
 * was written, so a copy that lacks one of them has lost it; what is behind may be in any state.
 */
#include <inttypes.h>
#include <stdlib.h>

#include <quoin/base_endian.h>

#include "inspect/fetch.h"

struct log_walk {
	struct inspect *in;
	struct pool_inspect_log *log;
	struct inspect_log_visit *visit;
	uint64_t ring_blocks;
	uint64_t pool_check;
	uint64_t prev_check, generation; /* of the block before */
	uint64_t last;			 /* of the last whole group that counts */
	uint64_t durable;
	bool cut; /* a group that nobody was told of failed */
	struct inspect_fetch fetch;
	struct log_header header;
	uint8_t block[PAGE_BYTES];
	uint32_t snapshots[64]; /* numbers that SNAP records give */
	unsigned snapshot_count;
};

static struct inspect_place block_place(const struct log_walk *w, uint64_t number)
{
	struct inspect_place place = inspect_place("log", "log block %" PRIu64, number);

	place.vaddr = w->fetch.vaddr;
	return place;
}

static bool continues(const struct log_walk *w, const uint8_t *block, uint64_t number,
		      struct log_header *ret)
{
	return log_block_open(block, w->pool_check, number, ret) == 0 &&
	       ret->prev_check == w->prev_check && ret->generation >= w->generation;
}

static uint64_t block_vaddr(const struct log_walk *w, uint64_t number)
{
	const uint64_t at = number % w->ring_blocks;

	return vaddr_make(w->in->super.log_segments[at / w->in->slot_count],
			  at % w->in->slot_count);
}

/* False: the log ends before it. */
static bool block_read(struct log_walk *w, uint64_t number)
{
	w->fetch =
		(struct inspect_fetch){.kind = INSPECT_FETCH_RAW, .vaddr = block_vaddr(w, number)};
	inspect_fetch_all(w->in, &w->fetch, 1);
	w->fetch.good = 0;
	w->fetch.page = NULL;
	for (unsigned c = 0; c < SEGMENT_COLUMNS_MAX; c++) {
		struct log_header header;

		if (!w->fetch.column_pages[c] ||
		    !continues(w, w->fetch.column_pages[c], number, &header))
			continue;
		w->fetch.good |= 1U << c;
		w->fetch.page = w->fetch.column_pages[c];
		w->header = header;
	}
	if (!w->fetch.page)
		return false;
	memcpy(w->block, w->fetch.page, PAGE_BYTES);
	return true;
}

/* Calls `block` for each of the chain up to `last`. */
static void chain(struct log_walk *w, uint64_t last, void (*block)(struct log_walk *w))
{
	const struct super *s = &w->in->super;

	w->prev_check = s->log_prev_check;
	w->generation = s->log_generation;
	for (uint64_t n = s->log_head; n <= last && n - s->log_head < w->ring_blocks; n++) {
		if (w->cut || !inspect_tick(w->in) || !block_read(w, n))
			return;
		w->prev_check = w->header.check;
		w->generation = w->header.generation;
		block(w);
	}
}

static void scan(struct log_walk *w)
{
	w->log->blocks++;
	if (w->header.flags & LOG_GROUP_END) {
		w->last = w->header.number;
		w->log->groups++;
	}
	w->durable = MAX(w->durable, w->header.durable_upto);
}

/*
 * Where the chain ends a block may have been damaged: then a later block of this lap says that it
 * was durable (FORMAT.md, section 8).
 */
static bool says_durable(const struct log_walk *w, const struct inspect_fetch *fetch,
			 uint64_t number, uint64_t ended)
{
	struct log_header header;

	for (unsigned c = 0; c < SEGMENT_COLUMNS_MAX; c++)
		if (fetch->column_pages[c] &&
		    log_block_open(fetch->column_pages[c], w->pool_check, number, &header) == 0 &&
		    header.generation >= w->generation && header.durable_upto >= ended)
			return true;
	return false;
}

static void lost_judge(struct log_walk *w)
{
	const uint64_t ended = w->in->super.log_head + w->log->blocks;
	const struct inspect_place place = inspect_place("log", "log block %" PRIu64, ended);
	struct inspect_fetch *all = calloc(INSPECT_FETCH_MAX, sizeof(*all));

	if (!all) {
		w->in->error = -ENOMEM;
		return;
	}
	for (uint64_t n = ended + 1; n - ended < w->ring_blocks && inspect_tick(w->in);) {
		const unsigned count =
			(unsigned)MIN((uint64_t)INSPECT_FETCH_MAX, w->ring_blocks - (n - ended));
		bool lost = false;

		for (unsigned i = 0; i < count; i++)
			all[i] = (struct inspect_fetch){.kind = INSPECT_FETCH_RAW,
							.vaddr = block_vaddr(w, n + i)};
		inspect_fetch_all(w->in, all, count);
		for (unsigned i = 0; i < count && !lost; i++)
			lost = says_durable(w, &all[i], n + i, ended);
		n += count;
		if (!lost)
			continue;
		inspect_damage(w->in, "log-lost", &place,
			       "it is damaged, and a later block says that it was durable");
		break;
	}
	free(all);
}

/* Copies of durable blocks are all there. */
static void copies(struct log_walk *w)
{
	const struct inspect_place place = block_place(w, w->header.number);

	(void)inspect_fetch_judge(w->in, &w->fetch, &place);
}

/* --- Data ---------------------------------------------------------------------------------- */

static bool data_good(struct log_walk *w, const struct log_record *record, bool judge)
{
	const uint64_t vaddr = entry_vaddr(record->entry);
	const struct inspect_place place =
		inspect_place("data", "block %" PRIu64 " of volume number %" PRIu32 " (in the log)",
			      record->block, record->volume);
	struct inspect_fetch fetch = {
		.kind = INSPECT_FETCH_BLOCK, .vaddr = vaddr, .check = record->entry};

	if (record->type != LOG_WRITE || vaddr == 0)
		return true;
	if (!inspect_vaddr_valid(w->in, vaddr, SEGMENT_DATA))
		return false;
	inspect_fetch_all(w->in, &fetch, 1);
	return judge ? inspect_fetch_judge(w->in, &fetch, &place) : fetch.page != NULL;
}

/* Groups that may never have been acknowledged: the first with a block that fails ends the log. */
static void verify(struct log_walk *w)
{
	struct log_record record;
	size_t at = 0;

	if (w->header.number <= w->durable)
		return;
	while (log_record_decode(w->block + LOG_HEADER_BYTES, w->header.used_bytes, &at, &record) ==
	       0) {
		if (data_good(w, &record, false))
			continue;
		w->cut = true;
		return;
	}
	if (w->header.flags & LOG_GROUP_END)
		w->last = w->header.number;
}

/* --- Records ------------------------------------------------------------------------------- */

static void write_judge(struct log_walk *w, const struct log_record *record,
			const struct inspect_place *place)
{
	struct inspect *in = w->in;
	const uint64_t vaddr = entry_vaddr(record->entry);
	struct inspect_place at = *place;

	if (vaddr == 0)
		return;
	at.vaddr = vaddr;
	if (!inspect_vaddr_valid(in, vaddr, SEGMENT_DATA)) {
		inspect_damage(in, "entry-bad", &at, "a record's address leads nowhere");
		return;
	}
	if (inspect_owned(in, vaddr))
		inspect_damage(in, "log-owned", &at, "a record names a slot that a tree has");
	(void)!inspect_own_logged(in, vaddr, &at);
	if (in->params->data)
		(void)!data_good(w, record, true);
}

static void snapshot_judge(struct log_walk *w, const struct log_record *record,
			   const struct inspect_place *place)
{
	bool taken = inspect_snapshot(w->in, record->snapshot) != NULL;

	for (unsigned i = 0; i < w->snapshot_count; i++)
		taken |= w->snapshots[i] == record->snapshot;
	if (taken)
		inspect_damage(w->in, "log-snapshot", place,
			       "it makes snapshot number %" PRIu32 ", which there is already",
			       record->snapshot);
	if (record->epoch < w->in->super.epoch)
		inspect_damage(w->in, "epoch-wrong", place,
			       "it makes a snapshot of epoch %" PRIu32 ", the pool is at %" PRIu32,
			       record->epoch, w->in->super.epoch);
	if (w->snapshot_count < ARRAY_SIZE(w->snapshots))
		w->snapshots[w->snapshot_count++] = record->snapshot;
}

static void record_judge(struct log_walk *w, const struct log_record *record)
{
	const struct inspect_place place = block_place(w, w->header.number);
	const struct inspect *in = w->in;
	const struct inspect_volume *v =
		record->volume < in->volume_count ? &in->volumes[record->volume] : NULL;

	w->log->records++;
	w->log->writes += record->type == LOG_WRITE;
	w->log->patches += record->type == LOG_PATCH;
	w->log->ranges += record->type == LOG_RANGE;
	w->log->snapshots += record->type == LOG_SNAP;
	/* Those of volumes that are gone are skipped. */
	if (!v || v->rec.state != VOLUME_LIVE)
		return;
	if (record->type == LOG_WRITE && record->block < v->rec.size_bytes / PAGE_BYTES)
		write_judge(w, record, &place);
	else if (record->type == LOG_SNAP)
		snapshot_judge(w, record, &place);
}

static void apply(struct log_walk *w)
{
	const struct inspect_place place = block_place(w, w->header.number);
	struct log_record record;
	unsigned count = 0;
	size_t at = 0;
	int r;

	if (w->header.number <= w->durable)
		copies(w);
	if (w->visit)
		w->visit->block(w->visit, &w->header);
	while ((r = log_record_decode(w->block + LOG_HEADER_BYTES, w->header.used_bytes, &at,
				      &record)) == 0) {
		count++;
		record_judge(w, &record);
		if (w->visit)
			w->visit->record(w->visit, &record);
	}
	if (w->visit)
		w->visit->block_end(w->visit);
	if (r != -ENODATA || count != w->header.record_count)
		inspect_damage(w->in, "log-record", &place,
			       "it says it has %u records; %u can be read", w->header.record_count,
			       count);
}

/* --- The whole ----------------------------------------------------------------------------- */

static void walk(struct log_walk *w)
{
	const struct super *s = &w->in->super;
	const struct inspect_place place = inspect_place("log", "the log");
	uint64_t last;

	w->last = s->log_head - 1;
	chain(w, UINT64_MAX - 1, scan);
	lost_judge(w);
	last = w->last;
	w->log->head = s->log_head;
	w->log->durable_upto = w->durable;
	if (last > w->durable) {
		w->last = MAX(MIN(w->durable, last), s->log_head - 1);
		chain(w, last, verify);
		w->cut = false;
	}
	if (w->last >= s->log_head)
		chain(w, w->last, apply);
	w->log->left_out = s->log_head + w->log->blocks - 1 - w->last;
	if (w->log->left_out > 0)
		inspect_note(w->in, "log-tail", &place,
			     "%" PRIu64 " blocks at its end were being written, and do not count",
			     w->log->left_out);
	/* What was durable cannot have gone. */
	if (w->durable != 0 && w->last < w->durable && w->durable >= s->log_head)
		inspect_damage(w->in, "log-short", &place,
			       "it ends at block %" PRIu64 "; block %" PRIu64 " was durable",
			       w->last, w->durable);
}

int inspect_log_check(struct inspect *in, struct inspect_log_visit *visit)
{
	struct log_walk *w;

	for (unsigned i = 0; i < in->super.log_segment_count; i++)
		if (!inspect_vaddr_valid(in, vaddr_make(in->super.log_segments[i], 0), SEGMENT_LOG))
			return 0; /* was told of with the segments */
	w = calloc(1, sizeof(*w));
	if (!w)
		return in->error = -ENOMEM;
	w->in = in;
	w->visit = visit;
	w->log = &in->result->log;
	w->ring_blocks = (uint64_t)in->super.log_segment_count * in->slot_count;
	w->pool_check = le64_get(in->super.pool_guid);
	walk(w);
	free(w);
	return in->error;
}
