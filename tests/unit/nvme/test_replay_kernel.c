/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the drivers of Linux and FreeBSD do from probe to shutdown, in their order. Items 5, 11, 14,
 * 38, 39, 47 to 54, 74 and 85 of docs/CONFORMANCE.md are in these orders.
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
#define INTMS 0x0C
#define INTMC 0x10
#define CC 0x14
#define CSTS 0x1C
#define AQA 0x24
#define ASQ 0x28
#define ACQ 0x30
#define CMBSZ 0x3C
#define CC_LINUX 0x00460000
#define MSIX_CONTROL 0x52
#define DEVICE_CONTROL 0x68
#define QUEUES 3
#define ENTRIES 64
#define DATA 0x100000

static int setup(void **state)
{
	static struct host host;

	host_start(&host, &(struct host_options){.namespaces = 8, .intx = true});
	host_file_add(&host, 1, 16 * MiB, ",block=512");
	host_disk_add(&host, 3, "null:32M");
	*state = &host;
	return 0;
}

static int teardown(void **state)
{
	host_stop(*state);
	return 0;
}

static void msix_set(struct host *h, bool enable)
{
	host_config_write(h, MSIX_CONTROL, 2, enable ? 0x8003 : 0x0003);
}

static void admin_queue(struct host *h, uint16_t entries)
{
	memset(h->ram, 0, HOST_SCRATCH);
	h->shadow = false;
	h->queues[0] = (struct host_queue){HOST_ASQ, HOST_ACQ, entries, entries, 0, 0, 1};
	host_write32(h, AQA, (entries - 1U) << 16 | (entries - 1U));
	host_write64(h, ASQ, HOST_ASQ);
	host_write64(h, ACQ, HOST_ACQ);
}

static void io_queues(struct host *h)
{
	for (unsigned q = 1; q <= QUEUES; q++)
		host_create_queues(h, q, ENTRIES);
}

static void delete_queues(struct host *h)
{
	for (unsigned q = 1; q <= QUEUES; q++)
		assert_int_equal(host_admin(h, &(struct sqe){.opcode = 0, .dw10 = q}), 0);
	for (unsigned q = 1; q <= QUEUES; q++)
		assert_int_equal(host_admin(h, &(struct sqe){.opcode = 4, .dw10 = q}), 0);
}

static void shut_down(struct host *h, uint32_t cc)
{
	host_write32(h, CC, cc | 1U << 14);
	for (unsigned i = 0; i < 1000000 && (host_read32(h, CSTS) & 0xC) != 8; i++)
		loop_turn(h->loop, NS_PER_MS);
	assert_int_equal(host_read32(h, CSTS) & 0xC, 8);
}

static void check_io(struct host *h, unsigned q, uint8_t byte)
{
	struct sqe write = host_io(1, 1, q * 8, 8, DATA);
	struct sqe read = host_io(2, 1, q * 8, 8, DATA + 0x1000);

	memset(h->ram + DATA, byte, 4096);
	memset(h->ram + DATA + 0x1000, ~byte, 4096);
	assert_int_equal(host_execute(h, q, &write).status, 0);
	assert_int_equal(host_execute(h, q, &read).status, 0);
	assert_memory_equal(h->ram + DATA, h->ram + DATA + 0x1000, 4096);
}

/* --- Linux ---------------------------------------------------------------------------------- */

static void linux_enable(struct host *h)
{
	assert_int_not_equal(host_read32(h, CSTS), 0xFFFFFFFF);
	host_write32(h, CC, host_read32(h, CC) & ~1U);
	for (unsigned i = 0; i < 1000000 && (host_read32(h, CSTS) & 1); i++)
		loop_turn(h->loop, NS_PER_MS);
	assert_int_equal(host_read32(h, CSTS) & 1, 0);
	admin_queue(h, 32);
	(void)host_read64(h, CAP);
	/* Item 5: written with EN = 0, read back, then with EN = 1. */
	host_write32(h, CC, CC_LINUX);
	assert_int_equal(host_read32(h, CC), CC_LINUX);
	assert_int_equal(host_read32(h, CSTS) & 1, 0);
	host_write32(h, CC, CC_LINUX | 1);
	assert_int_equal(host_read32(h, CSTS), 1);
	assert_int_equal(host_read32(h, VS), 0x00010400);
}

static void linux_scan(struct host *h)
{
	uint8_t *page = host_buffer(h);
	uint8_t nguid[16];

	assert_int_equal(host_identify(h, 6, 0), 0);
	assert_int_equal(host_identify(h, 2, 0), 0);
	assert_int_equal(le32_get(page), 1);
	assert_int_equal(le32_get(page + 4), 3);
	assert_int_equal(le32_get(page + 8), 0);
	for (uint32_t nsid = 1; nsid <= 3; nsid += 2) {
		host_nguid(nsid, nguid);
		assert_int_equal(host_identify(h, 3, nsid), 0);
		assert_memory_equal(page + 4, nguid, 16);
		for (unsigned i = 0; i < 2; i++) {
			assert_int_equal(host_identify(h, 0, nsid), 0);
			assert_int_not_equal(le64_get(page + 8), 0);
			assert_memory_equal(page + 104, nguid, 16);
		}
		assert_int_equal(host_identify(h, 5, nsid), 0);
	}
}

static void linux_start(struct host *h)
{
	const struct sqe queues = {
		.opcode = 9, .dw10 = 7, .dw11 = (QUEUES - 1) << 16 | (QUEUES - 1)};

	linux_enable(h);
	assert_int_equal(host_identify(h, 1, 0), 0);
	assert_int_equal(host_log(h, 5, 4096, false), 0);
	assert_int_equal(host_set_feature(h, 0x0E, 0), 0);
	assert_int_equal(host_execute(h, 0, &queues).dw0, (QUEUES - 1) << 16 | (QUEUES - 1));
	msix_set(h, false);
	msix_set(h, true);
	io_queues(h);
	host_shadow_start(h);
	assert_int_equal(host_set_feature(h, 0x0B, 0x100), 0);
	host_submit(h, 0, &(struct sqe){.opcode = 0x0C});
	linux_scan(h);
}

static void linux_probe(struct host *h)
{
	host_config_write(h, 0x04, 2, 0x0406);
	msix_set(h, true);
	assert_int_equal(host_read32(h, CMBSZ), 0);
	linux_start(h);
}

static void linux_driver(void **state)
{
	struct host *h = *state;
	struct err err = {0};
	struct cqe cqe;

	linux_probe(h);
	for (unsigned q = 1; q <= QUEUES; q++) {
		check_io(h, q, (uint8_t)(0x30 + q));
		assert_true(h->fired[q] > 0); /* a vector for each queue */
	}
	/* Item 54: grown while it runs. */
	assert_int_equal(block_resize(h->disks[1].device, 32 * MiB, &err), 0);
	nvme_namespace_resized(h->c, 1);
	assert_true(host_poll(h, 0, &cqe));
	assert_int_equal(cqe.dw0, 0x00040002);
	host_submit(h, 0, &(struct sqe){.opcode = 0x0C});
	assert_int_equal(host_log(h, 4, 4096, false), 0);
	assert_int_equal(le32_get(host_buffer(h)), 1);
	linux_scan(h);
	/* Controller reset, twice; then by FLR; then shutdown. */
	for (unsigned i = 0; i < 2; i++) {
		delete_queues(h);
		linux_start(h);
		check_io(h, 1 + i, 0x77);
	}
	host_config_write(h, DEVICE_CONTROL, 2, 0x8000 | host_config_read(h, DEVICE_CONTROL, 2));
	loop_turn(h->loop, 0);
	assert_int_equal(host_config_read(h, DEVICE_CONTROL, 2) & 0x8000, 0);
	linux_probe(h);
	check_io(h, 3, 0x55);
	delete_queues(h);
	shut_down(h, CC_LINUX | 1);
	msix_set(h, false);
	host_config_write(h, 0x04, 2, 0x0402);
	/* kexec: the next kernel finds it shut down and starts it again. */
	linux_probe(h);
	check_io(h, 1, 0x66);
}

/* Commands left in flight by a kernel that crashed do not disturb the next one. */
static void linux_kdump(void **state)
{
	struct host *h = *state;
	const struct sqe read = host_io(2, 1, 0, 8, DATA + 0x4000);

	linux_probe(h);
	for (unsigned i = 0; i < 20; i++)
		host_submit(h, 1, &read);
	linux_probe(h);
	memset(h->ram + DATA + 0x4000, 0xEE, 4096);
	check_io(h, 1, 0x11);
	for (unsigned i = 0; i < 20; i++)
		loop_turn(h->loop, 100 * NS_PER_US);
	assert_int_equal(h->ram[DATA + 0x4000], 0xEE);
}

/* --- FreeBSD -------------------------------------------------------------------------------- */

/* One disable and enable; it does two in a row at attach: item 11. */
static void freebsd_cycle(struct host *h)
{
	host_write32(h, CC, host_read32(h, CC) & ~1U);
	for (unsigned i = 0; i < 1000000 && (host_read32(h, CSTS) & 1); i++)
		loop_turn(h->loop, NS_PER_MS);
	admin_queue(h, 64);
	host_write32(h, CC, CC_LINUX | 1);
	assert_int_equal(host_read32(h, CSTS), 1);
}

static void freebsd_namespaces(struct host *h)
{
	unsigned found = 0;

	for (uint32_t nsid = 1; nsid <= 8; nsid++) {
		assert_int_equal(host_identify(h, 0, nsid), 0);
		found += le64_get(host_buffer(h)) != 0;
	}
	assert_int_equal(found, 2);
}

static void freebsd_attach(struct host *h)
{
	const struct sqe queues = {.opcode = 9, .dw10 = 7, .dw11 = 0x00020002};

	freebsd_cycle(h);
	freebsd_cycle(h);
	/* It panics if the number of queues changes between resets. */
	assert_int_equal(host_execute(h, 0, &queues).dw0, 0x00020002);
	assert_int_equal(host_identify(h, 1, 0), 0);
	io_queues(h);
	freebsd_namespaces(h);
	assert_int_equal(host_get_feature(h, 4, 0).status, 0);
	assert_int_equal(host_set_feature(h, 0x0B, 0x031F), 0);
	for (unsigned i = 0; i < 8; i++) /* min(8, AERL + 1) */
		host_submit(h, 0, &(struct sqe){.opcode = 0x0C});
	assert_int_equal(host_set_feature(h, 0x08, 0), 0);
}

static void freebsd(void **state)
{
	struct host *h = *state;
	struct err err = {0};
	struct cqe cqe;

	msix_set(h, true);
	freebsd_attach(h);
	for (unsigned q = 1; q <= QUEUES; q++)
		check_io(h, q, (uint8_t)(0x40 + q));
	assert_int_equal(block_resize(h->disks[1].device, 24 * MiB, &err), 0);
	nvme_namespace_resized(h->c, 1);
	assert_true(host_poll(h, 0, &cqe));
	assert_int_equal(cqe.dw0 >> 16, 4);
	assert_int_equal(host_log(h, 4, 4096, false), 0);
	freebsd_attach(h); /* reset */
	check_io(h, 2, 0x12);
	delete_queues(h);
	shut_down(h, CC_LINUX | 1);
}

/* Without MSI-X: mask the line, drain the queue, unmask; items 18 and 19. */
static void freebsd_intx(void **state)
{
	struct host *h = *state;
	const struct sqe read = host_io(2, 1, 0, 8, DATA);
	struct cqe cqe;

	freebsd_attach(h);
	for (unsigned i = 0; i < 10; i++) {
		host_submit(h, 1, &read);
		for (unsigned n = 0; n < 100 && !h->line; n++)
			loop_turn(h->loop, NS_PER_MS);
		assert_true(h->line);
		host_write32(h, INTMS, 1);
		assert_false(h->line);
		assert_true(host_poll(h, 1, &cqe));
		host_write32(h, INTMC, 1);
		assert_false(h->line);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(linux_driver, setup, teardown),
		cmocka_unit_test_setup_teardown(linux_kdump, setup, teardown),
		cmocka_unit_test_setup_teardown(freebsd, setup, teardown),
		cmocka_unit_test_setup_teardown(freebsd_intx, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
