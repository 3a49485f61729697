/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames out, lines in.
 *
 *   binary   length (4 bytes, little endian), kind (1 byte: 1 info, 2 metrics, 3 hardwarehealth),
 *            3 zeroes, then the message
 *   JSON     a line: {"kind": "info", "message": {...}}
 *
 * A message that was written whole has been taken: who loses it loses the connection too, and gets
 * all state with the next one.
 */
#include "peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <quoin/base_clock.h>
#include <quoin/base_endian.h>

static void take_away(struct eve_peer *peer, enum eve_outcome outcome, const char *why)
{
	struct eve *eve = peer->sink->eve;

	pthread_mutex_lock(&eve->lock);
	eve_store_done(&eve->look.store, peer->consumer, &peer->item, outcome,
		       clock_now_ms(CLOCK_MONOTONIC));
	if (outcome == EVE_TAKEN)
		eve_sink_note(peer->sink, peer->consumer, outcome, why);
	pthread_mutex_unlock(&eve->lock);
	peer->busy = false;
	text_fini(&peer->out);
	text_init(&peer->out);
	peer->written = 0;
}

struct eve_peer *eve_peer_new(struct eve_sink *sink, int fd)
{
	struct eve_peer *peer = xcalloc(1, sizeof(*peer));
	int consumer;

	pthread_mutex_lock(&sink->eve->lock);
	consumer = eve_store_attach(&sink->eve->look.store, sink->way);
	sink->status.peers += consumer >= 0;
	pthread_mutex_unlock(&sink->eve->lock);
	if (consumer < 0) {
		free(peer);
		return NULL;
	}
	peer->sink = sink;
	peer->fd = fd;
	peer->consumer = (unsigned)consumer;
	peer->moved_ms = clock_now_ms(CLOCK_MONOTONIC);
	text_init(&peer->out);
	return peer;
}

void eve_peer_free(struct eve_peer *peer)
{
	struct eve *eve = peer->sink->eve;

	if (peer->busy)
		take_away(peer, EVE_FAILED, "");
	pthread_mutex_lock(&eve->lock);
	eve_store_detach(&eve->look.store, peer->consumer);
	peer->sink->status.peers--;
	pthread_mutex_unlock(&eve->lock);
	base_close(&peer->fd);
	text_fini(&peer->out);
	free(peer);
}

/* --- Out ------------------------------------------------------------------------------------ */

static void frame_make(struct eve_peer *peer)
{
	static const char *const kinds[EVE_KINDS] = {"info", "metrics", "hardwarehealth"};
	const struct eve_bytes *message = &peer->item.message;

	if (peer->sink->config.format == EVE_JSON) {
		text_printf(&peer->out, "{\"kind\": \"%s\", \"message\": %.*s}\n",
			    kinds[peer->item.kind], (int)message->length,
			    (const char *)message->data);
		return;
	}
	eve_frame_append(&peer->out, peer->item.kind + 1, message);
}

static bool next(struct eve_peer *peer, uint64_t now_ms, uint64_t *ret_wait_ms)
{
	struct eve *eve = peer->sink->eve;

	pthread_mutex_lock(&eve->lock);
	peer->busy =
		eve_store_next(&eve->look.store, peer->consumer, now_ms, &peer->item, ret_wait_ms);
	pthread_mutex_unlock(&eve->lock);
	if (peer->busy)
		frame_make(peer);
	return peer->busy;
}

int eve_peer_write(struct eve_peer *peer, uint64_t now_ms, uint64_t *ret_wait_ms)
{
	*ret_wait_ms = UINT64_MAX;
	while (peer->busy || next(peer, now_ms, ret_wait_ms)) {
		const ssize_t n =
			send(peer->fd, peer->out.data + peer->written,
			     peer->out.length - peer->written, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		peer->written += (size_t)n;
		peer->moved_ms = now_ms;
		if (peer->written == peer->out.length)
			take_away(peer, EVE_TAKEN, "");
	}
	peer->moved_ms = now_ms;
	return 0;
}

/* --- In ------------------------------------------------------------------------------------- */

static int line_use(struct eve_peer *peer)
{
	struct eve *eve = peer->sink->eve;
	struct eve_request request;
	int r = eve_request_decode(peer->line, peer->line_length, &request);

	if (r < 0)
		return -EPROTO;
	pthread_mutex_lock(&eve->lock);
	if (eve_sink_heard(peer->sink, &request))
		eve_store_again(&eve->look.store, peer->consumer);
	if (request.send) {
		eve->send = true;
		eve_changed(eve);
	}
	pthread_mutex_unlock(&eve->lock);
	return 0;
}

static int byte_take(struct eve_peer *peer, char byte)
{
	int r = 0;

	if (byte == '\n') {
		r = line_use(peer);
		peer->line_length = 0;
	} else if (peer->line_length == sizeof(peer->line)) {
		r = -EPROTO;
	} else {
		peer->line[peer->line_length++] = byte;
	}
	return r;
}

int eve_peer_read(struct eve_peer *peer)
{
	char bytes[256];
	const ssize_t n = recv(peer->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	int r = 0;

	if (n == 0)
		return -ECONNRESET;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	for (ssize_t i = 0; r == 0 && i < n; i++)
		r = byte_take(peer, bytes[i]);
	return r;
}
