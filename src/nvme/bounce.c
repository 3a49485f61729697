/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bounce buffers: a fixed number per controller, for data that does not suit the drive (alignment,
 * too many pieces, bit buckets) and for commands that read for themselves (Compare, Verify, Copy).
 * The address space is taken at the start, the pages when they are first used. Commands wait in
 * order when all are taken; a command holds at most one, so nobody waits in a circle.
 */
#include "controller.h"

#include <errno.h>
#include <sys/mman.h>

static void serve_waiters(struct loop_task *task)
{
	struct nvme_bounce_pool *pool = container_of(task, struct nvme_bounce_pool, task);

	while (pool->free_count > 0 && !list_empty(&pool->waiters)) {
		struct nvme_request *req =
			container_of(list_pop(&pool->waiters), struct nvme_request, node);

		if (nvme_request_abandoned(req) && !req->partner) {
			nvme_request_complete(req, NVME_ABORTED_REQUEST, 0);
			continue;
		}
		req->bounce = pool->free[--pool->free_count];
		req->resume(req);
	}
}

int nvme_bounce_init(struct nvme_controller *c)
{
	struct nvme_bounce_pool *pool = &c->bounces;
	void *memory = mmap(NULL, NVME_BOUNCE_BUFFERS * NVME_MDTS_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return -ENOMEM;
	pool->memory = memory;
	for (unsigned i = 0; i < NVME_BOUNCE_BUFFERS; i++)
		pool->free[i] = pool->memory + (NVME_BOUNCE_BUFFERS - 1 - i) * NVME_MDTS_BYTES;
	pool->free_count = NVME_BOUNCE_BUFFERS;
	list_init(&pool->waiters);
	loop_task_init(&pool->task, serve_waiters);
	return 0;
}

void nvme_bounce_fini(struct nvme_controller *c)
{
	ASSERT_U64(c->bounces.free_count, ==, NVME_BOUNCE_BUFFERS);
	loop_task_cancel(&c->bounces.task);
	munmap(c->bounces.memory, NVME_BOUNCE_BUFFERS * NVME_MDTS_BYTES);
}

void nvme_bounce_take(struct nvme_request *req, void (*resume)(struct nvme_request *req))
{
	struct nvme_bounce_pool *pool = &req->controller->bounces;

	ASSERT(!req->bounce);
	if (pool->free_count > 0 && list_empty(&pool->waiters)) {
		req->bounce = pool->free[--pool->free_count];
		resume(req);
		return;
	}
	req->resume = resume;
	list_append(&pool->waiters, &req->node);
}

void nvme_bounce_release(struct nvme_request *req)
{
	struct nvme_controller *c = req->controller;
	struct nvme_bounce_pool *pool = &c->bounces;

	pool->free[pool->free_count++] = req->bounce;
	req->bounce = NULL;
	if (!list_empty(&pool->waiters))
		loop_task_post(c->loop, &pool->task);
}
