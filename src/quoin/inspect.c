/* SPDX-License-Identifier: Apache-2.0 */
/* quoin inspect: pools looked at without the daemon. */
#include <quoin/inspect.h>

#include "words.h"

/* The job of an invocation whose drives begin at argument `first`. */
static int job_make(const struct invocation *in, int first, struct inspect_job *ret)
{
	const char *checkpoint = invocation_option(in, "checkpoint");
	unsigned number = 0;
	int status;

	if (in->argument_count - first < 1 || in->argument_count - first > INSPECT_DRIVES_MAX)
		return fail(EXIT_USAGE, "name the pool's drives, 1 to %d", INSPECT_DRIVES_MAX);
	if (checkpoint) {
		status = words_number("--checkpoint", checkpoint, &number);
		if (status != EXIT_DONE)
			return status;
	}
	*ret = (struct inspect_job){
		.drives = in->arguments + first,
		.drive_count = (unsigned)(in->argument_count - first),
		.checkpoint = number,
		.live = invocation_option(in, "live") != NULL,
		.json = in->json,
	};
	return EXIT_DONE;
}

int verb_inspect_check(struct invocation *in)
{
	struct inspect_job job;
	const int status = job_make(in, 0, &job);

	if (status != EXIT_DONE)
		return status;
	job.data = invocation_option(in, "data") != NULL;
	return inspect_check(&job);
}

int verb_inspect_space(struct invocation *in)
{
	struct inspect_job job;
	const int status = job_make(in, 0, &job);

	return status == EXIT_DONE ? inspect_space(&job) : status;
}

int verb_inspect_dump(struct invocation *in)
{
	const char *structure = in->arguments[0];
	struct inspect_job job;
	bool named;
	int status;

	if (!inspect_structure(structure, &named))
		return fail(EXIT_USAGE, "there is no \"%s\" to dump: see quoin help inspect dump",
			    structure);
	status = job_make(in, named ? 2 : 1, &job);
	if (status != EXIT_DONE)
		return status;
	return inspect_dump(&job, structure, named ? in->arguments[1] : NULL);
}
