/* SPDX-License-Identifier: Apache-2.0 */
/* Guests' requests counted; the home loop's. */
#ifndef POOL_ENGINE_METER_H
#define POOL_ENGINE_METER_H

#include "engine/io.h"

void meter_begin(struct volume *volume);

/* A write goes on, as far as it can: may come again. */
void meter_admit(struct pool *pool, struct volume_request *words);
void meter_end(struct pool *pool, struct volume *volume, const struct block_request *request);

/* Minutes without a request have no worst one. */
void meter_turn(struct pool *pool);

#endif
