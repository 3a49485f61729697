/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quoin-bench: measures, never judges. One client thread on one core drives the queues, quoind's
 * worker has the other core; the same file goes to fio in turn.
 */
#ifndef BENCH_H
#define BENCH_H

#include <quoin/base_histogram.h>

#include "client.h"

#define BENCH_QUEUES_MAX 4
#define BENCH_DEPTH_MAX 128
#define BENCH_BLOCK 4096
#define BENCH_TARGETS_MAX 8
#define BENCH_RUNS_MAX 9

/* What is measured. */
struct bench_point {
	unsigned depth; /* per queue */
	unsigned queues;
	bool write;
};

struct bench_options {
	const char *targets[BENCH_TARGETS_MAX];
	unsigned target_count;
	const char *quoind;
	bool shadow;
	bool mapped;
	bool quick;
	bool json;
	bool fio;
	unsigned runs;		  /* repetitions of each comparison with fio */
	unsigned run_ms;	  /* length of one measurement */
	unsigned idle_ms;	  /* how long to watch an idle target */
	unsigned poll_us;	  /* the target's own option; 0 = its default */
	struct bench_point point; /* only this one; depth 0 = all */
	int client_cpu;		  /* -1 = not pinned */
	int worker_cpu;
};

struct bench_result {
	struct bench_point point;
	uint64_t count;
	uint64_t errors;
	double iops;
	uint64_t p50_ns, p99_ns, p999_ns, max_ns;
	double cpu_us;	  /* of quoind, per I/O */
	double doorbells; /* register writes of the client, per I/O */
};

struct bench_idle {
	double cpu_percent;
	uint64_t wakeups; /* voluntary context switches */
	uint64_t rss_anon_kib;
	double seconds;
};

/* One file, quoind and fio in turn. */
struct bench_versus {
	struct bench_point point;
	double quoin_iops; /* medians */
	double fio_iops;
	double ratio; /* median of the runs' ratios */
};

/* --- drive.c ------------------------------------------------------------------------------ */

/* A connected host with BENCH_QUEUES_MAX queue pairs and its buffers. */
struct bench_host {
	struct host host;
	struct daemon *daemon;
	uint64_t block_count; /* of BENCH_BLOCK bytes */
	unsigned lba_shift;
	uint64_t data; /* guest address of the buffers */
	bool interrupts;
};

/*
 * Mapped doorbells, or shadow doorbells. With interrupts the client sleeps when nothing comes for
 * a while, as a virtual machine does; without, it polls for ever.
 */
struct bench_mode {
	bool mapped;
	bool interrupts;
};

MUST_CHECK int bench_host_open(struct bench_host *bench, const char *path, struct bench_mode mode);
void bench_host_close(struct bench_host *bench);

/* Runs one point for `run_ms`. -EIO when the controller stopped answering. */
MUST_CHECK int bench_drive(struct bench_host *bench, struct bench_point point, unsigned run_ms,
			   struct bench_result *ret);

/* The first two CPUs we may use; -1: there is only one. */
void bench_choose_cpus(int *client, int *worker);

/* Pins this thread, or with -1 lets it run everywhere again (fio inherits that). */
void bench_pin(int cpu);

/* --- fio.c -------------------------------------------------------------------------------- */

bool bench_fio_there(void);
MUST_CHECK int bench_fio(const char *path, struct bench_point point, unsigned run_ms,
			 double *ret_iops);

/* --- report.c ----------------------------------------------------------------------------- */

void report_begin(const struct bench_options *options);
void report_target(const struct bench_options *options, const char *target, const char *doorbells);
void report_result(const struct bench_options *options, const struct bench_result *result);
void report_idle(const struct bench_options *options, const struct bench_idle *idle);
void report_versus_begin(const struct bench_options *options);
void report_versus(const struct bench_options *options, const struct bench_versus *versus);

#endif
