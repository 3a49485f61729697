/* SPDX-License-Identifier: Apache-2.0 */
/* A new pool: labels, the first segments, and checkpoint 1. And the end of one. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_math.h>
#include <quoin/base_size.h>

#include "engine/import.h"
#include "engine/tables.h"

#define CHUNKS_WANTED 64
#define LOG_RING_BYTES (8 * MiB)
#define DATA_SEGMENTS_FIRST 4
#define RING_PAGES_AT_ONCE 16

static int params_check(const struct pool_format_params *p, struct err *err)
{
	char text[SIZE_TEXT_MAX];

	if (!record_name_valid(p->name, POOL_NAME_BYTES) || strchr(p->name, '/'))
		return err_set(
			err, -EINVAL,
			"\"%s\" is no name for a pool: letters, digits and ._:- , a letter or "
			"digit first, at most %d",
			p->name, POOL_NAME_MAX);
	if (p->drive_count == 0 || p->drive_count > POOL_DRIVES_MAX)
		return err_set(err, -EINVAL, "a pool has 1 to %d drives", POOL_DRIVES_MAX);
	if (p->reserve_permille > 900)
		return err_set(err, -EINVAL, "the reserve is at most 90 %%");
	for (unsigned i = 0; i < p->drive_count; i++) {
		if (disk_info(p->drives[i].disk)->size_bytes < POOL_DRIVE_BYTES_MIN)
			return err_set(err, -ENOSPC, "%s is too small for a pool: %s at the least",
				       p->drives[i].path, size_format(POOL_DRIVE_BYTES_MIN, text));
	}
	return 0;
}

static uint8_t chunk_shift_for(const struct pool_format_params *p)
{
	uint64_t least = UINT64_MAX;
	uint8_t shift = CHUNK_SHIFT_MAX;

	for (unsigned i = 0; i < p->drive_count; i++)
		least = MIN(least, disk_info(p->drives[i].disk)->size_bytes - 2 * LABEL_BYTES);
	while (shift > CHUNK_SHIFT_MIN && least >> shift < CHUNKS_WANTED)
		shift--;
	return shift;
}

static void identities(struct super *s, const struct pool_format_params *p)
{
	struct random random;
	uint64_t seed = p->seed;

	if (seed == 0)
		random_system_fill(&seed, sizeof(seed));
	random_init(&random, seed);
	random_fill(&random, s->pool_guid, sizeof(s->pool_guid));
	for (unsigned i = 0; i < p->drive_count; i++)
		random_fill(&random, s->drives[i].guid, sizeof(s->drives[i].guid));
}

static void super_make(struct super *s, const struct pool_format_params *p)
{
	*s = (struct super){
		.version = SUPER_VERSION,
		.ckpt = 1,
		.time_s = p->time_s,
		.created_s = p->time_s,
		.epoch = 1,
		.chunk_shift = chunk_shift_for(p),
		.state = SUPER_EXPORTED,
		.seq_next = 1,
		.log_head = 1,
		.log_generation = 1,
		.reserve_permille = (uint16_t)p->reserve_permille,
		.autotrim = p->autotrim,
		.drive_count = (uint8_t)p->drive_count,
	};
	identities(s, p);
	memcpy(s->host_id, p->host_id, sizeof(s->host_id));
	strncpy(s->host_name, p->host_name ? p->host_name : "", POOL_NAME_BYTES - 1);
	strncpy(s->pool_name, p->name, POOL_NAME_BYTES - 1);
	for (unsigned i = 0; i < p->drive_count; i++) {
		s->drives[i].size_bytes = disk_info(p->drives[i].disk)->size_bytes;
		s->drives[i].chunk_count =
			(uint32_t)((s->drives[i].size_bytes - 2 * LABEL_BYTES) >> s->chunk_shift);
		s->drives[i].group = (uint16_t)p->drives[i].group;
		s->drives[i].state = DRIVE_ONLINE;
	}
}

/* No superblock of a former life may be newer than ours. */
static int rings_wipe(struct raid *raid, struct drive *drive)
{
	const size_t bytes = (size_t)RING_PAGES_AT_ONCE * PAGE_BYTES;
	void *zeroes = aligned_alloc(PAGE_BYTES, bytes);
	int r = zeroes ? 0 : -ENOMEM;

	if (zeroes)
		memset(zeroes, 0, bytes);
	for (unsigned slot = 0; r == 0 && slot < SUPER_RING_SLOTS; slot += RING_PAGES_AT_ONCE) {
		r = raid_label_write(raid, drive, super_offset(drive->info.size_bytes, false, slot),
				     zeroes, bytes);
		if (r == 0)
			r = raid_label_write(raid, drive,
					     super_offset(drive->info.size_bytes, true, slot),
					     zeroes, bytes);
	}
	free(zeroes);
	return r;
}

static int segments_make(struct pool *pool, struct super *s)
{
	const uint64_t chunk = UINT64_C(1) << s->chunk_shift;
	const unsigned logs = (unsigned)MIN(MAX(LOG_RING_BYTES / chunk, UINT64_C(2)),
					    (uint64_t)SUPER_LOG_SEGMENTS_MAX / 2);
	struct segment *segment;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < logs; i++) {
		r = space_segment_add(pool->space, SEGMENT_LOG, 0, 1, &segment);
		if (r == 0)
			s->log_segments[s->log_segment_count++] = segment->id;
	}
	for (unsigned i = 0; r == 0 && i < 2; i++)
		r = space_segment_add(pool->space, SEGMENT_META, 0, 1, &segment);
	for (unsigned i = 0; r == 0 && i < DATA_SEGMENTS_FIRST; i++)
		r = space_segment_add(pool->space, SEGMENT_DATA,
				      s->drives[i % s->drive_count].group, 1, &segment);
	return r;
}

static int first_checkpoint(struct pool *pool, struct super *s)
{
	const struct pages_params pages = {
		.raid = &pool->raid,
		.space = pool->space,
		.cache_pages = 256,
		.write_pages = 2 * PAGES_RUN,
	};
	struct raid_flush *flush = calloc(1, sizeof(*flush));
	int r = flush ? segments_make(pool, s) : -ENOMEM;

	if (r == 0)
		r = pages_new(&pages, &pool->pages);
	if (r == 0) {
		pages_ckpt_set(pool->pages, 1);
		r = tables_write_segments(pool, s);
	}
	if (r == 0)
		r = pages_drain(pool->pages);
	if (r == 0)
		r = raid_flush_run(&pool->raid, flush, true);
	if (r == 0)
		r = raid_super_write(&pool->raid, s);
	if (pool->pages)
		pages_quiesce(pool->pages);
	pages_free(pool->pages);
	free(flush);
	return r;
}

static int format(struct pool *pool, struct super *s, const struct pool_format_params *p)
{
	struct space_drive drives[SUPER_DRIVES_MAX];
	const struct space_params space = {
		.chunk_shift = s->chunk_shift,
		.drive_count = p->drive_count,
		.drives = drives,
		.freed_max = 65536,
	};
	int r = 0;

	raid_init(&pool->raid, pool->loop, s->chunk_shift);
	for (unsigned i = 0; r == 0 && i < p->drive_count; i++) {
		drives[i] =
			(struct space_drive){s->drives[i].chunk_count, s->drives[i].group, true};
		r = raid_drive_add(&pool->raid, &s->drives[i], p->drives[i].disk,
				   p->drives[i].path);
		if (r == 0)
			r = rings_wipe(&pool->raid, &pool->raid.drives[i]);
	}
	if (r == 0)
		r = space_new(&space, &pool->space);
	pool->raid.space = pool->space;
	if (r == 0)
		r = first_checkpoint(pool, s);
	raid_fini(&pool->raid);
	space_free(pool->space);
	return r;
}

int pool_format(struct loop *loop, const struct pool_format_params *params, struct err *err)
{
	struct pool *pool;
	struct super *super;
	int r = params_check(params, err);

	if (r < 0)
		return r;
	pool = calloc(1, sizeof(*pool));
	super = calloc(1, sizeof(*super));
	if (pool && super) {
		pool->loop = loop;
		super_make(super, params);
		r = format(pool, super, params);
	} else {
		r = -ENOMEM;
	}
	free(pool);
	free(super);
	if (r < 0)
		return err_set(err, r, "cannot write pool '%s' to its drives: %s", params->name,
			       strerror(-r));
	return 0;
}

int pool_wipe(struct loop *loop, struct disk *disk, struct err *err)
{
	struct super_drive info = {
		.size_bytes = disk_info(disk)->size_bytes,
		.state = DRIVE_ONLINE,
	};
	struct raid *raid = calloc(1, sizeof(*raid));
	int r = raid ? 0 : -ENOMEM;

	if (r == 0) {
		raid_init(raid, loop, CHUNK_SHIFT_MIN);
		r = raid_drive_add(raid, &info, disk, disk_name(disk));
		if (r == 0)
			r = rings_wipe(raid, &raid->drives[0]);
		raid_fini(raid);
	}
	free(raid);
	return r < 0 ? err_set(err, r, "cannot wipe the labels of %s: %s", disk_name(disk),
			       strerror(-r))
		     : 0;
}

static void label_fill(const struct super_candidate *c, int count, struct pool_label *label)
{
	const struct super *s = &c[0].super;

	memset(label, 0, sizeof(*label));
	memcpy(label->name, s->pool_name, sizeof(label->name));
	memcpy(label->host_name, s->host_name, sizeof(label->host_name));
	memcpy(label->guid, s->pool_guid, sizeof(label->guid));
	memcpy(label->drive_guid, s->drive_guid, sizeof(label->drive_guid));
	memcpy(label->host_id, s->host_id, sizeof(label->host_id));
	label->checkpoint = s->ckpt;
	label->time_s = s->time_s;
	label->exported = s->state == SUPER_EXPORTED;
	label->destroyed = s->state == SUPER_DESTROYED;
	label->drive_count = s->drive_count;
	for (unsigned i = 0; i < s->drive_count; i++) {
		memcpy(label->drive_guids[i], s->drives[i].guid, 16);
		if (memcmp(s->drives[i].guid, s->drive_guid, 16) == 0)
			label->size_bytes = s->drives[i].size_bytes;
	}
	for (int i = 1; i < count && i <= (int)ARRAY_SIZE(label->rewind); i++)
		if (c[i].super.ckpt + SPACE_KEEP >= s->ckpt)
			label->rewind[i - 1] = c[i].super.ckpt;
}

int pool_label_read(struct loop *loop, struct disk *disk, struct pool_label *ret_label,
		    struct err *err)
{
	struct super_candidate *c = calloc(IMPORT_CANDIDATES, sizeof(*c));
	struct disk_channel *channel;
	uint64_t lost;
	int r = c ? disk_attach(disk, loop, &channel) : -ENOMEM;

	if (r == 0) {
		r = raid_super_read(channel, disk_info(disk)->size_bytes, c, IMPORT_CANDIDATES,
				    &lost);
		disk_detach(channel);
	}
	if (r > 0)
		label_fill(c, r, ret_label);
	free(c);
	return r > 0 ? 0 : label_error(disk_name(disk), r, err);
}
