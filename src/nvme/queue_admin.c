/* SPDX-License-Identifier: Apache-2.0 */
/* Create and Delete I/O Submission and Completion Queue (NVMe 1.4, 5.3 to 5.6). */
#include "controller.h"

#define PHYSICALLY_CONTIGUOUS 1U
#define INTERRUPTS_ENABLED 2U
#define CC_IOSQES(cc) (((cc) >> 16) & 0xF)
#define CC_IOCQES(cc) (((cc) >> 20) & 0xF)

static void end(struct nvme_request *req, uint16_t status)
{
	nvme_request_complete(req, status ? status | NVME_DNR : status, 0);
}

static unsigned queue_id(const struct nvme_request *req)
{
	return req->command.dw10 & 0xFFFF;
}

static uint32_t queue_size(const struct nvme_request *req)
{
	return (req->command.dw10 >> 16) + 1;
}

static bool id_possible(const struct nvme_controller *c, unsigned id)
{
	return id >= 1 && id <= c->params.queue_pairs;
}

/* What Create SQ and Create CQ check alike, after the identifier. */
static uint16_t check_shape(const struct nvme_request *req, unsigned entry_size_log2,
			    unsigned entry_size_want)
{
	const struct nvme_controller *c = req->controller;
	const struct nvme_command *cmd = &req->command;

	if (queue_size(req) < 2 || queue_size(req) > c->params.queue_entries)
		return NVME_INVALID_QUEUE_SIZE;
	if (entry_size_log2 != entry_size_want)
		return NVME_INVALID_QUEUE_SIZE;
	if (!(cmd->dw11 & PHYSICALLY_CONTIGUOUS))
		return NVME_INVALID_FIELD;
	if (!is_aligned(cmd->prp1, NVME_PAGE))
		return NVME_INVALID_PRP_OFFSET;
	return NVME_SUCCESS;
}

static uint16_t create_cq(struct nvme_request *req)
{
	struct nvme_controller *c = req->controller;
	const struct nvme_command *cmd = &req->command;
	const unsigned id = queue_id(req);
	const unsigned vector = cmd->dw11 >> 16;
	const bool interrupts = cmd->dw11 & INTERRUPTS_ENABLED;
	uint16_t status;

	if (!id_possible(c, id) || c->cqs[id].state != NVME_QUEUE_ABSENT)
		return NVME_INVALID_QUEUE_ID;
	status = check_shape(req, CC_IOCQES(c->registers.cc), 4);
	if (status)
		return status;
	/* Firmware leaves interrupts off and the vector at zero: judge it only when it counts. */
	if (interrupts && vector > c->params.queue_pairs)
		return NVME_INVALID_VECTOR;
	nvme_cq_start(c, id, cmd->prp1, queue_size(req));
	c->cqs[id].interrupts = interrupts;
	c->cqs[id].vector = interrupts ? (uint16_t)vector : 0;
	return NVME_SUCCESS;
}

void nvme_queue_create_cq(struct nvme_request *req)
{
	end(req, create_cq(req));
}

static uint16_t create_sq(struct nvme_request *req)
{
	struct nvme_controller *c = req->controller;
	const struct nvme_command *cmd = &req->command;
	const unsigned id = queue_id(req);
	const unsigned cq_id = cmd->dw11 >> 16;
	uint16_t status;

	if (!id_possible(c, cq_id) || c->cqs[cq_id].state != NVME_QUEUE_LIVE)
		return NVME_INVALID_CQ;
	if (!id_possible(c, id) || c->sqs[id].state != NVME_QUEUE_ABSENT)
		return NVME_INVALID_QUEUE_ID;
	status = check_shape(req, CC_IOSQES(c->registers.cc), 6);
	if (status)
		return status;
	nvme_sq_start(c, id, cmd->prp1, queue_size(req), &c->cqs[cq_id]);
	return NVME_SUCCESS;
}

void nvme_queue_create_sq(struct nvme_request *req)
{
	end(req, create_sq(req));
}

static void live_remove(struct nvme_controller *c, const struct nvme_sq *sq)
{
	for (unsigned i = 0; i < c->live_count; i++) {
		if (c->live[i] != sq)
			continue;
		c->live[i] = c->live[--c->live_count];
		return;
	}
	UNREACHABLE();
}

/* Finished commands whose CQE could not be posted end without one. */
static void finished_drop(struct nvme_sq *sq)
{
	list_for_each_safe (node, tmp, &sq->cq->finished) {
		struct nvme_request *req = container_of(node, struct nvme_request, node);

		if (req->sq != sq)
			continue;
		list_remove(&req->node);
		if (req->reserved)
			sq->cq->reserved--;
		sq->in_flight--;
		nvme_request_free(req);
	}
}

/*
 * Commands in flight complete as usual, the last of them completes the deletion, so the guest
 * hears nothing of this queue after it.
 */
void nvme_queue_delete_sq(struct nvme_request *req)
{
	struct nvme_controller *c = req->controller;
	const unsigned id = queue_id(req);
	struct nvme_sq *sq;
	struct nvme_request *fused;

	if (!id_possible(c, id) || c->sqs[id].state != NVME_QUEUE_LIVE) {
		end(req, NVME_INVALID_QUEUE_ID);
		return;
	}
	sq = &c->sqs[id];
	sq->state = NVME_QUEUE_DELETING;
	live_remove(c, sq);
	fused = sq->fused;
	sq->fused = NULL;
	if (fused)
		nvme_request_complete(fused, NVME_ABORTED_SQ_DELETED, 0);
	finished_drop(sq);
	nvme_request_park(req);
	sq->deleter = req;
	/* Stands for the deletion itself. */
	sq->in_flight++;
	nvme_sq_command_ended(sq);
}

static uint16_t delete_cq(struct nvme_request *req)
{
	struct nvme_controller *c = req->controller;
	const unsigned id = queue_id(req);

	if (!id_possible(c, id) || c->cqs[id].state != NVME_QUEUE_LIVE)
		return NVME_INVALID_QUEUE_ID;
	if (c->cqs[id].sq_count > 0)
		return NVME_INVALID_QUEUE_DELETION;
	ASSERT(list_empty(&c->cqs[id].finished) && c->cqs[id].reserved == 0);
	c->cqs[id].state = NVME_QUEUE_ABSENT;
	nvme_interrupts_cq_gone(c, &c->cqs[id]);
	return NVME_SUCCESS;
}

void nvme_queue_delete_cq(struct nvme_request *req)
{
	end(req, delete_cq(req));
}

bool nvme_queues_io_exist(const struct nvme_controller *c)
{
	for (unsigned i = 1; i <= c->params.queue_pairs; i++)
		if (c->sqs[i].state != NVME_QUEUE_ABSENT || c->cqs[i].state != NVME_QUEUE_ABSENT)
			return true;
	return false;
}
