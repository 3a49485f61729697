/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A UNIX socket for agents on the same machine: each that connects gets all state, then what
 * changes, and may ask for all again. One that does not read has its messages kept as state is, so
 * it costs no memory; after a minute it is dropped. A socket that cannot be had is tried again.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <quoin/base_clock.h>

#include "peer.h"

#define PEERS_MAX 4
#define RETRY_MS 5000
#define BACKLOG 8

struct server {
	struct eve_sink *sink;
	int listener; /* -1: it could not be had */
	uint64_t retry_ms;
	unsigned count;
	struct eve_peer *peers[PEERS_MAX];
};

static void problem_set(struct eve_sink *sink, const char *problem)
{
	pthread_mutex_lock(&sink->eve->lock);
	eve_sink_problem(sink, problem);
	pthread_mutex_unlock(&sink->eve->lock);
}

/* --- The listener ----------------------------------------------------------------------------- */

/* One that nobody listens on was left by a daemon that died. */
static int left_over_remove(const char *path, const struct sockaddr_un *address)
{
	CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	if (fd < 0)
		return -errno;
	if (connect(fd, (const void *)address, sizeof(*address)) == 0 || errno != ECONNREFUSED)
		return -EADDRINUSE;
	return unlink(path) < 0 ? -errno : 0;
}

static int listen_on(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = -1;
	int r;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	r = left_over_remove(path, &address);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* Nobody can connect before it listens. */
	if (bind(fd, (const void *)&address, sizeof(address)) < 0 || chmod(path, 0600) < 0 ||
	    listen(fd, BACKLOG) < 0) {
		r = -errno;
		base_close(&fd);
		return r;
	}
	return fd;
}

static void listener_try(struct server *s, uint64_t now_ms)
{
	const char *path = s->sink->config.socket;
	char problem[192];

	if (s->listener >= 0 || now_ms < s->retry_ms)
		return;
	s->listener = listen_on(path);
	s->retry_ms = now_ms + RETRY_MS;
	snprintf(problem, sizeof(problem), "cannot listen on %.120s: %s", path,
		 s->listener < 0 ? strerror(-s->listener) : "");
	problem_set(s->sink, s->listener < 0 ? problem : "");
}

static void accept_one(struct server *s)
{
	int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct eve_peer *peer = NULL;

	if (fd < 0)
		return;
	if (s->count < PEERS_MAX)
		peer = eve_peer_new(s->sink, fd);
	if (peer)
		s->peers[s->count++] = peer;
	else
		base_close(&fd);
}

/* --- Peers ---------------------------------------------------------------------------------- */

static void drop(struct server *s, unsigned index, const char *why)
{
	struct eve_sink *sink = s->sink;
	char problem[128];

	eve_peer_free(s->peers[index]);
	s->peers[index] = s->peers[--s->count];
	if (!why)
		return;
	snprintf(problem, sizeof(problem), "who was connected to the socket %s, and was dropped",
		 why);
	pthread_mutex_lock(&sink->eve->lock);
	sink->status.failed++;
	eve_sink_problem(sink, problem);
	pthread_mutex_unlock(&sink->eve->lock);
}

/* Writes to all; returns when to look again at the latest. */
static uint64_t peers_write(struct server *s, uint64_t now_ms)
{
	uint64_t wait_ms = s->listener < 0 ? s->retry_ms - MIN(s->retry_ms, now_ms) : UINT64_MAX;

	for (unsigned i = s->count; i > 0; i--) {
		uint64_t peer_ms = UINT64_MAX;
		const int r = eve_peer_write(s->peers[i - 1], now_ms, &peer_ms);

		if (r == -EAGAIN && now_ms - s->peers[i - 1]->moved_ms >= EVE_STALLED_MS)
			drop(s, i - 1, "did not read for a minute");
		else if (r < 0 && r != -EAGAIN)
			drop(s, i - 1, NULL);
		else
			wait_ms = MIN(wait_ms, r == -EAGAIN ? EVE_STALLED_MS / 4 : peer_ms);
	}
	return wait_ms;
}

static void peers_read(struct server *s, const struct pollfd *polled)
{
	for (unsigned i = s->count; i > 0; i--) {
		int r;

		if (!(polled[i - 1].revents & (POLLIN | POLLHUP | POLLERR)))
			continue;
		r = eve_peer_read(s->peers[i - 1]);
		if (r < 0)
			drop(s, i - 1, r == -EPROTO ? "said what is no request" : NULL);
	}
}

/* --- The thread ----------------------------------------------------------------------------- */

static void turn(struct server *s)
{
	const uint64_t now_ms = clock_now_ms(CLOCK_MONOTONIC);
	struct pollfd polled[2 + PEERS_MAX];
	uint64_t wait_ms;
	uint64_t count;
	unsigned peers;

	listener_try(s, now_ms);
	wait_ms = peers_write(s, now_ms);
	peers = s->count;
	polled[0] = (struct pollfd){.fd = s->sink->wake_fd, .events = POLLIN};
	polled[1] = (struct pollfd){.fd = s->listener, .events = POLLIN};
	for (unsigned i = 0; i < peers; i++)
		polled[2 + i] = (struct pollfd){
			.fd = s->peers[i]->fd,
			.events = (short)(POLLIN | (s->peers[i]->busy ? POLLOUT : 0))};
	if (poll(polled, 2 + peers, (int)MIN(wait_ms, (uint64_t)60000)) <= 0)
		return;
	if ((polled[0].revents & POLLIN) &&
	    read(s->sink->wake_fd, &count, sizeof(count)) != sizeof(count))
		return;
	peers_read(s, polled + 2);
	if (polled[1].revents & POLLIN)
		accept_one(s);
}

void *eve_socket_main(void *sink)
{
	struct server s = {.sink = sink, .listener = -1};

	while (!atomic_load(&s.sink->stop))
		turn(&s);
	while (s.count > 0)
		drop(&s, s.count - 1, NULL);
	if (s.listener >= 0) {
		base_close(&s.listener);
		unlink(s.sink->config.socket);
	}
	return NULL;
}
