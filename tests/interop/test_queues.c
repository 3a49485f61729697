/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance items 21-39, 92, 97: rings, phases, doorbell values, creation and deletion. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "interop.h"

#define FLUSH ((struct nvme_sqe){.opcode = IO_FLUSH, .nsid = 1})

static void create_cq(struct host *host, struct host_cq *cq, unsigned id, unsigned size)
{
	host_cq_init(host, cq, id, size);
	assert_admin(host, ST_OK, .opcode = ADMIN_CREATE_CQ,
		     .prp1 = ram_addr(&host->ram, cq->entries), .dw10 = (size - 1) << 16 | id,
		     .dw11 = 1);
}

static void create_sq(struct host *host, struct host_sq *sq, unsigned id, unsigned size,
		      unsigned cq_id)
{
	host_sq_init(host, sq, id, size);
	assert_admin(host, ST_OK, .opcode = ADMIN_CREATE_SQ,
		     .prp1 = ram_addr(&host->ram, sq->entries), .dw10 = (size - 1) << 16 | id,
		     .dw11 = cq_id << 16 | 1);
}

static void push(struct host_sq *sq, struct nvme_sqe sqe, unsigned cid)
{
	sqe.cid = (uint16_t)cid;
	*host_sq_slot(sq) = sqe;
	host_sq_push(sq);
}

/* The next completion, which must be there within two seconds. */
static struct nvme_cqe take(struct host_cq *cq)
{
	struct nvme_cqe cqe;

	assert_int_equal(host_cq_wait(cq, 2000), 0);
	cqe = *host_cq_peek(cq);
	host_cq_pop(cq);
	host_cq_ring(cq);
	return cqe;
}

/* 21 (W, K2009, V1945): four SQs on one CQ; SQID, SQHD and CID of each completion are right. */
static void shared_cq_item_21(void **state)
{
	struct host *host = interop_open(*state, "null", 0);
	struct host_sq sqs[4];
	struct host_cq cq;
	unsigned count[4] = {0};

	create_cq(host, &cq, 7, 64);
	for (unsigned i = 0; i < 4; i++)
		create_sq(host, &sqs[i], 2 + i, 16, 7);
	for (unsigned i = 0; i < 4; i++) {
		for (unsigned k = 0; k < 10; k++)
			push(&sqs[i], FLUSH, i << 8 | k);
	}
	for (unsigned i = 0; i < 4; i++)
		host_sq_ring(&sqs[i]);
	for (unsigned n = 0; n < 40; n++) {
		const struct nvme_cqe cqe = take(&cq);
		const unsigned i = cqe.sq_id - 2U;

		assert_true(i < 4);
		assert_int_equal(cqe.cid >> 8, i);
		assert_true(cqe.sq_head <= 10 && cqe.sq_head >= 1);
		assert_int_equal(nvme_cqe_status(&cqe), ST_OK);
		count[i]++;
	}
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(count[i], 10);
}

/* 22 (S, O): the phase flips at each wrap, ten laps, for rings of 2, 3 and 256 entries. */
static void phase_item_22(void **state)
{
	static const unsigned sizes[] = {2, 3, 256};
	struct host *host = interop_open(*state, "null", 0);

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		const struct host_queue_options options = {.sq_size = sizes[i]};

		assert_int_equal(host_queue_create(host, 1, options), 0);
		for (unsigned n = 0; n < 10 * sizes[i]; n++)
			assert_int_equal(host_run(host, 1, FLUSH, NULL), ST_OK);
		assert_int_equal(host_queue_delete(host, 1), 0);
	}
}

struct watcher {
	struct nvme_cqe *entries;
	unsigned size;
	_Atomic bool stop;
	_Atomic uint64_t seen; /* entries; the writer must not be a lap ahead */
	uint64_t torn;
};

/* Every entry's body says which lap it is of: cid 15:8. The phase must never come before it. */
static void *watch_ring(void *arg)
{
	struct watcher *w = arg;
	unsigned index = 0, lap = 0;

	while (!atomic_load(&w->stop)) {
		const struct nvme_cqe *cqe = &w->entries[index];
		const unsigned phase = !(lap & 1);

		if ((__atomic_load_n(&cqe->status, __ATOMIC_ACQUIRE) & 1U) != phase)
			continue;
		w->torn += (cqe->cid >> 8) != (lap & 0x7F) || (cqe->cid & 0xFFU) != index;
		index = (index + 1) % w->size;
		lap += index == 0;
		atomic_fetch_add(&w->seen, 1);
	}
	return NULL;
}

/* 23 (V, S): a reader thread never sees a new phase with an old body. */
static void torn_cqe_item_23(void **state)
{
	struct interop *t = *state;
	struct host *host = interop_open(t, "null", 0);
	const unsigned size = 32, laps = t->long_run ? 20000 : 2000;
	struct watcher watcher = {.size = size};
	pthread_t thread;

	assert_int_equal(host_queue_create(host, 1, (struct host_queue_options){.sq_size = size}),
			 0);
	watcher.entries = host->queues[1].cq.entries;
	assert_int_equal(pthread_create(&thread, NULL, watch_ring, &watcher), 0);
	for (unsigned n = 0; n < laps * size; n++) {
		push(&host->queues[1].sq, FLUSH, (n / size & 0x7F) << 8 | n % size);
		host_sq_ring(&host->queues[1].sq);
		take(&host->queues[1].cq);
		while (atomic_load(&watcher.seen) + size / 2 < n)
			sched_yield();
	}
	client_sleep_us(1000);
	atomic_store(&watcher.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(watcher.torn, 0);
}

/* 24 (K), 25 (K, P1008), H8: a full CQ is never overwritten; moving its head resumes. */
static void small_cq_items_24_25(void **state)
{
	struct host *host = interop_open(*state, "null", 0);
	struct host_sq *sq = &host->queues[1].sq;
	struct host_cq *cq = &host->queues[1].cq;
	bool seen[63] = {0};

	assert_int_equal(host_queue_create(
				 host, 1, (struct host_queue_options){.sq_size = 64, .cq_size = 8}),
			 0);
	for (unsigned i = 0; i < 63; i++)
		push(sq, FLUSH, i);
	host_sq_ring(sq);
	client_sleep_us(100000);
	assert_int_equal(cq->entries[7].status & 1, 0); /* 7 of 8 may be used */
	for (unsigned i = 0; i < 63; i++) {
		const struct nvme_cqe cqe = take(cq);

		assert_true(cqe.cid < 63 && !seen[cqe.cid]);
		seen[cqe.cid] = true;
	}
}

/* H8: a queue whose completions nobody takes disturbs no other. */
static void stuck_cq_h8(void **state)
{
	struct host *host = interop_open(*state, "null", 2);

	for (unsigned i = 0; i < 60; i++)
		push(&host->queues[2].sq, FLUSH, i);
	host_sq_ring(&host->queues[2].sq);
	for (unsigned i = 0; i < 500; i++)
		assert_io(host, ST_OK, .opcode = IO_FLUSH, .nsid = 1);
	assert_int_equal(host_disable(host), 0);
}

static void ring_raw(struct host *host, unsigned index, uint32_t value)
{
	assert_int_equal(host_reg32_set(host, REG_DOORBELLS + 4 * index, value), 0);
}

/* 26 (K2171, P308), 27 (Q), 28 (P), H6: senseless doorbells do nothing. */
static void senseless_doorbells_items_26_27_28(void **state)
{
	static const uint32_t values[] = {64, 65, 0xFFFF, 0x10000 - 1, 0x7FFFFFFF, 0xABCD0040};
	struct host *host = interop_open(*state, "null", 1);

	for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
		ring_raw(host, 2, values[i]);
		ring_raw(host, 3, values[i]);
		ring_raw(host, 10, values[i]); /* queue 5 is not there */
		ring_raw(host, 2 * 200, values[i]);
		assert_io(host, ST_OK, .opcode = IO_FLUSH, .nsid = 1);
	}
	assert_int_equal(host_disable(host), 0);
	for (unsigned index = 0; index < 140; index++)
		ring_raw(host, index, 1);
	assert_int_equal(host_reg32(host, REG_CSTS) & CSTS_RDY, 0);
	assert_int_equal(host_enable(host), 0);
	interop_queues(host, 1);
	interop_check_alive(host);
}

/* 26 (P308): the upper half of a doorbell value is ignored. */
static void doorbell_upper_half_item_26(void **state)
{
	struct host *host = interop_open(*state, "null", 1);

	push(&host->queues[1].sq, FLUSH, 77);
	ring_raw(host, 2, 0xFFFF0000U | host->queues[1].sq.tail);
	assert_int_equal(take(&host->queues[1].cq).cid, 77);
}

/* 26: an invalid doorbell value is reported once by an event of type error. */
static void doorbell_event_item_26(void **state)
{
	struct host *host = interop_open(*state, "null", 1);
	struct nvme_cqe cqe;
	int cid = host_submit(host, 0, (struct nvme_sqe){.opcode = ADMIN_ASYNC_EVENT});

	assert_true(cid >= 0);
	ring_raw(host, 2, 64);
	assert_int_equal(host_wait(host, 0, (uint16_t)cid, &cqe), 0);
	assert_int_equal(cqe.result & 0x7, 0);
	assert_true((cqe.result >> 8 & 0xFF) <= 1);
	cid = host_submit(host, 0, (struct nvme_sqe){.opcode = ADMIN_ASYNC_EVENT});
	ring_raw(host, 2, 64);
	assert_int_equal(host_cq_wait(&host->queues[0].cq, 100), -ETIMEDOUT);
}

/* H9: a CQ head that jumps over entries not yet posted is ignored. */
static void head_beyond_tail_h9(void **state)
{
	struct host *host = interop_open(*state, "null", 1);

	for (unsigned i = 0; i < 200; i++) {
		ring_raw(host, 3, (host->queues[1].cq.head + 5U) % 64);
		assert_io(host, ST_OK, .opcode = IO_FLUSH, .nsid = 1);
	}
}

/* 29, 30 (O, T), 32, 33, 34, H14: Create I/O Completion Queue refuses what it must. */
static void create_cq_items_29_34(void **state)
{
	struct host *host = interop_open(*state, "null", 0);
	const uint64_t ring = ram_addr(&host->ram, ram_alloc(&host->ram, 65536));
	const struct {
		uint32_t dw10, dw11;
		uint64_t prp1;
		int status;
	} cases[] = {
		{63 << 16 | 0, 1, ring, ST_INVALID_QID},
		{63 << 16 | 65, 1, ring, ST_INVALID_QID},
		{63U << 16 | 0xFFFF, 1, ring, ST_INVALID_QID},
		{0 << 16 | 1, 1, ring, ST_INVALID_QSIZE},
		{0xFFFFU << 16 | 1, 1, ring, ST_INVALID_QSIZE},
		{63 << 16 | 1, 0, ring, ST_INVALID_FIELD},
		{63 << 16 | 1, 1, ring + 8, ST_PRP_OFFSET},
		{63 << 16 | 1, 0xFFFFU << 16 | 3, ring, ST_INVALID_VECTOR},
		{63 << 16 | 1, 1, ring, ST_OK},
		{63 << 16 | 1, 1, ring, ST_INVALID_QID},
		{1 << 16 | 2, 1, ring + 8192, ST_OK},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
		assert_admin(host, cases[i].status, .opcode = ADMIN_CREATE_CQ,
			     .prp1 = cases[i].prp1, .dw10 = cases[i].dw10, .dw11 = cases[i].dw11);
}

/* 33, 34, 35, H14: Create I/O Submission Queue likewise. 36 (S): the order of deletion. */
static void create_sq_items_33_36(void **state)
{
	struct host *host = interop_open(*state, "null", 0);
	const uint64_t ring = ram_addr(&host->ram, ram_alloc(&host->ram, 65536));
	struct host_cq cq;

	create_cq(host, &cq, 3, 64);
	const struct {
		uint32_t dw10, dw11;
		uint64_t prp1;
		int status;
	} cases[] = {
		{63 << 16 | 1, 9 << 16 | 1, ring, ST_INVALID_CQ},
		{63 << 16 | 1, 0 << 16 | 1, ring, ST_INVALID_CQ},
		{63 << 16 | 0, 3 << 16 | 1, ring, ST_INVALID_QID},
		{63 << 16 | 65, 3 << 16 | 1, ring, ST_INVALID_QID},
		{0 << 16 | 1, 3 << 16 | 1, ring, ST_INVALID_QSIZE},
		{0xFFFFU << 16 | 1, 3 << 16 | 1, ring, ST_INVALID_QSIZE},
		{63 << 16 | 1, 3 << 16 | 0, ring, ST_INVALID_FIELD},
		{63 << 16 | 1, 3 << 16 | 1, ring + 64, ST_PRP_OFFSET},
		{63 << 16 | 1, 3 << 16 | 1, ring, ST_OK},
		{63 << 16 | 1, 3 << 16 | 1, ring, ST_INVALID_QID},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
		assert_admin(host, cases[i].status, .opcode = ADMIN_CREATE_SQ,
			     .prp1 = cases[i].prp1, .dw10 = cases[i].dw10, .dw11 = cases[i].dw11);
	assert_admin(host, ST_QUEUE_DELETION, .opcode = ADMIN_DELETE_CQ, .dw10 = 3);
	assert_admin(host, ST_INVALID_QID, .opcode = ADMIN_DELETE_SQ, .dw10 = 0);
	assert_admin(host, ST_INVALID_QID, .opcode = ADMIN_DELETE_SQ, .dw10 = 44);
	assert_admin(host, ST_OK, .opcode = ADMIN_DELETE_SQ, .dw10 = 1);
	assert_admin(host, ST_INVALID_QID, .opcode = ADMIN_DELETE_SQ, .dw10 = 1);
	assert_admin(host, ST_OK, .opcode = ADMIN_DELETE_CQ, .dw10 = 3);
	assert_admin(host, ST_INVALID_QID, .opcode = ADMIN_DELETE_CQ, .dw10 = 3);
	assert_admin(host, ST_INVALID_QID, .opcode = ADMIN_DELETE_CQ, .dw10 = 0);
	assert_int_equal(host_queue_create(host, 3, (struct host_queue_options){0}), 0);
}

/* 31 (O, B, T): IEN=0 means no interrupt, IEN=1 means one. */
static void interrupt_enable_item_31(void **state)
{
	struct interop *t = *state;
	struct host *host = &t->host;
	uint64_t count;

	interop_open_with(t, host, "null",
			  (struct host_options){.flavour = CLIENT_QEMU, .interrupts = true});
	assert_int_equal(host_queue_create(host, 1, (struct host_queue_options){0}), 0);
	assert_int_equal(
		host_queue_create(host, 2, (struct host_queue_options){.interrupts = true}), 0);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(host_run(host, 1, FLUSH, NULL), ST_OK);
	client_sleep_us(20000);
	assert_true(read(host->event_fds[1], &count, sizeof(count)) < 0);
	host->queues[2].cq.event_fd = -1;
	assert_int_equal(host_run(host, 2, FLUSH, NULL), ST_OK);
	client_sleep_us(20000);
	assert_int_equal(read(host->event_fds[2], &count, sizeof(count)), sizeof(count));
}

/* 92 (S, T): a completion posted while the vector has no eventfd fires when it gets one. */
static void masked_vector_item_92(void **state)
{
	struct interop *t = *state;
	struct host *host = &t->host;
	uint64_t count;

	interop_open_with(t, host, "null",
			  (struct host_options){.flavour = CLIENT_QEMU, .interrupts = true});
	assert_int_equal(
		host_queue_create(host, 2, (struct host_queue_options){.interrupts = true}), 0);
	assert_int_equal(client_msix_assign(&host->client, 2, -1), 0);
	host->queues[2].cq.event_fd = -1;
	assert_int_equal(host_run(host, 2, FLUSH, NULL), ST_OK);
	client_sleep_us(20000);
	assert_true(read(host->event_fds[2], &count, sizeof(count)) < 0);
	assert_int_equal(client_msix_assign(&host->client, 2, host->event_fds[2]), 0);
	client_sleep_us(20000);
	assert_int_equal(read(host->event_fds[2], &count, sizeof(count)), sizeof(count));
}

/* Sleeping on interrupts, one command at a time: none is lost. */
static void interrupts_are_never_lost(void **state)
{
	struct interop *t = *state;
	struct host *host = &t->host;

	interop_open_with(t, host, "null",
			  (struct host_options){.flavour = CLIENT_QEMU, .interrupts = true});
	assert_int_equal(
		host_queue_create(host, 1, (struct host_queue_options){.interrupts = true}), 0);
	for (unsigned i = 0; i < 20000; i++) {
		struct nvme_cqe cqe;

		push(&host->queues[1].sq, FLUSH, i & 0x7FFF);
		host_sq_ring(&host->queues[1].sq);
		assert_int_equal(host_cq_wait(&host->queues[1].cq, 900), 0);
		cqe = take(&host->queues[1].cq);
		assert_int_equal(cqe.cid, i & 0x7FFF);
	}
}

/* 37 (S, Q, K), H12, H13: Delete SQ with slow I/O in flight: it completes last, nothing after. */
static void delete_in_flight_item_37(void **state)
{
	struct host *host = interop_open(*state, "slow", 1);
	uint8_t *data = ram_alloc(&host->ram, 8 * RAM_PAGE);
	struct nvme_cqe cqe;
	unsigned done = 0;
	int cid;

	for (unsigned i = 0; i < 8; i++)
		push(&host->queues[1].sq,
		     interop_rw(host, IO_READ, 8 * i, 8, data + (size_t)i * RAM_PAGE), i);
	host_sq_ring(&host->queues[1].sq);
	client_sleep_us(20000);
	cid = host_submit(host, 0, (struct nvme_sqe){.opcode = ADMIN_DELETE_SQ, .dw10 = 1});
	assert_true(cid >= 0);
	assert_int_equal(host_wait(host, 0, (uint16_t)cid, &cqe), 0);
	assert_int_equal(nvme_cqe_status(&cqe), ST_OK);
	while (host_cq_peek(&host->queues[1].cq)) {
		const unsigned status = nvme_cqe_status(host_cq_peek(&host->queues[1].cq));

		assert_true(status == ST_OK || status == ST_SQ_DELETED);
		host_cq_pop(&host->queues[1].cq);
		done++;
	}
	assert_int_equal(done, 8);
	assert_int_equal(host_cq_wait(&host->queues[1].cq, 400), -ETIMEDOUT);
	assert_admin(host, ST_OK, .opcode = ADMIN_DELETE_CQ, .dw10 = 1);
	interop_queues(host, 1);
	interop_check_alive(host);
}

/* 38 (O, B, T): queues without Set Features 07h. 39 (Q, F): the answer never changes. */
static void number_of_queues_items_38_39(void **state)
{
	struct host *host = interop_open(*state, "null", 0);
	uint32_t first, again;

	assert_int_equal(host_queue_create(host, 40, (struct host_queue_options){0}), 0);
	assert_int_equal(host_set_feature(host, 7, 3 << 16 | 3, NULL), ST_SEQUENCE);
	assert_int_equal(host_queue_delete(host, 40), 0);
	assert_int_equal(host_disable(host), 0);
	assert_int_equal(host_enable(host), 0);
	assert_int_equal(host_set_feature(host, 7, 3 << 16 | 3, &first), ST_OK);
	assert_int_equal(host_set_feature(host, 7, 200U << 16 | 200, &again), ST_OK);
	assert_int_equal(first, again);
	assert_int_equal(host_set_feature(host, 7, 0xFFFF, NULL), ST_INVALID_FIELD);
	assert_int_equal(host_set_feature(host, 7, 0xFFFF0000U, NULL), ST_INVALID_FIELD);
	assert_int_equal(host_get_feature(host, 7, &again), ST_OK);
	assert_int_equal(first, again);
	assert_int_equal(host_disable(host), 0);
	assert_int_equal(host_enable(host), 0);
	assert_int_equal(host_set_feature(host, 7, 1 << 16 | 1, &again), ST_OK);
	assert_int_equal(first, again);
}

/* All queue pairs there are, at work together. */
static void sixty_four_queue_pairs(void **state)
{
	struct host *host = interop_open(*state, "null", 64);

	for (unsigned round = 0; round < 50; round++) {
		for (unsigned q = 1; q <= 64; q++)
			assert_true(host_submit(host, q, FLUSH) >= 0);
		for (unsigned q = 1; q <= 64; q++) {
			const struct nvme_cqe cqe = take(&host->queues[q].cq);

			assert_int_equal(cqe.sq_id, q);
			host->queues[q].sq.head = cqe.sq_head;
		}
	}
}

/* 97 (H11): commands with one cid in flight are all completed. */
static void duplicate_cids_item_97(void **state)
{
	struct host *host = interop_open(*state, "slow", 1);
	uint8_t *data = ram_alloc(&host->ram, 4 * RAM_PAGE);

	for (unsigned i = 0; i < 4; i++)
		push(&host->queues[1].sq,
		     interop_rw(host, IO_READ, 8 * i, 8, data + (size_t)i * RAM_PAGE), 5);
	host_sq_ring(&host->queues[1].sq);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(take(&host->queues[1].cq).cid, 5);
}

/* H10: rings on top of each other and of data do the host no harm. */
static void overlapping_rings_h10(void **state)
{
	struct host *host = interop_open(*state, "null", 0);
	uint8_t *page = ram_alloc(&host->ram, RAM_PAGE);
	const uint64_t addr = ram_addr(&host->ram, page);

	assert_admin(host, ST_OK, .opcode = ADMIN_CREATE_CQ, .prp1 = addr, .dw10 = 63 << 16 | 1,
		     .dw11 = 1);
	assert_admin(host, ST_OK, .opcode = ADMIN_CREATE_SQ, .prp1 = addr, .dw10 = 63 << 16 | 1,
		     .dw11 = 1 << 16 | 1);
	for (unsigned i = 1; i < 200; i++)
		ring_raw(host, 2, i % 64);
	assert_int_equal(host_disable(host), 0);
	assert_int_equal(host_enable(host), 0);
	interop_queues(host, 1);
	interop_check_alive(host);
}

static int setup(void **state)
{
	char spec[160], volume[200];
	struct interop *t;

	if (interop_group_setup(state))
		return -1;
	t = *state;
	snprintf(volume, sizeof(volume), "delay:op=read,ms=200:%s",
		 interop_file(t, "slow", INTEROP_FILE_SIZE, spec));
	interop_target(t, "slow", volume);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		interop_test(shared_cq_item_21),
		interop_test(phase_item_22),
		interop_test(torn_cqe_item_23),
		interop_test(small_cq_items_24_25),
		interop_test(stuck_cq_h8),
		interop_test(senseless_doorbells_items_26_27_28),
		interop_test(doorbell_upper_half_item_26),
		interop_test(doorbell_event_item_26),
		interop_test(head_beyond_tail_h9),
		interop_test(create_cq_items_29_34),
		interop_test(create_sq_items_33_36),
		interop_test(interrupt_enable_item_31),
		interop_test(masked_vector_item_92),
		interop_test(interrupts_are_never_lost),
		interop_test(delete_in_flight_item_37),
		interop_test(number_of_queues_items_38_39),
		interop_test(sixty_four_queue_pairs),
		interop_test(duplicate_cids_item_97),
		interop_test(overlapping_rings_h10),
	};

	return cmocka_run_group_tests(tests, setup, interop_group_teardown);
}
