/* SPDX-License-Identifier: Apache-2.0 */
/* quoin inspect dump: one structure, as it is on the drives. */
#include <stdio.h>
#include <string.h>

#include "out.h"
#include "run.h"

struct dump {
	struct run run;
	struct out out;
	const char *structure, *name;
	unsigned problems;
};

static void found(void *context, const struct pool_inspect_finding *finding)
{
	struct dump *dump = container_of(context, struct dump, run);

	if (finding->severity == POOL_INSPECT_NOTE)
		return;
	run_quiet(&dump->run);
	fprintf(stderr, "quoin: %s\n", finding->text);
	dump->problems += finding->severity == POOL_INSPECT_DAMAGE;
}

static int dump_main(struct run *run)
{
	struct dump *dump = container_of(run, struct dump, run);
	const struct pool_inspect_sink sink = {.open = out_open,
					       .close = out_close,
					       .number = out_number,
					       .text = out_text,
					       .truth = out_truth,
					       .context = &dump->out};

	return pool_inspect_dump(&run->params, dump->structure, dump->name, &sink, &run->err);
}

int inspect_dump(const struct inspect_job *job, const char *structure, const char *name)
{
	struct dump dump = {.run = {.job = job, .main = dump_main, .params = {.finding = found}},
			    .structure = structure,
			    .name = name};
	int r;

	out_init(&dump.out, stdout, job->json);
	r = run_do(&dump.run);
	if (dump.out.depth == 0 && dump.out.begun)
		out_fini(&dump.out);
	if (r < 0)
		return run_failed(&dump.run);
	return dump.problems > 0 ? 1 : 0;
}

bool inspect_structure(const char *structure, bool *ret_named)
{
	for (unsigned i = 0; pool_inspect_structures[i]; i++) {
		if (strcmp(pool_inspect_structures[i], structure) != 0)
			continue;
		*ret_named = i >= POOL_INSPECT_NAMELESS;
		return true;
	}
	return false;
}
