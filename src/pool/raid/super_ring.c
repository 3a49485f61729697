/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the superblock rings of one drive. All 128 slots are judged; a slot that cannot be read
 * or is damaged is passed over, so that one torn write costs one checkpoint at most.
 */
#include <errno.h>
#include <stdlib.h>

#include <quoin/base_assert.h>
#include <quoin/codec.h>

#include "raid/private.h"

#define READ_BYTES (128 * KiB)
#define READ_SLOTS ((unsigned)(READ_BYTES / PAGE_BYTES))
_Static_assert(SUPER_RING_SLOTS % READ_SLOTS == 0, "a ring is read in whole pieces");

struct ring_reader {
	struct disk_channel *channel;
	uint64_t drive_bytes;
	struct super_candidate *candidates;
	unsigned max, count;
	unsigned newer, damaged;
	uint64_t bad[2]; /* front, back: bit per slot that has no superblock and is not blank */
	int error;	 /* the last one of a slot that could not be read */
	uint8_t *page;	 /* READ_BYTES */
	struct super super;
	struct super newer_super;
	struct raid_parked parked;
};

static int read_slots(struct ring_reader *reader, bool back, unsigned slot, unsigned count)
{
	const struct iovec iov = {.iov_base = reader->page, .iov_len = (size_t)count << PAGE_SHIFT};

	reader->parked.request = (struct disk_request){
		.op = DISK_READ,
		.offset = super_offset(reader->drive_bytes, back, slot),
		.length_bytes = iov.iov_len,
		.iov = &iov,
		.iov_count = 1,
	};
	return raid_park_for(reader->channel, &reader->parked);
}

/* Newest first, one of each checkpoint; the front ring comes first, so its copy stays. */
static void keep(struct ring_reader *reader, bool back, unsigned slot)
{
	struct super_candidate *all = reader->candidates;
	unsigned at = 0;

	while (at < reader->count && all[at].super.ckpt > reader->super.ckpt)
		at++;
	if (at == reader->max)
		return;
	if (at < reader->count && all[at].super.ckpt == reader->super.ckpt)
		return;
	if (reader->count < reader->max)
		reader->count++;
	memmove(&all[at + 1], &all[at], (reader->count - at - 1) * sizeof(*all));
	all[at].super = reader->super;
	all[at].back = back;
	all[at].slot = slot;
}

static void judge(struct ring_reader *reader, bool back, unsigned slot, const uint8_t *page)
{
	const int r = super_decode(page, back, slot, &reader->super);

	if (r == 0)
		keep(reader, back, slot);
	else if (r == -EUCLEAN)
		reader->damaged++;
	else if (r == -ENOTSUP && reader->newer++ == 0)
		reader->newer_super = reader->super;
	/* Both rings are blank before their first superblock comes. */
	if (r == -EUCLEAN || (r == -ENOENT && !codec_is_zero(page, PAGE_BYTES)))
		reader->bad[back] |= UINT64_C(1) << slot;
}

static void read_piece(struct ring_reader *reader, bool back, unsigned first)
{
	if (read_slots(reader, back, first, READ_SLOTS) == 0) {
		for (unsigned i = 0; i < READ_SLOTS; i++)
			judge(reader, back, first + i, reader->page + (size_t)i * PAGE_BYTES);
		return;
	}
	/* One bad sector must not hide its neighbours. */
	for (unsigned i = 0; i < READ_SLOTS; i++) {
		const int r = read_slots(reader, back, first + i, 1);

		if (r == 0) {
			judge(reader, back, first + i, reader->page);
			continue;
		}
		reader->error = r;
		reader->bad[back] |= UINT64_C(1) << (first + i);
	}
}

static int read_rings(struct ring_reader *reader)
{
	for (unsigned slot = 0; slot < 2 * SUPER_RING_SLOTS; slot += READ_SLOTS)
		read_piece(reader, slot >= SUPER_RING_SLOTS, slot % SUPER_RING_SLOTS);
	/* Which of them is the newest it does not say to us: those that can be read are old ones.
	 */
	if (reader->newer > 0) {
		reader->candidates[0].super = reader->newer_super;
		return -ENOTSUP;
	}
	if (reader->count > 0)
		return (int)reader->count;
	if (reader->damaged > 0)
		return -EUCLEAN;
	/* What could not be read may have been one: only a drive that was read whole has none. */
	return reader->error < 0 ? -EIO : -ENOENT;
}

int raid_super_read(struct disk_channel *channel, uint64_t drive_bytes,
		    struct super_candidate *candidates, unsigned max, uint64_t *ret_lost)
{
	struct ring_reader *reader;
	int r = -ENOMEM;

	ASSERT(max > 0);
	if (drive_bytes < 2 * LABEL_BYTES)
		return -ENOENT;
	reader = calloc(1, sizeof(*reader));
	if (!reader)
		return -ENOMEM;
	reader->channel = channel;
	reader->drive_bytes = drive_bytes;
	reader->candidates = candidates;
	reader->max = MIN(max, SPACE_KEEP + 1U);
	reader->page = aligned_alloc(PAGE_BYTES, READ_BYTES);
	if (reader->page)
		r = read_rings(reader);
	*ret_lost = reader->bad[0] & reader->bad[1];
	free(reader->page);
	free(reader);
	return r;
}
