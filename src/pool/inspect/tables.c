/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of volumes, snapshots and the history, and what their records say of each other
 * (FORMAT.md, section 6). Chains are bounded: epochs fall with every step.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "inspect/inspect.h"

const struct inspect_snapshot *inspect_snapshot(const struct inspect *in, uint32_t id)
{
	return id < in->snapshot_count && in->snapshots[id].rec.state != VOLUME_NONE
		       ? &in->snapshots[id]
		       : NULL;
}

uint32_t inspect_epoch(const struct inspect *in, uint32_t snapshot)
{
	const struct inspect_snapshot *s = inspect_snapshot(in, snapshot);

	return s ? s->rec.epoch : 0;
}

/* --- Loading ------------------------------------------------------------------------------- */

/* Room for record `id`; numbers come in ascending order, a page of them at a time. */
static void *room(struct inspect *in, void *all, uint32_t *count, uint32_t id, size_t bytes)
{
	const uint32_t had = *count;
	uint8_t *bigger;

	if (id < had)
		return all;
	bigger = realloc(all, ((size_t)id + RECORDS_PER_PAGE) * bytes);
	if (!bigger) {
		in->error = -ENOMEM;
		return all;
	}
	memset(bigger + (size_t)had * bytes, 0, ((size_t)id + RECORDS_PER_PAGE - had) * bytes);
	*count = id + RECORDS_PER_PAGE;
	return bigger;
}

static bool number_judge(struct inspect *in, uint64_t id, uint32_t limit,
			 const struct inspect_place *place)
{
	if (id != 0 && id < limit)
		return true;
	inspect_damage(in, "record-bad", place,
		       "there may be none with this number: numbers are 1 to below %" PRIu32,
		       limit);
	return false;
}

static void volume_take(struct inspect *in, uint64_t id, const struct volume_record *record,
			const struct inspect_place *place)
{
	if (!number_judge(in, id, in->super.volume_limit, place))
		return;
	in->volumes = room(in, in->volumes, &in->volume_count, (uint32_t)id, sizeof(*in->volumes));
	if (in->error < 0)
		return;
	in->volumes[id].rec = *record;
	if (record->state == VOLUME_LIVE)
		in->result->volumes++;
	else
		in->result->destroying++;
}

static void snapshot_take(struct inspect *in, uint64_t id, const struct snapshot_record *record,
			  const struct inspect_place *place)
{
	if (!number_judge(in, id, in->super.snapshot_limit, place))
		return;
	in->snapshots =
		room(in, in->snapshots, &in->snapshot_count, (uint32_t)id, sizeof(*in->snapshots));
	if (in->error < 0)
		return;
	in->snapshots[id].rec = *record;
	if (record->state == VOLUME_LIVE)
		in->result->snapshots++;
	else
		in->result->destroying++;
}

static void volumes_leaf(struct inspect_walk *walk, uint64_t index, const struct node_ptr *ptr,
			 const uint8_t *page)
{
	for (unsigned i = 0; i < RECORDS_PER_PAGE && walk->in->error == 0; i++) {
		const uint64_t id = index * RECORDS_PER_PAGE + i;
		struct inspect_place place = inspect_place("volumes", "volume number %" PRIu64, id);
		struct volume_record record;

		place.vaddr = ptr->vaddr;
		if (volume_record_decode(page + (size_t)i * RECORD_BYTES, &record) < 0)
			inspect_record_bad(walk, &place);
		else if (record.state != VOLUME_NONE)
			volume_take(walk->in, id, &record, &place);
	}
}

static void snapshots_leaf(struct inspect_walk *walk, uint64_t index, const struct node_ptr *ptr,
			   const uint8_t *page)
{
	for (unsigned i = 0; i < RECORDS_PER_PAGE && walk->in->error == 0; i++) {
		const uint64_t id = index * RECORDS_PER_PAGE + i;
		struct inspect_place place =
			inspect_place("snapshots", "snapshot number %" PRIu64, id);
		struct snapshot_record record;

		place.vaddr = ptr->vaddr;
		if (snapshot_record_decode(page + (size_t)i * RECORD_BYTES, &record) < 0)
			inspect_record_bad(walk, &place);
		else if (record.state != VOLUME_NONE)
			snapshot_take(walk->in, id, &record, &place);
	}
}

/* Whether the ring of lines has one in this place, at this checkpoint. */
static bool history_has(const struct inspect *in, uint64_t record)
{
	return record < MIN(in->super.history_next, (uint64_t)INSPECT_HISTORY_LINES);
}

static void history_leaf(struct inspect_walk *walk, uint64_t index, const struct node_ptr *ptr,
			 const uint8_t *page)
{
	for (unsigned i = 0; i < RECORDS_PER_PAGE; i++) {
		const uint64_t id = index * RECORDS_PER_PAGE + i;
		struct inspect_place place =
			inspect_place("history", "record %" PRIu64 " of the history", id);
		struct history_record record;

		place.vaddr = ptr->vaddr;
		if (!history_has(walk->in, id))
			continue;
		if (history_record_decode(page + (size_t)i * RECORD_BYTES, &record) < 0)
			inspect_damage(walk->in, "record-bad", &place, "its text is none");
		else
			walk->in->result->history_lines++;
	}
}

static void history_judge(struct inspect *in, const struct inspect_walk *walk)
{
	const uint64_t want = MIN(in->super.history_next, (uint64_t)INSPECT_HISTORY_LINES);

	if (!walk->damaged && in->result->history_lines < want)
		inspect_damage(in, "history-short", &walk->place,
			       "%" PRIu64 " lines of %" PRIu64 " are there",
			       in->result->history_lines, want);
}

int inspect_tables_load(struct inspect *in)
{
	struct inspect_walk volumes = {.in = in,
				       .kind = NODE_VOLUMES,
				       .place = inspect_place("volumes", "the table of volumes"),
				       .pages = &in->result->space.tables,
				       .leaf = volumes_leaf};
	struct inspect_walk snapshots = {
		.in = in,
		.kind = NODE_SNAPSHOTS,
		.place = inspect_place("snapshots", "the table of snapshots"),
		.pages = &in->result->space.tables,
		.leaf = snapshots_leaf};
	struct inspect_walk history = {.in = in,
				       .kind = NODE_HISTORY,
				       .place = inspect_place("history", "the history"),
				       .pages = &in->result->space.tables,
				       .leaf = history_leaf};

	inspect_walk(&volumes, &in->super.volumes);
	inspect_walk(&snapshots, &in->super.snapshots);
	inspect_walk(&history, &in->super.history);
	in->incomplete |= volumes.damaged || snapshots.damaged || history.damaged;
	history_judge(in, &history);
	in->result->memory_bytes += in->volume_count * sizeof(*in->volumes) +
				    in->snapshot_count * sizeof(*in->snapshots);
	return in->error;
}

void inspect_tables_free(struct inspect *in)
{
	free(in->volumes);
	free(in->snapshots);
}

/* --- What records say of each other --------------------------------------------------------- */

static bool volume_exists(const struct inspect *in, uint32_t id)
{
	return id < in->volume_count && in->volumes[id].rec.state != VOLUME_NONE;
}

/* Follows the chain of a volume down to what is not its own; that must be its origin. */
static void chain_judge(struct inspect *in, uint32_t id, const struct inspect_place *place)
{
	const struct volume_record *rec = &in->volumes[id].rec;
	uint32_t epoch = UINT32_MAX;
	uint32_t at = rec->last_snapshot;

	while (at != 0) {
		struct inspect_snapshot *s = at < in->snapshot_count ? &in->snapshots[at] : NULL;

		if (!s || s->rec.state == VOLUME_NONE || s->rec.epoch >= epoch) {
			inspect_damage(in, "chain-bad", place,
				       "its chain leads to snapshot number %" PRIu32
				       ", which is not there or is not older",
				       at);
			in->volumes[id].damaged = true;
			return;
		}
		if (s->rec.volume != id)
			break;
		s->chained = true;
		epoch = s->rec.epoch;
		at = s->rec.prev;
	}
	if (at != rec->origin)
		inspect_damage(in, "origin-wrong", place,
			       "its origin is snapshot number %" PRIu32
			       ", its chain ends at number %" PRIu32,
			       rec->origin, at);
}

static void volume_judge(struct inspect *in, uint32_t id)
{
	const struct volume_record *rec = &in->volumes[id].rec;
	const struct inspect_snapshot *origin = inspect_snapshot(in, rec->origin);
	char name[INSPECT_NAME_BYTES];
	struct inspect_place place;

	inspect_volume_name(in, id, name);
	place = inspect_place("volumes", "%s", name);
	chain_judge(in, id, &place);
	if (origin && origin->rec.state != VOLUME_LIVE)
		inspect_damage(in, "origin-wrong", &place, "its origin is being destroyed");
	if (rec->charge_to != 0 &&
	    (rec->state != VOLUME_DESTROYING || !volume_exists(in, rec->charge_to)))
		inspect_damage(in, "record-bad", &place, "it is charged to volume number %" PRIu32,
			       rec->charge_to);
	if (rec->free_cursor % LEAF_ENTRIES != 0 ||
	    (rec->state == VOLUME_LIVE && (rec->free_cursor != 0 || rec->free_epoch != 0)))
		inspect_damage(in, "record-bad", &place, "how far it was destroyed makes no sense");
	for (uint32_t other = 0; other < id && rec->state == VOLUME_LIVE; other++)
		if (in->volumes[other].rec.state == VOLUME_LIVE &&
		    strcmp(in->volumes[other].rec.name, rec->name) == 0)
			inspect_damage(in, "name-double", &place,
				       "volume number %" PRIu32 " has the same name", other);
}

static void snapshot_judge(struct inspect *in, uint32_t id)
{
	const struct inspect_snapshot *s = &in->snapshots[id];
	char name[INSPECT_NAME_BYTES];
	struct inspect_place place;

	inspect_snapshot_name(in, id, name);
	place = inspect_place("snapshots", "%s", name);
	if (!volume_exists(in, s->rec.volume))
		inspect_damage(in, "record-bad", &place,
			       "its volume, number %" PRIu32 ", is not there", s->rec.volume);
	else if (!s->chained && !in->volumes[s->rec.volume].damaged)
		inspect_damage(in, "chain-bad", &place, "the chain of its volume does not have it");
	if (s->rec.epoch == 0 || s->rec.epoch >= in->super.epoch)
		inspect_damage(in, "epoch-wrong", &place,
			       "it is of epoch %" PRIu32 ", the pool is at %" PRIu32, s->rec.epoch,
			       in->super.epoch);
}

static int by_name(const void *a, const void *b)
{
	const struct inspect_snapshot *x = *(const struct inspect_snapshot *const *)a;
	const struct inspect_snapshot *y = *(const struct inspect_snapshot *const *)b;

	if (x->rec.volume != y->rec.volume)
		return x->rec.volume < y->rec.volume ? -1 : 1;
	return strcmp(x->rec.name, y->rec.name);
}

/* There may be very many: sorted, not each against each. */
static void snapshot_names_judge(struct inspect *in)
{
	const struct inspect_snapshot **all = calloc(in->snapshot_count + 1, sizeof(*all));
	struct inspect_place place;
	size_t count = 0;

	if (!all) {
		in->error = -ENOMEM;
		return;
	}
	for (uint32_t id = 0; id < in->snapshot_count; id++)
		if (in->snapshots[id].rec.state == VOLUME_LIVE)
			all[count++] = &in->snapshots[id];
	qsort(all, count, sizeof(*all), by_name);
	for (size_t i = 1; i < count; i++) {
		if (by_name(&all[i - 1], &all[i]) != 0)
			continue;
		place = inspect_place("snapshots", "snapshot number %" PRIu32,
				      (uint32_t)(all[i] - in->snapshots));
		inspect_damage(in, "name-double", &place,
			       "snapshot number %" PRIu32 " has the same name '%s'",
			       (uint32_t)(all[i - 1] - in->snapshots), all[i]->rec.name);
	}
	free(all);
}

void inspect_tables_check(struct inspect *in)
{
	for (uint32_t id = 0; id < in->volume_count && inspect_tick(in); id++)
		if (in->volumes[id].rec.state != VOLUME_NONE)
			volume_judge(in, id);
	for (uint32_t id = 0; id < in->snapshot_count && inspect_tick(in); id++)
		if (in->snapshots[id].rec.state != VOLUME_NONE)
			snapshot_judge(in, id);
	snapshot_names_judge(in);
}
