/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compare, Verify, and fused Compare and Write (NVMe 1.4, 6.6, 6.15, 4.12).
 *
 * The two halves of a fused pair stand next to each other in one submission queue. The first one
 * waits in sq->fused for the command behind it. A matching second half starts the pair: it gets
 * the namespace for itself (gate.c), which makes it atomic against all other commands, compares,
 * and writes when all is equal. Both halves always complete: the first with the comparison's
 * status, the second with the write's, or "aborted, failed fused" when the comparison failed.
 */
#include "controller.h"

#include <string.h>

#define FUSE_FIRST 1
#define FUSE_SECOND 2

static void read_prepare(struct nvme_request *req, uint64_t offset, uint64_t bytes)
{
	struct block_request *block = &req->block;

	memset(req->bounce, 0, bytes);
	req->bounce_piece = (struct iovec){.iov_base = req->bounce, .iov_len = bytes};
	block->op = BLOCK_READ;
	block->flags = 0;
	block->offset = offset;
	block->length_bytes = bytes;
	block->iov = &req->bounce_piece;
	block->iov_count = 1;
}

/* --- Compare ------------------------------------------------------------------------------------
 */

static uint16_t compare_status(struct nvme_request *req)
{
	if (req->block.result < 0)
		return nvme_status_from_errno(req->block.result, false);
	if (nvme_request_abandoned(req))
		return NVME_ABORTED_REQUEST;
	return nvme_data_equal(req, req->bounce) ? NVME_SUCCESS : NVME_COMPARE_FAILURE;
}

static void compare_done(struct block_request *block)
{
	struct nvme_request *req = container_of(block, struct nvme_request, block);

	req->controller->stats.others++;
	nvme_request_complete(req, compare_status(req), 0);
}

static void compare_read(struct nvme_request *req)
{
	read_prepare(req, req->slba << req->namespace->lba_shift, req->data_bytes);
	nvme_io_submit(req, compare_done);
}

/* Checks and maps; NVME_SUCCESS when the comparison may begin. */
static uint16_t compare_prepare(struct nvme_request *req)
{
	const uint64_t length = ((uint64_t)(req->command.dw12 & 0xFFFF) + 1)
				<< req->namespace->lba_shift;
	uint64_t bytes = 0;
	uint16_t status = length > NVME_MDTS_BYTES ? NVME_INVALID_FIELD | NVME_DNR : NVME_SUCCESS;

	if (!status)
		status = nvme_io_range(req, &bytes);
	return status ? status : nvme_io_map(req, bytes, GUEST_READ);
}

void nvme_io_compare(struct nvme_request *req)
{
	const uint16_t status = compare_prepare(req);

	if (status)
		nvme_request_complete(req, status, 0);
	else
		nvme_bounce_take(req, compare_read);
}

/* --- Verify --------------------------------------------------------------------------------------
 */

/* Reads the range through the bounce buffer; req->cursor counts the bytes done. */
static bool verify_step(struct nvme_request *req)
{
	const uint64_t start = req->slba << req->namespace->lba_shift;
	const uint64_t bytes = MIN(req->data_bytes - req->cursor, NVME_MDTS_BYTES);

	if (req->step_result < 0 || nvme_request_abandoned(req) || bytes == 0) {
		req->controller->stats.others++;
		nvme_io_end(req, req->step_result, false);
		return false;
	}
	read_prepare(req, start + req->cursor, bytes);
	req->cursor += bytes;
	nvme_io_submit(req, nvme_io_step_done);
	return true;
}

void nvme_io_verify(struct nvme_request *req)
{
	const uint16_t status = nvme_io_range(req, &req->data_bytes);

	if (status) {
		nvme_request_complete(req, status, 0);
		return;
	}
	req->step = verify_step;
	req->step_result = 0;
	req->cursor = 0;
	nvme_bounce_take(req, nvme_request_step);
}

/* --- Fused Compare and Write ---------------------------------------------------------------------
 */

static void pair_complete(struct nvme_request *first, uint16_t first_status, uint16_t second_status)
{
	struct nvme_request *second = first->partner;

	first->partner = NULL;
	nvme_request_complete(first, first_status, 0);
	nvme_request_complete(second, second_status, 0);
}

static void pair_compared(struct block_request *block)
{
	struct nvme_request *first = container_of(block, struct nvme_request, block);
	struct nvme_request *second = first->partner;
	const uint16_t status = compare_status(first);

	first->controller->stats.others++;
	if (status) {
		pair_complete(first, status, NVME_ABORTED_FUSED_FAILED);
		return;
	}
	first->partner = NULL;
	nvme_request_complete(first, NVME_SUCCESS, 0);
	nvme_io_write(second);
}

static void pair_read(struct nvme_request *first)
{
	if (nvme_request_abandoned(first)) {
		pair_complete(first, NVME_ABORTED_REQUEST, NVME_ABORTED_REQUEST);
		return;
	}
	read_prepare(first, first->slba << first->namespace->lba_shift, first->data_bytes);
	nvme_io_submit(first, pair_compared);
}

/* The namespace is ours until `second` ends. */
static void pair_granted(struct nvme_wait *wait)
{
	struct nvme_request *second = container_of(wait, struct nvme_request, wait);
	struct nvme_request *first = second->partner;
	struct nvme_namespace *ns = second->gate;
	uint16_t status;

	second->partner = NULL;
	ns->in_flight += 2;
	first->namespace = ns;
	second->namespace = ns;
	status = nvme_request_abandoned(first) ? NVME_ABORTED_REQUEST : compare_prepare(first);
	if (status)
		pair_complete(first, status, NVME_ABORTED_FUSED_FAILED);
	else
		nvme_bounce_take(first, pair_read);
}

void nvme_io_fused_start(struct nvme_request *first)
{
	struct nvme_request *second = first->partner;
	uint16_t status = NVME_SUCCESS;
	struct nvme_namespace *ns = nvme_io_namespace(first, &status);

	if (!ns) {
		pair_complete(first, status, status);
	} else if (!list_empty(&ns->gate_waiters)) {
		/* Comes back through nvme_io_resume(). */
		list_append(&ns->gated_requests, &first->node);
	} else {
		second->partner = first;
		second->gate = ns;
		second->wait.done = pair_granted;
		nvme_gate_enter(ns, &second->wait);
	}
}

static bool pair_matches(const struct nvme_command *first, const struct nvme_command *second)
{
	return second->opcode == NVME_IO_WRITE && first->nsid == second->nsid &&
	       first->dw10 == second->dw10 && first->dw11 == second->dw11 &&
	       (first->dw12 & 0xFFFF) == (second->dw12 & 0xFFFF) && first->psdt <= 2 &&
	       second->psdt <= 2;
}

/* `first` waited and this is the command behind it. */
static bool second_arrives(struct nvme_request *first, struct nvme_request *req)
{
	req->sq->fused = NULL;
	if (req->command.fuse != FUSE_SECOND) {
		nvme_request_complete(first, NVME_ABORTED_FUSED_MISSING, 0);
		return false;
	}
	first->partner = req;
	if (pair_matches(&first->command, &req->command))
		nvme_io_fused_start(first);
	else
		pair_complete(first, NVME_INVALID_FIELD | NVME_DNR, NVME_INVALID_FIELD | NVME_DNR);
	return true;
}

bool nvme_io_fused_arrive(struct nvme_request *req)
{
	struct nvme_request *first = req->sq->fused;

	if (first && second_arrives(first, req))
		return true;
	if (req->command.fuse == FUSE_FIRST && req->command.opcode == NVME_IO_COMPARE) {
		req->sq->fused = req;
		return true;
	}
	if (req->command.fuse == FUSE_SECOND) {
		nvme_request_complete(req, NVME_ABORTED_FUSED_MISSING, 0);
		return true;
	}
	if (req->command.fuse)
		nvme_request_complete(req, NVME_INVALID_FIELD | NVME_DNR, 0);
	return req->command.fuse != 0;
}
