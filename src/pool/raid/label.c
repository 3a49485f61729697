/* SPDX-License-Identifier: Apache-2.0 */
/* Raw pages of a drive's labels, and writing the superblock to the rings of all drives. */
#include <errno.h>

#include <quoin/base_assert.h>

#include "raid/meter.h"
#include "raid/private.h"

struct page_io {
	struct raid_parked parked;
	struct iovec iov;
};

static void parked_ended(struct disk_request *request)
{
	struct raid_parked *parked = container_of(request, struct raid_parked, request);
	struct fiber *fiber = parked->fiber;

	parked->fiber = NULL;
	fiber_wake(fiber);
}

int raid_park_for(struct disk_channel *channel, struct raid_parked *parked)
{
	parked->request.done = parked_ended;
	parked->fiber = fiber_self();
	ASSERT(parked->fiber);
	disk_submit(channel, &parked->request);
	while (parked->fiber)
		fiber_park();
	return parked->request.result;
}

/* One request of the drive, for which the fiber parks. */
static int drive_park_for(struct raid *raid, struct drive *drive, struct raid_parked *parked)
{
	int r;

	drive->in_flight++;
	raid_meter_begin(raid, drive, &parked->request);
	r = raid_park_for(drive->channel, parked);
	raid_meter_end(raid, drive, &parked->request);
	drive->in_flight--;
	return r;
}

static int label_io(struct raid *raid, struct drive *drive, struct page_io *io)
{
	struct disk_request *request = &io->parked.request;
	int r;

	if (!drive->channel)
		return -ENODEV;
	ASSERT_U64(io->iov.iov_len, <=, disk_info(drive->disk)->transfer_max_bytes);
	request->length_bytes = io->iov.iov_len;
	request->iov = &io->iov;
	request->iov_count = 1;
	r = drive_park_for(raid, drive, &io->parked);
	raid_drive_result(raid, drive, request->op, r);
	return r;
}

int raid_chunk_discard(struct raid *raid, struct drive *drive, uint32_t chunk, uint64_t offset,
		       uint64_t length)
{
	struct raid_parked parked = {
		.request = {.op = DISK_DISCARD,
			    .offset = LABEL_BYTES + ((uint64_t)chunk << raid->chunk_shift) + offset,
			    .length_bytes = length},
	};

	if (!raid_drive_online(drive))
		return -ENODEV;
	ASSERT_U64(offset + length, <=, UINT64_C(1) << raid->chunk_shift);
	/* A hint, so its failure is none of the drive. */
	return drive_park_for(raid, drive, &parked);
}

int raid_label_read(struct raid *raid, struct drive *drive, uint64_t offset, void *buffer,
		    size_t length)
{
	struct page_io io = {
		.parked.request = {.op = DISK_READ, .offset = offset},
		.iov = {.iov_base = buffer, .iov_len = length},
	};

	return label_io(raid, drive, &io);
}

int raid_label_write(struct raid *raid, struct drive *drive, uint64_t offset, const void *buffer,
		     size_t length)
{
	struct page_io io = {
		.parked.request = {.op = DISK_WRITE, .flags = DISK_FUA, .offset = offset},
		/* A write does not change what it is given; iovec has no const. */
		.iov = {.iov_base = (void *)(uintptr_t)buffer, .iov_len = length},
	};

	return label_io(raid, drive, &io);
}

/* --- The superblock to all drives ------------------------------------------------------------- */

struct super_write {
	struct raid *raid;
	struct super *super;
	struct fiber *fiber;
	unsigned pending;
	unsigned fronts; /* drives that took the front copy */
	struct super_leg {
		struct disk_request request;
		struct iovec iov;
		struct super_write *write;
		struct drive *drive;
		bool back;
		bool asked, took; /* of either copy */
	} legs[SUPER_DRIVES_MAX];
};

static void super_ended(struct disk_request *request)
{
	struct super_leg *leg = container_of(request, struct super_leg, request);
	struct super_write *write = leg->write;

	leg->drive->in_flight--;
	raid_meter_end(write->raid, leg->drive, request);
	if (request->result == 0) {
		leg->took = true;
		write->fronts += !leg->back;
	}
	raid_drive_result(write->raid, leg->drive, DISK_WRITE, request->result);
	if (--write->pending == 0)
		fiber_wake(write->fiber);
}

static void super_submit(struct super_write *write, struct drive *drive, bool back)
{
	const unsigned slot = (unsigned)(write->super->ckpt % SUPER_RING_SLOTS);
	struct super_leg *leg = &write->legs[drive->index];

	memcpy(write->super->drive_guid, drive->info.guid, sizeof(write->super->drive_guid));
	super_encode(write->super, back, drive->super_page);
	leg->write = write;
	leg->drive = drive;
	leg->back = back;
	leg->asked = true;
	leg->iov = (struct iovec){.iov_base = drive->super_page, .iov_len = PAGE_BYTES};
	leg->request = (struct disk_request){
		.op = DISK_WRITE,
		.flags = write->raid->super_flags,
		.offset = super_offset(drive->info.size_bytes, back, slot),
		.length_bytes = PAGE_BYTES,
		.iov = &leg->iov,
		.iov_count = 1,
		.done = super_ended,
	};
	write->pending++;
	drive->in_flight++;
	raid_meter_begin(write->raid, drive, &leg->request);
	disk_submit(drive->channel, &leg->request);
}

static void super_write_side(struct super_write *write, bool back)
{
	struct raid *raid = write->raid;

	for (unsigned i = 0; i < raid->drive_count; i++) {
		if (raid_drive_online(&raid->drives[i]))
			super_submit(write, &raid->drives[i], back);
	}
	while (write->pending > 0)
		fiber_park();
}

int raid_super_write(struct raid *raid, struct super *super)
{
	struct super_write write = {.raid = raid, .super = super, .fiber = fiber_self()};
	int result = 0;

	ASSERT(write.fiber);
	super_write_side(&write, false);
	super_write_side(&write, true);
	if (write.fronts == 0)
		return -EIO;
	/* Who stays online has this checkpoint: nothing older may be taken for its newest. */
	for (unsigned i = 0; i < raid->drive_count; i++) {
		const struct super_leg *leg = &write.legs[i];

		if (!leg->asked || leg->took || !raid_drive_online(leg->drive))
			continue;
		if (raid->may_fault && raid->may_fault(raid->data, leg->drive))
			raid_drive_fault(raid, leg->drive, DRIVE_FAULTED);
		else
			result = -EIO;
	}
	if (result == 0)
		raid->ckpt = super->ckpt;
	return result;
}

int raid_super_repeat(struct raid *raid, struct super *super, struct drive *drive)
{
	const unsigned slot = (unsigned)(super->ckpt % SUPER_RING_SLOTS);
	int r = 0;

	memcpy(super->drive_guid, drive->info.guid, sizeof(super->drive_guid));
	for (unsigned back = 0; r == 0 && back < 2; back++) {
		super_encode(super, back, drive->super_page);
		r = raid_label_write(raid, drive, super_offset(drive->info.size_bytes, back, slot),
				     drive->super_page, PAGE_BYTES);
	}
	return r;
}
