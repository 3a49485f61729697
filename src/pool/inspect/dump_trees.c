/* SPDX-License-Identifier: Apache-2.0 */
/* Dumps of what is found by a name: maps, deadlists, bitmaps, slots. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "inspect/dump.h"
#include "inspect/fetch.h"

#define LINE_BYTES 32 /* of a slot's contents */

/* --- Names --------------------------------------------------------------------------------- */

/* A whole number in `text`, up to `end`. */
static bool number_parse(const char *text, char end, uint64_t *ret, const char **ret_end)
{
	char *stop;

	errno = 0;
	*ret = strtoull(text, &stop, 10);
	if (text[0] < '0' || text[0] > '9' || errno != 0 || *stop != end)
		return false;
	*ret_end = stop;
	return true;
}

static bool by_number(const char *name, uint32_t count, uint32_t *ret)
{
	uint64_t number;
	const char *end;

	if (!number_parse(name, '\0', &number, &end) || number >= count)
		return false;
	*ret = (uint32_t)number;
	return true;
}

static bool volume_find(const struct inspect *in, const char *name, size_t length, uint32_t *ret)
{
	for (uint32_t id = 0; id < in->volume_count; id++) {
		const struct volume_record *v = &in->volumes[id].rec;

		if (v->state == VOLUME_LIVE && strlen(v->name) == length &&
		    memcmp(v->name, name, length) == 0) {
			*ret = id;
			return true;
		}
	}
	return false;
}

static bool snapshot_find(const struct inspect *in, uint32_t volume, const char *name,
			  uint32_t *ret)
{
	for (uint32_t id = 0; id < in->snapshot_count; id++) {
		const struct snapshot_record *s = &in->snapshots[id].rec;

		if (s->state == VOLUME_LIVE && s->volume == volume && strcmp(s->name, name) == 0) {
			*ret = id;
			return true;
		}
	}
	return false;
}

struct named {
	const struct node_ptr *map;
	const struct deadlist *dead;
};

/* VOLUME, VOLUME@SNAP, #NUMBER of a volume, @NUMBER of a snapshot. */
static int named_find(const struct inspect_dump *dump, struct named *ret)
{
	const struct inspect *in = dump->in;
	const char *name = dump->name;
	const char *at = strchr(name, '@');
	uint32_t id = 0;
	bool snapshot = at != NULL;
	bool found;

	if (name[0] == '#')
		found = by_number(name + 1, in->volume_count, &id) &&
			in->volumes[id].rec.state != VOLUME_NONE;
	else if (at == name)
		found = by_number(name + 1, in->snapshot_count, &id) && inspect_snapshot(in, id);
	else
		found = volume_find(in, name, at ? (size_t)(at - name) : strlen(name), &id) &&
			(!at || snapshot_find(in, id, at + 1, &id));
	if (!found)
		return err_set(in->err, -ENOENT, "pool '%s' has nothing called '%s'",
			       in->super.pool_name, name);
	ret->map = snapshot ? &in->snapshots[id].rec.root : &in->volumes[id].rec.root;
	ret->dead = snapshot ? &in->snapshots[id].rec.dead : &in->volumes[id].rec.dead;
	return 0;
}

/* --- Maps and deadlists -------------------------------------------------------------------- */

struct tree_dump {
	struct inspect_walk walk;
	const struct inspect_dump *dump;
	struct dead_entry entries[DEADLIST_ENTRIES];
};

static void map_leaf(struct inspect_walk *walk, uint64_t index, const struct node_ptr *ptr UNUSED,
		     const uint8_t *page)
{
	const struct inspect_dump *dump = container_of(walk, struct tree_dump, walk)->dump;

	for (unsigned i = 0; i < LEAF_ENTRIES; i++) {
		struct entry e;

		entry_decode(page + (size_t)i * ENTRY_BYTES, &e);
		if (e.vaddr == 0)
			continue;
		dump_open(dump, NULL, POOL_INSPECT_ROW);
		dump_number(dump, "block", index * LEAF_ENTRIES + i);
		dump_vaddr(dump, "slot", e.vaddr);
		dump_number(dump, "seq", e.seq);
		dump_number(dump, "epoch", e.epoch);
		dump_bytes(dump, "check", e.check, sizeof(e.check));
		dump_close(dump);
	}
}

static void dead_leaf(struct inspect_walk *walk, uint64_t index, const struct node_ptr *ptr UNUSED,
		      const uint8_t *page)
{
	struct tree_dump *tree = container_of(walk, struct tree_dump, walk);
	const struct inspect_dump *dump = tree->dump;
	unsigned count;

	if (deadlist_page_decode(page, tree->entries, &count) < 0) {
		inspect_record_bad(walk, &walk->place);
		return;
	}
	for (unsigned i = 0; i < count; i++) {
		dump_open(dump, NULL, POOL_INSPECT_ROW);
		dump_number(dump, "page", index);
		dump_vaddr(dump, "slot", tree->entries[i].vaddr);
		dump_number(dump, "epoch", tree->entries[i].epoch);
		dump_close(dump);
	}
}

/* What could not be read was told of; what could was given out. */
static int tree_end(const struct inspect_dump *dump, const struct inspect_walk *walk)
{
	dump_close(dump);
	if (walk->damaged)
		return err_set(dump->in->err, -EUCLEAN, "%s is damaged", walk->place.name);
	return 0;
}

/* The map or the deadlist of what was named. */
static int named_dump(const struct inspect_dump *dump, enum node_kind kind)
{
	const bool map = kind == NODE_MAP;
	const char *what = map ? "map" : "deadlist";
	struct tree_dump tree = {
		.walk = {.in = dump->in,
			 .kind = kind,
			 .place = inspect_place(what, "the %s of '%s'", what, dump->name),
			 .pages = &dump->in->result->map_pages,
			 .leaf = map ? map_leaf : dead_leaf},
		.dump = dump};
	struct named named = {.map = NULL};
	const int r = named_find(dump, &named);

	if (r < 0)
		return r;
	dump_open(dump, NULL, POOL_INSPECT_LIST);
	inspect_walk(&tree.walk, map ? named.map : &named.dead->root);
	return tree_end(dump, &tree.walk);
}

int dump_map(const struct inspect_dump *dump)
{
	return named_dump(dump, NODE_MAP);
}

int dump_deadlist(const struct inspect_dump *dump)
{
	return named_dump(dump, NODE_DEADLIST);
}

/* --- Bitmaps ------------------------------------------------------------------------------- */

struct run {
	uint64_t first, end; /* slots that are used, adjacent */
};

static void run_end(const struct inspect_dump *dump, struct run *run)
{
	if (run->first < run->end) {
		dump_open(dump, NULL, POOL_INSPECT_ROW);
		dump_number(dump, "first", run->first);
		dump_number(dump, "slots", run->end - run->first);
		dump_close(dump);
	}
	run->first = run->end = 0;
}

static void bits_dump(const struct inspect_dump *dump, unsigned page, const uint8_t *bits,
		      struct run *run)
{
	const uint32_t first = page * BITMAP_PAGE_SLOTS;
	const uint32_t end = MIN(dump->in->slot_count, first + BITMAP_PAGE_SLOTS);

	for (uint32_t slot = first; slot < end; slot++) {
		if (!(bits[(slot - first) / 8] >> (slot % 8) & 1)) {
			run_end(dump, run);
			continue;
		}
		if (run->first == run->end)
			run->first = slot;
		run->end = slot + 1;
	}
}

static bool bitmap_page(const struct inspect_dump *dump, uint32_t id, unsigned page,
			struct run *run)
{
	struct inspect *in = dump->in;
	const struct segment_bitmap *bitmap = &in->segments[id].record.bitmaps[page];
	const struct inspect_place place =
		inspect_place("bitmap", "bitmap page %u of segment %" PRIu32, page, id);
	struct inspect_fetch fetch = {
		.kind = INSPECT_FETCH_PAGE,
		.vaddr = bitmap->vaddr,
		.seed = node_seed(NODE_BITMAP, 0, segment_bitmap_index(id, page)),
		.check = bitmap->check,
	};

	if (bitmap->vaddr == 0) {
		run_end(dump, run);
		return true;
	}
	if (!inspect_vaddr_valid(in, bitmap->vaddr, SEGMENT_META))
		return false;
	inspect_fetch_all(in, &fetch, 1);
	if (!inspect_fetch_judge(in, &fetch, &place))
		return false;
	bits_dump(dump, page, fetch.page, run);
	return true;
}

int dump_bitmap(const struct inspect_dump *dump)
{
	struct inspect *in = dump->in;
	struct run run = {0};
	bool good = true;
	uint32_t id;

	if (!by_number(dump->name, in->segment_count, &id) || in->segments[id].record.class == 0)
		return err_set(in->err, -ENOENT, "pool '%s' has no segment '%s'",
			       in->super.pool_name, dump->name);
	dump_open(dump, NULL, POOL_INSPECT_LIST);
	for (unsigned page = 0; page * BITMAP_PAGE_SLOTS < in->slot_count; page++)
		good = bitmap_page(dump, id, page, &run) && good;
	run_end(dump, &run);
	dump_close(dump);
	return good ? 0
		    : err_set(in->err, -EUCLEAN, "the bitmap of segment %" PRIu32 " is damaged",
			      id);
}

/* --- Slots --------------------------------------------------------------------------------- */

static void contents_dump(const struct inspect_dump *dump, const uint8_t *page)
{
	dump_open(dump, "contents", POOL_INSPECT_LIST);
	for (unsigned at = 0; at < PAGE_BYTES; at += LINE_BYTES) {
		char key[16];

		snprintf(key, sizeof(key), "%03x", at);
		dump_open(dump, NULL, POOL_INSPECT_ROW);
		dump_bytes(dump, key, page + at, LINE_BYTES);
		dump_close(dump);
	}
	dump_close(dump);
}

static bool vaddr_parse(const struct inspect *in, const char *name, uint64_t *ret)
{
	uint64_t segment, slot;
	const char *end;

	if (!number_parse(name, ':', &segment, &end) || segment == 0 || segment >= SEGMENT_MAX ||
	    !number_parse(end + 1, '\0', &slot, &end) || slot >= in->slot_count)
		return false;
	*ret = vaddr_make(segment, slot);
	return inspect_segment(in, *ret) != NULL;
}

int dump_block(const struct inspect_dump *dump)
{
	struct inspect *in = dump->in;
	struct inspect_fetch fetch = {.kind = INSPECT_FETCH_RAW};
	const struct segment_record *record;

	if (!vaddr_parse(in, dump->name, &fetch.vaddr))
		return err_set(in->err, -ENOENT, "pool '%s' has no slot '%s': write SEGMENT:SLOT",
			       in->super.pool_name, dump->name);
	record = &inspect_segment(in, fetch.vaddr)->record;
	inspect_fetch_all(in, &fetch, 1);
	dump_open(dump, NULL, POOL_INSPECT_LIST);
	for (unsigned c = 0; c < record->column_count; c++) {
		const struct segment_column *column = &record->columns[c];
		const struct inspect_drive *drive = in->columns[column->drive];

		dump_open(dump, NULL, POOL_INSPECT_OBJECT);
		dump_number(dump, "column", c);
		dump_text(dump, "drive", drive ? drive->path : "-");
		dump_number(dump, "offset",
			    LABEL_BYTES + ((uint64_t)column->chunk << in->super.chunk_shift) +
				    (uint64_t)vaddr_slot(fetch.vaddr) * PAGE_BYTES);
		if (fetch.column_pages[c])
			contents_dump(dump, fetch.column_pages[c]);
		else
			dump_text(dump, "problem", drive ? "unreadable" : "not there");
		dump_close(dump);
	}
	dump_close(dump);
	return 0;
}
