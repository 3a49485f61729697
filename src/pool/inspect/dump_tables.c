/* SPDX-License-Identifier: Apache-2.0 */
/* Dumps of the tables: segments, volumes, snapshots, history; and of the log. */
#include <stdio.h>
#include <stdlib.h>

#include "inspect/dump.h"

/* --- Segments ------------------------------------------------------------------------------ */

static void segment_dump(const struct inspect_dump *dump, uint32_t id)
{
	static const char *const classes[] = {"", "data", "meta", "log"};
	const struct segment_record *r = &dump->in->segments[id].record;

	dump_open(dump, NULL, POOL_INSPECT_OBJECT);
	dump_number(dump, "number", id);
	dump_text(dump, "class", classes[r->class]);
	dump_text(dump, "profile", r->profile == PROFILE_SINGLE ? "single" : "mirror");
	dump_number(dump, "group", r->group);
	dump_number(dump, "born", r->birth_ckpt);
	dump_number(dump, "slots", r->slot_count);
	dump_number(dump, "used", r->used);
	dump_open(dump, "columns", POOL_INSPECT_LIST);
	for (unsigned c = 0; c < r->column_count; c++) {
		dump_open(dump, NULL, POOL_INSPECT_ROW);
		dump_number(dump, "drive", r->columns[c].drive);
		dump_number(dump, "chunk", r->columns[c].chunk);
		dump_close(dump);
	}
	dump_close(dump);
	dump_open(dump, "bitmaps", POOL_INSPECT_LIST);
	for (unsigned p = 0; p < SEGMENT_BITMAPS_MAX; p++) {
		if (r->bitmaps[p].vaddr == 0)
			continue;
		dump_open(dump, NULL, POOL_INSPECT_ROW);
		dump_number(dump, "page", p);
		dump_vaddr(dump, "slot", r->bitmaps[p].vaddr);
		dump_bytes(dump, "check", r->bitmaps[p].check, sizeof(r->bitmaps[p].check));
		dump_close(dump);
	}
	dump_close(dump);
	dump_close(dump);
}

int dump_segments(const struct inspect_dump *dump)
{
	dump_open(dump, NULL, POOL_INSPECT_LIST);
	for (uint32_t id = 0; id < dump->in->segment_count; id++)
		if (dump->in->segments[id].record.class != 0)
			segment_dump(dump, id);
	dump_close(dump);
	return 0;
}

/* --- Volumes and snapshots ----------------------------------------------------------------- */

static const char *state_name(uint8_t state)
{
	return state == VOLUME_LIVE ? "live" : "destroying";
}

static void dead_dump(const struct inspect_dump *dump, const struct deadlist *dead)
{
	dump_pointer(dump, "deadlist", &dead->root);
	dump_number(dump, "deadlist_pages", dead->pages);
	dump_number(dump, "deadlist_data", dead->data);
	dump_number(dump, "deadlist_meta", dead->meta);
}

static void volume_limits(const struct inspect_dump *dump, const struct volume_record *v)
{
	dump_number(dump, "quota_bytes", v->quota_bytes);
	dump_number(dump, "refquota_bytes", v->refquota_bytes);
	dump_number(dump, "reservation_bytes", v->reservation_bytes);
	dump_number(dump, "refreservation_bytes", v->refreservation_bytes);
	dump_text(dump, "full", v->policy == FULL_PAUSE ? "pause" : "error");
	dump_truth(dump, "read_only", v->read_only != 0);
	if (v->kind != VOLUME_PLAIN)
		dump_text(dump, "kind", v->kind == VOLUME_ARRIVING ? "arriving" : "hidden");
}

int dump_volumes(const struct inspect_dump *dump)
{
	const struct inspect *in = dump->in;

	dump_open(dump, NULL, POOL_INSPECT_LIST);
	for (uint32_t id = 0; id < in->volume_count; id++) {
		const struct volume_record *v = &in->volumes[id].rec;

		if (v->state == VOLUME_NONE)
			continue;
		dump_open(dump, NULL, POOL_INSPECT_OBJECT);
		dump_number(dump, "number", id);
		dump_text(dump, "name", v->name);
		dump_text(dump, "state", state_name(v->state));
		dump_bytes(dump, "guid", v->guid, sizeof(v->guid));
		dump_number(dump, "size_bytes", v->size_bytes);
		dump_number(dump, "created_s", v->created_s);
		dump_number(dump, "origin", v->origin);
		dump_number(dump, "last_snapshot", v->last_snapshot);
		dump_number(dump, "referenced", v->referenced);
		dump_number(dump, "referenced_meta", v->referenced_meta);
		dump_number(dump, "unique", v->unique);
		dump_number(dump, "used_data", v->used_data);
		dump_number(dump, "used_meta", v->used_meta);
		volume_limits(dump, v);
		if (v->state == VOLUME_DESTROYING) {
			dump_number(dump, "free_epoch", v->free_epoch);
			dump_number(dump, "free_cursor", v->free_cursor);
			dump_number(dump, "charge_to", v->charge_to);
		}
		dump_pointer(dump, "map", &v->root);
		dead_dump(dump, &v->dead);
		dump_close(dump);
	}
	dump_close(dump);
	return 0;
}

int dump_snapshots(const struct inspect_dump *dump)
{
	const struct inspect *in = dump->in;

	dump_open(dump, NULL, POOL_INSPECT_LIST);
	for (uint32_t id = 0; id < in->snapshot_count; id++) {
		const struct snapshot_record *s = &in->snapshots[id].rec;

		if (s->state == VOLUME_NONE)
			continue;
		dump_open(dump, NULL, POOL_INSPECT_OBJECT);
		dump_number(dump, "number", id);
		dump_number(dump, "volume", s->volume);
		dump_text(dump, "name", s->name);
		dump_text(dump, "state", state_name(s->state));
		dump_bytes(dump, "guid", s->guid, sizeof(s->guid));
		dump_number(dump, "epoch", s->epoch);
		dump_number(dump, "before", s->prev);
		dump_number(dump, "size_bytes", s->size_bytes);
		dump_number(dump, "created_s", s->created_s);
		dump_number(dump, "referenced", s->referenced);
		dump_number(dump, "referenced_meta", s->referenced_meta);
		dump_number(dump, "unique", s->unique);
		dump_open(dump, "holds", POOL_INSPECT_LIST);
		for (unsigned i = 0; i < s->hold_count; i++)
			dump_text(dump, NULL, s->holds[i]);
		dump_close(dump);
		dump_pointer(dump, "map", &s->root);
		dead_dump(dump, &s->dead);
		dump_close(dump);
	}
	dump_close(dump);
	return 0;
}

/* --- History ------------------------------------------------------------------------------- */

struct lines {
	struct inspect_walk walk;
	uint8_t *records; /* all of them: the oldest may stand in the middle */
	uint64_t count;
};

static void lines_take(struct inspect_walk *walk, uint64_t index, const struct node_ptr *ptr UNUSED,
		       const uint8_t *page)
{
	struct lines *lines = container_of(walk, struct lines, walk);

	if ((index + 1) * RECORDS_PER_PAGE <= INSPECT_HISTORY_LINES)
		memcpy(lines->records + index * PAGE_BYTES, page, PAGE_BYTES);
}

int dump_history(const struct inspect_dump *dump)
{
	struct inspect *in = dump->in;
	struct lines lines = {
		.walk = {.in = in,
			 .kind = NODE_HISTORY,
			 .again = true,
			 .place = inspect_place("history", "the history"),
			 .pages = &in->result->space.tables,
			 .leaf = lines_take},
		.records = calloc(INSPECT_HISTORY_LINES, RECORD_BYTES),
	};
	const uint64_t next = in->super.history_next;
	struct history_record record;

	if (!lines.records)
		return in->error = -ENOMEM;
	inspect_walk(&lines.walk, &in->super.history);
	dump_open(dump, NULL, POOL_INSPECT_LIST);
	for (uint64_t n = next - MIN(next, (uint64_t)INSPECT_HISTORY_LINES); n < next; n++) {
		const uint8_t *at = lines.records + n % INSPECT_HISTORY_LINES * RECORD_BYTES;

		if (history_record_decode(at, &record) < 0)
			continue;
		dump_open(dump, NULL, POOL_INSPECT_ROW);
		dump_number(dump, "number", n);
		dump_number(dump, "time_s", record.time_s);
		dump_text(dump, "text", record.text);
		dump_close(dump);
	}
	dump_close(dump);
	free(lines.records);
	return 0;
}

/* --- The log ------------------------------------------------------------------------------- */

struct log_dump {
	struct inspect_log_visit visit;
	const struct inspect_dump *dump;
};

static void block_open(struct inspect_log_visit *visit, const struct log_header *header)
{
	const struct inspect_dump *dump = container_of(visit, struct log_dump, visit)->dump;

	dump_open(dump, NULL, POOL_INSPECT_OBJECT);
	dump_number(dump, "number", header->number);
	dump_number(dump, "generation", header->generation);
	dump_number(dump, "life", header->life);
	dump_number(dump, "durable_upto", header->durable_upto);
	dump_truth(dump, "group_end", header->flags & LOG_GROUP_END);
	dump_open(dump, "records", POOL_INSPECT_LIST);
}

static void entry_dump(const struct inspect_dump *dump, const uint8_t *raw)
{
	struct entry e;

	entry_decode(raw, &e);
	dump_vaddr(dump, "slot", e.vaddr);
	dump_number(dump, "seq", e.seq);
	dump_number(dump, "epoch", e.epoch);
	dump_bytes(dump, "check", e.check, sizeof(e.check));
}

static void record_dump(struct inspect_log_visit *visit, const struct log_record *record)
{
	static const char *const types[] = {"", "write", "patch", "range", "snapshot"};
	const struct inspect_dump *dump = container_of(visit, struct log_dump, visit)->dump;

	dump_open(dump, NULL, POOL_INSPECT_ROW);
	dump_text(dump, "type", types[record->type]);
	dump_number(dump, "volume", record->volume);
	if (record->type != LOG_SNAP)
		dump_number(dump, "block", record->block);
	if (record->type == LOG_WRITE)
		entry_dump(dump, record->entry);
	else
		dump_number(dump, "epoch", record->epoch);
	if (record->type == LOG_PATCH || record->type == LOG_RANGE)
		dump_number(dump, "seq", record->seq);
	if (record->type == LOG_PATCH) {
		dump_number(dump, "sector", record->sector);
		dump_number(dump, "sectors", record->sector_count);
	} else if (record->type == LOG_RANGE) {
		dump_number(dump, "blocks", record->block_count);
	} else if (record->type == LOG_SNAP) {
		dump_number(dump, "snapshot", record->snapshot);
		dump_text(dump, "name", record->name);
		dump_number(dump, "size_bytes", record->size_bytes);
		dump_number(dump, "time_s", record->time_s);
	}
	dump_close(dump);
}

static void block_close(struct inspect_log_visit *visit)
{
	const struct inspect_dump *dump = container_of(visit, struct log_dump, visit)->dump;

	dump_close(dump);
	dump_close(dump);
}

int dump_log(const struct inspect_dump *dump)
{
	struct log_dump log = {
		.visit = {.block = block_open, .record = record_dump, .block_end = block_close},
		.dump = dump};
	int r;

	dump_open(dump, NULL, POOL_INSPECT_LIST);
	r = inspect_log_check(dump->in, &log.visit);
	dump_close(dump);
	return r;
}
