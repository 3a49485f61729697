/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a command's data pointer to pieces of guest memory (NVMe 1.4, 4.3 PRP, 4.4 SGL), and the
 * copies for commands whose data is small.
 *
 * Lists are read once into private memory and judged there. Their length is bounded by the
 * command's length (PRP) or by a fixed count (SGL), so a list that points to itself ends too:
 * every list page but the last holds at least one slot, and entries are counted.
 */
#include "controller.h"

#include <errno.h>
#include <string.h>

#define PRP_LIST_ENTRIES_MAX NVME_PIECES_MAX

#define SGL_DESCRIPTOR_SIZE 16
#define SGL_DESCRIPTORS_MAX 512 /* over all segments of a command */
#define SGL_BATCH 32		/* descriptors copied at a time */

enum sgl_type {
	SGL_DATA_BLOCK = 0,
	SGL_BIT_BUCKET = 1,
	SGL_SEGMENT = 2,
	SGL_LAST_SEGMENT = 3,
};

static uint16_t refuse(uint16_t status)
{
	return status | NVME_DNR;
}

static uint16_t piece_add(struct nvme_request *req, uint64_t addr, uint64_t length, unsigned prot)
{
	int ret;

	if (LIKELY(req->piece_count == 0)) {
		void *piece = guest_resolve(req->controller->memory, (struct guest_addr){addr},
					    length, prot);

		if (LIKELY(piece)) {
			req->pieces[0] = (struct iovec){.iov_base = piece, .iov_len = length};
			req->piece_count = 1;
			return NVME_SUCCESS;
		}
	}
	ret = guest_resolve_iov(req->controller->memory, (struct guest_addr){addr}, length, prot,
				req->pieces, &req->piece_count, NVME_PIECES_MAX);

	if (LIKELY(ret == 0))
		return NVME_SUCCESS;
	return refuse(ret == -E2BIG ? NVME_INVALID_SGL_COUNT : NVME_DATA_TRANSFER_ERROR);
}

/* --- PRP ------------------------------------------------------------------------------------ */

static uint16_t prp_entries_add(struct nvme_request *req, const uint64_t *entries, unsigned count,
				uint64_t *left, unsigned prot)
{
	for (unsigned i = 0; i < count; i++) {
		const uint64_t addr = le64toh(entries[i]);
		const uint64_t length = MIN(*left, (uint64_t)NVME_PAGE);
		uint16_t status;

		if (!is_aligned(addr, NVME_PAGE))
			return refuse(NVME_INVALID_PRP_OFFSET);
		status = piece_add(req, addr, length, prot);
		if (status)
			return status;
		*left -= length;
	}
	return NVME_SUCCESS;
}

/*
 * A list may begin inside a page; its last slot there is the pointer to the next page when more
 * entries are needed than fit, else an entry like the others.
 */
static uint16_t prp_list_add(struct nvme_request *req, uint64_t list, uint64_t left, unsigned prot)
{
	uint64_t entries[PRP_LIST_ENTRIES_MAX];

	if (!is_aligned(list, sizeof(entries[0])))
		return refuse(NVME_INVALID_PRP_OFFSET);
	while (left > 0) {
		const unsigned slots =
			(unsigned)((NVME_PAGE - list % NVME_PAGE) / sizeof(entries[0]));
		const unsigned needed = (unsigned)div_round_up(left, NVME_PAGE);
		const bool chained = needed > slots;
		const unsigned count = chained ? slots : needed;
		uint16_t status;

		ASSERT_U64(count, <=, PRP_LIST_ENTRIES_MAX);
		if (guest_copy_from(req->controller->memory, entries, (struct guest_addr){list},
				    count * sizeof(entries[0])) < 0)
			return refuse(NVME_DATA_TRANSFER_ERROR);
		status = prp_entries_add(req, entries, count - chained, &left, prot);
		if (status)
			return status;
		if (!chained)
			return NVME_SUCCESS;
		list = le64toh(entries[count - 1]);
		if (!is_aligned(list, NVME_PAGE))
			return refuse(NVME_INVALID_PRP_OFFSET);
	}
	return NVME_SUCCESS;
}

static uint16_t prp_map(struct nvme_request *req, uint64_t bytes, unsigned prot)
{
	const struct nvme_command *cmd = &req->command;
	const uint64_t first = MIN(bytes, NVME_PAGE - cmd->prp1 % NVME_PAGE);
	const uint64_t left = bytes - first;
	uint16_t status;

	if (!is_aligned(cmd->prp1, 4))
		return refuse(NVME_INVALID_PRP_OFFSET);
	status = piece_add(req, cmd->prp1, first, prot);
	if (status || left == 0)
		return status;
	if (left > NVME_PAGE)
		return prp_list_add(req, cmd->prp2, left, prot);
	if (!is_aligned(cmd->prp2, NVME_PAGE))
		return refuse(NVME_INVALID_PRP_OFFSET);
	return piece_add(req, cmd->prp2, left, prot);
}

/* --- SGL ------------------------------------------------------------------------------------- */

struct sgl_walk {
	struct nvme_request *req;
	unsigned prot;
	uint64_t left;	      /* bytes of data still without memory */
	unsigned descriptors; /* seen so far */
	bool last;	      /* in the last segment: no segment descriptor may come */
	uint64_t next_addr;   /* the segment to read next; length 0 = none */
	uint32_t next_length;
};

/* A stretch of the data that the guest does not want. In a write it stands for nothing. */
static uint16_t bucket_add(struct sgl_walk *walk, uint32_t length)
{
	struct nvme_request *req = walk->req;

	if (walk->prot != GUEST_WRITE || length == 0)
		return NVME_SUCCESS;
	if (length > walk->left)
		return refuse(NVME_INVALID_SGL_LENGTH);
	if (req->piece_count == NVME_PIECES_MAX)
		return refuse(NVME_INVALID_SGL_COUNT);
	req->pieces[req->piece_count].iov_base = NULL;
	req->pieces[req->piece_count].iov_len = length;
	req->piece_count++;
	req->bucket = true;
	walk->left -= length;
	return NVME_SUCCESS;
}

static uint16_t block_add(struct sgl_walk *walk, uint64_t addr, uint32_t length)
{
	if (length == 0)
		return NVME_SUCCESS;
	if (length > walk->left)
		return refuse(NVME_INVALID_SGL_LENGTH);
	walk->left -= length;
	return piece_add(walk->req, addr, length, walk->prot);
}

static uint16_t segment_enter(struct sgl_walk *walk, uint64_t addr, uint32_t length, bool last)
{
	if (walk->last || length == 0 || length % SGL_DESCRIPTOR_SIZE)
		return refuse(NVME_INVALID_SGL_SEGMENT);
	walk->next_addr = addr;
	walk->next_length = length;
	walk->last = last;
	return NVME_SUCCESS;
}

static uint16_t descriptor_take(struct sgl_walk *walk, const uint8_t *d, bool at_end)
{
	const uint64_t addr = le64_get(d);
	const uint32_t length = le32_get(d + 8);
	const unsigned type = d[15] >> 4;
	const unsigned sub_type = d[15] & 0xF;

	if (++walk->descriptors > SGL_DESCRIPTORS_MAX)
		return refuse(NVME_INVALID_SGL_COUNT);
	if (sub_type != 0)
		return refuse(NVME_INVALID_SGL_TYPE);
	switch (type) {
	case SGL_DATA_BLOCK:
		return block_add(walk, addr, length);
	case SGL_BIT_BUCKET:
		return bucket_add(walk, length);
	case SGL_SEGMENT:
	case SGL_LAST_SEGMENT:
		if (!at_end)
			return refuse(NVME_INVALID_SGL_SEGMENT);
		return segment_enter(walk, addr, length, type == SGL_LAST_SEGMENT);
	default:
		return refuse(NVME_INVALID_SGL_TYPE);
	}
}

static uint16_t segment_read(struct sgl_walk *walk)
{
	uint8_t batch[SGL_BATCH * SGL_DESCRIPTOR_SIZE];
	uint64_t addr = walk->next_addr;
	uint32_t length = walk->next_length;

	walk->next_length = 0;
	while (length > 0) {
		const uint32_t bytes = MIN(length, (uint32_t)sizeof(batch));

		if (guest_copy_from(walk->req->controller->memory, batch, (struct guest_addr){addr},
				    bytes) < 0)
			return refuse(NVME_DATA_TRANSFER_ERROR);
		length -= bytes;
		addr += bytes;
		for (uint32_t i = 0; i < bytes; i += SGL_DESCRIPTOR_SIZE) {
			const bool at_end = length == 0 && i + SGL_DESCRIPTOR_SIZE == bytes;
			const uint16_t status = descriptor_take(walk, batch + i, at_end);

			if (status)
				return status;
		}
	}
	return NVME_SUCCESS;
}

static uint16_t sgl_map(struct nvme_request *req, uint64_t bytes, unsigned prot)
{
	struct sgl_walk walk = {.req = req, .prot = prot, .left = bytes};
	uint8_t first[SGL_DESCRIPTOR_SIZE];
	uint16_t status;

	le64_put(first, req->command.prp1);
	le64_put(first + 8, req->command.prp2);
	status = descriptor_take(&walk, first, true);
	while (!status && walk.next_length > 0)
		status = segment_read(&walk);
	if (status)
		return status;
	/* A segment that is not the last must lead on to another one. */
	if (walk.descriptors > 1 && !walk.last)
		return refuse(NVME_INVALID_SGL_SEGMENT);
	return walk.left > 0 ? refuse(NVME_INVALID_SGL_LENGTH) : NVME_SUCCESS;
}

uint16_t nvme_data_map(struct nvme_request *req, uint64_t bytes, unsigned prot)
{
	ASSERT(bytes > 0 && bytes <= NVME_MDTS_BYTES);
	req->data_bytes = bytes;
	req->piece_count = 0;
	req->bucket = false;
	if (LIKELY(req->command.psdt == 0))
		return prp_map(req, bytes, prot);
	return sgl_map(req, bytes, prot);
}

/* --- Copies ----------------------------------------------------------------------------------- */

enum copy_direction { COPY_OUT, COPY_IN, COPY_COMPARE };

/* Walks the pieces from `offset` of the data; false when a comparison finds a difference. */
static bool copy_pieces(const struct nvme_request *req, uint64_t offset, uint8_t *buffer,
			uint64_t length, enum copy_direction direction)
{
	for (unsigned i = 0; i < req->piece_count && length > 0; i++) {
		const struct iovec *piece = &req->pieces[i];
		uint8_t *base = piece->iov_base;
		uint64_t bytes;

		if (offset >= piece->iov_len) {
			offset -= piece->iov_len;
			continue;
		}
		bytes = MIN(length, piece->iov_len - offset);
		if (base && direction == COPY_OUT)
			memcpy(base + offset, buffer, bytes);
		else if (base && direction == COPY_IN)
			memcpy(buffer, base + offset, bytes);
		else if (base && memcmp(buffer, base + offset, bytes) != 0)
			return false;
		buffer += bytes;
		length -= bytes;
		offset = 0;
	}
	return true;
}

void nvme_data_copy_out(struct nvme_request *req, uint64_t offset, const void *buffer,
			uint64_t length)
{
	copy_pieces(req, offset, (uint8_t *)(uintptr_t)buffer, length, COPY_OUT);
}

void nvme_data_copy_in(struct nvme_request *req, uint64_t offset, void *buffer, uint64_t length)
{
	copy_pieces(req, offset, buffer, length, COPY_IN);
}

bool nvme_data_equal(const struct nvme_request *req, const void *buffer)
{
	return copy_pieces(req, 0, (uint8_t *)(uintptr_t)buffer, req->data_bytes, COPY_COMPARE);
}

uint16_t nvme_data_to_guest(struct nvme_request *req, const void *buffer, uint32_t length)
{
	const uint16_t status = nvme_data_map(req, length, GUEST_WRITE);

	if (status == NVME_SUCCESS)
		nvme_data_copy_out(req, 0, buffer, length);
	return status;
}

uint16_t nvme_data_from_guest(struct nvme_request *req, void *buffer, uint32_t length)
{
	const uint16_t status = nvme_data_map(req, length, GUEST_READ);

	if (status == NVME_SUCCESS)
		nvme_data_copy_in(req, 0, buffer, length);
	return status;
}
