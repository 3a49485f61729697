/* SPDX-License-Identifier: Apache-2.0 */
/* Submission and completion queues: what a ring is, and the calls of queue.c. */
#ifndef NVME_QUEUE_H
#define NVME_QUEUE_H

#include <quoin/base_list.h>
#include <quoin/guest.h>
#include <quoin/nvme.h>

#define NVME_PAGE 4096
#define NVME_SQE_SIZE 64
#define NVME_CQE_SIZE 16
#define NVME_QUEUES_MAX (NVME_QUEUE_PAIRS_MAX + 1) /* with the admin queue */
#define NVME_SQ_PAGES_MAX (NVME_QUEUE_ENTRIES_MAX * NVME_SQE_SIZE / NVME_PAGE)
#define NVME_CQ_PAGES_MAX (NVME_QUEUE_ENTRIES_MAX * NVME_CQE_SIZE / NVME_PAGE)
#define NVME_ADMIN_ENTRIES_MAX 4096 /* AQA's fields have 12 bits */
#define NVME_ADMIN_SQ_PAGES_MAX (NVME_ADMIN_ENTRIES_MAX * NVME_SQE_SIZE / NVME_PAGE)

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

/*
 * A doorbell word the guest writes in memory (a shadow buffer, or the mapped page). The guest may
 * still ring by MMIO until it has written the word itself: until then `initial` is what we left
 * there (see doorbell.c).
 */
struct nvme_doorbell_word {
	uint32_t initial;
	uint32_t bad; /* the last value that was out of range; told once */
	bool has_bad;
	bool used;	      /* the guest has written it */
	bool event_published; /* EventIdx holds `event` */
	uint16_t event;
};

/* The pages of a ring in our memory; entries NULL where the guest has no memory now. */
struct nvme_ring {
	struct guest_addr base;
	uint64_t generation; /* of the guest memory, when `pages` were looked up; 0 = never */
	unsigned page_count;
	bool reachable; /* all pages are there */
	uint8_t *pages[NVME_ADMIN_SQ_PAGES_MAX];
};

struct nvme_sq {
	enum nvme_queue_state state;
	uint16_t id;
	uint16_t head;
	uint16_t tail; /* last valid value of the doorbell */
	uint32_t size; /* entries */
	struct nvme_cq *cq;
	unsigned in_flight; /* fetched, CQE not posted; parked ones not counted */
	struct nvme_doorbell_word doorbell;
	struct nvme_request *deleter; /* Delete I/O SQ waiting for in_flight == 0 */
	struct nvme_request *fused;   /* first half waiting for its second */
	struct nvme_ring ring;
};

struct nvme_cq {
	enum nvme_queue_state state;
	uint16_t id;
	uint16_t head; /* last valid value of the doorbell */
	uint16_t tail;
	uint16_t phase;
	uint16_t vector;
	uint32_t size;
	bool interrupts; /* IEN */
	unsigned sq_count;
	unsigned reserved;    /* slots promised to commands in flight */
	unsigned unsignalled; /* CQEs posted since the last interrupt */
	struct nvme_doorbell_word doorbell;
	struct list finished; /* requests waiting for a slot, or for the ring's memory */
	struct nvme_ring ring;
};

/* Both must be absent. The admin pair is made by registers.c, I/O queues by commands. */
void nvme_cq_start(struct nvme_controller *c, unsigned id, uint64_t base, uint32_t size);
void nvme_sq_start(struct nvme_controller *c, unsigned id, uint64_t base, uint32_t size,
		   struct nvme_cq *cq);

/* Drops all queues at once (reset). Commands in flight were abandoned before. */
void nvme_queues_drop(struct nvme_controller *c);

/* Fetches and executes up to `budget` commands; returns how many. */
unsigned nvme_sq_process(struct nvme_controller *c, struct nvme_sq *sq, unsigned budget);

/* Posts the CQE of a request whose status is set, now or when there is room and memory. */
void nvme_cq_finish(struct nvme_controller *c, struct nvme_request *req);

/* Posts what waits for `cq`. */
void nvme_cq_post_finished(struct nvme_controller *c, struct nvme_cq *cq);

/* A command of `sq` left it without a CQE, or with: the deletion may go on. */
void nvme_sq_command_ended(struct nvme_sq *sq);

/* Ends first halves of fused pairs that wait for their second (`status`), on all queues. */
void nvme_queues_end_fused(struct nvme_controller *c, uint16_t status);

/* Entries between two places of a ring, from `from` forward to `to`. */
static inline uint32_t nvme_ring_distance(uint32_t from, uint32_t to, uint32_t size)
{
	return to >= from ? to - from : to + size - from;
}

/* Free slots not promised to anybody. */
unsigned nvme_cq_room(const struct nvme_cq *cq);

/* Admin commands 00h, 01h, 04h and 05h. */
void nvme_queue_delete_sq(struct nvme_request *req);
void nvme_queue_create_sq(struct nvme_request *req);
void nvme_queue_delete_cq(struct nvme_request *req);
void nvme_queue_create_cq(struct nvme_request *req);

/* True when any I/O queue exists (Set Features 07h is then refused). */
bool nvme_queues_io_exist(const struct nvme_controller *c);

#endif
