/* SPDX-License-Identifier: Apache-2.0 */
/* Submitting, waiting, queue pairs and admin commands: see client_host.h. */
#include <errno.h>
#include <string.h>

#include <quoin/base_assert.h>

#include "client_host.h"

#define QUEUE_SIZE_DEFAULT 64

/* --- Rings -------------------------------------------------------------------------------- */

static void doorbell_init(struct host *host, struct host_doorbell *doorbell, unsigned index)
{
	const uint64_t stride = 4U << ((host->cap >> 32) & 0xF);

	*doorbell = (struct host_doorbell){
		.client = &host->client,
		.offset = REG_DOORBELLS + index * stride,
	};
	if (host->shadow && index >= 2) {
		doorbell->shadow = host->shadow + index;
		doorbell->event = host->event_index + index;
		atomic_store(doorbell->shadow, 0);
	}
	if (host->doorbell_page)
		doorbell->mapped =
			(_Atomic uint32_t *)(void *)(host->doorbell_page + index * stride);
}

void host_sq_init(struct host *host, struct host_sq *sq, unsigned id, unsigned size)
{
	*sq = (struct host_sq){
		.entries = ram_alloc(&host->ram, size * sizeof(struct nvme_sqe)),
		.id = (uint16_t)id,
		.size = (uint16_t)size,
	};
	doorbell_init(host, &sq->doorbell, 2 * id);
}

void host_cq_init(struct host *host, struct host_cq *cq, unsigned id, unsigned size)
{
	*cq = (struct host_cq){
		.entries = ram_alloc(&host->ram, size * sizeof(struct nvme_cqe)),
		.id = (uint16_t)id,
		.size = (uint16_t)size,
		.phase = 1,
		.event_fd = -1,
	};
	doorbell_init(host, &cq->doorbell, 2 * id + 1);
}

uint64_t host_doorbell_count(const struct host *host)
{
	uint64_t sum = 0;

	for (unsigned i = 1; i < HOST_QUEUES_MAX; i++)
		sum += host->queues[i].sq.doorbell.register_writes +
		       host->queues[i].cq.doorbell.register_writes;
	return sum;
}

/* --- Commands ----------------------------------------------------------------------------- */

int host_submit(struct host *host, unsigned queue, struct nvme_sqe sqe)
{
	struct host_queue *q = &host->queues[queue];

	if (host_sq_full(&q->sq))
		return -EBUSY;
	sqe.cid = q->next_cid++ & 0x7FFF;
	*host_sq_slot(&q->sq) = sqe;
	host_sq_push(&q->sq);
	host_sq_ring(&q->sq);
	return q->sq.doorbell.error ? q->sq.doorbell.error : sqe.cid;
}

/* Takes the entry at the head of the ring. */
static int reap_ring(struct host_queue *q, struct nvme_cqe *ret, int timeout_ms)
{
	int error = host_cq_wait(&q->cq, timeout_ms);

	if (error)
		return error;
	*ret = *host_cq_peek(&q->cq);
	host_cq_pop(&q->cq);
	host_cq_ring(&q->cq);
	if (ret->sq_id == q->sq.id)
		q->sq.head = ret->sq_head;
	return q->cq.doorbell.error;
}

int host_reap(struct host *host, unsigned queue, struct nvme_cqe *ret, int timeout_ms)
{
	struct host_queue *q = &host->queues[queue];

	if (q->stray_count == 0)
		return reap_ring(q, ret, timeout_ms);
	*ret = q->strays[0];
	q->stray_count--;
	memmove(q->strays, q->strays + 1, q->stray_count * sizeof(q->strays[0]));
	return 0;
}

static bool take_stray(struct host_queue *q, uint16_t cid, struct nvme_cqe *ret)
{
	for (unsigned i = 0; i < q->stray_count; i++) {
		if (q->strays[i].cid != cid)
			continue;
		*ret = q->strays[i];
		q->stray_count--;
		memmove(q->strays + i, q->strays + i + 1,
			(q->stray_count - i) * sizeof(q->strays[0]));
		return true;
	}
	return false;
}

int host_wait(struct host *host, unsigned queue, uint16_t cid, struct nvme_cqe *ret)
{
	struct host_queue *q = &host->queues[queue];

	if (take_stray(q, cid, ret))
		return 0;
	for (;;) {
		struct nvme_cqe cqe;
		const int error = reap_ring(q, &cqe, HOST_COMMAND_TIMEOUT_MS);

		if (error)
			return error;
		if (cqe.cid == cid) {
			*ret = cqe;
			return 0;
		}
		ASSERT(q->stray_count < HOST_STRAYS_MAX);
		q->strays[q->stray_count++] = cqe;
	}
}

int host_run(struct host *host, unsigned queue, struct nvme_sqe sqe, struct nvme_cqe *ret)
{
	const int cid = host_submit(host, queue, sqe);
	struct nvme_cqe cqe;
	int error;

	if (cid < 0)
		return cid;
	error = host_wait(host, queue, (uint16_t)cid, &cqe);
	if (error)
		return error;
	if (ret)
		*ret = cqe;
	return (int)nvme_cqe_status(&cqe);
}

/* --- Queue pairs -------------------------------------------------------------------------- */

static int create_cq(struct host *host, struct host_cq *cq, bool interrupts)
{
	const struct nvme_sqe sqe = {
		.opcode = ADMIN_CREATE_CQ,
		.prp1 = ram_addr(&host->ram, cq->entries),
		.dw10 = (uint32_t)(cq->size - 1) << 16 | cq->id,
		.dw11 = interrupts ? (uint32_t)cq->id << 16 | 3 : 1,
	};

	if (interrupts)
		cq->event_fd = host->event_fds[cq->id];
	return host_run(host, 0, sqe, NULL);
}

int host_queue_create(struct host *host, unsigned id, struct host_queue_options options)
{
	struct host_queue *q = &host->queues[id];
	const unsigned sq_size = options.sq_size ? options.sq_size : QUEUE_SIZE_DEFAULT;
	struct nvme_sqe sqe = {
		.opcode = ADMIN_CREATE_SQ,
		.dw10 = (sq_size - 1) << 16 | id,
		.dw11 = id << 16 | 1,
	};
	int error;

	host_cq_init(host, &q->cq, id, options.cq_size ? options.cq_size : sq_size);
	host_sq_init(host, &q->sq, id, sq_size);
	q->stray_count = 0;
	error = create_cq(host, &q->cq, options.interrupts);
	if (error)
		return error;
	sqe.prp1 = ram_addr(&host->ram, q->sq.entries);
	error = host_run(host, 0, sqe, NULL);
	q->created = !error;
	return error;
}

int host_queue_delete(struct host *host, unsigned id)
{
	const struct nvme_sqe delete_sq = {.opcode = ADMIN_DELETE_SQ, .dw10 = id};
	const struct nvme_sqe delete_cq = {.opcode = ADMIN_DELETE_CQ, .dw10 = id};
	const int error = host_run(host, 0, delete_sq, NULL);

	if (error)
		return error;
	host->queues[id].created = false;
	return host_run(host, 0, delete_cq, NULL);
}

static void attach_shadow(struct host *host, struct host_doorbell *doorbell, unsigned index)
{
	doorbell->shadow = host->shadow + index;
	doorbell->event = host->event_index + index;
}

int host_shadow_enable(struct host *host)
{
	_Atomic uint32_t *shadow = ram_alloc(&host->ram, RAM_PAGE);
	_Atomic uint32_t *event_index = ram_alloc(&host->ram, RAM_PAGE);
	const struct nvme_sqe sqe = {
		.opcode = ADMIN_DOORBELL_BUFFER,
		.prp1 = ram_addr(&host->ram, (const void *)shadow),
		.prp2 = ram_addr(&host->ram, (const void *)event_index),
	};
	const int error = host_run(host, 0, sqe, NULL);

	if (error)
		return error;
	host->shadow = shadow;
	host->event_index = event_index;
	for (unsigned i = 1; i < HOST_QUEUES_MAX; i++) {
		if (!host->queues[i].created)
			continue;
		attach_shadow(host, &host->queues[i].sq.doorbell, 2 * i);
		attach_shadow(host, &host->queues[i].cq.doorbell, 2 * i + 1);
	}
	return 0;
}

/* --- Admin commands ----------------------------------------------------------------------- */

int host_identify(struct host *host, unsigned cns, uint32_t nsid, void *page)
{
	const struct nvme_sqe sqe = {
		.opcode = ADMIN_IDENTIFY,
		.nsid = nsid,
		.prp1 = ram_addr(&host->ram, page),
		.dw10 = cns,
	};

	return host_run(host, 0, sqe, NULL);
}

int host_get_log(struct host *host, unsigned lid, void *to, uint32_t size)
{
	const struct nvme_sqe sqe = {
		.opcode = ADMIN_GET_LOG,
		.nsid = UINT32_MAX,
		.prp1 = ram_addr(&host->ram, to),
		.dw10 = (size / 4 - 1) << 16 | lid,
	};

	return host_run(host, 0, sqe, NULL);
}

int host_set_feature(struct host *host, unsigned fid, uint32_t value, uint32_t *ret)
{
	const struct nvme_sqe sqe = {.opcode = ADMIN_SET_FEATURES, .dw10 = fid, .dw11 = value};
	struct nvme_cqe cqe;
	const int status = host_run(host, 0, sqe, &cqe);

	if (!status && ret)
		*ret = cqe.result;
	return status;
}

int host_get_feature(struct host *host, unsigned fid, uint32_t *ret)
{
	const struct nvme_sqe sqe = {.opcode = ADMIN_GET_FEATURES, .dw10 = fid};
	struct nvme_cqe cqe;
	const int status = host_run(host, 0, sqe, &cqe);

	if (!status)
		*ret = cqe.result;
	return status;
}

int host_namespace_get(struct host *host, uint32_t nsid, struct host_namespace *ret)
{
	const uint64_t mark = ram_mark(&host->ram);
	uint8_t *page = ram_alloc(&host->ram, RAM_PAGE);
	const int status = host_identify(host, 0, nsid, page);
	uint32_t format;

	ram_release(&host->ram, mark);
	if (status)
		return status;
	memcpy(&ret->block_count, page, sizeof(ret->block_count));
	memcpy(&format, page + 128 + 4 * (page[26] & 0xFU), sizeof(format));
	ret->lba_shift = (format >> 16) & 0xFF;
	ret->read_only = page[99] & 1;
	return 0;
}
