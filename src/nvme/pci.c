/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PCI function: configuration space (PCI Express Base 4.0, 7.5 to 7.7) and BAR0's dispatch.
 *
 * The space is an array of bytes with a mask of writable bits beside it, so that writes of any
 * length and alignment do the right thing byte by byte. What a write sets off (bus mastering,
 * interrupt mode, function level reset) is decided afterwards by comparing old and new values.
 *
 * Bus mastering gates DMA, and so does a power state other than D0. The memory space bit is kept
 * but gates nothing: the client decodes addresses, not we, and there are hosts that reach the BAR
 * through the transport with only bus mastering set (SPDK's vfio-user host writes 0404h).
 *
 * The MSI-X table is plain storage: clients emulate it and hand us eventfds instead.
 */
#include "controller.h"

#include <string.h>

#define COMMAND 0x04
#define COMMAND_BUS_MASTER 0x0004
#define COMMAND_INTX_DISABLE 0x0400
#define COMMAND_WRITABLE 0x0547
#define STATUS 0x06
#define STATUS_INTX 0x08 /* in the register's low byte */
#define STATUS_CAPABILITIES 0x10
#define BAR0 0x10
#define BAR_MEMORY_64 0x04
#define INTERRUPT_LINE 0x3C
#define INTERRUPT_PIN 0x3D

#define PM_CAP 0x40
#define PM_CONTROL (PM_CAP + 4)
#define PM_STATE 0x03
#define PM_NO_SOFT_RESET 0x08

#define MSIX_CAP 0x50
#define MSIX_CONTROL (MSIX_CAP + 2)
#define MSIX_ENABLE 0x8000
#define MSIX_FUNCTION_MASK 0x4000

#define PBA_SIZE (BITMAP_WORDS(NVME_VECTORS_MAX) * 8)

#define PCIE_CAP 0x60
#define PCIE_DEVICE_CONTROL (PCIE_CAP + 0x08)
#define PCIE_FLR_BYTE (PCIE_DEVICE_CONTROL + 1) /* Initiate Function Level Reset is bit 15 */
#define PCIE_FLR 0x80

static void header_fill(struct nvme_pci *pci, bool intx)
{
	uint8_t *config = pci->config;

	le16_put(config + 0x00, NVME_PCI_VENDOR);
	le16_put(config + 0x02, NVME_PCI_DEVICE);
	le16_put(config + STATUS, STATUS_CAPABILITIES);
	config[0x08] = 1;    /* revision */
	config[0x09] = 0x02; /* NVM Express */
	config[0x0A] = 0x08; /* non-volatile memory */
	config[0x0B] = 0x01; /* mass storage */
	config[BAR0] = BAR_MEMORY_64;
	le16_put(config + 0x2C, NVME_PCI_VENDOR);
	le16_put(config + 0x2E, NVME_PCI_DEVICE);
	config[0x34] = PM_CAP;
	config[INTERRUPT_PIN] = intx ? 1 : 0;
	le16_put(pci->writable + COMMAND, COMMAND_WRITABLE);
	pci->writable[0x0C] = 0xFF; /* cache line size */
	le64_put(pci->writable + BAR0, ~(uint64_t)(NVME_BAR_SIZE - 1));
	pci->writable[INTERRUPT_LINE] = 0xFF;
}

static void pm_fill(struct nvme_pci *pci)
{
	uint8_t *cap = pci->config + PM_CAP;

	cap[0] = 0x01;
	cap[1] = MSIX_CAP;
	le16_put(cap + 2, 0x0003); /* version 3, no PME, no D1 or D2 */
	cap[4] = PM_NO_SOFT_RESET;
	pci->writable[PM_CONTROL] = PM_STATE;
}

static void msix_fill(struct nvme_pci *pci, unsigned vectors)
{
	uint8_t *cap = pci->config + MSIX_CAP;

	cap[0] = 0x11;
	cap[1] = PCIE_CAP;
	le16_put(cap + 2, (uint16_t)(vectors - 1));
	le32_put(cap + 4, NVME_BAR_MSIX_TABLE); /* in BAR 0 */
	le32_put(cap + 8, NVME_BAR_MSIX_PBA);
	le16_put(pci->writable + MSIX_CONTROL, MSIX_ENABLE | MSIX_FUNCTION_MASK);
}

static void pcie_fill(struct nvme_pci *pci)
{
	uint8_t *cap = pci->config + PCIE_CAP;
	uint8_t *writable = pci->writable + PCIE_CAP;

	cap[0] = 0x10;
	le16_put(cap + 0x02, 0x0002);	  /* version 2, endpoint */
	le32_put(cap + 0x04, 0x10008000); /* FLR, role-based error reporting */
	le16_put(cap + 0x08, 0x2810);	  /* relaxed ordering, no snoop, 512-byte requests */
	le32_put(cap + 0x0C, 0x00000043); /* 8 GT/s, 4 lanes */
	le16_put(cap + 0x12, 0x0043);
	le32_put(cap + 0x24, 0x00000010); /* completion time-out can be disabled */
	le32_put(cap + 0x2C, 0x0000000E); /* 2.5, 5 and 8 GT/s */
	le16_put(cap + 0x30, 0x0003);
	le16_put(writable + 0x08, 0x781F);
	le16_put(writable + 0x10, 0x0040); /* common clock configuration */
	le16_put(writable + 0x28, 0x0010);
}

static void config_fill(struct nvme_controller *c)
{
	struct nvme_pci *pci = &c->pci;

	memset(pci->config, 0, sizeof(pci->config));
	memset(pci->writable, 0, sizeof(pci->writable));
	header_fill(pci, c->params.intx);
	pm_fill(pci);
	msix_fill(pci, c->params.queue_pairs + 1);
	pcie_fill(pci);
}

static void msix_reset(struct nvme_pci *pci)
{
	memset(pci->msix_table, 0, sizeof(pci->msix_table));
	for (unsigned i = 0; i < NVME_VECTORS_MAX; i++)
		pci->msix_table[i * NVME_MSIX_ENTRY_SIZE + 12] = 1; /* vector masked */
}

static bool may_master(const struct nvme_pci *pci)
{
	return (le16_get(pci->config + COMMAND) & COMMAND_BUS_MASTER) &&
	       (pci->config[PM_CONTROL] & PM_STATE) == 0;
}

void nvme_pci_init(struct nvme_controller *c)
{
	config_fill(c);
	msix_reset(&c->pci);
}

void nvme_pci_reset(struct nvme_controller *c)
{
	config_fill(c);
	msix_reset(&c->pci);
	nvme_bus_master_set(c, false);
	nvme_interrupts_reconfigure(c);
}

bool nvme_pci_msix_enabled(const struct nvme_controller *c)
{
	return le16_get(c->pci.config + MSIX_CONTROL) & MSIX_ENABLE;
}

bool nvme_pci_intx_enabled(const struct nvme_controller *c)
{
	return c->params.intx && !nvme_pci_msix_enabled(c) &&
	       !(le16_get(c->pci.config + COMMAND) & COMMAND_INTX_DISABLE);
}

void nvme_pci_intx_status(struct nvme_controller *c, bool level)
{
	uint8_t *status = &c->pci.config[STATUS];

	*status = (uint8_t)(level ? *status | STATUS_INTX : *status & ~STATUS_INTX);
}

/* --- Access to configuration space --------------------------------------------------------- */

void nvme_config_read(struct nvme_controller *c, unsigned offset, void *data, unsigned length)
{
	ASSERT(range_within(offset, length, NVME_CONFIG_SIZE));
	memcpy(data, c->pci.config + offset, length);
}

static void flr_done(struct nvme_wait *wait)
{
	container_of(wait, struct nvme_pci, flr)->flr_active = false;
}

/* A second request while the first still drains is part of the first. */
static void flr_start(struct nvme_controller *c)
{
	if (c->pci.flr_active)
		return;
	c->pci.flr_active = true;
	c->pci.flr.done = flr_done;
	nvme_controller_reset(c, NVME_RESET_FUNCTION, &c->pci.flr);
}

void nvme_config_write(struct nvme_controller *c, unsigned offset, const void *data,
		       unsigned length)
{
	struct nvme_pci *pci = &c->pci;
	const uint8_t *bytes = data;
	const bool could_master = may_master(pci);
	const uint16_t command = le16_get(pci->config + COMMAND);
	const uint16_t msix = le16_get(pci->config + MSIX_CONTROL);
	bool flr = false;

	ASSERT(range_within(offset, length, NVME_CONFIG_SIZE));
	for (unsigned i = 0; i < length && offset + i < NVME_PCI_WRITABLE_BYTES; i++) {
		const uint8_t mask = pci->writable[offset + i];
		uint8_t *byte = &pci->config[offset + i];

		*byte = (uint8_t)((*byte & ~mask) | (bytes[i] & mask));
		flr = flr || (offset + i == PCIE_FLR_BYTE && (bytes[i] & PCIE_FLR));
	}
	if (flr) {
		flr_start(c);
		return;
	}
	if (may_master(pci) != could_master)
		nvme_bus_master_set(c, !could_master);
	if (((le16_get(pci->config + COMMAND) ^ command) & COMMAND_INTX_DISABLE) ||
	    le16_get(pci->config + MSIX_CONTROL) != msix)
		nvme_interrupts_reconfigure(c);
}

/* --- BAR0 ---------------------------------------------------------------------------------- */

/* A part of BAR0 that is plain bytes of ours. */
struct window {
	unsigned start;
	unsigned size;
	const uint8_t *bytes;
};

/* Copies what [offset, offset + length) has in common with the window. */
static void window_read(const struct window *w, unsigned offset, uint8_t *data, unsigned length)
{
	for (unsigned i = 0; i < length; i++)
		if (offset + i >= w->start && offset + i - w->start < w->size)
			data[i] = w->bytes[offset + i - w->start];
}

static unsigned msix_table_bytes(const struct nvme_controller *c)
{
	return (c->params.queue_pairs + 1) * NVME_MSIX_ENTRY_SIZE;
}

static void pending_fill(const struct nvme_controller *c, uint8_t pending[PBA_SIZE])
{
	const struct nvme_transport_ops *transport = c->params.transport;

	memset(pending, 0, PBA_SIZE);
	for (unsigned i = 0; transport->msix_pending && i <= c->params.queue_pairs; i++)
		if (transport->msix_pending(c->params.transport_data, i))
			pending[i / 8] |= (uint8_t)(1U << i % 8);
}

void nvme_bar_read(struct nvme_controller *c, unsigned offset, void *data, unsigned length)
{
	uint8_t pending[PBA_SIZE];
	const struct window table = {NVME_BAR_MSIX_TABLE, msix_table_bytes(c), c->pci.msix_table};
	const struct window pba = {NVME_BAR_MSIX_PBA, PBA_SIZE, pending};

	ASSERT(range_within(offset, length, NVME_BAR_SIZE));
	if (offset + length <= NVME_BAR_DOORBELLS) {
		nvme_registers_read(c, offset, data, length);
		return;
	}
	memset(data, 0, length); /* doorbells read 0, and so does all that is not there */
	pending_fill(c, pending);
	window_read(&table, offset, data, length);
	window_read(&pba, offset, data, length);
}

static void msix_table_write(struct nvme_controller *c, unsigned offset, const uint8_t *data,
			     unsigned length)
{
	for (unsigned i = 0; i < length; i++)
		if (offset + i < msix_table_bytes(c))
			c->pci.msix_table[offset + i] = data[i];
}

void nvme_bar_write(struct nvme_controller *c, unsigned offset, const void *data, unsigned length)
{
	ASSERT(range_within(offset, length, NVME_BAR_SIZE));
	if (offset + length <= NVME_BAR_DOORBELLS)
		nvme_registers_write(c, offset, data, length);
	else if (offset >= NVME_BAR_DOORBELLS && offset + length <= NVME_BAR_DOORBELLS + NVME_PAGE)
		nvme_doorbell_write(c, offset - NVME_BAR_DOORBELLS, data, length);
	else if (offset >= NVME_BAR_MSIX_TABLE)
		msix_table_write(c, offset - NVME_BAR_MSIX_TABLE, data, length);
}
