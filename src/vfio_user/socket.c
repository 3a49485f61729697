/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making and removing the socket's file. The lock file decides between two servers that start at
 * once; connecting to a socket that exists finds servers that know nothing of our lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include "socket.h"

#define LOCK_SUFFIX ".lock"
#define LOCK_ATTEMPTS 10 /* the last owner may remove the file between our open and our lock */
#define BACKLOG 4

static int path_error(struct err *err, int code, const char *path, const char *what)
{
	switch (code) {
	case -ENOENT:
		return err_set(err, code, "cannot %s %s: its directory does not exist; create it",
			       what, path);
	case -EACCES:
	case -EPERM:
	case -EROFS:
		return err_set(err, code, "cannot %s %s: no permission to write in its directory",
			       what, path);
	default:
		return err_set(err, code, "cannot %s %s: %s", what, path, strerror(-code));
	}
}

/* True when `fd` is still what `path` names. */
static bool same_file(int fd, const char *path)
{
	struct stat ours, named;

	return fstat(fd, &ours) == 0 && stat(path, &named) == 0 && ours.st_ino == named.st_ino &&
	       ours.st_dev == named.st_dev;
}

static void lock_path(const struct vfio_socket *sock, char *path, size_t size_bytes)
{
	snprintf(path, size_bytes, "%s" LOCK_SUFFIX, sock->path);
}

static int lock_take(struct vfio_socket *sock, struct err *err)
{
	char path[sizeof(sock->path) + sizeof(LOCK_SUFFIX)];

	lock_path(sock, path, sizeof(path));
	for (unsigned attempt = 0; attempt < LOCK_ATTEMPTS; attempt++) {
		sock->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (sock->lock_fd < 0)
			return path_error(err, -errno, path, "create");
		if (flock(sock->lock_fd, LOCK_EX | LOCK_NB) < 0) {
			base_close(&sock->lock_fd);
			return err_set(err, -EADDRINUSE,
				       "socket %s is served by another process; stop it or choose "
				       "another path",
				       sock->path);
		}
		if (same_file(sock->lock_fd, path))
			return 0;
		base_close(&sock->lock_fd);
	}
	return err_set(err, -EADDRINUSE, "cannot lock %s: it keeps being replaced", path);
}

static void lock_drop(struct vfio_socket *sock)
{
	char path[sizeof(sock->path) + sizeof(LOCK_SUFFIX)];

	if (sock->lock_fd < 0)
		return;
	lock_path(sock, path, sizeof(path));
	unlink(path); /* While it is locked, so that nobody locks a file that is gone. */
	base_close(&sock->lock_fd);
}

static struct sockaddr_un address_of(const struct vfio_socket *sock)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memcpy(address.sun_path, sock->path, sizeof(address.sun_path));
	return address;
}

/* Removes a socket that nobody serves. */
static int left_over_remove(const struct vfio_socket *sock, struct err *err)
{
	struct sockaddr_un address = address_of(sock);
	CLEANUP_FD int probe = -1;
	struct stat status;

	if (lstat(sock->path, &status) < 0)
		return errno == ENOENT ? 0 : path_error(err, -errno, sock->path, "look at");
	if (!S_ISSOCK(status.st_mode))
		return err_set(err, -EEXIST,
			       "%s exists and is not a socket; remove it or choose "
			       "another path",
			       sock->path);
	probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (probe < 0)
		return err_set(err, -errno, "cannot create a socket: %s", strerror(errno));
	if (connect(probe, (struct sockaddr *)&address, sizeof(address)) == 0 || errno == EAGAIN)
		return err_set(err, -EADDRINUSE,
			       "socket %s is served by another process; stop it "
			       "or choose another path",
			       sock->path);
	if (errno != ECONNREFUSED)
		return path_error(err, -errno, sock->path, "connect to the old socket");
	if (unlink(sock->path) < 0)
		return path_error(err, -errno, sock->path, "remove the old socket");
	return 0;
}

static int socket_listen(struct vfio_socket *sock, struct err *err)
{
	struct sockaddr_un address = address_of(sock);

	sock->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock->fd < 0)
		return err_set(err, -errno, "cannot create a socket: %s", strerror(errno));
	/* The file takes the socket's mode less the umask: never wider than 0600, not even for a
	 * moment. The umask itself is the process's and not ours to change. */
	if (fchmod(sock->fd, 0600) < 0 ||
	    bind(sock->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return path_error(err, -errno, sock->path, "create socket");
	if (chmod(sock->path, 0600) < 0 || lstat(sock->path, &sock->identity) < 0 ||
	    listen(sock->fd, BACKLOG) < 0) {
		int code = -errno;

		unlink(sock->path);
		return path_error(err, code, sock->path, "listen on");
	}
	return 0;
}

int vfio_socket_open(struct vfio_socket *sock, const char *path, struct err *err)
{
	size_t length = strlen(path);
	int r;

	*sock = (struct vfio_socket){.fd = -1, .lock_fd = -1};
	if (length == 0)
		return err_set(err, -EINVAL, "the socket path is empty");
	if (length >= sizeof(sock->path))
		return err_set(err, -ENAMETOOLONG,
			       "socket path %s has %zu bytes, at most %zu are possible; choose a "
			       "shorter one",
			       path, length, sizeof(sock->path) - 1);
	memcpy(sock->path, path, length + 1);

	r = lock_take(sock, err);
	if (r == 0)
		r = left_over_remove(sock, err);
	if (r == 0)
		r = socket_listen(sock, err);
	if (r < 0) {
		base_close(&sock->fd);
		lock_drop(sock);
	}
	return r;
}

void vfio_socket_close(struct vfio_socket *sock)
{
	struct stat status;

	if (sock->fd < 0)
		return;
	if (lstat(sock->path, &status) == 0 && status.st_ino == sock->identity.st_ino &&
	    status.st_dev == sock->identity.st_dev)
		unlink(sock->path);
	base_close(&sock->fd);
	lock_drop(sock);
}
