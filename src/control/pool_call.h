/* SPDX-License-Identifier: Apache-2.0 */
/* A verb's way to a pool: a fiber on the pool's home loop, while the caller waits. */
#ifndef CONTROL_POOL_CALL_H
#define CONTROL_POOL_CALL_H

#include <quoin/base.h>
#include <quoin/loop.h>

/*
 * Runs fn(arg) as a fiber of `loop` and returns what it returns, or -ENOMEM when there is no
 * memory for its stack. Not from the loop's own thread.
 */
MUST_CHECK int control_call(struct loop *loop, int (*fn)(void *arg), void *arg);

#endif
