/* SPDX-License-Identifier: Apache-2.0 */
/* The pool's memory: how much of what, taken at import; and the task that goes round the queues. */
#include <errno.h>
#include <stdlib.h>

#include <quoin/base_assert.h>
#include <quoin/base_size.h>

#include "engine/import.h"

#define DELTA_COST 160 /* bytes a record of each generation costs, with what it may free */
#define DELTA_RECORDS_MIN 1024
#define DELTA_RECORDS_MAX (4U << 20)

static uint32_t clamp(uint64_t value, uint64_t low, uint64_t high)
{
	return (uint32_t)(value < low ? low : value > high ? high : value);
}

int memory_plan(struct pool *pool, const struct pool_open_params *params, struct err *err)
{
	struct engine_memory *m = &pool->memory;
	struct space_sums sums;
	uint64_t slots;
	uint64_t bitmaps;
	uint64_t left;
	char text[SIZE_TEXT_MAX];

	space_sums(pool->space, &sums);
	slots = sums.data_total + sums.meta_segments;
	bitmaps = slots / 4;
	if (params->memory_bytes < MAX(POOL_MEMORY_MIN, 2 * bitmaps))
		return err_set(err, -ENOMEM,
			       "this pool needs %s of memory at least: give quoind more with "
			       "--memory",
			       size_format(MAX(POOL_MEMORY_MIN, 2 * bitmaps), text));
	left = params->memory_bytes - bitmaps;
	pool->memory_bytes = params->memory_bytes;
	m->delta_records = params->delta_records
				   ? (uint32_t)params->delta_records
				   : clamp(MIN(left / 4 / (2 * DELTA_COST), slots / 32),
					   DELTA_RECORDS_MIN, DELTA_RECORDS_MAX);
	m->buffer_pages = clamp(left / 8 / PAGE_BYTES, 512, 8192);
	m->wios = m->buffer_pages / 16;
	m->rios = 256;
	m->runs = 512;
	return 0;
}

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
	writes_process(pool);
}

void pool_work(struct pool *pool)
{
	loop_task_post(pool->loop, &pool->work);
}

static void lists_init(struct pool *pool)
{
	struct list *const lists[] = {
		&pool->wios_free,    &pool->rios_free,	  &pool->runs_free, &pool->incoming,
		&pool->wios_logging, &pool->rios_waiting, &pool->repairs,   &pool->reads_waiting,
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
	pool->order = calloc(m->delta_records, sizeof(*pool->order));
	pool->order_scratch = calloc(m->delta_records, sizeof(*pool->order_scratch));
	pool->wios = calloc(m->wios, sizeof(*pool->wios));
	pool->rios = calloc(m->rios, sizeof(*pool->rios));
	pool->runs = calloc(m->runs, sizeof(*pool->runs));
	if (r < 0 || !pool->order || !pool->order_scratch || !pool->wios || !pool->rios ||
	    !pool->runs)
		return -ENOMEM;
	for (unsigned i = 0; i < m->wios; i++)
		list_append(&pool->wios_free, &pool->wios[i].node);
	for (unsigned i = 0; i < m->rios; i++)
		list_append(&pool->rios_free, &pool->rios[i].node);
	for (unsigned i = 0; i < m->runs; i++)
		list_append(&pool->runs_free, &pool->runs[i].node);
	return 0;
}

int memory_for_replay(struct pool *pool, uint64_t records)
{
	/* More than both deltas had is of a pool that had more memory. */
	const uint32_t most = 2 * pool->memory.delta_records;
	uint32_t capacity;

	if (records <= pool->memory.delta_records)
		return 0;
	capacity = (uint32_t)MIN(records, (uint64_t)most);
	delta_fini(pool_delta(pool));
	free(pool->order);
	free(pool->order_scratch);
	pool->order = calloc(capacity, sizeof(*pool->order));
	pool->order_scratch = calloc(capacity, sizeof(*pool->order_scratch));
	return !pool->order || !pool->order_scratch ? -ENOMEM
						    : delta_init(pool_delta(pool), capacity);
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
	       list_empty(&pool->incoming) && list_empty(&pool->reads_waiting) && !pool->repairer;
}
