/* SPDX-License-Identifier: Apache-2.0 */
/* The pool's memory: how much of what, taken at import; and the task that goes round the queues. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include <quoin/base_assert.h>
#include <quoin/base_math.h>

#include "engine/checkpoint.h"
#include "engine/copies.h"
#include "engine/import.h"

#define DELTA_RECORDS_MIN 1024
#define DELTA_RECORDS_MAX (4U << 20)
#define DELTA_SLOTS_SHARE 16 /* of all slots: a full delta holds five times as much back */
#define CACHE_PAGES_MIN 512
#define OBJECTS_MIN (512 * KiB)
#define OBJECTS_SHARE 32	/* of what is beyond the least: for new volumes and snapshots */
#define SNAPSHOT_TABLE_BYTES 32 /* two tables, each up to twice as long as need be */
#define BUFFER_PAGES_MIN 512
#define BUFFER_PAGES_MAX 8192
#define WRITE_PAGES (16 * PAGES_RUN)

/*
 * Slots that a record lets go, counted for all lists: its old one and a page of the map, in three
 * checkpoints. Beside these, what a checkpoint frees of trims and destroyed volumes.
 */
#define FREED_PER_RECORD 6
#define FREED_BESIDE 32768

/*
 * Of a checkpoint, an import and verbs: each has a fiber, of whose stack it uses a part, and some
 * pages to work with. The most is what a replay reads ahead, and a list of what is destroyed.
 */
#define FIBERS 6
#define FIBER_BYTES (64 * KiB)
#define WORK_BYTES (2 * MiB)
#define WORK_BYTES_PER_SEGMENT 32 /* segments_table.c */

/* --- The plan -------------------------------------------------------------------------------- */

static uint32_t clamp(uint64_t value, uint64_t low, uint64_t high)
{
	return (uint32_t)(value < low ? low : value > high ? high : value);
}

static void buffers_set(struct engine_memory *m, uint64_t pages)
{
	m->buffer_pages = clamp(pages, BUFFER_PAGES_MIN, BUFFER_PAGES_MAX);
	m->wios = m->buffer_pages / 16;
}

static size_t freed_for(uint32_t records)
{
	return (size_t)FREED_PER_RECORD * records + FREED_BESIDE;
}

/* Of one delta, and of what its merge needs. */
static uint64_t delta_bytes(uint32_t records)
{
	return delta_memory(records) + 2 * (uint64_t)records * sizeof(uint32_t);
}

/* What a log has more than a delta, at most. */
static uint64_t replay_bytes(uint32_t records)
{
	return delta_bytes(2 * records) - delta_bytes(records);
}

static uint64_t fixed_bytes(const struct engine_memory *m)
{
	return sizeof(struct pool) + sizeof(struct checkpointer) +
	       m->buffer_pages * (uint64_t)(PAGE_BYTES + sizeof(uint8_t *)) +
	       m->wios * sizeof(struct wio) + m->rios * sizeof(struct rio) +
	       m->runs * sizeof(struct run) + (uint64_t)LOG_BUFFERS * PAGE_BYTES +
	       PATCHES_MAX * (PAGE_BYTES + sizeof(struct patch)) + FIBERS * FIBER_BYTES +
	       WORK_BYTES;
}

/* All but the cache, with so many records. */
static uint64_t taken_bytes(const struct engine_memory *m, const struct space_params *space,
			    uint32_t records)
{
	struct space_params params = *space;

	params.freed_max = freed_for(records);
	return fixed_bytes(m) + space_memory(&params) +
	       space_segments_most(&params) * WORK_BYTES_PER_SEGMENT + delta_memory(records) +
	       delta_bytes(records);
}

static uint64_t cache_bytes(size_t pages)
{
	const struct pages_params params = {.cache_pages = pages, .write_pages = WRITE_PAGES};

	return pages_memory(&params);
}

/* Volumes and snapshots that there may be, and some more. */
static uint64_t objects_bytes(const struct super *super)
{
	const uint64_t snapshot = sizeof(struct snapshot) + SNAPSHOT_TABLE_BYTES;

	return OBJECTS_MIN + super->volume_limit * sizeof(struct volume) +
	       super->snapshot_limit * snapshot;
}

/* With a cache that could lend what objects, and a replay of as many records, may need. */
static uint64_t needed_bytes(const struct engine_memory *m, const struct space_params *space,
			     uint32_t records)
{
	return taken_bytes(m, space, records) + cache_bytes(CACHE_PAGES_MIN) + m->objects_bytes +
	       replay_bytes(records);
}

/* The most that fit, within bounds. */
static uint32_t records_fit(const struct engine_memory *m, const struct space_params *space,
			    uint32_t most)
{
	uint32_t low = DELTA_RECORDS_MIN;
	uint32_t high = MAX(most, low);

	while (low < high) {
		const uint32_t mid = low + (high - low + 1) / 2;

		if (needed_bytes(m, space, mid) <= m->bytes)
			low = mid;
		else
			high = mid - 1;
	}
	return low;
}

static size_t cache_fits(uint64_t bytes)
{
	size_t low = 0;
	size_t high = bytes / PAGE_BYTES;

	while (low < high) {
		const size_t mid = low + (high - low + 1) / 2;

		if (cache_bytes(mid) <= bytes)
			low = mid;
		else
			high = mid - 1;
	}
	return low;
}

int memory_plan(struct pool *pool, const struct pool_open_params *params,
		const struct space_params *space, struct err *err)
{
	struct engine_memory *m = &pool->memory;
	const char *name = pool->super.pool_name;
	const uint64_t slots = space_segments_most(space) << (space->chunk_shift - PAGE_SHIFT);
	uint64_t least;

	m->bytes = params->memory_bytes;
	m->objects_bytes = objects_bytes(&pool->super);
	m->rios = 256;
	m->runs = 512;
	buffers_set(m, BUFFER_PAGES_MIN);
	m->delta_records = params->delta_records ? (uint32_t)params->delta_records
						 : (uint32_t)DELTA_RECORDS_MIN;
	least = MAX(needed_bytes(m, space, m->delta_records), (uint64_t)POOL_MEMORY_MIN);
	if (m->bytes < least)
		return err_set(err, -ENOMEM,
			       "pool '%s' needs %" PRIu64
			       "M of memory at least: give quoind more with --memory",
			       name, div_round_up(least, MiB));
	buffers_set(m, BUFFER_PAGES_MIN + (m->bytes - least) / 16 / PAGE_BYTES);
	m->objects_bytes += (m->bytes - least) / OBJECTS_SHARE;
	if (params->delta_records == 0)
		m->delta_records = records_fit(
			m, space,
			clamp(slots / DELTA_SLOTS_SHARE, DELTA_RECORDS_MIN, DELTA_RECORDS_MAX));
	m->freed_max = freed_for(m->delta_records);
	m->cache_pages = cache_fits(m->bytes - taken_bytes(m, space, m->delta_records));
	return 0;
}

int memory_pages_make(struct pool *pool)
{
	const struct pages_params params = {
		.raid = &pool->raid,
		.space = pool->space,
		.cache_pages = pool->memory.cache_pages,
		.write_pages = WRITE_PAGES,
	};

	return pages_new(&params, &pool->pages);
}

/* --- What is lent ---------------------------------------------------------------------------- */

static void lent_set(struct pool *pool, uint64_t bytes)
{
	pool->memory.lent_bytes = bytes;
	pages_limit(pool->pages,
		    pool->memory.cache_pages - (size_t)div_round_up(bytes, PAGE_BYTES));
}

static bool may_lend(const struct engine_memory *m, uint64_t bytes)
{
	return div_round_up(bytes, PAGE_BYTES) + CACHE_PAGES_MIN <= m->cache_pages;
}

/* What a replay may need is left alone: what is created now must not be in the way of an import. */
int memory_borrow(struct pool *pool, uint64_t bytes)
{
	const struct engine_memory *m = &pool->memory;
	const uint64_t kept = replay_bytes(m->delta_records);
	const uint64_t more = kept > m->replay_bytes ? kept - m->replay_bytes : 0;

	if (!may_lend(m, m->lent_bytes + bytes + more))
		return -ENOMEM;
	lent_set(pool, m->lent_bytes + bytes);
	return 0;
}

void memory_return(struct pool *pool, uint64_t bytes)
{
	ASSERT_U64(bytes, <=, pool->memory.lent_bytes);
	lent_set(pool, pool->memory.lent_bytes - bytes);
}

static int order_make(struct pool *pool, uint32_t records)
{
	free(pool->order);
	free(pool->order_scratch);
	pool->order = calloc(records, sizeof(*pool->order));
	pool->order_scratch = calloc(records, sizeof(*pool->order_scratch));
	return pool->order && pool->order_scratch ? 0 : -ENOMEM;
}

/* Where it cannot, it stays as it is. */
static void order_shrink(uint32_t **order, uint32_t records)
{
	uint32_t *smaller = realloc(*order, records * sizeof(**order));

	if (smaller)
		*order = smaller;
}

int memory_for_replay(struct pool *pool, uint64_t records)
{
	struct engine_memory *m = &pool->memory;
	/* More than both deltas had is of a pool that had more memory, or of blocks written again.
	 */
	const uint32_t most =
		(uint32_t)MIN(2 * (uint64_t)m->delta_records, (uint64_t)DELTA_RECORDS_LIMIT);
	uint32_t capacity;
	uint64_t bytes;
	int r;

	if (records <= m->delta_records)
		return 0;
	capacity = (uint32_t)MIN(records, (uint64_t)most);
	bytes = delta_bytes(capacity) - delta_bytes(m->delta_records);
	if (!may_lend(m, m->lent_bytes + bytes))
		return -ENOMEM;
	m->replay_bytes = bytes;
	lent_set(pool, m->lent_bytes + bytes);
	delta_fini(pool_delta(pool));
	r = order_make(pool, capacity);
	return r < 0 ? r : delta_init(pool_delta(pool), capacity);
}

void memory_after_replay(struct pool *pool)
{
	struct engine_memory *m = &pool->memory;
	struct delta *large = &pool->deltas[!pool->active];
	struct delta small;

	if (large->capacity <= m->delta_records || delta_init(&small, m->delta_records) < 0)
		return; /* tried again after the next one */
	ASSERT_U64(large->count, ==, 0);
	delta_fini(large);
	*large = small;
	order_shrink(&pool->order, m->delta_records);
	order_shrink(&pool->order_scratch, m->delta_records);
	memory_return(pool, m->replay_bytes);
	m->replay_bytes = 0;
}

/* --- Taking it ------------------------------------------------------------------------------- */

static int buffers_init(struct pool *pool)
{
	const size_t bytes = (size_t)pool->memory.buffer_pages * PAGE_BYTES;

	pool->buffers = aligned_alloc(PAGE_BYTES, bytes);
	if (!pool->buffers)
		return -ENOMEM;
	pool->buffers_free = calloc(pool->memory.buffer_pages, sizeof(*pool->buffers_free));
	if (!pool->buffers_free)
		return -ENOMEM;
	while (pool->buffers_free_count < pool->memory.buffer_pages) {
		pool->buffers_free[pool->buffers_free_count] =
			pool->buffers + (size_t)pool->buffers_free_count * PAGE_BYTES;
		pool->buffers_free_count++;
	}
	/* Faster where the kernel takes it; nothing depends on it. */
	loop_buffers_register(pool->loop, pool->buffers, bytes);
	return 0;
}

static void work(struct loop_task *task)
{
	struct pool *pool = container_of(task, struct pool, work);

	for (uint32_t i = 0; pool->trims_waiting > 0 && i < pool->volume_limit; i++) {
		if (pool->volumes[i])
			trims_progress(pool->volumes[i]);
	}
	patches_progress(pool);
	reads_retry(pool);
	copies_look(pool);
	writes_process(pool);
}

void pool_work(struct pool *pool)
{
	loop_task_post(pool->loop, &pool->work);
}

static void lists_init(struct pool *pool)
{
	struct list *const lists[] = {
		&pool->wios_free, &pool->rios_free,	&pool->runs_free,
		&pool->incoming,  &pool->wios_logging,	&pool->rios_waiting,
		&pool->repairs,	  &pool->reads_waiting, &pool->copies,
	};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		list_init(lists[i]);
	loop_task_init(&pool->work, work);
}

int io_init(struct pool *pool)
{
	const struct engine_memory *m = &pool->memory;
	int r;

	lists_init(pool);
	r = buffers_init(pool);
	if (r == 0)
		r = patches_init(pool);
	for (unsigned i = 0; r == 0 && i < 2; i++)
		r = delta_init(&pool->deltas[i], m->delta_records);
	if (r == 0)
		r = order_make(pool, m->delta_records);
	pool->wios = calloc(m->wios, sizeof(*pool->wios));
	pool->rios = calloc(m->rios, sizeof(*pool->rios));
	pool->runs = calloc(m->runs, sizeof(*pool->runs));
	if (r < 0 || !pool->wios || !pool->rios || !pool->runs)
		return -ENOMEM;
	for (unsigned i = 0; i < m->wios; i++)
		list_append(&pool->wios_free, &pool->wios[i].node);
	for (unsigned i = 0; i < m->rios; i++)
		list_append(&pool->rios_free, &pool->rios[i].node);
	for (unsigned i = 0; i < m->runs; i++)
		list_append(&pool->runs_free, &pool->runs[i].node);
	return 0;
}

void io_fini(struct pool *pool)
{
	if (pool->buffers) {
		loop_buffers_unregister(pool->loop, pool->buffers,
					(size_t)pool->memory.buffer_pages * PAGE_BYTES);
		loop_task_cancel(&pool->work);
	}
	free(pool->buffers);
	free(pool->buffers_free);
	patches_fini(pool);
	delta_fini(&pool->deltas[0]);
	delta_fini(&pool->deltas[1]);
	free(pool->order);
	free(pool->order_scratch);
	free(pool->wios);
	free(pool->rios);
	free(pool->runs);
}

bool io_idle(const struct pool *pool)
{
	for (unsigned i = 0; pool->patches_used > 0 && i < PATCHES_MAX; i++) {
		if (pool->patches[i].volume && pool->patches[i].merging)
			return false;
	}
	return pool->writes_in_flight == 0 && pool->reads_in_flight == 0 &&
	       list_empty(&pool->incoming) && list_empty(&pool->copies) &&
	       list_empty(&pool->reads_waiting) && !pool->repairer;
}
