/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flushes of the drives. A drive is dirty from the end of a write to the submission of the next
 * flush: a write that ends while a flush is under way is not covered by it. A drive whose flush has
 * not ended is not clean either: what it took before is safe only then, for whoever asks.
 */
#include <errno.h>

#include <quoin/base_assert.h>

#include "raid/meter.h"
#include "raid/private.h"

static void flush_ended(struct disk_request *request)
{
	struct raid_flush_leg *leg = container_of(request, struct raid_flush_leg, request);
	struct raid_flush *flush = leg->flush;

	leg->drive->flushing--;
	raid_meter_end(flush->raid, leg->drive, request);
	if (request->result < 0)
		leg->drive->dirty = true;
	raid_drive_result(flush->raid, leg->drive, DISK_FLUSH, request->result);
	if (request->result < 0 && raid_drive_online(leg->drive) && flush->result == 0)
		flush->result = request->result;
	if (--flush->pending == 0)
		flush->done(flush);
}

static void nothing_to_do(struct loop_task *task)
{
	struct raid_flush *flush = container_of(task, struct raid_flush, task);

	flush->waits = false;
	flush->done(flush);
}

void raid_flush(struct raid *raid, struct raid_flush *flush, bool all)
{
	flush->raid = raid;
	flush->result = 0;
	flush->pending = 0;
	for (unsigned i = 0; i < raid->drive_count; i++) {
		struct drive *drive = &raid->drives[i];
		struct raid_flush_leg *leg = &flush->legs[i];

		if (!raid_drive_online(drive) || (!all && !drive->dirty && drive->flushing == 0))
			continue;
		*leg = (struct raid_flush_leg){.flush = flush, .drive = drive};
		leg->request.op = DISK_FLUSH;
		leg->request.done = flush_ended;
		drive->dirty = false;
		drive->flushing++;
		flush->pending++;
		raid->flushes++;
		raid_meter_begin(raid, drive, &leg->request);
		disk_submit(drive->channel, &leg->request);
	}
	flush->waits = flush->pending == 0;
	if (!flush->waits)
		return;
	loop_task_init(&flush->task, nothing_to_do);
	loop_task_post(raid->loop, &flush->task);
}

bool raid_has_fua(const struct raid *raid)
{
	for (unsigned i = 0; i < raid->drive_count; i++) {
		if (raid_drive_online(&raid->drives[i]) && !disk_info(raid->drives[i].disk)->fua)
			return false;
	}
	return true;
}

static void run_ended(struct raid_flush *flush)
{
	struct fiber *fiber = flush->fiber;

	flush->fiber = NULL;
	fiber_wake(fiber);
}

int raid_flush_run(struct raid *raid, struct raid_flush *flush, bool all)
{
	flush->done = run_ended;
	flush->fiber = fiber_self();
	ASSERT(flush->fiber);
	raid_flush(raid, flush, all);
	while (flush->fiber)
		fiber_park();
	return flush->result;
}
