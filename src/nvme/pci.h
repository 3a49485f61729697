/* SPDX-License-Identifier: Apache-2.0 */
/* The PCI function: configuration space and the parts of BAR0 that are not NVMe. */
#ifndef NVME_PCI_H
#define NVME_PCI_H

#include <quoin/nvme.h>

#include "interrupt.h"

/*
 * Vendor and device id. Drivers bind by class code and look ids up in tables of quirks (Linux:
 * 1b36:0010 and 8086:5845 lose their identifiers or commands), so the ids must be in no such
 * table and belong to nobody: "QN" is not an assigned vendor id, and Linux, FreeBSD and EDK2 know
 * no quirk for it.
 */
#define NVME_PCI_VENDOR 0x4E51
#define NVME_PCI_DEVICE 0x0001

#define NVME_PCI_WRITABLE_BYTES 256 /* nothing above can be written */

#define NVME_MSIX_ENTRY_SIZE 16

struct nvme_pci {
	uint8_t config[NVME_CONFIG_SIZE];
	uint8_t writable[NVME_PCI_WRITABLE_BYTES]; /* a 1 bit can be written */
	uint8_t msix_table[NVME_VECTORS_MAX * NVME_MSIX_ENTRY_SIZE];
	bool flr_active;
	struct nvme_wait flr;
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
