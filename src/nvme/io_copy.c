/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copy (NVMe 1.4 with TP 4065): source ranges to one destination. Descriptor format 0.
 *
 * The descriptors are copied once, judged, and kept as extents in the request; each of them is
 * checked before anything is written. Then the drive is asked to copy by reference, where it can
 * and the command suits: whole blocks, enough of them, and none that is overwritten. All others,
 * and those that the drive would rather not, are read and written through a bounce buffer, piece by
 * piece, in order.
 *
 * DW0 of a failed command is the lowest range that was not copied in full.
 */
#include "controller.h"

#include <errno.h>
#include <string.h>

#define DESCRIPTOR_SIZE 32

#define DW12_RANGES(dw12) (((dw12)&0xFF) + 1)
#define DW12_FORMAT(dw12) (((dw12) >> 8) & 0xF)

_Static_assert(NVME_COPY_RANGES_MAX <= NVME_PIECES_MAX, "all ranges have a place in the request");

/* --- Ranges ----------------------------------------------------------------------------------- */

/* From the private copy of the descriptors to extents; their sum is req->data_bytes. */
static uint16_t ranges_take(struct nvme_request *req)
{
	const struct nvme_namespace *ns = req->namespace;
	uint64_t total = 0;

	for (unsigned i = 0; i < DW12_RANGES(req->command.dw12); i++) {
		const uint8_t *entry = req->bounce + (size_t)i * DESCRIPTOR_SIZE;
		const uint64_t slba = le64_get(entry + 8);
		const uint64_t blocks = (uint64_t)le16_get(entry + 16) + 1;

		if (blocks > NVME_COPY_RANGE_BLOCKS)
			return NVME_COMMAND_SIZE_LIMIT | NVME_DNR;
		if (!range_within(slba, blocks, ns->block_count))
			return NVME_LBA_OUT_OF_RANGE | NVME_DNR;
		total += blocks;
		req->sources[i] =
			(struct block_extent){slba << ns->lba_shift, blocks << ns->lba_shift};
	}
	if (total > NVME_COPY_BLOCKS_MAX)
		return NVME_COMMAND_SIZE_LIMIT | NVME_DNR;
	req->data_bytes = total << ns->lba_shift;
	return range_within(req->slba, total, ns->block_count) ? NVME_SUCCESS
							       : NVME_LBA_OUT_OF_RANGE | NVME_DNR;
}

static void end(struct nvme_request *req, int error, bool write)
{
	req->controller->stats.others++;
	nvme_request_complete(req, nvme_status_from_errno(error, write), error ? req->index : 0);
}

/* --- By reading and writing ------------------------------------------------------------------- */

/* What was read has been written: req->cursor counts the bytes of the range req->index. */
static void piece_written(struct nvme_request *req)
{
	req->slba += req->block.length_bytes >> req->namespace->lba_shift;
	req->cursor += req->block.length_bytes;
	if (req->cursor < req->sources[req->index].length_bytes)
		return;
	req->index++;
	req->cursor = 0;
}

static void piece_read(struct nvme_request *req)
{
	const struct block_extent *source = &req->sources[req->index];
	struct block_request *block = &req->block;

	block->op = BLOCK_READ;
	block->flags = 0;
	block->offset = source->offset + req->cursor;
	block->length_bytes = MIN(source->length_bytes - req->cursor, NVME_MDTS_BYTES);
	req->bounce_piece.iov_len = block->length_bytes;
	memset(req->bounce, 0, block->length_bytes);
}

static void piece_write(struct nvme_request *req)
{
	req->block.op = BLOCK_WRITE;
	req->block.flags = nvme_io_durable(req);
	req->block.offset = req->slba << req->namespace->lba_shift;
}

static bool copy_step(struct nvme_request *req)
{
	const bool wrote = req->block.op == BLOCK_WRITE;

	if (wrote && req->step_result == 0)
		piece_written(req);
	if (req->step_result < 0 || nvme_request_abandoned(req) ||
	    req->index == DW12_RANGES(req->command.dw12)) {
		end(req, req->step_result, wrote);
		return false;
	}
	if (wrote)
		piece_read(req);
	else
		piece_write(req);
	nvme_io_submit(req, nvme_io_step_done);
	return true;
}

static void by_data(struct nvme_request *req)
{
	req->bounce_piece.iov_base = req->bounce;
	req->block.iov = &req->bounce_piece;
	req->block.iov_count = 1;
	req->step = copy_step;
	req->step_result = 0;
	req->cursor = 0;
	piece_read(req);
	nvme_io_submit(req, nvme_io_step_done);
}

/* --- By reference ----------------------------------------------------------------------------- */

static bool suits_reference(const struct nvme_request *req)
{
	const struct nvme_namespace *ns = req->namespace;
	const struct block_limits *limits = &ns->channel->device->limits;
	const uint64_t to = req->slba << ns->lba_shift;
	uint64_t bits = to;

	if (limits->copy_block_bytes == 0 || req->data_bytes < limits->copy_min_bytes)
		return false;
	for (unsigned i = 0; i < DW12_RANGES(req->command.dw12); i++) {
		const struct block_extent *source = &req->sources[i];

		bits |= source->offset | source->length_bytes;
		if (ranges_overlap(source->offset, source->length_bytes, to, req->data_bytes))
			return false;
	}
	return is_aligned(bits, limits->copy_block_bytes);
}

static void referenced(struct block_request *block)
{
	struct nvme_request *req = container_of(block, struct nvme_request, block);

	if (block->result == -EOPNOTSUPP && !nvme_request_abandoned(req))
		nvme_bounce_take(req, by_data);
	else
		end(req, block->result, true);
}

/* It may take a while: neither the guest's memory nor a buffer is kept meanwhile. */
static void by_reference(struct nvme_request *req)
{
	struct block_request *block = &req->block;

	nvme_bounce_release(req);
	guest_hold_drop(req->controller->memory, &req->hold);
	block->op = BLOCK_COPY;
	block->flags = 0;
	block->offset = req->slba << req->namespace->lba_shift;
	block->length_bytes = req->data_bytes;
	block->iov = NULL;
	block->iov_count = 0;
	block->sources = req->sources;
	block->source_count = DW12_RANGES(req->command.dw12);
	nvme_io_submit(req, referenced);
}

/* --- The command ------------------------------------------------------------------------------ */

static void copy_begin(struct nvme_request *req)
{
	uint16_t status;

	nvme_data_copy_in(req, 0, req->bounce, req->data_bytes);
	status = ranges_take(req);
	req->index = 0;
	if (status)
		nvme_request_complete(req, status, 0);
	else if (suits_reference(req))
		by_reference(req);
	else
		by_data(req);
}

void nvme_io_copy(struct nvme_request *req)
{
	const struct nvme_command *cmd = &req->command;
	uint16_t status = NVME_SUCCESS;

	req->slba = cmd->dw10 | (uint64_t)cmd->dw11 << 32;
	if (DW12_FORMAT(cmd->dw12) != 0)
		status = NVME_INVALID_FIELD | NVME_DNR;
	else if (DW12_RANGES(cmd->dw12) > NVME_COPY_RANGES_MAX)
		status = NVME_COMMAND_SIZE_LIMIT | NVME_DNR;
	if (!status)
		status = nvme_io_writable(req);
	if (!status)
		status = nvme_io_map(req, (uint64_t)DW12_RANGES(cmd->dw12) * DESCRIPTOR_SIZE,
				     GUEST_READ);
	if (status)
		nvme_request_complete(req, status, 0);
	else
		nvme_bounce_take(req, copy_begin);
}
