/* SPDX-License-Identifier: Apache-2.0 */
/* Dumps of labels, the superblock, and its table of drives. */
#include <stdio.h>
#include <stdlib.h>

#include "inspect/dump.h"

static void ring_dump(const struct inspect_dump *dump, const struct inspect_drive *drive, bool back)
{
	dump_open(dump, back ? "back" : "front", POOL_INSPECT_LIST);
	for (unsigned slot = 0; slot < SUPER_RING_SLOTS; slot++) {
		const struct inspect_ring_slot *s = &drive->ring[back][slot];

		if (s->result == -ENOENT)
			continue;
		dump_open(dump, NULL, POOL_INSPECT_ROW);
		dump_number(dump, "place", slot);
		dump_number(dump, "offset",
			    super_offset(disk_info(drive->disk)->size_bytes, back, slot));
		if (s->result == 0)
			dump_number(dump, "checkpoint", s->ckpt);
		else
			dump_text(dump, "problem",
				  s->result == -EUCLEAN	  ? "damaged"
				  : s->result == -ENOTSUP ? "newer format"
							  : "unreadable");
		dump_close(dump);
	}
	dump_close(dump);
}

static void heartbeat_dump(const struct inspect_dump *dump, struct inspect_drive *drive)
{
	uint8_t *page = aligned_alloc(PAGE_BYTES, PAGE_BYTES);
	struct heartbeat beat;

	if (!page) {
		dump->in->error = -ENOMEM;
		return;
	}
	if (inspect_read(dump->in, drive, LABEL_HEARTBEAT, page, PAGE_BYTES) == 0 &&
	    heartbeat_decode(page, &beat) == 0) {
		dump_open(dump, "heartbeat", POOL_INSPECT_ROW);
		dump_number(dump, "beat", beat.beat);
		dump_number(dump, "time_s", beat.time_s);
		dump_bytes(dump, "host", beat.host_id, sizeof(beat.host_id));
		dump_close(dump);
	}
	free(page);
}

int dump_label(const struct inspect_dump *dump)
{
	struct inspect *in = dump->in;

	dump_open(dump, NULL, POOL_INSPECT_LIST);
	for (unsigned i = 0; i < in->drive_count; i++) {
		struct inspect_drive *drive = &in->drives[i];

		dump_open(dump, NULL, POOL_INSPECT_OBJECT);
		dump_text(dump, "drive", drive->path);
		dump_bytes(dump, "guid", drive->guid, sizeof(drive->guid));
		dump_number(dump, "newest", drive->newest);
		heartbeat_dump(dump, drive);
		ring_dump(dump, drive, false);
		ring_dump(dump, drive, true);
		dump_close(dump);
	}
	dump_close(dump);
	return 0;
}

static void seeds_dump(const struct inspect_dump *dump, const struct super *s)
{
	dump_open(dump, "seeds", POOL_INSPECT_LIST);
	for (unsigned i = 0; i < SUPER_SEEDS_MAX; i++) {
		if (s->seeds[i].id == 0)
			continue;
		dump_open(dump, NULL, POOL_INSPECT_OBJECT);
		dump_number(dump, "segment", s->seeds[i].id);
		dump_open(dump, "columns", POOL_INSPECT_LIST);
		for (unsigned c = 0; c < s->seeds[i].column_count; c++) {
			dump_open(dump, NULL, POOL_INSPECT_ROW);
			dump_number(dump, "drive", s->seeds[i].columns[c].drive);
			dump_number(dump, "chunk", s->seeds[i].columns[c].chunk);
			dump_close(dump);
		}
		dump_close(dump);
		dump_close(dump);
	}
	dump_close(dump);
}

static void log_place_dump(const struct inspect_dump *dump, const struct super *s)
{
	uint8_t check[8];

	for (unsigned i = 0; i < sizeof(check); i++)
		check[i] = (uint8_t)(s->log_prev_check >> (56 - 8 * i));
	dump_open(dump, "log", POOL_INSPECT_ROW);
	dump_number(dump, "head", s->log_head);
	dump_number(dump, "generation", s->log_generation);
	dump_bytes(dump, "prev_check", check, sizeof(check));
	dump_close(dump);
	dump_open(dump, "log_segments", POOL_INSPECT_LIST);
	for (unsigned i = 0; i < s->log_segment_count; i++)
		dump_number(dump, NULL, s->log_segments[i]);
	dump_close(dump);
}

static const char *super_state(uint8_t state)
{
	switch (state) {
	case SUPER_ACTIVE:
		return "active";
	case SUPER_EXPORTED:
		return "exported";
	default:
		return "destroyed";
	}
}

int dump_super(const struct inspect_dump *dump)
{
	const struct super *s = &dump->in->super;

	dump_open(dump, NULL, POOL_INSPECT_OBJECT);
	dump_text(dump, "pool", s->pool_name);
	dump_bytes(dump, "guid", s->pool_guid, sizeof(s->pool_guid));
	dump_number(dump, "version", s->version);
	dump_number(dump, "compat", s->compat);
	dump_number(dump, "ro_compat", s->ro_compat);
	dump_number(dump, "incompat", s->incompat);
	dump_number(dump, "checkpoint", s->ckpt);
	dump_number(dump, "time_s", s->time_s);
	dump_number(dump, "created_s", s->created_s);
	dump_text(dump, "state", super_state(s->state));
	dump_text(dump, "host", s->host_name);
	dump_bytes(dump, "host_id", s->host_id, sizeof(s->host_id));
	dump_number(dump, "epoch", s->epoch);
	dump_number(dump, "seq_next", s->seq_next);
	dump_number(dump, "chunk_bytes", UINT64_C(1) << s->chunk_shift);
	dump_number(dump, "reserve_permille", s->reserve_permille);
	dump_truth(dump, "autotrim", s->autotrim != 0);
	dump_number(dump, "data_slots", s->data_slots);
	dump_number(dump, "meta_slots", s->meta_slots);
	dump_number(dump, "segment_limit", s->segment_limit);
	dump_number(dump, "volume_limit", s->volume_limit);
	dump_number(dump, "snapshot_limit", s->snapshot_limit);
	dump_number(dump, "history_next", s->history_next);
	dump_pointer(dump, "volumes", &s->volumes);
	dump_pointer(dump, "snapshots", &s->snapshots);
	dump_pointer(dump, "segments", &s->segments);
	dump_pointer(dump, "history", &s->history);
	dump_pointer(dump, "references", &s->shares);
	dump_number(dump, "shared_slots", s->shared_extra);
	seeds_dump(dump, s);
	log_place_dump(dump, s);
	dump_close(dump);
	return 0;
}

static const char *drive_state(uint8_t state)
{
	switch (state) {
	case DRIVE_ONLINE:
		return "online";
	case DRIVE_MISSING:
		return "missing";
	case DRIVE_FAULTED:
		return "faulted";
	default:
		return "stale";
	}
}

int dump_drives(const struct inspect_dump *dump)
{
	const struct inspect *in = dump->in;

	dump_open(dump, NULL, POOL_INSPECT_LIST);
	for (unsigned i = 0; i < in->super.drive_count; i++) {
		const struct super_drive *d = &in->super.drives[i];

		dump_open(dump, NULL, POOL_INSPECT_OBJECT);
		dump_number(dump, "number", i);
		dump_bytes(dump, "guid", d->guid, sizeof(d->guid));
		dump_text(dump, "path", in->columns[i] ? in->columns[i]->path : "-");
		dump_text(dump, "state", drive_state(d->state));
		dump_number(dump, "group", d->group);
		dump_number(dump, "size_bytes", d->size_bytes);
		dump_number(dump, "chunks", d->chunk_count);
		dump_number(dump, "left_checkpoint", d->left_ckpt);
		dump_number(dump, "read_errors", d->read_errors);
		dump_number(dump, "write_errors", d->write_errors);
		dump_number(dump, "check_errors", d->check_errors);
		dump_close(dump);
	}
	dump_close(dump);
	return 0;
}
