/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A listening UNIX socket with an owner: its file has mode 0600, a lock file beside it says that
 * somebody serves it, a left-over of a process that died is replaced.
 */
#ifndef VFIO_USER_SOCKET_H
#define VFIO_USER_SOCKET_H

#include <sys/stat.h>
#include <sys/un.h>

#include <quoin/base.h>
#include <quoin/base_err.h>

struct vfio_socket {
	int fd;	     /* non-blocking, listening */
	int lock_fd; /* holds the lock on PATH.lock */
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	struct stat identity; /* of the file we made: nobody else's is removed */
};

/* -ENAMETOOLONG, -EADDRINUSE, -EEXIST (something else is there), -ENOENT, -EACCES ... */
MUST_CHECK int vfio_socket_open(struct vfio_socket *socket, const char *path, struct err *err);

/* Removes the file and the lock. Closing a closed one is harmless. */
void vfio_socket_close(struct vfio_socket *socket);

#endif
