/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An NVMe host in the test's process: guest memory, a controller with disks, an admin queue the
 * test drives like a driver does, through registers and memory only.
 *
 * Guest addresses are offsets in `ram`. The host's own structures lie in the first HOST_SCRATCH
 * bytes; from there on memory is the test's.
 */
#ifndef TEST_NVME_HOST_H
#define TEST_NVME_HOST_H

#include <quoin/base_endian.h>
#include <quoin/block.h>
#include <quoin/guest.h>
#include <quoin/loop.h>
#include <quoin/nvme.h>

#define HOST_RAM_SIZE (8 * MiB)
#define HOST_SCRATCH 0x100000
#define HOST_ASQ 0x10000
#define HOST_ACQ 0x20000
#define HOST_IOSQ(q) (0x30000 + (q)*0x2000)
#define HOST_IOCQ(q) (0x31000 + (q)*0x2000)
#define HOST_BUFFER 0x80000 /* 64 KiB: data of commands */
#define HOST_SHADOW 0xA0000
#define HOST_EVENT 0xA1000
#define HOST_NAMESPACES 16
#define HOST_QUEUES 4 /* admin and three I/O queues */

struct host_options {
	unsigned queue_pairs; /* 0 = 3 */
	unsigned namespaces;  /* NN; 0 = 4 */
	bool intx;
	bool mapped;
	bool remember_formats;
};

struct host_queue {
	uint64_t sq_base, cq_base;
	uint16_t sq_size, cq_size;
	uint16_t tail, head, phase;
};

struct sqe {
	uint8_t opcode;
	uint8_t flags; /* FUSE and PSDT as in CDW0 bits 15:8 */
	uint32_t nsid;
	uint64_t prp1, prp2;
	uint32_t dw10, dw11, dw12, dw13, dw14, dw15;
};

struct cqe {
	uint32_t dw0;
	uint16_t sq_head, sq_id, cid;
	uint16_t status; /* without phase: SCT and SC in bits 10:0, DNR is 0x4000 */
};

struct host_disk {
	struct block_device *device;
	struct block_channel *channel;
	unsigned formatted_count;
	uint32_t formatted_bytes;
	struct nvme_format_note *note; /* held back, see hold_notes */
};

struct host {
	struct loop *loop;
	struct guest_memory *memory;
	struct nvme_controller *c;
	uint8_t *ram;
	int fd;
	struct host_options options;
	struct host_queue queues[HOST_QUEUES];
	struct host_disk disks[HOST_NAMESPACES + 1]; /* by NSID */
	uint32_t *doorbells;			     /* mapped mode */
	bool shadow;				     /* Doorbell Buffer Config is in force */
	unsigned rung;				     /* doorbells written by MMIO */
	uint16_t next_cid;
	unsigned fired[NVME_QUEUE_PAIRS_MAX + 1];
	uint64_t pending; /* vectors that are latched */
	bool line;
	bool hold_notes; /* keep format notes until the test ends them */
	int note_result; /* what to say about the others */
	unsigned waits_done;
	struct nvme_wait wait;
};

/* A controller without disks, not enabled; bus mastering on. */
void host_start(struct host *h, const struct host_options *options);
void host_stop(struct host *h);

/* Puts the disk `spec` (as for block_open) into slot `nsid`. */
void host_disk_add(struct host *h, unsigned nsid, const char *spec);

/* The same with a new sparse file of `size_bytes`; `options` as ",ro" or "". */
void host_file_add(struct host *h, unsigned nsid, uint64_t size_bytes, const char *options);

/* Takes it out again and waits until it is out. */
void host_disk_remove(struct host *h, unsigned nsid);

/* The NGUID that host_disk_add() gives to `nsid`. */
void host_nguid(unsigned nsid, uint8_t nguid[16]);

uint32_t host_read32(struct host *h, unsigned offset);
uint64_t host_read64(struct host *h, unsigned offset);
void host_write32(struct host *h, unsigned offset, uint32_t value);
uint32_t host_config_read(struct host *h, unsigned offset, unsigned length);
void host_config_write(struct host *h, unsigned offset, unsigned length, uint32_t value);

/* Sets the admin queue up (with these sizes, 2..64 entries) and enables; asserts RDY. */
void host_enable_sized(struct host *h, uint16_t sq_size, uint16_t cq_size);
void host_enable(struct host *h);
void host_disable(struct host *h);

/* FUNCTION or DISCONNECT reset, waited for. */
void host_reset(struct host *h, enum nvme_reset kind);

/* Puts a command into a queue and rings. Returns its CID. */
uint16_t host_submit(struct host *h, unsigned queue, const struct sqe *sqe);

/* Takes the next completion if there is one, after some turns of the loop. */
bool host_poll(struct host *h, unsigned queue, struct cqe *ret);

/* Submits and takes the completion, which must be this command's. */
struct cqe host_execute(struct host *h, unsigned queue, const struct sqe *sqe);

/* The same for the admin queue; returns the status alone. */
uint16_t host_admin(struct host *h, const struct sqe *sqe);

/* Creates I/O queue pair `q` (1..3) with `entries` entries each. */
void host_create_queues(struct host *h, unsigned q, uint16_t entries);

/* Doorbell Buffer Config with HOST_SHADOW and HOST_EVENT; I/O queues then ring as Linux does. */
void host_shadow_start(struct host *h);

/* Read, Write and the like of `blocks` blocks at `lba`, one page of data at `prp1`. */
struct sqe host_io(uint8_t opcode, uint32_t nsid, uint64_t lba, uint32_t blocks, uint64_t prp1);

/* Identify into HOST_BUFFER; returns the status. */
uint16_t host_identify(struct host *h, uint32_t cns, uint32_t nsid);

/* Get Log Page of `length` bytes into HOST_BUFFER. */
uint16_t host_log(struct host *h, uint8_t lid, uint32_t length, bool retain);
struct cqe host_get_feature(struct host *h, uint32_t dw10, uint32_t dw11);
uint16_t host_set_feature(struct host *h, uint32_t fid, uint32_t dw11);

/* Writes a 64-bit register as two halves, low first. */
void host_write64(struct host *h, unsigned offset, uint64_t value);

static inline uint8_t *host_buffer(struct host *h)
{
	return h->ram + HOST_BUFFER;
}

#endif
