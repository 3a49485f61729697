/* SPDX-License-Identifier: Apache-2.0 */
/* A trace from inside: recorded by sim_trace.c, cut by sim_crash.c. */
#ifndef DISK_SIM_TRACE_H
#define DISK_SIM_TRACE_H

#include "sim.h"

#define TRACE_NEVER SIZE_MAX

/* A change or flush. Events are named by index; what has not happened is TRACE_NEVER. */
struct trace_request {
	enum disk_op op;
	bool durable; /* on completion */
	size_t begin;
	size_t end;
	size_t safe; /* the event that made it safe: its own end, or a flush's */
	uint64_t offset;
	uint64_t length_bytes;
	uint8_t *data;	   /* NULL: zeroes */
	uint64_t *changed; /* bit per unit of it; NULL: all */
};

/* A change as a cut finds it. */
struct trace_pending {
	size_t request; /* index */
	bool unflushed;
};

struct disk_sim_trace {
	struct disk_sim *sim; /* NULL: stopped */
	struct disk_sim_params params;
	uint64_t unit_bytes;
	uint64_t bytes_max;
	uint64_t bytes;
	bool full;

	struct disk_sim_event *events;
	size_t event_count;
	size_t event_room;
	struct trace_request *requests;
	size_t request_count;
	size_t request_room;
	size_t unsafe_from; /* requests before this are safe, or flushes */

	struct disk_sim_image *base;

	/* sim_crash.c: the changes that ended before event `done` are in `ahead`. */
	struct disk_sim_image *ahead;
	size_t done;
	/* What comes on top of `ahead` at this cut, in order. */
	size_t cut; /* TRACE_NEVER: not known */
	struct trace_pending *pending;
	size_t pending_count;
	size_t pending_room;
	size_t unflushed_count;
};

/* An array with room for one more. */
void *trace_room(void *array, size_t count, size_t *room, size_t size_bytes);

#endif
