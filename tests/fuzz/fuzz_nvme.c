/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile guest at the controller's door: the input is a program of register accesses, doorbells,
 * commands and changes of memory. The world is simulated, its seed is part of the input, so every
 * input does the same each time.
 *
 * The first byte: bit 0 mapped doorbells, bit 1 INTx only, bit 2 a drive that answers late, bit 3
 * one that fails now and then (both: later still), bit 4 one that wants aligned buffers, bit 5 one
 * that copies by reference; all of it is the seed. Then operations, each a byte and its operands;
 * what is missing reads as 0.
 *
 * A controller that does not come to rest after a reset is a crash as well.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <quoin/base_assert.h>
#include <quoin/base_endian.h>
#include <quoin/loop_sim.h>
#include <quoin/nvme.h>

#define MEMORY_BYTES ((size_t)1 << 20)
#define OPERATIONS_MAX 300
#define QUEUE_PAIRS 4
#define QUEUE_ENTRIES 16
#define NAMESPACES 3
#define PAGE 4096U
#define TURNS_MAX 100000
#define PCI_COMMAND 4

/* Where things are in the guest's memory. */
#define SQ_PAGE(id) (PAGE * (1 + (id)*2))
#define CQ_PAGE(id) (PAGE * (2 + (id)*2))
#define SHADOW_PAGE (PAGE * 40)
#define EVENT_PAGE (PAGE * 41)
#define DATA_PAGE (PAGE * 64)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
	const uint8_t *data;
	size_t size;
	struct loop_sim *sim;
	struct loop *loop;
	struct guest_memory *memory;
	int fd;
	uint8_t *ram;
	struct block_device *device;
	struct block_channel *channels[NAMESPACES];
	bool attached[NAMESPACES];
	struct nvme_controller *controller;
	uint32_t *doorbell_page;
	uint16_t tails[QUEUE_PAIRS + 1];
	unsigned burst; /* commands to submit before the controller gets to look */
	bool mapped;	/* the guest's memory is there */
};

static uint32_t take(struct world *w, unsigned bytes)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < bytes && w->size > 0; i++) {
		value |= (uint32_t)*w->data++ << (i * 8);
		w->size--;
	}
	return value;
}

static void msix_fire(void *transport, unsigned vector)
{
	ASSERT_U64(vector, <=, QUEUE_PAIRS);
}

static void intx_set(void *transport, bool level)
{
}

static const struct nvme_transport_ops transport = {.msix_fire = msix_fire, .intx_set = intx_set};

static void turns(struct world *w, unsigned count)
{
	(void)!loop_sim_run(w->sim, NULL, UINT64_MAX, count);
}

static void set32(struct world *w, unsigned offset, uint32_t value)
{
	uint8_t bytes[4];

	le32_put(bytes, value);
	nvme_bar_write(w->controller, offset, bytes, sizeof(bytes));
}

/* --- Operations ------------------------------------------------------------------------------- */

static void op_register(struct world *w)
{
	static const uint16_t offsets[] = {0x00, 0x0C, 0x10, 0x14, 0x1C, 0x20, 0x24,
					   0x28, 0x2C, 0x30, 0x34, 0x38, 0xE00};
	const uint32_t choice = take(w, 1);

	set32(w, offsets[choice % ARRAY_SIZE(offsets)], take(w, 4));
}

static void op_enable(struct world *w)
{
	set32(w, 0x24, (QUEUE_ENTRIES - 1) << 16 | (QUEUE_ENTRIES - 1));
	set32(w, 0x28, SQ_PAGE(0));
	set32(w, 0x2C, 0);
	set32(w, 0x30, CQ_PAGE(0));
	set32(w, 0x34, 0);
	set32(w, 0x14, 0x00460001);
	memset(w->tails, 0, sizeof(w->tails));
}

static void entry_submit(struct world *w, unsigned id, const uint8_t *entry)
{
	uint8_t *slot = w->ram + SQ_PAGE(id) + (size_t)w->tails[id] * 64;

	memcpy(slot, entry, 64);
	w->tails[id] = (uint16_t)((w->tails[id] + 1) % QUEUE_ENTRIES);
	__atomic_store_n((uint32_t *)(void *)(w->ram + SHADOW_PAGE) + id * 2, w->tails[id],
			 __ATOMIC_RELEASE);
	set32(w, NVME_BAR_DOORBELLS + id * 8, w->tails[id]);
	if (w->burst > 0)
		w->burst--;
	else
		turns(w, 4);
}

static void command(struct world *w, unsigned id, uint8_t opcode, const uint32_t *dw)
{
	uint8_t entry[64] = {opcode};

	for (unsigned i = 1; i < 16; i++)
		le32_put(entry + (size_t)i * 4, dw[i]);
	entry[1] = (uint8_t)dw[0];
	entry[2] = (uint8_t)w->tails[id];
	entry[3] = (uint8_t)id;
	entry_submit(w, id, entry);
}

/* Commands that make sense but for what the input changes. */
static void op_io(struct world *w)
{
	static const uint8_t opcodes[] = {0, 1, 2, 5, 8, 9, 0x0C, 0x19};
	const unsigned id = take(w, 1) % (QUEUE_PAIRS + 1);
	const uint8_t opcode = opcodes[take(w, 1) % ARRAY_SIZE(opcodes)];
	uint32_t dw[16] = {0};

	dw[0] = take(w, 1) & 0xC3; /* FUSE and PSDT */
	dw[1] = take(w, 1) % (NAMESPACES + 2);
	dw[6] = DATA_PAGE + take(w, 2);
	dw[8] = DATA_PAGE + (take(w, 1) << 4);
	dw[9] = take(w, 1) << 24; /* with an SGL: the type; else an address far away */
	dw[10] = take(w, 1);
	dw[11] = take(w, 1) % 16 == 15 ? 0xFFFFFFFF : 4U * (opcode == 9);
	dw[12] = take(w, 2) | take(w, 1) << 24;
	command(w, id, opcode, dw);
}

/* Lists as the commands above point to them: PRP entries, or SGL descriptors. */
static void op_list(struct world *w)
{
	const uint32_t choice = take(w, 1);
	uint8_t *at = w->ram + DATA_PAGE + (take(w, 1) << 4);

	for (unsigned i = 0; i <= choice % 16; i++) {
		if (choice & 0x80) {
			le64_put(at + (size_t)i * 8, take(w, 1) * PAGE);
			continue;
		}
		le64_put(at + (size_t)i * 16, DATA_PAGE + take(w, 2));
		le32_put(at + (size_t)i * 16 + 8, take(w, 2) << (choice >> 4 & 4));
		le32_put(at + (size_t)i * 16 + 12, take(w, 1) << 24);
	}
}

/* Fused Compare and Write, one behind the other. */
static void op_pair(struct world *w)
{
	const uint32_t choice = take(w, 1);
	const unsigned id = 1 + choice % QUEUE_PAIRS;
	uint32_t dw[16] = {1, 1 + (choice >> 7)};

	dw[6] = DATA_PAGE;
	dw[10] = take(w, 1);
	dw[12] = choice >> 4 & 7;
	command(w, id, 5, dw);
	dw[0] = 2;
	command(w, id, 1, dw);
}

/* Dword 10 where a number at random would only be refused. */
static uint32_t admin_dw10(uint8_t opcode, uint32_t value)
{
	static const uint8_t features[] = {1, 2, 4, 5, 6, 7, 8, 9, 0x0A, 0x0B, 0x0E, 0x16};

	if (opcode == 8)
		return (value & 7) | (value >> 8 & 0x1F) << 16;
	if ((opcode == 9 || opcode == 0x0A) && (value & 0x80))
		return features[value % ARRAY_SIZE(features)] | (value & 0x700);
	return value;
}

static void op_admin(struct world *w)
{
	static const uint8_t opcodes[] = {0,	1,    2,    4,	  5,	6,    8,    9,
					  0x0A, 0x0C, 0x15, 0x7C, 0x80, 0x81, 0xC0, 0xFF};
	const uint8_t opcode = opcodes[take(w, 1) % ARRAY_SIZE(opcodes)];
	uint32_t dw[16] = {0};

	dw[1] = take(w, 1) % (NAMESPACES + 2);
	dw[6] = DATA_PAGE + take(w, 2);
	dw[8] = DATA_PAGE + (take(w, 1) << 4);
	dw[10] = admin_dw10(opcode, take(w, 4));
	dw[11] = take(w, 4);
	dw[12] = take(w, 2);
	command(w, 0, opcode, dw);
}

static void op_raw(struct world *w)
{
	const unsigned id = take(w, 1) % (QUEUE_PAIRS + 1);
	uint8_t entry[64];

	for (unsigned i = 0; i < sizeof(entry); i++)
		entry[i] = (uint8_t)take(w, 1);
	entry_submit(w, id, entry);
}

static void op_queues(struct world *w)
{
	const uint32_t choice = take(w, 1);
	const unsigned id = 1 + choice % QUEUE_PAIRS;
	const unsigned cq = 1 + (choice >> 4) % QUEUE_PAIRS;
	uint32_t dw[16] = {0};

	dw[6] = CQ_PAGE(cq);
	dw[10] = (QUEUE_ENTRIES - 1 - (choice >> 6)) << 16 | cq;
	dw[11] = cq << 16 | 3;
	command(w, 0, 5, dw);
	dw[6] = SQ_PAGE(id);
	dw[10] = (QUEUE_ENTRIES - 1) << 16 | id;
	dw[11] = cq << 16 | 1;
	command(w, 0, 1, dw);
	w->tails[id] = 0;
}

static void op_shadow(struct world *w)
{
	uint32_t dw[16] = {0};

	dw[6] = SHADOW_PAGE;
	dw[8] = EVENT_PAGE;
	command(w, 0, 0x7C, dw);
}

static void op_poke(struct world *w)
{
	const uint32_t at = take(w, 3) % (MEMORY_BYTES - 16);
	const unsigned count = take(w, 1) % 16;

	for (unsigned i = 0; i < count; i++)
		w->ram[at + i] = (uint8_t)take(w, 1);
}

static void op_doorbell(struct world *w)
{
	const uint32_t index = take(w, 1) % (QUEUE_PAIRS * 2 + 4);
	const uint32_t value = take(w, 2);

	if (value & 0x8000)
		set32(w, NVME_BAR_DOORBELLS + index * 4, value & 0x1F);
	else
		le32_put(w->ram + SHADOW_PAGE + (size_t)index * 4, value);
	turns(w, 2);
}

static void op_bar(struct world *w)
{
	const unsigned offset = take(w, 2) % NVME_BAR_SIZE;
	const unsigned length = 1 + take(w, 1) % 8;
	uint8_t bytes[8];

	if (offset + length > NVME_BAR_SIZE)
		return;
	nvme_bar_read(w->controller, offset, bytes, length);
	for (unsigned i = 0; i < length; i++)
		bytes[i] ^= (uint8_t)take(w, 1);
	nvme_bar_write(w->controller, offset, bytes, length);
}

static void op_config(struct world *w)
{
	const unsigned offset = take(w, 2) % (NVME_CONFIG_SIZE - 4);
	uint8_t bytes[4];

	nvme_config_read(w->controller, offset, bytes, sizeof(bytes));
	le32_put(bytes, take(w, 4));
	nvme_config_write(w->controller, offset, bytes, 1 + offset % 4);
}

static void function_on(struct world *w)
{
	const uint8_t on[2] = {6, 0};

	nvme_config_write(w->controller, PCI_COMMAND, on, sizeof(on));
}

/* --- Memory, namespaces, resets: what the rest of the daemon does ------------------------------
 */

struct waited {
	struct nvme_wait wait;
	struct guest_unmap unmap;
	bool done;
};

static void wait_done(struct nvme_wait *wait)
{
	container_of(wait, struct waited, wait)->done = true;
}

static void unmap_done(struct guest_unmap *unmap)
{
	container_of(unmap, struct waited, unmap)->done = true;
}

static void wait_for(struct world *w, const struct waited *waited)
{
	if (!waited->done)
		(void)!loop_sim_run(w->sim, &waited->done, UINT64_MAX, TURNS_MAX);
	ASSERT(waited->done);
}

static void memory_set(struct world *w, bool there)
{
	struct waited waited = {.unmap.done = unmap_done};
	const struct guest_addr start = {0};

	if (there == w->mapped)
		return;
	w->mapped = there;
	if (there) {
		ASSERT(guest_memory_map(w->memory, start, MEMORY_BYTES, GUEST_READ | GUEST_WRITE,
					w->fd, 0) == 0);
		nvme_controller_memory_changed(w->controller);
		return;
	}
	guest_memory_unmap_all(w->memory, &waited.unmap);
	nvme_controller_memory_changed(w->controller);
	wait_for(w, &waited);
}

static void remember_format(void *data, struct nvme_format_note *note)
{
	note->done(note);
}

static void namespace_set(struct world *w, unsigned slot, bool there)
{
	const struct nvme_namespace_params params = {
		.nsid = slot + 1,
		.channel = w->channels[slot],
		.nguid = {(uint8_t)(slot + 1)},
		.uuid = {(uint8_t)(slot + 1)},
		.read_only = slot == 2,
		.remember_format = remember_format,
	};
	struct waited waited = {.wait.done = wait_done};

	if (there == w->attached[slot])
		return;
	w->attached[slot] = there;
	if (there) {
		ASSERT(nvme_namespace_attach(w->controller, &params) == 0);
		return;
	}
	ASSERT(nvme_namespace_detach(w->controller, slot + 1, &waited.wait) == 0);
	wait_for(w, &waited);
}

static void op_namespace(struct world *w)
{
	const uint32_t choice = take(w, 1);

	namespace_set(w, choice % NAMESPACES, choice & 0x80);
	nvme_namespace_resized(w->controller, 1 + choice % NAMESPACES);
}

static void op_reset(struct world *w)
{
	struct waited waited = {.wait.done = wait_done};

	nvme_controller_reset(w->controller,
			      take(w, 1) & 1 ? NVME_RESET_DISCONNECT : NVME_RESET_FUNCTION,
			      &waited.wait);
	wait_for(w, &waited);
	function_on(w);
}

static void operation(struct world *w)
{
	switch (take(w, 1) % 20) {
	case 0:
		op_register(w);
		break;
	case 1:
		op_enable(w);
		break;
	case 2:
	case 3:
		op_io(w);
		break;
	case 4:
	case 5:
		op_admin(w);
		break;
	case 6:
		op_raw(w);
		break;
	case 7:
		op_queues(w);
		break;
	case 8:
		op_shadow(w);
		break;
	case 9:
		op_poke(w);
		break;
	case 10:
		op_doorbell(w);
		break;
	case 11:
		op_bar(w);
		break;
	case 12:
		op_config(w);
		break;
	case 13:
		memory_set(w, take(w, 1) & 1);
		break;
	case 14:
		op_namespace(w);
		break;
	case 16:
		op_list(w);
		break;
	case 17:
		op_pair(w);
		break;
	case 18:
		op_io(w);
		break;
	case 19:
		w->burst = take(w, 1) % QUEUE_ENTRIES;
		break;
	default:
		op_reset(w);
		break;
	}
}

/* --- The world ----------------------------------------------------------------------------------
 */

static void controller_open(struct world *w, unsigned mode)
{
	const struct nvme_params params = {
		.loop = w->loop,
		.memory = w->memory,
		.transport = &transport,
		.queue_pairs = QUEUE_PAIRS,
		.queue_entries = QUEUE_ENTRIES,
		.namespaces = NAMESPACES,
		.commands_max = 24,
		.poll_us = 5,
		.doorbells = mode & 1 ? NVME_DOORBELLS_MAPPED : NVME_DOORBELLS_SHADOW,
		.doorbell_page = w->doorbell_page,
		.intx = mode & 2,
		.serial = "FUZZ",
		.model = "Quoin fuzz",
		.uuid = {1},
	};

	ASSERT(nvme_controller_new(&params, &w->controller) == 0);
}

static void world_open(struct world *w, unsigned mode)
{
	static const char *const specs[] = {
		"null:16M",
		"delay:us=5,jitter_us=30:null:16M",
		"error:every=5,errno=EIO:null:16M",
		"delay:us=3000,jitter_us=30:error:every=7,errno=ENOSPC:null:16M",
	};
	struct err err = {0};

	w->sim = loop_sim_new(mode);
	w->loop = loop_sim_add(w->sim);
	w->fd = memfd_create("guest", MFD_CLOEXEC);
	ASSERT(w->fd >= 0 && ftruncate(w->fd, (off_t)MEMORY_BYTES) == 0);
	w->ram = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, w->fd, 0);
	ASSERT(w->ram != MAP_FAILED);
	w->doorbell_page = aligned_alloc(PAGE, PAGE);
	memset(w->doorbell_page, 0, PAGE);
	ASSERT(guest_memory_new(&w->memory) == 0);
	ASSERT(block_open(specs[mode >> 2 & 3], &w->device, &err) == 0);
	/* As with direct I/O: what is not aligned goes through bounce buffers. */
	if (mode & 16)
		w->device->limits.buffer_alignment_bytes = 512;
	/* A drive without content copies by reference as well as any. */
	if (mode & 32)
		w->device->limits.copy_block_bytes = 512;
	for (unsigned i = 0; i < NAMESPACES; i++)
		ASSERT(block_channel_open(w->device, w->loop, &w->channels[i]) == 0);
	controller_open(w, mode);
	memory_set(w, true);
	namespace_set(w, 0, true);
	namespace_set(w, 2, true);
	function_on(w);
}

static void world_close(struct world *w)
{
	op_reset(w);
	for (unsigned i = 0; i < NAMESPACES; i++)
		namespace_set(w, i, false);
	memory_set(w, false);
	nvme_controller_free(w->controller);
	for (unsigned i = 0; i < NAMESPACES; i++)
		block_channel_close(w->channels[i]);
	block_close(w->device);
	guest_memory_free(w->memory);
	loop_sim_free(w->sim);
	munmap(w->ram, MEMORY_BYTES);
	free(w->doorbell_page);
	close(w->fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w = {.data = data, .size = size};

	world_open(&w, take(&w, 1));
	for (unsigned i = 0; i < OPERATIONS_MAX && w.size > 0; i++)
		operation(&w);
	turns(&w, 200);
	world_close(&w);
	return 0;
}
