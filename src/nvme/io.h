/* SPDX-License-Identifier: Apache-2.0 */
/* NVM commands (NVMe 1.4, 6). */
#ifndef NVME_IO_H
#define NVME_IO_H

#include <quoin/nvme.h>

struct nvme_request;
struct nvme_namespace;

#define NVME_COPY_RANGES_MAX 128     /* MSRC is this minus one */
#define NVME_COPY_RANGE_BLOCKS 65535 /* MSSRL */
#define NVME_COPY_BLOCKS_MAX 65536   /* MCL */
#define NVME_DSM_RANGES_MAX 256

/* For each command fetched from an I/O queue. Ends through nvme_request_complete(). */
void nvme_io_execute(struct nvme_request *req);

/* For a command that waited before a gate: as if it came now, but in its old place of the queue. */
void nvme_io_resume(struct nvme_request *req);

/*
 * Makes everything completed so far durable: flushes all namespaces one after the other, then
 * calls then(req) with the first error (negative errno) or 0 in req->step_result. `req` must
 * not count for a namespace (req->namespace NULL).
 */
void nvme_request_flush_all(struct nvme_request *req, void (*then)(struct nvme_request *req));

/* The end of a batch: drives that hold commands back to merge them get them all. */
void nvme_io_kick(struct nvme_controller *c);

/* The status for what the block layer said. `write`: the command wanted to change data. */
uint16_t nvme_status_from_errno(int error, bool write);

/* --- Between the io*.c files --------------------------------------------------------------- */

/* The namespace of the command; NULL with *ret_status set when it cannot be used. */
struct nvme_namespace *nvme_io_namespace(const struct nvme_request *req, uint16_t *ret_status);

/* Hands req->block, filled in but for done(), to the namespace's drive. */
void nvme_io_submit(struct nvme_request *req, void (*done)(struct block_request *block));

/* Maps the command's data and holds it until the command ends. */
MUST_CHECK uint16_t nvme_io_map(struct nvme_request *req, uint64_t bytes, unsigned prot);

/* SLBA and NLB of dwords 10 to 12: NVME_SUCCESS, or 0/80 with DNR. Sets req->slba. */
MUST_CHECK uint16_t nvme_io_range(struct nvme_request *req, uint64_t *ret_bytes);

/* NVME_SUCCESS, or 0/20 with DNR. */
MUST_CHECK uint16_t nvme_io_writable(const struct nvme_request *req);

/* BLOCK_FUA when the command (`fua`) or the switched off cache asks for it. */
unsigned nvme_io_durable(const struct nvme_request *req);

/* Ends a command that counts for a namespace with what the block layer said. */
void nvme_io_end(struct nvme_request *req, int error, bool write);

/* A step of a multi-step command whose block request ended: notes the error and goes on. */
void nvme_io_step_done(struct block_request *block);

/* Commands; each counts for its namespace already. */
void nvme_io_dsm(struct nvme_request *req);
void nvme_io_compare(struct nvme_request *req);
void nvme_io_verify(struct nvme_request *req);
void nvme_io_copy(struct nvme_request *req);
void nvme_io_write(struct nvme_request *req);

/*
 * Fused Compare and Write. nvme_io_fused_arrive() takes commands with FUSE set, and those that
 * follow a lonely first half; false when the command is a normal one to be executed.
 */
bool nvme_io_fused_arrive(struct nvme_request *req);

/* Starts the pair of `first` and its partner, or lets it wait before the gate. */
void nvme_io_fused_start(struct nvme_request *first);

#endif
