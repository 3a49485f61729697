/* SPDX-License-Identifier: Apache-2.0 */
/* Controller registers and the machine behind CC and CSTS (NVMe 1.4, 3.1 and 7.6). */
#ifndef NVME_REGISTERS_H
#define NVME_REGISTERS_H

#include <quoin/nvme.h>

#define NVME_VERSION 0x00010400

enum nvme_life_state {
	NVME_LIFE_DISABLED, /* RDY = 0 */
	NVME_LIFE_ENABLED,  /* RDY = 1 */
	NVME_LIFE_DRAINING, /* RDY = 1, EN = 0: waits for commands in flight */
};

struct nvme_registers {
	enum nvme_life_state state;
	uint32_t cc;
	uint32_t aqa;
	uint64_t asq;
	uint64_t acq;
	uint8_t shutdown; /* CSTS.SHST */
	bool flush_again; /* the flush under way began before the shutdown it would end */
	bool fatal;	  /* CSTS.CFS */
	bool subsystem_reset_occurred;
	bool bus_master;
	struct list reset_waiters; /* struct nvme_wait */
};

void nvme_registers_init(struct nvme_controller *c);
uint64_t nvme_registers_capabilities(const struct nvme_controller *c);

/* Offsets 0..0xFFF of BAR0, any length within. */
void nvme_registers_read(struct nvme_controller *c, unsigned offset, void *data, unsigned length);
void nvme_registers_write(struct nvme_controller *c, unsigned offset, const void *data,
			  unsigned length);

/* EN = 0 for any reason; `clear` also forgets AQA, ASQ, ACQ and CC (FLR and above). */
void nvme_controller_disable(struct nvme_controller *c, bool clear);

/* CSTS.CFS = 1 and no more work until a reset. The last resort. */
void nvme_controller_fail(struct nvme_controller *c);

/* A command ended: in_flight is 0. */
void nvme_registers_idle(struct nvme_controller *c);

/* Bus Master Enable of the PCI command register changed. */
void nvme_bus_master_set(struct nvme_controller *c, bool enabled);

/* True when commands may be fetched and CQEs posted. */
bool nvme_controller_may_dma(const struct nvme_controller *c);

#endif
