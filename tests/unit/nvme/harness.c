/* SPDX-License-Identifier: Apache-2.0 */
/* The guest in a test: see harness.h. Whatever does not work here fails the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <quoin/base_endian.h>
#include <quoin/base_math.h>
#include <quoin/base_text.h>

#include "harness.h"

#define TURNS_MAX 200000U
#define SETTLE_NS (5 * NS_PER_MS)
#define PCI_COMMAND 4
#define PCI_COMMAND_ON 0x0006 /* memory space, bus master */
#define PCI_CAP_POINTER 0x34
#define PCI_CAP_MSIX 0x11

/* --- The transport ------------------------------------------------------------------------- */

static void msix_fire(void *transport, unsigned vector)
{
	struct harness *h = transport;

	assert_in_range(vector, 0, HARNESS_VECTORS - 1);
	h->fired[vector]++;
}

static void intx_set(void *transport, bool level)
{
	struct harness *h = transport;

	assert_int_not_equal(h->intx_level, level);
	h->intx_level = level;
	h->intx_changes++;
}

static const struct nvme_transport_ops transport = {.msix_fire = msix_fire, .intx_set = intx_set};

/* --- Time --------------------------------------------------------------------------------------
 */

void harness_turn(struct harness *h)
{
	if (h->sim)
		(void)!loop_sim_run(h->sim, NULL, UINT64_MAX, 1);
	else
		loop_turn(h->loop, 0);
}

void harness_settle(struct harness *h)
{
	if (h->sim) {
		(void)!loop_sim_run(h->sim, NULL, loop_sim_now_ns(h->sim) + SETTLE_NS, TURNS_MAX);
		return;
	}
	for (unsigned i = 0; i < 200; i++)
		loop_turn(h->loop, 0);
}

/* --- Memory ------------------------------------------------------------------------------------
 */

uint64_t harness_alloc(struct harness *h, uint64_t size_bytes)
{
	const uint64_t at = h->next_free;

	h->next_free += align_up(size_bytes, HARNESS_PAGE);
	assert_true(h->next_free <= HARNESS_RAM_BYTES);
	memset(h->ram + at, 0, align_up(size_bytes, HARNESS_PAGE));
	return HARNESS_RAM_IOVA + at;
}

void *harness_ptr(struct harness *h, uint64_t iova)
{
	assert_true(range_within(iova - HARNESS_RAM_IOVA, 1, HARNESS_RAM_BYTES));
	return h->ram + (iova - HARNESS_RAM_IOVA);
}

/* In two regions with a border inside, as guests have it. */
void harness_map_ram(struct harness *h)
{
	const uint64_t half = HARNESS_RAM_BYTES / 2;
	const unsigned prot = GUEST_READ | GUEST_WRITE;
	const struct guest_addr low = {HARNESS_RAM_IOVA};
	const struct guest_addr high = {HARNESS_RAM_IOVA + half};

	assert_int_equal(guest_memory_map(h->memory, high, half, prot, h->fd, half), 0);
	assert_int_equal(guest_memory_map(h->memory, low, half, prot, h->fd, 0), 0);
	nvme_controller_memory_changed(h->controller);
}

static void unmapped(struct guest_unmap *unmap)
{
	unmap->epoch = 0;
}

void harness_unmap_ram(struct harness *h)
{
	struct guest_unmap unmap = {.done = unmapped};

	guest_memory_unmap_all(h->memory, &unmap);
	nvme_controller_memory_changed(h->controller);
	for (unsigned i = 0; unmap.epoch != 0 && i < TURNS_MAX; i++)
		harness_turn(h);
	assert_int_equal(unmap.epoch, 0);
}

/* --- Registers ----------------------------------------------------------------------------------
 */

uint32_t harness_get32(struct harness *h, unsigned offset)
{
	uint8_t bytes[4];

	nvme_bar_read(h->controller, offset, bytes, sizeof(bytes));
	return le32_get(bytes);
}

uint64_t harness_get64(struct harness *h, unsigned offset)
{
	uint8_t bytes[8];

	nvme_bar_read(h->controller, offset, bytes, sizeof(bytes));
	return le64_get(bytes);
}

void harness_set32(struct harness *h, unsigned offset, uint32_t value)
{
	uint8_t bytes[4];

	le32_put(bytes, value);
	nvme_bar_write(h->controller, offset, bytes, sizeof(bytes));
}

void harness_set64(struct harness *h, unsigned offset, uint64_t value)
{
	uint8_t bytes[8];

	le64_put(bytes, value);
	nvme_bar_write(h->controller, offset, bytes, sizeof(bytes));
}

void harness_config_set16(struct harness *h, unsigned offset, uint16_t value)
{
	uint8_t bytes[2];

	le16_put(bytes, value);
	nvme_config_write(h->controller, offset, bytes, sizeof(bytes));
}

void harness_msix(struct harness *h, bool enable)
{
	uint8_t at = 0;
	uint8_t cap[2] = {0};

	nvme_config_read(h->controller, PCI_CAP_POINTER, &at, 1);
	for (unsigned i = 0; i < 48 && at != 0; i++, at = cap[1]) {
		nvme_config_read(h->controller, at, cap, sizeof(cap));
		if (cap[0] != PCI_CAP_MSIX)
			continue;
		harness_config_set16(h, at + 2U, enable ? 0x8000 : 0);
		return;
	}
	fail_msg("no MSI-X capability");
}

/* --- Life ----------------------------------------------------------------------------------------
 */

static void world_open(struct harness *h)
{
	if (h->params.real) {
		const struct loop_params loop = {.name = "test", .cpu = -1};

		assert_int_equal(loop_new(&loop, &h->loop), 0);
	} else {
		h->sim = loop_sim_new(h->params.seed);
		h->loop = loop_sim_add(h->sim);
	}
	h->fd = memfd_create("guest", MFD_CLOEXEC);
	assert_true(h->fd >= 0);
	assert_int_equal(ftruncate(h->fd, (off_t)HARNESS_RAM_BYTES), 0);
	h->ram = mmap(NULL, HARNESS_RAM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, h->fd, 0);
	assert_ptr_not_equal(h->ram, MAP_FAILED);
	assert_int_equal(guest_memory_new(&h->memory), 0);
}

static void device_open(struct harness *h)
{
	const struct harness_params *p = &h->params;

	if (p->spec) {
		struct err err = {0};

		if (block_open(p->spec, &h->device, &err) < 0)
			fail_msg("%s", err.text);
	} else {
		h->disk = ramdisk_new(p->disk_bytes ? p->disk_bytes : 16 * MiB,
				      p->block_bytes ? p->block_bytes : 512);
		h->device = &h->disk->device;
	}
	assert_int_equal(block_channel_open(h->device, h->loop, &h->channel), 0);
	if (h->disk)
		h->disk->loop = h->loop;
}

void harness_attach(struct harness *h)
{
	const struct nvme_namespace_params ns = {
		.nsid = 1, .channel = h->channel, .nguid = {1, 2, 3}, .uuid = {4, 5, 6}};

	assert_int_equal(nvme_namespace_attach(h->controller, &ns), 0);
	h->attached = true;
}

struct waited {
	struct nvme_wait wait;
	bool done;
};

static void wait_done(struct nvme_wait *wait)
{
	container_of(wait, struct waited, wait)->done = true;
}

static void wait_for(struct harness *h, struct waited *waited)
{
	for (unsigned i = 0; !waited->done && i < TURNS_MAX; i++)
		harness_turn(h);
	assert_true(waited->done);
}

void harness_detach(struct harness *h)
{
	struct waited waited = {.wait.done = wait_done};

	assert_int_equal(nvme_namespace_detach(h->controller, 1, &waited.wait), 0);
	wait_for(h, &waited);
	h->attached = false;
}

static void function_on(struct harness *h)
{
	harness_config_set16(h, PCI_COMMAND, PCI_COMMAND_ON);
	if (!h->params.intx_only)
		harness_msix(h, true);
}

void harness_reset(struct harness *h, enum nvme_reset kind)
{
	struct waited waited = {.wait.done = wait_done};

	nvme_controller_reset(h->controller, kind, &waited.wait);
	wait_for(h, &waited);
	h->shadow_iova = 0;
	h->event_iova = 0;
	function_on(h);
}

void harness_open(struct harness *h, const struct harness_params *params)
{
	memset(h, 0, sizeof(*h));
	h->params = *params;
	world_open(h);
	device_open(h);
	h->doorbell_page = aligned_alloc(HARNESS_PAGE, HARNESS_PAGE);
	memset(h->doorbell_page, 0, HARNESS_PAGE);

	const struct nvme_params nvme = {
		.loop = h->loop,
		.memory = h->memory,
		.transport = &transport,
		.transport_data = h,
		.queue_pairs = params->queues ? params->queues : 8,
		.queue_entries = params->queue_entries ? params->queue_entries : 1024,
		.namespaces = params->namespaces ? params->namespaces : 4,
		.commands_max = params->commands_max ? params->commands_max : 1024,
		.poll_us = params->poll_us,
		.doorbells = params->doorbells,
		.doorbell_page = h->doorbell_page,
		.intx = true,
		.serial = "QUOIN0001",
		.model = "Quoin test",
		.uuid = {7, 7, 7},
	};
	assert_int_equal(nvme_controller_new(&nvme, &h->controller), 0);
	harness_map_ram(h);
	harness_attach(h);
	function_on(h);
}

void harness_close(struct harness *h)
{
	struct guest_unmap unmap = {.done = unmapped};

	if (h->disk) {
		h->disk->mode = RAMDISK_INLINE;
		ramdisk_release_all(h->disk);
	}
	harness_reset(h, NVME_RESET_DISCONNECT);
	if (h->attached)
		harness_detach(h);
	nvme_controller_free(h->controller);
	block_channel_close(h->channel);
	block_close(h->device);
	guest_memory_unmap_all(h->memory, &unmap);
	guest_memory_free(h->memory);
	munmap(h->ram, HARNESS_RAM_BYTES);
	close(h->fd);
	free(h->doorbell_page);
	if (h->sim)
		loop_sim_free(h->sim);
	else
		loop_free(h->loop);
}

/* --- The driver
 * ------------------------------------------------------------------------------------ */

static void queue_init(struct harness *h, struct harness_queue *q, unsigned sq_size,
		       unsigned cq_size)
{
	q->id = (unsigned)(q - h->queues);
	q->sq_size = sq_size;
	q->cq_size = cq_size;
	q->sq_iova = harness_alloc(h, sq_size * 64);
	q->cq_iova = harness_alloc(h, cq_size * 16);
	q->sq_tail = 0;
	q->cq_head = 0;
	q->phase = 1;
	q->rings = 0;
}

uint32_t harness_enable(struct harness *h, unsigned sq_size, unsigned cq_size)
{
	struct harness_queue *q = &h->queues[0];

	queue_init(h, q, sq_size, cq_size);
	harness_set32(h, REG_AQA, (cq_size - 1) << 16 | (sq_size - 1));
	harness_set64(h, REG_ASQ, q->sq_iova);
	harness_set64(h, REG_ACQ, q->cq_iova);
	harness_set32(h, REG_CC, CC_OFF);
	harness_set32(h, REG_CC, CC_ON);
	return harness_get32(h, REG_CSTS);
}

void harness_disable(struct harness *h)
{
	harness_set32(h, REG_CC, CC_OFF);
	for (unsigned i = 0; (harness_get32(h, REG_CSTS) & 1) && i < TURNS_MAX; i++)
		harness_turn(h);
	assert_int_equal(harness_get32(h, REG_CSTS) & 3, 0);
	h->shadow_iova = 0;
	h->event_iova = 0;
}

struct harness_queue *harness_create(struct harness *h, unsigned id, unsigned sq_size,
				     unsigned cq_size)
{
	struct harness_queue *q = &h->queues[id];
	struct harness_sqe sqe;

	queue_init(h, q, sq_size, cq_size);
	sqe = harness_admin(0x05, 0, q->cq_iova, (cq_size - 1) << 16 | id, id << 16 | 3);
	assert_int_equal(harness_execute(h, &h->queues[0], &sqe, NULL), 0);
	sqe = harness_admin(0x01, 0, q->sq_iova, (sq_size - 1) << 16 | id, id << 16 | 1);
	assert_int_equal(harness_execute(h, &h->queues[0], &sqe, NULL), 0);
	return q;
}

uint16_t harness_shadow_on(struct harness *h)
{
	const uint64_t shadow = harness_alloc(h, HARNESS_PAGE);
	const uint64_t event = harness_alloc(h, HARNESS_PAGE);
	struct harness_sqe sqe = harness_admin(0x7C, 0, shadow, 0, 0);
	uint16_t status;

	sqe.dw[8] = (uint32_t)event;
	sqe.dw[9] = (uint32_t)(event >> 32);
	status = harness_execute(h, &h->queues[0], &sqe, NULL);
	if (status == 0) {
		h->shadow_iova = shadow;
		h->event_iova = event;
	}
	return status;
}

uint16_t harness_put(struct harness *h, struct harness_queue *q, const struct harness_sqe *sqe)
{
	uint8_t *entry = harness_ptr(h, q->sq_iova + (uint64_t)q->sq_tail * 64);
	const uint16_t cid = q->next_cid++;

	for (unsigned i = 1; i < 16; i++)
		le32_put(entry + (size_t)i * 4, sqe->dw[i]);
	le32_put(entry, (sqe->dw[0] & 0xFFFF) | (uint32_t)cid << 16);
	q->sq_tail = (q->sq_tail + 1) % q->sq_size;
	return cid;
}

/* Stores a doorbell value the way the guest's driver does: see doorbell.c. */
static void ring(struct harness *h, struct harness_queue *q, bool is_cq, unsigned value)
{
	const unsigned index = q->id * 2 + is_cq;

	if (h->params.doorbells == NVME_DOORBELLS_MAPPED) {
		__atomic_store_n(&h->doorbell_page[index], htole32(value), __ATOMIC_RELEASE);
		return;
	}
	if (h->shadow_iova && q->id) {
		_Atomic uint32_t *shadow = harness_ptr(h, h->shadow_iova + index * 4ULL);
		_Atomic uint32_t *event = harness_ptr(h, h->event_iova + index * 4ULL);
		const uint16_t old =
			(uint16_t)le32toh(atomic_load_explicit(shadow, memory_order_relaxed));
		uint16_t passed;

		atomic_store_explicit(shadow, htole32(value), memory_order_release);
		atomic_thread_fence(memory_order_seq_cst);
		passed = (uint16_t)le32toh(atomic_load_explicit(event, memory_order_relaxed));
		if ((uint16_t)(value - passed - 1) >= (uint16_t)(value - old))
			return;
	}
	q->rings++;
	harness_set32(h, NVME_BAR_DOORBELLS + index * 4, value);
}

void harness_ring_sq(struct harness *h, struct harness_queue *q)
{
	ring(h, q, false, q->sq_tail);
}

void harness_ring_cq(struct harness *h, struct harness_queue *q)
{
	ring(h, q, true, q->cq_head);
}

bool harness_take_quietly(struct harness *h, struct harness_queue *q, struct harness_cqe *cqe)
{
	const uint8_t *entry = harness_ptr(h, q->cq_iova + (uint64_t)q->cq_head * 16);
	uint64_t last = le64toh(
		__atomic_load_n((const uint64_t *)(const void *)(entry + 8), __ATOMIC_ACQUIRE));

	if (((last >> 48) & 1) != q->phase)
		return false;
	cqe->dw0 = le32_get(entry);
	cqe->sq_head = (uint16_t)last;
	cqe->sq_id = (uint16_t)(last >> 16);
	cqe->cid = (uint16_t)(last >> 32);
	cqe->status = (uint16_t)(last >> 49);
	if (++q->cq_head == q->cq_size) {
		q->cq_head = 0;
		q->phase ^= 1;
	}
	return true;
}

bool harness_take(struct harness *h, struct harness_queue *q, struct harness_cqe *cqe)
{
	if (!harness_take_quietly(h, q, cqe))
		return false;
	harness_ring_cq(h, q);
	return true;
}

bool harness_wait(struct harness *h, struct harness_queue *q, struct harness_cqe *cqe)
{
	for (unsigned i = 0; i < TURNS_MAX; i++) {
		if (harness_take(h, q, cqe))
			return true;
		harness_turn(h);
	}
	return false;
}

uint16_t harness_execute(struct harness *h, struct harness_queue *q, const struct harness_sqe *sqe,
			 struct harness_cqe *cqe)
{
	struct harness_cqe local;
	const uint16_t cid = harness_put(h, q, sqe);

	harness_ring_sq(h, q);
	if (!harness_wait(h, q, &local))
		return HARNESS_NEVER;
	assert_int_equal(local.cid, cid);
	assert_int_equal(local.sq_id, q->id);
	assert_int_equal(local.sq_head, q->sq_tail);
	if (cqe)
		*cqe = local;
	return local.status;
}

struct harness_sqe harness_io(uint8_t opcode, uint64_t slba, unsigned blocks, uint64_t prp1,
			      uint64_t prp2)
{
	return (struct harness_sqe){.dw = {
					    [0] = opcode,
					    [1] = 1,
					    [6] = (uint32_t)prp1,
					    [7] = (uint32_t)(prp1 >> 32),
					    [8] = (uint32_t)prp2,
					    [9] = (uint32_t)(prp2 >> 32),
					    [10] = (uint32_t)slba,
					    [11] = (uint32_t)(slba >> 32),
					    [12] = blocks - 1,
				    }};
}

struct harness_sqe harness_admin(uint8_t opcode, uint32_t nsid, uint64_t prp1, uint32_t dw10,
				 uint32_t dw11)
{
	return (struct harness_sqe){.dw = {
					    [0] = opcode,
					    [1] = nsid,
					    [6] = (uint32_t)prp1,
					    [7] = (uint32_t)(prp1 >> 32),
					    [10] = dw10,
					    [11] = dw11,
				    }};
}
