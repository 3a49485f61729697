/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Submission and completion rings: fetch an entry, post an entry (NVMe 1.4, 4.1, 4.2, 4.6).
 *
 *  1. A command is fetched only when a slot of its CQ can be promised to it, so a CQ never
 *     overflows, however small the guest made it: used + reserved <= size - 1.
 *  2. An SQE is copied once, after the tail was read with acquire order, and judged in the copy.
 *  3. A CQE is two aligned 8-byte stores. The second one carries the phase and is a release
 *     store: whoever sees the new phase sees the rest.
 *  4. Pages of rings are looked up again whenever guest memory changed. A ring that is out of
 *     reach is suspended: nothing is fetched, finished commands wait. That is no error: firmware
 *     re-maps all memory under live queues.
 */
#include "controller.h"

#include <string.h>

static bool ring_look_up(struct nvme_controller *c, struct nvme_ring *ring, unsigned prot)
{
	ring->generation = guest_memory_generation(c->memory);
	ring->reachable = true;
	for (unsigned i = 0; i < ring->page_count; i++) {
		const struct guest_addr page = {ring->base.value + (uint64_t)i * NVME_PAGE};

		ring->pages[i] = guest_resolve(c->memory, page, NVME_PAGE, prot);
		if (!ring->pages[i])
			ring->reachable = false;
	}
	return ring->reachable;
}

static inline bool ring_in_reach(struct nvme_controller *c, struct nvme_ring *ring, unsigned prot)
{
	if (LIKELY(ring->generation == guest_memory_generation(c->memory)))
		return ring->reachable;
	return ring_look_up(c, ring, prot);
}

static inline uint8_t *ring_entry(const struct nvme_ring *ring, uint32_t index, uint32_t size)
{
	const uint32_t offset = index * size;

	return ring->pages[offset / NVME_PAGE] + offset % NVME_PAGE;
}

static void ring_start(struct nvme_ring *ring, uint64_t base, uint32_t size_bytes)
{
	ring->base.value = base;
	ring->page_count = (size_bytes + NVME_PAGE - 1) / NVME_PAGE;
	ring->generation = 0;
	ring->reachable = false;
	ASSERT_U64(ring->page_count, <=, NVME_ADMIN_SQ_PAGES_MAX);
}

/* --- Completion queues --------------------------------------------------------------------- */

void nvme_cq_start(struct nvme_controller *c, unsigned id, uint64_t base, uint32_t size)
{
	struct nvme_cq *cq = &c->cqs[id];

	ASSERT(cq->state == NVME_QUEUE_ABSENT && list_empty(&cq->finished));
	cq->state = NVME_QUEUE_LIVE;
	cq->size = size;
	cq->head = 0;
	cq->tail = 0;
	cq->phase = 1;
	cq->vector = 0;
	cq->interrupts = true;
	cq->sq_count = 0;
	cq->reserved = 0;
	cq->unsignalled = 0;
	ring_start(&cq->ring, base, size * NVME_CQE_SIZE);
	nvme_doorbell_cq_started(c, cq);
}

unsigned nvme_cq_room(const struct nvme_cq *cq)
{
	const uint32_t used = nvme_ring_distance(cq->head, cq->tail, cq->size);

	ASSERT_U64(used + cq->reserved, <=, cq->size - 1);
	return cq->size - 1 - used - cq->reserved;
}

static void cqe_store(struct nvme_cq *cq, const struct nvme_request *req)
{
	uint64_t *entry = (void *)ring_entry(&cq->ring, cq->tail, NVME_CQE_SIZE);
	const uint16_t status = (uint16_t)((unsigned)req->status << 1 | cq->phase);
	const uint64_t last = (uint64_t)req->sq->head | (uint64_t)req->sq_id << 16 |
			      (uint64_t)req->command.cid << 32 | (uint64_t)status << 48;

	__atomic_store_n(entry, htole64(req->result), __ATOMIC_RELAXED);
	__atomic_store_n(entry + 1, htole64(last), __ATOMIC_RELEASE);
}

/* False when the ring is out of reach or has no room for it. */
static bool post(struct nvme_controller *c, struct nvme_cq *cq, struct nvme_request *req)
{
	if (UNLIKELY(!ring_in_reach(c, &cq->ring, GUEST_WRITE) || !nvme_controller_may_dma(c)))
		return false;
	if (UNLIKELY(!req->reserved)) {
		if (nvme_cq_room(cq) == 0)
			nvme_doorbell_cq_refresh(c, cq);
		if (nvme_cq_room(cq) == 0)
			return false;
	} else {
		cq->reserved--;
	}
	if (UNLIKELY(c->doorbells.armed))
		nvme_doorbells_awake(c);
	cqe_store(cq, req);
	cq->tail++;
	if (cq->tail == cq->size) {
		cq->tail = 0;
		cq->phase ^= 1;
	}
	c->doorbells.answered = true;
	nvme_interrupt_posted(c, cq);
	return true;
}

void nvme_sq_command_ended(struct nvme_sq *sq)
{
	struct nvme_request *deleter = sq->deleter;

	sq->in_flight--;
	if (UNLIKELY(deleter && sq->in_flight == 0)) {
		sq->deleter = NULL;
		sq->state = NVME_QUEUE_ABSENT;
		sq->cq->sq_count--;
		nvme_request_complete(deleter, NVME_SUCCESS, 0);
	}
}

void nvme_cq_finish(struct nvme_controller *c, struct nvme_request *req)
{
	struct nvme_cq *cq = req->cq;
	struct nvme_sq *sq = req->sq;

	if (LIKELY(list_empty(&cq->finished)) && LIKELY(post(c, cq, req))) {
		nvme_request_free(req);
		nvme_sq_command_ended(sq);
		return;
	}
	req->state = NVME_REQUEST_FINISHED;
	list_append(&cq->finished, &req->node);
}

void nvme_cq_post_finished(struct nvme_controller *c, struct nvme_cq *cq)
{
	if (LIKELY(list_empty(&cq->finished)))
		return;
	/* One without a promised slot may stay behind while others pass it. */
	for (unsigned left = c->request_count; left > 0 && !list_empty(&cq->finished); left--) {
		struct nvme_request *req = NULL;
		struct nvme_sq *sq;

		list_for_each (node, &cq->finished) {
			struct nvme_request *r = container_of(node, struct nvme_request, node);

			if (post(c, cq, r)) {
				req = r;
				break;
			}
		}
		if (!req)
			return;
		sq = req->sq;
		list_remove(&req->node);
		nvme_request_free(req);
		nvme_sq_command_ended(sq);
	}
}

/* --- Submission queues --------------------------------------------------------------------- */

void nvme_sq_start(struct nvme_controller *c, unsigned id, uint64_t base, uint32_t size,
		   struct nvme_cq *cq)
{
	struct nvme_sq *sq = &c->sqs[id];

	ASSERT(sq->state == NVME_QUEUE_ABSENT && !sq->deleter && !sq->fused);
	sq->state = NVME_QUEUE_LIVE;
	sq->size = size;
	sq->head = 0;
	sq->tail = 0;
	sq->cq = cq;
	sq->in_flight = 0;
	cq->sq_count++;
	ring_start(&sq->ring, base, size * NVME_SQE_SIZE);
	nvme_doorbell_sq_started(c, sq);
	c->live[c->live_count++] = sq;
}

/* The guest may write to the entry meanwhile: each word is read exactly once. */
static void sqe_fetch(const uint8_t *entry, struct nvme_command *cmd)
{
	const volatile uint64_t *word = (const volatile void *)entry;
	const uint64_t dw0 = le64toh(word[0]);
	const uint64_t dw10 = le64toh(word[5]);
	const uint64_t dw12 = le64toh(word[6]);
	const uint64_t dw14 = le64toh(word[7]);

	cmd->opcode = (uint8_t)dw0;
	cmd->fuse = (dw0 >> 8) & 3;
	cmd->psdt = (dw0 >> 14) & 3;
	cmd->cid = (uint16_t)(dw0 >> 16);
	cmd->nsid = (uint32_t)(dw0 >> 32);
	cmd->prp1 = le64toh(word[3]);
	cmd->prp2 = le64toh(word[4]);
	cmd->dw10 = (uint32_t)dw10;
	cmd->dw11 = (uint32_t)(dw10 >> 32);
	cmd->dw12 = (uint32_t)dw12;
	cmd->dw13 = (uint32_t)(dw12 >> 32);
	cmd->dw14 = (uint32_t)dw14;
	cmd->dw15 = (uint32_t)(dw14 >> 32);
}

/* How many commands may be fetched: those submitted for which the CQ has slots. */
static unsigned fetchable(struct nvme_controller *c, struct nvme_sq *sq, unsigned budget)
{
	unsigned count = nvme_ring_distance(sq->head, sq->tail, sq->size);

	count = MIN(count, budget);
	if (UNLIKELY(count > nvme_cq_room(sq->cq)))
		nvme_doorbell_cq_refresh(c, sq->cq);
	return MIN(count, nvme_cq_room(sq->cq));
}

unsigned nvme_sq_process(struct nvme_controller *c, struct nvme_sq *sq, unsigned budget)
{
	const uint32_t life = c->life;
	unsigned done = 0;
	unsigned count;

	if (sq->head == sq->tail || c->stopped || !nvme_controller_may_dma(c) ||
	    !ring_in_reach(c, &sq->ring, GUEST_READ))
		return 0;
	count = fetchable(c, sq, budget);
	while (done < count) {
		struct nvme_request *req = nvme_request_take(c, sq);

		if (UNLIKELY(!req))
			break;
		sqe_fetch(ring_entry(&sq->ring, sq->head, NVME_SQE_SIZE), &req->command);
		sq->head = (uint16_t)(sq->head + 1U == sq->size ? 0 : sq->head + 1);
		done++;
		if (done < count)
			__builtin_prefetch(ring_entry(&sq->ring, sq->head, NVME_SQE_SIZE));
		if (LIKELY(sq->id))
			nvme_io_execute(req);
		else
			nvme_admin_execute(req);
		/* The command may have ended in a reset, or in the end of this queue. */
		if (UNLIKELY(c->life != life || sq->state != NVME_QUEUE_LIVE || c->stopped ||
			     sq->ring.generation != guest_memory_generation(c->memory)))
			break;
	}
	return done;
}

/* --- The end of all queues ------------------------------------------------------------------ */

void nvme_queues_end_fused(struct nvme_controller *c, uint16_t status)
{
	for (unsigned i = 0; i <= c->params.queue_pairs; i++) {
		struct nvme_request *first = c->sqs[i].fused;

		if (!first)
			continue;
		c->sqs[i].fused = NULL;
		nvme_request_complete(first, status, 0);
	}
}

static void sq_drop(struct nvme_sq *sq)
{
	struct nvme_request *deleter = sq->deleter;

	sq->deleter = NULL;
	sq->state = NVME_QUEUE_ABSENT;
	if (deleter)
		nvme_request_complete(deleter, NVME_ABORTED_REQUEST, 0);
}

static void cq_drop(struct nvme_cq *cq)
{
	struct list *node;

	while ((node = list_pop(&cq->finished)))
		nvme_request_free(container_of(node, struct nvme_request, node));
	cq->state = NVME_QUEUE_ABSENT;
}

void nvme_queues_drop(struct nvme_controller *c)
{
	nvme_queues_end_fused(c, NVME_ABORTED_REQUEST);
	c->live_count = 0;
	for (unsigned i = 0; i <= c->params.queue_pairs; i++) {
		sq_drop(&c->sqs[i]);
		cq_drop(&c->cqs[i]);
	}
}
