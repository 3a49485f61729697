/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Crash states. The drives of a life are traced while a pool lives on them and the journal of its
 * work is kept. For each instant of the trace, the drives that a power cut could have left are
 * made, one state of each drive, and a pool is imported from them and held against the model of
 * that instant. Such a pool may be a life of its own, and crash again.
 */
#ifndef SIM_CRASH_H
#define SIM_CRASH_H

#include <quoin/disk_sim_trace.h>

#include "check.h"

struct crash_plan {
	uint64_t states;	/* of one life, at most; 0: all */
	uint64_t states_again;	/* of a life that began with a crash */
	unsigned again_percent; /* of the states that are lives of their own */
	unsigned depth;		/* crashes in a row, at most */
	unsigned steps_again;	/* operations of such a life; 0: it is only imported */
	unsigned read_only_percent;
	unsigned rewind_percent;
};

struct life {
	const struct sim_context *context;
	const struct crash_plan *plan;
	struct world *world;
	struct model *model; /* as it is */
	struct model shadow; /* as it was at a cut */
	size_t shadow_next;  /* in the journal */
	struct work *work;
	struct disk_sim_trace *traces[WORLD_DRIVES_MAX];
	unsigned depth;
	struct work_mix mix;
	unsigned steps;
	/* [fiber] What is done, instead of steps of the mix; may be NULL. */
	void (*script)(struct life *life);
	void *script_data;
	void (*past)(struct life *life); /* [fiber] the same, before anything is traced */
	unsigned work_depth;		 /* requests at a time; 0: as it comes */
	char what[160];			 /* which state it is, for failures */
};

/* From here on all is traced. No pool is open. */
void life_trace(struct life *life);

/* Makes crash states of all that was traced, and tries each. */
void life_crash(struct life *life, uint64_t states);

/* The pool is let go as a power cut would, and the world with it. */
void life_end(struct life *life);

/* A pool on new drives, with some past; then `steps` of the mix or the script, traced. */
void life_run(const struct sim_context *context, struct life *like, const struct world_shape *shape,
	      struct random *random);

/* Small writes in plenty: blocks of the log are full long before a commit. */
void life_of_patches(struct life *life);

/* barriers.c: what a run without some barrier is like. */
void sim_barriers_shape(const struct sim_context *context, struct life *life,
			struct crash_plan *plan, struct world_shape *shape);

#endif
