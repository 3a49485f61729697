/* SPDX-License-Identifier: Apache-2.0 */
/* The PCI function: configuration space and the parts of BAR0 that are not NVMe. */
#ifndef NVME_PCI_H
#define NVME_PCI_H

#include <quoin/nvme.h>

struct nvme_pci {
	uint8_t config[NVME_CONFIG_SIZE];
};

void nvme_pci_init(struct nvme_controller *c);

/* Function level reset of the configuration space: command, MSI-X enable, BARs to defaults. */
void nvme_pci_reset(struct nvme_controller *c);

/* MSI-X Enable of the capability's message control. */
bool nvme_pci_msix_enabled(const struct nvme_controller *c);

/* INTx may be asserted: offered, not disabled in the command register, MSI-X off. */
bool nvme_pci_intx_enabled(const struct nvme_controller *c);

/* The INTx status bit of the status register follows the line. */
void nvme_pci_intx_status(struct nvme_controller *c, bool level);

#endif
