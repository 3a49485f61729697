/* SPDX-License-Identifier: Apache-2.0 */
/* Connections and messages: see client_socket.h. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "client_socket.h"

#define CONNECT_ATTEMPTS 200
#define CONNECT_PAUSE_US 10000
#define JSON_QEMU                                                                        \
	"{\"capabilities\":{\"pgsizes\":4096,\"max_msg_fds\":16,\"max_dma_maps\":65535," \
	"\"max_data_xfer_size\":1048576,\"migration\":{\"max_bitmap_size\":268435456,"   \
	"\"pgsize\":4096},\"write_multiple\":true}}"
#define JSON_CLOUD_HYPERVISOR                                                  \
	"{\"capabilities\":{\"max_msg_fds\":1,\"max_data_xfer_size\":1048576," \
	"\"migration\":{\"pgsize\":4096}}}"

union fd_control {
	struct cmsghdr align;
	uint8_t bytes[CMSG_SPACE(WIRE_FDS_MAX * sizeof(int))];
};

uint64_t client_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

void client_sleep_us(unsigned us)
{
	const struct timespec ts = {.tv_sec = us / 1000000, .tv_nsec = (us % 1000000) * 1000L};

	nanosleep(&ts, NULL);
}

static int try_connect(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0) {
		int error = -errno;

		close(fd);
		return error;
	}
	return fd;
}

int client_connect(struct client *client, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = -ENOENT;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	for (unsigned i = 0; i < CONNECT_ATTEMPTS; i++) {
		fd = try_connect(&address);
		if (fd >= 0 || (fd != -ENOENT && fd != -ECONNREFUSED))
			break;
		client_sleep_us(CONNECT_PAUSE_US);
	}
	if (fd < 0)
		return fd;
	*client = (struct client){.fd = fd, .timeout_ms = CLIENT_TIMEOUT_MS};
	return 0;
}

void client_close(struct client *client)
{
	base_close(&client->fd);
}

int client_violation(struct client *client, const char *words)
{
	snprintf(client->violation, sizeof(client->violation), "%s", words);
	return -EPROTO;
}

/* --- Out ---------------------------------------------------------------------------------- */

size_t client_encode(const struct client_message *message, uint16_t id, uint32_t flags,
		     uint8_t *bytes)
{
	const size_t size = sizeof(struct wire_header) + message->payload_size + message->data_size;
	const struct wire_header header = {
		.id = id,
		.command = message->command,
		.size = (uint32_t)size,
		.flags = flags,
	};

	memcpy(bytes, &header, sizeof(header));
	bytes += sizeof(header);
	if (message->payload_size)
		memcpy(bytes, message->payload, message->payload_size);
	if (message->data_size)
		memcpy(bytes + message->payload_size, message->data, message->data_size);
	return size;
}

static void control_put_fds(struct msghdr *msg, union fd_control *control, const int *fds,
			    unsigned count)
{
	struct cmsghdr *cmsg;

	memset(control, 0, sizeof(*control));
	msg->msg_control = control->bytes;
	msg->msg_controllen = CMSG_SPACE(count * sizeof(int));
	cmsg = CMSG_FIRSTHDR(msg);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(cmsg), fds, count * sizeof(int));
}

static int wait_ready(struct client *client, short events, int timeout_ms)
{
	struct pollfd p = {.fd = client->fd, .events = events};
	int n;

	do
		n = poll(&p, 1, timeout_ms);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n == 0 ? -ETIMEDOUT : 0;
}

int client_send_bytes(struct client *client, const void *bytes, size_t size, const int *fds,
		      unsigned fd_count)
{
	const uint8_t *p = bytes;
	union fd_control control;

	while (size > 0) {
		struct iovec iov = {.iov_base = (void *)(uintptr_t)p, .iov_len = size};
		struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
		ssize_t n;

		if (fd_count > 0)
			control_put_fds(&msg, &control, fds, fd_count);
		n = sendmsg(client->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN) {
			int error = wait_ready(client, POLLOUT, client->timeout_ms);

			if (error)
				return error;
			continue;
		}
		if (n < 0)
			return -errno;
		fd_count = 0;
		p += n;
		size -= (size_t)n;
	}
	return 0;
}

static int send_message(struct client *client, const struct client_message *message, uint16_t id,
			uint32_t flags)
{
	uint8_t small[512];
	CLEANUP_FREE uint8_t *large = NULL;
	uint8_t *bytes = small;
	size_t size = sizeof(struct wire_header) + message->payload_size + message->data_size;

	if (size > sizeof(small)) {
		large = __builtin_malloc(size);
		if (!large)
			return -ENOMEM;
		bytes = large;
	}
	client_encode(message, id, flags, bytes);
	client->messages++;
	return client_send_bytes(client, bytes, size, message->fds, message->fd_count);
}

static uint16_t take_id(struct client *client)
{
	return client->fixed_id ? 0 : client->next_id++;
}

int client_send(struct client *client, const struct client_message *message, uint16_t *ret_id)
{
	const uint16_t id = take_id(client);
	const int error = send_message(client, message, id, 0);

	if (!error)
		*ret_id = id;
	return error;
}

int client_post(struct client *client, struct client_message *message)
{
	return send_message(client, message, take_id(client), WIRE_FLAG_NO_REPLY);
}

/* --- In ----------------------------------------------------------------------------------- */

static void take_fds(struct msghdr *msg, struct client_message *message)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = MIN(count, (size_t)(WIRE_FDS_MAX - message->reply_fd_count));
		memcpy(message->reply_fds + message->reply_fd_count, CMSG_DATA(c),
		       count * sizeof(int));
		message->reply_fd_count += (unsigned)count;
	}
}

/* The client's time-out counts from the last progress. */
int client_receive_bytes(struct client *client, void *to, size_t size,
			 struct client_message *message)
{
	uint8_t *p = to;

	while (size > 0) {
		union fd_control control;
		struct iovec iov = {.iov_base = p, .iov_len = size};
		struct msghdr msg = {.msg_iov = &iov,
				     .msg_iovlen = 1,
				     .msg_control = control.bytes,
				     .msg_controllen = sizeof(control.bytes)};
		ssize_t n;
		int error = wait_ready(client, POLLIN, client->timeout_ms);

		if (error)
			return error;
		n = recvmsg(client->fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return n == 0 ? -ECONNRESET : -errno;
		take_fds(&msg, message);
		p += n;
		size -= (size_t)n;
	}
	return 0;
}

static int check_reply(struct client *client, const struct wire_header *h,
		       const struct client_message *message, uint16_t id)
{
	if (h->id != id)
		return client_violation(client, "reply with another id");
	if (h->command != message->command)
		return client_violation(client, "reply to another command");
	if ((h->flags & ~WIRE_FLAG_ERROR) != WIRE_FLAG_REPLY)
		return client_violation(client, "reply flags");
	if (h->size < sizeof(*h) || h->size > WIRE_MESSAGE_MAX)
		return client_violation(client, "reply size");
	if ((h->flags & WIRE_FLAG_ERROR) && h->size != sizeof(*h))
		return client_violation(client, "error reply with a payload");
	if (h->size - sizeof(*h) > message->reply_capacity)
		return client_violation(client, "reply larger than the client's buffer");
	return 0;
}

int client_receive(struct client *client, struct client_message *message, uint16_t id)
{
	struct wire_header header;
	int error;

	message->reply_fd_count = 0;
	error = client_receive_bytes(client, &header, sizeof(header), message);
	if (error)
		return error;
	error = check_reply(client, &header, message, id);
	if (error)
		return error;
	if (header.flags & WIRE_FLAG_ERROR)
		return header.error ? -(int)header.error : -EIO;
	message->reply_size = header.size - sizeof(header);
	return client_receive_bytes(client, message->reply, message->reply_size, message);
}

int client_call(struct client *client, struct client_message *message)
{
	const uint64_t start = client_now_ns();
	uint16_t id;
	int error = client_send(client, message, &id);

	if (!error)
		error = client_receive(client, message, id);
	client->slowest_reply_ns = MAX(client->slowest_reply_ns, client_now_ns() - start);
	return error;
}

bool client_wait_closed(struct client *client, int timeout_ms)
{
	const uint64_t end = client_now_ns() + (uint64_t)timeout_ms * NS_PER_MS;

	for (;;) {
		uint8_t drop[4096];
		const uint64_t now = client_now_ns();
		ssize_t n;

		if (now >= end ||
		    wait_ready(client, POLLIN, (int)((end - now) / NS_PER_MS) + 1) < 0)
			return false;
		n = recv(client->fd, drop, sizeof(drop), MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return true;
	}
}

/* --- VERSION ------------------------------------------------------------------------------ */

int client_negotiate(struct client *client, enum client_flavour flavour)
{
	static const struct {
		uint16_t minor;
		const char *json;
		size_t reply_max; /* payload */
	} intro[] = {
		[CLIENT_QEMU] = {0, JSON_QEMU, sizeof(struct wire_version) + sizeof(JSON_QEMU)},
		[CLIENT_CLOUD_HYPERVISOR] = {1, JSON_CLOUD_HYPERVISOR, 1000},
		[CLIENT_SPDK] = {1, NULL, 1000},
	};
	const struct wire_version version = {.major = 0, .minor = intro[flavour].minor};
	struct client_message m = {
		.command = WIRE_VERSION,
		.payload = &version,
		.payload_size = sizeof(version),
		.data = intro[flavour].json,
		.data_size = intro[flavour].json ? strlen(intro[flavour].json) + 1 : 0,
		.reply = client->version_reply,
		.reply_capacity = intro[flavour].reply_max,
	};
	struct wire_version got;
	int error;

	client->fixed_id = flavour == CLIENT_SPDK;
	error = client_call(client, &m);
	if (error)
		return error;
	if (m.reply_size < sizeof(got))
		return client_violation(client, "short VERSION reply");
	memcpy(&got, client->version_reply, sizeof(got));
	if (got.major != 0 || got.minor > version.minor)
		return client_violation(client, "VERSION reply is newer than the request");
	client->version_reply_size = m.reply_size;
	client->posted = flavour == CLIENT_QEMU;
	return 0;
}
