/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The heartbeat. It decides nothing alone: the superblock says whose the pool is. Only when that is
 * to be overridden does it tell a host that is down from one that is merely not reached.
 */
#include <errno.h>
#include <string.h>

#include "engine/heart.h"

/* --- Watching ---------------------------------------------------------------------------------
 */

struct pulse {
	bool there;
	struct heartbeat beat;
};

/* What cannot be read says nothing. */
static void pulses_take(struct import *im, struct pulse pulses[SUPER_DRIVES_MAX])
{
	struct raid *raid = &im->pool->raid;
	_Alignas(PAGE_BYTES) uint8_t page[PAGE_BYTES];

	for (unsigned i = 0; i < raid->drive_count; i++) {
		struct pulse *p = &pulses[i];

		*p = (struct pulse){.there = false};
		if (raid_label_read(raid, &raid->drives[i], LABEL_HEARTBEAT, page, PAGE_BYTES) < 0)
			continue;
		p->there = heartbeat_decode(page, &p->beat) == 0 &&
			   memcmp(p->beat.pool_guid, im->super.pool_guid,
				  sizeof(p->beat.pool_guid)) == 0;
	}
}

/* A page that was torn or not there and now is was written meanwhile, too. */
static bool moved(const struct pulse *before, const struct pulse *after)
{
	return after->there &&
	       (!before->there || before->beat.beat != after->beat.beat ||
		before->beat.time_s != after->beat.time_s ||
		memcmp(before->beat.host_id, after->beat.host_id, sizeof(after->beat.host_id)));
}

int heart_watch(struct import *im, struct err *err)
{
	const struct super *s = &im->last;
	struct pulse before[SUPER_DRIVES_MAX];
	struct pulse after[SUPER_DRIVES_MAX];

	if (s->state != SUPER_ACTIVE || !im->params->force || im->params->read_only ||
	    memcmp(s->host_id, im->params->host_id, sizeof(s->host_id)) == 0)
		return 0;
	pulses_take(im, before);
	if (fiber_sleep_ns(HEART_WATCH_NS) < 0)
		return err_set(err, -ECANCELED, "the import of pool '%s' was cancelled",
			       s->pool_name);
	pulses_take(im, after);
	for (unsigned i = 0; i < im->pool->raid.drive_count; i++) {
		if (moved(&before[i], &after[i]))
			return err_set(err, -EBUSY,
				       "pool '%s' is in use by host '%s' now: its heartbeat moves; "
				       "export it there, or stop that host",
				       s->pool_name, s->host_name);
	}
	return 0;
}

/* --- Beating ----------------------------------------------------------------------------------
 */

static void beat(struct pool *pool)
{
	struct heartbeat heartbeat = {.beat = ++pool->beat, .time_s = pool_wall_s(pool)};
	_Alignas(PAGE_BYTES) uint8_t page[PAGE_BYTES];

	memcpy(heartbeat.pool_guid, pool->super.pool_guid, sizeof(heartbeat.pool_guid));
	memcpy(heartbeat.host_id, pool->super.host_id, sizeof(heartbeat.host_id));
	heartbeat_encode(&heartbeat, page);
	for (unsigned i = 0; i < pool->raid.drive_count && !fiber_cancelled(); i++) {
		struct drive *drive = &pool->raid.drives[i];

		/* A drive that fails is counted by raid; the others' beats are enough. */
		if (raid_drive_online(drive) &&
		    raid_label_write(&pool->raid, drive, LABEL_HEARTBEAT, page, PAGE_BYTES) < 0)
			continue;
	}
}

static void heart_main(void *arg)
{
	struct pool *pool = arg;

	while (!fiber_cancelled()) {
		beat(pool);
		if (fiber_sleep_ns(HEART_BEAT_NS) < 0)
			break;
	}
}

int heart_start(struct pool *pool)
{
	return fiber_start(pool->loop, true, heart_main, pool, &pool->heart);
}

void heart_stop(struct pool *pool)
{
	if (!pool->heart)
		return;
	fiber_cancel(pool->heart);
	fiber_join(pool->heart);
	pool->heart = NULL;
}
