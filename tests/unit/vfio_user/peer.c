/* SPDX-License-Identifier: Apache-2.0 */
/* The fixture, the fake device, and the raw client of the vfio-user tests. */
#include "peer.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define PATIENCE 20000 /* turns of at most 1 ms until a test gives up */

/* --- The device ---------------------------------------------------------------------------- */

static void fake_read(void *device, unsigned region, uint64_t offset, void *data, unsigned length)
{
	struct fake *fake = device;
	const uint8_t *from = region == VFIO_REGION_CONFIG ? fake->config : fake->bar;

	memcpy(data, from + offset, length);
}

static void fake_write(void *device, unsigned region, uint64_t offset, const void *data,
		       unsigned length)
{
	struct fake *fake = device;

	fake->writes++;
	memcpy((region == VFIO_REGION_CONFIG ? fake->config : fake->bar) + offset, data, length);
	if (region != 0 || length != sizeof(uint32_t))
		return;
	uint32_t value;

	memcpy(&value, data, sizeof(value));
	fake->in_order = fake->in_order && value == fake->last_value + 1;
	fake->last_value = value;
}

static void fake_memory_changed(void *device)
{
	((struct fake *)device)->memory_changes++;
}

static void fake_reset(void *device, bool disconnected)
{
	struct fake *fake = device;

	fake->resets++;
	fake->disconnects += disconnected;
	fake->reset_held = fake->hold_reset;
	if (!fake->hold_reset)
		vfio_server_reset_done(fake->server);
}

static const struct vfio_device_ops fake_ops = {
	.region_read = fake_read,
	.region_write = fake_write,
	.memory_changed = fake_memory_changed,
	.reset = fake_reset,
};

void fake_reset_release(struct fixture *fixture)
{
	assert_true(fixture->fake.reset_held);
	fixture->fake.reset_held = false;
	fixture->fake.hold_reset = false;
	vfio_server_reset_done(&fixture->server);
}

/* --- The fixture --------------------------------------------------------------------------- */

unsigned open_fd_count(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static void regions_fill(struct fixture *fixture)
{
	struct vfio_region *regions = fixture->server.regions;

	regions[0] = (struct vfio_region){
		.size_bytes = BAR_BYTES,
		.flags = VFIO_REGION_R | VFIO_REGION_W | VFIO_REGION_MMAP,
		.fd = fixture->area_fd,
		.area_offset = 0x1000,
		.area_bytes = 0x1000,
	};
	regions[VFIO_REGION_CONFIG] = (struct vfio_region){
		.size_bytes = 4096, .flags = VFIO_REGION_R | VFIO_REGION_W, .fd = -1};
}

struct fixture *fixture_new(void)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	const struct loop_params loop = {.name = "test", .cpu = -1};
	struct vfio_server_params params = {
		.name = "test", .ops = &fake_ops, .vectors = 9, .intx = true};
	struct err err = {0};

	fixture->fds_before = open_fd_count();
	fixture->fake.in_order = true;
	fixture->fake.server = &fixture->server;
	guest_sigbus_install();
	assert_int_equal(loop_new(&loop, &fixture->loop), 0);
	assert_int_equal(guest_memory_new(&fixture->memory), 0);
	fixture->area_fd = memory_file(BAR_BYTES);
	snprintf(fixture->path, sizeof(fixture->path), "/tmp/quoin-vfio-user-%d.sock", getpid());
	params.loop = fixture->loop;
	params.device = &fixture->fake;
	params.memory = fixture->memory;
	params.socket_path = fixture->path;
	if (vfio_server_init(&fixture->server, &params, &err) < 0)
		fail_msg("%s", err.text);
	regions_fill(fixture);
	return fixture;
}

static void fixture_stopped(struct vfio_server *server)
{
	container_of(server, struct fixture, server)->stopped = true;
}

void fixture_free(struct fixture *fixture)
{
	vfio_server_stop(&fixture->server, fixture_stopped);
	for (unsigned i = 0; i < PATIENCE && !fixture->stopped; i++)
		loop_turn(fixture->loop, NS_PER_MS);
	assert_true(fixture->stopped);
	vfio_server_fini(&fixture->server);
	guest_memory_free(fixture->memory);
	loop_free(fixture->loop);
	close(fixture->area_fd);
	assert_int_equal(open_fd_count(), fixture->fds_before);
	free(fixture);
}

void fixture_turn(struct fixture *fixture, unsigned turns)
{
	for (unsigned i = 0; i < turns; i++)
		loop_turn(fixture->loop, 0);
}

void fixture_await(struct fixture *fixture, enum vfio_server_state state)
{
	for (unsigned i = 0; i < PATIENCE && fixture->server.state != state; i++)
		loop_turn(fixture->loop, NS_PER_MS);
	assert_int_equal(fixture->server.state, state);
}

/* --- The client ---------------------------------------------------------------------------- */

int peer_connect(struct fixture *fixture)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	strncpy(address.sun_path, fixture->path, sizeof(address.sun_path) - 1);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	fixture->fd = fd;
	return fd;
}

int peer_open(struct fixture *fixture)
{
	static struct message reply;
	const uint16_t version[2] = {0, 1};
	int fd;

	fixture_await(fixture, VFIO_STATE_IDLE);
	fd = peer_connect(fixture);
	assert_int_equal(peer_call(fixture, VFIO_VERSION, version, sizeof(version), &reply), 0);
	return fd;
}

static void control_fill(struct msghdr *message, void *control, const int *fds, unsigned fd_count)
{
	struct cmsghdr *part;

	if (fd_count == 0)
		return;
	message->msg_control = control;
	message->msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
	part = CMSG_FIRSTHDR(message);
	part->cmsg_level = SOL_SOCKET;
	part->cmsg_type = SCM_RIGHTS;
	part->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
	memcpy(CMSG_DATA(part), fds, fd_count * sizeof(int));
}

struct fixture *peer_attach(struct fixture *fixture, const int *fds, unsigned fd_count)
{
	fixture->send_fds = fds;
	fixture->send_fd_count = fd_count;
	return fixture;
}

void peer_send_raw(struct fixture *fixture, int fd, const void *bytes, size_t size_bytes)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(256 * sizeof(int))] = {0};
	size_t sent = 0;

	fixture->fd = fd;
	for (unsigned i = 0; i < PATIENCE && sent < size_bytes; i++) {
		struct iovec iov = {.iov_base = (char *)(uintptr_t)bytes + sent,
				    .iov_len = size_bytes - sent};
		struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
		ssize_t n;

		control_fill(&message, control, fixture->send_fds, fixture->send_fd_count);
		n = sendmsg(fd, &message, MSG_NOSIGNAL);
		if (n < 0 && errno == EPIPE)
			return;
		if (n < 0) {
			loop_turn(fixture->loop, NS_PER_MS);
			continue;
		}
		sent += (size_t)n;
		peer_attach(fixture, NULL, 0);
	}
	assert_int_equal(sent, size_bytes);
}

size_t message_make(uint8_t *bytes, unsigned command, uint32_t flags, const void *payload,
		    size_t payload_bytes)
{
	const struct vfio_header header = {
		.id = (uint16_t)(0x4000 + command),
		.command = (uint16_t)command,
		.size_bytes = (uint32_t)(VFIO_HEADER_BYTES + payload_bytes),
		.flags = flags,
	};

	vfio_header_encode(bytes, &header);
	if (payload_bytes > 0)
		memcpy(bytes + VFIO_HEADER_BYTES, payload, payload_bytes);
	return header.size_bytes;
}

void peer_send(struct fixture *fixture, int fd, unsigned command, const void *payload,
	       size_t payload_bytes)
{
	uint8_t bytes[1024];

	assert_true(payload_bytes + VFIO_HEADER_BYTES <= sizeof(bytes));
	peer_send_raw(fixture, fd, bytes, message_make(bytes, command, 0, payload, payload_bytes));
}

static void fds_take(struct msghdr *message, struct message *ret)
{
	for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part;
	     part = CMSG_NXTHDR(message, part)) {
		size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		assert_true(ret->fd_count + count <= ARRAY_SIZE(ret->fds));
		memcpy(&ret->fds[ret->fd_count], CMSG_DATA(part), count * sizeof(int));
		ret->fd_count += (unsigned)count;
	}
}

/* Reads exactly `want` bytes. False at the end of the stream. */
static bool receive_exactly(struct fixture *fixture, int fd, void *to, size_t want,
			    struct message *ret)
{
	size_t got = 0;

	for (unsigned i = 0; i < PATIENCE && got < want; i++) {
		_Alignas(struct cmsghdr) char control[256];
		struct iovec iov = {.iov_base = (char *)to + got, .iov_len = want - got};
		struct msghdr message = {.msg_iov = &iov,
					 .msg_iovlen = 1,
					 .msg_control = control,
					 .msg_controllen = sizeof(control)};
		ssize_t n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);

		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return false;
		if (n > 0) {
			fds_take(&message, ret);
			got += (size_t)n;
			continue;
		}
		loop_turn(fixture->loop, NS_PER_MS);
	}
	assert_int_equal(got, want);
	return true;
}

bool peer_receive(struct fixture *fixture, int fd, struct message *ret_message)
{
	uint8_t header[VFIO_HEADER_BYTES];
	struct vfio_header *h = &ret_message->header;

	ret_message->fd_count = 0;
	if (!receive_exactly(fixture, fd, header, sizeof(header), ret_message))
		return false;
	memcpy(&h->id, header, 2);
	memcpy(&h->command, header + 2, 2);
	memcpy(&h->size_bytes, header + 4, 4);
	memcpy(&h->flags, header + 8, 4);
	memcpy(&h->error, header + 12, 4);
	assert_in_range(h->size_bytes, VFIO_HEADER_BYTES, VFIO_MESSAGE_MAX);
	ret_message->payload_bytes = h->size_bytes - VFIO_HEADER_BYTES;
	return receive_exactly(fixture, fd, ret_message->payload, ret_message->payload_bytes,
			       ret_message);
}

bool peer_silent(struct fixture *fixture, int fd)
{
	char byte;

	fixture_turn(fixture, 20);
	return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static uint32_t reply_check(const struct message *reply, unsigned command)
{
	assert_int_equal(reply->header.id, 0x4000 + command);
	assert_int_equal(reply->header.command, command);
	if (reply->header.flags == VFIO_TYPE_REPLY) {
		assert_int_equal(reply->header.error, 0);
		return 0;
	}
	assert_int_equal(reply->header.flags, VFIO_TYPE_REPLY | VFIO_ERROR);
	assert_int_equal(reply->payload_bytes, 0);
	return reply->header.error;
}

uint32_t peer_call(struct fixture *fixture, unsigned command, const void *payload,
		   size_t payload_bytes, struct message *ret_reply)
{
	peer_send(fixture, fixture->fd, command, payload, payload_bytes);
	assert_true(peer_receive(fixture, fixture->fd, ret_reply));
	return reply_check(ret_reply, command);
}

/* --- Payloads ------------------------------------------------------------------------------ */

uint32_t peer_map(struct fixture *fixture, uint64_t address, uint64_t size, uint32_t flags,
		  int memory_fd)
{
	const struct map_payload map = {32, flags, 0, address, size};
	static struct message reply;

	return peer_call(peer_attach(fixture, &memory_fd, memory_fd >= 0), VFIO_DMA_MAP, &map,
			 sizeof(map), &reply);
}

uint32_t peer_irqs(struct fixture *fixture, struct irq_payload payload, const int *fds,
		   unsigned fd_count)
{
	static struct message reply;

	payload.argsz = sizeof(payload);
	return peer_call(peer_attach(fixture, fds, fd_count), VFIO_SET_IRQS, &payload,
			 sizeof(payload), &reply);
}

uint32_t peer_write(struct fixture *fixture, int fd, unsigned region, uint64_t offset,
		    uint32_t value)
{
	static struct message reply;
	struct access_payload access = {.offset = offset, .region = region, .count = 4};
	uint32_t error;

	fixture->fd = fd;
	memcpy(access.data, &value, sizeof(value));
	error = peer_call(fixture, VFIO_REGION_WRITE, &access, VFIO_ACCESS_BYTES + 4, &reply);
	assert_int_equal(reply.payload_bytes, error ? 0 : VFIO_ACCESS_BYTES);
	return error;
}

uint32_t peer_read(struct fixture *fixture, int fd, unsigned region, uint64_t offset)
{
	static struct message reply;
	const struct access_payload access = {.offset = offset, .region = region, .count = 4};
	uint32_t value;

	fixture->fd = fd;
	assert_int_equal(peer_call(fixture, VFIO_REGION_READ, &access, VFIO_ACCESS_BYTES, &reply),
			 0);
	assert_int_equal(reply.payload_bytes, VFIO_ACCESS_BYTES + 4);
	assert_memory_equal(reply.payload, &access, VFIO_ACCESS_BYTES);
	memcpy(&value, reply.payload + VFIO_ACCESS_BYTES, sizeof(value));
	return value;
}

int memory_file(uint64_t size_bytes)
{
	int fd = memfd_create("vfio-test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size_bytes), 0);
	return fd;
}

uint64_t eventfd_take(int fd)
{
	uint64_t count = 0;

	if (read(fd, &count, sizeof(count)) != (ssize_t)sizeof(count))
		assert_int_equal(errno, EAGAIN);
	return count;
}
