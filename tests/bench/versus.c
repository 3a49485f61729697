/* SPDX-License-Identifier: Apache-2.0 */
/* quoin-bench pool: options, points, and the order in which things are measured. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_size.h>

#include "bench.h"
#include "versus.h"

static const char usage_text[] =
	"usage: quoin-bench pool [OPTION...]\n"
	"\n"
	"Measures a volume of a pool beside a plain file (fio, and as an NVMe disk of quoind) and\n"
	"a qcow2 file (qemu-storage-daemon, vhost-user-blk), turn by turn. Judges nothing.\n"
	"\n"
	"  --suite WHICH   base       reads, writes, flushes, on disks written through, and the\n"
	"                             first writes of new ones (default)\n"
	"                  full       random writes with the pool 20, 60 and 80 % full\n"
	"                  snapshots  random writes after 0, 1, 100 and 1000 snapshots\n"
	"                  memory     with 96, 256 and 512 MiB of memory\n"
	"  --only TEXT     points with this in their name\n"
	"  --disks LIST    of raw,file,qcow2,pool (default: all there are tools for)\n"
	"  --size N        of each disk (default 4G)\n"
	"  --pool-size N   of the pool's drive (default: twice the size of a disk)\n"
	"  --dir DIR       where the files go (default: $TMPDIR or /var/tmp): two disks, the pool\n"
	"  --runs N        repetitions, medians are shown (default 5)\n"
	"  --run-ms N      length of one measurement (default 2000)\n"
	"  --quoind PATH   the daemon to measure\n"
	"  --json          one JSON object per line\n";

#define POINT(text, ...)                             \
	{                                            \
		.name = text, .job = { __VA_ARGS__ } \
	}
#define RANDOM4K .random = true, .block_bytes = 4096

/* Random writes scatter the blocks of a volume: what is in order is measured before. */
static const struct versus_point points_base[] = {
	POINT("128K sequential read QD8", .block_bytes = 128 * KiB, .depth = 8, .queues = 1),
	POINT("128K sequential write QD8", .block_bytes = 128 * KiB, .write = true, .depth = 8,
	      .queues = 1),
	POINT("4K random read QD1", RANDOM4K, .depth = 1, .queues = 1),
	POINT("4K random read QD64", RANDOM4K, .depth = 64, .queues = 1),
	POINT("4K random read 4 x QD16", RANDOM4K, .depth = 16, .queues = 4),
	POINT("4K random write QD1", RANDOM4K, .write = true, .depth = 1, .queues = 1),
	POINT("4K random write QD64", RANDOM4K, .write = true, .depth = 64, .queues = 1),
	POINT("4K random write 4 x QD16", RANDOM4K, .write = true, .depth = 16, .queues = 4),
	POINT("4K write + flush QD1", RANDOM4K, .write = true, .flush = true, .depth = 1,
	      .queues = 1),
	POINT("4K write + flush QD16", RANDOM4K, .write = true, .flush = true, .depth = 16,
	      .queues = 1),
	POINT("128K seq. read after all that", .block_bytes = 128 * KiB, .depth = 8, .queues = 1),
};

static const struct versus_point points_fresh[] = {
	{"new: 4K random write QD1", {RANDOM4K, .write = true, .depth = 1, .queues = 1}, true},
	{"new: 4K random write 4 x QD16",
	 {RANDOM4K, .write = true, .depth = 16, .queues = 4},
	 true},
	{"new: 4K write + flush QD1",
	 {RANDOM4K, .write = true, .flush = true, .depth = 1, .queues = 1},
	 true},
	{"new: 128K sequential write QD8",
	 {.block_bytes = 128 * KiB, .write = true, .depth = 8, .queues = 1},
	 true},
};

static const struct versus_point points_writes[] = {
	POINT("4K random write 4 x QD16", RANDOM4K, .write = true, .depth = 16, .queues = 4),
	POINT("4K random read QD64", RANDOM4K, .depth = 64, .queues = 1),
};

/* --- One point ------------------------------------------------------------------------------ */

static int run_one(struct versus *v, const struct versus_point *point, enum versus_who who,
		   struct load_result *ret)
{
	struct load_job job = point->job;
	int error = 0;

	job.run_ms = v->options.run_ms;
	job.seed = 5;
	if (point->fresh && who != VERSUS_RAW && who != VERSUS_FILE)
		error = disk_fresh(v, who, v->options.size_bytes);
	if (error)
		return error;
	if (who != VERSUS_RAW) {
		bench_pin(v->options.client_cpu);
		error = load_run(v->ports[who], &job, ret);
		bench_pin(-1);
		return error;
	}
	return fio_run(v->raw, &job, ret);
}

static int run_point(struct versus *v, const struct versus_point *point)
{
	static struct load_result results[VERSUS_COUNT][VERSUS_RUNS_MAX];

	if (v->options.only && !strstr(point->name, v->options.only))
		return 0;
	for (unsigned i = 0; i < v->options.runs * VERSUS_COUNT; i++) {
		const enum versus_who who = (enum versus_who)(i % VERSUS_COUNT);
		int error;

		if (!(v->options.who & 1U << who))
			continue;
		error = run_one(v, point, who, &results[who][i / VERSUS_COUNT]);
		if (error) {
			fprintf(stderr, "quoin-bench: %s: %s\n", point->name, strerror(-error));
			return error;
		}
	}
	versus_report_point(v, point, results);
	return 0;
}

static int run_points(struct versus *v, const struct versus_point *points, size_t count)
{
	int error = 0;

	for (size_t i = 0; i < count && !error; i++)
		error = run_point(v, &points[i]);
	return error;
}

/* --- Suites --------------------------------------------------------------------------------- */

/* New disks, written through. */
static int disks_fill(struct versus *v, uint64_t size_bytes, uint64_t random_bytes)
{
	int error = 0;

	for (unsigned i = 0; i < VERSUS_COUNT && !error; i++) {
		const enum versus_who who = (enum versus_who)i;

		if (!(v->options.who & 1U << i))
			continue;
		error = disk_fresh(v, who, size_bytes);
		if (!error && who != VERSUS_FILE)
			error = disk_fill(v, who, random_bytes);
	}
	return error;
}

static int suite_base(struct versus *v)
{
	int error = disks_fill(v, v->options.size_bytes, 0);

	versus_report_stage(v, "disks that were written through");
	if (!error)
		error = run_points(v, points_base, ARRAY_SIZE(points_base));
	versus_report_stage(v, "new disks");
	return error ? error : run_points(v, points_fresh, ARRAY_SIZE(points_fresh));
}

static int suite_full(struct versus *v)
{
	static const unsigned percents[] = {20, 60, 80};
	uint64_t pool_bytes = 0;
	int error = disks_pool_size(v, &pool_bytes);

	for (unsigned i = 0; i < ARRAY_SIZE(percents) && !error; i++) {
		const uint64_t bytes = pool_bytes / 100 * percents[i] / MiB * MiB;
		char text[80];

		snprintf(text, sizeof(text),
			 "pool %u %% full, its blocks overwritten at random once", percents[i]);
		error = disks_fill(v, bytes, bytes);
		versus_report_stage(v, text);
		if (!error)
			error = run_points(v, points_writes, ARRAY_SIZE(points_writes));
	}
	return error;
}

/* Snapshots with some writes between. */
static int snapshots_make(struct versus *v, unsigned from, unsigned to)
{
	const struct load_job job = {RANDOM4K, .write = true, .depth = 16, .queues = 1,
				     .total_bytes = MiB};
	struct load_result result;
	int error = 0;

	for (unsigned i = from; i < to && !error; i++) {
		error = load_run(v->ports[VERSUS_POOL], &job, &result);
		if (!error)
			error = disk_snapshot(v, i);
	}
	return error;
}

static int suite_snapshots(struct versus *v)
{
	static const unsigned counts[] = {0, 1, 100, 1000};
	int error;

	v->options.who &= ~(1U << VERSUS_QCOW2);
	/* Small beside the pool: each stage may leave a whole old volume in a snapshot. */
	error = disks_fill(v, v->options.size_bytes / 8, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(counts) && !error; i++) {
		char text[80];

		snprintf(text, sizeof(text), "%u snapshots", counts[i]);
		error = snapshots_make(v, i > 0 ? counts[i - 1] : 0, counts[i]);
		versus_report_stage(v, text);
		if (!error)
			error = run_points(v, points_writes, ARRAY_SIZE(points_writes));
	}
	return error;
}

static int suite_memory(struct versus *v)
{
	static const char *const memories[] = {"96M", "256M", "512M"};
	int error = disks_fill(v, v->options.size_bytes, 0);

	for (unsigned i = 0; i < ARRAY_SIZE(memories) && !error; i++) {
		char text[80];

		disk_close(v, VERSUS_FILE);
		disk_close(v, VERSUS_POOL);
		error = disks_restart(v, memories[i]);
		if (!error && v->options.who & 1U << VERSUS_FILE)
			error = disk_open(v, VERSUS_FILE);
		if (!error)
			error = disk_open(v, VERSUS_POOL);
		snprintf(text, sizeof(text), "%s of memory", memories[i]);
		versus_report_stage(v, text);
		if (!error)
			error = run_points(v, points_writes, ARRAY_SIZE(points_writes));
	}
	return error;
}

static const struct {
	const char *name;
	int (*run)(struct versus *v);
} suites[] = {
	{"base", suite_base},
	{"full", suite_full},
	{"snapshots", suite_snapshots},
	{"memory", suite_memory},
};

static int run_suite(struct versus *v)
{
	for (unsigned i = 0; i < ARRAY_SIZE(suites); i++) {
		if (strcmp(suites[i].name, v->options.suite) == 0)
			return suites[i].run(v);
	}
	return -EINVAL;
}

/* --- Options -------------------------------------------------------------------------------- */

static int set_disks(struct versus_options *o, const char *list)
{
	static const char *const names[VERSUS_COUNT] = {"raw", "file", "qcow2", "pool"};
	CLEANUP_FREE char *copy = strdup(list);
	char *save = NULL;

	o->who = 0;
	for (char *name = strtok_r(copy, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
		unsigned i = 0;

		while (i < VERSUS_COUNT && strcmp(names[i], name) != 0)
			i++;
		if (i == VERSUS_COUNT)
			return -EINVAL;
		o->who |= 1U << i;
	}
	return o->who ? 0 : -EINVAL;
}

static int set_option(struct versus_options *o, int choice, const char *value)
{
	switch (choice) {
	case 's':
		o->suite = value;
		return 0;
	case 'o':
		o->only = value;
		return 0;
	case 'D':
		return set_disks(o, value);
	case 'S':
		return size_parse(value, &o->size_bytes);
	case 'P':
		return size_parse(value, &o->pool_bytes);
	case 'd':
		o->dir = value;
		return 0;
	case 'n':
		o->runs = (unsigned)strtoul(value, NULL, 10);
		return o->runs - 1 < VERSUS_RUNS_MAX ? 0 : -EINVAL;
	case 'r':
		o->run_ms = (unsigned)strtoul(value, NULL, 10);
		return o->run_ms > 0 ? 0 : -EINVAL;
	case 'Q':
		o->quoind = value;
		return 0;
	case 'j':
		o->json = true;
		return 0;
	case 'h':
		fputs(usage_text, stdout);
		exit(0);
	default:
		return -EINVAL;
	}
}

static int parse_options(struct versus_options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{"suite", required_argument, NULL, 's'},
		{"only", required_argument, NULL, 'o'},
		{"disks", required_argument, NULL, 'D'},
		{"size", required_argument, NULL, 'S'},
		{"pool-size", required_argument, NULL, 'P'},
		{"dir", required_argument, NULL, 'd'},
		{"runs", required_argument, NULL, 'n'},
		{"run-ms", required_argument, NULL, 'r'},
		{"quoind", required_argument, NULL, 'Q'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int choice;

	while ((choice = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		const int error = set_option(o, choice, optarg);

		if (error)
			return error;
	}
	return optind == argc ? 0 : -EINVAL;
}

int versus_main(int argc, char **argv)
{
	const char *tmp = getenv("TMPDIR");
	CLEANUP_FREE struct versus *v = calloc(1, sizeof(*v));
	int error;

	if (!v)
		return 1;
	v->options = (struct versus_options){
		.dir = tmp ? tmp : "/var/tmp",
		.suite = "base",
		.size_bytes = 4 * GiB,
		.runs = 5,
		.run_ms = 2000,
		.who = 1U << VERSUS_FILE | 1U << VERSUS_POOL,
	};
	if (bench_fio_there())
		v->options.who |= 1U << VERSUS_RAW;
	if (system("qemu-storage-daemon --version >/dev/null 2>&1") == 0)
		v->options.who |= 1U << VERSUS_QCOW2;
	if (parse_options(&v->options, argc, argv) < 0) {
		fputs(usage_text, stderr);
		return 2;
	}
	if (v->options.pool_bytes == 0)
		v->options.pool_bytes = 2 * v->options.size_bytes;
	bench_choose_cpus(&v->options.client_cpu, &v->options.worker_cpu);
	error = bench_work_begin(v->options.dir, v->work);
	if (!error)
		error = disks_make(v);
	if (!error)
		error = run_suite(v);
	if (error)
		fprintf(stderr, "quoin-bench: stopped: %s\n", strerror(-error));
	disks_remove(v);
	return error ? 1 : 0;
}
