/* SPDX-License-Identifier: Apache-2.0 */
/* Requests, many at a time, each in the model when it begins and when it ends. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_math.h>
#include <quoin/pool_trim.h>

#include "check.h"
#include "refuse.h"
#include "work.h"

struct work *work_new(struct world *world, struct model *model)
{
	struct work *work = calloc(1, sizeof(*work));

	ASSERT(work != NULL);
	work->world = world;
	work->model = model;
	work->depth = 1 + (unsigned)random_below(&world->random, WORK_SLOTS);
	return work;
}

void work_free(struct work *work)
{
	for (unsigned i = 0; i < WORK_SLOTS; i++)
		free(work->slots[i].data);
	for (size_t i = 0; i < work->journal_count; i++)
		free(work->journal[i].values);
	free(work->journal);
	free(work);
}

static void event_tell(const struct work *work, const struct model_event *e)
{
	static const char *const kinds[] = {"write", "write ended", "flush ended",
					    "verb",  "verb ended",  "snapshot seen"};
	const struct model *m = work->model;

	fprintf(stderr, "%llu (clock %llu) %s: volume %u", (unsigned long long)e->tick,
		(unsigned long long)e->clock, kinds[e->kind], e->volume);
	if (e->kind == EVENT_WRITE && e->copy)
		fprintf(stderr, " %u [%u+%u] copied from %u\n", m->write_count, e->first, e->count,
			e->from);
	else if (e->kind == EVENT_WRITE)
		fprintf(stderr, " %u [%u+%u]%s%s\n", m->write_count, e->first, e->count,
			e->zero ? " zero" : "", e->fua ? " fua" : "");
	else if (e->kind == EVENT_VERB)
		fprintf(stderr, " %d: %s, snapshot %u, name %s, %u sectors\n", e->verb.kind,
			m->volumes[e->verb.volume[0]].name, e->verb.snapshot, e->verb.name,
			e->verb.sectors);
	else
		fprintf(stderr, " %u: %d\n", e->write, e->result);
}

uint32_t work_event(struct work *work, struct model_event *event)
{
	const bool window = refuse_window(false);
	uint32_t write;

	event->clock = *work->world->sequence;
	event->tick = work->model->tick + 1;
	if (work->world->context->options->verbose)
		event_tell(work, event);
	if (work->journaling) {
		if (work->journal_count == work->journal_room) {
			work->journal_room = work->journal_room ? 2 * work->journal_room : 64;
			work->journal =
				realloc(work->journal, work->journal_room * sizeof(*work->journal));
			ASSERT(work->journal != NULL);
		}
		work->journal[work->journal_count++] = *event;
	}
	write = model_apply(work->model, event);
	if (!work->journaling)
		free(event->values);
	refuse_window(window);
	return write;
}

bool work_failing(const struct work *work)
{
	struct pool_status status;

	if (work->world->cut || work->dead)
		return true;
	if (!work->beyond && !work->refusing)
		return false;
	pool_status(work->world->pool, &status);
	return status.health == POOL_SUSPENDED;
}

/* --- How requests end ------------------------------------------------------------------------ */

static void read_check(struct work_slot *slot)
{
	struct work *work = slot->work;
	const struct model_volume *volume = &work->model->volumes[slot->volume];
	char text[CHECK_TEXT];

	for (uint32_t i = 0; i < slot->count; i++) {
		struct model_seen seen = {.sector = slot->first + i};

		if (!sector_value((const uint64_t *)(void *)(slot->data + i * SECTOR), &seen.value))
			sim_fail(work->world->context, "%s: sector %u reads as garbage",
				 volume->name, seen.sector);
		seen.cell = volume->cells.cell[seen.sector];
		if (model_may_read(work->model, &seen, slot->begin))
			continue;
		model_describe(work->model, seen.cell, text, sizeof(text));
		sim_fail(work->world->context,
			 "%s: sector %u reads as write %u of sector %u, not%s (since %llu)",
			 volume->name, seen.sector, value_write(seen.value),
			 value_sector(seen.value), text, (unsigned long long)slot->begin);
	}
	work->world->context->report->checks++;
}

static void result_check(struct work_slot *slot, int result)
{
	struct work *work = slot->work;
	const struct sim_context *context = work->world->context;
	const enum block_op op = slot->request.op;

	context->report->copies += op == BLOCK_COPY && result == 0;
	if (result == 0 || work_failing(work) || (work->beyond && result == -EIO))
		return;
	if (op == BLOCK_COPY && result == -EOPNOTSUPP) {
		work->owed[slot - work->slots] =
			(struct work_owed){slot->volume, slot->first, slot->count};
		return;
	}
	if (op != BLOCK_READ && op != BLOCK_FLUSH && op != BLOCK_COPY &&
	    (result == -ENOSPC || result == -EDQUOT)) {
		if (result == -ENOSPC && !check_space_is_short(work))
			sim_fail(context, "a write found no space, though most of it is free");
		if (result == -EDQUOT && !work->limits)
			sim_fail(context, "a write was over a quota that nobody set");
		work->refused++;
		return;
	}
	sim_fail(context, "%s: request %d at sector %u, %u sectors: %s",
		 work->model->volumes[slot->volume].name, (int)op, slot->first, slot->count,
		 strerror(-result));
}

static void request_ended(struct block_request *request)
{
	struct work_slot *slot = container_of(request, struct work_slot, request);
	struct work *work = slot->work;
	struct model_event event = {
		.kind = request->op == BLOCK_FLUSH ? EVENT_FLUSH_END : EVENT_WRITE_END,
		.volume = slot->volume,
		.write = slot->write,
		.begin = slot->begin,
		.result = request->result,
	};

	result_check(slot, request->result);
	if (request->op == BLOCK_READ) {
		work->model->readers--;
		if (request->result == 0)
			read_check(slot);
	} else {
		work_event(work, &event);
	}
	slot->busy = false;
	work->busy--;
	if (work->fiber)
		fiber_wake(work->fiber);
}

/* --- How they begin -------------------------------------------------------------------------- */

static void wait_below(struct work *work, unsigned count)
{
	work->fiber = fiber_self();
	while (work->busy >= count)
		fiber_park();
	work->fiber = NULL;
}

void work_drain(struct work *work)
{
	wait_below(work, 1);
}

static struct work_slot *slot_take(struct work *work)
{
	struct work_slot *slot = work->slots;

	wait_below(work, work->depth);
	while (slot->busy)
		slot++;
	slot->work = work;
	slot->busy = true;
	work->busy++;
	return slot;
}

static void data_make(struct work_slot *slot)
{
	if (slot->room < slot->count) {
		free(slot->data);
		slot->room = slot->count;
		slot->data = aligned_alloc(4096, ((size_t)slot->count * SECTOR + 4095) & ~4095UL);
		ASSERT(slot->data != NULL);
	}
	if (slot->request.op == BLOCK_READ)
		memset(slot->data, 0xee, (size_t)slot->count * SECTOR);
	for (uint32_t i = 0; slot->request.op == BLOCK_WRITE && i < slot->count; i++)
		sector_fill((uint64_t *)(void *)(slot->data + i * SECTOR), slot->write,
			    slot->first + i);
	slot->iov = (struct iovec){slot->data, (size_t)slot->count * SECTOR};
	slot->request.iov = &slot->iov;
	slot->request.iov_count = 1;
}

static const enum block_op op_of[WORK_OPS] = {
	[WORK_WRITE] = BLOCK_WRITE,	    [WORK_FUA] = BLOCK_WRITE,
	[WORK_READ] = BLOCK_READ,	    [WORK_TRIM] = BLOCK_DISCARD,
	[WORK_ZEROES] = BLOCK_WRITE_ZEROES, [WORK_FLUSH] = BLOCK_FLUSH,
	[WORK_GUEST_COPY] = BLOCK_COPY,
};

static void submit(struct work *work, enum work_op op, struct model_event *event)
{
	struct work_slot *slot = slot_take(work);
	const unsigned volume = event->volume;
	const uint32_t count = event->count;

	slot->volume = volume;
	slot->first = event->first;
	slot->count = count;
	slot->source =
		(struct block_extent){(uint64_t)event->from * SECTOR, (uint64_t)count * SECTOR};
	slot->request = (struct block_request){
		.op = op_of[op],
		.flags = op == WORK_FUA ? BLOCK_FUA : 0,
		.offset = (uint64_t)slot->first * SECTOR,
		.length_bytes = (uint64_t)count * SECTOR,
		.sources = &slot->source,
		.source_count = op == WORK_GUEST_COPY,
		.done = request_ended,
	};
	slot->write = op == WORK_READ || op == WORK_FLUSH ? 0 : work_event(work, event);
	work->model->readers += op == WORK_READ;
	slot->begin = ++work->model->tick;
	if (slot->request.op == BLOCK_READ || slot->request.op == BLOCK_WRITE)
		data_make(slot);
	work->world->context->report->ops++;
	work_handle_open(work, volume);
	block_submit(work->handles[volume].channel, &slot->request);
	block_kick(work->handles[volume].channel);
}

void work_submit(struct work *work, unsigned volume, enum work_op op, uint32_t first,
		 uint32_t count)
{
	struct model_event event = {
		.kind = EVENT_WRITE,
		.volume = volume,
		.first = first,
		.count = count,
		.zero = op == WORK_TRIM || op == WORK_ZEROES,
		.fua = op == WORK_FUA,
	};

	submit(work, op, &event);
}

/* Where copies go round in a circle, the model would have to tell too much apart. */
#define COPIES_MAX 4
static bool copy_waits(const struct work *work, unsigned volume, uint32_t to, uint32_t count)
{
	unsigned copies = 0;

	for (unsigned i = 0; i < WORK_SLOTS; i++) {
		const struct work_slot *slot = &work->slots[i];

		if (!slot->busy || slot->request.op != BLOCK_COPY)
			continue;
		copies++;
		if (slot->volume == volume &&
		    ranges_overlap(slot->source.offset, slot->source.length_bytes,
				   (uint64_t)to * SECTOR, (uint64_t)count * SECTOR))
			return true;
	}
	return copies >= COPIES_MAX;
}

void work_copy(struct work *work, unsigned volume, uint32_t from, uint32_t to, uint32_t count)
{
	struct model_event event = {.kind = EVENT_WRITE,
				    .volume = volume,
				    .from = from,
				    .first = to,
				    .count = count,
				    .copy = true};

	if (copy_waits(work, volume, to, count))
		work_drain(work);
	submit(work, WORK_GUEST_COPY, &event);
}

/* --- Devices --------------------------------------------------------------------------------- */

void work_handle_open(struct work *work, unsigned volume)
{
	struct work_handle *handle = &work->handles[volume];
	struct err err = {.code = 0};
	int r;

	if (handle->device)
		return;
	r = pool_device_open(work->world->pool, work->model->volumes[volume].name, false,
			     &handle->device, &err);
	if (r == 0)
		r = block_channel_open(handle->device, work->world->loop, &handle->channel);
	if (r < 0)
		sim_fail(work->world->context, "%s cannot be opened: %s",
			 work->model->volumes[volume].name, err.text);
}

void work_handle_close(struct work *work, unsigned volume)
{
	struct work_handle *handle = &work->handles[volume];

	work_drain(work);
	if (!handle->device)
		return;
	block_channel_close(handle->channel);
	block_close(handle->device);
	*handle = (struct work_handle){0};
}

void work_handles_close(struct work *work)
{
	for (unsigned i = 0; i < MODEL_VOLUMES; i++)
		work_handle_close(work, i);
}

/* --- Steps ----------------------------------------------------------------------------------- */

int work_volume_pick(struct work *work)
{
	unsigned there = 0;
	unsigned pick;

	for (unsigned i = 0; i < MODEL_VOLUMES; i++)
		there += work->model->volumes[i].there;
	if (there == 0)
		return -1;
	pick = (unsigned)random_below(&work->world->random, there);
	for (unsigned i = 0;; i++) {
		if (work->model->volumes[i].there && pick-- == 0)
			return (int)i;
	}
}

static bool half_of(uint64_t seed, unsigned bit)
{
	return (seed * UINT64_C(0x9e3779b97f4a7c15) >> bit & 1) != 0;
}

void work_mix_add(struct work_mix *mix, const struct sim_context *context, unsigned weight)
{
	const struct sim_options *options = context->options;

	if (half_of(context->seed, 58))
		mix->weight[WORK_COPY] = weight;
	if (options->mix < 2 || options->barriers_off != 0)
		return;
	if (half_of(context->seed, 57))
		mix->weight[WORK_GUEST_COPY] = 2 * weight;
	if (half_of(context->seed, 56))
		mix->weight[WORK_POOL_TRIM] = weight / 3;
}

/* Often few, often whole blocks. */
uint32_t work_sectors_pick(struct random *random, uint32_t max)
{
	const uint32_t below = 1U << random_below(random, 12);
	const uint32_t count = 1 + (uint32_t)random_below(random, MIN(below, max));

	if (random_chance(random, 2, 3) && count >= BLOCK_SECTORS)
		return count / BLOCK_SECTORS * BLOCK_SECTORS;
	return random_chance(random, 1, 2) && max >= BLOCK_SECTORS ? BLOCK_SECTORS : count;
}

static bool request_step(struct work *work, const struct work_mix *mix, enum work_op op)
{
	struct random *random = &work->world->random;
	const int volume = work_volume_pick(work);
	uint32_t sectors;
	uint32_t count;
	uint32_t first;

	if (volume < 0)
		return false;
	sectors = work->model->volumes[volume].cells.count;
	count = work_sectors_pick(random, MIN(mix->write_max, sectors));
	if ((op == WORK_TRIM || op == WORK_ZEROES) && random_chance(random, 1, 6))
		count = 1 + (uint32_t)random_below(random, sectors);
	first = (uint32_t)random_below(random, sectors - count + 1);
	if (count % BLOCK_SECTORS == 0 && random_chance(random, 4, 5))
		first = first / BLOCK_SECTORS * BLOCK_SECTORS;
	/* Some places more than others. */
	if (random_chance(random, 1, 3))
		first = first / 16 / BLOCK_SECTORS * BLOCK_SECTORS;
	work_submit(work, (unsigned)volume, op, first, op == WORK_FLUSH ? 0 : count);
	return true;
}

/* As a guest that copies by data then. Else all that may be there would be copied on and on. */
static void owed_write(struct work *work)
{
	for (unsigned i = 0; i < WORK_SLOTS; i++) {
		const struct work_owed owed = work->owed[i];
		const struct model_volume *volume = &work->model->volumes[owed.volume];

		work->owed[i].count = 0;
		if (owed.count > 0 && volume->there &&
		    owed.first + owed.count <= volume->cells.count)
			work_submit(work, owed.volume, WORK_WRITE, owed.first, owed.count);
	}
}

/* Of the one part of a volume to the other, whichever. */
static bool copy_step(struct work *work)
{
	struct random *random = &work->world->random;
	const int volume = work_volume_pick(work);
	uint32_t blocks, count, low, high;
	bool up;

	if (volume < 0)
		return false;
	blocks = work->model->volumes[volume].cells.count / BLOCK_SECTORS;
	if (blocks < 2)
		return false;
	count = 1 + (uint32_t)random_below(random, MIN(blocks / 2, WORK_TRANSFER / BLOCK_SECTORS));
	low = (uint32_t)random_below(random, blocks - 2 * count + 1);
	high = low + count + (uint32_t)random_below(random, blocks - 2 * count - low + 1);
	up = random_chance(random, 1, 2);
	/* Many changes since the last checkpoint make a copy dearer than it is worth. */
	if (random_chance(random, 1, 4)) {
		struct model_verb verb = {.kind = VERB_SYNC, .count = 1};

		work_verb(work, &verb);
	}
	work_copy(work, (unsigned)volume, BLOCK_SECTORS * (up ? low : high),
		  BLOCK_SECTORS * (up ? high : low), BLOCK_SECTORS * count);
	return true;
}

static void trim_numbers(const struct work *work, const struct pool_trim_status *status)
{
	if (status->passed_bytes > status->total_bytes ||
	    status->failed_bytes > status->trimmed_bytes ||
	    (status->state == POOL_TRIM_DONE && status->passed_bytes < status->total_bytes))
		sim_fail(work->world->context, "a trim of the pool has wrong numbers");
}

void work_pool_trim(struct work *work)
{
	const struct sim_context *context = work->world->context;
	struct pool *pool = work->world->pool;
	struct pool_trim_status status;
	struct err err = {.code = 0};
	int r;

	if (work_failing(work))
		return;
	pool_trim_status(pool, &status);
	trim_numbers(work, &status);
	refuse_window(true);
	r = status.state == POOL_TRIM_RUNNING ? pool_trim_stop(pool, &err)
					      : pool_trim_start(pool, &err);
	refuse_window(false);
	/* Of drives that went away, none is left that would. */
	if (r < 0 && !work_failing(work) && !(work->refusing && r == -ENOMEM) &&
	    !(work->beyond && r == -ENOTSUP))
		sim_fail(context, "a trim of the pool: %s", err.text);
	context->report->trims += r == 0;
}

static bool other_step(struct work *work, enum work_op op)
{
	struct random *random = &work->world->random;
	int volume;

	switch ((int)op) {
	case WORK_REOPEN:
		volume = work_volume_pick(work);
		if (volume < 0)
			return false;
		work_handle_close(work, (unsigned)volume);
		return true;
	case WORK_POOL_TRIM:
		work_pool_trim(work);
		return true;
	case WORK_HISTORY:
		return pool_history_add(work->world->pool, "something was done") == 0;
	default:
		fiber_sleep_ns(random_below(random, 20) * NS_PER_MS);
		return true;
	}
}

static bool op_step(struct work *work, const struct work_mix *mix, enum work_op op)
{
	if (op <= WORK_FLUSH)
		return request_step(work, mix, op);
	if (op <= WORK_SET || op == WORK_COPY)
		return work_verb_step(work, mix, op);
	return op == WORK_GUEST_COPY ? copy_step(work) : other_step(work, op);
}

void work_step(struct work *work, const struct work_mix *mix)
{
	unsigned total = 0;
	uint64_t pick;

	owed_write(work);
	for (unsigned i = 0; i < WORK_OPS; i++)
		total += mix->weight[i];
	for (unsigned tries = 0; tries < 10; tries++) {
		unsigned op = 0;

		pick = random_below(&work->world->random, total);
		while (pick >= mix->weight[op])
			pick -= mix->weight[op++];
		if (op_step(work, mix, (enum work_op)op))
			return;
	}
}
