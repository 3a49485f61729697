/* SPDX-License-Identifier: Apache-2.0 */
/* Which checkpoint is opened: labels of all drives, and whether this host may have the pool. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/import.h"

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

static int drives_check(const struct import *im, struct err *err)
{
	for (unsigned i = 0; i < im->count; i++) {
		const struct import_drive *a = &im->drives[i];

		if (a->result < 0)
			return err_set(
				err, a->result,
				a->result == -ENOTSUP
					? "%s: its pool has a newer format than this version "
					  "knows; use a newer quoind"
					: "%s: no pool can be read from it; name other "
					  "drives, or leave it away",
				a->path);
		for (unsigned j = 0; j < i; j++) {
			const struct import_drive *b = &im->drives[j];

			if (memcmp(a->candidates[0].super.drive_guid,
				   b->candidates[0].super.drive_guid, 16) == 0)
				return err_set(err, -EEXIST,
					       "%s and %s say they are the same drive: one is a "
					       "copy; take it away",
					       b->path, a->path);
			if (memcmp(a->candidates[0].super.pool_guid,
				   b->candidates[0].super.pool_guid, 16) != 0)
				return err_set(err, -EINVAL, "%s and %s are of different pools",
					       b->path, a->path);
		}
	}
	return 0;
}

/*
 * The slot of the checkpoint after the newest one must not be damaged on all drives: that would
 * have been the newest, and what it has would be missing without a word.
 */
static int newest_check(const struct import *im, struct err *err)
{
	uint64_t lost = UINT64_MAX;

	for (unsigned i = 0; i < im->count; i++)
		lost &= im->drives[i].lost;
	if (im->params->rewind_to != 0 || !(lost >> ((im->last.ckpt + 1) % SUPER_RING_SLOTS) & 1))
		return 0;
	return err_set(
		err, -EUCLEAN,
		"the newest checkpoint of pool '%s' is damaged: import with --rewind %llu to "
		"go back to the one before it; what came later is lost then",
		im->last.pool_name, (unsigned long long)im->last.ckpt);
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

int import_choose(struct import *im, struct err *err)
{
	uint64_t below = UINT64_MAX;
	int r;

	labels_read(im);
	r = drives_check(im, err);
	if (r < 0)
		return r;
	last_find(im);
	r = newest_check(im, err);
	if (r < 0)
		return r;
	newest(im, below, &im->super);
	if (im->super.ckpt == 0 ||
	    (im->params->rewind_to != 0 && im->super.ckpt != im->params->rewind_to))
		return err_set(err, -ENOENT, "there is no checkpoint to go back to by that number");
	below = im->super.ckpt;
	while (im->older_count < SPACE_KEEP) {
		newest(im, below, &im->older[im->older_count]);
		if (im->older[im->older_count].ckpt == 0)
			break;
		below = im->older[im->older_count++].ckpt;
	}
	r = features_check(im, err);
	return r < 0 ? r : owner_check(im, err);
}
