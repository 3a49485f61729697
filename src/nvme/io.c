/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NVM commands: the checks all share, and Read, Write, Flush, Write Zeroes (NVMe 1.4, 6).
 *
 * Checks are made in this order: opcode, namespace, fuse and data pointer kind, length, range,
 * write protection, data pointer. All refuse with DNR: the same command would fail again.
 */
#include "controller.h"

#include <errno.h>
#include <string.h>

#define BROADCAST_NSID 0xFFFFFFFFU
#define DW12_FUA (1U << 30)
#define DW12_DEALLOCATE (1U << 25)

static void refuse(struct nvme_request *req, uint16_t status)
{
	nvme_request_complete(req, status | NVME_DNR, 0);
}

uint16_t nvme_status_from_errno(int error, bool write)
{
	switch (error) {
	case 0:
		return NVME_SUCCESS;
	case -ENOSPC:
	case -EDQUOT:
		return NVME_CAPACITY_EXCEEDED | NVME_DNR;
	case -ENXIO:
		/* The drive shrank under us. */
		return NVME_LBA_OUT_OF_RANGE | NVME_DNR;
	case -EROFS:
		return NVME_NS_WRITE_PROTECTED | NVME_DNR;
	case -EIO:
	case -EILSEQ:
	case -ENODATA:
		return write ? NVME_WRITE_FAULT : NVME_UNRECOVERED_READ;
	case -EAGAIN:
	case -EBUSY:
		return NVME_NS_NOT_READY;
	case -EOPNOTSUPP:
		return NVME_INVALID_FIELD | NVME_DNR;
	default:
		return NVME_INTERNAL_ERROR;
	}
}

/* --- Tools for all commands ------------------------------------------------------------------ */

void nvme_io_submit(struct nvme_request *req, void (*done)(struct block_request *block))
{
	struct nvme_controller *c = req->controller;
	struct nvme_namespace *ns = req->namespace;
	struct block_channel *channel = ns->channel;

	req->block.done = done;
	if (channel->kick) {
		c->kicks |= UINT64_C(1) << (ns->nsid - 1);
		if (!c->doorbells.in_poll)
			loop_task_post(c->loop, &c->interrupts.task);
	}
	block_submit(channel, &req->block);
}

void nvme_io_kick(struct nvme_controller *c)
{
	while (c->kicks) {
		const unsigned slot = (unsigned)__builtin_ctzll(c->kicks);

		c->kicks &= c->kicks - 1;
		if (c->namespaces[slot].channel)
			block_kick(c->namespaces[slot].channel);
	}
}

uint16_t nvme_io_map(struct nvme_request *req, uint64_t bytes, unsigned prot)
{
	const uint16_t status = nvme_data_map(req, bytes, prot);

	if (LIKELY(status == NVME_SUCCESS))
		req->hold = guest_hold_take(req->controller->memory);
	return status;
}

uint16_t nvme_io_range(struct nvme_request *req, uint64_t *ret_bytes)
{
	const struct nvme_namespace *ns = req->namespace;
	const struct nvme_command *cmd = &req->command;
	const uint32_t blocks = (cmd->dw12 & 0xFFFF) + 1;

	req->slba = cmd->dw10 | (uint64_t)cmd->dw11 << 32;
	if (!range_within(req->slba, blocks, ns->block_count))
		return NVME_LBA_OUT_OF_RANGE | NVME_DNR;
	*ret_bytes = (uint64_t)blocks << ns->lba_shift;
	return NVME_SUCCESS;
}

uint16_t nvme_io_writable(const struct nvme_request *req)
{
	const struct nvme_namespace *ns = req->namespace;

	if (UNLIKELY(ns->read_only || ns->channel->device->limits.read_only))
		return NVME_NS_WRITE_PROTECTED | NVME_DNR;
	return NVME_SUCCESS;
}

unsigned nvme_io_durable(const struct nvme_request *req)
{
	if ((req->command.dw12 & DW12_FUA) || !req->controller->features.write_cache)
		return BLOCK_FUA;
	return 0;
}

void nvme_io_end(struct nvme_request *req, int error, bool write)
{
	nvme_request_complete(req, nvme_status_from_errno(error, write), 0);
}

void nvme_io_step_done(struct block_request *block)
{
	struct nvme_request *req = container_of(block, struct nvme_request, block);

	if (block->result < 0 && req->step_result == 0)
		req->step_result = block->result;
	nvme_request_step(req);
}

/* --- Read and Write ----------------------------------------------------------------------------
 */

static void read_done(struct block_request *block)
{
	struct nvme_request *req = container_of(block, struct nvme_request, block);
	struct nvme_stats *stats = &req->controller->stats;

	if (LIKELY(block->result == 0)) {
		stats->reads++;
		stats->read_bytes += req->data_bytes;
		if (UNLIKELY(req->bounce) && !nvme_request_abandoned(req))
			nvme_data_copy_out(req, 0, req->bounce, req->data_bytes);
	}
	nvme_io_end(req, block->result, false);
}

static void write_done(struct block_request *block)
{
	struct nvme_request *req = container_of(block, struct nvme_request, block);
	struct nvme_stats *stats = &req->controller->stats;

	if (LIKELY(block->result == 0)) {
		stats->writes++;
		stats->written_bytes += req->data_bytes;
	}
	nvme_io_end(req, block->result, true);
}

/* Pieces a drive can take as they are; others go through a bounce buffer. */
static bool pieces_suit(const struct nvme_request *req)
{
	const struct block_limits *limits = &req->namespace->channel->device->limits;
	uint64_t bits = 0;

	for (unsigned i = 0; i < req->piece_count; i++)
		bits |= (uintptr_t)req->pieces[i].iov_base | req->pieces[i].iov_len;
	return is_aligned(bits, limits->buffer_alignment_bytes) && !req->bucket &&
	       req->piece_count <= limits->iov_max;
}

/* req->pieces stays for the copy; the drive gets one piece behind the last of them. */
static void bounce_use(struct nvme_request *req)
{
	req->bounce_piece =
		(struct iovec){.iov_base = req->bounce, .iov_len = req->block.length_bytes};
	req->block.iov = &req->bounce_piece;
	req->block.iov_count = 1;
}

static void read_bounced(struct nvme_request *req)
{
	/* A drive may leave a buffer as it was, and this one holds others' data. */
	memset(req->bounce, 0, req->data_bytes);
	bounce_use(req);
	nvme_io_submit(req, read_done);
}

static void write_bounced(struct nvme_request *req)
{
	nvme_data_copy_in(req, 0, req->bounce, req->data_bytes);
	bounce_use(req);
	nvme_io_submit(req, write_done);
}

static inline void transfer(struct nvme_request *req, bool write)
{
	const struct nvme_namespace *ns = req->namespace;
	struct block_request *block = &req->block;
	const uint64_t length = ((uint64_t)(req->command.dw12 & 0xFFFF) + 1) << ns->lba_shift;
	uint64_t bytes = 0;
	uint16_t status = length > NVME_MDTS_BYTES ? NVME_INVALID_FIELD | NVME_DNR : NVME_SUCCESS;

	if (LIKELY(!status))
		status = nvme_io_range(req, &bytes);
	if (LIKELY(!status) && write)
		status = nvme_io_writable(req);
	if (LIKELY(!status))
		status = nvme_io_map(req, bytes, write ? GUEST_READ : GUEST_WRITE);
	if (UNLIKELY(status)) {
		nvme_request_complete(req, status, 0);
		return;
	}
	block->op = write ? BLOCK_WRITE : BLOCK_READ;
	block->flags = write ? nvme_io_durable(req) : 0;
	block->offset = req->slba << ns->lba_shift;
	block->length_bytes = bytes;
	block->iov = req->pieces;
	block->iov_count = req->piece_count;
	if (LIKELY(pieces_suit(req)))
		nvme_io_submit(req, write ? write_done : read_done);
	else
		nvme_bounce_take(req, write ? write_bounced : read_bounced);
}

void nvme_io_write(struct nvme_request *req)
{
	transfer(req, true);
}

/* --- Flush --------------------------------------------------------------------------------------
 */

static void flush_done(struct block_request *block)
{
	struct nvme_request *req = container_of(block, struct nvme_request, block);

	req->controller->stats.flushes++;
	/* A failed flush is no media error of one block: data of earlier writes may be lost. */
	nvme_request_complete(req, block->result < 0 ? NVME_INTERNAL_ERROR : NVME_SUCCESS, 0);
}

static void block_flush_prepare(struct block_request *block)
{
	block->op = BLOCK_FLUSH;
	block->flags = 0;
	block->offset = 0;
	block->length_bytes = 0;
	block->iov = NULL;
	block->iov_count = 0;
}

static void flush(struct nvme_request *req)
{
	block_flush_prepare(&req->block);
	nvme_io_submit(req, flush_done);
}

static void flush_all_done(struct block_request *block)
{
	struct nvme_request *req = container_of(block, struct nvme_request, block);
	struct nvme_namespace *ns = req->namespace;

	req->namespace = NULL;
	nvme_gate_out(ns);
	nvme_io_step_done(block);
}

/* Flushes the next namespace; req->index counts them. */
static bool flush_all_step(struct nvme_request *req)
{
	struct nvme_controller *c = req->controller;

	while (req->index < c->params.namespaces) {
		struct nvme_namespace *ns = &c->namespaces[req->index++];

		if (!ns->channel)
			continue;
		ns->in_flight++;
		req->namespace = ns;
		block_flush_prepare(&req->block);
		nvme_io_submit(req, flush_all_done);
		return true;
	}
	req->then(req);
	return false;
}

void nvme_request_flush_all(struct nvme_request *req, void (*then)(struct nvme_request *req))
{
	ASSERT(!req->namespace);
	req->then = then;
	req->step = flush_all_step;
	req->step_result = 0;
	req->index = 0;
	nvme_request_step(req);
}

static void broadcast_flushed(struct nvme_request *req)
{
	req->controller->stats.flushes++;
	nvme_request_complete(req, req->step_result < 0 ? NVME_INTERNAL_ERROR : NVME_SUCCESS, 0);
}

/* --- Write Zeroes -------------------------------------------------------------------------------
 */

static void zeroes_done(struct block_request *block)
{
	struct nvme_request *req = container_of(block, struct nvme_request, block);

	req->controller->stats.others++;
	nvme_io_end(req, block->result, true);
}

/* No data, so the length is bound by NLB alone: 65536 blocks (no WZSL is stated). */
static void write_zeroes(struct nvme_request *req)
{
	struct block_request *block = &req->block;
	uint64_t bytes = 0;
	uint16_t status = nvme_io_range(req, &bytes);

	if (!status)
		status = nvme_io_writable(req);
	if (status) {
		nvme_request_complete(req, status, 0);
		return;
	}
	block->op = BLOCK_WRITE_ZEROES;
	block->flags =
		nvme_io_durable(req) | (req->command.dw12 & DW12_DEALLOCATE ? BLOCK_UNMAP : 0);
	block->offset = req->slba << req->namespace->lba_shift;
	block->length_bytes = bytes;
	block->iov = NULL;
	block->iov_count = 0;
	nvme_io_submit(req, zeroes_done);
}

/* --- Dispatch ------------------------------------------------------------------------------------
 */

static bool opcode_known(uint8_t opcode)
{
	switch (opcode) {
	case NVME_IO_FLUSH:
	case NVME_IO_WRITE:
	case NVME_IO_READ:
	case NVME_IO_COMPARE:
	case NVME_IO_WRITE_ZEROES:
	case NVME_IO_DSM:
	case NVME_IO_VERIFY:
	case NVME_IO_COPY:
		return true;
	default:
		return false;
	}
}

static void dispatch(struct nvme_request *req)
{
	switch (req->command.opcode) {
	case NVME_IO_READ:
		transfer(req, false);
		break;
	case NVME_IO_WRITE:
		transfer(req, true);
		break;
	case NVME_IO_FLUSH:
		flush(req);
		break;
	case NVME_IO_WRITE_ZEROES:
		write_zeroes(req);
		break;
	case NVME_IO_DSM:
		nvme_io_dsm(req);
		break;
	case NVME_IO_COMPARE:
		nvme_io_compare(req);
		break;
	case NVME_IO_VERIFY:
		nvme_io_verify(req);
		break;
	case NVME_IO_COPY:
		nvme_io_copy(req);
		break;
	default:
		UNREACHABLE();
	}
}

struct nvme_namespace *nvme_io_namespace(const struct nvme_request *req, uint16_t *ret_status)
{
	struct nvme_controller *c = req->controller;
	const uint32_t nsid = req->command.nsid;
	struct nvme_namespace *ns;

	if (UNLIKELY(nsid == 0 || nsid > c->params.namespaces)) {
		*ret_status = NVME_INVALID_NAMESPACE | NVME_DNR;
		return NULL;
	}
	ns = &c->namespaces[nsid - 1];
	if (UNLIKELY(!ns->channel || !ns->attached)) {
		*ret_status = NVME_INVALID_NAMESPACE | NVME_DNR;
		return NULL;
	}
	if (UNLIKELY(ns->formatting)) {
		/* No DNR: it will be over. */
		*ret_status = NVME_FORMAT_IN_PROGRESS;
		return NULL;
	}
	return ns;
}

static void execute(struct nvme_request *req)
{
	const struct nvme_command *cmd = &req->command;
	uint16_t status = NVME_SUCCESS;
	struct nvme_namespace *ns;

	if (UNLIKELY(!opcode_known(cmd->opcode))) {
		refuse(req, NVME_INVALID_OPCODE);
		return;
	}
	if (UNLIKELY(cmd->opcode == NVME_IO_FLUSH && cmd->nsid == BROADCAST_NSID)) {
		nvme_request_flush_all(req, broadcast_flushed);
		return;
	}
	ns = nvme_io_namespace(req, &status);
	if (UNLIKELY(!ns)) {
		nvme_request_complete(req, status, 0);
		return;
	}
	if (UNLIKELY(cmd->psdt > 2)) {
		refuse(req, NVME_INVALID_FIELD);
		return;
	}
	if (LIKELY(nvme_gate_pass(ns, req)))
		dispatch(req);
}

void nvme_io_execute(struct nvme_request *req)
{
	if (UNLIKELY(req->command.fuse || req->sq->fused) && nvme_io_fused_arrive(req))
		return;
	execute(req);
}

void nvme_io_resume(struct nvme_request *req)
{
	if (req->partner)
		nvme_io_fused_start(req);
	else
		execute(req);
}
