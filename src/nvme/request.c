/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool of commands in flight, and the one way a command ends.
 *
 * The free list is last in, first out, and requests that were never used come after it: a guest
 * that keeps few commands in flight touches little memory.
 *
 *   FREE -> RUNNING -> FINISHED -> FREE
 *              |  ^        (a finished request waits only when its CQE cannot be posted)
 *              v  |
 *            PARKED
 */
#include "controller.h"

#include <errno.h>
#include <sys/mman.h>

int nvme_requests_init(struct nvme_controller *c, unsigned count)
{
	/* Mapped, so that the pages are untouched. */
	void *memory = mmap(NULL, sizeof(struct nvme_request) * count, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return -ENOMEM;
	c->requests = memory;
	c->request_count = count;
	c->free_count = count;
	return 0;
}

void nvme_requests_fini(struct nvme_controller *c)
{
	ASSERT_U64(c->free_count, ==, c->request_count);
	munmap(c->requests, sizeof(struct nvme_request) * c->request_count);
}

static struct nvme_request *fresh_request(struct nvme_controller *c)
{
	struct nvme_request *req = &c->requests[c->request_fresh++];

	req->controller = c;
	list_init(&req->node);
	list_init(&req->wait.node);
	return req;
}

struct nvme_request *nvme_request_take(struct nvme_controller *c, struct nvme_sq *sq)
{
	struct nvme_request *req = c->free_requests;

	if (c->free_count <= (sq->id ? NVME_ADMIN_REQUESTS : 0U))
		return NULL;
	if (LIKELY(req)) {
		c->free_requests = req->next_free;
		__builtin_prefetch(req->next_free, 1);
	} else {
		req = fresh_request(c);
	}
	ASSERT(req->state == NVME_REQUEST_FREE);
	c->free_count--;
	c->in_flight++;
	sq->in_flight++;
	sq->cq->reserved++;
	req->state = NVME_REQUEST_RUNNING;
	req->sq = sq;
	req->cq = sq->cq;
	req->sq_id = sq->id;
	req->life = c->life;
	req->reserved = true;
	req->stepping = false;
	req->bucket = false;
	c->newest = req;
	return req;
}

void nvme_request_free(struct nvme_request *req)
{
	struct nvme_controller *c = req->controller;

	if (UNLIKELY(req == c->doorbells.sample))
		nvme_doorbells_sampled(c);
	req->state = NVME_REQUEST_FREE;
	req->next_free = c->free_requests;
	c->free_requests = req;
	c->free_count++;
}

bool nvme_request_abandoned(const struct nvme_request *req)
{
	return req->life != req->controller->life;
}

void nvme_request_park(struct nvme_request *req)
{
	struct nvme_controller *c = req->controller;

	ASSERT(req->state == NVME_REQUEST_RUNNING && req->reserved);
	req->state = NVME_REQUEST_PARKED;
	req->reserved = false;
	req->cq->reserved--;
	req->sq->in_flight--;
	c->in_flight--;
	if (c->in_flight == 0)
		nvme_registers_idle(c);
}

static void unpark(struct nvme_request *req)
{
	req->state = NVME_REQUEST_RUNNING;
	req->controller->in_flight++;
	req->sq->in_flight++;
}

static void count_error(struct nvme_request *req)
{
	req->controller->stats.errors++;
	nvme_error_log_add(req);
}

/* Gives back what the command used; afterwards nothing of it touches guest memory. */
static void release(struct nvme_request *req)
{
	if (req->hold.epoch)
		guest_hold_drop(req->controller->memory, &req->hold);
	if (UNLIKELY(req->bounce))
		nvme_bounce_release(req);
}

void nvme_request_complete(struct nvme_request *req, uint16_t status, uint32_t dw0)
{
	struct nvme_controller *c = req->controller;
	struct nvme_namespace *ns = req->namespace;
	struct nvme_namespace *gate = req->gate;
	const bool parked = req->state == NVME_REQUEST_PARKED;

	ASSERT(parked || req->state == NVME_REQUEST_RUNNING);
	release(req);
	req->namespace = NULL;
	if (UNLIKELY(gate)) {
		req->gate = NULL;
		nvme_gate_leave(gate, &req->wait);
	}
	if (UNLIKELY(nvme_request_abandoned(req))) {
		nvme_request_free(req);
		if (parked)
			return;
	} else {
		if (UNLIKELY(parked))
			unpark(req);
		req->status = status;
		req->result = dw0;
		if (UNLIKELY(status != NVME_SUCCESS))
			count_error(req);
		nvme_cq_finish(c, req);
	}
	if (ns)
		nvme_gate_out(ns);
	c->in_flight--;
	if (c->in_flight == 0)
		nvme_registers_idle(c);
}

void nvme_request_step(struct nvme_request *req)
{
	if (req->stepping) {
		req->step_again = true;
		return;
	}
	req->stepping = true;
	do {
		req->step_again = false;
		if (!req->step(req))
			return;
	} while (req->step_again);
	req->stepping = false;
}
