/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Identify. The builders fill a page from the controller's state and touch no guest memory; the
 * command copies the page out.
 */
#ifndef NVME_IDENTIFY_H
#define NVME_IDENTIFY_H

#include <quoin/nvme.h>

#define NVME_IDENTIFY_SIZE 4096
#define NVME_CONTROLLER_ID 1
#define NVME_FIRMWARE_REVISION "1.0"
#define NVME_SMART_WARNING_KELVIN 0x157
#define NVME_SMART_CRITICAL_KELVIN 0x175

struct nvme_controller;
struct nvme_namespace;
struct nvme_request;

/* Admin command 06h. */
void nvme_identify(struct nvme_request *req);

/* A controller list (NVMe 1.4, 4.11) with this controller in it, or empty. */
void nvme_controller_list(uint8_t page[NVME_IDENTIFY_SIZE], bool present);

#endif
