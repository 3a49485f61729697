/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dataset Management (NVMe 1.4, 6.7): up to 256 ranges to deallocate. All ranges are checked
 * before the first is touched; then they are discarded one after the other, neighbours joined.
 * The other attributes are hints: success, nothing done.
 */
#include "controller.h"

#define RANGE_SIZE 16
#define DW11_DEALLOCATE 4U

struct range {
	uint64_t slba;
	uint64_t blocks;
};

/* The private copy of the ranges is in the bounce buffer. */
static struct range range_get(const struct nvme_request *req, unsigned index)
{
	const uint8_t *entry = req->bounce + (size_t)index * RANGE_SIZE;

	/* Unlike other lengths this one is not 0's based. */
	return (struct range){.slba = le64_get(entry + 8), .blocks = le32_get(entry + 4)};
}

static unsigned range_count(const struct nvme_request *req)
{
	return (req->command.dw10 & 0xFF) + 1;
}

static bool ranges_valid(const struct nvme_request *req)
{
	for (unsigned i = 0; i < range_count(req); i++) {
		const struct range range = range_get(req, i);

		if (!range_within(range.slba, range.blocks, req->namespace->block_count))
			return false;
	}
	return true;
}

/* Takes the next range off, with those that continue it; false when there is none. */
static bool range_next(struct nvme_request *req, struct range *ret)
{
	struct range joined = {0};

	for (; req->index < range_count(req); req->index++) {
		const struct range range = range_get(req, req->index);

		if (joined.blocks == 0)
			joined = range;
		else if (range.slba == joined.slba + joined.blocks)
			joined.blocks += range.blocks;
		else if (range.blocks > 0)
			break;
	}
	*ret = joined;
	return joined.blocks > 0;
}

static bool dsm_step(struct nvme_request *req)
{
	struct block_request *block = &req->block;
	const unsigned shift = req->namespace->lba_shift;
	struct range range;

	if (req->step_result < 0 || nvme_request_abandoned(req) || !range_next(req, &range)) {
		req->controller->stats.others++;
		nvme_io_end(req, req->step_result, true);
		return false;
	}
	block->op = BLOCK_DISCARD;
	block->flags = 0;
	block->offset = range.slba << shift;
	block->length_bytes = range.blocks << shift;
	block->iov = NULL;
	block->iov_count = 0;
	nvme_io_submit(req, nvme_io_step_done);
	return true;
}

static void dsm_begin(struct nvme_request *req)
{
	nvme_data_copy_in(req, 0, req->bounce, (uint64_t)range_count(req) * RANGE_SIZE);
	if (!ranges_valid(req)) {
		nvme_request_complete(req, NVME_LBA_OUT_OF_RANGE | NVME_DNR, 0);
		return;
	}
	/* A drive that cannot deallocate: the command is a hint then. */
	if (req->namespace->channel->device->limits.discard_granularity_bytes == 0)
		req->index = range_count(req);
	nvme_request_step(req);
}

void nvme_io_dsm(struct nvme_request *req)
{
	const bool deallocate = req->command.dw11 & DW11_DEALLOCATE;
	uint16_t status = deallocate ? nvme_io_writable(req) : NVME_SUCCESS;

	if (!status)
		status = nvme_io_map(req, (uint64_t)range_count(req) * RANGE_SIZE, GUEST_READ);
	if (status || !deallocate) {
		nvme_request_complete(req, status, 0);
		return;
	}
	req->step = dsm_step;
	req->step_result = 0;
	req->index = 0;
	nvme_bounce_take(req, dsm_begin);
}
