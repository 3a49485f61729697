/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seeds in processes of their own. Each process takes every n-th seed; one that fails, aborts or
 * hangs takes its seed with it, which its shared report names.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <quoin/base_assert.h>
#include <quoin/loop_sim.h>

#include "sim.h"

#define JOBS_MAX 256
#define POLL_US 20000

struct jobs {
	const struct sim_options *options;
	struct sim_report *reports; /* shared; one of each process */
	pid_t pids[JOBS_MAX];
	uint64_t progress[JOBS_MAX];
	double moved[JOBS_MAX]; /* when progress was seen */
	unsigned running;
	bool failed;
};

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void (*const runs[])(const struct sim_context *context) = {
	[SIM_OPS] = sim_ops_run,       [SIM_CRASH] = sim_crash_run, [SIM_SHORT] = sim_short_run,
	[SIM_DOUBLE] = sim_double_run, [SIM_SWEEP] = sim_sweep_run,
};

static void seed_run(struct sim_context *context)
{
	struct sim_report *report = context->report;

	atomic_store(&report->seed, context->seed);
	runs[context->options->kind](context);
	report->seeds++;
	atomic_fetch_add(&report->progress, 1);
}

static void work(const struct sim_options *options, struct sim_report *report, unsigned job)
{
	const double end = now_s() + options->seconds;
	struct sim_context context = {
		.options = options, .report = report, .stacks = loop_stacks_new()};

	for (uint64_t i = job; i < options->seeds; i += options->jobs) {
		if (options->seconds > 0 && now_s() > end)
			break;
		context.seed = options->seed + i;
		seed_run(&context);
	}
	loop_stacks_free(context.stacks);
}

static void replay_print(const struct sim_options *options, const struct sim_report *report)
{
	fprintf(stderr, "replay: quoin-sim %s --seed %llu --seeds 1", sim_kind_name(options->kind),
		(unsigned long long)atomic_load(&report->seed));
	if (options->kind == SIM_SHORT)
		fprintf(stderr, " --length %u", options->length);
	if (options->kind != SIM_OPS)
		fprintf(stderr, " --states %llu", (unsigned long long)options->states);
	if (options->mix != SIM_MIX)
		fprintf(stderr, " --mix %u", options->mix);
	if (options->barriers_off)
		fprintf(stderr, " --barriers-off %u", options->barriers_off);
	fputc('\n', stderr);
}

static void failure_tell(const struct sim_options *options, const struct sim_report *report,
			 int status)
{
	fprintf(stderr, "FAILED: %s, seed %llu: ", sim_kind_name(options->kind),
		(unsigned long long)atomic_load(&report->seed));
	if (report->failure[0] != '\0')
		fprintf(stderr, "%s\n", report->failure);
	else
		fprintf(stderr, "exit %d\n", WEXITSTATUS(status));
	replay_print(options, report);
}

static bool end_wanted(const struct sim_options *options)
{
	struct signalfd_siginfo info;

	return options->signals >= 0 && read(options->signals, &info, sizeof(info)) > 0;
}

static void job_start(struct jobs *jobs, unsigned job)
{
	sigset_t none;

	fflush(NULL);
	jobs->pids[job] = fork();
	ASSERT(jobs->pids[job] >= 0);
	if (jobs->pids[job] == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		work(jobs->options, &jobs->reports[job], job);
		_exit(EXIT_SUCCESS);
	}
	jobs->moved[job] = now_s();
	jobs->running++;
}

static void job_watch(struct jobs *jobs, unsigned job)
{
	struct sim_report *report = &jobs->reports[job];
	const uint64_t progress = atomic_load(&report->progress);
	int status;

	if (jobs->pids[job] == 0)
		return;
	if (progress != jobs->progress[job]) {
		jobs->progress[job] = progress;
		jobs->moved[job] = now_s();
	} else if (now_s() - jobs->moved[job] > jobs->options->hang_seconds) {
		snprintf(report->failure, sizeof(report->failure), "it hangs");
		kill(jobs->pids[job], SIGKILL);
	}
	if (waitpid(jobs->pids[job], &status, WNOHANG) != jobs->pids[job])
		return;
	jobs->pids[job] = 0;
	jobs->running--;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return;
	if (report->failure[0] == '\0' && WIFSIGNALED(status))
		snprintf(report->failure, sizeof(report->failure), "%s",
			 strsignal(WTERMSIG(status)));
	if (!jobs->options->quiet)
		failure_tell(jobs->options, report, status);
	jobs->failed = true;
}

static void stop_all(struct jobs *jobs)
{
	for (unsigned i = 0; i < jobs->options->jobs; i++) {
		if (jobs->pids[i] > 0)
			kill(jobs->pids[i], SIGKILL);
		if (jobs->pids[i] > 0)
			waitpid(jobs->pids[i], NULL, 0);
	}
}

bool sim_jobs_run(const struct sim_options *options, struct sim_report *total)
{
	struct jobs *jobs = calloc(1, sizeof(*jobs));
	const size_t bytes = options->jobs * sizeof(*jobs->reports);
	bool failed;

	ASSERT(jobs != NULL);
	jobs->options = options;
	jobs->reports =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT(jobs->reports != MAP_FAILED);
	if (options->no_fork)
		work(options, &jobs->reports[0], 0);
	for (unsigned i = 0; !options->no_fork && i < options->jobs; i++)
		job_start(jobs, i);
	while (jobs->running > 0 && !jobs->failed && !total->ended) {
		total->ended = end_wanted(options);
		usleep(POLL_US);
		for (unsigned i = 0; i < options->jobs; i++)
			job_watch(jobs, i);
	}
	stop_all(jobs);
	for (unsigned i = 0; i < options->jobs; i++)
		sim_report_add(total, &jobs->reports[i]);
	failed = jobs->failed;
	munmap(jobs->reports, bytes);
	free(jobs);
	return !failed;
}
