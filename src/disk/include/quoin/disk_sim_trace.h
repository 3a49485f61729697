/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was asked of a simulated drive since a base image, and the drives that a power cut at any
 * instant could have left.
 *
 * A trace is a sequence of events: a change (write, zeroes, discard) or a flush was submitted, or
 * it ended. It tells what the drive did, not what it claimed: phantom writes and flushes that lie
 * are not in it, a misdirected write stands where it went, FUA that was ignored is not there. Bits
 * that rot and sectors that cannot be read are not in it either.
 *
 * A cut is a number of events that had happened. A change is safe at a cut when it had ended, and
 * either was durable on completion or was covered: a flush that was submitted after its end had
 * ended well. The others, those in flight among them, are unflushed: each may be on the medium, or
 * not, or in part. They are numbered from 0 in the order in which they take effect: as they ended,
 * then those in flight as they were submitted. A later change of the same block hides an earlier.
 *
 * What a crash state costs: the pages that its unflushed changes touch. For that the trace keeps
 * a second image in which the safe changes are done; it moves forward with the cuts, so ask for
 * them in ascending order, and free the drives of one cut before the next is asked for. Other
 * orders are right too, and slower.
 */
#ifndef QUOIN_DISK_SIM_TRACE_H
#define QUOIN_DISK_SIM_TRACE_H

#include <quoin/disk_sim.h>

struct disk_sim_trace;

struct disk_sim_event {
	uint64_t sequence; /* from params.sequence: ascending, over all drives that share it */
	uint64_t request;  /* its number in the trace, from 1; of both of its events */
	enum disk_op op;
	unsigned flags;
	bool end;   /* else: it was submitted */
	int result; /* of an end */
	uint64_t offset;
	uint64_t length_bytes;
	const void *data; /* of a write; the trace's */
};

/*
 * Starts to record. The base is what reads return now: flush before. No request is in flight. The
 * record ends by itself at a power cut, and before the event that would make it larger than
 * `bytes_max` in all.
 */
struct disk_sim_trace *disk_sim_trace_start(struct disk_sim *sim, uint64_t bytes_max);

/* Ends the record, which stays. Stopped already: no effect. */
void disk_sim_trace_stop(struct disk_sim_trace *trace);

/* Stops. The drives made from it live on. NULL is allowed. */
void disk_sim_trace_free(struct disk_sim_trace *trace);

/* It ended for want of room. */
bool disk_sim_trace_full(const struct disk_sim_trace *trace);

size_t disk_sim_trace_count(const struct disk_sim_trace *trace);

/* Valid until the next event is recorded. */
const struct disk_sim_event *disk_sim_trace_event(const struct disk_sim_trace *trace, size_t index);

/* The cut after all events up to this sequence number: one instant for several drives. */
size_t disk_sim_trace_cut_at(const struct disk_sim_trace *trace, uint64_t sequence);

/* Which unflushed changes are on the medium. */
enum disk_sim_crash_kind {
	DISK_SIM_CRASH_ALL,
	DISK_SIM_CRASH_NONE,
	DISK_SIM_CRASH_DROP,	  /* all but `first` */
	DISK_SIM_CRASH_KEEP,	  /* `first` alone */
	DISK_SIM_CRASH_DROP_PAIR, /* all but `first` and `second` */
	DISK_SIM_CRASH_TEAR,	  /* all, but `first` only in part: `tear` */
	DISK_SIM_CRASH_CHOSEN,	  /* those whose bit is set in `keep` */
};

#define DISK_SIM_TEARS 8

struct disk_sim_crash {
	size_t cut;
	enum disk_sim_crash_kind kind;
	size_t first;
	size_t second;
	/* 0..6: the first (tear + 1) / 8 of it, rounded down to units; 7: all but the first half.
	 */
	unsigned tear;
	const uint64_t *keep;
	uint64_t seed; /* of the drive that is made */
};

size_t disk_sim_crash_unflushed(struct disk_sim_trace *trace, size_t cut);

/*
 * The crash states of a cut, numbered: with W unflushed changes, 2 + 2 W + W (W - 1) / 2 + 8 W of
 * them, in the order of the kinds, without CHOSEN; 1 when W is 0.
 */
uint64_t disk_sim_crash_count(struct disk_sim_trace *trace, size_t cut);

/* Sets all but the seed. */
void disk_sim_crash_at(struct disk_sim_trace *trace, size_t cut, uint64_t number,
		       struct disk_sim_crash *ret_crash);

/*
 * A drive with the content of that crash state, closed, with the plan and the size of the drive
 * that was traced (the size as it was last) and no chosen faults. disk_sim_free() it.
 */
struct disk_sim *disk_sim_crash_new(struct disk_sim_trace *trace,
				    const struct disk_sim_crash *crash);

#endif
