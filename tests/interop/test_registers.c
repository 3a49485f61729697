/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance items 1-20, 85, 86: registers, enable, reset, shutdown, interrupts by pin. */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "interop.h"

#define POISON 0xA5

static struct host *attach_to(struct interop *t, const char *target)
{
	const char *name = target;
	char path[DAEMON_PATH_MAX];
	const struct host_options options = {.path = daemon_target_path(&t->daemon, name, path),
					     .flavour = CLIENT_QEMU};

	assert_int_equal(host_attach(&t->host, &options), 0);
	return &t->host;
}

/* 1 (S, B, T): CAP is what it should be; 8-byte and two 4-byte reads agree. */
static void cap_item_1(void **state)
{
	struct host *host = attach_to(*state, "null");
	const uint64_t cap = host_reg64(host, REG_CAP);
	const uint64_t halves = host_reg32(host, REG_CAP) | (uint64_t)host_reg32(host, 4) << 32;

	assert_true(cap == halves);
	assert_true(cap & (1ULL << 16));      /* CQR */
	assert_true((cap >> 24 & 0xFF) >= 1); /* TO */
	assert_int_equal(cap >> 32 & 0xF, 0); /* DSTRD */
	assert_true(cap & (1ULL << 37));      /* NVM command set */
	assert_int_equal(cap >> 48 & 0xF, 0); /* MPSMIN 4 KiB */
}

/* 2 (B, S): MQES + 1 is a power of two; such a queue works, one more entry does not. */
static void mqes_item_2(void **state)
{
	struct host *host = interop_open(*state, "null", 0);
	const unsigned entries = (unsigned)(host->cap & 0xFFFF) + 1;
	const struct host_queue_options most = {.sq_size = entries};
	uint8_t *ring;

	assert_int_equal(entries & (entries - 1), 0);
	assert_int_equal(host_queue_create(host, 1, most), 0);
	for (unsigned i = 0; i < entries + 10; i++)
		assert_io(host, ST_OK, .opcode = IO_FLUSH, .nsid = 1);
	ring = ram_alloc(&host->ram, 65536);
	assert_admin(host, ST_INVALID_QSIZE, .opcode = ADMIN_CREATE_CQ,
		     .prp1 = ram_addr(&host->ram, ring), .dw10 = entries << 16 | 2, .dw11 = 1);
}

/* 3 (S, L): VS agrees with Identify Controller. */
static void version_item_3(void **state)
{
	struct host *host = interop_open(*state, "null", 0);
	uint8_t *page = ram_alloc(&host->ram, RAM_PAGE);
	uint32_t version;

	assert_int_equal(host_identify(host, 1, 0, page), ST_OK);
	memcpy(&version, page + 80, sizeof(version));
	assert_int_equal(version, host_reg32(host, REG_VS));
	assert_true(version >= 0x10400);
}

/* 4 (W, P1199): AQA, ASQ, ACQ read back while enabled and after. */
static void admin_queue_registers_item_4(void **state)
{
	struct host *host = interop_open(*state, "null", 0);
	const uint64_t asq = ram_addr(&host->ram, host->queues[0].sq.entries);
	const uint64_t acq = ram_addr(&host->ram, host->queues[0].cq.entries);

	for (unsigned round = 0; round < 2; round++) {
		assert_int_equal(host_reg32(host, REG_AQA), 0x1F001F);
		assert_true(host_reg64(host, REG_ASQ) == asq);
		assert_true(host_reg64(host, REG_ACQ) == acq);
		assert_int_equal(host_disable(host), 0);
	}
}

/* 5 (L, T), 10 (B): CC with EN=0 keeps its fields; writing it while disabled does nothing else. */
static void disabled_cc_items_5_10(void **state)
{
	struct host *host = attach_to(*state, "null");

	assert_int_equal(host_reg32_set(host, REG_CC, 0), 0);
	assert_int_equal(host_reg32(host, REG_CSTS), 0);
	assert_int_equal(host_reg32_set(host, REG_CC, CC_DISABLE), 0);
	assert_int_equal(host_reg32(host, REG_CC), CC_DISABLE);
	assert_int_equal(host_reg32(host, REG_CSTS), 0);
}

/* 6 (O, T): admin queues of two entries carry a thousand commands. */
static void tiny_admin_queue_item_6(void **state)
{
	struct interop *t = *state;
	uint8_t *page;

	interop_open_with(t, &t->host, "null",
			  (struct host_options){.flavour = CLIENT_QEMU, .admin_entries = 2});
	page = ram_alloc(&t->host.ram, RAM_PAGE);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(host_identify(&t->host, 1, 0, page), ST_OK);
}

/* 7, 8, 9 (Q), H20: bad AQA, MPS, CSS, AMS: CFS and no RDY; a good set-up works after it. */
static void bad_enable_items_7_8_9(void **state)
{
	static const struct {
		uint32_t aqa, cc;
	} bad[] = {
		{0, CC_ENABLE},
		{0x1F0000, CC_ENABLE},
		{0x00001F, CC_ENABLE},
		{0x1F001F, CC_ENABLE | 0xF << 7},
		{0x1F001F, CC_ENABLE | 5 << 4},
		{0x1F001F, CC_ENABLE | 7 << 11},
	};
	struct host *host = attach_to(*state, "null");

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(host_reg32_set(host, REG_CC, 0), 0);
		assert_int_equal(host_wait_status(host, CSTS_RDY | CSTS_CFS, 0), 0);
		assert_int_equal(host_reg32_set(host, REG_AQA, bad[i].aqa), 0);
		assert_int_equal(host_reg64_set(host, REG_ASQ, 0x10000), 0);
		assert_int_equal(host_reg64_set(host, REG_ACQ, 0x20000), 0);
		assert_int_equal(host_reg32_set(host, REG_CC, bad[i].cc), 0);
		assert_int_equal(host_wait_status(host, CSTS_RDY | CSTS_CFS, CSTS_CFS), 0);
	}
	assert_int_equal(host_reg64_set(host, REG_ASQ, 0x10FFF), 0);
	assert_true((host_reg64(host, REG_ASQ) & 0xFFF) == 0);
	assert_int_equal(host_enable(host), 0);
	interop_queues(host, 1);
	interop_check_alive(host);
}

/* 11 (F), H16: enable and disable back to back, many times. */
static void enable_cycles_item_11(void **state)
{
	struct host *host = attach_to(*state, "null");
	const uint64_t mark = ram_mark(&host->ram);

	for (unsigned i = 0; i < 200; i++) {
		ram_release(&host->ram, mark);
		assert_int_equal(host_enable(host), 0);
	}
	interop_queues(host, 1);
	interop_check_alive(host);
}

static void fill_queue_with_reads(struct host *host, unsigned count, uint8_t *data)
{
	for (unsigned i = 0; i < count; i++) {
		struct nvme_sqe sqe = interop_rw(host, IO_READ, i, 8, data + (size_t)i * RAM_PAGE);

		sqe.cid = (uint16_t)i;
		*host_sq_slot(&host->queues[1].sq) = sqe;
		host_sq_push(&host->queues[1].sq);
	}
	host_sq_ring(&host->queues[1].sq);
}

static bool all_poison(const uint8_t *data, size_t size)
{
	return data[0] == POISON && memcmp(data, data + 1, size - 1) == 0;
}

/* 12 (S, V3915), 13, H15: EN=0 with 250 reads in flight: no page and no CQE changes after RDY=0. */
static void reset_in_flight_items_12_13(void **state)
{
	struct interop *t = *state;
	struct host *host;
	struct nvme_cqe *cq;
	uint8_t *data;

	interop_open_with(t, &t->host, "slow", (struct host_options){.flavour = CLIENT_QEMU});
	host = &t->host;
	data = ram_alloc(&host->ram, 250 * RAM_PAGE);
	assert_int_equal(host_queue_create(host, 1, (struct host_queue_options){.sq_size = 256}),
			 0);
	cq = host->queues[1].cq.entries;
	fill_queue_with_reads(host, 250, data);
	client_sleep_us(5000);
	assert_int_equal(host_disable(host), 0);
	memset(data, POISON, 250 * RAM_PAGE);
	memset(cq, POISON, RAM_PAGE);
	client_sleep_us(600000);
	assert_true(all_poison(data, 250 * RAM_PAGE));
	assert_true(all_poison((uint8_t *)cq, RAM_PAGE));
	assert_int_equal(host_enable(host), 0);
	interop_queues(host, 1);
	interop_check_alive(host);
	assert_int_equal(host_cq_wait(&host->queues[1].cq, 100), -ETIMEDOUT);
}

/* 14 (L, O): shutdown ends with SHST=2; a restart works and the data are there. */
static void shutdown_item_14(void **state)
{
	struct host *host = interop_open(*state, "disk", 1);
	uint8_t *data = ram_alloc(&host->ram, RAM_PAGE);

	memset(data, 0x37, 512);
	assert_int_equal(host_run(host, 1, interop_rw(host, IO_WRITE, 9, 1, data), NULL), ST_OK);
	for (unsigned shn = 1; shn <= 2; shn++) {
		assert_int_equal(host_reg32_set(host, REG_CC, CC_ENABLE | shn << 14), 0);
		assert_int_equal(host_wait_status(host, 3 << 2, 2 << 2), 0);
		assert_int_equal(host_enable(host), 0);
		assert_int_equal(host_reg32(host, REG_CSTS), CSTS_RDY);
	}
	interop_queues(host, 1);
	memset(data, 0, 512);
	assert_int_equal(host_run(host, 1, interop_rw(host, IO_READ, 9, 1, data), NULL), ST_OK);
	assert_int_equal(data[511], 0x37);
}

/* H19: shutdown while I/O runs: what was fetched finishes first. */
static void shutdown_in_flight_h19(void **state)
{
	struct host *host = interop_open(*state, "slow", 1);
	uint8_t *data = ram_alloc(&host->ram, 32 * RAM_PAGE);

	fill_queue_with_reads(host, 32, data);
	assert_int_equal(host_reg32_set(host, REG_CC, CC_ENABLE | CC_SHN_NORMAL), 0);
	assert_int_equal(host_wait_status(host, 3 << 2, 2 << 2), 0);
	assert_int_equal(host_enable(host), 0);
	interop_queues(host, 1);
	interop_check_alive(host);
}

/* 15 (S): shutdown of a disabled controller is complete at once. */
static void shutdown_disabled_item_15(void **state)
{
	struct host *host = attach_to(*state, "null");

	assert_int_equal(host_reg32_set(host, REG_CC, CC_DISABLE | CC_SHN_NORMAL), 0);
	assert_int_equal(CSTS_SHST(host_reg32(host, REG_CSTS)), 2);
	assert_int_equal(host_enable(host), 0);
}

/* 16 (Q): NSSR does nothing, or a subsystem reset, as CAP.NSSRS says; other values nothing. */
static void subsystem_reset_item_16(void **state)
{
	struct host *host = interop_open(*state, "null", 1);
	const bool supported = host->cap & (1ULL << 36);

	assert_int_equal(host_reg32_set(host, REG_NSSR, 0x12345678), 0);
	assert_int_equal(host_reg32(host, REG_CSTS), CSTS_RDY);
	assert_int_equal(host_reg32_set(host, REG_NSSR, 0x4E564D65), 0);
	if (supported) {
		assert_int_equal(host_wait_status(host, CSTS_RDY, 0), 0);
		assert_int_equal(host_reg32(host, REG_CSTS) & 0x10, 0x10);
		host_forget(host);
		assert_int_equal(host_enable(host), 0);
		interop_queues(host, 1);
	}
	interop_check_alive(host);
}

/* 17 (Q): writes of 1, 2 bytes and unaligned ones are ignored; such reads give the bytes. */
static void odd_accesses_item_17(void **state)
{
	struct host *host = interop_open(*state, "null", 1);
	const uint8_t byte = 0;
	uint8_t whole[64], part[64];

	assert_int_equal(client_bar_write(&host->client, REG_CC, &byte, 1), 0);
	assert_int_equal(client_bar_write(&host->client, REG_CC + 1, &(uint32_t){0}, 4), 0);
	assert_int_equal(client_bar_write(&host->client, REG_CC, &(uint16_t){0}, 2), 0);
	assert_int_equal(host_reg32(host, REG_CC), CC_ENABLE);
	assert_int_equal(client_bar_read(&host->client, 0, whole, sizeof(whole)), 0);
	for (unsigned i = 0; i < sizeof(whole); i++) {
		assert_int_equal(client_bar_read(&host->client, i, part, 1), 0);
		assert_int_equal(part[0], whole[i]);
	}
	for (unsigned i = 0; i + 2 <= sizeof(whole); i++) {
		assert_int_equal(client_bar_read(&host->client, i, part, 2), 0);
		assert_memory_equal(part, whole + i, 2);
	}
	for (unsigned offset = 0; offset < 0x8000; offset += 4) {
		const bool msix = offset >= 0x4000 && offset < 0x6000;

		assert_int_equal(client_bar_read(&host->client, offset, part, 4), 0);
		if (offset >= 0x70 && !msix)
			assert_int_equal(*(uint32_t *)(void *)part, 0);
	}
	interop_check_alive(host);
}

/* --- INTx --------------------------------------------------------------------------------- */

static int intx_arm(struct host *host)
{
	const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	const uint16_t command = 0x0006;

	assert_int_equal(
		client_irq_set(&host->client, (struct wire_irq_set){0, 0x24, 0, 0, 1}, &fd, 1), 0);
	assert_int_equal(client_config_write(&host->client, 4, &command, 2), 0);
	return fd;
}

static void intx_unmask(struct host *host)
{
	assert_int_equal(
		client_irq_set(&host->client, (struct wire_irq_set){0, 0x11, 0, 0, 1}, NULL, 0), 0);
}

/* True when the line was raised within 200 ms. */
static bool intx_raised(int fd)
{
	uint64_t count;

	for (unsigned i = 0; i < 200; i++) {
		if (read(fd, &count, sizeof(count)) == sizeof(count))
			return true;
		client_sleep_us(1000);
	}
	return false;
}

/* 18 (F, W, Q): INTMS masks the pin, INTMC unmasks it. 19: it falls only when all is read. */
static void intx_items_18_19_20(void **state)
{
	struct host *host = interop_open(*state, "null", 0);
	const struct nvme_sqe sqe = {.opcode = ADMIN_GET_FEATURES, .dw10 = 7};
	int fd = intx_arm(host);

	assert_int_equal(host_run(host, 0, sqe, NULL), ST_OK);
	assert_true(intx_raised(fd));
	intx_unmask(host); /* the head doorbell has gone before: the line is low */
	assert_false(intx_raised(fd));
	assert_int_equal(host_reg32_set(host, REG_INTMS, 1), 0);
	assert_int_equal(host_reg32(host, REG_INTMS), 1);
	assert_true(host_submit(host, 0, sqe) >= 0);
	assert_int_equal(host_cq_wait(&host->queues[0].cq, 2000), 0);
	assert_false(intx_raised(fd));
	assert_int_equal(host_reg32_set(host, REG_INTMC, 1), 0);
	assert_true(intx_raised(fd));
	intx_unmask(host); /* 20 (TP): still unread, so it is raised again */
	assert_true(intx_raised(fd));
	assert_int_equal(host_reap(host, 0, &(struct nvme_cqe){0}, 1000), 0);
	intx_unmask(host);
	assert_false(intx_raised(fd));
	base_close(&fd);
}

/* --- Resets of the function --------------------------------------------------------------- */

static unsigned find_pcie(struct host *host)
{
	uint8_t config[256];
	unsigned at;

	assert_int_equal(client_config_read(&host->client, 0, config, sizeof(config)), 0);
	for (at = config[0x34]; at && config[at] != 0x10; at = config[at + 1])
		;
	assert_true(at != 0);
	return at;
}

/* 85 (L, T): FLR by configuration write resets; the controller comes up again. */
static void function_level_reset_item_85(void **state)
{
	struct host *host = interop_open(*state, "null", 1);
	const unsigned pcie = find_pcie(host);
	const uint16_t flr = 0x8000, command = 0x0406;
	uint16_t control;

	for (unsigned i = 0; i < 50; i++) {
		const uint64_t mark = ram_mark(&host->ram);
		uint8_t *data = ram_alloc(&host->ram, 32 * RAM_PAGE);

		fill_queue_with_reads(host, 32, data);
		assert_int_equal(client_config_write(&host->client, pcie + 8, &flr, 2), 0);
		assert_int_equal(client_config_read(&host->client, pcie + 8, &control, 2), 0);
		assert_int_equal(control & 0x8000, 0);
		assert_int_equal(host_reg32(host, REG_CC), 0);
		assert_int_equal(host_reg32(host, REG_AQA), 0);
		host_forget(host);
		ram_release(&host->ram, mark);
		assert_int_equal(client_config_write(&host->client, 4, &command, 2), 0);
		assert_int_equal(host_enable(host), 0);
		interop_queues(host, 1);
	}
	interop_check_alive(host);
}

/* 86 (T), H16, H31: DEVICE_RESET in the middle of I/O, a thousand times. */
static void device_reset_item_86(void **state)
{
	struct host *host = interop_open(*state, "disk", 1);
	const uint16_t command = 0x0406;

	for (unsigned i = 0; i < 1000; i++) {
		const uint64_t mark = ram_mark(&host->ram);
		uint8_t *data = ram_alloc(&host->ram, 32 * RAM_PAGE);

		fill_queue_with_reads(host, 32, data);
		assert_int_equal(client_reset(&host->client), 0);
		host_forget(host);
		memset(data, POISON, 32 * RAM_PAGE);
		assert_int_equal(client_config_write(&host->client, 4, &command, 2), 0);
		assert_int_equal(host_enable(host), 0);
		assert_true(all_poison(data, 32 * RAM_PAGE));
		ram_release(&host->ram, mark);
		interop_queues(host, 1);
	}
	interop_check_alive(host);
	assert_true(host->client.slowest_reply_ns < NS_PER_S);
}

/* H28: with bus mastering off nothing is fetched; it goes on when it is on again. */
static void bus_master_h28(void **state)
{
	struct host *host = interop_open(*state, "null", 1);
	const uint16_t off = 0x0402, on = 0x0406;

	assert_int_equal(client_config_write(&host->client, 4, &off, 2), 0);
	assert_true(host_submit(host, 1, (struct nvme_sqe){.opcode = IO_FLUSH, .nsid = 1}) >= 0);
	assert_int_equal(host_cq_wait(&host->queues[1].cq, 100), -ETIMEDOUT);
	assert_int_equal(client_config_write(&host->client, 4, &on, 2), 0);
	assert_int_equal(host_cq_wait(&host->queues[1].cq, 2000), 0);
}

static int setup(void **state)
{
	char spec[160], volume[200];
	struct interop *t;

	if (interop_group_setup(state))
		return -1;
	t = *state;
	snprintf(volume, sizeof(volume), "delay:op=read,ms=300:%s",
		 interop_file(t, "slow", INTEROP_FILE_SIZE, spec));
	interop_target(t, "slow", volume);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		interop_test(cap_item_1),
		interop_test(mqes_item_2),
		interop_test(version_item_3),
		interop_test(admin_queue_registers_item_4),
		interop_test(disabled_cc_items_5_10),
		interop_test(tiny_admin_queue_item_6),
		interop_test(bad_enable_items_7_8_9),
		interop_test(enable_cycles_item_11),
		interop_test(reset_in_flight_items_12_13),
		interop_test(shutdown_item_14),
		interop_test(shutdown_in_flight_h19),
		interop_test(shutdown_disabled_item_15),
		interop_test(subsystem_reset_item_16),
		interop_test(odd_accesses_item_17),
		interop_test(intx_items_18_19_20),
		interop_test(function_level_reset_item_85),
		interop_test(device_reset_item_86),
		interop_test(bus_master_h28),
	};

	return cmocka_run_group_tests(tests, setup, interop_group_teardown);
}
