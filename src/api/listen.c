/* SPDX-License-Identifier: Apache-2.0 */
/* The listening socket: lock, replace what was left over, restrict, listen. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <quoin/base_text.h>

#include "listen.h"

#define BACKLOG 64

static int lock_take(struct api_listener *listener, struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("%s.lock", listener->path);

	listener->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (listener->lock_fd < 0)
		return err_set(err, -errno, "cannot open %s: %s", path, strerror(errno));
	if (flock(listener->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	return err_set(err, -EADDRINUSE, "another quoind serves %s: stop it, or give --socket",
		       listener->path);
}

/* We have the lock, so a socket at the path is nobody's. Anything else is somebody's. */
static int leftover_remove(const char *path, struct err *err)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, -EEXIST, "%s is in the way and not a socket", path);
	if (unlink(path) < 0)
		return err_set(err, -errno, "cannot remove the old socket %s: %s", path,
			       strerror(errno));
	return 0;
}

static int socket_listen(struct api_listener *listener, struct err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(listener->path) >= sizeof(address.sun_path))
		return err_set(err, -ENAMETOOLONG, "socket path %s is longer than %zu characters",
			       listener->path, sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, listener->path, strlen(listener->path) + 1);
	listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener->fd < 0)
		return err_set(err, -errno, "cannot make a socket: %s", strerror(errno));
	/* Nobody can connect before listen(): no moment with a wider mode. */
	if (bind(listener->fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    chmod(listener->path, 0600) < 0 || listen(listener->fd, BACKLOG) < 0)
		return err_set(err, -errno, "cannot listen on %s: %s", listener->path,
			       strerror(errno));
	return 0;
}

int api_listener_open(struct api_listener *listener, const char *path, struct err *err)
{
	int r;

	listener->fd = -1;
	listener->lock_fd = -1;
	listener->path = xstrdup(path);
	r = lock_take(listener, err);
	if (r == 0)
		r = leftover_remove(path, err);
	if (r == 0) {
		r = socket_listen(listener, err);
	} else {
		/* What is at the path is not ours to remove. */
		free(listener->path);
		listener->path = NULL;
	}
	if (r < 0)
		api_listener_close(listener);
	return r;
}

void api_listener_close(struct api_listener *listener)
{
	base_close(&listener->fd);
	if (listener->path)
		unlink(listener->path);
	base_close(&listener->lock_fd);
	free(listener->path);
	listener->path = NULL;
}
