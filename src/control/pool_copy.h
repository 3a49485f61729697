/* SPDX-License-Identifier: Apache-2.0 */
/* What copies leave behind when they are killed. */
#ifndef CONTROL_POOL_COPY_H
#define CONTROL_POOL_COPY_H

#include "pool.h"

/* -EINVAL: the name is for what copies make on their way. */
MUST_CHECK int control_copy_name_check(const struct control_object *volume, struct err *err);

/* [fiber] Destroys volumes and snapshots of copies that did not come to their end. */
void control_copy_sweep(struct pool *pool);

#endif
