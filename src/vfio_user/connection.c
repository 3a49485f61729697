/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Framing and flow control of one connection. See connection.h for the rules.
 *
 *   readable -> receive(): one read  -> pump(): hand over all whole messages
 *   resumed, reply sent              -> pump(), then watch the socket again
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <quoin/base_assert.h>

#include "connection.h"

#define RX_BYTES (VFIO_MESSAGE_MAX + 32)
#define READ_BYTES ((size_t)64 * 1024) /* of one read: bounds the work of one turn */

static void connection_check(const struct vfio_connection *connection)
{
	ASSERT(connection->rx_start <= connection->rx_end && connection->rx_end <= RX_BYTES);
	ASSERT(connection->tx_start <= connection->tx_end);
	ASSERT(connection->fd_count <= VFIO_FDS_MAX);
}

static bool tx_waiting(const struct vfio_connection *connection)
{
	return connection->tx_end > 0;
}

static void close_all(int *fds, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		base_close(&fds[i]);
}

void vfio_connection_close(struct vfio_connection *connection)
{
	if (connection->fd < 0)
		return;
	loop_watch_stop(connection->loop, &connection->watch);
	loop_task_cancel(&connection->task);
	base_close(&connection->fd);
	close_all(connection->fds, connection->fd_count);
	connection->fd_count = 0;
	connection->rx_start = 0;
	connection->rx_end = 0;
	connection->tx_start = 0;
	connection->tx_end = 0;
	connection->tx_fd = -1;
	connection->paused = false;
	connection->hung_up = false;
}

static void fail(struct vfio_connection *connection, const char *why)
{
	vfio_connection_close(connection);
	connection->ops->closed(connection, why);
}

/* --- Sending ------------------------------------------------------------------------------ */

union fd_control {
	char bytes[CMSG_SPACE(VFIO_FDS_MAX * sizeof(int))];
	struct cmsghdr align;
};

static void message_attach_fd(struct msghdr *message, union fd_control *control, int fd)
{
	struct cmsghdr *part;

	memset(control, 0, sizeof(*control));
	message->msg_control = control->bytes;
	message->msg_controllen = CMSG_SPACE(sizeof(int));
	part = CMSG_FIRSTHDR(message);
	part->cmsg_level = SOL_SOCKET;
	part->cmsg_type = SCM_RIGHTS;
	part->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(part), &fd, sizeof(fd));
}

/* Sends what the socket takes. False when the connection is gone. */
static bool flush(struct vfio_connection *connection)
{
	while (tx_waiting(connection)) {
		struct iovec iov = {.iov_base = connection->tx + connection->tx_start,
				    .iov_len = connection->tx_end - connection->tx_start};
		struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
		union fd_control control;
		ssize_t sent;

		if (connection->tx_fd >= 0)
			message_attach_fd(&message, &control, connection->tx_fd);
		sent = sendmsg(connection->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return true;
		if (sent < 0) {
			fail(connection, NULL);
			return false;
		}
		connection->tx_fd = -1;
		connection->tx_start += (size_t)sent;
		if (connection->tx_start < connection->tx_end)
			continue;
		connection->tx_start = 0;
		connection->tx_end = 0;
	}
	return true;
}

static void answer(struct vfio_connection *connection, const struct vfio_header *header, int fd)
{
	if (header->flags & VFIO_NO_REPLY || connection->fd < 0)
		return;
	ASSERT(!tx_waiting(connection));
	vfio_header_encode(connection->tx, header);
	connection->tx_end = header->size_bytes;
	connection->tx_fd = fd; /* pump() sends it: a failure must not show up inside a handler */
}

void vfio_connection_reply(struct vfio_connection *connection, const struct vfio_header *command,
			   size_t payload_bytes, int fd)
{
	struct vfio_header header = *command;

	ASSERT_U64(payload_bytes, <=, VFIO_MESSAGE_MAX - VFIO_HEADER_BYTES);
	header.size_bytes = (uint32_t)(VFIO_HEADER_BYTES + payload_bytes);
	header.flags = VFIO_TYPE_REPLY | (command->flags & VFIO_NO_REPLY);
	header.error = 0;
	answer(connection, &header, fd);
}

void vfio_connection_error(struct vfio_connection *connection, const struct vfio_header *command,
			   int error)
{
	struct vfio_header header = *command;

	ASSERT(error > 0);
	header.size_bytes = VFIO_HEADER_BYTES;
	header.flags = VFIO_TYPE_REPLY | VFIO_ERROR | (command->flags & VFIO_NO_REPLY);
	header.error = (uint32_t)error;
	answer(connection, &header, -1);
}

void vfio_connection_refuse(struct vfio_connection *connection, const struct vfio_header *command,
			    int error, const char *why)
{
	vfio_connection_error(connection, command, error);
	if (flush(connection))
		fail(connection, why);
}

/* --- Receiving ---------------------------------------------------------------------------- */

/* Bytes of the first message, as far as its header tells; 0 = the header is not there yet. */
static size_t first_message_bytes(const struct vfio_connection *connection,
				  struct vfio_header *ret_header)
{
	if (connection->rx_end - connection->rx_start < VFIO_HEADER_BYTES)
		return 0;
	if (vfio_header_decode(connection->rx + connection->rx_start, ret_header) < 0)
		return SIZE_MAX;
	return ret_header->size_bytes;
}

/* How much to read; see connection.h for the reason to read less than we could. */
static size_t receive_room(const struct vfio_connection *connection)
{
	size_t have = connection->rx_end - connection->rx_start;
	struct vfio_header header;

	if (connection->fd_count == 0)
		return MIN(READ_BYTES, RX_BYTES - connection->rx_end);
	if (have < VFIO_HEADER_BYTES)
		return VFIO_HEADER_BYTES - have;
	return first_message_bytes(connection, &header) - have;
}

static void receive_compact(struct vfio_connection *connection)
{
	size_t start = connection->rx_start;

	if (start == 0)
		return;
	memmove(connection->rx, connection->rx + start, connection->rx_end - start);
	connection->rx_end -= start;
	connection->rx_start = 0;
	connection->fds_end -= MIN(start, connection->fds_end);
}

/* Keeps the descriptors of a read. False when there were more than anybody may send. */
static bool receive_fds(struct vfio_connection *connection, struct msghdr *message)
{
	bool all = (message->msg_flags & MSG_CTRUNC) == 0;

	for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part;
	     part = CMSG_NXTHDR(message, part)) {
		size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		int fds[VFIO_FDS_MAX];

		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
			continue;
		ASSERT_U64(count, <=, VFIO_FDS_MAX);
		memcpy(fds, CMSG_DATA(part), count * sizeof(int));
		if (connection->fd_count + count > VFIO_FDS_MAX) {
			close_all(fds, (unsigned)count);
			all = false;
			continue;
		}
		memcpy(&connection->fds[connection->fd_count], fds, count * sizeof(int));
		connection->fd_count += (unsigned)count;
		connection->fds_end = connection->rx_end;
	}
	return all;
}

/* One read. False when there is nothing more to do now, or the connection is gone. */
static bool receive(struct vfio_connection *connection)
{
	union fd_control control;
	struct iovec iov;
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};
	ssize_t got;

	receive_compact(connection);
	iov.iov_base = connection->rx + connection->rx_end;
	iov.iov_len = receive_room(connection);
	ASSERT_U64(iov.iov_len, >, 0);
	got = recvmsg(connection->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return false;
	if (got <= 0) {
		fail(connection, NULL);
		return false;
	}
	connection->rx_end += (size_t)got;
	if (!receive_fds(connection, &message)) {
		fail(connection,
		     "file descriptors were lost: too many with one message, or too many open");
		return false;
	}
	connection_check(connection);
	return true;
}

static void deliver(struct vfio_connection *connection, const struct vfio_header *header)
{
	struct vfio_message message = {
		.header = *header,
		.payload = connection->rx + connection->rx_start + VFIO_HEADER_BYTES,
		.payload_bytes = header->size_bytes - VFIO_HEADER_BYTES,
	};
	int fds[VFIO_FDS_MAX];

	connection->rx_start += header->size_bytes;
	if (connection->fd_count > 0 && connection->rx_start >= connection->fds_end) {
		memcpy(fds, connection->fds, connection->fd_count * sizeof(int));
		message.fds = fds;
		message.fd_count = connection->fd_count;
		connection->fd_count = 0;
	}
	connection->ops->message(connection, &message);
	close_all(fds, message.fd_count);
}

/* Hands over what is complete, sends what is answered. False when the connection is gone. */
static bool pump(struct vfio_connection *connection)
{
	for (;;) {
		struct vfio_header header;
		size_t size_bytes;

		if (!flush(connection))
			return false;
		if (connection->paused || tx_waiting(connection))
			return true;
		size_bytes = first_message_bytes(connection, &header);
		if (size_bytes == SIZE_MAX) {
			fail(connection, "a message with a bad header");
			return false;
		}
		if (size_bytes == 0 || size_bytes > connection->rx_end - connection->rx_start)
			return true;
		deliver(connection, &header);
		if (connection->fd < 0)
			return false;
	}
}

static void watch_ready(struct loop_watch *watch, uint32_t events);

/* Tells the loop what we wait for. */
static void watch_update(struct vfio_connection *connection)
{
	uint32_t events = 0;

	if (tx_waiting(connection))
		events = EPOLLOUT;
	else if (!connection->paused)
		events = EPOLLIN;
	if (!connection->hung_up) {
		loop_watch_modify(connection->loop, &connection->watch, events);
		return;
	}
	if (events == 0)
		return;
	connection->hung_up = false;
	if (loop_watch_start(connection->loop, &connection->watch, connection->fd, events,
			     watch_ready) < 0)
		fail(connection, "out of memory");
}

static void watch_ready(struct loop_watch *watch, uint32_t events)
{
	struct vfio_connection *connection = container_of(watch, struct vfio_connection, watch);

	if (!pump(connection))
		return;
	if (connection->paused || tx_waiting(connection)) {
		/* A hang-up cannot be masked: the loop would spin until the pause ends. */
		if (events & (EPOLLHUP | EPOLLERR)) {
			loop_watch_stop(connection->loop, watch);
			connection->hung_up = true;
		}
		return;
	}
	if (receive(connection))
		(void)pump(connection);
	if (connection->fd >= 0)
		watch_update(connection);
}

static void task_run(struct loop_task *task)
{
	struct vfio_connection *connection = container_of(task, struct vfio_connection, task);

	if (pump(connection))
		watch_update(connection);
}

/* --- Life --------------------------------------------------------------------------------- */

int vfio_connection_init(struct vfio_connection *connection, struct loop *loop,
			 const struct vfio_connection_ops *ops)
{
	*connection = (struct vfio_connection){.loop = loop, .ops = ops, .fd = -1, .tx_fd = -1};
	connection->watch.fd = -1;
	loop_task_init(&connection->task, task_run);
	connection->rx = malloc(RX_BYTES);
	connection->tx = malloc(VFIO_MESSAGE_MAX);
	if (!connection->rx || !connection->tx) {
		vfio_connection_fini(connection);
		return -ENOMEM;
	}
	return 0;
}

void vfio_connection_fini(struct vfio_connection *connection)
{
	vfio_connection_close(connection);
	free(connection->rx);
	free(connection->tx);
	connection->rx = NULL;
	connection->tx = NULL;
}

int vfio_connection_open(struct vfio_connection *connection, int fd)
{
	int r;

	ASSERT(connection->fd < 0);
	r = loop_watch_start(connection->loop, &connection->watch, fd, EPOLLIN, watch_ready);
	if (r < 0) {
		close(fd);
		return r;
	}
	connection->fd = fd;
	return 0;
}

void vfio_connection_pause(struct vfio_connection *connection)
{
	ASSERT(!connection->paused);
	connection->paused = true;
}

void vfio_connection_resume(struct vfio_connection *connection)
{
	ASSERT(connection->paused);
	connection->paused = false;
	loop_task_post(connection->loop, &connection->task);
}
