/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces as the guest may manage them; the host's side is in quoin/nvme.h. */
#ifndef NVME_NAMESPACE_H
#define NVME_NAMESPACE_H

#include <quoin/nvme.h>

struct nvme_namespace;
struct nvme_request;

/* The slot of `nsid` when a disk is there and stays, attached to the guest or not; or NULL. */
struct nvme_namespace *nvme_namespace_allocated(const struct nvme_controller *c, uint32_t nsid);

/* A new client starts with all namespaces attached, whatever the last one had detached. */
void nvme_namespaces_reattach(struct nvme_controller *c);

/* Admin commands 0Dh and 15h. */
void nvme_ns_management(struct nvme_request *req);
void nvme_ns_attachment(struct nvme_request *req);

#endif
