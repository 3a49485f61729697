/* SPDX-License-Identifier: Apache-2.0 */
/* A pool's life: opened from its drives, and closed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>

#include "engine/checkpoint.h"
#include "engine/discard.h"
#include "engine/heart.h"
#include "engine/shares.h"
#include "engine/sweep.h"

struct loop *pool_loop(const struct pool *pool)
{
	return pool->loop;
}

/* --- Drives and segments to begin with ---------------------------------------------------------
 */

static struct import_drive *drive_of(const struct import *im, const uint8_t guid[16])
{
	for (unsigned i = 0; i < im->count; i++) {
		if (memcmp(im->drives[i].candidates[0].super.drive_guid, guid, 16) == 0)
			return &im->drives[i];
	}
	return NULL;
}

static bool may_fault(void *data, const struct drive *drive)
{
	struct pool *pool = data;

	for (uint32_t id = 1; id < space_segment_limit(pool->space); id++) {
		const struct segment *s = space_segment(pool->space, id);
		const unsigned online = s ? raid_columns_online(&pool->raid, s) : 0;
		unsigned left = 0;

		for (unsigned c = 0; s && c < s->column_count; c++)
			left += (online >> c & 1) && s->columns[c].drive != drive->index;
		if (s && online != 0 && left == 0)
			return false;
	}
	return true;
}

static void drive_changed(void *data, struct drive *drive)
{
	struct pool *pool = data;

	space_drive_usable(pool->space, drive->index, raid_drive_online(drive));
	if (!raid_drive_online(drive))
		checkpoint_request(pool); /* writes down that it is out */
	if (pool->changed)
		pool->changed(pool->data);
}

/*
 * A superblock goes to the drives side by side, so a cut leaves some of them one behind. What it
 * refers to was durable on all of them before, and it says itself who they are.
 */
static bool has_all_of(const struct import_drive *d, const struct super *super)
{
	return d->candidates[0].super.ckpt + 1 >= super->ckpt;
}

static int drives_add(struct import *im)
{
	struct pool *pool = im->pool;
	int r = 0;

	raid_init(&pool->raid, pool->loop, im->super.chunk_shift);
	pool->raid.ckpt = im->super.ckpt;
	if (pool->barriers_off & POOL_BARRIER_SUPER_FUA)
		pool->raid.super_flags = 0;
	for (unsigned i = 0; r == 0 && i < im->super.drive_count; i++) {
		struct super_drive info = im->super.drives[i];
		const struct import_drive *d = drive_of(im, info.guid);

		if (d && info.state == DRIVE_ONLINE && !has_all_of(d, &im->super)) {
			info.state = DRIVE_STALE;
			info.left_ckpt = d->candidates[0].super.ckpt;
		}
		if (d && info.state == DRIVE_MISSING)
			info.state = DRIVE_STALE;
		r = raid_drive_add(&pool->raid, &info, d ? d->disk : NULL, d ? d->path : "");
	}
	pool->raid.changed = drive_changed;
	pool->raid.may_fault = may_fault;
	pool->raid.data = pool;
	return r;
}

static int seeds_load(struct import *im)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < SUPER_SEEDS_MAX; i++) {
		const struct super_seed *seed = &im->super.seeds[i];
		struct segment_record record = {
			.class = SEGMENT_META,
			.profile = PROFILE_MIRROR,
			.column_count = seed->column_count,
			.slot_count = 1U << (im->super.chunk_shift - PAGE_SHIFT),
			.birth_ckpt = 1,
		};

		if (seed->id == 0)
			break;
		for (unsigned c = 0; c < seed->column_count; c++) {
			record.columns[c].drive = seed->columns[c].drive;
			record.columns[c].chunk = seed->columns[c].chunk;
		}
		r = space_segment_load(im->pool->space, seed->id, &record);
	}
	return r;
}

/* From here on nothing large is taken that the plan does not have. */
static int space_make(struct import *im, struct err *err)
{
	struct space_drive drives[SUPER_DRIVES_MAX];
	struct space_params params = {
		.chunk_shift = im->super.chunk_shift,
		.drive_count = im->super.drive_count,
		.drives = drives,
	};
	int r;

	for (unsigned i = 0; i < im->super.drive_count; i++) {
		drives[i] = (struct space_drive){
			.chunk_count = im->super.drives[i].chunk_count,
			.group = im->super.drives[i].group,
			.usable = raid_drive_online(&im->pool->raid.drives[i]),
		};
	}
	r = memory_plan(im->pool, im->params, &params, err);
	if (r < 0)
		return r;
	params.freed_max = im->pool->memory.freed_max;
	r = space_new(&params, &im->pool->space);
	im->pool->raid.space = im->pool->space;
	return r;
}

/* --- The steps -----------------------------------------------------------------------------------
 */

static void log_room(void *data)
{
	struct pool *pool = data;

	writes_logged(pool);
	pool_work(pool);
}

static void log_failed(void *data)
{
	struct pool *pool = data;

	pool_suspend(pool, pool->log.error, "the log could not be written");
	writes_logged(pool);
}

static void log_prepare(struct pool *pool)
{
	struct log *log = &pool->log;

	log->raid = &pool->raid;
	log->loop = pool->loop;
	log->segment_count = pool->super.log_segment_count;
	memcpy(log->segments, pool->super.log_segments, sizeof(log->segments));
	log->blocks_per_segment = UINT64_C(1) << (pool->super.chunk_shift - PAGE_SHIFT);
	log->ring_blocks = log->blocks_per_segment * log->segment_count;
	log->pool_check = le64_get(pool->super.pool_guid);
	log->life = (uint32_t)random_u64(&pool->random);
	log->barriers_off = pool->barriers_off;
	log->room = log_room;
	log->failed = log_failed;
	log->data = pool;
}

/*
 * Going back gives the log up as well: nothing of it is applied, and the chain that begins at
 * log_head is another one, of a later generation than the old blocks, so that no later import takes
 * them for its continuation, or for a sign that something of it was lost.
 */
static void log_give_up(struct import *im, struct log_position *ret)
{
	struct pool *pool = im->pool;
	struct super *s = &pool->super;

	s->log_prev_check = random_u64(&pool->random);
	s->log_generation = im->last.log_generation + SEQ_JUMP;
	s->seq_next = MAX(s->seq_next, im->last.seq_next);
	pool->seq = s->seq_next + SEQ_JUMP;
	*ret = (struct log_position){
		.next = s->log_head,
		.prev_check = s->log_prev_check,
		.tail = s->log_head,
		.generation = s->log_generation,
	};
}

/*
 * Superblocks of the line that was given up: their slots are handed out again, so nobody may go
 * there any more. After the claim, which is newer than they are: until then they are the truth.
 */
static int given_up_wipe(struct import *im)
{
	_Alignas(PAGE_BYTES) static const uint8_t zeroes[PAGE_BYTES];
	struct raid *raid = &im->pool->raid;
	uint64_t ckpt = im->last.ckpt;
	int r = 0;

	for (unsigned n = 0; n < SUPER_RING_SLOTS - 1 && ckpt > im->super.ckpt; n++, ckpt--) {
		const unsigned slot = (unsigned)(ckpt % SUPER_RING_SLOTS);

		for (unsigned i = 0; r == 0 && i < 2 * raid->drive_count; i++) {
			struct drive *drive = &raid->drives[i / 2];

			if (raid_drive_online(drive))
				r = raid_label_write(
					raid, drive,
					super_offset(drive->info.size_bytes, i % 2, slot), zeroes,
					PAGE_BYTES);
		}
	}
	return r;
}

/*
 * The log was cut before a group whose data are not all there. The same data may come to the same
 * slots again, when a partial block is merged anew: the group would be whole at the next import,
 * though this one has said that it never was. So its first block goes before anything is written.
 */
static int stale_group_wipe(struct pool *pool, const struct log_position *position)
{
	_Alignas(PAGE_BYTES) static const uint8_t zeroes[PAGE_BYTES];
	const struct iovec iov = {(void *)(uintptr_t)zeroes, sizeof(zeroes)};
	struct raid_io io = {.op = RAID_WRITE,
			     .flags = DISK_FUA,
			     .vaddr = log_block_vaddr(&pool->log, position->next),
			     .count = 1,
			     .iov = &iov,
			     .iov_count = 1};
	int r = 0;

	if (!position->stale || (pool->barriers_off & POOL_BARRIER_LOG_STALE))
		return 0;
	for (unsigned i = 0; i < WRITE_TRIES; i++) {
		const uint32_t segment = vaddr_segment(io.vaddr);

		r = raid_run(&pool->raid, &io);
		/* A copy that is left is as good as all. */
		io.columns = io.failed &
			     raid_columns_online(&pool->raid, space_segment(pool->space, segment));
		if (io.columns == 0)
			return r;
	}
	return -EIO;
}

/* No drive may be two behind when power is cut again. */
static int drives_level(struct import *im)
{
	struct raid *raid = &im->pool->raid;
	int r = 0;

	if (im->pool->barriers_off & POOL_BARRIER_SUPER_LEVEL)
		return 0;
	for (unsigned i = 0; r == 0 && i < raid->drive_count; i++) {
		const struct import_drive *d = drive_of(im, raid->drives[i].info.guid);

		if (d && raid_drive_online(&raid->drives[i]) &&
		    d->candidates[0].super.ckpt < im->last.ckpt)
			r = raid_super_repeat(raid, &im->last, &raid->drives[i]);
	}
	return r;
}

void super_drives_set(const struct pool *pool, struct super *super)
{
	for (unsigned i = 0; i < pool->raid.drive_count; i++)
		super->drives[i] = pool->raid.drives[i].info;
}

/* From here on the pool is this host's. */
static int claim(struct import *im)
{
	struct pool *pool = im->pool;
	struct super *s = &pool->super;
	int r = drives_level(im);

	if (r < 0)
		return r;
	super_drives_set(pool, s);
	s->ckpt = im->last.ckpt + 1;
	s->state = SUPER_ACTIVE;
	s->time_s = pool_wall_s(pool);
	memcpy(s->host_id, im->params->host_id, sizeof(s->host_id));
	memset(s->host_name, 0, sizeof(s->host_name));
	strncpy(s->host_name, im->params->host_name ? im->params->host_name : "",
		POOL_NAME_BYTES - 1);
	r = raid_super_write(&pool->raid, s);
	return r == 0 ? given_up_wipe(im) : r;
}

static int drives_open(struct import *im, struct err *err)
{
	const int r = drives_add(im);

	if (r < 0)
		return err_set(err, r, "cannot open the drives of pool '%s': %s",
			       im->super.pool_name, strerror(-r));
	return heart_watch(im, err);
}

static int trees_open(struct import *im, struct err *err)
{
	struct pool *pool = im->pool;
	int r;

	pool->super = im->super;
	pool->history.next = im->super.history_next;
	r = space_make(im, err);
	if (r == 0)
		r = seeds_load(im);
	if (r == 0)
		r = memory_pages_make(pool);
	if (r == 0)
		r = shares_new(pool);
	return r < 0 ? r : import_trees(im, err);
}

/*
 * What was replayed may be in the caches of the drives only, if the last host died and its drives
 * lived on. From now on it counts as durable.
 */
static int replayed_flush(struct pool *pool)
{
	struct raid_flush *flush;
	int r;

	if (pool->replayed == 0 || pool->read_only)
		return 0;
	flush = calloc(1, sizeof(*flush));
	r = flush ? raid_flush_run(&pool->raid, flush, true) : -ENOMEM;
	free(flush);
	return r;
}

static int log_open(struct import *im, struct err *err)
{
	struct pool *pool = im->pool;
	struct log_position position;
	int r = 0;

	log_prepare(pool);
	pool->epoch = pool->super.epoch;
	volumes_recount(pool);
	if (im->params->rewind_to != 0)
		log_give_up(im, &position);
	else
		r = replay(pool, &position, err);
	if (r == 0)
		r = replayed_flush(pool);
	if (r == 0)
		r = log_start(&pool->log, &position);
	volumes_recount(pool);
	if (r == 0 && !pool->read_only) {
		r = claim(im);
		if (r == 0)
			r = stale_group_wipe(pool, &position);
		if (r == 0)
			r = checkpointer_start(pool);
		if (r == 0)
			r = heart_start(im);
		if (r == 0)
			r = discards_start(pool);
	}
	return r;
}

static void pool_fill(struct pool *pool, const struct pool_open_params *params)
{
	uint64_t seed = params->seed;

	if (seed == 0)
		random_system_fill(&seed, sizeof(seed));
	random_init(&pool->random, seed);
	pool->loop = params->loop;
	pool->read_only = params->read_only;
	pool->barriers_off = params->barriers_off;
	pool->wall_clock_s = params->wall_clock_s;
	pool->changed = params->changed;
	pool->data = params->data;
}

static void pool_free(struct pool *pool)
{
	heart_stop(pool);
	sweep_end(pool);
	checkpointer_stop(pool);
	discards_stop(pool);
	/* It may have settled meanwhile. */
	while (pool->log.buffers && !log_idle(&pool->log))
		fiber_sleep_ns(NS_PER_MS);
	log_fini(&pool->log);
	io_fini(pool);
	if (pool->pages) {
		if (pages_drain(pool->pages) < 0)
			pool->error = -EIO;
		pages_quiesce(pool->pages);
	}
	pages_free(pool->pages);
	volumes_free(pool);
	shares_free(pool);
	raid_fini(&pool->raid);
	space_free(pool->space);
	free(pool);
}

/* What fails without a sentence of its own gets one here. */
static int steps(struct import *im, struct err *err)
{
	struct err why = {.code = 0};
	int r = import_choose(im, &why);

	if (r == 0)
		r = drives_open(im, &why);
	if (r == 0)
		r = trees_open(im, &why);
	if (r == 0)
		r = io_init(im->pool);
	if (r == 0)
		r = log_open(im, &why);
	if (r < 0 && why.code == 0)
		err_set(&why, r, "cannot open pool '%s': %s", im->super.pool_name, strerror(-r));
	return r < 0 ? err_set(err, r, "%s", why.text) : 0;
}

int pool_open(const struct pool_open_params *params, struct pool **ret_pool, struct err *err)
{
	struct import *im = calloc(1, sizeof(*im));
	struct pool *pool = calloc(1, sizeof(*pool));
	int r = -ENOMEM;

	if (im && pool)
		im->drives = calloc(params->drive_count, sizeof(*im->drives));
	if (im && pool && im->drives) {
		im->pool = pool;
		im->params = params;
		im->count = params->drive_count;
		pool_fill(pool, params);
		r = steps(im, err);
	} else {
		err_set(err, r, "there is no memory to open a pool");
	}
	if (im)
		free(im->drives);
	free(im);
	if (r < 0) {
		if (pool && pool->loop)
			pool_free(pool);
		else
			free(pool);
		return r;
	}
	if (!pool->read_only && pool->replayed > 0)
		checkpoint_request(pool);
	pool_work(pool);
	*ret_pool = pool;
	return 0;
}

/* --- Closing
 * --------------------------------------------------------------------------------------- */

static bool anything_open(const struct pool *pool)
{
	for (uint32_t i = 0; i < pool->volume_limit; i++) {
		if (pool->volumes[i] && pool->volumes[i]->open_count > 0)
			return true;
	}
	for (uint32_t i = 0; i < pool->snapshot_limit; i++) {
		if (pool->snapshots[i] && pool->snapshots[i]->open_count > 0)
			return true;
	}
	return false;
}

int pool_close(struct pool *pool, enum pool_closing how, struct err *err)
{
	int r = 0;

	/* Devices that other threads closed say so by message. */
	while (anything_open(pool) || !io_idle(pool))
		fiber_sleep_ns(NS_PER_MS);
	admin_lock(pool);
	sweep_end(pool);
	if (!pool->read_only && pool->error == 0)
		r = checkpoint_wait(pool);
	checkpointer_stop(pool);
	/* Partial blocks that waited may have begun to merge meanwhile. */
	while (!io_idle(pool) || (pool->log.buffers && !log_idle(&pool->log)))
		fiber_sleep_ns(NS_PER_MS);
	if (r == 0 && pool->error == 0 && !pool->read_only && how == POOL_EXPORT) {
		pool->super.ckpt++;
		pool->super.state = SUPER_EXPORTED;
		super_drives_set(pool, &pool->super);
		r = raid_super_write(&pool->raid, &pool->super);
	}
	if (pool->error < 0)
		r = -EIO;
	if (r < 0)
		err_set(err, r,
			"pool '%s' was closed without its last checkpoint: what was flushed "
			"is in its log",
			pool->super.pool_name);
	pool_free(pool);
	return r;
}
