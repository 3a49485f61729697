/* SPDX-License-Identifier: Apache-2.0 */
/* Who this host is, as pools remember it: a pool that was not exported comes back here only. */
#ifndef CONTROL_HOST_H
#define CONTROL_HOST_H

#include <quoin/base_err.h>

#define CONTROL_HOST_NAME_MAX 63

struct control_host {
	uint8_t id[16];
	char name[CONTROL_HOST_NAME_MAX + 1];
};

/*
 * The id is /etc/machine-id; without one a number that was drawn once and is kept in the state
 * directory as `host-id`.
 */
MUST_CHECK int control_host_read(int state_fd, struct control_host *ret_host, struct err *err);

#endif
