/* SPDX-License-Identifier: Apache-2.0 */
/* NVM commands. */
#ifndef NVME_IO_H
#define NVME_IO_H

#include <quoin/nvme.h>

struct nvme_request;

#define NVME_COPY_RANGES_MAX 128     /* MSRC is this minus one */
#define NVME_COPY_RANGE_BLOCKS 65535 /* MSSRL */
#define NVME_COPY_BLOCKS_MAX 65536   /* MCL */
#define NVME_DSM_RANGES_MAX 256

/* For each command fetched from an I/O queue. Ends through nvme_request_complete(). */
void nvme_io_execute(struct nvme_request *req);

/*
 * Makes everything completed so far durable: flushes all namespaces one after the other, then
 * calls then(req) with the first error (negative errno) or 0 in req->step_result.
 */
void nvme_request_flush_all(struct nvme_request *req, void (*then)(struct nvme_request *req));

/* The status for what the block layer said. `write`: the command wanted to change data. */
uint16_t nvme_status_from_errno(int error, bool write);

#endif
