/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Format NVM (NVMe 1.4, 5.23): erases a namespace, or all of them, and may change the LBA size.
 *
 * Safe means: nothing of the old content can be read afterwards, the block size changes only when
 * all is erased and flushed, and only when somebody will remember it. The work is a chain of
 * Write Zeroes requests to the block device under exclusive use of the namespace:
 *
 *   next namespace -> gate -> ERASE ... ERASE -> FLUSH -> REMEMBER -> new format -> next
 *                       \_____ stopped or failed: the old format stays ____/
 *
 * REMEMBER is left out when the block size stays. Once it is remembered it is applied.
 *
 * The command completes at the end. A reset, a shutdown or the detaching of the namespace stops
 * it after the request under way, so that none of them waits for a whole disk.
 */
#include "format.h"
#include "controller.h"
#include "namespace.h"

#define NSID_BROADCAST 0xFFFFFFFFU
#define ERASE_BYTES (64 * MiB) /* per request: bounds how long a reset waits */
#define ERASE_USER_DATA 1      /* the highest secure erase setting we have; 2 is cryptographic */

enum phase { PHASE_ERASE, PHASE_FLUSH, PHASE_REMEMBER };

#define SHIFT_512 9
#define SHIFT_4K 12

/* --- What is offered ------------------------------------------------------------------------ */

unsigned nvme_format_count(const struct nvme_namespace *ns)
{
	const uint32_t block_bytes = ns->channel->device->limits.logical_block_bytes;

	return ns->remember_format && block_bytes == 1U << SHIFT_512 ? 2 : 1;
}

unsigned nvme_format_shift(const struct nvme_namespace *ns, unsigned index)
{
	if (nvme_format_count(ns) == 1)
		return ns->lba_shift;
	return index == 0 ? SHIFT_512 : SHIFT_4K;
}

static uint64_t erase_size_bytes(const struct nvme_namespace *ns)
{
	const struct block_device *device = ns->channel->device;

	return align_down(block_capacity(device), device->limits.logical_block_bytes);
}

uint8_t nvme_format_progress(const struct nvme_namespace *ns)
{
	const uint64_t size = erase_size_bytes(ns);
	uint64_t left;

	if (!ns->formatting || size == 0)
		return 0x80;
	left = size - MIN(ns->format_done_bytes, size);
	return (uint8_t)(0x80 | (left / 128 * 100 / MAX(size / 128, (uint64_t)1)));
}

/* --- The command ---------------------------------------------------------------------------- */

static uint16_t check_namespace(const struct nvme_namespace *ns, uint32_t dw10)
{
	if (!ns)
		return NVME_INVALID_FIELD | NVME_DNR;
	if (ns->read_only)
		return NVME_NS_WRITE_PROTECTED | NVME_DNR;
	if (ns->formatting)
		return NVME_FORMAT_IN_PROGRESS;
	if ((dw10 & 0xF) >= nvme_format_count(ns))
		return NVME_INVALID_FORMAT | NVME_DNR;
	return NVME_SUCCESS;
}

static uint16_t check_all(struct nvme_controller *c, uint32_t dw10)
{
	uint16_t status = NVME_SUCCESS;

	for (uint32_t nsid = 1; nsid <= c->params.namespaces && status == NVME_SUCCESS; nsid++) {
		const struct nvme_namespace *ns = nvme_namespace_find(c, nsid);

		if (ns)
			status = check_namespace(ns, dw10);
	}
	return status;
}

static uint16_t check(const struct nvme_request *req)
{
	struct nvme_controller *c = req->controller;
	const uint32_t nsid = req->command.nsid;
	const uint32_t dw10 = req->command.dw10;

	if (dw10 & 0x1F0) /* metadata or protection information, which no format has */
		return NVME_INVALID_FORMAT | NVME_DNR;
	if ((dw10 >> 9 & 7) > ERASE_USER_DATA)
		return NVME_INVALID_FIELD | NVME_DNR;
	if (nsid == NSID_BROADCAST)
		return check_all(c, dw10);
	if (nsid == 0 || nsid > c->params.namespaces)
		return NVME_INVALID_NAMESPACE | NVME_DNR;
	return check_namespace(nvme_namespace_find(c, nsid), dw10);
}

static struct nvme_namespace *current(const struct nvme_request *req)
{
	return &req->controller->namespaces[req->index];
}

static bool must_stop(const struct nvme_request *req)
{
	const struct nvme_controller *c = req->controller;

	return nvme_request_abandoned(req) || c->registers.shutdown != 0 || c->registers.fatal ||
	       !nvme_namespace_allocated(c, current(req)->nsid) || !current(req)->attached;
}

static void block_done(struct block_request *block)
{
	struct nvme_request *req = container_of(block, struct nvme_request, block);

	req->step_result = block->result;
	nvme_request_step(req);
}

static void submit(struct nvme_request *req, enum block_op op, uint64_t length_bytes)
{
	struct block_channel *channel = current(req)->channel;

	req->block.op = op;
	req->block.flags = op == BLOCK_WRITE_ZEROES ? BLOCK_UNMAP : 0;
	req->block.offset = op == BLOCK_WRITE_ZEROES ? req->cursor : 0;
	req->block.length_bytes = length_bytes;
	req->block.iov = NULL;
	req->block.iov_count = 0;
	req->block.done = block_done;
	req->cursor += length_bytes;
	block_submit(channel, &req->block);
	block_kick(channel);
}

static void leave(struct nvme_request *req)
{
	struct nvme_namespace *ns = current(req);

	ns->formatting = false;
	ns->formatter = NULL;
	nvme_gate_leave(ns, &req->wait);
}

static unsigned new_shift(const struct nvme_request *req)
{
	return nvme_format_shift(current(req), req->command.dw10 & 0xF);
}

static void remembered(struct nvme_format_note *note)
{
	struct nvme_namespace *ns = container_of(note, struct nvme_namespace, format_note);

	ns->formatter->step_result = note->result;
	nvme_request_step(ns->formatter);
}

static void remember(struct nvme_request *req)
{
	struct nvme_namespace *ns = current(req);

	ns->format_note = (struct nvme_format_note){
		.nsid = ns->nsid, .block_bytes = 1U << new_shift(req), .done = remembered};
	ns->remember_format(ns->remember_data, &ns->format_note);
}

static void apply(struct nvme_request *req)
{
	struct nvme_namespace *ns = current(req);

	ns->lba_shift = new_shift(req);
	ns->block_count = block_capacity(ns->channel->device) >> ns->lba_shift;
}

/* Hands out the next piece of work; false when this namespace is done. */
static bool work_on(struct nvme_request *req)
{
	struct nvme_namespace *ns = current(req);
	const uint64_t size = erase_size_bytes(ns);

	ns->format_done_bytes = req->cursor;
	if (ns->format_phase == PHASE_ERASE) {
		if (req->cursor < size) {
			submit(req, BLOCK_WRITE_ZEROES, MIN(size - req->cursor, ERASE_BYTES));
			return true;
		}
		ns->format_phase = PHASE_FLUSH;
		submit(req, BLOCK_FLUSH, 0);
		return true;
	}
	if (ns->format_phase == PHASE_FLUSH && new_shift(req) != ns->lba_shift) {
		ns->format_phase = PHASE_REMEMBER;
		remember(req);
		return true;
	}
	return false;
}

static bool next_namespace(struct nvme_request *req);

/* False when the command has ended. */
static bool format_step(struct nvme_request *req)
{
	struct nvme_namespace *ns = current(req);
	const int error = req->step_result;

	if (error < 0 || (must_stop(req) && ns->format_phase != PHASE_REMEMBER)) {
		leave(req);
		nvme_request_complete(
			req, error < 0 ? nvme_status_from_errno(error, true) : NVME_ABORTED_REQUEST,
			0);
		return false;
	}
	if (work_on(req))
		return true;
	apply(req);
	leave(req);
	req->index++;
	return next_namespace(req);
}

static void gate_open(struct nvme_wait *wait)
{
	struct nvme_request *req = container_of(wait, struct nvme_request, wait);
	struct nvme_namespace *ns = current(req);

	ns->formatting = true;
	ns->formatter = req;
	ns->format_phase = PHASE_ERASE;
	ns->format_done_bytes = 0;
	req->cursor = 0;
	req->step_result = 0;
	nvme_request_step(req);
}

/* Goes on with the namespace at req->index or above; false when the command has ended. */
static bool next_namespace(struct nvme_request *req)
{
	struct nvme_controller *c = req->controller;
	const uint32_t nsid = req->command.nsid;

	for (; req->index < c->params.namespaces; req->index++) {
		if (nsid != NSID_BROADCAST && nsid != req->index + 1)
			continue;
		if (!nvme_namespace_find(c, req->index + 1))
			continue;
		nvme_gate_enter(current(req), &req->wait);
		return true;
	}
	nvme_request_complete(req, NVME_SUCCESS, 0);
	return false;
}

void nvme_format(struct nvme_request *req)
{
	const uint16_t status = check(req);

	if (status != NVME_SUCCESS) {
		nvme_request_complete(req, status, 0);
		return;
	}
	req->index = 0;
	req->step = format_step;
	req->wait.done = gate_open;
	next_namespace(req);
}
