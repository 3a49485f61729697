/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One who is connected to the socket: what is being written to it, and the line it is saying. All
 * in the thread of the socket; the lock is taken where the store is touched.
 */
#ifndef EVE_PEER_H
#define EVE_PEER_H

#include <quoin/base_text.h>

#include "private.h"

#define EVE_STALLED_MS (60 * 1000) /* who takes nothing for so long is dropped */

struct eve_peer {
	struct eve_sink *sink;
	int fd;
	unsigned consumer;
	bool busy; /* an item is being written */
	struct eve_item item;
	struct text out;
	size_t written;
	uint64_t moved_ms; /* monotonic, when it took something last */
	char line[EVE_REQUEST_MAX];
	size_t line_length;
};

/* Takes the connection. NULL: there are too many. */
struct eve_peer *eve_peer_new(struct eve_sink *sink, int fd);
void eve_peer_free(struct eve_peer *peer);

/*
 * Writes what it takes. 0: nothing more for now; *ret_wait_ms says until when at most. -EAGAIN: it
 * takes no more; else it is lost.
 */
MUST_CHECK int eve_peer_write(struct eve_peer *peer, uint64_t now_ms, uint64_t *ret_wait_ms);

/* Reads what it says. Negative: it is lost; -EPROTO: it says what nobody understands. */
MUST_CHECK int eve_peer_read(struct eve_peer *peer);

#endif
