/* SPDX-License-Identifier: Apache-2.0 */
/* From PRP and SGL to pieces of guest memory, and copies for small data. */
#ifndef NVME_DATA_H
#define NVME_DATA_H

#include <quoin/loop.h>
#include <quoin/nvme.h>

struct nvme_request;

#define NVME_BOUNCE_BUFFERS 8 /* of NVME_MDTS_BYTES each, touched only when used */

struct nvme_bounce_pool {
	uint8_t *memory;
	uint8_t *free[NVME_BOUNCE_BUFFERS];
	unsigned free_count;
	struct list waiters;   /* struct nvme_request, through node */
	struct loop_task task; /* serves the waiters */
};

MUST_CHECK int nvme_bounce_init(struct nvme_controller *c);
void nvme_bounce_fini(struct nvme_controller *c);

/*
 * The data of the command as req->pieces (data_bytes in all). `prot`: GUEST_WRITE when the
 * controller writes to the guest. Returns NVME_SUCCESS or a status with DNR.
 */
MUST_CHECK uint16_t nvme_data_map(struct nvme_request *req, uint64_t bytes, unsigned prot);

/* Copies between `buffer` and the mapped pieces, at `offset` of the data. */
void nvme_data_copy_out(struct nvme_request *req, uint64_t offset, const void *buffer,
			uint64_t length);
void nvme_data_copy_in(struct nvme_request *req, uint64_t offset, void *buffer, uint64_t length);

/* True when the mapped pieces hold the same bytes as `buffer`. */
bool nvme_data_equal(const struct nvme_request *req, const void *buffer);

/*
 * For admin commands and other small data: maps the command's data pointer for `length` bytes
 * (<= MDTS, > 0) and copies. NVME_SUCCESS, or a status with DNR.
 */
MUST_CHECK uint16_t nvme_data_to_guest(struct nvme_request *req, const void *buffer,
				       uint32_t length);
MUST_CHECK uint16_t nvme_data_from_guest(struct nvme_request *req, void *buffer, uint32_t length);

/*
 * Takes a bounce buffer (of NVME_MDTS_BYTES, contents undefined) as req->bounce and calls
 * resume(req): now, or when one is free. nvme_request_complete() gives it back.
 */
void nvme_bounce_take(struct nvme_request *req, void (*resume)(struct nvme_request *req));
void nvme_bounce_release(struct nvme_request *req);

#endif
