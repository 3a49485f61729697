/* SPDX-License-Identifier: Apache-2.0 */
/* Log pages (NVMe 1.4, 5.14). */
#ifndef NVME_LOG_H
#define NVME_LOG_H

#include <quoin/base_bitmap.h>
#include <quoin/nvme.h>

#define NVME_ERROR_LOG_ENTRIES 64 /* ELPE is this minus one */

struct nvme_request;

struct nvme_error_entry {
	uint64_t number; /* counts from 1; 0 = unused */
	uint64_t lba;
	uint32_t nsid;
	uint16_t sq_id;
	uint16_t cid;
	uint16_t status; /* without the phase tag */
};

/* Lives as long as the controller: resets touch only `changed`. */
struct nvme_log {
	uint64_t error_count;
	struct nvme_error_entry errors[NVME_ERROR_LOG_ENTRIES]; /* ring; the next is at count % n */
	uint64_t media_errors;
	uint64_t power_cycles;
	uint64_t unsafe_shutdowns;
	uint64_t start_ns;
	uint64_t changed[BITMAP_WORDS(NVME_NAMESPACES_MAX)]; /* log 04h; bit nsid - 1 */
};

void nvme_log_init(struct nvme_controller *c);

/* A command ended with an error: req's status, SQ and command are still there. */
void nvme_error_log_add(struct nvme_request *req);

/* Controller reset: the guest will look at all namespaces anew. */
void nvme_log_reset(struct nvme_controller *c);

/* The client went away, which is a power cycle to the disk; before registers are cleared. */
void nvme_log_power_cycle(struct nvme_controller *c);

/* Namespace `nsid` changed: log 04h, and a notice. */
void nvme_log_namespace_changed(struct nvme_controller *c, unsigned nsid);

/* A threshold changed: SMART event when the temperature is outside now. */
void nvme_log_temperature_check(struct nvme_controller *c);

/* Admin command 02h. */
void nvme_get_log_page(struct nvme_request *req);

#endif
