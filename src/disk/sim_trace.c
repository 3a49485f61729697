/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records what a simulated drive is asked. The content of a write is copied when it is submitted:
 * a cut while it is in flight may leave it on the medium. A change that is done in part (it failed,
 * or is a discard that promises nothing) is narrowed to what it did when it ends.
 */
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_bitmap.h>
#include <quoin/base_math.h>
#include <quoin/base_text.h>

#include "sim_trace.h"

#define ROOM_MIN 64

void *trace_room(void *array, size_t count, size_t *room, size_t size_bytes)
{
	if (count < *room)
		return array;
	*room = MAX(*room * 2, ROOM_MIN);
	array = realloc(array, *room * size_bytes);
	ASSERT(array);
	return array;
}

struct disk_sim_trace *disk_sim_trace_start(struct disk_sim *sim, uint64_t bytes_max)
{
	struct disk_sim_trace *trace = xcalloc(1, sizeof(*trace));

	ASSERT(!sim->trace);
	ASSERT(!sim->open || list_empty(&sim->open->in_flight));
	trace->sim = sim;
	trace->params = sim->params;
	trace->unit_bytes = sim->cache.unit_bytes;
	trace->bytes_max = bytes_max;
	trace->cut = TRACE_NEVER;
	trace->base = sim_image_freeze(&sim->cache.now);
	sim->trace = trace;
	return trace;
}

void sim_trace_detach(struct disk_sim *sim)
{
	struct disk_sim_trace *trace = sim->trace;

	if (!trace)
		return;
	trace->params.size_max_bytes = sim->cache.unit_count * sim->cache.unit_bytes;
	trace->params.size_bytes = sim->size_bytes;
	trace->params.plan = sim->params.plan;
	trace->sim = NULL;
	sim->trace = NULL;
}

void disk_sim_trace_stop(struct disk_sim_trace *trace)
{
	if (trace->sim)
		sim_trace_detach(trace->sim);
}

void disk_sim_trace_free(struct disk_sim_trace *trace)
{
	if (!trace)
		return;
	disk_sim_trace_stop(trace);
	for (size_t i = 0; i < trace->request_count; i++) {
		free(trace->requests[i].data);
		free(trace->requests[i].changed);
	}
	free(trace->requests);
	free(trace->events);
	free(trace->pending);
	sim_image_unref(trace->ahead);
	sim_image_unref(trace->base);
	free(trace);
}

bool disk_sim_trace_full(const struct disk_sim_trace *trace)
{
	return trace->full;
}

size_t disk_sim_trace_count(const struct disk_sim_trace *trace)
{
	return trace->event_count;
}

const struct disk_sim_event *disk_sim_trace_event(const struct disk_sim_trace *trace, size_t index)
{
	ASSERT_U64(index, <, trace->event_count);
	return &trace->events[index];
}

size_t disk_sim_trace_cut_at(const struct disk_sim_trace *trace, uint64_t sequence)
{
	size_t low = 0, high = trace->event_count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (trace->events[middle].sequence <= sequence)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* False: it is too much, and this was the end. */
static bool afford(struct disk_sim_trace *trace, uint64_t bytes)
{
	if (bytes > trace->bytes_max - trace->bytes) {
		trace->full = true;
		sim_trace_detach(trace->sim);
		return false;
	}
	trace->bytes += bytes;
	return true;
}

static struct trace_request *request_of(struct disk_sim *sim, const struct disk_request *r)
{
	return &sim->trace->requests[r->retries - 1];
}

static void event_add(struct disk_sim *sim, const struct disk_request *r, bool end, int result)
{
	struct disk_sim_trace *trace = sim->trace;
	const struct trace_request *t = request_of(sim, r);
	uint64_t *sequence = trace->params.sequence ? trace->params.sequence : &sim->own_sequence;

	trace->events = trace_room(trace->events, trace->event_count, &trace->event_room,
				   sizeof(*trace->events));
	trace->cut = TRACE_NEVER;
	trace->events[trace->event_count++] = (struct disk_sim_event){
		.sequence = ++*sequence,
		.request = r->retries,
		.op = r->op,
		.flags = t->durable ? r->flags : r->flags & ~(unsigned)DISK_FUA,
		.end = end,
		.result = result,
		.offset = t->offset,
		.length_bytes = t->length_bytes,
		.data = t->data,
	};
}

static void pieces_gather(const struct disk_request *r, uint8_t *data)
{
	for (unsigned i = 0; i < r->iov_count; i++) {
		memcpy(data, r->iov[i].iov_base, r->iov[i].iov_len);
		data += r->iov[i].iov_len;
	}
}

void sim_trace_submitted(struct disk_sim *sim, struct disk_request *r)
{
	const unsigned never = SIM_MARK(DISK_SIM_PHANTOM) | SIM_MARK(DISK_SIM_FLUSH_LIE);
	const bool heeds_fua = (r->flags & DISK_FUA) && !(r->step & SIM_MARK(DISK_SIM_FUA_IGNORE));
	const uint64_t data_bytes = r->op == DISK_WRITE ? r->length_bytes : 0;
	struct disk_sim_trace *trace = sim->trace;
	struct trace_request *t;

	if (!trace || r->op == DISK_READ || (r->step & never) ||
	    !afford(trace, data_bytes + sizeof(*t) + sizeof(struct disk_sim_event)))
		return;
	trace->requests = trace_room(trace->requests, trace->request_count, &trace->request_room,
				     sizeof(*trace->requests));
	t = &trace->requests[trace->request_count++];
	*t = (struct trace_request){
		.op = r->op,
		.durable = sim_changes(r) && r->op != DISK_DISCARD &&
			   (sim->params.write_through || heeds_fua),
		.begin = trace->event_count,
		.end = TRACE_NEVER,
		.safe = TRACE_NEVER,
		.offset = r->progress_bytes,
		.length_bytes = r->length_bytes,
	};
	if (data_bytes > 0) {
		t->data = xmalloc(data_bytes);
		pieces_gather(r, t->data);
	}
	r->retries = (unsigned)trace->request_count;
	event_add(sim, r, false, 0);
}

/* The flush that ends now has made safe what had ended when it was submitted. */
static void flush_covers(struct disk_sim_trace *trace, const struct trace_request *flush)
{
	const size_t now = trace->event_count - 1;
	bool leading = true;

	for (size_t i = trace->unsafe_from; i < trace->request_count; i++) {
		struct trace_request *t = &trace->requests[i];

		if (t->safe == TRACE_NEVER && t->end < flush->begin)
			t->safe = now;
		leading = leading && (t->op == DISK_FLUSH || t->safe != TRACE_NEVER);
		if (leading)
			trace->unsafe_from = i + 1;
	}
}

void sim_trace_ended(struct disk_sim *sim, struct disk_request *r, int result)
{
	struct disk_sim_trace *trace = sim->trace;
	struct trace_request *t;

	if (!trace || r->retries == 0 || !afford(trace, sizeof(struct disk_sim_event)))
		return;
	t = request_of(sim, r);
	t->end = trace->event_count;
	event_add(sim, r, true, result);
	if (result == 0 && t->durable)
		t->safe = t->end;
	if (result == 0 && t->op == DISK_FLUSH)
		flush_covers(trace, t);
}

void sim_trace_partial(struct disk_sim *sim, const struct disk_request *r)
{
	struct trace_request *t;

	if (!sim->trace || r->retries == 0)
		return;
	t = request_of(sim, r);
	t->changed =
		xcalloc(BITMAP_WORDS(t->length_bytes / sim->trace->unit_bytes), sizeof(uint64_t));
	if (t->op == DISK_DISCARD)
		t->data = xcalloc(1, t->length_bytes);
}

void sim_trace_unit(struct disk_sim *sim, const struct disk_request *r, uint64_t index)
{
	const uint64_t at = index * sim->cache.unit_bytes;
	struct trace_request *t;

	if (!sim->trace || r->retries == 0)
		return;
	t = request_of(sim, r);
	bitmap_set(t->changed, index);
	if (t->op == DISK_DISCARD)
		sim_content_get(&sim->cache.now, t->offset + at, t->data + at,
				sim->cache.unit_bytes);
}
