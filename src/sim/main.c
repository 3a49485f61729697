/* SPDX-License-Identifier: Apache-2.0 */
/* quoin-sim: the pool engine on simulated drives, from seeds. */
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "sim.h"

static const char usage_text[] =
	"usage: quoin-sim KIND [OPTION...]\n"
	"\n"
	"Runs Quoin's pool engine on simulated drives and holds it against a plain model. Every\n"
	"run is a function of its seed; a failure prints the seed and the command that runs it\n"
	"again.\n"
	"\n"
	"  ops       random operations, power cuts, faults of drives, full pools\n"
	"  crash     short runs; then every state a power cut could have left, or some of them\n"
	"  short     the same for all sequences of few operations (seeds count them)\n"
	"  double    the power is cut again while the pool is imported\n"
	"  sweep     one run, in which the n-th request of a drive fails, or the pool's n-th\n"
	"            allocation, for every n\n"
	"  barriers  leaves out each ordering that the engine relies on: it must be missed\n"
	"  all       all of them, in turn; --seconds is shared out\n"
	"\n"
	"  --seed S           the first seed (default 1)\n"
	"  --seeds N          how many (default 100; with --seconds: no bound)\n"
	"  --seconds N        no new seed after N seconds\n"
	"  --jobs N           processes (default: one per core)\n"
	"  --states N         crash states per seed, at most; 0: all of them (default 300)\n"
	"  --length N         operations of a short run (default 2)\n"
	"  --mix N            which operations there are (default 2); 1: without guests' copies\n"
	"                     and trims of the pool, as seeds were before there were any\n"
	"  --barriers-off N   leave out these (enum pool_barrier), to see them missed\n"
	"  --hang-seconds N   a seed that does not move so long hangs (default 120)\n"
	"  --json             one JSON object for each kind\n"
	"  --no-fork          in this process, for debuggers: the first failure aborts\n"
	"  --verbose          tells every event of the model\n"
	"  --help             this text\n"
	"\n"
	"On SIGINT, SIGTERM and SIGHUP it ends early and tells what it did. The exit code is 0\n"
	"when no seed failed, 1 when one did, 2 when it was called wrongly, 130 when it was\n"
	"ended early and none had failed.\n";

#define EXIT_ENDED 130

enum option_id {
	OPTION_SEED = 256,
	OPTION_SEEDS,
	OPTION_SECONDS,
	OPTION_JOBS,
	OPTION_STATES,
	OPTION_LENGTH,
	OPTION_MIX,
	OPTION_BARRIERS,
	OPTION_HANG,
	OPTION_JSON,
	OPTION_NO_FORK,
	OPTION_VERBOSE,
	OPTION_HELP,
};

static const struct option long_options[] = {
	{"seed", required_argument, NULL, OPTION_SEED},
	{"seeds", required_argument, NULL, OPTION_SEEDS},
	{"seconds", required_argument, NULL, OPTION_SECONDS},
	{"jobs", required_argument, NULL, OPTION_JOBS},
	{"states", required_argument, NULL, OPTION_STATES},
	{"length", required_argument, NULL, OPTION_LENGTH},
	{"mix", required_argument, NULL, OPTION_MIX},
	{"barriers-off", required_argument, NULL, OPTION_BARRIERS},
	{"hang-seconds", required_argument, NULL, OPTION_HANG},
	{"json", no_argument, NULL, OPTION_JSON},
	{"no-fork", no_argument, NULL, OPTION_NO_FORK},
	{"verbose", no_argument, NULL, OPTION_VERBOSE},
	{"help", no_argument, NULL, OPTION_HELP},
	{NULL, 0, NULL, 0},
};

NO_RETURN static void misuse(const char *what, const char *which)
{
	fprintf(stderr, "quoin-sim: %s '%s'; see quoin-sim --help\n", what, which);
	exit(2);
}

static uint64_t number(const char *text, uint64_t max)
{
	char *end;
	const unsigned long long value = strtoull(text, &end, 0);

	if (*text == '\0' || *text == '-' || *end != '\0' || value > max)
		misuse("not a number within bounds:", text);
	return value;
}

static void option_take(struct sim_options *o, int id)
{
	switch (id) {
	case OPTION_SEED:
		o->seed = number(optarg, UINT64_MAX);
		return;
	case OPTION_SEEDS:
		o->seeds = number(optarg, UINT64_MAX);
		return;
	case OPTION_SECONDS:
		o->seconds = (double)number(optarg, 1000000000);
		return;
	case OPTION_JOBS:
		o->jobs = (unsigned)MAX(number(optarg, 256), UINT64_C(1));
		return;
	case OPTION_STATES:
		o->states = number(optarg, UINT64_MAX);
		return;
	case OPTION_LENGTH:
		o->length = (unsigned)MAX(number(optarg, 4), UINT64_C(1));
		return;
	case OPTION_MIX:
		o->mix = (unsigned)MAX(number(optarg, SIM_MIX), UINT64_C(1));
		return;
	case OPTION_BARRIERS:
		o->barriers_off = (unsigned)number(optarg, UINT32_MAX);
		return;
	case OPTION_HANG:
		o->hang_seconds = (unsigned)number(optarg, 1000000);
		return;
	case OPTION_JSON:
		o->json = true;
		return;
	case OPTION_NO_FORK:
		o->no_fork = true;
		return;
	case OPTION_VERBOSE:
		o->verbose = true;
		return;
	case OPTION_HELP:
		fputs(usage_text, stdout);
		exit(0);
	default:
		exit(2);
	}
}

static void kind_take(struct sim_options *o, const char *name)
{
	o->all = strcmp(name, "all") == 0;
	for (unsigned i = 0; i < SIM_KINDS && !o->all; i++) {
		if (strcmp(name, sim_kind_name((enum sim_kind)i)) == 0) {
			o->kind = (enum sim_kind)i;
			return;
		}
	}
	if (!o->all)
		misuse("no such kind:", name);
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Also those that a shell had a program of the background ignore. */
static int signals_take(void)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		signal(numbers[i], SIG_DFL);
		sigaddset(&set, numbers[i]);
	}
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static bool kind_run(const struct sim_options *options, bool *ended)
{
	struct sim_report total = {.kind = options->kind};
	const double begin = now_s();
	const bool good = options->kind == SIM_BARRIERS ? sim_barriers_run(options, &total)
							: sim_jobs_run(options, &total);

	sim_report_print(options, &total, now_s() - begin);
	*ended = total.ended;
	return good;
}

static int exit_code(bool good, bool ended)
{
	if (!good)
		return 1;
	return ended ? EXIT_ENDED : 0;
}

/* Of a hundred seconds. Barriers take what they need. */
static const unsigned shares[SIM_KINDS] = {
	[SIM_OPS] = 35, [SIM_CRASH] = 25, [SIM_SHORT] = 10, [SIM_DOUBLE] = 15, [SIM_SWEEP] = 15,
};

int main(int argc, char **argv)
{
	struct sim_options options = {.seed = 1,
				      .states = 300,
				      .mix = SIM_MIX,
				      .length = 2,
				      .hang_seconds = 120,
				      .signals = -1,
				      .seeds = UINT64_MAX};
	const double begin = now_s();
	bool ended = false;
	bool good = true;
	int id;

	/* Pools come and go by the thousand: their memory stays, rather than being mapped anew. */
	mallopt(M_MMAP_THRESHOLD, 64 << 20);
	mallopt(M_TRIM_THRESHOLD, 512 << 20);
	options.jobs = (unsigned)MAX(MIN(sysconf(_SC_NPROCESSORS_ONLN), 256L), 1L);
	while ((id = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		option_take(&options, id);
	if (optind + 1 != argc)
		misuse("name one kind, not", optind < argc ? argv[optind + 1] : "");
	kind_take(&options, argv[optind]);
	if (options.seeds == UINT64_MAX && options.seconds <= 0)
		options.seeds = 100;
	if (options.no_fork)
		options.jobs = 1;
	else
		options.signals = signals_take();
	if (!options.all) {
		good = kind_run(&options, &ended);
		return exit_code(good, ended);
	}
	for (unsigned i = 0; i < SIM_KINDS && !ended; i++) {
		struct sim_options part = options;

		part.kind = (enum sim_kind)i;
		part.seconds = options.seconds * shares[i] / 100;
		good &= kind_run(&part, &ended);
	}
	if (!options.json)
		printf("%s, %.1f s\n", good ? "no seed failed" : "FAILED", now_s() - begin);
	return exit_code(good, ended);
}
