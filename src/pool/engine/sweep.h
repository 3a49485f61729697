/* SPDX-License-Identifier: Apache-2.0 */
/* The trim of the whole pool, from inside; see quoin/pool_trim.h. */
#ifndef POOL_ENGINE_SWEEP_H
#define POOL_ENGINE_SWEEP_H

#include <quoin/pool_trim.h>

#include "engine/engine.h"

/* [fiber] Ends it, and waits for that. */
void sweep_end(struct pool *pool);

#endif
