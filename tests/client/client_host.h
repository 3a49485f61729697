/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The NVMe driver: brings a controller up as Linux does, runs admin commands, owns I/O queue
 * pairs. A test that wants to misbehave uses the parts below it: registers, rings, messages.
 *
 * Functions return 0, a negative errno, or where said the NVMe status (> 0) of the command.
 */
#ifndef CLIENT_HOST_H
#define CLIENT_HOST_H

#include "client_queue.h"
#include "client_ram.h"

#define HOST_QUEUES_MAX 65
#define HOST_STRAYS_MAX 1024
#define HOST_COMMAND_TIMEOUT_MS 15000
#define HOST_ADMIN_ENTRIES 32

struct host_queue {
	struct host_sq sq;
	struct host_cq cq;
	bool created;
	uint16_t next_cid;
	/* Completions nobody waited for, in order. */
	unsigned stray_count;
	struct nvme_cqe strays[HOST_STRAYS_MAX];
};

struct host {
	struct client client;
	struct ram ram;
	uint64_t cap;
	unsigned vectors; /* MSI-X vectors the device has */
	int event_fds[HOST_QUEUES_MAX];
	_Atomic uint32_t *shadow; /* pages of Doorbell Buffer Config, or NULL */
	_Atomic uint32_t *event_index;
	uint8_t *doorbell_page;			   /* mapped doorbells, or NULL */
	struct host_queue queues[HOST_QUEUES_MAX]; /* 0 is the admin queue */
};

struct host_options {
	const char *path;
	enum client_flavour flavour;
	uint64_t ram_size;	/* 0 = 64 MiB */
	bool interrupts;	/* MSI-X eventfds for all vectors */
	bool map_doorbells;	/* use the mapped doorbell page if the device has one */
	unsigned admin_entries; /* 0 = HOST_ADMIN_ENTRIES */
};

/* An unattached host, good for host_close(). The attaching functions do it themselves. */
void host_init(struct host *host);

/* Connects, maps memory, sets up interrupts and bus mastering. The controller stays disabled. */
MUST_CHECK int host_attach(struct host *host, const struct host_options *options);

/* host_attach() and host_enable(). */
MUST_CHECK int host_open(struct host *host, const struct host_options *options);

/* Drops the connection and all memory, as a killed client does. Detached hosts are allowed. */
void host_close(struct host *host);

/* --- Registers ---------------------------------------------------------------------------- */

uint32_t host_reg32(struct host *host, unsigned offset); /* all ones when the read failed */
uint64_t host_reg64(struct host *host, unsigned offset);
MUST_CHECK int host_reg32_set(struct host *host, unsigned offset, uint32_t value);
MUST_CHECK int host_reg64_set(struct host *host, unsigned offset, uint64_t value);

/* Waits until CSTS & mask == value. -ETIMEDOUT; -EIO when CFS came up unasked. */
MUST_CHECK int host_wait_status(struct host *host, uint32_t mask, uint32_t value);

/* Admin queue and CC.EN=1 in Linux' order. The admin rings are allocated anew. */
MUST_CHECK int host_enable(struct host *host);

/* CC.EN=0, waits for RDY=0, forgets all queues and shadow doorbells. */
MUST_CHECK int host_disable(struct host *host);

/* Forgets queues and shadow doorbells without a word to the device (after a reset). */
void host_forget(struct host *host);

/* --- Commands ----------------------------------------------------------------------------- */

/* Puts a copy of `sqe` with a fresh cid into the ring and rings. Returns the cid, or -EBUSY. */
int host_submit(struct host *host, unsigned queue, struct nvme_sqe sqe);

/* Takes the next completion of the queue, strays first. -ETIMEDOUT. */
MUST_CHECK int host_reap(struct host *host, unsigned queue, struct nvme_cqe *ret, int timeout_ms);

/* Waits for the completion of `cid`; others are kept as strays. */
MUST_CHECK int host_wait(struct host *host, unsigned queue, uint16_t cid, struct nvme_cqe *ret);

/* Submits and waits: 0, an NVMe status > 0, or a negative errno. `ret` may be NULL. */
MUST_CHECK int host_run(struct host *host, unsigned queue, struct nvme_sqe sqe,
			struct nvme_cqe *ret);

/* --- Queues ------------------------------------------------------------------------------- */

struct host_queue_options {
	unsigned sq_size; /* 0 = 64 */
	unsigned cq_size; /* 0 = sq_size */
	bool interrupts;  /* IEN with vector = queue id */
};

/* Creates completion and submission queue `id`. Status or errno as host_run(). */
MUST_CHECK int host_queue_create(struct host *host, unsigned id, struct host_queue_options options);
MUST_CHECK int host_queue_delete(struct host *host, unsigned id);

/* Rings' memory, ids and doorbells only: the caller sends its own Create commands. */
void host_cq_init(struct host *host, struct host_cq *cq, unsigned id, unsigned size);
void host_sq_init(struct host *host, struct host_sq *sq, unsigned id, unsigned size);

/* Doorbell Buffer Config with fresh pages; from then on queues use them. */
MUST_CHECK int host_shadow_enable(struct host *host);

/* Register writes for doorbells so far, over all queues. */
uint64_t host_doorbell_count(const struct host *host);

/* --- Admin commands ----------------------------------------------------------------------- */

/* `page` is 4096 bytes of guest memory. */
MUST_CHECK int host_identify(struct host *host, unsigned cns, uint32_t nsid, void *page);
MUST_CHECK int host_get_log(struct host *host, unsigned lid, void *to, uint32_t size);
MUST_CHECK int host_set_feature(struct host *host, unsigned fid, uint32_t value, uint32_t *ret);
MUST_CHECK int host_get_feature(struct host *host, unsigned fid, uint32_t *ret);

struct host_namespace {
	uint64_t block_count;
	unsigned lba_shift;
	bool read_only;
};

MUST_CHECK int host_namespace_get(struct host *host, uint32_t nsid, struct host_namespace *ret);

#endif
