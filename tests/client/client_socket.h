/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection to a vfio-user server: messages with descriptors, replies checked against the
 * rules of the protocol. Everything an honest client does is a function below; what a dishonest
 * one does goes through client_send_bytes() or the `fd` itself.
 *
 * Functions return 0 or a negative errno. An error reply of the server comes back as its own
 * (negative) number; a reply that breaks the protocol as -EPROTO, with words in `violation`.
 */
#ifndef CLIENT_SOCKET_H
#define CLIENT_SOCKET_H

#include <quoin/base.h>

#include "client_wire.h"

#define CLIENT_TIMEOUT_MS 5000 /* QEMU's patience with a reply */

struct client {
	int fd; /* -1 = not connected */
	uint16_t next_id;
	int timeout_ms;
	bool posted;   /* BAR writes ask for no reply */
	bool fixed_id; /* every message has id 0 */
	uint64_t messages;
	uint64_t slowest_reply_ns;
	uint8_t version_reply[1024]; /* payload of the VERSION reply */
	size_t version_reply_size;
	char violation[160];
};

/* One message out, maybe one reply in. Members below the line are results. */
struct client_message {
	uint16_t command;
	const void *payload;
	size_t payload_size;
	const void *data; /* follows the payload; may be NULL */
	size_t data_size;
	const int *fds; /* borrowed */
	unsigned fd_count;
	void *reply; /* room for the reply's payload */
	size_t reply_capacity;
	/* ---- */
	size_t reply_size;
	int reply_fds[WIRE_FDS_MAX]; /* the caller closes them */
	unsigned reply_fd_count;
};

/* How different programs introduce themselves. */
enum client_flavour {
	CLIENT_QEMU, /* 0.0, full JSON, posted writes */
	CLIENT_CLOUD_HYPERVISOR,
	CLIENT_SPDK, /* 0.1, no JSON, message id 0 for ever */
};

/* Connects, waiting up to two seconds for a socket that is not there yet. No VERSION. */
MUST_CHECK int client_connect(struct client *client, const char *path);

/* The VERSION exchange. */
MUST_CHECK int client_negotiate(struct client *client, enum client_flavour flavour);

/* Closes the socket. Closing a closed client is allowed. */
void client_close(struct client *client);

/* Sends a message and waits for its reply. */
MUST_CHECK int client_call(struct client *client, struct client_message *message);

/* Sends a message that asks for no reply. */
MUST_CHECK int client_post(struct client *client, struct client_message *message);

/* Sends the message only; the reply must be taken with client_receive(). Returns its id. */
MUST_CHECK int client_send(struct client *client, const struct client_message *message,
			   uint16_t *ret_id);
MUST_CHECK int client_receive(struct client *client, struct client_message *message, uint16_t id);

/* Raw bytes with descriptors on the first of them. */
MUST_CHECK int client_send_bytes(struct client *client, const void *bytes, size_t size,
				 const int *fds, unsigned fd_count);

/* Exactly `size` bytes; descriptors that come with them are added to the message's. */
MUST_CHECK int client_receive_bytes(struct client *client, void *to, size_t size,
				    struct client_message *message);

/* Notes what the server did. Returns -EPROTO. */
int client_violation(struct client *client, const char *words);

/* Lays header, payload and data of a message into `bytes`; returns the size. */
size_t client_encode(const struct client_message *message, uint16_t id, uint32_t flags,
		     uint8_t *bytes);

/* True when the server closed the connection within the time. Replies that come are dropped. */
bool client_wait_closed(struct client *client, int timeout_ms);

/* Monotonic time. */
uint64_t client_now_ns(void);
void client_sleep_us(unsigned us);

#endif
