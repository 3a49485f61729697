/* SPDX-License-Identifier: Apache-2.0 */
/* The trim of a pool, in words. */
#ifndef QUOIN_POOL_TRIM_VERB_H
#define QUOIN_POOL_TRIM_VERB_H

#include <jansson.h>

/* How far the trim of a pool is, or how it ended; the caller's to free. */
char *pool_trim_words(const json_t *trim);

#endif
