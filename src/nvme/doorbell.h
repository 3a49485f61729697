/* SPDX-License-Identifier: Apache-2.0 */
/* Doorbells: where tails and heads come from, and when the controller may sleep. */
#ifndef NVME_DOORBELL_H
#define NVME_DOORBELL_H

#include <stdatomic.h>

#include <quoin/guest.h>
#include <quoin/loop.h>
#include <quoin/nvme.h>

struct nvme_cq;
struct nvme_request;
struct nvme_sq;

struct nvme_doorbells {
	struct loop_poller poller;
	bool polling;	     /* the poller is with the loop */
	bool in_poll;	     /* inside poll(): interrupts are decided at its end */
	unsigned first;	     /* the queue the next poll begins with */
	uint64_t generation; /* of guest memory, when the pages below were looked up */

	/* Doorbell Buffer Config (shadow mode). */
	bool configured;
	struct guest_addr shadow_addr, event_addr;
	_Atomic uint32_t *shadow; /* NULL: not configured or out of reach */
	_Atomic uint32_t *event;

	/* Adaptive polling. */
	uint64_t window_ns; /* how long to poll after the last work */
	uint64_t window_end_ns;
	unsigned idle_polls; /* since the last work */
	bool in_window;
	bool answered;	   /* a completion was posted: the guest is about to react */
	uint64_t slept_ns; /* when it last went to sleep; 0 = awake */
	bool armed;	   /* EventIdx asks for bells */

	/* A guest that has as much under way as it ever has waits for the drive, and so may we. */
	unsigned full;			   /* that much */
	const struct nvme_request *sample; /* the command whose time is taken; NULL = none */
	uint64_t sample_ns;		   /* when it began */
	uint64_t drive_ns;		   /* how long commands take, on average; 0 = not known */

	/* Mapped mode. */
	struct loop_timer back_off;
	uint64_t back_off_ns;
};

void nvme_doorbells_init(struct nvme_controller *c);

/* With the admin queue live / before the queues are dropped. Stop forgets the buffers. */
void nvme_doorbells_start(struct nvme_controller *c);
void nvme_doorbells_stop(struct nvme_controller *c);

/* A write into BAR0's doorbell page; `offset` counts from its start. */
void nvme_doorbell_write(struct nvme_controller *c, unsigned offset, const void *data,
			 unsigned length);

/* Admin command 7Ch. */
void nvme_doorbell_buffer_config(struct nvme_request *req);

/* A queue was made: its words start at zero. */
void nvme_doorbell_sq_started(struct nvme_controller *c, struct nvme_sq *sq);
void nvme_doorbell_cq_started(struct nvme_controller *c, struct nvme_cq *cq);

/* Takes the newest tail / head from where the guest leaves them. */
void nvme_doorbell_sq_refresh(struct nvme_controller *c, struct nvme_sq *sq);
void nvme_doorbell_cq_refresh(struct nvme_controller *c, struct nvme_cq *cq);

/* Takes the newest head; whatever the guest takes from now on it must tell by MMIO. */
void nvme_doorbell_cq_expect(struct nvme_controller *c, struct nvme_cq *cq);

/* A completion is about to be posted: the guest need not ring when it reacts, we look. */
void nvme_doorbells_awake(struct nvme_controller *c);

/* doorbells.sample ended. */
void nvme_doorbells_sampled(struct nvme_controller *c);

/* Guest memory changed: look the buffers up again. */
void nvme_doorbells_memory_changed(struct nvme_controller *c);

#endif
