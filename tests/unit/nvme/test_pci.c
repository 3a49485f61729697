/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration space: golden bytes, masks at every width, BAR sizing, function level reset,
 * what the command register gates; MSI-X table and PBA in BAR0. "Item n" as in test_identify.c.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "host.h"

#define COMMAND 0x04
#define PM_CONTROL 0x44
#define MSIX_CONTROL 0x52
#define DEVICE_CONTROL 0x68

static int setup(void **state)
{
	static struct host host;

	host_start(&host, &(struct host_options){.intx = true});
	host_disk_add(&host, 1, "null:64M");
	*state = &host;
	return 0;
}

static int teardown(void **state)
{
	host_stop(*state);
	return 0;
}

struct golden {
	unsigned offset;
	unsigned size;
	const char *bytes;
};

#define GOLDEN(offset, text)                   \
	{                                      \
		offset, sizeof(text) - 1, text \
	}

static const struct golden golden[] = {
	GOLDEN(0x00, "\x51\x4E\x01\x00"),
	GOLDEN(0x06, "\x10\x00\x01\x02\x08\x01"), /* status, revision, class */
	GOLDEN(0x10, "\x04"),			  /* BAR0: 64 bit */
	GOLDEN(0x2C, "\x51\x4E\x01\x00"),
	GOLDEN(0x34, "\x40"),
	GOLDEN(0x3D, "\x01"),
	GOLDEN(0x40, "\x01\x50\x03\x00\x08"),				  /* PM */
	GOLDEN(0x50, "\x11\x60\x03\x00\x00\x40\x00\x00\x00\x50"),	  /* MSI-X, 4 vectors */
	GOLDEN(0x60, "\x10\x00\x02\x00\x00\x80\x00\x10\x10\x28\x00\x00"), /* PCIe, FLR */
	GOLDEN(0x6C, "\x43\x00\x00\x00\x00\x00\x43"),
	GOLDEN(0x84, "\x10"),
	GOLDEN(0x8C, "\x0E\x00\x00\x00\x03"),
};

static void check_defaults(struct host *h)
{
	uint8_t expected[NVME_CONFIG_SIZE] = {0};
	uint8_t actual[NVME_CONFIG_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(golden); i++)
		memcpy(expected + golden[i].offset, golden[i].bytes, golden[i].size);
	nvme_config_read(h->c, 0, actual, sizeof(actual));
	for (unsigned i = 0; i < sizeof(expected); i++)
		if (actual[i] != expected[i])
			fail_msg("byte %x is %02x, expected %02x", i, actual[i], expected[i]);
}

static void defaults(void **state)
{
	struct host *h = *state;

	host_reset(h, NVME_RESET_FUNCTION);
	check_defaults(h);
}

/* All ones, then all zeroes, in writes of one byte and of one dword: only what may change does. */
static void write_masks(void **state)
{
	struct host *h = *state;
	uint8_t bytewise[NVME_CONFIG_SIZE];
	uint8_t dwordwise[NVME_CONFIG_SIZE];

	for (unsigned i = 0; i < NVME_CONFIG_SIZE; i++)
		if (i != DEVICE_CONTROL + 1)
			host_config_write(h, i, 1, 0xFF);
	host_config_write(h, DEVICE_CONTROL + 1, 1, 0x7F);
	nvme_config_read(h->c, 0, bytewise, sizeof(bytewise));
	host_reset(h, NVME_RESET_FUNCTION);
	for (unsigned i = 0; i < NVME_CONFIG_SIZE; i += 4)
		host_config_write(h, i, 4, i == DEVICE_CONTROL ? 0xFFFF7FFF : 0xFFFFFFFF);
	nvme_config_read(h->c, 0, dwordwise, sizeof(dwordwise));
	assert_memory_equal(bytewise, dwordwise, sizeof(bytewise));
	assert_int_equal(le16_get(dwordwise + COMMAND), 0x0547);
	assert_int_equal(le16_get(dwordwise + 0x06), 0x0010);
	assert_int_equal(dwordwise[0x0C], 0xFF);
	assert_int_equal(le32_get(dwordwise + 0x30), 0); /* no ROM */
	assert_int_equal(dwordwise[0x3C], 0xFF);
	assert_int_equal(dwordwise[0x3D], 1);
	assert_int_equal(le32_get(dwordwise + PM_CONTROL), 0x0B);
	assert_int_equal(le16_get(dwordwise + MSIX_CONTROL), 0xC003);
	for (unsigned i = 0x100; i < NVME_CONFIG_SIZE; i++)
		assert_int_equal(dwordwise[i], 0);
	for (unsigned i = 0; i < NVME_CONFIG_SIZE; i += 4)
		host_config_write(h, i, 4, 0);
	assert_int_equal(host_config_read(h, 0, 4), 0x00014E51);
	assert_int_equal(host_config_read(h, 0x10, 4), 4);
}

/* Item 93: 32 KiB, 64 bit; the upper half too; an address is kept. */
static void bar_sizing(void **state)
{
	struct host *h = *state;

	host_config_write(h, 0x10, 4, 0xFFFFFFFF);
	host_config_write(h, 0x14, 4, 0xFFFFFFFF);
	assert_int_equal(host_config_read(h, 0x10, 4), 0xFFFF8004);
	assert_int_equal(host_config_read(h, 0x14, 4), 0xFFFFFFFF);
	host_config_write(h, 0x18, 4, 0xFFFFFFFF);
	assert_int_equal(host_config_read(h, 0x18, 4), 0);
	host_config_write(h, 0x10, 4, 0xFEBF8000);
	host_config_write(h, 0x14, 4, 0x00000002);
	assert_int_equal(host_config_read(h, 0x10, 4), 0xFEBF8004);
	assert_int_equal(host_config_read(h, 0x14, 4), 2);
}

/* Sizing with DMA switched off and on around it leaves queues as they are. */
static void sizing_keeps_queues(void **state)
{
	struct host *h = *state;

	host_enable(h);
	for (unsigned i = 0; i < 10; i++) {
		host_config_write(h, COMMAND, 2, 0);
		bar_sizing(state);
		host_config_write(h, COMMAND, 2, 6);
		assert_int_equal(host_identify(h, 1, 0), 0);
	}
}

/* H28: no bus mastering, no DMA; the command waits. The same in D3hot. */
static void bus_master(void **state)
{
	struct host *h = *state;
	struct cqe cqe;
	const struct sqe identify = {.opcode = 6, .prp1 = HOST_BUFFER, .dw10 = 1};

	host_enable(h);
	host_config_write(h, COMMAND, 2, 2);
	memset(host_buffer(h), 0xEE, 4096);
	host_submit(h, 0, &identify);
	assert_false(host_poll(h, 0, &cqe));
	assert_int_equal(host_buffer(h)[0], 0xEE);
	host_config_write(h, COMMAND, 2, 6);
	assert_true(host_poll(h, 0, &cqe));
	assert_int_equal(cqe.status, 0);
	assert_int_equal(host_buffer(h)[0], 0x51);

	host_config_write(h, PM_CONTROL, 2, 0x8003); /* D3hot; the PME bit is ignored */
	assert_int_equal(host_config_read(h, PM_CONTROL, 2), 0x000B);
	host_submit(h, 0, &identify);
	assert_false(host_poll(h, 0, &cqe));
	host_config_write(h, PM_CONTROL, 2, 0x8000);
	assert_true(host_poll(h, 0, &cqe));
	assert_int_equal(host_read32(h, 0x1C), 1);
}

/* Item 85, H16: FLR by a two-byte write and by a one-byte write, 100 times. */
static void function_level_reset(void **state)
{
	struct host *h = *state;

	for (unsigned i = 0; i < 100; i++) {
		host_config_write(h, COMMAND, 2, 6);
		host_config_write(h, 0x10, 4, 0xFEBF8000);
		host_config_write(h, MSIX_CONTROL, 2, 0x8000);
		host_enable(h);
		assert_int_equal(host_identify(h, 1, 0), 0);
		if (i % 2)
			host_config_write(h, DEVICE_CONTROL, 2, 0x8000);
		else
			host_config_write(h, DEVICE_CONTROL + 1, 1, 0x80);
		loop_turn(h->loop, 0);
		assert_int_equal(host_read32(h, 0x1C), 0);
		assert_int_equal(host_read32(h, 0x14), 0);
		assert_int_equal(host_read32(h, 0x24), 0);
		check_defaults(h);
	}
}

/* A reset takes bus mastering away as well: what comes after waits for it. */
static void reset_stops_mastering(void **state)
{
	struct host *h = *state;
	struct cqe cqe;

	host_enable(h);
	host_config_write(h, DEVICE_CONTROL, 2, 0x8000);
	loop_turn(h->loop, 0);
	host_enable(h);
	host_submit(h, 0, &(struct sqe){.opcode = 6, .prp1 = HOST_BUFFER, .dw10 = 1});
	assert_false(host_poll(h, 0, &cqe));
	host_config_write(h, COMMAND, 2, 6);
	assert_true(host_poll(h, 0, &cqe));
	assert_int_equal(cqe.status, 0);
}

/* INTx: the pin, the status bit, the disable bit, and MSI-X taking over. */
static void intx(void **state)
{
	struct host *h = *state;

	host_enable(h);
	host_submit(h, 0, &(struct sqe){.opcode = 6, .prp1 = HOST_BUFFER, .dw10 = 1});
	for (unsigned i = 0; i < 10; i++)
		loop_turn(h->loop, 100 * NS_PER_US);
	assert_true(h->line);
	assert_int_equal(host_config_read(h, 0x06, 2), 0x0018);
	host_config_write(h, COMMAND, 2, 0x0406);
	assert_false(h->line);
	host_config_write(h, COMMAND, 2, 0x0006);
	assert_true(h->line);
	host_config_write(h, MSIX_CONTROL, 2, 0x8000);
	assert_false(h->line);
	host_config_write(h, MSIX_CONTROL, 2, 0);
	assert_true(h->line);
	host_write32(h, NVME_BAR_DOORBELLS + 4, 1);
	assert_false(h->line);
	assert_int_equal(host_config_read(h, 0x06, 2), 0x0010);
}

static void no_intx(void **state)
{
	struct host h;

	host_start(&h, NULL);
	assert_int_equal(host_config_read(&h, 0x3D, 1), 0);
	host_stop(&h);
}

/* The table is storage, masked at first; the PBA shows what the transport latched. */
static void msix_pages(void **state)
{
	struct host *h = *state;
	uint8_t byte = 0;

	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(host_read32(h, NVME_BAR_MSIX_TABLE + i * 16 + 12), 1);
	assert_int_equal(host_read32(h, NVME_BAR_MSIX_TABLE + 4 * 16 + 12), 0);
	host_write32(h, NVME_BAR_MSIX_TABLE + 16, 0xFEE00000);
	host_write32(h, NVME_BAR_MSIX_TABLE + 4 * 16, 0x12345678);
	assert_int_equal(host_read32(h, NVME_BAR_MSIX_TABLE + 16), 0xFEE00000);
	assert_int_equal(host_read32(h, NVME_BAR_MSIX_TABLE + 4 * 16), 0);
	h->pending = 1U << 3;
	assert_int_equal(host_read64(h, NVME_BAR_MSIX_PBA), 8);
	host_write32(h, NVME_BAR_MSIX_PBA, 0xFFFFFFFF);
	assert_int_equal(host_read64(h, NVME_BAR_MSIX_PBA), 8);
	nvme_bar_read(h->c, NVME_BAR_MSIX_PBA, &byte, 1);
	assert_int_equal(byte, 8);
	h->pending = 0;
	assert_int_equal(host_read64(h, NVME_BAR_MSIX_PBA), 0);
	assert_int_equal(host_read32(h, NVME_BAR_DOORBELLS + 8), 0);
	assert_int_equal(host_read32(h, NVME_BAR_SIZE - 4), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(defaults, setup, teardown),
		cmocka_unit_test_setup_teardown(write_masks, setup, teardown),
		cmocka_unit_test_setup_teardown(bar_sizing, setup, teardown),
		cmocka_unit_test_setup_teardown(sizing_keeps_queues, setup, teardown),
		cmocka_unit_test_setup_teardown(bus_master, setup, teardown),
		cmocka_unit_test_setup_teardown(function_level_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(reset_stops_mastering, setup, teardown),
		cmocka_unit_test_setup_teardown(intx, setup, teardown),
		cmocka_unit_test(no_intx),
		cmocka_unit_test_setup_teardown(msix_pages, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
