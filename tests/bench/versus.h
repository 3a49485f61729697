/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quoin-bench pool: a volume of a pool beside what a user would take instead, on the same drive, in
 * the same run, turn by turn.
 *
 *   raw    the plain file: fio, io_uring, O_DIRECT
 *   file   the plain file as an NVMe disk of quoind: what the front end costs
 *   qcow2  qemu-storage-daemon, its vhost-user-blk export
 *   pool   a volume of a Quoin pool on a file, an NVMe disk of quoind
 */
#ifndef BENCH_VERSUS_H
#define BENCH_VERSUS_H

#include "client.h"
#include "load.h"
#include "work.h"

#define VERSUS_RUNS_MAX 15
#define VERSUS_PATH_MAX (BENCH_WORK_MAX + 8)

enum versus_who { VERSUS_RAW, VERSUS_FILE, VERSUS_QCOW2, VERSUS_POOL };
#define VERSUS_COUNT 4

struct versus_options {
	const char *dir;
	const char *quoind;
	const char *only;    /* points whose name has this; NULL = all */
	const char *suite;   /* "base", "full", "snapshots", "memory" */
	uint64_t size_bytes; /* of a disk */
	uint64_t pool_bytes; /* of the pool's drive */
	unsigned runs, run_ms;
	unsigned who; /* a bit for each */
	bool json;
	int client_cpu, worker_cpu; /* -1 = not pinned */
};

struct versus_point {
	const char *name;
	struct load_job job;
	bool fresh; /* on a disk nothing was written to */
};

struct versus {
	struct versus_options options;
	struct daemon daemon;
	struct load_port *ports[VERSUS_COUNT]; /* NULL: not open; of raw always */
	char work[BENCH_WORK_MAX];	       /* directory of the files */
	char raw[VERSUS_PATH_MAX], pool[VERSUS_PATH_MAX], qcow2[VERSUS_PATH_MAX];
	unsigned targets; /* made so far: names are not used twice */
};

/* --- disks.c: what is measured -------------------------------------------------------------- */

/* The files, the daemon, the pool. */
MUST_CHECK int disks_make(struct versus *v);
void disks_remove(struct versus *v);

/* The daemon again, with this much memory. All disks are closed. */
MUST_CHECK int disks_restart(struct versus *v, const char *memory);

/* What the pool has for data, its reserve included. */
MUST_CHECK int disks_pool_size(struct versus *v, uint64_t *ret_bytes);

/* An empty disk of `size_bytes` for this contestant, whatever it had before. */
MUST_CHECK int disk_fresh(struct versus *v, enum versus_who who, uint64_t size_bytes);
MUST_CHECK int disk_open(struct versus *v, enum versus_who who);
void disk_close(struct versus *v, enum versus_who who);

/* Every block of the disk is written, in order, then `random_bytes` of blocks anywhere. */
MUST_CHECK int disk_fill(struct versus *v, enum versus_who who, uint64_t random_bytes);

MUST_CHECK int disk_snapshot(struct versus *v, unsigned number);

/* --- fio.c ---------------------------------------------------------------------------------- */

MUST_CHECK int fio_run(const char *path, const struct load_job *job, struct load_result *ret);

/* --- versus_report.c ------------------------------------------------------------------------ */

void versus_report_stage(const struct versus *v, const char *text);
void versus_report_point(const struct versus *v, const struct versus_point *point,
			 struct load_result results[VERSUS_COUNT][VERSUS_RUNS_MAX]);

int versus_main(int argc, char **argv);

#endif
