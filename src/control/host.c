/* SPDX-License-Identifier: Apache-2.0 */
/* The host's identity; see host.h. */
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <quoin/base_random.h>
#include <quoin/control_spec.h>

#include "state.h"

#define MACHINE_ID "/etc/machine-id"
#define FILE_NAME "host-id"
#define ID_DIGITS 32

/* -ENOENT: there is none, or it is no id (an image before its first boot says "uninitialized"). */
static int id_read(int directory_fd, const char *name, uint8_t ret_id[16])
{
	char text[ID_DIGITS + 1] = "";
	uint8_t id[16];
	CLEANUP_FD int fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, text, ID_DIGITS) != ID_DIGITS || control_uuid_parse(text, id) < 0 ||
	    control_uuid_is_zero(id))
		return -ENOENT;
	memcpy(ret_id, id, sizeof(id));
	return 0;
}

static int id_draw(int state_fd, uint8_t ret_id[16], struct err *err)
{
	char text[ID_DIGITS + 2];
	uint8_t id[16];
	int r;

	random_system_fill(id, sizeof(id));
	for (int i = 0; i < 16; i++)
		snprintf(text + 2 * i, 3, "%02x", id[i]);
	snprintf(text + ID_DIGITS, 2, "\n");
	r = control_file_replace(state_fd, FILE_NAME, text);
	if (r < 0)
		return err_set(err, r, "cannot save %s in the state directory: %s", FILE_NAME,
			       strerror(-r));
	memcpy(ret_id, id, sizeof(id));
	return 0;
}

int control_host_read(int state_fd, struct control_host *ret_host, struct err *err)
{
	struct control_host host = {.name = ""};

	if (gethostname(host.name, sizeof(host.name) - 1) < 0 || host.name[0] == '\0')
		snprintf(host.name, sizeof(host.name), "localhost");
	if (id_read(AT_FDCWD, MACHINE_ID, host.id) < 0 &&
	    id_read(state_fd, FILE_NAME, host.id) < 0) {
		int r = id_draw(state_fd, host.id, err);

		if (r < 0)
			return r;
	}
	*ret_host = host;
	return 0;
}
