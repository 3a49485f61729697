/* SPDX-License-Identifier: Apache-2.0 */
/* T1 version, T2 framing, T12 floods: the stream, whatever its pieces. */
#include "peer.h"
#include "version.h"

#include <sys/socket.h>

static struct message reply;

static void t1_version(void **state)
{
	struct fixture *fixture = fixture_new();
	uint8_t hello[64] = {0, 0, 0, 0};
	int fd = peer_connect(fixture);

	/* 0.0 with a bare version. */
	assert_int_equal(peer_call(fixture, VFIO_VERSION, hello, 4, &reply), 0);
	assert_int_equal(reply.payload[2], 0);
	assert_in_range(reply.header.size_bytes, 20, VFIO_VERSION_REPLY_MAX);
	assert_int_equal(reply.payload[reply.payload_bytes - 1], 0);
	close(fd);

	/* A minor that is newer than ours. */
	fixture_await(fixture, VFIO_STATE_IDLE);
	fd = peer_connect(fixture);
	hello[2] = 9;
	assert_int_equal(peer_call(fixture, VFIO_VERSION, hello, 4, &reply), 0);
	assert_int_equal(reply.payload[2], 1);

	/* A second VERSION. */
	assert_int_equal(peer_call(fixture, VFIO_VERSION, hello, 4, &reply), EINVAL);
	assert_false(peer_receive(fixture, fd, &reply));
	close(fd);

	/* A major that is not ours, and JSON without its NUL: an error, and the end. */
	for (unsigned i = 0; i < 2; i++) {
		const uint8_t bad[2][6] = {{1, 0, 0, 0}, {0, 0, 0, 0, '{', '}'}};

		fixture_await(fixture, VFIO_STATE_IDLE);
		fd = peer_connect(fixture);
		assert_int_equal(peer_call(fixture, VFIO_VERSION, bad[i], i ? 6 : 4, &reply),
				 EINVAL);
		assert_false(peer_receive(fixture, fd, &reply));
		close(fd);
	}
	assert_string_not_equal(fixture->server.why, "");
	assert_int_equal(fixture->server.errors, 3);
	fixture_free(fixture);
}

static void t1_message_before_version(void **state)
{
	struct fixture *fixture = fixture_new();
	int fd = peer_connect(fixture);

	assert_int_equal(peer_call(fixture, VFIO_RESET, NULL, 0, &reply), EINVAL);
	assert_false(peer_receive(fixture, fd, &reply));
	assert_int_equal(fixture->fake.resets, 1);
	assert_int_equal(fixture->fake.disconnects, 1);
	close(fd);
	fixture_free(fixture);
}

#define MAP_BYTES (VFIO_HEADER_BYTES + sizeof(struct map_payload))

/* A whole session as bytes; the DMA_MAP in it wants a descriptor with its first byte. */
struct script {
	uint8_t bytes[512];
	size_t size_bytes;
	size_t map_at;
	unsigned replies;
};

static void script_add(struct script *script, unsigned command, const void *payload,
		       size_t payload_bytes)
{
	script->size_bytes += message_make(script->bytes + script->size_bytes, command, 0, payload,
					   payload_bytes);
	script->replies++;
}

static struct script script_new(void)
{
	const struct map_payload map = {32, 3, 0, 0x10000, 0x4000};
	const struct info_payload info = {.argsz = 16};
	const struct access_payload write = {
		.offset = 0x14, .region = 0, .count = 4, .data = {1, 0, 0, 0}};
	struct script script = {0};

	script_add(&script, VFIO_VERSION, &(uint32_t){0}, 4);
	script_add(&script, VFIO_GET_INFO, &info, 16);
	script.map_at = script.size_bytes;
	script_add(&script, VFIO_DMA_MAP, &map, sizeof(map));
	script_add(&script, VFIO_REGION_READ, &write, VFIO_ACCESS_BYTES);
	script_add(&script, VFIO_REGION_WRITE, &write, VFIO_ACCESS_BYTES + 4);
	script_add(&script, VFIO_RESET, NULL, 0);
	return script;
}

/* Sends [from, to) of the script, the descriptor with the message that it belongs to. */
static void script_send(struct fixture *fixture, int fd, const struct script *script, size_t from,
			size_t to)
{
	int memory = memory_file(0x4000);

	if (from < script->map_at && script->map_at < to) {
		peer_send_raw(fixture, fd, script->bytes + from, script->map_at - from);
		from = script->map_at;
	}
	if (from == script->map_at && to > from) {
		size_t end = MIN(to, script->map_at + MAP_BYTES);

		peer_send_raw(peer_attach(fixture, &memory, 1), fd, script->bytes + from,
			      end - from);
		from = end;
	}
	if (to > from)
		peer_send_raw(fixture, fd, script->bytes + from, to - from);
	close(memory);
}

static void script_verify(struct fixture *fixture, int fd, const struct script *script)
{
	for (unsigned i = 0; i < script->replies; i++) {
		assert_true(peer_receive(fixture, fd, &reply));
		assert_int_equal(reply.header.flags, VFIO_TYPE_REPLY);
	}
	assert_non_null(guest_resolve(fixture->memory, (struct guest_addr){0x10000}, 0x4000, 3));
	assert_int_equal(fixture->fake.last_value, 1);
	assert_int_equal(fixture->fake.resets - fixture->fake.disconnects, 1);
	close(fd);
	fixture_await(fixture, VFIO_STATE_IDLE);
	fixture->fake.last_value = 0;
	fixture->fake.resets = 0;
	fixture->fake.disconnects = 0;
}

static void t2_split_at_every_byte(void **state)
{
	struct fixture *fixture = fixture_new();
	const struct script script = script_new();

	for (size_t cut = 1; cut < script.size_bytes; cut++) {
		int fd = peer_connect(fixture);

		script_send(fixture, fd, &script, 0, cut);
		fixture_turn(fixture, 3);
		script_send(fixture, fd, &script, cut, script.size_bytes);
		script_verify(fixture, fd, &script);
	}
	fixture_free(fixture);
}

static void t2_byte_by_byte(void **state)
{
	struct fixture *fixture = fixture_new();
	const struct script script = script_new();
	int fd = peer_connect(fixture);

	for (size_t at = 0; at < script.size_bytes; at++) {
		script_send(fixture, fd, &script, at, at + 1);
		fixture_turn(fixture, 2);
	}
	script_verify(fixture, fd, &script);
	fixture_free(fixture);
}

static void t2_all_at_once(void **state)
{
	struct fixture *fixture = fixture_new();
	const struct script script = script_new();
	int fd = peer_connect(fixture);

	script_send(fixture, fd, &script, 0, script.size_bytes);
	script_verify(fixture, fd, &script);
	fixture_free(fixture);
}

/* Maps three pages in one go; only the middle one comes with a descriptor. */
static void middle_map_gets_the_fd(struct fixture *fixture, bool one_segment)
{
	uint8_t bytes[3 * 48];
	int fd = peer_open(fixture), memory = memory_file(PAGE);

	for (unsigned i = 0; i < 3; i++) {
		const struct map_payload map = {32, 3, 0, i * PAGE, PAGE};

		message_make(bytes + i * 48, VFIO_DMA_MAP, 0, &map, sizeof(map));
	}
	if (one_segment) {
		peer_send_raw(peer_attach(fixture, &memory, 1), fd, bytes, 96);
	} else {
		peer_send_raw(fixture, fd, bytes, 48);
		peer_send_raw(peer_attach(fixture, &memory, 1), fd, bytes + 48, 48);
	}
	peer_send_raw(fixture, fd, bytes + 96, 48);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(peer_receive(fixture, fd, &reply));
		assert_int_equal(reply.header.flags, VFIO_TYPE_REPLY);
	}
	assert_null(guest_resolve(fixture->memory, (struct guest_addr){0}, 1, GUEST_READ));
	assert_non_null(guest_resolve(fixture->memory, (struct guest_addr){PAGE}, 1, GUEST_READ));
	assert_null(guest_resolve(fixture->memory, (struct guest_addr){2 * PAGE}, 1, GUEST_READ));
	close(memory);
	close(fd);
}

static void t2_fds_of_the_second_message(void **state)
{
	struct fixture *fixture = fixture_new();

	middle_map_gets_the_fd(fixture, true);
	middle_map_gets_the_fd(fixture, false);
	fixture_free(fixture);
}

static void t2_bad_headers_end_it(void **state)
{
	static const struct vfio_header bad[] = {
		{1, VFIO_RESET, 15, 0, 0},
		{1, VFIO_RESET, 0, 0, 0},
		{1, VFIO_REGION_WRITE, VFIO_MESSAGE_MAX + 1, 0, 0},
		{1, VFIO_RESET, UINT32_MAX, 0, 0},
		{1, VFIO_RESET, 16, VFIO_TYPE_REPLY, 0},
		{1, VFIO_RESET, 16, 2, 0},
	};
	struct fixture *fixture = fixture_new();

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		uint8_t bytes[VFIO_HEADER_BYTES];
		int fd = peer_open(fixture);

		vfio_header_encode(bytes, &bad[i]);
		peer_send_raw(fixture, fd, bytes, sizeof(bytes));
		assert_false(peer_receive(fixture, fd, &reply));
		assert_string_equal(fixture->server.why, "a message with a bad header");
		close(fd);
	}
	fixture_free(fixture);
}

static void t2_unknown_commands_and_short_payloads(void **state)
{
	struct fixture *fixture = fixture_new();
	int fd = peer_open(fixture);
	uint8_t zeros[32] = {0};

	for (unsigned command = 0; command < 40; command++) {
		if (command == VFIO_VERSION || command == VFIO_RESET)
			continue;
		assert_int_not_equal(peer_call(fixture, command, NULL, 0, &reply), 0);
		if (command != VFIO_REGION_WRITE_MULTI)
			assert_int_not_equal(peer_call(fixture, command, zeros, 32, &reply), 0);
	}
	assert_int_equal(peer_call(fixture, VFIO_FEATURE, zeros, 8, &reply), ENOTTY);
	close(fd);
	fixture_free(fixture);
}

static void t12_posted_flood_keeps_order(void **state)
{
	enum { WRITES = 1000000, BATCH = 500 };
	struct fixture *fixture = fixture_new();
	int fd = peer_open(fixture);
	static uint8_t bytes[BATCH * 36];

	for (unsigned sent = 0; sent < WRITES; sent += BATCH) {
		for (unsigned i = 0; i < BATCH; i++) {
			struct access_payload write = {.offset = 0x1000, .region = 0, .count = 4};
			uint32_t value = sent + i + 1;

			memcpy(write.data, &value, sizeof(value));
			message_make(bytes + i * 36, VFIO_REGION_WRITE, VFIO_NO_REPLY, &write, 20);
		}
		peer_send_raw(fixture, fd, bytes, sizeof(bytes));
	}
	assert_int_equal(peer_read(fixture, fd, 0, 0x1000), WRITES);
	assert_int_equal(fixture->fake.writes, WRITES);
	assert_true(fixture->fake.in_order);
	assert_true(peer_silent(fixture, fd));
	close(fd);
	fixture_free(fixture);
}

/* A client that never reads its replies is not read from either. */
static void t12_replies_nobody_reads(void **state)
{
	struct fixture *fixture = fixture_new();
	const struct access_payload read = {.offset = 0, .region = 7, .count = 4096};
	int fd = peer_open(fixture);
	unsigned sent = 0, received = 0;
	uint8_t bytes[64];
	size_t size_bytes = message_make(bytes, VFIO_REGION_READ, 0, &read, VFIO_ACCESS_BYTES);

	for (unsigned idle = 0; idle < 50; idle++) {
		while (send(fd, bytes, size_bytes, MSG_NOSIGNAL | MSG_DONTWAIT) ==
		       (ssize_t)size_bytes) {
			sent++;
			idle = 0;
		}
		fixture_turn(fixture, 1);
	}
	assert_in_range(sent, 10, 100000);
	while (received < sent) {
		assert_true(peer_receive(fixture, fd, &reply));
		assert_int_equal(reply.payload_bytes, VFIO_ACCESS_BYTES + 4096);
		received++;
	}
	assert_true(peer_silent(fixture, fd));
	close(fd);
	fixture_free(fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t1_version),
		cmocka_unit_test(t1_message_before_version),
		cmocka_unit_test(t2_split_at_every_byte),
		cmocka_unit_test(t2_byte_by_byte),
		cmocka_unit_test(t2_all_at_once),
		cmocka_unit_test(t2_fds_of_the_second_message),
		cmocka_unit_test(t2_bad_headers_end_it),
		cmocka_unit_test(t2_unknown_commands_and_short_payloads),
		cmocka_unit_test(t12_posted_flood_keeps_order),
		cmocka_unit_test(t12_replies_nobody_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
