/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drives and their labels: all 128 places of superblocks of every drive, which checkpoint is
 * looked at, and whether every copy of the newest ones is there and says the same (FORMAT.md,
 * sections 2, 4 and 9).
 */
#include <inttypes.h>
#include <stdlib.h>

#include <quoin/loop_fiber.h>

#include "inspect/inspect.h"

#define COPY_AT 56 /* what differs between copies: the drive's guid ... */
#define COPY_BYTES 16
#define TAIL_BYTES 24 /* ... and location and check, at the end */

struct waiting {
	struct disk_request request;
	struct fiber *fiber;
	bool ended;
};

static void read_ended(struct disk_request *request)
{
	struct waiting *waiting = container_of(request, struct waiting, request);

	waiting->ended = true;
	fiber_wake(waiting->fiber);
}

int inspect_read(struct inspect *in, struct inspect_drive *drive, uint64_t offset, void *buffer,
		 size_t length)
{
	const struct iovec iov = {.iov_base = buffer, .iov_len = length};
	struct waiting waiting = {
		.request = {.op = DISK_READ,
			    .offset = offset,
			    .length_bytes = length,
			    .iov = &iov,
			    .iov_count = 1,
			    .done = read_ended},
		.fiber = fiber_self(),
	};

	disk_submit(drive->channel, &waiting.request);
	while (!waiting.ended)
		fiber_park();
	in->result->pages_read += length / PAGE_BYTES;
	return waiting.request.result;
}

/* --- Rings --------------------------------------------------------------------------------- */

struct ring_reader {
	struct inspect *in;
	uint8_t *page;
	struct super super;
	struct super best; /* the one that will be looked at */
	const struct inspect_drive *best_drive;
	struct super newest; /* of the pool */
	unsigned newer_version;
};

static struct inspect_place label_place(const struct inspect *in, const struct inspect_drive *drive,
					bool back, unsigned slot)
{
	struct inspect_place place = inspect_place("label", "superblock %u of the %s ring", slot,
						   back ? "back" : "front");

	place.drive = (unsigned)(drive - in->drives);
	place.offset = super_offset(disk_info(drive->disk)->size_bytes, back, slot);
	return place;
}

static void slot_read(struct ring_reader *r, struct inspect_drive *drive, bool back, unsigned slot)
{
	struct inspect *in = r->in;
	const uint64_t size = disk_info(drive->disk)->size_bytes;
	struct inspect_ring_slot *to = &drive->ring[back][slot];

	to->result = inspect_read(in, drive, super_offset(size, back, slot), r->page, PAGE_BYTES);
	if (to->result < 0) {
		to->result = -EIO;
		return;
	}
	to->result = super_decode(r->page, back, slot, &r->super);
	if (to->result == -ENOTSUP)
		r->newer_version++;
	if (to->result < 0)
		return;
	to->ckpt = r->super.ckpt;
	in->result->superblocks++;
	if (r->super.ckpt > drive->newest) {
		drive->newest = r->super.ckpt;
		memcpy(drive->guid, r->super.drive_guid, sizeof(drive->guid));
	}
	if (r->super.ckpt > r->newest.ckpt)
		r->newest = r->super;
	if ((in->params->checkpoint == 0 ? r->super.ckpt > r->best.ckpt
					 : r->super.ckpt == in->params->checkpoint)) {
		r->best = r->super;
		r->best_drive = drive;
	}
}

static int drive_read(struct ring_reader *r, struct inspect_drive *drive)
{
	struct inspect *in = r->in;
	const uint64_t newest = r->newest.ckpt;
	uint8_t guid[16];

	if (disk_info(drive->disk)->size_bytes < 2 * LABEL_BYTES)
		return err_set(in->err, -ENOENT, "%s: it is too small to be a pool's", drive->path);
	memcpy(guid, r->newest.pool_guid, sizeof(guid));
	for (unsigned slot = 0; slot < 2 * SUPER_RING_SLOTS; slot++)
		slot_read(r, drive, slot >= SUPER_RING_SLOTS, slot % SUPER_RING_SLOTS);
	if (drive->newest == 0)
		return r->newer_version > 0
			       ? err_set(in->err, -ENOTSUP,
					 "%s: its pool has a newer format than this version knows",
					 drive->path)
			       : err_set(in->err, -ENOENT,
					 "%s: no superblock of a pool can be read from it",
					 drive->path);
	if (newest != 0 && r->newest.ckpt != newest &&
	    memcmp(guid, r->newest.pool_guid, sizeof(guid)) != 0)
		return err_set(in->err, -EINVAL, "%s and %s are of different pools",
			       in->drives[0].path, drive->path);
	return 0;
}

/* A drive of an older checkpoint than the newest may be of another pool without a trace above. */
static int pools_check(struct ring_reader *r)
{
	struct inspect *in = r->in;

	for (unsigned i = 0; i < in->drive_count; i++) {
		struct inspect_drive *drive = &in->drives[i];
		const unsigned slot = (unsigned)(drive->newest % SUPER_RING_SLOTS);
		bool back = drive->ring[0][slot].result < 0 ||
			    drive->ring[0][slot].ckpt != drive->newest;

		for (unsigned j = 0; j < i; j++)
			if (memcmp(drive->guid, in->drives[j].guid, sizeof(drive->guid)) == 0)
				return err_set(
					in->err, -EEXIST,
					"%s and %s say they are the same drive: one is a copy",
					in->drives[j].path, drive->path);
		if (inspect_read(in, drive,
				 super_offset(disk_info(drive->disk)->size_bytes, back, slot),
				 r->page, PAGE_BYTES) < 0 ||
		    super_decode(r->page, back, slot, &r->super) < 0 ||
		    memcmp(r->super.pool_guid, r->newest.pool_guid, 16) != 0)
			return err_set(in->err, -EINVAL, "%s and %s are of different pools",
				       in->drives[0].path, drive->path);
	}
	return 0;
}

static void columns_find(struct inspect *in)
{
	const struct super *s = &in->super;
	struct inspect_place place;

	for (unsigned i = 0; i < s->drive_count; i++) {
		for (unsigned j = 0; j < in->drive_count; j++) {
			struct inspect_drive *drive = &in->drives[j];

			/* One behind lacks a superblock and nothing else; more, and it is stale. */
			if (memcmp(drive->guid, s->drives[i].guid, 16) == 0 &&
			    s->drives[i].state == DRIVE_ONLINE && drive->newest + 1 >= s->ckpt)
				in->columns[i] = drive;
		}
		if (in->columns[i])
			continue;
		in->result->drives_missing++;
		place = inspect_place("drives", "drive number %u", i);
		if (s->drives[i].state == DRIVE_ONLINE)
			inspect_copy(in, "drive-away", &place,
				     "it is not among the drives given, or has missed checkpoint "
				     "%" PRIu64,
				     s->ckpt);
		else
			inspect_note(in, "drive-away", &place,
				     "the pool has done without it since checkpoint %" PRIu64,
				     s->drives[i].left_ckpt);
	}
}

static int choose(struct ring_reader *r)
{
	struct inspect *in = r->in;
	int result = pools_check(r);

	if (result < 0)
		return result;
	if (r->best.ckpt == 0)
		return err_set(in->err, -ENOENT,
			       "there is no superblock of checkpoint %" PRIu64
			       "; the newest is %" PRIu64,
			       in->params->checkpoint, r->newest.ckpt);
	in->super = r->best;
	in->newest = r->newest.ckpt;
	in->slot_count = 1U << (in->super.chunk_shift - PAGE_SHIFT);
	memcpy(in->result->name, in->super.pool_name, sizeof(in->result->name));
	memcpy(in->result->host_name, in->super.host_name, sizeof(in->result->host_name));
	memcpy(in->result->guid, in->super.pool_guid, sizeof(in->result->guid));
	in->result->active = in->super.state == SUPER_ACTIVE;
	in->result->destroyed = in->super.state == SUPER_DESTROYED;
	in->result->checkpoint = in->super.ckpt;
	in->result->time_s = in->super.time_s;
	in->result->drives = in->super.drive_count;
	columns_find(in);
	return 0;
}

int inspect_drives_open(struct inspect *in)
{
	struct ring_reader *r;
	int result = 0;

	in->drives = calloc(in->params->drive_count, sizeof(*in->drives));
	r = calloc(1, sizeof(*r));
	if (r)
		r->page = aligned_alloc(PAGE_BYTES, PAGE_BYTES);
	if (!in->drives || !r || !r->page)
		result = err_set(in->err, -ENOMEM, "there is no memory to read the labels");
	for (unsigned i = 0; result == 0 && i < in->params->drive_count; i++) {
		struct inspect_drive *drive = &in->drives[i];

		drive->disk = in->params->drives[i].disk;
		drive->path = in->params->drives[i].path;
		r->in = in;
		result = disk_attach(drive->disk, in->params->loop, &drive->channel);
		if (result < 0) {
			err_set(in->err, result, "%s: %s", drive->path, strerror(-result));
			break;
		}
		in->drive_count++;
		result = drive_read(r, drive);
	}
	if (result == 0)
		result = choose(r);
	if (r)
		free(r->page);
	free(r);
	return result;
}

void inspect_drives_close(struct inspect *in)
{
	for (unsigned i = 0; i < in->drive_count; i++)
		disk_detach(in->drives[i].channel);
	free(in->drives);
}

/* --- Judging ------------------------------------------------------------------------------- */

/*
 * The last write may have been cut short: of the newest, or of the one after it. Front rings come
 * first, so a front copy was whole when the drive's back copy was begun.
 */
static bool last_write(const struct inspect *in, const struct inspect_drive *drive, bool back,
		       unsigned slot)
{
	const struct inspect_ring_slot *twin = &drive->ring[!back][slot];

	if ((in->newest + 1) % SUPER_RING_SLOTS == slot)
		return true;
	return in->newest % SUPER_RING_SLOTS == slot &&
	       (back || twin->result < 0 || twin->ckpt != in->newest);
}

/* A checkpoint of which every copy is damaged was whole: back copies come when front ones are safe.
 */
static void lost_judge(struct inspect *in)
{
	const unsigned slot = (unsigned)((in->newest + 1) % SUPER_RING_SLOTS);
	const struct inspect_place place = inspect_place("superblock", "the superblocks");

	for (unsigned i = 0; i < 2 * in->drive_count; i++)
		if (in->drives[i / 2].ring[i % 2][slot].result != -EUCLEAN)
			return;
	inspect_damage(in, "checkpoint-lost", &place,
		       "all copies of checkpoint %" PRIu64 " are damaged: this is an older one",
		       in->newest + 1);
}

static void slot_judge(struct inspect *in, const struct inspect_drive *drive, bool back,
		       unsigned slot)
{
	const struct inspect_ring_slot *s = &drive->ring[back][slot];
	const bool last = last_write(in, drive, back, slot);
	const struct inspect_place place = label_place(in, drive, back, slot);

	if (s->result == -EIO)
		inspect_copy(in, "label-unreadable", &place, "it cannot be read");
	else if (s->result == -EUCLEAN && last)
		inspect_note(in, "label-damaged", &place,
			     "it is damaged: its write may have been cut short");
	else if (s->result == -EUCLEAN)
		inspect_copy(in, "label-damaged", &place, "it is damaged, or belongs elsewhere");
	else if (s->result == -ENOTSUP)
		inspect_note(in, "label-newer", &place,
			     "it has a format that this version does not know");
}

struct twin {
	uint8_t *reference, *page;
	bool have;
};

/* Copies of one checkpoint are the same but for the drive's guid, location and check. */
static void copy_compare(struct inspect *in, struct inspect_drive *drive, bool back, uint64_t ckpt,
			 struct twin *twin)
{
	const unsigned slot = (unsigned)(ckpt % SUPER_RING_SLOTS);
	const struct inspect_ring_slot *s = &drive->ring[back][slot];
	const struct inspect_place place = label_place(in, drive, back, slot);

	if (s->result < 0 || s->ckpt != ckpt) {
		/* What is damaged was told of already. */
		if (s->result == -EUCLEAN || s->result == -EIO || ckpt != in->newest)
			return;
		/* Drives are written side by side, front rings before back rings. */
		if (back || drive->newest + 1 == ckpt)
			inspect_note(in, "label-missing", &place,
				     "checkpoint %" PRIu64 " is not there yet", ckpt);
		else
			inspect_copy(in, "label-missing", &place,
				     "checkpoint %" PRIu64 " is not there", ckpt);
		return;
	}
	if (inspect_read(in, drive, place.offset, twin->page, PAGE_BYTES) < 0)
		return;
	memset(twin->page + COPY_AT, 0, COPY_BYTES);
	memset(twin->page + PAGE_BYTES - TAIL_BYTES, 0, TAIL_BYTES);
	if (!twin->have)
		memcpy(twin->reference, twin->page, PAGE_BYTES);
	else if (memcmp(twin->reference, twin->page, PAGE_BYTES) != 0)
		inspect_damage(in, "label-differs", &place,
			       "its copy of checkpoint %" PRIu64 " says something else than others",
			       ckpt);
	twin->have = true;
}

static void heartbeat_check(struct inspect *in, struct inspect_drive *drive, uint8_t *page)
{
	struct inspect_place place = inspect_place("label", "heartbeat");
	struct heartbeat beat;
	int r = inspect_read(in, drive, LABEL_HEARTBEAT, page, PAGE_BYTES);

	place.drive = (unsigned)(drive - in->drives);
	place.offset = LABEL_HEARTBEAT;
	if (r < 0) {
		inspect_copy(in, "label-unreadable", &place, "it cannot be read");
		return;
	}
	r = heartbeat_decode(page, &beat);
	/* It is written without a flush, so a power cut may tear it. */
	if (r == -EUCLEAN)
		inspect_note(in, "heartbeat-damaged", &place, "it is damaged");
	else if (r == 0 && memcmp(beat.pool_guid, in->super.pool_guid, 16) != 0)
		inspect_note(in, "heartbeat-foreign", &place, "it is of another pool");
}

static void sizes_check(struct inspect *in)
{
	for (unsigned i = 0; i < in->super.drive_count; i++) {
		const struct super_drive *info = &in->super.drives[i];
		const struct inspect_drive *drive = in->columns[i];
		struct inspect_place place = inspect_place("drives", "drive number %u", i);

		if (drive && disk_info(drive->disk)->size_bytes < info->size_bytes)
			inspect_damage(in, "drive-short", &place,
				       "%s has %" PRIu64 " bytes, less than the %" PRIu64 " it had",
				       drive->path, disk_info(drive->disk)->size_bytes,
				       info->size_bytes);
	}
}

void inspect_labels_check(struct inspect *in)
{
	uint8_t *pages = aligned_alloc(PAGE_BYTES, (size_t)2 * PAGE_BYTES);
	uint64_t ckpt = in->newest;

	if (!pages) {
		in->error = -ENOMEM;
		return;
	}
	for (unsigned i = 0; i < in->drive_count; i++) {
		for (unsigned slot = 0; slot < 2 * SUPER_RING_SLOTS; slot++)
			slot_judge(in, &in->drives[i], slot >= SUPER_RING_SLOTS,
				   slot % SUPER_RING_SLOTS);
		heartbeat_check(in, &in->drives[i], pages);
	}
	lost_judge(in);
	for (unsigned n = 0; n < INSPECT_TRUNKS && ckpt > 0; n++, ckpt--) {
		struct twin twin = {.reference = pages, .page = pages + PAGE_BYTES};

		for (unsigned i = 0; i < 2 * in->super.drive_count; i++)
			if (in->columns[i / 2])
				copy_compare(in, in->columns[i / 2], i % 2, ckpt, &twin);
	}
	sizes_check(in);
	free(pages);
}
