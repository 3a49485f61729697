/* SPDX-License-Identifier: Apache-2.0 */
/* sd_notify without libsystemd: the protocol is one datagram. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <quoin/base_log.h>

#include "notify.h"

bool notify_wanted(void)
{
	const char *path = getenv("NOTIFY_SOCKET");

	return path && (path[0] == '/' || path[0] == '@');
}

void notify_send(const char *state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	CLEANUP_FD int fd = -1;
	const char *path = getenv("NOTIFY_SOCKET");
	size_t length;

	if (!notify_wanted())
		return;
	length = strlen(path);
	if (length > sizeof(address.sun_path))
		return;
	memcpy(address.sun_path, path, length);
	if (path[0] == '@')
		address.sun_path[0] = '\0'; /* the abstract name space */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0)
		log_warning("the service manager cannot be told: %m");
}
