/* SPDX-License-Identifier: Apache-2.0 */
/* T3 region information, T7 region accesses, T8 reset; the other questions a client asks. */
#include "peer.h"

#include <sys/stat.h>

static struct message reply;

static uint32_t word(const struct message *message, size_t offset)
{
	uint32_t v;

	memcpy(&v, message->payload + offset, sizeof(v));
	return v;
}

static uint64_t long_word(const struct message *message, size_t offset)
{
	uint64_t v;

	memcpy(&v, message->payload + offset, sizeof(v));
	return v;
}

static uint32_t region_info(struct fixture *fixture, int fd, unsigned index, uint32_t argsz)
{
	const struct info_payload info = {.argsz = argsz, .flags = 0, .index = index};

	return peer_call(fixture, VFIO_GET_REGION_INFO, &info, 32, &reply);
}

static void t3_region_info_in_two_phases(void **state)
{
	struct fixture *fixture = fixture_new();
	struct stat ours, theirs;
	int fd = peer_open(fixture);

	assert_int_equal(region_info(fixture, fd, 0, 32), 0);
	assert_int_equal(reply.payload_bytes, 32);
	assert_int_equal(reply.fd_count, 0);
	assert_int_equal(word(&reply, 0), 64);
	assert_int_equal(word(&reply, 4), VFIO_REGION_R | VFIO_REGION_W | VFIO_REGION_MMAP);
	assert_int_equal(word(&reply, 12), 0);
	assert_int_equal(long_word(&reply, 16), BAR_BYTES);

	/* SPDK's host says 4064 at once. */
	for (uint32_t argsz = 64; argsz <= 4064; argsz += 4000) {
		assert_int_equal(region_info(fixture, fd, 0, argsz), 0);
		assert_int_equal(reply.payload_bytes, 64);
		assert_int_equal(word(&reply, 0), 64);
		assert_int_equal(word(&reply, 4), 0xF);
		assert_int_equal(word(&reply, 12), 32);
		assert_int_equal(long_word(&reply, 48), 0x1000);
		assert_int_equal(long_word(&reply, 56), 0x1000);
		assert_int_equal(reply.fd_count, 1);
		assert_int_equal(fstat(reply.fds[0], &theirs), 0);
		assert_int_equal(fstat(fixture->area_fd, &ours), 0);
		assert_int_equal(ours.st_ino, theirs.st_ino);
		close(reply.fds[0]);
	}

	assert_int_equal(region_info(fixture, fd, VFIO_REGION_CONFIG, 64), 0);
	assert_int_equal(word(&reply, 0), 32);
	assert_int_equal(long_word(&reply, 16), 4096);
	assert_int_equal(reply.fd_count, 0);
	assert_int_equal(region_info(fixture, fd, 8, 32), 0);
	assert_int_equal(long_word(&reply, 16), 0);
	assert_int_equal(word(&reply, 4), 0);
	assert_int_equal(region_info(fixture, fd, 9, 32), EINVAL);
	assert_int_equal(region_info(fixture, fd, 0, 31), EINVAL);
	close(fd);
	fixture_free(fixture);
}

static void device_and_irq_info(void **state)
{
	struct fixture *fixture = fixture_new();
	struct info_payload info = {.argsz = 32};
	const unsigned counts[] = {1, 0, 9, 1, 0};
	int fd = peer_open(fixture);

	assert_int_equal(peer_call(fixture, VFIO_GET_INFO, &info, 16, &reply), 0);
	assert_int_equal(reply.payload_bytes, 16);
	assert_int_equal(word(&reply, 4), VFIO_DEVICE_PCI | VFIO_DEVICE_RESET);
	assert_int_equal(word(&reply, 8), 9);
	assert_int_equal(word(&reply, 12), 5);
	for (unsigned i = 0; i < ARRAY_SIZE(counts); i++) {
		info.index = i;
		assert_int_equal(peer_call(fixture, VFIO_GET_IRQ_INFO, &info, 16, &reply), 0);
		assert_int_equal(word(&reply, 12), counts[i]);
		assert_int_equal(word(&reply, 4) & VFIO_IRQ_EVENTFD, counts[i] > 0);
	}
	info.index = 5;
	assert_int_equal(peer_call(fixture, VFIO_GET_IRQ_INFO, &info, 16, &reply), EINVAL);
	info = (struct info_payload){.argsz = 16};
	assert_int_equal(peer_call(fixture, VFIO_GET_REGION_IO_FDS, &info, 16, &reply), 0);
	assert_int_equal(reply.payload_bytes, 16);
	assert_int_equal(word(&reply, 12), 0);
	close(fd);
	fixture_free(fixture);
}

static uint32_t access_region(struct fixture *fixture, int fd, unsigned command,
			      struct access_payload access, size_t size_bytes)
{
	return peer_call(fixture, command, &access, size_bytes, &reply);
}

static void t7_accesses(void **state)
{
	struct fixture *fixture = fixture_new();
	struct access_payload access = {.region = 0, .data = {1, 2, 3, 4, 5, 6, 7, 8}};
	int fd = peer_open(fixture);

	for (unsigned length = 1; length <= 8; length *= 2) {
		access.offset = BAR_BYTES - length;
		access.count = length;
		assert_int_equal(access_region(fixture, fd, VFIO_REGION_WRITE, access, 16 + length),
				 0);
		assert_int_equal(reply.payload_bytes, 16);
		assert_int_equal(word(&reply, 12), length);
		assert_int_equal(access_region(fixture, fd, VFIO_REGION_READ, access, 16), 0);
		assert_int_equal(reply.payload_bytes, 16 + length);
		assert_memory_equal(reply.payload + 16, access.data, length);
	}
	access.count = 0;
	assert_int_equal(access_region(fixture, fd, VFIO_REGION_READ, access, 16), EINVAL);
	assert_int_equal(access_region(fixture, fd, VFIO_REGION_WRITE, access, 16), EINVAL);
	access.count = VFIO_DATA_MAX + 1;
	assert_int_equal(access_region(fixture, fd, VFIO_REGION_READ, access, 16), EINVAL);
	access.count = 4;
	assert_int_equal(access_region(fixture, fd, VFIO_REGION_WRITE, access, 16 + 3), EINVAL);
	access.region = 9;
	assert_int_equal(access_region(fixture, fd, VFIO_REGION_READ, access, 16), EINVAL);
	assert_int_equal(access_region(fixture, fd, VFIO_REGION_WRITE, access, 20), EINVAL);
	close(fd);
	fixture_free(fixture);
}

/* Behind the end, across it, in regions that are not there: ones, and no error. */
static void t7_misses_read_ones(void **state)
{
	static const struct access_payload misses[] = {
		{.offset = BAR_BYTES - 2, .region = 0, .count = 4},
		{.offset = BAR_BYTES, .region = 0, .count = 1},
		{.offset = UINT64_MAX - 1, .region = 0, .count = 4},
		{.offset = 4095, .region = 7, .count = 2},
		{.offset = 0, .region = 6, .count = 4},
		{.offset = 0, .region = 8, .count = 4},
		{.offset = 0, .region = 0, .count = VFIO_DATA_MAX},
	};
	struct fixture *fixture = fixture_new();
	int fd = peer_open(fixture);

	for (unsigned i = 0; i < ARRAY_SIZE(misses); i++) {
		assert_int_equal(access_region(fixture, fd, VFIO_REGION_READ, misses[i], 16), 0);
		assert_int_equal(reply.payload_bytes, 16 + misses[i].count);
		for (unsigned j = 0; j < misses[i].count; j++)
			assert_int_equal(reply.payload[16 + j], 0xFF);
		if (misses[i].count > 64)
			continue;
		assert_int_equal(access_region(fixture, fd, VFIO_REGION_WRITE, misses[i],
					       16 + misses[i].count),
				 0);
	}
	assert_int_equal(fixture->fake.writes, 0);
	close(fd);
	fixture_free(fixture);
}

static void t7_no_reply_means_none(void **state)
{
	struct fixture *fixture = fixture_new();
	const struct access_payload good = {.offset = 0x20, .count = 4, .data = {1}};
	const struct access_payload bad = {.region = 99, .count = 4};
	int fd = peer_open(fixture);
	uint8_t bytes[64];
	size_t n;

	n = message_make(bytes, VFIO_REGION_WRITE, VFIO_NO_REPLY, &good, 20);
	peer_send_raw(fixture, fd, bytes, n);
	n = message_make(bytes, VFIO_REGION_WRITE, VFIO_NO_REPLY, &bad, 20);
	peer_send_raw(fixture, fd, bytes, n);
	n = message_make(bytes, 99, VFIO_NO_REPLY, NULL, 0);
	peer_send_raw(fixture, fd, bytes, n);
	n = message_make(bytes, VFIO_RESET, VFIO_NO_REPLY, NULL, 0);
	peer_send_raw(fixture, fd, bytes, n);
	assert_true(peer_silent(fixture, fd));
	assert_int_equal(fixture->fake.last_value, 1);
	assert_int_equal(fixture->fake.resets, 1);
	assert_int_equal(peer_read(fixture, fd, 0, 0x20), 1);
	close(fd);
	fixture_free(fixture);
}

static void write_multi(void **state)
{
	struct fixture *fixture = fixture_new();
	uint8_t payload[8 + 3 * 24] = {3};
	int fd = peer_open(fixture);

	for (unsigned i = 0; i < 3; i++) {
		const struct access_payload write = {
			.offset = 0x1000 + 4 * i, .count = 4, .data = {(uint8_t)(i + 1)}};

		memcpy(payload + 8 + i * 24, &write, 24);
	}
	assert_int_equal(
		peer_call(fixture, VFIO_REGION_WRITE_MULTI, payload, sizeof(payload), &reply), 0);
	assert_int_equal(reply.payload_bytes, 8);
	assert_int_equal(reply.payload[0], 3);
	assert_int_equal(fixture->fake.writes, 3);
	assert_true(fixture->fake.in_order);

	/* One bad entry, and none is done. */
	payload[8 + 2 * 24 + 8] = 77;
	assert_int_equal(
		peer_call(fixture, VFIO_REGION_WRITE_MULTI, payload, sizeof(payload), &reply),
		EINVAL);
	assert_int_equal(fixture->fake.writes, 3);
	close(fd);
	fixture_free(fixture);
}

static void t8_reset_waits_for_the_device(void **state)
{
	struct fixture *fixture = fixture_new();
	int fd = peer_open(fixture);

	fixture->fake.hold_reset = true;
	peer_send(fixture, fd, VFIO_RESET, NULL, 0);
	fixture_await(fixture, VFIO_STATE_RESETTING);

	/* What comes meanwhile waits, in order. */
	peer_send(fixture, fd, VFIO_GET_INFO, &(struct info_payload){.argsz = 16}, 16);
	assert_true(peer_silent(fixture, fd));
	fake_reset_release(fixture);
	assert_true(peer_receive(fixture, fd, &reply));
	assert_int_equal(reply.header.command, VFIO_RESET);
	assert_int_equal(reply.header.flags, VFIO_TYPE_REPLY);
	assert_true(peer_receive(fixture, fd, &reply));
	assert_int_equal(reply.header.command, VFIO_GET_INFO);
	close(fd);
	fixture_free(fixture);
}

static void t8_reset_is_answered_in_time(void **state)
{
	struct fixture *fixture = fixture_new();
	int fd = peer_open(fixture);
	uint64_t before = loop_clock_ns(fixture->loop), waited;

	fixture->fake.hold_reset = true;
	assert_int_equal(peer_call(fixture, VFIO_RESET, NULL, 0, &reply), ETIMEDOUT);
	waited = loop_clock_ns(fixture->loop) - before;
	assert_in_range(waited, VFIO_RESET_WAIT_NS, 5 * NS_PER_S - 1);
	assert_int_equal(peer_read(fixture, fd, 0, 0), 0);

	/* The next reset comes after the one that hangs. */
	peer_send(fixture, fd, VFIO_RESET, NULL, 0);
	fixture_await(fixture, VFIO_STATE_RESETTING);
	assert_int_equal(fixture->fake.resets, 1);
	fake_reset_release(fixture);
	assert_true(peer_receive(fixture, fd, &reply));
	assert_int_equal(reply.header.flags, VFIO_TYPE_REPLY);
	assert_int_equal(fixture->fake.resets, 2);
	close(fd);
	fixture_free(fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t3_region_info_in_two_phases),
		cmocka_unit_test(device_and_irq_info),
		cmocka_unit_test(t7_accesses),
		cmocka_unit_test(t7_misses_read_ones),
		cmocka_unit_test(t7_no_reply_means_none),
		cmocka_unit_test(write_multi),
		cmocka_unit_test(t8_reset_waits_for_the_device),
		cmocka_unit_test(t8_reset_is_answered_in_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
