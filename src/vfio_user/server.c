/* SPDX-License-Identifier: Apache-2.0 */
/* The life of clients: accept, wait, leave. See server.h for the states. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <quoin/base_assert.h>
#include <quoin/base_log.h>

#include "server.h"

static bool has_client(const struct vfio_server *server)
{
	return server->state >= VFIO_STATE_HELLO && server->state <= VFIO_STATE_RESETTING;
}

static void server_check(const struct vfio_server *server)
{
	ASSERT(has_client(server) == vfio_connection_is_open(&server->connection));
	ASSERT(server->stopping || server->socket.fd >= 0);
}

/* --- Leaving ------------------------------------------------------------------------------ */

static void listen_start(struct vfio_server *server);

static void leave_unmapped(struct guest_unmap *unmap)
{
	struct vfio_server *server = container_of(unmap, struct vfio_server, unmap);

	guest_memory_forget_loss(server->memory);
	server->ops->memory_changed(server->device);
	server->client_pid = 0;
	if (!server->stopping) {
		server->state = VFIO_STATE_IDLE;
		server_check(server);
		listen_start(server);
		return;
	}
	server->state = VFIO_STATE_STOPPED;
	server->stopped(server);
}

static void leave_step(struct vfio_server *server)
{
	server->unmap.done = leave_unmapped;
	guest_memory_unmap_all(server->memory, &server->unmap);
}

static void device_reset(struct vfio_server *server, bool disconnected)
{
	server->device_resetting = true;
	vfio_irqs_forget(&server->irqs);
	server->ops->reset(server->device, disconnected);
}

/* Resets the device, after the reset that may be under way. */
static void reset_request(struct vfio_server *server, bool disconnected)
{
	if (server->device_resetting)
		server->reset_again = true;
	else
		device_reset(server, disconnected);
}

/* The client is gone; `why` is NULL when it left by itself. */
static void leave(struct vfio_server *server, const char *why)
{
	enum vfio_server_state state = server->state;

	ASSERT(has_client(server));
	vfio_connection_close(&server->connection);
	loop_watch_stop(server->loop, &server->listen_watch);
	loop_timer_disarm(server->loop, &server->accept_timer);
	loop_timer_disarm(server->loop, &server->wait_timer);
	loop_poller_remove(server->loop, &server->loss_poller);
	loop_task_cancel(&server->loss_task);
	vfio_irqs_clear(&server->irqs);
	if (why) {
		server->errors++;
		snprintf(server->why, sizeof(server->why), "%s", why);
		log_debug("vfio-user %s: client dropped: %s", server->name, why);
	}
	server->state = VFIO_STATE_LEAVING;
	if (state == VFIO_STATE_UNMAPPING)
		guest_unmap_abandon(server->memory, &server->unmap);
	reset_request(server, true);
}

void vfio_server_stop(struct vfio_server *server, void (*stopped)(struct vfio_server *server))
{
	ASSERT(!server->stopping);
	server->stopping = true;
	server->stopped = stopped;
	loop_watch_stop(server->loop, &server->listen_watch);
	loop_timer_disarm(server->loop, &server->accept_timer);
	vfio_socket_close(&server->socket);
	if (has_client(server)) {
		leave(server, NULL);
	} else if (server->state == VFIO_STATE_IDLE) {
		server->state = VFIO_STATE_LEAVING;
		reset_request(server, true);
	}
}

/* --- Waiting ------------------------------------------------------------------------------ */

static void wait_begin(struct vfio_server *server, const struct vfio_message *message,
		       enum vfio_server_state state, uint64_t wait_ns)
{
	ASSERT(server->state == VFIO_STATE_READY);
	server->state = state;
	server->waiting = message->header;
	vfio_connection_pause(&server->connection);
	loop_timer_arm(server->loop, &server->wait_timer, loop_clock_ns(server->loop) + wait_ns);
}

/* Answers what waited: with `payload_bytes` of waiting_payload, or an error. */
static void wait_end(struct vfio_server *server, size_t payload_bytes, int error)
{
	loop_timer_disarm(server->loop, &server->wait_timer);
	server->state = VFIO_STATE_READY;
	if (error) {
		server->errors++;
		vfio_connection_error(&server->connection, &server->waiting, error);
	} else {
		memcpy(vfio_connection_payload(&server->connection), server->waiting_payload,
		       payload_bytes);
		vfio_connection_reply(&server->connection, &server->waiting, payload_bytes, -1);
	}
	vfio_connection_resume(&server->connection);
}

static void unmap_done(struct guest_unmap *unmap)
{
	wait_end(container_of(unmap, struct vfio_server, unmap), VFIO_DMA_UNMAP_BYTES, 0);
}

void vfio_server_wait_unmap(struct vfio_server *server, const struct vfio_message *message)
{
	memcpy(server->waiting_payload, message->payload, VFIO_DMA_UNMAP_BYTES);
	server->unmap.done = unmap_done;
	wait_begin(server, message, VFIO_STATE_UNMAPPING, VFIO_UNMAP_WAIT_NS);
}

void vfio_server_wait_reset(struct vfio_server *server, const struct vfio_message *message)
{
	wait_begin(server, message, VFIO_STATE_RESETTING, VFIO_RESET_WAIT_NS);
	reset_request(server, false);
}

void vfio_server_reset_done(struct vfio_server *server)
{
	ASSERT(server->device_resetting);
	server->device_resetting = false;
	if (server->reset_again) {
		server->reset_again = false;
		device_reset(server, server->state == VFIO_STATE_LEAVING);
		return;
	}
	if (server->state == VFIO_STATE_RESETTING)
		wait_end(server, 0, 0);
	else if (server->state == VFIO_STATE_LEAVING)
		leave_step(server);
}

static void wait_over(struct loop_timer *timer)
{
	struct vfio_server *server = container_of(timer, struct vfio_server, wait_timer);

	if (server->state == VFIO_STATE_UNMAPPING) {
		log_debug("vfio-user %s: DMA_UNMAP answered with I/O in flight", server->name);
		guest_unmap_abandon(server->memory, &server->unmap);
		wait_end(server, VFIO_DMA_UNMAP_BYTES, 0);
	} else if (server->state == VFIO_STATE_RESETTING) {
		log_debug("vfio-user %s: DEVICE_RESET waits for I/O in flight", server->name);
		server->reset_again = false;
		wait_end(server, 0, ETIMEDOUT);
	}
}

/* --- Connecting --------------------------------------------------------------------------- */

static unsigned loss_poll(struct loop_poller *poller)
{
	struct vfio_server *server = container_of(poller, struct vfio_server, loss_poller);

	if (LIKELY(!guest_memory_lost(server->memory)))
		return 0;
	loop_task_post(server->loop, &server->loss_task);
	return 1;
}

static bool loss_arm(struct loop_poller *poller)
{
	return loss_poll(poller) == 0;
}

static void loss_run(struct loop_task *task)
{
	struct vfio_server *server = container_of(task, struct vfio_server, loss_task);

	leave(server, "the client truncated memory that it had mapped");
}

static void client_message(struct vfio_connection *connection, const struct vfio_message *message)
{
	struct vfio_server *server = container_of(connection, struct vfio_server, connection);

	if ((message->header.command == VFIO_VERSION) != (server->state == VFIO_STATE_HELLO)) {
		vfio_connection_refuse(connection, &message->header, EINVAL,
				       server->state == VFIO_STATE_HELLO
					       ? "the first message was not VERSION"
					       : "a second VERSION message");
		return;
	}
	vfio_server_dispatch(server, message);
}

static void client_closed(struct vfio_connection *connection, const char *why)
{
	leave(container_of(connection, struct vfio_server, connection), why);
}

static const struct vfio_connection_ops client_ops = {
	.message = client_message,
	.closed = client_closed,
};

static void client_accept(struct vfio_server *server, int fd)
{
	struct ucred credentials;
	socklen_t length = sizeof(credentials);

	if (vfio_connection_open(&server->connection, fd) < 0)
		return;
	server->state = VFIO_STATE_HELLO;
	server->connections++;
	server->why[0] = '\0';
	server->client_pid = 0;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0)
		server->client_pid = credentials.pid;
	loop_poller_add(server->loop, &server->loss_poller);
	server_check(server);
}

/* The other end is closed; what it sent before may still wait to be handled. */
static bool client_hung_up(const struct vfio_server *server)
{
	struct pollfd p = {.fd = server->connection.fd, .events = POLLRDHUP};

	return has_client(server) && poll(&p, 1, 0) == 1;
}

static void listen_ready(struct loop_watch *watch, uint32_t events)
{
	struct vfio_server *server = container_of(watch, struct vfio_server, listen_watch);
	int fd;

	/* A client that died is not a reason to turn the next one away: it waits in the backlog
	 * until we listen again, when the dead one's things are cleared away. */
	if (client_hung_up(server)) {
		loop_watch_stop(server->loop, watch);
		return;
	}
	fd = accept4(server->socket.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0) {
		/* No descriptors left, say: the client stays in the queue, we look again later. */
		if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
			return;
		loop_watch_stop(server->loop, watch);
		loop_timer_arm(server->loop, &server->accept_timer,
			       loop_clock_ns(server->loop) + VFIO_ACCEPT_RETRY_NS);
		return;
	}
	if (server->state == VFIO_STATE_IDLE)
		client_accept(server, fd);
	else
		base_close(&fd);
}

static void listen_start(struct vfio_server *server)
{
	if (loop_watch_start(server->loop, &server->listen_watch, server->socket.fd, EPOLLIN,
			     listen_ready) < 0)
		loop_timer_arm(server->loop, &server->accept_timer,
			       loop_clock_ns(server->loop) + VFIO_ACCEPT_RETRY_NS);
}

static void accept_again(struct loop_timer *timer)
{
	listen_start(container_of(timer, struct vfio_server, accept_timer));
}

/* --- Life --------------------------------------------------------------------------------- */

int vfio_server_init(struct vfio_server *server, const struct vfio_server_params *params,
		     struct err *err)
{
	int r;

	*server = (struct vfio_server){
		.loop = params->loop,
		.name = params->name,
		.ops = params->ops,
		.device = params->device,
		.memory = params->memory,
		.listen_watch = {.fd = -1},
		.loss_poller = {.poll = loss_poll, .arm = loss_arm},
	};
	vfio_irqs_init(&server->irqs, params->loop, params->vectors, params->intx);
	loop_timer_init(&server->accept_timer, accept_again);
	loop_timer_init(&server->wait_timer, wait_over);
	loop_task_init(&server->loss_task, loss_run);
	for (unsigned i = 0; i < VFIO_REGION_COUNT; i++)
		server->regions[i].fd = -1;
	r = vfio_connection_init(&server->connection, params->loop, &client_ops);
	if (r < 0)
		return err_set(err, r, "out of memory");
	r = vfio_socket_open(&server->socket, params->socket_path, err);
	if (r < 0) {
		vfio_connection_fini(&server->connection);
		return r;
	}
	listen_start(server);
	return 0;
}

void vfio_server_fini(struct vfio_server *server)
{
	ASSERT(server->state == VFIO_STATE_IDLE || server->state == VFIO_STATE_STOPPED);
	loop_watch_stop(server->loop, &server->listen_watch);
	loop_timer_disarm(server->loop, &server->accept_timer);
	vfio_socket_close(&server->socket);
	vfio_connection_fini(&server->connection);
	vfio_irqs_clear(&server->irqs);
}
