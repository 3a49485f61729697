/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulation campaign from inside: what is asked of a run, and what a run tells.
 *
 *   main.c, jobs.c  options; processes, and the failures they report    report.c  counters
 *   world.c         a pool on simulated drives                          model*.c  what it must hold
 *   work.c, verbs.c requests and verbs on both                          check.c   one against other
 *   ops.c, crash.c, crash_seeds.c, short.c, sweep.c, barriers.c  the kinds of campaign
 *   refuse.c        memory that is refused                              value.c   data of sectors
 *
 * A run is one seed of one kind. It ends, or says why the seed failed and ends its process: nothing
 * is unwound, so that no check needs a way back. Everything is a function of the seed.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <stdatomic.h>

#include <quoin/base.h>

enum sim_kind {
	SIM_OPS,
	SIM_CRASH,
	SIM_SHORT,
	SIM_DOUBLE,
	SIM_SWEEP,
	SIM_BARRIERS,
	SIM_KINDS,
};

#define SIM_FAILURE_TEXT 1000
#define SIM_MIX 2 /* 1: without copies of guests and trims of the pool */

/* One process's, in memory shared with the one that started it. */
struct sim_report {
	enum sim_kind kind;
	_Atomic uint64_t seed;	   /* that runs now */
	_Atomic uint64_t progress; /* moves while it lives */
	uint64_t seeds, ops, checks, cuts, states, imports, faults;
	uint64_t copies, trims; /* of guests, by reference; of the pool, begun or given up */
	bool ended;		/* early, as somebody asked for it */
	char failure[SIM_FAILURE_TEXT];
};

struct sim_options {
	enum sim_kind kind;
	bool all;
	bool json;
	bool no_fork;
	bool verbose;  /* tells every event */
	int signals;   /* a signalfd: who sends one wants the end; -1: none */
	uint64_t seed; /* the first */
	uint64_t seeds;
	double seconds;
	unsigned jobs;
	uint64_t states;       /* crash states of one seed */
	unsigned mix;	       /* which operations there are: SIM_MIX, or an older one */
	unsigned barriers_off; /* enum pool_barrier */
	unsigned length;       /* of short runs */
	unsigned hang_seconds;
	bool quiet; /* a failure is what is wanted */
};

/* One seed; returns when it passed. */
struct sim_context {
	const struct sim_options *options;
	struct sim_report *report;
	struct loop_stacks *stacks; /* of the process */
	uint64_t seed;
};
void sim_ops_run(const struct sim_context *context);
void sim_crash_run(const struct sim_context *context);
void sim_short_run(const struct sim_context *context);
void sim_double_run(const struct sim_context *context);
void sim_sweep_run(const struct sim_context *context);

/* How many sequences of operations there are. */
uint64_t sim_short_count(const struct sim_options *options);

/* The seed failed: says so in the report and ends the process. */
NO_RETURN void sim_fail(const struct sim_context *context, const char *format, ...)
	PRINTF_LIKE(2, 3);

const char *sim_kind_name(enum sim_kind kind);

/* Runs seeds of one kind in processes of their own; adds to `total`. False: one failed. */
bool sim_jobs_run(const struct sim_options *options, struct sim_report *total);

/* False: what was left out was not missed. */
bool sim_barriers_run(const struct sim_options *options, struct sim_report *total);

void sim_report_add(struct sim_report *total, const struct sim_report *part);
void sim_report_print(const struct sim_options *options, const struct sim_report *total,
		      double seconds);

#endif
