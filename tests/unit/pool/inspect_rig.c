/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the checker over the drives of an engine rig. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inspect_rig.h"

struct errand {
	struct engine_rig *rig;
	struct inspect_rig *inspect;
};

static void found(void *context, const struct pool_inspect_finding *finding)
{
	struct inspect_rig *inspect = context;

	if (inspect->loud || getenv("QUOIN_INSPECT_LOUD"))
		fprintf(stderr, "%d %s/%s: %s\n", (int)finding->severity, finding->structure,
			finding->code, finding->text);
	if (finding->severity == POOL_INSPECT_NOTE)
		return;
	if (inspect->code_count == 0)
		snprintf(inspect->first, sizeof(inspect->first), "%s: %s", finding->code,
			 finding->text);
	if (inspect->code_count < INSPECT_RIG_CODES)
		inspect->codes[inspect->code_count++] = strdup(finding->code);
}

static void run(void *arg)
{
	struct errand *errand = arg;
	struct engine_rig *rig = errand->rig;
	struct pool_drive_param drives[RIG_DRIVES_MAX];
	const struct pool_inspect_params params = {
		.loop = rig->loop,
		.drives = drives,
		.drive_count = rig->drive_count,
		.checkpoint = errand->inspect->checkpoint,
		.data = errand->inspect->data,
		.finding = found,
		.context = errand->inspect,
	};

	for (unsigned i = 0; i < rig->drive_count; i++)
		drives[i] = (struct pool_drive_param){.disk = rig->disks[i], .path = "simulated"};
	errand->inspect->result_code =
		pool_inspect_check(&params, &errand->inspect->result, &errand->inspect->err);
}

void inspect_rig_run(struct engine_rig *rig, struct inspect_rig *inspect)
{
	struct errand errand = {rig, inspect};

	rig_run(rig, run, &errand);
}

void inspect_rig_fini(struct inspect_rig *inspect)
{
	for (unsigned i = 0; i < inspect->code_count; i++)
		free(inspect->codes[i]);
}

bool inspect_rig_sound(const struct inspect_rig *inspect)
{
	for (unsigned i = 0; i < inspect->code_count; i++) {
		if (strcmp(inspect->codes[i], "label-damaged") != 0)
			return false;
	}
	return inspect->code_count > 0 || inspect->result_code == 0;
}

bool inspect_rig_found(const struct inspect_rig *inspect, const char *code)
{
	for (unsigned i = 0; i < inspect->code_count; i++)
		if (strcmp(inspect->codes[i], code) == 0)
			return true;
	return false;
}
