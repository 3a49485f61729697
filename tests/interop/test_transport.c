/* SPDX-License-Identifier: Apache-2.0 */
/* The vfio-user protocol as a stranger speaks it: negotiation, messages in pieces, descriptors. */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "interop.h"

#define BAR0_MIN_SIZE 16384
#define QEMU_VERSION_REPLY_MAX 214
#define RAW_MAX 4096

/* A connection without VERSION. */
static struct client *connect_raw(struct interop *t)
{
	char path[DAEMON_PATH_MAX];

	if (t->host.client.fd >= 0)
		client_close(&t->host.client);
	assert_int_equal(
		client_connect(&t->host.client, daemon_target_path(&t->daemon, "null", path)), 0);
	return &t->host.client;
}

static struct client *connect_client(struct interop *t, enum client_flavour flavour)
{
	struct client *c = connect_raw(t);

	assert_int_equal(client_negotiate(c, flavour), 0);
	return c;
}

static int try_version(struct client *c, struct wire_version version, const void *json, size_t size)
{
	struct client_message m = {
		.command = WIRE_VERSION,
		.payload = &version,
		.payload_size = sizeof(version),
		.data = json,
		.data_size = size,
		.reply = c->version_reply,
		.reply_capacity = sizeof(c->version_reply),
	};
	const int error = client_call(c, &m);

	c->version_reply_size = m.reply_size;
	return error;
}

/* TP T1: each kind of monitor introduces itself; the reply has JSON and suits QEMU's buffer. */
static void version_t1_suits_each_client(void **state)
{
	struct interop *t = *state;

	for (unsigned f = CLIENT_QEMU; f <= CLIENT_SPDK; f++) {
		struct client *c = connect_client(t, (enum client_flavour)f);
		struct wire_device_info info;

		assert_true(c->version_reply_size > sizeof(struct wire_version));
		assert_true(c->version_reply_size + 16 <= QEMU_VERSION_REPLY_MAX);
		assert_int_equal(c->version_reply[c->version_reply_size - 1], '\0');
		assert_non_null(strstr((char *)c->version_reply + 4, "\"capabilities\""));
		assert_null(strstr((char *)c->version_reply + 4, "write_multiple\":true"));
		assert_int_equal(client_device_info(c, &info), 0);
	}
}

/* TP T1: later minors are answered with ours, other majors and broken JSON refused. */
static void version_t1_refuses_what_it_cannot_speak(void **state)
{
	static const char unterminated[] = {'{', '}'};
	struct interop *t = *state;
	struct client *c = connect_raw(t);
	struct wire_version got;

	assert_int_equal(try_version(c, (struct wire_version){0, 9}, NULL, 0), 0);
	memcpy(&got, c->version_reply, sizeof(got));
	assert_int_equal(got.major, 0);
	assert_true(got.minor <= 9);
	c = connect_raw(t);
	assert_true(try_version(c, (struct wire_version){1, 0}, NULL, 0) < 0);
	assert_true(client_wait_closed(c, 2000));
	c = connect_raw(t);
	assert_true(try_version(c, (struct wire_version){0, 1}, unterminated, 2) < 0);
	assert_true(client_wait_closed(c, 2000));
	c = connect_raw(t);
	assert_true(try_version(c, (struct wire_version){0, 1}, "{\"capabilities\":[}", 19) < 0);
	assert_true(client_wait_closed(c, 2000));
	connect_client(t, CLIENT_QEMU);
}

/* TP: anything before VERSION, and a second VERSION, ends the connection. */
static void version_comes_first_and_once(void **state)
{
	struct interop *t = *state;
	struct client *c = connect_raw(t);
	struct wire_device_info info;

	assert_true(client_device_info(c, &info) < 0);
	assert_true(client_wait_closed(c, 2000));
	c = connect_client(t, CLIENT_QEMU);
	assert_true(try_version(c, (struct wire_version){0, 0}, NULL, 0) < 0);
	assert_true(client_wait_closed(c, 2000));
}

static size_t raw_bar_read(uint8_t *bytes, uint16_t id, uint64_t offset, uint32_t count)
{
	const struct wire_region_access at = {offset, WIRE_REGION_BAR0, count};
	const struct client_message m = {
		.command = WIRE_REGION_READ, .payload = &at, .payload_size = sizeof(at)};

	return client_encode(&m, id, 0, bytes);
}

static uint64_t raw_take_read(struct client *c, uint16_t id)
{
	uint8_t reply[sizeof(struct wire_region_access) + 8];
	struct client_message m = {
		.command = WIRE_REGION_READ, .reply = reply, .reply_capacity = sizeof(reply)};
	uint64_t value;

	assert_int_equal(client_receive(c, &m, id), 0);
	assert_int_equal(m.reply_size, sizeof(reply));
	memcpy(&value, reply + sizeof(struct wire_region_access), sizeof(value));
	return value;
}

/* TP T2: a message may come in two pieces, cut anywhere, and two messages in one. */
static void messages_t2_may_be_cut_anywhere(void **state)
{
	struct interop *t = *state;
	struct client *c = connect_client(t, CLIENT_QEMU);
	uint8_t bytes[RAW_MAX];
	const size_t size = raw_bar_read(bytes, 1, REG_CAP, 8);
	uint64_t cap = 0;

	for (size_t cut = 0; cut <= size; cut++) {
		assert_int_equal(client_send_bytes(c, bytes, cut, NULL, 0), 0);
		client_sleep_us(200);
		assert_int_equal(client_send_bytes(c, bytes + cut, size - cut, NULL, 0), 0);
		cap = raw_take_read(c, 1);
	}
	raw_bar_read(bytes + size, 2, REG_CAP, 8);
	assert_int_equal(client_send_bytes(c, bytes, 2 * size, NULL, 0), 0);
	assert_true(raw_take_read(c, 1) == cap);
	assert_true(raw_take_read(c, 2) == cap);
}

/* TP T2: descriptors belong to the message whose first byte they came with. */
static void messages_t2_descriptors_come_with_the_second(void **state)
{
	struct interop *t = *state;
	struct client *c = connect_client(t, CLIENT_QEMU);
	uint8_t bytes[RAW_MAX];
	size_t size = raw_bar_read(bytes, 7, REG_CAP, 8);
	const struct wire_dma_map map = {sizeof(map), 3, 0, 0, MiB};
	const struct client_message m = {
		.command = WIRE_DMA_MAP, .payload = &map, .payload_size = sizeof(map)};

	assert_int_equal(ram_open(&t->host.ram, MiB), 0);
	assert_int_equal(client_send_bytes(c, bytes, size, NULL, 0), 0);
	size = client_encode(&m, 8, 0, bytes);
	assert_int_equal(client_send_bytes(c, bytes, size, &t->host.ram.fd, 1), 0);
	raw_take_read(c, 7);
	assert_int_equal(client_dma_map_reply(c, 8), 0);
	assert_int_equal(client_dma_unmap(c, 0, MiB), 0);
}

/* TP T3, W K2576 (item 93): regions, sizes, no capability where nothing may be mapped. */
static void regions_t3_are_described(void **state)
{
	struct interop *t = *state;
	struct client *c = connect_client(t, CLIENT_QEMU);
	struct wire_device_info info;
	struct client_region region;

	assert_int_equal(client_device_info(c, &info), 0);
	assert_int_equal(info.flags & 3, 3);
	assert_int_equal(info.num_regions, WIRE_REGION_COUNT);
	assert_int_equal(info.num_irqs, 5);
	assert_int_equal(client_region_info(c, WIRE_REGION_BAR0, 32, &region), 0);
	assert_int_equal(region.info.flags, WIRE_REGION_READABLE | WIRE_REGION_WRITABLE);
	assert_true(region.info.size >= BAR0_MIN_SIZE);
	assert_int_equal(region.fd, -1);
	assert_int_equal(client_region_info(c, WIRE_REGION_CONFIG, 32, &region), 0);
	assert_int_equal(region.info.size, 4096);
	assert_int_equal(client_region_info(c, 8, 32, &region), 0);
	assert_int_equal(region.info.size, 0);
	assert_true(client_region_info(c, WIRE_REGION_COUNT, 32, &region) < 0);
	assert_true(client_region_info(c, UINT32_MAX, 32, &region) < 0);
}

/* TP T3: the two-phase rule with a mapped region: first the size, then capability and fd. */
static void regions_t3_mapped_come_in_two_phases(void **state)
{
	struct interop *t = *state;
	const struct daemon_target target = {
		.name = "mapped-info", .volumes = {"null:1G"}, .mapped = true};
	struct client *c = &t->host.client;
	char path[DAEMON_PATH_MAX];
	struct client_region region;

	interop_target_with(t, &target);
	assert_int_equal(client_connect(c, daemon_target_path(&t->daemon, target.name, path)), 0);
	assert_int_equal(client_negotiate(c, CLIENT_QEMU), 0);
	assert_int_equal(client_region_info(c, WIRE_REGION_BAR0, 32, &region), 0);
	assert_int_equal(region.info.argsz, 64);
	assert_int_equal(region.info.flags & WIRE_REGION_CAPS, 0);
	assert_int_equal(region.info.cap_offset, 0);
	assert_int_equal(region.fd, -1);
	assert_int_equal(client_region_info(c, WIRE_REGION_BAR0, 64, &region), 0);
	assert_int_equal(region.info.flags & (WIRE_REGION_CAPS | WIRE_REGION_MMAP),
			 WIRE_REGION_CAPS | WIRE_REGION_MMAP);
	assert_int_equal(region.info.cap_offset, 32);
	assert_true(region.has_sparse);
	assert_int_equal(region.sparse.offset, 0x1000);
	assert_int_equal(region.sparse.size, 0x1000);
	assert_true(region.fd >= 0);
	base_close(&region.fd);
	client_close(c);
	assert_int_equal(daemon_target_destroy(&t->daemon, target.name), 0);
}

/* TP T4: which maps are taken and which refused; after each the connection lives. */
static void maps_t4_are_checked(void **state)
{
	struct interop *t = *state;
	struct client *c = connect_client(t, CLIENT_QEMU);
	struct client_map map = {.iova = MiB, .size = MiB, .flags = 3};
	struct client_map bad;

	assert_int_equal(ram_open(&t->host.ram, 4 * MiB), 0);
	map.fd = t->host.ram.fd;
	assert_int_equal(client_dma_map(c, &map), 0);
	assert_int_equal(client_dma_map(c, &map), 0); /* identical */
	bad = map;
	bad.iova += MiB / 2;
	assert_true(client_dma_map(c, &bad) < 0); /* overlap */
	bad = map;
	bad.iova = 8 * MiB;
	bad.size = 0;
	assert_true(client_dma_map(c, &bad) < 0);
	bad.size = 100;
	assert_true(client_dma_map(c, &bad) < 0);
	bad.iova = UINT64_MAX - 4095;
	bad.size = 8192;
	assert_true(client_dma_map(c, &bad) < 0); /* wraps */
	bad = (struct client_map){.iova = 16 * MiB, .size = MiB, .flags = 3, .fd = -1};
	assert_int_equal(client_dma_map(c, &bad), 0); /* without fd */
	bad = (struct client_map){
		.iova = 32 * MiB, .size = MiB, .offset = MiB, .flags = 1, .fd = map.fd};
	assert_int_equal(client_dma_map(c, &bad), 0); /* read only, at an offset */
	assert_int_equal(client_dma_unmap_all(c), 0);
	assert_int_equal(client_dma_map(c, &map), 0);
}

/* TP T4: two descriptors for one region are refused and do not leak. */
static void maps_t4_take_one_descriptor(void **state)
{
	struct interop *t = *state;
	struct client *c = connect_client(t, CLIENT_QEMU);
	const struct wire_dma_map map = {sizeof(map), 3, 0, 0, MiB};
	unsigned before;
	int fds[2];

	assert_int_equal(ram_open(&t->host.ram, 4 * MiB), 0);
	fds[0] = fds[1] = t->host.ram.fd;
	before = daemon_fd_count(&t->daemon);
	for (unsigned i = 0; i < 20; i++) {
		struct client_message m = {
			.command = WIRE_DMA_MAP,
			.payload = &map,
			.payload_size = sizeof(map),
			.fds = fds,
			.fd_count = 2,
		};

		assert_true(client_call(c, &m) < 0);
	}
	assert_true(daemon_fd_count(&t->daemon) <= before + 1);
}

/* TP T5: unmap exact, in part, unknown, all. */
static void unmaps_t5_are_exact(void **state)
{
	struct interop *t = *state;
	struct client *c = connect_client(t, CLIENT_QEMU);

	assert_int_equal(ram_open(&t->host.ram, 4 * MiB), 0);
	assert_int_equal(ram_map_piece(&t->host.ram, c, 0, MiB), 0);
	assert_int_equal(ram_map_piece(&t->host.ram, c, MiB, MiB), 0);
	assert_true(client_dma_unmap(c, 0, MiB / 2) < 0);
	assert_true(client_dma_unmap(c, 4096, MiB) < 0);
	assert_int_equal(client_dma_unmap(c, 64 * MiB, MiB), -ENOENT);
	assert_true(client_dma_unmap(c, UINT64_MAX, 4096) < 0);
	assert_int_equal(client_dma_unmap(c, 0, MiB), 0);
	assert_int_equal(ram_map_piece(&t->host.ram, c, 0, MiB), 0);
	assert_int_equal(client_dma_unmap_all(c), 0);
	assert_int_equal(client_dma_unmap_all(c), 0);
	assert_int_equal(ram_map(&t->host.ram, c), 0);
}

/* TP T6: assign, take away, disable; what is out of range is refused and leaks nothing. */
static void irqs_t6_are_checked(void **state)
{
	const uint32_t assign = WIRE_IRQ_DATA_EVENTFD | WIRE_IRQ_TRIGGER;
	struct interop *t = *state;
	struct client *c = connect_client(t, CLIENT_QEMU);
	struct wire_irq_info info;
	unsigned before;
	int fds[8];

	for (unsigned i = 0; i < 8; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(client_irq_info(c, WIRE_IRQ_MSIX, &info), 0);
	assert_true(info.count >= 9);
	assert_true(info.flags & 1);
	assert_true(client_irq_info(c, 5, &info) < 0);
	before = daemon_fd_count(&t->daemon);
	for (unsigned round = 0; round < 10; round++) {
		assert_int_equal(
			client_irq_set(c, (struct wire_irq_set){0, assign, 2, 1, 8}, fds, 8), 0);
		assert_true(daemon_fd_count(&t->daemon) <= before + 8);
		assert_true(client_irq_set(c, (struct wire_irq_set){0, assign, 2, 1, 5}, fds, 8) <
			    0);
		assert_true(client_irq_set(c, (struct wire_irq_set){0, assign, 2, 1000, 8}, fds,
					   8) < 0);
		assert_true(client_irq_set(c, (struct wire_irq_set){0, assign, 2, UINT32_MAX, 2},
					   fds, 2) < 0);
		assert_true(client_irq_set(c, (struct wire_irq_set){0, assign | 8, 2, 0, 1}, fds,
					   1) < 0);
		assert_int_equal(
			client_irq_set(c, (struct wire_irq_set){0, assign, 2, 1, 8}, NULL, 0), 0);
		assert_int_equal(
			client_irq_set(c, (struct wire_irq_set){0, 0x21, 2, 0, 0}, NULL, 0), 0);
	}
	assert_true(daemon_fd_count(&t->daemon) <= before);
	for (unsigned i = 0; i < 8; i++)
		base_close(&fds[i]);
}

/* TP T6: DATA_NONE|TRIGGER with a count fires the vector (loop-back). */
static void irqs_t6_loop_back(void **state)
{
	struct interop *t = *state;
	struct client *c = connect_client(t, CLIENT_QEMU);
	CLEANUP_FD int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	uint64_t count;

	assert_int_equal(client_msix_assign(c, 3, fd), 0);
	assert_int_equal(client_irq_set(c, (struct wire_irq_set){0, 0x21, 2, 3, 1}, NULL, 0), 0);
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 1);
}

/* An error, or all ones for monitors that cannot take one (Cloud Hypervisor). */
static void expect_nothing_there(struct client *c, uint64_t offset, uint32_t count)
{
	uint8_t data[8];

	if (client_bar_read(c, offset, data, count))
		return;
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(data[i], 0xFF);
}

/* TP T7: reads and writes at the edges of regions. */
static void regions_t7_have_edges(void **state)
{
	struct interop *t = *state;
	struct client *c = connect_client(t, CLIENT_QEMU);
	struct client_region bar;
	uint8_t data[16] = {0};

	assert_int_equal(client_region_info(c, 0, 32, &bar), 0);
	for (uint32_t n = 1; n <= 8; n *= 2)
		assert_int_equal(client_bar_read(c, bar.info.size - n, data, n), 0);
	expect_nothing_there(c, bar.info.size - 4, 8);
	expect_nothing_there(c, bar.info.size, 4);
	expect_nothing_there(c, UINT64_MAX - 3, 4);
	assert_true(client_region_read(c, (struct wire_region_access){0, 77, 4}, data) < 0);
	assert_int_equal(client_config_read(c, 4092, data, 4), 0);
	assert_true(client_config_read(c, 4096, data, 1) < 0 || data[0] == 0xFF);
}

/* TP T7: a posted write gets no reply, not even when it is wrong. */
static void posted_t7_writes_are_silent(void **state)
{
	struct interop *t = *state;
	struct client *c = connect_client(t, CLIENT_QEMU);
	const uint32_t value = 0;

	assert_int_equal(client_bar_write(c, UINT64_MAX - 8, &value, 4), 0);
	assert_int_equal(client_bar_write(c, REG_CAP, &value, 4), 0);
	assert_true(client_region_read(c, (struct wire_region_access){0, 0, 8}, &(uint64_t){0}) ==
		    0);
}

/* TP T8: every byte of configuration space may be written; nothing of it is an error. */
static void config_t8_takes_every_write(void **state)
{
	struct interop *t = *state;
	struct client *c = connect_client(t, CLIENT_QEMU);
	const uint32_t ones = UINT32_MAX;
	uint32_t low, high;

	for (unsigned offset = 0; offset < 4096; offset++)
		assert_int_equal(client_config_write(c, offset, &ones, 1), 0);
	/* One of them asked for a reset of the function. BAR sizing: the mask of a 64-bit memory
	 * BAR of at least 16 KiB. */
	for (unsigned offset = 0x10; offset < 0x28; offset += 4)
		assert_int_equal(client_config_write(c, offset, &ones, 4), 0);
	assert_int_equal(client_config_read(c, 0x10, &low, 4), 0);
	assert_int_equal(client_config_read(c, 0x14, &high, 4), 0);
	assert_int_equal(low & 0xF, 4);
	assert_int_equal(high, UINT32_MAX);
	assert_true(~(low & ~0xFU) + 1 >= BAR0_MIN_SIZE);
	assert_int_equal(client_reset(c), 0);
	assert_int_equal(client_config_read(c, 0x10, &low, 4), 0);
	assert_int_equal(low, 4);
}

/* S, T: class code, capabilities by walking the list: power, MSI-X, PCI Express. */
static void config_has_the_capabilities(void **state)
{
	struct interop *t = *state;
	struct client *c = connect_client(t, CLIENT_CLOUD_HYPERVISOR);
	uint8_t config[256];
	bool seen[256] = {0};
	unsigned at, steps = 0;

	assert_int_equal(client_config_read(c, 0, config, sizeof(config)), 0);
	assert_int_equal(config[0x09], 0x02);
	assert_int_equal(config[0x0A], 0x08);
	assert_int_equal(config[0x0B], 0x01);
	assert_true(config[0x06] & 0x10);
	for (at = config[0x34]; at && steps < 48; at = config[at + 1], steps++)
		seen[config[at & 0xFC]] = true;
	assert_int_equal(at, 0);
	assert_true(seen[0x01] && seen[0x11] && seen[0x10]);
}

/* TP: commands nobody knows are refused with words, not with silence. */
static void unknown_commands_are_refused(void **state)
{
	static const uint16_t commands[] = {0, 6, 14, 16, 17, 18, 19, 0x7777, 0xFFFF};
	struct interop *t = *state;
	struct client *c = connect_client(t, CLIENT_QEMU);
	uint8_t reply[64];

	for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
		const uint8_t payload[16] = {16};
		struct client_message m = {
			.command = commands[i],
			.payload = payload,
			.payload_size = sizeof(payload),
			.reply = reply,
			.reply_capacity = sizeof(reply),
		};
		const int error = client_call(c, &m);

		assert_true(error < 0 || commands[i] == WIRE_GET_REGION_IO_FDS);
		assert_int_not_equal(error, -ETIMEDOUT);
		if (error == -ECONNRESET || error == -EPIPE)
			c = connect_client(t, CLIENT_QEMU);
	}
}

/* TP: payloads that are too short are refused and nothing is read beyond them. */
static void short_payloads_are_refused(void **state)
{
	struct interop *t = *state;
	struct client *c = connect_client(t, CLIENT_QEMU);
	uint8_t reply[128];

	for (uint16_t command = WIRE_DMA_MAP; command <= WIRE_REGION_WRITE; command++) {
		for (size_t size = 0; size < 16; size += 4) {
			const uint8_t payload[16] = {255, 255};
			struct client_message m = {
				.command = command,
				.payload = payload,
				.payload_size = size,
				.reply = reply,
				.reply_capacity = sizeof(reply),
			};
			const int error = client_call(c, &m);

			assert_true(error < 0);
			assert_int_not_equal(error, -ETIMEDOUT);
			if (error == -ECONNRESET || error == -EPIPE)
				c = connect_client(t, CLIENT_QEMU);
		}
	}
}

/* TP T9: a client that leaves after any step leaves nothing behind, and the next gets in. */
static void clients_t9_may_leave_at_any_step(void **state)
{
	struct interop *t = *state;
	const struct host_options options = {.flavour = CLIENT_QEMU, .interrupts = true};
	CLEANUP_FD int event_fd = eventfd(0, EFD_CLOEXEC);
	unsigned before;

	interop_open_with(t, &t->host, "null", options);
	host_close(&t->host);
	connect_client(t, CLIENT_QEMU);
	client_close(&t->host.client);
	client_sleep_us(100000);
	before = daemon_fd_count(&t->daemon);
	for (unsigned step = 0; step < 8; step++) {
		struct client *c = connect_raw(t);
		uint8_t bytes[RAW_MAX];
		const size_t size = raw_bar_read(bytes, 1, REG_CAP, 8);

		if (step >= 1)
			assert_int_equal(client_negotiate(c, CLIENT_QEMU), 0);
		if (step >= 2 && !t->host.ram.base)
			assert_int_equal(ram_open(&t->host.ram, 4 * MiB), 0);
		if (step >= 2)
			assert_int_equal(ram_map(&t->host.ram, c), 0);
		if (step >= 3)
			assert_int_equal(client_bar_write(c, REG_AQA, &(uint32_t){0x1F001F}, 4), 0);
		if (step >= 4)
			assert_int_equal(client_msix_assign(c, 0, event_fd), 0);
		if (step >= 5)
			assert_int_equal(client_send_bytes(c, bytes, size, NULL, 0), 0);
		if (step >= 6)
			assert_int_equal(client_send_bytes(c, bytes, size / 2, NULL, 0), 0);
		client_close(c);
	}
	connect_client(t, CLIENT_QEMU);
	client_close(&t->host.client);
	client_sleep_us(200000);
	assert_true(daemon_fd_count(&t->daemon) <= before);
}

/* TP: a second client does not disturb the first. */
static void second_client_waits_or_is_sent_away(void **state)
{
	struct interop *t = *state;
	struct host *host = interop_open(t, "null", 1);
	char path[DAEMON_PATH_MAX];

	assert_int_equal(
		client_connect(&t->other.client, daemon_target_path(&t->daemon, "null", path)), 0);
	t->other.client.timeout_ms = 200;
	assert_true(client_negotiate(&t->other.client, CLIENT_QEMU) < 0);
	assert_io(host, ST_OK, .opcode = IO_FLUSH, .nsid = 1);
	client_close(&t->other.client);
	assert_io(host, ST_OK, .opcode = IO_FLUSH, .nsid = 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		interop_test(version_t1_suits_each_client),
		interop_test(version_t1_refuses_what_it_cannot_speak),
		interop_test(version_comes_first_and_once),
		interop_test(messages_t2_may_be_cut_anywhere),
		interop_test(messages_t2_descriptors_come_with_the_second),
		interop_test(regions_t3_are_described),
		interop_test(regions_t3_mapped_come_in_two_phases),
		interop_test(maps_t4_are_checked),
		interop_test(maps_t4_take_one_descriptor),
		interop_test(unmaps_t5_are_exact),
		interop_test(irqs_t6_are_checked),
		interop_test(irqs_t6_loop_back),
		interop_test(regions_t7_have_edges),
		interop_test(posted_t7_writes_are_silent),
		interop_test(config_t8_takes_every_write),
		interop_test(config_has_the_capabilities),
		interop_test(unknown_commands_are_refused),
		interop_test(short_payloads_are_refused),
		interop_test(clients_t9_may_leave_at_any_step),
		interop_test(second_client_waits_or_is_sent_away),
	};

	return interop_main(tests);
}
