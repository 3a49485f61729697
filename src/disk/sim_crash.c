/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drives after a crash. `ahead` is the base with all changes that ended before event `done`, each
 * of them safe at the cut. A drive lies over it, with the pending changes on top, in order: the
 * safe ones and, of the unflushed, those that the crash state keeps. Drives that live
 * see through to `ahead` where they have not written, so it moves only while there are none.
 */
#include <stdlib.h>

#include <quoin/base_assert.h>
#include <quoin/base_bitmap.h>
#include <quoin/base_math.h>

#include "sim_trace.h"

/* A content that is changed, and in what units. */
struct target {
	struct sim_content *content;
	uint64_t unit_bytes;
};

/* The units [begin, end) of a change, counted in the change. */
static void units_apply(const struct target *target, const struct trace_request *t, uint64_t begin,
			uint64_t end)
{
	const uint64_t size = target->unit_bytes;

	while (begin < end) {
		uint64_t stop = end;

		if (t->changed) {
			begin = bitmap_next_set(t->changed, end, begin);
			stop = bitmap_next_clear(t->changed, end, begin);
		}
		sim_content_put(target->content, t->offset + begin * size,
				t->data ? t->data + begin * size : NULL, (stop - begin) * size);
		begin = stop;
	}
}

static uint64_t unit_count(const struct disk_sim_trace *trace, const struct trace_request *t)
{
	return t->length_bytes / trace->unit_bytes;
}

/* Not discards without a promise whose end is not known: they may as well have done nothing. */
static bool has_content(const struct disk_sim_trace *trace, const struct trace_request *t)
{
	return t->op != DISK_DISCARD || t->changed || trace->params.discard_zeroes;
}

static bool is_unflushed(const struct trace_request *t, size_t cut)
{
	return t->safe == TRACE_NEVER || t->safe >= cut;
}

static void pending_add(struct disk_sim_trace *trace, size_t request)
{
	const struct trace_request *t = &trace->requests[request];
	const bool unflushed = is_unflushed(t, trace->cut);

	if (t->op == DISK_FLUSH || !has_content(trace, t))
		return;
	trace->pending = trace_room(trace->pending, trace->pending_count, &trace->pending_room,
				    sizeof(*trace->pending));
	trace->pending[trace->pending_count++] =
		(struct trace_pending){.request = request, .unflushed = unflushed};
	trace->unflushed_count += unflushed;
}

/* The first event at which a change ends that is unflushed at the cut; or the cut. */
static size_t safe_events(const struct disk_sim_trace *trace, size_t cut)
{
	size_t at = trace->done <= cut ? trace->done : 0;

	for (; at < cut; at++) {
		const struct disk_sim_event *e = &trace->events[at];
		const struct trace_request *t = &trace->requests[e->request - 1];

		if (e->end && e->op != DISK_FLUSH && is_unflushed(t, cut))
			break;
	}
	return at;
}

/* Whether what is done already is safe at the cut. */
static bool done_is_safe(const struct disk_sim_trace *trace, size_t cut)
{
	if (!trace->ahead || trace->done > cut)
		return false;
	for (size_t at = 0; at < trace->done; at++) {
		const struct disk_sim_event *e = &trace->events[at];

		if (e->end && e->op != DISK_FLUSH &&
		    is_unflushed(&trace->requests[e->request - 1], cut))
			return false;
	}
	return true;
}

static void ahead_move(struct disk_sim_trace *trace, size_t cut)
{
	struct target target;
	size_t goal;

	if (!done_is_safe(trace, cut)) {
		sim_image_unref(trace->ahead);
		trace->ahead = sim_image_over(trace->base);
		trace->done = 0;
	}
	if (trace->ahead->users > 1)
		return;
	target = (struct target){&trace->ahead->content, trace->unit_bytes};
	for (goal = safe_events(trace, cut); trace->done < goal; trace->done++) {
		const struct disk_sim_event *e = &trace->events[trace->done];
		const struct trace_request *t = &trace->requests[e->request - 1];

		if (e->end && e->op != DISK_FLUSH && has_content(trace, t))
			units_apply(&target, t, 0, unit_count(trace, t));
	}
}

/* Finds out what is pending at the cut. */
static void cut_at(struct disk_sim_trace *trace, size_t cut)
{
	ASSERT_U64(cut, <=, trace->event_count);
	if (trace->cut == cut)
		return;
	ahead_move(trace, cut);
	trace->cut = cut;
	trace->pending_count = 0;
	trace->unflushed_count = 0;
	for (size_t at = trace->done; at < cut; at++) {
		if (trace->events[at].end)
			pending_add(trace, trace->events[at].request - 1);
	}
	for (size_t i = 0; i < trace->request_count && trace->requests[i].begin < cut; i++) {
		if (trace->requests[i].end >= cut)
			pending_add(trace, i);
	}
}

size_t disk_sim_crash_unflushed(struct disk_sim_trace *trace, size_t cut)
{
	cut_at(trace, cut);
	return trace->unflushed_count;
}

uint64_t disk_sim_crash_count(struct disk_sim_trace *trace, size_t cut)
{
	const uint64_t w = disk_sim_crash_unflushed(trace, cut);

	return w == 0 ? 1 : 2 + 2 * w + w * (w - 1) / 2 + DISK_SIM_TEARS * w;
}

void disk_sim_crash_at(struct disk_sim_trace *trace, size_t cut, uint64_t number,
		       struct disk_sim_crash *ret_crash)
{
	const uint64_t w = disk_sim_crash_unflushed(trace, cut);
	const uint64_t kinds[] = {1, 1, w, w, w * (w - (w > 0)) / 2, DISK_SIM_TEARS * w};
	struct disk_sim_crash crash = {.cut = cut, .seed = ret_crash->seed};
	unsigned kind = 0;

	ASSERT_U64(number, <, disk_sim_crash_count(trace, cut));
	while (number >= kinds[kind])
		number -= kinds[kind++];
	crash.kind = kind;
	crash.first = number;
	if (kind == DISK_SIM_CRASH_TEAR) {
		crash.first = number / DISK_SIM_TEARS;
		crash.tear = (unsigned)(number % DISK_SIM_TEARS);
	}
	if (kind == DISK_SIM_CRASH_DROP_PAIR) {
		/* Row by row: the pairs of 0, of 1, ... */
		for (crash.first = 0; number >= w - 1 - crash.first; crash.first++)
			number -= w - 1 - crash.first;
		crash.second = crash.first + 1 + number;
	}
	*ret_crash = crash;
}

/* Which units of a change, as [begin, end), are on the medium; `index` among the unflushed. */
static void kept_units(const struct disk_sim_crash *crash, size_t index, uint64_t *begin,
		       uint64_t *end)
{
	bool kept = true;

	switch (crash->kind) {
	case DISK_SIM_CRASH_ALL:
		break;
	case DISK_SIM_CRASH_NONE:
		kept = false;
		break;
	case DISK_SIM_CRASH_DROP:
		kept = index != crash->first;
		break;
	case DISK_SIM_CRASH_KEEP:
		kept = index == crash->first;
		break;
	case DISK_SIM_CRASH_DROP_PAIR:
		kept = index != crash->first && index != crash->second;
		break;
	case DISK_SIM_CRASH_TEAR:
		if (index != crash->first)
			break;
		if (crash->tear == DISK_SIM_TEARS - 1)
			*begin = *end / 2;
		else
			*end = *end * (crash->tear + 1) / DISK_SIM_TEARS;
		break;
	case DISK_SIM_CRASH_CHOSEN:
		kept = bitmap_test(crash->keep, index);
		break;
	}
	if (!kept)
		*end = *begin;
}

struct disk_sim *disk_sim_crash_new(struct disk_sim_trace *trace,
				    const struct disk_sim_crash *crash)
{
	struct disk_sim_params params = trace->params;
	struct disk_sim *sim;
	struct target target;
	size_t index = 0;

	ASSERT_U64(crash->tear, <, DISK_SIM_TEARS);
	cut_at(trace, crash->cut);
	params.seed = crash->seed;
	params.size_max_bytes = trace->base->content.size_bytes;
	if (trace->sim) {
		params.size_bytes = trace->sim->size_bytes;
		params.plan = trace->sim->params.plan;
	}
	sim = sim_new(&params, trace->ahead);
	target = (struct target){&sim->cache.now, trace->unit_bytes};
	for (size_t i = 0; i < trace->pending_count; i++) {
		const struct trace_request *t = &trace->requests[trace->pending[i].request];
		uint64_t begin = 0, end = unit_count(trace, t);

		if (trace->pending[i].unflushed)
			kept_units(crash, index++, &begin, &end);
		units_apply(&target, t, begin, end);
	}
	return sim;
}
