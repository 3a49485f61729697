/* SPDX-License-Identifier: Apache-2.0 */
/* Raw pages of a drive's labels, and writing the superblock to the rings of all drives. */
#include <errno.h>

#include <quoin/base_assert.h>

#include "raid/private.h"

struct page_io {
	struct disk_request request;
	struct iovec iov;
	struct fiber *fiber;
};

static void page_ended(struct disk_request *request)
{
	struct page_io *io = container_of(request, struct page_io, request);
	struct fiber *fiber = io->fiber;

	io->fiber = NULL;
	fiber_wake(fiber);
}

static int label_io(struct raid *raid, struct drive *drive, struct page_io *io)
{
	if (!drive->channel)
		return -ENODEV;
	ASSERT_U64(io->iov.iov_len, <=, disk_info(drive->disk)->transfer_max_bytes);
	io->request.length_bytes = io->iov.iov_len;
	io->request.iov = &io->iov;
	io->request.iov_count = 1;
	io->request.done = page_ended;
	io->fiber = fiber_self();
	ASSERT(io->fiber);
	drive->in_flight++;
	disk_submit(drive->channel, &io->request);
	while (io->fiber)
		fiber_park();
	drive->in_flight--;
	raid_drive_result(raid, drive, io->request.op, io->request.result);
	return io->request.result;
}

int raid_label_read(struct raid *raid, struct drive *drive, uint64_t offset, void *buffer,
		    size_t length)
{
	struct page_io io = {
		.request = {.op = DISK_READ, .offset = offset},
		.iov = {.iov_base = buffer, .iov_len = length},
	};

	return label_io(raid, drive, &io);
}

int raid_label_write(struct raid *raid, struct drive *drive, uint64_t offset, const void *buffer,
		     size_t length)
{
	struct page_io io = {
		.request = {.op = DISK_WRITE, .flags = DISK_FUA, .offset = offset},
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
		.flags = DISK_FUA,
		.offset = super_offset(drive->info.size_bytes, back, slot),
		.length_bytes = PAGE_BYTES,
		.iov = &leg->iov,
		.iov_count = 1,
		.done = super_ended,
	};
	write->pending++;
	drive->in_flight++;
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
