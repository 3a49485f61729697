/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Identify (NVMe 1.4, 5.15). Offsets in the pages are those of figures 245 and 247.
 *
 * Answered: 00h to 03h; 05h and 06h for the NVM command set, which belong to 2.0 but are asked of
 * 1.4 controllers by Linux; 10h to 13h because namespaces can be attached and detached. Refused:
 * 08h and 1Ch, which drivers ask for only when VS says 2.0 or CAP.CSS bit 43 is set.
 */
#include "controller.h"
#include "format.h"
#include "identify.h"

#include <stdio.h>
#include <string.h>

#define CNS_NAMESPACE 0x00
#define CNS_CONTROLLER 0x01
#define CNS_ACTIVE_LIST 0x02
#define CNS_DESCRIPTORS 0x03
#define CNS_CSI_NAMESPACE 0x05
#define CNS_CSI_CONTROLLER 0x06
#define CNS_ALLOCATED_LIST 0x10
#define CNS_ALLOCATED_NAMESPACE 0x11
#define CNS_ATTACHED_CONTROLLERS 0x12
#define CNS_CONTROLLERS 0x13

#define NSID_BROADCAST 0xFFFFFFFFU

#define OACS_FORMAT 0x0002
#define OACS_NAMESPACES 0x0008
#define OACS_DOORBELL_BUFFER 0x0100

/* Compare, Dataset Management, Write Zeroes, Save and Select, Timestamp, Verify, Copy. */
#define ONCS 0x01DD

#define SGLS 0x00010001 /* any alignment, bit buckets: what data.c follows */

#define SHUTDOWN_US 10000000 /* RTD3E: how long the flush at shutdown may take */

static void text_put(uint8_t *field, size_t size, const char *text)
{
	const size_t length = strnlen(text, size);

	memset(field, ' ', size);
	memcpy(field, text, length);
}

static void subnqn_put(uint8_t field[256], const uint8_t u[16])
{
	snprintf((char *)field, 256,
		 "nqn.2014-08.org.nvmexpress:uuid:%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
		 "%02x%02x%02x%02x%02x%02x",
		 u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12],
		 u[13], u[14], u[15]);
}

static uint64_t total_capacity(const struct nvme_controller *c)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < c->params.namespaces; i++) {
		const struct nvme_namespace *ns = &c->namespaces[i];

		if (ns->channel)
			total += ns->block_count << ns->lba_shift;
	}
	return total;
}

static void controller_limits(const struct nvme_controller *c, uint8_t *page)
{
	uint16_t oacs = OACS_FORMAT | OACS_NAMESPACES;

	if (c->params.doorbells == NVME_DOORBELLS_SHADOW)
		oacs |= OACS_DOORBELL_BUFFER;
	le16_put(page + 256, oacs);
	page[258] = 3; /* ACL: 4 Abort commands at once; they never wait */
	page[259] = NVME_AER_MAX - 1;
	page[260] = 0x03; /* one firmware slot, read only */
	page[261] = 0x06; /* effects log, log page offsets */
	page[262] = NVME_ERROR_LOG_ENTRIES - 1;
	le16_put(page + 266, NVME_SMART_WARNING_KELVIN);
	le16_put(page + 268, NVME_SMART_CRITICAL_KELVIN);
	le64_put(page + 280, total_capacity(c)); /* TNVMCAP; UNVMCAP is 0 */
}

static void controller_commands(const struct nvme_controller *c, uint8_t *page)
{
	page[512] = 0x66; /* SQES */
	page[513] = 0x44; /* CQES */
	le32_put(page + 516, c->params.namespaces);
	le16_put(page + 520, ONCS);
	le16_put(page + 522, 0x0001); /* FUSES: compare and write */
	page[525] = 0x07;	      /* VWC: present, flush of all namespaces */
	le16_put(page + 534, 0x0001); /* OCFS: copy descriptor format 0 */
	le32_put(page + 536, SGLS);
	subnqn_put(page + 768, c->params.uuid);
	le16_put(page + 2048, 0x09C4); /* power state 0: 25 W */
}

static void controller_page(const struct nvme_controller *c, uint8_t *page)
{
	le16_put(page + 0, NVME_PCI_VENDOR);
	le16_put(page + 2, NVME_PCI_VENDOR);
	text_put(page + 4, 20, c->params.serial);
	text_put(page + 24, 40, c->params.model);
	text_put(page + 64, 8, NVME_FIRMWARE_REVISION);
	page[72] = 6; /* RAB */
	page[77] = NVME_MDTS_SHIFT;
	le16_put(page + 78, NVME_CONTROLLER_ID);
	le32_put(page + 80, NVME_VERSION);
	le32_put(page + 88, SHUTDOWN_US);
	le32_put(page + 92, 0x0100); /* OAES: namespace attribute notices */
	page[111] = 1;		     /* I/O controller */
	controller_limits(c, page);
	controller_commands(c, page);
}

/* --- Namespaces ---------------------------------------------------------------------------- */

static uint16_t blocks_minus_one(uint64_t bytes, unsigned lba_shift)
{
	const uint64_t blocks = MAX(bytes >> lba_shift, (uint64_t)1);

	return (uint16_t)(MIN(blocks, (uint64_t)0x10000) - 1);
}

static void lba_format_put(uint8_t *page, unsigned index, unsigned shift)
{
	/* Relative performance: 4 KiB best, smaller ones good. */
	le32_put(page + 128 + index * 4, (uint32_t)shift << 16 | (shift < 12 ? 2U : 0U) << 24);
}

static void namespace_formats(const struct nvme_namespace *ns, uint8_t *page)
{
	const unsigned count = nvme_format_count(ns);

	page[25] = (uint8_t)(count - 1);
	for (unsigned i = 0; i < count; i++) {
		lba_format_put(page, i, nvme_format_shift(ns, i));
		if (nvme_format_shift(ns, i) == ns->lba_shift)
			page[26] = (uint8_t)i;
	}
}

/* Preferred sizes, NSFEAT bit 4: what is below 4 KiB costs a read on most back ends. */
static void namespace_sizes(const struct nvme_namespace *ns, uint8_t *page)
{
	const struct block_limits *limits = &ns->channel->device->limits;
	const uint16_t write = blocks_minus_one(limits->optimal_block_bytes, ns->lba_shift);
	const uint16_t discard = blocks_minus_one(limits->discard_granularity_bytes, ns->lba_shift);

	le16_put(page + 64, write);
	le16_put(page + 66, write);
	le16_put(page + 68, discard);
	le16_put(page + 70, discard);
	le16_put(page + 72, write);
}

static void copy_limits_put(uint8_t *page)
{
	le16_put(page + 74, NVME_COPY_RANGE_BLOCKS);
	le32_put(page + 76, NVME_COPY_BLOCKS_MAX);
	page[80] = NVME_COPY_RANGES_MAX - 1;
}

static void namespace_page(const struct nvme_namespace *ns, uint8_t *page)
{
	const struct block_limits *limits = &ns->channel->device->limits;

	le64_put(page + 0, ns->block_count);
	le64_put(page + 8, ns->block_count);
	le64_put(page + 16, ns->block_count);
	page[24] = 0x10; /* NSFEAT: the preferred sizes are valid */
	namespace_formats(ns, page);
	page[32] = nvme_format_progress(ns);
	if (limits->discard_granularity_bytes && limits->discard_zeroes)
		page[33] = 0x09; /* DLFEAT: reads zero, Write Zeroes may deallocate */
	le64_put(page + 48, ns->block_count << ns->lba_shift); /* NVMCAP */
	namespace_sizes(ns, page);
	copy_limits_put(page);
	page[99] = ns->read_only ? 0x01 : 0x00;
	memcpy(page + 104, ns->nguid, sizeof(ns->nguid));
}

/* What all namespaces have in common, for NSID FFFFFFFFh. */
static void namespace_common_page(uint8_t *page)
{
	page[24] = 0x10;
	page[25] = 1;
	lba_format_put(page, 0, 9);
	lba_format_put(page, 1, 12);
	copy_limits_put(page);
}

static void descriptors_page(const struct nvme_namespace *ns, uint8_t *page)
{
	page[0] = 2; /* NGUID */
	page[1] = 16;
	memcpy(page + 4, ns->nguid, 16);
	page[20] = 3; /* UUID */
	page[21] = 16;
	memcpy(page + 24, ns->uuid, 16);
	page[40] = 4; /* command set identifier: 0, NVM */
	page[41] = 1;
}

static bool nsid_valid(const struct nvme_controller *c, uint32_t nsid)
{
	return nsid >= 1 && nsid <= c->params.namespaces;
}

static const struct nvme_namespace *allocated(const struct nvme_controller *c, uint32_t nsid)
{
	const struct nvme_namespace *ns = &c->namespaces[nsid - 1];

	return ns->channel ? ns : NULL;
}

/* The namespaces above the command's NSID, ascending. NN is far below the 1024 of a page. */
static uint16_t list_page(const struct nvme_request *req, uint8_t *page, bool inactive_too)
{
	const struct nvme_controller *c = req->controller;
	const uint32_t after = req->command.nsid;
	unsigned count = 0;

	if (after >= 0xFFFFFFFE)
		return NVME_INVALID_NAMESPACE | NVME_DNR;
	for (unsigned i = 0; i < c->params.namespaces; i++) {
		const struct nvme_namespace *ns = &c->namespaces[i];

		if (ns->nsid > after && ns->channel && (inactive_too || ns->attached))
			le32_put(page + 4 * count++, ns->nsid);
	}
	return NVME_SUCCESS;
}

void nvme_controller_list(uint8_t page[NVME_IDENTIFY_SIZE], bool present)
{
	if (!present)
		return;
	le16_put(page, 1);
	le16_put(page + 2, NVME_CONTROLLER_ID);
}

/* --- The command --------------------------------------------------------------------------- */

/* CNS values about one namespace, by NSID. */
static uint16_t one_namespace(const struct nvme_request *req, uint8_t cns, uint8_t *page)
{
	const struct nvme_controller *c = req->controller;
	const uint32_t nsid = req->command.nsid;
	const uint32_t first_controller = req->command.dw10 >> 16;
	const struct nvme_namespace *ns;

	if (cns == CNS_NAMESPACE && nsid == NSID_BROADCAST) {
		namespace_common_page(page);
		return NVME_SUCCESS;
	}
	if (!nsid_valid(c, nsid))
		return NVME_INVALID_NAMESPACE | NVME_DNR;
	ns = allocated(c, nsid);
	if (cns == CNS_ATTACHED_CONTROLLERS) {
		nvme_controller_list(page,
				     ns && ns->attached && first_controller <= NVME_CONTROLLER_ID);
		return NVME_SUCCESS;
	}
	if (ns && !ns->attached && cns != CNS_ALLOCATED_NAMESPACE)
		ns = NULL;
	if (cns == CNS_DESCRIPTORS) {
		if (!ns)
			return NVME_INVALID_FIELD | NVME_DNR;
		descriptors_page(ns, page);
	} else if (ns && cns != CNS_CSI_NAMESPACE) {
		namespace_page(ns, page);
	}
	return NVME_SUCCESS;
}

static uint16_t page_for(const struct nvme_request *req, uint8_t *page)
{
	const struct nvme_controller *c = req->controller;
	const uint8_t cns = (uint8_t)req->command.dw10;
	const uint8_t command_set = (uint8_t)(req->command.dw11 >> 24);

	switch (cns) {
	case CNS_NAMESPACE:
	case CNS_DESCRIPTORS:
	case CNS_ALLOCATED_NAMESPACE:
	case CNS_ATTACHED_CONTROLLERS:
		return one_namespace(req, cns, page);
	case CNS_CONTROLLER:
		controller_page(c, page);
		return NVME_SUCCESS;
	case CNS_ACTIVE_LIST:
	case CNS_ALLOCATED_LIST:
		return list_page(req, page, cns == CNS_ALLOCATED_LIST);
	case CNS_CSI_NAMESPACE: /* no protection information: an empty page */
		return command_set ? NVME_INVALID_FIELD | NVME_DNR : one_namespace(req, cns, page);
	case CNS_CSI_CONTROLLER: /* an empty page: no limits beyond MDTS and 256 DSM ranges */
		return command_set ? NVME_INVALID_FIELD | NVME_DNR : NVME_SUCCESS;
	case CNS_CONTROLLERS:
		nvme_controller_list(page, req->command.dw10 >> 16 <= NVME_CONTROLLER_ID);
		return NVME_SUCCESS;
	default:
		return NVME_INVALID_FIELD | NVME_DNR;
	}
}

void nvme_identify(struct nvme_request *req)
{
	uint8_t page[NVME_IDENTIFY_SIZE] = {0};
	uint16_t status = page_for(req, page);

	if (status == NVME_SUCCESS)
		status = nvme_data_to_guest(req, page, sizeof(page));
	nvme_request_complete(req, status, 0);
}
