/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What SeaBIOS and EDK2 (OVMF) do from power-on to the boot loader's reads, in their order
 * as traces and sources show it, and the hand-over to a kernel. Items 2, 6, 10, 30, 31, 38, 40, 41,
 * 65, 82 and 94 of docs/CONFORMANCE.md are in these orders.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "host.h"

#define CAP 0x00
#define VS 0x08
#define CC 0x14
#define CSTS 0x1C
#define AQA 0x24
#define ASQ 0x28
#define ACQ 0x30
#define ENABLED 0x00460001
#define NN 16

#define DATA 0x100000

/* NN = 16 with holes: disks 1, 7 and 16. */
static int setup(void **state)
{
	static struct host host;

	host_start(&host, &(struct host_options){.namespaces = NN});
	host_file_add(&host, 1, 16 * MiB, ",block=512");
	host_disk_add(&host, 7, "null:16M,block=4096");
	host_disk_add(&host, 16, "null:32M");
	*state = &host;
	return 0;
}

static int teardown(void **state)
{
	host_stop(*state);
	return 0;
}

static void admin_queue(struct host *h, uint16_t sq_size, uint16_t cq_size)
{
	memset(h->ram, 0, HOST_SCRATCH);
	h->queues[0] = (struct host_queue){HOST_ASQ, HOST_ACQ, sq_size, cq_size, 0, 0, 1};
	host_write32(h, AQA, (cq_size - 1U) << 16 | (sq_size - 1U));
	host_write64(h, ASQ, HOST_ASQ);
	host_write64(h, ACQ, HOST_ACQ);
}

/* Polled queue `q` whose completion queue is number `q` too; `last` is QSIZE. */
static void create_cq(struct host *h, unsigned q, uint32_t last)
{
	h->queues[q] =
		(struct host_queue){HOST_IOSQ(q), HOST_IOCQ(q), 0, (uint16_t)(last + 1), 0, 0, 1};
	assert_int_equal(host_admin(h, &(struct sqe){.opcode = 5,
						     .prp1 = HOST_IOCQ(q),
						     .dw10 = last << 16 | q,
						     .dw11 = 1}),
			 0);
}

static void create_sq(struct host *h, unsigned q, uint32_t last)
{
	h->queues[q].sq_size = (uint16_t)(last + 1);
	assert_int_equal(host_admin(h, &(struct sqe){.opcode = 1,
						     .prp1 = HOST_IOSQ(q),
						     .dw10 = last << 16 | q,
						     .dw11 = q << 16 | 1}),
			 0);
}

static unsigned disks_found(struct host *h)
{
	unsigned found = 0;

	for (uint32_t nsid = 1; nsid <= NN; nsid++) {
		assert_int_equal(host_identify(h, 0, nsid), 0);
		if (le64_get(host_buffer(h)) == 0)
			continue;
		found++;
		assert_int_equal(le64_get(host_buffer(h) + 8), le64_get(host_buffer(h)));
		assert_true((host_buffer(h)[26] & 0xF) <= host_buffer(h)[25]);
		assert_true(host_buffer(h)[130] == 9 || host_buffer(h)[130] == 12);
		assert_int_equal(le16_get(host_buffer(h) + 128), 0); /* OVMF rejects metadata */
	}
	return found;
}

static void seabios_start(struct host *h)
{
	const uint64_t cap = (uint64_t)host_read32(h, CAP + 4) << 32 | host_read32(h, CAP);
	uint32_t last = (uint32_t)MIN(cap & 0xFFFF, (uint64_t)255);

	assert_int_equal(host_read32(h, VS), 0x00010400);
	assert_true(cap >> 37 & 1);
	assert_true((cap >> 24 & 0xFF) >= 1);
	assert_true(is_power_of_two((cap & 0xFFFF) + 1));
	host_write32(h, CC, 0);
	assert_int_equal(host_read32(h, CSTS), 0);
	admin_queue(h, 64, 256);
	host_write32(h, CC, ENABLED);
	assert_int_equal(host_read32(h, CSTS), 1);
	assert_int_equal(host_identify(h, 1, 0), 0);
	assert_int_equal(le32_get(host_buffer(h) + 516), NN);
	create_cq(h, 1, last);
	create_sq(h, 1, last);
	assert_int_equal(disks_found(h), 3);
}

/* A sector to a buffer that is only dword aligned, limited retry set. */
static void seabios_read(struct host *h, uint64_t lba, uint8_t expected)
{
	struct sqe sqe = host_io(2, 1, lba, 1, DATA + 0x204);

	sqe.dw12 |= 0x80000000;
	memset(h->ram + DATA, 0xEE, 4096);
	assert_int_equal(host_execute(h, 1, &sqe).status, 0);
	assert_int_equal(h->ram[DATA + 0x203], 0xEE);
	for (unsigned i = 0; i < 512; i++)
		assert_int_equal(h->ram[DATA + 0x204 + i], expected);
	assert_int_equal(h->ram[DATA + 0x204 + 512], 0xEE);
}

static void unmap_done(struct guest_unmap *unmap)
{
	unmap->done = NULL;
}

/* SeaBIOS flips the PAM registers after its queues exist: all RAM goes and comes in pieces. */
static void memory_flip(struct host *h)
{
	static const uint64_t cuts[] = {0, 0xA0000, 0xC0000, 0xF0000, 0x100000, HOST_RAM_SIZE};
	struct guest_unmap unmap = {.done = unmap_done};

	assert_int_equal(
		guest_memory_unmap(h->memory, (struct guest_addr){0}, HOST_RAM_SIZE, &unmap), 0);
	assert_null(unmap.done);
	nvme_controller_memory_changed(h->c);
	for (unsigned i = 0; i + 1 < ARRAY_SIZE(cuts); i++) {
		assert_int_equal(guest_memory_map(h->memory, (struct guest_addr){cuts[i]},
						  cuts[i + 1] - cuts[i], GUEST_READ | GUEST_WRITE,
						  h->fd, cuts[i]),
				 0);
		nvme_controller_memory_changed(h->c);
	}
	unmap.done = unmap_done;
	guest_memory_unmap_all(h->memory, &unmap);
	nvme_controller_memory_changed(h->c);
	assert_int_equal(guest_memory_map(h->memory, (struct guest_addr){0}, HOST_RAM_SIZE,
					  GUEST_READ | GUEST_WRITE, h->fd, 0),
			 0);
	nvme_controller_memory_changed(h->c);
}

static void write_sector(struct host *h, unsigned q, uint64_t lba, uint8_t byte, bool fua)
{
	struct sqe sqe = host_io(1, 1, lba, 1, DATA);

	sqe.dw12 |= fua ? 0x40000000U : 0;
	memset(h->ram + DATA, byte, 512);
	assert_int_equal(host_execute(h, q, &sqe).status, 0);
}

static void seabios(void **state)
{
	struct host *h = *state;

	seabios_start(h);
	write_sector(h, 1, 5, 0x42, false);
	for (unsigned i = 0; i < 3; i++) {
		memory_flip(h);
		seabios_read(h, 5, 0x42);
		seabios_read(h, 6, 0);
	}
	for (unsigned i = 0; i < 300; i++) /* several laps */
		seabios_read(h, 5, 0x42);
	for (unsigned i = 1; i <= h->options.queue_pairs; i++)
		assert_int_equal(h->fired[i], 0); /* item 31: polled */
	/* Machine reset: DEVICE_RESET with all enabled, then the same again. */
	host_reset(h, NVME_RESET_FUNCTION);
	host_config_write(h, 0x04, 2, 6);
	seabios_start(h);
	seabios_read(h, 5, 0x42);
	/* The kernel finds it enabled and starts over. */
	assert_int_equal(host_read32(h, CSTS), 1);
	host_disable(h);
	host_enable(h);
	assert_int_equal(host_identify(h, 1, 0), 0);
}

static void ovmf_start(struct host *h)
{
	const uint64_t cap = (uint64_t)host_read32(h, CAP + 4) << 32 | host_read32(h, CAP);

	assert_true(cap >> 37 & 1);
	assert_int_equal(cap >> 48 & 0xF, 0);
	host_write32(h, CC, host_read32(h, CC) & ~1U);
	assert_int_equal(host_read32(h, CSTS) & 1, 0);
	admin_queue(h, 2, 2);
	host_write32(h, CC, ENABLED);
	assert_int_equal(host_read32(h, CSTS), 1);
	/* The buffer is not aligned: item 40. */
	assert_int_equal(host_admin(h, &(struct sqe){.opcode = 6,
						     .prp1 = HOST_BUFFER + 0x18,
						     .prp2 = HOST_BUFFER + 0x1000,
						     .dw10 = 1}),
			 0);
	assert_int_equal(le32_get(host_buffer(h) + 0x18 + 516), NN);
	create_cq(h, 1, 1);
	create_cq(h, 2, (uint32_t)MIN(cap & 0xFFFF, (uint64_t)255));
	create_sq(h, 1, 1);
	create_sq(h, 2, (uint32_t)MIN(cap & 0xFFFF, (uint64_t)63));
	assert_int_equal(disks_found(h), 3);
	assert_int_equal(disks_found(h), 3);
}

static void ovmf(void **state)
{
	struct host *h = *state;
	struct sqe read = host_io(2, 1, 9, 1, DATA);
	const struct sqe flush = {.opcode = 0, .nsid = 1};

	ovmf_start(h);
	for (unsigned i = 0; i < 50; i++) /* on the queue with two entries */
		write_sector(h, 1, 9, (uint8_t)i, true);
	assert_int_equal(host_execute(h, 1, &flush).status, 0);
	assert_int_equal(host_execute(h, 2, &read).status, 0);
	assert_int_equal(h->ram[DATA], 49);
	/* A command that took 5 s: OVMF resets the controller and starts over. */
	host_submit(h, 2, &read);
	ovmf_start(h);
	assert_int_equal(host_execute(h, 2, &read).status, 0);
	/* Shutdown at system reset, polled to SHST = 2. */
	host_write32(h, CC, ENABLED | 1U << 14);
	for (unsigned i = 0; i < 1000000 && (host_read32(h, CSTS) & 0xC) != 8; i++)
		loop_turn(h->loop, NS_PER_MS);
	assert_int_equal(host_read32(h, CSTS) & 0xC, 8);
	ovmf_start(h);
}

/* Item 6: two entries are enough for 1000 commands. */
static void ovmf_admin_laps(void **state)
{
	struct host *h = *state;

	ovmf_start(h);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(host_identify(h, 1, 0), 0);
}

/* Both stop or skip at NSIDs without a disk, never at one that answers with an error. */
static void single_namespace(void **state)
{
	struct host h;

	host_start(&h, &(struct host_options){.namespaces = 1});
	host_disk_add(&h, 1, "null:16M");
	host_enable(&h);
	assert_int_equal(host_identify(&h, 1, 0), 0);
	assert_int_equal(le32_get(host_buffer(&h) + 516), 1);
	assert_int_equal(host_identify(&h, 0, 1), 0);
	assert_int_not_equal(le64_get(host_buffer(&h)), 0);
	assert_int_equal(host_identify(&h, 0, 2), 0x400B);
	host_stop(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(seabios, setup, teardown),
		cmocka_unit_test_setup_teardown(ovmf, setup, teardown),
		cmocka_unit_test_setup_teardown(ovmf_admin_laps, setup, teardown),
		cmocka_unit_test(single_namespace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
