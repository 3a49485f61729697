/* SPDX-License-Identifier: Apache-2.0 */
/* The line along which the room for new records is used up while a checkpoint runs. */
#include "engine/pace.h"

#define KEEP_SHIFT 8		 /* of a record: so that it falls smoothly when little is left */
#define LOOK_NS (32 * NS_PER_US) /* no more often; also the shortest wait */
#define UNIT_SHIFT 10		 /* times are in units of 1024 ns when keep is multiplied */
#define GUESS_SHARE 16		 /* the guess weighs as much as this part of all records */
#define TAIL_SHARE 16		 /* of the merge: room is kept for such a tail at the least */
#define FIRST_RECORD_NS (10 * NS_PER_US)
#define FIRST_TAIL_NS (10 * NS_PER_MS)

void pace_init(struct pace *pace)
{
	*pace = (struct pace){.record_ns = FIRST_RECORD_NS, .tail_ns = FIRST_TAIL_NS};
}

void pace_begin(struct pace *pace, uint64_t now_ns, uint64_t records, uint64_t room)
{
	pace->running = true;
	pace->began_ns = pace->seen_ns = now_ns;
	pace->merged_ns = 0;
	pace->records = records;
	pace->merged = 0;
	pace->room = room;
	pace->keep = (room - room / 2) << KEEP_SHIFT;
}

void pace_progress(struct pace *pace, uint64_t merged)
{
	pace->merged = MIN(merged, pace->records);
}

void pace_merged(struct pace *pace, uint64_t now_ns)
{
	/* What a few records cost says nothing of many: most of it is for the checkpoint as such.
	 */
	if (pace->records > pace->room / 4)
		pace->record_ns = (now_ns - pace->began_ns) / pace->records;
	pace->merged = pace->records;
	pace->merged_ns = now_ns;
}

void pace_end(struct pace *pace, uint64_t now_ns)
{
	/* A slow one may have been slow for what comes again: it is forgotten by and by. */
	pace->tail_ns = MAX(now_ns - pace->merged_ns, pace->tail_ns / 4 * 3);
	pace->running = false;
}

/* What the checkpoint still needs, as far as one can know. */
static uint64_t time_left(const struct pace *pace, uint64_t now_ns)
{
	const uint64_t guess = pace->records / GUESS_SHARE + 1;
	const uint64_t spent = now_ns - pace->began_ns;
	uint64_t record_ns;
	uint64_t merge_ns;
	uint64_t tail_ns;
	uint64_t late;

	if (pace->merged_ns == 0) {
		record_ns = (spent + guess * pace->record_ns) / (pace->merged + guess);
		merge_ns = (pace->records - pace->merged) * record_ns;
		return merge_ns + MAX(pace->tail_ns, (spent + merge_ns) / TAIL_SHARE);
	}
	tail_ns = MAX(pace->tail_ns, (pace->merged_ns - pace->began_ns) / TAIL_SHARE);
	late = now_ns - pace->merged_ns;
	return MAX(tail_ns - MIN(late, tail_ns), late / 2);
}

/* Also right for a long step: what the line would have been had it led here from there. */
static void keep_lower(struct pace *pace, uint64_t now_ns, uint64_t left_ns)
{
	const uint64_t step = (now_ns - pace->seen_ns) >> UNIT_SHIFT;
	const uint64_t left = (left_ns >> UNIT_SHIFT) + 1;

	if (now_ns - pace->seen_ns < LOOK_NS)
		return;
	pace->keep = pace->keep * left / (left + step);
	pace->seen_ns = now_ns;
}

static uint64_t let_go(struct pace *pace, uint64_t now_ns)
{
	if (pace->held_since_ns != 0)
		pace->held_ns += now_ns - pace->held_since_ns;
	pace->held_since_ns = 0;
	return 0;
}

uint64_t pace_wait_ns(struct pace *pace, uint64_t now_ns, uint64_t room)
{
	const uint64_t has = room << KEEP_SHIFT;
	uint64_t left_ns;
	uint64_t until_ns;
	uint64_t wait_ns;

	if (!pace->running)
		return let_go(pace, now_ns);
	left_ns = time_left(pace, now_ns);
	keep_lower(pace, now_ns, left_ns);
	if (has >= pace->keep)
		return let_go(pace, now_ns);
	if (pace->held_since_ns == 0) {
		pace->held_since_ns = now_ns;
		pace->held_count++;
	}
	until_ns = pace->held_since_ns + PACE_HOLD_NS;
	if (now_ns >= until_ns)
		return let_go(pace, now_ns);
	/* When keep will have fallen to what there is. */
	wait_ns = (left_ns >> UNIT_SHIFT) * (pace->keep - has) / (has + 1) << UNIT_SHIFT;
	return MIN(MAX(wait_ns, (uint64_t)LOOK_NS), until_ns - now_ns);
}
