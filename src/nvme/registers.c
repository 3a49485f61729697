/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Controller registers and the machine behind CC and CSTS (NVMe 1.4, 3.1, 7.3, 7.6).
 *
 *   state     CSTS.RDY  leaves it
 *   DISABLED     0      CC.EN 0 -> 1 with good values -> ENABLED (bad values: CFS, stays)
 *   ENABLED      1      CC.EN -> 0, FLR, subsystem reset, transport reset -> DRAINING
 *   DRAINING     1      the last command in flight ended -> DISABLED (-> ENABLED if EN is 1 again)
 *
 * RDY falls only when nothing touches guest memory any more. Queues, events, features and the
 * doorbell buffers are gone at once when DRAINING begins: no completion is posted after that.
 *
 * Shutdown (CC.SHN): SHST 0 -> 1: no more fetching, commands in flight end, caches are flushed
 * -> 2. SHN back to 0 goes on where it was. SHN together with EN = 0 is a shutdown too: DRAINING
 * then ends with the flush.
 *
 * AQA, ASQ and ACQ keep and show what was written, whatever CC.EN is: Windows reads them back
 * while the controller is enabled. Register writes that are not 4 or 8 bytes wide and aligned are
 * ignored; reads give the right bytes whatever their width.
 */
#include "controller.h"

#include <string.h>

#define REG_CAP 0x00
#define REG_VS 0x08
#define REG_INTMS 0x0C
#define REG_INTMC 0x10
#define REG_CC 0x14
#define REG_CSTS 0x1C
#define REG_NSSR 0x20
#define REG_AQA 0x24
#define REG_ASQ 0x28
#define REG_ACQ 0x30

#define CAP_CQR (UINT64_C(1) << 16)
#define CAP_TIMEOUT (UINT64_C(20) << 24) /* 10 s, in units of 500 ms */
#define CAP_NSSRS (UINT64_C(1) << 36)
#define CAP_CSS_NVM (UINT64_C(1) << 37)

#define CC_ENABLE 1U
#define CC_CSS(cc) (((cc) >> 4) & 7)
#define CC_MPS(cc) (((cc) >> 7) & 0xF)
#define CC_AMS(cc) (((cc) >> 11) & 7)
#define CC_SHN_MASK 0xC000U
#define CC_ENTRY_SIZES 0x00FF0000U
#define CC_DEFINED 0x00FFFFF1U

#define CSTS_READY 1U
#define CSTS_FATAL 2U
#define CSTS_SHUTDOWN_SHIFT 2
#define CSTS_SUBSYSTEM_RESET 0x10U

#define SHUTDOWN_NONE 0
#define SHUTDOWN_PROCESSING 1
#define SHUTDOWN_COMPLETE 2

#define NSSR_KEY 0x4E564D65 /* "NVMe" */

#define AQA_DEFINED 0x0FFF0FFFU
#define AQA_SQ_SIZE(aqa) ((aqa)&0xFFF)
#define AQA_CQ_SIZE(aqa) (((aqa) >> 16) & 0xFFF)
#define QUEUE_BASE_MASK (~UINT64_C(0xFFF))

void nvme_registers_init(struct nvme_controller *c)
{
	list_init(&c->registers.reset_waiters);
}

uint64_t nvme_registers_capabilities(const struct nvme_controller *c)
{
	return (c->params.queue_entries - 1) | CAP_CQR | CAP_TIMEOUT | CAP_NSSRS | CAP_CSS_NVM;
}

bool nvme_controller_may_dma(const struct nvme_controller *c)
{
	return c->registers.bus_master && !c->registers.fatal;
}

/* --- Enable ---------------------------------------------------------------------------------- */

static bool settings_good(const struct nvme_registers *r)
{
	return CC_CSS(r->cc) == 0 && CC_MPS(r->cc) == 0 && CC_AMS(r->cc) == 0 &&
	       AQA_SQ_SIZE(r->aqa) >= 1 && AQA_CQ_SIZE(r->aqa) >= 1;
}

static void enable(struct nvme_controller *c)
{
	struct nvme_registers *r = &c->registers;

	r->shutdown = SHUTDOWN_NONE;
	if (!settings_good(r)) {
		r->fatal = true;
		return;
	}
	nvme_cq_start(c, 0, r->acq, AQA_CQ_SIZE(r->aqa) + 1);
	nvme_sq_start(c, 0, r->asq, AQA_SQ_SIZE(r->aqa) + 1, &c->cqs[0]);
	r->state = NVME_LIFE_ENABLED;
	c->stopped = false;
	nvme_doorbells_start(c);
}

/* --- Disable and reset ----------------------------------------------------------------------- */

static void reset_waiters_tell(struct nvme_controller *c)
{
	struct list *node;

	while ((node = list_pop(&c->registers.reset_waiters))) {
		struct nvme_wait *wait = container_of(node, struct nvme_wait, node);

		wait->done(wait);
	}
}

/* A reset waits for commands in flight; what waits for space in a pool would wait for ever. */
static void commands_hurry(struct nvme_controller *c, bool on)
{
	for (unsigned i = 0; i < c->params.namespaces; i++) {
		if (c->namespaces[i].channel)
			block_hurry(c->namespaces[i].channel, on);
	}
}

static void drained(struct nvme_controller *c)
{
	struct nvme_registers *r = &c->registers;

	commands_hurry(c, false);
	r->state = NVME_LIFE_DISABLED;
	r->shutdown = r->cc & CC_SHN_MASK ? SHUTDOWN_COMPLETE : SHUTDOWN_NONE;
	if (r->cc & CC_ENABLE)
		enable(c);
	reset_waiters_tell(c);
}

/* Ends the life of all that is there; commands in flight find out when they end. */
static void life_end(struct nvme_controller *c)
{
	c->registers.state = NVME_LIFE_DRAINING;
	c->stopped = true;
	if ((c->registers.cc & CC_SHN_MASK) && c->registers.shutdown == SHUTDOWN_NONE)
		c->registers.shutdown = SHUTDOWN_PROCESSING;
	c->life++;
	/* Keeps `drained` away until all are told. */
	c->in_flight++;
	nvme_doorbells_stop(c);
	nvme_events_reset(c);
	nvme_gates_abandon(c);
	nvme_queues_drop(c);
	nvme_interrupts_reset(c);
	nvme_features_reset(c);
	commands_hurry(c, true);
	c->in_flight--;
}

void nvme_controller_disable(struct nvme_controller *c, bool clear)
{
	struct nvme_registers *r = &c->registers;

	r->cc &= ~CC_ENABLE;
	if (clear) {
		r->cc = 0;
		r->aqa = 0;
		r->asq = 0;
		r->acq = 0;
	}
	r->fatal = false;
	if (r->state == NVME_LIFE_ENABLED) {
		life_end(c);
		if (c->in_flight == 0)
			nvme_registers_idle(c);
	} else if (r->state == NVME_LIFE_DISABLED) {
		r->shutdown = r->cc & CC_SHN_MASK ? SHUTDOWN_COMPLETE : SHUTDOWN_NONE;
	}
}

void nvme_controller_reset(struct nvme_controller *c, enum nvme_reset kind, struct nvme_wait *wait)
{
	if (kind == NVME_RESET_DISCONNECT)
		nvme_admin_client_left(c);
	nvme_controller_disable(c, true);
	c->registers.subsystem_reset_occurred = false;
	nvme_pci_reset(c);
	list_append(&c->registers.reset_waiters, &wait->node);
	if (c->registers.state == NVME_LIFE_DISABLED)
		reset_waiters_tell(c);
}

void nvme_controller_fail(struct nvme_controller *c)
{
	if (c->registers.state != NVME_LIFE_ENABLED)
		return;
	c->registers.fatal = true;
	c->stopped = true;
}

void nvme_bus_master_set(struct nvme_controller *c, bool enabled)
{
	if (c->registers.bus_master == enabled)
		return;
	c->registers.bus_master = enabled;
	if (!enabled)
		return;
	for (unsigned i = 0; i <= c->params.queue_pairs; i++)
		nvme_cq_post_finished(c, &c->cqs[i]);
}

/* --- Shutdown -------------------------------------------------------------------------------- */

static void shutdown_flushed(struct nvme_request *req)
{
	struct nvme_controller *c = req->controller;

	req->state = NVME_REQUEST_FREE;
	if (!nvme_request_abandoned(req) && !c->registers.flush_again &&
	    c->registers.shutdown == SHUTDOWN_PROCESSING)
		c->registers.shutdown = SHUTDOWN_COMPLETE;
	c->registers.flush_again = false;
	c->in_flight--;
	if (c->in_flight == 0)
		nvme_registers_idle(c);
}

/* A flush that fails cannot be told to a guest that is going: it sees the end all the same. */
static void shutdown_flush(struct nvme_controller *c)
{
	struct nvme_request *req = &c->shutdown;

	ASSERT(req->state == NVME_REQUEST_FREE);
	req->controller = c;
	req->life = c->life;
	req->state = NVME_REQUEST_RUNNING;
	req->stepping = false;
	c->in_flight++;
	nvme_request_flush_all(req, shutdown_flushed);
}

void nvme_registers_idle(struct nvme_controller *c)
{
	if (c->registers.shutdown == SHUTDOWN_PROCESSING && c->stopped)
		shutdown_flush(c);
	else if (c->registers.state == NVME_LIFE_DRAINING)
		drained(c);
}

static void shutdown_start(struct nvme_controller *c)
{
	c->stopped = true;
	/* The second half of a fused pair will not be fetched. */
	nvme_queues_end_fused(c, NVME_ABORTED_FUSED_MISSING);
	c->registers.shutdown = SHUTDOWN_PROCESSING;
	c->registers.flush_again = c->shutdown.state != NVME_REQUEST_FREE;
	if (c->in_flight == 0)
		shutdown_flush(c);
}

static void shutdown_change(struct nvme_controller *c, bool wanted)
{
	struct nvme_registers *r = &c->registers;

	if (r->state != NVME_LIFE_ENABLED) {
		r->shutdown = wanted ? SHUTDOWN_COMPLETE : SHUTDOWN_NONE;
	} else if (wanted && r->shutdown == SHUTDOWN_NONE) {
		shutdown_start(c);
	} else if (!wanted) {
		r->shutdown = SHUTDOWN_NONE;
		c->stopped = r->fatal;
	}
}

/* --- Register writes -------------------------------------------------------------------------- */

static void cc_write(struct nvme_controller *c, uint32_t value)
{
	struct nvme_registers *r = &c->registers;
	const uint32_t old = r->cc;

	value &= CC_DEFINED;
	if (old & value & CC_ENABLE) {
		/* Only these may change while enabled (3.1.5). */
		const uint32_t changeable = CC_SHN_MASK | CC_ENTRY_SIZES;

		r->cc = (old & ~changeable) | (value & changeable);
		if ((old ^ value) & CC_SHN_MASK)
			shutdown_change(c, value & CC_SHN_MASK);
		return;
	}
	r->cc = value;
	if (old & CC_ENABLE) {
		nvme_controller_disable(c, false);
	} else if (value & CC_ENABLE) {
		if (r->state == NVME_LIFE_DISABLED)
			enable(c);
	} else if (r->state == NVME_LIFE_DISABLED) {
		shutdown_change(c, value & CC_SHN_MASK);
	}
}

static void nssr_write(struct nvme_controller *c, uint32_t value)
{
	if (value != NSSR_KEY)
		return;
	nvme_controller_disable(c, true);
	c->registers.subsystem_reset_occurred = true;
}

static void interrupt_mask_write(struct nvme_controller *c, uint32_t mask)
{
	if (nvme_pci_msix_enabled(c))
		return;
	c->interrupts.mask = mask;
	nvme_interrupts_update_level(c);
}

static uint64_t half_set(uint64_t old, bool high, uint32_t value)
{
	if (high)
		return (old & UINT32_MAX) | (uint64_t)value << 32;
	return (old & ~(uint64_t)UINT32_MAX) | value;
}

static void register_write(struct nvme_controller *c, unsigned offset, uint32_t value)
{
	struct nvme_registers *r = &c->registers;

	switch (offset) {
	case REG_INTMS:
		interrupt_mask_write(c, c->interrupts.mask | value);
		break;
	case REG_INTMC:
		interrupt_mask_write(c, c->interrupts.mask & ~value);
		break;
	case REG_CC:
		cc_write(c, value);
		break;
	case REG_CSTS:
		if (value & CSTS_SUBSYSTEM_RESET)
			r->subsystem_reset_occurred = false;
		break;
	case REG_NSSR:
		nssr_write(c, value);
		break;
	case REG_AQA:
		r->aqa = value & AQA_DEFINED;
		break;
	case REG_ASQ:
	case REG_ASQ + 4:
		r->asq = half_set(r->asq, offset != REG_ASQ, value) & QUEUE_BASE_MASK;
		break;
	case REG_ACQ:
	case REG_ACQ + 4:
		r->acq = half_set(r->acq, offset != REG_ACQ, value) & QUEUE_BASE_MASK;
		break;
	default:
		break;
	}
}

void nvme_registers_write(struct nvme_controller *c, unsigned offset, const void *data,
			  unsigned length)
{
	if ((length != 4 && length != 8) || !is_aligned(offset, length))
		return;
	register_write(c, offset, le32_get(data));
	if (length == 8)
		register_write(c, offset + 4, le32_get((const uint8_t *)data + 4));
}

/* --- Register reads --------------------------------------------------------------------------- */

static uint32_t status(const struct nvme_registers *r)
{
	return (r->state != NVME_LIFE_DISABLED ? CSTS_READY : 0) | (r->fatal ? CSTS_FATAL : 0) |
	       (uint32_t)r->shutdown << CSTS_SHUTDOWN_SHIFT |
	       (r->subsystem_reset_occurred ? CSTS_SUBSYSTEM_RESET : 0);
}

static uint32_t register_read(const struct nvme_controller *c, unsigned offset)
{
	const struct nvme_registers *r = &c->registers;

	switch (offset) {
	case REG_CAP:
		return (uint32_t)nvme_registers_capabilities(c);
	case REG_CAP + 4:
		return (uint32_t)(nvme_registers_capabilities(c) >> 32);
	case REG_VS:
		return NVME_VERSION;
	case REG_INTMS:
	case REG_INTMC:
		return c->interrupts.mask;
	case REG_CC:
		return r->cc;
	case REG_CSTS:
		return status(r);
	case REG_AQA:
		return r->aqa;
	case REG_ASQ:
		return (uint32_t)r->asq;
	case REG_ASQ + 4:
		return (uint32_t)(r->asq >> 32);
	case REG_ACQ:
		return (uint32_t)r->acq;
	case REG_ACQ + 4:
		return (uint32_t)(r->acq >> 32);
	default:
		return 0;
	}
}

void nvme_registers_read(struct nvme_controller *c, unsigned offset, void *data, unsigned length)
{
	uint8_t *out = data;

	for (unsigned i = 0; i < length;) {
		const unsigned skip = (offset + i) % 4;
		const unsigned bytes = MIN(4 - skip, length - i);
		uint8_t word[4];

		le32_put(word, register_read(c, offset + i - skip));
		memcpy(out + i, word + skip, bytes);
		i += bytes;
	}
}
