/* SPDX-License-Identifier: Apache-2.0 */
/* The host of host.h. Failures are cmocka's. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "host.h"

#define REG_CC 0x14
#define REG_CSTS 0x1C
#define REG_AQA 0x24
#define REG_ASQ 0x28
#define REG_ACQ 0x30
#define CC_ENABLED 0x00460001
#define TURNS_MAX 1000000

static void fire(void *transport, unsigned vector)
{
	struct host *h = transport;

	assert_true(vector <= h->options.queue_pairs);
	h->fired[vector]++;
}

static void line_set(void *transport, bool level)
{
	((struct host *)transport)->line = level;
}

static bool is_pending(void *transport, unsigned vector)
{
	return ((struct host *)transport)->pending >> vector & 1;
}

static const struct nvme_transport_ops transport_ops = {
	.msix_fire = fire, .intx_set = line_set, .msix_pending = is_pending};

static void memory_start(struct host *h)
{
	h->fd = memfd_create("guest", MFD_CLOEXEC);
	assert_true(h->fd >= 0);
	assert_int_equal(ftruncate(h->fd, HOST_RAM_SIZE), 0);
	h->ram = mmap(NULL, HOST_RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, h->fd, 0);
	assert_true(h->ram != MAP_FAILED);
	assert_int_equal(guest_memory_new(&h->memory), 0);
	assert_int_equal(guest_memory_map(h->memory, (struct guest_addr){0}, HOST_RAM_SIZE,
					  GUEST_READ | GUEST_WRITE, h->fd, 0),
			 0);
}

static void controller_start(struct host *h)
{
	struct nvme_params params = {
		.loop = h->loop,
		.memory = h->memory,
		.transport = &transport_ops,
		.transport_data = h,
		.queue_pairs = h->options.queue_pairs,
		.queue_entries = 64,
		.namespaces = h->options.namespaces,
		.commands_max = 64,
		.doorbells = h->options.mapped ? NVME_DOORBELLS_MAPPED : NVME_DOORBELLS_SHADOW,
		.doorbell_page = h->doorbells,
		.intx = h->options.intx,
		.serial = "SN-0123",
		.model = "Quoin test disk",
	};

	for (unsigned i = 0; i < sizeof(params.uuid); i++)
		params.uuid[i] = (uint8_t)(0x10 + i);
	assert_int_equal(nvme_controller_new(&params, &h->c), 0);
}

void host_start(struct host *h, const struct host_options *options)
{
	const struct loop_params loop_params = {.name = "test", .cpu = -1};

	memset(h, 0, sizeof(*h));
	if (options)
		h->options = *options;
	if (!h->options.queue_pairs)
		h->options.queue_pairs = HOST_QUEUES - 1;
	if (!h->options.namespaces)
		h->options.namespaces = 4;
	assert_int_equal(loop_new(&loop_params, &h->loop), 0);
	h->doorbells = aligned_alloc(4096, 4096);
	assert_non_null(h->doorbells);
	memset(h->doorbells, 0, 4096);
	memory_start(h);
	controller_start(h);
	host_config_write(h, 0x04, 2, 0x0006); /* memory space, bus master */
}

void host_stop(struct host *h)
{
	host_reset(h, NVME_RESET_DISCONNECT);
	for (unsigned nsid = 1; nsid <= HOST_NAMESPACES; nsid++)
		if (h->disks[nsid].channel)
			host_disk_remove(h, nsid);
	nvme_controller_free(h->c);
	guest_memory_free(h->memory);
	munmap(h->ram, HOST_RAM_SIZE);
	close(h->fd);
	free(h->doorbells);
	loop_free(h->loop);
}

static void waited(struct nvme_wait *wait)
{
	container_of(wait, struct host, wait)->waits_done++;
}

/* Turns the loop until the wait given out before is over. */
static void wait_end(struct host *h, unsigned done_before)
{
	for (unsigned i = 0; i < TURNS_MAX && h->waits_done == done_before; i++)
		loop_turn(h->loop, NS_PER_MS);
	assert_int_equal(h->waits_done, done_before + 1);
}

void host_reset(struct host *h, enum nvme_reset kind)
{
	const unsigned before = h->waits_done;

	h->wait.done = waited;
	nvme_controller_reset(h->c, kind, &h->wait);
	wait_end(h, before);
}

void host_nguid(unsigned nsid, uint8_t nguid[16])
{
	for (unsigned i = 0; i < 16; i++)
		nguid[i] = (uint8_t)(0xA0 + i + 16 * nsid);
}

static void remember(void *data, struct nvme_format_note *note)
{
	struct host *h = data;
	struct host_disk *disk = &h->disks[note->nsid];

	disk->formatted_count++;
	disk->formatted_bytes = note->block_bytes;
	note->result = h->note_result;
	if (h->hold_notes)
		disk->note = note;
	else
		note->done(note);
}

void host_disk_add(struct host *h, unsigned nsid, const char *spec)
{
	struct host_disk *disk = &h->disks[nsid];
	struct nvme_namespace_params params = {
		.nsid = nsid,
		.remember_format = h->options.remember_formats ? remember : NULL,
		.remember_data = h,
		.uuid = {(uint8_t)nsid, 0x55, 0x55, 0x55, 0x55, 0x55, 0x45},
	};
	struct err err = {0};

	assert_int_equal(block_open(spec, &disk->device, &err), 0);
	assert_int_equal(block_channel_open(disk->device, h->loop, &disk->channel), 0);
	params.channel = disk->channel;
	host_nguid(nsid, params.nguid);
	assert_int_equal(nvme_namespace_attach(h->c, &params), 0);
}

void host_file_add(struct host *h, unsigned nsid, uint64_t size_bytes, const char *options)
{
	const char *folder = getenv("TMPDIR");
	char path[200];
	char spec[260];
	int fd;

	snprintf(path, sizeof(path), "%s/quoin-nvme-XXXXXX", folder ? folder : "/var/tmp");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size_bytes), 0);
	snprintf(spec, sizeof(spec), "file:%s%s", path, options);
	host_disk_add(h, nsid, spec);
	close(fd);
	unlink(path);
}

void host_disk_remove(struct host *h, unsigned nsid)
{
	const unsigned before = h->waits_done;

	h->wait.done = waited;
	assert_int_equal(nvme_namespace_detach(h->c, nsid, &h->wait), 0);
	wait_end(h, before);
	block_channel_close(h->disks[nsid].channel);
	block_close(h->disks[nsid].device);
	h->disks[nsid].channel = NULL;
}

/* --- Registers ------------------------------------------------------------------------------ */

uint32_t host_read32(struct host *h, unsigned offset)
{
	uint8_t bytes[4];

	nvme_bar_read(h->c, offset, bytes, sizeof(bytes));
	return le32_get(bytes);
}

uint64_t host_read64(struct host *h, unsigned offset)
{
	uint8_t bytes[8];

	nvme_bar_read(h->c, offset, bytes, sizeof(bytes));
	return le64_get(bytes);
}

void host_write32(struct host *h, unsigned offset, uint32_t value)
{
	uint8_t bytes[4];

	le32_put(bytes, value);
	nvme_bar_write(h->c, offset, bytes, sizeof(bytes));
}

void host_write64(struct host *h, unsigned offset, uint64_t value)
{
	host_write32(h, offset, (uint32_t)value);
	host_write32(h, offset + 4, (uint32_t)(value >> 32));
}

uint32_t host_config_read(struct host *h, unsigned offset, unsigned length)
{
	uint8_t bytes[4] = {0};

	nvme_config_read(h->c, offset, bytes, length);
	return le32_get(bytes);
}

void host_config_write(struct host *h, unsigned offset, unsigned length, uint32_t value)
{
	uint8_t bytes[4];

	le32_put(bytes, value);
	nvme_config_write(h->c, offset, bytes, length);
}

void host_enable_sized(struct host *h, uint16_t sq_size, uint16_t cq_size)
{
	memset(h->ram, 0, HOST_SCRATCH);
	memset(h->doorbells, 0, 4096);
	h->shadow = false;
	h->queues[0] = (struct host_queue){HOST_ASQ, HOST_ACQ, sq_size, cq_size, 0, 0, 1};
	host_write32(h, REG_AQA, (uint32_t)(cq_size - 1) << 16 | (uint32_t)(sq_size - 1));
	host_write32(h, REG_ASQ, HOST_ASQ);
	host_write32(h, REG_ASQ + 4, 0);
	host_write32(h, REG_ACQ, HOST_ACQ);
	host_write32(h, REG_ACQ + 4, 0);
	host_write32(h, REG_CC, CC_ENABLED);
	assert_int_equal(host_read32(h, REG_CSTS), 1);
}

void host_enable(struct host *h)
{
	host_enable_sized(h, 32, 32);
}

void host_disable(struct host *h)
{
	host_write32(h, REG_CC, CC_ENABLED & ~1U);
	for (unsigned i = 0; i < TURNS_MAX && (host_read32(h, REG_CSTS) & 1); i++)
		loop_turn(h->loop, NS_PER_MS);
	assert_int_equal(host_read32(h, REG_CSTS) & 1, 0);
}

/* --- Commands ------------------------------------------------------------------------------- */

/* The rule of Linux: ring only when the new value passes EventIdx. */
static bool shadow_ring(struct host *h, unsigned index, uint16_t value)
{
	uint32_t *shadow = (uint32_t *)(void *)(h->ram + HOST_SHADOW);
	const uint32_t *event = (uint32_t *)(void *)(h->ram + HOST_EVENT);
	const uint16_t old = (uint16_t)shadow[index];
	uint16_t wanted;

	__atomic_store_n(&shadow[index], value, __ATOMIC_SEQ_CST);
	wanted = (uint16_t)__atomic_load_n(&event[index], __ATOMIC_SEQ_CST);
	return (uint16_t)(value - wanted - 1) < (uint16_t)(value - old);
}

static void ring(struct host *h, unsigned index, uint16_t value)
{
	if (h->options.mapped) {
		__atomic_store_n(&h->doorbells[index], value, __ATOMIC_RELEASE);
		return;
	}
	if (h->shadow && index >= 2 && !shadow_ring(h, index, value))
		return;
	h->rung++;
	host_write32(h, NVME_BAR_DOORBELLS + index * 4, value);
}

void host_shadow_start(struct host *h)
{
	memset(h->ram + HOST_SHADOW, 0, 8192);
	assert_int_equal(
		host_admin(h,
			   &(struct sqe){.opcode = 0x7C, .prp1 = HOST_SHADOW, .prp2 = HOST_EVENT}),
		0);
	h->shadow = true;
}

struct sqe host_io(uint8_t opcode, uint32_t nsid, uint64_t lba, uint32_t blocks, uint64_t prp1)
{
	return (struct sqe){.opcode = opcode,
			    .nsid = nsid,
			    .prp1 = prp1,
			    .dw10 = (uint32_t)lba,
			    .dw11 = (uint32_t)(lba >> 32),
			    .dw12 = blocks - 1};
}

uint16_t host_submit(struct host *h, unsigned queue, const struct sqe *sqe)
{
	struct host_queue *q = &h->queues[queue];
	uint8_t *entry = h->ram + q->sq_base + q->tail * 64;
	const uint16_t cid = h->next_cid++;

	memset(entry, 0, 64);
	entry[0] = sqe->opcode;
	entry[1] = sqe->flags;
	le16_put(entry + 2, cid);
	le32_put(entry + 4, sqe->nsid);
	le64_put(entry + 24, sqe->prp1);
	le64_put(entry + 32, sqe->prp2);
	le32_put(entry + 40, sqe->dw10);
	le32_put(entry + 44, sqe->dw11);
	le32_put(entry + 48, sqe->dw12);
	le32_put(entry + 52, sqe->dw13);
	le32_put(entry + 56, sqe->dw14);
	le32_put(entry + 60, sqe->dw15);
	q->tail = (uint16_t)((q->tail + 1) % q->sq_size);
	ring(h, queue * 2, q->tail);
	return cid;
}

static bool take(struct host *h, unsigned queue, struct cqe *ret)
{
	struct host_queue *q = &h->queues[queue];
	const uint8_t *entry = h->ram + q->cq_base + q->head * 16;
	const uint16_t status = le16_get(entry + 14);

	if ((status & 1) != q->phase)
		return false;
	*ret = (struct cqe){le32_get(entry), le16_get(entry + 8), le16_get(entry + 10),
			    le16_get(entry + 12), (uint16_t)(status >> 1)};
	q->head = (uint16_t)(q->head + 1);
	if (q->head == q->cq_size) {
		q->head = 0;
		q->phase ^= 1;
	}
	ring(h, queue * 2 + 1, q->head);
	return true;
}

bool host_poll(struct host *h, unsigned queue, struct cqe *ret)
{
	for (unsigned i = 0; i < 5; i++) {
		if (take(h, queue, ret))
			return true;
		loop_turn(h->loop, 100 * NS_PER_US);
	}
	return take(h, queue, ret);
}

struct cqe host_execute(struct host *h, unsigned queue, const struct sqe *sqe)
{
	const uint16_t cid = host_submit(h, queue, sqe);
	struct cqe cqe = {0};
	bool taken = false;

	for (unsigned i = 0; i < TURNS_MAX && !taken; i++) {
		taken = take(h, queue, &cqe);
		if (!taken)
			loop_turn(h->loop, NS_PER_MS);
	}
	assert_true(taken);
	assert_int_equal(cqe.cid, cid);
	assert_int_equal(cqe.sq_id, queue);
	return cqe;
}

uint16_t host_admin(struct host *h, const struct sqe *sqe)
{
	return host_execute(h, 0, sqe).status;
}

void host_create_queues(struct host *h, unsigned q, uint16_t entries)
{
	const uint32_t dw10 = (uint32_t)(entries - 1) << 16 | q;

	assert_int_equal(host_admin(h, &(struct sqe){.opcode = 0x05,
						     .prp1 = HOST_IOCQ(q),
						     .dw10 = dw10,
						     .dw11 = q << 16 | 3}),
			 0);
	assert_int_equal(host_admin(h, &(struct sqe){.opcode = 0x01,
						     .prp1 = HOST_IOSQ(q),
						     .dw10 = dw10,
						     .dw11 = q << 16 | 1}),
			 0);
	h->queues[q] = (struct host_queue){HOST_IOSQ(q), HOST_IOCQ(q), entries, entries, 0, 0, 1};
	memset(h->ram + HOST_IOCQ(q), 0, 0x1000);
}

uint16_t host_identify(struct host *h, uint32_t cns, uint32_t nsid)
{
	memset(host_buffer(h), 0xEE, 4096);
	return host_admin(
		h, &(struct sqe){.opcode = 0x06, .nsid = nsid, .prp1 = HOST_BUFFER, .dw10 = cns});
}

uint16_t host_log(struct host *h, uint8_t lid, uint32_t length, bool retain)
{
	memset(host_buffer(h), 0xEE, length);
	return host_admin(
		h, &(struct sqe){.opcode = 0x02,
				 .nsid = 0xFFFFFFFF,
				 .prp1 = HOST_BUFFER,
				 .prp2 = length > 4096 ? HOST_BUFFER + 4096 : 0,
				 .dw10 = (length / 4 - 1) << 16 | (retain ? 0x8000U : 0) | lid});
}

struct cqe host_get_feature(struct host *h, uint32_t dw10, uint32_t dw11)
{
	return host_execute(
		h, 0,
		&(struct sqe){.opcode = 0x0A, .prp1 = HOST_BUFFER, .dw10 = dw10, .dw11 = dw11});
}

uint16_t host_set_feature(struct host *h, uint32_t fid, uint32_t dw11)
{
	return host_admin(
		h, &(struct sqe){.opcode = 0x09, .prp1 = HOST_BUFFER, .dw10 = fid, .dw11 = dw11});
}
