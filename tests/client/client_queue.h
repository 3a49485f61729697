/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Submission and completion rings of the host, with the inline path the benchmark runs on.
 *
 * Doorbells go one of three ways:
 *   shadow  the ring's word in the shadow page, and a register write when the controller asked
 *           for one (NVMe 1.4, 7.13; Linux: nvme_dbbuf_update_and_check_event)
 *   mapped  a store into the doorbell page shared with the server
 *   plain   a register write each time
 */
#ifndef CLIENT_QUEUE_H
#define CLIENT_QUEUE_H

#include <stdatomic.h>

#include "client_nvme.h"
#include "client_socket.h"

/* One doorbell: of a submission tail or a completion head. */
struct host_doorbell {
	struct client *client;
	uint64_t offset;	       /* in BAR0 */
	_Atomic uint32_t *shadow;      /* NULL: not in shadow mode */
	const _Atomic uint32_t *event; /* EventIdx */
	_Atomic uint32_t *mapped;      /* NULL: not in mapped mode */
	uint64_t register_writes;      /* times a register was written */
	int error;		       /* the first failure of a register write */
};

struct host_sq {
	struct nvme_sqe *entries; /* in guest memory */
	uint16_t id;
	uint16_t size;
	uint16_t tail;
	uint16_t head; /* as the controller last said */
	struct host_doorbell doorbell;
};

struct host_cq {
	struct nvme_cqe *entries;
	uint16_t id;
	uint16_t size;
	uint16_t head;
	uint16_t phase;
	int event_fd; /* -1 = polled */
	struct host_doorbell doorbell;
};

/* The register write of a doorbell: slow, a message. */
void host_doorbell_write(struct host_doorbell *doorbell, uint32_t value);

/* True when the controller wants to hear of the step from `old` to `value`. */
static inline bool host_event_wanted(uint16_t event, uint16_t value, uint16_t old)
{
	return (uint16_t)(value - event - 1) < (uint16_t)(value - old);
}

/*
 * The store to the shadow must be seen before EventIdx is read: both sides store, fence, load;
 * at least one of them then sees the other's store, so no wake-up is lost.
 */
static inline void host_doorbell_ring(struct host_doorbell *doorbell, uint32_t value)
{
	if (doorbell->mapped) {
		atomic_store_explicit(doorbell->mapped, value, memory_order_release);
		return;
	}
	if (doorbell->shadow) {
		const uint32_t old = atomic_load_explicit(doorbell->shadow, memory_order_relaxed);
		uint32_t event;

		atomic_store_explicit(doorbell->shadow, value, memory_order_release);
		atomic_thread_fence(memory_order_seq_cst);
		event = atomic_load_explicit(doorbell->event, memory_order_acquire);
		if (LIKELY(!host_event_wanted((uint16_t)event, (uint16_t)value, (uint16_t)old)))
			return;
	}
	host_doorbell_write(doorbell, value);
}

/* Room for one more command, as far as the controller told. */
static inline bool host_sq_full(const struct host_sq *sq)
{
	const uint16_t next = (uint16_t)(sq->tail + 1 == sq->size ? 0 : sq->tail + 1);

	return next == sq->head;
}

static inline struct nvme_sqe *host_sq_slot(struct host_sq *sq)
{
	return &sq->entries[sq->tail];
}

/* The slot is filled. */
static inline void host_sq_push(struct host_sq *sq)
{
	sq->tail = (uint16_t)(sq->tail + 1 == sq->size ? 0 : sq->tail + 1);
}

static inline void host_sq_ring(struct host_sq *sq)
{
	host_doorbell_ring(&sq->doorbell, sq->tail);
}

/* The entry at the head when it is new, else NULL. It may be read after this returns. */
static inline const struct nvme_cqe *host_cq_peek(struct host_cq *cq)
{
	const struct nvme_cqe *cqe = &cq->entries[cq->head];
	const uint16_t status = __atomic_load_n(&cqe->status, __ATOMIC_ACQUIRE);

	return (status & 1) == cq->phase ? cqe : NULL;
}

static inline void host_cq_pop(struct host_cq *cq)
{
	if (++cq->head == cq->size) {
		cq->head = 0;
		cq->phase ^= 1;
	}
}

static inline void host_cq_ring(struct host_cq *cq)
{
	host_doorbell_ring(&cq->doorbell, cq->head);
}

/* Waits for an entry at the head: spins, then sleeps on the interrupt or in short naps. */
MUST_CHECK int host_cq_wait(struct host_cq *cq, int timeout_ms);

#endif
