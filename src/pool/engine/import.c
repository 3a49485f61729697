/* SPDX-License-Identifier: Apache-2.0 */
/* Which checkpoint is opened: labels of all drives, and whether this host may have the pool. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "engine/import.h"

#define TIME_TEXT_MAX 32

static const char *time_text(uint64_t time_s, char text[TIME_TEXT_MAX])
{
	const time_t when = (time_t)time_s;
	struct tm tm;

	if (!gmtime_r(&when, &tm) ||
	    strftime(text, TIME_TEXT_MAX, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
		text[0] = '\0';
	return text;
}

static void labels_read(struct import *im)
{
	for (unsigned i = 0; i < im->count; i++) {
		struct import_drive *d = &im->drives[i];
		struct disk_channel *channel;

		d->disk = im->params->drives[i].disk;
		d->path = im->params->drives[i].path;
		d->result = disk_attach(d->disk, im->params->loop, &channel);
		if (d->result < 0)
			continue;
		d->result = raid_super_read(channel, disk_info(d->disk)->size_bytes, d->candidates,
					    IMPORT_CANDIDATES, &d->lost);
		disk_detach(channel);
	}
}

static bool wanted(const struct import *im, const struct super *super)
{
	return im->params->rewind_to == 0 || super->ckpt <= im->params->rewind_to;
}

/* The newest of one pool, and the two before it. */
static void newest(struct import *im, uint64_t below, struct super *ret)
{
	ret->ckpt = 0;
	for (unsigned i = 0; i < im->count; i++) {
		for (int c = 0; c < im->drives[i].result; c++) {
			const struct super *s = &im->drives[i].candidates[c].super;

			if (s->ckpt > ret->ckpt && s->ckpt < below && wanted(im, s))
				*ret = *s;
		}
	}
}

/* Says who has the pool, and which numbers were used already by what going back gives up. */
static void last_find(struct import *im)
{
	for (unsigned i = 0; i < im->count; i++) {
		for (int c = 0; c < im->drives[i].result; c++) {
			const struct super *s = &im->drives[i].candidates[c].super;

			if (s->ckpt > im->last.ckpt)
				im->last = *s;
		}
	}
}

static int owner_check(const struct import *im, struct err *err)
{
	const struct super *s = &im->last;

	if (s->state == SUPER_DESTROYED)
		return err_set(err, -ENOENT, "pool '%s' was destroyed", s->pool_name);
	if (s->state == SUPER_ACTIVE && !im->params->force && !im->params->read_only &&
	    memcmp(s->host_id, im->params->host_id, sizeof(s->host_id)) != 0)
		return err_set(err, -EBUSY,
			       "pool '%s' was last used by host '%s', which did not export it: if "
			       "that host is down, import with --force; two hosts would destroy it",
			       s->pool_name, s->host_name);
	return 0;
}

static int features_check(const struct import *im, struct err *err)
{
	if (!(im->super.ro_compat & ~FEATURES_RO_COMPAT) || im->params->read_only)
		return 0;
	return err_set(err, -ENOTSUP,
		       "pool '%s' has features that this version can read only: import it "
		       "read-only, or use a newer quoind",
		       im->super.pool_name);
}

/*
 * The slot of the checkpoint after the newest one must not be damaged on all drives: that would
 * have been the newest, and what it has would be missing without a word.
 */
static bool newest_lost(const struct import *im)
{
	uint64_t lost = UINT64_MAX;

	for (unsigned i = 0; i < im->count; i++)
		lost &= im->drives[i].lost;
	return lost >> ((im->last.ckpt + 1) % SUPER_RING_SLOTS) & 1;
}

static int newest_check(const struct import *im, struct err *err)
{
	const struct super *s = &im->last;
	char when[TIME_TEXT_MAX];

	if (im->params->rewind_to != 0 || !newest_lost(im))
		return 0;
	return err_set(
		err, -EUCLEAN,
		"the newest checkpoint of pool '%s' is damaged in all copies: go back to the "
		"one before it with: quoin pool import %s --rewind %" PRIu64
		" (all that was written after %s is lost then)",
		s->pool_name, s->pool_name, s->ckpt, time_text(s->time_s, when));
}

/*
 * Slots are kept for the newest checkpoint and SPACE_KEEP before it, counted by number: what a
 * damaged superblock, or a drive that was away, shows beyond that may have been written over.
 */
static uint64_t kept_from(const struct import *im)
{
	const uint64_t newest = im->last.ckpt + newest_lost(im);

	return newest > SPACE_KEEP ? newest - SPACE_KEEP : 0;
}

static bool kept(const struct import *im, const struct super *super)
{
	return super->ckpt >= kept_from(im);
}

static int rewind_check(const struct import *im, struct err *err)
{
	const uint64_t to = im->params->rewind_to;

	if (to == 0)
		return 0;
	if (im->super.ckpt != to)
		return err_set(err, -ENOENT,
			       "pool '%s' has no checkpoint %" PRIu64
			       " to go back to; the newest is %" PRIu64 ": see quoin pool import",
			       im->last.pool_name, to, im->last.ckpt);
	if (!kept(im, &im->super))
		return err_set(err, -ENOENT,
			       "pool '%s' cannot go back to checkpoint %" PRIu64
			       ": since checkpoint %" PRIu64
			       " its space may have been used again; %" PRIu64
			       " is the oldest there may be",
			       im->last.pool_name, to, to + SPACE_KEEP + 1, kept_from(im));
	return 0;
}

/* Where the trees are: a claim and an export write a superblock with those of the one before. */
static bool same_trees(const struct super *a, const struct super *b)
{
	return a->segments.vaddr == b->segments.vaddr && a->volumes.vaddr == b->volumes.vaddr &&
	       a->snapshots.vaddr == b->snapshots.vaddr;
}

/*
 * Not done by itself: what was flushed since is in the log of this checkpoint, which goes on from
 * its tables. The log of the one before may be overwritten already, and verbs are in no log.
 */
int import_unreadable(const struct import *im, struct err *err, int why)
{
	const struct super *s = &im->super;
	char when[TIME_TEXT_MAX];

	for (unsigned i = 0; i < im->older_count; i++) {
		const struct super *older = &im->older[i];

		if (!kept(im, older) || same_trees(s, older))
			continue;
		return err_set(
			err, why,
			"the tables of checkpoint %" PRIu64
			" of pool '%s' cannot be read (%s): connect drives that are away, or "
			"go back with: quoin pool import %s --rewind %" PRIu64
			" (all that was written after %s is lost then)",
			s->ckpt, s->pool_name, strerror(-why), s->pool_name, older->ckpt,
			time_text(older->time_s, when));
	}
	return err_set(err, why,
		       "the tables of checkpoint %" PRIu64
		       " of pool '%s' cannot be read (%s), and there is no other to go back to: "
		       "connect drives that are away",
		       s->ckpt, s->pool_name, strerror(-why));
}

static void older_find(struct import *im)
{
	uint64_t below = im->super.ckpt;

	while (im->older_count < SPACE_KEEP) {
		newest(im, below, &im->older[im->older_count]);
		if (im->older[im->older_count].ckpt == 0)
			break;
		below = im->older[im->older_count++].ckpt;
	}
}

int import_choose(struct import *im, struct err *err)
{
	int r;

	labels_read(im);
	r = import_drives_check(im, err);
	if (r < 0)
		return r;
	last_find(im);
	r = newest_check(im, err);
	if (r < 0)
		return r;
	newest(im, UINT64_MAX, &im->super);
	r = rewind_check(im, err);
	if (r < 0)
		return r;
	older_find(im);
	r = features_check(im, err);
	return r < 0 ? r : owner_check(im, err);
}
