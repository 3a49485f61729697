/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of quoin pool status -v that need a pool's health. */
#ifndef QUOIN_POOL_VERBOSE_H
#define QUOIN_POOL_VERBOSE_H

#include <jansson.h>

/* `pool` is one of GET /v1/health. */
void pool_verbose_print(const json_t *pool);

#endif
