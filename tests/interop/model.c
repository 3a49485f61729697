/* SPDX-License-Identifier: Apache-2.0 */
/* The model disk and its random load: see model.h. */
#include <errno.h>

#include <quoin/base_assert.h>
#include <quoin/base_bitmap.h>

#include "model.h"
#include "past.h"

#define SLOT_COUNT (MODEL_DEPTH * MODEL_QUEUES_MAX)
#define BUFFER_BYTES (MODEL_COMMAND_BYTES_MAX + 4096)
#define ATTEMPTS_MAX 64

/* Command ids of the load: apart from those that host_submit() gives out, which are below. */
#define CID_BASE 0x8000

/* One command of the load. Its cid is CID_BASE and its index. */
struct slot {
	bool busy;
	unsigned queue;
	uint8_t opcode;
	uint64_t lba;
	unsigned blocks;
	uint64_t source;  /* Copy: first LBA read; also marked busy */
	uint64_t first;	  /* first of the new contents, or 0 for zeroes */
	bool must_differ; /* Compare with a wrong byte */
	bool fua;
	uint64_t submitted; /* by the clock */
	uint8_t *data;
	uint64_t mark; /* page for lists */
};

struct model {
	struct model_options o;
	struct random random;
	struct host *host;
	uint64_t *content;   /* per block: what it has */
	uint64_t *maybe;     /* per block: what it may have as well, if `unsure` */
	uint64_t *unsure;    /* bitmap */
	uint64_t *busy;	     /* bitmap: a command in flight touches it */
	uint64_t next_value; /* contents are given out once */
	uint64_t completed;
	uint64_t clock;	     /* counts submissions and completions */
	uint64_t durable;    /* what was complete by then is */
	struct past *past;   /* `cached`: what may come back */
	uint64_t *lost;	     /* bitmap: the cache was lost, and nobody looked since */
	uint64_t *submitted; /* per block: when the command that made `content` was */
	struct image *cut;   /* being made, or NULL */
	struct slot slots[SLOT_COUNT];
};

/* --- Contents ----------------------------------------------------------------------------- */

static bool fits(struct model *m, uint64_t lba, uint64_t value)
{
	if (value == m->content[lba])
		return true;
	if (bitmap_test(m->unsure, lba) && value == m->maybe[lba]) {
		m->content[lba] = value;
		return true;
	}
	if (bitmap_test(m->lost, lba) && past_may(m->past, lba, value, m->durable)) {
		m->content[lba] = value;
		return true;
	}
	return false;
}

/* What a block has is known now, be it by a look or by a command on all of it. */
static void settle(struct model *m, uint64_t lba)
{
	bitmap_clear(m->unsure, lba);
	if (!bitmap_test(m->lost, lba))
		return;
	bitmap_clear(m->lost, lba);
	past_settle(m->past, lba, PAST_NEVER);
}

/* Compares what was read; what was unsure is known after it. */
static bool check_blocks(struct model *m, uint64_t lba, unsigned blocks, const uint8_t *data)
{
	for (unsigned i = 0; i < blocks; i++) {
		const uint64_t value =
			content_unspell(data + (size_t)i * m->o.block_bytes, m->o.block_bytes);

		if (!fits(m, lba + i, value)) {
			fprintf(stderr, "block %llu reads as %#llx, expected %#llx\n",
				(unsigned long long)(lba + i), (unsigned long long)value,
				(unsigned long long)m->content[lba + i]);
			return false;
		}
		settle(m, lba + i);
	}
	return true;
}

/* --- Ranges ------------------------------------------------------------------------------- */

static bool range_free(const struct model *m, uint64_t lba, unsigned blocks)
{
	return bitmap_next_set(m->busy, lba + blocks, lba) == lba + blocks;
}

static void range_mark(struct model *m, uint64_t lba, unsigned blocks, bool busy)
{
	for (unsigned i = 0; i < blocks; i++) {
		if (busy)
			bitmap_set(m->busy, lba + i);
		else
			bitmap_clear(m->busy, lba + i);
	}
}

static bool range_sure(const struct model *m, uint64_t lba, unsigned blocks)
{
	return bitmap_next_set(m->unsure, lba + blocks, lba) == lba + blocks &&
	       bitmap_next_set(m->lost, lba + blocks, lba) == lba + blocks;
}

/* A random range no command touches, marked busy. False when none was found. */
static bool range_take(struct model *m, unsigned blocks, bool sure, uint64_t *ret_lba)
{
	for (unsigned i = 0; i < ATTEMPTS_MAX; i++) {
		const uint64_t lba = random_below(&m->random, m->o.block_count - blocks + 1);

		if (!range_free(m, lba, blocks) || (sure && !range_sure(m, lba, blocks)))
			continue;
		range_mark(m, lba, blocks, true);
		*ret_lba = lba;
		return true;
	}
	return false;
}

/* --- Commands ----------------------------------------------------------------------------- */

static void set_data_pointer(struct model *m, struct slot *s, struct nvme_sqe *sqe, uint32_t bytes)
{
	struct ram *ram = &m->host->ram;
	const uint64_t mark = ram_mark(ram);
	const unsigned pick = (unsigned)random_below(&m->random, 4);

	ram_release(ram, s->mark);
	if (m->o.sgl && pick == 0)
		sgl_set(ram, sqe, s->data, bytes);
	else if (m->o.sgl && pick == 1)
		sgl_set_segment(ram, sqe, s->data, bytes,
				1 + (unsigned)random_below(&m->random, 4));
	else
		prp_set(ram, sqe, s->data, bytes, 8 * (unsigned)random_below(&m->random, 512));
	ram_release(ram, mark);
}

static void fill_new(struct model *m, struct slot *s)
{
	s->first = m->next_value;
	m->next_value += s->blocks;
	for (unsigned i = 0; i < s->blocks; i++)
		content_spell(s->first + i, s->data + (size_t)i * m->o.block_bytes,
			      m->o.block_bytes);
}

static void fill_compare(struct model *m, struct slot *s)
{
	for (unsigned i = 0; i < s->blocks; i++)
		content_spell(m->content[s->lba + i], s->data + (size_t)i * m->o.block_bytes,
			      m->o.block_bytes);
	s->must_differ = random_chance(&m->random, 1, 4);
	if (s->must_differ)
		s->data[random_below(&m->random, (uint64_t)s->blocks * m->o.block_bytes)] ^= 0x40;
}

/* Dataset Management with one range; Copy from one range. */
static uint32_t fill_range(struct model *m, struct slot *s)
{
	if (s->opcode == IO_DSM) {
		*(struct nvme_dsm_range *)(void *)s->data =
			(struct nvme_dsm_range){.block_count = s->blocks, .lba = s->lba};
		return sizeof(struct nvme_dsm_range);
	}
	*(struct nvme_copy_range *)(void *)s->data = (struct nvme_copy_range){
		.lba = s->source, .block_count = (uint16_t)(s->blocks - 1)};
	return sizeof(struct nvme_copy_range);
}

static bool has_data(uint8_t opcode)
{
	return opcode == IO_READ || opcode == IO_WRITE || opcode == IO_COMPARE;
}

static struct nvme_sqe build(struct model *m, struct slot *s)
{
	struct nvme_sqe sqe = {
		.opcode = s->opcode,
		.cid = (uint16_t)(CID_BASE + (s - m->slots)),
		.nsid = 1,
		.dw10 = (uint32_t)s->lba,
		.dw11 = (uint32_t)(s->lba >> 32),
		.dw12 = s->blocks - 1,
	};

	if (s->opcode == IO_WRITE)
		fill_new(m, s);
	if (s->opcode == IO_COMPARE)
		fill_compare(m, s);
	if (has_data(s->opcode))
		set_data_pointer(m, s, &sqe, s->blocks * m->o.block_bytes);
	s->fua = s->opcode == IO_WRITE && random_chance(&m->random, 1, 16);
	if (s->fua)
		sqe.dw12 |= IO_FUA;
	if (s->opcode == IO_WRITE_ZEROES && random_chance(&m->random, 1, 2))
		sqe.dw12 |= IO_DEAC;
	if (s->opcode == IO_DSM || s->opcode == IO_COPY)
		set_data_pointer(m, s, &sqe, fill_range(m, s));
	if (s->opcode == IO_DSM) {
		sqe.dw10 = 0;
		sqe.dw11 = DSM_DEALLOCATE;
	}
	if (s->opcode == IO_COPY)
		sqe.dw12 = 0;
	return sqe;
}

static uint8_t pick_opcode(struct model *m)
{
	static const uint8_t rare[] = {IO_COMPARE, IO_WRITE_ZEROES, IO_VERIFY, IO_COPY, IO_DSM};
	const uint64_t dice = random_below(&m->random, 100);

	if (dice < 40)
		return IO_READ;
	if (dice < 80 || !m->o.rare)
		return IO_WRITE;
	if (dice < 84)
		return IO_FLUSH;
	return rare[random_below(&m->random, m->o.deallocate ? 5 : 4)];
}

static bool slot_prepare(struct model *m, struct slot *s)
{
	s->opcode = pick_opcode(m);
	s->blocks = s->opcode == IO_FLUSH
			    ? 0
			    : 1 + (unsigned)random_below(&m->random, random_chance(&m->random, 1, 8)
									     ? m->o.blocks_max
									     : 8);
	s->lba = 0;
	s->source = UINT64_MAX;
	s->first = 0;
	s->must_differ = false;
	s->fua = false;
	s->submitted = ++m->clock;
	if (s->blocks && !range_take(m, s->blocks, s->opcode == IO_COMPARE, &s->lba))
		return false;
	if (s->opcode == IO_COPY && !range_take(m, s->blocks, true, &s->source)) {
		range_mark(m, s->lba, s->blocks, false);
		return false;
	}
	s->busy = true;
	return true;
}

/* --- Outcome ------------------------------------------------------------------------------ */

static bool changes(uint8_t opcode)
{
	return opcode == IO_WRITE || opcode == IO_WRITE_ZEROES || opcode == IO_DSM ||
	       opcode == IO_COPY;
}

/* What block i of the command has when it is done. */
static uint64_t new_content(const struct model *m, const struct slot *s, unsigned i)
{
	if (s->opcode == IO_WRITE)
		return s->first + i;
	return s->opcode == IO_COPY ? m->content[s->source + i] : 0;
}

/* Block i has what the command wrote. */
static void content_set(struct model *m, const struct slot *s, unsigned i)
{
	const uint64_t lba = s->lba + i;

	settle(m, lba);
	if (m->cut)
		image_may(m->cut, lba, m->content[lba], m->submitted[lba], m->clock);
	if (m->o.cached) {
		past_settle(m->past, lba, s->fua ? PAST_NEVER : m->durable);
		if (!s->fua)
			past_add(m->past, lba, m->content[lba], m->clock);
	}
	m->content[lba] = new_content(m, s, i);
	m->submitted[lba] = s->submitted;
}

static void slot_release(struct model *m, struct slot *s)
{
	range_mark(m, s->lba, s->blocks, false);
	if (s->source != UINT64_MAX)
		range_mark(m, s->source, s->blocks, false);
	s->busy = false;
}

static bool slot_done(struct model *m, struct slot *s, unsigned status)
{
	const unsigned expected = s->must_differ ? ST_COMPARE : ST_OK;
	bool good = status == expected;

	if (!good)
		fprintf(stderr, "opcode %#x at %llu + %u: status %#x, expected %#x\n", s->opcode,
			(unsigned long long)s->lba, s->blocks, status, expected);
	if (good && s->opcode == IO_READ)
		good = check_blocks(m, s->lba, s->blocks, s->data);
	m->clock++;
	for (unsigned i = 0; changes(s->opcode) && i < s->blocks; i++)
		content_set(m, s, i);
	if (s->opcode == IO_FLUSH && status == ST_OK)
		m->durable = MAX(m->durable, s->submitted);
	slot_release(m, s);
	m->completed++;
	return good;
}

void model_forget_in_flight(struct model *m)
{
	for (unsigned n = 0; n < SLOT_COUNT; n++) {
		struct slot *s = &m->slots[n];

		if (!s->busy)
			continue;
		for (unsigned i = 0; changes(s->opcode) && i < s->blocks; i++) {
			m->maybe[s->lba + i] = new_content(m, s, i);
			bitmap_set(m->unsure, s->lba + i);
		}
		slot_release(m, s);
	}
}

void model_lose_cache(struct model *m)
{
	ASSERT(m->o.cached);
	model_forget_in_flight(m);
	for (uint64_t lba = 0; lba < m->o.block_count; lba++)
		bitmap_set(m->lost, lba);
}

void model_cut_begin(struct model *m)
{
	ASSERT(m->cut == NULL);
	m->cut = image_new(m->o.block_count, m->o.block_bytes);
}

struct image *model_cut_end(struct model *m)
{
	struct image *cut = m->cut;

	m->cut = NULL;
	for (uint64_t lba = 0; lba < m->o.block_count; lba++)
		image_may(cut, lba, m->content[lba], m->submitted[lba], UINT64_MAX);
	for (unsigned n = 0; n < SLOT_COUNT; n++) {
		const struct slot *s = &m->slots[n];

		for (unsigned i = 0; s->busy && changes(s->opcode) && i < s->blocks; i++)
			image_may(cut, s->lba + i, new_content(m, s, i), s->submitted, UINT64_MAX);
	}
	return cut;
}

/* --- Load --------------------------------------------------------------------------------- */

static unsigned in_flight(const struct model *m)
{
	unsigned count = 0;

	for (unsigned n = 0; n < SLOT_COUNT; n++)
		count += m->slots[n].busy;
	return count;
}

static void submit_free(struct model *m, unsigned queue)
{
	struct host_sq *sq = &m->host->queues[queue].sq;
	const uint16_t before = sq->tail;

	for (unsigned i = 0; i < MODEL_DEPTH; i++) {
		struct slot *s = &m->slots[(queue - 1) * MODEL_DEPTH + i];

		if (s->busy || host_sq_full(sq) || !slot_prepare(m, s))
			continue;
		*host_sq_slot(sq) = build(m, s);
		host_sq_push(sq);
	}
	if (sq->tail != before)
		host_sq_ring(sq);
}

/* Takes all completions of a queue. Returns their number, or -1 when one was wrong. */
static int reap(struct model *m, unsigned queue)
{
	struct host_queue *q = &m->host->queues[queue];
	const struct nvme_cqe *cqe;
	int count = 0;

	while ((cqe = host_cq_peek(&q->cq))) {
		const struct nvme_cqe copy = *cqe;
		const unsigned slot = (unsigned)copy.cid - CID_BASE;

		if (slot >= SLOT_COUNT || !m->slots[slot].busy || copy.sq_id != queue) {
			fprintf(stderr, "completion of nobody: cid %#x, queue %u\n", copy.cid,
				copy.sq_id);
			return -1;
		}
		q->sq.head = copy.sq_head;
		host_cq_pop(&q->cq);
		if (!slot_done(m, &m->slots[slot], nvme_cqe_status(&copy)))
			return -1;
		count++;
	}
	if (count)
		host_cq_ring(&q->cq);
	return count;
}

/* One round over the queues; naps when nothing came. */
static int turn(struct model *m, bool submit)
{
	int sum = 0;

	for (unsigned queue = 1; queue <= m->o.queues; queue++) {
		int n;

		if (submit)
			submit_free(m, queue);
		n = reap(m, queue);
		if (n < 0 || m->host->queues[queue].sq.doorbell.error)
			return -1;
		sum += n;
	}
	if (sum == 0)
		client_sleep_us(50);
	return sum;
}

bool model_run(struct model *m, uint64_t count)
{
	const uint64_t goal = m->completed + count;
	uint64_t alive = client_now_ns();

	while (m->completed < goal) {
		const int n = turn(m, true);
		const uint64_t now = client_now_ns();

		if (n < 0)
			return false;
		if (n > 0)
			alive = now;
		if (now - alive > HOST_COMMAND_TIMEOUT_MS * NS_PER_MS) {
			fprintf(stderr, "no completion for %u ms\n", HOST_COMMAND_TIMEOUT_MS);
			return false;
		}
	}
	return true;
}

bool model_drain(struct model *m)
{
	const uint64_t end = client_now_ns() + HOST_COMMAND_TIMEOUT_MS * NS_PER_MS;

	while (in_flight(m) > 0) {
		if (turn(m, false) < 0)
			return false;
		if (client_now_ns() > end) {
			fprintf(stderr, "%u commands never completed\n", in_flight(m));
			return false;
		}
	}
	return true;
}

static bool run_one(struct model *m, struct nvme_sqe sqe)
{
	const int status = host_run(m->host, 1, sqe, NULL);

	if (status)
		fprintf(stderr, "opcode %#x: status %#x\n", sqe.opcode, (unsigned)status);
	return status == 0;
}

bool model_flush(struct model *m)
{
	return run_one(m, (struct nvme_sqe){.opcode = IO_FLUSH, .nsid = 1});
}

bool model_verify(struct model *m)
{
	struct slot *s = &m->slots[0];

	if (!model_drain(m))
		return false;
	for (uint64_t lba = 0; lba < m->o.block_count; lba += m->o.blocks_max) {
		const unsigned blocks =
			(unsigned)MIN((uint64_t)m->o.blocks_max, m->o.block_count - lba);
		struct nvme_sqe sqe = {
			.opcode = IO_READ,
			.nsid = 1,
			.dw10 = (uint32_t)lba,
			.dw11 = (uint32_t)(lba >> 32),
			.dw12 = blocks - 1,
		};

		set_data_pointer(m, s, &sqe, blocks * m->o.block_bytes);
		if (!run_one(m, sqe) || !check_blocks(m, lba, blocks, s->data))
			return false;
	}
	return true;
}

/* --- Life --------------------------------------------------------------------------------- */

struct model *model_new(const struct model_options *options, uint64_t seed)
{
	struct model *m = calloc(1, sizeof(*m));
	const size_t words = BITMAP_WORDS(options->block_count);

	ASSERT(m != NULL);
	m->o = *options;
	if (m->o.blocks_max == 0)
		m->o.blocks_max = MODEL_BLOCKS_MAX;
	ASSERT_U64(m->o.blocks_max * m->o.block_bytes, <=, MODEL_COMMAND_BYTES_MAX);
	m->next_value = 1;
	random_init(&m->random, seed);
	m->content = calloc(options->block_count, sizeof(*m->content));
	m->maybe = calloc(options->block_count, sizeof(*m->maybe));
	m->unsure = calloc(words, sizeof(uint64_t));
	m->busy = calloc(words, sizeof(uint64_t));
	m->lost = calloc(words, sizeof(uint64_t));
	m->submitted = calloc(options->block_count, sizeof(*m->submitted));
	ASSERT(m->content && m->maybe && m->unsure && m->busy && m->lost && m->submitted);
	m->past = past_new(options->block_count);
	return m;
}

void model_free(struct model *m)
{
	if (!m)
		return;
	free(m->content);
	free(m->maybe);
	free(m->unsure);
	free(m->busy);
	free(m->lost);
	free(m->submitted);
	past_free(m->past);
	image_free(m->cut);
	free(m);
}

void model_attach(struct model *m, struct host *host)
{
	m->host = host;
	ASSERT_U64(in_flight(m), ==, 0);
	for (unsigned n = 0; n < SLOT_COUNT; n++) {
		struct slot *s = &m->slots[n];

		s->queue = n / MODEL_DEPTH + 1;
		s->data = (uint8_t *)ram_alloc(&host->ram, BUFFER_BYTES) +
			  8 * random_below(&m->random, 512);
		if (random_chance(&m->random, 1, 2))
			s->data = (uint8_t *)((uintptr_t)s->data & ~(uintptr_t)511);
		/* Lists of up to 65 entries at any offset need two pages. */
		s->mark = ram_mark(&host->ram);
		ram_alloc(&host->ram, 2 * RAM_PAGE);
	}
}

uint64_t model_completed(const struct model *m)
{
	return m->completed;
}
