/* SPDX-License-Identifier: Apache-2.0 */
/* quoin inspect space: the bill. Every slot once, as the trees have it, beside the records. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <quoin/base_size.h>
#include <quoin/base_text.h>

#include "out.h"
#include "run.h"

#define SLOT_BYTES 4096

struct bill {
	struct run run;
	struct pool_inspect_result result;
	struct pool_inspect_object *objects;
	size_t count, capacity;
};

static void object_keep(void *context, const struct pool_inspect_object *object)
{
	struct bill *bill = container_of(context, struct bill, run);

	if (bill->count == bill->capacity) {
		const size_t capacity = MAX(bill->capacity * 2, (size_t)64);
		struct pool_inspect_object *objects = xcalloc(capacity, sizeof(*objects));

		for (size_t i = 0; i < bill->count; i++)
			objects[i] = bill->objects[i];
		free(bill->objects);
		bill->objects = objects;
		bill->capacity = capacity;
	}
	bill->objects[bill->count++] = *object;
}

static int bill_main(struct run *run)
{
	struct bill *bill = container_of(run, struct bill, run);

	return pool_inspect_check(&run->params, &bill->result, &run->err);
}

/* --- JSON ---------------------------------------------------------------------------------- */

static void numbers_json(struct out *out, const char *key, const struct pool_inspect_object *object,
			 const struct pool_inspect_numbers *n)
{
	out_open(out, key, POOL_INSPECT_ROW);
	out_number(out, "referenced_bytes", n->referenced * SLOT_BYTES);
	out_number(out, "referenced_meta_bytes", n->referenced_meta * SLOT_BYTES);
	out_number(out, "unique_bytes", n->unique * SLOT_BYTES);
	if (!object->snapshot) {
		out_number(out, "used_data_bytes", n->used_data * SLOT_BYTES);
		out_number(out, "used_meta_bytes", n->used_meta * SLOT_BYTES);
	}
	out_close(out);
}

static void object_json(struct out *out, const struct pool_inspect_object *object)
{
	out_open(out, NULL, POOL_INSPECT_OBJECT);
	out_text(out, "name", object->name);
	out_number(out, "number", object->number);
	out_text(out, "kind", object->snapshot ? "snapshot" : "volume");
	out_truth(out, "destroying", object->destroying);
	out_truth(out, "counted", object->counted);
	out_number(out, "size_bytes", object->size_bytes);
	numbers_json(out, "found", object, &object->found);
	numbers_json(out, "stored", object, &object->stored);
	out_close(out);
}

static void pool_json(struct out *out, const struct pool_inspect_space *s)
{
	out_open(out, "space", POOL_INSPECT_OBJECT);
	out_number(out, "data_segments_bytes", s->data_total * SLOT_BYTES);
	out_number(out, "data_used_bytes", s->data_used * SLOT_BYTES);
	out_number(out, "data_in_log_bytes", s->data_logged * SLOT_BYTES);
	out_number(out, "meta_segments_bytes", s->meta_total * SLOT_BYTES);
	out_number(out, "meta_used_bytes", s->meta_used * SLOT_BYTES);
	out_number(out, "maps_bytes", s->maps * SLOT_BYTES);
	out_number(out, "deadlists_bytes", s->deadlists * SLOT_BYTES);
	out_number(out, "tables_bytes", s->tables * SLOT_BYTES);
	out_number(out, "bitmaps_bytes", s->bitmaps * SLOT_BYTES);
	out_number(out, "log_bytes", s->log_total * SLOT_BYTES);
	out_number(out, "leaked_bytes", s->leaked * SLOT_BYTES);
	out_number(out, "unmarked_bytes", s->unmarked * SLOT_BYTES);
	out_number(out, "chunks", s->chunks_total);
	out_number(out, "chunks_used", s->chunks_used);
	out_close(out);
}

static void bill_json(const struct bill *bill)
{
	struct out out;

	out_init(&out, stdout, true);
	out_open(&out, NULL, POOL_INSPECT_OBJECT);
	out_text(&out, "pool", bill->result.name);
	out_guid(&out, "guid", bill->result.guid);
	out_number(&out, "checkpoint", bill->result.checkpoint);
	out_truth(&out, "clean", pool_inspect_clean(&bill->result));
	pool_json(&out, &bill->result.space);
	out_open(&out, "objects", POOL_INSPECT_LIST);
	for (size_t i = 0; i < bill->count; i++)
		object_json(&out, &bill->objects[i]);
	out_close(&out);
	out_close(&out);
	out_fini(&out);
}

/* --- For people ---------------------------------------------------------------------------- */

static void line(const char *what, uint64_t slots)
{
	char text[SIZE_TEXT_MAX];

	printf("%-26s %12s\n", what, size_format(slots * SLOT_BYTES, text));
}

static void object_print(const struct pool_inspect_object *object)
{
	char used[SIZE_TEXT_MAX] = "-";
	char referenced[SIZE_TEXT_MAX];
	char unique[SIZE_TEXT_MAX];
	char number[16];

	snprintf(number, sizeof(number), "#%u", object->number);
	if (!object->snapshot)
		size_format((object->found.used_data + object->found.used_meta) * SLOT_BYTES, used);
	printf("%-26s %12s %12s %12s%s\n", object->name[0] != '\0' ? object->name : number, used,
	       size_format(object->found.referenced * SLOT_BYTES, referenced),
	       size_format(object->found.unique * SLOT_BYTES, unique),
	       object->destroying ? "  (being destroyed)"
	       : object->counted  ? ""
				  : "  (not whole)");
}

static void bill_print(const struct bill *bill)
{
	const struct pool_inspect_space *s = &bill->result.space;

	printf("pool %s, checkpoint %" PRIu64 "\n", bill->result.name, bill->result.checkpoint);
	line("data", s->data_used);
	line("data that only the log has", s->data_logged);
	line("maps", s->maps);
	line("deadlists", s->deadlists);
	line("tables", s->tables);
	line("bitmaps", s->bitmaps);
	line("log", s->log_total);
	line("free in data segments", s->data_total - s->data_used);
	line("free in meta segments", s->meta_total - s->meta_used);
	line("marked, nobody's", s->leaked);
	printf("chunks: %" PRIu64 " of %" PRIu64 " are in segments\n\n", s->chunks_used,
	       s->chunks_total);
	printf("%-26s %12s %12s %12s\n", "NAME", "USED", "REFERENCED", "UNIQUE");
	for (size_t i = 0; i < bill->count; i++)
		object_print(&bill->objects[i]);
	if (!pool_inspect_clean(&bill->result))
		printf("\nNOT CLEAN: see quoin inspect check\n");
}

int inspect_space(const struct inspect_job *job)
{
	struct bill *bill = xcalloc(1, sizeof(*bill));
	int status;

	bill->run.job = job;
	bill->run.main = bill_main;
	bill->run.params.object = object_keep;
	if (run_do(&bill->run) < 0) {
		status = run_failed(&bill->run);
	} else {
		if (job->json)
			bill_json(bill);
		else
			bill_print(bill);
		status = pool_inspect_clean(&bill->result) ? 0 : 1;
	}
	free(bill->objects);
	free(bill);
	return status;
}
