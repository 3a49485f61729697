/* SPDX-License-Identifier: Apache-2.0 */
/* Transfers: slots of a segment to places on drives, all columns written, one read. */
#include <errno.h>

#include <quoin/base_assert.h>

#include "raid/meter.h"
#include "raid/private.h"

/* NULL: it went since the request was begun. */
static const struct segment *segment_of(const struct raid_io *io)
{
	return space_segment(io->raid->space, vaddr_segment(io->vaddr));
}

static struct drive *column_drive(struct raid *raid, const struct segment *segment, unsigned column)
{
	ASSERT_U64(column, <, segment->column_count);
	ASSERT_U64(segment->columns[column].drive, <, raid->drive_count);
	return &raid->drives[segment->columns[column].drive];
}

unsigned raid_columns_online(const struct raid *raid, const struct segment *segment)
{
	unsigned columns = 0;

	for (unsigned i = 0; i < segment->column_count; i++) {
		ASSERT_U64(segment->columns[i].drive, <, raid->drive_count);
		if (raid_drive_online(&raid->drives[segment->columns[i].drive]))
			columns |= 1U << i;
	}
	return columns;
}

static void finish(struct raid_io *io)
{
	io->done(io);
}

static void finish_now(struct loop_timer *timer)
{
	finish(container_of(timer, struct raid_io, legs[0].request.timer));
}

/* No request was made, so its timer is free; done() is not called from inside raid_submit(). */
static void finish_later(struct raid_io *io, int result)
{
	struct loop *loop = io->raid->loop;

	io->result = result;
	loop_timer_init(&io->legs[0].request.timer, finish_now);
	loop_timer_arm(loop, &io->legs[0].request.timer, loop_now_ns(loop));
}

static void leg_submit(struct raid_io *io, const struct segment *segment, unsigned column,
		       void (*done)(struct disk_request *request))
{
	struct raid_leg *leg = &io->legs[column];
	struct drive *drive = column_drive(io->raid, segment, column);
	const struct disk_info *info = disk_info(drive->disk);
	const uint64_t length_bytes = (uint64_t)io->count << PAGE_SHIFT;

	*leg = (struct raid_leg){.io = io, .drive = drive, .column = column};
	leg->request.offset = LABEL_BYTES +
			      ((uint64_t)segment->columns[column].chunk << io->raid->chunk_shift) +
			      ((uint64_t)vaddr_slot(io->vaddr) << PAGE_SHIFT);
	leg->request.length_bytes = length_bytes;
	leg->request.op = io->op == RAID_READ	 ? DISK_READ
			  : io->op == RAID_WRITE ? DISK_WRITE
						 : DISK_DISCARD;
	leg->request.done = done;
	if (io->op != RAID_DISCARD) {
		ASSERT_U64(length_bytes, <=, info->transfer_max_bytes);
		ASSERT_U64(io->iov_count, <=, info->iov_max);
		leg->request.flags = io->flags;
		leg->request.iov = io->iov;
		leg->request.iov_count = io->iov_count;
	}
	drive->in_flight++;
	raid_meter_begin(io->raid, drive, &leg->request);
	disk_submit(drive->channel, &leg->request);
}

static void leg_ended(struct raid_leg *leg)
{
	leg->drive->in_flight--;
	raid_meter_end(leg->io->raid, leg->drive, &leg->request);
}

/* --- Reads ------------------------------------------------------------------------------------ */

/* The online column, not tried yet, whose drive has the least to do; -1: none. */
static int read_pick(struct raid_io *io, const struct segment *segment)
{
	const unsigned online = raid_columns_online(io->raid, segment) & ~io->failed;
	const uint64_t turn = io->raid->read_turn;
	uint64_t least = UINT64_MAX;
	int pick = -1;

	for (unsigned i = 0; i < segment->column_count; i++) {
		const unsigned column = (unsigned)((turn + i) % segment->column_count);

		if (!(online & 1U << column))
			continue;
		if (column_drive(io->raid, segment, column)->in_flight < least) {
			least = column_drive(io->raid, segment, column)->in_flight;
			pick = (int)column;
		}
	}
	return pick;
}

static void read_column(struct raid_io *io, const struct segment *segment, unsigned column);

static void read_ended(struct disk_request *request)
{
	struct raid_leg *leg = container_of(request, struct raid_leg, request);
	const int result = request->result;
	struct raid_io *io = leg->io;
	const struct segment *segment = segment_of(io);
	int next = -1;

	leg_ended(leg);
	raid_drive_result(io->raid, leg->drive, DISK_READ, result);
	io->result = result;
	if (result < 0) {
		io->failed |= 1U << leg->column;
		next = io->any && segment ? read_pick(io, segment) : -1;
	}
	if (next >= 0)
		read_column(io, segment, (unsigned)next);
	else
		finish(io);
}

static void read_column(struct raid_io *io, const struct segment *segment, unsigned column)
{
	io->column = column;
	io->raid->reads++;
	io->raid->bytes_read += (uint64_t)io->count << PAGE_SHIFT;
	leg_submit(io, segment, column, read_ended);
}

static void read_submit(struct raid_io *io, const struct segment *segment)
{
	int column;

	io->any = io->column == RAID_ANY_COLUMN;
	io->raid->read_turn += io->any;
	if (io->any)
		column = read_pick(io, segment);
	else
		column = raid_drive_online(column_drive(io->raid, segment, io->column))
				 ? (int)io->column
				 : -1;
	if (column >= 0)
		read_column(io, segment, (unsigned)column);
	else
		finish_later(io, -ENODATA);
}

/* --- Writes and discards ---------------------------------------------------------------------- */

/*
 * A copy on a drive that was given up meanwhile is no copy: nobody will read it. It is told apart
 * only at the end, as drives may go while other columns are under way.
 */
static void write_finish(struct raid_io *io)
{
	unsigned good = io->good;

	for (unsigned i = 0; i < SEGMENT_COLUMNS_MAX; i++) {
		if (good & 1U << i && !raid_drive_online(io->legs[i].drive))
			good &= ~(1U << i);
	}
	io->failed |= io->good & ~good;
	io->good = good;
	if (good)
		io->result = 0;
	else if (io->result == 0)
		io->result = -EIO;
	finish(io);
}

static void write_ended(struct disk_request *request)
{
	struct raid_leg *leg = container_of(request, struct raid_leg, request);
	struct raid_io *io = leg->io;

	leg_ended(leg);
	if (request->result == 0) {
		io->good |= 1U << leg->column;
		if (!(io->flags & DISK_FUA))
			leg->drive->dirty = true;
	} else {
		io->failed |= 1U << leg->column;
		if (io->result == 0)
			io->result = request->result;
	}
	raid_drive_result(io->raid, leg->drive, DISK_WRITE, request->result);
	if (--io->pending == 0)
		write_finish(io);
}

static void write_submit(struct raid_io *io, const struct segment *segment)
{
	const unsigned online =
		raid_columns_online(io->raid, segment) & (io->columns ? io->columns : UINT32_MAX);

	if (!online) {
		finish_later(io, -ENODATA);
		return;
	}
	for (unsigned i = 0; i < segment->column_count; i++) {
		if (!(online & 1U << i))
			continue;
		io->pending++;
		io->raid->writes++;
		io->raid->bytes_written += (uint64_t)io->count << PAGE_SHIFT;
		leg_submit(io, segment, i, write_ended);
	}
}

/* A hint: what the drive makes of it is its own affair. */
static void discard_ended(struct disk_request *request)
{
	struct raid_leg *leg = container_of(request, struct raid_leg, request);

	leg_ended(leg);
	if (request->result < 0)
		leg->io->failed |= 1U << leg->column;
	if (--leg->io->pending == 0)
		finish(leg->io);
}

static void discard_submit(struct raid_io *io, const struct segment *segment)
{
	const unsigned online = raid_columns_online(io->raid, segment);

	for (unsigned i = 0; i < segment->column_count; i++) {
		const struct drive *drive = column_drive(io->raid, segment, i);

		if (!(online & 1U << i) || disk_info(drive->disk)->discard_granularity_bytes == 0)
			continue;
		io->pending++;
		leg_submit(io, segment, i, discard_ended);
	}
	if (io->pending == 0)
		finish_later(io, 0);
}

void raid_submit(struct raid *raid, struct raid_io *io)
{
	const struct segment *segment;

	io->raid = raid;
	io->result = 0;
	io->failed = 0;
	io->pending = 0;
	io->good = 0;
	segment = segment_of(io);
	ASSERT(segment);
	ASSERT_U64(io->count, >, 0);
	ASSERT_U64((uint64_t)vaddr_slot(io->vaddr) + io->count, <=, segment->slot_count);
	switch (io->op) {
	case RAID_READ:
		read_submit(io, segment);
		return;
	case RAID_WRITE:
		write_submit(io, segment);
		return;
	case RAID_DISCARD:
		discard_submit(io, segment);
		return;
	}
	UNREACHABLE();
}

/* --- Fibers ----------------------------------------------------------------------------------- */

static void run_ended(struct raid_io *io)
{
	struct fiber *fiber = io->fiber;

	io->fiber = NULL;
	fiber_wake(fiber);
}

int raid_run(struct raid *raid, struct raid_io *io)
{
	io->done = run_ended;
	io->fiber = fiber_self();
	ASSERT(io->fiber);
	raid_submit(raid, io);
	while (io->fiber)
		fiber_park();
	return io->result;
}

int raid_read(struct raid *raid, uint64_t vaddr, unsigned count, unsigned column, void *buffer)
{
	const struct iovec iov = {.iov_base = buffer, .iov_len = (size_t)count << PAGE_SHIFT};
	struct raid_io io = {.op = RAID_READ,
			     .vaddr = vaddr,
			     .count = count,
			     .column = column,
			     .iov = &iov,
			     .iov_count = 1};

	return raid_run(raid, &io);
}

int raid_write(struct raid *raid, uint64_t vaddr, unsigned count, unsigned flags,
	       const void *buffer)
{
	/* A write does not change what it is given; iovec has no const. */
	const struct iovec iov = {.iov_base = (void *)(uintptr_t)buffer,
				  .iov_len = (size_t)count << PAGE_SHIFT};
	struct raid_io io = {.op = RAID_WRITE,
			     .flags = flags,
			     .vaddr = vaddr,
			     .count = count,
			     .iov = &iov,
			     .iov_count = 1};

	return raid_run(raid, &io);
}
