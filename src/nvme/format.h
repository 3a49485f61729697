/* SPDX-License-Identifier: Apache-2.0 */
/* Format NVM: the LBA formats of a namespace, and the command that changes them. */
#ifndef NVME_FORMAT_H
#define NVME_FORMAT_H

#include <quoin/nvme.h>

struct nvme_namespace;
struct nvme_request;

/* Admin command 80h. */
void nvme_format(struct nvme_request *req);

/*
 * How many LBA formats the namespace offers, and the block size (as a shift) of one of them. A
 * second format is offered only when somebody remembers the choice (remember_format): a disk
 * whose block size changes back at the next start would be unreadable.
 */
unsigned nvme_format_count(const struct nvme_namespace *ns);
unsigned nvme_format_shift(const struct nvme_namespace *ns, unsigned index);

/* The format progress indicator of Identify Namespace (FPI). */
uint8_t nvme_format_progress(const struct nvme_namespace *ns);

#endif
