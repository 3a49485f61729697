/* SPDX-License-Identifier: Apache-2.0 */
/* The pools' life with the daemon. */
#ifndef CONTROL_POOL_LIFE_H
#define CONTROL_POOL_LIFE_H

#include "private.h"

/* Reads what was remembered: no pool is imported yet. -EUCLEAN ... */
MUST_CHECK int control_pools_restore(struct control *control, struct err *err);

/* Imports them; one that cannot be is kept as failed. The workers run. */
void control_pools_start(struct control *control);

/* Closes them all, as this host's. No target has a device. */
void control_pools_stop(struct control *control);

#endif
