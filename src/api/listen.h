/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The API's listening socket. A lock file beside it, PATH.lock, says that somebody serves PATH:
 * a socket without a locked lock was left over by a daemon that died, and is replaced.
 */
#ifndef API_LISTEN_H
#define API_LISTEN_H

#include <quoin/base_err.h>

struct api_listener {
	int fd;
	int lock_fd;
	char *path; /* owned */
};

MUST_CHECK int api_listener_open(struct api_listener *listener, const char *path, struct err *err);

/* Removes the socket. The lock file stays: removing it would race with the next daemon. */
void api_listener_close(struct api_listener *listener);

#endif
