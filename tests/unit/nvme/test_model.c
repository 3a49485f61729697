/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random work against a plain model of the disk, in the simulated world, a seed a run: reads,
 * writes, zeroes, copies, deallocation and comparisons on several queues at once (never two that
 * overlap), buffers at any place PRP allows, while the controller is reset, memory is mapped anew,
 * and doorbells come by MMIO or in a shadow.
 *
 * QUOIN_MODEL_SEED runs one seed, QUOIN_MODEL_SEEDS so many (default 300).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_endian.h>

#include "harness.h"

#define QUEUES 3
#define DEPTH 16
#define SLOTS 12	 /* commands in flight */
#define SLOT_BLOCKS 64	 /* each works in its own part of the disk */
#define BUFFER_PAGES 12U /* of a slot */
#define STEPS 600

enum { WRITE = 1, READ = 2, COMPARE = 5, ZEROES = 8, DSM = 9, COPY = 0x19 };

struct slot {
	bool busy;
	uint8_t opcode;
	unsigned queue;
	uint16_t cid;
	uint64_t slba;
	unsigned blocks;
	uint64_t buffer; /* its pages; the last one is for lists */
	unsigned offset; /* of the data in the first page */
	bool differs;	 /* a comparison that must fail */
};

struct model {
	struct harness h;
	struct random *random;
	uint64_t seed;
	uint8_t *disk; /* what must be on it */
	struct slot slots[SLOTS];
	unsigned completed;
};

static uint64_t below(struct model *m, uint64_t bound)
{
	return random_below(m->random, bound);
}

static void queues_open(struct model *m)
{
	m->h.next_free = SLOTS * BUFFER_PAGES * HARNESS_PAGE;
	assert_int_equal(harness_enable(&m->h, 16, 16), 1);
	for (unsigned id = 1; id <= QUEUES; id++)
		harness_create(&m->h, id, DEPTH, 4 + (unsigned)below(m, DEPTH));
	if (below(m, 2))
		assert_int_equal(harness_shadow_on(&m->h), 0);
}

static uint8_t *slot_data(struct model *m, const struct slot *s)
{
	return (uint8_t *)harness_ptr(&m->h, s->buffer) + s->offset;
}

/* PRPs over the slot's pages, which are neighbours: bytes are where slot_data() says. */
static void prps(struct model *m, const struct slot *s, unsigned bytes, struct harness_sqe *sqe)
{
	const unsigned pages = (s->offset + bytes + HARNESS_PAGE - 1) / HARNESS_PAGE;
	const uint64_t list = s->buffer + (BUFFER_PAGES - 1ULL) * HARNESS_PAGE;
	uint64_t *entries = harness_ptr(&m->h, list);
	uint64_t prp2 = 0;

	for (unsigned i = 1; i < pages; i++)
		entries[i - 1] = s->buffer + (uint64_t)i * HARNESS_PAGE;
	if (pages == 2)
		prp2 = s->buffer + HARNESS_PAGE;
	else if (pages > 2)
		prp2 = list;
	sqe->dw[6] = (uint32_t)(s->buffer + s->offset);
	sqe->dw[7] = (uint32_t)((s->buffer + s->offset) >> 32);
	sqe->dw[8] = (uint32_t)prp2;
	sqe->dw[9] = (uint32_t)(prp2 >> 32);
}

static void prepare_copy(struct model *m, struct slot *s, struct harness_sqe *sqe)
{
	uint8_t *entry;

	s->blocks = 1 + (unsigned)below(m, SLOT_BLOCKS / 2);
	s->offset = 0;
	entry = slot_data(m, s);
	memset(entry, 0, 32);
	le64_put(entry + 8, s->slba + SLOT_BLOCKS / 2);
	le16_put(entry + 16, (uint16_t)(s->blocks - 1));
	sqe->dw[12] = 0;
	prps(m, s, 32, sqe);
}

static void prepare_deallocate(struct model *m, struct slot *s, struct harness_sqe *sqe)
{
	uint8_t *entry = slot_data(m, s);

	le32_put(entry, 0);
	le32_put(entry + 4, s->blocks);
	le64_put(entry + 8, s->slba);
	sqe->dw[10] = 0;
	sqe->dw[11] = 4;
	sqe->dw[12] = 0;
	prps(m, s, 16, sqe);
}

static void prepare_data(struct model *m, struct slot *s, struct harness_sqe *sqe)
{
	const unsigned bytes = s->blocks * 512;
	uint8_t *data = slot_data(m, s);

	if (s->opcode == WRITE)
		random_fill(m->random, data, bytes);
	else if (s->opcode == COMPARE)
		memcpy(data, m->disk + s->slba * 512, bytes);
	else
		memset(data, 0xDD, bytes);
	s->differs = s->opcode == COMPARE && below(m, 2);
	if (s->differs)
		data[below(m, bytes)] ^= 0x10;
	prps(m, s, bytes, sqe);
}

/* How the model's disk looks after the command. */
static void model_apply(struct model *m, const struct slot *s)
{
	uint8_t *at = m->disk + s->slba * 512;
	const size_t bytes = (size_t)s->blocks * 512;

	if (s->opcode == WRITE)
		memcpy(at, slot_data(m, s), bytes);
	else if (s->opcode == ZEROES || s->opcode == DSM)
		memset(at, 0, bytes);
	else if (s->opcode == COPY)
		memcpy(at, at + SLOT_BLOCKS / 2 * 512, bytes);
}

static void submit(struct model *m, unsigned index)
{
	static const uint8_t opcodes[] = {READ, WRITE, READ, WRITE, COMPARE, ZEROES, DSM, COPY};
	struct slot *s = &m->slots[index];
	struct harness_queue *q;
	struct harness_sqe sqe;

	s->busy = true;
	s->opcode = opcodes[below(m, ARRAY_SIZE(opcodes))];
	s->queue = 1 + (unsigned)below(m, QUEUES);
	s->blocks = 1 + (unsigned)below(m, SLOT_BLOCKS);
	s->slba = (uint64_t)index * SLOT_BLOCKS;
	if (s->opcode != COPY)
		s->slba += below(m, SLOT_BLOCKS - s->blocks + 1);
	s->offset = below(m, 2) ? 0 : (unsigned)below(m, 1024) * 4;
	sqe = harness_io(s->opcode, s->slba, s->blocks, 0, 0);
	if (s->opcode == COPY)
		prepare_copy(m, s, &sqe);
	else if (s->opcode == DSM)
		prepare_deallocate(m, s, &sqe);
	else if (s->opcode != ZEROES)
		prepare_data(m, s, &sqe);
	q = &m->h.queues[s->queue];
	s->cid = harness_put(&m->h, q, &sqe);
	harness_ring_sq(&m->h, q);
}

static void judge(struct model *m, struct slot *s, uint16_t status)
{
	const uint16_t want = s->opcode == COMPARE && s->differs ? 0x285 : 0;

	if (status != want)
		fail_msg("seed %llu: opcode %02x ended with %03x", (unsigned long long)m->seed,
			 s->opcode, status);
	if (s->opcode == READ &&
	    memcmp(slot_data(m, s), m->disk + s->slba * 512, (size_t)s->blocks * 512) != 0)
		fail_msg("seed %llu: a read gave other data than were written",
			 (unsigned long long)m->seed);
	model_apply(m, s);
	s->busy = false;
	m->completed++;
}

static void collect(struct model *m)
{
	for (unsigned id = 1; id <= QUEUES; id++) {
		struct harness_cqe cqe;

		while (harness_take(&m->h, &m->h.queues[id], &cqe)) {
			struct slot *found = NULL;

			for (unsigned i = 0; i < SLOTS && !found; i++)
				if (m->slots[i].busy && m->slots[i].queue == id &&
				    m->slots[i].cid == cqe.cid)
					found = &m->slots[i];
			if (!found)
				fail_msg("seed %llu: a completion nobody waits for",
					 (unsigned long long)m->seed);
			judge(m, found, cqe.status);
		}
	}
}

static void finish_all(struct model *m)
{
	for (unsigned i = 0; i < 100; i++) {
		unsigned busy = 0;

		collect(m);
		for (unsigned s = 0; s < SLOTS; s++)
			busy += m->slots[s].busy;
		if (busy == 0)
			return;
		harness_settle(&m->h);
	}
	fail_msg("seed %llu: commands do not come back", (unsigned long long)m->seed);
}

/* What was in flight at a reset was done or not: the model learns which. */
static void reset(struct model *m)
{
	if (below(m, 2))
		harness_disable(&m->h);
	else
		harness_reset(&m->h, below(m, 2) ? NVME_RESET_FUNCTION : NVME_RESET_DISCONNECT);
	for (unsigned i = 0; i < SLOTS; i++)
		m->slots[i].busy = false;
	memcpy(m->disk, m->h.disk->data, SLOTS * SLOT_BLOCKS * 512);
	queues_open(m);
}

static void step(struct model *m)
{
	const unsigned index = (unsigned)below(m, SLOTS);

	if (!m->slots[index].busy)
		submit(m, index);
	for (uint64_t turns = below(m, 8); turns > 0; turns--)
		harness_turn(&m->h);
	if (below(m, 3) == 0)
		collect(m);
	if (below(m, 150) == 0) {
		reset(m);
	} else if (below(m, 100) == 0) {
		harness_unmap_ram(&m->h);
		harness_settle(&m->h);
		harness_map_ram(&m->h);
	}
}

static void run(uint64_t seed)
{
	const struct harness_params params = {.seed = seed,
					      .poll_us = (unsigned)(1 + seed % 20),
					      .commands_max = seed % 3 ? 1024 : 5};
	struct model m = {.seed = seed};

	harness_open(&m.h, &params);
	m.random = loop_sim_random(m.h.sim);
	m.disk = calloc(SLOTS * SLOT_BLOCKS, 512);
	m.h.disk->mode = RAMDISK_ASYNC;
	/* Half of them copy by reference, and half of those would rather not. */
	m.h.disk->device.limits.copy_block_bytes = seed % 2 ? 512 : 0;
	m.h.disk->fail = -EOPNOTSUPP;
	m.h.disk->fail_ops = seed % 4 == 3 ? 1U << BLOCK_COPY : 0;
	for (unsigned i = 0; i < SLOTS; i++)
		m.slots[i].buffer = HARNESS_RAM_IOVA + (uint64_t)i * BUFFER_PAGES * HARNESS_PAGE;
	queues_open(&m);
	for (unsigned i = 0; i < STEPS; i++)
		step(&m);
	finish_all(&m);
	assert_memory_equal(m.disk, m.h.disk->data, SLOTS * SLOT_BLOCKS * 512);
	free(m.disk);
	harness_close(&m.h);
}

static void test_random_work(void **state)
{
	const char *one = getenv("QUOIN_MODEL_SEED");
	const char *many = getenv("QUOIN_MODEL_SEEDS");
	const uint64_t seeds = many ? strtoull(many, NULL, 10) : 300;

	if (one) {
		run(strtoull(one, NULL, 10));
		return;
	}
	for (uint64_t seed = 1; seed <= seeds; seed++)
		run(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_work)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
