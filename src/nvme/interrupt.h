/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts: MSI-X vectors, the INTx level, coalescing (features 08h and 09h). */
#ifndef NVME_INTERRUPT_H
#define NVME_INTERRUPT_H

#include <quoin/base_bitmap.h>
#include <quoin/loop.h>
#include <quoin/nvme.h>

#include "queue.h"

#define NVME_VECTORS_MAX NVME_QUEUES_MAX

struct nvme_interrupts {
	struct loop_task task; /* decides at the end of a turn for CQEs posted outside poll() */
	struct loop_timer timer;
	uint64_t posted[BITMAP_WORDS(NVME_QUEUES_MAX)];	      /* CQs with CQEs not yet decided on */
	uint64_t delayed[BITMAP_WORDS(NVME_QUEUES_MAX)];      /* CQs that wait for `timer` */
	uint64_t uncoalesced[BITMAP_WORDS(NVME_VECTORS_MAX)]; /* feature 09h, CD */
	uint16_t coalescing; /* feature 08h: threshold 7:0 (0's based), time 15:8 (100 us) */
	uint32_t mask;	     /* INTMS / INTMC */
	bool intx_level;
};

void nvme_interrupts_init(struct nvme_controller *c);
void nvme_interrupts_fini(struct nvme_controller *c);

/* Controller reset: mask, coalescing and level back to zero. */
void nvme_interrupts_reset(struct nvme_controller *c);

/* MSI-X enable, function mask or INTx disable changed in configuration space. */
void nvme_interrupts_reconfigure(struct nvme_controller *c);

/* A CQE was posted to `cq`. */
void nvme_interrupt_posted(struct nvme_controller *c, struct nvme_cq *cq);

/* A completion queue was deleted. */
void nvme_interrupts_cq_gone(struct nvme_controller *c, const struct nvme_cq *cq);

/* Decides for all CQs with new entries: one message per vector. */
void nvme_interrupts_decide(struct nvme_controller *c);

/* A head moved or a queue went away: the INTx line may fall. */
void nvme_interrupts_update_level(struct nvme_controller *c);

/* The line as a function of the state: OR over CQs with entries the guest has not taken. */
bool nvme_interrupts_level(const struct nvme_controller *c);

/* Features 08h and 09h. The vector is in range. */
void nvme_interrupts_set_coalescing(struct nvme_controller *c, uint16_t value);
void nvme_interrupts_set_vector(struct nvme_controller *c, unsigned vector, bool disable);

#endif
