/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One client's connection: whole messages in, replies out, over a stream socket watched by a
 * loop. Never blocks; memory is bounded.
 *
 *  1. Messages are handed over one at a time, in order, each exactly once.
 *  2. There is at most one reply waiting to be sent. While it waits, or while the owner has
 *     paused the connection, nothing is read: the client's own socket buffer fills.
 *  3. Descriptors belong to the message with which they came; those its handler did not take
 *     are closed behind it.
 *
 * Which message is that? The kernel ends a read behind bytes that carried descriptors, and a
 * client sends a message with one call, so they belong to the last message that begins within
 * what was read. While descriptors wait for the rest of their message, we read no further than
 * its end.
 */
#ifndef VFIO_USER_CONNECTION_H
#define VFIO_USER_CONNECTION_H

#include <quoin/loop.h>

#include "wire.h"

struct vfio_message {
	struct vfio_header header;
	const uint8_t *payload;
	size_t payload_bytes;
	int *fds; /* the handler may take one: it sets it to -1 */
	unsigned fd_count;
};

struct vfio_connection;

struct vfio_connection_ops {
	/* A command came. It is answered now, or later by somebody who paused the connection. */
	void (*message)(struct vfio_connection *connection, const struct vfio_message *message);

	/* The client left (`why` is NULL) or broke the rules; the connection is closed already. */
	void (*closed)(struct vfio_connection *connection, const char *why);
};

struct vfio_connection {
	struct loop *loop;
	const struct vfio_connection_ops *ops;
	int fd; /* -1: closed */
	bool paused;
	bool hung_up; /* the watch is stopped: nobody is there, but we were not done */
	struct loop_watch watch;
	struct loop_task task; /* goes on after a pause */
	uint8_t *rx;
	size_t rx_start; /* of the first message that was not handed over */
	size_t rx_end;
	int fds[VFIO_FDS_MAX]; /* received, not handed over */
	unsigned fd_count;
	size_t fds_end; /* where in rx the read ended that brought them */
	uint8_t *tx;
	size_t tx_start;
	size_t tx_end;
	int tx_fd; /* borrowed: goes with the first byte; -1 = none */
};

/* For many clients, one after another. -ENOMEM. */
MUST_CHECK int vfio_connection_init(struct vfio_connection *connection, struct loop *loop,
				    const struct vfio_connection_ops *ops);
void vfio_connection_fini(struct vfio_connection *connection);

/* Serves `fd` (taken, also on failure) from now on. */
MUST_CHECK int vfio_connection_open(struct vfio_connection *connection, int fd);

/* Without a call of closed(). Closing a closed one is harmless. */
void vfio_connection_close(struct vfio_connection *connection);

static inline bool vfio_connection_is_open(const struct vfio_connection *connection)
{
	return connection->fd >= 0;
}

/* Where the payload of a reply is written, up to VFIO_MESSAGE_MAX - VFIO_HEADER_BYTES. */
static inline uint8_t *vfio_connection_payload(struct vfio_connection *connection)
{
	return connection->tx + VFIO_HEADER_BYTES;
}

/*
 * Answers `command`, unless it wants no reply: with the payload written before, and `fd`
 * (borrowed until the connection closes) if it is not -1; or with a positive errno.
 */
void vfio_connection_reply(struct vfio_connection *connection, const struct vfio_header *command,
			   size_t payload_bytes, int fd);
void vfio_connection_error(struct vfio_connection *connection, const struct vfio_header *command,
			   int error);

/* From a handler: answers with an error as far as the socket takes it, and drops the client. */
void vfio_connection_refuse(struct vfio_connection *connection, const struct vfio_header *command,
			    int error, const char *why);

/*
 * No more messages until resume. From a handler; whoever pauses answers the command before it
 * resumes.
 */
void vfio_connection_pause(struct vfio_connection *connection);
void vfio_connection_resume(struct vfio_connection *connection);

#endif
