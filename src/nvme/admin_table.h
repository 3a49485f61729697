/* SPDX-License-Identifier: Apache-2.0 */
/* What the admin files share beside their own headers. */
#ifndef NVME_ADMIN_TABLE_H
#define NVME_ADMIN_TABLE_H

#include <quoin/nvme.h>

/* The commands supported and effects log (05h): 4096 zeroed bytes. */
void nvme_admin_effects(const struct nvme_controller *c, uint8_t *page);

#endif
