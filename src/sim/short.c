/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All short sequences of operations, crashed. Most bugs of crash recovery need no more than three
 * operations on a small volume; so each sequence of so many templates is tried, by its number,
 * which is the seed. The volume has a block that is written and a snapshot before it begins.
 */
#include <stdio.h>
#include <stdlib.h>

#include <quoin/base_assert.h>

#include "crash.h"

#define WIDE 64 /* sectors; a discard of more blocks than that is a range, not points */

enum template_kind { TEMPLATE_REQUEST, TEMPLATE_VERB, TEMPLATE_COPY, TEMPLATE_TRIM };

struct template
{
	enum template_kind kind;
	enum work_op op; /* of a request */
	uint32_t first, count;
	enum model_verb_kind verb;
	uint32_t sectors; /* of a copy: where it goes */
	bool drained;	  /* what came before has ended */
};

static const struct template templates[] = {
	{TEMPLATE_REQUEST, WORK_WRITE, 0, 8, 0, 0, true},
	{TEMPLATE_REQUEST, WORK_WRITE, 0, 8, 0, 0, false},
	{TEMPLATE_REQUEST, WORK_WRITE, 2, 3, 0, 0, true},
	{TEMPLATE_REQUEST, WORK_WRITE, 5, 7, 0, 0, false},
	{TEMPLATE_REQUEST, WORK_WRITE, 0, WIDE, 0, 0, false},
	{TEMPLATE_REQUEST, WORK_FUA, 0, 8, 0, 0, false},
	{TEMPLATE_REQUEST, WORK_FUA, 3, 1, 0, 0, true},
	{TEMPLATE_REQUEST, WORK_FUA, 12, 16, 0, 0, false},
	{TEMPLATE_REQUEST, WORK_TRIM, 0, 8, 0, 0, true},
	{TEMPLATE_REQUEST, WORK_TRIM, 0, 8 * WIDE, 0, 0, true},
	{TEMPLATE_REQUEST, WORK_TRIM, 4, 8 * WIDE - 5, 0, 0, false},
	{TEMPLATE_REQUEST, WORK_ZEROES, 1, 2, 0, 0, true},
	{TEMPLATE_REQUEST, WORK_FLUSH, 0, 0, 0, 0, true},
	{TEMPLATE_REQUEST, WORK_FLUSH, 0, 0, 0, 0, false},
	{TEMPLATE_VERB, 0, 0, 0, VERB_SYNC, 0, false},
	{TEMPLATE_VERB, 0, 0, 0, VERB_SNAPSHOT, 0, false},
	{TEMPLATE_VERB, 0, 0, 0, VERB_SNAPSHOT, 0, true},
	{TEMPLATE_VERB, 0, 0, 0, VERB_SNAPSHOT_DESTROY, 0, true},
	{TEMPLATE_VERB, 0, 0, 0, VERB_ROLLBACK, 0, true},
	{TEMPLATE_VERB, 0, 0, 0, VERB_CLONE, 0, true},
	{TEMPLATE_VERB, 0, 0, 0, VERB_PROMOTE, 0, true},
	{TEMPLATE_VERB, 0, 0, 0, VERB_RENAME, 0, true},
	{TEMPLATE_VERB, 0, 0, 0, VERB_RESIZE, 32, true},
	{TEMPLATE_VERB, 0, 0, 0, VERB_RESIZE, 12 * WIDE, true},
	{TEMPLATE_VERB, 0, 0, 0, VERB_CREATE, 64, true},
	{TEMPLATE_VERB, 0, 0, 0, VERB_DESTROY, 0, true},
	/* Since the second mix. */
	{TEMPLATE_COPY, 0, 0, 40, 0, 128, true},
	{TEMPLATE_COPY, 0, 128, 64, 0, 0, false},
	{TEMPLATE_COPY, 0, 0, 40, 0, 64, false},
	{TEMPLATE_TRIM, 0, 0, 0, 0, 0, false},
};
#define TEMPLATES_FIRST 26 /* of the first mix */

struct sequence {
	uint64_t number;
	unsigned length;
	uint64_t templates;
};

static uint64_t template_count(const struct sim_options *options)
{
	return options->mix < 2 ? TEMPLATES_FIRST : ARRAY_SIZE(templates);
}

uint64_t sim_short_count(const struct sim_options *options)
{
	uint64_t count = 1;

	for (unsigned i = 0; i < options->length; i++)
		count *= template_count(options);
	return count;
}

/* Templates are for the first volume, whatever it is now; what it cannot take does nothing. */
static int first_volume(const struct model *m)
{
	for (unsigned i = 0; i < MODEL_VOLUMES; i++) {
		if (m->volumes[i].there)
			return (int)i;
	}
	return -1;
}

/* Fills in what the verb is for; false: there is no such thing. */
static bool verb_aim(struct work *work, struct model_verb *verb)
{
	struct model *m = work->model;
	const int volume = first_volume(m);

	verb->target = MODEL_VOLUMES;
	for (unsigned i = MODEL_VOLUMES; i-- > 0;) {
		if (!m->volumes[i].there)
			verb->target = i;
	}
	if (verb->kind == VERB_CREATE)
		return verb->target < MODEL_VOLUMES;
	if (volume < 0)
		return false;
	verb->volume[0] = (unsigned)volume;
	switch ((int)verb->kind) {
	case VERB_PROMOTE:
		/* The clone: the volume that has an origin. */
		for (unsigned i = 0; i < MODEL_VOLUMES; i++) {
			if (m->volumes[i].there && m->volumes[i].origin != 0)
				verb->volume[0] = i;
		}
		return m->volumes[verb->volume[0]].origin != 0;
	case VERB_SNAPSHOT_DESTROY:
	case VERB_ROLLBACK:
	case VERB_CLONE:
		return m->volumes[volume].snapshot_count > 0 && verb->target < MODEL_VOLUMES;
	default:
		return true;
	}
}

static void verb_do(struct work *work, const struct template *t)
{
	struct model_verb verb = {.kind = t->verb, .count = 1, .sectors = t->sectors};

	snprintf(verb.name, sizeof(verb.name), "s%u", work->names++);
	if (!verb_aim(work, &verb))
		return;
	if (t->drained)
		work_handle_close(work, verb.volume[0]);
	if (verb.kind == VERB_ROLLBACK || verb.kind == VERB_CLONE)
		check_snapshot(work, verb.volume[0], verb.snapshot);
	work_verb(work, &verb);
}

static void request_do(struct work *work, const struct template *t)
{
	const int volume = first_volume(work->model);
	uint32_t sectors;

	if (t->drained)
		work_drain(work);
	if (volume < 0)
		return;
	sectors = work->model->volumes[volume].cells.count;
	if (t->first < sectors)
		work_submit(work, (unsigned)volume, t->op, t->first,
			    MIN(t->count, sectors - t->first));
}

static void copy_do(struct work *work, const struct template *t)
{
	const int volume = first_volume(work->model);

	if (t->drained)
		work_drain(work);
	if (volume >= 0 &&
	    MAX(t->first, t->sectors) + t->count <= work->model->volumes[volume].cells.count)
		work_copy(work, (unsigned)volume, t->first, t->sectors, t->count);
}

static void script(struct life *life)
{
	const struct sequence *sequence = life->script_data;
	uint64_t number = sequence->number;

	life->work->depth = WORK_SLOTS;
	for (unsigned i = 0; i < sequence->length; i++) {
		const struct template *t = &templates[number % sequence->templates];

		number /= sequence->templates;
		if (t->kind == TEMPLATE_VERB)
			verb_do(life->work, t);
		else if (t->kind == TEMPLATE_COPY)
			copy_do(life->work, t);
		else if (t->kind == TEMPLATE_TRIM)
			work_pool_trim(life->work);
		else
			request_do(life->work, t);
	}
	/* What it set going goes on a little. */
	fiber_sleep_ns(2 * NS_PER_MS);
}

static void past(struct life *life)
{
	struct work *work = life->work;
	struct model_verb create = {
		.kind = VERB_CREATE, .count = 1, .sectors = 10 * WIDE, .name = "v"};
	struct model_verb snapshot = {.kind = VERB_SNAPSHOT, .count = 1, .name = "past"};

	work_verb(work, &create);
	work_submit(work, 0, WORK_WRITE, 0, 24);
	work_drain(work);
	work_verb(work, &snapshot);
	work_submit(work, 0, WORK_WRITE, 8, 40);
	work_drain(work);
}

void sim_short_run(const struct sim_context *context)
{
	const struct crash_plan plan = {
		.states = context->options->states, .read_only_percent = 20, .depth = 1};
	const uint64_t count = sim_short_count(context->options);
	struct sequence sequence = {(context->seed - 1) % count, context->options->length,
				    template_count(context->options)};
	struct life life = {
		.plan = &plan, .script = script, .script_data = &sequence, .past = past};
	/* Seeds beyond the last sequence begin again, on a mirror. */
	const bool mirror = (context->seed - 1) / count % 2 == 1;
	const struct world_shape shape = {
		.drives = mirror ? 2 : 1,
		.mirrored = mirror,
		.drive_bytes = 32 * MiB,
		.logical_block_bytes = 512,
		.delta_records = 512,
		.reserve_permille = 200,
		.barriers_off = context->options->barriers_off,
	};
	struct random random;

	random_init(&random, context->seed);
	life_run(context, &life, &shape, &random);
}
