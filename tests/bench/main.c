/* SPDX-License-Identifier: Apache-2.0 */
/* quoin-bench: options, and the order in which things are measured. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <quoin/base_random.h>
#include <quoin/base_size.h>

#include "bench.h"
#include "versus.h"
#include "work.h"

#define FILE_SIZE (1 * GiB)
#define FILE_SIZE_QUICK (256 * MiB)
#define SETTLE_US 300000

static const unsigned depths_all[] = {1, 2, 4, 8, 16, 32, 64, 128};
static const unsigned depths_quick[] = {1, 4, 32};
static const unsigned depths_versus[] = {1, 32};

static const char usage_text[] =
	"usage: quoin-bench nvme [OPTION...]\n"
	"       quoin-bench pool [OPTION...]    (see quoin-bench pool --help)\n"
	"\n"
	"Measures quoind's NVMe disks with a client in user space. Judges nothing.\n"
	"\n"
	"  --target SPEC       null:SIZE or file:PATH, may be given again; default: null:64G and\n"
	"                      a fresh file under --dir\n"
	"  --dir DIR           where the fresh file goes (default: $TMPDIR or /var/tmp)\n"
	"  --doorbells WHICH   shadow, mapped or both (default: both)\n"
	"  --quick             fewer points, shorter runs\n"
	"  --run-ms N          length of one measurement\n"
	"  --idle-ms N         how long an idle target is watched\n"
	"  --poll-us N         the target's polling time\n"
	"  --no-fio            no comparison with fio\n"
	"  --point OP,QD,Q     this point alone, such as write,32,1\n"
	"  --only-fio          nothing but the comparison with fio\n"
	"  --at SOCKET         the points on a target that is there, of a daemon that runs\n"
	"  --pid N             that daemon, for its processor time\n"
	"  --quoind PATH       the daemon to measure\n"
	"  --json              one JSON object per line\n";

struct context {
	struct bench_options options;
	struct daemon daemon;
	struct bench_host bench;
	const char *dir;
	const char *at; /* NULL: a daemon of our own is measured */
	char work[BENCH_WORK_MAX];
};

/* --- CPUs --------------------------------------------------------------------------------- */

void bench_choose_cpus(int *client, int *worker)
{
	cpu_set_t set;

	*client = -1;
	*worker = -1;
	if (sched_getaffinity(0, sizeof(set), &set) < 0 || CPU_COUNT(&set) < 2)
		return;
	for (int cpu = 0; cpu < CPU_SETSIZE && *worker < 0; cpu++) {
		if (!CPU_ISSET(cpu, &set))
			continue;
		if (*client < 0)
			*client = cpu;
		else
			*worker = cpu;
	}
}

/* Pins this thread, or lets it run everywhere again (fio inherits that). */
void bench_pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (int i = 0; i < CPU_SETSIZE; i++) {
		if (cpu < 0 || i == cpu)
			CPU_SET(i, &set);
	}
	sched_setaffinity(0, sizeof(set), &set);
}

/* --- Targets ------------------------------------------------------------------------------ */

static int make_file(struct context *c, char *spec, size_t size)
{
	const uint64_t bytes = c->options.quick ? FILE_SIZE_QUICK : FILE_SIZE;
	CLEANUP_FREE uint8_t *chunk = malloc(MiB);
	CLEANUP_FD int fd = -1;
	char path[BENCH_WORK_MAX + 8];
	struct random random;

	snprintf(path, sizeof(path), "%s/fresh", c->work);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || !chunk)
		return fd < 0 ? -errno : -ENOMEM;
	random_init(&random, 7);
	for (uint64_t done = 0; done < bytes; done += MiB) {
		random_fill(&random, chunk, MiB);
		if (write(fd, chunk, MiB) != (ssize_t)MiB)
			return -errno;
	}
	if (fsync(fd) < 0)
		return -errno;
	snprintf(spec, size, "file:%s", path);
	return 0;
}

static int measure_idle(struct context *c)
{
	struct bench_idle idle;
	uint64_t start, cpu, switches;

	client_sleep_us(SETTLE_US);
	start = client_now_ns();
	cpu = daemon_cpu_ns(&c->daemon);
	switches = daemon_switches(&c->daemon);
	client_sleep_us(c->options.idle_ms * 1000);
	idle.seconds = (double)(client_now_ns() - start) / 1e9;
	idle.cpu_percent = (double)(daemon_cpu_ns(&c->daemon) - cpu) / 1e9 / idle.seconds * 100;
	idle.wakeups = daemon_switches(&c->daemon) - switches;
	idle.rss_anon_kib = daemon_rss_anon_kib(&c->daemon);
	report_idle(&c->options, &idle);
	return 0;
}

static bool wanted(const struct bench_options *options, struct bench_point point)
{
	const struct bench_point *only = &options->point;

	return only->depth == 0 || (only->depth == point.depth && only->queues == point.queues &&
				    only->write == point.write);
}

static int measure_points(struct context *c)
{
	const bool quick = c->options.quick;
	const unsigned *depths = quick ? depths_quick : depths_all;
	const size_t count = quick ? ARRAY_SIZE(depths_quick) : ARRAY_SIZE(depths_all);

	for (unsigned i = 0; i < 2 * count * BENCH_QUEUES_MAX; i++) {
		const struct bench_point point = {
			.write = i / (count * BENCH_QUEUES_MAX) == 1,
			.queues = (unsigned)(i / count % BENCH_QUEUES_MAX) + 1,
			.depth = depths[i % count],
		};
		struct bench_result result;
		int error;

		if (!wanted(&c->options, point))
			continue;
		if (quick && !c->options.point.depth && point.queues != 1 &&
		    point.queues != BENCH_QUEUES_MAX)
			continue;
		error = bench_drive(&c->bench, point, c->options.run_ms, &result);
		if (error)
			return error;
		report_result(&c->options, &result);
	}
	return 0;
}

static bool is_file(const char *spec)
{
	return strncmp(spec, "file:", strlen("file:")) == 0;
}

static int measure_target(struct context *c, const char *spec, bool mapped)
{
	const struct daemon_target target = {
		.name = "bench",
		.volumes = {spec},
		.mapped = mapped,
		.poll_us = c->options.poll_us,
	};
	char path[DAEMON_PATH_MAX];
	int error = daemon_target_create(&c->daemon, &target);

	if (error)
		return error;
	error = bench_host_open(&c->bench, daemon_target_path(&c->daemon, "bench", path),
				(struct bench_mode){mapped, is_file(spec)});
	if (error)
		return error;
	report_target(&c->options, spec, mapped ? "mapped" : "shadow");
	error = measure_points(c);
	if (!error)
		error = measure_idle(c);
	bench_host_close(&c->bench);
	return error ? error : daemon_target_destroy(&c->daemon, "bench");
}

/* --- Against fio -------------------------------------------------------------------------- */

static int compare_double(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, unsigned count)
{
	qsort(values, count, sizeof(*values), compare_double);
	return values[count / 2];
}

static int versus_point(struct context *c, const char *file, struct bench_point point)
{
	double quoin[BENCH_RUNS_MAX], fio[BENCH_RUNS_MAX], ratio[BENCH_RUNS_MAX];
	struct bench_versus versus = {.point = point};
	const unsigned ms = MAX(c->options.run_ms, 1000U);

	for (unsigned i = 0; i < c->options.runs; i++) {
		struct bench_result result;
		int error = bench_drive(&c->bench, point, ms, &result);

		if (error)
			return error;
		quoin[i] = result.iops;
		bench_pin(-1);
		error = bench_fio(file, point, ms, &fio[i]);
		bench_pin(c->options.client_cpu);
		if (error)
			return error;
		ratio[i] = quoin[i] / fio[i];
	}
	versus.quoin_iops = median(quoin, c->options.runs);
	versus.fio_iops = median(fio, c->options.runs);
	versus.ratio = median(ratio, c->options.runs);
	report_versus(&c->options, &versus);
	return 0;
}

static int measure_versus(struct context *c, const char *spec)
{
	const struct daemon_target target = {.name = "versus", .volumes = {spec}};
	char path[DAEMON_PATH_MAX];
	int error = daemon_target_create(&c->daemon, &target);

	if (error)
		return error;
	error = bench_host_open(&c->bench, daemon_target_path(&c->daemon, "versus", path),
				(struct bench_mode){.interrupts = true});
	if (error)
		return error;
	report_versus_begin(&c->options);
	for (unsigned i = 0; i < 2 * ARRAY_SIZE(depths_versus) && !error; i++)
		error = versus_point(c, spec + strlen("file:"),
				     (struct bench_point){.depth = depths_versus[i / 2],
							  .queues = 1,
							  .write = i % 2 == 1});
	bench_host_close(&c->bench);
	return error ? error : daemon_target_destroy(&c->daemon, "versus");
}

/* --- Main --------------------------------------------------------------------------------- */

static int measure_all(struct context *c)
{
	int error = 0;

	for (unsigned i = 0; i < c->options.target_count && !error; i++) {
		const char *spec = c->options.targets[i];

		if (c->options.shadow)
			error = measure_target(c, spec, false);
		if (c->options.mapped && !error)
			error = measure_target(c, spec, true);
		if (c->options.fio && !error && is_file(spec))
			error = measure_versus(c, spec);
	}
	return error;
}

/* Nothing of it is ours, and it is not pinned. */
static int run_at(struct context *c)
{
	int error = bench_host_open(&c->bench, c->at, (struct bench_mode){.interrupts = true});

	if (error)
		return error;
	report_begin(&c->options);
	error = measure_points(c);
	bench_host_close(&c->bench);
	return error;
}

static int run(struct context *c)
{
	char spec[320];
	int error = 0;

	c->bench.daemon = &c->daemon;
	if (c->at)
		return run_at(c);
	bench_choose_cpus(&c->options.client_cpu, &c->options.worker_cpu);
	if (c->options.target_count == 0) {
		c->options.targets[c->options.target_count++] = "null:64G";
		error = make_file(c, spec, sizeof(spec));
		c->options.targets[c->options.target_count++] = spec;
	}
	if (!error)
		error = daemon_init(&c->daemon, c->options.quoind);
	if (error)
		return error;
	if (c->options.worker_cpu >= 0)
		snprintf(c->daemon.cpus, sizeof(c->daemon.cpus), "%d", c->options.worker_cpu);
	c->daemon.workers = 1;
	error = daemon_start(&c->daemon);
	if (!error) {
		bench_pin(c->options.client_cpu);
		report_begin(&c->options);
		error = measure_all(c);
	}
	daemon_fini(&c->daemon);
	return error;
}

static void set_doorbells(struct bench_options *options, const char *which)
{
	options->shadow = strcmp(which, "mapped") != 0;
	options->mapped = strcmp(which, "shadow") != 0;
}

static void set_quick(struct bench_options *options)
{
	options->quick = true;
	options->run_ms = 300;
	options->idle_ms = 2000;
	options->runs = 3;
}

static int add_target(struct bench_options *options, const char *spec)
{
	if (options->target_count == BENCH_TARGETS_MAX)
		return -E2BIG;
	options->targets[options->target_count++] = spec;
	return 0;
}

static int parse_point(const char *text, struct bench_point *ret)
{
	char op[8];

	if (sscanf(text, "%7[a-z],%u,%u", op, &ret->depth, &ret->queues) != 3 ||
	    ret->depth - 1 >= BENCH_DEPTH_MAX || ret->queues - 1 >= BENCH_QUEUES_MAX)
		return -EINVAL;
	ret->write = strcmp(op, "write") == 0;
	return ret->write || strcmp(op, "read") == 0 ? 0 : -EINVAL;
}

static int set_option(struct context *c, int choice, const char *value)
{
	struct bench_options *o = &c->options;

	switch (choice) {
	case 't':
		return add_target(o, value);
	case 'd':
		c->dir = value;
		return 0;
	case 'b':
		set_doorbells(o, value);
		return 0;
	case 'q':
		set_quick(o);
		return 0;
	case 'r':
		o->run_ms = (unsigned)strtoul(value, NULL, 10);
		return o->run_ms > 0 ? 0 : -EINVAL;
	case 'i':
		o->idle_ms = (unsigned)strtoul(value, NULL, 10);
		return 0;
	case 'p':
		o->poll_us = (unsigned)strtoul(value, NULL, 10);
		return 0;
	case 'f':
		o->fio = false;
		return 0;
	case 'P':
		return parse_point(value, &o->point);
	case 'F':
		o->shadow = false;
		o->mapped = false;
		return 0;
	case 'Q':
		o->quoind = value;
		return 0;
	case 'a':
		c->at = value;
		return 0;
	case 'I':
		c->daemon.pid = (pid_t)strtol(value, NULL, 10);
		return c->daemon.pid > 0 ? 0 : -EINVAL;
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

static int parse_options(struct context *c, int argc, char **argv)
{
	static const struct option longs[] = {
		{"target", required_argument, NULL, 't'},
		{"dir", required_argument, NULL, 'd'},
		{"doorbells", required_argument, NULL, 'b'},
		{"quick", no_argument, NULL, 'q'},
		{"run-ms", required_argument, NULL, 'r'},
		{"idle-ms", required_argument, NULL, 'i'},
		{"poll-us", required_argument, NULL, 'p'},
		{"no-fio", no_argument, NULL, 'f'},
		{"only-fio", no_argument, NULL, 'F'},
		{"point", required_argument, NULL, 'P'},
		{"at", required_argument, NULL, 'a'},
		{"pid", required_argument, NULL, 'I'},
		{"help", no_argument, NULL, 'h'},
		{"quoind", required_argument, NULL, 'Q'},
		{"json", no_argument, NULL, 'j'},
		{NULL, 0, NULL, 0},
	};
	int choice;

	while ((choice = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		const int error = set_option(c, choice, optarg);

		if (error)
			return error;
	}
	if (!c->at != (c->daemon.pid == 0))
		return -EINVAL;
	return optind + 1 == argc && strcmp(argv[optind], "nvme") == 0 ? 0 : -EINVAL;
}

int main(int argc, char **argv)
{
	const char *tmp = getenv("TMPDIR");
	struct context *c = calloc(1, sizeof(*c));
	int error;

	if (argc > 1 && strcmp(argv[1], "pool") == 0)
		return versus_main(argc - 1, argv + 1);
	if (!c)
		return 1;
	c->dir = tmp ? tmp : "/var/tmp";
	c->options = (struct bench_options){.shadow = true,
					    .mapped = true,
					    .fio = bench_fio_there(),
					    .runs = 5,
					    .run_ms = 1000,
					    .idle_ms = 10000};
	if (parse_options(c, argc, argv) < 0) {
		fputs(usage_text, stderr);
		return 2;
	}
	error = c->at ? 0 : bench_work_begin(c->dir, c->work);
	if (!error)
		error = run(c);
	if (error)
		fprintf(stderr, "quoin-bench: stopped: %s\n", strerror(-error));
	free(c);
	return error ? 1 : 0;
}
