/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters of a drive; see meter.h. While requests are in flight the times lack that of now, once
 * for each of them, so that no request has to remember when it began.
 */
#include "raid/meter.h"

static enum pool_io_kind kind_of(const struct disk_request *request)
{
	if (request->op == DISK_READ)
		return POOL_IO_READ;
	return request->op == DISK_WRITE ? POOL_IO_WRITE : POOL_IO_OTHER;
}

static unsigned in_flight(const struct pool_drive_io *io)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < POOL_IO_KINDS; i++)
		sum += io->in_flight[i];
	return sum;
}

void raid_meter_begin(const struct raid *raid, struct drive *drive,
		      const struct disk_request *request)
{
	const uint64_t now = loop_now_ns(raid->loop);
	const enum pool_io_kind kind = kind_of(request);

	if (in_flight(&drive->io) == 0)
		drive->io.busy_ns -= now;
	drive->io.in_flight[kind]++;
	drive->io.ns[kind] -= now;
}

void raid_meter_end(const struct raid *raid, struct drive *drive,
		    const struct disk_request *request)
{
	const uint64_t now = loop_now_ns(raid->loop);
	const enum pool_io_kind kind = kind_of(request);

	drive->io.in_flight[kind]--;
	drive->io.ns[kind] += now;
	if (in_flight(&drive->io) == 0)
		drive->io.busy_ns += now;
	drive->io.requests[kind]++;
	drive->io.bytes[kind] += request->op == DISK_FLUSH ? 0 : request->length_bytes;
}

struct pool_drive_io raid_meter_now(const struct raid *raid, const struct drive *drive)
{
	const uint64_t now = loop_now_ns(raid->loop);
	struct pool_drive_io io = drive->io;

	for (unsigned i = 0; i < POOL_IO_KINDS; i++)
		io.ns[i] += io.in_flight[i] * now;
	if (in_flight(&io) > 0)
		io.busy_ns += now;
	return io;
}
