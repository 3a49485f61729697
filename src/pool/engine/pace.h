/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pacing: how fast writes may fill the active delta while a checkpoint merges the frozen one. Left
 * alone they fill it as fast as the drives take them, and then stand still until the checkpoint
 * ends. Held back a little each, they find room as long as it lasts.
 *
 *   room ----.               The first half of the room that there was at the freeze is free.
 *             `-.            From then on so much of it must be left (`keep`) as lasts for the time
 *   keep         `-.         that the checkpoint still needs: keep falls by its own amount in that
 *                   `-.      time. It is measured by what was merged so far; before there is
 *                      `-.   anything to measure, and for what comes after the merge, the
 *   freeze      merged    end   checkpoints before this one tell.
 *
 * A checkpoint that takes longer than was thought slows writes down further: while it is late, the
 * time it still needs is half of what has gone by, so keep never gets to 0. No write is held for
 * longer than PACE_HOLD_NS, whatever the guess.
 *
 * Arithmetic alone: no timer, no queue. Who asks (write_held()) does so for the head of the queue
 * of writes; so they go in the order in which they came, whosever they are.
 */
#ifndef POOL_ENGINE_PACE_H
#define POOL_ENGINE_PACE_H

#include <quoin/base.h>

#define PACE_HOLD_NS (8 * NS_PER_MS)

struct pace {
	bool running;
	uint64_t began_ns;
	uint64_t merged_ns; /* when the merge had ended; 0: it has not */
	uint64_t seen_ns;   /* keep is as of then */
	uint64_t keep;	    /* in 1/256 of a record */
	uint64_t room;	    /* at the freeze */
	uint64_t records, merged;
	uint64_t held_since_ns; /* the head of the queue; 0: it is not held */

	/* What the checkpoints before took, for a record and after the merge. */
	uint64_t record_ns, tail_ns;

	uint64_t held_count, held_ns; /* all writes that were held */
};

void pace_init(struct pace *pace);

/* `records` are to be merged; `room` is there for as many more. */
void pace_begin(struct pace *pace, uint64_t now_ns, uint64_t records, uint64_t room);

/* So many of them are merged / all are, and what is left takes no longer for more of them. */
void pace_progress(struct pace *pace, uint64_t merged);
void pace_merged(struct pace *pace, uint64_t now_ns);
void pace_end(struct pace *pace, uint64_t now_ns);

/* 0: the next write may begin. Else ask again in so many ns, or when there is more room. */
uint64_t pace_wait_ns(struct pace *pace, uint64_t now_ns, uint64_t room);

#endif
