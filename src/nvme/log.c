/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log pages (NVMe 1.4, 5.14): error information, SMART, firmware slots, changed namespaces,
 * commands supported and their effects, and the list of supported pages.
 *
 * Each page is built whole, in at most 4 KiB, then the part that was asked for is copied out and
 * followed by zeroes: a request may be as long as MDTS. Reading a page without "retain" allows
 * the next event of its type (event.c).
 */
#include "controller.h"
#include "admin_table.h"
#include "identify.h"

#include <string.h>

#define LOG_PAGE_SIZE 4096

#define LID_SUPPORTED 0x00
#define LID_ERROR 0x01
#define LID_SMART 0x02
#define LID_FIRMWARE 0x03
#define LID_CHANGED 0x04
#define LID_EFFECTS 0x05
#define LID_COUNT 6

#define NSID_BROADCAST 0xFFFFFFFFU
#define TEMPERATURE_KELVIN 303 /* nothing here gets warm */
#define WARNING_TEMPERATURE 0x02
#define SMART_TEMPERATURE_INFO 1
#define SECTORS_PER_UNIT 1000
#define NS_PER_HOUR (3600 * NS_PER_S)

void nvme_log_init(struct nvme_controller *c)
{
	c->log = (struct nvme_log){.power_cycles = 1, .start_ns = loop_clock_ns(c->loop)};
}

void nvme_log_power_cycle(struct nvme_controller *c)
{
	const bool shut_down = c->registers.shutdown == 2;

	c->log.power_cycles++;
	if (c->registers.state != NVME_LIFE_DISABLED && !shut_down)
		c->log.unsafe_shutdowns++;
}

/* --- Errors -------------------------------------------------------------------------------- */

static bool is_media_error(uint16_t status)
{
	return (status >> 8 & 7) == 2 && (status & 0x7FF) != NVME_COMPARE_FAILURE;
}

/* Commands that ended because they were told to are no errors worth a line. */
static bool is_abort(uint16_t status)
{
	const uint16_t code = status & 0x7FF;

	return code == NVME_ABORTED_REQUEST || code == NVME_ABORTED_SQ_DELETED;
}

/* The commands that carry a starting LBA in CDW10 and CDW11 (Copy: of the destination). */
static bool has_lba(const struct nvme_request *req)
{
	return req->sq_id != 0 && req->command.opcode != NVME_IO_FLUSH &&
	       req->command.opcode != NVME_IO_DSM;
}

void nvme_error_log_add(struct nvme_request *req)
{
	struct nvme_log *log = &req->controller->log;
	const struct nvme_command *cmd = &req->command;
	struct nvme_error_entry *entry = &log->errors[log->error_count % NVME_ERROR_LOG_ENTRIES];

	if (is_abort(req->status))
		return;
	if (is_media_error(req->status))
		log->media_errors++;
	log->error_count++;
	*entry = (struct nvme_error_entry){
		.number = log->error_count,
		.lba = has_lba(req) ? (uint64_t)cmd->dw11 << 32 | cmd->dw10 : 0,
		.nsid = cmd->nsid,
		.sq_id = req->sq_id,
		.cid = cmd->cid,
		.status = req->status,
	};
}

static void error_page(const struct nvme_log *log, uint8_t *page)
{
	const uint64_t used = MIN(log->error_count, (uint64_t)NVME_ERROR_LOG_ENTRIES);

	for (uint64_t i = 0; i < used; i++) {
		const uint64_t index = (log->error_count - 1 - i) % NVME_ERROR_LOG_ENTRIES;
		const struct nvme_error_entry *entry = &log->errors[index];
		uint8_t *out = page + i * 64;

		le64_put(out, entry->number);
		le16_put(out + 8, entry->sq_id);
		le16_put(out + 10, entry->cid);
		le16_put(out + 12, (uint16_t)(entry->status << 1));
		le16_put(out + 14, 0xFFFF); /* no particular parameter */
		le64_put(out + 16, entry->lba);
		le32_put(out + 24, entry->nsid);
	}
}

/* --- SMART --------------------------------------------------------------------------------- */

static bool temperature_outside(const struct nvme_controller *c)
{
	return TEMPERATURE_KELVIN >= c->features.over_kelvin ||
	       TEMPERATURE_KELVIN <= c->features.under_kelvin;
}

void nvme_log_temperature_check(struct nvme_controller *c)
{
	if (temperature_outside(c))
		nvme_event_raise(c, NVME_EVENT_SMART, SMART_TEMPERATURE_INFO);
}

static uint64_t data_units(uint64_t bytes)
{
	return div_round_up(bytes / 512, SECTORS_PER_UNIT);
}

static void smart_page(const struct nvme_controller *c, uint8_t *page)
{
	const struct nvme_log *log = &c->log;

	page[0] = temperature_outside(c) ? WARNING_TEMPERATURE : 0;
	le16_put(page + 1, TEMPERATURE_KELVIN);
	page[3] = 100; /* available spare, its threshold, and nothing is used up */
	page[4] = 10;
	le64_put(page + 32, data_units(c->stats.read_bytes));
	le64_put(page + 48, data_units(c->stats.written_bytes));
	le64_put(page + 64, c->stats.reads);
	le64_put(page + 80, c->stats.writes);
	le64_put(page + 112, log->power_cycles);
	le64_put(page + 128, (loop_clock_ns(c->loop) - log->start_ns) / NS_PER_HOUR);
	le64_put(page + 144, log->unsafe_shutdowns);
	le64_put(page + 160, log->media_errors);
	le64_put(page + 176, log->error_count);
}

/* --- The other pages ----------------------------------------------------------------------- */

void nvme_log_namespace_changed(struct nvme_controller *c, unsigned nsid)
{
	if (c->registers.state != NVME_LIFE_ENABLED)
		return; /* a guest that starts looks at all of them anyway */
	bitmap_set(c->log.changed, nsid - 1);
	nvme_event_raise(c, NVME_EVENT_NOTICE, 0);
}

void nvme_log_reset(struct nvme_controller *c)
{
	memset(c->log.changed, 0, sizeof(c->log.changed));
}

static void changed_page(const struct nvme_controller *c, uint8_t *page)
{
	unsigned count = 0;

	for (unsigned i = 0; i < c->params.namespaces; i++)
		if (bitmap_test(c->log.changed, i))
			le32_put(page + 4 * count++, i + 1);
}

static void firmware_page(uint8_t *page)
{
	page[0] = 0x01; /* slot 1 is active */
	memset(page + 8, ' ', 8);
	memcpy(page + 8, NVME_FIRMWARE_REVISION, strlen(NVME_FIRMWARE_REVISION));
}

static void supported_page(uint8_t *page)
{
	for (unsigned lid = 0; lid < LID_COUNT; lid++)
		le32_put(page + 4 * lid, 1);
}

/* --- The command --------------------------------------------------------------------------- */

/* Fills the page; returns its size, or 0 when there is no such page. */
static uint32_t page_for(const struct nvme_controller *c, uint8_t lid, uint8_t *page)
{
	switch (lid) {
	case LID_SUPPORTED:
		supported_page(page);
		return 1024;
	case LID_ERROR:
		error_page(&c->log, page);
		return 64 * NVME_ERROR_LOG_ENTRIES;
	case LID_SMART:
		smart_page(c, page);
		return 512;
	case LID_FIRMWARE:
		firmware_page(page);
		return 512;
	case LID_CHANGED:
		changed_page(c, page);
		return 4096;
	case LID_EFFECTS:
		nvme_admin_effects(c, page);
		return 4096;
	default:
		return 0;
	}
}

/* The page from `offset` on, and zeroes after its end. */
static uint16_t copy_out(struct nvme_request *req, const uint8_t *page, uint32_t size)
{
	static const uint8_t zeroes[LOG_PAGE_SIZE];
	const uint64_t length =
		((uint64_t)(req->command.dw11 & 0xFFFF) << 16 | req->command.dw10 >> 16) * 4 + 4;
	const uint64_t offset = (uint64_t)req->command.dw13 << 32 | req->command.dw12;
	uint64_t done;
	uint16_t status;

	if (length > NVME_MDTS_BYTES || !is_aligned(offset, 4) || offset >= size)
		return NVME_INVALID_FIELD | NVME_DNR;
	status = nvme_data_map(req, length, GUEST_WRITE);
	if (status != NVME_SUCCESS)
		return status;
	done = MIN(length, size - offset);
	nvme_data_copy_out(req, 0, page + offset, done);
	while (done < length) {
		const uint64_t part = MIN(length - done, sizeof(zeroes));

		nvme_data_copy_out(req, done, zeroes, part);
		done += part;
	}
	return NVME_SUCCESS;
}

/* The page was read and not retained: the next event of its type may come. */
static void page_taken(struct nvme_controller *c, uint8_t lid)
{
	if (lid == LID_ERROR) {
		nvme_event_clear(c, NVME_EVENT_ERROR);
	} else if (lid == LID_SMART) {
		nvme_event_clear(c, NVME_EVENT_SMART);
	} else if (lid == LID_CHANGED) {
		nvme_log_reset(c);
		nvme_event_clear(c, NVME_EVENT_NOTICE);
	}
}

void nvme_get_log_page(struct nvme_request *req)
{
	struct nvme_controller *c = req->controller;
	const uint8_t lid = (uint8_t)req->command.dw10;
	const bool retain = req->command.dw10 >> 15 & 1;
	const uint32_t nsid = req->command.nsid;
	uint8_t page[LOG_PAGE_SIZE] = {0};
	const uint32_t size = page_for(c, lid, page);
	uint16_t status;

	if (size == 0)
		status = NVME_INVALID_LOG_PAGE | NVME_DNR;
	else if (lid == LID_SMART && nsid != 0 && nsid != NSID_BROADCAST)
		status = NVME_INVALID_FIELD | NVME_DNR; /* LPA bit 0: not per namespace */
	else
		status = copy_out(req, page, size);
	nvme_request_complete(req, status, 0);
	if (status == NVME_SUCCESS && !retain)
		page_taken(c, lid);
}
