/* SPDX-License-Identifier: Apache-2.0 */
/* Dumps: which there are, what each needs to be loaded, and words for what all of them have. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "inspect/dump.h"
#include "inspect/fetch.h"

#define BYTES_MAX 64

/* --- Words --------------------------------------------------------------------------------- */

void dump_open(const struct inspect_dump *dump, const char *key, enum pool_inspect_shape shape)
{
	dump->sink->open(dump->sink->context, key, shape);
}

void dump_close(const struct inspect_dump *dump)
{
	dump->sink->close(dump->sink->context);
}

void dump_number(const struct inspect_dump *dump, const char *key, uint64_t number)
{
	dump->sink->number(dump->sink->context, key, number);
}

void dump_text(const struct inspect_dump *dump, const char *key, const char *text)
{
	dump->sink->text(dump->sink->context, key, text);
}

void dump_truth(const struct inspect_dump *dump, const char *key, bool truth)
{
	dump->sink->truth(dump->sink->context, key, truth);
}

void dump_bytes(const struct inspect_dump *dump, const char *key, const uint8_t *bytes, size_t size)
{
	char text[2 * BYTES_MAX + 1] = "";

	for (size_t i = 0; i < MIN(size, (size_t)BYTES_MAX); i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	dump_text(dump, key, text);
}

void dump_vaddr(const struct inspect_dump *dump, const char *key, uint64_t vaddr)
{
	char text[32] = "-";

	if (vaddr != 0)
		snprintf(text, sizeof(text), "%" PRIu32 ":%" PRIu32, vaddr_segment(vaddr),
			 vaddr_slot(vaddr));
	dump_text(dump, key, text);
}

void dump_pointer(const struct inspect_dump *dump, const char *key, const struct node_ptr *ptr)
{
	dump_open(dump, key, POOL_INSPECT_ROW);
	dump_vaddr(dump, "slot", ptr->vaddr);
	if (ptr->vaddr != 0) {
		dump_number(dump, "level", ptr->level);
		dump_number(dump, "epoch", ptr->epoch);
		dump_number(dump, "live", ptr->live);
		dump_number(dump, "checkpoint", ptr->ckpt);
		dump_bytes(dump, "check", ptr->check, sizeof(ptr->check));
	}
	dump_close(dump);
}

/* --- Which there are ----------------------------------------------------------------------- */

const char *const pool_inspect_structures[] = {
	"label", "super", "drives",   "segments", "volumes", "snapshots", "history",
	"log",	 "map",	  "deadlist", "bitmap",	  "block",   NULL};

/* In the order of the names above. */
static int (*const dumps[])(const struct inspect_dump *dump) = {
	dump_label,   dump_super, dump_drives, dump_segments, dump_volumes, dump_snapshots,
	dump_history, dump_log,	  dump_map,    dump_deadlist, dump_bitmap,  dump_block};

_Static_assert(ARRAY_SIZE(dumps) + 1 == ARRAY_SIZE(pool_inspect_structures), "a dump for each");

static int find(struct inspect *in, const char *structure, const char *name, size_t *ret)
{
	size_t i = 0;

	while (pool_inspect_structures[i] && strcmp(pool_inspect_structures[i], structure) != 0)
		i++;
	if (!pool_inspect_structures[i])
		return err_set(in->err, -EINVAL, "there is no structure '%s' to dump", structure);
	if ((i < POOL_INSPECT_NAMELESS) != (name == NULL))
		return err_set(in->err, -EINVAL,
			       name ? "'%s' takes no name" : "say which '%s' to dump", structure);
	*ret = i;
	return 0;
}

/* The tables are loaded for all but labels: what is wrong in them is told of on the way. */
static int load(struct inspect *in, size_t which)
{
	int r = inspect_drives_open(in);

	if (r == 0)
		r = inspect_fetcher_new(in);
	if (r < 0 || dumps[which] == dump_label)
		return r;
	r = inspect_segments_load(in);
	if (r == 0)
		r = inspect_tables_load(in);
	return r;
}

int pool_inspect_dump(const struct pool_inspect_params *params, const char *structure,
		      const char *name, const struct pool_inspect_sink *sink, struct err *err)
{
	struct pool_inspect_result *result = calloc(1, sizeof(*result));
	struct inspect *in = result ? inspect_new(params, result, err) : NULL;
	const struct inspect_dump dump = {.in = in, .sink = sink, .name = name};
	size_t which = 0;
	int r;

	if (!in) {
		free(result);
		return err_set(err, -ENOMEM, "there is no memory to look at a pool");
	}
	r = find(in, structure, name, &which);
	if (r == 0)
		r = load(in, which);
	if (r == 0)
		r = dumps[which](&dump);
	if (r == 0 && in->error < 0)
		r = in->error;
	r = inspect_free(in, r);
	free(result);
	return r;
}
