/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copy (NVMe 1.4 with TP 4065): source ranges to one destination, by reading and writing through a
 * bounce buffer, piece by piece, in order. Descriptor format 0.
 *
 * The bounce buffer holds the private copy of the descriptors first, the data behind it. Each
 * range is checked before anything is written.
 */
#include "controller.h"

#include <string.h>

#define DESCRIPTOR_SIZE 32
#define DATA_OFFSET ((uint64_t)NVME_COPY_RANGES_MAX * DESCRIPTOR_SIZE)
#define DATA_BYTES_MAX (NVME_MDTS_BYTES / 2)

#define DW12_RANGES(dw12) (((dw12)&0xFF) + 1)
#define DW12_FORMAT(dw12) (((dw12) >> 8) & 0xF)

struct range {
	uint64_t slba;
	uint64_t blocks;
};

static struct range range_get(const struct nvme_request *req, unsigned index)
{
	const uint8_t *entry = req->bounce + (size_t)index * DESCRIPTOR_SIZE;

	return (struct range){.slba = le64_get(entry + 8),
			      .blocks = (uint64_t)le16_get(entry + 16) + 1};
}

static uint16_t ranges_check(const struct nvme_request *req)
{
	const uint64_t limit = req->namespace->block_count;
	uint64_t total = 0;

	for (unsigned i = 0; i < DW12_RANGES(req->command.dw12); i++) {
		const struct range range = range_get(req, i);

		if (range.blocks > NVME_COPY_RANGE_BLOCKS)
			return NVME_COMMAND_SIZE_LIMIT | NVME_DNR;
		if (!range_within(range.slba, range.blocks, limit))
			return NVME_LBA_OUT_OF_RANGE | NVME_DNR;
		total += range.blocks;
	}
	if (total > NVME_COPY_BLOCKS_MAX)
		return NVME_COMMAND_SIZE_LIMIT | NVME_DNR;
	return range_within(req->slba, total, limit) ? NVME_SUCCESS
						     : NVME_LBA_OUT_OF_RANGE | NVME_DNR;
}

/*
 * req->index is the range, req->cursor the bytes of it that were copied, req->slba the next block
 * to write. A step that finds BLOCK_READ done writes what was read, else it reads on.
 */
static bool copy_step(struct nvme_request *req)
{
	struct block_request *block = &req->block;
	const unsigned shift = req->namespace->lba_shift;
	struct range range;

	if (req->step_result < 0 || nvme_request_abandoned(req) ||
	    req->index == DW12_RANGES(req->command.dw12)) {
		req->controller->stats.others++;
		nvme_io_end(req, req->step_result, block->op == BLOCK_WRITE);
		return false;
	}
	if (block->op == BLOCK_READ) {
		block->op = BLOCK_WRITE;
		block->flags = nvme_io_durable(req);
		block->offset = req->slba << shift;
		req->slba += block->length_bytes >> shift;
		req->cursor += block->length_bytes;
		if (req->cursor == range_get(req, req->index).blocks << shift) {
			req->index++;
			req->cursor = 0;
		}
	} else {
		range = range_get(req, req->index);
		block->op = BLOCK_READ;
		block->flags = 0;
		block->offset = (range.slba << shift) + req->cursor;
		block->length_bytes = MIN((range.blocks << shift) - req->cursor, DATA_BYTES_MAX);
		req->bounce_piece.iov_len = block->length_bytes;
		memset(req->bounce_piece.iov_base, 0, block->length_bytes);
	}
	nvme_io_submit(req, nvme_io_step_done);
	return true;
}

static void copy_begin(struct nvme_request *req)
{
	uint16_t status;

	nvme_data_copy_in(req, 0, req->bounce, req->data_bytes);
	status = ranges_check(req);
	if (status) {
		nvme_request_complete(req, status, 0);
		return;
	}
	req->bounce_piece.iov_base = req->bounce + DATA_OFFSET;
	req->block.iov = &req->bounce_piece;
	req->block.iov_count = 1;
	/* As if a write had just ended. */
	req->block.op = BLOCK_WRITE;
	req->step = copy_step;
	req->step_result = 0;
	req->index = 0;
	req->cursor = 0;
	nvme_request_step(req);
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
