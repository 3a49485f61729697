/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that copy by reference. */
#ifndef POOL_ENGINE_COPIES_H
#define POOL_ENGINE_COPIES_H

#include "engine/io.h"

/* The copy at the head of pool->incoming leaves it. */
void copies_take(struct pool *pool, struct block_request *request);

/* True: the change at the head of pool->incoming waits elsewhere for a copy to where it goes. */
bool copies_delay(struct pool *pool, struct block_request *request);

/* Something ended: asks for a checkpoint for those that wait for nothing else, ends those in vain.
 */
void copies_look(struct pool *pool);

/* A checkpoint begins: it makes those that can be made now. Not with `carry`: see carry.c. */
void copies_freeze(struct pool *pool, bool carry);

/* [fiber, within the checkpoint, after its merge] */
void copies_run(struct pool *pool);

/* The checkpoint is committed, or failed. */
void copies_settle(struct pool *pool);

#endif
