/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The controller from inside: shared by the files of this room, nobody else.
 *
 *   pci.c        configuration space, MSI-X capability, FLR, BAR dispatch
 *   registers.c  CAP..ACQ, the enable / reset / shutdown machine
 *   queue.c      submission and completion rings, fetch, post, create, delete
 *   doorbell.c   MMIO, shadow and mapped doorbells; the poller
 *   interrupt.c  MSI-X, INTx, coalescing
 *   data.c       PRP and SGL to pieces of guest memory; copies
 *   io*.c        NVM commands
 *   admin.c ...  admin commands: identify.c, feature.c, log.c, event.c, format.c
 *   namespace.c  attach, detach, resize
 */
#ifndef NVME_CONTROLLER_H
#define NVME_CONTROLLER_H

#include <stdatomic.h>

#include <quoin/base_assert.h>
#include <quoin/base_endian.h>
#include <quoin/base_math.h>
#include <quoin/nvme.h>

#include "spec.h"

#define NVME_PAGE 4096
#define NVME_MDTS_BYTES ((uint64_t)NVME_PAGE << NVME_MDTS_SHIFT)
#define NVME_PIECES_MAX ((unsigned)(1U << NVME_MDTS_SHIFT) + 1)
#define NVME_VECTORS_MAX (NVME_QUEUE_PAIRS_MAX + 1)
#define NVME_AER_MAX 8		  /* AERL is this minus one */
#define NVME_ERROR_LOG_ENTRIES 64 /* ELPE is this minus one */

struct nvme_request;

enum nvme_queue_state { NVME_QUEUE_ABSENT, NVME_QUEUE_LIVE, NVME_QUEUE_DELETING };

/* A private copy of a submission queue entry, in host order (NVMe 1.4, 4.2). */
struct nvme_command {
	uint8_t opcode;
	uint8_t fuse; /* 0 normal, 1 first, 2 second */
	uint8_t psdt; /* 0 PRP, 1 SGL, 2 SGL with metadata segment */
	uint16_t cid;
	uint32_t nsid;
	uint64_t prp1; /* or the first half of SGL1 */
	uint64_t prp2;
	uint32_t dw10, dw11, dw12, dw13, dw14, dw15;
};

struct nvme_sq {
	enum nvme_queue_state state;
	uint16_t id;
	uint16_t size; /* entries */
	uint16_t head;
	uint16_t tail; /* last value taken from a doorbell, < size */
	struct nvme_cq *cq;
	struct guest_addr base;
	const uint8_t *entries; /* NULL: out of reach; good for `generation` */
	uint64_t generation;
	unsigned in_flight;
	uint32_t last_bad_doorbell;
	struct nvme_request *deleter; /* Delete I/O SQ waiting for in_flight == 0 */
	struct nvme_request *fused;   /* first half waiting for its second */
};

struct nvme_cq {
	enum nvme_queue_state state;
	uint16_t id;
	uint16_t size;
	uint16_t head; /* last value taken from a doorbell */
	uint16_t tail;
	uint16_t phase;
	uint16_t vector;
	bool interrupts; /* IEN */
	bool signal;	 /* posted since the last interrupt */
	struct guest_addr base;
	uint8_t *entries;
	uint64_t generation;
	unsigned sq_count;
	unsigned reserved;    /* slots promised to commands in flight */
	struct list finished; /* requests waiting until the ring is in reach */
};

enum nvme_request_state {
	NVME_REQUEST_FREE,
	NVME_REQUEST_FETCHED,
	NVME_REQUEST_RUNNING,  /* at the block layer, or parked (AER, deleter) */
	NVME_REQUEST_FINISHED, /* status known, CQE not posted */
};

/*
 * One command from fetch to CQE. From the controller's pool; exactly one of free list, a queue's
 * lists, or the block layer holds it.
 */
struct nvme_request {
	struct list node;
	enum nvme_request_state state;
	struct nvme_controller *controller;
	struct nvme_sq *sq;
	struct nvme_cq *cq;
	struct nvme_namespace *namespace; /* counted in its in_flight, or NULL */
	struct nvme_command command;
	uint16_t status;
	uint32_t result; /* CQE DW0 */
	bool abandoned;	 /* its life ended by a reset: throw the result away */
	struct guest_hold hold;
	struct block_request block;
	uint64_t data_bytes;
	uint8_t *bounce; /* from the controller's pool when pieces do not suit the drive */
	unsigned piece_count;
	struct iovec pieces[NVME_PIECES_MAX];
	/* Steps of commands that need several block requests (DSM, Copy, Compare). */
	unsigned step;
	uint64_t cursor;
	void *extra;
};

struct nvme_namespace {
	unsigned nsid;
	struct block_channel *channel; /* NULL: not there */
	unsigned lba_shift;
	uint64_t block_count;
	bool attached; /* the guest may detach and attach it (namespace attachment) */
	bool read_only;
	bool formatting;
	uint8_t nguid[16];
	uint8_t uuid[16];
	unsigned in_flight;
	struct nvme_wait *detaching;
};

#endif
