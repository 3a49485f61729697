/* SPDX-License-Identifier: Apache-2.0 */
/* Data pointers of a command, made from guest memory: PRP and SGL (NVMe 1.4, 4.3 and 4.4). */
#ifndef CLIENT_PRP_H
#define CLIENT_PRP_H

#include "client_nvme.h"
#include "client_ram.h"

/*
 * Sets PRP1 and PRP2 for [data, data + size). A list, when needed, is built in pages from `ram`,
 * beginning `list_offset` bytes into its first page (multiple of 8, below 4096).
 */
void prp_set(struct ram *ram, struct nvme_sqe *sqe, const void *data, uint64_t size,
	     unsigned list_offset);

/* One data block descriptor in the command. */
void sgl_set(struct ram *ram, struct nvme_sqe *sqe, const void *data, uint32_t size);

/* The range cut into `count` data blocks, in a last segment in guest memory. */
void sgl_set_segment(struct ram *ram, struct nvme_sqe *sqe, const void *data, uint32_t size,
		     unsigned count);

#endif
