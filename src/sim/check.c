/* SPDX-License-Identifier: Apache-2.0 */
/* What can be read, against the model. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>

#include "check.h"

#define PIECE_BYTES (256U * 1024U)

enum how {
	HOW_READ,     /* as a read that begins now */
	HOW_SNAPSHOT, /* as one of a snapshot: any candidate of when it was made */
	HOW_SURVIVE,  /* as after a crash */
	HOW_READABLE, /* anything that was ever written there */
};

struct check {
	struct work *work;
	enum how how;
	char *why;
	uint8_t *data;
	uint64_t *seen; /* values of the volume or snapshot */
	uint32_t room;
};

static bool wrong(struct check *c, const char *format, ...) PRINTF_LIKE(2, 3);
static bool wrong(struct check *c, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(c->why, CHECK_TEXT, format, arguments);
	va_end(arguments);
	return false;
}

/* --- Reading --------------------------------------------------------------------------------- */

struct waited {
	struct block_request request;
	struct fiber *fiber;
	bool ended;
};

static void waited_ended(struct block_request *request)
{
	struct waited *waited = container_of(request, struct waited, request);

	waited->ended = true;
	fiber_wake(waited->fiber);
}

static int read_piece(struct block_channel *channel, uint64_t offset, void *data, size_t length)
{
	const struct iovec iov = {data, length};
	struct waited waited = {
		.request = {.op = BLOCK_READ,
			    .offset = offset,
			    .length_bytes = length,
			    .iov = &iov,
			    .iov_count = 1,
			    .done = waited_ended},
		.fiber = fiber_self(),
	};

	block_submit(channel, &waited.request);
	block_kick(channel);
	while (!waited.ended)
		fiber_park();
	return waited.request.result;
}

static bool values_take(struct check *c, const char *name, uint32_t first, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (!sector_value((const uint64_t *)(void *)(c->data + (size_t)i * SECTOR),
				  &c->seen[first + i]))
			return wrong(c, "%s: sector %u is garbage", name, first + i);
	}
	return true;
}

static bool values_read(struct check *c, const char *name, uint32_t count,
			struct block_channel *channel)
{
	for (uint32_t at = 0; at < count; at += PIECE_BYTES / SECTOR) {
		const uint32_t sectors = MIN(PIECE_BYTES / SECTOR, count - at);
		const int r = read_piece(channel, (uint64_t)at * SECTOR, c->data,
					 (size_t)sectors * SECTOR);

		if (r < 0)
			return wrong(c, "%s: sectors from %u cannot be read: %s", name, at,
				     strerror(-r));
		if (!values_take(c, name, at, sectors))
			return false;
	}
	return true;
}

static bool observe(struct check *c, const char *name, uint32_t count)
{
	struct pool *pool = c->work->world->pool;
	struct block_device *device;
	struct block_channel *channel;
	struct err err = {.code = 0};
	bool good;

	if (c->room < count) {
		c->seen = realloc(c->seen, count * sizeof(*c->seen));
		ASSERT(c->seen != NULL);
		c->room = count;
	}
	if (pool_device_open(pool, name, true, &device, &err) < 0)
		return wrong(c, "%s cannot be opened: %s", name, err.text);
	ASSERT(block_channel_open(device, c->work->world->loop, &channel) == 0);
	good = block_capacity(device) == (uint64_t)count * SECTOR ||
	       wrong(c, "%s has %llu bytes, not %llu", name,
		     (unsigned long long)block_capacity(device),
		     (unsigned long long)count * SECTOR);
	good = good && values_read(c, name, count, channel);
	block_channel_close(channel);
	block_close(device);
	return good;
}

/* --- Judging --------------------------------------------------------------------------------- */

/* There, or elsewhere and copied. */
static bool ever_written(const struct model *m, uint32_t sector, uint64_t value)
{
	const uint32_t there = value_sector(value);
	const struct model_write *w = &m->writes[value_write(value)];

	return value_write(value) < m->write_count && !w->zero && w->copy == 0 &&
	       there >= w->first && there < w->first + w->count && (there == sector || m->copied);
}

static bool judge_sector(const struct check *c, const struct model *m, uint32_t cell,
			 uint32_t sector)
{
	const struct model_seen seen = {cell, sector, c->seen[sector]};

	switch (c->how) {
	case HOW_READ:
		return model_may_read(m, &seen, m->tick);
	case HOW_SNAPSHOT:
		return model_may_be(m, &seen);
	case HOW_SURVIVE:
		return model_may_survive(m, &seen);
	case HOW_READABLE:
		return seen.value == 0 || ever_written(m, sector, seen.value);
	}
	return false;
}

/* A write of the whole block is there, and beside it something that is older for certain. */
static bool block_mixed(const struct check *c, const struct model *m, const struct cells *cells,
			uint32_t first)
{
	for (uint32_t i = first; i < first + BLOCK_SECTORS; i++) {
		const uint32_t write = value_write(c->seen[i]);
		const struct model_write *w = &m->writes[write];

		if (write == 0 || value_sector(c->seen[i]) != i ||
		    (i > first && write == value_write(c->seen[i - 1])) || w->first > first ||
		    w->first + w->count < first + BLOCK_SECTORS)
			continue;
		for (uint32_t j = first; j < first + BLOCK_SECTORS; j++) {
			const struct model_seen seen = {cells->cell[j], j, c->seen[j]};

			if (!model_may_survive_beside(m, &seen, write))
				return true;
		}
	}
	return false;
}

static bool judge(struct check *c, const struct model *m, const struct cells *cells,
		  const char *name)
{
	char text[CHECK_TEXT];

	for (uint32_t i = 0; i < cells->count; i++) {
		if (judge_sector(c, m, cells->cell[i], i))
			continue;
		model_describe(m, cells->cell[i], text, sizeof(text));
		return wrong(c, "%s: sector %u of %u is write %u of sector %u, not%s (now %llu)",
			     name, i, cells->count, value_write(c->seen[i]),
			     value_sector(c->seen[i]), text, (unsigned long long)m->tick);
	}
	for (uint32_t i = 0; c->how != HOW_READABLE && i < cells->count; i += BLOCK_SECTORS) {
		if (block_mixed(c, m, cells, i))
			return wrong(c, "%s: the block at sector %u is mixed", name, i);
	}
	return true;
}

static bool check_cells(struct check *c, struct model *m, struct cells *cells, const char *name)
{
	if (!observe(c, name, cells->count) || !judge(c, m, cells, name))
		return false;
	/* What a read has seen may still be lost with power. */
	for (uint32_t i = 0; (c->how == HOW_SNAPSHOT || c->how == HOW_SURVIVE) && i < cells->count;
	     i++)
		model_settle(m, cells, i, c->seen[i]);
	return true;
}

/* --- Lists ----------------------------------------------------------------------------------- */

static bool volumes_listed(struct check *c, const struct model *m)
{
	struct pool *pool = c->work->world->pool;
	struct pool_volume_info info;
	unsigned cursor = 0;
	unsigned there = 0;

	for (unsigned i = 0; i < MODEL_VOLUMES; i++)
		there += m->volumes[i].there;
	while (pool_volume_next(pool, &cursor, &info) == 0) {
		const int index = model_volume_find(m, info.name);

		if (index < 0)
			return wrong(c, "there is a volume %s", info.name);
		if (info.params.size_bytes != (uint64_t)m->volumes[index].cells.count * SECTOR)
			return wrong(c, "%s has %llu bytes", info.name,
				     (unsigned long long)info.params.size_bytes);
		there--;
	}
	return there == 0 || wrong(c, "%u volumes are not there", there);
}

static bool snapshots_listed(struct check *c, const struct model *m)
{
	struct pool *pool = c->work->world->pool;
	struct pool_snapshot_info info;
	unsigned cursor = 0;
	unsigned there = 0;

	for (unsigned i = 0; i < MODEL_VOLUMES; i++)
		there += m->volumes[i].there ? m->volumes[i].snapshot_count : 0;
	while (pool_snapshot_next(pool, &cursor, &info) == 0) {
		char *at = strchr(info.name, '@');
		const struct model_volume *volume;
		unsigned clones;
		int index;

		ASSERT(at != NULL);
		*at = '\0';
		index = model_volume_find(m, info.name);
		volume = &m->volumes[MAX(index, 0)];
		index = index < 0 ? -1 : model_snapshot_find(volume, at + 1);
		if (index < 0)
			return wrong(c, "there is a snapshot %s@%s", info.name, at + 1);
		clones = model_clones(m, volume->snapshots[index].id);
		/* A clone that was destroyed counts until it is gone. */
		if (info.hold_count != volume->snapshots[index].holds ||
		    info.clone_count < clones || (info.clone_count > clones && !m->destroyed))
			return wrong(c, "%s@%s has %u holds and %u clones", info.name, at + 1,
				     info.hold_count, info.clone_count);
		there--;
	}
	return there == 0 || wrong(c, "%u snapshots are not there", there);
}

/* Who does not write cannot make the checkpoint that a new snapshot needs. */
static bool hidden(const struct check *c, const char *name)
{
	struct pool *pool = c->work->world->pool;
	struct pool_snapshot_info info;
	struct pool_status status;

	pool_status(pool, &status);
	return status.read_only && pool_snapshot_find(pool, name, &info) == 0 && !info.counted;
}

static bool check_volume(struct check *c, struct model *m, struct model_volume *volume)
{
	char name[2 * MODEL_NAME];
	const enum how how = c->how;

	if (!check_cells(c, m, &volume->cells, volume->name))
		return false;
	c->how = how == HOW_READABLE ? how : HOW_SNAPSHOT;
	for (unsigned s = 0; s < volume->snapshot_count; s++) {
		snprintf(name, sizeof(name), "%s@%s", volume->name, volume->snapshots[s].name);
		if (hidden(c, name))
			continue;
		if (!check_cells(c, m, &volume->snapshots[s].cells, name))
			return false;
	}
	c->how = how;
	return true;
}

static bool check_model(struct check *c, struct model *m)
{
	bool good = volumes_listed(c, m) && snapshots_listed(c, m);

	for (unsigned i = 0; good && i < MODEL_VOLUMES; i++) {
		if (m->volumes[i].there)
			good = check_volume(c, m, &m->volumes[i]);
	}
	return good;
}

static void check_begin(struct check *c, struct work *work, enum how how, char *why)
{
	*c = (struct check){.work = work, .how = how, .why = why};
	c->data = aligned_alloc(4096, PIECE_BYTES);
	ASSERT(c->data != NULL);
	work->world->context->report->checks++;
}

static void check_end(struct check *c)
{
	free(c->data);
	free(c->seen);
}

bool check_now(struct work *work, char why[CHECK_TEXT])
{
	struct check c;
	bool good;

	check_begin(&c, work, HOW_READ, why);
	good = check_model(&c, work->model);
	check_end(&c);
	return good;
}

/* The model with the verb under way done, or as far as it may have come. */
static bool check_with(struct check *c, struct model *m, bool half)
{
	struct model with;
	bool good;

	model_copy(&with, m);
	if (half)
		model_rollback_half(&with);
	else
		model_verb_finish(&with);
	good = check_model(c, &with);
	if (good) {
		const struct model swap = *m;

		*m = with;
		with = swap;
	}
	model_fini(&with);
	return good;
}

bool check_after_crash(struct work *work, char why[CHECK_TEXT])
{
	struct model *m = work->model;
	const enum model_verb_kind verb = m->verb.kind;
	char second[CHECK_TEXT];
	struct check c;
	bool good;

	model_crashed(m);
	check_begin(&c, work, HOW_SURVIVE, why);
	good = check_model(&c, m);
	c.why = second;
	if (!good && verb != VERB_NONE) {
		const size_t length = strlen(why);

		good = check_with(&c, m, false) ||
		       (verb == VERB_ROLLBACK && check_with(&c, m, true));
		if (!good)
			snprintf(why + length, CHECK_TEXT - length, "; or: %.200s", second);
	}
	model_verb_forget(m);
	check_end(&c);
	return good;
}

/* Volumes of the pool, whatever they are: names may be others at an older checkpoint. */
bool check_readable(struct work *work, char why[CHECK_TEXT])
{
	struct pool_volume_info info;
	unsigned cursor = 0;
	struct check c;
	bool good = true;

	check_begin(&c, work, HOW_READABLE, why);
	while (good && pool_volume_next(work->world->pool, &cursor, &info) == 0) {
		const uint32_t count = (uint32_t)(info.params.size_bytes / SECTOR);

		good = observe(&c, info.name, count);
		for (uint32_t i = 0; good && i < count; i++) {
			if (!judge_sector(&c, work->model, 0, i))
				good = wrong(&c, "%s: sector %u is write %u of sector %u",
					     info.name, i, value_write(c.seen[i]),
					     value_sector(c.seen[i]));
		}
	}
	check_end(&c);
	return good;
}

bool check_snapshot(struct work *work, unsigned volume, unsigned snapshot)
{
	const struct model_volume *v = &work->model->volumes[volume];
	const struct cells *cells = &v->snapshots[snapshot].cells;
	struct model_event event = {
		.kind = EVENT_SNAPSHOT_SEEN, .volume = volume, .verb = {.snapshot = snapshot}};
	char why[CHECK_TEXT] = "";
	char name[2 * MODEL_NAME];
	struct check c;
	bool good;

	snprintf(name, sizeof(name), "%s@%s", v->name, v->snapshots[snapshot].name);
	check_begin(&c, work, HOW_SNAPSHOT, why);
	good = observe(&c, name, cells->count) && judge(&c, work->model, cells, name);
	if (good) {
		event.values = c.seen;
		c.seen = NULL;
		work_event(work, &event);
	} else if (!work_failing(work) && !work->beyond) {
		sim_fail(work->world->context, "%s", why);
	}
	check_end(&c);
	return good;
}
