/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Telling the service manager how we are (sd_notify(3)): a datagram to the socket that
 * NOTIFY_SOCKET names. Without one, nothing happens.
 */
#ifndef QUOIND_NOTIFY_H
#define QUOIND_NOTIFY_H

#include <quoin/base.h>

/* True when a service manager wants to know. */
bool notify_wanted(void);

/* `state`: "READY=1", "STOPPING=1" ... Best effort. */
void notify_send(const char *state);

#endif
