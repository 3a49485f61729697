/* SPDX-License-Identifier: Apache-2.0 */
/* quoin image digest: asks no daemon. The image is read as a deployment reads it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <quoin/base_text.h>
#include <quoin/image_digest.h>
#include <quoin/image_source.h>
#include <quoin/loop_fiber.h>

#include "verb.h"

#define TURN_NS (50 * NS_PER_MS)

struct work {
	struct loop *loop;
	struct image_opener opener;
	const char *source;
	struct err err;
	int result;
	bool ended;
};

static void work_main(void *arg)
{
	struct work *work = arg;

	work->result =
		image_digest_print(work->loop, &work->opener, work->source, stdout, &work->err);
	work->ended = true;
}

static int work_run(struct work *work)
{
	const struct loop_params params = {.name = "image", .cpu = -1};
	int r = loop_new(&params, &work->loop);

	if (r < 0)
		return err_set(&work->err, r, "cannot set up I/O: %s", strerror(-r));
	r = fiber_start(work->loop, false, work_main, work, NULL);
	if (r < 0)
		err_set(&work->err, r, "cannot start: %s", strerror(-r));
	while (r == 0 && !work->ended)
		loop_turn(work->loop, TURN_NS);
	loop_free(work->loop);
	return r < 0 ? r : work->result;
}

int verb_image_digest(struct invocation *in)
{
	const char *source = in->arguments[0];
	const bool relative = source[0] != '/' && !strstr(source, "://");
	CLEANUP_FREE char *here = relative ? getcwd(NULL, 0) : NULL;
	CLEANUP_FREE char *path = here ? xasprintf("%s/%s", here, source) : xstrdup(source);
	const char *directory = getenv("TMPDIR");
	struct work work = {.source = path};

	image_opener_nbd(&work.opener, directory ? directory : "/tmp", NULL);
	if (work_run(&work) < 0)
		return fail(EXIT_REFUSED, "%s", work.err.text);
	if (fflush(stdout) != 0)
		return fail(EXIT_REFUSED, "the list cannot be written");
	return EXIT_DONE;
}
