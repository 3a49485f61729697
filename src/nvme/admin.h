/* SPDX-License-Identifier: Apache-2.0 */
/* Admin commands, and what the core asks of the admin side. */
#ifndef NVME_ADMIN_H
#define NVME_ADMIN_H

#include <quoin/nvme.h>

struct nvme_request;
struct nvme_namespace;

/* For each command fetched from the admin queue. Ends through nvme_request_complete(). */
void nvme_admin_execute(struct nvme_request *req);

/* The slot of `nsid`, attached and usable for I/O, or NULL. */
struct nvme_namespace *nvme_namespace_find(struct nvme_controller *c, uint32_t nsid);

/* The client is gone, before anything is reset: to the disk, power went away. */
void nvme_admin_client_left(struct nvme_controller *c);

#endif
