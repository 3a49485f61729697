/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who owns what, against a model. The verbs, the sink and the background work are the real ones;
 * maps and deadlists are plain arrays, and a checkpoint is a function call. After random writes,
 * snapshots, rollbacks, clones, promotions and destructions all counters must be what counting in
 * the maps says, and the slots referred to must be those that something reaches. Names are found
 * as a search through the whole table finds them.
 *
 * QUOIN_VERBS_SEEDS: how many random histories (default 60).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/checkpoint.h"
#include "engine/discard.h"
#include "engine/shares.h"
#include "engine/verb.h"

#define BLOCKS 16
#define LEAF_BLOCKS 4
#define PAGES (BLOCKS / LEAF_BLOCKS)
#define SLOTS 2000
#define MAPS 400
#define LISTS 1024
#define LIST_MAX 512
#define STEPS 220

struct cell {
	uint64_t vaddr;
	uint32_t epoch;
};

/* A map: never changed once it is there. */
struct model_map {
	struct cell data[BLOCKS], pages[PAGES];
};

struct model_list {
	size_t count;
	struct dead_entry entries[LIST_MAX];
};

/* All in one, so that fakes find it behind the pool's pointers. */
struct world {
	struct pool pool;
	struct random random;
	bool refs[SLOTS];
	uint64_t next_slot;
	struct model_map maps[MAPS];
	uint64_t next_map;
	struct model_list lists[LISTS];
	uint64_t next_list;
	size_t budget;
};

/* Even slots are data, odd ones pages. */
static bool slot_is_data(uint64_t vaddr)
{
	return vaddr % 2 == 0;
}

static struct world *world_of_space(const struct space *space)
{
	return (struct world *)(uintptr_t)space;
}

static struct world *world_of_pages(struct pages *pages)
{
	return (struct world *)(void *)pages;
}

/* --- Fakes: space ------------------------------------------------------------------------ */

bool space_vaddr_valid(const struct space *space UNUSED, uint64_t vaddr, enum segment_class class)
{
	return vaddr < SLOTS && slot_is_data(vaddr) == (class == SEGMENT_DATA);
}

bool space_is_ref(const struct space *space, uint64_t vaddr)
{
	return world_of_space(space)->refs[vaddr];
}

void space_ref(struct space *space, uint64_t vaddr)
{
	assert_false(world_of_space(space)->refs[vaddr]);
	world_of_space(space)->refs[vaddr] = true;
}

void space_unref(struct space *space, uint64_t vaddr)
{
	assert_true(world_of_space(space)->refs[vaddr]);
	world_of_space(space)->refs[vaddr] = false;
}

int shares_drop(struct pool *pool UNUSED, uint64_t vaddr UNUSED, bool *ret_last)
{
	*ret_last = true;
	return 0;
}

uint32_t space_segment_limit(const struct space *space UNUSED)
{
	return 0;
}

size_t space_freed_room(const struct space *space UNUSED)
{
	return 1000000;
}

void space_sums(const struct space *space UNUSED, struct space_sums *ret_sums)
{
	*ret_sums = (struct space_sums){.data_total = SLOTS, .group_width = 1};
}

uint64_t segments_for_meta(const struct pool *pool UNUSED, const struct space_sums *sums UNUSED)
{
	return 0;
}

/* --- Fakes: deadlists and maps ----------------------------------------------------------- */

static struct model_list *list_of(struct pages *pages, struct deadlist *list)
{
	struct world *world = world_of_pages(pages);

	if (list->root.vaddr == 0) {
		assert_true(world->next_list < LISTS);
		list->root.vaddr = world->next_list++;
	}
	return &world->lists[list->root.vaddr];
}

static void list_put(struct pages *pages, struct deadlist *list, const struct dead_entry *entry)
{
	struct model_list *model = list_of(pages, list);

	assert_true(model->count < LIST_MAX);
	model->entries[model->count++] = *entry;
	if (slot_is_data(entry->vaddr))
		list->data++;
	else
		list->meta++;
}

int deadlist_append(struct pages *pages, struct deadlist *list, struct dead_entry *entries,
		    size_t count)
{
	for (size_t i = 0; i < count; i++)
		list_put(pages, list, &entries[i]);
	return 0;
}

int deadlist_take(struct pages *pages, struct deadlist *list, uint32_t born_after, size_t max,
		  int (*taken)(void *data, const struct dead_entry *entry), void *data)
{
	struct model_list *model = list_of(pages, list);
	size_t count = 0;

	for (size_t i = 0; i < model->count;) {
		const struct dead_entry entry = model->entries[i];

		if (entry.epoch <= born_after) {
			i++;
			continue;
		}
		if (count++ == max)
			return 1;
		assert_int_equal(taken(data, &entry), 0);
		model->entries[i] = model->entries[--model->count];
		if (slot_is_data(entry.vaddr))
			list->data--;
		else
			list->meta--;
	}
	return 0;
}

int deadlist_count(struct pages *pages, const struct deadlist *list, uint32_t born_after,
		   uint64_t *ret_data, uint64_t *ret_meta)
{
	const struct model_list *model = &world_of_pages(pages)->lists[list->root.vaddr];

	*ret_data = *ret_meta = 0;
	for (size_t i = 0; list->root.vaddr != 0 && i < model->count; i++) {
		if (model->entries[i].epoch <= born_after)
			continue;
		if (slot_is_data(model->entries[i].vaddr))
			++*ret_data;
		else
			++*ret_meta;
	}
	return 0;
}

int deadlist_join(struct pages *pages, struct deadlist *to, struct deadlist *from)
{
	struct model_list *model = list_of(pages, from);

	for (size_t i = 0; i < model->count; i++)
		list_put(pages, to, &model->entries[i]);
	model->count = 0;
	*from = (struct deadlist){0};
	return 0;
}

int deadlist_drop(struct pages *pages UNUSED, struct deadlist *list)
{
	*list = (struct deadlist){0};
	return 0;
}

int map_free(struct pages *pages, struct map_sink *sink, const struct node_ptr *root,
	     uint32_t born_after, uint64_t *cursor, uint64_t pages_max)
{
	const struct model_map *map = &world_of_pages(pages)->maps[root->vaddr];

	for (; *cursor < PAGES; ++*cursor) {
		const struct cell *page = &map->pages[*cursor];

		if (page->vaddr == 0 || page->epoch <= born_after)
			continue;
		if (pages_max-- == 0)
			return 1;
		for (size_t i = 0; i < LEAF_BLOCKS; i++) {
			const struct cell *data = &map->data[*cursor * LEAF_BLOCKS + i];

			if (data->vaddr != 0 && data->epoch > born_after)
				assert_int_equal(sink->data_killed(sink, data->vaddr, data->epoch),
						 0);
		}
		assert_int_equal(sink->page_killed(sink, page->vaddr, page->epoch), 0);
	}
	return 0;
}

int map_walk(struct map_walk *walk, const struct node_ptr *root)
{
	const struct model_map *map = &world_of_pages(walk->pages)->maps[root->vaddr];
	const struct page_ref ref = {.ptr = *root};
	uint8_t page[PAGE_BYTES];

	for (size_t i = 0; i < PAGES; i++) {
		if (map->pages[i].vaddr == 0 || map->pages[i].epoch <= walk->born_after)
			continue;
		memset(page, 0, sizeof(page));
		for (size_t j = 0; j < LEAF_BLOCKS; j++) {
			const struct cell *data = &map->data[i * LEAF_BLOCKS + j];
			const struct entry entry = {.vaddr = data->vaddr, .epoch = data->epoch};

			entry_encode(&entry, page + j * ENTRY_BYTES);
		}
		assert_int_equal(walk->leaf(walk, &ref, page), 0);
		assert_int_equal(walk->page_done(walk, &ref), 0);
	}
	return 0;
}

/* --- Fakes: log, gates, checkpoints ------------------------------------------------------ */

bool log_has_room(const struct log *log UNUSED, unsigned count UNUSED)
{
	return true;
}

void log_append(struct log *log UNUSED, const struct log_record *record)
{
	assert_int_equal(record->type, LOG_SNAP);
}

int log_commit_run(struct log *log UNUSED)
{
	return 0;
}

int memory_borrow(struct pool *pool UNUSED, uint64_t bytes UNUSED)
{
	return 0;
}
void memory_return(struct pool *pool UNUSED, uint64_t bytes UNUSED)
{
}

void delta_range_insert(struct delta *delta, const struct delta_range *range)
{
	delta->ranges[delta->range_count++] = *range;
}

void volume_gate_close(struct volume *volume UNUSED)
{
}
void volume_gate_open(struct volume *volume UNUSED)
{
}
void volume_patches_close(struct volume *volume UNUSED)
{
}
void volume_patches_open(struct volume *volume UNUSED)
{
}
void volume_patches_drop(struct volume *volume UNUSED)
{
}
void admin_lock(struct pool *pool UNUSED)
{
}
void admin_unlock(struct pool *pool UNUSED)
{
}
int pool_writable(const struct pool *pool UNUSED, struct err *err UNUSED)
{
	return 0;
}
void discards_stats(const struct pool *pool UNUSED, struct discard_stats *ret_stats)
{
	*ret_stats = (struct discard_stats){0};
}

bool checkpoint_busy(const struct pool *pool UNUSED)
{
	return false;
}
void checkpoint_stats(const struct pool *pool UNUSED, struct checkpoint_stats *ret_stats)
{
	*ret_stats = (struct checkpoint_stats){0};
}
void pages_stats(const struct pages *pages UNUSED, struct pages_stats *ret_stats)
{
	*ret_stats = (struct pages_stats){0};
}

int deadlist_mend(struct pages *pages UNUSED, struct deadlist *list UNUSED)
{
	fail_msg("no page is bad here");
	return 0;
}

int history_note(struct pool *pool UNUSED, const char *text)
{
	fail_msg("nothing is lost here: %s", text);
	return 0;
}

/* What a merge does where a snapshot was cut. */
static void cut_merge(struct pool *pool, struct snapshot *snapshot)
{
	struct volume_record *head = &volume_at(pool, snapshot->next.volume)->next;

	snapshot->next.prev = head->last_snapshot;
	snapshot->next.root = head->root;
	snapshot->next.dead = head->dead;
	snapshot->next.referenced = head->referenced;
	snapshot->next.referenced_meta = head->referenced_meta;
	head->dead = (struct deadlist){0};
	head->last_snapshot = snapshot->id;
	head->unique = 0;
	snapshot->pending = false;
}

static void cuts_merge(struct pool *pool)
{
	for (uint32_t id = 1; id < pool->snapshot_limit; id++)
		if (pool->snapshots[id] && pool->snapshots[id]->pending)
			cut_merge(pool, pool->snapshots[id]);
}

static void commit(struct pool *pool)
{
	for (uint32_t id = 1; id < pool->volume_limit; id++) {
		struct volume *volume = pool->volumes[id];

		if (!volume)
			continue;
		volume->rec = volume->next;
		if (volume->rec.state == VOLUME_NONE)
			volume_remove(pool, volume);
	}
	for (uint32_t id = 1; id < pool->snapshot_limit; id++) {
		struct snapshot *snapshot = pool->snapshots[id];

		if (!snapshot)
			continue;
		snapshot->rec = snapshot->next;
		if (snapshot->rec.state == VOLUME_NONE)
			snapshot_remove(pool, snapshot);
	}
	volumes_recount(pool);
}

static bool checkpoint(struct pool *pool, size_t budget)
{
	bool more = false;

	assert_int_equal(destroy_step(pool, budget, &more), 0);
	commit(pool);
	return more;
}

int checkpoint_task(struct pool *pool, int (*task)(struct pool *pool, void *arg), void *arg)
{
	const struct world *world = container_of(pool, struct world, pool);
	int r;

	cuts_merge(pool);
	r = task(pool, arg);
	checkpoint(pool, world->budget);
	return r;
}

int checkpoint_wait(struct pool *pool)
{
	cuts_merge(pool);
	checkpoint(pool, container_of(pool, struct world, pool)->budget);
	return 0;
}

/* --- The model --------------------------------------------------------------------------- */

static uint64_t slot_new(struct world *world, bool data)
{
	world->next_slot += 2;
	assert_true(world->next_slot + 1 < SLOTS);
	return world->next_slot + (data ? 0 : 1);
}

/* Merges one write, or one discard, into the volume's map. */
static void volume_write(struct world *world, struct volume *volume, unsigned block, bool discard)
{
	struct model_map *map = &world->maps[world->next_map];
	struct cell *data = &map->data[block];
	struct cell *page = &map->pages[block / LEAF_BLOCKS];
	struct volume_sink sink;

	assert_int_equal(volume_sink_init(&sink, volume), 0);
	assert_true(world->next_map < MAPS);
	*map = world->maps[volume->next.root.vaddr];
	volume->next.root.vaddr = world->next_map++;
	if (data->vaddr != 0)
		assert_int_equal(sink.sink.data_killed(&sink.sink, data->vaddr, data->epoch), 0);
	if (page->vaddr != 0)
		assert_int_equal(sink.sink.page_killed(&sink.sink, page->vaddr, page->epoch), 0);
	*data = (struct cell){0};
	if (!discard) {
		*data = (struct cell){slot_new(world, true), world->pool.epoch};
		sink.sink.data_born(&sink.sink, data->vaddr);
	}
	*page = (struct cell){slot_new(world, false), world->pool.epoch};
	space_ref(world->pool.space, page->vaddr);
	sink.sink.page_born(&sink.sink, page->vaddr);
	assert_int_equal(volume_sink_flush(&sink), 0);
	volume_sink_fini(&sink);
	commit(&world->pool);
}

static const struct model_map *map_at(const struct world *world, const struct node_ptr *root)
{
	return &world->maps[root->vaddr];
}

/* Cells of a map that are born after `epoch` and, when `other` is given, are not in it. */
static uint64_t count_data(const struct model_map *map, uint32_t epoch,
			   const struct model_map *other)
{
	uint64_t count = 0;

	for (size_t i = 0; i < BLOCKS; i++)
		count += map->data[i].vaddr != 0 && map->data[i].epoch > epoch &&
			 (!other || other->data[i].vaddr != map->data[i].vaddr);
	return count;
}

static void mark(const struct model_map *map, uint32_t epoch, bool *marks)
{
	for (size_t i = 0; i < BLOCKS; i++)
		if (map->data[i].vaddr != 0 && map->data[i].epoch > epoch)
			marks[map->data[i].vaddr] = true;
	for (size_t i = 0; i < PAGES; i++)
		if (map->pages[i].vaddr != 0 && map->pages[i].epoch > epoch)
			marks[map->pages[i].vaddr] = true;
}

static void used_check(const struct world *world, const struct volume *volume, bool *marks)
{
	const struct pool *pool = &world->pool;
	const uint32_t epoch = snapshot_epoch(pool, volume->rec.origin);
	uint64_t data = 0;
	uint64_t meta = 0;

	memset(marks, 0, SLOTS);
	mark(map_at(world, &volume->rec.root), epoch, marks);
	for (uint32_t id = 1; id < pool->snapshot_limit; id++)
		if (pool->snapshots[id] && pool->snapshots[id]->rec.volume == volume->id)
			mark(map_at(world, &pool->snapshots[id]->rec.root), epoch, marks);
	for (uint64_t i = 0; i < SLOTS; i += 2) {
		data += marks[i];
		meta += marks[i + 1];
	}
	assert_int_equal(volume->rec.used_data, data);
	assert_int_equal(volume->rec.used_meta, meta);
}

static void snapshot_check(const struct world *world, struct snapshot *snapshot)
{
	const struct pool *pool = &world->pool;
	const struct model_map *map = map_at(world, &snapshot->rec.root);
	const struct snapshot *after = snapshot_after(pool, snapshot);
	const struct node_ptr *beyond =
		after ? &after->rec.root : &volume_at(pool, snapshot->rec.volume)->rec.root;
	struct pool_snapshot_info info;
	char name[160];

	assert_int_equal(snapshot->rec.referenced, count_data(map, 0, NULL));
	assert_int_equal(
		snapshot->rec.unique,
		count_data(map, snapshot_epoch(pool, snapshot->rec.prev), map_at(world, beyond)));
	snprintf(name, sizeof(name), "%s@%s", volume_at(pool, snapshot->rec.volume)->rec.name,
		 snapshot->rec.name);
	assert_int_equal(pool_snapshot_find(&((struct world *)(uintptr_t)world)->pool, name, &info),
			 0);
	assert_int_equal(info.written_bytes / PAGE_BYTES,
			 count_data(map, snapshot_epoch(pool, snapshot->rec.prev), NULL));
}

/* When nothing is being destroyed. */
static void world_check(struct world *world)
{
	struct pool *pool = &world->pool;
	bool *marks = test_malloc(SLOTS);
	bool *reached = test_calloc(1, SLOTS);

	for (uint32_t id = 1; id < pool->volume_limit; id++) {
		const struct volume *volume = pool->volumes[id];
		const struct volume_record *rec;

		if (!volume)
			continue;
		rec = &volume->rec;
		assert_int_equal(rec->state, VOLUME_LIVE);
		assert_int_equal(rec->referenced, count_data(map_at(world, &rec->root), 0, NULL));
		assert_int_equal(rec->unique,
				 count_data(map_at(world, &rec->root),
					    snapshot_epoch(pool, rec->last_snapshot), NULL));
		used_check(world, volume, marks);
		mark(map_at(world, &rec->root), 0, reached);
	}
	for (uint32_t id = 1; id < pool->snapshot_limit; id++) {
		if (!pool->snapshots[id])
			continue;
		assert_int_equal(pool->snapshots[id]->rec.state, VOLUME_LIVE);
		snapshot_check(world, pool->snapshots[id]);
		mark(map_at(world, &pool->snapshots[id]->rec.root), 0, reached);
	}
	assert_memory_equal(reached, world->refs, SLOTS);
	test_free(marks);
	test_free(reached);
}

/* --- Names and numbers ------------------------------------------------------------------- */

/* The first live one of the name in the table; NULL: none. */
static struct snapshot *snapshot_seek(const struct pool *pool, uint32_t volume, const char *name)
{
	for (uint32_t id = 1; id < pool->snapshot_limit; id++) {
		struct snapshot *snapshot = pool->snapshots[id];

		if (snapshot && snapshot->rec.state == VOLUME_LIVE &&
		    snapshot->rec.volume == volume && strcmp(snapshot->rec.name, name) == 0)
			return snapshot;
	}
	return NULL;
}

static struct volume *volume_seek(const struct pool *pool, const char *name)
{
	for (uint32_t id = 1; id < pool->volume_limit; id++) {
		struct volume *volume = pool->volumes[id];

		if (volume && volume->rec.state == VOLUME_LIVE &&
		    strcmp(volume->rec.name, name) == 0)
			return volume;
	}
	return NULL;
}

static struct snapshot *after_seek(const struct pool *pool, const struct snapshot *snapshot)
{
	for (uint32_t id = 1; id < pool->snapshot_limit; id++) {
		struct snapshot *after = pool->snapshots[id];

		if (after && after->next.state != VOLUME_NONE &&
		    after->next.volume == snapshot->next.volume && after->next.prev == snapshot->id)
			return after;
	}
	return NULL;
}

/* Whatever was called so, and what is so now, under each volume. */
static void names_check(const struct pool *pool, unsigned steps)
{
	char name[32];

	for (unsigned step = 0; step <= steps; step++) {
		static const char kinds[] = {'v', 'c', 'r', 's', 't'};

		for (size_t k = 0; k < sizeof(kinds); k++) {
			snprintf(name, sizeof(name), "%c%u", kinds[k], step);
			assert_ptr_equal(volume_find(pool, name), volume_seek(pool, name));
			for (uint32_t id = 1; k > 2 && id < pool->volume_limit; id++)
				assert_ptr_equal(snapshot_find(pool, id, name),
						 snapshot_seek(pool, id, name));
		}
	}
	for (uint32_t id = 1; id < pool->snapshot_limit; id++) {
		if (pool->snapshots[id])
			assert_ptr_equal(snapshot_after(pool, pool->snapshots[id]),
					 after_seek(pool, pool->snapshots[id]));
	}
}

static void numbers_check(struct pool *pool)
{
	struct snapshot *snapshot;
	uint32_t id = 1;

	while (snapshot_at(pool, id))
		id++;
	assert_int_equal(snapshot_add(pool, &snapshot), 0);
	assert_int_equal(snapshot->id, id);
	snapshot_remove(pool, snapshot);
}

/* --- Random histories -------------------------------------------------------------------- */

static struct volume *pick_volume(struct world *world)
{
	for (unsigned i = 0; i < 64; i++) {
		struct volume *volume = volume_at(
			&world->pool,
			(uint32_t)random_below(&world->random, world->pool.volume_limit + 1U));

		if (volume && volume->rec.state == VOLUME_LIVE)
			return volume;
	}
	return NULL;
}

static bool pick_snapshot(struct world *world, char name[160])
{
	const struct pool *pool = &world->pool;

	for (unsigned i = 0; i < 64; i++) {
		const struct snapshot *snapshot = snapshot_at(
			pool, (uint32_t)random_below(&world->random, pool->snapshot_limit + 1U));

		if (!snapshot || snapshot->rec.state != VOLUME_LIVE)
			continue;
		snprintf(name, 160, "%s@%s", volume_at(pool, snapshot->rec.volume)->rec.name,
			 snapshot->rec.name);
		return true;
	}
	return false;
}

/* Refusals are fine: what they may be is the verbs' business. */
static void tolerate(int r, const struct err *err)
{
	if (r < 0) {
		assert_int_equal(err->code, r);
		assert_true(err->text[0] != '\0');
	}
}

static void snapshot_verb(struct world *world, unsigned step, unsigned verb)
{
	struct volume *volume = pick_volume(world);
	struct err err = {0};
	char name[160], other[32];
	const char *list[1] = {name};

	if (verb == 0 && volume) {
		snprintf(name, sizeof(name), "%s@s%u", volume->rec.name, step);
		assert_int_equal(pool_snapshot_create(&world->pool, list, 1, &err), 0);
		if (random_chance(&world->random, 1, 2))
			assert_int_equal(checkpoint_wait(&world->pool), 0);
		else
			cuts_merge(&world->pool);
		commit(&world->pool);
		return;
	}
	if (!pick_snapshot(world, name))
		return;
	snprintf(other, sizeof(other), "c%u", step);
	if (verb == 1)
		tolerate(pool_snapshot_destroy(&world->pool, name, &err), &err);
	else if (verb == 4) {
		snprintf(other, sizeof(other), "t%u", step);
		tolerate(pool_snapshot_rename(&world->pool, name, other, &err), &err);
	} else if (verb == 2)
		tolerate(pool_volume_clone(&world->pool, name, other, &err), &err);
	else
		tolerate(pool_volume_rollback(&world->pool, name,
					      random_chance(&world->random, 1, 2), &err),
			 &err);
}

static void volume_verb(struct world *world, unsigned step, unsigned verb)
{
	struct volume *volume = pick_volume(world);
	const struct pool_volume_params params = {.size_bytes = BLOCKS * PAGE_BYTES};
	struct err err = {0};
	char name[VOLUME_NAME_BYTES];

	if (!volume || verb == 0) {
		snprintf(name, sizeof(name), "v%u", step);
		assert_int_equal(pool_volume_create(&world->pool, name, &params, &err), 0);
		return;
	}
	memcpy(name, volume->rec.name, sizeof(name));
	if (verb == 1)
		tolerate(pool_volume_destroy(&world->pool, name,
					     random_chance(&world->random, 1, 2), &err),
			 &err);
	else if (verb == 3) {
		char other[32];

		snprintf(other, sizeof(other), "r%u", step);
		tolerate(pool_volume_rename(&world->pool, name, other, &err), &err);
	} else
		tolerate(pool_volume_promote(&world->pool, name, &err), &err);
}

static void world_step(struct world *world, unsigned step)
{
	const unsigned dice = (unsigned)random_below(&world->random, 100);
	struct volume *volume;

	if (dice < 60) {
		volume = pick_volume(world);
		if (volume)
			volume_write(world, volume, (unsigned)random_below(&world->random, BLOCKS),
				     random_chance(&world->random, 1, 8));
	} else if (dice < 72) {
		snapshot_verb(world, step, 0);
	} else if (dice < 90) {
		snapshot_verb(world, step, 1 + dice % 4);
	} else {
		volume_verb(world, step, dice < 92 ? 0 : dice < 93 ? 1 : dice < 95 ? 3 : 2);
	}
	names_check(&world->pool, step);
	numbers_check(&world->pool);
	if (random_chance(&world->random, 1, 3)) {
		cuts_merge(&world->pool);
		while (checkpoint(&world->pool, SLOTS))
			;
		world_check(world);
	}
}

static void history_run(uint64_t seed)
{
	struct world *world = test_calloc(1, sizeof(*world));

	world->pool.space = (struct space *)(void *)world;
	world->pool.pages = (struct pages *)(void *)world;
	world->pool.epoch = 1;
	world->pool.seq = 1;
	world->next_map = world->next_list = 1;
	/* A few blocks with each checkpoint, or all at once. */
	world->budget = seed % 3 == 0 ? SLOTS : (size_t)(seed % 7);
	random_init(&world->random, seed);
	random_init(&world->pool.random, seed);
	for (unsigned step = 0; step < STEPS; step++)
		world_step(world, step);
	volumes_free(&world->pool);
	test_free(world);
}

static void test_histories(void **state UNUSED)
{
	const char *seeds = getenv("QUOIN_VERBS_SEEDS");
	const uint64_t count = seeds ? strtoull(seeds, NULL, 10) : 60;

	for (uint64_t seed = 1; seed <= count; seed++) {
		print_message("seed %lu\n", (unsigned long)seed);
		history_run(seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_histories)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
