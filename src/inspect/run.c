/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens the drives for reading, and runs a fiber on a loop of this thread until it ends. Ctrl-C is
 * blocked for the time and asked for between pages, so that drives are closed in order.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <quoin/disk.h>
#include <quoin/loop_fiber.h>

#include "run.h"

#define TURN_NS (100 * NS_PER_MS)
#define SHOW_NS (200 * NS_PER_MS)
#define ENTRIES 1024 /* of the ring: what one fetch of the checker has under way */

void run_quiet(struct run *run)
{
	if (run->shows)
		fputs("\r\033[K", stderr);
	run->shows = false;
}

int run_failed(const struct run *run)
{
	fprintf(stderr, "quoin: %s\n", run->err.text);
	return 1;
}

static void progress_show(struct run *run, const struct pool_inspect_progress *progress)
{
	const uint64_t now_ns = loop_clock_ns(run->params.loop);

	if (now_ns - run->shown_ns < SHOW_NS || !isatty(STDERR_FILENO))
		return;
	run->shown_ns = now_ns;
	run->shows = true;
	fprintf(stderr, "\r\033[Kread %" PRIu64 " pages", progress->pages);
	if (progress->blocks > 0)
		fprintf(stderr, ", %" PRIu64 " blocks of data (%" PRIu64 " are used)",
			progress->blocks, progress->slots_total);
	fflush(stderr);
}

static bool progress(void *context, const struct pool_inspect_progress *progress)
{
	const struct timespec now = {0};
	sigset_t interrupt;

	progress_show(context, progress);
	sigemptyset(&interrupt);
	sigaddset(&interrupt, SIGINT);
	return sigtimedwait(&interrupt, NULL, &now) < 0;
}

static int drives_open(struct run *run)
{
	const struct disk_open_params params = {.read_only = true, .shared = run->job->live};

	for (unsigned i = 0; i < run->job->drive_count; i++) {
		const char *path = run->job->drives[i];
		struct disk *disk;
		const int r = disk_open(path, &params, &disk, &run->err);

		if (r == -EBUSY)
			return err_set(&run->err, r,
				       "%s is in use: export its pool or stop quoind, or look all "
				       "the same with --live",
				       path);
		if (r < 0)
			return r;
		run->drives[i] = (struct pool_drive_param){.disk = disk, .path = path};
		run->params.drive_count++;
	}
	return 0;
}

static void fiber_main(void *arg)
{
	struct run *run = arg;

	run->result = run->main(run);
	run->ended = true;
}

static int loop_do(struct run *run)
{
	int r = fiber_start(run->params.loop, false, fiber_main, run, NULL);

	if (r < 0)
		return err_set(&run->err, r, "cannot start: %s", strerror(-r));
	while (!run->ended)
		loop_turn(run->params.loop, TURN_NS);
	return run->result;
}

int run_do(struct run *run)
{
	const struct loop_params loop = {.name = "inspect", .cpu = -1, .ring_entries = ENTRIES};
	sigset_t interrupt, before;
	int r = loop_new(&loop, &run->params.loop);

	if (r < 0)
		return err_set(&run->err, r, "cannot set up I/O: %s", strerror(-r));
	sigemptyset(&interrupt);
	sigaddset(&interrupt, SIGINT);
	sigprocmask(SIG_BLOCK, &interrupt, &before);
	run->params.drives = run->drives;
	run->params.checkpoint = run->job->checkpoint;
	run->params.data = run->job->data;
	run->params.progress = progress;
	run->params.context = run;
	r = drives_open(run);
	if (r == 0)
		r = loop_do(run);
	run_quiet(run);
	for (unsigned i = 0; i < run->params.drive_count; i++)
		disk_close(run->drives[i].disk);
	loop_free(run->params.loop);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return r;
}
