/* SPDX-License-Identifier: Apache-2.0 */
/* Pools and targets: who has which volume, and devices for them. */
#ifndef CONTROL_POOL_USE_H
#define CONTROL_POOL_USE_H

#include "private.h"

/* Opens the device of a namespace whose volume is in a pool. -ENOENT: it is of another kind. */
MUST_CHECK int control_pool_device(struct control_pools *pools,
				   const struct control_namespace_spec *ns,
				   struct block_device **ret_device, struct err *err);

/* The worker that all pool volumes of the target have for a home, or -1. */
int control_pool_worker(struct control_pools *pools, const struct control_target_spec *spec);

/* The target that has the volume or snapshot, and which namespace; NULL when none has. */
/*
 * The next namespace of a target that has a volume or snapshot of the pool; begin with a cursor of
 * 0. NULL: there are no more.
 */
const struct control_target *control_pool_user_next(const struct control *control, const char *pool,
						    unsigned *cursor,
						    struct control_object *ret_object);

const struct control_target *control_object_user(const struct control *control,
						 const struct control_object *object,
						 unsigned *ret_nsid);

/* -EBUSY, with the target's name, when one has it. */
MUST_CHECK int control_object_free(const struct control *control,
				   const struct control_object *object, struct err *err);

/* The same of every snapshot of the volume. */
MUST_CHECK int control_object_snapshots_free(const struct control *control,
					     const struct control_object *object, struct err *err);

/* The same of everything in the pool; `running`: targets that do not run do not count. */
MUST_CHECK int control_pool_unused(const struct control *control, const char *pool, bool running,
				   struct err *err);

/* Tries the targets that do not run and have a volume in the pool. */
void control_pool_wake_targets(struct control *control, const char *pool);

/* Guests that have the volume are told its size. */
void control_object_resized(struct control *control, const struct control_object *object);

#endif
