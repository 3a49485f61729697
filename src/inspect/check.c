/* SPDX-License-Identifier: Apache-2.0 */
/* quoin inspect check: what is wrong, one line each, and how much was looked at. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_size.h>
#include <quoin/base_text.h>

#include "out.h"
#include "run.h"

#define FINDINGS_MAX 1000 /* shown; the rest is counted */

struct shown {
	enum pool_inspect_severity severity;
	const char *structure, *code;
	unsigned drive;
	uint64_t offset, vaddr;
	char *text;
};

struct check {
	struct run run;
	struct pool_inspect_result result;
	unsigned count; /* of findings that are kept */
	struct shown shown[FINDINGS_MAX];
};

static const char *severity_name(enum pool_inspect_severity severity)
{
	switch (severity) {
	case POOL_INSPECT_NOTE:
		return "note";
	case POOL_INSPECT_COPY:
		return "copy";
	case POOL_INSPECT_DAMAGE:
		return "damage";
	}
	return "";
}

static void found(void *context, const struct pool_inspect_finding *finding)
{
	struct check *check = container_of(context, struct check, run);
	struct shown *shown = &check->shown[check->count];

	if (check->count == FINDINGS_MAX)
		return;
	check->count++;
	*shown = (struct shown){.severity = finding->severity,
				.structure = finding->structure,
				.code = finding->code,
				.drive = finding->drive,
				.offset = finding->offset,
				.vaddr = finding->vaddr,
				.text = xstrdup(finding->text)};
	if (check->run.job->json)
		return;
	/* People see them as they come. */
	run_quiet(&check->run);
	printf("%-6s %s\n", severity_name(finding->severity), finding->text);
	fflush(stdout);
}

static int check_main(struct run *run)
{
	struct check *check = container_of(run, struct check, run);

	return pool_inspect_check(&run->params, &check->result, &run->err);
}

/* --- JSON ---------------------------------------------------------------------------------- */

static void finding_json(struct out *out, const struct check *check, const struct shown *shown)
{
	char slot[48];

	out_open(out, NULL, POOL_INSPECT_ROW);
	out_text(out, "severity", severity_name(shown->severity));
	out_text(out, "structure", shown->structure);
	out_text(out, "code", shown->code);
	if (shown->drive != POOL_INSPECT_NO_DRIVE) {
		out_text(out, "drive", check->run.job->drives[shown->drive]);
		out_number(out, "offset", shown->offset);
	}
	if (shown->vaddr != 0) {
		snprintf(slot, sizeof(slot), "%" PRIu64 ":%" PRIu64, shown->vaddr >> 24,
			 shown->vaddr & 0xffffff);
		out_text(out, "slot", slot);
	}
	out_text(out, "text", shown->text);
	out_close(out);
}

static void log_json(struct out *out, const struct pool_inspect_log *log)
{
	out_open(out, "log", POOL_INSPECT_ROW);
	out_number(out, "head", log->head);
	out_number(out, "blocks", log->blocks);
	out_number(out, "groups", log->groups);
	out_number(out, "left_out", log->left_out);
	out_number(out, "records", log->records);
	out_number(out, "writes", log->writes);
	out_number(out, "patches", log->patches);
	out_number(out, "ranges", log->ranges);
	out_number(out, "snapshots", log->snapshots);
	out_close(out);
}

static void counts_json(struct out *out, const struct pool_inspect_result *r)
{
	out_open(out, "counts", POOL_INSPECT_OBJECT);
	out_number(out, "superblocks", r->superblocks);
	out_number(out, "segments", r->segments);
	out_number(out, "volumes", r->volumes);
	out_number(out, "snapshots", r->snapshots);
	out_number(out, "destroying", r->destroying);
	out_number(out, "history_lines", r->history_lines);
	out_number(out, "map_pages", r->map_pages);
	out_number(out, "map_entries", r->map_entries);
	out_number(out, "deadlist_entries", r->deadlist_entries);
	out_number(out, "pages_read", r->pages_read);
	out_number(out, "blocks_read", r->blocks_read);
	out_number(out, "data_used", r->space.data_used);
	out_number(out, "meta_used", r->space.meta_used);
	out_number(out, "leaked", r->space.leaked);
	out_number(out, "unmarked", r->space.unmarked);
	out_number(out, "memory_bytes", r->memory_bytes);
	out_close(out);
}

static void check_json(const struct check *check)
{
	const struct pool_inspect_result *r = &check->result;
	struct out out;

	out_init(&out, stdout, true);
	out_open(&out, NULL, POOL_INSPECT_OBJECT);
	out_text(&out, "pool", r->name);
	out_guid(&out, "guid", r->guid);
	out_number(&out, "checkpoint", r->checkpoint);
	out_truth(&out, "clean", pool_inspect_clean(r));
	out_number(&out, "damage", r->findings[POOL_INSPECT_DAMAGE]);
	out_number(&out, "copies", r->findings[POOL_INSPECT_COPY]);
	out_number(&out, "notes", r->findings[POOL_INSPECT_NOTE]);
	out_open(&out, "findings", POOL_INSPECT_LIST);
	for (unsigned i = 0; i < check->count; i++)
		finding_json(&out, check, &check->shown[i]);
	out_close(&out);
	log_json(&out, &r->log);
	counts_json(&out, r);
	out_close(&out);
	out_fini(&out);
}

/* --- For people ---------------------------------------------------------------------------- */

static void check_print(const struct check *check)
{
	const struct pool_inspect_result *r = &check->result;
	const uint64_t all = r->findings[0] + r->findings[1] + r->findings[2];
	char memory[SIZE_TEXT_MAX];

	if (all > check->count)
		printf("and %" PRIu64 " more\n", all - check->count);
	printf("pool %s, checkpoint %" PRIu64 ": %" PRIu64 " volumes, %" PRIu64
	       " snapshots, %" PRIu64 " being destroyed, %" PRIu64 " segments\n",
	       r->name, r->checkpoint, r->volumes, r->snapshots, r->destroying, r->segments);
	printf("looked at %" PRIu64 " pages of metadata%s; log: %" PRIu64
	       " records to be replayed in %" PRIu64 " blocks\n",
	       r->pages_read, check->run.job->data ? " and all data" : "", r->log.records,
	       r->log.blocks);
	if (check->run.job->data)
		printf("data: %" PRIu64 " copies of blocks read\n", r->blocks_read);
	printf("memory for the count: %s\n", size_format(r->memory_bytes, memory));
	if (pool_inspect_clean(r))
		printf("clean\n");
	else
		printf("NOT CLEAN: %" PRIu64 " damaged, %" PRIu64
		       " with a bad copy and a good one\n",
		       r->findings[POOL_INSPECT_DAMAGE], r->findings[POOL_INSPECT_COPY]);
}

int inspect_check(const struct inspect_job *job)
{
	struct check *check = xcalloc(1, sizeof(*check));
	int status;

	check->run.job = job;
	check->run.main = check_main;
	check->run.params.finding = found;
	if (run_do(&check->run) < 0) {
		status = run_failed(&check->run);
	} else {
		if (job->json)
			check_json(check);
		else
			check_print(check);
		status = pool_inspect_clean(&check->result) ? 0 : 1;
	}
	for (unsigned i = 0; i < check->count; i++)
		free(check->shown[i].text);
	free(check);
	return status;
}
