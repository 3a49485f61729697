/* SPDX-License-Identifier: Apache-2.0 */
/* Bringing a controller up and down: see client_host.h. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client_host.h"

#define RAM_SIZE_DEFAULT (64 * MiB)
#define PCI_COMMAND 4
#define PCI_CAPABILITIES 0x34
#define PCI_CAPABILITY_MSIX 0x11
#define PCI_COMMAND_ENABLE 0x0406 /* memory space, bus master, INTx off */
#define DOORBELL_PAGE_OFFSET 0x1000
#define DOORBELL_PAGE_SIZE 0x1000

/* --- Registers ---------------------------------------------------------------------------- */

uint32_t host_reg32(struct host *host, unsigned offset)
{
	uint32_t value;

	return client_bar_read(&host->client, offset, &value, sizeof(value)) ? UINT32_MAX : value;
}

uint64_t host_reg64(struct host *host, unsigned offset)
{
	uint64_t value;

	return client_bar_read(&host->client, offset, &value, sizeof(value)) ? UINT64_MAX : value;
}

int host_reg32_set(struct host *host, unsigned offset, uint32_t value)
{
	return client_bar_write(&host->client, offset, &value, sizeof(value));
}

/* As Linux does it: the low half first. */
int host_reg64_set(struct host *host, unsigned offset, uint64_t value)
{
	const int error = host_reg32_set(host, offset, (uint32_t)value);

	return error ? error : host_reg32_set(host, offset + 4, (uint32_t)(value >> 32));
}

int host_wait_status(struct host *host, uint32_t mask, uint32_t value)
{
	const uint64_t to_ms = 500 * (((host->cap >> 24) & 0xFF) + 1);
	const uint64_t end = client_now_ns() + to_ms * NS_PER_MS;

	for (;;) {
		const uint32_t csts = host_reg32(host, REG_CSTS);

		if (csts == UINT32_MAX)
			return -ENODEV;
		if ((csts & mask) == value)
			return 0;
		if ((csts & ~mask) & CSTS_CFS)
			return -EIO;
		if (client_now_ns() > end)
			return -ETIMEDOUT;
		client_sleep_us(100);
	}
}

/* --- Attach ------------------------------------------------------------------------------- */

/* The guest's half: the enable bit of the MSI-X capability. */
static int enable_msix(struct host *host)
{
	const uint16_t enable = 0x8000;
	uint8_t config[256];
	unsigned at;
	int error = client_config_read(&host->client, 0, config, sizeof(config));

	if (error)
		return error;
	for (at = config[PCI_CAPABILITIES]; at && config[at] != PCI_CAPABILITY_MSIX;)
		at = config[at + 1] & 0xFCU;
	if (!at)
		return -ENODEV;
	return client_config_write(&host->client, at + 2, &enable, sizeof(enable));
}

static int setup_interrupts(struct host *host)
{
	for (unsigned i = 0; i < host->vectors && i < HOST_QUEUES_MAX; i++) {
		int error;

		host->event_fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (host->event_fds[i] < 0)
			return -errno;
		error = client_msix_assign(&host->client, i, host->event_fds[i]);
		if (error)
			return error;
	}
	return enable_msix(host);
}

/* Uses the mapped page when the device offers one; without an offer nothing happens. */
static int map_doorbells(struct host *host)
{
	struct client_region region;
	int error = client_region_info(&host->client, WIRE_REGION_BAR0, 128, &region);
	void *page;

	if (error || !(region.info.flags & WIRE_REGION_MMAP))
		return error;
	if (!region.has_sparse || region.fd < 0 || region.sparse.offset != DOORBELL_PAGE_OFFSET ||
	    region.sparse.size != DOORBELL_PAGE_SIZE)
		return -EPROTO;
	page = mmap(NULL, DOORBELL_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, region.fd,
		    (off_t)(region.info.offset + region.sparse.offset));
	base_close(&region.fd);
	if (page == MAP_FAILED)
		return -errno;
	host->doorbell_page = page;
	host->client.posted = false; /* QEMU's rule for a device with a mapped region */
	return 0;
}

static int attach_device(struct host *host, const struct host_options *options)
{
	const uint16_t command = PCI_COMMAND_ENABLE;
	struct wire_irq_info irqs;
	int error = client_negotiate(&host->client, options->flavour);

	if (!error)
		error = ram_map(&host->ram, &host->client);
	if (!error)
		error = client_irq_info(&host->client, WIRE_IRQ_MSIX, &irqs);
	if (error)
		return error;
	host->vectors = irqs.count;
	if (options->interrupts)
		error = setup_interrupts(host);
	if (!error && options->map_doorbells)
		error = map_doorbells(host);
	if (!error)
		error = client_config_write(&host->client, PCI_COMMAND, &command, sizeof(command));
	if (!error)
		host->cap = host_reg64(host, REG_CAP);
	return error;
}

void host_init(struct host *host)
{
	memset(host, 0, sizeof(*host));
	host->client.fd = -1;
	for (unsigned i = 0; i < HOST_QUEUES_MAX; i++)
		host->event_fds[i] = -1;
}

int host_attach(struct host *host, const struct host_options *options)
{
	int error;

	host_init(host);
	host->queues[0].sq.size =
		(uint16_t)(options->admin_entries ? options->admin_entries : HOST_ADMIN_ENTRIES);
	error = ram_open(&host->ram, options->ram_size ? options->ram_size : RAM_SIZE_DEFAULT);
	if (error)
		return error;
	error = client_connect(&host->client, options->path);
	if (!error)
		error = attach_device(host, options);
	if (error)
		host_close(host);
	return error;
}

int host_open(struct host *host, const struct host_options *options)
{
	int error = host_attach(host, options);

	if (error)
		return error;
	error = host_enable(host);
	if (error)
		host_close(host);
	return error;
}

void host_close(struct host *host)
{
	client_close(&host->client);
	for (unsigned i = 0; i < HOST_QUEUES_MAX; i++)
		base_close(&host->event_fds[i]);
	if (host->doorbell_page)
		munmap(host->doorbell_page, DOORBELL_PAGE_SIZE);
	host->doorbell_page = NULL;
	ram_close(&host->ram);
}

/* --- Enable, disable ---------------------------------------------------------------------- */

void host_forget(struct host *host)
{
	for (unsigned i = 0; i < HOST_QUEUES_MAX; i++) {
		host->queues[i].created = false;
		host->queues[i].stray_count = 0;
	}
	host->shadow = NULL;
	host->event_index = NULL;
	if (host->doorbell_page)
		memset(host->doorbell_page, 0, DOORBELL_PAGE_SIZE);
}

int host_disable(struct host *host)
{
	const uint32_t cc = host_reg32(host, REG_CC);
	int error = host_reg32_set(host, REG_CC, cc & ~1U);

	if (!error)
		error = host_wait_status(host, CSTS_RDY, 0);
	host_forget(host);
	return error;
}

int host_enable(struct host *host)
{
	struct host_queue *admin = &host->queues[0];
	const unsigned entries = admin->sq.size;
	int error = host_disable(host);

	if (error)
		return error;
	host_sq_init(host, &admin->sq, 0, entries);
	host_cq_init(host, &admin->cq, 0, entries);
	error = host_reg32_set(host, REG_AQA, (entries - 1) << 16 | (entries - 1));
	if (!error)
		error = host_reg64_set(host, REG_ASQ, ram_addr(&host->ram, admin->sq.entries));
	if (!error)
		error = host_reg64_set(host, REG_ACQ, ram_addr(&host->ram, admin->cq.entries));
	if (!error)
		error = host_reg32_set(host, REG_CC, CC_DISABLE);
	if (!error)
		error = host_reg32_set(host, REG_CC, CC_ENABLE);
	if (!error)
		error = host_wait_status(host, CSTS_RDY, CSTS_RDY);
	admin->created = !error;
	return error;
}
