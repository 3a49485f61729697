/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The heartbeat. It decides nothing alone: the superblock says whose the pool is. Only when that is
 * to be overridden does it tell a host that is down from one that is merely not reached.
 *
 * Two hosts that override it at once both find it still. So each writes a beat of its own then, its
 * claim, waits as long as it watched, and looks whether its claim is still all there is. The one
 * that wrote first finds the other's and yields; or, when it looked before that came, it beats from
 * then on, and the other finds that. So at most one goes on. A drive that takes a claim later than
 * HEART_WATCH_NS after it was sent is not covered.
 */
#include <errno.h>
#include <stdlib.h>
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

static int busy(const struct super *s, struct err *err)
{
	return err_set(err, -EBUSY,
		       "pool '%s' is in use by host '%s', or by another one, now: its heartbeat "
		       "moves; export it there, or stop that host",
		       s->pool_name, s->host_name);
}

/* Waits; 0 when nobody else beat meanwhile. `pulses`: as of before, then as of now. */
static int still(struct import *im, struct pulse *pulses, uint64_t wait_ns, struct err *err)
{
	struct pulse after[SUPER_DRIVES_MAX];

	if (fiber_sleep_ns(wait_ns) < 0)
		return err_set(err, -ECANCELED, "the import of pool '%s' was cancelled",
			       im->last.pool_name);
	pulses_take(im, after);
	for (unsigned i = 0; i < im->pool->raid.drive_count; i++) {
		if (moved(&pulses[i], &after[i]))
			return busy(&im->last, err);
	}
	memcpy(pulses, after, im->pool->raid.drive_count * sizeof(*pulses));
	return 0;
}

static int beat_write(struct raid *raid, struct drive *drive, const struct heartbeat *beat)
{
	_Alignas(PAGE_BYTES) uint8_t page[PAGE_BYTES];

	heartbeat_encode(beat, page);
	return raid_label_write(raid, drive, LABEL_HEARTBEAT, page, PAGE_BYTES);
}

/* One beat on every drive, of a number that nobody else draws. */
static int claim_write(struct import *im, struct pulse *pulses)
{
	struct raid *raid = &im->pool->raid;
	struct heartbeat claim = {.beat = random_u64(&im->pool->random),
				  .time_s = pool_wall_s(im->pool)};
	unsigned good = 0;

	memcpy(claim.pool_guid, im->super.pool_guid, sizeof(claim.pool_guid));
	memcpy(claim.host_id, im->params->host_id, sizeof(claim.host_id));
	for (unsigned i = 0; i < raid->drive_count; i++) {
		if (!raid_drive_online(&raid->drives[i]) ||
		    beat_write(raid, &raid->drives[i], &claim) < 0)
			continue;
		pulses[i] = (struct pulse){.there = true, .beat = claim};
		good++;
	}
	return good > 0 ? 0 : -EIO;
}

int heart_watch(struct import *im, struct err *err)
{
	const struct super *s = &im->last;
	struct pulse pulses[SUPER_DRIVES_MAX];
	int r;

	if (s->state != SUPER_ACTIVE || !im->params->force || im->params->read_only ||
	    memcmp(s->host_id, im->params->host_id, sizeof(s->host_id)) == 0)
		return 0;
	pulses_take(im, pulses);
	r = still(im, pulses, HEART_WATCH_NS, err);
	/* Of two at once the later one mostly sees the claim of the other, so that not both yield.
	 */
	if (r == 0)
		r = still(im, pulses, random_below(&im->pool->random, HEART_SPREAD_NS), err);
	if (r < 0)
		return r;
	r = claim_write(im, pulses);
	if (r < 0)
		return err_set(err, r, "no drive of pool '%s' can be written: mend them",
			       s->pool_name);
	r = still(im, pulses, HEART_WATCH_NS, err);
	return r == 0 ? heart_start(im) : r;
}

/* --- Beating ----------------------------------------------------------------------------------
 *
 * A fiber for each drive: one that hangs silences no other, and has one write in flight.
 */

struct heart {
	struct pool *pool;
	struct heartbeat beat; /* but for the numbers */
	struct heart_drive {
		struct heart *heart;
		struct drive *drive;
		struct fiber *fiber;
	} drives[SUPER_DRIVES_MAX];
};

static void heart_main(void *arg)
{
	struct heart_drive *d = arg;
	struct pool *pool = d->heart->pool;
	struct heartbeat beat = d->heart->beat;

	while (!fiber_cancelled()) {
		beat.beat++;
		beat.time_s = pool_wall_s(pool);
		/* A drive that fails is counted by raid; the others' beats are enough. */
		if ((!raid_drive_online(d->drive) ||
		     beat_write(&pool->raid, d->drive, &beat) < 0) &&
		    fiber_cancelled())
			break;
		if (fiber_sleep_ns(HEART_BEAT_NS) < 0)
			break;
	}
}

int heart_start(struct import *im)
{
	struct pool *pool = im->pool;
	int r = 0;

	if (pool->heart)
		return 0;
	pool->heart = calloc(1, sizeof(*pool->heart));
	if (!pool->heart)
		return -ENOMEM;
	pool->heart->pool = pool;
	memcpy(pool->heart->beat.pool_guid, im->super.pool_guid, 16);
	memcpy(pool->heart->beat.host_id, im->params->host_id, 16);
	for (unsigned i = 0; r == 0 && i < pool->raid.drive_count; i++) {
		struct heart_drive *d = &pool->heart->drives[i];

		d->heart = pool->heart;
		d->drive = &pool->raid.drives[i];
		if (d->drive->channel)
			r = fiber_start(pool->loop, true, heart_main, d, &d->fiber);
	}
	return r;
}

void heart_stop(struct pool *pool)
{
	struct heart *heart = pool->heart;

	for (unsigned i = 0; heart && i < pool->raid.drive_count; i++) {
		if (heart->drives[i].fiber)
			fiber_cancel(heart->drives[i].fiber);
	}
	for (unsigned i = 0; heart && i < pool->raid.drive_count; i++) {
		if (heart->drives[i].fiber)
			fiber_join(heart->drives[i].fiber);
	}
	free(heart);
	pool->heart = NULL;
}
