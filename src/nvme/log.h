/* SPDX-License-Identifier: Apache-2.0 */
/* Log pages. */
#ifndef NVME_LOG_H
#define NVME_LOG_H

#include <quoin/nvme.h>

#define NVME_ERROR_LOG_ENTRIES 64 /* ELPE is this minus one */

struct nvme_request;

struct nvme_log {
	uint64_t error_count;
};

void nvme_log_init(struct nvme_controller *c);

/* A command ended with an error: req's status, SQ and command are still there. */
void nvme_error_log_add(struct nvme_request *req);

#endif
