/* SPDX-License-Identifier: Apache-2.0 */
/* What is remembered of a pool: its name, its GUID, and where its drives were seen last. */
#ifndef CONTROL_POOL_STATE_H
#define CONTROL_POOL_STATE_H

#include <jansson.h>

#include "pool.h"

/* A new reference. */
json_t *control_pool_to_json(const struct control_pool *pool);

/* *ret_pool is a new one, not imported. -EINVAL. */
MUST_CHECK int control_pool_from_json(const json_t *json, struct control_pool **ret_pool,
				      struct err *err);

#endif
