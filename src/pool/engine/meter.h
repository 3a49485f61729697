/* SPDX-License-Identifier: Apache-2.0 */
/* Guests' requests counted; the home loop's. */
#ifndef POOL_ENGINE_METER_H
#define POOL_ENGINE_METER_H

#include "engine/io.h"

/* `volume` is NULL for a snapshot's device. */
void meter_begin(struct pool *pool, struct volume *volume);

/* A write goes on, as far as it can: may come again. */
void meter_admit(struct pool *pool, struct volume_request *words);
void meter_end(struct pool *pool, struct volume *volume, const struct block_request *request);

/* As of now, in the midst of requests. */
struct pool_io_sums meter_sums(const struct pool *pool, const struct pool_io_sums *sums);

/* Minutes without a request have no worst one. */
void meter_turn(struct pool *pool);

#endif
