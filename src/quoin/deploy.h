/* SPDX-License-Identifier: Apache-2.0 */
/* Images that arrive, in words. */
#ifndef QUOIN_DEPLOY_H
#define QUOIN_DEPLOY_H

#include <jansson.h>

/* "arriving, 37% (1.1G of 3.0G) at 7.9M/s, 0:04:02 left". The caller frees it. */
char *deploy_words(const json_t *deploy);

/* "1.0G fetched, 1.1G written, 0.9G of 1.1G verified", the same. */
char *deploy_sums(const json_t *deploy);
/* How it is read, where that is not at any place: "in order, 3M of 12M: ..."; NULL. The same. */
char *deploy_access_words(const json_t *deploy);

#endif
