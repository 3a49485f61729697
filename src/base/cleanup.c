/* SPDX-License-Identifier: Apache-2.0 */
/* What the CLEANUP_* attributes call. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <quoin/base.h>

void base_cleanup_free(void *pointer_to_pointer)
{
	void *pointer;

	memcpy(&pointer, pointer_to_pointer, sizeof(pointer));
	free(pointer);
}

void base_close(int *fd)
{
	const int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

void base_cleanup_fd(int *fd)
{
	base_close(fd);
}
