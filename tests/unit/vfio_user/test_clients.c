/* SPDX-License-Identifier: Apache-2.0 */
/* T9: clients that come twice, die, or send too many descriptors; and the socket's file. */
#include "peer.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

static struct message reply;

static void a_second_client_is_closed_at_once(void **state)
{
	struct fixture *fixture = fixture_new();
	int first = peer_open(fixture), second = peer_connect(fixture);

	assert_false(peer_receive(fixture, second, &reply));
	assert_int_equal(peer_read(fixture, first, 0, 0), 0);
	assert_int_equal(fixture->server.connections, 1);
	close(second);

	/* One that comes while the device still works for the last waits its turn. */
	fixture->fake.hold_reset = true;
	close(first);
	fixture_await(fixture, VFIO_STATE_LEAVING);
	second = peer_connect(fixture);
	assert_true(peer_silent(fixture, second));
	fake_reset_release(fixture);
	assert_int_equal(peer_call(fixture, VFIO_VERSION, &(uint32_t){0}, 4, &reply), 0);
	assert_int_equal(fixture->server.client_pid, getpid());
	close(second);
	fixture_free(fixture);
}

/* The next client connects before the loop has turned once since the last one left. */
static void a_client_right_behind_another(void **state)
{
	struct fixture *fixture = fixture_new();
	int fd = peer_open(fixture);

	for (unsigned i = 0; i < 20; i++) {
		close(fd);
		fd = peer_connect(fixture);
		assert_int_equal(peer_call(fixture, VFIO_VERSION, &(uint32_t){0}, 4, &reply), 0);
	}
	close(fd);
	fixture_free(fixture);
}

struct step {
	unsigned command;
	size_t payload_bytes;
	unsigned fd_count;
	uint32_t payload[16];
};

/* A session; each prefix of its bytes is the last thing some client does. */
static const struct step steps[] = {
	{VFIO_VERSION, 4, 0, {0}},
	{VFIO_DMA_MAP, 32, 1, {32, 3, 0, 0, 0x10000, 0, 0x4000, 0}},
	{VFIO_DMA_MAP, 32, 0, {32, 3, 0, 0, 0x20000, 0, 0x4000, 0}},
	{VFIO_GET_INFO, 16, 0, {16}},
	{VFIO_GET_REGION_INFO, 32, 0, {64}},
	{VFIO_SET_IRQS, 20, 1, {20, 0x24, 2, 0, 1}},
	{VFIO_SET_IRQS, 20, 1, {20, 0x14, 0, 0, 1}},
	{VFIO_REGION_WRITE, 20, 0, {0x1000, 0, 0, 4, 7}},
	{VFIO_RESET, 0, 0, {0}},
	{VFIO_DMA_UNMAP, 24, 0, {24, 2}},
};

/* Sends `count` whole steps and `extra` bytes of the next; true when there was such a byte. */
static bool steps_send(struct fixture *fixture, int fd, unsigned count, size_t extra)
{
	for (unsigned i = 0; i <= count && i < ARRAY_SIZE(steps); i++) {
		const struct step *step = &steps[i];
		int what = step->command == VFIO_DMA_MAP ? memory_file(0x4000)
							 : eventfd(0, EFD_CLOEXEC);
		uint8_t bytes[128];
		size_t size_bytes =
			message_make(bytes, step->command, 0, step->payload, step->payload_bytes);

		if (i < count || extra > 0)
			peer_send_raw(peer_attach(fixture, &what, step->fd_count), fd, bytes,
				      i < count ? size_bytes : extra);
		close(what);
		if (i == count)
			return extra + 1 < size_bytes;
		if (i > 0) /* Not always: a client may also send on without waiting. */
			fixture_turn(fixture, i % 3);
	}
	return false;
}

static void t9_killed_at_every_byte(void **state)
{
	struct fixture *fixture = fixture_new();
	unsigned before = open_fd_count(), deaths = 0;

	for (unsigned count = 0; count <= ARRAY_SIZE(steps); count++) {
		bool more = true;

		for (size_t extra = 0; more; extra++) {
			int fd = peer_connect(fixture);

			more = steps_send(fixture, fd, count, extra);
			fixture_turn(fixture, extra % 2 ? 5 : 0);
			close(fd);
			fixture_turn(fixture, 5);
			fixture_await(fixture, VFIO_STATE_IDLE);
			deaths++;
		}
	}
	assert_true(deaths > 300);
	assert_int_equal(open_fd_count(), before);
	assert_int_equal(guest_memory_region_count(fixture->memory), 0);
	close(peer_open(fixture));
	fixture_free(fixture);
}

static void t9_dies_during_reset(void **state)
{
	struct fixture *fixture = fixture_new();
	int fd = peer_open(fixture);

	fixture->fake.hold_reset = true;
	peer_send(fixture, fd, VFIO_RESET, NULL, 0);
	fixture_await(fixture, VFIO_STATE_RESETTING);
	close(fd);
	fixture_turn(fixture, 20);
	fake_reset_release(fixture);
	fixture_await(fixture, VFIO_STATE_IDLE);
	assert_int_equal(fixture->fake.disconnects, 1);
	fixture_free(fixture);
}

static void stop_with_a_client(void **state)
{
	struct fixture *fixture = fixture_new();
	int fd = peer_open(fixture), file = memory_file(0x10000);

	assert_int_equal(peer_map(fixture, 0, 0x10000, 3, file), 0);
	fixture->fds_before += 2;
	fixture_free(fixture);
	assert_int_equal(recv(fd, reply.payload, 1, 0), 0);
	close(fd);
	close(file);
}

static void too_many_fds(void **state)
{
	struct fixture *fixture = fixture_new();
	unsigned before;
	int fds[200], fd;
	uint8_t bytes[16];

	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	before = open_fd_count();
	fd = peer_open(fixture);
	/* 64 are taken, and refused by the command. */
	assert_int_equal(peer_call(peer_attach(fixture, fds, 64), VFIO_RESET, NULL, 0, &reply),
			 EINVAL);
	assert_int_equal(open_fd_count(), before + 2);
	/* More do not fit. */
	message_make(bytes, VFIO_RESET, 0, NULL, 0);
	peer_send_raw(peer_attach(fixture, fds, 200), fd, bytes, sizeof(bytes));
	assert_false(peer_receive(fixture, fd, &reply));
	close(fd);
	/* Nor do they in pieces. */
	fd = peer_open(fixture);
	for (unsigned i = 0; i < 3; i++)
		peer_send_raw(peer_attach(fixture, fds, 30), fd, bytes + i, 1);
	assert_false(peer_receive(fixture, fd, &reply));
	close(fd);
	fixture_await(fixture, VFIO_STATE_IDLE);
	assert_int_equal(open_fd_count(), before);
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	fixture_free(fixture);
}

/* --- The socket's file --------------------------------------------------------------------- */

static void socket_mode_and_removal(void **state)
{
	mode_t masks[] = {0, 022, 0777};
	struct vfio_socket sock;
	struct stat status;
	struct err err;

	for (unsigned i = 0; i < ARRAY_SIZE(masks); i++) {
		mode_t before = umask(masks[i]);

		assert_int_equal(vfio_socket_open(&sock, "/tmp/quoin-mode.sock", &err), 0);
		umask(before);
		assert_int_equal(stat("/tmp/quoin-mode.sock", &status), 0);
		assert_true(S_ISSOCK(status.st_mode));
		assert_int_equal(status.st_mode & 0777, 0600);
		vfio_socket_close(&sock);
		assert_int_equal(stat("/tmp/quoin-mode.sock", &status), -1);
		assert_int_equal(stat("/tmp/quoin-mode.sock.lock", &status), -1);
	}
}

static void socket_left_over_is_replaced(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/tmp/quoin-old.sock"};
	int old = socket(AF_UNIX, SOCK_STREAM, 0);
	struct vfio_socket sock, second;
	struct err err = {0};

	unlink(address.sun_path);
	assert_int_equal(bind(old, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(old, 1), 0);
	assert_int_equal(vfio_socket_open(&sock, address.sun_path, &err), -EADDRINUSE);
	close(old);
	assert_int_equal(vfio_socket_open(&sock, address.sun_path, &err), 0);
	assert_int_equal(vfio_socket_open(&second, address.sun_path, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, address.sun_path));
	vfio_socket_close(&sock);
}

static void socket_errors_say_what_to_do(void **state)
{
	static const struct {
		const char *path;
		int code;
		const char *words;
	} cases[] = {
		{"", -EINVAL, "empty"},
		{"/nonexistent/quoin.sock", -ENOENT, "directory does not exist"},
		{"/proc/quoin.sock", -ENOENT, "/proc/quoin.sock"},
		{"/tmp/quoin-file.sock", -EEXIST, "not a socket"},
		{"/tmp/0123456789012345678901234567890123456789012345678901234567890123456789"
		 "01234567890123456789012345678901234567890123456789.sock",
		 -ENAMETOOLONG, "at most 107"},
	};
	struct vfio_socket sock;
	unsigned before = open_fd_count();

	close(open("/tmp/quoin-file.sock", O_CREAT | O_WRONLY, 0600));
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err = {0};

		assert_int_equal(vfio_socket_open(&sock, cases[i].path, &err), cases[i].code);
		assert_int_equal(err.code, cases[i].code);
		if (!strstr(err.text, cases[i].words))
			fail_msg("%s", err.text);
	}
	unlink("/tmp/quoin-file.sock");
	assert_int_equal(open_fd_count(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_second_client_is_closed_at_once),
		cmocka_unit_test(a_client_right_behind_another),
		cmocka_unit_test(t9_killed_at_every_byte),
		cmocka_unit_test(t9_dies_during_reset),
		cmocka_unit_test(stop_with_a_client),
		cmocka_unit_test(too_many_fds),
		cmocka_unit_test(socket_mode_and_removal),
		cmocka_unit_test(socket_left_over_is_replaced),
		cmocka_unit_test(socket_errors_say_what_to_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
