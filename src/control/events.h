/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's journal of events, the hooks on it, and the watch over drives: how they come and go
 * with the daemon.
 */
#ifndef CONTROL_EVENTS_H
#define CONTROL_EVENTS_H

#include "private.h"

/* The state directory is open. -EINVAL: a hook that cannot be; -EAGAIN: no thread. */
MUST_CHECK int control_events_open(struct control *control, const struct control_params *params,
				   struct err *err);

/* Tells that the daemon started, and whether the one before it stopped. */
void control_events_started(struct control *control);

/* The drives of the pools that are imported now are watched. */
void control_drives_update(struct control *control);

/* Nobody tells any more. What control_events_open() left undone is allowed. */
void control_events_close(struct control *control);

#endif
