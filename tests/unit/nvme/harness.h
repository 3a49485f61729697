/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest in a test: memory in a memfd, a driver's half of the queues, and the controller behind
 * its door (nvme.h). Runs in a simulated world (a seed) or on a real loop in the test's thread.
 *
 * Everything goes through the door: register accesses as a transport makes them, queues and
 * doorbell pages as a guest writes them.
 */
#ifndef TEST_NVME_HARNESS_H
#define TEST_NVME_HARNESS_H

#include <quoin/block.h>
#include <quoin/guest.h>
#include <quoin/loop.h>
#include <quoin/loop_sim.h>
#include <quoin/nvme.h>

#include "ramdisk.h"

#define HARNESS_PAGE 4096U
#define HARNESS_RAM_BYTES ((uint64_t)64 << 20)
#define HARNESS_RAM_IOVA 0x100000U /* the guest's memory in its I/O space */
#define HARNESS_QUEUES 66
#define HARNESS_VECTORS 65
#define HARNESS_NEVER 0xFFFFU /* harness_execute(): no completion came */

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

#define CC_ON 0x00460001U
#define CC_OFF 0x00460000U

struct harness_params {
	bool real;     /* a real loop, driven by the test's thread; else simulated */
	uint64_t seed; /* of the simulated world */
	enum nvme_doorbell_mode doorbells;
	bool intx_only;		/* leave MSI-X off */
	unsigned queues;	/* I/O queue pairs, 0 = 8 */
	unsigned queue_entries; /* 0 = 1024 */
	unsigned namespaces;	/* 0 = 4 */
	unsigned commands_max;	/* 0 = 1024 */
	unsigned poll_us;
	uint64_t disk_bytes;  /* 0 = 16 MiB */
	uint32_t block_bytes; /* 0 = 512 */
	const char *spec;     /* another device than the ram disk */
};

/* A submission entry as dwords, in host order. */
struct harness_sqe {
	uint32_t dw[16];
};

struct harness_cqe {
	uint32_t dw0;
	uint16_t sq_head;
	uint16_t sq_id;
	uint16_t cid;
	uint16_t status; /* without the phase bit: type, code, MORE and DNR as in spec.h */
};

/* A pair of rings as the guest sees it. Several may share a CQ: then use `cq` of the owner. */
struct harness_queue {
	unsigned id;
	uint64_t sq_iova, cq_iova;
	unsigned sq_size, cq_size;
	unsigned sq_tail, cq_head;
	unsigned phase;
	uint16_t next_cid;
	unsigned rings; /* MMIO writes made for this pair */
};

struct harness {
	struct harness_params params;
	struct loop_sim *sim;
	struct loop *loop;
	struct guest_memory *memory;
	int fd;
	uint8_t *ram;
	uint64_t next_free; /* offset into ram */
	struct nvme_controller *controller;
	struct ramdisk *disk; /* NULL with another spec */
	struct block_device *device;
	struct block_channel *channel;
	bool attached;
	struct harness_queue queues[HARNESS_QUEUES];
	uint32_t *doorbell_page;
	unsigned fired[HARNESS_VECTORS];
	bool intx_level;
	unsigned intx_changes;
	/* The guest's side of Doorbell Buffer Config; 0 = not in use. */
	uint64_t shadow_iova, event_iova;
};

/* The controller exists, memory is mapped, namespace 1 attached, bus master and MSI-X on. */
void harness_open(struct harness *h, const struct harness_params *params);
void harness_close(struct harness *h);

/* Attaches / detaches namespace 1 on the harness' device. */
void harness_attach(struct harness *h);
void harness_detach(struct harness *h);

/* Transport reset, waited for. */
void harness_reset(struct harness *h, enum nvme_reset kind);

/* One turn of the loop; turns until nothing is left to do. */
void harness_turn(struct harness *h);
void harness_settle(struct harness *h);

/* Guest memory: whole zeroed pages, never given back. */
uint64_t harness_alloc(struct harness *h, uint64_t size_bytes);
void *harness_ptr(struct harness *h, uint64_t iova);
void harness_map_ram(struct harness *h);
void harness_unmap_ram(struct harness *h);

uint32_t harness_get32(struct harness *h, unsigned offset);
uint64_t harness_get64(struct harness *h, unsigned offset);
void harness_set32(struct harness *h, unsigned offset, uint32_t value);
void harness_set64(struct harness *h, unsigned offset, uint64_t value);
void harness_config_set16(struct harness *h, unsigned offset, uint16_t value);

/* Switches MSI-X on or off in configuration space. */
void harness_msix(struct harness *h, bool enable);

/* Admin queues of these sizes, CC.EN = 1. Returns CSTS. */
uint32_t harness_enable(struct harness *h, unsigned sq_size, unsigned cq_size);

/* CC.EN = 0, turns until RDY = 0. */
void harness_disable(struct harness *h);

/* Makes a pair `id` of equal or unequal sizes with interrupts on vector `id`. */
struct harness_queue *harness_create(struct harness *h, unsigned id, unsigned sq_size,
				     unsigned cq_size);

/* Doorbell Buffer Config with fresh pages. Returns the status. */
uint16_t harness_shadow_on(struct harness *h);

/* The guest's half: put an entry (gives it a CID, returned), ring, look for a completion. */
uint16_t harness_put(struct harness *h, struct harness_queue *q, const struct harness_sqe *sqe);
void harness_ring_sq(struct harness *h, struct harness_queue *q);
bool harness_take(struct harness *h, struct harness_queue *q, struct harness_cqe *cqe);
bool harness_take_quietly(struct harness *h, struct harness_queue *q, struct harness_cqe *cqe);
void harness_ring_cq(struct harness *h, struct harness_queue *q);

/* put, ring, wait, take. `cqe` may be NULL. Returns the status or HARNESS_NEVER. */
uint16_t harness_execute(struct harness *h, struct harness_queue *q, const struct harness_sqe *sqe,
			 struct harness_cqe *cqe);

/* Waits (bounded) for the next completion. */
bool harness_wait(struct harness *h, struct harness_queue *q, struct harness_cqe *cqe);

/* Entries. `prp2` as the guest computed it. */
struct harness_sqe harness_io(uint8_t opcode, uint64_t slba, unsigned blocks, uint64_t prp1,
			      uint64_t prp2);
struct harness_sqe harness_admin(uint8_t opcode, uint32_t nsid, uint64_t prp1, uint32_t dw10,
				 uint32_t dw11);

#endif
